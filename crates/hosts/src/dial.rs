//! Connections from a host's side: what a node reaches, and how long that takes, asked without anything on the node.
//!
//! Over SSH it is what OpenSSH calls a local forward (`direct-tcpip`, RFC 4254, 7.2): the host's daemon makes the TCP
//! connection, and our own code speaks over it.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::HostError;

/// What a node needs of its own network answers in milliseconds; a filtered port never does.
pub const CONNECTED: Duration = Duration::from_secs(5);

/// A connection that is open, from a host's side.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection that was made, and how long that took: without the way to the host, as far as that was open already.
pub struct Dialed {
    /// What is said and heard.
    pub stream: Box<dyn Stream>,
    /// From asking for it until it was open.
    pub took: Duration,
}

/// Why a host could not connect to a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The host itself could not be reached.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The host's SSH daemon connects to nothing for us.
    #[error("the SSH daemon of {0} passes no connections on")]
    Forbidden(NodeName),
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// No way leads there.
    #[error("no route to host")]
    NoRoute,
    /// Nobody answered for so many seconds.
    #[error("no answer within {0} s")]
    Late(u64),
    /// The host does not find the name.
    #[error("the name is not known there: {0}")]
    Name(String),
    /// Anything else, in the words of who tried.
    #[error("{0}")]
    Other(String),
}

impl DialError {
    /// Nobody answered for [`CONNECTED`].
    pub fn late() -> Self {
        Self::Late(CONNECTED.as_secs())
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Host(error) => return error.help().map(str::to_string),
            Self::Forbidden(host) => {
                format!("`AllowTcpForwarding local` (or `yes`) in sshd_config of {host}, and no `PermitOpen none`")
            }
            Self::Refused => "nothing listens at this port: start it, or let it listen at this address".into(),
            Self::NoRoute | Self::Late(_) => "look at routes and firewalls between the nodes and this address".into(),
            Self::Name(_) => "look at the name, and at the name servers of the nodes".into(),
            Self::Other(_) => return None,
        })
    }

    /// What an OpenSSH daemon said of why it could not connect: `strerror` or `gai_strerror` (`channels.c`,
    /// `channel_post_connecting` and `connect_to_helper`).
    pub(crate) fn said(words: &str) -> Self {
        let has = |part: &str| words.contains(part);
        match () {
            () if has("refused") => Self::Refused,
            () if has("No route") || has("unreachable") => Self::NoRoute,
            () if has("timed out") => Self::late(),
            () if has("not known") || has("name resolution") || has("No address") => Self::Name(words.into()),
            () if words.is_empty() => Self::Other("it could not be connected to, and nobody said why".into()),
            () => Self::Other(words.into()),
        }
    }
}

impl From<Error> for DialError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Self::NoRoute,
            ErrorKind::TimedOut => Self::late(),
            _ => Self::said(&error.to_string()),
        }
    }
}

/// A connection of this computer's own.
pub(crate) async fn from_here(at: &HostPort) -> Result<Dialed, DialError> {
    let began = Instant::now();
    let connect = timeout(CONNECTED, TcpStream::connect((at.host.as_str(), at.port)));
    let stream = connect.await.map_err(|_| DialError::late())??;
    // Greetings are small packets that are waited for.
    let _ = stream.set_nodelay(true);
    Ok(Dialed { stream: Box::new(stream), took: began.elapsed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_daemon_are_understood() {
        let said = [
            ("Connection refused", DialError::Refused),
            ("No route to host", DialError::NoRoute),
            ("Network is unreachable", DialError::NoRoute),
            ("Connection timed out", DialError::late()),
            ("Name or service not known", DialError::Name("Name or service not known".into())),
        ];
        for (words, error) in said {
            assert_eq!(DialError::said(words), error);
        }
        let told = DialError::said("Permission denied");
        assert_eq!((told.to_string().as_str(), told.help()), ("Permission denied", None));
        let help = DialError::Forbidden("one".into()).help().unwrap();
        assert!(help.contains("AllowTcpForwarding") && help.contains("one"), "{help}");
    }
}
