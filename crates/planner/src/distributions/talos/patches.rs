//! The user's patches, put on top as Talos itself would: a strategic merge.
//! <https://www.talos.dev/v1.11/talos-guides/configuration/patching/#strategic-merge-patches>

use serde_json::{Map, Value};

/// What takes a document or a part of one away.
const DIRECTIVE: &str = "$patch";

/// Puts a patch on the document that it is for: the one of its kind and name, and without a kind the first one. A document
/// that is not there yet is added.
pub(super) fn apply(documents: &mut Vec<Value>, patch: &Value) {
    let is_it =
        |document: &Value| document.get("kind") == patch.get("kind") && document.get("name") == patch.get("name");
    match documents.iter().position(is_it) {
        Some(place) if deletes(patch) => drop(documents.remove(place)),
        Some(place) => merge(&mut documents[place], patch, ""),
        None if !deletes(patch) => documents.push(patch.clone()),
        None => {}
    }
}

fn deletes(patch: &Value) -> bool {
    patch.get(DIRECTIVE).and_then(Value::as_str) == Some("delete")
}

/// Maps are merged, lists grow, and everything else is replaced. Networks of pods and Services are said anew, and so is
/// the audit policy; entries of some lists are known again by a name of theirs (`pkg/machinery/config/merge/merge.go`, and
/// the `Merge` methods and tags of `v1alpha1_types.go`).
fn merge(under: &mut Value, over: &Value, key: &str) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) if key != "auditPolicy" => merge_maps(under, over),
        (Value::Array(under), Value::Array(over)) if !["podSubnets", "serviceSubnets"].contains(&key) => {
            for item in over {
                match under.iter_mut().find(|there| is_same(key, there, item)) {
                    Some(there) => merge(there, item, ""),
                    None => under.push(item.clone()),
                }
            }
        }
        (under, over) => *under = over.clone(),
    }
}

fn merge_maps(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match under.get_mut(key) {
            _ if deletes(value) => drop(under.shift_remove(key)),
            Some(there) => merge(there, value, key),
            None => drop(under.insert(key.clone(), value.clone())),
        }
    }
}

/// Whether two entries of a list are about the same thing.
fn is_same(list: &str, one: &Value, other: &Value) -> bool {
    let names: &[&str] = match list {
        "interfaces" => &["interface", "deviceSelector"],
        "vlans" => &["vlanId"],
        "admissionControl" => &["name"],
        _ => return false,
    };
    names.iter().any(|name| one.get(name).is_some() && one.get(name) == other.get(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_are_put_on_as_talos_would() {
        let first = json!({ "machine": {
            "sysctls": { "a": "1" },
            "certSANs": ["one"],
            "network": { "interfaces": [{ "interface": "eth0", "addresses": ["10.0.0.1/24"] }] },
        }, "cluster": { "network": { "podSubnets": ["10.42.0.0/16"] }, "proxy": { "disabled": true } } });
        let mut documents = vec![first, json!({ "kind": "VolumeConfig", "name": "EPHEMERAL" })];
        apply(
            &mut documents,
            &json!({ "machine": {
            "sysctls": { "a": "2", "b": "3" },
            "certSANs": ["two"],
            "network": { "interfaces": [{ "interface": "eth0", "mtu": 9000 }, { "interface": "eth1" }] },
        }, "cluster": { "network": { "podSubnets": ["10.50.0.0/16"] }, "proxy": { "$patch": "delete" } } }),
        );
        apply(&mut documents, &json!({ "kind": "VolumeConfig", "name": "EPHEMERAL", "$patch": "delete" }));
        apply(&mut documents, &json!({ "kind": "UserVolumeConfig", "name": "data" }));
        let patched = json!({ "machine": {
            "sysctls": { "a": "2", "b": "3" },
            "certSANs": ["one", "two"],
            "network": { "interfaces": [
                { "interface": "eth0", "addresses": ["10.0.0.1/24"], "mtu": 9000 }, { "interface": "eth1" },
            ] },
        }, "cluster": { "network": { "podSubnets": ["10.50.0.0/16"] } } });
        assert_eq!(documents, [patched, json!({ "kind": "UserVolumeConfig", "name": "data" })]);
    }
}
