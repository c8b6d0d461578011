//! 03xx, the part about what is set of machines at Proxmox and Proxmox refuses, or takes and never shows again.
//!
//! The limits are those of the API's own description (<https://pve.proxmox.com/pve-docs/api-viewer/>), and of what stands
//! behind it in pve-container (`LXC/Config.pm`) and qemu-server (`QemuServer.pm`).

use std::collections::BTreeMap;

use kubewright_model::codes::{self, Code};
use kubewright_model::desired::TEMPLATE_TAG;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::Pool;
use kubewright_model::spec::pools::{DiskBus, Lxc, Mount, ProxmoxMachines, Startup, Vm};
use kubewright_model::units::{Size, Span};

/// What the system of a container cannot do without, and what its kernel mounts there.
const SYSTEM: [&str; 8] = ["/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr"];
const KERNEL: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];
/// Volumes of a container beside its system disk.
const MOUNTS: usize = 256;
/// The least memory of a machine.
const MEMORY: Size = Size::from_mib(16);

pub(super) fn rules(pool: &Pool, machines: &ProxmoxMachines, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let own = path.then("proxmox");
    let mut say = |code: Code, path: SpecPath, message: String, help: &str| {
        found.push(Diagnostic::new(code, path, message).help(help));
    };
    tags(&machines.tags, &own, &mut say);
    if let Some(startup) = &machines.startup {
        delays(startup, &own.then("startup"), &mut say);
    }
    if let Some(lxc) = &machines.lxc {
        mounts(lxc, &own.then("lxc").then("mounts"), &mut say);
    }
    let least = |path: SpecPath, memory: Option<Size>, say: &mut dyn FnMut(Code, SpecPath, String, &str)| {
        if memory.is_some_and(|memory| memory < MEMORY) {
            let message = format!("no machine of Proxmox has less than {MEMORY} of memory");
            say(codes::SIZE_ODD, path, message, "write it in Gi, for example `2Gi`");
        }
    };
    least(path.then("memory"), pool.memory.filter(|_| !pool.role.is_node()), &mut say);
    if let Some(vm) = &machines.vm {
        let own = own.then("vm");
        least(own.then("build").then("memory"), vm.build.as_ref().map(|build| build.memory), &mut say);
        virtual_machine(pool, vm, path, &own, &mut say);
    }
}

/// By our own tags we know what is ours, and of what kind it is.
fn tags(tags: &[String], own: &SpecPath, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    for (index, tag) in tags.iter().enumerate() {
        let word = tag.to_lowercase();
        if word == TEMPLATE_TAG || word.starts_with("kubewright-") {
            let message = format!("kubewright itself knows machines by the tag `{tag}`");
            say(codes::TAG_OF_OURS, own.then("tags").then(index), message, "choose another word");
        }
    }
}

/// Proxmox counts whole seconds, and an empty line is none.
fn delays(startup: &Startup, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    if *startup == Startup::default() {
        let help = "write `order`, `up` or `down`, or remove it";
        return say(codes::STARTUP_ODD, path.clone(), "the start order says nothing".into(), help);
    }
    let odd = |span: &Span| span.duration().subsec_nanos() != 0 || span.duration().as_secs() == 0;
    for (field, span) in [("up", startup.up), ("down", startup.down)] {
        if let Some(span) = span.filter(odd) {
            let message = format!("Proxmox waits for whole seconds, and `{span}` is none");
            say(codes::STARTUP_ODD, path.then(field), message, "write one second or more, for example `30s`");
        }
    }
}

/// Each volume has a path of its own, at which the system of the container needs nothing else.
fn mounts(lxc: &Lxc, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, Mount { path: at, .. }) in lxc.mounts.iter().enumerate() {
        let place = path.then(index).then("path");
        if at.split('/').any(|part| matches!(part, "." | "..")) {
            let help = "write the path as it is, without `.` and `..`";
            say(codes::MOUNT_PATH, place, format!("Proxmox takes no path with `.` or `..` in it: `{at}`"), help);
        } else if let Some(why) = needed(at) {
            say(codes::MOUNT_PATH, place, format!("a volume at `{at}` hides {why}"), "choose another path");
        } else if *first.entry(at).or_insert(index) != index {
            let message = format!("two volumes are to be mounted at `{at}`");
            say(codes::MOUNT_PATH, place, message, "keep one, or give the other one a path of its own");
        }
    }
    if lxc.mounts.len() > MOUNTS {
        let message = format!("a container has at most {MOUNTS} further volumes");
        say(codes::DISKS_TOO_MANY, path.clone(), message, "put several into one larger volume");
    }
}

fn needed(at: &str) -> Option<&'static str> {
    let below = |root: &str| at.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if KERNEL.into_iter().any(below) {
        return Some("what the kernel and systemd have there");
    }
    SYSTEM.contains(&at).then_some("the container's own system")
}

fn virtual_machine(
    pool: &Pool,
    vm: &Vm,
    path: &SpecPath,
    own: &SpecPath,
    say: &mut impl FnMut(Code, SpecPath, String, &str),
) {
    if let (Some(least), Some(memory)) = (vm.balloon.and_then(|balloon| balloon.least()), pool.memory)
        && least > memory
    {
        let message = format!("a machine with {memory} of memory cannot be left with {least}");
        say(codes::BALLOON_ABOVE_MEMORY, own.then("balloon"), message, "write less than `memory`, or `never`");
    }
    // The system disk has the first number.
    let (bus, most) = match vm.bus {
        DiskBus::Scsi => ("SCSI", 30),
        DiskBus::Virtio => ("VirtIO", 15),
    };
    if vm.extra_disks.len() > most {
        let message = format!("there is room for {most} further {bus} disks, and these are {}", vm.extra_disks.len());
        say(codes::DISKS_TOO_MANY, own.then("extraDisks"), message, "make fewer and larger ones");
    }
    if let (Some(build), Some(disk)) = (&vm.build, pool.disk)
        && disk < build.disk
    {
        let message = format!("a clone has its template's disk of {}, which cannot shrink to {disk}", build.disk);
        let help = format!("write `disk: {}` or more, or a smaller `build.disk`", build.disk);
        say(codes::DISK_BELOW_TEMPLATE, path.then("disk"), message, &help);
    }
}
