//! Which hosts are alike, and how their names and addresses are written in few words.

use std::collections::BTreeMap;
use std::net::IpAddr;

use indexmap::IndexMap;
use kubewright_model::codes;
use kubewright_model::names::NamePattern;
use kubewright_model::net::AddressRange;
use kubewright_model::spec::Role;
use kubewright_model::spec::formats::dns_label;

use super::roles::Chosen;
use super::{About, Host, Reading, Spot, Way};

/// Hosts that are alike.
#[derive(Clone, Debug)]
pub(super) struct Alike {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) nodes: Names,
    pub(super) addresses: Vec<AddressRange>,
    /// Their addresses one by one.
    pub(super) each: Vec<IpAddr>,
    pub(super) way: Way,
    pub(super) os: Option<String>,
    /// What there is to say of it.
    pub(super) remarks: Vec<String>,
}

/// What the nodes of a pool are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// A pattern, or the one name.
    Pattern(String),
    /// Each by itself.
    Each(Vec<String>),
    /// Nobody says it.
    Unknown,
}

/// A host with the name of its node.
struct Member {
    chosen: Chosen,
    node: Option<String>,
    address: IpAddr,
}

/// What hosts of one pool have in common.
#[derive(PartialEq)]
struct Sort {
    name: String,
    role: Role,
    way: Way,
    named: bool,
}

/// Groups hosts that are alike: one role, one group, one way to them.
pub(super) fn pools(reading: &mut Reading, chosen: Vec<Chosen>) -> Vec<Alike> {
    let members: Vec<Member> = chosen.into_iter().filter_map(|chosen| member(reading, chosen)).collect();
    twice(reading, &members);
    let mut alike: Vec<(Sort, Vec<Member>)> = Vec::new();
    for member in members {
        let Chosen { host, role, pool, .. } = &member.chosen;
        let sort = Sort { name: label(pool), role: *role, way: host.way.clone(), named: member.node.is_some() };
        match alike.iter_mut().find(|(other, _)| *other == sort) {
            Some((_, members)) => members.push(member),
            None => alike.push((sort, vec![member])),
        }
    }
    let mut taken: Vec<String> = Vec::new();
    let pool = |(sort, members): (Sort, Vec<Member>)| {
        let name = free(sort.name, sort.role, &mut taken);
        pool(name, sort.role, sort.way, members)
    };
    alike.into_iter().map(pool).collect()
}

/// A name for a pool that no other has: of hosts of one group that are reached in two ways, the second gets a number.
fn free(name: String, role: Role, taken: &mut Vec<String>) -> String {
    let usual = match role {
        Role::Server | Role::Both => "servers",
        Role::Agent => "agents",
        Role::LoadBalancer => "balancers",
    };
    let name = if dns_label(&name).is_ok() { name } else { usual.to_string() };
    let mut names = std::iter::once(name.clone()).chain((2..).map(|number| format!("{name}-{number}")));
    let free = names.find(|name| !taken.contains(name)).unwrap_or(name);
    taken.push(free.clone());
    free
}

/// A word as a label of DNS, as far as that goes.
fn label(word: &str) -> String {
    let lower = word.to_lowercase();
    let signs = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    signs.collect::<String>().trim_matches('-').to_string()
}

fn member(reading: &mut Reading, chosen: Chosen) -> Option<Member> {
    let host = &chosen.host;
    let node = match host.name.parse::<IpAddr>() {
        Ok(_) => None,
        Err(_) => {
            let first = host.name.split('.').next().unwrap_or_default();
            let node = first.to_lowercase().replace('_', "-");
            if let Err(why) = dns_label(&node) {
                let message = format!("`{}` can be no node's name: {why}", host.name);
                reading.wrong(
                    host.spot,
                    codes::FOREIGN_VALUE,
                    message,
                    "rename the host, or leave it out: `--group NAME=none`",
                );
                return None;
            }
            Some(node)
        }
    };
    let Some(address) = host.address else {
        // Where the line is wrong already, that is probably why.
        if reading
            .found
            .iter()
            .any(|(text, found)| *text == host.spot.text && found.at.is_some_and(|at| at.line == host.spot.at.line))
        {
            return None;
        }
        let help = format!(
            "write it (of Ansible: `ansible_host=ADDRESS`), or leave the host out: `--group {}=none`",
            host.name
        );
        reading.wrong(host.spot, codes::FOREIGN_ADDRESS, format!("`{}` has no address", host.name), help);
        return None;
    };
    Some(Member { node, address, chosen })
}

