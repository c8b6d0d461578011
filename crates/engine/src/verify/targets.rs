//! Targets of load balancers: healthy as their provider says, or as the hosts see them that balance themselves.

use std::collections::BTreeSet;

use futures::future::join_all;
use kubewright_model::checked::{Checked, Part};
use kubewright_model::desired::{DesiredLoadBalancer, ProxyBalancer};
use kubewright_model::ids::{ClusterName, NodeName};
use kubewright_model::net::HostPort;
use kubewright_model::observed::Seen;
use kubewright_model::spec::load_balancers::{HealthCheck, HealthProtocol, Listener};

use super::each_node::{Amiss, Asked, fetch, hint};
use super::sides::Side;
use super::{Eyes, milliseconds, summed, unseen};

/// Where nothing else is said, a web server in health answers with these, as HAProxy and Hetzner take it.
/// <https://docs.haproxy.org/3.0/configuration.html#4.2-option%20httpchk>,
/// <https://docs.hetzner.cloud/reference/cloud#load-balancers>
const WELL: std::ops::Range<u16> = 200..400;

impl Eyes<'_> {
    /// Every target of a load balancer.
    pub(super) async fn targets(&self, name: &ClusterName) -> Checked {
        if let Some(balancer) = self.desired.load_balancers.iter().find(|balancer| balancer.name == *name) {
            return self.of_provider(balancer).await;
        }
        let proxies: Vec<(&NodeName, &ProxyBalancer)> = self
            .desired
            .proxies
            .iter()
            .filter_map(|proxy| Some((&proxy.host, proxy.balancers.iter().find(|balancer| balancer.name == *name)?)))
            .collect();
        match proxies.first() {
            None => unseen(format!("no load balancer is called {name}")),
            Some((_, balancer)) => {
                let hosts: Vec<NodeName> = proxies.iter().map(|(host, _)| (*host).clone()).collect();
                self.of_hosts(balancer, &hosts).await
            }
        }
    }

    /// A provider tells of each target whether it is healthy; why one is not, it does not tell, so that one is asked.
    async fn of_provider(&self, balancer: &DesiredLoadBalancer) -> Checked {
        let (name, provider) = (&balancer.name, &balancer.provider);
        let inventory = match self.providers.get(provider) {
            Some(Seen::Present(inventory)) => inventory,
            Some(Seen::Unknown(why)) => {
                return Checked { hint: why.help.clone(), ..unseen(format!("{provider} cannot be asked: {why}")) };
            }
            Some(Seen::Absent) | None => return unseen(format!("nobody has asked {provider}")),
        };
        let Some(seen) = inventory.load_balancers.get(name) else {
            let hint = Some("`kubewright apply` makes it".to_string());
            return Checked { hint, ..unseen(format!("{provider} has no load balancer {name}")) };
        };
        let sides = match self.sides(&balancer.targets) {
            Ok(sides) => sides,
            Err(why) => return unseen(why),
        };
        let looks = balancer.targets.iter().enumerate().map(async |(place, target)| {
            // What is no server of the provider is named by its address.
            let named = balancer.addresses.get(target).map(|address| NodeName::new(address.to_string()));
            let said = match seen.targets.get(named.as_ref().unwrap_or(target)) {
                Some(true) => return (part(target, self.ports(target, balancer), "healthy"), None),
                Some(false) => format!("{provider} says unhealthy"),
                None => return (Part { holds: false, ..part(target, String::new(), "it is no target") }, None),
            };
            let (cause, hint) = self.cause(&sides, place, target, balancer).await;
            let saw = format!("{said}; {cause}");
            (Part { holds: false, ..part(target, self.ports(target, balancer), &saw) }, hint)
        });
        let (parts, hints): (Vec<Part>, Vec<Option<String>>) = join_all(looks).await.into_iter().unzip();
        let good = |parts: &[Part]| format!("{} targets are healthy", parts.len());
        let otherwise = "`kubewright apply` sets its targets".to_string();
        summed(parts, good, Some(hints.into_iter().flatten().next().unwrap_or(otherwise)))
    }

    /// The addresses at which a target is sent to.
    fn ports(&self, target: &NodeName, balancer: &DesiredLoadBalancer) -> String {
        let address = self.address(target).unwrap_or_default();
        let all =
            ports(&balancer.spec.listen).into_iter().map(|port| HostPort::new(address.as_str(), port).to_string());
        all.collect::<Vec<_>>().join(", ")
    }

    /// What a target answers when it is asked for its health from another node's side, at the first listener for which
    /// it is not well.
    async fn cause(
        &self,
        sides: &[Side<'_>],
        place: usize,
        target: &NodeName,
        balancer: &DesiredLoadBalancer,
    ) -> (String, Option<String>) {
        let Some(address) = self.address(target) else { return ("its address is not known".into(), None) };
        for listener in &balancer.spec.listen {
            if let Err(amiss) = health(sides, place, &address, listener).await {
                return (amiss.saw, amiss.hint);
            }
        }
        let hint = "its firewall may let nodes in, and the load balancer not".to_string();
        ("asked from another node, it answers as it should".into(), Some(hint))
    }

    /// Each host that balances asks each target, on every port that it sends to.
    async fn of_hosts(&self, balancer: &ProxyBalancer, hosts: &[NodeName]) -> Checked {
        let sides = match self.sides(hosts) {
            Ok(sides) => sides,
            Err(why) => return unseen(why),
        };
        let ports = ports(&balancer.spec.listen);
        let looks = balancer.targets.iter().map(async |(node, address)| {
            let places: Vec<HostPort> = ports.iter().map(|port| HostPort::new(address.as_str(), *port)).collect();
            let told = places.iter().map(HostPort::to_string).collect::<Vec<_>>().join(", ");
            let asked = places.iter().flat_map(|at| sides.iter().map(move |side| opens(side, at)));
            let answers = join_all(asked).await;
            let took = answers.iter().filter_map(|answer| answer.as_ref().ok().copied()).max();
            match answers.into_iter().find_map(Result::err) {
                None => (Part { milliseconds: took, ..part(node, told, "it opens") }, None),
                Some(Amiss { saw, hint }) => (Part { holds: false, ..part(node, told, &saw) }, hint),
            }
        });
        let (parts, hints): (Vec<Part>, Vec<Option<String>>) = join_all(looks).await.into_iter().unzip();
        let good = |parts: &[Part]| format!("{} targets are healthy", parts.len());
        summed(parts, good, hints.into_iter().flatten().next())
    }
}

