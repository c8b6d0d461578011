//! What a chart renders to with what is wished, and what is there of its release, both as Helm has them.
//!
//! Helm renders as it would for the upgrade itself, with the server's help: charts look things up there. What it says holds
//! every secret in clear text, so nothing of it leaves here before they are taken out.

use kubewright_hosts::{Holes, masked};
use kubewright_model::desired::DesiredRelease;
use kubewright_model::object::Manifest;
use kubewright_model::observed::Rendered;
use serde_json::{Map, Value};

use super::super::objects::fill;
use super::super::reach::Session;
use super::Helm;
use super::program::Said;
use crate::foreign::no_yaml;

/// What stands in the place of a secret, and of another one that takes its place.
const SECRET: &str = "[secret]";
const ANOTHER: &str = "[another secret]";

impl Helm {
    /// The objects of a release, as they are there and as they would be.
    pub(in super::super) async fn rendered(
        &self,
        session: &Session,
        release: &DesiredRelease,
        holes: &Holes,
    ) -> Rendered {
        match self.both(session, release, holes).await {
            Ok((there, wished)) => without_secrets(there, wished, holes),
            Err(why) => Rendered::Unknown(masked(&why, holes)),
        }
    }

    async fn both(
        &self,
        session: &Session,
        release: &DesiredRelease,
        holes: &Holes,
    ) -> Result<(Vec<Value>, Vec<Value>), String> {
        let values = fill(&release.values, holes).map_err(|error| error.to_string())?;
        let namespace = release.namespace.as_str();
        let get = ["get", "manifest", release.name.as_str(), "--namespace", namespace].map(String::from);
        let why = |said: Said| said.why;
        let there = self.run(session, &get, None).await.map_err(why)?;
        let chart = self.chart(release).await.map_err(|fault| fault.said(release).why)?;
        let wished =
            self.run(session, &arguments(release, &chart.place), Some(values.to_string())).await.map_err(why)?;
        // Helm 3.13.0 prints a word of its own before (`fmt.Println` in `pkg/action/upgrade.go`).
        let json = wished.find('{').and_then(|begins| wished.get(begins..)).unwrap_or_default();
        let release: Value =
            serde_json::from_str(json).map_err(|error| format!("what Helm said is no JSON: {error}"))?;
        let manifest = release.get("manifest").and_then(Value::as_str).ok_or("Helm told no manifest")?;
        Ok((objects(&there)?, objects(manifest)?))
    }
}

/// Helm 3.13 and 4 both know these. No wait, no label and no history: nothing is made.
fn arguments(release: &DesiredRelease, chart: &str) -> Vec<String> {
    let words = ["upgrade", release.name.as_str(), chart, "--reset-values", "--dry-run=server"];
    let more = ["--output", "json", "--namespace", release.namespace.as_str(), "--values", "-"];
    words.into_iter().chain(more).map(String::from).collect()
}

pub(super) fn objects(text: &str) -> Result<Vec<Value>, String> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| format!("what the chart renders to: {}", no_yaml(&error)))?;
    let lists = documents.into_iter().filter(|document| !document.is_null());
    // A List is what it lists.
    let objects = lists.flat_map(|document| match document.get("items").and_then(Value::as_array) {
        Some(items) if document.get("kind").and_then(Value::as_str) == Some("List") => items.clone(),
        _ => vec![document],
    });
    Ok(objects.collect())
}

