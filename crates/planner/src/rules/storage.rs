//! 08xx, the part about volumes: StorageClasses, the NAS, and what iSCSI takes.

use std::collections::BTreeMap;

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::ids::ObjectName;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::addons::{NfsClass, ReclaimPolicy, Synology, SynologyClass, SynologyProtocol};

use super::machines::refuse;
use super::{Facts, at};

/// What brings `iscsiadm` and `iscsid` into Talos.
/// <https://www.talos.dev/v1.11/kubernetes-guides/configuration/synology-csi/>
const ISCSI_TOOLS: &str = "siderolabs/iscsi-tools";

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let storage = &facts.spec.addons.storage;
    if let Some(nfs) = &storage.nfs {
        absolute(&nfs.path, at("addons/storage/nfs/path"), found);
    }
    for (name, class) in storage.nfs_csi.iter().flat_map(|it| &it.classes) {
        nfs_class(class, &at("addons/storage/nfsCsi/classes").then(name), found);
    }
    if let Some(synology) = &storage.synology {
        which_nas(synology, found);
        for (name, class) in &synology.classes {
            synology_class(synology, class, &at("addons/storage/synology/classes").then(name), found);
        }
        iscsi(facts, synology, found);
        containers(facts, synology, found);
    }
    classes(facts, found);
}

fn absolute(path: &str, place: SpecPath, found: &mut Vec<Diagnostic>) {
    if !path.starts_with('/') {
        let message = format!("`{path}` does not begin with `/`");
        let help = "write the folder as the server exports it: `/volume1/kubernetes`";
        refuse(codes::NFS_PATH, place, message, help, found);
    }
}

/// The driver removes the folder of a volume as a whole, and one that is always the same is everybody's
/// (`DeleteVolume` in its `pkg/nfs/controllerserver.go`, v4.13.4).
fn nfs_class(class: &NfsClass, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    absolute(&class.share, path.then("share"), found);
    let shared = class.sub_dir.as_ref().filter(|folder| !folder.contains("${"));
    if let Some(folder) = shared.filter(|_| class.reclaim_policy == ReclaimPolicy::Delete) {
        let message = format!("all volumes are in `{folder}`, which goes with the first of them");
        let help = "write `reclaimPolicy: Retain`, or `${pvc.metadata.namespace}/${pvc.metadata.name}`";
        refuse(codes::STORAGE_CLASS, path.then("subDir"), message, help, found);
    }
}

/// A NAS, or a Secret that tells of it.
fn which_nas(synology: &Synology, found: &mut Vec<Diagnostic>) {
    let path = at("addons/storage/synology");
    let said = [synology.at.is_some(), synology.user.is_some(), synology.password.is_some()];
    let nas = said.contains(&true) || !synology.others.is_empty();
    match &synology.client_info_secret {
        Some(secret) if nas || synology.by_argocd => {
            let (message, help) = match synology.by_argocd {
                true => ("what Argo CD installs reads a ConfigMap".to_string(), "remove `clientInfoSecret`"),
                false => {
                    (format!("the Secret `{secret}` tells of every NAS, and so does this file"), "keep one of them")
                }
            };
            refuse(codes::SYNOLOGY_NAS, path.then("clientInfoSecret"), message, help, found);
        }
        None if said.contains(&false) => {
            let message = "nothing says in full which NAS it is".to_string();
            let help = "write `at`, `user` and `password`, or `clientInfoSecret`";
            refuse(codes::SYNOLOGY_NAS, path, message, help, found);
        }
        _ => {}
    }
}

fn synology_class(synology: &Synology, class: &SynologyClass, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let mut say = |field: &str, message: String, help: &str| {
        refuse(codes::STORAGE_CLASS, path.then(field), message, help, found);
    };
    let known = || synology.every_nas().into_iter().map(|nas| nas.at.host);
    if let Some(dsm) =
        class.dsm.as_ref().filter(|dsm| synology.client_info_secret.is_none() && !known().any(|it| it == **dsm))
    {
        say(
            "dsm",
            format!("no NAS of this file is at `{dsm}`"),
            "write it as `at` or one of `others` has it, without the port",
        );
    }
    if let Some(location) = class.location.as_ref().filter(|location| !location.starts_with('/')) {
        say("location", format!("`{location}` does not begin with `/`"), "write the NAS' volume: `/volume1`");
    }
    if class.fs_type.is_some() && class.protocol != SynologyProtocol::Iscsi {
        let message = format!("a folder that is shared by {} has the file system of the NAS", class.protocol.word());
        say("fsType", message, "remove it, or write `protocol: iscsi`");
    }
    if class.protocol == SynologyProtocol::Smb && synology.smb.is_none() {
        let message = "nothing says who may read and write its folders".to_string();
        say("protocol", message, "write `smb: { user: …, password: … }` beside `classes`");
    }
}

