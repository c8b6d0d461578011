//! What K3s and RKE2 make of their configuration and of the host that they start on, as far as they refuse to start.
//!
//! The flags are those of K3s v1.31 (`pkg/cli/cmds/agent.go` and `server.go` in <https://github.com/k3s-io/k3s>); RKE2
//! passes by what it does not know (`pkg/cli/cmds` in <https://github.com/rancher/rke2>).

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright_model::digest::Digest;
use kubewright_model::ids::NodeName;
use kubewright_model::programs::{K3S, KUBEADM, Program, RKE2};
use serde_json::Value;

use super::state::{Machine, State};

/// What tells a node from another that has taken its name.
pub(super) const PASSWORD: &str = "/etc/rancher/node/password";

/// Which distribution it is. The first two are built from the same packages, and differ in names and in a few settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    K3s,
    Rke2,
    Kubeadm,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::K3s, Self::Rke2, Self::Kubeadm];

    /// The one whose program is on a machine.
    pub(super) fn on(machine: &Machine) -> Self {
        Self::ALL.into_iter().find(|kind| machine.file(kind.binary()).is_some()).unwrap_or(Self::K3s)
    }

    /// The one of which this is a file or a folder, by its name at this place.
    pub(super) fn of(path: &str, named: fn(Self) -> &'static str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| named(*kind) == path)
    }

    fn program(self) -> &'static Program {
        match self {
            Self::K3s => &K3S,
            Self::Rke2 => &RKE2,
            Self::Kubeadm => &KUBEADM,
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.program().name
    }

    pub(super) fn binary(self) -> &'static str {
        self.program().path
    }

    /// Everything that makes its host a member.
    pub(super) fn data(self) -> &'static str {
        self.program().data
    }

    /// The unit of a server.
    pub(super) fn server_unit(self) -> &'static str {
        self.program().units[0]
    }

    pub(super) fn token(self) -> String {
        format!("/etc/rancher/{}/token", self.name())
    }

    /// The token that agents are let in with, where that is one of their own.
    pub(super) fn agent_token(self) -> String {
        format!("/etc/rancher/{}/agent-token", self.name())
    }

    pub(super) fn kubeconfig(self) -> String {
        match self {
            Self::K3s | Self::Rke2 => format!("/etc/rancher/{0}/{0}.yaml", self.name()),
            Self::Kubeadm => "/etc/kubernetes/admin.conf".into(),
        }
    }
}

/// What a server writes down for those who may do everything, as both word it; its keys open nothing.
pub(super) fn kubeconfig(host: &NodeName) -> String {
    let packed = |what: &str| STANDARD.encode(format!("{what} of the simulated server {host}"));
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: https://127.0.0.1:6443\n  \
         name: default\ncontexts:\n- context:\n    cluster: default\n    user: default\n  name: default\n\
         current-context: default\nkind: Config\npreferences: {{}}\nusers:\n- name: default\n  user:\n    \
         client-certificate-data: {}\n    client-key-data: {}\n",
        packed("certificate authority"),
        packed("certificate"),
        packed("key"),
    )
}

/// Flags that both roles of K3s take.
const BOTH: &str = "config debug v vmodule log alsologtostderr token token-file server data-dir node-name with-node-id \
    node-label node-taint node-ip node-external-ip node-internal-dns node-external-dns bind-address resolv-conf \
    flannel-iface flannel-conf flannel-cni-conf kubelet-arg kube-proxy-arg protect-kernel-defaults selinux \
    lb-server-port container-runtime-endpoint default-runtime image-service-endpoint pause-image snapshotter \
    private-registry disable-default-registry-endpoint nonroot-devices image-credential-provider-bin-dir \
    image-credential-provider-config docker rootless prefer-bundled-bin enable-pprof vpn-auth vpn-auth-file \
    disable-apiserver-lb";

/// Settings in which a joining server must agree with the cluster ("critical configuration value mismatch").
const CRITICAL: [&str; 7] = [
    "cluster-cidr",
    "service-cidr",
    "cluster-dns",
    "cluster-domain",
    "flannel-backend",
    "disable-network-policy",
    "secrets-encryption",
];

/// Kernel settings without which a hardened RKE2 ends at once.
const CIS: [(&str, &str); 4] =
    [("vm.overcommit_memory", "1"), ("vm.panic_on_oom", "0"), ("kernel.panic", "10"), ("kernel.panic_on_oops", "1")];

/// A configuration as it is read: the file, then the drop-ins over it.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) kind: Kind,
    values: BTreeMap<String, Value>,
}

