//! Templates of virtual machines: from an image to what is cloned, and away again.

use kubewright_model::desired::{Body, DesiredMachine, VmBody, VmImage, VmSource, VmTemplate};
use kubewright_model::digest::Digest;
use kubewright_model::ids::{NodeName, Vmid};
use kubewright_model::observed::{Origin, Power, TemplateSeen};
use kubewright_model::setting::Setting;
use kubewright_providers::proxmox::Proxmox;
use kubewright_providers::{Doomed, ErrorKind, Provider as _, ProviderError, Wanted};
use serde_json::json;

use crate::fake::Fake;
use crate::taught::{GETS_IMAGES, GROWS};
use crate::wishes::{body, owner, unbuilt, virtual_machine};

/// The files of images that are on the storage.
const FILES: &str = "sorted(name for name in pve.storages['local']['volumes'] if name.startswith('import/'))";

fn taught() -> Fake {
    let mut fake = Fake::start();
    fake.tell(GETS_IMAGES);
    fake.tell(GROWS);
    fake.tell("pve.store_file('local', 'somebody-elses.qcow2', 1000, content='import')");
    fake
}

/// A node of that template.
fn node(name: &str, vmid: u32, template: &str, linked: bool) -> DesiredMachine {
    let machine = virtual_machine(name, vmid, "pve1");
    let template = VmTemplate { vmid: Vmid(90011), name: Some(template.into()), linked, built: true };
    let body = VmBody { source: VmSource::Clone(template), ..body(&machine) };
    DesiredMachine { body: Body::Vm(body).into(), ..machine }
}

async fn template(hands: &Proxmox, name: &NodeName) -> Result<TemplateSeen, ProviderError> {
    Ok(hands.observe(&owner()).await?.templates[name].clone())
}

async fn delete(hands: &Proxmox, name: &NodeName) -> Result<(), ProviderError> {
    let inventory = hands.observe(&owner()).await?;
    let (place, vmid) = match inventory.templates.get(name) {
        Some(seen) => (&seen.place, seen.vmid),
        None => (&inventory.machines[name].place, inventory.machines[name].vmid),
    };
    hands.delete(Doomed { name, place, vmid, owner: &owner() }).await
}

#[tokio::test]
async fn an_image_becomes_a_template_and_the_template_nodes() -> Result<(), ProviderError> {
    let (mut fake, owner) = (taught(), owner());
    let (hands, wish) = (fake.hands(), unbuilt("noble-1a2b", 90011));
    let made = hands.create(&wish, &owner).await?;
    assert_eq!(
        (made.power, made.settings.cores(), made.settings.memory(), made.settings.disk()),
        (Power::Stopped, wish.cores, wish.memory, wish.disk)
    );
    assert_eq!(hands.create(&wish, &owner).await?, made, "a second time makes no second one");
    let config = fake.tell("pve.vm(90011).config");
    assert_eq!(
        (&config["tags"], &config["boot"]),
        (&json!("kubewright-lab;kubewright_template"), &json!("order=scsi0"))
    );
    let inventory = hands.observe(&owner).await?;
    assert!(inventory.machines.is_empty() && !inventory.taken.iter().any(|taken| taken.vmid == Some(Vmid(90011))));
    assert!(!inventory.templates[&wish.name].finished);
    let early = hands.create(&node("node-1", 1001, "noble-1a2b", false), &owner).await.unwrap_err();
    assert_eq!((early.kind, early.message.as_str()), (ErrorKind::NotFound, "there is no template noble-1a2b"));

    assert_eq!(hands.start(&wish.name, &owner).await?.power, Power::Running);
    hands.turn_into_template(&wish.name, &owner).await?;
    hands.turn_into_template(&wish.name, &owner).await?;
    let seen = template(&hands, &wish.name).await?;
    assert_eq!((seen.finished, seen.vmid, seen.place.as_str()), (true, Some(Vmid(90011)), "pve1"));
    assert_eq!(hands.start(&wish.name, &owner).await.unwrap_err().kind, ErrorKind::NotFound);

    for (name, vmid, linked) in [("node-1", 1001, false), ("node-2", 1002, true)] {
        let made = hands.create(&node(name, vmid, "noble-1a2b", linked), &owner).await?;
        // What LVM-thin clones hangs on nothing.
        assert_eq!(made.template, Some(Origin { name: "noble-1a2b".into(), linked: false }));
        let tags = Setting::tags(&["k3s".into()]);
        assert_eq!(made.settings.like(&tags), Some(&tags), "the template's tag is not the clone's");
        let refused = hands.turn_into_template(&name.into(), &owner).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
    }
    for name in ["node-1", "node-2", "noble-1a2b"] {
        delete(&hands, &name.into()).await?;
    }
    assert_eq!(fake.tell("[vm.vmid for vm in pve.vms]"), json!([90001, 121]));
    assert_eq!(fake.tell(FILES), json!(["import/somebody-elses.qcow2"]));
    Ok(())
}

#[tokio::test]
async fn a_template_keeps_no_image_that_told_it_who_it_was() -> Result<(), ProviderError> {
    let (mut fake, owner) = (taught(), owner());
    let hands = fake.hands();
    let wish = unbuilt("noble-1a2b", 90011);
    let told = VmBody { iso: Some("local".into()), ..body(&wish) };
    let wish = DesiredMachine { body: Body::Vm(told).into(), ..wish };
    hands.create(&wish, &owner).await?;
    let image = "local:iso/kubewright-lab-noble-1a2b.iso,media=cdrom";
    assert_eq!(fake.tell("pve.vm(90011).config.get('ide2')"), json!(image));
    hands.turn_into_template(&wish.name, &owner).await?;
    assert_eq!(fake.tell("pve.vm(90011).config.get('ide2')"), json!(null));
    assert_eq!(fake.tell("'kubewright-lab-noble-1a2b.iso' in str(pve.storages['local']['volumes'])"), json!(false));
    Ok(())
}

