//! A run as it moves.
//!
//! On a terminal it is one picture that is drawn again and again: how far the run is, then its tree, folded to what the
//! terminal has room for. What failed stays above it, with its causes. Elsewhere, and for screen readers, each step that ends
//! is a line.

pub(crate) mod picture;
pub(super) mod tree;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kubewright_model::event::{Event, Failure, Outcome, Record, RunEnd};
use kubewright_model::ids::StepId;
use kubewright_model::plan::{Ask, Plan, Stage};

use self::picture::Picture;
use super::addresses;
use crate::hints;
use crate::screen::{BAD, CARE, DIM, GOOD, HEAD, PRETEND, counted, duration, moves, paint};

/// How a host begins to tell where its SSH daemon is again: that is as it was before, and nothing that it keeps.
const LISTENS: &str = "the SSH daemon listens on port ";
/// How hands begin what they say of a datastore that was saved.
const SAVED: &str = "saved ";
/// Where nothing is drawn, a run that goes on says so at least so often.
const SILENCE: Duration = Duration::from_secs(30);
/// Steps that are named in the line of what runs now.
const NAMED: usize = 2;

struct Running {
    stage: Stage,
    title: String,
    since: u64,
    tells: String,
}

/// Draws a run from its records.
pub(crate) struct Progress {
    picture: Picture,
    running: BTreeMap<StepId, Running>,
    /// Records are in a clock that jumps, so their times are printed and not lived through.
    pretend: bool,
    /// It takes everything away.
    destroys: bool,
    /// It repairs what doctor has found; what came of that, doctor looks for.
    repairs: bool,
    /// A backup is made.
    saves: bool,
    /// What hosts tell of how they were left: what they keep of what was to go, and why.
    told: Vec<String>,
    /// They keep something.
    keeps: bool,
    /// Only parts were chosen, so what is said of the end is said of those.
    chosen: bool,
    /// Since when the checks are looked at.
    verifying: Option<u64>,
    /// Checks do not hold.
    unproven: bool,
    /// When something was printed last.
    spoke: Instant,
}

impl Progress {
    /// Draws a run of a plan that is known.
    pub(crate) fn of(plan: Option<&Plan>) -> Self {
        Self::in_a(Picture::new(plan, moves()))
    }

    /// Draws a run whose plan nobody has shown.
    pub(crate) fn new() -> Self {
        Self::of(None)
    }

    /// Tells a run that is over, step by step.
    pub(crate) fn told() -> Self {
        Self::in_a(Picture::new(None, false))
    }

    fn in_a(picture: Picture) -> Self {
        let (running, told, now) = (BTreeMap::new(), Vec::new(), Instant::now());
        let (pretend, destroys, keeps, chosen) = (false, false, false, false);
        Self {
            picture,
            running,
            pretend,
            destroys,
            repairs: false,
            saves: false,
            told,
            keeps,
            chosen,
            verifying: None,
            unproven: false,
            spoke: now,
        }
    }

    /// Time has passed in which nothing was heard. `at` is that of the run, where its clock is not ours.
    pub(crate) fn tick(&mut self, at: Option<u64>) {
        self.picture.tick(at);
        // Where nothing is drawn, it is said now and then what runs.
        if self.picture.is_hidden() && !self.running.is_empty() && self.spoke.elapsed() >= SILENCE {
            let since = duration(self.picture.now());
            self.line(format!("{} {}", paint(DIM, format!("… {since}")), self.now()));
        }
    }

