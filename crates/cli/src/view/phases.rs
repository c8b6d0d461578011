//! The phases of a rebuild beside those of the last ones.

use kubewright_model::units::Moment;
use kubewright_report::{Phase, Rebuilt};

use super::table::{lines, table};
use crate::screen::{HEAD, duration, paint};

/// Rebuilds that are shown beside the newest: more do not fit into a line, and older ones tell little.
const LAST: usize = 3;

/// What a phase is called.
fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::BackUp => "back up",
        Phase::Destroy => "destroy",
        Phase::Machines => "machines and hosts",
        Phase::Bootstrap => "bootstrap",
        Phase::Network => "network",
        Phase::Secrets => "secrets",
        Phase::AddOns => "add-ons",
        Phase::Applications => "applications",
        Phase::Verify => "verify",
    }
}

/// A table of the newest rebuild and those before it; none where there is no rebuild. Those that were not whole are no
/// measure for another.
pub(crate) fn told(rebuilds: &[Rebuilt]) -> Option<String> {
    let (this, before) = rebuilds.split_last()?;
    let whole = before.iter().rev().filter(|it| it.whole && it.simulated == this.simulated);
    let shown: Vec<&Rebuilt> = std::iter::once(this).chain(whole.take(LAST)).collect();
    let mut heads = vec!["PHASE".to_string(), if this.simulated { "SIMULATED" } else { "THIS RUN" }.to_string()];
    heads.extend(shown.iter().skip(1).map(|it| Moment(it.began).to_string()));
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut rows = table(&heads);
    for phase in Phase::ALL.into_iter().filter(|phase| shown.iter().any(|it| it.took.contains_key(phase))) {
        let took = shown.iter().map(|it| it.took.get(&phase).map(|took| duration(*took)).unwrap_or_default());
        rows.add_row(std::iter::once(name(phase).to_string()).chain(took));
    }
    let totals = shown.iter().map(|it| paint(HEAD, duration(it.total)));
    rows.add_row(std::iter::once(paint(HEAD, "total")).chain(totals));
    let runs = match this.runs {
        1 => String::new(),
        many => format!("\nthis rebuild was cut and gone on with: {many} runs together"),
    };
    Some(lines(&rows) + &runs)
}
