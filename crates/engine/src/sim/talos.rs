//! What Talos does on a pretend machine, and what it refuses: an image, a configuration, and calls of its API.
//!
//! The real one joins by itself as soon as it has its configuration. Here it does when somebody waits for it, so that the
//! order in which a plan has members join is the one that is judged.

use std::collections::BTreeMap;
use std::time::Duration;

use kubewright_hosts::{Holes, HostError, Layer, Report};
use kubewright_model::desired::{FORGOTTEN, Way};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{HoleName, NodeName};
use kubewright_model::observed::{HostSeen, KubernetesSeen, MemberSeen, UnitSeen};
use kubewright_model::recipe::Recipe;
use kubewright_model::secret::Secret;
use kubewright_model::talos::{MachineConfig, TALOS_KUBECONFIG, TalosCall, TalosImage, TalosSeen, kubelet_version};
use kubewright_model::units::{Size, Span};
use kubewright_model::version::Version;
use kubewright_planner::diff::talos;
use serde_json::Value;

use super::faults::FaultKind;
use super::hosts::{Ssh, failed};
use super::kubernetes::{Cluster, Node};
use super::rancher::kubeconfig;
use super::state::{Machine, State};
use super::timing;

/// What stands for all of Talos' services on a pretend host.
pub(super) const TALOS: &str = "talos.service";
/// That Talos was installed on the disk of a machine, which a reset leaves so (its partition `META`): the image that another
/// configuration names is not taken then.
const INSTALLED: &str = "/dev/disk/by-partlabel/META";
/// Between two looks at something that a call waits for.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

type Tell<'t> = &'t (dyn Fn(String) + Send + Sync);

/// A machine on which Talos waits for its configuration.
pub(super) fn waiting(version: &Version) -> TalosSeen {
    let disks = ["/dev/sda", "/dev/vda", "/dev/nvme0n1"].map(|disk| (disk.to_string(), Size::from_gib(256)));
    TalosSeen {
        version: version.clone(),
        maintenance: true,
        config: Vec::new(),
        schematic: None,
        disks: disks.into(),
        etcd: None,
    }
}

/// Labels that Talos sets of its own accord are nobody's to take away.
fn of_kubernetes(label: &str) -> bool {
    label.split('/').next().is_some_and(|owner| owner.ends_with("kubernetes.io"))
}

impl Machine {
    fn talos(&self) -> Option<&TalosSeen> {
        self.host.talos.as_ref()
    }

    /// Whether Talos runs on it.
    pub(super) fn has_talos(&self) -> bool {
        self.host.talos.is_some()
    }

    /// A value of the first document of its configuration, or of the document of a kind.
    fn said(&self, kind: Option<&str>, pointer: &str) -> Option<&Value> {
        let is_it = |document: &&Value| document.get("kind").and_then(Value::as_str) == kind;
        self.talos()?.config.iter().find(is_it)?.pointer(pointer)
    }

    fn is_control_plane(&self) -> bool {
        self.said(None, "/machine/type").and_then(Value::as_str) == Some("controlplane")
    }