    /// Takes in a record.
    pub(crate) fn hear(&mut self, record: &Record) {
        if !matches!(record.event, Event::StepEnded { .. }) {
            self.picture.hear(record);
        }
        match &record.event {
            Event::RunStarted { run, steps, simulated, ask, only, .. } => {
                self.pretend = *simulated;
                self.chosen = !only.is_empty();
                self.destroys = *ask == Ask::Destroy;
                self.repairs = matches!(ask, Ask::Repair(_));
                self.saves = *ask == Ask::Backup;
                let pretend = if *simulated { paint(PRETEND, " (simulated)") } else { String::new() };
                self.line(format!("{} {run}: {}{pretend}", paint(HEAD, "run"), counted(*steps, "step")));
            }
            Event::StepStarted { step, stage, title, .. } => {
                let running = Running { stage: *stage, title: title.clone(), since: record.at, tells: String::new() };
                self.running.insert(step.clone(), running);
            }
            Event::StepTells { step, message } => self.tells(step, message),
            Event::StepRetries { step, attempt, after, error } => {
                let title = self.running.get(step).map_or_else(|| step.to_string(), |running| running.title.clone());
                let again = format!("try {attempt} in {}", duration(*after));
                self.unless_drawn(format!("{} {title}: {error} {}", paint(CARE, "↻"), paint(DIM, again)));
            }
            Event::StepEnded { step, outcome } => {
                self.ended(step, outcome, record.at);
                // On a terminal the table says so.
                if let Some(said) = self.picture.turns.ends(step, outcome) {
                    self.unless_drawn(paint(DIM, format!("→ {said}")));
                }
                self.picture.hear(record);
            }
            Event::VerifyStarted { .. } => self.verifying = Some(record.at),
            Event::VerifyEnded { held, wrong } => self.verified(*held, wrong, record.at),
            Event::StopAsked { times } => self.stops(*times),
            Event::RunEnded { end, done, already, failed, left, addresses } => {
                self.picture.over();
                for told in self.told.clone() {
                    self.line(format!("{} {told}", paint(CARE, "!")));
                }
                let well = self.well();
                self.line(ended(*end, well, [*done, *already, *failed, *left], record.at));
                if let Some(told) = addresses::told(addresses) {
                    self.line(told);
                }
            }
            Event::StepWaits { .. } | Event::HoleFilled { .. } => {}
        }
    }

    /// Keeps what is worth saying at the end too.
    fn tells(&mut self, step: &StepId, message: &str) {
        if let Some(running) = self.running.get_mut(step) {
            running.tells = message.to_string();
        }
        if let Some(("clean", host)) = step.as_str().split_once('/') {
            let told = format!("{host}: {message}");
            // A folder may be ours for more than one reason.
            if !self.told.contains(&told) {
                self.told.push(told);
            }
            self.keeps |= !message.starts_with(LISTENS);
        }
        // Where a datastore is saved, somebody will look for it.
        let (mut words, saved) = (step.as_str().rsplit('/'), message.starts_with(SAVED));
        // What is on the way to another version has that before its deed.
        if let (Some(host), Some("save"), true) = (words.next(), words.next(), saved) {
            self.told.push(format!("{host}: {message}"));
        }
    }

    /// What is true when everything ended well.
    fn well(&self) -> &'static str {
        match (self.destroys, self.chosen) {
            _ if self.unproven => "✓ everything is built as the spec says, and not all of its checks hold",
            _ if self.repairs => "✓ it is done; doctor looks once more",
            _ if self.saves => "✓ everything is saved",
            (true, _) if self.keeps => "✓ what was ours is gone, but for what hosts keep",
            (true, _) => "✓ everything that was ours is gone",
            (false, true) => "✓ what was chosen is as the spec says",
            (false, false) => "✓ everything is as the spec says",
        }
    }

    fn stops(&mut self, times: u32) {
        self.line(match times {
            1 => format!(
                "{} what runs goes to its end, nothing new begins; once more gives it up",
                paint(CARE, "stopping:")
            ),
            _ => paint(CARE, "what runs is given up; the next run looks what became of it"),
        });
    }

    /// A line of what the picture tells too.
    fn unless_drawn(&mut self, line: impl AsRef<str>) {
        if self.picture.is_hidden() {
            self.line(line);
        }
    }

    fn verified(&mut self, held: usize, wrong: &[String], at: u64) {
        let took = self.verifying.map(|since| at.saturating_sub(since)).unwrap_or_default();
        let all = held + wrong.len();
        self.unproven = !wrong.is_empty();
        let mark = if wrong.is_empty() { paint(GOOD, "✓") } else { paint(BAD, "✗") };
        let stage = paint(DIM, format!("{:<14}", "verify"));
        let took = paint(DIM, duration(took));
        self.line(format!("{mark} {stage} {held} of {} hold {took}", counted(all, "check")));
        wrong.iter().for_each(|wrong| self.line(format!("    {wrong}")));
    }

    fn ended(&mut self, step: &StepId, outcome: &Outcome, at: u64) {
        let running = self.running.remove(step);
        let Some(running) = running else { return };
        let took = paint(DIM, duration(at.saturating_sub(running.since)));
        let stage = paint(DIM, format!("{:<14}", running.stage));
        match outcome {
            Outcome::Done => self.unless_drawn(format!("{} {stage} {} {took}", paint(GOOD, "✓"), running.title)),
            Outcome::AlreadyTrue => {
                let words = format!("{} {stage} {} {}", paint(DIM, "="), running.title, paint(DIM, "was so already"));
                self.unless_drawn(words);
            }
            Outcome::Failed(failure) => self.failed(&stage, &running.title, failure, &took),
            Outcome::Skipped { .. } | Outcome::Cancelled => {
                let words = format!("{} {stage} {} {}", paint(CARE, "○"), running.title, paint(DIM, "given up"));
                self.unless_drawn(words);
            }
        }
    }

    fn failed(&mut self, stage: &str, title: &str, failure: &Failure, took: &str) {
        self.line(format!("{} {stage} {title} {took}", paint(BAD, "✗")));
        for cause in &failure.causes {
            self.line(format!("    {cause}"));
        }
        // A log that ends with the cause says it twice.
        let said = |line: &&String| failure.causes.iter().any(|cause| cause.contains(line.trim()));
        for line in failure.log.iter().filter(|line| !said(line)) {
            self.line(format!("    {}", paint(DIM, format!("│ {line}"))));
        }
        if let Some(hint) = &failure.hint {
            self.line(format!("    {} {}", paint(DIM, "→"), hints::runnable(hint)));
        }
    }

    /// What runs now, and what it waits for.
    fn now(&self) -> String {
        let mut running: Vec<&Running> = self.running.values().collect();
        running.sort_by_key(|running| running.since);
        let named = running.iter().take(NAMED).map(|running| match running.tells.as_str() {
            "" => running.title.clone(),
            tells => format!("{} ({tells})", running.title),
        });
        let named = named.collect::<Vec<_>>().join(" · ");
        if running.len() > NAMED { format!("{named} · and {} more", running.len() - NAMED) } else { named }
    }

    fn line(&mut self, line: impl AsRef<str>) {
        self.spoke = Instant::now();
        self.picture.line(line.as_ref());
    }
}

