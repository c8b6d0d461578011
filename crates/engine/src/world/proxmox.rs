//! From what the spec says of a Proxmox cluster to hands on it.

use std::collections::BTreeMap;
use std::path::Path;

use kubewright_model::desired::{
    Body, Desired, DesiredMachine, ProxmoxCluster, ProxmoxIdentity, ProxmoxTrust, proxmox_password, proxmox_token,
};
use kubewright_model::ids::{HoleName, NodeName, ProviderName};
use kubewright_model::observed::Why;
use kubewright_model::secret::Secret;
use kubewright_model::spec::secrets::SecretRef;
use kubewright_providers::proxmox::{Identity, Proxmox, Settings};
use kubewright_providers::{HostKey, Login, Trust};

use crate::holes::{self, Secrets};

/// Hands on the cluster, or why there are none: its credentials cannot be read, or its settings are none.
pub(super) fn hands(
    desired: &Desired,
    name: &ProviderName,
    cluster: &ProxmoxCluster,
    secrets: Secrets<'_>,
) -> Result<Proxmox, Why> {
    let folder = secrets.folder;
    let (identity, secret_at) = identity(desired, name, &cluster.identity, folder)?;
    let settings = Settings {
        addresses: cluster.endpoints.clone(),
        identity,
        secret_at,
        trust: trust(&cluster.trust, folder).map_err(Why::lasting)?,
        pool: cluster.pool.clone(),
        logins: logins(desired, folder, &host_keys(desired, secrets).map_err(Why::lasting)?),
    };
    Proxmox::new(settings).map_err(Why::from)
}

fn identity(
    desired: &Desired,
    cluster: &ProviderName,
    identity: &ProxmoxIdentity,
    folder: &Path,
) -> Result<(Identity, String), Why> {
    let read = |name: &str, what: &str| {
        let place = desired.secrets.get(name).ok_or_else(|| Why::lasting(format!("nothing says where {what} is")))?;
        let missing = |why| Why { help: holes::remedy(place), ..lasting(what, place, why) };
        Ok::<_, Why>((holes::read(place, folder).map_err(missing)?, place))
    };
    Ok(match identity {
        ProxmoxIdentity::Token(id) => {
            let (secret, place) = read(&proxmox_token(cluster), "the API token")?;
            // What `pveum` and other programs take is the id with the secret behind it.
            if secret.expose().contains('!') {
                let why = lasting("the API token", place, "it is more than the token's secret".into());
                let help = format!("the secret alone, without `{id}=` before it");
                return Err(Why { help: Some(help), ..why });
            }
            (Identity::Token { id: id.clone(), secret }, place.place())
        }
        ProxmoxIdentity::User(user) => {
            let (password, place) = read(&proxmox_password(cluster), "the password")?;
            (Identity::Password { user: user.clone(), password }, place.place())
        }
    })
}

fn lasting(what: &str, place: &SecretRef, why: String) -> Why {
    Why::lasting(format!("{what} ({}): {why}", place.place()))
}

fn trust(trust: &ProxmoxTrust, folder: &Path) -> Result<Trust, String> {
    Ok(match trust {
        ProxmoxTrust::System => Trust::System,
        ProxmoxTrust::Fingerprints(fingerprints) => Trust::Fingerprints(fingerprints.clone()),
        ProxmoxTrust::Anything => Trust::Anything,
        ProxmoxTrust::Authority(file) => {
            let path = holes::path(file, folder);
            let read = std::fs::read_to_string(&path);
            Trust::Authority(read.map_err(|error| format!("the CA's certificate {}: {error}", path.display()))?)
        }
    })
}

/// Who logs into each machine that we make: the user and the key with which its host is reached.
fn logins(desired: &Desired, folder: &Path, host_keys: &BTreeMap<NodeName, HostKey>) -> BTreeMap<NodeName, Login> {
    // Each key is read once, however many hosts it opens.
    let mut read: BTreeMap<&str, Result<Vec<String>, String>> = BTreeMap::new();
    let hosts = desired.all_hosts().filter_map(|host| Some((host.machine.clone()?, &host.way)));
    hosts
        .map(|(machine, way)| {
            let keys = match way.key_file.as_deref() {
                // The agent's keys are in the template already, or nobody gets in.
                None => Ok(Vec::new()),
                Some(file) => read.entry(file).or_insert_with(|| public_half(file, folder)).clone(),
            };
            let password_hash = password_hash(desired, &machine, folder);
            let host_key = host_keys.get(&machine).cloned();
            (machine, Login { user: way.user.to_string(), keys, password_hash, host_key })
        })
        .collect()
}

/// The secret that all keys of hosts follow from which we give to machines. A machine that is made anew is the same host.
const HOST_KEYS: &str = "host-keys";

/// The keys of hosts whose machines an image of ours tells who they are.
fn host_keys(desired: &Desired, secrets: Secrets<'_>) -> Result<BTreeMap<NodeName, HostKey>, String> {
    let by_iso = |machine: &&DesiredMachine| matches!(&*machine.body, Body::Vm(vm) if vm.iso.is_some());
    let mut machines = desired.all_machines().filter(by_iso).peekable();
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
fn password_hash(desired: &Desired, machine: &NodeName, folder: &Path) -> Result<Option<Secret>, String> {
    let Some(Body::Vm(vm)) = desired.machine(machine).map(|machine| &*machine.body) else { return Ok(None) };
    let Some(name) = vm.password_hash.as_ref().and_then(HoleName::secret) else { return Ok(None) };
    let place = desired.secrets.get(name).ok_or_else(|| format!("nothing says where {name} is"))?;
    holes::read(place, folder).map(Some).map_err(|why| format!("{}: {why}", place.place()))
}

/// The public half of a key, which `ssh-keygen` puts beside it.
fn public_half(file: &str, folder: &Path) -> Result<Vec<String>, String> {
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
