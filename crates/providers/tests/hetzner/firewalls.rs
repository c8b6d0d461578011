//! Firewalls: their rules, and what they are applied to.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::problem::{Problem, labels, list, text};
use super::selector::Selector;
use super::state::{Answer, Kind, State, created, gone, ok, selector};

/// "Rules are limited to 50 entries per Firewall", "100 CIDR blocks at most".
const MOST_RULES: usize = 50;
const MOST_BLOCKS: usize = 100;
/// <https://docs.hetzner.com/cloud/firewalls/overview#limits>: so many firewalls of a server.
const MOST_OF_SERVER: usize = 5;

pub(crate) fn create(state: &mut State, body: &Value) -> Answer {
    state.fresh(Kind::Firewall, body)?;
    let rules = rules(body)?;
    let targets: Vec<Value> = list(body, "apply_to").cloned().collect();
    for (at, target) in targets.iter().enumerate() {
        applicable(state, target)?;
        if targets[..at].contains(target) {
            return Err(Problem::new("server_already_added", "the server was applied more than once"));
        }
    }
    let id = state.put(
        Kind::Firewall,
        json!({
            "id": null, "name": body["name"], "labels": labels(body),
            "created": null, "rules": rules, "applied_to": [],
        }),
    );
    let set = state.begin("set_firewall_rules", &[(Kind::Firewall, id)], |_| {});
    let mut actions = vec![set];
    actions.extend(targets.into_iter().map(|target| apply(state, id, target)));
    let actions: Vec<Value> = actions.into_iter().map(|action| state.show_action(action)).collect();
    created(json!({"firewall": state.show(Kind::Firewall, id), "actions": actions}))
}

pub(crate) fn update(state: &mut State, id: u64, body: &Value) -> Answer {
    state.update(Kind::Firewall, id, body, &[])?;
    ok(json!({"firewall": state.show(Kind::Firewall, id)}))
}

pub(crate) fn delete(state: &mut State, id: u64) -> Answer {
    let firewall = state.get(Kind::Firewall, id)?;
    if list(firewall, "applied_to").next().is_some() {
        return Err(Problem::new("resource_in_use", "firewall is still in use"));
    }
    state.unlocked(Kind::Firewall, id)?;
    state.records.remove(&(Kind::Firewall, id));
    gone()
}

/// Its actions answer with a list of them.
pub(crate) fn act(state: &mut State, id: u64, word: &str, body: &Value) -> Answer {
    let firewall = state.get(Kind::Firewall, id)?.clone();
    state.unlocked(Kind::Firewall, id)?;
    let actions = match word {
        "set_rules" => {
            let rules = rules(body)?;
            vec![state.begin("set_firewall_rules", &[(Kind::Firewall, id)], move |state| {
                state.change(Kind::Firewall, id, |firewall| firewall["rules"] = json!(rules));
            })]
        }
        "apply_to_resources" => {
            for target in list(body, "apply_to") {
                applicable(state, target)?;
                if list(&firewall, "applied_to").any(|own| same(own, target)) {
                    return Err(Problem::new("firewall_already_applied", "firewall is already applied"));
                }
            }
            list(body, "apply_to").cloned().map(|target| apply(state, id, target)).collect()
        }
        "remove_from_resources" => remove(state, &firewall, body)?,
        _ => return Err(Problem::new("not_found", "there is no such action")),
    };
    let actions: Vec<Value> = actions.into_iter().map(|action| state.show_action(action)).collect();
    created(json!({ "actions": actions }))
}

fn remove(state: &mut State, firewall: &Value, body: &Value) -> Result<Vec<u64>, Problem> {
    let id = firewall["id"].as_u64().unwrap_or_default();
    let targets: Vec<Value> = list(body, "remove_from").cloned().collect();
    for target in &targets {
        if list(firewall, "applied_to").any(|own| same(own, target)) {
            continue;
        }
        let by_label = target["server"]["id"].as_u64().is_some_and(|server| picked(state, firewall, server));
        return Err(match by_label {
            true => Problem::new("firewall_managed_by_label_selector", "firewall is applied by a label selector"),
            false => Problem::new("firewall_resource_not_found", "firewall is not applied to it"),
        });
    }
    let remove = |target: Value| {
        let resources = resources(id, &target);
        state.begin("remove_firewall", &resources, move |state| {
            state.change(Kind::Firewall, id, |firewall| {
                firewall["applied_to"].as_array_mut().unwrap().retain(|own| !same(own, &target));
            });
        })
    };
    Ok(targets.into_iter().map(remove).collect())
}

fn resources(id: u64, target: &Value) -> Vec<(Kind, u64)> {
    let server = target["server"]["id"].as_u64().map(|server| (Kind::Server, server));
    server.into_iter().chain([(Kind::Firewall, id)]).collect()
}

