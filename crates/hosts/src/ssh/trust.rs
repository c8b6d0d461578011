//! Whether a host is the one that we know, by its key.
//!
//! A key that is known must be the one that the host shows. A host that nobody knows yet is taken at its word once and
//! written into a file of ours, never into the user's own; from then on it must keep it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kubewright_model::net::HostPort;
use russh::client::{Handler, Session};
use russh::keys::known_hosts::learn_known_hosts_path;
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate, parse_public_key_base64};
use russh::{ChannelId, ChannelOpenFailure};

use super::known::{self, Line};
use crate::shell::quote;

/// Hears one line for a person.
pub type Tell = Arc<dyn Fn(String) + Send + Sync>;

/// Files of known host keys.
#[derive(Clone)]
pub(crate) struct KnownHosts {
    /// The user's own files, which are only read.
    pub(crate) users: Vec<PathBuf>,
    /// Our file, which learns.
    pub(crate) ours: PathBuf,
    /// A host that nobody knows is taken at its word. Who is not is known at another port, or not at all.
    pub(crate) learns: bool,
    /// Hears of each key that was learnt: whoever takes a host at its word should be able to look.
    pub(crate) tell: Tell,
}

/// What came of looking at a host's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the key that we know.
    Known,
    /// Nobody knew the host at this port; its key is known from now on.
    Learnt {
        /// The key's fingerprint.
        fingerprint: String,
        /// The port at which we know the same key.
        same_at: Option<u16>,
    },
    /// Another key is known for this host.
    Changed {
        /// The fingerprint of the key that the host shows.
        shown: String,
        /// The fingerprint of the key that is known.
        known: String,
        /// Where the known key stands.
        place: String,
        /// What to do about it where the new key is right.
        mend: String,
    },
    /// The key was revoked.
    Revoked {
        /// The fingerprint of the key that the host shows.
        shown: String,
        /// Where it stands.
        place: String,
    },
    /// What is known cannot be read, or the key could not be written down.
    Unkept {
        /// Why.
        why: String,
    },
}

impl KnownHosts {
    /// The kinds of keys that are known of a host, so that it is asked for one of those: a host that shows a new kind of
    /// key beside a known one could be anybody.
    pub(crate) fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        // What cannot be read is told when the key is judged.
        let lines = self.files().flat_map(|file| known::lines(file, host, port).unwrap_or_default());
        lines.filter(|line| !line.revoked).map(|line| line.key.algorithm()).collect()
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.users.iter().chain([&self.ours])
    }

    /// The ports at which we have learnt keys of a host.
    pub(crate) fn ports(&self, host: &str) -> Vec<u16> {
        known::ports(&self.ours, host).into_iter().map(|(port, _)| port).collect()
    }

    /// Forgets what our file says of a host, and writes down the key that it has now. The user's files stay as they are.
    pub(crate) fn renew(&self, host: &str, port: u16, key: Option<&str>) -> Result<(), String> {
        let key = key.map(Pin::parse).transpose()?;
        let old: Vec<usize> = known::lines(&self.ours, host, port)?.into_iter().map(|line| line.number).collect();
        let unkept = |why: &dyn std::fmt::Display| format!("{} cannot be written: {why}", self.ours.display());
        if !old.is_empty() {
            let text = std::fs::read_to_string(&self.ours).map_err(|error| unkept(&error))?;
            let kept = text.lines().zip(1..).filter(|(_, number)| !old.contains(number));
            let kept: String = kept.map(|(line, _)| format!("{line}\n")).collect();
            // Beside it first: a file that is cut short would make strangers of hosts that are known.
            let beside = self.ours.with_extension("new");
            let written = std::fs::write(&beside, kept).and_then(|()| std::fs::rename(&beside, &self.ours));
            written.map_err(|error| unkept(&error))?;
        }
        match key {
            Some(Pin::Key(key)) => learn_known_hosts_path(host, port, &key, &self.ours).map_err(|error| unkept(&error)),
            _ => Ok(()),
        }
    }

    /// Judges a key, and learns one that is new.
    fn judge(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let mut lines = Vec::new();
        for file in self.files() {
            match known::lines(file, host, port) {
                Ok(more) => lines.extend(more.into_iter().map(|line| (file, line))),
                Err(why) => return Verdict::Unkept { why },
            }
        }
        let place = |file: &Path, line: &Line| format!("{}, line {}", file.display(), line.number);
        let same = |line: &Line| line.key.key_data() == key.key_data();
        if let Some((file, line)) = lines.iter().find(|(_, line)| line.revoked && same(line)) {
            return Verdict::Revoked { shown: fingerprint(key), place: place(file, line) };
        }
        lines.retain(|(_, line)| !line.revoked);
        if lines.iter().any(|(_, line)| same(line)) {
            return Verdict::Known;
        }
        // A host that has one of the kinds that are known is asked for that one: who shows another kind has none of them.
        lines.sort_by_key(|(_, line)| line.key.algorithm() != key.algorithm());
        if let Some((file, line)) = lines.first() {
            let (shown, known) = (fingerprint(key), fingerprint(&line.key));
            let forget =
                format!("ssh-keygen -f {} -R {}", quote(&file.to_string_lossy()), quote(&known::name(host, port)));
            let mend = format!("forget the old one with `{forget}`");
            return Verdict::Changed { shown, known, place: place(file, line), mend };
        }
        let known = known::ports(&self.ours, host);
        let same_at = known.into_iter().find(|(_, other)| other.key_data() == key.key_data()).map(|(port, _)| port);
        if same_at.is_none() && !self.learns {
            return Verdict::Unkept { why: "nobody knows its key at this port".into() };
        }
        match learn_known_hosts_path(host, port, key, &self.ours) {
            Ok(()) => Verdict::Learnt { fingerprint: fingerprint(key), same_at },
            Err(error) => {
                Verdict::Unkept { why: format!("its key cannot be written into {}: {error}", self.ours.display()) }
            }
        }
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// A key that a host must show, known before the first contact: whole, or by its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pin {
    Key(PublicKey),
    Fingerprint(String),
}

