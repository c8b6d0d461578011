//! What happens at a cloud.

use kubewright_model::cloud::{CloudBody, CloudId, CloudKind, CloudNetwork, ResourceSeen, Stray, StrayKind};
use kubewright_model::desired::HETZNER;
use kubewright_model::ids::{ClusterName, NodeName};
use kubewright_model::net::{Cidr, NumberRange};
use kubewright_model::setting::Setting;
use kubewright_model::spec::providers::{FirewallProtocol, FirewallRule};

use crate::yard::Yard;

pub(super) fn happen(yard: &Yard, words: &[&str]) -> Result<(), String> {
    match words {
        ["type", server_type, "on", name] => super::machine(yard, name, |machine| {
            machine.seen.settings.set(Setting::ServerType((*server_type).into()));
        }),
        ["target", "gone", name, "of", balancer] => {
            at_balancer(yard, balancer, |seen| seen.targets.remove(&NodeName::from(*name)).is_some())
        }
        ["balancer", "type", kind, "of", balancer] => at_balancer(yard, balancer, |seen| {
            seen.settings.balancer_type = (*kind).into();
            true
        }),
        ["balancer", "gone", balancer] => {
            let mut gone = false;
            yard.centre.alter(|state| {
                let all = state.balancers.get_mut(HETZNER);
                gone = all.is_some_and(|all| all.remove(&ClusterName::from(*balancer)).is_some());
            });
            gone.then_some(()).ok_or_else(|| "it is not there".into())
        }
        ["foreign", "network", name] => {
            let network = CloudNetwork { ip_range: cidr("10.0.0.0/8")?, subnets: [].into(), routes: [].into() };
            put(yard, name, CloudBody::Network(network))
        }
        ["foreign", "firewall", name] => put(yard, name, CloudBody::Firewall(Vec::new())),
        ["subnet", range, "in", network] => {
            let range = cidr(range)?;
            at_resource(yard, CloudKind::Network, network, |body| {
                if let CloudBody::Network(network) = body {
                    network.subnets.insert(range, "eu-central".into());
                }
            })
        }
        ["firewall", "open", port, "in", firewall] => {
            let port = port.parse().map_err(|_| "the port is none")?;
            let from = vec![cidr("0.0.0.0/0")?];
            let ports = Some(NumberRange { first: port, last: port });
            at_resource(yard, CloudKind::Firewall, firewall, |body| {
                if let CloudBody::Firewall(rules) = body {
                    rules.push(FirewallRule { protocol: FirewallProtocol::Tcp, ports, from, description: None });
                }
            })
        }
        ["stray", kind, name] => {
            let (kind, made_for) = match *kind {
                "volume" => (StrayKind::Volume, "claim apps/data"),
                _ => (StrayKind::LoadBalancer, "Service apps/web"),
            };
            yard.centre.alter(|state| {
                let all = state.strays.entry(HETZNER.into()).or_default();
                let id = 4_711 + all.len() as u64;
                all.push(Stray { kind, id, name: (*name).into(), made_for: Some(made_for.into()) });
            });
            Ok(())
        }
        _ => Err("no such line; they are described in tests/it/scenarios/world.rs".into()),
    }
}

fn cidr(text: &str) -> Result<Cidr, String> {
    text.parse()
}

fn put(yard: &Yard, name: &str, body: CloudBody) -> Result<(), String> {
    let seen = ResourceSeen { name: name.into(), body, owner: None };
    yard.centre.alter(|state| state.resources.entry(HETZNER.into()).or_default().push(seen));
    Ok(())
}

fn at_resource(yard: &Yard, kind: CloudKind, name: &str, change: impl FnOnce(&mut CloudBody)) -> Result<(), String> {
    let (id, mut found) = (CloudId::new(kind, name), Err("it is not there".to_string()));
    yard.centre.alter(|state| {
        let mut all = state.resources.get_mut(HETZNER).into_iter().flatten();
        if let Some(seen) = all.find(|seen| seen.id() == id) {
            change(&mut seen.body);
            found = Ok(());
        }
    });
    found
}

fn at_balancer(
    yard: &Yard,
    name: &str,
    change: impl FnOnce(&mut kubewright_model::observed::LoadBalancerSeen) -> bool,
) -> Result<(), String> {
    let mut changed = false;
    yard.centre.alter(|state| {
        let all = state.balancers.get_mut(HETZNER);
        changed = all.and_then(|all| all.get_mut(&ClusterName::from(name))).is_some_and(change);
    });
    changed.then_some(()).ok_or_else(|| "it is not there".into())
}
