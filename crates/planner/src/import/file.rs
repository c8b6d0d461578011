//! The cluster file: a value, its YAML, and comments at what had to be guessed.
//!
//! Comments are whole lines above keys. Where a key stands is asked of the reader of the YAML that was written, and the
//! text with its comments is read once more: it has to mean the same.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, Severity, SpecPath};
use kubewright_model::net::Cidr;
use kubewright_model::source;
use kubewright_model::spec::formats::dns_label;
use kubewright_model::spec::kubernetes::{API_PORT, SUPERVISOR_PORT};
use kubewright_model::spec::{Distribution, Role, load};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::hints::{self, Hints};
use super::pools::{Alike, Names};
use super::{Imported, Reading, Refused, Way, Wishes, Wrong};
use crate::rules::rules;

/// Characters of a line with a comment.
const WIDTH: usize = 118;
/// Lists of words that are no longer stand in one line.
const SHORT: usize = 90;
/// Private networks for pods and Services, in pairs, where the hosts are in the usual ones.
const NETWORKS: &[(&str, &str)] =
    &[("10.42.0.0/16", "10.43.0.0/16"), ("10.244.0.0/16", "10.96.0.0/16"), ("172.20.0.0/16", "172.21.0.0/16")];
/// Names of files and folders that say nothing of the cluster.
const PLAIN: &[&str] = &[
    "hosts",
    "host",
    "inventory",
    "inventories",
    "servers",
    "server",
    "terraform",
    "state",
    "show",
    "ansible",
    "main",
    "nodes",
    "infra",
    "tf",
    "",
];

/// Comments by what they are about; those of the root stand at the top.
#[derive(Default)]
struct Comments(BTreeMap<String, Vec<String>>);

impl Comments {
    fn at(&mut self, path: &str, comment: impl Into<String>) {
        self.0.entry(path.to_string()).or_default().push(comment.into());
    }
}

/// Writes the file, and judges it.
pub(super) fn write(reading: &Reading, pools: &[Alike], names: &[&str], wishes: &Wishes) -> Result<Imported, Refused> {
    let mut comments = Comments::default();
    let hints = &reading.hints;
    comments.at("", format!("Written by `kubewright import` from {}.", names.join(", ")));
    hints.remarks.iter().for_each(|remark| comments.at("", remark.clone()));
    let mut told = reading.told.clone();
    let mut metadata = Map::new();
    metadata.insert("name".into(), name(names, wishes, &mut comments).into());
    if let Some(environment) = hints.environment.as_ref().filter(|told| !told.value.is_empty()) {
        metadata.insert("environment".into(), environment.value.clone().into());
    }
    let mut spec = Map::new();
    let network = network(hints, pools, &mut comments);
    spec.insert("kubernetes".into(), kubernetes(hints, pools, &network, &mut comments, &mut told));
    if !network.is_empty() {
        spec.insert("network".into(), Value::Object(network));
    }
    let common = common(pools);
    let mut settings = Map::new();
    settings.extend(ssh(&common, "/spec/hosts/ssh", &mut comments, &mut told).map(|ssh| ("ssh".to_string(), ssh)));
    let os = system(pools);
    settings.extend(os.as_ref().map(|os| ("os".to_string(), os.as_str().into())));
    if !settings.is_empty() {
        spec.insert("hosts".into(), Value::Object(settings));
    }
    let written: Map<String, Value> = pools
        .iter()
        .map(|alike| (alike.name.clone(), pool(alike, &common, os.is_some(), &mut comments, &mut told)))
        .collect();
    spec.insert("pools".into(), Value::Object(written));
    balancers(hints, pools, &mut spec, &mut comments);
    let file =
        json!({ "apiVersion": "kubewright.dev/v1alpha1", "kind": "Cluster", "metadata": metadata, "spec": spec });
    let text = commented(&file, &comments)
        .map_err(|why| refused(String::new(), vec![Diagnostic::new(codes::SCHEMA, SpecPath::root(), why)]))?;
    judged(&text)?;
    Ok(Imported { text, told })
}

