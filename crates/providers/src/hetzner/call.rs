//! Every call of the API that we make, and nothing else makes one.
//!
//! A call is a value: its path with names in braces as the vendor's own OpenAPI description has it, so a test can hold
//! each one against that description before anything is sent. <https://docs.hetzner.cloud/reference/cloud>

#[cfg(test)]
mod schema;

use std::fmt;

use serde_json::{Value, json};

/// What HTTP does with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// A call of the API.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) verb: Verb,
    /// The path, with `{id}` where a number belongs.
    pub(super) path: &'static str,
    pub(super) id: Option<u64>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

impl Call {
    fn new(verb: Verb, path: &'static str) -> Self {
        Self { verb, path, id: None, query: Vec::new(), body: None }
    }

    fn at(mut self, id: u64) -> Self {
        self.id = Some(id);
        self
    }

    fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The path with its number in its place.
    pub(super) fn filled(&self) -> String {
        match self.id {
            Some(id) => self.path.replace("{id}", &id.to_string()),
            None => self.path.to_string(),
        }
    }

    /// One page of a list.
    pub(super) fn page(self, number: u64) -> Self {
        self.with("page", number).with("per_page", PAGE)
    }

    /// Only those with this name.
    pub(super) fn named(self, name: &str) -> Self {
        self.with("name", name)
    }

    /// Only those with these labels.
    pub(super) fn labelled(self, selector: &str) -> Self {
        self.with("label_selector", selector)
    }
}

/// How many things a page holds: as many as the API gives at most.
pub(super) const PAGE: usize = 50;

/// A kind of things that the API lists, makes and deletes alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Server,
    LoadBalancer,
    Network,
    Firewall,
    PlacementGroup,
    PrimaryIp,
    SshKey,
    Certificate,
    Volume,
    Image,
    ServerType,
    LoadBalancerType,
    Location,
    Datacenter,
}

impl Kind {
    /// The path of their list, which is its name in the answer too.
    pub(super) fn list(self) -> &'static str {
        match self {
            Self::Server => "/servers",
            Self::LoadBalancer => "/load_balancers",
            Self::Network => "/networks",
            Self::Firewall => "/firewalls",
            Self::PlacementGroup => "/placement_groups",
            Self::PrimaryIp => "/primary_ips",
            Self::SshKey => "/ssh_keys",
            Self::Certificate => "/certificates",
            Self::Volume => "/volumes",
            Self::Image => "/images",
            Self::ServerType => "/server_types",
            Self::LoadBalancerType => "/load_balancer_types",
            Self::Location => "/locations",
            Self::Datacenter => "/datacenters",
        }
    }

    /// One of them, for people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::LoadBalancer => "load balancer",
            Self::Network => "network",
            Self::Firewall => "firewall",
            Self::PlacementGroup => "placement group",
            Self::PrimaryIp => "primary IP",
            Self::SshKey => "SSH key",
            Self::Certificate => "certificate",
            Self::Volume => "volume",
            Self::Image => "image",
            Self::ServerType => "server type",
            Self::LoadBalancerType => "load balancer type",
            Self::Location => "location",
            Self::Datacenter => "data centre",
        }
    }
}

/// A list.
pub(super) fn list(kind: Kind) -> Call {
    Call::new(Verb::Get, kind.list())
}

/// Servers that are off.
pub(super) fn servers_off() -> Call {
    list(Kind::Server).with("status", "off")
}

/// Images for an architecture, also those that are not offered to new servers for long any more.
pub(super) fn images(architecture: &str) -> Call {
    list(Kind::Image).with("architecture", architecture).with("include_deprecated", true)
}

/// Snapshots of servers of an architecture.
pub(super) fn snapshots(architecture: &str) -> Call {
    list(Kind::Image).with("architecture", architecture).with("type", "snapshot")
}

/// Makes a thing.
pub(super) fn create(kind: Kind, body: Value) -> Call {
    Call::new(Verb::Post, kind.list()).body(body)
}

/// One server as it is now.
pub(super) fn server(id: u64) -> Call {
    Call::new(Verb::Get, "/servers/{id}").at(id)
}

/// One load balancer as it is now.
pub(super) fn load_balancer(id: u64) -> Call {
    Call::new(Verb::Get, "/load_balancers/{id}").at(id)
}

/// What has become of these actions: any number of ids stands in one call.
pub(super) fn actions(ids: &[u64]) -> Call {
    ids.iter().fold(Call::new(Verb::Get, "/actions"), |call, id| call.with("id", id))
}

/// What is being done with a certificate.
pub(super) fn of_certificate(id: u64) -> Call {
    Call::new(Verb::Get, "/certificates/{id}/actions").at(id).with("status", "running")
}

/// The path of one of a kind.
fn one(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Server => "/servers/{id}",
        Kind::LoadBalancer => "/load_balancers/{id}",
        Kind::Network => "/networks/{id}",
        Kind::Firewall => "/firewalls/{id}",
        Kind::PlacementGroup => "/placement_groups/{id}",
        Kind::PrimaryIp => "/primary_ips/{id}",
        Kind::SshKey => "/ssh_keys/{id}",
        Kind::Certificate => "/certificates/{id}",
        Kind::Volume => "/volumes/{id}",
        Kind::Image | Kind::ServerType | Kind::LoadBalancerType | Kind::Location | Kind::Datacenter => return None,
    })
}

/// Sets labels, which are all that there are then. What is Hetzner's own has none of ours.
pub(super) fn label(kind: Kind, id: u64, labels: &Value) -> Option<Call> {
    Some(Call::new(Verb::Put, one(kind)?).at(id).body(json!({ "labels": labels })))
}

/// Deletes a thing. What is Hetzner's own is not ours to delete.
pub(super) fn delete(kind: Kind, id: u64) -> Option<Call> {
    Some(Call::new(Verb::Delete, one(kind)?).at(id))
}

/// Has something done to a thing, by the path of that action.
pub(super) fn act(path: &'static str, id: u64, body: Value) -> Call {
    Call::new(Verb::Post, path).at(id).body(body)
}

/// Has something done to a thing that needs no further word.
pub(super) fn act_plainly(path: &'static str, id: u64) -> Call {
    Call::new(Verb::Post, path).at(id)
}
