//! What is sent and what is made of answers, where a real API server cannot be made to say it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::Client;
use kube::api::{Api, ApiResource, ListParams};
use kube::client::Body;
use kubewright_hosts::Holes;
use kubewright_model::desired::DesiredRelease;
use kubewright_model::ids::{HoleName, Owner};
use kubewright_model::object::Manifest;
use kubewright_model::observed::ClusterSeen;
use kubewright_model::secret::Secret;
use kubewright_model::spec::addons::OnFailure;
use kubewright_model::units::Span;
use serde_json::{Value, json};

use super::failure::{failed, without_secrets};
use super::look::{Halted, all, each_of_kind, kinds, labels_given, objects};
use super::objects::{body, fill};
use super::{drain, helm, nodes};
use crate::cluster::ClusterError;

type Asked = Arc<Mutex<Vec<String>>>;

/// A client whose server answers each request with the next of these, and notes what was asked. One answer too few is a
/// request that nobody expected.
fn scripted(answers: Vec<(u16, Value)>) -> (Client, Asked) {
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    let asked = Asked::default();
    let noted = asked.clone();
    let service = tower::service_fn(move |request: hyper::Request<Body>| {
        noted.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        let next = answers.lock().unwrap().pop_front();
        async move {
            let (status, body) = next.ok_or("nobody expected this request")?;
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            hyper::Response::builder().status(status).body(body).map_err(|error| error.to_string())
        }
    });
    (Client::new(service, "default"), asked)
}

fn page(names: &[&str], more: &str) -> (u16, Value) {
    let items: Vec<Value> = names.iter().map(|name| json!({ "metadata": { "name": name } })).collect();
    (200, json!({ "kind": "ConfigMapList", "apiVersion": "v1", "metadata": { "continue": more }, "items": items }))
}

