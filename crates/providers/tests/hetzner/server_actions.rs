//! What can be done with a server.

use serde_json::{Value, json};

use super::catalog::{is_deprecated, is_offered};
use super::networks::{self, Wanted};
use super::problem::{Problem, id_or_name, list, number};
use super::state::{Answer, Kind, State, created};
use super::{images, placement_groups, primary_ips, servers};

pub(crate) fn act(state: &mut State, id: u64, word: &str, body: &Value) -> Answer {
    let server = state.get(Kind::Server, id)?.clone();
    state.unlocked(Kind::Server, id)?;
    let mut more = json!({});
    let action = match word {
        "poweron" if !is_connected(state, &server) => {
            // "A Server requires at least one network interface (public or private) to be powered on"; with which code
            // it is refused is not documented.
            return Err(Problem::new("service_error", "server has no network interface"));
        }
        "poweron" | "poweroff" | "reset" | "reboot" | "shutdown" => power(state, id, word),
        "attach_to_network" | "detach_from_network" | "change_alias_ips" => network(state, &server, word, body)?,
        "add_to_placement_group" | "remove_from_placement_group" => placement(state, &server, word, body)?,
        "change_type" => change_type(state, &server, body)?,
        "rebuild" => {
            more = json!({"root_password": null});
            rebuild(state, &server, body)?
        }
        "create_image" => return images::of_server(state, &server, body),
        "change_protection" => {
            if body["delete"] != body["rebuild"] {
                return Err(Problem::invalid("rebuild", "must be the same as delete"));
            }
            state.protect(Kind::Server, id, body)?
        }
        "change_dns_ptr" => {
            let ip = state.of(Kind::PrimaryIp).find(|(_, ip)| ip["assignee_id"] == id && holds(ip, &body["ip"]));
            let ip = ip.map(|(ip, _)| ip).ok_or_else(|| Problem::invalid("ip", "is no address of the server"))?;
            primary_ips::change_dns_ptr(state, ip, (Kind::Server, id), body)?
        }
        _ => {
            let (action, extra) = rest(state, &server, word, body)?;
            more = extra;
            action
        }
    };
    more["action"] = state.show_action(action);
    created(more)
}

fn is_connected(state: &State, server: &Value) -> bool {
    let public = |version: &str| primary_ips::of_server(state, &server["id"], version).is_some();
    public("ipv4") || public("ipv6") || list(server, "private_net").next().is_some()
}

/// Whether an address is this one, or in this network of version 6.
fn holds(own: &Value, ip: &Value) -> bool {
    let (own, ip) = (own["ip"].as_str().unwrap_or_default(), ip.as_str().unwrap_or_default());
    own == ip || own.strip_suffix("::/64").is_some_and(|net| ip.starts_with(net))
}

fn power(state: &mut State, id: u64, word: &str) -> u64 {
    let this = &[(Kind::Server, id)];
    let set = move |status: &'static str| {
        move |state: &mut State| state.change(Kind::Server, id, |server| server["status"] = json!(status))
    };
    match word {
        "poweron" => state.begin("start_server", this, set("running")),
        "poweroff" => state.begin("stop_server", this, set("off")),
        "reset" => state.begin("reset_server", this, set("running")),
        "reboot" => state.begin("reboot_server", this, |_| {}),
        // The button was pressed; the system goes down in its own time, or does not.
        _ => state.begin("shutdown_server", this, move |state| {
            if !state.deaf.contains(&id) {
                state.change(Kind::Server, id, |server| {
                    if server["status"] == "running" {
                        server["_going_down"] = json!(1);
                    }
                });
            }
        }),
    }
}

fn network(state: &mut State, server: &Value, word: &str, body: &Value) -> Result<u64, Problem> {
    let (id, network) = (server["id"].as_u64().unwrap_or_default(), number(body, "network")?);
    state.get(Kind::Network, network)?;
    let both = [(Kind::Server, id), (Kind::Network, network)];
    if word == "attach_to_network" {
        networks::admits(state, server, network)?;
        let place = state.catalog.known("locations", &server["_location"]);
        let ip = networks::address(state, network, &place["network_zone"], Wanted::of(body))?;
        let aliases = networks::aliases(state, network, &[], body)?;
        let reserved = aliases.iter().chain([&ip]).map(|ip| (network, *ip)).collect();
        let aliases: Vec<String> = aliases.iter().map(ToString::to_string).collect();
        let next = state.next_action();
        state.reserved.insert(next, reserved);
        return Ok(state.begin("attach_to_network", &both, move |state| {
            let net = servers::interface(network, &ip.to_string(), &aliases);
            if state.get(Kind::Network, network).is_err() {
                return;
            }
            state.change(Kind::Server, id, |server| server["private_net"].as_array_mut().unwrap().push(net));
        }));
    }
    let own = list(server, "private_net").find(|own| own["network"] == network);
    let own = own.ok_or_else(|| Problem::invalid("network", "the server is not attached to it"))?;
    if word == "detach_from_network" {
        return Ok(state.begin("detach_from_network", &both, move |state| {
            state.change(Kind::Server, id, |server| networks::detach(server, network));
        }));
    }
    let old: Vec<Value> = list(own, "alias_ips").cloned().collect();
    let aliases = networks::aliases(state, network, &old, body)?;
    Ok(state.begin("change_alias_ips", &both, move |state| {
        state.change(Kind::Server, id, |server| {
            let mut all = server["private_net"].as_array_mut().unwrap().iter_mut();
            if let Some(own) = all.find(|own| own["network"] == network) {
                own["alias_ips"] = json!(aliases);
            }
        });
    }))
}

