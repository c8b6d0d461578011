//! Every call that we make, held against the vendor's own description of the interface.
//!
//! The description is no part of the project: it is looked for in a folder `shared/schemas` beside it.

use std::path::Path;
use std::sync::Arc;

use kubewright_model::balancer::BalancerSettings;
use kubewright_model::cloud::OWNER_LABEL;
use kubewright_model::desired::{Body, DesiredMachine, ServerBody};
use kubewright_model::ids::Owner;
use serde_json::{Value, json};

use super::{
    Call, Kind, act, act_plainly, actions, create, delete, images, label, list, load_balancer, servers_off, snapshots,
};
use crate::hetzner::balancer::{Goal, algorithm, port};
use crate::hetzner::wish::{self, Around, Choice};
use crate::hetzner::{marks, resources};

/// The description, if it is to be had here.
fn description() -> Option<Value> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = here.ancestors().map(|folder| folder.join("shared/schemas/hcloud-openapi.json"));
    let found = found.into_iter().find(|path| path.is_file())?;
    Some(serde_json::from_slice(&std::fs::read(found).unwrap()).unwrap())
}

/// What a reference points at.
fn meant<'a>(api: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(place) => meant(api, api.pointer(place.trim_start_matches('#')).unwrap_or(&Value::Null)),
        None => schema,
    }
}

/// What is wrong with a value, in words.
fn value_faults(api: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let schema = meant(api, schema);
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let faults: Vec<Vec<String>> = choices.iter().map(|schema| value_faults(api, schema, value, at)).collect();
            return faults.into_iter().min_by_key(Vec::len).unwrap_or_default();
        }
    }
    let fits = match (schema["type"].as_str(), value) {
        (_, Value::Null) => schema["nullable"].as_bool() == Some(true),
        (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) => true,
        (Some("integer" | "number"), Value::Number(_)) => true,
        (Some("array"), Value::Array(items)) => {
            let faults = items.iter().flat_map(|item| value_faults(api, &schema["items"], item, at));
            return faults.collect();
        }
        (Some("object") | None, Value::Object(fields)) => {
            let parts: Vec<&Value> =
                schema["allOf"].as_array().into_iter().flatten().map(|it| meant(api, it)).collect();
            let known = |name: &str| parts.iter().chain([&schema]).find_map(|it| it["properties"].get(name));
            let free = schema.get("additionalProperties").is_some_and(|more| *more != false);
            let mut faults = Vec::new();
            for (name, value) in fields {
                match known(name) {
                    Some(schema) => faults.extend(value_faults(api, schema, value, &format!("{at}.{name}"))),
                    None if free => {}
                    None => faults.push(format!("{at}.{name} is unknown")),
                }
            }
            let needed = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            faults.extend(needed.filter(|it| !fields.contains_key(*it)).map(|it| format!("{at}.{it} is missing")));
            return faults;
        }
        _ => false,
    };
    let listed = schema["enum"].as_array().is_none_or(|all| all.contains(value));
    if fits && listed { Vec::new() } else { vec![format!("{at}: {value} is none of these")] }
}

/// What is wrong with a call, in words.
fn faults(api: &Value, call: &Call) -> Vec<String> {
    let verb = format!("{:?}", call.verb).to_lowercase();
    let method = &api["paths"][call.path][&verb];
    if method.is_null() {
        return vec![format!("there is no {verb} {}", call.path)];
    }
    let parameters: Vec<&Value> =
        method["parameters"].as_array().into_iter().flatten().map(|it| meant(api, it)).collect();
    let query = call.query.iter().filter(|(name, _)| !parameters.iter().any(|it| it["name"] == *name));
    let mut faults: Vec<String> = query.map(|(name, _)| format!("the parameter {name} is unknown")).collect();
    let schema = &method["requestBody"]["content"]["application/json"]["schema"];
    match (&call.body, schema) {
        (None, Value::Null) => {}
        (None, _) => faults.push("it needs a body".into()),
        (Some(_), Value::Null) => faults.push("it takes no body".into()),
        (Some(body), schema) => faults.extend(value_faults(api, schema, body, "")),
    }
    faults.into_iter().map(|fault| format!("{verb} {}: {fault}", call.path)).collect()
}

