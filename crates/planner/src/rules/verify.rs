//! 08xx, the part about what proves that the cluster works.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use kubewright_model::codes::{self, Code};
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::verify::UrlCheck;

use super::routes::{is_gitops, namespaces};
use super::{Facts, at, counted, near};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    pods(facts, found);
    within(facts, found);
    let verify = &facts.spec.verify;
    urls(facts, &verify.urls, "urls", found);
    urls(facts, &verify.each_node, "eachNode", found);
    services(facts, found);
    never(facts, found);
    let mut say = |code: Code, path: SpecPath, message: String, help: &str| {
        found.push(Diagnostic::new(code, path, message).help(help));
    };
    for (name, check) in verify.each_node.iter().filter(|(_, check)| !check.url.contains("{node}")) {
        let path = at("verify/eachNode").then(name).then("url");
        let message = format!("`{}` is the same place for every node", check.url);
        say(codes::EACH_NODE, path, message, "write `{node}` for the node's address, or put it under `urls`");
    }
    let checks = [("urls", &verify.urls), ("eachNode", &verify.each_node)].into_iter().flat_map(|(place, map)| {
        map.iter().map(move |(name, check)| (at("verify").then(place).then(name).then("status"), &check.status))
    });
    let balancers = facts.spec.load_balancers.iter().flat_map(|(name, balancer)| {
        balancer.listen.iter().enumerate().filter_map(move |(index, listener)| {
            let path = at("loadBalancers").then(name).then("listen").then(index).then("health").then("status");
            Some((path, &listener.health.as_ref()?.status))
        })
    });
    for (path, status) in checks.chain(balancers) {
        for (index, number) in status.iter().enumerate().filter(|(_, number)| !(100..600).contains(*number)) {
            let message = format!("HTTP has no answer {number}");
            say(codes::STATUS_FORM, path.then(index), message, "write for example 200");
        }
    }
}

fn pods(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let known = namespaces(facts);
    let nodes = facts.nodes.iter().filter(|node| node.is_node()).count();
    for (index, check) in facts.spec.verify.pods.iter().enumerate() {
        let path = at("verify/pods").then(index);
        if let (Some(known), Some(namespace)) = (&known, &check.namespace)
            && !known.contains(namespace.as_str())
        {
            let message = format!("nothing makes the namespace `{namespace}`");
            let names = known.iter().map(String::as_str);
            let help = near(namespace.as_str(), names, "correct it, or list it under `namespaces`");
            found.push(Diagnostic::new(codes::VERIFY_NAMESPACE, path.then("namespace"), message).help(help));
        }
        // What has one pod on each node has no more.
        if check.per_node && check.at_least as usize > nodes {
            let nodes = counted(nodes as u128, "node");
            let message = format!("with one pod on each of {nodes} there are never {}", check.at_least);
            let path = path.then("atLeast");
            found.push(Diagnostic::new(codes::VERIFY_NEVER, path, message).help("remove `atLeast`"));
        }
    }
}

/// Workloads and Services are in namespaces that something makes.
fn within(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let Some(known) = namespaces(facts) else { return };
    let verify = &facts.spec.verify;
    let workloads = verify.workloads.iter().enumerate();
    let workloads =
        workloads.map(|(index, check)| (&check.namespace, at("verify/workloads").then(index).then("namespace")));
    let objects = verify.objects.iter().enumerate().filter_map(|(index, check)| {
        Some((check.namespace.as_ref()?, at("verify/objects").then(index).then("namespace")))
    });
    let services = verify.addresses.iter().enumerate();
    let services = services.map(|(index, key)| (&key.namespace, at("verify/addresses").then(index)));
    for (namespace, path) in workloads.chain(objects).chain(services).filter(|(name, _)| !known.contains(name.as_str()))
    {
        let message = format!("nothing makes the namespace `{namespace}`");
        let names = known.iter().map(String::as_str);
        let help = near(namespace.as_str(), names, "correct it, or list it under `namespaces`");
        found.push(Diagnostic::new(codes::VERIFY_NAMESPACE, path, message).help(help));
    }
}

