//! The real adapter against a pretend Proxmox VE cluster.

#![cfg(test)]

mod backups;
mod fake;
mod faults;
mod ha;
mod hcloud_balancers;
mod hcloud_certificates;
mod hcloud_driver;
mod hcloud_fake;
mod hcloud_faults;
mod hcloud_hands;
mod hcloud_life;
mod hcloud_many;
mod hcloud_preflight;
mod hcloud_prism;
mod hcloud_python;
#[path = "../hetzner/mod.rs"]
mod hetzner;
mod images;
mod life;
mod login;
mod many;
mod permissions;
mod preflight;
mod seeds;
mod snapshots;
mod taught;
mod templates;
mod tools;
mod volumes;
mod wishes;
