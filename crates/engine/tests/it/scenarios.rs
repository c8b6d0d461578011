//! Scenario files: a spec, a world, what is asked, and the plan that comes of it, in one readable text.
//!
//! `tests/scenarios/NNN-slug.txt` begins with a title. Then come `--- spec` (a cluster file), `--- world` (what is true
//! before; the lines are described in [`world`]), `--- ask` with what is asked in the same line (`apply`, `destroy`,
//! `rebuild`, `restore`, `backup`, `replace NAME…`, `outdated`, `reboot NAME…`, `reboot-needed NAME…`, `repair`; then perhaps
//! `only WORD…`; `backup bundle` is a whole one, which is planned for the spec's place and runs into a folder; what is
//! repaired is what doctor finds, before each run anew), `--- plan` (what is planned) and `--- runs` (what
//! each run came to until nothing was left to do; somebody mends faults in between). The last two are compared, or
//! written with `UPDATE_SCENARIOS=1`.
//!
//! Each file proves four things for free: the plan is proven, planning twice gives the same bytes, the run ends with
//! nothing to do and without a breach, and so it does when it is cut off at the start, in the middle and at the end of
//! each step. A blocked plan proves that nothing is touched.

mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kubewright_engine::Engine;
use kubewright_engine::backup::{Asked, bundle};
use kubewright_engine::engine::plan_from;
use kubewright_engine::execute::durations;
use kubewright_engine::sim;
use kubewright_model::bundle::Shelf;
use kubewright_model::change::Reason;
use kubewright_model::ids::NodeName;
use kubewright_model::plan::{Ask, Plan, Rendering, Weight};
use kubewright_model::rotation::Rotation;
use kubewright_model::units::Moment;
use kubewright_planner::check::check;

use crate::yard::{Cut, Yard};

/// Runs that a scenario may take: a fault may end one or two of them.
const RUNS: usize = 3;
/// Calls that only look.
const LOOKS: [&str; 5] = ["provider list", "provider preflight", "host look", "kubernetes list", "kubernetes check"];

struct Scenario<'a> {
    title: &'a str,
    spec: String,
    world: Vec<&'a str>,
    asked: &'a str,
    ask: Ask,
    bundle: bool,
    only: Vec<String>,
    plan: String,
    runs: String,
}

impl<'a> Scenario<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let mut sections: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
        let mut at = "title";
        sections.insert(at, ("", Vec::new()));
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("--- ") {
                let (name, rest) = heading.split_once(' ').unwrap_or((heading, ""));
                at = name;
                sections.insert(at, (rest, Vec::new()));
            } else if let Some((_, lines)) = sections.get_mut(at) {
                lines.push(line);
            }
        }
        let lines = |name: &str| sections.get(name).map(|(_, lines)| lines.clone()).unwrap_or_default();
        let whole = |name: &str| lines(name).join("\n").trim_end().to_string();
        let asked = sections.get("ask").map_or("apply", |(rest, _)| rest);
        let (ask, only) = asked.split_once(" only ").unwrap_or((asked, ""));
        Ok(Self {
            title: lines("title").first().copied().filter(|title| !title.is_empty()).ok_or("the title is missing")?,
            spec: whole("spec") + "\n",
            world: lines("world").into_iter().filter(|line| !line.trim().is_empty()).collect(),
            asked,
            ask: parse_ask(ask)?,
            bundle: ask == "backup bundle",
            only: only.split_whitespace().map(str::to_string).collect(),
            plan: whole("plan"),
            runs: whole("runs"),
        })
    }

    fn write(&self, plan: &str, runs: &str) -> String {
        let world: String = self.world.iter().map(|line| format!("{line}\n")).collect();
        format!(
            "{}\n\n--- spec\n{}\n--- world\n{world}\n--- ask {}\n\n--- plan\n{plan}\n\n--- runs\n{runs}\n",
            self.title, self.spec, self.asked
        )
    }
}

fn parse_ask(text: &str) -> Result<Ask, String> {
    let mut words = text.split_whitespace();
    match words.next() {
        Some("apply") => Ok(Ask::Apply),
        Some("destroy") => Ok(Ask::Destroy),
        Some("rebuild") => Ok(Ask::Rebuild),
        Some("backup") => Ok(Ask::Backup),
        // What that is shows when doctor has looked.
        Some("repair") => Ok(Ask::Repair(Box::default())),
        Some("restore") => Ok(Ask::Restore),
        Some("outdated") => Ok(Ask::ReplaceOutdated),
        Some("reboot-needed") => Ok(Ask::RebootNeeded(words.map(NodeName::from).collect())),
        Some("rotate") => match words.next() {
            Some("ssh-keys") => Ok(Ask::Rotate(Rotation::SshKeys)),
            Some("join-token") => Ok(Ask::Rotate(Rotation::JoinToken)),
            Some("encryption-keys") => Ok(Ask::Rotate(Rotation::EncryptionKeys)),
            Some("service-account-keys") => Ok(Ask::Rotate(Rotation::ServiceAccountKeys)),
            Some("certificates") => Ok(Ask::Rotate(Rotation::Certificates)),
            other => Err(format!("nobody makes {other:?} anew")),
        },
        Some("update-os") => Ok(Ask::UpdateOs(words.map(NodeName::from).collect())),
        Some("reboot") => Ok(Ask::Reboot(words.map(NodeName::from).collect())),
        Some("replace") => Ok(Ask::Replace(words.map(NodeName::from).collect())),
        other => Err(format!("nobody can ask for {other:?}")),
    }
}

