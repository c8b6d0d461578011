//! The command line of `kubewright bundle`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kubewright_model::version::Version;

/// An architecture of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    /// x86-64.
    Amd64,
    /// ARM, 64 bits.
    Arm64,
}

impl Arch {
    /// As publishers name it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Bundle {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// The file to write; without it, the cluster's name and version tell.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Show what would be collected, with sizes where they are known; fetch nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// An architecture of the hosts; may be given several times.
    #[arg(long, default_value = "amd64")]
    pub(crate) arch: Vec<Arch>,
    /// A further image, by its reference: one that something else than the spec puts on the cluster; may be given several times.
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) image: Vec<String>,
    /// Collect what an upgrade from this version goes through too: every version on the way.
    #[arg(long, value_name = "VERSION")]
    pub(crate) from: Option<Version>,
    /// The same, from the oldest version that the cluster runs, which is asked.
    #[arg(long, conflicts_with = "from")]
    pub(crate) from_cluster: bool,
    /// Leave the `helm` program out: the computer at the site has one.
    #[arg(long)]
    pub(crate) without_helm: bool,
}
