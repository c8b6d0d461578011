//! Making load balancers, and changing of them what differs and nothing else: each change takes a moment in which it
//! serves on.

use std::collections::BTreeMap;

use kubewright_model::desired::DesiredLoadBalancer;
use kubewright_model::ids::{ClusterName, Owner};
use kubewright_model::observed::LoadBalancerSeen;
use serde_json::{Value, json};

use super::answers::{Labelled, PrivateNet};
use super::balancer::{Balancer, Goal, Names, algorithm, port};
use super::call::{self, Kind};
use super::client::{error, part};
use super::{Hetzner, classify, marks};
use crate::{ErrorKind, ProviderError};

/// Numbers of what a wish names.
struct Numbers {
    network: Option<u64>,
    certificates: BTreeMap<String, u64>,
    servers: BTreeMap<String, u64>,
    targets: Vec<Goal>,
}

impl Numbers {
    /// The certificates of a port.
    fn shown(&self, names: &[String]) -> Vec<u64> {
        names.iter().filter_map(|name| self.certificates.get(name).copied()).collect()
    }

    fn names(&self, wish: &DesiredLoadBalancer) -> Names {
        let networks = self.network.zip(wish.settings.network.clone()).into_iter().collect();
        let turned = |all: &BTreeMap<String, u64>| all.iter().map(|(name, id)| (*id, name.clone())).collect();
        Names { networks, certificates: turned(&self.certificates), servers: turned(&self.servers) }
    }
}

/// The paths of what is done to a load balancer.
macro_rules! path {
    ($action:literal) => {
        concat!("/load_balancers/{id}/actions/", $action)
    };
}

impl Hetzner {
    async fn numbers(&self, wish: &DesiredLoadBalancer, owner: &Owner) -> Result<Numbers, ProviderError> {
        let mut certificates = BTreeMap::new();
        for name in wish.settings.listeners.values().flat_map(|listener| &listener.certificates) {
            certificates.insert(name.clone(), self.certificate(name).await?);
        }
        let network = match &wish.settings.network {
            Some(name) => Some(self.number(Kind::Network, name).await?),
            None => None,
        };
        let list = call::list(Kind::Server).labelled(&marks::selector(owner));
        let servers: Vec<Labelled> = self.client.all(Kind::Server, list).await?;
        let servers: BTreeMap<String, u64> = servers.into_iter().map(|server| (server.name, server.id)).collect();
        let mut targets: Vec<Goal> = wish.addresses.values().map(|address| Goal::Ip(*address)).collect();
        targets.extend(wish.settings.selector.clone().map(Goal::Label));
        let named = wish.targets.iter().filter(|name| !wish.addresses.contains_key(*name));
        for name in named.filter(|_| wish.settings.selector.is_none()) {
            let missing =
                || error(ErrorKind::NotFound, format!("there is no server {name} for {} to send to", wish.name));
            targets.push(Goal::Server(*servers.get(name.as_str()).ok_or_else(missing)?));
        }
        Ok(Numbers { network, certificates, servers, targets })
    }

    async fn balancer(&self, name: &ClusterName, owner: &Owner) -> Result<Option<Balancer>, ProviderError> {
        match self.client.named::<Balancer>(Kind::LoadBalancer, name.as_str()).await? {
            Some(foreign) if !marks::are_ours(&foreign.labels, owner) => {
                let message = format!("there is a load balancer {name} in the project, and it does not carry our mark");
                Err(error(ErrorKind::Conflict, message))
            }
            there => Ok(there),
        }
    }

    pub(super) async fn balance(
        &self,
        wish: &DesiredLoadBalancer,
        owner: &Owner,
    ) -> Result<LoadBalancerSeen, ProviderError> {
        let numbers = self.numbers(wish, owner).await?;
        let balancer = match self.balancer(&wish.name, owner).await? {
            Some(there) => there,
            None => self.begin_balancer(wish, &numbers, owner).await?,
        };
        self.bring(wish, &numbers, &balancer, owner).await?;
        let now: Balancer = part(&mut self.client.send(call::load_balancer(balancer.id)).await?, "load_balancer")?;
        Ok(now.seen(&numbers.names(wish), owner))
    }

