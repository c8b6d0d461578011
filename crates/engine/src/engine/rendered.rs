//! What becomes of the objects of releases: a look that only those cost that differ.

use futures::stream::{self, StreamExt as _};
use kubewright_model::desired::Desired;
use kubewright_model::observed::{Observed, Rendered, Seen};
use kubewright_model::plan::Ask;
use kubewright_planner::diff::rendered::worth_rendering;

use super::Engine;
use crate::holes;

/// Charts that are rendered at once: each is pulled, and rendered with all that it looks up.
const TOGETHER: usize = 4;

impl Engine {
    /// Adds to what was seen what the charts of releases that differ render to. One that cannot be rendered says why.
    pub(super) async fn render(&self, desired: &Desired, ask: &Ask, observed: &mut Observed) {
        let (Some(hands), Some(Seen::Present(seen))) = (&self.world.cluster, &mut observed.cluster) else { return };
        if matches!(ask, Ask::Destroy | Ask::Backup) {
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
