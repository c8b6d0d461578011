//! Images: the vendor's, and snapshots and backups of servers.

use serde_json::{Value, json};

use super::problem::{Problem, labels};
use super::state::{Answer, Kind, State, check_labels, created, gone, ok};

/// `create_image` of a server.
pub(crate) fn of_server(state: &mut State, server: &Value, body: &Value) -> Answer {
    check_labels(body)?;
    state.room_for(Kind::Image)?;
    let kind = body["type"].as_str().unwrap_or("snapshot");
    match kind {
        "snapshot" => {}
        "backup" if server["backup_window"].is_null() => {
            return Err(Problem::new("service_error", "backups are not enabled for the server"));
        }
        "backup" => {}
        _ => return Err(Problem::invalid("type", "must be snapshot or backup")),
    }
    let of = server["_image"].as_u64().and_then(|image| state.records.get(&(Kind::Image, image))).cloned();
    let of = of.unwrap_or_else(|| json!({"os_flavor": "unknown", "os_version": null, "architecture": "x86"}));
    let description =
        body["description"].as_str().map_or_else(|| format!("snapshot of {}", server["id"]), String::from);
    let id = state.put(
        Kind::Image,
        json!({
            "id": null, "type": kind, "status": "creating", "name": null, "description": description,
            "image_size": null, "disk_size": server["primary_disk_size"], "created": null,
            "created_from": {"id": server["id"], "name": server["name"]},
            "bound_to": if kind == "backup" { server["id"].clone() } else { Value::Null },
            "os_flavor": of["os_flavor"], "os_version": of["os_version"], "rapid_deploy": false,
            "protection": {"delete": false}, "deprecated": null, "deleted": null,
            "labels": labels(body), "architecture": of["architecture"],
        }),
    );
    let server = server["id"].as_u64().unwrap_or_default();
    let action = state.begin("create_image", &[(Kind::Server, server), (Kind::Image, id)], move |state| {
        state.change(Kind::Image, id, |image| {
            image["status"] = json!("available");
            image["image_size"] = json!(2.3);
        });
    });
    created(json!({"image": state.show(Kind::Image, id), "action": state.show_action(action)}))
}

fn own(state: &State, id: u64) -> Result<(), Problem> {
    let image = state.get(Kind::Image, id)?;
    let ours = image["type"] == "snapshot" || image["type"] == "backup";
    if ours { Ok(()) } else { Err(Problem::new("forbidden", "only snapshots and backups can be changed")) }
}

pub(crate) fn update(state: &mut State, id: u64, body: &Value) -> Answer {
    own(state, id)?;
    if body["type"] == "snapshot" {
        state.change(Kind::Image, id, |image| image["bound_to"] = Value::Null);
    }
    state.update(Kind::Image, id, body, &["description", "type"])?;
    ok(json!({"image": state.show(Kind::Image, id)}))
}

pub(crate) fn delete(state: &mut State, id: u64) -> Answer {
    own(state, id)?;
    state.unprotected(Kind::Image, id, "delete")?;
    state.unlocked(Kind::Image, id)?;
    state.records.remove(&(Kind::Image, id));
    gone()
}

pub(crate) fn act(state: &mut State, id: u64, word: &str, body: &Value) -> Result<u64, Problem> {
    own(state, id)?;
    match word {
        "change_protection" => state.protect(Kind::Image, id, body),
        _ => Err(Problem::new("not_found", "there is no such action")),
    }
}
