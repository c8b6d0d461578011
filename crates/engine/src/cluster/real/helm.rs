//! Releases, by the real `helm` program, so that `helm list` shows them like any other.
//!
//! Values go in on standard input and the kubeconfig in a file that has no name: neither stands in an argument.

mod charts;
mod fate;
mod fetch;
mod packed;
mod program;
mod render;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::config::Kubeconfig;
use kubewright_hosts::Holes;
use kubewright_model::desired::{Desired, DesiredRelease};
use kubewright_model::ids::{ClusterName, Namespace, Owner, ReleaseName};
use kubewright_model::version::Version;
use serde_json::json;

use self::charts::{Chart, Pulled};
use self::fate::Last;
use self::fetch::Source;
use self::program::{Found, Program, Said};
use super::failure::{failed, refused, without_secrets};
use super::look::releases::{Revision, VERSION, WISH, releases};
use super::marks::{CLUSTER, FIELD_MANAGER};
use super::objects::fill;
use super::reach::{KEPT, Session};
use crate::cluster::ClusterError;
use crate::lockfile::LockFile;
use crate::store::Store;

/// How long a release's workloads may take: large images over a slow line need minutes.
const READY: Duration = Duration::from_secs(10 * 60);
/// How long the program may take in all: a chart's hooks may each take as long as its workloads, and a line that is dead
/// would be waited for without an end.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Revisions that Helm keeps: each is a Secret of up to a megabyte in etcd.
const HISTORY: &str = "5";

pub(crate) use self::fetch::{cache, need as helm_archive};

/// The `helm` program and what it needs.
pub(super) struct Helm {
    cluster: ClusterName,
    store: Arc<dyn Store>,
    program: Program,
    /// Charts that are folders are in it.
    folder: PathBuf,
    /// Charts that were pulled are kept in it.
    cache: Option<PathBuf>,
    lock: Option<LockFile>,
    pulled: Pulled,
    /// What the lock file is about.
    wished: Vec<DesiredRelease>,
    /// Kubernetes' version, for charts that are rendered without a cluster.
    kubernetes: Version,
    /// Charts come from a bundle, which is unpacked in `cache`, and from nowhere else.
    closed: bool,
}

impl Helm {
    pub(super) fn new(desired: &Desired, store: Arc<dyn Store>, folder: PathBuf) -> Self {
        let source = Source::of(desired.helm_mirror.as_deref(), &folder);
        Self {
            cluster: desired.cluster.clone(),
            store,
            program: Program::new(folder.clone(), source),
            folder,
            cache: desired.airgap.as_ref().map(|gap| PathBuf::from(&gap.folder)).or_else(fetch::cache),
            lock: None,
            pulled: Pulled::default(),
            wished: desired.releases.clone(),
            kubernetes: desired.kubernetes.version.clone(),
            closed: desired.airgap.is_some(),
        }
    }

    pub(super) fn locking(self, lock: PathBuf) -> Self {
        Self { lock: Some(LockFile::at(lock)), ..self }
    }

    pub(super) fn caching(self, cache: PathBuf) -> Self {
        if self.closed {
            return self;
        }
        Self { cache: Some(cache), ..self }
    }

    /// The same, with programs in a folder of their own.
    pub(super) fn with_programs(self, folder: &Path) -> Self {
        Self { program: self.program.within(folder), ..self }
    }

    /// Why no release can be installed from here.
    pub(super) async fn missing(&self, tell: &(dyn Fn(String) + Send + Sync)) -> Option<String> {
        self.program.found(tell).await.err()
    }

