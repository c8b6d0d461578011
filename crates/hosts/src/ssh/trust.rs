//! Whether a host is the one that we know, by its key.
//!
//! A key that is known must be the one that the host shows. A host that nobody knows yet is taken at its word once and
//! written into a file of ours, never into the user's own; from then on it must keep it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kubewright_model::net::HostPort;
use russh::client::Handler;
use russh::keys::known_hosts::{known_host_keys_path, learn_known_hosts_path};
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};

/// Hears one line for a person.
pub type Tell = Arc<dyn Fn(String) + Send + Sync>;

/// Files of known host keys.
#[derive(Clone)]
pub(crate) struct KnownHosts {
    /// The user's own files, which are only read.
    pub(crate) users: Vec<PathBuf>,
    /// Our file, which learns.
    pub(crate) ours: PathBuf,
    /// Hears of each key that was learnt: whoever takes a host at its word should be able to look.
    pub(crate) tell: Tell,
}

/// What came of looking at a host's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the key that we know.
    Known,
    /// Nobody knew the host; its key is known from now on.
    Learnt {
        /// The key's fingerprint.
        fingerprint: String,
    },
    /// Another key is known for this host.
    Changed {
        /// The fingerprint of the key that the host shows.
        shown: String,
        /// The fingerprint of the key that is known.
        known: String,
        /// Where the known key stands.
        place: String,
    },
    /// The key could not be written down.
    Unkept {
        /// Why.
        why: String,
    },
}

impl KnownHosts {
    /// The kinds of keys that are known of a host, so that it is asked for one of those: a host that shows a new kind of
    /// key beside a known one could be anybody.
    pub(crate) fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let files = self.users.iter().chain([&self.ours]);
        files.flat_map(|file| keys(file, host, port)).map(|(_, key)| key.algorithm()).collect()
    }

    /// Judges a key, and learns one that is new.
    fn judge(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let mut other = None;
        for file in self.users.iter().chain([&self.ours]) {
            for (line, known) in keys(file, host, port) {
                if known.key_data() == key.key_data() {
                    return Verdict::Known;
                }
                // Keys of another kind say nothing about this one; hosts have one of each.
                if known.algorithm() == key.algorithm() {
                    other.get_or_insert((known, format!("{}, line {line}", file.display())));
                }
            }
        }
        if let Some((known, place)) = other {
            return Verdict::Changed { shown: fingerprint(key), known: fingerprint(&known), place };
        }
        match learn_known_hosts_path(host, port, key, &self.ours) {
            Ok(()) => Verdict::Learnt { fingerprint: fingerprint(key) },
            Err(error) => Verdict::Unkept { why: format!("{}: {error}", self.ours.display()) },
        }
    }
}

/// The keys that a file knows of a host. A file that is not there knows none.
fn keys(file: &Path, host: &str, port: u16) -> Vec<(usize, PublicKey)> {
    known_host_keys_path(host, port, file).unwrap_or_default()
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Judges the key that a host shows while a connection is made.
pub(crate) struct Judge {
    pub(crate) known: KnownHosts,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What came of it, for those who made the connection.
    pub(crate) verdict: Arc<Mutex<Option<Verdict>>>,
}

impl Handler for Judge {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let verdict = self.known.judge(&self.host, self.port, &shown.public_key());
        if let Verdict::Learnt { fingerprint } = &verdict {
            let host = match self.port {
                22 => self.host.clone(),
                port => HostPort::new(self.host.as_str(), port).to_string(),
            };
            (self.known.tell)(format!("learnt the key of {host}: {fingerprint}"));
        }
        let trusted = matches!(verdict, Verdict::Known | Verdict::Learnt { .. });
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        Ok(trusted)
    }
}
