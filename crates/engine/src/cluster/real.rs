//! Hands on a real cluster: the Kubernetes API by the kubeconfig that a server gave, and the `helm` program.

mod applications;
mod conditions;
mod drain;
mod failure;
mod going;
mod helm;
mod images;
mod kubeadm;
mod lists;
mod look;
mod marks;
mod nodes;
mod objects;
mod order;
mod people;
mod reach;
#[cfg(test)]
mod tests;
mod vault;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kubewright_hosts::{Hears, Holes, Hosts, Question, served};
use kubewright_model::applications::{ApplicationSeen, Remedy};
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Desired, DesiredRelease};
use kubewright_model::doctor::Lists;
use kubewright_model::ids::{Namespace, NodeName, ObjectName, Owner, ReleaseName};
use kubewright_model::net::HostPort;
use kubewright_model::object::{Manifest, ObjectId};
use kubewright_model::observed::{ClusterSeen, Rendered, Seen};
use kubewright_model::plan::{NodeMarks, Note, WorkloadImage};
use kubewright_model::secret::Secret;
use kubewright_model::units::Span;
use kubewright_model::vault::DesiredVault;

pub(crate) use self::drain::few;
use self::failure::without_secrets;
use self::helm::Helm;
pub(crate) use self::helm::{cache, helm_archive};
use self::objects::{GOING, Others};
use self::reach::{Away, Reach, Session};
pub(crate) use self::reach::{KEPT as KUBECONFIG, SERVER_NAME};
use self::watch::{Lost, Watches, collections};
use super::{Bound, Checked, ClusterApi, ClusterError, Each, ImageSeen, PodLogs};
use crate::airgap::Packable;
use crate::store::Store;
use crate::vault::Vault;
use crate::world::doors::Doors;

/// Hands on a real cluster.
pub struct RealCluster {
    desired: Desired,
    store: Arc<dyn Store>,
    reach: Reach,
    helm: Helm,
    watches: Watches,
    /// How long what was told to go may take.
    going: Duration,
}

impl RealCluster {
    /// Hands on the cluster that `desired` describes. Its kubeconfig is in the store, or on a host of a server; charts
    /// that are folders are in `folder`.
    pub fn new(desired: &Desired, store: Arc<dyn Store>, hosts: Arc<dyn Hosts>, folder: PathBuf) -> Self {
        let helm = Helm::new(desired, store.clone(), folder);
        Self {
            desired: desired.clone(),
            reach: Reach::new(Arc::clone(&store), hosts),
            store,
            helm,
            watches: Watches::default(),
            going: GOING,
        }
    }

    /// The same hands, which also go in from outside.
    #[must_use]
    pub fn through(self, doors: Arc<Doors>) -> Self {
        Self { reach: self.reach.through(doors), ..self }
    }

    /// The same hands, with a lock file.
    #[must_use]
    pub fn locking(self, lock: PathBuf) -> Self {
        Self { helm: self.helm.locking(lock), ..self }
    }

    /// The same hands, which keep charts in this folder.
    #[must_use]
    pub fn caching(self, cache: PathBuf) -> Self {
        Self { helm: self.helm.caching(cache), ..self }
    }

    /// The same hands, which look for programs in this folder alone.
    #[must_use]
    pub fn with_programs(self, folder: &Path) -> Self {
        Self { helm: self.helm.with_programs(folder), ..self }
    }

    /// The same hands, which wait so long for what was told to go.
    #[must_use]
    pub fn waiting_for_what_goes(self, going: Duration) -> Self {
        Self { going, ..self }
    }

    fn vault_keys(&self) -> vault::Kept {
        vault::Kept { store: Arc::clone(&self.store), cluster: self.desired.cluster.clone() }
    }

    async fn session(&self) -> Result<Session, ClusterError> {
        Ok(self.reach.session(&self.desired).await?)
    }

    /// A server that does not answer any more is not asked again: the next call finds one that does.
    fn heed<T>(&self, answer: Result<T, ClusterError>) -> Result<T, ClusterError> {
        if let Err(ClusterError::Unreachable(_)) = &answer {
            self.reach.lose();
        }
        answer
    }
}

