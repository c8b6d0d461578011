//! Rules of hands on hosts.

use kubewright_hosts::{DialError, Holes, HostError, Hosts, Probe};
use kubewright_model::desired::Way;
use kubewright_model::host::{FileWish, HostResource};
use kubewright_model::ids::{NodeName, Owner};
use kubewright_model::net::HostPort;
use kubewright_model::observed::{HostSeen, Seen};
use kubewright_model::plan::HostChange;
use kubewright_model::recipe::{Effect, Recipe, RecipeStep};
use kubewright_model::secret::Secret;
use kubewright_model::text::Text;
use kubewright_planner::diff::host::differing;
use tokio::io::AsyncReadExt as _;

use super::{Broken, Rule, Verdict, broken, rule, that};

/// The rules, in the order of their numbers.
pub const RULES: [Rule; 14] = [
    rule("H1", "`observe` MUST tell the operating system and the architecture of a host that answers"),
    rule("H2", "`observe` of a host that does not answer MUST be unknown, never absent"),
    rule("H3", "`observe` MUST show what was asked for and MAY leave out everything else"),
    rule("H4", "`change` MUST make its resources true, so that a look finds no difference"),
    rule("H5", "`change` MUST change nothing the second time, and say so"),
    rule("H6", "`change` with a hole that nobody filled MUST fail with Hole and write nothing of that file"),
    rule("H7", "`change` of a host that does not answer MUST fail in a way that may pass"),
    rule("H8", "`run` MUST fail for good where a command does, and name the command"),
    rule("H9", "the value of a hole MUST NOT be in a sight, a report or an error"),
    rule("H10", "`observe` MUST tell what was touched by `change` since the host was as before, and nothing else"),
    rule("H11", "`change` MUST put back what was there before what it unmakes, and change nothing the second time"),
    rule("H12", "`change` MUST write down whose the host is until it is as before, and do nothing on another's"),
    rule(
        "H13",
        "`dial` MUST connect from the host's side, and tell a place that refuses from a host that does not answer",
    ),
    rule("H14", "`examine` MUST change nothing on a host, and MUST be unknown for one that does not answer"),
];

/// Hands, and what their world offers for the checks.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The hands.
    pub hands: &'a dyn Hosts,
    /// A host that answers.
    pub host: &'a NodeName,
    /// How it is reached.
    pub way: &'a Way,
    /// A host that does not answer.
    pub silent: &'a NodeName,
    /// How that one would be reached.
    pub silent_way: &'a Way,
    /// Resources that are not true of the host yet and may be made so.
    pub resources: &'a [HostResource],
}

const PATH: &str = "/etc/kubewright-conformance";
const HOLE: &str = "secret/conformance";
const VALUE: &str = "7f3c-not-to-be-seen";

/// Checks every rule; returns those that are broken.
pub async fn check(case: Case<'_>) -> Vec<Broken> {
    let before = look(case, &everything(case)).await;
    let verdicts = vec![
        answers(case).await,
        silent(case).await,
        asked_for(case).await,
        made_true(case).await,
        made_once(case).await,
        hole(case).await,
        unreachable(case).await,
        failing_command(case).await,
        hidden(case).await,
        remembered(case).await,
        put_back(case, before).await,
        owned(case).await,
        dialed(case).await,
        examined(case).await,
    ];
    broken(&RULES, verdicts)
}

/// All that is made true on the way.
fn everything(case: Case<'_>) -> Vec<HostResource> {
    case.resources.iter().cloned().chain([secret_file()]).collect()
}

/// What is on a host of ours; what else is true of it changes by itself.
async fn look(case: Case<'_>, resources: &[HostResource]) -> Result<HostSeen, String> {
    match case
        .hands
        .observe(Probe { host: case.host, way: case.way, resources, holds_data: false, updates: false })
        .await
    {
        // Its clock goes on.
        Seen::Present(seen) => Ok(HostSeen { facts: None, at: None, ..seen }),
        other => Err(format!("{other:?}")),
    }
}

