//! Commands that change the world: `apply`, `destroy`, `rebuild`, `restore`, `replace`, `reboot`, `rotate`.

mod agree;
mod back;
mod end;
mod watch;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::Path;

use kubewright_engine::{EngineError, Request, Stop, engine};
use kubewright_model::bundle::DesiredBundle;
use kubewright_model::desired::Desired;
use kubewright_model::diagnostic::nearest;
use kubewright_model::event::{EVENT_FORMAT, Event, Record, RunEnd};
use kubewright_model::ids::NodeName;
use kubewright_model::plan::{Ask, Plan};

pub(super) use self::agree::agreed_to;
use self::agree::{agreed, agrees, answered};
use self::back::GoesBack;
pub(super) use self::back::{Throwaway, rebuild, rehearsed_into, restore, thrown_away};
use self::end::ended;
use self::watch::watch;
pub(super) use self::watch::{Signals, deaf};
use super::airgap;
use super::restore::Copy;
use super::take::{taken, taking};
use crate::arguments::backup::Make;
use crate::arguments::fleet::{Hours, UpdateOs};
use crate::arguments::rotate::Rotate;
use crate::arguments::{self, Arguments, Change, Destroy, Output, Reboot};
use crate::problem::{Done, Problem, listed};
use crate::screen::{BAD, CARE, counted, hand, paint, remark};
use crate::source::{self, Reading};
use crate::view;
use crate::view::plan::Detail;
use crate::world::{Site, holder, run_id};

/// One change of the world.
struct Wish<'a> {
    file: &'a Path,
    desired: Desired,
    ask: Ask,
    only: Vec<String>,
    approved: Option<Plan>,
    yes: bool,
    detail: Detail,
    output: Output,
    what: &'static str,
    hours: Hours,
    goes_back: GoesBack,
}

/// How much of a plan is shown to whoever is to agree to it.
fn detail(full: bool) -> Detail {
    if full { Detail::Full } else { Detail::Agreed }
}

pub(super) fn apply(arguments: &Arguments, apply: &arguments::Apply) -> Result<Done, Problem> {
    let saved = super::plan::saved(&apply.file)?;
    let (file, only, approved) = match saved {
        None => (apply.file.clone(), apply.only.clone(), None),
        Some(_) if !apply.take.is_empty() => {
            let problem =
                Problem::new(Done::Usage, "a saved plan is carried out as it is: `--take` adds nothing to it");
            return Err(problem.hint("plan again with `--take`, and save that"));
        }
        Some(_) if !apply.only.is_empty() => {
            let problem = Problem::new(Done::Usage, "a saved plan is carried out whole: `--only` cannot cut it");
            return Err(problem.hint("plan again with `--only`, and save that"));
        }
        Some(saved) if saved.environment != arguments.environment => {
            let problem = Problem::new(Done::Usage, "the plan was made for another environment");
            return Err(match &saved.environment {
                Some(name) => problem.hint(format!("carry it out with `--environment {name}`")),
                None => problem.hint("carry it out without `--environment`, and without KUBEWRIGHT_ENVIRONMENT"),
            });
        }
        Some(saved) => (saved.spec, saved.only, Some(saved.plan)),
    };
    let take = approved.as_ref().map_or_else(|| apply.take.clone(), taken);
    let loadout = source::read(&file, Reading::for_a_plan(arguments, apply.output))?;
    let desired = taking(airgap::by(arguments, &file, apply.bundle.as_deref(), loadout)?.desired, &take)?;
    let ask = approved.as_ref().map_or(Ask::Apply, |plan| plan.ask.clone());
    // A plan that was saved has been looked at.
    let yes = apply.yes || approved.is_some();
    let (detail, output) = (detail(apply.full), apply.output);
    carry_out(
        arguments,
        Wish {
            file: &file,
            desired,
            ask,
            only,
            approved,
            yes,
            detail,
            output,
            what: "apply",
            hours: apply.hours,
            goes_back: GoesBack::default(),
        },
    )
}