/// Two hosts are two nodes, with a name and an address each.
fn twice(reading: &mut Reading, members: &[Member]) {
    let mut names: BTreeMap<&str, &Member> = BTreeMap::new();
    let mut addresses: BTreeMap<IpAddr, &Member> = BTreeMap::new();
    let mut wrong: Vec<(Spot, String)> = Vec::new();
    for member in members {
        let host = &member.chosen.host;
        if let Some(node) = &member.node {
            match names.get(node.as_str()) {
                Some(other) if other.chosen.host.name == host.name => {
                    wrong.push((host.spot, format!("`{}` stands here a second time", host.name)))
                }
                Some(other) => wrong.push((
                    host.spot,
                    format!("`{}` and `{}` would both be the node `{node}`", other.chosen.host.name, host.name),
                )),
                None => drop(names.insert(node, member)),
            }
        }
        match addresses.get(&member.address) {
            Some(other) if other.chosen.host.name != host.name => {
                wrong.push((
                    host.spot,
                    format!("`{}` has the address of `{}`, {}", host.name, other.chosen.host.name, member.address),
                ));
            }
            Some(_) => {}
            None => drop(addresses.insert(member.address, member)),
        }
    }
    for (spot, message) in wrong {
        reading.wrong(
            spot,
            codes::FOREIGN_TWICE,
            message,
            "correct one of the two, or leave it out: `--group NAME=none`",
        );
    }
}

fn pool(name: String, role: Role, way: Way, mut members: Vec<Member>) -> Alike {
    // By their numbers: `worker-10` after `worker-9`.
    if members.iter().all(|member| member.node.is_some()) {
        members.sort_by_cached_key(|member| member.node.as_deref().map(counted));
    } else {
        members.sort_by_key(|member| member.address);
    }
    let each: Vec<IpAddr> = members.iter().map(|member| member.address).collect();
    let nodes: Option<Vec<String>> = members.iter().map(|member| member.node.clone()).collect();
    let mut remarks = Vec::new();
    if members.iter().any(|member| member.chosen.guessed) {
        remarks
            .push("Nothing keeps work off these servers, so they are `both`; `server` would keep it off.".to_string());
    }
    let renamed: Vec<String> = members
        .iter()
        .filter(|member| member.node.as_ref().is_some_and(|node| *node != member.chosen.host.name))
        .map(|member| member.chosen.host.name.clone())
        .collect();
    if !renamed.is_empty() {
        remarks.push(format!("A node's name is a plain label; in the files they are {}.", renamed.join(", ")));
    }
    if nodes.is_none() {
        remarks.push(
            "The files know these hosts by their addresses alone: write what they are called, `names: [NAME, …]`."
                .into(),
        );
    }
    remarks.extend(about(&members));
    let os = members.first().and_then(|member| member.chosen.host.os.clone());
    let os = os.filter(|os| members.iter().all(|member| member.chosen.host.os.as_ref() == Some(os)));
    Alike { name, role, nodes: nodes.map_or(Names::Unknown, names), addresses: ranges(&each), each, way, os, remarks }
}

