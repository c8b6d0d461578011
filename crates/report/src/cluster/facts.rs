//! What several sections want to know of a cluster, found out once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kubewright_model::desired::{Desired, DesiredHost, DesiredMachine, DesiredMember, DesiredRelease, ProxyBalancer};
use kubewright_model::host::HostResource;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::spec::Distribution;
use kubewright_model::spec::pools::Role;
use serde_json::Value;

use crate::words::Words;

/// A cluster and what follows from it.
pub(super) struct Facts<'a> {
    pub(super) desired: &'a Desired,
    pub(super) observed: Option<&'a Observed>,
    /// The spec, as commands are given it.
    pub(super) spec: &'a str,
    pub(super) members: BTreeMap<&'a NodeName, &'a DesiredMember>,
    pub(super) hosts: BTreeMap<&'a NodeName, &'a DesiredHost>,
    pub(super) routes: Vec<Route<'a>>,
    pub(super) ingress: Option<Ingress>,
    /// Lines `key: value` of the first server's own configuration; lists under their key, with commas between.
    pub(super) config: BTreeMap<String, String>,
}

/// A host name and where it leads, as an Ingress has it.
pub(super) struct Route<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) tls: bool,
    pub(super) namespace: &'a str,
    pub(super) service: &'a str,
    pub(super) port: String,
}

/// The ingress controller, and how it is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ingress {
    pub(super) name: String,
    pub(super) door: Door,
}

/// How something is reached from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Ports 80 and 443 of every node.
    Nodes,
    /// These ports of every node, for HTTP and HTTPS.
    NodePorts(u16, u16),
    /// An address that something else gives it.
    OwnAddress,
}

impl<'a> Facts<'a> {
    pub(super) fn new(desired: &'a Desired, observed: Option<&'a Observed>) -> Self {
        let config = config(desired);
        Self {
            desired,
            observed,
            spec: "",
            members: desired.members.iter().map(|member| (&member.name, member)).collect(),
            hosts: desired.hosts.iter().map(|host| (&host.name, host)).collect(),
            routes: routes(desired),
            ingress: ingress(desired, &config),
            config,
        }
    }

    /// A command of kubewright's about this cluster.
    pub(super) fn command(&self, verb: &str) -> String {
        format!("kubewright {verb} {}", self.spec)
    }

    /// What a machine does.
    pub(super) fn role(&self, name: &NodeName) -> Role {
        self.members.get(name).map_or(Role::LoadBalancer, |member| member.role)
    }

    /// The word for it.
    pub(super) fn role_word(&self, name: &NodeName, words: &Words) -> &'static str {
        match self.role(name) {
            Role::Server => words.terms.server,
            Role::Agent => words.terms.agent,
            Role::Both => words.terms.both,
            Role::LoadBalancer => words.terms.load_balancer,
        }
    }

    /// The machines of each pool, in the order of the file.
    pub(super) fn pools(&self) -> Vec<(&'a str, Vec<&'a DesiredMachine>)> {
        let mut pools: Vec<(&str, Vec<&DesiredMachine>)> = Vec::new();
        for machine in &self.desired.machines {
            match pools.iter_mut().find(|(pool, _)| *pool == machine.pool.as_str()) {
                Some((_, machines)) => machines.push(machine),
                None => pools.push((machine.pool.as_str(), vec![machine])),
            }
        }
        pools
    }

    /// The host of the first member of the control plane. Any of them would do: this is for people who want to log in.
    pub(super) fn a_server(&self) -> Option<&'a DesiredHost> {
        self.desired.servers().find_map(|member| self.hosts.get(&member.name).copied())
    }

    /// Hosts that people log in to. A node of Talos has no shell.
    pub(super) fn shells(&self) -> impl Iterator<Item = &'a DesiredHost> {
        let talos = self.desired.kubernetes.distribution == Distribution::Talos;
        self.desired.hosts.iter().filter(move |host| !talos || !self.members.contains_key(&host.name))
    }

    /// Hosts with HAProxy on them, with the ports that it listens on and what each is called.
    pub(super) fn haproxies(&self) -> impl Iterator<Item = (&'a DesiredHost, Vec<(u16, String)>)> {
        self.desired.proxies.iter().filter_map(move |proxy| {
            let host = self.hosts.get(&proxy.host).copied()?;
            Some((host, proxy.balancers.iter().flat_map(frontends).collect()))
        })
    }

    /// The address that a provider gave a load balancer, where it was seen.
    pub(super) fn balancer_address(&self, name: &str, provider: &str) -> Option<IpAddr> {
        let inventory = self.observed?.providers.get(provider).and_then(Seen::present)?;
        inventory.load_balancers.get(name)?.address
    }

    /// Where browsers find the routes, when it is known.
    pub(super) fn entrance(&self) -> Option<IpAddr> {
        let web = |port: u16| port == 80 || port == 443;
        if let Some(balancer) =
            self.desired.load_balancers.iter().find(|lb| lb.spec.listen.iter().any(|listener| web(listener.port)))
        {
            return self.balancer_address(balancer.name.as_str(), balancer.provider.as_str());
        }
        if let Some((host, _)) = self.haproxies().find(|(_, ports)| ports.iter().any(|(port, _)| web(*port))) {
            return host.way.address;
        }
        match self.ingress.as_ref()?.door {
            Door::Nodes | Door::NodePorts(..) => {
                let nodes = self.desired.machines.iter().filter(|machine| self.members.contains_key(&machine.name));
                nodes.filter_map(|machine| machine.address).next()
            }
            Door::OwnAddress => None,
        }
    }

    /// The port that browsers must name, because nothing stands before the nodes' own ports.
    pub(super) fn named_port(&self, tls: bool) -> Option<u16> {
        let web = |port: u16| port == 80 || port == 443;
        let balanced = self.desired.load_balancers.iter().any(|lb| lb.spec.listen.iter().any(|on| web(on.port)))
            || self.haproxies().any(|(_, ports)| ports.iter().any(|(port, _)| web(*port)));
        match self.ingress.as_ref()?.door {
            Door::NodePorts(http, https) if !balanced => Some(if tls { https } else { http }),
            Door::NodePorts(..) | Door::Nodes | Door::OwnAddress => None,
        }
    }
}

