//! The documents of kubewright on paper: a [`Document`] as PDF.
//!
//! Pages are set by Typst, with one template (`document.typ`) that is ours and fixed. The document reaches it as data, a
//! tree in a virtual file, so no text of a user is ever markup. A room of its own, because whoever needs no PDF should not
//! have to build what sets one.
//!
//! # Invariants
//!
//! - Pure: the template, its fonts and the document are all that it sees. No files, no clock, no network; same document, same
//!   bytes.
//! - Tagged, with its language and its titles, for those who listen to it. It claims PDF/UA-1 where every rule of that holds
//!   that a program can judge.

mod paper;

use kubewright_report::Document;
use typst::foundations::Smart;
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards};

use paper::Paper;

/// Why there is no PDF. The template is fixed, so whoever sees this has found a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("the document cannot be set on pages: {0}")]
pub struct Error(String);

/// A document as a PDF on A4.
///
/// Letters that the fonts inside the program do not have (Latin, Greek and Cyrillic are there) are shown as empty boxes.
///
/// # Errors
///
/// When the layout refuses the document.
pub fn pdf(document: &Document) -> Result<Vec<u8>, Error> {
    set(&document.tree())
}

/// A tree of values, as [`Document::tree`] gives it, on pages.
fn set(tree: &serde_json::Value) -> Result<Vec<u8>, Error> {
    let pages = typst::compile::<PagedDocument>(&Paper::new(tree)).output.map_err(said)?;
    // What no font has a glyph for is not accessible, so such a document is tagged and claims nothing.
    export(&pages, &[PdfStandard::Ua_1]).or_else(|_| export(&pages, &[]))
}

fn export(pages: &PagedDocument, standards: &[PdfStandard]) -> Result<Vec<u8>, Error> {
    let standards = PdfStandards::new(standards).map_err(|error| Error(error.message().to_string()))?;
    let options = PdfOptions { creator: Smart::Custom(Some("kubewright".into())), standards, ..PdfOptions::default() };
    typst_pdf::pdf(pages, &options).map_err(said)
}

/// What Typst says, without where in the template.
fn said(errors: impl IntoIterator<Item = typst::diag::SourceDiagnostic>) -> Error {
    let messages: Vec<String> = errors.into_iter().map(|error| error.message.to_string()).collect();
    Error(messages.join("; "))
}

#[cfg(test)]
mod tests;
