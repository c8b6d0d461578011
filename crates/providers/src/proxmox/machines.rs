//! Making, changing, starting and deleting one machine.
//!
//! Nothing is written to a guest before its configuration has been read and has shown both our mark and its name.

use std::time::Duration;

use kubewright_model::desired::{Body, DesiredMachine, LxcBody, VmBody, VmSource};
use kubewright_model::ids::{NodeName, Owner, Vmid};
use kubewright_model::observed::{MachineSeen, Power};
use kubewright_model::setting::Setting;
use kubewright_model::units::Size;

use super::call::{self, Config, Guest, Kind};
use super::change::{Change, extra_slot, mount_slot};
use super::client::error;
use super::notes::Notes;
use super::survey::{Entry, Survey};
use super::{Proxmox, guest, ha, seed, wish};
use crate::{Doomed, ErrorKind, ProviderError};

/// Seconds for the system inside to end: Kubernetes' own units have 90 s each, and most of them need two.
const SHUT_DOWN: u64 = 180;
/// What HA may take to begin: its managers look every ten seconds, one after the other.
const HA_TURN: Duration = Duration::from_secs(60);
const HA_LOOK: Duration = Duration::from_secs(2);

/// A machine of ours, and what its configuration was when it was recognised.
pub(super) struct Ours {
    pub(super) guest: Guest,
    pub(super) config: Config,
}

impl Ours {
    /// The image of ours that tells it who it is: its drive, and its volume.
    pub(super) fn images(&self, name: &NodeName, owner: &Owner) -> impl Iterator<Item = (&str, &str)> {
        let file = format!(":iso/{}", seed::file(name, owner));
        let drives = self.config.iter().filter_map(|(slot, drive)| Some((slot.as_str(), drive.split(',').next()?)));
        drives.filter(move |(_, volume)| volume.ends_with(&file))
    }

    fn is_finished(&self, owner: &Owner) -> bool {
        guest::name(self.guest.kind, &self.config).is_none_or(|name| guest::finished_name(name, owner).is_none())
    }
}

impl Proxmox {
    pub(super) async fn config(&self, guest: &Guest) -> Result<Config, ProviderError> {
        Ok(guest::config(&self.client.send(guest.config()).await?))
    }

    pub(super) async fn seen(&self, guest: &Guest, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let (power, kept) = self.status(guest).await?;
        let mut seen = self.seen_as(guest, power, owner).await?;
        if kept {
            ha::show(&self.kept_by_ha().await?, guest, owner, &mut seen);
        }
        Ok(seen)
    }

    /// The machine as its next start will have it, and whether it has to be started for that.
    pub(super) async fn seen_as(
        &self,
        guest: &Guest,
        power: Power,
        owner: &Owner,
    ) -> Result<MachineSeen, ProviderError> {
        let (config, waits) = guest::pending(&self.client.send(guest.pending()).await?);
        let pending = waits && power == Power::Running;
        Ok(MachineSeen { pending, ..guest::machine(guest, &config, power, owner) })
    }

