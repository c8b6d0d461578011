//! One node's Talos API: the machine itself.

use std::io::Read as _;
use std::time::Duration;

use flate2::read::GzDecoder;
use kubewright_model::secret::Secret;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Connection, Parts, dial};
use super::errors::TalosError;
use super::trust::Trust;
use super::wire;
use crate::enter::{Hears, KERNEL, Piece};

pub use super::wire::ApplyMode;

/// Where Talos listens, in maintenance mode too (`ApidPort`, `pkg/machinery/constants`).
pub const PORT: u16 = 50000;
/// An upgrade's call is answered when the node has pulled the installer and looked at it.
const PULL: Duration = Duration::from_secs(600);
/// The longest kubeconfig that is taken out of an archive: it has four certificates and keys.
const KUBECONFIG: u64 = 1 << 20;

/// One node's API, over one connection. Copies share the connection.
///
/// It does not open itself again: after a restart, a reset or the first configuration a node is another one, and is connected to
/// anew, perhaps with another [`Trust`].
#[derive(Clone, Debug)]
pub struct Talos {
    pub(super) connection: Connection,
}

/// What a node runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `v1.11.5`.
    pub tag: String,
    /// `amd64`, `arm64`.
    pub arch: String,
    /// `metal`, `nocloud`, `hcloud`.
    pub platform: String,
    /// `metal`, `cloud`, `container`.
    pub mode: String,
}

/// What came of a configuration, or would come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// How it took effect, or would.
    pub mode: ApplyMode,
    /// What is strange in it.
    pub warnings: Vec<String>,
    /// The node's own words. What differs from the configuration before may stand in it, with secrets.
    pub details: Secret,
}

/// How a node is made to run another version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpgradeHow {
    /// Nothing on the disk depends on it any more: installers from v1.9 on ignore that a disk is to be wiped with an upgrade
    /// (`cmd/installer/pkg/install/install.go`). From v1.14 on it leaves out the look at etcd.
    pub preserve: bool,
    /// After a restart, before anything uses its disk.
    pub stage: bool,
    /// Also where etcd is not well.
    pub force: bool,
}

/// How much of a node is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wipe {
    /// Its whole system disk: it starts from something else then.
    SystemDisk,
    /// Only these partitions. Without `STATE` and `EPHEMERAL` it comes back in maintenance mode.
    Partitions(Vec<String>),
}

/// A service of Talos on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// `etcd`, `kubelet`.
    pub id: String,
    /// `Running`, `Waiting`, `Preparing`, `Failed`.
    pub state: String,
    /// Whether it is well; none if nobody has looked, or nobody looks at it.
    pub healthy: Option<bool>,
    /// What it said last of itself: why it is not well, what it waits for.
    pub said: String,
}

impl Talos {
    /// Connects to a node at an address: a name, or an IP address without brackets.
    ///
    /// # Errors
    ///
    /// It cannot be reached, or is not what it was taken for: [`TalosError::OtherCluster`], [`TalosError::InMaintenance`],
    /// [`TalosError::NotInMaintenance`].
    pub async fn connect(address: &str, port: u16, trust: Trust<'_>) -> Result<Self, TalosError> {
        Self::over(dial(address, port).await?, address, trust).await
    }

    /// Connects to a node over a stream that leads to its port, through whatever is in between. The address is the one that its
    /// certificate has to name.
    ///
    /// # Errors
    ///
    /// As [`Talos::connect`].
    pub async fn over<S>(stream: S, address: &str, trust: Trust<'_>) -> Result<Self, TalosError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Ok(Self { connection: Connection::over(stream, address, trust).await? })
    }

    /// The SHA-256 of the public key of the node's certificate in Base64, as its console shows it in maintenance mode and
    /// `talosctl --cert-fingerprint` takes it.
    pub fn fingerprint(&self) -> &str {
        &self.connection.fingerprint
    }

    /// What it runs.
    ///
    /// # Errors
    ///
    /// It does not tell: in maintenance mode it does only from v1.13 on; before, [`Talos::version_in_maintenance`] knows.
    pub async fn version(&self) -> Result<Version, TalosError> {
        let answer = self.connection.call("/machine.MachineService/Version", wire::Empty {}).await?;
        let one: wire::VersionAnswer = only(answer)?;
        let (version, platform) = (one.version.unwrap_or_default(), one.platform.unwrap_or_default());
        Ok(Version { tag: version.tag, arch: version.arch, platform: platform.name, mode: platform.mode })
    }

