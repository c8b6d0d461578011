//! Talos: its API instead of a shell, and the secrets that a cluster of it is made of.

mod bundle;
mod der;
mod factory;
mod pki;
mod trust;

pub use bundle::Bundle;
pub use factory::{FACTORY, FactoryError, register};
pub use trust::ClientIdentity;
