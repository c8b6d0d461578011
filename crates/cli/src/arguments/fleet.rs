//! What keeps a cluster up to date: what is behind, and packages of the operating system.

use std::path::PathBuf;

use clap::Args;

use super::Output;
use crate::complete;

/// How a change that disturbs goes by `maintenance.window`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Hours {
    /// Begin although the maintenance window is closed.
    #[arg(long, conflicts_with = "in_window")]
    pub(crate) now: bool,
    /// Wait until the maintenance window opens, look again then, and do it where the plan is still the same.
    #[arg(long)]
    pub(crate) in_window: bool,
}

impl Hours {
    /// Whether the run may take its lock before its plan is shown: who waits for a window holds nobody up.
    pub(crate) fn begins_at_once(self) -> bool {
        !self.in_window
    }
}

/// How fast a pretend run goes.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Watched {
    /// Let a pretend run last: so many seconds of it in a second.
    #[arg(long, value_name = "TIMES")]
    pub(crate) pace: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateOs {
    /// The nodes, or hosts of load balancers.
    #[arg(required_unless_present_any = ["pool", "all"], add = complete::nodes())]
    pub(crate) nodes: Vec<String>,
    /// All nodes of a pool; may be given several times.
    #[arg(long, value_name = "POOL", add = complete::pools())]
    pub(crate) pool: Vec<String>,
    /// All nodes, and hosts of load balancers.
    #[arg(long, conflicts_with_all = ["nodes", "pool"])]
    pub(crate) all: bool,
    /// The spec.
    #[arg(long, default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Do it without being asked.
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) hours: Hours,
    #[command(flatten)]
    pub(crate) pace: Watched,
    /// In which form events are printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Outdated {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Have every host fetch new lists of packages first.
    #[arg(long)]
    pub(crate) refresh: bool,
    /// End with 4 when something is behind.
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}
