//! Hands on a host: how a host is looked at and changed.
//!
//! Start reading at [`Hosts`], the seam between the engine and hosts. Its rules stand in `docs/contracts/hosts.md`.
//!
//! # Invariants
//!
//! - Nothing here decides: it answers what was asked and does what was said.
//! - Nothing here retries; errors are classified and the engine tries again.
//! - One look is one round trip, and one change is one more.

mod archive;
mod born;
mod certificate;
mod change;
mod connections;
mod dial;
mod enter;
mod here;
mod keypairs;
mod local;
mod mask;
mod passwords;
mod probe;
mod real;
mod recipe;
mod rekey;
mod saved;
mod shell;
mod ssh;
pub mod talos;
mod transport;
mod upload;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use kubewright_model::desired::{THIS_COMPUTER, Way};
use kubewright_model::doctor::Papers;
use kubewright_model::host::HostResource;
use kubewright_model::ids::{HoleName, NodeName};
use kubewright_model::net::HostPort;
use kubewright_model::observed::{HostSeen, Seen, Why};
use kubewright_model::plan::HostChange;
use kubewright_model::recipe::Recipe;
use kubewright_model::rotation::{KeyPart, KeySeen};
use kubewright_model::secret::Secret;

pub use archive::Archive;
pub use born::host_key;
pub use certificate::{Question, good_until, served};
pub use dial::{CONNECTED, DialError, Dialed, Stream};
pub use enter::{Hears, KERNEL, Logs, Piece, Program, WayIn};
pub use here::program;
pub use mask::masked;
pub use passwords::{Ask, Password};
pub use real::{RealHosts, User};
pub use saved::{Snapshot, proven};
pub use ssh::sftp::{FileError, Sftp};
pub use ssh::target::spec_file;
pub use ssh::trust::Tell;
pub use upload::listed;

/// What is asked of a host in one look.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'a> {
    /// Which host.
    pub host: &'a NodeName,
    /// How it is reached.
    pub way: &'a Way,
    /// The resources whose state is wanted.
    pub resources: &'a [HostResource],
    /// It is to hold a datastore: as long as it has nothing of Kubernetes, its disk is timed.
    pub holds_data: bool,
    /// Its packages are asked for that wait for an update, by the lists that it has.
    pub updates: bool,
}

/// Values for holes, as far as they are known.
pub type Holes = BTreeMap<HoleName, Secret>;

/// What a change or a recipe came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Something was changed.
    pub changed: bool,
    /// Values that a recipe gave.
    pub gave: Holes,
    /// What should be known of it: what stays that was to go, and why.
    pub told: Vec<String>,
}

