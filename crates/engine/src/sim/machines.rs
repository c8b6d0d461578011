//! The providers' side: Proxmox with its locks, its numbers and its tags; a cloud; hosts that exist already.

use async_trait::async_trait;
use kubewright_model::cloud::{CloudId, DesiredResource, ResourceSeen, Stray};
use kubewright_model::desired::{
    Body, DesiredBackupJob, DesiredLoadBalancer, DesiredMachine, VmImage, VmSource, VmTemplate,
};
use kubewright_model::ids::{ClusterName, NodeName, Owner, ProviderName};
use kubewright_model::observed::{
    BackupJobSeen, Inventory, LoadBalancerSeen, MachineSeen, Power, SNAPSHOT_MARK, Seen, Taken, TemplateSeen,
};
use kubewright_model::setting::Setting;
use kubewright_model::unread::Unread;
use kubewright_planner::diff::settings::{Course, differences};
use kubewright_providers::{Capabilities, Doomed, ErrorKind, Provider, ProviderError, Refusal, Wanted};

use super::faults::FaultKind;
use super::state::Machine;
use super::{DataCentre, timing};

/// Mishaps of an API end after so many, so that a run that tries again gets through.
const API_MISHAPS: u32 = 12;
/// A lock of somebody else's is met so often.
const LOCKED_TIMES: u32 = 3;

/// Hands on one provider's machines.
pub(super) struct Machines {
    pub(super) centre: DataCentre,
    pub(super) provider: ProviderName,
    /// It is a Proxmox cluster, which keeps snapshots and backup jobs.
    pub(super) proxmox: bool,
    /// Whether its credentials are accepted.
    pub(super) token: bool,
}

pub(super) fn error(kind: ErrorKind, message: impl Into<String>) -> ProviderError {
    ProviderError { provider: "simulated provider", kind, message: message.into(), log: Vec::new(), help: None }
}

impl Machines {
    /// A request reaches the API, or meets a mishap.
    pub(super) async fn request(&self, call: &str) -> Result<(), ProviderError> {
        self.centre.lock().count(call);
        self.centre.take(timing::API_CALL).await;
        if !self.token {
            return Err(error(ErrorKind::Denied, "401 invalid token: nothing was read or written"));
        }
        if self.centre.at_present().dark() {
            return Err(error(ErrorKind::Transient, "connection refused: the power is away"));
        }
        match mishap(&self.centre) {
            Some(FaultKind::Api500) => Err(error(ErrorKind::Transient, "500 Internal Server Error")),
            Some(FaultKind::Api429) => Err(error(ErrorKind::Busy, "429 Too Many Requests")),
            Some(_) => {
                self.centre.take(timing::CALL_TIMEOUT).await;
                Err(error(ErrorKind::Transient, "no answer within 30 s"))
            }
            None => Ok(()),
        }
    }

    /// Proxmox locks a storage while something is made on it; a second one fails after a while.
    async fn storage_lock(&self, key: &str) -> Result<(), ProviderError> {
        let held = {
            let mut state = self.centre.lock();
            let by_others = match state.fault(FaultKind::LockHeld) {
                Some((_, course)) if course.met < LOCKED_TIMES => {
                    course.met += 1;
                    true
                }
                _ => false,
            };
            let busy = by_others || state.creating.get(key).is_some_and(|running| *running > 0);
            if !busy {
                *state.creating.entry(key.to_string()).or_default() += 1;
            }
            busy
        };
        if held {
            self.centre.take(timing::LOCK_TIMEOUT).await;
            let message = format!("can't lock file '/var/lock/pve-manager/pve-storage-{key}' - got timeout");
            return Err(error(ErrorKind::Busy, message));
        }
        Ok(())
    }

    fn ours(&self, name: &NodeName, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let now = self.centre.now();
        let mut state = self.centre.at_present();
        let found = state.machines.get(&self.provider).and_then(|machines| machines.get(name));
        match found.map(|machine| machine.seen.clone()) {
            None => Err(error(ErrorKind::NotFound, format!("there is no machine {name}"))),
            Some(seen) if seen.owner != *owner => {
                state.breach(now, format!("machine {name} of {} was to be changed", seen.owner.0));
                Err(error(ErrorKind::Conflict, format!("machine {name} is not ours")))
            }
            Some(seen) if state.offline.contains(&seen.place) => {
                Err(error(ErrorKind::Transient, "595 No route to host"))
            }
            Some(seen) => Ok(seen),
        }
    }

