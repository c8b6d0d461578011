//! The way into a cluster, for those who use it.

use kubewright_model::desired::Desired;
use kubewright_model::ids::ClusterName;
use kubewright_model::observed::Seen;
use kubewright_model::secret::Secret;

use super::{Engine, EngineError};
use crate::cluster::KUBECONFIG;
use crate::kubeconfig;

impl Engine {
    /// The kubeconfig of a cluster, named after it; or why there is none. Where none is kept, a look at the cluster brings
    /// one from a server's host.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub async fn kubeconfig(&self, desired: &Desired) -> Result<Result<Secret, String>, EngineError> {
        let kept = || self.store.secret(&desired.cluster, KUBECONFIG);
        let named = |given: &Secret| {
            kubeconfig::named(given, &desired.cluster).map_err(|why| format!("what is kept is no kubeconfig: {why}"))
        };
        if let Some(given) = kept()? {
            return Ok(named(&given));
        }
        let seen = self.status(desired).await.cluster;
        Ok(match (kept()?, seen) {
            (Some(given), _) => named(&given),
            (None, Some(Seen::Unknown(why))) => Err(why.to_string()),
            (None, Some(Seen::Present(_))) => Err("the cluster lives, and its kubeconfig is not kept here".into()),
            (None, _) => Err("no member of the control plane runs anywhere".into()),
        })
    }

    /// Whether the kubeconfig of a cluster is kept.
    pub fn keeps_kubeconfig(&self, cluster: &ClusterName) -> bool {
        matches!(self.store.secret(cluster, KUBECONFIG), Ok(Some(_)))
    }
}
