//! Who is a member of the cluster, who votes, and who serves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kubewright_model::digest::Digest;
use kubewright_model::ids::{Namespace, NodeName, ObjectName, Owner, ReleaseName};
use kubewright_model::object::{Manifest, ObjectId, ObjectKey};
use kubewright_model::rotation::Rotation;
use kubewright_model::version::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::applications::Application;
use super::faults::FaultKind;
use super::kubeadm::{Books, KUBELET};
use super::rancher::Kind;
use super::state::State;
use super::talos::TALOS;
use super::timing;
use super::vault::Vault;

/// The cluster that lives in the data centre.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cluster {
    /// It was begun, and its data are somewhere.
    pub(super) begun: bool,
    /// Its data are in etcd; in SQLite otherwise.
    pub(super) etcd: bool,
    /// The digest of the file that lets members in.
    pub(super) token: Option<Digest>,
    /// The digest of the file that lets agents in.
    #[serde(default)]
    pub(super) agent_token: Option<Digest>,
    /// How often it has gone over to another token or key.
    #[serde(default)]
    pub(super) turned: BTreeMap<Rotation, u32>,
    /// Servers that go by the one of before, until they start again.
    #[serde(default)]
    pub(super) behind: BTreeSet<(NodeName, Rotation)>,
    /// The keys for Secrets that servers of kubeadm were started with, the one that locks first, and those that something is
    /// locked with.
    #[serde(default)]
    pub(super) locks: super::turnover::Locks,
    /// What kubeadm keeps in it.
    #[serde(default)]
    pub(super) kubeadm: Option<Books>,
    /// Talos runs it, which takes no member out of etcd when a node is forgotten.
    #[serde(default)]
    pub(super) talos: bool,
    /// The image of kube-proxy, where Talos has made one.
    #[serde(default)]
    pub(super) kube_proxy: Option<String>,
    /// Nobody brings a network for pods along: a release must.
    pub(super) wants_network: bool,
    /// What all servers must agree in.
    pub(super) critical: BTreeMap<String, Value>,
    /// Nodes by name. They come and go by [`Cluster::enter`] and [`Cluster::leave`].
    pub nodes: BTreeMap<NodeName, Node>,
    /// Those of them that are servers.
    pub(super) servers: BTreeSet<NodeName>,
    /// Those of them whose pods we moved away, and that take no new ones yet.
    pub(super) drained: BTreeSet<NodeName>,
    /// Kubelets that were restarted, and the versions that they tell the books when they are back.
    pub(super) renews: BTreeMap<u64, Vec<(NodeName, Version)>>,
    /// Members of etcd by name, and when each votes.
    pub(super) members: BTreeMap<NodeName, u64>,
    /// Servers that ran when they were forgotten, and when they join again.
    #[serde(default)]
    pub(super) returning: BTreeMap<NodeName, (u64, Node)>,
    pub(super) namespaces: BTreeSet<Namespace>,
    /// Objects by kind and name.
    pub(super) objects: BTreeMap<String, Kept>,
    /// Kinds that whoever serves them keeps from being listed, as `KIND.GROUP`, and what is said then.
    #[serde(default)]
    pub unlisted: BTreeMap<String, String>,
    /// Fields that others have set, by the object's name as it is told: who, and which.
    #[serde(default)]
    pub set_by_others: BTreeMap<String, (String, String)>,
    /// The addresses that Services of type LoadBalancer were given.
    #[serde(default)]
    pub(super) addresses: BTreeMap<ObjectKey, Vec<IpAddr>>,
    /// Releases by `namespace/name`.
    pub(super) releases: BTreeMap<String, Installed>,
    /// Argo CD's applications.
    #[serde(default)]
    pub(super) applications: BTreeMap<ObjectName, Application>,
    /// Vault, once it was initialised.
    #[serde(default)]
    pub vault: Option<Vault>,
    /// When Argo CD's repo-server was restarted, and serves again.
    #[serde(default)]
    pub(super) repo_server_at: Option<u64>,
}

