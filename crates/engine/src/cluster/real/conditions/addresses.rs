//! Services of type LoadBalancer: the address that each was given, or why nobody has given it one.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Event, Pod, Service};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use kubewright_model::object::ObjectKey;
use kubewright_model::observed::ServiceSeen;

use super::super::failure::failed;
use super::super::look::all;
use super::custom::objects;
use super::events::{about, lines};
use super::pods::failing;
use super::{Answer, Failing, fails, holds};
use crate::cluster::ClusterError;

/// How Cilium tells whether it could give a Service an address.
/// <https://docs.cilium.io/en/stable/network/lb-ipam/#usage>
const CILIUM: &str = "IPAMRequestSatisfied";
/// K3s puts it on the DaemonSet that stands for a Service (`pkg/cloudprovider/servicelb.go`).
const OF_K3S: &str = "svccontroller.k3s.cattle.io/svcname";
/// Whose pods' name every program that charts install.
const PROGRAM: &str = "app.kubernetes.io/name";

/// What a Service shows of itself.
pub(in super::super) fn seen(service: &Service, events: &[Event]) -> ServiceSeen {
    let spec = service.spec.as_ref();
    let ports = spec.into_iter().flat_map(|spec| spec.ports.iter().flatten());
    let program = spec.and_then(|spec| spec.selector.as_ref()?.get(PROGRAM).cloned());
    let addresses = given(service);
    ServiceSeen {
        ports: ports.filter_map(|port| u16::try_from(port.port).ok()).collect(),
        program: program.or_else(|| service.labels().get(PROGRAM).cloned()),
        why: if addresses.is_empty() { said(service, events) } else { None },
        addresses,
    }
}

/// The addresses of a Service.
fn given(service: &Service) -> Vec<String> {
    let status = service.status.iter().flat_map(|status| &status.load_balancer);
    let ingress = status.flat_map(|balancer| balancer.ingress.iter().flatten());
    ingress.filter_map(|at| at.ip.clone().or_else(|| at.hostname.clone())).collect()
}

/// The last words of whoever gives addresses, in the Service itself or in an event.
fn said(service: &Service, events: &[Event]) -> Option<String> {
    let mut conditions = service.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let refused = conditions.find(|it| it.type_.ends_with(CILIUM) && it.status == "False");
    if let Some(refused) = refused {
        return Some(if refused.message.is_empty() { refused.reason.clone() } else { refused.message.clone() });
    }
    let of = |event: &&Event| {
        let about = &event.involved_object;
        about.name == service.metadata.name && about.namespace == service.metadata.namespace
    };
    let mine: Vec<&Event> = events.iter().filter(of).collect();
    mine.last().and_then(|event| event.message.clone())
}

/// A Service has an address.
pub(super) async fn address(client: &Client, key: &ObjectKey) -> Result<Answer, ClusterError> {
    let what = format!("Service {key}");
    let api = Api::<Service>::namespaced(client.clone(), key.namespace.as_str());
    let Some(service) = api.get_opt(key.name.as_str()).await.map_err(|error| failed(&what, &error))? else {
        return Ok(fails(format!("{what} is not there"), "install what it belongs to"));
    };
    let kind = service.spec.as_ref().and_then(|spec| spec.type_.as_deref()).unwrap_or("ClusterIP");
    if kind != "LoadBalancer" {
        return Ok(fails(format!("{what} is a {kind}: it asks for no address"), "make it one of type LoadBalancer"));
    }
    let addresses = given(&service);
    if !addresses.is_empty() {
        return Ok(holds(format!("{key} has {}", addresses.join(", "))));
    }
    let events = about(client, &key.namespace, "Service", key.name.as_str()).await;
    if let Some(why) = said(&service, &events) {
        let saw = format!("{key} has no address: {why}");
        return Ok(Err(Failing { saw, log: lines(&events), hint: hint(&why).map(String::from), ..Failing::default() }));
    }
    Ok(Err(nobody(client, key).await?))
}

