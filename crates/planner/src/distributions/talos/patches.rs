//! The user's patches, put on top as Talos itself would: a strategic merge.
//! <https://www.talos.dev/v1.11/talos-guides/configuration/patching/#strategic-merge-patches>,
//! `pkg/machinery/config/merge/merge.go` and `configloader/internal/decoder/delete.go` of v1.9 to v1.14.

use serde_json::{Map, Value};

/// What takes a document or a part of one away.
const DIRECTIVE: &str = "$patch";

/// What a document is known by; a patch that has nothing else says nothing.
const IDENTITY: [&str; 4] = ["version", "apiVersion", "kind", "name"];

/// Parts that are said anew instead of being merged, by the kind of their document: `merge:"replace"` in
/// `pkg/machinery/config/types`.
const SAID_ANEW: [(&str, &[&str]); 9] = [
    ("", &["auditPolicy", "podSubnets", "serviceSubnets"]),
    ("KubeNetworkConfig", &["podSubnets", "serviceSubnets"]),
    ("KubeAuditPolicyConfig", &["configuration"]),
    ("KubeAuthenticationConfig", &["configuration"]),
    ("KubeCredentialProviderConfig", &["configuration"]),
    ("KubeStaticPodConfig", &["pod"]),
    ("CRIBaseRuntimeSpecConfig", &["overrides"]),
    ("NetworkRuleConfig", &["ingress", "ports"]),
    ("BGPInstanceConfig", &["advertise", "importRoutes", "neighbors"]),
];

/// Lists whose entries are known again by what they say of themselves: the `Merge` methods of the same folder.
const KNOWN_AGAIN: [(&str, &[&str]); 5] = [
    ("interfaces", &["interface", "deviceSelector"]),
    ("vlans", &["vlanId"]),
    ("admissionControl", &["name"]),
    ("configFiles", &["mountPath"]),
    ("rules", &["image"]),
];

/// Puts a patch on the document that it is for: the one of its kind and name, and without a kind the first one. A document
/// that is not there yet is added. What the patch takes away goes before anything of it is put on.
pub(super) fn apply(documents: &mut Vec<Value>, patch: &Value) {
    let is_it =
        |document: &Value| document.get("kind") == patch.get("kind") && document.get("name") == patch.get("name");
    let place = documents.iter().position(is_it);
    if deletes(patch) {
        place.map(|place| documents.remove(place));
        return;
    }
    let (mut patch, mut nothing) = (patch.clone(), Value::Null);
    let there = place.and_then(|place| documents.get_mut(place));
    let took = take_away(there.unwrap_or(&mut nothing), &mut patch);
    match place {
        Some(place) => merge(&mut documents[place], &patch, "", patch["kind"].as_str().unwrap_or_default()),
        None if took && says_nothing(&patch) => {}
        None => documents.push(patch),
    }
}

fn deletes(patch: &Value) -> bool {
    patch.get(DIRECTIVE).and_then(Value::as_str) == Some("delete")
}

fn says_nothing(patch: &Value) -> bool {
    patch.as_object().is_some_and(|map| map.keys().all(|key| IDENTITY.contains(&key.as_str())))
}

