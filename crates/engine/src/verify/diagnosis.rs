//! What is likely wrong with a service that does not greet: closed, silent, somebody else, or behind TLS.

use std::time::Duration;

use kubewright_model::spec::verify::ServiceProtocol;
use tokio::time::timeout;

use super::greetings::http::wants_tls;
use super::greetings::wire::{Wire, hello};
use super::greetings::{ANSWER, Door, Unmet, line};

/// Who speaks at all says so at once.
const WORD: Duration = Duration::from_secs(2);
/// What makes PostgreSQL say one letter, and RabbitMQ its own header; RESP and HTTP have words for the second.
const WORDS: [&[u8]; 2] = [&[0, 0, 0, 8, 4, 210, 22, 47], b"GET / HTTP/1.0\r\n\r\n"];

/// What was seen instead of a greeting.
pub(super) struct Trouble {
    pub(super) saw: String,
    pub(super) hint: Option<String>,
}

/// Finds out why a service does not greet; it may be asked once more for that, in the words of others.
pub(super) async fn trouble(door: &Door<'_>, protocol: ServiceProtocol, tls: bool, unmet: Unmet) -> Trouble {
    let of = |saw: String, hint: &str| Trouble { saw, hint: Some(hint.to_string()) };
    let what = protocol.title();
    let (heard, how) = match unmet {
        Unmet::Closed(error) => return Trouble { saw: error.to_string(), hint: error.help() },
        Unmet::Refuses { saw, hint } => return Trouble { saw, hint },
        Unmet::NoTls(why) => {
            return of(
                format!("it opens, and speaks no TLS: {why}"),
                "remove `tls` from the check, or turn TLS on there",
            );
        }
        Unmet::Silent(heard) => (heard, format!("it opens, and says nothing within {} s", ANSWER.as_secs())),
        Unmet::HungUp(heard) => (heard, "it opens, and hangs up".to_string()),
        Unmet::Else(heard) => (heard, format!("it opens, and what answers is no {what}")),
    };
    let speaks = match looks_like(&heard) {
        None if !tls => asked_otherwise(door).await,
        known => known,
    };
    match speaks {
        Some("TLS") => of(
            format!("{how}: it wants TLS"),
            "write `tls: true` in the check, if clients speak TLS to it; or let it take connections in the clear",
        ),
        // It is who was looked for, after all.
        Some(same) if same == what => of(how, "its log tells why it hangs up, or answers so"),
        Some(other) => {
            of(format!("{how}: it speaks {other}"), "another program listens there: look at port and address")
        }
        None if heard.is_empty() => of(how, "something listens there and is no server, or hangs: its log tells more"),
        None => of(format!("{how}: `{}`", line(&heard)), "look at what listens there"),
    }
}

/// What a first word looks like.
fn looks_like(heard: &[u8]) -> Option<&'static str> {
    let begins = |word: &[u8]| heard.starts_with(word);
    Some(match heard {
        _ if begins(b"HTTP/") && wants_tls(&String::from_utf8_lossy(heard)) => "TLS",
        _ if begins(b"HTTP/") => "HTTP",
        // A record of TLS: an alert, or a handshake.
        [0x15 | 0x16, 3, ..] => "TLS",
        _ if begins(b"AMQP") || begins(&[1, 0, 0, 0]) => "AMQP",
        [_, _, 0, 0, 10 | 0xff, ..] => "MySQL",
        _ if begins(b"-ERR") || begins(b"+PONG") || begins(b"-NOAUTH") || begins(b"-DENIED") => "Redis",
        [b'S' | b'N'] => "PostgreSQL",
        [b'E', 0, 0, _, _, b'S', ..] => "PostgreSQL",
        _ if begins(b"SSH-") => "SSH",
        _ if begins(b"220 ") => "SMTP or FTP",
        _ => return None,
    })
}

/// What it says when it is spoken to in other words, and in TLS at last.
async fn asked_otherwise(door: &Door<'_>) -> Option<&'static str> {
    let hello = hello(&door.at.host);
    for words in WORDS.into_iter().chain([hello.as_slice()]) {
        if let Some(known) = looks_like(&said(door, words).await) {
            return Some(known);
        }
    }
    None
}

/// What it says to these words.
async fn said(door: &Door<'_>, words: &[u8]) -> Vec<u8> {
    let Ok(dialed) = door.side.dial(door.at).await else { return Vec::new() };
    let mut wire = Wire::new(dialed.stream);
    let talk = async {
        wire.say(words).await?;
        // A server that says more says it at once.
        wire.hear(1).await.map(drop)
    };
    let _ = timeout(WORD, talk).await;
    wire.heard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_words_tell_who_speaks() {
        let known: [(&[u8], Option<&str>); 11] = [
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", Some("HTTP")),
            (b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", Some("TLS")),
            (b"\x15\x03\x03\x00\x02\x02\x0a", Some("TLS")),
            (b"AMQP\x00\x00\x09\x01", Some("AMQP")),
            (b"\x5b\x00\x00\x00\x0a5.5.5-10.11.6-MariaDB\x00", Some("MySQL")),
            (b"-ERR wrong number of arguments for 'get' command\r\n", Some("Redis")),
            (b"S", Some("PostgreSQL")),
            (b"E\x00\x00\x00\x8bSFATAL\x00C0A000\x00Munsupported frontend protocol\x00", Some("PostgreSQL")),
            (b"SSH-2.0-OpenSSH_9.2", Some("SSH")),
            (b"hello", None),
            (b"", None),
        ];
        for (heard, speaks) in known {
            assert_eq!(looks_like(heard), speaks, "{heard:?}");
        }
    }
}
