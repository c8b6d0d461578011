//! 01xx: names, and numbers that must agree.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::ids::{PoolName, ProviderName};
use kubewright_model::net::NumberRange;
use kubewright_model::spec::Pool;

use super::{Facts, addresses, at, counted, size};
use crate::context::nodes::MAX_NODES;

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (name, pool) in &facts.spec.pools {
        counts(name, pool, found);
        patterns(facts, name, pool, found);
    }
    too_many(facts, found);
    duplicate_names(facts, found);
    duplicate_vmids(facts, found);
    let mut seen = BTreeSet::new();
    for (index, namespace) in facts.spec.namespaces.iter().enumerate() {
        if !seen.insert(namespace) {
            let message = format!("the namespace `{namespace}` is in the list twice");
            let path = at("namespaces").then(index);
            found.push(Diagnostic::new(codes::NAMESPACE_TWICE, path, message).help("remove the second one"));
        }
    }
}

/// Names, addresses, VMIDs and the count, which must all be of one number.
fn counts(name: &PoolName, pool: &Pool, found: &mut Vec<Diagnostic>) {
    let path = at("pools").then(name);
    let (named, addressed, nodes) = (pool.names.len() as u128, addresses(pool), size(pool));
    if named == 0 && addressed == 0 && pool.count.is_none() {
        let message = format!("the pool `{name}` does not say which nodes it has");
        let help = "write `addresses`, `names` or `count`";
        found.push(Diagnostic::new(codes::POOL_WITHOUT_NODES, path.clone(), message).help(help));
        return;
    }
    if named != 0 && addressed != 0 && named != addressed {
        let message = format!("the pool `{name}` has {} and {}", counted(named, "name"), counted(addressed, "address"));
        let help = "write one name for each address";
        found.push(Diagnostic::new(codes::NAMES_DISAGREE, path.then("names"), message).help(help));
    }
    if let Some(count) = pool.count.map(u128::from)
        && count != nodes
    {
        let said = if named == 0 { "addresses" } else { "names" };
        let message = format!("the pool `{name}` has a count of {count} and {said} for {nodes}");
        let help = format!("remove `count`: the {said} say how many nodes there are");
        found.push(Diagnostic::new(codes::COUNT_DISAGREES, path.then("count"), message).help(help));
    }
    let vmids: u128 = pool.proxmox.iter().flat_map(|it| &it.vmids).map(|range| u128::from(range.count())).sum();
    if vmids != 0 && vmids < nodes {
        let message = format!("the pool `{name}` has {} and {}", counted(vmids, "VMID"), counted(nodes, "node"));
        let first = pool.proxmox.iter().flat_map(|it| &it.vmids).map(|range| u128::from(range.first)).min();
        let first = first.unwrap_or(401);
        let help =
            format!("write one VMID for each node at least, as a range: `vmids: [{first}-{}]`", first + nodes - 1);
        let path = path.then("proxmox").then("vmids");
        found.push(Diagnostic::new(codes::VMIDS_DISAGREE, path, message).help(help));
    }
}

fn patterns(facts: &Facts<'_>, name: &PoolName, pool: &Pool, found: &mut Vec<Diagnostic>) {
    let path = at("pools").then(name).then("name");
    let nodes = size(pool);
    match &pool.name {
        Some(pattern) if !pool.names.is_empty() => {
            let message = format!("the pool `{name}` has both the pattern `{}` and a list of names", pattern.as_str());
            found.push(Diagnostic::new(codes::NAME_TWO_WAYS, path, message).help("remove `name` or `names`"));
            return;
        }
        Some(pattern) if !pattern.counts() && nodes > 1 => {
            let message = format!("`{}` has no counter and names {nodes} nodes", pattern.as_str());
            let name = pattern.as_str();
            let help = format!(
                "write `{name}-{{n}}`; where `{name}` is there already and stays, write `names: [{name}, {name}-2, …]`"
            );
            found.push(Diagnostic::new(codes::NAME_WITHOUT_COUNTER, path, message).help(help));
            return;
        }
        _ if pool.names.is_empty() => {}
        _ => return,
    }
    let standard = || kubewright_model::names::NamePattern::new(format!("{}-{name}-{{n}}", facts.file.metadata.name));
    let last = pool.name.clone().unwrap_or_else(standard).name(usize::try_from(nodes).unwrap_or(MAX_NODES));
    if last.as_str().len() > 63 {
        let message = format!("the name `{last}` has {} characters, a host name has at most 63", last.as_str().len());
        found.push(Diagnostic::new(codes::NAME_TOO_LONG, path, message).help("write a shorter `name` for this pool"));
    }
}