impl Pin {
    /// Reads `ssh-ed25519 AAAA…` or `SHA256:…`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("SHA256:") {
            return Ok(Self::Fingerprint(text.trim_end_matches('=').to_string()));
        }
        let key = text.split_whitespace().nth(1).and_then(|key| parse_public_key_base64(key).ok());
        key.map(Self::Key).ok_or_else(|| format!("`{text}` is no public key and no fingerprint of one"))
    }

    /// The kind of key that the host must have, where that is known.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Key(key) => Some(key.algorithm()),
            Self::Fingerprint(_) => None,
        }
    }

    /// The line of a file of known hosts; none where only the key's fingerprint is known.
    pub(crate) fn line(&self, host: &str, port: u16) -> Option<String> {
        match self {
            Self::Key(key) => Some(format!("{} {}", known::name(host, port), key.to_openssh().ok()?)),
            Self::Fingerprint(_) => None,
        }
    }

    fn judge(&self, key: &PublicKey) -> Verdict {
        let (shown, known) = match self {
            Self::Key(known) => (fingerprint(key), fingerprint(known)),
            Self::Fingerprint(known) => (fingerprint(key), known.clone()),
        };
        if shown == known {
            return Verdict::Known;
        }
        let mend =
            "write the new one in its place: under `existing.hostKeys`, or as `hostKey` of an SFTP server".to_string();
        Verdict::Changed { shown, known, place: "the spec".into(), mend }
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => f.write_str(&fingerprint(key)),
            Self::Fingerprint(known) => f.write_str(known),
        }
    }
}

/// Judges the key that a host shows while a connection is made.
pub(crate) struct Judge {
    /// What it must be, whatever any file says.
    pub(crate) pin: Option<Pin>,
    pub(crate) known: KnownHosts,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What came of it, for those who made the connection.
    pub(crate) verdict: Arc<Mutex<Option<Verdict>>>,
    /// What it says later of channels that it does not open.
    pub(crate) said: Said,
}

/// What a host said of the last channel that it did not open: the library's own error has the number alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said(Arc<Mutex<Option<String>>>);

impl Said {
    pub(crate) fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Handler for Judge {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let key = shown.public_key();
        let verdict = match &self.pin {
            Some(pin) => pin.judge(&key),
            None => self.known.judge(&self.host, self.port, &key),
        };
        if let Verdict::Learnt { fingerprint, same_at } = &verdict {
            let host = match self.port {
                22 => self.host.clone(),
                port => HostPort::new(self.host.as_str(), port).to_string(),
            };
            let same = same_at.map(|port| format!(", the same as at port {port}")).unwrap_or_default();
            (self.known.tell)(format!("learnt the key of {host}: {fingerprint}{same}"));
        }
        let trusted = matches!(verdict, Verdict::Known | Verdict::Learnt { .. });
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        Ok(trusted)
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        *self.said.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(description.to_string());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    #[test]
    fn a_host_that_is_made_anew_is_known_by_its_new_key_or_by_none() {
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users");
        let ours = folder.path().join("ours");
        let known = KnownHosts { users: vec![users.clone()], ours, learns: true, tell: Arc::new(|_| {}) };
        let key = |text: &str| match Pin::parse(text) {
            Ok(Pin::Key(key)) => key,
            other => panic!("{other:?}"),
        };
        assert!(matches!(known.judge("10.0.0.5", 2222, &key(ONE)), Verdict::Learnt { .. }));
        assert!(matches!(known.judge("10.0.0.6", 22, &key(ONE)), Verdict::Learnt { .. }));
        assert!(matches!(known.judge("10.0.0.5", 2222, &key(OTHER)), Verdict::Changed { .. }));
        known.renew("10.0.0.5", 2222, Some(OTHER)).unwrap();
        assert_eq!(known.judge("10.0.0.5", 2222, &key(OTHER)), Verdict::Known, "before it was ever seen");
        assert!(matches!(known.judge("10.0.0.5", 2222, &key(ONE)), Verdict::Changed { .. }));
        assert_eq!(known.judge("10.0.0.6", 22, &key(ONE)), Verdict::Known, "others stay known");
        known.renew("10.0.0.5", 2222, None).unwrap();
        assert!(matches!(known.judge("10.0.0.5", 2222, &key(ONE)), Verdict::Learnt { .. }));
        // At another port it is told by the key, and where nobody knows that it is not learnt.
        let strict = KnownHosts { learns: false, ..known.clone() };
        assert!(matches!(strict.judge("10.0.0.6", 2022, &key(OTHER)), Verdict::Unkept { .. }));
        assert!(matches!(strict.judge("10.0.0.6", 2022, &key(ONE)), Verdict::Learnt { same_at: Some(22), .. }));
        assert_eq!(known.ports("10.0.0.6"), [22, 2022]);
        assert_eq!(known.ports("10.0.0.5"), [2222]);
        // What the user wrote down is the user's.
        std::fs::write(&users, format!("10.0.0.7 {ONE}\n")).unwrap();
        known.renew("10.0.0.7", 22, None).unwrap();
        assert!(matches!(known.judge("10.0.0.7", 22, &key(OTHER)), Verdict::Changed { .. }));
    }
}
