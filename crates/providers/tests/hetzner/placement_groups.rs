//! Placement groups: servers that are not to fail together.

use serde_json::{Value, json};

use super::problem::{Problem, labels};
use super::state::{Answer, Kind, State, created, gone, ok};

/// <https://docs.hetzner.com/cloud/placement-groups/overview>: at most ten servers in a group of type `spread`.
const MOST: usize = 10;

pub(crate) fn create(state: &mut State, body: &Value) -> Answer {
    state.fresh(Kind::PlacementGroup, body)?;
    let id = state.put(
        Kind::PlacementGroup,
        json!({
            "id": null, "name": body["name"], "labels": labels(body),
            "created": null, "type": body["type"],
        }),
    );
    created(json!({"placement_group": state.show(Kind::PlacementGroup, id), "action": null}))
}

pub(crate) fn update(state: &mut State, id: u64, body: &Value) -> Answer {
    state.update(Kind::PlacementGroup, id, body, &[])?;
    ok(json!({"placement_group": state.show(Kind::PlacementGroup, id)}))
}

/// Its servers stay, without it.
pub(crate) fn delete(state: &mut State, id: u64) -> Answer {
    state.get(Kind::PlacementGroup, id)?;
    state.unlocked(Kind::PlacementGroup, id)?;
    state.records.remove(&(Kind::PlacementGroup, id));
    for server in state.which(Kind::Server, |server| server["placement_group"] == id) {
        state.change(Kind::Server, server, |server| server["placement_group"] = Value::Null);
    }
    gone()
}

/// Refuses when there is no place left in it.
pub(crate) fn has_room(state: &State, id: u64) -> Result<(), Problem> {
    state.get(Kind::PlacementGroup, id)?;
    let members = state.which(Kind::Server, |server| server["placement_group"] == id).len();
    if members >= MOST {
        // The code and the words are those of terraform-provider-hcloud#1170.
        let message = format!("placement group with ID {id} contains already {MOST} servers");
        return Err(Problem::new("placement_group_member_limit_reached", message));
    }
    Ok(())
}

pub(crate) fn show(state: &State, record: &mut Value) {
    let id = record["id"].clone();
    record["servers"] = json!(state.which(Kind::Server, |server| server["placement_group"] == id));
}
