//! Who may hold the cluster's data, and who may go: the one rule that everything which could end a cluster, or begin a
//! second one beside it, goes by.
//!
//! While the cluster answers, its own books say who its servers are. While it does not, whatever is ours may be one of
//! them, unless it was looked at and is none: a machine that is off, or that the spec does not know any more, cannot be
//! asked, and "cannot be asked" is not "holds nothing".
//!
//! One that is off holds nothing where two things agree. The machine itself says that it has never run ([`never_ran`]),
//! which no loss of our own papers can fake: a sleeping cluster whose store was lost shows machines that did run. And no
//! foundation was written down, which is done right before a cluster is begun: it keeps a hand that has told every machine
//! not to start with its hypervisor from looking like a build that was killed. Before a cluster is begun on such a machine
//! the run looks at it once more, as it does at every host that was not there to be seen.
//!
//! [`never_ran`]: crate::diff::machine::never_ran
//!
//! `plan` goes by it when it makes a plan, and `check` once more when the plan is finished.

use std::collections::BTreeSet;

use kubewright_model::desired::{Body, Desired, DesiredMachine};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{ClusterSeen, HostSeen, Observed, Power, Seen};

use crate::diff::machine;

/// How many of so many voters must be healthy.
pub(crate) fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

/// Those that may hold the cluster's data, and what etcd makes of them. It follows a plan: who leaves, who joins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holders<'a> {
    /// Nodes that may hold the data.
    pub(crate) all: BTreeSet<&'a NodeName>,
    /// Members of etcd that vote.
    pub(crate) voters: BTreeSet<&'a NodeName>,
    /// Those of the voters that are healthy.
    pub(crate) healthy: BTreeSet<&'a NodeName>,
    /// The cluster answers, so its books are known.
    answers: bool,
}

impl<'a> Holders<'a> {
    pub(crate) fn new(desired: &'a Desired, observed: &'a Observed) -> Self {
        match observed.cluster.as_ref().and_then(Seen::present) {
            Some(seen) => Self::of_cluster(seen, observed),
            None => Self { all: unasked(desired, observed), ..Self::default() },
        }
    }

    /// By the books of a cluster that answers. A server that was restarted and is not ready yet may answer there with what
    /// it was before, which is about to end: nobody may count on it.
    pub(crate) fn of_cluster(seen: &'a ClusterSeen, observed: &Observed) -> Self {
        let voters = seen.members.iter().filter(|(_, member)| member.voter);
        Self {
            all: servers(seen).collect(),
            healthy: voters
                .clone()
                .filter(|(name, member)| member.healthy && !starting(name, observed))
                .map(|(name, _)| name)
                .collect(),
            voters: voters.map(|(name, _)| name).collect(),
            answers: true,
        }
    }

    /// Whether the cluster sleeps, or may: nobody answers, and somebody may hold its data.
    pub(crate) fn may_sleep(&self) -> bool {
        !self.answers && !self.all.is_empty()
    }

    /// Why this node may not go for good; nothing when the cluster lives on without it.
    pub(crate) fn keeps(&self, name: &NodeName) -> Option<String> {
        if !self.all.contains(name) {
            return None;
        }
        if !self.answers {
            return Some("it may hold the cluster's data, and no server answers that could tell".into());
        }
        if self.all.len() == 1 {
            return Some("it is the only server".into());
        }
        if self.voters.is_empty() {
            return Some("the cluster's data are in SQLite, so no other server has them".into());
        }
        let stay = self.voters.iter().filter(|voter| **voter != name).count();
        let stay_healthy = self.healthy.iter().filter(|voter| **voter != name).count();
        let decides = self.healthy.len() >= quorum(self.voters.len());
        let may = !self.voters.contains(name) || (decides && stay > 0 && stay_healthy >= quorum(stay));
        (!may).then(|| {
            format!(
                "{} of {} members of etcd are healthy; without {name} it would be {stay_healthy} of {stay}, and {} are needed",
                self.healthy.len(),
                self.voters.len(),
                quorum(stay.max(1)),
            )
        })
    }

    /// Whether those that stay decide while this one is silent and still counts.
    pub(crate) fn decide_without(&self, name: &NodeName) -> bool {
        self.healthy.iter().filter(|voter| **voter != name).count() >= quorum(self.voters.len())
    }

