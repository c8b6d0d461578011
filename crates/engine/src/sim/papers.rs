//! What a pretend host and a pretend cluster show to doctor: what their machines, their units and their faults mean in the words
//! of real programs.

use std::collections::BTreeMap;

use kubewright_model::doctor::{Lists, Paper, Papers};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{ClusterSeen, NodeSeen};
use serde_json::{Value, json};

use super::faults::FaultKind;
use super::state::State;

fn text(text: String) -> Paper {
    Paper::Text { text, status: 0 }
}

impl State {
    /// The papers of a host that answers.
    pub(super) fn papers(&mut self, host: &NodeName) -> Papers {
        let full = self.fault(FaultKind::DiskFull).is_some_and(|(fault, _)| fault.target.as_ref() == Some(host));
        let (available, used) = if full { (0, 100) } else { (24_634_376, 22) };
        let mut papers = BTreeMap::new();
        let head = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n";
        papers.insert(
            "df".into(),
            text(format!("{head}/dev/sda1           32845584  7211208  {available}      {used}% /\n")),
        );
        papers.insert("hostname".into(), text(format!("{host}\n")));
        papers.insert("kmsg".into(), text("crw-r--r-- 1 root root 1, 11 Jan  1 00:00 /dev/kmsg\n".into()));
        papers.insert("swaps".into(), text("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".into()));
        papers.insert("timesync".into(), text("NTP=yes\nNTPSynchronized=yes\n".into()));
        papers.insert("routes".into(), text("default via 192.0.2.1 dev eth0 proto static \n".into()));
        papers.insert("routes6".into(), text(String::new()));
        if let Some(machine) = self.machine(host) {
            let block = |(name, unit): (&String, &kubewright_model::observed::UnitSeen)| {
                let (active, sub) = if unit.active { ("active", "running") } else { ("inactive", "dead") };
                format!(
                    "Id={name}\nLoadState=loaded\nActiveState={active}\nSubState={sub}\nResult=success\nNRestarts=0\n"
                )
            };
            let units: Vec<String> = machine.host.units.iter().map(block).collect();
            papers.insert("units".into(), text(units.join("\n")));
        }
        Papers { papers, asked: 0 }
    }
}

/// The lists of a pretend cluster: what is known of it, in the words of the API.
pub(super) fn lists(seen: &ClusterSeen) -> Lists {
    let mut lists = Lists::default();
    lists.items.insert("nodes".into(), seen.nodes.iter().map(|(name, it)| node(name, it)).collect());
    let namespaces = seen.namespaces.iter().map(|name| json!({ "metadata": { "name": name.as_str() } }));
    lists.items.insert("namespaces".into(), namespaces.collect());
    let taken = |status: bool| if status { "deployed" } else { "failed" };
    let releases = seen.releases.iter().map(|((namespace, name), it)| {
        let labels = json!({ "owner": "helm", "name": name.as_str(), "status": taken(it.deployed), "version": "1" });
        let record = format!("sh.helm.release.v1.{name}.v1");
        json!({ "metadata": { "name": record, "namespace": namespace.as_str(), "labels": labels } })
    });
    lists.items.insert("helmreleases".into(), releases.collect());
    lists
}

fn node(name: &NodeName, seen: &NodeSeen) -> Value {
    let taints = seen.taints.iter().map(|taint| {
        let (key, effect) = taint.rsplit_once(':').unwrap_or((taint, ""));
        let (key, value) = key.split_once('=').unwrap_or((key, ""));
        json!({ "key": key, "value": value, "effect": effect })
    });
    let (status, reason) = if seen.ready { ("True", "KubeletReady") } else { ("Unknown", "NodeStatusUnknown") };
    let message = if seen.ready { "kubelet is posting ready status" } else { "Kubelet stopped posting node status." };
    json!({
        "metadata": { "name": name.as_str(), "labels": seen.labels },
        "spec": { "unschedulable": seen.cordoned, "taints": taints.collect::<Vec<_>>() },
        "status": {
            "nodeInfo": { "kubeletVersion": seen.version.to_string() },
            "conditions": [{ "type": "Ready", "status": status, "reason": reason, "message": message }],
        },
    })
}
