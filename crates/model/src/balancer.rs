//! Load balancers of a provider in the one form that a wish and a sight both have, so that what differs is told field by
//! field.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::spec::load_balancers::{Algorithm, HealthCheck, HealthProtocol, ListenProtocol, Listener, LoadBalancer};
use crate::units::Span;

/// What is set of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerSettings {
    /// The provider's type: `lb11`.
    pub balancer_type: String,
    /// How it chooses a target.
    pub algorithm: Algorithm,
    /// The private network that it is in.
    pub network: Option<String>,
    /// Its address there. A wish without one takes what it gets.
    pub private_address: Option<IpAddr>,
    /// It has public addresses.
    pub public: bool,
    /// The provider refuses to delete it.
    pub protected: bool,
    /// It finds its targets by their labels; none where they are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// What it listens on, by port.
    pub listeners: BTreeMap<u16, ListenerSettings>,
}

/// What is set of a port that it listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerSettings {
    /// The port of the targets.
    pub to: u16,
    /// What it speaks.
    pub protocol: ListenProtocol,
    /// The certificates that it shows, by name.
    pub certificates: Vec<String>,
    /// It tells targets who asks, by the PROXY protocol.
    pub proxy_protocol: bool,
    /// How a target's health is found out.
    pub health: HealthSettings,
}

/// How a target's health is found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthSettings {
    /// What the check speaks.
    pub protocol: HealthProtocol,
    /// The port that is asked.
    pub port: u16,
    /// The path that is asked for; none of a check by TCP.
    pub path: Option<String>,
    /// The answers that are healthy: `200`, `2??`.
    pub status: Vec<String>,
    /// How often.
    pub interval: Span,
}

/// What Hetzner takes for healthy where nobody says: these, by HTTP.
/// <https://docs.hetzner.cloud/reference/cloud#load-balancers-create-a-load-balancer>
const HEALTHY: [&str; 2] = ["2??", "3??"];

impl BalancerSettings {
    /// What a load balancer of the spec means, in a private network or in none.
    pub fn of(spec: &LoadBalancer, network: Option<&str>, selector: Option<String>, protected: bool) -> Self {
        Self {
            balancer_type: spec.balancer_type.clone(),
            algorithm: spec.algorithm,
            network: network.filter(|_| spec.private_network).map(Into::into),
            private_address: spec.private_address.filter(|_| spec.private_network),
            public: spec.public,
            protected,
            selector,
            listeners: spec.listen.iter().map(|listener| (listener.port, ListenerSettings::of(listener))).collect(),
        }
    }

    /// Field by field, for people and for comparing.
    pub fn fields(&self) -> BTreeMap<String, String> {
        let algorithm = match self.algorithm {
            Algorithm::RoundRobin => "round robin",
            Algorithm::LeastConnections => "least connections",
        };
        let mut fields = BTreeMap::from([
            ("type".to_string(), self.balancer_type.clone()),
            ("algorithm".into(), algorithm.into()),
            ("network".into(), self.network.clone().unwrap_or_else(|| "none".into())),
            ("public addresses".into(), if self.public { "yes" } else { "no" }.into()),
        ]);
        fields.extend(self.protected.then(|| ("protected".into(), "yes".into())));
        fields.extend(self.private_address.map(|address| ("private address".into(), address.to_string())));
        fields.extend(self.selector.clone().map(|selector| ("targets by label".into(), selector)));
        for (port, listener) in &self.listeners {
            fields.insert(format!("port {port}"), listener.told());
            fields.insert(format!("health of port {port}"), listener.health.told());
        }
        fields
    }

    /// What a wish says and a sight does not, or otherwise, and what it has over.
    pub fn differing(&self, seen: &Self) -> Vec<(String, Option<String>, Option<String>)> {
        let (wished, there) = (self.fields(), seen.fields());
        // Whoever does not choose an address takes the one that the network has given.
        // What somebody else protects stays so.
        let chosen = |field: &String| match field.as_str() {
            "private address" => self.private_address.is_some(),
            field => field != "protected",
        };
        let over = there.iter().filter(|(field, _)| !wished.contains_key(*field) && chosen(field));
        let over = over.map(|(field, value)| (field.clone(), Some(value.clone()), None));
        let differs = wished.iter().filter(|(field, value)| there.get(*field) != Some(value));
        let differs = differs.map(|(field, value)| (field.clone(), there.get(field).cloned(), Some(value.clone())));
        differs.chain(over).collect()
    }
}