    /// The guest if it is the machine of that name with our mark, by its own configuration.
    pub(super) async fn recognise(
        &self,
        guest: &Guest,
        name: &NodeName,
        owner: &Owner,
    ) -> Result<Option<Ours>, ProviderError> {
        let config = match self.config(guest).await {
            // Gone, or moved to another node.
            Err(gone) if gone.kind == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mark = config.get("tags").is_some_and(|line| guest::tags(line).any(|tag| tag == owner.tag()));
        let called = guest::name(guest.kind, &config);
        let unfinished = called == Some(guest::unfinished(name, owner).as_str());
        let copied = Notes::read(&config).are_copied(guest);
        let ours = !guest::is_template(&config) && !copied && (unfinished || (mark && called == Some(name.as_str())));
        Ok(ours.then(|| Ours { guest: guest.clone(), config }))
    }

    /// The machine of that name with our mark, wherever in the cluster it is.
    pub(super) async fn find(&self, name: &NodeName, owner: &Owner) -> Result<Option<Ours>, ProviderError> {
        if let Some(guest) = self.known(name)
            && let Some(ours) = self.recognise(&guest, name, owner).await?
        {
            return Ok(Some(ours));
        }
        let unfinished = guest::unfinished(name, owner);
        let called = |entry: &Entry| entry.name.as_deref().is_some_and(|own| own == name.as_str() || own == unfinished);
        for entry in self.guests_now(self.survey().await?).await?.iter().filter(|entry| called(entry)) {
            if let Some(ours) = self.recognise(&entry.guest, name, owner).await? {
                self.knows(name, &entry.guest);
                return Ok(Some(ours));
            }
        }
        Ok(None)
    }

    pub(super) async fn ours(&self, name: &NodeName, owner: &Owner) -> Result<Ours, ProviderError> {
        let found = self.find(name, owner).await?;
        found.ok_or_else(|| error(ErrorKind::NotFound, format!("no machine {name} carries the mark {}", owner.tag())))
    }

    /// The machine if it is there already, or an error if something else stands in its place.
    async fn standing(
        &self,
        machine: &DesiredMachine,
        owner: &Owner,
        survey: &Survey,
    ) -> Result<Option<Ours>, ProviderError> {
        let name = &machine.name;
        let (known, unfinished) = (self.known(name), guest::unfinished(name, owner));
        for entry in &survey.guests {
            let same_number = machine.vmid == Some(entry.guest.vmid);
            let same_name = entry.name.as_deref().is_some_and(|own| own == name.as_str() || own == unfinished);
            // A number that we chose ourselves, and whose answer was lost on the way.
            let tried = machine.vmid.is_none() && known.as_ref() == Some(&entry.guest);
            if !same_number && !same_name && !tried {
                continue;
            }
            if let Some(ours) = self.recognise(&entry.guest, name, owner).await? {
                self.knows(name, &entry.guest);
                return Ok(Some(ours));
            }
            if entry.is_being_made() {
                let message = format!("{} is being made: whose it is shows when it is done", entry.guest);
                return Err(error(ErrorKind::Busy, message));
            }
            if tried && !same_name {
                self.forgets(name);
                continue;
            }
            let message = format!("{name} cannot be made: {} is there, named {}", entry.guest, entry.title());
            return Err(error(ErrorKind::Conflict, message));
        }
        Ok(None)
    }
}

impl Proxmox {
    pub(super) async fn make(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let survey = self.survey().await?;
        if let Some(ours) = self.standing(machine, owner, &survey).await? {
            return match &*machine.body {
                Body::Vm(vm) if let VmSource::Image(image) = &vm.source => {
                    self.import(machine, (vm, image), ours, owner).await
                }
                _ if ours.is_finished(owner) => self.seen(&ours.guest, owner).await,
                _ => self.finish(machine, ours, owner).await,
            };
        }
        let place = machine.place.as_str();
        match survey.nodes.get(place) {
            None => return Err(error(ErrorKind::Invalid, format!("there is no node {place}"))),
            Some(false) => return Err(error(ErrorKind::Transient, format!("node {place} is offline"))),
            Some(true) => {}
        }
        // What stops a machine from being set up stops it from being made.
        self.user(machine)?;
        let vmid = self.number(machine).await?;
        match &*machine.body {
            Body::Lxc(lxc) => self.make_container(machine, lxc, vmid, owner).await,
            Body::Vm(vm) => match &vm.source {
                VmSource::Clone(template) => {
                    let template = self.template(machine, (vm, template), owner, &survey).await?;
                    self.make_clone(machine, vm, template, vmid, owner, &survey).await
                }
                VmSource::Image(image) => self.make_from_image(machine, (vm, image), vmid, owner).await,
            },
            Body::Server(_) | Body::Existing | Body::Local => {
                Err(error(ErrorKind::Invalid, format!("{} is no machine of Proxmox", machine.name)))
            }
        }
    }

    /// The machine's number: its own, the one that it was to have when it was last tried, or a free one.
    async fn number(&self, machine: &DesiredMachine) -> Result<Vmid, ProviderError> {
        if let Some(vmid) = machine.vmid.or_else(|| self.known(&machine.name).map(|guest| guest.vmid)) {
            return Ok(vmid);
        }
        let free = guest::word(&self.client.send(call::next_id()).await?).and_then(|text| text.parse().ok());
        free.map(Vmid).ok_or_else(|| error(ErrorKind::Bug, "the answer for a free VMID is no number"))
    }

