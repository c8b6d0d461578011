//! Servers of Hetzner Cloud, by the schema of the provider `hetznercloud/hcloud`.
//! <https://registry.terraform.io/providers/hetznercloud/hcloud/latest/docs/resources/server>

use serde_json::Value;

use super::Resource;
use crate::import::hints::Told;
use crate::import::{About, Host, Mark, Reading, Way, address};

/// The API's port, by which the load balancer before it is known.
const API: u64 = 6443;

pub(super) fn read(resources: &[Resource<'_>], reading: &mut Reading) {
    let of = |kind: &'static str| resources.iter().filter(move |resource| resource.kind == kind);
    for server in of("hcloud_server") {
        let Some(name) = server.text("name") else { continue };
        // The address in a private network stands in the server, or in a resource of its own.
        let id = server.text("id").map(str::to_string);
        let joined = of("hcloud_server_network").find(|net| {
            let whose = net.values.get("server_id").map(|id| id.to_string().trim_matches('"').to_string());
            whose.is_some() && whose == id
        });
        let own = server.at("/network").and_then(Value::as_array).into_iter().flatten();
        let private = own.filter_map(|net| address(net.get("ip")?.as_str()?)).next();
        let private = private.or_else(|| address(joined?.text("ip")?));
        let public =
            server.text("ipv4_address").and_then(address).or_else(|| server.text("ipv6_address").and_then(address));
        let labels = server.at("/labels").and_then(Value::as_object).into_iter().flatten();
        let marks = labels.filter_map(|(key, value)| mark(key, value.as_str()?)).collect();
        reading.hosts.push(Host {
            spot: server.spot,
            name: name.to_string(),
            address: private.or(public),
            marks,
            way: Way::default(),
            os: server.text("image").map(str::to_string),
            tainted: false,
            about: Some(About { kind: kind(server), vmid: None, public: private.and(public) }),
        });
    }
    let mut nets = of("hcloud_network_subnet").chain(of("hcloud_network"));
    if let Some((net, cidr)) = nets.find_map(|net| Some((net, net.text("ip_range")?.parse().ok()?)))
        && reading.hints.cidr.is_none()
    {
        reading.hints.cidr = Told::by(format!("`{}`", net.address), cidr);
    }
    balancer(resources, reading);
    let others =
        ["hcloud_firewall", "hcloud_network", "hcloud_load_balancer", "hcloud_placement_group", "hcloud_ssh_key"];
    let kept: Vec<&str> =
        resources.iter().filter(|resource| others.contains(&resource.kind)).map(|resource| resource.address).collect();
    if !kept.is_empty() {
        reading.hints.remark(format!("Stays as Terraform has made it: {}.", kept.join(", ")));
    }
}

/// A label that says what a server is for: by its value, or by its key alone.
fn mark(key: &str, value: &str) -> Option<Mark> {
    let word = key.rsplit('/').next().unwrap_or(key);
    match (word, value) {
        (word, "" | "true") => Some(Mark::Group(word.to_string())),
        ("role" | "type" | "group" | "pool" | "nodepool" | "node-role" | "node_role", value) => {
            Some(Mark::Group(value.to_string()))
        }
        _ => None,
    }
}

fn kind(server: &Resource<'_>) -> String {
    let place = server.text("location").or_else(|| server.text("datacenter"));
    let parts = [server.text("server_type").map(str::to_string), place.map(|place| format!("in {place}"))];
    format!("{}, {}", server.kind, parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
}

/// The load balancer before the API: its private address, or its public one.
fn balancer(resources: &[Resource<'_>], reading: &mut Reading) {
    let of = |kind: &'static str| resources.iter().filter(move |resource| resource.kind == kind);
    let id = |resource: &Resource<'_>, field: &str| {
        resource.values.get(field).map(|id| id.to_string().trim_matches('"').to_string())
    };
    let service = of("hcloud_load_balancer_service").find(|service| service.number("listen_port") == Some(API));
    let Some(whose) = service.and_then(|service| id(service, "load_balancer_id")) else { return };
    let Some(balancer) = of("hcloud_load_balancer").find(|balancer| id(balancer, "id").as_ref() == Some(&whose)) else {
        return;
    };
    let inside = of("hcloud_load_balancer_network").find(|net| id(net, "load_balancer_id").as_ref() == Some(&whose));
    let host =
        inside.and_then(|net| net.text("ip")).or_else(|| balancer.text("network_ip")).or_else(|| balancer.text("ipv4"));
    if let Some(host) = host.filter(|_| reading.hints.endpoint.is_none()) {
        reading.hints.endpoint = Told::by(format!("`{}`", balancer.address), host.to_string());
    }
}
