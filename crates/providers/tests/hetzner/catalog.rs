//! What everybody can have: locations, types and their prices, images, ISOs. The numbers are those of this fake; the
//! names, sizes and limits are the vendor's (<https://www.hetzner.com/cloud>, <https://docs.hetzner.com/cloud>).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::era::Era;

/// Name, data centre, town, country, network zone, latitude, longitude.
const LOCATIONS: [(&str, &str, &str, &str, &str, f64, f64); 6] = [
    ("fsn1", "fsn1-dc14", "Falkenstein", "DE", "eu-central", 50.476119, 12.370071),
    ("nbg1", "nbg1-dc3", "Nuremberg", "DE", "eu-central", 49.452102, 11.076665),
    ("hel1", "hel1-dc2", "Helsinki", "FI", "eu-central", 60.169855, 24.938379),
    ("ash", "ash-dc1", "Ashburn, VA", "US", "us-east", 39.045821, -77.487073),
    ("hil", "hil-dc1", "Hillsboro, OR", "US", "us-west", 45.54222, -122.951924),
    ("sin", "sin-dc1", "Singapore", "SG", "ap-southeast", 1.283333, 103.833333),
];
const EUROPE: &[&str] = &["fsn1", "nbg1", "hel1"];
const EVERYWHERE: &[&str] = &["fsn1", "nbg1", "hel1", "ash", "hil", "sin"];

