//! What a run's records tell, folded as they come: the same for one that goes on and for one out of a journal.

use std::collections::BTreeMap;

use kubewright_engine::rehearse::chain;
use kubewright_model::event::{Event, Outcome, Record, RunEnd};
use kubewright_model::ids::StepId;
use kubewright_model::plan::Plan;

use crate::api::shapes::{Failed, Run, RunStep, RunSummary, Told, Verified};

/// So many of a step's latest words are kept: a wait that goes on for an hour says the same again and again.
const WORDS: usize = 200;

/// A run so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    summary: RunSummary,
    steps: Vec<RunStep>,
    at: BTreeMap<StepId, usize>,
    /// What each step needs; none where the plan is not known: journals do not have it.
    needs: Option<BTreeMap<StepId, Vec<StepId>>>,
    notes: Vec<String>,
    verify: Option<Verified>,
    checks: usize,
}

impl Story {
    /// A run whose plan is known: its steps stand there before they are heard of.
    pub(crate) fn of(plan: &Plan) -> Self {
        let needs = plan.steps.iter().map(|step| (step.id.clone(), step.needs.clone())).collect();
        let mut story = Self { needs: Some(needs), ..Self::default() };
        for step in &plan.steps {
            story.step(&step.id);
            if let Some(shown) = story.steps.last_mut() {
                shown.stage = step.stage.word().into();
                shown.title = step.title();
                shown.part.clone_from(&step.part);
            }
        }
        story
    }

    /// A run out of its journal. One whose end is not written has died, where nobody works on the cluster.
    pub(crate) fn told(records: &[Record], goes_on: bool) -> Self {
        let mut story = Self::default();
        records.iter().for_each(|record| story.hear(record));
        if !goes_on {
            story.dies();
        }
        story
    }

    /// Nobody writes any more.
    pub(crate) fn dies(&mut self) {
        if self.summary.end.is_none() {
            self.summary.end = Some("died".into());
            for step in &mut self.steps {
                if matches!(step.state, "waiting" | "running") && step.from.is_none() {
                    step.state = "left";
                }
            }
        }
    }

    /// In a few words.
    pub(crate) fn summary(&self) -> &RunSummary {
        &self.summary
    }

    /// The whole.
    pub(crate) fn whole(&self) -> Run {
        let spans = self.steps.iter().filter_map(|step| {
            let from = step.from?;
            Some((StepId::new(step.id.as_str()), (from, step.to.unwrap_or(self.summary.took))))
        });
        let critical = self.needs.as_ref().map(|needs| {
            let steps = chain(&spans.collect(), |step| needs.get(step).map(Vec::as_slice));
            steps.iter().map(ToString::to_string).collect()
        });
        Run {
            summary: self.summary.clone(),
            steps: self.steps.clone(),
            critical,
            verify: self.verify.clone(),
            notes: self.notes.clone(),
        }
    }

    /// Keeps something that no record tells.
    pub(crate) fn note(&mut self, words: String) {
        self.notes.push(words);
    }

    /// What the checks at its end came to.
    pub(crate) fn verified(&self) -> Option<Verified> {
        self.verify.clone()
    }

    fn step(&mut self, id: &StepId) -> &mut RunStep {
        let at = *self.at.entry(id.clone()).or_insert_with(|| {
            self.steps.push(RunStep { id: id.to_string(), state: "waiting", ..RunStep::default() });
            self.steps.len() - 1
        });
        &mut self.steps[at]
    }

    /// Takes in one more record.
    pub(crate) fn hear(&mut self, record: &Record) {
        self.summary.took = record.at;
        match &record.event {
            Event::RunStarted { run, ask, steps, simulated, wall, .. } => {
                self.summary = RunSummary {
                    run: run.to_string(),
                    ask: ask.to_string(),
                    simulated: *simulated,
                    wall: *wall,
                    steps: *steps,
                    took: record.at,
                    ..RunSummary::default()
                };
            }
            Event::StepWaits { step, lease } => self.step(step).waits_for = Some(lease.to_string()),
            Event::StepStarted { step, stage, title, part } => {
                let shown = self.step(step);
                shown.stage = stage.word().into();
                shown.title.clone_from(title);
                shown.part.clone_from(part);
                shown.state = "running";
                shown.from = Some(record.at);
            }
            Event::StepTells { step, message } => tell(self.step(step), record.at, message.clone()),
            Event::StepRetries { step, attempt, after, error } => {
                self.summary.retries += 1;
                let words = format!("attempt {attempt} failed, again in {} s: {error}", after / 1000);
                tell(self.step(step), record.at, words);
            }
            Event::HoleFilled { step, hole } => tell(self.step(step), record.at, format!("learnt {hole}")),
            Event::StepEnded { step, outcome } => self.ends(step, outcome, record.at),
            Event::StopAsked { .. } => {}
            Event::VerifyStarted { checks } => self.checks = *checks,
            Event::VerifyEnded { held, wrong } => {
                self.verify = Some(Verified { held: *held, checks: self.checks, wrong: wrong.clone() });
            }
            Event::RunEnded { end, done, already, failed, left, .. } => {
                self.summary.end = Some(ended(*end).into());
                (self.summary.done, self.summary.already) = (*done, *already);
                (self.summary.failed, self.summary.left) = (*failed, *left);
                self.steps.iter_mut().filter(|step| step.state == "waiting").for_each(|step| step.state = "left");
            }
        }
    }

    fn ends(&mut self, id: &StepId, outcome: &Outcome, at: u64) {
        let counted = match outcome {
            Outcome::Done => &mut self.summary.done,
            Outcome::AlreadyTrue => &mut self.summary.already,
            Outcome::Failed(_) => &mut self.summary.failed,
            Outcome::Skipped { .. } | Outcome::Cancelled => &mut self.summary.left,
        };
        *counted += 1;
        let step = self.step(id);
        if step.from.is_some() {
            step.to = Some(at);
        }
        step.state = match outcome {
            Outcome::Done => "done",
            Outcome::AlreadyTrue => "already",
            Outcome::Failed(_) => "failed",
            Outcome::Skipped { .. } => "skipped",
            Outcome::Cancelled => "cancelled",
        };
        match outcome {
            Outcome::Failed(failure) => {
                let (causes, log, hint) = (failure.causes.clone(), failure.log.clone(), failure.hint.clone());
                step.failure = Some(Failed { causes, log, hint });
            }
            Outcome::Skipped { because } => tell(step, at, format!("left out, because {because} did not end well")),
            Outcome::Done | Outcome::AlreadyTrue | Outcome::Cancelled => {}
        }
    }
}

fn tell(step: &mut RunStep, at: u64, message: String) {
    if step.tells.len() >= WORDS {
        step.tells.remove(0);
    }
    step.tells.push(Told { at, message });
}

fn ended(end: RunEnd) -> &'static str {
    match end {
        RunEnd::Complete => "complete",
        RunEnd::Failed => "failed",
        RunEnd::NotConverged => "notConverged",
        RunEnd::Interrupted => "interrupted",
    }
}