    /// What stands in the way of a new machine.
    fn obstacle(&self, machine: &DesiredMachine, owner: &Owner) -> Result<Option<MachineSeen>, ProviderError> {
        let now = self.centre.now();
        let mut state = self.centre.at_present();
        if !state.places.contains(&machine.place) {
            return Err(error(ErrorKind::Invalid, format!("there is no node or location {}", machine.place)));
        }
        let numbered = machine.vmid.and_then(|vmid| state.numbers.get(&self.provider)?.get(&vmid));
        let name = numbered.unwrap_or(&machine.name).clone();
        let there = state.machines.get(&self.provider);
        let seen = [&name, &machine.name].into_iter().find_map(|name| Some(there?.get(name)?.seen.clone()));
        let taken = seen.map(|seen| (name, seen));
        match taken {
            None if state.offline.contains(&machine.place) => {
                Err(error(ErrorKind::Transient, format!("node {} is offline", machine.place)))
            }
            None => Ok(None),
            Some((name, seen)) if name == machine.name && seen.owner == *owner => Ok(Some(seen)),
            Some((name, _)) => {
                state.breach(now, format!("{} was to be made in the place of {name}", machine.name));
                Err(error(ErrorKind::Conflict, format!("CT {} already exists: it is {name}", machine.name)))
            }
        }
    }
}

impl Machines {
    /// A machine as it is made: what is cloned is as its template was.
    fn made(&self, machine: &DesiredMachine, owner: &Owner) -> Result<Machine, ProviderError> {
        let mut made = Machine::new(machine, owner);
        let Body::Vm(vm) = &*machine.body else { return Ok(made) };
        match &vm.source {
            VmSource::Image(image) => made.image = Some(image.sha256.clone()),
            VmSource::Clone(VmTemplate { name: Some(name), built: true, .. }) => {
                let state = self.centre.lock();
                let template = state.machine(&NodeName::new(name.as_str())).filter(|machine| machine.template);
                let missing = || error(ErrorKind::NotFound, format!("there is no template {name}"));
                made.like(template.ok_or_else(missing)?);
            }
            VmSource::Clone(_) => {}
        }
        Ok(made)
    }

    /// A hypervisor gets an image, unless it is there.
    async fn get(&self, image: &VmImage) -> Result<(), ProviderError> {
        if self.centre.lock().images.contains(&image.sha256) {
            return Ok(());
        }
        self.centre.take(timing::IMAGE).await;
        let mut state = self.centre.lock();
        let got = state.elsewhere.get(&image.url).unwrap_or(&image.sha256).clone();
        if got != image.sha256 {
            let message = format!("checksum mismatch: got '{}' != expect '{}'", got.as_str(), image.sha256.as_str());
            return Err(error(ErrorKind::Invalid, message));
        }
        state.images.insert(got);
        Ok(())
    }
}

/// Whether this call of an API meets a mishap, and which.
pub(super) fn mishap(centre: &DataCentre) -> Option<FaultKind> {
    let mut state = centre.lock();
    for kind in [FaultKind::Api500, FaultKind::Api429, FaultKind::ApiTimeout] {
        if state.fault(kind).is_none_or(|(_, course)| course.met >= API_MISHAPS) {
            continue;
        }
        if state.one_in(4) {
            if let Some((_, course)) = state.fault(kind) {
                course.met += 1;
            }
            return Some(kind);
        }
    }
    None
}

/// Gives a storage's lock back, also when the call is given up in its middle.
struct Unlock<'a> {
    centre: &'a DataCentre,
    key: String,
}

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        if let Some(running) = self.centre.lock().creating.get_mut(&self.key) {
            *running = running.saturating_sub(1);
        }
    }
}

