//! Servers: one cluster at most, members that come and go one after the other, and a quorum that is never lost.
//!
//! The rule itself is [`Holders`]', which `plan` goes by too. What is proven here is that no order in which the steps
//! may run breaks it: only what a step needs, however far back, counts as done before it.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::desired::{Body, Desired};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{HostSeen, MachineSeen, Observed, Power, Seen};
use kubewright_model::plan::{Action, Ask, Plan, Step, Violation};
use kubewright_model::recipe::Effect;

use super::{Index, ancestors, index, is_blank, violation};
use crate::holders::Holders;

/// What a step does to the control plane.
enum Deed<'p> {
    Begins,
    Joins(&'p NodeName),
    Returns(&'p [NodeName]),
    Silences(&'p NodeName),
    Forgets(&'p NodeName),
    Deletes(&'p NodeName),
}

fn deed(step: &Step) -> Option<Deed<'_>> {
    match &step.action {
        Action::RunRecipe { host, recipe, .. } => match recipe.effect {
            Effect::Init | Effect::Restore => Some(Deed::Begins),
            Effect::JoinServer => Some(Deed::Joins(host)),
            Effect::Leave | Effect::Clear => Some(Deed::Silences(host)),
            _ => None,
        },
        Action::Wait { .. } => Some(Deed::Returns(step.readies())),
        Action::ForgetMember(name) => Some(Deed::Forgets(name)),
        Action::DeleteMachine { name, .. } => Some(Deed::Deletes(name)),
        _ => None,
    }
}

/// The server that joins in this step.
fn joining(step: &Step) -> Option<&NodeName> {
    match deed(step) {
        Some(Deed::Joins(name)) => Some(name),
        _ => None,
    }
}

/// A walk along the plan.
struct Walk<'p> {
    steps: Index<'p>,
    holders: Holders<'p>,
    /// Servers that join in this plan.
    joining: BTreeSet<&'p NodeName>,
    /// Servers that join or come back, and the steps after which they have.
    back: Vec<(&'p StepId, &'p NodeName)>,
    /// Machines of ours that are there, and nodes that answer; not what is in the books only, nor a host that was looked
    /// at and holds nothing.
    there: BTreeSet<&'p NodeName>,
    /// What took each holder away, or the last of it.
    gone: BTreeMap<&'p NodeName, &'p StepId>,
    /// The last step that took a server away, and whose.
    last: Option<(&'p StepId, &'p NodeName)>,
    begun: bool,
    /// Servers that were cut off while they joined: whether etcd can do without one, etcd itself decides.
    half: BTreeSet<&'p NodeName>,
    /// Hosts that a restore leaves out on purpose: nobody here can end them, and somebody has been told so.
    without: BTreeSet<&'p NodeName>,
}

/// Proves the plan's way with servers.
pub(super) fn check<'p>(plan: &'p Plan, desired: &'p Desired, observed: &'p Observed, found: &mut Vec<Violation>) {
    let ends = matches!(plan.ask, Ask::Destroy | Ask::Rebuild | Ask::Restore);
    let mut walk = Walk {
        steps: index(plan),
        holders: Holders::new(desired, observed),
        joining: plan.steps.iter().filter_map(joining).collect(),
        back: Vec::new(),
        there: there(desired, observed),
        gone: BTreeMap::new(),
        last: None,
        begun: false,
        half: half(observed),
        without: given_up(desired, observed),
    };
    for step in &plan.steps {
        let Some(deed) = deed(step) else { continue };
        if let Action::RunRecipe { host, recipe, .. } = &step.action
            && recipe.effect == Effect::Clear
            && !walk.gone.get(host).is_some_and(|end| ancestors(&walk.steps, step).contains(end))
        {
            let message = format!("{host} is cleared before another server has taken it out of etcd");
            found.push(violation("quorum is kept", step, message));
        }
        match deed {
            Deed::Begins => walk.begins(step, found),
            Deed::Joins(name) => walk.joins(step, name, found),
            Deed::Returns(names) => walk.back.extend(names.iter().map(|name| (&step.id, name))),
            Deed::Silences(name) | Deed::Forgets(name) | Deed::Deletes(name) => {
                if walk.holders.all.contains(name) && !ends {
                    walk.leaves(step, &deed, name, found);
                }
                walk.gone.insert(name, &step.id);
            }
        }
    }
}

/// Who may be there with what it holds. What stands in the place of one that a run that was cut has taken away, or that was lost
/// before it, is new as long as it has not run; the books of what is left of the old cluster may name it still.
fn there<'p>(desired: &Desired, observed: &'p Observed) -> BTreeSet<&'p NodeName> {
    let machines = observed.providers.values().filter_map(Seen::present).flat_map(|seen| &seen.machines);
    let machines: BTreeMap<&NodeName, &MachineSeen> = machines.collect();
    let over = |name: &NodeName| observed.unfinished.as_ref().is_some_and(|left| !left.contains(name));
    let is_new = |name: &NodeName, seen: &MachineSeen| {
        let boots = desired.machine(name).is_none_or(|wished| wished.on_boot && seen.settings.on_boot());
        over(name) && seen.power == Power::Stopped && !boots
    };
    let gone = |name: &NodeName| machines.get(name).is_none_or(|seen| is_new(name, seen)) && over(name);
    let nodes = observed.cluster.iter().filter_map(Seen::present).flat_map(|seen| &seen.nodes);
    let nodes = nodes.filter(|(name, node)| node.ready && !gone(name)).map(|(name, _)| name);
    let machines = machines.iter().filter(|(name, seen)| !is_blank(name, observed) && !is_new(name, seen));
    machines.map(|(name, _)| *name).chain(nodes).collect()
}

