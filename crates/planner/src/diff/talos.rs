//! Hosts of Talos: what of the image and of the machine configuration is not as wished, and what that takes.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::host::HostResource;
use kubewright_model::observed::HostSeen;
use kubewright_model::talos::{MachineConfig, TalosImage, TalosSeen, beyond_plain};
use serde_json::Value;

/// From what to what, for people; none where it is as wished.
pub(super) type Change = Option<(Option<String>, String)>;

/// Whether Talos runs from another image. What a machine that waits for its configuration is installed from shows only
/// when it has it: one that was reset has been installed before, and stays so.
pub(super) fn image(wish: &TalosImage, seen: &HostSeen) -> Change {
    let there = seen.talos.as_ref()?;
    if there.maintenance {
        return Some((None, format!("v{}", wish.version.bare())));
    }
    let (is, to_be) = (beyond_plain(there.schematic.as_deref()), beyond_plain(wish.schematic.as_deref()));
    if wish.is(&there.version, there.schematic.as_deref()) {
        return None;
    }
    let short = |id: Option<&str>| id.map_or(String::new(), |id| format!(", image {}", &id[..id.len().min(12)]));
    let from = format!("v{}{}", there.version.bare(), short(is));
    let mut to = format!("v{}{}", wish.version.bare(), short(to_be));
    if is != to_be && !wish.extensions.is_empty() {
        to += &format!(" with {}", wish.extensions.join(", "));
    }
    Some((Some(from), to))
}

/// What differs of the configuration, a line for each value.
pub(super) fn config(wish: &MachineConfig, seen: &HostSeen) -> Change {
    let wished = wish.documents();
    match seen.talos.as_ref().filter(|there| !there.maintenance) {
        None => Some((None, format!("of a {}", role(&wished)))),
        Some(there) => {
            let (from, to) = between(&there.config, &wished)?;
            Some((Some(from), to))
        }
    }
}

fn role(documents: &[Value]) -> &str {
    match documents.first().and_then(|first| first["machine"]["type"].as_str()) {
        Some("controlplane") => "control plane",
        _ => "worker",
    }
}

fn between(there: &[Value], wished: &[Value]) -> Option<(String, String)> {
    let (there, wished) = (values(there), values(wished));
    let only = |these: &BTreeMap<String, String>, others: &BTreeMap<String, String>| {
        let differ = these.iter().filter(|(path, value)| others.get(*path) != Some(value));
        differ.map(|(path, value)| format!("{path}: {value}")).collect::<Vec<_>>().join("\n")
    };
    let (from, to) = (only(&there, &wished), only(&wished, &there));
    (!from.is_empty() || !to.is_empty()).then_some((from, to))
}

/// Every value by the path to it. What is empty says nothing, as in Talos itself.
fn values(documents: &[Value]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for document in documents {
        let name = |key| document.get(key).and_then(Value::as_str);
        let at = match (name("kind"), name("name")) {
            (Some(kind), Some(name)) => format!("{kind} {name}"),
            (Some(kind), None) => kind.to_string(),
            (None, _) => String::new(),
        };
        collect(document, at, &mut found);
    }
    found
}

fn collect(value: &Value, at: String, found: &mut BTreeMap<String, String>) {
    let below = |key: &str| if at.is_empty() { key.to_string() } else { format!("{at}.{key}") };
    match value {
        Value::Object(map) if !map.is_empty() => map.iter().for_each(|(key, value)| collect(value, below(key), found)),
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(place, item)| collect(item, below(&place.to_string()), found));
        }
        Value::Object(_) | Value::Array(_) | Value::Null => {}
        Value::String(text) => drop(found.insert(at, text.clone())),
        Value::Bool(_) | Value::Number(_) => drop(found.insert(at, value.to_string())),
    }
}

/// Parts of the first document that Talos takes over while it runs. All other documents are of that kind too.
/// <https://github.com/siderolabs/talos/blob/v1.11.6/internal/app/machined/pkg/runtime/v1alpha1/v1alpha1_runtime.go>
/// (`CanApplyImmediate`)
const WHILE_IT_RUNS: [&str; 25] = [
    "debug",
    "cluster.",
    "machine.ca.",
    "machine.acceptedCAs.",
    "machine.time.",
    "machine.certSANs.",
    "machine.install.",
    "machine.network.",
    "machine.sysfs.",
    "machine.sysctls.",
    "machine.logging.",
    "machine.controlPlane.",
    "machine.kubelet.",
    "machine.kernel.",
    "machine.registries.",
    "machine.pods.",
    "machine.seccompProfiles.",
    "machine.nodeAnnotations.",
    "machine.nodeLabels.",
    "machine.nodeTaints.",
    "machine.features.kubernetesTalosAPIAccess.",
    "machine.features.kubePrism.",
    "machine.features.hostDNS.",
    "machine.features.imageCache.",
    "machine.features.nodeAddressSortAlgorithm",
];

