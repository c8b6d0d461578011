//! Runs of the past.

use kubewright_model::event::{Event, Record, RunEnd};
use kubewright_model::units::Moment;
use serde::Serialize;

use crate::screen::{BAD, CARE, DIM, GOOD, duration, paint};

/// A run whose journal cannot be read, in a row.
pub(crate) fn unreadable(run: &str, why: &str) -> [String; 5] {
    [run.to_string(), "?".into(), "?".into(), paint(CARE, format!("cannot be read: {why}")), String::new()]
}

/// How a run ended, or why nobody knows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum End {
    /// It has not ended yet.
    Running,
    /// It has not ended, and nothing goes on with it.
    CutOff,
    /// Its journal cannot be read.
    Unreadable,
    #[serde(untagged)]
    Ended(RunEnd),
}

/// A run for programs. What its journal does not tell is left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Past {
    run: String,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    began: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<String>,
    end: End,
    done: usize,
    failed: usize,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<u64>,
    simulated: bool,
}

impl Past {
    /// As its records tell it, where they can be read. `running` as of [`row`].
    pub(crate) fn of(run: &str, records: Option<&[Record]>, running: bool) -> Self {
        let otherwise = match (records, running) {
            (None, _) => End::Unreadable,
            (Some(_), true) => End::Running,
            (Some(_), false) => End::CutOff,
        };
        let (began, asked, end) = (None, None, otherwise);
        let mut past = Self { run: run.into(), began, asked, end, done: 0, failed: 0, took: None, simulated: false };
        for record in records.unwrap_or_default() {
            match &record.event {
                Event::RunStarted { wall, ask, only, simulated, .. } => {
                    past.began = Some(*wall);
                    past.asked = Some(asked_with(ask, only));
                    past.simulated = *simulated;
                }
                Event::RunEnded { end, done, failed, .. } => {
                    (past.done, past.failed, past.took) = (*done, *failed, Some(record.at));
                    past.end = End::Ended(*end);
                }
                _ => {}
            }
        }
        past
    }
}

/// A run in a row: its name, when it began, what was asked, how it ended, how long it took. `running` tells that a run of
/// this cluster has not ended, and that this is the newest.
pub(crate) fn row(run: &str, records: &[Record], running: bool) -> [String; 5] {
    let began = records.iter().find_map(|record| match &record.event {
        Event::RunStarted { wall, ask, only, simulated, .. } => Some((*wall, ask, only, *simulated)),
        _ => None,
    });
    let ended = records.iter().rev().find_map(|record| match &record.event {
        Event::RunEnded { end, done, failed, .. } => Some((*end, *done, *failed, record.at)),
        _ => None,
    });
    let (when, what) = match began {
        Some((wall, ask, only, simulated)) => {
            let pretend = if simulated { " (simulated)" } else { "" };
            (Moment(wall).to_string(), format!("{}{pretend}", asked_with(ask, only)))
        }
        None => ("?".into(), "?".into()),
    };
    let (how, long) = match ended {
        None if running => (paint(GOOD, "runs"), String::new()),
        None => (paint(CARE, "was cut off"), String::new()),
        Some((end, done, failed, at)) => {
            let words = match end {
                RunEnd::Complete => paint(GOOD, "complete"),
                RunEnd::Failed => paint(BAD, format!("{failed} failed")),
                RunEnd::NotConverged => paint(BAD, "not converged"),
                RunEnd::Interrupted => paint(CARE, "stopped"),
            };
            (format!("{words} {}", paint(DIM, format!("{done} done"))), duration(at))
        }
    };
    [run.to_string(), when, what, how, long]
}

fn asked_with(ask: &kubewright_model::plan::Ask, only: &[String]) -> String {
    let only: String = only.iter().map(|word| format!(" --only {word}")).collect();
    format!("{ask}{only}")
}
