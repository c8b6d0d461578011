//! Argo CD's Applications as they are seen, and what may be done for those that are stuck.
//! <https://argo-cd.readthedocs.io/en/release-2.13/operator-manual/application.yaml>

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{Namespace, ObjectName};
use crate::spec::verify::ApplicationCheck;
use crate::units::Span;

/// Applications that a run waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredApplications {
    /// What must hold of them.
    pub check: ApplicationCheck,
    /// How long they may take together.
    pub timeout: Span,
}

/// An Application, as Argo CD tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSeen {
    /// Its name.
    pub name: ObjectName,
    /// Where the Application itself is: `argocd`.
    pub namespace: Namespace,
    /// `Synced`, `OutOfSync` or `Unknown`; empty while Argo CD has not looked at it.
    pub sync: String,
    /// `Healthy`, `Progressing`, `Degraded`, `Suspended`, `Missing` or `Unknown`; empty while Argo CD has not looked at it.
    pub health: String,
    /// The last sync: `Running`, `Terminating`, `Succeeded`, `Failed` or `Error`; empty when there was none.
    pub phase: String,
    /// What is said of the last sync.
    pub message: String,
    /// What is wrong with it, as its conditions say: their type, and the message.
    pub conditions: Vec<(String, String)>,
    /// Its resources that are not as they should be, each in a few words.
    pub resources: Vec<String>,
    /// Argo CD syncs it by itself.
    pub automated: bool,
    /// Somebody has asked for a sync that has not begun.
    pub asked: bool,
}

impl ApplicationSeen {
    /// Whether a sync is on its way.
    pub fn is_syncing(&self) -> bool {
        self.asked || matches!(self.phase.as_str(), "Running" | "Terminating")
    }

    /// Whether the last sync came to nothing.
    pub fn has_failed(&self) -> bool {
        matches!(self.phase.as_str(), "Failed" | "Error")
    }

    /// All that is said of why it is as it is.
    pub fn complaints(&self) -> impl Iterator<Item = &str> {
        let last = (self.has_failed() || self.is_syncing()).then_some(self.message.as_str());
        let conditions = self.conditions.iter().map(|(_, message)| message.as_str());
        last.into_iter().filter(|message| !message.is_empty()).chain(conditions)
    }
}

/// What helps an application that is stuck. The enum is closed: nothing else is ever done for one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Remedy {
    /// Make a namespace that it is put into and that nobody makes. It is nobody's afterwards, as made by hand.
    MakeNamespace(Namespace),
    /// Delete the pods of Argo CD's repo-server; others come in their place.
    RestartRepoServer(Namespace),
    /// Ask Argo CD to look at it anew and to sync it: by itself it does not try a commit again that has failed.
    Sync {
        /// Where the Application is.
        namespace: Namespace,
        /// Which.
        name: ObjectName,
    },
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeNamespace(namespace) => write!(f, "make namespace {namespace}"),
            Self::RestartRepoServer(_) => f.write_str("restart Argo CD's repo-server"),
            Self::Sync { name, .. } => write!(f, "ask for the sync of {name} again"),
        }
    }
}
