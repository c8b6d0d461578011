//! Argo CD's applications, and cert-manager's certificates and issuers.

use std::collections::BTreeMap;

use kubewright_model::doctor::{Finding, Place};
use serde_json::Value;

use super::case::Case;
use super::objects::Object as _;

/// The part of a plan that waits for applications.
const ARGOCD: &str = "argocd";

fn place(kind: &str, object: &Value) -> Place {
    let namespace = Some(object.namespace()).filter(|it| !it.is_empty());
    Place { kind: kind.into(), namespace: namespace.map(Into::into), name: object.name().into(), node: None }
}

/// Everything that an application says of what is wrong with it.
fn said(application: &Value) -> Vec<&str> {
    let conditions = application.each("/status/conditions").iter().map(|it| it.text("/message"));
    conditions.chain([application.text("/status/operationState/message")]).filter(|it| !it.is_empty()).collect()
}

fn is_eof(words: &str) -> bool {
    words.contains("error reading from server: EOF")
}

/// The name in `namespaces "cert-manager" not found`.
fn missing_namespace(words: &str) -> Option<&str> {
    let (_, rest) = words.split_once("namespaces \"")?;
    let (name, rest) = rest.split_once('"')?;
    rest.trim_start().starts_with("not found").then_some(name)
}

pub(super) fn eof(case: &Case<'_>) -> Vec<Finding> {
    let applications = case.list("applications").iter();
    let hit: Vec<(&Value, &str)> =
        applications.filter_map(|it| Some((it, said(it).into_iter().find(|it| is_eof(it))?))).collect();
    let Some((first, _)) = hit.first() else { return Vec::new() };
    let namespace = first.namespace();
    let found =
        Finding::sick(Place::cluster(), format!("Argo CD's repo-server breaks off for {} applications", hit.len()))
            .shown(hit.iter().take(3).map(|(it, words)| format!("{}: {words}", it.name())));
    vec![match case.desired.applications.is_some() {
        // A run that waits for applications starts the repo-server anew itself.
        true => found.applied([ARGOCD]),
        false => found.by_hand([format!(
            "kubectl -n {namespace} rollout restart deployment -l app.kubernetes.io/name=argocd-repo-server"
        )]),
    }]
}

pub(super) fn namespaces(case: &Case<'_>) -> Vec<Finding> {
    let mut by: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for it in case.list("applications") {
        for words in said(it) {
            if let Some(name) = missing_namespace(words) {
                by.entry(name).or_default().push(format!("Application {}: {words}", it.name()));
            }
        }
    }
    for event in case.list("events") {
        if let Some(name) = missing_namespace(event.text("/message")) {
            by.entry(name).or_default().push(format!(
                "{}: {}",
                event.text("/involvedObject/name"),
                event.text("/message")
            ));
        }
    }
    let there = |name: &str| case.list("namespaces").iter().any(|it| it.name() == name);
    let found = by.into_iter().filter(|(name, _)| !there(name)).map(|(name, lines)| {
        let place = Place { kind: "Namespace".into(), name: name.into(), namespace: None, node: None };
        let found = Finding::sick(place, "it is not there, and somebody wants to put objects into it")
            .shown(lines.into_iter().take(3));
        match case.desired.applications.is_some() {
            true => found.applied([ARGOCD]),
            false => found.by_hand([
                "in the application: spec.syncPolicy.syncOptions: [CreateNamespace=true]".to_string(),
                format!("or now: kubectl create namespace {name}; `namespaces` of the spec keeps it"),
            ]),
        }
    });
    found.collect()
}

/// What has a check of its own is not told again.
fn has_own(words: &[&str]) -> bool {
    words.iter().any(|it| is_eof(it) || missing_namespace(it).is_some())
}

pub(super) fn synced(case: &Case<'_>) -> Vec<Finding> {
    let out = case.list("applications").iter().filter(|it| {
        let failed = matches!(it.text("/status/operationState/phase"), "Failed" | "Error");
        failed || it.each("/status/conditions").iter().any(|it| it.text("/type").ends_with("Error"))
    });
    out.filter(|it| !has_own(&said(it)))
        .map(|it| {
            let state = format!(
                "sync: {}, last operation: {}",
                it.text("/status/sync/status"),
                it.text("/status/operationState/phase")
            );
            Finding::sick(place("Application", it), "its synchronisation fails")
                .shown([state])
                .shown(said(it).into_iter().take(3).map(|it| it.chars().take(300).collect::<String>()))
                .by_hand([format!(
                    "kubectl -n {} get application {} -o yaml; argocd app sync {}",
                    it.namespace(),
                    it.name(),
                    it.name()
                )])
        })
        .collect()
}

pub(super) fn healthy(case: &Case<'_>) -> Vec<Finding> {
    let ill = case
        .list("applications")
        .iter()
        .filter(|it| matches!(it.text("/status/health/status"), "Degraded" | "Missing"));
    ill.map(|it| {
        let parts = it.each("/status/resources").iter().filter(|it| it.text("/health/status") == "Degraded");
        let parts =
            parts.map(|it| format!("{} {}: {}", it.text("/kind"), it.text("/name"), it.text("/health/message")));
        Finding::sick(place("Application", it), format!("its health is {}", it.text("/status/health/status")))
            .shown([format!("sync: {}", it.text("/status/sync/status"))])
            .shown(parts.take(3))
            .by_hand([format!("argocd app get {}", it.name())])
    })
    .collect()
}

/// <https://cert-manager.io/docs/troubleshooting/>
fn not_ready(
    case: &Case<'_>,
    lists: &[(&str, &str)],
    cause: &str,
    help: impl Fn(&Value) -> Vec<String>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for (list, kind) in lists {
        for it in case.list(list) {
            let Some(ready) = it.condition("Ready").filter(|it| it.text("/status") == "False") else { continue };
            let why = format!("{}: {}", ready.text("/reason"), ready.text("/message"));
            found.push(Finding::sick(place(kind, it), cause).shown([why]).by_hand(help(it)));
        }
    }
    found
}

pub(super) fn issuers(case: &Case<'_>) -> Vec<Finding> {
    not_ready(case, &[("clusterissuers", "ClusterIssuer"), ("issuers", "Issuer")], "it issues no certificates", |it| {
        vec![format!("kubectl describe clusterissuer {}: is its Secret there, and is its account right?", it.name())]
    })
}

pub(super) fn certificates(case: &Case<'_>) -> Vec<Finding> {
    not_ready(case, &[("certificates", "Certificate")], "it is not issued", |it| {
        vec![format!(
            "kubectl -n {} get certificaterequests,orders,challenges; cmctl status certificate {}",
            it.namespace(),
            it.name()
        )]
    })
}
