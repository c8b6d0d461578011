//! Doctor: everything is looked at once more than a plan needs, and judged.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{self, StreamExt as _};
use kubewright_hosts::{Holes, masked};
use kubewright_model::desired::Desired;
use kubewright_model::doctor::{Diagnosis, Evidence, Lists, Papers, Repair};
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
    /// where any are named. It is as it was seen: words that sound secret are what checks look for, so secrets are taken out of
    /// what leaves, of findings and of the support bundle.
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
        let cluster = match &self.world.cluster {
            Some(hands) => hands.lists(desired).await,
            None => Seen::Unknown(Why::lasting("this version has no hands for clusters")),
        };
        let names = match (&cluster, self.simulated()) {
            (Seen::Present(lists), false) => resolved(lists).await,
            _ => BTreeMap::new(),
        };
        let now = match self.simulated() {
            true => 0,
            false => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        };
        Evidence { now, hosts, machines, cluster: Some(cluster), names }
    }

    /// What is wrong, judged by every check. Secrets stand as stars in it.
    pub fn diagnose(&self, evidence: &Evidence, desired: &Desired) -> Diagnosis {
        let mut diagnosis = kubewright_planner::doctor::diagnose(evidence, desired);
        let known = self.known_secrets(desired);
        let clean = |text: &mut String| *text = scrub::text(&masked(text, &known));
        let findings =
            diagnosis.causes.iter_mut().flat_map(|it| iter::once(&mut it.finding).chain(&mut it.consequences));
        for finding in findings {
            clean(&mut finding.cause);
            finding.evidence.iter_mut().for_each(clean);
            if let Repair::ByHand(words) = &mut finding.repair {
                words.iter_mut().for_each(|word| *word = masked(word, &known));
            }
        }
        diagnosis.unseen.iter_mut().for_each(|it| clean(&mut it.why));
        diagnosis
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
        let spec: Vec<Secret> = spec.collect();
        let kept: Vec<Secret> = kept.collect();
        let whole = spec.iter().chain(&kept).flat_map(|secret| in_other_words(secret.expose()));
        let of_spec = spec.iter().flat_map(|secret| parts(secret.expose()));
        let ours = kept.iter().flat_map(|secret| keys(secret.expose()));
        let values: Vec<String> = of_spec.chain(ours).chain(whole).collect();
        let named = |(at, value): (usize, String)| (HoleName::new(format!("secret/known-{at}")), Secret::new(value));
        values.into_iter().enumerate().map(named).collect()
    }
}

/// A secret as others write it down: as Kubernetes packs it, and in an address.
fn in_other_words(secret: &str) -> Vec<String> {
    let packed = [secret, secret.trim_end()].map(|text| STANDARD.encode(text));
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let sign = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let single = secret.trim();
    let address = (!single.contains('\n') && !single.bytes().all(|byte| plain(&byte)))
        .then(|| single.bytes().map(sign).collect::<String>());
    packed.into_iter().chain(address).filter(|value| value.len() >= SHORTEST).collect()
}

/// What is secret of a file of ours with keys in it: the words of a kubeconfig are everybody's, `kubernetes` among them.
fn keys(secret: &str) -> Vec<String> {
    const SECRET: [&str; 5] = ["-data", "token", "password", "key", "secret"];
    if !secret.trim().contains('\n') {
        return parts(secret);
    }
    let pairs = secret.lines().filter_map(|line| line.trim().trim_start_matches("- ").split_once(": "));
    let secret = pairs.filter(|(key, _)| SECRET.iter().any(|end| key.to_lowercase().ends_with(end)));
    let values = secret.map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_string());
    values.filter(|value| value.len() >= SHORTEST).collect()
}

/// The parts of a secret that are secret by themselves: of a file with keys, its values and not its words.
fn parts(secret: &str) -> Vec<String> {
    let lines = secret.lines().map(str::trim);
    let values = lines.map(|line| line.rsplit_once(": ").map_or(line, |(_, value)| value).trim_matches(['"', '\'']));
    let single = !secret.trim().contains('\n');
    // A short word of letters alone, a user's name, stands in too many others.
    let word = |value: &str| value.chars().all(|c| c.is_ascii_lowercase());
    let long = |value: &&str| value.len() >= SHORTEST || (single && value.len() >= 4 && !word(value));
    // Marks around keys and addresses of servers are everybody's.
    let own = |value: &&str| !value.starts_with("-----") && !value.contains("://") && !value.contains(' ');
    values.filter(|value| long(value) && (single || own(value))).map(str::to_string).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_kubeconfig_are_no_secrets() {
        let text = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: QUFBQUFBQUE=\n    server: https://a:6443\n  \
                    name: kubernetes\nusers:\n- name: kubernetes-admin\n  user:\n    client-key-data: QkJCQkJCQkI=\n";
        assert_eq!(keys(text), ["QUFBQUFBQUE=", "QkJCQkJCQkI="]);
        assert_eq!(keys("K10abcdefgh::server:x"), ["K10abcdefgh::server:x"]);
    }

    #[test]
    fn a_secret_is_known_in_other_words_too() {
        assert!(parts("root").is_empty() && parts("hunter2") == ["hunter2"]);
        let words = in_other_words("p@ss/word\n");
        assert_eq!(words, ["cEBzcy93b3JkCg==", "cEBzcy93b3Jk", "p%40ss%2Fword"]);
        assert_eq!(in_other_words("a: 1\nb: 2\n")[0], STANDARD.encode("a: 1\nb: 2\n"));
    }
}
