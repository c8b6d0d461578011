//! What a guest's configuration says, in our words.
//!
//! Settings of settings stand in one line, `local-lvm:vm-400-disk-0,size=32G`. The formats are those of pve-container
//! (`LXC/Config.pm`) and qemu-server (`Drive.pm`, `Network.pm`).

use std::net::IpAddr;

use kubewright_model::ids::{NodeName, Owner, Vmid};
use kubewright_model::observed::{MachineSeen, Origin, Power};
use kubewright_model::setting::Setting;
use kubewright_model::spec::pools::Startup;
use kubewright_model::units::{Balloon, Size, Span};
use serde_json::Value;

use super::call::{Config, Guest, Kind};
use super::change::is_mount;
use super::notes::Notes;

/// What a guest's settings are where its configuration is silent: MiB of memory, for both kinds.
const DEFAULT_MEMORY: u64 = 512;
/// Buses that disks hang on, in the order in which one is looked for.
const BUSES: [&str; 4] = ["scsi", "virtio", "sata", "ide"];

/// A configuration as the API gives it: what is no single value, raw lines, is left out.
pub(super) fn config(answer: &Value) -> Config {
    let settings = answer.as_object().into_iter().flatten();
    settings.filter_map(|(name, value)| Some((name.clone(), word(value)?))).collect()
}

/// The configuration as the next start will have it, and whether that differs from what is in force.
pub(super) fn pending(answer: &Value) -> (Config, bool) {
    let settings = || answer.as_array().into_iter().flatten();
    let waits = |setting: &Value| setting.get("pending").is_some() || goes(setting);
    let next = settings().filter(|setting| !goes(setting)).filter_map(|setting| {
        let value = setting.get("pending").or_else(|| setting.get("value"))?;
        Some((setting["key"].as_str()?.to_string(), word(value)?))
    });
    (next.collect(), settings().any(waits))
}

/// Whether a setting is to go with the next start.
fn goes(setting: &Value) -> bool {
    setting.get("delete").and_then(word).is_some_and(|how| how != "0")
}

/// A single value as text: Proxmox writes numbers now as numbers and now as text.
pub(super) fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(u8::from(*yes).to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A setting of a setting.
pub(super) fn property<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

/// Tags as Proxmox lists them; it takes three characters to part them and writes one.
pub(super) fn tags(line: &str) -> impl Iterator<Item = &str> {
    line.split([';', ',', ' ']).filter(|tag| !tag.is_empty())
}

/// A volume's size in MiB, as it stands in the configuration: `32G`, `33554432K`, or bytes.
fn mebibytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().ok()?;
    let bytes = match unit {
        "" => 1.0,
        "K" => 1024.0,
        "M" => 1024.0 * 1024.0,
        "G" => 1024.0 * 1024.0 * 1024.0,
        "T" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no disk comes near what is cut off")]
    Some((number * bytes / (1024.0 * 1024.0)) as u64)
}

/// The name under which a guest is known: a container's is its host name.
pub(super) fn name(kind: Kind, config: &Config) -> Option<&str> {
    let setting = match kind {
        Kind::Lxc => "hostname",
        Kind::Qemu => "name",
    };
    config.get(setting).map(String::as_str)
}

/// The name of a clone that is not a machine yet: no mark but its name can be set in the request that makes it.
pub(super) fn unfinished(name: &NodeName, owner: &Owner) -> String {
    format!("{name}.{}", owner.tag())
}

/// The name that an unfinished clone is to have.
pub(super) fn finished_name<'a>(name: &'a str, owner: &Owner) -> Option<&'a str> {
    name.strip_suffix(&owner.tag())?.strip_suffix('.')
}