#[tokio::test]
async fn what_somebody_makes_of_a_template_is_theirs() -> Result<(), ProviderError> {
    let (mut fake, owner) = (taught(), owner());
    let hands = fake.hands();
    hands.create(&unbuilt("noble-1a2b", 90011), &owner).await?;
    hands.turn_into_template(&"noble-1a2b".into(), &owner).await?;
    // Proxmox copies tags and notes into a clone.
    fake.tell("pve.vm(121).config.update({key: pve.vm(90011).config[key] for key in ('tags', 'description')})");
    let seen = hands.observe(&owner).await?;
    assert_eq!(seen.templates.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["noble-1a2b"]);
    assert!(seen.taken.iter().any(|taken| taken.vmid == Some(Vmid(121))), "{:?}", seen.taken);
    Ok(())
}

#[tokio::test]
async fn an_image_stays_while_another_template_was_made_from_it() -> Result<(), ProviderError> {
    let (mut fake, owner) = (taught(), owner());
    let hands = fake.hands();
    for (name, vmid) in [("noble-1a2b", 90011), ("noble-3c4d", 90012)] {
        hands.create(&unbuilt(name, vmid), &owner).await?;
        hands.turn_into_template(&name.into(), &owner).await?;
    }
    delete(&hands, &"noble-1a2b".into()).await?;
    assert_eq!(fake.tell(FILES).as_array().map(Vec::len), Some(2));
    delete(&hands, &"noble-3c4d".into()).await?;
    assert_eq!(fake.tell(FILES), json!(["import/somebody-elses.qcow2"]));
    Ok(())
}

#[tokio::test]
async fn another_checksum_makes_no_template_and_leaves_nothing_behind() -> Result<(), ProviderError> {
    let (mut fake, owner) = (taught(), owner());
    let (hands, mut wish) = (fake.hands(), unbuilt("noble-1a2b", 90011));
    let VmSource::Image(image) = body(&wish).source else { panic!("it is made from an image") };
    let source = VmSource::Image(VmImage { sha256: Digest::of("another"), ..image });
    wish.body = Body::Vm(VmBody { source, ..body(&wish) }).into();
    let refused = hands.create(&wish, &owner).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
    assert!(refused.message.contains("checksum mismatch: got '"), "{refused}");
    assert!(!template(&hands, &wish.name).await?.finished, "what is there is known to be ours");
    delete(&hands, &wish.name).await?;
    assert_eq!(fake.tell("[vm.vmid for vm in pve.vms]"), json!([90001, 121]));
    assert_eq!(fake.tell(FILES), json!(["import/somebody-elses.qcow2"]));
    Ok(())
}

#[tokio::test]
async fn lost_answers_make_no_second_template() -> Result<(), ProviderError> {
    let (mut fake, owner) = (taught(), owner());
    let (hands, wish) = (fake.hands(), unbuilt("noble-1a2b", 90011));
    for path in ["/nodes/pve1/qemu", "/download-url", "/qemu/90011/config"] {
        fake.tell(&format!("lose(pve, 'POST', '{path}')"));
        assert_eq!(hands.create(&wish, &owner).await.unwrap_err().kind, ErrorKind::Transient, "{path}");
    }
    assert_eq!(hands.create(&wish, &owner).await?.settings.disk(), wish.disk);
    fake.tell("lose(pve, 'POST', '/qemu/90011/template')");
    assert_eq!(hands.turn_into_template(&wish.name, &owner).await.unwrap_err().kind, ErrorKind::Transient);
    hands.turn_into_template(&wish.name, &owner).await?;
    assert!(template(&hands, &wish.name).await?.finished);
    assert_eq!(fake.tell("[vm.vmid for vm in pve.vms]"), json!([90001, 121, 90011]));
    Ok(())
}

#[tokio::test]
async fn what_a_build_needs_is_told_before() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (hands, wish) = (fake.hands(), unbuilt("noble-1a2b", 90011));
    let wanted = Wanted { machines: &[&wish], ..Wanted::default() };
    let told = hands.preflight(wanted).await?;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].message.starts_with("the storage local of pve1 takes no images of disks"), "{told:?}");
    let help = "on a Proxmox host (8.4 or newer): pvesm set local --content iso,vztmpl,backup,import; or write another storage";
    assert_eq!(told[0].help, help);
    fake.tell("pve.storages['local']['content'] = 'iso,import'");
    assert_eq!(hands.preflight(wanted).await?, []);

    fake.tell("pve.grant('kubewright@pve', '/storage/local', 'Datastore.Audit')");
    let lacking = hands.lacking(wanted).await?;
    let of = |path: &str| lacking.iter().find(|lacking| lacking.path == path).map(|it| it.privileges.join(" "));
    assert_eq!(of("/storage/local").as_deref(), Some("Datastore.Allocate Datastore.AllocateTemplate"));
    assert_eq!(of("/nodes/pve1").as_deref(), Some("Sys.AccessNetwork"));
    let clone = node("node-1", 1001, "noble-1a2b", false);
    let lacking = hands.lacking(Wanted { machines: &[&clone], ..Wanted::default() }).await?;
    let guests = lacking.iter().find(|lacking| lacking.path == "/vms").unwrap();
    assert!(guests.privileges.contains(&"VM.Clone"), "{guests:?}");
    fake.tell("pve.grant('kubewright@pve', '/', 'Sys.Audit', 'Sys.Modify')");
    let lacking = hands.lacking(wanted).await?;
    assert!(!lacking.iter().any(|lacking| lacking.path.starts_with("/nodes/")), "{lacking:?}");
    Ok(())
}
