//! What network plug-ins leave on a host whichever distribution they served, and how it is taken away.

/// The network plug-ins' names for pods' network namespaces.
pub(super) const END_NAMESPACES: &str = "ip netns list 2>/dev/null | awk '/^cni-/ { print $1 }' | \
    while read -r space; do ip netns delete \"$space\"; done";

/// The links of every network plug-in that a distribution brings, or that a release of ours brings.
pub(super) const UNLINK: &str = "for link in $(ip -o link show master cni0 2>/dev/null | \
    awk -F '[:@ ]+' '{ print $2 }') \
    cni0 flannel.1 flannel.4096 flannel-v6.1 flannel-v6.4096 flannel-wg flannel-wg-v6 vxlan.calico vxlan-v6.calico \
    cilium_vxlan cilium_net cilium_wg0 kube-ipvs0 nodelocaldns; do \
    ip link show \"$link\" >/dev/null 2>&1 && ip link delete \"$link\"; done; true";

/// Their rules, and kube-proxy's.
pub(super) const UNFILTER: &str = "for tool in iptables ip6tables; do command -v \"$tool-save\" >/dev/null || continue; \
    \"$tool-save\" | grep -v -e KUBE- -e CNI- -e FLANNEL -e flannel -e cali- -e cali: -e CILIUM_ | \"$tool-restore\"; \
    done";
