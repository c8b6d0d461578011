//! Doctor: everything is looked at once more than a plan needs, and judged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::stream::{self, StreamExt as _};
use kubewright_hosts::{Holes, masked};
use kubewright_model::desired::Desired;
use kubewright_model::doctor::{Diagnosis, Evidence, Lists, Paper, Papers};
use kubewright_model::ids::{HoleName, NodeName};
use kubewright_model::observed::{Inventory, Power, Seen, Why};
use kubewright_model::secret::Secret;

use super::Engine;
use crate::cluster::KUBECONFIG;
use crate::observe::inventories;
use crate::scrub;

/// Hosts that are examined together: each answers with a few hundred kilobytes at the most.
const TOGETHER: usize = 32;
/// A name server that answers does so in milliseconds.
const NAMED: Duration = Duration::from_secs(5);
/// A value that is shorter stands in many a word by chance.
const SHORTEST: usize = 8;

impl Engine {
    /// Looks at everything that checks judge: machines, papers of hosts, lists of the cluster, names. Of hosts only these,
    /// where any are named. Secrets stand as stars in it.
    pub async fn examine(&self, desired: &Desired, only: &BTreeSet<NodeName>) -> Evidence {
        let providers = inventories(&self.world, desired).await;
        let power = |inventory: &Seen<Inventory>, name: &NodeName| match inventory {
            Seen::Present(inventory) => inventory.machines.get(name).map_or(Seen::Absent, |it| Seen::Present(it.power)),
            Seen::Absent => Seen::Absent,
            Seen::Unknown(why) => Seen::Unknown(why.clone()),
        };
        let machines: BTreeMap<NodeName, Seen<Power>> = desired
            .machines
            .iter()
            .filter_map(|it| Some((it.name.clone(), power(providers.get(&it.provider)?, &it.name))))
            .collect();
        let hosts = self.papers(desired, only, &machines).await;
        let mut cluster = match &self.world.cluster {
            Some(hands) => hands.lists(desired).await,
            None => Seen::Unknown(Why::lasting("this version has no hands for clusters")),
        };
        let names = match (&cluster, self.simulated()) {
            (Seen::Present(lists), false) => resolved(lists).await,
            _ => BTreeMap::new(),
        };
        let known = self.known_secrets(desired);
        if let Seen::Present(lists) = &mut cluster {
            lists.items.values_mut().flatten().for_each(scrub::value);
        }
        let now = match self.simulated() {
            true => 0,
            false => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        };
        let hosts = hosts.into_iter().map(|(name, seen)| (name, without_secrets(seen, &known))).collect();
        Evidence { now, hosts, machines, cluster: Some(cluster), names }
    }

    /// What is wrong, judged by every check.
    pub fn diagnose(&self, evidence: &Evidence, desired: &Desired) -> Diagnosis {
        kubewright_planner::doctor::diagnose(evidence, desired)
    }

    async fn papers(
        &self,
        desired: &Desired,
        only: &BTreeSet<NodeName>,
        machines: &BTreeMap<NodeName, Seen<Power>>,
    ) -> BTreeMap<NodeName, Seen<Papers>> {
        let runs = |name: &NodeName| matches!(machines.get(name), Some(Seen::Present(Power::Running)));
        let hosts = desired.hosts.iter().filter(|host| host.machine.as_ref().is_some_and(runs));
        let looks = hosts.filter(|host| only.is_empty() || only.contains(&host.name)).map(|host| async {
            let seen = match &self.world.hosts {
                Some(hands) => hands.examine(&host.name, &host.way).await,
                None => Seen::Unknown(Why::lasting("this version has no hands for hosts")),
            };
            (host.name.clone(), seen)
        });
        stream::iter(looks).buffer_unordered(TOGETHER).collect().await
    }

    /// The secrets of a cluster that have a value by now. None is made or asked for.
    pub(crate) fn known_secrets(&self, desired: &Desired) -> Holes {
        let secrets = self.world.secrets(&*self.store);
        let spec = desired.secrets.keys().filter_map(|name| secrets.kept(desired, name).ok().flatten());
        let kept = [KUBECONFIG, "join-token", "agent-token", "encryption-key", "talos-secrets"];
        let kept = kept.iter().filter_map(|name| self.store.secret(&desired.cluster, name).ok().flatten());
        let values: Vec<String> = spec.chain(kept).flat_map(|secret| parts(secret.expose())).collect();
        let named = |(at, value): (usize, String)| (HoleName::new(format!("secret/known-{at}")), Secret::new(value));
        values.into_iter().enumerate().map(named).collect()
    }
}

/// The parts of a secret that are secret by themselves: of a file with keys, its values and not its words.
fn parts(secret: &str) -> Vec<String> {
    let lines = secret.lines().map(str::trim);
    let values = lines.map(|line| line.rsplit_once(": ").map_or(line, |(_, value)| value).trim_matches(['"', '\'']));
    let single = !secret.trim().contains('\n');
    let long = |value: &&str| value.len() >= SHORTEST || (single && value.len() >= 4);
    // Marks around keys and addresses of servers are everybody's.
    let own = |value: &&str| !value.starts_with("-----") && !value.contains("://") && !value.contains(' ');
    values.filter(|value| long(value) && (single || own(value))).map(str::to_string).collect()
}

fn without_secrets(seen: Seen<Papers>, known: &Holes) -> Seen<Papers> {
    match seen {
        Seen::Present(mut papers) => {
            for paper in papers.papers.values_mut() {
                if let Paper::Text { text, .. } = paper {
                    *text = scrub::text(&masked(text, known));
                }
            }
            Seen::Present(papers)
        }
        other => other,
    }
}

/// What this computer makes of the names of ingresses.
async fn resolved(lists: &Lists) -> BTreeMap<String, Result<Vec<String>, String>> {
    let rules = lists.of("ingresses").iter().filter_map(|ingress| ingress.pointer("/spec/rules")?.as_array()).flatten();
    let names: BTreeSet<String> = rules.filter_map(|rule| rule.get("host")?.as_str().map(str::to_string)).collect();
    let asked = names.into_iter().filter(|name| !name.starts_with('*')).map(|name| async move {
        let answer = match tokio::time::timeout(NAMED, tokio::net::lookup_host((name.as_str(), 80))).await {
            Ok(Ok(found)) => Ok(found.map(|at| at.ip().to_string()).collect()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no name server answers".to_string()),
        };
        (name, answer)
    });
    stream::iter(asked).buffer_unordered(TOGETHER).collect().await
}
