//! Whether something is meant: asked on a terminal, and nowhere else.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use kubewright_model::ids::ClusterName;
use kubewright_model::plan::{Action, Ask, Plan};

use crate::problem::{Done, Problem};
use crate::screen::{BAD, CARE, counted, paint};

/// Asks, and hears what a person says.
pub(super) fn answered(question: &str) -> Option<String> {
    let _ = write!(anstream::stderr(), "{question} ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).ok()?;
    Some(answer.trim().to_string())
}

/// Asks whether the plan is meant. Where nobody can answer, nothing is done.
pub(super) fn agreed(cluster: &ClusterName, plan: &Plan) -> Result<(), Problem> {
    let refused = || Problem::new(Done::Blocked, "nobody agreed; nothing was touched");
    if !std::io::stdin().is_terminal() {
        return Err(refused().hint("run it on a terminal, or with `--yes`"));
    }
    // What destroys is agreed to by name, not by a key that is pressed too soon.
    let (question, word) = match plan.ask {
        Ask::Destroy | Ask::Rebuild => {
            let machines = plan.steps.iter().filter(|step| matches!(step.action, Action::DeleteMachine { .. })).count();
            let disks = match machines {
                0 => String::new(),
                many => format!(", {} with all disks", counted(many, "machine")),
            };
            let goes = format!("{} everything of {cluster} goes{disks}.", paint(BAD, "destroys:"));
            (format!("{goes} Its name to go on:"), cluster.as_str())
        }
        Ask::Restore => {
            let goes = format!(
                "{} what {cluster} has learnt since is lost, and it is down meanwhile.",
                paint(BAD, "restores:")
            );
            (format!("{goes} Its name to go on:"), cluster.as_str())
        }
        _ => (format!("{} carry out {}? [y/N]", paint(CARE, "?"), counted(plan.steps.len(), "step")), "y"),
    };
    if answered(&question).is_some_and(|answer| agrees(&answer, word)) { Ok(()) } else { Err(refused()) }
}

/// Asks whether something is meant, on a terminal. Where nobody can answer, nothing is done.
pub(in crate::commands) fn agreed_to(question: &str) -> Result<(), Problem> {
    let refused = || Problem::new(Done::Blocked, "nobody agreed; nothing was touched");
    if !std::io::stdin().is_terminal() {
        return Err(refused().hint("run it on a terminal, or with `--yes`"));
    }
    if answered(question).is_some_and(|answer| agrees(&answer, "y")) { Ok(()) } else { Err(refused()) }
}

/// Whether an answer is the word that was asked for. `y` has many forms, a cluster's name has one.
pub(super) fn agrees(answer: &str, word: &str) -> bool {
    match word {
        "y" => ["y", "yes"].iter().any(|yes| answer.eq_ignore_ascii_case(yes)),
        name => answer == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_has_many_forms_and_a_name_has_one() {
        assert!(["y", "Y", "yes", "YES", "Yes"].iter().all(|answer| agrees(answer, "y")));
        assert!(["", "n", "yess", "ja"].iter().all(|answer| !agrees(answer, "y")));
        assert!(agrees("lab", "lab") && !agrees("LAB", "lab") && !agrees("yes", "lab"));
    }
}
