//! A rehearsal: each phase as it plays, and what it came to.

use kubewright_engine::rehearse::{Link, Phase, Rehearsal, Scene};

use super::addresses;
use super::progress::picture::Picture;
use super::table::{lines, table};
use crate::screen::{BAD, CARE, DIM, GOOD, HEAD, PRETEND, counted, duration, moves, paint, say};

/// Links of a critical path that are shown: the longest.
const LINKS: usize = 6;
/// Shared things that are shown of what was waited for.
const WAITS: usize = 4;
/// Notes that are shown of one phase.
const NOTES: usize = 6;

/// Draws the phases while they play; what goes wrong stays on the screen at once.
pub(crate) struct Play {
    picture: Picture,
}

impl Play {
    pub(crate) fn new() -> Self {
        Self { picture: Picture::new(None, moves()) }
    }

    pub(crate) fn watch(&mut self, scene: &Scene<'_>) {
        match scene {
            Scene::Begins { name, steps } => self.picture.begins(name, *steps),
            Scene::Plays(record) => self.picture.hear(record),
            Scene::Ended(phase) if !phase.good => self.picture.line(&line(phase)),
            Scene::Ended(_) | Scene::Stands(..) => {}
        }
    }

    /// Time has passed in which nothing was heard: it is so late in the run.
    pub(crate) fn tick(&mut self, at: u64) {
        self.picture.tick(Some(at));
    }

    pub(crate) fn end(&self) {
        self.picture.clear();
    }
}

/// A phase in one line.
fn line(phase: &Phase) -> String {
    let mark = if phase.good { paint(GOOD, "✓") } else { paint(BAD, "✗") };
    format!("{mark} {:<24} {:>12}  {}", phase.name, duration(phase.took), paint(DIM, &phase.shows))
}

/// Shows what the rehearsal came to.
pub(crate) fn show(rehearsal: &Rehearsal, real: u64) {
    say!(
        "{}",
        paint(PRETEND, "rehearsal in a simulated data centre: nothing real was touched, and times are simulated")
    );
    let mut phases = table(&["", "PHASE", "SIMULATED", "STEPS", "RETRIES", "RUNS", "SHOWS"]);
    for phase in &rehearsal.phases {
        let number = |number: usize| if number == 0 { String::new() } else { number.to_string() };
        phases.add_row([
            if phase.good { paint(GOOD, "✓") } else { paint(BAD, "✗") },
            phase.name.clone(),
            duration(phase.took),
            number(phase.steps),
            number(phase.retries),
            number(phase.runs),
            phase.shows.clone(),
        ]);
    }
    say!("{}", lines(&phases));
    if let Some(build) = rehearsal.phases.first() {
        path(build);
        waits(build);
    }
    if let Some(told) = addresses::told(&rehearsal.services) {
        say!("{} when it stands:\n{told}", paint(HEAD, "addresses"));
    }
    for struck in &rehearsal.faults {
        match struck.met {
            0 => say!(
                "{} {struck}: nothing that this spec has meets it, so nothing is proven about it",
                paint(CARE, "!")
            ),
            _ => say!("{} {struck}", paint(CARE, "↯")),
        }
    }
    for phase in &rehearsal.phases {
        for wrong in &phase.wrong {
            say!("{} {}: {wrong}", paint(BAD, "✗"), phase.name);
        }
        let style = if phase.good { CARE } else { BAD };
        for note in phase.notes.iter().take(NOTES) {
            say!("{} {}: {note}", paint(style, "↻"), phase.name);
        }
        if phase.notes.len() > NOTES {
            say!("  … and {} more", phase.notes.len() - NOTES);
        }
    }
    end(rehearsal, real);
}

/// What whoever reads only the last line has to know, too.
fn but(rehearsal: &Rehearsal) -> Vec<String> {
    let helped = rehearsal.phases.iter().filter(|phase| !phase.mended.is_empty());
    let helped = helped.map(|phase| format!("somebody had to see to {} in {}", phase.mended.join(", "), phase.name));
    let unmet = rehearsal.unmet();
    let unmet = (!unmet.is_empty()).then(|| format!("{} hit nobody", unmet.join(", ")));
    helped.chain(unmet).collect()
}

/// The longest links of the chain of steps that took a phase's time, in their order.
fn path(phase: &Phase) {
    let mut longest: Vec<(usize, &Link)> = phase.path.iter().enumerate().collect();
    longest.sort_by_key(|(_, link)| std::cmp::Reverse(link.took + link.waited));
    longest.truncate(LINKS);
    longest.sort_by_key(|(at, _)| *at);
    if longest.is_empty() {
        return;
    }
    say!("{} of {}, the longest {}:", paint(HEAD, "critical path"), phase.name, counted(longest.len(), "link"));
    for (_, link) in longest {
        let waited = if link.waited > 0 { format!(", after waiting {}", duration(link.waited)) } else { String::new() };
        say!("  {:>12}  {}{}", duration(link.took), link.title, paint(DIM, waited));
    }
}

fn waits(phase: &Phase) {
    if phase.waits.is_empty() {
        return;
    }
    say!("{} in {}:", paint(HEAD, "what waited for what"), phase.name);
    for (thing, steps, all) in phase.waits.iter().take(WAITS) {
        say!("  {:>12}  {} waited for {thing}", duration(*all), counted(*steps, "step"));
    }
}

fn end(rehearsal: &Rehearsal, real: u64) {
    for left in &rehearsal.leftovers {
        say!("{} left over: {left}", paint(BAD, "✗"));
    }
    for breach in &rehearsal.breaches {
        say!("{} at {}: {}", paint(BAD, "✗ BUG"), duration(breach.at), breach.what);
    }
    let simulated: u64 = rehearsal.phases.iter().map(|phase| phase.took).sum();
    let calls: u64 = rehearsal.calls.values().sum();
    let facts = format!("{} of simulated work in {} of real time, {calls} calls", duration(simulated), duration(real));
    let nothing = if rehearsal.leftovers.is_empty() { "nothing left over" } else { "something left over" };
    let but = but(rehearsal);
    if rehearsal.good() && !but.is_empty() {
        say!("{} ({nothing}; {facts})", paint(CARE, format!("! the whole life went well, but {}", but.join("; "))));
    } else if rehearsal.good() {
        say!("{} ({nothing}; {facts})", paint(GOOD, "✓ the whole life went well"));
    } else {
        say!("{} ({nothing}; {facts})", paint(BAD, "✗ the rehearsal found something wrong"));
    }
}
