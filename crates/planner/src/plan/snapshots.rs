//! Machines are snapshotted by their provider before what may break them, and the snapshots go when it has not.
//!
//! A snapshot is a way back for one machine by a person's hand, never a step of a plan: of a member of etcd the others know
//! more than its snapshot does. Each is fresh, so what a run leaves behind that was cut off stays until one has succeeded.

use kubewright_model::change::{Reason, Subject};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{Observed, SNAPSHOT_MARK, Seen};
use kubewright_model::plan::{Action, Stage, Step, Weight};

use super::draft::{Draft, id};
use super::members::stage;
use super::rolling::starts_again;
use super::standing::{Node, Standing, Standings};

/// Proxmox takes no longer name. <https://pve.proxmox.com/pve-docs/api-viewer/#/nodes/{node}/qemu/{vmid}/snapshot>
const LONGEST: usize = 40;

/// What a machine has of our snapshots, oldest first.
fn ours<'o>(node: &Node<'_>, observed: &'o Observed) -> &'o [String] {
    let inventory = observed.providers.get(&node.machine.provider).and_then(Seen::present);
    inventory.and_then(|inventory| inventory.snapshots.get(node.name())).map_or(&[], Vec::as_slice)
}

/// The snapshot before an upgrade of a node or a start of its machine, where the spec wants one. Returns what these need.
pub(super) fn before(
    draft: &mut Draft<'_>,
    node: &Node<'_>,
    observed: &Observed,
    upgrade: bool,
    mut needs: Vec<StepId>,
) -> Vec<StepId> {
    if draft.desired.keep_snapshots.is_none() || !(upgrade || starts_again(draft, node)) {
        return needs;
    }
    if !node.machine.body.is_guest() {
        let message = "no snapshot is taken of it: its provider takes none";
        draft.note(Weight::Tells, Subject::Machine(node.name().clone()), message, "");
        return needs;
    }
    let why = if upgrade { "an upgrade follows" } else { "it is started again" };
    // Proxmox locks a machine while its settings change.
    needs.push(id("update", node.name()));
    vec![draft.add(Step {
        id: id("snapshot", node.name()),
        stage: stage(node),
        subject: Subject::Machine(node.name().clone()),
        action: Action::TakeSnapshot {
            provider: node.machine.provider.clone(),
            name: node.name().clone(),
            snapshot: name(draft, node, ours(node, observed), upgrade),
        },
        fields: Vec::new(),
        reason: Reason::Follows(why.into()),
        needs,
        takes: Vec::new(),
        part: String::new(),
    })]
}

/// The next number, and what comes after the snapshot: `kubewright-2-v1-33-5-k3s1`, `kubewright-3-4-cores-16384`.
fn name(draft: &Draft<'_>, node: &Node<'_>, there: &[String], upgrade: bool) -> String {
    let number = |name: &String| name.strip_prefix(SNAPSHOT_MARK)?.split('-').next()?.parse::<u64>().ok();
    let next = there.iter().filter_map(number).max().unwrap_or(0).saturating_add(1);
    let what = match upgrade {
        true => draft.desired.kubernetes.version.to_string(),
        false => {
            let machine = node.machine;
            let memory = machine.memory.map(|memory| memory.mib()).unwrap_or_default();
            format!("{}-cores-{memory}", machine.cores.unwrap_or_default())
        }
    };
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("{SNAPSHOT_MARK}{next}-{what}").chars().map(plain).take(LONGEST).collect()
}

/// The snapshots that go when the node has shown that it works: all but as many of the newest as are kept.
pub(super) fn after(draft: &mut Draft<'_>, node: &Node<'_>, observed: &Observed, needs: Vec<StepId>) {
    let mut all = ours(node, observed).to_vec();
    let taken = draft.steps.iter().rev().find_map(|step| match &step.action {
        Action::TakeSnapshot { name, snapshot, .. } if name == node.name() => Some(snapshot.clone()),
        _ => None,
    });
    all.extend(taken);
    let keep = draft.desired.keep_snapshots.unwrap_or(0) as usize;
    all.truncate(all.len().saturating_sub(keep));
    if all.is_empty() {
        return;
    }
    let stage = if node.member.is_some() { stage(node) } else { Stage::Machines };
    draft.add(Step {
        id: id("unsnapshot", node.name()),
        stage,
        subject: Subject::Machine(node.name().clone()),
        action: Action::DeleteSnapshots {
            provider: node.machine.provider.clone(),
            name: node.name().clone(),
            snapshots: all,
        },
        fields: Vec::new(),
        reason: Reason::Follows(format!("{} works without them", node.name())),
        needs,
        takes: Vec::new(),
        part: String::new(),
    });
}

/// Snapshots that an earlier run did not come to delete, or that are kept no more: they go when their node is Ready.
pub(super) fn left_over(draft: &mut Draft<'_>, observed: &Observed, standings: &Standings<'_>) {
    for node in &standings.nodes {
        let there = matches!(node.standing, Standing::Off(_) | Standing::Answers(..) | Standing::Rejoins(_));
        if !there || draft.has(&id("unsnapshot", node.name())) {
            continue;
        }
        let waits = waits_for(draft, node.name());
        let works = match node.member {
            Some(_) => node.seen.is_some_and(|seen| seen.ready),
            None => node.answers().is_some(),
        };
        let keep = draft.desired.keep_snapshots.unwrap_or(0) as usize;
        match ours(node, observed).len().checked_sub(keep) {
            None | Some(0) => {}
            Some(_) if works || !waits.is_empty() => after(draft, node, observed, waits),
            Some(many) => {
                let message = format!("{many} of its snapshots stay until it works");
                draft.note(Weight::Tells, Subject::Machine(node.name().clone()), message, "");
            }
        }
    }
}

/// The steps of this plan after which a node is Ready.
fn waits_for(draft: &Draft<'_>, node: &NodeName) -> Vec<StepId> {
    let waits = draft.steps.iter().filter(|step| step.readies().contains(node));
    waits.map(|step| step.id.clone()).collect()
}
