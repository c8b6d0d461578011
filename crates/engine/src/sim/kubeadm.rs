//! What kubeadm does on a pretend host and in the pretend cluster, and what it refuses: what its checks before it begins
//! (`preflight`) and its phases look at, as far as a right plan may get it wrong.
//!
//! It works in two halves. After the first, hosts and cluster hold traces: who is cut off there is a member of etcd that
//! never votes and a node that is never Ready, as with the real one.
//! <https://github.com/kubernetes/kubernetes/tree/v1.36.0/cmd/kubeadm/app>

use std::time::Duration;

use kubewright_hosts::{Holes, HostError};
use kubewright_model::digest::Digest;
use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use kubewright_model::observed::UnitSeen;
use kubewright_model::programs::{KUBEADM, KUBEADM_MEMBER};
use kubewright_model::recipe::Recipe;
use kubewright_model::text::Text;
use kubewright_model::version::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hosts::{Ssh, failed};
use super::kubernetes::{Cluster, Node};
use super::network::Door;
use super::rancher::Kind;
use super::state::{Machine, State};
use super::timing;

/// The unit of servers and of agents.
pub(super) const KUBELET: &str = KUBEADM.units[0];
/// The folder of what we write for it. The text of its files is kept, with the digests of secrets in their place.
pub(super) const OURS: &str = "/etc/kubernetes/kubewright/";
/// What the kubelet reaches the API with.
const KUBELET_CONFIG: &str = "/etc/kubernetes/kubelet.conf";
/// What makes a host a server: the kubelet runs what stands here. What is kept of it is the port of its API.
const API_SERVER: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
/// The certificate of the cluster's authority.
pub(super) const AUTHORITY: &str = "/etc/kubernetes/pki/ca.crt";
/// What lets nodes in has an end, in milliseconds.
const LIFE: u64 = 2 * 60 * 60 * 1000;
/// When something is that never is.
const NEVER: u64 = u64::MAX - 1;

/// What the cluster itself keeps of kubeadm.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Books {
    /// Where its configuration says that clients reach the API.
    endpoint: String,
    /// The version that its configuration names.
    version: Version,
    /// The token and the key that let nodes in, and until when.
    token: (String, u64),
    certificates: (String, u64),
}

/// The documents of a file, and what of them is wanted.
struct Files(Vec<Value>);

impl Files {
    fn read(machine: &Machine, path: &str) -> Result<Self, String> {
        let text = machine.texts.get(path).ok_or_else(|| format!("open {path}: no such file or directory"))?;
        let read = text.split("---\n").map(serde_saphyr::from_str);
        read.collect::<Result<_, _>>().map(Self).map_err(|error| format!("{path}: {error}"))
    }

    fn of(&self, kind: &str) -> Result<&Value, String> {
        let found = self.0.iter().find(|document| document["kind"] == kind);
        found.ok_or_else(|| format!("no {kind} found in the config file"))
    }

    /// A text in a document.
    fn text(&self, kind: &str, pointer: &str) -> Result<String, String> {
        let value = self.of(kind)?.pointer(pointer).and_then(Value::as_str);
        value.map(String::from).ok_or_else(|| format!("{kind}: {pointer} is not set"))
    }
}

/// A text as it is kept: another value of a secret is another text.
pub(super) fn told(content: &Text, holes: &Holes) -> Option<String> {
    let values =
        content.holes().map(|hole| Some((hole.clone(), Digest::of(holes.get(hole)?.expose()).short().to_string())));
    let values: std::collections::BTreeMap<_, _> = values.collect::<Option<_>>()?;
    content.fill(|hole| values.get(hole).map(String::as_str)).ok()
}

impl Machine {
    /// Whether kubeadm has made it a server that is done.
    pub(super) fn is_kubeadm_server(&self) -> bool {
        self.texts.contains_key(API_SERVER) && self.host.kubernetes.as_ref().is_some_and(|it| it.joined)
    }

    /// The port at which its API server listens.
    pub(super) fn api_server_port(&self) -> Option<u16> {
        self.texts.get(API_SERVER)?.parse().ok()
    }

