//! What a plan knows of releases beside what is wished: which charts they are, and what becomes of their objects.
//!
//! Only releases that differ cost a look.

use std::borrow::Cow;

use futures::stream::{self, StreamExt as _};
use kubewright_model::desired::Desired;
use kubewright_model::observed::{Observed, Rendered, Seen};
use kubewright_model::plan::{Action, Ask, Note, Plan};
use kubewright_planner::diff::rendered::worth_rendering;

use super::Engine;
use crate::holes;

/// Whether what is asked may install releases.
fn installs(ask: &Ask) -> bool {
    !matches!(
        ask,
        Ask::Destroy | Ask::Backup | Ask::Reboot(_) | Ask::RebootNeeded(_) | Ask::UpdateOs(_) | Ask::Rotate(_)
    )
}

/// Charts that are rendered at once: each is pulled, and rendered with all that it looks up.
const TOGETHER: usize = 4;

impl Engine {
    /// What is wished, with what the lock file says of charts. A pretend world has none.
    pub(super) async fn settled<'d>(&self, desired: &'d Desired, ask: &Ask) -> (Cow<'d, Desired>, Vec<Note>) {
        let real = self.world.cluster.as_ref().filter(|_| !self.simulated() && !desired.releases.is_empty());
        match real {
            Some(hands) if installs(ask) => {
                let mut settled = desired.clone();
                let notes = hands.settle(&mut settled.releases).await;
                (Cow::Owned(settled), notes)
            }
            _ => (Cow::Borrowed(desired), Vec::new()),
        }
    }

    /// What is wrong with the charts of a plan.
    pub(super) async fn doubts(&self, plan: &Plan) -> Vec<Note> {
        let Some(hands) = &self.world.cluster else { return Vec::new() };
        let releases = plan.steps.iter().filter_map(|step| match &step.action {
            Action::InstallRelease(release) => Some(release),
            _ => None,
        });
        let looks = releases.map(|release| hands.doubt(release));
        let found: Vec<Option<Note>> = stream::iter(looks).buffered(TOGETHER).collect().await;
        found.into_iter().flatten().collect()
    }

    /// Adds to what was seen what the charts of releases that differ render to. One that cannot be rendered says why.
    pub(super) async fn render(&self, desired: &Desired, ask: &Ask, observed: &mut Observed) {
        let (Some(hands), Some(Seen::Present(seen))) = (&self.world.cluster, &mut observed.cluster) else { return };
        if !installs(ask) {
            return;
        }
        let secrets = self.world.secrets(&*self.store);
        let looks = worth_rendering(desired, seen).into_iter().map(|release| async move {
            let rendered = match holes::at_hand(desired, secrets, &release.values) {
                Ok(holes) => hands.rendered(release, &holes).await,
                Err(why) => Some(Rendered::Unknown(why)),
            };
            ((release.namespace.clone(), release.name.clone()), rendered)
        });
        let found: Vec<_> = stream::iter(looks).buffer_unordered(TOGETHER).collect().await;
        for (key, rendered) in found {
            if let Some(there) = seen.releases.get_mut(&key) {
                there.rendered = rendered;
            }
        }
    }
}
