//! Machines at their providers.

use kubewright_model::doctor::{Finding, Place};
use kubewright_model::observed::{Power, Seen};

use super::case::Case;

/// One that is not there at all, nobody has made yet: that is a plan's matter.
pub(super) fn off(case: &Case<'_>) -> Vec<Finding> {
    let off = |seen: &Seen<Power>| matches!(seen, Seen::Present(power) if *power != Power::Running);
    let machines = case.evidence.machines.iter().filter(|(_, seen)| off(seen));
    machines
        .map(|(name, seen)| {
            let power = seen.present().map(|power| format!("{power:?}").to_lowercase()).unwrap_or_default();
            Finding::sick(Place { kind: "machine".into(), ..Place::host(name) }, "it does not run")
                .shown([format!("its provider says: {power}")])
                .applied([name.as_str()])
        })
        .collect()
}
