//! `kubewright status --drift`, and the timer that has it run again and again.

use std::path::Path;

use kubewright_engine::drift::{Notice, Told, differences};
use kubewright_model::desired::Desired;
use kubewright_model::plan::{Ask, Plan};
use serde_json::json;

use super::print_json_of;
use super::timer::Timer;
use crate::arguments::{Arguments, DriftTimer, Look, Output};
use crate::problem::{Done, Problem, words};
use crate::screen::{BAD, CARE, GOOD, paint, remark, say};
use crate::source::{self, Reading};
use crate::world::{Site, now};

/// The file that says what was told last.
const TOLD: &str = "drift.json";

/// Shows what differs, and tells those whom the spec names.
pub(super) fn look(arguments: &Arguments, wish: &Look) -> Result<Done, Problem> {
    let desired = source::read(&wish.file, Reading::for_a_plan(arguments, wish.output))?.desired;
    if wish.notify && desired.drift.is_none() {
        let problem = Problem::new(Done::Usage, "nobody is named who would be told");
        return Err(problem.hint("`maintenance.drift` of the spec names a webhook or an e-mail address"));
    }
    let memory = Site::kept(arguments, &wish.file).join(desired.cluster.as_str()).join(TOLD);
    Site::look(arguments, &wish.file, &desired, async |site| {
        let plan = site.engine.plan(&desired, &Ask::Apply, &[]).await?.plan;
        show(arguments, wish, &plan)?;
        let done = match plan.is_blocked() {
            true => Done::Blocked,
            false if plan.is_empty() => Done::Well,
            false => Done::Pending,
        };
        let heard = if wish.notify { notify(site, &desired, &plan, &memory).await? } else { true };
        Ok(if heard { done } else { Done::Unfinished })
    })
}

fn show(arguments: &Arguments, wish: &Look, plan: &Plan) -> Result<(), Problem> {
    let differences = differences(plan);
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

/// Tells what is due, and remembers who has heard it; returns whether everybody has.
async fn notify(site: &Site<'_>, desired: &Desired, plan: &Plan, memory: &Path) -> Result<bool, Problem> {
    let before: Option<Told> = std::fs::read_to_string(memory).ok().and_then(|text| serde_json::from_str(&text).ok());
    let (Some(drift), Some(notice)) = (&desired.drift, Notice::due(plan, before.as_ref(), now())) else {
        return Ok(true);
    };
    let mut missed = Vec::new();
    if site.engine.simulated() {
        remark!("simulated, nobody is told:\n{}", notice.text);
    } else {
        let told = site.engine.notify(desired, drift, &notice).await;
        for (receiver, heard) in told {
            match heard {
                Ok(who) => remark!("{} told {who}", paint(GOOD, "✓")),
                // Who did not hear it hears it the next time.
                Err(why) => {
                    remark!("{} could not tell {why}", paint(BAD, "✗"));
                    missed.push(receiver);
                }
            }
        }
    }
    let all = missed.is_empty();
    let cannot = |error: std::io::Error| {
        Problem::new(Done::Unfinished, format!("cannot write {}", memory.display())).because(error.to_string())
    };
    match notice.told(before, missed) {
        None => match std::fs::remove_file(memory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(cannot(error)),
            _ => Ok(all),
        },
        Some(told) => {
            let text = serde_json::to_string(&told)
                .map_err(|error| Problem::new(Done::Bug, "it has no JSON form").because(error.to_string()))?;
            let folder = memory.parent().map_or(Ok(()), std::fs::create_dir_all);
            folder.and_then(|()| std::fs::write(memory, text)).map_err(cannot)?;
            Ok(all)
        }
    }
}

/// Prints units of systemd for this user, or puts them in place.
pub(super) fn timer(arguments: &Arguments, wish: &DriftTimer) -> Result<Done, Problem> {
    Timer::has_a_file(&wish.file)?;
    // Keys are needed when it looks, and not to say when.
    let reading = Reading { asks_hosts: false, ..Reading::of(arguments, Output::Text) };
    let desired = source::read(&wish.file, reading)?.desired;
    let Some(drift) = &desired.drift else {
        let problem = Problem::new(Done::Usage, "nobody is named who would be told");
        return Err(problem.hint("`maintenance.drift` of the spec names a webhook or an e-mail address, and how often"));
    };
    let (cluster, every) = (&desired.cluster, drift.every.duration().as_secs());
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
