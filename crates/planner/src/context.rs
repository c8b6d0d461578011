//! What lowering, its compilers and the rules look at: the file, what was derived from it first, and the names of secrets.
//!
//! It stands below them, so that `lower` may call the compilers of add-ons and distributions, and they need not look up.

pub(crate) mod endpoint;
pub(crate) mod groups;
pub(crate) mod nodes;
pub(crate) mod secrets;

use kubewright_model::net::HostPort;
use kubewright_model::spec::ClusterFile;

pub(crate) use secrets::{SecretNames, console_password};

/// What every part of lowering looks at: the file, and what was derived from it first.
pub(crate) struct Context<'a> {
    /// What the user wrote.
    pub(crate) file: &'a ClusterFile,
    /// The nodes, one by one, in the order of the file.
    pub(crate) nodes: Vec<nodes::NodePlan<'a>>,
    /// Where clients reach the API.
    pub(crate) endpoint: HostPort,
}

impl<'a> Context<'a> {
    /// What is derived first.
    pub(crate) fn of(file: &'a ClusterFile) -> Self {
        let nodes = nodes::nodes(file);
        let endpoint = endpoint::endpoint(file, &nodes);
        Self { file, nodes, endpoint }
    }
}
