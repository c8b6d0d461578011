//! Members whose role changes: each leaves the cluster as what it was, its host is set up anew, and it joins as what it
//! is to be. Its machine stays.
//!
//! Agents become servers first: that costs no vote, and may be what lets a server go.

use kubewright_model::change::{Reason, Subject};
use kubewright_model::plan::Weight;

use super::draft::Draft;
use super::leaving::{Leaver, leave};
use super::members::role_is_server;
use super::standing::{Node, Standing, Standings};
use crate::holders::Holders;

/// What a member becomes, for people.
pub(super) fn word(server: bool) -> &'static str {
    if server { "a server" } else { "an agent" }
}

/// Agents that become servers leave.
pub(super) fn promoted(draft: &mut Draft<'_>, standings: &Standings<'_>, holders: &mut Holders<'_>) {
    for node in standings.nodes.iter().filter(|node| rejoins(node) && role_is_server(node)) {
        out(draft, standings, holders, node);
    }
}

/// Servers that become agents leave one after the other, as long as the others decide.
pub(super) fn demoted(draft: &mut Draft<'_>, standings: &Standings<'_>, holders: &mut Holders<'_>) {
    for node in standings.nodes.iter().filter(|node| rejoins(node) && !role_is_server(node)) {
        if let Some(why) = holders.keeps(node.name()) {
            let help = "let it be a server until others are there and healthy, then change its role";
            let message = format!("is a server and cannot become an agent: {why}");
            draft.note(Weight::Blocks, Subject::Member(node.name().clone()), message, help);
            continue;
        }
        out(draft, standings, holders, node);
    }
}

/// Whether a node leaves in one role, and joins in another.
pub(super) fn rejoins(node: &Node<'_>) -> bool {
    matches!(node.standing, Standing::Rejoins(..))
}

fn out(draft: &mut Draft<'_>, standings: &Standings<'_>, holders: &mut Holders<'_>, node: &Node<'_>) {
    let server = role_is_server(node);
    let reason = Reason::Follows(format!("it is {} and becomes {}", word(!server), word(server)));
    let way = Some(node.host.way.clone());
    let leaver = Leaver { name: node.name(), server: !server, machine: None, way, stays: true, reason };
    leave(draft, standings.cluster_seen(), holders, &leaver);
}