/// The slot of a guest's system disk.
pub(super) fn system_disk(kind: Kind, config: &Config) -> Option<String> {
    if kind == Kind::Lxc {
        return config.contains_key("rootfs").then(|| "rootfs".into());
    }
    let order = config.get("boot").and_then(|boot| property(boot, "order")).unwrap_or_default();
    let old = config.get("bootdisk").map(String::as_str);
    let named = order.split(';').chain(old).map(String::from);
    let usual = BUSES.iter().flat_map(|bus| (0..4).map(move |n| format!("{bus}{n}")));
    named.chain(usual).find(|slot| {
        BUSES.iter().any(|bus| slot.starts_with(bus)) && config.get(slot).is_some_and(|disk| !is_cdrom(disk))
    })
}

/// The storages that a virtual machine's drives are on.
pub(super) fn storages(config: &Config) -> impl Iterator<Item = &str> {
    let drives = config
        .iter()
        .filter(|(slot, _)| BUSES.iter().any(|bus| slot.strip_prefix(bus).is_some_and(|n| n.parse::<u32>().is_ok())));
    drives.filter_map(|(_, drive)| storage(drive))
}

/// The storage of a drive: what stands before its volume's name.
fn storage(drive: &str) -> Option<&str> {
    Some(drive.split(',').next()?.split_once(':')?.0)
}

/// Whether a drive is a CD, as cloud-init's is.
pub(super) fn is_cdrom(drive: &str) -> bool {
    property(drive, "media") == Some("cdrom") || is_cloud_init(drive)
}

/// Whether a drive is cloud-init's.
pub(super) fn is_cloud_init(drive: &str) -> bool {
    let volume = drive.split(',').next().unwrap_or_default();
    volume.ends_with("cloudinit") || volume.contains("-cloudinit.")
}

pub(super) fn is_template(config: &Config) -> bool {
    flag(config, "template")
}

/// How large a disk is.
pub(super) fn disk_size(config: &Config, slot: &str) -> Option<Size> {
    let drive = config.get(slot)?;
    match property(drive, "size") {
        Some(size) => mebibytes(size).map(Size::from_mib),
        // One that is to be made has its size in GiB where its name will be.
        None => mebibytes(&format!("{}G", drive.split(',').next()?.split_once(':')?.1)).map(Size::from_mib),
    }
}

/// A machine as its configuration has it.
pub(super) fn machine(guest: &Guest, config: &Config, power: Power, owner: &Owner) -> MachineSeen {
    // A clone that is not finished has its template's settings, and hardly any of its own.
    let finished = name(guest.kind, config).is_none_or(|name| finished_name(name, owner).is_none());
    let settings = all_settings(guest, config, owner);
    let early = |it: &Setting| matches!(it, Setting::Disk(_) | Setting::Tags(_) | Setting::OnBoot(_));
    MachineSeen {
        public: None,
        owner: owner.clone(),
        place: guest.node.as_str().into(),
        vmid: Some(guest.vmid),
        power,
        address: address(guest.kind, config),
        settings: settings.into_iter().flatten().filter(|it| finished || early(it)).collect(),
        protected: flag(config, "protection"),
        pending: false,
        template: origin(config),
        ha_of_ours: false,
    }
}

fn number(config: &Config, name: &str) -> Option<u64> {
    config.get(name)?.parse().ok()
}

fn flag(config: &Config, name: &str) -> bool {
    number(config, name) == Some(1)
}

