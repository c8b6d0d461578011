//! What is true in the data centre, and what time alone does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kubewright_model::applications::DesiredApplications;
use kubewright_model::cloud::{CloudId, ResourceSeen, Stray};
use kubewright_model::desired::{Body, DesiredMachine};
use kubewright_model::digest::Digest;
use kubewright_model::facts::Boot;
use kubewright_model::host::HostResource;
use kubewright_model::ids::{ClusterName, NodeName, Owner, PlaceName, ProviderName, Vmid};
use kubewright_model::observed::{BackupJobSeen, HostSeen, LoadBalancerSeen, MachineSeen, Origin, Power, UnitSeen};
use kubewright_model::setting::{Setting, Settings};
use kubewright_model::vault::DesiredVault;
use kubewright_model::version::Version;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::doors::Speaks;
use super::faults::{Course, Fault, FaultKind};
use super::keys::Keys;
use super::kubernetes::Cluster;
use super::talos::machine::waiting;
use super::timing;
use crate::world::Beside;

/// The version of the file that holds a data centre.
pub(super) const FORMAT: u32 = 3;
/// The folder of units.
pub(super) const UNITS: &str = "/etc/systemd/system/";

/// Something that was asked and that no right plan asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breach {
    /// When, in the data centre's milliseconds.
    pub at: u64,
    /// What, in one sentence.
    pub what: String,
}

/// Everything that is true in the data centre.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    pub(super) format: u32,
    pub(super) seed: u64,
    /// How often chance was asked.
    pub(super) draws: u64,
    /// How often somebody entered it: no two of them make the same secret.
    #[serde(default)]
    pub(super) worlds: u64,
    /// Milliseconds since the beginning, when this was saved.
    pub(super) clock: u64,
    /// SSH keys on the computer that it is looked at from, by their files.
    #[serde(default)]
    pub keys: BTreeMap<String, Keys>,
    /// Hypervisors and other places for machines.
    pub(super) places: BTreeSet<PlaceName>,
    /// Those of them that are offline.
    #[serde(default)]
    pub(super) offline: BTreeSet<PlaceName>,
    /// There is no way out: nothing comes from outside.
    #[serde(default)]
    pub cut_off: bool,
    /// Machines by provider and name. They come and go by [`State::put`] and [`State::lose`].
    pub machines: BTreeMap<ProviderName, BTreeMap<NodeName, Machine>>,
    /// Machines' names by provider and number.
    pub(super) numbers: BTreeMap<ProviderName, BTreeMap<Vmid, NodeName>>,
    /// Machines' names by address.
    pub(super) addresses: BTreeMap<IpAddr, NodeName>,
    /// The address of the API where it is none of the spec's: something outside stands there, and sends to the servers.
    #[serde(default)]
    pub(super) outside: Option<IpAddr>,
    /// Who listens where, of what the spec takes for granted.
    #[serde(skip)]
    pub(super) doors: BTreeMap<String, Speaks>,
    /// Ports of nodes that load balancers send to.
    #[serde(skip)]
    pub(super) balanced: BTreeSet<u16>,
    /// What hypervisors hold, as far as it is ours.
    pub(super) hypervisors: BTreeMap<NodeName, Hypervisor>,
    /// Snapshots of machines by provider and name, oldest first, whosever they are.
    #[serde(default)]
    pub snapshots: BTreeMap<ProviderName, BTreeMap<NodeName, Vec<String>>>,
    /// Storages that keep no snapshots.
    #[serde(default)]
    pub rigid: BTreeSet<String>,
    /// Files of images that we had a hypervisor get.
    #[serde(default)]
    pub(super) images: BTreeSet<Digest>,
    /// What is behind the address of an image, where that is not what everybody says.
    #[serde(default)]
    pub elsewhere: BTreeMap<String, Digest>,
    /// The backup job of ours at each provider.
    pub(super) backup_jobs: BTreeMap<ProviderName, BackupJobSeen>,
    /// What clouds keep around servers.
    #[serde(default)]
    pub resources: BTreeMap<ProviderName, Vec<ResourceSeen>>,
    /// How many public addresses were given away.
    #[serde(default)]
    pub(super) publics: u32,
    /// What they have that nobody here makes.
    #[serde(default)]
    pub(super) granted: BTreeSet<CloudId>,
    /// What the cluster itself has made there.
    #[serde(default)]
    pub strays: BTreeMap<ProviderName, Vec<Stray>>,
    /// Load balancers by provider and name.
    pub balancers: BTreeMap<ProviderName, BTreeMap<ClusterName, LoadBalancerSeen>>,
    /// Creations that run now, by place and storage.
    #[serde(skip)]
    pub(super) creating: BTreeMap<String, u32>,
    /// The cluster.
    pub cluster: Cluster,
    /// What was saved of it, by the file that it is in.
    #[serde(default)]
    pub(super) saved: BTreeMap<String, Cluster>,
    /// What goes with it, by the same file.
    #[serde(default)]
    pub beside: BTreeMap<String, Beside>,
    pub(super) ending: bool,
    /// Agents that may be drained at once.
    pub(super) max_unavailable: usize,
    /// Servers that the spec names; others are about to leave.
    pub(super) staying: BTreeSet<NodeName>,
    /// The systems that the spec expects: machines come with them.
    pub(super) systems: BTreeMap<NodeName, String>,
    /// The versions of Talos that machines wait with for their configuration.
    #[serde(default)]
    pub(super) talos: BTreeMap<NodeName, Version>,
    /// The interfaces that their configurations name.
    #[serde(default)]
    pub(super) interfaces: BTreeMap<NodeName, String>,
    /// Argo CD's applications that the spec expects, and whether it names the one that holds all others.
    #[serde(default)]
    pub(super) applications: Option<DesiredApplications>,
    #[serde(default)]
    pub(super) rooted: bool,
    /// Vault as the spec expects it.
    #[serde(default)]
    pub(super) vault: Option<DesiredVault>,
    pub(super) breaches: Vec<Breach>,
    pub(super) calls: BTreeMap<String, u64>,
    pub(super) faults: Vec<(Fault, Course)>,
    /// Faults that somebody has mended.
    pub(super) mended: Vec<(Fault, Course)>,
}

