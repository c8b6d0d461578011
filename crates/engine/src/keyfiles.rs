//! Key files that a spec names. One that is not there is one mistake at one place, however many hosts would tell of it.

use std::collections::BTreeSet;
use std::path::Path;

use kubewright_hosts::spec_file;
use kubewright_model::codes;
use kubewright_model::desired::{PROXMOX, THIS_COMPUTER};
use kubewright_model::diagnostic::{Diagnostic, Severity, SpecPath};

use crate::Loadout;

/// The key files by which hosts are to be reached and that are not there, for a user with this home folder and a spec in
/// this folder. Of a key that only the SSH agent has, the public half is enough; and where there is an agent, nobody knows
/// which keys it has.
pub fn missing(loadout: &Loadout, home: &Path, folder: &Path, agent: bool) -> Vec<Diagnostic> {
    let spec = &loadout.file.spec;
    let settings = |settings: &kubewright_model::spec::HostSettings| settings.ssh.as_ref()?.key_file.clone();
    let at = |segments: &[&str]| segments.iter().fold(SpecPath::root().then("spec"), |path, it| path.then(it));
    let mut named = vec![(at(&["hosts", "ssh", "keyFile"]), settings(&spec.hosts))];
    named.extend(spec.pools.iter().filter_map(|(name, pool)| {
        Some((at(&["pools", name.as_str(), "hosts", "ssh", "keyFile"]), settings(pool.hosts.as_ref()?)))
    }));
    named.extend(spec.providers.proxmox_clusters().filter_map(|(name, proxmox)| {
        let place = match name.as_str() {
            PROXMOX => at(&["providers", "proxmox"]),
            further => at(&["providers", "proxmoxClusters", further]),
        };
        Some((place.then("ssh").then("keyFile"), proxmox.ssh.as_ref()?.key_file.clone()))
    }));
    let ways = loadout.desired.hosts.iter().map(|host| &host.way);
    let ways = ways.filter(|way| way.name.as_deref() != Some(THIS_COMPUTER));
    let used: BTreeSet<&str> = ways.filter_map(|way| way.key_file.as_deref()).collect();
    let mut found: Vec<Diagnostic> = named
        .into_iter()
        .filter_map(|(path, key)| {
            let key = key.filter(|key| used.contains(key.as_str()))?;
            let file = spec_file(home, folder, &key);
            let mut public = file.clone().into_os_string();
            public.push(".pub");
            if file.exists() || Path::new(&public).exists() {
                return None;
            }
            let diagnostic = Diagnostic::new(codes::KEY_FILE, path, format!("there is no file {}", file.display()));
            let help =
                "correct the name, make the key with `ssh-keygen`, or remove it where the SSH agent has the keys";
            let severity = if agent { Severity::Warning } else { diagnostic.severity };
            Some(Diagnostic { severity, ..diagnostic.help(help) })
        })
        .collect();
    loadout.places.locate(&mut found);
    found
}