    /// Whether it is a server of Talos that runs and has data.
    pub(super) fn is_talos_server(&self) -> bool {
        let joined = self.host.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.joined);
        joined && self.is_control_plane() && self.runs(TALOS)
    }

    /// The port at which its API server listens.
    pub(super) fn talos_api_port(&self) -> Option<u16> {
        let old = self.said(None, "/cluster/controlPlane/localAPIServerPort");
        let port = old.or_else(|| self.said(Some("KubeAPIServerConfig"), "/apiPort")).and_then(Value::as_u64);
        self.is_control_plane().then(|| port.and_then(|port| port.try_into().ok()).unwrap_or(6443))
    }

    /// The labels and taints that its configuration gives its node.
    pub(super) fn talos_marks(&self) -> (BTreeMap<String, String>, Vec<String>) {
        let map = |old: &str, new: &str| {
            let said =
                self.said(None, old).or_else(|| self.said(Some("KubeNodeConfig"), new)).and_then(Value::as_object);
            let pairs = said.into_iter().flatten();
            pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_string())).collect::<Vec<_>>()
        };
        let registered = self.said(None, "/machine/kubelet/extraConfig/registerWithTaints").and_then(Value::as_array);
        let registered = registered.into_iter().flatten().map(|taint| {
            let said = |key: &str| taint[key].as_str().unwrap_or_default().to_string();
            (said("key"), format!("{}:{}", said("value"), said("effect")))
        });
        let taints = map("/machine/nodeTaints", "/taints").into_iter().chain(registered);
        let taints = taints.map(|(key, rest)| match rest.split_once(':') {
            Some(("", effect)) => format!("{key}:{effect}"),
            Some(_) => format!("{key}={rest}"),
            None => format!("{key}:{rest}"),
        });
        let alone = self.said(None, "/cluster/controlPlane").is_some()
            && self.is_control_plane()
            && self.said(None, "/cluster/allowSchedulingOnControlPlanes").is_none();
        let own = alone.then(|| "node-role.kubernetes.io/control-plane:NoSchedule".to_string());
        (map("/machine/nodeLabels", "/labels").into_iter().collect(), taints.chain(own).collect())
    }

    /// The version of the kubelet that its configuration names.
    fn kubelet(&self) -> Option<Version> {
        kubelet_version(&self.talos()?.config)
    }

    /// It runs from what it was installed from, whatever it was started from.
    fn comes_from_its_image(&mut self) {
        let image = self.said(None, "/machine/install/image");
        let image = image.or_else(|| self.said(Some("UnattendedInstallConfig"), "/installer/image"));
        let Some((name, tag)) = image.and_then(Value::as_str).and_then(|image| image.rsplit_once(':')) else { return };
        let version = tag.parse().ok();
        // Names of the factory end in the schematic's id; the plain installer's has none.
        let last = name.rsplit('/').next().unwrap_or_default();
        let schematic = (last.len() == 64).then(|| last.to_string());
        if let Some(talos) = self.host.talos.as_mut() {
            talos.version = version.unwrap_or(talos.version.clone());
            talos.schematic = schematic;
        }
    }

    /// Whether somebody else brings the pods' network.
    fn wants_network(&self) -> bool {
        match self.said(None, "/cluster/network/cni/name").and_then(Value::as_str) {
            Some(name) => name == "none",
            None => self.said(Some("KubeFlannelCNIConfig"), "").is_none(),
        }
    }
}

/// What a configuration refuses to be taken as: what Talos looks at before it does anything.
fn refused(machine: &Machine, documents: &[Value]) -> Result<(), String> {
    let first = documents.iter().find(|document| document.get("kind").is_none()).ok_or("no v1alpha1 document")?;
    let kind = first.pointer("/machine/type").and_then(Value::as_str).unwrap_or_default();
    if !["controlplane", "worker"].contains(&kind) {
        return Err(format!("unknown machine type {kind:?}"));
    }
    for secret in ["/machine/token", "/cluster/token", "/machine/ca/crt"] {
        if first.pointer(secret).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(format!("{secret} is required"));
        }
    }
    let keys = [("/machine/ca/key", "controlplane"), ("/cluster/etcd/ca/key", "controlplane")];
    if let Some((key, _)) = keys.iter().find(|(key, of)| (*of == kind) != first.pointer(key).is_some()) {
        return Err(format!("{key} does not belong to a {kind}"));
    }
    let disk = first.pointer("/machine/install/disk").and_then(Value::as_str).map(String::from);
    let disk = disk.or_else(|| {
        let install = documents.iter().find(|document| document["kind"] == "UnattendedInstallConfig")?;
        let selects = install.pointer("/provisioning/diskSelector/match")?.as_str()?;
        Some(selects.split('"').nth(1)?.to_string())
    });
    let disks = machine.talos().map(|talos| &talos.disks);
    match disk {
        None => Err("an install disk is required".into()),
        Some(disk) if disks.is_some_and(|disks| !disks.contains_key(&disk)) => {
            Err(format!("rpc error: code = InvalidArgument desc = no disk found: {disk}"))
        }
        Some(_) => Ok(()),
    }
}

