//! The bundles of a cluster, as a table and for programs.

use kubewright_engine::backup::catalog::Listed;
use kubewright_engine::sops::{Identities, Sources};
use kubewright_model::bundle::{Kind, Label, Rehearsed, in_bytes};
use kubewright_model::units::Moment;
use serde::Serialize;

use super::{now, with_bundles};
use crate::arguments::backup::List;
use crate::arguments::{Arguments, Output};
use crate::commands::print_json_of;
use crate::problem::{Done, Problem};
use crate::screen::{BAD, CARE, DIM, GOOD, paint, say};
use crate::view::table::{lines, table_keeping};

/// A bundle, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    name: &'a str,
    /// Seconds since 1970.
    made: Moment,
    size: u64,
    /// What stands beside it.
    label: Option<&'a Label>,
    rehearsed: Option<&'a Rehearsed>,
    /// Whether a key that is here opens it, as its label tells.
    opens_here: Option<bool>,
}

#[derive(Serialize)]
struct All<'a> {
    place: String,
    bundles: Vec<Told<'a>>,
}

pub(super) fn run(arguments: &Arguments, wish: &List) -> Result<Done, Problem> {
    let ours = Identities::look(&Sources::of_user()).recipients();
    with_bundles(arguments, &wish.from, wish.output, async |_, listed, shelf, _| {
        match wish.output {
            Output::Json => {
                let bundles = listed.iter().map(|bundle| told(bundle, &ours)).collect();
                print_json_of(arguments.simulated.is_some(), &All { place: shelf.to_string(), bundles })?;
            }
            Output::Text if listed.is_empty() => say!("no bundle of this cluster in {shelf}"),
            Output::Text => {
                let mut table = table_keeping(
                    &["made", "age", "size", "version", "kind", "rehearsed", "opens with"],
                    &["made", "age", "size"],
                );
                let now = now();
                for bundle in &listed {
                    table.add_row(row(bundle, now, &ours));
                }
                say!("{}", lines(&table));
                say!("{}", paint(DIM, format!("in {shelf}")));
            }
        }
        Ok(Done::Well)
    })
}

fn opens_here(bundle: &Listed, ours: &[String]) -> Option<bool> {
    Some(bundle.label.as_ref()?.recipients.iter().any(|recipient| ours.contains(recipient)))
}

fn told<'a>(bundle: &'a Listed, ours: &[String]) -> Told<'a> {
    Told {
        name: bundle.name.file(),
        made: bundle.made,
        size: bundle.size,
        label: bundle.label.as_ref(),
        rehearsed: bundle.rehearsed.as_ref(),
        opens_here: opens_here(bundle, ours),
    }
}

fn row(bundle: &Listed, now: Moment, ours: &[String]) -> [String; 7] {
    let unknown = || "?".to_string();
    let version = bundle.label.as_ref().map_or_else(unknown, |label| label.about.version.to_string());
    let opens = match (opens_here(bundle, ours), &bundle.label) {
        (Some(true), _) => paint(GOOD, "a key here"),
        (_, Some(label)) => paint(CARE, format!("keys of others ({})", label.recipients.len())),
        _ => unknown(),
    };
    let rehearsed = match &bundle.rehearsed {
        None => paint(CARE, "never"),
        Some(it) if it.held => paint(GOOD, format!("{} ago", age(it.at, now))),
        Some(it) => paint(BAD, format!("failed {} ago", age(it.at, now))),
    };
    let size = match &bundle.label {
        Some(label) if label.size != bundle.size => paint(BAD, format!("{} (cut off?)", in_bytes(bundle.size))),
        _ => in_bytes(bundle.size),
    };
    [bundle.made.to_string(), age(bundle.made, now), size, version, kind(bundle), rehearsed, opens]
}

/// What can be made of it: everything, where the datastore is in it; objects alone otherwise.
fn kind(bundle: &Listed) -> String {
    let Some(label) = &bundle.label else { return "?".into() };
    let has = |kind: Kind| label.holds.iter().any(|(held, _)| *held == kind);
    let words = match (has(Kind::Datastore), has(Kind::Object)) {
        (true, true) => "whole",
        (true, false) => "datastore",
        (false, true) => "objects",
        (false, false) => "keys",
    };
    let simulated = if label.about.simulated { " (simulated)" } else { "" };
    format!("{words}{simulated}")
}

/// How long ago something was, in its largest part.
pub(super) fn age(at: Moment, now: Moment) -> String {
    let seconds = now.0.saturating_sub(at.0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
