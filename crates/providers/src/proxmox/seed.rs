//! An image of ours that tells cloud-init who a new machine is: NoCloud, a CD named `cidata` with three files.
//!
//! It says what Proxmox' own drive says, and with which key the host shows who it is. JSON is YAML, so nothing here writes
//! YAML. <https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html>

use std::io::Cursor;
use std::sync::Arc;

use hadris_iso::read::PathSeparator;
use hadris_iso::write::options::{CreationFeatures, IsoFormatOptions};
use hadris_iso::write::{File, InputFiles, IsoImageWriter};
use kubewright_model::desired::{DesiredMachine, VmBody};
use kubewright_model::ids::{NodeName, Owner};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::cloud_init::user_data;
use crate::login::User;

/// Bytes of an image: its head takes 64 KiB, and the rest is for keys and addresses of a few KiB. The library writes into
/// room that is there.
const SIZE: usize = 512 * 1024;

/// The name of a machine's image on its storage. It carries the mark.
pub(super) fn file(machine: &NodeName, owner: &Owner) -> String {
    format!("{}-{machine}.iso", owner.tag())
}

/// The address of a machine's network card: one that nobody gave out, and always the same.
pub(super) fn mac(machine: &NodeName, owner: &Owner) -> String {
    let digest = Sha256::digest(format!("{} {machine}", owner.tag()));
    let rest: Vec<String> = digest.iter().take(5).map(|byte| format!("{byte:02X}")).collect();
    // 02: given by whoever runs the network, for one card.
    format!("02:{}", rest.join(":"))
}

/// The image.
pub(super) fn image(
    machine: &DesiredMachine,
    vm: &VmBody,
    owner: &Owner,
    user: Option<User<'_>>,
) -> Result<Vec<u8>, String> {
    let meta = json!({ "instance-id": format!("{}-{}", owner.tag(), machine.name), "local-hostname": machine.name });
    let files = [
        ("meta-data", meta.to_string()),
        ("user-data", format!("#cloud-config\n{}\n", user_data(&machine.name, user))),
        ("network-config", network(machine, vm, owner).to_string()),
    ];
    let file = |(name, text): (&str, String)| File::File { name: Arc::new(name.into()), contents: text.into_bytes() };
    let options = IsoFormatOptions {
        volume_name: "cidata".into(),
        system_id: None,
        volume_set_id: None,
        publisher_id: None,
        preparer_id: None,
        application_id: None,
        sector_size: 2048,
        features: CreationFeatures::rock_ridge(),
        path_separator: PathSeparator::ForwardSlash,
        strict_charset: false,
    };
    let input = InputFiles { path_separator: PathSeparator::ForwardSlash, files: files.map(file).into() };
    let image =
        IsoImageWriter::create(Cursor::new(vec![0; SIZE]), input, options).map_err(|error| error.to_string())?;
    Ok(image.into_inner())
}

/// The one network card, by its address: its name is the template's matter.
/// <https://docs.cloud-init.io/en/latest/reference/network-config-format-v2.html>
fn network(machine: &DesiredMachine, vm: &VmBody, owner: &Owner) -> Value {
    let mut card = json!({ "match": { "macaddress": mac(&machine.name, owner).to_lowercase() } });
    let wish = &vm.card;
    match machine.address {
        None => card["dhcp4"] = json!(true),
        Some(address) => {
            card["addresses"] = json!([format!("{address}/{}", wish.prefix_of(address))]);
            // `default` is the word for both families; some renderers know only the network itself.
            let everywhere = if address.is_ipv6() { "::/0" } else { "0.0.0.0/0" };
            if let Some(gateway) = wish.gateway_of(address) {
                card["routes"] = json!([{ "to": everywhere, "via": gateway }]);
            }
        }
    }
    if !wish.nameservers.is_empty() || !wish.search_domains.is_empty() {
        card["nameservers"] = json!({ "addresses": wish.nameservers, "search": wish.search_domains });
    }
    json!({ "version": 2, "ethernets": { "eth0": card } })
}