    /// Makes one, with all that can be said in that request. An address in the network is none of it, and without one no
    /// target is reached there.
    async fn begin_balancer(
        &self,
        wish: &DesiredLoadBalancer,
        numbers: &Numbers,
        owner: &Owner,
    ) -> Result<Balancer, ProviderError> {
        let settings = &wish.settings;
        let listeners = settings.listeners.iter();
        let services: Vec<Value> =
            listeners.map(|(number, it)| port(*number, it, &numbers.shown(&it.certificates))).collect();
        let mut body = json!({
            "name": wish.name,
            "load_balancer_type": settings.balancer_type,
            "location": wish.location,
            "algorithm": algorithm(settings.algorithm),
            "labels": marks::protecting(owner, settings.protected),
            "services": services,
        });
        if settings.private_address.is_none() {
            let private = numbers.network.is_some();
            body["targets"] = numbers.targets.iter().map(|goal| goal.added(private)).collect();
            body["public_interface"] = json!(settings.public);
            if let Some(network) = numbers.network {
                body["network"] = json!(network);
            }
        }
        match self.client.send(call::create(Kind::LoadBalancer, body)).await {
            Ok(mut answer) => {
                let made = part(&mut answer, "load_balancer")?;
                self.done(&mut answer, wish.name.as_str()).await?;
                self.read_again(made).await
            }
            // The request may have been obeyed, and only its answer lost.
            Err(lost) if lost.kind == ErrorKind::Transient || classify::is(&lost, "uniqueness_error") => {
                match self.balancer(&wish.name, owner).await {
                    Ok(Some(there)) => Ok(there),
                    Err(foreign) if foreign.kind == ErrorKind::Conflict => Err(foreign),
                    _ => Err(lost),
                }
            }
            Err(refused) => Err(refused),
        }
    }

    /// A load balancer when all of what made it has come to its end.
    async fn read_again(&self, made: Balancer) -> Result<Balancer, ProviderError> {
        part(&mut self.client.send(call::load_balancer(made.id)).await?, "load_balancer")
    }

    /// Changes what differs: what targets need before them, and what they hold after them.
    async fn bring(
        &self,
        wish: &DesiredLoadBalancer,
        numbers: &Numbers,
        there: &Balancer,
        owner: &Owner,
    ) -> Result<(), ProviderError> {
        let (settings, id, name) = (&wish.settings, there.id, there.name.as_str());
        // Up before there are more ports and targets than the old type has; down when there are fewer.
        let larger = there.load_balancer_type.name != settings.balancer_type;
        let retype = || call::act(path!("change_type"), id, json!({ "load_balancer_type": settings.balancer_type }));
        let mut late = false;
        if larger {
            match self.act(retype(), name).await {
                Err(full) if classify::is(&full, "invalid_load_balancer_type") => late = true,
                other => other?,
            }
        }
        if algorithm(settings.algorithm)["type"] != there.algorithm.word {
            self.act(call::act(path!("change_algorithm"), id, algorithm(settings.algorithm)), name).await?;
        }
        self.connect(wish, numbers, there).await?;
        if settings.public && !there.public_net.enabled {
            self.act(call::act_plainly(path!("enable_public_interface"), id), name).await?;
        }
        self.listen(wish, numbers, there).await?;
        self.aim(numbers, there).await?;
        if !settings.public && there.public_net.enabled {
            self.act(call::act_plainly(path!("disable_public_interface"), id), name).await?;
        }
        if numbers.network.is_none() {
            self.disconnect(there).await?;
        }
        if late {
            self.act(retype(), name).await?;
        }
        self.keep_balancer(there, settings.protected, owner).await
    }

    /// Puts it into its network, at the address that was chosen for it.
    async fn connect(
        &self,
        wish: &DesiredLoadBalancer,
        numbers: &Numbers,
        there: &Balancer,
    ) -> Result<(), ProviderError> {
        let Some(network) = numbers.network else { return Ok(()) };
        let chosen = wish.settings.private_address;
        let fits = |own: &PrivateNet| own.network == network && (chosen.is_none() || own.ip == chosen);
        if there.private_net.iter().any(fits) {
            return Ok(());
        }
        self.disconnect(there).await?;
        let mut body = json!({ "network": network });
        if let Some(address) = chosen {
            body["ip"] = json!(address);
        }
        self.act(call::act(path!("attach_to_network"), there.id, body), &there.name).await
    }

