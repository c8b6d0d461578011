//! What a journal says of each step, put together.

use std::collections::BTreeMap;

use kubewright_model::event::{Event, Outcome, Record};
use kubewright_model::ids::StepId;
use kubewright_model::plan::{Plan, Stage};

/// One step of a run.
pub(super) struct StepStory<'a> {
    pub(super) id: &'a StepId,
    pub(super) title: String,
    /// None for a step that never started, where there is no plan to tell.
    pub(super) stage: Option<Stage>,
    /// Milliseconds that it waited for shared things.
    pub(super) waited: Option<u64>,
    pub(super) started: Option<u64>,
    pub(super) ended: Option<u64>,
    pub(super) outcome: Option<&'a Outcome>,
    /// How often it was tried.
    pub(super) tries: u32,
    /// When it began to wait.
    waits: Option<u64>,
}

impl<'a> StepStory<'a> {
    fn new(id: &'a StepId) -> Self {
        let title = id.to_string();
        let (stage, waited, started, ended, outcome, waits) = (None, None, None, None, None, None);
        Self { id, title, stage, waited, started, ended, outcome, tries: 0, waits }
    }

    /// How long it ran, in milliseconds.
    pub(super) fn took(&self) -> Option<u64> {
        Some(self.ended?.saturating_sub(self.started?))
    }

    fn hear(&mut self, at: u64, event: &'a Event) {
        match event {
            Event::StepWaits { .. } => self.waits = self.waits.or(Some(at)),
            Event::StepStarted { stage, title, .. } => {
                self.stage = Some(*stage);
                self.title.clone_from(title);
                self.started = Some(at);
                self.waited = self.waits.map(|waits| at.saturating_sub(waits));
                self.tries = self.tries.max(1);
            }
            // The attempt that failed, and the one that follows it.
            Event::StepRetries { attempt, .. } => self.tries = self.tries.max(attempt.saturating_add(1)),
            Event::StepEnded { outcome, .. } => {
                self.ended = Some(at);
                self.outcome = Some(outcome);
            }
            _ => {}
        }
    }
}

/// The steps in the order of the plan, where there is one; else in the order in which the journal speaks of them.
pub(super) fn stories<'a>(records: &'a [Record], plan: Option<&'a Plan>) -> Vec<StepStory<'a>> {
    let mut stories: Vec<StepStory<'a>> = Vec::new();
    let mut places: BTreeMap<&'a StepId, usize> = BTreeMap::new();
    for step in plan.into_iter().flat_map(|plan| &plan.steps) {
        places.insert(&step.id, stories.len());
        stories.push(StepStory { title: step.title(), stage: Some(step.stage), ..StepStory::new(&step.id) });
    }
    for record in records {
        let Some(id) = step(&record.event) else { continue };
        let place = *places.entry(id).or_insert_with(|| {
            stories.push(StepStory::new(id));
            stories.len() - 1
        });
        stories[place].hear(record.at, &record.event);
    }
    stories
}

fn step(event: &Event) -> Option<&StepId> {
    match event {
        Event::StepWaits { step, .. }
        | Event::StepStarted { step, .. }
        | Event::StepTells { step, .. }
        | Event::StepRetries { step, .. }
        | Event::HoleFilled { step, .. }
        | Event::StepEnded { step, .. } => Some(step),
        Event::RunStarted { .. }
        | Event::StopAsked { .. }
        | Event::VerifyStarted { .. }
        | Event::VerifyEnded { .. }
        | Event::RunEnded { .. } => None,
    }
}