/// A node as its cluster has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    /// The kubelet's version.
    pub version: Version,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<String>,
    /// The labels and taints of the configuration with which it started.
    pub(super) given: BTreeSet<String>,
    pub(super) server: bool,
    /// No new pods are put on it.
    pub cordoned: bool,
    /// The unit that runs it.
    pub(super) unit: String,
    /// When it is Ready, if nothing comes between.
    pub(super) ready_at: u64,
    /// When it serves the API with what its unit has started last, if it is a server.
    pub serves_at: u64,
    /// When the kubelet that its unit has started last tells its version.
    #[serde(default)]
    pub(super) told_at: u64,
    /// What serves until then.
    #[serde(default)]
    pub(super) old: Option<Old>,
    /// The version of its control plane, where that is not the kubelet's to say (kubeadm).
    #[serde(default)]
    pub(super) plane: Option<Version>,
}

/// A control plane in containers, which outlive the unit that has started them (RKE2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Old {
    version: Version,
    /// When it ends to make room for the newer one.
    until: u64,
}

/// An object that was applied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) id: ObjectId,
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
}

/// A release that was installed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Installed {
    pub(super) name: ReleaseName,
    pub(super) namespace: Namespace,
    pub(super) owner: Owner,
    pub(super) chart: String,
    pub(super) version: Option<Version>,
    pub(super) fingerprint: Digest,
    /// Its workloads ran.
    pub(super) deployed: bool,
    /// What it was made with; secrets are holes.
    #[serde(default)]
    pub(super) values: Value,
    pub(super) ready_at: u64,
    /// The Service of type LoadBalancer that it brings.
    #[serde(default)]
    pub(super) service: Option<Manifest>,
}

/// A restart of a node's Kubernetes.
pub(super) struct Restart<'a> {
    pub(super) unit: &'a str,
    /// It ran before.
    pub(super) ran: bool,
    /// The program that is on the host now.
    pub(super) version: Option<Version>,
    /// When the kubelet is back.
    pub(super) back: u64,
    /// When its own control plane serves, if it is a server's.
    pub(super) serves: u64,
    /// The version of the control plane of before, if that serves until then.
    pub(super) old: Option<Version>,
}

impl Cluster {
    /// A node's machine was started: its kubelet is back a while later.
    pub(super) fn woke(&mut self, name: &NodeName, up: u64) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.ready_at = up + timing::RESTART;
            node.serves_at = up + timing::RESTART;
            node.old = None;
        }
    }

    /// A node's machine is gone. The books keep the node until somebody takes it out of them.
    pub(super) fn slept(&mut self, name: &NodeName, now: u64) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.ready_at = node.ready_at.max(now);
        }
    }

    /// A node's Kubernetes was restarted. The books hold a node as Ready for 40 s after its kubelet was heard last, with
    /// the version that it had, so one that is back before was never away for them.
    pub(super) fn restarted(&mut self, name: &NodeName, restart: Restart<'_>) {
        if let Some(node) = self.nodes.get_mut(name).filter(|node| node.unit == restart.unit) {
            if !restart.ran {
                node.ready_at = restart.back;
            }
            let until = restart.serves.min(restart.back + timing::SWAP);
            node.old = restart.old.map(|version| Old { version, until });
            node.serves_at = restart.serves;
            node.told_at = restart.back;
            let told = restart.version.map(|version| (name.clone(), version));
            self.renews.entry(restart.back).or_default().extend(told);
        }
    }

    /// A node is in the books.
    pub(super) fn enter(&mut self, name: NodeName, node: Node) {
        if node.server {
            self.servers.insert(name.clone());
        }
        self.nodes.insert(name, node);
    }

    /// A node is in the books no more.
    pub(super) fn leave(&mut self, name: &NodeName) -> Option<Node> {
        self.servers.remove(name);
        self.drained.remove(name);
        self.nodes.remove(name)
    }
}

impl Node {
    /// Whether its control plane runs in containers.
    pub(super) fn contained(&self) -> bool {
        self.unit == Kind::Rke2.server_unit() || self.of_kubeadm()
    }

    /// Whether kubeadm made it a node: its unit is the kubelet alone.
    pub(super) fn of_kubeadm(&self) -> bool {
        self.unit == KUBELET
    }

    /// Whether Talos runs it.
    pub(super) fn of_talos(&self) -> bool {
        self.unit == TALOS
    }

    /// Its version, as far as everything of it has it.
    pub(super) fn whole_version(&self) -> &Version {
        self.plane.as_ref().map_or(&self.version, |plane| plane.min(&self.version))
    }

    /// The version of its API server.
    pub(super) fn serves_version(&self, now: u64) -> &Version {
        let now = self.old.as_ref().filter(|_| now < self.serves_at).map(|old| &old.version);
        now.or(self.plane.as_ref()).unwrap_or(&self.version)
    }
}

