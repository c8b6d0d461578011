//! Nobody is locked out when another SSH key takes the place of one, and none is kept that nobody knows of.

use std::sync::Arc;

use kubewright_model::desired::{Desired, DesiredHost};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Action, Plan, Step, Violation};
use kubewright_model::rotation::KeyPart;

use super::{Index, ancestors, index, violation};

const RULE: &str = "nobody is locked out";

pub(super) fn check(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    let steps = index(plan);
    for step in &plan.steps {
        let Action::RotateKey { file, part } = &step.action else { continue };
        let lacks = |done: fn(&KeyPart, &NodeName) -> bool| {
            let mut hosts = let_in_by(desired, observed, file);
            hosts.find(|host| !is_done_before(&steps, step, file, |part| done(part, &host.name)))
        };
        let outlived = observed.keys.get(&**file).and_then(Seen::present).is_some_and(|seen| seen.outlived().is_some());
        match part {
            KeyPart::TakeOver => {
                if let Some(host) = lacks(|part, name| matches!(part, KeyPart::Bring { host, .. } if host == name)) {
                    let message = format!("{} lets the key {file} in, and has not got the new one", host.name);
                    found.push(violation(RULE, step, message));
                }
            }
            KeyPart::Withdraw { .. } => {
                if !outlived && !is_done_before(&steps, step, file, |part| *part == KeyPart::TakeOver) {
                    found.push(violation(RULE, step, format!("no other key has taken the place of {file}")));
                }
            }
            KeyPart::Drop => {
                if let Some(host) = lacks(|part, name| matches!(part, KeyPart::Withdraw { host, .. } if host == name)) {
                    let message = format!("{} may let the old key of {file} in", host.name);
                    found.push(violation("no key is forgotten", step, message));
                }
            }
            KeyPart::Make | KeyPart::Bring { .. } => {}
        }
    }
}

/// Hosts that are there and are reached by a key.
fn let_in_by<'d>(
    desired: &'d Desired,
    observed: &'d Observed,
    file: &'d Arc<str>,
) -> impl Iterator<Item = &'d DesiredHost> {
    let hosts =
        desired.hosts.iter().filter(|host| host.way.key_file.as_ref() == Some(file) && host.way.talos.is_none());
    hosts.filter(|host| matches!(observed.hosts.get(&host.name), Some(Seen::Present(_) | Seen::Unknown(_))))
}

/// Whether a part of the same key's rotation comes before a step in any case.
fn is_done_before(steps: &Index<'_>, step: &Step, file: &Arc<str>, is_it: impl Fn(&KeyPart) -> bool) -> bool {
    ancestors(steps, step).into_iter().filter_map(|id| steps.get(id)).any(|before| match &before.action {
        Action::RotateKey { file: other, part } => other == file && is_it(part),
        _ => false,
    })
}
