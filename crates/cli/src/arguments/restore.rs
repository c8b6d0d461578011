//! The command line of `kubewright restore`.

use std::path::PathBuf;

use clap::Args;

use super::Change;
use crate::complete;
use kubewright_model::ids::NodeName;

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// What is put back: `latest`, which is what was saved last, a snapshot's file, `latest-bundle`, or a bundle's name or file.
    #[arg(value_name = "latest|FILE|latest-bundle|BUNDLE")]
    pub(crate) saved: PathBuf,
    #[command(flatten)]
    pub(crate) change: Change,
    /// Save nothing of what is there now, before it is gone.
    #[arg(long)]
    pub(crate) without_backup: bool,
    /// The folder in which bundles are, in the place of the spec's destination.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) from: Option<PathBuf>,
    /// A server that nobody can reach, and that the restore leaves out: it must never come back with its disk. Where its
    /// provider can delete its machine, it does that first, and another one is made.
    #[arg(long, value_name = "NODE", add = complete::nodes())]
    pub(crate) without: Vec<NodeName>,
    /// The cluster's name, with which `--yes` goes back although the cluster lives.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// Begin again, instead of going on with a restore that was cut.
    #[arg(long)]
    pub(crate) from_scratch: bool,
}