    /// Gives a node its configuration, whole. In maintenance mode it takes [`ApplyMode::Auto`] and [`ApplyMode::Try`], writes itself to
    /// the disk if it is not there, and comes back with the certificates of its cluster.
    ///
    /// # Errors
    ///
    /// The node refuses: what it does not know in it, and what does not fit together, stands in its words.
    pub async fn apply(&self, configuration: &Secret, mode: ApplyMode, dry_run: bool) -> Result<Applied, TalosError> {
        let data = configuration.expose().clone().into_bytes();
        let request = wire::ApplyConfigurationRequest { data, mode: mode.into(), dry_run };
        let answer = self.connection.call("/machine.MachineService/ApplyConfiguration", request).await?;
        let one: wire::ApplyConfiguration = only(answer)?;
        Ok(Applied { mode: one.mode(), warnings: one.warnings, details: Secret::new(one.mode_details) })
    }

    /// Begins the cluster on this node: its etcd is the first member.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if its etcd has data, which is what was wished; `FailedPrecondition` while it is not ready for it.
    pub async fn bootstrap(&self) -> Result<(), TalosError> {
        self.begin(wire::BootstrapRequest::default()).await
    }

    /// Begins the cluster anew on this node, from the snapshot that [`Talos::etcd_recover`] gave it.
    ///
    /// # Errors
    ///
    /// As [`Talos::bootstrap`].
    pub async fn bootstrap_from_snapshot(&self, skip_hash_check: bool) -> Result<(), TalosError> {
        let request = wire::BootstrapRequest { recover_etcd: true, recover_skip_hash_check: skip_hash_check };
        self.begin(request).await
    }

    async fn begin(&self, request: wire::BootstrapRequest) -> Result<(), TalosError> {
        let answer = self.connection.call("/machine.MachineService/Bootstrap", request).await?;
        only::<wire::Empty>(answer).map(drop)
    }

    /// A kubeconfig of an administrator, new and valid for a year.
    ///
    /// # Errors
    ///
    /// The node is a worker, or refuses.
    pub async fn kubeconfig(&self) -> Result<Secret, TalosError> {
        let parts = self.connection.stream("/machine.MachineService/Kubeconfig", wire::Empty {}).await?;
        let parts: Vec<wire::Chunk> = parts.all().await?;
        let archive: Vec<u8> = parts.into_iter().flat_map(|part| part.bytes).collect();
        let text = only_file(&archive);
        text.map(Secret::new).map_err(|why| TalosError::NotUnderstood { why: format!("no kubeconfig came: {why}") })
    }

    /// Makes a node run another version, or one with other extensions: the image of an installer. The answer comes before it
    /// restarts.
    ///
    /// # Errors
    ///
    /// The image cannot be had, or etcd would lose its quorum.
    pub async fn upgrade(&self, image: &str, how: UpgradeHow) -> Result<(), TalosError> {
        let UpgradeHow { preserve, stage, force } = how;
        let request = wire::UpgradeRequest { image: image.to_string(), preserve, stage, force };
        // Deprecated in v1.14 for `machine.LifecycleService`, and there until v1.18.
        let answer = self.connection.call_within("/machine.MachineService/Upgrade", request, PULL).await?;
        only::<wire::Acted>(answer).map(drop)
    }

    /// Restarts a node. The answer comes before it is away.
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn reboot(&self) -> Result<(), TalosError> {
        let answer = self.connection.call("/machine.MachineService/Reboot", wire::RebootRequest::default()).await?;
        only::<wire::Acted>(answer).map(drop)
    }

    /// Takes a node back to what it was before its configuration. Graceful, it leaves etcd and Kubernetes first; the answer comes
    /// before it is away.
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn reset(&self, graceful: bool, reboot: bool, wipe: Wipe) -> Result<(), TalosError> {
        // `WipeMode`: 0 is the system disk and all of the user's that are named, and the only one with partitions.
        let (labels, mode) = match wipe {
            Wipe::SystemDisk => (Vec::new(), 1),
            Wipe::Partitions(labels) => (labels, 0),
        };
        let partitions = labels.into_iter().map(|label| wire::ResetPartition { label, wipe: true });
        let request = wire::ResetRequest {
            graceful,
            reboot,
            system_partitions_to_wipe: partitions.collect(),
            user_disks_to_wipe: Vec::new(),
            mode,
        };
        let answer = self.connection.call("/machine.MachineService/Reset", request).await?;
        only::<wire::Acted>(answer).map(drop)
    }

    /// Talos' services on a node.
    ///
    /// # Errors
    ///
    /// The node refuses: up to v1.12 it does in maintenance mode.
    pub async fn services(&self) -> Result<Vec<Running>, TalosError> {
        let answer = self.connection.call("/machine.MachineService/ServiceList", wire::Empty {}).await?;
        let one: wire::ServiceList = only(answer)?;
        Ok(one.services.into_iter().map(running).collect())
    }

