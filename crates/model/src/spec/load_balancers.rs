//! Load balancers before the cluster: the same wish, met by Hetzner, by HAProxy or by a virtual IP.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::PoolName;
use crate::spec::forms;
use crate::spec::secrets::SecretRef;
use crate::units::Span;

/// Who balances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Balancer {
    /// HAProxy on the hosts of a pool whose role is `loadBalancer`.
    Haproxy,
    /// A load balancer of Hetzner Cloud.
    Hetzner,
}

/// A load balancer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadBalancer {
    /// Who balances.
    pub by: Balancer,
    /// The nodes that it sends to, by pool. Without it: all servers for 6443 and RKE2's 9345, all nodes for the rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<PoolName>,
    /// What it listens on.
    #[schemars(length(min = 1))]
    pub listen: Vec<Listener>,
    /// How it chooses a target.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// The pool whose hosts run it (HAProxy).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// An address that the hosts of `pool` hand on to each other: it is where one of them lives (HAProxy).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floating: Option<Floating>,
    /// A page with statistics (HAProxy).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Statistics>,
    /// The type at Hetzner.
    #[serde(default = "default_type", rename = "type")]
    #[schemars(with = "forms::HetznerName")]
    pub balancer_type: String,
    /// Reach the targets by their private addresses (Hetzner).
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub private_network: bool,
    /// Its address in the private network: a free one of `network.cidr`. The API needs it where it stands before the API,
    /// for every node has to know it (Hetzner).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_address: Option<IpAddr>,
    /// It has public addresses too (Hetzner).
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub public: bool,
    /// Find the targets by the labels of their servers, in the place of naming each: one call for hundreds of them, and a
    /// server is a target as soon as it is made (Hetzner).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_label: bool,
}

/// An address that several hosts hand on to each other, by VRRP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Floating {
    /// The address: a free one of the hosts' network.
    pub address: IpAddr,
    /// The network interface of the hosts that it is put on.
    #[schemars(with = "forms::Interface")]
    pub interface: String,
    /// VRRP's number for it, which nobody else in that network may have. Without it: the address' last number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub router: Option<u8>,
}

impl Floating {
    /// VRRP's number for it.
    pub fn router(&self) -> u8 {
        let last = match self.address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[15],
        };
        self.router.unwrap_or(last).max(1)
    }
}

fn default_type() -> String {
    "lb11".into()
}

/// How a target is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Algorithm {
    /// In turn.
    #[default]
    RoundRobin,
    /// The one with the fewest connections.
    LeastConnections,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListenProtocol {
    /// Bytes, passed on as they are.
    #[default]
    Tcp,
    /// HTTP.
    Http,
    /// HTTPS towards clients, ended here: the targets get plain HTTP.
    Https,
}

/// A port that the load balancer listens on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// The port towards clients.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The port of the targets.
    #[schemars(range(min = 1))]
    pub to: u16,
    /// What it speaks.
    #[serde(default)]
    pub protocol: ListenProtocol,
    /// The certificate's name at Hetzner, for `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Tell the targets who asks, by the PROXY protocol, which they have to be set up for (Hetzner).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proxy_protocol: bool,
    /// How a target's health is found out. Without it: TCP on the target's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
}

/// What a health check speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthProtocol {
    /// The port opens.
    #[default]
    Tcp,
    /// A path answers in plain HTTP.
    Http,
    /// A path answers over TLS.
    Https,
}

/// How a target's health is found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheck {
    /// What it speaks. A listener that ends TLS checks its targets over plain HTTP, because that is what they get.
    #[serde(default)]
    pub protocol: HealthProtocol,
    /// The port. Without it: the target's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::UrlPath>")]
    pub path: Option<String>,
    /// The answers that are healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// How often.
    #[serde(default = "fifteen_seconds")]
    pub interval: Span,
}

impl Default for HealthCheck {
    fn default() -> Self {
        let protocol = HealthProtocol::default();
        Self { protocol, port: None, path: None, status: Vec::new(), interval: fifteen_seconds() }
    }
}

fn fifteen_seconds() -> Span {
    Span::from_secs(15)
}

/// HAProxy's page with statistics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statistics {
    /// The port.
    #[serde(default = "statistics_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The path.
    #[serde(default = "statistics_path")]
    #[schemars(with = "forms::UrlPath")]
    pub path: String,
    /// The user.
    #[serde(default = "statistics_user")]
    #[schemars(with = "forms::LoginName")]
    pub user: String,
    /// The password.
    pub password: SecretRef,
}

fn statistics_port() -> u16 {
    8404
}

fn statistics_path() -> String {
    "/stats".into()
}

fn statistics_user() -> String {
    "admin".into()
}