impl ListenerSettings {
    fn of(listener: &Listener) -> Self {
        Self {
            to: listener.to,
            protocol: listener.protocol,
            certificates: listener.certificate.iter().cloned().collect(),
            proxy_protocol: listener.proxy_protocol,
            health: HealthSettings::of(listener),
        }
    }

    fn told(&self) -> String {
        let protocol = match self.protocol {
            ListenProtocol::Tcp => "tcp",
            ListenProtocol::Http => "http",
            ListenProtocol::Https => "https, ends here",
        };
        let mut told = format!("{protocol}, to {}", self.to);
        if !self.certificates.is_empty() {
            told += &format!(", certificate {}", self.certificates.join(" "));
        }
        if self.proxy_protocol {
            told += ", PROXY protocol";
        }
        told
    }
}

impl HealthSettings {
    /// Without a word on it, whether the target's port opens.
    fn of(listener: &Listener) -> Self {
        let unsaid = HealthCheck::default();
        let said = listener.health.as_ref().unwrap_or(&unsaid);
        let asks = said.protocol != HealthProtocol::Tcp;
        let mut status: Vec<String> = said.status.iter().map(u16::to_string).collect();
        if status.is_empty() {
            status = HEALTHY.map(String::from).to_vec();
        }
        // In whatever order they come, they mean the same.
        status.sort();
        Self {
            protocol: said.protocol,
            port: said.port.unwrap_or(listener.to),
            path: asks.then(|| said.path.clone().unwrap_or_else(|| "/".into())),
            status: if asks { status } else { Vec::new() },
            interval: said.interval,
        }
    }

    fn told(&self) -> String {
        let every = format!("every {}", self.interval);
        match (self.protocol, &self.path) {
            (HealthProtocol::Http, Some(path)) => {
                format!("http on {}, {path} answers {}, {every}", self.port, self.status.join(" "))
            }
            (HealthProtocol::Https, Some(path)) => {
                format!("https on {}, {path} answers {}, {every}", self.port, self.status.join(" "))
            }
            _ => format!("tcp on {}, {every}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balancer(yaml: &str) -> BalancerSettings {
        let file = format!(
            "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{ name: lab }}\nspec:\n  kubernetes: {{ distribution: k3s, \
             version: v1.33.5+k3s1 }}\n  pools:\n    a: {{ role: both, addresses: [10.0.0.1], existing: {{}} }}\n  loadBalancers:\n    \
             web: {yaml}\n"
        );
        let loaded = crate::spec::load(&file).unwrap_or_else(|found| panic!("{found:#?}"));
        BalancerSettings::of(&loaded.file.spec.load_balancers["web"], Some("lab"), None, false)
    }

    #[test]
    fn what_differs_is_told_field_by_field() {
        let wish = balancer(
            "{ by: hetzner, listen: [{ port: 80, to: 31695, protocol: http, health: { protocol: http, path: /healthz, status: [200] } }] }",
        );
        assert_eq!(wish.differing(&wish), []);
        assert_eq!(wish.fields()["health of port 80"], "http on 31695, /healthz answers 200, every 15s");
        let there = balancer(
            "{ by: hetzner, type: lb21, listen: [{ port: 80, to: 31695, protocol: http }, { port: 81, to: 1 }] }",
        );
        let differing = wish.differing(&BalancerSettings { private_address: "10.0.0.9".parse().ok(), ..there });
        let fields: Vec<&str> = differing.iter().map(|(field, ..)| field.as_str()).collect();
        assert_eq!(fields, ["health of port 80", "type", "health of port 81", "port 81"]);
    }
}
