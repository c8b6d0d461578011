//! The kubeconfig that a cluster gives, as its users want it: named after the cluster, alone or among others.
//!
//! What others have in a file stays as it is, unknown fields too; only the order of lines and comments are not kept, as
//! with `kubectl config`.

use kubewright_model::ids::ClusterName;
use kubewright_model::net::HostPort;
use kubewright_model::secret::Secret;
use serde_json::{Map, Value, json};

use crate::foreign::no_yaml;

/// The lists of a kubeconfig, and what each of their entries holds.
const LISTS: [(&str, &str); 3] = [("clusters", "cluster"), ("users", "user"), ("contexts", "context")];

/// Why a kubeconfig goes neither among others nor in their place.
#[derive(Debug, thiserror::Error)]
pub enum Unmerged {
    /// What is wrong with the text that they stand in.
    #[error("{0}")]
    Malformed(String),
    /// Somebody else's cluster or user has this name; what opens it is nowhere else.
    #[error("its cluster or user `{0}` is not this cluster's: the certificate authority is another")]
    Taken(String),
    /// It holds more than this cluster.
    #[error("it has the {0} as well")]
    Others(String),
}

impl From<String> for Unmerged {
    fn from(why: String) -> Self {
        Self::Malformed(why)
    }
}

/// A kubeconfig whose cluster, user and context are named after the cluster, at the cluster's endpoint: what a cluster gave
/// tells where it was when it was given. Where no certificate has the endpoint's address, the servers' `name` is what they
/// have to show.
///
/// # Errors
///
/// What is wrong with what the cluster gave.
pub fn named(
    given: &Secret,
    cluster: &ClusterName,
    endpoint: &HostPort,
    server_name: Option<&str>,
) -> Result<Secret, String> {
    let given = read(given.expose())?;
    let context = given.get("current-context").and_then(Value::as_str).unwrap_or_default();
    let context = entry(&given, "contexts", "context", context).ok_or("it has no current context")?;
    let part = |list, kind| {
        let name = context.get(kind).and_then(Value::as_str).unwrap_or_default();
        entry(&given, list, kind, name).cloned().ok_or_else(|| format!("it has no {kind} for its current context"))
    };
    let name = cluster.as_str();
    let mut place = part("clusters", "cluster")?;
    let mapping = place.as_object_mut().ok_or("its cluster is no mapping")?;
    mapping.insert("server".into(), format!("https://{endpoint}").into());
    if let Some(name) = server_name {
        mapping.insert("tls-server-name".into(), name.into());
    }
    let whole = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": name, "cluster": place }],
        "users": [{ "name": name, "user": part("users", "user")? }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
        "current-context": name,
    });
    write(&whole)
}

/// The same kubeconfig for somebody else, whose name stands before the cluster's: so both may be among others.
///
/// # Errors
///
/// What is wrong with the text.
pub fn of_user(whole: &Secret, name: &str, user: Value) -> Result<Secret, String> {
    let mut whole = read(whole.expose())?;
    let cluster = whole.get("current-context").and_then(Value::as_str).unwrap_or_default().to_string();
    let name = format!("{name}@{cluster}");
    let place = entry(&whole, "clusters", "cluster", &cluster).cloned().ok_or("it has no cluster")?;
    whole.insert("clusters".into(), json!([{ "name": name, "cluster": place }]));
    whole.insert("users".into(), json!([{ "name": name, "user": user }]));
    whole.insert("contexts".into(), json!([{ "name": name, "context": { "cluster": name, "user": name } }]));
    whole.insert("current-context".into(), name.into());
    write(&Value::Object(whole))
}

/// Puts a kubeconfig among those that stand in a text already: entries of the same names are replaced, and all others
/// stay. The current context changes where there was none, or where that is wished.
///
/// # Errors
///
/// What is wrong with the text, or whose names are the same.
pub fn merged(there: &str, ours: &Secret, switch: bool) -> Result<Secret, Unmerged> {
    let ours = read(ours.expose())?;
    let mut whole = if there.trim().is_empty() { Map::new() } else { read(there)? };
    for (key, value) in [("apiVersion", "v1"), ("kind", "Config")] {
        match whole.get(key).and_then(Value::as_str) {
            None => drop(whole.insert(key.into(), value.into())),
            Some(there) if there == value => {}
            Some(other) => Err(format!("its {key} is {other}, and {value} is what a kubeconfig has"))?,
        }
    }
    if let Some(name) = taken(&whole, &ours) {
        return Err(Unmerged::Taken(name));
    }
    for (list, _) in LISTS {
        let new = ours.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
        // A file that is as good as empty has `clusters: null`, as kubectl writes it.
        let there = whole.entry(list).or_insert(Value::Null);
        if there.is_null() {
            *there = Value::Array(Vec::new());
        }
        let there = there.as_array_mut().ok_or_else(|| format!("its `{list}` is no list"))?;
        for entry in new {
            match there.iter_mut().find(|other| other.get("name") == entry.get("name")) {
                Some(same) => *same = entry,
                None => there.push(entry),
            }
        }
    }
    let current = whole.get("current-context").and_then(Value::as_str).unwrap_or_default();
    if switch || current.is_empty() {
        whole.insert("current-context".into(), ours.get("current-context").cloned().unwrap_or_default());
    }
    Ok(write(&Value::Object(whole))?)
}

