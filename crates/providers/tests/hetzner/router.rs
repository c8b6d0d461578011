//! Which part answers which request.

use serde_json::{Value, json};

use super::catalog::has_id;
use super::problem::Problem;
use super::state::{Answer, Ask, Kind, State, created, ok};
use super::{
    certificates, firewalls, images, load_balancers, networks, placement_groups, primary_ips, server_actions, servers,
    ssh_keys, volumes,
};

const CATALOG: &[(&str, &str)] = &[
    ("locations", "location"),
    ("datacenters", "datacenter"),
    ("server_types", "server_type"),
    ("load_balancer_types", "load_balancer_type"),
    ("isos", "iso"),
];

pub(crate) fn answer(state: &mut State, ask: &Ask) -> Answer {
    state.settle();
    let path: Vec<&str> = ask.path.split('/').skip(1).collect();
    match (ask.method.as_str(), path.as_slice()) {
        ("GET", ["actions"]) => state.named_actions(ask),
        ("GET", ["actions", action]) => one_action(state, action),
        ("GET", ["pricing"]) => ok(state.catalog.pricing()),
        ("GET", [plural, rest @ ..]) if CATALOG.iter().any(|(own, _)| own == plural) => {
            catalog(state, plural, rest, ask)
        }
        (_, [plural, rest @ ..]) => {
            let kind = Kind::of(plural).ok_or_else(|| Problem::new("not_found", "there is no such path"))?;
            of_kind(state, kind, rest, ask)
        }
        _ => Err(Problem::new("not_found", "there is no such path")),
    }
}

fn catalog(state: &State, plural: &str, rest: &[&str], ask: &Ask) -> Answer {
    let [id] = rest else { return state.list_catalog(plural, ask) };
    let found = state.catalog.of(plural).into_iter().find(|entry| has_id(entry, id));
    let found = found.ok_or_else(|| Problem::new("not_found", format!("{plural} with ID '{id}' not found")))?;
    let singular = CATALOG.iter().find(|(own, _)| *own == plural).unwrap().1;
    ok(json!({ singular: found }))
}

fn one_action(state: &mut State, id: &str) -> Answer {
    let known = id.parse().ok().filter(|id| state.has_action(*id));
    let id = known.ok_or_else(|| Problem::new("not_found", format!("action with ID '{id}' not found")))?;
    state.look_at_action(id);
    ok(json!({"action": state.show_action(id)}))
}

fn of_kind(state: &mut State, kind: Kind, rest: &[&str], ask: &Ask) -> Answer {
    let number = |text: &str| {
        text.parse::<u64>().map_err(|_| Problem::new("not_found", format!("{} '{text}' not found", kind.singular())))
    };
    match (ask.method.as_str(), rest) {
        ("GET", []) => state.list(kind, ask),
        ("POST", []) => create(state, kind, &ask.body),
        ("GET", ["actions"]) => state.list_actions(kind, None, ask),
        ("GET", ["actions", action] | [_, "actions", action]) => one_action(state, action),
        ("GET", [id, "actions"]) => state.list_actions(kind, Some(number(id)?), ask),
        ("GET", [id]) => {
            let id = number(id)?;
            state.get(kind, id)?;
            state.look_at(kind, id);
            state.get(kind, id)?;
            ok(json!({kind.singular(): state.show(kind, id)}))
        }
        ("PUT", [id]) => update(state, kind, number(id)?, &ask.body),
        ("DELETE", [id]) => delete(state, kind, number(id)?),
        ("POST", [id, "actions", word]) => act(state, kind, number(id)?, word, &ask.body),
        _ => Err(Problem::new("method_not_allowed", "there is no such operation")),
    }
}

fn create(state: &mut State, kind: Kind, body: &Value) -> Answer {
    match kind {
        Kind::Server => servers::create(state, body),
        Kind::Network => networks::create(state, body),
        Kind::LoadBalancer => load_balancers::create(state, body),
        Kind::Firewall => firewalls::create(state, body),
        Kind::PlacementGroup => placement_groups::create(state, body),
        Kind::PrimaryIp => primary_ips::create(state, body),
        Kind::SshKey => ssh_keys::create(state, body),
        Kind::Volume => volumes::create(state, body),
        Kind::Certificate => certificates::create(state, body),
        Kind::Image => Err(Problem::new("method_not_allowed", "images are made of servers")),
    }
}

fn update(state: &mut State, kind: Kind, id: u64, body: &Value) -> Answer {
    match kind {
        Kind::Server => servers::update(state, id, body),
        Kind::Network => networks::update(state, id, body),
        Kind::LoadBalancer => load_balancers::update(state, id, body),
        Kind::Firewall => firewalls::update(state, id, body),
        Kind::PlacementGroup => placement_groups::update(state, id, body),
        Kind::PrimaryIp => primary_ips::update(state, id, body),
        Kind::SshKey => ssh_keys::update(state, id, body),
        Kind::Volume => volumes::update(state, id, body),
        Kind::Certificate => certificates::update(state, id, body),
        Kind::Image => images::update(state, id, body),
    }
}

fn delete(state: &mut State, kind: Kind, id: u64) -> Answer {
    match kind {
        Kind::Server => servers::delete(state, id),
        Kind::Network => networks::delete(state, id),
        Kind::LoadBalancer => load_balancers::delete(state, id),
        Kind::Firewall => firewalls::delete(state, id),
        Kind::PlacementGroup => placement_groups::delete(state, id),
        Kind::PrimaryIp => primary_ips::delete(state, id),
        Kind::SshKey => ssh_keys::delete(state, id),
        Kind::Volume => volumes::delete(state, id),
        Kind::Certificate => certificates::delete(state, id),
        Kind::Image => images::delete(state, id),
    }
}

fn act(state: &mut State, kind: Kind, id: u64, word: &str, body: &Value) -> Answer {
    let action = match kind {
        Kind::Server => return server_actions::act(state, id, word, body),
        Kind::Firewall => return firewalls::act(state, id, word, body),
        Kind::Network => networks::act(state, id, word, body)?,
        Kind::LoadBalancer => load_balancers::act(state, id, word, body)?,
        Kind::PrimaryIp => primary_ips::act(state, id, word, body)?,
        Kind::Volume => volumes::act(state, id, word, body)?,
        Kind::Certificate => certificates::act(state, id, word)?,
        Kind::Image => images::act(state, id, word, body)?,
        Kind::PlacementGroup | Kind::SshKey => return Err(Problem::new("not_found", "there is no such action")),
    };
    created(json!({"action": state.show_action(action)}))
}

impl State {
    /// A record as the API shows it.
    pub(crate) fn show(&self, kind: Kind, id: u64) -> Value {
        let mut record = self.records[&(kind, id)].clone();
        match kind {
            Kind::Server => servers::show(self, &mut record),
            Kind::Network => networks::show(self, &mut record),
            Kind::LoadBalancer => load_balancers::show(self, &mut record),
            Kind::Firewall => firewalls::show(self, &mut record),
            Kind::PlacementGroup => placement_groups::show(self, &mut record),
            Kind::PrimaryIp => primary_ips::show(self, &mut record),
            Kind::Volume => volumes::show(self, &mut record),
            Kind::Certificate => certificates::show(self, &mut record),
            Kind::SshKey | Kind::Image => {}
        }
        record.as_object_mut().unwrap().retain(|name, _| !name.starts_with('_'));
        record
    }
}