    async fn disconnect(&self, there: &Balancer) -> Result<(), ProviderError> {
        for own in &there.private_net {
            let body = json!({ "network": own.network });
            self.act(call::act(path!("detach_from_network"), there.id, body), &there.name).await?;
        }
        Ok(())
    }

    /// Ports: those that go, those that are another, those that come.
    async fn listen(
        &self,
        wish: &DesiredLoadBalancer,
        numbers: &Numbers,
        there: &Balancer,
    ) -> Result<(), ProviderError> {
        let (wished, names) = (&wish.settings.listeners, numbers.names(wish));
        for gone in there.services.iter().filter(|own| !wished.contains_key(&own.listen_port)) {
            let body = json!({ "listen_port": gone.listen_port });
            self.act(call::act(path!("delete_service"), there.id, body), &there.name).await?;
        }
        for (number, wish) in wished {
            let own = there.services.iter().find(|own| own.listen_port == *number);
            let body = port(*number, wish, &numbers.shown(&wish.certificates));
            let path = match own.map(|own| own.settings(&names)) {
                Some(own) if own == *wish => continue,
                // What belongs to one protocol would stay with the other.
                Some(own) if own.protocol != wish.protocol => {
                    let gone = json!({ "listen_port": number });
                    self.act(call::act(path!("delete_service"), there.id, gone), &there.name).await?;
                    path!("add_service")
                }
                Some(_) => path!("update_service"),
                None => path!("add_service"),
            };
            self.act(call::act(path, there.id, body), &there.name).await?;
        }
        Ok(())
    }

    /// Targets: new ones first, so that there is always one.
    async fn aim(&self, numbers: &Numbers, there: &Balancer) -> Result<(), ProviderError> {
        let private = numbers.network.is_some();
        let own: BTreeMap<Goal, bool> =
            there.targets.iter().filter_map(|target| Some((target.goal()?, target.use_private_ip))).collect();
        for goal in &numbers.targets {
            match own.get(goal) {
                Some(way) if *way == private || matches!(goal, Goal::Ip(_)) => continue,
                // No target can be told to be reached another way.
                Some(_) => self.act(call::act(path!("remove_target"), there.id, goal.told()), &there.name).await?,
                None => {}
            }
            self.act(call::act(path!("add_target"), there.id, goal.added(private)), &there.name).await?;
        }
        for gone in own.keys().filter(|goal| !numbers.targets.contains(goal)) {
            self.act(call::act(path!("remove_target"), there.id, gone.told()), &there.name).await?;
        }
        Ok(())
    }

    /// Has the API refuse to delete it, or lets it.
    async fn keep_balancer(&self, there: &Balancer, protected: bool, owner: &Owner) -> Result<(), ProviderError> {
        let mut labels = there.labels.clone();
        labels.remove(marks::PROTECTED);
        labels.extend(marks::protecting(owner, protected));
        if labels != there.labels
            && let Some(call) = call::label(Kind::LoadBalancer, there.id, &json!(labels))
        {
            self.client.send(call).await?;
        }
        if there.protection.delete != protected {
            let body = json!({ "delete": protected });
            self.act(call::act(path!("change_protection"), there.id, body), &there.name).await?;
        }
        Ok(())
    }

    pub(super) async fn unbalance(&self, name: &ClusterName, owner: &Owner) -> Result<(), ProviderError> {
        let Some(there) = self.balancer(name, owner).await? else { return Ok(()) };
        if there.protection.delete && !there.labels.contains_key(marks::PROTECTED) {
            let message = format!("load balancer {name} is protected from being deleted, and not by us");
            return Err(error(ErrorKind::Denied, message).with_help("take the protection off in the Hetzner Console"));
        }
        if there.protection.delete {
            self.act(call::act(path!("change_protection"), there.id, json!({ "delete": false })), &there.name).await?;
        }
        self.drop_one(Kind::LoadBalancer, there.id, &there.name).await
    }

    /// Deletes a thing. One that is gone is no error.
    pub(super) async fn drop_one(&self, kind: Kind, id: u64, name: &str) -> Result<(), ProviderError> {
        let Some(call) = call::delete(kind, id) else { return Ok(()) };
        match self.act(call, name).await {
            Err(gone) if gone.kind == ErrorKind::NotFound => {}
            other => other?,
        }
        self.known.is_gone(kind, name).await;
        Ok(())
    }
}
