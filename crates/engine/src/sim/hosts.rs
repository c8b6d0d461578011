//! Hosts over a pretend SSH: what is on them, and making it so.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kubewright_hosts::talos::where_to_look;
use kubewright_hosts::{
    Archive, DialError, Dialed, Hears, Holes, HostError, Hosts, Layer, Logs, Piece, Probe, Program, Report, WayIn,
};
use kubewright_model::desired::Way;
use kubewright_model::digest::Digest;
use kubewright_model::doctor::Papers;
use kubewright_model::facts::Updates;
use kubewright_model::host::{DownloadWish, FileWish, HostResource, Proof, UnitRun, UnitWish};
use kubewright_model::ids::{NodeName, PlaceName, Vmid};
use kubewright_model::net::HostPort;
use kubewright_model::observed::{FileSeen, HostSeen, KubernetesSeen, SHOWN_TEXT, Seen, UnitSeen, UserSeen, Why};
use kubewright_model::plan::HostChange;
use kubewright_model::programs::{KUBEADM, KUBEADM_ENCRYPTION};
use kubewright_model::recipe::Recipe;
use kubewright_model::rotation::{KeyPart, KeySeen};
use kubewright_model::setting::Setting;
use kubewright_model::text::Text;
use kubewright_model::version::Version;

use super::faults::FaultKind;
use super::network::HAPROXY;
use super::rancher::Kind;
use super::recipes::did_not_start;
use super::state::{Machine, State, UNITS};
use super::{DataCentre, before, keys, timing};
use crate::world::beside::{key_in, mark};

/// The folder whose files Kubernetes reads; their text is kept, so that what it would make of them is known.
const CONFIGURATION: &str = "/etc/rancher/";
/// The contact at which an unreachable host stops to answer: after it was seen once, in the middle of being set up.
const LAST_CONTACT: u32 = 2;

/// Hands on hosts.
pub(super) struct Ssh {
    pub(super) centre: DataCentre,
}

/// A hypervisor is reached by its name, a machine's host by its address.
pub(super) enum Reached {
    Hypervisor,
    Machine,
}

impl Ssh {
    pub(super) async fn reach(&self, host: &NodeName, way: &Way) -> Result<Reached, HostError> {
        self.centre.take(timing::LOOK).await;
        let reached = self.contact(host, way)?;
        if matches!(reached, Reached::Machine) {
            self.speaks(host, way)?;
        }
        Ok(reached)
    }

    pub(super) fn contact(&self, host: &NodeName, way: &Way) -> Result<Reached, HostError> {
        let now = self.centre.now();
        let mut state = self.centre.at_present();
        let unreachable =
            |why: &str| Err(HostError::Unreachable { host: host.clone(), layer: Layer::Tcp, why: why.into() });
        let away = |state: &State, name: &str| state.offline.contains(&PlaceName::new(name));
        let is_machine = way.address.is_some() && state.machine(host).is_some();
        if !is_machine && state.places.iter().any(|place| place.as_str() == host.as_str()) {
            return if state.dark() {
                unreachable("no route to host: the power is away")
            } else if away(&state, host.as_str()) {
                unreachable("no route to host")
            } else {
                Ok(Reached::Hypervisor)
            };
        }
        let (dark, all) = (state.dark(), state.all_lose_power());
        let Some(machine) = state.machine_mut(host) else { return unreachable("no route to host") };
        // From outside nobody reaches the addresses of a private network; whoever jumps is inside.
        let at = machine.seen.public.filter(|_| way.jump.is_none()).or(machine.seen.address);
        if at.is_some() && way.address.is_some() && at != way.address {
            return unreachable("nothing answers at this address");
        }
        if !machine.answers(now) || (dark && (all || !machine.existing)) {
            return unreachable("connection refused");
        }
        if machine.clean {
            return unreachable("Permission denied (publickey): it was cleaned");
        }
        state.knows_key_of(host, way).map_err(|why| keys::refused(host, why))?;
        let Some(machine) = state.machine_mut(host) else { return unreachable("no route to host") };
        machine.contacts += 1;
        let contacts = machine.contacts;
        if let Some((fault, course)) = state.fault(FaultKind::Unreachable) {
            let target = fault.target.get_or_insert_with(|| host.clone()) == host;
            if target && contacts >= LAST_CONTACT && now < *course.since.get_or_insert(now) + timing::UNREACHABLE {
                course.met += 1;
                return unreachable("connection timed out");
            }
        }
        Ok(Reached::Machine)
    }