pub(crate) fn server() -> ServerBody {
    ServerBody {
        server_type: "cx32".into(),
        fallback_types: vec!["cx33".into()],
        fallback_locations: vec!["nbg1".into()],
        image: "ubuntu-24.04".into(),
        network: Some("lab".into()),
        public_ipv4: true,
        public_ipv6: false,
        placement_group: Some("lab-servers".into()),
        firewall: Some("lab".into()),
        ssh_keys: vec!["lab-key".into()],
        keeps_addresses: false,
        protected: true,
        gateway: None,
        nameservers: Vec::new(),
    }
}

pub(crate) fn machine(server: ServerBody) -> DesiredMachine {
    DesiredMachine {
        name: "lab-1".into(),
        pool: "servers".into(),
        provider: "hetzner".into(),
        place: "fsn1".into(),
        address: "10.0.0.5".parse().ok(),
        cores: None,
        memory: None,
        disk: None,
        body: Arc::new(Body::Server(server)),
        vmid: None,
        tags: vec!["team=web".into()],
        on_boot: false,
        startup: None,
        description: None,
        ha: None,
    }
}

fn balancer() -> BalancerSettings {
    let file = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: lab }\nspec:\n  kubernetes: { \
                distribution: k3s, version: v1.33.5+k3s1 }\n  pools:\n    a: { role: both, addresses: [10.0.0.1], existing: {} }\n  \
                loadBalancers:\n    web: { by: hetzner, listen: [{ port: 443, to: 31695, protocol: https, certificate: site, \
                health: { protocol: http, path: /healthz } }, { port: 6443, to: 6443 }] }\n";
    let loaded = kubewright_model::spec::load(file).unwrap_or_else(|found| panic!("{found:#?}"));
    BalancerSettings::of(&loaded.file.spec.load_balancers["web"], Some("lab"), None, false)
}

