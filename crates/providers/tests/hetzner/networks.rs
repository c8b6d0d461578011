//! Networks, their subnets and routes, and which addresses in them are taken.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::problem::{Problem, labels, list, text};
use super::state::{Answer, Kind, State, created, gone, ok};

/// What the API keeps for itself: the gateway of public interfaces.
const PUBLIC_GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 31, 1, 1);
/// <https://docs.hetzner.com/cloud/networks/faq>: so many resources in a network, and networks of a server.
const MOST_MEMBERS: usize = 100;
const MOST_NETWORKS: usize = 3;
/// As terraform-hcloud-kube-hetzner#1217 has it.
const MOST_SUBNETS: usize = 50;

pub(crate) fn create(state: &mut State, body: &Value) -> Answer {
    state.fresh(Kind::Network, body)?;
    let range = private(body, "ip_range")?;
    if range.prefix_len() > 24 {
        return Err(Problem::invalid("ip_range", "must be at least a /24"));
    }
    let mut record = json!({
        "id": null, "name": body["name"], "ip_range": range.to_string(), "subnets": [], "routes": [],
        "labels": labels(body), "protection": {"delete": false}, "created": null,
        "expose_routes_to_vswitch": body["expose_routes_to_vswitch"] == true,
    });
    for subnet in list(body, "subnets") {
        let subnet = new_subnet(state, &record, subnet)?;
        record["subnets"].as_array_mut().unwrap().push(subnet);
    }
    for route in list(body, "routes") {
        check_route(&record, route)?;
        record["routes"].as_array_mut().unwrap().push(route.clone());
    }
    let id = state.put(Kind::Network, record);
    created(json!({"network": state.show(Kind::Network, id)}))
}

pub(crate) fn update(state: &mut State, id: u64, body: &Value) -> Answer {
    state.update(Kind::Network, id, body, &["expose_routes_to_vswitch"])?;
    ok(json!({"network": state.show(Kind::Network, id)}))
}

/// What is attached is detached.
pub(crate) fn delete(state: &mut State, id: u64) -> Answer {
    state.unprotected(Kind::Network, id, "delete")?;
    state.unlocked(Kind::Network, id)?;
    state.records.remove(&(Kind::Network, id));
    for kind in [Kind::Server, Kind::LoadBalancer] {
        for member in members(state, kind, id) {
            state.change(kind, member, |record| detach(record, id));
        }
    }
    gone()
}

pub(crate) fn act(state: &mut State, id: u64, word: &str, body: &Value) -> Result<u64, Problem> {
    let network = state.get(Kind::Network, id)?.clone();
    state.unlocked(Kind::Network, id)?;
    let this = &[(Kind::Network, id)];
    let push = move |state: &mut State, field: &'static str, entry: Value| {
        state.change(Kind::Network, id, |network| network[field].as_array_mut().unwrap().push(entry));
    };
    let drop = move |state: &mut State, field: &'static str, entry: &Value| {
        state.change(Kind::Network, id, |network| network[field].as_array_mut().unwrap().retain(|own| own != entry));
    };
    match word {
        "add_subnet" => {
            let subnet = new_subnet(state, &network, body)?;
            Ok(state.begin("add_subnet", this, move |state| push(state, "subnets", subnet)))
        }
        "delete_subnet" => {
            let range = range(body, "ip_range")?;
            let found = list(&network, "subnets").find(|own| own["ip_range"] == range.to_string()).cloned();
            let found = found.ok_or_else(|| Problem::invalid("ip_range", "there is no such subnet"))?;
            if taken(state, id).iter().any(|address| range.contains(address)) {
                return Err(Problem::new("service_error", "cannot remove subnet because servers are attached to it"));
            }
            Ok(state.begin("delete_subnet", this, move |state| drop(state, "subnets", &found)))
        }
        "add_route" => {
            check_route(&network, body)?;
            let route = body.clone();
            Ok(state.begin("add_route", this, move |state| push(state, "routes", route)))
        }
        "delete_route" => {
            let found = list(&network, "routes").find(|own| *own == body).cloned();
            let found = found.ok_or_else(|| Problem::new("not_found", "route not found"))?;
            Ok(state.begin("delete_route", this, move |state| drop(state, "routes", &found)))
        }
        "change_ip_range" => {
            let (old, new) = (range_of(&network["ip_range"]), private(body, "ip_range")?);
            if new.network() != old.network() || new.prefix_len() > old.prefix_len() {
                return Err(Problem::invalid("ip_range", "can only be extended at its end"));
            }
            Ok(state.begin("change_ip_range", this, move |state| {
                state.change(Kind::Network, id, |network| network["ip_range"] = json!(new.to_string()));
            }))
        }
        "change_protection" => state.protect(Kind::Network, id, body),
        _ => Err(Problem::new("not_found", "there is no such action")),
    }
}

