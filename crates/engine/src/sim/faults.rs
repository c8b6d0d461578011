//! What goes wrong in the pretend data centre, on purpose.

use std::fmt;
use std::str::FromStr;

use kubewright_model::ids::NodeName;
use serde::{Deserialize, Serialize};

/// A kind of mishap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A host does not answer for a while, in the middle of being set up.
    Unreachable,
    /// APIs answer with an internal error now and then.
    Api500,
    /// APIs ask for patience now and then.
    Api429,
    /// APIs do not answer now and then.
    ApiTimeout,
    /// A storage's lock is held by somebody else for a while.
    LockHeld,
    /// A host's disk is full until a person makes room.
    DiskFull,
    /// The power goes in the middle of the run, and what starts with it comes back by itself: the hypervisors', or where no
    /// machine is made on any, that of the hosts themselves.
    PowerCut,
    /// Downloads and packages take twenty times as long.
    SlowLink,
    /// A server that was restarted does not come up again until a person sees to it: its new etcd does not start.
    EtcdStuck,
    /// A machine of Talos that was reset or upgraded does not come back until a person sees to it.
    NeverBack,
    /// A PodDisruptionBudget lets a pod of a node not go until a person sees to it.
    EvictionBlocked,
    /// One of Argo CD's applications is put into a namespace that nobody makes.
    NamespaceMissing,
    /// Argo CD's repo-server ends its answer in the middle, until it is restarted.
    RepoServerEof,
    /// What one of Argo CD's applications makes does not start until a person sees to it.
    ApplicationStuck,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 14] = [
        Self::Unreachable,
        Self::Api500,
        Self::Api429,
        Self::ApiTimeout,
        Self::LockHeld,
        Self::DiskFull,
        Self::PowerCut,
        Self::SlowLink,
        Self::EtcdStuck,
        Self::NeverBack,
        Self::EvictionBlocked,
        Self::NamespaceMissing,
        Self::RepoServerEof,
        Self::ApplicationStuck,
    ];

    /// The kind's word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Api500 => "api-500",
            Self::Api429 => "api-429",
            Self::ApiTimeout => "api-timeout",
            Self::LockHeld => "lock-held",
            Self::DiskFull => "disk-full",
            Self::PowerCut => "power-cut",
            Self::SlowLink => "slow-link",
            Self::EtcdStuck => "etcd-stuck",
            Self::NeverBack => "never-back",
            Self::EvictionBlocked => "eviction-blocked",
            Self::NamespaceMissing => "namespace-missing",
            Self::RepoServerEof => "repo-server-eof",
            Self::ApplicationStuck => "application-stuck",
        }
    }

    /// Whether it lasts until a person sees to it.
    pub(super) fn needs_somebody(self) -> bool {
        let of_hosts = matches!(self, Self::DiskFull | Self::EtcdStuck | Self::NeverBack);
        of_hosts || matches!(self, Self::EvictionBlocked | Self::ApplicationStuck)
    }

    /// Whether it happens to what is restarted or reset: it waits for that, when nothing of the kind is done at first.
    pub(super) fn waits(self) -> bool {
        matches!(self, Self::EtcdStuck | Self::NeverBack | Self::EvictionBlocked)
    }

    /// Whether the fault happens to one host.
    fn has_target(self) -> bool {
        let of_hosts = matches!(self, Self::Unreachable | Self::DiskFull | Self::EtcdStuck | Self::NeverBack);
        of_hosts || self == Self::EvictionBlocked
    }
}

/// A mishap, and whom it happens to: `power-cut`, `disk-full=k3s-agent-1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// To whom; without it, to the host that comes first.
    pub target: Option<NodeName>,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, target) = match text.split_once('=') {
            Some((word, target)) => (word, Some(target)),
            None => (text, None),
        };
        let kind = FaultKind::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(|| {
            let words: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.word()).collect();
            let near = kubewright_model::diagnostic::nearest(word, words.iter().copied());
            let meant = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            format!("`{word}` is no fault; {meant}faults are {}", words.join(", "))
        })?;
        match target {
            Some(_) if !kind.has_target() => Err(format!("`{word}` happens to no single host: write it without `=`")),
            Some("") => Err(format!("the host is missing: write {word}=HOST")),
            _ => Ok(Self { kind, target: target.map(NodeName::from) }),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.word())?;
        self.target.iter().try_for_each(|target| write!(f, "={target}"))
    }
}

/// What a fault came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Struck {
    /// The fault, with whom it hit where it hits one host.
    pub fault: Fault,
    /// How often it was met.
    pub met: u32,
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.fault.kind.word();
        match (&self.fault.target, self.met) {
            (_, 0) => write!(f, "{word} hit nobody"),
            (Some(target), 1) => write!(f, "{word} hit {target} once"),
            (Some(target), times) => write!(f, "{word} hit {target} {times} times"),
            (None, 1) => write!(f, "{word} came once"),
            (None, times) => write!(f, "{word} came {times} times"),
        }
    }
}

/// How far a fault has gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Course {
    /// When it began, in the data centre's milliseconds.
    pub(super) since: Option<u64>,
    /// How often it was met.
    pub(super) met: u32,
    /// It is over.
    pub(super) over: bool,
}
