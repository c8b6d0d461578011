//! What of a bundle's objects reaches outside of its cluster: restored beside the one that lives, it would write to the same
//! volumes, answer for the same addresses, and carry out the same commits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek as _};

use kubewright_model::bundle::Kind;
use serde_json::Value;

use super::read::{Damage, read};
use crate::sops::Identities;

/// Volumes that are of their node, of the API or of nothing; every other kind is somewhere else.
/// <https://kubernetes.io/docs/concepts/storage/volumes/#volume-types>
const OF_THE_NODE: [&str; 10] = [
    "configMap",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "hostPath",
    "image",
    "local",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
/// Where the pods of a workload are written.
const PODS: [&str; 3] = ["/spec", "/spec/template/spec", "/spec/jobTemplate/spec/template/spec"];
/// Kinds of others that act outside of their cluster, and what each does there.
const ACTORS: [(&str, &str, &str); 13] = [
    ("metallb.io", "IPAddressPool", ADDRESSES),
    ("metallb.io", "BGPPeer", ROUTES),
    ("cilium.io", "CiliumLoadBalancerIPPool", ADDRESSES),
    ("cilium.io", "CiliumBGPPeeringPolicy", ROUTES),
    ("cilium.io", "CiliumBGPClusterConfig", ROUTES),
    ("argoproj.io", "Application", COMMITS),
    ("argoproj.io", "ApplicationSet", COMMITS),
    ("kustomize.toolkit.fluxcd.io", "Kustomization", COMMITS),
    ("helm.toolkit.fluxcd.io", "HelmRelease", COMMITS),
    ("external-secrets.io", "PushSecret", "writes secrets to where others read them"),
    ("externaldns.k8s.io", "DNSEndpoint", NAMES),
    ("cert-manager.io", "ClusterIssuer", ORDERS),
    ("cert-manager.io", "Issuer", ORDERS),
];
const ADDRESSES: &str = "answers for addresses of the live cluster";
const ROUTES: &str = "tells routers the way to addresses of the live cluster";
const COMMITS: &str = "carries out what is in Git, also where that is somewhere else";
const NAMES: &str = "writes names of the live cluster into DNS";
const ORDERS: &str = "orders certificates for names of the live cluster";
/// Programs that act outside of their cluster, by a part of their image's name.
const PROGRAMS: [(&str, &str); 3] = [("/kube-vip", ADDRESSES), ("/external-dns", NAMES), ("/cloudflared", ROUTES)];

/// What objects do outside of their cluster, and which of them do.
pub type Outside = BTreeMap<String, Vec<String>>;

/// Reads the objects of a bundle, and tells which of them act outside of their cluster; none where the bundle has no objects
/// that would tell. Nothing of it is written anywhere.
///
/// # Errors
///
/// What is wrong with the bundle.
pub fn outside(mut bundle: &File, identities: &Identities) -> Result<Option<Outside>, Damage> {
    bundle.rewind().map_err(|error| Damage::Io(error.to_string()))?;
    let (mut found, mut objects) = (Outside::new(), 0_usize);
    read(bundle, identities, &mut |told, file| {
        if told.what != Kind::Object {
            return io::copy(file, &mut io::sink()).map(drop);
        }
        objects += 1;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // One that nobody can read may be anything.
        let object: Option<Value> = serde_saphyr::from_str(&text).ok();
        let acts = object.as_ref().map_or_else(|| vec!["cannot be read".into()], acts);
        for deed in acts {
            found.entry(deed).or_default().push(name(&told.path));
        }
        Ok(())
    })?;
    Ok((objects > 0).then_some(found))
}

/// An object as people name it: `objects/NAMESPACE/KIND.GROUP/NAME.yaml` without what is the same of all.
fn name(path: &str) -> String {
    let path = path.strip_prefix("objects/").unwrap_or(path);
    let path = path.strip_suffix(".yaml").unwrap_or(path);
    path.strip_prefix("_cluster/").unwrap_or(path).to_string()
}

/// What an object does outside of its cluster.
fn acts(object: &Value) -> Vec<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, kind) = (text("/apiVersion").split_once('/').map_or("", |(group, _)| group), text("/kind"));
    let mut found: Vec<String> = Vec::new();
    if (group, kind) == ("", "PersistentVolume") {
        found.extend(object.get("spec").and_then(storage).map(writes));
    }
    if (group, kind) == ("", "Service") && text("/spec/type") == "LoadBalancer" {
        found.push(ADDRESSES.into());
    }
    let actor = ACTORS.iter().find(|(of, name, _)| (*of, *name) == (group, kind));
    // Issuers that sign by themselves, or by Vault, order nothing of anybody outside.
    let orders = |deed: &str| deed != ORDERS || object.pointer("/spec/acme").is_some();
    found.extend(actor.map(|(.., deed)| *deed).filter(|deed| orders(deed)).map(str::to_string));
    for pods in PODS.iter().filter_map(|place| object.pointer(place)) {
        let list = |field: &str| pods.get(field).and_then(Value::as_array).into_iter().flatten();
        found.extend(list("volumes").filter_map(storage).map(writes));
        let images = list("containers").filter_map(|it| it.get("image")?.as_str());
        let programs = images.filter_map(|image| PROGRAMS.iter().find(|(part, _)| image.contains(part)));
        found.extend(programs.map(|(_, deed)| (*deed).to_string()));
    }
    found.sort();
    found.dedup();
    found
}

