//! Why a pod does not run.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::ResourceExt as _;

/// What keeps a pod from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What was seen.
    pub(super) what: String,
    /// What to do.
    pub(super) hint: Option<String>,
    /// The container whose log tells more.
    pub(super) container: Option<String>,
    /// What will not pass comes before what may.
    pub(super) rank: u8,
}

/// It will not pass by itself.
const STUCK: u8 = 0;
/// It may be a matter of time.
const WAITS: u8 = 1;

/// Whether a pod runs and says that it is ready.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// Whether a pod failed for good.
pub(super) fn has_failed(pod: &Pod) -> bool {
    phase(pod) == "Failed"
}

/// Whether a pod has done its work.
pub(super) fn is_over(pod: &Pod) -> bool {
    phase(pod) == "Succeeded"
}

/// What is wrong with a pod; nothing where it runs, has done its work, goes away, or another one has taken its place.
pub(super) fn trouble(pod: &Pod, all: &[Pod]) -> Option<Trouble> {
    if is_ready(pod) || is_over(pod) || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    if phase(pod) == "Failed" {
        return failed(pod, all);
    }
    let statuses = pod.status.iter().flat_map(|status| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    });
    let of_containers = statuses.filter_map(of_container).min_by_key(|trouble| trouble.rank);
    of_containers.or_else(|| unscheduled(pod)).or_else(|| Some(waits("it starts")))
}

fn waits(what: impl Into<String>) -> Trouble {
    Trouble { what: what.into(), hint: None, container: None, rank: WAITS }
}

/// A pod that failed counts only where nothing makes another one: a Job that none of its pods has done, or nobody at all.
fn failed(pod: &Pod, all: &[Pod]) -> Option<Trouble> {
    let owner = pod.owner_references().iter().find(|owner| owner.controller == Some(true));
    let done = |owner: &str| {
        all.iter().any(|other| is_over(other) && other.owner_references().iter().any(|it| it.uid == owner))
    };
    match owner {
        Some(owner) if owner.kind != "Job" || done(&owner.uid) => return None,
        _ => {}
    }
    let status = pod.status.as_ref();
    let said = status.and_then(|status| status.message.clone().or_else(|| status.reason.clone()));
    let ended = status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten())
        .find_map(|container| Some((container.name.clone(), container.state.as_ref()?.terminated.as_ref()?)));
    let what = match (&said, &ended) {
        (Some(said), _) => format!("it failed: {said}"),
        (None, Some((_, end))) => format!("it failed: {}", ended_with(end)),
        (None, None) => "it failed".into(),
    };
    Some(Trouble { what, hint: None, container: ended.map(|(name, _)| name), rank: STUCK })
}

/// What the scheduler says.
fn unscheduled(pod: &Pod) -> Option<Trouble> {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let scheduled = conditions.find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    let said = scheduled.message.clone().unwrap_or_default();
    let hints = [
        ("Insufficient cpu", "add a node or cores, or ask for less CPU in the values"),
        ("Insufficient memory", "add a node or memory, or ask for less memory in the values"),
        ("Too many pods", "add a node: each takes 110 pods unless its kubelet is told otherwise"),
        ("untolerated taint", "the pods do not tolerate the nodes' taints: tolerate them, or take them away"),
        ("didn't match Pod's node affinity/selector", "no node has the labels that the pod selects"),
        (
            "unbound immediate PersistentVolumeClaims",
            "its claim has no volume: look at the StorageClass and its provisioner",
        ),
        ("unschedulable", "nodes are cordoned: `kubectl uncordon` those that should work"),
        ("no nodes available", "no node has joined yet"),
    ];
    let hint = hints.iter().find(|(word, _)| said.contains(word)).map(|(_, hint)| (*hint).to_string());
    Some(Trouble {
        what: format!("Pending: {said}"),
        hint,
        container: None,
        rank: if said.is_empty() { WAITS } else { STUCK },
    })
}

