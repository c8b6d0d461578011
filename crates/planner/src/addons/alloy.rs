//! Grafana Alloy: it reads the logs of all pods on its node and sends them to Loki.
//! <https://github.com/grafana/alloy/tree/helm-chart/1.11.1/operations/helm/charts/alloy>

use kubewright_model::desired::DesiredRelease;
use kubewright_model::spec::logs::Loki;
use serde_json::json;

use super::{Recommended, loki};

pub(super) const CHART: Recommended = Recommended {
    name: "alloy",
    repository: "https://grafana.github.io/helm-charts",
    chart: "alloy",
    version: "1.11.1",
};

/// Where Alloy keeps how far it has read. It is gone with the node's next boot, as Promtail's place is: Loki takes a line
/// only once.
const POSITIONS: &str = "/run/alloy";

/// What is read and where it goes, in Alloy's own syntax.
/// <https://grafana.com/docs/alloy/latest/reference/components/>
///
/// The kubelet's folders are named after a pod's uid; those of pods that it takes from files, as the control plane of
/// kubeadm, after the hash of the file. The labels are those that Promtail's chart gives, so that a query finds both.
const CONFIG: &str = r#"discovery.kubernetes "pods" {
  role = "pod"
  selectors {
    role  = "pod"
    field = "spec.nodeName=" + sys.env("K8S_NODE_NAME")
  }
}

discovery.relabel "pods" {
  targets = discovery.kubernetes.pods.targets
  rule {
    source_labels = ["__meta_kubernetes_namespace"]
    target_label  = "namespace"
  }
  rule {
    source_labels = ["__meta_kubernetes_pod_name"]
    target_label  = "pod"
  }
  rule {
    source_labels = ["__meta_kubernetes_pod_container_name"]
    target_label  = "container"
  }
  rule {
    source_labels = ["__meta_kubernetes_pod_node_name"]
    target_label  = "node_name"
  }
  rule {
    source_labels = ["__meta_kubernetes_pod_label_app_kubernetes_io_name", "__meta_kubernetes_pod_label_app", "__meta_kubernetes_pod_name"]
    separator     = ";"
    regex         = "^;*([^;]+)(;.*)?$"
    target_label  = "app"
  }
  rule {
    source_labels = ["__meta_kubernetes_namespace", "app"]
    separator     = "/"
    target_label  = "job"
  }
  rule {
    source_labels = ["__meta_kubernetes_pod_uid", "__meta_kubernetes_pod_container_name"]
    separator     = "/"
    replacement   = "/var/log/pods/*$1/*.log"
    target_label  = "__path__"
  }
  rule {
    source_labels = ["__meta_kubernetes_pod_annotationpresent_kubernetes_io_config_hash", "__meta_kubernetes_pod_annotation_kubernetes_io_config_hash", "__meta_kubernetes_pod_container_name"]
    separator     = "/"
    regex         = "true/(.*)"
    replacement   = "/var/log/pods/*$1/*.log"
    target_label  = "__path__"
  }
}

local.file_match "pods" {
  path_targets = discovery.relabel.pods.output
}

loki.source.file "pods" {
  targets    = local.file_match.pods.targets
  forward_to = [loki.process.pods.receiver]
}

loki.process "pods" {
  stage.cri { }
  forward_to = [loki.write.loki.receiver]
}
"#;

pub(super) fn release(loki: &Loki) -> DesiredRelease {
    let to = loki::address(loki);
    let write = format!("\nloki.write \"loki\" {{\n  endpoint {{\n    url = \"{to}/loki/api/v1/push\"\n  }}\n}}\n");
    let values = json!({
        // PodLogs are of no use to this configuration.
        "crds": { "create": false },
        "alloy": {
            "configMap": { "content": format!("{CONFIG}{write}") },
            "storagePath": POSITIONS,
            "mounts": { "varlog": true, "extra": [{ "name": "positions", "mountPath": POSITIONS }] },
        },
        "controller": {
            // Servers have logs too.
            "tolerations": [{ "operator": "Exists" }],
            "volumes": { "extra": [{
                "name": "positions",
                "hostPath": { "path": POSITIONS, "type": "DirectoryOrCreate" },
            }] },
        },
    });
    let mut release =
        CHART.release(loki::namespace(loki), "loki", loki.alloy.version.as_ref(), values, &loki.alloy.values);
    release.after = vec![loki::release_name()];
    release
}
