//! Looks at what is there, and at what differs.

use std::path::PathBuf;

use clap::Args;

use super::Output;

#[derive(Debug, Args)]
pub(crate) struct Look {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Show what differs from the spec, and nothing else; end with 4 when something does.
    #[arg(long)]
    pub(crate) drift: bool,
    /// Tell those whom `notifications` names for `drift` or `expiry`, once, and once when it is over.
    #[arg(long, requires = "drift")]
    pub(crate) notify: bool,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Notify {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Send each of them a message that says that it is a test.
    #[arg(long)]
    pub(crate) test: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DriftTimer {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Write them into ~/.config/systemd/user, and say what starts them.
    #[arg(long)]
    pub(crate) install: bool,
}