/// The kernel speaks iSCSI for no container, and the daemon does not start in one (`ConditionVirtualization=!private-users`
/// in Debian's `iscsid.service`).
fn containers(facts: &Facts<'_>, synology: &Synology, found: &mut Vec<Diagnostic>) {
    let container = facts.nodes.iter().find(|node| node.is_node() && node.lxc().is_some());
    if let Some(node) = container.filter(|_| synology.speaks_iscsi()) {
        let message = format!("`{}` is a container, and no container speaks iSCSI", node.name);
        let help = "write classes of protocol `nfs`, or make nodes of `vm`";
        refuse(codes::ISCSI_TOOLS, at("addons/storage/synology"), message, help, found);
    }
}

/// Talos has no packages: iSCSI is an extension of its image. What is in an image by its schematic alone, nobody can tell.
fn iscsi(facts: &Facts<'_>, synology: &Synology, found: &mut Vec<Diagnostic>) {
    let kubernetes = &facts.spec.kubernetes;
    let here = |extensions: &[String]| extensions.iter().any(|it| it == ISCSI_TOOLS);
    let perhaps = kubernetes.talos.as_ref().is_some_and(|it| it.schematic.is_some() || here(&it.extensions));
    if kubernetes.distribution != Distribution::Talos || perhaps || !synology.speaks_iscsi() {
        return;
    }
    let classes = at("addons/storage/synology/classes");
    let speaks = synology.classes.iter().find(|(_, class)| class.protocol == SynologyProtocol::Iscsi);
    let (path, message) = match speaks {
        Some((name, _)) => {
            (classes.then(name), format!("nodes reach volumes of `{name}` by iSCSI, and Talos has no `iscsiadm`"))
        }
        None => {
            let message = "classes of the chart want iSCSI, and Talos has no `iscsiadm`";
            (at("addons/storage/synology"), message.to_string())
        }
    };
    let help = "write `kubernetes.talos.extensions: [siderolabs/iscsi-tools]`, or classes of protocol `nfs`";
    refuse(codes::ISCSI_TOOLS, path, message, help, found);
}

/// No two classes have one name, and one at most is the default.
fn classes(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let addons = &facts.spec.addons;
    let storage = &addons.storage;
    let (nfs, synology) = (at("addons/storage/nfsCsi/classes"), at("addons/storage/synology/classes"));
    let mut all: Vec<(&ObjectName, bool, SpecPath)> = Vec::new();
    all.extend(addons.hetzner.csi.iter().map(|it| (&it.class, it.default, at("addons/hetzner/csi/class"))));
    all.extend(storage.nfs.iter().map(|it| (&it.class, false, at("addons/storage/nfs/class"))));
    let of_nfs = storage.nfs_csi.iter().flat_map(|it| &it.classes);
    all.extend(of_nfs.map(|(name, class)| (name, class.default, nfs.then(name))));
    let of_synology = storage.synology.iter().flat_map(|it| &it.classes);
    all.extend(of_synology.map(|(name, class)| (name, class.default, synology.then(name))));
    let mut names: BTreeMap<&ObjectName, &SpecPath> = BTreeMap::new();
    let mut default: Option<&ObjectName> = None;
    for (name, is_default, path) in &all {
        if names.insert(name, path).is_some() {
            let message = format!("another StorageClass is called `{name}` already");
            refuse(codes::STORAGE_CLASS, path.clone(), message, "give it another name", found);
        }
        let Some(other) = default.filter(|_| *is_default) else {
            default = default.or(Some(*name).filter(|_| *is_default));
            continue;
        };
        let message = format!("`{other}` is the default already, and claims get the one that was made last");
        refuse(codes::STORAGE_CLASS, path.clone(), message, "remove one `default: true`", found);
    }
}
