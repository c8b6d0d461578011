//! Load balancers on hosts: before the API, nobody who lives is taken out of one before it has left.

use kubewright_model::desired::Desired;
use kubewright_model::host::HostResource;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Action, Ask, Plan, Step, Violation};
use kubewright_model::spec::kubernetes::API_PORT;

use super::{ancestors, index, violation};
use crate::haproxy;

/// Proves that what stands before the API has somebody behind it all the time.
pub(super) fn check(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    let Some(cluster) = observed.cluster.as_ref().and_then(Seen::present) else { return };
    if plan.is_blocked() || !matches!(plan.ask, Ask::Apply | Ask::Replace(_)) {
        return;
    }
    let steps = index(plan);
    let lives = |step: &&Step| match &step.action {
        Action::ForgetMember(name) => {
            cluster.nodes.get(name).is_some_and(|node| node.ready && node.server && node.address.is_some())
        }
        _ => false,
    };
    let leaving: Vec<&Step> = plan.steps.iter().filter(lives).collect();
    for step in &plan.steps {
        let Some(file) = file_before_the_api(step, desired) else { continue };
        let before = ancestors(&steps, step);
        let gone = |forget: &Step| before.contains(&forget.id);
        for forget in leaving.iter().filter(|forget| !gone(forget)) {
            let Some(name) = forget.subject.node() else { continue };
            if !file.contains(&format!("    server {name} ")) {
                let message = format!("{name} is not behind it any more and has not left yet");
                found.push(violation("a balancer sends to who lives", step, message));
            }
        }
    }
}

/// HAProxy's file that a step writes, where it is one before the API.
fn file_before_the_api(step: &Step, desired: &Desired) -> Option<String> {
    let Action::ChangeHost(change) = &step.action else { return None };
    let proxy = desired.proxies.iter().find(|proxy| proxy.host == change.host)?;
    let mut listeners = proxy.balancers.iter().flat_map(|balancer| &balancer.spec.listen);
    listeners.any(|listener| listener.to == API_PORT).then_some(())?;
    change.make.iter().find_map(|resource| match resource {
        HostResource::File(file) if file.path == haproxy::CONFIG => Some(file.content.to_string()),
        _ => None,
    })
}
