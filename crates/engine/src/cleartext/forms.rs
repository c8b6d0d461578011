//! The forms that secrets come in, and the lines that give them away.

mod terraform;

use std::path::{Component, Path};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright_model::secret::Secret;
use serde_json::{Map, Value};

use crate::sops::{Form, SopsError, openers};

/// A secret that lies open.
pub(super) struct Sight {
    /// From 1.
    pub(super) line: usize,
    /// What it is, without its value.
    pub(super) what: String,
    /// What goes into the SOPS file.
    pub(super) moves: Vec<Move>,
    /// The whole file is the secret.
    pub(super) whole: bool,
    /// What to do, where moving it is not all.
    pub(super) advice: Option<String>,
}

/// A value that goes into the SOPS file.
pub(super) struct Move {
    /// The key under which it would be there.
    pub(super) key: String,
    /// Where the spec would name it, if it does: `spec.secrets.objects.web/db.password`.
    pub(super) place: Option<String>,
    pub(super) value: Secret,
}

/// Endings of names that secrets have; without one, too.
const ENDS: [&str; 12] =
    ["yaml", "yml", "json", "pem", "key", "txt", "env", "conf", "kubeconfig", "tfvars", "tfstate", "backup"];
/// Files of `.secrets/` that say what the others are.
const AROUND: [&str; 8] = ["md", "pub", "example", "sample", "gitignore", "gitkeep", "gitattributes", "crt"];
/// What may open the SOPS file, and is in none.
const OF_AGE: &str = "a private key of age";
const OPENER: &str = "what opens SOPS files belongs in no repository: keep it where `sops` looks for keys, make another \
                      (`age-keygen`), put its public half in the place of the old one, then `kubewright secrets rotate`:";
const KUBECONFIG: &str = "take it out; `kubewright kubeconfig` writes another one whenever it is wanted:";
const TALOSCONFIG: &str = "take it out; `kubewright talosconfig` writes another one whenever it is wanted:";
const MACHINE: &str = "take it out; machine configurations are made from the spec, and what is secret in them from \
                       `kubernetes.talos.secrets`:";
const TALOS_SECRETS: &str = "move it, then write `talos: { secrets: { sops: talos } }` under `kubernetes`:";
/// Keys of a Secret that are named in a command at most.
const NAMED: usize = 4;

/// Whether a file's name is one that secrets have.
pub(super) fn may_hold(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match name.rsplit_once('.') {
        Some((before, end)) if !before.is_empty() => ENDS.contains(&end),
        Some((_, end)) => end == "env",
        None => true,
    }
}

/// What a file holds that the spec names as a secret.
pub(super) fn named(file: &Path, text: &str) -> Option<Sight> {
    let public = text.contains("-----BEGIN CERTIFICATE-----") && private_key(text).is_none();
    let empty = text.trim().is_empty();
    if public || empty || encrypted(file, text) {
        return None;
    }
    let what = "the secret itself, which the spec reads from here".to_string();
    Some(Sight { line: 1, what, moves: vec![whole(file, text)], whole: true, advice: None })
}

/// What the spec's SOPS file holds that is not encrypted.
pub(super) fn sops(file: &Path, text: &str) -> Option<Sight> {
    let form = Form::of(file).ok()?;
    match openers(form, text) {
        Err(SopsError::Clear | SopsError::Form(_)) => Some(Sight {
            line: 1,
            what: "the SOPS file, which is not encrypted".into(),
            moves: Vec::new(),
            whole: false,
            advice: Some(
                "rename it, make a new one with `kubewright secrets init`, put its values in with `kubewright secrets set \
                 KEY`:"
                    .into(),
            ),
        }),
        _ => None,
    }
}

