//! Nodes as places to look from.

use kubewright_hosts::{DialError, Dialed, Hosts};
use kubewright_model::desired::{THIS_COMPUTER, Way};
use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;

use super::Eyes;

/// A node, and the way into its host.
pub(super) struct Side<'a> {
    hands: &'a dyn Hosts,
    pub(super) name: NodeName,
    way: Way,
}

impl<'a> Eyes<'a> {
    /// These nodes, as places to look from; why there are none. Where no node can be logged in to, this computer looks.
    pub(super) fn sides(&self, names: &[NodeName]) -> Result<Vec<Side<'a>>, &'static str> {
        let hands = self.world.hosts.as_deref().ok_or("this version has no hands for hosts")?;
        let hosts = &self.desired.hosts;
        let found = names.iter().filter_map(|name| hosts.iter().find(|host| host.name == *name));
        // Talos lets nobody connect from its side, so this computer does in its place.
        let found = found.filter(|host| host.way.talos.is_none());
        let sides: Vec<Side<'a>> =
            found.map(|host| Side { hands, name: host.name.clone(), way: host.way.clone() }).collect();
        Ok(if sides.is_empty() { vec![here(hands)] } else { sides })
    }

    /// The address of a node, as others of the network reach it.
    pub(super) fn address(&self, node: &NodeName) -> Option<String> {
        let wished = self.desired.machine(node).and_then(|machine| machine.address);
        let way = || self.desired.hosts.iter().find(|host| host.name == *node)?.way.address;
        Some(wished.or_else(way)?.to_string())
    }
}

fn here(hands: &dyn Hosts) -> Side<'_> {
    let way = Way {
        address: None,
        name: Some(THIS_COMPUTER.into()),
        port: 22,
        port_before: None,
        user: "".into(),
        key_file: None,
        jump: None,
        host_key: None,
        first: None,
        sudo: None,
        talos: None,
    };
    Side { hands, name: THIS_COMPUTER.into(), way }
}

impl Side<'_> {
    /// The address of its host.
    pub(super) fn address(&self) -> String {
        self.way.address.map(|address| address.to_string()).unwrap_or_default()
    }

    /// Connects from this side.
    pub(super) async fn dial(&self, at: &HostPort) -> Result<Dialed, DialError> {
        self.hands.dial(&self.name, &self.way, at).await
    }
}

/// Whether it was this side that failed, and not what it looked for.
pub(super) fn is_of_side(error: &DialError) -> bool {
    matches!(error, DialError::Host(_) | DialError::Forbidden(_))
}
