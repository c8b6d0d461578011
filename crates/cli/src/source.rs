//! Reading a spec, and showing what is wrong with it at the place where it is wrong.

use std::io::Read as _;
use std::path::Path;

use kubewright_engine::{Engine, Loadout};
use kubewright_model::diagnostic::{Diagnostic, Place, Severity};
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report, Severity as Weight,
};

use crate::mask::masked;
use crate::problem::{Done, Problem};
use crate::screen::{BAD, CARE, counted, paint, remark};

/// The word for standard input in the place of a file.
pub(crate) const STANDARD_INPUT: &str = "-";
/// Lines of a spec that are shown at most; the rest is counted.
const SHOWN: usize = 50;

/// Reads a spec; everything that is wrong with it has been told when this fails.
pub(crate) fn read(path: &Path) -> Result<Loadout, Problem> {
    let text = text(path)?;
    match Engine::load_in(path.parent().unwrap_or(Path::new("")), &text) {
        Ok(loadout) => {
            show(path, &text, &loadout.warnings);
            Ok(loadout)
        }
        Err(found) => {
            show(path, &text, &found);
            Err(Problem::told(Done::Invalid))
        }
    }
}

/// A file's text.
pub(crate) fn text(path: &Path) -> Result<String, Problem> {
    let read = if path == Path::new(STANDARD_INPUT) {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = read.map_err(|error| {
        let problem = Problem::new(Done::Usage, format!("cannot read {}", path.display())).because(error.to_string());
        match error.kind() {
            std::io::ErrorKind::NotFound => problem.hint("`kubewright init` writes a first spec"),
            _ => problem,
        }
    })?;
    String::from_utf8(bytes).map_err(|error| {
        Problem::new(Done::Invalid, format!("{} is not UTF-8 text", path.display())).because(error.to_string())
    })
}

/// Shows diagnostics with their source lines, then counts them.
pub(crate) fn show(path: &Path, text: &str, found: &[Diagnostic]) {
    if found.is_empty() {
        return;
    }
    let masked = masked(text, found);
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_context_lines(1);
    for diagnostic in found.iter().take(SHOWN) {
        let report = report(path, &masked, diagnostic);
        let mut shown = String::new();
        if handler.render_report(&mut shown, report.as_ref()).is_ok() {
            remark!("{}", shown.trim_end());
        }
    }
    if found.len() > SHOWN {
        remark!("… and {} more", found.len() - SHOWN);
    }
    let errors = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    let warnings = found.len() - errors;
    let mut counts = Vec::new();
    if errors > 0 {
        counts.push(paint(BAD, counted(errors, "error")));
    }
    if warnings > 0 {
        counts.push(paint(CARE, counted(warnings, "warning")));
    }
    remark!("{}: {}; `kubewright explain CODE` tells more", path.display(), counts.join(", "));
}

fn report(path: &Path, text: &str, diagnostic: &Diagnostic) -> Report {
    let weight = match diagnostic.severity {
        Severity::Error => Weight::Error,
        Severity::Warning => Weight::Warning,
    };
    let place = diagnostic.path.to_string();
    // Some messages name their place themselves.
    let named = place.is_empty() || diagnostic.message.contains(&place);
    let at = if named { String::new() } else { format!("{place}: ") };
    let mut shown = MietteDiagnostic::new(format!("{at}{}", diagnostic.message))
        .with_code(diagnostic.code.to_string())
        .with_severity(weight);
    if let Some(help) = &diagnostic.help {
        shown = shown.with_help(help.clone());
    }
    if let Some((from, length)) = diagnostic.at.and_then(|at| bytes(text, at)) {
        shown = shown.with_label(LabeledSpan::at(from..from + length, "here"));
    }
    Report::new(shown).with_source_code(NamedSource::new(path.display().to_string(), text.to_string()))
}

/// A place's stretch in bytes.
fn bytes(text: &str, at: Place) -> Option<(usize, usize)> {
    let start: usize = text.split_inclusive('\n').take(at.line - 1).map(str::len).sum();
    let line = text.get(start..)?.lines().next().unwrap_or_default();
    let offset = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let (from, to) = (offset(at.column - 1), offset(at.column - 1 + at.length));
    Some((start + from, to.saturating_sub(from)))
}
