//! Hosts that were there before us are left as they were: what we put there goes, and what was there before comes back.
//!
//! What that is the host itself remembers, so it is no matter which spec wished for it.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::desired::{Body, DesiredHost};
use kubewright_model::digest::Digest;
use kubewright_model::host::{Before, HostResource};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{HostSeen, Observed};
use kubewright_model::plan::{Action, HostChange, Stage, Step, Weight};

use super::draft::{Draft, id};
use crate::diff::host::of_another;

/// Leaves every such host, once Kubernetes has ended there.
pub(super) fn plan(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    if desired.protected {
        return;
    }
    let hosts: BTreeMap<&NodeName, &DesiredHost> = desired.hosts.iter().map(|host| (&host.name, host)).collect();
    let servers: BTreeSet<&NodeName> = desired.servers().map(|member| &member.name).collect();
    let there_before = desired.machines.iter().filter(|machine| *machine.body == Body::Existing);
    let mut names: Vec<&NodeName> = there_before.map(|machine| &machine.name).collect();
    // As people would do it, and as Kubernetes ends on them: servers last.
    names.sort_by_key(|name| servers.contains(name));
    for name in names {
        let seen = observed.hosts.get(name).and_then(|seen| seen.present());
        if let (Some(seen), Some(host)) = (seen, hosts.get(name))
            && !seen.ours.is_empty()
            && of_another(name, desired, observed).is_none()
            && ends(draft, seen, name)
        {
            leave_clean(draft, host, seen, observed, vec![id("leave", name)]);
        }
    }
}

/// Whether nothing of Kubernetes runs on a host once the steps before are done: what it reads is not taken away under it.
fn ends(draft: &mut Draft<'_>, seen: &HostSeen, name: &NodeName) -> bool {
    let ends = draft.has(&id("leave", name)) || !(seen.is_member() || seen.serves());
    if !ends {
        let message = "Kubernetes runs on it, and nothing on it tells that it is of this cluster";
        let help = "end it there by hand, or take the host out of the spec: it stays as it is then";
        draft.note(Weight::Blocks, Subject::Host(name.clone()), message, help);
    }
    ends
}

fn leave_clean(draft: &mut Draft<'_>, host: &DesiredHost, seen: &HostSeen, observed: &Observed, needs: Vec<StepId>) {
    let user = login(host, seen);
    let subject = || Subject::Host(host.name.clone());
    if seen.ours.contains_key(&format!("user {user}")) {
        let message = format!("the user {user} stays as it is: it is who we come in as");
        draft.note(Weight::Tells, subject(), message, "");
    }
    let goers = goers(host, seen, user);
    for who in &goers {
        let message = format!("the user {who} goes, and its home with all that is in it");
        draft.note(Weight::Warns, subject(), message, "copy it elsewhere first, if it is to be kept");
    }
    let edited = edited(&host.resources, seen, &observed.filled);
    for path in edited.into_iter().filter(|(key, _)| seen.ours.contains_key(key)).map(|(_, path)| path) {
        let message = format!("{path} is not as the spec says: what was changed in it goes too");
        draft.note(Weight::Warns, subject(), message, "copy it elsewhere first, if it is to be kept");
    }
    put_back(draft, host, seen, &goers, needs);
}

/// Users that we made, with a home, and that go.
fn goers<'a>(host: &DesiredHost, seen: &'a HostSeen, login: &str) -> Vec<&'a str> {
    let homeless = |name: &str| {
        host.resources.iter().any(|resource| match resource {
            HostResource::User(user) => user.name == name && user.has_no_home(),
            _ => false,
        })
    };
    let made = seen.ours.iter().filter(|(_, before)| **before == Before::Absent);
    let users = made.filter_map(|(key, _)| key.strip_prefix("user "));
    users.filter(|name| *name != login && !homeless(name)).collect()
}

/// Who we are on a host, whoever was asked for.
fn login<'a>(host: &'a DesiredHost, seen: &'a HostSeen) -> &'a str {
    seen.facts.as_ref().and_then(|facts| facts.login.as_deref()).unwrap_or(&host.way.user)
}

/// Files of ours, by their keys, in which something is not as wished.
fn edited<'a>(
    resources: &'a [HostResource],
    seen: &HostSeen,
    filled: &BTreeMap<Digest, Digest>,
) -> Vec<(String, &'a str)> {
    let edited = resources.iter().filter_map(|resource| {
        let (path, differs) = match resource {
            HostResource::File(file) => {
                let wanted = file.content.digest().or_else(|| filled.get(&file.content.fingerprint()).cloned())?;
                (file.path.as_str(), seen.files.get(&file.path)?.digest != wanted)
            }
            HostResource::Block { path, lines } => (path.as_str(), seen.blocks.get(path)? != lines),
            _ => return None,
        };
        differs.then(|| (resource.key(), path))
    });
    edited.collect()
}

/// What we put on a host goes, and what was there before comes back.
fn put_back(draft: &mut Draft<'_>, host: &DesiredHost, seen: &HostSeen, goers: &[&str], needs: Vec<StepId>) {
    let in_home = |key: &str| goers.iter().any(|who| key.starts_with(&format!("folder /home/{who}/")));
    // A folder of the spec is written down as one that was made on the way, too.
    let twice = |key: &str| {
        key.strip_prefix("folder ").is_some_and(|path| seen.ours.contains_key(&format!("directory {path}")))
    };
    let field = |(key, before): (&String, &Before)| FieldChange {
        field: key.clone(),
        from: Some("ours".into()),
        to: match before {
            Before::There => Some("as it was before".into()),
            Before::Absent if in_home(key) => None,
            // Nobody has looked what is in it.
            Before::Absent if key.starts_with("directory ") || key.starts_with("folder ") => {
                Some("gone if it is empty".into())
            }
            Before::Absent => None,
        },
    };
    let (name, way) = (host.name.clone(), host.way.clone());
    let owner = Some(draft.desired.owner.clone());
    let unmake = seen.ours.keys().cloned().collect();
    draft.add(Step {
        id: id("clean", &name),
        stage: Stage::Removal,
        subject: Subject::Host(name.clone()),
        action: Action::ChangeHost(HostChange { host: name, way, owner, make: Vec::new(), unmake }),
        fields: seen.ours.iter().filter(|(key, _)| !twice(key)).map(field).collect(),
        reason: Reason::Asked("destroy".into()),
        needs,
        takes: Vec::new(),
        part: String::new(),
    });
}
