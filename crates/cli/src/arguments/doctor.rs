//! The arguments of `kubewright doctor` and `kubewright support-bundle`.

use std::path::PathBuf;

use clap::Args;

use super::Output;
use super::fleet::Hours;
use crate::complete;

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Look only at these hosts, beside the cluster; may be given several times.
    #[arg(long = "node", value_name = "NODE", add = complete::nodes())]
    pub(crate) nodes: Vec<String>,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
    /// Plan the repair of what a program can repair, show it, ask, and do it.
    #[arg(long)]
    pub(crate) fix: bool,
    /// Do it without being asked.
    #[arg(short, long, requires = "fix")]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) hours: Hours,
}

#[derive(Debug, Args)]
pub(crate) struct SupportBundle {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// The archive to write; without it `support-CLUSTER.tar.gz` in this folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
