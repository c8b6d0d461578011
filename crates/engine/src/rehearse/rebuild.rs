//! A rebuild in a pretend data centre: the cluster stands there, and is saved, taken away, built and proven again.

use kubewright_model::desired::Desired;
use kubewright_model::event::{Record, RunEnd};
use kubewright_model::plan::Ask;

use super::{Script, Stage, why};
use crate::engine::{EngineError, RunReport};
use crate::execute::{Sink, Stop};
use crate::sim::Fault;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Played {
    /// What the run came to.
    pub report: RunReport,
    /// Its records.
    pub records: Vec<Record>,
    /// What was asked of the pretend world that no right plan asks for.
    pub breaches: Vec<String>,
}

impl Played {
    /// Whether everything was as it should be, and every check holds.
    pub fn good(&self) -> bool {
        let holds = self.report.checks.iter().all(|check| check.checked.holds);
        self.report.end == RunEnd::Complete && holds && self.breaches.is_empty()
    }

    /// What was not.
    pub fn wrong(&self) -> Vec<String> {
        let checks = self.report.checks.iter().filter(|check| !check.checked.holds);
        let checks = checks.map(|check| format!("{}: {}", check.name, check.checked.saw));
        why(&self.report).into_iter().chain(checks).chain(self.breaches.clone()).collect()
    }
}

/// Builds the cluster as the spec has it, then plays its rebuild; `faults` go wrong in that, and `sink` hears of it.
///
/// # Errors
///
/// The cluster could not be built, or its rebuild is blocked: then there is nothing to play.
pub async fn rebuild(desired: &Desired, seed: u64, faults: &[Fault], sink: Sink<'_>) -> Result<Played, EngineError> {
    let script = Script { desired, before: None, seed, faults };
    let mut stage = Stage::new(&script);
    let empty = Desired { restores: None, ..desired.clone() };
    let build = stage.request(&empty, Ask::Apply);
    stage.engine.apply(&build, &Stop::default(), &mut |_| {}).await?;
    faults.iter().cloned().for_each(|fault| stage.centre.strike(fault));
    stage.centre.announce_end();
    let mut records = Vec::new();
    let request = stage.request(desired, Ask::Rebuild);
    let report = stage
        .engine
        .apply(&request, &Stop::default(), &mut |record: &Record| {
            records.push(record.clone());
            sink(record);
        })
        .await?;
    let breaches = stage.centre.breaches().into_iter().map(|breach| breach.what).collect();
    Ok(Played { report, records, breaches })
}
