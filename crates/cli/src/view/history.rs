//! Runs of the past.

use kubewright_model::event::{Event, Record, RunEnd};
use kubewright_model::units::Moment;

use crate::screen::{BAD, CARE, DIM, GOOD, duration, paint};

/// A run whose journal cannot be read, in a row.
pub(crate) fn unreadable(run: &str, why: &str) -> [String; 5] {
    [run.to_string(), "?".into(), "?".into(), paint(CARE, format!("cannot be read: {why}")), String::new()]
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
            let only: String = only.iter().map(|word| format!(" --only {word}")).collect();
            (Moment(wall).to_string(), format!("{}{only}{pretend}", asked(ask)))
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

fn asked(ask: &kubewright_model::plan::Ask) -> String {
    use kubewright_model::plan::Ask;
    match ask {
        Ask::Apply => "apply".into(),
        Ask::Replace(nodes) => {
            let nodes: Vec<&str> = nodes.iter().map(kubewright_model::ids::NodeName::as_str).collect();
            format!("replace {}", nodes.join(" "))
        }
        Ask::ReplaceOutdated => "replace --outdated".into(),
        Ask::Rebuild => "rebuild".into(),
        Ask::Destroy => "destroy".into(),
        Ask::Backup => "backup".into(),
    }
}
