//! What a run does now, as a tree: its stages, and below each the steps that run, wait or have failed.
//!
//! What has ended is folded into its stage's line, so that a run of a thousand machines is as high as one of three. It draws
//! from what it has heard and the time that it is given; it looks at no clock and no terminal.

use std::collections::BTreeMap;

use anstyle::Style;
use kubewright_model::event::{Failure, Outcome};
use kubewright_model::ids::StepId;
use kubewright_model::plan::{Plan, Stage};
use kubewright_server::shapes::{Failed, Run};

use crate::screen::{BAD, CARE, DIM, GOOD, counted, duration};
use crate::view::line::Line;

/// What turns while something runs.
const TURNS: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// Room for the words of a stage.
const STAGE: usize = 14;

/// The room that there is on a screen.
#[derive(Clone, Copy, Debug)]
pub(in crate::view) struct Room {
    /// Lines.
    pub(in crate::view) rows: usize,
    /// Characters of a line.
    pub(in crate::view) columns: usize,
}

/// The moment that is drawn.
#[derive(Clone, Copy, Debug)]
pub(in crate::view) struct Moment {
    /// Milliseconds since the run began, by its own clock.
    pub(in crate::view) at: u64,
    /// Which picture of what turns.
    pub(in crate::view) frame: usize,
}

/// Where a step is that has not ended well.
#[derive(Debug)]
enum State {
    /// It could start, and waits for this shared thing.
    Waits(String),
    Runs,
    /// It took so long, and this is the first cause.
    Failed {
        took: u64,
        cause: String,
    },
}

#[derive(Debug)]
struct Leaf {
    group: usize,
    title: String,
    since: u64,
    state: State,
    /// What it tells: what it waits for.
    tells: String,
}

/// A stage's steps, counted.
#[derive(Debug)]
struct Group {
    stage: Stage,
    all: usize,
    ended: usize,
    failed: usize,
    left: usize,
    began: Option<u64>,
    until: u64,
}

impl Group {
    fn is_over(&self) -> bool {
        self.ended >= self.all
    }
}

/// The tree of a run.
#[derive(Debug, Default)]
pub(in crate::view) struct Tree {
    groups: Vec<Group>,
    /// Steps of the plan: their group, and their title for when they wait before they begin.
    known: BTreeMap<StepId, (usize, String)>,
    leaves: BTreeMap<StepId, Leaf>,
    /// Since when checks are looked at, and how many.
    verifies: Option<(u64, usize)>,
}

impl Tree {
    /// The tree of a plan, of which nothing has begun.
    pub(in crate::view) fn of(plan: &Plan) -> Self {
        let mut tree = Self::default();
        for step in &plan.steps {
            let group = tree.group(step.stage);
            tree.groups[group].all += 1;
            tree.known.insert(step.id.clone(), (group, step.title()));
        }
        tree
    }

    fn group(&mut self, stage: Stage) -> usize {
        if let Some(at) = self.groups.iter().position(|group| group.stage == stage) {
            return at;
        }
        self.groups.push(Group { stage, all: 0, ended: 0, failed: 0, left: 0, began: None, until: 0 });
        self.groups.len() - 1
    }

    /// A step waits for a shared thing. One that no plan has named is heard of when it begins.
    pub(in crate::view) fn waits(&mut self, step: &StepId, lease: &str, at: u64) {
        if let Some((group, title)) = self.known.get(step).cloned() {
            let state = State::Waits(lease.to_string());
            self.leaves.insert(step.clone(), Leaf { group, title, since: at, state, tells: String::new() });
        }
    }

    /// A step begins.
    pub(in crate::view) fn begins(&mut self, step: &StepId, stage: Stage, title: &str, at: u64) {
        let group = self.group(stage);
        if !self.known.contains_key(step) {
            self.groups[group].all += 1;
            self.known.insert(step.clone(), (group, title.to_string()));
        }
        self.groups[group].began.get_or_insert(at);
        let leaf = Leaf { group, title: title.to_string(), since: at, state: State::Runs, tells: String::new() };
        self.leaves.insert(step.clone(), leaf);
    }

    /// A step tells something.
    pub(in crate::view) fn tells(&mut self, step: &StepId, message: &str) {
        if let Some(leaf) = self.leaves.get_mut(step) {
            leaf.tells = message.to_string();
        }
    }

