//! What keeps a cluster up to date: what is behind, and new lists of packages.

use futures::stream::{self, StreamExt as _};
use kubewright_model::behind::Outdated;
use kubewright_model::desired::Desired;
use kubewright_model::ids::NodeName;
use kubewright_model::plan::Ask;

use super::Engine;
use crate::retry::{DEED, retry};

/// Hosts that fetch their lists together: their mirror is the same one, as a rule.
const TOGETHER: usize = 16;

impl Engine {
    /// What is behind. `now` is in seconds since 1970.
    pub async fn outdated(&self, desired: &Desired, now: u64) -> Outdated {
        let (settled, _) = self.settled(desired, &Ask::Apply).await;
        let observed = self.status(&settled).await;
        kubewright_planner::outdated::outdated(&settled, &observed, now)
    }

    /// Has hosts fetch new lists of packages; returns those that could not, and why. Talos has none.
    pub async fn refresh(&self, desired: &Desired, names: &[NodeName]) -> Vec<(NodeName, String)> {
        let hands = match self.hosts(desired).await {
            Ok(hands) => hands,
            Err(why) => return names.iter().map(|name| (name.clone(), why.clone())).collect(),
        };
        let hosts = desired.hosts.iter().filter(|host| names.contains(&host.name) && host.way.talos.is_none());
        let deeds = hosts.map(|host| {
            let hands = &hands;
            async move {
                let refreshed = retry(DEED, || hands.refresh(&host.name, &host.way), |_| {}).await;
                refreshed.err().map(|error| (host.name.clone(), error.to_string()))
            }
        });
        stream::iter(deeds).buffered(TOGETHER).filter_map(async |failed| failed).collect().await
    }
}
