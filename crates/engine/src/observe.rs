//! One look at the whole world. It may be stale and hold gaps; what could not be seen says so.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};
use kubewright_hosts::Probe;
use kubewright_model::desired::{Desired, DesiredHost, DesiredMachine, OsUpdates};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, ProviderName};
use kubewright_model::observed::{ClusterSeen, HostSeen, Inventory, MemberSeen, Observed, Power, Seen, Why};
use kubewright_model::spec::kubernetes::Datastore;
use kubewright_planner::diff::hypervisors::hypervisors;
use kubewright_planner::holders::half_begun;
use kubewright_planner::numbers::numbered;

use crate::cluster::KUBECONFIG;
use crate::holes;
use crate::retry::{LOOK, retry};
use crate::store::Store;
use crate::world::World;

/// Hosts that are looked at together. One look is one round trip; beyond this the answers only queue in our own
/// process, and every open connection costs a file descriptor.
const TOGETHER: usize = 256;

/// Looks at providers, then at the hosts of machines that run, then at the cluster.
pub(crate) async fn observe(world: &World, store: &dyn Store, desired: &Desired) -> Observed {
    let providers = inventories(world, desired).await;
    let desired = &*numbered(desired, &providers);
    let hosts = hosts(world, desired, &providers).await;
    let filled = holes::filled(desired, world.secrets(store));
    let foundation = Some(match store.foundation(&desired.cluster) {
        Ok(begun) => begun.map_or(Seen::Absent, Seen::Present),
        Err(error) => Seen::Unknown(Why::lasting(error.told())),
    });
    let pending = world.secrets(store).pending(desired).into_iter().collect();
    let mut observed = Observed { providers, hosts, cluster: None, foundation, filled, pending, ..Observed::default() };
    let mut cluster = cluster(world, store, desired, &observed).await;
    if cluster.present().is_some_and(|seen| half_begun(desired, &observed, seen)) {
        cluster = Seen::Absent;
    }
    if let Seen::Present(cluster) = &mut cluster {
        let told = told_by_talos(&observed.hosts, cluster);
        cluster.members.extend(told);
    }
    observed.cluster = Some(cluster);
    observed
}

/// The members of etcd as nodes of Talos tell them: Kubernetes' own API knows nothing of these. Each tells who is in; who
/// answers is known best of itself. Of one that nobody asked, because the spec does not know it any more, its kubelet tells.
fn told_by_talos(hosts: &BTreeMap<NodeName, Seen<HostSeen>>, cluster: &ClusterSeen) -> BTreeMap<NodeName, MemberSeen> {
    let told = |seen: &Seen<HostSeen>| seen.present()?.talos.as_ref()?.etcd.clone();
    let tell: BTreeMap<&NodeName, BTreeMap<NodeName, MemberSeen>> =
        hosts.iter().filter_map(|(name, seen)| Some((name, told(seen)?))).collect();
    let all = tell.values().flatten().map(|(name, member)| (name.clone(), member.voter));
    let all: BTreeMap<NodeName, bool> = all.collect();
    let healthy = |name: &NodeName| match (hosts.get(name), tell.get(name).and_then(|all| all.get(name))) {
        (_, Some(own)) => own.healthy,
        (Some(_), None) => false,
        (None, None) => cluster.nodes.get(name).is_some_and(|node| node.ready),
    };
    all.into_iter().map(|(name, voter)| (name.clone(), MemberSeen { voter, healthy: healthy(&name) })).collect()
}

pub(crate) async fn inventories(world: &World, desired: &Desired) -> BTreeMap<ProviderName, Seen<Inventory>> {
    let mut names: Vec<&ProviderName> = desired.machines.iter().map(|machine| &machine.provider).collect();
    names.extend(desired.load_balancers.iter().map(|balancer| &balancer.provider));
    names.extend(world.providers.keys().chain(world.silent.keys()));
    names.sort();
    names.dedup();
    let looks = names.into_iter().map(|name| async move {
        let seen = match world.providers.get(name) {
            None => Seen::Unknown(match world.silent.get(name) {
                Some(why) => why.clone(),
                None => Why::lasting(format!("this version has no hands for provider {name}")),
            }),
            Some(provider) => match retry(LOOK, || provider.observe(&desired.owner), |_| {}).await {
                Ok(mut inventory) => {
                    inventory.name_unread(name, desired);
                    world.doors.seen(&inventory);
                    Seen::Present(inventory)
                }
                Err(error) => Seen::Unknown(error.into()),
            },
        };
        (name.clone(), seen)
    });
    futures::future::join_all(looks).await.into_iter().collect()
}

