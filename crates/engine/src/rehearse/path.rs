//! Which chain of steps took the longest, and what waited for what.

use std::collections::BTreeMap;

use kubewright_model::event::{Event, Record};
use kubewright_model::ids::{LeaseName, StepId};
use kubewright_model::plan::{Plan, Step};
use serde::Serialize;

use crate::execute::durations;

/// A step of the critical path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// The step in words.
    pub title: String,
    /// Milliseconds that it took.
    pub took: u64,
    /// Milliseconds that it could have started and did not, for a shared thing.
    pub waited: u64,
}

/// The chain that ends with the step that ended last: before each step the one that held it up the longest.
pub(super) fn critical(plan: &Plan, records: &[Record]) -> Vec<Link> {
    let spans = durations(records);
    let steps: BTreeMap<&StepId, &Step> = plan.steps.iter().map(|step| (&step.id, step)).collect();
    let waits = waits(records);
    let links = chain(&spans, |id| Some(steps.get(id)?.needs.as_slice())).into_iter().filter_map(|id| {
        let (step, (began, ended)) = (steps.get(&id)?, spans.get(&id)?);
        let waited = waits.get(&id).map_or(0, |(_, since)| began.saturating_sub(*since));
        Some(Link { title: step.title(), took: ended.saturating_sub(*began), waited })
    });
    links.collect()
}

/// The steps that a run would have to be faster at to be faster itself: from the one that ended last back to the one that held each
/// up the longest, in the order in which they ran. `spans` are when each began and ended, `needs` what each needs.
pub fn chain<'n>(spans: &BTreeMap<StepId, (u64, u64)>, needs: impl Fn(&StepId) -> Option<&'n [StepId]>) -> Vec<StepId> {
    let end = |id: &StepId| spans.get(id).map(|span| span.1);
    let mut chain = Vec::new();
    let mut at = spans.iter().max_by_key(|(_, span)| span.1).map(|(step, _)| step);
    while let Some((id, before)) = at.and_then(|id| Some((id, needs(id)?))) {
        chain.push(id.clone());
        at = before.iter().filter(|need| spans.contains_key(*need)).max_by_key(|need| end(need));
    }
    chain.reverse();
    chain
}

/// What each step waited for, and since when.
fn waits(records: &[Record]) -> BTreeMap<StepId, (LeaseName, u64)> {
    let mut waits = BTreeMap::new();
    for record in records {
        if let Event::StepWaits { step, lease } = &record.event {
            waits.entry(step.clone()).or_insert((lease.clone(), record.at));
        }
    }
    waits
}

/// Adds up what was waited for, the longest first.
pub(super) fn add_waits(sum: &mut Vec<(LeaseName, usize, u64)>, records: &[Record]) {
    let spans = durations(records);
    for (step, (lease, since)) in waits(records) {
        let Some((began, _)) = spans.get(&step) else { continue };
        let long = began.saturating_sub(since);
        match sum.iter_mut().find(|(name, ..)| *name == lease) {
            Some((_, steps, all)) => {
                *steps += 1;
                *all += long;
            }
            None => sum.push((lease, 1, long)),
        }
    }
    sum.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
}
