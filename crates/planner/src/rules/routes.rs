//! 05xx, the part about routes by host name; and which namespaces there will be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::Distribution;
use kubewright_model::spec::formats::dns_subdomain;
use kubewright_model::spec::ingress::Route;
use serde_json::Value;

use super::{Facts, at, near};
use crate::addons;
use crate::context::groups::GIVEN_NAMESPACES;

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    controller(facts, found);
    twice(facts, found);
    let namespaces = namespaces(facts);
    for (host, route) in &facts.spec.ingress.routes {
        let path = at("ingress/routes").then(host);
        if let Err(why) = host_name(host) {
            let message = format!("`{host}` is no host name: {why}");
            let help = "write a DNS name, for example `grafana.example.org`";
            found.push(Diagnostic::new(codes::ROUTE_HOST, path.clone(), message).help(help));
        }
        issuer(facts, route, &path, found);
        let namespace = route.to.namespace.as_str();
        if namespaces.as_ref().is_some_and(|known| !known.contains(namespace)) {
            let message = format!("nothing makes the namespace `{namespace}` that `{host}` leads into");
            let known = namespaces.iter().flatten().map(String::as_str);
            let help = near(namespace, known, "correct it, or list it under `namespaces`");
            found.push(Diagnostic::new(codes::ROUTE_NAMESPACE, path.then("to"), message).help(help));
        } else {
            service(facts, route, &path, found);
        }
    }
}

/// Routes need someone to follow them.
fn controller(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let ingress = &facts.spec.ingress;
    let brought = matches!(facts.spec.kubernetes.distribution, Distribution::K3s | Distribution::Rke2);
    let addons = &facts.spec.addons;
    // Any of these may bring a controller that this file does not know as one.
    let perhaps = !addons.charts.is_empty() || !addons.manifests.is_empty() || is_gitops(facts);
    let own = ingress.traefik.is_some() || ingress.nginx.is_some() || (brought && !ingress.none);
    if !ingress.routes.is_empty() && !own && !perhaps {
        let message = match ingress.none {
            true => "there are routes, and no ingress controller is wanted".to_string(),
            false => format!(
                "there are routes, and {} brings no ingress controller",
                facts.spec.kubernetes.distribution.title()
            ),
        };
        let help = "write `ingress.nginx` or `ingress.traefik`, or remove the routes";
        found.push(Diagnostic::new(codes::ROUTE_WITHOUT_INGRESS, at("ingress/routes"), message).help(help));
    }
}

/// Whether a Git repository adds to the cluster what this file does not know.
pub(super) fn is_gitops(facts: &Facts<'_>) -> bool {
    facts.spec.addons.argocd.as_ref().is_some_and(|argocd| argocd.root.is_some())
}

/// A DNS name in lower case, or one with `*.` before it.
fn host_name(host: &str) -> Result<(), String> {
    if host.parse::<IpAddr>().is_ok() {
        return Err("it is an address".into());
    }
    dns_subdomain(host.strip_prefix("*.").unwrap_or(host))
}

/// Host names are the same whatever their case, and manifests may hold routes too.
fn twice(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let routes = facts.spec.ingress.routes.iter();
    let mut all: Vec<(String, String, SpecPath)> = routes
        .map(|(host, route)| (host.to_lowercase(), route.path.clone(), at("ingress/routes").then(host)))
        .collect();
    for (name, source) in &facts.spec.addons.manifests {
        for (index, object) in source.objects.iter().enumerate() {
            if object.get("kind").and_then(Value::as_str) == Some("Ingress")
                && let Some(spec) = object.get("spec")
            {
                let path = at("addons/manifests").then(name).then("objects").then(index).then("spec");
                written_out(spec, &path, &mut all);
            }
        }
    }
    let mut seen: BTreeMap<(String, String), SpecPath> = BTreeMap::new();
    for (host, route, path) in all {
        if let Some(other) = seen.get(&(host.clone(), route.clone())) {
            let message = format!("`{host}{route}` has a route already: `{other}`");
            let help = "remove one of the two, or give it another path";
            found.push(Diagnostic::new(codes::ROUTE_TWICE, path, message).help(help));
        } else {
            seen.insert((host, route), path);
        }
    }
}

/// The hosts and paths of an Ingress that is written out in full.
fn written_out(spec: &Value, path: &SpecPath, all: &mut Vec<(String, String, SpecPath)>) {
    for (index, rule) in spec.get("rules").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let Some(host) = rule.get("host").and_then(Value::as_str) else { continue };
        for one in rule.pointer("/http/paths").and_then(Value::as_array).into_iter().flatten() {
            let route = one.get("path").and_then(Value::as_str).unwrap_or("/");
            all.push((host.to_lowercase(), route.to_string(), path.then("rules").then(index)));
        }
    }
}

fn issuer(facts: &Facts<'_>, route: &Route, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let Some(issuer) = &route.issuer else { return };
    let addons = &facts.spec.addons;
    let known = addons.cert_manager.as_ref().map(|cert_manager| &cert_manager.issuers);
    let elsewhere = is_gitops(facts) || !addons.manifests.is_empty();
    if elsewhere || known.is_some_and(|known| known.contains_key(issuer)) {
        return;
    }
    let message = format!("there is no issuer `{issuer}`");
    let names = known.into_iter().flat_map(|known| known.keys()).map(|name| name.as_str());
    let help = near(issuer.as_str(), names, "describe it under `addons.certManager.issuers`");
    found.push(Diagnostic::new(codes::ROUTE_ISSUER, path.then("issuer"), message).help(help));
}

