//! Machines to wish for.

use kubewright_model::desired::{
    Body, Card, DesiredMachine, LxcBody, TEMPLATE_TAG, VmBody, VmImage, VmSource, VmTemplate,
};
use kubewright_model::digest::Digest;
use kubewright_model::ids::{Owner, Vmid};
use kubewright_model::units::Size;

pub(crate) fn owner() -> Owner {
    Owner("lab".into())
}

fn card() -> Card {
    Card {
        bridge: "vmbr0".into(),
        prefix: Some(24),
        gateway: "10.0.0.1".parse().ok(),
        nameservers: vec!["10.0.0.1".parse().unwrap()],
        ..Card::default()
    }
}

pub(crate) fn container(name: &str, vmid: u32, place: &str) -> DesiredMachine {
    let body = LxcBody {
        template: "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst".into(),
        storage: "local-lvm".into(),
        card: Card { search_domains: vec!["lab.test".into()], ..card() },
        privileged: false,
        features: vec!["nesting".into()],
        raw: Vec::new(),
        swap: None,
        download: None,
        mounts: Vec::new(),
    };
    machine(name, vmid, place, Body::Lxc(body))
}

pub(crate) fn virtual_machine(name: &str, vmid: u32, place: &str) -> DesiredMachine {
    let body = VmBody {
        source: VmSource::Clone(VmTemplate {
            vmid: Vmid(90001),
            name: Some("noble".into()),
            linked: false,
            built: false,
        }),
        storage: "local-lvm".into(),
        card: Card { vlan: Some(20), ..card() },
        cpu: "host".into(),
        disk_slot: "scsi0".into(),
        format: "raw".into(),
        scsi_controller: "virtio-scsi-single".into(),
        balloon: None,
        io_thread: true,
        agent: true,
        network_queues: None,
        extra_disks: vec![Size::from_gib(50)],
        password_hash: None,
        iso: None,
    };
    machine(name, vmid, place, Body::Vm(body))
}

/// A machine that is to become a template.
pub(crate) fn unbuilt(name: &str, vmid: u32) -> DesiredMachine {
    let machine = virtual_machine(name, vmid, "pve1");
    let url = "https://images.test/noble.img".to_string();
    let image = VmImage { sha256: Digest::of(&url), url, storage: "local".into() };
    let body = VmBody { source: VmSource::Image(image), extra_disks: Vec::new(), agent: false, ..body(&machine) };
    DesiredMachine { body: Body::Vm(body).into(), tags: vec![TEMPLATE_TAG.into()], on_boot: false, ..machine }
}

/// What a virtual machine is made of.
pub(crate) fn body(machine: &DesiredMachine) -> VmBody {
    let Body::Vm(body) = &*machine.body else { panic!("it is a virtual machine") };
    body.clone()
}

fn machine(name: &str, vmid: u32, place: &str, body: Body) -> DesiredMachine {
    DesiredMachine {
        name: name.into(),
        pool: "nodes".into(),
        provider: "proxmox".into(),
        place: place.into(),
        address: format!("10.0.{}.{}", vmid / 250, vmid % 250).parse().ok(),
        cores: Some(2),
        memory: Some(Size::from_gib(2)),
        disk: Some(Size::from_gib(8)),
        body: body.into(),
        vmid: Some(Vmid(vmid)),
        tags: vec!["k3s".into()],
        on_boot: true,
        startup: None,
        description: None,
        ha: None,
    }
}