/// The first version that takes over everything while it runs (`ApplyConfiguration`, `v1alpha1_server.go`).
const TAKES_ALL: (u64, u64) = (1, 14);

/// Parts that neither a kubelet nor a control plane notices.
const UNNOTICED: [&str; 12] = [
    "debug",
    "machine.certSANs.",
    "machine.install.",
    "machine.logging.",
    "machine.nodeAnnotations.",
    "machine.nodeLabels.",
    "machine.nodeTaints.",
    "machine.sysctls.",
    "machine.sysfs.",
    "machine.time.",
    "UnattendedInstallConfig.",
    "KubeNodeConfig.labels.",
];

/// The image of kube-proxy that a control plane's configuration names, where it has one at all.
pub fn kube_proxy(documents: &[Value]) -> Option<String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_string);
    match documents.iter().find(|document| document["kind"] == "KubeProxyConfig") {
        Some(document) => text(document.get("image")).filter(|_| document.get("enabled") != Some(&Value::Bool(false))),
        None => {
            let proxy = documents.first()?.pointer("/cluster/proxy")?;
            text(proxy.get("image")).filter(|_| proxy.get("disabled") != Some(&Value::Bool(true)))
        }
    }
}

/// Which interfaces a configuration speaks of.
pub struct Interfaces {
    /// Those that have to be there, by name.
    pub named: BTreeSet<String>,
    /// One is meant by being physical: all of that kind are.
    pub physical: bool,
}

/// What makes an interface of others, or of nothing, in the first document (`Device`, `pkg/machinery/config/types/v1alpha1`).
const MADE: [&str; 4] = ["bond", "bridge", "wireguard", "dummy"];

/// The interfaces that a configuration wants to be there. What it makes itself is none of them.
pub fn interfaces(wish: &MachineConfig) -> Interfaces {
    let documents = wish.documents();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_string);
    let old = documents.first().and_then(|first| first.pointer("/machine/network/interfaces")?.as_array().cloned());
    let old: Vec<Value> = old.unwrap_or_default();
    let (made, plain): (Vec<&Value>, Vec<&Value>) =
        old.iter().partition(|it| MADE.iter().any(|key| it.get(key).is_some_and(|it| *it != Value::Bool(false))));
    let (links, others): (Vec<&Value>, Vec<&Value>) =
        documents.iter().partition(|document| document["kind"] == "LinkConfig");
    let made: BTreeSet<String> = made
        .into_iter()
        .filter_map(|it| text(it, "interface"))
        .chain(others.iter().filter_map(|it| text(it, "name")))
        .collect();
    let named =
        plain.iter().filter_map(|it| text(it, "interface")).chain(links.iter().filter_map(|it| text(it, "name")));
    // Names that it gives to interfaces itself may be patterns.
    let aliases = others.iter().any(|document| document["kind"] == "LinkAliasConfig");
    let named = named.filter(|name| !aliases && !made.contains(name) && name != "lo").collect();
    let physical = plain.iter().any(|it| it.pointer("/deviceSelector/physical") == Some(&Value::Bool(true)));
    Interfaces { named, physical }
}

/// Whether making a resource true starts the machine again.
pub fn reboots(resource: &HostResource, seen: &HostSeen) -> bool {
    match resource {
        HostResource::TalosImage(wish) => !waits(seen) && image(wish, seen).is_some(),
        HostResource::MachineConfig(wish) => {
            let takes_all = seen.talos.as_ref().is_some_and(|talos| talos.version.minor() >= TAKES_ALL);
            !takes_all && paths(wish, seen).iter().any(|path| is_of_the_first(path) && !begins(path, &WHILE_IT_RUNS))
        }
        _ => false,
    }
}

/// Whether making a resource true restarts something of Kubernetes on a node that works.
pub fn disturbs(resource: &HostResource, seen: &HostSeen) -> bool {
    match resource {
        HostResource::TalosImage(wish) => !waits(seen) && image(wish, seen).is_some(),
        HostResource::MachineConfig(wish) => paths(wish, seen).iter().any(|path| !begins(path, &UNNOTICED)),
        _ => false,
    }
}

/// Whether a machine waits for its configuration.
fn waits(seen: &HostSeen) -> bool {
    seen.talos.as_ref().is_some_and(|talos| talos.maintenance)
}

/// The paths of everything that differs of a configuration that is there.
fn paths(wish: &MachineConfig, seen: &HostSeen) -> Vec<String> {
    let Some(TalosSeen { config, .. }) = seen.talos.as_ref().filter(|there| !there.maintenance) else {
        return Vec::new();
    };
    let (there, wished) = (values(config), values(&wish.documents()));
    let differs = |path: &&String| there.get(*path) != wished.get(*path);
    there.keys().chain(wished.keys()).filter(differs).cloned().collect()
}

