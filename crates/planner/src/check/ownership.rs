//! What is taken away is ours, and nobody wishes to keep it.

use std::collections::BTreeSet;
use std::sync::Arc;

use kubewright_model::cloud::{CloudId, Stray};
use kubewright_model::desired::{Desired, EXISTING};
use kubewright_model::ids::{Namespace, NodeName, Owner, ProviderName, ReleaseName};
use kubewright_model::object::{Manifest, ObjectId};
use kubewright_model::observed::{ClusterSeen, Observed, Seen};
use kubewright_model::plan::{Action, Ask, HostChange, Plan, Step, Violation};
use kubewright_model::recipe::{Effect, Recipe};

use super::violation;
use crate::diff::cluster::{NAMESPACE, POOL_LABEL};

const OURS: &str = "only ours is deleted";
const OTHERS: &str = "hosts of others are left alone";
const TAKEN: &str = "what others have set is taken only on request";
const WISHED: &str = "what is wished stays";

/// Proves of every step that takes something away that it may.
pub(super) fn check(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    let proof = Proof {
        ask: &plan.ask,
        desired,
        observed,
        cluster: observed.cluster.as_ref().and_then(Seen::present),
        nodes: desired.machines.iter().map(|machine| &machine.name).collect(),
        objects: desired.objects.iter().flat_map(|group| &group.manifests).filter_map(|it| it.id().ok()).collect(),
    };
    for step in &plan.steps {
        found.extend(proof.host(step));
        let told = match &step.action {
            Action::DeleteMachine { provider, name, owner, .. } => proof.machine(step, provider, name, owner),
            Action::DeleteLoadBalancer { provider, .. } => proof.balancer(step, provider),
            Action::DeleteResource { provider, resource } => proof.resource(step, provider, resource),
            Action::DeleteStray { provider, stray } => proof.stray(step, provider, stray),
            Action::DeleteBackupJob { provider } => proof.backup_job(step, provider),
            // In a restore, a member only stands down: its host stays set up, and it is one again. So does an agent that is in
            // no book, which nothing of the cluster is on.
            Action::RunRecipe { host, recipe, .. }
                if (plan.ask == Ask::Restore || proof.is_in_no_book(host)) && stands_down(desired, host, recipe) =>
            {
                None
            }
            Action::RunRecipe { host, recipe, .. } if recipe.effect == Effect::Leave => {
                // One that comes back in another role is proven by itself.
                proof.stays(step, host).filter(|_| !super::roles::changes(host, desired, observed))
            }
            Action::ChangeHost(change) => change.unmake.iter().find_map(|key| proof.put_back(step, &change.host, key)),
            Action::ForgetMember(name) => proof.node(step, name),
            Action::RemoveRelease { name, namespace } => proof.release(step, namespace, name),
            Action::TakeObjects(objects) => proof.taken(step, objects),
            Action::DeleteObjects(ids) => ids.iter().find_map(|id| proof.object(step, id)),
            _ => None,
        };
        found.extend(told);
    }
}

struct Proof<'a> {
    ask: &'a Ask,
    desired: &'a Desired,
    observed: &'a Observed,
    cluster: Option<&'a ClusterSeen>,
    nodes: BTreeSet<&'a NodeName>,
    objects: BTreeSet<ObjectId>,
}

fn stands_down(desired: &Desired, host: &NodeName, recipe: &Arc<Recipe>) -> bool {
    let member = desired.members.iter().find(|member| member.name == *host);
    member.is_some_and(|member| member.recipes.stand_down.as_ref() == Some(recipe))
}