/// Whether a text holds nothing but what an earlier kubeconfig of this cluster holds: then ours may take its place.
///
/// # Errors
///
/// Why it must not.
pub fn replaceable(there: &str, ours: &Secret) -> Result<(), Unmerged> {
    if there.trim().is_empty() {
        return Ok(());
    }
    let (there, ours) = (read(there)?, read(ours.expose())?);
    if !LISTS.iter().any(|(list, _)| there.contains_key(*list)) {
        return Err("it has neither clusters nor users nor contexts".to_string().into());
    }
    let name = ours.get("current-context").and_then(Value::as_str).unwrap_or_default();
    for (list, kind) in LISTS {
        let entries = there.get(list).and_then(Value::as_array).into_iter().flatten();
        let mut names = entries.map(|entry| entry.get("name").and_then(Value::as_str).unwrap_or_default());
        if let Some(other) = names.find(|other| *other != name) {
            return Err(Unmerged::Others(format!("{kind} `{other}`")));
        }
    }
    taken(&there, &ours).map_or(Ok(()), |name| Err(Unmerged::Taken(name)))
}

/// The name of ours that somebody else has: a cluster of another authority, or a user that no cluster of ours goes with.
fn taken(there: &Map<String, Value>, ours: &Map<String, Value>) -> Option<String> {
    let name = ours.get("current-context")?.as_str()?;
    let authority = |whole| Some(entry(whole, "clusters", "cluster", name)?.get("certificate-authority-data").cloned());
    let is_taken = match (authority(there), entry(there, "users", "user", name)) {
        (Some(theirs), _) => authority(ours) != Some(theirs),
        (None, user) => user.is_some(),
    };
    is_taken.then(|| name.to_string())
}

fn read(text: &str) -> Result<Map<String, Value>, String> {
    match serde_saphyr::from_str::<Value>(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("it is no mapping".into()),
        Err(error) => Err(no_yaml(&error)),
    }
}

fn write(whole: &Value) -> Result<Secret, String> {
    serde_saphyr::to_string(whole).map(Secret::new).map_err(|error| error.to_string())
}

