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
    /// Packages to install.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Files to write, by path.
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

/// A file on a host: exactly one of `content` and `from`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostFile {
    /// The whole text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The text is this secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SecretRef>,
    /// The file's mode, in octal.
    #[serde(default = "default_mode")]
    #[schemars(extend("pattern" = "^0?[0-7]{3}$"))]
    pub mode: String,
    /// The owner: `user` or `user:group`.
    #[serde(default = "root")]
    pub owner: String,
}

fn default_mode() -> String {
    "0644".into()
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