/// A machine and the host on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// What its provider says of it.
    pub seen: MachineSeen,
    /// What the host on it says.
    pub host: HostSeen,
    /// It is a container.
    pub(super) lxc: bool,
    /// It was there before us.
    pub(super) existing: bool,
    /// When its host answers, in the data centre's milliseconds.
    pub answers_at: u64,
    /// Its features and raw lines that were in force when it started.
    pub(super) raw: Vec<String>,
    /// The text of files that Kubernetes reads.
    pub(super) texts: BTreeMap<String, String>,
    /// What we wrote down of what units read when they started. It is there when a unit's own file is gone.
    pub(super) reads: BTreeMap<String, Digest>,
    /// What was there before we touched a resource first, by its key: the resource, and what a look at it showed.
    #[serde(default)]
    pub(super) before: BTreeMap<String, (HostResource, HostSeen)>,
    /// Containers of Kubernetes run on it. They outlive the unit that has started them.
    #[serde(default)]
    pub(super) containers: bool,
    /// Public halves of keys that it lets in; none where nobody has met it yet.
    #[serde(default)]
    pub keys: Option<BTreeSet<String>>,
    /// Until when its certificates for Kubernetes are good, in the data centre's milliseconds; none where it has none.
    #[serde(default)]
    pub certificates: Option<u64>,
    /// How often it was started.
    #[serde(default)]
    pub(super) boots: u32,
    /// Packages of its host that wait for an update.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub waiting: BTreeSet<String>,
    /// How often it was reached over SSH.
    pub(super) contacts: u32,
    /// The image that it was made from, where it is to become a template.
    #[serde(default)]
    pub(super) image: Option<Digest>,
    /// Nothing on its host tells it from another one, and nobody gets in any more.
    #[serde(default)]
    pub(super) clean: bool,
    /// It is a template.
    #[serde(default)]
    pub(super) template: bool,
    /// What of its cloud it is in.
    #[serde(default)]
    pub(super) around: Vec<CloudId>,
}

