//! Vault is initialised, unsealed and set up as soon as its release is there. Whoever restarts one of its pods seals it: the
//! next run unseals it.

use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::desired::Desired;
use kubewright_model::plan::{Action, Stage, Step, Weight};
use kubewright_model::vault::{DesiredVault, UNSEAL_KEYS, VaultSeen};

use super::draft::{Draft, id};
use super::standing::Standings;

/// The part of the spec that Vault is, and its release.
const PART: &str = "vault";

pub(super) fn plan(draft: &mut Draft<'_>, standings: &Standings<'_>) {
    let desired: &Desired = draft.desired;
    let Some(wish) = &desired.vault else { return };
    let release = id("release", PART);
    let installs = draft.steps.iter().any(|step| step.id == release);
    let seen = standings.cluster_seen().and_then(|seen| seen.vault.as_ref());
    if !installs && seen.is_none() {
        return;
    }
    let nothing = VaultSeen::default();
    let seen = seen.unwrap_or(&nothing);
    if seen.initialized && !seen.has_keys && (!seen.sealed.is_empty() || seen.settings.is_none()) {
        let message = "Vault is initialised, and the store has no keys of it, so nobody here unseals it or sets it up";
        let help =
            format!("put them back as the secret `{UNSEAL_KEYS}`, one in a line, and the root token beside them");
        draft.note(Weight::Warns, Subject::Cluster, message, &help);
        return;
    }
    let fields = differing(wish, seen);
    if fields.is_empty() {
        return;
    }
    let mut needs = draft.api.clone();
    needs.push(release);
    draft.add(Step {
        id: id("configure", PART),
        stage: Stage::Addons,
        subject: Subject::Cluster,
        action: Action::ConfigureVault(Box::new(wish.clone())),
        fields,
        reason: if seen.initialized { Reason::Differs } else { Reason::Missing },
        needs,
        takes: Vec::new(),
        part: PART.into(),
    });
}

/// What differs, in words. A policy is not told in full: it is long, and the spec holds it.
fn differing(wish: &DesiredVault, seen: &VaultSeen) -> Vec<FieldChange> {
    let change = |field: &str, from: Option<&str>, to: &str| FieldChange {
        field: field.into(),
        from: from.map(str::to_string),
        to: Some(to.into()),
    };
    let mut fields = Vec::new();
    if !seen.initialized {
        fields.push(change("Vault", None, "initialised"));
    }
    let sealed = wish.pods.iter().filter(|pod| seen.initialized && seen.sealed.contains(*pod));
    fields.extend(sealed.map(|pod| change(pod, Some("sealed"), "unsealed")));
    let silent = wish.pods.iter().filter(|pod| seen.silent.contains_key(*pod));
    fields.extend(silent.map(|pod| change(pod, Some("silent"), "unsealed")));
    // Nobody reads what is set while it is sealed: what differs then shows when the step is done.
    let Some(set) = seen.settings.as_ref() else {
        let wished = wish.settings();
        let unread = wished.into_iter().filter(|_| !seen.initialized);
        fields.extend(unread.map(|(name, to)| change(&name, None, &to)));
        return fields;
    };
    for (name, to) in wish.settings() {
        let from = set.get(&name).map(String::as_str);
        if from != Some(to.as_str()) {
            fields.push(change(&name, from, &to));
        }
    }
    fields
}
