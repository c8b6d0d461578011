//! What is done to a node of Talos: its image, its configuration, and the calls of recipes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kubewright_model::desired::{FORGOTTEN, Way};
use kubewright_model::ids::{HoleName, NodeName};
use kubewright_model::plan::HostChange;
use kubewright_model::recipe::SNAPSHOT;
use kubewright_model::secret::Secret;
use kubewright_model::talos::{MachineConfig, Schematic, TalosCall, TalosImage};

use super::waiting::{COMES_BACK, Wait};
use super::{Met, TalosHosts, config, failed, look, settled};
use crate::saved::{self, Arriving};
use crate::talos::{ApplyMode, Code, FactoryError, Talos, TalosError, UpgradeHow, Wipe, register};
use crate::{Holes, HostError, Report};

/// The node has its time, its container runtime and its disks by then, or never.
const READY_TO_BEGIN: Duration = Duration::from_secs(10 * 60);
/// A machine whose maintenance address nobody knows is looked for at its own for so long, and then it is enough that it has
/// gone: the reset itself takes seconds, and starting again a few minutes.
const SOMEWHERE: Duration = Duration::from_secs(5 * 60);
/// What of the disk a reset wipes: with it goes everything but Talos itself.
/// <https://www.talos.dev/v1.11/talos-guides/resetting-a-machine/>
const WIPED: [&str; 2] = ["STATE", "EPHEMERAL"];

/// Nobody hears of a change while it is made.
fn nobody(_: String) {}

impl TalosHosts {
    /// A node of ours runs from an image. One that waits for its configuration is installed from it then.
    pub(super) async fn runs_from(&self, change: &HostChange, image: &TalosImage) -> Result<bool, HostError> {
        let (host, way) = (&change.host, &change.way);
        let told = |error: TalosError| failed(host, "upgrading Talos", error);
        self.factory_knows(host, image).await?;
        let ours = self.ours().map_err(told)?;
        let Met::Ours(talos) = self.meet(way, ours.as_ref()).await.map_err(told)? else { return Ok(false) };
        if is_it(&talos, image).await.map_err(told)? {
            return Ok(false);
        }
        // What is on the disk beside Talos stays by itself, from v1.8 on.
        // Talos asks etcd first whether it can do without the node, and one that is no member yet has none to ask.
        let member = look::has_etcd(&talos, false).await.map_err(told)?;
        let how = UpgradeHow { force: !member, ..UpgradeHow::default() };
        talos.upgrade(&image.image, how).await.map_err(told)?;
        self.goes_down(way, |talos| async move { is_it(&talos, image).await.unwrap_or(false) }).await;
        let what = "waiting until it is back with the new image";
        let wait = Wait { what, within: COMES_BACK, log: None, comes_back: true, tell: &nobody };
        self.until(host, way, wait, |talos| async move {
            let there = is_it(&talos, image).await?;
            Ok(there.then_some(true).ok_or_else(|| "it still runs the one before".to_string()))
        })
        .await
    }

