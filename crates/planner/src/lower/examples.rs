//! The example files, lowered: each fact that an example's document names stands in the answer, as one line of text.

mod devboard;
mod keybuzz;
mod mlops;
mod valaskjalf;
mod vixens;

use std::collections::BTreeSet;

use kubewright_model::desired::{Body, Desired, DesiredMachine};
use kubewright_model::diagnostic::Severity;
use kubewright_model::host::HostResource;
use kubewright_model::spec::{ClusterFile, load};
use serde_json::{Value, json, to_value};

use super::lower;

/// An example: its file, and what that means.
struct Example {
    file: ClusterFile,
    desired: Desired,
}

/// The example's file means this, and nothing in it is wrong.
fn lowered(text: &str) -> Example {
    let loaded = load(text).unwrap_or_else(|found| panic!("{found:#?}"));
    let (desired, found) = lower(&loaded.file);
    let errors: Vec<_> = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    Example { file: loaded.file, desired }
}

/// Every expected line is there; what is not is shown beside the lines that begin alike.
fn assert_facts(example: &Example, expected: &[&str]) {
    let facts = facts(example);
    let absent: Vec<&&str> = expected.iter().filter(|line| !facts.contains(**line)).collect();
    let start = |line: &str| line.split(':').next().unwrap_or_default().to_string();
    let near = |line: &str| facts.iter().filter(|fact| start(fact) == start(line)).cloned().collect::<Vec<_>>();
    let shown: Vec<_> = absent.iter().map(|line| (line, near(line))).collect();
    assert!(absent.is_empty(), "{shown:#?}");
    assert!(expected.len() >= 15, "an example is worth at least 15 facts");
}

/// What a version without all back ends cannot do with the example, by name.
fn missing(example: &Example) -> Vec<&str> {
    example.desired.missing.iter().map(|missing| missing.what.as_str()).collect()
}

/// What the example means, line by line. Lines that start with `spec` are of what no compiler of this version takes up.
fn facts(Example { file, desired }: &Example) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    leaves(&mut facts, "spec", to_value(&file.spec));
    leaves(&mut facts, "kubernetes", to_value(&desired.kubernetes));
    for machine in &desired.machines {
        facts.insert(machine_line(machine));
        leaves(&mut facts, &format!("pool {}", machine.pool), to_value(&*machine.body));
    }
    for member in &desired.members {
        leaves(
            &mut facts,
            &format!("member {}", member.name),
            Ok(json!({ "role": member.role, "label": *member.labels, "taint": *member.taints })),
        );
    }
    for host in &desired.hosts {
        let way = &host.way;
        let address = way.address.map(|address| address.to_string()).or_else(|| way.name.clone()).unwrap_or_default();
        facts.insert(format!("host {}: ssh {}@{address}:{}", host.name, way.user, way.port));
        facts.extend(
            host.resources
                .iter()
                .flat_map(|it| resource_lines(it).into_iter().map(|line| format!("host {}: {line}", host.name))),
        );
    }
    for balancer in &desired.load_balancers {
        let name = format!("load balancer {}", balancer.name);
        leaves(&mut facts, &name, to_value(&balancer.spec));
        facts.extend(balancer.targets.iter().map(|target| format!("{name}: to {target}")));
    }
    for manifest in desired.objects.iter().flat_map(|group| &group.manifests) {
        let text = |path: &str| manifest.0.pointer(path).and_then(Value::as_str).unwrap_or_default().to_string();
        let namespace = text("/metadata/namespace");
        let name = format!("{}{}{}", namespace, if namespace.is_empty() { "" } else { "/" }, text("/metadata/name"));
        facts.insert(format!("object {} {name}", text("/kind")));
        leaves(&mut facts, &format!("object {} {name}", text("/kind")), Ok(manifest.0.clone()));
    }
    for release in &desired.releases {
        let name = format!("release {}/{}", release.namespace, release.name);
        let version = release.version.as_ref().map(ToString::to_string).unwrap_or_default();
        facts.insert(format!("{name}: {} {version}", release.chart));
        leaves(&mut facts, &name, Ok(release.values.clone()));
    }
    facts.extend(desired.checks.iter().map(|check| format!("check {}: {}", check.name, check.condition)));
    for check in &desired.checks {
        leaves(&mut facts, &format!("check {}", check.name), to_value(&check.condition));
    }
    facts.extend(desired.secrets.iter().map(|(name, place)| format!("secret {name}: {}", place.place())));
    facts
}

fn machine_line(machine: &DesiredMachine) -> String {
    let kind = match &*machine.body {
        Body::Lxc(_) => "container",
        Body::Vm(_) => "virtual machine",
        Body::Server(_) => "server",
        Body::Existing => "host",
        Body::Local => "local machine",
    };
    let mut parts = vec![format!("{kind} of {} at {}", machine.provider, machine.place)];
    parts.extend(machine.vmid.map(|vmid| format!("VMID {vmid}")));
    parts.extend(machine.address.map(|address| address.to_string()));
    parts.extend(machine.cores.map(|cores| format!("{cores} cores")));
    parts.extend(machine.memory.map(|memory| format!("{memory} memory")));
    parts.extend(machine.disk.map(|disk| format!("{disk} disk")));
    parts.extend((!machine.tags.is_empty()).then(|| format!("tags {}", machine.tags.join(" "))));
    parts.extend(machine.on_boot.then(|| "on boot".to_string()));
    format!("machine {}: {}", machine.name, parts.join(", "))
}

/// What is true of the host: the resource's key with its setting, or with each line of its text.
fn resource_lines(resource: &HostResource) -> Vec<String> {
    let key = resource.key();
    match resource {
        HostResource::File(file) => {
            file.content.to_string().lines().map(|line| format!("{key}: {}", line.trim())).collect()
        }
        HostResource::Lines { lines, .. } => lines.iter().map(|line| format!("{key}: {line}")).collect(),
        HostResource::HostsEntries(entries) => entries.iter().map(|entry| format!("{key}: {}", entry.line())).collect(),
        HostResource::User(user) => {
            let sudo = if user.sudo { " with sudo" } else { "" };
            let hash = user.password_hash.as_ref().map(|hash| format!(", password {hash}")).unwrap_or_default();
            vec![format!("{key}{sudo}{hash}")]
        }
        other => vec![other.setting().map_or_else(|| key.clone(), |setting| format!("{key}: {setting}"))],
    }
}

/// Each leaf of a value as a line: `NAME: the.path.to.it = value`.
fn leaves(facts: &mut BTreeSet<String>, name: &str, value: serde_json::Result<Value>) {
    fn walk(facts: &mut BTreeSet<String>, name: &str, path: &str, value: &Value) {
        let below = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| walk(facts, name, &below(key), value)),
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(n, value)| walk(facts, name, &below(&n.to_string()), value))
            }
            Value::String(text) => drop(facts.insert(format!("{name}: {path} = {text}"))),
            other => drop(facts.insert(format!("{name}: {path} = {other}"))),
        }
    }
    walk(facts, name, "", &value.unwrap());
}
