//! What differs between the wish and the world, field by field, each difference with its reason.
//!
//! A difference says nothing of order, of consent or of what it would break: that is [`crate::plan`]'s. What could not
//! be seen has no differences; the plan leaves a note for it.

pub(crate) mod cluster;
pub mod host;
pub mod hypervisors;
pub(crate) mod machine;
pub mod settings;

use std::collections::BTreeSet;

use kubewright_model::change::{Change, FieldChange, Reason, Subject, Verb};
use kubewright_model::desired::Desired;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{Observed, Seen};

/// All differences, in the order of the layers: machines, hosts, members, load balancers, objects, releases.
pub fn diff(desired: &Desired, observed: &Observed) -> Vec<Change> {
    let mut changes = machine::changes(desired, observed);
    changes.extend(machine::load_balancer_changes(desired, observed));
    changes.extend(host_changes(desired, observed));
    changes.extend(cluster::changes(desired, observed));
    changes
}

/// The differences of load balancers alone.
pub(crate) fn diff_load_balancers(desired: &Desired, observed: &Observed) -> Vec<Change> {
    machine::load_balancer_changes(desired, observed)
}

/// A host whose machine is not there yet is a change without fields: everything about it is to be made.
fn host_changes(desired: &Desired, observed: &Observed) -> Vec<Change> {
    let missing: BTreeSet<&NodeName> = desired
        .machines
        .iter()
        .filter(|machine| matches!(machine::seen(machine, observed), Seen::Absent))
        .map(|machine| &machine.name)
        .collect();
    let changes = desired.hosts.iter().filter_map(|host| {
        let subject = Subject::Host(host.name.clone());
        if host.machine.as_ref().is_some_and(|machine| missing.contains(machine)) {
            return Some(Change { subject, verb: Verb::Create, fields: Vec::new(), reason: Reason::Missing });
        }
        let seen = observed.hosts.get(&host.name)?.present()?;
        let differing = host::differing(&host.resources, seen, &observed.filled);
        if differing.is_empty() {
            return None;
        }
        let stale = differing.iter().all(|difference| difference.stale);
        let reason = if stale { Reason::Stale } else { Reason::Differs };
        let fields = differing.into_iter().map(|difference| difference.field).collect();
        Some(Change { subject, verb: Verb::Update, fields, reason })
    });
    changes.collect()
}

/// One field's difference, when there is one.
pub(crate) fn field<T: PartialEq + ToString>(name: &str, from: Option<&T>, to: Option<&T>) -> Option<FieldChange> {
    (from != to).then(|| FieldChange {
        field: name.to_string(),
        from: from.map(T::to_string),
        to: to.map(T::to_string),
    })
}
