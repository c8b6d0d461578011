//! A plan as one tree: stages, their steps, and what differs field by field.

use std::collections::BTreeMap;

use anstyle::Style;
use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::desired::Desired;
use kubewright_model::host::HostResource;
use kubewright_model::plan::{Action, Ask, Plan, Stage, Step};
use kubewright_model::recipe::Effect;
use similar::TextDiff;
use termtree::Tree;

use crate::problem;
use crate::screen::{BAD, CARE, DIM, GOOD, HEAD, counted, paint, say};

/// So many steps of a stage that are alike are folded into one line.
const ALIKE: usize = 6;
/// Fields that are shown of one step; the rest is counted.
const FIELDS: usize = 14;
/// Lines that are shown of a text's difference.
const LINES: usize = 20;

/// What a step does to the world, as a mark and a colour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Adds,
    Changes,
    Removes,
    Moves,
}

impl Mark {
    fn of(step: &Step) -> Self {
        match &step.action {
            Action::CreateMachine(_) => Self::Adds,
            Action::DeleteMachine { .. }
            | Action::DeleteLoadBalancer { .. }
            | Action::DeleteBackupJob { .. }
            | Action::DeleteObjects(_)
            | Action::RemoveRelease { .. }
            | Action::ForgetMember(_) => Self::Removes,
            Action::StartMachine { .. }
            | Action::RestartMachine { .. }
            | Action::Cordon(_)
            | Action::Drain { .. }
            | Action::Uncordon(_)
            | Action::Wait { .. } => Self::Moves,
            Action::UpdateMachine(_) | Action::MarkNode(_) => Self::Changes,
            Action::RunRecipe { recipe, .. } if recipe.effect == Effect::Upgrade => Self::Changes,
            Action::RunRecipe { recipe, .. } if recipe.effect == Effect::Leave => Self::Removes,
            Action::ChangeHost(change) if change.make.is_empty() => Self::Removes,
            Action::ChangeHost(_)
            | Action::RunRecipe { .. }
            | Action::ApplyObjects(_)
            | Action::InstallRelease(_)
            | Action::SetBackupJob(_)
            | Action::SetLoadBalancer(_) => match step.reason {
                Reason::Differs | Reason::Stale => Self::Changes,
                _ => Self::Adds,
            },
        }
    }

    fn sign(self) -> (&'static str, Style) {
        match self {
            Self::Adds => ("+", GOOD),
            Self::Changes => ("~", CARE),
            Self::Removes => ("-", BAD),
            Self::Moves => ("·", DIM),
        }
    }
}

