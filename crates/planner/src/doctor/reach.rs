//! The way from a browser to a pod, layer by layer: the name, the ingress, the Service, its end points.

use std::collections::BTreeSet;

use kubewright_model::doctor::{Finding, Place};
use serde_json::Value;

use super::api::answers;
use super::case::Case;
use super::objects::{self, Object as _};

fn place(kind: &str, object: &Value) -> Place {
    Place { kind: kind.into(), namespace: Some(object.namespace().into()), name: object.name().into(), node: None }
}

/// Names of ingresses, each with an ingress that has it.
fn names<'a>(case: &Case<'a>) -> Vec<(&'a str, &'a Value)> {
    let mut seen = BTreeSet::new();
    let all = case
        .list("ingresses")
        .iter()
        .flat_map(|ingress| ingress.each("/spec/rules").iter().map(move |rule| (rule.text("/host"), ingress)));
    all.filter(|(host, _)| !host.is_empty() && !host.starts_with('*') && seen.insert(*host)).collect()
}

/// Where visitors come in: what ingresses tell, Services of type LoadBalancer, and the balancers of the spec.
fn doors(case: &Case<'_>) -> BTreeSet<String> {
    let of = |object: &Value| -> Vec<String> {
        let all = object.each("/status/loadBalancer/ingress").iter();
        all.map(|it| if it.text("/ip").is_empty() { it.text("/hostname") } else { it.text("/ip") }.to_string())
            .collect()
    };
    let cluster = case.list("ingresses").iter().chain(case.list("services")).flat_map(of);
    let proxies = case.desired.proxies.iter().flat_map(|proxy| {
        let floating = proxy.balancers.iter().filter_map(|it| it.spec.floating.as_ref()).map(|it| it.address);
        proxy.address.into_iter().chain(floating)
    });
    cluster.chain(proxies.map(|address| address.to_string())).filter(|it| !it.is_empty()).collect()
}

pub(super) fn unresolved(case: &Case<'_>) -> Vec<Finding> {
    let doors: Vec<String> = doors(case).into_iter().collect();
    let found = names(case).into_iter().filter_map(|(host, ingress)| {
        let why = case.evidence.names.get(host)?.as_ref().err()?;
        let door = doors.first().map_or("ADDRESS", String::as_str);
        Some(
            Finding::sick(place("Ingress", ingress), format!("this computer finds no address for {host}"))
                .shown([why.clone()])
                .by_hand([
                    format!("in the name server of {host}'s domain: an A record that leads to {door}"),
                    format!("or for a try, on this computer: echo '{door} {host}' | sudo tee -a /etc/hosts"),
                    format!("without the name: curl -H 'Host: {host}' http://{door}"),
                ]),
        )
    });
    found.collect()
}

pub(super) fn elsewhere(case: &Case<'_>) -> Vec<Finding> {
    let doors = doors(case);
    // Nodes take visitors too, where the controller is on each of them.
    let nodes = case
        .list("nodes")
        .iter()
        .flat_map(|node| node.each("/status/addresses"))
        .map(|it| it.text("/address").to_string());
    let nodes: BTreeSet<String> = nodes.collect();
    let found = names(case).into_iter().filter_map(|(host, ingress)| {
        let leads = case.evidence.names.get(host)?.as_ref().ok()?;
        let right = leads.iter().any(|it| doors.contains(it) || nodes.contains(it));
        (!right && !doors.is_empty()).then(|| {
            let all: Vec<&str> = doors.iter().map(String::as_str).collect();
            Finding::risk(place("Ingress", ingress), format!("{host} leads to {}, and the cluster is at {}", leads.join(", "), all.join(", ")))
                .shown([format!("{host}: {}", leads.join(", "))])
                .by_hand(["correct the record, and /etc/hosts of this computer; a proxy before the cluster is right to be another address"])
        })
    });
    found.collect()
}