/// The text has to validate: what it would be refused for is wrong with the files that it comes from.
fn judged(text: &str) -> Result<(), Refused> {
    let loaded = load(text).map_err(|found| refused(text.to_string(), found))?;
    let mut found: Vec<Diagnostic> =
        rules(&loaded.file).into_iter().filter(|found| found.severity == Severity::Error).collect();
    loaded.places.locate(&mut found);
    if found.is_empty() { Ok(()) } else { Err(refused(text.to_string(), found)) }
}

fn refused(text: String, found: Vec<Diagnostic>) -> Refused {
    Refused {
        wrong: vec![Wrong { name: "the cluster file that would be written".into(), text, found }],
        unknown: Vec::new(),
    }
}

/// The cluster's name: the user's, or that of the file or of its folder.
fn name(files: &[&str], wishes: &Wishes, comments: &mut Comments) -> String {
    if let Some(name) = &wishes.name {
        return name.to_string();
    }
    let words =
        files.iter().flat_map(|file| file.rsplit('/').take(2)).map(|word| word.split('.').next().unwrap_or_default());
    let lower = words.map(|word| word.to_lowercase().replace('_', "-"));
    let found = lower.into_iter().find(|word| dns_label(word).is_ok() && !PLAIN.contains(&word.as_str()));
    comments.at("/metadata/name", "It marks all that kubewright makes, so choose it now: `--name`.");
    found.unwrap_or_else(|| "cluster".into())
}

/// The hosts' network: as the files say, or the smallest usual one that all addresses lie in.
fn network(hints: &Hints, pools: &[Alike], comments: &mut Comments) -> Map<String, Value> {
    let all: Vec<IpAddr> = pools.iter().flat_map(|pool| pool.each.iter().copied()).collect();
    let mut network = Map::new();
    let told = hints.cidr.as_ref().filter(|told| fits(&told.value, &all));
    let cidr = told.map(|told| told.value).or_else(|| {
        let guess = guessed(&all)?;
        comments
            .at("/spec/network/cidr", "No file names the hosts' network: it is the smallest that all of them are in.");
        Some(guess)
    });
    let Some(cidr) = cidr else { return network };
    network.insert("cidr".into(), cidr.to_string().into());
    if let Some(gateway) = hints.gateway.as_ref().filter(|told| cidr.contains(told.value)) {
        network.insert("gateway".into(), gateway.value.to_string().into());
    }
    network
}

/// Whether every host has a place in a network, and none its first or last address.
fn fits(cidr: &Cidr, all: &[IpAddr]) -> bool {
    let ends = [cidr.net().network(), cidr.net().broadcast()];
    all.iter().all(|address| cidr.contains(*address) && !(address.is_ipv4() && ends.contains(address)))
}

/// The smallest network of /24 to /16, of the sixth version /64, that has them all.
fn guessed(all: &[IpAddr]) -> Option<Cidr> {
    let first = all.first()?;
    let lengths = if first.is_ipv4() { (16..=24).rev().collect::<Vec<u8>>() } else { vec![64] };
    lengths.into_iter().filter_map(|length| net_of(*first, length)).find(|cidr| fits(cidr, all))
}

/// The network of so many bits that an address lies in.
pub(super) fn net_of(address: IpAddr, length: u8) -> Option<Cidr> {
    let text = match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32u32.checked_sub(length.into())?).unwrap_or(0);
            format!("{}/{length}", Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128u32.checked_sub(length.into())?).unwrap_or(0);
            format!("{}/{length}", Ipv6Addr::from(u128::from(v6) & mask))
        }
    };
    text.parse().ok()
}