pub(super) fn destroy(arguments: &Arguments, destroy: &Destroy) -> Result<Done, Problem> {
    let change = &destroy.change;
    let desired = source::read(&change.file, Reading::of(arguments, change.output))?.desired;
    let desired = Desired { take_strays: destroy.leftovers, ..desired };
    carry_out(arguments, whole(change, desired, Ask::Destroy, "destroy"))
}

fn whole<'a>(change: &'a Change, desired: Desired, ask: Ask, what: &'static str) -> Wish<'a> {
    let (file, yes, detail, output) = (change.file.as_path(), change.yes, detail(change.full), change.output);
    let goes_back = GoesBack::default();
    Wish {
        file,
        desired,
        ask,
        only: Vec::new(),
        approved: None,
        yes,
        detail,
        output,
        what,
        hours: Hours::default(),
        goes_back,
    }
}

/// Carries out what doctor has planned.
pub(super) fn repair(
    arguments: &Arguments,
    doctor: &arguments::doctor::Doctor,
    desired: Desired,
    ask: Ask,
) -> Result<Done, Problem> {
    let (file, yes, output) = (doctor.file.as_path(), doctor.yes, doctor.output);
    let (only, approved, what) = (Vec::new(), None, "doctor --fix");
    carry_out(
        arguments,
        Wish {
            file,
            desired,
            ask,
            only,
            approved,
            yes,
            detail: detail(true),
            output,
            what,
            hours: doctor.hours,
            goes_back: GoesBack::default(),
        },
    )
}

pub(super) fn backup(
    arguments: &Arguments,
    make: &Make,
    bundle: DesiredBundle,
    desired: Desired,
) -> Result<Done, Problem> {
    let desired = Desired { bundle: Some(Box::new(bundle)), ..desired };
    let (file, yes, detail, output) = (make.file.as_path(), make.yes, detail(make.full), make.output);
    let (ask, only, approved, what) = (Ask::Backup, Vec::new(), None, "backup");
    carry_out(
        arguments,
        Wish {
            file,
            desired,
            ask,
            only,
            approved,
            yes,
            detail,
            output,
            what,
            hours: Hours::default(),
            goes_back: GoesBack::default(),
        },
    )
}

pub(super) fn replace(arguments: &Arguments, replace: &arguments::Replace) -> Result<Done, Problem> {
    let loadout = source::read(&replace.file, Reading::of(arguments, replace.output))?;
    let desired = airgap::by(arguments, &replace.file, replace.bundle.as_deref(), loadout)?.desired;
    let known: Vec<&str> = desired.machines.iter().map(|machine| machine.name.as_str()).collect();
    if let Some(unknown) = replace.nodes.iter().find(|node| !known.contains(&node.as_str())) {
        let problem = Problem::new(Done::Usage, format!("{} has no node `{unknown}`", desired.cluster));
        return Err(match nearest(unknown, known.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("its nodes are {}", listed(&known))),
        });
    }
    let nodes = || replace.nodes.iter().map(|node| NodeName::new(node.as_str())).collect();
    let ask = if replace.outdated { Ask::ReplaceOutdated } else { Ask::Replace(nodes()) };
    let (file, yes, detail, output) = (replace.file.as_path(), replace.yes, detail(replace.full), replace.output);
    let (only, approved, what) = (Vec::new(), None, "replace");
    carry_out(
        arguments,
        Wish {
            file,
            desired,
            ask,
            only,
            approved,
            yes,
            detail,
            output,
            what,
            hours: replace.hours,
            goes_back: GoesBack::default(),
        },
    )
}

