//! Alerts that every cluster wants: nodes that are gone, pods that fail, what runs full, and a network that loses things.
//!
//! They go with the chart kube-prometheus-stack as a PrometheusRule of their own, beside its many others, and ask for what
//! its exporters tell: node_exporter, kube-state-metrics, the kubelet, and Prometheus itself.

use serde_json::{Value, json};

/// How long something must be so until somebody hears of it.
#[derive(Clone, Copy)]
struct For(&'static str);

const SOON: For = For("5m");
const LATER: For = For("15m");

/// The groups of rules. <https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/>
pub(super) fn groups() -> Value {
    json!([
        { "name": "kubewright-nodes", "rules": nodes() },
        { "name": "kubewright-pods", "rules": pods() },
        { "name": "kubewright-use", "rules": usage() },
        { "name": "kubewright-network", "rules": network() },
    ])
}

fn rule(name: &str, severity: &str, lasts: For, expression: &str, summary: &str, help: &str) -> Value {
    json!({
        "alert": name,
        "expr": expression,
        "for": lasts.0,
        "labels": { "severity": severity },
        "annotations": { "summary": summary, "description": help },
    })
}

fn nodes() -> Vec<Value> {
    vec![
        rule(
            "NodeUnavailable",
            "critical",
            SOON,
            "kube_node_status_condition{condition=\"Ready\",status=\"true\"} == 0",
            "Node {{ $labels.node }} is not Ready",
            "`kubectl describe node {{ $labels.node }}` tells why; its pods go elsewhere after five minutes.",
        ),
        rule(
            "NodeSilent",
            "critical",
            SOON,
            "up{job=\"node-exporter\"} == 0",
            "Nothing is heard of the host {{ $labels.instance }}",
            "It is off, cut off from the network, or its node exporter has ended.",
        ),
    ]
}

fn pods() -> Vec<Value> {
    // What a Job leaves behind has failed once and for all, and is its Job's matter.
    let failing = "sum by (namespace, pod) (max by (namespace, pod) \
        (kube_pod_status_phase{phase=~\"Pending|Unknown|Failed\"}) * on (namespace, pod) group_left (owner_kind) \
        topk by (namespace, pod) (1, max by (namespace, pod, owner_kind) (kube_pod_owner{owner_kind!=\"Job\"}))) > 0";
    let waiting = "max by (namespace, pod, container, reason) (kube_pod_container_status_waiting_reason\
        {reason=~\"CrashLoopBackOff|ErrImagePull|ImagePullBackOff|InvalidImageName|CreateContainerConfigError\"}) > 0";
    vec![
        rule(
            "PodFailing",
            "warning",
            LATER,
            failing,
            "Pod {{ $labels.namespace }}/{{ $labels.pod }} does not come up",
            "`kubectl -n {{ $labels.namespace }} describe pod {{ $labels.pod }}` tells what it waits for.",
        ),
        rule(
            "ContainerWaiting",
            "warning",
            SOON,
            waiting,
            "{{ $labels.container }} of {{ $labels.namespace }}/{{ $labels.pod }}: {{ $labels.reason }}",
            "`kubectl -n {{ $labels.namespace }} logs --previous {{ $labels.pod }} -c {{ $labels.container }}` shows how it ended.",
        ),
    ]
}

fn usage() -> Vec<Value> {
    let disks = "{fstype!~\"tmpfs|ramfs|overlay|squashfs|iso9660\"}";
    let disk = format!("1 - node_filesystem_avail_bytes{disks} / (node_filesystem_size_bytes{disks} > 0) > 0.85");
    let at = "on {{ $labels.instance }}";
    let used = "{{ $value | humanizePercentage }}";
    vec![
        rule(
            "NodeCpuHigh",
            "warning",
            LATER,
            "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m])) > 0.9",
            &format!("{used} of the CPU is used {at}"),
            "`kubectl top pods -A --sort-by=cpu` shows by whom.",
        ),
        rule(
            "NodeMemoryHigh",
            "warning",
            LATER,
            "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes > 0.9",
            &format!("{used} of the memory is used {at}"),
            "The kernel ends processes when nothing is left; `kubectl top pods -A --sort-by=memory` shows who has it.",
        ),
        rule(
            "NodeDiskFull",
            "warning",
            LATER,
            &disk,
            &format!("{{{{ $labels.mountpoint }}}} {at} is {used} full"),
            "The kubelet removes images and then pods when less than 15 % is free.",
        ),
        rule(
            "VolumeFull",
            "warning",
            LATER,
            "kubelet_volume_stats_used_bytes / (kubelet_volume_stats_capacity_bytes > 0) > 0.9",
            &format!("The volume {{{{ $labels.namespace }}}}/{{{{ $labels.persistentvolumeclaim }}}} is {used} full"),
            "Enlarge its claim where its storage class allows that, or clear it.",
        ),
    ]
}

fn network() -> Vec<Value> {
    // Cards of the host: what pods have comes and goes with them.
    let cards = "{device!~\"lo|veth.*|cali.*|lxc.*|cni.*|flannel.*|docker.*|tap.*|fwpr.*|fwln.*\"}";
    let of = |what: &str| format!("rate(node_network_{what}{cards}[5m])");
    let lost = |way: &str| {
        format!("{} / ({} > 0) > 0.01", of(&format!("{way}_errs_total")), of(&format!("{way}_packets_total")))
    };
    vec![
        rule(
            "NetworkErrors",
            "warning",
            LATER,
            &format!("{} or {}", lost("receive"), lost("transmit")),
            "{{ $labels.device }} of {{ $labels.instance }} loses {{ $value | humanizePercentage }} of its packets",
            "Look at its cable, its switch port and its driver: `ip -s link show {{ $labels.device }}`.",
        ),
        rule(
            "TargetUnreachable",
            "warning",
            LATER,
            "100 * count by (namespace, job) (up == 0) / count by (namespace, job) (up) > 10",
            "{{ $value | humanize }} % of {{ $labels.namespace }}/{{ $labels.job }} cannot be reached",
            "They are down, or the network between their nodes and Prometheus is.",
        ),
    ]
}
