//! What is kept around servers: as the API tells it, as it is to be told, and how the one becomes the other.

use kubewright_model::cloud::{
    Certificate as From, CloudBody, CloudId, CloudKind, CloudNetwork, DesiredResource, ResourceSeen, WORLD,
};
use kubewright_model::ids::Owner;
use kubewright_model::net::{Cidr, NumberRange};
use kubewright_model::spec::providers::{FirewallProtocol, FirewallRule};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answers::{Certificate, Firewall, Labelled, Labels, Network, PrimaryIp, Protection, Rule, SshKey};
use super::call::{self, Kind};
use super::client::{error, part};
use super::known::is_same_key;
use super::{Hetzner, certificates, classify, marks};
use crate::{ErrorKind, ProviderError};

/// The API's kind.
pub(super) fn kind(kind: CloudKind) -> Kind {
    match kind {
        CloudKind::SshKey => Kind::SshKey,
        CloudKind::Network => Kind::Network,
        CloudKind::Firewall => Kind::Firewall,
        CloudKind::PlacementGroup => Kind::PlacementGroup,
        CloudKind::PrimaryIp => Kind::PrimaryIp,
        CloudKind::Certificate => Kind::Certificate,
    }
}

/// The name under which one of them stands alone in an answer.
fn alone(kind: CloudKind) -> &'static str {
    match kind {
        CloudKind::SshKey => "ssh_key",
        CloudKind::Network => "network",
        CloudKind::Firewall => "firewall",
        CloudKind::PlacementGroup => "placement_group",
        CloudKind::PrimaryIp => "primary_ip",
        CloudKind::Certificate => "certificate",
    }
}

/// A thing that the API tells of, and that a plan knows too.
pub(super) trait Around {
    fn head(&self) -> (u64, &str, &Labels);
    fn body(&self) -> CloudBody;

    /// As the engine sees it.
    fn seen(&self, owner: &Owner) -> ResourceSeen {
        let (_, name, labels) = self.head();
        let owner = marks::are_ours(labels, owner).then(|| owner.clone());
        ResourceSeen { name: name.into(), body: self.body(), owner }
    }
}

/// Says where a thing has its number, its name and its labels.
macro_rules! around {
    ($type:ty, $body:expr) => {
        impl Around for $type {
            fn head(&self) -> (u64, &str, &Labels) {
                (self.id, &self.name, &self.labels)
            }

            fn body(&self) -> CloudBody {
                let body: fn(&$type) -> CloudBody = $body;
                body(self)
            }
        }
    };
}

around!(SshKey, |_| CloudBody::SshKey);
around!(Labelled, |_| CloudBody::PlacementGroup);
around!(Network, |network| {
    let subnets = network.subnets.iter().map(|subnet| (subnet.ip_range, subnet.network_zone.clone()));
    let routes = network.routes.iter().map(|route| (route.destination, route.gateway));
    CloudBody::Network(CloudNetwork {
        ip_range: network.ip_range,
        subnets: subnets.collect(),
        routes: routes.collect(),
    })
});
around!(Firewall, |firewall| CloudBody::Firewall(firewall.rules.iter().filter_map(rule_seen).collect()));
around!(PrimaryIp, |ip| CloudBody::PrimaryIp { ipv6: ip.family == "ipv6", location: ip.location.name.as_str().into() });
around!(Certificate, certificates::body);

/// A rule about what comes in. What goes out, and protocols of tunnels, no plan knows.
fn rule_seen(rule: &Rule) -> Option<FirewallRule> {
    let protocol = match rule.protocol.as_str() {
        "tcp" => FirewallProtocol::Tcp,
        "udp" => FirewallProtocol::Udp,
        "icmp" => FirewallProtocol::Icmp,
        _ => return None,
    };
    let ports = rule.port.as_deref().and_then(ports);
    let from = rule.source_ips.clone();
    (rule.direction == "in").then(|| FirewallRule { protocol, ports, from, description: rule.description.clone() })
}

/// `80`, `1024-5000`.
fn ports(text: &str) -> Option<NumberRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(NumberRange { first: first.parse().ok()?, last: last.parse().ok()? })
}

