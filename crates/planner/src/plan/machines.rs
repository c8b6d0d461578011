//! Machines are made, changed and turned on; hypervisors get the lines that their API does not accept.

use std::collections::BTreeSet;

use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::desired::{Body, DesiredHost, DesiredMachine};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{ClusterName, ProviderName, StepId};
use kubewright_model::observed::{HostSeen, MachineSeen, Observed, Seen};
use kubewright_model::plan::{Action, HostChange, Lease, Stage, Step, Weight};

use super::cloud;
use super::draft::{Draft, id};
use super::hosts::split;
use super::standing::{ClusterView, Node, Standing, Standings, anew};
use super::templates;
use crate::diff::host::differing;
use crate::diff::{balancers, machine as machine_diff};

/// Proxmox locks a storage's volume group while a clone or an unpacked template is written; more at once only makes
/// all of them run into the lock's time-out.
const CREATES_PER_STORAGE: u16 = 1;
/// One node reads a template for all of its clones: more than two at once only make each of them slower.
const CLONES_PER_TEMPLATE: u16 = 2;
/// Machines started at once on one hypervisor: more make each other's boot slower than one after the other.
const STARTS_PER_PLACE: u16 = 8;

pub(super) fn plan(draft: &mut Draft<'_>, observed: &Observed, standings: &Standings<'_>) {
    let places: BTreeSet<&str> =
        standings.nodes.iter().filter(|node| !node.blocked()).map(|node| node.place().as_str()).collect();
    for host in draft.hypervisors().to_vec().iter().filter(|host| places.contains(host.name.as_str())) {
        hypervisor(draft, observed, host);
    }
    for node in &standings.nodes {
        match &node.standing {
            Standing::Blocked => {}
            Standing::ToMake => {
                create(draft, standings, node);
                raw_lines(draft, node);
                start(draft, node, node.machine.on_boot, Reason::Follows("it was just made".into()));
            }
            Standing::Off(seen) => {
                tell(draft, node, seen);
                raw_lines(draft, node);
                update(draft, node, seen, Stage::Machines, Vec::new());
                start(draft, node, machine_diff::never_ran(node.machine, seen), Reason::Differs);
            }
            Standing::Answers(seen, _) => {
                tell(draft, node, seen);
                if !restarts(draft, node) {
                    update(draft, node, seen, Stage::Machines, Vec::new());
                } else if node.seen.is_none() && !matches!(standings.cluster, ClusterView::Unknown(_)) {
                    // Nothing of Kubernetes works there yet that would have to be moved away, or it stands down first. All others
                    // have their turn.
                    restart(draft, node, Stage::Machines, vec![id("leave", node.name())]);
                }
            }
            Standing::Rejoins(seen) => {
                tell(draft, node, seen);
                update(draft, node, seen, Stage::Machines, Vec::new());
                if draft.rewritten.contains_key(node.name()) {
                    restart(draft, node, Stage::Machines, vec![id("leave", node.name())]);
                }
            }
        }
    }
}

/// What a hypervisor holds for all of its containers, such as kernel modules, is there before any of them starts.
fn hypervisor(draft: &mut Draft<'_>, observed: &Observed, hypervisor: &DesiredHost) {
    let lines = |resource: &&HostResource| matches!(resource, HostResource::Lines { .. });
    let shared: Vec<HostResource> = hypervisor.resources.iter().filter(|it| !lines(it)).cloned().collect();
    let seen = match observed.hosts.get(&hypervisor.name) {
        // Its containers are left alone with it, and their notes say why.
        Some(Seen::Unknown(_)) => return,
        seen => seen.and_then(|seen| seen.present()),
    };
    let nothing = HostSeen::default();
    let (make, fields) = split(differing(&shared, seen.unwrap_or(&nothing), &observed.filled));
    if make.is_empty() {
        return;
    }
    draft.add(Step {
        id: id("hypervisor", &hypervisor.name),
        stage: Stage::Machines,
        subject: Subject::Host(hypervisor.name.clone()),
        action: Action::ChangeHost(HostChange::making(hypervisor, None, make)),
        fields,
        reason: Reason::Differs,
        needs: Vec::new(),
        takes: Vec::new(),
        part: String::new(),
    });
}

