//! What a machine of Talos must be before it is given its configuration, and what its versions understand of one another.

use std::collections::BTreeMap;

use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::host::HostResource;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Action, Stage, Step, Weight, WorkloadImage};
use kubewright_model::programs::KUBE_PROXY;
use kubewright_model::recipe::Effect;
use kubewright_model::talos::{MachineConfig, TalosImage, TalosSeen};
use kubewright_model::version::Version;

use super::draft::{Draft, id};
use super::hosts::upgrades;
use super::members::role_is_server;
use super::standing::{Node, Standings};
use crate::diff::talos::{interfaces, kube_proxy as kube_proxy_image};

/// The first versions with documents that the ones before do not know, and refuse: those of the network
/// (`MultidocNetworkConfigSupported`, `pkg/machinery/config/contract.go`), and those of everything else.
const FORMS: [(u64, u64); 2] = [(1, 12), (1, 14)];
/// What to write for another disk or interface.
const PLACES: &str = "for all in `kubernetes.talos`, or for one in `talos.nodes` of its pool";

/// Judges what machines have against what they are to be given.
pub(super) fn plan(draft: &mut Draft<'_>, standings: &Standings<'_>) {
    for node in &standings.nodes {
        let Some(seen) = node.answers().and_then(|host| host.talos.as_ref()) else { continue };
        for resource in &node.host.resources {
            match resource {
                HostResource::MachineConfig(config) => {
                    disk(draft, node.name(), seen, config);
                    links(draft, node.name(), seen, config);
                }
                HostResource::TalosImage(image) if seen.maintenance => waits(draft, node.name(), seen, image),
                _ => {}
            }
        }
    }
}

fn disk(draft: &mut Draft<'_>, name: &NodeName, seen: &TalosSeen, config: &MachineConfig) {
    // Names below `/dev/disk` lead to disks that are told by other names.
    let Some(disk) = config.install_disk().filter(|disk| !disk.starts_with("/dev/disk/")) else { return };
    let subject = Subject::Host(name.clone());
    if let Some(there) = seen.system_disk.as_ref().filter(|there| **there != disk) {
        let message =
            format!("Talos is on {there} and stays there: `installDisk` ({disk}) is for the first installation");
        let help =
            format!("write `installDisk: {there}`; or wipe the machine's disks and start it from an image of Talos");
        draft.note(Weight::Warns, subject, message, &help);
    } else if seen.maintenance && seen.system_disk.is_none() && !seen.disks.contains_key(&disk) {
        let there: Vec<String> = seen.disks.iter().map(|(disk, size)| format!("{disk} ({size})")).collect();
        let there = if there.is_empty() { "none".into() } else { there.join(", ") };
        let message = format!("it has no disk {disk} to install Talos on; there is {there}");
        draft.note(Weight::Blocks, subject, message, &format!("write `installDisk`: {PLACES}"));
    }
}

/// An address on an interface that is not there leads nowhere, and one that all physical interfaces get is on each of them
/// (`DeviceConfigController`, `internal/app/machined/pkg/controllers/network/device_config.go`).
fn links(draft: &mut Draft<'_>, name: &NodeName, seen: &TalosSeen, config: &MachineConfig) {
    if seen.links.is_empty() {
        return;
    }
    let there: Vec<&str> = seen.links.keys().map(String::as_str).collect();
    let there = there.join(", ");
    let known =
        |name: &String| seen.links.contains_key(name) || seen.links.values().flatten().any(|other| other == name);
    let wished = interfaces(config);
    let help = format!("write `interface`: {PLACES}");
    if let Some(lacks) = wished.named.iter().find(|name| !known(name)) {
        let message = format!("it has no interface {lacks} for its addresses; there is {there}");
        draft.note(Weight::Blocks, Subject::Host(name.clone()), message, &help);
    }
    if wished.physical && seen.maintenance && seen.links.len() > 1 {
        let message =
            format!("nothing says on which interface its addresses are, and each of these would get them: {there}");
        draft.note(Weight::Blocks, Subject::Host(name.clone()), message, &help);
    }
}

