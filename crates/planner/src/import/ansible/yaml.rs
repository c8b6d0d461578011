//! Inventories in YAML: groups as mappings of `hosts`, `children` and `vars`, by what
//! `ansible/plugins/inventory/yaml.py` of Ansible 2.19 does.

use kubewright_model::diagnostic::{Place, SpecPath};
use kubewright_model::source::{SourceMap, read_foreign};
use serde_json::{Map, Value};

use super::{Inventory, Var, Vars, pattern};
use crate::import::{FORM, Reading, Spot, sounds_secret};

/// Whether a text without a telling name is YAML: its first line is a key, or a document's begin.
pub(super) fn looks_like_it(text: &str) -> bool {
    let first = text.lines().map(str::trim_end).find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    first.is_some_and(|line| line == "---" || (line.ends_with(':') && !line.contains('=')))
}

/// One YAML text, its place in the reading, and where its parts stand.
struct Text<'a> {
    index: usize,
    places: &'a SourceMap,
}

impl Text<'_> {
    fn spot(&self, path: &SpecPath) -> Spot {
        let start = Place { file: 0, line: 1, column: 1, length: 1 };
        Spot { text: self.index, at: self.places.place(path).unwrap_or(start) }
    }

    fn key(&self, path: &SpecPath) -> Spot {
        Spot { text: self.index, at: self.places.key_place(path).unwrap_or(self.spot(path).at) }
    }
}

pub(super) fn read(inventory: &mut Inventory, index: usize, reading: &mut Reading) {
    let (value, places) = match read_foreign(&reading.texts[index].1) {
        Ok(read) => read,
        Err(found) => return reading.found.extend(found.into_iter().map(|found| (index, found))),
    };
    let text = Text { index, places: &places };
    let root = SpecPath::root();
    let Value::Object(groups) = value else {
        let help = "an inventory in YAML begins with groups, most often with `all:`";
        return reading.wrong(text.spot(&root), FORM, "this is no inventory", help);
    };
    if groups.get("plugin").is_some_and(Value::is_string) {
        let help = "write down what it finds: `ansible-inventory -i FILE --list --yaml > hosts.yaml`";
        return reading.wrong(text.key(&root.then("plugin")), FORM, "this file asks a plug-in for the hosts", help);
    }
    for (name, parts) in &groups {
        group(inventory, name, parts, &root.then(name), &text, reading);
    }
}

fn group(
    inventory: &mut Inventory,
    name: &str,
    parts: &Value,
    path: &SpecPath,
    text: &Text<'_>,
    reading: &mut Reading,
) {
    let parts = match parts {
        Value::Null => &Map::new(),
        Value::Object(parts) => parts,
        _ => {
            let help = "a group is a mapping of `hosts`, `children` and `vars`";
            return reading.wrong(text.key(path), FORM, format!("`{name}` is no group"), help);
        }
    };
    inventory.group(name);
    for (key, part) in parts {
        let path = path.then(key);
        let members = match part {
            Value::Null => continue,
            Value::Object(members) => members.clone(),
            // A word in the place of a mapping is its one key.
            Value::String(one) if matches!(key.as_str(), "hosts" | "children") => {
                Map::from_iter([(one.clone(), Value::Null)])
            }
            _ if matches!(key.as_str(), "hosts" | "children" | "vars") => {
                let help = format!("write each as a key with a colon: `{key}: {{ NAME: }}`");
                reading.wrong(text.key(&path), FORM, format!("`{key}` of `{name}` is no mapping"), help);
                continue;
            }
            // Ansible skips keys that it does not know, with a warning.
            _ => continue,
        };
        match key.as_str() {
            "vars" => {
                for (var, value) in &members {
                    let spot = text.spot(&path.then(var));
                    inventory.set(name, var, Var { value: value.clone(), spot }, reading);
                }
            }
            "children" => {
                for (child, parts) in &members {
                    group(inventory, child, parts, &path.then(child), text, reading);
                    inventory.group(name).children.insert(child.clone());
                }
            }
            "hosts" => members.iter().for_each(|(host, vars)| {
                hosts(inventory, name, (host, vars), &path.then(host), text, reading);
            }),
            _ => {}
        }
    }
}

fn hosts(
    inventory: &mut Inventory,
    group: &str,
    (host, vars): (&str, &Value),
    path: &SpecPath,
    text: &Text<'_>,
    reading: &mut Reading,
) {
    let mut own = Vars::new();
    match vars {
        Value::Null => {}
        Value::Object(vars) => {
            for (name, value) in vars {
                let spot = text.spot(&path.then(name));
                if sounds_secret(name) {
                    reading.secrets.push(spot);
                }
                own.insert(name.clone(), Var { value: value.clone(), spot });
            }
        }
        _ => {
            let help = "write variables as NAME: VALUE";
            reading.wrong(text.key(path), FORM, format!("what stands behind `{host}` are no variables"), help);
        }
    }
    match pattern::hosts(host) {
        Ok((names, port)) => inventory.add(group, names, port, &own, text.key(path)),
        Err(why) => {
            let help = "a host is a name or an address, with ranges such as web[01:05]";
            reading.wrong(text.key(path), FORM, why, help);
        }
    }
}
