//! Kubernetes' nodes.

use kubewright_model::desired::DesiredRelease;
use kubewright_model::doctor::{Finding, Mend, Place};
use kubewright_model::observed::{CORDONED, Seen};
use kubewright_model::spec::kubernetes::Distribution;
use serde_json::Value;

use super::case::{Case, chosen};
use super::objects::{self, Object as _};
use super::releases::PLUG_INS;

/// kubelet's words where no plug-in has written its configuration.
const NO_CNI: [&str; 2] = ["cni plugin not initialized", "NetworkPluginNotReady"];

fn has_no_cni(node: &Value) -> bool {
    node.condition("Ready").is_some_and(|it| NO_CNI.iter().any(|words| it.text("/message").contains(words)))
}

fn line(condition: &Value) -> String {
    format!(
        "{}={} {}: {}",
        condition.text("/type"),
        condition.text("/status"),
        condition.text("/reason"),
        condition.text("/message")
    )
}

pub(super) fn not_ready(case: &Case<'_>) -> Vec<Finding> {
    let not =
        |node: &&Value| node.condition("Ready").is_none_or(|it| it.text("/status") != "True") && !has_no_cni(node);
    let found = case.list("nodes").iter().filter(not).map(|node| {
        Finding::sick(Place::node(node.name()), "it is not Ready").shown(node.condition("Ready").map(line)).by_hand([
            format!(
                "on {}: journalctl -u {} -n 100 --no-pager",
                node.name(),
                case.kubernetes_unit(&node.name().into())
            ),
        ])
    });
    found.collect()
}

pub(super) fn no_cni(case: &Case<'_>) -> Vec<Finding> {
    let found = case.list("nodes").iter().filter(|node| has_no_cni(node)).map(|node| {
        let found = Finding::sick(Place::node(node.name()), "it has no network plug-in")
            .shown(node.condition("Ready").map(line));
        // The plug-ins of K3s and RKE2 are their own matter; others are releases of the spec.
        let release = |it: &&DesiredRelease| PLUG_INS.iter().any(|plug_in| it.name.as_str().contains(plug_in));
        match (case.distribution(), case.desired.releases.iter().find(release)) {
            (_, Some(release)) => found.applied([chosen(release)]),
            (Distribution::K3s, None) => found.by_hand([format!(
                "on {}: journalctl -u {} | grep -i flannel",
                node.name(),
                case.kubernetes_unit(&node.name().into())
            )]),
            (_, None) => found.by_hand([
                "kubectl -n kube-system get pods -o wide: is there one of a network plug-in on it, and does it run?",
            ]),
        }
    });
    found.collect()
}

pub(super) fn missing(case: &Case<'_>) -> Vec<Finding> {
    let is_there = |name: &str| case.list("nodes").iter().any(|node| node.name() == name);
    // One whose machine is not there either is a plan's matter.
    let made = |name| case.evidence.machines.get(name).is_none_or(|seen| matches!(seen, Seen::Present(_)));
    let members = case.desired.members.iter().filter(|member| case.has("nodes") && !is_there(member.name.as_str()));
    members
        .filter(|member| made(&member.name))
        .map(|member| {
            let names: Vec<&str> = case.list("nodes").iter().map(|node| node.name()).collect();
            Finding::sick(Place::node(member.name.as_str()), "the spec has it, and the cluster has no such node")
                .shown([format!("nodes: {}", names.join(", "))])
                .applied([member.name.as_str()])
        })
        .collect()
}

/// A run that was cut off has left a label of ours, and the next one lets the pods back; what somebody else has cordoned may be
/// meant so.
pub(super) fn cordoned(case: &Case<'_>) -> Vec<Finding> {
    let cordoned = |node: &&Value| node.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
    let found = case.list("nodes").iter().filter(cordoned).map(|node| {
        let ours = node.label(CORDONED).is_some();
        let cause = if ours { "a run that was cut off has cordoned it" } else { "somebody has cordoned it" };
        let found = Finding::risk(Place::node(node.name()), cause).shown(["spec.unschedulable: true"]);
        match ours {
            true => found.shown([format!("label {CORDONED}")]).mended([Mend::Uncordon(node.name().into())]),
            false => found.by_hand([format!("where nobody means it any more: kubectl uncordon {}", node.name())]),
        }
    });
    found.collect()
}

/// A taint as `key=value:Effect`.
fn taint(taint: &Value) -> String {
    let (key, value, effect) = (taint.text("/key"), taint.text("/value"), taint.text("/effect"));
    if value.is_empty() { format!("{key}:{effect}") } else { format!("{key}={value}:{effect}") }
}

/// Taints that a plug-in takes away when it runs on a node, and whose plug-in that is.
/// <https://docs.cilium.io/en/stable/installation/taints/>,
/// <https://kubernetes.io/docs/reference/labels-annotations-taints/#node-cloudprovider-kubernetes-io-uninitialized>
const PASSING: [(&str, &str); 3] = [
    ("node.cilium.io/agent-not-ready", "cilium"),
    ("node.cloudprovider.kubernetes.io/uninitialized", "cloud-controller-manager"),
    ("node.kubernetes.io/out-of-service", ""),
];

