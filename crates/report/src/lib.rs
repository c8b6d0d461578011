//! The documents of kubewright: what a cluster is, and how a run went, as Markdown and as one HTML page.
//!
//! Start reading at [`document`] (the page about a cluster) and [`run_report`] (the page about a run). Both give a
//! [`Document`], which is written as Markdown for a repository or as HTML for a browser and a printer.
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
mod page;
mod run;
mod words;

pub use cluster::document;
pub use page::Document;
pub use run::run_report;
pub use words::Language;