/// A machine starts with its hypervisor from its own first start on: a container is not complete without its raw lines,
/// and of any machine this tells that it has never run.
fn create(draft: &mut Draft<'_>, standings: &Standings<'_>, node: &Node<'_>) {
    let machine = &DesiredMachine { on_boot: false, ..node.machine.clone() };
    let mut needs = draft.before_machines.clone();
    needs.push(id("delete", &machine.name));
    let ways = standings.in_the_way.get(&machine.name).into_iter().flatten();
    needs.extend(ways.map(|(name, _)| id("delete", name)));
    needs.extend(templates::before(machine));
    needs.extend(cloud::before(machine));
    draft.add(Step {
        id: id("create", &machine.name),
        stage: Stage::Machines,
        subject: Subject::Machine(machine.name.clone()),
        action: Action::CreateMachine(Box::new(machine.clone())),
        fields: machine_diff::whole(machine),
        reason: Reason::Missing,
        needs,
        takes: leases(machine),
        part: String::new(),
    });
}

/// What a machine's disks are made on, and for a clone what they are made from: its template is on one node, wherever its
/// clones go.
pub(super) fn leases(machine: &DesiredMachine) -> Vec<Lease> {
    let (provider, place) = (&machine.provider, &machine.place);
    let on = |storage: &str| Lease::new(format!("create/{provider}/{place}/{storage}"), CREATES_PER_STORAGE);
    match &*machine.body {
        Body::Lxc(lxc) => vec![on(&lxc.storage)],
        Body::Vm(vm) => {
            let from = vm.template().map(|template| format!("clone/{provider}/{}", template.vmid));
            [on(&vm.storage)].into_iter().chain(from.map(|from| Lease::new(from, CLONES_PER_TEMPLATE))).collect()
        }
        Body::Server(_) | Body::Existing | Body::Local => Vec::new(),
    }
}

/// What of a machine is not as the spec has it, and stays so.
fn tell(draft: &mut Draft<'_>, node: &Node<'_>, seen: &MachineSeen) {
    if seen.place != node.machine.place && *node.machine.body != Body::Existing {
        let message = format!("it is on {} now; it stays the same machine", seen.place);
        draft.note(Weight::Tells, Subject::Machine(node.name().clone()), message, "");
    }
    for message in machine_diff::stays(node.machine, seen) {
        let help = anew(node.machine, draft.desired, "change it at Proxmox by hand");
        draft.note(Weight::Warns, Subject::Machine(node.name().clone()), message, &help);
    }
}

fn update(draft: &mut Draft<'_>, node: &Node<'_>, seen: &MachineSeen, stage: Stage, mut needs: Vec<StepId>) {
    let mut fields = machine_diff::in_place(node.machine, seen);
    if machine_diff::never_ran(node.machine, seen) {
        fields.retain(|field| field.field != "on boot");
    }
    if fields.is_empty() {
        return;
    }
    // What is changed may let its hypervisor start it.
    needs.push(id("raw", node.name()));
    draft.add(Step {
        id: id("update", node.name()),
        stage,
        subject: Subject::Machine(node.name().clone()),
        action: Action::UpdateMachine(Box::new(node.machine.clone())),
        fields,
        reason: Reason::Differs,
        needs,
        takes: Vec::new(),
        part: String::new(),
    });
}

fn start(draft: &mut Draft<'_>, node: &Node<'_>, boots: bool, reason: Reason) {
    // A host that was there before us is cleaned before it is set up anew.
    let mut needs = ["create", "update", "raw", "leave"].map(|deed| id(deed, node.name())).to_vec();
    needs.push(id("hypervisor", node.place()));
    needs.extend(cloud::gate(draft.desired, node.machine).map(|gate| id("start", gate)));
    draft.add(Step {
        id: id("start", node.name()),
        stage: Stage::Machines,
        subject: Subject::Machine(node.name().clone()),
        action: Action::StartMachine {
            provider: node.machine.provider.clone(),
            name: node.name().clone(),
            way: node.host.way.clone(),
            boots,
        },
        fields: Vec::new(),
        reason,
        needs,
        takes: vec![Lease::new(format!("start/{}/{}", node.machine.provider, node.place()), STARTS_PER_PLACE)],
        part: String::new(),
    });
}

/// Whether a machine that works has to be started again for what is wished of it.
pub(super) fn restarts(draft: &Draft<'_>, node: &Node<'_>) -> bool {
    let Standing::Answers(seen, _) = node.standing else { return false };
    machine_diff::needs_start(node.machine, seen) || draft.rewritten.contains_key(node.name())
}

