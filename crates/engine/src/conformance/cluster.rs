//! Rules of hands on a cluster.

use kubewright_hosts::Holes;
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Desired, DesiredRelease};
use kubewright_model::digest::Digest;
use kubewright_model::ids::{NodeName, Owner};
use kubewright_model::object::{Manifest, ObjectId};
use kubewright_model::observed::{CORDONED, ClusterSeen, NodeSeen, Seen};
use kubewright_model::plan::NodeMarks;
use serde_json::json;

use super::{Broken, Rule, Verdict, broken, rule, that};
use crate::cluster::{ClusterApi, ClusterError};

/// The rules, in the order of their numbers.
pub const RULES: [Rule; 13] = [
    rule("C1", "`observe` of a cluster that answers MUST show all of its nodes"),
    rule("C2", "`observe` MUST be absent only where every server was reached and none serves, and unknown otherwise"),
    rule("C3", "`apply` MUST make its objects visible with the digest of what was applied"),
    rule("C4", "`apply` MUST change nothing the second time, and say so"),
    rule("C5", "`apply` MUST refuse what the API refuses, and what has a hole that nobody filled"),
    rule("C6", "`delete` MUST NOT delete what does not carry the mark"),
    rule("C7", "`delete` and `remove` of what is gone MUST succeed"),
    rule("C8", "`cordon` MUST set our label with the cordon and take it away with it"),
    rule("C9", "`install` MUST leave a release that carries the mark and the fingerprint of its wish"),
    rule("C10", "`install` MUST NOT take over a release that does not carry the mark"),
    rule("C11", "`check` of what does not hold MUST say what was seen, and MUST NOT be an error"),
    rule("C12", "`mark` MUST leave a node's other labels and taints as they are, and say whether anything changed"),
    rule("C13", "`lists` MUST NOT show what is in a Secret, and MUST be unknown where a server cannot be reached"),
];

/// Hands, and what their world offers for the checks.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// Hands on a cluster that answers.
    pub hands: &'a dyn ClusterApi,
    /// Hands where all servers are there and none serves.
    pub asleep: &'a dyn ClusterApi,
    /// Hands where a server cannot be reached.
    pub cut_off: &'a dyn ClusterApi,
    /// The cluster.
    pub desired: &'a Desired,
    /// A release that can be installed and removed.
    pub release: &'a DesiredRelease,
}

/// Checks every rule; returns those that are broken.
pub async fn check(case: Case<'_>) -> Vec<Broken> {
    let verdicts = vec![
        nodes(case).await,
        absent(case).await,
        applied(case).await,
        applied_twice(case).await,
        refused(case).await,
        not_ours(case).await,
        gone(case).await,
        cordoned(case).await,
        installed(case).await,
        foreign_release(case).await,
        does_not_hold(case).await,
        marked(case).await,
        listed(case).await,
    ];
    broken(&RULES, verdicts)
}

fn told(error: ClusterError) -> String {
    error.to_string()
}

async fn seen(case: Case<'_>) -> Result<ClusterSeen, String> {
    match case.hands.observe(case.desired).await {
        Seen::Present(seen) => Ok(seen),
        other => Err(format!("{other:?}")),
    }
}

fn object(kind: &str, name: &str, namespace: Option<&str>, owner: &Owner) -> Manifest {
    let labels = json!({ "app.kubernetes.io/managed-by": "kubewright", "kubewright.dev/cluster": owner.0.as_str() });
    let mut manifest = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name, "labels": labels } });
    if let Some(namespace) = namespace {
        manifest["metadata"]["namespace"] = namespace.into();
    }
    Manifest(manifest)
}

fn id(manifest: &Manifest) -> Result<ObjectId, String> {
    manifest.id().map_err(|missing| format!("{missing} is missing"))
}

fn ours(case: Case<'_>) -> [Manifest; 2] {
    let owner = &case.desired.owner;
    let map = object("ConfigMap", "settings", Some("conformance"), owner);
    [object("Namespace", "conformance", None, owner), map]
}

async fn nodes(case: Case<'_>) -> Verdict {
    let seen = seen(case).await?;
    let missing = case.desired.members.iter().find(|member| !seen.nodes.contains_key(&member.name));
    missing.map_or(Ok(()), |member| Err(format!("{} is not shown", member.name)))
}

async fn absent(case: Case<'_>) -> Verdict {
    let asleep = case.asleep.observe(case.desired).await;
    that(asleep == Seen::Absent, || format!("none serves: {asleep:?}"))?;
    let cut_off = case.cut_off.observe(case.desired).await;
    that(cut_off.why_unknown().is_some(), || format!("a server cannot be reached: {cut_off:?}"))
}

async fn applied(case: Case<'_>) -> Verdict {
    let objects = ours(case);
    let changed = case.hands.apply(&objects, &case.desired.owner, &Holes::new()).await.map_err(told)?;
    that(changed, || "it says that nothing changed".into())?;
    let seen = seen(case).await?;
    for manifest in &objects {
        let id = id(manifest)?;
        that(seen.objects.get(&id) == Some(&Digest::of_value(manifest)), || format!("{:?}", seen.objects.get(&id)))?;
    }
    Ok(())
}

async fn applied_twice(case: Case<'_>) -> Verdict {
    let changed = case.hands.apply(&ours(case), &case.desired.owner, &Holes::new()).await.map_err(told)?;
    that(!changed, || "it says that something changed".into())
}

