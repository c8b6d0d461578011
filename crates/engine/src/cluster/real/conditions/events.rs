//! What was warned of, as events keep it for an hour.

use k8s_openapi::api::core::v1::Event;
use kube::Client;
use kube::api::{Api, ListParams};
use kubewright_model::ids::Namespace;

use super::super::look::all;

/// The last of them that are told.
const TOLD: usize = 5;

/// Warnings about one object, newest last.
pub(super) async fn about(client: &Client, namespace: &Namespace, kind: &str, name: &str) -> Vec<Event> {
    let fields = format!("involvedObject.kind={kind},involvedObject.name={name},type=Warning");
    listed(&Api::namespaced(client.clone(), namespace.as_str()), &fields).await
}

/// Everything that is told about one object, also what is no warning.
pub(super) async fn all_about(client: &Client, namespace: &Namespace, kind: &str, name: &str) -> Vec<Event> {
    let fields = format!("involvedObject.kind={kind},involvedObject.name={name}");
    listed(&Api::namespaced(client.clone(), namespace.as_str()), &fields).await
}

/// Warnings about all objects of a kind.
pub(in super::super) async fn of_kind(client: &Client, kind: &str) -> Vec<Event> {
    listed(&Api::all(client.clone()), &format!("involvedObject.kind={kind},type=Warning")).await
}

/// Events only add to what is told: where they cannot be listed, less is.
async fn listed(api: &Api<Event>, fields: &str) -> Vec<Event> {
    let mut events = all(api, &ListParams::default().fields(fields)).await.unwrap_or_default();
    events.sort_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0));
    events
}

/// Their last lines: `REASON: message`.
pub(super) fn lines(events: &[Event]) -> Vec<String> {
    let told = events.iter().filter_map(|event| {
        let message = event.message.as_deref()?.lines().next()?;
        Some(format!("{}: {message}", event.reason.as_deref().unwrap_or("Warning")))
    });
    let mut told: Vec<String> = told.collect();
    told.dedup();
    told.split_off(told.len().saturating_sub(TOLD))
}
