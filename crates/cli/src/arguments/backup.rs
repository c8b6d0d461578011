//! The command line of `kubewright backup`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Output;
use crate::complete;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Backup {
    #[command(subcommand)]
    pub(crate) wish: Option<Wish>,
    #[command(flatten)]
    pub(crate) make: Make,
}

/// Make a bundle.
#[derive(Debug, Args)]
pub(crate) struct Make {
    /// The spec.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// The folder that it goes to, in the place of the spec's destination; nothing is deleted there.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<PathBuf>,
    /// Show every step with all that it does, also where many are alike.
    #[arg(long)]
    pub(crate) full: bool,
    /// Do it without being asked.
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) pace: super::fleet::Watched,
    /// In which form events are printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Wish {
    /// List the bundles of the cluster, newest first.
    #[command(after_help = "Examples:
  kubewright backup list
  kubewright backup list --output json | jq .bundles")]
    List(List),
    /// Show what a bundle says of itself: its manifest.
    #[command(after_help = "Examples:
  kubewright backup show latest
  kubewright backup show ./devboard-20261122T175300Z.tar.gz.age")]
    Show(One),
    /// Read a bundle back to its end, and hold every file against its digest.
    #[command(after_help = "Examples:
  kubewright backup verify latest
  kubewright backup verify ./devboard-20261122T175300Z.tar.gz.age

Ends with 7 when the bundle is damaged, or no key here opens it.")]
    Verify(One),
    /// Bring a bundle to a folder of this computer, encrypted as it is.
    #[command(after_help = "Examples:
  kubewright backup get latest
  kubewright backup get devboard-20261122T175300Z.tar.gz.age --into /mnt/usb")]
    Get(Get),
    /// Restore a bundle where nothing of the live cluster is touched, and write a dated report of what was proven.
    #[command(after_help = "Examples:
  kubewright backup rehearse                       # the newest bundle
  kubewright backup rehearse --etcd ~/etcd-v3.5.21 # with etcd's programs of that folder
  kubewright backup rehearse --into throwaway.yaml # on the machines of another cluster file too

Ends with 7 when something that was tried failed.")]
    Rehearse(Rehearse),
    /// Delete bundles that are more than the spec keeps.
    #[command(after_help = "Examples:
  kubewright backup prune             # shows what goes, and asks
  kubewright backup prune --yes")]
    Prune(Prune),
    /// Print units of systemd that make bundles again and again, from this computer.
    #[command(after_help = "Examples:
  kubewright backup timer
  kubewright backup timer --install")]
    Timer(Timer),
}

#[derive(Debug, Args)]
pub(crate) struct From {
    /// The spec.
    #[arg(short, long, value_name = "FILE", default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// The folder in which bundles are, in the place of the spec's destination.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) from: From,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// A file of this computer, the name of a bundle, or `latest`.
    #[arg(value_name = "FILE|NAME|latest", add = complete::bundles())]
    pub(crate) bundle: String,
    #[command(flatten)]
    pub(crate) from: From,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The name of a bundle, or `latest`.
    #[arg(value_name = "NAME|latest", add = complete::bundles())]
    pub(crate) bundle: String,
    #[command(flatten)]
    pub(crate) from: From,
    /// The folder that it is put in. A file that is there is not overwritten.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) into: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    #[command(flatten)]
    pub(crate) from: From,
    /// Do it without being asked.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Timer {
    /// The spec.
    #[arg(short, long, value_name = "FILE", default_value = "cluster.yaml")]
    pub(crate) file: PathBuf,
    /// Write them into ~/.config/systemd/user, and say what starts them.
    #[arg(long)]
    pub(crate) install: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rehearse {
    /// A file of this computer, the name of a bundle, or `latest`.
    #[arg(value_name = "FILE|NAME|latest", default_value = "latest", add = complete::bundles())]
    pub(crate) bundle: String,
    #[command(flatten)]
    pub(crate) from: From,
    /// The folder with etcd's programs, `etcd` and `etcdutl`, in the place of those on the PATH.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) etcd: Option<PathBuf>,
    /// Another cluster file, on whose machines the bundle is restored; they are destroyed afterwards. It shares nothing with
    /// the live cluster.
    #[arg(long, value_name = "FILE")]
    pub(crate) into: Option<PathBuf>,
    /// The machines of `--into` reach nothing that the live cluster uses: what would act there may be restored.
    #[arg(long, requires = "into")]
    pub(crate) isolated: bool,
    /// Keep the machines of `--into`.
    #[arg(long, requires = "into")]
    pub(crate) keep: bool,
    /// The file of the report, in the place of one with a date in `.kubewright`.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Make and destroy the machines of `--into` without being asked.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// In which form the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}