    /// It does not answer any more, and is in the books.
    pub(crate) fn silent(&mut self, name: &NodeName) {
        self.healthy.remove(name);
    }

    /// It is out of the books.
    pub(crate) fn left(&mut self, name: &NodeName) {
        self.all.remove(name);
        self.voters.remove(name);
        self.healthy.remove(name);
    }

    /// A server has joined, or is back, and votes.
    pub(crate) fn joined(&mut self, name: &'a NodeName) {
        self.all.insert(name);
        if !self.voters.is_empty() {
            self.voters.insert(name);
            self.healthy.insert(name);
        }
    }
}

/// Why a server may not leave by the books as they are now, whether it falls silent while it is in them or after; nothing when
/// the cluster lives on.
pub fn stays(seen: &ClusterSeen, name: &NodeName, falls_silent: bool) -> Option<String> {
    let nobody = Observed::default();
    let holders = Holders::of_cluster(seen, &nobody);
    let falls = || falls_silent && holders.healthy.contains(name) && !holders.decide_without(name);
    holders.keeps(name).or_else(|| {
        let (healthy, voters) = (holders.healthy.len(), holders.voters.len());
        falls().then(|| {
            let left = healthy.saturating_sub(1);
            format!("{healthy} of {voters} members of etcd are healthy; while {name} is silent {left} are, and {} are needed", quorum(voters))
        })
    })
}

/// Whether the server on this host was started and has not said yet that it is ready.
pub(crate) fn starting(name: &NodeName, observed: &Observed) -> bool {
    let host = observed.hosts.get(name).and_then(Seen::present);
    host.and_then(|host| host.kubernetes.as_ref()).is_some_and(|kubernetes| kubernetes.starting)
}

/// Whether certainly nobody holds a cluster's data, by what was seen of machines and hosts alone.
pub fn nobody(desired: &Desired, observed: &Observed) -> bool {
    unasked(desired, observed).is_empty()
}

/// Whether a cluster answers that was cut off while it was begun: by its books nobody serves but hosts on which that was under
/// way, and of no host is it known that it holds data. It is none yet: it is begun again, from nothing.
pub fn half_begun(desired: &Desired, observed: &Observed, seen: &ClusterSeen) -> bool {
    let host = |name: &NodeName| observed.hosts.get(name).and_then(Seen::present);
    let half = |name: &NodeName| host(name).is_some_and(HostSeen::was_cut);
    nobody(desired, observed) && servers(seen).all(half)
}

/// The servers of a cluster, by its books: nodes, and members of etcd.
pub fn servers(seen: &ClusterSeen) -> impl Iterator<Item = &NodeName> {
    let nodes = seen.nodes.iter().filter(|(_, node)| node.server).map(|(name, _)| name);
    nodes.chain(seen.members.keys())
}

/// Machines of ours that nobody could ask, or that say that they belong to a cluster, while no cluster answers.
fn unasked<'a>(desired: &'a Desired, observed: &'a Observed) -> BTreeSet<&'a NodeName> {
    let wanted = desired.servers().filter(|member| {
        let machine = desired.machine(&member.name);
        machine.is_some_and(|machine| may_hold(machine, observed))
    });
    let elsewhere = machine::doomed(desired, observed).into_iter().chain(machine::moved(desired, observed));
    let unwanted = elsewhere.map(|(name, ..)| name);
    wanted.map(|member| &member.name).chain(unwanted).collect()
}

fn may_hold(machine: &DesiredMachine, observed: &Observed) -> bool {
    match machine::seen(machine, observed) {
        Seen::Absent => false,
        Seen::Unknown(_) => true,
        Seen::Present(seen) if seen.power == Power::Stopped => {
            let begun = !matches!(observed.foundation, None | Some(Seen::Absent));
            begun || !machine::never_ran(machine, seen)
        }
        Seen::Present(_) => match observed.hosts.get(&machine.name) {
            // The last copy of the data may be one that was about to become a member's.
            Some(Seen::Present(host)) => host.is_member() || host.may_vote(),
            // A plan from nothing takes hosts that exist already for clean; the run looks before it begins a cluster.
            None => *machine.body != Body::Existing,
            Some(Seen::Absent | Seen::Unknown(_)) => true,
        },
    }
}