impl Proof<'_> {
    fn is_in_no_book(&self, host: &NodeName) -> bool {
        let agent = self.desired.members.iter().any(|member| member.name == *host && !member.role.is_server());
        agent && self.cluster.is_none_or(|seen| !seen.nodes.contains_key(host))
    }

    /// What others have set is theirs, unless somebody asked for it by name.
    fn taken(&self, step: &Step, objects: &[Manifest]) -> Option<Violation> {
        let mut ids = objects.iter().filter_map(|object| object.id().ok());
        let unasked = ids.find(|id| !self.desired.take.contains(id))?;
        Some(violation(TAKEN, step, format!("nobody asked to take {unasked}")))
    }

    /// There is one job of ours at a provider, and it goes when nobody wishes it.
    fn backup_job(&self, step: &Step, provider: &ProviderName) -> Option<Violation> {
        let inventory = self.observed.providers.get(provider).and_then(Seen::present);
        if inventory.and_then(|seen| seen.backups.as_ref()?.present()).is_none() {
            return Some(violation(OURS, step, "no backup job with our mark was seen"));
        }
        let wished = self.desired.backup_jobs.iter().any(|job| job.provider == *provider);
        let kept = wished && !matches!(self.ask, Ask::Destroy | Ask::Rebuild);
        kept.then(|| violation(WISHED, step, "the backup job is wished"))
    }

    fn machine(&self, step: &Step, provider: &ProviderName, name: &NodeName, told: &Owner) -> Option<Violation> {
        let inventory = self.observed.providers.get(provider).and_then(Seen::present);
        let template = inventory.and_then(|seen| seen.templates.get(name));
        let machine = inventory.and_then(|seen| seen.machines.get(name)).map(|machine| &machine.owner);
        let owner = machine.or(template.map(|template| &template.owner));
        if owner != Some(&self.desired.owner) || *told != self.desired.owner {
            return Some(violation(OURS, step, format!("{name} does not carry our mark")));
        }
        if provider.as_str() == EXISTING {
            return Some(violation(OURS, step, format!("{name} was there before us")));
        }
        let built = self.desired.templates.iter().any(|wish| wish.name() == name);
        if built && template.is_some_and(|seen| seen.finished) && *self.ask != Ask::Destroy {
            return Some(violation(WISHED, step, format!("the template {name} is in the spec")));
        }
        self.stays(step, name)
    }

    /// A host that another cluster has set up is that one's. What a hypervisor holds for containers is everybody's.
    fn host(&self, step: &Step) -> Option<Violation> {
        if matches!(&step.action, Action::ChangeHost(change) if change.owner.is_none() && change.unmake.is_empty()) {
            return None;
        }
        let name = match &step.action {
            Action::ChangeHost(HostChange { host: name, .. })
            | Action::RunRecipe { host: name, .. }
            | Action::RebootHost { host: name, .. }
            | Action::UpdateHost { host: name, .. } => name,
            Action::RotateKey { part, .. } => part.host()?,
            _ => return None,
        };
        let owner = self.observed.hosts.get(name)?.present()?.owner.as_ref()?;
        (*owner != self.desired.owner).then(|| violation(OTHERS, step, format!("{name} belongs to {}", owner.0)))
    }

    /// What the spec names goes only where that was asked.
    fn stays(&self, step: &Step, name: &NodeName) -> Option<Violation> {
        let asked = match self.ask {
            Ask::Destroy | Ask::Rebuild => true,
            Ask::Replace(nodes) => nodes.contains(name),
            // A plan names the nodes that it makes anew.
            Ask::Apply | Ask::Backup | Ask::ReplaceOutdated => false,
            // One that nobody can reach, and that is left out on purpose, is ended by its provider.
            Ask::Restore => {
                let seen = self.observed.hosts.get(name).and_then(Seen::present);
                self.desired.without.contains(name) && seen.is_none()
            }
            Ask::Reboot(_) | Ask::RebootNeeded(_) | Ask::UpdateOs(_) | Ask::Repair(_) | Ask::Rotate(_) => false,
        };
        let wished = self.nodes.contains(name) && !asked;
        wished.then(|| violation(WISHED, step, format!("{name} is in the spec")))
    }

    /// What a host remembers goes where the cluster ends.
    fn put_back(&self, step: &Step, name: &NodeName, key: &str) -> Option<Violation> {
        let seen = self.observed.hosts.get(name).and_then(Seen::present);
        if !seen.is_some_and(|seen| seen.ours.contains_key(key)) {
            return Some(violation(OURS, step, format!("{key} was not touched by us")));
        }
        (*self.ask != Ask::Destroy).then(|| violation(WISHED, step, "it goes with the cluster alone"))
    }

    fn balancer(&self, step: &Step, provider: &ProviderName) -> Option<Violation> {
        let Action::DeleteLoadBalancer { name, .. } = &step.action else { return None };
        let inventory = self.observed.providers.get(provider).and_then(Seen::present);
        let owner = inventory.and_then(|seen| seen.load_balancers.get(name)).map(|balancer| &balancer.owner);
        if owner != Some(&self.desired.owner) {
            return Some(violation(OURS, step, format!("load balancer {name} does not carry our mark")));
        }
        let ends = matches!(self.ask, Ask::Destroy | Ask::Rebuild);
        let wished = self.desired.load_balancers.iter().any(|wish| wish.name == *name && wish.provider == *provider);
        (wished && !ends).then(|| violation(WISHED, step, format!("load balancer {name} is in the spec")))
    }

    fn resource(&self, step: &Step, provider: &ProviderName, id: &CloudId) -> Option<Violation> {
        let inventory = self.observed.providers.get(provider).and_then(Seen::present);
        let seen = inventory.and_then(|seen| seen.resources.iter().find(|seen| seen.id() == *id));
        if seen.and_then(|seen| seen.owner.as_ref()) != Some(&self.desired.owner) {
            return Some(violation(OURS, step, format!("{id} does not carry our mark")));
        }
        let ends = matches!(self.ask, Ask::Destroy | Ask::Rebuild);
        let wished = self.desired.resources.iter().any(|wish| wish.id() == *id && wish.provider == *provider);
        (wished && !ends).then(|| violation(WISHED, step, format!("{id} is in the spec")))
    }

    /// What the cluster has made goes with it, when that was asked for, and never else.
    fn stray(&self, step: &Step, provider: &ProviderName, stray: &Stray) -> Option<Violation> {
        let inventory = self.observed.providers.get(provider).and_then(Seen::present);
        if !inventory.is_some_and(|seen| seen.strays.contains(stray)) {
            return Some(violation(OURS, step, format!("{stray} was not made by this cluster")));
        }
        let asked = *self.ask == Ask::Destroy && self.desired.take_strays;
        (!asked).then(|| violation(WISHED, step, format!("nobody asked to delete {stray}")))
    }

    /// A node that others brought along is not taken out of the books.
    fn node(&self, step: &Step, name: &NodeName) -> Option<Violation> {
        let node = self.cluster.and_then(|seen| seen.nodes.get(name))?;
        let ours = self.nodes.contains(name) || node.labels.contains_key(POOL_LABEL);
        (!ours).then(|| violation(OURS, step, format!("node {name} does not carry our label")))
    }

    fn release(&self, step: &Step, namespace: &Namespace, name: &ReleaseName) -> Option<Violation> {
        let there = self.cluster.and_then(|seen| seen.releases.get(&(namespace.clone(), name.clone())));
        if there.and_then(|release| release.owner.as_ref()) != Some(&self.desired.owner) {
            return Some(violation(OURS, step, format!("release {namespace}/{name} does not carry our mark")));
        }
        let wished = self.desired.releases.iter().any(|wish| wish.name == *name && wish.namespace == *namespace);
        wished.then(|| violation(WISHED, step, format!("release {namespace}/{name} is in the spec")))
    }

    fn object(&self, step: &Step, id: &ObjectId) -> Option<Violation> {
        if !self.cluster.is_some_and(|seen| seen.objects.contains_key(id)) {
            return Some(violation(OURS, step, format!("{id} does not carry our mark")));
        }
        if id.kind == NAMESPACE {
            return Some(violation(OURS, step, format!("with {id} goes what is not ours")));
        }
        self.objects.contains(id).then(|| violation(WISHED, step, format!("{id} is in the spec")))
    }
}
