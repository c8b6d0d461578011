//! Getting in: hosts, logs, and a way in of one's own.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kubewright_model::units::Span;

use super::Output;
use crate::complete;

#[derive(Debug, Args)]
pub(crate) struct Ssh {
    /// The node, or the host of a load balancer.
    #[arg(add = complete::nodes())]
    pub(crate) node: String,
    /// The spec.
    #[arg(long, default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// What to run there, in the place of a shell; it stands behind `--`.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Where: a node, a pool, a role (server, agent, loadBalancer), or `all`; may be given several times.
    #[arg(long, value_name = "NODE|POOL|ROLE|all", required = true, add = complete::places())]
    pub(crate) on: Vec<String>,
    /// The spec.
    #[arg(long, default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// As root.
    #[arg(long)]
    pub(crate) sudo: bool,
    /// Give each of them what comes from standard input: what is secret is no argument then.
    #[arg(long)]
    pub(crate) stdin: bool,
    /// How long it may take.
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub(crate) timeout: Span,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
    /// The program and its arguments, behind `--`; a single word is a line for the shell.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The node, or `pod/NAME`.
    #[arg(add = complete::nodes())]
    pub(crate) of: String,
    /// The unit of systemd, or the service of Talos; `kernel` for the kernel's. Without it, those of ours.
    #[arg(value_name = "UNIT")]
    pub(crate) units: Vec<String>,
    /// The spec.
    #[arg(long, default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// And what comes from now on.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Not older than this.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Span>,
    /// So many lines from the end.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) lines: u16,
    /// The pod's namespace.
    #[arg(short, long, default_value = "default")]
    pub(crate) namespace: String,
    /// The pod's container, where it has several.
    #[arg(short, long)]
    pub(crate) container: Option<String>,
    /// Of the container that ran there before.
    #[arg(long)]
    pub(crate) previous: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Reboot {
    /// The nodes, or hosts of load balancers.
    #[arg(required_unless_present_any = ["pool", "all"], add = complete::nodes())]
    pub(crate) nodes: Vec<String>,
    /// All nodes of a pool; may be given several times.
    #[arg(long, value_name = "POOL", add = complete::pools())]
    pub(crate) pool: Vec<String>,
    /// All nodes, and hosts of load balancers.
    #[arg(long, conflicts_with_all = ["nodes", "pool"])]
    pub(crate) all: bool,
    /// Only those that say that they have to be started again.
    #[arg(long)]
    pub(crate) if_needed: bool,
    /// The spec.
    #[arg(long, default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Do it without being asked.
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) hours: super::fleet::Hours,
    #[command(flatten)]
    pub(crate) pace: super::fleet::Watched,
    /// In which form events are printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Images {
    /// List the images on nodes.
    ///
    /// The API tells of the 50 largest of each node, and a host of all.
    List {
        /// The spec.
        #[arg(default_value = "cluster.yaml")]
        file: PathBuf,
        /// Ask this node itself, for all of its images; may be given several times.
        #[arg(long, value_name = "NODE", add = complete::nodes())]
        node: Vec<String>,
        /// In which form the answer is printed.
        #[arg(long, default_value = "text")]
        output: Output,
    },
    /// Send an archive of images to nodes, and have their containerd take it in.
    Load {
        /// The archive, as `docker save` or `podman save` writes it, or an OCI one: `.tar`, or `.tar.gz`.
        archive: PathBuf,
        /// Where: a node, a pool, a role (server, agent), or `all`; may be given several times.
        #[arg(long, value_name = "NODE|POOL|ROLE|all", default_value = "all", add = complete::places())]
        on: Vec<String>,
        /// The spec.
        #[arg(long, default_value = "cluster.yaml")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Kubeconfig {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Put it among those that are in the file already: without `--output`, the first of $KUBECONFIG, or ~/.kube/config.
    #[arg(long)]
    pub(crate) merge: bool,
    /// Make the cluster the current one of the file; without it, that is so only where there was none.
    #[arg(long, requires = "merge")]
    pub(crate) use_context: bool,
    /// The file, or `-` for standard output; without it, one beside the cluster's secrets.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// One for this user, with a certificate that is good for a while. It may do what roles are bound to it for.
    #[arg(long, value_name = "NAME", conflicts_with = "service_account")]
    pub(crate) user: Option<String>,
    /// A group that the user is in; may be given several times.
    #[arg(long, value_name = "GROUP", requires = "user")]
    pub(crate) group: Vec<String>,
    /// One for this ServiceAccount, with a token that is good for a while.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) service_account: Option<String>,
    /// How long a certificate or a token is good: ten minutes at least.
    #[arg(long, value_name = "TIME", default_value = "8h")]
    pub(crate) ttl: Span,
}

#[derive(Debug, Args)]
pub(crate) struct Talosconfig {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Write the secrets that the cluster is made of instead: whoever has them has the cluster.
    #[arg(long, requires = "output")]
    pub(crate) secrets: bool,
    /// The file; without it, one beside the cluster's secrets. With `--secrets` it has to be said.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