#[async_trait]
impl Provider for Machines {
    fn can(&self) -> Capabilities {
        let existing = self.provider.as_str() == "existing";
        let load_balancers = self.provider.as_str() == "hetzner";
        Capabilities { machines: !existing, load_balancers, resize: !existing, snapshots: self.proxmox }
    }

    async fn observe(&self, owner: &Owner) -> Result<Inventory, ProviderError> {
        self.request("provider list").await?;
        let state = self.centre.at_present();
        let mut inventory = Inventory::default();
        for (name, machine) in state.machines.get(&self.provider).into_iter().flatten() {
            if machine.seen.owner == *owner && state.offline.contains(&machine.seen.place) {
                let MachineSeen { vmid, place, .. } = machine.seen.clone();
                inventory.unread.push(Unread { name: Some(name.clone()), vmid, place });
            } else if machine.seen.owner == *owner && machine.image.is_some() {
                let MachineSeen { owner, place, vmid, protected, .. } = machine.seen.clone();
                let seen = TemplateSeen { owner, place, vmid, finished: machine.template, protected };
                inventory.templates.insert(name.clone(), seen);
            } else if machine.seen.owner == *owner {
                inventory.machines.insert(name.clone(), machine.seen.clone());
            } else {
                inventory.taken.push(Taken { name: name.to_string(), vmid: machine.seen.vmid, being_made: false });
            }
        }
        inventory.load_balancers = state.balancers_of(&self.provider, owner, self.centre.now());
        inventory.resources = state.resources.get(&self.provider).cloned().unwrap_or_default();
        let marked = |seen: &mut ResourceSeen| seen.owner.take_if(|it| it != owner);
        inventory.resources.iter_mut().for_each(|seen| drop(marked(seen)));
        inventory.strays = state.strays.get(&self.provider).cloned().unwrap_or_default();
        let snapshots = state.snapshots.get(&self.provider).into_iter().flatten();
        inventory.snapshots = snapshots
            .filter(|(name, _)| inventory.machines.contains_key(*name))
            .map(|(name, all)| (name.clone(), all.iter().filter(|it| it.starts_with(SNAPSHOT_MARK)).cloned().collect()))
            .filter(|(_, ours): &(NodeName, Vec<String>)| !ours.is_empty())
            .collect();
        if self.proxmox {
            inventory.backups =
                Some(state.backup_jobs.get(&self.provider).cloned().map_or(Seen::Absent, Seen::Present));
        }
        Ok(inventory)
    }

    async fn preflight(&self, wanted: Wanted<'_>) -> Result<Vec<Refusal>, ProviderError> {
        // It knows of no privileges, so there is nothing else to ask it for.
        if wanted.snapshots.is_empty() {
            return Ok(Vec::new());
        }
        self.request("provider preflight").await?;
        let state = self.centre.lock();
        let rigid = |name: &&&NodeName| {
            let storage = state.machine(name).and_then(|machine| machine.seen.settings.storage());
            storage.is_some_and(|storage| state.rigid.contains(storage))
        };
        let refusal = |name: &&NodeName| Refusal {
            message: format!("no snapshot of {name} can be taken: its storage keeps none"),
            help: "take `maintenance.snapshots` out of the spec".into(),
        };
        Ok(wanted.snapshots.iter().filter(rigid).map(refusal).collect())
    }

    async fn create(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.request("machine create").await?;
        if let Some(seen) = self.obstacle(machine, owner)? {
            return Ok(seen);
        }
        self.surrounded(machine)?;
        let (storage, takes) = match &*machine.body {
            Body::Lxc(lxc) => (Some(lxc.storage.as_str()), timing::CREATE_LXC),
            Body::Vm(vm) => (Some(vm.storage.as_str()), timing::CREATE_VM),
            Body::Server(_) | Body::Local => (None, timing::CREATE_SERVER),
            Body::Existing => return Err(error(ErrorKind::Invalid, "hosts that exist already are not made")),
        };
        let lock = match storage {
            None => None,
            Some(storage) => {
                let key = format!("{}-{storage}", machine.place);
                self.storage_lock(&key).await?;
                Some(Unlock { centre: &self.centre, key })
            }
        };
        let now = self.centre.now();
        let mut made = self.made(machine, owner)?;
        if matches!(&*machine.body, Body::Server(server) if server.is_public()) {
            made.seen.public = Some(self.centre.lock().next_public());
        }
        let image = match &*machine.body {
            Body::Vm(vm) if let VmSource::Image(image) = &vm.source => Some(image),
            _ => None,
        };
        {
            let mut state = self.centre.lock();
            state.power_will_go(now);
            // It is there with its mark from the first moment, so a run that dies here leaves nothing unknown.
            state.put(&self.provider, &machine.name, made);
        }
        if let Some(image) = image {
            self.get(image).await?;
        }
        self.centre.take(takes).await;
        drop(lock);
        self.ours(&machine.name, owner)
    }