/// What is set of a guest. Where its configuration is silent, Proxmox' own defaults hold.
fn all_settings(guest: &Guest, config: &Config, owner: &Owner) -> Vec<Option<Setting>> {
    let kind = guest.kind;
    let memory = config.get("memory").map(|line| property(line, "current").unwrap_or(line));
    let memory = memory.and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_MEMORY);
    let cores = match kind {
        // A container without a number may use every core of its node.
        Kind::Lxc => number(config, "cores"),
        Kind::Qemu => Some(number(config, "cores").unwrap_or(1) * number(config, "sockets").unwrap_or(1)),
    };
    let others: Vec<String> = config.get("tags").into_iter().flat_map(|line| tags(line)).map(String::from).collect();
    let others: Vec<String> = others.into_iter().filter(|tag| *tag != owner.tag()).collect();
    let slot = system_disk(kind, config);
    let disk = slot.as_ref().and_then(|slot| disk_size(config, slot));
    let storage = slot.and_then(|slot| storage(config.get(&slot)?));
    let part = |line: &str, name: &str| property(config.get(line)?, name).map(String::from);
    let mut all = vec![
        cores.and_then(|cores| u32::try_from(cores).ok()).map(Setting::Cores),
        Some(Setting::Memory(Size::from_mib(memory))),
        disk.map(Setting::Disk),
        storage.map(|name| Setting::Storage(name.into())),
        part("net0", "bridge").map(Setting::Bridge),
        part("net0", "tag").and_then(|tag| tag.parse().ok()).map(Setting::Vlan),
        part("net0", "queues").and_then(|queues| queues.parse().ok()).map(Setting::Queues),
        Setting::nameservers(&list(config, "nameserver")),
        Setting::search_domains(&list(config, "searchdomain")),
        Some(Setting::tags(&others)),
        Some(Setting::OnBoot(flag(config, "onboot"))),
        config.get("startup").and_then(|line| startup(line)).map(Setting::Startup),
        Some(Notes::read(config).text).filter(|text| !text.is_empty()).map(Setting::Description),
    ];
    all.extend(network(kind, config));
    match kind {
        Kind::Lxc => all.extend(of_container(config).into_iter().map(Some)),
        Kind::Qemu => all.extend(of_virtual_machine(guest.vmid, config)),
    }
    all
}

/// What only containers have.
fn of_container(config: &Config) -> Vec<Setting> {
    let swap = number(config, "swap").unwrap_or(DEFAULT_MEMORY);
    // What is mounted from the host has no size, and is none of our volumes.
    let mounts = config
        .iter()
        .filter(|(name, _)| is_mount(name))
        .filter_map(|(name, line)| Some(Setting::Mount(property(line, "mp")?.into(), disk_size(config, name)?)));
    let own = [
        Setting::features(&features(config)),
        Setting::Privileged(!flag(config, "unprivileged")),
        Setting::Swap((swap > 0).then(|| Size::from_mib(swap))),
    ];
    own.into_iter().chain(mounts).collect()
}

/// What only virtual machines have.
fn of_virtual_machine(vmid: Vmid, config: &Config) -> Vec<Option<Setting>> {
    let word = |name: &str, key: &str| config.get(name).and_then(|line| default_part(line, key)).map(String::from);
    let slot = system_disk(Kind::Qemu, config);
    let thread = slot.as_ref().and_then(|slot| config.get(slot)).map(|disk| property(disk, "iothread") == Some("1"));
    let balloon = number(config, "balloon").map(|mib| Some(mib).filter(|mib| *mib > 0).map(Size::from_mib));
    let mut all = vec![
        word("cpu", "cputype").map(Setting::Cpu),
        // What QEMU has where nobody says anything.
        Some(Setting::ScsiController(config.get("scsihw").cloned().unwrap_or_else(|| "lsi".into()))),
        Some(Setting::Agent(word("agent", "enabled").is_some_and(|yes| yes == "1"))),
        thread.map(Setting::IoThread),
        balloon.map(|least| Setting::Balloon(Balloon::new(least))),
    ];
    let bus = slot.as_ref().map(|slot| slot.trim_end_matches(|c: char| c.is_ascii_digit()).to_string());
    let own = |drive: &str| !is_cdrom(drive) && is_own(vmid, drive);
    let further = config.iter().filter(|(name, drive)| Some(*name) != slot.as_ref() && own(drive));
    all.extend(further.map(|(name, _)| {
        let number = name.strip_prefix(bus.as_deref()?)?.parse().ok()?;
        Some(Setting::ExtraDisk(number, disk_size(config, name)?))
    }));
    all
}

/// Whether a drive is a machine's own: volumes that Kubernetes hangs on it bear no machine's number, and come and go with
/// its pods. One that is still to be made has no size yet.
pub(super) fn is_own(vmid: Vmid, drive: &str) -> bool {
    drive.contains(&format!("vm-{vmid}-")) || property(drive, "size").is_none()
}