fn change(case: Case<'_>, make: &[HostResource]) -> HostChange {
    HostChange {
        host: case.host.clone(),
        way: case.way.clone(),
        owner: Some(Owner("conformance".into())),
        make: make.to_vec(),
        unmake: Vec::new(),
    }
}

fn secret_file() -> HostResource {
    HostResource::File(FileWish::new(PATH, Text::hole(HOLE), 0o600))
}

async fn answers(case: Case<'_>) -> Verdict {
    let seen = look(case, &[]).await?;
    that(!seen.os.is_empty() && !seen.arch.is_empty(), || format!("os `{}`, architecture `{}`", seen.os, seen.arch))
}

async fn silent(case: Case<'_>) -> Verdict {
    let seen = case
        .hands
        .observe(Probe { host: case.silent, way: case.silent_way, resources: &[], holds_data: false, updates: false })
        .await;
    that(seen.why_unknown().is_some(), || format!("{seen:?}"))
}

async fn asked_for(case: Case<'_>) -> Verdict {
    let none = look(case, case.resources).await?;
    let missing = differing(case.resources, &none, &Default::default()).len();
    that(missing == case.resources.len(), || format!("{missing} of {} are not there yet", case.resources.len()))
}

async fn made_true(case: Case<'_>) -> Verdict {
    let report = case.hands.change(&change(case, case.resources), &Holes::new()).await;
    let report = report.map_err(|error| error.to_string())?;
    that(report.changed, || "it says that nothing changed".into())?;
    let seen = look(case, case.resources).await?;
    let left: Vec<String> =
        differing(case.resources, &seen, &Default::default()).into_iter().map(|it| it.field.field).collect();
    that(left.is_empty(), || format!("not true: {}", left.join(", ")))
}

async fn made_once(case: Case<'_>) -> Verdict {
    let before = look(case, case.resources).await?;
    let report = case.hands.change(&change(case, case.resources), &Holes::new()).await;
    let report = report.map_err(|error| error.to_string())?;
    that(!report.changed, || "it says that something changed".into())?;
    let after = look(case, case.resources).await?;
    that(before == after, || format!("{before:?} became {after:?}"))
}

async fn hole(case: Case<'_>) -> Verdict {
    match case.hands.change(&change(case, &[secret_file()]), &Holes::new()).await {
        Err(HostError::Hole { hole, .. }) if hole.as_str() == HOLE => {}
        other => return Err(format!("{other:?}")),
    }
    let seen = look(case, &[secret_file()]).await?;
    that(!seen.files.contains_key(PATH), || format!("{PATH} was written"))
}

async fn unreachable(case: Case<'_>) -> Verdict {
    let change = HostChange { host: case.silent.clone(), way: case.silent_way.clone(), ..change(case, case.resources) };
    match case.hands.change(&change, &Holes::new()).await {
        Err(error) => that(error.may_pass(), || error.to_string()),
        Ok(report) => Err(format!("{report:?}")),
    }
}

async fn failing_command(case: Case<'_>) -> Verdict {
    let program = "/usr/local/bin/kubewright-conformance-is-not-there";
    let recipe = Recipe {
        title: "a command that fails".into(),
        effect: Effect::Snapshot,
        version: None,
        steps: vec![RecipeStep::Run(vec![program.into()])],
        gives: Vec::new(),
    };
    match case.hands.run(case.host, case.way, &recipe, &Holes::new(), &|_| {}).await {
        Err(error @ HostError::Failed { .. }) => {
            that(!error.may_pass() && error.to_string().contains(program), || error.to_string())
        }
        other => Err(format!("{other:?}")),
    }
}

async fn hidden(case: Case<'_>) -> Verdict {
    let holes = Holes::from([(HOLE.into(), Secret::new(VALUE.into()))]);
    let report = case.hands.change(&change(case, &[secret_file()]), &holes).await;
    let seen = look(case, &[secret_file()]).await?;
    that(seen.files.contains_key(PATH), || format!("{PATH} was not written"))?;
    let told = format!("{report:?} {seen:?}");
    that(!told.contains(VALUE), || "it is in a report or a sight".into())
}

