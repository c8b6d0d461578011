//! `kubewright explain`.

use kubewright_model::codes::{Code, INDEX};
use kubewright_model::diagnostic::Severity;
use kubewright_model::doctor;

use crate::problem::{Done, Problem};
use crate::screen::{BAD, CARE, DIM, HEAD, columns, paint, say, width, wrapped};
use crate::view::table::{lines, table};

/// Lines of prose are no longer than people read with ease.
const WIDEST: usize = 100;

pub(super) fn run(code: Option<&str>) -> Result<Done, Problem> {
    let Some(code) = code else {
        let mut all = table(&["CODE", "WEIGHT", "ABOUT"]);
        for entry in INDEX {
            all.add_row([entry.code.to_string(), weight(entry.severity), entry.title.to_string()]);
        }
        say!("{}", lines(&all));
        return Ok(Done::Well);
    };
    if let Some(check) = doctor::entry(code) {
        say!("{} {} ({})", paint(HEAD, check.id), paint(HEAD, check.title), check.layer);
        say!("");
        say!("{}", wrapped(check.text, width(columns(), WIDEST)));
        say!("{}", paint(DIM, wrapped(&format!("It looks at {}.", check.looks_at), width(columns(), WIDEST))));
        return Ok(Done::Well);
    }
    let Some(code) = Code::parse(code) else {
        let problem = Problem::new(Done::Usage, format!("there is no code `{code}`"));
        return Err(problem.hint("`kubewright explain` lists all codes; checks of doctor are called as it calls them"));
    };
    let entry = code.entry();
    say!("{} {} ({})", paint(HEAD, entry.code), paint(HEAD, entry.title), weight(entry.severity));
    say!("");
    say!("{}", wrapped(entry.text, width(columns(), WIDEST)));
    Ok(Done::Well)
}

fn weight(severity: Severity) -> String {
    match severity {
        Severity::Error => paint(BAD, "error"),
        Severity::Warning => paint(CARE, "warning"),
    }
}
