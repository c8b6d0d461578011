//! What a recipe's steps do on a pretend host: files, commands, and a unit of Kubernetes that starts or refuses to.

use std::time::Duration;

use kubewright_hosts::{Holes, HostError, Report};
use kubewright_model::bundle::KEYS;
use kubewright_model::digest::Digest;
use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use kubewright_model::observed::UnitSeen;
use kubewright_model::recipe::{Effect, Recipe, RecipeStep};
use kubewright_model::rotation::Rotation;
use kubewright_model::secret::Secret;
use kubewright_model::units::Span;

use super::faults::FaultKind;
use super::hosts::{Ssh, failed, filled, write};
use super::kubeadm::{AUTHORITY, KUBELET, OURS, told};
use super::kubernetes::Node;
use super::network::Door;
use super::rancher::{Config, Kind, Marks, PASSWORD, kubeconfig};
use super::saved::{RESET_TO, leaves_alone};
use super::state::{Machine, State};
use super::timing;

/// Between two looks at something that a recipe waits for.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

type Tell<'t> = &'t (dyn Fn(String) + Send + Sync);

impl Ssh {
    pub(super) async fn run_steps(
        &self,
        host: &NodeName,
        recipe: &Recipe,
        holes: &Holes,
        tell: Tell<'_>,
    ) -> Result<Report, HostError> {
        for step in &recipe.steps {
            match step {
                RecipeStep::Write(file) => {
                    let text = filled(host, &file.content, holes)?;
                    self.centre.take(timing::SMALL).await;
                    self.on(host, |machine| {
                        write(machine, file, &text);
                        if file.path.starts_with(OURS) {
                            machine.texts.extend(told(&file.content, holes).map(|text| (file.path.clone(), text)));
                        }
                    });
                }
                RecipeStep::Remove(path) => {
                    self.centre.take(timing::SMALL).await;
                    self.on(host, |machine| remove(machine, path));
                }
                RecipeStep::Run(command) => self.command(host, recipe, command).await?,
                RecipeStep::Start { unit, reads } if unit == KUBELET => self.kubelet_stays(host, reads).await?,
                RecipeStep::Start { unit, reads } => self.enter(host, recipe, unit, reads).await?,
                RecipeStep::Restart { unit, reads } => self.restart(host, recipe, unit, reads).await?,
                RecipeStep::Stop { unit } => self.stop(host, recipe, unit).await,
                RecipeStep::Bring { .. } => self.centre.take(timing::SNAPSHOT).await,
                RecipeStep::Send { to, with } => self.takes_back(host, to, with.is_some(), holes).await?,
                RecipeStep::Talos(call) => self.talos_call(host, recipe, call, holes, tell).await?,
                RecipeStep::Until { command, what, timeout, .. } => {
                    self.until(host, recipe, command, what, *timeout, tell).await?;
                }
            }
        }
        if recipe.effect == Effect::Clean {
            self.on(host, Machine::cleaned);
        }
        if recipe.effect == Effect::Leave {
            let now = self.centre.now();
            let mut state = self.centre.lock();
            if state.machine(host).is_some_and(|machine| machine.containers) {
                state.breach(now, format!("{host} has left, and its containers run on"));
            }
            state.end_cluster_without_servers();
        }
        if recipe.steps.iter().any(|step| matches!(step, RecipeStep::Talos(_))) {
            let mut report = self.talos_ran(host, recipe)?;
            report.gave.extend(self.saves(host, recipe));
            return Ok(report);
        }
        let mut gave = self.gives(host, recipe, holes)?;
        gave.extend(self.saves(host, recipe));
        Ok(Report { changed: true, gave, told: Vec::new() })
    }

    async fn stop(&self, host: &NodeName, recipe: &Recipe, unit: &str) {
        if recipe.effect == Effect::Leave {
            let now = self.centre.now();
            self.centre.lock().may_stop_for_good(host, now);
        }
        self.centre.take(timing::UNIT).await;
        self.on(host, |machine| {
            machine.reads.remove(unit);
            if let Some(unit) = machine.host.units.get_mut(unit) {
                *unit = UnitSeen { content: unit.content.clone(), enabled: false, active: false, reads: None };
            }
        });
    }