    /// The host says that it is a member. One without the kubelet's own file was reset.
    pub(super) fn says_member(&mut self, path: &str) {
        let joined = path == KUBEADM_MEMBER && self.texts.contains_key(KUBELET_CONFIG);
        if let Some(kubernetes) = self.host.kubernetes.as_mut().filter(|_| joined) {
            kubernetes.joined = true;
        }
    }

    /// What every command needs of the host (`RunInitNodeChecks`, `RunJoinNodeChecks`), and the kubelet after it.
    fn checked(&self, version: &Version) -> Result<(), String> {
        let package = |name: &str| self.host.packages.contains(name);
        let error = |what: &str, why: &str| Err(format!("[ERROR {what}]: {why}"));
        if !self.runs("containerd.service") {
            return error("CRI", "container runtime is not running");
        }
        if self.host.sysctls.get("net.ipv4.ip_forward").map(String::as_str) != Some("1") {
            return error("FileContent--proc-sys-net-ipv4-ip_forward", "contents are not set to 1");
        }
        if !package("iptables") {
            return error("FileExisting-iptables", "iptables not found in system path");
        }
        if version.minor() < (1, 32) && !package("conntrack") {
            return error("FileExisting-conntrack", "conntrack not found in system path");
        }
        if !self.host.units.contains_key(KUBELET) {
            return error("Service-Kubelet", "kubelet service does not exist");
        }
        if self.texts.contains_key(KUBELET_CONFIG) {
            return error("FileAvailable--etc-kubernetes-kubelet.conf", "/etc/kubernetes/kubelet.conf already exists");
        }
        if self.texts.contains_key(API_SERVER) {
            return error("FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml", "it already exists");
        }
        if self.host.settings.get("swap").map(String::as_str) != Some("off") {
            return Err("the kubelet is not healthy: running with swap on is not supported".into());
        }
        Ok(())
    }

    /// kubeadm's way back, which asks nobody else.
    fn reset(&mut self) {
        self.texts.retain(|path, _| !path.starts_with("/etc/kubernetes/") || path.starts_with(OURS));
        self.containers = false;
        if let Some(kubelet) = self.host.units.get_mut(KUBELET) {
            kubelet.active = false;
        }
        if let Some(kubernetes) = &mut self.host.kubernetes {
            kubernetes.joined = false;
        }
    }

    /// The kubelet runs, and what it finds among its manifests.
    fn begins(&mut self, port: Option<u16>) {
        self.texts.insert(KUBELET_CONFIG.into(), String::new());
        if let Some(port) = port {
            self.texts.insert(API_SERVER.into(), port.to_string());
            self.texts.insert(AUTHORITY.into(), String::new());
        }
        self.containers = true;
        if let Some(kubelet) = self.host.units.get_mut(KUBELET) {
            kubelet.active = true;
        }
    }
}

impl Ssh {
    /// kubeadm is told something.
    pub(super) async fn kubeadm(&self, host: &NodeName, recipe: &Recipe, words: &[&str]) -> Result<(), HostError> {
        let refuses = |why: String| failed(host, &format!("kubeadm {}", words.join(" ")), why);
        if self.on(host, |machine| machine.file("/usr/local/bin/kubeadm").is_none()) {
            return Err(refuses("No such file or directory".into()));
        }
        let now = self.centre.now();
        match words {
            ["init", "phase", "bootstrap-token", "--config", file, ..] => {
                self.centre.take(timing::KUBE_CALL).await;
                self.centre.at_present().lets_in(host, file, now, true).map_err(refuses)
            }
            ["init", "phase", "upload-certs", "--upload-certs", "--config", file, ..] => {
                self.centre.take(timing::KUBE_CALL).await;
                self.centre.at_present().lets_in(host, file, now, false).map_err(refuses)
            }
            ["init", "--config", file, ..] => {
                let takes = self.centre.at_present().kubeadm_begins(host, recipe, file, now).map_err(refuses)?;
                self.halves(takes).await;
                self.halves(takes).await;
                let now = self.centre.now();
                self.centre.at_present().kubeadm_began(host, file, now).map_err(refuses)
            }
            ["join", "--config", file] => {
                let takes = self.centre.at_present().kubeadm_asks(host, recipe, file, now).map_err(refuses)?;
                self.halves(takes).await;
                let now = self.centre.now();
                self.centre.at_present().kubeadm_enters(host, file, now).map_err(refuses)?;
                self.halves(takes).await;
                let now = self.centre.now();
                self.centre.at_present().kubeadm_joined(host, now).map_err(refuses)
            }
            ["upgrade", ..] => {
                let takes = self.centre.at_present().kubeadm_upgrades(host, recipe, now).map_err(refuses)?;
                self.halves(takes).await;
                self.halves(takes).await;
                self.centre.at_present().kubeadm_upgraded(host, recipe);
                Ok(())
            }
            _ => Err(refuses("unknown command".into())),
        }
    }

