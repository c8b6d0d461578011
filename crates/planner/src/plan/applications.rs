//! Argo CD's applications come last: a run that installs what makes them waits for them, and so does one that finds some on
//! their way, or stuck where something is known to help.

use kubewright_model::change::{Reason, Subject};
use kubewright_model::plan::{Action, Stage, Step, Weight};

use super::draft::{Draft, id};
use super::standing::Standings;
use crate::applications::{is_unsettled, judge};

/// The part of the spec that Argo CD is.
const PART: &str = "argocd";

pub(super) fn plan(draft: &mut Draft<'_>, standings: &Standings<'_>) {
    let desired = draft.desired;
    let Some(wish) = &desired.applications else { return };
    let before: Vec<_> = draft.steps.iter().filter(|step| step.part == PART).map(|step| step.id.clone()).collect();
    let seen = standings.cluster_seen().map(|seen| seen.applications.as_slice()).unwrap_or_default();
    let reason = match before.is_empty() {
        false => Reason::Follows("Argo CD installs what Git holds".into()),
        true if is_unsettled(&wish.check, seen) => Reason::Follows("applications are on their way, or stuck".into()),
        true => {
            // Without Argo CD there is a step that installs it; what a person has to see to is told.
            let checked = judge(&wish.check, seen);
            if standings.cluster_seen().is_some() && !checked.holds {
                let help = "a run changes nothing about that: `kubewright verify` tells more";
                draft.note(Weight::Warns, Subject::Cluster, checked.saw, help);
            }
            return;
        }
    };
    let mut needs = draft.api.clone();
    needs.extend(before);
    draft.add(Step {
        id: id("settle", "applications"),
        stage: Stage::Addons,
        subject: Subject::Cluster,
        action: Action::SettleApplications(Box::new(wish.clone())),
        fields: Vec::new(),
        reason,
        needs,
        takes: Vec::new(),
        part: PART.into(),
    });
}
