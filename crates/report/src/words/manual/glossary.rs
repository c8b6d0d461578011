//! Words of the field that the document uses.

use super::{Said, Topic};

/// A term.
pub(crate) struct Term {
    pub(crate) name: Said,
    pub(crate) topic: Topic,
    pub(crate) means: Said,
}

const fn term(topic: Topic, name: Said, means: Said) -> Term {
    Term { name, topic, means }
}

/// In the order in which one builds on the other.
pub(crate) static GLOSSARY: &[Term] = &[
    term(
        Topic::Always,
        ["control plane", "plan de contrôle"],
        [
            "the nodes that serve the API and decide what runs where",
            "les nœuds qui servent l’API et décident de ce qui tourne où",
        ],
    ),
    term(
        Topic::Always,
        ["worker", "nœud de travail (worker)"],
        ["a node that runs the pods of applications", "un nœud qui exécute les pods des applications"],
    ),
    term(
        Topic::Always,
        ["pod", "pod"],
        [
            "the smallest thing that Kubernetes runs: one or more containers with one address",
            "la plus petite unité de Kubernetes : un ou plusieurs conteneurs avec une adresse",
        ],
    ),
    term(
        Topic::Always,
        ["Service", "Service"],
        ["one name and address for many pods", "un nom et une adresse pour plusieurs pods"],
    ),
    term(
        Topic::Always,
        ["namespace", "espace de noms (namespace)"],
        ["a part of the cluster with names of its own", "une partie du cluster avec ses propres noms"],
    ),
    term(
        Topic::Etcd,
        ["etcd", "etcd"],
        [
            "the database of the cluster, a copy on each server",
            "la base de données du cluster, une copie sur chaque serveur",
        ],
    ),
    term(
        Topic::Etcd,
        ["quorum", "quorum"],
        [
            "more than half of etcd's members: without it nothing is written",
            "plus de la moitié des membres d’etcd : sans lui, rien ne s’écrit",
        ],
    ),
    term(Topic::Always, ["CNI", "CNI"], ["what gives pods their network", "ce qui donne leur réseau aux pods"]),
    term(
        Topic::Flannel,
        ["VXLAN", "VXLAN"],
        [
            "the pods' packets, wrapped into UDP between the nodes",
            "les paquets des pods, enveloppés dans de l’UDP entre les nœuds",
        ],
    ),
    term(
        Topic::Ingress,
        ["Ingress", "Ingress"],
        [
            "leads HTTP and HTTPS from outside to Services, by host name",
            "mène HTTP et HTTPS de l’extérieur aux Services, par nom d’hôte",
        ],
    ),
    term(
        Topic::Always,
        ["NodePort", "NodePort"],
        ["a port of every node that leads to one Service", "un port de chaque nœud qui mène à un Service"],
    ),
    term(
        Topic::Always,
        ["Helm, chart, release", "Helm, chart, release"],
        [
            "packages of Kubernetes: the package, and one installation of it",
            "les paquets de Kubernetes : le paquet, et une de ses installations",
        ],
    ),
    term(
        Topic::Proxmox,
        ["Proxmox VE", "Proxmox VE"],
        ["the hypervisor that runs the machines", "l’hyperviseur qui fait tourner les machines"],
    ),
    term(
        Topic::Proxmox,
        ["VMID", "VMID"],
        ["the number by which Proxmox knows a machine", "le numéro par lequel Proxmox connaît une machine"],
    ),
    term(
        Topic::Lxc,
        ["LXC", "LXC"],
        ["a container of the hypervisor: it shares its kernel", "un conteneur de l’hyperviseur : il partage son noyau"],
    ),
    term(
        Topic::Vm,
        ["cloud-init", "cloud-init"],
        [
            "gives a machine its name, its address and its keys when it starts the first time",
            "donne à une machine son nom, son adresse et ses clés au premier démarrage",
        ],
    ),
    term(
        Topic::Vm,
        ["iothread", "iothread"],
        ["a thread of its own for the reads and writes of a disk", "un fil dédié aux entrées-sorties d’un disque"],
    ),
    term(
        Topic::Hetzner,
        ["placement group", "groupe de placement"],
        ["keeps servers on different hardware", "garde les serveurs sur des matériels différents"],
    ),
    term(
        Topic::Talos,
        ["Talos, talosctl", "Talos, talosctl"],
        [
            "an operating system for Kubernetes alone, without a shell; its command",
            "un système d’exploitation pour Kubernetes seul, sans shell ; sa commande",
        ],
    ),
    term(
        Topic::HaProxy,
        ["HAProxy", "HAProxy"],
        ["a load balancer that runs on a host of ours", "un répartiteur de charge sur un hôte à nous"],
    ),
    term(
        Topic::MetalLb,
        ["MetalLB", "MetalLB"],
        [
            "gives Services addresses of the local network, and answers for them by ARP",
            "donne aux Services des adresses du réseau local, et répond pour elles en ARP",
        ],
    ),
    term(
        Topic::Cilium,
        ["eBPF", "eBPF"],
        [
            "small programs in the kernel: Cilium's network is made of them",
            "de petits programmes dans le noyau : le réseau de Cilium en est fait",
        ],
    ),
    term(
        Topic::ArgoCd,
        ["GitOps", "GitOps"],
        [
            "what runs is what a Git repository says; Argo CD sees to it",
            "ce qui tourne est ce que dit un dépôt Git ; Argo CD y veille",
        ],
    ),
    term(
        Topic::CertManager,
        ["cert-manager", "cert-manager"],
        ["gets TLS certificates and renews them", "obtient les certificats TLS et les renouvelle"],
    ),
    term(
        Topic::Vault,
        ["Vault", "Vault"],
        ["keeps secrets, and hands them out by rules", "garde les secrets, et les donne selon des règles"],
    ),
    term(
        Topic::Sops,
        ["SOPS, age", "SOPS, age"],
        [
            "files whose values are encrypted; the keys that open them",
            "des fichiers aux valeurs chiffrées ; les clés qui les ouvrent",
        ],
    ),
    term(
        Topic::Prometheus,
        ["Prometheus, Grafana, Alertmanager", "Prometheus, Grafana, Alertmanager"],
        [
            "collects measurements; draws them; tells when one is out of bounds",
            "collecte les métriques ; les dessine ; alerte quand l’une dépasse ses limites",
        ],
    ),
    term(Topic::Loki, ["Loki", "Loki"], ["collects the logs of all pods", "collecte les journaux de tous les pods"]),
    term(
        Topic::Csi,
        ["CSI", "CSI"],
        ["how Kubernetes gets volumes from a storage", "comment Kubernetes obtient des volumes d’un stockage"],
    ),
    term(
        Topic::Always,
        ["drift", "dérive"],
        [
            "what differs from the cluster's file although nobody changed that",
            "ce qui diffère du fichier du cluster sans que celui-ci ait changé",
        ],
    ),
];
