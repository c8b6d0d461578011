//! What a cloud keeps around servers is made before them, and goes after them.

use kubewright_model::change::{Reason, Subject};
use kubewright_model::cloud::{CloudBody, CloudId, CloudKind, DesiredResource};
use kubewright_model::desired::{Body, Desired, DesiredLoadBalancer, DesiredMachine, primary_ip};
use kubewright_model::ids::{NodeName, ProviderName, StepId};
use kubewright_model::observed::Observed;
use kubewright_model::plan::{Action, Stage, Step, Weight};

use super::draft::{Draft, id};
use super::machines::unbalance;
use crate::diff::cloud::{Standing, ours, standing, unwanted};
use crate::diff::machine;

/// What is missing or differs. A load balancer's certificate is made first, as a server's network is.
pub(super) fn plan(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    for wish in &desired.resources {
        match standing(wish, observed) {
            Standing::Done => {}
            // What a server was made with it keeps: another address is for the next one of its name.
            Standing::Differs(..) if has_an_address(draft, wish, observed) => {}
            Standing::Foreign => foreign(draft, wish),
            Standing::Differs(fields, reason) => {
                draft.add(Step {
                    id: made(&wish.id()),
                    stage: Stage::Machines,
                    subject: Subject::Resource(wish.id()),
                    action: Action::SetResource(Box::new(wish.clone())),
                    fields,
                    reason,
                    needs: Vec::new(),
                    takes: Vec::new(),
                    part: String::new(),
                });
            }
        }
    }
}

/// Whether a kept address is wished for a server that is there and stays.
fn has_an_address(draft: &Draft<'_>, wish: &DesiredResource, observed: &Observed) -> bool {
    let CloudBody::PrimaryIp { .. } = wish.body else { return false };
    let inventory = observed.providers.get(&wish.provider).and_then(|seen| seen.present());
    let mut there = inventory.into_iter().flat_map(|inventory| inventory.machines.keys());
    there.any(|name| is_of(&wish.name, name) && !draft.has(&id("delete", name)))
}

/// Whether a kept address is a server's.
fn is_of(address: &str, server: &NodeName) -> bool {
    [false, true].into_iter().any(|ipv6| primary_ip(server, ipv6) == address)
}

/// Somebody else's keeps its name. A key is the same key whoever put it there.
fn foreign(draft: &mut Draft<'_>, wish: &DesiredResource) {
    let id = wish.id();
    if id.kind == CloudKind::SshKey {
        return;
    }
    let message = format!("there is a {id} at {} already, and it is not ours", wish.provider);
    let help = match id.kind {
        CloudKind::Network => "write `existing: true` beside its name to be in it as it is, or choose another name",
        CloudKind::Certificate => "take it out of `providers.hetzner.certificates` to show it as it is",
        _ => "give it another name, or delete it, if nobody needs it",
    };
    draft.note(Weight::Blocks, Subject::Resource(id), message, help);
}

/// The step that makes a thing.
pub(super) fn made(resource: &CloudId) -> StepId {
    id("set", format!("{}/{}", resource.kind.id(), resource.name))
}

/// The steps that make what a server is put into and made with.
pub(super) fn before(machine: &DesiredMachine) -> Vec<StepId> {
    let Body::Server(server) = &*machine.body else { return Vec::new() };
    let one = |kind, name: &Option<String>| name.as_ref().map(|name| CloudId::new(kind, name.as_str()));
    let kept = [false, true].map(|ipv6| {
        let name = primary_ip(&machine.name, ipv6);
        Some(CloudId::new(CloudKind::PrimaryIp, name))
    });
    let around = [
        one(CloudKind::Network, &server.network),
        one(CloudKind::Firewall, &server.firewall),
        one(CloudKind::PlacementGroup, &server.placement_group),
    ];
    let keys = server.ssh_keys.iter().map(|name| CloudId::new(CloudKind::SshKey, name.as_str()));
    around.into_iter().chain(kept).flatten().chain(keys).map(|resource| made(&resource)).collect()
}

/// The node through which a server reaches the world, and is reached, that has no public address itself.
pub(super) fn gate<'d>(desired: &'d Desired, machine: &DesiredMachine) -> Option<&'d NodeName> {
    let Body::Server(server) = &*machine.body else { return None };
    let gate = desired.hetzner.as_ref()?.nat.as_ref()?;
    (!server.public_ipv4 && *gate != machine.name).then_some(gate)
}

/// The steps that make what a load balancer needs.
pub(super) fn before_balancer(wish: &DesiredLoadBalancer) -> Vec<StepId> {
    let network = wish.settings.network.iter().map(|name| CloudId::new(CloudKind::Network, name.as_str()));
    let shown = wish.settings.listeners.values().flat_map(|listener| &listener.certificates);
    let certificates = shown.map(|name| CloudId::new(CloudKind::Certificate, name.as_str()));
    network.chain(certificates).map(|resource| made(&resource)).collect()
}