/// What is likely to help, by the words of MetalLB's controller (`controller/service.go`, `internal/allocator`) and of
/// Cilium's operator (`operator/pkg/lbipam`).
fn hint(why: &str) -> Option<&'static str> {
    let hints = [
        (&["no available IPs", "ran out of", "out_of_ips"][..], "every address of the pools is taken: give them more"),
        (&["no_pool", "no enabled CiliumLoadBalancerIPPools", "unknown pool"], "no pool is for it: give it one"),
        (&["not allowed in config", "not in any pool"], "the address that it asks for lies in no pool"),
        (&["already in use", "already_allocated", "also in use", "sharing key"], "another Service has this address"),
        (&["quota", "limit exceeded"], "the cloud gives no more load balancers"),
    ];
    hints.iter().find(|(words, _)| words.iter().any(|word| why.contains(word))).map(|(_, hint)| *hint)
}

/// Nobody has said anything of it: who should have?
async fn nobody(client: &Client, key: &ObjectKey) -> Result<Failing, ClusterError> {
    let pools = objects(client, "metallb.io", "v1beta1", "IPAddressPool").await?;
    let ciliums = objects(client, "cilium.io", "v2alpha1", "CiliumLoadBalancerIPPool").await?;
    let params = ListParams::default().labels(&format!("{OF_K3S}={}", key.name));
    let of_k3s = all(&Api::<DaemonSet>::all(client.clone()), &params).await;
    let of_k3s = of_k3s.map_err(|error| failed("list of DaemonSets", &error))?;
    if !of_k3s.is_empty() {
        let pods = all(&Api::<Pod>::all(client.clone()), &params).await;
        let pods = pods.map_err(|error| failed("list of pods", &error))?;
        let cause = failing(client, &pods).await.unwrap_or_default();
        let saw = format!("{key} has no address: the pods that K3s starts for it do not run: {}", cause.saw);
        return Ok(Failing { saw, ..cause });
    }
    let (saw, hint) = match (pools.map(|all| all.len()), ciliums.map(|all| all.len())) {
        (None, None) => ("nobody gives addresses in this cluster", "install MetalLB, or make it a NodePort"),
        (Some(0), None | Some(0)) => ("MetalLB has no pool", "name its addresses under `addons.metallb.pools`"),
        (None, Some(0)) => ("Cilium has no pool", "name its addresses under `kubernetes.cni.cilium`"),
        _ => {
            ("nobody has said why", "look at the log of what gives addresses: MetalLB's controller, Cilium's operator")
        }
    };
    Ok(Failing {
        saw: format!("{key} has no address: {saw}"),
        log: Vec::new(),
        hint: Some(hint.into()),
        ..Failing::default()
    })
}

/// A Service has these ports on every node.
pub(super) async fn node_ports(client: &Client, key: &ObjectKey, wanted: &[u16]) -> Result<Answer, ClusterError> {
    let what = format!("Service {key}");
    let api = Api::<Service>::namespaced(client.clone(), key.namespace.as_str());
    let Some(service) = api.get_opt(key.name.as_str()).await.map_err(|error| failed(&what, &error))? else {
        return Ok(fails(format!("{what} is not there"), "install what it belongs to"));
    };
    let spec = service.spec.unwrap_or_default();
    let kind = spec.type_.unwrap_or_else(|| "ClusterIP".into());
    let ports = spec.ports.unwrap_or_default();
    let told = ports.iter().filter_map(|port| Some(format!("{}:{}", port.port, port.node_port?)));
    let told = told.collect::<Vec<_>>().join(", ");
    let has = |wanted: &u16| ports.iter().any(|port| port.node_port == Some(i32::from(*wanted)));
    let missing: Vec<String> = wanted.iter().filter(|port| !has(port)).map(u16::to_string).collect();
    Ok(match (missing.is_empty(), told.is_empty()) {
        (true, _) => holds(format!("{key} is a {kind} with {told}")),
        (false, true) => {
            fails(format!("{key} is a {kind} without ports on nodes"), "`kubewright apply` sets its ports")
        }
        (false, false) => {
            let saw = format!("{key} has {told}, and no port {}", missing.join(", "));
            fails(saw, "`kubewright apply` sets its ports: somebody has changed them")
        }
    })
}
