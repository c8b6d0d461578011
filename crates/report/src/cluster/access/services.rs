//! Services of type LoadBalancer: what the spec wants of them, and the addresses that somebody has given them.

use std::collections::BTreeMap;

use kubewright_model::condition::Condition;
use kubewright_model::desired::Desired;
use kubewright_model::object::ObjectKey;
use kubewright_model::observed::{Seen, ServiceSeen};
use serde_json::Value;

use super::super::facts::Facts;
use super::super::{code, codes};
use crate::page::{Line, Page};
use crate::words::Words;

/// One row for each. What nobody has looked at has no address here.
pub(super) fn services(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let mut services: BTreeMap<ObjectKey, ServiceSeen> = wished(facts.desired);
    let cluster = facts.observed.and_then(|observed| observed.cluster.as_ref()).and_then(Seen::present);
    let looked = cluster.is_some();
    services.extend(cluster.into_iter().flat_map(|seen| seen.services.clone()));
    let rows: Vec<Vec<Line>> = services
        .iter()
        .map(|(key, service)| {
            let at = match (service.addresses.is_empty(), looked) {
                (true, true) => words.access.no_service_address.into(),
                _ => codes(&service.addresses),
            };
            vec![code(key), at, codes(&service.ports), service.title().into()]
        })
        .collect();
    let heads = &words.heads;
    if !rows.is_empty() {
        page.table(&[heads.name, heads.address, heads.port, heads.leads_to], rows);
    }
}

/// What asks for an address of a Service in the values of charts.
/// <https://docs.cilium.io/en/v1.18/network/lb-ipam/#requesting-ips>, <https://metallb.io/usage/#requesting-specific-ips>
const PINNED: [&str; 3] = ["lbipam.cilium.io/ips", "metallb.io/loadBalancerIPs", "loadBalancerIP"];

/// The addresses that a tree of values asks for.
fn pinned(values: &Value) -> Vec<String> {
    let own = |map: &serde_json::Map<String, Value>| -> Vec<String> {
        let asked = PINNED.iter().filter_map(|key| map.get(*key)?.as_str().map(String::from));
        asked.chain(map.values().flat_map(pinned)).collect()
    };
    values.as_object().map(own).unwrap_or_default()
}

/// Those that the spec has a check for, with what its objects say of them.
fn wished(desired: &Desired) -> BTreeMap<ObjectKey, ServiceSeen> {
    let checked = desired.checks.iter().filter_map(|check| match &check.condition {
        Condition::Address(key) => Some((key.clone(), ServiceSeen::default())),
        _ => None,
    });
    let mut services: BTreeMap<ObjectKey, ServiceSeen> = checked.collect();
    for object in desired.objects.iter().flat_map(|group| &group.manifests) {
        let Some(id) = object.id().ok().filter(|id| id.kind == "Service") else { continue };
        let key = ObjectKey { namespace: id.namespace.unwrap_or_else(|| "default".into()), name: id.name };
        let Some(service) = services.get_mut(&key) else { continue };
        let ports = object.0.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
        service.ports = ports.filter_map(|port| u16::try_from(port.get("port")?.as_u64()?).ok()).collect();
        let selector = object.0.pointer("/spec/selector/app.kubernetes.io~1name").and_then(Value::as_str);
        service.program = selector.map(String::from);
    }
    for release in &desired.releases {
        let mut of_release = services.iter_mut().filter(|(key, _)| key.namespace == release.namespace);
        if let (Some((_, service)), None) = (of_release.next(), of_release.next()) {
            service.addresses.extend(pinned(&release.values));
        }
    }
    services
}
