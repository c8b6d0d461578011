//! What a cluster is begun with that is not begun empty: told and proven before anything is touched.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use kubewright_model::change::Subject;
use kubewright_model::desired::{Body, Desired, DesiredMachine, Saved};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{ClusterName, NodeName};
use kubewright_model::plan::{Action, Ask, Note, Plan, Weight};
use kubewright_model::programs::KUBEADM_AUTHORITIES;
use kubewright_model::recipe::{Effect, RecipeStep};
use kubewright_model::spec::Distribution;
use kubewright_model::text::Text;
use kubewright_model::units::Moment;

use super::unfinished::is_another;
use super::{Begun, Engine};
use crate::backup::unpack::Home;
use crate::backup::{Unfit, Unpacked};
use crate::holes::ENCRYPTION_KEY;
use crate::sops::Identities;
use crate::world::SNAPSHOTS;
use crate::world::beside::mark;

/// How a restore that is left out is done.
const AGAIN: &str = "add `--restore latest`, or `--restore FILE`, to restore";

impl Begun {
    /// Whether the cluster answered when it was looked at.
    pub fn lives(&self) -> bool {
        self.planned.observed.cluster.as_ref().is_some_and(|seen| seen.present().is_some())
    }
}

/// The folder for what is saved of a cluster's datastore, in that of a store.
pub fn snapshots(kept: &Path, cluster: &ClusterName) -> PathBuf {
    kept.join(cluster.as_str()).join(SNAPSHOTS)
}

impl Engine {
    /// Takes back what a restore needs of a bundle: into the folder `snapshots`, and what is not here any more into the store.
    /// `elsewhere`: it is restored beside the cluster that it is of, under another name. `ask`: what it is for.
    ///
    /// # Errors
    ///
    /// It is damaged, or not for this cluster. Nothing was written then.
    pub fn unpack(
        &self,
        desired: &Desired,
        bundle: &File,
        identities: &Identities,
        snapshots: &Path,
        elsewhere: bool,
        ask: &Ask,
    ) -> Result<Unpacked, Unfit> {
        let secrets = self.world.secrets(&*self.store);
        let settled = self.settled_before(desired, ask).map(|saved| (ask.clone(), saved));
        Home { desired, secrets, snapshots, elsewhere, settled }.take(bundle, identities)
    }

    /// What was named is not what would be put back.
    pub(super) fn names_another(&self, named: Option<(&Saved, Saved)>, ask: &Ask) -> Option<Note> {
        let (named, settled) = named?;
        let (message, help) = is_another(ask, &settled, named)?;
        Some(note(Weight::Blocks, message, &help))
    }

    /// What should be known of what a cluster is begun with.
    pub(super) fn restores(&self, plan: &Plan, desired: &Desired) -> Option<Note> {
        if runs(plan, Effect::Restore) {
            return Some(self.restored_from(plan, desired));
        }
        if !runs(plan, Effect::Init) {
            return None;
        }
        // A rebuild or a restore that was cut was to begin it with what was saved.
        let before = self.unfinished(&desired.cluster)?;
        let was = if before.ask == Ask::Restore { "restore" } else { "rebuild" };
        if plan.ask == Ask::Rebuild && desired.from_scratch {
            before.asked.as_ref()?;
            let message = "begins empty: the restore that the rebuild before asked for is left out";
            return Some(note(Weight::Warns, message.into(), AGAIN));
        }
        before.restores()?;
        let message = format!("a {was} that was cut is to restore this cluster, and this would begin it empty");
        let goes_on = if was == "restore" { "restore latest" } else { "rebuild" };
        let help = format!(
            "`kubewright {goes_on}` goes on with it; `kubewright rebuild --from-scratch` leaves the restore out"
        );
        Some(note(Weight::Blocks, message, &help))
    }

    /// What it is, or why it cannot be had: there is nothing, or it is not whole. What is saved first in the same plan is
    /// proven when it comes.
    fn restored_from(&self, plan: &Plan, desired: &Desired) -> Note {
        if desired.restores == Some(Saved::Latest) && runs(plan, Effect::Snapshot) && plan.ask != Ask::Restore {
            return note(Weight::Tells, "it is begun again with what is saved first".into(), "");
        }
        let saved = self.world.secrets(&*self.store).saved(desired);
        let found = saved.and_then(|path| match path {
            None => Err("nothing was saved of this cluster from here".to_string()),
            Some(path) => {
                let size = (self.world.saved)(path.expose())?;
                self.goes_with(plan, desired, path.expose())?;
                Ok(match &desired.restores {
                    Some(Saved::Bundle { canary, .. }) => format!("bundle {canary} ({size})"),
                    _ => format!("{} ({size})", path.expose()),
                })
            }
        });
        match found {
            Ok(what) if plan.ask == Ask::Restore => {
                let bundle = desired.restores.as_ref().and_then(Saved::canary).and_then(|canary| bundled_at(canary));
                let since =
                    bundle.or_else(|| saved_at(&what)).map_or("it was saved".to_string(), |moment| moment.to_string());
                let message = format!(
                    "goes back to {what}: everything that was written to the cluster since {since} is lost, on every node"
                );
                note(Weight::Warns, message, on_disks(desired))
            }
            Ok(what) => note(Weight::Tells, format!("it is begun again with {what}"), ""),
            Err(why) => {
                let help = match plan.ask {
                    Ask::Restore => "name another snapshot: `kubewright restore FILE`",
                    _ => "name another snapshot: `--restore FILE`, or `--restore latest` for what was saved last",
                };
                note(Weight::Blocks, format!("cannot be restored: {why}"), help)
            }
        }
    }

