//! How a node leaves the cluster: cordoned, drained, silenced, forgotten; servers one after the other.
//!
//! A server must be silent when it is forgotten: K3s starts anew when it finds itself removed, and joins again. Where the
//! others could not decide without it, it is forgotten first and silenced at once.

use std::sync::Arc;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::{Desired, TalosWay, Way};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{ClusterSeen, HostSeen, MachineSeen, NodeSeen, Power};
use kubewright_model::plan::{Action, Lease, Stage, Step};
use kubewright_model::recipe::{Recipe, RecipeStep};

use super::draft::{Draft, id};
use crate::diff::cluster::POOL_LABEL;
use crate::holders::Holders;

/// A node that has to go.
pub(super) struct Leaver<'p> {
    pub(super) name: &'p NodeName,
    /// It is a server, or was one.
    pub(super) server: bool,
    /// Its machine, where a provider has it. It is deleted afterwards.
    pub(super) machine: Option<&'p MachineSeen>,
    /// How its host is reached, as far as anybody can tell.
    pub(super) way: Option<Way>,
    /// Its host stays, was looked at, and has something of Kubernetes.
    pub(super) stays: bool,
    pub(super) reason: Reason,
}

/// How the host of a node is reached that the spec does not know any more: at its own address, as others of its pool are.
/// The key that it shows is its own, and nobody says any more which.
pub fn way_like_others(desired: &Desired, machine: Option<&MachineSeen>, node: Option<&NodeSeen>) -> Option<Way> {
    let address = machine.and_then(|machine| machine.address).or(node.and_then(|node| node.address))?;
    let pool = node.and_then(|node| node.labels.get(POOL_LABEL));
    let of_pool = desired.members.iter().find(|member| Some(member.pool.as_str()) == pool.map(String::as_str));
    let mut hosts = desired.hosts.iter().filter(|host| host.machine.is_some());
    let like = match of_pool {
        Some(member) => hosts.find(|host| host.name == member.name),
        None => hosts.next(),
    };
    let like = like?.way.clone();
    // Where it waits for a configuration is its own matter too.
    let talos = like.talos.as_ref().map(|_| TalosWay::default());
    Some(Way { address: Some(address), name: None, host_key: None, talos, ..like })
}

/// Takes a node out of the cluster, servers one after the other; returns the last steps, if the cluster knows the node.
pub(super) fn leave(
    draft: &mut Draft<'_>,
    cluster: Option<&ClusterSeen>,
    holders: &mut Holders<'_>,
    leaver: &Leaver<'_>,
) -> Vec<StepId> {
    let known =
        cluster.is_some_and(|seen| seen.nodes.contains_key(leaver.name) || seen.members.contains_key(leaver.name));
    if draft.has(&id("forget", leaver.name)) {
        return vec![id("forget", leaver.name)];
    }
    let Some(cluster) = cluster.filter(|_| known) else {
        return if leaver.stays { silence(draft, leaver, Vec::new()) } else { Vec::new() };
    };
    if !holders.all.contains(leaver.name) {
        return go(draft, cluster, holders, leaver, Vec::new());
    }
    let after = draft.left.clone();
    let gone = go(draft, cluster, holders, leaver, after);
    draft.left.clone_from(&gone);
    gone
}

fn go(
    draft: &mut Draft<'_>,
    cluster: &ClusterSeen,
    holders: &mut Holders<'_>,
    leaver: &Leaver<'_>,
    after: Vec<StepId>,
) -> Vec<StepId> {
    let Leaver { name, reason, .. } = leaver;
    let node = cluster.nodes.get(*name);
    let ready = node.is_some_and(|node| node.ready);
    let silences = silences(cluster, holders, leaver);
    let mut needs = after;
    if node.is_some_and(|node| !node.cordoned) {
        needs = vec![cordon(draft, name, Stage::Removal, needs)];
    }
    // A node that does not answer cannot be drained: its pods are gone with it.
    if ready {
        needs = vec![drain(draft, name, Stage::Removal, needs)];
    }
    let first = silences && holders.decide_without(name);
    holders.left(name);
    if first {
        needs = silence(draft, leaver, needs);
    }
    needs = vec![forget(draft, name, reason, needs)];
    if silences && !first { silence(draft, leaver, needs) } else { needs }
}

