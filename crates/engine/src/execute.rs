//! Runs a plan: any step whose needs are done and whose leases are free, as many at once as there are.
//!
//! One task owns everything that people see: it starts steps, hears what they tell, writes the journal before and after
//! each, and forwards every event. Steps are futures in the same task, so nothing is shared and nothing is locked. There
//! are no barriers: a step waits for what it needs and for nothing else.

mod deed;
mod ready;
mod stop;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use kubewright_model::event::{EVENT_FORMAT, Event, Failure, Outcome, Record};
use kubewright_model::ids::{HoleName, StepId};
use kubewright_model::plan::{Action, Plan, Step};
use tokio::sync::mpsc;

use crate::store::{Journal, StoreError};

pub use deed::Hands;
use ready::Ready;
pub use stop::Stop;

/// Steps that run at once. Each holds at most one connection; beyond this our own computer's file descriptors and its
/// link are what is waited for.
const STEPS: usize = 256;

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Steps that changed something.
    pub done: usize,
    /// Steps that found everything true.
    pub already: usize,
    /// Steps that failed.
    pub failed: Vec<(StepId, Failure)>,
    /// Steps that never started.
    pub left: usize,
    /// The user stopped the run.
    pub stopped: bool,
}

/// Hears every event after it was journalled.
pub type Sink<'a> = &'a mut dyn FnMut(&Record);

/// Writes events down and passes them on, numbered and timed.
pub struct Recorder<'a> {
    journal: Box<dyn Journal>,
    sink: Sink<'a>,
    seq: u64,
    began: tokio::time::Instant,
}

impl<'a> Recorder<'a> {
    /// Starts counting now.
    pub fn new(journal: Box<dyn Journal>, sink: Sink<'a>) -> Self {
        Self { journal, sink, seq: 0, began: tokio::time::Instant::now() }
    }

    /// Writes an event down, then passes it on.
    ///
    /// # Errors
    ///
    /// The journal could not be written; the event was not passed on.
    pub fn record(&mut self, event: Event) -> Result<(), StoreError> {
        let at = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let record = Record { format: EVENT_FORMAT, seq: self.seq, at, event };
        self.journal.write(&record)?;
        self.seq += 1;
        (self.sink)(&record);
        Ok(())
    }
}

/// What a running step says.
pub(crate) enum Saying {
    Tells(String),
    Retries { attempt: u32, after: Duration, error: String },
    Filled(HoleName),
}

/// Runs a plan to its end, or until it is stopped.
///
/// # Errors
///
/// The journal could not be written: nothing more is begun then.
pub async fn execute(
    plan: &Plan,
    hands: &Hands<'_>,
    stop: &Stop,
    recorder: &mut Recorder<'_>,
) -> Result<Tally, StoreError> {
    let (say, mut said) = mpsc::unbounded_channel::<(usize, Saying)>();
    let mut ready = Ready::new(plan);
    let mut running: FuturesUnordered<LocalBoxFuture<'_, (usize, Outcome)>> = FuturesUnordered::new();
    let mut tally = Tally::default();
    let mut stops = stop.listen();
    let mut asked = stop.asked();
    loop {
        while asked == 0 && running.len() < STEPS {
            let Some(next) = ready.next() else { break };
            let step = &plan.steps[next];
            let (id, title, part) = (step.id.clone(), step.title(), step.part.clone());
            recorder.record(Event::StepStarted { step: id, stage: step.stage, title, part })?;
            running.push(Box::pin(perform(hands, step, next, say.clone(), stop)));
        }
        for (step, lease) in ready.newly_waiting() {
            recorder.record(Event::StepWaits { step: plan.steps[step].id.clone(), lease })?;
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            Some((step, saying)) = said.recv() => {
                recorder.record(event(plan.steps[step].id.clone(), hands.told(saying)))?;
            }
            Some((step, outcome)) = running.next() => {
                // What the step said last comes before its end.
                while let Ok((step, saying)) = said.try_recv() {
                    recorder.record(event(plan.steps[step].id.clone(), hands.told(saying)))?;
                }
                let failed = matches!(outcome, Outcome::Failed(_));
                let over = settle(plan, step, outcome, &mut ready, recorder, &mut tally)?;
                over.into_iter().for_each(|step| hands.over(&plan.steps[step], failed));
            }
            times = stops.heard() => {
                asked = times;
                recorder.record(Event::StopAsked { times })?;
                if times > 1 {
                    // Dropping a step's future gives it up where it stands; the next run looks what became of it.
                    for step in ready.running() {
                        recorder.record(ended(plan, step, Outcome::Cancelled))?;
                    }
                    running = FuturesUnordered::new();
                }
            }
        }
    }
    for step in ready.never_started() {
        recorder.record(ended(plan, step, Outcome::Cancelled))?;
        tally.left += 1;
    }
    tally.stopped = asked > 0;
    Ok(tally)
}