    async fn halves(&self, takes: u64) {
        tokio::time::sleep(Duration::from_millis(takes / 2)).await;
    }

    /// A script that tells kubeadm something; nothing where it does not.
    pub(super) async fn kubeadm_script(
        &self,
        host: &NodeName,
        recipe: &Recipe,
        script: &str,
    ) -> Option<Result<(), HostError>> {
        if script.contains("kubeadm reset") {
            let under_way = script.split_whitespace().nth(3).is_some_and(|word| word.starts_with(OURS));
            self.centre.take(timing::UNIT).await;
            self.on(host, |machine| {
                let asked = !under_way || machine.texts.keys().any(|path| path == &format!("{OURS}under-way.yaml"));
                if asked {
                    machine.reset();
                }
            });
            return Some(Ok(()));
        }
        if script.contains("kubeadm upgrade apply") {
            return Some(self.kubeadm(host, recipe, &["upgrade", "apply"]).await);
        }
        if script.contains("etcdctl") {
            let now = self.centre.now();
            let saves = self.centre.at_present().serves(host, now);
            self.centre.take(timing::SNAPSHOT).await;
            return Some(
                saves.then_some(()).ok_or_else(|| failed(host, "crictl exec", "no container etcd runs".into())),
            );
        }
        None
    }

    /// kubeadm has started the kubelet; from now on it starts with its host.
    pub(super) async fn kubelet_stays(&self, host: &NodeName, reads: &Digest) -> Result<(), HostError> {
        self.centre.take(timing::UNIT).await;
        self.on(host, |machine| {
            machine.reads.insert(KUBELET.into(), reads.clone());
            let kubelet = machine.host.units.get_mut(KUBELET);
            let kubelet = kubelet.ok_or_else(|| failed(host, KUBELET, "Unit kubelet.service not found".into()))?;
            *kubelet = UnitSeen { enabled: true, active: true, reads: Some(reads.clone()), ..kubelet.clone() };
            Ok(())
        })
    }
}

impl State {
    /// A cluster is about to be begun: what that needs, and what is there from then on.
    fn kubeadm_begins(&mut self, host: &NodeName, recipe: &Recipe, file: &str, now: u64) -> Result<u64, String> {
        let version = self.kubeadm_version(host, recipe)?;
        let machine = self.machine(host).ok_or("the machine is gone")?;
        let files = Files::read(machine, file)?;
        machine.checked(&version)?;
        let named = files.text("ClusterConfiguration", "/kubernetesVersion")?;
        if named != version.to_string() {
            return Err(format!("[ERROR KubernetesVersion]: {named} is not what kubeadm {version} is made for"));
        }
        if files.text("InitConfiguration", "/nodeRegistration/name")? != host.as_str() {
            return Err("the file is another node's".into());
        }
        files.of("KubeletConfiguration")?;
        let port = files.of("InitConfiguration")?.pointer("/localAPIEndpoint/bindPort").and_then(Value::as_u64);
        let port = port.and_then(|port| u16::try_from(port).ok()).ok_or("bindPort is not set")?;
        if let Some(holder) = self.holder() {
            self.breach(now, format!("{host} was to begin a second cluster beside that of {holder}"));
            return Err(format!("{holder} holds this cluster's data already"));
        }
        if let Some(machine) = self.machine_mut(host) {
            machine.begins(Some(port));
        }
        Ok(self.jitter(timing::INIT))
    }

