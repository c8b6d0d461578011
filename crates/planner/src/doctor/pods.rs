//! Pods and what makes them.

use std::collections::BTreeMap;

use kubewright_model::doctor::{Finding, Place};
use kubewright_model::object::Manifest;
use serde_json::Value;

use super::case::Case;
use super::images::{events, owner, place};
use super::objects::{self, Object as _};

/// A pod that was told to go has at least so long; a drain gives no more either.
const GOING: u64 = 10 * 60;

/// A container that was killed so long ago and has run since has found what it needs.
const LATELY: u64 = 60 * 60;

fn describe(pod: &Value) -> String {
    format!("kubectl -n {} describe pod {}", pod.namespace(), pod.name())
}

pub(super) fn crashes(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for pod in case.list("pods") {
        for it in objects::containers(pod).filter(|it| it.waits() == "CrashLoopBackOff" && it.ended() != "OOMKilled") {
            let (name, times) = (it.spec.text("/name"), it.status.count("/restartCount"));
            let code = it.status.count("/lastState/terminated/exitCode");
            found.push(
                Finding::sick(place(pod), format!("{name} ends over and over: {times} times, with {code}"))
                    .shown([it.waits_message()])
                    .shown(it.last_words().lines().take(3))
                    .by_hand([format!("kubectl -n {} logs {} -c {name} --previous", pod.namespace(), pod.name())]),
            );
        }
    }
    found
}

pub(super) fn memory(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for pod in case.list("pods") {
        for it in objects::containers(pod).filter(|it| it.ended() == "OOMKilled") {
            let name = it.spec.text("/name");
            let limit = it.spec.text("/resources/limits/memory");
            let limit = if limit.is_empty() { "no limit of its own" } else { limit };
            // The word stays until it ends the next time, and it may run well since.
            let at = it.status.text("/lastState/terminated/finishedAt");
            let long_ago = objects::moment(at).is_some_and(|at| case.evidence.now.saturating_sub(at) > LATELY);
            let runs = it.status.pointer("/state/running").is_some();
            let killed = match runs && long_ago {
                true => Finding::risk(place(pod), format!("{name} was killed for its memory at {at}, and runs since")),
                false => Finding::sick(place(pod), format!("{name} was killed for its memory")),
            };
            found.push(
                killed
                    .shown([format!(
                        "lastState: OOMKilled, restarts: {}, limits.memory: {limit}",
                        it.status.count("/restartCount")
                    )])
                    .by_hand([format!(
                        "raise resources.limits.memory of {name} in {}, or in its chart's values in the spec",
                        owner(pod)
                    )]),
            );
        }
    }
    found
}

pub(super) fn unschedulable(case: &Case<'_>) -> Vec<Finding> {
    let waits = |pod: &&Value| {
        pod.text("/status/phase") == "Pending"
            && pod.condition("PodScheduled").is_some_and(|it| it.text("/reason") == "Unschedulable")
    };
    // A pod whose claim waits is a matter of the claim.
    let found = case.list("pods").iter().filter(waits).map(|pod| {
        let why = pod.condition("PodScheduled").map(|it| it.text("/message")).unwrap_or_default();
        Finding::sick(place(pod), "no node takes it")
            .shown([why])
            .by_hand([describe(pod), "make room on a node, add one to the spec, or let the pod ask for less".into()])
    });
    found.collect()
}

pub(super) fn evicted(case: &Case<'_>) -> Vec<Finding> {
    let evicted: Vec<&Value> = case.list("pods").iter().filter(|pod| pod.text("/status/reason") == "Evicted").collect();
    let mut by: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    evicted.into_iter().for_each(|pod| by.entry(pod.text("/spec/nodeName")).or_default().push(pod));
    let found = by.into_iter().map(|(node, pods)| {
        let lines = pods.iter().take(3).map(|pod| format!("{}: {}", pod.full_name(), pod.text("/status/message")));
        Finding::risk(
            Place::node(node),
            format!("kubelet has evicted {} pod{} from it", pods.len(), if pods.len() == 1 { "" } else { "s" }),
        )
        .shown(lines)
        .by_hand([
            "kubectl delete pods -A --field-selector=status.phase=Failed   # the remains, once their node is well",
        ])
    });
    found.collect()
}

