//! What new servers and load balancers are made of and put into: types, images, locations, networks, certificates. What
//! is not there is told before anything is begun, all of it at once, and not by each server in turn. What runs already is
//! not judged: its type may be sold out, and it works on.
//!
//! The API tells no limits of a project, and not whether a token may write: the first request that is refused tells that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use kubewright_model::cloud::{CloudBody, CloudKind, CloudNetwork};
use kubewright_model::desired::{Body, DesiredLoadBalancer, DesiredMachine, ServerBody};
use kubewright_model::net::Cidr;
use kubewright_model::spec::load_balancers::ListenProtocol;

use super::answers::{BalancerType, Datacenter, Location, Named, Network, ServerType};
use super::call::{self, Kind};
use super::resources::Around;
use super::{Hetzner, Standing};
use crate::{ErrorKind, ProviderError, Refusal, Wanted};

/// A server that is wished.
type Wished<'a> = (&'a DesiredMachine, &'a ServerBody);

/// What Hetzner offers.
struct Offer {
    locations: Vec<Location>,
    types: Vec<ServerType>,
    /// Of server types, by location: what there is at the moment. Nothing where Hetzner does not tell.
    stock: BTreeMap<String, BTreeSet<u64>>,
}

fn refusal(message: String, help: impl Into<String>) -> Refusal {
    Refusal { message, help: help.into() }
}

fn list(names: impl IntoIterator<Item = impl ToString>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    names.sort();
    names.join(", ")
}

impl Hetzner {
    pub(super) async fn refusals(&self, wanted: Wanted<'_>) -> Result<Vec<Refusal>, ProviderError> {
        let servers: Vec<Wished<'_>> = wanted
            .machines
            .iter()
            .filter_map(|machine| match &*machine.body {
                Body::Server(server) => Some((*machine, server)),
                _ => None,
            })
            .collect();
        let there = |machine: &DesiredMachine| self.stood(&machine.name);
        let to_come: Vec<Wished<'_>> =
            servers.iter().filter(|(machine, _)| there(machine).is_none()).copied().collect();
        let other = |(machine, server): &&Wished<'_>| there(machine).is_none_or(|own| !server.may_be(&own.server_type));
        let to_change: Vec<Wished<'_>> = servers.iter().filter(other).copied().collect();
        let mut refusals = self.nobody_comes_in(&to_come);
        if !to_change.is_empty() {
            let offer = self.offer().await?;
            self.are_sold_out(offer.sold_out(&to_come));
            refusals.extend(offer.no_places(&to_come));
            refusals.extend(offer.no_types(&to_change));
            let own = |(machine, server): &Wished<'_>| offer.no_change(machine, server, &there(machine)?);
            refusals.extend(to_change.iter().filter_map(own));
            refusals.extend(self.no_images(&offer, &to_come).await?);
        }
        refusals.extend(self.no_networks(wanted, &servers).await?);
        refusals.extend(self.no_balancers(wanted).await?);
        Ok(refusals)
    }