    /// An image with extensions is made when it is asked for, from what the factory was told before.
    async fn factory_knows(&self, host: &NodeName, image: &TalosImage) -> Result<(), HostError> {
        let Some(factory) = &image.factory else { return Ok(()) };
        let what = || "telling the image factory of the extensions".to_string();
        let failed = |why: String| HostError::Failed { host: host.clone(), what: what(), why, log: Vec::new() };
        let schematic = Schematic::new(&image.extensions, &[]);
        let schematic =
            schematic.map_err(|words| failed(format!("nobody knows how it writes {}", words.join(", "))))?;
        match register(factory, &schematic).await {
            Ok(_) => Ok(()),
            Err(error @ FactoryError::Unreachable { .. }) => {
                Err(HostError::Busy { host: host.clone(), what: what(), why: error.to_string() })
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// A node has its configuration. One that waited is installed with it, and comes back as one of ours.
    pub(super) async fn configure(
        &self,
        change: &HostChange,
        wish: &MachineConfig,
        holes: &Holes,
        words: &mut Vec<String>,
    ) -> Result<bool, HostError> {
        let (host, way) = (&change.host, &change.way);
        let told = |error: TalosError| failed(host, "applying the machine configuration", error);
        let text = config::filled(host, wish, holes)?;
        let ours = self.ours().map_err(told)?;
        match self.meet(way, ours.as_ref()).await.map_err(told)? {
            Met::Waits(talos) => {
                let applied = talos.apply(&text, ApplyMode::Auto, false).await.map_err(told)?;
                words.extend(applied.warnings);
                words.push(format!("the key that it showed while it waited: {}", talos.fingerprint()));
                let what = "waiting until it is installed and back with its configuration";
                let wait = Wait { what, within: COMES_BACK, log: None, comes_back: true, tell: &nobody };
                self.until(host, way, wait, |talos| async move { settled::installed(&talos).await }).await?;
            }
            Met::Ours(talos) => {
                if let Some(ours) = &ours
                    && look::documents(&talos, &ours.bundle).await.map_err(told)? == wish.documents()
                {
                    return Ok(false);
                }
                let began = boot(&talos).await;
                let before = &began;
                let applied = talos.apply(&text, ApplyMode::Auto, false).await.map_err(told)?;
                words.extend(applied.warnings);
                if applied.mode == ApplyMode::Reboot {
                    self.goes_down(way, |talos| async move { boot(&talos).await != *before }).await;
                    let wait = Wait {
                        what: "waiting until it is back",
                        within: COMES_BACK,
                        log: None,
                        comes_back: true,
                        tell: &nobody,
                    };
                    self.until(host, way, wait, |talos| async move { Ok(Ok(talos.version().await.map(drop)?)) })
                        .await?;
                }
            }
        }
        Ok(true)
    }

    /// Asks a node for something; what that gives, and what should be known of it, goes into the report.
    pub(super) async fn call(
        &self,
        host: &NodeName,
        way: &Way,
        call: &TalosCall,
        holes: &Holes,
        report: &mut Report,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), HostError> {
        let what = call.to_string();
        match call {
            TalosCall::Bootstrap => self.bootstrap(host, way, &what, tell).await?,
            TalosCall::Recover => self.recover(host, way, holes, &what, tell).await?,
            TalosCall::Joined { server: true, timeout } => {
                let wait = Wait { what: &what, within: timeout.duration(), log: Some("etcd"), comes_back: false, tell };
                self.until(host, way, wait, |talos| async move { votes(&talos, host).await }).await?;
            }
            TalosCall::Joined { server: false, timeout } => {
                let wait =
                    Wait { what: &what, within: timeout.duration(), log: Some("kubelet"), comes_back: false, tell };
                self.until(host, way, wait, |talos| async move { well(&talos, "kubelet").await }).await?;
            }
            TalosCall::Runs { version, server, timeout } => {
                let wait =
                    Wait { what: &what, within: timeout.duration(), log: Some("kubelet"), comes_back: false, tell };
                self.until(host, way, wait, |talos| async move { settled::runs(&talos, version, *server).await })
                    .await?;
            }
            TalosCall::Forget => self.forget(host, way, holes, &what).await?,
            TalosCall::Reset { timeout } => {
                report.told.extend(self.reset(host, way, timeout.duration(), &what, tell).await?);
            }
            TalosCall::RestartKubelet => {
                let talos = self.meet_ours(way).await.map_err(|error| failed(host, &what, error))?;
                talos.restart("kubelet").await.map_err(|error| failed(host, &what, error))?;
            }
            TalosCall::Snapshot => {
                let (path, told) = self.snapshot(host, way, &what).await?;
                report.gave.insert(HoleName::new(SNAPSHOT), Secret::new(path.display().to_string()));
                report.told.push(told);
            }
        }
        Ok(())
    }

    /// Asked again where it was cut off, it finds its data there and is content.
    async fn bootstrap(
        &self,
        host: &NodeName,
        way: &Way,
        what: &str,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), HostError> {
        let wait = Wait { what, within: READY_TO_BEGIN, log: Some("machined"), comes_back: false, tell };
        self.until(host, way, wait, |talos| async move {
            match talos.bootstrap().await {
                Err(error) if error.code() == Some(Code::AlreadyExists) => Ok(Ok(())),
                // Its time or its container runtime is not there yet.
                Err(error) if error.may_pass() => Ok(Err(error.to_string())),
                other => other.map(Ok),
            }
        })
        .await
    }

    async fn forget(&self, host: &NodeName, way: &Way, holes: &Holes, what: &str) -> Result<(), HostError> {
        let told = |error: TalosError| failed(host, what, error);
        let hole = HoleName::new(FORGOTTEN);
        let name = holes.get(&hole).ok_or(HostError::Hole { host: host.clone(), hole })?;
        let name = name.expose().split_whitespace().next().unwrap_or_default().to_string();
        let talos = self.meet_ours(way).await.map_err(told)?;
        let members = talos.etcd_members(false).await.map_err(told)?;
        let Some(member) = members.iter().find(|member| member.hostname == name) else { return Ok(()) };
        match talos.etcd_remove_member(member.id).await {
            Err(error) if error.code() != Some(Code::NotFound) => Err(told(error)),
            _ => Ok(()),
        }
    }

    /// It does not take its leave: who stays has taken it out of the books, or nobody stays.
    async fn reset(
        &self,
        host: &NodeName,
        way: &Way,
        within: Duration,
        what: &str,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Vec<String>, HostError> {
        let told = |error: TalosError| failed(host, what, error);
        let ours = self.ours().map_err(told)?;
        if let Met::Ours(talos) = self.meet(way, ours.as_ref()).await.map_err(told)? {
            let partitions = WIPED.map(String::from).to_vec();
            talos.reset(false, true, Wipe::Partitions(partitions)).await.map_err(told)?;
        }
        let known = way.talos.as_ref().is_some_and(|talos| talos.maintenance.is_some());
        let within = if known { within } else { within.min(SOMEWHERE) };
        match self.until_it_waits(host, way, within, tell).await? {
            true => Ok(Vec::new()),
            false => {
                Ok(vec![format!("{host} was reset, and nobody knows where it waits now: it is gone from its address")])
            }
        }
    }

    async fn snapshot(&self, host: &NodeName, way: &Way, what: &str) -> Result<(PathBuf, String), HostError> {
        let told = |error: TalosError| failed(host, what, error);
        let talos = self.meet_ours(way).await.map_err(told)?;
        let unwritten = |why: String| HostError::Failed { host: host.clone(), what: what.into(), why, log: Vec::new() };
        let arriving = Arriving::in_folder(&self.snapshots).map_err(unwritten)?;
        let file = arriving.file.reopen().map_err(|error| unwritten(error.to_string()))?;
        let snapshot = talos.etcd_snapshot(&mut tokio::fs::File::from_std(file)).await.map_err(told)?;
        let path = arriving.arrived(&format!("{}.db", saved::name(host))).map_err(unwritten)?;
        let words = saved::told(&snapshot, &path);
        Ok((path, words))
    }

    /// Begins etcd with the snapshot that the hole names. Asked again where it was cut off, it finds its data there.
    async fn recover(
        &self,
        host: &NodeName,
        way: &Way,
        holes: &Holes,
        what: &str,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), HostError> {
        let hole = HoleName::new(SNAPSHOT);
        let path = holes.get(&hole).ok_or(HostError::Hole { host: host.clone(), hole })?.expose();
        let refused = |why: String| HostError::Failed { host: host.clone(), what: what.into(), why, log: Vec::new() };
        saved::proven(Path::new(path)).map_err(refused)?;
        let wait = Wait { what, within: READY_TO_BEGIN, log: Some("machined"), comes_back: false, tell };
        self.until(host, way, wait, |talos| async move {
            let file = tokio::fs::File::open(path).await;
            let file = file.map_err(|error| TalosError::Ours { why: format!("{path} cannot be read: {error}") })?;
            let begun = match talos.etcd_recover(file).await {
                Ok(()) => talos.bootstrap_from_snapshot(false).await,
                Err(error) => Err(error),
            };
            match begun {
                Err(error) if error.code() == Some(Code::AlreadyExists) => Ok(Ok(())),
                Err(error) if error.may_pass() => Ok(Err(error.to_string())),
                other => other.map(Ok),
            }
        })
        .await
    }
}

/// Whether a node runs from an image: its version, and what the factory has made it from.
async fn is_it(talos: &Talos, image: &TalosImage) -> Result<bool, TalosError> {
    let (runs, extensions) = tokio::try_join!(talos.version(), talos.extensions())?;
    let made_from = extensions.into_iter().find(|extension| extension.name == look::SCHEMATIC).map(|it| it.version);
    Ok(runs.tag.parse().is_ok_and(|version| image.is(&version, made_from.as_deref())))
}

/// What is another one after each start of a node; none where nobody knows.
async fn boot(talos: &Talos) -> Option<String> {
    talos.boot_id().await.ok()
}

/// Whether etcd counts the vote of a node, and its control plane runs.
async fn votes(talos: &Talos, host: &NodeName) -> Result<Result<(), String>, TalosError> {
    if let Err(why) = well(talos, "etcd").await? {
        return Ok(Err(why));
    }
    let members = talos.etcd_members(false).await?;
    Ok(match members.iter().find(|member| member.hostname == host.as_str()) {
        None => Err("etcd does not know it yet".into()),
        Some(member) if member.learner => Err("its etcd learns, and does not vote yet".into()),
        Some(_) => well(talos, "kubelet").await?,
    })
}

/// Whether one of Talos' services is well, and what it says of itself if not.
async fn well(talos: &Talos, service: &str) -> Result<Result<(), String>, TalosError> {
    let services = talos.services().await?;
    Ok(match services.iter().find(|it| it.id == service) {
        None => Err(format!("its {service} is not there yet")),
        Some(it) if it.state == "Running" && it.healthy == Some(true) => Ok(()),
        Some(it) => Err(format!("its {service} is {}: {}", it.state, it.said)),
    })
}
