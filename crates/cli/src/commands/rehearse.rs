//! `kubewright rehearse`.

use std::time::Instant;

use kubewright_engine::pace::Pace;
use kubewright_engine::rehearse::{Scene, Script, minor_before, rehearse, talos_before, version_before};
use kubewright_engine::{Engine, Loadout, sim};
use kubewright_model::desired::Desired;
use kubewright_model::event::Event;
use kubewright_model::version::Version;
use kubewright_report::{Looked, built};

use super::{documents, print_json_of};
use crate::arguments::{Arguments, Output, Rehearse};
use crate::problem::{Done, Problem, listed};
use crate::screen::{PRETEND, paint, remark};
use crate::source::{self, Reading};
use crate::view::rehearsal::{Play, show};

pub(super) fn run(arguments: &Arguments, asked: &Rehearse) -> Result<Done, Problem> {
    let began = Instant::now();
    let wanted = asked.docs.as_deref().map(|path| documents::form(path).map(|form| (path, form))).transpose()?;
    let loadout =
        source::read(&asked.file, Reading { environment: arguments.environment.as_deref(), ..Reading::default() })?;
    let desired = &loadout.desired;
    for target in asked.faults.iter().filter_map(|fault| fault.target.as_ref()) {
        if desired.machine(target).is_none() {
            let problem = Problem::new(Done::Usage, format!("there is no machine `{target}` for the fault"));
            let names: Vec<&str> = desired.machines.iter().map(|machine| machine.name.as_str()).collect();
            return Err(problem.hint(format!("machines are {}", listed(&names))));
        }
    }
    let from = match &asked.from {
        Some(text) => Some(from(text, &desired.kubernetes.version)?),
        None => version_before(&desired.kubernetes.version),
    };
    let before = from.map(|version| older(&loadout, &version, asked.from.is_some())).transpose()?;
    let script = Script { desired, before: before.as_ref(), seed: asked.seed, faults: &asked.faults };
    let mut play = (asked.output == Output::Text).then(Play::new);
    let mut pace = Pace::new(asked.pace.pace);
    if play.is_some() {
        remark!("{}", paint(PRETEND, format!("rehearsing {} in a simulated data centre", desired.cluster)));
    }
    let spec = documents::named(arguments, &asked.file);
    let mut page = None;
    let mut records = Vec::new();
    let ran = sim::run(rehearse(&script, &mut |scene| {
        if let Scene::Plays(record) = &scene {
            pace.keep(record, |at| {
                play.iter_mut().for_each(|play| play.tick(at));
                true
            });
        }
        if let Some(play) = &mut play {
            play.watch(&scene);
        }
        match (&scene, wanted) {
            // A record is the first of its run where it begins one.
            (Scene::Plays(record), Some(_)) if page.is_none() => {
                if matches!(record.event, Event::RunStarted { .. }) {
                    records.push(Vec::new());
                }
                if let Some(run) = records.last_mut() {
                    run.push((*record).clone());
                }
            }
            (Scene::Stands(observed, checks), Some((path, form))) => {
                let built = built(records.iter().map(Vec::as_slice));
                let looked = Looked { observed: Some(observed), checks, built };
                let stands = documents::page(&loadout, &looked, asked.language.into(), true, &spec);
                page = Some((path, documents::render(&stands, form)));
            }
            _ => {}
        }
    }));
    if let Some(play) = &play {
        play.end();
    }
    let rehearsal = ran.map_err(|error| Problem::new(Done::Unfinished, format!("cannot start: {error}")))??;
    match asked.output {
        Output::Text => show(&rehearsal, u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)),
        Output::Json => print_json_of(true, &rehearsal)?,
    }
    if let Some((path, page)) = page {
        super::write(path, page?)?;
    }
    Ok(if rehearsal.good() { Done::Well } else { Done::Unfinished })
}

/// The version that the upgrade starts from: an older one.
fn from(text: &str, now: &Version) -> Result<Version, Problem> {
    let version: Version = text.parse().map_err(|why| Problem::new(Done::Usage, format!("`{text}`: {why}")))?;
    if version < *now {
        return Ok(version);
    }
    let problem = Problem::new(Done::Usage, format!("`--from {version}` is not older than the spec's {now}"));
    Err(problem.hint("an upgrade goes from an older version to the one in the spec"))
}

/// The same cluster with an older version, and the Talos of the minor version before, as far as that runs it.
fn older(loadout: &Loadout, version: &Version, chosen: bool) -> Result<Desired, Problem> {
    let talos = loadout.file.spec.kubernetes.talos.as_ref().and_then(|talos| talos_before(&talos.version));
    let minor = minor_before(&loadout.desired.kubernetes.version).filter(|_| !chosen);
    let both =
        talos.iter().flat_map(|talos| [Some(version), minor.as_ref()].into_iter().flatten().map(move |it| (it, talos)));
    for (version, talos) in both {
        if let Ok(loadout) = Engine::load_as(loadout, version, Some(talos)) {
            return Ok(loadout.desired);
        }
    }
    Engine::load_as(loadout, version, None).map(|loadout| loadout.desired).map_err(|_| {
        let now = &loadout.desired.kubernetes.version;
        Problem::new(Done::Usage, format!("the spec does not hold with {version} in the place of {now}"))
    })
}
