//! What each host is for, by its groups, its columns, its labels or its name.
//!
//! Words of Kubernetes are known, and words of other software, whose masters and servers are none of ours. Whoever is
//! neither is left out, by name: a host that is taken by mistake would be set up.

use kubewright_model::codes;
use kubewright_model::diagnostic::Place;
use kubewright_model::spec::{Distribution, Role};

use super::hints::{Told, spoken_of};
use super::{Host, Mark, Reading, Spot, Wishes};

/// A host that is taken, what it is for, and what its pool is called.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) host: Host,
    pub(super) role: Role,
    pub(super) pool: String,
    /// Nobody but a default says that it takes work beside the control plane.
    pub(super) guessed: bool,
}

const SERVERS: &[&str] =
    &["master", "masters", "control", "controlplane", "controllers", "controller", "cp", "server", "servers"];
const AGENTS: &[&str] = &["worker", "workers", "agent", "agents", "minion", "minions", "node", "nodes", "compute"];
const BALANCERS: &[&str] = &["lb", "lbs", "haproxy", "loadbalancer", "loadbalancers", "balancer", "balancers"];
/// What stands beside them and says nothing more.
const BESIDE: &[&str] = &[
    "k3s",
    "k8s",
    "kube",
    "kubernetes",
    "kubeadm",
    "rke",
    "rancher",
    "cluster",
    "plane",
    "first",
    "init",
    "initial",
    "additional",
    "other",
    "others",
    "new",
    "load",
    "api",
    "apiserver",
    "node",
    "nodes",
    "hosts",
    "group",
    "role",
    "prod",
    "production",
    "dev",
    "staging",
    "preprod",
    "test",
    "lab",
    "homelab",
    "internal",
    "external",
    "vm",
    "vms",
    "lxc",
];
/// Words that are said of all hosts as well, and mean a role only beside those of Kubernetes, or alone.
const WEAK: &[&str] =
    &["server", "servers", "node", "nodes", "compute", "controller", "controllers", "agent", "agents"];
