//! Nodes become members: one starts the cluster, servers join one at a time, agents together.

use std::sync::Arc;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Desired, DesiredLoadBalancer, DesiredMember, MemberRecipes};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{ClusterSeen, HostSeen, NodeSeen, Observed};
use kubewright_model::plan::{Action, Lease, Stage, Step, Weight};
use kubewright_model::recipe::Recipe;
use kubewright_model::units::Span;

use super::draft::{Draft, id};
use super::leaving::way_like_others;
use super::standing::{ClusterView, Node, Standing, Standings};
use super::{hosts, removal, roles, rolling};
use crate::holders::Holders;

/// etcd takes in one learner at a time and refuses a second ("too many learners in cluster").
/// <https://etcd.io/docs/v3.5/learning/design-learner/>
const ETCD_JOINS: u16 = 1;
/// Agents that join at once. Each fetches its certificates from a server; beyond a hundred the servers' answers queue
/// and nothing is won.
const AGENT_JOINS: u16 = 100;
/// A node that was joined is Ready within a minute or two; the rest is for images on a slow link.
const READY_TIMEOUT: Span = Span::from_secs(15 * 60);

pub(super) fn plan<'a, 'd: 'a>(
    draft: &mut Draft<'d>,
    observed: &'a Observed,
    standings: &Standings<'a>,
    holders: &mut Holders<'a>,
) {
    draft.api = balancers(draft);
    let members: Vec<&Node<'_>> =
        standings.nodes.iter().filter(|node| node.member.is_some() && !node.blocked()).collect();
    match &standings.cluster {
        ClusterView::Unknown(why) => unknown(draft, &members, why),
        ClusterView::Absent if holders.may_sleep() => return wake_cluster(draft, &members, holders),
        ClusterView::Absent => start_cluster(draft, &members),
        ClusterView::Present(cluster) => present(draft, observed, standings, holders, cluster, &members),
    }
    ready(draft, &members);
}

/// Nobody can look at the cluster, so nothing is done to it. Servers that are off or do not run are brought back all the
/// same: that may be what keeps it from answering, and nothing else would.
fn unknown(draft: &mut Draft<'_>, members: &[&Node<'_>], why: &str) {
    if members.is_empty() {
        return;
    }
    let (weight, help) = match brings_back(draft, members) {
        true => (Weight::Warns, "servers are brought back first; plan again afterwards".into()),
        false => (Weight::Blocks, out_of_sight(draft.desired, members)),
    };
    let message = format!("the cluster cannot be looked at, so no member is touched: {why}");
    draft.note(weight, Subject::Cluster, message, &help);
    draft.about_the_cluster();
}

/// What to do about a cluster that nobody can look at. While its kubeconfig is kept, somebody may answer there, and no
/// other cluster is begun, also where all servers of the spec are clean.
fn out_of_sight(desired: &Desired, members: &[&Node<'_>]) -> String {
    let mut help = "mend that first, then plan again; `--only hosts` sets up hosts meanwhile".to_string();
    let clean = |node: &&&Node<'_>| matches!(node.standing, Standing::ToMake) || node.is_blank();
    if members.iter().filter(|node| role_is_server(node)).all(|node| clean(&node)) {
        let kept = format!(".kubewright/{}/secrets/kubeconfig", desired.cluster);
        help += &format!("; where its servers are lost for good, remove `{kept}`, which leads to them");
    }
    help
}

/// Whether the plan so far starts a server's machine, or sets its host right: what may make the cluster answer again.
pub(super) fn brings_back(draft: &Draft<'_>, nodes: &[&Node<'_>]) -> bool {
    let there = nodes.iter().filter(|node| role_is_server(node) && !matches!(node.standing, Standing::ToMake));
    there.into_iter().any(|node| draft.has(&id("start", node.name())) || draft.has(&id("host", node.name())))
}

