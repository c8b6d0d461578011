//! The seam to Kubernetes: its API and Helm.

mod real;

pub use real::RealCluster;
pub(crate) use real::{KUBECONFIG, SERVER_NAME, cache, few, helm_archive};

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use kubewright_hosts::{Hears, Holes, Question};
use kubewright_model::applications::{ApplicationSeen, Remedy};
pub use kubewright_model::checked::Checked;
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Desired, DesiredRelease};
use kubewright_model::doctor::Lists;
use kubewright_model::ids::{Namespace, NodeName, ObjectName, Owner, ReleaseName};
use kubewright_model::object::{Manifest, ObjectId};
use kubewright_model::observed::{ClusterSeen, Rendered, Seen};
use kubewright_model::plan::{NodeMarks, Note, WorkloadImage};
use kubewright_model::secret::Secret;
use kubewright_model::units::Span;

use crate::airgap::Packable;
use kubewright_model::vault::DesiredVault;

/// Takes objects one by one, in full; an error ends it.
pub type Each<'e> = &'e mut (dyn FnMut(&serde_json::Value) -> Result<(), String> + Send);

/// Hands on a cluster. What a method is told to delete it deletes only if it carries our mark.
#[async_trait]
pub trait ClusterApi: Send + Sync {
    /// Looks at everything that a plan needs: by lists, never one by one.
    ///
    /// [`Seen::Absent`] only when every server's host was reached and none of them serves.
    async fn observe(&self, desired: &Desired) -> Seen<ClusterSeen>;

    /// The objects that doctor judges: a bounded number of lists. No Secret is among them.
    async fn lists(&self, _desired: &Desired) -> Seen<Lists> {
        Seen::unknown("these hands list nothing")
    }

    /// Applies objects; returns whether anything changed. What others have set is theirs: it is refused with their name.
    async fn apply(&self, objects: &[Manifest], owner: &Owner, holes: &Holes) -> Result<bool, ClusterError>;

    /// Applies objects, and takes the fields that others have set from them; returns whether anything changed.
    async fn take(&self, objects: &[Manifest], owner: &Owner, holes: &Holes) -> Result<bool, ClusterError>;

    /// Deletes objects. Those that are gone are no error.
    async fn delete(&self, objects: &[ObjectId], owner: &Owner) -> Result<(), ClusterError>;

