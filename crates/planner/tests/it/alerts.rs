//! Alerts, judged by Prometheus' own tool: that it takes them, and what they make of a bad day.

#![expect(clippy::disallowed_methods, reason = "the planner reads no files, its tests do")]

use std::process::Command;

use kubewright_model::desired::Desired;
use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("../../../../examples/mlops/cluster.yaml");

/// The values of the example's monitoring.
fn values(spec: &str) -> Value {
    let loaded = kubewright_model::spec::load(spec).unwrap();
    let (Desired { releases, .. }, _) = kubewright_planner::lower::lower(&loaded.file);
    let monitoring = releases.into_iter().find(|release| release.chart == "kube-prometheus-stack").unwrap();
    monitoring.values
}

/// The groups of rules that the chart makes a PrometheusRule of.
pub(crate) fn rules() -> Value {
    values(EXAMPLE)["additionalPrometheusRulesMap"]["kubewright"]["groups"].clone()
}

/// A series, minute by minute.
fn series(series: &str, values: &str) -> Value {
    json!({ "series": series, "values": values })
}

/// What is to be alarmed after so many minutes: whom it names, and its words.
fn alarm(minute: u32, name: &str, severity: &str, labels: Value, summary: &str, help: &str) -> Value {
    let mut all = json!({ "severity": severity });
    all.as_object_mut().unwrap().extend(labels.as_object().unwrap().clone());
    let annotations = json!({ "summary": summary, "description": help });
    let alerts = [json!({ "exp_labels": all, "exp_annotations": annotations })];
    json!({ "eval_time": format!("{minute}m"), "alertname": name, "exp_alerts": alerts })
}

fn quiet(minute: u32, name: &str) -> Value {
    json!({ "eval_time": format!("{minute}m"), "alertname": name, "exp_alerts": [] })
}

/// A bad day: a worker goes after five minutes; a pod has failed, a disk is full, a card loses packets.
fn bad_day() -> Vec<Value> {
    let ready = "kube_node_status_condition{node=\"k8s-worker-1\",condition=\"Ready\",status=\"true\"}";
    let phase = |pod: &str| format!("kube_pod_status_phase{{namespace=\"shop\",pod=\"{pod}\",phase=\"Failed\"}}");
    let owner =
        |pod: &str, kind: &str| format!("kube_pod_owner{{namespace=\"shop\",pod=\"{pod}\",owner_kind=\"{kind}\"}}");
    let card = |what: &str| format!("node_network_receive_{what}_total{{instance=\"w1\",device=\"eth0\"}}");
    vec![
        series(ready, "1x4 0x20"),
        series("up{job=\"node-exporter\",instance=\"w1\",namespace=\"monitoring\"}", "1x4 0x20"),
        series("up{job=\"node-exporter\",instance=\"w2\",namespace=\"monitoring\"}", "1x24"),
        series(&phase("orders"), "1x24"),
        series(&owner("orders", "ReplicaSet"), "1x24"),
        series(&phase("once"), "1x24"),
        series(&owner("once", "Job"), "1x24"),
        series("node_filesystem_avail_bytes{instance=\"w1\",mountpoint=\"/\",fstype=\"ext4\"}", "10x24"),
        series("node_filesystem_size_bytes{instance=\"w1\",mountpoint=\"/\",fstype=\"ext4\"}", "100x24"),
        series("node_filesystem_avail_bytes{instance=\"w1\",mountpoint=\"/run\",fstype=\"tmpfs\"}", "0x24"),
        series("node_filesystem_size_bytes{instance=\"w1\",mountpoint=\"/run\",fstype=\"tmpfs\"}", "100x24"),
        series(&card("errs"), "0+60x24"),
        series(&card("packets"), "0+600x24"),
    ]
}

/// Who is heard of on it, and when.
fn heard() -> Vec<Value> {
    let w1 = json!({ "job": "node-exporter", "instance": "w1", "namespace": "monitoring" });
    let disk = json!({ "instance": "w1", "mountpoint": "/", "fstype": "ext4" });
    vec![
        quiet(8, "NodeUnavailable"),
        alarm(
            12,
            "NodeUnavailable",
            "critical",
            json!({ "node": "k8s-worker-1", "condition": "Ready", "status": "true" }),
            "Node k8s-worker-1 is not Ready",
            "`kubectl describe node k8s-worker-1` tells why; its pods go elsewhere after five minutes.",
        ),
        alarm(
            12,
            "NodeSilent",
            "critical",
            w1,
            "Nothing is heard of the host w1",
            "It is off, cut off from the network, or its node exporter has ended.",
        ),
        alarm(
            20,
            "PodFailing",
            "warning",
            json!({ "namespace": "shop", "pod": "orders" }),
            "Pod shop/orders does not come up",
            "`kubectl -n shop describe pod orders` tells what it waits for.",
        ),
        alarm(
            20,
            "NodeDiskFull",
            "warning",
            disk,
            "/ on w1 is 90% full",
            "The kubelet removes images and then pods when less than 15 % is free.",
        ),
        alarm(
            20,
            "NetworkErrors",
            "warning",
            json!({ "instance": "w1", "device": "eth0" }),
            "eth0 of w1 loses 10% of its packets",
            "Look at its cable, its switch port and its driver: `ip -s link show eth0`.",
        ),
        alarm(
            24,
            "TargetUnreachable",
            "warning",
            json!({ "job": "node-exporter", "namespace": "monitoring" }),
            "50 % of monitoring/node-exporter cannot be reached",
            "They are down, or the network between their nodes and Prometheus is.",
        ),
        quiet(24, "NodeCpuHigh"),
        quiet(24, "ContainerWaiting"),
    ]
}

#[test]
fn promtool_takes_the_alerts_and_hears_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("rules.yaml"), json!({ "groups": rules() }).to_string()).unwrap();
    let test = json!({ "interval": "1m", "input_series": bad_day(), "alert_rule_test": heard() });
    let tests = json!({ "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test] });
    std::fs::write(at("tests.yaml"), tests.to_string()).unwrap();
    for words in [["check", "rules", "rules.yaml"], ["test", "rules", "tests.yaml"]] {
        let ran = Command::new("promtool").args(words).current_dir(folder.path()).output();
        let ran = ran.unwrap_or_else(|error| panic!("promtool is in Debian's package prometheus: {error}"));
        let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        assert!(ran.status.success(), "{words:?}: {said}");
    }
}

#[test]
fn who_wants_none_gets_none() {
    let spec = EXAMPLE.replace("    monitoring:\n", "    monitoring:\n      alerts: false\n");
    assert!(values(&spec).get("additionalPrometheusRulesMap").is_none());
}
