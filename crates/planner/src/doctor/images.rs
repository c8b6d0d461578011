//! Images of containers: why one is not there.

use kubewright_model::doctor::{Finding, Place};
use serde_json::Value;

use super::case::Case;
use super::objects::{self, Container, Object as _};

/// How kubelet calls a container that waits for its image.
const WAITS: [&str; 3] = ["ImagePullBackOff", "ErrImagePull", "ImageInspectError"];

/// A pod's place.
pub(super) fn place(pod: &Value) -> Place {
    let node = pod.text("/spec/nodeName");
    Place {
        kind: "Pod".into(),
        namespace: Some(pod.namespace().into()),
        name: pod.name().into(),
        node: (!node.is_empty()).then(|| node.into()),
    }
}

/// Containers that wait for their image, each with its pod and what its runtime said: in the container's own words, or in the
/// pod's events where those only say that kubelet backs off.
fn waiting<'a>(case: &Case<'a>) -> Vec<(&'a Value, Container<'a>, String)> {
    let mut found = Vec::new();
    for pod in case.list("pods") {
        for container in objects::containers(pod).filter(|it| WAITS.contains(&it.waits())) {
            let own = container.waits_message();
            let image = container.image();
            let events = events(case, pod).filter(|event| event.text("/message").contains(image));
            let mut said: Vec<&str> =
                events.map(|event| event.text("/message")).filter(|it| it.contains("ailed to pull")).collect();
            said.insert(0, own);
            found.push((pod, container, said.join("\n")));
        }
    }
    found
}

/// The events of an object.
pub(super) fn events<'a, 'c>(case: &'c Case<'a>, object: &Value) -> impl Iterator<Item = &'a Value> + use<'a, 'c> {
    let namespace = object.namespace().to_string();
    let its = case.events_of(object.name()).iter().copied();
    its.filter(move |event| namespace.is_empty() || event.text("/involvedObject/namespace") == namespace)
}

/// The words by which registries and runtimes say why, from the narrowest on: the first that fits is the cause.
const DENIED: [&str; 5] =
    ["pull access denied", "401 Unauthorized", "403 Forbidden", "no basic auth credentials", "authorization failed"];
const LIMIT: [&str; 2] = ["toomanyrequests", "429 Too Many Requests"];
const AWAY: [&str; 7] = [
    "no such host",
    "i/o timeout",
    "connection refused",
    "network is unreachable",
    "TLS handshake timeout",
    "x509:",
    "server gave HTTP response to HTTPS client",
];
const NOT_FOUND: [&str; 4] = ["not found", "manifest unknown", "name unknown", "repository does not exist"];
const PLATFORM: [&str; 1] = ["no match for platform in manifest"];

fn says(said: &str, words: &[&str]) -> bool {
    words.iter().any(|word| said.contains(word))
}

/// Whether an image is on a node already, as the node itself lists its largest ones (`status.images`), or is named as only a
/// local one is: without a registry, or with that of no host.
fn is_local(case: &Case<'_>, pod: &Value, image: &str) -> bool {
    let (name, tag) = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((image, "latest"));
    let long = if name.contains('/') { name.to_string() } else { format!("library/{name}") };
    let ways = [format!("{name}:{tag}"), format!("docker.io/{long}:{tag}"), format!("localhost/{name}:{tag}")];
    let node = case.list("nodes").iter().find(|node| node.name() == pod.text("/spec/nodeName"));
    let names =
        node.map(|node| node.each("/status/images")).unwrap_or_default().iter().flat_map(|it| it.each("/names"));
    image.starts_with("localhost/") || names.filter_map(Value::as_str).any(|it| ways.iter().any(|way| way == it))
}

/// What makes the same pods: the object that is to be changed.
pub(super) fn owner(pod: &Value) -> String {
    let owners = pod.each("/metadata/ownerReferences");
    let Some(owner) = owners.first() else { return format!("pod/{}", pod.name()) };
    let (kind, name) = (owner.text("/kind"), owner.text("/name"));
    match (kind, pod.label("pod-template-hash").and_then(|hash| name.strip_suffix(&format!("-{hash}")))) {
        ("ReplicaSet", Some(deployment)) => format!("deployment/{deployment}"),
        _ => format!("{}/{name}", kind.to_lowercase()),
    }
}

/// A pod with `Always` asks the registry for an image that only its node has.
pub(super) fn local_always(case: &Case<'_>) -> Vec<Finding> {
    let found = waiting(case).into_iter().filter(|(pod, it, _)| is_wrong_policy(case, pod, *it)).map(|(pod, it, said)| {
        let (image, name) = (it.image(), it.spec.text("/name"));
        let patch = format!(
            r#"kubectl -n {} patch {} --type strategic -p '{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"{name}","imagePullPolicy":"IfNotPresent"}}]}}}}}}}}'"#,
            pod.namespace(),
            owner(pod)
        );
        Finding::sick(place(pod), format!("{image} is on its node and in no registry, and imagePullPolicy is Always"))
            .shown([format!("{name}: image: {image}, imagePullPolicy: Always, {}", it.waits())])
            .shown(first(&said))
            .by_hand([patch, "and the same in its manifest, or as a value of its chart in the spec, so that it stays".into()])
    });
    found.collect()
}

