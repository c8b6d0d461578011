//! One node's Talos API: what it knows of itself, as resources of COSI.
//!
//! Types, names and fields are those of siderolabs/talos v1.11, `pkg/machinery/resources`, and the same from v1.9 to v1.14. The
//! API sends each resource as YAML too (`pkg/resource/protobuf` of cosi-project/runtime); only the machine's configuration is
//! read from its message, because it is text itself.
//!
//! What can be read in maintenance mode: up to v1.12 a service of its own answers `ApplyConfiguration` and `State`, and refuses
//! everything else with `Unimplemented` (`internal/app/maintenance/server.go`); from v1.13 on it is the same service as later,
//! with the role `os:reader` for whoever asks (`internal/app/apid/service.go`), so that `Version` and `ServiceList` are
//! answered too. In all of them resources that are not secret can be read: disks, addresses, links, the stage, extensions. The
//! configuration cannot: `PermissionDenied`. `Versions.runtime.talos.dev` is there from v1.10 on.

use kubewright_model::secret::Secret;
use prost::Message as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tonic::Code;

use super::client::Talos;
use super::errors::TalosError;
use super::wire;

/// A resource that a node has.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource<T> {
    /// Its name among those of its type.
    pub id: String,
    /// It changes whenever the resource does.
    pub version: String,
    /// When it came, and when it last changed, by the node's clock.
    pub(super) times: (wire::Timestamp, wire::Timestamp),
    /// What it holds.
    pub spec: T,
}

/// `MachineStatuses.runtime.talos.dev`: how far a node is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MachineStatus {
    /// `unknown`, `booting`, `installing`, `maintenance`, `running`, `rebooting`, `shutting down`, `resetting`, `upgrading`.
    pub stage: String,
    /// Whether it is where it is to be in that stage.
    pub status: Readiness,
}

/// Whether a node is ready in its stage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// It is.
    pub ready: bool,
    /// What is missing.
    #[serde(default)]
    pub unmet_conditions: Option<Vec<Unmet>>,
}

/// What a node waits for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Unmet {
    /// `services`, `staticPods`, `nodeReady`, `time`, `network`.
    pub name: String,
    /// Why it is not met.
    pub reason: String,
}

/// `ExtensionStatuses.runtime.talos.dev`: an extension of the system.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Extension {
    /// What it is.
    pub metadata: ExtensionMetadata,
}

/// What an extension says of itself. The image factory adds one named `schematic`, whose version is the id of the schematic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ExtensionMetadata {
    /// `qemu-guest-agent`.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
}

/// `Disks.block.talos.dev`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct Disk {
    /// `/dev/sda`.
    pub dev_path: String,
    /// In bytes.
    pub size: u64,
    /// It cannot be written.
    pub readonly: bool,
    /// It takes CDs.
    pub cdrom: bool,
    /// `QEMU HARDDISK`.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// Its name for the whole world.
    pub wwid: String,
    /// Where it is attached.
    pub bus_path: String,
    /// `nvme`, `sata`, `virtio`.
    pub transport: String,
    /// It turns.
    pub rotational: bool,
    /// `/dev/disk/by-id/…`; from v1.10 on.
    pub symlinks: Vec<String>,
}

/// `SystemDisks.block.talos.dev`: where Talos lives.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct SystemDisk {
    #[serde(rename = "devPath")]
    dev_path: String,
}

/// `Members.cluster.talos.dev`: another machine of the cluster, as discovery found it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterMember {
    /// Who it is.
    pub node_id: String,
    /// Where it is.
    #[serde(default)]
    pub addresses: Option<Vec<String>>,
    /// Its name.
    pub hostname: String,
    /// `controlplane`, `worker`.
    pub machine_type: String,
    /// `Talos (v1.11.5)`.
    #[serde(default)]
    pub operating_system: String,
}

/// `HostnameStatuses.net.talos.dev`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Hostname {
    hostname: String,
}

