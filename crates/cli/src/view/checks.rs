//! What checks came to: a table with a heading for each group, and below it why some do not hold.

use kubewright_engine::verify::{CheckResult, Part};
use kubewright_model::checked::{grouped, holding};

use super::table::{lines, table};
use crate::hints;
use crate::screen::{BAD, CARE, DIM, GOOD, HEAD, counted, duration, paint, say};

/// Shows what checks came to.
pub(crate) fn show(results: &[CheckResult], pretend: bool) {
    let mut checks = table(&["", "CHECK", "SEEN", "TOOK"]);
    for (group, all) in grouped(results) {
        let held = holding(&all);
        let count = paint(if held == all.len() { GOOD } else { BAD }, format!("{held}/{}", all.len()));
        checks.add_row([String::new(), paint(HEAD, group), count, String::new()]);
        for result in all {
            let took = duration(result.milliseconds());
            checks.add_row([mark(result), result.name.clone(), seen(result), paint(DIM, took)]);
        }
    }
    say!("{}", lines(&checks));
    for result in results {
        why(result);
    }
    let all: Vec<&CheckResult> = results.iter().collect();
    let held = holding(&all);
    let style = if held == all.len() { GOOD } else { BAD };
    let pretend = if pretend { " (simulated)" } else { "" };
    say!("{}{pretend}", paint(style, format!("{held} of {} hold", counted(all.len(), "check"))));
}

fn mark(result: &CheckResult) -> String {
    match (result.checked.holds, &result.checked.warning) {
        (true, None) => paint(GOOD, "✓"),
        (true, Some(_)) => paint(CARE, "!"),
        (false, _) => paint(BAD, "✗"),
    }
}

/// The sum; where several were asked, how many of them are well.
fn seen(result: &CheckResult) -> String {
    let parts = &result.checked.parts;
    match parts.len() {
        0 | 1 => result.checked.saw.clone(),
        all => format!("{}/{all}: {}", parts.iter().filter(|part| part.holds).count(), result.checked.saw),
    }
}

/// Why a check does not hold, or what there is to say although it does.
fn why(result: &CheckResult) {
    let checked = &result.checked;
    if let Some(warning) = checked.warning.as_ref().filter(|_| checked.holds) {
        say!("{} {}: {warning}", paint(CARE, "!"), result.name);
    }
    if checked.holds {
        return;
    }
    say!("{} {} ({})", paint(BAD, "✗"), result.name, result.condition);
    checked.parts.iter().for_each(|part| say!("    {}", told(part)));
    checked.log.iter().for_each(|line| say!("    {}", paint(DIM, format!("│ {line}"))));
    if let Some(hint) = &checked.hint {
        say!("    {} {}", paint(DIM, "→"), hints::runnable(hint));
    }
}

fn told(part: &Part) -> String {
    let mark = if part.holds { paint(GOOD, "✓") } else { paint(BAD, "✗") };
    let at = Some(part.address.as_str()).filter(|at| !at.is_empty()).map(|at| format!(" ({at})")).unwrap_or_default();
    let took = part.milliseconds.map(|took| format!(", {}", duration(took))).unwrap_or_default();
    format!("{mark} {}{at}: {}{took}", part.name, part.saw)
}
