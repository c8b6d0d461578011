//! A cloud's side: what it keeps around servers, its load balancers, and what a cluster makes there itself. It refuses
//! what the Hetzner Cloud API refuses. <https://docs.hetzner.cloud/reference/cloud>

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use kubewright_model::cloud::{CloudBody, CloudId, CloudKind, DesiredResource, ResourceSeen, Stray, WORLD};
use kubewright_model::desired::{Body, DesiredLoadBalancer, DesiredMachine};
use kubewright_model::ids::{ClusterName, NodeName, Owner, ProviderName};
use kubewright_model::observed::{LoadBalancerSeen, Power};
use kubewright_providers::{ErrorKind, ProviderError};

use super::machines::{Machines, error};
use super::state::State;
use super::timing;

/// Servers of one placement group are on different physical machines, and so many at most.
/// <https://docs.hetzner.com/cloud/placement-groups/overview>
const SPREAD: usize = 10;

impl Machines {
    /// What a server is put into and made with is there, or it is not made.
    pub(super) fn surrounded(&self, machine: &DesiredMachine) -> Result<(), ProviderError> {
        let Body::Server(server) = &*machine.body else { return Ok(()) };
        let state = self.centre.lock();
        let needs = [
            (CloudKind::Network, server.network.as_ref()),
            (CloudKind::Firewall, server.firewall.as_ref()),
            (CloudKind::PlacementGroup, server.placement_group.as_ref()),
        ];
        let needs = needs.into_iter().filter_map(|(kind, name)| Some((kind, name?)));
        let keys = server.ssh_keys.iter().map(|name| (CloudKind::SshKey, name));
        for (kind, name) in needs.chain(keys) {
            let id = CloudId::new(kind, name.as_str());
            if !state.has_resource(&self.provider, &id) {
                return Err(error(ErrorKind::NotFound, format!("404 not_found: there is no {id}")));
            }
        }
        let spread = server.placement_group.as_ref().map(|group| state.spread(&self.provider, group));
        match spread {
            Some(servers) if servers >= SPREAD => Err(error(
                ErrorKind::Quota,
                format!("409 placement_error: {SPREAD} servers are in the placement group"),
            )),
            _ => Ok(()),
        }
    }

    pub(super) async fn make_resource(
        &self,
        wish: &DesiredResource,
        owner: &Owner,
    ) -> Result<ResourceSeen, ProviderError> {
        self.request("resource set").await?;
        self.centre.take(timing::UPDATE).await;
        let id = wish.id();
        let mut state = self.centre.lock();
        let all = state.resources.entry(self.provider.clone()).or_default();
        let there = all.iter_mut().find(|seen| seen.id() == id);
        if let Some(foreign) = there.as_ref().filter(|seen| seen.owner.as_ref() != Some(owner)) {
            let message = format!("409 uniqueness_error: {} is already used", foreign.name);
            return Err(error(ErrorKind::Conflict, message));
        }
        let seen = ResourceSeen { name: wish.name.clone(), body: wish.body.clone(), owner: Some(owner.clone()) };
        match there {
            // What others have put into a network stays in it.
            Some(there) => match (&mut there.body, &wish.body) {
                (CloudBody::Network(there), CloudBody::Network(wish)) => {
                    there.subnets.extend(wish.subnets.clone());
                    there.routes.retain(|to, _| to.to_string() != WORLD || wish.routes.contains_key(to));
                    there.routes.extend(wish.routes.clone());
                }
                (body, wish) => body.clone_from(wish),
            },
            None => all.push(seen.clone()),
        }
        Ok(seen)
    }