/// Servers join before others leave or are restarted, so that quorum only grows. Agents come last: a join needs an API
/// that answers, and a kubelet may not be newer than it. <https://kubernetes.io/releases/version-skew-policy/>
fn present<'a, 'd: 'a>(
    draft: &mut Draft<'d>,
    observed: &'a Observed,
    standings: &Standings<'a>,
    holders: &mut Holders<'a>,
    cluster: &ClusterSeen,
    members: &[&Node<'a>],
) {
    roles::belong(draft, members);
    let (new, there): (Vec<&Node<'_>>, Vec<&Node<'_>>) = members.iter().partition(|node| node.seen.is_none());
    let (mut new_servers, new_agents): (Vec<&Node<'_>>, Vec<&Node<'_>>) =
        new.into_iter().partition(|it| role_is_server(it));
    if cluster.members.is_empty() {
        new_servers.drain(..).for_each(|node| alone(draft, node));
    }
    let learned = match new_servers.is_empty() {
        true => Vec::new(),
        false => there.iter().filter_map(|node| learner(draft, cluster, node)).collect(),
    };
    if !new_servers.is_empty() || !new_agents.is_empty() {
        admit(draft, cluster, &there);
    }
    for node in &new_servers {
        join(draft, node, &learned);
    }
    removal::servers(draft, observed, standings, holders);
    rolling::labels(draft, members);
    let mut rolled = rolling::roll_servers(draft, observed, standings, members, &new_servers);
    if let Some(rolled) = &mut rolled {
        let old =
            cluster.nodes.iter().filter(|(_, seen)| seen.server && seen.version < draft.desired.kubernetes.version);
        rolled.extend(old.map(|(name, _)| id("forget", name)));
        // A server that was off wakes with the version that it had, and gets the new one when it is set up.
        let woken = there.iter().filter(|node| role_is_server(node) && matches!(node.standing, Standing::Off(_)));
        rolled.extend(woken.map(|node| id("host", node.name())));
        let agents = there.iter().filter(|node| !role_is_server(node) && matches!(node.standing, Standing::Off(_)));
        for agent in agents.filter(|node| hosts::upgrades(draft.desired, node)) {
            hosts::set_up(draft, agent, rolled.clone());
        }
    }
    if let Some(rolled) = rolled {
        for node in new_agents {
            if roles::rejoins(node) {
                hosts::set_up(draft, node, rolled.clone());
            }
            join(draft, node, &rolled);
        }
        rolling::roll_agents(draft, observed, members, &rolled);
    }
    rolling::left_cordoned(draft, members);
}

/// A datastore that is no etcd has one server, and takes in no second.
fn alone(draft: &mut Draft<'_>, new: &Node<'_>) {
    let message = "cannot join: the cluster's data are in SQLite, which takes in no second server";
    let help = "keep the server that is there under its name, or make everything anew with `kubewright rebuild`";
    draft.note(Weight::Blocks, Subject::Member(new.name().clone()), message, help);
}

/// Nobody serves and certainly nobody holds a cluster's data: a new cluster is begun.
fn start_cluster(draft: &mut Draft<'_>, members: &[&Node<'_>]) {
    let orphans = members.iter().filter(|it| was_joined(it) && !finds_it_again(draft.desired, it));
    let orphans: Vec<&str> = orphans.map(|node| node.name().as_str()).collect();
    if !orphans.is_empty() {
        let message = format!("no server holds the cluster's data any more, and {} belong to it", orphans.join(", "));
        let help = "bring a server's machine back, or make everything anew with `kubewright rebuild`";
        draft.note(Weight::Blocks, Subject::Cluster, message, help);
        return;
    }
    // Nobody answers and nobody remembers a cluster: any server may begin. One that was cut off in that has parts of a
    // control plane that run, and which a balancer may send to.
    let able = members.iter().filter(|node| role_is_server(node));
    let able = able.filter_map(|node| Some((*node, begins(draft.desired, node)?)));
    let cut = |node: &Node<'_>| node.answers().is_some_and(HostSeen::was_cut);
    let seed = able.min_by_key(|(node, _)| !cut(node));
    if seed.is_none() && draft.desired.restores.is_some() {
        let message = "this version has no way to begin a cluster of this kind with what was saved";
        let help = "leave `--restore` out, and put back by hand what the cluster needs";
        draft.note(Weight::Blocks, Subject::Cluster, message, help);
        return;
    }
    if let Some((node, recipe)) = &seed {
        let reason = Reason::Follows("no server of a cluster answers and none holds its data".into());
        let lease = Lease::new("etcd", ETCD_JOINS);
        // In a rebuild, nobody begins while a machine of the old cluster may still answer.
        let old = draft.steps.iter().filter(|step| step.stage == Stage::Removal).map(|step| step.id.clone());
        // kubeadm asks at the endpoint whether the API that it starts is there.
        let before = draft.api.iter().filter(|_| recipes(node).is_some_and(|recipes| recipes.admit.is_some()));
        let ready = ["restart", "host"].map(|deed| id(deed, node.name()));
        let needs = ready.into_iter().chain(old).chain(before.cloned()).collect();
        let init = run(draft, node, "init", recipe.clone(), reason, needs, vec![lease]);
        draft.api.push(init);
        draft.begins = true;
    }
    for node in members.iter().filter(|node| seed.as_ref().is_none_or(|(first, _)| first.name() != node.name())) {
        join(draft, node, &[]);
    }
}

