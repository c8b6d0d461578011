//! The nouns of kubewright.
//!
//! Everything that travels between the rooms is defined here and nowhere else: what the user wrote ([`spec`]), what it
//! means in full ([`desired`]), what was seen ([`observed`], [`facts`]), one difference ([`change`]), the ordered deeds ([`plan`]),
//! how a distribution does its part ([`recipe`]), what is waited for ([`condition`]),
//! what happens while they run ([`event`]), and what is wrong with the user's input ([`diagnostic`], [`codes`]).
//!
//! Start reading at [`spec::ClusterFile`], then [`desired::Desired`], then [`plan::Plan`].
//!
//! # Invariants
//!
//! - No I/O, no `async`, no clock, no randomness, no environment: values in, values out.
//! - No `HashMap`: every collection has an order that is the same in each run.
//! - No decision: a type here may refuse a value that is malformed in itself, never one that is merely unwise.
//! - A secret has no `Serialize` and no readable `Debug` ([`secret::Secret`]).

pub mod airgap;
pub mod applications;
pub mod balancer;
pub mod behind;
pub mod bundle;
pub mod change;
pub mod checked;
pub mod cloud;
pub mod codes;
pub mod condition;
pub mod desired;
pub mod diagnostic;
pub mod digest;
pub mod doctor;
pub mod event;
pub mod facts;
pub mod host;
pub mod ids;
pub mod names;
pub mod net;
pub mod object;
pub mod observed;
pub mod plan;
pub mod programs;
pub mod recipe;
pub mod rotation;
pub mod secret;
pub mod setting;
pub mod source;
pub mod spec;
pub mod talos;
pub mod templates;
pub mod text;
pub mod units;
pub mod unread;
pub mod vault;
pub mod version;
