//! Hosts are started again because somebody asks: servers as the quorum allows, agents in a sliding window, each drained
//! before and Ready after.

use std::collections::BTreeSet;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::Desired;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{CORDONED, Observed, Seen};
use kubewright_model::plan::{Action, Ask, Stage, Step, Weight};

use super::draft::{Draft, id};
use super::members::{role_is_server, stage, wait_ready};
use super::rolling::{has_others, uncordon};
use super::standing::{ClusterView, Node, Standing, Standings};
use super::{leaving, quorum, updates};
use crate::holders::Holders;

/// What takes a host out of service for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// It is started again.
    Reboot,
    /// Its packages are upgraded, and it is started again where it wants that.
    Update,
}

impl Deed {
    /// What becomes of hosts, in a few words.
    fn told(self) -> &'static str {
        match self {
            Self::Reboot => "is started again",
            Self::Update => "is upgraded",
        }
    }

    /// The step that does it.
    fn step(self, draft: &mut Draft<'_>, node: &Node<'_>, observed: &Observed, needs: Vec<StepId>) -> StepId {
        match self {
            Self::Reboot => reboot(draft, node, observed, needs),
            Self::Update => updates::step(draft, node, needs),
        }
    }
}

/// Starts these hosts again.
pub(super) fn plan<'a>(desired: &'a Desired, observed: &'a Observed, names: &[NodeName]) -> Draft<'a> {
    of_these(desired, observed, names, names, Deed::Reboot)
}

/// Does something to those of the hosts that were chosen. The others of them may be coming back from a run that was cut off.
pub(super) fn of_these<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
    names: &[NodeName],
    all: &[NodeName],
    deed: Deed,
) -> Draft<'a> {
    let mut draft = Draft::new(desired);
    let holders = Holders::new(desired, observed);
    let standings = Standings::new(desired, observed, &holders, &BTreeSet::new());
    let chosen = chosen(&mut draft, observed, &standings, names);
    let members: Vec<&Node<'_>> =
        standings.nodes.iter().filter(|node| node.member.is_some() && !node.blocked()).collect();
    if let ClusterView::Unknown(why) = &standings.cluster
        && chosen.iter().any(|node| node.member.is_some())
    {
        let message = format!("the cluster cannot be looked at, so no member {}: {why}", deed.told());
        draft.note(Weight::Blocks, Subject::Cluster, message, "`kubewright status` tells what keeps it from answering");
        return draft;
    }
    let back = come_back(&mut draft, &members, &chosen, all);
    let (servers, others): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|node| role_is_server(node));
    let way = Rolling { deed, observed, standings: &standings };
    let (mut agents, balancers): (Vec<_>, Vec<_>) = others.into_iter().partition(|node| node.member.is_some());
    // Who was drained by a run that was cut off is out of service already.
    agents.sort_by_key(|node| !cordoned_by_us(node));
    let Some(after) = way.servers(&mut draft, &members, (servers, back)) else { return draft };
    let mut ends = way.agents(&mut draft, &agents, &after);
    ends.extend(after);
    let alone = updates::lonely(&mut draft, &balancers, observed);
    for balancer in balancers.into_iter().filter(|node| !alone.contains(node.name())) {
        ends = vec![deed.step(&mut draft, balancer, observed, ends)];
    }
    draft
}

/// Members that are not started again, and that a run before this one has drained, or has started again and did not see
/// come back: others wait for them.
fn come_back(draft: &mut Draft<'_>, members: &[&Node<'_>], chosen: &[&Node<'_>], all: &[NodeName]) -> Vec<StepId> {
    let mut back = Vec::new();
    for node in members.iter().filter(|node| !chosen.iter().any(|it| it.name() == node.name())) {
        let mut needs = Vec::new();
        if all.contains(node.name()) && node.seen.is_some_and(|seen| !seen.ready) && node.answers().is_some() {
            needs.push(wait_ready(
                draft,
                node.name().to_string(),
                vec![node.name().clone()],
                1,
                stage(node),
                Vec::new(),
            ));
        }
        let uncordoned = uncordon(draft, node, needs.clone());
        back.extend(uncordoned.map_or(needs, |step| vec![step]));
    }
    back
}

