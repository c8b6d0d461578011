//! Services that greet, each in its own protocol.
//!
//! What is sent is the least that makes a server say who it is, before anybody logs in.

use std::time::Duration;

use kubewright_model::net::HostPort;
use kubewright_model::spec::verify::ServiceProtocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Answer, fails};

/// A service that needs longer for a greeting is not healthy.
const ANSWER: Duration = Duration::from_secs(10);

/// The namespace and the name of a Service of the cluster.
pub(super) fn inside(at: &HostPort) -> Option<(&str, &str)> {
    let (name, rest) = at.host.split_once('.')?;
    let (namespace, domain) = rest.split_once(".svc")?;
    (domain.is_empty() || domain.starts_with('.')).then_some((namespace, name))
}

/// Whether a port opens.
pub(super) async fn opens(at: &HostPort) -> Result<TcpStream, String> {
    match timeout(ANSWER, TcpStream::connect((at.host.as_str(), at.port))).await {
        Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(stream)) => Ok(stream),
    }
}

/// Whether a service greets.
pub(super) async fn greets(at: &HostPort, protocol: ServiceProtocol) -> Answer {
    let mut stream = match opens(at).await {
        Ok(stream) => stream,
        Err(why) => return fails(format!("{at}: {why}"), "look at the service on that host"),
    };
    if protocol == ServiceProtocol::Tcp {
        return Ok(format!("{at} opens"));
    }
    match timeout(ANSWER, exchange(&mut stream, protocol, at)).await {
        Err(_) => fails(format!("{at} opens, and says nothing"), "something else may listen there"),
        Ok(Err(error)) => fails(format!("{at} opens, and hangs up: {error}"), "its log tells why"),
        Ok(Ok(heard)) => match greeting(protocol, &heard) {
            true => Ok(format!("{at} greets")),
            false => fails(format!("{at} opens, and what answers is something else"), "look at what listens there"),
        },
    }
}

async fn exchange(stream: &mut TcpStream, protocol: ServiceProtocol, at: &HostPort) -> std::io::Result<Vec<u8>> {
    if let Some(words) = words(protocol, at) {
        stream.write_all(&words).await?;
    }
    let mut heard = vec![0; 512];
    let mut length = 0;
    // The shortest greeting that tells anything has one byte (PostgreSQL), the longest needs its first line.
    while length < heard.len() {
        let read = stream.read(heard.get_mut(length..).unwrap_or_default()).await?;
        length += read;
        let enough = protocol == ServiceProtocol::Postgresql || length >= 8;
        if read == 0 || enough {
            break;
        }
    }
    heard.truncate(length);
    Ok(heard)
}

/// What is said first; a MySQL server speaks before its client.
fn words(protocol: ServiceProtocol, at: &HostPort) -> Option<Vec<u8>> {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").into_bytes();
    match protocol {
        ServiceProtocol::Tcp | ServiceProtocol::Mysql => None,
        // SSLRequest: a length of 8 and the code 80877103. The answer is one letter.
        // <https://www.postgresql.org/docs/current/protocol-message-formats.html>
        ServiceProtocol::Postgresql => Some(vec![0, 0, 0, 8, 4, 210, 22, 47]),
        ServiceProtocol::Redis => Some(b"PING\r\n".to_vec()),
        // The protocol header of AMQP 0-9-1.
        ServiceProtocol::Amqp => Some(b"AMQP\x00\x00\x09\x01".to_vec()),
        ServiceProtocol::Http => Some(get("/")),
        ServiceProtocol::S3 => Some(get("/minio/health/live")),
    }
}

/// Whether what was heard is a greeting in this protocol. One that wants a password has greeted.
fn greeting(protocol: ServiceProtocol, heard: &[u8]) -> bool {
    match protocol {
        ServiceProtocol::Tcp => true,
        ServiceProtocol::Postgresql => matches!(heard.first(), Some(b'S' | b'N')),
        // A packet's header of four bytes, then version 10 of the protocol, or an error.
        ServiceProtocol::Mysql => matches!(heard.get(4), Some(10 | 0xff)),
        ServiceProtocol::Redis => heard.starts_with(b"+PONG") || heard.starts_with(b"-NOAUTH"),
        // A frame of a method on channel 0, or a server that speaks another version of AMQP.
        ServiceProtocol::Amqp => heard.starts_with(&[1, 0, 0]) || heard.starts_with(b"AMQP"),
        ServiceProtocol::Http => heard.starts_with(b"HTTP/"),
        ServiceProtocol::S3 => heard.starts_with(b"HTTP/") && heard.windows(5).any(|window| window == b" 200 "),
    }
}

#[cfg(test)]
mod tests;
