//! What kubeadm makes of the cluster: its books, its nodes and its members of etcd.

use std::collections::BTreeMap;

use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use kubewright_model::programs::KUBEADM_UNDER_WAY;
use kubewright_model::recipe::{Effect, Recipe};
use kubewright_model::version::Version;
use serde_json::Value;

use super::{API_SERVER, Books, Files, KUBELET, KUBELET_CONFIG, LIFE, NEVER, OURS};
use crate::sim::certificates::asks_with;
use crate::sim::kubernetes::{Cluster, Node};
use crate::sim::network::Door;
use crate::sim::rancher::Kind;
use crate::sim::state::State;
use crate::sim::timing;

impl State {
    /// A cluster is about to be begun: what that needs, and what is there from then on.
    pub(super) fn kubeadm_begins(
        &mut self,
        host: &NodeName,
        recipe: &Recipe,
        file: &str,
        now: u64,
    ) -> Result<u64, String> {
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
    pub(super) fn kubeadm_began(
        &mut self,
        host: &NodeName,
        recipe: &Recipe,
        file: &str,
        now: u64,
    ) -> Result<(), String> {
        let saved = (recipe.effect == Effect::Restore).then(|| self.reset_to(host)).transpose()?;
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
        self.certified(host, now);
        if let Some(saved) = saved {
            // What it was told now, kubeadm writes over what the books held.
            let books = self.cluster.kubeadm.clone();
            self.is_again(host, saved, now);
            self.cluster.kubeadm = books;
        }
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
        let mut labels: BTreeMap<String, String> =
            labels.map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let given = labels.keys().map(|key| format!("label {key}")).collect();
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
            given,
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
    pub(super) fn lets_in(&mut self, host: &NodeName, file: &str, now: u64, token: bool) -> Result<(), String> {
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

    /// Nobody is let in any more with what lets nodes in now.
    pub(in crate::sim) fn lets_nobody_in(&mut self, now: u64) {
        if let Some(books) = &mut self.cluster.kubeadm {
            books.token.1 = books.token.1.min(now);
            books.certificates.1 = books.certificates.1.min(now);
        }
    }

    /// A kubelet asks for a certificate, with a token that lets it in.
    pub(in crate::sim) fn lets_a_kubelet_ask(&self, host: &NodeName, now: u64) -> Result<(), String> {
        self.api(now)?;
        let files = Files::read(self.machine(host).ok_or("the machine is gone")?, &asks_with())?;
        let shown = files.text("Config", "/users/0/user/token")?;
        let books = self.cluster.kubeadm.as_ref().ok_or("ConfigMap cluster-info not found")?;
        let good = books.token.0 == shown && now < books.token.1;
        good.then_some(()).ok_or_else(|| "the token is invalid or has expired: Unauthorized".into())
    }

    /// The version of the programs that are on a host, which is the recipe's.
    pub(super) fn kubeadm_version(&self, host: &NodeName, recipe: &Recipe) -> Result<Version, String> {
        let there = self.machine(host).and_then(|machine| machine.host.kubernetes.as_ref()?.version.clone());
        there.filter(|there| recipe.version.as_ref() == Some(there)).ok_or("kubeadm is of another version".into())
    }
}

impl State {
    /// A node is about to join: what it and the cluster are asked before anything is done.
    pub(super) fn kubeadm_asks(
        &mut self,
        host: &NodeName,
        recipe: &Recipe,
        file: &str,
        now: u64,
    ) -> Result<u64, String> {
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

    /// Half of a join: an agent's node is in the books. Of a server, only etcd knows: its kubelet talks to its own API
    /// server, which needs that.
    pub(super) fn kubeadm_enters(&mut self, host: &NodeName, file: &str, now: u64) -> Result<(), String> {
        if self.machine(host).is_some_and(|machine| machine.texts.contains_key(API_SERVER)) {
            self.cluster.members.insert(host.clone(), NEVER);
            return Ok(());
        }
        let node = self.joins(host, file, now)?;
        self.cluster.enter(host.clone(), Node { serves_at: NEVER, ready_at: NEVER, ..node });
        Ok(())
    }

    /// The other half: the member votes, and its server serves.
    pub(super) fn kubeadm_joined(&mut self, host: &NodeName, file: &str, now: u64) -> Result<(), String> {
        let node = self.joins(host, file, now)?;
        if node.server {
            self.cluster.members.insert(host.clone(), now);
        }
        self.cluster.enter(host.clone(), node);
        self.certified(host, now);
        self.judge_skew(host, now);
        Ok(())
    }

    fn joins(&mut self, host: &NodeName, file: &str, now: u64) -> Result<Node, String> {
        let machine = self.machine(host).ok_or("the machine is gone")?;
        let (server, files) = (machine.texts.contains_key(API_SERVER), Files::read(machine, file)?);
        let version = machine.host.kubernetes.as_ref().and_then(|it| it.version.clone()).ok_or("no kubelet")?;
        self.registered(&files, "JoinConfiguration", version, server, now)
    }

    /// The control plane goes over to the version of the programs on the host: the cluster's books with the first one.
    pub(super) fn kubeadm_upgrades(&mut self, host: &NodeName, recipe: &Recipe, now: u64) -> Result<u64, String> {
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

    pub(super) fn kubeadm_upgraded(&mut self, host: &NodeName, recipe: &Recipe) {
        let Some(version) = recipe.version.clone() else { return };
        let Some(node) = self.cluster.nodes.get_mut(host).filter(|node| node.server) else { return };
        node.plane = Some(version.clone());
        if let Some(books) = &mut self.cluster.kubeadm {
            books.version = version;
        }
    }

    /// A server takes the member out of etcd that its file names.
    pub(super) fn takes_out(&mut self, by: &NodeName, now: u64) -> Result<(), String> {
        if !self.serves(by, now) {
            return Err("no container etcd runs".into());
        }
        let file = self.machine(by).and_then(|machine| machine.texts.get(&format!("{OURS}forgotten")).cloned());
        let file = file.ok_or("No such file or directory")?;
        let name = NodeName::from(file.split_whitespace().next().unwrap_or_default());
        self.leaves_etcd(&name, now)
    }

    /// kubeadm was cut off on a server right after etcd had taken it in, before it was a node; false where it is none.
    pub fn cut_kubeadm_off(&mut self, host: &NodeName) -> bool {
        let taken_in = self.cluster.members.contains_key(host) && self.cluster.nodes.remove(host).is_some();
        self.cluster.servers.remove(host);
        let Some(machine) = self.machine_mut(host).filter(|_| taken_in) else { return false };
        machine.texts.insert(KUBEADM_UNDER_WAY.into(), "server".into());
        if let Some(kubernetes) = &mut machine.host.kubernetes {
            kubernetes.joined = false;
        }
        if let Some(kubelet) = machine.host.units.get_mut(KUBELET) {
            kubelet.reads = None;
        }
        machine.reads.remove(KUBELET);
        true
    }

    /// Where kubeadm's kubeconfigs lead.
    pub(in crate::sim) fn kubeadm_endpoint(&self) -> Option<&str> {
        self.cluster.kubeadm.as_ref().map(|books| books.endpoint.as_str())
    }

    /// Whether the kubelet starts on this host.
    pub(in crate::sim) fn kubelet_suits(&self, host: &NodeName) -> Result<(), String> {
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