/// A hypervisor, as root has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Hypervisor {
    /// Kernel modules that are loaded.
    pub(super) modules: BTreeSet<String>,
    /// Lines that were written into containers' files, by the file.
    pub(super) files: BTreeMap<String, Vec<String>>,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            format: FORMAT,
            seed,
            draws: 0,
            worlds: 0,
            clock: 0,
            keys: BTreeMap::new(),
            places: BTreeSet::new(),
            offline: BTreeSet::new(),
            cut_off: false,
            machines: BTreeMap::new(),
            numbers: BTreeMap::new(),
            addresses: BTreeMap::new(),
            outside: None,
            doors: BTreeMap::new(),
            balanced: BTreeSet::new(),
            hypervisors: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            rigid: BTreeSet::new(),
            images: BTreeSet::new(),
            elsewhere: BTreeMap::new(),
            backup_jobs: BTreeMap::new(),
            resources: BTreeMap::new(),
            publics: 0,
            granted: BTreeSet::new(),
            strays: BTreeMap::new(),
            balancers: BTreeMap::new(),
            creating: BTreeMap::new(),
            cluster: Cluster::default(),
            saved: BTreeMap::new(),
            beside: BTreeMap::new(),
            ending: false,
            max_unavailable: 1,
            staying: BTreeSet::new(),
            systems: BTreeMap::new(),
            talos: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            applications: None,
            rooted: false,
            vault: None,
            breaches: Vec::new(),
            calls: BTreeMap::new(),
            faults: Vec::new(),
            mended: Vec::new(),
        }
    }

    /// The machine with this name, whosever it is.
    pub fn machine(&self, name: &NodeName) -> Option<&Machine> {
        self.machines.values().find_map(|machines| machines.get(name))
    }

    /// The machine with this name, to be changed.
    pub fn machine_mut(&mut self, name: &NodeName) -> Option<&mut Machine> {
        self.machines.values_mut().find_map(|machines| machines.get_mut(name))
    }

    /// The modules of the kernel that runs a host: a container has its hypervisor's.
    pub(super) fn modules(&self, name: &NodeName) -> &BTreeSet<String> {
        const NONE: &BTreeSet<String> = &BTreeSet::new();
        match self.machine(name) {
            Some(machine) if machine.lxc => {
                self.hypervisors.get(machine.seen.place.as_str()).map_or(NONE, |hypervisor| &hypervisor.modules)
            }
            Some(machine) => &machine.host.modules,
            None => NONE,
        }
    }

    /// The machine that has this address.
    pub(super) fn at(&self, address: IpAddr) -> Option<&NodeName> {
        self.addresses.get(&address)
    }

    /// A machine is there from now on.
    pub(super) fn put(&mut self, provider: &ProviderName, name: &NodeName, mut machine: Machine) {
        if let Some(version) = self.talos.get(name) {
            let interface = self.interfaces.get(name).map(String::as_str);
            machine.host.talos.get_or_insert_with(|| waiting(version, interface));
            machine.host.os = format!("Talos {}", version.bare());
        }
        if let Some(system) = self.systems.get(name) {
            machine.host.os.clone_from(system);
        }
        if let Some(vmid) = machine.seen.vmid {
            self.numbers.entry(provider.clone()).or_default().insert(vmid, name.clone());
        }
        if let Some(address) = machine.seen.address {
            self.addresses.insert(address, name.clone());
        }
        self.machines.entry(provider.clone()).or_default().insert(name.clone(), machine);
    }

    /// A machine is gone, and with it what its hypervisor held for it.
    pub(super) fn lose(&mut self, name: &NodeName, now: u64) -> bool {
        let lost: Vec<(ProviderName, Machine)> = self
            .machines
            .iter_mut()
            .filter_map(|(provider, machines)| Some((provider.clone(), machines.remove(name)?)))
            .collect();
        for (provider, machine) in &lost {
            // Its snapshots are on its disks.
            self.snapshots.get_mut(provider).and_then(|all| all.remove(name));
            let MachineSeen { vmid, address, place, .. } = &machine.seen;
            if let (Some(vmid), Some(numbers)) = (vmid, self.numbers.get_mut(provider)) {
                numbers.remove(vmid);
            }
            if let Some(address) = address.filter(|address| self.at(*address) == Some(name)) {
                self.addresses.remove(&address);
            }
            if let (Some(vmid), Some(hypervisor)) = (vmid, self.hypervisors.get_mut(place.as_str())) {
                hypervisor.files.remove(&container_file(*vmid));
            }
        }
        for (provider, _) in &lost {
            self.forget_target(provider, name);
        }
        if !lost.is_empty() {
            self.cluster.slept(name, now);
        }
        !lost.is_empty()
    }

    /// Images that no machine of ours was made from any more are deleted with the last one.
    pub(super) fn drop_images(&mut self) {
        let used: BTreeSet<&Digest> =
            self.machines.values().flatten().filter_map(|(_, machine)| machine.image.as_ref()).collect();
        self.images.retain(|image| used.contains(image));
    }

    pub(super) fn count(&mut self, call: &str) {
        match self.calls.get_mut(call) {
            Some(times) => *times += 1,
            None => drop(self.calls.insert(call.to_string(), 1)),
        }
    }

    pub(super) fn breach(&mut self, at: u64, what: impl Into<String>) {
        self.breaches.push(Breach { at, what: what.into() });
    }

    fn draw(&mut self) -> ChaCha8Rng {
        self.draws += 1;
        let mut chance = ChaCha8Rng::seed_from_u64(self.seed);
        chance.set_stream(self.draws);
        chance
    }

    /// A duration, give or take a seventh.
    pub(super) fn jitter(&mut self, milliseconds: u64) -> u64 {
        let spread = milliseconds / 7;
        if spread == 0 { milliseconds } else { self.draw().random_range(milliseconds - spread..=milliseconds + spread) }
    }

    pub(super) fn one_in(&mut self, many: u32) -> bool {
        self.draw().random_range(0..many) == 0
    }

    /// A fault of this kind that is not over, if it was set up.
    pub(super) fn fault(&mut self, kind: FaultKind) -> Option<&mut (Fault, Course)> {
        self.faults.iter_mut().find(|(fault, course)| fault.kind == kind && !course.over)
    }

    /// Whether a host that runs does not answer now, for a mishap on the way to it.
    pub(super) fn silent(&self, name: &NodeName, now: u64) -> bool {
        self.faults.iter().any(|(fault, course)| {
            fault.kind == FaultKind::Unreachable
                && !course.over
                && fault.target.as_ref() == Some(name)
                && course.since.is_some_and(|since| now < since + timing::UNREACHABLE)
        })
    }

    /// How much longer the line takes than it should.
    pub(super) fn line(&mut self) -> u64 {
        match self.fault(FaultKind::SlowLink) {
            Some((_, course)) => {
                course.met += 1;
                timing::SLOW_LINK
            }
            None => 1,
        }
    }

    /// Turns a machine on: what is enabled on it starts.
    pub(super) fn boot(&mut self, provider: &ProviderName, name: &NodeName, now: u64) {
        let vm = self.jitter(timing::BOOT_VM);
        let lxc = self.jitter(timing::BOOT_LXC);
        // What was about to start when the power went starts when it is back.
        if self.dark() && self.all_lose_power() {
            return;
        }
        let Some(machine) = self.machines.get_mut(provider).and_then(|machines| machines.get_mut(name)) else { return };
        let hypervisor = self.hypervisors.get(machine.seen.place.as_str());
        let lines = machine.seen.vmid.and_then(|vmid| hypervisor?.files.get(&container_file(vmid)).cloned());
        machine.seen.power = Power::Running;
        machine.seen.pending = false;
        machine.answers_at = now + if machine.lxc { lxc } else { vm };
        machine.raw = lines.unwrap_or_default();
        machine.raw.extend(machine.seen.settings.features().iter().map(|feature| format!("features: {feature}=1")));
        machine.host.units.values_mut().for_each(|unit: &mut UnitSeen| unit.active = unit.enabled);
        machine.containers = false;
        machine.boots += 1;
        machine.host.boot = None;
        let up = machine.answers_at;
        self.cluster.woke(name, up);
        self.wakes_with_certificates(name, up);
        self.wake(name);
    }

    /// The power goes and comes back: everything that time alone brings about.
    pub(super) fn pass(&mut self, now: u64) {
        self.renew(now);
        self.come_back(now);
        self.find_applications(now);
        let Some((_, course)) = self.fault(FaultKind::PowerCut) else { return };
        let Some(since) = course.since else { return };
        if course.met == 0 && now >= since + timing::UNTIL_POWER_CUT {
            course.met = 1;
            self.power_off();
        }
        let back = since + timing::UNTIL_POWER_CUT + timing::POWER_CUT;
        if now >= back {
            if let Some((_, course)) = self.fault(FaultKind::PowerCut) {
                course.over = true;
            }
            self.power_on(back);
        }
    }

    /// Whether the power of hosts that were there before us goes too: where a provider has machines, those have power of their
    /// own; where it has none, there is nobody else to lose it.
    pub(super) fn all_lose_power(&self) -> bool {
        self.machines.values().flat_map(|machines| machines.values()).all(|machine| machine.existing)
    }

    /// A power cut is on its way from now on, if one was set up.
    pub(super) fn power_will_go(&mut self, now: u64) {
        if let Some((_, course)) = self.fault(FaultKind::PowerCut) {
            course.since.get_or_insert(now);
        }
    }

    /// All machines are off that lose their power.
    pub(super) fn power_off(&mut self) {
        let all = self.all_lose_power();
        for machine in self.machines.values_mut().flat_map(|machines| machines.values_mut()) {
            if all || !machine.existing {
                machine.seen.power = Power::Stopped;
                machine.host.units.values_mut().for_each(|unit| unit.active = false);
            }
        }
    }

    /// One machine is shut down.
    pub(super) fn power_down(&mut self, provider: &ProviderName, name: &NodeName) {
        if let Some(machine) = self.machines.get_mut(provider).and_then(|machines| machines.get_mut(name)) {
            machine.seen.power = Power::Stopped;
            machine.host.units.values_mut().for_each(|unit| unit.active = false);
        }
    }

    /// One hypervisor goes offline, and with it what runs there; or it is back, and what starts with it does.
    pub(super) fn set_offline(&mut self, place: &PlaceName, offline: bool, now: u64) {
        if !offline {
            self.offline.remove(place);
            return self.power_on(now);
        }
        self.offline.insert(place.clone());
        let there = self.machines.iter().flat_map(|(provider, all)| all.iter().map(move |it| (provider, it)));
        let there: Vec<(ProviderName, NodeName)> = there
            .filter(|(_, (_, machine))| machine.seen.place == *place)
            .map(|(provider, (name, _))| (provider.clone(), name.clone()))
            .collect();
        there.iter().for_each(|(provider, name)| self.power_down(provider, name));
    }

    /// Hypervisors are on again: what starts with them does, and iron whose power is back.
    pub(super) fn power_on(&mut self, now: u64) {
        let machines = self
            .machines
            .iter()
            .flat_map(|(provider, machines)| machines.iter().map(move |(name, machine)| (provider, name, machine)));
        let wake: Vec<(ProviderName, NodeName)> = machines
            .filter(|(_, _, machine)| machine.existing || machine.seen.settings.on_boot())
            .filter(|(_, _, machine)| machine.seen.power == Power::Stopped)
            .filter(|(_, _, machine)| !self.offline.contains(&machine.seen.place))
            .map(|(provider, name, _)| (provider.clone(), name.clone()))
            .collect();
        wake.iter().for_each(|(provider, name)| self.boot(provider, name, now));
    }

    /// Whether the power is away now.
    pub(super) fn dark(&mut self) -> bool {
        self.fault(FaultKind::PowerCut).is_some_and(|(_, course)| course.met > 0)
    }

    pub(super) fn put_existing(&mut self, machine: &DesiredMachine, owner: &Owner) {
        if self.machines.get(&machine.provider).is_some_and(|there| there.contains_key(&machine.name)) {
            return;
        }
        let mut there = Machine::new(machine, owner);
        there.existing = true;
        there.seen.power = Power::Running;
        self.put(&machine.provider, &machine.name, there);
    }

    /// Somebody has loaded the kernel modules that Kubernetes needs in containers.
    pub(super) fn furnish_hypervisor(&mut self, place: &PlaceName) {
        let modules = ["br_netfilter", "nf_conntrack", "overlay"].map(String::from).into();
        self.hypervisors.insert(place.as_str().into(), Hypervisor { modules, ..Hypervisor::default() });
    }

    /// What is enabled on a machine has started; Kubernetes ends at once where it does not suit.
    fn wake(&mut self, name: &NodeName) {
        let Some(node) = self.cluster.nodes.get(name) else { return };
        let (unit, server) = (node.unit.clone(), node.server);
        self.give_marks(name, &unit);
        let suits = self.suits(name, server).is_ok();
        let Some(machine) = self.machine_mut(name) else { return };
        if let Some(there) = machine.host.units.get_mut(&unit).filter(|_| !suits) {
            there.active = false;
        }
        machine.containers = machine.runs(&unit);
    }

    pub(super) fn put_foreign(&mut self, provider: &ProviderName, place: &PlaceName, name: &NodeName, vmid: Vmid) {
        let seen = MachineSeen {
            owner: Owner("somebody-else".into()),
            place: place.clone(),
            vmid: Some(vmid),
            power: Power::Running,
            address: None,
            settings: [Setting::OnBoot(true)].into_iter().collect(),
            protected: false,
            pending: false,
            template: None,
            ha_of_ours: false,
            public: None,
        };
        self.put(provider, name, Machine::with(seen, false));
    }

    pub(super) fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (provider, machines) in &self.machines {
            let ours = machines.iter().filter(|(_, machine)| machine.seen.owner.0.as_str() != "somebody-else");
            for (name, machine) in ours {
                if !machine.existing {
                    left.push(format!("machine {name} at {provider}"));
                } else {
                    left.extend(machine.host.kubernetes.is_some().then(|| format!("Kubernetes on host {name}")));
                    left.extend(machine.before.keys().map(|key| format!("{key} on host {name}")));
                }
            }
        }
        left.extend(self.images.iter().map(|image| format!("the image {}", image.short())));
        left.extend(self.backup_jobs.keys().map(|provider| format!("the backup job at {provider}")));
        for (provider, balancers) in &self.balancers {
            left.extend(balancers.keys().map(|name| format!("load balancer {name} at {provider}")));
        }
        let marked =
            |seen: &&ResourceSeen| seen.owner.as_ref().is_some_and(|owner| owner.0.as_str() != "somebody-else");
        let resources = self.resources.iter().flat_map(|(at, all)| all.iter().filter(marked).map(move |it| (at, it)));
        left.extend(resources.map(|(provider, seen)| format!("{} at {provider}", seen.id())));
        for (name, hypervisor) in &self.hypervisors {
            left.extend(hypervisor.files.keys().map(|file| format!("lines in {file} on {name}")));
        }
        left
    }
}

