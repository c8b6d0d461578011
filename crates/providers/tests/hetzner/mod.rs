//! A pretend Hetzner Cloud API, which keeps what it is told and refuses what the real one refuses.
//!
//! It is made of the API's description and of its documentation (<https://docs.hetzner.cloud/reference/cloud>, as of
//! 2026). Others judge it: see `tests/it/hcloud_*.rs`.

mod actions;
mod catalog;
mod certificates;
pub(crate) mod description;
mod era;
mod faults;
mod firewalls;
mod images;
mod lists;
mod load_balancers;
mod networks;
mod placement_groups;
mod primary_ips;
mod problem;
mod router;
mod selector;
mod server;
mod server_actions;
mod servers;
mod ssh_keys;
mod state;
mod targets;
mod volumes;

pub(crate) use actions::Pace;
pub(crate) use era::Era;
pub(crate) use faults::Fault;
pub(crate) use selector::Selector;
pub(crate) use server::{Fake, TOKEN};
pub(crate) use ssh_keys::fingerprint;
pub(crate) use state::Kind;