    /// Installs or upgrades a release and waits for its workloads; `tell` hears what is waited for.
    async fn install(
        &self,
        release: &DesiredRelease,
        owner: &Owner,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<bool, ClusterError>;

    /// The objects of a release that is there: as they are, and as its chart renders them with what is wished. Nothing is
    /// changed, and no secret is in the answer. None where these hands render nothing.
    async fn rendered(&self, _release: &DesiredRelease, _holes: &Holes) -> Option<Rendered> {
        None
    }

    /// Fills in what the spec leaves open of releases and the lock file or a repository knows: versions, digests. The notes say
    /// what could not be.
    async fn settle(&self, _releases: &mut [DesiredRelease]) -> Vec<Note> {
        Vec::new()
    }

    /// What is wrong with the chart of a release that is to be installed.
    async fn doubt(&self, _release: &DesiredRelease) -> Option<Note> {
        None
    }

    /// The chart of a release as a file of this computer, and the images that it comes to; none where no charts are rendered.
    async fn packable(&self, _release: &DesiredRelease) -> Option<Result<Packable, String>> {
        None
    }

    /// Removes a release. One that is gone is no error.
    async fn remove(&self, name: &ReleaseName, namespace: &Namespace) -> Result<(), ClusterError>;

    /// Puts no new pods on a node, or puts them again; sets or takes away the label
    /// [`CORDONED`](kubewright_model::observed::CORDONED) in the same request.
    async fn cordon(&self, node: &NodeName, cordoned: bool) -> Result<(), ClusterError>;

    /// Moves a node's pods away, as their disruption budgets allow.
    async fn drain(
        &self,
        node: &NodeName,
        timeout: Span,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ClusterError>;

    /// Sets and takes away a node's labels and taints, and leaves all others as they are; returns whether anything
    /// changed. A node that was changed by others meanwhile is read again.
    async fn mark(&self, marks: &NodeMarks) -> Result<bool, ClusterError>;

    /// Has a DaemonSet that is not ours run from another image; returns whether anything changed.
    async fn set_image(&self, wish: &WorkloadImage) -> Result<bool, ClusterError>;

    /// Takes a node, and its etcd member if it has one, out of the cluster's books. One that is gone is no error.
    async fn forget(&self, node: &NodeName) -> Result<(), ClusterError>;

    /// Looks once whether a condition holds. What is asked from the side of nodes is no matter of these hands.
    async fn check(&self, condition: &Condition) -> Result<Checked, ClusterError>;

    /// Argo CD's applications, all of them; none where there is no Argo CD.
    async fn applications(&self) -> Result<Vec<ApplicationSeen>, ClusterError> {
        Ok(Vec::new())
    }

    /// Does for applications what somebody has decided. What is done already is no error.
    async fn mend(&self, remedy: &Remedy) -> Result<(), ClusterError> {
        let why = "these hands know of no applications".into();
        Err(ClusterError::Refused { what: remedy.to_string(), why, log: Vec::new() })
    }

    /// Initialises Vault where it is not, unseals it and sets what differs in it; returns whether anything changed. Its keys are
    /// kept before they are used.
    async fn configure_vault(
        &self,
        _wish: &DesiredVault,
        _tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<bool, ClusterError> {
        let why = "these hands know of no Vault".into();
        Err(ClusterError::Refused { what: "Vault".into(), why, log: Vec::new() })
    }

    /// Hands over every object that can be applied, with Secrets and their values; returns the kinds that could not be listed,
    /// and why.
    async fn each_object(&self, _each: Each<'_>) -> Result<Vec<(String, String)>, ClusterError> {
        let why = "these hands list no objects".into();
        Err(ClusterError::Refused { what: "all objects".into(), why, log: Vec::new() })
    }

    /// Writes a snapshot of Vault; why there is none, where it keeps its data elsewhere.
    async fn vault_snapshot(
        &self,
        _wish: &DesiredVault,
        _to: &mut std::fs::File,
    ) -> Result<Option<String>, ClusterError> {
        Ok(Some("these hands know of no Vault".into()))
    }

    /// Returns when it is worth looking again whether a condition holds: when something that it is about has changed, or,
    /// where nobody tells of changes, after this pause.
    async fn changed(&self, _condition: &Condition, pause: Duration) {
        tokio::time::sleep(pause).await;
    }

    /// What a pod logs; somebody hears it as it comes.
    async fn pod_logs(&self, _wish: &PodLogs, _hears: Hears<'_>) -> Result<(), ClusterError> {
        Err(no_hands("the logs of a pod"))
    }

    /// A certificate of a user, good for so many seconds, as PEM: asked for, approved, and the question taken away again.
    async fn certificate(&self, _user: &str, _question: &Question, _seconds: u32) -> Result<String, ClusterError> {
        Err(no_hands("a certificate"))
    }

    /// A token of a ServiceAccount, good for so many seconds, and until when it really is.
    async fn token(&self, _of: &(Namespace, ObjectName), _seconds: u32) -> Result<(Secret, String), ClusterError> {
        Err(no_hands("a token"))
    }

    /// What is bound to a subject of RBAC, in words.
    async fn bound(&self, _of: &Bound<'_>) -> Result<Vec<String>, ClusterError> {
        Ok(Vec::new())
    }

    /// Images on nodes, as their kubelets tell the API: the largest 50 of each.
    async fn images(&self) -> Result<BTreeMap<NodeName, Vec<ImageSeen>>, ClusterError> {
        Err(no_hands("images"))
    }

    /// Why releases can neither be installed nor removed from this computer; `tell` hears of what is fetched for that.
    async fn no_releases(&self, _tell: &(dyn Fn(String) + Send + Sync)) -> Option<String> {
        None
    }
}

/// What is wanted of a pod's logs.
#[derive(Clone, Debug)]
pub struct PodLogs {
    /// Its namespace.
    pub namespace: Namespace,
    /// The pod.
    pub pod: ObjectName,
    /// The container; none where the pod has one alone.
    pub container: Option<String>,
    /// So many lines from the end.
    pub lines: Option<u16>,
    /// Not older than this.
    pub since: Option<Span>,
    /// And what comes from now on.
    pub follow: bool,
    /// Of the container that ran there before.
    pub previous: bool,
}

/// Whom roles are bound to.
#[derive(Clone, Copy, Debug)]
pub enum Bound<'a> {
    /// A user, and the groups that it is in.
    User(&'a str, &'a [String]),
    /// A ServiceAccount.
    Account(&'a Namespace, &'a ObjectName),
}

/// An image on a node.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ImageSeen {
    /// All its names, tags before digests.
    pub names: Vec<String>,
    /// Its size.
    pub bytes: u64,
}

fn no_hands(what: &str) -> ClusterError {
    let why = "there are no hands for that here".into();
    ClusterError::Refused { what: what.into(), why, log: Vec::new() }
}

/// Why hands on a cluster failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// No server of the API answers. It may pass.
    #[error("the Kubernetes API does not answer: {0}")]
    Unreachable(String),
    /// The API asks for patience: a conflict, too many requests. It may pass.
    #[error("the Kubernetes API is busy: {0}")]
    Busy(String),
    /// It was refused, and will be again.
    #[error("{what}: {why}")]
    Refused {
        /// What was tried.
        what: String,
        /// What was answered.
        why: String,
        /// The events or log lines that tell the cause.
        log: Vec<String>,
    },
}

impl ClusterError {
    /// Whether it may pass by itself.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Busy(_))
    }
}

/// What the canary of a cluster means that was restored from a bundle: what was seen, or that and what to do.
pub(crate) fn canary_says(bundle: &str, says: Option<&str>) -> Result<String, (String, String)> {
    const HINT: &str = "this is not the state that the bundle holds: look whether the restore began with it";
    match says {
        Some(says) if says == bundle => Ok(format!("it says {bundle}; what was written since is gone")),
        Some(says) => Err((format!("it says `{says}`, and not {bundle}"), HINT.into())),
        None => Err((format!("there is no ConfigMap {}", kubewright_model::bundle::Canary::id()), HINT.into())),
    }
}

/// The answer of hands on a cluster to what is asked from the side of nodes: [`crate::verify`] asks that itself.
pub(crate) fn elsewhere(condition: &Condition) -> ClusterError {
    let why = "the API does not know that: it is asked from the side of nodes".into();
    ClusterError::Refused { what: condition.to_string(), why, log: Vec::new() }
}