/// Whether a path is one of the document that has no kind: kinds are written with a capital.
fn is_of_the_first(path: &str) -> bool {
    path.starts_with(|first: char| first.is_ascii_lowercase())
}

fn begins(path: &str, all: &[&str]) -> bool {
    all.iter().any(|start| path.starts_with(start))
}

#[cfg(test)]
mod tests {
    use kubewright_model::talos::Schematic;
    use kubewright_model::version::Version;
    use serde_json::json;

    use super::*;

    fn node(config: Vec<Value>) -> HostSeen {
        let talos = TalosSeen {
            version: Version::known("v1.11.5"),
            maintenance: config.is_empty(),
            config,
            schematic: None,
            disks: BTreeMap::new(),
            system_disk: None,
            links: BTreeMap::new(),
            etcd: None,
        };
        HostSeen { talos: Some(talos), ..HostSeen::default() }
    }

    fn document(label: &str, image: &str, quota: bool) -> Value {
        json!({ "version": "v1alpha1", "machine": {
            "type": "controlplane", "nodeLabels": { "a": label }, "kubelet": { "image": image, "extraArgs": {} },
            "features": { "diskQuotaSupport": quota },
        } })
    }

    #[test]
    fn what_differs_is_told_value_by_value_and_what_it_takes_is_known() {
        let seen = node(vec![document("1", "one", true)]);
        let wish =
            |label, image, quota| HostResource::MachineConfig(MachineConfig::of(&[document(label, image, quota)]));
        let told = |wish: &HostResource| match wish {
            HostResource::MachineConfig(config) => super::config(config, &seen),
            _ => None,
        };
        let (same, label, kubelet) = (wish("1", "one", true), wish("2", "one", true), wish("1", "two", true));
        let quota = wish("1", "one", false);
        assert_eq!(told(&same), None);
        assert_eq!(told(&label), Some((Some("machine.nodeLabels.a: 1".into()), "machine.nodeLabels.a: 2".into())));
        let takes = |wish: &HostResource| (disturbs(wish, &seen), reboots(wish, &seen));
        assert_eq!(
            [&same, &label, &kubelet, &quota].map(takes),
            [(false, false), (false, false), (true, false), (true, true)]
        );
        let waiting = node(Vec::new());
        let HostResource::MachineConfig(config) = &same else { panic!("no configuration") };
        assert_eq!(super::config(config, &waiting), Some((None, "of a control plane".into())));
        assert!(!reboots(&same, &waiting) && !disturbs(&same, &waiting));
    }

    #[test]
    fn interfaces_that_a_configuration_makes_itself_need_not_be_there() {
        let of = |documents: &[Value]| interfaces(&MachineConfig::of(documents));
        let old = |interfaces: Value| of(&[json!({ "machine": { "network": { "interfaces": interfaces } } })]);
        assert!(old(json!([{ "deviceSelector": { "physical": true } }])).physical);
        let found = old(json!([{ "interface": "eth1" }, { "interface": "bond0", "bond": { "interfaces": ["eth2"] } }]));
        assert!(!found.physical && found.named == BTreeSet::from(["eth1".to_string()]));
        let named = |kind: &str, name: &str| json!({ "kind": kind, "name": name });
        let found =
            of(&[json!({}), named("LinkConfig", "ens18"), named("LinkConfig", "br0"), named("BridgeConfig", "br0")]);
        assert_eq!(found.named, BTreeSet::from(["ens18".to_string()]));
        assert!(of(&[json!({}), named("LinkConfig", "net0"), named("LinkAliasConfig", "net%d")]).named.is_empty());
    }

    #[test]
    fn an_image_is_another_one_by_its_version_or_by_what_is_in_it() {
        let wish = |version, extensions: &[&str]| {
            let extensions: Vec<String> = extensions.iter().map(ToString::to_string).collect();
            let id = Schematic::new(&extensions, &[]).unwrap().id.to_string();
            let version = Version::known(version);
            TalosImage { version, image: String::new(), schematic: Some(id), extensions, factory: None }
        };
        let seen = node(vec![json!({})]);
        assert_eq!(image(&wish("v1.11.5", &[]), &seen), None);
        assert_eq!(image(&wish("v1.11.6", &[]), &seen), Some((Some("v1.11.5".into()), "v1.11.6".into())));
        let (from, to) = image(&wish("v1.11.5", &["siderolabs/iscsi-tools"]), &seen).unwrap();
        assert_eq!(from.as_deref(), Some("v1.11.5"));
        assert!(to.starts_with("v1.11.5, image ") && to.ends_with(" with siderolabs/iscsi-tools"), "{to}");
        assert_eq!(image(&wish("v1.12.0", &[]), &node(Vec::new())), Some((None, "v1.12.0".into())));
        let waiting = HostResource::TalosImage(wish("v1.12.0", &[]));
        assert!(!reboots(&waiting, &node(Vec::new())) && !disturbs(&waiting, &node(Vec::new())));
    }
}
