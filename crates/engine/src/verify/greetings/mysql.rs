//! MySQL and MariaDB, which speak before their clients.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html>,
//! <https://mariadb.com/kb/en/connection/#initial-handshake-packet>

use super::wire::Wire;
use super::{Door, Failed, Greeted, Unmet, line};

/// A packet's length in three bytes, and its number.
const HEADER: usize = 4;
/// A handshake has about a hundred bytes.
const MOST: usize = 4096;
/// MariaDB up to 10.11 says this before its version, for replicas that would not know it (`rpl_hack`).
const HACK: &str = "5.5.5-";
/// The client may ask for TLS.
const CLIENT_SSL: u16 = 0x0800;
const CLIENT_PROTOCOL_41: u32 = 0x0200;

pub(super) async fn greet(wire: &mut Wire, door: &Door<'_>, tls: bool) -> Result<Greeted, Failed> {
    let [a, b, c, 0] = *wire.hear(HEADER).await? else { return Err(Failed::Strange) };
    let length = usize::from(u16::from_le_bytes([a, b]));
    if c != 0 || length == 0 || length > MOST {
        return Err(Failed::Strange);
    }
    let packet = wire.hear(HEADER + length).await?.get(HEADER..).unwrap_or_default();
    let (version, abilities) = match packet {
        [0xff, code @ ..] => return Err(refused(code).into()),
        [10, rest @ ..] => read(rest).ok_or(Failed::Strange)?,
        _ => return Err(Failed::Strange),
    };
    let greeted = Greeted::new(who(&version));
    if !tls {
        return Ok(greeted);
    }
    if abilities & CLIENT_SSL == 0 {
        return Err(Unmet::NoTls(format!("{} offers no TLS", greeted.who)).into());
    }
    // SSLRequest: what we can, the longest packet, a character set (utf8mb4), and 23 bytes of nothing.
    let mut request = vec![32, 0, 0, 1];
    request.extend((u32::from(CLIENT_SSL) | CLIENT_PROTOCOL_41).to_le_bytes());
    request.extend((1_u32 << 24).to_le_bytes());
    request.push(45);
    request.extend([0; 23]);
    wire.say(&request).await?;
    wire.start_tls(&door.at.host).await?;
    Ok(greeted)
}

/// The version, and the lower half of what the server can: a text up to a zero, a number, eight bytes of a challenge and
/// a zero stand before it.
fn read(packet: &[u8]) -> Option<(String, u16)> {
    let end = packet.iter().position(|byte| *byte == 0)?;
    let at = end + 1 + 4 + 8 + 1;
    Some((line(packet.get(..end)?), u16::from_le_bytes([*packet.get(at)?, *packet.get(at + 1)?])))
}

fn who(version: &str) -> String {
    let bare = version.strip_prefix(HACK).unwrap_or(version);
    match bare.split_once("-MariaDB") {
        Some((number, _)) => format!("MariaDB {number}"),
        None => format!("MySQL {bare}"),
    }
}

/// It is a MySQL, and yet nobody on this node will get in: its errors have a number and a text.
/// <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>
fn refused(error: &[u8]) -> Unmet {
    let (code, text) = error.split_at_checked(2).unwrap_or_default();
    let code = code.try_into().map(u16::from_le_bytes).unwrap_or_default();
    let text = line(text);
    let hint = match code {
        // ER_HOST_IS_BLOCKED
        1129 => "too many of its connections broke off: `FLUSH HOSTS` on the server, and look who does that",
        // ER_HOST_NOT_PRIVILEGED
        1130 => "no account of it may come from this node: `CREATE USER …@'10.0.0.%'`, or the like",
        // ER_CON_COUNT_ERROR
        1040 => "raise `max_connections`, or end what holds connections",
        _ => "",
    };
    Unmet::refuses(format!("it greets with error {code}: {text}"), hint)
}