    async fn hypervisor(&self, change: &HostChange) -> Result<bool, HostError> {
        self.centre.take(timing::SMALL).await;
        let mut state = self.centre.lock();
        let mut changed = false;
        for resource in &change.make {
            let made = match resource {
                HostResource::Module(name) => {
                    Ok(state.hypervisors.entry(change.host.clone()).or_default().modules.insert(name.clone()))
                }
                HostResource::Lines { path, lines } => state.write_lines(&change.host, path, lines),
                _ => Err("hypervisors take modules, and lines for their guests, and nothing else".to_string()),
            };
            changed |= made.map_err(|why| failed(&change.host, &resource.key(), why))?;
        }
        Ok(changed)
    }

    /// Where no machine is made, a power cut comes while hosts are set up.
    fn power_goes_while_hosts_change(&self) {
        let now = self.centre.now();
        let mut state = self.centre.lock();
        if state.all_lose_power() {
            state.power_will_go(now);
        }
    }

    /// Packages and downloads go over the line and need room.
    async fn fetch(&self, host: &NodeName, what: &str, takes: u64, from: &str) -> Result<(), HostError> {
        if self.centre.lock().cut_off && !from.starts_with("file:") {
            return Err(failed(host, what, format!("Could not resolve host: {from}")));
        }
        let line = self.centre.lock().line();
        self.centre.take(takes * line).await;
        let mut state = self.centre.lock();
        if let Some((fault, course)) = state.fault(FaultKind::DiskFull)
            && fault.target.get_or_insert_with(|| host.clone()) == host
        {
            course.met += 1;
            return Err(failed(host, what, "write error: No space left on device".into()));
        }
        Ok(())
    }

    async fn make(&self, host: &NodeName, resource: &HostResource, holes: &Holes) -> Result<bool, HostError> {
        if self.on(host, |machine| machine.has_talos()) {
            return self.make_talos(host, resource, holes).await;
        }
        match resource {
            HostResource::Package(name) => {
                if !self.on(host, |machine| machine.host.packages.contains(name)) {
                    self.fetch(host, &format!("apt-get install {name}"), timing::PACKAGE, "deb.debian.org").await?;
                    return Ok(self.on(host, |machine| machine.host.packages.insert(name.clone())));
                }
                Ok(false)
            }
            HostResource::Module(name) if self.on(host, |machine| machine.lxc) => {
                match self.centre.lock().modules(host).contains(name) {
                    true => Ok(false),
                    false => Err(failed(host, name, "it must be loaded by the hypervisor: this is a container".into())),
                }
            }
            HostResource::Download(wish) => self.download(host, wish).await,
            HostResource::Unit(unit) => {
                let content = unit.content.as_ref().map(|text| filled(host, text, holes)).transpose()?;
                let (ran, starts) = self.on(host, |machine| (machine.runs(&unit.name), starts(machine, unit)));
                if starts {
                    let now = self.centre.now();
                    let tried = self.centre.at_present().restarts(host, &unit.name, now);
                    tried.map_err(|why| did_not_start(host, &unit.name, &why))?;
                }
                let changed = self.on(host, |machine| place_unit(machine, host, unit, content.as_deref()))?;
                if starts {
                    self.restarted(host, &unit.name, ran, timing::CHANGE_TIMEOUT).await;
                }
                self.says_ready(host, &unit.name).await?;
                Ok(changed)
            }
            HostResource::File(file) => {
                let text = filled(host, &file.content, holes)?;
                Ok(self.on(host, |machine| write(machine, file, &text)))
            }
            other => Ok(self.on(host, |machine| set(&mut machine.host, other))),
        }
    }

