//! Nodes, what is true of them, and how they start and stop.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

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
/// From v1.13 on the API answers for so long before the disk is mounted.
const MOUNTS: Duration = Duration::from_millis(60);
/// A kubelet goes on for so long after it was told to be another one, and is away for so long.
const KUBELET: (Duration, Duration) = (Duration::from_millis(600), Duration::from_millis(200));
/// Static pods are made anew so long after their kubelet.
const PODS: Duration = Duration::from_millis(600);

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
    /// The disk is mounted that everything but the configuration is on.
    pub(crate) mounted: bool,
    /// It cannot be mounted: nothing decrypts it.
    pub(crate) locked: bool,
    /// The image that the kubelet runs from, and since when; none while it does not run.
    pub(crate) kubelet: Option<(String, SystemTime)>,
    /// Since when the kubelet is to run from what it is to.
    pub(super) wished: SystemTime,
    /// The images that the pods of the control plane run from, by their names.
    pub(crate) pods: BTreeMap<String, String>,
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
            mounted: true,
            locked: false,
            kubelet: None,
            wished: SystemTime::now(),
            pods: BTreeMap::new(),
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
    /// The snapshot of etcd that it was given to begin with.
    pub(crate) fn given(&self) -> Option<Vec<u8>> {
        self.with(|state| state.snapshot.clone())
    }

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
                state.mounted = state.config.is_none();
                (state.kubelet, state.pods) = (None, BTreeMap::new());
                state.wished = SystemTime::now();
            });
            if node.with(|state| !state.mounted && !state.unified()) {
                node.mounts().await;
            }
            let (stage, acceptor) = loop {
                if let Some(ready) = node.certificate() {
                    break ready;
                }
                // A worker whose control plane does not answer yet.
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            let there = node.clone();
            tokio::join!(there.mounts(), serve::serve(node, stage, acceptor));
        });
        *self.life.lock().unwrap() = Some(life.abort_handle());
    }

    /// The disk is mounted, and what is on it starts.
    async fn mounts(&self) {
        while self.with(|state| state.locked || !state.mounted && state.stage != Stage::Running && state.unified()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if self.with(|state| state.mounted) {
            return;
        }
        if self.with(|state| state.unified()) {
            tokio::time::sleep(MOUNTS).await;
        }
        self.with(|state| {
            state.mounted = true;
            state.kubelet = Some((state.kubelet_image(), SystemTime::now()));
            state.pods = state.wished_pods();
        });
        self.joins();
    }

    /// What a configuration that was taken while the node runs makes of its kubelet and of its control plane.
    pub(super) fn rolls(self: &Arc<Self>) {
        let node = self.clone();
        let image = |state: &State| state.kubelet.as_ref().map(|(image, _)| image.clone());
        let turn = self.with(|state| {
            (image(state) != Some(state.kubelet_image())).then(|| {
                state.wished = SystemTime::now();
                state.wished
            })
        });
        tokio::spawn(async move {
            if turn.is_some() {
                tokio::time::sleep(KUBELET.0).await;
                node.with(|state| state.kubelet = None);
                tokio::time::sleep(KUBELET.1).await;
                node.with(|state| state.kubelet = Some((state.kubelet_image(), SystemTime::now())));
            }
            tokio::time::sleep(PODS).await;
            node.with(|state| state.pods = state.wished_pods());
        });
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

    /// It has come as far as its etcd and its kubelet.
    pub(super) fn runs(&self) -> bool {
        self.stage == Stage::Running && self.mounted
    }

    /// Maintenance mode is the same service as later, with the role of a reader.
    pub(super) fn unified(&self) -> bool {
        self.minor() >= 13
    }

    /// The image that the kubelet is to run from; Talos has one of its own to go by.
    pub(super) fn kubelet_image(&self) -> String {
        let said = self.config.as_ref().and_then(|config| config.image("machine.kubelet", "KubeletConfig"));
        said.unwrap_or_else(|| "ghcr.io/siderolabs/kubelet:v1.34.0".into())
    }

    /// The pods of a control plane, and the images that they are to run from.
    pub(super) fn wished_pods(&self) -> BTreeMap<String, String> {
        let pods = [
            ("kube-apiserver", "cluster.apiServer", "KubeAPIServerConfig"),
            ("kube-controller-manager", "cluster.controllerManager", "KubeControllerManagerConfig"),
            ("kube-scheduler", "cluster.scheduler", "KubeSchedulerConfig"),
        ];
        let Some(config) = self.config.as_ref().filter(|config| config.controls()) else { return BTreeMap::new() };
        let image = |name: &str, at: &str, kind: &str| {
            config.image(at, kind).unwrap_or_else(|| format!("registry.k8s.io/{name}:v1.34.0"))
        };
        pods.map(|(name, at, kind)| (name.to_string(), image(name, at, kind))).into()
    }

    pub(super) fn controls(&self) -> bool {
        self.config.as_ref().is_some_and(Configuration::controls)
    }
}
