//! What a machine should be, in Proxmox' words.

use std::net::IpAddr;

use kubewright_model::desired::{Card, DesiredMachine, LxcBody, VmBody};
use kubewright_model::ids::{Owner, Vmid};
use kubewright_model::secret::Secret;
use kubewright_model::setting::Setting;

use super::call::{Config, Kind};
use super::change::{Change, disk_options, gibibytes, words};
use super::guest::is_cloud_init;
use super::notes::Notes;
use super::seed;
use crate::login::User;

/// Whether Proxmox takes a text for the hash of a password: whatever it does not, it hashes once more, and nobody comes
/// in. The pattern is that of qemu-server's `API2/Qemu.pm`, which knows no yescrypt.
pub(super) fn is_hash(hash: &Secret) -> Result<(), &'static str> {
    let mut parts = hash.expose().split('$').skip(1);
    let known = matches!(parts.next(), Some("1" | "5" | "6" | "2a" | "2y"));
    if hash.expose().starts_with('$') && known && parts.filter(|part| !part.is_empty()).count() >= 2 {
        Ok(())
    } else {
        Err("Proxmox takes no hash of this kind: make one with `openssl passwd -6`")
    }
}

/// A setting if it is wished.
fn set(config: &mut Config, name: &str, value: Option<impl ToString>) {
    config.extend(value.map(|value| (name.to_string(), value.to_string())));
}

/// All settings of a machine, as a change of what is there.
fn settings(machine: &DesiredMachine, kind: Kind, owner: &Owner, there: &Config) -> Config {
    let mut change = Change::new(machine, owner, kind, there);
    machine.settings().iter().for_each(|wish| change.write(wish));
    change.config()
}

/// `ip=…/24,gw=…`, or what the network itself gives out.
fn addresses(address: Option<IpAddr>, card: &Card) -> Vec<String> {
    let Some(address) = address else { return vec!["ip=dhcp".into()] };
    let six = if address.is_ipv6() { "6" } else { "" };
    let gateway = card.gateway_of(address).map(|gateway| format!("gw{six}={gateway}"));
    [format!("ip{six}={address}/{}", card.prefix_of(address))].into_iter().chain(gateway).collect()
}

/// Everything of a new container.
pub(super) fn container(
    machine: &DesiredMachine,
    vmid: Vmid,
    lxc: &LxcBody,
    owner: &Owner,
    user: Option<User<'_>>,
) -> Config {
    let notes = Notes { text: machine.description.clone().unwrap_or_default(), vmid: Some(vmid), ..Notes::default() };
    let card = ["name=eth0".to_string()].into_iter().chain(addresses(machine.address, &lxc.card));
    let bare = Config::from([("net0".to_string(), card.collect::<Vec<_>>().join(","))]);
    let mut config = settings(machine, Kind::Lxc, owner, &bare);
    set(&mut config, "ostemplate", Some(&lxc.template));
    set(&mut config, "hostname", Some(&machine.name));
    set(&mut config, "description", Some(notes));
    set(&mut config, "rootfs", machine.disk.map(|disk| format!("{}:{}", lxc.storage, gibibytes(disk))));
    set(&mut config, "unprivileged", Some(u8::from(!lxc.privileged)));
    set(&mut config, "ssh-public-keys", user.and_then(|user| user.lines()));
    config
}

/// What turns a fresh clone into the machine: everything in one change, so there is nothing half done in between.
pub(super) fn virtual_machine(
    machine: &DesiredMachine,
    vm: &VmBody,
    owner: &Owner,
    user: Option<User<'_>>,
    there: &Config,
) -> Config {
    // An image of ours finds its network card by an address that we have chosen.
    let mac = vm.iso.as_ref().map(|_| format!("={}", seed::mac(&machine.name, owner))).unwrap_or_default();
    let bare = there.clone().into_iter().chain([("net0".to_string(), format!("virtio{mac}"))]).collect();
    let mut config = settings(machine, Kind::Qemu, owner, &bare);
    set(&mut config, "name", Some(&machine.name));
    set(&mut config, "cpu", Some(&vm.cpu));
    set(&mut config, "ipconfig0", Some(addresses(machine.address, &vm.card).join(",")));
    by_drive(&mut config, vm, user);
    // Cloud images of Debian and Ubuntu stop in a kernel panic when their disk has grown and there is no serial port.
    set(&mut config, "serial0", Some("socket").filter(|_| !there.contains_key("serial0")));
    // A template is protected so that nobody deletes it; its clone is no template.
    set(&mut config, "protection", Some(0).filter(|_| there.get("protection").is_some_and(|yes| yes == "1")));
    match &vm.iso {
        None => {
            let cloud_init = there.values().any(|value| is_cloud_init(value));
            set(&mut config, "ide2", Some(format!("{}:cloudinit", vm.storage)).filter(|_| !cloud_init));
        }
        Some(storage) => {
            // Two that tell cloud-init who it is would be one too many.
            let drive = there.iter().find(|(slot, value)| *slot != "ide2" && is_cloud_init(value));
            set(&mut config, "delete", drive.map(|(slot, _)| slot));
            let file = seed::file(&machine.name, owner);
            set(&mut config, "ide2", Some(format!("{storage}:iso/{file},media=cdrom")));
        }
    }
    config
}