/// Does a step's deed. What only looks is given up as soon as the run is to stop: nothing is left half done by it, and
/// what it waits for may be among the steps that are not begun any more.
async fn perform(
    hands: &Hands<'_>,
    step: &Step,
    place: usize,
    say: mpsc::UnboundedSender<(usize, Saying)>,
    stop: &Stop,
) -> (usize, Outcome) {
    let tell = move |saying| drop(say.send((place, saying)));
    let deed = hands.perform(step, &tell);
    let outcome = match step.action {
        // A remedy that was begun may be begun again.
        Action::Wait { .. } | Action::SettleApplications(_) => tokio::select! {
            biased;
            outcome = deed => outcome,
            () = stop.wanted() => Outcome::Cancelled,
        },
        _ => deed.await,
    };
    (place, outcome)
}

fn event(step: StepId, saying: Saying) -> Event {
    match saying {
        Saying::Tells(message) => Event::StepTells { step, message },
        Saying::Retries { attempt, after, error } => {
            Event::StepRetries { step, attempt, after: u64::try_from(after.as_millis()).unwrap_or(u64::MAX), error }
        }
        Saying::Filled(hole) => Event::HoleFilled { step, hole },
    }
}

fn ended(plan: &Plan, step: usize, outcome: Outcome) -> Event {
    Event::StepEnded { step: plan.steps[step].id.clone(), outcome }
}

/// Writes a step's end down, frees what it held, and leaves out what needed it when it failed. Returns all steps that are
/// over by it.
fn settle(
    plan: &Plan,
    step: usize,
    outcome: Outcome,
    ready: &mut Ready,
    recorder: &mut Recorder<'_>,
    tally: &mut Tally,
) -> Result<Vec<usize>, StoreError> {
    let mut over = vec![step];
    recorder.record(ended(plan, step, outcome.clone()))?;
    match outcome {
        Outcome::Failed(failure) => {
            tally.failed.push((plan.steps[step].id.clone(), failure));
            for skipped in ready.fail(step) {
                let because = plan.steps[step].id.clone();
                recorder.record(ended(plan, skipped, Outcome::Skipped { because }))?;
                tally.left += 1;
                over.push(skipped);
            }
        }
        Outcome::Done => {
            tally.done += 1;
            ready.finish(step);
        }
        Outcome::AlreadyTrue => {
            tally.already += 1;
            ready.finish(step);
        }
        Outcome::Skipped { .. } | Outcome::Cancelled => ready.give_up(step),
    }
    Ok(over)
}

/// Time that each step took, by its id, from a run's records.
pub fn durations(records: &[Record]) -> BTreeMap<StepId, (u64, u64)> {
    let mut spans: BTreeMap<StepId, (u64, u64)> = BTreeMap::new();
    for record in records {
        match &record.event {
            Event::StepStarted { step, .. } => {
                spans.insert(step.clone(), (record.at, record.at));
            }
            Event::StepEnded { step, .. } => {
                if let Some(span) = spans.get_mut(step) {
                    span.1 = record.at;
                }
            }
            _ => {}
        }
    }
    spans
}