pub(crate) fn show(state: &State, record: &mut Value) {
    let id = record["id"].as_u64().unwrap_or_default();
    record["servers"] = json!(members(state, Kind::Server, id));
    record["load_balancers"] = json!(members(state, Kind::LoadBalancer, id));
}

fn members(state: &State, kind: Kind, network: u64) -> Vec<u64> {
    state.which(kind, |record| is_attached(record, network))
}

pub(crate) fn is_attached(record: &Value, network: u64) -> bool {
    list(record, "private_net").any(|own| own["network"] == network)
}

pub(crate) fn detach(record: &mut Value, network: u64) {
    record["private_net"].as_array_mut().unwrap().retain(|own| own["network"] != network);
}

fn range(body: &Value, field: &str) -> Result<Ipv4Net, Problem> {
    let range: Ipv4Net = text(body, field)?.parse().map_err(|_| Problem::invalid(field, "is no IPv4 range"))?;
    if range.trunc() != range {
        return Err(Problem::invalid(field, "has bits of hosts set"));
    }
    Ok(range)
}

pub(crate) fn range_of(text: &Value) -> Ipv4Net {
    text.as_str().unwrap_or_default().parse().expect("only ranges are kept")
}

/// A range of RFC 1918.
fn private(body: &Value, field: &str) -> Result<Ipv4Net, Problem> {
    let range = range(body, field)?;
    let all = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(|net| net.parse::<Ipv4Net>().unwrap());
    let fits = all.iter().any(|net| net.contains(&range));
    if fits { Ok(range) } else { Err(Problem::invalid(field, "must be one of the private ranges of RFC 1918")) }
}

pub(crate) fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

fn new_subnet(state: &State, network: &Value, body: &Value) -> Result<Value, Problem> {
    let all = range_of(&network["ip_range"]);
    let others: Vec<Ipv4Net> = list(network, "subnets").map(|own| range_of(&own["ip_range"])).collect();
    let routes: Vec<Ipv4Net> = list(network, "routes").map(|own| range_of(&own["destination"])).collect();
    if others.len() >= MOST_SUBNETS {
        return Err(Problem::limit("subnet_limit"));
    }
    let free = |net: &Ipv4Net| {
        let routed = |route: &Ipv4Net| route.prefix_len() > 0 && overlap(*route, *net);
        others.iter().all(|other| !overlap(*other, *net)) && !routes.iter().any(routed)
    };
    let range = match body["ip_range"].as_str() {
        Some(_) => private(body, "ip_range")?,
        None => {
            let mut all = all.subnets(24).map_err(|_| Problem::invalid("ip_range", "must be given"))?;
            all.find(free).ok_or_else(|| Problem::invalid("ip_range", "there is no room for another /24"))?
        }
    };
    if !all.contains(&range) || range.prefix_len() > 30 {
        return Err(Problem::invalid("ip_range", "must be a part of the network, and at least a /30"));
    }
    if !free(&range) {
        return Err(Problem::invalid("ip_range", "overlaps with another subnet or with a route"));
    }
    let zone = text(body, "network_zone")?;
    if !state.catalog.of("locations").iter().any(|place| place["network_zone"] == zone) {
        return Err(Problem::invalid("network_zone", "is unknown"));
    }
    // "All subnets within a Network also have to be from the same network zone."
    if list(network, "subnets").any(|own| own["network_zone"] != zone) {
        return Err(Problem::invalid("network_zone", "is not that of the other subnets"));
    }
    let coupled = body["type"] == "vswitch";
    if coupled == body["vswitch_id"].is_null() {
        return Err(Problem::invalid("vswitch_id", "belongs to subnets of type vswitch"));
    }
    Ok(json!({
        "type": body["type"], "ip_range": range.to_string(), "network_zone": zone, "gateway": gateway(all),
        "vswitch_id": body["vswitch_id"],
    }))
}

/// The first address of the network is its gateway.
fn gateway(all: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(all.network()) + 1)
}

fn check_route(network: &Value, route: &Value) -> Result<(), Problem> {
    let destination = range(route, "destination")?;
    if destination.prefix_len() > 0 {
        private(route, "destination")?;
        let subnets = list(network, "subnets").map(|own| range_of(&own["ip_range"]));
        let routes = list(network, "routes").map(|own| range_of(&own["destination"]));
        if subnets.chain(routes).any(|other| other.prefix_len() > 0 && overlap(other, destination)) {
            return Err(Problem::invalid("destination", "overlaps with a subnet or another route"));
        }
    }
    if list(network, "routes").any(|own| own["destination"] == route["destination"])
        || destination.contains(&PUBLIC_GATEWAY) && destination.prefix_len() > 0
    {
        return Err(Problem::invalid("destination", "is routed already"));
    }
    let all = range_of(&network["ip_range"]);
    let to: Option<Ipv4Addr> = text(route, "gateway")?.parse().ok();
    let fits = to.is_some_and(|to| all.contains(&to) && to != gateway(all) && to != PUBLIC_GATEWAY);
    if fits {
        Ok(())
    } else {
        Err(Problem::invalid("gateway", "must be an address of the network that is not reserved"))
    }
}