pub(super) fn terminating(case: &Case<'_>) -> Vec<Finding> {
    let found = case.list("pods").iter().filter_map(|pod| {
        let since = objects::moment(pod.text("/metadata/deletionTimestamp"))?;
        let long = case.evidence.now.checked_sub(since).filter(|long| *long > GOING)?;
        let keeps: Vec<&str> = pod.each("/metadata/finalizers").iter().filter_map(Value::as_str).collect();
        let mut lines = vec![format!("deletionTimestamp: {}", pod.text("/metadata/deletionTimestamp"))];
        lines.extend((!keeps.is_empty()).then(|| format!("finalizers: {}", keeps.join(", "))));
        Some(
            Finding::sick(place(pod), format!("it was told to go {} minutes ago and is still there", long / 60))
                .shown(lines)
                .by_hand([
                    describe(pod),
                    format!(
                        "only where its node is certainly off: kubectl -n {} delete pod {} --force --grace-period=0",
                        pod.namespace(),
                        pod.name()
                    ),
                ]),
        )
    });
    found.collect()
}

/// The events of pods that are not done with one of these reasons and words, each pod once.
pub(super) fn of_events<'a>(case: &Case<'a>, reasons: &[&str], words: &[&str]) -> Vec<(&'a Value, &'a str)> {
    let pods = case.list("pods").iter().filter(|pod| !objects::is_done(pod) && !objects::is_ready(pod));
    let found = pods.filter_map(|pod| {
        let mut all = events(case, pod).filter(|event| reasons.contains(&event.text("/reason")));
        let event =
            all.find(|event| words.is_empty() || words.iter().any(|word| event.text("/message").contains(word)))?;
        Some((pod, event.text("/message")))
    });
    found.collect()
}

pub(super) fn sandbox(case: &Case<'_>) -> Vec<Finding> {
    let found = of_events(case, &["FailedCreatePodSandBox"], &[]).into_iter().map(|(pod, said)| {
        Finding::sick(place(pod), "it gets no network").shown([said]).by_hand([
            format!(
                "on {}: ls /etc/cni/net.d /opt/cni/bin; the network plug-in's pod there tells more",
                pod.text("/spec/nodeName")
            ),
            describe(pod),
        ])
    });
    found.collect()
}

pub(super) fn probes(case: &Case<'_>) -> Vec<Finding> {
    let running = |pod: &Value| pod.text("/status/phase") == "Running";
    let crashes = |pod: &Value| objects::containers(pod).any(|it| it.waits() == "CrashLoopBackOff");
    let all =
        of_events(case, &["Unhealthy"], &["robe failed"]).into_iter().filter(|(pod, _)| running(pod) && !crashes(pod));
    all.map(|(pod, said)| {
        Finding::sick(place(pod), "it runs and is not ready").shown([said]).by_hand([format!(
            "kubectl -n {} logs {}",
            pod.namespace(),
            pod.name()
        )])
    })
    .collect()
}

/// `secret "gandi-credentials" not found`, in an event or in what a container waits for.
fn lacks(case: &Case<'_>, kind: &str) -> Vec<(Place, String, String, String)> {
    let mark = format!("{kind} \"");
    let named = |said: &str| {
        let (_, rest) = said.split_once(mark.as_str())?;
        let (name, rest) = rest.split_once('"')?;
        rest.trim_start().starts_with("not found").then(|| name.to_string())
    };
    let mut found: BTreeMap<(String, String), (Place, String, String, String)> = BTreeMap::new();
    let mut put = |pod: &Value, said: &str| {
        if let Some(name) = named(said) {
            let key = (pod.namespace().to_string(), name.clone());
            found.entry(key).or_insert_with(|| (place(pod), pod.namespace().into(), name, said.to_string()));
        }
    };
    for (pod, said) in of_events(case, &["FailedMount", "Failed"], &[&mark]) {
        put(pod, said);
    }
    for pod in case.list("pods") {
        objects::containers(pod)
            .filter(|it| it.waits() == "CreateContainerConfigError")
            .for_each(|it| put(pod, it.waits_message()));
    }
    found.into_values().collect()
}

pub(super) fn secrets(case: &Case<'_>) -> Vec<Finding> {
    let found = lacks(case, "secret").into_iter().map(|(place, namespace, name, said)| {
        let ours = |it: &Manifest| it.id().is_ok_and(|id| id.kind == "Secret" && id.name.as_str() == name);
        let group = case.desired.objects.iter().find(|group| group.manifests.iter().any(ours));
        let found = Finding::sick(place, format!("the Secret {namespace}/{name} is not there")).shown([said]);
        match group {
            Some(group) => found.applied([format!("objects/{}", group.name)]),
            None => found.by_hand([
                "keep it in the spec, so that a rebuild brings it too: `manifests`, with its values from `kubewright secrets`".to_string(),
                format!("or now: kubectl -n {namespace} create secret generic {name} --from-literal=KEY=VALUE"),
            ]),
        }
    });
    found.collect()
}