/// The namespaces that the cluster will have; none where this file cannot know them all.
pub(super) fn namespaces(facts: &Facts<'_>) -> Option<BTreeSet<String>> {
    let spec = facts.spec;
    let manifests = &spec.addons.manifests;
    if is_gitops(facts) || manifests.values().any(|source| source.file.is_some()) {
        return None;
    }
    let mut known: BTreeSet<String> = GIVEN_NAMESPACES.map(String::from).into_iter().collect();
    known.extend(addons::namespaces(&spec.addons).iter().map(ToString::to_string));
    known.extend(spec.namespaces.iter().map(|namespace| namespace.to_string()));
    known.extend(facts.releases.iter().map(|(_, namespace)| namespace.to_string()));
    let keys = spec.config_maps.keys().chain(spec.secrets.objects.keys()).chain(spec.secrets.config_maps.keys());
    known.extend(keys.map(|key| key.namespace.to_string()));
    for object in manifests.values().flat_map(|source| &source.objects) {
        let metadata = object.get("metadata");
        let text = |key: &str| metadata.and_then(|it| it.get(key)).and_then(Value::as_str).map(str::to_string);
        known.extend(text("namespace"));
        if object.get("kind").and_then(Value::as_str) == Some("Namespace") {
            known.extend(text("name"));
        }
    }
    Some(known)
}

/// Services whose names and ports the charts of our add-ons fix.
fn services(facts: &Facts<'_>) -> Vec<(String, &'static str, u16)> {
    let addons = &facts.spec.addons;
    let mut known = Vec::new();
    if let Some(monitoring) = &addons.monitoring {
        let release = monitoring.release.as_ref().map_or("prometheus", |release| release.as_str());
        // The chart's own name for its parts: shortened to 26 characters, and the release's alone if it has the name.
        let full = if release.contains("kube-prometheus-stack") {
            release.to_string()
        } else {
            format!("{release}-kube-prometheus-stack")
        };
        let full: String = full.chars().take(26).collect();
        let full = full.trim_end_matches('-');
        known.push((format!("{release}-grafana"), "monitoring", 80));
        known.push((format!("{full}-prometheus"), "monitoring", 9090));
        known.push((format!("{full}-alertmanager"), "monitoring", 9093));
    }
    known.extend(addons.loki.as_ref().map(|_| ("loki".to_string(), "loki", 3100)));
    // Elasticsearch's own speaks HTTPS, which no route of ours leads to.
    let kibana = addons.elasticsearch.as_ref().filter(|it| it.kibana);
    known.extend(kibana.map(|_| ("kibana-kb-http".to_string(), "elasticsearch", 5601)));
    known.extend(addons.vault.as_ref().map(|_| ("vault".to_string(), "vault", 8200)));
    known
}

/// A Service of an add-on has the name and the port that its chart gives it.
fn service(facts: &Facts<'_>, route: &Route, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let addons = &facts.spec.addons;
    let of = |namespace: Option<&kubewright_model::ids::Namespace>, usual: &str| {
        namespace.map_or(usual, |namespace| namespace.as_str()) == route.to.namespace.as_str()
    };
    let here = |part: &str| match part {
        "monitoring" => addons.monitoring.as_ref().is_some_and(|it| of(it.namespace.as_ref(), "monitoring")),
        "elasticsearch" => addons.elasticsearch.as_ref().is_some_and(|it| of(it.namespace.as_ref(), "logging")),
        "loki" => addons.loki.as_ref().is_some_and(|it| of(it.namespace.as_ref(), "monitoring")),
        _ => addons.vault.as_ref().is_some_and(|it| of(it.namespace.as_ref(), "vault")),
    };
    let known: Vec<_> = services(facts).into_iter().filter(|(_, part, _)| here(part)).collect();
    let to = &route.to;
    let message = match known.iter().find(|(name, ..)| name == to.name.as_str()) {
        Some((name, _, port)) if *port != to.port => format!("the Service `{name}` has port {port}, not {}", to.port),
        Some(_) => return,
        None => {
            // Other Services than these exist too; only one that is written almost like a known one is worth a word.
            let names = known.iter().map(|(name, ..)| name.as_str());
            let Some(close) = kubewright_model::diagnostic::nearest(to.name.as_str(), names) else { return };
            if strays(to.name.as_str(), close) {
                return;
            }
            format!("`{}` is almost the Service `{close}`", to.name)
        }
    };
    let usual: Vec<String> = known.iter().map(|(name, _, port)| format!("{}/{name}:{port}", to.namespace)).collect();
    let help = format!("known here: {}", usual.join(", "));
    found.push(Diagnostic::new(codes::ROUTE_SERVICE, path.then("to"), message).help(help));
}

/// Whether a name that is like another is so only because it begins with it: `vault-ui` is a Service of its own.
fn strays(name: &str, close: &str) -> bool {
    name.starts_with(close) || close.starts_with(name) || name.len().abs_diff(close.len()) > 2
}
