//! How hosts are set up.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::forms;
use crate::spec::providers::{root, ssh_port};
use crate::spec::secrets::SecretRef;

/// How hosts are set up. A pool's settings are put on top of the cluster's: lists are joined, single values replace.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostSettings {
    /// How we reach the hosts, and how their SSH daemon is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<Ssh>,
    /// The operating system that is expected: `Ubuntu 24.04`, `Debian 12`. Checked, never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Repositories that packages come from beside the distribution's own, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub repositories: IndexMap<String, PackageRepository>,
    /// Packages to install.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Packages that are installed and stay as they are: an upgrade of the system passes them by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<String>,
    /// Files, folders and links, by path.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub files: IndexMap<String, HostFile>,
    /// Kernel settings, now and at every start.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(extend("additionalProperties" = { "type": ["string", "integer"] }))]
    pub sysctls: IndexMap<String, String>,
    /// Kernel modules, now and at every start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// Users, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub users: IndexMap<String, User>,
    /// The locale: `fr_FR.UTF-8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The time zone: `Europe/Paris`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Write every node's name and address into `/etc/hosts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etc_hosts: Option<bool>,
    /// Further lines of `/etc/hosts`: an address and its names.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "IndexMap<String, Vec<forms::HostAlias>>")]
    pub host_aliases: IndexMap<String, Vec<String>>,
    /// Turn swap off, now and at every start. Without it: where the distribution wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_off: Option<bool>,
    /// Keep the clock right with the system's time service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_sync: Option<bool>,
}

/// How we reach the hosts, and how their SSH daemon is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ssh {
    /// The user that we log in as; others than root need sudo.
    #[serde(default = "root")]
    #[schemars(with = "forms::LoginName")]
    pub user: String,
    /// The port.
    #[serde(default = "ssh_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The port of a host whose daemon has not moved to `port` yet; `harden` moves it. Without it: 22.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port_before: Option<u16>,
    /// The private key's file; without it, the SSH agent's keys. Its public half is given to machines that we make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::FilePath>")]
    pub key_file: Option<String>,
    /// The host to go through: `user@bastion:22`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<String>,
    /// The user's password, for the first contact alone: the first change puts the public half of `keyFile` in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_password: Option<SecretRef>,
    /// sudo's password, where it asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo_password: Option<SecretRef>,
    /// Set the daemon so that only keys get in, and not root.
    #[serde(default)]
    pub harden: bool,
}

/// A repository of packages, for the package manager that the host has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackageRepository {
    /// Its address: of apt the folder above `dists`, or a flat repository; of dnf and zypper the folder above `repodata`.
    #[schemars(with = "forms::WebAddress")]
    pub url: String,
    /// apt's suites: `[bookworm]`. Without it: a flat repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<String>,
    /// apt's components: `[main]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// The public key that signs it, as text: `-----BEGIN PGP PUBLIC KEY BLOCK-----` and all that follows. It is trusted
    /// for this repository alone by apt, and for all packages by dnf and zypper.
    pub key: String,
}

/// What is at a path of a host: exactly one of `content`, `from`, `block`, `link` and `directory`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostFile {
    /// A file with this whole text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// A file whose whole text is this secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SecretRef>,
    /// Lines in a file that others write too, between two marks of ours. The rest of it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// A symbolic link that leads there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// A folder.
    #[serde(default)]
    pub directory: bool,
    /// The mode of a file or folder, in octal. Without it: `0644`, `0600` for a secret, and `0755` for a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = "^[0-7]{3,4}$"))]
    pub mode: Option<String>,
    /// The owner of a file or folder: `user` or `user:group`. Without it: `root`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// A user of the host.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// Public keys that may log in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorized_keys: Vec<String>,
    /// May use sudo without a password.
    #[serde(default)]
    pub sudo: bool,
    /// Groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<forms::LoginName>")]
    pub groups: Vec<String>,
    /// The login shell.
    #[serde(default = "default_shell")]
    #[schemars(with = "forms::Shell")]
    pub shell: String,
    /// The password for the console, already hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<SecretRef>,
}

fn default_shell() -> String {
    "/bin/bash".into()
}
