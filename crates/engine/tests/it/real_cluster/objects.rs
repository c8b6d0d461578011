//! Objects, as the API and kubectl have them afterwards.

use kubewright_engine::cluster::{ClusterApi, ClusterError, RealCluster};
use kubewright_hosts::Holes;
use kubewright_model::desired::Desired;
use kubewright_model::ids::HoleName;
use kubewright_model::object::{Manifest, ObjectId};
use kubewright_model::secret::Secret;
use serde_json::{Value, json};

use crate::plane::Plane;

/// An object with our mark.
fn ours(desired: &Desired, mut object: Value) -> Manifest {
    object["metadata"]["labels"] =
        json!({ "app.kubernetes.io/managed-by": "kubewright", "kubewright.dev/cluster": desired.cluster });
    Manifest(object)
}

fn map(desired: &Desired, namespace: &str, name: &str, data: Value) -> Manifest {
    let metadata = json!({ "name": name, "namespace": namespace });
    ours(desired, json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data }))
}

async fn apply(hands: &RealCluster, desired: &Desired, objects: &[Manifest]) -> Result<bool, ClusterError> {
    hands.apply(objects, &desired.owner, &Holes::new()).await
}

async fn shown(hands: &RealCluster, desired: &Desired) -> Vec<ObjectId> {
    hands.observe(desired).await.present().expect("it answers").objects.keys().cloned().collect()
}

fn refused(answer: Result<bool, ClusterError>) -> (String, String, Vec<String>) {
    match answer {
        Err(ClusterError::Refused { what, why, log }) => (what, why, log),
        other => panic!("{other:?}"),
    }
}

/// A file of manifests may hold them in any order.
pub(super) async fn what_needs_something_comes_after_it(plane: &Plane, desired: &Desired, hands: &RealCluster) {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let names = json!({ "plural": "wishes", "singular": "wish", "kind": "Wish" });
    let version = json!({ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } });
    let objects = [
        ours(
            desired,
            json!({ "apiVersion": "lab.test/v1", "kind": "Wish", "metadata": { "name": "one", "namespace": "order" } }),
        ),
        ours(
            desired,
            json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": "wishes.lab.test" },
            "spec": { "group": "lab.test", "scope": "Namespaced", "names": names, "versions": [version] } }),
        ),
        ours(desired, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "order" } })),
    ];
    assert!(apply(hands, desired, &objects).await.unwrap());
    assert!(!apply(hands, desired, &objects).await.unwrap());
    let ids: Vec<ObjectId> = objects.iter().map(|object| object.id().unwrap()).collect();
    let there = shown(hands, desired).await;
    assert!(ids.iter().all(|id| there.contains(id)), "{there:#?}");
    assert_eq!(
        plane.get(&["wishes.lab.test", "one", "-n", "order"], "{.metadata.managedFields[0].manager}"),
        "kubewright"
    );
    // With the definition goes its kind; what was of it is gone, and nobody stumbles over that.
    hands.delete(&ids[1..2], &desired.owner).await.unwrap();
    hands.delete(&ids[..1], &desired.owner).await.unwrap();
    let there = shown(hands, desired).await;
    assert!(!there.contains(&ids[0]) && !there.contains(&ids[1]) && there.contains(&ids[2]), "{there:#?}");
    let strange = ours(
        desired,
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "date": {}, "metadata": { "name": "x", "namespace": "order" } }),
    );
    let (_, why, _) = refused(apply(hands, desired, &[strange]).await);
    assert!(why.contains("unknown field \"date\"") || why.contains("date"), "{why}");
}

/// Fields that somebody else has set since are not taken back without a word.
pub(super) async fn what_others_have_set_is_theirs(plane: &Plane, desired: &Desired, hands: &RealCluster) {
    let wish = |colour: &str| map(desired, "default", "colours", json!({ "colour": colour, "shape": "round" }));
    assert!(apply(hands, desired, &[wish("red")]).await.unwrap());
    let patch = r#"{"data":{"colour":"blue"}}"#;
    plane.kubectl(&["patch", "configmap", "colours", "--field-manager=kubectl-edit", "--type=merge", "-p", patch]);
    let (what, why, log) = refused(apply(hands, desired, &[wish("green")]).await);
    assert_eq!(what, "ConfigMap default/colours");
    assert_eq!(why, "others have set what it sets: `kubectl-edit` has set .data.colour");
    assert!(!log.is_empty());
    assert_eq!(plane.get(&["configmap", "colours"], "{.data.colour}"), "blue", "it stays");
    assert!(log[0].contains("--take 'ConfigMap default/colours'"), "{log:?}");
    assert!(hands.take(&[wish("green")], &desired.owner, &Holes::new()).await.unwrap(), "it was asked for");
    assert_eq!(plane.get(&["configmap", "colours"], "{.data.colour}"), "green");
    assert!(!apply(hands, desired, &[wish("green")]).await.unwrap(), "it is ours from now on");
    plane.kubectl(&["create", "configmap", "theirs"]);
    plane.kubectl(&["label", "configmap", "theirs", "kubewright.dev/cluster=another"]);
    let (_, why, _) = refused(apply(hands, desired, &[map(desired, "default", "theirs", json!({}))]).await);
    assert_eq!(why, "it carries the mark of another cluster, another");
    // Plain texts of a Secret come packed, and no error shows them.
    let secret = |kind: &str| {
        let metadata = json!({ "name": "door", "namespace": "default" });
        let object = json!({ "apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata,
            "stringData": { "key": "‹hole:secret/door›" } });
        ours(desired, object)
    };
    let holes: Holes = [(HoleName::new("secret/door"), Secret::new("open-sesame".to_string()))].into();
    assert!(hands.apply(&[secret("Opaque")], &desired.owner, &holes).await.unwrap());
    assert!(!hands.apply(&[secret("Opaque")], &desired.owner, &holes).await.unwrap());
    assert_eq!(plane.get(&["secret", "door"], "{.data.key}"), "b3Blbi1zZXNhbWU=");
    let bad = hands.apply(&[secret("kubernetes.io/tls")], &desired.owner, &holes).await;
    assert!(!format!("{bad:?}").contains("sesame") && !format!("{bad:?}").contains("b3Blbi1z"), "{bad:?}");
    assert!(bad.is_err());
}

