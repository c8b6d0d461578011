//! A pretend data centre: machines, hosts, a cluster, and what goes wrong with them.
//!
//! Start reading at [`DataCentre`]; `state` is what is true in it, and each seam to the outside has a file: `machines`
//! (providers), `hosts` and `recipes`, `kubernetes` (who is a member), `api` and `conditions`. It is deterministic from
//! a seed, and its clock is tokio's: paused, it jumps from event to event, so a rebuild of forty minutes takes a moment.
//!
//! It is strict: what the real thing refuses it refuses, and what no right plan ever asks for it also writes down as a
//! [`Breach`]. It proves order and logic. It does not prove that a real K3s or RKE2 takes our configuration.

mod addresses;
mod api;
mod applications;
mod before;
mod certificates;
mod cloud;
mod conditions;
mod doors;
mod faults;
mod hosts;
mod keys;
mod kubeadm;
mod kubernetes;
mod machines;
mod network;
mod papers;
mod rancher;
mod recipes;
mod saved;
mod state;
mod store;
mod talos;
mod timing;
mod turnover;
mod vault;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kubewright_model::cloud::{CloudId, CloudKind};
use kubewright_model::desired::{Body, Desired, DesiredHost};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, PlaceName, ProviderName, Vmid};
use kubewright_planner::diff::talos::interfaces;
use kubewright_providers::Provider;
use tokio::time::Instant;

use crate::places::Places;
use crate::world::World;
use crate::world::doors::{Doors, FromOutside};

pub use faults::{Fault, FaultKind, Struck};
pub use state::{Breach, Machine, State};
pub use store::MemoryStore;

/// A pretend data centre. Clones are handles on the same one.
#[derive(Clone)]
pub struct DataCentre {
    state: Arc<Mutex<State>>,
    began: Instant,
    /// The data centre's clock when this handle's process began.
    since: u64,
}

impl DataCentre {
    /// An empty data centre; everything in it follows from the seed.
    pub fn new(seed: u64) -> Self {
        Self::of(State::new(seed))
    }

    /// A data centre in which everything is as in a [`snapshot`](Self::snapshot), and goes on from there.
    pub fn resume(snapshot: State) -> Self {
        // What somebody was about to make when it was taken, nobody makes in here.
        Self::of(State { creating: BTreeMap::new(), ..snapshot })
    }

    fn of(state: State) -> Self {
        let since = state.clock;
        Self { state: Arc::new(Mutex::new(state)), began: Instant::now(), since }
    }