    async fn update(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.request("machine update").await?;
        let seen = self.ours(&machine.name, owner)?;
        let differing = differences(machine, &seen);
        if differing.iter().any(|it| !matches!(it.wish, Setting::Privileged(_)) && it.course == Course::Refused) {
            let now = self.centre.now();
            self.centre.lock().breach(now, format!("the disk of {} was to shrink", machine.name));
            return Err(error(ErrorKind::Invalid, "shrinking disks is not supported"));
        }
        self.centre.take(timing::UPDATE).await;
        let mut state = self.centre.lock();
        // Another provider may have a machine of this name.
        if let Some(there) = state.machines.get_mut(&self.provider).and_then(|all| all.get_mut(&machine.name)) {
            let running = there.seen.power == Power::Running;
            let now = |course| {
                matches!(course, Course::AtOnce | Course::NextStart) || (!running && course == Course::WhileOff)
            };
            for it in differing.into_iter().filter(|it| now(it.course)) {
                there.seen.pending |= running && it.course == Course::NextStart;
                there.becomes(it.wish);
            }
        }
        drop(state);
        self.ours(&machine.name, owner)
    }

    async fn start(&self, name: &NodeName, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.request("machine start").await?;
        if self.ours(name, owner)?.power == Power::Running {
            return self.ours(name, owner);
        }
        if self.centre.lock().machine(name).is_some_and(|machine| machine.template) {
            return Err(error(ErrorKind::Invalid, "you can't start a vm if it's a template"));
        }
        self.centre.take(timing::START).await;
        if self.centre.at_present().dark() {
            return Err(error(ErrorKind::Transient, "connection lost: the power is away"));
        }
        let now = self.centre.now();
        self.centre.lock().boot(&self.provider, name, now);
        self.ours(name, owner)
    }

    async fn shut_down(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        self.request("machine shutdown").await?;
        if self.ours(name, owner)?.power == Power::Running {
            let now = self.centre.now();
            {
                let mut state = self.centre.lock();
                state.goes_down(name, now);
                state.power_down(&self.provider, name);
            }
            self.centre.take(timing::SHUT_DOWN).await;
        }
        Ok(())
    }

    async fn take_snapshot(&self, name: &NodeName, snapshot: &str, owner: &Owner) -> Result<(), ProviderError> {
        self.request("snapshot take").await?;
        self.ours(name, owner)?;
        self.centre.take(timing::DISK_SNAPSHOT).await;
        let mut state = self.centre.lock();
        let all = state.snapshots.entry(self.provider.clone()).or_default().entry(name.clone()).or_default();
        if !all.iter().any(|it| it == snapshot) {
            all.push(snapshot.to_string());
        }
        Ok(())
    }

    async fn delete_snapshots(&self, name: &NodeName, gone: &[String], owner: &Owner) -> Result<(), ProviderError> {
        self.request("snapshot delete").await?;
        self.ours(name, owner)?;
        let now = self.centre.now();
        if let Some(other) = gone.iter().find(|snapshot| !snapshot.starts_with(SNAPSHOT_MARK)) {
            self.centre.lock().breach(now, format!("snapshot {other} of {name}, which is not ours, was to be deleted"));
            return Err(error(ErrorKind::Invalid, format!("snapshot {other} does not carry our mark")));
        }
        self.centre.take(timing::DISK_SNAPSHOT).await;
        let mut state = self.centre.lock();
        if let Some(all) = state.snapshots.get_mut(&self.provider).and_then(|machines| machines.get_mut(name)) {
            all.retain(|snapshot| !gone.contains(snapshot));
        }
        Ok(())
    }