/// Whether a run of ours has cordoned a node, and did not come to uncordon it.
fn cordoned_by_us(node: &Node<'_>) -> bool {
    node.seen.is_some_and(|seen| seen.cordoned && seen.labels.contains_key(CORDONED))
}

/// Those of the nodes that say of themselves that they have to be started again, as a question of its own.
pub(super) fn needed<'a>(desired: &'a Desired, observed: &'a Observed, names: &[NodeName]) -> (Draft<'a>, Ask) {
    let of = |name: &NodeName| observed.hosts.get(name);
    let wants =
        |name: &&NodeName| of(name).and_then(Seen::present).and_then(|seen| seen.boot.as_ref()?.wanted.as_ref());
    let wanting: Vec<NodeName> = names.iter().filter(|name| wants(name).is_some()).cloned().collect();
    let mut draft = of_these(desired, observed, &wanting, names, Deed::Reboot);
    for name in names {
        if let Some(why) = of(name).and_then(Seen::why_unknown) {
            let message = format!("could not be asked whether it has to be started again: {why}");
            draft.note(Weight::Warns, Subject::Host(name.clone()), message, "");
        }
    }
    if wanting.is_empty() {
        let message = "no host that answers says that it has to be started again";
        draft.note(Weight::Tells, Subject::Cluster, message, "");
    }
    (draft, Ask::Reboot(wanting))
}

/// The nodes that can be started again; a note that blocks for each that cannot.
fn chosen<'n, 'a>(
    draft: &mut Draft<'_>,
    observed: &Observed,
    standings: &'n Standings<'a>,
    names: &[NodeName],
) -> Vec<&'n Node<'a>> {
    let mut chosen: Vec<&Node<'_>> = Vec::new();
    for name in names {
        let Some(node) = standings.nodes.iter().find(|node| node.name() == name) else {
            let message = format!("there is no node `{name}` in the spec");
            draft.note(Weight::Blocks, Subject::Host(name.clone()), message, "`kubewright status` lists the nodes");
            continue;
        };
        let told = match (&node.standing, boot(node, observed)) {
            (Standing::Answers(..) | Standing::Rejoins(_), Some(_)) => {
                if !chosen.iter().any(|it| it.name() == name) {
                    chosen.push(node);
                }
                continue;
            }
            (Standing::Answers(..) | Standing::Rejoins(_), None) => {
                "does not tell how it was started, so nobody would know that it was started again".to_string()
            }
            (Standing::ToMake, _) => "is not there yet, so there is nothing to start again".into(),
            (Standing::Off(_), _) => "is off".into(),
            (Standing::Blocked, _) => {
                let mut why = standings.notes().filter(|note| note.subject.node() == Some(name));
                why.next().map_or_else(|| "cannot be looked at".to_string(), |note| note.message)
            }
        };
        draft.note(Weight::Blocks, Subject::Host(name.clone()), told, "`kubewright status` tells more");
    }
    chosen
}

/// How a node's host was started.
fn boot(node: &Node<'_>, observed: &Observed) -> Option<String> {
    Some(observed.hosts.get(node.name())?.present()?.boot.as_ref()?.id.clone())
}

/// How hosts go out of service one after the other, and for what.
struct Rolling<'r, 'a> {
    deed: Deed,
    observed: &'r Observed,
    standings: &'r Standings<'a>,
}

