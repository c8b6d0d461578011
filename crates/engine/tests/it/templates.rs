//! What a template is cleaned with, on a host that boots systemd: what boots from its disk afterwards is another machine.

use std::sync::Arc;

use kubewright_hosts::{Holes, Hosts as _, Password, RealHosts, User};
use kubewright_model::desired::DesiredTemplate;
use kubewright_model::host::{FileWish, HostResource};
use kubewright_model::plan::HostChange;

use crate::booted::{BootedHost, world};
use crate::lab::PORT;
use crate::yard::desired;

/// A template whose machine is this host.
fn template(host: &BootedHost) -> DesiredTemplate {
    let desired = desired(&format!(
        "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes: {{ distribution: k3s, version: v1.31.4+k3s1 }}
  providers:
    proxmox: {{ endpoint: 'https://pve:8006', tokenId: root@pam!kubewright, tokenSecret: {{ env: TOKEN }}, node: pve }}
  network: {{ cidr: 10.77.0.0/24, gateway: 10.77.0.1 }}
  hosts: {{ ssh: {{ user: admin, port: {PORT}, keyFile: {key} }} }}
  pools:
    server:
      role: both
      name: node
      addresses: [10.77.0.99]
      cores: 2
      memory: 4Gi
      proxmox:
        vmids: ['400']
        vm:
          template: 9000
          build: {{ image: 'https://images.test/a.img', sha256: {sha256}, address: {address} }}
",
        key = host.at("user").display(),
        address = host.address,
        sha256 = "a".repeat(64),
    ));
    desired.templates.into_iter().next().expect("one is built")
}

/// What tells a host from all others.
const WHO: &str = "cat /etc/machine-id; ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d ' ' -f 2";

#[test]
fn what_boots_from_a_cleaned_disk_is_another_machine() {
    world(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // Journals are kept on the disk, as cloud images have it.
            let host = BootedHost::prepared("one", "mkdir -p var/log/journal");
            let home = tempfile::tempdir().unwrap();
            let hands = RealHosts::new(User {
                home: home.path().to_path_buf(),
                agent: None,
                known_hosts: home.path().join("known"),
                ask: Arc::new(|_: &Password| Err("nobody is asked".into())),
            });
            let (hands, template) = (hands.unwrap(), template(&host));
            let mut wish = template.host.clone();
            wish.way.port_before = None;
            let file = HostResource::File(FileWish::new("/etc/kept.conf", "kept\n", 0o644));
            let change = HostChange::making(&wish, None, vec![file]);
            hands.change(&change, &Holes::new()).await.unwrap();
            host.sh("logger -t first-life of-the-first-life; echo of-the-first-life >>/root/.bash_history; sync");
            host.sh("echo of-the-first-life >>/var/log/some.log; journalctl --flush");
            let before = host.sh(WHO);
            let cleaned = hands.run(&wish.name, &wish.way, &template.clean, &Holes::new(), &|_| {}).await;
            cleaned.unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(host.sh("ls /etc/ssh | grep ssh_host_ || true; ls -d /var/lib/kubewright || true"), "");
            assert_eq!(host.sh("cat /home/admin/.ssh/authorized_keys || true; cat /etc/machine-id"), "uninitialized\n");

            // A clone has the disk, and is told of another instance.
            host.sh("sed -i 's/instance-id: .*/instance-id: clone/' /var/lib/cloud/seed/nocloud/meta-data; systemctl reboot");
            host.is_up(2);
            let after = host.sh(WHO);
            for (old, new) in before.lines().zip(after.lines()) {
                assert_ne!(old, new, "{before}{after}");
                assert!(new.len() >= 32, "{after}");
            }
            assert_eq!(host.sh("cat /etc/kept.conf; cat /home/admin/.ssh/authorized_keys | wc -l"), "kept\n1\n");
            let old = before.lines().next().unwrap();
            let mine = host.sh(&format!("journalctl --no-pager | grep -e of-the-first-life -e {old} || true"));
            assert_eq!(mine, "", "of the first life");
            let search = format!("grep -rl -e of-the-first-life -e {old} /etc /home /root /var || true");
            assert_eq!(host.sh(&search), "", "of the first life");
            assert_eq!(host.sh(&format!("find / -xdev -name '*{old}*'")), "", "of the first life");
        });
    });
}
