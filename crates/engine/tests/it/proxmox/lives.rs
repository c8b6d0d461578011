//! The lives of both clusters that stand on Proxmox, as their example files have them: the same steps in our own pretend
//! data centre and on the pretend cluster that others wrote, with the same plan at every step.

use kubewright_engine::sim;
use kubewright_model::plan::Ask;
use kubewright_model::setting::Setting;
use serde_json::json;

use super::both::Both;
use crate::fake::Fake;
use crate::taught::{GROWS, KEEPS_JOBS, SNAPSHOTS_BY_STORAGE};

const DEVBOARD: &str = include_str!("../../../../../examples/devboard/cluster.yaml");
const VALASKJALF: &str = include_str!("../../../../../examples/valaskjalf/cluster.yaml");

/// The Proxmox host of DevBoard, with nothing on it but what somebody else has there.
const PROXADE: &str = "
pve.add_node('proxade')
pve.apitokens['root@pam!kubewright'] = '7f3a-the-secret-of-the-token'
";

/// The Proxmox host of Valaskjalf, with the template that was made for it.
const ASGARD: &str = "
pve.add_node('asgard')
pve.apitokens['root@pam!kubewright'] = '7f3a-the-secret-of-the-token'
pve.storages['local-zfs'] = {'type': 'zfspool', 'active': 1, 'content': 'images,rootdir', 'files': set(), 'pool': 'rpool/data'}
pve.vms.remove(pve.vm(90001))
pve.add_vm(90001, 'pkr-ubuntu-noble-1', node='asgard', template=True, config={
    'boot': 'order=virtio0', 'cores': 1, 'memory': '2048', 'net0': 'virtio=BC:24:11:00:00:01,bridge=vmbr0',
    'virtio0': 'local-zfs:base-90001-disk-0,size=3G', 'ide2': 'local-zfs:vm-90001-cloudinit,media=cdrom'})
";

#[test]
fn devboard_lives_the_same_life_in_both_worlds() {
    let mut fake = Fake::start();
    fake.tell(PROXADE);
    let mut both = Both::new(fake, DEVBOARD);
    sim::run(async {
        let steps = both.becomes("made", &Ask::Apply).await;
        assert_eq!(steps[..2], ["create/k3s-server", "start/k3s-server"]);
        let shown = "[[c.vmid, c.config['hostname'], c.config['cores'], c.config['memory'], c.config['rootfs'], c.status] \
                     for c in pve.cts if c.node == 'proxade']";
        assert_eq!(
            both.told(shown),
            json!([
                [400, "k3s-server", 4, 4096, "local-lvm:vm-400-disk-0,size=32G", "running"],
                [401, "k3s-agent-1", 4, 3072, "local-lvm:vm-401-disk-0,size=32G", "running"],
                [402, "k3s-agent-2", 4, 3072, "local-lvm:vm-402-disk-0,size=32G", "running"],
            ])
        );
        both.by_hand("pve.ct(402).config.update(cores=1)", |state| {
            state.machine_mut(&"k3s-agent-2".into()).unwrap().seen.settings.set(Setting::Cores(1));
        });
        let other_size = ["update", "restart"].map(|deed| format!("{deed}/k3s-agent-2"));
        assert_eq!(both.becomes("changed by hand", &Ask::Apply).await, other_size);
        both.wish(&[("memory: 3Gi\n      disk: 32Gi", "memory: 5Gi\n      disk: 40Gi")]);
        let resized = both.becomes("resized", &Ask::Apply).await;
        assert_eq!(resized[..2], ["update/k3s-agent-1", "restart/k3s-agent-1"]);
        assert_eq!(resized[2..], other_size);
        both.wish(&[("vmids: [401-402]", "vmids: [401-402], tags: [k3s]")]);
        assert_eq!(both.becomes("tagged", &Ask::Apply).await, ["update/k3s-agent-1", "update/k3s-agent-2"]);
        let replaced = both.becomes("replaced", &Ask::Replace(vec!["k3s-agent-1".into()])).await;
        assert_eq!(replaced, ["delete/k3s-agent-1", "create/k3s-agent-1", "start/k3s-agent-1"]);
        both.wish(&[("192.168.1.41-42", "192.168.1.41"), ("[401-402]", "[\"401\"]")]);
        assert_eq!(both.becomes("one agent fewer", &Ask::Apply).await, ["delete/k3s-agent-2"]);
        assert_eq!(both.becomes("destroyed", &Ask::Destroy).await.len(), 2);
        assert_eq!(both.told("[ct.vmid for ct in pve.cts]"), json!([120]));
        assert_eq!(both.yard.centre.leftovers(), [""; 0]);
    })
    .unwrap();
}