    /// Servers that nobody could log into. All of a pool have one key, so it is told once.
    fn nobody_comes_in(&self, servers: &[Wished<'_>]) -> Vec<Refusal> {
        let shut = servers.iter().filter_map(|(machine, server)| self.lets_in(machine, server).err());
        let shut: BTreeMap<String, String> = shut.map(|why| (why.message, why.help.unwrap_or_default())).collect();
        shut.into_iter().map(|(message, help)| Refusal { message, help }).collect()
    }

    async fn offer(&self) -> Result<Offer, ProviderError> {
        let (locations, types): (_, Vec<ServerType>) = futures::try_join!(
            self.client.all(Kind::Location, call::list(Kind::Location)),
            self.client.all(Kind::ServerType, call::list(Kind::ServerType)),
        )?;
        let told = types.iter().flat_map(|own| &own.locations).any(|it| it.available.is_some());
        let stock = if told { BTreeMap::new() } else { self.stock().await? };
        Ok(Offer { locations, types, stock })
    }

    async fn stock(&self) -> Result<BTreeMap<String, BTreeSet<u64>>, ProviderError> {
        let centres: Vec<Datacenter> = match self.client.all(Kind::Datacenter, call::list(Kind::Datacenter)).await {
            Ok(centres) => centres,
            // Gone since October 2026: <https://docs.hetzner.cloud/changelog#2026-06-02-datacenters-deprecated>.
            Err(gone) if matches!(gone.kind, ErrorKind::NotFound | ErrorKind::Invalid) => return Ok(BTreeMap::new()),
            Err(other) => return Err(other),
        };
        let mut stock: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for centre in centres {
            stock.entry(centre.location.name).or_default().extend(centre.server_types.available);
        }
        Ok(stock)
    }

    async fn no_images(&self, offer: &Offer, servers: &[Wished<'_>]) -> Result<Vec<Refusal>, ProviderError> {
        let mut wanted: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (_, server) in servers.iter().filter(|(_, server)| server.image.parse::<u64>().is_err()) {
            let types = std::iter::once(&server.server_type).chain(&server.fallback_types);
            let known = types.filter_map(|name| offer.types.iter().find(|own| own.name == *name));
            wanted.extend(known.map(|own| (server.image.as_str(), own.architecture.as_str())));
        }
        let mut refusals = Vec::new();
        for (image, architecture) in wanted {
            match self.find_image(image, architecture).await? {
                None => refusals.push(refusal(
                    format!("there is no image {image} for servers of {architecture} at Hetzner"),
                    format!(
                        "write one of Hetzner's own (`hcloud image list --architecture {architecture}`), or a snapshot of \
                         yours by its number, its description or a label"
                    ),
                )),
                Some(old) if old.deprecated.is_some() => refusals.push(refusal(
                    format!("Hetzner takes the image {image} away: it is deprecated since {}", old.deprecated.unwrap_or_default()),
                    "write a newer image",
                )),
                Some(_) => {}
            }
        }
        Ok(refusals)
    }

    /// Networks that are wanted and not there, and addresses that lie in none of their subnets.
    async fn no_networks(&self, wanted: Wanted<'_>, servers: &[Wished<'_>]) -> Result<Vec<Refusal>, ProviderError> {
        let in_one = servers.iter().filter_map(|(machine, server)| Some((server.network.as_deref()?, machine.address)));
        let balancers = wanted.load_balancers.iter().map(|it| &it.settings);
        let balancers = balancers.filter_map(|it| Some((it.network.as_deref()?, it.private_address)));
        let places: Vec<_> = in_one.chain(balancers).collect();
        let names: BTreeSet<&str> = places.iter().map(|(name, _)| *name).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let there: Vec<Network> = self.client.all(Kind::Network, call::list(Kind::Network)).await?;
        let mut refusals = Vec::new();
        for name in names {
            let made = wanted.resources.iter().find(|wish| wish.name == name && wish.body.kind() == CloudKind::Network);
            let own = there.iter().find(|network| network.name == *name).map(Around::body);
            let subnets = |body: &CloudBody| match body {
                CloudBody::Network(CloudNetwork { subnets, .. }) => subnets.keys().copied().collect::<Vec<_>>(),
                _ => Vec::new(),
            };
            if made.is_none() && own.is_none() {
                let names = list(there.iter().map(|network| &network.name));
                let help = if names.is_empty() {
                    "there is none in the project".into()
                } else {
                    format!("there are: {names}")
                };
                refusals.push(refusal(format!("there is no network {name} in the project"), help));
                continue;
            }
            let range = there.iter().find(|network| network.name == *name).map(|network| network.ip_range);
            refusals.extend(range.and_then(|range| other_gateway(name, range, servers)));
            let ranges: Vec<_> = made.map(|wish| &wish.body).into_iter().chain(&own).flat_map(subnets).collect();
            let outside = places.iter().filter(|(own, _)| *own == name).filter_map(|(_, address)| *address);
            let outside: Vec<_> = outside.filter(|it| !ranges.iter().any(|range| range.net().contains(it))).collect();
            if !outside.is_empty() {
                let message = format!("{} lie in no subnet of the network {name}", list(&outside));
                refusals.push(refusal(message, format!("its subnets are {}: write addresses of them", list(&ranges))));
            }
        }
        Ok(refusals)
    }

    async fn no_balancers(&self, wanted: Wanted<'_>) -> Result<Vec<Refusal>, ProviderError> {
        if wanted.load_balancers.is_empty() {
            return Ok(Vec::new());
        }
        let types: Vec<BalancerType> =
            self.client.all(Kind::LoadBalancerType, call::list(Kind::LoadBalancerType)).await?;
        let shows = |it: &&&DesiredLoadBalancer| {
            it.settings.listeners.values().any(|port| port.protocol == ListenProtocol::Https)
        };
        let certificates: Vec<Named> = match wanted.load_balancers.iter().find(shows) {
            Some(_) => self.client.all(Kind::Certificate, call::list(Kind::Certificate)).await?,
            None => Vec::new(),
        };
        let made = wanted.resources.iter().filter(|wish| wish.body.kind() == CloudKind::Certificate);
        let known: BTreeSet<&str> =
            certificates.iter().map(|it| it.name.as_str()).chain(made.map(|wish| wish.name.as_str())).collect();
        let each = wanted.load_balancers.iter();
        Ok(each.flat_map(|wish| not_to_be_had(wish, &types, &known)).collect())
    }
}

/// Servers that would send what is for the world to an address that is not the gateway of the network that is there: that is
/// the first of its own range, and not of the range in the spec. <https://docs.hetzner.com/cloud/networks/faq>
fn other_gateway(name: &str, range: Cidr, servers: &[Wished<'_>]) -> Option<Refusal> {
    let own = range.net().hosts().next()?;
    let sent = servers.iter().filter(|(_, server)| server.network.as_deref() == Some(name));
    let sent: Vec<_> = sent.filter(|(_, server)| server.gateway.is_some_and(|gateway| gateway != own)).collect();
    let gateway = sent.first()?.1.gateway?;
    let names = list(sent.iter().map(|(machine, _)| &machine.name));
    let message = format!(
        "{names} would reach the world by {gateway}, and the gateway of the network {name}, whose range is {range}, is {own}"
    );
    Some(refusal(message, format!("write `ipRange: {range}` for the network")))
}

/// Why a load balancer cannot be had as it is wished.
fn not_to_be_had(wish: &DesiredLoadBalancer, types: &[BalancerType], certificates: &BTreeSet<&str>) -> Vec<Refusal> {
    let (name, settings) = (&wish.name, &wish.settings);
    let mut refusals = Vec::new();
    let shown: BTreeSet<&str> =
        settings.listeners.values().flat_map(|port| &port.certificates).map(String::as_str).collect();
    for certificate in shown.iter().filter(|it| !certificates.contains(*it)) {
        let there = list(certificates.iter());
        let there = if there.is_empty() { "there is none yet".into() } else { format!("there are: {there}") };
        let message =
            format!("the load balancer {name} shows the certificate {certificate}, and there is none of this name");
        refusals.push(refusal(message, format!("{there}; `providers.hetzner.certificates` has others made")));
    }
    let Some(own) = types.iter().find(|own| own.name == settings.balancer_type) else {
        let message = format!("there is no type {} of load balancers at Hetzner", settings.balancer_type);
        refusals.push(refusal(message, format!("there are: {}", list(types.iter().map(|own| &own.name)))));
        return refusals;
    };
    let counts = [
        (settings.listeners.len(), own.max_services, "listeners"),
        // However many are found by a label, they count as targets too.
        (wish.targets.len(), own.max_targets, "targets"),
        (shown.len(), own.max_assigned_certificates, "certificates"),
    ];
    for (has, most, what) in counts.into_iter().filter(|(has, most, _)| has > most) {
        let message = format!("the load balancer {name} has {has} {what}, and its type {} takes {most}", own.name);
        refusals
            .push(refusal(message, "write a larger `type`: `hcloud load-balancer-type list` shows what each takes"));
    }
    refusals
}

/// Whether a time is over. One that is not understood is not: the API refuses what is.
fn is_past(time: &str) -> bool {
    humantime::parse_rfc3339_weak(time).is_ok_and(|time| time < SystemTime::now())
}

impl Offer {
    /// Locations that nobody knows, and those of another zone than the network's.
    fn no_places(&self, servers: &[Wished<'_>]) -> Vec<Refusal> {
        let places = servers
            .iter()
            .flat_map(|(machine, server)| std::iter::once(&machine.place).chain(&server.fallback_locations));
        let places: BTreeSet<&str> = places.map(|place| place.as_str()).collect();
        let zone = |name: &str| self.locations.iter().find(|own| own.name == name).map(|own| own.network_zone.as_str());
        let mut refusals: Vec<Refusal> = places
            .iter()
            .filter(|place| zone(place).is_none())
            .map(|place| {
                let there = list(self.locations.iter().map(|own| &own.name));
                refusal(format!("there is no location {place} at Hetzner"), format!("there are: {there}"))
            })
            .collect();
        let far: BTreeSet<(&str, &str)> = servers
            .iter()
            .filter(|(_, server)| server.network.is_some())
            .flat_map(|(machine, server)| server.fallback_locations.iter().map(move |other| (&machine.place, other)))
            .filter(|(own, other)| zone(own.as_str()).zip(zone(other.as_str())).is_some_and(|(a, b)| a != b))
            .map(|(own, other)| (own.as_str(), other.as_str()))
            .collect();
        refusals.extend(far.into_iter().map(|(own, other)| {
            let message = format!("{other} is in another network zone than {own}, and a network's subnet is in one");
            refusal(message, "take it out of `fallbackLocations`")
        }));
        refusals
    }

    /// Server types that nobody knows, or that are not to be had at a location, where nothing is allowed in their place.
    fn no_types(&self, servers: &[Wished<'_>]) -> Vec<Refusal> {
        let (mut refusals, mut looked) = (Vec::new(), BTreeSet::new());
        for (machine, server) in servers {
            let choices = super::wish::choices(machine, server);
            let words = list(choices.iter().map(ToString::to_string));
            if !looked.insert(words.clone()) {
                continue;
            }
            let unknown: BTreeSet<&str> = choices.iter().map(|choice| choice.server_type).collect();
            let unknown = unknown.into_iter().filter(|name| !self.types.iter().any(|own| own.name == *name));
            let before = refusals.len();
            refusals.extend(unknown.map(|name| {
                let there = list(self.types.iter().map(|own| &own.name));
                refusal(format!("there is no server type {name} at Hetzner"), format!("there are: {there}"))
            }));
            let whys: Vec<String> =
                choices.iter().filter_map(|it| self.lacks(it.server_type, it.location.as_str())).collect();
            if refusals.len() == before && whys.len() == choices.len() {
                let message = format!("{} cannot be had: {}", machine.name, whys.join("; "));
                let help = "write another `type` or `location`, or what may be taken in their place: `fallbackTypes`, `fallbackLocations`";
                refusals.push(refusal(message, help));
            }
        }
        refusals
    }

    /// Of what may be taken, what is not to be had.
    fn sold_out(&self, servers: &[Wished<'_>]) -> BTreeSet<(String, String)> {
        let choices = servers.iter().flat_map(|(machine, server)| super::wish::choices(machine, server));
        let choices = choices.filter(|it| self.lacks(it.server_type, it.location.as_str()).is_some());
        choices.map(|it| (it.server_type.to_string(), it.location.to_string())).collect()
    }

    /// Why a server that is there cannot become one of another type: it would be shut down, and refused then.
    /// <https://docs.hetzner.cloud/reference/cloud#server-actions-change-the-type-of-a-server>
    fn no_change(&self, machine: &DesiredMachine, server: &ServerBody, there: &Standing) -> Option<Refusal> {
        let find = |name: &str| self.types.iter().find(|own| own.name == name);
        let (old, new) = (find(&there.server_type), find(&server.server_type)?);
        let (name, wished) = (&machine.name, &new.name);
        if let Some(old) = old.filter(|old| old.architecture != new.architecture) {
            let (own, other) = (&old.architecture, &new.architecture);
            let message = format!("{name} cannot become a {wished}: that is of {other}, and {} is of {own}", old.name);
            let help = format!("write a `type` of {own}, or make a pool of {wished} beside this one and move over");
            return Some(refusal(message, help));
        }
        (new.disk < there.disk).then(|| {
            let message = format!(
                "{name} cannot become a {wished}: its disk has {} GB, and a {wished} has {} GB; no disk shrinks",
                there.disk, new.disk
            );
            let help = format!(
                "write a `type` with at least {} GB, or make a pool of {wished} beside this one and move over",
                there.disk
            );
            refusal(message, help)
        })
    }

    /// Why a type is not to be had at a location; nothing where it is, or where nobody can tell.
    fn lacks(&self, server_type: &str, location: &str) -> Option<String> {
        let own = self.types.iter().find(|own| own.name == server_type)?;
        if !own.locations.is_empty() {
            let Some(offered) = own.locations.iter().find(|it| it.name == location) else {
                let there = list(own.locations.iter().map(|it| &it.name));
                return Some(format!("Hetzner has no {server_type} at {location}, but at {there}"));
            };
            // Until then it is deprecated, and to be had.
            let over = offered.deprecation.as_ref().map(|it| &it.unavailable_after).filter(|over| is_past(over));
            if let Some(over) = over {
                return Some(format!("{server_type} is deprecated at {location}, and new ones ended at {over}"));
            }
        }
        let told = own.locations.iter().find(|it| it.name == location).and_then(|it| it.available);
        let there = told.or_else(|| Some(self.stock.get(location)?.contains(&own.id)))?;
        (!there).then(|| format!("Hetzner has no {server_type} left at {location} at the moment"))
    }
}
