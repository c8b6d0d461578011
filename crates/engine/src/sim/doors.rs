//! What answers on a port of the pretend world: SSH daemons, ingresses of nodes, and the services that a spec looks for,
//! each in the first words of its own protocol. Whoever speaks another protocol to them gets no answer.

use std::collections::BTreeMap;
use std::time::Duration;

use kubewright_hosts::{CONNECTED, DialError, Dialed};
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Desired, Way};
use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use kubewright_model::spec::verify::ServiceProtocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::hosts::Ssh;
use super::state::State;

/// On a network of one's own, there and back.
const WAY: Duration = Duration::from_millis(2);
/// Where SSH daemons listen.
const SSH: u16 = 22;
/// Nothing of what is said here is longer.
const WIRE: usize = 4096;

/// Who speaks at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// An SSH daemon.
    Ssh,
    /// Who answers HTTP with this status.
    Http(u16),
    /// A service in its own protocol.
    Service(ServiceProtocol),
}

/// What a spec takes for granted to listen somewhere: back-end services, and what is behind URLs on nodes.
pub(super) fn doors(desired: &Desired) -> BTreeMap<String, Speaks> {
    let mut doors = BTreeMap::new();
    for check in &desired.checks {
        match &check.condition {
            Condition::Service { at, protocol, .. } => {
                doors.insert(at.to_string(), Speaks::Service(*protocol));
            }
            Condition::EachNode { url, nodes } => {
                let status = url.status.first().copied().unwrap_or(200);
                let port = port(&url.url);
                let addresses = nodes.iter().filter_map(|node| desired.machine(node)?.address);
                let at = addresses.map(|address| HostPort::new(address.to_string(), port).to_string());
                doors.extend(at.map(|at| (at, Speaks::Http(status))));
            }
            _ => {}
        }
    }
    doors
}

/// The port of a URL whose host is not known yet.
fn port(url: &str) -> u16 {
    let usual = if url.starts_with("https:") { 443 } else { 80 };
    let authority = url.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(usual)
}

impl Ssh {
    /// Who opens at a place, from the side of a host that answers.
    pub(super) async fn knock(&self, host: &NodeName, way: &Way, at: &HostPort) -> Result<Dialed, DialError> {
        self.centre.lock().count("host dial");
        self.contact(host, way)?;
        let now = self.centre.now();
        let who = self.centre.at_present().opens(at, now);
        let patience = if matches!(who, Err(DialError::Late(_))) { CONNECTED } else { WAY };
        tokio::time::sleep(patience).await;
        let speaks = who?;
        let (ours, theirs) = tokio::io::duplex(WIRE);
        // It ends with its connection.
        tokio::spawn(speak(theirs, speaks));
        Ok(Dialed { stream: Box::new(ours), took: WAY })
    }
}

impl State {
    fn opens(&self, at: &HostPort, now: u64) -> Result<Speaks, DialError> {
        let door = self.doors.get(&at.to_string()).copied();
        let Some(name) = at.address().and_then(|address| self.at(address)).cloned() else {
            // What is behind URLs on nodes is on nodes, and nowhere else.
            return door.filter(|door| matches!(door, Speaks::Service(_))).ok_or(DialError::NoRoute);
        };
        self.machine(&name).filter(|machine| machine.answers(now)).ok_or_else(DialError::late)?;
        if at.port == SSH {
            return Ok(Speaks::Ssh);
        }
        match door {
            Some(door @ Speaks::Service(_)) => Ok(door),
            Some(door) if self.ready(&name, now).is_ok() => Ok(door),
            None if self.balanced_to(&name, at.port, now) => Ok(Speaks::Http(200)),
            _ => Err(DialError::Refused),
        }
    }

    /// What load balancers send to, a node that is Ready has.
    fn balanced_to(&self, name: &NodeName, port: u16, now: u64) -> bool {
        self.balanced.contains(&port) && self.ready(name, now).is_ok()
    }
}

/// Speaks as the real one would, up to where it wants to know who is there.
async fn speak(mut stream: DuplexStream, speaks: Speaks) {
    let mut heard = vec![0; WIRE];
    let first = match speaks {
        Speaks::Ssh => b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec(),
        Speaks::Service(ServiceProtocol::Mysql) => handshake(),
        _ => Vec::new(),
    };
    if stream.write_all(&first).await.is_err() {
        return;
    }
    while let Ok(length @ 1..) = stream.read(&mut heard).await {
        let words = heard.get(..length).unwrap_or_default();
        let Some(answer) = answer(speaks, words) else { return };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
        if matches!(speaks, Speaks::Http(_) | Speaks::Service(ServiceProtocol::Http | ServiceProtocol::S3)) {
            return;
        }
    }
}

/// What is answered to these words; nothing to those of another protocol.
fn answer(speaks: Speaks, words: &[u8]) -> Option<Vec<u8>> {
    let http = |status: u16, more: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status} simulated\r\nContent-Length: {length}\r\n{more}\r\n{body}").into_bytes()
    };
    let get = words.starts_with(b"GET ");
    match speaks {
        Speaks::Http(status) => get.then(|| http(status, "", "")),
        Speaks::Service(ServiceProtocol::Http) => get.then(|| http(200, "", "")),
        Speaks::Service(ServiceProtocol::S3) => {
            get.then(|| http(403, "x-amz-request-id: 1\r\n", "<Error><Code>AccessDenied</Code></Error>"))
        }
        Speaks::Service(ServiceProtocol::Postgresql) => match words {
            // No TLS; and then it wants a password, by SCRAM.
            [0, 0, 0, 8, ..] => Some(b"N".to_vec()),
            [0, _, _, _, 0, 3, 0, 0, ..] => Some(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0".to_vec()),
            _ => None,
        },
        Speaks::Service(ServiceProtocol::Redis) => {
            words.starts_with(b"PING").then(|| b"-NOAUTH Authentication required.\r\n".to_vec())
        }
        Speaks::Service(ServiceProtocol::Amqp) => words.starts_with(b"AMQP").then(start),
        Speaks::Service(ServiceProtocol::Tcp | ServiceProtocol::Mysql) | Speaks::Ssh => None,
    }
}

/// Connection.Start without properties.
fn start() -> Vec<u8> {
    let method = b"\0\x0a\0\x0a\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US";
    let length = u32::try_from(method.len()).unwrap_or_default();
    [&[1, 0, 0][..], &length.to_be_bytes(), method, &[0xCE]].concat()
}

/// A handshake of version 10, without the parts that nobody looks at before logging in.
fn handshake() -> Vec<u8> {
    let packet = b"\x0a8.4.0\0\x01\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0";
    let length = u8::try_from(packet.len()).unwrap_or_default();
    [&[length, 0, 0, 0], &packet[..]].concat()
}
