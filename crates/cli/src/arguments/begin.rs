//! Arguments of `init` and `import`: how a first spec comes to be.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The example to begin with; without it you are asked.
    pub(crate) example: Option<String>,
    /// List the examples.
    #[arg(long)]
    pub(crate) list: bool,
    /// The file to write, `-` to print it. One that exists is not overwritten.
    #[arg(short, long, value_name = "FILE", default_value = "cluster.yaml")]
    pub(crate) out: PathBuf,
}

/// What a file of others is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportForm {
    /// A table of servers, in TSV or CSV.
    Tsv,
    /// An inventory, in INI or YAML.
    Ansible,
    /// The output of `terraform show -json`.
    Terraform,
}

/// Distributions that take hosts that exist already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Imports {
    /// K3s.
    K3s,
    /// RKE2.
    Rke2,
    /// kubeadm.
    Kubeadm,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The files of others; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What they are; without it, their names and their text tell.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ImportForm>,
    /// The cluster's name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What the hosts of a group, of a role or of a name are for: server, agent, both, loadBalancer or none; may be given
    /// several times.
    #[arg(long = "group", value_name = "NAME=ROLE")]
    pub(crate) groups: Vec<String>,
    /// The distribution; without it, what the files tell, and else K3s.
    #[arg(long)]
    pub(crate) distribution: Option<Imports>,
    /// The version of Kubernetes, as the distribution writes it; without it, what the files tell.
    #[arg(long)]
    pub(crate) version: Option<String>,
    /// The file to write, `-` to print it. One that exists is not overwritten.
    #[arg(short, long, value_name = "FILE", default_value = "cluster.yaml")]
    pub(crate) out: PathBuf,
}
