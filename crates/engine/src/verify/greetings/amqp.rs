//! AMQP 0-9-1, as RabbitMQ speaks it.
//! <https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>, 2.3.5 and 4.2; the method in `amqp0-9-1.xml`

use super::wire::Wire;
use super::{Failed, Greeted, Unmet, line};

/// A frame: its kind, its channel and its length stand before it, and this behind it.
const HEADER: usize = 7;
const END: u8 = 0xCE;
/// The properties of a server are a few hundred bytes.
const MOST: usize = 64 * 1024;
/// Connection.Start: class 10, method 10, then the protocol's version.
const START: [u8; 6] = [0, 10, 0, 10, 0, 9];

/// The protocol's header makes a server say who it is, or which protocol it speaks instead.
pub(super) async fn greet(wire: &mut Wire) -> Result<Greeted, Failed> {
    wire.say(b"AMQP\x00\x00\x09\x01").await?;
    let header = wire.hear(HEADER).await?;
    if header.starts_with(b"AMQP") {
        let other = wire.hear(HEADER + 1).await?.get(4..).unwrap_or_default().to_vec();
        return Err(Unmet::refuses(format!("it speaks another version of AMQP: {other:?}"), "").into());
    }
    let [1, 0, 0, a, b, c, d] = *header else { return Err(Failed::Strange) };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length > MOST {
        return Err(Failed::Strange);
    }
    let frame = wire.hear(HEADER + length + 1).await?.get(HEADER..).unwrap_or_default();
    let (Some(&END), Some(method)) = (frame.last(), frame.strip_prefix(&START)) else { return Err(Failed::Strange) };
    let text = |name: &str| property(method, name);
    let product = text("product").unwrap_or_else(|| "AMQP 0-9-1".into());
    let greeted = match text("version") {
        Some(version) => Greeted::new(format!("{product} {version}")),
        None => Greeted::new(product),
    };
    Ok(match text("cluster_name") {
        Some(name) => greeted.with(name),
        None => greeted,
    })
}

/// A property of the server that is a long text: the name as a short text, `S`, the length, and the text. Names of
/// properties are not parts of each other's texts, so the table need not be read in order.
fn property(table: &[u8], name: &str) -> Option<String> {
    let mut key = vec![u8::try_from(name.len()).ok()?];
    key.extend_from_slice(name.as_bytes());
    key.push(b'S');
    let at = table.windows(key.len()).position(|window| window == key)? + key.len();
    let length = table.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)?;
    let from = at + 4;
    Some(line(table.get(from..from + usize::try_from(length).ok()?)?))
}
