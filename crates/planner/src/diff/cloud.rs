//! What a cloud keeps around servers: what differs, and what is ours and not in the spec any more.

use kubewright_model::change::{FieldChange, Reason};
use kubewright_model::cloud::{CloudId, DesiredResource, ResourceSeen};
use kubewright_model::desired::Desired;
use kubewright_model::ids::ProviderName;
use kubewright_model::observed::Observed;

use super::machine::inventories;

/// How a thing of a cloud stands to what is wished of it.
pub(crate) enum Standing {
    /// It is as wished, or its cloud could not be asked.
    Done,
    /// It is to be made or changed.
    Differs(Vec<FieldChange>, Reason),
    /// Somebody else has the name.
    Foreign,
}

/// Looks at one thing.
pub(crate) fn standing(wish: &DesiredResource, observed: &Observed) -> Standing {
    let Some(inventory) = observed.providers.get(&wish.provider).and_then(|seen| seen.present()) else {
        return Standing::Done;
    };
    let id = wish.id();
    let Some(seen) = inventory.resources.iter().find(|seen| seen.id() == id) else {
        return Standing::Differs(fields(wish, None), Reason::Missing);
    };
    if seen.owner.is_none() {
        return Standing::Foreign;
    }
    match fields(wish, Some(seen)) {
        same if same.is_empty() => Standing::Done,
        differing => Standing::Differs(differing, Reason::Differs),
    }
}

fn fields(wish: &DesiredResource, seen: Option<&ResourceSeen>) -> Vec<FieldChange> {
    let differing = match seen {
        Some(seen) => wish.body.differing(&seen.body),
        None => wish.body.fields().into_iter().map(|(field, value)| (field, None, Some(value))).collect(),
    };
    differing.into_iter().map(|(field, from, to)| FieldChange { field, from, to }).collect()
}

/// Things that carry our mark and are not in the spec any more, with their clouds.
pub(crate) fn unwanted<'a>(desired: &Desired, observed: &'a Observed) -> Vec<(&'a ProviderName, CloudId)> {
    let wished = |provider: &ProviderName, id: &CloudId| {
        desired.resources.iter().any(|wish| wish.provider == *provider && wish.id() == *id)
    };
    ours(desired, observed).into_iter().filter(|(provider, id)| !wished(provider, id)).collect()
}

/// Things that carry our mark, those that are made last first: what needs another thing goes before it.
pub(crate) fn ours<'a>(desired: &Desired, observed: &'a Observed) -> Vec<(&'a ProviderName, CloudId)> {
    let mut found = Vec::new();
    for (provider, inventory) in inventories(observed) {
        let marked = inventory.resources.iter().filter(|seen| seen.owner.as_ref() == Some(&desired.owner));
        found.extend(marked.map(|seen| (provider, seen.id())));
    }
    found.sort_by(|a, b| b.1.cmp(&a.1));
    found
}
