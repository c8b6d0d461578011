//! What becomes of a release that fails: what its pods said while they were there, and what is there now.
//!
//! Helm puts the last revision that ran back, or uninstalls a first one, in the same call that failed: the pods that tell
//! the cause are gone when it ends.

use std::sync::Mutex;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kubewright_hosts::{Holes, masked};
use kubewright_model::desired::DesiredRelease;
use kubewright_model::ids::Owner;
use serde_json::json;

use super::super::conditions::pods;
use super::super::failure::failed;
use super::super::look::releases::{Revision, VERSION, WISH};
use super::super::marks::{CLUSTER, FIELD_MANAGER};
use super::newest;
use crate::cluster::ClusterError;

/// Until the first look at what a release waits for: what fails at once may be put back at once.
const SOON: Duration = Duration::from_secs(3);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(10);

/// What a release's pods said last.
#[derive(Default)]
pub(super) struct Last(Mutex<Vec<String>>);

impl Last {
    fn keep(&self, log: Vec<String>) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = log;
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Tells what a release's pods wait for, as long as it is waited for, and keeps it as long as they are those that were
    /// wished.
    pub(super) async fn watch(
        &self,
        client: &Client,
        release: &DesiredRelease,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> std::convert::Infallible {
        let (mut told, mut wait) = (String::new(), SOON);
        loop {
            tokio::time::sleep(wait).await;
            wait = LOOK;
            let log = pods::of_release(client, release).await;
            if let Some(line) = log.first().map(|line| masked(line, holes)).filter(|line| *line != told) {
                told.clone_from(&line);
                tell(line);
            }
            let wished = |there: Revision| matches!(there.status.as_str(), "pending-install" | "pending-upgrade");
            if !log.is_empty()
                && newest(client, &release.name, &release.namespace).await.ok().flatten().is_some_and(wished)
            {
                self.keep(log);
            }
        }
    }

    /// What they say now, or said last when they are gone or others have taken their place.
    pub(super) async fn said(&self, client: &Client, release: &DesiredRelease) -> Vec<String> {
        let before = self.take();
        if !release.on_failure.leaves() && !before.is_empty() {
            return before;
        }
        let now = pods::of_release(client, release).await;
        if now.is_empty() { before } else { now }
    }
}

/// What is there of a release that failed, in words. One that was put back gets what was written down on what it was
/// before: Helm does not carry that on.
pub(super) async fn left(
    client: &Client,
    release: &DesiredRelease,
    owner: &Owner,
    before: Option<&Revision>,
) -> Result<String, ClusterError> {
    let Some(now) = newest(client, &release.name, &release.namespace).await? else {
        return Ok("nothing of it is installed now".into());
    };
    let number = now.number;
    Ok(match (now.status.as_str(), before) {
        (status, Some(before)) if before.number == number && before.status == status => {
            format!("revision {number} is {status}, as it was before")
        }
        ("deployed", Some(before)) => {
            restore(client, &now, before, owner).await?;
            format!("it was rolled back, and runs as before as revision {number}")
        }
        ("failed", _) if release.on_failure.leaves() => format!("revision {number} is failed, and is left so"),
        ("failed", _) => format!("revision {number} is failed, and there is none that ran before it"),
        (status, _) => format!("revision {number} is {status}"),
    })
}

/// Helm 3.13 drops labels when it rolls back (`pkg/action/rollback.go`; 3.14 keeps them), and our mark is one.
async fn restore(client: &Client, now: &Revision, before: &Revision, owner: &Owner) -> Result<(), ClusterError> {
    let mut metadata = json!({ "labels": { CLUSTER: owner.0 } });
    if before.status == "deployed" {
        metadata["annotations"] = json!({ WISH: before.wish, VERSION: before.version });
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), now.namespace.as_str());
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let patched = api.patch_metadata(&now.secret, &params, &Patch::Merge(json!({ "metadata": metadata }))).await;
    patched.map(drop).map_err(|error| failed(&format!("release {}", now.name), &error))
}