pub(super) fn tainted(case: &Case<'_>) -> Vec<Finding> {
    let runs = |program: &str| {
        let mut pods = case.list("pods").iter().filter(|pod| !program.is_empty() && pod.name().contains(program));
        pods.any(objects::is_ready)
    };
    let mut found = Vec::new();
    for node in case.list("nodes") {
        let wished = case.member(&node.name().into()).map(|member| member.taints.as_slice()).unwrap_or_default();
        let left = node.each("/spec/taints").iter().filter(|it| PASSING.iter().any(|(key, _)| it.text("/key") == *key));
        for it in left.filter(|it| !wished.contains(&taint(it))) {
            let program = PASSING.iter().find(|(key, _)| it.text("/key") == *key).map_or("", |(_, program)| program);
            let words = format!("the taint {} is still on it", taint(it));
            let finding = Finding::sick(Place::node(node.name()), words).shown([format!("spec.taints: {}", taint(it))]);
            let comes = |release: &str| case.desired.releases.iter().find(|it| it.name.as_str().contains(release));
            found.push(match (program, runs(program), comes(program)) {
                ("", ..) => finding.by_hand([format!(
                    "when the node is sound again: kubectl taint nodes {} {}-",
                    node.name(),
                    it.text("/key")
                )]),
                // It runs and takes its taint not away on a node that it serves: it was there before the plug-in's own start.
                (_, true, _) => finding.mended([Mend::Untaint { node: node.name().into(), taints: vec![taint(it)] }]),
                (_, false, Some(release)) => finding.applied([chosen(release)]),
                (program, false, None) => finding.by_hand([format!(
                    "no pod of {program} runs that would take it away: install it, or kubectl taint nodes {} {}-",
                    node.name(),
                    it.text("/key")
                )]),
            });
        }
    }
    found
}

pub(super) fn pressure(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in case.list("nodes") {
        for kind in ["MemoryPressure", "DiskPressure", "PIDPressure"] {
            if let Some(condition) = node.condition(kind).filter(|it| it.text("/status") == "True") {
                found.push(
                    Finding::sick(
                        Place::node(node.name()),
                        format!("kubelet tells of {kind}, evicts pods and takes no new ones"),
                    )
                    .shown([line(condition)])
                    .by_hand([
                        format!("kubectl describe node {}", node.name()),
                        "give the machine more of it, or move pods away".into(),
                    ]),
                );
            }
        }
    }
    found
}

/// The minor version of `v1.33.5+k3s1`.
fn minor(version: &str) -> Option<i64> {
    version.trim_start_matches('v').split('.').nth(1)?.parse().ok()
}

/// <https://kubernetes.io/releases/version-skew-policy/#kubelet>
pub(super) fn skew(case: &Case<'_>) -> Vec<Finding> {
    const SERVER: &str = "node-role.kubernetes.io/control-plane";
    let version = |node: &'_ Value| minor(node.text("/status/nodeInfo/kubeletVersion"));
    let servers = case.list("nodes").iter().filter(|node| node.label(SERVER).is_some());
    let (Some(oldest), Some(newest)) = (servers.clone().filter_map(version).min(), servers.filter_map(version).max())
    else {
        return Vec::new();
    };
    let found = case.list("nodes").iter().filter_map(|node| {
        let its = version(node)?;
        let cause = match () {
            () if its > oldest => format!("its kubelet (1.{its}) is newer than an API server (1.{oldest})"),
            () if its + 3 < newest => {
                format!("its kubelet (1.{its}) is more than three versions older than the API server (1.{newest})")
            }
            () => return None,
        };
        let shown = format!("kubeletVersion: {}", node.text("/status/nodeInfo/kubeletVersion"));
        Some(Finding::sick(Place::node(node.name()), cause).shown([shown]).applied([node.name()]))
    });
    // Servers in the middle of an upgrade differ by one for a while; that is a run's matter.
    found
        .filter(|finding| {
            !case
                .list("nodes")
                .iter()
                .any(|node| node.label(SERVER).is_some() && Place::node(node.name()) == finding.place)
        })
        .collect()
}

/// <https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-certs/#kubelet-serving-certs>
pub(super) fn requests(case: &Case<'_>) -> Vec<Finding> {
    let waits = |it: &&Value| it.each("/status/conditions").is_empty() && it.text("/status/certificate").is_empty();
    let waiting: Vec<&Value> = case.list("certificatesigningrequests").iter().filter(waits).collect();
    if waiting.is_empty() {
        return Vec::new();
    }
    let lines = waiting
        .iter()
        .map(|it| format!("{} {} of {}", it.name(), it.text("/spec/signerName"), it.text("/spec/username")));
    let names: Vec<&str> = waiting.iter().map(|it| it.name()).collect();
    vec![
        Finding::sick(
            Place::cluster(),
            format!(
                "nobody has approved {} certificate request{}",
                waiting.len(),
                if waiting.len() == 1 { "" } else { "s" }
            ),
        )
        .shown(lines.take(5))
        .by_hand([
            "kubectl get csr".to_string(),
            format!("those that you know: kubectl certificate approve {}", names.join(" ")),
        ]),
    ]
}
