//! The secrets by name: where each comes from and who needs it. No value is known here.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::host::HostResource;
use kubewright_model::ids::HoleName;
use kubewright_model::spec::SecretRef;
use kubewright_model::talos::TALOS_SECRETS;
use kubewright_model::text::{Text, holes_of};

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
        let by = match resource {
            HostResource::File(file) => &file.path,
            HostResource::Unit(unit) => &unit.name,
            HostResource::User(user) => &user.name,
            // All of them are parts of one.
            HostResource::MachineConfig(_) => {
                used(TALOS_SECRETS, &resource.key());
                continue;
            }
            _ => continue,
        };
        let holes = resource.text().into_iter().flat_map(Text::holes);
        holes.filter_map(HoleName::secret).for_each(|secret| used(secret, by));
    }
    for release in &facts.desired.releases {
        let holes = holes_of(&release.values);
        holes.iter().filter_map(HoleName::secret).for_each(|secret| used(secret, release.name.as_str()));
    }
    for manifest in facts.desired.objects.iter().flat_map(|group| &group.manifests) {
        let by = manifest.id().map(|id| id.to_string()).unwrap_or_default();
        holes_of(&manifest.0).iter().filter_map(HoleName::secret).for_each(|secret| used(secret, &by));
    }
    uses
}
