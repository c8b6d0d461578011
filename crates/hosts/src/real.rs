//! Hands on real hosts: scripts over connections that are kept.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use kubewright_model::desired::Way;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{HostSeen, Seen};
use kubewright_model::plan::{HostChange, Recipe};

use crate::connections::{Connections, unreachable};
use crate::transport::{Job, run};
use crate::{HostError, Holes, Hosts, Layer, Probe, Report, change, probe, recipe};

/// A look is a second of work; a host whose disk is dying takes its time.
const LOOK: Duration = Duration::from_secs(60);
/// A change may install packages and download a hundred megabytes over a slow line.
const CHANGE: Duration = Duration::from_secs(30 * 60);
/// Between two checks of something that a recipe waits for.
const CHECK_AGAIN: Duration = Duration::from_secs(2);

/// Hands on real hosts, over SSH or on this computer.
pub struct RealHosts {
    connections: Connections,
}

impl RealHosts {
    /// Hands with a user's own keys and SSH configuration (in `home`) and the socket of the SSH agent. Keys of hosts that nobody knew are kept in the
    /// file `known_hosts`.
    ///
    /// # Errors
    ///
    /// The user's SSH configuration cannot be read.
    pub fn new(home: &Path, agent: Option<PathBuf>, known_hosts: PathBuf) -> Result<Self, String> {
        Ok(Self { connections: Connections::new(home, agent, known_hosts)? })
    }

    /// Runs a script's body on a host and returns what it printed.
    async fn script(&self, host: &NodeName, way: &Way, body: &str, deadline: Duration) -> Result<String, HostError> {
        let transport = self.connections.to(host, way).await?;
        match run(&*transport, Job { body, deadline }).await {
            Ok(answer) => Ok(answer.printed),
            Err(refusal) => {
                if refusal.layer == Layer::Tcp || refusal.layer == Layer::Command {
                    self.connections.drop(host).await;
                }
                Err(match refusal.layer {
                    Layer::Command => HostError::Failed {
                        host: host.clone(),
                        what: "a script".into(),
                        why: refusal.why,
                        log: Vec::new(),
                    },
                    _ => unreachable(host, refusal),
                })
            }
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[async_trait]
impl Hosts for RealHosts {
    async fn observe(&self, probe: Probe<'_>) -> Seen<HostSeen> {
        let body = probe::script(probe.resources);
        match self.script(probe.host, probe.way, &body, LOOK).await {
            Err(error) => Seen::unknown(error.to_string()),
            Ok(printed) => match probe::parse(probe.resources, &printed, now()) {
                Ok(facts) => Seen::Present(facts.seen),
                Err(error) => Seen::unknown(format!("{} answers what nobody understands: {error}", probe.host)),
            },
        }
    }

    async fn change(&self, change: &HostChange, holes: &Holes) -> Result<Report, HostError> {
        let body = change::script(change, holes)?;
        let printed = self.script(&change.host, &change.way, &body, CHANGE).await?;
        change::outcome(change, holes, &printed)
    }

    async fn run(
        &self,
        host: &NodeName,
        way: &Way,
        recipe: &Recipe,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Report, HostError> {
        let mut gave = Holes::new();
        for part in recipe::parts(host, recipe, holes)? {
            let begun = tokio::time::Instant::now();
            loop {
                let printed = self.script(host, way, &part.script, part.deadline).await?;
                match part.heard(host, &printed)? {
                    recipe::Heard::Done(given) => {
                        gave.extend(given);
                        break;
                    }
                    recipe::Heard::NotYet(why) if begun.elapsed() < part.deadline => {
                        tell(why);
                        tokio::time::sleep(CHECK_AGAIN).await;
                    }
                    recipe::Heard::NotYet(why) => return Err(part.late(host, why)),
                }
            }
        }
        Ok(Report { changed: true, gave })
    }
}