/// `NodeAddresses.net.talos.dev`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Addresses {
    #[serde(default)]
    addresses: Option<Vec<String>>,
}

/// `LinkStatuses.net.talos.dev`: a network interface.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// `ether`, `loopback`.
    pub r#type: String,
    /// `bond`, `vlan`, `bridge`; empty for what is plugged in.
    #[serde(default)]
    pub kind: String,
    /// `bc:24:11:…`.
    #[serde(default)]
    pub hardware_addr: String,
    /// `up`, `down`, `unknown`.
    #[serde(default)]
    pub operational_state: String,
    /// There is something at its other end.
    #[serde(default)]
    pub link_state: bool,
    /// Another name that somebody gave it.
    #[serde(default)]
    pub alias: String,
    /// Other names that it has by itself.
    #[serde(default)]
    pub alt_names: Vec<String>,
}

impl Link {
    /// Whether it is plugged in, not made of others (`LinkStatusSpec.Physical`).
    pub fn is_physical(&self) -> bool {
        self.r#type == "ether" && self.kind.is_empty()
    }
}

/// `Versions.runtime.talos.dev`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct RunningVersion {
    version: String,
}

impl Talos {
    /// A resource of a type by its name; none if there is none of that name.
    ///
    /// # Errors
    ///
    /// The node refuses, or it holds something else than that type has.
    pub async fn resource<T: DeserializeOwned>(
        &self,
        namespace: &str,
        r#type: &str,
        id: &str,
    ) -> Result<Option<Resource<T>>, TalosError> {
        self.wire_resource(namespace, r#type, id).await?.map(read).transpose()
    }

    /// All resources of a type.
    ///
    /// # Errors
    ///
    /// As [`Talos::resource`].
    pub async fn resources<T: DeserializeOwned>(
        &self,
        namespace: &str,
        r#type: &str,
    ) -> Result<Vec<Resource<T>>, TalosError> {
        let request = asked(namespace, r#type, "");
        let parts: Vec<wire::ResourceAnswer> =
            self.connection.stream("/cosi.resource.State/List", request).await?.all().await?;
        parts.into_iter().filter_map(|part| part.resource).map(read).collect()
    }

    async fn wire_resource(
        &self,
        namespace: &str,
        r#type: &str,
        id: &str,
    ) -> Result<Option<wire::WireResource>, TalosError> {
        let answer = self.connection.call("/cosi.resource.State/Get", asked(namespace, r#type, id)).await;
        match answer {
            Ok(wire::ResourceAnswer { resource }) => Ok(resource),
            Err(TalosError::Refused { code: Code::NotFound, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The configuration that is in force; none in maintenance mode from v1.13 on.
    ///
    /// # Errors
    ///
    /// The node refuses: in maintenance mode, and to whoever is no administrator.
    pub async fn configuration(&self) -> Result<Option<Secret>, TalosError> {
        self.configuration_named("v1alpha1").await
    }

    /// The configuration on the disk, which is another one than that in force while a staged one waits for a restart; from
    /// v1.11 on.
    ///
    /// # Errors
    ///
    /// As [`Talos::configuration`].
    pub async fn stored_configuration(&self) -> Result<Option<Secret>, TalosError> {
        self.configuration_named("persistent").await
    }

    async fn configuration_named(&self, id: &str) -> Result<Option<Secret>, TalosError> {
        let Some(found) = self.wire_resource("config", "MachineConfigs.config.talos.dev", id).await? else {
            return Ok(None);
        };
        // Its texts are not told: they hold secrets.
        let unclear = || TalosError::NotUnderstood { why: "the machine's configuration is no text".into() };
        let bytes = found.spec.unwrap_or_default().proto_spec;
        let message = wire::MachineConfigSpec::decode(bytes.as_slice()).map_err(|_| unclear())?;
        let text = String::from_utf8(message.yaml_marshalled).map_err(|_| unclear())?;
        Ok(Some(Secret::new(text)))
    }

    /// How far the node is; none for a moment after it has started.
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn machine_status(&self) -> Result<Option<MachineStatus>, TalosError> {
        let found = self.resource("runtime", "MachineStatuses.runtime.talos.dev", "machine").await?;
        Ok(found.map(|found: Resource<MachineStatus>| found.spec))
    }

    /// The version that runs, also in maintenance mode: from v1.10 on. `v1.11.5`.
    ///
    /// # Errors
    ///
    /// The node refuses: v1.9 does not have it.
    pub async fn version_in_maintenance(&self) -> Result<Option<String>, TalosError> {
        let found = self.resource("runtime", "Versions.runtime.talos.dev", "version").await?;
        Ok(found.map(|found: Resource<RunningVersion>| found.spec.version))
    }

    /// Its extensions, with that of the image factory, which tells the schematic.
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn extensions(&self) -> Result<Vec<ExtensionMetadata>, TalosError> {
        let found = self.resources("runtime", "ExtensionStatuses.runtime.talos.dev").await?;
        Ok(found.into_iter().map(|found: Resource<Extension>| found.spec.metadata).collect())
    }

    /// Its disks, CD drives and devices without a disk in them included.
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn disks(&self) -> Result<Vec<Disk>, TalosError> {
        let found = self.resources("runtime", "Disks.block.talos.dev").await?;
        Ok(found.into_iter().map(|found: Resource<Disk>| found.spec).collect())
    }

    /// The disk on which Talos is installed; none while it is on none.
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn system_disk(&self) -> Result<Option<String>, TalosError> {
        let found = self.resource("runtime", "SystemDisks.block.talos.dev", "system-disk").await?;
        Ok(found.map(|found: Resource<SystemDisk>| found.spec.dev_path))
    }

    /// The machines of its cluster, as discovery knows them: those that are gone too, for half an hour.
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn members(&self) -> Result<Vec<ClusterMember>, TalosError> {
        let found = self.resources("cluster", "Members.cluster.talos.dev").await?;
        Ok(found.into_iter().map(|found: Resource<ClusterMember>| found.spec).collect())
    }

    /// Its name; none while it has none.
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn hostname(&self) -> Result<Option<String>, TalosError> {
        let found = self.resource("network", "HostnameStatuses.net.talos.dev", "hostname").await?;
        Ok(found.map(|found: Resource<Hostname>| found.spec.hostname))
    }

    /// Its addresses with their networks: `10.0.0.2/24`.
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn addresses(&self) -> Result<Vec<String>, TalosError> {
        let found = self.resource("network", "NodeAddresses.net.talos.dev", "current").await?;
        Ok(found.and_then(|found: Resource<Addresses>| found.spec.addresses).unwrap_or_default())
    }

    /// Its network interfaces, by their names.
    ///
    /// # Errors
    ///
    /// The node refuses.
    pub async fn links(&self) -> Result<Vec<Resource<Link>>, TalosError> {
        self.resources("network", "LinkStatuses.net.talos.dev").await
    }
}

fn asked(namespace: &str, r#type: &str, id: &str) -> wire::ResourceRequest {
    wire::ResourceRequest { namespace: namespace.into(), r#type: r#type.into(), id: id.into() }
}

fn read<T: DeserializeOwned>(resource: wire::WireResource) -> Result<Resource<T>, TalosError> {
    let metadata = resource.metadata.unwrap_or_default();
    let text = resource.spec.unwrap_or_default().yaml_spec;
    // The parser's error would quote the text.
    let spec = serde_saphyr::from_str(&text).map_err(|_| TalosError::NotUnderstood {
        why: format!("the resource {} {} has another form than expected", metadata.r#type, metadata.id),
    })?;
    let times = (metadata.created.unwrap_or_default(), metadata.updated.unwrap_or_default());
    Ok(Resource { id: metadata.id, version: metadata.version, times, spec })
}