async fn remembered(case: Case<'_>) -> Verdict {
    let seen = look(case, &[]).await?;
    let untouched = HostResource::File(FileWish::new("/etc/passwd", "", 0o644)).key();
    that(!seen.ours.contains_key(&untouched), || "it tells what nobody touched".into())?;
    let missing: Vec<String> =
        everything(case).iter().map(HostResource::key).filter(|key| !seen.ours.contains_key(key)).collect();
    that(missing.is_empty(), || format!("it does not tell: {}", missing.join(", ")))
}

async fn put_back(case: Case<'_>, before: Result<HostSeen, String>) -> Verdict {
    let ours = look(case, &[]).await?.ours;
    let leave = HostChange { unmake: ours.into_keys().collect(), ..change(case, &[]) };
    for changed in [true, false] {
        let report = case.hands.change(&leave, &Holes::new()).await.map_err(|error| error.to_string())?;
        that(report.changed == changed, || format!("{report:?}"))?;
        let (before, after) = (before.clone()?, look(case, &everything(case)).await?);
        that(before == after, || format!("{before:?} became {after:?}"))?;
    }
    Ok(())
}

/// The host is as it was before by now.
async fn owned(case: Case<'_>) -> Verdict {
    let owner = |name: &str| Some(Owner(name.into()));
    let take = |name| HostChange { owner: owner(name), ..change(case, case.resources) };
    case.hands.change(&take("conformance"), &Holes::new()).await.map_err(|error| error.to_string())?;
    let seen = look(case, case.resources).await?;
    that(seen.owner == owner("conformance"), || format!("it belongs to {:?}", seen.owner))?;
    match case.hands.change(&take("another"), &Holes::new()).await {
        Err(HostError::Failed { why, .. }) if why.contains("conformance") => {}
        other => return Err(format!("{other:?}")),
    }
    let after = look(case, case.resources).await?;
    that(seen == after, || format!("{seen:?} became {after:?}"))?;
    let leave = HostChange { unmake: seen.ours.into_keys().collect(), ..change(case, &[]) };
    case.hands.change(&leave, &Holes::new()).await.map_err(|error| error.to_string())?;
    let left = look(case, &[]).await?.owner;
    that(left.is_none(), || format!("it still belongs to {left:?}"))
}

/// From its own side a host finds its own SSH daemon, which greets first (RFC 4253, 4.2).
async fn dialed(case: Case<'_>) -> Verdict {
    let address = case.way.address.ok_or("the host of the case has no address")?.to_string();
    let at = |port| HostPort::new(address.as_str(), port);
    let dialed = case.hands.dial(case.host, case.way, &at(case.way.port)).await;
    let mut heard = [0; 4];
    dialed
        .map_err(|error| error.to_string())?
        .stream
        .read_exact(&mut heard)
        .await
        .map_err(|error| error.to_string())?;
    that(heard == *b"SSH-", || format!("its SSH daemon says {heard:?}"))?;
    match case.hands.dial(case.host, case.way, &at(1)).await.err() {
        Some(DialError::Refused) => {}
        other => return Err(format!("a port on which nobody listens: {other:?}")),
    }
    match case.hands.dial(case.silent, case.silent_way, &at(case.way.port)).await.err() {
        Some(DialError::Host(error)) => that(error.may_pass(), || error.to_string()),
        other => Err(format!("a host that does not answer: {other:?}")),
    }
}

async fn examined(case: Case<'_>) -> Verdict {
    let before = look(case, &everything(case)).await?;
    let seen = case.hands.examine(case.host, case.way).await;
    that(seen.present().is_some(), || format!("it answers: {seen:?}"))?;
    let after = look(case, &everything(case)).await?;
    that(before.files == after.files && before.units == after.units, || format!("{before:?}, then {after:?}"))?;
    let silent = case.hands.examine(case.silent, case.silent_way).await;
    that(silent.why_unknown().is_some(), || format!("it does not answer: {silent:?}"))
}