fn ended(end: RunEnd, well: &str, [done, already, failed, left]: [usize; 4], at: u64) -> String {
    let (words, style) = match end {
        RunEnd::Complete => (well, GOOD),
        RunEnd::Failed => ("✗ the run did not finish", BAD),
        RunEnd::NotConverged => ("✗ all steps ended well, and something is still to be done", BAD),
        RunEnd::Interrupted => ("○ stopped", CARE),
    };
    let mut counts = vec![format!("{done} done")];
    for (number, word) in [(already, "true already"), (failed, "failed"), (left, "not begun")] {
        if number > 0 {
            counts.push(format!("{number} {word}"));
        }
    }
    format!("{}: {} in {}", paint(style, words), counts.join(", "), duration(at))
}

#[cfg(test)]
mod tests {
    use kubewright_model::event::EVENT_FORMAT;

    use super::*;

    #[test]
    fn who_draws_nothing_says_now_and_then_that_it_goes_on() {
        let mut progress = Progress::told();
        let (step, title) = (StepId::new("start/web-1"), "start machine web-1".into());
        let event = Event::StepStarted { step, stage: Stage::Machines, title, part: String::new() };
        progress.hear(&Record { format: EVENT_FORMAT, seq: 0, at: 0, event });
        let long_ago = Instant::now().checked_sub(2 * SILENCE).unwrap();
        for (spoke, speaks) in [(Instant::now(), false), (long_ago, true)] {
            progress.spoke = spoke;
            progress.tick(None);
            assert_eq!(progress.spoke != spoke, speaks);
        }
    }

    #[test]
    fn what_hosts_keep_is_not_said_to_be_gone() {
        let mut progress = Progress { destroys: true, ..Progress::new() };
        let mut tell = |step: &str, message: &str| {
            let event = Event::StepTells { step: StepId::new(step), message: message.into() };
            progress.hear(&Record { format: EVENT_FORMAT, seq: 0, at: 0, event });
            (progress.told.clone(), progress.well())
        };
        let (told, well) = tell("leave/web-1", "waiting for web-1 to answer");
        assert!(told.is_empty() && well == "✓ everything that was ours is gone");
        let (told, well) = tell("clean/web-2", "the SSH daemon listens on port 22 again");
        assert!(told.len() == 1 && well == "✓ everything that was ours is gone");
        let (told, _) = tell("save/obsy", "saved 20 MiB of etcd as /srv/etcd-obsy-1.db");
        assert_eq!(told.last().unwrap(), "obsy: saved 20 MiB of etcd as /srv/etcd-obsy-1.db");
        let (told, well) = tell("clean/web-1", "/srv/data stays: it is not empty");
        assert_eq!(told.last().unwrap(), "web-1: /srv/data stays: it is not empty");
        assert_eq!(well, "✓ what was ours is gone, but for what hosts keep");
    }
}
