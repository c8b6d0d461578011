//! Keys and certificates are made anew while the cluster lives: servers one after the other, each back before the next,
//! agents as many at once as may be out of service.
//!
//! Certificates may have expired before anybody came. Then nobody answers at the API, and servers do not talk to one
//! another: all of them get new ones over their hosts alone, and are waited for when all have them.

use std::collections::BTreeSet;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::Desired;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{HostSeen, Observed, renewed_by};
use kubewright_model::plan::Weight;
use kubewright_model::rotation::Rotation;
use kubewright_model::units::Moment;

use super::draft::{Draft, id};
use super::members::{recipes, role_is_server, run, stage, wait_ready};
use super::standing::{ClusterView, Node, Standing, Standings};
use super::{keys, quorum, saving, turnover};
use crate::holders::{self, Holders};

const DAY: u64 = 86_400;

/// Makes anew what is asked for.
pub(super) fn plan<'a>(desired: &'a Desired, observed: &'a Observed, what: Rotation) -> Draft<'a> {
    match what {
        Rotation::Certificates => certificates(desired, observed),
        Rotation::SshKeys => keys::plan(desired, observed),
        Rotation::JoinToken | Rotation::EncryptionKeys | Rotation::ServiceAccountKeys => {
            turnover::plan(desired, observed, what)
        }
    }
}

fn certificates<'a>(desired: &'a Desired, observed: &'a Observed) -> Draft<'a> {
    let mut draft = Draft::new(desired);
    let holders = Holders::new(desired, observed);
    let standings = Standings::new(desired, observed, &holders, &BTreeSet::new());
    let help = "once it is back, `kubewright rotate certificates` again";
    let able = able(&mut draft, &standings, "the certificates", help, |_| true);
    let went = able.iter().filter(|node| observed.rotated.contains(node.name())).count();
    if went > 0 {
        let message =
            format!("goes on with what was cut: {went} of {} members have new certificates already", able.len());
        draft.note(Weight::Tells, Subject::Cluster, message, "");
    }
    let (servers, agents): (Vec<_>, Vec<_>) = able.into_iter().partition(|node| role_is_server(node));
    if servers.is_empty() {
        let message = "no server of the cluster can be reached, so nobody makes certificates";
        draft.note(Weight::Blocks, Subject::Cluster, message, "`kubewright status` tells what is wrong");
        return draft;
    }
    let after = match &standings.cluster {
        ClusterView::Present(_) => one_by_one(&mut draft, observed, &standings, &servers),
        ClusterView::Unknown(why) => offline(&mut draft, observed, &servers, why),
        ClusterView::Absent => offline(&mut draft, observed, &servers, "no server serves"),
    };
    if let Some(after) = after {
        roll_agents(&mut draft, observed, &servers, &agents, &after);
    }
    draft
}

/// Certificates that end soon, or have ended, are told with every plan: whoever is Ready has a while to have them made anew.
pub(super) fn tell_what_ends(draft: &mut Draft<'_>, observed: &Observed) {
    for member in &draft.desired.members {
        let Some(host) = observed.hosts.get(&member.name).and_then(|seen| seen.present()) else { continue };
        let Some(at) = host.at else { continue };
        for (place, until) in host.ends_soon() {
            let message = match until.checked_sub(at).map(|left| left / DAY) {
                Some(0) => format!("its certificates end within a day, {place} on {}", Moment(until)),
                Some(days) => format!("its certificates end in {days} days, {place} on {}", Moment(until)),
                None => format!("its certificates have expired, {place} on {}", Moment(until)),
            };
            draft.note(Weight::Warns, Subject::Member(member.name.clone()), message, renewed_by(place));
        }
    }
}

