//! Loki, and where Grafana finds it.
//!
//! Loki 3 is the chart of Grafana's community, to which the open-source chart has moved in March 2026.
//! <https://github.com/grafana-community/helm-charts/tree/loki-18.11.0/charts/loki>
//! Loki 2.9 with Promtail is the chart loki-stack, which is deprecated and gets no further versions.
//! <https://github.com/grafana/helm-charts/tree/loki-stack-2.10.2/charts/loki-stack>

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::ids::{Namespace, ReleaseName};
use kubewright_model::object::Manifest;
use kubewright_model::spec::logs::{Collector, Loki};
use serde_json::{Value, json};

use super::{Recommended, alloy, monitoring};
use crate::context::Context;
use crate::context::groups::group;

pub(super) const CHART: Recommended = Recommended {
    name: "loki",
    repository: "https://grafana-community.github.io/helm-charts",
    chart: "loki",
    version: "18.11.0",
};

pub(super) const STACK: Recommended = Recommended {
    name: "loki",
    repository: "https://grafana.github.io/helm-charts",
    chart: "loki-stack",
    version: "2.10.2",
};

/// Logs go in whole days: tables of an index are of one day, and Loki keeps nothing for less than one.
/// <https://grafana.com/docs/loki/latest/operations/storage/retention/>
const DAY_HOURS: u64 = 24;

pub(super) fn namespace(loki: &Loki) -> Namespace {
    loki.namespace.clone().unwrap_or_else(|| "monitoring".into())
}

/// Loki's own address in the cluster: both charts name its Service after their release.
pub(super) fn address(loki: &Loki) -> String {
    format!("http://{}.{}:3100", CHART.name, namespace(loki))
}

pub(super) fn releases(context: &Context<'_>, loki: &Loki) -> Vec<DesiredRelease> {
    let release = |chart: &Recommended, values: Value| {
        chart.release(namespace(loki), "loki", loki.version.as_ref(), values, &loki.values)
    };
    match loki.collector {
        Collector::Promtail => {
            let mut release = release(&STACK, stack(loki));
            // Its data source is a ConfigMap that Grafana's sidecar looks for.
            release.after = context.file.spec.addons.monitoring.iter().map(monitoring::release_name).collect();
            vec![release]
        }
        Collector::Alloy => vec![release(&CHART, single(context, loki)), alloy::release(loki)],
        Collector::None => vec![release(&CHART, single(context, loki))],
    }
}

/// The release's name.
pub(super) fn release_name() -> ReleaseName {
    CHART.name.into()
}

/// How many hours logs are kept.
fn hours(loki: &Loki) -> Option<String> {
    let days = |seconds: u64| seconds.div_ceil(DAY_HOURS * 3600).max(1);
    loki.retention.map(|retention| format!("{}h", days(retention.duration().as_secs()) * DAY_HOURS))
}

/// One Loki with its logs on a volume; the chart's gateway, caches and canary are for many.
fn single(context: &Context<'_>, loki: &Loki) -> Value {
    let none = json!({ "replicas": 0 });
    let off = json!({ "enabled": false });
    let mut values = json!({
        // Loki looks for itself by its full name, and does not start where it finds nothing.
        "global": { "clusterDomain": context.file.spec.kubernetes.cluster_domain },
        "deploymentMode": "Monolithic",
        "loki": {
            // One tenant, so that nobody has to name it.
            "auth_enabled": false,
            "commonConfig": { "replication_factor": 1 },
            "storage": { "type": "filesystem" },
            // The chart wants one and brings none. What is written once is never changed, or old logs cannot be read.
            "schemaConfig": { "configs": [{
                "from": "2024-04-01",
                "store": "tsdb",
                "object_store": "filesystem",
                "schema": "v13",
                "index": { "prefix": "loki_index_", "period": format!("{DAY_HOURS}h") },
            }] },
        },
        "singleBinary": { "replicas": 1, "persistence": { "enabled": false } },
        "read": none,
        "write": none,
        "backend": none,
        "gateway": off,
        "lokiCanary": off,
        // The chart's test asks the canary.
        "test": off,
        "chunksCache": off,
        "resultsCache": off,
    });
    if let Some(size) = loki.storage {
        values["singleBinary"]["persistence"] = json!({ "enabled": true, "size": size.to_string() });
    }
    if let Some(hours) = hours(loki) {
        values["loki"]["limits_config"] = json!({ "retention_period": hours });
        values["loki"]["compactor"] = json!({ "retention_enabled": true, "delete_request_store": "filesystem" });
    }
    values
}

fn stack(loki: &Loki) -> Value {
    let mut values = json!({
        "loki": {
            // Grafana refuses to start with two default data sources, and Prometheus is the one.
            "isDefault": false,
            // The chart's own image fails the health check of Grafana's data source (grafana/loki#12931).
            "image": { "tag": "2.9.8" },
        },
        "promtail": { "enabled": true },
        "grafana": { "enabled": false },
    });
    if let Some(size) = loki.storage {
        values["loki"]["persistence"] = json!({ "enabled": true, "size": size.to_string() });
    }
    if let Some(hours) = hours(loki) {
        // Whole tables are deleted: the table manager does not start with anything but a multiple of their period.
        // <https://grafana.com/docs/loki/v2.9.x/operations/storage/table-manager/>
        values["loki"]["config"] =
            json!({ "table_manager": { "retention_deletes_enabled": true, "retention_period": hours } });
    }
    values
}

/// Loki as a data source, for the Grafana of the monitoring: its sidecar takes ConfigMaps with this label out of its own
/// namespace. <https://github.com/grafana/helm-charts/tree/grafana-10.3.0/charts/grafana#sidecar-for-datasources>
/// The chart loki-stack brings one itself.
pub(super) fn objects(context: &Context<'_>, loki: &Loki) -> Option<DesiredObjects> {
    let monitoring = context.file.spec.addons.monitoring.as_ref().filter(|_| loki.collector != Collector::Promtail)?;
    // Grafana refuses to start with two default data sources, and Prometheus is the one.
    let source = json!({ "apiVersion": 1, "datasources": [{
        "name": "Loki",
        "uid": "loki",
        "type": "loki",
        "access": "proxy",
        "url": address(loki),
        "isDefault": false,
    }] });
    let map = Manifest(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "loki-datasource",
            "namespace": monitoring::namespace(monitoring),
            "labels": { "grafana_datasource": "1" },
        },
        // JSON is YAML.
        "data": { "loki.yaml": source.to_string() },
    }));
    Some(group("loki-datasource", "loki", vec![map]))
}
