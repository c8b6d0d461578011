//! Failures in words: what happened, why, what state things are in now, and what to do. And the exit codes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem::discriminant;
use std::process::ExitCode;

use kubewright_engine::EngineError;
use kubewright_engine::store::StoreError;
use kubewright_model::plan::{Note, Stage, Weight};
use kubewright_model::units::Moment;

use crate::hints;
use crate::screen::{BAD, CARE, DIM, paint, remark};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Done, or nothing to do.
    Well,
    /// A run did not finish.
    Unfinished,
    /// The command line is wrong.
    Usage,
    /// The spec is invalid.
    Invalid,
    /// Something is to be done.
    Pending,
    /// Blocked; nothing was changed.
    Blocked,
    /// Another run holds the lock.
    Busy,
    /// Looked, and not everything is as it should be.
    Unhealthy,
    /// A bug of ours.
    Bug,
    /// Interrupted.
    Interrupted,
}

impl From<Done> for ExitCode {
    fn from(done: Done) -> Self {
        let code = match done {
            Done::Well => 0,
            Done::Unfinished => 1,
            Done::Usage => 2,
            Done::Invalid => 3,
            Done::Pending => 4,
            Done::Blocked => 5,
            Done::Busy => 6,
            Done::Unhealthy => 7,
            Done::Bug => 70,
            Done::Interrupted => 130,
        };
        ExitCode::from(code)
    }
}

/// Something that the user must be told.
#[derive(Debug)]
pub(crate) struct Problem {
    done: Done,
    headline: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Problem {
    /// A problem in one sentence.
    pub(crate) fn new(done: Done, headline: impl Into<String>) -> Self {
        Self { done, headline: headline.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// Adds a cause.
    #[must_use]
    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds what to do, or what state things are in.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What it is and why, in one line.
    pub(crate) fn in_a_line(&self) -> String {
        let words = std::iter::once(&self.headline).chain(&self.causes).filter(|words| !words.is_empty());
        let words: Vec<&str> = words.map(String::as_str).collect();
        if words.is_empty() { "what is wrong was told".into() } else { words.join(": ") }
    }

    /// Nothing was touched.
    pub(crate) fn is_blocked(&self) -> bool {
        self.done == Done::Blocked
    }

    /// Something of the spec has been told already; only the exit code is left.
    pub(crate) fn told(done: Done) -> Self {
        Self::new(done, "")
    }

    /// Tells it.
    pub(crate) fn tell(&self) -> Done {
        if !self.headline.is_empty() {
            remark!("{} {}", paint(BAD, "error:"), self.headline);
        }
        for cause in &self.causes {
            remark!("  {}", hints::runnable(cause).replace('\n', "\n  "));
        }
        for hint in &self.hints {
            remark!("{} {}", paint(DIM, "→"), hints::runnable(hint));
        }
        self.done
    }
}

/// The first of many names.
pub(crate) fn listed(names: &[&str]) -> String {
    let more = if names.len() > 10 { ", …" } else { "" };
    format!("{}{more}", names.iter().take(10).copied().collect::<Vec<_>>().join(", "))
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(StoreError::Busy { cluster, holder }) => {
                let since = Moment(holder.since);
                Self::new(Done::Busy, format!("another run works on {cluster}"))
                    .because(format!(
                        "{} (process {}) holds the lock since {since}: {}",
                        holder.who, holder.pid, holder.what
                    ))
                    .hint("nothing was touched; wait for it to end, then run again")
            }
            EngineError::Store(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                let problem = Self::new(Done::Unfinished, error.to_string());
                let problem = source.into_iter().fold(problem, Problem::because);
                problem.hint("nothing more was begun; run again when this is mended, and it goes on from there")
            }
            EngineError::Blocked(notes) => {
                let blocking = notes.iter().filter(|note| note.weight == Weight::Blocks);
                let problem = Self::new(Done::Blocked, "the plan is blocked; nothing was touched");
                words(blocking).into_iter().fold(problem, Problem::because)
            }
            EngineError::Changed { gone, new } => {
                let problem =
                    Self::new(Done::Blocked, "the world has changed since the plan was made; nothing was touched");
                let problem = gone.iter().fold(problem, |problem, step| problem.because(format!("- {step}")));
                let problem = new.iter().fold(problem, |problem, step| problem.because(format!("+ {step}")));
                problem.hint("plan again, look at the difference, and apply the new plan")
            }
            EngineError::Stopped => {
                Self::new(Done::Interrupted, "stopped before anything was begun; nothing was touched")
            }
            EngineError::Words { ref unknown, ref nodes } => {
                let stages: Vec<&str> = Stage::ALL.iter().map(|stage| stage.word()).collect();
                let nodes: Vec<&str> = nodes.iter().map(|node| node.as_str()).collect();
                let (stages, nodes) = (stages.join(", "), listed(&nodes));
                let hint = format!("`--only` takes stages ({stages}), nodes ({nodes}), and parts such as add-ons");
                let headline = error.to_string();
                let near = unknown.iter().filter_map(|(_, near)| near.as_ref());
                let problem = Self::new(Done::Usage, headline);
                near.fold(problem, |problem, near| problem.hint(format!("did you mean `{near}`?"))).hint(hint)
            }
            EngineError::Secrets(missing) => {
                let headline = "secrets are not available; nothing was touched";
                missing.into_iter().fold(Self::new(Done::Blocked, headline), Problem::because)
            }
            EngineError::Bug(broken) => {
                let headline = "BUG: the plan breaks a promise, so nothing was touched";
                let problem = Self::new(Done::Bug, headline);
                let problem = broken.iter().fold(problem, |problem, violation| {
                    let step = violation.step.as_ref().map(|step| format!(" ({step})")).unwrap_or_default();
                    problem.because(format!("{}: {}{step}", violation.rule, violation.message))
                });
                problem.hint("this is a mistake of kubewright's; please report it with the spec and this text")
            }
        }
    }
}

/// How many nodes are named where all of them have the same note.
const NAMED: usize = 5;

/// Notes with their weight in colour. What is to be said of many nodes is said once.
pub(crate) fn words<'a>(notes: impl IntoIterator<Item = &'a Note>) -> Vec<String> {
    let mut kinds: HashMap<_, usize> = HashMap::new();
    let mut alike: Vec<Vec<&Note>> = Vec::new();
    for note in notes {
        let kind = (note.weight, discriminant(&note.subject), &note.message, &note.help);
        match kinds.entry(kind) {
            Entry::Occupied(place) if note.subject.node().is_some() => alike[*place.get()].push(note),
            Entry::Occupied(_) => alike.push(vec![note]),
            Entry::Vacant(place) => {
                place.insert(alike.len());
                alike.push(vec![note]);
            }
        }
    }
    alike.iter().filter_map(|notes| Some(said(notes.first()?, notes.get(1..)?))).collect()
}