/// <https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class>
pub(super) fn no_class(case: &Case<'_>) -> Vec<Finding> {
    const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
    let classes = case.list("ingressclasses");
    let default = classes.iter().any(|it| {
        it.pointer("/metadata/annotations").and_then(|it| it.get(DEFAULT)).and_then(Value::as_str) == Some("true")
    });
    let serves = case.list("pods").iter().any(|pod| is_controller(pod) && objects::is_ready(pod));
    let found = case.list("ingresses").iter().filter(|_| case.has("ingressclasses")).filter_map(|it| {
        // The old way needs no object: controllers compare its text with their own.
        let old = it.pointer("/metadata/annotations").and_then(|it| it.get("kubernetes.io/ingress.class")).and_then(Value::as_str);
        let named = it.pointer("/spec/ingressClassName").and_then(Value::as_str);
        let cause = match named {
            None if old.is_some() => return None,
            Some(name) if !classes.iter().any(|class| class.name() == name) => format!("no controller has its class {name}"),
            None if !default => "it names no class, and none is the default".to_string(),
            _ => return None,
        };
        let names: Vec<&str> = classes.iter().map(|class| class.name()).collect();
        let all = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        let name = names.first().copied().unwrap_or("CLASS");
        // ingress-nginx with `watchIngressWithoutClass`, and Traefik without a class of its own, take it all the same.
        let taken = named.is_none() && serves;
        let found = if taken { Finding::risk(place("Ingress", it), cause) } else { Finding::sick(place("Ingress", it), cause) };
        Some(found.shown([format!("ingress classes: {all}")]).by_hand([format!(
            "kubectl -n {} patch ingress {} --type merge -p '{{\"spec\":{{\"ingressClassName\":\"{name}\"}}}}'; `ingress` of the spec brings a controller",
            it.namespace(),
            it.name()
        )]))
    });
    found.collect()
}

/// Controllers by the labels that their charts put on them.
const CONTROLLERS: [&str; 4] = ["traefik", "ingress-nginx", "rke2-ingress-nginx", "haproxy-ingress"];

fn is_controller(pod: &Value) -> bool {
    pod.label("app.kubernetes.io/name").is_some_and(|name| CONTROLLERS.contains(&name))
        && !objects::is_done(pod)
        && !pod.each("/metadata/ownerReferences").iter().any(|it| it.text("/kind") == "Job")
}

pub(super) fn controller(case: &Case<'_>) -> Vec<Finding> {
    let pods: Vec<&Value> = case.list("pods").iter().filter(|pod| is_controller(pod)).collect();
    if pods.is_empty() || pods.iter().any(|pod| objects::is_ready(pod)) || case.list("ingresses").is_empty() {
        return Vec::new();
    }
    let lines = pods.iter().take(3).map(|pod| format!("{}: {}", pod.full_name(), objects::state(pod)));
    let namespace = pods.first().map(|pod| pod.namespace()).unwrap_or_default();
    vec![
        Finding::sick(Place::cluster(), "no pod of the ingress controller is ready, so nobody answers for any name")
            .shown(lines)
            .by_hand([format!("kubectl -n {namespace} get pods; kubectl -n {namespace} describe pods")]),
    ]
}

/// The Services that an ingress leads to: name, and number or name of the port.
fn backends(ingress: &Value) -> Vec<(&str, &Value)> {
    let paths = ingress.each("/spec/rules").iter().flat_map(|rule| rule.each("/http/paths"));
    let all = paths
        .filter_map(|path| path.pointer("/backend/service"))
        .chain(ingress.pointer("/spec/defaultBackend/service"));
    all.map(|service| (service.text("/name"), &service["port"])).collect()
}

pub(super) fn no_service(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for ingress in case.list("ingresses").iter().filter(|_| case.has("services")) {
        for (name, port) in backends(ingress) {
            let service =
                case.list("services").iter().find(|it| it.name() == name && it.namespace() == ingress.namespace());
            let (number, word) = (port.count("/number"), port.text("/name"));
            let cause = match service {
                None => format!("it leads to the Service {name}, which is not there"),
                Some(service)
                    if !service
                        .each("/spec/ports")
                        .iter()
                        .any(|it| it.count("/port") == number || (!word.is_empty() && it.text("/name") == word)) =>
                {
                    let wanted = if word.is_empty() { number.to_string() } else { word.to_string() };
                    format!("it leads to port {wanted} of the Service {name}, which has no such port")
                }
                Some(_) => continue,
            };
            let there: Vec<&str> = case
                .list("services")
                .iter()
                .filter(|it| it.namespace() == ingress.namespace())
                .map(|it| it.name())
                .collect();
            found.push(
                Finding::sick(place("Ingress", ingress), cause)
                    .shown([format!("Services of {}: {}", ingress.namespace(), there.join(", "))])
                    .by_hand([format!("kubectl -n {} edit ingress {}", ingress.namespace(), ingress.name())]),
            );
        }
    }
    found
}

fn selected<'a>(case: &Case<'a>, service: &Value) -> Vec<&'a Value> {
    let Some(selector) = service.pointer("/spec/selector") else { return Vec::new() };
    let pods = case.pods_in(service.namespace()).iter().copied();
    pods.filter(|pod| objects::selects(selector, pod.pointer("/metadata/labels"))).collect()
}

