//! Load balancers that providers run: what differs, and which are ours and not in the spec any more.

use std::collections::BTreeMap;

use kubewright_model::change::{FieldChange, Reason};
use kubewright_model::desired::{Desired, DesiredLoadBalancer};
use kubewright_model::ids::{ClusterName, NodeName, ProviderName};
use kubewright_model::observed::{LoadBalancerSeen, Observed};

use super::field;
use super::machine::inventories;

/// What differs of a load balancer, and why; nothing where it is as wished, or where its provider could not be asked.
pub(crate) fn differing(wish: &DesiredLoadBalancer, observed: &Observed) -> Option<(Vec<FieldChange>, Reason)> {
    let inventory = observed.providers.get(&wish.provider)?.present()?;
    let Some(seen) = inventory.load_balancers.get(&wish.name) else {
        let settings = wish.settings.fields().into_iter();
        let settings = settings.map(|(field, value)| FieldChange { field, from: None, to: Some(value) });
        let fields = settings.chain(field("targets", None, Some(&wished(wish)))).collect();
        return Some((fields, Reason::Missing));
    };
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
    let settings = wish.settings.differing(&seen.settings).into_iter();
    let settings = settings.map(|(field, from, to)| FieldChange { field, from, to });
    // Those that are found by their labels are nobody's to name.
    let targets = if wish.settings.selector.is_some() {
        None
    } else {
        field("targets", Some(&there(wish, seen)), Some(&wished(wish)))
    };
    settings.chain(targets).collect()
}

fn wished(wish: &DesiredLoadBalancer) -> String {
    listed(wish.targets.iter().map(|name| name.as_str()).collect())
}

/// Targets by their nodes' names: what is no server of the provider it knows by its address.
fn there(wish: &DesiredLoadBalancer, seen: &LoadBalancerSeen) -> String {
    let named: BTreeMap<String, &NodeName> =
        wish.addresses.iter().map(|(name, address)| (address.to_string(), name)).collect();
    let name = |target: &'_ NodeName| named.get(target.as_str()).map_or(target.clone(), |name| (*name).clone());
    let names: Vec<NodeName> = seen.targets.keys().map(name).collect();
    listed(names.iter().map(|name| name.as_str()).collect())
}

fn listed(mut names: Vec<&str>) -> String {
    names.sort_unstable();
    names.join(" ")
}
