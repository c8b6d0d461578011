//! What must hold between the values of a spec.
//!
//! The schema has already judged each value for itself, so here stands only what takes two values, or knowledge of
//! Kubernetes and of the providers. One module for each hundred of the codes; every rule says what to write instead.
//! Nothing here compares all nodes with all others: ranges are sorted and swept, names are looked up in ordered sets.

mod balancers;
mod claims;
mod clear;
mod endpoint;
mod hetzner;
mod hosts;
mod ingress;
mod kubernetes;
mod machines;
mod marks;
mod names;
mod network;
mod notifications;
mod paths;
mod ports;
mod proxmox;
mod releases;
mod reserved;
mod routes;
mod secrets;
mod settings;
mod storage;
mod talos;
mod templates;
mod upkeep;
mod verify;

use kubewright_model::diagnostic::{Diagnostic, SpecPath, nearest};
use kubewright_model::ids::{Namespace, ReleaseName};
use kubewright_model::spec::{ClusterFile, ClusterSpec, HostSettings, Pool, SecretRef};

use crate::addons;
use crate::context::nodes::NodePlan;
use crate::context::{Context, SecretNames};

/// Everything that is wrong with the values of a spec, at once. Places are not set yet.
pub fn rules(file: &ClusterFile) -> Vec<Diagnostic> {
    let facts = Facts::of(file);
    let mut found = Vec::new();
    names::rules(&facts, &mut found);
    network::rules(&facts, &mut found);
    machines::rules(&facts, &mut found);
    kubernetes::rules(&facts, &mut found);
    talos::rules(&facts, &mut found);
    ingress::rules(&facts, &mut found);
    hosts::rules(&facts, &mut found);
    paths::rules(&facts, &mut found);
    secrets::rules(&facts, &mut found);
    notifications::rules(&facts, &mut found);
    releases::rules(&facts, &mut found);
    storage::rules(&facts, &mut found);
    upkeep::rules(&facts, &mut found);
    verify::rules(&facts, &mut found);
    found
}

/// What is wrong for certain with the values of a spec of which parts are left out: only rules that judge a value by
/// itself, or values that belong to one thing. Places are not set yet.
pub fn alone(file: &ClusterFile) -> Vec<Diagnostic> {
    let facts = Facts::of(file);
    let mut found = Vec::new();
    hosts::alone(&facts, &mut found);
    paths::rules(&facts, &mut found);
    clear::rules(&facts, &mut found);
    reserved::rules(&facts, &mut found);
    marks::rules(&facts, &mut found);
    found
}

pub use clear::is_named_as_secret;

/// Every reference to a secret, and where it stands.
pub fn references(file: &ClusterFile) -> Vec<(SpecPath, SecretRef)> {
    let facts = Facts::of(file);
    secrets::references(&facts).into_iter().map(|(reference, path, _)| (path, reference.clone())).collect()
}

/// What all rules look at.
struct Facts<'a> {
    file: &'a ClusterFile,
    spec: &'a ClusterSpec,
    /// The nodes one by one, at most [`crate::context::nodes::MAX_NODES`].
    nodes: Vec<NodePlan<'a>>,
    /// The Helm releases of all add-ons and charts: their names and namespaces.
    releases: Vec<(ReleaseName, Namespace)>,
}

impl<'a> Facts<'a> {
    fn of(file: &'a ClusterFile) -> Self {
        let context = Context::of(file);
        let releases = addons::releases(&context, &mut SecretNames::default());
        let releases = releases.into_iter().map(|release| (release.name, release.namespace)).collect();
        Self { file, spec: &file.spec, nodes: context.nodes, releases }
    }

    /// The members of the control plane.
    fn servers(&self) -> impl Iterator<Item = &NodePlan<'a>> {
        self.nodes.iter().filter(|node| node.is_server())
    }
}

/// What to do about a name that is not there: the near one, or else what to write. Of very many names only the first
/// are compared.
fn near<'a>(word: &str, known: impl IntoIterator<Item = &'a str>, otherwise: &str) -> String {
    match nearest(word, known.into_iter().take(1000)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise.to_string(),
    }
}

/// A path below `spec`, for example `kubernetes/endpoint`.
fn at(pointer: &str) -> SpecPath {
    SpecPath::pointer(format!("/spec/{pointer}"))
}

/// Host settings, the cluster's and each pool's.
fn settings<'a>(facts: &Facts<'a>) -> impl Iterator<Item = (SpecPath, &'a HostSettings)> + use<'a> {
    let pools = facts.spec.pools.iter();
    let own = pools.filter_map(|(name, pool)| Some((at("pools").then(name).then("hosts"), pool.hosts.as_ref()?)));
    std::iter::once((at("hosts"), &facts.spec.hosts)).chain(own)
}

/// How many addresses a pool lists. A range may hold more than there are numbers for nodes.
fn addresses(pool: &Pool) -> u128 {
    pool.addresses.iter().fold(0, |sum, range| sum.saturating_add(range.count()))
}

/// How many nodes a pool has, as lowering counts them.
fn size(pool: &Pool) -> u128 {
    match (pool.names.len(), addresses(pool)) {
        (0, 0) => u128::from(pool.count.unwrap_or(0)),
        (0, addressed) => addressed,
        (named, _) => named as u128,
    }
}

/// `1 node`, `3 nodes`.
fn counted(number: u128, one: &str) -> String {
    let end = match one {
        _ if number == 1 => "",
        _ if one.ends_with("address") => "es",
        _ => "s",
    };
    format!("{number} {one}{end}")
}