fn refusal(code: u16, reason: &str, message: &str) -> (u16, Value) {
    (code, json!({ "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message }))
}

/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>
#[tokio::test]
async fn pages_that_have_grown_too_old_are_asked_for_anew_and_only_once() {
    let expired = || refusal(410, "Expired", "The provided continue parameter is too old");
    let script = vec![page(&["a"], "more"), expired(), page(&["a", "b"], "more"), page(&["c"], "")];
    let (client, asked) = scripted(script);
    let found = all(&Api::<ConfigMap>::all(client), &ListParams::default()).await.unwrap();
    assert_eq!(found.len(), 3, "none is there twice");
    let path = "GET /api/v1/configmaps?&limit=500";
    let more = format!("{path}&continue=more");
    assert_eq!(*asked.lock().unwrap(), [path, more.as_str(), path, more.as_str()]);
    let (client, _) = scripted(vec![page(&["a"], "more"), expired(), page(&["a"], "more"), expired()]);
    assert!(all(&Api::<ConfigMap>::all(client), &ListParams::default()).await.is_err());
}

/// What a dump may hold at once is a page.
#[tokio::test]
async fn objects_are_handed_over_page_by_page_and_none_twice() {
    let kind = ApiResource::erase::<ConfigMap>(&());
    let expired = || refusal(410, "Expired", "The provided continue parameter is too old");
    let (client, asked) = scripted(vec![page(&["a"], "more"), expired(), page(&["a", "b"], "more"), page(&["c"], "")]);
    let mut handed = Vec::new();
    let mut each = |object: &Value| {
        handed.push((object["metadata"]["name"].as_str().unwrap().to_string(), asked.lock().unwrap().len()));
        Ok(())
    };
    assert!(each_of_kind(&client, &kind, &mut each).await.is_ok());
    let of = |name: &str, after: usize| (name.to_string(), after);
    assert_eq!(handed, [of("a", 1), of("b", 3), of("c", 4)], "each after as many questions");
    let (client, _) = scripted(vec![page(&["a"], "more")]);
    let full = each_of_kind(&client, &kind, &mut |_| Err("the disk is full".into())).await;
    assert!(matches!(full, Err(Halted::Taking(why)) if why == "the disk is full"));
}

async fn error(answer: (u16, Value)) -> ClusterError {
    let (client, _) = scripted(vec![answer]);
    failed("ConfigMap a/b", &Api::<ConfigMap>::all(client).list(&ListParams::default()).await.unwrap_err())
}

#[tokio::test]
async fn what_may_pass_is_told_from_what_does_not() {
    let webhook = "Internal error occurred: failed calling webhook \"x\": connect: connection refused";
    for (code, message, passes) in [
        (429, "too many requests", true),
        (409, "the object has been modified", true),
        (500, "etcdserver: leader changed", true),
        (500, "Internal error occurred: it fails", true),
        (500, webhook, true),
        (503, "the server is currently unable to handle the request", true),
        (500, "failed to create typed patch object (a/b): .date: field not declared in schema", false),
        (403, "configmaps is forbidden", false),
        (404, "namespaces \"a\" not found", false),
        (422, "is invalid", false),
        (401, "Unauthorized", false),
    ] {
        let error = error(refusal(code, "", message)).await;
        assert_eq!(error.may_pass(), passes, "{code} {message}: {error}");
    }
    let fails = error(refusal(500, "InternalError", "Internal error occurred: it fails")).await;
    assert_eq!(
        fails.to_string(),
        "the Kubernetes API is busy: ConfigMap a/b: Internal error occurred: it fails",
        "who answers is not silent"
    );
    let (silent, _) = scripted(Vec::new());
    let silent = Api::<ConfigMap>::all(silent).list(&ListParams::default()).await.unwrap_err();
    let silent = failed("x", &silent);
    assert_eq!(silent.to_string(), "the Kubernetes API does not answer: nobody expected this request");
}

#[tokio::test]
async fn no_secret_is_in_an_error() {
    let holes: Holes = [(HoleName::new("secret/door"), Secret::new("open-sesame".to_string()))].into();
    let error = error(refusal(422, "Invalid", "data[key]: Invalid value: \"open-sesame\" b3Blbi1zZXNhbWU=")).await;
    let told = without_secrets(error, &holes).to_string();
    assert_eq!(told, "ConfigMap a/b: data[key]: Invalid value: \"[secret]\" [secret]");
    let value = json!({ "a": ["x‹hole:secret/door›y‹hole:secret/door›"], "b": 1 });
    assert_eq!(fill(&value, &holes).unwrap(), json!({ "a": ["xopen-sesameyopen-sesame"], "b": 1 }));
    assert!(fill(&json!("‹hole:secret/other›"), &holes).is_err());
}

#[test]
fn labels_that_a_node_was_registered_with_are_known_again() {
    let entry = |manager: &str, labels: Value| json!({ "manager": manager, "operation": "Update", "fieldsV1": { "f:metadata": { "f:labels": labels } } });
    let kubelet = json!({ ".": {}, "f:disk": {}, "f:kubewright.dev/pool": {}, "f:beta.kubernetes.io/os": {} });
    let fields = json!([entry("kubelet", kubelet), entry("somebody", json!({ "f:theirs": {} }))]);
    let node: Node = serde_json::from_value(json!({ "metadata": { "name": "a", "managedFields": fields } })).unwrap();
    let given: Vec<String> = labels_given(&node).into_iter().collect();
    assert_eq!(given, ["label disk", "label kubewright.dev/pool"]);
}

#[test]
fn annotations_that_are_none_are_refused_and_not_stumbled_over() {
    let sent =
        |annotations: Value| body(&Manifest(json!({ "metadata": { "annotations": annotations } })), &Holes::new());
    assert!(sent(json!("a=b")).unwrap_err().to_string().contains("annotations"));
    for (there, count) in [(json!(null), 1), (json!({}), 1), (json!({ "a": "b" }), 2)] {
        assert_eq!(sent(there).unwrap()["metadata"]["annotations"].as_object().unwrap().len(), count);
    }
}

/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
#[tokio::test]
async fn a_node_that_others_change_is_read_again_and_written_as_it_was_read() {
    let node = |version: &str, taints: Value| {
        let metadata = json!({ "name": "n", "resourceVersion": version, "labels": { "old": "1" } });
        (200, json!({ "kind": "Node", "apiVersion": "v1", "metadata": metadata, "spec": { "taints": taints } }))
    };
    let theirs = json!({ "key": "theirs", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z" });
    let conflict = refusal(409, "Conflict", "the object has been modified");
    let script = vec![node("1", json!([])), conflict, node("2", json!([theirs])), node("3", json!([]))];
    let (client, asked) = scripted(script);
    let marks = kubewright_model::plan::NodeMarks {
        node: "n".into(),
        labels: [("new".to_string(), "2".to_string())].into(),
        without_labels: vec!["old".into(), "never-there".into()],
        taints: vec!["ours=x:NoExecute".into()],
        without_taints: Vec::new(),
    };
    assert!(nodes::mark(&client, &marks).await.unwrap());
    assert_eq!(asked.lock().unwrap().len(), 4, "{asked:?}");
    let (_, seen) = node("2", json!([theirs, { "key": "ours", "value": "y", "effect": "NoExecute" }]));
    let seen: Node = serde_json::from_value(seen).unwrap();
    let patch = nodes::difference(&seen, &marks).unwrap().unwrap();
    assert_eq!(patch["metadata"], json!({ "resourceVersion": "2", "labels": { "old": null, "new": "2" } }));
    let ours = json!({ "key": "ours", "value": "x", "effect": "NoExecute" });
    assert_eq!(patch["spec"]["taints"], json!([theirs, ours]), "one of a key and an effect, and theirs as it was");
}

/// A kind as aggregated discovery tells it.
/// <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery>
fn kind(plural: &str, kind: &str, group: &str, version: &str) -> Value {
    let response = json!({ "group": group, "version": version, "kind": kind });
    let verbs = ["get", "list", "patch", "delete"];
    json!({ "resource": plural, "responseKind": response, "scope": "Namespaced", "singularResource": "", "verbs": verbs })
}

/// Discovery of one group with these versions, preferred ones first; the core group is empty.
fn discovery(group: &str, versions: &[(&str, Vec<Value>)]) -> Vec<(u16, Value)> {
    let versions = versions.iter().map(|(version, kinds)| json!({ "version": version, "resources": kinds }));
    let versions: Vec<Value> = versions.collect();
    let group = json!({ "metadata": { "name": group }, "versions": versions });
    let list = |items: &[Value]| json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items });
    vec![(200, list(&[group])), (200, list(&[]))]
}

/// MetalLB has `BGPPeer` in two versions, and `IPAddressPool` only in the older one.
#[tokio::test]
async fn a_kind_that_only_an_older_version_has_is_looked_at() {
    let group = "metallb.io";
    let of = |plural: &str, name: &str, version: &str| kind(plural, name, group, version);
    let newer = vec![of("bgppeers", "BGPPeer", "v1beta2")];
    let older = vec![of("bgppeers", "BGPPeer", "v1beta1"), of("ipaddresspools", "IPAddressPool", "v1beta1")];
    let (client, _) = scripted(discovery(group, &[("v1beta2", newer), ("v1beta1", older)]));
    let found = kinds(&client).await.unwrap();
    let mut found: Vec<String> = found.iter().map(|kind| format!("{} {}", kind.api_version, kind.plural)).collect();
    found.sort();
    assert_eq!(found, ["metallb.io/v1beta1 ipaddresspools", "metallb.io/v1beta2 bgppeers"]);
}

/// A node's pods: one of a ReplicaSet.
fn one_pod() -> (u16, Value) {
    let owner = json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "r", "controller": true });
    let metadata = json!({ "name": "web-1", "namespace": "shop", "uid": "u", "ownerReferences": [owner] });
    (200, json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [{ "metadata": metadata }] }))
}

