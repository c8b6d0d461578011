//! What becomes of the objects of a release: what its chart renders to with what is wished, against what is there.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::change::FieldChange;
use kubewright_model::desired::{Desired, DesiredRelease};
use kubewright_model::ids::StepId;
use kubewright_model::object::Manifest;
use kubewright_model::observed::{ClusterSeen, Observed, Rendered, Seen};
use kubewright_model::plan::{Action, Rendering, Step};
use serde_json::Value;

use super::cluster::release_fields;

/// Characters of one value that are told; more says little to people, and the chart has it.
const VALUE: usize = 120;
/// Fields of one release that are told: a chart may have thousands of objects.
const FIELDS: usize = 300;

/// The releases whose rendered objects are worth a look: ours that are there and differ.
pub fn worth_rendering<'a>(desired: &'a Desired, seen: &ClusterSeen) -> Vec<&'a DesiredRelease> {
    let differs = |release: &&DesiredRelease| {
        let there = seen.release(release);
        let ours = there.is_some_and(|there| there.owner.as_ref() == Some(&desired.owner));
        ours && !release_fields(release, there).is_empty()
    };
    desired.releases.iter().filter(differs).collect()
}

/// What steps that install releases make of their objects, as far as it was seen.
pub(crate) fn of_steps(steps: &[Step], observed: &Observed) -> BTreeMap<StepId, Rendering> {
    let Some(Seen::Present(seen)) = &observed.cluster else { return BTreeMap::new() };
    let rendering = |step: &Step| {
        let Action::InstallRelease(release) = &step.action else { return None };
        let rendering = match seen.release(release)?.rendered.as_ref()? {
            Rendered::Unknown(why) => Rendering::Unknown(why.clone()),
            Rendered::Objects { there, wished } => Rendering::Fields(fields(there, wished)),
        };
        Some((step.id.clone(), rendering))
    };
    steps.iter().filter_map(rendering).collect()
}

/// The differences, object by object and field by field.
fn fields(there: &[Manifest], wished: &[Manifest]) -> Vec<FieldChange> {
    let by_id = |objects: &[Manifest]| -> BTreeMap<String, Value> {
        objects.iter().filter_map(|object| Some((object.id().ok()?.to_string(), object.0.clone()))).collect()
    };
    let (there, wished) = (by_id(there), by_id(wished));
    let names: BTreeSet<&String> = there.keys().chain(wished.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        match (there.get(name), wished.get(name)) {
            (Some(old), Some(new)) => differ(&format!("{name} "), old, new, &mut found),
            (old, new) => found.push(FieldChange {
                field: name.clone(),
                from: old.map(|_| "there".into()),
                to: new.map(|_| "new".into()),
            }),
        }
    }
    let more = found.len().saturating_sub(FIELDS);
    if more > 0 {
        found.truncate(FIELDS);
        found.push(FieldChange { field: format!("{more} more fields"), from: None, to: None });
    }
    found
}

fn differ(path: &str, old: &Value, new: &Value, found: &mut Vec<FieldChange>) {
    if old == new {
        return;
    }
    match (parts(old), parts(new)) {
        (Some(old), Some(new)) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let path = format!("{path}{}{key}", if path.ends_with(' ') || key.starts_with('[') { "" } else { "." });
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => differ(&path, old, new, found),
                    (old, new) => found.push(change(&path, old.copied(), new.copied())),
                }
            }
        }
        _ => found.push(change(path.trim_end(), Some(old), Some(new))),
    }
}

/// What a value is made of: the fields of a map, the elements of a list of named things by their names, those of a list of
/// others by their places. Texts and numbers are made of nothing.
fn parts(value: &Value) -> Option<BTreeMap<String, &Value>> {
    match value {
        Value::Object(fields) => Some(fields.iter().map(|(key, value)| (key.clone(), value)).collect()),
        Value::Array(elements) => {
            let name = |element: &Value| element.get("name").and_then(Value::as_str).map(|name| format!("[{name}]"));
            let names: BTreeSet<String> = elements.iter().filter_map(name).collect();
            let named = names.len() == elements.len();
            let key = |(index, element)| match name(element).filter(|_| named) {
                Some(name) => (name, element),
                None => (format!("[{index}]"), element),
            };
            Some(elements.iter().enumerate().map(key).collect())
        }
        _ => None,
    }
}

fn change(path: &str, old: Option<&Value>, new: Option<&Value>) -> FieldChange {
    FieldChange { field: path.into(), from: old.map(shown), to: new.map(shown) }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) if text.contains('\n') => return text.clone(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(there: &[Value], wished: &[Value]) -> Vec<String> {
        let manifests = |values: &[Value]| values.iter().cloned().map(Manifest).collect::<Vec<_>>();
        let word = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".into());
        let line = |field: FieldChange| format!("{}: {} > {}", field.field, word(&field.from), word(&field.to));
        fields(&manifests(there), &manifests(wished)).into_iter().map(line).collect()
    }

    #[test]
    fn objects_and_fields_are_told_by_their_names() {
        let object = |kind: &str, name: &str, spec: Value| json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name, "namespace": "apps" }, "spec": spec });
        let pods = |image: &str, args: Value| json!({ "containers": [{ "name": "log", "image": "log:1" }, { "name": "web", "image": image, "args": args }] });
        let there =
            [object("Deployment", "web", pods("web:1", json!(["-a", "-b"]))), object("Service", "old", json!({}))];
        let wished = [object("Service", "new", json!({})), object("Deployment", "web", pods("web:2", json!(["-a"])))];
        assert_eq!(
            told(&there, &wished),
            [
                "Deployment apps/web spec.containers[web].args[1]: -b > -",
                "Deployment apps/web spec.containers[web].image: web:1 > web:2",
                "Service apps/new: - > new",
                "Service apps/old: there > -",
            ]
        );
        assert!(told(&there, &there).is_empty());
    }

    #[test]
    fn what_is_long_is_shortened() {
        let map = |fields: usize, text: &str| {
            let data: BTreeMap<String, &str> = (0..fields).map(|field| (format!("k{field:04}"), text)).collect();
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "all" }, "data": data })
        };
        let all = told(&[map(400, &"a".repeat(500))], &[map(400, "b")]);
        assert_eq!((all.len(), all[FIELDS].as_str()), (FIELDS + 1, "100 more fields: - > -"));
        assert_eq!(all[0], format!("ConfigMap all data.k0000: {}… > b", "a".repeat(VALUE)));
    }
}
