//! Machines from their making to their end.

use kubewright_model::desired::{Body, DesiredMachine, LxcBody, VmBody, VmSource, VmTemplate};
use kubewright_model::ids::{NodeName, Vmid};
use kubewright_model::observed::{MachineSeen, Power};
use kubewright_model::secret::Secret;
use kubewright_model::units::Size;
use kubewright_providers::Login;
use kubewright_providers::{Doomed, ErrorKind, Provider as _, ProviderError};
use serde_json::json;

use crate::fake::Fake;
use crate::taught::MOVES;
use crate::wishes::{body, container, owner, virtual_machine};

pub(crate) fn doomed<'a>(name: &'a NodeName, seen: &'a MachineSeen) -> Doomed<'a> {
    Doomed { name, place: &seen.place, vmid: seen.vmid, owner: &seen.owner }
}

#[tokio::test]
async fn a_container_is_made_found_changed_and_destroyed() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let mut settings = fake.settings();
    let login = Login {
        user: "root".into(),
        keys: Ok(vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEo lab".into()]),
        password_hash: Ok(None),
        host_key: None,
    };
    settings.logins.insert("agent-1".into(), login);
    let hands = kubewright_providers::proxmox::Proxmox::new(settings)?;
    let (owner, wish) = (owner(), container("agent-1", 400, "pve2"));

    let made = hands.create(&wish, &owner).await?;
    assert_eq!((made.power, made.vmid, made.place.as_str()), (Power::Stopped, Some(Vmid(400)), "pve2"));
    assert_eq!((made.address, &made.settings), (wish.address, &wish.settings()));
    let config = fake.tell("pve.ct(400).config");
    assert_eq!(
        config["net0"].as_str().unwrap().replace(config_mac(&config), "MAC"),
        "name=eth0,bridge=vmbr0,gw=10.0.0.1,hwaddr=MAC,ip=10.0.1.150/24,type=veth"
    );
    assert_eq!(
        (&config["swap"], &config["nameserver"], &config["tags"]),
        (&json!(0), &json!("10.0.0.1"), &json!("k3s;kubewright-lab"))
    );

    let inventory = hands.observe(&owner).await?;
    assert_eq!(inventory.machines.get(&wish.name), Some(&made));
    let taken: Vec<_> = inventory.taken.iter().map(|taken| (taken.name.as_str(), taken.vmid.unwrap().0)).collect();
    assert_eq!(taken, [("somebody-elses", 120), ("also-somebody-elses", 121), ("noble", 90001)]);
    assert_eq!(hands.create(&wish, &owner).await?, made, "a second time makes no second one");

    assert_eq!(hands.start(&wish.name, &owner).await?.power, Power::Running);
    assert_eq!(hands.start(&wish.name, &owner).await?.power, Power::Running);

    let larger = DesiredMachine {
        cores: Some(4),
        disk: Some(Size::from_gib(20)),
        tags: Vec::new(),
        on_boot: false,
        ..wish.clone()
    };
    let changed = hands.update(&larger, &owner).await?;
    assert_eq!(changed, MachineSeen { power: Power::Running, settings: larger.settings(), ..made });
    let smaller = DesiredMachine { disk: Some(Size::from_gib(9)), ..larger.clone() };
    let refused = hands.update(&smaller, &owner).await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.message.as_str()),
        (ErrorKind::Invalid, "rootfs of agent-1 has 20Gi and cannot shrink to 9Gi")
    );

    hands.delete(doomed(&wish.name, &changed)).await?;
    hands.delete(doomed(&wish.name, &changed)).await?;
    assert_eq!(fake.tell("[ct.vmid for ct in pve.cts]"), json!([120]));
    Ok(())
}

fn config_mac(config: &serde_json::Value) -> &str {
    config["net0"].as_str().unwrap().split(',').find_map(|part| part.strip_prefix("hwaddr=")).unwrap()
}

