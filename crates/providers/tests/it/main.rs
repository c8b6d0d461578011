//! The real adapter against a pretend Proxmox VE cluster.

#![cfg(test)]

mod backups;
mod fake;
mod faults;
mod ha;
mod images;
mod life;
mod login;
mod many;
mod permissions;
mod seeds;
mod snapshots;
#[expect(dead_code, reason = "tests of the engine use all of it")]
mod taught;
mod wishes;
