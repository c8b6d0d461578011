//! What new machines are put on and made from: nodes, storages, templates. What is not there is told before anything is
//! begun, and not by each machine in turn.
//!
//! Machines that are there already are not judged: their template may be gone, and they work on. Bridges are not looked at:
//! who may use one VLAN of a bridge is not shown the bridge.

use std::collections::BTreeSet;

use kubewright_model::desired::{Body, DesiredMachine, VmSource};

use super::survey::Survey;
use super::templates::fits;
use super::{Proxmox, call};
use crate::{ErrorKind, ProviderError, Refusal};

/// What a storage takes, in Proxmox' word and in words.
type Content = (&'static str, &'static str);

const CONTAINERS: Content = ("rootdir", "disks of containers");
const DISKS: Content = ("images", "disks of virtual machines");
const ISO: Content = ("iso", "ISO images");
/// Since Proxmox VE 8.4.
const IMAGES: Content = ("import", "images of disks, which a template is made from");
const TEMPLATES: Content = ("vztmpl", "templates of containers");

impl Proxmox {
    /// Those that are not there yet.
    fn to_come<'m>(&self, machines: &[&'m DesiredMachine]) -> Vec<&'m DesiredMachine> {
        machines.iter().filter(|machine| self.known(&machine.name).is_none()).copied().collect()
    }

    /// Nodes and storages that are not there. Of a storage that we may not look at, that is told.
    pub(super) async fn absent(&self, machines: &[&DesiredMachine]) -> Result<Vec<Refusal>, ProviderError> {
        let machines = self.to_come(machines);
        if machines.is_empty() {
            return Ok(Vec::new());
        }
        let survey = self.survey().await?;
        let mut refusals = no_nodes(&machines, &survey);
        let there = |machine: &&DesiredMachine| survey.nodes.get(machine.place.as_str()) == Some(&true);
        let wanted: BTreeSet<_> = machines.iter().copied().filter(there).flat_map(storages).collect();
        for (node, storage, content) in wanted {
            refusals.extend(self.no_storage(node, storage, content).await.unwrap_or_default());
        }
        Ok(refusals)
    }

    /// Templates that are not there, or are not what the spec takes them for, as far as we see all that there are.
    pub(super) async fn other_templates(&self, machines: &[&DesiredMachine]) -> Result<Vec<Refusal>, ProviderError> {
        let clones: Vec<_> = self
            .to_come(machines)
            .into_iter()
            .filter_map(|machine| match &*machine.body {
                Body::Vm(vm) => match &vm.source {
                    VmSource::Clone(template) => Some((machine, vm, template)),
                    VmSource::Image(_) => None,
                },
                _ => None,
            })
            .collect();
        if clones.is_empty() {
            return Ok(Vec::new());
        }
        let survey = self.survey().await?;
        let (mut refusals, mut looked) = (Vec::new(), BTreeSet::new());
        for (machine, vm, template) in clones {
            // What we build is not there yet, and one look is enough for all that are made from the same.
            let place = vm.is_linked().then_some(&machine.place);
            if template.built || !looked.insert((template.vmid, &template.name, &vm.disk_slot, machine.disk, place)) {
                continue;
            }
            let found = self.template_by_number(template.vmid, &survey).await;
            match found.and_then(|found| fits(machine, (vm, template), &found, &survey)) {
                Err(wrong) if !wrong.may_pass() && wrong.kind != ErrorKind::Denied => {
                    refusals.push(Refusal { help: of_template(wrong.kind).into(), message: wrong.message })
                }
                _ => {}
            }
        }
        Ok(refusals)
    }

    /// Why a storage holds nothing of that kind on a node.
    async fn no_storage(
        &self,
        node: &str,
        storage: &str,
        (kind, words): Content,
    ) -> Result<Option<Refusal>, ProviderError> {
        let told = match self.client.send(call::storage(node, storage)).await {
            Ok(told) => told,
            Err(gone) if matches!(gone.kind, ErrorKind::NotFound | ErrorKind::Invalid) => {
                let there = ["is disabled", "is not available"].iter().any(|words| gone.message.contains(words));
                let message = match there {
                    true => format!("{node} cannot use the storage {storage}: {}", gone.message),
                    false => format!("{node} has no storage {storage}"),
                };
                return Ok(Some(Refusal {
                    message,
                    help: format!(
                        "write one that `pvesm status` shows on {node}: `storage` for disks, `isoStorage` for files"
                    ),
                }));
            }
            Err(hidden) if hidden.kind == ErrorKind::Denied => return Ok(None),
            Err(other) => return Err(other),
        };
        // What does not tell its content is not judged by it.
        let content = told["content"].as_str().unwrap_or_default();
        if content.is_empty() || content.split(',').any(|own| own == kind) {
            return Ok(None);
        }
        let host = if kind == IMAGES.0 { "a Proxmox host (8.4 or newer)" } else { "a Proxmox host" };
        Ok(Some(Refusal {
            message: format!("the storage {storage} of {node} takes no {words}"),
            help: format!("on {host}: pvesm set {storage} --content {content},{kind}; or write another storage"),
        }))
    }
}

/// Nodes that machines are to be made on and nobody knows.
fn no_nodes(machines: &[&DesiredMachine], survey: &Survey) -> Vec<Refusal> {
    let all: Vec<&str> = survey.nodes.keys().map(String::as_str).collect();
    let wanted: BTreeSet<&str> = machines.iter().map(|machine| machine.place.as_str()).collect();
    let unknown = wanted.into_iter().filter(|place| !survey.nodes.contains_key(*place));
    let refusal = |place| Refusal {
        message: format!("there is no node {place} at Proxmox"),
        help: format!("write `node` as Proxmox has it: {}", all.join(", ")),
    };
    unknown.map(refusal).collect()
}

/// Every storage that a machine is put on, with what of it goes there.
fn storages(machine: &DesiredMachine) -> Vec<(&str, &str, Content)> {
    let own: Vec<(&str, Content)> = match &*machine.body {
        Body::Lxc(lxc) => {
            let mounts = lxc.mounts.iter().filter_map(|mount| mount.storage.as_deref());
            let disks = [lxc.storage.as_str()].into_iter().chain(mounts).map(|storage| (storage, CONTAINERS));
            let template = lxc.template.split(':').next().map(|storage| (storage, TEMPLATES));
            disks.chain(template).collect()
        }
        Body::Vm(vm) => {
            let iso = vm.iso.as_deref().map(|storage| (storage, ISO));
            let image = match &vm.source {
                VmSource::Image(image) => Some((image.storage.as_str(), IMAGES)),
                VmSource::Clone(_) => None,
            };
            [(vm.storage.as_str(), DISKS)].into_iter().chain(iso).chain(image).collect()
        }
        Body::Server(_) | Body::Existing | Body::Local => Vec::new(),
    };
    own.into_iter().map(|(storage, content)| (machine.place.as_str(), storage, content)).collect()
}

/// Which field to look at when a template is not what the spec takes it for.
fn of_template(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "write the number of one as `vm.template`, or have it made: write `vm.build`",
        ErrorKind::Conflict => "write its name as `vm.templateName`, or another number as `vm.template`",
        _ => "write its bus as `vm.bus`, and a `disk` that is not smaller than its own; or take `linked` out",
    }
}