pub(super) fn config_maps(case: &Case<'_>) -> Vec<Finding> {
    let found = lacks(case, "configmap").into_iter().map(|(place, namespace, name, said)| {
        Finding::sick(place, format!("the ConfigMap {namespace}/{name} is not there")).shown([said]).by_hand([
            "keep it in the spec: `manifests`".to_string(),
            format!("or now: kubectl -n {namespace} create configmap {name} --from-file=FILE"),
        ])
    });
    found.collect()
}

/// What controllers say when they may not make a pod, each object once.
fn refused(case: &Case<'_>, words: &str, cause: &str, help: impl Fn(&Value) -> Vec<String>) -> Vec<Finding> {
    let all = case
        .list("events")
        .iter()
        .filter(|it| it.text("/reason") == "FailedCreate" && it.text("/message").contains(words));
    let mut by: BTreeMap<String, &Value> = BTreeMap::new();
    all.for_each(|event| {
        by.entry(format!("{}/{}", event.text("/involvedObject/namespace"), event.text("/involvedObject/name")))
            .or_insert(event);
    });
    let found = by.into_values().map(|event| {
        let place = Place {
            kind: event.text("/involvedObject/kind").into(),
            namespace: Some(event.text("/involvedObject/namespace").into()),
            name: event.text("/involvedObject/name").into(),
            node: None,
        };
        Finding::sick(place, cause).shown([event.text("/message")]).by_hand(help(event))
    });
    found.collect()
}

pub(super) fn quota(case: &Case<'_>) -> Vec<Finding> {
    refused(case, "exceeded quota", "its namespace's quota allows no more pods", |event| {
        vec![format!("kubectl -n {} describe resourcequota", event.text("/involvedObject/namespace"))]
    })
}

pub(super) fn security(case: &Case<'_>) -> Vec<Finding> {
    refused(case, "violates PodSecurity", "its namespace's pod security standard refuses its pods", |event| {
        let namespace = event.text("/involvedObject/namespace");
        vec![
            format!(
                "where it may: kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=privileged --overwrite"
            ),
            "or let its pods ask for less, by its chart's values".into(),
        ]
    })
}

/// `disruptionsAllowed` is 0 for a moment in every rollout; where fewer pods are wanted than are there, it stays so.
pub(super) fn budgets(case: &Case<'_>) -> Vec<Finding> {
    let blocks = |it: &&Value| {
        let expected = it.count("/status/expectedPods");
        expected > 0 && it.count("/status/disruptionsAllowed") == 0 && it.count("/status/desiredHealthy") >= expected
    };
    let found = case.list("poddisruptionbudgets").iter().filter(blocks).map(|it| {
        let place = Place {
            kind: "PodDisruptionBudget".into(),
            namespace: Some(it.namespace().into()),
            name: it.name().into(),
            node: None,
        };
        let (wanted, there) = (it.count("/status/desiredHealthy"), it.count("/status/expectedPods"));
        Finding::risk(place, format!("it wants {wanted} of {there} pods, so none may ever go and a drain never ends"))
            .shown([format!("disruptionsAllowed: 0, desiredHealthy: {wanted}, expectedPods: {there}")])
            .by_hand([format!("run one more replica, or kubectl -n {} edit pdb {}", it.namespace(), it.name())])
    });
    found.collect()
}

/// Kinds of workloads, where each tells how many pods it wants, and how many are ready.
const WORKLOADS: [(&str, &str, &str, &str); 3] = [
    ("deployments", "Deployment", "/spec/replicas", "/status/readyReplicas"),
    ("statefulsets", "StatefulSet", "/spec/replicas", "/status/readyReplicas"),
    ("daemonsets", "DaemonSet", "/status/desiredNumberScheduled", "/status/numberReady"),
];

pub(super) fn workloads(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (list, kind, wants, has) in WORKLOADS {
        for it in case.list(list).iter().filter(|it| it.count(has) < it.count(wants)) {
            let place =
                Place { kind: kind.into(), namespace: Some(it.namespace().into()), name: it.name().into(), node: None };
            let cause = format!("{} of {} pods are ready", it.count(has), it.count(wants));
            let why = it
                .each("/status/conditions")
                .iter()
                .filter(|it| it.text("/status") == "False" || it.text("/type") == "ReplicaFailure");
            let why = why.map(|it| format!("{}: {}", it.text("/reason"), it.text("/message")));
            found.push(Finding::sick(place, cause.clone()).shown([cause]).shown(why.take(2)).by_hand([format!(
                "kubectl -n {} describe {} {}",
                it.namespace(),
                kind.to_lowercase(),
                it.name()
            )]));
        }
    }
    found
}
