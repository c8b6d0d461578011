//! Proof that the cluster works: every check of the spec, all at once.
//!
//! What the API knows, it is asked for. What only a look from where the cluster stands can prove (back-end services,
//! URLs of nodes, targets of load balancers) is asked from the side of nodes, over the connections that hosts have.

mod diagnosis;
mod each_node;
mod greetings;
mod services;
mod sides;
mod targets;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use kubewright_model::checked::Checked;
pub use kubewright_model::checked::{CheckResult, Part};
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Body, Desired, DesiredCheck};
use kubewright_model::ids::ProviderName;
use kubewright_model::observed::{Inventory, Seen};

use crate::observe::inventories;
use crate::world::World;
pub(crate) use services::inside;

/// What answers, and needs longer than this for it, is told to be slow: who waits for it waits with it.
const SLOW: Duration = Duration::from_secs(1);

/// Who looks, and at what.
struct Eyes<'a> {
    world: &'a World,
    desired: &'a Desired,
    /// What providers have, where one of them is a cloud.
    providers: BTreeMap<ProviderName, Seen<Inventory>>,
}

/// Looks at every check once; one that cannot be looked at does not hold.
pub(crate) async fn verify(world: &World, desired: &Desired) -> Vec<CheckResult> {
    // A cloud knows how its load balancers' targets are, and by which addresses its servers are reached from outside.
    let cloud = desired.machines.iter().any(|machine| matches!(*machine.body, Body::Server(_)));
    let providers = match cloud || !desired.load_balancers.is_empty() {
        true => inventories(world, desired).await,
        false => BTreeMap::new(),
    };
    let eyes = Eyes { world, desired, providers };
    join_all(desired.checks.iter().map(|check| eyes.one(check))).await
}

impl Eyes<'_> {
    async fn one(&self, check: &DesiredCheck) -> CheckResult {
        let began = tokio::time::Instant::now();
        let checked = self.look(&check.condition).await;
        let (name, group, condition) = (check.name.clone(), check.group, check.condition.clone());
        CheckResult { name, group, condition, checked, took: began.elapsed() }
    }

    async fn look(&self, condition: &Condition) -> Checked {
        match condition {
            Condition::Service { at, protocol, from, tls } if inside(at).is_none() => {
                self.service(at, *protocol, *tls, from).await
            }
            Condition::EachNode { url, nodes } => self.each_node(url, nodes).await,
            Condition::Targets(name) => self.targets(name).await,
            of_the_api => match &self.world.cluster {
                None => unseen("this version has no hands for clusters"),
                Some(hands) => hands.check(of_the_api).await.unwrap_or_else(|error| unseen(error.to_string())),
            },
        }
    }
}

/// Nothing could be seen, for this reason.
fn unseen(why: impl Into<String>) -> Checked {
    Checked { saw: why.into(), ..Checked::default() }
}

/// Milliseconds, as people are told.
fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// Of parts, the sum of them: whether all hold, and what the others say.
fn summed(parts: Vec<Part>, good: impl FnOnce(&[Part]) -> String, hint: Option<String>) -> Checked {
    let unwell: Vec<String> =
        parts.iter().filter(|part| !part.holds).map(|part| format!("{}: {}", part.name, part.saw)).collect();
    let holds = unwell.is_empty();
    let slow: Vec<String> = parts.iter().filter_map(slow).collect();
    let saw = match (holds, alike(&parts)) {
        (true, _) => good(&parts),
        (false, Some(same)) if parts.len() > 1 => format!("{same}, from each of {} nodes", parts.len()),
        (false, _) => crate::cluster::few(&unwell),
    };
    let warning = (holds && !slow.is_empty()).then(|| format!("slow: {}", slow.join(", ")));
    Checked { holds, saw, warning, parts, log: Vec::new(), hint: hint.filter(|_| !holds) }
}

fn slow(part: &Part) -> Option<String> {
    let took = part.milliseconds.filter(|took| u128::from(*took) > SLOW.as_millis())?;
    Some(format!("{} needs {took} ms", part.name))
}

/// What all parts say, when they say the same.
fn alike(parts: &[Part]) -> Option<&str> {
    let first = parts.first()?;
    parts.iter().all(|part| part.saw == first.saw).then_some(first.saw.as_str())
}
