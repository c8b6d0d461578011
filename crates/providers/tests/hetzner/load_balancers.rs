//! Load balancers and their services; their targets are in `targets.rs`.

use serde_json::{Value, json};

use super::era::Era;
use super::networks::{self, Wanted};
use super::problem::{Problem, id_or_name, labels, list, number, text};
use super::state::{Answer, Kind, State, created, gone, ok};
use super::targets;

pub(crate) fn create(state: &mut State, body: &Value) -> Answer {
    state.fresh(Kind::LoadBalancer, body)?;
    let kind = type_of(state, body)?;
    let location = place(state, body)?;
    let public = body["public_interface"] != false;
    let mut record = json!({
        "id": null, "name": body["name"], "_type": kind["name"], "_location": location["name"], "private_net": [],
        "protection": {"delete": false}, "labels": labels(body), "created": null,
        "public_net": {"enabled": public}, "services": [], "targets": [],
        "algorithm": body.get("algorithm").cloned().unwrap_or(json!({"type": "round_robin"})),
        "included_traffic": 21_990_232_555_520_u64, "ingoing_traffic": 0, "outgoing_traffic": 0,
    });
    if let Some(network) = body["network"].as_u64() {
        let ip = networks::address(state, network, &location["network_zone"], Wanted::default())?;
        record["private_net"] = json!([{"network": network, "ip": ip}]);
    } else if !public {
        return Err(Problem::invalid("public_interface", "a load balancer without it needs a network"));
    }
    for new in list(body, "services") {
        let service = service(state, &record, new)?;
        record["services"].as_array_mut().unwrap().push(service);
    }
    for new in list(body, "targets") {
        let target = targets::target(state, &record, new)?;
        record["targets"].as_array_mut().unwrap().push(target);
    }
    let kept = ["ipv4", "ipv6"].map(|version| (version, body["public_net"][version].as_u64()));
    kept.iter().try_for_each(|(version, kept)| kept.map_or(Ok(()), |kept| usable(state, kept, version, &location)))?;
    for (version, kept) in kept {
        let ip = match kept {
            Some(kept) => state.get(Kind::PrimaryIp, kept)?["ip"].as_str().unwrap_or_default().to_string(),
            None => state.next_address(version),
        };
        let ip = ip.strip_suffix("/64").map_or(ip.clone(), |net| format!("{net}1"));
        record["public_net"][version] = json!({"ip": ip, "dns_ptr": format!("lb.{version}.invalid")});
    }
    let id = state.put(Kind::LoadBalancer, record);
    for kept in kept.into_iter().filter_map(|(_, kept)| kept) {
        state.change(Kind::PrimaryIp, kept, |ip| {
            ip["assignee_id"] = json!(id);
            ip["assignee_type"] = json!("load_balancer");
        });
    }
    let action = state.begin("create_load_balancer", &[(Kind::LoadBalancer, id)], |_| {});
    created(json!({"load_balancer": state.show(Kind::LoadBalancer, id), "action": state.show_action(action)}))
}

/// Whether a primary IP can be that of a new load balancer.
fn usable(state: &State, id: u64, version: &str, location: &Value) -> Result<(), Problem> {
    let ip = state.get(Kind::PrimaryIp, id)?;
    if ip["type"] != version {
        return Err(Problem::new("primary_ip_version_mismatch", "primary IP has the wrong version"));
    }
    if !ip["assignee_id"].is_null() {
        return Err(Problem::new("primary_ip_already_assigned", "primary IP is already assigned"));
    }
    if ip["_location"] != location["name"] {
        return Err(Problem::invalid(&format!("public_net.{version}"), "is in another location"));
    }
    Ok(())
}

fn type_of(state: &State, body: &Value) -> Result<Value, Problem> {
    let found = state.catalog.find("load_balancer_types", &id_or_name(body, "load_balancer_type")?);
    found.ok_or_else(|| Problem::invalid("load_balancer_type", "is unknown"))
}

fn place(state: &State, body: &Value) -> Result<Value, Problem> {
    match (body["location"].is_null(), body["network_zone"].as_str()) {
        (false, None) => {
            let found = state.catalog.find("locations", &id_or_name(body, "location")?);
            found.ok_or_else(|| Problem::invalid("location", "is unknown"))
        }
        (true, Some(zone)) => {
            let found = state.catalog.of("locations").into_iter().find(|place| place["network_zone"] == zone);
            found.ok_or_else(|| Problem::invalid("network_zone", "is unknown"))
        }
        _ => Err(Problem::invalid("location", "either it or network_zone must be given")),
    }
}

pub(crate) fn update(state: &mut State, id: u64, body: &Value) -> Answer {
    state.update(Kind::LoadBalancer, id, body, &[])?;
    ok(json!({"load_balancer": state.show(Kind::LoadBalancer, id)}))
}

