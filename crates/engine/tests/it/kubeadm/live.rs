//! What we do with kubeadm, done: real kubeadm, kubelets, containerd, runc, etcd and control planes, on hosts that boot
//! systemd. The recipes are those that the compiler gives for a spec, and the hands are the real ones, over SSH.
//!
//! No registry is asked for anything: the programs are in the folder that `KUBEBUILDER_ASSETS` names, downloads come from a
//! web server of the test, and images are made of the programs. Names and versions are as asked for; etcd's may be another
//! patch than its image says. CoreDNS is a stand-in that does nothing, and so is kube-proxy where the folder has none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kubewright_engine::cluster::RealCluster;
use kubewright_engine::places::Places;
use kubewright_engine::sim::MemoryStore;
use kubewright_engine::world::World;
use kubewright_engine::{Engine, Request, Stop};
use kubewright_hosts::{Holes, HostError, Hosts, Probe, RealHosts, Report, User};
use kubewright_model::desired::{Desired, DesiredHost, EXISTING, FORGOTTEN, MemberRecipes};
use kubewright_model::event::{Event, Record, RunEnd};
use kubewright_model::host::{DownloadWish, HostResource, Proof};
use kubewright_model::ids::{ProviderName, RunId};
use kubewright_model::observed::{KubernetesSeen, Seen};
use kubewright_model::plan::{Ask, HostChange};
use kubewright_model::recipe::{Recipe, RecipeStep};
use kubewright_model::secret::Secret;
use kubewright_model::text::Text;
use kubewright_providers::Provider;
use kubewright_providers::existing::Existing;

use crate::booted::{BootedHost, Kind, world_of};
use crate::lab::{PORT, skipped};
use crate::yard::{desired, holder};

/// Who serves downloads, as hosts see it.
const HERE: &str = "10.77.0.1:8000";
/// Hosts with containers; kubeadm waits for minutes where a computer is busy.
const KIND: Kind = Kind { limits: true, hangs: 3000 };
/// As long as a kubelet takes to be noticed.
const SOON: Duration = Duration::from_secs(300);
/// It is set in a world of old control groups.
const OLD_GROUPS: &str = "KUBEWRIGHT_LAB_GROUPS";
/// Their addresses begin with 10.77.0.2.
const HOSTS: [&str; 3] = ["one", "two", "three"];
/// How kubectl is told on a server.
const KUBECTL: &str = "/usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf";

/// What has to be in the folder, beside what the images are made of.
const PROGRAMS: [&str; 19] = [
    "kubeadm",
    "kubelet",
    "kubectl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "etcd",
    "etcdctl",
    "etcdutl",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "crictl",
    "busybox",
    "bridge",
    "host-local",
    "loopback",
    "portmap",
];

/// The folder with the programs; where one is missing, the test says so and is over.
fn assets() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) else {
        skipped("KUBEBUILDER_ASSETS names no folder with the programs of a kubeadm cluster");
        return None;
    };
    if let Some(program) = PROGRAMS.iter().find(|program| !folder.join(program).is_file()) {
        skipped(&format!("{program} is not in {}", folder.display()));
        return None;
    }
    Some(folder)
}

/// Hosts, what serves them, and the values of holes.
struct Lab {
    assets: PathBuf,
    folder: tempfile::TempDir,
    hosts: Vec<BootedHost>,
    hands: Arc<RealHosts>,
    server: Child,
    holes: Holes,
    version: String,
}

impl Lab {
    /// So many hosts that nothing was done to: `one`, `two`, `three`.
    fn of(assets: PathBuf, hosts: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let kubeadm = |words: &[&str]| {
            let told = Command::new(assets.join("kubeadm")).args(words).output().unwrap();
            assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
            String::from_utf8(told.stdout).unwrap().trim().to_string()
        };
        let version = kubeadm(&["version", "-o", "short"]);
        // Without an address it would look for the way out, which there is none of here.
        let asks = format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {{ advertiseAddress: 10.77.0.1 }}\n\
             ---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: {version}\n"
        );
        std::fs::write(at("asks"), asks).unwrap();
        let images = kubeadm(&["config", "images", "list", "--config", at("asks").to_str().unwrap()]);
        std::fs::create_dir_all(at("images")).unwrap();
        std::fs::create_dir_all(at("mirror")).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/kubeadm/images.sh");
        done(Command::new("sh").arg(script).arg(&assets).arg(at("images/all.tar")).args(images.lines()));
        let words = ["-m", "http.server", "--bind", "10.77.0.1", "8000", "--directory"];
        let mut server = Command::new("python3");
        let server = server.args(words).arg(at("mirror")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let prepare = include_str!("host.sh").replace("IMAGES", at("images").to_str().unwrap());
        let booted = HOSTS.into_iter().take(hosts).map(|name| BootedHost::prepared(name, &prepare));
        let hosts: Vec<BootedHost> = booted.collect();
        let key = std::fs::read_to_string(hosts[0].at("user.pub")).unwrap();
        for host in &hosts[1..] {
            host.sh(&format!("echo '{}' >>/home/admin/.ssh/authorized_keys", key.trim()));
        }
        let ask = Arc::new(|_: &_| Err("nobody is asked".to_string()));
        let user = User { home: folder.path().into(), agent: None, known_hosts: at("known"), ask };
        let secret = |name: &str, value: &str| (name.into(), Secret::new(value.to_string()));
        let key = "0123456789abcdef".repeat(4);
        let holes = [secret("secret/join-token", "012345.0123456789012345"), secret("secret/certificate-key", &key)];
        let hands = Arc::new(RealHosts::new(user).unwrap().saving_to(&at("kept")));
        Self { assets, folder, hosts, hands, server, holes: holes.into(), version }
    }