    /// A step ends.
    pub(in crate::view) fn ends(&mut self, step: &StepId, outcome: &Outcome, at: u64) {
        let Some((group, _)) = self.known.get(step) else { return };
        let group = &mut self.groups[*group];
        group.ended += 1;
        group.until = at;
        match outcome {
            Outcome::Failed(failure) => {
                group.failed += 1;
                if let Some(leaf) = self.leaves.get_mut(step) {
                    leaf.state = State::Failed { took: at.saturating_sub(leaf.since), cause: cause(failure) };
                }
                return;
            }
            Outcome::Skipped { .. } | Outcome::Cancelled => group.left += 1,
            Outcome::Done | Outcome::AlreadyTrue => {}
        }
        self.leaves.remove(step);
    }

    /// Checks are looked at, or are no more.
    pub(in crate::view) fn verifies(&mut self, since: Option<(u64, usize)>) {
        self.verifies = since;
    }

    /// The tree of a run that others follow.
    pub(in crate::view) fn of_run(run: &Run) -> Self {
        let mut tree = Self::default();
        for step in &run.steps {
            let id = StepId::new(step.id.as_str());
            let stage = Stage::ALL.into_iter().find(|stage| stage.word() == step.stage);
            let (Some(stage), Some(from)) = (stage, step.from) else {
                // It waits, and has no stage as long as it has not begun.
                continue;
            };
            tree.begins(&id, stage, &step.title, from);
            if let Some(told) = step.tells.last() {
                tree.tells(&id, &told.message);
            }
            let outcome = match (step.state, &step.failure) {
                ("running", _) => continue,
                (_, Some(Failed { causes, log, hint })) => {
                    let (causes, log, hint) = (causes.clone(), log.clone(), hint.clone());
                    Outcome::Failed(Failure { causes, log, hint, lasts: false })
                }
                ("done" | "already", _) => Outcome::Done,
                _ => Outcome::Cancelled,
            };
            tree.ends(&id, &outcome, step.to.unwrap_or(run.summary.took));
        }
        tree
    }

    /// The tree, in no more lines than there is room for.
    pub(in crate::view) fn drawn(&self, room: Room, moment: Moment) -> Vec<String> {
        self.lines(room, moment).iter().map(|line| line.cut(room.columns)).collect()
    }

    /// The same, as lines that are not cut yet.
    pub(in crate::view) fn lines(&self, room: Room, moment: Moment) -> Vec<Line> {
        let verify = self.verifies.map(|(since, checks)| {
            let took = duration(moment.at.saturating_sub(since));
            let words = format!(" {:<STAGE$} {} of the spec  ", "verify", counted(checks, "check"));
            Line::default().add(CARE, turning(moment)).add(Style::new(), words).add(DIM, took)
        });
        let mut rows = room.rows.saturating_sub(usize::from(verify.is_some()));
        let stages = self.stages(rows, moment);
        rows = rows.saturating_sub(stages.len());
        let shown = self.shown(rows);
        let mut lines = Vec::new();
        for (group, line) in stages {
            lines.push(line);
            let of_it = shown.iter().filter(|leaf| Some(leaf.group) == group);
            lines.extend(of_it.map(|leaf| leaf.line(room.columns, moment)));
        }
        lines.extend(verify);
        lines.truncate(room.rows);
        lines
    }

    /// What the stages came to, in a line each: for the end.
    pub(in crate::view) fn folded(&self, columns: usize) -> Vec<String> {
        let moment = Moment { at: self.groups.iter().map(|group| group.until).max().unwrap_or_default(), frame: 0 };
        self.groups.iter().map(|group| group.line(0, moment).cut(columns)).collect()
    }

