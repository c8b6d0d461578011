//! Certificates that do not end: kubeadm's hold for a year, and only an upgrade renews them. A timer does it four times a
//! year on each server, and on no two of them on the same day: who serves is started anew by it.
//! <https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-certs/#manual-certificate-renewal>

use kubewright_model::host::{FileWish, HostResource, UnitWish};

use super::at;
use super::recipes::{ALONE, asks_api};
use crate::context::Context;
use crate::context::nodes::NodePlan;

const SCRIPT: &str = "/usr/local/sbin/kubewright-renew-certificates";
const SERVICE: &str = "/etc/systemd/system/kubewright-renew-certificates.service";
const TIMER: &str = "kubewright-renew-certificates.timer";
/// Every month has these days.
const DAYS: usize = 28;

/// What renews the certificates of a server.
pub(super) fn resources(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<HostResource> {
    let mut servers = context.nodes.iter().filter(|other| other.is_server());
    let place = servers.position(|other| other.name == node.name).unwrap_or_default();
    let timer = format!(
        "[Unit]\nDescription=New certificates of Kubernetes\n\n\
         [Timer]\nOnCalendar=*-1/3-{} 02:45:00\nRandomizedDelaySec=1h\nPersistent=true\n\n\
         [Install]\nWantedBy=timers.target\n",
        place % DAYS + 1
    );
    vec![
        HostResource::File(FileWish::new(SCRIPT, format!("#!/bin/sh\n{}\n", script(context, node)), 0o700)),
        HostResource::File(FileWish::new(SERVICE, UNIT, 0o644)),
        HostResource::Unit(UnitWish::timer(TIMER, timer)),
    ]
}

/// A host that is no server yet has none.
const UNIT: &str = "[Unit]\n\
    Description=New certificates of Kubernetes\n\
    ConditionPathExists=/etc/kubernetes/manifests/kube-apiserver.yaml\n\
    \n\
    [Service]\n\
    Type=oneshot\n\
    TimeoutStartSec=30min\n\
    ExecStart=/usr/local/sbin/kubewright-renew-certificates\n";

/// etcd reads its certificates at every handshake, so it goes on; the others have theirs from when they started. The
/// kubelet starts anew what is stopped. One counts only when it is another container and, of the API server, when it
/// serves.
fn script(context: &Context<'_>, node: &NodePlan<'_>) -> String {
    let (kubeadm, crictl, asks) = (at("kubeadm"), at("crictl"), asks_api(context, node).join(" "));
    format!(
        "{ALONE}\
         {kubeadm} certs renew all\n\
         running() {{\n  \
         {crictl} ps -q --state Running --label io.kubernetes.pod.namespace=kube-system \
         --label io.kubernetes.container.name=\"$1\" | head -n 1\n\
         }}\n\
         waits() {{\n  \
         left=$((left - 1))\n  \
         [ $left != 0 ] || {{ echo \"$name does not run\" >&2; exit 1; }}\n  \
         sleep 5\n\
         }}\n\
         ready() {{ {asks} >/dev/null 2>&1; }}\n\
         for name in kube-apiserver kube-controller-manager kube-scheduler; do\n  \
         left=120\n  \
         until old=$(running $name) && [ -n \"$old\" ]; do waits; done\n  \
         {crictl} stop --timeout 30 \"$old\" >/dev/null\n  \
         until new=$(running $name) && [ -n \"$new\" ] && [ \"$new\" != \"$old\" ] && ready; do waits; done\n\
         done"
    )
}
