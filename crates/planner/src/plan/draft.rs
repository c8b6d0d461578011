//! A plan in the making.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::change::Subject;
use kubewright_model::desired::{Desired, DesiredHost};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::plan::{Note, Step, Weight};

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
    /// The steps after which another server may leave: servers leave one after the other.
    pub(super) left: Vec<StepId>,
    /// The plan begins a new cluster.
    pub(super) begins: bool,
    ids: BTreeSet<StepId>,
    hypervisors: BTreeMap<&'a str, &'a DesiredHost>,
    /// The lines of containers' files, by the hypervisor and the file.
    lines: BTreeMap<(&'a str, &'a str), &'a HostResource>,
    members: BTreeSet<&'a NodeName>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(desired: &'a Desired) -> Self {
        let hypervisors = || desired.hosts.iter().filter(|host| host.machine.is_none());
        let lines = hypervisors().flat_map(|host| {
            host.resources.iter().filter_map(|resource| match resource {
                HostResource::Lines { path, .. } => Some(((host.name.as_str(), path.as_str()), resource)),
                _ => None,
            })
        });
        Self {
            desired,
            steps: Vec::new(),
            notes: Vec::new(),
            before_machines: Vec::new(),
            api: Vec::new(),
            left: Vec::new(),
            begins: false,
            ids: BTreeSet::new(),
            hypervisors: hypervisors().map(|host| (host.name.as_str(), host)).collect(),
            lines: lines.collect(),
            members: desired.members.iter().map(|member| &member.name).collect(),
        }
    }

    /// Whether the machine with this name is a node of Kubernetes.
    pub(super) fn is_member(&self, name: &NodeName) -> bool {
        self.members.contains(name)
    }

    /// The host of the hypervisor with this name, where the spec wants something of it.
    pub(super) fn hypervisor(&self, place: &str) -> Option<&'a DesiredHost> {
        self.hypervisors.get(place).copied()
    }

    /// The lines of a container's file on this hypervisor.
    pub(super) fn lines(&self, place: &str, path: &str) -> Option<&'a HostResource> {
        self.lines.get(&(place, path)).copied()
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

    /// Whether the plan has this step so far.
    pub(super) fn has(&self, id: &StepId) -> bool {
        self.ids.contains(id)
    }

    /// Whether the spec forbids that something of the cluster is deleted; the note says so.
    pub(super) fn protects(&mut self, subject: Subject) -> bool {
        if self.desired.protected {
            let help = "take `maintenance.protect` out of the spec first";
            self.note(Weight::Blocks, subject, "the cluster is protected", help);
        }
        self.desired.protected
    }

    /// Adds a note.
    pub(super) fn note(&mut self, weight: Weight, subject: Subject, message: impl Into<String>, help: &str) {
        let help = (!help.is_empty()).then(|| help.to_string());
        self.notes.push(Note { weight, subject, message: message.into(), help });
    }
}

/// The id of a step: its deed and what it is done to.
pub(super) fn id(deed: &str, name: impl std::fmt::Display) -> StepId {
    StepId::new(format!("{deed}/{name}"))
}
