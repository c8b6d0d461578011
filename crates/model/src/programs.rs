//! Distributions by what they are called on a host. What compiles them, what looks at hosts and what pretends to be them
//! must mean the same by it, so it stands here once.

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name, and that of its folders.
    pub name: &'static str,
    /// Where it is.
    pub path: &'static str,
    /// The folder of everything that makes its host a member.
    pub data: &'static str,
    /// The units of servers and of agents.
    pub units: [&'static str; 2],
}

/// K3s. <https://docs.k3s.io/installation/uninstall>
pub const K3S: Program = Program {
    name: "k3s",
    path: "/usr/local/bin/k3s",
    data: "/var/lib/rancher/k3s",
    units: ["k3s.service", "k3s-agent.service"],
};

/// RKE2. <https://docs.rke2.io/install/uninstall>
pub const RKE2: Program = Program {
    name: "rke2",
    path: "/usr/local/bin/rke2",
    data: "/var/lib/rancher/rke2",
    units: ["rke2-server.service", "rke2-agent.service"],
};

/// kubeadm, of which the kubelet is what runs, whether on a server or on an agent.
/// <https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/>
pub const KUBEADM: Program = Program {
    name: "kubelet",
    path: "/usr/local/bin/kubelet",
    data: "/etc/kubernetes",
    units: ["kubelet.service", "kubelet.service"],
};

/// What was saved of etcd, below the data of K3s and RKE2, until a server has begun with it. What is there of a cluster beside
/// it is none yet.
pub const RESTORE: &str = "server/db/kubewright-restore.db";

/// What a kubelet of kubeadm reaches the API with: where it is, kubeadm has made the host a member, or is about to.
pub const KUBELET_CONFIG: &str = "/etc/kubernetes/kubelet.conf";
/// It is there exactly while kubeadm makes a host a member. Where it stays, kubeadm was cut off, and the host is none.
pub const KUBEADM_UNDER_WAY: &str = "/etc/kubernetes/kubewright/under-way";

/// What makes a cluster of kubeadm the same again, below its data. Certificates are not among them: they name hosts.
pub const KUBEADM_AUTHORITIES: [&str; 8] = [
    "pki/ca.crt",
    "pki/ca.key",
    "pki/front-proxy-ca.crt",
    "pki/front-proxy-ca.key",
    "pki/etcd/ca.crt",
    "pki/etcd/ca.key",
    "pki/sa.key",
    "pki/sa.pub",
];
/// What servers of kubeadm lock Secrets with, below its data.
pub const KUBEADM_ENCRYPTION: &str = "kubewright/encryption.yaml";

/// Where distributions have kube-proxy, and what they call it and its container: kubeadm, and Talos by
/// `templates/kube-proxy-template.yaml`, later `k8stemplates/kube-proxy.go`, of `internal/app/machined/pkg/controllers/k8s`.
pub const KUBE_PROXY: (&str, &str) = ("kube-system", "kube-proxy");

/// All of them.
pub static PROGRAMS: [Program; 3] = [K3S, RKE2, KUBEADM];