fn placement(state: &mut State, server: &Value, word: &str, body: &Value) -> Result<u64, Problem> {
    let id = server["id"].as_u64().unwrap_or_default();
    let this = &[(Kind::Server, id)];
    let set = move |group: Value| {
        move |state: &mut State| state.change(Kind::Server, id, |server| server["placement_group"] = group)
    };
    if word == "remove_from_placement_group" {
        if server["placement_group"].is_null() {
            return Err(Problem::invalid("placement_group", "the server is in none"));
        }
        return Ok(state.begin("remove_from_placement_group", this, set(Value::Null)));
    }
    let group = number(body, "placement_group")?;
    placement_groups::has_room(state, group)?;
    stopped(server)?;
    if !server["placement_group"].is_null() {
        return Err(Problem::invalid("placement_group", "the server is in one already"));
    }
    Ok(state.begin("add_to_placement_group", this, set(json!(group))))
}

fn stopped(server: &Value) -> Result<(), Problem> {
    if server["status"] == "off" { Ok(()) } else { Err(Problem::new("server_not_stopped", "server must be stopped")) }
}

fn change_type(state: &mut State, server: &Value, body: &Value) -> Result<u64, Problem> {
    let id = server["id"].as_u64().unwrap_or_default();
    let (old, new) = (state.catalog.known("server_types", &server["_type"]), servers::type_of(state, body)?);
    let place = state.catalog.known("locations", &server["_location"]);
    let invalid = |message: &str| Problem::new("invalid_server_type", message);
    if new["name"] == old["name"] {
        return Err(invalid("server is of this type already"));
    }
    if new["architecture"] != old["architecture"] {
        return Err(invalid("server type has another architecture"));
    }
    if !is_offered(&new, &place) || is_deprecated(&new, &place) {
        return Err(invalid("server type is not offered at the location, or is deprecated"));
    }
    if new["disk"].as_u64() < server["primary_disk_size"].as_u64() {
        return Err(invalid("the disk of the server type is too small"));
    }
    stopped(server)?;
    if state.catalog.is_sold_out(&new, &place) {
        return Err(Problem::new("resource_unavailable", "error during placement"));
    }
    let bigger = body["upgrade_disk"] == true;
    state.change(Kind::Server, id, |server| server["status"] = json!("migrating"));
    Ok(state.begin("change_server_type", &[(Kind::Server, id)], move |state| {
        state.change(Kind::Server, id, |server| {
            server["_type"] = new["name"].clone();
            if bigger {
                server["primary_disk_size"] = new["disk"].clone();
            }
            // It "copies the content of its disk, and starts it again".
            server["status"] = json!("running");
        });
    }))
}

fn rebuild(state: &mut State, server: &Value, body: &Value) -> Result<u64, Problem> {
    let id = server["id"].as_u64().unwrap_or_default();
    state.unprotected(Kind::Server, id, "rebuild")?;
    servers::check_user_data(body)?;
    let kind = state.catalog.known("server_types", &server["_type"]);
    let image = servers::image_of(state, &id_or_name(body, "image")?, &kind)?;
    let seed = body.get("user_data").cloned();
    state.change(Kind::Server, id, |server| server["status"] = json!("rebuilding"));
    Ok(state.begin("rebuild_server", &[(Kind::Server, id)], move |state| {
        state.change(Kind::Server, id, |server| {
            server["_image"] = json!(image);
            server["status"] = json!("running");
            server["_rebuilt"] = json!(server["_rebuilt"].as_u64().unwrap_or_default() + 1);
            if let Some(seed) = seed {
                server["_user_data"] = seed;
            }
        });
    }))
}

/// What only sets something.
fn rest(state: &mut State, server: &Value, word: &str, body: &Value) -> Result<(u64, Value), Problem> {
    let id = server["id"].as_u64().unwrap_or_default();
    let password = json!({"root_password": "a-password-of-the-fake"});
    let (command, field, value, more) = match word {
        "enable_rescue" => {
            servers::keys(state, body)?;
            ("enable_rescue", "rescue_enabled", json!(true), password)
        }
        "disable_rescue" => ("disable_rescue", "rescue_enabled", json!(false), json!({})),
        "enable_backup" => ("enable_backup", "backup_window", json!("22-02"), json!({})),
        "disable_backup" => ("disable_backup", "backup_window", Value::Null, json!({})),
        "attach_iso" => {
            let found = state.catalog.find("isos", &id_or_name(body, "iso")?);
            ("attach_iso", "iso", found.ok_or_else(|| Problem::invalid("iso", "is unknown"))?, json!({}))
        }
        "detach_iso" => ("detach_iso", "iso", Value::Null, json!({})),
        "reset_password" => ("reset_password", "_password", json!(true), password),
        "request_console" => {
            let console = json!({"wss_url": "wss://console.invalid/?token=1", "password": "a-password-of-the-fake"});
            ("request_console", "_console", json!(true), console)
        }
        _ => return Err(Problem::new("not_found", "there is no such action")),
    };
    let action = state.begin(command, &[(Kind::Server, id)], move |state| {
        state.change(Kind::Server, id, |server| server[field] = value);
    });
    Ok((action, more))
}
