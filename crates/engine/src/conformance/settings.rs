//! Machines that differ from the one before by a single setting each, for the rule that each is changed by itself.

use std::net::IpAddr;
use std::sync::Arc;

use kubewright_model::desired::{Body, DesiredMachine};
use kubewright_model::observed::MachineSeen;
use kubewright_model::setting::{Setting, Settings};
use kubewright_model::spec::pools::{Mount, Startup};
use kubewright_model::units::{Balloon, Size, Span};
use kubewright_planner::diff::settings::{Course, differences};

use super::{Verdict, that};

/// Sets one thing of a machine otherwise.
type Change = fn(&mut DesiredMachine);

/// What every machine of Proxmox has.
const ALL: [Change; 8] = [
    |it| it.memory = it.memory.map(|size| Size::from_mib(size.mib() + 1024)),
    |it| it.tags.push("another".into()),
    |it| it.on_boot = !it.on_boot,
    |it| it.startup = Some(Startup { order: Some(7), up: Some(Span::from_secs(30)), down: None }),
    |it| it.startup = Some(Startup { order: Some(8), up: None, down: Some(Span::from_secs(90)) }),
    |it| it.description = Some("Of the checks.".into()),
    |it| card(it, |card| card.bridge = "vmbr7".into()),
    |it| card(it, |card| card.vlan = Some(7)),
];

/// What containers have beside it.
const CONTAINER: [Change; 5] = [
    |it| card(it, |card| card.gateway = "10.0.0.254".parse().ok()),
    |it| card(it, |card| card.nameservers.extend("10.0.0.253".parse::<IpAddr>())),
    |it| card(it, |card| card.search_domains.push("checks.test".into())),
    |it| lxc(it, |lxc| lxc.swap = Some(Size::from_mib(256))),
    |it| lxc(it, |lxc| lxc.mounts.push(Mount { path: "/checks".into(), size: Size::from_gib(1), storage: None })),
];

/// What virtual machines have beside it.
const VIRTUAL_MACHINE: [Change; 8] = [
    |it| vm(it, |vm| vm.balloon = Some(Balloon::new(Some(Size::from_mib(1024))))),
    |it| vm(it, |vm| vm.balloon = Some(Balloon::new(None))),
    |it| vm(it, |vm| vm.cpu = "x86-64-v3".into()),
    |it| vm(it, |vm| vm.scsi_controller = "virtio-scsi-pci".into()),
    |it| vm(it, |vm| vm.io_thread = !vm.io_thread),
    |it| vm(it, |vm| vm.agent = !vm.agent),
    |it| vm(it, |vm| vm.network_queues = Some(2)),
    |it| vm(it, |vm| vm.extra_disks.push(Size::from_gib(3))),
];

/// What servers of a cloud have, and nothing else of what the others have. Their type is changed while they are off.
const SERVER: [Change; 3] = [
    |it| it.tags.push("checks=another".into()),
    |it| server(it, |server| server.protected = !server.protected),
    |it| server(it, |server| server.server_type = "cx33".into()),
];

fn server(machine: &mut DesiredMachine, change: impl FnOnce(&mut kubewright_model::desired::ServerBody)) {
    if let Body::Server(server) = Arc::make_mut(&mut machine.body) {
        change(server);
    }
}

fn lxc(machine: &mut DesiredMachine, change: impl FnOnce(&mut kubewright_model::desired::LxcBody)) {
    if let Body::Lxc(lxc) = Arc::make_mut(&mut machine.body) {
        change(lxc);
    }
}

fn vm(machine: &mut DesiredMachine, change: impl FnOnce(&mut kubewright_model::desired::VmBody)) {
    if let Body::Vm(vm) = Arc::make_mut(&mut machine.body) {
        change(vm);
    }
}

fn card(machine: &mut DesiredMachine, change: impl FnOnce(&mut kubewright_model::desired::Card)) {
    match Arc::make_mut(&mut machine.body) {
        Body::Lxc(lxc) => change(&mut lxc.card),
        Body::Vm(vm) => change(&mut vm.card),
        Body::Server(_) | Body::Existing | Body::Local => {}
    }
}

/// Wishes one after the other, each with one setting more that is another one.
pub(super) fn wishes(machine: &DesiredMachine) -> Vec<DesiredMachine> {
    let (all, own): (&[Change], &[Change]) = match &*machine.body {
        Body::Lxc(_) => (&ALL, &CONTAINER),
        Body::Vm(_) => (&ALL, &VIRTUAL_MACHINE),
        Body::Server(_) => (&[], &SERVER),
        Body::Existing | Body::Local => return Vec::new(),
    };
    let wishes = all.iter().chain(own).scan(machine.clone(), |wish, change| {
        change(wish);
        Some(wish.clone())
    });
    wishes.collect()
}

/// Whether a machine became what is wished, and stayed what it was beside that.
pub(super) fn became(wish: &DesiredMachine, before: &MachineSeen, after: &MachineSeen) -> Verdict {
    let changed: Vec<_> = here(wish, before);
    let names = || changed.iter().map(|it| it.name().into_owned()).collect::<Vec<_>>().join(", ");
    that(changed.len() == 1, || format!("one setting was to change, and these differ: {}", names()))?;
    let mut settings: Settings = before.settings.clone();
    changed.iter().for_each(|it| settings.set(it.clone()));
    // Whether it waits for the next start is the machine's own matter, and a cloud starts what it gives another type.
    let retyped = changed.iter().any(|it| matches!(it, Setting::ServerType(_)));
    let power = if retyped { after.power } else { before.power };
    let wished = MachineSeen { pending: after.pending, settings, power, ..before.clone() };
    that(*after == wished, || format!("{} was changed: {before:?} became {after:?}", names()))?;
    that(here(wish, after).is_empty(), || format!("{} still differs", names()))
}

/// What differs and can be changed in place.
fn here(wish: &DesiredMachine, seen: &MachineSeen) -> Vec<Setting> {
    let differing = differences(wish, seen).into_iter();
    differing
        .filter(|it| matches!(it.course, Course::AtOnce | Course::NextStart | Course::WhileOff))
        .map(|it| it.wish)
        .collect()
}