/// Whether an agent is one of the same cluster when that is begun again with what was saved of it: it goes on, or ends before
/// it joins.
fn finds_it_again(desired: &Desired, node: &Node<'_>) -> bool {
    desired.restores.is_some() && !role_is_server(node)
}

/// How a server begins a cluster: empty, or with what was saved where that is asked for.
fn begins(desired: &Desired, node: &Node<'_>) -> Option<Arc<Recipe>> {
    let recipes = recipes(node)?;
    if desired.restores.is_some() { recipes.restore.clone() } else { recipes.init.clone() }
}

/// A cluster sleeps, or may: servers that were members start by themselves when their machines run and their hosts are
/// right. Until they have told, none is begun and nobody joins: who is in the books shows when they are open.
fn wake_cluster(draft: &mut Draft<'_>, members: &[&Node<'_>], holders: &Holders<'_>) {
    let names: Vec<&str> = holders.all.iter().map(|name| name.as_str()).collect();
    let message =
        format!("nobody answers, and {} may hold the cluster's data: none is begun beside it", names.join(", "));
    let (weight, help) = match brings_back(draft, members) {
        true => (Weight::Warns, "servers are brought back first; plan again afterwards"),
        false => (Weight::Blocks, "put servers back into the spec, or make everything anew with `kubewright rebuild`"),
    };
    draft.note(weight, Subject::Cluster, message, help);
    // One that was never a member does not come to be Ready, so only where somebody remembers a cluster it is waited for.
    if weight == Weight::Blocks || !members.iter().any(|node| was_joined(node)) {
        return;
    }
    let asleep = members.iter().map(|node| node.name()).filter(|name| holders.all.contains(name));
    let asleep: Vec<NodeName> = asleep.cloned().collect();
    if !asleep.is_empty() {
        let needs = asleep.iter().flat_map(|name| [id("start", name), id("host", name)]).collect();
        wait_ready(draft, "servers that hold the cluster".into(), asleep, 1, Stage::ControlPlane, needs);
    }
}

/// Whether the host told that it has been a member.
fn was_joined(node: &Node<'_>) -> bool {
    node.answers().is_some_and(HostSeen::is_member)
}

/// A server whose run was cut off while it joined learns by itself, and the next one has to wait for it.
fn learner(draft: &mut Draft<'_>, cluster: &ClusterSeen, node: &Node<'_>) -> Option<StepId> {
    let learns = cluster.members.get(node.name()).is_some_and(|member| !member.voter);
    learns.then(|| recovered(draft, node.name(), "before others join"))
}

pub(super) fn role_is_server(node: &Node<'_>) -> bool {
    node.member.is_some_and(|member| member.role.is_server())
}

pub(super) fn recipes<'a>(node: &'a Node<'_>) -> Option<&'a MemberRecipes> {
    node.member.map(|member| &member.recipes)
}

fn join(draft: &mut Draft<'_>, node: &Node<'_>, after: &[StepId]) {
    let Some(recipe) = recipes(node).map(|recipes| recipes.join.clone()) else { return };
    let mut needs = ["restart", "host", "forget", "clear"].map(|deed| id(deed, node.name())).to_vec();
    needs.extend(draft.api.iter().chain(&draft.admits).chain(after).cloned());
    if role_is_server(node) && draft.admits.is_some() {
        // kubeadm lets no server in while a member of etcd does not answer, so the dead are forgotten first.
        needs.extend(draft.left.iter().cloned());
    }
    needs.extend(ends_first(draft, node));
    let lease = if role_is_server(node) { Lease::new("etcd", ETCD_JOINS) } else { Lease::new("agents", AGENT_JOINS) };
    let server = role_is_server(node);
    let reason = match node.standing {
        Standing::Rejoins(_) => Reason::Follows(format!("it was {}", roles::word(!server))),
        _ => Reason::Missing,
    };
    run(draft, node, "join", recipe, reason, needs, vec![lease]);
}

/// An agent that was a member, and whose node is in no book any more: its kubelet writes it there when it starts, and never
/// again (`registrationCompleted` in `pkg/kubelet/kubelet_node_status.go` of Kubernetes v1.34). So it ends before it joins.
/// One that is off may come back in the middle of a restore, before the nodes of then are taken out of the books.
fn ends_first(draft: &mut Draft<'_>, node: &Node<'_>) -> Option<StepId> {
    let wakes = draft.desired.restores.is_some() && matches!(node.standing, Standing::Off(_));
    // In a rebuild it has left before.
    let ends = draft.has(&id("leave", node.name()));
    if role_is_server(node) || ends || !(wakes || was_joined(node)) {
        return None;
    }
    let recipe = recipes(node)?.stand_down.clone()?;
    let needs = vec![id("start", node.name()), id("host", node.name())];
    Some(run(draft, node, "again", recipe, Reason::Follows("its node is in no book".into()), needs, Vec::new()))
}

