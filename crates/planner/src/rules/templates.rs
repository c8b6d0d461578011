//! 03xx, the part about templates of virtual machines.

use std::collections::BTreeMap;

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::ids::{PoolName, ProviderName};
use kubewright_model::net::NumberRange;
use kubewright_model::spec::pools::Vm;

use super::{Facts, at, machines};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (cluster, _) in facts.spec.providers.proxmox_clusters() {
        at_one_cluster(facts, &cluster, found);
    }
}

fn at_one_cluster(facts: &Facts<'_>, cluster: &ProviderName, found: &mut Vec<Diagnostic>) {
    let here = machines::pools_at(facts, cluster);
    let all: Vec<(&PoolName, &Vm)> =
        here.filter_map(|(name, _, machines)| Some((name, machines.vm.as_ref()?))).collect();
    let mut first: BTreeMap<u32, (&PoolName, &Vm)> = BTreeMap::new();
    for (pool, vm) in &all {
        let path = path(pool);
        if let Some(build) = &vm.build {
            packed(&build.image, path.then("build").then("image"), found);
        }
        machines::vmids(NumberRange { first: vm.template, last: vm.template }, path.then("template"), found);
        if let Some(spare) = vm.build.as_ref().and_then(|build| build.spare) {
            machines::vmids(NumberRange { first: spare, last: spare }, path.then("build").then("spare"), found);
        }
        let (other, same) = first.entry(vm.template).or_insert((*pool, *vm));
        if let Some((field, what)) = disagreement(vm, same) {
            let message =
                format!("the pools `{other}` and `{pool}` name the template {} and differ in {what}", vm.template);
            let help = "write the same in both, or give one of them another `template`";
            found.push(Diagnostic::new(codes::TEMPLATE_TWO_WAYS, path.then(field), message).help(help));
        }
    }
    for (template, (pool, vm)) in &first {
        let Some([_, spare]) = vm.built_as() else { continue };
        let taken = first.iter().find(|(other, (_, vm))| {
            let others = vm.built_as().map_or(**other, |numbers| numbers[1]);
            **other == spare || (*other > template && others == spare)
        });
        if let Some((_, (other, _))) = taken {
            let message = format!("{spare}, the VMID for a new version, is also a template's of the pool `{other}`");
            let help = "write `spare`, a VMID that nothing else has";
            found.push(Diagnostic::new(codes::TEMPLATE_TWO_WAYS, path(pool).then("build"), message).help(help));
        }
    }
}

/// How files end that Proxmox does not take in as a disk: it unpacks only ISO images.
const PACKED: [&str; 12] =
    [".xz", ".gz", ".tgz", ".txz", ".bz2", ".zst", ".lzo", ".zip", ".7z", ".tar", ".ova", ".iso"];

fn packed(image: &str, path: SpecPath, found: &mut Vec<Diagnostic>) {
    let file = image.split(['?', '#']).next().unwrap_or_default();
    let Some(end) = PACKED.iter().find(|end| file.to_ascii_lowercase().ends_with(**end)) else { return };
    let message = format!("the image ends in `{end}`, and Proxmox imports a disk as it is");
    let help = "choose one that ends in `.qcow2`, `.img` (as QCOW2), `.raw` or `.vmdk`; or unpack it and serve it from a \
                host of yours, with the checksum of what came out";
    found.push(Diagnostic::new(codes::TEMPLATE_IMAGE, path, message).help(help));
}

/// Every pool of virtual machines.
pub(super) fn of<'a>(facts: &Facts<'a>) -> impl Iterator<Item = (&'a PoolName, &'a Vm)> + use<'a> {
    facts.spec.pools.iter().filter_map(|(name, pool)| Some((name, pool.proxmox.as_ref()?.vm.as_ref()?)))
}

fn path(pool: &PoolName) -> SpecPath {
    at("pools").then(pool).then("proxmox").then("vm")
}

/// What two pools that name one template say differently of it.
fn disagreement(one: &Vm, other: &Vm) -> Option<(&'static str, &'static str)> {
    let differing = [
        (one.build != other.build, "build", "how it is built"),
        (one.template_name != other.template_name, "templateName", "its name"),
        (one.build.is_some() && one.bus != other.bus, "bus", "the bus of its disk"),
        (one.build.is_some() && one.format != other.format, "format", "the format of its disk"),
    ];
    differing.into_iter().find(|(differs, ..)| *differs).map(|(_, field, what)| (field, what))
}