    /// It was begun. kubeadm asks for its API at the endpoint, and gives up where nobody hands it on.
    fn kubeadm_began(&mut self, host: &NodeName, file: &str, now: u64) -> Result<(), String> {
        let machine = self.machine(host).ok_or("the machine is gone")?;
        let files = Files::read(machine, file)?;
        let version = machine.host.kubernetes.as_ref().and_then(|it| it.version.clone()).ok_or("no kubelet")?;
        let endpoint = files.text("ClusterConfiguration", "/controlPlaneEndpoint")?;
        let until = now + LIFE;
        self.cluster = Cluster {
            begun: true,
            etcd: true,
            wants_network: true,
            kubeadm: Some(Books {
                endpoint: endpoint.clone(),
                version: version.clone(),
                token: (files.text("InitConfiguration", "/bootstrapTokens/0/token")?, until),
                certificates: (files.text("InitConfiguration", "/certificateKey")?, until),
            }),
            namespaces: ["default", "kube-system", "kube-public", "kube-node-lease"].map(Into::into).into(),
            ..Cluster::default()
        };
        self.cluster.members.insert(host.clone(), now);
        let node = self.registered(&files, "InitConfiguration", version, true, now)?;
        self.cluster.enter(host.clone(), Node { serves_at: now, ready_at: node.ready_at, ..node });
        let at: HostPort = endpoint.parse().map_err(|why| format!("{endpoint}: {why}"))?;
        if let Err(why) = self.reaches(Door::Api, &at, now) {
            self.cluster = Cluster::default();
            return Err(format!("could not initialize a Kubernetes cluster: timed out waiting for {endpoint}: {why}"));
        }
        Ok(())
    }

    /// A node as its kubelet registers it.
    fn registered(
        &mut self,
        files: &Files,
        kind: &str,
        version: Version,
        server: bool,
        now: u64,
    ) -> Result<Node, String> {
        let of = files.of(kind)?;
        let args = of.pointer("/nodeRegistration/kubeletExtraArgs").and_then(Value::as_array).into_iter().flatten();
        let labels = args.clone().find(|arg| arg["name"] == "node-labels").and_then(|arg| arg["value"].as_str());
        let labels = labels.unwrap_or_default().split(',').filter_map(|label| label.split_once('='));
        let mut labels: std::collections::BTreeMap<String, String> =
            labels.map(|(key, value)| (key.to_string(), value.to_string())).collect();
        labels.insert("kubernetes.io/hostname".into(), files.text(kind, "/nodeRegistration/name")?);
        if server {
            labels.insert("node.kubernetes.io/exclude-from-external-load-balancers".into(), String::new());
        }
        let taints = of.pointer("/nodeRegistration/taints").and_then(Value::as_array);
        let taints = taints.ok_or("taints are not set, so kubeadm's own would be")?.iter().map(|taint| {
            let value = taint["value"].as_str().map(|value| format!("={value}")).unwrap_or_default();
            format!(
                "{}{value}:{}",
                taint["key"].as_str().unwrap_or_default(),
                taint["effect"].as_str().unwrap_or_default()
            )
        });
        let taints = taints.collect();
        let ready_at = now + self.jitter(timing::NODE_READY);
        let plane = server.then(|| version.clone());
        Ok(Node {
            version,
            labels,
            taints,
            given: Default::default(),
            server,
            cordoned: false,
            unit: KUBELET.into(),
            ready_at,
            serves_at: now,
            told_at: now,
            old: None,
            plane,
        })
    }

    /// Lets nodes in once more: by the token, or with the certificates that servers fetch.
    fn lets_in(&mut self, host: &NodeName, file: &str, now: u64, token: bool) -> Result<(), String> {
        self.api(now)?;
        if !self.serves(host, now) {
            return Err(format!("{host} does not serve"));
        }
        let files = Files::read(self.machine(host).ok_or("the machine is gone")?, file)?;
        let books = self.cluster.kubeadm.as_mut().ok_or("ConfigMap kubeadm-config not found")?;
        match token {
            true => books.token = (files.text("InitConfiguration", "/bootstrapTokens/0/token")?, now + LIFE),
            false => books.certificates = (files.text("InitConfiguration", "/certificateKey")?, now + LIFE),
        }
        Ok(())
    }

    /// The version of the programs that are on a host, which is the recipe's.
    fn kubeadm_version(&self, host: &NodeName, recipe: &Recipe) -> Result<Version, String> {
        let there = self.machine(host).and_then(|machine| machine.host.kubernetes.as_ref()?.version.clone());
        there.filter(|there| recipe.version.as_ref() == Some(there)).ok_or("kubeadm is of another version".into())
    }
}

