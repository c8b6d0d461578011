//! The cluster as a picture: where its machines are, what they do, and which way requests go.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::desired::DesiredMachine;
use kubewright_model::ids::NodeName;
use kubewright_model::spec::Role;

use super::facts::{Door, Facts};
use super::overview;
use crate::flowchart::{Flowchart, Shape, Thing};
use crate::words::Words;

/// More machines of one pool in one place are drawn as one box: a picture of a thousand boxes tells nothing.
const BOXES: usize = 6;
/// More host names than this are counted, not listed.
const NAMES: usize = 8;

/// The whole picture.
pub(super) fn flowchart(facts: &Facts<'_>, words: &Words) -> Flowchart {
    let mut picture = Picture { facts, words, chart: Flowchart::default(), things: BTreeMap::new() };
    let people = picture.chart.thing(Shape::Round, &[words.terms.people.into()]);
    picture.places();
    let balancers = picture.balancers();
    picture.api(people, &balancers);
    picture.web(people, &balancers);
    picture.chart
}

struct Picture<'a> {
    facts: &'a Facts<'a>,
    words: &'a Words,
    chart: Flowchart,
    things: BTreeMap<&'a NodeName, Thing>,
}

/// The machines of a place by pool, in the order of the file.
type Pools<'a> = Vec<(&'a str, Vec<&'a DesiredMachine>)>;

/// A load balancer in the picture, and the ports that it listens on.
struct Balancer {
    thing: Thing,
    ports: Vec<u16>,
}

