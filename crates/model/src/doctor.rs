//! What is wrong with a cluster that stands: what was seen of every layer, and the causes that follow from it.
//!
//! [`Evidence`] is what was looked at, as its programs print it; a check is a pure function over it; a [`Finding`] is what a
//! check says. Start reading at [`Diagnosis`].

mod evidence;
mod index;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::host::HostResource;
use crate::ids::NodeName;

pub use evidence::{Evidence, Lists, Paper, Papers};
pub use index::INDEX;

/// Where a check looks, from the ground up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Machines at their providers.
    Machines,
    /// The system of a host: its kernel, its units.
    Hosts,
    /// Filesystems and disks.
    Disks,
    /// Clocks.
    Time,
    /// Certificates of the cluster itself.
    Certificates,
    /// The datastore.
    Etcd,
    /// The container runtime.
    Runtime,
    /// Networks of hosts and pods.
    Network,
    /// Names inside the cluster.
    Dns,
    /// What kubeadm has made.
    Kubeadm,
    /// What Talos runs.
    Talos,
    /// Kubernetes' nodes.
    Nodes,
    /// Images of containers.
    Images,
    /// Pods.
    Pods,
    /// Volumes.
    Storage,
    /// What the API asks before it answers, and what keeps objects from going.
    Api,
    /// What stands before Services and the API.
    Balancers,
    /// The way from a browser to a pod.
    Reach,
    /// Helm's releases.
    Releases,
    /// Argo CD's applications and cert-manager's certificates.
    Gitops,
}

impl Layer {
    /// The layer's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Machines => "machines",
            Self::Hosts => "hosts",
            Self::Disks => "disks",
            Self::Time => "time",
            Self::Certificates => "certificates",
            Self::Etcd => "etcd",
            Self::Runtime => "runtime",
            Self::Network => "network",
            Self::Dns => "dns",
            Self::Kubeadm => "kubeadm",
            Self::Talos => "talos",
            Self::Nodes => "nodes",
            Self::Images => "images",
            Self::Pods => "pods",
            Self::Storage => "storage",
            Self::Api => "api",
            Self::Balancers => "balancers",
            Self::Reach => "reach",
            Self::Releases => "releases",
            Self::Gitops => "gitops",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What the index says of a check.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name, which never changes its meaning: `disk-full`.
    pub id: &'static str,
    /// Where it looks.
    pub layer: Layer,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// What it looks at.
    pub looks_at: &'static str,
    /// Why that is wrong, and what is done about it.
    pub text: &'static str,
}

/// The entry of a check; none where no check is called so.
pub fn entry(id: &str) -> Option<&'static Entry> {
    INDEX.iter().find(|entry| entry.id == id)
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// Something does not work.
    Sick,
    /// It works, and will not for long, or not after the next fault.
    Risk,
}

/// What a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// What kind of thing: `host`, `node`, `Pod`, `Service`.
    pub kind: String,
    /// The host or node that it is or is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// Its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl Place {
    /// A host.
    pub fn host(name: &NodeName) -> Self {
        Self { kind: "host".into(), node: Some(name.clone()), ..Self::default() }
    }

    /// A node of Kubernetes.
    pub fn node(name: &str) -> Self {
        Self { kind: "node".into(), node: Some(name.into()), ..Self::default() }
    }

    /// The cluster as a whole.
    pub fn cluster() -> Self {
        Self { kind: "cluster".into(), ..Self::default() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        match (&self.namespace, self.name.as_str(), &self.node) {
            (Some(namespace), name, _) => write!(f, " {namespace}/{name}"),
            (None, "", Some(node)) => write!(f, " {node}"),
            (None, "", None) => Ok(()),
            (None, name, _) => write!(f, " {name}"),
        }
    }
}