/// What is ours and not in the spec any more goes after everything that may be in it.
pub(super) fn leftover(draft: &mut Draft<'_>, observed: &Observed) {
    for (provider, resource) in unwanted(draft.desired, observed) {
        // Hetzner takes no address away from a server that has it.
        let held = draft.desired.machines.iter().any(|machine| is_of(&resource.name, &machine.name));
        if resource.kind == CloudKind::PrimaryIp && held {
            let help = "it goes with the server: with its pool, or by `kubewright destroy`";
            draft.note(Weight::Tells, Subject::Resource(resource), "it is a server's, and stays with it", help);
            continue;
        }
        if resource.kind == CloudKind::Network && stay(draft, provider, observed) {
            let message = "servers are in it, and a server keeps the network that it was made in";
            let help = "put its name back, or `kubewright rebuild` with the other one";
            draft.note(Weight::Blocks, Subject::Resource(resource), message, help);
            continue;
        }
        if draft.protects(Subject::Resource(resource.clone())) {
            return;
        }
        delete(draft, provider, resource, Reason::NotInSpec);
    }
}

/// Whether servers of a cloud outlive the plan so far.
fn stay(draft: &Draft<'_>, provider: &ProviderName, observed: &Observed) -> bool {
    let inventory = observed.providers.get(provider).and_then(|seen| seen.present());
    let mut machines = inventory.into_iter().flat_map(|inventory| inventory.machines.keys());
    machines.any(|name| !draft.has(&id("delete", name)))
}

/// Everything that is ours goes, after the servers; and what the cluster itself has made, where that was asked for.
pub(super) fn destroy(draft: &mut Draft<'_>, observed: &Observed) {
    if draft.desired.protected {
        return;
    }
    for (provider, inventory) in machine::inventories(observed) {
        let balancers = inventory.load_balancers.iter();
        for (name, _) in balancers.filter(|(_, seen)| seen.owner == draft.desired.owner) {
            unbalance(draft, provider, name, Stage::Removal, Reason::Asked("destroy".into()));
        }
    }
    strays(draft, observed);
    for (provider, resource) in ours(draft.desired, observed) {
        delete(draft, provider, resource, Reason::Asked("destroy".into()));
    }
}

fn delete(draft: &mut Draft<'_>, provider: &ProviderName, resource: CloudId, reason: Reason) {
    // Whatever is deleted may be in it.
    let goes = |step: &&Step| {
        matches!(
            step.action,
            Action::DeleteMachine { .. } | Action::DeleteLoadBalancer { .. } | Action::DeleteStray { .. }
        )
    };
    // A load balancer shows another certificate before the one that it showed goes.
    let changed = |step: &&Step| matches!(step.action, Action::SetLoadBalancer(_));
    let needs = draft.steps.iter().filter(|step| goes(step) || changed(step)).map(|step| step.id.clone()).collect();
    draft.add(Step {
        id: id("delete", format!("{}/{}", resource.kind.id(), resource.name)),
        stage: Stage::Removal,
        subject: Subject::Resource(resource.clone()),
        action: Action::DeleteResource { provider: provider.clone(), resource },
        fields: Vec::new(),
        reason,
        needs,
        takes: Vec::new(),
        part: String::new(),
    });
}

/// Load balancers and volumes that the cluster has made outlive its servers, and cost money. There may be data in volumes
/// that somebody still wants, so they go only when that was asked for.
pub(super) fn strays(draft: &mut Draft<'_>, observed: &Observed) {
    let mut left = Vec::new();
    for (provider, inventory) in machine::inventories(observed) {
        for stray in &inventory.strays {
            if !draft.desired.take_strays {
                left.push(stray.to_string());
                continue;
            }
            let gone = |step: &&Step| matches!(step.action, Action::DeleteMachine { .. });
            let needs = draft.steps.iter().filter(gone).map(|step| step.id.clone()).collect();
            draft.add(Step {
                id: id("delete", format!("stray/{}", stray.id)),
                stage: Stage::Removal,
                subject: Subject::Cluster,
                action: Action::DeleteStray { provider: provider.clone(), stray: stray.clone() },
                fields: Vec::new(),
                reason: Reason::Asked("destroy --leftovers".into()),
                needs,
                takes: Vec::new(),
                part: String::new(),
            });
        }
    }
    if !left.is_empty() {
        let message = format!("what the cluster itself made stays, and is paid for: {}", left.join(", "));
        let help = "`kubewright destroy --leftovers` deletes it too, volumes with their data; once the servers are gone, hardly \
                    anything tells whose it was";
        draft.note(Weight::Warns, Subject::Cluster, message, help);
    }
}