impl Config {
    /// Reads what is on the machine.
    pub(super) fn read(machine: &Machine) -> Result<Self, String> {
        let kind = Kind::on(machine);
        let main = format!("/etc/rancher/{}/config.yaml", kind.name());
        let folder = format!("{main}.d/");
        let drop_ins = machine.texts.range(folder.clone()..).take_while(|(path, _)| path.starts_with(&folder));
        let main = machine.texts.get_key_value(&main).ok_or_else(|| format!("there is no {main}"))?;
        let mut values = BTreeMap::new();
        for (path, text) in std::iter::once(main).chain(drop_ins) {
            let read: BTreeMap<String, Value> =
                serde_saphyr::from_str(text).map_err(|error| format!("{path}: {error}"))?;
            values.extend(read);
        }
        Ok(Self { kind, values })
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.as_str()
    }

    pub(super) fn is_on(&self, key: &str) -> bool {
        self.values.get(key).and_then(Value::as_bool) == Some(true)
    }

    /// The port of a server's API. RKE2 knows no other than the usual one.
    pub(super) fn port(&self) -> u16 {
        let port = self.values.get("https-listen-port").filter(|_| self.kind == Kind::K3s).and_then(Value::as_u64);
        port.and_then(|port| port.try_into().ok()).unwrap_or(6443)
    }

    /// The port of a server at which nodes register.
    pub(super) fn registers_at(&self) -> u16 {
        match self.kind {
            Kind::K3s | Kind::Kubeadm => self.port(),
            Kind::Rke2 => 9345,
        }
    }

    /// What a server with this lets agents in with: their own token, or that of servers.
    pub(super) fn agent_token(&self, machine: &Machine) -> Option<Digest> {
        let own = self.text("agent-token-file");
        machine.file(own.unwrap_or(&self.kind.token())).cloned()
    }

    /// Whether a server with this keeps its data in etcd.
    pub(super) fn etcd(&self) -> bool {
        self.kind == Kind::Rke2 || self.is_on("cluster-init")
    }

    /// Whether nobody brings a network for pods along.
    pub(super) fn wants_network(&self) -> bool {
        match self.kind {
            Kind::K3s => self.text("flannel-backend") == Some("none"),
            Kind::Rke2 => self.text("cni") == Some("none"),
            Kind::Kubeadm => true,
        }
    }

    pub(super) fn list(&self, key: &str) -> Vec<String> {
        let items = self.values.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.as_str().map(str::to_string)).collect()
    }

    /// An agent of K3s ends at once when it is given a flag that it does not know.
    pub(super) fn agent_takes_all(&self) -> Result<(), String> {
        if self.kind == Kind::Rke2 {
            return Ok(());
        }
        let unknown = self.values.keys().find(|key| !BOTH.split_whitespace().any(|flag| flag == key.as_str()));
        unknown.map_or(Ok(()), |key| Err(format!("flag provided but not defined: -{key}")))
    }

    /// Hardened, RKE2 looks at its host first (`pkg/cli/cmds/profile_linux.go`).
    fn hardened(&self, machine: &Machine, server: bool) -> Result<(), String> {
        if self.kind != Kind::Rke2 || self.text("profile") != Some("cis") {
            return Ok(());
        }
        for (key, wanted) in CIS {
            let there = machine.host.sysctls.get(key).map_or("unset", String::as_str);
            if there != wanted {
                return Err(format!("invalid kernel parameter value {key}={there} - expected {wanted}"));
            }
        }
        if server && !machine.host.users.contains_key("etcd") {
            return Err("missing required: user: unknown user etcd".into());
        }
        Ok(())
    }

    /// What all servers must agree in.
    pub(super) fn critical(&self) -> BTreeMap<String, Value> {
        CRITICAL.iter().filter_map(|key| Some((key.to_string(), self.values.get(*key)?.clone()))).collect()
    }
}

/// What a configuration gives its node.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) labels: BTreeMap<String, String>,
    /// As the API shows them: without an empty value.
    pub(super) taints: Vec<String>,
}

impl Marks {
    /// How they are told, each with its kind.
    pub(super) fn told(&self) -> BTreeSet<String> {
        let labels = self.labels.keys().map(|key| format!("label {key}"));
        labels.chain(self.taints.iter().map(|taint| format!("taint {taint}"))).collect()
    }
}

impl Config {
    pub(super) fn marks(&self) -> Marks {
        let labels = self.list("node-label").into_iter();
        Marks {
            labels: labels.filter_map(|it| it.split_once('=').map(|(key, value)| (key.into(), value.into()))).collect(),
            taints: self.list("node-taint").into_iter().map(|taint| taint.replace("=:", ":")).collect(),
        }
    }
}

