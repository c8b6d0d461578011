//! What drivers for volumes demand of hosts, of their charts and of their classes.

use kubewright_model::desired::Desired;
use kubewright_model::host::HostResource;
use kubewright_model::spec::load;
use serde_json::{Value, json};

use super::changed;
use crate::lower::lower;

/// The lab with volumes.
fn with(storage: &str) -> Desired {
    changed(&[("  loadBalancers:", &format!("  addons:\n    storage:\n{storage}  loadBalancers:"))])
}

fn values<'d>(desired: &'d Desired, name: &str) -> &'d Value {
    let release = desired.releases.iter().find(|release| release.name.as_str() == name);
    &release.unwrap_or_else(|| panic!("no {name}")).values
}

fn object<'d>(desired: &'d Desired, name: &str) -> &'d Value {
    let mut manifests = desired.objects.iter().flat_map(|group| &group.manifests);
    let found = manifests.find(|manifest| manifest.0.pointer("/metadata/name") == Some(&json!(name)));
    &found.unwrap_or_else(|| panic!("no {name}")).0
}

/// Packages and units of the agent's host that the plain lab does not have.
fn host(desired: &Desired) -> Vec<String> {
    let names = |desired: &Desired| -> Vec<String> {
        let names = super::resources(desired, "agent").iter().filter_map(|resource| match resource {
            HostResource::Package(name) => Some(name.clone()),
            HostResource::Unit(unit) => Some(unit.name.clone()),
            _ => None,
        });
        names.collect()
    };
    let plain = names(&super::lab());
    names(desired).into_iter().filter(|name| !plain.contains(name)).collect()
}

const SYNOLOGY: &str = "      synology: { at: 10.0.0.5:5000, user: csi, password: { env: NAS }, MORE }\n";

fn synology(more: &str) -> Desired {
    with(&SYNOLOGY.replace("MORE", more))
}

#[test]
fn only_a_kubelet_that_mounts_nfs_by_itself_needs_it_on_its_host() {
    let class = "{ server: nas.lan, share: /volume1, subDir: '${pvc.metadata.name}', mountOptions: [nfsvers=4.1], default: true }";
    let driver = with(&format!("      nfsCsi: {{ classes: {{ nas: {class} }} }}\n"));
    assert!(host(&driver).is_empty(), "its image brings mount.nfs: {:?}", host(&driver));
    let made = object(&driver, "nas");
    let default = "/metadata/annotations/storageclass.kubernetes.io~1is-default-class";
    assert_eq!(made.pointer(default), Some(&json!("true")));
    assert_eq!((&made["provisioner"], &made["reclaimPolicy"]), (&json!("nfs.csi.k8s.io"), &json!("Delete")));
    let parameters = json!({ "server": "nas.lan", "share": "/volume1", "subDir": "${pvc.metadata.name}" });
    assert_eq!((&made["parameters"], &made["mountOptions"]), (&parameters, &json!(["nfsvers=4.1"])));
    let check = driver.checks.iter().find(|check| check.name == "storage classes").unwrap();
    assert_eq!(check.condition.to_string(), "StorageClass nas there");
    assert_eq!(host(&with("      nfs: { server: nas.lan, path: /volume1 }\n")), ["nfs-common"]);
}

#[test]
fn iscsi_is_spoken_by_the_host_and_shared_folders_are_not() {
    assert_eq!(host(&synology("classes: { blocks: {} }")), ["open-iscsi", "iscsid.service"]);
    assert_eq!(host(&synology("")), ["open-iscsi", "iscsid.service"], "classes of the chart speak it");
    assert!(host(&synology("classes: { folders: { protocol: nfs } }")).is_empty());
    assert!(host(&synology("byArgocd: true")).is_empty(), "nobody knows its classes");
}

#[test]
fn packages_have_the_names_of_their_family() {
    let of = |os: &str| {
        let hosts = format!("hosts:\n    os: {os}\n");
        let desired = changed(&[
            ("  hosts:\n", &format!("  {hosts}")),
            (
                "  loadBalancers:",
                &format!(
                    "  addons:\n    storage:\n      nfs: {{ server: nas.lan, path: /a }}\n{}  loadBalancers:",
                    SYNOLOGY.replace("MORE", "")
                ),
            ),
        ]);
        host(&desired)
    };
    assert_eq!(of("Rocky Linux 9.5"), ["nfs-utils", "iscsi-initiator-utils", "iscsid.service"]);
    assert_eq!(of("openSUSE Leap 15.6"), ["nfs-client", "open-iscsi", "iscsid.service"]);
    assert_eq!(of("Debian 12"), ["nfs-common", "open-iscsi", "iscsid.service"]);
}

