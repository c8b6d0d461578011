//! The loop: observe, plan, execute, record, and look again.
//!
//! Start reading at [`world::World`], the four seams to the outside, then [`cluster::ClusterApi`] and [`store::Store`].
//!
//! # Invariants
//!
//! - The engine decides nothing about clusters: what to do is the planner's, how a thing is done is the hands'.
//! - Only the engine retries, and every retry has an end.
//! - There is one clock, tokio's. In the pretend world it is paused and jumps from event to event.

pub mod cluster;
pub mod store;
pub mod world;
