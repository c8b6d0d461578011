//! The secrets by name: where each comes from and who needs it. No value is known here.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::host::HostResource;
use kubewright_model::spec::SecretRef;
use kubewright_model::text::Text;
use serde_json::Value;

use super::code;
use super::facts::Facts;
use crate::page::{Line, Page, Piece};
use crate::words::{Words, fill};

/// One row for each secret: those that the file names, and those that kubewright makes because a hole asks for them.
pub(super) fn secrets(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let uses = uses(facts);
    let named = facts.desired.secrets.keys().map(String::as_str);
    let names: BTreeSet<&str> = named.chain(uses.keys().map(String::as_str)).collect();
    if names.is_empty() {
        return;
    }
    let rows = names.into_iter().map(|name| {
        let users = uses.get(name);
        let provider = name.strip_suffix("-token").filter(|name| is_provider(facts, name));
        let used = match (users, provider) {
            (Some(users), _) => super::codes(users),
            (None, Some(_)) => words.sources.provider.into(),
            (None, None) => Line::default(),
        };
        vec![code(name), source(facts.desired.secrets.get(name), words), used]
    });
    page.paragraph(words.access.secrets);
    page.table(&[words.heads.name, words.heads.source, words.heads.used_by], rows.collect());
}

fn is_provider(facts: &Facts<'_>, name: &str) -> bool {
    facts.desired.machines.iter().any(|machine| machine.provider.as_str() == name)
        || facts.desired.load_balancers.iter().any(|balancer| balancer.provider.as_str() == name)
}

fn source(place: Option<&SecretRef>, words: &Words) -> Line {
    let say = &words.sources;
    let from = |sentence, name: &str| fill(sentence, &[("name", Piece::Code(name.into()))]);
    match place {
        Some(SecretRef { env: Some(name), .. }) => from(say.environment, name),
        Some(SecretRef { file: Some(path), .. }) => from(say.file, path),
        Some(SecretRef { sops: Some(key), .. }) => from(say.sops, key),
        // Only the program: an argument may be a secret.
        Some(SecretRef { command, generate: None, .. }) if !command.is_empty() => from(say.command, &command[0]),
        Some(_) | None => say.generated.into(),
    }
}

/// What each secret goes into: files, users and units of hosts, chart values, objects.
fn uses(facts: &Facts<'_>) -> BTreeMap<String, BTreeSet<String>> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut used = |secret: &str, by: &str| {
        uses.entry(secret.to_string()).or_default().insert(by.to_string());
    };
    for resource in facts.desired.hosts.iter().flat_map(|host| &host.resources) {
        let (text, by): (Option<&Text>, &str) = match resource {
            HostResource::File(file) => (Some(&file.content), &file.path),
            HostResource::Unit(unit) => (unit.content.as_ref(), &unit.name),
            HostResource::User(user) => (user.password_hash.as_ref(), &user.name),
            _ => (None, ""),
        };
        for hole in text.into_iter().flat_map(Text::holes) {
            if let Some(secret) = hole.as_str().strip_prefix("secret/") {
                used(secret, by);
            }
        }
    }
    for release in &facts.desired.releases {
        holes(&release.values, &mut |secret| used(secret, release.name.as_str()));
    }
    for manifest in facts.desired.objects.iter().flat_map(|group| &group.manifests) {
        let by = manifest.id().map(|id| id.to_string()).unwrap_or_default();
        holes(&manifest.0, &mut |secret| used(secret, &by));
    }
    uses
}

/// The names of the secrets in a tree of values, where a hole is a string `‹hole:secret/NAME›`.
fn holes(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => {
            for part in text.split("‹hole:secret/").skip(1) {
                if let Some((name, _)) = part.split_once('›') {
                    found(name);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| holes(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| holes(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
