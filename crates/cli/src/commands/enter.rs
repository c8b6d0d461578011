//! Getting in: `ssh`, `exec`, `logs`, `images`.

pub(super) mod exec;
pub(super) mod images;
pub(super) mod logs;
pub(super) mod ssh;

use std::collections::BTreeSet;

use kubewright_model::desired::{Desired, DesiredHost};
use kubewright_model::diagnostic::nearest;
use kubewright_model::ids::NodeName;
use kubewright_model::spec::Role;

use crate::problem::{Done, Problem, listed};

/// The hosts that words choose: names of nodes, pools or roles, or `all`. Each comes once, in the order of the spec.
pub(super) fn chosen<'d>(desired: &'d Desired, words: &[String]) -> Result<Vec<&'d DesiredHost>, Problem> {
    let mut names: BTreeSet<&NodeName> = BTreeSet::new();
    for word in words {
        let before = names.len();
        let fits = |host: &&DesiredHost| {
            let machine = host.machine.as_ref().and_then(|name| desired.machine(name));
            let pool = machine.is_some_and(|machine| machine.pool.as_str() == word);
            word == "all" || host.name.as_str() == word || pool || role(desired, host) == *word
        };
        let found: Vec<&NodeName> = nodes(desired).filter(fits).map(|host| &host.name).collect();
        let some = !found.is_empty();
        names.extend(found);
        if !some && names.len() == before {
            return Err(unknown(desired, word));
        }
    }
    Ok(nodes(desired).filter(|host| names.contains(&host.name)).collect())
}

/// The host of this name.
fn host<'d>(desired: &'d Desired, name: &str) -> Result<&'d DesiredHost, Problem> {
    nodes(desired).find(|host| host.name.as_str() == name).ok_or_else(|| unknown(desired, name))
}

/// Nodes, and hosts of load balancers.
fn nodes(desired: &Desired) -> impl Iterator<Item = &DesiredHost> {
    desired.hosts.iter().filter(|host| host.machine.is_some())
}

/// A host's role, as pools have it: a server that is an agent too is a server.
fn role(desired: &Desired, host: &DesiredHost) -> &'static str {
    match desired.members.iter().find(|member| member.name == host.name).map(|member| member.role) {
        None => "loadBalancer",
        Some(Role::Agent) => "agent",
        Some(_) => "server",
    }
}

fn unknown(desired: &Desired, word: &str) -> Problem {
    let mut known: Vec<&str> = nodes(desired).map(|host| host.name.as_str()).collect();
    known.extend(desired.machines.iter().map(|machine| machine.pool.as_str()));
    let mut seen = BTreeSet::new();
    known.retain(|name| seen.insert(*name));
    let problem = Problem::new(Done::Usage, format!("{} has no node and no pool `{word}`", desired.cluster));
    match nearest(word, known.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint(format!("it has {}", listed(&known))),
    }
}