    async fn command(&self, host: &NodeName, recipe: &Recipe, command: &[String]) -> Result<(), HostError> {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        self.centre.take(timing::SMALL).await;
        match words.as_slice() {
            [] => Err(failed(host, "an empty command", "there is nothing to run".into())),
            ["systemctl", "disable", .., unit] if self.on(host, |machine| !machine.host.units.contains_key(*unit)) => {
                Err(failed(host, &words.join(" "), format!("Unit file {unit} does not exist.")))
            }
            [program, ..] if program.starts_with("/usr/local/bin/") => {
                if self.on(host, |machine| machine.file(program).is_none()) {
                    return Err(failed(host, program, "No such file or directory".into()));
                }
                let now = self.centre.now();
                if let Err(why) = self.centre.at_present().api(now) {
                    return Err(failed(host, &words.join(" "), why));
                }
                self.centre.take(timing::SNAPSHOT).await;
                Ok(())
            }
            ["/bin/sh", "-c", script] if recipe.effect == Effect::Turn => self.turns(host, recipe, script).await,
            ["/bin/sh", "-c", script] if recipe.effect == Effect::Follow => self.follows(host, recipe, script).await,
            ["/bin/sh", "-c", script] if recipe.effect == Effect::Renew => self.renews(host, recipe, script).await,
            ["/bin/sh", "-c", script] if script.contains("containerd-shim") => {
                self.on(host, |machine| machine.containers = false);
                Ok(())
            }
            ["/bin/sh", "-c", script] if script.contains("etcd-snapshot save") => {
                let now = self.centre.now();
                let serves = self.centre.at_present().api(now);
                serves.map_err(|why| failed(host, "etcd-snapshot save", why))?;
                self.centre.take(timing::SNAPSHOT).await;
                Ok(())
            }
            ["/bin/sh", "-c", script] if script.contains("/kubewright-before") => {
                self.on(host, |machine| {
                    machine.texts.remove(RESET_TO);
                    machine.host.kubernetes.iter_mut().for_each(|kubernetes| kubernetes.joined = false);
                });
                Ok(())
            }
            ["/bin/sh", "-c", script] if script.contains("--cluster-reset") => self.resets_etcd(host, script).await,
            ["/bin/sh", "-c", script] if leaves_alone(script) => {
                self.centre.lock().alone(host);
                Ok(())
            }
            ["/bin/sh", "-c", script] => self.kubeadm_script(host, recipe, script).await.unwrap_or(Ok(())),
            ["systemctl", "restart", unit] if recipe.effect == Effect::Mend => self.mends(host, unit, true).await,
            ["systemctl", "start", "--no-block", unit] if recipe.effect == Effect::Mend => {
                self.mends(host, unit, false).await
            }
            // systemd itself is on every host.
            _ => Ok(()),
        }
    }

    /// A unit is started by a repair. Who waits for a server that is alone waits as long as anybody does: it says that it is
    /// ready only when a majority of etcd is there.
    async fn mends(&self, host: &NodeName, unit: &str, waits: bool) -> Result<(), HostError> {
        let now = self.centre.now();
        let tried = self.centre.at_present().restarts(host, unit, now);
        tried.map_err(|why| did_not_start(host, unit, &why))?;
        let ran = self.on(host, |machine| machine.runs(unit));
        self.on(host, |machine| machine.host.units.get_mut(unit).map(|unit| unit.active = true));
        if !waits {
            self.centre.lock().starts_again(host, unit, ran, now);
            return Ok(());
        }
        self.restarted(host, unit, ran, timing::CHANGE_TIMEOUT).await;
        let now = self.centre.now();
        if self.centre.at_present().is_alone(host, unit, now) {
            self.centre.take(timing::CHANGE_TIMEOUT).await;
            return Err(did_not_start(host, unit, "etcd has no majority"));
        }
        Ok(())
    }

    /// A unit of Kubernetes starts for the first time: as the first server, a further one, or an agent.
    async fn enter(&self, host: &NodeName, recipe: &Recipe, unit: &str, reads: &Digest) -> Result<(), HostError> {
        let starts = |why: String| did_not_start(host, unit, &why);
        let now = self.centre.now();
        let takes = {
            let mut state = self.centre.at_present();
            match state.machine(host).and_then(|machine| machine.host.units.get(unit)) {
                None => return Err(starts(format!("Unit {unit} not found"))),
                Some(unit) if unit.active && unit.reads.is_some() => 0,
                Some(_) => {
                    let takes = state.begin(host, recipe, unit, now).map_err(starts)?;
                    let takes = state.jitter(takes);
                    state.started(host, recipe, unit, reads, now + takes);
                    takes
                }
            }
        };
        tokio::time::sleep(Duration::from_millis(takes)).await;
        Ok(())
    }

