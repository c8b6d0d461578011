//! The decisions of kubewright: what a spec means, what differs from the world, and what to do about it.
//!
//! Start reading at [`lower`] (spec in, desired state out), then [`diff`] and
//! [`plan`]; [`check`] proves a finished plan.
//!
//! # Invariants
//!
//! - Pure and synchronous: no I/O, no clock, no randomness, no environment. Same inputs, same bytes.
//! - No role depends on a position in a list.
//! - What could not be seen is never acted on, and every refusal leaves a note.
//! - Distributions and add-ons are compilers in here, one file each: they say what is to be done and do nothing.

pub mod addons;
pub mod airgap;
pub mod applications;
pub mod check;
mod context;
pub mod diff;
pub mod distributions;
pub mod doctor;
pub mod drift;
pub mod foundation;
mod haproxy;
pub mod holders;
pub mod hours;
pub mod import;
mod keepalived;
pub mod lower;
pub mod numbers;
pub mod only;
pub mod outdated;
pub mod plan;
pub mod retention;
pub mod rules;
mod turns;
mod upgrades;
