//! A connection to a host over SSH.
//!
//! Each layer on the way has a deadline of its own and an error of its own, so that people read where it failed: the
//! name, the TCP connection, the banner, the host's key, the user's keys.

pub(crate) mod command;
pub(crate) mod first;
mod keys;
mod known;
pub(crate) mod sftp;
pub(crate) mod target;
#[cfg(test)]
mod tests;
pub(crate) mod trust;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use kubewright_model::net::HostPort;
use russh::client::{self, Handle};
use russh::keys::Algorithm;
use russh::{ChannelMsg, ChannelOpenFailure, Preferred};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::Mutex as Turn;
use tokio::time::{Instant, timeout};

use crate::Layer;
use crate::dial::{CONNECTED, DialError, Dialed, Stream};
use crate::enter::Piece;
use crate::passwords::Passwords;
use crate::transport::{Hear, Input, MOST_OUTPUT, Output, PIECE, Refusal, Transport, Unmet};
use target::Target;
use trust::{Judge, KnownHosts, Said, Verdict};

/// A host on the same continent answers a TCP connection within a second; a filtered port never does.
const TCP: Duration = Duration::from_secs(10);
/// From the banner to the keys. A host that looks its clients up in a DNS that does not answer takes ten seconds.
const GREETING: Duration = Duration::from_secs(30);
/// A connection on which nothing is heard for so long is asked whether it lives, and is dead when it does not say so
/// three times.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The words on why a channel is not opened come right behind the refusal itself.
const WORDS: Duration = Duration::from_millis(5);
const WORDS_TRIES: usize = 20;

/// A connection that is open.
pub(crate) struct Session {
    handle: Handle<Judge>,
    root: bool,
    by_password: bool,
    /// What the host said of the last channel that it did not open.
    said: Said,
    /// Connections from the host's side are made one after the other, so that each hears its own words.
    turn: Turn<()>,
    /// The connection that this one goes through.
    _through: Option<Box<Session>>,
}

impl Session {
    /// Connects and logs in.
    pub(crate) fn open<'a>(
        target: &'a Target,
        known: &'a KnownHosts,
        passwords: &'a Passwords,
    ) -> BoxFuture<'a, Result<Self, Refusal>> {
        Box::pin(async move {
            let (stream, through): (Box<dyn Stream>, _) = match &target.jump {
                None => (Box::new(dial(target).await?), None),
                Some(jump) => {
                    let through = Session::open(jump, known, passwords).await.map_err(|refusal| {
                        Refusal::new(refusal.layer, format!("jump host {}: {}", jump.host, refusal.why))
                    })?;
                    (Box::new(through.tunnel(target).await?), Some(Box::new(through)))
                }
            };
            let said = Said::default();
            let mut handle = greet(target, known, stream, said.clone()).await?;
            let by_password = keys::let_in(&mut handle, target, passwords, &known.tell).await?;
            let root = target.user == "root";
            Ok(Self { handle, root, by_password, said, turn: Turn::new(()), _through: through })
        })
    }

    /// A stream to a subsystem of the host's SSH daemon.
    async fn subsystem(&self, name: &str) -> Result<impl Stream + use<>, Refusal> {
        let refused = || Refusal::new(Layer::Command, format!("the host has no {name}"));
        let cut = |error: russh::Error| Refusal::new(Layer::Tcp, format!("the connection was cut: {error}"));
        let opened = async {
            let mut channel = self.handle.channel_open_session().await.map_err(cut)?;
            channel.request_subsystem(true, name).await.map_err(cut)?;
            loop {
                match channel.wait().await {
                    Some(ChannelMsg::Success) => return Ok(channel.into_stream()),
                    Some(ChannelMsg::Failure) | None => return Err(refused()),
                    // How much may be sent at once.
                    Some(_) => {}
                }
            }
        };
        timeout(GREETING, opened).await.map_err(|_| late(Layer::Command, GREETING))?
    }

    /// A stream through this connection to another host.
    async fn tunnel(&self, to: &Target) -> Result<impl Stream + use<>, Refusal> {
        let open = self.handle.channel_open_direct_tcpip(to.host.as_str(), to.port.into(), "127.0.0.1", 0);
        let channel = timeout(TCP, open).await.map_err(|_| late(Layer::Tcp, TCP))?;
        let channel = channel.map_err(|error| Refusal::new(Layer::Tcp, format!("through the jump host: {error}")))?;
        Ok(channel.into_stream())
    }
}