/// A deed that repairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mend {
    /// Start a unit of a host that does not run.
    Start {
        /// Which host.
        host: NodeName,
        /// Which unit.
        unit: String,
    },
    /// Restart a unit of a host that runs.
    Restart {
        /// Which host.
        host: NodeName,
        /// Which unit.
        unit: String,
    },
    /// Run commands on a host.
    Run {
        /// Which host.
        host: NodeName,
        /// What they do, for people.
        title: String,
        /// Programs with their arguments; no shell.
        commands: Vec<Vec<String>>,
    },
    /// Make something true of a host.
    Make {
        /// Which host.
        host: NodeName,
        /// What.
        resources: Vec<HostResource>,
    },
    /// Put pods on a node again.
    Uncordon(NodeName),
    /// Take taints from a node.
    Untaint {
        /// Which node.
        node: NodeName,
        /// The taints, as `key=value:Effect`.
        taints: Vec<String>,
    },
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { host, unit } => write!(f, "start {unit} on {host}"),
            Self::Restart { host, unit } => write!(f, "restart {unit} on {host}"),
            Self::Run { host, title, .. } => write!(f, "{title} on {host}"),
            Self::Make { host, resources } => {
                let keys: Vec<String> = resources.iter().map(HostResource::key).collect();
                write!(f, "set {} on {host}", keys.join(", "))
            }
            Self::Uncordon(node) => write!(f, "uncordon {node}"),
            Self::Untaint { node, taints } => write!(f, "take {} from {node}", taints.join(", ")),
        }
    }
}

/// How a finding is repaired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Repair {
    /// The spec says it already: `kubewright apply` makes it so. What it is about, as `--only` takes it: a repair never does
    /// all else that an apply would.
    Apply(Vec<String>),
    /// `kubewright doctor --fix` does this.
    Mend(Vec<Mend>),
    /// Somebody has to decide or to know more: these are the commands and the words.
    ByHand(Vec<String>),
}

/// What is to be repaired: what [`Repair`]s of causes come to together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repairs {
    /// Deeds, in order.
    pub mends: Vec<Mend>,
    /// What the spec says already is made so too: of that only these parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<Vec<String>>,
}

impl Repairs {
    /// Whether there is nothing that a program could repair.
    pub fn is_empty(&self) -> bool {
        self.mends.is_empty() && self.apply.is_none()
    }
}

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check, by its name in [`INDEX`].
    pub check: String,
    /// What it is about.
    pub place: Place,
    /// How bad it is.
    pub gravity: Gravity,
    /// What is wrong, in one sentence without a full stop.
    pub cause: String,
    /// The lines that show it, as they were seen.
    pub evidence: Vec<String>,
    /// How it is repaired.
    pub repair: Repair,
}

impl Finding {
    /// Something that does not work. Its check's name is written on it by whoever asks the check.
    pub fn sick(place: Place, cause: impl Into<String>) -> Self {
        let (gravity, repair) = (Gravity::Sick, Repair::ByHand(Vec::new()));
        Self { check: String::new(), place, gravity, cause: cause.into(), evidence: Vec::new(), repair }
    }

    /// Something that still works.
    pub fn risk(place: Place, cause: impl Into<String>) -> Self {
        Self { gravity: Gravity::Risk, ..Self::sick(place, cause) }
    }

    /// The same, with lines that show it.
    #[must_use]
    pub fn shown<T: Into<String>>(mut self, lines: impl IntoIterator<Item = T>) -> Self {
        self.evidence.extend(lines.into_iter().map(Into::into));
        self
    }

    /// The same, which somebody repairs with these commands or words.
    #[must_use]
    pub fn by_hand<T: Into<String>>(self, words: impl IntoIterator<Item = T>) -> Self {
        Self { repair: Repair::ByHand(words.into_iter().map(Into::into).collect()), ..self }
    }

    /// The same, which these deeds repair.
    #[must_use]
    pub fn mended(self, deeds: impl IntoIterator<Item = Mend>) -> Self {
        Self { repair: Repair::Mend(deeds.into_iter().collect()), ..self }
    }

    /// The same, which `kubewright apply` repairs; of all that it does, this part.
    #[must_use]
    pub fn applied<T: Into<String>>(self, only: impl IntoIterator<Item = T>) -> Self {
        Self { repair: Repair::Apply(only.into_iter().map(Into::into).collect()), ..self }
    }

    /// Where its check looks.
    pub fn layer(&self) -> Layer {
        entry(&self.check).map_or(Layer::Hosts, |entry| entry.layer)
    }
}

/// A root cause, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// What is wrong.
    pub finding: Finding,
    /// What is wrong only because of it.
    pub consequences: Vec<Finding>,
}

/// What could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unseen {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Everything that is wrong, and everything that nobody knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Root causes, those first that do most harm.
    pub causes: Vec<Cause>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
    /// How many checks were asked.
    pub checks: usize,
    /// The cluster answered. One that does not is not healthy, whatever else was seen.
    pub answered: bool,
}

