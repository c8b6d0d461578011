//! What the API tells, as far as it is looked at.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use kubewright_model::net::Cidr;
use serde::Deserialize;

/// Labels of a thing.
pub(super) type Labels = BTreeMap<String, String>;

/// Something that has a number.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Numbered {
    pub(super) id: u64,
}

/// Something that has a name.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// Whether the API refuses to delete a thing.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Protection {
    pub(super) delete: bool,
}

/// What the API does behind an answer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) command: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) progress: u32,
    pub(super) error: Option<Failure>,
}

/// Why an action failed.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) message: String,
}

/// A server.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Server {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) labels: Labels,
    #[serde(default)]
    pub(super) locked: bool,
    pub(super) location: Named,
    pub(super) server_type: Named,
    pub(super) public_net: PublicNet,
    #[serde(default)]
    pub(super) private_net: Vec<PrivateNet>,
    pub(super) placement_group: Option<Numbered>,
    #[serde(default)]
    pub(super) protection: Protection,
    #[serde(default)]
    pub(super) primary_disk_size: u64,
}

impl Server {
    /// The address by which the world reaches it: Hetzner's images have the first of the IPv6 network that they get.
    pub(super) fn public(&self) -> Option<IpAddr> {
        let four = self.public_net.ipv4.as_ref().map(|it| it.ip);
        four.or_else(|| {
            let network = self.public_net.ipv6.as_ref()?.ip.split('/').next()?.parse::<Ipv6Addr>().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(u128::from(network) | 1)))
        })
    }

    /// Its address in a network, or in any.
    pub(super) fn private(&self, network: Option<u64>) -> Option<IpAddr> {
        let own = self.private_net.iter().find(|own| network.is_none_or(|network| own.network == network));
        own.and_then(|own| own.ip)
    }
}

/// The public addresses of a server.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PublicNet {
    pub(super) ipv4: Option<PublicIpv4>,
    pub(super) ipv6: Option<PublicIpv6>,
}

/// A public IPv4 address.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PublicIpv4 {
    pub(super) ip: IpAddr,
}

/// A public IPv6 network: `2001:db8::/64`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PublicIpv6 {
    pub(super) ip: String,
}

/// A server's or a load balancer's place in a private network.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PrivateNet {
    pub(super) network: u64,
    pub(super) ip: Option<IpAddr>,
}

/// A private network.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Network {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: Labels,
    pub(super) ip_range: Cidr,
    #[serde(default)]
    pub(super) subnets: Vec<Subnet>,
    #[serde(default)]
    pub(super) routes: Vec<Route>,
}

/// A part of a private network.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Subnet {
    pub(super) ip_range: Cidr,
    pub(super) network_zone: String,
}

/// Where packets of a private network go that are for another.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Route {
    pub(super) destination: Cidr,
    pub(super) gateway: IpAddr,
}

/// A firewall.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Firewall {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: Labels,
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
    #[serde(default)]
    pub(super) applied_to: Vec<Applied>,
}

/// What a firewall lets through.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Rule {
    pub(super) direction: String,
    pub(super) protocol: String,
    pub(super) port: Option<String>,
    #[serde(default)]
    pub(super) source_ips: Vec<Cidr>,
    pub(super) description: Option<String>,
}

/// What a firewall is before.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Applied {
    pub(super) label_selector: Option<Selector>,
}

/// A choice by labels.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Selector {
    pub(super) selector: String,
}

/// A placement group, or anything else of which name, number and labels are all that we look at.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Labelled {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: Labels,
}

/// A public address that may outlive its server.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PrimaryIp {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: Labels,
    #[serde(rename = "type")]
    pub(super) family: String,
    pub(super) location: Named,
}

/// A key that logs into servers.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct SshKey {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: Labels,
    pub(super) public_key: String,
}

/// A certificate.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Certificate {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: Labels,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) domain_names: Vec<String>,
    /// Only those have one that Hetzner gets.
    pub(super) status: Option<Issued>,
}

/// How far a certificate is.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Issued {
    pub(super) issuance: String,
    pub(super) error: Option<Failure>,
}

/// A volume.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Volume {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: Labels,
    pub(super) server: Option<u64>,
}

/// An image that servers are made from.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Image {
    pub(super) id: u64,
    /// Only Hetzner's own have one.
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
    pub(super) created: String,
    pub(super) status: String,
    pub(super) deprecated: Option<String>,
}

/// A type of servers.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ServerType {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) architecture: String,
    /// In GB.
    pub(super) disk: u64,
    #[serde(default)]
    pub(super) locations: Vec<Offered>,
}

/// Where a type of servers is to be had.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Offered {
    pub(super) name: String,
    pub(super) deprecation: Option<Deprecation>,
    /// There is some of it left. Before 2026 only data centres told that.
    pub(super) available: Option<bool>,
}

/// A type that will not be there for ever.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Deprecation {
    pub(super) unavailable_after: String,
}

/// A type of load balancers.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct BalancerType {
    pub(super) name: String,
    pub(super) max_services: usize,
    pub(super) max_targets: usize,
    pub(super) max_assigned_certificates: usize,
}

/// A place of Hetzner's.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Location {
    pub(super) name: String,
    pub(super) network_zone: String,
}

/// What there is of a place at the moment.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Datacenter {
    pub(super) location: Named,
    pub(super) server_types: Stock,
}

/// Types of servers by number.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Stock {
    #[serde(default)]
    pub(super) available: Vec<u64>,
}