impl<'a> Picture<'a> {
    /// A frame for each place, with its machines in it.
    fn places(&mut self) {
        let mut places: Vec<(String, Pools<'a>)> = Vec::new();
        for machine in &self.facts.desired.machines {
            let place = overview::place(machine, self.words);
            let at = places.iter().position(|(name, _)| *name == place).unwrap_or_else(|| {
                places.push((place, Vec::new()));
                places.len() - 1
            });
            let pools = &mut places[at].1;
            match pools.iter_mut().find(|(pool, _)| *pool == machine.pool.as_str()) {
                Some((_, machines)) => machines.push(machine),
                None => pools.push((machine.pool.as_str(), vec![machine])),
            }
        }
        let Self { facts, words, chart, things } = self;
        for (place, pools) in places {
            chart.frame(&place, |chart| {
                for (pool, machines) in pools {
                    draw(chart, things, facts, words, pool, &machines);
                }
            });
        }
    }

    /// What stands before the cluster: load balancers of a provider, and hosts that run HAProxy.
    fn balancers(&mut self) -> Vec<Balancer> {
        let mut all = Vec::new();
        for balancer in &self.facts.desired.load_balancers {
            let ports: Vec<u16> = balancer.spec.listen.iter().map(|listener| listener.port).collect();
            let lines = balancer.spec.listen.iter().map(|listener| format!("{} → {}", listener.port, listener.to));
            let label: Vec<String> = std::iter::once(balancer.name.to_string()).chain(lines).collect();
            let thing = self.chart.thing(Shape::Gate, &label);
            self.arrows(thing, balancer.targets.iter(), "");
            all.push(Balancer { thing, ports });
        }
        for (host, frontends) in self.facts.haproxies() {
            let Some(thing) = self.things.get(&host.name).copied() else { continue };
            let ports: Vec<u16> = frontends.into_iter().map(|(port, _)| port).collect();
            if ports.contains(&self.facts.desired.kubernetes.endpoint.port) {
                self.servers(thing);
            }
            all.push(Balancer { thing, ports });
        }
        all
    }

    /// The way of `kubectl`: through the load balancers that listen on the API's port, else straight to the servers.
    fn api(&mut self, people: Thing, balancers: &[Balancer]) {
        let endpoint = &self.facts.desired.kubernetes.endpoint;
        let label = [self.words.about.endpoint.to_string(), endpoint.to_string()];
        let api = self.chart.thing(Shape::Gate, &label);
        self.chart.arrow(people, api, "kubectl");
        let before = self.facts.desired.machines.iter().all(|machine| machine.address != endpoint.address())
            || self.facts.haproxies().any(|(host, _)| host.way.address == endpoint.address());
        let mut direct = true;
        for balancer in balancers.iter().filter(|balancer| before && balancer.ports.contains(&endpoint.port)) {
            self.chart.arrow(api, balancer.thing, "");
            direct = false;
        }
        if direct {
            self.servers(api);
        }
    }

    /// The way of a browser: host names, load balancers, the ingress controller, the nodes that do the work.
    fn web(&mut self, people: Thing, balancers: &[Balancer]) {
        let Some(ingress) = &self.facts.ingress else { return };
        let ports = match ingress.door {
            Door::Nodes => ":80 :443".to_string(),
            Door::NodePorts(http, https) => format!(":{http} :{https}"),
            Door::OwnAddress => String::new(),
        };
        let gate = self.chart.thing(Shape::Gate, &[format!("Ingress {}", ingress.name), ports]);
        let names: BTreeSet<&str> = self.facts.routes.iter().map(|route| route.host).collect();
        let mut label: Vec<String> = names.iter().take(NAMES).map(ToString::to_string).collect();
        if names.len() > NAMES {
            label.push(format!("+ {}", names.len() - NAMES));
        }
        let browser = if label.is_empty() { people } else { self.chart.thing(Shape::Round, &label) };
        if browser != people {
            self.chart.arrow(people, browser, "");
        }
        let web: Vec<&Balancer> =
            balancers.iter().filter(|balancer| balancer.ports.iter().any(|port| [80, 443].contains(port))).collect();
        for balancer in &web {
            self.chart.arrow(browser, balancer.thing, "HTTP");
            self.chart.arrow(balancer.thing, gate, "");
        }
        if web.is_empty() {
            self.chart.arrow(browser, gate, "HTTP");
        }
        let workers = self.facts.desired.members.iter().filter(|member| member.role != Role::Server);
        let workers: Vec<&NodeName> = workers.map(|member| &member.name).collect();
        self.arrows(gate, workers.into_iter(), "");
    }

    /// Arrows to the control plane.
    fn servers(&mut self, from: Thing) {
        let facts = self.facts;
        self.arrows(from, facts.desired.servers().map(|member| &member.name), "");
    }

    /// One arrow to each thing that stands for one of these nodes.
    fn arrows<'n>(&mut self, from: Thing, nodes: impl Iterator<Item = &'n NodeName>, label: &str) {
        let mut reached = Vec::new();
        for thing in nodes.filter_map(|node| self.things.get(node).copied()) {
            if !reached.contains(&thing) {
                self.chart.arrow(from, thing, label);
                reached.push(thing);
            }
        }
    }
}

/// The machines of one pool in one place: a box for each, or one for all of them.
fn draw<'a>(
    chart: &mut Flowchart,
    things: &mut BTreeMap<&'a NodeName, Thing>,
    facts: &Facts<'a>,
    words: &Words,
    pool: &str,
    machines: &[&'a DesiredMachine],
) {
    let [first, .., last] = machines else {
        if let [only] = machines {
            things.insert(&only.name, chart.thing(Shape::Box, &label(facts, words, only)));
        }
        return;
    };
    if machines.len() <= BOXES {
        for machine in machines {
            things.insert(&machine.name, chart.thing(Shape::Box, &label(facts, words, machine)));
        }
        return;
    }
    let label = [
        pool.to_string(),
        words.terms.more.replace("{n}", &machines.len().to_string()),
        format!("{} … {}", first.name, last.name),
        facts.role_word(&first.name, words).to_string(),
    ];
    let thing = chart.thing(Shape::Box, &label);
    things.extend(machines.iter().map(|machine| (&machine.name, thing)));
}

fn label(facts: &Facts<'_>, words: &Words, machine: &DesiredMachine) -> [String; 3] {
    let address = machine.address.map(|address| address.to_string()).unwrap_or_default();
    [machine.name.to_string(), address, facts.role_word(&machine.name, words).to_string()]
}