#[tokio::test]
async fn a_virtual_machine_is_cloned_set_up_and_destroyed() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let mut settings = fake.settings();
    let keys = Ok(vec!["ssh-ed25519 AAAA+/= lab".into()]);
    let password_hash = Ok(Some(Secret::new("$6$salt$1234".into())));
    settings.logins.insert("master-1".into(), Login { user: "odin".into(), keys, password_hash, host_key: None });
    let hands = kubewright_providers::proxmox::Proxmox::new(settings)?;
    let (owner, wish) = (owner(), virtual_machine("master-1", 1001, "pve1"));

    let made = hands.create(&wish, &owner).await?;
    assert_eq!(
        (made.power, made.vmid, made.settings.cores(), made.settings.memory()),
        (Power::Stopped, Some(Vmid(1001)), wish.cores, wish.memory)
    );
    assert_eq!((made.address, made.settings.privileged(), made.settings.on_boot()), (wish.address, None, true));
    let config = fake.tell("pve.vm(1001).config");
    let word = |name: &str| config[name].as_str().unwrap_or_default().to_string();
    assert_eq!(word("name"), "master-1");
    assert_eq!(word("tags"), "k3s;kubewright-lab");
    assert_eq!((word("cpu").as_str(), word("scsihw").as_str()), ("host", "virtio-scsi-single"));
    assert_eq!(word("ipconfig0"), "ip=10.0.4.1/24,gw=10.0.0.1");
    assert_eq!(word("sshkeys"), "ssh-ed25519%20AAAA%2B%2F%3D%20lab");
    assert_eq!((word("ciuser").as_str(), word("serial0").as_str()), ("odin", "socket"));
    assert_eq!(word("cipassword"), "$6$salt$1234");
    assert_eq!((word("ciupgrade").as_str(), word("description").as_str()), ("0", "kubewright-vmid: 1001"));
    assert!(word("net0").contains("bridge=vmbr0") && word("net0").contains("tag=20"), "{config}");
    assert_eq!(word("scsi0"), "local-lvm:vm-1001-disk-0,size=3G,iothread=1");
    assert_eq!(word("scsi1"), "local-lvm:50,format=raw,iothread=1");
    // The pretend cluster only says that it has resized, so the request is what shows it.
    let resized = fake.tell("[str(r[2]) for r in pve.requests if r[1].endswith('/qemu/1001/resize')]");
    assert!(resized[0].as_str().unwrap().contains("disk=scsi0&size=8192M"), "{resized}");

    assert_eq!(
        hands.observe(&owner).await?.machines.keys().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["master-1"]
    );
    assert_eq!(hands.start(&wish.name, &owner).await?.power, Power::Running);
    hands.delete(doomed(&wish.name, &made)).await?;
    assert_eq!(fake.tell("[vm.vmid for vm in pve.vms]"), json!([90001, 121]));
    Ok(())
}

/// Proxmox copies tags and notes into a clone; this one is made by hand and has a number and a name of its own.
const COPIED: &str = "pve.vm(121).config.update({key: pve.vm(1001).config[key] for key in ('tags', 'description')})";

#[tokio::test]
async fn a_copy_that_somebody_has_made_is_theirs() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let hands = fake.hands();
    let (owner, wish) = (owner(), virtual_machine("master-1", 1001, "pve1"));
    let made = hands.create(&wish, &owner).await?;
    fake.tell(COPIED);
    let seen = hands.observe(&owner).await?;
    assert_eq!(seen.machines, [(wish.name.clone(), made.clone())].into());
    assert!(seen.taken.iter().any(|taken| taken.vmid == Some(Vmid(121))), "{:?}", seen.taken);
    // Nor is it ours where it has the name as well.
    fake.tell("pve.vm(121).config['name'] = 'master-1'");
    assert_eq!(fake.hands().observe(&owner).await?.machines, seen.machines);
    hands.delete(doomed(&wish.name, &made)).await?;
    hands.delete(doomed(&wish.name, &made)).await?;
    assert_eq!(fake.tell("[vm.vmid for vm in pve.vms]"), json!([90001, 121]));
    // Of a machine's disks those go that it has, and none that merely bears its number.
    let deleted = fake.tell("[str(r[2]) for r in pve.requests if r[0] == 'DELETE' and r[1].endswith('/qemu/1001')]");
    assert!(deleted[0].as_str().is_some_and(|asked| !asked.contains("unreferenced")), "{deleted}");
    Ok(())
}

