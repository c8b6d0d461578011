//! Who logs into machines that we make, and which key each of them shows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kubewright_model::desired::{Body, Desired, DesiredMachine};
use kubewright_model::ids::{HoleName, NodeName};
use kubewright_model::observed::Seen;
use kubewright_model::rotation::KeySeen;
use kubewright_model::secret::Secret;
use kubewright_providers::{HostKey, Login};

use crate::holes::{self, Secrets};
use crate::places::Places;

/// Who logs into each machine that we make: the user and the key with which its host is reached.
pub(super) fn of(desired: &Desired, secrets: Secrets<'_>) -> Result<BTreeMap<NodeName, Login>, String> {
    let (folder, host_keys) = (secrets.places.folder(), host_keys(desired, secrets)?);
    // Each key is read once, however many hosts it opens.
    let mut read: BTreeMap<&str, Result<Vec<String>, String>> = BTreeMap::new();
    let hosts = desired.all_hosts().filter_map(|host| Some((host.machine.clone()?, &host.way)));
    let logins = hosts.map(|(machine, way)| {
        let keys = match way.key_file.as_deref() {
            // The agent's keys are in the template already, or nobody gets in.
            None => Ok(Vec::new()),
            Some(file) => read.entry(file).or_insert_with(|| public_half(file, folder)).clone(),
        };
        let password_hash = password_hash(desired, &machine, secrets.places);
        let host_key = host_keys.get(&machine).cloned();
        (machine, Login { user: way.user.to_string(), keys, password_hash, host_key })
    });
    Ok(logins.collect())
}

impl super::World {
    /// What there is of the keys on this computer by which hosts let us in.
    pub(crate) async fn keys(&self, desired: &Desired) -> BTreeMap<String, Seen<KeySeen>> {
        let Some(hands) = &self.hosts else { return BTreeMap::new() };
        let files: BTreeSet<&str> = desired.all_hosts().filter_map(|host| host.way.key_file.as_deref()).collect();
        let mut keys = BTreeMap::new();
        for file in files {
            keys.insert(file.to_string(), hands.key(file).await);
        }
        keys
    }
}

/// The secret that all keys of hosts follow from which we give to machines. A machine that is made anew is the same host.
const HOST_KEYS: &str = "host-keys";

/// The keys of hosts whose machines are told by us who they are: by an image of ours, or by their cloud.
fn host_keys(desired: &Desired, secrets: Secrets<'_>) -> Result<BTreeMap<NodeName, HostKey>, String> {
    let told = |machine: &&DesiredMachine| match &*machine.body {
        Body::Vm(vm) => vm.iso.is_some(),
        body => matches!(body, Body::Server(_)),
    };
    let mut machines = desired.all_machines().filter(told).peekable();
    if machines.peek().is_none() {
        return Ok(BTreeMap::new());
    }
    let seed = secrets.resolve(desired, HOST_KEYS)?;
    let key = |machine: &DesiredMachine| {
        let (private, public) = kubewright_hosts::host_key(&seed, &machine.name)?;
        Ok((machine.name.clone(), HostKey { private, public }))
    };
    machines.map(key).collect()
}

/// The hash of the password for a machine's console.
fn password_hash(desired: &Desired, machine: &NodeName, places: &Places) -> Result<Option<Secret>, String> {
    let Some(Body::Vm(vm)) = desired.machine(machine).map(|machine| &*machine.body) else { return Ok(None) };
    let Some(name) = vm.password_hash.as_ref().and_then(HoleName::secret) else { return Ok(None) };
    let place = desired.secrets.get(name).ok_or_else(|| format!("nothing says where {name} is"))?;
    holes::read(place, places).map(Some).map_err(|why| format!("{}: {why}", place.place()))
}

/// The public half of a key, which `ssh-keygen` puts beside it.
pub(super) fn public_half(file: &str, folder: &Path) -> Result<Vec<String>, String> {
    let path = holes::path(&format!("{file}.pub"), folder);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        format!(
            "{}: {error}. New machines are given this key; `ssh-keygen -y -f {file} > {file}.pub` writes it",
            path.display()
        )
    })?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(String::from)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_half_lies_beside_the_key() {
        let folder = tempfile::tempdir().unwrap();
        assert!(public_half("key", folder.path()).unwrap_err().contains("key.pub: No such file"));
        std::fs::write(folder.path().join("key.pub"), "ssh-ed25519 AAAA me@here\n").unwrap();
        assert_eq!(public_half("key", folder.path()).unwrap(), ["ssh-ed25519 AAAA me@here"]);
    }
}
