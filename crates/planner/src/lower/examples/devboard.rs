//! K3s in containers of Proxmox.

use super::{assert_facts, lowered, missing};

#[test]
fn devboard() {
    let example = lowered(include_str!("../../../../../examples/devboard/cluster.yaml"));
    assert_facts(
        &example,
        &[
            "kubernetes: version = v1.31.4+k3s1",
            "kubernetes: endpoint = 192.168.1.40:6443",
            "kubernetes: pod_network = 10.42.0.0/16",
            "kubernetes: service_network = 10.43.0.0/16",
            "machine k3s-server: container of proxmox at proxade, VMID 400, 192.168.1.40, 4 cores, 4Gi memory, 32Gi disk, on boot",
            "machine k3s-agent-1: container of proxmox at proxade, VMID 401, 192.168.1.41, 4 cores, 3Gi memory, 32Gi disk, on boot",
            "machine k3s-agent-2: container of proxmox at proxade, VMID 402, 192.168.1.42, 4 cores, 3Gi memory, 32Gi disk, on boot",
            "pool server: lxc.privileged = true",
            "host proxade: lines in /etc/pve/lxc/400.conf: features: fuse=1,keyctl=1,mknod=1,nesting=1",
            "host proxade: lines in /etc/pve/lxc/400.conf: lxc.cgroup2.devices.allow: a",
            "pool agents: lxc.raw.0 = lxc.mount.auto: proc:rw sys:rw cgroup:rw",
            "pool agents: lxc.raw.1 = lxc.apparmor.profile: unconfined",
            "pool agents: lxc.raw.2 = lxc.cap.drop:",
            "host k3s-server: ssh root@192.168.1.40:22",
            "host k3s-agent-2: package curl",
            "host k3s-agent-2: package iptables",
            "host k3s-agent-2: package apparmor",
            "host k3s-agent-2: unit kubewright-kmsg.service",
            "host k3s-agent-2: file /etc/rancher/k3s/config.yaml: server: https://192.168.1.40:6443",
            "host proxade: lines in /etc/pve/lxc/402.conf: lxc.cap.drop:",
            "object Namespace monitoring",
            "object Namespace security",
            "release monitoring/prometheus: kube-prometheus-stack 79.12.0",
            "release monitoring/loki: promtail.enabled = true",
            "release security/vault: server.dev.enabled = true",
            "object Ingress monitoring/grafana-ingress: spec.rules.0.host = grafana.devboard.local",
            "check grafana: http://192.168.1.40 answers for grafana.devboard.local",
        ],
    );
    // Snapshots of the datastore are taken by the servers; whole bundles are made by this computer.
    assert_eq!(missing(&example), [""; 0]);
    assert!(example.desired.missing.iter().all(|missing| !missing.blocks));
}