    /// Restarts one of Talos' services.
    ///
    /// # Errors
    ///
    /// There is no such service, or Talos lets nobody restart it: only `kubelet` and what extensions bring.
    pub async fn restart(&self, service: &str) -> Result<(), TalosError> {
        let request = wire::ServiceRestartRequest { id: service.into() };
        let answer = self.connection.call("/machine.MachineService/ServiceRestart", request).await?;
        only::<wire::ServiceRestart>(answer).map(drop)
    }

    /// The last lines of the log of one of Talos' services.
    ///
    /// # Errors
    ///
    /// There is no such service, or the node refuses.
    pub async fn log(&self, service: &str, lines: u16) -> Result<Vec<String>, TalosError> {
        let request = wire::LogsRequest {
            namespace: "system".into(),
            id: service.to_string(),
            follow: false,
            tail_lines: lines.into(),
        };
        let parts: Vec<wire::Chunk> =
            self.connection.stream("/machine.MachineService/Logs", request).await?.all().await?;
        let bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.bytes).collect();
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_string).collect())
    }

    /// The log of one of Talos' services, or of the kernel, as it comes.
    ///
    /// # Errors
    ///
    /// As [`Talos::log`].
    pub async fn log_of(&self, service: &str, lines: u16, follow: bool, hears: Hears<'_>) -> Result<(), TalosError> {
        let mut parts: Parts<wire::Chunk> = match service {
            KERNEL => {
                let request = wire::DmesgRequest { follow, tail: false };
                self.connection.stream("/machine.MachineService/Dmesg", request).await?
            }
            service => {
                let (namespace, id) = ("system".to_string(), service.to_string());
                let request = wire::LogsRequest { namespace, id, follow, tail_lines: lines.into() };
                self.connection.stream("/machine.MachineService/Logs", request).await?
            }
        };
        while let Some(part) = if follow { parts.whenever().await? } else { parts.next().await? } {
            hears(Piece::Out(&part.bytes));
        }
        Ok(())
    }
}

/// The one message of an answer: one node was asked.
pub(super) fn only<M: prost::Message + Default + std::fmt::Debug>(answer: wire::Answer<M>) -> Result<M, TalosError> {
    let why = || "the answer holds no message".to_string();
    answer.messages.into_iter().next().ok_or_else(|| TalosError::NotUnderstood { why: why() })
}

/// The text of the first file in an archive. Talos leaves the archive open at its end (`Kubeconfig`, `v1alpha1_server.go`), so
/// nothing behind that file is looked at.
fn only_file(archive: &[u8]) -> Result<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let mut entries = archive.entries().map_err(|error| error.to_string())?;
    let file = entries.next().ok_or("the archive is empty")?.map_err(|error| error.to_string())?;
    if file.size() > KUBECONFIG {
        return Err(format!("the file has {} bytes", file.size()));
    }
    let (mut text, size) = (String::new(), file.size());
    file.take(KUBECONFIG).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 == size && size > 0 { Ok(text) } else { Err("the file is cut off".to_string()) }
}

fn running(service: wire::ServiceEntry) -> Running {
    let health = service.health.unwrap_or_default();
    let last = service.events.and_then(|events| events.events.into_iter().next_back()).unwrap_or_default().msg;
    let said = if health.last_message.is_empty() || health.healthy { last } else { health.last_message };
    let healthy = (!health.unknown).then_some(health.healthy);
    Running { id: service.id, state: service.state, healthy, said }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// An archive as Talos writes it: the stream of `tar` is not closed.
    fn archive(text: &[u8], size: u64) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_path("kubeconfig").unwrap();
        header.set_size(size);
        header.set_cksum();
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zipped.write_all(header.as_bytes()).unwrap();
        zipped.write_all(text).unwrap();
        zipped.finish().unwrap()
    }

    #[test]
    fn a_kubeconfig_comes_out_of_an_archive_without_an_end() {
        assert_eq!(only_file(&archive(b"apiVersion: v1\n", 15)).unwrap(), "apiVersion: v1\n");
    }

    #[test]
    fn a_cut_archive_gives_no_kubeconfig() {
        let whole = archive(b"apiVersion: v1\n", 15);
        for cut in [archive(b"apiV", 15), whole[..20].to_vec(), Vec::new(), archive(b"", 0), archive(b"x", 1 << 40)] {
            assert!(only_file(&cut).is_err());
        }
    }

    #[test]
    fn an_answer_without_a_message_is_not_taken_for_a_yes() {
        let none: wire::Answer<wire::Empty> = wire::Answer { messages: vec![] };
        assert!(matches!(only(none), Err(TalosError::NotUnderstood { .. })));
    }
}
