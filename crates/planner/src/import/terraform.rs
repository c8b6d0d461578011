//! What `terraform show -json` (and OpenTofu's `tofu show -json`) prints of a state: servers of Hetzner Cloud, machines of
//! Proxmox, and the networks and load balancers beside them.
//! <https://developer.hashicorp.com/terraform/internals/json-format#state-representation>
//!
//! What Terraform has made stays in its hands: hosts are written down as those that exist already.

mod hetzner;
mod proxmox;

use kubewright_model::diagnostic::{Place, SpecPath};
use kubewright_model::source::{SourceMap, read_foreign};
use serde_json::Value;

use super::{FORM, Foreign, Reading, Spot, sounds_secret};

/// A resource of the state, and where it stands.
struct Resource<'a> {
    kind: &'a str,
    /// `module.nodes.hcloud_server.master[0]`.
    address: &'a str,
    values: &'a Value,
    spot: Spot,
}

impl Resource<'_> {
    fn text(&self, field: &str) -> Option<&str> {
        self.values.get(field)?.as_str().filter(|text| !text.is_empty())
    }

    fn number(&self, field: &str) -> Option<u64> {
        let value = self.values.get(field)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }

    /// A value below others, as a JSON pointer has it: `/initialization/0/ip_config/0`.
    fn at(&self, pointer: &str) -> Option<&Value> {
        self.values.pointer(pointer)
    }

    /// A value at a pointer that is text, and not empty.
    fn text_at(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str().filter(|text| !text.is_empty())
    }

    fn number_at(&self, pointer: &str) -> Option<u64> {
        self.at(pointer)?.as_u64()
    }
}

pub(super) fn read(file: &Foreign, reading: &mut Reading) {
    let index = reading.text(&file.name, &file.text);
    let start = Spot { text: index, at: Place { file: 0, line: 1, column: 1, length: 1 } };
    // JSON is YAML too, and its reader knows where everything stands.
    let (value, places) = match read_foreign(&file.text) {
        Ok(read) => read,
        Err(found) => return reading.found.extend(found.into_iter().map(|found| (index, found))),
    };
    let Some(root) = value.pointer("/values/root_module") else {
        let help = "write down the state with `terraform show -json > state.json`";
        let message = match () {
            () if value.get("terraform_version").is_some() && value.get("lineage").is_some() => {
                "this is the state file itself"
            }
            () if value.get("planned_values").is_some() => "this is a plan, and what it plans may not be there yet",
            () if value.get("format_version").is_some() => "the state is empty",
            () => "this is not what `terraform show -json` prints",
        };
        return reading.wrong(start, FORM, message, help);
    };
    let mut resources = Vec::new();
    module(root, &SpecPath::pointer("/values/root_module"), index, &places, &mut resources, reading);
    let known = resources.len();
    hetzner::read(&resources, reading);
    proxmox::read(&resources, reading);
    if reading.hosts.iter().all(|host| host.spot.text != index) {
        let message = format!("none of its {known} resources is a machine");
        let help =
            "known are hcloud_server, proxmox_virtual_environment_vm and _container, proxmox_vm_qemu and proxmox_lxc";
        reading.wrong(start, FORM, message, help);
    }
}

/// The resources of a module and of those below it. Data sources are what others have made, and are passed by.
fn module<'a>(
    value: &'a Value,
    path: &SpecPath,
    index: usize,
    places: &SourceMap,
    resources: &mut Vec<Resource<'a>>,
    reading: &mut Reading,
) {
    let list = |field: &str| value.get(field).and_then(Value::as_array).into_iter().flatten().enumerate();
    for (at, resource) in list("resources") {
        let word = |field: &str| resource.get(field).and_then(Value::as_str).unwrap_or_default();
        let path = path.then("resources").then(at);
        let Some(values) = resource.get("values").filter(|_| word("mode") == "managed") else { continue };
        secrets(values, &path.then("values"), index, places, reading);
        let named = places.place(&path.then("address")).unwrap_or(Place { file: 0, line: 1, column: 1, length: 1 });
        let spot = Spot { text: index, at: named };
        resources.push(Resource { kind: word("type"), address: word("address"), values, spot });
    }
    for (at, child) in list("child_modules") {
        module(child, &path.then("child_modules").then(at), index, places, resources, reading);
    }
}

/// Notes where secrets stand: passwords, tokens, private keys.
fn secrets(value: &Value, path: &SpecPath, index: usize, places: &SourceMap, reading: &mut Reading) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => return,
    };
    for (key, value) in below {
        let path = path.then(&key);
        match value {
            Value::String(text) if !text.is_empty() && sounds_secret(&key) => {
                reading.secrets.extend(places.place(&path).map(|at| Spot { text: index, at }));
                reading.tell("the state holds secrets (passwords or tokens), in clear text; none of them was taken");
            }
            _ => secrets(value, &path, index, places, reading),
        }
    }
}