impl Machine {
    /// Whether a server of Kubernetes runs on it, whatever the books say: one that was taken out of them runs on.
    pub(super) fn serves(&self) -> bool {
        let of_rke2 = self.host.units.contains_key(Kind::Rke2.server_unit());
        let outlives = self.containers && (of_rke2 || self.is_kubeadm_server());
        outlives || self.is_talos_server() || [Kind::K3s, Kind::Rke2].iter().any(|kind| self.runs(kind.server_unit()))
    }
}

impl State {
    /// Whether a server that holds etcd's data would begin another cluster if it lost them.
    pub(super) fn begins(&self, machine: &Machine) -> bool {
        let joined = machine.host.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.joined);
        let server = machine.host.units.contains_key(Kind::on(machine).server_unit());
        let says = Config::read(machine).is_ok_and(|config| config.text("server").is_some());
        Kind::on(machine) != Kind::Kubeadm && joined && server && self.cluster.etcd && !says
    }

    /// Both give their node the labels of its configuration at every start; taints only when it registers the node.
    pub(super) fn give_marks(&mut self, host: &NodeName, unit: &str) {
        self.talos_gives_marks(host);
        let Some(config) = self.machine(host).and_then(|machine| Config::read(machine).ok()) else { return };
        if let Some(node) = self.cluster.nodes.get_mut(host).filter(|node| node.unit == unit) {
            let marks = config.marks();
            node.given = marks.told();
            node.labels.extend(marks.labels);
        }
    }

    /// Kubernetes reads its configuration at every start, and each time the host has to suit it. Returns what it read, or
    /// why it ends at once.
    pub(super) fn suits(&self, host: &NodeName, server: bool) -> Result<Config, String> {
        let machine = self.machine(host).ok_or("the machine is gone")?;
        if machine.has_talos() {
            // It took its configuration, or it would not have it.
            return Ok(Config { kind: Kind::Kubeadm, values: BTreeMap::new() });
        }
        if Kind::on(machine) == Kind::Kubeadm {
            return self.kubelet_suits(host).map(|()| Config { kind: Kind::Kubeadm, values: BTreeMap::new() });
        }
        host_refuses(machine, self.modules(host))?;
        let joined = machine.host.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.joined);
        let token = machine.file(&Kind::on(machine).token());
        // What a server boots from is locked with the token that its cluster was begun with.
        if joined && server && token != self.cluster.token.as_ref() {
            return Err("bootstrap data already found and encrypted with different token".into());
        }
        if joined && !server && token != self.cluster.agent_token.as_ref() {
            return Err("not authorized: invalid token".into());
        }
        let config = Config::read(machine)?;
        if joined && server && machine.is_misled() {
            return Err("cred/passwd newer than datastore and could cause a cluster outage".into());
        }
        if joined && server && config.agent_token(machine) != self.cluster.agent_token {
            return Err("cred/passwd newer than datastore and could cause a cluster outage".into());
        }
        if !server {
            config.agent_takes_all()?;
        }
        config.hardened(machine, server)?;
        Ok(config)
    }
}

/// What keeps the kubelet from starting on this host.
fn host_refuses(machine: &Machine, modules: &BTreeSet<String>) -> Result<(), String> {
    let kind = Kind::on(machine);
    if machine.file(kind.binary()).is_none() {
        return Err(format!("{}: No such file or directory", kind.binary()));
    }
    let lacks = Config::read(machine)
        .is_ok_and(|config| config.text("agent-token-file").is_some() && machine.file(&kind.agent_token()).is_none());
    if lacks {
        return Err(format!("agent-token-file: open {}: no such file or directory", kind.agent_token()));
    }
    if machine.file(&kind.token()).is_none() {
        return Err(format!("token-file: open {}: no such file or directory", kind.token()));
    }
    if !machine.lxc {
        return Ok(());
    }
    let line = |key: &str, word: &str| machine.raw.iter().any(|line| line.starts_with(key) && line.contains(word));
    let kmsg = machine.host.units.iter().any(|(name, unit)| name.contains("kmsg") && unit.active);
    if !kmsg && !line("lxc.mount.entry", "kmsg") {
        return Err("failed to create kubelet: open /dev/kmsg: no such file or directory".into());
    }
    if machine.seen.settings.privileged() == Some(true) && !line("lxc.mount.auto", "proc:rw") {
        return Err("open /proc/sys/vm/overcommit_memory: read-only file system".into());
    }
    if !line("features", "nesting") {
        return Err("failed to mount overlay: operation not permitted (the container has no nesting)".into());
    }
    // A container has its hypervisor's kernel, and may not load modules into it.
    if !modules.contains("br_netfilter") {
        return Err("open /proc/sys/net/bridge/bridge-nf-call-iptables: no such file or directory".into());
    }
    Ok(())
}
