//! Loki with Promtail: the chart loki-stack, which is complete and gets no further versions.
//! <https://github.com/grafana/helm-charts/tree/main/charts/loki-stack>

use kubewright_model::desired::DesiredRelease;
use kubewright_model::ids::Namespace;
use kubewright_model::spec::addons::Loki;
use serde_json::json;

use super::{Recommended, monitoring};
use crate::context::Context;

const CHART: Recommended = Recommended {
    name: "loki",
    repository: "https://grafana.github.io/helm-charts",
    chart: "loki-stack",
    version: "2.10.2",
};

/// The period of the index's tables in the chart's `schema_config`.
/// <https://grafana.com/docs/loki/v2.9.x/operations/storage/table-manager/>
const TABLE_HOURS: u64 = 24;

pub(super) fn namespace(loki: &Loki) -> Namespace {
    loki.namespace.clone().unwrap_or_else(|| "monitoring".into())
}

pub(super) fn release(context: &Context<'_>, loki: &Loki) -> DesiredRelease {
    let mut values = json!({
        "loki": {
            // Grafana refuses to start with two default data sources, and Prometheus is the one.
            "isDefault": false,
            // The chart's own image fails the health check of Grafana's data source (grafana/loki#12931).
            "image": { "tag": "2.9.8" },
        },
        "promtail": { "enabled": loki.promtail },
        "grafana": { "enabled": false },
    });
    if let Some(size) = loki.storage {
        values["loki"]["persistence"] = json!({ "enabled": true, "size": size.to_string() });
    }
    if let Some(retention) = loki.retention {
        // Whole tables are deleted: the table manager does not start with anything but a multiple of their period.
        let periods = retention.duration().as_secs().div_ceil(TABLE_HOURS * 3600);
        values["loki"]["config"] = json!({ "table_manager": {
            "retention_deletes_enabled": true,
            "retention_period": format!("{}h", periods * TABLE_HOURS),
        } });
    }
    let mut release = CHART.release(namespace(loki), "loki", loki.version.as_ref(), values, &loki.values);
    // Its data source is a ConfigMap that Grafana's sidecar looks for.
    release.after = context.file.spec.addons.monitoring.iter().map(monitoring::release_name).collect();
    release
}
