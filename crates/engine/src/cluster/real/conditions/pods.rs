//! Pods: which run, which do not, and why: in the words of the scheduler, of the registry, or of the program itself.

mod trouble;

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt as _};
use kubewright_model::checked::Part;
use kubewright_model::desired::DesiredRelease;
use kubewright_model::ids::{Namespace, ReleaseName};
use kubewright_model::spec::verify::PodCheck;
use serde::de::DeserializeOwned;

use self::trouble::{Trouble, is_ready, trouble};
use super::super::drain::few;
use super::super::failure::failed;
use super::super::look::releases::releases;
use super::super::look::{all, internal, nodes};
use super::events::{about, lines};
use super::{Answer, Failing, Good, fails, holds};
use crate::cluster::ClusterError;

/// Where the cluster's own pods are.
const SYSTEM: &str = "kube-system";
/// Helm puts it on everything that a release has made.
const OF_RELEASE: &str = "meta.helm.sh/release-name";
/// The last lines of a log that are told.
const TAIL: i64 = 12;

/// Pods with these labels, of a namespace or of all.
pub(super) async fn pods(
    client: &Client,
    namespace: Option<&str>,
    selector: Option<&str>,
) -> Result<Vec<Pod>, ClusterError> {
    let api: Api<Pod> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let params = ListParams { label_selector: selector.map(String::from), ..ListParams::default() };
    all(&api, &params).await.map_err(|error| failed("list of pods", &error))
}

/// No pod of the cluster's own is failing, and they are there.
pub(super) async fn system(client: &Client) -> Result<Answer, ClusterError> {
    let pods = pods(client, Some(SYSTEM), None).await?;
    if let Some(failing) = failing(client, &pods).await {
        return Ok(Err(failing));
    }
    let running = pods.iter().filter(|pod| is_ready(pod)).count();
    Ok(match running {
        0 => fails(format!("no pod runs in {SYSTEM}"), "they come a minute after the first node is Ready"),
        some => holds(format!("{some} pods run in {SYSTEM}")),
    })
}

/// Pods run, as many as are asked for, and none fails.
pub(super) async fn run(client: &Client, check: &PodCheck) -> Result<Answer, ClusterError> {
    let namespace = check.namespace.as_ref().map(Namespace::as_str);
    let pods = pods(client, namespace, check.selector.as_deref()).await?;
    if let Some(failing) = failing(client, &pods).await {
        return Ok(Err(failing));
    }
    let place = namespace.unwrap_or("all namespaces");
    let ready: Vec<&Pod> = pods.iter().filter(|pod| is_ready(pod)).collect();
    if check.per_node {
        let on: BTreeSet<&str> = ready.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.as_deref()).collect();
        let takes = |node: &&Node| node.spec.as_ref().is_none_or(|spec| spec.unschedulable != Some(true));
        let nodes = nodes(client).await?;
        let parts: Vec<Part> = nodes.iter().filter(|node| takes(node)).map(|node| on_node(node, &ready)).collect();
        let without: Vec<String> = parts.iter().filter(|part| !part.holds).map(|part| part.name.clone()).collect();
        return Ok(match without.is_empty() {
            true => Ok(Good { saw: format!("a pod runs on each of {} nodes", on.len()), parts }),
            false => {
                let hint = Some("a taint of these nodes may keep it away".into());
                Err(Failing { saw: format!("no pod runs on {}", few(&without)), log: Vec::new(), hint, parts })
            }
        });
    }
    Ok(match ready.len() >= check.at_least as usize {
        true => holds(format!("{} pods run in {place}", ready.len())),
        false => fails(
            format!("{} pods run in {place}, {} are needed", ready.len(), check.at_least),
            "install what they belong to",
        ),
    })
}

/// The pod of a node.
fn on_node(node: &Node, ready: &[&Pod]) -> Part {
    let name = node.name_any();
    let here = |pod: &&&Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some(&name));
    let pod = ready.iter().find(here).map(|pod| format!("{} runs", pod.name_any()));
    let address = internal(node).map(|address| address.to_string()).unwrap_or_default();
    Part {
        holds: pod.is_some(),
        saw: pod.unwrap_or_else(|| "no pod of it runs".into()),
        name,
        address,
        milliseconds: None,
    }
}

/// A release's workloads are available.
pub(super) async fn release(
    client: &Client,
    name: &ReleaseName,
    namespace: &Namespace,
) -> Result<Answer, ClusterError> {
    let there = releases(client, Some(namespace)).await?;
    let Some(revision) = there.get(&(namespace.clone(), name.clone())) else {
        return Ok(fails(format!("release {name} is not installed"), "`kubewright apply` installs it"));
    };
    if revision.status != "deployed" {
        let saw = format!("revision {} of release {name} is {}", revision.number, revision.status);
        return Ok(fails(saw, "`kubewright apply` installs it again"));
    }
    let short = short(client, name, namespace).await?;
    if short.is_empty() {
        return Ok(holds(format!("the workloads of {name} are available")));
    }
    let pods = pods(client, Some(namespace.as_str()), None).await?;
    let cause = failing(client, &pods).await.unwrap_or_default();
    let saw = if cause.saw.is_empty() { few(&short) } else { format!("{}; {}", few(&short), cause.saw) };
    Ok(Err(Failing { saw, ..cause }))
}

