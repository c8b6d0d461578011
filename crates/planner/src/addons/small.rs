//! Add-ons without objects of their own: metrics-server, and charts that the user names.

use kubewright_model::desired::DesiredRelease;
use kubewright_model::ids::ReleaseName;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::addons::{Chart, OnFailure, Plain};
use serde_json::{Value, json};

use super::{Recommended, csr_approver, with};
use crate::context::{Context, SecretNames};

/// <https://github.com/kubernetes-sigs/metrics-server/tree/master/charts/metrics-server>
pub(super) const METRICS_SERVER: Recommended = Recommended {
    name: "metrics-server",
    repository: "https://kubernetes-sigs.github.io/metrics-server/",
    chart: "metrics-server",
    version: "3.13.0",
};

/// Where a hardened RKE2 lets nobody into `kube-system`, this label of its own one is the exception (`pkg/rke2/np.go`). It
/// trusts kubelets that the cluster vouches for, which those of kubeadm have to ask for.
pub(super) fn metrics_server(context: &Context<'_>, plain: &Plain) -> DesiredRelease {
    let kubernetes = &context.file.spec.kubernetes;
    let hardened = kubernetes.profile.is_some();
    let values = if hardened { json!({ "podLabels": { "app": "rke2-metrics-server" } }) } else { json!({}) };
    let mut release =
        METRICS_SERVER.release("kube-system".into(), "metrics-server", plain.version.as_ref(), values, &plain.values);
    let asks = kubernetes.distribution == Distribution::Kubeadm;
    release.after.extend(asks.then(|| csr_approver::NAME.into()));
    release
}

/// A chart that the user names, with its secret values put at their paths.
pub(super) fn chart(
    name: &ReleaseName,
    chart: &Chart,
    on_failure: OnFailure,
    secrets: &mut SecretNames,
) -> DesiredRelease {
    let mut values = with(json!({}), &chart.values);
    for (path, place) in &chart.secret_values {
        let hole = secrets.value(&format!("{name}.{path}"), Some(place));
        put(&mut values, path, hole.into());
    }
    DesiredRelease {
        name: name.clone(),
        namespace: chart.namespace.clone(),
        part: "charts".into(),
        chart: chart.chart.clone(),
        repository: chart.repository.clone(),
        version: chart.version.clone(),
        values,
        after: Vec::new(),
        before_ready: false,
        on_failure: chart.on_failure.unwrap_or(on_failure),
        timeout: chart.timeout,
        digest: None,
    }
}

/// Puts a value at a dotted path, making the maps on the way.
fn put(values: &mut Value, path: &str, value: Value) {
    let mut place = values;
    for key in path.split('.') {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[key];
    }
    *place = value;
}
