//! What a check is given: the evidence and the wish, and how both are asked.

use std::collections::BTreeMap;

use kubewright_model::desired::{Desired, DesiredHost, DesiredMember};
use kubewright_model::doctor::{Evidence, Lists, Papers};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::Seen;
use kubewright_model::spec::kubernetes::Distribution;
use serde_json::Value;

/// What a check is given.
pub(super) struct Case<'a> {
    /// What was seen.
    pub(super) evidence: &'a Evidence,
    /// What is wished.
    pub(super) desired: &'a Desired,
}

/// A unit of systemd, as `systemctl show` tells of it.
pub(super) type Unit<'a> = BTreeMap<&'a str, &'a str>;

impl<'a> Case<'a> {
    /// Hosts that were looked at, with their papers.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (&'a NodeName, &'a Papers)> + use<'a> {
        self.evidence.hosts.iter().filter_map(|(name, seen)| Some((name, seen.present()?)))
    }

    /// The lists of the cluster, where it was looked at.
    pub(super) fn lists(&self) -> Option<&'a Lists> {
        self.evidence.cluster.as_ref().and_then(Seen::present)
    }

    /// The objects of a kind.
    pub(super) fn list(&self, kind: &str) -> &'a [Value] {
        self.lists().map_or(&[], |lists| lists.of(kind))
    }

    /// Whether the cluster was looked at and has this kind.
    pub(super) fn has(&self, kind: &str) -> bool {
        self.lists().is_some_and(|lists| lists.has(kind))
    }

    /// What the spec wants of a host.
    pub(super) fn host(&self, name: &NodeName) -> Option<&'a DesiredHost> {
        self.desired.hosts.iter().find(|host| host.name == *name)
    }

    /// What the spec wants of a node.
    pub(super) fn member(&self, name: &NodeName) -> Option<&'a DesiredMember> {
        self.desired.members.iter().find(|member| member.name == *name)
    }

    /// Whether Kubernetes runs, or is to run, on a host.
    pub(super) fn is_member(&self, name: &NodeName) -> bool {
        self.member(name).is_some()
    }

    /// The distribution.
    pub(super) fn distribution(&self) -> Distribution {
        self.desired.kubernetes.distribution
    }

    /// The unit that makes a host a node.
    pub(super) fn kubernetes_unit(&self, name: &NodeName) -> &'static str {
        let server = self.member(name).is_some_and(|member| member.role.is_server());
        match (self.distribution(), server) {
            (Distribution::K3s, true) => "k3s.service",
            (Distribution::K3s, false) => "k3s-agent.service",
            (Distribution::Rke2, true) => "rke2-server.service",
            (Distribution::Rke2, false) => "rke2-agent.service",
            (Distribution::Kubeadm | Distribution::Talos, _) => "kubelet.service",
        }
    }
}

/// The units of a host, as `systemctl show` prints them: one block each.
pub(super) fn units(papers: &Papers) -> Vec<Unit<'_>> {
    let blocks = papers.text("units").unwrap_or_default().split("\n\n").filter(|block| !block.trim().is_empty());
    blocks.map(|block| block.lines().filter_map(|line| line.split_once('=')).collect()).collect()
}

/// A unit of a host by its name, if the host has it.
pub(super) fn unit<'a>(papers: &'a Papers, name: &str) -> Option<Unit<'a>> {
    let mut all = units(papers).into_iter();
    all.find(|unit| unit.get("Id") == Some(&name) && unit.get("LoadState") == Some(&"loaded"))
}

/// A kernel setting, as `sysctl` prints it.
pub(super) fn sysctl<'a>(papers: &'a Papers, key: &str) -> Option<&'a str> {
    papers.lines("sysctl").find_map(|line| line.split_once(" = ").filter(|(name, _)| *name == key)).map(|(_, it)| it)
}

/// The same, as a number.
pub(super) fn number(papers: &Papers, key: &str) -> Option<u64> {
    sysctl(papers, key)?.trim().parse().ok()
}

/// The last lines of a paper that hold one of these words.
pub(super) fn told<'a>(papers: &'a Papers, paper: &str, words: &[&str]) -> Vec<&'a str> {
    const FEW: usize = 3;
    let held = papers.lines(paper).filter(|line| words.iter().any(|word| line.contains(word)));
    let mut last: Vec<&str> = held.collect();
    last.drain(..last.len().saturating_sub(FEW));
    last
}
