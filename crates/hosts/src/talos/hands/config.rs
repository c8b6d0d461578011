//! A machine configuration on its way to a node, and back without its secrets.

use kubewright_model::ids::NodeName;
use kubewright_model::secret::Secret;
use kubewright_model::talos::{MachineConfig, part};
use kubewright_model::text::{Text, in_json};
use serde_json::Value;

use crate::talos::{Bundle, TalosError};
use crate::{Holes, HostError};

/// Keys behind which secrets stand, for those that are not ours to know.
const SECRET: [&str; 8] = [
    "token",
    "secret",
    "password",
    "auth",
    "privateKey",
    "clusterSecret",
    "identityToken",
    "secretboxEncryptionSecret",
];

/// The configuration as a node takes it: its documents as YAML, with the secrets in them.
pub(super) fn filled(host: &NodeName, config: &MachineConfig, holes: &Holes) -> Result<Secret, HostError> {
    let mut documents = config.documents();
    for document in &mut documents {
        fill(document, holes).map_err(|hole| HostError::Hole { host: host.clone(), hole })?;
    }
    let written: Result<Vec<String>, _> = documents.iter().map(serde_saphyr::to_string).collect();
    let unwritten = |why: String| HostError::Failed {
        host: host.clone(),
        what: "writing its configuration".into(),
        why,
        log: Vec::new(),
    };
    // The writer's error could quote the text.
    let written = written.map_err(|_| unwritten("it cannot be written as YAML".into()))?;
    Ok(Secret::new(written.join("---\n")))
}

fn fill(value: &mut Value, holes: &Holes) -> Result<(), kubewright_model::ids::HoleName> {
    match value {
        Value::String(text) => {
            let filled = Text::of_json(text).fill(|name| holes.get(name).map(|value| value.expose().as_str()))?;
            *text = filled;
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| fill(item, holes)),
        Value::Object(map) => map.values_mut().try_for_each(|item| fill(item, holes)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// The documents of a configuration that a node told. Secrets that we know are holes, so that it can be compared with what
/// is wished; others are not told.
pub(super) fn told(text: &Secret, bundle: &Bundle) -> Result<Vec<Value>, TalosError> {
    // The parser's error would quote the text.
    let unread = |_| TalosError::NotUnderstood { why: "its configuration is no YAML".to_string() };
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(text.expose()).map_err(unread)?;
    let known: Vec<(String, String)> = parts(bundle).collect();
    documents.iter_mut().for_each(|document| hide(document, &known, false));
    Ok(documents)
}

/// What is known of the cluster's secrets, and the holes for it.
fn parts(bundle: &Bundle) -> impl Iterator<Item = (String, String)> {
    let names = Bundle::PARTS.iter().flat_map(|name| [(*name).to_string(), format!("{name}{PEM}")]);
    let known = names.filter_map(|name| Some((value(bundle, &name)?.expose().clone(), in_json(&part(&name)))));
    known.collect::<Vec<_>>().into_iter()
}

/// How a part is called as PEM: documents of their own take it so, and the one document in Base64.
const PEM: &str = ".pem";

/// A part of the cluster's secrets as it stands in a configuration, by the name of its hole; none where there is no such
/// part, or it is no PEM.
pub fn value(bundle: &Bundle, name: &str) -> Option<Secret> {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    match name.strip_suffix(PEM) {
        None => bundle.part(name),
        Some(plain) => {
            let bytes = BASE64_STANDARD.decode(bundle.part(plain)?.expose()).ok()?;
            let text = String::from_utf8(bytes).ok().filter(|text| text.starts_with("-----BEGIN"))?;
            Some(Secret::new(text))
        }
    }
}

fn hide(value: &mut Value, known: &[(String, String)], secret: bool) {
    match value {
        Value::String(text) => match known.iter().find(|(value, _)| value == text) {
            Some((_, hole)) => text.clone_from(hole),
            None if secret && !text.is_empty() => *text = "[secret]".into(),
            None => {}
        },
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, known, secret)),
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                // A taint has a key too; that of an authority is long.
                let long = value.as_str().is_some_and(|text| text.len() >= 40);
                hide(value, known, secret || SECRET.contains(&key.as_str()) || key == "key" && long);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_configuration_comes_back_as_it_was_wished_and_tells_no_secret() {
        let bundle = Bundle::generate(SystemTime::now()).unwrap();
        let hole = |name: &str| in_json(&part(name));
        let wished = vec![
            json!({ "version": "v1alpha1", "machine": {
                "token": hole("machine.token"), "ca": { "crt": hole("machine.ca.crt"), "key": hole("machine.ca.key") },
            } }),
            json!({ "apiVersion": "v1alpha1", "kind": "KubeAggregatorCAConfig", "issuingCA": {
                "cert": hole("cluster.aggregatorCA.crt.pem"), "key": hole("cluster.aggregatorCA.key.pem"),
            } }),
        ];
        let config = MachineConfig::of(&wished);
        let values = config.text().holes().map(|hole| {
            let name = hole.secret().and_then(|name| name.strip_prefix("talos.")).unwrap();
            (hole.clone(), value(&bundle, name).unwrap())
        });
        let text = filled(&"one".into(), &config, &values.collect()).unwrap();
        assert!(text.expose().contains("BEGIN") && !text.expose().contains("hole:"));
        assert_eq!(told(&text, &bundle).unwrap(), wished);
        let other = Bundle::generate(SystemTime::now()).unwrap();
        let strange = told(&text, &other).unwrap();
        assert_eq!(strange[0]["machine"]["token"], "[secret]");
        assert_eq!(strange[1]["issuingCA"]["key"], "[secret]");
        let taint = Secret::new("machine: { kubelet: { taints: [{ key: dedicated }] } }".into());
        assert_eq!(super::told(&taint, &other).unwrap()[0]["machine"]["kubelet"]["taints"][0]["key"], "dedicated");
        let missing = filled(&"one".into(), &config, &Holes::new());
        assert!(matches!(missing, Err(HostError::Hole { .. })));
    }
}