/// Members that this concerns and whose hosts answer. The others of them keep what they have, which is said.
pub(super) fn able<'n, 'a>(
    draft: &mut Draft<'_>,
    standings: &'n Standings<'a>,
    keeps: &str,
    help: &str,
    concerned: impl Fn(&Node<'a>) -> bool,
) -> Vec<&'n Node<'a>> {
    let mut able = Vec::new();
    for node in standings.nodes.iter().filter(|node| node.member.is_some() && concerned(node)) {
        let why = match &node.standing {
            Standing::Answers(_, host) if host.is_member() => {
                able.push(node);
                continue;
            }
            Standing::Answers(..) | Standing::ToMake => continue,
            Standing::Off(_) => "it is off".to_string(),
            Standing::Rejoins(_) => "it is about to change its role".into(),
            Standing::Blocked => {
                let mut told = standings.notes().filter(|note| note.subject.node() == Some(node.name()));
                told.next().map_or_else(|| "it cannot be looked at".into(), |note| note.message)
            }
        };
        let message = format!("keeps {keeps} that it has: {why}");
        draft.note(Weight::Warns, Subject::Member(node.name().clone()), message, help);
    }
    able
}

/// The datastore is saved; then a server at a time, each one back before the next, and a sick one first, which costs no
/// vote. Returns the steps after which all are back.
fn one_by_one(
    draft: &mut Draft<'_>,
    observed: &Observed,
    standings: &Standings<'_>,
    servers: &[&Node<'_>],
) -> Option<Vec<StepId>> {
    let left: Vec<&Node<'_>> = left(observed, servers);
    let names: Vec<&NodeName> = servers.iter().map(|node| node.name()).collect();
    let mut last = saved(draft, observed, &left, "certificates of the control plane are about to be made anew");
    let sick = quorum::before_restart(draft, observed, standings, &names);
    if !left.is_empty() && sick.iter().any(|name| !names.contains(name)) {
        let why = quorum::waiting(observed, standings, &sick);
        draft.note(Weight::Blocks, Subject::Cluster, why, "bring the sick server back first");
        return None;
    }
    let serving = standings.cluster_seen().map(|seen| seen.nodes.values().filter(|node| node.server).count());
    if !left.is_empty() && serving.is_some_and(|serving| serving < 3) {
        let message = "with fewer than three servers the API does not answer while one of them starts again";
        draft.note(Weight::Warns, Subject::Cluster, message, "");
    }
    // Who has new ones already may not go by them yet.
    let went = servers.iter().filter(|node| observed.rotated.contains(node.name()));
    let (first, then): (Vec<_>, Vec<_>) = left.into_iter().partition(|node| sick.contains(node.name()));
    for node in went.copied().chain(first).chain(then) {
        last = vec![one(draft, observed, node, last)];
    }
    Some(last)
}

/// Those that have no new certificates yet.
fn left<'n, 'a>(observed: &Observed, nodes: &[&'n Node<'a>]) -> Vec<&'n Node<'a>> {
    nodes.iter().filter(|node| !observed.rotated.contains(node.name())).copied().collect()
}

/// One member gets new certificates, unless it has them already, and goes by them; returns the step after which it is back.
fn one(draft: &mut Draft<'_>, observed: &Observed, node: &Node<'_>, needs: Vec<StepId>) -> StepId {
    let needs = match observed.rotated.contains(node.name()) {
        true => needs,
        false => vec![renew(draft, node, Reason::Asked("rotate certificates".into()), needs)],
    };
    let settled = settle(draft, node, needs);
    back(draft, node, vec![settled])
}

/// What is saved before anything is touched: only where something is.
pub(super) fn saved(draft: &mut Draft<'_>, observed: &Observed, servers: &[&Node<'_>], why: &str) -> Vec<StepId> {
    let desired = draft.desired;
    if servers.is_empty() || desired.without_backup {
        return Vec::new();
    }
    match saving::healthy(desired, observed, |member| member.recipes.snapshot.clone()) {
        Some((member, host, recipe)) => {
            let reason = Reason::Follows(why.into());
            vec![draft.add(saving::step(member, host, recipe, reason))]
        }
        None => {
            let message = "nothing is saved before: no server is healthy, or its data are in no etcd";
            draft.note(Weight::Warns, Subject::Cluster, message, "");
            Vec::new()
        }
    }
}

/// Nobody answers at the API. Where certificates have expired, that is why, and no server serves before most of them have
/// new ones: so all get theirs first, and are waited for then. Where none has, something else is wrong.
fn offline(draft: &mut Draft<'_>, observed: &Observed, servers: &[&Node<'_>], why: &str) -> Option<Vec<StepId>> {
    let host = |node: &Node<'_>| observed.hosts.get(node.name()).and_then(|seen| seen.present()).cloned();
    let ended = servers.iter().filter_map(|node| Some((node.name(), host(node).filter(HostSeen::has_expired)?)));
    let ended: Vec<(&NodeName, u64)> = ended.filter_map(|(name, seen)| Some((name, seen.ends_first()?.1))).collect();
    let cut = servers.iter().any(|node| observed.rotated.contains(node.name()));
    let Some((name, since)) = ended.iter().min_by_key(|(_, until)| *until) else {
        if cut {
            return Some(over_hosts(draft, observed, servers));
        }
        let message = format!("the cluster cannot be looked at, and no certificate of its servers has expired: {why}");
        draft.note(Weight::Blocks, Subject::Cluster, message, "`kubewright status` tells what keeps it from answering");
        return None;
    };
    let all = draft.desired.servers().count();
    if servers.len() < holders::quorum(all) {
        let message = format!("certificates have expired, and only {} of {all} servers can be reached", servers.len());
        let help = "etcd answers when most of its members have new certificates: bring more servers back first";
        draft.note(Weight::Blocks, Subject::Cluster, message, help);
        return None;
    }
    let message = format!(
        "certificates have expired, on {name} since {}, so nobody answers at the API: they are made anew over the hosts \
         alone, on all servers before any is waited for, and nothing can be saved before",
        Moment(*since)
    );
    draft.note(Weight::Warns, Subject::Cluster, message, "");
    Some(over_hosts(draft, observed, servers))
}

