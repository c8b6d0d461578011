//! Every check and its function.

use kubewright_model::doctor::Finding;

use super::case::Case;
use super::{
    api, balancers, certificates, disks, etcd, gitops, images, kernel, kubeadm, machines, network, nodes, pods, reach,
    releases, runtime, storage, system, time,
};

/// Looks at the evidence, and says what is wrong.
pub(super) type Check = fn(&Case<'_>) -> Vec<Finding>;

/// Every check by its name, in the order of the index.
pub(super) const CHECKS: &[(&str, Check)] = &[
    ("machine-off", machines::off),
    ("host-unreachable", system::unreachable),
    ("kmsg-missing", kernel::kmsg),
    ("proc-sys-read-only", kernel::proc_sys),
    ("swap-on", kernel::swap),
    ("ip-forward-off", kernel::ip_forward),
    ("bridge-netfilter-off", kernel::bridge_netfilter),
    ("inotify-exhausted", kernel::inotify),
    ("file-handles-exhausted", kernel::file_handles),
    ("pids-exhausted", kernel::pids),
    ("conntrack-full", kernel::conntrack),
    ("out-of-memory", kernel::out_of_memory),
    ("machine-id-duplicate", kernel::machine_ids),
    ("hostname-duplicate", kernel::hostnames),
    ("cgroup-v1", kernel::cgroups),
    ("iptables-missing", system::iptables),
    ("kubernetes-not-running", system::kubernetes),
    ("unit-restarts", system::restarts),
    ("port-taken", system::port_taken),
    ("reboot-pending", system::reboot),
    ("packages-half-installed", system::packages),
    ("guest-agent-down", system::guest_agent),
    ("disk-full", disks::space),
    ("inodes-full", disks::inodes),
    ("filesystem-read-only", disks::read_only),
    ("disk-errors", disks::errors),
    ("clock-skew", time::skew),
    ("clock-not-synchronized", time::unsynchronized),
    ("certificate-expired", certificates::expired),
    ("certificate-expires-soon", certificates::soon),
    ("certificate-not-yet-valid", certificates::not_yet),
    ("etcd-slow-disk", etcd::slow_disk),
    ("etcd-no-space", etcd::no_space),
    ("etcd-nearly-full", etcd::nearly_full),
    ("etcd-no-leader", etcd::no_leader),
    ("etcd-leader-changes", etcd::leader_changes),
    ("etcd-corrupt", etcd::corrupt),
    ("runtime-down", system::runtime),
    ("cgroup-driver-mismatch", runtime::drivers),
    ("cri-disabled", runtime::disabled),
    ("mtu-mismatch", network::mtu),
    ("vxlan-blocked", network::vxlan),
    ("api-port-blocked", network::api_blocked),
    ("no-default-route", network::route),
    ("address-duplicate", network::twice),
    ("api-not-listening", network::api_silent),
    ("dns-loop", network::dns_loop),
    ("dns-down", network::dns_down),
    ("name-servers-missing", network::no_servers),
    ("name-servers-too-many", network::many_servers),
    ("kubeadm-pod-down", kubeadm::pods),
    ("kubeadm-manifest-missing", kubeadm::manifests),
    ("kubeadm-init-failed", kubeadm::cut_off),
    ("talos-not-serving", system::talos),
    ("node-not-ready", nodes::not_ready),
    ("cni-not-ready", nodes::no_cni),
    ("node-missing", nodes::missing),
    ("node-cordoned", nodes::cordoned),
    ("node-taint-left", nodes::tainted),
    ("node-pressure", nodes::pressure),
    ("version-skew", nodes::skew),
    ("csr-pending", nodes::requests),
    ("image-local-pull-always", images::local_always),
    ("image-never-missing", images::never),
    ("image-not-found", images::not_found),
    ("image-denied", images::denied),
    ("image-rate-limit", images::limited),
    ("registry-unreachable", images::away),
    ("image-wrong-platform", images::platform),
    ("pod-crash-loop", pods::crashes),
    ("pod-out-of-memory", pods::memory),
    ("pod-unschedulable", pods::unschedulable),
    ("pod-evicted", pods::evicted),
    ("pod-terminating", pods::terminating),
    ("pod-sandbox-failed", pods::sandbox),
    ("pod-probe-fails", pods::probes),
    ("secret-missing", pods::secrets),
    ("config-map-missing", pods::config_maps),
    ("quota-exceeded", pods::quota),
    ("pod-security-refuses", pods::security),
    ("disruption-budget-blocks", pods::budgets),
    ("workload-unavailable", pods::workloads),
    ("claim-pending", storage::pending),
    ("storage-class-missing", storage::class_missing),
    ("default-class-missing", storage::no_default),
    ("default-classes-many", storage::many_defaults),
    ("volume-mount-failed", storage::mounts),
    ("volume-attached-elsewhere", storage::elsewhere),
    ("mount-program-missing", storage::helper),
    ("webhook-without-endpoints", api::webhooks),
    ("api-service-down", api::services),
    ("namespace-stuck", api::namespaces),
    ("object-stuck", api::stuck),
    ("metallb-no-pool", balancers::no_pool),
    ("metallb-pool-exhausted", balancers::exhausted),
    ("metallb-not-advertised", balancers::silent),
    ("metallb-down", balancers::metallb),
    ("address-pending", balancers::no_address),
    ("haproxy-down", system::haproxy),
    ("haproxy-config-invalid", balancers::refused),
    ("haproxy-backend-down", balancers::nobody_behind),
    ("balancer-port-mismatch", balancers::ports),
    ("name-not-resolved", reach::unresolved),
    ("name-leads-elsewhere", reach::elsewhere),
    ("ingress-without-class", reach::no_class),
    ("ingress-controller-down", reach::controller),
    ("ingress-service-missing", reach::no_service),
    ("service-without-endpoints", reach::no_endpoints),
    ("service-port-mismatch", reach::wrong_port),
    ("release-pending", releases::pending),
    ("release-failed", releases::failed),
    ("release-blocks-destroy", releases::blocks),
    ("argocd-repo-server-eof", gitops::eof),
    ("namespace-missing", gitops::namespaces),
    ("application-not-synced", gitops::synced),
    ("application-degraded", gitops::healthy),
    ("issuer-not-ready", gitops::issuers),
    ("certificate-not-issued", gitops::certificates),
];

/// The names of all checks.
pub fn names() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use kubewright_model::doctor::INDEX;

    #[test]
    fn the_index_names_every_check_in_its_order() {
        let index: Vec<&str> = INDEX.iter().map(|entry| entry.id).collect();
        assert_eq!(super::names().collect::<Vec<_>>(), index);
    }
}