/// The first words on why the pods in a release's namespace do not run, and what tells more.
pub(in super::super) async fn of_release(client: &Client, release: &DesiredRelease) -> Vec<String> {
    let Ok(pods) = pods(client, Some(release.namespace.as_str()), None).await else { return Vec::new() };
    match failing(client, &pods).await {
        None => Vec::new(),
        Some(failing) => {
            let hint = failing.hint.into_iter().map(|hint| format!("→ {hint}"));
            std::iter::once(failing.saw).chain(failing.log).chain(hint).collect()
        }
    }
}

/// The workloads of a release that are not available yet.
async fn short(client: &Client, name: &ReleaseName, namespace: &Namespace) -> Result<Vec<String>, ClusterError> {
    let (deployments, stateful, daemons) = futures::try_join!(
        workloads::<Deployment>(client, name, namespace),
        workloads::<StatefulSet>(client, name, namespace),
        workloads::<DaemonSet>(client, name, namespace),
    )?;
    let wanted = |replicas: Option<i32>| replicas.unwrap_or(1);
    let deployments = deployments.iter().map(|it| {
        let has = it.status.as_ref().and_then(|status| status.available_replicas).unwrap_or_default();
        ("Deployment", it.name_any(), has, wanted(it.spec.as_ref().and_then(|spec| spec.replicas)))
    });
    let stateful = stateful.iter().map(|it| {
        let has = it.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default();
        ("StatefulSet", it.name_any(), has, wanted(it.spec.as_ref().and_then(|spec| spec.replicas)))
    });
    let daemons = daemons.iter().map(|it| {
        let status = it.status.as_ref();
        let has = status.and_then(|status| status.number_available).unwrap_or_default();
        ("DaemonSet", it.name_any(), has, status.map_or(0, |status| status.desired_number_scheduled))
    });
    let all = deployments.chain(stateful).chain(daemons);
    let short = all.filter(|(.., has, wanted)| has < wanted);
    Ok(short.map(|(kind, name, has, wanted)| format!("{kind} {name} has {has} of {wanted} pods available")).collect())
}

async fn workloads<K>(client: &Client, release: &ReleaseName, namespace: &Namespace) -> Result<Vec<K>, ClusterError>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug + Send,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace.as_str());
    let mut found = all(&api, &ListParams::default()).await.map_err(|error| failed("list of workloads", &error))?;
    found.retain(|it| it.annotations().get(OF_RELEASE).is_some_and(|name| name == release.as_str()));
    Ok(found)
}

/// What is wrong with those of these pods that do not run; nothing where all do. The first is told in full.
pub(super) async fn failing(client: &Client, pods: &[Pod]) -> Option<Failing> {
    let troubles: Vec<(&Pod, Trouble)> = pods.iter().filter_map(|pod| Some((pod, trouble(pod, pods)?))).collect();
    // A pod that needs a moment may wait for one that will never run.
    let worst = troubles.iter().min_by_key(|(_, trouble)| trouble.rank)?;
    let all: Vec<String> =
        troubles.iter().map(|(pod, trouble)| format!("{}: {}", pod.name_any(), trouble.what)).collect();
    let mut log = match &worst.1.container {
        Some(container) => last_lines(client, worst.0, container).await,
        None => Vec::new(),
    };
    let namespace = Namespace::from(worst.0.namespace().unwrap_or_default().as_str());
    log.extend(lines(&about(client, &namespace, "Pod", &worst.0.name_any()).await));
    let first = format!("{}: {}", worst.0.name_any(), worst.1.what);
    let rest: Vec<String> = all.into_iter().filter(|told| *told != first).collect();
    let saw = if rest.is_empty() { first } else { format!("{first}; {}", few(&rest)) };
    Some(Failing { saw, log, hint: worst.1.hint.clone(), ..Failing::default() })
}

/// The last lines of a container that ended; of its last life where it lives again.
async fn last_lines(client: &Client, pod: &Pod, container: &str) -> Vec<String> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    for previous in [true, false] {
        let params =
            LogParams { container: Some(container.into()), tail_lines: Some(TAIL), previous, ..LogParams::default() };
        if let Ok(text) = api.logs(&pod.name_any(), &params).await
            && !text.trim().is_empty()
        {
            return text.lines().map(str::to_string).collect();
        }
    }
    Vec::new()
}

/// The last lines of the newest of these pods that failed.
pub(super) async fn last_words(client: &Client, pods: &[Pod]) -> Vec<String> {
    let failed = pods.iter().filter(|pod| trouble::has_failed(pod));
    let Some(newest) = failed.max_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0)) else {
        return Vec::new();
    };
    let containers = newest.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let names = newest.spec.iter().flat_map(|spec| &spec.containers).map(|container| &container.name);
    let ended = containers.filter(|it| it.state.as_ref().is_some_and(|state| state.terminated.is_some()));
    match ended.map(|it| &it.name).chain(names).next() {
        Some(container) => last_lines(client, newest, container).await,
        None => Vec::new(),
    }
}
