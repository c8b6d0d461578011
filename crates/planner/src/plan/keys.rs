//! Another SSH key in the place of one that lies on this computer, so that nobody is ever locked out: every host lets the new
//! one in beside the old one, and has let us in by it, before it takes the file; and the old one is taken away after that.
//!
//! What lies on this computer tells how far it is, so one that was cut is gone on with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::{Desired, DesiredHost, THIS_COMPUTER};
use kubewright_model::host::{HostResource, bare_key};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Action, Stage, Step, Weight};
use kubewright_model::rotation::{BEFORE, KeyPart, KeySeen, NEXT};

use super::draft::{Draft, id};
use super::standing::{Node, Standing, Standings};
use crate::holders::Holders;

/// Whoever is away is told how it goes on.
const AGAIN: &str = "once it is back, `kubewright rotate ssh-keys` again";

/// A host that lets us in by a key.
struct Door<'a> {
    host: &'a DesiredHost,
    /// Why nothing can be done on it now.
    away: Option<String>,
}

/// Every host that there is, by the key's file that leads into it, and those of which the spec names none.
#[derive(Default)]
struct Doors<'a> {
    files: BTreeMap<Arc<str>, Vec<Door<'a>>>,
    keyless: Vec<NodeName>,
    talos: bool,
}

pub(super) fn plan<'a>(desired: &'a Desired, observed: &'a Observed) -> Draft<'a> {
    let mut draft = Draft::new(desired);
    let holders = Holders::new(desired, observed);
    let standings = Standings::new(desired, observed, &holders, &BTreeSet::new());
    let doors = doors(desired, observed, &standings);
    if doors.files.is_empty() {
        nothing(&mut draft, &doors);
    } else if !doors.keyless.is_empty() {
        let names = doors.keyless.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let message = format!("the spec names no key for {names}: those of your SSH agent are not ours to change");
        draft.note(Weight::Warns, Subject::Cluster, message, BY_HAND);
    }
    for (file, doors) in &doors.files {
        one(&mut draft, observed, file, doors);
    }
    draft
}

const BY_HAND: &str = "`hosts.users` puts a second key on every host; or name a `hosts.ssh.keyFile`, which is rotated";

/// Nobody comes in by a file of ours.
fn nothing(draft: &mut Draft<'_>, doors: &Doors<'_>) {
    let (message, help) = if !doors.keyless.is_empty() {
        ("the spec names no `hosts.ssh.keyFile`: keys of your SSH agent are not ours to change", BY_HAND)
    } else if doors.talos {
        let help = "its API goes by certificates: `kubewright rotate certificates`";
        ("Talos has no SSH, so no host lets anybody in by such a key", help)
    } else {
        ("no host is there that lets anybody in", "machines that are made are given the key of the spec")
    };
    draft.note(Weight::Blocks, Subject::Cluster, message, help);
}

fn doors<'a>(desired: &'a Desired, observed: &Observed, standings: &Standings<'a>) -> Doors<'a> {
    let mut doors = Doors::default();
    let nodes = standings.nodes.iter().filter(|node| !matches!(node.standing, Standing::ToMake));
    let nodes: Vec<(&DesiredHost, Option<String>)> =
        nodes.map(|node| (node.host, away(desired, observed, standings, node))).collect();
    let hypervisors = desired.hosts.iter().filter(|host| host.machine.is_none()).map(|host| {
        let seen = observed.hosts.get(&host.name);
        let away = match seen {
            Some(Seen::Present(_)) => None,
            Some(Seen::Unknown(why)) => Some(why.to_string()),
            Some(Seen::Absent) | None => Some("nobody looked at it".into()),
        };
        (host, away)
    });
    for (host, away) in nodes.into_iter().chain(hypervisors) {
        match &host.way.key_file {
            _ if host.way.talos.is_some() => doors.talos = true,
            _ if host.way.name.as_deref() == Some(THIS_COMPUTER) => {}
            None => doors.keyless.push(host.name.clone()),
            Some(file) => doors.files.entry(Arc::clone(file)).or_default().push(Door { host, away }),
        }
    }
    doors
}

