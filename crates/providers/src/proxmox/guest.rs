//! What a guest's configuration says, in our words.
//!
//! Settings of settings stand in one line, `local-lvm:vm-400-disk-0,size=32G`. The formats are those of pve-container
//! (`LXC/Config.pm`) and qemu-server (`Drive.pm`, `Network.pm`).

use std::net::IpAddr;

use kubewright_model::ids::{NodeName, Owner};
use kubewright_model::observed::{MachineSeen, Power};
use kubewright_model::units::Size;
use serde_json::Value;

use super::call::{Config, Guest, Kind};

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

/// How large a disk is.
pub(super) fn disk_size(config: &Config, slot: &str) -> Option<Size> {
    mebibytes(property(config.get(slot)?, "size")?).map(Size::from_mib)
}

/// A machine as its configuration has it.
pub(super) fn machine(guest: &Guest, config: &Config, power: Power, owner: &Owner) -> MachineSeen {
    let number = |name: &str| config.get(name).and_then(|text| text.parse::<u64>().ok());
    let flag = |name: &str| number(name) == Some(1);
    // A clone that is not finished has its template's sizes, and none of its own.
    let finished = name(guest.kind, config).is_none_or(|name| finished_name(name, owner).is_none());
    let memory = config.get("memory").map(|line| property(line, "current").unwrap_or(line));
    let memory = memory.and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_MEMORY);
    let cores = match guest.kind {
        // A container without a number may use every core of its node.
        Kind::Lxc => number("cores"),
        Kind::Qemu => Some(number("cores").unwrap_or(1) * number("sockets").unwrap_or(1)),
    };
    let mut others: Vec<String> =
        config.get("tags").into_iter().flat_map(|line| tags(line)).map(String::from).collect();
    others.retain(|tag| *tag != owner.tag());
    others.sort();
    let slot = system_disk(guest.kind, config);
    MachineSeen {
        owner: owner.clone(),
        place: guest.node.as_str().into(),
        vmid: Some(guest.vmid),
        power,
        address: address(guest.kind, config),
        cores: cores.filter(|_| finished).and_then(|cores| u32::try_from(cores).ok()),
        memory: Some(Size::from_mib(memory)).filter(|_| finished),
        disk: slot.as_ref().and_then(|slot| disk_size(config, slot)),
        storage: slot.and_then(|slot| storage(config.get(&slot)?)).filter(|_| finished).map(String::from),
        bridge: config.get("net0").and_then(|card| property(card, "bridge")).filter(|_| finished).map(String::from),
        tags: others,
        on_boot: flag("onboot"),
        features: features(config),
        privileged: (guest.kind == Kind::Lxc).then(|| !flag("unprivileged")),
        protected: flag("protection"),
        pending: false,
    }
}

fn features(config: &Config) -> Vec<String> {
    let line = config.get("features").map(String::as_str).unwrap_or_default();
    let mut features: Vec<String> = line.split(',').filter_map(|part| Some(part.strip_suffix("=1")?.into())).collect();
    features.sort();
    features
}

/// The address that the guest is given: the first network card's.
fn address(kind: Kind, config: &Config) -> Option<IpAddr> {
    let line = match kind {
        Kind::Lxc => config.get("net0")?,
        Kind::Qemu => config.get("ipconfig0")?,
    };
    ["ip", "ip6"].iter().find_map(|name| property(line, name)?.split('/').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubewright_model::ids::Vmid;

    fn of(pairs: &[(&str, &str)]) -> Config {
        pairs.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
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
        ]);
        let guest = Guest { kind: Kind::Lxc, node: "proxade".into(), vmid: Vmid(400) };
        let seen = machine(&guest, &config, Power::Running, &Owner("devboard".into()));
        assert_eq!((seen.cores, seen.memory, seen.disk), (Some(4), Some(Size::from_gib(4)), Some(Size::from_gib(32))));
        assert_eq!(
            (seen.tags, seen.features),
            (vec!["k3s".to_string()], vec!["fuse".to_string(), "nesting".to_string()])
        );
        assert_eq!((seen.privileged, seen.on_boot, seen.protected), (Some(true), true, false));
        assert_eq!(seen.address, Some("192.168.1.40".parse().unwrap()));
        assert_eq!((seen.storage.as_deref(), seen.bridge.as_deref()), (Some("local-lvm"), Some("vmbr0")));
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
            ("net0", "virtio=BC:24:11:00:00:02,bridge=vmbr1,tag=30"),
            ("ipconfig0", "ip=10.0.0.5/24,gw=10.0.0.1"),
        ]);
        let guest = Guest { kind: Kind::Qemu, node: "asgard".into(), vmid: Vmid(500) };
        let owner = Owner("lab".into());
        let seen = machine(&guest, &config, Power::Stopped, &owner);
        assert_eq!((seen.cores, seen.memory, seen.disk), (Some(4), Some(Size::from_gib(8)), Some(Size::from_gib(100))));
        assert_eq!((seen.privileged, seen.address), (None, Some("10.0.0.5".parse().unwrap())));
        assert_eq!((seen.storage.as_deref(), seen.bridge.as_deref()), (Some("local-zfs"), Some("vmbr1")));
        config.insert("name".into(), unfinished(&"node-1".into(), &owner));
        let seen = machine(&guest, &config, Power::Stopped, &owner);
        assert_eq!((seen.cores, seen.memory, seen.storage, seen.bridge), (None, None, None, None));
        assert_eq!(finished_name(&config["name"], &owner), Some("node-1"));
    }

    #[test]
    fn sizes_have_many_units() {
        let sizes = ["32G", "512M", "1T", "4194304K", "10737418240", "1.5G"].map(mebibytes);
        assert_eq!(sizes, [32768, 512, 1_048_576, 4096, 10240, 1536].map(Some));
        assert_eq!(mebibytes("4X"), None);
    }
}