    /// Sends the request that makes a guest, and waits until it is made.
    pub(super) async fn begin(
        &self,
        machine: &DesiredMachine,
        guest: &Guest,
        call: call::Call,
    ) -> Result<(), ProviderError> {
        let tried = self.known(&machine.name).as_ref() == Some(guest);
        self.knows(&machine.name, guest);
        let made = async { self.tasks.done(&self.client.send(call).await?).await }.await;
        // A guest comes into its pool when it is made, and whoever sees the pool alone does not see before that that it is
        // the one that was asked for a moment ago.
        let unseen = tried && self.pool.is_some();
        // A number that Proxmox called free a moment ago is somebody else's now; the next one may still be had.
        let passes = unseen || machine.vmid.is_none();
        made.map_err(|error| match error.kind {
            ErrorKind::Conflict => {
                if !unseen {
                    self.forgets(&machine.name);
                }
                ProviderError { kind: if passes { ErrorKind::Busy } else { ErrorKind::Conflict }, ..error }
            }
            _ => error,
        })
    }

    async fn make_container(
        &self,
        machine: &DesiredMachine,
        lxc: &LxcBody,
        vmid: Vmid,
        owner: &Owner,
    ) -> Result<MachineSeen, ProviderError> {
        let guest = Guest { kind: Kind::Lxc, node: machine.place.to_string(), vmid };
        self.have_template(&guest.node, lxc).await?;
        let mut config = wish::container(machine, vmid, lxc, owner, self.user(machine)?);
        config.extend(self.pool.clone().map(|pool| ("pool".to_string(), pool)));
        self.begin(machine, &guest, call::create_container(&guest.node, vmid, &config)).await?;
        self.keep(machine, &guest, Power::Stopped, owner).await?;
        self.seen(&guest, owner).await
    }

    async fn make_clone(
        &self,
        machine: &DesiredMachine,
        vm: &VmBody,
        template: Ours,
        vmid: Vmid,
        owner: &Owner,
        survey: &Survey,
    ) -> Result<MachineSeen, ProviderError> {
        let Ours { guest: template, config: disks } = template;
        // Proxmox clones onto another node only what every node sees; the rest is cloned beside its template and moves.
        let mut storages = guest::storages(&disks).chain((!vm.is_linked()).then_some(vm.storage.as_str()));
        let seen_everywhere = storages.all(|storage| survey.shared.contains(storage));
        let target = (template.node != machine.place.as_str() && seen_everywhere).then(|| machine.place.as_str());
        let node = target.unwrap_or(&template.node).to_string();
        let guest = Guest { kind: Kind::Qemu, node, vmid };
        let name = guest::unfinished(&machine.name, owner);
        let config = wish::clone(name, vmid, vm, target, self.pool.as_deref());
        self.begin(machine, &guest, template.clone_to(vmid, &config)).await?;
        let ours = self.recognise(&guest, &machine.name, owner).await?;
        let ours = ours.ok_or_else(|| error(ErrorKind::Transient, format!("the clone {guest} is not there")))?;
        self.finish(machine, ours, owner).await
    }
}

impl Proxmox {
    /// Turns a clone into the machine. The mark moves from its name into its tags in the same change as all else.
    async fn finish(&self, machine: &DesiredMachine, ours: Ours, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let Body::Vm(vm) = &*machine.body else {
            return Err(error(ErrorKind::Conflict, format!("{} is a virtual machine", ours.guest)));
        };
        let ours = self.at_its_place(machine, ours, owner).await?;
        self.set_up(machine, vm, &ours, Config::new(), owner).await
    }

    /// Gives a virtual machine all that it should be, and more than that, in one change.
    pub(super) async fn set_up(
        &self,
        machine: &DesiredMachine,
        vm: &VmBody,
        ours: &Ours,
        more: Config,
        owner: &Owner,
    ) -> Result<MachineSeen, ProviderError> {
        let user = self.user(machine)?;
        if let Some(storage) = &vm.iso {
            let image = seed::image(machine, vm, owner, user).map_err(|why| error(ErrorKind::Bug, why))?;
            let file = call::File { name: seed::file(&machine.name, owner), content: image };
            self.put_iso(&ours.guest.node, storage, file).await?;
        }
        let mut config = wish::virtual_machine(machine, vm, owner, user, &ours.config);
        config.extend(more);
        self.configure(ours, config).await?;
        let there = self.config(&ours.guest).await?;
        self.grow(machine, &Ours { guest: ours.guest.clone(), config: there }).await?;
        self.keep(machine, &ours.guest, Power::Stopped, owner).await?;
        self.seen(&ours.guest, owner).await
    }