/// What reads a configuration first is what the machine was started from.
fn waits(draft: &mut Draft<'_>, name: &NodeName, seen: &TalosSeen, image: &TalosImage) {
    if seen.version.minor() >= image.version.minor() {
        return;
    }
    let subject = Subject::Host(name.clone());
    if understands(&seen.version, &image.version) {
        let message = format!(
            "it was started from Talos {}, which may not understand the configuration of {}",
            seen.version, image.version
        );
        return draft.note(
            Weight::Warns,
            subject,
            message,
            "start it from an image of the wished version, if it refuses",
        );
    }
    let (form, help) = (form(&image.version), "start it from an image of the wished version");
    let message = match &seen.system_disk {
        None => {
            format!("it was started from Talos {}, which refuses the configuration of {form} and newer", seen.version)
        }
        Some(disk) => {
            format!("Talos {} is on its disk {disk}, and refuses the configuration of {form} and newer", seen.version)
        }
    };
    let help = match seen.system_disk {
        None => help.to_string(),
        Some(_) => {
            format!("write `talos.version: {}` first, and upgrade it when it is a node; or {help}", seen.version)
        }
    };
    draft.note(Weight::Blocks, subject, message, &help);
}

/// Whether a version knows all documents that are written for another one.
fn understands(old: &Version, new: &Version) -> bool {
    FORMS.iter().all(|form| new.minor() < *form || old.minor() >= *form)
}

/// The newest form that a version has.
fn form(version: &Version) -> String {
    let (major, minor) = FORMS.into_iter().rev().find(|form| version.minor() >= *form).unwrap_or(version.minor());
    format!("v{major}.{minor}")
}

/// A reset leaves Talos itself on the disk (`META` and `BOOT` stay), and that reads the next configuration. What it would refuse is
/// told before anything is taken away.
pub(super) fn resets(draft: &mut Draft<'_>, observed: &Observed) {
    let mut old: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for host in &draft.desired.hosts {
        let leaves = draft.steps.iter().any(|step| match &step.action {
            Action::RunRecipe { host: other, recipe, .. } => *other == host.name && recipe.effect == Effect::Leave,
            _ => false,
        });
        let talos = observed.hosts.get(&host.name).and_then(Seen::present).and_then(|seen| seen.talos.as_ref());
        let Some(talos) = talos.filter(|_| leaves && draft.has(&id("host", &host.name))) else { continue };
        let wished = host.resources.iter().find_map(|resource| match resource {
            HostResource::TalosImage(image) if !understands(&talos.version, &image.version) => Some(&image.version),
            _ => None,
        });
        if let Some(wished) = wished {
            let versions = (talos.version.to_string(), form(wished));
            old.entry(versions).or_default().push(host.name.to_string());
        }
    }
    for ((version, form), names) in old {
        let message = format!(
            "Talos {version} stays on the disk of {} when it is reset, and refuses the configuration of {form} and newer",
            names.join(", ")
        );
        let help = format!(
            "`kubewright apply` first: it upgrades Talos on nodes that work; where none does, write `talos.version: {version}`, \
             and upgrade afterwards"
        );
        draft.note(Weight::Blocks, Subject::Cluster, message, &help);
    }
}

/// Talos makes kube-proxy once, and changes it never again by its configuration (`ManifestApplyController`, `manifest_apply.go`),
/// so its image is set when the servers are new: it may be older than they are, and not newer.
/// <https://kubernetes.io/releases/version-skew-policy/#kube-proxy>
pub(super) fn kube_proxy(draft: &mut Draft<'_>, standings: &Standings<'_>) {
    let Some(there) = standings.cluster_seen().and_then(|seen| seen.kube_proxy.as_ref()) else { return };
    let servers: Vec<&Node<'_>> = standings.nodes.iter().filter(|node| role_is_server(node)).collect();
    let wished = servers.iter().flat_map(|node| &node.host.resources).find_map(|resource| match resource {
        HostResource::MachineConfig(config) => kube_proxy_image(&config.documents()),
        _ => None,
    });
    let stays_old = |node: &&&Node<'_>| upgrades(draft.desired, node) && !draft.has(&id("upgrade", node.name()));
    let Some(image) = wished.filter(|image| image != there && !servers.iter().any(|node| stays_old(&node))) else {
        return;
    };
    let (namespace, name) = KUBE_PROXY;
    let needs = servers.iter().flat_map(|node| ["host", "upgrade", "ready"].map(|deed| id(deed, node.name())));
    let needs = needs.collect();
    let wish =
        WorkloadImage { namespace: namespace.into(), name: name.into(), container: name.into(), image: image.clone() };
    draft.add(Step {
        id: id("image", name),
        stage: Stage::Addons,
        subject: Subject::Objects(name.into()),
        action: Action::SetImage(Box::new(wish)),
        fields: vec![FieldChange { field: "image".into(), from: Some(there.clone()), to: Some(image) }],
        reason: Reason::Differs,
        needs,
        takes: Vec::new(),
        part: String::new(),
    });
}