impl Diagnosis {
    /// Whether something does not work, or the cluster does not answer.
    pub fn is_sick(&self) -> bool {
        !self.answered || self.findings().any(|finding| finding.gravity == Gravity::Sick)
    }

    /// All findings, each cause before its consequences.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.causes.iter().flat_map(|cause| std::iter::once(&cause.finding).chain(&cause.consequences))
    }

    /// What a program can repair of the causes. What follows from them goes with them, but for units that systemd has given
    /// up: those are started again once their cause is repaired.
    pub fn repairs(&self) -> Repairs {
        let mut repairs = Repairs::default();
        let mut only = Vec::new();
        for cause in &self.causes {
            match &cause.finding.repair {
                Repair::Mend(mends) => repairs.mends.extend(mends.iter().cloned()),
                Repair::Apply(words) => only.extend(words.iter().filter(|word| !word.is_empty()).cloned()),
                // What somebody has to see to first would only stop them again.
                Repair::ByHand(_) if cause.finding.gravity == Gravity::Sick => continue,
                Repair::ByHand(_) => {}
            }
            let mends = cause.consequences.iter().filter_map(|it| match &it.repair {
                Repair::Mend(mends) => Some(mends),
                Repair::Apply(_) | Repair::ByHand(_) => None,
            });
            repairs.mends.extend(mends.flatten().filter(|mend| matches!(mend, Mend::Start { .. })).cloned());
        }
        only.sort();
        only.dedup();
        repairs.apply = Some(only).filter(|only| !only.is_empty());
        let mut once: Vec<Mend> = Vec::new();
        for mend in std::mem::take(&mut repairs.mends) {
            if !once.contains(&mend) {
                once.push(mend);
            }
        }
        repairs.mends = once;
        // What is set is set before anything is started with it, and who runs waits for those who are to come back.
        repairs.mends.sort_by_key(|mend| match mend {
            Mend::Make { .. } | Mend::Run { .. } | Mend::Uncordon(_) | Mend::Untaint { .. } => 0,
            Mend::Start { .. } => 1,
            Mend::Restart { .. } => 2,
        });
        repairs
    }

    /// The causes' findings: what has to be repaired.
    pub fn roots(&self) -> impl Iterator<Item = &Finding> {
        self.causes.iter().map(|cause| &cause.finding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_checks_are_in_kebab_case_and_once() {
        let mut seen = std::collections::BTreeSet::new();
        for entry in INDEX {
            assert!(seen.insert(entry.id), "{} is there twice", entry.id);
            assert!(entry.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{}", entry.id);
            assert!(!entry.title.ends_with('.') && entry.text.ends_with('.'), "{}", entry.id);
        }
    }

    #[test]
    fn a_unit_that_follows_from_a_cause_is_started_after_it() {
        let start = || Mend::Start { host: "a".into(), unit: "k3s.service".into() };
        let unit = || Finding::sick(Place::host(&"a".into()), "k3s does not run").mended([start()]);
        let swap = Finding::sick(Place::host(&"a".into()), "swap is on").applied(["a"]);
        let diagnosis = |finding: Finding| Diagnosis {
            causes: vec![Cause { finding, consequences: vec![unit()] }],
            ..Diagnosis::default()
        };
        let repairs = diagnosis(swap).repairs();
        assert_eq!((repairs.mends, repairs.apply), (vec![start()], Some(vec!["a".to_string()])));
        // What takes its port is there still.
        let taken = Finding::sick(Place::host(&"a".into()), "its port is taken").by_hand(["stop the other one"]);
        assert!(diagnosis(taken).repairs().is_empty());
        // What is over, as a kill for memory, stops nobody any more.
        let over = Finding::risk(Place::host(&"a".into()), "it was killed").by_hand(["give it more"]);
        assert_eq!(diagnosis(over).repairs().mends, [start()]);
    }

    #[test]
    fn a_place_says_what_it_is() {
        let pod = Place { kind: "Pod".into(), namespace: Some("web".into()), name: "a".into(), node: Some("n".into()) };
        assert_eq!(pod.to_string(), "Pod web/a");
        assert_eq!(Place::host(&"cp-1".into()).to_string(), "host cp-1");
        assert_eq!(Place::cluster().to_string(), "cluster");
    }
}