/// Drains a node whose API answers so, and then with a node that is ready: what it came to, and how often it was asked.
async fn drained(mut answers: Vec<(u16, Value)>) -> (Result<(), ClusterError>, Vec<String>) {
    let ready = json!({ "conditions": [{ "type": "Ready", "status": "True" }] });
    answers.push((200, json!({ "kind": "Node", "apiVersion": "v1", "metadata": { "name": "n" }, "status": ready })));
    let (client, asked) = scripted(answers);
    let drained = drain::drain(&client, &"n".into(), Span::from_secs(60), &|_| {}).await;
    let asked = asked.lock().unwrap().clone();
    (drained, asked)
}

/// <https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/#how-api-initiated-eviction-works>
#[tokio::test(start_paused = true)]
async fn an_eviction_that_can_never_be_allowed_is_refused_with_its_pod() {
    let gone = || (200, json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [] }));
    let budget = refusal(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.");
    let (drained_at_last, asked) = drained(vec![one_pod(), budget, one_pod(), (201, json!({})), gone()]).await;
    drained_at_last.unwrap();
    assert_eq!(asked.iter().filter(|what| what.contains("/eviction")).count(), 2, "{asked:?}");
    let two = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    let (refused, _) = drained(vec![one_pod(), refusal(500, "InternalError", two)]).await;
    let refused = refused.unwrap_err();
    assert!(!refused.may_pass(), "{refused}");
    assert_eq!(refused.to_string(), format!("eviction of shop/web-1: {two}"));
}

