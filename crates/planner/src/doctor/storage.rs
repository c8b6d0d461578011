//! Volumes.

use kubewright_model::doctor::{Finding, Place};
use serde_json::Value;

use super::case::Case;
use super::images::{events, place};
use super::objects::Object as _;
use super::pods::of_events;

/// <https://kubernetes.io/docs/tasks/administer-cluster/change-default-storage-class/>
const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

fn is_default(class: &Value) -> bool {
    class.pointer("/metadata/annotations").and_then(|it| it.get(DEFAULT)).and_then(Value::as_str) == Some("true")
}

fn waiting<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Value> + use<'a> {
    case.list("persistentvolumeclaims").iter().filter(|claim| claim.text("/status/phase") == "Pending")
}

fn claim_place(claim: &Value) -> Place {
    Place {
        kind: "PersistentVolumeClaim".into(),
        namespace: Some(claim.namespace().into()),
        name: claim.name().into(),
        node: None,
    }
}

fn class_of(claim: &Value) -> Option<&str> {
    claim.pointer("/spec/storageClassName").and_then(Value::as_str)
}

fn is_missing(case: &Case<'_>, claim: &Value) -> bool {
    let named = class_of(claim).filter(|class| !class.is_empty());
    named.is_some_and(|class| {
        case.has("storageclasses") && !case.list("storageclasses").iter().any(|it| it.name() == class)
    })
}

fn lacks_default(case: &Case<'_>, claim: &Value) -> bool {
    class_of(claim).is_none() && case.has("storageclasses") && !case.list("storageclasses").iter().any(is_default)
}

pub(super) fn pending(case: &Case<'_>) -> Vec<Finding> {
    let mine = waiting(case).filter(|claim| !is_missing(case, claim) && !lacks_default(case, claim));
    let found = mine.filter_map(|claim| {
        let said: Vec<&Value> = events(case, claim).collect();
        // One whose class waits for a pod is right to wait.
        let waits = said.iter().any(|event| event.text("/reason") == "WaitForFirstConsumer");
        let failed = said.iter().find(|event| {
            matches!(event.text("/reason"), "ProvisioningFailed" | "FailedBinding" | "ExternalProvisioning")
        });
        (failed.is_some() || !waits).then(|| {
            let line = failed.map(|event| event.text("/message"));
            Finding::sick(claim_place(claim), format!("it has no volume (class {})", class_of(claim).unwrap_or("none")))
                .shown(line.or(Some("status.phase: Pending")))
                .by_hand([
                    format!("kubectl -n {} describe pvc {}", claim.namespace(), claim.name()),
                    "the pods of the class's provisioner tell more".into(),
                ])
        })
    });
    found.collect()
}

pub(super) fn class_missing(case: &Case<'_>) -> Vec<Finding> {
    let found = waiting(case).filter(|claim| is_missing(case, claim)).map(|claim| {
        let names: Vec<&str> = case.list("storageclasses").iter().map(|class| class.name()).collect();
        Finding::sick(claim_place(claim), format!("there is no StorageClass {}", class_of(claim).unwrap_or_default()))
            .shown([
                format!("storageClassName: {}", class_of(claim).unwrap_or_default()),
                format!("classes: {}", names.join(", ")),
            ])
            .by_hand([
                "`storage` of the spec makes classes; a claim's class cannot be changed: delete it and make it anew",
            ])
    });
    found.collect()
}

pub(super) fn no_default(case: &Case<'_>) -> Vec<Finding> {
    let found = waiting(case).filter(|claim| lacks_default(case, claim)).map(|claim| {
        let names: Vec<&str> = case.list("storageclasses").iter().map(|class| class.name()).collect();
        let (first, all) = (names.first().copied().unwrap_or("CLASS"), names.join(", "));
        Finding::sick(claim_place(claim), "it names no class, and none is the default")
            .shown([format!("classes: {}", if all.is_empty() { "none" } else { &all })])
            .by_hand([format!("kubectl annotate storageclass {first} {DEFAULT}=true")])
    });
    found.collect()
}

pub(super) fn many_defaults(case: &Case<'_>) -> Vec<Finding> {
    let names: Vec<&str> = case.list("storageclasses").iter().filter(|it| is_default(it)).map(|it| it.name()).collect();
    if names.len() < 2 {
        return Vec::new();
    }
    let all = names.join(", ");
    vec![
        Finding::risk(Place::cluster(), format!("{all} are all the default storage class"))
            .shown(names.iter().map(|name| format!("{name}: {DEFAULT}=true")))
            .by_hand(
                names
                    .iter()
                    .skip(1)
                    .map(|name| format!("kubectl annotate storageclass {name} {DEFAULT}=false --overwrite")),
            ),
    ]
}

/// What `mount` says where the program for a kind of filesystem is missing.
const HELPER: &str = "you might need a /sbin/mount.";

pub(super) fn helper(case: &Case<'_>) -> Vec<Finding> {
    let found =
        of_events(case, &["FailedMount"], &[HELPER, "iscsiadm: executable file not found", "iscsiadm: No such file"]);
    found
        .into_iter()
        .map(|(pod, said)| {
            let (node, package) = (
                pod.text("/spec/nodeName"),
                match () {
                    () if said.contains("cifs") => "cifs-utils",
                    () if said.contains("iscsiadm") => "open-iscsi",
                    () => "nfs-common",
                },
            );
            Finding::sick(place(pod), format!("{node} lacks the program that mounts its volume"))
                .shown(said.lines().filter(|line| line.contains("mount") || line.contains("iscsi")).take(2))
                .by_hand([
                    format!("`hosts.packages: [{package}]` in the spec, then kubewright apply"),
                    format!("or now, on {node}: apt-get install {package}"),
                ])
        })
        .collect()
}

pub(super) fn mounts(case: &Case<'_>) -> Vec<Finding> {
    let other = |said: &str| {
        said.contains(HELPER)
            || said.contains("iscsiadm")
            || said.contains("not found")
            || said.contains("not registered")
    };
    let found = of_events(
        case,
        &["FailedMount", "FailedMapVolume", "FailedAttachVolume"],
        &["MountVolume", "AttachVolume", "Unable to attach"],
    );
    found
        .into_iter()
        .filter(|(_, said)| !other(said) && !said.contains("Multi-Attach"))
        .map(|(pod, said)| {
            Finding::sick(place(pod), "its volume cannot be mounted").shown(said.lines().take(2)).by_hand([
                format!("kubectl -n {} describe pod {}", pod.namespace(), pod.name()),
                format!("the driver's pod on {} tells more", pod.text("/spec/nodeName")),
            ])
        })
        .collect()
}

pub(super) fn elsewhere(case: &Case<'_>) -> Vec<Finding> {
    let found = of_events(case, &["FailedAttachVolume"], &["Multi-Attach error"]).into_iter().map(|(pod, said)| {
        Finding::sick(place(pod), "its volume is still on another node").shown([said]).by_hand([
            "kubectl get volumeattachments".to_string(),
            "only where the old node is certainly off: kubectl taint nodes NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute".into(),
        ])
    });
    found.collect()
}