    /// The lines of stages, those that have ended and those to come in one where there is no room for each.
    fn stages(&self, rows: usize, moment: Moment) -> Vec<(Option<usize>, Line)> {
        let running = |at: usize| self.leaves.values().filter(|leaf| leaf.group == at && leaf.runs()).count();
        let line = |at: usize| (Some(at), self.groups[at].line(running(at), moment));
        // Each that moves is to have a step below it.
        let moves = |at: &usize| self.leaves.values().any(|leaf| leaf.group == *at);
        let all: Vec<usize> = (0..self.groups.len()).collect();
        let moving: Vec<usize> = all.iter().copied().filter(moves).collect();
        if all.len() + moving.len() <= rows {
            return all.into_iter().map(line).collect();
        }
        let mut lines = Vec::new();
        let (over, to_come): (Vec<usize>, Vec<usize>) =
            all.into_iter().filter(|at| !moves(at)).partition(|at| self.groups[*at].is_over());
        if !over.is_empty() {
            let words = format!(" {} ended", counted(over.len(), "stage"));
            lines.push((None, Line::default().add(GOOD, "✓").add(DIM, words)));
        }
        lines.extend(moving.into_iter().map(line));
        if !to_come.is_empty() {
            let words = format!("· {} to come", counted(to_come.len(), "stage"));
            lines.push((None, Line::default().add(DIM, words)));
        }
        lines.truncate(rows);
        lines
    }

    /// The steps that there is room for: what failed, then what has run for longest, then what waits; each stage in its turn.
    fn shown(&self, rows: usize) -> Vec<&Leaf> {
        let mut leaves: Vec<&Leaf> = self.leaves.values().collect();
        leaves.sort_by_key(|leaf| (leaf.rank(), leaf.since));
        let mut turn: BTreeMap<usize, usize> = BTreeMap::new();
        let mut dealt: Vec<(usize, &Leaf)> = Vec::new();
        for leaf in leaves {
            let of_it = turn.entry(leaf.group).or_default();
            dealt.push((*of_it, leaf));
            *of_it += 1;
        }
        dealt.sort_by_key(|(turn, _)| *turn);
        dealt.truncate(rows);
        let mut shown: Vec<&Leaf> = dealt.into_iter().map(|(_, leaf)| leaf).collect();
        shown.sort_by_key(|leaf| (leaf.rank(), leaf.since));
        shown
    }
}

fn turning(moment: Moment) -> &'static str {
    TURNS[moment.frame % TURNS.len()]
}

fn cause(failure: &Failure) -> String {
    failure.causes.last().or(failure.log.last()).cloned().unwrap_or_default()
}

impl Group {
    fn line(&self, running: usize, moment: Moment) -> Line {
        let steps = match (self.is_over(), self.left) {
            (true, 0) => counted(self.all, "step"),
            (true, left) => format!("{} of {}", self.all - left, self.all),
            (false, _) => format!("{} of {}", self.ended, self.all),
        };
        let mut words = vec![steps];
        words.extend((running > 0).then(|| format!("{running} running")));
        words.extend((self.left > 0).then(|| format!("{} not begun", self.left)));
        let (sign, style) = match (self.is_over(), self.failed, self.left, self.began) {
            (true, 0, 0, _) => ("✓", GOOD),
            (true, 0, _, _) => ("○", CARE),
            (true, ..) => ("✗", BAD),
            (false, .., None) => ("·", DIM),
            (false, ..) => (turning(moment), CARE),
        };
        let name = if self.began.is_none() { DIM } else { Style::new() };
        let line = Line::default().add(style, sign).add(name, format!(" {:<STAGE$} ", self.stage.word()));
        let mut line = line.add(name, words.join(" · "));
        if self.failed > 0 {
            line = line.add(BAD, format!(" · {} failed", self.failed));
        }
        let until = if self.is_over() { self.until } else { moment.at };
        match self.began {
            Some(began) => line.add(DIM, format!("  {}", duration(until.saturating_sub(began)))),
            None => line,
        }
    }
}

impl Leaf {
    fn runs(&self) -> bool {
        matches!(self.state, State::Runs)
    }

    fn rank(&self) -> u8 {
        match self.state {
            State::Failed { .. } => 0,
            State::Runs => 1,
            State::Waits(_) => 2,
        }
    }