/// A file of a host, with its holes by name.
fn file(host: &DesiredHost, path: &str) -> Option<String> {
    host.resources.iter().find_map(|resource| match resource {
        HostResource::File(file) if file.path == path => Some(file.content.to_string()),
        _ => None,
    })
}

/// Where a distribution keeps a server's settings.
const CONFIGS: [&str; 2] = ["/etc/rancher/k3s/config.yaml", "/etc/rancher/rke2/config.yaml"];

/// The settings of a server that we write ourselves: one `key: value` on a line, or a key and a list below it.
fn config(desired: &Desired) -> BTreeMap<String, String> {
    let host = desired.servers().find_map(|member| desired.hosts.iter().find(|host| host.name == member.name));
    let text = host.and_then(|host| CONFIGS.iter().find_map(|path| file(host, path))).unwrap_or_default();
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines() {
        if let Some(item) = line.trim_start().strip_prefix("- ") {
            let list = settings.entry(last.clone()).or_default();
            *list = if list.is_empty() { item.into() } else { format!("{list},{item}") };
        } else if let Some((key, value)) = line.split_once(':') {
            last = key.trim().to_string();
            settings.insert(last.clone(), value.trim().trim_matches(['"', '\'']).to_string());
        }
    }
    settings
}

/// The ports of a load balancer, and what each is called in HAProxy's file.
fn frontends(balancer: &ProxyBalancer) -> Vec<(u16, String)> {
    let name = &balancer.name;
    let page = balancer.spec.statistics.iter().map(|page| (page.port, format!("statistics-{name}")));
    let listeners = balancer.spec.listen.iter().map(|listener| listener.port);
    page.chain(listeners.map(|port| (port, format!("{name}-{port}")))).collect()
}

fn routes(desired: &Desired) -> Vec<Route<'_>> {
    let manifests = desired.objects.iter().flat_map(|group| &group.manifests).map(|manifest| &manifest.0);
    let ingresses = manifests.filter(|object| object["kind"] == "Ingress");
    ingresses.flat_map(routes_of).collect()
}

fn routes_of(ingress: &Value) -> impl Iterator<Item = Route<'_>> {
    let namespace = ingress["metadata"]["namespace"].as_str().unwrap_or("default");
    list(&ingress["spec"]["rules"]).flat_map(move |rule| {
        let host = rule["host"].as_str().unwrap_or_default();
        let tls = list(&ingress["spec"]["tls"]).any(|tls| list(&tls["hosts"]).any(|name| name == host));
        list(&rule["http"]["paths"]).filter(move |_| !host.is_empty()).map(move |path| {
            let service = &path["backend"]["service"];
            let port = &service["port"];
            let named = port["name"].as_str().map(str::to_string);
            Route {
                host,
                path: path["path"].as_str().unwrap_or("/"),
                tls,
                namespace,
                service: service["name"].as_str().unwrap_or_default(),
                port: port["number"].as_u64().map(|number| number.to_string()).or(named).unwrap_or_default(),
            }
        })
    })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// The controller that the file asks for, or the one that the distribution brings.
/// <https://docs.k3s.io/networking/networking-services#traefik-ingress-controller>,
/// <https://docs.rke2.io/networking/networking_services#ingress-controller>
fn ingress(desired: &Desired, config: &BTreeMap<String, String>) -> Option<Ingress> {
    let disabled = |name: &str| config.get("disable").is_some_and(|list| list.split(',').any(|item| item == name));
    // K3s gives every Service of type LoadBalancer the nodes' own ports, unless something else gives out addresses.
    let given = match desired.kubernetes.distribution {
        Distribution::K3s if !disabled("servicelb") => Door::Nodes,
        _ => Door::OwnAddress,
    };
    if let Some(release) = desired.releases.iter().find(|release| release.part == "ingress") {
        return Some(Ingress { name: release.name.to_string(), door: door(release, given) });
    }
    match desired.kubernetes.distribution {
        Distribution::K3s if !disabled("traefik") => Some(Ingress { name: "Traefik".into(), door: given }),
        Distribution::Rke2 => {
            let given = || if desired.kubernetes.version.minor() < (1, 36) { "ingress-nginx" } else { "Traefik" };
            let name = match config.get("ingress-controller").map(String::as_str) {
                Some("none") => return None,
                Some(_) => "Traefik",
                None => given(),
            };
            Some(Ingress { name: name.into(), door: Door::Nodes })
        }
        _ => None,
    }
}

fn door(release: &DesiredRelease, given: Door) -> Door {
    let controller = &release.values["controller"];
    let service = &controller["service"];
    let port = |name: &str| service["nodePorts"][name].as_u64().and_then(|port| u16::try_from(port).ok());
    if controller["hostNetwork"] == true {
        return Door::Nodes;
    }
    match (service["type"].as_str(), port("http"), port("https")) {
        (Some("NodePort"), Some(http), Some(https)) => Door::NodePorts(http, https),
        (Some("NodePort" | "ClusterIP"), ..) => Door::OwnAddress,
        _ => given,
    }
}