impl State {
    /// Whether this node's server answers. RKE2's is there while its containers are, whatever became of its unit.
    pub(super) fn serves(&self, name: &NodeName, now: u64) -> bool {
        let Some(node) = self.cluster.nodes.get(name).filter(|node| node.server) else { return false };
        if self.is_shunned(name, now) {
            return false;
        }
        let old = node.old.as_ref().is_some_and(|old| now < old.until);
        self.machine(name).filter(|_| old || now >= node.serves_at).is_some_and(|machine| {
            let there = if node.contained() { machine.containers } else { machine.runs(&node.unit) };
            there && machine.answers(now)
        })
    }

    /// Whether this node's server answers, and is the one that its unit has started last.
    pub(super) fn settled(&self, name: &NodeName, now: u64) -> bool {
        self.cluster.nodes.get(name).is_some_and(|node| now >= node.serves_at) && self.serves(name, now)
    }

    /// Whether a server's unit was started here and has not said yet that it is ready.
    pub(super) fn starting(&self, name: &NodeName, now: u64) -> bool {
        let node = self.cluster.nodes.get(name);
        let node = node.filter(|node| node.server && now < node.serves_at && !node.of_kubeadm() && !node.of_talos());
        node.is_some_and(|node| self.machine(name).is_some_and(|machine| machine.runs(&node.unit)))
    }

    /// Members that vote, and those of them that answer.
    pub(super) fn votes(&self, now: u64) -> (usize, usize) {
        self.votes_of(now, |name| self.serves(name, now))
    }

    fn votes_of(&self, now: u64, answers: impl Fn(&NodeName) -> bool) -> (usize, usize) {
        let voters = || self.cluster.members.iter().filter(|(_, since)| now >= **since);
        (voters().count(), voters().filter(|(name, _)| answers(name)).count())
    }

    /// Whether a server's unit waits for a majority of etcd that is not there.
    pub(super) fn is_alone(&self, name: &NodeName, unit: &str, now: u64) -> bool {
        let ours = self.cluster.nodes.get(name).is_some_and(|node| node.unit == unit);
        let (all, healthy) = self.votes(now);
        ours && self.cluster.etcd
            && self.cluster.members.contains_key(name)
            && healthy <= all / 2
            && self.machine(name).is_some_and(|machine| machine.notifies(unit))
    }

    /// Why nobody answers at the API; nothing when somebody does.
    pub(super) fn api(&self, now: u64) -> Result<(), String> {
        if !self.cluster.begun {
            return Err("no server runs anywhere".into());
        }
        if self.cluster.etcd {
            let (all, healthy) = self.votes(now);
            let needed = all / 2 + 1;
            if healthy < needed {
                if let Some(name) = self.cluster.members.keys().find(|name| self.is_shunned(name, now)) {
                    return Err(format!("{name}: tls: x509: certificate has expired or is not yet valid"));
                }
                return Err(format!("etcd has no leader: {healthy} of {all} members answer, {needed} are needed"));
            }
            return Ok(());
        }
        let serves = self.cluster.servers.iter().any(|name| self.serves(name, now));
        if serves { Ok(()) } else { Err("the server does not answer".into()) }
    }

    /// Whether a node is Ready, and why not.
    pub(super) fn ready(&self, name: &NodeName, now: u64) -> Result<(), String> {
        let Some(node) = self.cluster.nodes.get(name) else { return Err("it is no node yet".into()) };
        let Some(machine) = self.machine(name) else { return Err("its machine is gone".into()) };
        if !machine.answers(now) || !machine.runs(&node.unit) {
            return Err("the kubelet does not report any more".into());
        }
        self.kubelet_is_known(name, now)?;
        if now < node.ready_at {
            return Err("the container runtime pulls its images".into());
        }
        if self.cluster.wants_network && !self.network(now) {
            return Err("the container runtime has no network: cni plugin not initialized".into());
        }
        Ok(())
    }

    /// Whether a release has brought a network for pods.
    fn network(&self, now: u64) -> bool {
        let brings = |chart: &str| ["cilium", "flannel"].contains(&chart);
        self.cluster.releases.values().any(|release| brings(&release.chart) && now >= release.ready_at)
    }

