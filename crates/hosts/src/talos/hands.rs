//! Hands on nodes of Talos: its API in the place of a shell.
//!
//! A node is met in one of two ways: as one of ours, by the certificates of the cluster, or while it waits for its
//! configuration, when everybody may give it one. What of both it is shows in the handshake.

mod calls;
mod config;
mod look;
mod settled;
mod waiting;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use kubewright_model::desired::Way;
use kubewright_model::doctor::Papers;
use kubewright_model::host::HostResource;
use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use kubewright_model::observed::{HostSeen, Seen, Why};
use kubewright_model::plan::HostChange;
use kubewright_model::recipe::{Recipe, RecipeStep};
use kubewright_model::secret::Secret;
use kubewright_model::talos::TALOS_KUBECONFIG;

pub use config::value;

use super::{Bundle, ClientIdentity, Talos, TalosError, TalosLayer, Trust};
use crate::{DialError, Dialed, Hears, Holes, HostError, Hosts, Layer, Logs, Probe, Program, Report, WayIn};

/// Who knows the secrets of the cluster: none where none were made yet.
pub type Secrets = Arc<dyn Fn() -> Result<Option<Secret>, String> + Send + Sync>;

/// Hands on nodes of Talos.
pub struct TalosHosts {
    secrets: Secrets,
    /// Where snapshots of etcd are kept on this computer.
    snapshots: PathBuf,
}

/// A node, and how it was met.
enum Met {
    /// It has our configuration.
    Ours(Talos),
    /// It waits for one.
    Waits(Talos),
}

/// What is ours to show, and what we know of the cluster's secrets.
struct Ours {
    bundle: Bundle,
    identity: ClientIdentity,
}

impl TalosHosts {
    /// Hands that find the cluster's secrets so, and keep snapshots in a folder.
    pub fn new(secrets: Secrets, snapshots: &Path) -> Self {
        Self { secrets, snapshots: snapshots.to_path_buf() }
    }

    /// The secrets of the cluster, and a certificate of its administrators that is good for a while.
    fn ours(&self) -> Result<Option<Ours>, TalosError> {
        let wrong = |why: String| TalosError::Ours { why: format!("the secrets of the Talos cluster: {why}") };
        let Some(text) = (self.secrets)().map_err(wrong)? else { return Ok(None) };
        let now = SystemTime::now();
        let bundle = Bundle::parse(&text, now).map_err(|found| wrong(found.join("; ")))?;
        let identity = bundle.admin(now).map_err(wrong)?;
        Ok(Some(Ours { bundle, identity }))
    }

    /// Connects to a node where it is as one of ours, or where it waits.
    async fn meet(&self, way: &Way, ours: Option<&Ours>) -> Result<Met, TalosError> {
        let at = address(way)?;
        let waits = way.talos.as_ref().and_then(|talos| talos.maintenance);
        let first = match ours {
            Some(ours) => Talos::connect(&at, way.port, Trust::Ours(&ours.identity)).await.map(Met::Ours),
            None => Err(TalosError::InMaintenance),
        };
        match first {
            // There it shows a certificate that nobody has signed.
            Err(TalosError::InMaintenance) if waits.is_none() => waiting(&at, way.port, ours).await,
            Err(TalosError::InMaintenance | TalosError::Unreachable { .. }) if waits.is_some() => {
                let there = waits.map_or(at, |there| there.to_string());
                match (waiting(&there, way.port, ours).await, first) {
                    (Ok(met), _) => Ok(met),
                    // What keeps it from being one of ours tells more than that it does not wait either.
                    (Err(_), Err(first @ TalosError::Unreachable { .. })) => Err(first),
                    (Err(error), _) => Err(error),
                }
            }
            other => other,
        }
    }

    /// A node that has our configuration.
    async fn meet_ours(&self, way: &Way) -> Result<Talos, TalosError> {
        let ours = self.ours()?.ok_or(TalosError::InMaintenance)?;
        Talos::connect(&address(way)?, way.port, Trust::Ours(&ours.identity)).await
    }
}

/// The address of a node, as it is connected to.
fn address(way: &Way) -> Result<String, TalosError> {
    let address = way.address.map(|address: IpAddr| address.to_string());
    address.or_else(|| way.name.clone()).ok_or_else(|| TalosError::Ours { why: "nobody knows its address".into() })
}

/// A node that waits for its configuration.
async fn waiting(at: &str, port: u16, ours: Option<&Ours>) -> Result<Met, TalosError> {
    match Talos::connect(at, port, Trust::Maintenance).await {
        Ok(talos) => Ok(Met::Waits(talos)),
        Err(TalosError::NotInMaintenance) if ours.is_none() => Err(TalosError::OtherCluster {
            why: "it has a configuration, and no secrets of its cluster are kept here".into(),
        }),
        Err(error) => Err(error),
    }
}

/// A failure as whoever asked is told it.
pub(super) fn failed(host: &NodeName, what: &str, error: TalosError) -> HostError {
    match error {
        TalosError::Unreachable { layer, why } => {
            let layer = match layer {
                TalosLayer::Name => Layer::Name,
                TalosLayer::Tcp | TalosLayer::Connection => Layer::Tcp,
                TalosLayer::Tls => Layer::Tls,
            };
            HostError::Unreachable { host: host.clone(), layer, why }
        }
        error if error.may_pass() => HostError::Busy { host: host.clone(), what: what.into(), why: error.to_string() },
        error => HostError::Failed { host: host.clone(), what: what.into(), why: error.to_string(), log: Vec::new() },
    }
}