    /// A cluster of these members, `server` or `agent` each, on the hosts in their order, whether these are there or not.
    fn wish(&self, roles: &[&str]) -> Desired {
        self.wish_at(HOSTS[0], roles)
    }

    /// The same, whose endpoint is that host.
    fn wish_at(&self, endpoint: &str, roles: &[&str]) -> Desired {
        let pools = roles.iter().zip(HOSTS).zip(2..).map(|((role, host), at)| {
            let marks = if *role == "agent" { ", labels: { disk: ssd }, taints: ['only=batch:NoSchedule']" } else { "" };
            format!("    {host}: {{ role: {role}, name: {role}-{host}, addresses: [10.77.0.{at}], existing: {{}}{marks} }}\n")
        });
        let pools: String = pools.collect();
        let (key, first, version) =
            (self.hosts[0].at("user").display().to_string(), self.host(endpoint).address, &self.version);
        let mut desired = desired(&format!(
            "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes:
    distribution: kubeadm
    version: {version}
    containerd: {{ version: v2.1.9 }}
    podNetwork: 10.244.0.0/16
    serviceNetwork: 10.96.0.0/16
    endpoint: {{ host: {first} }}
  network: {{ cidr: 10.77.0.0/24 }}
  hosts: {{ ssh: {{ user: admin, port: {PORT}, keyFile: {key} }} }}
  pools:
{pools}"
        ));
        for host in &mut desired.hosts {
            host.resources.retain(can_be_had);
            host.resources.iter_mut().for_each(|resource| self.serve(resource));
            host.resources.iter_mut().for_each(told_of_missing_power);
        }
        let recipes = desired.members.iter_mut().map(|member| &mut member.recipes);
        for MemberRecipes { init, join, admit, restore, .. } in
            recipes.filter(|_| std::env::var_os(OLD_GROUPS).is_some())
        {
            init.iter_mut().chain([join]).chain(admit).chain(restore).for_each(told_of_old_groups);
        }
        desired
    }

    /// A download is had from here, under the names that its publisher has.
    fn serve(&self, resource: &mut HostResource) {
        let HostResource::Download(wish) = resource else { return };
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let mirror = self.folder.path().join("mirror");
        let here = |url: &str| mirror.join(url.strip_prefix("https://").unwrap().replace("{arch}", arch));
        let file = here(&wish.artifact.url);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let Proof::Checksums { url, .. } = &wish.artifact.proof else { panic!("{wish:?}") };
        let list = here(url);
        self.publish(wish, &file);
        let told =
            Command::new("sha256sum").arg(file.file_name().unwrap()).current_dir(file.parent().unwrap()).output();
        let told = String::from_utf8(told.unwrap().stdout).unwrap();
        std::fs::write(list, told).unwrap();
        let moved = |url: &str| url.replace("https://", &format!("http://{HERE}/"));
        let proof = match &wish.artifact.proof {
            Proof::Checksums { url, file } => Proof::Checksums { url: moved(url), file: file.clone() },
            proof @ Proof::Sha256(_) => proof.clone(),
        };
        wish.artifact.url = moved(&wish.artifact.url);
        wish.artifact.proof = proof;
    }

    /// Makes a file as it is published: the program itself, or an archive of those of its kind.
    fn publish(&self, wish: &DownloadWish, file: &Path) {
        let name = |path: &str| path.rsplit('/').next().unwrap().to_string();
        if file.exists() {
            return;
        }
        let Some(member) = &wish.member else {
            std::fs::copy(self.assets.join(name(&wish.path)), file).unwrap();
            return;
        };
        let kin: &[&str] = match name(member).as_str() {
            "containerd" => &["containerd", "containerd-shim-runc-v2", "ctr"],
            "crictl" => &["crictl"],
            _ => &["bridge", "host-local", "loopback", "portmap"],
        };
        let inner = member.strip_suffix(&name(member)).unwrap();
        let mut tar = Command::new("tar");
        tar.args(["--transform", &format!("s|^|{inner}|"), "--use-compress-program=gzip -1", "-cf"]).arg(file);
        done(tar.arg("-C").arg(&self.assets).args(kin));
    }

