//! A load balancer as the API tells it and as it is to be told, beside the form that a wish and a sight have.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kubewright_model::balancer::{BalancerSettings, HealthSettings, ListenerSettings};
use kubewright_model::ids::{NodeName, Owner};
use kubewright_model::observed::LoadBalancerSeen;
use kubewright_model::spec::load_balancers::{Algorithm, HealthProtocol, ListenProtocol};
use kubewright_model::units::Span;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{Labels, Named, Numbered, PrivateNet, Protection, Selector};

/// A load balancer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Balancer {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: Labels,
    pub(super) algorithm: Typed,
    pub(super) load_balancer_type: Named,
    #[serde(default)]
    pub(super) private_net: Vec<PrivateNet>,
    pub(super) public_net: Public,
    #[serde(default)]
    pub(super) services: Vec<Listening>,
    #[serde(default)]
    pub(super) targets: Vec<Target>,
    #[serde(default)]
    pub(super) protection: Protection,
}

/// Something that is told by a word.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Typed {
    #[serde(rename = "type")]
    pub(super) word: String,
}

/// The public side of a load balancer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Public {
    pub(super) enabled: bool,
    pub(super) ipv4: Option<PublicIp>,
}

/// A public address.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PublicIp {
    pub(super) ip: Option<IpAddr>,
}

/// A port that it listens on.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Listening {
    pub(super) listen_port: u16,
    pub(super) destination_port: u16,
    pub(super) protocol: String,
    #[serde(default)]
    pub(super) proxyprotocol: bool,
    pub(super) http: Option<Http>,
    pub(super) health_check: Check,
}

/// What is set of a port that speaks HTTP.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Http {
    #[serde(default)]
    pub(super) certificates: Vec<u64>,
}

/// How a target's health is found out.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Check {
    pub(super) protocol: String,
    pub(super) port: u16,
    pub(super) interval: u64,
    pub(super) http: Option<HttpCheck>,
}

/// What is asked for by HTTP.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct HttpCheck {
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) status_codes: Vec<String>,
    #[serde(default)]
    pub(super) tls: bool,
}

/// Where it sends to.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Target {
    pub(super) server: Option<Numbered>,
    pub(super) label_selector: Option<Selector>,
    pub(super) ip: Option<TargetIp>,
    #[serde(default)]
    pub(super) use_private_ip: bool,
    #[serde(default)]
    pub(super) health_status: Vec<Health>,
    /// What was found by labels.
    #[serde(default)]
    pub(super) targets: Vec<Target>,
}

/// An address that it sends to.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TargetIp {
    pub(super) ip: IpAddr,
}

/// How a target is, by one of the ports.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Health {
    pub(super) status: String,
}

/// What a target is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Goal {
    Server(u64),
    Label(String),
    Ip(IpAddr),
}

impl Goal {
    /// It, in the API's words.
    pub(super) fn told(&self) -> Value {
        match self {
            Self::Server(id) => json!({ "type": "server", "server": { "id": id } }),
            Self::Label(selector) => json!({ "type": "label_selector", "label_selector": { "selector": selector } }),
            Self::Ip(ip) => json!({ "type": "ip", "ip": { "ip": ip } }),
        }
    }

    /// It, to be added: only servers are in private networks.
    pub(super) fn added(&self, private: bool) -> Value {
        let mut told = self.told();
        if !matches!(self, Self::Ip(_)) {
            told["use_private_ip"] = json!(private);
        }
        told
    }
}

impl Target {
    /// What it is known by.
    pub(super) fn goal(&self) -> Option<Goal> {
        let server = self.server.as_ref().map(|server| Goal::Server(server.id));
        let label = || self.label_selector.as_ref().map(|label| Goal::Label(label.selector.clone()));
        server.or_else(label).or_else(|| self.ip.as_ref().map(|it| Goal::Ip(it.ip)))
    }

    fn is_healthy(&self) -> bool {
        !self.health_status.is_empty() && self.health_status.iter().all(|health| health.status == "healthy")
    }
}

/// Names of what the API tells by number.
#[derive(Default)]
pub(super) struct Names {
    pub(super) servers: BTreeMap<u64, String>,
    pub(super) networks: BTreeMap<u64, String>,
    pub(super) certificates: BTreeMap<u64, String>,
}

fn name(names: &BTreeMap<u64, String>, id: u64) -> String {
    names.get(&id).cloned().unwrap_or_else(|| format!("number {id}"))
}