impl State {
    /// A node is about to join: what it and the cluster are asked before anything is done.
    fn kubeadm_asks(&mut self, host: &NodeName, recipe: &Recipe, file: &str, now: u64) -> Result<u64, String> {
        let version = self.kubeadm_version(host, recipe)?;
        let machine = self.machine(host).ok_or("the machine is gone")?;
        let files = Files::read(machine, file)?;
        machine.checked(&version)?;
        let found = files.text("JoinConfiguration", "/discovery/file/kubeConfigPath")?;
        let found = Files::read(machine, &found)?;
        let cluster = found.0.first().and_then(|config| config.pointer("/clusters/0/cluster")).ok_or("no cluster")?;
        let authority = cluster["certificate-authority"].as_str().unwrap_or_default();
        if !machine.texts.contains_key(authority) {
            return Err(format!("unable to read certificate-authority {authority}"));
        }
        let server = cluster["server"].as_str().unwrap_or_default().trim_start_matches("https://").to_string();
        let at: HostPort = server.parse().map_err(|why| format!("{server}: {why}"))?;
        let unsure = |why: String| format!("couldn't validate the identity of the API Server: {why}");
        if let Err(why) = self.api(now).and_then(|()| self.reaches(Door::Api, &at, now)) {
            self.breach(now, format!("{host} was to join before its endpoint leads to a server: {why}"));
            return Err(unsure(why));
        }
        let books = self.cluster.kubeadm.clone().ok_or("ConfigMap cluster-info not found")?;
        if books.endpoint != server {
            return Err(unsure(format!("the cluster's endpoint is {}", books.endpoint)));
        }
        let shown = files.text("JoinConfiguration", "/discovery/tlsBootstrapToken")?;
        if books.token.0 != shown || now >= books.token.1 {
            return Err("the token is invalid or has expired: Unauthorized".into());
        }
        if self.ready(host, now).is_ok() {
            return Err(format!("a Node with name {host:?} and status \"Ready\" already exists in the cluster"));
        }
        if books.version.minor() != version.minor() {
            return Err(format!("[ERROR KubeletVersion]: the control plane runs {}", books.version));
        }
        if files.of("JoinConfiguration")?.get("controlPlane").is_none() {
            if let Some(machine) = self.machine_mut(host) {
                machine.begins(None);
            }
            return Ok(self.jitter(timing::JOIN_AGENT));
        }
        let key = files.text("JoinConfiguration", "/controlPlane/certificateKey")?;
        if books.certificates.0 != key || now >= books.certificates.1 {
            return Err("error downloading certs: Secret \"kubeadm-certs\" was not found".into());
        }
        self.etcd_takes_in(host, now)?;
        let port = files.of("JoinConfiguration")?.pointer("/controlPlane/localAPIEndpoint/bindPort");
        let port = port.and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
        if let Some(machine) = self.machine_mut(host) {
            machine.begins(Some(port.ok_or("bindPort is not set")?));
        }
        Ok(self.jitter(timing::JOIN_SERVER))
    }

    /// What a further member of etcd needs of the others (`check-etcd`).
    fn etcd_takes_in(&mut self, host: &NodeName, now: u64) -> Result<(), String> {
        if self.cluster.members.contains_key(host) {
            self.breach(now, format!("{host} was to join while etcd still holds another member of its name"));
            return Err("etcd cluster is not healthy: a member of this peer URL is there".into());
        }
        if let Some((learner, _)) = self.cluster.members.iter().find(|(_, votes_at)| now < **votes_at) {
            let message = format!("{host} was to join etcd while {learner} joined");
            self.breach(now, message);
            return Err("etcdserver: too many learner members in cluster".into());
        }
        match self.cluster.members.keys().find(|member| !self.serves(member, now)) {
            None => Ok(()),
            Some(dead) => Err(format!("etcd cluster is not healthy: failed to dial the endpoint of {dead}")),
        }
    }