fn too_many(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let sizes = facts.spec.pools.iter().map(|(name, pool)| (name, size(pool)));
    let total = sizes.clone().fold(0u128, |sum, (_, nodes)| sum.saturating_add(nodes));
    let Some((name, largest)) = sizes.max_by_key(|(_, nodes)| *nodes) else { return };
    if total > MAX_NODES as u128 {
        let message =
            format!("the pools have {total} nodes, {largest} of them in `{name}`; at most {MAX_NODES} can be");
        let help = "look at the ends of its address ranges";
        found.push(Diagnostic::new(codes::TOO_MANY_NODES, at("pools").then(name), message).help(help));
    }
}

/// One diagnostic for each pair of pools, or for each name of a list: twenty nodes of two equal patterns are one slip.
fn duplicate_names(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<&str, &PoolName> = BTreeMap::new();
    let mut said: BTreeSet<(&PoolName, &PoolName)> = BTreeSet::new();
    for node in &facts.nodes {
        let Some(first) = seen.insert(node.name.as_str(), node.pool_name) else { continue };
        let path = at("pools").then(node.pool_name);
        let listed = node.index < node.pool.names.len();
        let same_pool = first == node.pool_name;
        // Equal names of a pattern without a counter have a rule of their own.
        let repeated = same_pool || !said.insert((first, node.pool_name));
        if repeated && !listed {
            continue;
        }
        let path = if listed { path.then("names").then(node.index) } else { path.then("name") };
        let place = if same_pool { "the same pool".to_string() } else { format!("the pool `{first}`") };
        let message = format!("the name `{}` is also that of a node of {place}", node.name);
        let help = "give it another name: no two nodes of a cluster share one";
        found.push(Diagnostic::new(codes::DUPLICATE_NAME, path, message).help(help));
    }
}

fn duplicate_vmids(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    // Another cluster counts by itself.
    let mut clusters: BTreeMap<ProviderName, Vec<Numbers<'_>>> = BTreeMap::new();
    for (name, machines) in facts.spec.pools.iter().filter_map(|(name, pool)| Some((name, pool.proxmox.as_ref()?))) {
        let ranges = clusters.entry(super::proxmox::cluster(machines)).or_default();
        for (index, range) in machines.vmids.iter().enumerate() {
            ranges.push((*range, at("pools").then(name).then("proxmox").then("vmids").then(index), name));
        }
    }
    clusters.into_values().for_each(|ranges| twice_in_one(ranges, found));
}

/// VMIDs, where they are written, and for which pool.
type Numbers<'a> = (NumberRange, SpecPath, &'a PoolName);

fn twice_in_one(mut ranges: Vec<Numbers<'_>>, found: &mut Vec<Diagnostic>) {
    ranges.sort_by_key(|(range, ..)| *range);
    let mut widest: Option<(u32, &PoolName)> = None;
    for (range, path, name) in ranges {
        if let Some((last, other)) = widest
            && range.first <= last
        {
            let message = format!("the VMID {} is also that of a machine of the pool `{other}`", range.first);
            let help = "give each machine a VMID of its own";
            found.push(Diagnostic::new(codes::DUPLICATE_VMID, path, message).help(help));
        }
        if widest.is_none_or(|(last, _)| range.last > last) {
            widest = Some((range.last, name));
        }
    }
}
