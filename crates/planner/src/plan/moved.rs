//! Nodes that run somewhere else than the spec has them: at another provider, or at another address.
//!
//! A machine is not moved by making another one of its name: the old one would serve on, out of anybody's sight, or be
//! deleted under what the spec says is there. So such a node leaves where it is first, and that is for people to begin.

use std::collections::BTreeMap;

use kubewright_model::desired::{Body, Desired, DesiredMachine};
use kubewright_model::ids::{NodeName, ProviderName};
use kubewright_model::observed::{ClusterSeen, Observed, Seen};

use super::standing::Refusal;
use crate::diff::machine;

/// Whether the machine is where the spec has it, as far as anybody can tell. `elsewhere`: [`machine::moved`].
pub(super) fn in_its_place(
    machine: &DesiredMachine,
    desired: &Desired,
    observed: &Observed,
    cluster: Option<&ClusterSeen>,
    elsewhere: &BTreeMap<&NodeName, &ProviderName>,
) -> Result<(), Refusal> {
    let name = &machine.name;
    let again = match desired.servers().any(|member| member.name == *name) && desired.servers().count() == 1 {
        true => {
            "take back the change: the only server cannot leave; or add servers first, or `kubewright rebuild`".into()
        }
        false => format!(
            "take {name} out of the spec and apply, so that it leaves there; then put it back. Servers go one after the \
             other"
        ),
    };
    if let Some(provider) = elsewhere.get(name) {
        let message = format!("{provider} has it, and the spec has it at {}: a node does not move", machine.provider);
        let tag = desired.owner.tag();
        let help = match *machine.body {
            Body::Existing => format!("take the tag {tag} off it by hand, if it is the same machine; or {again}"),
            _ => again,
        };
        return Err((message, Some(help)));
    }
    let Some(node) = cluster.and_then(|seen| seen.nodes.get(name)).filter(|node| node.ready) else { return Ok(()) };
    let at = node.address.map(|address| format!(" at {address}")).unwrap_or_default();
    match machine::seen(machine, observed) {
        Seen::Absent => {
            let message = format!("the node answers{at}, and {} has no machine of its name", machine.provider);
            let help = format!("plan again in a minute, if it was just deleted; else {again}");
            Err((message, Some(help)))
        }
        Seen::Present(_) if machine.address.zip(node.address).is_some_and(|(wish, there)| wish != there) => {
            let wish = machine.address.map(|address| address.to_string()).unwrap_or_default();
            Err((format!("the node answers{at} and cannot become {wish} in place"), Some(again)))
        }
        Seen::Present(_) | Seen::Unknown(_) => Ok(()),
    }
}
