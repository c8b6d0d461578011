//! Templates of virtual machines: a machine is made from an image, and becomes a template once it is set up and cleaned.
//!
//! A machine that is to become one carries [`TEMPLATE_TAG`] beside our mark from the request on that makes it, and has no
//! disk then: the image is got afterwards, so that the machine's notes tell of its file from before it is there. That
//! Proxmox imports an image from a storage without root is so from 8.4 on (libpve-storage-perl 8.3.6).

use kubewright_model::desired::{DesiredMachine, TEMPLATE_TAG, VmBody, VmImage, VmTemplate};
use kubewright_model::ids::{NodeName, Owner, Vmid};
use kubewright_model::observed::{MachineSeen, TemplateSeen};

use super::call::{self, Config, Guest, Kind};
use super::client::error;
use super::machines::Ours;
use super::notes::Notes;
use super::survey::{Entry, Survey};
use super::{Proxmox, guest, wish};
use crate::{ErrorKind, ProviderError};

/// The beginning of every image's file of ours. No cluster's name has a dot, so none of them begins like another's.
fn mark(owner: &Owner) -> String {
    format!("{}.", owner.tag())
}

/// The name of an image's file. Proxmox goes by its end, and cloud images that end otherwise are QCOW2.
fn file(image: &VmImage, owner: &Owner) -> String {
    let format = ["raw", "vmdk"].into_iter().find(|format| image.url.ends_with(&format!(".{format}")));
    format!("{}{}.{}", mark(owner), image.sha256.short(), format.unwrap_or("qcow2"))
}

fn volume(image: &VmImage, owner: &Owner) -> String {
    format!("{}:import/{}", image.storage, file(image, owner))
}

/// Whether a guest is a template of ours, or is there to become one: what somebody has made of one has its tags, too.
fn is_to_be(guest: &Guest, config: &Config) -> bool {
    let notes = Notes::read(config);
    let tagged = config.get("tags").is_some_and(|line| guest::tags(line).any(|tag| tag == TEMPLATE_TAG));
    tagged && !notes.are_copied(guest) && (guest::is_template(config) || notes.image.is_some())
}

impl Proxmox {
    /// Makes a machine from an image.
    pub(super) async fn make_from_image(
        &self,
        machine: &DesiredMachine,
        (vm, image): (&VmBody, &VmImage),
        vmid: Vmid,
        owner: &Owner,
    ) -> Result<MachineSeen, ProviderError> {
        let guest = Guest { kind: Kind::Qemu, node: machine.place.to_string(), vmid };
        let config = wish::unbuilt(machine, vmid, &volume(image, owner), owner, self.pool.as_deref());
        self.begin(machine, &guest, call::create_virtual_machine(&guest.node, vmid, &config)).await?;
        let ours = self.recognise(&guest, &machine.name, owner).await?;
        let ours = ours.ok_or_else(|| error(ErrorKind::Transient, format!("{guest} is not there")))?;
        self.import(machine, (vm, image), ours, owner).await
    }

    /// Gives a machine the disk that it is made from, and all its settings, unless it has them.
    pub(super) async fn import(
        &self,
        machine: &DesiredMachine,
        (vm, image): (&VmBody, &VmImage),
        ours: Ours,
        owner: &Owner,
    ) -> Result<MachineSeen, ProviderError> {
        if ours.config.contains_key(&vm.disk_slot) {
            self.grow(machine, &ours).await?;
            return self.seen(&ours.guest, owner).await;
        }
        let got = call::get_image(&ours.guest.node, &image.storage, &file(image, owner), image);
        self.tasks.done(&self.client.send(got).await?).await?;
        let disk = (vm.disk_slot.clone(), wish::imported(vm, &volume(image, owner)));
        let boot = ("boot".to_string(), format!("order={}", vm.disk_slot));
        self.set_up(machine, vm, &ours, Config::from([disk, boot]), owner).await
    }

    pub(super) async fn make_template(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        let Some(ours) = self.find(name, owner).await? else {
            return match self.find_template(name, owner).await? {
                Some(_) => Ok(()),
                None => Err(error(ErrorKind::NotFound, format!("no machine {name} carries the mark {}", owner.tag()))),
            };
        };
        if !is_to_be(&ours.guest, &ours.config) {
            let message = format!("{name} is a machine, and was not made to become a template");
            return Err(error(ErrorKind::Conflict, message));
        }
        self.turn_off(&ours.guest).await?;
        self.eject(&ours, name, owner).await?;
        self.tasks.done(&self.client.send(ours.guest.to_template()).await?).await?;
        self.forgets(name);
        Ok(())
    }

    /// Takes the image out that told the machine who it is. Clones have others, and no other node has this one.
    async fn eject(&self, ours: &Ours, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        for (slot, volume) in ours.images(name, owner) {
            self.configure(ours, Config::from([("delete".into(), slot.into())])).await?;
            self.drop_file(&ours.guest.node, volume).await?;
        }
        Ok(())
    }

    /// The template of that name with our marks, wherever in the cluster it is.
    pub(super) async fn find_template(&self, name: &NodeName, owner: &Owner) -> Result<Option<Ours>, ProviderError> {
        let entries = self.guests_now(self.survey().await?).await?;
        let called = |entry: &&Entry| entry.template && entry.name.as_deref() == Some(name.as_str());
        for entry in entries.into_iter().filter(|entry| called(&entry) && entry.is_of_template(owner)) {
            let config = self.config(&entry.guest).await?;
            if is_to_be(&entry.guest, &config) {
                return Ok(Some(Ours { guest: entry.guest, config }));
            }
        }
        Ok(None)
    }
}

