//! The command line of `kubewright restore`.

use std::path::PathBuf;

use clap::Args;

use super::Change;

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// What is put back: `latest`, which is what was saved last, or a snapshot's file.
    #[arg(value_name = "latest|FILE")]
    pub(crate) saved: PathBuf,
    #[command(flatten)]
    pub(crate) change: Change,
    /// Save nothing of what is there now, before it is gone.
    #[arg(long)]
    pub(crate) without_backup: bool,
    /// Begin again, instead of going on with a restore that was cut.
    #[arg(long)]
    pub(crate) from_scratch: bool,
}
