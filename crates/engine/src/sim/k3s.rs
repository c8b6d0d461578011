//! What K3s makes of its configuration and of the host that it starts on, as far as it refuses to start.
//!
//! The flags are those of v1.31 (`pkg/cli/cmds/agent.go` and `server.go` in <https://github.com/k3s-io/k3s>).

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright_model::ids::NodeName;
use serde_json::Value;

use super::state::{Machine, State};

pub(super) const BINARY: &str = "/usr/local/bin/k3s";
pub(super) const TOKEN: &str = "/etc/rancher/k3s/token";
pub(super) const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";
pub(super) const PASSWORD: &str = "/etc/rancher/node/password";
const CONFIG: &str = "/etc/rancher/k3s/config.yaml";
const DROP_INS: &str = "/etc/rancher/k3s/config.yaml.d/";

/// What a server writes down for those who may do everything, as K3s words it; its keys open nothing.
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

/// Flags that both roles take.
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

/// The unit of a server.
pub(super) const SERVER_UNIT: &str = "k3s.service";

/// A configuration as K3s reads it: the file, then the drop-ins over it.
#[derive(Clone, Debug, Default)]
pub(super) struct Config(BTreeMap<String, Value>);

impl Config {
    /// Reads what is on the machine.
    pub(super) fn read(machine: &Machine) -> Result<Self, String> {
        let mut config = BTreeMap::new();
        let drop_ins = machine.texts.range(DROP_INS.to_string()..).take_while(|(path, _)| path.starts_with(DROP_INS));
        let main = machine.texts.get_key_value(CONFIG).ok_or("there is no /etc/rancher/k3s/config.yaml")?;
        for (path, text) in std::iter::once(main).chain(drop_ins) {
            let values: BTreeMap<String, Value> =
                serde_saphyr::from_str(text).map_err(|error| format!("{path}: {error}"))?;
            config.extend(values);
        }
        Ok(Self(config))
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    pub(super) fn is_on(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool) == Some(true)
    }

    pub(super) fn port(&self) -> u16 {
        self.0.get("https-listen-port").and_then(Value::as_u64).and_then(|port| port.try_into().ok()).unwrap_or(6443)
    }

    pub(super) fn list(&self, key: &str) -> Vec<String> {
        let items = self.0.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.as_str().map(str::to_string)).collect()
    }

    /// An agent ends at once when it is given a flag that it does not know.
    pub(super) fn agent_takes_all(&self) -> Result<(), String> {
        let unknown = self.0.keys().find(|key| !BOTH.split_whitespace().any(|flag| flag == key.as_str()));
        unknown.map_or(Ok(()), |key| Err(format!("flag provided but not defined: -{key}")))
    }

    /// What all servers must agree in.
    pub(super) fn critical(&self) -> BTreeMap<String, Value> {
        CRITICAL.iter().filter_map(|key| Some((key.to_string(), self.0.get(*key)?.clone()))).collect()
    }
}

/// What a configuration gives its node.
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

impl State {
    /// K3s gives its node the labels of its configuration at every start; taints only when it registers the node.
    pub(super) fn give_marks(&mut self, host: &NodeName, unit: &str) {
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
        host_refuses(machine, self.modules(host))?;
        let joined = machine.host.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.joined);
        if joined && machine.file(TOKEN) != self.cluster.token.as_ref() {
            // What a server boots from is locked with the token that its cluster was begun with.
            return Err(match server {
                true => "bootstrap data already found and encrypted with different token".into(),
                false => "not authorized: invalid token".into(),
            });
        }
        let config = Config::read(machine)?;
        if !server {
            config.agent_takes_all()?;
        }
        Ok(config)
    }
}

/// What keeps the kubelet from starting on this host.
fn host_refuses(machine: &Machine, modules: &BTreeSet<String>) -> Result<(), String> {
    if machine.file(BINARY).is_none() {
        return Err(format!("{BINARY}: No such file or directory"));
    }
    if machine.file(TOKEN).is_none() {
        return Err("token-file: open /etc/rancher/k3s/token: no such file or directory".into());
    }
    if !machine.lxc {
        return Ok(());
    }
    let line = |key: &str, word: &str| machine.raw.iter().any(|line| line.starts_with(key) && line.contains(word));
    let kmsg = machine.host.units.iter().any(|(name, unit)| name.contains("kmsg") && unit.active);
    if !kmsg && !line("lxc.mount.entry", "kmsg") {
        return Err("failed to create kubelet: open /dev/kmsg: no such file or directory".into());
    }
    if machine.seen.privileged == Some(true) && !line("lxc.mount.auto", "proc:rw") {
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
