//! Getting into a host: programs that a person runs there, what its journal says, and how the system's `ssh` comes in.

use std::sync::Arc;
use std::time::Duration;

use kubewright_model::desired::{THIS_COMPUTER, Way};
use kubewright_model::ids::NodeName;
use kubewright_model::units::Span;

use crate::connections::unreachable;
use crate::real::RealHosts;
use crate::shell::{PATH, quote};
use crate::ssh::command;
use crate::transport::{Refusal, elevated};
use crate::{HostError, Layer};

/// The log of the kernel, in the place of a unit.
pub const KERNEL: &str = "kernel";

/// A program that is run on a host for somebody.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program and its arguments; a single word is a line for the shell.
    pub words: Vec<String>,
    /// As root.
    pub sudo: bool,
    /// What it reads from its standard input.
    pub input: Arc<[u8]>,
    /// How long it may take.
    pub deadline: Option<Duration>,
}

impl Program {
    /// What a shell is told.
    fn line(&self) -> String {
        match self.words.as_slice() {
            [only] => format!("sh -c {}", quote(only)),
            words => words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "),
        }
    }
}

/// What is wanted of a host's logs.
#[derive(Clone, Debug)]
pub struct Logs {
    /// Units of systemd, services of Talos, or [`KERNEL`].
    pub units: Vec<String>,
    /// So many lines from the end.
    pub lines: u16,
    /// Not older than this.
    pub since: Option<Span>,
    /// And what comes from now on.
    pub follow: bool,
}

impl Logs {
    /// `journalctl` with what is wanted. <https://www.freedesktop.org/software/systemd/man/latest/journalctl.html>
    fn program(&self) -> Program {
        let mut words: Vec<String> = ["journalctl", "--no-pager", "--output=short-iso"].map(String::from).to_vec();
        words.push(format!("--lines={}", self.lines));
        words.extend(self.since.map(|since| format!("--since=-{}s", since.duration().as_secs())));
        words.extend(self.follow.then(|| "--follow".into()));
        words.extend(self.units.iter().map(|unit| match unit.as_str() {
            KERNEL => "--dmesg".to_string(),
            unit => format!("--unit={unit}"),
        }));
        Program { words, sudo: true, input: Arc::from([]), deadline: None }
    }
}

/// A part of what a program says.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// On its standard output.
    Out(&'a [u8]),
    /// On its standard error.
    Err(&'a [u8]),
}

/// Hears what a program says, as it says it.
pub type Hears<'a> = &'a (dyn Fn(Piece<'_>) + Send + Sync);

/// How a person comes into a host by a program of this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayIn {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// What should be known before.
    pub told: Vec<String>,
}

impl RealHosts {
    /// See [`Hosts::exec`](crate::Hosts::exec).
    pub(crate) async fn program(
        &self,
        host: &NodeName,
        way: &Way,
        program: &Program,
        hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        let transport = self.connections.to(host, way).await?;
        let refused = |refusal| unreachable(host, refusal);
        let password = match &way.sudo {
            Some(hole) if program.sudo && !transport.is_root() => {
                let denied = |why| refused(Refusal::new(Layer::Sudo, why));
                Some(self.passwords.sudo(hole).await.map_err(denied)?)
            }
            _ => None,
        };
        let sudo = program.sudo && !transport.is_root();
        // What scripts of ours find, programs for people find too: sudo has a path of its own, in some places a short one.
        let line = if sudo { format!("env {PATH} {}", program.line()) } else { program.line() };
        let (command, first) = elevated(&line, sudo, password.as_ref()).map_err(refused)?;
        let input = [first.as_bytes(), &program.input].concat();
        let mut hear = |said: Piece<'_>| {
            hears(said);
            true
        };
        let mut source = input.as_slice();
        let runs = transport.converse(&command, &mut source, &mut hear);
        let what = program.words.first().cloned().unwrap_or_default();
        let failed = |why: String| HostError::Failed { host: host.clone(), what, why, log: Vec::new() };
        let ended = match program.deadline {
            None => runs.await,
            Some(deadline) => match tokio::time::timeout(deadline, runs).await {
                Ok(ended) => ended,
                Err(_) => {
                    self.connections.drop(host).await;
                    return Err(failed(format!("no end within {} s; it may go on there", deadline.as_secs())));
                }
            },
        };
        match ended {
            Ok(status) => Ok(status),
            Err(refusal) if refusal.layer == Layer::Command => Err(failed(refusal.why)),
            Err(refusal) => {
                self.connections.drop(host).await;
                Err(refused(refusal))
            }
        }
    }

    /// See [`Hosts::logs`](crate::Hosts::logs).
    pub(crate) async fn journal(
        &self,
        host: &NodeName,
        way: &Way,
        logs: &Logs,
        hears: Hears<'_>,
    ) -> Result<(), HostError> {
        match self.program(host, way, &logs.program(), hears).await? {
            Some(0) => Ok(()),
            status => {
                let why = status.map_or("it was cut off".to_string(), |status| format!("it ended with {status}"));
                Err(HostError::Failed { host: host.clone(), what: "journalctl".into(), why, log: Vec::new() })
            }
        }
    }

    /// See [`Hosts::way_in`](crate::Hosts::way_in).
    pub(crate) async fn by_ssh(&self, host: &NodeName, way: &Way) -> Result<WayIn, HostError> {
        if way.name.as_deref() == Some(THIS_COMPUTER) {
            let shell = std::env::var("SHELL").unwrap_or_else(|_| "sh".into());
            return Ok(WayIn { words: vec![shell], told: Vec::new() });
        }
        self.connections.command(host, way).await
    }
}

impl crate::connections::Connections {
    /// `ssh` with the target, the keys and the known hosts that our own connections have. A connection of ours is made
    /// first: it learns the host's key, and at which port it is.
    async fn command(&self, host: &NodeName, way: &Way) -> Result<WayIn, HostError> {
        let refused = |why: String| unreachable(host, Refusal::new(Layer::Name, why));
        let open = self.open_or_before(way).await.map_err(|refusal| unreachable(host, refusal))?;
        let mut target = self.home.target(way).map_err(refused)?;
        if let Some(before) = way.port_before.filter(|_| target.jump.is_none()) {
            // The connection of ours may have found the daemon where it was before it is set up.
            let there = tokio::net::TcpStream::connect((target.host.as_str(), target.port)).await;
            target.port = if there.is_ok() { target.port } else { before };
        }
        let known = self.home.known_hosts(&self.known_hosts, Arc::clone(&self.tell));
        let mut told = Vec::new();
        if open.by_password() {
            told.push(
                "no key of ours is on it yet, so ssh asks for the password; `kubewright apply` puts one there".into(),
            );
        }
        Ok(WayIn { words: command::words(&target, &known, &mut told), told })
    }
}