async fn refused(case: Case<'_>) -> Verdict {
    let owner = &case.desired.owner;
    let nowhere = object("ConfigMap", "settings", Some("conformance-is-not-there"), owner);
    let mut open = object("ConfigMap", "open", Some("conformance"), owner);
    open.0["data"] = json!({ "key": "‹hole:secret/conformance›" });
    for manifest in [nowhere, open] {
        match case.hands.apply(std::slice::from_ref(&manifest), owner, &Holes::new()).await {
            Err(ClusterError::Refused { .. }) => {}
            other => return Err(format!("{manifest:?}: {other:?}")),
        }
        let id = id(&manifest)?;
        that(!seen(case).await?.objects.contains_key(&id), || format!("{id} is there"))?;
    }
    Ok(())
}

async fn not_ours(case: Case<'_>) -> Verdict {
    let map = id(&ours(case)[1])?;
    let stranger = Owner("another-cluster".into());
    match case.hands.delete(std::slice::from_ref(&map), &stranger).await {
        Err(ClusterError::Refused { .. }) => {}
        other => return Err(format!("{other:?}")),
    }
    that(seen(case).await?.objects.contains_key(&map), || "it is gone".into())
}

async fn gone(case: Case<'_>) -> Verdict {
    let objects = ours(case);
    let ids = [id(&objects[1])?, id(&objects[0])?];
    for _ in 0..2 {
        case.hands.delete(&ids, &case.desired.owner).await.map_err(told)?;
    }
    let seen = seen(case).await?;
    that(!ids.iter().any(|id| seen.objects.contains_key(id)), || "it is still there".into())?;
    case.hands.remove(&case.release.name, &case.release.namespace).await.map_err(told)
}

async fn cordoned(case: Case<'_>) -> Verdict {
    let Some(name) = case.desired.members.first().map(|member| &member.name) else { return Ok(()) };
    let node = async |name: &NodeName| -> Result<NodeSeen, String> {
        seen(case).await?.nodes.get(name).cloned().ok_or_else(|| "it is no node".to_string())
    };
    for wanted in [true, false] {
        case.hands.cordon(name, wanted).await.map_err(told)?;
        let node = node(name).await?;
        let label = node.labels.contains_key(CORDONED);
        that(node.cordoned == wanted && label == wanted, || format!("cordoned {}, label {label}", node.cordoned))?;
    }
    Ok(())
}

async fn installed(case: Case<'_>) -> Verdict {
    let (release, owner) = (case.release, &case.desired.owner);
    case.hands.install(release, owner, &Holes::new(), &|_| {}).await.map_err(told)?;
    let seen = seen(case).await?;
    let there = seen.release(release).ok_or("it is not shown")?;
    let right =
        there.owner.as_ref() == Some(owner) && there.fingerprint == Some(release.fingerprint()) && there.deployed;
    that(right, || format!("{there:?}"))
}

async fn foreign_release(case: Case<'_>) -> Verdict {
    let stranger = Owner("another-cluster".into());
    match case.hands.install(case.release, &stranger, &Holes::new(), &|_| {}).await {
        Err(ClusterError::Refused { .. }) => {}
        other => return Err(format!("{other:?}")),
    }
    case.hands.remove(&case.release.name, &case.release.namespace).await.map_err(told)?;
    that(seen(case).await?.release(case.release).is_none(), || "it cannot be removed".into())
}

async fn does_not_hold(case: Case<'_>) -> Verdict {
    let nodes = vec![NodeName::from("conformance-is-not-there")];
    let checked = case.hands.check(&Condition::NodesReady { nodes, at_least: 1 }).await.map_err(told)?;
    that(!checked.holds && !checked.saw.is_empty(), || format!("{checked:?}"))
}

async fn marked(case: Case<'_>) -> Verdict {
    let name = case.desired.members.first().ok_or("there is no node")?.name.clone();
    let node = async || seen(case).await?.nodes.remove(&name).ok_or_else(|| "the node is gone".to_string());
    let before = node().await?;
    let (key, taint) = ("conformance.test/label".to_string(), "conformance.test/taint:PreferNoSchedule".to_string());
    let set = NodeMarks {
        node: name.clone(),
        labels: [(key.clone(), "yes".into())].into(),
        without_labels: Vec::new(),
        taints: vec![taint.clone()],
        without_taints: Vec::new(),
    };
    that(case.hands.mark(&set).await.map_err(told)?, || "it says that nothing changed".into())?;
    that(!case.hands.mark(&set).await.map_err(told)?, || "the second time it says that something changed".into())?;
    let after = node().await?;
    let mut labels = before.labels.clone();
    labels.insert(key.clone(), "yes".into());
    let kept = before.taints.iter().all(|taint| after.taints.contains(taint));
    that(after.labels == labels && kept && after.taints.contains(&taint), || format!("{before:?} became {after:?}"))?;
    let taken = NodeMarks {
        labels: Default::default(),
        without_labels: vec![key],
        taints: Vec::new(),
        without_taints: vec![taint],
        ..set
    };
    case.hands.mark(&taken).await.map_err(told)?;
    let end = node().await?;
    that(end.labels == before.labels && end.taints == before.taints, || format!("{before:?} became {end:?}"))
}

async fn listed(case: Case<'_>) -> Verdict {
    let lists = case.hands.lists(case.desired).await;
    let Some(lists) = lists.present() else { return Err(format!("{lists:?}")) };
    let nodes = lists.of("nodes").len();
    that(nodes >= case.desired.members.len(), || format!("{nodes} nodes are listed"))?;
    // Helm keeps its records in Secrets, of which only the heads are listed.
    let open = lists.of("helmreleases").iter().find(|record| record.get("data").is_some());
    that(open.is_none() && !lists.has("secrets"), || format!("it shows what is in Secrets: {open:?}"))?;
    let cut_off = case.cut_off.lists(case.desired).await;
    that(cut_off.why_unknown().is_some(), || format!("a server cannot be reached: {cut_off:?}"))
}
