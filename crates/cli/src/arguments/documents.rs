//! Arguments of `docs` and `rehearse`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kubewright_engine::sim::Fault;

use super::{Output, fleet};

/// A language of documents.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Language {
    /// English.
    En,
    /// French.
    Fr,
}

/// A form of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Markdown.
    #[value(name = "md", alias = "markdown")]
    Markdown,
    /// A page of its own.
    Html,
    /// Pages to print.
    Pdf,
}

#[derive(Debug, Args)]
pub(crate) struct Docs {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// The language.
    #[arg(long, visible_alias = "lang", default_value = "en")]
    pub(crate) language: Language,
    /// The form; without it, as the file's name says, and Markdown otherwise.
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// The file to write; without it the document is printed.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Look at the world and run every check, and write down what is there and how it was built, too.
    #[arg(long)]
    pub(crate) look: bool,
    /// Write nothing: show how the file differs from what would be written, and end with 4 where it does.
    #[arg(long, requires = "out")]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rehearse {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Something that goes wrong while the cluster is built, or as soon as it can; may be given several times.
    #[arg(long = "fault", value_name = "FAULT")]
    pub(crate) faults: Vec<Fault>,
    /// What chance follows: the same seed, the same life.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The older version that the upgrade starts from.
    #[arg(long, value_name = "VERSION")]
    pub(crate) from: Option<String>,
    /// Write the page about the cluster as it stands after it was built: Markdown, or HTML or PDF when the name ends so.
    #[arg(long, value_name = "FILE")]
    pub(crate) docs: Option<PathBuf>,
    /// The page's language.
    #[arg(long, visible_alias = "lang", default_value = "en", requires = "docs")]
    pub(crate) language: Language,
    #[command(flatten)]
    pub(crate) pace: fleet::Watched,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}
