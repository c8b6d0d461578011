//! Talos: an operating system that is only Kubernetes, told everything by one machine configuration.
//!
//! So a node has two resources, the image that it runs from and its configuration, and recipes are calls of its API. A node
//! that has its configuration joins by itself: what is left to say is which one begins etcd.
//!
//! Facts are those of v1.9 to v1.14 (<https://github.com/siderolabs/talos/tree/v1.11.6/pkg/machinery/config>).

mod config;
mod documents;
mod image;
mod legacy;
mod network;
mod patches;
mod recipes;

use std::collections::BTreeMap;

use kubewright_model::desired::{Halfway, Renewal};
use kubewright_model::host::HostResource;
use kubewright_model::recipe::Recipe;
use kubewright_model::spec::{ClusterFile, SecretRef};
use kubewright_model::talos::{TALOS_API, TALOS_SECRETS};

pub(crate) use network::maintenance;

use super::Compiler;
use super::rancher::api_port;
use crate::context::Context;
use crate::context::nodes::NodePlan;

/// The compiler.
pub(super) struct Talos;

pub(super) static TALOS: Talos = Talos;

impl Compiler for Talos {
    fn secrets<'f>(&self, file: &'f ClusterFile) -> Vec<(String, &'f SecretRef)> {
        let secrets = file.spec.kubernetes.talos.as_ref().and_then(|talos| talos.secrets.as_ref());
        secrets.map(|place| (TALOS_SECRETS.to_string(), place)).into_iter().collect()
    }

    fn kept(&self, _: &Context<'_>) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn host_resources(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<HostResource> {
        let image = image::image(context, node).map(HostResource::TalosImage);
        image.into_iter().chain(config::config(context, node).map(HostResource::MachineConfig)).collect()
    }

    /// <https://www.talos.dev/v1.11/learn-more/talos-network-connectivity/>; the rest are Kubernetes' own.
    fn ports(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<u16> {
        let mut ports = vec![10250, TALOS_API];
        if node.is_server() {
            ports.extend([api_port(context, node), 2379, 2380, 10257, 10259, 50001]);
        }
        ports
    }

    fn init(&self, context: &Context<'_>, _: &NodePlan<'_>) -> Recipe {
        recipes::init(context)
    }

    fn join(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        recipes::join(context, node)
    }

    fn halfway(&self, _: &Context<'_>) -> Option<Halfway> {
        None
    }

    fn belong(&self, _: &Context<'_>, _: &NodePlan<'_>) -> Option<Recipe> {
        None
    }

    fn admit(&self, _: &Context<'_>, _: &NodePlan<'_>) -> Option<Recipe> {
        None
    }

    fn forget(&self, context: &Context<'_>) -> Option<Recipe> {
        Some(recipes::forget(context))
    }

    fn upgrade(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        recipes::upgrade(context, node)
    }

    fn leave(&self, _server: bool) -> Recipe {
        recipes::leave()
    }

    fn snapshot(&self, context: &Context<'_>, _: &NodePlan<'_>) -> Recipe {
        recipes::snapshot(context)
    }

    /// Its agents find the servers again by themselves. A server is only rid of etcd by a reset.
    fn stand_down(&self, server: bool) -> Option<Recipe> {
        server.then(recipes::leave)
    }

    fn renewal(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Renewal {
        recipes::renewal(context, node)
    }

    fn restore(&self, context: &Context<'_>, _: &NodePlan<'_>) -> Option<Recipe> {
        Some(recipes::restore(context))
    }
}
