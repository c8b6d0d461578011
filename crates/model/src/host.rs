//! Resources of a host: what may be true of it. The same words serve the wish and, in [`crate::observed`], the sight.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::talos::{MachineConfig, TalosImage};
use crate::text::Text;

/// One thing that should be true of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HostResource {
    /// A repository that packages come from, with the key that signs them.
    Repository(RepositoryWish),
    /// A package of the distribution is installed.
    Package(String),
    /// An upgrade of the system passes this package by.
    Hold(String),
    /// A kernel module is loaded, now and at every start.
    Module(String),
    /// A kernel setting has a value, now and at every start.
    Sysctl {
        /// `net.ipv4.ip_forward`.
        key: String,
        /// `1`.
        value: String,
    },
    /// A file has this whole text.
    File(FileWish),
    /// A folder is there.
    Directory(DirectoryWish),
    /// A marked block of lines stands in a file that others own too.
    Block {
        /// The file's path.
        path: String,
        /// The block's lines.
        lines: Vec<String>,
    },
    /// These lines stand in a file that another program writes anew now and then, so there are no marks around them.
    /// They stand before the first `[section]`. A line `key: value` takes the place of another with its key, but for keys
    /// `lxc.…`, of which there may be several. The file itself is the other program's to make: where it is not there, the
    /// change fails.
    Lines {
        /// The file's path.
        path: String,
        /// The lines.
        lines: Vec<String>,
    },
    /// A file was downloaded and verified.
    Download(DownloadWish),
    /// A symbolic link.
    Link {
        /// The link's path.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// A systemd unit.
    Unit(UnitWish),
    /// A user with its keys.
    User(UserWish),
    /// The host's name.
    Hostname(String),
    /// `/etc/hosts` holds these names, in a block of ours.
    HostsEntries(std::sync::Arc<Vec<HostsEntry>>),
    /// The time zone.
    Timezone(String),
    /// The locale.
    Locale(String),
    /// Swap is off, now and at every start.
    SwapOff,
    /// The system's time service runs.
    TimeSync,
    /// The SSH daemon listens here and lets only keys in.
    SshDaemon(SshDaemonWish),
    /// Talos runs from this image.
    TalosImage(TalosImage),
    /// Talos has this machine configuration.
    MachineConfig(MachineConfig),
}

impl HostResource {
    /// The text in it that may have holes.
    pub fn text(&self) -> Option<&Text> {
        match self {
            Self::File(file) => Some(&file.content),
            Self::Unit(unit) => unit.content.as_ref(),
            Self::User(user) => user.password_hash.as_ref(),
            Self::MachineConfig(config) => Some(config.text()),
            _ => None,
        }
    }

    /// The unit, where it is one that Kubernetes runs in: a recipe starts it the first time.
    pub fn kubernetes(&self) -> Option<&UnitWish> {
        match self {
            Self::Unit(unit) if unit.run == UnitRun::ByRecipe => Some(unit),
            _ => None,
        }
    }

    /// What tells the resource from others of the same host: its kind and its name.
    pub fn key(&self) -> String {
        match self {
            Self::Repository(repository) => format!("repository {}", repository.name),
            Self::Package(name) => format!("package {name}"),
            Self::Hold(name) => format!("hold {name}"),
            Self::Module(name) => format!("module {name}"),
            Self::Sysctl { key, .. } => format!("sysctl {key}"),
            Self::File(file) => format!("file {}", file.path),
            Self::Directory(directory) => format!("directory {}", directory.path),
            Self::Block { path, .. } => format!("block in {path}"),
            Self::Lines { path, .. } => format!("lines in {path}"),
            Self::Download(download) => format!("download {}", download.path),
            Self::Link { path, .. } => format!("link {path}"),
            Self::Unit(unit) => format!("unit {}", unit.name),
            Self::User(user) => format!("user {}", user.name),
            Self::Hostname(_) => "hostname".into(),
            Self::HostsEntries(_) => "block in /etc/hosts".into(),
            Self::Timezone(_) => "time zone".into(),
            Self::Locale(_) => "locale".into(),
            Self::SwapOff => "swap".into(),
            Self::TimeSync => "time service".into(),
            Self::SshDaemon(_) => "ssh daemon".into(),
            Self::TalosImage(_) => "Talos".into(),
            Self::MachineConfig(_) => "machine configuration".into(),
        }
    }

