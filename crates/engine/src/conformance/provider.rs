//! Rules of hands on machines.

use kubewright_model::desired::{Body, DesiredMachine};
use kubewright_model::ids::{NodeName, Owner, PlaceName};
use kubewright_model::observed::{MachineSeen, Power};
use kubewright_model::setting::Setting;
use kubewright_model::units::Size;
use kubewright_providers::{Doomed, ErrorKind, Provider, ProviderError, Wanted};

use super::{Broken, Rule, Verdict, broken, rule, settings, that};

/// The rules, in the order of their numbers.
pub const RULES: [Rule; 18] = [
    rule("P1", "`observe` MUST show every machine with the owner's mark, and no other"),
    rule("P2", "`observe` MUST name what is not ours among what is taken, with its number where it has one"),
    rule("P3", "`create` MUST leave a machine off, and marked from the same request on"),
    rule("P4", "`create` of a machine that is there and ours MUST return it and make no second one"),
    rule("P5", "`create` in the place of something else MUST fail with Conflict and change nothing"),
    rule("P6", "`start` MUST turn a machine on, and leave one alone that runs"),
    rule("P7", "`update` MUST change what differs and leave the power as it is"),
    rule("P8", "`update` MUST NOT shrink a disk: it fails with Invalid"),
    rule("P9", "what does not carry the mark MUST NOT be changed, started or deleted"),
    rule("P10", "`delete` MUST fail with Conflict where the number or the place is not the one that was seen"),
    rule("P11", "`delete` of what is gone MUST succeed"),
    rule("P12", "`preflight` MUST tell nothing of a machine that can be made"),
    rule(
        "P13",
        "`shut_down` MUST turn a machine off, and leave one alone that is off; the next `start` MUST put in force what waits for it",
    ),
    rule("P14", "a snapshot that is taken MUST be shown once, also when it is asked for twice"),
    rule("P15", "`delete_snapshots` MUST delete those that are named, and refuse one without our mark"),
    rule("P16", "a machine that is to become a template MUST be shown among the templates, and not among the machines"),
    rule(
        "P17",
        "`turn_into_template` MUST leave a template that never starts, also a second time, and no other machine",
    ),
    rule("P18", "`update` MUST change each setting by itself, on or off, and show it as it is wished"),
];

/// Hands, and what their world offers for the checks.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The hands.
    pub hands: &'a dyn Provider,
    /// The mark to work under; nothing carries it yet.
    pub owner: &'a Owner,
    /// A machine that can be made and deleted.
    pub machine: &'a DesiredMachine,
    /// Another one that wants the same number.
    pub clashing: &'a DesiredMachine,
    /// A machine that is there and not ours.
    pub foreign: &'a NodeName,
    /// A machine that is to become a template, where the hands make any.
    pub template: Option<&'a DesiredMachine>,
}

/// Checks every rule; returns those that are broken.
pub async fn check(case: Case<'_>) -> Vec<Broken> {
    let allowed = allowed(case).await;
    let made = created(case).await;
    let twice = created_twice(case).await;
    let clash = clash(case).await;
    let started = started(case).await;
    let updated = updated(case).await;
    let restarted = restarted(case).await;
    let shrunk = shrunk(case).await;
    let kept = snapshotted(case).await;
    let dropped = snapshots_deleted(case).await;
    let ours = only_ours(case).await;
    let taken = taken(case).await;
    let foreign = foreign(case).await;
    let refused = stays_a_machine(case).await;
    let (shown, turned) = templates(case).await;
    let turned = refused.and(turned);
    let each = each_setting(case).await;
    let moved = moved(case).await;
    let deleted = deleted(case).await;
    broken(
        &RULES,
        vec![
            ours, taken, made, twice, clash, started, updated, shrunk, foreign, moved, deleted, allowed, restarted,
            kept, dropped, shown, turned, each,
        ],
    )
}

fn told(error: ProviderError) -> String {
    format!("{:?}: {error}", error.kind)
}

fn fails<T: std::fmt::Debug>(answer: Result<T, ProviderError>, kinds: &[ErrorKind]) -> Verdict {
    match answer {
        Err(error) => that(kinds.contains(&error.kind), || told(error)),
        Ok(done) => Err(format!("it succeeded: {done:?}")),
    }
}

async fn seen(case: Case<'_>) -> Result<Option<MachineSeen>, String> {
    let inventory = case.hands.observe(case.owner).await.map_err(told)?;
    Ok(inventory.machines.get(&case.machine.name).cloned())
}

async fn there(case: Case<'_>) -> Result<MachineSeen, String> {
    seen(case).await?.ok_or_else(|| format!("{} is not shown", case.machine.name))
}

async fn only_ours(case: Case<'_>) -> Verdict {
    let inventory = case.hands.observe(case.owner).await.map_err(told)?;
    that(inventory.machines.keys().eq([&case.machine.name]), || format!("{:?}", inventory.machines.keys()))?;
    let stranger = Owner("a-mark-that-nothing-carries".into());
    let inventory = case.hands.observe(&stranger).await.map_err(told)?;
    that(inventory.machines.is_empty(), || format!("{:?} for a mark that nothing carries", inventory.machines.keys()))
}

