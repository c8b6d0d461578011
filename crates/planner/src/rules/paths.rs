//! Paths of hosts: none can be a file and a folder at once.

use std::collections::BTreeMap;
use std::path::Path;

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::HostSettings;
use kubewright_model::spec::hosts::HostFile;

use super::hosts::OURS;
use super::{Facts, at};

/// Files that are on every host.
const FILES: &[&str] = &[
    "/etc/fstab",
    "/etc/group",
    "/etc/gshadow",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/profile",
    "/etc/resolv.conf",
    "/etc/shadow",
    "/etc/ssh/sshd_config",
    "/etc/sudoers",
];
/// Folders that are on every host, and are no links there that could lead elsewhere.
const FOLDERS: &[&str] = &[
    "/boot",
    "/dev",
    "/etc",
    "/etc/ssh",
    "/etc/systemd",
    "/etc/systemd/system",
    "/home",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/tmp",
];

/// What a path is, and where the spec says so.
struct Wished<'a> {
    file: &'a HostFile,
    place: SpecPath,
    /// A pool says so.
    own: bool,
}

impl Wished<'_> {
    /// Neither a folder nor a link, which may lead to one.
    fn is_file(&self) -> bool {
        !self.file.directory && self.file.link.is_none()
    }
}

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let cluster = wished(&facts.spec.hosts, &at("hosts"), false);
    let pools = facts.spec.pools.iter().filter_map(|(name, pool)| Some((name, pool.hosts.as_ref()?)));
    for (name, settings) in pools {
        let mut all = wished(&facts.spec.hosts, &at("hosts"), false);
        all.extend(wished(settings, &at("pools").then(name).then("hosts"), true));
        found.extend(clashes(&all, true));
    }
    found.extend(clashes(&cluster, false));
}

fn wished<'a>(settings: &'a HostSettings, path: &SpecPath, own: bool) -> BTreeMap<&'a str, Wished<'a>> {
    let files = settings.files.iter();
    files.map(|(name, file)| (name.as_str(), Wished { file, place: path.then("files").then(name), own })).collect()
}

/// What is wrong with the paths of one host; of a pool's host only what the pool has a part in.
fn clashes(all: &BTreeMap<&str, Wished<'_>>, of_pool: bool) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (path, wished) in all {
        let above = ancestors(path).find_map(|above| Some((above, all.get(above)?)));
        let blamed = if wished.own { Some(wished) } else { above.map(|(_, above)| above).filter(|above| above.own) };
        let Some(blamed) = blamed.or((!of_pool).then_some(wished)) else { continue };
        let clash = match above {
            Some((above, file)) if file.is_file() => Some(format!("{above} is a file here, and {path} is below it")),
            _ => known(path, wished),
        };
        let help = "a path is a file or a folder: correct one of them";
        found.extend(clash.map(|it| Diagnostic::new(codes::FILE_AND_FOLDER, blamed.place.clone(), it).help(help)));
    }
    found
}

/// What every host says against it.
fn known(path: &str, wished: &Wished<'_>) -> Option<String> {
    let file = ancestors(path).find(|above| FILES.contains(above));
    if let Some(above) = file {
        return Some(format!("{above} is a file on every host, and {path} is below it"));
    }
    if wished.file.directory {
        return FILES.contains(&path).then(|| format!("{path} is a file on every host"));
    }
    let below = |ours: &&&str| wished.is_file() && ours.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    match OURS.iter().find(below) {
        _ if FOLDERS.contains(&path) => Some(format!("{path} is a folder on every host")),
        Some(ours) => Some(format!("{path} would be a file here, and kubewright writes {ours}")),
        None => None,
    }
}

/// The folders that a path is in, from the nearest on.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    Path::new(path).ancestors().skip(1).filter_map(Path::to_str).filter(|above| *above != "/")
}