/// What is known of the machines, those that are the same in one sentence.
fn about(members: &[Member]) -> Vec<String> {
    let mut kinds: IndexMap<&str, Vec<&Member>> = IndexMap::new();
    for member in members {
        if let Some(about) = &member.chosen.host.about {
            kinds.entry(&about.kind).or_default().push(member);
        }
    }
    let said = |(kind, members): (&str, Vec<&Member>)| {
        let of = |test: fn(&About, &Host) -> Option<String>| {
            let hosts =
                members.iter().filter_map(|member| Some((member.chosen.host.about.as_ref()?, &member.chosen.host)));
            hosts.filter_map(|(about, host)| test(about, host)).collect::<Vec<_>>().join(", ")
        };
        let vmids = of(|about, _| about.vmid.map(|vmid| vmid.to_string()));
        let public = of(|about, host| about.public.map(|public| format!("{} is {public}", host.name)));
        let vmids = if vmids.is_empty() { String::new() } else { format!(", VMIDs {vmids}") };
        let public = if public.is_empty() { String::new() } else { format!(" In the world outside {public}.") };
        format!("Terraform's {kind}{vmids}.{public}")
    };
    kinds.into_iter().map(said).collect()
}

/// A name as what stands before its last number, and that number.
fn counted(name: &str) -> (String, u64, String) {
    match parts(name) {
        Some((head, digits, tail)) => (format!("{head}{tail}"), digits.parse().unwrap_or(u64::MAX), name.to_string()),
        None => (name.to_string(), 0, name.to_string()),
    }
}

/// What stands before the last number of a name, the number, and what stands behind it.
fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = name[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    Some((&name[..start], &name[start..end], &name[end..]))
}

/// One pattern for all names, where there is one; it counts from one.
fn names(nodes: Vec<String>) -> Names {
    if let [one] = nodes.as_slice() {
        return Names::Pattern(one.clone());
    }
    let pattern = nodes.first().and_then(|first| {
        let (head, digits, tail) = parts(first)?;
        Some(format!("{head}{{{}}}{tail}", "n".repeat(digits.len())))
    });
    let fits = |pattern: &String| {
        let pattern = NamePattern::new(pattern.as_str());
        nodes.iter().enumerate().all(|(index, node)| pattern.name(index + 1).as_str() == node)
    };
    match pattern.filter(fits) {
        Some(pattern) => Names::Pattern(pattern),
        None => Names::Each(nodes),
    }
}

/// Addresses that follow one another as a range.
fn ranges(each: &[IpAddr]) -> Vec<AddressRange> {
    let mut runs: Vec<(IpAddr, IpAddr)> = Vec::new();
    for address in each {
        match runs.last_mut() {
            Some((_, last)) if next(*last) == Some(*address) => *last = *address,
            _ => runs.push((*address, *address)),
        }
    }
    runs.into_iter().filter_map(|(first, last)| AddressRange::new(first, last)).collect()
}

fn next(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => IpAddr::V4(u32::from(v4).checked_add(1)?.into()),
        IpAddr::V6(v6) => IpAddr::V6(u128::from(v6).checked_add(1)?.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(all: &[&str]) -> Names {
        names(all.iter().map(|name| (*name).to_string()).collect())
    }

    #[test]
    fn names_that_count_are_a_pattern() {
        assert_eq!(named(&["k3s-master-01", "k3s-master-02"]), Names::Pattern("k3s-master-{nn}".into()));
        assert_eq!(named(&["n1-x", "n2-x"]), Names::Pattern("n{n}-x".into()));
        assert_eq!(named(&["obsy"]), Names::Pattern("obsy".into()));
        assert_eq!(named(&["a1", "a3"]), Names::Each(vec!["a1".into(), "a3".into()]));
        assert_eq!(named(&["a0", "a1"]), Names::Each(vec!["a0".into(), "a1".into()]));
        let ten: Vec<String> = (1..=10).map(|n| format!("w-{n}")).collect();
        assert_eq!(names(ten), Names::Pattern("w-{n}".into()));
    }

    #[test]
    fn addresses_that_follow_one_another_are_a_range() {
        let each: Vec<IpAddr> = ["10.0.0.9", "10.0.0.10", "10.0.0.12"].iter().map(|it| it.parse().unwrap()).collect();
        let shown: Vec<String> = ranges(&each).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.9-10", "10.0.0.12"]);
    }
}
