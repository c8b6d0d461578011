//! Machines that are thrown away: those of another cluster file, that has nothing in common with the live one. The bundle is
//! restored there as after the loss of everything, the cluster is proven, and all of it goes again.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use kubewright_engine::Loadout;
use kubewright_engine::backup;
use kubewright_engine::sops::Identities;
use kubewright_model::desired::Desired;

use super::again;
use super::parts::{Came, Part};
use crate::arguments::backup::Rehearse;
use crate::arguments::{Arguments, Output};
use crate::commands::change::{self, Throwaway};
use crate::problem::{Done, Problem};
use crate::screen::{counted, remark};
use crate::source::{self, Reading};

const NAME: &str = "machines that are thrown away";
/// So many objects of a kind are named; a cluster may have thousands.
const SHOWN: usize = 5;

/// Reads the other cluster file. One that shares anything with the live cluster is refused.
pub(super) fn read(arguments: &Arguments, into: &Path, live: &Loadout, output: Output) -> Result<Loadout, Problem> {
    // The environment is the live cluster's.
    let reading = Reading { environment: None, ..Reading::of(arguments, output) };
    let other = source::read(into, reading)?;
    let shared = shared(&live.desired, &other.desired);
    if !shared.is_empty() {
        let why = format!("{} is no throwaway: it shares with the live cluster {}", into.display(), shared.join(", "));
        return Err(Problem::new(Done::Blocked, format!("{why}; nothing was touched"))
            .hint("write a file whose cluster, machines, numbers and addresses are others"));
    }
    if live.desired.hetzner.is_some() {
        let why = "the live cluster has controllers of Hetzner Cloud in it, which would act on its project from the restored one";
        return Err(
            Problem::new(Done::Blocked, format!("{why}; nothing was touched")).hint("rehearse without `--into`")
        );
    }
    Ok(other)
}

/// Whether nothing that is restored acts on what the live cluster uses. Where the machines are does not tell: mostly in the same
/// network.
pub(super) fn stays_inside(name: &str, bundle: &File, keys: &Identities) -> Result<(), Problem> {
    let outside = match backup::outside(bundle, keys) {
        Ok(outside) => outside,
        // What is wrong with it is told where it is opened.
        Err(_) => return Ok(()),
    };
    let Some(outside) = outside else {
        let why = format!("{name} has no objects that would tell what of it reaches outside of its cluster");
        return Err(refused(why));
    };
    if outside.is_empty() {
        return Ok(());
    }
    let why = "what is restored would act on what the live cluster uses".to_string();
    let told = outside.iter().map(|(deed, objects)| {
        let shown = objects.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = objects.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{deed}: {shown}{more}")
    });
    Err(told.fold(refused(why), Problem::because))
}

fn refused(why: String) -> Problem {
    Problem::new(Done::Blocked, format!("{why}; nothing was touched"))
        .hint("give these machines a network from which none of that is reached, and say so: `--isolated`")
}

/// What two clusters have in common, and must not.
fn shared(live: &Desired, other: &Desired) -> Vec<String> {
    let mut found = Vec::new();
    if live.cluster == other.cluster {
        found.push(format!("the name {}", live.cluster));
    }
    let both = |word: &str, of: &dyn Fn(&Desired) -> BTreeSet<String>| {
        let (here, there) = (of(live), of(other));
        here.intersection(&there).map(|it| format!("{word} {it}")).collect::<Vec<_>>()
    };
    found.extend(both("the machine", &|of| of.machines.iter().map(|it| it.name.to_string()).collect()));
    found.extend(both("the number", &|of| of.machines.iter().filter_map(|it| Some(it.vmid?.to_string())).collect()));
    found.extend(both("the address", &|of| addresses(of).iter().map(ToString::to_string).collect()));
    found.extend(both("the host", &|of| of.hosts.iter().filter_map(|it| it.way.name.clone()).collect()));
    found
}

fn addresses(of: &Desired) -> BTreeSet<IpAddr> {
    let machines = of.machines.iter().filter_map(|machine| machine.address);
    let hosts = of.hosts.iter().filter_map(|host| host.way.address);
    machines.chain(hosts).chain(of.kubernetes.endpoint.address()).collect()
}

/// Restores there, and throws it away.
pub(super) fn part(
    arguments: &Arguments,
    wish: &Rehearse,
    into: &Path,
    other: Loadout,
    bundle: &File,
) -> Result<Part, Problem> {
    let (began, machines) = (Instant::now(), other.desired.machines.len());
    let other = other.desired;
    remark!("what is restored acts as the live cluster does: what it reaches outside of itself, it may change");
    let throwaway =
        |bundle| Throwaway { file: into, desired: other.clone(), bundle, yes: wish.yes, output: wish.output };
    let came = change::rehearsed_into(arguments, throwaway(Some(again(bundle)?)));
    let gone = match wish.keep {
        true => "they stay".to_string(),
        // Nobody agreed to anything: nothing is there that could go.
        false if came.as_ref().is_err_and(Problem::is_blocked) => "nothing was made".into(),
        false => match change::thrown_away(arguments, throwaway(None)) {
            Ok(Done::Well) => "they are gone again".into(),
            Ok(_) | Err(_) => format!("**they are not all gone**: `kubewright destroy {}`", into.display()),
        },
    };
    let (is_it, saw) = match &came {
        Ok(Done::Well) => (true, "the cluster came up, every check holds, and its canary is the bundle's".to_string()),
        Ok(Done::Unhealthy) => (false, "the cluster came up, and not every check holds".to_string()),
        Ok(_) => (false, "the cluster did not come up".to_string()),
        Err(problem) => (false, problem.in_a_line()),
    };
    let saw = format!("{} of {}: {saw}; {gone}", counted(machines, "machine"), other.cluster);
    let came = match (is_it, arguments.simulated.is_some()) {
        (true, false) => Came::Proven,
        (true, true) => Came::Simulated,
        (false, _) => Came::Failed,
    };
    Ok(Part::real(NAME, began, came, saw))
}