pub(super) fn reboot(arguments: &Arguments, reboot: &Reboot) -> Result<Done, Problem> {
    let desired = source::read(&reboot.file, Reading::of(arguments, reboot.output))?.desired;
    let all = reboot.all.then(|| "all".to_string());
    let words: Vec<String> = reboot.nodes.iter().chain(&reboot.pool).cloned().chain(all).collect();
    let nodes = super::enter::chosen(&desired, &words)?.into_iter().map(|host| host.name.clone()).collect();
    let ask = if reboot.if_needed { Ask::RebootNeeded(nodes) } else { Ask::Reboot(nodes) };
    let (file, yes, detail, output) = (reboot.file.as_path(), reboot.yes, Detail::Agreed, reboot.output);
    let (only, approved, what) = (Vec::new(), None, "reboot");
    carry_out(
        arguments,
        Wish {
            file,
            desired,
            ask,
            only,
            approved,
            yes,
            detail,
            output,
            what,
            hours: reboot.hours,
            goes_back: GoesBack::default(),
        },
    )
}

pub(super) fn rotate(arguments: &Arguments, rotate: &Rotate) -> Result<Done, Problem> {
    let change = &rotate.change;
    let desired = source::read(&change.file, Reading::of(arguments, change.output))?.desired;
    let desired = Desired { without_backup: rotate.without_backup, ..desired };
    let wish = whole(change, desired, Ask::Rotate(rotate.what.asked()?), "rotate");
    carry_out(arguments, Wish { hours: rotate.hours, ..wish })
}

pub(super) fn update_os(arguments: &Arguments, update: &UpdateOs) -> Result<Done, Problem> {
    let desired = source::read(&update.file, Reading::of(arguments, update.output))?.desired;
    let all = update.all.then(|| "all".to_string());
    let words: Vec<String> = update.nodes.iter().chain(&update.pool).cloned().chain(all).collect();
    let nodes = super::enter::chosen(&desired, &words)?.into_iter().map(|host| host.name.clone()).collect();
    let ask = Ask::UpdateOs(nodes);
    let (file, yes, detail, output) = (update.file.as_path(), update.yes, Detail::Agreed, update.output);
    let (only, approved, what) = (Vec::new(), None, "update-os");
    let goes_back = GoesBack::default();
    carry_out(
        arguments,
        Wish { file, desired, ask, only, approved, yes, detail, output, what, hours: update.hours, goes_back },
    )
}

/// Plans, shows, asks, and does it.
fn carry_out(arguments: &Arguments, wish: Wish<'_>) -> Result<Done, Problem> {
    let (file, desired) = (wish.file, wish.desired.clone());
    Site::change(arguments, file, &desired, async move |site| {
        let mut wish = Wish { desired: leftovers(site, &wish).await?, ..wish };
        if let Ask::UpdateOs(nodes) = &wish.ask {
            super::outdated::refreshed(site, &wish.desired, nodes).await;
        }
        let mut copy = back::unpacked(arguments, site, &mut wish)?;
        let wish = wish;
        let looked;
        let mut request = Request {
            desired: &wish.desired,
            ask: wish.ask.clone(),
            only: &wish.only,
            approved: wish.approved.as_ref(),
            run: run_id(),
            holder: holder(wish.what),
        };
        let mut begun = None;
        if wish.approved.is_none() && wish.yes && wish.hours.begins_at_once() {
            // Nobody is waited for, so the run that shows its plan is the one that carries it out.
            let shown = begun.insert(site.engine.begin(&request, &Stop::default()).await?);
            if !worth_it(arguments, &wish, shown.plan())? {
                return Ok(Done::Well);
            }
            back::meant(&wish, shown.lives())?;
            super::hours::open(&wish.desired, shown.plan(), wish.hours)?;
        } else if wish.approved.is_none() {
            let planned = site.engine.plan_patiently(&wish.desired, &wish.ask, &wish.only, &BTreeSet::new()).await?;
            // Whoever is asked names it then.
            back::meant(&wish, false)?;
            looked = planned.plan;
            if !worth_it(arguments, &wish, &looked)? {
                return Ok(Done::Well);
            }
            super::hours::open(&wish.desired, &looked, wish.hours)?;
            if !looked.is_empty() && !wish.yes {
                agreed(&wish.desired.cluster, &looked)?;
            }
            super::hours::kept(site, &wish.desired, &looked, wish.hours).await?;
            // What runs is what somebody has looked at, or what was planned before the wait; or nothing.
            request.approved = Some(&looked);
        }
        if matches!(wish.ask, Ask::Destroy | Ask::Rebuild | Ask::Restore) {
            site.announce_end();
        }
        copy.iter_mut().for_each(Copy::stays);
        if let Some(plan) = &wish.approved {
            super::hours::kept(site, &wish.desired, plan, wish.hours).await?;
        }
        let before = site.breaches().len();
        let report =
            watch(site, begun, &request, (wish.output, arguments.pace().filter(|_| site.engine.simulated()))).await?;
        let again = site.again(wish.file);
        let mut done = ended(&report, &wish, &again);
        if matches!(wish.ask, Ask::Rebuild | Ask::Restore) && done != Done::Bug {
            done = super::rebuild::told(site, &wish.desired.cluster, &report, (&wish.ask, wish.output), done)?;
        }
        back::over(arguments, &wish, &report);
        if done == Done::Well && !site.engine.simulated() && site.engine.keeps_kubeconfig(&wish.desired.cluster) {
            remark!("→ `kubewright kubeconfig {again}` writes the way in for kubectl");
        }
        let breaches = site.breaches().split_off(before);
        for breach in &breaches {
            remark!(
                "{} the pretend data centre was asked for what no right plan asks for: {breach}",
                paint(BAD, "BUG")
            );
        }
        Ok(if breaches.is_empty() { done } else { Done::Bug })
    })
}

