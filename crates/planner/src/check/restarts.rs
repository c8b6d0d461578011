//! Restarts and new versions: servers one after the other, each back before the next, with a quorum among the others;
//! and no kubelet before the API servers. <https://kubernetes.io/releases/version-skew-policy/>

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::desired::Desired;
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{ClusterSeen, Observed, Power, Seen};
use kubewright_model::plan::{Action, Ask, Plan, Step, Violation};
use kubewright_model::recipe::Effect;

use super::{Index, ancestors, index, is_blank, violation};
use crate::diff::host::{differing, disturbs_kubernetes};
use crate::holders::Holders;

/// Proves how a plan that may run restarts servers, and in which order versions come.
pub(super) fn check(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    let Some(cluster) = observed.cluster.as_ref().and_then(Seen::present) else { return };
    if plan.is_blocked() || matches!(plan.ask, Ask::Destroy | Ask::Rebuild | Ask::Restore) {
        return;
    }
    let steps = index(plan);
    one_after_the_other(plan, &steps, observed, cluster, found);
    servers_first(plan, desired, observed, cluster, found);
}

/// Whose Kubernetes a step restarts, if it runs now.
fn restarts<'p>(step: &'p Step, observed: &Observed, cluster: &ClusterSeen) -> Option<&'p NodeName> {
    let host = match &step.action {
        Action::RunRecipe { host, recipe, .. }
            if matches!(recipe.effect, Effect::Upgrade | Effect::Renew | Effect::Follow) =>
        {
            host
        }
        Action::RestartMachine { name, .. }
        | Action::RebootHost { host: name, .. }
        | Action::UpdateHost { host: name, .. } => name,
        Action::ChangeHost(change) => {
            let seen = observed.hosts.get(&change.host).and_then(Seen::present)?;
            let found = differing(&change.make, seen, &observed.filled);
            disturbs_kubernetes(&found, seen).then_some(&change.host)?
        }
        _ => return None,
    };
    cluster.nodes.get(host).is_some_and(|node| node.server).then_some(host)
}

fn one_after_the_other(
    plan: &Plan,
    steps: &Index<'_>,
    observed: &Observed,
    cluster: &ClusterSeen,
    found: &mut Vec<Violation>,
) {
    const RULE: &str = "servers restart one after the other";
    let mut last: Option<(&NodeName, &StepId)> = None;
    for step in &plan.steps {
        let Some(server) = restarts(step, observed, cluster) else { continue };
        let before = ancestors(steps, step);
        if let Some((other, restarted)) = last.filter(|(other, _)| *other != server) {
            let back = before
                .iter()
                .filter_map(|id| steps.get(id))
                .any(|wait| wait.readies().contains(other) && ancestors(steps, wait).contains(restarted));
            if !back {
                found.push(violation(RULE, step, format!("nobody waits until {other} is back")));
            }
        }
        last = Some((server, &step.id));
        let mut books = Holders::of_cluster(cluster, observed);
        for done in before.iter().filter_map(|id| steps.get(id)) {
            match &done.action {
                Action::ForgetMember(name) => books.left(name),
                _ => done.readies().iter().for_each(|name| {
                    if books.voters.contains(name) {
                        books.joined(name);
                    }
                }),
            }
        }
        // With one or two servers a restart interrupts the API in any case.
        if books.voters.len() >= 3 && books.healthy.contains(server) && !books.decide_without(server) {
            let message = format!("{} of {} members of etcd are healthy", books.healthy.len(), books.voters.len());
            found.push(violation("quorum is kept", step, message));
        }
    }
}

/// No kubelet is newer than an API server: before agents get the new version, every server has it or is gone.
fn servers_first(
    plan: &Plan,
    desired: &Desired,
    observed: &Observed,
    cluster: &ClusterSeen,
    found: &mut Vec<Violation>,
) {
    let machines: BTreeMap<&NodeName, Power> = crate::diff::machine::inventories(observed)
        .flat_map(|(_, inventory)| inventory.machines.iter().map(|(name, seen)| (name, seen.power)))
        .collect();
    let older = |name: &NodeName| {
        let older = cluster.nodes.get(name).is_some_and(|it| it.version < desired.kubernetes.version);
        let lives = machines.contains_key(name) || cluster.nodes.get(name).is_some_and(|it| it.ready);
        older && lives && !is_blank(name, observed)
    };
    let servers: BTreeSet<&NodeName> = desired.servers().map(|member| &member.name).collect();
    let serving = cluster.nodes.iter().filter(|(_, node)| node.server).map(|(name, _)| name);
    let old: BTreeSet<&NodeName> = serving.chain(servers.iter().copied()).filter(|name| older(name)).collect();
    // The servers that are new for certain when a step is done; only what it needs counts.
    let mut news: BTreeMap<&StepId, BTreeSet<&NodeName>> = BTreeMap::new();
    for step in plan.steps.iter().filter(|_| !old.is_empty()) {
        let mut done: BTreeSet<&NodeName> =
            step.needs.iter().filter_map(|need| news.get(need)).flatten().copied().collect();
        let agent = gets_program(step, &older).filter(|name| !servers.contains(name));
        if let Some(server) = old.iter().find(|server| agent.is_some() && !done.contains(*server)) {
            let message = format!("{server} may still serve an older version");
            found.push(violation("no kubelet is newer than the API", step, message));
        }
        done.extend(renewed(step, &machines).filter(|name| old.contains(*name)));
        news.insert(&step.id, done);
    }
}

/// The server that serves the new version after this step, or none any more.
fn renewed<'p>(step: &'p Step, machines: &BTreeMap<&NodeName, Power>) -> Option<&'p NodeName> {
    match &step.action {
        Action::RunRecipe { host, recipe, .. } if matches!(recipe.effect, Effect::Upgrade | Effect::JoinServer) => {
            Some(host)
        }
        Action::ForgetMember(name) => Some(name),
        // One that was off wakes with what it had, and is restarted with what it gets.
        Action::ChangeHost(change) if machines.get(&change.host) == Some(&Power::Stopped) => Some(&change.host),
        _ => None,
    }
}

/// The node that may run the program of the version that is wished from this step on.
fn gets_program<'p>(step: &'p Step, older: &impl Fn(&NodeName) -> bool) -> Option<&'p NodeName> {
    match &step.action {
        Action::RunRecipe { host, recipe, .. } if matches!(recipe.effect, Effect::Upgrade | Effect::JoinAgent) => {
            Some(host)
        }
        Action::ChangeHost(change) if older(&change.host) => {
            let program = |resource: &HostResource| matches!(resource, HostResource::Download(_));
            change.make.iter().any(program).then_some(&change.host)
        }
        _ => None,
    }
}