    /// The value under [`Self::key`] in [`crate::observed::HostSeen::settings`] when the resource is true; none for
    /// resources that are seen in another way.
    pub fn setting(&self) -> Option<String> {
        match self {
            Self::Hostname(value) | Self::Timezone(value) | Self::Locale(value) => Some(value.clone()),
            Self::SwapOff => Some("off".into()),
            Self::TimeSync => Some("on".into()),
            Self::SshDaemon(wish) => {
                Some(format!("port {}{}", wish.port, if wish.harden { ", only keys, not root" } else { "" }))
            }
            Self::Repository(wish) => Some(wish.mark().to_string()),
            Self::Hold(_) => Some("held".into()),
            Self::Directory(wish) => Some(format!("{} {}", wish.mode, wish.owner)),
            Self::Download(wish) => Some(wish.artifact.mark().to_string()),
            Self::Package(_)
            | Self::Module(_)
            | Self::Sysctl { .. }
            | Self::File(_)
            | Self::Block { .. }
            | Self::Lines { .. }
            | Self::Link { .. }
            | Self::Unit(_)
            | Self::User(_)
            | Self::HostsEntries(_)
            | Self::TalosImage(_)
            | Self::MachineConfig(_) => None,
        }
    }
}

/// What was there before we touched something of a host for the first time. The host itself remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Before {
    /// Nothing: what is there now is ours.
    Absent,
    /// Something, which can be put back.
    There,
}

/// A repository's wish.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RepositoryWish {
    /// Our name for it, which its files on the host have too.
    pub name: String,
    /// Its address.
    pub url: String,
    /// apt's suites. None means that the repository is flat.
    pub suites: Vec<String>,
    /// apt's components.
    pub components: Vec<String>,
    /// The public key that signs it, as text.
    pub key: String,
}

impl RepositoryWish {
    /// What is written down on the host once its package manager has read the repository, so that it is known again.
    pub fn mark(&self) -> Digest {
        Digest::of_value(self)
    }
}

/// A folder's wish.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DirectoryWish {
    /// The absolute path.
    pub path: String,
    /// The mode.
    pub mode: Mode,
    /// `user:group`.
    pub owner: String,
}

/// A file's wish.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileWish {
    /// The absolute path.
    pub path: String,
    /// The whole text.
    pub content: Text,
    /// The mode.
    pub mode: Mode,
    /// `user:group`.
    pub owner: String,
    /// Who must agree with a new text before it takes the old one's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Judge>,
}

impl FileWish {
    /// A file of root's that nobody judges.
    pub fn new(path: impl Into<String>, content: impl Into<Text>, mode: u32) -> Self {
        let (path, content) = (path.into(), content.into());
        Self { path, content, mode: Mode(mode), owner: "root:root".into(), judge: None }
    }
}

/// A program that reads a file, and tells beforehand whether it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judge {
    /// <https://docs.haproxy.org/3.0/management.html#3>
    HaProxy,
    /// <https://www.keepalived.org/manpage.html>; it knows the host's interfaces as well.
    Keepalived,
}

impl Judge {
    /// The command that judges; the file is its last word.
    pub fn command(self) -> &'static str {
        match self {
            Self::HaProxy => "haproxy -c -f",
            Self::Keepalived => "keepalived --config-test --use-file",
        }
    }
}

/// A file's mode, shown in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mode(pub u32);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// A file that comes from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DownloadWish {
    /// The absolute path on the host.
    pub path: String,
    /// What is downloaded.
    pub artifact: Artifact,
    /// The file of it that goes there, where it is a tar archive: `bin/rke2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The mode.
    pub mode: Mode,
}

/// A published file of a known version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Artifact {
    /// What it is, for people: `k3s v1.31.4+k3s1`.
    pub name: String,
    /// Where it is published. `{arch}` stands for the host's architecture (`amd64`, `arm64`), and `{-arch}` for nothing
    /// on amd64 and for `-arm64` on arm64, as some publishers have it.
    pub url: String,
    /// How it is known to be the right one.
    pub proof: Proof,
}

impl Artifact {
    /// What is written down on the host beside a download once it was verified, so that it is known again: what it is, and
    /// not where it came from, because another mirror of the same moves nothing and restarts nothing.
    pub fn mark(&self) -> Digest {
        match &self.proof {
            Proof::Sha256(digest) => Digest::of_value(&(&self.name, digest)),
            Proof::Checksums { file, .. } => Digest::of_value(&(&self.name, file)),
        }
    }
}

/// How a download is known to be the right one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Proof {
    /// Its digest, from the lock file.
    Sha256(Digest),
    /// The publisher's list of digests at this address; the first use writes the digest into the lock file.
    Checksums {
        /// The list's address.
        url: String,
        /// The file's name in the list, with the same placeholders.
        file: String,
    },
}