#[test]
fn valaskjalf_lives_the_same_life_in_both_worlds() {
    let mut fake = Fake::start();
    for taught in [ASGARD, KEEPS_JOBS, GROWS, SNAPSHOTS_BY_STORAGE] {
        fake.tell(taught);
    }
    let mut both = Both::new(fake, VALASKJALF);
    sim::run(async {
        assert_eq!(both.becomes("made", &Ask::Apply).await.len(), 2 * 6 + 1);
        let shown = "[[v.vmid, v.config['name'], v.config['cores'], v.config['memory'], v.config['virtio0'].split('size=')[1], \
                     v.config['ipconfig0'], v.config['tags'], v.status] for v in pve.vms if v.node == 'asgard' and not v.template]";
        let machine = |vmid: u32, name: &str, cores: u32, memory: &str, disk: &str, ip: &str| {
            let address = format!("ip=10.10.10.{ip}/24,gw=10.10.10.1");
            let disk = format!("{disk},iothread=1");
            json!([vmid, format!("valaskjalf-{name}"), cores.to_string(), memory, disk, address, "kubewright-valaskjalf;rke2", "running"])
        };
        assert_eq!(
            both.told(shown),
            json!([
                machine(1001, "master-1", 2, "4096", "51200M", "101"),
                machine(1002, "master-2", 2, "4096", "51200M", "102"),
                machine(1003, "master-3", 2, "4096", "51200M", "103"),
                machine(1011, "worker-1", 3, "12288", "102400M", "111"),
                machine(1012, "worker-2", 3, "12288", "102400M", "112"),
                machine(1013, "worker-3", 3, "12288", "102400M", "113"),
            ])
        );
        both.by_hand("pve.vm(1012).config.update(cores=1)", |state| {
            state.machine_mut(&"valaskjalf-worker-2".into()).unwrap().seen.settings.set(Setting::Cores(1));
        });
        let mended = both.becomes("changed by hand", &Ask::Apply).await;
        let larger = ["snapshot", "update", "restart", "unsnapshot"];
        assert_eq!(mended, larger.map(|deed| format!("{deed}/valaskjalf-worker-2")));
        both.by_hand("pve.vm(1013).node = 'pve2'", |_| {});
        assert!(both.yard.centre.migrate(&"valaskjalf-worker-3".into(), &"pve2".into()));
        assert_eq!(both.becomes("moved by HA", &Ask::Apply).await, [""; 0], "it is the same machine");
        both.wish(&[("memory: 12Gi", "memory: 16Gi"), ("disk: 100Gi", "disk: 120Gi")]);
        assert_eq!(both.becomes("resized", &Ask::Apply).await.len(), 3 * larger.len());
        both.wish(&[("v1.33.5+rke2r1", "v1.33.6+rke2r1"), ("snapshots: {}", "snapshots: { keep: 1 }")]);
        assert_eq!(both.becomes("upgraded", &Ask::Apply).await.len(), 6, "a snapshot of each, and none goes");
        let kept = json!([["kubewright-1-v1-33-6-rke2r1"]]);
        assert_eq!(both.told("[list(vm.snapshots) for vm in pve.vms if vm.vmid == 1002]"), kept);
        both.wish(&[("snapshots: { keep: 1 }", "snapshots: {}")]);
        assert_eq!(both.becomes("snapshots are kept no more", &Ask::Apply).await.len(), 6);
        both.wish(&[("tags: &tags [rke2]", "tags: &tags [rke2, lab]")]);
        assert_eq!(both.becomes("tagged", &Ask::Apply).await.len(), 6);
        let replaced = both.becomes("replaced", &Ask::Replace(vec!["valaskjalf-master-1".into()])).await;
        let master = ["delete", "create", "start"].map(|deed| format!("{deed}/valaskjalf-master-1"));
        assert_eq!(replaced[..3], master);
        // One line: the numbers are reserved.
        both.wish(&[("10.10.10.111-113", "10.10.10.111-114")]);
        assert_eq!(both.becomes("one worker more", &Ask::Apply).await.len(), 2 + 1);
        both.wish(&[("10.10.10.111-114", "10.10.10.111-113")]);
        assert_eq!(both.becomes("one worker fewer", &Ask::Apply).await[0], "delete/valaskjalf-worker-4");
        both.becomes("destroyed", &Ask::Destroy).await;
        assert_eq!(both.told("[vm.vmid for vm in pve.vms], sorted(pve.jobs)"), json!([[121, 90001], ["others"]]));
        assert_eq!(both.yard.centre.leftovers(), [""; 0]);
    })
    .unwrap();
}
