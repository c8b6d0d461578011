//! A node's pods are moved away as their disruption budgets allow: what `kubectl drain` does with
//! `--ignore-daemonsets --delete-emptydir-data`.
//!
//! Pods of DaemonSets and those that the kubelet runs from files stay: they would be back at once. A pod that no
//! controller makes anew is not ended, for it would be gone for good.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams, PostParams};
use kube::core::Status;
use kube::{Client, ResourceExt as _};
use kubewright_model::ids::NodeName;
use kubewright_model::units::Span;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::failure::{failed, refused};
use super::look::{all, is_ready};
use crate::cluster::ClusterError;

/// What the kubelet puts on pods that it runs from files.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// What the API says of a pod that it will never evict: it calls that a failure of its own.
const TWO_BUDGETS: &str = "more than one PodDisruptionBudget";
/// Between two tries of an eviction that a budget does not allow yet: as long as `kubectl` waits.
const AGAIN: Duration = Duration::from_secs(5);
/// Between two looks at pods that end.
const LOOK: Duration = Duration::from_secs(1);
/// Names that are told in one sentence.
const TOLD: usize = 5;

/// A pod that was there when it was looked: one of the same name that came since is another one.
type Key = (String, String, String);

/// What an eviction came to.
enum Evicted {
    /// It ends.
    Ends,
    /// A disruption budget does not allow it now: what the API said.
    NotYet(String),
}

/// Moves a node's pods away.
pub(super) async fn drain(
    client: &Client,
    node: &NodeName,
    timeout: Span,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), ClusterError> {
    let what = format!("drain of {node}");
    let deadline = Instant::now() + timeout.duration();
    let mut told = String::new();
    let mut ending: BTreeSet<Key> = BTreeSet::new();
    loop {
        let pods = pods(client, node).await?;
        let left: Vec<&Pod> = pods.iter().filter(|pod| goes(pod)).collect();
        if left.is_empty() {
            return Ok(());
        }
        alone(&what, &left)?;
        let mut waits: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pod in &left {
            if pod.metadata.deletion_timestamp.is_some() || ending.contains(&key(pod)) {
                continue;
            }
            match evict(client, pod).await? {
                Evicted::Ends => drop(ending.insert(key(pod))),
                Evicted::NotYet(why) => waits.entry(why).or_default().push(name(pod)),
            }
        }
        let saw = saw(&left, &waits);
        if Instant::now() + LOOK > deadline {
            return Err(ClusterError::Refused { what, why: in_vain(client, node, timeout).await, log: vec![saw] });
        }
        if saw != told {
            told.clone_from(&saw);
            tell(saw);
        }
        sleep(if waits.is_empty() { LOOK } else { AGAIN }).await;
    }
}

/// All pods on a node.
async fn pods(client: &Client, node: &NodeName) -> Result<Vec<Pod>, ClusterError> {
    let params = ListParams::default().fields(&format!("spec.nodeName={node}"));
    all(&Api::<Pod>::all(client.clone()), &params).await.map_err(|error| failed(&format!("pods on {node}"), &error))
}

/// Whether a drain ends a pod.
fn goes(pod: &Pod) -> bool {
    !pod.annotations().contains_key(MIRROR) && controller(pod) != Some("DaemonSet")
}

/// The kind of what makes a pod anew when it is gone.
fn controller(pod: &Pod) -> Option<&str> {
    let owner = pod.owner_references().iter().find(|owner| owner.controller == Some(true))?;
    Some(owner.kind.as_str())
}

fn name(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())
}

fn key(pod: &Pod) -> Key {
    (pod.namespace().unwrap_or_default(), pod.name_any(), pod.uid().unwrap_or_default())
}

/// Whether a pod has done its work, or never will.
fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Refuses to end pods that nobody makes anew.
fn alone(what: &str, pods: &[&Pod]) -> Result<(), ClusterError> {
    let lost = |pod: &&&Pod| controller(pod).is_none() && !is_over(pod) && pod.metadata.deletion_timestamp.is_none();
    let alone: Vec<String> = pods.iter().filter(lost).map(|pod| name(pod)).collect();
    match alone.is_empty() {
        true => Ok(()),
        false => Err(refused(
            what,
            format!(
                "nobody would make {} anew: delete or move what belongs to no controller, then run again",
                few(&alone)
            ),
        )),
    }
}

/// Asks the API to end a pod.
async fn evict(client: &Client, pod: &Pod) -> Result<Evicted, ClusterError> {
    let (namespace, name, uid) = key(pod);
    let what = format!("eviction of {namespace}/{name}");
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": name, "namespace": namespace },
        "deleteOptions": { "preconditions": { "uid": uid } },
    });
    match api.create_subresource::<Value, Value>("eviction", &name, &PostParams::default(), &eviction).await {
        Ok(_) => Ok(Evicted::Ends),
        Err(kube::Error::Api(status)) if status.code == 429 => {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            let why = causes.map(|cause| cause.message.clone()).collect::<Vec<_>>().join("; ");
            Ok(Evicted::NotYet(if why.is_empty() { status.message } else { why }))
        }
        // It is gone, or another one of its name has come.
        Err(kube::Error::Api(status)) if status.code == 404 || is_another(&status) => Ok(Evicted::Ends),
        // Somebody has written to it, or to its budget, at the same moment.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Evicted::NotYet(status.message)),
        // Its namespace is being deleted, and it goes with it.
        Err(kube::Error::Api(status)) if status.code == 403 && status.message.contains("being terminated") => {
            Ok(Evicted::Ends)
        }
        Err(kube::Error::Api(status)) if status.message.contains(TWO_BUDGETS) => Err(refused(what, status.message)),
        Err(error) => Err(failed(&what, &error)),
    }
}

/// Whether the API says that a pod is not the one that was meant.
fn is_another(status: &Status) -> bool {
    status.code == 409 && status.message.contains("UID in")
}

/// What is waited for, in one sentence.
fn saw(left: &[&Pod], waits: &BTreeMap<String, Vec<String>>) -> String {
    let blocked: BTreeSet<&String> = waits.values().flatten().collect();
    let ends: Vec<String> = left.iter().map(|pod| name(pod)).filter(|name| !blocked.contains(name)).collect();
    let mut parts: Vec<String> =
        waits.iter().map(|(why, pods)| format!("{} may not go yet: {why}", few(pods))).collect();
    if !ends.is_empty() {
        parts.push(format!("waiting for {} to end", few(&ends)));
    }
    parts.join("; ")
}

/// Why pods did not go in time.
async fn in_vain(client: &Client, node: &NodeName, timeout: Span) -> String {
    let ready = Api::<Node>::all(client.clone()).get(node.as_str()).await.map(|node| is_ready(&node));
    match ready {
        Ok(false) => format!("its pods do not end within {timeout}: its kubelet does not answer"),
        _ => format!("its pods did not all go within {timeout}"),
    }
}

/// The first few, and how many more.
pub(crate) fn few(all: &[String]) -> String {
    let first = all.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(TOLD) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
