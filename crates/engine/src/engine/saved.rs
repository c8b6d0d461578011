//! What was saved of a cluster, before it is begun with it.

use std::path::Path;

use kubewright_hosts::proven;
use kubewright_model::change::Subject;
use kubewright_model::desired::{Desired, Saved};
use kubewright_model::plan::{Action, Note, Plan, Weight};
use kubewright_model::recipe::Effect;
use kubewright_model::units::Size;

use super::Engine;

impl Engine {
    /// What a cluster is begun with, or why it cannot be: there is nothing, or it is not whole. What is saved first in the same
    /// plan is proven when it comes.
    pub(super) fn restored_from(&self, plan: &Plan, desired: &Desired) -> Option<Note> {
        let runs = |effect: Effect| {
            plan.steps
                .iter()
                .any(|it| matches!(&it.action, Action::RunRecipe { recipe, .. } if recipe.effect == effect))
        };
        if !runs(Effect::Restore) {
            return None;
        }
        let note = |weight, message: String, help: Option<&str>| {
            let (subject, help, stages) = (Subject::Cluster, help.map(String::from), Vec::new());
            Some(Note { weight, subject, message, help, stages })
        };
        if desired.restores == Some(Saved::Latest) && runs(Effect::Snapshot) {
            return note(Weight::Tells, "it is begun again with what is saved first".into(), None);
        }
        let (why, help) = match self.world.secrets(&*self.store).saved(desired) {
            Ok(Some(path)) if self.simulated() => {
                return note(Weight::Tells, format!("it is begun again with {}", path.expose()), None);
            }
            Ok(Some(path)) => match proven(Path::new(path.expose())) {
                Ok(found) => {
                    let size = Size::from_bytes(found.size);
                    let message = format!("it is begun again with {} ({size})", path.expose());
                    return note(Weight::Tells, message, None);
                }
                Err(why) => (why, "name another one: `--restore FILE`"),
            },
            Ok(None) => ("nothing was saved of this cluster from here".into(), "name a snapshot: `--restore FILE`"),
            Err(why) => (why, "mend that first"),
        };
        note(Weight::Blocks, format!("cannot be restored: {why}"), Some(help))
    }
}
