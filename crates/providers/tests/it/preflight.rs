//! What machines are made from and put on, looked for before they are made.

use kubewright_model::desired::{Body, DesiredMachine, LxcBody, VmBody, VmSource, VmTemplate};
use kubewright_model::ids::Vmid;
use kubewright_providers::{Provider as _, ProviderError, Refusal, Wanted};

use crate::fake::Fake;
use crate::wishes::{body, container, owner, virtual_machine};

async fn told(fake: &Fake, machines: &[DesiredMachine]) -> Result<Vec<String>, ProviderError> {
    let hands = fake.hands();
    hands.observe(&owner()).await?;
    let machines: Vec<_> = machines.iter().collect();
    let refusals = hands.preflight(Wanted { machines: &machines, ..Wanted::default() }).await?;
    Ok(refusals.into_iter().map(|Refusal { message, help }| format!("{message} [{help}]")).collect())
}

fn vm(change: impl FnOnce(&mut VmBody)) -> DesiredMachine {
    let machine = virtual_machine("master-1", 1001, "pve1");
    let mut vm = body(&machine);
    change(&mut vm);
    DesiredMachine { body: Body::Vm(vm).into(), ..machine }
}

fn from(number: u32, name: Option<&str>) -> VmSource {
    VmSource::Clone(VmTemplate { vmid: Vmid(number), name: name.map(String::from), linked: false, built: false })
}

#[tokio::test]
async fn what_is_not_there_is_told_before_anything_is_made() -> Result<(), ProviderError> {
    let fake = Fake::start();
    let right = [container("agent-1", 400, "pve1"), container("agent-2", 401, "pve2"), vm(|_| ())];
    assert_eq!(told(&fake, &right).await?, [""; 0]);

    let elsewhere = told(&fake, &[container("agent-1", 400, "midgard")]).await?;
    assert_eq!(elsewhere, ["there is no node midgard at Proxmox [write `node` as Proxmox has it: pve1, pve2, pve3]"]);
    let none = told(&fake, &[vm(|vm| vm.source = from(777, None))]).await?;
    assert!(none[0].starts_with("there is no template 777 [write the number of one"), "{none:?}");
    let other = told(&fake, &[vm(|vm| vm.source = from(90001, Some("jammy")))]).await?;
    assert!(other[0].starts_with("the template 90001 is named noble, not jammy [write its name as"), "{other:?}");
    let bus = told(&fake, &[vm(|vm| vm.disk_slot = "virtio0".into())]).await?;
    assert!(bus[0].starts_with("the template 90001 has its disk at scsi0, not at virtio0 [write its bus"), "{bus:?}");
    let linked = VmTemplate { vmid: Vmid(90001), name: None, linked: true, built: false };
    let linked = vm(|vm| vm.source = VmSource::Clone(linked));
    let elsewhere = told(&fake, &[DesiredMachine { place: "pve2".into(), ..linked }]).await?;
    assert!(elsewhere[0].starts_with("a linked clone of VM 90001 on pve1 cannot go to pve2"), "{elsewhere:?}");
    let storage = told(&fake, &[vm(|vm| vm.storage = "local-zfs".into())]).await?;
    assert!(
        storage[0].starts_with("pve1 has no storage local-zfs [write one that `pvesm status` shows"),
        "{storage:?}"
    );

    let machine = container("agent-1", 400, "pve1");
    let Body::Lxc(lxc) = &*machine.body else { unreachable!("it is a container") };
    let lxc = LxcBody { storage: "local".into(), ..lxc.clone() };
    let content = told(&fake, &[DesiredMachine { body: Body::Lxc(lxc).into(), ..machine }]).await?;
    assert!(content[0].starts_with("the storage local of pve1 takes no disks of containers [on a Prox"), "{content:?}");
    Ok(())
}

#[tokio::test]
async fn a_machine_that_is_there_outlives_its_template() -> Result<(), ProviderError> {
    let fake = Fake::start();
    fake.hands().create(&vm(|_| ()), &owner()).await?;
    assert_eq!(told(&fake, &[vm(|vm| vm.source = from(777, None))]).await?, [""; 0]);
    Ok(())
}