    /// What kubectl says on this side, with the kubeconfig that came back.
    fn asked_from_here(&self, words: &[&str]) -> String {
        let kubeconfig = self.folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, self.holes["cluster/kubeconfig"].expose()).unwrap();
        let told = Command::new(self.assets.join("kubectl")).arg("--kubeconfig").arg(kubeconfig).args(words).output();
        let told = told.unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    }

    fn host(&self, name: &str) -> &BootedHost {
        self.hosts.iter().find(|host| host.name.as_str() == name).unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn done(command: &mut Command) {
    let told = command.output().unwrap();
    assert!(told.status.success(), "{command:?}: {}", String::from_utf8_lossy(&told.stderr));
}

/// Modules and settings of the whole kernel are this computer's, which a test leaves alone.
fn can_be_had(resource: &HostResource) -> bool {
    match resource {
        HostResource::Module(name) => Path::new("/sys/module").join(name).exists(),
        HostResource::Sysctl { key, .. } => {
            Path::new("/proc/sys").join(key.replace('.', "/")).exists() && !key.contains("bridge")
        }
        _ => true,
    }
}

/// Who may not be spared when memory runs out cannot spare containers, which containerd has to be told.
/// <https://github.com/containerd/containerd/blob/v2.1.0/docs/cri/config.md>
fn told_of_missing_power(resource: &mut HostResource) {
    const SYS_RESOURCE: u32 = 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mine = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let has = u64::from_str_radix(mine.trim(), 16).unwrap() >> SYS_RESOURCE & 1 == 1;
    let HostResource::File(file) = resource else { return };
    if file.path == "/etc/containerd/config.toml" && !has {
        let restricted = "\n[plugins.\"io.containerd.cri.v1.runtime\"]\n  restrict_oom_score_adj = true\n";
        file.content = file.content.clone().and(restricted);
    }
}

/// A computer with the old control groups is one that kubeadm and kubelets take only when they are told so.
fn told_of_old_groups(recipe: &mut Arc<Recipe>) {
    for step in &mut Arc::make_mut(recipe).steps {
        let RecipeStep::Write(file) = step else { continue };
        let text = serde_json::to_string(&file.content).unwrap();
        let ignores = "nodeRegistration:\\n  ignorePreflightErrors: [SystemVerification]\\n";
        let text = text.replace("nodeRegistration:\\n", ignores);
        let text = text.replace("serverTLSBootstrap:", "failCgroupV1: false\\nserverTLSBootstrap:");
        file.content = serde_json::from_str::<Text>(&text).unwrap();
    }
}

/// A member and its host.
struct Member<'l> {
    lab: &'l Lab,
    wish: DesiredHost,
    recipes: MemberRecipes,
    node: String,
    desired: Desired,
}

impl Lab {
    fn member(&self, desired: &Desired, host: &str) -> Member<'_> {
        let at = desired.hosts.iter().position(|it| it.name.as_str().ends_with(&format!("-{host}"))).unwrap();
        let wish = desired.hosts[at].clone();
        let member = desired.members.iter().find(|member| member.name == wish.name).unwrap();
        let recipes = member.recipes.clone();
        Member { lab: self, node: wish.name.to_string(), wish, recipes, desired: desired.clone() }
    }
}