/// What the cluster itself has made at its cloud is asked for by itself: people may want what is in its volumes. Where nobody
/// can be asked it stays, and the plan says so.
async fn leftovers(site: &Site<'_>, wish: &Wish<'_>) -> Result<Desired, Problem> {
    let desired = wish.desired.clone();
    if wish.ask != Ask::Destroy || desired.take_strays || wish.yes || !std::io::stdin().is_terminal() {
        return Ok(desired);
    }
    let observed = site.engine.status(&desired).await;
    let strays: Vec<String> = observed
        .providers
        .values()
        .filter_map(|seen| seen.present())
        .flat_map(|inventory| inventory.strays.iter().map(ToString::to_string))
        .collect();
    if strays.is_empty() {
        return Ok(desired);
    }
    remark!("the cluster itself has made {}:", counted(strays.len(), "thing"));
    strays.iter().for_each(|stray| remark!("  {} {stray}", paint(BAD, "-")));
    let question = format!("{} delete them too, volumes with their data? [y/N]", paint(CARE, "?"));
    Ok(Desired { take_strays: answered(&question).is_some_and(|answer| agrees(&answer, "y")), ..desired })
}

/// Shows a plan; whether there is anything to do in it that can be done.
fn worth_it(arguments: &Arguments, wish: &Wish<'_>, plan: &Plan) -> Result<bool, Problem> {
    engine::chosen(&wish.desired, plan, &wish.only)?;
    if wish.output == Output::Text {
        view::plan::show(plan, &wish.desired, &wish.only, wish.detail);
    }
    if plan.is_blocked() {
        let blocked = match wish.output {
            Output::Text => Problem::new(Done::Blocked, "the plan is blocked; nothing was touched"),
            // Nobody has seen the plan.
            Output::Json => Problem::from(EngineError::Blocked(plan.notes.clone())),
        };
        let reached = arguments.simulated.is_some() || !super::nothing_reached(plan);
        return Err(if reached { blocked } else { blocked.hint(super::TRY_OUT) });
    }
    if matches!(wish.ask, Ask::Rebuild | Ask::Restore) {
        // One that goes on, and has nothing left to do, still has to be proven.
        return Ok(true);
    }
    if plan.is_empty() && wish.output == Output::Json {
        let addresses = Default::default();
        let event = Event::RunEnded { end: RunEnd::Complete, done: 0, already: 0, failed: 0, left: 0, addresses };
        line(&Record { format: EVENT_FORMAT, seq: 0, at: 0, event });
    }
    Ok(!plan.is_empty())
}

/// Prints an event for a program.
fn line(record: &Record) {
    if let Ok(line) = serde_json::to_string(record) {
        hand!("{line}");
    }
}