fn is_wrong_policy(case: &Case<'_>, pod: &Value, container: Container<'_>) -> bool {
    container.spec.text("/imagePullPolicy") == "Always" && is_local(case, pod, container.image())
}

/// The last words of a container that waits, short enough for a line.
fn first(said: &str) -> Vec<String> {
    let lines = said.lines().filter(|line| !line.is_empty()).take(2);
    lines.map(|line| line.chars().take(300).collect()).collect()
}

fn because(
    case: &Case<'_>,
    words: &[&str],
    not: &[&[&str]],
    cause: &str,
    help: impl Fn(&Value, &str) -> Vec<String>,
) -> Vec<Finding> {
    let fits = |said: &str| says(said, words) && !not.iter().any(|other| says(said, other));
    let found = waiting(case).into_iter().filter(|(pod, it, said)| fits(said) && !is_wrong_policy(case, pod, *it));
    found
        .map(|(pod, it, said)| {
            let image = it.image();
            Finding::sick(place(pod), format!("{image}: {cause}"))
                .shown([format!("{}: {}", it.spec.text("/name"), it.waits())])
                .shown(first(&said))
                .by_hand(help(pod, image))
        })
        .collect()
}

pub(super) fn limited(case: &Case<'_>) -> Vec<Finding> {
    because(case, &LIMIT, &[], "its registry has had enough of us", |_, _| {
        vec![
            "put a mirror or a login into `registries` of the spec, then kubewright apply".into(),
            "or wait six hours".into(),
        ]
    })
}

pub(super) fn denied(case: &Case<'_>) -> Vec<Finding> {
    because(case, &DENIED, &[&LIMIT], "its registry refuses it", |pod, image| {
        let registry = image.split('/').next().unwrap_or_default();
        vec![
            "or the name is wrong: a registry refuses what is not there in the same words".into(),
            format!(
                "kubectl -n {} create secret docker-registry NAME --docker-server={registry} --docker-username=… --docker-password=…",
                pod.namespace()
            ),
            format!(
                "kubectl -n {} patch serviceaccount default -p '{{\"imagePullSecrets\":[{{\"name\":\"NAME\"}}]}}'",
                pod.namespace()
            ),
        ]
    })
}

pub(super) fn away(case: &Case<'_>) -> Vec<Finding> {
    because(case, &AWAY, &[&LIMIT, &DENIED], "its registry cannot be reached", |pod, image| {
        let registry = image.split('/').next().filter(|it| it.contains('.')).unwrap_or("registry-1.docker.io");
        vec![format!("on {}: getent hosts {registry}; curl -v https://{registry}/v2/", pod.text("/spec/nodeName"))]
    })
}

pub(super) fn not_found(case: &Case<'_>) -> Vec<Finding> {
    because(case, &NOT_FOUND, &[&LIMIT, &DENIED, &AWAY, &PLATFORM], "its registry has no such image", |pod, _| {
        vec![format!("correct the name or the tag: kubectl -n {} edit {}", pod.namespace(), owner(pod))]
    })
}

pub(super) fn never(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for pod in case.list("pods") {
        for it in objects::containers(pod).filter(|it| it.waits() == "ErrImageNeverPull") {
            let (image, node) = (it.image(), pod.text("/spec/nodeName"));
            found.push(
                Finding::sick(place(pod), format!("{image} is not on {node}, and imagePullPolicy is Never"))
                    .shown([it.waits_message()])
                    .by_hand([
                        format!(
                            "on {node}: ctr -n k8s.io images import IMAGE.tar (K3s: k3s ctr images import IMAGE.tar)"
                        ),
                        "or push it into a registry that the nodes reach".into(),
                    ]),
            );
        }
    }
    found
}

pub(super) fn platform(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for pod in case.list("pods") {
        for it in objects::containers(pod) {
            let words = [it.waits_message(), it.last_words()];
            if let Some(words) = words.into_iter().find(|it| it.contains("exec format error") || says(it, &PLATFORM)) {
                found.push(
                    Finding::sick(place(pod), format!("{} was built for another processor than its node has", it.image()))
                        .shown([words])
                        .by_hand(["build it for the node's architecture: docker buildx build --platform linux/amd64,linux/arm64 …".to_string(), format!("or keep the pod away: nodeSelector kubernetes.io/arch in {}", owner(pod))]),
                );
            }
        }
    }
    found
}
