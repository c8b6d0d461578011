//! Ansible's inventories: groups, hosts and their variables, in INI and in YAML, with the folders `group_vars` and
//! `host_vars` beside them, merged as Ansible merges them.
//! <https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html>
//!
//! Templates (`{{ … }}`) are not computed: a value that is one says nothing here.

mod hosts;
mod ini;
mod literal;
mod pattern;
mod vars;
mod yaml;

use indexmap::{IndexMap, IndexSet};
use kubewright_model::diagnostic::Place;
use serde_json::{Map, Value, json};

use super::{FORM, Foreign, Reading, Refused, Spot, sounds_secret};

/// The group of all hosts.
const ALL: &str = "all";
/// The group of those that are in no other.
const UNGROUPED: &str = "ungrouped";
/// A variable that is none: it says which of several groups decides.
const PRIORITY: &str = "ansible_group_priority";

/// A value, and where it stands.
#[derive(Clone, Debug)]
struct Var {
    value: Value,
    spot: Spot,
}

type Vars = IndexMap<String, Var>;

#[derive(Clone, Debug, Default)]
struct Group {
    hosts: IndexSet<String>,
    children: IndexSet<String>,
    vars: Vars,
    /// What files beside the inventory say.
    files: Vars,
    priority: i64,
}

#[derive(Clone, Debug)]
struct Entry {
    spot: Spot,
    vars: Vars,
    /// What files beside the inventory say.
    files: Vars,
}

/// What the files say together.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    groups: IndexMap<String, Group>,
    hosts: IndexMap<String, Entry>,
}

/// The inventory that the files make together.
///
/// # Errors
///
/// Everything that is wrong with their form.
pub fn inventory(files: &[Foreign]) -> Result<Inventory, Refused> {
    let mut reading = Reading::default();
    let inventory = together(&files.iter().collect::<Vec<_>>(), &mut reading);
    if reading.found.is_empty() { Ok(inventory) } else { Err(reading.refused()) }
}

/// Reads inventories, and makes hosts of them.
pub(super) fn read(files: &[&Foreign], reading: &mut Reading) {
    let inventory = together(files, reading);
    hosts::hosts(&inventory, reading);
}

fn together(files: &[&Foreign], reading: &mut Reading) -> Inventory {
    let mut inventory = Inventory::default();
    for file in files {
        let index = reading.text(&file.name, &file.text);
        let ending = file.name.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
        let is_yaml = match ending {
            Some("yml" | "yaml" | "json") => true,
            Some("ini" | "cfg") => false,
            _ => yaml::looks_like_it(&file.text),
        };
        match is_yaml {
            true => yaml::read(&mut inventory, index, reading),
            false => ini::read(&mut inventory, index, reading),
        }
    }
    inventory.reconcile(reading);
    for file in files {
        vars::beside(&mut inventory, &file.beside, reading);
    }
    inventory
}

