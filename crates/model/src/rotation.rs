//! What of a cluster's keys and certificates can be made anew while it lives.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::desired::Way;
use crate::ids::NodeName;
use crate::recipe::Recipe;

/// What is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// The certificates that the authorities of the cluster have signed: those of servers, clients, etcd and kubelets.
    Certificates,
    /// The keys on this computer by which hosts let us in.
    SshKeys,
    /// What nodes are let in with.
    JoinToken,
    /// The key that Secrets are locked with in the datastore.
    EncryptionKeys,
    /// The key that tokens of ServiceAccounts are signed with.
    ServiceAccountKeys,
}

impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Certificates => "certificates",
            Self::SshKeys => "ssh-keys",
            Self::JoinToken => "join-token",
            Self::EncryptionKeys => "encryption-keys",
            Self::ServiceAccountKeys => "service-account-keys",
        })
    }
}

/// What the file of a key that is to take another one's place is called beside it.
pub const NEXT: &str = ".next";
/// What the file of a key is called that another one has taken the place of, as long as any host may let it in.
pub const BEFORE: &str = ".before";

/// One part of a whole cluster going over to another token or key, as far as one member has to do with it. The parts come in
/// order, each when the one before is done everywhere; every recipe in them may be run twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Round {
    /// One server does it for all; agents have nothing.
    Once(Option<Arc<Recipe>>),
    /// The cluster knows the new one: what is kept on this computer moves on ([`SecretPart::TakeOver`]).
    TakesOver,
    /// It is done on every host at once, and nothing starts again.
    Everywhere(Option<Arc<Recipe>>),
    /// It is done on one member after the other, each back before the next.
    InTurn(Option<Arc<Recipe>>),
}

impl Round {
    /// What is done on this member's host, if anything.
    pub fn recipe(&self) -> Option<&Arc<Recipe>> {
        match self {
            Self::Once(recipe) | Self::Everywhere(recipe) | Self::InTurn(recipe) => recipe.as_ref(),
            Self::TakesOver => None,
        }
    }
}

/// One part of putting another secret in the place of one that is kept on this computer. Each may be done twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretPart {
    /// The new one takes the place, and the old one lies beside it from then on.
    TakeOver,
    /// Every member goes by the new one: it is pending no more.
    Settle,
}

impl SecretPart {
    /// The part for people, of a secret's name.
    pub fn title(self, secret: &str) -> String {
        match self {
            Self::TakeOver => format!("keep the new {secret} in the place of the old one, and the old one beside it"),
            Self::Settle => format!("write down that everybody goes by the new {secret}"),
        }
    }
}

/// The name of the secret that is to take another one's place, as it is kept beside it.
pub fn next_of(secret: &str) -> String {
    format!("{secret}{NEXT}")
}

/// The name under which a secret is kept that another one has taken the place of.
pub fn before_of(secret: &str) -> String {
    format!("{secret}{BEFORE}")
}

/// An SSH key on this computer, with the ones that come and go beside it. Of each of them the public half, as its kind and
/// its text: `ssh-ed25519 AAAA…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeySeen {
    /// The key in the file that the spec names.
    pub current: String,
    /// It lies open, so that another one beside it is no less safe: neither has it a password, nor is it in an SSH agent or
    /// on a stick alone.
    pub open: bool,
    /// The one that is to take its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The one whose place it has taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl KeySeen {
    /// The key whose place was taken, and that hosts may still let in. While the taking itself was cut, there is none.
    pub fn outlived(&self) -> Option<&str> {
        let half = self.next.as_ref() == Some(&self.current);
        self.before.as_deref().filter(|before| !half && *before != self.current)
    }
}

/// One part of putting another SSH key in the place of one that lies on this computer. Each may be done twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyPart {
    /// Make the new one beside it, unless one is there.
    Make,
    /// Have a host let the new one in too, and come in by it.
    Bring {
        /// Which host.
        host: NodeName,
        /// How it is reached: by the key that is in the file.
        way: Way,
    },
    /// The new one takes the file, and the old one lies beside it from then on.
    TakeOver,
    /// Come in by the key that is in the file now, and have the host let the old one in no more.
    Withdraw {
        /// Which host.
        host: NodeName,
        /// How it is reached.
        way: Way,
    },
    /// Remove the old one here: nobody lets it in.
    Drop,
}

impl KeyPart {
    /// The host that it is done on, where it is not done on this computer.
    pub fn host(&self) -> Option<&NodeName> {
        match self {
            Self::Bring { host, .. } | Self::Withdraw { host, .. } => Some(host),
            Self::Make | Self::TakeOver | Self::Drop => None,
        }
    }

    /// The part for people, of the key in a file.
    pub fn title(&self, file: &Arc<str>) -> String {
        match self {
            Self::Make => format!("make a new SSH key beside {file}"),
            Self::Bring { host, .. } => format!("let the new SSH key in, and come in by it, on {host}"),
            Self::TakeOver => format!("put the new SSH key in the place of {file}"),
            Self::Withdraw { host, .. } => format!("let the old SSH key in no more on {host}"),
            Self::Drop => format!("remove the old SSH key beside {file}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_outlived_only_when_another_one_is_whole_in_its_place() {
        let seen = |current: &str, next: Option<&str>, before: Option<&str>| {
            let text = |it: Option<&str>| it.map(str::to_string);
            let seen = KeySeen { current: current.into(), open: true, next: text(next), before: text(before) };
            seen.outlived().map(str::to_string)
        };
        assert_eq!(seen("new", None, Some("old")), Some("old".into()));
        assert_eq!(seen("new", Some("third"), Some("old")), Some("old".into()), "one after the other");
        assert_eq!(seen("old", Some("new"), Some("old")), None, "the old one was only put aside yet");
        assert_eq!(seen("new", Some("new"), Some("old")), None, "only one half has moved");
        assert_eq!(seen("old", None, Some("old")), None, "somebody has put it back");
        assert_eq!(seen("old", None, None), None);
    }
}
