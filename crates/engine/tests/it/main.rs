//! The engine in its pretend world, from the outside.

#![cfg(test)]

mod addresses;
mod backends;
mod balancers;
#[path = "../../../hosts/tests/it/booted.rs"]
mod booted;
mod bundles;
mod cleartext;
mod conflicts;
mod conformance;
mod etcd;
mod executor;
#[path = "../../../providers/tests/it/fake.rs"]
#[expect(dead_code, reason = "the provider's own tests use all of it")]
mod fake;
#[path = "../../../providers/tests/it/hcloud_hands.rs"]
#[expect(dead_code, reason = "the provider's own tests use all of it")]
mod hcloud_hands;
#[path = "../../../providers/tests/hetzner/mod.rs"]
#[expect(dead_code, reason = "the provider's own tests use all of it")]
#[expect(unused_imports, reason = "the provider's own tests use all of it")]
mod hetzner;
mod hetzner_project;
mod hosts;
mod hypervisor;
mod journals;
mod kept;
mod keybuzz;
mod kubeadm;
#[path = "../../../hosts/tests/it/lab.rs"]
mod lab;
mod leaving;
mod parts;
mod plane;
mod proofs;
mod properties;
mod proxmox;
mod real_cluster;
mod rebuilds;
mod refusals;
mod rehearsals;
mod rehearsed_etcd;
mod rekeys;
mod releases;
mod restores;
mod rotates;
mod saves;
mod scenarios;
mod secrets;
mod sops;
mod talos;
/// Pretend nodes of Talos.
#[cfg(test)]
#[path = "../../../hosts/tests/talos/mod.rs"]
#[expect(dead_code, reason = "the hands' own tests use all of it")]
#[expect(unused_imports, reason = "the hands' own tests use all of it")]
mod talos_nodes;
#[cfg(test)]
mod targets;
#[path = "../../../providers/tests/it/taught.rs"]
mod taught;
mod templates;
#[path = "../../../providers/tests/it/tools.rs"]
#[expect(dead_code, reason = "the provider's own tests use all of it")]
mod tools;
mod turnovers;
mod unpacked;
mod vault;
mod waiting;
#[path = "../../../providers/tests/it/wishes.rs"]
mod wishes;
mod yard;
