//! A pretend Hetzner Cloud API, which keeps what it is told and refuses what the real one refuses.
//!
//! It is made of the API's description (OpenAPI, February 2026), of its documentation
//! (<https://docs.hetzner.cloud/reference/cloud>) and of its changelog since (`era.rs`). Others judge it: Prism by the
//! description (`tests/it/hcloud_prism.rs`), and the vendor's own client (`tests/it/hcloud_python.rs`).
//!
//! - `Fake::start()` is the API of today at `fake.url`, with `TOKEN`; it ends with the test. A request that is not as the
//!   API is described fails the test at its end, unless the test asked for `violations()`.
//! - Actions end when they or their resources have been looked at twice, or as `pace` says. `fault` has requests go wrong.
//! - `with` reaches everything: records and actions, `limits`, `deaf` servers, `dedicated` addresses, the `catalog`.
//!   Fields of records that begin with `_` are not shown by the API, such as `_user_data`.

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
