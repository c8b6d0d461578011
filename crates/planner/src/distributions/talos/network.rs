//! The addresses of a node, and on which interface they are.
//!
//! In maintenance mode Talos knows of no VLAN, so the network in which it answers there is the untagged one of its
//! interface. Where that is another network than the nodes' own, the nodes' own has a tag on the same interface.

use std::net::IpAddr;

use kubewright_model::net::Cidr;

use crate::context::Context;
use crate::context::nodes::NodePlan;

/// The addresses of a node.
pub(super) struct Addresses {
    /// The interface; none for the only physical one.
    pub(super) interface: Option<String>,
    /// What is untagged on it.
    pub(super) plain: Link,
    /// The tag, and what is behind it.
    pub(super) tagged: Option<(u16, Link)>,
    pub(super) nameservers: Vec<IpAddr>,
    pub(super) search_domains: Vec<String>,
}

/// What an interface has.
#[derive(Default)]
pub(super) struct Link {
    /// Addresses with the lengths of their networks.
    pub(super) addresses: Vec<String>,
    /// The way to everywhere else.
    pub(super) gateway: Option<IpAddr>,
    /// The address that servers hand on among themselves.
    pub(super) virtual_ip: Option<IpAddr>,
}

impl Addresses {
    /// The addresses of a node; none where nobody has chosen them.
    pub(super) fn of(context: &Context<'_>, node: &NodePlan<'_>, interface: Option<String>) -> Option<Self> {
        let network = &context.file.spec.network;
        // A cloud tells its servers their addresses.
        let address = node.address.filter(|_| node.pool.hetzner.is_none())?;
        let virtual_ip = context.file.spec.kubernetes.endpoint.virtual_ip.as_ref().filter(|_| node.is_server());
        let own = Link {
            addresses: vec![with_length(address, network.cidr.iter())],
            gateway: network.gateway,
            virtual_ip: virtual_ip.map(|it| it.address.first()),
        };
        let others = network.others.values().map(|other| &other.cidr);
        let elsewhere = maintenance(node).filter(|there| !network.cidr.is_some_and(|cidr| cidr.contains(*there)));
        let (plain, tagged) = match (elsewhere, network.vlan) {
            (Some(there), Some(tag)) => {
                let addresses = vec![with_length(there, network.cidr.iter().chain(others))];
                // Two ways out of one node would be one too many.
                let out = network.others.values().find(|other| other.cidr.contains(there));
                let gateway = out.and_then(|other| other.gateway).filter(|_| network.gateway.is_none());
                (Link { addresses, gateway, ..Link::default() }, Some((tag, own)))
            }
            _ => (own, None),
        };
        Some(Self {
            interface: virtual_ip.and_then(|it| it.interface.clone()).or(interface),
            plain,
            tagged,
            nameservers: network.nameservers.clone(),
            search_domains: network.search_domains.clone(),
        })
    }
}

/// Where the node answers in maintenance mode, where the file says it.
pub(crate) fn maintenance(node: &NodePlan<'_>) -> Option<IpAddr> {
    let existing = node.pool.existing.as_ref()?;
    existing.maintenance_addresses.iter().flat_map(|range| range.iter()).nth(node.index)
}

/// An address with the length of the network that it lies in.
fn with_length<'c>(address: IpAddr, mut networks: impl Iterator<Item = &'c Cidr>) -> String {
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let length = networks.find(|cidr| cidr.contains(address)).map_or(whole, |cidr| cidr.net().prefix_len());
    format!("{address}/{length}")
}