pub(crate) fn delete(state: &mut State, id: u64) -> Answer {
    state.unprotected(Kind::LoadBalancer, id, "delete")?;
    state.unlocked(Kind::LoadBalancer, id)?;
    if state.era == Era::Described {
        forget(state, id);
        return gone();
    }
    let action = state.begin("delete_load_balancer", &[(Kind::LoadBalancer, id)], move |state| forget(state, id));
    created(json!({"action": state.show_action(action)}))
}

fn forget(state: &mut State, id: u64) {
    state.records.remove(&(Kind::LoadBalancer, id));
    for ip in state.which(Kind::PrimaryIp, |ip| ip["assignee_id"] == id) {
        state.change(Kind::PrimaryIp, ip, |ip| {
            ip["assignee_id"] = Value::Null;
            ip["assignee_type"] = json!("server");
        });
    }
}

pub(crate) fn act(state: &mut State, id: u64, word: &str, body: &Value) -> Result<u64, Problem> {
    let record = state.get(Kind::LoadBalancer, id)?.clone();
    state.unlocked(Kind::LoadBalancer, id)?;
    match word {
        "add_service" | "update_service" | "delete_service" => services(state, &record, word, body),
        "add_target" => {
            let target = targets::target(state, &record, body)?;
            Ok(change(state, id, "add_target", move |own| own["targets"].as_array_mut().unwrap().push(target)))
        }
        "remove_target" => {
            let body = body.clone();
            if !list(&record, "targets").any(|own| targets::same(own, &body)) {
                return Err(Problem::new("not_found", "load balancer target not found"));
            }
            Ok(change(state, id, "remove_target", move |own| {
                own["targets"].as_array_mut().unwrap().retain(|own| !targets::same(own, &body));
            }))
        }
        "change_algorithm" => {
            let algorithm = body.clone();
            Ok(change(state, id, "change_algorithm", move |own| own["algorithm"] = algorithm))
        }
        "change_type" => change_type(state, &record, body),
        "attach_to_network" | "detach_from_network" => network(state, &record, word, body),
        "enable_public_interface" => {
            Ok(change(state, id, "enable_public_interface", |own| own["public_net"]["enabled"] = json!(true)))
        }
        "disable_public_interface" => {
            if list(&record, "private_net").next().is_none() {
                return Err(not_attached());
            }
            if list(&record, "targets").any(|own| own["type"] == "ip" || own["use_private_ip"] != true) {
                let message = "load balancer has targets that use the public IP";
                return Err(Problem::new("targets_without_use_private_ip", message));
            }
            Ok(change(state, id, "disable_public_interface", |own| own["public_net"]["enabled"] = json!(false)))
        }
        "change_dns_ptr" => {
            let versions = ["ipv4", "ipv6"];
            let version = versions.into_iter().find(|version| record["public_net"][*version]["ip"] == body["ip"]);
            let version = version.ok_or_else(|| Problem::invalid("ip", "is no address of the load balancer"))?;
            let pointer = body["dns_ptr"].clone();
            Ok(change(state, id, "change_dns_ptr", move |own| own["public_net"][version]["dns_ptr"] = pointer))
        }
        "change_protection" => state.protect(Kind::LoadBalancer, id, body),
        _ => Err(Problem::new("not_found", "there is no such action")),
    }
}

pub(crate) fn not_attached() -> Problem {
    Problem::new("load_balancer_not_attached_to_network", "load balancer is not attached to a network")
}

fn change(state: &mut State, id: u64, command: &'static str, change: impl FnOnce(&mut Value) + Send + 'static) -> u64 {
    state.begin(command, &[(Kind::LoadBalancer, id)], move |state| state.change(Kind::LoadBalancer, id, change))
}

fn services(state: &mut State, record: &Value, word: &str, body: &Value) -> Result<u64, Problem> {
    let (id, port) = (record["id"].as_u64().unwrap_or_default(), number(body, "listen_port")?);
    if word == "add_service" {
        let new = service(state, record, body)?;
        return Ok(change(state, id, "add_service", move |own| own["services"].as_array_mut().unwrap().push(new)));
    }
    let at = list(record, "services").position(|own| own["listen_port"] == port);
    let missing = || format!("service with listen port {port} for load balancer with ID {id} not found");
    let at = at.ok_or_else(|| Problem::new("not_found", missing()))?;
    let drop = move |own: &mut Value| drop(own["services"].as_array_mut().unwrap().remove(at));
    if word == "delete_service" {
        return Ok(change(state, id, "delete_service", drop));
    }
    // What is not said stays as it is; of nested objects as well.
    let mut rest = record.clone();
    let mut new = rest["services"].as_array_mut().unwrap().remove(at);
    merge(&mut new, body);
    let new = service(state, &rest, &new)?;
    Ok(change(state, id, "update_service", move |own| own["services"][at] = new))
}

