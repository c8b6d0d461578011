//! Who gives addresses to Services of type LoadBalancer in the pretend cluster: MetalLB and Cilium from their pools, in
//! the order in which Services ask, and K3s by the nodes' own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kubewright_model::desired::DesiredRelease;
use kubewright_model::net::{AddressRange, Cidr};
use kubewright_model::object::{Manifest, ObjectKey};
use kubewright_model::observed::ServiceSeen;
use serde_json::{Value, json};

use super::api::chart_name;
use super::state::{Machine, State};

/// With these a Service asks for addresses of its choice. <https://metallb.io/usage/>, and before 0.14 by another name;
/// <https://docs.cilium.io/en/stable/network/lb-ipam/#requesting-ips>
const PINNED: [&str; 4] = [
    "metallb.io/loadBalancerIPs",
    "metallb.universe.tf/loadBalancerIPs",
    "lbipam.cilium.io/ips",
    "io.cilium/lb-ipam-ips",
];
/// With these for a pool of MetalLB's.
const OF_POOL: [&str; 2] = ["metallb.io/address-pool", "metallb.universe.tf/address-pool"];

/// Addresses to give.
struct Pool {
    name: String,
    ranges: Vec<AddressRange>,
    /// Only for those that ask for it.
    asked_only: bool,
}

/// The Service of type LoadBalancer that a chart brings with these values.
pub(super) fn brought(release: &DesiredRelease) -> Option<Manifest> {
    let (values, name, program, ports) = match chart_name(&release.chart) {
        "ingress-nginx" => ("/controller/service", "ingress-nginx-controller", "ingress-nginx", [80, 443]),
        "argo-cd" => ("/server/service", "argocd-server", "argocd-server", [80, 443]),
        _ => return None,
    };
    let values = release.values.pointer(values)?;
    let balanced = values.get("type").and_then(Value::as_str) == Some("LoadBalancer");
    let metadata = json!({ "name": name, "namespace": release.namespace, "annotations": values.get("annotations") });
    let spec = json!({
        "type": "LoadBalancer",
        "ports": ports.map(|port| json!({ "port": port })),
        "loadBalancerIP": values.get("loadBalancerIP"),
        "selector": { "app.kubernetes.io/name": program },
    });
    let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec });
    balanced.then_some(Manifest(service))
}

impl State {
    /// All Services of type LoadBalancer, in the order in which they are told.
    fn balanced(&self) -> BTreeMap<ObjectKey, &Value> {
        let objects = self.cluster.objects.values().map(|kept| &kept.manifest);
        let brought = self.cluster.releases.values().filter_map(|release| release.service.as_ref());
        let services = objects.chain(brought).filter_map(|manifest| {
            let id = manifest.id().ok().filter(|id| id.kind == "Service")?;
            let kind = manifest.0.pointer("/spec/type").and_then(Value::as_str)?;
            let key = ObjectKey { namespace: id.namespace.unwrap_or_else(|| "default".into()), name: id.name };
            (kind == "LoadBalancer").then_some((key, &manifest.0))
        });
        services.collect()
    }

    /// Gives addresses to those that have none, and takes them from those that are gone.
    pub(super) fn give_addresses(&mut self) {
        let pools = self.pools();
        let mut given = std::mem::take(&mut self.cluster.addresses);
        let services = self.balanced();
        given.retain(|key, _| services.contains_key(key));
        let mut taken: BTreeSet<IpAddr> = given.values().flatten().copied().collect();
        // Who asks for an address of its choice is served first: nobody else has it then.
        let (choose, others): (Vec<_>, Vec<_>) = services
            .iter()
            .filter(|(key, _)| !given.contains_key(key))
            .partition(|(_, service)| !pinned(service).is_empty());
        let mut new = BTreeMap::new();
        for (key, service) in choose.into_iter().chain(others) {
            if let Ok(addresses) = self.address(service, &pools, &taken) {
                taken.extend(addresses.iter().filter(|_| !pools.is_empty()));
                new.insert(key.clone(), addresses);
            }
        }
        given.extend(new);
        self.cluster.addresses = given;
    }