/// Changes a machine that works and starts it again; whoever calls has seen to it that nobody misses it. Some of what is
/// set takes effect at once, a network card for one, so it is not set before.
pub(super) fn restart(draft: &mut Draft<'_>, node: &Node<'_>, stage: Stage, mut needs: Vec<StepId>) -> StepId {
    let mut asleep = Vec::new();
    if let Standing::Answers(seen, _) = &node.standing {
        update(draft, node, seen, stage, needs.clone());
        asleep = machine_diff::while_off(node.machine, seen);
    }
    needs.push(id("update", node.name()));
    let (provider, name, way) = (node.machine.provider.clone(), node.name().clone(), node.host.way.clone());
    let (meanwhile, fields) = draft.rewritten.get(&name).cloned().unzip();
    let fields: Vec<FieldChange> = fields.into_iter().flatten().chain(asleep.clone()).collect();
    let becomes = (!asleep.is_empty()).then(|| Box::new(node.machine.clone()));
    let why = || Reason::Follows("its settings are in force from its next start on".into());
    let reason = if fields.is_empty() { why() } else { Reason::Differs };
    draft.add(Step {
        id: id("restart", node.name()),
        stage,
        subject: Subject::Machine(node.name().clone()),
        action: Action::RestartMachine { provider, name, way, meanwhile, becomes },
        fields,
        reason,
        needs,
        takes: vec![Lease::new(format!("start/{}/{}", node.machine.provider, node.place()), STARTS_PER_PLACE)],
        part: String::new(),
    })
}

/// The block of a container's configuration, which goes to the hypervisor's file between creation and start. Each
/// container has its own step, so that none waits for another's creation.
fn raw_lines(draft: &mut Draft<'_>, node: &Node<'_>) {
    let Some((hypervisor, resource)) = draft.raw_lines(node.machine) else { return };
    let takes = vec![Lease::new(format!("hypervisor/{}", hypervisor.name), STARTS_PER_PLACE)];
    let change = HostChange::making(hypervisor, None, vec![resource.clone()]);
    draft.add(Step {
        id: id("raw", node.name()),
        stage: Stage::Machines,
        subject: Subject::Machine(node.name().clone()),
        action: Action::ChangeHost(change),
        fields: Vec::new(),
        reason: Reason::Follows(format!("the API does not accept these lines for {}", node.name())),
        needs: vec![id("create", node.name())],
        takes,
        part: String::new(),
    });
}

/// Load balancers that a provider runs.
pub(super) fn load_balancers(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    for wish in &desired.load_balancers {
        let made: Vec<StepId> =
            wish.targets.iter().map(|target| id("create", target)).filter(|it| draft.has(it)).collect();
        // A server that is made anew is another target, and the one that it was before is gone with it.
        let named = wish.settings.selector.is_none();
        let anew = || {
            let blind = observed.providers.get(&wish.provider).is_none_or(|seen| seen.present().is_none());
            let why = Reason::Follows("servers behind it are made".into());
            (named && !made.is_empty() && !blind).then(|| (Vec::new(), why))
        };
        let Some((fields, reason)) = balancers::differing(wish, observed).or_else(anew) else { continue };
        draft.add(Step {
            id: id("balance", &wish.name),
            stage: Stage::LoadBalancers,
            subject: Subject::LoadBalancer(wish.name.clone()),
            action: Action::SetLoadBalancer(Box::new(wish.clone())),
            fields,
            reason,
            needs: cloud::before_balancer(wish).into_iter().chain(made).collect(),
            takes: Vec::new(),
            part: String::new(),
        });
    }
}

/// Load balancers that are in the spec no more go when everybody has found what stands in their place.
pub(super) fn unwanted_balancers(draft: &mut Draft<'_>, observed: &Observed) {
    for (provider, name) in balancers::unwanted(draft.desired, observed) {
        if !draft.protects(Subject::LoadBalancer(name.clone())) {
            unbalance(draft, provider, name, Stage::LoadBalancers, Reason::NotInSpec);
        }
    }
}

/// A provider's load balancer goes.
pub(super) fn unbalance(
    draft: &mut Draft<'_>,
    provider: &ProviderName,
    name: &ClusterName,
    stage: Stage,
    reason: Reason,
) {
    let moves = |step: &&Step| {
        matches!(
            step.action,
            Action::SetLoadBalancer(_) | Action::ChangeHost(_) | Action::RunRecipe { .. } | Action::Wait { .. }
        )
    };
    let needs = draft.steps.iter().filter(moves).map(|step| step.id.clone()).collect();
    draft.add(Step {
        id: id("unbalance", name),
        stage,
        subject: Subject::LoadBalancer(name.clone()),
        action: Action::DeleteLoadBalancer { provider: provider.clone(), name: name.clone() },
        fields: Vec::new(),
        reason,
        needs,
        takes: Vec::new(),
        part: String::new(),
    });
}
