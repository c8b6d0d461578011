//! The etcd of a cluster, as its control plane has it.

use std::sync::Arc;

use kubewright_hosts::talos::wire;
use ring::digest::{SHA256, digest};
use tonic::Status;

use super::machine::Node;

/// What control planes of one authority have in common.
#[derive(Default)]
pub(super) struct Cluster {
    /// The authority's key and the token, which workers ask with.
    pub(super) trustd: Option<(String, String)>,
    pub(super) members: Vec<Member>,
    pub(super) leader: u64,
    next: u64,
}

#[derive(Clone)]
pub(super) struct Member {
    pub(super) id: u64,
    pub(super) hostname: String,
    pub(super) address: String,
}

impl Cluster {
    fn join(&mut self, node: &Node, hostname: String) -> u64 {
        self.next += 1;
        let id = 0x1000 + self.next;
        self.members.push(Member { id, hostname, address: node.address.to_string() });
        if self.members.len() == 1 {
            self.leader = id;
        }
        id
    }

    pub(super) fn leave(&mut self, id: u64) {
        self.members.retain(|member| member.id != id);
        if self.leader == id {
            self.leader = self.members.first().map_or(0, |member| member.id);
        }
    }
}

impl Node {
    /// Something of its cluster.
    pub(super) fn cluster<T>(&self, deed: impl FnOnce(&mut Cluster) -> T) -> T {
        let authority = self.with(|state| state.config.as_ref().map(|config| config.authority()));
        let mut clusters = self.shared.clusters.lock().unwrap();
        deed(clusters.entry(authority.unwrap_or_default()).or_default())
    }

    pub(super) fn hostname(&self) -> String {
        let configured = self.with(|state| state.config.as_ref().and_then(|config| config.hostname()));
        configured.unwrap_or_else(|| format!("talos-{:x}", u32::from(self.address) & 0xffff))
    }

    /// A node of a control plane that runs joins its etcd by itself, where that has a quorum to take it in.
    pub(super) fn joins(&self) {
        let (living, all) = self.answering();
        if living * 2 > all && self.with(|state| state.controls() && state.mounted && state.member.is_none()) {
            let hostname = self.hostname();
            let id = self.cluster(|cluster| (!cluster.members.is_empty()).then(|| cluster.join(self, hostname)));
            self.with(|state| state.member = id);
        }
    }

    /// The cluster begins here; those that wait for it join.
    pub(super) fn begins(&self) {
        let hostname = self.hostname();
        let id = self.cluster(|cluster| {
            cluster.members.clear();
            cluster.join(self, hostname)
        });
        self.with(|state| state.member = Some(id));
        let authority = |node: &Node| node.with(|state| state.config.as_ref().map(|config| config.authority()));
        let ours = authority(self);
        let nodes: Vec<Arc<Node>> = self.shared.nodes.lock().unwrap().clone();
        let others = nodes.iter().filter(|node| authority(node) == ours && node.with(|state| state.runs()));
        others.for_each(|node| node.joins());
    }

    /// Members whose nodes answer.
    fn answering(&self) -> (usize, usize) {
        let nodes: Vec<Arc<Node>> = self.shared.nodes.lock().unwrap().clone();
        let members: Vec<u64> = self.cluster(|cluster| cluster.members.iter().map(|member| member.id).collect());
        let lives = |id: &&u64| nodes.iter().any(|node| node.with(|state| state.member == Some(**id) && state.runs()));
        (members.iter().filter(lives).count(), members.len())
    }

    /// etcd answers: this node has a member, and most of them live.
    pub(super) fn quorum(&self, api: &str) -> Result<(), Status> {
        self.is_control_plane(api)?;
        if self.with(|state| state.member.is_none() || !state.mounted) {
            return Err(Status::unknown(
                "failed to create etcd client: error building etcd client: context deadline exceeded",
            ));
        }
        let (living, all) = self.answering();
        if living * 2 > all { Ok(()) } else { Err(Status::unavailable("etcdserver: no leader")) }
    }

    /// All members have to be well before one goes away for a while.
    pub(super) fn can_spare_a_member(&self) -> Result<(), Status> {
        self.quorum("upgrade")?;
        let (living, all) = self.answering();
        let why = "error validating etcd for upgrade: etcd member is not healthy; all members must be healthy to perform an upgrade";
        if living == all { Ok(()) } else { Err(Status::unknown(why)) }
    }

    pub(super) fn is_control_plane(&self, api: &str) -> Result<(), Status> {
        if self.with(|state| state.controls()) {
            return Ok(());
        }
        Err(Status::unimplemented(format!("{api} is only available on control plane nodes")))
    }

    /// Whether a kubelet here would have been let in: its cluster has begun.
    pub(super) fn is_let_in(&self) -> bool {
        self.with(|state| state.config.is_some()) && !self.members().is_empty()
    }

    pub(super) fn members(&self) -> Vec<wire::ListedMember> {
        let member = |member: &Member| wire::ListedMember {
            id: member.id,
            hostname: member.hostname.clone(),
            peer_urls: vec![format!("https://{}:2380", member.address)],
            client_urls: vec![format!("https://{}:2379", member.address)],
            is_learner: false,
        };
        self.cluster(|cluster| cluster.members.iter().map(member).collect())
    }
}

/// A snapshot as etcd sends it: whole pages, and their digest behind them.
pub(super) fn snapshot() -> Vec<u8> {
    let pages: Vec<u8> = (0..512u32 * 400).map(|at| (at / 7) as u8).collect();
    [pages.clone(), digest(&SHA256, &pages).as_ref().to_vec()].concat()
}

/// Its digest is right (`etcdutl/snapshot/v3_snapshot.go`).
pub(super) fn whole(snapshot: &[u8]) -> bool {
    snapshot.len() % 512 == 32 && {
        let (pages, sum) = snapshot.split_at(snapshot.len() - 32);
        digest(&SHA256, pages).as_ref() == sum
    }
}