/// Hosts whose machine runs, and hypervisors. A host without a running machine is not asked: it cannot answer.
async fn hosts(
    world: &World,
    desired: &Desired,
    providers: &BTreeMap<ProviderName, Seen<Inventory>>,
) -> BTreeMap<NodeName, Seen<HostSeen>> {
    let machines: BTreeMap<&NodeName, &ProviderName> =
        desired.machines.iter().map(|machine| (&machine.name, &machine.provider)).collect();
    let runs = |host: &&DesiredHost| match &host.machine {
        None => providers.values().any(|seen| seen.present().is_some()),
        Some(machine) => machines
            .get(machine)
            .and_then(|provider| providers.get(*provider)?.present()?.machines.get(machine))
            .is_some_and(|seen| seen.power == Power::Running),
    };
    let place = |machine: &DesiredMachine| {
        Some(&providers.get(&machine.provider)?.present()?.machines.get(&machine.name)?.place)
    };
    let nodes = desired.hosts.iter().filter(|host| host.machine.is_some());
    // A hypervisor tells its name too, so that nobody writes to another one.
    let named = hypervisors(desired, place).into_iter().map(|mut host| {
        host.resources.push(HostResource::Hostname(host.name.to_string()));
        host
    });
    let hosts: Vec<DesiredHost> = nodes.cloned().chain(named).collect();
    let etcd = desired.kubernetes.datastore == Datastore::Etcd;
    let holders: BTreeSet<&NodeName> = desired.servers().filter(|_| etcd).map(|member| &member.name).collect();
    let looks = hosts.iter().filter(runs).map(|host| async {
        let holds_data = holders.contains(&host.name);
        let updates = desired.os_updates != OsUpdates::Leave && host.machine.is_some() && host.way.talos.is_none();
        let probe = Probe { host: &host.name, way: &host.way, resources: &host.resources, holds_data, updates };
        let seen = match &world.hosts {
            None => Seen::Unknown(Why::lasting("this version has no hands for hosts")),
            Some(hands) => hands.observe(probe).await,
        };
        (host.name.clone(), seen)
    });
    stream::iter(looks).buffer_unordered(TOGETHER).collect().await
}

/// Where nobody holds a cluster's data and none was ever begun, nothing can serve, and nobody needs to be asked. A server
/// that is off cannot be asked either: that it may hold them is the planner's to weigh. A kubeconfig is a sign of one that
/// was begun, as its foundation is: either may be lost without the other.
async fn cluster(world: &World, store: &dyn Store, desired: &Desired, observed: &Observed) -> Seen<ClusterSeen> {
    let let_in = || !matches!(store.secret(&desired.cluster, KUBECONFIG), Ok(None));
    let begun = !matches!(observed.foundation, None | Some(Seen::Absent)) || let_in();
    if kubewright_planner::holders::nobody(desired, observed) && !begun {
        return Seen::Absent;
    }
    let Some(hands) = &world.cluster else {
        return Seen::Unknown(Why::lasting("this version has no hands for clusters"));
    };
    let machines = observed.providers.values().filter_map(Seen::present).flat_map(|inventory| &inventory.machines);
    let runs: BTreeSet<&NodeName> =
        machines.filter(|(_, seen)| seen.power == Power::Running).map(|(name, _)| name).collect();
    if desired.members.iter().all(|member| runs.contains(&member.name)) {
        return hands.observe(desired).await;
    }
    let members = desired.members.iter().filter(|member| runs.contains(&member.name)).cloned().collect();
    match hands.observe(&Desired { members, ..desired.clone() }).await {
        Seen::Absent => unasked(desired, observed).map_or(Seen::Absent, Seen::unknown),
        seen => seen,
    }
}

/// Why a server could not be asked, where its provider or its machine could not be looked at: whether it runs, nobody
/// knows.
fn unasked(desired: &Desired, observed: &Observed) -> Option<String> {
    desired.servers().find_map(|member| {
        let machine = desired.machine(&member.name)?;
        let why = match observed.providers.get(&machine.provider)? {
            Seen::Unknown(_) => format!("provider {} could not be looked at", machine.provider),
            Seen::Present(inventory) => inventory.machine(&machine.name, machine.vmid).why_unknown()?.to_string(),
            Seen::Absent => return None,
        };
        Some(format!("{why}, so {} could not be asked", member.name))
    })
}
