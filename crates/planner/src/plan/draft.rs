//! A plan in the making.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::change::{FieldChange, Subject};
use kubewright_model::desired::{Desired, DesiredHost, DesiredMachine};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, PlaceName, StepId};
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{HostChange, Note, Stage, Step, Weight};

use super::standing::{Node, Standing, Standings};
use crate::diff::host::differing;
use crate::diff::hypervisors::{hypervisors, lines_file};

/// What to do where the spec forbids that anything is deleted.
pub(super) const UNPROTECT: &str = "take `maintenance.protect` out of the spec first";

/// A plan in the making.
pub(super) struct Draft<'a> {
    /// What the plan is for.
    pub(super) desired: &'a Desired,
    /// Steps so far, in order.
    pub(super) steps: Vec<Step>,
    /// Notes so far.
    pub(super) notes: Vec<Note>,
    /// What must be gone before any machine is made.
    pub(super) before_machines: Vec<StepId>,
    /// The steps after which the API answers at its endpoint; none when it answers already.
    pub(super) api: Vec<StepId>,
    /// The step that lets others in, where nobody may join without that.
    pub(super) admits: Option<StepId>,
    /// The steps after which another server may leave: servers leave one after the other.
    pub(super) left: Vec<StepId>,
    /// Containers that run with other lines than are wished, and what is to be written while each is off.
    pub(super) rewritten: BTreeMap<NodeName, (HostChange, Vec<FieldChange>)>,
    /// The plan begins a new cluster.
    pub(super) begins: bool,
    ids: BTreeSet<StepId>,
    hypervisors: Vec<DesiredHost>,
    /// Where machines are that are somewhere else than the spec has them, or where it has them.
    places: BTreeMap<NodeName, PlaceName>,
    /// The lines of containers, by the hypervisor and the file that they go into: where in `hypervisors` they are.
    raw: BTreeMap<(NodeName, String), (usize, usize)>,
    members: BTreeSet<&'a NodeName>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(desired: &'a Desired) -> Self {
        Self {
            desired,
            steps: Vec::new(),
            notes: Vec::new(),
            before_machines: Vec::new(),
            api: Vec::new(),
            admits: None,
            left: Vec::new(),
            rewritten: BTreeMap::new(),
            begins: false,
            ids: BTreeSet::new(),
            hypervisors: Vec::new(),
            places: BTreeMap::new(),
            raw: BTreeMap::new(),
            members: desired.members.iter().map(|member| &member.name).collect(),
        }
    }

    /// Whether the machine with this name is a node of Kubernetes.
    pub(super) fn is_member(&self, name: &NodeName) -> bool {
        self.members.contains(name)
    }

    /// Looks where containers are, and so where their lines belong; and what lines those have that run.
    pub(super) fn finds(&mut self, observed: &Observed, standings: &Standings<'_>) {
        let places = standings.places();
        self.hypervisors = hypervisors(self.desired, |machine| places.get(&machine.name).copied());
        self.places = places.into_iter().map(|(name, place)| (name.clone(), place.clone())).collect();
        for (at, host) in self.hypervisors.iter().enumerate() {
            let lines = host.resources.iter().enumerate().filter_map(|(line, resource)| match resource {
                HostResource::Lines { path, .. } => Some(((host.name.clone(), path.clone()), (at, line))),
                _ => None,
            });
            self.raw.extend(lines);
        }
        let run = |node: &&Node<'_>| matches!(node.standing, Standing::Answers(..) | Standing::Rejoins(_));
        let rewritten = standings.nodes.iter().filter(run).filter_map(|node| self.rewrites(observed, node));
        self.rewritten = rewritten.collect();
    }

    fn rewrites(&self, observed: &Observed, node: &Node<'_>) -> Option<(NodeName, (HostChange, Vec<FieldChange>))> {
        let (hypervisor, lines) = self.raw_lines(node.machine)?;
        let seen = observed.hosts.get(&hypervisor.name).and_then(Seen::present)?;
        let found = differing(std::slice::from_ref(lines), seen, &observed.filled);
        let fields: Vec<FieldChange> = found.into_iter().map(|difference| difference.field).collect();
        let change = HostChange::making(hypervisor, None, vec![lines.clone()]);
        (!fields.is_empty()).then(|| (node.name().clone(), (change, fields)))
    }

    /// The hypervisor on which a container is or will be, and the lines that go into its configuration there.
    pub(super) fn raw_lines(&self, machine: &DesiredMachine) -> Option<(&DesiredHost, &HostResource)> {
        let place = self.places.get(&machine.name).unwrap_or(&machine.place);
        let (at, line) = *self.raw.get(&(NodeName::new(place.as_str()), lines_file(machine)?))?;
        let host = self.hypervisors.get(at)?;
        Some((host, host.resources.get(line)?))
    }

    /// Hypervisors that need a word from us.
    pub(super) fn hypervisors(&self) -> &[DesiredHost] {
        &self.hypervisors
    }

    /// Adds a step at the end. Needs that are no steps of this plan are true already and fall away.
    pub(super) fn add(&mut self, mut step: Step) -> StepId {
        step.needs.retain(|need| self.ids.contains(need));
        step.needs.sort();
        step.needs.dedup();
        let id = step.id.clone();
        self.ids.insert(id.clone());
        self.steps.push(step);
        id
    }

    /// Puts a step before all others.
    pub(super) fn add_first(&mut self, step: Step) {
        self.ids.insert(step.id.clone());
        self.steps.insert(0, step);
    }

    /// Puts a step right after another one that it needs.
    pub(super) fn add_after(&mut self, other: &StepId, step: Step) -> StepId {
        let id = self.add(step);
        let at = self.steps.iter().position(|step| step.id == *other);
        if let (Some(at), Some(step)) = (at, self.steps.pop()) {
            self.steps.insert(at + 1, step);
        }
        id
    }

    /// Lets steps wait for others, wherever they stand, and puts every step after those that it needs; the order is left
    /// as it is where it may be.
    pub(super) fn also_need(&mut self, mut needs: BTreeMap<StepId, Vec<StepId>>) {
        for step in &mut self.steps {
            step.needs.extend(needs.remove(&step.id).into_iter().flatten());
            step.needs.sort();
            step.needs.dedup();
        }
        let order = self.order();
        let mut steps: Vec<Option<Step>> = std::mem::take(&mut self.steps).into_iter().map(Some).collect();
        self.steps = order.into_iter().filter_map(|at| steps.get_mut(at)?.take()).collect();
        // Steps that need each other would be a mistake of ours, which the proof of the plan finds.
        self.steps.extend(steps.into_iter().flatten());
    }

    /// Where the steps stand, each after those that it needs: of those that may come next, always the first.
    fn order(&self) -> Vec<usize> {
        let mut waiting: BTreeMap<&StepId, Vec<usize>> = BTreeMap::new();
        let mut open: Vec<usize> = self.steps.iter().map(|step| step.needs.len()).collect();
        for (at, step) in self.steps.iter().enumerate() {
            step.needs.iter().for_each(|need| waiting.entry(need).or_default().push(at));
        }
        let mut next: BTreeSet<usize> = (0..open.len()).filter(|at| open[*at] == 0).collect();
        let mut order = Vec::with_capacity(open.len());
        while let Some(at) = next.pop_first() {
            order.push(at);
            for waits in waiting.remove(&self.steps[at].id).into_iter().flatten() {
                open[waits] -= 1;
                next.extend((open[waits] == 0).then_some(waits));
            }
        }
        order
    }

    /// Whether the plan has this step so far.
    pub(super) fn has(&self, id: &StepId) -> bool {
        self.ids.contains(id)
    }

    /// Whether the spec forbids that something of the cluster is deleted; the note says so.
    pub(super) fn protects(&mut self, subject: Subject) -> bool {
        if self.desired.protected {
            self.note(Weight::Blocks, subject, "the cluster is protected", UNPROTECT);
        }
        self.desired.protected
    }

    /// Adds a note.
    pub(super) fn note(&mut self, weight: Weight, subject: Subject, message: impl Into<String>, help: &str) {
        let help = (!help.is_empty()).then(|| help.to_string());
        self.notes.push(Note { weight, subject, message: message.into(), help, stages: Vec::new() });
    }

    /// What was noted last is about the cluster, and not about what its hosts are before they are nodes.
    pub(super) fn about_the_cluster(&mut self) {
        let beyond = |stage: &Stage| !matches!(stage, Stage::Machines | Stage::Hosts);
        if let Some(note) = self.notes.last_mut() {
            note.stages = Stage::ALL.into_iter().filter(beyond).collect();
        }
    }
}

/// The id of a step: its deed and what it is done to.
pub(super) fn id(deed: &str, name: impl std::fmt::Display) -> StepId {
    StepId::new(format!("{deed}/{name}"))
}
