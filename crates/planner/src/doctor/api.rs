//! What the API asks before it answers, and what keeps objects from going.

use kubewright_model::doctor::{Finding, Place};
use serde_json::Value;

use super::case::Case;
use super::objects::{self, Object as _};

/// What was told to go goes in minutes, but for a volume with its data.
const GOING: u64 = 10 * 60;

/// Whether a Service has somebody who answers.
pub(super) fn answers(case: &Case<'_>, namespace: &str, name: &str) -> bool {
    case.is_served(namespace, name)
}

pub(super) fn webhooks(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (list, kind) in [
        ("validatingwebhookconfigurations", "ValidatingWebhookConfiguration"),
        ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
    ] {
        for it in case.list(list).iter().filter(|_| case.has("endpointslices")) {
            let dead = it.each("/webhooks").iter().find(|hook| {
                let (namespace, name) =
                    (hook.text("/clientConfig/service/namespace"), hook.text("/clientConfig/service/name"));
                hook.text("/failurePolicy") != "Ignore" && !name.is_empty() && !answers(case, namespace, name)
            });
            let Some(hook) = dead else { continue };
            let (namespace, name) =
                (hook.text("/clientConfig/service/namespace"), hook.text("/clientConfig/service/name"));
            let place = Place { kind: kind.into(), name: it.name().into(), namespace: None, node: None };
            found.push(
                Finding::sick(
                    place,
                    format!("it asks the Service {namespace}/{name}, which has nobody who answers, and refuses then"),
                )
                .shown([format!("{}: failurePolicy: Fail, service: {namespace}/{name}", hook.text("/name"))])
                .shown(said(case, name))
                .by_hand([
                    format!("bring its pods back: kubectl -n {namespace} get pods"),
                    format!(
                        "only where its program is gone for good: kubectl delete {} {}",
                        kind.to_lowercase(),
                        it.name()
                    ),
                ]),
            );
        }
    }
    found
}

/// What the API has said of a webhook that did not answer.
fn said(case: &Case<'_>, service: &str) -> Option<String> {
    let all = case.list("events").iter().map(|event| event.text("/message"));
    all.filter(|it| it.contains("failed calling webhook"))
        .find(|it| it.contains(service))
        .map(|it| it.chars().take(300).collect())
}

pub(super) fn services(case: &Case<'_>) -> Vec<Finding> {
    let down = |it: &&Value| it.condition("Available").is_some_and(|it| it.text("/status") == "False");
    let found = case.list("apiservices").iter().filter(down).map(|it| {
        let why = it.condition("Available").map(|it| format!("{}: {}", it.text("/reason"), it.text("/message")));
        let (namespace, name) = (it.text("/spec/service/namespace"), it.text("/spec/service/name"));
        let place = Place { kind: "APIService".into(), name: it.name().into(), namespace: None, node: None };
        Finding::sick(place, format!("this part of the API is served by {namespace}/{name}, which does not answer"))
            .shown(why)
            .by_hand([
                format!("kubectl -n {namespace} get pods; kubectl -n {namespace} logs service/{name}"),
                format!("only where its program is gone for good: kubectl delete apiservice {}", it.name()),
            ])
    });
    found.collect()
}

pub(super) fn namespaces(case: &Case<'_>) -> Vec<Finding> {
    let found = case.list("namespaces").iter().filter_map(|it| {
        let since = objects::moment(it.text("/metadata/deletionTimestamp"))?;
        let long = case.evidence.now.checked_sub(since).filter(|long| *long > GOING)?;
        let why = it.each("/status/conditions").iter().filter(|it| it.text("/status") == "True");
        let why = why.map(|it| format!("{}: {}", it.text("/type"), it.text("/message")));
        let place = Place { kind: "Namespace".into(), name: it.name().into(), namespace: None, node: None };
        Some(
            Finding::sick(place, format!("it was deleted {} minutes ago and does not go", long / 60)).shown(why).by_hand([
                format!("kubectl api-resources --verbs=list --namespaced -o name | xargs -n1 kubectl get --show-kind --ignore-not-found -n {}", it.name()),
                "take the finalizers of what is left away only when you know what they wait for: kubectl patch KIND NAME --type merge -p '{\"metadata\":{\"finalizers\":null}}'".into(),
            ]),
        )
    });
    found.collect()
}

/// Kinds whose objects are seen to hang on finalizers.
const STUCK: [(&str, &str); 3] =
    [("persistentvolumeclaims", "PersistentVolumeClaim"), ("services", "Service"), ("applications", "Application")];

pub(super) fn stuck(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (list, kind) in STUCK {
        for it in case.list(list) {
            let since = objects::moment(it.text("/metadata/deletionTimestamp"));
            let long = since.and_then(|since| case.evidence.now.checked_sub(since)).filter(|long| *long > GOING);
            let keeps: Vec<&str> = it.each("/metadata/finalizers").iter().filter_map(Value::as_str).collect();
            let Some(long) = long.filter(|_| !keeps.is_empty()) else { continue };
            let place =
                Place { kind: kind.into(), namespace: Some(it.namespace().into()), name: it.name().into(), node: None };
            let help = match list {
                "persistentvolumeclaims" => "a pod still uses it: kubectl describe pvc tells which",
                "services" => "the controller that gave it its address takes it off: is it still there?",
                _ => "Argo CD deletes what it has made first: are its controller and the cluster it deploys to there?",
            };
            found.push(
                Finding::sick(
                    place,
                    format!("it was deleted {} minutes ago, and {} keeps it", long / 60, keeps.join(", ")),
                )
                .shown([format!("finalizers: {}", keeps.join(", "))])
                .by_hand([help]),
            );
        }
    }
    found
}