    /// The addresses for a Service, or why there are none, as whoever gives them says it.
    fn address(&self, service: &Value, pools: &[Pool], taken: &BTreeSet<IpAddr>) -> Result<Vec<IpAddr>, String> {
        if pools.is_empty() {
            return self.of_nodes();
        }
        let wished = pinned(service);
        if !wished.is_empty() {
            let lies = |address: &IpAddr| pools.iter().flat_map(|pool| &pool.ranges).any(|it| it.contains(*address));
            return match wished.iter().find(|address| !lies(address) || taken.contains(*address)) {
                None => Ok(wished),
                Some(address) if lies(address) => Err(format!("{address} is already in use")),
                Some(address) => Err(format!("[\"{address}\"] is not allowed in config")),
            };
        }
        let of = OF_POOL.iter().find_map(|name| annotation(service, name));
        let fits = |pool: &&Pool| of.map_or(!pool.asked_only, |name| pool.name == name);
        let mut addresses = pools.iter().filter(fits).flat_map(|pool| &pool.ranges).flat_map(AddressRange::iter);
        addresses.find(|address| !taken.contains(address)).map(|it| vec![it]).ok_or_else(|| "no available IPs".into())
    }

    /// K3s gives every such Service the addresses of its nodes, unless it is told not to.
    /// <https://docs.k3s.io/networking/networking-services#service-load-balancer>
    fn of_nodes(&self) -> Result<Vec<IpAddr>, String> {
        let nodes = self.cluster.nodes.iter().filter(|(_, node)| node.unit.starts_with("k3s"));
        let machines: Vec<&Machine> = nodes.filter_map(|(name, _)| self.machine(name)).collect();
        let told_not_to = |text: &String| text.lines().any(|line| line.trim() == "- servicelb");
        let addresses: Vec<IpAddr> = machines.iter().filter_map(|machine| machine.seen.address).collect();
        match addresses.is_empty() || machines.iter().any(|machine| machine.texts.values().any(told_not_to)) {
            true => Err("nobody gives addresses".into()),
            false => Ok(addresses),
        }
    }

    /// The pools of MetalLB and of Cilium.
    fn pools(&self) -> Vec<Pool> {
        let pools = self.cluster.objects.values().filter_map(|kept| {
            let spec = kept.manifest.0.get("spec")?;
            let list = |name: &str| spec.get(name).and_then(Value::as_array).into_iter().flatten();
            let ranges: Vec<AddressRange> = match kept.id.kind.as_str() {
                "IPAddressPool" => list("addresses").filter_map(|it| range(it.as_str()?)).collect(),
                "CiliumLoadBalancerIPPool" => list("blocks").filter_map(block).collect(),
                _ => return None,
            };
            let asked_only = spec.get("autoAssign").and_then(Value::as_bool) == Some(false);
            Some(Pool { name: kept.id.name.to_string(), ranges, asked_only })
        });
        pools.collect()
    }

    /// Services of type LoadBalancer, and their addresses.
    pub(super) fn services_seen(&self) -> BTreeMap<ObjectKey, ServiceSeen> {
        let pools = self.pools();
        let taken: BTreeSet<IpAddr> = self.cluster.addresses.values().flatten().copied().collect();
        let seen = self.balanced().into_iter().map(|(key, service)| {
            let given = self.cluster.addresses.get(&key);
            let ports = service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
            let ports = ports.filter_map(|port| u16::try_from(port.get("port")?.as_u64()?).ok()).collect();
            let why = match given {
                Some(_) => None,
                None => self.address(service, &pools, &taken).err(),
            };
            let program = service.pointer("/spec/selector/app.kubernetes.io~1name").and_then(Value::as_str);
            let addresses = given.into_iter().flatten().map(ToString::to_string).collect();
            (key, ServiceSeen { addresses, ports, program: program.map(String::from), why })
        });
        seen.collect()
    }
}

fn annotation<'v>(service: &'v Value, name: &str) -> Option<&'v str> {
    service.pointer("/metadata/annotations")?.get(name)?.as_str()
}

/// The addresses that a Service asks for.
fn pinned(service: &Value) -> Vec<IpAddr> {
    let field = service.pointer("/spec/loadBalancerIP").and_then(Value::as_str);
    let texts = PINNED.iter().find_map(|name| annotation(service, name)).or(field);
    texts.into_iter().flat_map(|text| text.split(',')).filter_map(|text| text.trim().parse().ok()).collect()
}

fn range(text: &str) -> Option<AddressRange> {
    let cidr = || text.parse::<Cidr>().ok().and_then(|it| AddressRange::new(it.net().network(), it.net().broadcast()));
    text.parse().ok().or_else(cidr)
}

fn block(block: &Value) -> Option<AddressRange> {
    let word = |name: &str| block.get(name).and_then(Value::as_str);
    let start: IpAddr = match word("cidr") {
        Some(cidr) => return range(cidr),
        None => word("start")?.parse().ok()?,
    };
    AddressRange::new(start, word("stop").map_or(Some(start), |stop| stop.parse().ok())?)
}