/// What a file holds that nobody named.
pub(super) fn sight(file: &Path, text: &str) -> Option<Sight> {
    if encrypted(file, text) {
        return None;
    }
    let alone =
        |line, what: &str| Sight { line, what: what.into(), moves: vec![whole(file, text)], whole: true, advice: None };
    match private_key(text) {
        Some((line, OF_AGE)) => {
            return Some(Sight { moves: Vec::new(), advice: Some(OPENER.into()), ..alone(line, OF_AGE) });
        }
        Some((line, what)) => return Some(alone(line, what)),
        None => {}
    }
    if let Some(sight) = terraform::sight(file, text).or_else(|| documents(text)) {
        return Some(sight);
    }
    let kept = file.components().any(|part| part == Component::Normal(super::SECRETS.as_ref()));
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let around = name.starts_with("readme") || AROUND.iter().any(|end| name.ends_with(&format!(".{end}")));
    let config = name == crate::sops::CONFIG;
    (kept && !around && !config && !text.trim().is_empty()).then(|| alone(1, "a file below .secrets/"))
}

/// Whether SOPS, age or Ansible has encrypted it.
fn encrypted(file: &Path, text: &str) -> bool {
    let heads = [
        "-----BEGIN AGE ENCRYPTED FILE-----",
        "age-encryption.org/v1",
        "$ANSIBLE_VAULT;",
        "-----BEGIN PGP MESSAGE-----",
    ];
    let of_sops = || Form::of(file).is_ok_and(|form| openers(form, text).is_ok() || openers(Form::Json, text).is_ok());
    heads.iter().any(|head| text.starts_with(head)) || (text.contains("ENC[AES256_GCM,") && of_sops())
}

/// The line of a private key. One that takes a password is not open.
fn private_key(text: &str) -> Option<(usize, &'static str)> {
    text.lines().zip(1..).find_map(|(line, number)| {
        let line = line.trim_start();
        let of_age = line.strip_prefix("AGE-SECRET-KEY-1").is_some_and(|rest| {
            rest.trim_end().len() >= 50 && rest.trim_end().chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
        });
        let pem = line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY") && !line.contains(" ENCRYPTED ");
        match (of_age, pem) {
            (true, _) => Some((number, OF_AGE)),
            (_, true) => Some((number, "a private key")),
            _ => None,
        }
    })
}

/// The first document that is a secret. What is no YAML or JSON, as templates of charts, is left to others.
fn documents(text: &str) -> Option<Sight> {
    let hints = ["Secret", "kind: Config", "\"Config\"", "context", "certs", "machine"];
    if !hints.iter().any(|hint| text.contains(hint)) {
        return None;
    }
    let mut first = 1;
    for document in split(text) {
        let value: Option<Value> = serde_saphyr::from_str(document).ok();
        if let Some(sight) = value.and_then(|value| judged(&value, document, first)) {
            return Some(sight);
        }
        first += document.lines().count();
    }
    None
}

/// The documents of a text; each begins with its `---`. Inside of a value no line begins so.
fn split(text: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if at > 0 && (line.trim_end() == "---" || line.starts_with("--- ")) {
            starts.push(at);
        }
        at += line.len();
    }
    starts.push(text.len());
    starts.windows(2).filter_map(|pair| text.get(pair[0]..pair[1])).collect()
}

