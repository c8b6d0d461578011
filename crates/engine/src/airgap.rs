//! Bundles for sites that have no way out: what a spec needs from outside, collected with digests, and a run that goes by it.
//!
//! [`listed`] names what there is to collect, [`Engine::collect`] collects it, and [`open`] proves a bundle before
//! anything goes by it. From there on [`hands`] on hosts take every download from the bundle, and Helm its charts.

mod collect;
mod files;
mod hands;
mod open;
mod pack;
mod registry;

use std::collections::BTreeSet;
use std::path::PathBuf;

use kubewright_model::airgap::{AirGap, Need};
use kubewright_model::change::Subject;
use kubewright_model::desired::Desired;
use kubewright_model::diagnostic::Diagnostic;
use kubewright_model::digest::Digest;
use kubewright_model::plan::{Action, Note, Plan, Weight};

use crate::engine::{Engine, Loadout};

pub use self::collect::{Collected, Listed, Wish, listed};
pub use self::hands::hands;
pub use self::open::{Refused, open};
use kubewright_planner::airgap::{ALWAYS, NOT_ALWAYS};
pub use kubewright_planner::airgap::{on_the_way, runs};

/// The folder in which bundles are collected and unpacked: ours in the user's cache.
pub fn cache() -> Option<PathBuf> {
    crate::cluster::cache().map(|cache| cache.join("airgap"))
}

impl Engine {
    /// What a spec means at a site that has no way out. Its hosts have the images of its distribution.
    ///
    /// # Errors
    ///
    /// What is wrong with the spec then.
    pub fn closed(loadout: &Loadout) -> Result<Loadout, Vec<Diagnostic>> {
        Self::lowered_as(loadout, kubewright_planner::airgap::closed(&loadout.file))
    }

    /// The same, with a bundle that everything from outside comes from.
    ///
    /// # Errors
    ///
    /// As of [`Self::closed`].
    pub fn sealed(loadout: &Loadout, gap: &AirGap) -> Result<Loadout, Vec<Diagnostic>> {
        let mut closed = Self::closed(loadout)?;
        kubewright_planner::airgap::seal(&mut closed.desired, gap);
        Ok(closed)
    }

    /// Images of releases that a plan installs and its bundle lacks: values may have changed since it was collected.
    pub(crate) async fn lacking_images(&self, plan: &Plan, desired: &Desired) -> Vec<Note> {
        let Some((gap, hands)) = desired.airgap.as_ref().zip(self.world().cluster.as_ref()) else { return Vec::new() };
        let releases = plan.steps.iter().filter_map(|step| match &step.action {
            Action::InstallRelease(release) => Some(release),
            _ => None,
        });
        let mut notes = Vec::new();
        for release in releases.filter(|release| release.is_folder() || gap.chart(release).is_some()) {
            let subject = Subject::Release(release.name.clone());
            let blocks = |message: String, help: &str| Note {
                weight: Weight::Blocks,
                subject: subject.clone(),
                message,
                help: Some(help.into()),
                stages: Vec::new(),
            };
            match hands.packable(release).await {
                None => {}
                Some(Err(why)) => {
                    let help = "`kubewright bundle` collects it anew where there is a network";
                    notes.push(blocks(format!("its images cannot be compared with the bundle: {why}"), help));
                }
                Some(Ok(packable)) => {
                    if !packable.always.is_empty() {
                        let always: Vec<&str> = packable.always.iter().map(String::as_str).collect();
                        let message = format!("{ALWAYS} {}", always.join("; "));
                        notes.push(Note { weight: Weight::Warns, ..blocks(message, NOT_ALWAYS) });
                    }
                    let lacking = packable.images.iter().filter(|image| gap.image(image).is_none());
                    let lacking: Vec<&str> = lacking.map(String::as_str).collect();
                    if !lacking.is_empty() {
                        let help = "`kubewright bundle` collects them where there is a network";
                        notes.push(blocks(format!("the bundle lacks images of it: {}", lacking.join(", ")), help));
                    }
                }
            }
        }
        notes
    }
}

/// The chart of a release as a file of this computer, and what it comes to.
#[derive(Clone, Debug)]
pub struct Packable {
    /// The archive; none where the chart is a folder beside the spec.
    pub archive: Option<PathBuf>,
    /// Its digest.
    pub digest: Digest,
    /// The images of what it renders to, with the release's values.
    pub images: Vec<String>,
    /// Those of them that are asked of a registry at each start, with their containers.
    pub always: BTreeSet<String>,
}

/// What is fetched for the computer at the site: of the architecture that this one has, or the hosts have.
fn for_this_computer(wish: &Wish<'_>) -> Vec<Need> {
    let desired = wish.desired;
    if desired.releases.is_empty() || !wish.helm {
        return Vec::new();
    }
    let all: BTreeSet<&str> = wish.machines.iter().map(String::as_str).chain([here()]).collect();
    all.into_iter().filter_map(|arch| crate::cluster::helm_archive(desired.helm_mirror.as_deref(), arch)).collect()
}

/// The architecture of this computer, as publishers name it.
fn here() -> &'static str {
    if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" }
}