    /// Moves a clone that is not finished to the node that it is meant for.
    async fn at_its_place(&self, machine: &DesiredMachine, ours: Ours, owner: &Owner) -> Result<Ours, ProviderError> {
        let place = machine.place.as_str();
        if ours.guest.node == place {
            return Ok(ours);
        }
        self.tasks.done(&self.client.send(ours.guest.move_to(place)).await?).await?;
        let guest = Guest { node: place.into(), ..ours.guest };
        self.knows(&machine.name, &guest);
        let there = self.recognise(&guest, &machine.name, owner).await?;
        there.ok_or_else(|| error(ErrorKind::Transient, format!("{guest} did not arrive")))
    }

    /// Changes settings, unless somebody has changed them since they were read.
    pub(super) async fn configure(&self, ours: &Ours, mut config: Config) -> Result<(), ProviderError> {
        if config.is_empty() {
            return Ok(());
        }
        config.extend(ours.config.get("digest").map(|digest| ("digest".to_string(), digest.clone())));
        self.tasks.done(&self.client.send(ours.guest.configure(&config)).await?).await
    }

    /// Grows volumes to what is wished. They never shrink: Proxmox cannot, and what is on them would be gone.
    pub(super) async fn grow(&self, machine: &DesiredMachine, ours: &Ours) -> Result<(), ProviderError> {
        for (slot, wanted, _) in volumes(machine, ours).iter().filter(|(_, wanted, there)| wanted > there) {
            self.tasks.done(&self.client.send(ours.guest.resize(slot, wanted.mib())).await?).await?;
        }
        Ok(())
    }

    pub(super) async fn change(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let ours = self.ours(&machine.name, owner).await?;
        if !ours.is_finished(owner) {
            return self.finish(machine, ours, owner).await;
        }
        if let Some((slot, drive)) = strange_disk(machine, &ours) {
            let message = format!("{slot} of {} has {drive}, which is none of its own disks", machine.name);
            return Err(error(ErrorKind::Conflict, message));
        }
        if let Some((slot, wanted, there)) = volumes(machine, &ours).iter().find(|(_, wanted, there)| wanted < there) {
            let message = format!("{slot} of {} has {there} and cannot shrink to {wanted}", machine.name);
            return Err(error(ErrorKind::Invalid, message));
        }
        let seen = guest::machine(&ours.guest, &ours.config, Power::Stopped, owner);
        self.configure(&ours, differences(machine, &ours, &seen, owner)).await?;
        self.grow(machine, &ours).await?;
        if machine.ha.is_some() {
            let (power, _) = self.status(&ours.guest).await?;
            self.keep(machine, &ours.guest, power, owner).await?;
        }
        let seen = self.seen(&ours.guest, owner).await?;
        if machine.ha.is_some() || !seen.ha_of_ours {
            return Ok(seen);
        }
        self.let_go(&ours.guest).await?;
        self.seen(&ours.guest, owner).await
    }

    pub(super) async fn turn_on(&self, name: &NodeName, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let ours = self.ours(name, owner).await?;
        if !ours.is_finished(owner) {
            let message = format!("{name} is a clone that is not set up yet, and would start as its template");
            return Err(error(ErrorKind::Conflict, message));
        }
        if self.status(&ours.guest).await?.0 == Power::Stopped {
            let started = async { self.tasks.done(&self.client.send(ours.guest.start()).await?).await }.await;
            // Somebody else was quicker.
            started.or_else(|error| if error.message.contains("already running") { Ok(()) } else { Err(error) })?;
        }
        self.seen(&ours.guest, owner).await
    }