/// Why nothing can be done on a host now.
fn away(desired: &Desired, observed: &Observed, standings: &Standings<'_>, node: &Node<'_>) -> Option<String> {
    let seen = observed.hosts.get(node.name()).and_then(Seen::present);
    if let Some(other) = seen.and_then(|seen| seen.owner.as_ref()).filter(|owner| **owner != desired.owner) {
        return Some(format!("it belongs to the cluster {}", other.0));
    }
    match &node.standing {
        Standing::Answers(..) | Standing::Rejoins(_) => None,
        Standing::ToMake | Standing::Off(_) => Some("it is off".into()),
        Standing::Blocked => {
            let mut told = standings.notes().filter(|note| note.subject.node() == Some(node.name()));
            Some(told.next().map_or_else(|| "it cannot be looked at".into(), |note| note.message))
        }
    }
}

/// One key. What is there of it tells which part comes next.
fn one(draft: &mut Draft<'_>, observed: &Observed, file: &Arc<str>, doors: &[Door<'_>]) {
    let blocks = |draft: &mut Draft<'_>, message: String, help: &str| {
        draft.note(Weight::Blocks, Subject::Cluster, message, help);
    };
    let seen = match observed.keys.get(&**file) {
        Some(Seen::Present(seen)) => seen,
        Some(Seen::Unknown(why)) => {
            return blocks(
                draft,
                format!("the key {file} cannot be looked at: {why}"),
                why.help.as_deref().unwrap_or(""),
            );
        }
        Some(Seen::Absent) | None => {
            return blocks(draft, format!("there is no file {file}"), "correct `keyFile`, or make the key first");
        }
    };
    if let Some(place) = elsewhere(draft.desired, file, doors) {
        let message = format!("{place} goes by the key {file} too, and would let nobody in any more");
        return blocks(draft, message, "give it a key of its own first");
    }
    match seen.outlived() {
        Some(old) => {
            let message =
                format!("goes on with what was cut: {file} is the new key already, and {file}{BEFORE} the old one");
            draft.note(Weight::Tells, Subject::Cluster, message, "");
            withdraw(draft, file, doors, old, &[]);
        }
        None => {
            if let Some(taken) = spread(draft, file, doors, seen) {
                withdraw(draft, file, doors, &seen.current, &[taken]);
            }
        }
    }
}

/// What else goes by a key, on hosts that this plan does not reach. Those of one Proxmox cluster have root's keys in common,
/// so one of them is enough. <https://pve.proxmox.com/pve-docs/chapter-pmxcfs.html>
fn elsewhere(desired: &Desired, file: &str, doors: &[Door<'_>]) -> Option<String> {
    let spec = &desired.spec.as_ref()?.spec;
    let sftp = spec.backup.as_ref().and_then(|backup| backup.to.as_ref()?.sftp.as_ref());
    if let Some(sftp) = sftp.filter(|sftp| sftp.key_file.as_deref() == Some(file)) {
        return Some(format!("the SFTP server {} of `backup.to`", sftp.host));
    }
    let ways = spec.providers.proxmox_clusters().filter_map(|(_, proxmox)| proxmox.ssh.as_ref());
    let ways: Vec<_> = ways.filter(|ssh| ssh.key_file.as_deref() == Some(file)).collect();
    let in_common = matches!(ways.as_slice(), [only] if only.user == "root");
    let reached = in_common && doors.iter().any(|door| door.host.machine.is_none());
    (!ways.is_empty() && !reached).then(|| "the way into Proxmox hosts of `providers.proxmox`".to_string())
}

/// The new key is made, brought to every host, and takes the file; returns the step after which it has. Where anybody is away
/// it takes nothing, for they would be locked out.
fn spread(draft: &mut Draft<'_>, file: &Arc<str>, doors: &[Door<'_>], seen: &KeySeen) -> Option<StepId> {
    if seen.next.is_some() {
        let message = format!("goes on with the new key that lies there: {file}{NEXT}");
        draft.note(Weight::Tells, Subject::Cluster, message, "");
    } else if !seen.open {
        let message = format!(
            "{file} has a password, or is in an SSH agent or on a stick alone: none is made in its place that lies open"
        );
        let help = format!("`ssh-keygen -t ed25519 -f {file}{NEXT}` makes one beside it, which is gone on with");
        draft.note(Weight::Blocks, Subject::Cluster, message, &help);
        return None;
    }
    let asked = || Reason::Asked("rotate ssh-keys".into());
    let made = draft.add(local("make-key", file, KeyPart::Make, asked(), Vec::new()));
    // Whoever is reached through one of ours is not come in to by a key that this one does not know.
    let here = doors.iter().filter(|door| door.away.is_none());
    let (behind, before): (Vec<_>, Vec<_>) = here.partition(|door| door.host.way.jump.is_some());
    let mut needs = vec![made];
    for doors in [before, behind] {
        let brought: Vec<StepId> = doors
            .into_iter()
            .map(|door| {
                let (host, way) = (door.host.name.clone(), door.host.way.clone());
                draft.add(on_host("bring-key", file, door, KeyPart::Bring { host, way }, asked(), needs.clone()))
            })
            .collect();
        needs.extend(brought);
    }
    let away: Vec<&Door<'_>> = doors.iter().filter(|door| door.away.is_some()).collect();
    for door in &away {
        let why = door.away.as_deref().unwrap_or_default();
        let message = format!("the old key stays in force everywhere until this host has the new one too: {why}");
        draft.note(Weight::Warns, Subject::Host(door.host.name.clone()), message, AGAIN);
    }
    if !away.is_empty() {
        return None;
    }
    for name in draft.desired.hetzner.iter().flat_map(|it| &it.ssh_keys).filter(|it| it.1 == file).map(|it| it.0) {
        let message = format!(
            "the SSH key {name} in the Hetzner project is replaced by the next `apply`, before it makes a server"
        );
        draft.note(Weight::Tells, Subject::Cluster, message, "");
    }
    let reason = Reason::Follows("every host lets the new one in".into());
    Some(draft.add(local("take-key", file, KeyPart::TakeOver, reason, needs)))
}