/// Software that has masters, servers and nodes of its own, and hosts that are for people.
const FOREIGN: &[&str] = &[
    "db",
    "database",
    "databases",
    "postgres",
    "postgresql",
    "patroni",
    "pg",
    "mysql",
    "mariadb",
    "galera",
    "proxysql",
    "redis",
    "sentinel",
    "valkey",
    "rabbitmq",
    "kafka",
    "zookeeper",
    "mongo",
    "mongodb",
    "cassandra",
    "elastic",
    "elasticsearch",
    "opensearch",
    "qdrant",
    "minio",
    "ceph",
    "nfs",
    "nas",
    "storage",
    "vault",
    "consul",
    "nomad",
    "monitoring",
    "monitor",
    "prometheus",
    "grafana",
    "backup",
    "mail",
    "smtp",
    "mx",
    "dns",
    "bind",
    "ldap",
    "freeipa",
    "bastion",
    "jump",
    "jumphost",
    "vpn",
    "wireguard",
    "jenkins",
    "gitlab",
    "gitea",
    "runner",
    "registry",
    "harbor",
    "orchestrator",
    "ansible",
    "install",
    "hypervisor",
    "proxmox",
    "pve",
    "temporal",
    "siem",
    "queue",
    "cache",
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Part {
    server: bool,
    agent: bool,
    balancer: bool,
}

impl Part {
    fn none(self) -> bool {
        self == Self::default()
    }

    fn with(self, other: Self) -> Self {
        Self {
            server: self.server || other.server,
            agent: self.agent || other.agent,
            balancer: self.balancer || other.balancer,
        }
    }
}

/// The words of a name, without the numbers at their ends.
fn words(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    let parts = lower.split(|c: char| !c.is_alphanumeric());
    let bare = parts.map(|part| part.trim_end_matches(|c: char| c.is_ascii_digit()).to_string());
    bare.filter(|word| !word.is_empty()).collect()
}

/// What words say. Of those that are `strict`, each has to be known.
fn part(words: &[String], strict: bool) -> Part {
    let is = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if is(FOREIGN) {
        return Part::default();
    }
    let roles = [SERVERS, AGENTS, BALANCERS];
    let known = |word: &str| BESIDE.contains(&word) || roles.iter().any(|list| list.contains(&word));
    let all_known = words.iter().all(|word| known(word));
    let kubernetes = words.len() == 1
        || words.iter().any(|word| ["k3s", "k8s", "kube", "kubernetes", "rke", "rancher"].contains(&word.as_str()));
    // `master` is `master` wherever it stands; `server` and `node` are most hosts of the world.
    let sure = |list: &[&str]| {
        words.iter().any(|word| list.contains(&word.as_str()) && (kubernetes || !WEAK.contains(&word.as_str())))
    };
    if strict && !all_known {
        return Part::default();
    }
    let server = sure(SERVERS);
    let balancer = !server && (is(BALANCERS) || (is(&["load"]) && is(&["balancer", "balancers"])));
    // `control-plane-node` and `kube-lb-node` are no agents.
    Part { server, agent: !server && !balancer && sure(AGENTS), balancer }
}

/// What a host's marks say, and the words that say it.
fn marked(host: &Host) -> (Part, Option<String>) {
    let (mut all, mut pool) = (Part::default(), None);
    for mark in &host.marks {
        match mark {
            Mark::Group(group) => {
                let found = part(&words(group), true);
                if !found.none() && (pool.is_none() || (found.server && !all.server)) {
                    pool = Some(group.clone());
                }
                all = all.with(found);
            }
            Mark::Columns(columns) => {
                let joined: Vec<String> = columns.iter().flat_map(|column| words(column)).collect();
                let found = part(&joined, true);
                // The last column that says something is the nearest.
                let says = columns.iter().rev().find(|column| !part(&words(column), false).none());
                pool = pool.or_else(|| says.filter(|_| !found.none()).cloned());
                all = all.with(found);
            }
        }
    }
    (all, pool)
}

/// Whether anything but its name says what a host is for: then its name is not asked.
fn speaks(host: &Host) -> bool {
    host.marks.iter().any(|mark| match mark {
        Mark::Group(group) => words(group).iter().any(|word| !BESIDE.contains(&word.as_str())),
        Mark::Columns(columns) => {
            columns.iter().any(|column| words(column).iter().any(|word| !BESIDE.contains(&word.as_str())))
        }
    })
}

/// What the user says of a host; the inner nothing leaves it out.
fn wished<'a>(host: &Host, wishes: &'a Wishes) -> Option<(&'a str, Option<Role>)> {
    let named = |name: &str| host.name == name || host.marks.iter().any(|mark| mark.words().any(|word| word == name));
    // What is said of the one host goes before what is said of its group.
    let own = wishes.roles.iter().rev().find(|(name, _)| host.name == *name);
    let found = own.or_else(|| wishes.roles.iter().rev().find(|(name, _)| named(name)))?;
    Some((&found.0, found.1))
}

