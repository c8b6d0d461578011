//! The command line of `kubewright top`.

use std::path::PathBuf;

use clap::Args;
use kubewright_model::units::Span;

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// How often the cluster is looked at.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub(crate) every: Span,
}
