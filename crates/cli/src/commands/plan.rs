//! `kubewright plan`, and the file that `apply` reads a plan from.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kubewright_engine::{Loadout, engine};
use kubewright_model::digest::Digest;
use kubewright_model::plan::{Ask, PLAN_FORMAT, Plan};
use kubewright_model::source::MAX_BYTES;
use serde::{Deserialize, Serialize};

use super::airgap;
use super::take::taking;
use super::{print_json_of, write};
use crate::arguments::{self, Arguments, Output};
use crate::problem::{Done, Problem};
use crate::source::{self, Reading, STANDARD_INPUT, Texts};
use crate::view;
use crate::view::plan::Detail;
use crate::world::Site;

/// A plan of ten thousand nodes has a tenth of it.
const LARGEST: usize = 1024 * 1024 * 1024;

/// A plan with the spec that it was made from.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Saved {
    /// The spec's file.
    pub(super) spec: PathBuf,
    /// The environment that was on top of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) environment: Option<String>,
    /// The digest of the spec's text, with that of its environment.
    pub(super) digest: Digest,
    /// The parts that were chosen.
    pub(super) only: Vec<String>,
    /// The plan.
    pub(super) plan: Plan,
}

pub(super) fn run(arguments: &Arguments, asked: &arguments::Plan) -> Result<Done, Problem> {
    if asked.out.is_some() && asked.file == Path::new(STANDARD_INPUT) {
        let problem = Problem::new(Done::Usage, "a saved plan names the file of its spec, and standard input has none");
        return Err(problem.hint("write the spec to a file, and plan that"));
    }
    if let Some(out) = asked.out.as_deref().filter(|out| !is_of_a_plan(out)) {
        let problem = Problem::new(Done::Usage, format!("{} does not end with `.json`", out.display()));
        return Err(problem.hint("`kubewright apply` knows a saved plan from a spec by that"));
    }
    let reading = Reading::for_a_plan(arguments, asked.output);
    let asks_hosts = reading.asks_hosts && !asked.assume_empty;
    let loadout = source::read(&asked.file, Reading { asks_hosts, ..reading })?;
    let loadout = airgap::by(arguments, &asked.file, asked.bundle.as_deref(), loadout)?;
    let loadout = Loadout { desired: taking(loadout.desired, &asked.take)?, ..loadout };
    let plan = if asked.assume_empty {
        let nothing = engine::nothing(&loadout.desired);
        engine::plan_from(&loadout.desired, &nothing, &Ask::Apply, &asked.only)?
    } else {
        Site::look(arguments, &asked.file, &loadout.desired, async |site| {
            Ok(site.engine.plan(&loadout.desired, &Ask::Apply, &asked.only).await?.plan)
        })?
    };
    let plan = match super::hours::note(&loadout.desired, &plan).filter(|_| !asked.assume_empty) {
        Some(note) => Plan { notes: plan.notes.iter().cloned().chain([note]).collect(), ..plan },
        None => plan,
    };
    engine::chosen(&loadout.desired, &plan, &asked.only)?;
    match asked.output {
        Output::Text => view::plan::show(&plan, &loadout.desired, &asked.only, detail(asked)),
        Output::Json => print_json_of(arguments.simulated.is_some(), &plan)?,
    }
    if let Some(out) = &asked.out {
        save(out, asked, arguments.environment.as_deref(), &plan)?;
    }
    if arguments.simulated.is_none() && !asked.assume_empty {
        hint(asked, &loadout, &plan);
    }
    Ok(if plan.is_blocked() {
        Done::Blocked
    } else if asked.exit_code && !plan.is_empty() {
        Done::Pending
    } else {
        Done::Well
    })
}

fn detail(asked: &arguments::Plan) -> Detail {
    if asked.full { Detail::Full } else { Detail::Brief("--full shows them") }
}

/// Whoever is refused by the real world may still try the spec out.
fn hint(asked: &arguments::Plan, loadout: &Loadout, plan: &Plan) {
    if super::nothing_reached(plan) && loadout.desired.missing.is_empty() && asked.output == Output::Text {
        crate::screen::remark!("→ {}, or `--assume-empty` to plan from nothing", super::TRY_OUT);
    }
}

fn save(out: &Path, asked: &arguments::Plan, environment: Option<&str>, plan: &Plan) -> Result<(), Problem> {
    let spec = std::path::absolute(&asked.file)
        .map_err(|error| Problem::new(Done::Usage, format!("cannot find {}: {error}", asked.file.display())))?;
    let digest = Digest::of(Texts::open(&asked.file, environment)?.whole());
    let environment = environment.map(String::from);
    let saved = Saved { spec, environment, digest, only: asked.only.clone(), plan: plan.clone() };
    let text = serde_json::to_string_pretty(&saved)
        .map_err(|error| Problem::new(Done::Bug, "the plan has no JSON form").because(error.to_string()))?;
    write(out, &text)
}

/// Whether a file may hold a saved plan; every other one is a spec.
fn is_of_a_plan(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

/// Reads a saved plan; nothing when the file is a spec.
pub(super) fn saved(path: &Path) -> Result<Option<Saved>, Problem> {
    if !is_of_a_plan(path) {
        return Ok(None);
    }
    let refuse = |why: String| {
        Problem::new(Done::Usage, format!("{} holds no plan that this version can read", path.display())).because(why)
    };
    let text = source::bounded(path, LARGEST).map_err(|error| match error.kind() {
        ErrorKind::InvalidData | ErrorKind::FileTooLarge => refuse(error.to_string()),
        ErrorKind::NotFound => cannot_read(path, &error).hint("`kubewright plan --out FILE` writes a plan"),
        _ => cannot_read(path, &error),
    })?;
    if !text.trim_start().starts_with('{') {
        return Ok(None);
    }
    let saved: Saved = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    if saved.plan.format != PLAN_FORMAT {
        return Err(refuse(format!("its format is {}, and this version reads {PLAN_FORMAT}", saved.plan.format)));
    }
    let again = Plan::new(saved.plan.cluster.clone(), saved.plan.ask.clone(), saved.plan.steps.clone(), Vec::new());
    if again.fingerprint != saved.plan.fingerprint {
        return Err(refuse("its steps are not those that it was made with".into()));
    }
    let spec = source::bounded(&saved.spec, MAX_BYTES).map_err(|error| {
        cannot_read(&saved.spec, &error)
            .because("it is the spec that this plan was made from")
            .hint("a plan holds only with its spec: put that back, or plan again")
    })?;
    let whole = match saved.environment.as_deref() {
        Some(name) => Texts::open(&saved.spec, Some(name))?.whole(),
        None => spec,
    };
    if Digest::of(whole) != saved.digest {
        let problem =
            Problem::new(Done::Blocked, format!("{} has changed since the plan was made", saved.spec.display()));
        return Err(problem.hint("nothing was touched; plan again"));
    }
    Ok(Some(saved))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Done::Usage, format!("cannot read {}", path.display())).because(error.to_string())
}
