//! What was saved of a cluster, before it is begun with it.

use std::path::Path;

use kubewright_hosts::proven;
use kubewright_model::change::Subject;
use kubewright_model::desired::{Desired, Saved};
use kubewright_model::plan::{Action, Note, Plan, Weight};
use kubewright_model::recipe::Effect;

use super::Engine;

impl Engine {
    /// Why a cluster cannot be begun with what was saved: there is nothing, or it is not whole. What is saved first in the
    /// same plan is proven when it comes.
    pub(super) fn unsaved(&self, plan: &Plan, desired: &Desired) -> Option<Note> {
        let runs = |effect: Effect| {
            plan.steps
                .iter()
                .any(|it| matches!(&it.action, Action::RunRecipe { recipe, .. } if recipe.effect == effect))
        };
        if !runs(Effect::Restore) || desired.restores == Some(Saved::Latest) && runs(Effect::Snapshot) {
            return None;
        }
        let (message, help) = match self.world.secrets(&*self.store).saved(desired) {
            Ok(Some(path)) if !self.simulated() => {
                let why = proven(Path::new(path.expose())).err()?;
                (why, "name another one: `--restore FILE`")
            }
            Ok(Some(_)) => return None,
            Ok(None) => {
                ("nothing was saved of this cluster from here".to_string(), "name a snapshot: `--restore FILE`")
            }
            Err(why) => (why, "mend that first"),
        };
        let message = format!("cannot be restored: {message}");
        let (weight, subject, help, stages) = (Weight::Blocks, Subject::Cluster, Some(help.into()), Vec::new());
        Some(Note { weight, subject, message, help, stages })
    }
}