    async fn download(&self, host: &NodeName, wish: &DownloadWish) -> Result<bool, HostError> {
        let key = HostResource::Download(wish.clone()).key();
        let mark = wish.artifact.mark().to_string();
        let there = |machine: &mut Machine| {
            let file = machine.host.files.get(&wish.path);
            let right = file.is_some_and(|file| match &wish.artifact.proof {
                Proof::Sha256(digest) => file.digest == *digest,
                Proof::Checksums { .. } => true,
            });
            let moded = file.is_some_and(|file| file.mode == wish.mode);
            right && moded && machine.host.settings.get(&key) == Some(&mark)
        };
        if self.on(host, there) {
            return Ok(false);
        }
        self.fetch(host, &format!("download of {}", wish.artifact.name), timing::DOWNLOAD, &wish.artifact.url).await?;
        Ok(self.on(host, |machine| {
            let digest = match &wish.artifact.proof {
                Proof::Sha256(digest) => digest.clone(),
                Proof::Checksums { .. } => wish.artifact.mark(),
            };
            let seen = FileSeen { digest, mode: wish.mode, owner: "root:root".into(), text: None };
            machine.host.files.insert(wish.path.clone(), seen);
            machine.host.settings.insert(key, mark);
            if let Some(version) = program(wish) {
                let joined = machine.host.kubernetes.take().is_some_and(|was| was.joined);
                let seen = KubernetesSeen { version: Some(version), joined, ..KubernetesSeen::default() };
                machine.host.kubernetes = Some(seen);
            }
            true
        }))
    }

    /// A unit that was restarted is back after a while, with the program that is there now. systemd waits for it only
    /// where it says when it is, and nobody waits longer than so many milliseconds.
    pub(super) async fn restarted(&self, host: &NodeName, unit: &str, ran: bool, at_most: u64) {
        let takes = {
            let now = self.centre.now();
            let mut state = self.centre.lock();
            let ready = state.starts_again(host, unit, ran, now);
            let notifies = state.machine(host).is_some_and(|machine| machine.notifies(unit));
            if notifies { (ready - now).min(at_most) } else { state.jitter(timing::UNIT) }
        };
        tokio::time::sleep(Duration::from_millis(takes)).await;
    }

    /// Does something with a host's machine; one that is gone meanwhile is as good as a new one that nobody sees.
    pub(super) fn on<T>(&self, host: &NodeName, work: impl FnOnce(&mut Machine) -> T) -> T {
        let mut state = self.centre.lock();
        match state.machine_mut(host) {
            Some(machine) => work(machine),
            None => work(&mut Machine::nowhere()),
        }
    }
}

#[async_trait]
impl Hosts for Ssh {
    async fn observe(&self, probe: Probe<'_>) -> Seen<HostSeen> {
        self.centre.lock().count("host look");
        match self.reach(probe.host, probe.way).await {
            Err(error) if probe.way.talos.is_some() => {
                Seen::Unknown(Why { help: Some(where_to_look(probe.way)), ..Why::from(error) })
            }
            Err(error) => Seen::Unknown(error.into()),
            Ok(Reached::Hypervisor) => {
                let state = self.centre.lock();
                let mut seen = HostSeen { os: "Proxmox VE 8".into(), arch: "amd64".into(), ..HostSeen::default() };
                let hypervisor = state.hypervisors.get(probe.host);
                for resource in probe.resources {
                    match (resource, hypervisor) {
                        (HostResource::Module(name), Some(there)) => {
                            seen.modules.extend(there.modules.get(name).cloned());
                        }
                        (HostResource::Lines { path, .. }, Some(there)) => {
                            seen.blocks.extend(there.files.get(path).map(|lines| (path.clone(), lines.clone())));
                        }
                        _ => {}
                    }
                }
                Seen::Present(seen)
            }
            Ok(Reached::Machine) => {
                let mut seen = {
                    let state = self.centre.lock();
                    let nowhere = Machine::nowhere();
                    let machine = state.machine(probe.host).unwrap_or(&nowhere);
                    let mut seen = asked_for(&machine.host, state.modules(probe.host), probe.resources);
                    seen.ours = before::ours(machine);
                    seen.boot = Some(machine.boot());
                    // Nobody fetches lists in a pretend world, so what waits is known at once.
                    let waiting = || Updates { waiting: machine.waiting.clone(), listed: None };
                    seen.updates = probe.updates.then(waiting);
                    seen
                };
                let now = self.centre.now();
                let state = self.centre.lock();
                if let (Some(kubernetes), Some(machine)) = (&mut seen.kubernetes, state.machine(probe.host)) {
                    kubernetes.serving = machine.serves();
                    kubernetes.starting = state.starting(probe.host, now);
                    kubernetes.begins = state.begins(machine);
                    kubernetes.under_way = machine.is_under_way();
                    kubernetes.may_vote = machine.may_vote();
                }
                state.talos_tells(probe.host, &mut seen, now);
                state.tells_certificates(probe.host, &mut seen, now);
                Seen::Present(seen)
            }
        }
    }