    pub(super) async fn drop_resource(&self, id: &CloudId, owner: &Owner) -> Result<(), ProviderError> {
        self.request("resource delete").await?;
        let now = self.centre.now();
        let mut state = self.centre.lock();
        let used = state.used_by(&self.provider, id);
        let Some(all) = state.resources.get_mut(&self.provider) else { return Ok(()) };
        let Some(at) = all.iter().position(|seen| seen.id() == *id) else { return Ok(()) };
        if all[at].owner.as_ref() != Some(owner) {
            state.breach(now, format!("{id} is not ours and was to be deleted"));
            return Err(error(ErrorKind::Conflict, format!("{id} is not ours")));
        }
        if let Some(who) = used {
            return Err(error(ErrorKind::Conflict, format!("422 resource_in_use: {who} is in {id}")));
        }
        all.remove(at);
        Ok(())
    }

    pub(super) async fn drop_stray(&self, stray: &Stray) -> Result<(), ProviderError> {
        self.request("stray delete").await?;
        let mut state = self.centre.lock();
        if let Some(all) = state.strays.get_mut(&self.provider) {
            all.retain(|it| it.id != stray.id);
        }
        Ok(())
    }

    pub(super) async fn balance(
        &self,
        wish: &DesiredLoadBalancer,
        owner: &Owner,
    ) -> Result<LoadBalancerSeen, ProviderError> {
        self.request("load balancer set").await?;
        self.centre.take(timing::BALANCER).await;
        let mut state = self.centre.lock();
        for name in wish.settings.listeners.values().flat_map(|listener| &listener.certificates) {
            let id = CloudId::new(CloudKind::Certificate, name.as_str());
            if !state.has_resource(&self.provider, &id) {
                return Err(error(ErrorKind::Invalid, format!("404 not_found: there is no {id}")));
            }
        }
        let outside = wish.targets.iter().find(|target| {
            !wish.addresses.contains_key(*target)
                && !state.machines.get(&self.provider).is_some_and(|all| all.contains_key(*target))
        });
        if let Some(target) = outside.filter(|_| wish.settings.selector.is_none()) {
            return Err(error(ErrorKind::NotFound, format!("404 not_found: there is no server {target}")));
        }
        let there = state.balancers.get(&self.provider).and_then(|all| all.get(&wish.name));
        let has = there.and_then(|seen| seen.address);
        let public = has.unwrap_or_else(|| state.next_public());
        let target = |name: &NodeName| match wish.addresses.get(name) {
            Some(address) => NodeName::new(address.to_string()),
            None => name.clone(),
        };
        let seen = LoadBalancerSeen {
            owner: owner.clone(),
            address: wish.settings.public.then_some(public),
            private_address: wish.settings.private_address,
            settings: wish.settings.clone(),
            targets: wish.targets.iter().map(|name| (target(name), false)).collect(),
        };
        state.balancers.entry(self.provider.clone()).or_default().insert(wish.name.clone(), seen.clone());
        Ok(seen)
    }

    pub(super) async fn unbalance(&self, name: &ClusterName, owner: &Owner) -> Result<(), ProviderError> {
        self.request("load balancer delete").await?;
        let now = self.centre.now();
        let mut state = self.centre.lock();
        let there = state.balancers.get(&self.provider).and_then(|all| all.get(name));
        if there.is_some_and(|balancer| balancer.owner != *owner) {
            state.breach(now, format!("load balancer {name} is not ours and was to be deleted"));
            return Err(error(ErrorKind::Conflict, format!("load balancer {name} is not ours")));
        }
        if let Some(balancers) = state.balancers.get_mut(&self.provider) {
            balancers.remove(name);
        }
        Ok(())
    }
}

impl State {
    /// Load balancers of a mark, with the health of their targets as it is now.
    pub(super) fn balancers_of(
        &self,
        provider: &ProviderName,
        owner: &Owner,
        now: u64,
    ) -> BTreeMap<ClusterName, LoadBalancerSeen> {
        let all = self.balancers.get(provider).into_iter().flatten();
        let ours = all.filter(|(_, balancer)| balancer.owner == *owner);
        let healthy = |target: &NodeName| self.target(target).is_some_and(|name| self.is_healthy(name, now));
        ours.map(|(name, balancer)| {
            let mut seen = balancer.clone();
            seen.targets.iter_mut().for_each(|(target, health)| *health = healthy(target));
            (name.clone(), seen)
        })
        .collect()
    }