/// Whether a release is where Vault is to be.
fn is_there(seen: &ClusterSeen, wish: &DesiredVault) -> bool {
    seen.releases.keys().any(|(namespace, name)| *namespace == wish.namespace && name.as_str() == "vault")
}

#[async_trait]
impl ClusterApi for RealCluster {
    async fn observe(&self, desired: &Desired) -> Seen<ClusterSeen> {
        let session = match self.reach.session(desired).await {
            Ok(session) => session,
            Err(Away::Nobody) => return Seen::Absent,
            Err(Away::Unknown(why)) => return Seen::unknown(why),
        };
        match self.heed(look::look(&session, desired).await) {
            Err(error) => Seen::unknown(error.to_string()),
            Ok(mut seen) => {
                if let Some(wish) = desired.vault.as_ref().filter(|wish| is_there(&seen, wish)) {
                    seen.vault = Some(vault::seen(&session.client, wish, &self.vault_keys()).await);
                }
                let kubernetes = &desired.kubernetes;
                let servers = seen.nodes.values().filter(|node| node.server);
                let addresses = servers.filter_map(|node| {
                    Some(HostPort::new(node.address?.to_string(), kubernetes.api_port(node.address)))
                });
                let addresses: Vec<HostPort> = addresses.collect();
                let shown = futures::future::join_all(addresses.iter().map(served)).await;
                let shown = addresses.iter().zip(shown).filter_map(|(at, until)| Some((at.to_string(), until?)));
                seen.certificates = shown.collect();
                self.reach.learn(addresses);
                Seen::Present(seen)
            }
        }
    }

    async fn lists(&self, desired: &Desired) -> Seen<Lists> {
        match self.reach.session(desired).await {
            Ok(session) => Seen::Present(lists::lists(&session.client).await),
            Err(Away::Nobody) => Seen::Absent,
            Err(Away::Unknown(why)) => Seen::unknown(why),
        }
    }

    async fn apply(&self, objects: &[Manifest], owner: &Owner, holes: &Holes) -> Result<bool, ClusterError> {
        let session = self.session().await?;
        let applied = objects::apply(&session.client, objects, owner, holes, Others::Keep).await;
        self.heed(applied.map_err(|error| without_secrets(error, holes)))
    }

    async fn take(&self, objects: &[Manifest], owner: &Owner, holes: &Holes) -> Result<bool, ClusterError> {
        let session = self.session().await?;
        let taken = objects::apply(&session.client, objects, owner, holes, Others::Lose).await;
        self.heed(taken.map_err(|error| without_secrets(error, holes)))
    }

    async fn delete(&self, objects: &[ObjectId], owner: &Owner) -> Result<(), ClusterError> {
        let session = self.session().await?;
        self.heed(objects::delete(&session.client, objects, owner, self.going).await)
    }