/// Controllers pass labels on to what they make.
pub(super) async fn what_controllers_make_is_not_ours(plane: &Plane, desired: &Desired, hands: &RealCluster) {
    let metadata = json!({ "name": "web", "namespace": "default" });
    let spec = json!({ "selector": { "app": "web" }, "ports": [{ "port": 80 }] });
    let service = ours(desired, json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec }));
    apply(hands, desired, &[service]).await.unwrap();
    plane.until("an EndpointSlice", |plane| {
        !plane
            .get(
                &["endpointslices", "-l", "kubewright.dev/cluster,kubernetes.io/service-name=web"],
                "{.items[*].metadata.name}",
            )
            .is_empty()
    });
    let there = shown(hands, desired).await;
    let kinds: Vec<&str> =
        there.iter().filter(|id| id.name.as_str().starts_with("web")).map(|id| id.kind.as_str()).collect();
    assert_eq!(kinds, ["Service"]);
}

/// More than one page of them.
pub(super) async fn many_are_listed_page_by_page(desired: &Desired, hands: &RealCluster) {
    let many: Vec<Manifest> = (0..520).map(|n| map(desired, "default", &format!("many-{n}"), json!({}))).collect();
    assert!(apply(hands, desired, &many).await.unwrap());
    let there = shown(hands, desired).await;
    assert_eq!(there.iter().filter(|id| id.name.as_str().starts_with("many-")).count(), 520);
    let ids: Vec<ObjectId> = many.iter().map(|object| object.id().unwrap()).collect();
    hands.delete(&ids, &desired.owner).await.unwrap();
    assert!(shown(hands, desired).await.iter().all(|id| !id.name.as_str().starts_with("many-")));
}