    async fn examine(&self, host: &NodeName, way: &Way) -> Seen<Papers> {
        self.centre.lock().count("host papers");
        match self.reach(host, way).await {
            Err(error) => Seen::Unknown(error.into()),
            Ok(Reached::Hypervisor) => Seen::Present(Papers::default()),
            Ok(Reached::Machine) if way.talos.is_some() => Seen::Present(Papers::default()),
            Ok(Reached::Machine) => Seen::Present(self.centre.lock().papers(host)),
        }
    }

    async fn change(&self, change: &HostChange, holes: &Holes) -> Result<Report, HostError> {
        self.centre.lock().count("host change");
        let changed = match self.reach(&change.host, &change.way).await? {
            Reached::Hypervisor => self.hypervisor(change).await?,
            Reached::Machine => {
                let mut changed = false;
                self.power_goes_while_hosts_change();
                let talos = self.on(&change.host, |machine| machine.has_talos());
                self.on(&change.host, |machine| before::belong(machine, change))?;
                for resource in &change.make {
                    // Talos is reset as a whole, so nothing of it is put back one by one.
                    self.on(&change.host, |machine| {
                        if !talos {
                            before::note(machine, resource)
                        }
                    });
                    changed |= self.make(&change.host, resource, holes).await?;
                }
                for key in &change.unmake {
                    self.centre.take(timing::SMALL).await;
                    changed |= self.on(&change.host, |machine| before::put_back(machine, key));
                }
                changed
            }
        };
        Ok(Report { changed, ..Report::default() })
    }