/// Name, cores, memory, disk, architecture, kind of processor, euros a month, and where it is to be had.
type ServerType = (&'static str, u64, f64, u64, &'static str, &'static str, f64, &'static [&'static str]);
const SERVER_TYPES: [ServerType; 16] = [
    ("cx22", 2, 4.0, 40, "x86", "shared", 3.29, EUROPE),
    ("cx23", 2, 4.0, 40, "x86", "shared", 2.99, EUROPE),
    ("cx33", 4, 8.0, 80, "x86", "shared", 4.99, EUROPE),
    ("cx43", 8, 16.0, 160, "x86", "shared", 8.99, EUROPE),
    ("cx53", 16, 32.0, 320, "x86", "shared", 16.99, EUROPE),
    ("cpx11", 2, 2.0, 40, "x86", "shared", 4.99, &["ash", "hil", "sin"]),
    ("cpx21", 3, 4.0, 80, "x86", "shared", 9.49, &["ash", "hil", "sin"]),
    ("cpx22", 2, 4.0, 80, "x86", "shared", 5.99, EUROPE),
    ("cpx32", 4, 8.0, 160, "x86", "shared", 10.49, EUROPE),
    ("cax11", 2, 4.0, 40, "arm", "shared", 3.29, EUROPE),
    ("cax21", 4, 8.0, 80, "arm", "shared", 5.99, EUROPE),
    ("cax31", 8, 16.0, 160, "arm", "shared", 11.99, EUROPE),
    ("cax41", 16, 32.0, 320, "arm", "shared", 23.99, EUROPE),
    ("ccx13", 2, 8.0, 80, "x86", "dedicated", 11.99, EVERYWHERE),
    ("ccx23", 4, 16.0, 160, "x86", "dedicated", 23.99, EVERYWHERE),
    ("ccx33", 8, 32.0, 240, "x86", "dedicated", 47.99, EVERYWHERE),
];
/// A type that is not to be had any more.
const DEPRECATED: &str = "cx22";

/// Name, connections, services, targets, certificates, euros a month.
const LOAD_BALANCER_TYPES: [(&str, u64, u64, u64, u64, f64); 3] =
    [("lb11", 10_000, 5, 25, 10, 5.39), ("lb21", 20_000, 15, 75, 25, 16.40), ("lb31", 40_000, 30, 150, 50, 32.90)];

/// Name, flavour, version.
const IMAGES: [(&str, &str, &str); 6] = [
    ("ubuntu-24.04", "ubuntu", "24.04"),
    ("ubuntu-22.04", "ubuntu", "22.04"),
    ("debian-12", "debian", "12"),
    ("debian-13", "debian", "13"),
    ("rocky-9", "rocky", "9"),
    ("fedora-42", "fedora", "42"),
];

pub(crate) struct Catalog {
    era: Era,
    lists: BTreeMap<&'static str, Vec<Value>>,
    /// Types of servers of which a location has none left.
    pub(crate) sold_out: BTreeSet<(String, String)>,
}

impl Catalog {
    pub(crate) fn new(era: Era) -> Self {
        let locations: Vec<Value> = (1..).zip(LOCATIONS).map(|(id, location)| place(id, location)).collect();
        let server_types: Vec<Value> = (101..).zip(SERVER_TYPES).map(|(id, kind)| server_type(id, kind)).collect();
        let balancers = (1..).zip(LOAD_BALANCER_TYPES).map(|(id, kind)| load_balancer_type(id, kind)).collect();
        let isos = vec![json!({
            "id": 26_843, "name": "debian-12.5.0-amd64-netinst.iso", "description": "Debian 12.5 (amd64/netinstall)",
            "type": "public", "architecture": "x86", "deprecation": null,
        })];
        let lists = BTreeMap::from([
            ("locations", locations),
            ("server_types", server_types),
            ("load_balancer_types", balancers),
            ("isos", isos),
        ]);
        Self { era, lists, sold_out: BTreeSet::new() }
    }

    pub(crate) fn of(&self, name: &str) -> Vec<Value> {
        match name {
            "datacenters" => {
                let places = self.lists["locations"].iter().zip(LOCATIONS);
                places.map(|(place, (_, name, ..))| self.datacenter(name, place)).collect()
            }
            "server_types" if self.era == Era::Today => {
                let mut all = self.lists["server_types"].clone();
                all.iter_mut().for_each(|kind| self.tell_stock(kind));
                all
            }
            name => self.lists.get(name).cloned().unwrap_or_default(),
        }
    }

    /// Where a type is to be had just now.
    fn tell_stock(&self, kind: &mut Value) {
        let whole = kind.clone();
        for place in kind["locations"].as_array_mut().into_iter().flatten() {
            let available = !self.is_sold_out(&whole, place);
            place["available"] = json!(available);
            place["recommended"] = json!(available && whole["cpu_type"] == "shared");
        }
    }

    /// By number or by name.
    pub(crate) fn find(&self, name: &str, wanted: &str) -> Option<Value> {
        let is = |entry: &&Value| entry["name"] == wanted || has_id(entry, wanted);
        let Some(list) = self.lists.get(name) else { return self.of(name).iter().find(is).cloned() };
        let mut found = list.iter().find(is)?.clone();
        if name == "server_types" && self.era == Era::Today {
            self.tell_stock(&mut found);
        }
        Some(found)
    }

    /// What a record names; it is there.
    pub(crate) fn known(&self, name: &str, wanted: &Value) -> Value {
        self.find(name, wanted.as_str().unwrap_or_default()).unwrap_or_default()
    }

    pub(crate) fn change(&mut self, name: &str, entry: &str, change: impl FnOnce(&mut Value)) {
        let found = self.lists.get_mut(name).and_then(|list| list.iter_mut().find(|own| own["name"] == entry));
        change(found.expect("the catalogue has it"));
    }

    pub(crate) fn datacenter_of(&self, location: &Value) -> Value {
        let at = LOCATIONS.iter().position(|own| location["name"] == own.0).unwrap_or_default();
        self.datacenter(LOCATIONS[at].1, location)
    }

    fn datacenter(&self, name: &str, location: &Value) -> Value {
        let here = |kind: &&Value| list_has(&kind["locations"], location);
        let all = &self.lists["server_types"];
        let supported: Vec<&Value> = all.iter().filter(here).map(|kind| &kind["id"]).collect();
        let left = |kind: &&Value| !self.is_sold_out(kind, location);
        let available: Vec<&Value> = all.iter().filter(here).filter(left).map(|kind| &kind["id"]).collect();
        json!({
            "id": location["id"].as_u64().unwrap_or_default() + 10,
            "name": name,
            "description": format!("{} virtual DC {name}", location["city"].as_str().unwrap_or_default()),
            "location": location,
            "server_types": {
                "supported": supported, "available": available, "available_for_migration": available,
            },
        })
    }

    pub(crate) fn is_sold_out(&self, kind: &Value, location: &Value) -> bool {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_string();
        is_deprecated(kind, location) || self.sold_out.contains(&(word(&kind["name"]), word(&location["name"])))
    }

    pub(crate) fn pricing(&self) -> Value {
        let of = |name: &str| -> Vec<Value> {
            let entry = |kind: &Value| json!({"id": kind["id"], "name": kind["name"], "prices": kind["prices"]});
            self.lists[name].iter().map(entry).collect()
        };
        let each = |monthly: f64| -> Vec<Value> {
            LOCATIONS.iter().map(|place| {
                json!({"location": place.0, "price_hourly": price(monthly / 624.0), "price_monthly": price(monthly)})
            }).collect()
        };
        let single = |monthly: f64| -> Vec<Value> {
            let one = |place: &(&str, _, _, _, _, _, _)| json!({"location": place.0, "price_monthly": price(monthly)});
            LOCATIONS.iter().map(one).collect()
        };
        json!({"pricing": {
            "currency": "EUR",
            "vat_rate": "19.00",
            "image": {"price_per_gb_month": price(0.0110)},
            "volume": {"price_per_gb_month": price(0.0440)},
            "server_backup": {"percentage": "20.0000000000"},
            "floating_ip": {"price_monthly": price(3.0)},
            "floating_ips": [{"type": "ipv4", "prices": single(3.0)}, {"type": "ipv6", "prices": single(1.0)}],
            "primary_ips": [{"type": "ipv4", "prices": each(0.5)}, {"type": "ipv6", "prices": each(0.0)}],
            "server_types": of("server_types"),
            "load_balancer_types": of("load_balancer_types"),
        }})
    }
}

fn list_has(locations: &Value, location: &Value) -> bool {
    locations.as_array().into_iter().flatten().any(|own| own["name"] == location["name"])
}

pub(crate) fn has_id(entry: &Value, text: &str) -> bool {
    entry["id"].as_u64().is_some_and(|id| text.parse() == Ok(id))
}

/// Whether a type is offered at a location at all.
pub(crate) fn is_offered(kind: &Value, location: &Value) -> bool {
    list_has(&kind["locations"], location)
}

/// Whether its time is over there.
pub(crate) fn is_deprecated(kind: &Value, location: &Value) -> bool {
    let here = kind["locations"].as_array().into_iter().flatten().find(|own| own["name"] == location["name"]);
    let over = here.and_then(|own| own["deprecation"]["unavailable_after"].as_str());
    over.is_some_and(|over| over < super::state::now().as_str())
}

fn place(
    id: u64,
    (name, _, city, country, zone, latitude, longitude): (&str, &str, &str, &str, &str, f64, f64),
) -> Value {
    json!({
        "id": id, "name": name, "description": format!("{city} DC Park 1"), "country": country, "city": city,
        "latitude": latitude, "longitude": longitude, "network_zone": zone,
    })
}

fn price(net: f64) -> Value {
    json!({"net": format!("{net:.10}"), "gross": format!("{:.16}", net * 1.19)})
}

fn prices(monthly: f64, places: &[&str]) -> Vec<Value> {
    let at = |place: &&str| {
        json!({
            "location": place, "price_hourly": price(monthly / 624.0), "price_monthly": price(monthly),
            "included_traffic": 21_990_232_555_520_u64, "price_per_tb_traffic": price(1.0),
        })
    };
    places.iter().map(at).collect()
}

fn server_type(id: u64, (name, cores, memory, disk, architecture, cpu, monthly, places): ServerType) -> Value {
    let over = json!({"announced": "2025-10-15T00:00:00Z", "unavailable_after": "2025-12-31T00:00:00Z"});
    let over = if name == DEPRECATED { over } else { Value::Null };
    let number = |place: &str| LOCATIONS.iter().position(|own| own.0 == place).unwrap() + 1;
    let locations: Vec<Value> =
        places.iter().map(|place| json!({"id": number(place), "name": place, "deprecation": over})).collect();
    json!({
        "id": id, "name": name, "description": name.to_uppercase(), "cores": cores, "memory": memory, "disk": disk,
        "deprecated": !over.is_null(), "deprecation": over, "prices": prices(monthly, places),
        "storage_type": "local", "cpu_type": cpu, "architecture": architecture, "locations": locations,
        "category": if cpu == "dedicated" { "General Purpose" } else { "Cost-Optimized" },
    })
}

fn load_balancer_type(id: u64, of: (&str, u64, u64, u64, u64, f64)) -> Value {
    let (name, connections, services, targets, certificates, monthly) = of;
    json!({
        "id": id, "name": name, "description": name.to_uppercase(), "max_connections": connections,
        "max_services": services, "max_targets": targets, "max_assigned_certificates": certificates,
        "deprecated": null, "prices": prices(monthly, EVERYWHERE),
    })
}

/// The vendor's images, for both architectures.
pub(crate) fn system_images() -> impl Iterator<Item = Value> {
    let both = IMAGES.into_iter().flat_map(|image| [(image, "x86"), (image, "arm")]);
    (161_547_000..).zip(both).map(|(id, ((name, flavour, version), architecture))| {
        json!({
            "id": id, "type": "system", "status": "available", "name": name,
            "description": format!("{flavour} {version}"), "image_size": null, "disk_size": 5,
            "created": "2025-04-25T13:00:00Z", "created_from": null, "bound_to": null, "os_flavor": flavour,
            "os_version": version, "rapid_deploy": true, "protection": {"delete": false}, "deprecated": null,
            "deleted": null, "labels": {}, "architecture": architecture,
        })
    })
}
