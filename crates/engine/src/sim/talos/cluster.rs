//! What pretend nodes of Talos make of their cluster: who begins it, who joins, and what they tell of it.

use kubewright_model::ids::NodeName;
use kubewright_model::observed::{HostSeen, MemberSeen};
use kubewright_model::plan::WorkloadImage;
use kubewright_planner::diff::talos;

use super::TALOS;
use crate::cluster::ClusterError;
use crate::sim::kubernetes::{Cluster, Node};
use crate::sim::state::{Machine, State};
use crate::sim::timing;

/// Labels that Talos sets of its own accord are nobody's to take away.
fn of_kubernetes(label: &str) -> bool {
    label.split('/').next().is_some_and(|owner| owner.ends_with("kubernetes.io"))
}

impl State {
    /// Somebody sees to machines that did not come back from a reset.
    pub(in crate::sim) fn bring_back(&mut self, now: u64) {
        let mut back = Vec::new();
        for (name, machine) in self.machines.values_mut().flat_map(|all| all.iter_mut()) {
            if machine.answers_at == u64::MAX {
                machine.answers_at = now;
                back.push(name.clone());
            }
        }
        back.iter().for_each(|name| self.cluster.woke(name, now));
    }

    /// Talos tells who is in etcd, where it runs.
    pub(in crate::sim) fn talos_tells(&self, name: &NodeName, seen: &mut HostSeen, now: u64) {
        let serves = self.serves(name, now) && self.api(now).is_ok();
        if let Some(talos) = &seen.talos {
            let waits = if talos.maintenance { " in maintenance mode" } else { "" };
            seen.os = format!("Talos {}{waits}", talos.version.bare());
        }
        if let Some(talos) = seen.talos.as_mut().filter(|_| serves) {
            let member = |(name, votes_at): (&NodeName, &u64)| {
                (name.clone(), MemberSeen { voter: now >= *votes_at, healthy: self.serves(name, now) })
            };
            talos.etcd = Some(self.cluster.members.iter().map(member).collect());
        }
    }

    /// A new etcd on this node: refused where it has data, as the real one does.
    pub(in crate::sim) fn bootstraps(&mut self, host: &NodeName, now: u64) -> Result<u64, String> {
        let machine = self.machine(host).ok_or("the machine is gone")?;
        if !machine.is_control_plane() {
            return Err(
                "rpc error: code = FailedPrecondition desc = bootstrap can only be performed on a control plane node"
                    .into(),
            );
        }
        if machine.host.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.joined) {
            return Err("rpc error: code = AlreadyExists desc = etcd data directory is not empty".into());
        }
        let wants_network = machine.wants_network();
        let kube_proxy = talos::kube_proxy(&machine.talos().map(|talos| talos.config.clone()).unwrap_or_default());
        if let Some(holder) = self.holder() {
            self.breach(now, format!("{host} was to begin a second cluster beside that of {holder}"));
            return Err(format!("{holder} holds this cluster's data already"));
        }
        self.cluster = Cluster {
            begun: true,
            etcd: true,
            talos: true,
            kube_proxy,
            wants_network,
            namespaces: ["default", "kube-system", "kube-public", "kube-node-lease"].map(Into::into).into(),
            ..Cluster::default()
        };
        let takes = self.jitter(timing::INIT);
        self.becomes_a_node(host, true, now + takes)?;
        Ok(takes)
    }

    /// A node that found the others is one of them.
    pub(super) fn talos_joins(&mut self, host: &NodeName, server: bool, now: u64) -> Result<u64, String> {
        if server != self.machine(host).is_some_and(Machine::is_control_plane) {
            return Err("its configuration is another role's".into());
        }
        if server {
            if let Some((learner, _)) = self.cluster.members.iter().find(|(_, votes_at)| now < **votes_at) {
                return Err(format!("etcdserver: too many learner members in cluster: {learner} learns"));
            }
            if self.cluster.members.contains_key(host) {
                self.breach(now, format!("{host} was to join while etcd still holds another member of its name"));
                return Err("etcdserver: Peer URLs already exists".into());
            }
        }
        let takes = self.jitter(if server { timing::JOIN_SERVER } else { timing::JOIN_AGENT });
        self.becomes_a_node(host, server, now + takes)?;
        Ok(takes)
    }

    fn becomes_a_node(&mut self, host: &NodeName, server: bool, at: u64) -> Result<(), String> {
        let ready_at = at + self.jitter(timing::NODE_READY);
        let machine = self.machine_mut(host).ok_or("the machine is gone")?;
        let (mut labels, taints) = machine.talos_marks();
        let version = machine.kubelet().ok_or("the configuration names no kubelet")?;
        if let Some(kubernetes) = machine.host.kubernetes.as_mut() {
            kubernetes.joined = true;
        }
        let keys = labels.keys().filter(|key| !of_kubernetes(key)).map(|key| format!("label {key}"));
        let given = keys.chain(taints.iter().map(|taint| format!("taint {taint}"))).collect();
        labels.insert("kubernetes.io/hostname".into(), host.to_string());
        if server {
            self.cluster.members.insert(host.clone(), at);
        }
        let (unit, cordoned, told_at, old, plane) = (TALOS.to_string(), false, at, None, None);
        let node = Node {
            version,
            labels,
            taints,
            given,
            server,
            cordoned,
            unit,
            ready_at,
            serves_at: at,
            told_at,
            old,
            plane,
        };
        self.cluster.enter(host.clone(), node);
        self.certified(host, at);
        self.judge_skew(host, at);
        Ok(())
    }

    /// kube-proxy runs from another image.
    pub(in crate::sim) fn set_image(&mut self, wish: &WorkloadImage) -> Result<bool, ClusterError> {
        let there = self.cluster.kube_proxy.as_mut().filter(|_| wish.name.as_str() == "kube-proxy");
        let Some(there) = there else {
            return Err(ClusterError::Refused {
                what: wish.to_string(),
                why: "daemonsets.apps not found".into(),
                log: Vec::new(),
            });
        };
        Ok(std::mem::replace(there, wish.image.clone()) != wish.image)
    }

    /// What its configuration says of labels and taints is given to its node at once.
    pub(in crate::sim) fn talos_gives_marks(&mut self, host: &NodeName) {
        let Some((labels, taints)) = self
            .machine(host)
            .filter(|it| it.talos().is_some_and(|talos| !talos.maintenance))
            .map(Machine::talos_marks)
        else {
            return;
        };
        if let Some(node) = self.cluster.nodes.get_mut(host) {
            let keys = labels.keys().filter(|key| !of_kubernetes(key)).map(|key| format!("label {key}"));
            let given = keys.chain(taints.iter().map(|taint| format!("taint {taint}"))).collect();
            let gone: Vec<String> =
                node.given.iter().filter_map(|it| Some(it.strip_prefix("label ")?.to_string())).collect();
            gone.iter().filter(|key| !labels.contains_key(*key)).for_each(|key| drop(node.labels.remove(key)));
            node.given = given;
            node.labels.extend(labels);
        }
    }
}