/// The template of ours that a machine is cloned from.
fn origin(machine: &DesiredMachine) -> Option<Origin> {
    let Body::Vm(vm) = &*machine.body else { return None };
    let template = vm.template().filter(|template| template.built)?;
    Some(Origin { name: template.name.as_deref()?.into(), linked: template.linked })
}

/// The file of a container on its hypervisor.
pub(super) fn container_file(vmid: Vmid) -> String {
    format!("/etc/pve/lxc/{vmid}.conf")
}

impl Machine {
    pub(super) fn new(machine: &DesiredMachine, owner: &Owner) -> Self {
        let (container, storage) = match &*machine.body {
            Body::Lxc(lxc) => (true, Some(&lxc.storage)),
            Body::Vm(vm) => (false, Some(&vm.storage)),
            Body::Server(_) | Body::Existing | Body::Local => (false, None),
        };
        // What only root may give comes with the lines of the container's file.
        let bare = container.then(|| Setting::features(&[]));
        let mut settings: Settings =
            storage.map(|name| Setting::Storage(name.clone())).into_iter().chain(bare).collect();
        machine.settings().iter().for_each(|wish| settings.set(wish.clone()));
        let seen = MachineSeen {
            public: None,
            owner: owner.clone(),
            place: machine.place.clone(),
            vmid: machine.vmid,
            power: Power::Stopped,
            address: machine.address,
            settings,
            protected: false,
            pending: false,
            template: origin(machine),
            ha_of_ours: machine.ha.is_some(),
        };
        Self { around: State::around(machine), ..Self::with(seen, container) }
    }