    async fn restart(&self, host: &NodeName, recipe: &Recipe, unit: &str, reads: &Digest) -> Result<(), HostError> {
        let now = self.centre.now();
        {
            let mut state = self.centre.at_present();
            let version = state.machine(host).and_then(|machine| machine.host.kubernetes.as_ref()?.version.clone());
            if recipe.version.is_some() && version != recipe.version {
                let why = format!("the program on the host is {version:?}");
                return Err(failed(host, &format!("systemctl restart {unit}"), why));
            }
            state.restarts(host, unit, now).map_err(|why| did_not_start(host, unit, &why))?;
        }
        let ran = self.on(host, |machine| {
            let ran = machine.runs(unit);
            machine.reads.insert(unit.to_string(), reads.clone());
            if let Some(unit) = machine.host.units.get_mut(unit) {
                unit.active = true;
                unit.reads = Some(reads.clone());
            }
            ran
        });
        self.restarted(host, unit, ran, timing::RESTART_TIMEOUT).await;
        Ok(())
    }

    async fn until(
        &self,
        host: &NodeName,
        recipe: &Recipe,
        command: &[String],
        what: &str,
        timeout: Span,
        tell: Tell<'_>,
    ) -> Result<(), HostError> {
        let deadline = self.centre.now() + u64::try_from(timeout.duration().as_millis()).unwrap_or(u64::MAX);
        loop {
            let now = self.centre.now();
            let why = self.centre.at_present().shows(host, recipe, command, now);
            let Err(why) = why else { return Ok(()) };
            if now >= deadline {
                let log = vec![format!("level=error msg=\"{why}\"")];
                let what = format!("waiting until {what}");
                return Err(HostError::Failed { host: host.clone(), what, why: format!("not within {timeout}"), log });
            }
            tell(format!("waiting until {what}: {why}"));
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until a unit of Kubernetes says that it is ready, which one does that was restarted before we came too.
    pub(super) async fn says_ready(&self, host: &NodeName, unit: &str) -> Result<(), HostError> {
        let deadline = self.centre.now() + timing::CHANGE_TIMEOUT;
        loop {
            let now = self.centre.now();
            let starting = {
                let state = self.centre.at_present();
                let ours = state.cluster.nodes.get(host).is_some_and(|node| node.unit == unit);
                ours && state.starting(host, now)
            };
            if !starting {
                return Ok(());
            }
            if now >= deadline {
                return Err(did_not_start(host, unit, "etcd is not ready"));
            }
            tokio::time::sleep(Duration::from_millis(timing::UNIT)).await;
        }
    }

    /// Values that a recipe leaves on the host.
    fn gives(&self, host: &NodeName, recipe: &Recipe, holes: &Holes) -> Result<Holes, HostError> {
        let now = self.centre.now();
        let mut gave = Holes::new();
        for output in &recipe.gives {
            let kind = self.on(host, |machine| Kind::on(machine));
            if output.hole.as_str() == KEYS {
                gave.insert(output.hole.clone(), self.keys(host)?);
                continue;
            }
            if recipe.effect == Effect::Turn {
                let made = format!("{} that {host} has made", output.hole);
                gave.insert(output.hole.clone(), Secret::new(made));
                continue;
            }
            let known = output.file == kind.kubeconfig() || output.file == AUTHORITY && kind == Kind::Kubeadm;
            if !known || !self.centre.at_present().serves(host, now) {
                return Err(failed(host, &output.file, "No such file or directory".into()));
            }
            let mut text = kubeconfig(host);
            if let Some(endpoint) = self.centre.lock().kubeadm_endpoint() {
                text = text.replace("127.0.0.1:6443", endpoint);
            }
            for (from, to) in &output.replace {
                text = text.replace(from, &filled(host, to, holes)?);
            }
            gave.insert(output.hole.clone(), Secret::new(text));
        }
        Ok(gave)
    }
}

impl State {
    /// Whether what a recipe waits for is there, and why not: that a unit is ready, that the server itself serves, that the
    /// books hold the node as Ready with the new version, or a file that an agent gets when it is let in.
    fn shows(&self, host: &NodeName, recipe: &Recipe, command: &[String], now: u64) -> Result<(), String> {
        let machine = self.machine(host).ok_or("the machine is gone")?;
        if !machine.answers(now) {
            return Err("the host stopped to answer".into());
        }
        let node = self.cluster.nodes.get(host);
        let is = |holds: bool, not_yet: &str| if holds { Ok(()) } else { Err(not_yet.to_string()) };
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["systemctl", "is-active", .., unit] => is(machine.runs(unit) && !self.starting(host, now), "it starts"),
            [.., "get", "node", _, "-o", "name"] => {
                self.api(now).and_then(|()| self.kubelet_is_known(host, now)).and_then(|()| self.ready(host, now))
            }
            [.., "/readyz"] => is(self.serves(host, now), "the API server starts").and_then(|()| self.api(now)),
            ["/bin/sh", "-c", script] if script.contains("All hashes match") => self
                .api(now)
                .and_then(|()| is(self.agree(Rotation::EncryptionKeys), "hash does not match between servers")),
            ["/bin/sh", ..] => self
                .api(now)
                .and_then(|()| self.ready(host, now))
                .and_then(|()| is(node.map(|node| &node.version) == recipe.version.as_ref(), "the kubelet starts")),
            _ => is(node.is_some_and(|node| machine.runs(&node.unit)), "the unit failed"),
        }
    }

    /// Whether Kubernetes starts here in this role, and how long that takes; what it refuses it says why.
    fn begin(&mut self, host: &NodeName, recipe: &Recipe, _unit: &str, now: u64) -> Result<u64, String> {
        let config = self.suits(host, recipe.effect != Effect::JoinAgent)?;
        let token = self.machine(host).and_then(|machine| machine.file(&config.kind.token()).cloned());
        match recipe.effect {
            Effect::Init | Effect::Restore => {
                if let Some(holder) = self.holder() {
                    self.breach(now, format!("{host} was to begin a second cluster beside that of {holder}"));
                    return Err(format!("{holder} holds this cluster's data already"));
                }
                if let Some(server) = config.text("server") {
                    return Err(format!("failed to get CA certs: {server}: connection refused"));
                }
                self.cluster = super::kubernetes::Cluster {
                    begun: true,
                    etcd: config.etcd(),
                    token,
                    agent_token: self.machine(host).and_then(|machine| config.agent_token(machine)),
                    wants_network: config.wants_network(),
                    critical: config.critical(),
                    namespaces: ["default", "kube-system", "kube-public", "kube-node-lease"].map(Into::into).into(),
                    ..Default::default()
                };
                if recipe.effect == Effect::Restore {
                    let saved = self.reset_to(host)?;
                    if saved.token != self.cluster.token {
                        return Err("bootstrap data already found and encrypted with different token".into());
                    }
                    self.is_again(host, saved, now);
                }
                Ok(timing::INIT)
            }
            Effect::JoinServer => {
                if self.machine(host).and_then(|it| it.host.kubernetes.as_ref()).is_some_and(|it| it.joined) {
                    self.breach(now, format!("{host} was to join with the data of another cluster on its disk"));
                    return Err("a datastore is there already: it starts with that, and joins nobody".into());
                }
                let agents = self.machine(host).and_then(|machine| config.agent_token(machine));
                let right = token == self.cluster.token && agents == self.cluster.agent_token;
                self.join_server(host, &config, right, now)
            }
            Effect::JoinAgent => {
                self.let_in(host, &config, token == self.cluster.agent_token, now)?;
                Ok(timing::JOIN_AGENT)
            }
            effect => Err(format!("nothing starts for the first time in {effect:?}")),
        }
    }

    fn join_server(&mut self, host: &NodeName, config: &Config, right: bool, now: u64) -> Result<u64, String> {
        self.let_in(host, config, right, now)?;
        if !self.cluster.etcd {
            self.breach(now, format!("{host} was to join a control plane whose data are in SQLite"));
            return Err("the cluster's datastore takes no second server".into());
        }
        if config.critical() != self.cluster.critical {
            return Err("failed to validate server configuration: critical configuration value mismatch".into());
        }
        if let Some((learner, _)) = self.cluster.members.iter().find(|(_, votes_at)| now < **votes_at) {
            let message = format!("{host} was to join etcd while {learner} joined");
            self.breach(now, message);
            return Err("etcdserver: too many learner members in cluster".into());
        }
        Ok(timing::JOIN_SERVER)
    }

    /// A server that holds the cluster's data. Where the cluster is to end, only one that runs does.
    pub(super) fn holder(&self) -> Option<NodeName> {
        let holds = |name: &&NodeName| {
            let node = self.cluster.nodes.get(*name);
            self.machine(name).is_some_and(|machine| match self.ending {
                true => node.is_some_and(|node| machine.runs(&node.unit)),
                false => machine.host.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.joined),
            })
        };
        self.cluster.servers.iter().find(holds).cloned()
    }

