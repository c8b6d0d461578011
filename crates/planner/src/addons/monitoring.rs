//! Prometheus, Alertmanager, Grafana and their exporters: the chart kube-prometheus-stack.
//! <https://github.com/prometheus-community/helm-charts/tree/main/charts/kube-prometheus-stack>

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::ids::{Namespace, ReleaseName};
use kubewright_model::object::Manifest;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::addons::Monitoring;
use serde_json::{Value, json};

use super::{Recommended, alerts};
use crate::context::groups::group;
use crate::context::{Context, SecretNames};

pub(super) const CHART: Recommended = Recommended {
    name: "prometheus",
    repository: "https://prometheus-community.github.io/helm-charts",
    chart: "kube-prometheus-stack",
    version: "79.12.0",
};

pub(super) fn namespace(monitoring: &Monitoring) -> Namespace {
    monitoring.namespace.clone().unwrap_or_else(|| "monitoring".into())
}

pub(super) fn release(context: &Context<'_>, monitoring: &Monitoring, secrets: &mut SecretNames) -> DesiredRelease {
    let version = monitoring.version.as_ref();
    let values = values(context, monitoring, secrets);
    let mut release = CHART.release(namespace(monitoring), "monitoring", version, values, &monitoring.values);
    if let Some(name) = &monitoring.release {
        release.name = name.clone();
    }
    release
}

fn values(context: &Context<'_>, monitoring: &Monitoring, secrets: &mut SecretNames) -> Value {
    let password = secrets.value("grafana-admin", monitoring.grafana_password.as_ref());
    let mut values = json!({
        "grafana": { "adminPassword": password },
        "prometheus": { "prometheusSpec": {
            // Rules and monitors of other releases are found too, whatever their labels.
            "ruleSelectorNilUsesHelmValues": false,
            "serviceMonitorSelectorNilUsesHelmValues": false,
            "podMonitorSelectorNilUsesHelmValues": false,
        } },
    });
    if monitoring.alerts {
        values["additionalPrometheusRulesMap"] = json!({ "kubewright": { "groups": alerts::groups() } });
    }
    if let Some(port) = monitoring.grafana_node_port {
        values["grafana"]["service"] = json!({ "type": "NodePort", "nodePort": port });
    }
    if let Some(port) = monitoring.prometheus_node_port {
        values["prometheus"]["service"] = json!({ "type": "NodePort", "nodePort": port });
    }
    let spec = &mut values["prometheus"]["prometheusSpec"];
    if let Some(retention) = monitoring.retention {
        // Prometheus wants one unit: hours are exact enough for what it keeps.
        spec["retention"] = format!("{}h", retention.duration().as_secs().div_ceil(3600)).into();
    }
    if let Some(size) = monitoring.storage {
        spec["storageSpec"] = json!({ "volumeClaimTemplate": { "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": size.to_string() } },
        } } });
    }
    if context.file.spec.kubernetes.distribution != Distribution::Kubeadm {
        // These are parts of one process, or listen on the node itself only: scraping them would only alarm.
        for part in ["kubeEtcd", "kubeScheduler", "kubeControllerManager", "kubeProxy"] {
            values[part] = json!({ "enabled": false });
        }
    }
    values
}

/// LoadBalancer Services beside the chart's own.
pub(super) fn objects(monitoring: &Monitoring) -> DesiredObjects {
    let services = monitoring.load_balancers.iter().map(|(name, target)| {
        let port = target.port();
        Manifest(json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": name, "namespace": namespace(monitoring) },
            "spec": {
                "type": "LoadBalancer",
                "ports": [{ "name": "http", "port": port, "targetPort": port }],
                // The chart has the same words for its pods as the spec.
                "selector": { "app.kubernetes.io/name": target },
            },
        }))
    });
    group("monitoring-services", "monitoring", services.collect())
}

/// The release's name.
pub(super) fn release_name(monitoring: &Monitoring) -> ReleaseName {
    monitoring.release.clone().unwrap_or_else(|| CHART.name.into())
}