    async fn turn_into_template(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        self.request("machine template").await?;
        self.ours(name, owner)?;
        let is = |what: fn(&Machine) -> bool| self.centre.lock().machine(name).is_some_and(what);
        if is(|machine| machine.template) {
            return Ok(());
        }
        if is(|machine| machine.image.is_none()) {
            return Err(error(ErrorKind::Conflict, format!("{name} was not made to become a template")));
        }
        self.centre.lock().power_down(&self.provider, name);
        self.centre.take(timing::SHUT_DOWN).await;
        let now = self.centre.now();
        let mut state = self.centre.lock();
        if state.machine(name).is_some_and(|machine| !machine.clean && machine.contacts > 0) {
            state.breach(now, format!("{name} became a template with what only one host may have"));
        }
        if let Some(machine) = state.machine_mut(name) {
            machine.template = true;
        }
        Ok(())
    }

    async fn set_backup_job(&self, job: &DesiredBackupJob, owner: &Owner) -> Result<(), ProviderError> {
        self.request("backup job set").await?;
        for name in &job.machines {
            self.ours(name, owner)?;
        }
        self.centre.take(timing::UPDATE).await;
        let DesiredBackupJob { schedule, storage, keep, machines, .. } = job.clone();
        let seen = BackupJobSeen { schedule, storage, keep, machines: machines.into_iter().collect() };
        self.centre.lock().backup_jobs.insert(self.provider.clone(), seen);
        Ok(())
    }

    async fn delete_backup_job(&self, _owner: &Owner) -> Result<(), ProviderError> {
        self.request("backup job delete").await?;
        self.centre.lock().backup_jobs.remove(&self.provider);
        Ok(())
    }

    async fn delete(&self, doomed: Doomed<'_>) -> Result<(), ProviderError> {
        self.request("machine delete").await?;
        let seen = match self.ours(doomed.name, doomed.owner) {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        if seen.vmid != doomed.vmid || seen.place != *doomed.place {
            let message = format!("{} is not the machine that was seen: it is {:?} now", doomed.name, seen.vmid);
            return Err(error(ErrorKind::Conflict, message));
        }
        if seen.protected {
            return Err(error(ErrorKind::Denied, format!("{} is protected", doomed.name)));
        }
        self.centre.take(timing::DELETE).await;
        let now = self.centre.now();
        let mut state = self.centre.lock();
        if state.machines.get(&self.provider).and_then(|all| all.get(doomed.name)).is_some_and(|it| it.existing) {
            state.breach(now, format!("host {} was there before us and was to be deleted", doomed.name));
            return Err(error(ErrorKind::Invalid, "a host that exists already is not deleted"));
        }
        state.may_stop_for_good(doomed.name, now);
        state.lose(doomed.name, now);
        state.drop_images();
        // Proxmox takes what it deletes out of its jobs, and a job without machines goes.
        if let Some(job) = state.backup_jobs.get_mut(&self.provider)
            && job.machines.remove(doomed.name)
            && job.machines.is_empty()
        {
            state.backup_jobs.remove(&self.provider);
        }
        Ok(())
    }

    async fn set_resource(&self, wish: &DesiredResource, owner: &Owner) -> Result<ResourceSeen, ProviderError> {
        self.make_resource(wish, owner).await
    }

    async fn delete_resource(&self, resource: &CloudId, owner: &Owner) -> Result<(), ProviderError> {
        self.drop_resource(resource, owner).await
    }

    async fn delete_stray(&self, stray: &Stray, _owner: &Owner) -> Result<(), ProviderError> {
        self.drop_stray(stray).await
    }

    async fn set_load_balancer(
        &self,
        wish: &DesiredLoadBalancer,
        owner: &Owner,
    ) -> Result<LoadBalancerSeen, ProviderError> {
        self.balance(wish, owner).await
    }

    async fn delete_load_balancer(&self, name: &ClusterName, owner: &Owner) -> Result<(), ProviderError> {
        self.unbalance(name, owner).await
    }
}
