//! What proves that the cluster works: what always must hold, then what the file asks for.

use kubewright_model::checked::Group;
use kubewright_model::condition::Condition;
use kubewright_model::desired::{DesiredCheck, DesiredObjects, DesiredRelease};
use kubewright_model::ids::{Namespace, NodeName};
use kubewright_model::net::HostPort;
use kubewright_model::object::{Manifest, ObjectKey};
use kubewright_model::spec::verify::{ObjectCheck, ServiceCheck, UrlCheck};
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
    let parts = Parts { context, releases };
    let mut checks = vec![
        check(Group::Nodes, "API", Condition::Api(context.endpoint.clone())),
        check(Group::Nodes, "nodes", Condition::NodesReady { at_least: nodes.len(), nodes: nodes.clone() }),
        check(Group::AddOns, "system pods", Condition::SystemPods),
    ];
    checks.extend(releases.iter().map(|release| {
        let condition = Condition::Release { name: release.name.clone(), namespace: release.namespace.clone() };
        check(of_part(&release.part), format!("release {}", release.name), condition)
    }));
    checks.extend(addons::node_ports(releases).map(|(service, ports)| {
        check(Group::Ingress, format!("node ports of {service}"), Condition::NodePorts { service, ports })
    }));
    checks.extend(
        addons::vault(&context.file.spec.addons)
            .map(|wish| check(Group::AddOns, "Vault", Condition::Vault(Box::new(wish)))),
    );
    let made = addons::pods(&context.file.spec.addons);
    checks.extend(
        made.into_iter().map(|(name, pods)| check(parts.of(pods.namespace.as_ref()), name, Condition::Pods(pods))),
    );
    checks.extend(storage_classes(context));
    let routes = context.file.spec.ingress.routes.keys();
    checks.extend(
        routes.map(|host| check(Group::Ingress, format!("route {host}"), Condition::Route { host: host.clone() })),
    );
    let mut services: Vec<ObjectKey> = addons::services(releases);
    services.extend(objects.iter().flat_map(|group| &group.manifests).filter_map(balanced));
    let asked_for = &context.file.spec.verify.addresses;
    services.extend(asked_for.iter().filter(|key| !services.contains(key)).cloned().collect::<Vec<_>>());
    checks.extend(
        services
            .into_iter()
            .map(|key| check(parts.of(Some(&key.namespace)), format!("address of {key}"), Condition::Address(key))),
    );
    checks.extend(asked(&parts, &nodes));
    checks
}

/// The StorageClasses that we make, where there are any.
fn storage_classes(context: &Context<'_>) -> Option<DesiredCheck> {
    let names = addons::classes(&context.file.spec.addons);
    let at_least = u32::try_from(names.len()).ok().filter(|count| *count > 0)?;
    let classes = ObjectCheck { kind: "StorageClass".into(), namespace: None, names, at_least, ready: false };
    Some(check(Group::AddOns, "storage classes", Condition::Objects(classes)))
}

/// What belongs to what, by where it is.
struct Parts<'a> {
    context: &'a Context<'a>,
    releases: &'a [DesiredRelease],
}

impl Parts<'_> {
    /// What is in this namespace belongs to the release that is in it, to the cluster itself, or to the user's people.
    fn of(&self, namespace: Option<&Namespace>) -> Group {
        let Some(namespace) = namespace else { return Group::Nodes };
        match self.releases.iter().find(|release| release.namespace == *namespace) {
            _ if namespace.as_str() == "kube-system" => Group::AddOns,
            Some(release) => of_part(&release.part),
            None => Group::Applications,
        }
    }

    /// What is asked for by the name of a route goes through the ingress.
    fn of_url(&self, url: &UrlCheck) -> Group {
        let routed = self.context.file.spec.ingress.routes.keys().any(|host| url.url.contains(host.as_str()));
        if url.host.is_some() || routed { Group::Ingress } else { Group::Applications }
    }
}

