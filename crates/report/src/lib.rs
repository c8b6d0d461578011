//! The documents of kubewright: what a cluster is, how a run went, and what proves that it works, as Markdown and as one
//! HTML page; the last also as JUnit's XML.
//!
//! Start reading at [`document`] (the page about a cluster), [`run_report`] (the page about a run) and [`validation`] (what
//! is handed over). Each gives a [`Document`], which is written as Markdown for a repository or as HTML for a browser and a printer.
//!
//! # Invariants
//!
//! - Pure and synchronous: model values in, text out. No I/O, no clock, no environment. Same inputs, same bytes.
//! - Nothing is escaped by hand: a document, drawings too, is a list of Markdown events until the very end, and the
//!   libraries that read Markdown write it. Only Mermaid's labels, for which there is no library, have a function of
//!   their own.
//! - No value of a secret, a ConfigMap, a file or a chart is ever shown: only names, where a value comes from, and of
//!   our own settings the ports and the times of backups.
//! - No fixed words outside of the tables in `words`: a language without one of them does not compile.
//! - A table without rows is not there, and neither is its section.

mod cluster;
mod flowchart;
mod junit;
mod page;
mod run;
mod words;

pub use cluster::{Looked, document, validation};
pub use junit::junit;
pub use page::Document;
pub use run::{Phase, Rebuilt, built, rebuilds, run_report};
pub use words::Language;
