//! From what the spec says of a Proxmox cluster to hands on it.

use std::collections::BTreeMap;
use std::path::Path;

use kubewright_model::desired::{Desired, PROXMOX_TOKEN, ProxmoxCluster};
use kubewright_model::ids::NodeName;
use kubewright_providers::proxmox::{Identity, Login, Proxmox, Settings, Trust};

use crate::holes;

/// Hands on the cluster, or why there are none: its token cannot be read, or its settings are none.
pub(super) fn hands(desired: &Desired, cluster: &ProxmoxCluster, folder: &Path) -> Result<Proxmox, String> {
    let place = desired.secrets.get(PROXMOX_TOKEN).ok_or("nothing says where the API token is")?;
    let secret = holes::read(place, folder).map_err(|why| format!("the API token ({}): {why}", place.place()))?;
    let settings = Settings {
        addresses: vec![cluster.endpoint.clone()],
        identity: Identity::Token { id: cluster.token_id.clone(), secret },
        trust: cluster.fingerprint.clone().map_or(Trust::System, Trust::Fingerprint),
        pool: cluster.pool.clone(),
        logins: logins(desired, folder),
    };
    Proxmox::new(settings).map_err(|error| error.message)
}

/// Who logs into each machine that we make: the user and the key with which its host is reached.
fn logins(desired: &Desired, folder: &Path) -> BTreeMap<NodeName, Login> {
    // Each key is read once, however many hosts it opens.
    let mut read: BTreeMap<&str, Result<Vec<String>, String>> = BTreeMap::new();
    let hosts = desired.hosts.iter().filter_map(|host| Some((host.machine.clone()?, &host.way)));
    hosts
        .map(|(machine, way)| {
            let keys = match way.key_file.as_deref() {
                // The agent's keys are in the template already, or nobody gets in.
                None => Ok(Vec::new()),
                Some(file) => read.entry(file).or_insert_with(|| public_half(file, folder)).clone(),
            };
            (machine, Login { user: way.user.to_string(), keys })
        })
        .collect()
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
