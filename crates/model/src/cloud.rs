//! What a cloud keeps around its servers: networks, firewalls, placement groups, keys, addresses, certificates.
//!
//! All of it is made before the servers that need it and goes after them. A wish and a sight are told field by field in
//! the same words, so what differs is one comparison. The kinds are those of the Hetzner Cloud API.
//! <https://docs.hetzner.cloud/reference/cloud>

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{Owner, PlaceName, ProviderName};
use crate::net::Cidr;
use crate::spec::providers::{FirewallProtocol, FirewallRule};

/// The label at a cloud that is the mark: its value is the owner.
pub const OWNER_LABEL: &str = "kubewright.dev/owner";
/// The label at a cloud that names a server's pool.
pub const POOL_LABEL: &str = "kubewright.dev/pool";

/// All that is not in a private network.
pub const WORLD: &str = "0.0.0.0/0";

/// A kind of what a cloud keeps around its servers, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CloudKind {
    /// A key that logs into servers.
    SshKey,
    /// A private network.
    Network,
    /// What may come in from outside.
    Firewall,
    /// Servers that are on different physical machines.
    PlacementGroup,
    /// A public address that outlives its server.
    PrimaryIp,
    /// What a load balancer that ends TLS shows.
    Certificate,
}

impl CloudKind {
    /// The kind's name, for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::SshKey => "SSH key",
            Self::Network => "network",
            Self::Firewall => "firewall",
            Self::PlacementGroup => "placement group",
            Self::PrimaryIp => "primary IP",
            Self::Certificate => "certificate",
        }
    }

    /// The kind as the ids of steps have it.
    pub fn id(self) -> &'static str {
        match self {
            Self::SshKey => "ssh-key",
            Self::Network => "network",
            Self::Firewall => "firewall",
            Self::PlacementGroup => "placement-group",
            Self::PrimaryIp => "primary-ip",
            Self::Certificate => "certificate",
        }
    }
}

/// One thing of a cloud, by kind and name: no two of a kind have one name in a project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CloudId {
    /// Its kind.
    pub kind: CloudKind,
    /// Its name.
    pub name: String,
}

impl CloudId {
    /// The thing of this kind and name.
    pub fn new(kind: CloudKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

/// `network keybuzz`.
impl fmt::Display for CloudId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.name)
    }
}

/// What is set of a thing of a cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CloudBody {
    /// A key that logs into servers. Its public half is not in a wish: whoever holds the key's file tells it.
    SshKey,
    /// A private network.
    Network(CloudNetwork),
    /// What may come in; everything else may not.
    Firewall(Vec<FirewallRule>),
    /// Servers that are on different physical machines.
    PlacementGroup,
    /// A public address that outlives its server.
    PrimaryIp {
        /// It is of IPv6.
        ipv6: bool,
        /// Where servers can have it.
        location: PlaceName,
    },
    /// What a load balancer that ends TLS shows.
    Certificate(Certificate),
}

/// A private network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudNetwork {
    /// Its whole range.
    pub ip_range: Cidr,
    /// The parts of it that servers are in, and the network zone of each.
    pub subnets: BTreeMap<Cidr, String>,
    /// Where packets for other networks go.
    pub routes: BTreeMap<Cidr, IpAddr>,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Certificate {
    /// The cloud gets it, and renews it. The domains are at its own DNS.
    Managed(Vec<String>),
    /// We bring it, and its private key; they are read when it is made.
    Uploaded,
}

impl CloudBody {
    /// Its kind.
    pub fn kind(&self) -> CloudKind {
        match self {
            Self::SshKey => CloudKind::SshKey,
            Self::Network(_) => CloudKind::Network,
            Self::Firewall(_) => CloudKind::Firewall,
            Self::PlacementGroup => CloudKind::PlacementGroup,
            Self::PrimaryIp { .. } => CloudKind::PrimaryIp,
            Self::Certificate(_) => CloudKind::Certificate,
        }
    }

    /// Field by field, for people and for comparing.
    pub fn fields(&self) -> BTreeMap<String, String> {
        match self {
            Self::SshKey | Self::PlacementGroup => BTreeMap::new(),
            Self::Network(network) => network.fields(),
            Self::Firewall(rules) => firewall_fields(rules),
            Self::PrimaryIp { ipv6, location } => {
                let family = if *ipv6 { "IPv6" } else { "IPv4" };
                [("family".into(), family.into()), ("location".into(), location.to_string())].into()
            }
            Self::Certificate(Certificate::Managed(domains)) => {
                let mut domains = domains.clone();
                domains.sort();
                [("domains".into(), domains.join(" "))].into()
            }
            Self::Certificate(Certificate::Uploaded) => [("from".into(), "the spec's files".into())].into(),
        }
    }

    /// What a wish says and a sight does not, or otherwise; and what a sight has over, where a wish is the whole of it. The
    /// subnets and routes of a network that nobody wishes are somebody's: the cloud controller's, another cluster's. Only the
    /// way to the world is nobody else's: whoever got the address that it leads to would get what is sent there.
    pub fn differing(&self, seen: &Self) -> Vec<(String, Option<String>, Option<String>)> {
        let (wished, there) = (self.fields(), seen.fields());
        let ours = |field: &String| !matches!(self, Self::Network(_)) || *field == format!("route {WORLD}");
        let over = there.iter().filter(|(field, _)| !wished.contains_key(*field) && ours(field));
        let over = over.map(|(field, value)| (field.clone(), Some(value.clone()), None));
        let differs = wished.iter().filter(|(field, value)| there.get(*field) != Some(value));
        let differs = differs.map(|(field, value)| (field.clone(), there.get(field).cloned(), Some(value.clone())));
        differs.chain(over).collect()
    }
}