/// What lets nodes in may have ended since the last ones came. Any server that serves makes it anew; where all that serve are
/// to leave, one that comes back in this plan, and where nobody does, one of those before it leaves.
fn admit(draft: &mut Draft<'_>, cluster: &ClusterSeen, there: &[&Node<'_>]) {
    if !draft.desired.servers().any(|member| member.recipes.admit.is_some()) {
        return;
    }
    let serves = |node: &&&Node<'_>| {
        let votes = cluster.members.get(node.name()).is_some_and(|member| member.voter && member.healthy);
        // It need not be Ready: what brings the pods' network may come later.
        node.answers().is_some() && node.seen.is_some_and(|seen| seen.server) && votes
    };
    let returns = |node: &&&Node<'_>| {
        let server = role_is_server(node) && node.seen.is_some_and(|seen| seen.server);
        server && !node.blocked() && (draft.has(&id("start", node.name())) || draft.has(&id("host", node.name())))
    };
    let lets_in = |node: &Node<'_>| recipes(node).and_then(|recipes| recipes.admit.clone());
    let able = |node: &&Node<'_>| lets_in(node).is_some();
    let able = there
        .iter()
        .filter(serves)
        .find(|node| able(node))
        .or_else(|| there.iter().filter(returns).find(|node| able(node)));
    let Some((node, recipe)) = able.and_then(|node| Some((*node, lets_in(node)?))) else {
        if let Some(admits) = leaver_admits(draft, cluster) {
            // Whoever lets others in stays until it has done so.
            draft.left.push(admits.clone());
            draft.admits = Some(admits);
            return;
        }
        let message = "nobody can join: no server that answers and stays lets others in";
        draft.note(Weight::Blocks, Subject::Cluster, message, "bring a server back first");
        draft.about_the_cluster();
        return;
    };
    let reason = Reason::Follows("nodes join, and what lets them in has an end".into());
    // It talks through the endpoint.
    let mut needs = draft.api.clone();
    if !serves(&&node) {
        needs.push(recovered(draft, node.name(), "before others join"));
    }
    draft.admits = Some(run(draft, node, "admit", recipe, reason, needs, Vec::new()));
}

/// A server that is about to leave lets those in that come in its place. What it is told is about the cluster and not about
/// itself, so what any server of the spec would be told does. `None` where none serves that anybody can reach.
fn leaver_admits(draft: &mut Draft<'_>, cluster: &ClusterSeen) -> Option<StepId> {
    let desired = draft.desired;
    let recipe = desired.servers().find_map(|member| member.recipes.admit.clone())?;
    let serves = |name: &NodeName| cluster.members.get(name).is_some_and(|member| member.voter && member.healthy);
    let way = |name: &NodeName, seen: &NodeSeen| match desired.hosts.iter().find(|host| host.name == *name) {
        Some(host) => Some(host.way.clone()),
        None => way_like_others(desired, None, Some(seen)),
    };
    let ready = cluster.nodes.iter().filter(|(name, seen)| seen.server && seen.ready && serves(name));
    let mut staying = ready.filter(|(name, _)| !draft.has(&id("forget", name)));
    let (name, way) = staying.find_map(|(name, seen)| Some((name.clone(), way(name, seen)?)))?;
    Some(draft.add(Step {
        id: id("admit", &name),
        stage: Stage::ControlPlane,
        subject: Subject::Member(name.clone()),
        action: Action::RunRecipe { host: name, way, recipe },
        fields: Vec::new(),
        reason: Reason::Follows("nodes join, and what lets them in has an end".into()),
        needs: draft.api.clone(),
        takes: Vec::new(),
        part: String::new(),
    }))
}

/// What stands before the API: hosts that are no nodes, and the providers' load balancers.
fn balancers(draft: &Draft<'_>) -> Vec<StepId> {
    let desired = draft.desired;
    let hosts = desired.machines.iter().filter(|machine| !draft.is_member(&machine.name));
    let hosts = hosts.map(|machine| id("host", &machine.name));
    // What stands before the ingress alone, nobody joins through.
    let kubernetes = &desired.kubernetes;
    let ports = [kubernetes.endpoint.port, kubernetes.distribution.registration_port(kubernetes.endpoint.port)];
    let leads = |balancer: &&DesiredLoadBalancer| ports.iter().any(|it| balancer.settings.listeners.contains_key(it));
    let balancers = desired.load_balancers.iter().filter(leads).map(|balancer| id("balance", &balancer.name));
    hosts.chain(balancers).filter(|step| draft.has(step)).collect()
}