    async fn run(
        &self,
        host: &NodeName,
        way: &Way,
        recipe: &Recipe,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Report, HostError> {
        self.centre.lock().count("host recipe");
        let told = AtomicBool::new(false);
        self.reach(host, way).await?;
        self.run_steps(host, recipe, holes, &|message| {
            // What is waited for is told once, not at every look.
            if !told.swap(true, Ordering::Relaxed) {
                tell(message);
            }
        })
        .await
    }

    async fn exec(
        &self,
        host: &NodeName,
        way: &Way,
        program: &Program,
        hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        self.reach(host, way).await?;
        if way.talos.is_some() {
            return Err(failed(host, "running a program", "it runs Talos, which has no shell and no programs".into()));
        }
        hears(Piece::Out(format!("simulated, nothing runs: {}\n", program.words.join(" ")).as_bytes()));
        Ok(Some(0))
    }

    async fn logs(&self, host: &NodeName, way: &Way, logs: &Logs, hears: Hears<'_>) -> Result<(), HostError> {
        self.reach(host, way).await?;
        let told = self.on(host, |machine| {
            let word = |unit: &String| match machine.host.units.get(unit) {
                Some(seen) if seen.active => format!("simulated: {unit} runs, and logs nothing\n"),
                Some(_) => format!("simulated: {unit} does not run\n"),
                None => format!("simulated: there is no {unit}\n"),
            };
            logs.units.iter().map(word).collect::<String>()
        });
        hears(Piece::Out(told.as_bytes()));
        Ok(())
    }

    async fn take_in(
        &self,
        host: &NodeName,
        way: &Way,
        _archive: &Archive,
        _import: &[String],
        _hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        self.reach(host, way).await?;
        Err(failed(host, "taking images in", "it is simulated, and keeps no images".into()))
    }

    async fn way_in(&self, host: &NodeName, way: &Way) -> Result<WayIn, HostError> {
        self.reach(host, way).await?;
        Err(failed(host, "logging in", "it is simulated, and nobody is at home there".into()))
    }

    async fn key(&self, file: &str) -> Seen<KeySeen> {
        Seen::Present(self.centre.lock().key_seen(file))
    }

    async fn rotate_key(&self, file: &str, part: &KeyPart) -> Result<Report, HostError> {
        self.rekey(file, part).await
    }

    async fn reboot(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        self.centre.lock().count("host reboot");
        if matches!(self.reach(host, way).await?, Reached::Hypervisor) {
            return Err(failed(host, "reboot", "a hypervisor is not ours to start again".into()));
        }
        let now = self.centre.now();
        let mut state = self.centre.lock();
        let provider = state.machines.iter().find(|(_, all)| all.contains_key(host)).map(|(name, _)| name.clone());
        if let Some(provider) = provider {
            // It comes back whether anybody waits for it or not.
            state.goes_down(host, now);
            state.power_down(&provider, host);
            state.boot(&provider, host, now + timing::SHUT_DOWN);
        }
        Ok(())
    }

    async fn refresh(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        self.reach(host, way).await.map(drop)
    }

    async fn upgrade(&self, host: &NodeName, way: &Way) -> Result<Report, HostError> {
        self.centre.lock().count("host upgrade");
        if matches!(self.reach(host, way).await?, Reached::Hypervisor) || way.talos.is_some() {
            return Err(failed(
                host,
                "upgrading the packages",
                "there is no apt-get, dnf or zypper on this host".into(),
            ));
        }
        let waiting = self.on(host, |machine| machine.waiting.clone());
        for package in &waiting {
            self.fetch(host, &format!("apt-get upgrade {package}"), timing::PACKAGE, "deb.debian.org").await?;
            self.on(host, |machine| machine.upgraded(package));
        }
        Ok(Report { changed: !waiting.is_empty(), ..Report::default() })
    }

    async fn dial(&self, host: &NodeName, way: &Way, at: &HostPort) -> Result<Dialed, DialError> {
        self.knock(host, way, at).await
    }
}

impl State {
    /// Writes lines into a container's file. The file is the container's: it comes and goes with it.
    fn write_lines(&mut self, hypervisor: &NodeName, path: &str, lines: &[String]) -> Result<bool, String> {
        let vmid =
            path.strip_prefix("/etc/pve/lxc/").and_then(|file| file.strip_suffix(".conf")?.parse().ok()).map(Vmid);
        let vmid = vmid.ok_or("only files of containers are written")?;
        let numbered = self.numbers.values().filter_map(|numbers| numbers.get(&vmid));
        let here = |name: &&NodeName| {
            self.machine(name).is_some_and(|there| there.lxc && there.seen.place.as_str() == hypervisor.as_str())
        };
        let name = numbered.into_iter().find(here).cloned();
        let container = name.and_then(|name| self.machine_mut(&name));
        let container = container.ok_or_else(|| format!("{path}: No such file or directory"))?;
        if let Some(features) = lines.iter().find_map(|line| line.strip_prefix("features: ")) {
            let features = features.split(',').filter_map(|feature| feature.strip_suffix("=1"));
            let features: Vec<String> = features.map(String::from).collect();
            container.seen.settings.set(Setting::features(&features));
        }
        let files = &mut self.hypervisors.entry(hypervisor.clone()).or_default().files;
        Ok(files.insert(path.to_string(), lines.to_vec()).as_deref() != Some(lines))
    }
}

/// The version of Kubernetes that a download brings, if it is its program.
fn program(wish: &DownloadWish) -> Option<Version> {
    Kind::of(&wish.path, Kind::binary)?;
    wish.artifact.name.rsplit_once(' ')?.1.parse().ok()
}

/// What was asked for, and no more: a probe asks for what it needs.
pub(super) fn asked_for(truth: &HostSeen, modules: &BTreeSet<String>, resources: &[HostResource]) -> HostSeen {
    let mut seen = HostSeen {
        os: truth.os.clone(),
        arch: truth.arch.clone(),
        clock_skew: truth.clock_skew,
        kubernetes: truth.kubernetes.clone(),
        owner: truth.owner.clone(),
        facts: truth.facts.clone(),
        talos: truth.talos.clone(),
        certificates: truth.certificates.clone(),
        ..HostSeen::default()
    };
    for resource in resources {
        let key = resource.key();
        if let Some(setting) = truth.settings.get(&key) {
            seen.settings.insert(key, setting.clone());
        }
        match resource {
            HostResource::Package(name) => seen.packages.extend(truth.packages.get(name).cloned()),
            HostResource::Module(name) => seen.modules.extend(modules.get(name).cloned()),
            HostResource::Sysctl { key, .. } => {
                seen.sysctls.extend(truth.sysctls.get(key).map(|value| (key.clone(), value.clone())));
            }
            HostResource::File(FileWish { path, content, .. }) => {
                let there = truth.files.get(path).cloned().map(|file| {
                    let text = file.text.filter(|_| content.digest().is_some_and(|wanted| wanted != file.digest));
                    (path.clone(), FileSeen { text, ..file })
                });
                seen.files.extend(there);
            }
            HostResource::Download(wish) => {
                let there = truth.files.get(&wish.path);
                // What program it is, and of which version, only the program says.
                if there.is_none() && program(wish).is_some() {
                    seen.kubernetes.iter_mut().for_each(|kubernetes| kubernetes.version = None);
                }
                seen.files.extend(there.map(|file| (wish.path.clone(), file.clone())));
            }
            HostResource::Block { path, .. } | HostResource::Lines { path, .. } => {
                seen.blocks.extend(truth.blocks.get(path).map(|lines| (path.clone(), lines.clone())));
            }
            HostResource::HostsEntries(_) => {
                let path = "/etc/hosts".to_string();
                seen.blocks.extend(truth.blocks.get(&path).map(|lines| (path, lines.clone())));
            }
            HostResource::Link { path, .. } => {
                seen.links.extend(truth.links.get(path).map(|target| (path.clone(), target.clone())));
            }
            HostResource::Unit(unit) => {
                seen.units.extend(truth.units.get(&unit.name).map(|there| (unit.name.clone(), there.clone())));
            }
            HostResource::User(user) => {
                seen.users.extend(truth.users.get(&user.name).map(|there| (user.name.clone(), there.clone())));
            }
            HostResource::Repository(_)
            | HostResource::Hold(_)
            | HostResource::Directory(_)
            | HostResource::Hostname(_)
            | HostResource::Timezone(_)
            | HostResource::Locale(_)
            | HostResource::SwapOff
            | HostResource::TimeSync
            | HostResource::SshDaemon(_)
            | HostResource::TalosImage(_)
            | HostResource::MachineConfig(_) => {}
        }
    }
    seen
}

/// Makes a plain resource true; returns whether it was not.
fn set(host: &mut HostSeen, resource: &HostResource) -> bool {
    match resource {
        HostResource::Module(name) => host.modules.insert(name.clone()),
        HostResource::Sysctl { key, value } => host.sysctls.insert(key.clone(), value.clone()).as_ref() != Some(value),
        HostResource::Block { path, lines } | HostResource::Lines { path, lines } => {
            host.blocks.insert(path.clone(), lines.clone()).as_ref() != Some(lines)
        }
        HostResource::HostsEntries(entries) => {
            let lines: Vec<String> = entries.iter().map(|entry| entry.line()).collect();
            host.blocks.insert("/etc/hosts".into(), lines.clone()) != Some(lines)
        }
        HostResource::Link { path, target } => host.links.insert(path.clone(), target.clone()).as_ref() != Some(target),
        HostResource::User(user) => {
            let wished = UserSeen::from(user);
            host.users.insert(user.name.clone(), wished.clone()) != Some(wished)
        }
        other => match other.setting() {
            Some(value) => host.settings.insert(other.key(), value.clone()) != Some(value),
            None => false,
        },
    }
}

pub(super) fn write(machine: &mut Machine, file: &FileWish, text: &str) -> bool {
    let shown = file.content.is_complete() && file.mode.0 & 0o004 != 0 && text.len() <= SHOWN_TEXT;
    let seen = FileSeen {
        digest: Digest::of(text),
        mode: file.mode,
        owner: file.owner.clone(),
        text: shown.then(|| text.to_string()),
    };
    if file.path.starts_with(CONFIGURATION) && file.content.holes().all(|hole| !hole.as_str().starts_with("secret/")) {
        machine.texts.insert(file.path.clone(), text.to_string());
    }
    if file.path.strip_prefix(KUBEADM.data).is_some_and(|path| path.trim_start_matches('/') == KUBEADM_ENCRYPTION) {
        machine.texts.extend(key_in(text).map(|key| (file.path.clone(), mark(key))));
    }
    if file.path == HAPROXY {
        // Its password is told by its name.
        machine.texts.insert(file.path.clone(), file.content.to_string());
    }
    machine.host.files.insert(file.path.clone(), seen.clone()) != Some(seen)
}

/// What a unit read when it started, as we wrote it down.
fn noted(machine: &Machine, unit: &UnitWish) -> Option<Digest> {
    let there = machine.host.units.get(&unit.name);
    there.and_then(|there| there.reads.clone()).or_else(|| machine.reads.get(&unit.name).cloned())
}

/// Whether a unit that is set up is started or restarted with it.
fn starts(machine: &mut Machine, unit: &UnitWish) -> bool {
    let noted = noted(machine, unit);
    let should_run = unit.run != UnitRun::ByRecipe || noted.is_some();
    let active = machine.host.units.get(&unit.name).is_some_and(|there| there.active);
    let fresh = noted.as_ref() == Some(&unit.reads);
    should_run && (!active || (!fresh && unit.run != UnitRun::Oneshot))
}

/// The packages that bring a unit: one that is called like it, but for the daemon of iSCSI.
fn packages_with(unit: &str) -> impl Iterator<Item = &str> {
    let others: &[&str] = match unit {
        "iscsid.service" => &["open-iscsi", "iscsi-initiator-utils"],
        _ => &[],
    };
    std::iter::once(unit.trim_end_matches(".service")).chain(others.iter().copied())
}

/// Writes a unit's file, enables it, and sees to it that it runs as wished. Returns whether anything changed.
fn place_unit(
    machine: &mut Machine,
    host: &NodeName,
    unit: &UnitWish,
    content: Option<&str>,
) -> Result<bool, HostError> {
    let there = machine.host.units.get(&unit.name).cloned();
    if content.is_none() && there.is_none() && !packages_with(&unit.name).any(|it| machine.host.packages.contains(it)) {
        return Err(failed(
            host,
            &unit.name,
            format!("Failed to enable unit: Unit file {} does not exist.", unit.name),
        ));
    }
    let noted = noted(machine, unit);
    let starts = starts(machine, unit);
    let should_run = unit.run != UnitRun::ByRecipe || noted.is_some();
    let was_active = there.as_ref().is_some_and(|there| there.active);
    let now = UnitSeen {
        content: content.map(Digest::of),
        enabled: unit.enabled && should_run,
        active: was_active || should_run,
        reads: if starts { Some(unit.reads.clone()) } else { noted },
    };
    if let Some(reads) = &now.reads {
        machine.reads.insert(unit.name.clone(), reads.clone());
    }
    if let Some(content) = content {
        machine.texts.insert(format!("{UNITS}{}", unit.name), content.to_string());
    }
    let changed = there.as_ref() != Some(&now);
    machine.host.units.insert(unit.name.clone(), now);
    Ok(changed)
}

/// A text with its holes filled.
pub(super) fn filled(host: &NodeName, text: &Text, holes: &Holes) -> Result<String, HostError> {
    text.fill(|name| holes.get(name).map(|value| value.expose().as_str()))
        .map_err(|hole| HostError::Hole { host: host.clone(), hole })
}

pub(super) fn failed(host: &NodeName, what: &str, why: String) -> HostError {
    HostError::Failed { host: host.clone(), what: what.to_string(), why, log: Vec::new() }
}
