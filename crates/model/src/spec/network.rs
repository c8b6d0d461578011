//! The network that the hosts are in.

use std::net::IpAddr;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::PoolName;
use crate::net::Cidr;
use crate::spec::forms;

/// The network that the hosts are in.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// The hosts' network. Every node's address lies in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<Cidr>,
    /// The default gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// DNS servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<IpAddr>,
    /// DNS search domains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<forms::Domain>")]
    pub search_domains: Vec<String>,
    /// The VLAN tag of the hosts' network, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4094))]
    pub vlan: Option<u16>,
    /// Further networks that the cluster's addresses may lie in, by name: for services, for maintenance.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<PoolName, OtherNetwork>")]
    pub others: IndexMap<PoolName, OtherNetwork>,
}

/// A network beside the hosts' own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OtherNetwork {
    /// The network.
    pub cidr: Cidr,
    /// Its VLAN tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4094))]
    pub vlan: Option<u16>,
    /// The way out of it, where the hosts' own network has none: nodes of Talos keep their maintenance address, and take this
    /// gateway from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// What it is for, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}