fn judged(value: &Value, text: &str, first: usize) -> Option<Sight> {
    let object = value.as_object()?;
    if object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List")) {
        let items = object.get("items").and_then(Value::as_array)?;
        return items.iter().find_map(|item| judged(item, text, first));
    }
    let line = |words: &[&str]| {
        let of = |line: &str| words.iter().any(|word| line.trim_start_matches([' ', '-', '"']).starts_with(word));
        first + text.lines().position(of).unwrap_or_default()
    };
    match object.get("kind").and_then(Value::as_str) {
        Some("Secret") => return secret(object, line(&["data", "stringData"])),
        Some("Config") if object.contains_key("users") => {
            let users = object.get("users").and_then(Value::as_array)?;
            let told = ["client-key-data", "token", "password"];
            let open =
                users.iter().filter_map(|user| user.get("user")).any(|user| told.iter().any(|key| open(user.get(key))));
            return open.then(|| made_anew(line(&told), "a kubeconfig with its key", KUBECONFIG));
        }
        _ => {}
    }
    let talos = || {
        let below = |way: &[&str]| way.iter().try_fold(value, |value, key| value.get(key));
        let contexts = object.get("contexts").and_then(Value::as_object);
        match () {
            () if contexts.is_some_and(|contexts| contexts.values().any(|context| open(context.get("key")))) => {
                Some(made_anew(line(&["key"]), "a talosconfig with its key", TALOSCONFIG))
            }
            () if open(below(&["trustdinfo", "token"])) || open(below(&["certs", "k8s", "key"])) => {
                let place = Some("spec.kubernetes.talos.secrets".to_string());
                let moves = vec![Move { key: "talos".into(), place, value: Secret::new(text.to_string()) }];
                let (line, what) = (line(&["token"]), "the secrets of a Talos cluster".into());
                Some(Sight { line, what, moves, whole: true, advice: Some(TALOS_SECRETS.into()) })
            }
            () if open(below(&["machine", "token"])) || open(below(&["machine", "ca", "key"])) => {
                Some(made_anew(line(&["token"]), "a machine configuration of Talos with its secrets", MACHINE))
            }
            () => None,
        }
    };
    talos()
}

/// What nobody has to keep, for another one is made whenever it is wanted.
fn made_anew(line: usize, what: &str, advice: &str) -> Sight {
    Sight { line, what: what.into(), moves: Vec::new(), whole: true, advice: Some(advice.into()) }
}

/// A file that is one secret.
fn whole(file: &Path, text: &str) -> Move {
    Move { key: key_of(file), place: None, value: Secret::new(text.to_string()) }
}

/// A Secret of Kubernetes with values in it.
fn secret(object: &Map<String, Value>, line: usize) -> Option<Sight> {
    let maps = ["data", "stringData"].into_iter().filter_map(|field| Some((field, object.get(field)?.as_object()?)));
    let values = maps.flat_map(|(field, map)| map.iter().map(move |(key, value)| (field, key, value)));
    let values: Vec<_> = values.filter(|(.., value)| open(Some(value))).collect();
    if values.is_empty() {
        return None;
    }
    let metadata = |key: &str| object.get("metadata").and_then(|metadata| metadata.get(key)).and_then(Value::as_str);
    let name = metadata("name").unwrap_or("secret");
    let namespace = metadata("namespace").unwrap_or("default");
    let moved = |(field, key, value): &(&str, &String, &Value)| {
        let text = value.as_str().unwrap_or_default();
        let decoded = || String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok();
        let clear = if *field == "data" { decoded() } else { None };
        Move {
            key: format!("{}{}", part(name, true), part(key, false)),
            place: Some(format!("spec.secrets.objects.{namespace}/{name}.{key}")),
            value: Secret::new(clear.unwrap_or_else(|| text.to_string())),
        }
    };
    let moves = values.iter().take(NAMED).map(moved).collect();
    let what = format!("the Secret {namespace}/{name}");
    let advice =
        "put its values in the SOPS file, and describe it under `secrets.objects`, with `{ sops: KEY }` for each:";
    Some(Sight { line, what, moves, whole: false, advice: Some(advice.into()) })
}

/// A name as part of a place in a SOPS file.
fn part(name: &str, first: bool) -> String {
    match name.contains(['.', '[', ']', '"']) {
        true => format!("[{}]", Value::from(name)),
        false if first => name.to_string(),
        false => format!(".{name}"),
    }
}

/// Whether something stands there that is no gap for others to fill.
fn open(value: Option<&Value>) -> bool {
    let Some(text) = value.and_then(Value::as_str).map(str::trim) else { return false };
    let gap = text.contains("${") || text.contains("{{") || (text.starts_with('<') && text.ends_with('>'));
    !text.is_empty() && !gap && !text.starts_with("ENC[")
}

/// A place in the SOPS file for a file that is a secret as a whole.
fn key_of(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let word: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    let word = word.trim_matches('_').to_string();
    if word.is_empty() { "secret".into() } else { word }
}
