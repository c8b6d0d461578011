//! Machines of Proxmox, by the schemas of the providers `bpg/proxmox` and `Telmate/proxmox`.
//! <https://registry.terraform.io/providers/bpg/proxmox/latest/docs/resources/virtual_environment_vm>
//! <https://registry.terraform.io/providers/Telmate/proxmox/latest/docs/resources/vm_qemu>

use std::net::IpAddr;

use serde_json::Value;

use super::Resource;
use crate::import::hints::Told;
use crate::import::{About, Host, Mark, Reading, Way, address};

pub(super) fn read(resources: &[Resource<'_>], reading: &mut Reading) {
    for resource in resources {
        let machine = match resource.kind {
            "proxmox_virtual_environment_vm" | "proxmox_virtual_environment_container" => bpg(resource),
            "proxmox_vm_qemu" | "proxmox_lxc" => telmate(resource),
            _ => continue,
        };
        // What machines are cloned from is none.
        let is_template = resource.at("/template").and_then(Value::as_bool) == Some(true);
        let Some(machine) = machine.filter(|_| !is_template) else { continue };
        if let Some(gateway) = machine.gateway.filter(|_| reading.hints.gateway.is_none()) {
            reading.hints.gateway = Told::by(format!("`{}`", resource.address), gateway);
        }
        if let Some(net) = machine.net.as_deref().and_then(network).filter(|_| reading.hints.cidr.is_none()) {
            reading.hints.cidr = Told::by(format!("`{}`", resource.address), net);
        }
        reading.hosts.push(Host {
            spot: resource.spot,
            address: machine.address,
            marks: machine.tags.into_iter().map(Mark::Group).collect(),
            way: Way { user: machine.user, ..Way::default() },
            os: None,
            tainted: false,
            about: Some(About {
                kind: format!("{} {}", resource.kind, machine.parts.join(", ")),
                vmid: machine.vmid,
                public: None,
            }),
            name: machine.name,
        });
    }
}

/// What both providers tell of a machine.
struct Machine {
    name: String,
    address: Option<IpAddr>,
    /// Its address with the length of its network's prefix.
    net: Option<String>,
    gateway: Option<IpAddr>,
    user: Option<String>,
    tags: Vec<String>,
    vmid: Option<u64>,
    parts: Vec<String>,
}

/// The network that an address with a prefix length lies in.
fn network(text: &str) -> Option<kubewright_model::net::Cidr> {
    let (_, length) = text.split_once('/')?;
    super::super::file::net_of(address(text)?, length.parse().ok()?)
}

fn parts(
    place: Option<&str>,
    cores: Option<u64>,
    memory: Option<u64>,
    disk: Option<String>,
    template: Option<String>,
) -> Vec<String> {
    let words = [
        place.map(|node| format!("on {node}")),
        cores.map(|cores| format!("{cores} cores")),
        memory.map(|memory| format!("{memory} MiB")),
        disk.map(|disk| format!("disk {disk}")),
        template.map(|template| format!("from {template}")),
    ];
    words.into_iter().flatten().collect()
}

fn bpg(resource: &Resource<'_>) -> Option<Machine> {
    let container = resource.kind.ends_with("container");
    let name = if container { resource.text_at("/initialization/0/hostname") } else { resource.text("name") }?;
    let given = resource.text_at("/initialization/0/ip_config/0/ipv4/0/address").filter(|text| *text != "dhcp");
    // What the guest agent tells: a list for each card, the loop-back one among them.
    let seen = resource.at("/ipv4_addresses").and_then(Value::as_array).into_iter().flatten();
    let seen = seen.flat_map(|card| card.as_array().into_iter().flatten()).filter_map(|text| address(text.as_str()?));
    let seen = seen.into_iter().find(|address| !address.is_loopback());
    let memory = resource.number_at("/memory/0/dedicated");
    let disk = resource.number_at("/disk/0/size").map(|size| format!("{size}G"));
    let template = resource.number_at("/clone/0/vm_id").map(|vmid| format!("template {vmid}"));
    let template = template.or_else(|| resource.text_at("/operating_system/0/template_file_id").map(str::to_string));
    let tags = resource.at("/tags").and_then(Value::as_array).into_iter().flatten();
    Some(Machine {
        name: name.to_string(),
        address: given.and_then(address).or(seen),
        net: given.map(str::to_string),
        gateway: resource.text_at("/initialization/0/ip_config/0/ipv4/0/gateway").and_then(address),
        user: resource.text_at("/initialization/0/user_account/0/username").map(str::to_string),
        vmid: resource.number("vm_id"),
        tags: tags.filter_map(|tag| tag.as_str().map(str::to_string)).collect(),
        parts: parts(resource.text("node_name"), resource.number_at("/cpu/0/cores"), memory, disk, template),
    })
}

fn telmate(resource: &Resource<'_>) -> Option<Machine> {
    let container = resource.kind == "proxmox_lxc";
    let name = if container { resource.text("hostname") } else { resource.text("name") }?;
    // `ip=10.0.0.1/24,gw=10.0.0.254`.
    let config = resource.text("ipconfig0").unwrap_or_default();
    let field = |key: &str| config.split(',').find_map(|part| part.trim().strip_prefix(key)?.strip_prefix('='));
    let given =
        field("ip").or_else(|| resource.text_at("/network/0/ip").filter(|_| container)).filter(|text| *text != "dhcp");
    let gateway = field("gw").or_else(|| resource.text_at("/network/0/gw"));
    let seen = resource.text("default_ipv4_address").or_else(|| resource.text("ssh_host"));
    let cores = resource.number("cores").or_else(|| resource.number_at("/cpu/0/cores"));
    let disk = resource
        .text_at("/rootfs/0/size")
        .or_else(|| resource.text_at("/disk/0/size"))
        .or_else(|| resource.text_at("/disks/0/scsi/0/scsi0/0/disk/0/size"));
    let template = resource.text("clone").or_else(|| resource.text("ostemplate"));
    let tags = resource.text("tags").unwrap_or_default().split([';', ',']).map(str::trim).filter(|tag| !tag.is_empty());
    Some(Machine {
        name: name.to_string(),
        address: given.or(seen).and_then(address),
        net: given.map(str::to_string),
        gateway: gateway.and_then(address),
        user: resource.text("ciuser").or_else(|| resource.text("ssh_user")).map(str::to_string),
        vmid: resource.number("vmid"),
        tags: tags.map(str::to_string).collect(),
        parts: parts(
            resource.text("target_node"),
            cores,
            resource.number("memory"),
            disk.map(str::to_string),
            template.map(str::to_string),
        ),
    })
}
