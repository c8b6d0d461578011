//! Members, objects and releases.

use std::collections::BTreeSet;

use kubewright_model::bundle::Canary;
use kubewright_model::change::FieldChange;
use kubewright_model::desired::{Desired, DesiredMember, DesiredRelease};
use kubewright_model::digest::Digest;
use kubewright_model::ids::{Namespace, NodeName, ReleaseName};
use kubewright_model::object::{Manifest, ObjectId};
use kubewright_model::observed::{ClusterSeen, NodeSeen, ReleaseSeen};
use kubewright_model::plan::NodeMarks;

use super::field;

/// The kind of namespaces.
pub(crate) const NAMESPACE: &str = "Namespace";

/// The label that every node of ours carries: the name of its pool.
pub(crate) const POOL_LABEL: &str = "kubewright.dev/pool";

/// Whether a node is a server and is to be an agent, or the other way round.
pub(crate) fn changes_role(member: &DesiredMember, node: &NodeSeen) -> bool {
    member.role.is_server() != node.server
}

/// Whether a node is to be something else than it is: in another role, or, where it is ours, no node at all.
pub(crate) fn other_role(member: Option<&DesiredMember>, node: &NodeSeen) -> bool {
    member.map_or_else(|| node.labels.contains_key(POOL_LABEL), |member| changes_role(member, node))
}

/// Nodes that carry our label and are no members in the spec.
pub(crate) fn unwanted_nodes<'a>(desired: &Desired, seen: &'a ClusterSeen) -> Vec<&'a NodeName> {
    let wanted: BTreeSet<&NodeName> = desired.members.iter().map(|member| &member.name).collect();
    let ours = seen.nodes.iter().filter(|(name, node)| !wanted.contains(name) && node.labels.contains_key(POOL_LABEL));
    ours.map(|(name, _)| name).collect()
}

/// What becomes of a node's labels and taints: it gets those that it lacks and loses those that it had from us and that
/// are not wished any more. What others have put on it stays.
pub(crate) fn marks(member: &DesiredMember, node: &NodeSeen) -> NodeMarks {
    let labels = member.labels.iter().filter(|(key, value)| node.labels.get(*key) != Some(value));
    let taints = member.taints.iter().filter(|taint| !node.taints.contains(taint));
    let given = |kind: &'static str| node.given.iter().filter_map(move |mark| mark.strip_prefix(kind));
    let dropped = |key: &&str| node.labels.contains_key(*key) && !member.labels.contains_key(*key);
    let among = |taint: &str, taints: &[String]| taints.iter().any(|there| there == taint);
    let lifted = |taint: &&str| among(taint, &node.taints) && !among(taint, &member.taints);
    NodeMarks {
        node: member.name.clone(),
        labels: labels.map(|(key, value)| (key.clone(), value.clone())).collect(),
        without_labels: given("label ").filter(dropped).map(String::from).collect(),
        taints: taints.cloned().collect(),
        without_taints: given("taint ").filter(lifted).map(String::from).collect(),
    }
}

/// The same, for people.
pub(crate) fn label_fields(member: &DesiredMember, node: &NodeSeen) -> Vec<FieldChange> {
    let marks = marks(member, node);
    let label = |key: &String, to: Option<&String>| field(&format!("label {key}"), node.labels.get(key), to);
    let taint = |taint: &String, from: Option<&'static str>, to| field(&format!("taint {taint}"), from.as_ref(), to);
    let mut fields = Vec::new();
    fields.extend(marks.labels.iter().filter_map(|(key, value)| label(key, Some(value))));
    fields.extend(marks.without_labels.iter().filter_map(|key| label(key, None)));
    fields.extend(marks.taints.iter().filter_map(|it| taint(it, None, Some(&"set"))));
    fields.extend(marks.without_taints.iter().filter_map(|it| taint(it, Some("set"), None)));
    fields
}

/// The manifests that differ from what we applied last, as far as anybody knows that.
pub(crate) fn differing_objects<'a>(manifests: &'a [Manifest], seen: &ClusterSeen) -> Vec<(&'a Manifest, FieldChange)> {
    let differing = manifests.iter().filter_map(|manifest| {
        let id = manifest.id().ok().filter(|id| seen.why_unknown(id).is_none())?;
        let wanted = Digest::of_value(manifest);
        let there = seen.objects.get(&id);
        let field = FieldChange {
            field: id.to_string(),
            from: there.map(|digest| digest.short().to_string()),
            to: Some(wanted.short().to_string()),
        };
        (there != Some(&wanted)).then_some((manifest, field))
    });
    differing.collect()
}

/// Objects that carry our mark, are not in the spec, and go. Namespaces do not: see [`unwanted_namespaces`].
pub(crate) fn unwanted_objects<'a>(desired: &Desired, seen: &'a ClusterSeen) -> Vec<&'a ObjectId> {
    unwanted(desired, seen).filter(|id| id.kind != NAMESPACE).collect()
}

/// Namespaces that carry our mark and are not in the spec. With one goes everything in it, whosever it is, so it is left
/// to people.
pub(crate) fn unwanted_namespaces<'a>(desired: &Desired, seen: &'a ClusterSeen) -> Vec<&'a str> {
    unwanted(desired, seen).filter(|id| id.kind == NAMESPACE).map(|id| id.name.as_str()).collect()
}

fn unwanted<'a>(desired: &Desired, seen: &'a ClusterSeen) -> impl Iterator<Item = &'a ObjectId> {
    let wanted: BTreeSet<ObjectId> = desired
        .objects
        .iter()
        .flat_map(|group| group.manifests.iter().filter_map(|manifest| manifest.id().ok()))
        .collect();
    // What tells which backup is the newest is no spec's.
    let canary = Canary::id();
    seen.objects.keys().filter(move |id| !wanted.contains(id) && **id != canary)
}

/// What differs between a release that is wished and the one that is there.
pub(crate) fn release_fields(release: &DesiredRelease, there: Option<&ReleaseSeen>) -> Vec<FieldChange> {
    let Some(there) = there else {
        return [
            Some(FieldChange { field: "chart".into(), from: None, to: Some(release.chart.clone()) }),
            field("version", None, release.version.as_ref()),
        ]
        .into_iter()
        .flatten()
        .collect();
    };
    let wanted = release.fingerprint();
    let values = (there.fingerprint.as_ref() != Some(&wanted)).then(|| FieldChange {
        field: "values".into(),
        from: there.fingerprint.as_ref().map(|digest| digest.short().to_string()),
        to: Some(wanted.short().to_string()),
    });
    let version = release.version.as_ref().and_then(|wanted| field("version", there.version.as_ref(), Some(wanted)));
    let status = (!there.deployed).then(|| FieldChange {
        field: "status".into(),
        from: Some("failed".into()),
        to: Some("deployed".into()),
    });
    [version, values, status].into_iter().flatten().collect()
}

/// Releases that carry our mark and are not in the spec, or not in that namespace.
pub(crate) fn unwanted_releases<'a>(desired: &Desired, seen: &'a ClusterSeen) -> Vec<(&'a Namespace, &'a ReleaseName)> {
    let wanted: BTreeSet<_> = desired.releases.iter().map(|release| (&release.namespace, &release.name)).collect();
    let ours = seen.releases.iter().filter(|(_, there)| there.owner.as_ref() == Some(&desired.owner));
    ours.map(|((namespace, name), _)| (namespace, name)).filter(|key| !wanted.contains(key)).collect()
}