impl Proxmox {
    /// A template or what is to become one, as it is shown; none of what somebody has made of one.
    pub(super) async fn template_seen(
        &self,
        entry: &Entry,
        owner: &Owner,
    ) -> Result<Option<(NodeName, TemplateSeen)>, ProviderError> {
        let config = self.config(&entry.guest).await?;
        if !is_to_be(&entry.guest, &config) {
            return Ok(None);
        }
        let name = guest::name(entry.guest.kind, &config).map_or_else(|| entry.title(), String::from);
        let seen = TemplateSeen {
            owner: owner.clone(),
            place: entry.guest.node.as_str().into(),
            vmid: Some(entry.guest.vmid),
            finished: guest::is_template(&config),
            protected: config.get("protection").is_some_and(|yes| yes == "1"),
        };
        Ok(Some((NodeName::new(name), seen)))
    }

    /// Takes the images of ours from a storage that no other template of ours was made from, before one goes.
    pub(super) async fn drop_images(&self, goes: &Ours, owner: &Owner) -> Result<(), ProviderError> {
        let Some(image) = Notes::read(&goes.config).image.filter(|_| is_to_be(&goes.guest, &goes.config)) else {
            return Ok(());
        };
        let (storage, node) = (image.split(':').next().unwrap_or_default(), &goes.guest.node);
        let mut used = Vec::new();
        let all = self.survey().await?.guests;
        for entry in all.iter().filter(|entry| entry.is_of_template(owner) && entry.guest != goes.guest) {
            used.extend(Notes::read(&self.config(&entry.guest).await?).image);
        }
        let list = self.client.send(call::contents(node, storage, "import")).await?;
        let files = list.as_array().into_iter().flatten().filter_map(|item| item["volid"].as_str());
        let ours = format!("{storage}:import/{}", mark(owner));
        for file in files.filter(|file| file.starts_with(&ours) && !used.iter().any(|used| used == file)) {
            self.drop_file(node, file).await?;
        }
        Ok(())
    }
}

impl Proxmox {
    /// The template that a machine is cloned from, if it is what the spec takes it for.
    pub(super) async fn template(
        &self,
        machine: &DesiredMachine,
        (vm, template): (&VmBody, &VmTemplate),
        owner: &Owner,
        survey: &Survey,
    ) -> Result<Ours, ProviderError> {
        let found = match &template.name {
            Some(name) if template.built => {
                let found = self.find_template(&NodeName::new(name.as_str()), owner).await?;
                found.ok_or_else(|| error(ErrorKind::NotFound, format!("there is no template {name}")))?
            }
            _ => self.template_by_number(template.vmid, survey).await?,
        };
        fits(machine, (vm, template), &found, survey)?;
        Ok(found)
    }

    pub(super) async fn template_by_number(&self, vmid: Vmid, survey: &Survey) -> Result<Ours, ProviderError> {
        let missing = || error(ErrorKind::NotFound, format!("there is no template {vmid}"));
        let found = survey.guests.iter().find(|entry| entry.guest.vmid == vmid);
        let found = found.filter(|entry| entry.guest.kind == Kind::Qemu).ok_or_else(missing)?;
        let config = self.config(&found.guest).await?;
        // A list may not know it of one that is new.
        let is_template = found.template || guest::is_template(&config);
        is_template.then(|| Ours { guest: found.guest.clone(), config }).ok_or_else(missing)
    }
}

/// Whether a machine can be made from a template: why not, otherwise.
pub(super) fn fits(
    machine: &DesiredMachine,
    (vm, template): (&VmBody, &VmTemplate),
    found: &Ours,
    survey: &Survey,
) -> Result<(), ProviderError> {
    let (vmid, config) = (template.vmid, &found.config);
    let called = guest::name(Kind::Qemu, config).unwrap_or_default();
    if let Some(wanted) = template.name.as_deref().filter(|wanted| *wanted != called) {
        let message = format!("the template {vmid} is named {called}, not {wanted}");
        return Err(error(ErrorKind::Conflict, message));
    }
    if config.get(&vm.disk_slot).is_none_or(|disk| guest::is_cdrom(disk)) {
        let slot = guest::system_disk(Kind::Qemu, config).unwrap_or_else(|| "nowhere".into());
        let message = format!("the template {vmid} has its disk at {slot}, not at {}", vm.disk_slot);
        return Err(error(ErrorKind::Invalid, message));
    }
    let (least, wished) = (guest::disk_size(config, &vm.disk_slot), machine.disk);
    if let Some((least, wished)) = least.zip(wished).filter(|(least, wished)| wished < least) {
        let message = format!("the template {vmid} has a disk of {least}, and none of {wished} is made from it");
        return Err(error(ErrorKind::Invalid, message));
    }
    let stays = vm.is_linked() && found.guest.node != machine.place.as_str();
    if stays && !guest::storages(config).all(|storage| survey.shared.contains(storage)) {
        let (template, place) = (&found.guest, &machine.place);
        let message = format!("a linked clone of {template} cannot go to {place}, which does not see its disks");
        return Err(error(ErrorKind::Invalid, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubewright_model::digest::Digest;

    #[test]
    fn files_of_images_carry_mark_checksum_and_format() {
        let owner = Owner("lab".into());
        let named = |url: &str| file(&VmImage { url: url.into(), sha256: Digest::of(""), storage: "a".into() }, &owner);
        assert_eq!(named("https://x.test/noble-server-cloudimg-amd64.img"), "kubewright-lab.e3b0c44298fc.qcow2");
        assert_eq!(named("https://x.test/debian-12.raw"), "kubewright-lab.e3b0c44298fc.raw");
        assert!(!named("https://x.test/a.qcow2").starts_with(&mark(&Owner("la".into()))));
    }
}
