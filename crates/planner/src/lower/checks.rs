//! What proves that the cluster works: what always must hold, then what the file asks for.

use kubewright_model::condition::Condition;
use kubewright_model::desired::{DesiredCheck, DesiredObjects, DesiredRelease};
use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use kubewright_model::object::{Manifest, ObjectKey};
use serde_json::Value;

use crate::addons;
use crate::context::Context;

pub(super) fn checks(
    context: &Context<'_>,
    releases: &[DesiredRelease],
    objects: &[DesiredObjects],
) -> Vec<DesiredCheck> {
    let nodes: Vec<NodeName> =
        context.nodes.iter().filter(|node| node.is_node()).map(|node| node.name.clone()).collect();
    let mut checks = vec![
        check("API", Condition::Api(context.endpoint.clone())),
        check("nodes", Condition::NodesReady { at_least: nodes.len(), nodes: nodes.clone() }),
        check("system pods", Condition::SystemPods),
    ];
    checks.extend(releases.iter().map(|release| {
        let condition = Condition::Release { name: release.name.clone(), namespace: release.namespace.clone() };
        check(format!("release {}", release.name), condition)
    }));
    let made = addons::pods(&context.file.spec.addons);
    checks.extend(made.into_iter().map(|(name, pods)| check(name, Condition::Pods(pods))));
    checks.extend(
        context
            .file
            .spec
            .ingress
            .routes
            .keys()
            .map(|host| check(format!("route {host}"), Condition::Route { host: host.clone() })),
    );
    let mut services: Vec<ObjectKey> = addons::services(releases);
    services.extend(objects.iter().flat_map(|group| &group.manifests).filter_map(balanced));
    let asked_for = &context.file.spec.verify.addresses;
    services.extend(asked_for.iter().filter(|key| !services.contains(key)).cloned().collect::<Vec<_>>());
    checks.extend(services.into_iter().map(|key| check(format!("address of {key}"), Condition::Address(key))));
    checks.extend(asked(context, &nodes));
    checks
}

/// A Service of type LoadBalancer among objects.
fn balanced(manifest: &Manifest) -> Option<ObjectKey> {
    let id = manifest.id().ok().filter(|id| id.kind == "Service" && id.api_version == "v1")?;
    let kind = manifest.0.pointer("/spec/type").and_then(Value::as_str)?;
    let namespace = id.namespace.unwrap_or_else(|| "default".into());
    (kind == "LoadBalancer").then_some(ObjectKey { namespace, name: id.name })
}

fn check(name: impl Into<String>, condition: Condition) -> DesiredCheck {
    DesiredCheck { name: name.into(), condition }
}

/// The `verify` section.
fn asked(context: &Context<'_>, nodes: &[NodeName]) -> Vec<DesiredCheck> {
    let verify = &context.file.spec.verify;
    let mut checks = Vec::new();
    for pods in &verify.pods {
        let place = pods.namespace.as_ref().map_or("all namespaces".to_string(), |namespace| namespace.to_string());
        let selector = pods.selector.as_ref().map(|selector| format!(" {selector}")).unwrap_or_default();
        checks.push(check(format!("pods in {place}{selector}"), Condition::Pods(pods.clone())));
    }
    let workloads = verify.workloads.iter();
    checks.extend(workloads.map(|workload| check(workload.to_string(), Condition::Workload(workload.clone()))));
    checks.extend(verify.urls.iter().map(|(name, url)| check(name, Condition::Url(url.clone()))));
    checks.extend(
        verify
            .each_node
            .iter()
            .map(|(name, url)| check(name, Condition::EachNode { url: url.clone(), nodes: nodes.to_vec() })),
    );
    for (name, service) in &verify.services {
        let domain = &context.file.spec.kubernetes.cluster_domain;
        let inside = service
            .service
            .as_ref()
            .map(|service| HostPort::new(format!("{}.{}.svc.{domain}", service.name, service.namespace), service.port));
        if let Some(at) = service.at.clone().or(inside) {
            checks.push(check(name, Condition::Service { at, protocol: service.protocol }));
        }
    }
    checks.extend(
        verify.certificates.clone().map(|certificates| check("certificates", Condition::Certificates(certificates))),
    );
    checks.extend(
        verify
            .applications
            .clone()
            .map(|applications| check("Argo CD applications", Condition::Applications(applications))),
    );
    if verify.load_balancers {
        let names = context.file.spec.load_balancers.keys();
        checks.extend(names.map(|name| check(format!("targets of {name}"), Condition::Targets(name.clone()))));
    }
    checks
}
