//! What the API has become since its description was written (February 2026), each by the vendor's own changelog
//! (<https://docs.hetzner.cloud/changelog>), as the changelogs of hcloud-go 2.47 and hcloud-python 2.27 cite it.

use serde_json::{Map, Value, json};

/// Which API the fake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Era {
    /// As of the description, in February 2026.
    Described,
    /// As of October 2026.
    Today,
}

/// The description of this era.
pub(crate) fn description(era: Era, mut document: Value) -> Value {
    if era == Era::Described {
        return document;
    }
    amend(&mut document);
    let paths = document["paths"].as_object_mut().unwrap();
    // #2026-06-02-datacenters-deprecated: they "will return `HTTP 410 Gone`" after 1 October.
    paths.retain(|path, _| !path.starts_with("/datacenters"));
    // #2026-10-05-delete-load-balancer-returns-action.
    let action = paths["/servers/{id}"]["delete"]["responses"]["200"].clone();
    let responses = paths["/load_balancers/{id}"]["delete"]["responses"].as_object_mut().unwrap();
    responses.remove("204");
    responses.insert("201".into(), action);
    document
}

/// Every schema of the document.
fn amend(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("properties").is_some_and(Value::is_object) {
                amend_schema(fields);
            }
            fields.values_mut().for_each(amend);
        }
        Value::Array(items) => items.iter_mut().for_each(amend),
        _ => {}
    }
}

fn amend_schema(schema: &mut Map<String, Value>) {
    let mut required = schema.get("required").cloned().unwrap_or(json!([]));
    let needs = required.as_array_mut().unwrap();
    let fields = schema["properties"].as_object_mut().unwrap();
    let has = |fields: &Map<String, Value>, names: &[&str]| names.iter().all(|name| fields.contains_key(*name));
    // #2026-07-01-removing-datacenters.
    if has(fields, &["datacenter", "location"]) {
        fields.remove("datacenter");
        needs.retain(|name| name != "datacenter");
    }
    if has(fields, &["assignee_type"]) {
        // #2026-04-27-primary-ips-will-return-unassigned, and #2026-10-05-load-balancers-can-use-existing-primary-ips.
        fields.insert(
            "assignee_type".into(),
            json!({"type": "string", "enum": ["server", "load_balancer", "unassigned"]}),
        );
        // #2026-04-27-primary-ips-make-assignee_type-optional.
        if has(fields, &["auto_delete"]) && !has(fields, &["id"]) {
            needs.retain(|name| name != "assignee_type");
        }
    }
    // #2026-04-01-datacenter-deprecations: what is to be had stands in the types of servers.
    if fields.len() == 3 && has(fields, &["id", "name", "deprecation"]) {
        for name in ["available", "recommended"] {
            fields.insert(name.into(), json!({"type": "boolean"}));
            needs.push(name.into());
        }
    }
    // #2026-10-05-load-balancers-can-use-existing-primary-ips.
    if has(fields, &["load_balancer_type", "public_interface"]) {
        let ip = json!({"type": "integer"});
        fields.insert("public_net".into(), json!({"type": "object", "properties": {"ipv4": ip, "ipv6": ip}}));
    }
    // #2026-04-30-load-balancers-http-idle-timeout-can-now-be-configured.
    if has(fields, &["cookie_lifetime"]) {
        fields.insert("timeout_idle".into(), json!({"type": "integer"}));
    }
    if !needs.is_empty() {
        schema.insert("required".into(), required);
    }
}