fn rule(rule: &FirewallRule) -> Value {
    let protocol = match rule.protocol {
        FirewallProtocol::Tcp => "tcp",
        FirewallProtocol::Udp => "udp",
        FirewallProtocol::Icmp => "icmp",
    };
    let mut told = json!({ "direction": "in", "protocol": protocol, "source_ips": rule.from });
    if let Some(ports) = rule.ports {
        let one = ports.first == ports.last;
        told["port"] = json!(if one { ports.first.to_string() } else { format!("{}-{}", ports.first, ports.last) });
    }
    if let Some(description) = &rule.description {
        told["description"] = json!(description);
    }
    told
}

fn rules(all: &[FirewallRule]) -> Value {
    all.iter().map(rule).collect()
}

/// The servers that a firewall is before: all that carry the mark, so nothing is to be said of each of them.
fn applied(owner: &Owner) -> Value {
    json!([{ "type": "label_selector", "label_selector": { "selector": marks::selector(owner) } }])
}

fn subnet(range: impl ToString, zone: &str) -> Value {
    json!({ "type": "cloud", "ip_range": range.to_string(), "network_zone": zone })
}

fn route(to: impl ToString, gateway: impl ToString) -> Value {
    json!({ "destination": to.to_string(), "gateway": gateway.to_string() })
}

/// Why a thing is not changed of which nothing can be.
pub(super) fn made_once(wish: &DesiredResource) -> ProviderError {
    let message = format!("{} cannot be changed: it is made once", wish.id());
    error(ErrorKind::Conflict, message).with_help("give the new one another name")
}

impl Hetzner {
    pub(super) async fn set(&self, wish: &DesiredResource, owner: &Owner) -> Result<ResourceSeen, ProviderError> {
        match &wish.body {
            CloudBody::SshKey => self.set_key(wish, owner).await,
            CloudBody::Network(network) => self.set_network(wish, network, owner).await,
            CloudBody::Firewall(rules) => self.set_firewall(wish, rules, owner).await,
            CloudBody::PlacementGroup => self.set_plain::<Labelled>(wish, owner, json!({ "type": "spread" })).await,
            CloudBody::PrimaryIp { ipv6, location } => {
                let family = if *ipv6 { "ipv6" } else { "ipv4" };
                let body =
                    json!({ "type": family, "location": location, "assignee_type": "server", "auto_delete": false });
                self.set_plain::<PrimaryIp>(wish, owner, body).await
            }
            CloudBody::Certificate(From::Managed(domains)) => self.set_managed(wish, domains, owner).await,
            CloudBody::Certificate(From::Uploaded) => {
                let body = self.uploaded(&wish.name)?;
                self.set_plain::<Certificate>(wish, owner, body).await
            }
        }
    }

    /// What of this name is there, if it is ours.
    pub(super) async fn there<T>(&self, wish: &DesiredResource, owner: &Owner) -> Result<Option<T>, ProviderError>
    where
        T: Around + DeserializeOwned,
    {
        let id = wish.id();
        let there: Option<T> = self.client.named(kind(id.kind), &wish.name).await?;
        match there {
            Some(foreign) if !marks::are_ours(foreign.head().2, owner) => Err(error(
                ErrorKind::Conflict,
                format!("there is a {id} in the project, and it does not carry our mark"),
            )),
            there => Ok(there),
        }
    }

    /// The thing, made with its mark where it is not there; and whether it was made now.
    pub(super) async fn have<T>(
        &self,
        wish: &DesiredResource,
        owner: &Owner,
        body: Value,
    ) -> Result<(T, bool), ProviderError>
    where
        T: Around + DeserializeOwned,
    {
        let id = wish.id();
        if let Some(there) = self.there::<T>(wish, owner).await? {
            self.known.is(kind(id.kind), &wish.name, there.head().0).await;
            return Ok((there, false));
        }
        let mut body = body;
        body["name"] = json!(wish.name);
        body["labels"] = json!(marks::mark(owner));
        let made: T = match self.client.send(call::create(kind(id.kind), body)).await {
            Ok(mut answer) => {
                let made = part(&mut answer, alone(id.kind))?;
                self.done(&mut answer, &wish.name).await?;
                made
            }
            // The request may have been obeyed, and only its answer lost.
            Err(lost) if lost.kind == ErrorKind::Transient || classify::is(&lost, "uniqueness_error") => {
                match self.there::<T>(wish, owner).await {
                    Ok(Some(there)) => there,
                    Err(foreign) if foreign.kind == ErrorKind::Conflict => return Err(foreign),
                    _ => return Err(lost),
                }
            }
            Err(refused) => return Err(refused),
        };
        self.known.is(kind(id.kind), &wish.name, made.head().0).await;
        Ok((made, true))
    }