/// An object that is to go and is held.
pub(super) async fn what_is_held_is_told_with_its_holder(plane: &Plane, desired: &Desired, hands: &RealCluster) {
    let held = map(desired, "default", "held", json!({}));
    apply(hands, desired, std::slice::from_ref(&held)).await.unwrap();
    let patch = |finalizers: &str| {
        let patch = format!(r#"{{"metadata":{{"finalizers":{finalizers}}}}}"#);
        plane.kubectl(&["patch", "configmap", "held", "--type=merge", "-p", &patch]);
    };
    patch(r#"["lab.test/holder"]"#);
    plane.kubectl(&["delete", "configmap", "held", "--wait=false"]);
    assert!(!shown(hands, desired).await.contains(&held.id().unwrap()), "it is on its way out");
    match apply(hands, desired, std::slice::from_ref(&held)).await {
        Err(ClusterError::Busy(why)) => {
            assert_eq!(why, "ConfigMap default/held is being deleted; whoever set lab.test/holder has not let it go");
        }
        other => panic!("{other:?}"),
    }
    patch("null");
    assert!(apply(hands, desired, &[held]).await.unwrap(), "a new one");
}

/// A finalizer that nobody takes off, on an object and in a namespace: whose it is.
pub(super) async fn a_finalizer_that_hangs_is_told_with_its_owner(
    plane: &Plane,
    desired: &Desired,
    hands: &RealCluster,
) {
    let kind = json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "wells.lab.test", "annotations": { "meta.helm.sh/release-name": "lab-operator" } },
        "spec": { "group": "lab.test", "scope": "Namespaced", "names": { "kind": "Well", "plural": "wells" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": { "type": "object" } } }] } });
    plane.create(&[kind]);
    let space = ours(desired, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "stuck" } }));
    let held = map(desired, "stuck", "held", json!({}));
    apply(hands, desired, &[held.clone(), space.clone()]).await.unwrap();
    let patch = |finalizers: &str| {
        let patch = format!(r#"{{"metadata":{{"finalizers":{finalizers}}}}}"#);
        let words =
            ["patch", "configmap", "held", "-n", "stuck", "--field-manager=lab-controller", "--type=merge", "-p"];
        plane.kubectl(&[&words[..], &[patch.as_str()]].concat());
    };
    patch(r#"["lab.test/holder"]"#);
    let delete = async |object: &Manifest| match hands.delete(&[object.id().unwrap()], &desired.owner).await {
        Err(ClusterError::Refused { what, why, log }) => (what, why, log),
        other => panic!("{other:?}"),
    };
    let (what, why, log) = delete(&held).await;
    assert_eq!(what, "delete ConfigMap stuck/held");
    assert_eq!(why, "it was told to go and is still there: whoever set lab.test/holder has not let it go");
    let owner =
        "lab.test/holder: set by `lab-controller`; its domain is that of wells.lab.test of the release lab-operator";
    assert_eq!(log[0], owner);
    assert!(log[1].contains("kubectl patch ConfigMap held -n stuck --type=merge"), "{log:?}");
    plane.kubectl(&["delete", "namespace", "stuck", "--wait=false"]);
    plane.until("what is left", |plane| {
        plane.get(&["namespace", "stuck"], "{.status.conditions[*].message}").contains("lab.test/holder")
    });
    let (_, why, log) = delete(&space).await;
    assert_eq!(why, "it was told to go and is still there: what is in it goes first");
    assert!(log.iter().any(|line| line.contains("configmaps. has 1 resource instances")), "{log:?}");
    assert!(log.iter().any(|line| line.contains("its domain is that of wells.lab.test")), "{log:?}");
    patch("null");
    // The namespace's controller looks again when it sees fit, which is later than these hands have patience for.
    plane.until("namespace that is gone", |plane| {
        plane.get(&["namespaces", "--field-selector=metadata.name=stuck"], "{.items}") == "[]"
    });
    hands.delete(&[space.id().unwrap()], &desired.owner).await.unwrap();
    plane.kubectl(&["delete", "crd", "wells.lab.test"]);
}

/// In whatever order they are named: an object before its kind, and both before their namespace.
pub(super) async fn what_goes_goes_in_the_order_of_need(plane: &Plane, desired: &Desired, hands: &RealCluster) {
    let kind = ours(
        desired,
        json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "buckets.lab.test" },
        "spec": { "group": "lab.test", "scope": "Namespaced", "names": { "kind": "Bucket", "plural": "buckets" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": { "type": "object" } } }] } }),
    );
    let space = ours(desired, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "need" } }));
    let bucket = ours(
        desired,
        json!({ "apiVersion": "lab.test/v1", "kind": "Bucket",
        "metadata": { "name": "one", "namespace": "need" } }),
    );
    let theirs =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "not-ours", "namespace": "default" } });
    let all = [bucket, map(desired, "need", "settings", json!({})), kind, space];
    apply(hands, desired, &all).await.unwrap();
    plane.create(std::slice::from_ref(&theirs));
    let ids: Vec<ObjectId> = all.iter().rev().map(|object| object.id().unwrap()).collect();
    hands.delete(&ids, &desired.owner).await.unwrap();
    let there = shown(hands, desired).await;
    assert!(ids.iter().all(|id| !there.contains(id)), "{there:#?}");
    assert_eq!(plane.get(&["namespaces"], "{.items[?(@.metadata.name==\"need\")].metadata.name}"), "");
    let theirs = Manifest(theirs).id().unwrap();
    match hands.delete(&[theirs], &desired.owner).await {
        Err(ClusterError::Refused { why, .. }) => assert_eq!(why, "it does not carry our mark"),
        other => panic!("{other:?}"),
    }
    plane.kubectl(&["delete", "configmap", "not-ours"]);
}

/// Everything that can be applied, with the values of Secrets, each of its kind; and no event.
pub(super) async fn every_object_is_handed_over(plane: &Plane, hands: &RealCluster) {
    plane.create(&[json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": { "name": "to-save", "namespace": "default" }, "stringData": { "password": "hunter2" } })]);
    plane.create(&[json!({ "apiVersion": "v1", "kind": "Event", "type": "Normal", "reason": "Any", "message": "any",
        "metadata": { "name": "not-to-save", "namespace": "default" },
        "involvedObject": { "kind": "Secret", "name": "to-save", "namespace": "default" } })]);
    let mut all: Vec<Value> = Vec::new();
    let unlisted = hands
        .each_object(&mut |object| {
            all.push(object.clone());
            Ok(())
        })
        .await
        .unwrap();
    assert!(unlisted.is_empty(), "{unlisted:?}");
    let named =
        |kind: &str, name: &str| all.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let secret = named("Secret", "to-save").expect("Secrets are among them");
    assert_eq!((&secret["apiVersion"], &secret["data"]["password"]), (&json!("v1"), &json!("aHVudGVyMg==")));
    assert!(
        named("ClusterRole", "cluster-admin").is_some_and(|role| role["apiVersion"] == "rbac.authorization.k8s.io/v1")
    );
    assert!(named("Namespace", "default").is_some());
    assert!(all.iter().all(|object| object["kind"] != "Event"));
    let refused = hands.each_object(&mut |_| Err("the disk is full".into())).await.unwrap_err().to_string();
    assert!(refused.contains("the disk is full"), "{refused}");
}