    fn line(&self, columns: usize, moment: Moment) -> Line {
        let since = duration(moment.at.saturating_sub(self.since));
        let (sign, style, took, words) = match &self.state {
            State::Waits(lease) => ("·", DIM, since, format!("waits for {lease}")),
            State::Runs => (turning(moment), CARE, since, self.tells.clone()),
            State::Failed { took, cause } => ("✗", BAD, duration(*took), cause.clone()),
        };
        // What it waits for is worth more than the end of a long title.
        let most = if words.is_empty() { columns } else { columns.saturating_sub(8 + took.len()) * 3 / 5 };
        let title = Line::default().add(Style::new(), self.title.as_str()).cut(most);
        let title = anstream::adapter::strip_str(&title).to_string();
        let line = Line::default().add(Style::new(), "  ").add(style, sign).add(Style::new(), format!(" {title}  "));
        let line = line.add(DIM, took);
        let said = if matches!(self.state, State::Failed { .. }) { BAD } else { DIM };
        if words.is_empty() { line } else { line.add(said, format!("  {words}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> StepId {
        StepId::new(text)
    }

    fn plain(tree: &Tree, rows: usize, columns: usize, at: u64) -> Vec<String> {
        let lines = tree.drawn(Room { rows, columns }, Moment { at, frame: 0 });
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    /// A run of so many machines, each of which is made; of those some have ended, some run and one has failed.
    fn many(machines: usize) -> Tree {
        let mut tree = Tree::default();
        for at in 0..machines {
            let group = tree.group(Stage::Machines);
            tree.groups[group].all += 1;
            tree.known.insert(id(&format!("create/web-{at}")), (group, format!("create machine web-{at}")));
        }
        let group = tree.group(Stage::Hosts);
        tree.groups[group].all += machines;
        let failure = Failure {
            causes: vec!["create machine web-1".into(), "no room on pve-2".into()],
            log: Vec::new(),
            hint: None,
            lasts: false,
        };
        for at in 0..60 {
            let step = id(&format!("create/web-{at}"));
            tree.begins(&step, Stage::Machines, &format!("create machine web-{at}"), 1_000 * at);
            match at {
                1 => tree.ends(&step, &Outcome::Failed(failure.clone()), 4_000),
                0 | 2..=36 => tree.ends(&step, &Outcome::Done, 61_000),
                _ => tree.tells(&step, "waiting for its address"),
            }
        }
        tree.waits(&id("create/web-60"), "pve-2", 61_000);
        tree
    }

    #[test]
    fn a_thousand_machines_are_read_at_a_glance() {
        let lines = plain(&many(1000), 8, 80, 62_000);
        insta::assert_snapshot!(lines.join("\n"), @r"
        ⠋ machines       37 of 1000 · 23 running · 1 failed  1 min 02 s
          ✗ create machine web-1  3.0 s  no room on pve-2
          ⠋ create machine web-37  25.0 s  waiting for its address
          ⠋ create machine web-38  24.0 s  waiting for its address
          ⠋ create machine web-39  23.0 s  waiting for its address
          ⠋ create machine web-40  22.0 s  waiting for its address
          ⠋ create machine web-41  21.0 s  waiting for its address
        · hosts          0 of 1000
        ");
    }

    #[test]
    fn no_screen_is_too_small() {
        let tree = many(1000);
        for rows in 1..30 {
            for columns in [20, 60, 80, 140] {
                let lines = plain(&tree, rows, columns, 62_000);
                assert!(lines.len() <= rows, "{rows}: {lines:?}");
                assert!(lines.iter().all(|line| line.chars().count() <= columns), "{columns}: {lines:?}");
            }
        }
    }

    #[test]
    fn what_has_ended_is_one_line_with_its_duration() {
        let mut tree = Tree::default();
        let steps = [("create/web-1", Stage::Machines), ("setup/web-1", Stage::Hosts), ("join/web-1", Stage::Workers)];
        for (at, (step, stage)) in (0..).zip(steps) {
            tree.begins(&id(step), stage, step, at * 1_000);
            tree.ends(&id(step), &Outcome::Done, at * 1_000 + 900);
        }
        assert_eq!(plain(&tree, 10, 80, 9_000)[0], "✓ machines       1 step  900 ms");
        tree.begins(&id("install/traefik"), Stage::Addons, "install release traefik", 3_000);
        tree.verifies(Some((5_000, 12)));
        let lines = plain(&tree, 4, 80, 9_000);
        insta::assert_snapshot!(lines.join("\n"), @r"
        ✓ 3 stages ended
        ⠋ addons         0 of 1 · 1 running  6.0 s
          ⠋ install release traefik  6.0 s
        ⠋ verify         12 checks of the spec  4.0 s
        ");
    }
}