/// Why a node could not be looked at.
fn unseen(host: &NodeName, way: &Way, error: TalosError) -> Why {
    let lasts = !error.may_pass();
    match failed(host, "looking at it", error) {
        HostError::Failed { why, .. } if lasts => Why::lasting(format!("{host}: {why}")),
        error @ HostError::Unreachable { .. } => Why { help: Some(where_to_look(way)), ..Why::from(error) },
        error => error.into(),
    }
}

/// What to do about a node that nobody reaches: it has no SSH.
pub fn where_to_look(way: &Way) -> String {
    let own = way.address.map(|it| it.to_string()).or_else(|| way.name.clone());
    let own = own.map(|at| format!("at {at} when it has its configuration"));
    let waits = way.talos.as_ref().and_then(|talos| talos.maintenance);
    let waits = match waits {
        Some(at) => format!("at {at} while it waits for one"),
        None => "while it waits for one where its console says (`existing.maintenanceAddresses` tells it here)".into(),
    };
    let at: Vec<String> = own.into_iter().chain([waits]).collect();
    format!(
        "Talos' API is asked at port {}, {}: look at the machine's console, whether it runs and at which address, and \
         whether that port is let through to it",
        way.port,
        at.join(", and ")
    )
}

#[async_trait]
impl Hosts for TalosHosts {
    async fn observe(&self, probe: Probe<'_>) -> Seen<HostSeen> {
        let looked = async {
            let ours = self.ours()?;
            match self.meet(probe.way, ours.as_ref()).await? {
                Met::Ours(talos) => {
                    let ours = ours.ok_or(TalosError::InMaintenance)?;
                    look::at_ours(&talos, &ours.bundle).await
                }
                Met::Waits(talos) => look::at_waiting(&talos).await,
            }
        };
        match looked.await {
            Ok(seen) => Seen::Present(seen),
            Err(error) => Seen::Unknown(unseen(probe.host, probe.way, error)),
        }
    }

    /// Talos has neither programs nor files to show: that it answers who we are is all that it tells here.
    async fn examine(&self, host: &NodeName, way: &Way) -> Seen<Papers> {
        match self.observe(Probe { host, way, resources: &[], holds_data: false, updates: false }).await {
            Seen::Present(_) => Seen::Present(Papers::default()),
            Seen::Absent => Seen::Absent,
            Seen::Unknown(why) => Seen::Unknown(why),
        }
    }

    async fn change(&self, change: &HostChange, holes: &Holes) -> Result<Report, HostError> {
        let mut report = Report::default();
        for resource in &change.make {
            report.changed |= match resource {
                HostResource::TalosImage(image) => self.runs_from(change, image).await?,
                HostResource::MachineConfig(config) => self.configure(change, config, holes, &mut report.told).await?,
                other => {
                    let why = "Talos has no shell: nothing else can be set there".to_string();
                    return Err(HostError::Failed {
                        host: change.host.clone(),
                        what: other.key(),
                        why,
                        log: Vec::new(),
                    });
                }
            };
        }
        Ok(report)
    }

    async fn run(
        &self,
        host: &NodeName,
        way: &Way,
        recipe: &Recipe,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Report, HostError> {
        let mut report = Report { changed: true, ..Report::default() };
        for step in &recipe.steps {
            let RecipeStep::Talos(call) = step else {
                let (what, why) = (recipe.title.clone(), "Talos has no shell to run that in".to_string());
                return Err(HostError::Failed { host: host.clone(), what, why, log: Vec::new() });
            };
            self.call(host, way, call, holes, &mut report, tell).await?;
        }
        for output in recipe.gives.iter().filter(|output| output.file == TALOS_KUBECONFIG) {
            let told = |error: TalosError| failed(host, "reading the kubeconfig", error);
            let talos = self.meet_ours(way).await.map_err(told)?;
            report.gave.insert(output.hole.clone(), talos.kubeconfig().await.map_err(told)?);
        }
        Ok(report)
    }

    /// Nobody connects from the side of Talos.
    async fn reboot(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        let told = async { self.meet_ours(way).await?.reboot().await };
        told.await.map_err(|error| failed(host, "starting it again", error))
    }

    async fn exec(
        &self,
        host: &NodeName,
        _way: &Way,
        _program: &Program,
        _hears: Hears<'_>,
    ) -> Result<Option<u32>, HostError> {
        let why =
            "it runs Talos, which has no shell and no programs; `kubectl debug node/NAME` starts a pod there".into();
        Err(HostError::Failed { host: host.clone(), what: "running a program".into(), why, log: Vec::new() })
    }

    async fn logs(&self, host: &NodeName, way: &Way, logs: &Logs, hears: Hears<'_>) -> Result<(), HostError> {
        let told = async {
            let talos = self.meet_ours(way).await?;
            let reads = logs.units.iter().map(|unit| talos.log_of(unit, logs.lines, logs.follow, hears));
            futures::future::try_join_all(reads).await.map(drop)
        };
        told.await.map_err(|error| failed(host, "reading its logs", error))
    }

    async fn way_in(&self, host: &NodeName, _way: &Way) -> Result<WayIn, HostError> {
        let why = "it runs Talos, which has no shell and no SSH".into();
        Err(HostError::Failed { host: host.clone(), what: "logging in".into(), why, log: Vec::new() })
    }

    async fn dial(&self, host: &NodeName, _: &Way, _: &HostPort) -> Result<Dialed, DialError> {
        Err(DialError::Forbidden(host.clone()))
    }
}