/// Somebody writes the budget's status at the same moment, or the pod is another one of its name already.
#[tokio::test(start_paused = true)]
async fn an_eviction_that_others_crossed_is_tried_again() {
    let gone = || (200, json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [] }));
    let crossed = refusal(409, "Conflict", "Operation cannot be fulfilled: the object has been modified");
    let (again, asked) = drained(vec![one_pod(), crossed, one_pod(), (201, json!({})), gone()]).await;
    again.unwrap();
    assert_eq!(asked.iter().filter(|what| what.contains("/eviction")).count(), 2, "{asked:?}");
    let other = refusal(409, "Conflict", "the UID in the precondition (u) does not match the UID in record (v)");
    let (once, asked) = drained(vec![one_pod(), other, gone()]).await;
    once.unwrap();
    assert_eq!(asked.iter().filter(|what| what.contains("/eviction")).count(), 1, "{asked:?}");
}

/// The conversion webhook of a definition is down.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion>
#[tokio::test]
async fn a_kind_that_cannot_be_listed_hides_no_other() {
    let why = "conversion webhook for shop.lab/v1, Kind=Bill failed: connect: connection refused";
    let mut script = discovery("shop.lab", &[("v1", vec![kind("bills", "Bill", "shop.lab", "v1")])]);
    script.push(refusal(500, "InternalError", why));
    let text = include_str!("../../../../../examples/devboard/cluster.yaml");
    let desired = crate::Engine::load(text).unwrap().desired;
    let (client, _) = scripted(script.clone());
    let (found, unlisted) = objects(&client, &desired).await.unwrap();
    assert!(found.is_empty());
    assert_eq!(unlisted, [("Bill.shop.lab".to_string(), why.to_string())].into());
    let bill = json!({ "apiVersion": "shop.lab/v2", "kind": "Bill", "metadata": { "name": "b", "namespace": "shop" } });
    let seen = ClusterSeen { unlisted, ..ClusterSeen::default() };
    assert_eq!(seen.why_unknown(&Manifest(bill).id().unwrap()), Some(why), "in whichever version it is wished");
    // All kinds are in one datastore: what is wrong with that is wrong with every look.
    script.pop();
    script.push(refusal(500, "InternalError", "etcdserver: leader changed"));
    let (client, _) = scripted(script);
    assert!(objects(&client, &desired).await.unwrap_err().may_pass());
}

#[test]
fn nothing_secret_stands_in_helms_arguments() {
    let release = DesiredRelease {
        name: "web".into(),
        namespace: "apps".into(),
        part: "web".into(),
        chart: "web".into(),
        repository: Some("https://charts.lab".into()),
        version: Some("1.2.3".parse().unwrap()),
        values: json!({ "password": "‹hole:secret/web›" }),
        after: Vec::new(),
        before_ready: false,
        on_failure: OnFailure::Leave,
        timeout: None,
        digest: None,
    };
    let words = |release: &DesiredRelease, helm| {
        helm::arguments(release, &Owner("lab".into()), "/cache/web.tgz", helm).join(" ")
    };
    assert_eq!(
        words(&release, (3, 13)),
        "upgrade web /cache/web.tgz --install --reset-values --namespace apps --values - --labels kubewright.dev/cluster=lab \
         --history-max 5 --wait --timeout 600s"
    );
    let release = DesiredRelease {
        on_failure: OnFailure::Rollback,
        timeout: Some(Span::from_secs(90)),
        chart: "./web".into(),
        version: None,
        repository: None,
        ..release
    };
    assert!(words(&release, (3, 19)).ends_with("--wait --timeout 90s --atomic"));
    assert!(words(&release, (4, 0)).ends_with("--wait --timeout 90s --rollback-on-failure"));
}