    /// What the recipe sends with a snapshot is there, whole, and fits the key that is here: nobody stands down before that.
    fn goes_with(&self, plan: &Plan, desired: &Desired, snapshot: &str) -> Result<(), String> {
        let recipes = plan.steps.iter().filter_map(|step| match &step.action {
            Action::RunRecipe { recipe, .. } => Some(&recipe.steps),
            _ => None,
        });
        let ending = recipes.flatten().find_map(|step| match step {
            RecipeStep::Send { with, .. } => with.as_ref(),
            _ => None,
        });
        let Some(ending) = ending else { return Ok(()) };
        let beside = (self.world.beside)(snapshot, ending)?;
        let lacks: Vec<&str> = KUBEADM_AUTHORITIES.into_iter().filter(|file| !beside.holds.contains(*file)).collect();
        if !lacks.is_empty() {
            return Err(format!("the {ending} beside {snapshot} lacks {}", lacks.join(", ")));
        }
        let Some(locked) = beside.locked else { return Ok(()) };
        let texts = desired.hosts.iter().flat_map(|host| &host.resources).filter_map(HostResource::text);
        if !texts.flat_map(Text::holes).any(|hole| hole.secret() == Some(ENCRYPTION_KEY)) {
            return Err("its Secrets are locked with a key, and the spec has no `encryptSecrets`".into());
        }
        let here = self.world.secrets(&*self.store).existing(desired, ENCRYPTION_KEY);
        match here {
            Some(key) if mark(key.expose()) == locked => Ok(()),
            Some(_) => Err(format!("its Secrets are locked with another `{ENCRYPTION_KEY}` than the one that is here")),
            None => Err(format!("its Secrets are locked with an `{ENCRYPTION_KEY}` that is not here")),
        }
    }

    /// What a run begins the cluster with, as it is written down: what was saved last is another one later.
    pub(super) fn settled_on(&self, plan: &Plan, desired: &Desired) -> Option<Saved> {
        match &desired.restores {
            Some(Saved::Latest) if !runs(plan, Effect::Snapshot) => {
                let saved = self.world.secrets(&*self.store).saved(desired).ok().flatten();
                Some(saved.map_or(Saved::Latest, |path| Saved::File(path.expose().clone())))
            }
            other => other.clone(),
        }
    }
}

/// What was saved may hold what the spec has not any more, or otherwise by now. That is an ordinary plan's, which somebody
/// has to see first: the run has done what it was to do.
pub(super) fn catches_up(plan: &Plan, remaining: &mut Vec<String>) -> Option<Note> {
    if !runs(plan, Effect::Restore) || remaining.is_empty() {
        return None;
    }
    let message = format!("what was restored is otherwise than the spec: {}", std::mem::take(remaining).join("; "));
    Some(note(Weight::Warns, message, "`kubewright apply` shows it, and makes it as the spec says"))
}

/// Those that a restore has left out on purpose, and that nobody here can make anew, are not missed by its end.
pub(super) fn leave_out(desired: &mut Desired, silent: &BTreeSet<NodeName>) {
    let existing = |machine: &DesiredMachine| *machine.body == Body::Existing;
    let named = std::mem::take(&mut desired.without);
    let gone: BTreeSet<NodeName> = named.into_iter().filter(|name| silent.contains(name)).collect();
    let gone = |name: &NodeName| gone.contains(name);
    let stays: BTreeSet<NodeName> =
        desired.machines.iter().filter(|it| !gone(&it.name) || !existing(it)).map(|it| it.name.clone()).collect();
    desired.hosts.retain(|host| !gone(&host.name) || stays.contains(&host.name));
    desired.members.retain(|member| stays.contains(&member.name));
    desired.machines.retain(|machine| stays.contains(&machine.name));
}

/// What becomes of what pods keep on disks.
fn on_disks(desired: &Desired) -> &'static str {
    match desired.kubernetes.distribution {
        Distribution::Talos => {
            "servers are reset, and what pods keep on their own disks is wiped; what they keep elsewhere stays as it is now, and \
             may be newer than what the cluster knows of it"
        }
        Distribution::K3s | Distribution::Rke2 | Distribution::Kubeadm => {
            "what pods keep on disks stays as it is now, and may be newer than what the cluster knows of it"
        }
    }
}

/// When a snapshot of ours was saved, which its name says: `etcd-NODE-SECONDS.db`. A pretend clock begins with 1970.
fn saved_at(told: &str) -> Option<Moment> {
    const NO_PRETENCE: u64 = 1_000_000_000;
    let name = told.split_once(".db")?.0;
    name.rsplit_once('-')?.1.parse().ok().filter(|seconds| *seconds > NO_PRETENCE).map(Moment)
}

/// When a bundle was made, which the canary that it has left says.
fn bundled_at(canary: &str) -> Option<Moment> {
    let time = canary.rsplit_once('-')?.1.strip_suffix('Z')?;
    Moment::of_compact(&time.replacen('T', "-", 1))
}

fn runs(plan: &Plan, effect: Effect) -> bool {
    let of = |action: &Action| matches!(action, Action::RunRecipe { recipe, .. } if recipe.effect == effect);
    plan.steps.iter().any(|step| of(&step.action))
}

fn note(weight: Weight, message: String, help: &str) -> Note {
    let help = Some(help).filter(|help| !help.is_empty()).map(String::from);
    Note { weight, subject: Subject::Cluster, message, help, stages: Vec::new() }
}
