//! Nodes that go out of service one after the other, as a table while a run moves: who waits, who is drained and what holds
//! that up, who is ready.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;
use kubewright_model::change::Reason;
use kubewright_model::event::Outcome;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::plan::{Action, Plan, Stage, Step};
use kubewright_model::recipe::Effect;

use super::line::Line;
use crate::screen::{BAD, CARE, DIM, GOOD};

/// Where a node is in its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waits,
    Does(&'static str),
    Failed,
    Ready,
}

/// One node's turn.
#[derive(Clone, Debug)]
struct Row {
    node: NodeName,
    server: bool,
    /// What it runs before, and after each leg of the run.
    versions: Vec<String>,
    /// How many of them it has reached.
    reached: usize,
    state: State,
    /// What its step tells: which pod holds a drain up.
    tells: String,
    /// The step with which its turn ends.
    last: StepId,
}

/// The turns of a run.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    rows: Vec<Row>,
    /// Whose step is which.
    steps: BTreeMap<StepId, (usize, &'static str)>,
}

/// The node that a step takes out of service or brings back, and what it does to it, in a word.
fn deed(step: &Step) -> Option<(&NodeName, &'static str)> {
    Some(match &step.action {
        Action::Cordon(node) => (node, "cordoned"),
        Action::Drain { node, .. } => (node, "draining"),
        Action::RebootHost { host, .. } => (host, "starting again"),
        Action::UpdateHost { host, .. } => (host, "upgrading packages"),
        Action::RestartMachine { name, .. } => (name, "starting again"),
        Action::RunRecipe { host, recipe, .. } if recipe.effect == Effect::Upgrade => (host, "upgrading"),
        Action::Uncordon(node) => (node, "uncordoned"),
        Action::Wait { .. } => (step.readies().first().filter(|_| step.readies().len() == 1)?, "coming back"),
        _ => return None,
    })
}

/// The node that a step takes out of its cluster.
fn leaves(step: &Step) -> Option<&NodeName> {
    match &step.action {
        Action::ForgetMember(node) => Some(node),
        Action::DeleteMachine { name, .. } => Some(name),
        _ => None,
    }
}

impl Turns {
    /// The turns of a plan; none where nobody goes out of service.
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut turns = Self::default();
        let mut places: BTreeMap<&NodeName, usize> = BTreeMap::new();
        // Whoever leaves, or is made anew, is no turn: it does not come back as what it was.
        let leaves: BTreeSet<&NodeName> = plan.steps.iter().filter_map(leaves).collect();
        for step in &plan.steps {
            let Some((node, word)) = deed(step).filter(|(node, _)| !leaves.contains(node)) else { continue };
            let goes = matches!(
                step.action,
                Action::Cordon(_)
                    | Action::Drain { .. }
                    | Action::RebootHost { .. }
                    | Action::UpdateHost { .. }
                    | Action::RestartMachine { .. }
                    | Action::RunRecipe { .. }
            );
            if goes && !places.contains_key(node) {
                places.insert(node, turns.rows.len());
                turns.rows.push(Row {
                    node: node.clone(),
                    server: step.stage == Stage::ControlPlane,
                    versions: Vec::new(),
                    reached: 0,
                    state: State::Waits,
                    tells: String::new(),
                    last: step.id.clone(),
                });
            }
            let at = match places.get(node) {
                Some(at) => *at,
                None => continue,
            };
            let row = &mut turns.rows[at];
            if let Some(to) = version(step) {
                if let (true, Reason::Follows(why)) = (row.versions.is_empty(), &step.reason) {
                    row.versions.push(why.strip_prefix("it runs ").unwrap_or(why).to_string());
                }
                row.versions.push(to);
            }
            row.last = step.id.clone();
            turns.steps.insert(step.id.clone(), (at, word));
        }
        turns
    }

    /// A step began.
    pub(crate) fn begins(&mut self, step: &StepId) {
        if let Some((at, word)) = self.steps.get(step) {
            let row = &mut self.rows[*at];
            (row.state, row.tells) = (State::Does(word), String::new());
        }
    }

    /// A step tells something.
    pub(crate) fn tells(&mut self, step: &StepId, message: &str) {
        if let Some((at, _)) = self.steps.get(step) {
            self.rows[*at].tells = message.to_string();
        }
    }

    /// A step ended; returns what is to be said where nothing is drawn, when that was the end of a node's turn.
    pub(crate) fn ends(&mut self, step: &StepId, outcome: &Outcome) -> Option<String> {
        let (at, word) = self.steps.get(step)?;
        let row = &mut self.rows[*at];
        row.tells.clear();
        match outcome {
            Outcome::Failed(_) => row.state = State::Failed,
            Outcome::Skipped { .. } | Outcome::Cancelled if row.state != State::Failed => row.state = State::Waits,
            Outcome::Skipped { .. } | Outcome::Cancelled => {}
            Outcome::Done | Outcome::AlreadyTrue => {
                if *word == "upgrading" && row.reached + 1 < row.versions.len() {
                    row.reached += 1;
                }
                if row.last != *step {
                    return None;
                }
                row.state = State::Ready;
                let node = row.node.clone();
                let now = row.versions.get(row.reached).map_or_else(|| "is back".into(), |to| format!("runs {to}"));
                let ready = self.rows.iter().filter(|row| row.state == State::Ready).count();
                return Some(format!("{node} {now}: {ready} of {} nodes", self.rows.len()));
            }
        }
        None
    }

    /// The table, in at most so many lines; nothing where nobody goes out of service.
    pub(crate) fn drawn(&self, rows: usize, columns: usize) -> Vec<String> {
        if self.rows.is_empty() || rows == 0 {
            return Vec::new();
        }
        let wide = |text: fn(&Row) -> usize| self.rows.iter().map(text).max().unwrap_or_default();
        let (names, versions) = (wide(|row| row.node.as_str().len()), wide(|row| row.version().chars().count()));
        let fits = self.rows.len() <= rows;
        // Where there is no room for all, those that move are shown, and how many the others are.
        let shown = |row: &&Row| fits || !matches!(row.state, State::Waits | State::Ready);
        let most = if fits { rows } else { rows - 1 };
        let lines = self.rows.iter().filter(shown).take(most).map(|row| row.line(names, versions).cut(columns));
        let mut lines: Vec<String> = lines.collect();
        if lines.len() < self.rows.len() {
            let ready = self.rows.iter().filter(|row| row.state == State::Ready).count();
            let words = format!("  {ready} of {} nodes are ready", self.rows.len());
            lines.push(Line::default().add(DIM, words).cut(columns));
        }
        lines
    }
}