/// By the part of the file that a release is of.
fn of_part(part: &str) -> Group {
    match part {
        "ingress" => Group::Ingress,
        "monitoring" | "loki" | "elasticsearch" => Group::Monitoring,
        "charts" => Group::Applications,
        _ => Group::AddOns,
    }
}

/// A Service of type LoadBalancer among objects.
fn balanced(manifest: &Manifest) -> Option<ObjectKey> {
    let id = manifest.id().ok().filter(|id| id.kind == "Service" && id.api_version == "v1")?;
    let kind = manifest.0.pointer("/spec/type").and_then(Value::as_str)?;
    let namespace = id.namespace.unwrap_or_else(|| "default".into());
    (kind == "LoadBalancer").then_some(ObjectKey { namespace, name: id.name })
}

fn check(group: Group, name: impl Into<String>, condition: Condition) -> DesiredCheck {
    DesiredCheck { name: name.into(), group, condition }
}

/// The `verify` section.
fn asked(parts: &Parts<'_>, nodes: &[NodeName]) -> Vec<DesiredCheck> {
    let context = parts.context;
    let verify = &context.file.spec.verify;
    let mut checks = Vec::new();
    for pods in &verify.pods {
        let place = pods.namespace.as_ref().map_or("all namespaces".to_string(), |namespace| namespace.to_string());
        let selector = pods.selector.as_ref().map(|selector| format!(" {selector}")).unwrap_or_default();
        let group = parts.of(pods.namespace.as_ref());
        checks.push(check(group, format!("pods in {place}{selector}"), Condition::Pods(pods.clone())));
    }
    checks.extend(verify.workloads.iter().map(|workload| {
        let group = parts.of(Some(&workload.namespace));
        check(group, workload.to_string(), Condition::Workload(workload.clone()))
    }));
    checks.extend(verify.objects.iter().map(|objects| {
        let group = parts.of(objects.namespace.as_ref());
        check(group, objects.to_string(), Condition::Objects(objects.clone()))
    }));
    checks.extend(verify.urls.iter().map(|(name, url)| check(parts.of_url(url), name, Condition::Url(url.clone()))));
    checks.extend(verify.each_node.iter().map(|(name, url)| {
        check(Group::LoadBalancers, name, Condition::EachNode { url: url.clone(), nodes: nodes.to_vec() })
    }));
    checks.extend(verify.services.iter().filter_map(|(name, service)| back_end(context, name, service)));
    let certificates = verify.certificates.clone();
    checks.extend(certificates.map(|all| check(Group::AddOns, "certificates", Condition::Certificates(all))));
    let applications = verify.applications.clone();
    checks.extend(
        applications.map(|all| check(Group::Applications, "Argo CD applications", Condition::Applications(all))),
    );
    if verify.load_balancers {
        let names = context.file.spec.load_balancers.keys();
        checks.extend(
            names.map(|name| {
                check(Group::LoadBalancers, format!("targets of {name}"), Condition::Targets(name.clone()))
            }),
        );
    }
    checks
}

/// A back-end service, asked from the node that the file names, or from each server.
fn back_end(context: &Context<'_>, name: &str, service: &ServiceCheck) -> Option<DesiredCheck> {
    let domain = &context.file.spec.kubernetes.cluster_domain;
    let inside = service
        .service
        .as_ref()
        .map(|service| HostPort::new(format!("{}.{}.svc.{domain}", service.name, service.namespace), service.port));
    let at = service.at.clone().or(inside)?;
    let from = match &service.from {
        Some(node) => vec![node.clone()],
        // The API is asked for the pods behind one of its own.
        None if service.at.is_none() => Vec::new(),
        None => context.nodes.iter().filter(|node| node.is_server()).map(|node| node.name.clone()).collect(),
    };
    let condition = Condition::Service { at, protocol: service.protocol, from, tls: service.tls };
    Some(check(Group::Services, name, condition))
}