fn merge(old: &mut Value, new: &Value) {
    match new.as_object().filter(|_| old.is_object()) {
        Some(fields) => fields.iter().for_each(|(name, value)| merge(&mut old[name.as_str()], value)),
        None => *old = new.clone(),
    }
}

/// A service as it is kept, for a load balancer that does not have it yet.
fn service(state: &State, record: &Value, body: &Value) -> Result<Value, Problem> {
    let kind = state.catalog.known("load_balancer_types", &record["_type"]);
    let most = kind["max_services"].as_u64().unwrap_or_default() as usize;
    if list(record, "services").count() >= most {
        return Err(Problem::limit("load_balancer_services_limit"));
    }
    for field in ["listen_port", "destination_port"] {
        if !(1..=65_535).contains(&number(body, field)?) {
            return Err(Problem::invalid(field, "must be a port"));
        }
    }
    if list(record, "services").any(|own| own["listen_port"] == body["listen_port"]) {
        return Err(Problem::new("source_port_already_used", "source port is already in use"));
    }
    let (protocol, check) = (text(body, "protocol")?, &body["health_check"]);
    if check["protocol"] == "http" && check["http"].is_null() {
        return Err(Problem::invalid("health_check.http", "is needed for protocol http"));
    }
    if !(1..=65_535).contains(&number(check, "port")?) {
        return Err(Problem::invalid("health_check.port", "must be a port"));
    }
    let http = &body["http"];
    if protocol == "tcp" && http.as_object().is_some_and(|http| !http.is_empty()) {
        return Err(Problem::invalid("http", "belongs to protocols http and https"));
    }
    if protocol != "https" && (http["redirect_http"] == true || list(http, "certificates").next().is_some()) {
        return Err(Problem::invalid("http", "redirect_http and certificates belong to protocol https"));
    }
    let certificates: Vec<u64> = list(http, "certificates").filter_map(Value::as_u64).collect();
    certificates.iter().try_for_each(|id| state.get(Kind::Certificate, *id).map(drop))?;
    let mut new = body.clone();
    if protocol != "tcp" {
        let defaults = json!({
            "cookie_name": "HCLBSTICKY", "cookie_lifetime": 300, "certificates": [], "redirect_http": false,
            "sticky_sessions": false,
        });
        new["http"] = defaults;
        if !http.is_null() {
            merge(&mut new["http"], http);
        }
    } else if let Some(fields) = new.as_object_mut() {
        fields.remove("http");
    }
    Ok(new)
}

fn change_type(state: &mut State, record: &Value, body: &Value) -> Result<u64, Problem> {
    let new = type_of(state, body)?;
    let fits = |limit: &str, own: usize| own as u64 <= new[limit].as_u64().unwrap_or_default();
    let services = list(record, "services").count();
    let other = new["name"] != record["_type"];
    if !other || !fits("max_services", services) || !fits("max_targets", targets::count(state, record)) {
        return Err(Problem::new("invalid_load_balancer_type", "load balancer type does not fit"));
    }
    let id = record["id"].as_u64().unwrap_or_default();
    Ok(change(state, id, "change_load_balancer_type", move |own| own["_type"] = new["name"].clone()))
}

fn network(state: &mut State, record: &Value, word: &str, body: &Value) -> Result<u64, Problem> {
    let (id, network) = (record["id"].as_u64().unwrap_or_default(), number(body, "network")?);
    state.get(Kind::Network, network)?;
    let both = [(Kind::LoadBalancer, id), (Kind::Network, network)];
    if word == "detach_from_network" {
        if !networks::is_attached(record, network) {
            return Err(not_attached());
        }
        return Ok(state.begin("detach_from_network", &both, move |state| {
            state.change(Kind::LoadBalancer, id, |own| networks::detach(own, network));
        }));
    }
    if list(record, "private_net").next().is_some() {
        return Err(Problem::new("load_balancer_already_attached", "load balancer is already attached to a network"));
    }
    let place = state.catalog.known("locations", &record["_location"]);
    let ip = networks::address(state, network, &place["network_zone"], Wanted::of(body))?;
    let next = state.next_action();
    state.reserved.insert(next, vec![(network, ip)]);
    Ok(state.begin("attach_to_network", &both, move |state| {
        if state.get(Kind::Network, network).is_err() {
            return;
        }
        state.change(Kind::LoadBalancer, id, |own| own["private_net"] = json!([{"network": network, "ip": ip}]));
    }))
}

pub(crate) fn show(state: &State, record: &mut Value) {
    record["location"] = state.catalog.known("locations", &record["_location"]);
    record["load_balancer_type"] = state.catalog.known("load_balancer_types", &record["_type"]);
    targets::show(state, record);
}
