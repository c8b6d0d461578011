//! Pretend Talos nodes, which keep what they are told and refuse what real ones refuse.
//!
//! Made of the source of siderolabs/talos v1.11 and v1.14: `internal/app/maintenance`,
//! `internal/app/machined/internal/server/v1alpha1`, `internal/app/apid`, `pkg/machinery/config`. Others judge it: the stub that
//! betterproto made of the vendor's own protos for Python (`tests/it/talos_python.rs`).
//!
//! - `Site::start()` is a place with nodes; it ends with the test. `site.node("v1.11.5")` is one that has started from an ISO, in
//!   maintenance mode, with two disks, at an address of its own of this computer and Talos' port.
//! - What has a configuration restarts, and then shows a certificate of the configuration's authority; a worker gets its from
//!   a control plane of the same authority and token. Restarts take a moment.
//! - From v1.13 on a node answers before its disk is mounted (`locked`: it never is). A kubelet and the pods of a control plane go on
//!   for a while after their configuration names others.
//! - `with` reaches everything of a node, `fault` has its next call of a name refused, `power_off` loses its connections.
//! - A configuration's keys are those that the node's version knows (`keys.txt`). What is installed to a disk that is not there comes back
//!   in maintenance mode. etcd has members and a quorum; control planes join one that has begun by themselves.

mod api;
mod config;
mod etcd;
mod machine;
mod resources;
mod serve;
mod tls;

pub(crate) use machine::{Node, Site, Stage};
pub(crate) use tls::pem_of_member;