    /// What a server asks of anybody who wants to be let in, with the right token or another one.
    fn let_in(&mut self, host: &NodeName, config: &Config, right: bool, now: u64) -> Result<(), String> {
        if let Err(why) = self.api(now) {
            self.breach(now, format!("{host} was to join before there is a server: {why}"));
            return Err(format!("failed to get CA certs: {why}"));
        }
        let Some(server) = config.text("server") else {
            // A server of RKE2 takes that for a wish.
            self.breach(now, format!("{host} was to join, and nothing says which cluster"));
            return Err("--server is required".into());
        };
        if !server.starts_with("https://") {
            return Err(format!("`{server}` is no https URL"));
        }
        // Who has not started again since then lets in with the old one.
        if !right || !self.agree(Rotation::JoinToken) {
            return Err("not authorized: invalid token".into());
        }
        let at: HostPort = server.trim_start_matches("https://").parse().map_err(|why| format!("{server}: {why}"))?;
        self.reaches(Door::Registration, &at, now).map_err(|why| format!("failed to get CA certs: {server}: {why}"))?;
        let known = self.cluster.nodes.contains_key(host);
        let remembers = self.machine(host).is_some_and(|machine| machine.texts.contains_key(PASSWORD));
        if known && !remembers {
            self.breach(now, format!("{host} was to join while the books still hold another of its name"));
            return Err("Node password rejected, duplicate hostname".into());
        }
        Ok(())
    }