/// A note, and whom it is about besides.
fn said(note: &Note, others: &[&Note]) -> String {
    let mark = match note.weight {
        Weight::Blocks => paint(BAD, "blocks"),
        Weight::Warns => paint(CARE, "warns"),
        Weight::Tells => paint(DIM, "note"),
    };
    let mut subjects = note.subject.to_string();
    for other in others.iter().take(NAMED - 1).filter_map(|other| other.subject.node()) {
        subjects.push_str(&format!(", {other}"));
    }
    if others.len() >= NAMED {
        subjects.push_str(&format!(" and {} more", others.len() + 1 - NAMED));
    }
    let help = note.help.as_deref().filter(|help| !help.is_empty());
    let help = help.map(|help| format!("\n  {} {}", paint(DIM, "→"), hints::runnable(help))).unwrap_or_default();
    format!("{mark} {subjects}: {}{help}", hints::runnable(&note.message))
}

#[cfg(test)]
mod tests {
    use kubewright_model::change::Subject;
    use kubewright_model::ids::NodeName;

    use super::*;

    #[test]
    fn what_is_said_of_many_nodes_is_said_once() {
        let note = |subject: Subject, message: &str| Note {
            weight: Weight::Warns,
            subject,
            message: message.to_string(),
            help: Some("add one".to_string()),
            stages: Vec::new(),
        };
        let node = |n: usize| NodeName::new(format!("n-{n}"));
        let mut notes: Vec<Note> = (1..=8).map(|n| note(Subject::Host(node(n)), "no default route")).collect();
        notes.insert(1, note(Subject::Machine(node(1)), "no default route"));
        notes.insert(2, note(Subject::Cluster, "small"));
        let told: Vec<String> =
            words(&notes).iter().map(|told| anstream::adapter::strip_str(told).to_string()).collect();
        let expected = [
            "warns host n-1, n-2, n-3, n-4, n-5 and 3 more: no default route\n  → add one",
            "warns machine n-1: no default route\n  → add one",
            "warns cluster: small\n  → add one",
        ];
        assert_eq!(told, expected);
    }
}