impl Inventory {
    fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_string()).or_default()
    }

    /// Puts hosts into a group, with their variables.
    fn add(&mut self, group: &str, names: Vec<String>, port: Option<u16>, vars: &Vars, spot: Spot) {
        for name in names {
            self.group(group).hosts.insert(name.clone());
            let fresh = !self.hosts.contains_key(&name);
            let entry = self.hosts.entry(name).or_insert_with(|| Entry { spot, vars: Vars::new(), files: Vars::new() });
            if let Some(port) = port.filter(|_| fresh) {
                entry.vars.insert("ansible_port".into(), Var { value: port.into(), spot });
            }
            entry.vars.extend(vars.clone());
        }
    }

    fn set(&mut self, group: &str, name: &str, var: Var, reading: &mut Reading) {
        if sounds_secret(name) {
            reading.secrets.push(var.spot);
        }
        if name == PRIORITY {
            self.group(group).priority = var.value.as_i64().unwrap_or(1);
            return;
        }
        self.group(group).vars.insert(name.to_string(), var);
    }

    /// Every group has a parent in the end, and whoever is in no group is in [`UNGROUPED`].
    fn reconcile(&mut self, reading: &mut Reading) {
        self.group(ALL);
        self.group(UNGROUPED);
        let parents = self.parents();
        let orphans: Vec<String> =
            self.groups.keys().filter(|name| *name != ALL && !parents.contains_key(name.as_str())).cloned().collect();
        self.group(ALL).children.extend(orphans);
        let free: Vec<String> = self
            .hosts
            .keys()
            .filter(|host| !self.groups.iter().any(|(name, group)| name != ALL && group.hosts.contains(*host)))
            .cloned()
            .collect();
        self.group(UNGROUPED).hosts.extend(free);
        let grouped: IndexSet<String> = self
            .groups
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), ALL | UNGROUPED))
            .flat_map(|(_, group)| group.hosts.clone())
            .collect();
        self.group(UNGROUPED).hosts.retain(|host| !grouped.contains(host));
        self.group(ALL).hosts.clear();
        let looped = self.groups.keys().find(|name| self.below(name).skip(1).any(|other| other == name.as_str()));
        if let Some(name) = looped.cloned() {
            let spot = Spot { text: 0, at: Place { file: 0, line: 1, column: 1, length: 1 } };
            let message = format!("the group `{name}` is its own child");
            reading.wrong(spot, FORM, message, "take one of the groups out of the other's children");
            self.groups.values_mut().for_each(|group| group.children.clear());
        }
    }

    /// Each group's parents.
    fn parents(&self) -> IndexMap<&str, Vec<&str>> {
        let mut parents: IndexMap<&str, Vec<&str>> = IndexMap::new();
        for (name, group) in &self.groups {
            for child in &group.children {
                parents.entry(child).or_default().push(name);
            }
        }
        parents
    }

    /// A group and all below it; one that is below itself comes twice, and that is the end.
    fn below<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let mut open = vec![name];
        let mut seen: IndexSet<&str> = IndexSet::new();
        std::iter::from_fn(move || {
            let next = open.pop()?;
            let again = !seen.insert(next);
            if let Some(group) = self.groups.get(next).filter(|_| !again) {
                open.extend(group.children.iter().map(String::as_str));
            }
            Some(next)
        })
    }

    /// The groups that a host is in, itself or through others: those that decide less before those that decide more.
    /// `ansible.inventory.helpers.sort_groups`: by depth, priority and name.
    fn groups_of(&self, host: &str) -> Vec<&str> {
        let parents = self.parents();
        let mut found: IndexSet<&str> = IndexSet::new();
        let mut open: Vec<&str> =
            self.groups.iter().filter(|(_, group)| group.hosts.contains(host)).map(|(name, _)| name.as_str()).collect();
        while let Some(name) = open.pop() {
            if found.insert(name) {
                open.extend(parents.get(name).into_iter().flatten());
            }
        }
        found.insert(ALL);
        let mut sorted: Vec<&str> = found.into_iter().collect();
        let priority = |name: &str| self.groups.get(name).map_or(1, |group| group.priority.max(1));
        sorted.sort_by_cached_key(|name| (depth(&parents, name), priority(name), name.to_string()));
        sorted
    }

    /// A host's variables, as Ansible merges them.
    /// <https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html#variable-precedence-where-should-i-put-a-variable>
    fn vars_of(&self, host: &str) -> Vars {
        let groups: Vec<&Group> = self.groups_of(host).iter().filter_map(|name| self.groups.get(*name)).collect();
        let mut vars = Vars::new();
        groups.iter().for_each(|group| vars.extend(group.vars.clone()));
        groups.iter().for_each(|group| vars.extend(group.files.clone()));
        if let Some(entry) = self.hosts.get(host) {
            vars.extend(entry.vars.clone());
            vars.extend(entry.files.clone());
        }
        vars
    }

    /// Groups, hosts and variables as `ansible-inventory --list` shows them, so that the two can be held together.
    pub fn list(&self) -> Value {
        let mut shown = Map::new();
        let mut hostvars = Map::new();
        for host in self.hosts.keys() {
            let vars = self.vars_of(host).into_iter().map(|(name, var)| (name, var.value));
            let vars: Map<String, Value> = vars.collect();
            if !vars.is_empty() {
                hostvars.insert(host.clone(), Value::Object(vars));
            }
        }
        shown.insert("_meta".into(), json!({ "hostvars": hostvars }));
        for (name, group) in &self.groups {
            let mut parts = Map::new();
            if !group.hosts.is_empty() {
                parts.insert("hosts".into(), json!(group.hosts));
            }
            if !group.children.is_empty() {
                parts.insert("children".into(), json!(group.children));
            }
            shown.insert(name.clone(), Value::Object(parts));
        }
        Value::Object(shown)
    }
}

/// How far a group is below the one of all.
fn depth(parents: &IndexMap<&str, Vec<&str>>, name: &str) -> usize {
    parents.get(name).into_iter().flatten().map(|parent| depth(parents, parent) + 1).max().unwrap_or(0)
}
