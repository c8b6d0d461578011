//! What cloud-init does at a boot, and what of ours it leaves.

use std::time::Duration;

use kubewright_model::host::HostsEntry;
use kubewright_model::observed::CloudInit;

use super::*;

/// What cloud-init is told beside what every host of these tests is told.
fn told(more: &str) -> String {
    format!("cat >>var/lib/cloud/seed/nocloud/user-data <<'END'\n{more}\nEND\n")
}

fn names() -> HostResource {
    let entry = HostsEntry { address: "10.0.0.9".parse().expect("an address"), names: vec!["db".into()] };
    HostResource::HostsEntries(vec![entry].into())
}

/// As Proxmox VE tells every machine.
#[test]
fn names_of_hosts_stay_where_cloud_init_writes_them_at_every_boot() {
    world(|| {
        block_on(async {
            let host = BootedHost::prepared("one", &told("manage_etc_hosts: true"));
            let home = tempfile::tempdir().expect("a folder");
            let (hands, way) = (hands(home.path()), way(&host, "admin"));
            let before = host.sh("cat /etc/hosts");
            assert!(before.contains("/etc/cloud/templates/hosts.debian.tmpl"), "cloud-init writes it: {before}");
            assert!(make(&hands, &host, &way, &[names()]).await.expect("it is made").changed);
            let made = host.sh("cat /etc/hosts");
            assert_eq!(made, format!("{before}# BEGIN kubewright\n10.0.0.9 db\n# END kubewright\n"));
            host.sh("systemctl reboot");
            host.is_up(2);
            assert_eq!(host.sh("cat /etc/hosts"), made);
            let seen = look(&hands, &host, &way, &[names()]).await;
            let seen = seen.present().unwrap_or_else(|| panic!("{seen:?}"));
            assert_eq!(seen.blocks["/etc/hosts"], ["10.0.0.9 db"]);
            assert!(!make(&hands, &host, &way, &[names()]).await.expect("it is so").changed);
            // What it was before comes back, and stays too.
            let ours = seen.ours.keys().cloned().collect();
            let change =
                HostChange { host: host.name.clone(), way: way.clone(), owner: None, make: Vec::new(), unmake: ours };
            hands.change(&change, &Holes::new()).await.expect("it goes");
            host.sh("systemctl reboot");
            host.is_up(3);
            assert_eq!(
                host.sh("cat /etc/hosts; cat /etc/cloud/templates/hosts.debian.tmpl | grep -c kubewright || true"),
                format!("{before}0\n")
            );
        });
    });
}

/// At a boot that is not its first, so that the tests can tell when it is up.
#[test]
fn cloud_init_is_seen_at_work() {
    let slow = "mkdir -p var/lib/cloud/scripts/per-boot
        printf '#!/bin/sh\\nwhile [ -e /etc/slow ]; do sleep 0.1; done\\n' >var/lib/cloud/scripts/per-boot/slow
        chmod 755 var/lib/cloud/scripts/per-boot/slow";
    world(|| {
        block_on(async {
            let host = BootedHost::prepared("one", slow);
            let home = tempfile::tempdir().expect("a folder");
            let (hands, way) = (hands(home.path()), way(&host, "admin"));
            let cloud_init = async || Some(look(&hands, &host, &way, &[]).await.present()?.cloud_init.clone());
            assert_eq!(cloud_init().await, Some(None), "it is done");
            host.sh("touch /etc/slow; systemctl reboot");
            while cloud_init().await != Some(Some(CloudInit::AtWork)) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            assert_eq!(host.boots(), 2);
            host.sh("rm /etc/slow");
            host.is_up(2);
            assert_eq!(cloud_init().await, Some(None));
        });
    });
}
