//! The engine on hosts that boot systemd: a K3s cluster's whole life as far as hosts have a part in it.
//!
//! K3s itself is a program that stands in for it, unless `KUBEWRIGHT_LIVE_ASSETS` names a folder that holds `k3s`. The
//! Kubernetes API is asked where it is, on the server's host; [`whole`] has a real one, and real hands on it.

mod closed;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kubewright_engine::cluster::{Checked, ClusterApi, ClusterError, RealCluster};
use kubewright_engine::places::Places;
use kubewright_engine::sim::MemoryStore;
use kubewright_engine::store::Store as _;
use kubewright_engine::world::World;
use kubewright_engine::{Engine, Request, RunReport, Stop};
use kubewright_hosts::{Holes, RealHosts, User};
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Desired, DesiredRelease, EXISTING};
use kubewright_model::digest::Digest;
use kubewright_model::event::{Event, Record, RunEnd};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{Namespace, NodeName, Owner, ProviderName, ReleaseName, RunId};
use kubewright_model::object::{Manifest, ObjectId};
use kubewright_model::observed::{ClusterSeen, NodeSeen, Seen};
use kubewright_model::plan::{Ask, NodeMarks, Plan, WorkloadImage};
use kubewright_model::units::Span;
use kubewright_model::version::Version;
use kubewright_providers::Provider;
use kubewright_providers::existing::Existing;

use crate::booted::{BootedHost, world};
use crate::lab::{PORT, skipped};
use crate::yard::{desired, holder};

const VERSION: &str = "v1.33.5+k3s1";

const NEWER: &str = "v1.33.6+k3s1";

/// K3s itself, where there is one.
fn real() -> Option<PathBuf> {
    Some(Path::new(&std::env::var_os("KUBEWRIGHT_LIVE_ASSETS")?).join("k3s"))
}

/// Two hosts, and what is known of them here.
struct Cluster {
    hosts: Arc<Vec<BootedHost>>,
    home: tempfile::TempDir,
    store: MemoryStore,
    runs: Mutex<u32>,
    /// The programs of a real control plane, which the hosts have as well.
    plane: Option<PathBuf>,
}

impl Cluster {
    /// Where this computer cannot run the K3s that it was given, it says so.
    fn start() -> Option<Self> {
        let prepare = match real() {
            None => {
                let said = "KUBEWRIGHT_LIVE_ASSETS is not set: a program stands in for K3s";
                let _ = writeln!(std::io::stderr(), "{said}");
                ""
            }
            Some(real) => {
                assert!(real.is_file(), "KUBEWRIGHT_LIVE_ASSETS names a folder without K3s: {}", real.display());
                let controllers = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap();
                let missing = ["cpu", "cpuset", "memory", "pids"]
                    .iter()
                    .find(|wanted| !controllers.split_whitespace().any(|there| there == **wanted));
                if let Some(missing) = missing {
                    skipped(&format!("K3s needs the controller `{missing}` in the unified control groups"));
                    return None;
                }
                include_str!("hosts/live.sh")
            }
        };
        let hosts = ["server-1", "agent-1"].map(|name| BootedHost::prepared(name, prepare));
        Some(Self::of(hosts.into(), None))
    }