/// The ports of targets that are sent to, each once.
fn ports(listen: &[Listener]) -> BTreeSet<u16> {
    listen.iter().map(|listener| listener.to).collect()
}

/// How long it takes until a port opens, in milliseconds.
async fn opens(side: &Side<'_>, at: &HostPort) -> Result<u64, Amiss> {
    let dialed = side.dial(at).await;
    dialed
        .map(|dialed| milliseconds(dialed.took))
        .map_err(|error| Amiss { saw: format!("asked from {}, {at}: {error}", side.name), hint: error.help() })
}

fn part(target: &NodeName, address: String, saw: &str) -> Part {
    Part { name: target.to_string(), address, holds: true, saw: saw.into(), milliseconds: None }
}

/// Asks a target as its load balancer does.
async fn health(sides: &[Side<'_>], place: usize, address: &str, listener: &Listener) -> Result<(), Amiss> {
    let check = listener.health.clone().unwrap_or(HealthCheck {
        protocol: HealthProtocol::Tcp,
        port: None,
        path: None,
        status: Vec::new(),
        interval: kubewright_model::units::Span::from_secs(15),
    });
    let at = HostPort::new(address, check.port.unwrap_or(listener.to));
    if check.protocol == HealthProtocol::Tcp {
        return match sides.iter().cycle().nth(place + 1) {
            None => Ok(()),
            Some(side) => opens(side, &at).await.map(drop),
        };
    }
    let path = check.path.clone().unwrap_or_else(|| "/".into());
    let scheme = if check.protocol == HealthProtocol::Https { "https" } else { "http" };
    let url = format!("{scheme}://{at}{path}");
    let tls = check.protocol == HealthProtocol::Https;
    let page = fetch(sides, place, &Asked { host: at.to_string(), at, path, tls }).await;
    let page =
        page.map_err(|amiss| Amiss { saw: format!("asked from another node, {url}: {}", amiss.saw), ..amiss })?;
    let well = if check.status.is_empty() { WELL.contains(&page.status) } else { check.status.contains(&page.status) };
    match well {
        true => Ok(()),
        false => {
            let saw = format!("asked from another node, {url} answers {}", page.status);
            Err(Amiss { saw, hint: Some(hint(page.status).into()) })
        }
    }
}
