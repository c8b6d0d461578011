//! Talos: its API instead of a shell, and the secrets that a cluster of it is made of.
//!
//! [`Bundle`] is what `talosctl gen secrets` makes; [`Talos`] is one node's API over one connection, as [`Trust`] has it;
//! [`TalosError`] tells what can be done about each failure. The forms of the API stand in [`wire`], where they come from too.
//! What a node answers in maintenance mode, and from which version on, stands at the top of `talos/resources.rs`.
//!
//! Calls go to the node itself: nothing is passed on by another one (`nodes` in the metadata of gRPC is not used), so each
//! failure is of that node.

mod bundle;
mod client;
mod codec;
mod connection;
mod der;
mod errors;
mod etcd;
mod factory;
mod files;
mod hands;
mod pki;
mod progress;
mod resources;
mod trust;
pub mod wire;

pub use bundle::Bundle;
pub use client::{Applied, ApplyMode, PORT, Running, Talos, UpgradeHow, Version, Wipe};
pub(crate) use der::not_after;
pub use errors::{TalosError, TalosLayer};
pub use etcd::{EtcdAlarm, EtcdMember, EtcdStatus};
pub use factory::{FACTORY, FactoryError, register};
pub use hands::{Secrets, TalosHosts, value, where_to_look};
pub use progress::{Kubelet, StaticPod};
pub use resources::{
    ClusterMember, Disk, Extension, ExtensionMetadata, Link, MachineStatus, Readiness, Resource, Unmet,
};
pub use tonic::Code;
pub use trust::{ClientIdentity, Trust};
