//! Who answers at an address: a machine that has it, and behind it a server or a load balancer that runs.

use std::net::IpAddr;

use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use kubewright_model::source;
use serde_json::Value;

use super::rancher::{Config, Kind};
use super::state::{Machine, State};

/// What servers of K3s and RKE2 apply for a virtual IP.
const KUBE_VIP: &str = "/server/manifests/kubewright-kube-vip.yaml";
/// What the load balancers on hosts of ours read.
pub(super) const HAPROXY: &str = "/etc/haproxy/haproxy.cfg";

/// What somebody looks for at a server.
#[derive(Clone, Copy)]
pub(super) enum Door {
    /// The API.
    Api,
    /// What lets nodes in.
    Registration,
}

impl State {
    /// Why no server answers at an address; nothing when one does. An address that nobody has leads nowhere.
    pub(super) fn reaches(&self, door: Door, at: &HostPort, now: u64) -> Result<(), String> {
        let Some(address) = at.address() else {
            let name = NodeName::new(at.host.as_str());
            return match self.machine(&name) {
                Some(_) => self.host_reaches(&name, door, at.port, now),
                // Where any other name leads is its name server's to know.
                None => self.api(now),
            };
        };
        let of_provider = self.balancers.values().flat_map(|all| all.values());
        let balancer = of_provider.into_iter().find(|it| [it.address, it.private_address].contains(&Some(address)));
        match self.at(address) {
            Some(name) => self.host_reaches(name, door, at.port, now),
            None if self.outside == Some(address) => self.api(now),
            None if self.machines.values().flat_map(|all| all.values()).any(|machine| hands_on(machine, address)) => {
                let holds = |name: &NodeName| self.machine(name).is_some_and(|machine| hands_on(machine, address));
                let serves = |name: &NodeName| self.serves(name, now) && self.listens(name, door) == Some(at.port);
                let servers = self.cluster.nodes.iter().filter(|(_, node)| node.server).map(|(name, _)| name);
                let held = servers.into_iter().any(|name| holds(name) && serves(name));
                if held { Ok(()) } else { Err(format!("no server that serves on port {} holds {address}", at.port)) }
            }
            None => match balancer {
                Some(balancer) if self.leads(balancer, at.port, now) => Ok(()),
                Some(_) => {
                    Err(format!("the load balancer at {address} has no server behind port {} that serves", at.port))
                }
                None => Err(format!("no route to host: nobody has {address}")),
            },
        }
    }

    fn host_reaches(&self, name: &NodeName, door: Door, port: u16, now: u64) -> Result<(), String> {
        if self.cluster.nodes.get(name).is_some_and(|node| node.server) {
            return match self.serves(name, now) && self.listens(name, door) == Some(port) {
                true => Ok(()),
                false => Err(format!("{name} does not serve on port {port}")),
            };
        }
        let refused = || format!("connection refused: nothing listens on port {port} of {name}");
        let machine =
            self.machine(name).filter(|it| it.answers(now) && it.runs("haproxy.service")).ok_or_else(refused)?;
        let targets = balanced(machine, port).ok_or_else(refused)?;
        let mut targets = targets.iter().filter_map(|target| target.parse::<HostPort>().ok());
        let serves = targets.any(|target| {
            let server = target.address().and_then(|address| self.at(address)).cloned();
            let server = server.unwrap_or_else(|| NodeName::new(target.host.as_str()));
            self.serves(&server, now) && self.listens(&server, door) == Some(target.port)
        });
        if serves { Ok(()) } else { Err(format!("{name} has no server behind port {port} that serves")) }
    }

    /// Whether this is a host that balances, and no node.
    pub(super) fn is_balancer(&self, name: &NodeName) -> bool {
        !self.cluster.nodes.contains_key(name) && self.machine(name).is_some_and(|it| it.texts.contains_key(HAPROXY))
    }

    /// Why nobody answers at a port of a host that balances; nothing when somebody does: HAProxy itself, or one behind it.
    pub(super) fn balancer_answers(&self, name: &NodeName, port: u16, now: u64) -> Result<(), String> {
        let machine = self.machine(name).filter(|it| it.answers(now) && it.runs("haproxy.service"));
        let machine = machine.ok_or("HAProxy does not run")?;
        let bind = format!("bind :{port}");
        let lines = machine.texts.get(HAPROXY).map(String::as_str).unwrap_or_default().lines();
        if !lines.into_iter().any(|line| line.trim() == bind) {
            return Err(format!("HAProxy does not listen on port {port}"));
        }
        let answers = |target: &String| {
            let at = target.parse::<HostPort>().ok().and_then(|it| it.address());
            at.and_then(|address| self.machine(self.at(address)?)).is_some_and(|it| it.answers(now))
        };
        match balanced(machine, port) {
            Some(targets) if !targets.iter().any(answers) => Err(format!("nobody answers behind port {port}")),
            _ => Ok(()),
        }
    }

    /// The port of a server behind which this is.
    fn listens(&self, name: &NodeName, door: Door) -> Option<u16> {
        let machine = self.machine(name)?;
        if machine.has_talos() {
            return machine.talos_api_port();
        }
        if Kind::on(machine) == Kind::Kubeadm {
            return machine.api_server_port();
        }
        let config = Config::read(machine).ok()?;
        Some(match door {
            Door::Api => config.port(),
            Door::Registration => config.registers_at(),
        })
    }
}

/// Whether a server that runs here would apply a kube-vip that hands this address on.
fn hands_on(machine: &Machine, address: IpAddr) -> bool {
    let manifests = machine.texts.iter().filter(|(path, _)| path.ends_with(KUBE_VIP)).map(|(_, text)| text);
    manifests.flat_map(|text| text.split("---\n")).any(|document| {
        let Ok((document, _)) = source::read(document) else { return false };
        let env = document.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array);
        let address = address.to_string();
        env.into_iter().flatten().any(|it| it["name"] == "address" && it["value"] == address.as_str())
    })
}

/// Where HAProxy on this machine sends to what comes in on a port; nothing when it does not listen there.
fn balanced(machine: &Machine, port: u16) -> Option<Vec<String>> {
    let lines: Vec<&str> = machine.texts.get(HAPROXY)?.lines().collect();
    let bind = format!("bind :{port}");
    let frontend = lines.iter().position(|line| line.trim() == bind)?;
    let backend = lines[frontend..].iter().find_map(|line| line.trim().strip_prefix("default_backend "))?;
    let section = lines.iter().position(|line| line.strip_prefix("backend ") == Some(backend))?;
    let inside = lines[section + 1..].iter().take_while(|line| line.starts_with(' '));
    let servers = inside.filter_map(|line| line.trim().strip_prefix("server ")?.split(' ').nth(1));
    Some(servers.map(String::from).collect())
}
