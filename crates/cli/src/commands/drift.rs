//! `kubewright status --drift`, and the timer that has it run again and again.

use kubewright_engine::Planned;
use kubewright_engine::drift::{differences, expiring, finding};
use kubewright_model::plan::{Ask, Plan};
use kubewright_model::spec::drift::hourly;
use kubewright_model::spec::notifications::Occasion;
use serde_json::json;

use super::backup::newest;
use super::notify::{memory, somebody_hears, tell};
use super::print_json_of;
use super::timer::Timer;
use crate::arguments::{Arguments, DriftTimer, Look, Output};
use crate::problem::{Done, Problem, words};
use crate::screen::{CARE, GOOD, paint, remark, say};
use crate::source::{self, Reading};
use crate::world::Site;

/// What a look can tell of.
const HEARD: [Occasion; 2] = [Occasion::Drift, Occasion::Expiry];

/// Shows what differs, and tells those whom the spec names.
pub(super) fn look(arguments: &Arguments, wish: &Look) -> Result<Done, Problem> {
    let loadout = source::read(&wish.file, Reading::for_a_plan(arguments, wish.output))?;
    let desired = loadout.desired.clone();
    if wish.notify {
        somebody_hears(&desired, &HEARD)?;
    }
    Site::look(arguments, &wish.file, &desired, async |site| {
        let Planned { observed, plan } = site.engine.plan(&desired, &Ask::Apply, &[]).await?;
        show(arguments, wish, &plan)?;
        let done = match plan.is_blocked() {
            true => Done::Blocked,
            false if plan.is_empty() => Done::Well,
            false => Done::Pending,
        };
        let mut heard = true;
        if wish.notify {
            let late = newest(arguments, &loadout, site).await.and_then(|newest| newest.late());
            for finding in [finding(&plan), expiring(&desired, &observed, late)] {
                let memory = memory(arguments, &wish.file, &desired, finding.about);
                heard &= tell(site, &desired, &finding, &memory).await?;
            }
        }
        Ok(if heard { done } else { Done::Unfinished })
    })
}

fn show(arguments: &Arguments, wish: &Look, plan: &Plan) -> Result<(), Problem> {
    let differences: Vec<String> = differences(plan).iter().map(|difference| difference.words()).collect();
    if wish.output == Output::Json {
        let answer = json!({
            "cluster": plan.cluster, "drift": !differences.is_empty(), "differences": differences,
            "fingerprint": plan.fingerprint, "notes": plan.notes,
        });
        return print_json_of(arguments.simulated.is_some(), &answer);
    }
    for note in plan.notes.iter().filter(|note| note.weight > kubewright_model::plan::Weight::Tells) {
        words(std::slice::from_ref(note)).iter().for_each(|line| remark!("{line}"));
    }
    match differences.as_slice() {
        [] if plan.is_blocked() => {}
        [] => say!("{} {} is as the spec says", paint(GOOD, "✓"), plan.cluster),
        lines => lines.iter().for_each(|line| say!("{} {line}", paint(CARE, "~"))),
    }
    Ok(())
}

/// Prints units of systemd for this user, or puts them in place.
pub(super) fn timer(arguments: &Arguments, wish: &DriftTimer) -> Result<Done, Problem> {
    Timer::has_a_file(&wish.file)?;
    // Keys are needed when it looks, and not to say when.
    let reading = Reading { asks_hosts: false, ..Reading::of(arguments, Output::Text) };
    let desired = source::read(&wish.file, reading)?.desired;
    somebody_hears(&desired, &HEARD)?;
    let (cluster, every) = (&desired.cluster, desired.drift.unwrap_or_else(hourly).duration().as_secs());
    let timer = Timer {
        name: format!("kubewright-drift-{cluster}"),
        does: [
            format!("Whether the cluster {cluster} is as its spec says"),
            format!("Looks again and again whether the cluster {cluster} is as its spec says"),
        ],
        file: &wish.file,
        command: "status --drift --notify",
        unit: "",
        // 4 is what it ends with when something differs, which is no failure of the unit.
        service: "SuccessExitStatus=4\n",
        timer: format!("OnActiveSec=2min\nOnUnitActiveSec={every}s\nRandomizedDelaySec=30s\n"),
    };
    timer.show(arguments, wish.install)
}