impl Member<'_> {
    fn booted(&self) -> &BootedHost {
        self.lab.host(self.node.rsplit('-').next().unwrap())
    }

    fn sh(&self, script: &str) -> String {
        self.booted().sh(script)
    }

    /// Its host becomes what the spec says of it; whether that changed anything.
    async fn set_up(&self) -> bool {
        let change = HostChange::making(&self.wish, Some(&self.desired.owner), self.wish.resources.clone());
        let report = self.lab.hands.change(&change, &self.lab.holes).await;
        report.unwrap_or_else(|error| panic!("{error:#?}\n{}", self.log())).changed
    }

    async fn try_run(&self, recipe: &Recipe) -> Result<Report, HostError> {
        let started = Instant::now();
        let ended = self.lab.hands.run(&self.wish.name, &self.wish.way, recipe, &self.lab.holes, &|_| {}).await;
        eprintln!(
            "{}: {} ({} s): {}",
            self.node,
            recipe.title,
            started.elapsed().as_secs(),
            match &ended {
                Ok(report) if report.changed => "changed".to_string(),
                Ok(_) => "nothing to do".to_string(),
                Err(error) => error.to_string(),
            }
        );
        ended
    }

    async fn run(&self, recipe: &Recipe) -> Report {
        self.try_run(recipe).await.unwrap_or_else(|error| panic!("{error:#?}\n{}", self.log()))
    }

    /// What is to be seen where something went wrong.
    fn log(&self) -> String {
        self.sh("journalctl --no-pager -o cat -u kubelet -u containerd | grep -v 'mirror pod' | tail -n 60; /usr/local/bin/crictl ps -a || true; df -h")
    }

    /// What the probe sees of Kubernetes.
    async fn seen(&self) -> Option<KubernetesSeen> {
        let probe = Probe {
            host: &self.wish.name,
            way: &self.wish.way,
            resources: &self.wish.resources,
            holds_data: false,
            updates: false,
        };
        match self.lab.hands.observe(probe).await {
            Seen::Present(seen) => seen.kubernetes,
            other => panic!("{other:?}"),
        }
    }

    fn kubectl(&self, words: &str) -> String {
        self.sh(&format!("{KUBECTL} {words}"))
    }

    /// Waits until a command on the host says that it holds.
    fn until(&self, script: &str) {
        let deadline = Instant::now() + SOON;
        while self.sh(&format!("({script}) >/dev/null 2>&1 && echo yes || echo no")) != "yes\n" {
            assert!(Instant::now() < deadline, "{}: {script}\n{}", self.node, self.log());
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    fn is_ready(&self, node: &str) {
        self.until(&format!("{KUBECTL} wait --for=condition=Ready --timeout=5s node/{node}"));
    }
}

fn block_on(deeds: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(deeds);
}

/// The first server; its authority is known from then on.
async fn begin(lab: &mut Lab, desired: &Desired) {
    let one = lab.member(desired, "one");
    assert!(one.set_up().await);
    assert!(!one.set_up().await, "a second time changes nothing");
    let gave = one.run(one.recipes.init.as_ref().unwrap()).await.gave;
    let names: Vec<&str> = gave.keys().map(|hole| hole.as_str()).collect();
    assert_eq!(names, ["cluster/ca", "cluster/kubeconfig"]);
    let holes: BTreeMap<_, _> = gave.into_iter().chain(lab.holes.clone()).collect();
    lab.holes = holes;
}

/// All that a run of a recipe might have changed of a member.
fn state(member: &Member<'_>) -> String {
    let files =
        "find /etc/kubernetes /var/lib/kubelet/config.yaml -type f ! -path '*/kubewright/*' -exec stat -c '%n %Y' {} +";
    let units = "systemctl show -p ActiveEnterTimestampMonotonic kubelet containerd";
    member.sh(&format!("{files} | sort; {units}; /usr/local/bin/crictl ps -q --name '^(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)$' | sort"))
}

/// A cluster begins with one server.
async fn begins(lab: &mut Lab, desired: &Desired) {
    begin(lab, desired).await;
    let one = lab.member(desired, "one");
    let asked = lab.asked_from_here(&["get", "--raw", "/readyz"]);
    assert_eq!(asked, "ok", "the kubeconfig that came back leads to the API");
    one.is_ready("server-one");
    one.until("test $(/usr/local/bin/crictl ps -q | wc -l) -ge 6");
    let seen = one.seen().await.unwrap();
    assert!(seen.joined && seen.serving && !seen.under_way, "{seen:?}");
    assert_eq!(seen.version.unwrap().to_string(), lab.version);
    let before = state(&one);
    one.run(one.recipes.init.as_ref().unwrap()).await;
    one.run(one.recipes.belong.as_ref().unwrap()).await;
    assert_eq!(state(&one), before, "a second run changes nothing");
    assert_eq!(one.sh("ls /etc/kubernetes/kubewright"), "", "what lets nodes in is gone");
    eprintln!("{}", one.kubectl("get nodes,pods -A -o wide"));
}

/// An agent joins, by what was written down for it and is gone afterwards.
async fn gains_an_agent(lab: &Lab, desired: &Desired) {
    let (one, agent) = (lab.member(desired, "one"), lab.member(desired, "three"));
    agent.set_up().await;
    agent.run(&agent.recipes.join).await;
    one.is_ready("agent-three");
    assert_eq!(agent.sh("ls /etc/kubernetes/kubewright"), "");
    let seen = agent.seen().await.unwrap();
    assert!(seen.joined && !seen.serving && !seen.under_way, "{seen:?}");
    let marks = "{.metadata.labels.disk} {.metadata.labels.kubewright\\.dev/pool} {.spec.taints[*].key} {.spec.taints[*].effect}";
    let marks = one.kubectl(&format!("get node agent-three -o jsonpath='{marks}'"));
    assert_eq!(marks, "ssd three only NoSchedule");
    one.until(&format!("{KUBECTL} get csr | grep 'kubelet-serving *system:node:agent-three'"));
    let asked = "{range .items[?(@.spec.signerName==\"kubernetes.io/kubelet-serving\")]}{.spec.username} {.metadata.name}{\"\\n\"}{end}";
    let asked = one.kubectl(&format!("get csr -o jsonpath='{asked}'"));
    eprint!("{}", one.kubectl("get csr"));
    let name = asked.lines().find_map(|line| line.strip_prefix("system:node:agent-three ")).expect("its kubelet asks");
    one.kubectl(&format!("certificate approve {name}"));
    agent.until("test -e /var/lib/kubelet/pki/kubelet-server-current.pem");
    let before = state(&agent);
    agent.run(&agent.recipes.join).await;
    assert_eq!(state(&agent), before, "a second run changes nothing");
}

/// A member leaves its host, which is as it was.
async fn leaves(member: &Member<'_>) {
    for _ in 0..2 {
        member.run(&member.recipes.leave).await;
    }
    nothing_is_left(member.booted());
    assert_eq!(member.seen().await, None);
}

fn nothing_is_left(host: &BootedHost) {
    // Disks of the host's own stay, empty: here two of these.
    let folders = "/etc/kubernetes /var/lib/etcd /etc/cni/net.d /var/lib/cni /opt/cni/bin /run/containerd /usr/libexec/kubernetes \
        /var/log/pods /var/lib/kubelet/* /var/lib/containerd/*";
    let left = format!(
        "ls -d {folders} 2>/dev/null; pgrep -a 'containerd|kube|etcd|runc'; ip -o link | grep -E 'cni0|veth'; \
         grep -E ' (/run/containerd|/var/lib/kubelet/.*|/run/netns/cni-.*) ' /proc/mounts; iptables-save | grep -E 'KUBE|CNI'; \
         systemctl list-unit-files --no-legend 'kubelet*' 'containerd*'; systemctl --failed --no-legend; \
         systemctl list-units --all --no-legend --plain 'kubepods*' 'cri-*'"
    );
    assert_eq!(host.sh(&left), "", "{}", host.name);
}

/// Who is in etcd, by a server.
fn voters(member: &Member<'_>) -> Vec<String> {
    let pki = "/etc/kubernetes/pki/etcd";
    let told = member.sh(&format!(
        "export PATH=$PATH:/usr/local/bin; crictl exec $(crictl ps -q --name '^etcd$') etcdctl --cacert {pki}/ca.crt \
         --cert {pki}/healthcheck-client.crt --key {pki}/healthcheck-client.key member list"
    ));
    let voter = |line: &str| line.ends_with(", false").then(|| line.split(", ").nth(2).unwrap().to_string());
    let mut voters: Vec<String> = told.lines().filter_map(voter).collect();
    voters.sort();
    voters
}

/// Two servers more, of which one goes again.
async fn gains_and_loses_servers(lab: &mut Lab, desired: &Desired) {
    let forgotten = Secret::new(format!("server-three https://{}:2380", lab.host("three").address));
    lab.holes.insert(FORGOTTEN.into(), forgotten);
    let one = lab.member(desired, "one");
    one.run(one.recipes.admit.as_ref().unwrap()).await;
    for (host, all) in [("two", "server-one server-two"), ("three", "server-one server-three server-two")] {
        let server = lab.member(desired, host);
        server.set_up().await;
        let gave = server.run(&server.recipes.join).await.gave;
        assert!(gave.keys().any(|hole| hole.as_str() == "cluster/kubeconfig"));
        one.is_ready(&server.node);
        assert_eq!(voters(&one).join(" "), all);
        assert!(server.seen().await.unwrap().serving);
    }
    let (two, three) = (lab.member(desired, "two"), lab.member(desired, "three"));
    leaves(&three).await;
    for _ in 0..2 {
        one.run(one.recipes.forget.as_ref().unwrap()).await;
        assert_eq!(voters(&one), ["server-one", "server-two"]);
    }
    one.kubectl("delete node server-three");
    for server in [&one, &two] {
        assert_eq!(
            server.sh(&format!("{KUBECTL} --server https://{}:6443 get --raw /readyz", server.booted().address)),
            "ok"
        );
        one.is_ready(&server.node);
    }
}

/// What is saved, and what is renewed.
async fn is_kept(lab: &Lab, desired: &Desired) {
    let one = lab.member(desired, "one");
    one.run(one.recipes.snapshot.as_ref().unwrap()).await;
    let saved = one.sh("ls /var/backups/kubewright; ls /var/lib/etcd");
    let [db, archive, "member"] = saved.lines().collect::<Vec<_>>()[..] else { panic!("{saved}") };
    assert!(db.ends_with(".db") && archive.ends_with(".pki.tar"), "{saved}");
    let folder = one.booted().at("disk/root/var/backups/kubewright");
    let told = Command::new(lab.assets.join("etcdutl"))
        .args(["snapshot", "status", "-w", "table"])
        .arg(folder.join(db))
        .output();
    let told = told.unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    eprintln!("{}", String::from_utf8_lossy(&told.stdout));
    let names = one.sh(&format!("tar tf /var/backups/kubewright/{archive}"));
    assert!(
        ["pki/ca.key", "pki/etcd/ca.key", "pki/sa.key"].iter().all(|key| names.lines().any(|name| name == *key)),
        "{names}"
    );

    let ends = "/usr/local/bin/kubeadm certs check-expiration 2>/dev/null | sed -n '/^CERTIFICATE/,/^$/p'";
    let serves = format!(
        "openssl s_client -connect {}:6443 </dev/null 2>/dev/null | openssl x509 -noout -serial -startdate",
        one.booted().address
    );
    let (ended, served, ran) = (one.sh(ends), one.sh(&serves), state(&one));
    one.sh("systemctl start kubewright-renew-certificates.service");
    assert_ne!(one.sh(&serves), served, "the API server has the new one");
    assert_ne!(state(&one), ran);
    eprintln!("{ended}{served}{}{}", one.sh(ends), one.sh(&serves));
    one.is_ready("server-one");
}

async fn lives(assets: PathBuf) {
    let mut lab = Lab::of(assets, 3);
    let desired = lab.wish(&["server", "agent", "agent"]);
    begins(&mut lab, &desired).await;
    gains_an_agent(&lab, &desired).await;
    leaves(&lab.member(&desired, "three")).await;
    lab.member(&desired, "one").kubectl("delete node agent-three");
    let desired = lab.wish(&["server", "server", "server"]);
    gains_and_loses_servers(&mut lab, &desired).await;
    is_kept(&lab, &desired).await;
}

#[test]
fn a_cluster_of_kubeadm_lives_on_real_hosts() {
    let Some(assets) = assets() else { return };
    world_of(&KIND, || block_on(lives(assets)));
}

/// Runs a recipe, and hits its host as soon as that is at a certain point.
async fn hit(member: &Member<'_>, recipe: &Recipe, at: &str, deed: &str) -> String {
    let hit = async {
        while member.sh(&format!("({at}) >/dev/null 2>&1 && pgrep -x kubeadm || true")).is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        member.sh(deed)
    };
    let (ended, left) = tokio::join!(member.try_run(recipe), hit);
    eprintln!("{}: {left}", member.node);
    ended.expect_err("it was cut off").to_string()
}

/// The connection breaks: kubeadm is not asked.
const BREAK: &str =
    "pkill -KILL -f '^sshd-session: admin'; sleep 0.5; pgrep -x kubeadm >/dev/null && echo 'kubeadm goes on'";
/// kubeadm ends without a word.
const KILL: &str =
    "pkill -KILL -x kubeadm; sleep 0.5; pgrep -x kubeadm || echo 'kubeadm is gone'; ls /etc/kubernetes/kubewright";
const ETCD_RUNS: &str = "test -n \"$(/usr/local/bin/crictl ps -q --name '^etcd$')\"";
/// What is made anew only where all is: an authority of a first server, a certificate of one that joins.
const MADE: &str = "cat /etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/apiserver.crt | sha256sum";

/// A member is made in spite of a connection that breaks and of a kubeadm that is killed.
async fn is_made_in_spite_of_all(lab: &Lab, member: &Member<'_>, recipe: &Recipe) {
    hit(member, recipe, "test -e /etc/kubernetes/manifests/etcd.yaml", BREAK).await;
    let made = member.sh(MADE);
    member.run(recipe).await;
    assert_eq!(member.sh(MADE), made, "it went on, and nothing was reset");
    let seen = member.seen().await.unwrap();
    assert!(seen.joined && !seen.under_way, "{seen:?}");
    // Of two members of etcd, the other could not decide without it: it is forgotten while it is there.
    if member.node != "server-one" {
        let one = lab.member(&member.desired, "one");
        one.run(one.recipes.forget.as_ref().unwrap()).await;
        one.kubectl(&format!("delete node {}", member.node));
    }
    leaves(member).await;
    member.set_up().await;
    hit(member, recipe, ETCD_RUNS, KILL).await;
    let (made, seen) = (member.sh(MADE), member.seen().await.unwrap());
    assert!(seen.under_way, "{seen:?}");
    if member.node != "server-one" {
        // etcd may have taken it in, which another has to say: that is the engine's to plan.
        let refused = format!("{:?}", member.try_run(recipe).await.expect_err("it was cut off"));
        assert!(refused.contains("run again"), "{refused}");
        let (one, half) = (lab.member(&member.desired, "one"), member.recipes.halfway.as_ref().unwrap());
        member.run(&half.ended).await;
        one.run(one.recipes.forget.as_ref().unwrap()).await;
        assert_eq!(voters(&one), ["server-one"]);
        member.run(&half.clear).await;
    }
    member.run(recipe).await;
    assert_ne!(member.sh(MADE), made, "what was left was cleared away");
    let seen = member.seen().await.unwrap();
    assert!(seen.joined && seen.serving && !seen.under_way, "{seen:?}");
    // As the pod of a network plug-in does.
    member.sh("cp /etc/lab/lab.conflist /etc/cni/net.d/10-lab.conflist");
}

async fn is_taken_up(assets: PathBuf) {
    let mut lab = Lab::of(assets, 2);
    let desired = lab.wish(&["server", "server", "server"]);
    let one = lab.member(&desired, "one");
    one.set_up().await;
    let init = Arc::clone(one.recipes.init.as_ref().unwrap());
    is_made_in_spite_of_all(&lab, &one, &init).await;
    let gave = one.run(&init).await.gave;
    one.is_ready("server-one");
    lab.holes.extend(gave);
    let forgotten = Secret::new("server-two https://10.77.0.3:2380".to_string());
    lab.holes.insert(FORGOTTEN.into(), forgotten);
    let (one, two) = (lab.member(&desired, "one"), lab.member(&desired, "two"));
    two.set_up().await;
    is_made_in_spite_of_all(&lab, &two, &two.recipes.join).await;
    one.is_ready("server-two");
    assert_eq!(voters(&one), ["server-one", "server-two"]);
}

#[test]
fn kubeadm_is_taken_up_where_it_was_cut_off_on_real_hosts() {
    let Some(assets) = assets() else { return };
    world_of(&KIND, || block_on(is_taken_up(assets)));
}

/// The engine does it all: only what Helm would bring, for which there are no charts here, nobody wishes.
async fn is_applied(assets: PathBuf) {
    let lab = Lab::of(assets, 2);
    let mut desired = lab.wish(&["server", "agent"]);
    desired.releases.clear();
    let store = Arc::new(MemoryStore::default());
    let (hands, folder): (Arc<dyn Hosts>, _) = (lab.hands.clone(), lab.folder.path().to_path_buf());
    let cluster = RealCluster::new(&desired, store.clone(), hands.clone(), folder.clone()).with_programs(&lab.assets);
    let existing: Arc<dyn Provider> = Arc::new(Existing::new(&desired));
    let world = World {
        providers: BTreeMap::from([(ProviderName::from(EXISTING), existing)]),
        silent: BTreeMap::new(),
        hosts: Some(hands),
        cluster: Some(Arc::new(cluster)),
        doors: Arc::default(),
        pretend: None,
        saved: kubewright_engine::world::proves(),
        beside: kubewright_engine::world::opens(),
        copies: None,
        places: Places::in_folder(folder),
    };
    let engine = Engine::new(world, store);
    for (run, ask) in [("run-1", Ask::Apply), ("run-2", Ask::Destroy)] {
        let run = RunId::new(run.to_string());
        let request = Request { desired: &desired, ask, only: &[], approved: None, run, holder: holder("tester@lab") };
        let mut told = |record: &Record| {
            if let Event::StepStarted { step, .. } = &record.event {
                eprintln!("{step}");
            }
        };
        let report = engine.apply(&request, &Stop::default(), &mut told).await;
        let report = report.unwrap_or_else(|error| panic!("{error}\n{error:#?}"));
        assert_eq!(report.end, RunEnd::Complete, "{report:#?}");
        if request.ask == Ask::Apply {
            eprintln!("{}", lab.host("one").sh(&format!("{KUBECTL} get nodes -o wide")));
            let plan = engine.plan(&desired, &Ask::Apply, &[]).await.unwrap().plan;
            assert!(plan.is_empty(), "{plan:#?}");
        }
    }
    lab.hosts.iter().for_each(nothing_is_left);
}

#[test]
fn a_cluster_of_kubeadm_is_applied_and_destroyed_on_real_hosts() {
    let Some(assets) = assets() else { return };
    world_of(&KIND, || block_on(is_applied(assets)));
}

/// All is lost but what was saved, and another host at another address begins with that.
async fn is_restored(assets: PathBuf) {
    let mut lab = Lab::of(assets, 3);
    let desired = lab.wish(&["server", "agent", "agent"]);
    begin(&mut lab, &desired).await;
    let (one, agent) = (lab.member(&desired, "one"), lab.member(&desired, "three"));
    one.is_ready("server-one");
    agent.set_up().await;
    agent.run(&agent.recipes.join).await;
    one.is_ready("agent-three");
    let authority = one.sh("sha256sum </etc/kubernetes/pki/ca.crt");
    one.kubectl("create configmap canary --from-literal=sings=yes");
    one.kubectl("create secret generic locked --from-literal=word=tweet");
    let gave = one.run(one.recipes.snapshot.as_ref().unwrap()).await.gave;
    one.kubectl("create configmap later --from-literal=sings=no");
    for member in [&one, &agent] {
        member.run(&member.recipes.leave).await;
        nothing_is_left(member.booted());
    }
    lab.holes.extend(gave);

    let desired = lab.wish_at("two", &["agent", "server", "agent"]);
    let two = lab.member(&desired, "two");
    two.set_up().await;
    let restore = Arc::clone(two.recipes.restore.as_ref().unwrap());
    let gave = two.run(&restore).await.gave;
    // As the pod of a network plug-in does.
    two.sh("cp /etc/lab/lab.conflist /etc/cni/net.d/10-lab.conflist");
    two.is_ready("server-two");
    eprintln!("{}", two.kubectl("get nodes,pods,configmaps -A -o wide"));
    assert_eq!(two.sh("sha256sum </etc/kubernetes/pki/ca.crt"), authority);
    assert_eq!(two.kubectl("get configmap canary -o jsonpath='{.data.sings}'"), "yes");
    assert_eq!(two.kubectl("get secret locked -o jsonpath='{.data.word}'"), "dHdlZXQ=");
    assert_eq!(two.kubectl("get configmap later --ignore-not-found"), "", "it was written after it was saved");
    assert_eq!(two.kubectl("get nodes -o name"), "node/server-two\n");
    assert_eq!(voters(&two), ["server-two"]);
    let leads = |object: &str| two.kubectl(&format!("get {object} -o yaml")).contains("https://10.77.0.3:6443");
    assert!(leads("configmap --namespace kube-public cluster-info"));
    assert!(leads("configmap --namespace kube-system kube-proxy"));
    assert_eq!(
        two.sh("ls /var/backups/kubewright /var/lib/etcd"),
        "/var/backups/kubewright:\n\n/var/lib/etcd:\nmember\n"
    );
    assert_eq!(two.sh("ctr=/usr/local/bin/ctr; $ctr -n k8s.io snapshots ls | grep -c /tmp/ || true"), "0\n");

    lab.holes.extend(gave);
    let (two, agent) = (lab.member(&desired, "two"), lab.member(&desired, "three"));
    agent.set_up().await;
    agent.run(&agent.recipes.join).await;
    agent.sh("cp /etc/lab/lab.conflist /etc/cni/net.d/10-lab.conflist");
    two.is_ready("agent-three");
    let marks = two.kubectl("get node agent-three -o jsonpath='{.metadata.labels.disk}'");
    assert_eq!(marks, "ssd");
    is_put_back(lab, &desired).await;
}

/// The same once more, on the machines that are there.
async fn is_put_back(mut lab: Lab, desired: &Desired) {
    let two = lab.member(desired, "two");
    two.kubectl("delete configmap canary");
    two.kubectl("create configmap newer --from-literal=sings=no");
    let put_back = async |member: &Member<'_>| {
        for _ in 0..2 {
            member.run(member.recipes.stand_down.as_ref().unwrap()).await;
            let seen = member.seen().await.unwrap();
            assert!(!seen.joined && !seen.serving && !seen.under_way, "{seen:?}");
        }
        member.sh("systemctl is-active containerd")
    };
    put_back(&lab.member(desired, "three")).await;
    put_back(&two).await;
    let aside = "cd /var/backups/kubewright/before-*; ls -A member; ls pki/ca.key";
    assert_eq!(two.sh(&format!("ls /var/lib/etcd; {aside}")), "snap\nwal\npki/ca.key\n");
    let gave = two.run(two.recipes.restore.as_ref().unwrap()).await.gave;
    two.sh("cp /etc/lab/lab.conflist /etc/cni/net.d/10-lab.conflist");
    two.is_ready("server-two");
    assert_eq!(two.kubectl("get configmap canary -o jsonpath='{.data.sings}'"), "yes");
    assert_eq!(two.kubectl("get configmap newer later --ignore-not-found"), "");
    lab.holes.extend(gave);
    let (two, agent) = (lab.member(desired, "two"), lab.member(desired, "three"));
    agent.run(&agent.recipes.join).await;
    agent.sh("cp /etc/lab/lab.conflist /etc/cni/net.d/10-lab.conflist");
    two.is_ready("agent-three");
}

#[test]
fn a_cluster_of_kubeadm_is_restored_on_another_host() {
    let Some(assets) = assets() else { return };
    world_of(&KIND, || block_on(is_restored(assets)));
}
