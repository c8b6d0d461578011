//! Which versions an upgrade goes through: Kubernetes skips no minor version, and etcd has a step of its own.
//!
//! <https://kubernetes.io/releases/version-skew-policy/>, <https://docs.k3s.io/upgrades>, <https://docs.rke2.io/upgrades/manual_upgrade>

use std::collections::BTreeMap;

use kubewright_model::change::Subject;
use kubewright_model::desired::Desired;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Note, Weight};
use kubewright_model::spec::kubernetes::{Datastore, Distribution};
use kubewright_model::version::Version;

pub(crate) mod charts;
pub(crate) mod known;
use known::newest;

/// What an etcd of a minor version has to run last before 3.6, if it is older than the first version that has it: members
/// that were taken out long ago may come back otherwise. K3s and RKE2 bring etcd along: 3.5.26 since 1.32.11 and 1.33.7, and
/// 3.6 since 1.33.11. <https://etcd.io/blog/2025/zombie_members_upgrade/>,
/// <https://docs.rke2.io/release-notes/v1.33.X#release-v1337rke2r1>
const BEFORE_ETCD_36: [((u64, u64), u64, [&str; 2]); 2] =
    [((1, 32), 11, ["v1.32.13+k3s1", "v1.32.13+rke2r1"]), ((1, 33), 7, ["v1.33.10+k3s1", "v1.33.10+rke2r3"])];
/// The first version of K3s and RKE2 with etcd 3.6.
const ETCD_36: (u64, u64, u64) = (1, 33, 11);

/// The versions on the way, in order, without the one that is wished; or the minor version of which none is known.
pub(crate) fn way(desired: &Desired, observed: &Observed) -> Result<Vec<Version>, (u64, u64)> {
    let there = versions(desired, observed);
    let (mut servers, mut nodes): (Vec<_>, Vec<_>) = Default::default();
    for (name, version) in there {
        if desired.servers().any(|member| member.name == *name) {
            servers.push(version);
        }
        nodes.push(version);
    }
    let (Some(first), Some(lowest)) = (servers.iter().min(), nodes.iter().min()) else { return Ok(Vec::new()) };
    along(desired, &servers, first, lowest)
}

/// The way from what the first server runs, and the last node.
fn along(
    desired: &Desired,
    servers: &[&Version],
    first: &Version,
    lowest: &Version,
) -> Result<Vec<Version>, (u64, u64)> {
    let wanted = &desired.kubernetes.version;
    let mut way = Vec::new();
    let mut at = first.clone();
    // Agents that stayed behind come along first.
    if lowest.minor() < at.minor() && at.minor() < wanted.minor() {
        way.push(at.clone());
    }
    loop {
        let (major, minor) = at.minor();
        let minors_left = wanted.minor() > (major, minor + 1);
        let next = if minors_left { on_the_way(desired, servers, (major, minor + 1))? } else { wanted.clone() };
        if let Some(stone) = stepping_stone(desired, &at, &next) {
            way.push(stone.clone());
            at = stone;
        } else if minors_left {
            way.push(next.clone());
            at = next;
        } else {
            return Ok(way);
        }
    }
}

/// What the spec means with each version on the way from this one to its own, for who collects it all. kubeadm's begins with
/// this one: a server that is lost meanwhile joins with it.
///
/// # Errors
///
/// A minor version of which nobody knows one to go through.
pub(crate) fn meanings(desired: &Desired, from: &Version) -> Result<Vec<Desired>, (u64, u64)> {
    let begins = (desired.kubernetes.distribution == Distribution::Kubeadm).then(|| from.clone());
    let way = along(desired, &[from], from, from)?;
    Ok(begins.into_iter().chain(way).filter_map(|version| with_version(desired, &version)).collect())
}

/// The oldest version that runs, where another one is wished.
pub(crate) fn oldest(desired: &Desired, observed: &Observed) -> Option<Version> {
    let oldest = versions(desired, observed).into_values().min()?;
    (*oldest < desired.kubernetes.version).then(|| oldest.clone())
}

/// What nodes of the spec run that can be looked at.
fn versions<'o>(desired: &Desired, observed: &'o Observed) -> BTreeMap<&'o NodeName, &'o Version> {
    let Some(cluster) = observed.cluster.as_ref().and_then(Seen::present) else { return BTreeMap::new() };
    let is_ours = |name: &NodeName| desired.members.iter().any(|member| member.name == *name);
    let answers = |name: &NodeName| observed.hosts.get(name).is_some_and(|host| host.present().is_some());
    let nodes = cluster.nodes.iter().filter(|(name, _)| is_ours(name) && answers(name));
    nodes.map(|(name, node)| (name, &node.version)).collect()
}