/// Services that somebody comes in by or asks: by their type, an ingress, a webhook or a part of the API.
fn asked<'a>(case: &Case<'a>) -> BTreeSet<(&'a str, &'a str)> {
    let by_type =
        case.list("services").iter().filter(|it| matches!(it.text("/spec/type"), "LoadBalancer" | "NodePort"));
    let ingresses = case.list("ingresses").iter();
    let ingresses = ingresses.flat_map(|it| backends(it).into_iter().map(|(name, _)| (it.namespace(), name)));
    let hooks = ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"].into_iter();
    let hooks = hooks.flat_map(|kind| case.list(kind)).flat_map(|it| it.each("/webhooks"));
    let hooks = hooks.map(|it| (it.text("/clientConfig/service/namespace"), it.text("/clientConfig/service/name")));
    let parts = case.list("apiservices").iter();
    let parts = parts.map(|it| (it.text("/spec/service/namespace"), it.text("/spec/service/name")));
    by_type.map(|it| (it.namespace(), it.name())).chain(ingresses).chain(hooks).chain(parts).collect()
}

pub(super) fn no_endpoints(case: &Case<'_>) -> Vec<Finding> {
    let has_selector =
        |it: &&Value| it.pointer("/spec/selector").and_then(Value::as_object).is_some_and(|it| !it.is_empty());
    let services = case.list("services").iter().filter(|it| case.has("endpointslices") && has_selector(it));
    let asked = asked(case);
    let dead = services.filter(|it| !answers(case, it.namespace(), it.name()));
    // A workload that is scaled to nothing is meant so.
    let found = dead.filter_map(|service| {
        let pods = selected(case, service);
        let wanted = ["deployments", "statefulsets", "daemonsets"].iter().flat_map(|kind| case.list(kind)).any(|it| {
            let labels = it.pointer("/spec/template/metadata/labels");
            it.namespace() == service.namespace()
                && objects::selects(&service["spec"]["selector"], labels)
                && it.count("/spec/replicas") == 0
                && it.pointer("/spec/replicas").is_some()
        });
        (!wanted).then(|| {
            let (cause, lines) = match pods.as_slice() {
                [] => (
                    "no pod has the labels that it selects",
                    vec![format!("selector: {}", service["spec"]["selector"])],
                ),
                pods => (
                    "none of its pods is ready",
                    pods.iter().take(4).map(|pod| format!("{}: {}", pod.name(), objects::state(pod))).collect(),
                ),
            };
            // One that nobody comes in by may be meant so: of a job, of who leads just now, of a part that is turned off.
            let found = match asked.contains(&(service.namespace(), service.name())) || !pods.is_empty() {
                true => Finding::sick(place("Service", service), cause),
                false => Finding::risk(place("Service", service), cause),
            };
            found.shown(lines).by_hand([
                format!("kubectl -n {} get pods --show-labels", service.namespace()),
                format!("kubectl -n {} describe service {}", service.namespace(), service.name()),
            ])
        })
    });
    found.collect()
}

/// The ports of a pod's containers, and of those that run beside them although they begin before.
/// <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>
fn container_ports(pod: &Value) -> impl Iterator<Item = &Value> {
    let beside = pod.each("/spec/initContainers").iter().filter(|it| it.text("/restartPolicy") == "Always");
    pod.each("/spec/containers").iter().chain(beside).flat_map(|it| it.each("/ports"))
}

/// A port that is told by its name has to be one of a container; a number reaches the pod whether it is told there or not.
pub(super) fn wrong_port(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let named = |service: &&Value| service.each("/spec/ports").iter().any(|port| !port.text("/targetPort").is_empty());
    for service in case.list("services").iter().filter(named) {
        let pods = selected(case, service);
        for port in service.each("/spec/ports") {
            let name = port.text("/targetPort");
            let has = |pod: &&Value| container_ports(pod).any(|it| it.text("/name") == name);
            let Some(pod) = pods.first().filter(|_| !name.is_empty() && !pods.iter().any(has)) else {
                continue;
            };
            let names: Vec<String> =
                container_ports(pod).map(|it| format!("{}={}", it.text("/name"), it.count("/containerPort"))).collect();
            found.push(
                Finding::sick(
                    place("Service", service),
                    format!("it sends to the port called {name}, and no container of its pods has one"),
                )
                .shown([format!("ports of {}: {}", pod.name(), names.join(", "))])
                .by_hand([format!(
                    "kubectl -n {} edit service {}",
                    service.namespace(),
                    service.name()
                )]),
            );
        }
    }
    found
}
