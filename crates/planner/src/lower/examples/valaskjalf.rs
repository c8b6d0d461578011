//! RKE2 on virtual machines of Proxmox, cloned from a template.

use super::{assert_facts, lowered, missing};

#[test]
fn valaskjalf() {
    let example = lowered(include_str!("../../../../../examples/valaskjalf/cluster.yaml"));
    assert_facts(
        &example,
        &[
            "kubernetes: distribution = rke2",
            "kubernetes: datastore = etcd",
            "kubernetes: endpoint = 10.10.10.101:6443",
            "machine valaskjalf-master-1: virtual machine of proxmox at asgard, VMID 1001, 10.10.10.101, 2 cores, 4Gi memory, 50Gi disk, tags rke2, on boot",
            "machine valaskjalf-master-2: virtual machine of proxmox at asgard, VMID 1002, 10.10.10.102, 2 cores, 4Gi memory, 50Gi disk, tags rke2, on boot",
            "machine valaskjalf-master-3: virtual machine of proxmox at asgard, VMID 1003, 10.10.10.103, 2 cores, 4Gi memory, 50Gi disk, tags rke2, on boot",
            "machine valaskjalf-worker-1: virtual machine of proxmox at asgard, VMID 1011, 10.10.10.111, 3 cores, 12Gi memory, 100Gi disk, tags rke2, on boot",
            "machine valaskjalf-worker-2: virtual machine of proxmox at asgard, VMID 1012, 10.10.10.112, 3 cores, 12Gi memory, 100Gi disk, tags rke2, on boot",
            "machine valaskjalf-worker-3: virtual machine of proxmox at asgard, VMID 1013, 10.10.10.113, 3 cores, 12Gi memory, 100Gi disk, tags rke2, on boot",
            "pool master: vm.source.clone.vmid = 90001",
            "pool master: vm.source.clone.name = pkr-ubuntu-noble-1",
            "pool master: vm.storage = local-zfs",
            "pool master: vm.card.bridge = vmbr0",
            "pool master: vm.card.prefix = 24",
            "pool master: vm.card.gateway = 10.10.10.1",
            "pool master: vm.card.nameservers.0 = 10.10.10.1",
            "pool master: vm.cpu = host",
            "pool worker: vm.disk_slot = virtio0",
            "pool worker: vm.format = raw",
            "pool worker: vm.io_thread = true",
            "pool worker: vm.scsi_controller = virtio-scsi-pci",
            "pool worker: vm.agent = true",
            "member valaskjalf-master-3: role = server",
            "member valaskjalf-worker-3: role = agent",
            "host valaskjalf-master-1: ssh odin@10.10.10.101:2222",
            "host valaskjalf-worker-3: ssh daemon: port 2222, only keys, not root",
            "host valaskjalf-worker-3: user odin with sudo, password ‹secret/password-hash-odin›",
            "host valaskjalf-worker-3: package vim",
            "host valaskjalf-worker-3: package zip",
            "host valaskjalf-worker-3: package unzip",
            "host valaskjalf-worker-3: package qemu-guest-agent",
            "host valaskjalf-worker-3: locale: fr_FR.UTF-8",
            "host valaskjalf-worker-3: time zone: Europe/Paris",
            "host valaskjalf-worker-3: file /etc/cloud/cloud.cfg.d/99-pve.cfg: datasource_list: [ConfigDrive, NoCloud]",
            "host valaskjalf-master-2: file /etc/rancher/rke2/config.yaml: cni: canal",
            "host valaskjalf-master-2: file /etc/rancher/rke2/config.yaml: node-ip: \"10.10.10.102\"",
            "host valaskjalf-master-2: file /etc/rancher/rke2/config.yaml: - \"10.10.10.103\"",
            "host valaskjalf-master-2: file /etc/rancher/rke2/config.yaml: etcd-snapshot-retention: 5",
            "host valaskjalf-master-2: unit rke2-server.service",
            "host valaskjalf-master-2: file /etc/rancher/rke2/token: ‹secret/join-token›",
            "host valaskjalf-worker-2: file /etc/rancher/rke2/token: ‹secret/agent-token›",
            "host valaskjalf-worker-2: file /etc/rancher/rke2/config.yaml: server: https://10.10.10.101:9345",
            "host valaskjalf-worker-2: unit rke2-agent.service",
            "secret password-hash-odin: env ODIN_PASSWORD_HASH",
            "check nodes: 6 nodes Ready",
            "spec: backup.machines.storage = local",
            "spec: maintenance.snapshots.keep = 0",
            "spec: maintenance.updateOs = true",
        ],
    );
    assert_eq!(missing(&example), [""; 0]);
}