fn kubernetes(
    hints: &Hints,
    pools: &[Alike],
    network: &Map<String, Value>,
    comments: &mut Comments,
    told: &mut Vec<String>,
) -> Value {
    let distribution = hints.distribution.as_ref().map_or(Distribution::K3s, |told| told.value);
    if hints.distribution.is_none() {
        comments.at("/spec/kubernetes/distribution", "No file names a distribution: `--distribution` says it.");
    }
    let (version, comment) = hints::version(hints, distribution);
    comment.into_iter().for_each(|comment| comments.at("/spec/kubernetes/version", comment));
    let mut kubernetes = Map::new();
    kubernetes.insert("distribution".into(), json!(distribution));
    kubernetes.insert("version".into(), version.into());
    if distribution == Distribution::Kubeadm {
        kubernetes.insert("containerd".into(), json!({ "version": CONTAINERD }));
        kubernetes.insert("cni".into(), json!({ "flannel": {} }));
        let plugin = hints.plugin.as_ref().map(|told| format!(" {} is `{}`.", told.by, told.value)).unwrap_or_default();
        comments.at(
            "/spec/kubernetes/containerd",
            format!("kubeadm brings neither a runtime nor a network plug-in; these are guesses.{plugin}"),
        );
    }
    let hosts: Option<Cidr> = network.get("cidr").and_then(|cidr| cidr.as_str()?.parse().ok());
    let free = |cidr: &str| hosts.is_none_or(|hosts| !hosts.overlaps(&Cidr::known(cidr)));
    let pair = NETWORKS.iter().find(|(pods, services)| free(pods) && free(services));
    for (field, told, usual) in [
        ("podNetwork", &hints.pods, pair.map(|pair| pair.0)),
        ("serviceNetwork", &hints.services, pair.map(|pair| pair.1)),
    ] {
        let default = NETWORKS.first().map(|(pods, services)| if field == "podNetwork" { *pods } else { *services });
        match (told, usual) {
            (Some(told), _) => drop(kubernetes.insert(field.into(), told.value.to_string().into())),
            (None, Some(usual)) if Some(usual) != default => {
                comments.at(&format!("/spec/kubernetes/{field}"), "The usual network overlaps that of the hosts.");
                kubernetes.insert(field.into(), usual.into());
            }
            _ => {}
        }
    }
    if let Some(endpoint) = endpoint(hints, pools, network, comments) {
        kubernetes.insert("endpoint".into(), endpoint);
    }
    if let Some(token) = &hints.join_token {
        kubernetes.insert("joinToken".into(), json!({ "env": JOIN_TOKEN }));
        comments
            .at("/spec/kubernetes/joinToken", format!("{} of the inventory; its value is not written here.", token.by));
        told.push(format!("put the value of {} into the environment variable {JOIN_TOKEN}", token.by));
    }
    Value::Object(kubernetes)
}

/// The newest containerd that the defaults were looked up for.
const CONTAINERD: &str = "v1.7.27";
/// Environment variables for what is secret in the files.
const JOIN_TOKEN: &str = "JOIN_TOKEN";
const SSH_PASSWORD: &str = "SSH_PASSWORD";
const SUDO_PASSWORD: &str = "SUDO_PASSWORD";

/// Where clients reach the API.
fn endpoint(hints: &Hints, pools: &[Alike], network: &Map<String, Value>, comments: &mut Comments) -> Option<Value> {
    let of = |test: fn(Role) -> bool| {
        pools.iter().filter(move |pool| test(pool.role)).flat_map(|pool| pool.each.iter().copied())
    };
    let servers: Vec<IpAddr> = of(Role::is_server).collect();
    let balancers: Vec<IpAddr> = of(|role| role == Role::LoadBalancer).collect();
    let told = hints.endpoint.as_ref();
    let address = told.and_then(|told| told.value.parse::<IpAddr>().ok());
    if !balancers.is_empty() {
        return Some(
            match told.filter(|_| !address.is_some_and(|it| balancers.contains(&it) || servers.contains(&it))) {
                Some(told) => {
                    comments.at("/spec/kubernetes/endpoint", format!("The host is what {} says.", told.by));
                    json!({ "host": told.value, "loadBalancer": "api" })
                }
                None => json!({ "loadBalancer": "api" }),
            },
        );
    }
    let first = servers.first().filter(|_| servers.len() > 1);
    match (told, first) {
        (Some(told), _) if floats(hints, address, network) => {
            comments
                .at("/spec/kubernetes/endpoint", format!("{} says it; the servers hand it on by kube-vip.", told.by));
            Some(json!({ "virtualIp": { "address": told.value } }))
        }
        (Some(told), _) if !address.is_some_and(|it| servers.contains(&it)) => {
            comments.at(
                "/spec/kubernetes/endpoint",
                format!("{} says it; kubewright does not set up what answers there.", told.by),
            );
            Some(json!({ "host": told.value }))
        }
        (_, Some(first)) => {
            let first = address.filter(|it| servers.contains(it)).unwrap_or(*first);
            let comment =
                "Clients go to one server: give them a load balancer's address, and the API outlives each of them.";
            comments.at("/spec/kubernetes/endpoint", comment);
            let others: Vec<&IpAddr> = servers.iter().filter(|server| **server != first).collect();
            Some(json!({ "host": first, "alternativeNames": others }))
        }
        _ => None,
    }
}