impl Row {
    fn line(&self, names: usize, versions: usize) -> Line {
        let (sign, state, style) = match &self.state {
            State::Waits => ("·", "waiting", DIM),
            State::Does(word) => ("▸", *word, CARE),
            State::Failed => ("✗", "failed", BAD),
            State::Ready => ("✓", "ready", GOOD),
        };
        let role = if self.server { "server" } else { "agent" };
        let tells = if self.tells.is_empty() { String::new() } else { format!(" ({})", self.tells) };
        let words = format!(" {:<names$}  {role:<6}  {:<versions$}  ", self.node.as_str(), self.version());
        Line::default().add(style, sign).add(Style::new(), words).add(style, format!("{state}{tells}"))
    }

    /// From which version to which: the next one on the way, where there are several.
    fn version(&self) -> String {
        match (self.versions.get(self.reached), self.versions.get(self.reached + 1)) {
            (Some(from), Some(to)) => format!("{from} → {to}"),
            (Some(at), None) => at.clone(),
            (None, _) => String::new(),
        }
    }
}

/// The version that an upgrade brings.
fn version(step: &Step) -> Option<String> {
    match &step.action {
        Action::RunRecipe { recipe, .. } if recipe.effect == Effect::Upgrade => {
            Some(recipe.version.as_ref()?.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kubewright_model::change::Subject;
    use kubewright_model::event::Failure;
    use kubewright_model::ids::ClusterName;
    use kubewright_model::plan::Ask;
    use kubewright_model::units::Span;

    use super::*;

    fn step(deed: &str, node: &str, action: Action) -> Step {
        Step {
            id: StepId::new(format!("{deed}/{node}")),
            stage: Stage::Workers,
            subject: Subject::Member(node.into()),
            action,
            fields: Vec::new(),
            reason: Reason::Asked("reboot".into()),
            needs: Vec::new(),
            takes: Vec::new(),
            part: String::new(),
        }
    }

    fn turns() -> Turns {
        let mut steps = Vec::new();
        for node in ["web-1", "web-2"] {
            steps.push(step("cordon", node, Action::Cordon(node.into())));
            steps.push(step("drain", node, Action::Drain { node: node.into(), timeout: Span::from_secs(300) }));
            steps.push(step("uncordon", node, Action::Uncordon(node.into())));
        }
        Turns::of(&Plan::new(ClusterName::new("lab"), Ask::Apply, steps, Vec::new()))
    }

    fn plain(turns: &Turns) -> String {
        anstream::adapter::strip_str(&turns.drawn(16, 100).join("\n")).to_string()
    }

    #[test]
    fn a_table_tells_whose_turn_it_is_and_what_holds_it_up() {
        let mut turns = turns();
        let id = |text: &str| StepId::new(text);
        assert!(plain(&turns).lines().all(|line| line.ends_with("waiting")));
        assert_eq!(turns.ends(&id("cordon/web-1"), &Outcome::Done), None);
        turns.begins(&id("drain/web-1"));
        turns.tells(&id("drain/web-1"), "waiting for pod shop/cart-0");
        let shown = plain(&turns);
        assert!(shown.contains("web-1") && shown.contains("draining (waiting for pod shop/cart-0)"), "{shown}");
        turns.ends(&id("drain/web-1"), &Outcome::Done);
        turns.begins(&id("uncordon/web-1"));
        let said = turns.ends(&id("uncordon/web-1"), &Outcome::Done);
        assert_eq!(said.as_deref(), Some("web-1 is back: 1 of 2 nodes"));
        turns.begins(&id("drain/web-2"));
        let failure = Failure { causes: Vec::new(), log: Vec::new(), hint: None, lasts: false };
        turns.ends(&id("drain/web-2"), &Outcome::Failed(failure));
        turns.ends(&id("uncordon/web-2"), &Outcome::Cancelled);
        let shown = plain(&turns);
        assert!(shown.contains("✓ web-1") && shown.contains("✗ web-2"), "{shown}");
    }

    #[test]
    fn where_there_is_no_room_those_that_move_are_shown() {
        let mut turns = turns();
        assert_eq!(turns.drawn(1, 100).len(), 1);
        turns.begins(&StepId::new("drain/web-2"));
        turns.rows.push(turns.rows[0].clone());
        let lines: Vec<String> =
            turns.drawn(2, 100).iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert!(lines[0].contains("web-2") && lines[1].contains("0 of 3 nodes are ready"), "{lines:?}");
    }

    #[test]
    fn nobody_who_stays_in_service_is_in_it() {
        let steps = vec![step("uncordon", "web-1", Action::Uncordon("web-1".into()))];
        let plan = Plan::new(ClusterName::new("lab"), Ask::Apply, steps, Vec::new());
        assert!(Turns::of(&plan).drawn(16, 100).is_empty());
    }
}
