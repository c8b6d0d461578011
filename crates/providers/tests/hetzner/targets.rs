//! What load balancers send to, and how well it is.

use serde_json::{Value, json};

use super::load_balancers::not_attached;
use super::networks::{is_attached, range_of};
use super::primary_ips;
use super::problem::{Problem, list, number, text};
use super::selector::Selector;
use super::state::{Kind, State, selector};

/// A target as it is kept, for a load balancer that does not have it yet.
pub(crate) fn target(state: &State, record: &Value, body: &Value) -> Result<Value, Problem> {
    if list(record, "targets").any(|own| same(own, body)) {
        return Err(Problem::new("target_already_defined", "load balancer target is already defined"));
    }
    let network = list(record, "private_net").next().and_then(|own| own["network"].as_u64());
    let private = body["use_private_ip"] == true;
    let kind = text(body, "type")?;
    if private && network.is_none() {
        return Err(not_attached());
    }
    if kind != "ip" && !private && record["public_net"]["enabled"] == false {
        let message = "the public interface of the load balancer is disabled";
        return Err(Problem::new("load_balancer_public_interface_disabled", message));
    }
    let mut new = json!({"type": kind, "use_private_ip": private});
    match kind {
        "server" => {
            let id = number(&body["server"], "id")?;
            let server = state.get(Kind::Server, id)?;
            if private && network.is_some_and(|network| !is_attached(server, network)) {
                let message = "server is not attached to the network of the load balancer";
                return Err(Problem::new("server_not_attached_to_network", message));
            }
            if !private && primary_ips::of_server(state, &server["id"], "ipv4").is_none() {
                return Err(Problem::new("missing_ipv4", "server has no public IPv4 address"));
            }
            new["server"] = json!({ "id": id });
        }
        "label_selector" => {
            let text = text(&body["label_selector"], "selector")?;
            selector(text, "label_selector.selector")?;
            new["label_selector"] = json!({ "selector": text });
        }
        _ => {
            if private {
                return Err(Problem::invalid("use_private_ip", "is not for targets of type ip"));
            }
            let ip = text(&body["ip"], "ip")?;
            allowed(state, network, ip)?;
            new = json!({"type": "ip", "ip": {"ip": ip}});
        }
    }
    let mut with = record.clone();
    with["targets"].as_array_mut().unwrap().push(new.clone());
    let kind = state.catalog.known("load_balancer_types", &record["_type"]);
    // hcloud-cloud-controller-manager#570: that it is this code.
    if count(state, &with) as u64 > kind["max_targets"].as_u64().unwrap_or_default() {
        return Err(Problem::limit("load_balancer_targets_limit"));
    }
    Ok(new)
}

/// Addresses of dedicated servers, and of such in a coupled subnet.
fn allowed(state: &State, network: Option<u64>, ip: &str) -> Result<(), Problem> {
    let cloud = state.of(Kind::PrimaryIp).any(|(_, own)| own["ip"] == ip)
        || state.of(Kind::LoadBalancer).any(|(_, own)| own["public_net"]["ipv4"]["ip"] == ip);
    if cloud {
        return Err(Problem::new("cloud_resource_ip_not_allowed", "IP belongs to a cloud resource"));
    }
    let network = network.and_then(|id| state.get(Kind::Network, id).ok());
    let coupled = network.is_some_and(|network| {
        let mut subnets = list(network, "subnets").filter(|own| own["type"] == "vswitch");
        ip.parse().is_ok_and(|ip: std::net::Ipv4Addr| subnets.any(|own| range_of(&own["ip_range"]).contains(&ip)))
    });
    let ours = state.dedicated.contains(ip) || coupled;
    if ours { Ok(()) } else { Err(Problem::new("ip_not_owned", "IP is not owned by the owner of the project")) }
}

pub(crate) fn same(a: &Value, b: &Value) -> bool {
    let part = |target: &Value| {
        json!([target["type"], target["server"]["id"], target["label_selector"]["selector"], target["ip"]["ip"]])
    };
    part(a) == part(b)
}

/// How many it has, with those that its selectors pick.
pub(crate) fn count(state: &State, record: &Value) -> usize {
    let each = |target: &Value| match target["label_selector"].is_null() {
        true => 1,
        false => picked(state, record, target).len(),
    };
    list(record, "targets").map(each).sum()
}

fn picked(state: &State, record: &Value, target: &Value) -> Vec<u64> {
    let text = target["label_selector"]["selector"].as_str().unwrap_or_default();
    let network = list(record, "private_net").next().and_then(|own| own["network"].as_u64());
    let private = target["use_private_ip"] == true;
    let Ok(selector) = Selector::read(text) else { return Vec::new() };
    let reachable = |server: &Value| match private {
        true => network.is_some_and(|network| is_attached(server, network)),
        false => true,
    };
    state.which(Kind::Server, |server| selector.picks(&server["labels"]) && reachable(server))
}

pub(crate) fn show(state: &State, record: &mut Value) {
    let id = record["id"].as_u64().unwrap_or_default();
    let ports: Vec<u64> = list(record, "services").filter_map(|own| own["listen_port"].as_u64()).collect();
    let health = |target: &str, otherwise: &str| -> Vec<Value> {
        let said = |port: u64| state.health.get(&(id, target.to_string(), port)).map_or(otherwise, String::as_str);
        ports.iter().map(|port| json!({"listen_port": port, "status": said(*port)})).collect()
    };
    let of_server = |server: u64| {
        let runs = state.records.get(&(Kind::Server, server)).is_some_and(|server| server["status"] == "running");
        health(&server.to_string(), if runs { "healthy" } else { "unhealthy" })
    };
    let whole = record.clone();
    for target in record["targets"].as_array_mut().into_iter().flatten() {
        if let Some(server) = target["server"]["id"].as_u64() {
            target["health_status"] = json!(of_server(server));
        } else if let Some(ip) = target["ip"]["ip"].as_str() {
            target["health_status"] = json!(health(ip, "healthy"));
        } else {
            let one = |server: u64| {
                json!({
                    "type": "server", "server": {"id": server}, "health_status": of_server(server),
                    "use_private_ip": target["use_private_ip"],
                })
            };
            let all: Vec<Value> = picked(state, &whole, target).into_iter().map(one).collect();
            target["targets"] = json!(all);
        }
    }
}
