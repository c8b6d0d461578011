//! Hosts that were there before us are left as they were: what we put there goes, and what was there before comes back.
//!
//! What that is the host itself remembers, so it is no matter which spec wished for it.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::desired::{Body, DesiredHost};
use kubewright_model::host::Before;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::Observed;
use kubewright_model::plan::{Action, HostChange, Stage, Step, Weight};

use super::draft::{Draft, id};

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
        {
            let needs = vec![id("leave", name)];
            leave_clean(draft, host, &seen.ours, needs);
        }
    }
}

fn leave_clean(draft: &mut Draft<'_>, host: &DesiredHost, ours: &BTreeMap<String, Before>, needs: Vec<StepId>) {
    let user = &*host.way.user;
    if ours.contains_key(&format!("user {user}")) {
        let message = format!("the user {user} stays as it is: it is who we come in as");
        draft.note(Weight::Tells, Subject::Host(host.name.clone()), message, "");
    }
    let fields = ours.iter().map(|(key, before)| FieldChange {
        field: key.clone(),
        from: Some("ours".into()),
        to: (*before == Before::There).then(|| "as it was before".into()),
    });
    let change = HostChange {
        host: host.name.clone(),
        way: host.way.clone(),
        make: Vec::new(),
        unmake: ours.keys().cloned().collect(),
    };
    draft.add(Step {
        id: id("clean", &host.name),
        stage: Stage::Removal,
        subject: Subject::Host(host.name.clone()),
        action: Action::ChangeHost(change),
        fields: fields.collect(),
        reason: Reason::Asked("destroy".into()),
        needs,
        takes: Vec::new(),
        part: String::new(),
    });
}