/// Hands on hosts: looks and changes, in one round trip each.
#[async_trait]
pub trait Hosts: Send + Sync {
    /// Looks at a host. A host that cannot be reached is [`Seen::Unknown`], never [`Seen::Absent`].
    async fn observe(&self, probe: Probe<'_>) -> Seen<HostSeen>;

    /// What tells doctor what is wrong with a host: outputs of programs and texts of files, in one round trip. Nothing is
    /// changed. A host that cannot be reached is [`Seen::Unknown`]; one that has no such papers has none.
    async fn examine(&self, _host: &NodeName, _way: &Way) -> Seen<Papers> {
        Seen::unknown("these hands read no papers")
    }

    /// A host is made anew: the key that it showed before is its key no more. It must show this one from the first contact
    /// on, where one is given.
    async fn is_new(&self, _host: &NodeName, _way: &Way, _key: Option<&str>) -> Result<(), HostError> {
        Ok(())
    }

    /// Makes the resources of a change true. Doing it twice changes nothing the second time.
    async fn change(&self, change: &HostChange, holes: &Holes) -> Result<Report, HostError>;

    /// Runs a recipe. `tell` hears what is waited for.
    async fn run(
        &self,
        host: &NodeName,
        way: &Way,
        recipe: &Recipe,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Report, HostError>;

    /// Tells a host to start again. The answer comes before it goes, or is lost with it: whoever asks looks at
    /// [`HostSeen::boot`] before and after.
    async fn reboot(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        let _ = way;
        Err(HostError::no_hands(host, "starting it again"))
    }

    /// What there is on this computer of the SSH key in a file that the spec names. [`Seen::Absent`]: neither half of it.
    async fn key(&self, file: &str) -> Seen<KeySeen> {
        Seen::unknown(format!("these hands know nothing of {file}"))
    }

    /// Does one part of putting another SSH key in the place of the one in a file. Doing it twice changes nothing the second
    /// time. A host has the new key when that has let us in alone, and the old one is taken away over such a connection.
    async fn rotate_key(&self, file: &str, part: &KeyPart) -> Result<Report, HostError> {
        let here = NodeName::new(THIS_COMPUTER);
        Err(HostError::no_hands(part.host().unwrap_or(&here), &format!("another key in the place of {file}")))
    }

    /// A folder of an SFTP server, which is no host of the cluster, over a connection of its own: by this key alone, or by
    /// those that lead into hosts too.
    async fn folder(&self, way: &Way, key: Option<&Secret>, folder: &str) -> Result<Sftp, HostError> {
        let _ = (key, folder);
        Err(HostError::no_hands(&NodeName::new(way.name.clone().unwrap_or_default()), "SFTP"))
    }

    /// Fetches the lists of packages of a host's operating system anew.
    async fn refresh(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        let _ = way;
        Err(HostError::no_hands(host, "fetching its lists of packages"))
    }

    /// Upgrades the packages of a host's operating system, under new lists: all but what is held, or goes only by taking
    /// others away. It is not started again: [`HostSeen::boot`] tells whether it wants that.
    async fn upgrade(&self, host: &NodeName, way: &Way) -> Result<Report, HostError> {
        let _ = way;
        Err(HostError::no_hands(host, "upgrading its packages"))
    }

    /// Runs a program on a host for somebody, who hears what it says at once. Returns how it ended; none where the
    /// connection ended first.
    async fn exec(
        &self,
        host: &NodeName,
        way: &Way,
        program: &Program,
        hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        let _ = (way, program, hears);
        Err(HostError::no_hands(host, "running a program"))
    }

    /// What the logs of a host say.
    async fn logs(&self, host: &NodeName, way: &Way, logs: &Logs, hears: Hears<'_>) -> Result<(), HostError> {
        let _ = (way, logs, hears);
        Err(HostError::no_hands(host, "reading its logs"))
    }

    /// Sends an archive of images to a host, and has a program take it in, which is told its place there last; the archive
    /// does not stay. Returns how the program ended.
    async fn take_in(
        &self,
        host: &NodeName,
        way: &Way,
        archive: &Archive,
        import: &[String],
        hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        let _ = (way, archive, import, hears);
        Err(HostError::no_hands(host, "taking images in"))
    }

    /// How a person comes into a host by a program of this computer, with all that these hands go by.
    async fn way_in(&self, host: &NodeName, way: &Way) -> Result<WayIn, HostError> {
        let _ = way;
        Err(HostError::no_hands(host, "logging in"))
    }

    /// Connects from a host's side to a place, as programs on it would; gives up after [`CONNECTED`].
    async fn dial(&self, host: &NodeName, way: &Way, at: &HostPort) -> Result<Dialed, DialError>;
}

/// The layer at which reaching or changing a host failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The name could not be looked up.
    Name,
    /// No TCP connection.
    Tcp,
    /// Something that is no SSH server answered.
    Banner,
    /// The host's key is not the one that we know.
    HostKey,
    /// None of our keys was taken.
    Authentication,
    /// sudo refused.
    Sudo,
    /// A command failed.
    Command,
    /// No TLS, or a certificate that is not for this host.
    Tls,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name lookup",
            Self::Tcp => "TCP",
            Self::Banner => "SSH banner",
            Self::HostKey => "host key",
            Self::Authentication => "authentication",
            Self::Sudo => "sudo",
            Self::Command => "command",
            Self::Tls => "TLS",
        })
    }
}