pub(super) fn run(
    draft: &mut Draft<'_>,
    node: &Node<'_>,
    deed: &str,
    recipe: Arc<Recipe>,
    reason: Reason,
    needs: Vec<StepId>,
    takes: Vec<Lease>,
) -> StepId {
    draft.add(Step {
        id: id(deed, node.name()),
        stage: stage(node),
        subject: Subject::Member(node.name().clone()),
        action: Action::RunRecipe { host: node.name().clone(), way: node.host.way.clone(), recipe },
        fields: Vec::new(),
        reason,
        needs,
        takes,
        part: String::new(),
    })
}

pub(super) fn stage(node: &Node<'_>) -> Stage {
    if role_is_server(node) { Stage::ControlPlane } else { Stage::Workers }
}

/// The wait for a server that starts just now, or that this plan brings back; `purpose` says before what.
pub(super) fn recovered(draft: &mut Draft<'_>, name: &NodeName, purpose: &str) -> StepId {
    let needs = vec![id("start", name), id("host", name), id("join", name)];
    wait_ready(draft, format!("{name} {purpose}"), vec![name.clone()], 1, Stage::ControlPlane, needs)
}

/// One wait for each pool in which something happens or a node is not Ready.
fn ready(draft: &mut Draft<'_>, members: &[&Node<'_>]) {
    let mut pools: Vec<(&DesiredMember, Vec<&&Node<'_>>)> = Vec::new();
    for node in members {
        let Some(member) = node.member else { continue };
        match pools.iter_mut().find(|(first, _)| first.pool == member.pool) {
            Some((_, nodes)) => nodes.push(node),
            None => pools.push((member, vec![node])),
        }
    }
    for (member, nodes) in pools {
        let woken = |node: &Node<'_>| {
            // A node that works and is only set up anew stays Ready; one whose machine starts comes back.
            let waited_for = draft.has(&id("ready", node.name()));
            matches!(node.standing, Standing::Off(_)) || node.seen.is_some_and(|seen| !seen.ready) && !waited_for
        };
        let waits: Vec<NodeName> = nodes
            .iter()
            .filter(|node| {
                [id("init", node.name()), id("join", node.name())].iter().any(|step| draft.has(step)) || woken(node)
            })
            .map(|node| node.name().clone())
            .collect();
        if waits.is_empty() {
            continue;
        }
        let needs = waits
            .iter()
            .flat_map(|name| [id("init", name), id("join", name), id("host", name), id("start", name)])
            .chain(draft.api.iter().cloned())
            .collect();
        let at_least = waits.len();
        let stage = if member.role.is_server() { Stage::ControlPlane } else { Stage::Workers };
        wait_ready(draft, format!("pool {}", member.pool), waits, at_least, stage, needs);
    }
}

/// The wait for one node that joins: what is drained next waits for it.
pub(super) fn back(draft: &mut Draft<'_>, node: &Node<'_>) -> StepId {
    let (name, join) = (node.name().clone(), id("join", node.name()));
    let wait = id("ready", &name);
    if draft.has(&wait) {
        return wait;
    }
    let needs = vec![join.clone()];
    draft.add_after(&join, ready_step(name.to_string(), vec![name], 1, stage(node), needs))
}

pub(super) fn wait_ready(
    draft: &mut Draft<'_>,
    name: String,
    nodes: Vec<NodeName>,
    at_least: usize,
    stage: Stage,
    needs: Vec<StepId>,
) -> StepId {
    draft.add(ready_step(name, nodes, at_least, stage, needs))
}

fn ready_step(name: String, nodes: Vec<NodeName>, at_least: usize, stage: Stage, needs: Vec<StepId>) -> Step {
    let subject = match nodes.as_slice() {
        [only] => Subject::Member(only.clone()),
        _ => Subject::Cluster,
    };
    Step {
        id: id("ready", name),
        stage,
        subject,
        action: Action::Wait { condition: Condition::NodesReady { nodes, at_least }, timeout: READY_TIMEOUT },
        fields: Vec::new(),
        reason: Reason::Follows("nodes were started".into()),
        needs,
        takes: Vec::new(),
        part: String::new(),
    }
}
