//! Helm's releases, as Helm itself keeps them: a Secret for each revision.
//!
//! Only metadata is read. Helm's own labels tell the name, the revision and the status; the release's content, which may
//! be a megabyte a revision, stays where it is. Our label says whose it is, and Helm carries it from revision to revision;
//! our annotations say what we handed to Helm, and stand on the one revision that we made: one that somebody else has
//! made since has none, and differs.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use kube::core::PartialObjectMeta;
use kube::{Client, ResourceExt as _};
use kubewright_model::digest::Digest;
use kubewright_model::ids::{Namespace, Owner, ReleaseName};
use kubewright_model::observed::ReleaseSeen;

use super::super::failure::failed;
use super::super::marks::CLUSTER;
use super::all_metadata;
use crate::cluster::ClusterError;

/// The annotation with the digest of what we handed to Helm.
pub(crate) const WISH: &str = "kubewright.dev/wish";
/// The annotation with the chart's version.
pub(crate) const VERSION: &str = "kubewright.dev/chart-version";

/// The newest revision of a release.
#[derive(Clone, Debug)]
pub(crate) struct Revision {
    /// The release.
    pub(crate) name: ReleaseName,
    /// Its namespace.
    pub(crate) namespace: Namespace,
    /// The Secret that Helm keeps it in.
    pub(crate) secret: String,
    /// Its number.
    pub(crate) number: u64,
    /// Helm's word for its state: `deployed`, `failed`, `pending-upgrade`.
    pub(crate) status: String,
    /// Whose it is.
    pub(crate) owner: Option<Owner>,
    /// What we handed to Helm, if this revision is ours.
    pub(crate) wish: Option<Digest>,
    /// The chart's version, likewise.
    pub(crate) version: Option<String>,
}

/// The newest revision of every release, of one namespace or of all.
pub(crate) async fn releases(
    client: &Client,
    namespace: Option<&Namespace>,
) -> Result<BTreeMap<(Namespace, ReleaseName), Revision>, ClusterError> {
    let api: Api<Secret> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace.as_str()),
        None => Api::all(client.clone()),
    };
    let params = ListParams::default().labels("owner=helm").fields("type=helm.sh/release.v1");
    let listed = all_metadata(&api, &params).await.map_err(|error| failed("list of releases", &error))?;
    let mut newest: BTreeMap<(Namespace, ReleaseName), Revision> = BTreeMap::new();
    for revision in listed.iter().filter_map(revision) {
        let key = (revision.namespace.clone(), revision.name.clone());
        // Helm 3.13 drops labels when it rolls back; what it rolled back was ours, and is.
        match newest.entry(key) {
            Entry::Vacant(place) => drop(place.insert(revision)),
            Entry::Occupied(mut place) => {
                let there = place.get_mut();
                let (new, old) =
                    if there.number < revision.number { (revision, there.clone()) } else { (there.clone(), revision) };
                let owner = new.owner.clone().or(old.owner);
                *there = Revision { owner, ..new };
            }
        }
    }
    newest.retain(|_, revision| revision.status != "uninstalled");
    Ok(newest)
}

fn revision(secret: &PartialObjectMeta<Secret>) -> Option<Revision> {
    let (labels, annotations) = (secret.labels(), secret.annotations());
    Some(Revision {
        name: labels.get("name")?.as_str().into(),
        namespace: secret.namespace()?.as_str().into(),
        secret: secret.name_any(),
        number: labels.get("version")?.parse().ok()?,
        status: labels.get("status").cloned().unwrap_or_default(),
        owner: labels.get(CLUSTER).map(|cluster| Owner(cluster.as_str().into())),
        wish: annotations.get(WISH).and_then(|digest| Digest::parse(digest)),
        version: annotations.get(VERSION).cloned(),
    })
}

/// Releases as plans need them.
pub(super) fn seen(
    releases: BTreeMap<(Namespace, ReleaseName), Revision>,
) -> BTreeMap<(Namespace, ReleaseName), ReleaseSeen> {
    let seen = releases.into_iter().map(|(key, revision)| {
        let seen = ReleaseSeen {
            version: revision.version.and_then(|version| version.parse().ok()),
            fingerprint: revision.wish,
            deployed: revision.status == "deployed",
            owner: revision.owner,
            rendered: None,
        };
        (key, seen)
    });
    seen.collect()
}