/// What an entry of a list holds.
fn entry<'v>(whole: &'v Map<String, Value>, list: &str, kind: &str, name: &str) -> Option<&'v Value> {
    let entries = whole.get(list)?.as_array()?;
    entries.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))?.get(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "apiVersion: v1\nkind: Config\nclusters:\n- name: default\n  cluster:\n    server: https://10.0.0.10:6443\n    \
        certificate-authority-data: QUJD\ncontexts:\n- name: default\n  context: {cluster: default, user: default}\n\
        current-context: default\npreferences: {}\nusers:\n- name: default\n  user:\n    client-key-data: S0VZ\n";

    fn ours() -> Secret {
        named(&Secret::new(GIVEN.into()), &"lab".into(), &HostPort::new("10.0.0.9", 6443), None).unwrap()
    }

    fn value(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn everything_is_named_after_the_cluster() {
        let whole = value(ours().expose());
        assert_eq!(whole["clusters"][0]["name"], "lab");
        assert_eq!(whole["clusters"][0]["cluster"]["server"], "https://10.0.0.9:6443", "the endpoint");
        assert_eq!(whole["clusters"][0]["cluster"]["certificate-authority-data"], "QUJD");
        assert_eq!(whole["users"][0], json!({ "name": "lab", "user": { "client-key-data": "S0VZ" } }));
        assert_eq!(whole["contexts"][0]["context"], json!({ "cluster": "lab", "user": "lab" }));
        assert_eq!(whole["current-context"], "lab");
    }

    #[test]
    fn what_others_have_stays_and_ours_is_replaced() {
        let there = "apiVersion: v1\nkind: Config\nx-mine: {kept: [1, 2]}\ncurrent-context: work\n\
            clusters:\n- name: lab\n  cluster: {server: https://old:6443, certificate-authority-data: QUJD}\n- name: work\n  cluster: {server: https://w:6443, x-odd: true}\n\
            users:\n- name: work\n  user: {exec: {command: aws, args: [a, b]}}\n\
            contexts:\n- name: work\n  context: {cluster: work, user: work, namespace: mine}\n";
        let (before, after) = (value(there), value(merged(there, &ours(), false).unwrap().expose()));
        assert_eq!(after["x-mine"], before["x-mine"]);
        assert_eq!(after["current-context"], "work", "nobody asked for another");
        assert_eq!(after["clusters"][1], before["clusters"][1]);
        assert_eq!(after["clusters"][0]["cluster"]["server"], "https://10.0.0.9:6443");
        assert_eq!(after["clusters"].as_array().unwrap().len(), 2);
        assert_eq!((&after["users"][0], &after["contexts"][0]), (&before["users"][0], &before["contexts"][0]));
        let twice = merged(merged(there, &ours(), false).unwrap().expose(), &ours(), false).unwrap();
        assert_eq!(value(twice.expose()), after, "the second time nothing changes");
        assert_eq!(value(merged(there, &ours(), true).unwrap().expose())["current-context"], "lab");
    }

    #[test]
    fn what_another_cluster_of_this_name_has_is_not_overwritten() {
        for there in [
            "clusters:\n- name: lab\n  cluster: {server: https://old:6443, certificate-authority-data: WFla}\n",
            "clusters:\n- name: lab\n  cluster: {server: https://eks.aws}\n",
            "users:\n- name: lab\n  user: {token: S3CRET}\n",
        ] {
            let refused = merged(there, &ours(), false).unwrap_err();
            assert!(matches!(&refused, Unmerged::Taken(name) if name == "lab"), "{refused}");
        }
    }

    #[test]
    fn a_file_that_is_as_good_as_empty_takes_it() {
        for there in [
            "",
            "\n",
            "apiVersion: v1\nclusters: null\ncontexts: null\nkind: Config\nusers: null\ncurrent-context: \"\"\n",
        ] {
            let after = value(merged(there, &ours(), false).unwrap().expose());
            assert_eq!((&after["current-context"], after["users"].as_array().unwrap().len()), (&json!("lab"), 1));
        }
    }

    #[test]
    fn what_is_no_kubeconfig_is_refused_without_being_quoted() {
        for (there, why) in [
            ("clusters: [\nusers: S3CRET\n  - x", "not YAML"),
            ("- a\n- b\n", "no mapping"),
            ("clusters: {a: b}\n", "its `clusters` is no list"),
            ("kind: Pod\n", "its kind is Pod"),
        ] {
            let refused = merged(there, &ours(), false).unwrap_err().to_string();
            assert!(refused.contains(why) && !refused.contains("S3CRET"), "{refused}");
        }
        assert!(
            named(&Secret::new("clusters: []\n".into()), &"lab".into(), &HostPort::new("10.0.0.9", 6443), None)
                .is_err()
        );
        let outside =
            named(&Secret::new(GIVEN.into()), &"lab".into(), &HostPort::new("198.18.0.1", 6443), Some("kubernetes"));
        assert!(outside.unwrap().expose().contains("tls-server-name: kubernetes"));
    }

    #[test]
    fn only_an_earlier_kubeconfig_of_the_cluster_gives_way() {
        let earlier = ours().expose().replace("10.0.0.9", "10.0.0.8").replace("S0VZ", "T0xE");
        for there in ["", "clusters: null\n", &earlier] {
            assert!(replaceable(there, &ours()).is_ok(), "{there}");
        }
        for (there, why) in [
            ("contexts:\n- name: work\n  context: {cluster: work, user: me}\n", "it has the context `work` as well"),
            (
                "clusters:\n- name: lab\n  cluster: {certificate-authority-data: WFla}\n",
                "the certificate authority is another",
            ),
            ("welcome: home\n", "neither clusters nor users nor contexts"),
            ("welcome home\n", "it is no mapping"),
        ] {
            let refused = replaceable(there, &ours()).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn texts_that_look_like_numbers_stay_texts() {
        let there = "contexts:\n- name: \"1.10\"\n  context: {cluster: \"yes\", user: \"007\"}\n";
        let after = value(merged(there, &ours(), false).unwrap().expose());
        assert_eq!(after["contexts"][0], json!({ "name": "1.10", "context": { "cluster": "yes", "user": "007" } }));
    }
}
