//! Words for how machines are made, what runs on them, and what is done with a cluster.
//!
//! What belongs to a thing of the field (a component, a known problem, a term) stands with that thing in all languages at
//! once, so that one of them cannot be forgotten: [`Said`].

mod components;
mod glossary;
mod problems;
pub(super) mod procedures;
mod references;
pub(super) mod settings;

use super::Words;

pub(crate) use components::{COMPONENTS, Component};
pub(crate) use glossary::GLOSSARY;
pub(crate) use problems::PROBLEMS;
pub(crate) use references::REFERENCES;

/// The same in every language, in the order of [`super::Language::ALL`].
pub(crate) type Said = [&'static str; 2];

impl Words {
    /// What is said in this language.
    pub(crate) fn of(&self, said: &Said) -> &'static str {
        said[self.place]
    }
}

/// What something is about. It is told where the cluster has that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// Every cluster.
    Always,
    /// etcd is the datastore.
    Etcd,
    K3s,
    Rke2,
    Kubeadm,
    Talos,
    /// Machines of Proxmox.
    Proxmox,
    /// Containers of Proxmox.
    Lxc,
    /// Virtual machines of Proxmox.
    Vm,
    Hetzner,
    /// HAProxy on hosts of ours.
    HaProxy,
    /// A load balancer that a provider runs.
    Balancer,
    MetalLb,
    Cilium,
    Flannel,
    Ingress,
    /// Traefik, whoever brings it.
    Traefik,
    ArgoCd,
    Vault,
    CertManager,
    Prometheus,
    Loki,
    /// Volumes of a NAS.
    Csi,
    /// Secrets of a SOPS file.
    Sops,
}

/// How machines are made and hosts are set up.
pub(crate) struct Pools {
    pub(crate) raw: &'static str,
    pub(crate) none: &'static str,
    pub(crate) off: &'static str,
    pub(crate) made_of: &'static str,
    pub(crate) slot: &'static str,
    pub(crate) format: &'static str,
    pub(crate) cloud_init: &'static str,
    pub(crate) features: &'static str,
    pub(crate) network: &'static str,
    pub(crate) firewall: &'static str,
    pub(crate) placement_group: &'static str,
    pub(crate) ssh_keys: &'static str,
    pub(crate) os: &'static str,
    pub(crate) ssh: &'static str,
    pub(crate) hardened: &'static str,
    pub(crate) keys_only: &'static str,
    pub(crate) users: &'static str,
    pub(crate) packages: &'static str,
    pub(crate) held: &'static str,
    pub(crate) modules: &'static str,
    pub(crate) sysctls: &'static str,
    pub(crate) links: &'static str,
    pub(crate) downloads: &'static str,
    pub(crate) units: &'static str,
    pub(crate) swap: &'static str,
    pub(crate) timezone: &'static str,
    pub(crate) locale: &'static str,
}

/// What is done with the cluster: titles, and what is to be known before.
pub(crate) struct Procedures {
    pub(crate) upgrade: &'static str,
    pub(crate) upgrade_text: &'static str,
    pub(crate) packages: &'static str,
    pub(crate) packages_text: &'static str,
    pub(crate) backup: &'static str,
    pub(crate) backup_text: &'static str,
    pub(crate) restore: &'static str,
    pub(crate) restore_text: &'static str,
    pub(crate) rebuild: &'static str,
    pub(crate) rebuild_text: &'static str,
    pub(crate) replace: &'static str,
    pub(crate) replace_text: &'static str,
    pub(crate) scale: &'static str,
    pub(crate) scale_text: &'static str,
    pub(crate) rotate: &'static str,
    pub(crate) rotate_text: &'static str,
    pub(crate) restart: &'static str,
    pub(crate) restart_text: &'static str,
    pub(crate) logs: &'static str,
    pub(crate) images: &'static str,
    pub(crate) balancers: &'static str,
    pub(crate) look: &'static str,
    pub(crate) quorum: &'static str,
    pub(crate) quorum_none: &'static str,
}

/// Heads of the tables of known problems and terms.
pub(crate) struct Manual {
    pub(crate) intro: &'static str,
    pub(crate) symptom: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) repair: &'static str,
    pub(crate) component: &'static str,
    pub(crate) kubernetes: &'static str,
    pub(crate) term: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) machines: &'static str,
    pub(crate) gateway: &'static str,
    pub(crate) nameserver: &'static str,
    pub(crate) own_disks: &'static str,
    pub(crate) objects: &'static str,
}