    fn with(seen: MachineSeen, lxc: bool) -> Self {
        let host = HostSeen { os: "Debian 12".into(), arch: "amd64".into(), ..HostSeen::default() };
        Self {
            around: Vec::new(),
            seen,
            host,
            lxc,
            existing: false,
            answers_at: 0,
            raw: Vec::new(),
            texts: BTreeMap::new(),
            reads: BTreeMap::new(),
            before: BTreeMap::new(),
            containers: false,
            keys: None,
            certificates: None,
            boots: 0,
            waiting: BTreeSet::new(),
            contacts: 0,
            image: None,
            clean: false,
            template: false,
        }
    }

    /// A setting of it is another one from now on.
    pub(super) fn becomes(&mut self, wish: Setting) {
        if wish == Setting::Ha(false) {
            self.seen.ha_of_ours = false;
            self.seen.settings.unset(&wish);
            return self.seen.settings.unset(&Setting::HaGroup(String::new()));
        }
        self.seen.ha_of_ours |= wish == Setting::Ha(true);
        self.seen.settings.set(wish);
    }

    /// Everything that only one host may have is gone.
    pub(super) fn cleaned(&mut self) {
        self.clean = true;
        self.host.owner = None;
        self.reads.clear();
        self.before.clear();
    }

    /// A host is as its template was.
    pub(super) fn like(&mut self, template: &Self) {
        self.host = template.host.clone();
        self.texts.clone_from(&template.texts);
    }

