//! Helm's releases, by the records that it keeps of them.

use std::collections::BTreeMap;

use kubewright_model::doctor::{Finding, Place};
use serde_json::Value;

use super::case::{Case, chosen};
use super::objects::{self, Object as _};

/// One `helm` may be at work just now; it gives up after this long by itself.
const AT_WORK: u64 = 15 * 60;

/// The newest record of each release. Helm puts name, version and status on it as labels
/// (`pkg/storage/driver/secrets.go`).
fn newest<'a>(case: &Case<'a>) -> Vec<&'a Value> {
    let mut by: BTreeMap<(&str, &str), &Value> = BTreeMap::new();
    let version = |it: &Value| it.label("version").and_then(|it| it.parse::<u64>().ok());
    for record in case.list("helmreleases").iter().filter(|it| it.label("owner") == Some("helm")) {
        let Some(name) = record.label("name") else { continue };
        let kept = by.entry((record.namespace(), name)).or_insert(record);
        if version(record) > version(kept) {
            *kept = record;
        }
    }
    by.into_values().collect()
}

fn place(record: &Value) -> Place {
    let name = record.label("name").unwrap_or_default();
    Place { kind: "release".into(), namespace: Some(record.namespace().into()), name: name.into(), node: None }
}

fn status(record: &Value) -> &str {
    record.label("status").unwrap_or_default()
}

fn shown(record: &Value) -> String {
    format!("{}: status={}, version={}", record.name(), status(record), record.label("version").unwrap_or_default())
}

fn is_ours(case: &Case<'_>, record: &Value) -> bool {
    case.desired
        .releases
        .iter()
        .any(|it| it.namespace.as_str() == record.namespace() && Some(it.name.as_str()) == record.label("name"))
}

/// Whether a record is older than any `helm` that may still be at work.
fn is_left(case: &Case<'_>, record: &Value) -> bool {
    let since = record.label("modifiedAt").or(record.label("createdAt")).and_then(|it| it.parse::<u64>().ok());
    let since = since.or_else(|| objects::moment(record.text("/metadata/creationTimestamp")));
    since.is_none_or(|since| case.evidence.now.saturating_sub(since) > AT_WORK)
}

fn told(case: &Case<'_>, record: &Value, found: Finding) -> Finding {
    let (name, namespace) = (record.label("name").unwrap_or_default(), record.namespace());
    let found = found.shown([shown(record)]);
    match case.desired.releases.iter().find(|it| is_ours(case, record) && it.name.as_str() == name) {
        Some(release) => found.applied([chosen(release)]),
        None => found
            .by_hand([format!("helm -n {namespace} history {name}"), format!("helm -n {namespace} rollback {name}")]),
    }
}

pub(super) fn pending(case: &Case<'_>) -> Vec<Finding> {
    let cut = newest(case).into_iter().filter(|it| status(it).starts_with("pending-") && is_left(case, it));
    cut.map(|record| told(case, record, Finding::sick(place(record), "its last helm was killed in the middle")))
        .collect()
}

pub(super) fn failed(case: &Case<'_>) -> Vec<Finding> {
    let failed = newest(case).into_iter().filter(|it| status(it) == "failed");
    failed
        .map(|record| told(case, record, Finding::sick(place(record), "its last installation or upgrade has failed")))
        .collect()
}

/// Plug-ins whose removal cuts whoever removes them off.
pub(super) const PLUG_INS: [&str; 4] = ["cilium", "calico", "tigera-operator", "flannel"];

pub(super) fn blocks(case: &Case<'_>) -> Vec<Finding> {
    let going = newest(case).into_iter().filter(|it| status(it) == "uninstalling");
    let plug_in =
        |it: &&Value| it.label("name").is_some_and(|name| PLUG_INS.iter().any(|plug_in| name.contains(plug_in)));
    going
        .filter(plug_in)
        .map(|record| {
            let (name, namespace) = (record.label("name").unwrap_or_default(), record.namespace());
            let pods =
                case.list("pods").iter().filter(|pod| pod.name().contains(name) && objects::is_ready(pod)).count();
            Finding::sick(
                place(record),
                "its removal was begun and never ends: it was the network by which the API is reached",
            )
            .shown([shown(record), format!("ready pods of {name}: {pods}")])
            .by_hand([
                "where the cluster is to go: `kubewright destroy` takes its machines away and asks no release"
                    .to_string(),
                format!(
                    "where it is to stay: kubectl -n {namespace} delete secret {}, then `kubewright apply`",
                    record.name()
                ),
            ])
        })
        .collect()
}