/// One that answers, or that its provider could end, is never left out.
fn given_up<'p>(desired: &'p Desired, observed: &Observed) -> BTreeSet<&'p NodeName> {
    let silent = |name: &NodeName| observed.hosts.get(name).and_then(Seen::present).is_none();
    let ours = desired.machines.iter().filter(|machine| *machine.body == Body::Existing).map(|machine| &machine.name);
    ours.filter(|name| desired.without.contains(name) && silent(name)).collect()
}

fn half(observed: &Observed) -> BTreeSet<&NodeName> {
    let hosts = observed.hosts.iter().filter(|(_, seen)| seen.present().is_some_and(HostSeen::may_vote));
    hosts.map(|(name, _)| name).collect()
}

impl<'p> Walk<'p> {
    /// One cluster is begun at most, and only where nobody may hold another when the step's turn comes.
    fn begins(&mut self, step: &'p Step, found: &mut Vec<Violation>) {
        let before = ancestors(&self.steps, step);
        let gone = |name: &NodeName| self.gone.get(name).is_some_and(|end| before.contains(end));
        let hold = self.holders.all.iter().filter(|name| !gone(name) && self.there.contains(*name));
        let hold = hold.filter(|name| !self.without.contains(*name));
        let hold: Vec<&str> = hold.map(|name| name.as_str()).collect();
        if self.begun || !hold.is_empty() {
            let message = format!("a cluster is begun twice, or beside one that may be there: {}", hold.join(", "));
            found.push(violation("one cluster", step, message));
        }
        self.begun = true;
    }

    /// etcd takes in one member at a time, SQLite none, and a cluster that sleeps nobody.
    fn joins(&mut self, step: &'p Step, name: &'p NodeName, found: &mut Vec<Violation>) {
        if !step.takes.iter().any(|lease| lease.thing.as_str() == "etcd" && lease.width == 1) {
            found.push(violation("one join at a time", step, "a server joins without holding etcd"));
        }
        if !self.begun && (self.holders.may_sleep() || self.holders.voters.is_empty()) {
            found.push(violation("one cluster", step, "a server joins what nobody has seen to take it in"));
        }
        self.gone.remove(name);
        self.back.push((&step.id, name));
    }

    /// A server falls silent, is forgotten, or is deleted.
    fn leaves(&mut self, step: &'p Step, deed: &Deed<'_>, name: &'p NodeName, found: &mut Vec<Violation>) {
        const RULE: &str = "quorum is kept";
        let before = ancestors(&self.steps, step);
        let back = self.back.iter().filter(|(id, _)| before.contains(id));
        let back: Vec<&NodeName> = back.map(|(_, name)| *name).collect();
        for server in back {
            let known = self.holders.all.contains(server) || self.joining.contains(server);
            if known && !self.gone.contains_key(server) {
                self.holders.joined(server);
            }
        }
        if self.last.is_some_and(|(id, other)| other != name && !before.contains(id)) {
            found.push(violation(RULE, step, "two servers leave at once"));
        }
        self.last = Some((&step.id, name));
        let judged = matches!(deed, Deed::Forgets(_)) && self.half.contains(name);
        if let Some(why) = self.holders.keeps(name).filter(|_| !judged) {
            found.push(violation(RULE, step, why));
        }
        match deed {
            Deed::Silences(_) => {
                if self.holders.healthy.contains(name) && !self.holders.decide_without(name) {
                    found.push(violation(RULE, step, format!("{name} falls silent before it is forgotten")));
                }
                self.holders.silent(name);
            }
            Deed::Deletes(_) => {
                found.push(violation(RULE, step, format!("{name} is deleted before it is forgotten")));
                self.holders.left(name);
            }
            _ => {
                if self.holders.healthy.contains(name) && !self.is_silenced_next(step, name) {
                    let message = format!("{name} runs when it is forgotten, and would join again");
                    found.push(violation(RULE, step, message));
                }
                self.holders.left(name);
            }
        }
    }

    /// Whether a server that runs while it is forgotten is silenced as the next thing.
    fn is_silenced_next(&self, step: &Step, name: &NodeName) -> bool {
        let silences = |other: &&&Step| matches!(deed(other), Some(Deed::Silences(it)) if it == name);
        self.steps.values().filter(silences).any(|other| other.needs.contains(&step.id))
    }
}
