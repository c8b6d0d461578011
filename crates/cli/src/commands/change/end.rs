//! What a run came to, in words beside the answer.

use kubewright_engine::RunReport;
use kubewright_model::event::RunEnd;
use kubewright_model::plan::Ask;
use kubewright_model::rotation::Rotation;

use super::Wish;
use crate::problem::{self, Done};
use crate::screen::{BAD, CARE, paint, remark};

/// What the run came to, in words beside the answer. `again` is the rest of a command that goes on from there.
pub(super) fn ended(report: &RunReport, wish: &Wish<'_>, again: &str) -> Done {
    // A destroy that was cut off is no reason to build what it took away.
    let command = match wish.ask {
        Ask::Destroy => "destroy",
        // It knows from its journal where it was.
        Ask::Rebuild => "rebuild",
        // What is left to start again is asked of the hosts; whom it has drained comes back first.
        Ask::Reboot(_) | Ask::RebootNeeded(_) => return rebooted(report, "reboot", again),
        Ask::UpdateOs(_) => return rebooted(report, "update-os", again),
        Ask::Restore => "restore latest",
        Ask::Rotate(Rotation::Certificates) => "rotate certificates",
        Ask::Rotate(Rotation::SshKeys) => "rotate ssh-keys",
        Ask::Rotate(Rotation::JoinToken) => "rotate join-token",
        Ask::Rotate(Rotation::EncryptionKeys) => "rotate encryption-keys",
        Ask::Rotate(Rotation::ServiceAccountKeys) => "rotate service-account-keys",
        Ask::Backup => "backup",
        _ => "apply",
    };
    // Nor is what was left out on purpose to be done now.
    let chosen: String = wish.only.iter().map(|word| format!(" --only '{word}'")).collect();
    for left in &report.remaining {
        remark!("{} still to be done: {left}", paint(BAD, "✗"));
    }
    for note in problem::words(&report.after) {
        remark!("{note}");
    }
    for why in &report.unheard {
        remark!("{} could not tell {why}", paint(CARE, "!"));
    }
    let goes_on = |words: &str| remark!("→ {words}; `kubewright {command} {again}{chosen}` goes on from there");
    match report.end {
        RunEnd::Complete => Done::Well,
        RunEnd::Interrupted => {
            goes_on("stopped: what was done stays done");
            Done::Interrupted
        }
        RunEnd::Failed => {
            // Whoever is told to run again what is refused each time runs it twice.
            match report.failed.iter().all(|(_, failure)| failure.lasts) {
                true => remark!(
                    "→ what was done stays done, and none of what failed passes by itself: when it is mended, `kubewright \
                     {command} {again}{chosen}` goes on"
                ),
                false => goes_on("what was done stays done, and what needed the failed steps was left out"),
            }
            remark!("→ `kubewright history --run {} {again}` shows the whole run", report.run);
            Done::Unfinished
        }
        RunEnd::NotConverged => {
            let told: Vec<String> =
                report.notes.iter().map(|note| format!("{}: {}", note.subject, note.message)).collect();
            match report.remaining.iter().all(|left| told.contains(left)) {
                true => remark!("→ the plan told of it: mend that first, and plan again"),
                false => remark!("→ this is worth a report: a run that ends well leaves nothing to do"),
            }
            Done::Unfinished
        }
    }
}

/// What a run came to that started hosts again: nothing is left to be made so, and who has not had his turn is named.
fn rebooted(report: &RunReport, command: &str, again: &str) -> Done {
    let done = match report.end {
        RunEnd::Complete => return Done::Well,
        RunEnd::Interrupted => Done::Interrupted,
        RunEnd::Failed | RunEnd::NotConverged => Done::Unfinished,
    };
    remark!("→ `kubewright history --run {} {again}` shows whose turn it was and whose not", report.run);
    remark!(
        "→ whom it drained is drained no more after the next `kubewright {command}` of it, or `kubewright apply {again}`"
    );
    done
}
