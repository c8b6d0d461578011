//! The page about a cluster: what somebody who has never seen it needs to reach it, read it and keep it running.
//!
//! Everything on it comes from the desired state, so the page cannot say anything that kubewright would not do. What was
//! observed and what was checked are columns of the same tables, left out where nobody looked.

mod access;
mod backups;
mod balancing;
mod components;
mod conditions;
mod diagram;
mod facts;
mod glossary;
mod network;
mod overview;
mod pools;
mod problems;
mod procedures;
mod secrets;
mod storage;
mod talos;
#[cfg(test)]
mod tests;
mod topics;
mod validation;

use kubewright_model::checked::CheckResult;
use kubewright_model::desired::Desired;
use kubewright_model::event::Record;
use kubewright_model::observed::Observed;

pub use validation::validation;

use crate::page::{Document, Line, Page, Piece};
use crate::run::installation;
use crate::words::{Language, Words, fill, marked};
use facts::Facts;

/// What somebody has seen of a cluster: nothing, where nobody has looked.
#[derive(Clone, Copy, Default)]
pub struct Looked<'a> {
    /// What there is: machines and nodes have a state, and load balancers their addresses.
    pub observed: Option<&'a Observed>,
    /// What its checks came to; those that the desired state does not know are left out.
    pub checks: &'a [CheckResult],
    /// The records of the run that has built it, as [`built`](crate::built) finds them.
    pub built: Option<&'a [Record]>,
}

/// The page about a cluster. `spec` is what commands are given of it: its file, and the environment where there is one.
pub fn document(desired: &Desired, looked: &Looked<'_>, language: Language, spec: &str) -> Document {
    let words = language.words();
    let facts = Facts { spec, ..Facts::new(desired, looked.observed) };
    let titles = &words.sections;
    let mut page = Page::default();
    page.paragraph(words.about.intro);
    page.section(titles.about, |page| {
        overview::about(page, &facts, words);
        procedures::quorum(page, &facts, words);
    });
    let title = words.about.title.replace("{name}", desired.cluster.as_str());
    page.section(titles.architecture, |page| {
        page.drawing(&format!("{}: {title}", titles.architecture), diagram::flowchart(&facts, words));
    });
    page.section(titles.machines, |page| {
        overview::machines(page, &facts, words);
        page.part(titles.made, |page| pools::machines(page, &facts, words));
        page.part(titles.set_up, |page| pools::hosts(page, &facts, words));
        page.part(titles.talos, |page| talos::nodes(page, &facts, words));
    });
    page.section(titles.templates, |page| overview::templates(page, &facts, words));
    page.section(titles.network, |page| network::network(page, &facts, words));
    page.section(titles.access, |page| access::access(page, &facts, words));
    page.section(titles.components, |page| {
        components::components(page, &facts, words);
        page.part(titles.versions, |page| components::versions(page, &facts, words));
    });
    page.section(titles.addons, |page| overview::releases(page, &facts, words));
    page.section(titles.namespaces, |page| overview::namespaces(page, &facts, words));
    page.section(titles.storage, |page| storage::storage(page, &facts, words));
    page.section(titles.secrets, |page| secrets::secrets(page, &facts, words));
    page.section(titles.installation, |page| {
        if let Some(records) = looked.built {
            installation(page, records, words);
        }
    });
    page.section(titles.checks, |page| conditions::checks(page, desired, looked.checks, words));
    page.section(titles.backups, |page| backups::backups(page, &facts, words));
    page.section(titles.daily, |page| daily(page, &facts, words));
    page.section(titles.procedures, |page| procedures::procedures(page, &facts, words));
    page.section(titles.problems, |page| problems::problems(page, &facts, words));
    page.section(titles.limits, |page| limits(page, desired, words));
    page.section(titles.glossary, |page| glossary::glossary(page, &facts, words));
    page.section(titles.references, |page| glossary::references(page, &facts));
    page.finish(title, words)
}

/// What is done with the cluster's file, day by day.
fn daily(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let daily = &words.daily;
    // Where it has a name, commands have it.
    if facts.spec.ends_with("FILE") {
        page.paragraph(fill(daily.intro, &[]));
    }
    let commands = [
        ("plan", daily.plan),
        ("apply", daily.apply),
        ("verify", daily.verify),
        ("status", daily.status),
        ("rebuild", daily.rebuild),
        ("destroy", daily.destroy),
    ];
    let width = "kubewright destroy ".len() + facts.spec.chars().count().max(7) + 2;
    let lines = commands.map(|(verb, meaning)| format!("{:<width$}# {meaning}", facts.command(verb)));
    page.code("bash", &lines);
    if facts.desired.protected {
        page.paragraph(daily.protected);
    }
}

/// What this version has no hands for.
fn limits(page: &mut Page, desired: &Desired, words: &Words) {
    let rows = desired.missing.iter().map(|missing| vec![missing.what.as_str().into(), marked(&missing.effect)]);
    page.table(&[words.heads.name, words.heads.effect], rows.collect());
}

/// A name, a path or an address, as code; nothing for nothing.
fn code(text: impl ToString) -> Line {
    let text = text.to_string();
    if text.is_empty() { Line::default() } else { Piece::Code(text).into() }
}

/// Several of them, with commas between.
fn codes(texts: impl IntoIterator<Item = impl ToString>) -> Line {
    let mut line = Line::default();
    for text in texts {
        if !line.is_empty() {
            line = line.and(Piece::Plain(", ".into()));
        }
        line = line.and(Piece::Code(text.to_string()));
    }
    line
}