    /// How it was started, as its host tells.
    pub(super) fn boot(&self) -> Boot {
        let wanted = self.host.boot.as_ref().and_then(|boot| boot.wanted.clone());
        Boot { id: format!("boot-{}", self.boots), wanted, awaits: None }
    }

    /// A package was upgraded. A kernel, or what every program holds open, is in force after the next start.
    pub(super) fn upgraded(&mut self, package: &str) {
        self.waiting.remove(package);
        if package.starts_with("linux-image") || package == "libc6" {
            let boot = self.host.boot.get_or_insert_default();
            boot.wanted = Some(format!("{package} upgraded"));
        }
    }

    /// Whether its host answers now.
    pub(super) fn answers(&self, now: u64) -> bool {
        self.seen.power == Power::Running && now >= self.answers_at
    }

    /// Whether this unit runs on it.
    pub(super) fn runs(&self, unit: &str) -> bool {
        self.seen.power == Power::Running && self.host.units.get(unit).is_some_and(|unit| unit.active)
    }

    /// Whether systemd takes the unit as started only when its program says so.
    pub(super) fn notifies(&self, unit: &str) -> bool {
        let text = self.texts.get(&format!("{UNITS}{unit}"));
        text.is_some_and(|text| text.lines().any(|line| line == "Type=notify"))
    }

    /// The digest of a file that is there.
    pub(super) fn file(&self, path: &str) -> Option<&Digest> {
        self.host.files.get(path).map(|file| &file.digest)
    }
}

impl Machine {
    /// A machine that nobody sees, for deeds on one that is gone in their middle.
    pub(super) fn nowhere() -> Self {
        let seen = MachineSeen {
            public: None,
            owner: Owner("nobody".into()),
            place: "nowhere".into(),
            vmid: None,
            power: Power::Stopped,
            address: None,
            settings: Settings::default(),
            protected: false,
            pending: false,
            template: None,
            ha_of_ours: false,
        };
        Self::with(seen, false)
    }
}
