//! Servers: how they come, what is shown of them, how they go.

use serde_json::{Value, json};

use super::catalog::{has_id, is_deprecated, is_offered};
use super::era::Era;
use super::networks::{self, Wanted};
use super::problem::{Problem, id_or_name, labels, list};
use super::state::{Answer, Kind, State, created, ok};
use super::{placement_groups, primary_ips};

/// `user_data` "is limited to 32KiB".
const MOST_USER_DATA: usize = 32 * 1024;

pub(crate) fn create(state: &mut State, body: &Value) -> Answer {
    state.fresh(Kind::Server, body)?;
    let kind = type_of(state, body)?;
    let location = place(state, body, &kind)?;
    let image = image_of(state, &id_or_name(body, "image")?, &kind)?;
    check_user_data(body)?;
    let keys = keys(state, body)?;
    if let Some(group) = body["placement_group"].as_u64() {
        placement_groups::has_room(state, group)?;
    }
    let public = public(state, body, &location)?;
    state.room_for_more(Kind::PrimaryIp, public.iter().filter(|chosen| **chosen == Some(None)).count())?;
    let firewalls: Vec<u64> = list(body, "firewalls").filter_map(|one| one["firewall"].as_u64()).collect();
    firewalls.iter().try_for_each(|id| state.get(Kind::Firewall, *id).map(drop))?;
    let nets = nets(state, body, &location)?;
    // One that is not started may get a network afterwards (hcloud-go 2.9, `ServerCreateOpts.Validate`).
    let starts = body["start_after_create"] != false;
    if starts && nets.is_empty() && public.iter().all(Option::is_none) {
        return Err(Problem::invalid("public_net", "a server needs a public or a private network"));
    }
    let volumes: Vec<u64> = list(body, "volumes").filter_map(Value::as_u64).collect();
    volumes.iter().try_for_each(|id| super::volumes::attachable(state, *id, &location["name"]))?;
    if state.catalog.is_sold_out(&kind, &location) {
        return Err(Problem::new("resource_unavailable", "error during placement"));
    }
    let id = state.put(Kind::Server, record(body, &kind, &location, image, &keys));
    for (version, chosen) in ["ipv4", "ipv6"].into_iter().zip(public) {
        if let Some(chosen) = chosen {
            let own = chosen.unwrap_or_else(|| new_address(state, version, &location));
            state.change(Kind::PrimaryIp, own, |record| record["assignee_id"] = json!(id));
        }
    }
    for firewall in firewalls {
        super::firewalls::keep(state, firewall, json!({"type": "server", "server": {"id": id}}));
    }
    answer(state, id, body, nets, volumes, keys.is_empty())
}

/// Begins what makes it, and answers with that.
fn answer(state: &mut State, id: u64, body: &Value, nets: Vec<Value>, volumes: Vec<u64>, password: bool) -> Answer {
    let this = [(Kind::Server, id)];
    let reserved = nets.iter().filter_map(|net| Some((net["network"].as_u64()?, net["ip"].as_str()?.parse().ok()?)));
    let reserved: Vec<_> = reserved.collect();
    // The addresses are its own from now on, and are shown when it is made.
    state.change(Kind::Server, id, |server| server["_coming"] = json!(nets));
    let making = state.next_action();
    state.reserved.insert(making, reserved);
    let action = state.begin("create_server", &this, move |state| {
        let there = state.which(Kind::Network, |_| true);
        state.change(Kind::Server, id, |server| {
            let mut nets = server["_coming"].take();
            nets.as_array_mut().unwrap().retain(|net| there.iter().any(|network| net["network"] == *network));
            server["private_net"] = nets;
            server["status"] = json!("off");
        });
    });
    let mut next = Vec::new();
    for volume in volumes {
        next.push(super::volumes::attach(state, Some(action), volume, id));
    }
    if body["start_after_create"] != false {
        let start = state.begin_after(Some(action), "start_server", &this, move |state| {
            state.change(Kind::Server, id, |server| server["status"] = json!("running"));
        });
        next.push(start);
    }
    let next: Vec<Value> = next.into_iter().map(|action| state.show_action(action)).collect();
    let password = password.then_some("a-password-of-the-fake");
    created(json!({
        "server": state.show(Kind::Server, id), "action": state.show_action(action), "next_actions": next,
        "root_password": password,
    }))
}

fn record(body: &Value, kind: &Value, location: &Value, image: u64, keys: &[u64]) -> Value {
    json!({
        "id": null, "name": body["name"], "status": "initializing", "created": null, "private_net": [],
        "_type": kind["name"], "_location": location["name"], "_image": image, "iso": null,
        "rescue_enabled": false, "locked": false, "backup_window": null, "outgoing_traffic": 0,
        "ingoing_traffic": 0, "included_traffic": 21_990_232_555_520_u64,
        "protection": {"delete": false, "rebuild": false},
        "labels": labels(body), "primary_disk_size": kind["disk"],
        "placement_group": body["placement_group"], "_user_data": body["user_data"], "_ssh_keys": keys,
    })
}