fn late(layer: Layer, after: Duration) -> Refusal {
    Refusal::new(layer, format!("no answer within {} s", after.as_secs()))
}

/// Looks the name up and connects to the first of its addresses that answers.
async fn dial(target: &Target) -> Result<TcpStream, Refusal> {
    let looked_up = timeout(TCP, tokio::net::lookup_host((target.host.as_str(), target.port))).await;
    let addresses: Vec<SocketAddr> = looked_up
        .map_err(|_| late(Layer::Name, TCP))?
        .map_err(|error| Refusal::new(Layer::Name, format!("{}: {error}", target.host)))?
        .collect();
    let mut last = Refusal::new(Layer::Name, format!("{} has no address", target.host));
    for address in addresses {
        match timeout(TCP, TcpStream::connect(address)).await {
            Err(_) => last = Refusal::new(Layer::Tcp, format!("{address}: no answer within {} s", TCP.as_secs())),
            Ok(Err(error)) => last = Refusal::new(Layer::Tcp, format!("{address}: {error}")),
            Ok(Ok(stream)) => {
                // Scripts are small packets that are waited for.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
        }
    }
    Err(last)
}

/// The library's preferences, with the kinds of host keys that are known before all others.
fn preferred(known: &[Algorithm]) -> Preferred {
    let mut preferred = Preferred::default();
    let (mut first, rest): (Vec<Algorithm>, Vec<Algorithm>) =
        preferred.key.iter().cloned().partition(|algorithm| known.iter().any(|known| same_kind(known, algorithm)));
    first.extend(rest);
    preferred.key = first.into();
    preferred
}

/// An RSA key is one key, whichever hash it signs with.
fn same_kind(known: &Algorithm, offered: &Algorithm) -> bool {
    known == offered || (known.clone().is_rsa() && offered.clone().is_rsa())
}

/// Banner, key exchange, and the host's key.
async fn greet(
    target: &Target,
    known: &KnownHosts,
    stream: Box<dyn Stream>,
    said: Said,
) -> Result<Handle<Judge>, Refusal> {
    let kinds = match &target.pin {
        Some(pin) => pin.algorithm().into_iter().collect(),
        None => known.algorithms(&target.host, target.port),
    };
    let config = client::Config {
        preferred: preferred(&kinds),
        keepalive_interval: Some(KEEP_ALIVE),
        keepalive_max: 3,
        nodelay: true,
        ..client::Config::default()
    };
    let verdict = Arc::new(Mutex::new(None));
    let judge = Judge {
        pin: target.pin.clone(),
        known: known.clone(),
        host: target.host.clone(),
        port: target.port,
        verdict: Arc::clone(&verdict),
        said,
    };
    let greeting = timeout(GREETING, client::connect_stream(Arc::new(config), stream, judge)).await;
    let judged = verdict.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (greeting, judged) {
        (Ok(Ok(handle)), _) => Ok(handle),
        (_, Some(Verdict::Changed { shown, known, place, mend })) => Err(Refusal::new(
            Layer::HostKey,
            format!(
                "it shows {shown}, and {known} is known ({place}); is it another host, or was it made anew? Only if it was, {mend}"
            ),
        )),
        (_, Some(Verdict::Revoked { shown, place })) => Err(Refusal::new(
            Layer::HostKey,
            format!("it shows {shown}, which was revoked ({place}): whoever has that key is not to be trusted"),
        )),
        (_, Some(Verdict::Unkept { why })) => Err(Refusal::new(Layer::HostKey, why)),
        (Err(_), _) => Err(late(Layer::Banner, GREETING)),
        (Ok(Err(error)), _) => Err(Refusal::new(Layer::Banner, format!("no SSH server answers: {error}"))),
    }
}

#[async_trait]
impl Transport for Session {
    async fn exec(&self, command: &str, input: Input<'_>, deadline: Duration) -> Result<Output, Refusal> {
        let answered = timeout(deadline, self.exchange(command, input)).await;
        answered.map_err(|_| late(Layer::Command, deadline))?
    }

    async fn converse(&self, command: &str, input: Input<'_>, hear: Hear<'_>) -> Result<Option<u32>, Refusal> {
        let cut = |error: russh::Error| Refusal::new(Layer::Tcp, format!("the connection was cut: {error}"));
        let channel = self.handle.channel_open_session().await.map_err(cut)?;
        channel.exec(true, command).await.map_err(cut)?;
        let (mut heard, said) = channel.split();
        let write = async {
            // A command that ends early does not read the rest; how it ended says more than that.
            let mut piece = vec![0; PIECE];
            while let Ok(read @ 1..) = input.read(&mut piece).await
                && let Some(read) = piece.get(..read)
                && said.data_bytes(read.to_vec()).await.is_ok()
            {}
            let _ = said.eof().await;
        };
        let read = async {
            let mut status = None;
            while let Some(message) = heard.wait().await {
                let wanted = match message {
                    ChannelMsg::Data { data } => hear(Piece::Out(&data)),
                    ChannelMsg::ExtendedData { data, ext: 1 } => hear(Piece::Err(&data)),
                    ChannelMsg::ExitStatus { exit_status } => {
                        status = Some(exit_status);
                        true
                    }
                    // A shell that a signal ended counts 128 to it, as shells do among themselves.
                    ChannelMsg::ExitSignal { .. } => {
                        status = Some(128);
                        true
                    }
                    ChannelMsg::Failure => {
                        return Err(Refusal::new(Layer::Command, "the host refuses to run commands"));
                    }
                    _ => true,
                };
                if !wanted {
                    return Err(Refusal::flood());
                }
            }
            Ok(status)
        };
        tokio::pin!(read);
        // What is written to a connection that is gone may wait for ever, so the answer's end ends both.
        tokio::select! {
            status = &mut read => status,
            () = write => read.await,
        }
    }

    async fn dial(&self, at: &HostPort) -> Result<Dialed, Unmet> {
        let _turn = self.turn.lock().await;
        let began = Instant::now();
        self.said.forget();
        let open = self.handle.channel_open_direct_tcpip(at.host.as_str(), at.port.into(), "127.0.0.1", 0);
        match timeout(CONNECTED, open).await {
            Ok(Ok(channel)) => Ok(Dialed { stream: Box::new(channel.into_stream()), took: began.elapsed() }),
            Err(_) => Err(Unmet::Tried(DialError::late())),
            Ok(Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited))) => {
                Err(Unmet::Forbidden)
            }
            Ok(Err(russh::Error::ChannelOpenFailure(_))) => Err(Unmet::Tried(DialError::said(&self.words().await))),
            Ok(Err(error)) => Err(Unmet::Gone(Refusal::new(Layer::Tcp, format!("the connection was cut: {error}")))),
        }
    }

    fn is_root(&self) -> bool {
        self.root
    }

    fn by_password(&self) -> bool {
        self.by_password
    }

    fn is_open(&self) -> bool {
        !self.handle.is_closed()
    }
}

impl Session {
    /// What the host said of the channel that it has just refused; nothing when it said nothing.
    async fn words(&self) -> String {
        for _ in 0..WORDS_TRIES {
            if let Some(words) = self.said.last() {
                return words;
            }
            tokio::time::sleep(WORDS).await;
        }
        String::new()
    }

    async fn exchange(&self, command: &str, input: Input<'_>) -> Result<Output, Refusal> {
        let mut output = Output::default();
        let mut hear = |piece: Piece<'_>| {
            match piece {
                Piece::Out(data) => output.stdout.extend_from_slice(data),
                Piece::Err(data) => output.stderr.extend_from_slice(data),
            }
            output.stdout.len() + output.stderr.len() <= MOST_OUTPUT
        };
        let status = self.converse(command, input, &mut hear).await?;
        Ok(Output { status, ..output })
    }
}
