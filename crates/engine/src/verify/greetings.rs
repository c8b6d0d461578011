//! Services that greet, each in its own protocol.
//!
//! What is sent is the least that makes a server say who it is, before anybody logs in: nobody's password is needed,
//! and nothing is left behind but a line in its log. An open port is no proof: something else may listen there.

mod amqp;
pub(super) mod http;
mod mysql;
mod postgresql;
mod redis;
#[cfg(test)]
mod tests;
pub(super) mod wire;

use std::time::Duration;

use kubewright_hosts::DialError;
use kubewright_model::net::HostPort;
use kubewright_model::spec::verify::ServiceProtocol;
use tokio::time::{Instant, timeout};

use super::sides::Side;
use wire::{Cut, Wire};

/// A service that needs longer for a greeting is not healthy.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// A place, from the side of a node.
#[derive(Clone, Copy)]
pub(super) struct Door<'a> {
    pub(super) side: &'a Side<'a>,
    pub(super) at: &'a HostPort,
}

/// A service that greeted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Greeted {
    /// Who it is, with its version where it tells one: `RabbitMQ 3.13.7`.
    pub(super) who: String,
    /// What else it told.
    pub(super) more: Vec<String>,
    /// From opening the connection to the end of the greeting.
    pub(super) took: Duration,
}

impl Greeted {
    fn new(who: impl Into<String>) -> Self {
        Self { who: who.into(), ..Self::default() }
    }

    fn with(mut self, more: impl Into<String>) -> Self {
        self.more.push(more.into());
        self
    }

    /// One sentence, the same from every node.
    pub(super) fn words(&self) -> String {
        match self.more.is_empty() {
            true => self.who.clone(),
            false => format!("{} ({})", self.who, self.more.join(", ")),
        }
    }
}

/// Why there was no greeting.
#[derive(Debug)]
pub(super) enum Unmet {
    /// No connection.
    Closed(DialError),
    /// It opens, and what was heard within [`ANSWER`] is no greeting, or nothing.
    Silent(Vec<u8>),
    /// It opens, says this much, and hangs up.
    HungUp(Vec<u8>),
    /// What it says is in no such protocol.
    Else(Vec<u8>),
    /// It speaks no TLS.
    NoTls(String),
    /// It is who was looked for, and does not let this node in, or cannot.
    Refuses {
        /// What it said.
        saw: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl Unmet {
    fn refuses(saw: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refuses { saw: saw.into(), hint: Some(hint.into()).filter(|hint| !hint.is_empty()) }
    }
}

/// How a conversation ended that came to nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// What is heard is not what the protocol has.
    Strange,
    /// The wire.
    Cut(Cut),
    /// Another reason.
    Unmet(Unmet),
}

impl From<Cut> for Failed {
    fn from(cut: Cut) -> Self {
        Self::Cut(cut)
    }
}

impl From<Unmet> for Failed {
    fn from(unmet: Unmet) -> Self {
        Self::Unmet(unmet)
    }
}

/// Greets a service.
pub(super) async fn greet(door: &Door<'_>, protocol: ServiceProtocol, tls: bool) -> Result<Greeted, Unmet> {
    let dialed = door.side.dial(door.at).await.map_err(Unmet::Closed)?;
    let before = dialed.took;
    let began = Instant::now();
    let mut wire = Wire::new(dialed.stream);
    let talk = timeout(ANSWER, talk(&mut wire, door, protocol, tls)).await;
    let took = before + began.elapsed();
    match talk {
        Ok(Ok(greeted)) => {
            let greeted = match wire.tls_version() {
                Some(version) => greeted.with(format!("{version}, whatever its certificate")),
                None => greeted,
            };
            Ok(Greeted { took, ..greeted })
        }
        Err(_) => Err(Unmet::Silent(wire.heard)),
        Ok(Err(Failed::Unmet(unmet))) => Err(unmet),
        Ok(Err(Failed::Strange)) => Err(Unmet::Else(wire.heard)),
        Ok(Err(Failed::Cut(Cut::Tls(why)))) => Err(Unmet::NoTls(why)),
        Ok(Err(Failed::Cut(Cut::End))) => Err(Unmet::HungUp(wire.heard)),
    }
}

async fn talk(wire: &mut Wire, door: &Door<'_>, protocol: ServiceProtocol, tls: bool) -> Result<Greeted, Failed> {
    // These two begin in the clear and are asked for TLS in their own words.
    let asks = matches!(protocol, ServiceProtocol::Postgresql | ServiceProtocol::Mysql);
    if tls && !asks {
        wire.start_tls(&door.at.host).await?;
    }
    match protocol {
        ServiceProtocol::Tcp => Ok(Greeted::new(if tls { "it speaks TLS" } else { "it opens" })),
        ServiceProtocol::Postgresql => postgresql::greet(wire, door, tls).await,
        ServiceProtocol::Mysql => mysql::greet(wire, door, tls).await,
        ServiceProtocol::Redis => redis::greet(wire).await,
        ServiceProtocol::Amqp => amqp::greet(wire).await,
        ServiceProtocol::Http => http::greet(wire, door.at).await,
        ServiceProtocol::S3 => http::greet_s3(wire, door.at).await,
    }
}

/// Text of others on one line, and not too much of it.
pub(super) fn line(bytes: &[u8]) -> String {
    const MOST: usize = 160;
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