    /// Installs or upgrades a release, and writes down on its revision what it was made of.
    pub(super) async fn install(
        &self,
        session: &Session,
        release: &DesiredRelease,
        owner: &Owner,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<bool, ClusterError> {
        let client = &session.client;
        let what = format!("release {}", release.name);
        let values = fill(&release.values, holes)?;
        let before = newest(client, &release.name, &release.namespace).await?;
        if let Some(there) = &before {
            if there.owner.as_ref() != Some(owner) {
                return Err(refused(what, "a release of this name is not ours: remove it, or name ours otherwise"));
            }
            if there.status.starts_with("pending") {
                unlock(client, there).await?;
                tell(format!("{what}: a run was cut off at revision {}, which is begun anew", there.number));
            }
            if there.status == "uninstalling" {
                tell(format!("{what}: a removal was cut off, and is brought to its end first"));
                self.uninstall(session, &release.name, &release.namespace).await?;
            }
        }
        tell(format!("waiting for the pods of {} in {}", release.name, release.namespace));
        let helm = self.program.found(tell).await.map_err(|why| refused(what.as_str(), why))?;
        let chart = self.chart(release).await;
        let chart = chart.map_err(|fault| fault.said(release).error(what.clone(), &session.url(), Vec::new()))?;
        self.write_down(release, &chart, helm).map_err(|why| refused(what.as_str(), why))?;
        let arguments = arguments(release, owner, &chart.place, helm.version);
        let run = self.run(session, &arguments, Some(values.to_string()));
        let last = Last::default();
        let ran = tokio::select! {
            ran = run => ran,
            never = last.watch(client, release, holes, tell) => match never {},
        };
        if let Err(mut said) = ran {
            let log = last.said(client, release).await;
            // Where nobody can look, the error says that already.
            if let Ok(left) = fate::left(client, release, owner, before.as_ref()).await {
                said.why = format!("{}; {left}", said.why);
            }
            return Err(without_secrets(said.error(what, &session.url(), log), holes));
        }
        note(client, release).await?;
        Ok(true)
    }

    /// The lock file knows what is installed before it is: a run that is cut off goes on with the same.
    fn write_down(&self, release: &DesiredRelease, chart: &Chart, helm: &Found) -> Result<(), String> {
        let Some(lock) = &self.lock else { return Ok(()) };
        if let Some((name, digest)) = &helm.fetched {
            lock.put_program(name, digest.clone())?;
        }
        lock.put(release, chart.digest.clone(), &self.wished)
    }

    /// Removes a release of ours.
    pub(super) async fn remove(
        &self,
        session: &Session,
        name: &ReleaseName,
        namespace: &Namespace,
    ) -> Result<(), ClusterError> {
        let Some(there) = newest(&session.client, name, namespace).await? else { return Ok(()) };
        if there.owner.as_ref().is_none_or(|owner| owner.0 != self.cluster) {
            return Err(refused(format!("release {name}"), "it does not carry our mark"));
        }
        self.uninstall(session, name, namespace).await
    }

    /// Helm lets nobody upgrade a release that it has begun to remove.
    async fn uninstall(&self, session: &Session, name: &ReleaseName, within: &Namespace) -> Result<(), ClusterError> {
        let words = ["uninstall", name.as_str(), "--namespace", within.as_str(), "--wait", "--timeout", "300s"];
        let ran = self.run(session, &words.map(String::from), None).await;
        ran.map(drop).map_err(|said| said.error(format!("release {name}"), &session.url(), Vec::new()))
    }

    /// Runs the program on the server that answers; returns what it said.
    async fn run(&self, session: &Session, arguments: &[String], input: Option<String>) -> Result<String, Said> {
        let kubeconfig = self.kubeconfig(session).map_err(Said::from)?;
        let url = session.url();
        let at = url.trim_start_matches("https://").trim_end_matches('/').parse().map_err(Said::from)?;
        let ran = self.program.run(Some(program::Api { kubeconfig: &kubeconfig, at }), arguments, input);
        match tokio::time::timeout(LONGEST, ran).await {
            Ok(ran) => ran,
            Err(_) => Err(Said::from(format!("it did not end within {} minutes", LONGEST.as_secs() / 60))),
        }
    }

    /// The kept kubeconfig, with the address of the server that answers.
    fn kubeconfig(&self, session: &Session) -> Result<Vec<u8>, String> {
        let kept = self.store.secret(&self.cluster, KEPT).map_err(|error| error.told())?;
        let kept = kept.ok_or("no kubeconfig of it is kept here")?;
        let mut kubeconfig = Kubeconfig::from_yaml(kept.expose()).map_err(|error| error.to_string())?;
        for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
            cluster.server = Some(session.url());
        }
        serde_json::to_vec(&kubeconfig).map_err(|error| error.to_string())
    }
}

/// Our mark is set in the same request that makes the release, so that one that is cut off can be found.
pub(super) fn arguments(release: &DesiredRelease, owner: &Owner, chart: &str, helm: program::Version) -> Vec<String> {
    let patience = release.timeout.map_or(READY, |timeout| timeout.duration());
    let mut words: Vec<String> = ["upgrade", release.name.as_str(), chart, "--install", "--reset-values"]
        .map(String::from)
        .into_iter()
        .chain(["--namespace".into(), release.namespace.to_string(), "--values".into(), "-".into()])
        .chain(["--labels".into(), format!("{CLUSTER}={}", owner.0)])
        .chain(["--history-max".into(), HISTORY.into()])
        .chain(["--wait".into(), "--timeout".into(), format!("{}s", patience.as_secs())])
        .collect();
    if !release.on_failure.leaves() {
        // Helm 4 has a new word for it: <https://github.com/helm/helm/blob/v4.0.0/pkg/cmd/upgrade.go>
        words.push(if helm < (4, 0) { "--atomic" } else { "--rollback-on-failure" }.into());
    }
    words
}

async fn newest(client: &Client, name: &ReleaseName, namespace: &Namespace) -> Result<Option<Revision>, ClusterError> {
    let mut there = releases(client, Some(namespace)).await?;
    Ok(there.remove(&(namespace.clone(), name.clone())))
}

/// Takes away the record of a revision that a run was cut off in: Helm lets nobody at a release while it is there, and
/// knows no other way out. What the revision has made stays, and the next one takes it over.
async fn unlock(client: &Client, revision: &Revision) -> Result<(), ClusterError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), revision.namespace.as_str());
    match api.delete(&revision.secret, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(failed(&format!("release {}", revision.name), &error)),
    }
}

/// Writes down on the newest revision what it was made of.
async fn note(client: &Client, release: &DesiredRelease) -> Result<(), ClusterError> {
    let what = format!("release {}", release.name);
    let newest = newest(client, &release.name, &release.namespace).await?;
    let newest = newest.ok_or_else(|| refused(what.as_str(), "it was installed, and is not there"))?;
    let version = release.version.as_ref().map(ToString::to_string);
    let annotations = json!({ WISH: release.fingerprint().as_str(), VERSION: version });
    let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
    let api: Api<Secret> = Api::namespaced(client.clone(), release.namespace.as_str());
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    api.patch_metadata(&newest.secret, &params, &patch).await.map(drop).map_err(|error| failed(&what, &error))
}
