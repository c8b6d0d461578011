//! The words of the field that the page uses, and where more is to be read.

use super::facts::Facts;
use crate::page::{Page, Piece};
use crate::words::{GLOSSARY, REFERENCES, Words};

/// One row for each term of what the cluster has.
pub(super) fn glossary(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let terms = GLOSSARY.iter().filter(|term| facts.has(term.topic));
    let rows = terms.map(|term| vec![Piece::Strong(words.of(&term.name).into()).into(), words.of(&term.means).into()]);
    page.table(&[words.manual.term, words.manual.meaning], rows.collect());
}

/// The makers' own pages.
pub(super) fn references(page: &mut Page, facts: &Facts<'_>) {
    let there = REFERENCES.iter().filter(|(topic, _)| facts.has(*topic));
    page.list(false, there.map(|(_, address)| Piece::Link((*address).into()).into()));
}