/// The version of a minor version that is gone through: the one that the spec names, or the newest known; a newer one that
/// a server runs already is kept.
fn on_the_way(desired: &Desired, servers: &[&Version], minor: (u64, u64)) -> Result<Version, (u64, u64)> {
    let through = desired.spec.iter().flat_map(|file| &file.spec.kubernetes.through);
    let named = through.clone().find(|version| version.minor() == minor).cloned();
    let runs = servers.iter().copied().filter(|version| version.minor() == minor).max();
    let known = named.or_else(|| newest(desired.kubernetes.distribution, minor)).ok_or(minor)?;
    Ok(runs.filter(|runs| **runs > known).cloned().unwrap_or(known))
}

/// What has to run before the next version, for the sake of etcd.
fn stepping_stone(desired: &Desired, at: &Version, next: &Version) -> Option<Version> {
    let of = match desired.kubernetes.distribution {
        Distribution::K3s => 0,
        Distribution::Rke2 => 1,
        Distribution::Kubeadm | Distribution::Talos => return None,
    };
    if desired.kubernetes.datastore != Datastore::Etcd || next.patch() < ETCD_36 {
        return None;
    }
    let (_, enough, stones) = BEFORE_ETCD_36.iter().find(|(minor, ..)| *minor == at.minor())?;
    stones.get(of).filter(|_| at.patch().2 < *enough).map(|text| Version::known(text))
}

/// The first minor version of Kubernetes for which kubeadm brings etcd 3.6.
/// <https://github.com/kubernetes/kubernetes/blob/v1.34.0/cmd/kubeadm/app/constants/constants.go> (`SupportedEtcdVersion`)
const KUBEADM_ETCD_36: (u64, u64) = (1, 34);

/// What is to be known where kubeadm goes from etcd 3.5 to 3.6: it has no version with 3.5.26 in between.
pub(crate) fn etcd_of_kubeadm(desired: &Desired, observed: &Observed) -> Option<Note> {
    let kubeadm = desired.kubernetes.distribution == Distribution::Kubeadm;
    let is_server = |name: &NodeName| desired.servers().any(|member| member.name == *name);
    let servers = || versions(desired, observed).into_iter().filter(|(name, _)| is_server(name));
    let crosses = desired.kubernetes.version.minor() >= KUBEADM_ETCD_36
        && servers().any(|(_, version)| version.minor() < KUBEADM_ETCD_36);
    (kubeadm && crosses && servers().count() > 1).then(|| Note {
        weight: Weight::Warns,
        subject: Subject::Cluster,
        message:
            "kubeadm of v1.34 brings etcd 3.6, and that before is older than 3.5.26: members that were taken out long \
                  ago may come back"
                .into(),
        help: Some(
            "see that `etcdctl member list` names the servers and nobody else, before and after: \
             https://etcd.io/blog/2025/zombie_members_upgrade/"
                .into(),
        ),
        stages: Vec::new(),
    })
}

/// Talos brings etcd by its own version: v1.10.9 is the first with 3.5.26, and v1.11 has 3.6.
/// <https://github.com/siderolabs/talos/issues/12467>
const TALOS_ETCD_3526: (u64, u64, u64) = (1, 10, 9);
const TALOS_ETCD_36: (u64, u64) = (1, 11);

/// What blocks where several servers of Talos would go from an older etcd to 3.6. Where one has gone already, the others follow.
pub(crate) fn etcd_of_talos(desired: &Desired, observed: &Observed) -> Option<Note> {
    let wished = &desired.spec.as_ref()?.spec.kubernetes.talos.as_ref()?.version;
    let runs = |name: &NodeName| {
        let talos = observed.hosts.get(name)?.present()?.talos.as_ref()?;
        (!talos.maintenance).then_some(&talos.version)
    };
    let there: Vec<&Version> = desired.servers().filter_map(|member| runs(&member.name)).collect();
    let old = there.iter().filter(|version| version.patch() < TALOS_ETCD_3526).min()?;
    let gone = there.iter().any(|version| version.minor() >= TALOS_ETCD_36);
    (there.len() > 1 && wished.minor() >= TALOS_ETCD_36 && !gone).then(|| Note {
        weight: Weight::Blocks,
        subject: Subject::Cluster,
        message: format!(
            "Talos {wished} brings etcd 3.6, and that of {old} is older than 3.5.26: members that were taken out long ago may \
             come back"
        ),
        help: Some(
            "`kubernetes.talos.version: v1.10.9` first, which has 3.5.26, and apply; then this one: \
             https://etcd.io/blog/2025/zombie_members_upgrade/"
                .into(),
        ),
        stages: Vec::new(),
    })
}

/// What the spec means with another version of Kubernetes, where it is known.
pub(crate) fn with_version(desired: &Desired, version: &Version) -> Option<Desired> {
    let mut file = (**desired.spec.as_ref()?).clone();
    file.spec.kubernetes.version = version.clone();
    // What else is to be done waits for the last version.
    file.spec.maintenance.update_os = false;
    let mut meaning = crate::lower::meaning(&file);
    if let Some(gap) = &desired.airgap {
        crate::airgap::seal(&mut meaning, gap);
    }
    Some(crate::numbers::like(meaning, desired))
}

#[cfg(test)]
mod tests;
