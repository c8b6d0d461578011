//! Which steps may start: their needs are done and their leases are free.
//!
//! Counters, not searches: finishing a step touches only the steps that need it and those that wait for its leases, so
//! a plan of fifty thousand steps costs no more for each of them than a small one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kubewright_model::ids::{LeaseName, StepId};
use kubewright_model::plan::Plan;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Running,
    Over,
}

struct Shared {
    width: u16,
    held: u16,
    waiting: BTreeSet<usize>,
}

/// The steps of a plan and what keeps each from starting.
pub(super) struct Ready {
    state: Vec<State>,
    open_needs: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    takes: Vec<Vec<LeaseName>>,
    leases: BTreeMap<LeaseName, Shared>,
    /// Steps whose needs are done, in the order of the plan.
    startable: BTreeSet<usize>,
    newly_waiting: VecDeque<(usize, LeaseName)>,
    told_waiting: BTreeSet<usize>,
}

impl Ready {
    pub(super) fn new(plan: &Plan) -> Self {
        let index: BTreeMap<&StepId, usize> = plan.steps.iter().enumerate().map(|(i, step)| (&step.id, i)).collect();
        let mut ready = Self {
            state: vec![State::Open; plan.steps.len()],
            open_needs: vec![0; plan.steps.len()],
            dependents: vec![Vec::new(); plan.steps.len()],
            takes: plan.steps.iter().map(|step| step.takes.iter().map(|it| it.thing.clone()).collect()).collect(),
            leases: BTreeMap::new(),
            startable: BTreeSet::new(),
            newly_waiting: VecDeque::new(),
            told_waiting: BTreeSet::new(),
        };
        for (i, step) in plan.steps.iter().enumerate() {
            for need in step.needs.iter().filter_map(|need| index.get(need)) {
                ready.dependents[*need].push(i);
                ready.open_needs[i] += 1;
            }
            for lease in &step.takes {
                let shared = Shared { width: lease.width.max(1), held: 0, waiting: BTreeSet::new() };
                ready.leases.entry(lease.thing.clone()).or_insert(shared);
            }
            if ready.open_needs[i] == 0 {
                ready.startable.insert(i);
            }
        }
        ready
    }

    /// The next step that may start; its leases are held from now on. A step that waits for a lease is set aside until
    /// that lease is freed.
    pub(super) fn next(&mut self) -> Option<usize> {
        while let Some(step) = self.startable.pop_first() {
            let full = self.takes[step]
                .iter()
                .find(|name| self.leases.get(*name).is_some_and(|shared| shared.held >= shared.width));
            match full.cloned() {
                Some(name) => {
                    if let Some(shared) = self.leases.get_mut(&name) {
                        shared.waiting.insert(step);
                    }
                    self.pass_on(step);
                    if self.told_waiting.insert(step) {
                        self.newly_waiting.push_back((step, name));
                    }
                }
                None => {
                    for name in &self.takes[step] {
                        if let Some(shared) = self.leases.get_mut(name) {
                            shared.held += 1;
                        }
                    }
                    self.state[step] = State::Running;
                    return Some(step);
                }
            }
        }
        None
    }

    /// Steps that began to wait for a lease since this was asked last.
    pub(super) fn newly_waiting(&mut self) -> impl Iterator<Item = (usize, LeaseName)> {
        std::mem::take(&mut self.newly_waiting).into_iter()
    }

    /// A step ended well: what needs it comes closer, and one that waits for each of its leases may try again.
    pub(super) fn finish(&mut self, step: usize) {
        self.free(step);
        for dependent in std::mem::take(&mut self.dependents[step]) {
            self.open_needs[dependent] -= 1;
            if self.open_needs[dependent] == 0 && self.state[dependent] == State::Open {
                self.startable.insert(dependent);
            }
        }
    }

    /// A step was given up: it is over and not done, so what needs it never starts.
    pub(super) fn give_up(&mut self, step: usize) {
        self.free(step);
    }

    /// A step failed: everything that needs it, directly or not, is over before it began. Returns those.
    pub(super) fn fail(&mut self, step: usize) -> Vec<usize> {
        self.free(step);
        let mut over = Vec::new();
        let mut next = std::mem::take(&mut self.dependents[step]);
        while let Some(dependent) = next.pop() {
            if self.state[dependent] == State::Open {
                self.state[dependent] = State::Over;
                over.push(dependent);
                next.append(&mut self.dependents[dependent]);
            }
        }
        over.sort_unstable();
        over
    }

    /// What a step does not take for want of another lease, somebody else may be waiting for.
    fn pass_on(&mut self, step: usize) {
        for name in &self.takes[step] {
            let Some(shared) = self.leases.get_mut(name).filter(|shared| shared.held < shared.width) else { continue };
            self.startable.extend(shared.waiting.pop_first());
        }
    }

    fn free(&mut self, step: usize) {
        self.state[step] = State::Over;
        for name in &self.takes[step] {
            let Some(shared) = self.leases.get_mut(name) else { continue };
            shared.held -= 1;
            self.startable.extend(shared.waiting.pop_first());
        }
    }

    /// The steps that run.
    pub(super) fn running(&mut self) -> Vec<usize> {
        let running: Vec<usize> = (0..self.state.len()).filter(|step| self.state[*step] == State::Running).collect();
        for step in &running {
            self.state[*step] = State::Over;
        }
        running
    }

    /// The steps that never started.
    pub(super) fn never_started(&self) -> Vec<usize> {
        (0..self.state.len()).filter(|step| self.state[*step] == State::Open).collect()
    }
}

#[cfg(test)]
mod tests {
    use kubewright_model::change::{Reason, Subject};
    use kubewright_model::plan::{Action, Ask, Lease, Stage, Step};

    use super::*;

    fn plan(takes: &[&[&str]]) -> Plan {
        let step = |(at, things): (usize, &&[&str])| Step {
            id: StepId::new(format!("step/{at}")),
            stage: Stage::Machines,
            subject: Subject::Cluster,
            action: Action::ForgetMember("node".into()),
            fields: Vec::new(),
            reason: Reason::Missing,
            needs: Vec::new(),
            takes: things.iter().map(|thing| Lease::new(*thing, 1)).collect(),
            part: String::new(),
        };
        Plan::new("lab".into(), Ask::Apply, takes.iter().enumerate().map(step).collect(), Vec::new())
    }

    #[test]
    fn whoever_waits_for_two_things_keeps_neither_from_others() {
        // The third waits for `a`, then for `b`, which the second still has; the fourth wants `a` alone.
        let mut ready = Ready::new(&plan(&[&["a"], &["b"], &["a", "b"], &["a"]]));
        assert_eq!([ready.next(), ready.next(), ready.next()], [Some(0), Some(1), None]);
        ready.finish(0);
        assert_eq!([ready.next(), ready.next()], [Some(3), None]);
        ready.finish(1);
        assert_eq!(ready.next(), None, "it waits for `a` again");
        ready.finish(3);
        assert_eq!([ready.next(), ready.next()], [Some(2), None]);
        ready.finish(2);
        assert!(ready.never_started().is_empty());
    }
}