/// A unit's wish.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitWish {
    /// `k3s.service`.
    pub name: String,
    /// The unit file's whole text; none for a unit that a package brings.
    pub content: Option<Text>,
    /// Started at boot.
    pub enabled: bool,
    /// Whether and how it runs.
    pub run: UnitRun,
    /// The digest of everything that the unit reads (its file, its configuration, its program). It is written down on
    /// the host when the unit starts, so a run that died between change and restart is made good by the next one.
    ///
    /// Of a unit that reads one text with secrets in it, it is that text's fingerprint; the digest of the filled text takes
    /// its place when it is written down, so that another secret needs a restart as well.
    pub reads: Digest,
}

impl UnitWish {
    /// A unit that has its whole wish in its own text, and runs from the host's start on: a timer.
    pub fn timer(name: impl Into<String>, text: String) -> Self {
        let reads = Digest::of(&text);
        Self { name: name.into(), content: Some(Text::known(text)), enabled: true, run: UnitRun::Running, reads }
    }
}

/// Whether and how a unit runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnitRun {
    /// It runs, and is restarted when what it reads has changed.
    Running,
    /// It runs, and reads again what has changed while it runs on.
    Reloading,
    /// It was started once and has done its work.
    Oneshot,
    /// A recipe enables and starts it the first time. A unit that was started before (the host knows what it read then)
    /// is treated as `Running`; one that never was is only written.
    ByRecipe,
}

/// A user's wish.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UserWish {
    /// The login name.
    pub name: String,
    /// Public keys that may log in.
    pub authorized_keys: Vec<String>,
    /// May use sudo without a password.
    pub sudo: bool,
    /// Groups.
    pub groups: Vec<String>,
    /// The login shell.
    pub shell: String,
    /// The password's hash.
    pub password_hash: Option<Text>,
}

impl UserWish {
    /// What is written down on the host once the user is as wished: what of it nobody can see there, the password, is known
    /// again by it.
    pub fn mark(&self) -> Digest {
        Digest::of_value(&self.password_hash)
    }

    /// Who may not log in is not a person, and has no home.
    pub fn has_no_home(&self) -> bool {
        ["/nologin", "/false"].iter().any(|shell| self.shell.ends_with(shell))
    }

    /// The rule by which the user may use sudo.
    pub fn sudo_rule(&self) -> String {
        format!("{} ALL=(ALL:ALL) NOPASSWD: ALL", self.name)
    }

    /// What is wished of it, a line for each.
    pub fn lines(&self) -> Vec<String> {
        let groups = self.groups.iter().map(|group| format!("group {group}"));
        let keys = self.authorized_keys.iter().map(|key| format!("key {}", short_key(key)));
        let sudo = self.sudo.then(|| "sudo without a password".to_string());
        let password = self.password_hash.as_ref().map(|_| "password as it is set".to_string());
        std::iter::once(format!("shell {}", self.shell)).chain(sudo).chain(password).chain(groups).chain(keys).collect()
    }
}

/// A public key as people know it again: its kind, its end, and its comment. What is none stays as it is.
pub fn short_key(line: &str) -> String {
    match key_words(line).as_slice() {
        [kind, key, comment @ ..] => {
            let from = key.char_indices().rev().nth(11).map_or(0, |(at, _)| at);
            let comment: String = comment.iter().map(|word| format!(" {word}")).collect();
            format!("{kind} …{}{comment}", &key[from..])
        }
        _ => line.trim().to_string(),
    }
}

/// The public key itself in a line that lets somebody in.
pub fn key_itself(line: &str) -> Option<&str> {
    key_words(line).get(1).copied()
}

/// A line's key as its kind and its text alone: `ssh-ed25519 AAAA…`.
pub fn bare_key(line: &str) -> String {
    key_words(line).into_iter().take(2).collect::<Vec<_>>().join(" ")
}

/// A line's key from its kind on: options may stand before it.
fn key_words(line: &str) -> Vec<&str> {
    let is_kind = |word: &str| ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start));
    line.split_whitespace().skip_while(|word| !is_kind(word)).collect()
}

/// A line of `/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostsEntry {
    /// The address.
    pub address: IpAddr,
    /// Its names.
    pub names: Vec<String>,
}

impl HostsEntry {
    /// The line itself.
    pub fn line(&self) -> String {
        format!("{} {}", self.address, self.names.join(" "))
    }
}

/// The SSH daemon's wish.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SshDaemonWish {
    /// The port.
    pub port: u16,
    /// Only keys, and not root.
    pub harden: bool,
}