/// Whether the endpoint is an address that servers hand on, and one that kubewright has them hand on.
fn floats(hints: &Hints, address: Option<IpAddr>, network: &Map<String, Value>) -> bool {
    let distribution = hints.distribution.as_ref().map_or(Distribution::K3s, |told| told.value);
    let cidr: Option<Cidr> = network.get("cidr").and_then(|cidr| cidr.as_str()?.parse().ok());
    let inside = address.zip(cidr).is_some_and(|(address, cidr)| fits(&cidr, &[address]));
    hints.floats && inside && distribution != Distribution::Kubeadm
}

/// HAProxy before the API, on the hosts that are for it.
fn balancers(hints: &Hints, pools: &[Alike], spec: &mut Map<String, Value>, comments: &mut Comments) {
    let Some(pool) = pools.iter().find(|pool| pool.role == Role::LoadBalancer) else { return };
    let rke2 = hints.distribution.as_ref().is_some_and(|told| told.value == Distribution::Rke2);
    let ports = std::iter::once(API_PORT).chain(rke2.then_some(SUPERVISOR_PORT));
    let listen: Vec<Value> = ports.map(|port| json!({ "port": port, "to": port })).collect();
    let comment = "kubewright writes /etc/haproxy/haproxy.cfg on these hosts anew: what else it balances belongs here.";
    comments.at("/spec/loadBalancers/api", comment);
    spec.insert("loadBalancers".into(), json!({ "api": { "by": "haproxy", "pool": pool.name, "listen": listen } }));
}

/// The way to most hosts.
fn common(pools: &[Alike]) -> Way {
    let mut counts: BTreeMap<Way, usize> = BTreeMap::new();
    for pool in pools {
        *counts.entry(Way { here: false, ..pool.way.clone() }).or_default() += pool.each.len();
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(way, _)| way).unwrap_or_default()
}

fn ssh(way: &Way, path: &str, comments: &mut Comments, told: &mut Vec<String>) -> Option<Value> {
    let mut ssh = Map::new();
    ssh.extend(way.user.as_ref().map(|user| ("user".to_string(), user.as_str().into())));
    ssh.extend(way.port.map(|port| ("port".to_string(), port.into())));
    let key = way.key.as_deref().or_else(|| {
        way.password.then(|| {
            comments.at(
                &format!("{path}/keyFile"),
                "The files have only a password: this key takes its place at the first contact.",
            )
        });
        way.password.then_some("~/.ssh/id_ed25519")
    });
    ssh.extend(key.map(|key| ("keyFile".to_string(), key.into())));
    ssh.extend(way.jump.as_ref().map(|jump| ("jump".to_string(), jump.as_str().into())));
    for (there, field, env) in
        [(way.password, "firstPassword", SSH_PASSWORD), (way.sudo, "sudoPassword", SUDO_PASSWORD)]
    {
        if !there {
            continue;
        }
        ssh.insert(field.into(), json!({ "env": env }));
        comments.at(
            &format!("{path}/{field}"),
            "The files have it; it is not written here. Hosts with another one need a pool of their own.",
        );
        let sentence =
            format!("put the password into the environment variable {env}: `hosts.ssh.{field}` reads it there");
        if !told.contains(&sentence) {
            told.push(sentence);
        }
    }
    (!ssh.is_empty()).then_some(Value::Object(ssh))
}

/// The operating system that all hosts have.
fn system(pools: &[Alike]) -> Option<String> {
    let first = written(pools.first()?.os.as_deref()?)?;
    pools.iter().all(|pool| pool.os.as_deref().and_then(written).as_ref() == Some(&first)).then_some(first)
}

