//! Metrics for Prometheus: how clusters are, and what runs came to.

use std::fmt::Error;
use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::api::App;
use crate::api::refusal::Refusing;
use crate::api::shapes::{State as How, Summary};

type Of = Family<Vec<(&'static str, String)>, Gauge<f64, AtomicU64>>;

/// What OpenMetrics' text is called. <https://prometheus.io/docs/specs/om/open_metrics_spec/>
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics. Times are seconds since 1970, as Prometheus has them: `time() - …` is an age.
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    match text(&app) {
        Ok(text) => ([(CONTENT_TYPE, KIND)], text).into_response(),
        Err(_) => Refusing::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "metrics have no text").into_response(),
    }
}

fn text(app: &App) -> Result<String, Error> {
    let mut registry = Registry::with_prefix("kubewright");
    registry.register("build", "The program", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
    let mut family = |name: &str, help: &str| {
        let family = Of::default();
        registry.register(name, help, family.clone());
        family
    };
    let nodes = family("nodes", "Nodes of the spec");
    let ready = family("nodes_ready", "Nodes of the spec that are Ready");
    let layers = family("layer_good", "1 where a layer is as it should be, 0 where it is not or nobody could look");
    let drift = family("drift_steps", "Steps that would make the cluster as its spec says");
    let ends = family("certificate_end_timestamp_seconds", "When the first of the cluster's certificates ends");
    let backup = family("backup_timestamp_seconds", "When the newest bundle was made");
    let looked = family("look_timestamp_seconds", "When the cluster was looked at");
    let fault = family("look_failed", "1 where the cluster cannot be looked at");
    let running = family("run_active", "1 while a run goes on");
    let runs = family("runs", "Runs that are remembered, by what was asked and how they ended");
    let began = family("last_run_timestamp_seconds", "When the newest run began");
    let took = family("last_run_duration_seconds", "How long the newest run took, by the clock of its world");
    let good = family("last_run_complete", "1 where the newest run ended with everything as its spec says");
    let checks = family("checks_held", "Checks that held the last time");
    let wrong = family("checks_wrong", "Checks that did not hold the last time");
    for member in app.fleet.all() {
        let summary = member.summary();
        let of = vec![("cluster", summary.name.clone())];
        let some = |family: &Of, value: Option<f64>| {
            value.map(|value| family.get_or_create(&of).set(value));
        };
        some(&nodes, Some(count(summary.nodes)));
        some(&ready, summary.looked_at.map(|_| count(summary.nodes_ready)));
        some(&drift, summary.drift.map(count));
        some(&ends, summary.certificate_until.map(seconds));
        some(&backup, summary.backup_at.map(seconds));
        some(&looked, summary.looked_at.map(seconds));
        some(&fault, Some(flag(summary.fault.is_some())));
        some(&running, Some(flag(summary.running.is_some())));
        for layer in &summary.layers {
            let labels = vec![("cluster", summary.name.clone()), ("layer", layer.name.to_string())];
            layers.get_or_create(&labels).set(flag(layer.state == How::Good));
        }
        last_run(&summary, &some, (&began, &took, &good));
        for run in member.runs() {
            let ask = run.ask.split(' ').next().unwrap_or_default().to_string();
            let end = run.end.clone().unwrap_or_else(|| "running".into());
            runs.get_or_create(&vec![("cluster", summary.name.clone()), ("ask", ask), ("end", end)]).inc();
        }
        let last = member.checks().into_iter().filter_map(|check| check.results.last().map(|result| result.held));
        let (held, failed): (Vec<bool>, Vec<bool>) = last.partition(|held| *held);
        if !held.is_empty() || !failed.is_empty() {
            some(&checks, Some(count(held.len())));
            some(&wrong, Some(count(failed.len())));
        }
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn last_run(summary: &Summary, some: &impl Fn(&Of, Option<f64>), (began, took, good): (&Of, &Of, &Of)) {
    let Some(run) = &summary.last_run else { return };
    some(began, Some(seconds(run.wall)));
    if let Some(end) = &run.end {
        some(took, Some(seconds(run.took) / 1000.0));
        some(good, Some(flag(end == "complete")));
    }
}

fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// Exact for all numbers of things that there are.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
fn count(many: usize) -> f64 {
    many as f64
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
fn seconds(many: u64) -> f64 {
    many as f64
}
