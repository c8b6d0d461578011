//! What is beside the plan of `kubewright rebuild`: its rehearsal, and its phases beside those of the last ones.

use kubewright_engine::pace::Pace;
use kubewright_engine::rehearse::{Played, rebuild};
use kubewright_engine::{RunReport, sim};
use kubewright_model::desired::{Desired, Saved};
use kubewright_model::event::{Record, RunEnd};
use kubewright_model::ids::ClusterName;
use kubewright_model::plan::Ask;
use kubewright_report::{Rebuilt, rebuilds};

use crate::arguments::Output;
use crate::problem::{Done, Problem};
use crate::screen::{BAD, GOOD, PRETEND, paint, remark, say};
use crate::view;
use crate::view::phases;
use crate::view::progress::Progress;
use crate::world::Site;

/// What chance follows in the rehearsal.
const SEED: u64 = 1;

/// Plays the rebuild in a pretend data centre in which the cluster stands.
pub(super) fn rehearsed(desired: &Desired, pace: Option<f64>) -> Result<Done, Problem> {
    remark!("{}", paint(PRETEND, format!("rehearsing the rebuild of {} in a simulated data centre", desired.cluster)));
    let (mut progress, mut pace) = (Progress::new(), Pace::new(pace));
    // There nothing was cut, and nothing was saved but what is saved there.
    let restores = desired.restores.as_ref().map(|_| Saved::Latest);
    let desired = Desired { from_scratch: true, restores, ..desired.clone() };
    let played = sim::run(rebuild(&desired, SEED, &[], &mut |record: &Record| {
        pace.keep(record, |at| {
            progress.tick(Some(at));
            true
        });
        progress.hear(record);
    }));
    let played = played.map_err(|error| Problem::new(Done::Unfinished, format!("cannot start: {error}")))??;
    say!("{}", paint(PRETEND, "rehearsal: nothing real was touched, and times are simulated"));
    show(&rebuilds([played.records.as_slice()]));
    Ok(judged(&played))
}

fn judged(played: &Played) -> Done {
    let wrong = played.wrong();
    wrong.iter().for_each(|wrong| say!("{} {wrong}", paint(BAD, "✗")));
    match (played.good(), played.report.end) {
        (true, _) => {
            say!("{}", paint(GOOD, "✓ the rebuild went well (simulated)"));
            Done::Well
        }
        (false, RunEnd::Complete) if played.breaches.is_empty() => Done::Unhealthy,
        (false, RunEnd::Complete) => Done::Bug,
        (false, _) => Done::Unfinished,
    }
}

/// Shows what the checks of a rebuild or a restore came to, and the phases of a rebuild beside those of the last ones.
pub(super) fn told(
    site: &Site<'_>,
    cluster: &ClusterName,
    report: &RunReport,
    (ask, output): (&Ask, Output),
    done: Done,
) -> Result<Done, Problem> {
    let unhealthy = report.checks.iter().any(|check| !check.checked.holds);
    if output == Output::Text {
        if unhealthy {
            view::checks::show(&report.checks, site.engine.simulated());
        }
        if *ask == Ask::Rebuild {
            show(&of(site, cluster)?);
        }
    }
    Ok(if done == Done::Well && unhealthy { Done::Unhealthy } else { done })
}

/// The rebuilds of a cluster, oldest first.
pub(super) fn of(site: &Site<'_>, cluster: &ClusterName) -> Result<Vec<Rebuilt>, Problem> {
    Ok(rebuilds(super::documents::journals(site, cluster)?.iter().map(Vec::as_slice)))
}

/// The last of them beside those before.
pub(super) fn show(rebuilds: &[Rebuilt]) {
    if let Some(told) = phases::told(rebuilds) {
        say!("{told}");
    }
}
