//! Distributions compile: from nodes to files, units and recipes. They do nothing themselves.
//!
//! K3s and RKE2 are one family: what they have in common is in one room, and each says only what is its own.

mod k3s;
mod rancher;
mod rke2;

use kubewright_model::host::HostResource;
use kubewright_model::spec::{ClusterFile, Distribution, SecretRef};

pub(crate) use rancher::Recipes;

use crate::context::Context;
use crate::context::nodes::NodePlan;
use rancher::Program;

/// The program of a distribution; none where it has no compiler yet.
fn program(distribution: Distribution) -> Option<&'static Program> {
    match distribution {
        Distribution::K3s => Some(&k3s::PROGRAM),
        Distribution::Rke2 => Some(&rke2::PROGRAM),
        Distribution::Kubeadm | Distribution::Talos => None,
    }
}

fn of(context: &Context<'_>) -> Option<&'static Program> {
    program(context.file.spec.kubernetes.distribution)
}

/// Whether a distribution has a compiler in this version.
pub(crate) fn compiles(distribution: Distribution) -> bool {
    program(distribution).is_some()
}

/// The secrets that a distribution's files hold, by name, and where each is to be found.
pub(crate) fn secrets(file: &ClusterFile) -> Vec<(String, &SecretRef)> {
    let compiled = compiles(file.spec.kubernetes.distribution);
    if compiled { rancher::secrets(file) } else { Vec::new() }
}

/// What a node's distribution needs of its host, in order.
pub(crate) fn host_resources(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<HostResource> {
    of(context).map(|program| program.host_resources(context, node)).unwrap_or_default()
}

/// The TCP ports that a node's distribution listens on.
pub(crate) fn ports(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<u16> {
    of(context).map(|program| program.ports(context, node)).unwrap_or_default()
}

/// What a distribution does with its members; none where it has no compiler yet.
pub(crate) fn recipes(context: &Context<'_>) -> Option<Recipes> {
    of(context).map(|program| Recipes::new(program, context))
}
