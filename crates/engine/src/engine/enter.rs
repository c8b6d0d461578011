//! Getting into a cluster: its hosts, what it logs, and a way in for others.

use std::sync::Arc;

use kubewright_hosts::{Hears, Hosts, Question};
use kubewright_model::desired::Desired;
use kubewright_model::ids::{Namespace, NodeName, ObjectName};
use kubewright_model::secret::Secret;
use std::collections::BTreeMap;

use super::Engine;
use crate::cluster::{Bound, ClusterApi, ClusterError, ImageSeen, PodLogs};
use crate::observe::inventories;

impl Engine {
    /// Hands on hosts, which know the ways in from outside. Where a cloud has put those, only the cloud tells.
    ///
    /// # Errors
    ///
    /// This version has none.
    pub async fn hosts(&self, desired: &Desired) -> Result<Arc<dyn Hosts>, String> {
        if desired.hetzner.is_some() {
            inventories(&self.world, desired).await;
        }
        self.world.hosts.clone().ok_or_else(|| "this version has no hands for hosts".to_string())
    }

    fn api(&self) -> Result<&Arc<dyn ClusterApi>, ClusterError> {
        let missing = || ClusterError::Unreachable("this version has no hands for clusters".into());
        self.world.cluster.as_ref().ok_or_else(missing)
    }

    /// Passes on what a pod logs.
    ///
    /// # Errors
    ///
    /// The API does not answer, or there is no such pod.
    pub async fn pod_logs(&self, desired: &Desired, wish: &PodLogs, hears: Hears<'_>) -> Result<(), ClusterError> {
        self.opens(desired).await;
        self.api()?.pod_logs(wish, hears).await
    }

    /// A certificate of a user, and the roles that are bound to it.
    ///
    /// # Errors
    ///
    /// The API does not answer, or does not let that be.
    pub async fn certificate(
        &self,
        desired: &Desired,
        (user, groups): (&str, &[String]),
        question: &Question,
        seconds: u32,
    ) -> Result<(String, Vec<String>), ClusterError> {
        self.opens(desired).await;
        let certificate = self.api()?.certificate(user, question, seconds).await?;
        Ok((certificate, self.api()?.bound(&Bound::User(user, groups)).await?))
    }

    /// A token of a ServiceAccount, until when it is good, and the roles that are bound to it.
    ///
    /// # Errors
    ///
    /// The API does not answer, or there is no such account.
    pub async fn token(
        &self,
        desired: &Desired,
        of: &(Namespace, ObjectName),
        seconds: u32,
    ) -> Result<(Secret, String, Vec<String>), ClusterError> {
        self.opens(desired).await;
        let (token, until) = self.api()?.token(of, seconds).await?;
        Ok((token, until, self.api()?.bound(&Bound::Account(&of.0, &of.1)).await?))
    }

    /// Images on nodes, as their kubelets tell the API.
    ///
    /// # Errors
    ///
    /// The API does not answer.
    pub async fn images(&self, desired: &Desired) -> Result<BTreeMap<NodeName, Vec<ImageSeen>>, ClusterError> {
        self.opens(desired).await;
        self.api()?.images().await
    }

    /// Where a cloud has put the way in, only the cloud tells.
    async fn opens(&self, desired: &Desired) {
        if desired.hetzner.is_some() {
            inventories(&self.world, desired).await;
        }
    }
}
