//! Which findings are causes, and which only follow from another one.

use std::collections::BTreeMap;

use kubewright_model::doctor::{Cause, Finding, Gravity};

/// Where a consequence is found of a cause that is found somewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// On the same host or node.
    Node,
    /// In the same namespace.
    Namespace,
    /// The very same thing, or one that was made of it: a Deployment and its pods.
    Itself,
    /// Anywhere in the cluster.
    Everywhere,
    /// Anywhere, where what shows the consequence has these words.
    Says(&'static str),
    /// In the pods of the cluster's name server.
    Dns,
}

use Reach::{Dns, Everywhere, Itself, Namespace, Node, Says};

/// A cause, where its consequences are found, and what they are.
type Rule = (&'static str, Reach, &'static [&'static str]);

/// What follows from what.
const RULES: &[Rule] = &[
    (
        "machine-off",
        Node,
        &["host-unreachable", "talos-not-serving", "node-not-ready", "pod-terminating", "volume-attached-elsewhere"],
    ),
    ("host-unreachable", Node, &["node-not-ready", "node-missing"]),
    ("talos-not-serving", Node, &["node-not-ready", "node-missing"]),
    ("hostname-duplicate", Everywhere, &["node-missing"]),
    ("machine-id-duplicate", Everywhere, &["address-duplicate"]),
    ("kmsg-missing", Node, DOWN),
    ("proc-sys-read-only", Node, DOWN),
    ("swap-on", Node, DOWN),
    ("cgroup-driver-mismatch", Node, DOWN),
    ("cri-disabled", Node, DOWN),
    ("kubeadm-init-failed", Node, DOWN),
    ("runtime-down", Node, DOWN),
    ("port-taken", Node, DOWN),
    ("iptables-missing", Node, DOWN),
    ("filesystem-read-only", Node, FULL),
    ("disk-errors", Node, &["filesystem-read-only", "etcd-slow-disk"]),
    ("disk-full", Node, FULL),
    ("inodes-full", Node, FULL),
    (
        "clock-skew",
        Node,
        &[
            "certificate-expired",
            "certificate-not-yet-valid",
            "kubernetes-not-running",
            "node-not-ready",
            "node-missing",
            "clock-not-synchronized",
            "kubeadm-pod-down",
        ],
    ),
    ("certificate-expired", Node, DOWN),
    ("etcd-slow-disk", Node, &["etcd-leader-changes", "etcd-no-leader", "kubeadm-pod-down"]),
    ("etcd-no-space", Node, &["kubernetes-not-running", "kubeadm-pod-down", "etcd-nearly-full", "api-not-listening"]),
    ("etcd-corrupt", Node, &["kubernetes-not-running", "kubeadm-pod-down"]),
    ("etcd-no-leader", Node, &["kubernetes-not-running", "kubeadm-pod-down", "api-not-listening"]),
    ("kubeadm-manifest-missing", Node, &["kubeadm-pod-down", "api-not-listening", "node-not-ready"]),
    ("packages-half-installed", Node, &["runtime-down", "iptables-missing"]),
    ("inotify-exhausted", Node, &["pod-crash-loop", "kubernetes-not-running", "unit-restarts"]),
    ("file-handles-exhausted", Node, &["pod-crash-loop", "kubernetes-not-running", "unit-restarts"]),
    ("pids-exhausted", Node, &["pod-crash-loop", "kubernetes-not-running", "unit-restarts", "node-pressure"]),
    (
        "out-of-memory",
        Node,
        &["node-pressure", "node-not-ready", "pod-evicted", "unit-restarts", "kubernetes-not-running"],
    ),
    ("no-default-route", Node, &["registry-unreachable", "name-servers-missing", "kubernetes-not-running"]),
    ("name-servers-missing", Node, &["registry-unreachable"]),
    (
        "kubernetes-not-running",
        Node,
        &[
            "node-not-ready",
            "node-missing",
            "api-not-listening",
            "pod-terminating",
            "unit-restarts",
            "kubeadm-pod-down",
        ],
    ),
    ("unit-restarts", Node, &["node-not-ready", "node-missing", "api-not-listening"]),
    ("api-port-blocked", Everywhere, &["node-missing", "node-not-ready"]),
    ("node-pressure", Node, &["pod-evicted"]),
    ("cni-not-ready", Node, &["pod-sandbox-failed", "node-taint-left"]),
    ("node-not-ready", Node, &["pod-terminating", "volume-attached-elsewhere"]),
    ("node-taint-left", Says("untolerated taint"), &["pod-unschedulable"]),
    ("node-pressure", Says("untolerated taint"), &["pod-unschedulable"]),
    ("node-cordoned", Says("were unschedulable"), &["pod-unschedulable"]),
    ("claim-pending", Namespace, &["pod-unschedulable"]),
    ("storage-class-missing", Namespace, &["pod-unschedulable"]),
    ("default-class-missing", Namespace, &["pod-unschedulable"]),
    ("dns-loop", Everywhere, &["dns-down"]),
    ("dns-loop", Dns, &["pod-crash-loop", "pod-probe-fails", "workload-unavailable", "service-without-endpoints"]),
    ("kubeadm-pod-down", Itself, &["pod-crash-loop", "pod-probe-fails"]),
    ("vxlan-blocked", Everywhere, &["dns-down", "api-service-down"]),
    ("api-service-down", Everywhere, &["namespace-stuck"]),
    ("object-stuck", Namespace, &["namespace-stuck"]),
    ("metallb-no-pool", Everywhere, &["address-pending", "metallb-pool-exhausted"]),
    ("metallb-down", Everywhere, &["address-pending", "metallb-pool-exhausted"]),
    ("namespace-missing", Everywhere, &["issuer-not-ready"]),
    ("secret-missing", Namespace, &["issuer-not-ready", "certificate-not-issued"]),
    ("issuer-not-ready", Everywhere, &["certificate-not-issued"]),
    ("haproxy-config-invalid", Node, &["haproxy-down"]),
    ("ingress-controller-down", Everywhere, &["balancer-port-mismatch", "haproxy-backend-down"]),
    ("balancer-port-mismatch", Everywhere, &["haproxy-backend-down"]),
    ("quota-exceeded", Namespace, &["service-without-endpoints"]),
    ("pod-security-refuses", Namespace, &["service-without-endpoints"]),
];

/// What a host that is not sound cannot be.
const DOWN: &[&str] = &[
    "kubernetes-not-running",
    "unit-restarts",
    "node-not-ready",
    "node-missing",
    "api-not-listening",
    "kubeadm-pod-down",
];
const FULL: &[&str] = &[
    "etcd-no-space",
    "kubernetes-not-running",
    "unit-restarts",
    "node-not-ready",
    "node-pressure",
    "pod-evicted",
    "runtime-down",
    "packages-half-installed",
    "kubeadm-pod-down",
];

/// What keeps a pod from being ready, and so what its makers, its Services and its release lack.
const PODS: &[&str] = &[
    "image-local-pull-always",
    "image-never-missing",
    "image-not-found",
    "image-denied",
    "image-rate-limit",
    "registry-unreachable",
    "image-wrong-platform",
    "secret-missing",
    "config-map-missing",
    "pod-out-of-memory",
    "pod-crash-loop",
    "pod-unschedulable",
    "pod-sandbox-failed",
    "pod-probe-fails",
    "volume-mount-failed",
    "volume-attached-elsewhere",
    "mount-program-missing",
    "quota-exceeded",
    "pod-security-refuses",
    "metallb-down",
];
const OF_PODS: &[&str] = &[
    "workload-unavailable",
    "service-without-endpoints",
    "pod-probe-fails",
    "pod-crash-loop",
    "image-wrong-platform",
    "dns-down",
    "ingress-controller-down",
    "disruption-budget-blocks",
    "metallb-down",
];
/// What follows from a workload of its namespace that does not run.
const OF_WORKLOADS: &[&str] = &[
    "service-without-endpoints",
    "release-failed",
    "webhook-without-endpoints",
    "api-service-down",
    "application-degraded",
    "workload-unavailable",
];

/// Whether two findings are about the same thing, or one is about what made the other.
fn related(cause: &Finding, effect: &Finding) -> bool {
    let (one, other) = (&cause.place, &effect.place);
    let made = |maker: &str, made: &str| {
        !maker.is_empty() && (made == maker || made.strip_prefix(maker).is_some_and(|rest| rest.starts_with('-')))
    };
    one.namespace == other.namespace && (made(&one.name, &other.name) || made(&other.name, &one.name))
}

fn is_in(reach: Reach, cause: &Finding, effect: &Finding) -> bool {
    let (one, other) = (&cause.place, &effect.place);
    match reach {
        Node => one.node.is_some() && one.node == other.node,
        Namespace => {
            one.namespace.is_some()
                && (one.namespace == other.namespace || one.namespace.as_deref() == Some(other.name.as_str()))
        }
        Itself => related(cause, effect),
        Everywhere => true,
        Says(words) => effect.evidence.iter().any(|line| line.contains(words)),
        Dns => other.namespace.as_deref() == Some("kube-system") && other.name.contains("dns"),
    }
}

/// Whether anything that one check finds may follow from what another one finds.
fn may_explain(one: &str, other: &str) -> bool {
    let by_rule = RULES.iter().any(|(check, _, effects)| *check == one && effects.contains(&other));
    let of_pod = PODS.contains(&one) && (OF_PODS.contains(&other) || OF_WORKLOADS.contains(&other));
    one != other && (by_rule || of_pod)
}

/// For each finding the first one that it follows from. Only those of checks that may be its cause are held against it: where a
/// large cluster is sick, there are thousands.
fn parents(found: &[Finding]) -> Vec<Option<usize>> {
    let mut of_check: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, finding) in found.iter().enumerate() {
        of_check.entry(&finding.check).or_default().push(at);
    }
    let mut causes: BTreeMap<&str, Vec<&Vec<usize>>> = BTreeMap::new();
    for effect in of_check.keys() {
        let may = of_check.iter().filter(|(check, _)| may_explain(check, effect)).map(|(_, all)| all);
        causes.insert(effect, may.collect());
    }
    let parent = |effect: &Finding| {
        let each = causes.get(effect.check.as_str()).into_iter().flatten();
        each.filter_map(|all| all.iter().copied().find(|cause| explains(&found[*cause], effect))).min()
    };
    found.iter().map(parent).collect()
}

/// Whether an effect follows from a cause.
fn explains(cause: &Finding, effect: &Finding) -> bool {
    let (one, other) = (cause.check.as_str(), effect.check.as_str());
    if one == other
        || (cause.gravity == Gravity::Risk && effect.gravity == Gravity::Sick && !HARMLESS_ALONE.contains(&one))
    {
        return false;
    }
    let by_rule = RULES
        .iter()
        .any(|(check, reach, effects)| *check == one && effects.contains(&other) && is_in(*reach, cause, effect));
    let of_pod =
        PODS.contains(&one) && OF_PODS.contains(&other) && rank(one) < rank(other) && is_in(Itself, cause, effect);
    let of_workload = PODS.contains(&one) && OF_WORKLOADS.contains(&other) && is_in(Namespace, cause, effect);
    by_rule || of_pod || of_workload
}

/// They still work by themselves, and what follows from them does not.
const HARMLESS_ALONE: [&str; 3] = ["etcd-slow-disk", "node-cordoned", "out-of-memory"];

/// How near to the ground a check of pods is: the nearer one is the cause.
fn rank(check: &str) -> usize {
    PODS.iter().position(|it| *it == check).unwrap_or(PODS.len())
}

/// Findings as causes with their consequences; those first that are sick, then those from the ground up.
pub(super) fn grouped(found: Vec<Finding>) -> Vec<Cause> {
    let parents = parents(&found);
    let root = |of: usize| {
        let (mut at, mut steps) = (of, 0);
        while let Some(parent) = parents[at] {
            // Two that explain each other: the one that was found first, nearer to the ground, is the cause.
            if steps > found.len() {
                return of.min(parent);
            }
            (at, steps) = (parent, steps + 1);
        }
        at
    };
    let roots: Vec<usize> = (0..found.len()).map(root).collect();
    let mut consequences: BTreeMap<usize, Vec<Finding>> = BTreeMap::new();
    for (at, finding) in found.iter().enumerate().filter(|(at, _)| roots[*at] != *at) {
        consequences.entry(roots[at]).or_default().push(finding.clone());
    }
    let own = found.into_iter().enumerate().filter(|(at, _)| roots[*at] == *at);
    let mut causes: Vec<Cause> = own
        .map(|(at, finding)| Cause { finding, consequences: consequences.remove(&at).unwrap_or_default() })
        .collect();
    causes.sort_by_key(|cause| (cause.finding.gravity, cause.finding.layer()));
    causes
}

#[cfg(test)]
mod tests {
    use kubewright_model::doctor::{Finding, Place, entry};

    use super::*;

    #[test]
    fn rules_name_checks_that_there_are() {
        let named = RULES.iter().flat_map(|(check, _, effects)| std::iter::once(check).chain(*effects));
        for check in named.chain(PODS).chain(OF_PODS).chain(OF_WORKLOADS).chain(&HARMLESS_ALONE) {
            assert!(entry(check).is_some(), "{check}");
        }
    }

    #[test]
    fn a_chain_has_one_root_and_a_stranger_is_its_own() {
        let on = |check: &str, node: &str| Finding { check: check.into(), ..Finding::sick(Place::node(node), "x") };
        let found =
            vec![on("disk-full", "a"), on("node-pressure", "a"), on("pod-evicted", "a"), on("node-pressure", "b")];
        let causes = grouped(found);
        let told: Vec<(String, usize)> =
            causes.iter().map(|it| (it.finding.place.to_string(), it.consequences.len())).collect();
        assert_eq!(told, [("node a".to_string(), 2), ("node b".to_string(), 0)]);
    }
}
