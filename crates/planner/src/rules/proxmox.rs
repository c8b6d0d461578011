//! 03xx, the part about the way into Proxmox clusters, and which of them a pool is at.

use std::collections::BTreeMap;

use kubewright_model::codes::{self, Code};
use kubewright_model::desired::{EXISTING, PROXMOX};
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::ids::ProviderName;
use kubewright_model::spec::pools::ProxmoxMachines;
use kubewright_model::spec::providers::Proxmox;

use super::{Facts, at, near};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let mut say = |code: Code, path: SpecPath, message: &str, help: &str| {
        found.push(Diagnostic::new(code, path, message).help(help));
    };
    for (name, proxmox) in facts.spec.providers.proxmox_clusters() {
        let path = place(&name);
        identity(proxmox, &path, &mut say);
        trust(proxmox, &path, &mut say);
    }
    names(facts, &mut say);
    endpoints(facts, &mut say);
    hypervisors(facts, &mut say);
}

/// Where a cluster stands in the file.
pub(super) fn place(cluster: &ProviderName) -> SpecPath {
    match cluster.as_str() {
        PROXMOX => at("providers/proxmox"),
        further => at("providers/proxmoxClusters").then(further),
    }
}

/// The cluster that a pool's machines are at, as its provider is named.
pub(super) fn cluster(machines: &ProxmoxMachines) -> ProviderName {
    machines.cluster.clone().unwrap_or_else(|| PROXMOX.into())
}

/// Names that are no other provider's, and that are there.
fn names(facts: &Facts<'_>, say: &mut impl FnMut(Code, SpecPath, &str, &str)) {
    let clusters = &facts.spec.providers.proxmox_clusters;
    for name in clusters.keys().filter(|name| matches!(name.as_str(), PROXMOX | EXISTING | "hetzner" | "local")) {
        let message = format!("`{name}` is the name of a provider of another kind, or of `providers.proxmox`");
        let help = "give the cluster a name of its own, and the same to `proxmox.cluster` of its pools";
        say(codes::PROXMOX_CLUSTER_NAME, place(name), &message, help);
    }
    for (pool, machines) in facts.spec.pools.iter().filter_map(|(name, pool)| Some((name, pool.proxmox.as_ref()?))) {
        let Some(wanted) = machines.cluster.as_ref().filter(|wanted| !clusters.contains_key(*wanted)) else { continue };
        let path = at("pools").then(pool).then("proxmox").then("cluster");
        let help =
            near(wanted.as_str(), clusters.keys().map(ProviderName::as_str), "add it to `providers.proxmoxClusters`");
        say(codes::PROXMOX_CLUSTER_MISSING, path, &format!("there is no Proxmox cluster `{wanted}`"), &help);
    }
}

/// One cluster under two names would show each machine twice.
fn endpoints(facts: &Facts<'_>, say: &mut impl FnMut(Code, SpecPath, &str, &str)) {
    let mut known: BTreeMap<&str, ProviderName> = BTreeMap::new();
    for (name, proxmox) in facts.spec.providers.proxmox_clusters() {
        let others = proxmox.others.iter().map(|other| &other.endpoint);
        for (index, endpoint) in [&proxmox.endpoint].into_iter().chain(others).enumerate() {
            let address = endpoint.trim_end_matches('/');
            let path = match index.checked_sub(1) {
                None => place(&name).then("endpoint"),
                Some(other) => place(&name).then("others").then(other).then("endpoint"),
            };
            odd(address, &path, say);
            if let Some(first) = known.get(address).filter(|first| **first != name) {
                let message = format!("{address} is an address of the cluster `{first}` already");
                let help = "write each Proxmox cluster once; its further nodes are its `others`";
                say(codes::PROXMOX_CLUSTER_TWICE, path, &message, help);
            }
            known.entry(address).or_insert_with(|| name.clone());
        }
    }
}

/// An address at which Proxmox' API is hardly ever.
fn odd(address: &str, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, &str, &str)) {
    let (scheme, rest) = address.split_once("://").unwrap_or(("https", address));
    let (host, below) = rest.split_once('/').map_or((rest, None), |(host, below)| (host, Some(below)));
    let ported = host.rsplit_once(':').is_some_and(|(name, _)| !name.contains(':') || name.ends_with(']'));
    let right = format!("{scheme}://{host}{}", if ported { "" } else { ":8006" });
    match below {
        Some(below) if below.starts_with("api2") => {
            let message = format!("`{address}` has a path, and `/api2/json` is put below it");
            say(codes::PROXMOX_ENDPOINT, path.clone(), &message, &format!("write `{right}`"));
        }
        _ if !ported => {
            let message = format!("`{address}` has no port, so it is 443, and Proxmox' API listens on 8006");
            let help = format!("write `{right}`, or `:443` where a proxy of yours answers there");
            say(codes::PROXMOX_ENDPOINT, path.clone(), &message, &help);
        }
        _ => {}
    }
}

