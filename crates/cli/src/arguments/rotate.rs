//! The command line of `kubewright rotate`.

use clap::{Args, ValueEnum};
use kubewright_model::rotation::Rotation;

use super::Change;
use super::fleet::Hours;
use crate::problem::{Done, Problem};

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// What is made anew.
    #[arg(value_enum)]
    pub(crate) what: What,
    #[command(flatten)]
    pub(crate) change: Change,
    /// Save nothing before.
    #[arg(long)]
    pub(crate) without_backup: bool,
    #[command(flatten)]
    pub(crate) hours: Hours,
}

/// What can be made anew, and what people look for here.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum What {
    /// The certificates of servers, clients, etcd and kubelets, and with them the kubeconfig that is kept here.
    Certificates,
    /// The keys of `hosts.ssh.keyFile` by which hosts let us in.
    SshKeys,
    #[value(hide = true)]
    Ca,
    /// What nodes are let in with.
    JoinToken,
    /// The key that Secrets are locked with in the datastore.
    EncryptionKeys,
    /// The key that tokens of ServiceAccounts are signed with; the one before it is believed as well.
    ServiceAccountKeys,
}

impl What {
    /// What is asked of the planner; why nothing is, where this version has no hands for it.
    pub(crate) fn asked(self) -> Result<Rotation, Problem> {
        let refused = |why: &str, hint: &str| Err(Problem::new(Done::Usage, why).hint(hint));
        match self {
            Self::Certificates => Ok(Rotation::Certificates),
            Self::SshKeys => Ok(Rotation::SshKeys),
            Self::Ca => refused(
                "authorities are not made anew in a cluster that lives: each node and pod would have to trust both for a while",
                "`kubewright rebuild` begins a cluster with others; `kubewright rotate certificates` keeps those that there are",
            ),
            Self::JoinToken => Ok(Rotation::JoinToken),
            Self::EncryptionKeys => Ok(Rotation::EncryptionKeys),
            Self::ServiceAccountKeys => Ok(Rotation::ServiceAccountKeys),
        }
    }
}