    /// A member of etcd is about to stop for good, which may not cost a living cluster its quorum.
    pub(super) fn may_stop_for_good(&mut self, name: &NodeName, now: u64) {
        if self.ending || !self.cluster.members.contains_key(name) || !self.serves(name, now) {
            return;
        }
        let (all, healthy) = self.votes(now);
        if healthy > all / 2 && healthy.saturating_sub(1) <= all / 2 {
            self.breach(now, format!("{name} went and etcd lost its quorum: {} of {all} answer", healthy - 1));
        }
    }

    /// A node's Kubernetes is about to be restarted: nobody who wants the cluster to live restarts a server on which the
    /// quorum hangs, or an agent while too many are drained. Fails where it would end at once.
    pub(super) fn restarts(&mut self, name: &NodeName, unit: &str, now: u64) -> Result<(), String> {
        let Some(node) = self.cluster.nodes.get(name).filter(|node| node.unit == unit) else { return Ok(()) };
        let server = node.server;
        // What is about to make room for something newer may be the last that works.
        let (all, healthy) = self.votes_of(now, |name| self.settled(name, now));
        let votes = self.cluster.members.contains_key(name) && self.settled(name, now);
        if votes && all >= 3 && healthy <= all / 2 + 1 && healthy < all {
            self.breach(now, format!("{name} was restarted while {healthy} of {all} members of etcd answered"));
        }
        // Servers that go are drained too; what may be out of service at once is told of agents.
        let agent = |name: &&NodeName| self.cluster.nodes.get(*name).is_some_and(|node| !node.server);
        let drained = self.cluster.drained.iter().filter(agent).count();
        if !server && drained > self.max_unavailable {
            let most = self.max_unavailable;
            self.breach(now, format!("{name} was restarted while {drained} agents were drained, and {most} may be"));
        }
        let suits = self.suits(name, server).map(drop);
        if server && suits.as_ref().is_err_and(|why| why.contains("different token")) {
            self.is_misled(name);
        }
        if suits.is_err()
            && let Some(unit) = self.machine_mut(name).and_then(|machine| machine.host.units.get_mut(unit))
        {
            unit.active = false;
        }
        suits
    }

    /// A unit was restarted; returns when it says that it is ready, if it does.
    pub(super) fn starts_again(&mut self, name: &NodeName, unit: &str, ran: bool, now: u64) -> u64 {
        self.looks_at_its_certificates(name, unit, now);
        self.catches_up(name);
        let back = now + self.jitter(timing::RESTART);
        let node = self.cluster.nodes.get(name).filter(|node| node.unit == unit);
        // The kubelet finds the containers of its control plane as they are.
        let kubelet = node.is_some_and(Node::of_kubeadm);
        let contained = node.is_some_and(|node| node.server && node.contained() && !kubelet);
        let goes_on = node.filter(|_| kubelet && self.serves(name, now)).map(|node| node.serves_at);
        let old = node.filter(|_| contained && self.serves(name, now)).map(|node| node.serves_version(now).clone());
        let server = node.is_some_and(|node| node.server);
        let serves = match server && self.etcd_is_stuck(name, now) {
            true => u64::MAX,
            false if goes_on.is_some() => goes_on.unwrap_or(back),
            false if contained => back + timing::SWAP,
            false => back,
        };
        let version = self.machine(name).and_then(|machine| machine.host.kubernetes.as_ref()?.version.clone());
        self.cluster.restarted(name, Restart { unit, ran, version, back, serves, old });
        if let Some(machine) = self.machine_mut(name) {
            machine.containers |= server;
        }
        self.give_marks(name, unit);
        if server && !kubelet { serves } else { back }
    }

    /// Whether somebody wished that this server's etcd does not start again.
    fn etcd_is_stuck(&mut self, name: &NodeName, now: u64) -> bool {
        let Some((fault, course)) = self.fault(FaultKind::EtcdStuck) else { return false };
        if fault.target.get_or_insert_with(|| name.clone()) != name {
            return false;
        }
        course.since.get_or_insert(now);
        course.met += 1;
        true
    }

    /// A person has seen to what did not start.
    pub(super) fn unstick(&mut self, now: u64) {
        for node in self.cluster.nodes.values_mut().filter(|node| node.serves_at == u64::MAX) {
            node.serves_at = now + timing::SWAP;
        }
    }

    /// A node's machine is about to be shut down and started again: its Kubernetes with it.
    pub(super) fn goes_down(&mut self, name: &NodeName, now: u64) {
        let unit = self.cluster.nodes.get(name).map(|node| node.unit.clone());
        if let Some(unit) = unit {
            // Whether it starts again shows when it does.
            drop(self.restarts(name, &unit, now));
        }
        self.cluster.slept(name, now);
    }