/// Takes away what a patch says is to go, and that out of the patch; what is left of the patch says what comes. Whether there
/// was such a thing. Inside of an entry of a list Talos takes nothing away: it refuses that itself.
fn take_away(under: &mut Value, over: &mut Value) -> bool {
    let mut took = false;
    match over {
        Value::Object(over) => {
            let mut done = Vec::new();
            for (key, value) in over.iter_mut() {
                if deletes(value) {
                    under.as_object_mut().map(|under| under.shift_remove(key));
                } else if !take_away(under.get_mut(key).unwrap_or(&mut Value::Null), value) {
                    continue;
                }
                took = true;
                if deletes(value) || is_empty(value) {
                    done.push(key.clone());
                }
            }
            done.iter().for_each(|key| drop(over.shift_remove(key)));
        }
        Value::Array(over) => over.retain(|entry| {
            let goes = deletes(entry);
            if let Some(under) = under.as_array_mut().filter(|_| goes)
                && let Some(place) = under.iter().position(|there| is_meant(there, entry))
            {
                drop(under.remove(place));
            }
            took |= goes;
            !goes
        }),
        _ => {}
    }
    took
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

/// Whether an entry of a list is the one that is to go: the first thing that the patch says of it decides.
fn is_meant(there: &Value, gone: &Value) -> bool {
    let first = gone.as_object().and_then(|gone| gone.iter().find(|(key, _)| *key != DIRECTIVE));
    first.is_some_and(|(key, value)| there.get(key) == Some(value))
}

/// Maps are merged, lists grow, and everything else is replaced.
fn merge(under: &mut Value, over: &Value, key: &str, kind: &str) {
    let anew = SAID_ANEW.iter().any(|(of, keys)| *of == kind && keys.contains(&key));
    match (under, over) {
        // What is null says nothing.
        (_, Value::Null) => {}
        (Value::Object(under), Value::Object(over)) if !anew => {
            for (name, value) in over {
                match under.get_mut(name) {
                    // An argument is said anew, whether it is one value or several (`meta/args.go`).
                    Some(there) if key != "extraArgs" => merge(there, value, name, kind),
                    _ => drop(under.insert(name.clone(), value.clone())),
                }
            }
        }
        (Value::Array(under), Value::Array(over)) if !anew => {
            over.iter().for_each(|entry| grow(under, entry, key, kind))
        }
        (under, over) => *under = over.clone(),
    }
}

/// Puts an entry into a list, or on top of the one that is about the same thing.
fn grow(list: &mut Vec<Value>, entry: &Value, key: &str, kind: &str) {
    let names = KNOWN_AGAIN.iter().find(|(list, _)| *list == key).map_or(&[] as &[&str], |(_, names)| names);
    // The first that an entry has is the one that it is known by.
    let name = names.iter().find(|name| entry.get(**name).is_some());
    let same = |there: &&mut Value| name.is_some_and(|name| there.get(*name) == entry.get(*name));
    match list.iter_mut().find(same) {
        Some(there) if key == "rules" => *there = entry.clone(),
        Some(there) => merge(there, entry, "", kind),
        None => list.push(entry.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(documents: Value, patches: Value) -> Value {
        let mut documents = documents.as_array().cloned().unwrap();
        patches.as_array().unwrap().iter().for_each(|patch| apply(&mut documents, patch));
        documents.into()
    }

    #[test]
    fn patches_are_put_on_as_talos_would() {
        let first = json!({ "machine": {
            "sysctls": { "a": "1" },
            "certSANs": ["one"],
            "network": { "interfaces": [{ "interface": "eth0", "addresses": ["10.0.0.1/24"] }] },
        }, "cluster": { "network": { "podSubnets": ["10.42.0.0/16"] }, "proxy": { "disabled": true } } });
        let patch = json!({ "machine": {
            "sysctls": { "a": "2", "b": "3" },
            "certSANs": ["two"],
            "time": null,
            "network": { "interfaces": [{ "interface": "eth0", "mtu": 9000 }, { "interface": "eth1" }] },
        }, "cluster": { "network": { "podSubnets": ["10.50.0.0/16"] }, "proxy": { "$patch": "delete" } } });
        let after = json!({ "machine": {
            "sysctls": { "a": "2", "b": "3" },
            "certSANs": ["one", "two"],
            "time": null,
            "network": { "interfaces": [
                { "interface": "eth0", "addresses": ["10.0.0.1/24"], "mtu": 9000 }, { "interface": "eth1" },
            ] },
        }, "cluster": { "network": { "podSubnets": ["10.50.0.0/16"] } } });
        let volume = json!({ "kind": "VolumeConfig", "name": "EPHEMERAL" });
        let gone = json!({ "kind": "VolumeConfig", "name": "EPHEMERAL", "$patch": "delete" });
        let data = json!({ "kind": "UserVolumeConfig", "name": "data" });
        assert_eq!(patched(json!([first, volume]), json!([patch, gone, data])), json!([after, data]));
    }

    /// The cases of Talos' own tests: `configpatcher/testdata/patchdelete`, `patchlink` and `patchmixed`, v1.14.
    #[test]
    fn what_goes_goes_before_what_comes() {
        let first = json!({ "version": "v1alpha1", "machine": { "network": {
            "hostname": "one", "interfaces": [
                { "interface": "eth0", "dhcp": true }, { "interface": "eth1", "addresses": ["10.3.0.4/32"] },
            ],
        } } });
        let patch = json!({ "version": "v1alpha1", "machine": { "network": {
            "hostname": { "$patch": "delete" }, "interfaces": [
                { "interface": "eth0", "$patch": "delete" },
                { "interface": "eth1", "addresses": ["10.3.0.5/32"] },
                { "interface": "eth0", "dummy": true },
            ],
        } } });
        let after = json!({ "version": "v1alpha1", "machine": { "network": { "interfaces": [
            { "interface": "eth1", "addresses": ["10.3.0.4/32", "10.3.0.5/32"] }, { "interface": "eth0", "dummy": true },
        ] } } });
        assert_eq!(patched(json!([first]), json!([patch])), json!([after]));

        let service = |files: Value| json!({ "kind": "ExtensionServiceConfig", "name": "foo", "configFiles": files });
        let before = service(json!([{ "content": "a", "mountPath": "/a" }, { "content": "c", "mountPath": "/c" }]));
        let patch = service(json!([
            { "content": "a", "$patch": "delete" }, { "content": "b", "mountPath": "/b" }, { "content": "d", "mountPath": "/c" },
        ]));
        let after = service(json!([{ "content": "d", "mountPath": "/c" }, { "content": "b", "mountPath": "/b" }]));
        assert_eq!(patched(json!([before]), json!([patch])), json!([after]));

        let link = |addresses: Value| json!({ "kind": "LinkConfig", "name": "eth0", "addresses": addresses });
        let old = json!({ "address": "10.0.0.6/24" });
        let new = json!({ "address": "10.0.0.7/24" });
        let patch = link(json!([{ "address": "10.0.0.6/24", "$patch": "delete" }, new]));
        assert_eq!(patched(json!([link(json!([old]))]), json!([patch])), json!([link(json!([new]))]));

        let mirror = |rest: Value| {
            let mut mirror = json!({ "kind": "RegistryMirrorConfig", "name": "k8s" });
            mirror.as_object_mut().unwrap().extend(rest.as_object().cloned().unwrap());
            mirror
        };
        let gone = mirror(json!({ "endpoints": { "$patch": "delete" } }));
        let new = mirror(json!({ "endpoints": [{ "url": "http://b" }] }));
        let there = mirror(json!({ "endpoints": [{ "url": "http://a" }] }));
        assert_eq!(
            patched(json!([there]), json!([gone, new, mirror(json!({ "skipFallback": true }))])),
            json!([mirror(json!({ "endpoints": [{ "url": "http://b" }], "skipFallback": true }))])
        );
        // A document that is not there is none because something of it is taken away.
        assert_eq!(patched(json!([]), json!([gone])), json!([]));
    }

    #[test]
    fn some_parts_are_said_anew() {
        let policy = |rules: Value| json!({ "kind": "KubeAuditPolicyConfig", "configuration": { "rules": rules } });
        let (all, none) = (policy(json!([{ "level": "Metadata" }])), policy(json!([{ "level": "None" }])));
        assert_eq!(patched(json!([all]), json!([none])), json!([none]));
        let pod = |name: &str| json!({ "kind": "KubeStaticPodConfig", "name": "a", "pod": { (name): { "x": 1 } } });
        assert_eq!(patched(json!([pod("one")]), json!([pod("two")])), json!([pod("two")]));
        let rule = |ports: Value, from: &str| json!({ "kind": "NetworkRuleConfig", "name": "a", "portSelector": { "ports": ports }, "ingress": [{ "subnet": from }] });
        let (old, new) = (rule(json!([22]), "10.0.0.0/8"), rule(json!([80]), "10.1.0.0/16"));
        assert_eq!(patched(json!([old]), json!([new])), json!([new]));
        // What has the same word in another document is merged.
        let admission =
            |rest: Value| json!({ "kind": "KubeAdmissionControlConfig", "name": "a", "configuration": rest });
        let both = admission(json!({ "a": 1, "b": 2 }));
        assert_eq!(
            patched(json!([admission(json!({ "a": 1 }))]), json!([admission(json!({ "b": 2 }))])),
            json!([both])
        );
        let server = |args: Value| json!({ "kind": "KubeAPIServerConfig", "extraArgs": args });
        assert_eq!(
            patched(json!([server(json!({ "a": ["1"], "b": "2" }))]), json!([server(json!({ "a": ["3"] }))])),
            json!([server(json!({ "a": ["3"], "b": "2" }))])
        );
    }
}