/// All servers get new certificates, one after the other, and are waited for when all have them.
fn over_hosts(draft: &mut Draft<'_>, observed: &Observed, servers: &[&Node<'_>]) -> Vec<StepId> {
    let mut last = Vec::new();
    for node in left(observed, servers) {
        let reason = Reason::Follows("its certificates have expired, or those of the others".into());
        last = vec![renew(draft, node, reason, last)];
    }
    let settled: Vec<StepId> = servers.iter().map(|node| settle(draft, node, last.clone())).collect();
    servers.iter().map(|node| back(draft, node, settled.clone())).collect()
}

/// Agents, as many at once as may be out of service. Where nobody is let in without that, a server lets them in first:
/// they ask for theirs as they did when they joined.
fn roll_agents(
    draft: &mut Draft<'_>,
    observed: &Observed,
    servers: &[&Node<'_>],
    agents: &[&Node<'_>],
    after: &[StepId],
) {
    let mut after = after.to_vec();
    let admits = servers.iter().find_map(|node| Some((*node, recipes(node)?.admit.clone()?)));
    if let Some((node, recipe)) = admits.filter(|_| !left(observed, agents).is_empty()) {
        let reason = Reason::Follows("kubelets ask for certificates, and what lets them in has an end".into());
        after = vec![run(draft, node, "admit", recipe, reason, after, Vec::new())];
    }
    let window = draft.desired.max_unavailable.max(1) as usize;
    let mut ends: Vec<StepId> = Vec::new();
    for (i, node) in agents.iter().enumerate() {
        let before = if i < window { after.clone() } else { vec![ends[i - window].clone()] };
        ends.push(one(draft, observed, node, before));
    }
}

fn renew(draft: &mut Draft<'_>, node: &Node<'_>, reason: Reason, needs: Vec<StepId>) -> StepId {
    let Some(recipe) = recipes(node).map(|recipes| recipes.renewal.renew.clone()) else {
        return id("renew", node.name());
    };
    run(draft, node, "renew", recipe, reason, needs, Vec::new())
}

/// The node goes by what it got.
fn settle(draft: &mut Draft<'_>, node: &Node<'_>, needs: Vec<StepId>) -> StepId {
    let Some(recipe) = recipes(node).map(|recipes| recipes.renewal.settle.clone()) else {
        return id("settle", node.name());
    };
    let reason = Reason::Follows("its certificates are new".into());
    run(draft, node, "settle", recipe, reason, needs, Vec::new())
}

fn back(draft: &mut Draft<'_>, node: &Node<'_>, needs: Vec<StepId>) -> StepId {
    let name = node.name();
    wait_ready(draft, name.to_string(), vec![name.clone()], 1, stage(node), needs)
}