/// Where the first network card is in its network.
fn network(kind: Kind, config: &Config) -> [Option<Setting>; 2] {
    let line = address_line(kind, config).unwrap_or_default();
    let prefix = ["ip", "ip6"].iter().find_map(|name| property(line, name)?.split_once('/')?.1.parse().ok());
    let gateway = ["gw", "gw6"].iter().find_map(|name| property(line, name)?.parse().ok());
    [prefix.map(Setting::Prefix), gateway.map(Setting::Gateway)]
}

/// The part of a line that needs no name.
fn default_part<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    property(line, name).or_else(|| line.split(',').find(|part| !part.contains('=')))
}

/// A list with spaces or commas between, as far as it can be read.
fn list<T: std::str::FromStr>(config: &Config, name: &str) -> Vec<T> {
    let words = config.get(name).into_iter().flat_map(|line| line.split([' ', ',', ';']));
    words.filter_map(|word| word.parse().ok()).collect()
}

/// `order=2,up=30`; the order needs no name.
fn startup(line: &str) -> Option<Startup> {
    let number = |name: &str| property(line, name).and_then(|text| text.parse::<u64>().ok());
    let order = default_part(line, "order").and_then(|text| text.parse().ok());
    let startup = Startup { order, up: number("up").map(Span::from_secs), down: number("down").map(Span::from_secs) };
    (startup != Startup::default()).then_some(startup)
}

/// The template of ours that a machine was cloned from. A volume that hangs on a template's names it, `base-90001-disk-0`,
/// and LVM-thin's, which do not, hang on nothing.
fn origin(config: &Config) -> Option<Origin> {
    let name = Notes::read(config).template?;
    let disk = system_disk(Kind::Qemu, config).and_then(|slot| config.get(&slot)?.split(',').next());
    let linked = disk.is_some_and(|volume| volume.split([':', '/']).any(|part| part.starts_with("base-")));
    Some(Origin { name: NodeName::new(name), linked })
}

fn features(config: &Config) -> Vec<String> {
    let line = config.get("features").map(String::as_str).unwrap_or_default();
    line.split(',').filter_map(|part| Some(part.strip_suffix("=1")?.into())).collect()
}

/// The line that has the address of the first network card.
fn address_line(kind: Kind, config: &Config) -> Option<&str> {
    let name = match kind {
        Kind::Lxc => "net0",
        Kind::Qemu => "ipconfig0",
    };
    config.get(name).map(String::as_str)
}

