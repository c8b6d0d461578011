//! Labels by which we know what is ours.
//!
//! A label's key may have a prefix, a DNS name, and its value has at most 63 letters, digits, `-`, `_` and `.`, as those
//! of Kubernetes have; `hetzner.cloud/` is Hetzner's own (hcloud-go 2.9, `hcloud/labels.go`). An owner is the name of a
//! cluster, which is such a word. <https://docs.hetzner.cloud/reference/cloud#labels>

use std::net::IpAddr;

use kubewright_model::cloud::{OWNER_LABEL, POOL_LABEL};
use kubewright_model::desired::{DesiredMachine, ServerBody};
use kubewright_model::ids::Owner;

use super::answers::Labels;

/// The address that a server is to have in its private network: it gets it after it was made, and whoever completes one
/// that was cut off in between has to know it.
pub(super) const ADDRESS: &str = "kubewright.dev/address";
/// The number of that network.
pub(super) const NETWORK: &str = "kubewright.dev/network";

/// We have it protected. What somebody else protects is not ours to open.
pub(super) const PROTECTED: &str = "kubewright.dev/protected";

/// Whether a thing carries the mark.
pub(super) fn are_ours(labels: &Labels, owner: &Owner) -> bool {
    labels.get(OWNER_LABEL).is_some_and(|own| *own == owner.0.as_str())
}

/// What finds all that carries the mark.
pub(super) fn selector(owner: &Owner) -> String {
    format!("{OWNER_LABEL}={}", owner.0)
}

/// The mark alone.
pub(super) fn mark(owner: &Owner) -> Labels {
    [(OWNER_LABEL.to_string(), owner.0.to_string())].into()
}

/// The mark, and whether we have it protected.
pub(super) fn protecting(owner: &Owner, protected: bool) -> Labels {
    let own = protected.then(|| (PROTECTED.to_string(), "true".to_string()));
    mark(owner).into_iter().chain(own).collect()
}

/// All labels of a server: the mark, what it is for, and what the spec says.
pub(super) fn of_server(machine: &DesiredMachine, server: &ServerBody, owner: &Owner, network: Option<u64>) -> Labels {
    let own = [(OWNER_LABEL.to_string(), owner.0.to_string()), (POOL_LABEL.to_string(), machine.pool.to_string())];
    let address = machine.address.filter(|_| network.is_some());
    let more = [
        server.protected.then(|| (PROTECTED.to_string(), "true".to_string())),
        network.map(|network| (NETWORK.to_string(), network.to_string())),
        address.map(|address| (ADDRESS.to_string(), address.to_string())),
    ];
    let said = machine.tags.iter().map(|tag| match tag.split_once('=') {
        Some((key, value)) => (key.to_string(), value.to_string()),
        None => (tag.clone(), String::new()),
    });
    said.chain(own).chain(more.into_iter().flatten()).collect()
}

/// Labels beside our own, as the spec writes them.
pub(super) fn others(labels: &Labels) -> Vec<String> {
    let others = labels.iter().filter(|(key, _)| !key.starts_with("kubewright.dev/"));
    others.map(|(key, value)| format!("{key}={value}")).collect()
}

/// The place in a private network that a server was made for: the network, and the address there if it was chosen.
pub(super) fn place(labels: &Labels) -> Option<(u64, Option<IpAddr>)> {
    Some((labels.get(NETWORK)?.parse().ok()?, labels.get(ADDRESS).and_then(|address| address.parse().ok())))
}
