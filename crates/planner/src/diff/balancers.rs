//! Load balancers that providers run: what differs, and which are ours and not in the spec any more.

use kubewright_model::change::{FieldChange, Reason};
use kubewright_model::desired::{Desired, DesiredLoadBalancer};
use kubewright_model::digest::Digest;
use kubewright_model::ids::{ClusterName, ProviderName};
use kubewright_model::observed::{LoadBalancerSeen, Observed};

use super::field;
use super::machine::inventories;

/// What differs of a load balancer, and why; nothing where it is as wished, or where its provider could not be asked.
pub(crate) fn differing(wish: &DesiredLoadBalancer, observed: &Observed) -> Option<(Vec<FieldChange>, Reason)> {
    let inventory = observed.providers.get(&wish.provider)?.present()?;
    let Some(seen) = inventory.load_balancers.get(&wish.name) else { return Some((Vec::new(), Reason::Missing)) };
    let fields = fields(wish, seen);
    (!fields.is_empty()).then_some((fields, Reason::Differs))
}

/// Load balancers that carry our mark and are not in the spec any more, with their providers.
pub(crate) fn unwanted<'a>(desired: &Desired, observed: &'a Observed) -> Vec<(&'a ProviderName, &'a ClusterName)> {
    let known = |name: &ClusterName| desired.load_balancers.iter().any(|wish| wish.name == *name);
    let mut unwanted = Vec::new();
    for (provider, inventory) in inventories(observed) {
        let ours = inventory.load_balancers.iter().filter(|(name, seen)| seen.owner == desired.owner && !known(name));
        unwanted.extend(ours.map(|(name, _)| (provider, name)));
    }
    unwanted
}

fn fields(wish: &DesiredLoadBalancer, seen: &LoadBalancerSeen) -> Vec<FieldChange> {
    let settings = Digest::of_value(&wish.spec);
    let names = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.join(" ")
    };
    let wanted = names(wish.targets.iter().map(|name| name.as_str()).collect());
    let there = names(seen.targets.keys().map(|name| name.as_str()).collect());
    let differs = (settings != seen.settings).then(|| FieldChange {
        field: "settings".into(),
        from: Some(seen.settings.short().to_string()),
        to: Some(settings.short().to_string()),
    });
    [differs, field("targets", Some(&there), Some(&wanted))].into_iter().flatten().collect()
}
