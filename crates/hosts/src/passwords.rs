//! Passwords on the way to a host, which no file of ours holds: whoever made the hands is asked for each of them once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kubewright_model::ids::HoleName;
use kubewright_model::secret::Secret;
use tokio::sync::Mutex;

/// A password that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Password {
    /// sudo's, by the name of the secret that the spec says it is.
    Sudo(HoleName),
    /// The user's, for a first contact, by the name of the secret that the spec says it is.
    First(HoleName),
    /// The one that opens a private key's file.
    Key(PathBuf),
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sudo(hole) => write!(f, "sudo's password ({hole})"),
            Self::First(hole) => write!(f, "the password for the first contact ({hole})"),
            Self::Key(path) => write!(f, "the password of {}", path.display()),
        }
    }
}

/// Gives a password, or says why not. It may ask a person and wait for the answer.
pub type Ask = Arc<dyn Fn(&Password) -> Result<Secret, String> + Send + Sync>;

/// Passwords that were asked for, with the answers.
pub(crate) struct Passwords {
    ask: Ask,
    answers: Mutex<BTreeMap<Password, Result<Secret, String>>>,
}

impl Passwords {
    pub(crate) fn new(ask: Ask) -> Self {
        Self { ask, answers: Mutex::default() }
    }

    /// The password of a key's file.
    pub(crate) async fn key(&self, path: &Path) -> Result<Secret, String> {
        self.get(Password::Key(path.to_path_buf())).await
    }

    /// Another key lies in a file: what was said of the one that lay there does not hold.
    pub(crate) async fn forget(&self, path: &Path) {
        self.answers.lock().await.remove(&Password::Key(path.to_path_buf()));
    }

    /// The password for a first contact.
    pub(crate) async fn first(&self, hole: &HoleName) -> Result<Secret, String> {
        self.get(Password::First(hole.clone())).await
    }

    /// sudo's password.
    pub(crate) async fn sudo(&self, hole: &HoleName) -> Result<Secret, String> {
        self.get(Password::Sudo(hole.clone())).await
    }

    /// Whoever comes second waits for the first one's answer, and nobody is asked twice: not after a refusal either.
    async fn get(&self, wanted: Password) -> Result<Secret, String> {
        let mut answers = self.answers.lock().await;
        if let Some(answer) = answers.get(&wanted) {
            return answer.clone();
        }
        let (ask, what) = (Arc::clone(&self.ask), wanted.clone());
        // A person takes long, and other hosts go on meanwhile.
        let asked = tokio::task::spawn_blocking(move || ask(&what)).await;
        let answer = asked.unwrap_or_else(|error| Err(error.to_string()));
        answers.insert(wanted, answer.clone());
        answer
    }
}
