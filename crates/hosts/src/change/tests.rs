//! Real scripts under real shells, in a folder that is a host.

mod failures;
mod files;
pub(crate) mod host;
mod leave;
mod repositories;
mod system;
