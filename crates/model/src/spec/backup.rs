//! Backups and maintenance.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::drift::Drift;
use crate::spec::forms;
use crate::spec::providers::{root, ssh_port};
use crate::spec::secrets::SecretRef;
use crate::units::Span;

/// What is backed up, when and where to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backup {
    /// When the servers save their datastore, as a cron expression of five fields.
    pub schedule: String,
    /// When bundles are made: by the timer of `kubewright backup timer` on this computer, and with `onServers` by the
    /// servers; as a cron expression of five fields. Without it: when `schedule` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_schedule: Option<String>,
    /// The servers make bundles by themselves as well, at the same hours, and put them into the bucket: also while this
    /// computer is off. They hold the datastore with what it opens with, and need `s3` and `recipients`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_servers: bool,
    /// Snapshots of the datastore.
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub datastore: bool,
    /// All Kubernetes objects as YAML.
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub objects: bool,
    /// The machines themselves, by their provider (Proxmox: vzdump).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines: Option<MachineBackup>,
    /// How many backups are kept.
    #[serde(default)]
    pub keep: Keep,
    /// Where to: exactly one of `folder`, `s3` and `sftp`. Without it: on the servers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Destination>,
    /// The age public keys that can open the backups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
}

/// How many backups are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Keep {
    /// The newest ones.
    #[serde(default = "five")]
    #[schemars(range(min = 1))]
    pub last: u32,
    /// One for each of so many hours.
    #[serde(default)]
    pub hourly: u32,
    /// One for each of so many days.
    #[serde(default)]
    pub daily: u32,
    /// One for each of so many weeks.
    #[serde(default)]
    pub weekly: u32,
    /// One for each of so many months.
    #[serde(default)]
    pub monthly: u32,
}

impl Default for Keep {
    fn default() -> Self {
        Self { last: five(), hourly: 0, daily: 0, weekly: 0, monthly: 0 }
    }
}

// K3s' and RKE2's own default for etcd snapshots.
fn five() -> u32 {
    5
}

/// Backups of whole machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineBackup {
    /// When, as a cron expression of five fields.
    pub schedule: String,
    /// The provider's storage for them.
    #[schemars(with = "forms::Storage")]
    pub storage: String,
    /// How many are kept.
    #[serde(default)]
    pub keep: Keep,
}

/// Where backups go.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Destination {
    /// A folder of this computer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::FilePath>")]
    pub folder: Option<String>,
    /// An S3 bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3>,
    /// A folder of an SFTP server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sftp: Option<Sftp>,
}

/// A folder of an SFTP server. A user who may do SFTP alone is enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sftp {
    /// The server: a name, or an address. One that `~/.ssh/config` knows is where that says.
    #[schemars(with = "forms::Host")]
    pub host: String,
    /// The port.
    #[serde(default = "ssh_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The user.
    #[serde(default = "root")]
    #[schemars(with = "forms::LoginName")]
    pub user: String,
    /// The folder there. What does not begin with `/` begins where the server lets the user in.
    #[schemars(with = "forms::FilePath")]
    pub folder: String,
    /// The private key's file; without it and `key`, the user's own keys and those of the SSH agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::FilePath>")]
    pub key_file: Option<String>,
    /// The private key itself, as text. No other key is tried then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretRef>,
    /// The key that the server shows: the public key, or its fingerprint `SHA256:…`. Without it, it is known by
    /// `known_hosts`, or taken at its word at the first contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::HostKey>")]
    pub host_key: Option<String>,
    /// The host to go through: `user@bastion:22`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<String>,
}

/// An S3 bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3 {
    /// The service's address.
    #[schemars(with = "forms::WebAddress")]
    pub endpoint: String,
    /// The bucket.
    #[schemars(with = "forms::Bucket")]
    pub bucket: String,
    /// The region.
    #[serde(default = "default_region")]
    #[schemars(with = "forms::Region")]
    pub region: String,
    /// The folder in the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The file with the certificate of the authority that vouches for the service, on every server; for bundles, on this
    /// computer too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::FilePath>")]
    pub ca_file: Option<String>,
    /// The access key.
    pub access_key: SecretRef,
    /// The secret key.
    pub secret_key: SecretRef,
}

fn default_region() -> String {
    "us-east-1".into()
}

/// How changes that disturb are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Maintenance {
    /// How many agents may be out of service at once.
    #[serde(default = "one_agent")]
    #[schemars(range(min = 1))]
    pub max_unavailable: u32,
    /// How long a drain may take.
    #[serde(default = "five_minutes")]
    pub drain_timeout: Span,
    /// When disturbing changes may start, as a cron expression of five fields; without it, at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// How long the window is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_length: Option<Span>,
    /// What happens to agents of a living cluster that cannot be reached.
    #[serde(default)]
    pub unreachable: Unreachable,
    /// Snapshots of machines by their provider, before each upgrade of Kubernetes on them and before each start that a
    /// change of them needs (Proxmox). Without it, none are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<Snapshots>,
    /// Keep the operating system's packages up to date, in a rolling way.
    #[serde(default)]
    pub update_os: bool,
    /// How often it is looked whether the world is as this file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// The cluster is protected: nothing that holds something is taken away while this is set. Machines, load balancers,
    /// releases and objects are not deleted, and no member leaves the cluster or changes its role.
    #[serde(default)]
    pub protect: bool,
}

impl Default for Maintenance {
    fn default() -> Self {
        Self {
            max_unavailable: one_agent(),
            drain_timeout: five_minutes(),
            window: None,
            window_length: None,
            unreachable: Unreachable::default(),
            snapshots: None,
            update_os: false,
            drift: None,
            protect: false,
        }
    }
}

/// Snapshots of machines before what may break them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Snapshots {
    /// How many of each machine stay when its node is Ready again; the older ones are deleted. A snapshot takes room as
    /// its machine changes.
    #[serde(default)]
    #[schemars(range(max = 20))]
    pub keep: u32,
}

fn one_agent() -> u32 {
    1
}

fn five_minutes() -> Span {
    Span::from_secs(300)
}

/// What happens to agents that cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unreachable {
    /// They are left out, and the run says so.
    #[default]
    Skip,
    /// They are shut off by their provider first.
    Fence,
}
