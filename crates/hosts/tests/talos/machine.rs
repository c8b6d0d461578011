//! Nodes, what is true of them, and how they start and stop.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;
use tonic::{Code, Status};

use super::config::Configuration;
use super::etcd::Cluster;
use super::{serve, tls};

/// How long a node is away when it restarts.
const DOWN: Duration = Duration::from_millis(150);
/// Between an answer and its consequences.
const SOON: Duration = Duration::from_millis(30);

/// A place with nodes. They live on threads of their own, whatever the test waits for.
pub(crate) struct Site {
    runtime: Option<Runtime>,
    pub(super) shared: Arc<Shared>,
}

/// What nodes know of one another.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) clusters: Mutex<BTreeMap<String, Cluster>>,
    pub(super) nodes: Mutex<Vec<Arc<Node>>>,
}

/// How far a node is, in Talos' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Maintenance,
    Running,
    /// It restarts, or waits for a certificate.
    Away,
    Off,
}

/// A node.
pub(crate) struct Node {
    pub(crate) address: Ipv4Addr,
    pub(super) shared: Arc<Shared>,
    state: Mutex<State>,
    life: Mutex<Option<AbortHandle>>,
}

/// What is true of a node.
pub(crate) struct State {
    pub(crate) stage: Stage,
    pub(crate) version: String,
    pub(crate) schematic: Option<String>,
    pub(super) config: Option<Configuration>,
    /// What is on the disk, when it is not what is in force.
    pub(super) staged: Option<Configuration>,
    /// Path, bytes, model.
    pub(crate) disks: Vec<(String, u64, String)>,
    pub(crate) installed: Option<String>,
    /// Its etcd has data: the member it is.
    pub(super) member: Option<u64>,
    pub(super) snapshot: Option<Vec<u8>>,
    /// Calls that came, by their last word.
    pub(crate) calls: Vec<String>,
    pub(crate) starts: u32,
    faults: Vec<(String, Code, String)>,
}

impl Site {
    pub(crate) fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { runtime: Some(runtime), shared: Arc::default() }
    }

    /// An address of this computer that nobody else has.
    pub(crate) fn address() -> Ipv4Addr {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        // All of 127.0.0.0/8 is this computer; tests of other processes have other addresses.
        Ipv4Addr::from(0x7f10_0000 | (std::process::id() & 0xfff) << 8 | (next & 0xff))
    }

    /// A node that has just started from an ISO.
    pub(crate) fn node(&self, version: &str) -> Arc<Node> {
        let address = Self::address();
        let disk = |path: &str, gib: u64| (path.to_string(), gib << 30, "QEMU HARDDISK".to_string());
        let state = State {
            stage: Stage::Away,
            version: version.to_string(),
            schematic: None,
            config: None,
            staged: None,
            disks: vec![disk("/dev/sda", 20), disk("/dev/sdb", 100)],
            installed: None,
            member: None,
            snapshot: None,
            calls: Vec::new(),
            starts: 0,
            faults: Vec::new(),
        };
        let (state, life) = (Mutex::new(state), Mutex::default());
        let node = Arc::new(Node { address, shared: self.shared.clone(), state, life });
        self.shared.nodes.lock().unwrap().push(node.clone());
        node.power_on(self);
        // Nodes have threads of their own.
        while node.with(|state| state.stage == Stage::Away) {
            std::thread::sleep(Duration::from_millis(2));
        }
        node
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shared.nodes.lock().unwrap().clear();
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Node {
    /// Everything of it, to look at or to change.
    pub(crate) fn with<T>(&self, deed: impl FnOnce(&mut State) -> T) -> T {
        deed(&mut self.state())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The next call with this name is refused.
    pub(crate) fn fault(&self, call: &str, code: Code, message: &str) {
        self.with(|state| state.faults.push((call.to_string(), code, message.to_string())));
    }

    /// Its power is gone: it answers nothing, and stays away.
    pub(crate) fn power_off(&self) {
        self.stop(Stage::Off);
    }

    /// Its power is back.
    pub(crate) fn power_on(self: &Arc<Self>, site: &Site) {
        let _inside = site.runtime.as_ref().unwrap().enter();
        self.clone().boot();
    }

    pub(super) fn called(&self, call: &str) -> Result<(), Status> {
        self.with(|state| {
            state.calls.push(call.to_string());
            let found = state.faults.iter().position(|(name, ..)| name == call);
            found.map_or(Ok(()), |at| {
                let (_, code, message) = state.faults.remove(at);
                Err(Status::new(code, message))
            })
        })
    }

    fn stop(&self, stage: Stage) {
        self.with(|state| state.stage = stage);
        if let Some(life) = self.life.lock().unwrap().take() {
            life.abort();
        }
    }

    /// It goes away after the answer that is on its way, and comes back when something has been done to it.
    pub(super) fn restart(self: &Arc<Self>, deed: impl FnOnce(&mut State) + Send + 'static, comes_back: bool) {
        let node = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SOON).await;
            node.stop(if comes_back { Stage::Away } else { Stage::Off });
            node.with(deed);
            if comes_back {
                tokio::time::sleep(DOWN).await;
                node.boot();
            }
        });
    }

    fn boot(self: Arc<Self>) {
        let node = self.clone();
        let life = tokio::spawn(async move {
            node.with(|state| {
                state.starts += 1;
                state.config = state.staged.take().or(state.config.take());
                state.snapshot = None;
            });
            let (stage, acceptor) = loop {
                if let Some(ready) = node.certificate() {
                    break ready;
                }
                // A worker whose control plane does not answer yet.
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            serve::serve(node, stage, acceptor).await;
        });
        *self.life.lock().unwrap() = Some(life.abort_handle());
    }

    /// Who it is to clients; none while nobody gives it a certificate.
    fn certificate(&self) -> Option<(Stage, tokio_rustls::TlsAcceptor)> {
        let Some(config) = self.with(|state| state.config.clone()) else {
            return Some((Stage::Maintenance, tls::maintenance(self.address)));
        };
        let mut clusters = self.shared.clusters.lock().unwrap();
        if let Some(key) = config.at("machine.ca.key") {
            let cluster = clusters.entry(config.authority()).or_default();
            cluster.trustd = Some((key, config.at("machine.token").unwrap_or_default()));
        }
        let (key, token) = clusters.get(&config.authority())?.trustd.clone()?;
        let known = config.at("machine.token").as_deref() == Some(&token);
        known.then(|| (Stage::Running, tls::member(&config, &key, self.address)))
    }
}

impl State {
    /// `(1, 11)`.
    pub(super) fn minor(&self) -> u32 {
        self.version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or_default()
    }

    /// Maintenance mode is the same service as later, with the role of a reader.
    pub(super) fn unified(&self) -> bool {
        self.minor() >= 13
    }

    pub(super) fn kubelet_image(&self) -> Option<String> {
        self.config.as_ref()?.at("machine.kubelet.image")
    }

    pub(super) fn controls(&self) -> bool {
        self.config.as_ref().is_some_and(Configuration::controls)
    }
}