    /// The data centre that a file holds, or a new one when there is no such file yet.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or does not hold a data centre of this version.
    pub fn open(path: &Path, seed: u64) -> Result<Self, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::new(seed)),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        let state: State = serde_json::from_str(&text).map_err(|error| {
            format!("{} holds no data centre: {error}; remove its folder to begin anew", path.display())
        })?;
        if state.format != state::FORMAT {
            return Err(format!("{} is of another version; remove it to begin anew", path.display()));
        }
        Ok(Self::of(state))
    }

    /// Writes the data centre to a file, beside it first, so that a crash leaves the old one.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let text = {
            let mut state = self.lock();
            state.clock = self.now();
            serde_json::to_string(&*state).map_err(|error| error.to_string())?
        };
        let beside = path.with_extension("new");
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// Puts in what a spec takes for granted: hypervisors, with what we are not let in to do on them, hosts that exist
    /// already, and what stands before the API at an address that is none of the spec's. Doing it twice changes nothing.
    pub fn furnish(&self, desired: &Desired) {
        let mut state = self.lock();
        state.max_unavailable = desired.max_unavailable.max(1) as usize;
        state.staying = desired.servers().map(|member| member.name.clone()).collect();
        let endpoint = desired.kubernetes.endpoint.address();
        let balances =
            |address| desired.load_balancers.iter().any(|balancer| balancer.settings.private_address == Some(address));
        let is_one = |address| desired.machines.iter().any(|machine| machine.address == Some(address));
        let has = |address| is_one(address) || balances(address);
        state.outside = endpoint.filter(|address| !has(*address));
        state.doors = doors::doors(desired);
        let of_providers = desired.load_balancers.iter().map(|balancer| &balancer.spec);
        let of_hosts = desired.proxies.iter().flat_map(|proxy| &proxy.balancers).map(|balancer| &balancer.spec);
        state.balanced = of_providers.chain(of_hosts).flat_map(|it| &it.listen).map(|listener| listener.to).collect();
        let ours: BTreeSet<&str> =
            desired.hosts.iter().filter(|host| host.machine.is_none()).map(|host| host.name.as_str()).collect();
        state.systems = desired.all_hosts().filter_map(|host| Some((host.name.clone(), host.os.clone()?))).collect();
        let talos = |host: &DesiredHost| {
            let image = host.resources.iter().find_map(|resource| match resource {
                HostResource::TalosImage(image) => Some(image.version.clone()),
                _ => None,
            });
            Some((host.name.clone(), image?))
        };
        state.talos = desired.hosts.iter().filter_map(talos).collect();
        let interface = |host: &DesiredHost| {
            let named = host.resources.iter().find_map(|resource| match resource {
                HostResource::MachineConfig(config) => interfaces(config).named.into_iter().next(),
                _ => None,
            });
            Some((host.name.clone(), named?))
        };
        state.interfaces = desired.hosts.iter().filter_map(interface).collect();
        // What a cloud has and nobody here makes is there: a network that exists already, a certificate.
        state.granted = granted(desired);
        state.vault.clone_from(&desired.vault);
        state.applications.clone_from(&desired.applications);
        let objects = desired.objects.iter().flat_map(|group| &group.manifests).filter_map(|it| it.id().ok());
        state.rooted = objects.into_iter().any(|id| id.kind == "Application");
        for machine in desired.all_machines() {
            if state.places.insert(machine.place.clone()) && !ours.contains(machine.place.as_str()) {
                state.furnish_hypervisor(&machine.place);
            }
            if *machine.body == Body::Existing {
                state.put_existing(machine, &desired.owner);
            }
        }
    }

    /// Moves a machine to another place, with its configuration; returns whether it was there.
    pub fn migrate(&self, name: &NodeName, place: &PlaceName) -> bool {
        let mut state = self.lock();
        state.places.insert(place.clone());
        let Some(machine) = state.machine_mut(name) else { return false };
        let from = std::mem::replace(&mut machine.seen.place, place.clone());
        let file = machine.seen.vmid.map(|vmid| format!("/etc/pve/lxc/{vmid}.conf")).unwrap_or_default();
        if let Some(lines) = state.hypervisors.get_mut(from.as_str()).and_then(|it| it.files.remove(&file)) {
            state.hypervisors.entry(NodeName::new(place.as_str())).or_default().files.insert(file, lines);
        }
        true
    }

    /// A hypervisor goes offline, or comes back.
    pub fn set_offline(&self, place: &PlaceName, offline: bool) {
        let now = self.now();
        self.lock().set_offline(place, offline, now);
    }

    /// Restarts the hypervisors: what starts with them runs, the rest is off.
    pub fn reboot(&self) {
        let now = self.now();
        let mut state = self.lock();
        state.power_off();
        state.power_on(now);
    }

    /// The data centre as a world for the engine. Every provider that the spec names has hands in it, also when no machine
    /// uses it any more: what it has of ours is to go.
    pub fn world(&self, desired: &Desired) -> World {
        let mut names: Vec<&ProviderName> = desired.machines.iter().map(|machine| &machine.provider).collect();
        names.extend(desired.load_balancers.iter().map(|balancer| &balancer.provider));
        names.extend(desired.proxmox.keys());
        names.sort();
        names.dedup();
        let providers: BTreeMap<ProviderName, Arc<dyn Provider>> = names
            .into_iter()
            .map(|name| {
                let proxmox = desired.proxmox.contains_key(name);
                let hands = machines::Machines { centre: self.clone(), provider: name.clone(), proxmox, token: true };
                (name.clone(), Arc::new(hands) as Arc<dyn Provider>)
            })
            .collect();
        let pretend = {
            let mut state = self.lock();
            state.worlds += 1;
            state.worlds
        };
        let doors = Arc::new(Doors::default());
        let hands = crate::airgap::hands(Arc::new(hosts::Ssh { centre: self.clone() }), desired);
        World {
            providers,
            silent: BTreeMap::new(),
            hosts: Some(Arc::new(FromOutside { hands, talos: None, doors: Arc::clone(&doors) })),
            doors,
            cluster: Some(Arc::new(api::Api { centre: self.clone(), gap: desired.airgap.clone() })),
            pretend: Some(pretend),
            saved: self.proves(),
            beside: self.opens(),
            copies: Some(self.copies()),
            places: Places::default(),
        }
    }

    /// A provider whose credentials nobody accepts.
    pub fn stranger(&self, provider: &ProviderName) -> Arc<dyn Provider> {
        Arc::new(machines::Machines { centre: self.clone(), provider: provider.clone(), proxmox: true, token: false })
    }

    /// Sets a mishap up.
    pub fn strike(&self, fault: Fault) {
        self.lock().faults.push((fault, faults::Course::default()));
    }

    /// Somebody mends everything that does not pass by itself.
    pub fn mend(&self) {
        let now = self.now();
        let mut state = self.lock();
        state.unstick(now);
        state.bring_back(now);
        state.unstick_applications(now);
        let mended = std::mem::take(&mut state.faults);
        state.mended.extend(mended);
        state.cluster.unlisted.clear();
        state.elsewhere.clear();
        state.cut_off = false;
    }

    /// The same, but what waits to happen and has not yet goes on waiting. Returns what would not have passed by itself.
    pub fn mend_what_came(&self) -> Vec<String> {
        let faults = self.lock().faults.clone();
        let met = faults.iter().filter(|(fault, course)| course.met > 0 && fault.kind.needs_somebody());
        let met = met.map(|(fault, _)| fault.to_string());
        let met = met.collect();
        let waits: Vec<_> =
            self.lock().faults.extract_if(.., |(fault, course)| fault.kind.waits() && course.met == 0).collect();
        self.mend();
        self.lock().faults.extend(waits);
        met
    }

    /// Whether a mishap may still come.
    pub fn awaits_mishaps(&self) -> bool {
        !self.lock().faults.is_empty()
    }

    /// Every mishap that was set up, whom it hit, and how often it was met.
    pub fn struck(&self) -> Vec<Struck> {
        let state = self.lock();
        let all = state.mended.iter().chain(&state.faults);
        all.map(|(fault, course)| Struck { fault: fault.clone(), met: course.met }).collect()
    }

    /// A machine of somebody else's.
    pub fn put_foreign(&self, provider: &ProviderName, place: &PlaceName, name: &NodeName, vmid: Vmid) {
        self.lock().put_foreign(provider, place, name, vmid);
    }

    /// A machine is gone from one moment to the next, with everything on it. Returns whether it was there.
    pub fn lose(&self, name: &NodeName) -> bool {
        let now = self.now();
        self.lock().lose(name, now)
    }

    /// From now on the cluster is meant to end, so that its members stop for good is no breach.
    pub fn announce_end(&self) {
        self.lock().ending = true;
    }

    /// From now on the cluster is meant to live.
    pub fn announce_life(&self) {
        self.lock().ending = false;
    }

    /// What was asked of it that no right plan asks for.
    pub fn breaches(&self) -> Vec<Breach> {
        self.lock().breaches.clone()
    }

    /// Everything in it that carries a mark of ours, in words; empty when nothing is left over. What was there before
    /// us (hosts that exist already, machines of others) is not among it, but what we left on such a host is.
    pub fn leftovers(&self) -> Vec<String> {
        self.lock().leftovers()
    }

    /// How often each kind of call was made.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.lock().calls.clone()
    }

    /// A copy of everything that is true in it now.
    pub fn snapshot(&self) -> State {
        let mut state = self.lock().clone();
        state.clock = self.now();
        state
    }

    /// Changes what is true in it, as nobody's hands could: for tests of what a plan makes of any state.
    pub fn alter(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
    }

    /// Milliseconds since the data centre was opened first.
    pub(super) fn now(&self) -> u64 {
        self.since + u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was held is a bug that has been told already; the data are still the best that there are.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is true now: everything that time alone has brought about has happened.
    fn at_present(&self) -> MutexGuard<'_, State> {
        let now = self.now();
        let mut state = self.lock();
        state.pass(now);
        state
    }

    /// Something takes its time, give or take a seventh.
    async fn take(&self, milliseconds: u64) {
        let exact = self.lock().jitter(milliseconds);
        tokio::time::sleep(Duration::from_millis(exact)).await;
    }
}

/// What a spec needs of a cloud and does not make.
fn granted(desired: &Desired) -> BTreeSet<CloudId> {
    let networks = desired.machines.iter().flat_map(State::around);
    let shown = desired.load_balancers.iter().flat_map(|wish| wish.settings.listeners.values());
    let shown = shown.flat_map(|listener| &listener.certificates);
    let certificates = shown.map(|name| CloudId::new(CloudKind::Certificate, name.as_str()));
    let made = |id: &CloudId| desired.resources.iter().any(|wish| wish.id() == *id);
    networks.chain(certificates).filter(|id| !made(id)).collect()
}

/// Runs something in a runtime whose clock is paused, so that all waiting is done at once.
///
/// # Errors
///
/// The runtime could not be made.
pub fn run<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    Ok(runtime.block_on(work))
}
