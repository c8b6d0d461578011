//! Templates of ours as people look at them: which version is the spec's, which are older, and what was made from each.

use crate::desired::{Body, Desired, DesiredMachine};
use crate::ids::{NodeName, PlaceName, Vmid};
use crate::observed::{Observed, Seen, TemplateSeen};

/// A version of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateVersion<'a> {
    /// Its name, which ends in its version.
    pub name: &'a NodeName,
    /// The provider's number, where it is there.
    pub vmid: Option<Vmid>,
    /// Where it is, or will be built.
    pub place: Option<&'a PlaceName>,
    /// How it stands.
    pub standing: Standing,
    /// What was made from it; where nobody looked, what is to be.
    pub machines: Vec<&'a NodeName>,
}

/// How a version of a template stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the spec's, and there.
    Current,
    /// It is the spec's, and not there.
    ToBuild,
    /// It is the spec's, and nobody could look.
    Unknown,
    /// It was not finished.
    Half,
    /// It is there, and the spec has another one now.
    Older,
    /// It is gone, and machines were made from it.
    Gone,
}

impl TemplateVersion<'_> {
    /// What is behind the last dash of its name: the digest of all that it is built from.
    pub fn version(&self) -> &str {
        self.name.as_str().rsplit_once('-').map_or("", |(_, version)| version)
    }
}

/// All versions that the spec names, that are there, or that machines were made from: the spec's first.
pub fn versions<'a>(desired: &'a Desired, observed: Option<&'a Observed>) -> Vec<TemplateVersion<'a>> {
    let inventories = || observed.into_iter().flat_map(|it| it.providers.values()).filter_map(Seen::present);
    let ours = |seen: &TemplateSeen| seen.owner == desired.owner;
    let there = || inventories().flat_map(|it| &it.templates).filter(move |(_, seen)| ours(seen));
    let mut versions: Vec<TemplateVersion<'a>> = Vec::new();
    for wish in &desired.templates {
        let seen = there().find(|(name, _)| *name == wish.name()).map(|(_, seen)| seen);
        let provider = observed.and_then(|it| it.providers.get(&wish.machine.provider)).and_then(Seen::present);
        let unread = |vmid: &Vmid| provider.is_some_and(|it| it.unread(wish.name(), Some(*vmid)).is_some());
        let standing = match seen {
            Some(seen) if seen.finished => Standing::Current,
            Some(_) => Standing::Half,
            None if provider.is_none() || wish.vmids.iter().any(unread) => Standing::Unknown,
            None => Standing::ToBuild,
        };
        let place = Some(seen.map_or(&wish.machine.place, |seen| &seen.place));
        let vmid = seen.and_then(|seen| seen.vmid);
        versions.push(TemplateVersion { name: wish.name(), vmid, place, standing, machines: Vec::new() });
    }
    for (name, seen) in there().filter(|(name, _)| desired.templates.iter().all(|wish| wish.name() != *name)) {
        let standing = if seen.finished { Standing::Older } else { Standing::Half };
        let (vmid, place) = (seen.vmid, Some(&seen.place));
        versions.push(TemplateVersion { name, vmid, place, standing, machines: Vec::new() });
    }
    let clones = inventories().flat_map(|it| &it.machines).filter(|(_, seen)| seen.owner == desired.owner);
    let made = clones.filter_map(|(machine, seen)| Some((machine, &seen.template.as_ref()?.name)));
    let wished = desired.machines.iter().filter(|_| observed.is_none());
    let wished = wished.filter_map(|machine| Some((&machine.name, wish(desired, machine)?)));
    for (machine, name) in made.chain(wished) {
        match versions.iter_mut().find(|version| version.name == name) {
            Some(version) => version.machines.push(machine),
            None => versions.push(TemplateVersion {
                name,
                vmid: None,
                place: None,
                standing: Standing::Gone,
                machines: vec![machine],
            }),
        }
    }
    versions
}

/// The template that a machine of the spec is to be made from, where we build it.
fn wish<'a>(desired: &'a Desired, machine: &DesiredMachine) -> Option<&'a NodeName> {
    let Body::Vm(vm) = &*machine.body else { return None };
    let name = vm.template().filter(|template| template.built)?.name.as_deref()?;
    desired.templates.iter().map(|template| template.name()).find(|known| known.as_str() == name)
}