impl CloudNetwork {
    fn fields(&self) -> BTreeMap<String, String> {
        let subnets = self.subnets.iter().map(|(range, zone)| (format!("subnet {range}"), zone.clone()));
        let routes = self.routes.iter().map(|(to, gateway)| (format!("route {to}"), gateway.to_string()));
        let range = ("ip range".to_string(), self.ip_range.to_string());
        std::iter::once(range).chain(subnets).chain(routes).collect()
    }
}

/// The sources of each protocol and port, whatever order and however many rules they came in.
fn firewall_fields(rules: &[FirewallRule]) -> BTreeMap<String, String> {
    let mut from: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in rules {
        let protocol = match rule.protocol {
            FirewallProtocol::Tcp => "tcp",
            FirewallProtocol::Udp => "udp",
            FirewallProtocol::Icmp => "icmp",
        };
        let what = rule.ports.map_or_else(|| protocol.to_string(), |ports| format!("{protocol} {ports}"));
        from.entry(what).or_default().extend(rule.from.iter().map(ToString::to_string));
    }
    let sorted = |mut sources: Vec<String>| {
        sources.sort();
        sources.dedup();
        sources.join(" ")
    };
    from.into_iter().map(|(what, sources)| (format!("let in {what}"), sorted(sources))).collect()
}

/// A thing that a cloud is to keep around its servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredResource {
    /// The cloud.
    pub provider: ProviderName,
    /// Its name.
    pub name: String,
    /// What is set of it.
    pub body: CloudBody,
}

impl DesiredResource {
    /// Its kind and name.
    pub fn id(&self) -> CloudId {
        CloudId::new(self.body.kind(), self.name.as_str())
    }
}

/// A thing that a cloud keeps around servers: ours, or somebody else's whose name nobody else can have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceSeen {
    /// Its name.
    pub name: String,
    /// What is set of it.
    pub body: CloudBody,
    /// The mark that it carries; none where it is somebody else's.
    pub owner: Option<Owner>,
}

impl ResourceSeen {
    /// Its kind and name.
    pub fn id(&self) -> CloudId {
        CloudId::new(self.body.kind(), self.name.as_str())
    }
}

/// What the cluster itself has made at its cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StrayKind {
    /// The cloud controller made it for a Service.
    LoadBalancer,
    /// The CSI driver made it for a claim, and there are data in it.
    Volume,
}

/// Something that the cluster itself has made at its cloud, and that nobody takes away with the servers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stray {
    /// What it is.
    pub kind: StrayKind,
    /// The cloud's number for it.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What it was made for, where that is known: `claim apps/data`, `Service ingress/nginx`.
    pub made_for: Option<String>,
}

/// `volume pvc-1f2a (claim apps/data)`.
impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            StrayKind::LoadBalancer => "load balancer",
            StrayKind::Volume => "volume",
        };
        write!(f, "{kind} {}", self.name)?;
        match &self.made_for {
            Some(what) => write!(f, " ({what})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_network_only_what_is_wished_counts_and_of_a_firewall_everything() {
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        let network = |subnets: &[&str]| {
            let subnets = subnets.iter().map(|range| (cidr(range), "eu-central".to_string())).collect();
            CloudBody::Network(CloudNetwork { ip_range: cidr("10.0.0.0/16"), subnets, routes: BTreeMap::new() })
        };
        assert_eq!(network(&["10.0.0.0/24"]).differing(&network(&["10.0.0.0/24", "10.0.1.0/24"])), []);
        let missing = network(&["10.0.0.0/24", "10.0.1.0/24"]).differing(&network(&["10.0.0.0/24"]));
        assert_eq!(missing, [("subnet 10.0.1.0/24".into(), None, Some("eu-central".into()))]);

        let led = |gateway: &str| {
            let routes = [(cidr(WORLD), gateway.parse().unwrap())].into();
            let network = CloudNetwork { ip_range: cidr("10.0.0.0/16"), subnets: BTreeMap::new(), routes };
            CloudBody::Network(network)
        };
        let gone = network(&[]).differing(&led("10.0.0.2"));
        assert_eq!(gone, [("route 0.0.0.0/0".into(), Some("10.0.0.2".into()), None)]);

        let rule = |port: u32, from: &[&str]| FirewallRule {
            protocol: FirewallProtocol::Tcp,
            ports: Some(crate::net::NumberRange { first: port, last: port }),
            from: from.iter().map(|range| cidr(range)).collect(),
            description: None,
        };
        let one = CloudBody::Firewall(vec![rule(22, &["0.0.0.0/0", "::/0"])]);
        let same = CloudBody::Firewall(vec![rule(22, &["::/0"]), rule(22, &["0.0.0.0/0"])]);
        assert_eq!(one.differing(&same), []);
        let more = CloudBody::Firewall(vec![rule(22, &["0.0.0.0/0", "::/0"]), rule(80, &["0.0.0.0/0"])]);
        assert_eq!(one.differing(&more), [("let in tcp 80".into(), Some("0.0.0.0/0".into()), None)]);
    }
}