/// A plan as people read it: one line for each step, then the notes.
pub(crate) fn render(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for step in &plan.steps {
        let title = step.title();
        // How many things a host has to set up is the compilers' business, and changes with them.
        let title = title.split_once(" (").map_or(title.as_str(), |(title, _)| title);
        let mut line = format!("{:<14} {title}  ({})", step.stage.word(), step.reason);
        if !step.needs.is_empty() {
            let needs: Vec<&str> = step.needs.iter().map(|need| need.as_str()).collect();
            line += &format!("  ← {}", needs.join(", "));
        }
        lines.push(line);
        if matches!(step.reason, Reason::Differs | Reason::Stale) {
            lines.extend(step.fields.iter().map(field));
        }
        match plan.rendered.get(&step.id) {
            Some(Rendering::Fields(fields)) => lines.extend(fields.iter().map(field)),
            Some(Rendering::Unknown(why)) => lines.push(format!("{:<14}   objects: {why}", "")),
            None => {}
        }
    }
    for note in &plan.notes {
        let word = match note.weight {
            Weight::Tells => "tells",
            Weight::Warns => "warns",
            Weight::Blocks => "blocks",
        };
        let help = note.help.as_ref().map(|help| format!("  [{help}]")).unwrap_or_default();
        lines.push(format!("{word}: {}: {}{help}", note.subject, note.message));
    }
    if plan.steps.is_empty() {
        lines.insert(0, "nothing to do".into());
    }
    lines.join("\n")
}

/// A field's difference. What a file holds is a digest, which tells nobody anything.
fn field(field: &kubewright_model::change::FieldChange) -> String {
    let opaque = ["file ", "download ", "v1/", "values"].iter().any(|word| field.field.starts_with(word))
        || field.from.iter().chain(&field.to).any(|value| value.len() > 40 || value.contains('\n'));
    let hexadecimal = |text: &String| text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match (&field.from, &field.to) {
        _ if opaque => format!("{:<16} {}", "", field.field),
        (from, to) if from.iter().chain(to).any(hexadecimal) => format!("{:<16} {}", "", field.field),
        (from, to) => {
            let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
            format!("{:<16} {}: {} → {}", "", field.field, word(from), word(to))
        }
    }
}

/// Plays a scenario; returns its plan and its runs, and everything that is wrong.
async fn play(scenario: &Scenario<'_>) -> Result<(String, String, Vec<String>), String> {
    let mut yard = world::make(&scenario.spec, &scenario.world).await?;
    if scenario.bundle {
        wish_a_bundle(&mut yard, scenario, None)?;
    }
    let (ask, only) = (&yard.asked(&scenario.ask).await, scenario.only.as_slice());
    let mut wrong = Vec::new();
    let (observed, plan) = yard.plan(ask, only).await;
    let broken = check(&kubewright_planner::plan::plan(&yard.desired, &observed, ask), &yard.desired, &observed);
    wrong.extend(broken.iter().map(|violation| format!("check: {violation:?}")));
    let bytes = |plan: &Plan| serde_json::to_string(plan).unwrap();
    let again = plan_from(&yard.desired, &observed, ask, only).map_err(|error| error.to_string())?;
    if bytes(&again) != bytes(&plan) {
        wrong.push("planning twice gives two plans".into());
    }
    match serde_json::from_str::<Plan>(&bytes(&plan)) {
        Ok(read) if read == plan => {}
        Ok(_) => wrong.push("the plan read back is another one".into()),
        Err(error) => wrong.push(format!("the plan cannot be read back: {error}")),
    }
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let runs = execute(&yard, scenario, &plan, &mut Bundles { folder: folder.path(), made: 0 }, &mut wrong).await?;
    Ok((render(&plan), runs, wrong))
}

/// Wishes for a bundle of a moment: in the spec's place, or in a folder of this computer.
fn wish_a_bundle(yard: &mut Yard, scenario: &Scenario<'_>, place: Option<(&Path, u64)>) -> Result<(), String> {
    let loadout = Engine::load(&scenario.spec).map_err(|found| format!("{found:?}"))?;
    let now = Moment(1_795_369_980 + place.map_or(0, |(_, number)| number * 3600));
    let asked = Asked { now, environment: None, folder: None, files: Vec::new() };
    let mut bundle = bundle(&loadout, Path::new(""), &asked).map_err(|unsaved| unsaved.why)?;
    if let Some((folder, _)) = place {
        bundle.to = Shelf::Folder(folder.display().to_string());
    }
    yard.desired.bundle = Some(Box::new(bundle));
    Ok(())
}

/// Where runs put their bundles, and how many were begun: each run makes one of its own.
struct Bundles<'a> {
    folder: &'a Path,
    made: u64,
}

