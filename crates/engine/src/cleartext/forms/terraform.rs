//! What Terraform leaves beside its files: its state, and the values of its variables.

use std::path::Path;

use kubewright_model::secret::Secret;
use kubewright_planner::rules::is_named_as_secret;
use serde_json::Value;

use super::{Move, Sight, open};

/// The resource whose state is all secrets of a Talos cluster.
/// <https://registry.terraform.io/providers/siderolabs/talos/latest/docs/resources/machine_secrets>
const OF_TALOS: &str = "talos_machine_secrets";
const STATE: &str = "Terraform's state belongs where it is encrypted, and in no repository; take it out, and name `*.tfstate*` in \
                     .gitignore:";
/// Variables that are named in a command at most.
const NAMED: usize = 4;

/// What a file of Terraform's holds.
pub(super) fn sight(file: &Path, text: &str) -> Option<Sight> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".tfvars") || name.ends_with(".tfvars.json") {
        return variables(&name, text);
    }
    // `terraform show -json` gives the same in another form, in a file of any name.
    let state = name.ends_with(".tfstate") || name.contains(".tfstate.");
    (state || (name.ends_with(".json") && text.contains("\"terraform_version\""))).then(|| of_state(text)).flatten()
}

/// A state, in the form 4 that Terraform has had since 0.12 and OpenTofu has too: attributes that a provider calls sensitive are
/// listed, and stand there in clear text.
/// <https://github.com/hashicorp/terraform/blob/v1.9.0/internal/states/statefile/version4.go>
fn of_state(text: &str) -> Option<Sight> {
    let line = |word: &str| 1 + text.lines().position(|line| line.contains(word)).unwrap_or_default();
    let told = |line, what: &str| {
        Some(Sight { line, what: what.into(), moves: Vec::new(), whole: true, advice: Some(STATE.into()) })
    };
    if text.contains(&format!("\"{OF_TALOS}\"")) {
        return told(line(OF_TALOS), "Terraform's state, with the secrets of a Talos cluster");
    }
    let state: Value = serde_json::from_str(text).ok()?;
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let instances = list(&state, "resources").iter().flat_map(|it| list(it, "instances")).collect::<Vec<_>>();
    if instances.iter().any(|it| !list(it, "sensitive_attributes").is_empty()) {
        return told(line("\"sensitive_attributes\": ["), "Terraform's state, with values that are sensitive");
    }
    let outputs = state.get("outputs").and_then(Value::as_object);
    let sensitive = |it: &Value| it.get("sensitive").and_then(Value::as_bool).unwrap_or_default();
    match outputs.is_some_and(|outputs| outputs.values().any(sensitive)) {
        true => told(line("\"sensitive\": true"), "Terraform's state, with outputs that are sensitive"),
        false => None,
    }
}

/// Values of variables that are secrets by their names.
fn variables(name: &str, text: &str) -> Option<Sight> {
    let found: Vec<(usize, String, String)> = match name.ends_with(".json") {
        true => {
            let values: Value = serde_json::from_str(text).ok()?;
            let line = |key: &str| 1 + text.lines().position(|line| line.contains(key)).unwrap_or_default();
            let texts = values.as_object()?.iter().filter_map(|(key, value)| Some((key, value.as_str()?)));
            texts.map(|(key, value)| (line(key), key.clone(), value.to_string())).collect()
        }
        false => text.lines().zip(1..).filter_map(|(line, number)| assigned(number, line)).collect(),
    };
    let is_secret = |(_, key, value): &(usize, String, String)| {
        is_named_as_secret(key) && open(Some(&Value::from(value.as_str()))) && !value.starts_with('/')
    };
    let found: Vec<_> = found.into_iter().filter(is_secret).collect();
    let (line, first, _) = found.first()?;
    let advice = format!("put it in the SOPS file; who runs Terraform gives it by the variable TF_VAR_{first}:");
    let what = format!("Terraform's variable {first}");
    let moved = |(_, key, value): &(usize, String, String)| Move {
        key: key.clone(),
        place: None,
        value: Secret::new(value.clone()),
    };
    let moves = found.iter().take(NAMED).map(moved).collect();
    Some(Sight { line: *line, what, moves, whole: false, advice: Some(advice) })
}

/// `gandi_api_token = "…"`: a variable's name and its text.
fn assigned(number: usize, line: &str) -> Option<(usize, String, String)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let (text, _) = value.trim().strip_prefix('"')?.split_once('"')?;
    plain.then(|| (number, key.to_string(), text.to_string()))
}
