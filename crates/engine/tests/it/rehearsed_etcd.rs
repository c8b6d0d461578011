//! What a real API server keeps is restored by real programs of etcd, and read back.

use std::path::Path;
use std::process::Command;

use kubewright_engine::rehearse::etcd::{Programs, restored};
use kubewright_model::bundle::{BundledFile, Kind};
use kubewright_model::digest::Digest;
use serde_json::json;

use crate::plane::{Plane, assets};

const BUNDLE: &str = "lab-20261122T184433Z";

fn file(path: &str) -> BundledFile {
    BundledFile { path: format!("objects/{path}.yaml"), size: 1, sha256: Digest::of(path), what: Kind::Object }
}

fn saves(folder: &Path, plane: &Plane, to: &Path) {
    let mut save = Command::new(folder.join("etcdctl"));
    let save = save.args(["--endpoints", &plane.etcd(), "snapshot", "save"]).arg(to).output().unwrap();
    assert!(save.status.success(), "{}", String::from_utf8_lossy(&save.stderr));
}

fn canary(plane: &Plane, bundle: &str) {
    plane.kubectl(&["delete", "configmap", "-n", "kube-system", "kubewright-canary", "--ignore-not-found"]);
    let bundle = format!("--from-literal=bundle={bundle}");
    plane.kubectl(&["create", "configmap", "-n", "kube-system", "kubewright-canary", &bundle]);
}

#[tokio::test]
async fn what_a_real_api_server_keeps_is_read_out_of_a_snapshot() {
    let Some(folder) = assets(&["etcdctl", "etcdutl"]) else { return };
    let plane = Plane::start(folder.clone());
    plane.until("kube-system", |plane| plane.kubectl(&["get", "namespaces"]).contains("kube-system"));
    canary(&plane, BUNDLE);
    plane.kubectl(&["create", "secret", "generic", "key", "--from-literal=a=b"]);
    plane.kubectl(&["create", "deployment", "shop", "--image=shop", "--replicas=0"]);
    plane.create(&[json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "birds.example.org" },
        "spec": {
            "group": "example.org", "scope": "Namespaced",
            "names": { "kind": "Bird", "plural": "birds", "singular": "bird" },
            "versions": [{ "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } } }],
        },
    })]);
    plane.until("birds", |plane| plane.kubectl(&["api-resources"]).contains("example.org"));
    plane.create(&[json!({
        "apiVersion": "example.org/v1", "kind": "Bird", "metadata": { "name": "robin", "namespace": "default" },
    })]);
    let saved = tempfile::tempdir().unwrap();
    let snapshot = saved.path().join("etcd.db");
    saves(&folder, &plane, &snapshot);
    canary(&plane, "another");
    plane.kubectl(&["create", "configmap", "later", "--from-literal=a=b"]);

    let programs = Programs::find(Some(&folder)).unwrap();
    let there = [
        "kube-system/ConfigMap/kubewright-canary",
        "default/Secret/key",
        "default/Deployment.apps/shop",
        "default/Bird.example.org/robin",
        "default/Service/kubernetes",
        "_cluster/Namespace/kube-system",
        "_cluster/CustomResourceDefinition.apiextensions.k8s.io/birds.example.org",
        "_cluster/ClusterRole.rbac.authorization.k8s.io/admin",
        "_cluster/APIService.apiregistration.k8s.io/v1.apps",
    ];
    let files: Vec<BundledFile> = there.iter().map(|path| file(path)).collect();
    let read = restored(&programs, &snapshot, &files).await.unwrap();
    assert_eq!(read.canary.as_deref(), Some(BUNDLE), "not what was written after it");
    assert_eq!((read.compared.found, &read.compared.missing), (there.len(), &Vec::new()));
    assert!(read.keys > 100 && read.compared.agrees(), "{read:?}");
    assert!(read.secrets.0 >= 1 && read.secrets.1 == 0, "nothing encrypts them there: {read:?}");
    let later = restored(&programs, &snapshot, &[file("default/ConfigMap/later")]).await.unwrap();
    assert!(!later.compared.agrees() && later.compared.missing == ["default/ConfigMap/later"]);

    let mut bytes = std::fs::read(&snapshot).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&snapshot, bytes).unwrap();
    let why = restored(&programs, &snapshot, &files).await.unwrap_err();
    assert!(why.starts_with("etcdutl snapshot restore: "), "{why}");
}

#[test]
fn who_has_no_programs_of_etcd_is_told_which() {
    let empty = tempfile::tempdir().unwrap();
    let why = Programs::find(Some(empty.path())).unwrap_err();
    assert_eq!(why, format!("there is no `etcd` in {}", empty.path().display()));
}