/// The hosts that are taken. Those that are not are named in a remark.
pub(super) fn chosen(reading: &mut Reading, wishes: &Wishes) -> Vec<Chosen> {
    let hosts = std::mem::take(&mut reading.hosts);
    let mut left: Vec<String> = Vec::new();
    let mut parts: Vec<(Host, Part, String, Option<Role>)> = Vec::new();
    for host in hosts {
        let stem = || host.name.trim_end_matches(|c: char| c.is_ascii_digit() || "-_.".contains(c)).to_string();
        match wished(&host, wishes) {
            Some((_, None)) => left.push(host.name.clone()),
            Some((name, Some(role))) => {
                let pool = if name == host.name { stem() } else { name.to_string() };
                parts.push((host, Part::default(), pool, Some(role)));
            }
            None => {
                let (mut found, mut pool) = marked(&host);
                if found.none() && !speaks(&host) {
                    found = part(&words(&host.name), false);
                    pool = Some(stem());
                }
                match found.none() {
                    true => left.push(host.name.clone()),
                    false => parts.push((host, found, pool.unwrap_or_default(), None)),
                }
            }
        }
    }
    distribution(reading, &parts);
    if !parts.iter().any(|(_, part, _, role)| part.server || role.is_some_and(Role::is_server)) {
        nobody(reading, &left);
    }
    if !left.is_empty() {
        let remark = format!("Left out: {}. `--group NAME=ROLE` takes a group, a role or a host in.", left.join(", "));
        reading.hints.remark(remark);
        reading.tell(format!("left out: {}", left.join(", ")));
    }
    let distribution = reading.hints.distribution.as_ref().map_or(Distribution::K3s, |told| told.value);
    let takes_work = |(_, part, _, role): &(Host, Part, String, Option<Role>)| {
        role.is_some_and(|role| matches!(role, Role::Agent | Role::Both)) || part.agent
    };
    let alone = !parts.iter().any(takes_work);
    let role = |(host, part, pool, wish): (Host, Part, String, Option<Role>)| {
        let (role, guessed) = match (wish, part) {
            (Some(role), _) => (role, false),
            (_, Part { server: true, agent: true, .. }) => (Role::Both, false),
            (_, Part { server: true, .. }) if alone => (Role::Both, false),
            (_, Part { server: true, .. }) if host.tainted || distribution == Distribution::Kubeadm => {
                (Role::Server, false)
            }
            (_, Part { server: true, .. }) => (Role::Both, true),
            (_, Part { agent: true, .. }) => (Role::Agent, false),
            _ => (Role::LoadBalancer, false),
        };
        Chosen { host, role, pool, guessed }
    };
    parts.into_iter().map(role).collect()
}

/// Where nothing else tells the distribution, the words of hosts do.
fn distribution(reading: &mut Reading, parts: &[(Host, Part, String, Option<Role>)]) {
    if reading.hints.distribution.is_some() {
        return;
    }
    let words = parts.iter().flat_map(|(host, ..)| {
        let marks = host.marks.iter().flat_map(Mark::words);
        marks.chain([host.name.as_str()])
    });
    let found = words.into_iter().find_map(|word| Some((word, spoken_of(word)?)));
    reading.hints.distribution = found.and_then(|(word, distribution)| Told::by(format!("`{word}`"), distribution));
}

fn nobody(reading: &mut Reading, left: &[String]) {
    if reading.texts.is_empty() || !reading.found.is_empty() {
        return;
    }
    let first = Spot { text: 0, at: Place { file: 0, line: 1, column: 1, length: 1 } };
    let known = if left.is_empty() { String::new() } else { format!("; left out are {}", left.join(", ")) };
    let message = format!("nothing says which hosts are servers{known}");
    reading.wrong(
        first,
        codes::FOREIGN_SERVERS,
        message,
        "say it: `--group NAME=server`, with a group, a role or a host's name",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, strict: bool) -> &'static str {
        match part(&words(name), strict) {
            Part { server: true, .. } => "server",
            Part { agent: true, .. } => "agent",
            Part { balancer: true, .. } => "balancer",
            Part { .. } => "none",
        }
    }

    #[test]
    fn groups_say_what_their_hosts_are_for() {
        for (group, role) in [
            ("kube_control_plane", "server"),
            ("kube-master", "server"),
            ("k3s_server", "server"),
            ("server", "server"),
            ("masters", "server"),
            ("rke2_servers", "server"),
            ("k3s_agents", "agent"),
            ("kube_node", "agent"),
            ("workers", "agent"),
            ("lb", "balancer"),
            ("load_balancers", "balancer"),
            ("k8s_cluster", "none"),
            ("etcd", "none"),
            ("postgres_masters", "none"),
            ("keycloak_server", "none"),
            ("prod_servers", "none"),
        ] {
            assert_eq!(of(group, true), role, "{group}");
        }
    }

    #[test]
    fn names_say_it_where_nothing_else_does() {
        for (name, role) in [
            ("k3s-master-01", "server"),
            ("valaskjalf-worker-3", "agent"),
            ("haproxy-01", "balancer"),
            ("db-master-01", "none"),
            ("paris-server-2", "none"),
            ("obsy", "none"),
            ("k3s-server", "server"),
        ] {
            assert_eq!(of(name, false), role, "{name}");
        }
    }
}