    fn of(hosts: Vec<BootedHost>, plane: Option<PathBuf>) -> Self {
        let key = std::fs::read_to_string(hosts[0].at("user.pub")).unwrap();
        hosts[1].sh(&format!("echo '{}' >>/home/admin/.ssh/authorized_keys", key.trim()));
        let (home, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
        Self { hosts: Arc::new(hosts), home, store, runs: Mutex::new(0), plane }
    }

    /// What is wished: K3s of this version, and more of its server's configuration.
    fn wish(&self, version: &str, server: &str) -> Desired {
        self.wish_with(version, server, "")
    }

    /// The same, and more of the spec.
    fn wish_with(&self, version: &str, server: &str, more: &str) -> Desired {
        let mut desired = desired(&self.spec(version, server, more));
        for host in &mut desired.hosts {
            host.resources.retain(can_be_had);
        }
        desired
    }

    /// The spec itself.
    fn spec(&self, version: &str, server: &str, more: &str) -> String {
        let [one, two] = self.hosts.as_slice() else { panic!("there are two") };
        format!(
            "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes:
    distribution: k3s
    version: {version}
    datastore: sqlite
    mirror: file:{mirror}
    serverConfig: {{ {server} }}
  hosts: {{ ssh: {{ user: admin, port: {PORT}, keyFile: {key} }}, files: {{ /etc/motd: {{ content: 'ours' }} }} }}
  pools:
    servers: {{ role: both, name: {server_1}, addresses: [{at_1}], existing: {{}} }}
    agents: {{ role: agent, name: {agent_1}, addresses: [{at_2}], existing: {{}} }}
{more}",
            mirror = self.mirror(version).display(),
            key = one.at("user").display(),
            server_1 = one.name,
            agent_1 = two.name,
            at_1 = one.address,
            at_2 = two.address,
        )
    }

    /// A folder with what is K3s here, as its publisher has it for both architectures.
    fn mirror(&self, version: &str) -> PathBuf {
        let mirror = self.home.path().join("mirror");
        let release = mirror.join(version);
        std::fs::create_dir_all(&release).unwrap();
        let program = match real().filter(|_| self.plane.is_none()) {
            Some(real) => std::fs::read(real).unwrap(),
            None => {
                let plane = if self.plane.is_some() { include_str!("hosts/plane") } else { "" };
                include_str!("hosts/k3s").replace("@VERSION@", version).replace("# PLANE\n", plane).into_bytes()
            }
        };
        for (file, arch) in [("k3s", "amd64"), ("k3s-arm64", "arm64")] {
            std::fs::write(release.join(file), &program).unwrap();
            let list = format!("{}  {file}\n", Digest::of(&program));
            std::fs::write(release.join(format!("sha256sum-{arch}.txt")), list).unwrap();
        }
        mirror
    }

    /// Whether it is K3s itself.
    fn is_real(&self) -> bool {
        real().is_some()
    }

    /// The version that it has.
    fn version(&self) -> String {
        let Some(real) = real() else { return VERSION.into() };
        let told = Command::new(real).arg("--version").output().unwrap();
        String::from_utf8_lossy(&told.stdout).split_whitespace().nth(2).unwrap().to_string()
    }

    fn engine(&self, desired: &Desired) -> Engine {
        let home = self.home.path();
        let ask = Arc::new(|_: &_| Err("nobody is asked".to_string()));
        let user = User { home: home.into(), agent: None, known_hosts: home.join("known"), ask };
        let hands = kubewright_engine::airgap::hands(Arc::new(RealHosts::new(user).unwrap()), desired);
        let existing: Arc<dyn Provider> = Arc::new(Existing::new(desired));
        let store = Arc::new(self.store.clone());
        let cluster: Arc<dyn ClusterApi> = match &self.plane {
            Some(programs) => Arc::new(
                RealCluster::new(desired, store.clone(), Arc::clone(&hands), home.into())
                    .with_programs(programs)
                    .caching(home.join("cache")),
            ),
            None => Arc::new(Api { hosts: Arc::clone(&self.hosts), desired: desired.clone() }),
        };
        let world = World {
            providers: BTreeMap::from([(ProviderName::from(EXISTING), existing)]),
            silent: BTreeMap::new(),
            hosts: Some(hands),
            cluster: Some(cluster),
            doors: Arc::default(),
            pretend: None,
            saved: kubewright_engine::world::proves(),
            beside: kubewright_engine::world::opens(),
            copies: None,
            places: Places::in_folder(home.into()),
        };
        Engine::new(world, store)
    }

    async fn plan(&self, desired: &Desired, ask: &Ask) -> Plan {
        self.engine(desired).plan(desired, ask, &[]).await.unwrap().plan
    }

    async fn run(&self, desired: &Desired, ask: Ask, sink: &mut (dyn FnMut(&Record) + Send)) -> RunReport {
        let run = {
            let mut runs = self.runs.lock().unwrap();
            *runs += 1;
            RunId::new(format!("run-{runs}"))
        };
        let request = Request { desired, ask, only: &[], approved: None, run, holder: holder("tester@lab") };
        let report = self.engine(desired).apply(&request, &Stop::default(), sink).await;
        report.unwrap_or_else(|error| panic!("{error}\n{error:#?}"))
    }

    /// Makes it so, and finds nothing more to do.
    async fn apply(&self, desired: &Desired, ask: Ask) {
        let report = self.run(desired, ask, &mut |_| {}).await;
        assert_eq!(report.end, RunEnd::Complete, "{report:#?}");
    }

    /// How often each host's K3s has been started.
    fn starts(&self) -> Vec<usize> {
        let of = |host: &BootedHost| {
            let journal = host.sh("journalctl --sync; journalctl --no-pager -o cat -u 'k3s*' -t systemd");
            journal.lines().filter(|line| line.starts_with("Started k3s")).count()
        };
        self.hosts.iter().map(of).collect()
    }
}

/// Modules and settings of the whole kernel are this computer's, which a test leaves alone.
fn can_be_had(resource: &HostResource) -> bool {
    match resource {
        HostResource::Module(name) => Path::new("/sys/module").join(name).exists(),
        HostResource::Sysctl { key, .. } => key.starts_with("net."),
        _ => true,
    }
}

/// The Kubernetes API, by the program on the server's host.
struct Api {
    hosts: Arc<Vec<BootedHost>>,
    desired: Desired,
}

impl Api {
    fn nodes(&self) -> Option<BTreeMap<NodeName, NodeSeen>> {
        let shown = "{range .items[*]}{.metadata.name} {.status.conditions[?(@.type==\"Ready\")].status} \
            {.status.nodeInfo.kubeletVersion}{\"\\n\"}{end}";
        let told = self.hosts[0].sh(&format!(
            "/usr/local/bin/k3s kubectl --kubeconfig /etc/rancher/k3s/k3s.yaml get nodes -o jsonpath='{shown}' || true"
        ));
        let node = |line: &str| {
            let [name, ready, version] = line.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
            let member = self.desired.members.iter().find(|member| member.name.as_str() == name)?;
            let host = self.hosts.iter().find(|host| host.name.as_str() == name)?;
            let seen = NodeSeen {
                ready: ready == "True",
                cordoned: false,
                version: Version::known(version),
                labels: (*member.labels).clone(),
                taints: (*member.taints).clone(),
                given: BTreeSet::new(),
                server: member.role.is_server(),
                address: Some(IpAddr::V4(host.address)),
            };
            Some((member.name.clone(), seen))
        };
        let nodes: BTreeMap<_, _> = told.lines().filter_map(node).collect();
        (!nodes.is_empty()).then_some(nodes)
    }
}

#[async_trait]
impl ClusterApi for Api {
    async fn observe(&self, _: &Desired) -> Seen<ClusterSeen> {
        match self.nodes() {
            None => Seen::Absent,
            Some(nodes) => Seen::Present(ClusterSeen { nodes, ..ClusterSeen::default() }),
        }
    }
    async fn apply(&self, objects: &[Manifest], _: &Owner, _: &Holes) -> Result<bool, ClusterError> {
        panic!("nobody wishes any: {objects:?}")
    }
    async fn take(&self, objects: &[Manifest], _: &Owner, _: &Holes) -> Result<bool, ClusterError> {
        panic!("nobody wishes any: {objects:?}")
    }
    async fn delete(&self, objects: &[ObjectId], _: &Owner) -> Result<(), ClusterError> {
        panic!("there are none: {objects:?}")
    }
    async fn install(
        &self,
        release: &DesiredRelease,
        _: &Owner,
        _: &Holes,
        _: &(dyn Fn(String) + Send + Sync),
    ) -> Result<bool, ClusterError> {
        panic!("nobody wishes any: {release:?}")
    }
    async fn remove(&self, name: &ReleaseName, _: &Namespace) -> Result<(), ClusterError> {
        panic!("there are none: {name}")
    }
    async fn cordon(&self, _: &NodeName, _: bool) -> Result<(), ClusterError> {
        Ok(())
    }
    async fn drain(&self, _: &NodeName, _: Span, _: &(dyn Fn(String) + Send + Sync)) -> Result<(), ClusterError> {
        Ok(())
    }
    async fn mark(&self, _: &NodeMarks) -> Result<bool, ClusterError> {
        Ok(true)
    }
    async fn set_image(&self, wish: &WorkloadImage) -> Result<bool, ClusterError> {
        panic!("there is none: {wish}")
    }
    async fn forget(&self, _: &NodeName) -> Result<(), ClusterError> {
        Ok(())
    }
    async fn check(&self, condition: &Condition) -> Result<Checked, ClusterError> {
        let nodes = self.nodes().unwrap_or_default();
        let holds = match condition {
            Condition::NodesReady { nodes: wanted, at_least } => {
                wanted.iter().filter(|name| nodes.get(*name).is_some_and(|node| node.ready)).count() >= *at_least
            }
            _ => !nodes.is_empty(),
        };
        Ok(Checked { holds, saw: format!("{nodes:?}"), ..Checked::default() })
    }
}

/// Every host has booted so often, and all nodes are Ready again.
async fn is_up(cluster: &Cluster, desired: &Desired, boot: usize) {
    for host in cluster.hosts.iter() {
        host.is_up(boot);
    }
    let api = Api { hosts: Arc::clone(&cluster.hosts), desired: desired.clone() };
    while !api.nodes().is_some_and(|nodes| nodes.len() == 2 && nodes.values().all(|node| node.ready)) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn lives() {
    let Some(cluster) = Cluster::start() else { return };
    let [server, agent] = cluster.hosts.as_slice() else { panic!("there are two") };
    let version = cluster.version();
    let first = cluster.wish(&version, "");
    cluster.apply(&first, Ask::Apply).await;
    assert_eq!(server.sh("systemctl is-active k3s; systemctl is-enabled k3s"), "active\nenabled\n");
    assert_eq!(agent.sh("systemctl is-active k3s-agent; systemctl is-enabled k3s-agent"), "active\nenabled\n");
    let token = server.sh("stat -c '%a %U' /etc/rancher/k3s/token; cat /etc/rancher/k3s/token");
    assert!(token.starts_with("600 root\n") && token.len() > 40, "{token}");
    assert_eq!(agent.sh("stat -c '%a %U' /etc/rancher/k3s/token; cat /etc/rancher/k3s/token"), token);
    let kept = cluster.store.secret(&first.cluster, "kubeconfig").unwrap().expect("it is kept");
    assert!(kept.expose().contains(&format!("https://{}:6443", server.address)), "{}", kept.expose());
    assert_eq!(cluster.starts(), [1, 1]);
    assert!(cluster.plan(&first, &Ask::Apply).await.is_empty());

    // Who reads something else starts again, and nobody else does.
    let second = cluster.wish(&version, "debug: true");
    cluster.apply(&second, Ask::Apply).await;
    assert_eq!(cluster.starts(), [2, 1]);

    for host in cluster.hosts.iter() {
        host.sh("systemctl reboot");
    }
    is_up(&cluster, &second, 2).await;
    let plan = cluster.plan(&second, &Ask::Apply).await;
    assert!(plan.is_empty(), "{plan:#?}");

    if !cluster.is_real() {
        let third = cluster.wish(NEWER, "debug: true");
        cluster.apply(&third, Ask::Apply).await;
        for (host, unit) in [(server, "k3s"), (agent, "k3s-agent")] {
            assert!(
                host.sh(&format!("journalctl --sync; journalctl -u {unit} -o cat | tail -n 20")).contains(NEWER),
                "{}",
                host.name
            );
        }
    }
    cluster.apply(&second, Ask::Destroy).await;
    nothing_is_left(&cluster);
}

fn nothing_is_left(cluster: &Cluster) {
    for host in cluster.hosts.iter() {
        let gone = "/usr/local/bin/k3s /etc/rancher/k3s /var/lib/rancher/k3s /var/lib/kubewright";
        assert_eq!(host.sh(&format!("ls -d {gone} 2>/dev/null || true")), "");
        assert_eq!(
            host.sh("systemctl list-unit-files --no-legend 'k3s*'; pgrep -c -f '/usr/local/bin/[k]3s|[k]ube-|[e]tcd' || true"),
            "0\n"
        );
    }
}

#[test]
fn k3s_lives_on_two_hosts() {
    world(|| block_on(lives()));
}

/// The agent's host starts again while it joins.
async fn goes_on() {
    let Some(cluster) = Cluster::start() else { return };
    let wish = cluster.wish(&cluster.version(), "");
    let agent = &cluster.hosts[1];
    let mut hit = |record: &Record| match &record.event {
        Event::StepStarted { step, .. } if step.as_str().starts_with("join/") => drop(agent.sh("systemctl reboot")),
        _ => {}
    };
    let report = cluster.run(&wish, Ask::Apply, &mut hit).await;
    agent.is_up(2);
    // It is tried again by itself, for longer than a boot takes; else running again finishes the job.
    if report.end != RunEnd::Complete {
        cluster.apply(&wish, Ask::Apply).await;
    }
    assert!(cluster.plan(&wish, &Ask::Apply).await.is_empty());
}

#[test]
fn a_host_that_reboots_while_it_joins_is_joined() {
    world(|| block_on(goes_on()));
}

fn block_on(deeds: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(deeds);
}
