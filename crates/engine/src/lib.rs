//! The loop: observe, plan, execute, record, and look again.
//!
//! Start reading at [`Engine`], the few methods that all front ends call; then [`execute`]. The seams to the outside
//! are [`world::World`], [`cluster::ClusterApi`] and [`store::Store`].
//!
//! # Invariants
//!
//! - The engine decides nothing about clusters: what to do is the planner's, how a thing is done is the hands'.
//! - Only the engine retries, and every retry has an end.
//! - There is one clock, tokio's. In the pretend world it is paused and jumps from event to event.
//! - No secret gets into an event, a journal, a plan or an error.

pub mod airgap;
pub mod backup;
pub mod bundle;
pub mod checkup;
pub mod cleartext;
pub mod cluster;
pub mod conformance;
pub mod drift;
pub mod engine;
pub mod execute;
mod foreign;
mod holes;
pub mod journal;
pub mod keyfiles;
pub mod kubeconfig;
mod lockfile;
mod manifests;
pub mod notify;
mod observe;
pub mod pace;
pub mod places;
pub mod rehearse;
mod retry;
mod scrub;
pub mod sim;
pub mod site;
pub mod sops;
pub mod store;
mod values;
pub mod vault;
pub mod verify;
pub mod world;

pub use engine::{Begun, Engine, EngineError, Loadout, Planned, Request, RunReport, WayIn};
pub use execute::Stop;
pub use kubewright_hosts::{Archive, HostError, Hosts, KERNEL, Logs, Piece, Program, Question, good_until, spec_file};
pub use kubewright_planner::{hours, import};