/// What becomes of steps that are like those before them.
#[derive(Clone, Copy)]
pub(crate) enum Alike {
    /// They are shown too.
    Shown,
    /// They are counted, and told how they can be shown where the command can.
    Folded(Option<&'static str>),
}

/// Shows a plan.
pub(crate) fn show(plan: &Plan, desired: &Desired, many: Alike) {
    let kubernetes = &desired.kubernetes;
    say!(
        "{} {} · {} {} · {}",
        paint(HEAD, "plan for"),
        paint(HEAD, &plan.cluster),
        kubernetes.distribution.title(),
        kubernetes.version,
        counted(desired.machines.len(), "machine"),
    );
    for note in problem::words(&plan.notes) {
        say!("{note}");
    }
    if plan.is_empty() {
        if !plan.is_blocked() {
            let words = match plan.ask {
                Ask::Destroy => "nothing of this cluster is there",
                Ask::Apply | Ask::Replace(_) | Ask::Rebuild | Ask::Backup => "everything is as the spec says",
            };
            say!("{} {words}", paint(GOOD, "✓"));
        }
        return;
    }
    for (stage, steps) in stages(plan) {
        say!("{}", tree(stage, &steps, many).to_string().trim_end());
    }
    say!("{}", summary(plan));
}

/// Stages with their steps, in the order in which the plan comes to them.
fn stages(plan: &Plan) -> Vec<(Stage, Vec<&Step>)> {
    let mut stages: Vec<(Stage, Vec<&Step>)> = Vec::new();
    for step in &plan.steps {
        match stages.iter_mut().find(|(stage, _)| *stage == step.stage) {
            Some((_, steps)) => steps.push(step),
            None => stages.push((step.stage, vec![step])),
        }
    }
    stages
}

fn tree(stage: Stage, steps: &[&Step], many: Alike) -> Tree<String> {
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    for step in steps {
        *alike.entry(kind(step)).or_default() += 1;
    }
    let mut tree = Tree::new(paint(HEAD, stage));
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    let mut folded = 0;
    for step in steps {
        let kind = kind(step);
        let number = alike.get(&kind).copied().unwrap_or(1);
        let seen = shown.entry(kind).or_default();
        *seen += 1;
        // The first two of many tell what the others are like.
        if matches!(many, Alike::Shown) || number <= ALIKE || *seen <= 2 {
            tree.push(leaf(step));
        } else {
            folded += 1;
        }
    }
    if folded > 0 {
        let how = if let Alike::Folded(Some(how)) = many { format!(" ({how})") } else { String::new() };
        tree.push(Tree::new(paint(DIM, format!("… {} like these{how}", counted(folded, "more step")))));
    }
    tree
}

/// What is the same for steps that are alike: the deed.
fn kind(step: &Step) -> String {
    let deed = step.id.as_str().split('/').next().unwrap_or_default();
    format!("{deed} {}", Mark::of(step).sign().0)
}

fn leaf(step: &Step) -> Tree<String> {
    let (sign, style) = Mark::of(step).sign();
    let mut line = format!("{} {}", paint(style, sign), step.title());
    let facts: Vec<String> = match Mark::of(step) {
        Mark::Adds => step.fields.iter().filter(|field| field.from.is_none()).filter_map(fact).collect(),
        Mark::Changes | Mark::Removes | Mark::Moves => Vec::new(),
    };
    let in_line = matches!(step.action, Action::CreateMachine(_) | Action::InstallRelease(_));
    if in_line && !facts.is_empty() {
        line.push_str(&paint(DIM, format!("  {}", facts.join(" · "))));
    }
    if step.reason != Reason::Missing {
        line.push_str(&paint(DIM, format!("  ({})", step.reason)));
    }
    let mut leaf = Tree::new(line);
    if let (Action::ChangeHost(change), []) = (&step.action, step.fields.as_slice()) {
        // A single thing stands in the title already.
        for thing in things(&change.make).into_iter().filter(|_| change.make.len() > 1) {
            leaf.push(Tree::new(paint(DIM, thing)));
        }
    }
    if !in_line || Mark::of(step) == Mark::Changes {
        // Who agrees that a host is left as it was must see all that goes there.
        let leaves = matches!(&step.action, Action::ChangeHost(change) if change.make.is_empty());
        let most = if leaves { step.fields.len() } else { FIELDS };
        for field in step.fields.iter().take(most) {
            leaf.push(difference(field, matches!(step.subject, Subject::Objects(_))));
        }
        if step.fields.len() > most {
            leaf.push(Tree::new(paint(DIM, format!("… {} more", step.fields.len() - most))));
        }
    }
    leaf
}

/// What is made true of a host that is new, a line for each kind of thing.
fn things(resources: &[HostResource]) -> Vec<String> {
    let mut kinds: Vec<(String, Vec<String>)> = Vec::new();
    for resource in resources {
        let key = resource.key();
        let (kind, name) = key.split_once(' ').unwrap_or((&key, ""));
        // Single values are told with their value, named things by their name.
        let (kind, name) = match resource.setting().filter(|_| !matches!(resource, HostResource::Download(_))) {
            Some(value) => (key.as_str(), value),
            None => (kind, name.to_string()),
        };
        match kinds.iter_mut().find(|(known, _)| known == kind) {
            Some((_, names)) => names.push(name),
            None => kinds.push((kind.to_string(), vec![name])),
        }
    }
    let words = kinds.into_iter().map(|(kind, names)| {
        let plural = if names.len() > 1 { "s" } else { "" };
        format!("{kind}{plural} {}", names.join(", "))
    });
    words.collect()
}

fn fact(field: &FieldChange) -> Option<String> {
    field.to.as_ref().map(|to| format!("{} {to}", field.field))
}

/// One field: the old value and the new one; texts of several lines as a difference.
fn difference(field: &FieldChange, objects: bool) -> Tree<String> {
    let empty = String::new();
    let (from, to) = (field.from.as_ref().unwrap_or(&empty), field.to.as_ref().unwrap_or(&empty));
    if from.contains('\n') || to.contains('\n') {
        let mut tree = Tree::new(field.field.clone());
        let diff = TextDiff::from_lines(from, to);
        let changed = diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal);
        for change in changed.take(LINES) {
            let (sign, style) = if change.tag() == similar::ChangeTag::Insert { ("+", GOOD) } else { ("-", BAD) };
            tree.push(Tree::new(paint(style, format!("{sign} {}", change.value().trim_end()))));
        }
        return tree;
    }
    let words = match (&field.from, &field.to) {
        (Some(from), Some(to)) => format!("{}: {} → {}", field.field, paint(BAD, from), paint(GOOD, to)),
        // A new object is told by its name; its digest says nothing yet.
        (None, Some(_)) if objects => field.field.clone(),
        (None, Some(to)) => format!("{}: missing → {}", field.field, paint(GOOD, to)),
        (Some(from), None) => format!("{}: {}", field.field, paint(BAD, format!("{from} → gone"))),
        (None, None) => field.field.clone(),
    };
    Tree::new(words)
}

/// How many steps do what.
pub(crate) fn summary(plan: &Plan) -> String {
    let mut counts: BTreeMap<Mark, usize> = BTreeMap::new();
    for step in &plan.steps {
        *counts.entry(Mark::of(step)).or_default() += 1;
    }
    let words = counts.into_iter().map(|(mark, count)| {
        let (sign, style) = mark.sign();
        let word = match mark {
            Mark::Adds => "to add",
            Mark::Changes => "to change",
            Mark::Removes => "to remove",
            Mark::Moves => "in between",
        };
        paint(style, format!("{sign}{count} {word}"))
    });
    format!("{}: {}", paint(HEAD, counted(plan.steps.len(), "step")), words.collect::<Vec<_>>().join(", "))
}
