//! What was looked at: per host a set of papers, of the cluster lists of objects, of this computer its names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::NodeName;
use crate::observed::{Power, Seen};

/// The output of a program, or the text of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Paper {
    /// What it says.
    Text {
        /// Its lines.
        text: String,
        /// How its program ended; 0 for a file.
        status: i32,
    },
    /// There is no such program or file.
    NotThere,
    /// Its program was given up before it had answered, or somebody else was at work on what it tells of.
    Late,
}

/// The papers of a host, by name: `df`, `mounts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Papers {
    /// They.
    pub papers: BTreeMap<String, Paper>,
    /// What the clock of this computer showed when the host told its own, in seconds since 1970.
    pub asked: u64,
}

impl Papers {
    /// A paper's text; none where it is not there.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.papers.get(name)? {
            Paper::Text { text, .. } => Some(text),
            Paper::NotThere | Paper::Late => None,
        }
    }

    /// A paper's lines; none where it is not there.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        self.text(name).unwrap_or_default().lines()
    }

    /// The lines of a paper as words, without its first line: a table's rows.
    pub fn rows(&self, name: &str) -> impl Iterator<Item = Vec<&str>> {
        self.lines(name).skip(1).map(|line| line.split_whitespace().collect())
    }

    /// Whether it was asked for and is not there.
    pub fn lacks(&self, name: &str) -> bool {
        matches!(self.papers.get(name), Some(Paper::NotThere))
    }

    /// Whether its program was given up before it had answered.
    pub fn is_late(&self, name: &str) -> bool {
        matches!(self.papers.get(name), Some(Paper::Late))
    }

    /// How the program of a paper ended.
    pub fn status(&self, name: &str) -> Option<i32> {
        match self.papers.get(name)? {
            Paper::Text { status, .. } => Some(*status),
            Paper::NotThere | Paper::Late => None,
        }
    }
}

/// Lists of objects, by the plural name of their kind: `pods`, `ipaddresspools`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lists {
    /// The objects of each kind that could be listed. A kind that the cluster does not have is not among them.
    pub items: BTreeMap<String, Vec<Value>>,
    /// Kinds that could not be listed, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unlisted: BTreeMap<String, String>,
}

impl Lists {
    /// The objects of a kind; none where it is not there.
    pub fn of(&self, kind: &str) -> &[Value] {
        self.items.get(kind).map_or(&[], Vec::as_slice)
    }

    /// Whether a kind was listed.
    pub fn has(&self, kind: &str) -> bool {
        self.items.contains_key(kind)
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// When, in seconds since 1970, by the clock of this computer.
    pub now: u64,
    /// Hosts.
    pub hosts: BTreeMap<NodeName, Seen<Papers>>,
    /// Machines at their providers.
    pub machines: BTreeMap<NodeName, Seen<Power>>,
    /// The cluster's objects; none where nobody looked.
    pub cluster: Option<Seen<Lists>>,
    /// What names of ingresses this computer resolves to: addresses, or why not.
    pub names: BTreeMap<String, Result<Vec<String>, String>>,
}