/// Every address that a member has, or that a running action will give it.
fn taken(state: &State, network: u64) -> Vec<Ipv4Addr> {
    let records = state.of(Kind::Server).chain(state.of(Kind::LoadBalancer));
    let nets = records.flat_map(|(_, record)| list(record, "private_net")).filter(|own| own["network"] == network);
    let shown =
        nets.flat_map(|own| list(own, "alias_ips").chain([&own["ip"]])).filter_map(|ip| ip.as_str()?.parse().ok());
    let reserved = state.reserved.values().flatten().filter(|(of, _)| *of == network).map(|(_, ip)| *ip);
    shown.chain(reserved).collect()
}

/// What a new member wants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) ip: Option<&'a str>,
    pub(crate) ip_range: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    pub(crate) fn of(body: &'a Value) -> Self {
        Self { ip: body["ip"].as_str(), ip_range: body["ip_range"].as_str() }
    }
}

/// The address that a new member of the zone gets.
pub(crate) fn address(state: &State, network: u64, zone: &Value, wanted: Wanted<'_>) -> Result<Ipv4Addr, Problem> {
    let record = state.get(Kind::Network, network)?;
    let (all, taken) = (range_of(&record["ip_range"]), taken(state, network));
    let members = members(state, Kind::Server, network).len() + members(state, Kind::LoadBalancer, network).len();
    if members >= MOST_MEMBERS {
        return Err(Problem::limit("network_attached_resources_limit"));
    }
    let none = || Problem::new("no_subnet_available", "no subnet or IP is available in the network");
    let mut subnets: Vec<Ipv4Net> = list(record, "subnets")
        .filter(|own| own["network_zone"] == *zone && own["type"] != "vswitch")
        .map(|own| range_of(&own["ip_range"]))
        .collect();
    if let Some(only) = wanted.ip_range {
        subnets.retain(|own| own.to_string() == only);
    }
    if subnets.is_empty() {
        return Err(none());
    }
    let reserved = |ip: Ipv4Addr| ip == gateway(all) || ip == PUBLIC_GATEWAY;
    if let Some(ip) = wanted.ip {
        let ip: Ipv4Addr = ip.parse().map_err(|_| Problem::invalid("ip", "is no IPv4 address"))?;
        let inside = |own: &Ipv4Net| own.contains(&ip) && ip != own.network() && ip != own.broadcast();
        if !subnets.iter().any(inside) {
            return Err(Problem::invalid("ip", "is in no subnet of the network"));
        }
        let free = !reserved(ip) && !taken.contains(&ip);
        return if free { Ok(ip) } else { Err(Problem::new("ip_not_available", "IP is not available")) };
    }
    let mut free = subnets.iter().flat_map(Ipv4Net::hosts).filter(|ip| !reserved(*ip) && !taken.contains(ip));
    free.next().ok_or_else(none)
}

/// Whether a server may be in one more network.
pub(crate) fn admits(state: &State, server: &Value, network: u64) -> Result<(), Problem> {
    let range = range_of(&state.get(Kind::Network, network)?["ip_range"]);
    if is_attached(server, network) {
        return Err(Problem::new("server_already_attached", "server is already attached to the network"));
    }
    let others: Vec<u64> = list(server, "private_net").filter_map(|own| own["network"].as_u64()).collect();
    if others.len() >= MOST_NETWORKS {
        return Err(Problem::limit("server_networks_limit"));
    }
    let clash = others
        .iter()
        .any(|other| state.get(Kind::Network, *other).is_ok_and(|other| overlap(range_of(&other["ip_range"]), range)));
    if clash {
        Err(Problem::new("networks_overlap", "the network overlaps with another one of the server"))
    } else {
        Ok(())
    }
}

/// Further addresses of a server, which nobody has.
pub(crate) fn aliases(state: &State, network: u64, own: &[Value], body: &Value) -> Result<Vec<Ipv4Addr>, Problem> {
    let record = state.get(Kind::Network, network)?;
    let all = range_of(&record["ip_range"]);
    let taken = taken(state, network);
    let wrong = || Problem::invalid("alias_ips", "must be free addresses of a subnet");
    let mut found = Vec::new();
    for alias in list(body, "alias_ips") {
        let ip: Ipv4Addr = alias.as_str().and_then(|ip| ip.parse().ok()).ok_or_else(wrong)?;
        let inside = list(record, "subnets").any(|subnet| range_of(&subnet["ip_range"]).contains(&ip));
        if !inside || ip == gateway(all) || found.contains(&ip) {
            return Err(wrong());
        }
        if taken.contains(&ip) && !own.contains(alias) {
            return Err(Problem::new("ip_not_available", "IP is not available"));
        }
        found.push(ip);
    }
    Ok(found)
}
