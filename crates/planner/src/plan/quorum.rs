//! Who may be restarted, and who may be made anew: the arithmetic of [`Holders`] for what a plan is about to do.

use std::collections::BTreeSet;

use kubewright_model::change::Subject;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::Observed;
use kubewright_model::plan::Weight;

use super::draft::{Draft, id};
use super::hosts;
use super::standing::{Node, Standings};
use crate::holders::{Holders, quorum, starting};

/// Members of etcd that must be healthy again before a server may be restarted. With one or two servers a restart
/// interrupts the API in any case, so only clusters that could do without the interruption are held back.
pub(super) fn before_restart<'a>(
    draft: &Draft<'_>,
    observed: &Observed,
    standings: &Standings<'a>,
    servers: &[&NodeName],
) -> BTreeSet<&'a NodeName> {
    let Some(seen) = standings.cluster_seen() else { return BTreeSet::new() };
    let mut books = Holders::of_cluster(seen, observed);
    let stays = |name: &&NodeName| !draft.has(&id("forget", name));
    books.voters.retain(stays);
    books.healthy.retain(stays);
    // One that was started and is not ready yet is not counted on. It may answer all the same, and then its vote is lost as any.
    let answers = |name: &&NodeName| seen.members.get(*name).is_some_and(|member| member.healthy);
    let restarted_answers = servers.iter().any(|name| books.voters.contains(*name) && answers(name));
    let short = books.voters.len() >= 3 && books.healthy.len() <= quorum(books.voters.len());
    if !restarted_answers || !short {
        return BTreeSet::new();
    }
    books.voters.difference(&books.healthy).copied().collect()
}

/// Servers that were started and have not said yet that they are ready, beside those that are restarted anyway: what answers
/// there may be what was there before. They are waited for where others are to be restarted, or agents to get a new version.
pub(super) fn settle(
    draft: &mut Draft<'_>,
    observed: &Observed,
    members: &[&Node<'_>],
    servers: &[&NodeName],
) -> Vec<StepId> {
    let upgrades = |node: &&&Node<'_>| hosts::upgrades(draft.desired, node);
    if servers.is_empty() && !members.iter().any(|node| upgrades(&node)) {
        return Vec::new();
    }
    let others = members.iter().filter(|node| !servers.contains(&node.name()) && starting(node.name(), observed));
    others.filter_map(|node| hosts::settle(draft, node)).collect()
}

/// Why no server may be restarted while these members are not healthy.
pub(super) fn waiting(observed: &Observed, standings: &Standings<'_>, sick: &BTreeSet<&NodeName>) -> String {
    let books = standings.cluster_seen().map(|seen| Holders::of_cluster(seen, observed)).unwrap_or_default();
    let sick: Vec<&str> = sick.iter().map(|name| name.as_str()).collect();
    format!(
        "waiting for quorum: {} of {} members of etcd are healthy (not: {}), so no other may be restarted",
        books.healthy.len(),
        books.voters.len(),
        sick.join(", "),
    )
}

/// Those of the nodes that can be made anew without ending the cluster; a note for each that cannot.
pub(super) fn replaceable(draft: &mut Draft<'_>, observed: &Observed, nodes: &[NodeName]) -> BTreeSet<NodeName> {
    let desired = draft.desired;
    let holders = Holders::new(desired, observed);
    let mut allowed = BTreeSet::new();
    let mut server: Option<&NodeName> = None;
    for name in nodes.iter().filter(|name| desired.machine(name).is_some()) {
        if let Some(why) = holders.keeps(name) {
            let help = "make it healthy again, add a server first, or `kubewright rebuild`";
            draft.note(Weight::Blocks, Subject::Member(name.clone()), format!("cannot be replaced: {why}"), help);
            continue;
        }
        if let Some(first) = server.filter(|_| holders.all.contains(name)) {
            let message = format!("servers are replaced one run after the other, and {first} comes first");
            let help = format!("`kubewright replace {first}`; when that is complete, `kubewright replace {name}`");
            draft.note(Weight::Blocks, Subject::Member(name.clone()), message, &help);
            continue;
        }
        if holders.all.contains(name) {
            server = Some(name);
        }
        allowed.insert(name.clone());
    }
    allowed
}
