//! `config.yaml`: the command line's flags without their dashes.
//! <https://docs.k3s.io/cli/server>, <https://docs.k3s.io/cli/agent>,
//! <https://docs.rke2.io/reference/server_config>, <https://docs.rke2.io/reference/linux_agent_config>

use kubewright_model::spec::kubernetes::{API_PORT, Datastore};
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::context::endpoint::certificate_names;
use crate::context::nodes::NodePlan;
use crate::context::nodes::{labels, taints};

use super::Program;

/// A configuration that is being written.
#[derive(Default)]
pub(in crate::distributions) struct Config(Map<String, Value>);

impl Config {
    /// Sets a flag.
    pub(in crate::distributions) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_string(), value.into());
    }

    /// Adds to a flag that may be given several times, also by the user.
    pub(in crate::distributions) fn also(&mut self, key: &str, value: &str) {
        let mut values = match self.0.shift_remove(key) {
            Some(Value::Array(values)) => values,
            Some(other) => vec![other],
            None => Vec::new(),
        };
        values.push(value.into());
        self.set(key, values);
    }

    /// Sets a flag that is given once for each of its values, and not at all where there is none.
    pub(in crate::distributions) fn list(&mut self, key: &str, values: Vec<String>) {
        if !values.is_empty() {
            self.set(key, values);
        }
    }
}

/// The file's text. What the user adds comes last; a rule keeps it from taking the place of what is ours.
pub(super) fn text(program: &Program, context: &Context<'_>, node: &NodePlan<'_>) -> String {
    let kubernetes = &context.file.spec.kubernetes;
    let mut config = Config::default();
    both(program, node, &mut config);
    if node.is_server() {
        server(context, node, &mut config);
        if kubernetes.agent_token.is_some() {
            config.set("agent-token-file", program.agent_token());
        }
    }
    (program.configure)(context, node, &mut config);
    let further = if node.is_server() {
        snapshots(context, &mut config);
        &kubernetes.server_config
    } else {
        config.set("server", format!("https://{}", program.registration(context)));
        &kubernetes.agent_config
    };
    for (key, value) in further {
        match (value, config.0.get(key)) {
            // What we give too stands beside the user's.
            (Value::Array(theirs), Some(Value::Array(ours))) => {
                config.set(key, ours.iter().chain(theirs).cloned().collect::<Vec<_>>());
            }
            _ => config.set(key, value.clone()),
        }
    }
    // A map of plain values always has a YAML text.
    serde_saphyr::to_string(&Value::Object(config.0)).unwrap_or_default()
}

/// What servers and agents both take.
fn both(program: &Program, node: &NodePlan<'_>, config: &mut Config) {
    config.set("node-name", node.name.as_str());
    if let Some(address) = node.address {
        config.set("node-ip", address.to_string());
    }
    config.set("token-file", program.token());
    let labels = labels(node.pool_name, node.pool).into_iter().map(|(key, value)| format!("{key}={value}"));
    config.list("node-label", labels.collect());
    config.list("node-taint", taints(node.pool).into_iter().map(with_value).collect());
}

/// The kubelet wants `key=value:effect`, with an empty value where there is none.
fn with_value(taint: String) -> String {
    match taint.rsplit_once(':') {
        Some((key, effect)) if !key.contains('=') => format!("{key}=:{effect}"),
        _ => taint,
    }
}

fn server(context: &Context<'_>, node: &NodePlan<'_>, config: &mut Config) {
    let kubernetes = &context.file.spec.kubernetes;
    config.set("write-kubeconfig-mode", "0600");
    let mut names = certificate_names(context.file, &context.endpoint);
    if let Some(address) = node.address.map(|address| address.to_string())
        && !names.contains(&address)
    {
        names.push(address);
    }
    config.set("tls-san", names);
    config.set("cluster-cidr", kubernetes.pod_network.to_string());
    config.set("service-cidr", kubernetes.service_network.to_string());
    // The default for the default network; another network needs it said.
    if let Some(dns) = kubernetes.service_network.nth(10) {
        config.set("cluster-dns", dns.to_string());
    }
    if kubernetes.cluster_domain != "cluster.local" {
        config.set("cluster-domain", kubernetes.cluster_domain.clone());
    }
}

/// Where a server serves the API: where clients look for it, if they look for it there.
pub(in crate::distributions) fn api_port(context: &Context<'_>, node: &NodePlan<'_>) -> u16 {
    let endpoint = &context.file.spec.kubernetes.endpoint;
    // A virtual IP is one of each server's own addresses: nobody between them changes the port.
    let there = endpoint.virtual_ip.is_some() || context.endpoint.address() == node.address;
    if there { endpoint.port } else { API_PORT }
}

fn snapshots(context: &Context<'_>, config: &mut Config) {
    let spec = &context.file.spec;
    let Some(backup) = spec.backup.as_ref().filter(|backup| backup.datastore) else { return };
    if spec.kubernetes.datastore != Datastore::Etcd {
        return;
    }
    config.set("etcd-snapshot-schedule-cron", backup.schedule.clone());
    config.set("etcd-snapshot-retention", json!(backup.keep.last));
}