    async fn install(
        &self,
        release: &DesiredRelease,
        owner: &Owner,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<bool, ClusterError> {
        let session = self.session().await?;
        self.heed(self.helm.install(&session, release, owner, holes, tell).await)
    }

    async fn settle(&self, releases: &mut [DesiredRelease]) -> Vec<Note> {
        self.helm.settle(releases).await
    }

    async fn packable(&self, release: &DesiredRelease) -> Option<Result<Packable, String>> {
        Some(self.helm.packable(release).await)
    }

    async fn doubt(&self, release: &DesiredRelease) -> Option<Note> {
        self.helm.doubt(release).await
    }

    async fn rendered(&self, release: &DesiredRelease, holes: &Holes) -> Option<Rendered> {
        Some(match self.session().await {
            Ok(session) => self.helm.rendered(&session, release, holes).await,
            Err(error) => Rendered::Unknown(error.to_string()),
        })
    }

    async fn remove(&self, name: &ReleaseName, namespace: &Namespace) -> Result<(), ClusterError> {
        let session = self.session().await?;
        self.heed(self.helm.remove(&session, name, namespace).await)
    }

    async fn cordon(&self, node: &NodeName, cordoned: bool) -> Result<(), ClusterError> {
        let session = self.session().await?;
        self.heed(nodes::cordon(&session.client, node, cordoned).await)
    }

    async fn drain(
        &self,
        node: &NodeName,
        timeout: Span,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ClusterError> {
        let session = self.session().await?;
        self.heed(drain::drain(&session.client, node, timeout, tell).await)
    }

    async fn mark(&self, marks: &NodeMarks) -> Result<bool, ClusterError> {
        let session = self.session().await?;
        self.heed(nodes::mark(&session.client, marks).await)
    }

    async fn set_image(&self, wish: &WorkloadImage) -> Result<bool, ClusterError> {
        let session = self.session().await?;
        self.heed(images::set(&session.client, wish).await)
    }

    async fn forget(&self, node: &NodeName) -> Result<(), ClusterError> {
        let session = self.session().await?;
        self.heed(nodes::forget(&session.client, node).await)
    }

    async fn check(&self, condition: &Condition) -> Result<Checked, ClusterError> {
        let session = match self.reach.shared_session(&self.desired).await {
            Ok(session) => session,
            Err(away) => return Ok(conditions::no_answer(condition, &ClusterError::from(away))),
        };
        match self.heed(conditions::check(&session, &self.desired, condition).await) {
            // A server is there and this call came to nothing: no other check tells why.
            Err(error) if error.may_pass() => Ok(Checked { saw: error.to_string(), ..Checked::default() }),
            answer => answer,
        }
    }

    async fn pod_logs(&self, wish: &PodLogs, hears: Hears<'_>) -> Result<(), ClusterError> {
        let session = self.session().await?;
        self.heed(people::logs(&session.client, wish, hears).await)
    }

    async fn certificate(&self, user: &str, question: &Question, seconds: u32) -> Result<String, ClusterError> {
        let session = self.session().await?;
        self.heed(people::certificate(&session.client, user, question, seconds).await)
    }

    async fn token(&self, of: &(Namespace, ObjectName), seconds: u32) -> Result<(Secret, String), ClusterError> {
        let session = self.session().await?;
        self.heed(people::token(&session.client, of, seconds).await)
    }

    async fn bound(&self, of: &Bound<'_>) -> Result<Vec<String>, ClusterError> {
        let session = self.session().await?;
        self.heed(people::bound(&session.client, of).await)
    }

    async fn images(&self) -> Result<BTreeMap<NodeName, Vec<ImageSeen>>, ClusterError> {
        let session = self.session().await?;
        self.heed(people::images(&session.client).await)
    }

    async fn applications(&self) -> Result<Vec<ApplicationSeen>, ClusterError> {
        let session = self.session().await?;
        self.heed(applications::seen(&session.client).await)
    }

    async fn mend(&self, remedy: &Remedy) -> Result<(), ClusterError> {
        let session = self.session().await?;
        self.heed(applications::mend(&session.client, remedy).await)
    }

    async fn configure_vault(
        &self,
        wish: &DesiredVault,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<bool, ClusterError> {
        let session = self.session().await?;
        let wire = vault::Proxy { client: &session.client, wish };
        self.heed(Vault { wire: &wire, keys: &self.vault_keys(), wish }.settle(tell).await)
    }

    async fn each_object(&self, each: Each<'_>) -> Result<Vec<(String, String)>, ClusterError> {
        let session = self.session().await?;
        self.heed(look::each_object(&session.client, each).await)
    }

    async fn vault_snapshot(
        &self,
        wish: &DesiredVault,
        to: &mut std::fs::File,
    ) -> Result<Option<String>, ClusterError> {
        let session = self.session().await?;
        self.heed(vault::snapshot(&session.client, wish, &self.vault_keys(), to).await)
    }

    async fn changed(&self, condition: &Condition, pause: Duration) {
        let collections = collections(condition);
        let session = match collections.is_empty() {
            true => None,
            false => self.reach.session(&self.desired).await.ok(),
        };
        let Some(session) = session else { return tokio::time::sleep(pause).await };
        if let Err(Lost) = self.watches.changed(&session.client, &collections).await {
            // The next look finds a server that answers; who asks at once finds the one that goes away.
            self.reach.lose();
            tokio::time::sleep(pause).await;
        }
    }

    async fn no_releases(&self, tell: &(dyn Fn(String) + Send + Sync)) -> Option<String> {
        self.helm.missing(tell).await
    }
}