#[test]
fn synologys_driver_reads_a_secret_with_every_nas_and_no_value_holds_a_password() {
    let desired = synology(
        "others: [{ at: 10.0.0.6:5001, https: true, user: 'c: \"s\"', password: { env: OTHER } }], smb: { user: share, password: { env: SMB } }, \
         classes: { windows: { protocol: smb, dsm: 10.0.0.6, mountOptions: [mfsymlinks] }, blocks: { location: /volume2, fsType: btrfs, reclaimPolicy: Retain } }",
    );
    assert_eq!(
        object(&desired, "client-info-secret")["stringData"]["client-info.yaml"],
        "---\nclients:\n  - host: \"10.0.0.5\"\n    port: 5000\n    https: false\n    username: \"csi\"\n    password: |-\n      ‹hole:secret/synology›\n  \
         - host: \"10.0.0.6\"\n    port: 5001\n    https: true\n    username: \"c: \\\"s\\\"\"\n    password: |-\n      ‹hole:secret/synology-2›\n"
    );
    assert_eq!(desired.secrets["synology-2"].env.as_deref(), Some("OTHER"));
    assert_eq!(object(&desired, "synology-smb-user")["stringData"]["password"], "‹hole:secret/synology-smb›");
    let values = values(&desired, "synology-csi");
    assert_eq!(values["clientInfoSecret"], json!({ "create": false, "name": "client-info-secret" }));
    assert_eq!(values["storageClasses"]["smb-retain"], json!({ "disabled": true }));
    assert!(!values.to_string().contains("hole:"), "{values}");
    let windows = object(&desired, "windows");
    assert_eq!(
        windows["parameters"],
        json!({
            "protocol": "smb",
            "dsm": "10.0.0.6",
            "csi.storage.k8s.io/node-stage-secret-name": "synology-smb-user",
            "csi.storage.k8s.io/node-stage-secret-namespace": "synology-csi",
        })
    );
    let blocks = object(&desired, "blocks");
    assert_eq!(blocks["parameters"], json!({ "protocol": "iscsi", "location": "/volume2", "fsType": "btrfs" }));
    assert_eq!(blocks["reclaimPolicy"], "Retain");
}

#[test]
fn a_secret_of_others_is_named_and_not_made() {
    let desired = with("      synology: { clientInfoSecret: nas, classes: { blocks: {} } }\n");
    assert_eq!(values(&desired, "synology-csi")["clientInfoSecret"], json!({ "create": false, "name": "nas" }));
    let kinds = desired.objects.iter().flat_map(|group| &group.manifests);
    assert!(!kinds.into_iter().any(|it| it.0["metadata"]["namespace"] == "synology-csi"), "{:#?}", desired.objects);
}

#[test]
fn on_talos_the_driver_is_told_where_the_extension_puts_iscsiadm() {
    let text = "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes:
    distribution: talos
    version: v1.34.0
    talos: { version: v1.11.5, extensions: [siderolabs/iscsi-tools] }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1 }
  pools: { one: { role: both, name: one, addresses: [10.0.0.11], existing: {} } }
  addons: { storage: { synology: { at: '10.0.0.5:5000', user: csi, password: { env: NAS } } } }
";
    let loaded = load(text).unwrap_or_else(|found| panic!("{found:#?}"));
    let (desired, found) = lower(&loaded.file);
    assert!(found.is_empty(), "{found:#?}");
    let arguments = &values(&desired, "synology-csi")["node"]["plugin"]["extraArgs"];
    assert_eq!(*arguments, json!(["--iscsiadm-path=/usr/local/sbin/iscsiadm"]));
    let label = "/metadata/labels/pod-security.kubernetes.io~1enforce";
    assert_eq!(object(&desired, "synology-csi").pointer(label), Some(&json!("privileged")));
}
