//! What can be wrong when a node is asked, told apart by what is to be done about it.

use std::error::Error;
use std::fmt;

use rustls::{AlertDescription, CertificateError};
use tonic::Code;

/// How far we came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TalosLayer {
    /// The name could not be looked up.
    Name,
    /// No TCP connection.
    Tcp,
    /// No TLS, or a certificate that is not for the address or the time.
    Tls,
    /// The connection ended, or nothing came any more.
    Connection,
}

impl fmt::Display for TalosLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name lookup",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Connection => "connection",
        })
    }
}

/// Why a call of Talos' API came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TalosError {
    /// The node could not be reached, or was lost. It may pass.
    #[error("the Talos API cannot be reached ({layer}): {why}")]
    Unreachable {
        /// How far we came.
        layer: TalosLayer,
        /// What was seen.
        why: String,
    },
    /// The node runs, with another cluster's secrets than ours.
    #[error(
        "the node belongs to another cluster ({why}): reset it with that cluster's own talosconfig, or take over that \
         cluster's secrets"
    )]
    OtherCluster {
        /// What was seen.
        why: String,
    },
    /// It was asked as a node in maintenance mode, and wants to know who asks: it has a configuration.
    #[error("the node is not in maintenance mode: it wants a client's certificate of its cluster")]
    NotInMaintenance,
    /// It was asked as a member of the cluster, and is in maintenance mode: it has no configuration.
    #[error("the node is in maintenance mode: it has no configuration yet")]
    InMaintenance,
    /// The node answered that it does not do it.
    #[error("the node refuses{}: {message}{}", code_words(*code), help_words(*help))]
    Refused {
        /// The kind of refusal, as gRPC has it.
        code: Code,
        /// In the node's own words.
        message: String,
        /// What it means, and what to do.
        help: Option<&'static str>,
    },
    /// The node is on its way, and cannot tell yet what it is.
    #[error("{why}")]
    NotYet {
        /// How far it is.
        why: String,
    },
    /// The node answered what its version should not answer.
    #[error("the node's answer is not understood: {why}")]
    NotUnderstood {
        /// What is wrong with it.
        why: String,
    },
    /// What is ours was not as it should be: a certificate, an address, a file.
    #[error("{why}")]
    Ours {
        /// What it is.
        why: String,
    },
}

fn code_words(code: Code) -> String {
    // Talos gives most of its errors no code of their own.
    if code == Code::Unknown { String::new() } else { format!(" ({})", code.description()) }
}

fn help_words(help: Option<&'static str>) -> String {
    help.map(|help| format!(" ({help})")).unwrap_or_default()
}

impl TalosError {
    /// It may be otherwise in a while, when nobody does anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NotYet { .. } => true,
            Self::Refused { code: Code::Unavailable | Code::DeadlineExceeded | Code::Aborted, .. } => true,
            Self::Refused { code, message, .. } => {
                let found = HELP.iter().find(|known| known.is(*code, message));
                found.is_some_and(|known| known.passes)
            }
            _ => false,
        }
    }

    /// The kind of refusal; none for everything else.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// A refusal that is known: by its code, if it has a sure one, and by words of its text.
struct Known {
    code: Option<Code>,
    words: &'static str,
    help: &'static str,
    passes: bool,
}

impl Known {
    fn is(&self, code: Code, message: &str) -> bool {
        self.code.is_none_or(|known| known == code) && message.contains(self.words)
    }
}

const fn known(code: Option<Code>, words: &'static str, help: &'static str) -> Known {
    Known { code, words, help, passes: false }
}

const fn passing(code: Option<Code>, words: &'static str, help: &'static str) -> Known {
    Known { code, words, help, passes: true }
}

/// Words and codes are those of siderolabs/talos v1.9 to v1.14, `internal/app/machined/internal/server/v1alpha1`,
/// `internal/app/maintenance`, `pkg/machinery/config/configloader`. The first that fits is taken.
const HELP: &[Known] = &[
    known(
        None,
        "unknown keys found during decoding",
        "the node's version of Talos does not know these keys: it is older than what they are for, or they are misspelt",
    ),
    known(
        Some(Code::Unimplemented),
        "not implemented in maintenance mode",
        "a node in maintenance mode first wants a configuration",
    ),
    known(None, "not supported in maintenance mode", "a node in maintenance mode first wants a configuration"),
    known(None, "not supported in the maintenance mode", "a node in maintenance mode is reset as a whole"),
    known(Some(Code::Unimplemented), "only available on control plane nodes", "the node is a worker"),
    known(Some(Code::Unimplemented), "unknown method", "the node's version of Talos does not have this call"),
    known(Some(Code::Unimplemented), "unknown service", "the node's version of Talos does not have this call"),
    known(
        Some(Code::Unimplemented),
        " not implemented",
        "the node is in maintenance mode, or its version of Talos does not have this call",
    ),
    known(
        Some(Code::Unimplemented),
        "the REBOOT mode is not supported",
        "from Talos 1.14 on a configuration is applied without a restart, and the node is restarted by itself",
    ),
    known(Some(Code::AlreadyExists), "etcd data directory is not empty", "the cluster was begun on this node before"),
    passing(Some(Code::FailedPrecondition), "bootstrap is not available yet", "the node is still starting"),
    passing(Some(Code::FailedPrecondition), "time is not in sync yet", "the node reaches none of its time servers yet"),
    known(Some(Code::FailedPrecondition), "bootstrap can only be performed", "the node is a worker"),
    passing(Some(Code::FailedPrecondition), "etcd service is not ready for recovery yet", "the node is still starting"),
    passing(
        Some(Code::FailedPrecondition),
        "another apply configuration is already in progress",
        "somebody else is configuring the node",
    ),
    // v1.12 and v1.13 alone.
    passing(
        Some(Code::FailedPrecondition),
        "configuration was already applied and node is rebooting",
        "the node starts again with the configuration that it was given before",
    ),
    known(
        Some(Code::FailedPrecondition),
        "Talos is not installed",
        "the node runs from an ISO or the network, and nothing is on its disk",
    ),
    known(
        Some(Code::PermissionDenied),
        "not authorized",
        "the role of this client does not allow it, or the node is in maintenance mode, where only what is not secret can be read",
    ),
    known(Some(Code::PermissionDenied), "is not supported", "the node's version of Talos does not have this resource"),
    known(None, "disks matched", "none of the node's disks is what `machine.install` asks for"),
    known(
        None,
        "error validating installer image",
        "the installer's image cannot be had from the node, or is for another computer",
    ),
    passing(None, "failed to acquire upgrade mutex", "another node of this control plane is being upgraded"),
    known(
        None,
        "error validating etcd for upgrade",
        "etcd would lose its quorum: its other members have to be well first",
    ),
    passing(
        None,
        "failed to create etcd client",
        "etcd does not run on this node yet: the cluster is not begun, or the node is joining",
    ),
    passing(None, "etcdserver: ", "etcd is not well: it has no leader, or is changing its members"),
    passing(None, "context deadline exceeded", "etcd does not answer: the cluster is not begun, or has no quorum"),
];