/// `ubuntu-24.04` as `Ubuntu 24.04`; others are not sure enough to stop a run for.
fn written(os: &str) -> Option<String> {
    let lower = os.to_lowercase();
    let (word, title) =
        [("ubuntu", "Ubuntu"), ("debian", "Debian")].into_iter().find(|(word, _)| lower.starts_with(word))?;
    let number = lower.strip_prefix(word)?.trim_start_matches([' ', '-', '_']).split(' ').next()?;
    let digits = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    digits.then(|| format!("{title} {number}"))
}

fn pool(alike: &Alike, common: &Way, settled: bool, comments: &mut Comments, told: &mut Vec<String>) -> Value {
    let path = format!("/spec/pools/{}", alike.name);
    let mut pool = Map::new();
    pool.insert("role".into(), json!(alike.role));
    match &alike.nodes {
        Names::Pattern(pattern) => drop(pool.insert("name".into(), pattern.as_str().into())),
        Names::Each(names) => drop(pool.insert("names".into(), json!(names))),
        Names::Unknown => {}
    }
    pool.insert("addresses".into(), json!(alike.addresses.iter().map(ToString::to_string).collect::<Vec<_>>()));
    let mut settings = Map::new();
    if (Way { here: false, ..alike.way.clone() }) != *common {
        let own = ssh(&alike.way, &format!("{path}/hosts/ssh"), comments, told);
        // What is nowhere said is the usual way: as root.
        settings.insert("ssh".into(), own.unwrap_or_else(|| json!({ "user": "root" })));
    }
    if let Some(os) = alike.os.as_deref().and_then(written).filter(|_| !settled) {
        settings.insert("os".into(), os.into());
    }
    if !settings.is_empty() {
        pool.insert("hosts".into(), Value::Object(settings));
    }
    pool.insert("existing".into(), if alike.way.here { json!({ "thisComputer": true }) } else { json!({}) });
    alike.remarks.iter().for_each(|remark| comments.at(&path, remark.clone()));
    Value::Object(pool)
}

/// A value whose short lists stand in one line.
struct Written<'a>(&'a Value);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => serializer.collect_map(map.iter().map(|(key, value)| (key, Written(value)))),
            Value::Array(items) => {
                let flat = items.iter().all(|item| !item.is_object() && !item.is_array());
                if flat && items.iter().map(|item| item.to_string().len() + 1).sum::<usize>() < SHORT {
                    serde_saphyr::FlowSeq(items).serialize(serializer)
                } else {
                    serializer.collect_seq(items.iter().map(Written))
                }
            }
            other => other.serialize(serializer),
        }
    }
}

/// The value as YAML, with each comment above the key that it is about.
fn commented(file: &Value, comments: &Comments) -> Result<String, String> {
    let bare = serde_saphyr::to_string(&Written(file)).map_err(|error| error.to_string())?;
    let (read, places) = source::read(&bare).map_err(|_| "what was written is not YAML".to_string())?;
    let mut above: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (path, said) in &comments.0 {
        let place = places.key_place(&SpecPath::pointer(path.as_str())).filter(|_| !path.is_empty());
        let (line, indent) = place.map_or((1, 0), |place| (place.line, place.column - 1));
        above.entry(line).or_default().extend(said.iter().flat_map(|said| wrapped(said, indent)));
    }
    let mut text = String::new();
    for (index, line) in bare.lines().enumerate() {
        above.get(&(index + 1)).into_iter().flatten().chain([&line.to_string()]).for_each(|line| {
            text.push_str(line);
            text.push('\n');
        });
    }
    match source::read(&text) {
        Ok((again, _)) if again == read && again == *file => Ok(text),
        _ => Err("what was written means something else".into()),
    }
}

/// A comment in lines, however its words are spaced.
fn wrapped(comment: &str, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in comment.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= WIDTH) {
            Some(line) => line.extend([" ", word]),
            None => lines.push(format!("{}# {word}", " ".repeat(indent))),
        }
    }
    lines
}
