//! Packages of the operating system are upgraded in the rolling way: a host at a time where it is a server or a balancer,
//! agents a few at a time, each drained before, started again where it wants that, and Ready after.

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::{Desired, OsUpdates};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{HostSeen, Observed, Seen};
use kubewright_model::plan::{Action, Ask, Stage, Step, Weight};

use super::draft::{Draft, id};
use super::members::stage;
use super::reboot::{Deed, of_these};
use super::standing::{Node, Standing};

/// Upgrades the packages of those of these hosts on which any wait, or that want to be started again, as a question of its
/// own.
pub(super) fn plan<'a>(desired: &'a Desired, observed: &'a Observed, names: &[NodeName]) -> (Draft<'a>, Ask) {
    let host = |name: &NodeName| desired.hosts.iter().find(|host| host.name == *name);
    let (talos, names): (Vec<&NodeName>, Vec<&NodeName>) =
        names.iter().partition(|name| host(name).is_some_and(|host| host.way.talos.is_some()));
    let names: Vec<NodeName> = names.into_iter().cloned().collect();
    // Whom nobody could ask is among them, and is told of as whoever cannot be upgraded.
    let wants = |name: &&NodeName| match observed.hosts.get(*name).and_then(Seen::present) {
        Some(seen) => why(seen).is_some() || seen.updates.is_none(),
        None => true,
    };
    let wanting: Vec<NodeName> = names.iter().filter(wants).cloned().collect();
    let mut draft = of_these(desired, observed, &wanting, &names, Deed::Update);
    if !talos.is_empty() {
        let message = "Talos has no packages: its version is its operating system";
        draft.note(Weight::Tells, Subject::Cluster, message, "write another `kubernetes.talos.version`, and apply");
    }
    if wanting.is_empty() && !names.is_empty() {
        draft.note(Weight::Tells, Subject::Cluster, "no package waits for an update on any of these hosts", "");
    }
    (draft, Ask::UpdateOs(wanting))
}

/// Why a host is to be upgraded; none where nothing waits, or nobody asked.
fn why(seen: &HostSeen) -> Option<String> {
    let waiting = seen.updates.as_ref().filter(|updates| !updates.waiting.is_empty());
    let wanted = seen.boot.as_ref().and_then(|boot| boot.wanted.as_ref());
    match (waiting, wanted) {
        (Some(updates), _) if updates.waiting.len() == 1 => Some(format!("{} waits for an update", updates.named())),
        (Some(updates), _) => Some(format!("{} packages wait: {}", updates.waiting.len(), updates.named())),
        (None, Some(wanted)) => Some(format!("it wants to be started again: {wanted}")),
        (None, None) => None,
    }
}

/// Whether the spec wants the packages of a host that works to be upgraded, and some wait.
pub(super) fn waits(draft: &Draft<'_>, node: &Node<'_>) -> bool {
    draft.desired.os_updates == OsUpdates::Make && node.answers().and_then(why).is_some()
}

/// The step that upgrades a host's packages, where the spec wants that: of one that works when some wait, and of a new one
/// before anything else is done to it.
pub(super) fn first(draft: &mut Draft<'_>, node: &Node<'_>, needs: Vec<StepId>) -> Option<StepId> {
    let new = !matches!(node.standing, Standing::Answers(..));
    let wished = draft.desired.os_updates == OsUpdates::Make && node.host.way.talos.is_none();
    (wished && (new || waits(draft, node))).then(|| step(draft, node, needs))
}

/// The step that upgrades a host's packages.
pub(super) fn step(draft: &mut Draft<'_>, node: &Node<'_>, needs: Vec<StepId>) -> StepId {
    let name = node.name();
    let reason = match (node.answers(), node.answers().and_then(why)) {
        (_, Some(why)) => Reason::Follows(why),
        (None, None) => Reason::Follows("it is new".into()),
        (Some(_), None) => Reason::Asked("update-os".into()),
    };
    draft.add(Step {
        id: id("packages", name),
        stage: match node.member {
            Some(_) if node.seen.is_some() => stage(node),
            Some(_) => Stage::Hosts,
            None => Stage::LoadBalancers,
        },
        subject: Subject::Host(name.clone()),
        action: Action::UpdateHost { host: name.clone(), way: node.host.way.clone() },
        fields: Vec::new(),
        reason,
        needs,
        takes: Vec::new(),
        part: if node.member.is_some() { String::new() } else { crate::only::HAPROXY.into() },
    })
}

/// Hosts of balancers that hand one address on to each other: none of them is upgraded while another one does not answer.
pub(super) fn lonely<'n>(draft: &mut Draft<'_>, balancers: &[&'n Node<'n>], observed: &Observed) -> Vec<NodeName> {
    let silent = |host: &&kubewright_model::desired::DesiredHost| {
        let balances =
            host.machine.as_ref().is_some_and(|name| !draft.desired.members.iter().any(|it| it.name == *name));
        balances && observed.hosts.get(&host.name).is_none_or(|seen| seen.present().is_none())
    };
    let silent: Vec<NodeName> = draft.desired.hosts.iter().filter(silent).map(|host| host.name.clone()).collect();
    let alone: Vec<NodeName> = match silent.is_empty() {
        true => Vec::new(),
        false => balancers.iter().map(|node| node.name().clone()).collect(),
    };
    for name in &alone {
        let others = silent.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let message =
            format!("it stays in service: nobody would balance in its place, because {others} does not answer");
        draft.note(Weight::Warns, Subject::Host(name.clone()), message, "bring that back first");
    }
    alone
}