#[tokio::test]
async fn a_volume_of_kubernetes_is_no_disk_of_the_machines() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let hands = fake.hands();
    let body = VmBody { extra_disks: Vec::new(), ..body(&virtual_machine("master-1", 1001, "pve1")) };
    let wish = DesiredMachine { body: Body::Vm(body).into(), ..virtual_machine("master-1", 1001, "pve1") };
    hands.create(&wish, &owner()).await?;
    fake.tell("pve.vm(1001).config['scsi1'] = 'local-lvm:vm-9999-pvc-1,size=9G'");
    let further = virtual_machine("master-1", 1001, "pve1");
    let refused = hands.update(&further, &owner()).await.unwrap_err();
    let wanted = "scsi1 of master-1 has local-lvm:vm-9999-pvc-1, which is none of its own disks";
    assert_eq!((refused.kind, refused.message.as_str()), (ErrorKind::Conflict, wanted));
    assert_eq!(fake.tell("pve.vm(1001).config['scsi1']"), json!("local-lvm:vm-9999-pvc-1,size=9G"));
    Ok(())
}

#[tokio::test]
async fn what_a_template_cannot_become_is_refused_before_it_is_cloned() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let hands = fake.hands();
    let wish = virtual_machine("master-1", 1001, "pve1");
    let smaller = DesiredMachine { disk: Some(Size::from_gib(2)), ..wish.clone() };
    let linked = VmTemplate { vmid: Vmid(90001), name: None, linked: true, built: false };
    let elsewhere = VmBody { source: VmSource::Clone(linked), ..body(&wish) };
    let elsewhere = DesiredMachine { body: Body::Vm(elsewhere).into(), place: "pve2".into(), ..wish };
    for (wish, why) in [
        (smaller, "the template 90001 has a disk of 3Gi, and none of 2Gi is made from it"),
        (elsewhere, "a linked clone of VM 90001 on pve1 cannot go to pve2, which does not see its disks"),
    ] {
        let refused = hands.create(&wish, &owner()).await.unwrap_err();
        assert_eq!((refused.kind, refused.message.as_str()), (ErrorKind::Invalid, why));
    }
    assert_eq!(fake.tell("[vm.vmid for vm in pve.vms]"), json!([90001, 121]));
    Ok(())
}

#[tokio::test]
async fn a_machine_that_was_moved_is_the_same_machine() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let hands = fake.hands();
    let (owner, wish) = (owner(), container("agent-1", 400, "pve1"));
    let made = hands.create(&wish, &owner).await?;
    fake.tell("pve.ct(400).node = 'pve3'");
    let seen = hands.observe(&owner).await?.machines[&wish.name].clone();
    assert_eq!(seen, MachineSeen { place: "pve3".into(), ..made.clone() });
    assert_eq!(hands.create(&wish, &owner).await?, seen, "it is there already");
    let changed = hands.update(&DesiredMachine { cores: Some(3), ..wish.clone() }, &owner).await?;
    assert_eq!((changed.place.as_str(), changed.settings.cores()), ("pve3", Some(3)));
    let refused = hands.delete(doomed(&wish.name, &made)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict, "it is not where it was seen");
    hands.delete(doomed(&wish.name, &seen)).await
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let hands = fake.hands();
    let owner = owner();
    let before = fake.tell("[[ct.config for ct in pve.cts], [vm.config for vm in pve.vms]]");
    for (name, vmid) in [
        ("agent-1", Some(120)),
        ("agent-1", Some(121)),
        ("agent-1", Some(90001)),
        ("somebody-elses", Some(400)),
        ("also-somebody-elses", None),
    ] {
        let wish = DesiredMachine { vmid: vmid.map(Vmid), ..container(name, 400, "pve2") };
        let refused = hands.create(&wish, &owner).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict, "{name} {vmid:?}: {refused}");
        assert_eq!(hands.update(&wish, &owner).await.unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(hands.start(&wish.name, &owner).await.unwrap_err().kind, ErrorKind::NotFound);
        let doomed = Doomed { name: &wish.name, place: &"pve2".into(), vmid: wish.vmid, owner: &owner };
        hands.delete(doomed).await?;
    }
    // Our mark with another name, and our name with another cluster's mark.
    fake.tell("pve.add_ct(130, 'other', node='pve1', config={'tags': 'kubewright-lab'})");
    fake.tell("pve.add_ct(131, 'agent-1', node='pve1', config={'tags': 'kubewright-other'})");
    for vmid in [130, 131] {
        let refused = hands.create(&container("agent-1", vmid, "pve1"), &owner).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
    }
    assert_eq!(fake.tell("[[ct.config for ct in pve.cts[:1]], [vm.config for vm in pve.vms]]"), before);
    Ok(())
}