/// Hosts that are asked for have a route, where this file can know.
fn urls(facts: &Facts<'_>, checks: &IndexMap<String, UrlCheck>, place: &str, found: &mut Vec<Diagnostic>) {
    let addons = &facts.spec.addons;
    let routes = &facts.spec.ingress.routes;
    if routes.is_empty() || !addons.charts.is_empty() || !addons.manifests.is_empty() || is_gitops(facts) {
        return;
    }
    for (name, check) in checks {
        let Some(host) = &check.host else { continue };
        let wildcard = host.split_once('.').is_some_and(|(_, rest)| routes.contains_key(&format!("*.{rest}")));
        if !routes.contains_key(host) && !wildcard {
            let message = format!("no route has the host `{host}`");
            let help = near(host, routes.keys().map(String::as_str), "add it to `ingress.routes`");
            let path = at("verify").then(place).then(name).then("host");
            found.push(Diagnostic::new(codes::VERIFY_HOST, path, message).help(help));
        }
    }
}

fn services(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let checks = &facts.spec.verify.services;
    let nodes: BTreeSet<&str> = match checks.is_empty() {
        true => BTreeSet::new(),
        false => facts.nodes.iter().map(|node| node.name.as_str()).collect(),
    };
    let known = namespaces(facts);
    for (name, check) in checks {
        let path = at("verify/services").then(name);
        if check.at.is_some() == check.service.is_some() {
            let what = if check.at.is_some() { "both `at` and `service`" } else { "neither `at` nor `service`" };
            let message = format!("the check `{name}` has {what}");
            let help = "write exactly one of the two";
            found.push(Diagnostic::new(codes::VERIFY_SERVICE, path.clone(), message).help(help));
        }
        if let Some(from) = check.from.as_ref().filter(|from| !nodes.contains(from.as_str())) {
            let message = format!("there is no node `{from}`");
            let help = near(from.as_str(), nodes.iter().copied(), "write the name of a node");
            found.push(Diagnostic::new(codes::VERIFY_NODE, path.then("from"), message).help(help));
        }
        if let (Some(known), Some(service)) = (&known, &check.service)
            && !known.contains(service.namespace.as_str())
        {
            let message = format!("nothing makes the namespace `{}`", service.namespace);
            let names = known.iter().map(String::as_str);
            let help = near(service.namespace.as_str(), names, "correct it, or list it under `namespaces`");
            found.push(Diagnostic::new(codes::VERIFY_NAMESPACE, path.then("service"), message).help(help));
        }
    }
}

/// Checks of what nothing makes.
fn never(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let verify = &facts.spec.verify;
    let addons = &facts.spec.addons;
    let perhaps = !addons.charts.is_empty() || !addons.manifests.is_empty() || is_gitops(facts);
    let mut say = |place: &str, message: String, help: &str| {
        found.push(Diagnostic::new(codes::VERIFY_NEVER, at(place), message).help(help));
    };
    if verify.load_balancers && facts.spec.load_balancers.is_empty() {
        let message = "there are no load balancers whose targets could be healthy".to_string();
        say("verify/loadBalancers", message, "remove it, or describe them under `loadBalancers`");
    }
    if verify.applications.is_some() && addons.argocd.is_none() && !perhaps {
        let message = "there is no Argo CD that could have applications".to_string();
        say("verify/applications", message, "remove it, or add `addons.argocd`");
    }
    let Some(certificates) = &verify.certificates else { return };
    let issuers = addons.cert_manager.as_ref().map(|it| &it.issuers);
    if perhaps {
        return;
    }
    if issuers.is_none() {
        let message = "there is no cert-manager that could make certificates".to_string();
        say("verify/certificates", message, "remove it, or add `addons.certManager`");
    }
    for name in
        issuers.iter().flat_map(|issuers| certificates.issuers.iter().filter(|name| !issuers.contains_key(*name)))
    {
        let message = format!("there is no issuer `{name}`");
        say("verify/certificates/issuers", message, "correct it, or add it to `addons.certManager.issuers`");
    }
}