impl Balancer {
    /// It, as the engine sees one.
    pub(super) fn seen(&self, names: &Names, owner: &Owner) -> LoadBalancerSeen {
        let private = self.private_net.first();
        let private_address = private.and_then(|private| private.ip);
        let selector = self.targets.iter().find_map(|target| target.label_selector.as_ref());
        let listeners = self.services.iter().map(|port| (port.listen_port, port.settings(names)));
        let least = self.algorithm.word == "least_connections";
        let settings = BalancerSettings {
            balancer_type: self.load_balancer_type.name.clone(),
            algorithm: if least { Algorithm::LeastConnections } else { Algorithm::RoundRobin },
            network: private.map(|private| name(&names.networks, private.network)),
            private_address,
            public: self.public_net.enabled,
            protected: self.protection.delete,
            selector: selector.map(|label| label.selector.clone()),
            listeners: listeners.collect(),
        };
        let public = self.public_net.ipv4.as_ref().filter(|_| self.public_net.enabled);
        let each = self.targets.iter().flat_map(|target| {
            if target.label_selector.is_some() { target.targets.iter().collect() } else { vec![target] }
        });
        let named = |target: &Target| match target.goal()? {
            Goal::Server(id) => Some(NodeName::new(name(&names.servers, id))),
            Goal::Ip(ip) => Some(NodeName::new(ip.to_string())),
            Goal::Label(_) => None,
        };
        let targets = each.filter_map(|target| Some((named(target)?, target.is_healthy())));
        LoadBalancerSeen {
            owner: owner.clone(),
            address: public.and_then(|public| public.ip),
            private_address,
            settings,
            targets: targets.collect(),
        }
    }
}

impl Listening {
    /// What is set of the port.
    pub(super) fn settings(&self, names: &Names) -> ListenerSettings {
        let certificates = self.http.iter().flat_map(|http| &http.certificates);
        let check = &self.health_check;
        let http = check.http.as_ref().filter(|_| check.protocol == "http");
        let mut status: Vec<String> = http.map(|http| http.status_codes.clone()).unwrap_or_default();
        status.sort();
        ListenerSettings {
            to: self.destination_port,
            protocol: match self.protocol.as_str() {
                "http" => ListenProtocol::Http,
                "https" => ListenProtocol::Https,
                _ => ListenProtocol::Tcp,
            },
            certificates: certificates.map(|id| name(&names.certificates, *id)).collect(),
            proxy_protocol: self.proxyprotocol,
            health: HealthSettings {
                protocol: match http {
                    Some(http) if http.tls => HealthProtocol::Https,
                    Some(_) => HealthProtocol::Http,
                    None => HealthProtocol::Tcp,
                },
                port: check.port,
                path: http.map(|http| http.path.clone().unwrap_or_else(|| "/".into())),
                status,
                interval: Span::from_secs(check.interval),
            },
        }
    }
}

/// The longest that a check waits for an answer, in seconds, and how often it may have none: what Hetzner's own console
/// sets.
const TIMEOUT: u64 = 10;
const RETRIES: u64 = 3;

/// A port in the API's words, with the numbers of the certificates that it shows.
pub(super) fn port(port: u16, wish: &ListenerSettings, certificates: &[u64]) -> Value {
    let protocol = match wish.protocol {
        ListenProtocol::Tcp => "tcp",
        ListenProtocol::Http => "http",
        ListenProtocol::Https => "https",
    };
    let mut told = json!({
        "listen_port": port,
        "destination_port": wish.to,
        "protocol": protocol,
        "proxyprotocol": wish.proxy_protocol,
        "health_check": check(&wish.health),
    });
    if wish.protocol == ListenProtocol::Https {
        told["http"] = json!({ "certificates": certificates });
    }
    told
}

fn check(wish: &HealthSettings) -> Value {
    let interval = wish.interval.duration().as_secs();
    let mut told = json!({
        "port": wish.port,
        "interval": interval,
        "timeout": TIMEOUT.min(interval),
        "retries": RETRIES,
        "protocol": if wish.protocol == HealthProtocol::Tcp { "tcp" } else { "http" },
    });
    if wish.protocol != HealthProtocol::Tcp {
        told["http"] = json!({
            "domain": null,
            "path": wish.path,
            "status_codes": wish.status,
            "tls": wish.protocol == HealthProtocol::Https,
        });
    }
    told
}

/// How it chooses, in the API's word.
pub(super) fn algorithm(wish: Algorithm) -> Value {
    let word = match wish {
        Algorithm::RoundRobin => "round_robin",
        Algorithm::LeastConnections => "least_connections",
    };
    json!({ "type": word })
}
