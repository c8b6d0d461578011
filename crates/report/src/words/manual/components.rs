//! What runs on nodes besides what the spec adds, and what it is for.

use super::{Said, Topic};

/// A program of Kubernetes or of its distribution.
pub(crate) struct Component {
    pub(crate) name: &'static str,
    pub(crate) topic: Topic,
    pub(crate) does: Said,
}

const fn component(name: &'static str, topic: Topic, does: Said) -> Component {
    Component { name, topic, does }
}

/// Those of every cluster first.
pub(crate) static COMPONENTS: &[Component] = &[
    component("kube-apiserver", Topic::Always, ["serves the Kubernetes API", "point d’entrée de l’API Kubernetes"]),
    component("kube-scheduler", Topic::Always, ["chooses a node for each pod", "planification des pods"]),
    component(
        "kube-controller-manager",
        Topic::Always,
        ["brings what is towards what is wished", "contrôleurs de ressources"],
    ),
    component(
        "etcd",
        Topic::Etcd,
        ["the cluster's datastore, on each server", "base de données distribuée du cluster"],
    ),
    component("kubelet", Topic::Always, ["runs the pods of a node", "exécute les pods d’un nœud"]),
    component("containerd", Topic::Always, ["runs the containers of a node", "exécute les conteneurs d’un nœud"]),
    component("kube-proxy", Topic::Always, ["leads Services to pods", "relie les Services aux pods"]),
    component("coredns", Topic::Always, ["DNS within the cluster", "DNS interne du cluster"]),
    component("flannel", Topic::Flannel, ["the pods' network (CNI)", "réseau des pods (CNI)"]),
    component("canal", Topic::Rke2, ["the pods' network (CNI)", "réseau des pods (CNI)"]),
    component("cilium", Topic::Cilium, ["the pods' network (CNI), with eBPF", "réseau des pods (CNI), avec eBPF"]),
    component(
        "traefik",
        Topic::Traefik,
        [
            "ingress controller: leads HTTP and HTTPS by host name",
            "contrôleur Ingress : routage HTTP/HTTPS par nom d’hôte",
        ],
    ),
    component(
        "svclb-*",
        Topic::K3s,
        [
            "gives Services of type LoadBalancer the nodes' ports (ServiceLB)",
            "Service LoadBalancer sur les ports des nœuds (ServiceLB)",
        ],
    ),
    component(
        "metrics-server",
        Topic::Always,
        [
            "CPU and memory of nodes and pods, for `kubectl top` and autoscaling",
            "métriques CPU/RAM des nœuds et des pods",
        ],
    ),
    component(
        "local-path-provisioner",
        Topic::K3s,
        [
            "volumes on the nodes' own disks (default StorageClass)",
            "volumes sur les disques des nœuds (StorageClass par défaut)",
        ],
    ),
];
