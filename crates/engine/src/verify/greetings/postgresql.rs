//! PostgreSQL.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use super::wire::Wire;
use super::{Door, Failed, Greeted, Unmet, line};

/// SSLRequest: a length of 8 and the code 80877103. The answer is one letter.
pub(in crate::verify) const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// Protocol 3.0, and a user that nobody has to know: what is asked of it, or that it is refused, is the greeting.
const USER: &[u8] = b"user\0kubewright-verify\0database\0postgres\0\0";
/// Kind and length of a message.
const HEADER: usize = 5;
/// An error has some hundred bytes.
const MOST: usize = 16 * 1024;

/// One letter could be luck. So a session is begun, in the clear or over TLS, up to the server's wish for a password.
pub(super) async fn greet(wire: &mut Wire, door: &Door<'_>, tls: bool) -> Result<Greeted, Failed> {
    wire.say(&SSL_REQUEST).await?;
    match (wire.hear(1).await?, tls) {
        ([b'N'], false) => {
            wire.heard.clear();
            begin(wire).await
        }
        ([b'N'], true) => Err(Unmet::NoTls("PostgreSQL offers no TLS".into()).into()),
        ([b'S'], true) => {
            wire.heard.clear();
            wire.start_tls(&door.at.host).await?;
            begin(wire).await
        }
        // It waits for TLS now, on this connection; in the clear another one is begun.
        ([b'S'], false) => {
            let dialed = door.side.dial(door.at).await.map_err(Unmet::Closed)?;
            *wire = Wire::new(dialed.stream);
            Ok(begin(wire).await?.with("it offers TLS"))
        }
        _ => Err(Failed::Strange),
    }
}

async fn begin(wire: &mut Wire) -> Result<Greeted, Failed> {
    let length = u32::try_from(8 + USER.len()).unwrap_or_default();
    let mut startup = length.to_be_bytes().to_vec();
    startup.extend([0, 3, 0, 0]);
    startup.extend(USER);
    wire.say(&startup).await?;
    let (kind, body) = message(wire, 0).await?;
    match kind {
        // AuthenticationXXX, by its number.
        b'R' => match body.first_chunk().map(|code| u32::from_be_bytes(*code)) {
            Some(0) => Ok(trusted(wire, HEADER + body.len()).await),
            Some(_) => Ok(Greeted::new("PostgreSQL").with("it wants a password")),
            None => Err(Failed::Strange),
        },
        b'E' => refused(&body),
        _ => Err(Failed::Strange),
    }
}

/// Who is let in without a password is told the version, among other parameters.
async fn trusted(wire: &mut Wire, mut from: usize) -> Greeted {
    let mut greeted = Greeted::new("PostgreSQL");
    while let Ok((b'S', body)) = message(wire, from).await {
        from += HEADER + body.len();
        if let Some(version) = body.strip_prefix(b"server_version\0") {
            greeted.who = format!("PostgreSQL {}", line(version.strip_suffix(b"\0").unwrap_or(version)));
            break;
        }
    }
    greeted
}

/// The message that begins at a place of what is heard.
async fn message(wire: &mut Wire, from: usize) -> Result<(u8, Vec<u8>), Failed> {
    let header = wire.hear(from + HEADER).await?.get(from..).unwrap_or_default();
    let [kind, a, b, c, d] = *header else { return Err(Failed::Strange) };
    // It counts itself.
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if !(4..MOST).contains(&length) {
        return Err(Failed::Strange);
    }
    let body = wire.hear(from + 1 + length).await?.get(from + HEADER..).unwrap_or_default().to_vec();
    Ok((kind, body))
}

/// An error has fields, each with a letter and a text: `C` is the code, `M` the message.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn refused(body: &[u8]) -> Result<Greeted, Failed> {
    let field = |letter: u8| {
        let mut fields = body.split(|byte| *byte == 0);
        fields.find_map(|field| field.strip_prefix(&[letter])).map(line)
    };
    let (Some(code), Some(message)) = (field(b'C'), field(b'M')) else { return Err(Failed::Strange) };
    match code.as_str() {
        // No line of pg_hba.conf, no such user, no such database, a wrong password: whoever is right gets in.
        "28000" | "28P01" | "3D000" => Ok(Greeted::new("PostgreSQL").with(format!("it answers `{message}`"))),
        // Every class of these is about the server itself: starting up, shutting down, out of connections.
        "57P03" => Err(Unmet::refuses(format!("PostgreSQL: {message}"), "wait until it has started").into()),
        "53300" => Err(Unmet::refuses(format!("PostgreSQL: {message}"), "raise `max_connections`").into()),
        _ => Err(Unmet::refuses(format!("PostgreSQL: {message} ({code})"), "its log tells more").into()),
    }
}