/// What the drive that Proxmox makes tells cloud-init.
fn by_drive(config: &mut Config, vm: &VmBody, user: Option<User<'_>>) {
    let user = user.filter(|_| vm.iso.is_none());
    set(config, "nameserver", Some(words(&vm.card.nameservers)).filter(|list| !list.is_empty()));
    set(config, "searchdomain", Some(words(&vm.card.search_domains)).filter(|list| !list.is_empty()));
    // Its default is to upgrade every package at the first boot, for minutes, to versions that nobody asked for.
    set(config, "ciupgrade", Some(0).filter(|_| vm.iso.is_none()));
    set(config, "ciuser", user.map(|user| user.name));
    set(config, "cipassword", user.and_then(|user| user.password_hash).map(|hash| hash.expose()));
    set(config, "sshkeys", user.and_then(|user| user.lines()).map(|lines| escaped(&lines)));
}

/// Text as it stands in an address. Proxmox wants keys so, and takes a plus sign for one, not for a space.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// A machine that is to be made from an image, before it has a disk. It has its marks and tells of its image from the
/// beginning, so that neither is left over.
pub(super) fn unbuilt(machine: &DesiredMachine, vmid: Vmid, image: &str, owner: &Owner, pool: Option<&str>) -> Config {
    let none = Config::new();
    let mut change = Change::new(machine, owner, Kind::Qemu, &none);
    let settings = machine.settings();
    let early = settings.iter().filter(|it| matches!(it, Setting::Cores(_) | Setting::Memory(_) | Setting::Tags(_)));
    early.for_each(|wish| change.write(wish));
    let mut config = change.config();
    set(&mut config, "name", Some(&machine.name));
    set(&mut config, "description", Some(Notes { vmid: Some(vmid), image: Some(image.into()), ..Notes::default() }));
    set(&mut config, "ostype", Some("l26"));
    set(&mut config, "pool", pool);
    config
}

/// The system disk, made from an image.
pub(super) fn imported(vm: &VmBody, image: &str) -> String {
    format!("{}:0,import-from={image},{}", vm.storage, disk_options(vm))
}

/// What the request for a clone may hold. Tags are not among it, so the clone's name carries the mark until it is done.
pub(super) fn clone(name: String, vmid: Vmid, vm: &VmBody, target: Option<&str>, pool: Option<&str>) -> Config {
    let mut config = Config::new();
    set(&mut config, "name", Some(name));
    let template = vm.template().filter(|template| template.built).and_then(|template| template.name.clone());
    set(&mut config, "description", Some(Notes { vmid: Some(vmid), template, ..Notes::default() }));
    set(&mut config, "full", Some(u8::from(!vm.is_linked())));
    // Both are refused for linked clones.
    set(&mut config, "storage", Some(&vm.storage).filter(|_| !vm.is_linked()));
    set(&mut config, "format", Some(&vm.format).filter(|_| !vm.is_linked()));
    set(&mut config, "target", target);
    set(&mut config, "pool", pool);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_told_from_what_proxmox_would_hash_again() {
        let takes = |text: &str| is_hash(&Secret::new(text.into())).is_ok();
        assert!(takes("$6$salt$1234") && takes("$5$rounds=9$salt$1234") && takes("$2y$10$abcdefgh"));
        assert!(!takes("plain") && !takes("$y$j9T$salt$1234") && !takes("$6$salt") && !takes("a$6$b$c"));
    }

    #[test]
    fn keys_are_escaped() {
        assert_eq!(escaped("ssh-ed25519 AA+/= a@b\n"), "ssh-ed25519%20AA%2B%2F%3D%20a%40b%0A");
    }

    #[test]
    fn cards_have_addresses_of_either_family() {
        let card = |prefix| Card { prefix, gateway: "10.0.0.1".parse().ok(), ..Card::default() };
        assert_eq!(addresses("fd00::5".parse().ok(), &card(None)), ["ip6=fd00::5/64"]);
        assert_eq!(addresses("10.0.0.5".parse().ok(), &card(Some(16))), ["ip=10.0.0.5/16", "gw=10.0.0.1"]);
        assert_eq!(addresses(None, &card(None)), ["ip=dhcp"]);
    }
}
