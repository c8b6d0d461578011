//! Primary IPs: public addresses that outlive servers, or not.

use serde_json::{Value, json};

use super::era::Era;
use super::problem::{Problem, id_or_name, labels, number, text};
use super::state::{Answer, Kind, State, created, gone, ok};

pub(crate) fn create(state: &mut State, body: &Value) -> Answer {
    state.fresh(Kind::PrimaryIp, body)?;
    let kind = text(body, "type")?;
    let server = body["assignee_id"].as_u64();
    let location = match server {
        Some(server) => {
            let server = state.get(Kind::Server, server)?;
            assignable(state, server, kind)?;
            server["_location"].clone()
        }
        None => {
            let found = state.catalog.find("locations", &id_or_name(body, "location")?);
            found.ok_or_else(|| Problem::invalid("location", "is unknown"))?["name"].clone()
        }
    };
    let id = new(state, kind, &location, body);
    let action = server.map(|server| assign(state, id, server));
    let mut answer = json!({"primary_ip": state.show(Kind::PrimaryIp, id)});
    if let Some(action) = action {
        answer["action"] = state.show_action(action);
    }
    created(answer)
}

/// Keeps a new one; the body says its name and the like.
pub(crate) fn new(state: &mut State, kind: &str, location: &Value, body: &Value) -> u64 {
    let ip = state.next_address(kind);
    state.put(
        Kind::PrimaryIp,
        json!({
            "id": null, "name": body["name"], "labels": labels(body),
            "created": null, "blocked": false, "_location": location, "ip": ip, "dns_ptr": [], "type": kind,
            "protection": {"delete": false}, "auto_delete": body["auto_delete"] == true, "assignee_id": null,
            "assignee_type": "server",
        }),
    )
}

pub(crate) fn update(state: &mut State, id: u64, body: &Value) -> Answer {
    state.update(Kind::PrimaryIp, id, body, &["auto_delete"])?;
    ok(json!({"primary_ip": state.show(Kind::PrimaryIp, id)}))
}

pub(crate) fn delete(state: &mut State, id: u64) -> Answer {
    state.unprotected(Kind::PrimaryIp, id, "delete")?;
    state.unlocked(Kind::PrimaryIp, id)?;
    if !state.get(Kind::PrimaryIp, id)?["assignee_id"].is_null() {
        return Err(Problem::new("must_be_unassigned", "primary IP is still assigned"));
    }
    state.records.remove(&(Kind::PrimaryIp, id));
    gone()
}

pub(crate) fn act(state: &mut State, id: u64, word: &str, body: &Value) -> Result<u64, Problem> {
    let record = state.get(Kind::PrimaryIp, id)?.clone();
    state.unlocked(Kind::PrimaryIp, id)?;
    match word {
        "assign" => {
            let to = number(body, "assignee_id")?;
            let server = state.get(Kind::Server, to)?;
            if !record["assignee_id"].is_null() {
                return Err(Problem::new("primary_ip_already_assigned", "primary IP is already assigned"));
            }
            if server["_location"] != record["_location"] {
                return Err(Problem::new("primary_ip_datacenter_mismatch", "primary IP is in another location"));
            }
            assignable(state, server, record["type"].as_str().unwrap_or_default())?;
            state.unlocked(Kind::Server, to)?;
            Ok(assign(state, id, to))
        }
        "unassign" => {
            let from = record["assignee_id"].as_u64();
            let from = from.ok_or_else(|| Problem::invalid("assignee_id", "primary IP is not assigned"))?;
            stopped(state.get(Kind::Server, from)?)?;
            state.unlocked(Kind::Server, from)?;
            let both = [(Kind::Server, from), (Kind::PrimaryIp, id)];
            Ok(state.begin("unassign_primary_ip", &both, move |state| {
                state.change(Kind::PrimaryIp, id, |record| record["assignee_id"] = Value::Null);
            }))
        }
        "change_dns_ptr" => change_dns_ptr(state, id, (Kind::PrimaryIp, id), body),
        "change_protection" => {
            if body["delete"] == true && record["auto_delete"] == true {
                return Err(Problem::invalid("delete", "cannot be protected while auto_delete is set"));
            }
            state.protect(Kind::PrimaryIp, id, body)
        }
        _ => Err(Problem::new("not_found", "there is no such action")),
    }
}

/// Also of servers, whose addresses these are.
pub(crate) fn change_dns_ptr(state: &mut State, id: u64, of: (Kind, u64), body: &Value) -> Result<u64, Problem> {
    let entry = json!({"ip": text(body, "ip")?, "dns_ptr": body["dns_ptr"]});
    Ok(state.begin("change_dns_ptr", &[of], move |state| {
        state.change(Kind::PrimaryIp, id, |record| {
            let pointers = record["dns_ptr"].as_array_mut().unwrap();
            pointers.retain(|own| own["ip"] != entry["ip"]);
            if !entry["dns_ptr"].is_null() {
                pointers.push(entry);
            }
        });
    }))
}

fn assign(state: &mut State, id: u64, server: u64) -> u64 {
    state.begin("assign_primary_ip", &[(Kind::Server, server), (Kind::PrimaryIp, id)], move |state| {
        state.change(Kind::PrimaryIp, id, |record| record["assignee_id"] = json!(server));
    })
}

fn stopped(server: &Value) -> Result<(), Problem> {
    if server["status"] == "off" {
        Ok(())
    } else {
        Err(Problem::new("server_not_stopped", "server must be powered off"))
    }
}

fn assignable(state: &State, server: &Value, kind: &str) -> Result<(), Problem> {
    stopped(server)?;
    if of_server(state, &server["id"], kind).is_some() {
        return Err(Problem::new(&format!("server_has_{kind}"), format!("server already has an {kind} address")));
    }
    Ok(())
}

/// The address of that version which a server has.
pub(crate) fn of_server<'a>(state: &'a State, server: &Value, kind: &str) -> Option<&'a Value> {
    let mut all = state.of(Kind::PrimaryIp).map(|(_, record)| record);
    all.find(|record| record["assignee_id"] == *server && record["type"] == kind)
}

pub(crate) fn show(state: &State, record: &mut Value) {
    let location = state.catalog.known("locations", &record["_location"]);
    if state.era == Era::Described {
        record["datacenter"] = state.catalog.datacenter_of(&location);
    } else if record["assignee_id"].is_null() {
        record["assignee_type"] = json!("unassigned");
    }
    record["location"] = location;
    if record["dns_ptr"].as_array().is_some_and(Vec::is_empty) {
        let ip = record["ip"].as_str().unwrap_or_default();
        if record["type"] == "ipv4" {
            let turned: Vec<&str> = ip.rsplit('.').collect();
            record["dns_ptr"] =
                json!([{"ip": ip, "dns_ptr": format!("static.{}.clients.your-server.de", turned.join("."))}]);
        }
    }
}
