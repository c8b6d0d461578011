//! `kubewright status`: what is there.

use kubewright_model::desired::{Desired, DesiredMachine, DesiredMember};
use kubewright_model::observed::{Observed, Power, Seen};

use super::print_json_of;
use crate::arguments::{Arguments, Look, Output};
use crate::problem::{Done, Problem};
use crate::source::{self, Reading};
use crate::view::{self, certificates};
use crate::world::{Site, now};

pub(super) fn status(arguments: &Arguments, look: &Look) -> Result<Done, Problem> {
    let loadout = source::read(&look.file, Reading::of(arguments, look.output))?;
    let desired = &loadout.desired;
    let (observed, newest) = Site::look(arguments, &look.file, desired, async |site| {
        let observed = site.engine.status(desired).await;
        // A program is told of the world alone.
        let newest = match look.output {
            Output::Text => super::backup::newest(arguments, &loadout, site).await,
            Output::Json => None,
        };
        Ok((observed, newest))
    })?;
    match look.output {
        Output::Text => {
            view::status::show(desired, &observed);
            newest.iter().for_each(|newest| view::status::bundles(newest.told()));
        }
        Output::Json => print_json_of(arguments.simulated.is_some(), &observed)?,
    }
    Ok(if healthy(desired, &observed) { Done::Well } else { Done::Unhealthy })
}

/// Whether everything that the spec wants is there, answers, and is Ready.
fn healthy(desired: &Desired, observed: &Observed) -> bool {
    let Some(Seen::Present(cluster)) = &observed.cluster else { return false };
    let ready = |member: &DesiredMember| cluster.nodes.get(&member.name).is_some_and(|node| node.ready);
    let runs = |machine: &DesiredMachine| {
        let inventory = observed.providers.get(&machine.provider).and_then(Seen::present);
        let seen = inventory.and_then(|inventory| inventory.machines.get(&machine.name));
        let answers = matches!(observed.hosts.get(&machine.name), Some(Seen::Present(_)));
        seen.is_some_and(|seen| seen.power == Power::Running) && answers
    };
    !certificates::expired(observed, now())
        && desired.machines.iter().all(runs)
        && desired.members.iter().all(ready)
        && cluster.members.values().all(|member| member.healthy)
}