/// The old key is taken away from every host, and then from this computer.
fn withdraw(draft: &mut Draft<'_>, file: &Arc<str>, doors: &[Door<'_>], old: &str, needs: &[StepId]) {
    if let Some(user) = named(draft.desired, old) {
        let message =
            format!("`hosts.users.{user}.authorizedKeys` names the old key, so it stays: `apply` would bring it back");
        let help = format!(
            "when the new one has taken its place, write the line of {file}.pub there, and `kubewright rotate ssh-keys` again"
        );
        draft.note(Weight::Warns, Subject::Cluster, message, &help);
        return;
    }
    let reason = Reason::Follows("the new key has taken its place".into());
    let mut gone = Vec::new();
    let mut kept = false;
    for door in doors {
        if let Some(why) = &door.away {
            kept = true;
            let message = format!("lets the old key in for now, which is kept as {file}{BEFORE}: {why}");
            draft.note(Weight::Warns, Subject::Host(door.host.name.clone()), message, AGAIN);
            continue;
        }
        let (host, way) = (door.host.name.clone(), door.host.way.clone());
        let part = KeyPart::Withdraw { host, way };
        gone.push(draft.add(on_host("withdraw-key", file, door, part, reason.clone(), needs.to_vec())));
    }
    if !kept {
        gone.extend(needs.iter().cloned());
        let reason = Reason::Follows("no host lets it in any more".into());
        draft.add(local("drop-key", file, KeyPart::Drop, reason, gone));
    }
}

/// The user of the spec whom a key lets in by name.
fn named<'d>(desired: &'d Desired, key: &str) -> Option<&'d str> {
    let resources = desired.all_hosts().flat_map(|host| &host.resources);
    let mut users = resources.filter_map(|resource| match resource {
        HostResource::User(user) => Some(user),
        _ => None,
    });
    users.find(|user| user.authorized_keys.iter().any(|line| bare_key(line) == key)).map(|user| user.name.as_str())
}

fn local(deed: &str, file: &Arc<str>, part: KeyPart, reason: Reason, needs: Vec<StepId>) -> Step {
    let stage = if part == KeyPart::Drop { Stage::Removal } else { Stage::Hosts };
    step(id(deed, file), stage, Subject::Cluster, file, part, reason, needs)
}

fn on_host(deed: &str, file: &Arc<str>, door: &Door<'_>, part: KeyPart, reason: Reason, needs: Vec<StepId>) -> Step {
    let name = &door.host.name;
    let stage = if matches!(part, KeyPart::Withdraw { .. }) { Stage::Removal } else { Stage::Hosts };
    step(id(deed, name), stage, Subject::Host(name.clone()), file, part, reason, needs)
}

fn step(
    id: StepId,
    stage: Stage,
    subject: Subject,
    file: &Arc<str>,
    part: KeyPart,
    reason: Reason,
    needs: Vec<StepId>,
) -> Step {
    Step {
        id,
        stage,
        subject,
        action: Action::RotateKey { file: Arc::clone(file), part },
        fields: Vec::new(),
        reason,
        needs,
        takes: Vec::new(),
        part: String::new(),
    }
}