/// One call of each kind, as the parts of the adapter make them.
fn calls() -> Vec<Call> {
    let owner = Owner("lab".into());
    let machine = machine(server());
    let around = Around {
        network: Some(1),
        placement_group: Some(2),
        ssh_keys: vec!["lab-key".into()],
        ipv4: Some(4),
        ipv6: None,
    };
    let labels = marks::of_server(&machine, &server(), &owner, Some(1));
    let choice = Choice { server_type: "cx32", location: &machine.place };
    let mut made = wish::body(&machine, &server(), &choice, 7, &around, &labels);
    made["user_data"] = json!(wish::user_data(&machine, &server(), None).unwrap());
    let settings = balancer();
    let ports: Vec<Value> = settings.listeners.iter().map(|(number, it)| port(*number, it, &[5])).collect();
    let goals = [Goal::Server(1), Goal::Label(format!("{OWNER_LABEL}=lab")), Goal::Ip("10.0.0.9".parse().unwrap())];
    let targets: Vec<Value> = goals.iter().map(|goal| goal.added(true)).collect();
    let made_balancer = json!({
        "name": "web", "load_balancer_type": "lb11", "location": "fsn1", "algorithm": algorithm(settings.algorithm),
        "labels": marks::protecting(&owner, true), "services": ports, "targets": targets, "public_interface": true, "network": 1,
    });
    let mut calls = vec![
        list(Kind::Server).page(2),
        list(Kind::Server).named("a").page(1),
        list(Kind::LoadBalancer).labelled("a=b").page(1),
        servers_off().page(1),
        images("x86").named("ubuntu-24.04").page(1),
        snapshots("arm").labelled("a=b").page(1),
        actions(&[1, 2]),
        super::server(1),
        load_balancer(1),
        create(Kind::Server, made),
        create(Kind::LoadBalancer, made_balancer),
        act("/servers/{id}/actions/attach_to_network", 1, json!({ "network": 1, "ip": "10.0.0.5" })),
        act("/servers/{id}/actions/change_protection", 1, json!({ "delete": true, "rebuild": true })),
        act("/servers/{id}/actions/change_type", 1, json!({ "server_type": "cx42", "upgrade_disk": false })),
        act("/servers/{id}/actions/add_to_placement_group", 1, json!({ "placement_group": 1 })),
        act_plainly("/servers/{id}/actions/remove_from_placement_group", 1),
        act_plainly("/servers/{id}/actions/poweron", 1),
        act_plainly("/servers/{id}/actions/poweroff", 1),
        act_plainly("/servers/{id}/actions/shutdown", 1),
        act_plainly("/volumes/{id}/actions/detach", 1),
        act_plainly("/certificates/{id}/actions/retry", 1),
        super::of_certificate(1),
        act("/load_balancers/{id}/actions/attach_to_network", 1, json!({ "network": 1, "ip": "10.0.0.9" })),
        act("/load_balancers/{id}/actions/detach_from_network", 1, json!({ "network": 1 })),
        act("/load_balancers/{id}/actions/change_algorithm", 1, algorithm(settings.algorithm)),
        act("/load_balancers/{id}/actions/change_type", 1, json!({ "load_balancer_type": "lb21" })),
        act("/load_balancers/{id}/actions/change_protection", 1, json!({ "delete": true })),
        act("/load_balancers/{id}/actions/delete_service", 1, json!({ "listen_port": 80 })),
        act_plainly("/load_balancers/{id}/actions/enable_public_interface", 1),
        act_plainly("/load_balancers/{id}/actions/disable_public_interface", 1),
    ];
    for (number, it) in &settings.listeners {
        calls.push(act("/load_balancers/{id}/actions/add_service", 1, port(*number, it, &[5])));
        calls.push(act("/load_balancers/{id}/actions/update_service", 1, port(*number, it, &[])));
    }
    for goal in &goals {
        calls.push(act("/load_balancers/{id}/actions/add_target", 1, goal.added(false)));
        calls.push(act("/load_balancers/{id}/actions/remove_target", 1, goal.told()));
    }
    for kind in [Kind::Server, Kind::LoadBalancer, Kind::Network, Kind::Firewall, Kind::PlacementGroup, Kind::PrimaryIp]
    {
        calls.extend(delete(kind, 1));
        calls.extend(label(kind, 1, &json!({ "a": "b" })));
    }
    calls.extend([Kind::SshKey, Kind::Certificate, Kind::Volume].into_iter().filter_map(|kind| delete(kind, 1)));
    let lists =
        [Kind::ServerType, Kind::LoadBalancerType, Kind::Location, Kind::Datacenter, Kind::Certificate, Kind::SshKey];
    calls.extend(lists.map(|kind| list(kind).page(1)));
    calls.extend(
        [Kind::Network, Kind::Firewall, Kind::PlacementGroup, Kind::Volume].map(|kind| list(kind).named("a").page(1)),
    );
    calls.extend(resources::samples(&owner));
    calls
}

#[test]
fn every_call_is_in_the_vendors_description() {
    let Some(api) = description() else {
        eprintln!("skipped: there is no shared/schemas/hcloud-openapi.json beside the project");
        return;
    };
    let faults: Vec<String> = calls().iter().flat_map(|call| faults(&api, call)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn what_is_wrong_with_a_call_is_found() {
    let Some(api) = description() else { return };
    let wrong = [
        act_plainly("/servers/{id}/actions/dance", 1),
        list(Kind::Server).with("colour", "red"),
        act("/servers/{id}/actions/change_type", 1, json!({ "server_type": 3 })),
        act("/load_balancers/{id}/actions/change_algorithm", 1, json!({ "type": "random" })),
    ];
    let found: Vec<usize> = wrong.iter().map(|call| faults(&api, call).len()).collect();
    assert_eq!(found, [1, 1, 2, 1]);
}
