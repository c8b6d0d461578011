//! What the steps of a plan need from outside, beside what a bundle holds: all that it lacks, by name, before anything is
//! touched.

use std::collections::BTreeSet;

use crate::airgap::{ALWAYS, NOT_ALWAYS};
use kubewright_model::airgap::{AirGap, BUNDLE, for_machine};
use kubewright_model::change::Subject;
use kubewright_model::desired::{Body, Desired, VmSource};
use kubewright_model::host::{DownloadWish, HostResource, Proof};
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Action, HostChange, Note, Step, Weight};

/// What helps where a bundle lacks something.
const ANEW: &str = "`kubewright bundle` collects it anew where there is a network";

/// The same in an upgrade: a bundle of the new version alone has not what the versions on the way need.
pub(super) fn names_the_way(notes: &mut [Note], desired: &Desired, observed: &Observed) {
    let Some(from) = crate::upgrades::oldest(desired, observed) else { return };
    for help in notes.iter_mut().filter_map(|note| note.help.as_mut()).filter(|help| *help == ANEW) {
        *help = format!("`kubewright bundle --from {from}` collects every version of the way where there is a network");
    }
}

/// What blocks a plan that may not go to the network, and what should be known of it.
pub(super) fn notes(gap: &AirGap, steps: &[Step], desired: &Desired, observed: &Observed) -> Vec<Note> {
    let mut found = Lacks::default();
    for step in steps {
        match &step.action {
            Action::ChangeHost(change) => host(gap, change, observed, &mut found),
            Action::InstallRelease(release) if !release.is_folder() && gap.chart(release).is_none() => {
                let version = release.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
                found.lacks.insert(format!("chart {}{version} of release {}", release.chart, release.name));
            }
            Action::ApplyObjects(objects) => {
                let images = objects.iter().flat_map(|object| crate::airgap::images(&object.0));
                let lacking = images.filter(|image| gap.image(image).is_none());
                found.lacks.extend(lacking.map(|image| format!("image {image} of {}", step.subject)));
                found.always.extend(objects.iter().flat_map(|object| crate::airgap::always_pulled(&object.0)));
            }
            Action::CreateMachine(machine) => match &*machine.body {
                // Proxmox' own list has it, perhaps: whether the storage does is seen when the machine is made.
                Body::Lxc(lxc) if lxc.download.is_none() => drop(found.templates.insert(lxc.template.clone())),
                body => found.made.extend(fetched(body)),
            },
            _ => {}
        }
    }
    let refusals = crate::airgap::refusals(desired).into_iter().filter(|_| !steps.is_empty());
    let refused = refusals.map(|(what, why)| blocks(format!("{what} cannot go without the network: {why}"), None));
    refused.chain(found.notes()).collect()
}

/// What is not in a bundle and is needed all the same.
#[derive(Default)]
struct Lacks {
    lacks: BTreeSet<String>,
    packages: BTreeSet<String>,
    unseen: BTreeSet<String>,
    made: BTreeSet<String>,
    templates: BTreeSet<String>,
    always: BTreeSet<String>,
}

impl Lacks {
    fn notes(self) -> impl Iterator<Item = Note> {
        let lacks = told(&self.lacks, "the bundle lacks", |lacks| blocks(lacks, Some(ANEW)));
        let packages = told(&self.packages, "no bundle holds packages, and hosts lack", |lacks| {
            let help = "install them there from a mirror of the site, or make the hosts from an image that has them";
            blocks(lacks, Some(help))
        });
        let made = told(&self.made, "the hypervisor would download", |lacks| {
            let help = "a machine that clones a template of the hypervisor needs nothing from outside";
            blocks(lacks, Some(help))
        });
        let unseen = told(&self.unseen, "hosts that are not there yet must have from their image", |message| Note {
            weight: Weight::Tells,
            help: Some("a step that would install one ends instead".into()),
            ..blocks(message, None)
        });
        let templates = told(&self.templates, "hypervisors must have the container templates", |message| Note {
            weight: Weight::Tells,
            help: Some("one that is not there would be downloaded, and without a network that fails".into()),
            ..blocks(message, None)
        });
        let always =
            told(&self.always, ALWAYS, |message| Note { weight: Weight::Warns, ..blocks(message, Some(NOT_ALWAYS)) });
        lacks.into_iter().chain(always).chain(packages).chain(made).chain(unseen).chain(templates)
    }
}

fn told(what: &BTreeSet<String>, words: &str, note: impl Fn(String) -> Note) -> Option<Note> {
    let all: Vec<&str> = what.iter().map(String::as_str).collect();
    (!all.is_empty()).then(|| note(format!("{words} {}", all.join("; "))))
}

fn blocks(message: String, help: Option<&str>) -> Note {
    let help = help.map(String::from);
    Note { weight: Weight::Blocks, subject: Subject::Cluster, message, help, stages: Vec::new() }
}

fn host(gap: &AirGap, change: &HostChange, observed: &Observed, found: &mut Lacks) {
    let seen = observed.hosts.get(&change.host).and_then(Seen::present);
    let machines = match seen {
        Some(seen) => std::slice::from_ref(&seen.arch),
        None => gap.manifest.architectures.as_slice(),
    };
    for resource in &change.make {
        match (resource, seen) {
            (HostResource::Download(wish), _) => found.lacks.extend(lacking(gap, wish, machines)),
            (HostResource::Package(name), Some(_)) => {
                found.packages.insert(format!("{name} on {}", change.host));
            }
            (HostResource::Repository(wish), Some(_)) => {
                found.packages.insert(format!("what is in repository {} on {}", wish.name, change.host));
            }
            (HostResource::Package(name), None) => drop(found.unseen.insert(name.clone())),
            (HostResource::Repository(wish), None) => drop(found.unseen.insert(format!("repository {}", wish.name))),
            _ => {}
        }
    }
}

/// What of a download is not in a bundle, for machines of these architectures.
fn lacking(gap: &AirGap, wish: &DownloadWish, machines: &[String]) -> Vec<String> {
    if let Some(place) = wish.artifact.url.strip_prefix(BUNDLE) {
        let there = gap.at(place).is_some();
        return if there { Vec::new() } else { vec![wish.artifact.name.clone()] };
    }
    let list = match &wish.artifact.proof {
        Proof::Checksums { url, .. } => Some((format!("digests of {}", wish.artifact.name), url)),
        Proof::Sha256(_) => None,
    };
    let urls = [(wish.artifact.name.clone(), &wish.artifact.url)].into_iter().chain(list);
    let all = urls.flat_map(|(name, url)| machines.iter().map(move |arch| (name.clone(), for_machine(url, arch))));
    all.filter(|(_, url)| gap.file(url).is_none()).map(|(name, url)| format!("{name} ({url})")).collect()
}

/// What a machine's provider would download for it.
fn fetched(body: &Body) -> Option<String> {
    match body {
        Body::Vm(vm) => match &vm.source {
            VmSource::Image(image) => Some(image.url.clone()),
            VmSource::Clone(_) => None,
        },
        Body::Lxc(lxc) => lxc.download.as_ref().map(|download| download.url.clone()),
        Body::Server(_) | Body::Existing | Body::Local => None,
    }
}