/// A Proxmox host that we log into is known by its name.
fn hypervisors(facts: &Facts<'_>, say: &mut impl FnMut(Code, SpecPath, &str, &str)) {
    let mut known: BTreeMap<&str, ProviderName> = BTreeMap::new();
    for (pool, machines) in facts.spec.pools.iter().filter_map(|(name, pool)| Some((name, pool.proxmox.as_ref()?))) {
        let Some(proxmox) = facts.spec.providers.proxmox_of(machines) else { continue };
        if machines.lxc.is_none() || proxmox.ssh.is_none() {
            continue;
        }
        let own = [&proxmox.node].into_iter().filter(|_| machines.nodes.is_empty());
        for node in machines.nodes.iter().chain(own) {
            let name = cluster(machines);
            let first = known.entry(node).or_insert_with(|| name.clone());
            if *first != name {
                let message =
                    format!("`{node}` is a host of the cluster `{first}` too, and root logs into it by that name");
                let help = "rename one of the hosts, or use virtual machines there";
                let path = at("pools").then(pool).then("proxmox");
                say(codes::HYPERVISOR_TWICE, path, &message, help);
            }
        }
    }
}

/// A token or a user, whole.
fn identity(proxmox: &Proxmox, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, &str, &str)) {
    let token = (proxmox.token_id.is_some(), proxmox.token_secret.is_some());
    let user = (proxmox.user.is_some(), proxmox.password.is_some());
    let mut wrong = |path, message, help| say(codes::PROXMOX_IDENTITY, path, message, help);
    match (token, user) {
        ((true, true), (false, false)) | ((false, false), (true, true)) => {}
        ((false, false), (false, false)) => {
            let help = "write `tokenId` and `tokenSecret`, or `user` and `password`";
            wrong(path.clone(), "nothing says as whom to come to the Proxmox API", help);
        }
        ((true, false), (false, false)) => {
            wrong(path.then("tokenId"), "the token has no secret", "write `tokenSecret` beside it");
        }
        ((false, true), (false, false)) => {
            wrong(path.then("tokenSecret"), "the secret has no token", "write `tokenId` beside it");
        }
        ((false, false), (true, false)) => {
            wrong(path.then("user"), "the user has no password", "write `password` beside it");
        }
        ((false, false), (false, true)) => {
            wrong(path.then("password"), "the password has no user", "write `user` beside it");
        }
        (_, (named, _)) => {
            let path = path.then(if named { "user" } else { "password" });
            wrong(path, "a token and a user at once", "keep one of the two; a token can do with fewer privileges");
        }
    }
}

/// One way of trusting, and every node in it.
fn trust(proxmox: &Proxmox, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, &str, &str)) {
    let pinned = proxmox.others.iter().map(|other| other.fingerprint.is_some());
    let pinned: Vec<bool> = [proxmox.fingerprint.is_some()].into_iter().chain(pinned).collect();
    let any_pinned = pinned.contains(&true);
    let mut wrong = |path, message, help| say(codes::PROXMOX_TRUST, path, message, help);
    let ways = [(proxmox.insecure, "insecure"), (proxmox.ca_file.is_some(), "caFile"), (any_pinned, "fingerprint")];
    let ways: Vec<&str> = ways.into_iter().filter(|(given, _)| *given).map(|(_, field)| field).collect();
    if let [first, _, ..] = ways.as_slice() {
        wrong(path.then(first), "the certificate is to be trusted in several ways at once", "keep one of them");
    } else if any_pinned && let Some(bare) = pinned.iter().position(|pinned| !pinned) {
        let path = match bare.checked_sub(1) {
            None => path.then("endpoint"),
            Some(other) => path.then("others").then(other).then("endpoint"),
        };
        let help = "write its `fingerprint` too, or `caFile` in the place of all of them";
        wrong(path, "this node's own certificate would not be trusted", help);
    }
}