/// Takes what is secret out of both sides: all that Secrets hold, and every secret of ours wherever it stands. That one is
/// another than before is told, and nothing else of it.
fn without_secrets(mut there: Vec<Value>, mut wished: Vec<Value>, holes: &Holes) -> Rendered {
    let is_secret = |object: &Value| object.get("kind").and_then(Value::as_str) == Some("Secret");
    let place = |object: &Value| {
        let metadata = object.get("metadata");
        let word = |key| metadata.and_then(|it| it.get(key)).and_then(Value::as_str).map(String::from);
        (word("namespace"), word("name"))
    };
    for new in wished.iter_mut().filter(|object| is_secret(object)) {
        let old = there.iter().find(|old| is_secret(old) && place(old) == place(new)).cloned();
        for part in ["data", "stringData"] {
            let before = old.as_ref().and_then(|old| old.get(part)).cloned().unwrap_or_default();
            each(new, part, |key, value| {
                *value = if before.get(key).is_none_or(|before| before == value) { SECRET } else { ANOTHER }.into();
            });
        }
    }
    for old in there.iter_mut().filter(|object| is_secret(object)) {
        ["data", "stringData"].into_iter().for_each(|part| each(old, part, |_, value| *value = SECRET.into()));
    }
    there.iter_mut().chain(&mut wished).for_each(|object| mask(object, holes));
    let manifests = |objects: Vec<Value>| objects.into_iter().map(Manifest).collect();
    Rendered::Objects { there: manifests(there), wished: manifests(wished) }
}

fn each(object: &mut Value, part: &str, mut change: impl FnMut(&str, &mut Value)) {
    let fields = object.get_mut(part).and_then(Value::as_object_mut);
    fields.into_iter().flatten().for_each(|(key, value)| change(key, value));
}

/// Every text and number, for a secret may be a number to YAML; and every key.
fn mask(value: &mut Value, holes: &Holes) {
    match value {
        Value::String(text) => *text = masked(text, holes),
        Value::Number(number) => {
            let text = number.to_string();
            let told = masked(&text, holes);
            if told != text {
                *value = told.into();
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| mask(element, holes)),
        Value::Object(fields) => {
            let masked_fields: Map<String, Value> = std::mem::take(fields)
                .into_iter()
                .map(|(key, mut value)| {
                    mask(&mut value, holes);
                    (masked(&key, holes), value)
                })
                .collect();
            *fields = masked_fields;
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use kubewright_model::secret::Secret;
    use serde_json::json;

    use super::*;

    #[test]
    fn no_secret_is_left_on_either_side() {
        let holes: Holes = [
            ("secret/a".into(), Secret::new("s3cr3t-value".to_string())),
            ("secret/b".into(), Secret::new("771234".to_string())),
        ]
        .into();
        let secret =
            |data: Value| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "web" }, "data": data });
        let map = |text: &str, pin: Value| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "web" }, "data": { "file": text, "pin": pin } });
        let there =
            vec![secret(json!({ "same": "b25l", "other": "dHdv", "gone": "Zm91cg==" })), map("user=a", json!(1))];
        let wished = vec![
            secret(json!({ "same": "b25l", "other": "dGhyZWU=", "new": "Zml2ZQ==" })),
            map("user=a s3cr3t-value czNjcjN0LXZhbHVl", json!(771_234)),
        ];
        let Rendered::Objects { there, wished } = without_secrets(there, wished, &holes) else {
            panic!("they are known")
        };
        let all = format!("{there:?}{wished:?}");
        for left in ["b25l", "dHdv", "Zm91cg", "dGhyZWU", "Zml2ZQ", "s3cr3t", "czNjcjN0", "771234"] {
            assert!(!all.contains(left), "{left}: {all}");
        }
        assert_eq!(wished[0].0["data"], json!({ "same": SECRET, "other": ANOTHER, "new": SECRET }));
        assert_eq!(there[0].0["data"], json!({ "same": SECRET, "other": SECRET, "gone": SECRET }));
        assert_eq!(wished[1].0["data"], json!({ "file": "user=a [secret] [secret]", "pin": "[secret]" }));
    }

    #[test]
    fn lists_and_empty_documents_are_what_they_hold() {
        let text =
            "---\n# Source: a\n---\napiVersion: v1\nkind: List\nitems:\n- {kind: A}\n- {kind: B}\n---\nkind: C\n";
        let kinds: Vec<Value> = objects(text).unwrap().into_iter().map(|it| it["kind"].clone()).collect();
        assert_eq!(kinds, ["A", "B", "C"]);
        let wrong = objects("password: [hunter2").unwrap_err();
        assert!(wrong.starts_with("what the chart renders to: line 1, ") && !wrong.contains("hunter"), "{wrong}");
    }
}
