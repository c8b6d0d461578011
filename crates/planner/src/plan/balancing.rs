//! Load balancers while nodes come and go.
//!
//! One that sent only to those that are wished would lead nowhere until they have joined, and they join through it. So
//! it sends to old and new until the old ones have left; its health checks tell who serves.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::{Desired, DesiredMember, DesiredProxy, ProxyBalancer};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{NodeSeen, Observed, Seen};
use kubewright_model::plan::{Action, HostChange, Stage, Step};
use kubewright_model::spec::{Distribution, LoadBalancer};

use super::draft::{Draft, id};
use crate::diff::cluster::{POOL_LABEL, changes_role, unwanted_nodes};
use crate::diff::host::differing;
use crate::haproxy;
use crate::turns::joining;

/// What is wished until those that leave have left.
pub(super) fn meanwhile<'a>(desired: &'a Desired, observed: &Observed) -> Cow<'a, Desired> {
    let mut interim = Cow::Borrowed(desired);
    if desired.proxies.is_empty() && desired.load_balancers.is_empty() {
        return interim;
    }
    let leavers = leavers(desired, observed);
    for (at, wish) in desired.load_balancers.iter().enumerate() {
        let seen = observed.providers.get(&wish.provider).and_then(Seen::present);
        let Some(seen) = seen.and_then(|inventory| inventory.load_balancers.get(&wish.name)) else { continue };
        let kept = leavers
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| seen.targets.contains_key(*name) && !wish.targets.contains(name));
        let kept: Vec<NodeName> = kept.cloned().collect();
        if kept.is_empty() {
            continue;
        }
        if let Some(balancer) = interim.to_mut().load_balancers.get_mut(at) {
            balancer.targets.extend(kept);
        }
    }
    for proxy in desired.proxies.iter().filter(|_| !leavers.is_empty()) {
        // Where the file is as it will be already, nobody who leaves is behind it any more.
        if in_force(proxy, desired, observed) {
            continue;
        }
        // One that was a server itself balances once it has left.
        let others: Vec<_> = leavers.iter().copied().filter(|(name, _)| **name != proxy.host).collect();
        let distribution = desired.kubernetes.distribution;
        let balancers = proxy.balancers.iter().map(|balancer| with(balancer, &others, distribution)).collect();
        let proxy = DesiredProxy { balancers, ..proxy.clone() };
        let resources = haproxy::resources(&proxy, distribution);
        let hosts = interim.to_mut().hosts.iter_mut().filter(|host| host.name == proxy.host);
        for old in hosts.flat_map(|host| &mut host.resources) {
            if let Some(new) = resources.iter().find(|new| new.key() == old.key()) {
                old.clone_from(new);
            }
        }
    }
    interim
}

/// Nodes that live and are to leave, or to be something else than they are.
fn leavers<'o>(desired: &Desired, observed: &'o Observed) -> Vec<(&'o NodeName, &'o NodeSeen)> {
    let Some(cluster) = observed.cluster.as_ref().and_then(Seen::present) else { return Vec::new() };
    let members: BTreeMap<&NodeName, &DesiredMember> =
        desired.members.iter().map(|member| (&member.name, member)).collect();
    let changes = |name: &NodeName, seen: &NodeSeen| members.get(name).is_some_and(|member| changes_role(member, seen));
    let unwanted: BTreeSet<&NodeName> = unwanted_nodes(desired, cluster).into_iter().collect();
    let nodes = cluster.nodes.iter().filter(|(_, seen)| seen.ready);
    nodes.filter(|(name, seen)| unwanted.contains(name) || changes(name, seen)).collect()
}

fn in_force(proxy: &DesiredProxy, desired: &Desired, observed: &Observed) -> bool {
    let resources = haproxy::resources(proxy, desired.kubernetes.distribution);
    let host = observed.hosts.get(&proxy.host).and_then(Seen::present);
    host.is_some_and(|host| differing(&resources, host, &observed.filled).is_empty())
}

/// The load balancer with those behind it that are about to leave.
fn with(balancer: &ProxyBalancer, leavers: &[(&NodeName, &NodeSeen)], distribution: Distribution) -> ProxyBalancer {
    let mut balancer = balancer.clone();
    for (name, seen) in leavers {
        let known = balancer.targets.iter().any(|(target, _)| target == *name);
        if let Some(address) = seen.address.filter(|_| !known && serves(&balancer.spec, seen, distribution)) {
            balancer.targets.push(((*name).clone(), address.to_string()));
        }
    }
    balancer
}

/// Whether a node that the spec does not know may be what a load balancer has sent to.
fn serves(balancer: &LoadBalancer, seen: &NodeSeen, distribution: Distribution) -> bool {
    let of_servers = haproxy::server_ports(distribution);
    let api = balancer.listen.iter().any(|listener| of_servers.contains(&listener.to));
    let rest = balancer.listen.iter().any(|listener| !of_servers.contains(&listener.to));
    let pool = seen.labels.get(POOL_LABEL);
    let named = || pool.is_some_and(|pool| balancer.targets.iter().any(|target| target.as_str() == pool));
    api && seen.server || rest && (balancer.targets.is_empty() || named())
}

/// Those that have left are taken from the files, once all that is new has joined.
pub(super) fn settle(draft: &mut Draft<'_>, desired: &Desired, observed: &Observed, interim: &Desired) {
    // Most plans have nobody who leaves, and one wish from the beginning to the end.
    if std::ptr::eq(desired, interim) {
        return;
    }
    let comes_and_goes = |step: &&Step| joining(step).is_some() || matches!(step.action, Action::ForgetMember(_));
    let gone: Vec<StepId> = draft.steps.iter().filter(comes_and_goes).map(|step| step.id.clone()).collect();
    for (wish, before) in desired.load_balancers.iter().zip(&interim.load_balancers) {
        if wish.targets != before.targets {
            draft.add(Step {
                id: id("settle", format!("balancer/{}", wish.name)),
                stage: Stage::LoadBalancers,
                subject: Subject::LoadBalancer(wish.name.clone()),
                action: Action::SetLoadBalancer(Box::new(wish.clone())),
                fields: Vec::new(),
                reason: Reason::Follows("it sends to nobody any more who has left".into()),
                needs: gone.iter().cloned().chain([id("balance", &wish.name)]).collect(),
                takes: Vec::new(),
                part: String::new(),
            });
        }
    }
    for (host, before) in desired.hosts.iter().zip(&interim.hosts) {
        let pairs = host.resources.iter().zip(&before.resources);
        let make: Vec<HostResource> =
            pairs.filter(|(wish, before)| wish != before).map(|(wish, _)| wish.clone()).collect();
        let set_up = id("host", &host.name);
        let seen = observed.hosts.get(&host.name).and_then(Seen::present);
        let ready = seen.is_some_and(|seen| differing(&before.resources, seen, &observed.filled).is_empty());
        if make.is_empty() || !(ready || draft.has(&set_up)) {
            continue;
        }
        let needs = gone.iter().cloned().chain([set_up]).collect();
        let change = HostChange::making(host, Some(&draft.desired.owner), make);
        draft.add(Step {
            id: id("settle", &host.name),
            stage: Stage::Hosts,
            subject: Subject::Host(host.name.clone()),
            action: Action::ChangeHost(change),
            fields: Vec::new(),
            reason: Reason::Follows("it sends to nobody any more who has left".into()),
            needs,
            takes: Vec::new(),
            part: crate::only::HAPROXY.into(),
        });
    }
}
