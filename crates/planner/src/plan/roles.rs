//! Members whose role changes: each leaves the cluster as what it was, its host is set up anew, and it joins as what it
//! is to be, or becomes a balancer and is a node no more. Its machine stays.
//!
//! Agents become servers first: that costs no vote, and may be what lets a server go.

use kubewright_model::change::{Reason, Subject};
use kubewright_model::observed::HostSeen;
use kubewright_model::plan::Weight;
use kubewright_model::recipe::{Recipe, RecipeStep};

use super::draft::Draft;
use super::hosts;
use super::leaving::{Leaver, leave};
use super::members::{recipes, role_is_server, run};
use super::standing::{Node, Standing, Standings};
use crate::holders::Holders;

/// What a member becomes, for people.
pub(super) fn word(server: bool) -> &'static str {
    if server { "a server" } else { "an agent" }
}

/// What a node becomes that leaves as what it was.
fn becomes(node: &Node<'_>) -> &'static str {
    if node.member.is_none() { "a balancer" } else { word(role_is_server(node)) }
}

/// Whether a node that changes its role was a server.
pub(super) fn was_server(node: &Node<'_>, standings: &Standings<'_>) -> bool {
    let books = || standings.cluster_seen()?.nodes.get(node.name());
    rejoins(node) && node.member.map_or_else(|| books().is_some_and(|seen| seen.server), |it| !it.role.is_server())
}

/// Agents that become something else leave.
pub(super) fn promoted(draft: &mut Draft<'_>, standings: &Standings<'_>, holders: &mut Holders<'_>) {
    for node in standings.nodes.iter().filter(|node| rejoins(node) && !was_server(node, standings)) {
        out(draft, standings, holders, node);
    }
}

/// Servers that become something else leave one after the other, as long as the others decide.
pub(super) fn demoted(draft: &mut Draft<'_>, standings: &Standings<'_>, holders: &mut Holders<'_>) {
    for node in standings.nodes.iter().filter(|node| was_server(node, standings)) {
        if let Some(why) = holders.keeps(node.name()) {
            let help = "let it be a server until others are there and healthy, then change its role";
            let message = format!("is a server and cannot become {}: {why}", becomes(node));
            draft.note(Weight::Blocks, Subject::Member(node.name().clone()), message, help);
            continue;
        }
        out(draft, standings, holders, node);
        if node.member.is_none() {
            let balancer = hosts::set_up(draft, node, Vec::new());
            draft.api.push(balancer);
        }
    }
}

/// Whether a node leaves in one role, and joins in another or not at all.
pub(super) fn rejoins(node: &Node<'_>) -> bool {
    matches!(node.standing, Standing::Rejoins(..))
}

/// What a run left undone of members that was cut off: it costs nothing to do it. While nothing says which cluster a server
/// is of, it begins a second one when it loses its data; a kubelet that does not start with its host is gone with its
/// next boot.
pub(super) fn belong(draft: &mut Draft<'_>, members: &[&Node<'_>]) {
    for node in members.iter().copied().filter(|node| !rejoins(node)) {
        let Some(recipe) = recipes(node).and_then(|recipes| recipes.belong.clone()) else { continue };
        let Some(why) = node.answers().and_then(|host| undone(&recipe, host)) else { continue };
        run(draft, node, "belong", recipe, Reason::Follows(why.into()), Vec::new(), Vec::new());
    }
}

fn undone(recipe: &Recipe, host: &HostSeen) -> Option<&'static str> {
    let begins = host.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.begins);
    let unstarted = |step: &RecipeStep| match step {
        RecipeStep::Start { unit, .. } => host.units.get(unit).is_some_and(|unit| unit.reads.is_none()),
        _ => false,
    };
    if begins {
        return Some("it would begin another cluster if it lost its data");
    }
    (host.is_member() && recipe.steps.iter().any(unstarted)).then_some("a run was cut off right before that")
}

fn out(draft: &mut Draft<'_>, standings: &Standings<'_>, holders: &mut Holders<'_>, node: &Node<'_>) {
    let server = was_server(node, standings);
    let reason = Reason::Follows(format!("it is {} and becomes {}", word(server), becomes(node)));
    let way = Some(node.host.way.clone());
    let leaver = Leaver { name: node.name(), server, machine: None, way, stays: true, reason };
    leave(draft, standings.cluster_seen(), holders, &leaver);
}