/// The address that the guest is given: the first network card's.
fn address(kind: Kind, config: &Config) -> Option<IpAddr> {
    let line = address_line(kind, config)?;
    ["ip", "ip6"].iter().find_map(|name| property(line, name)?.split('/').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Config {
        pairs.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
    }

    fn told(seen: &MachineSeen) -> String {
        seen.settings.iter().map(|it| format!("{} {it}", it.name())).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_container_is_read() {
        let config = of(&[
            ("hostname", "k3s-server"),
            ("cores", "4"),
            ("memory", "4096"),
            ("rootfs", "local-lvm:vm-400-disk-0,size=32G"),
            ("net0", "name=eth0,bridge=vmbr0,gw=192.168.1.1,hwaddr=BC:24:11:00:00:01,ip=192.168.1.40/24,type=veth"),
            ("tags", "k3s;kubewright-devboard"),
            ("features", "nesting=1,fuse=1,keyctl=0"),
            ("onboot", "1"),
            ("startup", "2,up=30"),
            ("mp0", "local-lvm:vm-400-disk-1,mp=/srv,size=5G"),
            ("mp1", "/mnt/host,mp=/mnt"),
            ("description", "of the lab\n"),
        ]);
        let guest = Guest { kind: Kind::Lxc, node: "proxade".into(), vmid: Vmid(400) };
        let seen = machine(&guest, &config, Power::Running, &Owner("devboard".into()));
        assert_eq!(
            told(&seen),
            "cores 4, memory 4Gi, swap 512Mi, disk 32Gi, mount /srv 5Gi, storage local-lvm, bridge vmbr0, prefix /24, \
             gateway 192.168.1.1, tags k3s, on boot true, startup order=2,up=30, description of the lab, \
             features fuse nesting, privileged true"
        );
        assert_eq!((seen.address, seen.protected), (Some("192.168.1.40".parse().unwrap()), false));
    }

    #[test]
    fn a_virtual_machine_is_read_and_one_that_is_not_finished_has_no_sizes() {
        let mut config = of(&[
            ("name", "node-1"),
            ("cores", "2"),
            ("sockets", "2"),
            ("memory", "current=8192"),
            ("boot", "order=ide2;virtio0;net0"),
            ("ide2", "local-lvm:vm-500-cloudinit,media=cdrom,size=4M"),
            ("virtio0", "local-zfs:vm-500-disk-0,iothread=1,size=102400M"),
            ("net0", "virtio=BC:24:11:00:00:02,bridge=vmbr1,tag=30,queues=4"),
            ("virtio2", "local-zfs:vm-500-disk-1,size=50G"),
            ("virtio3", "local-zfs:7,format=raw"),
            ("virtio4", "local-zfs:vm-9999-pvc-1,size=9G"),
            ("cpu", "host,flags=+aes"),
            ("agent", "enabled=1,fstrim_cloned_disks=1"),
            ("balloon", "0"),
            ("nameserver", "10.0.0.1 10.0.0.2"),
            ("searchdomain", "lab.test"),
            ("ipconfig0", "ip=10.0.0.5/24,gw=10.0.0.1"),
        ]);
        let guest = Guest { kind: Kind::Qemu, node: "asgard".into(), vmid: Vmid(500) };
        let owner = Owner("lab".into());
        let seen = machine(&guest, &config, Power::Stopped, &owner);
        assert_eq!(
            told(&seen),
            "cores 4, memory 8Gi, balloon never, disk 100Gi, disk 2 50Gi, disk 3 7Gi, I/O thread true, \
             SCSI controller lsi, storage local-zfs, CPU host, bridge vmbr1, VLAN 30, network queues 4, prefix /24, \
             gateway 10.0.0.1, nameservers 10.0.0.1 10.0.0.2, search domains lab.test, tags , on boot false, \
             guest agent true"
        );
        assert_eq!(seen.address, Some("10.0.0.5".parse().unwrap()));
        config.insert("name".into(), unfinished(&"node-1".into(), &owner));
        let seen = machine(&guest, &config, Power::Stopped, &owner);
        assert_eq!(told(&seen), "disk 100Gi, tags , on boot false");
        assert_eq!(finished_name(&config["name"], &owner), Some("node-1"));
    }

    #[test]
    fn a_disk_that_hangs_on_a_template_names_it() {
        let linked = |disk: &str| {
            let notes = "Somebody's own words.\nkubewright-template: noble-1a2b3c4d\n";
            origin(&of(&[("scsi0", disk), ("description", notes)]))
                .map(|origin| (origin.name.to_string(), origin.linked))
        };
        for (disk, hangs) in [
            ("local-zfs:base-90001-disk-0/vm-500-disk-0,size=8G", true),
            ("local:90001/base-90001-disk-0.qcow2/500/vm-500-disk-0.qcow2,size=8G", true),
            ("local-zfs:vm-500-disk-0,size=8G", false),
        ] {
            assert_eq!(linked(disk), Some(("noble-1a2b3c4d".into(), hangs)), "{disk}");
        }
        assert_eq!(origin(&of(&[("scsi0", "local-zfs:base-1-disk-0/vm-2-disk-0")])), None);
    }

    #[test]
    fn sizes_have_many_units() {
        let sizes = ["32G", "512M", "1T", "4194304K", "10737418240", "1.5G"].map(mebibytes);
        assert_eq!(sizes, [32768, 512, 1_048_576, 4096, 10240, 1536].map(Some));
        assert_eq!(mebibytes("4X"), None);
    }
}