/// The kind of storage of a volume that is not of its node: the field that is named after it, and says where it is.
fn storage(volume: &Value) -> Option<&str> {
    const OF_A_CLAIM: [&str; 2] = ["claimRef", "nodeAffinity"];
    let fields = volume.as_object()?.iter().filter(|(_, value)| value.is_object());
    let mut kinds = fields.map(|(field, _)| field.as_str()).filter(|field| !OF_A_CLAIM.contains(field));
    kinds.find(|kind| *kind != "capacity" && !OF_THE_NODE.contains(kind))
}

fn writes(kind: &str) -> String {
    format!("uses the same volumes ({kind}) as the live cluster")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn volume(spec: Value) -> Vec<String> {
        acts(&json!({ "apiVersion": "v1", "kind": "PersistentVolume", "spec": spec }))
    }

    #[test]
    fn volumes_elsewhere_are_told_and_those_of_a_node_are_not() {
        let common =
            json!({ "capacity": { "storage": "1Gi" }, "claimRef": { "name": "db" }, "accessModes": ["ReadWriteOnce"] });
        for (kind, deed) in [
            (json!({ "nfs": { "server": "nas", "path": "/db" } }), "uses the same volumes (nfs) as the live cluster"),
            (json!({ "iscsi": { "iqn": "iqn.2000-01.com" } }), "uses the same volumes (iscsi) as the live cluster"),
            (json!({ "csi": { "driver": "nfs.csi.k8s.io" } }), "uses the same volumes (csi) as the live cluster"),
        ] {
            let mut spec = common.clone();
            spec.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
            assert_eq!(volume(spec), [deed]);
        }
        let mut spec = common;
        spec["local"] = json!({ "path": "/mnt/disk" });
        spec["nodeAffinity"] = json!({ "required": {} });
        assert_eq!(volume(spec), [""; 0]);
    }

    #[test]
    fn workloads_are_looked_into() {
        let pods = |volume: Value, image: &str| json!({ "volumes": [volume], "containers": [{ "image": image }] });
        let claim = json!({ "name": "data", "persistentVolumeClaim": { "claimName": "data" } });
        let nfs = json!({ "name": "data", "nfs": { "server": "nas", "path": "/db" } });
        let job = json!({
            "apiVersion": "batch/v1", "kind": "CronJob",
            "spec": { "jobTemplate": { "spec": { "template": { "spec": pods(nfs, "postgres:17") } } } },
        });
        assert_eq!(acts(&job), ["uses the same volumes (nfs) as the live cluster"]);
        let set = |image: &str| {
            let spec = json!({ "template": { "spec": pods(claim.clone(), image) } });
            acts(&json!({ "apiVersion": "apps/v1", "kind": "DaemonSet", "spec": spec }))
        };
        assert_eq!(set("postgres:17"), [""; 0]);
        assert_eq!(set("ghcr.io/kube-vip/kube-vip:v0.8.9"), [ADDRESSES]);
        assert_eq!(set("registry.k8s.io/external-dns/external-dns:v0.18.0"), [NAMES]);
    }

    #[test]
    fn who_hands_out_addresses_carries_out_commits_or_orders_is_told() {
        let one = |api: &str, kind: &str, spec: Value| acts(&json!({ "apiVersion": api, "kind": kind, "spec": spec }));
        assert_eq!(one("metallb.io/v1beta1", "IPAddressPool", json!({})), [ADDRESSES]);
        assert_eq!(one("cilium.io/v2", "CiliumLoadBalancerIPPool", json!({})), [ADDRESSES]);
        assert_eq!(one("argoproj.io/v1alpha1", "Application", json!({})), [COMMITS]);
        // Of that group, and something else.
        assert_eq!(one("argoproj.io/v1alpha1", "AppProject", json!({})), [""; 0]);
        assert_eq!(one("app.k8s.io/v1beta1", "Application", json!({})), [""; 0]);
        assert_eq!(one("v1", "Service", json!({ "type": "LoadBalancer" })), [ADDRESSES]);
        assert_eq!(one("v1", "Service", json!({ "type": "NodePort" })), [""; 0]);
        assert_eq!(one("cert-manager.io/v1", "ClusterIssuer", json!({ "selfSigned": {} })), [""; 0]);
        assert_eq!(
            one("cert-manager.io/v1", "ClusterIssuer", json!({ "acme": { "email": "a@example.org" } })),
            [ORDERS]
        );
    }
}
