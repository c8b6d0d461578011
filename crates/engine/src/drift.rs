//! Drift: the world is not as the spec says any more, and what in it ends soon.

use kubewright_model::desired::Desired;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Plan, Weight};
use kubewright_model::spec::notifications::Occasion;
use kubewright_model::units::Moment;
use kubewright_planner::drift::Difference;

pub use kubewright_planner::drift::differences;

use crate::notify::Finding;

/// What keeps anybody from saying whether something differs: a host that does not answer, a token that was revoked.
fn unsure(plan: &Plan) -> Vec<String> {
    let blocks = plan.notes.iter().filter(|note| note.weight == Weight::Blocks);
    blocks.map(|note| format!("{}: {}", note.subject, note.message)).collect()
}

/// What a plan finds. That all is as the spec says is told only by a look that saw all.
pub fn finding(plan: &Plan) -> Finding {
    if plan.is_blocked() {
        let headline = format!("{}: nobody can say whether it is as the spec says", plan.cluster);
        return Finding { headline, ..Finding::new(Occasion::Drift, &plan.cluster, unsure(plan)) };
    }
    let lines: Vec<String> = differences(plan).iter().map(Difference::words).collect();
    let headline = match lines.len() {
        1 => format!("{}: 1 thing differs from the spec", plan.cluster),
        many => format!("{}: {many} things differ from the spec", plan.cluster),
    };
    let fingerprint = plan.fingerprint.clone();
    Finding { headline, fingerprint, ..Finding::new(Occasion::Drift, &plan.cluster, lines) }
}

/// What ends within 30 days, or has ended, and, where it is too old, what is said of the newest bundle. Days left are not told:
/// the same would be told each day.
pub fn expiring(desired: &Desired, observed: &Observed, bundle: Option<String>) -> Finding {
    let mut lines = Vec::new();
    for member in &desired.members {
        let Some(host) = observed.hosts.get(&member.name).and_then(Seen::present) else { continue };
        let Some(at) = host.at else { continue };
        for (place, until) in host.ends_soon() {
            let ends = if until <= at { "has ended" } else { "ends" };
            lines.push(format!("{}: the certificate {place} {ends} on {}", member.name, Moment(until)));
        }
    }
    lines.extend(bundle);
    Finding::new(Occasion::Expiry, &desired.cluster, lines)
}

#[cfg(test)]
mod tests {
    use kubewright_model::change::Subject;
    use kubewright_model::plan::{Ask, Note};

    use super::*;

    fn plan(many: usize) -> Plan {
        let step = |number: usize| {
            serde_json::from_value(serde_json::json!({
                "id": format!("uncordon/n{number}"), "stage": "workers", "subject": { "member": format!("n{number}") },
                "action": { "uncordon": format!("n{number}") }, "fields": [], "reason": "differs", "needs": [], "takes": [],
            }))
            .unwrap()
        };
        Plan::new("lab".into(), Ask::Apply, (0..many).map(step).collect(), Vec::new())
    }

    #[test]
    fn the_same_is_told_once_and_its_end_too() {
        let first = finding(&plan(2)).due(None, 100).unwrap();
        let text = &first.message.text;
        assert!(
            !first.message.over && text.starts_with("lab: 2 things differ from the spec\n- uncordon n0: "),
            "{text}"
        );
        let told = first.told(None, Vec::new());
        assert_eq!(finding(&plan(2)).due(told.as_ref(), 200), None, "it is the same");
        let other = finding(&plan(1)).due(told.as_ref(), 300).unwrap();
        let told = other.told(told, Vec::new());
        assert_eq!(told.as_ref().map(|told| told.since), Some(100), "since the first of them");
        let end = finding(&plan(0)).due(told.as_ref(), 400).unwrap();
        assert!(end.message.over && end.message.text.contains("as the spec says again"));
        assert_eq!(end.told(told, Vec::new()), None);
        assert_eq!(finding(&plan(0)).due(None, 500), None, "nothing was told, so nothing has ended");
        let many = finding(&plan(50)).due(None, 1).unwrap();
        assert!(many.message.text.ends_with("- and 10 more: `kubewright plan` shows all"));
    }

    #[test]
    fn who_could_not_be_told_is_tried_again_and_nobody_else() {
        let first = finding(&plan(1)).due(None, 100).unwrap();
        let told = first.told(None, vec![1]);
        let again = finding(&plan(1)).due(told.as_ref(), 200).unwrap();
        assert_eq!((again.to.as_slice(), first.to.as_slice()), ([1].as_slice(), [].as_slice()));
        let told = again.told(told, Vec::new());
        assert_eq!(finding(&plan(1)).due(told.as_ref(), 300), None);
        let end = finding(&plan(0)).due(told.as_ref(), 400).unwrap();
        let told = end.told(told, vec![0]);
        let again = finding(&plan(0)).due(told.as_ref(), 500).unwrap();
        assert_eq!((again.to.as_slice(), again.message.over), ([0].as_slice(), true));
        let other = finding(&plan(1)).due(told.as_ref(), 600).unwrap();
        assert!(!other.message.over && other.to.is_empty(), "it differs again, and all hear it");
        assert_eq!(other.told(told, Vec::new()).map(|told| told.since), Some(600));
    }

    #[test]
    fn what_nobody_can_see_is_told_and_ends_nothing() {
        let mut blind = plan(0);
        blind.notes.push(Note {
            weight: Weight::Blocks,
            subject: Subject::Cluster,
            message: "server-1 does not answer".into(),
            help: None,
            stages: Vec::new(),
        });
        let first = finding(&blind).due(None, 100).unwrap();
        let text = &first.message.text;
        assert!(!first.message.over && text.contains("nobody can say") && text.contains("server-1 does not answer"));
        let told = first.told(None, Vec::new());
        assert_eq!(finding(&blind).due(told.as_ref(), 200), None, "once");
        let end = finding(&plan(0)).due(told.as_ref(), 300).unwrap();
        assert!(end.message.over && end.message.text.contains("as the spec says again"));
    }
}