pub(crate) fn update(state: &mut State, id: u64, body: &Value) -> Answer {
    state.update(Kind::Server, id, body, &[])?;
    ok(json!({"server": state.show(Kind::Server, id)}))
}

pub(crate) fn delete(state: &mut State, id: u64) -> Answer {
    state.unprotected(Kind::Server, id, "delete")?;
    state.unlocked(Kind::Server, id)?;
    state.change(Kind::Server, id, |server| server["status"] = json!("deleting"));
    let action = state.begin("delete_server", &[(Kind::Server, id)], move |state| forget(state, id));
    ok(json!({"action": state.show_action(action)}))
}

/// It is gone, and with it what is its own alone; everything else is detached.
fn forget(state: &mut State, id: u64) {
    state.records.remove(&(Kind::Server, id));
    state.records.retain(|(kind, _), record| match kind {
        Kind::PrimaryIp => record["assignee_id"] != id || record["auto_delete"] != true,
        Kind::Image => record["bound_to"] != id,
        _ => true,
    });
    for ((kind, _), record) in &mut state.records {
        match kind {
            Kind::PrimaryIp if record["assignee_id"] == id => record["assignee_id"] = Value::Null,
            Kind::Volume if record["server"] == id => record["server"] = Value::Null,
            Kind::Firewall => drop_server(&mut record["applied_to"], id),
            Kind::LoadBalancer => drop_server(&mut record["targets"], id),
            _ => {}
        }
    }
}

fn drop_server(entries: &mut Value, id: u64) {
    entries.as_array_mut().unwrap().retain(|entry| entry["server"]["id"] != id);
}

pub(crate) fn show(state: &State, record: &mut Value) {
    let id = record["id"].as_u64().unwrap_or_default();
    let location = state.catalog.known("locations", &record["_location"]);
    record["server_type"] = state.catalog.known("server_types", &record["_type"]);
    if state.era == Era::Described {
        record["datacenter"] = state.catalog.datacenter_of(&location);
    }
    record["location"] = location;
    let image = record["_image"].as_u64().filter(|image| state.records.contains_key(&(Kind::Image, *image)));
    record["image"] = image.map_or(Value::Null, |image| state.show(Kind::Image, image));
    record["locked"] = json!(state.is_locked(Kind::Server, id));
    record["volumes"] = json!(state.which(Kind::Volume, |volume| volume["server"] == id));
    let balances = |balancer: &Value| {
        let mut of = balancer["targets"].as_array().into_iter().flatten();
        of.any(|target| target["server"]["id"] == id)
    };
    record["load_balancers"] = json!(state.which(Kind::LoadBalancer, balances));
    let group = record["placement_group"].as_u64();
    record["placement_group"] = group.map_or(Value::Null, |group| state.show(Kind::PlacementGroup, group));
    let ip = |version: &str| primary_ips::of_server(state, &record["id"], version).map(|ip| (ip["id"].as_u64(), ip));
    let shown = |version: &str| {
        let ip = ip(version).map(|(id, _)| state.show(Kind::PrimaryIp, id.unwrap_or_default()))?;
        let pointers = if version == "ipv4" { ip["dns_ptr"][0]["dns_ptr"].clone() } else { ip["dns_ptr"].clone() };
        Some(json!({"id": ip["id"], "ip": ip["ip"], "blocked": false, "dns_ptr": pointers}))
    };
    record["public_net"] = json!({
        "ipv4": shown("ipv4"), "ipv6": shown("ipv6"), "floating_ips": [],
        "firewalls": super::firewalls::of_server(state, id),
    });
}

/// The type that is meant, by number or by name.
pub(crate) fn type_of(state: &State, body: &Value) -> Result<Value, Problem> {
    let found = state.catalog.find("server_types", &id_or_name(body, "server_type")?);
    found.ok_or_else(|| Problem::invalid("server_type", "is unknown"))
}

fn place(state: &State, body: &Value, kind: &Value) -> Result<Value, Problem> {
    let unsupported = || Problem::new("invalid_input", "unsupported location for server type");
    let given = |field: &str| (!body[field].is_null()).then(|| id_or_name(body, field)).transpose();
    let location = match (given("location")?, given("datacenter")?) {
        (Some(_), Some(_)) => return Err(Problem::invalid("datacenter", "must not be used together with location")),
        (Some(name), None) => {
            state.catalog.find("locations", &name).ok_or_else(|| Problem::invalid("location", "is unknown"))?
        }
        (None, Some(name)) => {
            let found = state.catalog.find("datacenters", &name);
            found.ok_or_else(|| Problem::invalid("datacenter", "is unknown"))?["location"].clone()
        }
        (None, None) => {
            let all = state.catalog.of("locations");
            all.into_iter()
                .find(|place| !state.catalog.is_sold_out(kind, place) && is_offered(kind, place))
                .ok_or_else(unsupported)?
        }
    };
    if !is_offered(kind, &location) {
        return Err(unsupported());
    }
    if is_deprecated(kind, &location) {
        return Err(Problem::invalid("server_type", "is deprecated"));
    }
    Ok(location)
}