async fn taken(case: Case<'_>) -> Verdict {
    let inventory = case.hands.observe(case.owner).await.map_err(told)?;
    let taken = inventory.taken.iter().find(|taken| taken.name == case.foreign.as_str());
    let taken = taken.ok_or_else(|| format!("{} is not among {:?}", case.foreign, inventory.taken))?;
    that(case.machine.vmid.is_none() || taken.vmid.is_some(), || format!("{taken:?} has no number"))
}

async fn allowed(case: Case<'_>) -> Verdict {
    let refused =
        case.hands.preflight(Wanted { machines: &[case.machine], ..Wanted::default() }).await.map_err(told)?;
    that(refused.is_empty(), || format!("{refused:?}"))
}

async fn created(case: Case<'_>) -> Verdict {
    let made = case.hands.create(case.machine, case.owner).await.map_err(told)?;
    that(made.power == Power::Stopped, || format!("it is {:?}", made.power))?;
    let there = there(case).await?;
    that(there.owner == *case.owner && there == made, || format!("made {made:?}, and there is {there:?}"))
}

async fn created_twice(case: Case<'_>) -> Verdict {
    let again = case.hands.create(case.machine, case.owner).await.map_err(told)?;
    let there = there(case).await?;
    that(again == there, || format!("returned {again:?}, and there is {there:?}"))
}

async fn clash(case: Case<'_>) -> Verdict {
    let before = there(case).await?;
    fails(case.hands.create(case.clashing, case.owner).await, &[ErrorKind::Conflict])?;
    let like = DesiredMachine { name: case.foreign.clone(), vmid: None, ..case.machine.clone() };
    fails(case.hands.create(&like, case.owner).await, &[ErrorKind::Conflict])?;
    let after = there(case).await?;
    that(before == after, || format!("{before:?} became {after:?}"))
}

async fn started(case: Case<'_>) -> Verdict {
    for time in ["once", "twice"] {
        let started = case.hands.start(&case.machine.name, case.owner).await.map_err(told)?;
        that(started.power == Power::Running, || format!("started {time}, it is {:?}", started.power))?;
    }
    Ok(())
}

async fn updated(case: Case<'_>) -> Verdict {
    let before = there(case).await?;
    let mut wish = case.machine.clone();
    // How many cores a server of a cloud has is its type's matter.
    let changed = if matches!(&*wish.body, Body::Server(_)) {
        wish.tags.push("checks=one".into());
        Setting::tags(&wish.tags)
    } else {
        let cores = wish.cores.unwrap_or(1) + 1;
        wish.cores = Some(cores);
        Setting::Cores(cores)
    };
    case.hands.update(&wish, case.owner).await.map_err(told)?;
    let after = there(case).await?;
    // Whether it waits for the next start is the machine's own matter.
    let mut wished = MachineSeen { pending: after.pending, ..before.clone() };
    wished.settings.set(changed);
    that(after == wished, || format!("{before:?} became {after:?}"))
}

/// Each setting alone: some while the machine runs, and the others while it is off.
async fn each_setting(case: Case<'_>) -> Verdict {
    // What a rule before this one has changed stays so.
    let cores = there(case).await?.settings.cores().or(case.machine.cores);
    let wishes = settings::wishes(case.machine);
    let half = wishes.len() / 2;
    for (number, wish) in wishes.into_iter().enumerate() {
        if number == half {
            case.hands.shut_down(&wish.name, case.owner).await.map_err(told)?;
        }
        let wish = DesiredMachine { cores, ..wish };
        let before = there(case).await?;
        case.hands.update(&wish, case.owner).await.map_err(told)?;
        settings::became(&wish, &before, &there(case).await?)?;
    }
    Ok(())
}

async fn restarted(case: Case<'_>) -> Verdict {
    for time in ["once", "twice"] {
        case.hands.shut_down(&case.machine.name, case.owner).await.map_err(told)?;
        let off = there(case).await?;
        that(off.power == Power::Stopped, || format!("shut down {time}, it is {:?}", off.power))?;
    }
    let again = case.hands.start(&case.machine.name, case.owner).await.map_err(told)?;
    that(again.power == Power::Running && !again.pending, || format!("started again, it is {again:?}"))?;
    let there = there(case).await?;
    that(there == again, || format!("it was {again:?}, and there is {there:?}"))
}

/// The names of two snapshots, in the order in which they are taken.
const SNAPSHOTS: [&str; 2] = ["kubewright-1-first", "kubewright-2-second"];

async fn snapshots(case: Case<'_>) -> Result<Vec<String>, String> {
    let inventory = case.hands.observe(case.owner).await.map_err(told)?;
    Ok(inventory.snapshots.get(&case.machine.name).cloned().unwrap_or_default())
}

