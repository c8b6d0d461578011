//! What a bundle holds of a real API server's objects is what `kubectl apply` makes them anew from.

use std::path::Path;

use kubewright_engine::backup::{Packing, dump, extract};
use kubewright_engine::sops::{Identities, Sources, generate};
use kubewright_model::bundle::{About, BundleName, Canary, Kind};
use kubewright_model::spec::kubernetes::{Datastore, Distribution};
use kubewright_model::units::Moment;
use serde_json::{Value, json};

use super::{Quiet, chart, furnished, hands};
use crate::plane::{Plane, assets};

const MADE: Moment = Moment(1_795_369_980);

/// A namespace with what people keep in one, and a kind of their own.
fn shop(plane: &Plane) {
    let schema = json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    plane.create(&[
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } }),
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "till", "namespace": "shop" },
            "type": "Opaque", "data": { "password": "aHVudGVyMg==" } }),
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "opening", "namespace": "shop" },
            "data": { "hours": "on: 08:00\noff: \"18:00\"\n", "yes": "no", "number": "012" } }),
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "till", "namespace": "shop" },
            "spec": { "replicas": 0, "selector": { "matchLabels": { "app": "till" } }, "template": {
                "metadata": { "labels": { "app": "till" } },
                "spec": { "containers": [{ "name": "till", "image": "till:1" }] } } } }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": { "name": "shop:reader" }, "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }] }),
        json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": "receipts.shop.example.org" },
            "spec": { "group": "shop.example.org", "scope": "Namespaced",
                "names": { "plural": "receipts", "singular": "receipt", "kind": "Receipt" },
                "versions": [{ "name": "v1", "served": true, "storage": true, "schema": schema }] } }),
    ]);
    plane.kubectl(&["wait", "--for=condition=Established", "crd/receipts.shop.example.org", "--timeout=30s"]);
    plane.create(&[json!({ "apiVersion": "shop.example.org/v1", "kind": "Receipt",
        "metadata": { "name": "first", "namespace": "shop" }, "spec": { "sum": 12 } })]);
}

const THINGS: [&[&str]; 5] = [
    &["secret", "till", "-n", "shop"],
    &["configmap", "opening", "-n", "shop"],
    &["deployment", "till", "-n", "shop"],
    &["clusterrole", "shop:reader"],
    &["receipts.shop.example.org", "first", "-n", "shop"],
];

/// What was said of a thing, without what the API server has set.
fn said(plane: &Plane, what: &[&str]) -> Value {
    let text = plane.kubectl(&[&["get"], what, &["-o", "json"]].concat());
    let mut object: Value = serde_json::from_str(&text).unwrap();
    let object = object.as_object_mut().unwrap();
    object.remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    object.clone().into()
}

fn apply(plane: &Plane, folder: &Path) -> String {
    plane.kubectl(&["apply", "-R", "-f", &folder.display().to_string()])
}

#[tokio::test]
async fn what_is_dumped_is_what_kubectl_makes_anew() {
    let Some(assets) = assets(&["helm"]) else { return };
    let plane = Plane::start(assets);
    let desired = furnished(&plane);
    shop(&plane);
    let folder = tempfile::tempdir().unwrap();
    chart(folder.path());
    let mut helm = std::process::Command::new(plane.programs().join("helm"));
    helm.args(["install", "web", "--namespace", "shop", "--set", "replicas=3"]).arg(folder.path().join("chart"));
    let installed = helm.env("KUBECONFIG", plane.at("kubeconfig")).output().unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));

    let (hands, _) = hands(&desired, Some(&plane.kubeconfig), Quiet::default(), folder.path());
    let mut packing = Packing::new().unwrap();
    let dumped = dump(&hands, &mut packing).await.unwrap();
    assert_eq!((dumped.releases, &dumped.unlisted), (1, &Vec::new()));
    let (key, recipient) = generate("now");
    let name = BundleName::new(&desired.cluster, MADE);
    let about = About {
        cluster: desired.cluster.clone(),
        environment: None,
        made: MADE,
        kubewright: "0.1.0".into(),
        distribution: Distribution::K3s,
        version: desired.kubernetes.version.clone(),
        datastore: Datastore::Etcd,
        canary: Canary::of(&name),
        simulated: false,
    };
    let sealed = std::fs::File::options().read(true).write(true).create_new(true).open(folder.path().join("bundle"));
    let sealed = sealed.unwrap();
    packing.seal(about, &[recipient], &sealed).unwrap();
    let keys = Identities::look(&Sources { keys: Some(key), ..Sources::default() });
    let unpacked = folder.path().join("unpacked");
    let manifest = extract(&sealed, &keys, &unpacked).unwrap();
    let paths: Vec<&str> =
        manifest.files.iter().filter(|file| file.what == Kind::Object).map(|file| file.path.as_str()).collect();
    assert_eq!(paths.len(), dumped.objects);
    for path in [
        "objects/shop/Secret/till.yaml",
        "objects/shop/Deployment.apps/till.yaml",
        "objects/shop/Receipt.shop.example.org/first.yaml",
        "objects/_cluster/Namespace/shop.yaml",
        "objects/_cluster/CustomResourceDefinition.apiextensions.k8s.io/receipts.shop.example.org.yaml",
        "objects/_cluster/ClusterRole.rbac.authorization.k8s.io/shop:reader.yaml",
    ] {
        assert!(paths.contains(&path), "{path}: {paths:#?}");
    }
    assert!(!paths.iter().any(|path| path.contains("/Event")), "{paths:#?}");
    let release = std::fs::read_to_string(unpacked.join("releases/shop/web.yaml")).unwrap();
    assert!(release.contains("chartVersion: \"1.2.3\"") && release.contains("replicas: 3"), "{release}");

    // Everything of the namespace goes, and comes again from the files alone.
    let before: Vec<Value> = THINGS.iter().map(|what| said(&plane, what)).collect();
    for what in THINGS.iter().rev() {
        plane.kubectl(&[&["delete", "--wait=true", "--timeout=60s"], *what].concat());
    }
    let applied = apply(&plane, &unpacked.join("objects/shop"));
    assert!(
        applied.contains("secret/till created") && applied.contains("receipt.shop.example.org/first created"),
        "{applied}"
    );
    apply(&plane, &unpacked.join("objects/_cluster/ClusterRole.rbac.authorization.k8s.io"));
    let after: Vec<Value> = THINGS.iter().map(|what| said(&plane, what)).collect();
    assert_eq!(after, before);
}
