//! A plan as one tree: stages, their steps, and what differs field by field.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;
use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::desired::{Desired, EXISTING};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::plan::{Action, Ask, Plan, Rendering, Stage, Step};
use kubewright_model::recipe::Effect;
use kubewright_model::rotation::KeyPart;
use similar::TextDiff;
use termtree::Tree;

use crate::problem;
use crate::screen::{BAD, CARE, DIM, GOOD, HEAD, columns, counted, hung, paint, say};

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
            Action::CreateMachine(_) | Action::TakeSnapshot { .. } | Action::PackBundle(_) => Self::Adds,
            Action::DeleteMachine { .. }
            | Action::DeleteLoadBalancer { .. }
            | Action::DeleteResource { .. }
            | Action::DeleteStray { .. }
            | Action::DeleteBackupJob { .. }
            | Action::DeleteSnapshots { .. }
            | Action::PruneBundles { .. }
            | Action::DeleteObjects(_)
            | Action::RemoveRelease { .. }
            | Action::ForgetMember(_) => Self::Removes,
            Action::RestartMachine { becomes: Some(_), .. } => Self::Changes,
            Action::SetLoadBalancer(_) if matches!(step.reason, Reason::Follows(_)) => Self::Changes,
            Action::StartMachine { .. }
            | Action::RestartMachine { .. }
            | Action::RebootHost { .. }
            | Action::FenceMachine { .. }
            | Action::Cordon(_)
            | Action::Drain { .. }
            | Action::Uncordon(_)
            | Action::Wait { .. }
            | Action::SettleApplications(_) => Self::Moves,
            Action::RotateKey { part: KeyPart::Make | KeyPart::Bring { .. }, .. } => Self::Adds,
            Action::RotateKey { part: KeyPart::TakeOver, .. } => Self::Changes,
            Action::RotateKey { part: KeyPart::Withdraw { .. } | KeyPart::Drop, .. } => Self::Removes,
            Action::UpdateMachine(_)
            | Action::RotateSecret { .. }
            | Action::UpdateHost { .. }
            | Action::MarkNode(_)
            | Action::SetImage(_)
            | Action::TakeObjects(_) => Self::Changes,
            Action::RunRecipe { recipe, .. }
                if matches!(recipe.effect, Effect::Upgrade | Effect::Renew | Effect::Turn | Effect::Follow) =>
            {
                Self::Changes
            }
            Action::RunRecipe { recipe, .. } if recipe.effect == Effect::Leave => Self::Removes,
            Action::ChangeHost(change) if change.make.is_empty() => Self::Removes,
            Action::ChangeHost(_)
            | Action::RunRecipe { .. }
            | Action::ApplyObjects(_)
            | Action::InstallRelease(_)
            | Action::ConfigureVault(_)
            | Action::TurnIntoTemplate { .. }
            | Action::SetBackupJob(_)
            | Action::SetResource(_)
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

/// How much of a plan is shown.
#[derive(Clone, Copy)]
pub(crate) enum Detail {
    /// Each step with all that it does.
    Full,
    /// All that differs from what is there, for somebody who is to agree to it; what is the same for many stands once.
    Agreed,
    /// The beginning of what is long, and how the rest is shown.
    Brief(&'static str),
}

impl Detail {
    /// So many of these are shown, where the beginning will do.
    fn most(self, beginning: usize) -> usize {
        if matches!(self, Self::Brief(_)) { beginning } else { usize::MAX }
    }

