//! The dashboard and its HTTP API: what the terminal shows, for people who would rather look.
//!
//! Start reading at [`Fleet`], which holds what is shown, then at `api`, the one table of requests.
//!
//! # Invariants
//!
//! - It reads events and calls the engine's few methods; it decides nothing about clusters.
//! - Nothing is answered without a login but `/healthz` and the page that asks for one.
//! - What changes anything needs the operator's role, and a request from our own page or a program's token.
//! - A viewer has no queue: he reads the one list of a run's records from his own place.
//! - Assets are inside the program, and nothing of them comes from elsewhere.

mod api;
mod assets;
mod cluster;
mod gate;
mod listen;
mod metrics;

pub use api::{openapi, shapes};
pub use cluster::{Fleet, Member, watch_over};
pub use gate::{Tokens, new_token};
pub use listen::{Address, ServeError, serve};
