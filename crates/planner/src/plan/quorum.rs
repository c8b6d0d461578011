//! The arithmetic of etcd: more than half of the voters must be healthy, before, during and after.

use std::collections::BTreeSet;

use kubewright_model::change::Subject;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{ClusterSeen, Observed};
use kubewright_model::plan::Weight;

use super::draft::{Draft, id};
use super::standing::Standings;

/// How many of so many voters must be healthy.
pub(crate) fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

/// The members of a cluster that vote, and those of them that are healthy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Voters<'a> {
    pub(crate) all: BTreeSet<&'a NodeName>,
    pub(crate) healthy: BTreeSet<&'a NodeName>,
}

impl<'a> Voters<'a> {
    pub(crate) fn new(seen: &'a ClusterSeen) -> Self {
        let voters = seen.members.iter().filter(|(_, member)| member.voter);
        let healthy = voters.clone().filter(|(_, member)| member.healthy).map(|(name, _)| name).collect();
        Self { all: voters.map(|(name, _)| name).collect(), healthy }
    }

    /// Whether a member can be taken out: there is quorum to decide it, and quorum among those that stay.
    pub(crate) fn can_lose(&self, name: &NodeName) -> bool {
        let stay = self.all.iter().filter(|voter| **voter != name).count();
        let stay_healthy = self.healthy.iter().filter(|voter| **voter != name).count();
        !self.all.contains(name)
            || (self.healthy.len() >= quorum(self.all.len()) && stay > 0 && stay_healthy >= quorum(stay))
    }

    /// The arithmetic, for people.
    pub(crate) fn words(&self, name: &NodeName) -> String {
        let stay = self.all.iter().filter(|voter| **voter != name).count();
        let stay_healthy = self.healthy.iter().filter(|voter| **voter != name).count();
        format!(
            "{} of {} members of etcd are healthy; without {name} it would be {stay_healthy} of {stay}, and {} are needed",
            self.healthy.len(),
            self.all.len(),
            quorum(stay.max(1)),
        )
    }
}

/// Members of etcd that must be healthy again before a server may be restarted. With one or two servers a restart
/// interrupts the API in any case, so only clusters that could do without the interruption are held back.
pub(super) fn before_restart<'a>(
    draft: &Draft<'_>,
    standings: &Standings<'a>,
    servers: &[&NodeName],
) -> BTreeSet<&'a NodeName> {
    let Some(seen) = standings.cluster_seen() else { return BTreeSet::new() };
    let mut voters = Voters::new(seen);
    voters.all.retain(|name| !draft.has(&id("forget", name)));
    let restarted_healthy = servers.iter().any(|name| voters.healthy.contains(*name));
    let short = voters.all.len() >= 3 && voters.healthy.len() <= quorum(voters.all.len());
    if !restarted_healthy || !short {
        return BTreeSet::new();
    }
    voters.all.difference(&voters.healthy).copied().collect()
}

/// Why no server may be restarted while these members are not healthy.
pub(super) fn waiting(standings: &Standings<'_>, sick: &BTreeSet<&NodeName>) -> String {
    let voters = standings.cluster_seen().map(Voters::new).unwrap_or_default();
    let sick: Vec<&str> = sick.iter().map(|name| name.as_str()).collect();
    format!(
        "waiting for quorum: {} of {} members of etcd are healthy (not: {}), so no other may be restarted",
        voters.healthy.len(),
        voters.all.len(),
        sick.join(", "),
    )
}

/// Those of the nodes that can be made anew without ending the cluster; a note for each that cannot.
pub(super) fn replaceable(draft: &mut Draft<'_>, observed: &Observed, nodes: &[NodeName]) -> BTreeSet<NodeName> {
    let desired = draft.desired;
    let seen = observed.cluster.as_ref().and_then(|seen| seen.present());
    let mut voters = seen.map(Voters::new).unwrap_or_default();
    let mut allowed = BTreeSet::new();
    for name in nodes.iter().filter(|name| desired.machine(name).is_some()) {
        let is_server = desired.servers().any(|member| member.name == *name);
        let last = is_server && seen.is_some() && desired.servers().count() == 1;
        if last || !voters.can_lose(name) {
            let why = if last { "it is the only server".to_string() } else { voters.words(name) };
            let help = "make it healthy again, add a server first, or `kubewright rebuild`";
            draft.note(Weight::Blocks, Subject::Member(name.clone()), format!("cannot be replaced: {why}"), help);
            continue;
        }
        if voters.all.contains(name) && allowed.iter().any(|other| voters.all.contains(other)) {
            let message = "waits for another server to be replaced; servers are replaced one run after the other";
            draft.note(Weight::Warns, Subject::Member(name.clone()), message, "plan again when this run is done");
            continue;
        }
        allowed.insert(name.clone());
    }
    voters.all.retain(|name| !allowed.contains(*name));
    allowed
}