#[tokio::test]
async fn protected_machines_are_kept() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let hands = fake.hands();
    let (owner, wish) = (owner(), container("agent-1", 400, "pve1"));
    hands.create(&wish, &owner).await?;
    fake.tell("pve.ct(400).config.update(protection=1)");
    let seen = hands.observe(&owner).await?.machines[&wish.name].clone();
    assert!(seen.protected);
    let refused = hands.delete(doomed(&wish.name, &seen)).await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.message.as_str()),
        (ErrorKind::Denied, "agent-1 is protected: `protection` is set on CT 400 on pve1")
    );
    Ok(())
}

#[tokio::test]
async fn features_that_only_root_may_give_are_not_asked_of_the_api() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let hands = fake.hands();
    let (owner, wish) = (owner(), container("agent-1", 400, "pve1"));
    let Body::Lxc(body) = &*wish.body else { panic!("a container has a container's body") };
    let body = LxcBody { privileged: true, features: vec!["fuse".into(), "nesting".into()], ..body.clone() };
    let wish = DesiredMachine { body: Body::Lxc(body).into(), ..wish };
    let made = hands.create(&wish, &owner).await?;
    assert_eq!((made.settings.privileged(), made.settings.features()), (Some(true), &[][..]));
    // They come over SSH as a line of the hypervisor's file, and are seen then and left as they are.
    fake.tell("pve.ct(400).config.update(features='fuse=1,nesting=1')");
    let changed = hands.update(&DesiredMachine { cores: Some(3), ..wish.clone() }, &owner).await?;
    assert_eq!(changed.settings.features(), ["fuse", "nesting"]);
    Ok(())
}

#[tokio::test]
async fn a_clone_reaches_another_node() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    fake.tell(MOVES);
    let owner = owner();
    // The disks are the node's own: a clone is made beside its template, and moves before it is anything.
    let wish = virtual_machine("master-1", 1001, "pve2");
    fake.tell("lose(pve, 'POST', '/qemu/90001/clone')");
    assert_eq!(fake.hands().create(&wish, &owner).await.unwrap_err().kind, ErrorKind::Transient);
    let seen = fake.hands().observe(&owner).await?.machines[&wish.name].clone();
    assert_eq!((seen.place.as_str(), seen.settings.cores()), ("pve1", None));
    let made = fake.hands().create(&wish, &owner).await?;
    assert_eq!((made.place.as_str(), made.settings.cores()), ("pve2", wish.cores));

    // The disks are everybody's: the clone is made where it belongs.
    fake.tell("pve.storages['local-lvm']['shared'] = 1");
    let asked = "[r[2].decode() for r in pve.requests if r[1].endswith('/qemu/90001/clone')][-1]";
    let _ = fake.hands().create(&virtual_machine("master-2", 1002, "pve3"), &owner).await;
    let asked = fake.tell(asked);
    assert!(asked.as_str().unwrap().contains("target=pve3"), "{asked}");
    Ok(())
}