    /// Something of which nothing can be changed.
    async fn set_plain<T>(
        &self,
        wish: &DesiredResource,
        owner: &Owner,
        body: Value,
    ) -> Result<ResourceSeen, ProviderError>
    where
        T: Around + DeserializeOwned,
    {
        let (there, made) = self.have::<T>(wish, owner, body).await?;
        let seen = there.seen(owner);
        if !made && !wish.body.differing(&seen.body).is_empty() {
            return Err(made_once(wish));
        }
        Ok(seen)
    }

    async fn set_key(&self, wish: &DesiredResource, owner: &Owner) -> Result<ResourceSeen, ProviderError> {
        let key = self.public_half(&wish.name)?;
        let keys: Vec<SshKey> = self.client.all(Kind::SshKey, call::list(Kind::SshKey)).await?;
        // A key is kept once, whoever put it there and whatever it is called.
        if let Some(same) = keys.iter().find(|own| is_same_key(&own.public_key, key)) {
            self.known.key_is(&wish.name, &same.name).await;
            return Ok(ResourceSeen { name: wish.name.clone(), ..same.seen(owner) });
        }
        // Of a key only the name and the labels can be changed: ours of before goes, and servers keep their copies of it.
        let old = keys.iter().find(|own| own.name == wish.name && marks::are_ours(&own.labels, owner));
        if let Some(old) = old {
            self.drop_one(Kind::SshKey, old.id, &old.name).await?;
        }
        let (made, _) = self.have::<SshKey>(wish, owner, json!({ "public_key": key })).await?;
        self.known.key_is(&wish.name, &made.name).await;
        Ok(made.seen(owner))
    }

    async fn set_network(
        &self,
        wish: &DesiredResource,
        network: &CloudNetwork,
        owner: &Owner,
    ) -> Result<ResourceSeen, ProviderError> {
        let subnets: Vec<Value> = network.subnets.iter().map(|(range, zone)| subnet(range, zone)).collect();
        let routes: Vec<Value> = network.routes.iter().map(|(to, gateway)| route(to, gateway)).collect();
        let body = json!({ "ip_range": network.ip_range, "subnets": subnets, "routes": routes });
        let (there, made) = self.have::<Network>(wish, owner, body).await?;
        if made {
            return Ok(there.seen(owner));
        }
        let CloudBody::Network(own) = there.body() else { return Ok(there.seen(owner)) };
        let act = async |path, body| self.act(call::act(path, there.id, body), &wish.name).await;
        if own.ip_range != network.ip_range {
            act("/networks/{id}/actions/change_ip_range", json!({ "ip_range": network.ip_range })).await?;
        }
        for (range, zone) in network.subnets.iter().filter(|(range, _)| !own.subnets.contains_key(*range)) {
            act("/networks/{id}/actions/add_subnet", subnet(range, zone)).await?;
        }
        for (to, gateway) in &network.routes {
            match own.routes.get(to) {
                Some(there) if there == gateway => continue,
                Some(other) => act("/networks/{id}/actions/delete_route", route(to, other)).await?,
                None => {}
            }
            act("/networks/{id}/actions/add_route", route(to, gateway)).await?;
        }
        let to_world = |to: &Cidr| to.to_string() == WORLD && !network.routes.contains_key(to);
        for (to, gateway) in own.routes.iter().filter(|(to, _)| to_world(to)) {
            act("/networks/{id}/actions/delete_route", route(to, gateway)).await?;
        }
        self.again::<Network>(wish, owner).await
    }

    async fn set_firewall(
        &self,
        wish: &DesiredResource,
        wished: &[FirewallRule],
        owner: &Owner,
    ) -> Result<ResourceSeen, ProviderError> {
        let body = json!({ "rules": rules(wished), "apply_to": applied(owner) });
        let (there, made) = self.have::<Firewall>(wish, owner, body).await?;
        if made {
            return Ok(there.seen(owner));
        }
        let act = async |path, body| self.act(call::act(path, there.id, body), &wish.name).await;
        if !wish.body.differing(&there.body()).is_empty() {
            act("/firewalls/{id}/actions/set_rules", json!({ "rules": rules(wished) })).await?;
        }
        let selector = marks::selector(owner);
        let is_before = there.applied_to.iter().filter_map(|it| it.label_selector.as_ref());
        if !is_before.map(|it| &it.selector).any(|own| *own == selector) {
            act("/firewalls/{id}/actions/apply_to_resources", json!({ "apply_to": applied(owner) })).await?;
        }
        self.again::<Firewall>(wish, owner).await
    }