    /// A line in the place of what is not shown.
    fn rest(self, words: String) -> Tree<String> {
        let how = if let Self::Brief(how) = self { format!(" ({how})") } else { String::new() };
        Tree::new(paint(DIM, format!("… {words}{how}")))
    }
}

/// Shows a plan, of which these parts were chosen.
pub(crate) fn show(plan: &Plan, desired: &Desired, only: &[String], detail: Detail) {
    say!(
        "{} {} · {} · {}",
        paint(HEAD, "plan for"),
        paint(HEAD, &plan.cluster),
        desired.title(),
        counted(desired.machines.len(), "machine"),
    );
    for note in problem::words(&plan.notes) {
        say!("{note}");
    }
    if plan.is_empty() {
        if !plan.is_blocked() {
            let words = match plan.ask {
                Ask::Destroy => "nothing of this cluster is there",
                _ if !only.is_empty() => "what was chosen is as the spec says",
                _ => "everything is as the spec says",
            };
            say!("{} {words}", paint(GOOD, "✓"));
        }
        return;
    }
    let told = in_words(plan);
    for (stage, steps) in stages(&told) {
        let tree = tree(stage, &steps, &plan.rendered, detail).to_string();
        tree.trim_end().lines().for_each(|line| say!("{}", folded(line, columns())));
    }
    say!("{}", summary(plan));
}

/// A line of the tree on a screen of so many columns: what does not fit hangs below it, and the branches go on beside that.
fn folded(line: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else { return line.to_string() };
    let branches = line.chars().take_while(|c| "├└│─ \u{a0}".contains(*c));
    let hang: String = branches.map(|c| if "├│".contains(c) { '│' } else { ' ' }).collect();
    hung(line, &format!("{hang}  "), columns)
}

/// The steps in the words of people: a machine that exists already is not started by anybody, it is looked at.
fn in_words(plan: &Plan) -> Vec<Step> {
    let there: BTreeSet<StepId> = plan.steps.iter().filter(|step| is_there(step)).map(|step| step.id.clone()).collect();
    let steps = plan.steps.iter().map(|step| {
        let mut told = step.clone();
        match &step.action {
            Action::StartMachine { .. } if is_there(step) => {
                told.reason = Reason::Follows("it exists already: it is looked at when its turn comes".into());
            }
            Action::ChangeHost(change) => {
                if matches!(step.reason, Reason::Follows(_)) && step.needs.iter().any(|need| there.contains(need)) {
                    told.reason = Reason::Follows("its machine exists already".into());
                }
                let wish = change.make.iter().find_map(|resource| match resource {
                    HostResource::MachineConfig(config) => Some((resource.key(), config)),
                    _ => None,
                });
                for field in told.fields.iter_mut().filter(|field| field.from.is_none()) {
                    if let Some((_, config)) = wish.as_ref().filter(|(key, _)| *key == field.field) {
                        field.to = Some(config.summary());
                    }
                }
            }
            _ => {}
        }
        told
    });
    steps.collect()
}

/// Whether a machine that was there before us is waited for.
fn is_there(step: &Step) -> bool {
    matches!(&step.action, Action::StartMachine { provider, .. } if provider.as_str() == EXISTING)
}

/// Stages with their steps, in the order in which the plan comes to them.
fn stages(steps: &[Step]) -> Vec<(Stage, Vec<&Step>)> {
    let mut stages: Vec<(Stage, Vec<&Step>)> = Vec::new();
    for step in steps {
        match stages.iter_mut().find(|(stage, _)| *stage == step.stage) {
            Some((_, steps)) => steps.push(step),
            None => stages.push((step.stage, vec![step])),
        }
    }
    stages
}

fn tree(stage: Stage, steps: &[&Step], rendered: &BTreeMap<StepId, Rendering>, detail: Detail) -> Tree<String> {
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    for step in steps {
        *alike.entry(kind(step)).or_default() += 1;
    }
    let mut tree = Tree::new(paint(HEAD, stage));
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    let mut twins: BTreeMap<(String, &[FieldChange], Vec<String>), &NodeName> = BTreeMap::new();
    let mut folded: Vec<String> = Vec::new();
    for step in steps {
        let kind = kind(step);
        let number = alike.get(&kind).copied().unwrap_or(1);
        let seen = shown.entry(kind.clone()).or_default();
        *seen += 1;
        // What differs in the same way on another node stands there.
        // A name of its own makes no host another one.
        let own_name = step.subject.node().map(|node| format!("hostname {node}"));
        let things = new_things(step).into_iter().filter(|thing| Some(thing) != own_name.as_ref());
        let body = (kind, step.fields.as_slice(), things.collect());
        let twin = twins.get(&body).copied();
        let is_own = twin.is_none() && !step.fields.is_empty() && !is_in_line(step);
        // The first two of many tell what the others are like. What goes is never only counted.
        let few = number <= ALIKE || *seen <= 2 || Mark::of(step) == Mark::Removes;
        let makes = matches!(step.action, Action::CreateMachine(_));
        let leaf = |twin| with_objects(leaf(step, twin, detail), rendered.get(&step.id), detail);
        match detail {
            Detail::Full => drop(tree.push(leaf(None))),
            Detail::Agreed if few || is_own || makes => drop(tree.push(leaf(twin))),
            Detail::Brief(_) if few => drop(tree.push(leaf(twin))),
            Detail::Agreed | Detail::Brief(_) => folded.push(about(step)),
        }
        // One line is as short as the word that it is the same.
        if let Some(node) = step.subject.node().filter(|_| step.fields.len() + body.2.len() > 1) {
            twins.entry(body).or_insert(node);
        }
    }
    if !folded.is_empty() {
        let words = format!("{} like these", counted(folded.len(), "more step"));
        // Who agrees hears to what of each node; who looks may ask for all.
        let agreed = matches!(detail, Detail::Agreed);
        tree.push(detail.rest(if agreed { format!("{words}: {}", folded.join(", ")) } else { words }));
    }
    tree
}

/// What a step is about, in as few words as name it.
fn about(step: &Step) -> String {
    step.subject.node().map_or_else(|| step.title(), ToString::to_string)
}

/// What is made of a host that is new, where it is more than the title says.
fn new_things(step: &Step) -> Vec<String> {
    match (&step.action, step.fields.as_slice()) {
        (Action::ChangeHost(change), []) if change.make.len() > 1 => things(&change.make),
        _ => Vec::new(),
    }
}

/// Where a machine is, as long as it is told in the line of its step.
fn place(action: &Action) -> Vec<String> {
    match action {
        Action::CreateMachine(machine) => vec![format!("at {}", machine.place)],
        Action::DeleteMachine { place, vmid, .. } => {
            let vmid = vmid.map(|vmid| format!("vmid {vmid}"));
            vmid.into_iter().chain([format!("at {place}")]).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether what a step makes is told in its own line.
fn is_in_line(step: &Step) -> bool {
    matches!(step.action, Action::CreateMachine(_) | Action::InstallRelease(_)) && Mark::of(step) != Mark::Changes
}

/// What is the same for steps that are alike: the deed.
fn kind(step: &Step) -> String {
    let deed = step.id.as_str().split('/').next().unwrap_or_default();
    format!("{deed} {}", Mark::of(step).sign().0)
}

fn leaf(step: &Step, twin: Option<&NodeName>, detail: Detail) -> Tree<String> {
    let (sign, style) = Mark::of(step).sign();
    let mut line = format!("{} {}", paint(style, sign), step.title());
    let mut facts = place(&step.action);
    if is_in_line(step) {
        facts.extend(step.fields.iter().filter(|field| field.from.is_none()).filter_map(fact));
    }
    if !facts.is_empty() {
        line.push_str(&paint(DIM, format!("  {}", facts.join(" · "))));
    }
    if step.reason != Reason::Missing {
        line.push_str(&paint(DIM, format!("  ({})", step.reason)));
    }
    if let Some(twin) = twin {
        // Of a new host only the names of things are compared.
        let same = if step.fields.is_empty() { "the same things as on" } else { "the same as on" };
        line.push_str(&paint(DIM, format!("  {same} {twin}")));
        return Tree::new(line);
    }
    let mut leaf = Tree::new(line);
    for thing in new_things(step) {
        leaf.push(Tree::new(paint(DIM, thing)));
    }
    if !is_in_line(step) {
        // Who agrees that a host is left as it was must see all that goes there.
        let leaves = matches!(&step.action, Action::ChangeHost(change) if change.make.is_empty());
        let most = if leaves { usize::MAX } else { detail.most(FIELDS) };
        for field in step.fields.iter().take(most) {
            leaf.push(difference(field, matches!(step.subject, Subject::Objects(_)), detail));
        }
        if step.fields.len() > most {
            leaf.push(detail.rest(format!("{} more", step.fields.len() - most)));
        }
    }
    leaf
}

/// What becomes of a release's objects, below what becomes of the release.
fn with_objects(mut leaf: Tree<String>, rendered: Option<&Rendering>, detail: Detail) -> Tree<String> {
    match rendered {
        None => {}
        Some(Rendering::Unknown(why)) => {
            leaf.push(Tree::new(paint(CARE, format!("what becomes of its objects is not known: {why}"))));
        }
        Some(Rendering::Fields(fields)) if fields.is_empty() => {
            leaf.push(Tree::new(paint(DIM, "no object of it changes")));
        }
        Some(Rendering::Fields(fields)) => {
            let most = detail.most(FIELDS);
            for field in fields.iter().take(most) {
                leaf.push(difference(field, false, detail));
            }
            if fields.len() > most {
                leaf.push(detail.rest(format!("{} more", fields.len() - most)));
            }
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
        let value = match resource {
            HostResource::Download(_) => None,
            HostResource::TalosImage(image) => Some(image.words()),
            HostResource::MachineConfig(config) => Some(config.summary()),
            _ => resource.setting(),
        };
        let (kind, name) = match value {
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
fn difference(field: &FieldChange, objects: bool, detail: Detail) -> Tree<String> {
    let empty = String::new();
    let (from, to) = (field.from.as_ref().unwrap_or(&empty), field.to.as_ref().unwrap_or(&empty));
    if from.contains('\n') || to.contains('\n') {
        let mut tree = Tree::new(field.field.clone());
        // A last line without an end is the same line with one.
        let ended = |text: &String| if text.is_empty() { String::new() } else { format!("{}\n", text.trim_end()) };
        let [from, to] = [from, to].map(ended);
        let diff = TextDiff::from_lines(&from, &to);
        let changed = diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal);
        let changed: Vec<_> = changed.collect();
        let most = detail.most(LINES);
        for change in changed.iter().take(most) {
            let (sign, style) = if change.tag() == similar::ChangeTag::Insert { ("+", GOOD) } else { ("-", BAD) };
            tree.push(Tree::new(paint(style, format!("{sign} {}", change.value().trim_end()))));
        }
        if changed.len() > most {
            tree.push(detail.rest(counted(changed.len() - most, "more line")));
        }
        return tree;
    }
    // What is nothing on one side has come or has gone.
    let some = |value: &'_ Option<String>| value.clone().filter(|value| !value.is_empty());
    let words = match (some(&field.from), some(&field.to)) {
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

#[cfg(test)]
mod tests {
    use kubewright_model::ids::{Owner, Vmid};
    use kubewright_model::plan::HostChange;

    use super::*;

    fn host(name: &str, fields: Vec<FieldChange>) -> Step {
        let way = serde_json::json!({
            "address": "10.0.0.1", "name": null, "port": 22, "user": "root", "key_file": null, "jump": null
        });
        let way = serde_json::from_value(way).unwrap();
        let make = vec![HostResource::SwapOff, HostResource::TimeSync];
        Step {
            id: StepId::new(format!("host/{name}")),
            stage: Stage::Hosts,
            subject: Subject::Host(name.into()),
            action: Action::ChangeHost(HostChange { host: name.into(), way, owner: None, make, unmake: Vec::new() }),
            fields,
            reason: Reason::Differs,
            needs: Vec::new(),
            takes: Vec::new(),
            part: String::new(),
        }
    }

    /// So many files, and one of so many lines.
    fn fields(files: usize, lines: usize) -> Vec<FieldChange> {
        let field = |field: String, to: String| FieldChange { field, from: None, to: Some(to) };
        let text = (0..lines).map(|line| format!("line {line}\n")).collect();
        let files = (1..files).map(|file| field(format!("file /etc/{file}"), "0644".into()));
        std::iter::once(field("file /etc/text".into(), text)).chain(files).collect()
    }

    fn shown(steps: &[Step], detail: Detail) -> String {
        let steps: Vec<&Step> = steps.iter().collect();
        anstream::adapter::strip_str(&tree(Stage::Hosts, &steps, &BTreeMap::new(), detail).to_string()).to_string()
    }

    #[test]
    fn whoever_agrees_sees_all_that_differs() {
        let steps = [host("one", fields(17, 25))];
        let brief = shown(&steps, Detail::Brief("--full shows them"));
        assert!(brief.contains("… 3 more (--full shows them)") && !brief.contains("/etc/16"), "{brief}");
        assert!(brief.contains("… 5 more lines (--full shows them)") && !brief.contains("line 24"), "{brief}");
        for detail in [Detail::Agreed, Detail::Full] {
            let all = shown(&steps, detail);
            assert!(all.contains("file /etc/16") && all.contains("line 24") && !all.contains('…'), "{all}");
        }
    }

    #[test]
    fn what_is_the_same_stands_once_and_what_is_not_is_never_folded() {
        let mut steps: Vec<Step> = (1..=8).map(|n| host(&format!("web-{n}"), fields(3, 1))).collect();
        steps.push(host("web-9", fields(4, 1)));
        let agreed = shown(&steps, Detail::Agreed);
        assert_eq!(agreed.matches("file /etc/2: ").count(), 2, "{agreed}");
        assert!(agreed.contains("web-2") && agreed.contains("the same as on web-1"), "{agreed}");
        assert!(agreed.contains("web-9") && agreed.contains("… 6 more steps like these: web-3, web-4, "), "{agreed}");
        assert_eq!(shown(&steps, Detail::Full).matches("file /etc/2: ").count(), 9);
    }

    #[test]
    fn what_goes_is_named_with_its_number_and_place_however_much_it_is() {
        let gone = |number: u32| {
            let name = NodeName::new(format!("web-{number}"));
            let action = Action::DeleteMachine {
                provider: "proxmox".into(),
                place: "midgard".into(),
                name: name.clone(),
                vmid: Some(Vmid(400 + number)),
                owner: Owner("lab".into()),
            };
            let (subject, id) = (Subject::Machine(name), StepId::new(format!("delete/web-{number}")));
            Step { id, subject, action, stage: Stage::Removal, reason: Reason::NotInSpec, ..host("web", Vec::new()) }
        };
        let steps: Vec<Step> = (1..=9).map(gone).collect();
        for detail in [Detail::Agreed, Detail::Full, Detail::Brief("--full shows them")] {
            let all = shown(&steps, detail);
            assert!(all.contains("delete machine web-9  vmid 409 · at midgard") && !all.contains('…'), "{all}");
        }
    }

    #[test]
    fn what_is_the_same_of_new_hosts_stands_once() {
        let named = |name: &str| {
            let mut step = host(name, Vec::new());
            if let Action::ChangeHost(change) = &mut step.action {
                change.make.insert(0, HostResource::Hostname(name.into()));
            }
            step
        };
        let steps = [named("one"), named("two")];
        let agreed = shown(&steps, Detail::Agreed);
        assert!(agreed.contains("set up host two (3 things)  (differs from the spec)  the same things as on one"));
        assert_eq!(agreed.lines().count(), 6, "{agreed}");
    }
}