impl Ssh {
    /// Makes a resource of Talos true; returns whether it was not.
    pub(super) async fn make_talos(
        &self,
        host: &NodeName,
        resource: &HostResource,
        holes: &Holes,
    ) -> Result<bool, HostError> {
        match resource {
            HostResource::MachineConfig(config) => self.configure(host, config, holes).await,
            HostResource::TalosImage(image) => self.install(host, image).await,
            other => Err(failed(host, &other.key(), "Talos has no shell: nothing else can be set there".into())),
        }
    }

    /// A configuration is taken over, and the machine is installed or started again where it has to be.
    async fn configure(&self, host: &NodeName, config: &MachineConfig, holes: &Holes) -> Result<bool, HostError> {
        if let Some(hole) = config.text().holes().find(|hole| !holes.contains_key(*hole)) {
            return Err(HostError::Hole { host: host.clone(), hole: hole.clone() });
        }
        let documents = config.documents();
        self.on(host, |machine| refused(machine, &documents))
            .map_err(|why| failed(host, "applying the machine configuration", why))?;
        let wish = HostResource::MachineConfig(config.clone());
        let (fresh, differs, reboots) = self.on(host, |machine| {
            let fresh = machine.talos().is_none_or(|talos| talos.maintenance);
            let differs = !kubewright_planner::diff::host::differing(
                std::slice::from_ref(&wish),
                &machine.host,
                &BTreeMap::new(),
            )
            .is_empty();
            (fresh, differs, talos::reboots(&wish, &machine.host))
        });
        if !differs {
            return Ok(false);
        }
        let now = self.centre.now();
        let disturbs = self.on(host, |machine| !fresh && talos::disturbs(&wish, &machine.host));
        if disturbs {
            let tried = self.centre.at_present().restarts(host, TALOS, now);
            tried.map_err(|why| failed(host, "applying the machine configuration", why))?;
        }
        self.on(host, |machine| {
            if let Some(talos) = machine.host.talos.as_mut() {
                talos.config = documents;
                talos.maintenance = false;
            }
            if fresh && !machine.texts.contains_key(INSTALLED) {
                machine.comes_from_its_image();
                machine.texts.insert(INSTALLED.into(), String::new());
            }
            let joined = machine.host.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.joined);
            let version = machine.kubelet();
            machine.host.kubernetes = Some(KubernetesSeen { version, joined, ..KubernetesSeen::default() });
            let unit = UnitSeen { content: None, enabled: true, active: true, reads: None };
            machine.host.units.insert(TALOS.into(), unit);
        });
        if fresh {
            let line = self.centre.lock().line();
            self.centre.take(timing::TALOS_INSTALL * line).await;
            self.starts_anew(host).await;
        } else if reboots {
            self.starts_anew(host).await;
        } else if disturbs {
            self.restarted(host, TALOS, true, timing::CHANGE_TIMEOUT).await;
        }
        Ok(true)
    }

    /// Another image is installed beside the one that runs, and started.
    async fn install(&self, host: &NodeName, image: &TalosImage) -> Result<bool, HostError> {
        let wish = HostResource::TalosImage(image.clone());
        if self.on(host, |machine| !talos::reboots(&wish, &machine.host)) {
            return Ok(false);
        }
        let line = self.centre.lock().line();
        self.centre.take(timing::TALOS_INSTALL / 2 * line).await;
        let now = self.centre.now();
        let tried = self.centre.at_present().restarts(host, TALOS, now);
        tried.map_err(|why| failed(host, "upgrading Talos", why))?;
        self.on(host, |machine| {
            if let Some(talos) = machine.host.talos.as_mut() {
                talos.version = image.version.clone();
                talos.schematic.clone_from(&image.schematic);
            }
        });
        self.starts_anew(host).await;
        Ok(true)
    }

    /// The machine starts again, and is waited for.
    async fn starts_anew(&self, host: &NodeName) {
        let now = self.centre.now();
        let up = {
            let mut state = self.centre.at_present();
            state.cluster.slept(host, now);
            let provider = state.machines.iter().find(|(_, all)| all.contains_key(host)).map(|(name, _)| name.clone());
            if let Some(provider) = provider {
                state.boot(&provider, host, now);
            }
            state.machine(host).map_or(now, |machine| machine.answers_at)
        };
        tokio::time::sleep(Duration::from_millis(up.saturating_sub(now))).await;
    }

    /// What Talos is asked for; returns what that gives.
    pub(super) async fn talos_call(
        &self,
        host: &NodeName,
        recipe: &Recipe,
        call: &TalosCall,
        holes: &Holes,
        tell: Tell<'_>,
    ) -> Result<(), HostError> {
        let now = self.centre.now();
        let refuses = |why: String| failed(host, &call.to_string(), why);
        match call {
            TalosCall::Bootstrap => {
                let takes = self.centre.at_present().bootstraps(host, now).map_err(refuses)?;
                tokio::time::sleep(Duration::from_millis(takes)).await;
            }
            TalosCall::Recover => self.recovers(host, holes, call).await?,
            TalosCall::Joined { server, timeout } => {
                if !recipe.effect.begins() {
                    self.joins(host, *server, *timeout, tell).await?;
                }
                let what = call.to_string();
                self.talos_waits(host, &what, *timeout, tell, |state, now| match server {
                    true if !state.serves(host, now) => Err("etcd catches up".into()),
                    _ => Ok(()),
                })
                .await?;
            }
            TalosCall::Runs { version, timeout, .. } => {
                let what = call.to_string();
                self.talos_waits(host, &what, *timeout, tell, |state, now| {
                    state.api(now)?;
                    let runs = state.cluster.nodes.get(host).is_some_and(|node| node.version == *version);
                    if runs { Ok(()) } else { Err("the kubelet starts".into()) }
                })
                .await?;
            }
            TalosCall::Forget => {
                let name = holes.get(&HoleName::new(FORGOTTEN)).ok_or_else(|| refuses("nobody is named".into()))?;
                let name = NodeName::new(name.expose().split_whitespace().next().unwrap_or_default());
                self.centre.take(timing::UNIT).await;
                self.centre.at_present().leaves_etcd(&name, now).map_err(refuses)?;
            }
            TalosCall::Reset { timeout } => self.resets(host, *timeout).await?,
            TalosCall::Snapshot => {
                if !self.centre.at_present().serves(host, now) {
                    return Err(refuses("etcd does not run here".into()));
                }
                self.centre.take(timing::SNAPSHOT).await;
            }
        }
        Ok(())
    }

    /// Everything that makes the machine a node is wiped; it comes back and waits.
    async fn resets(&self, host: &NodeName, timeout: Span) -> Result<(), HostError> {
        let now = self.centre.now();
        let lost = {
            let mut state = self.centre.at_present();
            state.may_stop_for_good(host, now);
            let lost = state.fault(FaultKind::NeverBack).is_some_and(|(fault, course)| {
                let hit = fault.target.get_or_insert_with(|| host.clone()) == host;
                course.met += u32::from(hit);
                hit
            });
            if let Some(machine) = state.machine_mut(host) {
                let (version, schematic) =
                    machine.talos().map(|talos| (talos.version.clone(), talos.schematic.clone())).unzip();
                let talos = version.map(|version| TalosSeen { schematic: schematic.flatten(), ..waiting(&version) });
                machine.host = HostSeen {
                    os: machine.host.os.clone(),
                    arch: machine.host.arch.clone(),
                    talos,
                    ..HostSeen::default()
                };
                machine.containers = false;
                machine.answers_at = if lost { u64::MAX } else { machine.answers_at };
            }
            state.end_cluster_without_servers();
            lost
        };
        if lost {
            tokio::time::sleep(timeout.duration()).await;
            let why = format!("it did not come back in maintenance mode within {timeout}");
            return Err(HostError::Failed { host: host.clone(), what: "the reset".into(), why, log: Vec::new() });
        }
        self.centre.take(timing::UNIT).await;
        self.starts_anew(host).await;
        Ok(())
    }

    /// A node with its configuration joins as soon as somebody serves.
    async fn joins(&self, host: &NodeName, server: bool, timeout: Span, tell: Tell<'_>) -> Result<(), HostError> {
        if self.on(host, |machine| machine.host.kubernetes.as_ref().is_some_and(|it| it.joined)) {
            return Ok(());
        }
        self.talos_waits(host, "it finds the others", timeout, tell, |state, now| state.api(now)).await?;
        let now = self.centre.now();
        let takes = self.centre.at_present().talos_joins(host, server, now);
        let takes = takes.map_err(|why| failed(host, "joining", why))?;
        tokio::time::sleep(Duration::from_millis(takes)).await;
        Ok(())
    }

    async fn talos_waits(
        &self,
        host: &NodeName,
        what: &str,
        timeout: Span,
        tell: Tell<'_>,
        holds: impl Fn(&State, u64) -> Result<(), String>,
    ) -> Result<(), HostError> {
        let deadline = self.centre.now() + u64::try_from(timeout.duration().as_millis()).unwrap_or(u64::MAX);
        loop {
            let now = self.centre.now();
            let why = {
                let state = self.centre.at_present();
                let answers = state.machine(host).is_some_and(|machine| machine.answers(now));
                if answers { holds(&state, now) } else { Err("the host stopped to answer".into()) }
            };
            let Err(why) = why else { return Ok(()) };
            if now >= deadline {
                let (what, why) = (what.to_string(), format!("not within {timeout}: {why}"));
                return Err(HostError::Failed { host: host.clone(), what, why, log: Vec::new() });
            }
            tell(format!("{what}: {why}"));
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether a way leads to what is there: Talos has no SSH, and other systems have nothing else.
    pub(super) fn speaks(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        let talos = self.on(host, |machine| machine.has_talos());
        if talos == way.talos.is_some() {
            return Ok(());
        }
        let why = if talos { "connection refused: Talos has no SSH" } else { "connection refused: no Talos runs here" };
        Err(HostError::Unreachable { host: host.clone(), layer: Layer::Tcp, why: why.into() })
    }

    /// What a call gives: Talos hands out the kubeconfig by its API.
    pub(super) fn talos_gives(&self, host: &NodeName, recipe: &Recipe) -> Result<Holes, HostError> {
        let read = recipe.gives.iter().map(|output| match output.file.as_str() {
            TALOS_KUBECONFIG => Ok((output.hole.clone(), Secret::new(kubeconfig(host)))),
            other => Err(failed(host, other, "Talos hands out nothing like it".into())),
        });
        let gave: Holes = read.collect::<Result<_, _>>()?;
        Ok(gave)
    }

    /// A recipe of Talos, whole.
    pub(super) fn talos_ran(&self, host: &NodeName, recipe: &Recipe) -> Result<Report, HostError> {
        Ok(Report { changed: true, gave: self.talos_gives(host, recipe)?, told: Vec::new() })
    }
}

impl State {
    /// Somebody sees to machines that did not come back from a reset.
    pub(super) fn bring_back(&mut self, now: u64) {
        let lost = self.machines.values_mut().flat_map(|all| all.values_mut()).filter(|it| it.answers_at == u64::MAX);
        lost.for_each(|machine| machine.answers_at = now);
    }

    /// Talos tells who is in etcd, where it runs.
    pub(super) fn talos_tells(&self, name: &NodeName, seen: &mut HostSeen, now: u64) {
        let serves = self.serves(name, now) && self.api(now).is_ok();
        if let Some(talos) = seen.talos.as_mut().filter(|_| serves) {
            let member = |(name, votes_at): (&NodeName, &u64)| {
                (name.clone(), MemberSeen { voter: now >= *votes_at, healthy: self.serves(name, now) })
            };
            talos.etcd = Some(self.cluster.members.iter().map(member).collect());
        }
    }

    /// A new etcd on this node: refused where it has data, as the real one does.
    pub(super) fn bootstraps(&mut self, host: &NodeName, now: u64) -> Result<u64, String> {
        let machine = self.machine(host).ok_or("the machine is gone")?;
        if !machine.is_control_plane() {
            return Err(
                "rpc error: code = FailedPrecondition desc = bootstrap can only be performed on a control plane node"
                    .into(),
            );
        }
        if machine.host.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.joined) {
            return Err("rpc error: code = AlreadyExists desc = etcd data directory is not empty".into());
        }
        let wants_network = machine.wants_network();
        if let Some(holder) = self.holder() {
            self.breach(now, format!("{host} was to begin a second cluster beside that of {holder}"));
            return Err(format!("{holder} holds this cluster's data already"));
        }
        self.cluster = Cluster {
            begun: true,
            etcd: true,
            talos: true,
            wants_network,
            namespaces: ["default", "kube-system", "kube-public", "kube-node-lease"].map(Into::into).into(),
            ..Cluster::default()
        };
        let takes = self.jitter(timing::INIT);
        self.becomes_a_node(host, true, now + takes)?;
        Ok(takes)
    }

    /// A node that found the others is one of them.
    fn talos_joins(&mut self, host: &NodeName, server: bool, now: u64) -> Result<u64, String> {
        if server != self.machine(host).is_some_and(Machine::is_control_plane) {
            return Err("its configuration is another role's".into());
        }
        if server {
            if let Some((learner, _)) = self.cluster.members.iter().find(|(_, votes_at)| now < **votes_at) {
                return Err(format!("etcdserver: too many learner members in cluster: {learner} learns"));
            }
            if self.cluster.members.contains_key(host) {
                self.breach(now, format!("{host} was to join while etcd still holds another member of its name"));
                return Err("etcdserver: Peer URLs already exists".into());
            }
        }
        let takes = self.jitter(if server { timing::JOIN_SERVER } else { timing::JOIN_AGENT });
        self.becomes_a_node(host, server, now + takes)?;
        Ok(takes)
    }

    fn becomes_a_node(&mut self, host: &NodeName, server: bool, at: u64) -> Result<(), String> {
        let ready_at = at + self.jitter(timing::NODE_READY);
        let machine = self.machine_mut(host).ok_or("the machine is gone")?;
        let (mut labels, taints) = machine.talos_marks();
        let version = machine.kubelet().ok_or("the configuration names no kubelet")?;
        if let Some(kubernetes) = machine.host.kubernetes.as_mut() {
            kubernetes.joined = true;
        }
        let keys = labels.keys().filter(|key| !of_kubernetes(key)).map(|key| format!("label {key}"));
        let given = keys.chain(taints.iter().map(|taint| format!("taint {taint}"))).collect();
        labels.insert("kubernetes.io/hostname".into(), host.to_string());
        if server {
            self.cluster.members.insert(host.clone(), at);
        }
        let (unit, cordoned, told_at, old, plane) = (TALOS.to_string(), false, at, None, None);
        let node = Node {
            version,
            labels,
            taints,
            given,
            server,
            cordoned,
            unit,
            ready_at,
            serves_at: at,
            told_at,
            old,
            plane,
        };
        self.cluster.enter(host.clone(), node);
        self.judge_skew(host, at);
        Ok(())
    }

    /// What its configuration says of labels and taints is given to its node at once.
    pub(super) fn talos_gives_marks(&mut self, host: &NodeName) {
        let Some((labels, taints)) = self
            .machine(host)
            .filter(|it| it.talos().is_some_and(|talos| !talos.maintenance))
            .map(Machine::talos_marks)
        else {
            return;
        };
        if let Some(node) = self.cluster.nodes.get_mut(host) {
            let keys = labels.keys().filter(|key| !of_kubernetes(key)).map(|key| format!("label {key}"));
            let given = keys.chain(taints.iter().map(|taint| format!("taint {taint}"))).collect();
            let gone: Vec<String> =
                node.given.iter().filter_map(|it| Some(it.strip_prefix("label ")?.to_string())).collect();
            gone.iter().filter(|key| !labels.contains_key(*key)).for_each(|key| drop(node.labels.remove(key)));
            node.given = given;
            node.labels.extend(labels);
        }
    }
}