    /// Writes the new member into the books.
    fn started(&mut self, host: &NodeName, recipe: &Recipe, unit: &str, reads: &Digest, serves_at: u64) {
        let server = recipe.effect.begins() || recipe.effect == Effect::JoinServer;
        let Some(machine) = self.machine_mut(host) else { return };
        let marks = Config::read(machine).map(|config| config.marks()).unwrap_or_default();
        let there = machine.host.units.get(unit);
        let content = there.and_then(|there| there.content.clone());
        let seen = UnitSeen { content, enabled: true, active: true, reads: Some(reads.clone()) };
        machine.host.units.insert(unit.to_string(), seen);
        machine.reads.insert(unit.to_string(), reads.clone());
        machine.texts.insert(PASSWORD.into(), String::new());
        machine.containers = true;
        let version = machine.host.kubernetes.as_mut().and_then(|kubernetes| {
            kubernetes.joined = true;
            kubernetes.version.clone()
        });
        let Some(version) = version.or_else(|| recipe.version.clone()) else { return };
        let given = marks.told();
        let Marks { mut labels, taints } = marks;
        labels.insert("kubernetes.io/hostname".into(), host.to_string());
        let slow = if self.fault(FaultKind::SlowLink).is_some() { 3 } else { 1 };
        let ready_at = serves_at + self.jitter(timing::NODE_READY) * slow;
        if server && self.cluster.etcd {
            self.cluster.members.insert(host.clone(), serves_at);
        }
        let unit = unit.to_string();
        let (told_at, old, cordoned, plane) = (serves_at, None, false, None);
        let node =
            Node { version, labels, taints, given, server, cordoned, unit, ready_at, serves_at, told_at, old, plane };
        self.cluster.enter(host.clone(), node);
        self.certified(host, serves_at);
        self.judge_skew(host, serves_at);
    }
}

/// A unit of Kubernetes ended at once, and its log tells why.
pub(super) fn did_not_start(host: &NodeName, unit: &str, why: &str) -> HostError {
    HostError::Failed {
        host: host.clone(),
        what: format!("start of {unit}"),
        why: format!("Job for {unit} failed"),
        log: vec![format!("level=fatal msg=\"{why}\"")],
    }
}

/// Removes a file, or a folder with all that is in it, and what it meant.
fn remove(machine: &mut Machine, path: &str) {
    let inside = |other: &str| other == path || other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    machine.texts.retain(|file, _| !inside(file));
    machine.host.files.retain(|file, _| !inside(file));
    machine.host.links.retain(|link, _| !inside(link));
    machine.host.settings.retain(|key, _| key.strip_prefix("download ").is_none_or(|file| !inside(file)));
    if let Some(unit) = path.strip_prefix("/etc/systemd/system/") {
        machine.host.units.remove(unit);
    }
    let data = Kind::of(path, Kind::data);
    let gone = data.is_some_and(|kind| machine.file(kind.binary()).is_none());
    match &mut machine.host.kubernetes {
        Some(_) if gone => machine.host.kubernetes = None,
        Some(kubernetes) if data.is_some() => kubernetes.joined = false,
        Some(_) | None => {}
    }
}
