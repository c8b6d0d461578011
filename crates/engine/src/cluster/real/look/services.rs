//! Services of type LoadBalancer, and their addresses.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use kubewright_model::object::ObjectKey;
use kubewright_model::observed::ServiceSeen;

use super::super::conditions::{addresses, events};
use super::super::failure::failed;
use super::all;
use crate::cluster::ClusterError;

/// All of them, whosever they are. The API picks them out by their type (`pkg/apis/core/v1/conversion.go`).
pub(super) async fn services(client: &Client) -> Result<BTreeMap<ObjectKey, ServiceSeen>, ClusterError> {
    let params = ListParams::default().fields("spec.type=LoadBalancer");
    let listed = all(&Api::<Service>::all(client.clone()), &params).await;
    let listed = listed.map_err(|error| failed("list of Services", &error))?;
    let mut seen: BTreeMap<ObjectKey, ServiceSeen> =
        listed.iter().map(|it| (key(it), addresses::seen(it, &[]))).collect();
    if seen.values().any(|service| service.addresses.is_empty()) {
        // What is said of those that wait is one more list, and only while some do.
        let told = events::of_kind(client, "Service").await;
        seen = listed.iter().map(|it| (key(it), addresses::seen(it, &told))).collect();
    }
    Ok(seen)
}

fn key(service: &Service) -> ObjectKey {
    ObjectKey {
        namespace: service.namespace().unwrap_or_default().as_str().into(),
        name: service.name_any().as_str().into(),
    }
}