    /// The machine that is a target: by its name, or by its address.
    pub(super) fn target<'a>(&'a self, target: &'a NodeName) -> Option<&'a NodeName> {
        match target.as_str().parse() {
            Ok(address) => self.at(address),
            Err(_) => self.machine(target).map(|_| target),
        }
    }

    fn is_healthy(&self, name: &NodeName, now: u64) -> bool {
        let node = self.cluster.nodes.contains_key(name);
        self.machine(name).is_some_and(|machine| machine.answers(now)) && node
    }

    /// A server is gone, and with it every place that it had.
    pub(super) fn forget_target(&mut self, provider: &ProviderName, name: &NodeName) {
        for balancer in self.balancers.get_mut(provider).into_iter().flat_map(BTreeMap::values_mut) {
            balancer.targets.remove(name);
        }
    }

    fn has_resource(&self, provider: &ProviderName, id: &CloudId) -> bool {
        self.resources.get(provider).is_some_and(|all| all.iter().any(|seen| seen.id() == *id))
            || self.granted.contains(id)
    }

    /// The servers that are in a placement group.
    fn spread(&self, provider: &ProviderName, group: &str) -> usize {
        let machines = self.machines.get(provider).into_iter().flat_map(BTreeMap::values);
        machines.filter(|machine| machine.around.contains(&CloudId::new(CloudKind::PlacementGroup, group))).count()
    }

    /// Who needs a thing of a cloud.
    fn used_by(&self, provider: &ProviderName, id: &CloudId) -> Option<String> {
        let machines = self.machines.get(provider).into_iter().flatten();
        // A key is copied into the server, and nobody needs it afterwards.
        let mut machines = machines.filter(|(_, machine)| machine.around.contains(id) && id.kind != CloudKind::SshKey);
        let shows = |balancer: &LoadBalancerSeen| match id.kind {
            CloudKind::Network => balancer.settings.network.as_deref() == Some(id.name.as_str()),
            CloudKind::Certificate => {
                balancer.settings.listeners.values().any(|listener| listener.certificates.contains(&id.name))
            }
            _ => false,
        };
        let mut balancers = self.balancers.get(provider).into_iter().flatten();
        let server = machines.next().map(|(name, _)| format!("server {name}"));
        server.or_else(|| balancers.find(|(_, it)| shows(it)).map(|(name, _)| format!("load balancer {name}")))
    }

    /// An address that the world can reach: of the range that is kept for tests of networks.
    /// <https://www.rfc-editor.org/rfc/rfc2544>
    pub(super) fn next_public(&mut self) -> IpAddr {
        self.publics += 1;
        IpAddr::V4(Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + self.publics % (1 << 17)))
    }

    /// What is around a server that is made.
    pub(super) fn around(machine: &DesiredMachine) -> Vec<CloudId> {
        let Body::Server(server) = &*machine.body else { return Vec::new() };
        let one = |kind, name: &Option<String>| name.as_ref().map(|name| CloudId::new(kind, name.as_str()));
        let around = [
            one(CloudKind::Network, &server.network),
            one(CloudKind::Firewall, &server.firewall),
            one(CloudKind::PlacementGroup, &server.placement_group),
        ];
        around.into_iter().flatten().collect()
    }

    /// Whether a load balancer of a provider leads to a server that serves.
    pub(super) fn leads(&self, balancer: &LoadBalancerSeen, port: u16, now: u64) -> bool {
        let listens = balancer.settings.listeners.get(&port);
        let serves = |target: &NodeName| {
            let name = self
                .target(target)
                .filter(|name| self.machine(name).is_some_and(|machine| machine.seen.power == Power::Running));
            name.is_some_and(|name| self.serves(name, now))
        };
        listens.is_some() && balancer.targets.keys().any(serves)
    }
}