    /// Half of a join: the node is in the books, and a server's member of etcd learns.
    fn kubeadm_enters(&mut self, host: &NodeName, file: &str, now: u64) -> Result<(), String> {
        let machine = self.machine(host).ok_or("the machine is gone")?;
        let (server, files) = (machine.texts.contains_key(API_SERVER), Files::read(machine, file)?);
        let version = machine.host.kubernetes.as_ref().and_then(|it| it.version.clone()).ok_or("no kubelet")?;
        let node = self.registered(&files, "JoinConfiguration", version, server, now)?;
        self.cluster.enter(host.clone(), Node { serves_at: NEVER, ready_at: NEVER, ..node });
        if server {
            self.cluster.members.insert(host.clone(), NEVER);
        }
        Ok(())
    }

    /// The other half: the member votes, and its server serves.
    fn kubeadm_joined(&mut self, host: &NodeName, now: u64) -> Result<(), String> {
        let ready_at = now + self.jitter(timing::NODE_READY);
        let node = self.cluster.nodes.get_mut(host).ok_or("somebody took the node out of the books")?;
        (node.serves_at, node.ready_at) = (now, ready_at);
        if node.server {
            self.cluster.members.insert(host.clone(), now);
        }
        self.judge_skew(host, now);
        Ok(())
    }

    /// The control plane goes over to the version of the programs on the host: the cluster's books with the first one.
    fn kubeadm_upgrades(&mut self, host: &NodeName, recipe: &Recipe, now: u64) -> Result<u64, String> {
        self.api(now)?;
        let version = self.kubeadm_version(host, recipe)?;
        let books = self.cluster.kubeadm.as_ref().ok_or("ConfigMap kubeadm-config not found")?;
        let node = self.cluster.nodes.get(host).ok_or("nodes not found")?;
        if !node.server {
            let late = books.version == version;
            return late.then_some(timing::UNIT).ok_or_else(|| format!("the control plane runs {}", books.version));
        }
        if version.minor() > (books.version.minor().0, books.version.minor().1 + 1) {
            return Err(format!("[ERROR]: {version} is more than one minor version after {}", books.version));
        }
        if let Some(sick) = self.cluster.servers.iter().find(|server| self.ready(server, now).is_err()) {
            return Err(format!("[ERROR ControlPlaneNodesReady]: there are NotReady control-planes: {sick}"));
        }
        let (all, healthy) = self.votes(now);
        if all >= 3 && healthy <= all / 2 + 1 && healthy < all {
            self.breach(now, format!("{host} was upgraded while {healthy} of {all} members of etcd answered"));
        }
        Ok(self.jitter(timing::SWAP))
    }

    fn kubeadm_upgraded(&mut self, host: &NodeName, recipe: &Recipe) {
        let Some(version) = recipe.version.clone() else { return };
        let Some(node) = self.cluster.nodes.get_mut(host).filter(|node| node.server) else { return };
        node.plane = Some(version.clone());
        if let Some(books) = &mut self.cluster.kubeadm {
            books.version = version;
        }
    }

    /// Whether kubeadm has begun a cluster and no host says so: then nobody knows a way in.
    pub(super) fn untold(&self) -> bool {
        let says = |name: &NodeName| self.machine(name).is_some_and(Machine::is_kubeadm_server);
        self.cluster.kubeadm.is_some() && !self.cluster.servers.iter().any(says)
    }

    /// Where kubeadm's kubeconfigs lead.
    pub(super) fn kubeadm_endpoint(&self) -> Option<&str> {
        self.cluster.kubeadm.as_ref().map(|books| books.endpoint.as_str())
    }

    /// Whether the kubelet starts on this host.
    pub(super) fn kubelet_suits(&self, host: &NodeName) -> Result<(), String> {
        let machine = self.machine(host).ok_or("the machine is gone")?;
        if machine.file(Kind::Kubeadm.binary()).is_none() {
            return Err(format!("{}: No such file or directory", Kind::Kubeadm.binary()));
        }
        if !machine.texts.contains_key(KUBELET_CONFIG) {
            return Err("failed to load kubelet config file, path: /var/lib/kubelet/config.yaml".into());
        }
        match machine.host.settings.get("swap").map(String::as_str) {
            Some("off") => Ok(()),
            _ => Err("running with swap on is not supported, please disable swap".into()),
        }
    }
}
