//! A change of a guest's configuration, setting by setting, in Proxmox' words.
//!
//! Settings of settings share a line (`virtio=BC:24:…,bridge=vmbr0,tag=20`), and what else stands in it stays there: it is
//! somebody else's, or Proxmox' own.

use kubewright_model::desired::{Body, DesiredMachine, LxcBody, VmBody};
use kubewright_model::ids::Owner;
use kubewright_model::setting::Setting;
use kubewright_model::units::Size;

use super::call::{Config, Kind};
use super::guest::property;
use super::notes::Notes;

/// A change in the making.
pub(super) struct Change<'a> {
    machine: &'a DesiredMachine,
    owner: &'a Owner,
    kind: Kind,
    there: &'a Config,
    config: Config,
}

impl<'a> Change<'a> {
    /// A change of what is there, so far of nothing.
    pub(super) fn new(machine: &'a DesiredMachine, owner: &'a Owner, kind: Kind, there: &'a Config) -> Self {
        Self { machine, owner, kind, there, config: Config::new() }
    }

    /// What is to be sent.
    pub(super) fn config(self) -> Config {
        self.config
    }

    /// Puts one setting in it, as far as it can be set on a guest that is there. Volumes are grown by calls of their own,
    /// and what cloud-init has told a virtual machine once stays so.
    pub(super) fn write(&mut self, wish: &Setting) {
        match wish {
            Setting::Cores(cores) => {
                self.set("cores", cores);
                // A number of cores is meant for the whole machine, and Proxmox multiplies it by the sockets.
                if self.kind == Kind::Qemu {
                    self.set("sockets", 1);
                }
            }
            Setting::Memory(size) => self.set("memory", size.mib()),
            Setting::Balloon(balloon) => self.set("balloon", balloon.least().map_or(0, |least| least.mib())),
            Setting::Swap(size) => self.set("swap", size.map_or(0, |size| size.mib())),
            Setting::Tags(words) => self.set("tags", tags(words, self.owner)),
            Setting::OnBoot(yes) => self.set("onboot", u8::from(*yes)),
            Setting::Startup(startup) => self.set("startup", startup),
            Setting::Description(text) => self.describe(text),
            Setting::Features(words) if words.is_empty() => self.delete("features"),
            Setting::Features(words) => {
                let features: Vec<String> = words.iter().map(|feature| format!("{feature}=1")).collect();
                self.set("features", features.join(","));
            }
            Setting::ScsiController(name) => self.set("scsihw", name),
            Setting::Cpu(name) => self.first("cpu", "cputype", name),
            Setting::Agent(yes) => self.first("agent", "enabled", &u8::from(*yes).to_string()),
            _ => self.write_volume_or_card(wish),
        }
    }

    fn write_volume_or_card(&mut self, wish: &Setting) {
        let container = self.kind == Kind::Lxc;
        match (wish, &*self.machine.body) {
            (Setting::Bridge(name), _) => self.part("net0", "bridge", Some(name.clone())),
            (Setting::Vlan(tag), _) => self.part("net0", "tag", Some(tag.to_string())),
            (Setting::Queues(queues), _) => self.part("net0", "queues", Some(queues.to_string())),
            (Setting::Prefix(length), _) if container => {
                let Some(address) = self.machine.address else { return };
                let name = if address.is_ipv6() { "ip6" } else { "ip" };
                self.part("net0", name, Some(format!("{address}/{length}")));
            }
            (Setting::Gateway(address), _) if container => {
                let name = if address.is_ipv6() { "gw6" } else { "gw" };
                self.part("net0", name, Some(address.to_string()));
            }
            (Setting::Nameservers(list), _) if container => self.set("nameserver", words(list)),
            (Setting::SearchDomains(list), _) if container => self.set("searchdomain", words(list)),
            (Setting::IoThread(yes), Body::Vm(vm)) => self.io_thread(vm, *yes),
            (Setting::ExtraDisk(number, size), Body::Vm(vm)) => self.extra_disk(vm, *number, *size),
            (Setting::Mount(path, size), Body::Lxc(lxc)) => self.mount(lxc, path, *size),
            _ => {}
        }
    }

    /// What people read; what we have noted below it stays.
    fn describe(&mut self, text: &str) {
        self.set("description", Notes { text: text.into(), ..Notes::read(self.there) });
    }

    fn io_thread(&mut self, vm: &VmBody, yes: bool) {
        let there = self.there.get(&vm.disk_slot).map(|disk| property(disk, "iothread") == Some("1"));
        if there == Some(!yes) {
            self.part(&vm.disk_slot, "iothread", yes.then(|| "1".into()));
        }
    }

    /// A further disk, if nothing is in its slot.
    fn extra_disk(&mut self, vm: &VmBody, number: u8, size: Size) {
        let slot = extra_slot(vm, number);
        if !self.there.contains_key(&slot) {
            self.set(&slot, format!("{}:{},{}", vm.storage, gibibytes(size), disk_options(vm)));
        }
    }
}

