//! What Talos does on a pretend machine, and what it refuses: an image, a configuration, and calls of its API.
//!
//! The real one joins by itself as soon as it has its configuration. Here it does when somebody waits for it, so that the
//! order in which a plan has members join is the one that is judged.

mod cluster;
pub(super) mod machine;

use std::collections::BTreeMap;
use std::time::Duration;

use kubewright_hosts::{Holes, HostError, Layer, Report};
use kubewright_model::desired::{FORGOTTEN, Way};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{HoleName, NodeName};
use kubewright_model::observed::{HostSeen, KubernetesSeen, UnitSeen};
use kubewright_model::recipe::Recipe;
use kubewright_model::secret::Secret;
use kubewright_model::talos::{MachineConfig, TALOS_KUBECONFIG, TalosCall, TalosImage, TalosSeen};
use kubewright_model::units::Span;
use kubewright_planner::diff::talos;

use self::machine::{refused, waiting};
use super::faults::FaultKind;
use super::hosts::{Ssh, failed};
use super::rancher::kubeconfig;
use super::state::State;
use super::timing;

/// What stands for all of Talos' services on a pretend host.
pub(super) const TALOS: &str = "talos.service";
/// Between two looks at something that a call waits for.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

type Tell<'t> = &'t (dyn Fn(String) + Send + Sync);

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
        self.on(host, |machine| refused(machine, config))
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
            if fresh {
                machine.is_installed(config);
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
        } else {
            if reboots {
                self.starts_anew(host).await;
            }
            // The kubelet that comes up is the one that is wished.
            if disturbs {
                self.restarted(host, TALOS, true, timing::CHANGE_TIMEOUT).await;
            }
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
        if self.stays_away(host) {
            return Err(self.never_back(host, "the upgrade", "it did not come back", Span::from_secs(900)).await);
        }
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
            TalosCall::RestartKubelet => self.kubelet_of_talos_restarts(host).await,
            TalosCall::Snapshot => {
                // It runs on while the API server beside it starts again.
                let runs = {
                    let state = self.centre.at_present();
                    let answers = state.machine(host).is_some_and(|machine| machine.answers(now));
                    answers && state.cluster.members.contains_key(host)
                };
                if !runs {
                    return Err(refuses("etcd does not run here".into()));
                }
                self.centre.take(timing::SNAPSHOT).await;
            }
        }
        Ok(())
    }

    /// Whether somebody wished that this machine, which is about to start again, does not come back.
    fn stays_away(&self, host: &NodeName) -> bool {
        let now = self.centre.now();
        let mut state = self.centre.at_present();
        let hit = state.fault(FaultKind::NeverBack).is_some_and(|(fault, course)| {
            let hit = fault.target.get_or_insert_with(|| host.clone()) == host;
            course.met += u32::from(hit);
            hit
        });
        if let Some(machine) = state.machine_mut(host).filter(|_| hit) {
            machine.answers_at = u64::MAX;
        }
        if hit {
            state.cluster.slept(host, now);
        }
        hit
    }

    /// It is waited for, as long as whoever asked waits.
    async fn never_back(&self, host: &NodeName, what: &str, saw: &str, timeout: Span) -> HostError {
        tokio::time::sleep(timeout.duration()).await;
        let why = format!("{saw} within {timeout}");
        HostError::Failed { host: host.clone(), what: what.into(), why, log: Vec::new() }
    }

    /// Everything that makes the machine a node is wiped; it comes back and waits.
    async fn resets(&self, host: &NodeName, timeout: Span) -> Result<(), HostError> {
        let now = self.centre.now();
        {
            let mut state = self.centre.at_present();
            state.may_stop_for_good(host, now);
            if let Some(machine) = state.machine_mut(host) {
                // What it is installed on and from stays.
                let talos = machine.talos().cloned();
                let talos = talos.map(|talos| TalosSeen {
                    schematic: talos.schematic,
                    system_disk: talos.system_disk,
                    links: talos.links,
                    ..waiting(&talos.version, None)
                });
                machine.host = HostSeen {
                    os: machine.host.os.clone(),
                    arch: machine.host.arch.clone(),
                    talos,
                    ..HostSeen::default()
                };
                machine.containers = false;
            }
            state.end_cluster_without_servers();
        }
        if self.stays_away(host) {
            return Err(self.never_back(host, "the reset", "it did not come back in maintenance mode", timeout).await);
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
        let told = match recipe.leaves_the_host() {
            true => vec!["saved etcd; no file is written in a simulated data centre".to_string()],
            false => Vec::new(),
        };
        Ok(Report { changed: true, gave: self.talos_gives(host, recipe)?, told })
    }
}
