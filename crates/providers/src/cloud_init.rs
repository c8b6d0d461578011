//! What cloud-init is told by us, whoever brings it there: an image of ours, or a cloud's API. JSON is YAML, so nothing here
//! writes YAML. <https://docs.cloud-init.io/en/latest/reference/modules.html>

use kubewright_model::ids::NodeName;
use serde_json::{Value, json};

use crate::login::User;

/// Who logs in, and which key the host shows. A key that is given is the only one: cloud-init makes no others then.
pub(crate) fn user_data(name: &NodeName, user: Option<User<'_>>) -> Value {
    let mut told = json!({ "hostname": name, "ssh_pwauth": false, "ssh_deletekeys": true, "users": [] });
    let Some(user) = user else { return told };
    let mut entry = json!({ "name": user.name, "ssh_authorized_keys": user.keys });
    if user.name == "root" {
        told["disable_root"] = json!(false);
    } else {
        entry["sudo"] = json!("ALL=(ALL) NOPASSWD:ALL");
        entry["shell"] = json!("/bin/bash");
    }
    if let Some(hash) = user.password_hash {
        // Unlike `passwd`, it is set also for a user that the template has already.
        entry["hashed_passwd"] = json!(hash.expose());
        entry["lock_passwd"] = json!(false);
    }
    told["users"] = json!([entry]);
    if let Some(key) = user.host_key {
        told["ssh_keys"] = json!({ "ed25519_private": key.private.expose(), "ed25519_public": key.public });
    }
    told
}
