//! The picture of a run on a terminal: how far it is, its tree, and below that whose turn it is to be out of service.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kubewright_model::event::{Event, Record};
use kubewright_model::plan::Plan;

use super::tree::{Moment, Room, Tree};
use crate::screen::{self, DIM, duration, paint, remark};
use crate::view::turns::Turns;

/// A picture of what turns lasts so long, and nothing is drawn more often.
const FRAME: Duration = Duration::from_millis(100);

/// What of a picture is known, drawn again and again.
pub(crate) struct Picture {
    bar: ProgressBar,
    tree: Tree,
    /// Whose turn it is to be out of service.
    pub(super) turns: Turns,
    /// The time of the run, and when it was heard of.
    clock: (u64, Instant),
    /// The run's clock is not ours.
    pretend: bool,
    /// How often something was tried again.
    retries: usize,
    begun: Instant,
    /// When it was drawn last.
    drew: Option<Instant>,
}

impl Picture {
    /// The picture of a run of this plan; nothing is drawn where `moves` is not true.
    pub(crate) fn new(plan: Option<&Plan>, moves: bool) -> Self {
        let target = if moves { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{prefix}{bar:24} {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
        let now = Instant::now();
        Self {
            bar,
            tree: plan.map(Tree::of).unwrap_or_default(),
            turns: plan.map(Turns::of).unwrap_or_default(),
            clock: (0, now),
            pretend: false,
            retries: 0,
            begun: now,
            drew: None,
        }
    }

    /// Whether nothing is drawn.
    pub(crate) fn is_hidden(&self) -> bool {
        self.bar.is_hidden()
    }

    /// Another run begins, of so many steps.
    pub(crate) fn begins(&mut self, name: &str, steps: usize) {
        self.tree = Tree::default();
        self.bar.reset();
        self.bar.set_prefix(if name.is_empty() { String::new() } else { format!("{name} ") });
        self.bar.set_length(u64::try_from(steps).unwrap_or(0));
        self.drew = None;
    }

    /// Takes in a record.
    pub(crate) fn hear(&mut self, record: &Record) {
        self.clock = (record.at, Instant::now());
        match &record.event {
            Event::RunStarted { steps, simulated, .. } => {
                self.pretend = *simulated;
                self.begun = Instant::now();
                self.bar.set_length(u64::try_from(*steps).unwrap_or(0));
            }
            Event::StepWaits { step, lease } => self.tree.waits(step, lease.as_str(), record.at),
            Event::StepStarted { step, stage, title, .. } => {
                self.tree.begins(step, *stage, title, record.at);
                self.turns.begins(step);
            }
            Event::StepTells { step, message } => {
                self.turns.tells(step, message);
                self.tree.tells(step, message);
            }
            Event::StepRetries { step, attempt, after, error } => {
                self.retries += 1;
                self.tree.tells(step, &format!("try {attempt} in {}: {error}", duration(*after)));
            }
            Event::StepEnded { step, outcome } => {
                self.tree.ends(step, outcome, record.at);
                self.bar.inc(1);
            }
            Event::VerifyStarted { checks } => self.tree.verifies(Some((record.at, *checks))),
            Event::VerifyEnded { .. } => self.tree.verifies(None),
            Event::HoleFilled { .. } | Event::StopAsked { .. } | Event::RunEnded { .. } => {}
        }
        self.draw();
    }

    /// Time has passed in which nothing was heard. `at` is that of the run, where its clock is not ours.
    pub(crate) fn tick(&mut self, at: Option<u64>) {
        if let Some(at) = at {
            self.clock = (at.max(self.clock.0), Instant::now());
        }
        self.draw();
    }

    /// The time of the run, in milliseconds. A pretend clock stands still until it is heard of again.
    pub(crate) fn now(&self) -> u64 {
        let (at, heard) = self.clock;
        let since = if self.pretend { Duration::ZERO } else { heard.elapsed() };
        at.saturating_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Draws it, where it is time for a new one.
    fn draw(&mut self) {
        if self.is_hidden() || self.drew.is_some_and(|drew| drew.elapsed() < FRAME) {
            return;
        }
        self.drew = Some(Instant::now());
        let (columns, rows) = screen::size();
        let frame = usize::try_from(self.begun.elapsed().as_millis() / FRAME.as_millis()).unwrap_or_default();
        let moment = Moment { at: self.now(), frame };
        // One line is the bar's, and one is left so that nothing scrolls.
        let rows = rows.saturating_sub(2);
        let turns = self.turns.drawn(rows / 2, columns);
        let room = Room { rows: rows.saturating_sub(turns.len()), columns };
        let again = if self.retries > 0 { format!(" · {} again", self.retries) } else { String::new() };
        let mut lines = vec![paint(DIM, format!("{}{again}", duration(moment.at)))];
        lines.extend(self.tree.drawn(room, moment));
        lines.extend(turns);
        self.bar.set_message(lines.join("\n"));
    }

    /// Prints a line above it.
    pub(crate) fn line(&self, line: &str) {
        self.bar.suspend(|| remark!("{line}"));
    }

    /// It goes.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// It goes; what the stages came to stays.
    pub(crate) fn over(&self) {
        let drawn = !self.is_hidden();
        self.clear();
        if drawn {
            self.tree.folded(screen::size().0).iter().for_each(|line| remark!("{line}"));
            self.bar.set_draw_target(ProgressDrawTarget::hidden());
        }
    }
}
