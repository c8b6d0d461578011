//! The real adapter against a pretend Proxmox VE cluster.

#![cfg(test)]

mod fake;
mod faults;
mod life;
mod login;
mod many;
mod permissions;
mod wishes;