async fn snapshotted(case: Case<'_>) -> Verdict {
    if !case.hands.can().snapshots {
        return Ok(());
    }
    for snapshot in [SNAPSHOTS[0], SNAPSHOTS[0], SNAPSHOTS[1]] {
        case.hands.take_snapshot(&case.machine.name, snapshot, case.owner).await.map_err(told)?;
    }
    let shown = snapshots(case).await?;
    that(shown == SNAPSHOTS, || format!("{shown:?} are shown"))
}

async fn snapshots_deleted(case: Case<'_>) -> Verdict {
    if !case.hands.can().snapshots {
        return Ok(());
    }
    let name = &case.machine.name;
    fails(case.hands.delete_snapshots(name, &["somebody-elses".into()], case.owner).await, &[ErrorKind::Invalid])?;
    for time in ["once", "twice"] {
        case.hands.delete_snapshots(name, &[SNAPSHOTS[0].into()], case.owner).await.map_err(told)?;
        let shown = snapshots(case).await?;
        that(shown == SNAPSHOTS[1..], || format!("deleted {time}, {shown:?} are shown"))?;
    }
    Ok(())
}

async fn stays_a_machine(case: Case<'_>) -> Verdict {
    let before = there(case).await?;
    fails(
        case.hands.turn_into_template(&case.machine.name, case.owner).await,
        &[ErrorKind::Conflict, ErrorKind::Invalid],
    )?;
    let after = there(case).await?;
    that(before == after, || format!("{before:?} became {after:?}"))
}

/// How a machine is shown that is to become a template, and what becomes of it.
async fn templates(case: Case<'_>) -> (Verdict, Verdict) {
    let Some(wish) = case.template else { return (Ok(()), Ok(())) };
    let shown = case.hands.create(wish, case.owner).await.map_err(told);
    let shown = match shown {
        Ok(_) => is_template(case, wish, false).await,
        Err(why) => Err(why),
    };
    (shown, turned(case, wish).await)
}

async fn is_template(case: Case<'_>, wish: &DesiredMachine, finished: bool) -> Verdict {
    let inventory = case.hands.observe(case.owner).await.map_err(told)?;
    let seen = inventory.templates.get(&wish.name);
    that(seen.is_some_and(|seen| seen.finished == finished), || format!("it is shown as {seen:?}"))?;
    that(!inventory.machines.contains_key(&wish.name), || "it is shown among the machines".into())
}

async fn turned(case: Case<'_>, wish: &DesiredMachine) -> Verdict {
    let name = &wish.name;
    case.hands.start(name, case.owner).await.map_err(told)?;
    for _ in ["once", "twice"] {
        case.hands.turn_into_template(name, case.owner).await.map_err(told)?;
        is_template(case, wish, true).await?;
    }
    fails(case.hands.start(name, case.owner).await, &[ErrorKind::Invalid, ErrorKind::NotFound])?;
    let doomed = Doomed { name, place: &wish.place, vmid: wish.vmid, owner: case.owner };
    case.hands.delete(doomed).await.map_err(told)?;
    let inventory = case.hands.observe(case.owner).await.map_err(told)?;
    that(inventory.templates.is_empty(), || format!("{:?} are still there", inventory.templates.keys()))
}

async fn shrunk(case: Case<'_>) -> Verdict {
    let Ok(tiny) = "1Mi".parse::<Size>() else { return Err("1Mi is no size".into()) };
    let wish = DesiredMachine { disk: Some(tiny), ..case.machine.clone() };
    fails(case.hands.update(&wish, case.owner).await, &[ErrorKind::Invalid])
}

async fn foreign(case: Case<'_>) -> Verdict {
    let kinds = [ErrorKind::Conflict, ErrorKind::NotFound];
    let wish = DesiredMachine { name: case.foreign.clone(), ..case.machine.clone() };
    fails(case.hands.update(&wish, case.owner).await, &kinds)?;
    fails(case.hands.start(case.foreign, case.owner).await, &kinds)?;
    let doomed = Doomed { name: case.foreign, place: &case.machine.place, vmid: None, owner: case.owner };
    // Not to find it under our mark is as good as to refuse it, as long as it stays.
    if let Err(error) = case.hands.delete(doomed).await {
        that(kinds.contains(&error.kind), || told(error))?;
    }
    taken(case).await
}

async fn moved(case: Case<'_>) -> Verdict {
    let there = there(case).await?;
    let elsewhere = PlaceName::from("a-place-that-is-not");
    let name = &case.machine.name;
    let doomed = Doomed { name, place: &elsewhere, vmid: there.vmid, owner: case.owner };
    fails(case.hands.delete(doomed).await, &[ErrorKind::Conflict])?;
    if there.vmid.is_some() {
        let doomed = Doomed { name, place: &there.place, vmid: None, owner: case.owner };
        fails(case.hands.delete(doomed).await, &[ErrorKind::Conflict])?;
    }
    Ok(())
}

async fn deleted(case: Case<'_>) -> Verdict {
    let before = there(case).await?;
    let doomed = Doomed { name: &case.machine.name, place: &before.place, vmid: before.vmid, owner: case.owner };
    case.hands.delete(doomed).await.map_err(told)?;
    that(seen(case).await?.is_none(), || "it is still there".into())?;
    case.hands.delete(doomed).await.map_err(told)
}