    /// Kubelets that are back have told their versions.
    pub(super) fn renew(&mut self, now: u64) {
        while let Some(first) = self.cluster.renews.first_entry().filter(|first| *first.key() <= now) {
            let (at, told) = first.remove_entry();
            for (name, version) in told {
                // One that was restarted once more tells it then.
                if let Some(node) = self.cluster.nodes.get_mut(&name).filter(|node| node.told_at == at) {
                    node.version = version;
                    self.judge_skew(&name, at);
                }
            }
        }
    }

    /// No kubelet may be newer than an API server that it may talk to. One that is about to leave the cluster is not
    /// brought to the new version first, and does not count. <https://kubernetes.io/releases/version-skew-policy/>
    pub(super) fn judge_skew(&mut self, name: &NodeName, at: u64) {
        let Some(node) = self.cluster.nodes.get(name).filter(|node| !node.server) else { return };
        let staying = self.cluster.servers.intersection(&self.staying);
        let serving = staying.filter(|server| self.serves(server, at));
        let oldest =
            serving.filter_map(|server| Some((self.cluster.nodes.get(server)?.serves_version(at), server))).min();
        if let Some((version, server)) = oldest.filter(|(version, _)| **version < node.version) {
            let what = format!("the kubelet of {name} is {}, newer than {server} with {version}", node.version);
            self.breach(at, what);
        }
    }

    /// A member leaves etcd, which may not cost it the quorum.
    pub(super) fn leaves_etcd(&mut self, name: &NodeName, now: u64) -> Result<(), String> {
        let Some(since) = self.cluster.members.get(name).copied() else { return Ok(()) };
        let (all, healthy) = self.votes(now);
        let answers = self.serves(name, now);
        let votes = now >= since;
        let stay = all - usize::from(votes);
        let stay_healthy = healthy - usize::from(votes && answers);
        if stay_healthy < stay / 2 + 1 {
            self.breach(now, format!("{name} was to leave etcd, of which {stay_healthy} of {stay} would answer"));
            return Err(format!("etcdserver: re-configuration failed: {stay_healthy} of {stay} would answer"));
        }
        self.cluster.members.remove(name);
        Ok(())
    }

    /// Takes a node out of the books. K3s and RKE2 take its member out of etcd with it.
    pub(super) fn forget(&mut self, name: &NodeName, now: u64) -> Result<(), String> {
        if self.cluster.kubeadm.is_none() && !self.cluster.talos {
            self.leaves_etcd(name, now)?;
        } else if self.cluster.members.contains_key(name) {
            self.breach(now, format!("{name} was to leave the books, and its member stays in etcd"));
        }
        let node = self.cluster.leave(name);
        // K3s that finds itself removed puts its datastore aside, starts anew and joins again.
        if let Some(node) = node.filter(|node| {
            node.server
                && !node.of_kubeadm()
                && !node.of_talos()
                && self.machine(name).is_some_and(|it| it.runs(&node.unit))
        }) {
            self.cluster.returning.insert(name.clone(), (now + timing::RESTART, node));
        }
        Ok(())
    }

    /// Servers that were forgotten and not stopped are back in the books.
    pub(super) fn come_back(&mut self, now: u64) {
        let due: Vec<NodeName> =
            self.cluster.returning.iter().filter(|(_, (at, _))| *at <= now).map(|(name, _)| name.clone()).collect();
        for name in due {
            let Some((at, node)) = self.cluster.returning.remove(&name) else { continue };
            if self.machine(&name).is_some_and(|machine| machine.runs(&node.unit)) {
                let up = at + timing::JOIN_SERVER;
                self.cluster.members.insert(name.clone(), up);
                self.cluster.enter(name, Node { serves_at: up, ready_at: up, ..node });
            }
        }
    }

    /// Nothing of a cluster is left when no server has its data any more.
    pub(super) fn end_cluster_without_servers(&mut self) {
        let holds = |name: &NodeName| {
            self.machine(name).and_then(|machine| machine.host.kubernetes.as_ref()).is_some_and(|it| it.joined)
        };
        let alive = self.cluster.servers.iter().any(holds);
        if self.cluster.begun && !alive {
            self.cluster = Cluster::default();
        }
    }
}