/// Why hands on a host failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The host could not be reached. It may pass.
    #[error("{host} cannot be reached ({layer}): {why}")]
    Unreachable {
        /// Which host.
        host: NodeName,
        /// At which layer.
        layer: Layer,
        /// What was seen.
        why: String,
    },
    /// Something on the host is in use by others: a package manager's lock. It may pass.
    #[error("{what} on {host} is busy: {why}")]
    Busy {
        /// Which host.
        host: NodeName,
        /// What is busy.
        what: String,
        /// Who holds it.
        why: String,
    },
    /// A command failed. It will not pass by itself.
    #[error("{what} failed on {host}: {why}")]
    Failed {
        /// Which host.
        host: NodeName,
        /// What was tried.
        what: String,
        /// What was seen last.
        why: String,
        /// The last lines of the log that tells most.
        log: Vec<String>,
    },
    /// A hole has no value. A bug of ours.
    #[error("no value for {hole} on {host}")]
    Hole {
        /// Which host.
        host: NodeName,
        /// Which hole.
        hole: HoleName,
    },
}

impl HostError {
    /// What these hands cannot do.
    fn no_hands(host: &NodeName, what: &str) -> Self {
        let why = "there are no hands for that here".to_string();
        Self::Failed { host: host.clone(), what: what.into(), why, log: Vec::new() }
    }

    /// Whether it may pass by itself.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { layer, .. } => matches!(layer, Layer::Name | Layer::Tcp | Layer::Banner | Layer::Tls),
            Self::Busy { .. } => true,
            Self::Failed { .. } | Self::Hole { .. } => false,
        }
    }

    /// What to do about it, where that is not said with the rest.
    pub fn help(&self) -> Option<&'static str> {
        let (layer, why) = match self {
            Self::Unreachable { layer, why, .. } => (layer, why),
            // <https://github.com/k3s-io/k3s/blob/v1.34.1+k3s1/pkg/cluster/bootstrap.go>
            Self::Failed { log, .. } if log.iter().any(|line| line.contains("newer than datastore")) => {
                return Some(
                    "a server was started with something that the datastore does not have, as another token: move away what its log \
                     names, below `server/cred` or `server/tls`, and run again; it is written anew from the datastore",
                );
            }
            _ => return None,
        };
        Some(match layer {
            Layer::Name => "look at the name, and at the name servers of this computer",
            Layer::Tcp if why.contains("Connection refused") => {
                "`ssh.port` is where its SSH daemon listens, and `ssh.portBefore` where it does until `ssh.harden` moves it"
            }
            Layer::Banner => "`ssh.port` is where its SSH daemon listens",
            Layer::Authentication => {
                "`ssh.keyFile` names the key, and its public half belongs into ~/.ssh/authorized_keys of `ssh.user` there; \
                 where no key is there yet, `ssh.firstPassword` lets in"
            }
            Layer::Sudo if why.contains("not found") => "install sudo on it, or come in as root with `ssh.user`",
            Layer::Sudo => "`ssh.sudoPassword` says where sudo's password is; or let `ssh.user` do without one",
            Layer::Tcp | Layer::HostKey | Layer::Command | Layer::Tls => return None,
        })
    }
}

impl From<HostError> for Why {
    fn from(error: HostError) -> Self {
        // A look that took too long may be quicker the next time.
        let lasts = matches!(error, HostError::Unreachable { .. }) && !error.may_pass();
        Self { words: error.to_string(), lasts, help: error.help().map(str::to_string) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_has_to_mend_lasts_and_says_how() {
        let why = |layer, why: &str| Why::from(HostError::Unreachable { host: "one".into(), layer, why: why.into() });
        let lasting = [Layer::HostKey, Layer::Authentication, Layer::Sudo];
        assert!(lasting.into_iter().all(|layer| why(layer, "no").lasts));
        assert!([Layer::Name, Layer::Tcp, Layer::Banner].into_iter().all(|layer| !why(layer, "no").lasts));
        let refused = why(Layer::Tcp, "10.0.0.1:2200: Connection refused (os error 111); nor is it at port 22: no");
        assert!(refused.help.is_some_and(|help| help.contains("`ssh.portBefore`")));
        assert_eq!(why(Layer::Tcp, "no answer within 10 s").help, None);
        let failed =
            HostError::Failed { host: "one".into(), what: "a look".into(), why: "late".into(), log: Vec::new() };
        assert!(!Why::from(failed).lasts);
    }
}
