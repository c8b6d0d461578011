//! Volumes.

use serde_json::{Value, json};

use super::problem::{Problem, id_or_name, labels, number};
use super::state::{Answer, Kind, State, created, gone, ok};

pub(crate) fn create(state: &mut State, body: &Value) -> Answer {
    state.fresh(Kind::Volume, body)?;
    let size = number(body, "size")?;
    if !(10..=10_240).contains(&size) {
        return Err(Problem::invalid("size", "must be between 10 and 10240"));
    }
    if !matches!(body["format"].as_str(), None | Some("ext4" | "xfs")) {
        return Err(Problem::invalid("format", "must be ext4 or xfs"));
    }
    let server = body["server"].as_u64();
    let location = match server {
        Some(server) => state.get(Kind::Server, server)?["_location"].clone(),
        None if body["automount"] == true => return Err(Problem::invalid("automount", "needs a server")),
        None => {
            let found = state.catalog.find("locations", &id_or_name(body, "location")?);
            found.ok_or_else(|| Problem::invalid("location", "is unknown"))?["name"].clone()
        }
    };
    let id = state.put(
        Kind::Volume,
        json!({
            "id": null, "name": body["name"], "labels": labels(body),
            "created": null, "size": size, "format": body["format"], "server": null, "_location": location,
            "status": "creating", "protection": {"delete": false},
        }),
    );
    let action = state.begin("create_volume", &[(Kind::Volume, id)], move |state| {
        state.change(Kind::Volume, id, |volume| volume["status"] = json!("available"));
    });
    let next: Vec<u64> = server.map(|server| attach(state, Some(action), id, server)).into_iter().collect();
    let next: Vec<Value> = next.into_iter().map(|action| state.show_action(action)).collect();
    let volume = state.show(Kind::Volume, id);
    created(json!({"volume": volume, "action": state.show_action(action), "next_actions": next}))
}

pub(crate) fn update(state: &mut State, id: u64, body: &Value) -> Answer {
    state.update(Kind::Volume, id, body, &[])?;
    ok(json!({"volume": state.show(Kind::Volume, id)}))
}

pub(crate) fn delete(state: &mut State, id: u64) -> Answer {
    state.unprotected(Kind::Volume, id, "delete")?;
    state.unlocked(Kind::Volume, id)?;
    if !state.get(Kind::Volume, id)?["server"].is_null() {
        return Err(Problem::new("locked", "volume is attached to a server"));
    }
    state.records.remove(&(Kind::Volume, id));
    gone()
}

pub(crate) fn act(state: &mut State, id: u64, word: &str, body: &Value) -> Result<u64, Problem> {
    let volume = state.get(Kind::Volume, id)?.clone();
    state.unlocked(Kind::Volume, id)?;
    match word {
        "attach" => {
            let server = number(body, "server")?;
            let location = state.get(Kind::Server, server)?["_location"].clone();
            attachable(state, id, &location)?;
            state.unlocked(Kind::Server, server)?;
            Ok(attach(state, None, id, server))
        }
        "detach" => {
            let server = volume["server"].as_u64();
            let server = server.ok_or_else(|| Problem::invalid("server", "the volume is not attached"))?;
            Ok(state.begin("detach_volume", &[(Kind::Server, server), (Kind::Volume, id)], move |state| {
                state.change(Kind::Volume, id, |volume| volume["server"] = Value::Null);
            }))
        }
        "resize" => {
            let size = number(body, "size")?;
            if Some(size) <= volume["size"].as_u64() || size > 10_240 {
                return Err(Problem::invalid("size", "must be bigger than it is, and at most 10240"));
            }
            Ok(state.begin("resize_volume", &[(Kind::Volume, id)], move |state| {
                state.change(Kind::Volume, id, |volume| volume["size"] = json!(size));
            }))
        }
        "change_protection" => state.protect(Kind::Volume, id, body),
        _ => Err(Problem::new("not_found", "there is no such action")),
    }
}

/// Refuses a volume that is another server's, or elsewhere.
pub(crate) fn attachable(state: &State, id: u64, location: &Value) -> Result<(), Problem> {
    let volume = state.get(Kind::Volume, id)?;
    if !volume["server"].is_null() {
        return Err(Problem::new("volume_already_attached", "volume is already attached to a server"));
    }
    if volume["_location"] != *location {
        return Err(Problem::invalid("server", "volume and server are in different locations"));
    }
    Ok(())
}

pub(crate) fn attach(state: &mut State, after: Option<u64>, id: u64, server: u64) -> u64 {
    state.begin_after(after, "attach_volume", &[(Kind::Server, server), (Kind::Volume, id)], move |state| {
        state.change(Kind::Volume, id, |volume| volume["server"] = json!(server));
    })
}

pub(crate) fn show(state: &State, record: &mut Value) {
    record["location"] = state.catalog.known("locations", &record["_location"]);
    record["linux_device"] = json!(format!("/dev/disk/by-id/scsi-0HC_Volume_{}", record["id"]));
}