impl Rolling<'_, '_> {
    /// Servers one after the other, each Ready again before the next; sick ones first, which costs no vote. Returns the last
    /// step, or nothing when none may go out of service.
    fn servers(
        &self,
        draft: &mut Draft<'_>,
        members: &[&Node<'_>],
        (servers, after): (Vec<&Node<'_>>, Vec<StepId>),
    ) -> Option<Vec<StepId>> {
        if servers.is_empty() {
            return Some(after);
        }
        let names: Vec<&NodeName> = servers.iter().map(|node| node.name()).collect();
        let mut last = after;
        last.extend(quorum::settle(draft, self.observed, members, &names));
        let sick = quorum::before_restart(draft, self.observed, self.standings, &names);
        // One that an earlier run has started again is waited for first.
        let comes_back = |name: &NodeName| draft.has(&id("ready", name));
        if sick.iter().any(|name| !names.contains(name) && !comes_back(name)) {
            let why = quorum::waiting(self.observed, self.standings, &sick);
            draft.note(Weight::Blocks, Subject::Cluster, why, "bring the sick server back first");
            return None;
        }
        let serving = self.standings.cluster_seen().map(|seen| seen.nodes.values().filter(|node| node.server).count());
        if serving.is_some_and(|serving| serving < 3) {
            let message = "with fewer than three servers the API does not answer while one of them starts again";
            draft.note(Weight::Warns, Subject::Cluster, message, "");
        }
        let (first, then): (Vec<_>, Vec<_>) = servers.into_iter().partition(|node| sick.contains(node.name()));
        for node in first.into_iter().chain(then) {
            last = vec![self.one(draft, node, last)];
        }
        Some(last)
    }

    /// Agents, as many at once as may be out of service; returns the steps after which all are back.
    fn agents(&self, draft: &mut Draft<'_>, agents: &[&Node<'_>], after: &[StepId]) -> Vec<StepId> {
        let window = draft.desired.max_unavailable.max(1) as usize;
        let mut ends: Vec<StepId> = Vec::new();
        for (i, node) in agents.iter().enumerate() {
            let before = if i < window { after.to_vec() } else { vec![ends[i - window].clone()] };
            ends.push(self.one(draft, node, before));
        }
        ends
    }

    /// Takes one member out of service and waits until it is Ready again; returns its last step.
    fn one(&self, draft: &mut Draft<'_>, node: &Node<'_>, mut needs: Vec<StepId>) -> StepId {
        let name = node.name();
        let Some(seen) = node.seen else { return self.deed.step(draft, node, self.observed, needs) };
        // Pods of a node that does not answer are gone with it, and those of the only one have nowhere to go.
        if seen.ready && has_others(self.standings, node) {
            if !seen.cordoned {
                needs = vec![leaving::cordon(draft, name, stage(node), needs)];
            }
            needs = vec![leaving::drain(draft, name, stage(node), needs)];
        }
        let needs = vec![self.deed.step(draft, node, self.observed, needs)];
        let wait = wait_ready(draft, name.to_string(), vec![name.clone()], 1, stage(node), needs);
        uncordon(draft, node, vec![wait.clone()]).unwrap_or(wait)
    }
}

fn reboot(draft: &mut Draft<'_>, node: &Node<'_>, observed: &Observed, needs: Vec<StepId>) -> StepId {
    let name = node.name();
    let seen = observed.hosts.get(name).and_then(Seen::present).and_then(|seen| seen.boot.as_ref());
    let reason = match seen.and_then(|boot| boot.wanted.as_ref()) {
        Some(wanted) => Reason::Follows(format!("it wants to be started again: {wanted}")),
        None => Reason::Asked("reboot".into()),
    };
    draft.add(Step {
        id: id("reboot", name),
        stage: if node.member.is_some() { stage(node) } else { Stage::LoadBalancers },
        subject: Subject::Host(name.clone()),
        action: Action::RebootHost {
            host: name.clone(),
            way: node.host.way.clone(),
            boot: boot(node, observed).unwrap_or_default(),
        },
        fields: Vec::new(),
        reason,
        needs,
        takes: Vec::new(),
        part: String::new(),
    })
}