impl Change<'_> {
    /// A further volume of a container, if none is mounted there. It is in backups, as all of the machine is.
    fn mount(&mut self, lxc: &LxcBody, path: &str, size: Size) {
        if mount_slot(self.there, path).is_some() {
            return;
        }
        let own = lxc.mounts.iter().find(|mount| mount.path == path).and_then(|mount| mount.storage.as_ref());
        let storage = own.unwrap_or(&lxc.storage);
        let free = |slot: &String| !self.there.contains_key(slot) && !self.config.contains_key(slot);
        if let Some(slot) = (0..MOUNTS).map(|n| format!("mp{n}")).find(free) {
            self.set(&slot, format!("{storage}:{},mp={path},backup=1", gibibytes(size)));
        }
    }

    fn set(&mut self, name: &str, value: impl ToString) {
        self.config.insert(name.into(), value.to_string());
    }

    /// Takes a setting away, if it is there.
    fn delete(&mut self, name: &str) {
        if self.there.contains_key(name) {
            let gone = self.config.entry("delete".into()).or_default();
            *gone = gone.split(',').filter(|other| !other.is_empty()).chain([name]).collect::<Vec<_>>().join(",");
        }
    }

    /// The line of a setting, as far as it is changed.
    fn line(&self, name: &str) -> &str {
        self.config.get(name).or_else(|| self.there.get(name)).map(String::as_str).unwrap_or_default()
    }

    /// One part of a line; without a value it is taken out.
    fn part(&mut self, line: &str, name: &str, value: Option<String>) {
        let others = self.line(line).split(',').filter(|part| !part.is_empty() && !is_called(part, name));
        let parts: Vec<String> = others.map(String::from).chain(value.map(|value| format!("{name}={value}"))).collect();
        self.set(line, parts.join(","));
    }

    /// The part of a line that needs no name, and stands first.
    fn first(&mut self, line: &str, name: &str, value: &str) {
        let others = self.line(line).split(',').filter(|part| part.contains('=') && !is_called(part, name));
        let parts: Vec<&str> = [value].into_iter().chain(others).collect();
        self.set(line, parts.join(","));
    }
}

fn is_called(part: &str, name: &str) -> bool {
    part.split_once('=').is_some_and(|(own, _)| own == name)
}

/// What is said of every new disk of a virtual machine.
pub(super) fn disk_options(vm: &VmBody) -> String {
    let thread = if vm.io_thread { ",iothread=1" } else { "" };
    format!("format={}{thread}", vm.format)
}

/// The slot of a further disk.
pub(super) fn extra_slot(vm: &VmBody, number: u8) -> String {
    format!("{}{number}", vm.disk_slot.trim_end_matches(|c: char| c.is_ascii_digit()))
}

/// Mount points that a container may have (pve-container, `LXC/Config.pm`).
const MOUNTS: u16 = 256;

/// The slot of what is mounted at a path.
pub(super) fn mount_slot(config: &Config, path: &str) -> Option<String> {
    let mounts = config.iter().filter(|(name, _)| is_mount(name));
    mounts.into_iter().find(|(_, line)| property(line, "mp") == Some(path)).map(|(name, _)| name.clone())
}

/// Whether a setting is a mount point.
pub(super) fn is_mount(name: &str) -> bool {
    name.strip_prefix("mp").is_some_and(|number| number.parse::<u16>().is_ok())
}

/// A list with spaces between.
pub(super) fn words(list: &[impl ToString]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A size in whole and parts of GiB, as a new volume's is written.
pub(super) fn gibibytes(size: Size) -> String {
    let mib = size.mib();
    // A 1024th is 0.0009765625, so ten decimal places are exact.
    let text = format!("{}.{:010}", mib / 1024, (mib % 1024) * 9_765_625);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// All tags, ours among them.
fn tags(others: &[String], owner: &Owner) -> String {
    let mut tags: Vec<String> = others.iter().cloned().chain([owner.tag()]).collect();
    tags.sort();
    tags.dedup();
    tags.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Config {
        pairs.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
    }

    #[test]
    fn what_else_stands_in_a_line_stays_there() {
        let body = VmBody { io_thread: false, ..crate::proxmox::call::schema::vm() };
        let machine = crate::proxmox::call::schema::machine(Body::Vm(body));
        let there = of(&[
            ("net0", "virtio=BC:24:11:00:00:02,bridge=vmbr0,firewall=1"),
            ("cpu", "kvm64,flags=+aes"),
            ("agent", "enabled=0,fstrim_cloned_disks=1"),
            ("scsi0", "local-lvm:vm-400-disk-0,iothread=1,ssd=1,size=32G"),
            ("scsi1", "local-lvm:vm-9999-pvc-1,size=1G"),
            ("description", "before\n\nkubewright-vmid: 400\nkubewright-template: noble-1a2b3c4d\n"),
        ]);
        let owner = Owner("lab".into());
        let mut change = Change::new(&machine, &owner, Kind::Qemu, &there);
        for wish in [
            Setting::Bridge("vmbr1".into()),
            Setting::Description("now".into()),
            Setting::Vlan(20),
            Setting::Cpu("host".into()),
            Setting::Agent(true),
            Setting::IoThread(false),
            Setting::ExtraDisk(1, Size::from_gib(5)),
            Setting::ExtraDisk(2, Size::from_gib(5)),
            Setting::Gateway("10.0.0.9".parse().unwrap()),
            Setting::Nameservers(vec!["10.0.0.9".parse().unwrap()]),
        ] {
            change.write(&wish);
        }
        let wanted = of(&[
            ("net0", "virtio=BC:24:11:00:00:02,firewall=1,bridge=vmbr1,tag=20"),
            ("cpu", "host,flags=+aes"),
            ("agent", "1,fstrim_cloned_disks=1"),
            ("scsi0", "local-lvm:vm-400-disk-0,ssd=1,size=32G"),
            ("scsi2", "local-lvm:5,format=raw"),
            ("description", "now\n\nkubewright-vmid: 400\nkubewright-template: noble-1a2b3c4d"),
        ]);
        assert_eq!(change.config(), wanted, "what cloud-init has told stays, and so does what is in a slot");
    }

    #[test]
    fn sizes_of_new_volumes_are_exact() {
        let sizes = [32 * 1024, 512, 1536, 1, 1025].map(|mib| gibibytes(Size::from_mib(mib)));
        assert_eq!(sizes, ["32", "0.5", "1.5", "0.0009765625", "1.0009765625"]);
    }
}