impl Bundles<'_> {
    /// The next run in this yard makes another one.
    fn next(&mut self, yard: &mut Yard, scenario: &Scenario<'_>) -> Result<(), String> {
        self.made += 1;
        match scenario.bundle {
            true => wish_a_bundle(yard, scenario, Some((self.folder, self.made))),
            false => Ok(()),
        }
    }
}

async fn execute(
    yard: &Yard,
    scenario: &Scenario<'_>,
    plan: &Plan,
    bundles: &mut Bundles<'_>,
    wrong: &mut Vec<String>,
) -> Result<String, String> {
    let (ask, only) = (&scenario.ask, scenario.only.as_slice());
    let mut whole = yard.twin();
    bundles.next(&mut whole, scenario)?;
    prepare(&whole, ask);
    let before = whole.centre.calls();
    let (first, records) = whole.run(ask, only).await;
    let mut told = vec![crate::yard::words(&first)];
    if let Err(kubewright_engine::EngineError::Blocked(_)) = first {
        let after = whole.centre.calls();
        let touched = after.iter().filter(|(call, times)| before.get(*call) != Some(times));
        let touched = touched.filter(|(call, _)| !LOOKS.contains(&call.as_str()));
        wrong.extend(touched.map(|(call, _)| format!("blocked, and yet: {call}")));
        return Ok(told.join("\n"));
    }
    if told != ["complete"] {
        whole.centre.mend();
        told.extend(whole.run_to_the_end(ask, only, RUNS - 1).await);
    }
    wrong.extend(whole.complaints(ask, only).await);
    for cut in cuts(plan, &records) {
        let mut part = yard.twin();
        bundles.next(&mut part, scenario)?;
        prepare(&part, ask);
        if !part.run_until(cut, ask, only).await {
            continue;
        }
        bundles.next(&mut part, scenario)?;
        // Nothing of what was begun from nothing can be mistaken for a sleeping cluster. A server that was cut off while it
        // started may take a second run.
        let runs = if scenario.world.is_empty() { 2 } else { RUNS };
        let told = part.run_to_the_end(ask, only, runs).await;
        if told.last().map(String::as_str) != Some("complete") {
            wrong.push(format!("cut off {}, then {}", title(cut, plan), told.join(" | ")));
        }
        let complaints = part.complaints(ask, only).await;
        wrong.extend(complaints.into_iter().map(|it| format!("cut off {}: {it}", title(cut, plan))));
    }
    Ok(told.join("\n"))
}

/// Members may stop for good where that is what was asked.
fn prepare(yard: &Yard, ask: &Ask) {
    if matches!(ask, Ask::Destroy | Ask::Rebuild | Ask::Restore) {
        yard.centre.announce_end();
    }
}

/// The start, the middle and the end of every step.
fn cuts(plan: &Plan, records: &[kubewright_model::event::Record]) -> Vec<Cut> {
    let steps = plan.steps.len();
    let middles = durations(records).into_values().map(|(began, ended)| began + (ended - began) / 2);
    let mut middles: Vec<u64> = middles.collect();
    middles.sort_unstable();
    middles.dedup();
    let counted = (1..=steps).flat_map(|many| [Cut::Started(many), Cut::Ended(many)]);
    counted.chain(middles.into_iter().map(Cut::At)).collect()
}

fn title(cut: Cut, plan: &Plan) -> String {
    match cut {
        Cut::Started(many) => format!("when {many} of {} steps had started", plan.steps.len()),
        Cut::Ended(many) => format!("when {many} of {} steps had ended", plan.steps.len()),
        Cut::At(moment) => format!("after {moment} ms"),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Plays one file; returns everything that is wrong with it.
fn file(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let scenario = match Scenario::parse(&text) {
        Ok(scenario) => scenario,
        Err(why) => return vec![why],
    };
    let played = sim::run(async { play(&scenario).await }).unwrap();
    let (plan, runs, mut wrong) = match played {
        Ok(played) => played,
        Err(why) => return vec![why],
    };
    if std::env::var_os("UPDATE_SCENARIOS").is_some() {
        std::fs::write(path, scenario.write(&plan, &runs)).unwrap();
        return wrong;
    }
    for (what, expected, found) in [("plan", &scenario.plan, &plan), ("runs", &scenario.runs, &runs)] {
        if expected != found {
            wrong.push(format!("--- {what}, expected:\n{expected}\n--- {what}, found:\n{found}"));
        }
    }
    wrong
}

#[test]
fn every_file_holds() {
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().contains(&wanted)).collect();
    files.sort();
    assert!(!files.is_empty(), "no scenario is called `{wanted}`");
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = std::panic::catch_unwind(|| file(path)).unwrap_or_else(|_| vec!["it panicked".into()]);
                    if !found.is_empty() {
                        wrong.lock().unwrap().insert(path.clone(), found);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let told: Vec<String> = wrong
        .iter()
        .map(|(path, found)| format!("{}\n  {}", path.file_name().unwrap().display(), found.join("\n  ")))
        .collect();
    assert!(wrong.is_empty(), "{} of {} scenarios fail:\n{}", wrong.len(), files.len(), told.join("\n"));
}