fn of_container(container: &ContainerStatus) -> Option<Trouble> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("waiting");
        let said = waiting.message.as_deref().unwrap_or_default();
        return Some(match reason {
            "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => {
                image(container, reason, said)
            }
            "CrashLoopBackOff" => crash(container),
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                let hint = "what it names in its configuration is not there, or not right".to_string();
                let what = format!("{reason}: {said}");
                Trouble { what, hint: Some(hint), container: None, rank: STUCK }
            }
            "ContainerCreating" | "PodInitializing" => waits("its containers are being made"),
            other => waits(format!("{other} {said}").trim().to_string()),
        });
    }
    if let Some(end) = state.terminated.as_ref().filter(|end| end.exit_code != 0) {
        let what = format!("{} {}", container.name, ended_with(end));
        return Some(Trouble { what, hint: None, container: Some(container.name.clone()), rank: STUCK });
    }
    (state.running.is_some() && !container.ready && container.started != Some(true))
        .then(|| waits(format!("{} starts", container.name)))
        .or_else(|| (state.running.is_some() && !container.ready).then(|| unready(container)))
}

fn unready(container: &ContainerStatus) -> Trouble {
    Trouble {
        what: format!("{} runs and is not ready", container.name),
        hint: None,
        container: Some(container.name.clone()),
        rank: WAITS,
    }
}

/// How a program ended.
fn ended_with(end: &ContainerStateTerminated) -> String {
    match end.reason.as_deref() {
        Some("OOMKilled") => "was ended for using more memory than its limit".into(),
        _ => match end.signal.filter(|signal| *signal != 0) {
            Some(signal) => format!("was ended by signal {signal}"),
            None => format!("ended with {}", end.exit_code),
        },
    }
}

/// A program that ends again and again: how it ended, and its log.
fn crash(container: &ContainerStatus) -> Trouble {
    let end = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let how = end.map_or_else(|| "ends again and again".to_string(), ended_with);
    let memory = end.is_some_and(|end| end.reason.as_deref() == Some("OOMKilled"));
    let hint = if memory { "give it a higher memory limit" } else { "its last lines tell why" };
    Trouble {
        what: format!("CrashLoopBackOff: {} {how}, {} times by now", container.name, container.restart_count),
        hint: Some(hint.into()),
        container: Some(container.name.clone()),
        rank: STUCK,
    }
}

/// An image that does not come: the image, what the registry said, and what is likely to help.
fn image(container: &ContainerStatus, reason: &str, said: &str) -> Trouble {
    let hints = [
        (&["not found", "manifest unknown", "NAME_UNKNOWN"][..], "no such image: look at its name and its tag"),
        (&["toomanyrequests", "429"], "the registry wants patience: log in to it, or pull from a mirror"),
        (
            &["unauthorized", "denied", "401", "403", "no basic auth"],
            "the registry wants a login, or has no such repository",
        ),
        (&["x509", "certificate"], "the nodes do not trust the registry's certificate"),
        (
            &["no such host", "i/o timeout", "connection refused", "no route to host", "deadline"],
            "the nodes cannot reach the registry: look at their DNS, routes and proxy",
        ),
    ];
    let hint = hints.iter().find(|(words, _)| words.iter().any(|word| said.contains(word))).map(|(_, hint)| *hint);
    let answer = answer(said);
    let what = match answer.is_empty() {
        true => format!("{reason}: {}", container.image),
        false => format!("{reason}: {}: {answer}", container.image),
    };
    Trouble { what, hint: hint.map(String::from), container: None, rank: STUCK }
}

/// The registry's own answer, at the end of what the kubelet and containerd say around it.
fn answer(said: &str) -> &str {
    let marks = ["failed to resolve reference", "failed to resolve image", "failed to do request", "unexpected status"];
    let start = marks.iter().filter_map(|mark| said.find(mark)).min().unwrap_or(0);
    said.get(start..).unwrap_or(said).trim()
}
