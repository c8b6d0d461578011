//! The journal of a run: what was begun and how it ended.
//!
//! It is for finding out, never for undoing: recovery is to look and plan again. A journal is read back into
//! [`Progress`], whose status is a total function that refuses what cannot have happened.

use std::collections::BTreeMap;

use kubewright_model::event::{Event, Outcome, Record, RunEnd};
use kubewright_model::ids::StepId;

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits for a shared thing.
    Waiting,
    /// It runs; in the journal of a run that died, it may have done its deed or not.
    Running,
    /// It ended.
    Ended(Outcome),
}

/// What a journal tells of a run.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Each step that was heard of.
    pub steps: BTreeMap<StepId, Status>,
    /// How the run ended; none while it runs, or when it died.
    pub end: Option<RunEnd>,
    next: u64,
    started: bool,
}

/// A record that cannot have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} cannot follow: {why}")]
pub struct Illegal {
    /// The record's place.
    pub seq: u64,
    /// Why it cannot follow.
    pub why: String,
}

impl Progress {
    /// Reads a journal from its beginning.
    ///
    /// # Errors
    ///
    /// The first record that cannot have happened.
    pub fn replay(records: &[Record]) -> Result<Self, Illegal> {
        let mut progress = Self::default();
        records.iter().try_for_each(|record| progress.hear(record))?;
        Ok(progress)
    }

    /// Takes in one more record.
    ///
    /// # Errors
    ///
    /// The record cannot follow what was heard before.
    pub fn hear(&mut self, record: &Record) -> Result<(), Illegal> {
        let illegal = |why: String| Err(Illegal { seq: record.seq, why });
        if record.seq != self.next {
            return illegal(format!("record {} was expected", self.next));
        }
        let begins = matches!(record.event, Event::RunStarted { .. });
        if begins == self.started || self.end.is_some() {
            return illegal("the run has not begun, begins twice, or has ended".into());
        }
        self.next += 1;
        self.started = true;
        match &record.event {
            Event::RunStarted { .. }
            | Event::StopAsked { .. }
            | Event::VerifyStarted { .. }
            | Event::VerifyEnded { .. } => Ok(()),
            Event::RunEnded { end, .. } => {
                self.end = Some(*end);
                Ok(())
            }
            Event::StepWaits { step, .. }
            | Event::StepStarted { step, .. }
            | Event::StepTells { step, .. }
            | Event::StepRetries { step, .. }
            | Event::HoleFilled { step, .. }
            | Event::StepEnded { step, .. } => match next(self.steps.get(step), &record.event) {
                Some(status) => {
                    self.steps.insert(step.clone(), status);
                    Ok(())
                }
                None => illegal(format!("step {step} is {:?}", self.steps.get(step))),
            },
        }
    }
}

/// A step's next status, or none where the event cannot happen.
fn next(status: Option<&Status>, event: &Event) -> Option<Status> {
    match (status, event) {
        (None, Event::StepWaits { .. }) => Some(Status::Waiting),
        (None | Some(Status::Waiting), Event::StepStarted { .. }) => Some(Status::Running),
        // What never started can only be left out.
        (None | Some(Status::Waiting), Event::StepEnded { outcome, .. }) => match outcome {
            Outcome::Skipped { .. } | Outcome::Cancelled => Some(Status::Ended(outcome.clone())),
            Outcome::Done | Outcome::AlreadyTrue | Outcome::Failed(_) => None,
        },
        (Some(Status::Running), Event::StepTells { .. } | Event::StepRetries { .. } | Event::HoleFilled { .. }) => {
            Some(Status::Running)
        }
        (Some(Status::Running), Event::StepEnded { outcome, .. }) => Some(Status::Ended(outcome.clone())),
        _ => None,
    }
}
