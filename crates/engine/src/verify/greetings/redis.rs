//! Redis and its like, in RESP.
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>

use super::wire::Wire;
use super::{Failed, Greeted, Unmet, line};

/// An answer has a line at least.
const LINE: usize = 4096;

/// PING needs no password to be answered: with PONG, or with the wish for one.
pub(super) async fn greet(wire: &mut Wire) -> Result<Greeted, Failed> {
    // As an inline command, which every version takes.
    wire.say(b"PING\r\n").await?;
    let first = first_line(wire).await?;
    match first.as_str() {
        "+PONG" => {}
        // Redis 6 and later; older ones and some that stand before it say it as an error like any other.
        wants if wants.starts_with("-NOAUTH") || wants.contains("uthentication required") => {
            return Ok(Greeted::new("Redis").with("it wants a password"));
        }
        // https://redis.io/docs/latest/operate/oss_and_stack/management/security/#protected-mode
        denied if denied.starts_with("-DENIED") => {
            let hint =
                "protected mode lets only its own host in: give it a password, or `bind` it with `protected-mode no`";
            return Err(Unmet::refuses("Redis refuses this node: it is in protected mode", hint).into());
        }
        loading if loading.starts_with("-LOADING") => {
            return Err(Unmet::refuses("Redis still loads its data", "wait until it has").into());
        }
        full if full.starts_with("-ERR max number of clients") => {
            return Err(Unmet::refuses("Redis refuses: it has its maximum of clients", "raise `maxclients`").into());
        }
        // It is RESP: an error that PING gets from a server that renamed it, or that stands before one.
        error if error.starts_with('-') => return Ok(Greeted::new("Redis").with(format!("it answers `{error}`"))),
        _ => return Err(Failed::Strange),
    }
    wire.heard.clear();
    wire.say(b"INFO server\r\n").await?;
    let told = String::from_utf8_lossy(wire.hear_all(whole).await).into_owned();
    let value = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(String::from));
    Ok(Greeted::new(match (value("valkey_version"), value("redis_version")) {
        (Some(version), _) => format!("Valkey {version}"),
        (None, Some(version)) => format!("Redis {version}"),
        (None, None) => "Redis".into(),
    }))
}

/// The first line that is heard, without its end.
async fn first_line(wire: &mut Wire) -> Result<String, Failed> {
    let mut length = 1;
    loop {
        let heard = wire.hear(length).await?;
        // What begins otherwise is no RESP, however long it gets.
        if !matches!(heard.first(), Some(b'+' | b'-')) || heard.len() > LINE {
            return Err(Failed::Strange);
        }
        if heard.ends_with(b"\r\n") {
            return Ok(line(heard));
        }
        length += 1;
    }
}

/// Whether a bulk string is complete, `$LENGTH` and so many bytes; or no bulk string comes at all.
fn whole(heard: &[u8]) -> bool {
    let Some(rest) = heard.strip_prefix(b"$") else { return !heard.is_empty() };
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return rest.len() > LINE };
    let length = line(&rest[..end]).parse().unwrap_or(0);
    rest.len() > end + length
}