    /// A thing of ours, as it is after it was changed.
    async fn again<T>(&self, wish: &DesiredResource, owner: &Owner) -> Result<ResourceSeen, ProviderError>
    where
        T: Around + DeserializeOwned,
    {
        let gone = || error(ErrorKind::Transient, format!("{} went away while it was changed", wish.id()));
        Ok(self.there::<T>(wish, owner).await?.ok_or_else(gone)?.seen(owner))
    }

    pub(super) async fn drop_resource(&self, resource: &CloudId, owner: &Owner) -> Result<(), ProviderError> {
        let kind = kind(resource.kind);
        let there: Option<Kept> = self.client.named(kind, &resource.name).await?;
        let Some(there) = there else { return Ok(()) };
        if !marks::are_ours(&there.labels, owner) {
            return Err(error(ErrorKind::Conflict, format!("{resource} does not carry our mark")));
        }
        if there.protection.delete {
            let message = format!("{resource} is protected from being deleted");
            return Err(error(ErrorKind::Denied, message).with_help("take the protection off in the Hetzner Console"));
        }
        if resource.kind == CloudKind::Firewall {
            self.lift(there.id, resource, owner).await?;
        }
        self.drop_one(kind, there.id, &resource.name).await.map_err(classify::of_deleting)
    }

    /// Takes a firewall away from before everything: one that is before something is not deleted.
    async fn lift(&self, id: u64, resource: &CloudId, owner: &Owner) -> Result<(), ProviderError> {
        let body = json!({ "remove_from": applied(owner) });
        let lifted = self.act(call::act("/firewalls/{id}/actions/remove_from_resources", id, body), &resource.name);
        match lifted.await {
            Err(gone) if gone.kind == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// What of a thing is looked at before it is deleted.
#[derive(serde::Deserialize)]
struct Kept {
    id: u64,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    protection: Protection,
}

/// One call of each kind that is made here.
#[cfg(test)]
pub(super) fn samples(owner: &Owner) -> Vec<call::Call> {
    let allowed = |ports: Option<NumberRange>| FirewallRule {
        protocol: if ports.is_some() { FirewallProtocol::Tcp } else { FirewallProtocol::Icmp },
        ports,
        from: Vec::new(),
        description: Some("ssh".into()),
    };
    let wished = [allowed(Some(NumberRange { first: 22, last: 22 })), allowed(None)];
    let (subnet, route) = (subnet("10.0.0.0/24", "eu-central"), route("0.0.0.0/0", "10.0.0.2"));
    let made = [
        (Kind::SshKey, json!({ "public_key": "ssh-ed25519 AAAA" })),
        (Kind::Network, json!({ "ip_range": "10.0.0.0/16", "subnets": [subnet], "routes": [route] })),
        (Kind::Firewall, json!({ "rules": rules(&wished), "apply_to": applied(owner) })),
        (Kind::PlacementGroup, json!({ "type": "spread" })),
        (
            Kind::PrimaryIp,
            json!({ "type": "ipv4", "location": "fsn1", "assignee_type": "server", "auto_delete": false }),
        ),
        (Kind::Certificate, json!({ "type": "managed", "domain_names": ["a.test"] })),
        (Kind::Certificate, json!({ "type": "uploaded", "certificate": "…", "private_key": "…" })),
    ];
    let made = made.into_iter().map(|(kind, mut body)| {
        body["name"] = json!("lab");
        body["labels"] = json!(marks::mark(owner));
        call::create(kind, body)
    });
    let acts = [
        ("/networks/{id}/actions/change_ip_range", json!({ "ip_range": "10.0.0.0/15" })),
        ("/networks/{id}/actions/add_subnet", subnet.clone()),
        ("/networks/{id}/actions/add_route", route.clone()),
        ("/networks/{id}/actions/delete_route", route.clone()),
        ("/firewalls/{id}/actions/set_rules", json!({ "rules": rules(&wished) })),
        ("/firewalls/{id}/actions/apply_to_resources", json!({ "apply_to": applied(owner) })),
        ("/firewalls/{id}/actions/remove_from_resources", json!({ "remove_from": applied(owner) })),
    ];
    made.chain(acts.map(|(path, body)| call::act(path, 1, body))).collect()
}