/// Whether Kubernetes is to be ended on the host: it runs there and would join again, or go on where the host stays. The
/// machine of an agent is deleted next, with what runs on it.
pub(super) fn silences(cluster: &ClusterSeen, holders: &Holders<'_>, leaver: &Leaver<'_>) -> bool {
    let ready = cluster.nodes.get(leaver.name).is_some_and(|node| node.ready);
    let lives = ready || cluster.members.get(leaver.name).is_some_and(|member| member.healthy);
    let again = holders.all.contains(leaver.name) || leaver.machine.is_none();
    leaver.stays || lives && again && leaver.machine.is_none_or(|machine| machine.power == Power::Running)
}

/// Ends Kubernetes on the host of a node for good.
pub(super) fn silence(draft: &mut Draft<'_>, leaver: &Leaver<'_>, needs: Vec<StepId>) -> Vec<StepId> {
    let leaving = &draft.desired.leaving;
    let Some(way) = leaver.way.clone() else { return needs };
    let recipe = if leaver.server { leaving.server.clone() } else { leaving.agent.clone() };
    let action = Action::RunRecipe { host: leaver.name.clone(), way, recipe };
    vec![draft.add(step("leave", leaver.name, Stage::Removal, action, leaver.reason.clone(), needs))]
}

/// What ends Kubernetes on a host where a spec of ours put it, whatever this one has the host for, and whether that is a
/// server's: the host remembers the unit.
pub(super) fn ends(desired: &Desired, seen: &HostSeen) -> Option<(Arc<Recipe>, bool)> {
    let leaving = &desired.leaving;
    let ours = |step: &RecipeStep| match step {
        RecipeStep::Stop { unit } => seen.ours.contains_key(&format!("unit {unit}")),
        _ => false,
    };
    let mut recipes = [(&leaving.server, true), (&leaving.agent, false)].into_iter();
    let (recipe, server) = recipes.find(|(recipe, _)| recipe.steps.iter().any(ours))?;
    Some((recipe.clone(), server))
}

/// Puts no new pods on the node.
pub(super) fn cordon(draft: &mut Draft<'_>, name: &NodeName, stage: Stage, needs: Vec<StepId>) -> StepId {
    let action = Action::Cordon(name.clone());
    let reason = Reason::Follows("its pods are about to move".into());
    draft.add(step("cordon", name, stage, action, reason, needs))
}

/// Moves the node's pods away.
pub(super) fn drain(draft: &mut Draft<'_>, name: &NodeName, stage: Stage, needs: Vec<StepId>) -> StepId {
    let action = Action::Drain { node: name.clone(), timeout: draft.desired.drain_timeout };
    let reason = Reason::Follows("it is about to go out of service".into());
    draft.add(step("drain", name, stage, action, reason, needs))
}

/// Takes a node out of the books.
pub(super) fn forget(draft: &mut Draft<'_>, name: &NodeName, reason: &Reason, needs: Vec<StepId>) -> StepId {
    let mut step = step("forget", name, Stage::Removal, Action::ForgetMember(name.clone()), reason.clone(), needs);
    step.takes = vec![Lease::new("etcd", 1)];
    draft.add(step)
}

/// A step that takes something of a node away.
pub(super) fn step(
    deed: &str,
    name: &NodeName,
    stage: Stage,
    action: Action,
    reason: Reason,
    needs: Vec<StepId>,
) -> Step {
    Step {
        id: id(deed, name),
        stage,
        subject: Subject::Member(name.clone()),
        action,
        fields: Vec::new(),
        reason,
        needs,
        takes: Vec::new(),
        part: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use kubewright_model::spec::load;

    use super::*;

    const SPEC: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes: { distribution: k3s, version: v1.31.4+k3s1, datastore: sqlite }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  hosts: { ssh: { port: 2222 } }
  pools:
    server:
      role: both
      names: [server]
      addresses: [10.0.0.10]
      existing: { hostKeys: { server: "SHA256:LTnCb0C3yQTF7wOhGSmqa7SGzNmQjR0kZ7nS0T0iQ2A" } }
"#;

    #[test]
    fn nobody_is_to_show_the_key_of_another_host() {
        let loaded = load(SPEC).unwrap_or_else(|found| panic!("{found:#?}"));
        let desired = crate::lower::lower(&loaded.file).0;
        assert!(desired.hosts[0].way.host_key.is_some());
        let address = Some(std::net::IpAddr::from([10, 0, 0, 20]));
        let node = NodeSeen {
            ready: true,
            cordoned: false,
            version: desired.kubernetes.version.clone(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            given: BTreeSet::new(),
            server: false,
            address,
        };
        let way = way_like_others(&desired, None, Some(&node)).unwrap();
        assert_eq!((way.address, way.port, way.host_key), (address, 2222, None));
    }
}
