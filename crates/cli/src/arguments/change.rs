//! Arguments of `plan` and of what carries plans out.

use std::path::PathBuf;

use clap::Args;

use super::{Output, fleet};
use crate::complete;

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Only these stages, nodes (machine, host and membership), parts or steps; may be given several times.
    #[arg(long, value_name = "STAGE|NODE|PART|STEP", add = complete::stages_and_nodes())]
    pub(crate) only: Vec<String>,
    /// Take the fields of this object from whoever else has set them, this once; may be given several times.
    #[arg(long, value_name = "KIND [NAMESPACE/]NAME")]
    pub(crate) take: Vec<String>,
    /// Take everything that comes from outside from this bundle, which `kubewright bundle` wrote; nothing goes to the network.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Plan as if nothing were there, without looking at anything.
    #[arg(long)]
    pub(crate) assume_empty: bool,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
    /// Write the plan to a file, for `kubewright apply`.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// End with 4 when something is to be done.
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Show every step with all that it does, also where many are alike.
    #[arg(long)]
    pub(crate) full: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The spec, or a plan that `kubewright plan --out` wrote.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Only these stages, nodes (machine, host and membership), parts or steps; may be given several times.
    #[arg(long, value_name = "STAGE|NODE|PART|STEP", add = complete::stages_and_nodes())]
    pub(crate) only: Vec<String>,
    /// Take the fields of this object from whoever else has set them, this once; may be given several times.
    #[arg(long, value_name = "KIND [NAMESPACE/]NAME")]
    pub(crate) take: Vec<String>,
    /// Take everything that comes from outside from this bundle, which `kubewright bundle` wrote; nothing goes to the network.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Show every step with all that it does, also where many are alike.
    #[arg(long)]
    pub(crate) full: bool,
    /// Do it without being asked.
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) hours: fleet::Hours,
    #[command(flatten)]
    pub(crate) pace: fleet::Watched,
    /// In which form events are printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Change {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Show every step with all that it does, also where many are alike.
    #[arg(long)]
    pub(crate) full: bool,
    /// Do it without being asked.
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) pace: fleet::Watched,
    /// In which form events are printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Destroy {
    #[command(flatten)]
    pub(crate) change: Change,
    /// Take away too what the cluster itself has made at its cloud: load balancers of Services, and volumes with their data.
    #[arg(long)]
    pub(crate) leftovers: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    pub(crate) change: Change,
    /// Play it in a pretend data centre first, in which the cluster stands.
    #[arg(long)]
    pub(crate) rehearse: bool,
    /// Go ahead although nothing is saved before: what the cluster holds is lost.
    #[arg(long)]
    pub(crate) without_backup: bool,
    /// Take away also what a rebuild that was cut has built already, instead of going on with it.
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// Take everything that comes from outside from this bundle, which `kubewright bundle` wrote; nothing goes to the network.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Begin the cluster with what was saved of its datastore: `latest`, which is what is saved first, a snapshot's file,
    /// `latest-bundle`, or a bundle's name or file.
    #[arg(long, value_name = "latest|FILE|latest-bundle|BUNDLE")]
    pub(crate) restore: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Replace {
    /// The nodes.
    #[arg(required_unless_present = "outdated", conflicts_with = "outdated", add = complete::nodes())]
    pub(crate) nodes: Vec<String>,
    /// All agents and one server that were made from another template than the spec has now; again, until none is left.
    #[arg(long)]
    pub(crate) outdated: bool,
    /// Take everything that comes from outside from this bundle, which `kubewright bundle` wrote; nothing goes to the network.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// The spec.
    #[arg(long, default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Show every step with all that it does, also where many are alike.
    #[arg(long)]
    pub(crate) full: bool,
    /// Do it without being asked.
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) hours: fleet::Hours,
    #[command(flatten)]
    pub(crate) pace: fleet::Watched,
    /// In which form events are printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}