fn same(a: &Value, b: &Value) -> bool {
    a["type"] == b["type"] && a["server"]["id"] == b["server"]["id"] && a["label_selector"] == b["label_selector"]
}

fn apply(state: &mut State, id: u64, target: Value) -> u64 {
    let resources = resources(id, &target);
    state.begin("apply_firewall", &resources, move |state| keep(state, id, target))
}

/// What a firewall is applied to from now on.
pub(crate) fn keep(state: &mut State, id: u64, target: Value) {
    state.change(Kind::Firewall, id, |firewall| {
        let applied = firewall["applied_to"].as_array_mut().unwrap();
        if !applied.iter().any(|own| same(own, &target)) {
            applied.push(target);
        }
    });
}

fn applicable(state: &State, target: &Value) -> Result<(), Problem> {
    match text(target, "type")? {
        "server" => {
            let id = super::problem::number(&target["server"], "id")?;
            let server = state.records.get(&(Kind::Server, id));
            let missing = || Problem::new("firewall_resource_not_found", "the server was not found");
            let server = server.ok_or_else(missing)?;
            let public =
                ["ipv4", "ipv6"].iter().any(|v| super::primary_ips::of_server(state, &server["id"], v).is_some());
            if !public {
                return Err(Problem::new("private_net_only_server", "the server has no public interface"));
            }
            if of_server(state, id).len() >= MOST_OF_SERVER {
                return Err(Problem::limit("server_firewalls_limit"));
            }
            Ok(())
        }
        _ => selector(text(&target["label_selector"], "selector")?, "label_selector").map(drop),
    }
}

fn rules(body: &Value) -> Result<Vec<Value>, Problem> {
    let rules: Vec<&Value> = list(body, "rules").collect();
    if rules.len() > MOST_RULES {
        return Err(Problem::invalid("rules", "must be at most 50"));
    }
    rules.into_iter().map(rule).collect()
}

fn rule(rule: &Value) -> Result<Value, Problem> {
    let (own, other) = match text(rule, "direction")? {
        "in" => ("source_ips", "destination_ips"),
        _ => ("destination_ips", "source_ips"),
    };
    let blocks: Vec<&str> = list(rule, own).filter_map(Value::as_str).collect();
    if blocks.is_empty() || blocks.len() > MOST_BLOCKS || list(rule, other).next().is_some() {
        return Err(Problem::invalid(&format!("rules.{own}"), "must have 1 to 100 blocks, and only for its direction"));
    }
    for block in blocks {
        let net: Option<IpNet> = block.parse().ok();
        if net.is_none_or(|net| net.trunc() != net) {
            return Err(Problem::invalid(&format!("rules.{own}"), &format!("{block} is no network in CIDR notation")));
        }
    }
    let with_port = matches!(rule["protocol"].as_str(), Some("tcp" | "udp"));
    let port = rule["port"].as_str();
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    let fine = match port {
        None => !with_port,
        Some("any") => with_port,
        Some(port) => with_port && port.split('-').count() <= 2 && port.split('-').all(is_port),
    };
    if !fine {
        return Err(Problem::invalid("rules.port", "must be a port or a range of them, for tcp and udp alone"));
    }
    Ok(json!({
        "description": rule["description"], "direction": rule["direction"], "protocol": rule["protocol"],
        "port": rule["port"], "source_ips": list(rule, "source_ips").collect::<Vec<_>>(),
        "destination_ips": list(rule, "destination_ips").collect::<Vec<_>>(),
    }))
}

fn picks(target: &Value, server: &Value) -> bool {
    let selector = target["label_selector"]["selector"].as_str().and_then(|text| Selector::read(text).ok());
    selector.is_some_and(|selector| selector.picks(&server["labels"]))
}

fn picked(state: &State, firewall: &Value, server: u64) -> bool {
    let server = state.records.get(&(Kind::Server, server));
    server.is_some_and(|server| list(firewall, "applied_to").any(|target| picks(target, server)))
}

/// What a server shows of its firewalls.
pub(crate) fn of_server(state: &State, server: u64) -> Vec<Value> {
    let on = |firewall: &Value| {
        list(firewall, "applied_to").any(|target| target["server"]["id"] == server) || picked(state, firewall, server)
    };
    state.which(Kind::Firewall, on).into_iter().map(|id| json!({"id": id, "status": "applied"})).collect()
}

pub(crate) fn show(state: &State, record: &mut Value) {
    for target in record["applied_to"].as_array_mut().into_iter().flatten() {
        if target["type"] == "label_selector" {
            let servers = state.which(Kind::Server, |server| picks(target, server));
            let servers: Vec<Value> =
                servers.into_iter().map(|id| json!({"type": "server", "server": {"id": id}})).collect();
            target["applied_to_resources"] = json!(servers);
        }
    }
}