/// The image that is meant. The vendor's have one name for both architectures.
pub(crate) fn image_of(state: &State, wanted: &str, kind: &Value) -> Result<u64, Problem> {
    let named = |image: &Value| image["name"] == wanted || has_id(image, wanted);
    let all = state.which(Kind::Image, named);
    if all.is_empty() {
        return Err(Problem::invalid("image", "is unknown"));
    }
    let fits = all.into_iter().find(|id| state.records[&(Kind::Image, *id)]["architecture"] == kind["architecture"]);
    let id = fits.ok_or_else(|| Problem::invalid("image", "is not for the architecture of the server type"))?;
    let image = &state.records[&(Kind::Image, id)];
    if image["status"] != "available" {
        return Err(Problem::new("resource_unavailable", "image is not available"));
    }
    if image["disk_size"].as_f64() > kind["disk"].as_f64() {
        return Err(Problem::invalid("image", "is bigger than the disk of the server type"));
    }
    Ok(id)
}

pub(crate) fn check_user_data(body: &Value) -> Result<(), Problem> {
    let long = body["user_data"].as_str().is_some_and(|text| text.len() > MOST_USER_DATA);
    if long { Err(Problem::invalid("user_data", "is too long")) } else { Ok(()) }
}

pub(crate) fn keys(state: &State, body: &Value) -> Result<Vec<u64>, Problem> {
    let known = |key: &Value| {
        let wanted = key.as_str().map(String::from).or_else(|| key.as_u64().map(|id| id.to_string()));
        let found = wanted.and_then(|wanted| state.by_id_or_name(Kind::SshKey, &wanted));
        found.ok_or_else(|| Problem::invalid("ssh_keys", &format!("SSH key {key} not found")))
    };
    list(body, "ssh_keys").map(known).collect()
}

/// For each version: none, a new address, or this one.
fn public(state: &State, body: &Value, location: &Value) -> Result<[Option<Option<u64>>; 2], Problem> {
    let net = &body["public_net"];
    let chosen = |version: &str| {
        if net[format!("enable_{version}")] == false {
            let both = !net[version].is_null();
            let wrong = || Problem::invalid(&format!("public_net.{version}"), "is given although it is not enabled");
            return if both { Err(wrong()) } else { Ok(None) };
        }
        let Some(id) = net[version].as_u64() else { return Ok(Some(None)) };
        let ip = state.get(Kind::PrimaryIp, id)?;
        if ip["type"] != version {
            return Err(Problem::new("primary_ip_version_mismatch", "primary IP has the wrong version"));
        }
        if !ip["assignee_id"].is_null() {
            return Err(Problem::new("primary_ip_assigned", "primary IP is already assigned to a server"));
        }
        if ip["_location"] != location["name"] {
            return Err(Problem::new("primary_ip_datacenter_mismatch", "primary IP is in another location"));
        }
        Ok(Some(Some(id)))
    };
    Ok([chosen("ipv4")?, chosen("ipv6")?])
}

fn new_address(state: &mut State, version: &str, location: &Value) -> u64 {
    let id = primary_ips::new(state, version, &location["name"], &json!({"auto_delete": true}));
    state.change(Kind::PrimaryIp, id, |ip| ip["name"] = json!(format!("primary_ip-{id}")));
    id
}

/// Its interfaces in networks: the API chooses their addresses.
fn nets(state: &State, body: &Value, location: &Value) -> Result<Vec<Value>, Problem> {
    let mut nets: Vec<Value> = Vec::new();
    for network in list(body, "networks").filter_map(Value::as_u64) {
        networks::admits(state, &json!({"private_net": nets}), network)?;
        let ip = networks::address(state, network, &location["network_zone"], Wanted::default())?;
        nets.push(interface(network, &ip.to_string(), &[]));
    }
    Ok(nets)
}

pub(crate) fn interface(network: u64, ip: &str, aliases: &[String]) -> Value {
    let parts: Vec<u8> = ip.split('.').filter_map(|part| part.parse().ok()).collect();
    let mac: String = parts.iter().map(|part| format!(":{part:02x}")).collect();
    json!({"network": network, "ip": ip, "alias_ips": aliases, "mac_address": format!("86:00{mac}")})
}