/// What a node answered, as what it means. A difference of configurations that stands in it is left out: it holds secrets.
pub(super) fn refused(status: &tonic::Status) -> TalosError {
    if let Some(below) = status.source().and_then(tls_below) {
        return below;
    }
    let message = status.message().split("\ndiff:").next().unwrap_or_default().trim().to_string();
    let lost = lost(status);
    match status.code() {
        _ if lost.is_some() => TalosError::Unreachable { layer: TalosLayer::Connection, why: lost.unwrap_or_default() },
        code => {
            let found = HELP.iter().find(|known| known.is(code, &message));
            TalosError::Refused { code, help: found.map(|known| known.help), message }
        }
    }
}

/// The words of a connection that was lost: such a status was not sent by the node, and has a cause.
fn lost(status: &tonic::Status) -> Option<String> {
    status.source().map(chain)
}

/// An error with what lies below it; the outermost only says that something failed.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut at = Some(error);
    while let Some(error) = at {
        let text = error.to_string();
        // Outer texts say nothing, or repeat what lies below them.
        if text != "transport error" && !words.iter().any(|word| word.contains(&text)) {
            words.push(text);
        }
        at = error.source();
    }
    if words.is_empty() { "the connection ended".to_string() } else { words.join(": ") }
}

/// What TLS says somewhere below an error.
fn tls_below(error: &(dyn Error + 'static)) -> Option<TalosError> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(why) = tls_of(error) {
            return Some(tls(why, None));
        }
        at = error.source();
    }
    None
}

/// TLS' own error; in one of reading and writing it is not the source, but what is inside.
fn tls_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let io = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let inside = io.and_then(|inside| inside.downcast_ref::<rustls::Error>());
    inside.or_else(|| error.downcast_ref::<rustls::Error>())
}

/// An error of reading and writing while a connection is made, as what it means. `asked` tells whether the node asked who we are: a
/// node in maintenance mode does not (`tls.ServerOnly`, `internal/app/maintenance/provider.go`).
pub(super) fn handshake(error: &std::io::Error, asked: bool) -> TalosError {
    match tls_of(error) {
        Some(why) => tls(why, Some(asked)),
        None => TalosError::Unreachable { layer: TalosLayer::Tls, why: chain(error) },
    }
}

fn tls(error: &rustls::Error, asked: Option<bool>) -> TalosError {
    use AlertDescription as Alert;
    let unreachable = |why: String| TalosError::Unreachable { layer: TalosLayer::Tls, why };
    match (error, asked) {
        // The node's certificate is not of our authority.
        (
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature),
            Some(false),
        ) => TalosError::InMaintenance,
        (rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature), _) => {
            TalosError::OtherCluster { why: "its certificate is of another authority than ours".into() }
        }
        (rustls::Error::InvalidCertificate(CertificateError::NotValidForName), _)
        | (rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }), _) => unreachable(
            "the node's certificate is of our cluster, and not for this address: `machine.certSANs` has to name it"
                .into(),
        ),
        (
            rustls::Error::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ),
            _,
        ) => unreachable("the node's certificate is not valid now: its clock and this computer's may differ".into()),
        // The node does not take ours, or wants one.
        (rustls::Error::AlertReceived(Alert::CertificateRequired), _) => TalosError::NotInMaintenance,
        (rustls::Error::AlertReceived(Alert::UnknownCA | Alert::BadCertificate | Alert::DecryptError), _) => {
            TalosError::OtherCluster { why: "it does not take our client's certificate".into() }
        }
        (rustls::Error::AlertReceived(Alert::CertificateExpired), _) => {
            unreachable("our client's certificate is too old or too new for the node: its clock may differ".into())
        }
        (other, _) => unreachable(other.to_string()),
    }
}