    /// Shuts a guest down, if it runs.
    pub(super) async fn turn_off(&self, guest: &Guest) -> Result<(), ProviderError> {
        let (power, kept) = self.status(guest).await?;
        if power == Power::Stopped {
            return Ok(());
        }
        self.tasks.done(&self.client.send(guest.shut_down(SHUT_DOWN)).await?).await?;
        if kept { self.goes_off(guest).await } else { Ok(()) }
    }

    /// HA is only asked to turn a guest off, and does so when its turn comes.
    async fn goes_off(&self, guest: &Guest) -> Result<(), ProviderError> {
        let off = async {
            while self.status(guest).await?.0 == Power::Running {
                tokio::time::sleep(HA_LOOK).await;
            }
            Ok(())
        };
        let late =
            |_| Err(error(ErrorKind::Transient, format!("HA was asked to shut {guest} down, and it still runs")));
        tokio::time::timeout(HA_TURN + Duration::from_secs(SHUT_DOWN), off).await.unwrap_or_else(late)
    }

    pub(super) async fn remove(&self, doomed: Doomed<'_>) -> Result<(), ProviderError> {
        let ours = match self.find(doomed.name, doomed.owner).await? {
            None => self.find_template(doomed.name, doomed.owner).await?,
            found => found,
        };
        let Some(ours) = ours else { return Ok(()) };
        let guest = &ours.guest;
        if doomed.vmid != Some(guest.vmid) || doomed.place.as_str() != guest.node {
            let message = format!("{} is not the machine that was seen: it is {guest} now", doomed.name);
            return Err(error(ErrorKind::Conflict, message));
        }
        if ours.config.get("protection").is_some_and(|yes| yes == "1") {
            let message = format!("{} is protected: `protection` is set on {guest}", doomed.name);
            return Err(error(ErrorKind::Denied, message));
        }
        let (power, kept) = self.status(guest).await?;
        if kept {
            // Otherwise it would turn on again what is turned off.
            self.let_go(guest).await?;
        }
        if power == Power::Running {
            self.tasks.done(&self.client.send(guest.stop()).await?).await?;
        }
        // While the machine is there, it tells where its image is.
        for (_, volume) in ours.images(doomed.name, doomed.owner) {
            self.drop_file(&guest.node, volume).await?;
        }
        self.drop_images(&ours, doomed.owner).await?;
        self.tasks.done(&self.client.send(guest.delete()).await?).await?;
        self.forgets(doomed.name);
        Ok(())
    }
}

/// Volumes of which a size is wished: their slots, what they should have, and what they have.
fn volumes(machine: &DesiredMachine, ours: &Ours) -> Vec<(String, Size, Size)> {
    let settings = machine.settings();
    let volumes = settings.iter().filter_map(|wish| {
        let (slot, wanted) = match (wish, &*machine.body) {
            (Setting::Disk(size), _) => (guest::system_disk(ours.guest.kind, &ours.config)?, size),
            (Setting::ExtraDisk(number, size), Body::Vm(vm)) => (extra_slot(vm, *number), size),
            (Setting::Mount(path, size), _) => (mount_slot(&ours.config, path)?, size),
            _ => return None,
        };
        let there = guest::disk_size(&ours.config, &slot)?;
        Some((slot, *wanted, there))
    });
    volumes.collect()
}

/// What stands where a further disk of the machine is to be: its slot, and its volume.
fn strange_disk<'a>(machine: &DesiredMachine, ours: &'a Ours) -> Option<(String, &'a str)> {
    let Body::Vm(vm) = &*machine.body else { return None };
    let slots = (1..).zip(&vm.extra_disks).map(|(number, _)| extra_slot(vm, number));
    let mut drives = slots.filter_map(|slot| Some((ours.config.get(&slot)?, slot)));
    let (drive, slot) = drives.find(|(drive, _)| !guest::is_own(ours.guest.vmid, drive))?;
    Some((slot, drive.split(',').next().unwrap_or_default()))
}

/// The settings that differ.
fn differences(machine: &DesiredMachine, ours: &Ours, seen: &MachineSeen, owner: &Owner) -> Config {
    let mut change = Change::new(machine, owner, ours.guest.kind, &ours.config);
    for (wish, _) in machine.settings_at(&seen.place).differing(&seen.settings) {
        change.write(wish);
    }
    change.config()
}
