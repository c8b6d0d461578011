//! Hands on nodes of Talos, and the secrets that such a cluster is made of.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use kubewright_hosts::Hosts;
use kubewright_hosts::talos::{Bundle, TalosHosts, value};
use kubewright_model::desired::Desired;
use kubewright_model::secret::Secret;
use kubewright_model::spec::{Distribution, SecretRef};
use kubewright_model::talos::TALOS_SECRETS;

use crate::holes::Secrets;
use crate::places::Places;
use crate::store::folder::FolderStore;

/// Hands on nodes of Talos; none where the spec has none.
pub(super) fn hands(
    desired: &Desired,
    store: Arc<FolderStore>,
    places: &Places,
    saved: &Path,
) -> Option<Arc<dyn Hosts>> {
    if desired.kubernetes.distribution != Distribution::Talos {
        return None;
    }
    let (desired, places) = (desired.clone(), places.clone());
    let secrets = move || Secrets { store: &*store, pretend: None, places: &places }.kept(&desired, TALOS_SECRETS);
    Some(Arc::new(TalosHosts::new(Arc::new(secrets), saved)))
}

/// The name of a part of those secrets, where a secret is one.
pub(crate) fn part(name: &str) -> Option<&str> {
    name.strip_prefix(TALOS_SECRETS)?.strip_prefix('.')
}

/// What makes the secrets of a cluster of Talos, where they would be in the SOPS file and are not.
pub(crate) fn to_make(name: &str, place: &SecretRef, places: &Places) -> String {
    match &place.sops {
        Some(key) if name == TALOS_SECRETS && places.opened().is_ok() => format!(
            "; `kubewright secrets init` makes those of a new cluster, `kubewright secrets set {key} --file secrets.yaml` \
             takes those of one that stands"
        ),
        _ => String::new(),
    }
}

/// New secrets of a cluster, as a file of `talosctl gen secrets`.
pub(crate) fn generated() -> Result<Secret, String> {
    Bundle::generate(SystemTime::now()).map(|bundle| bundle.to_yaml())
}

/// Why a text is no file of `talosctl gen secrets`; none where it is one.
pub(crate) fn fault(text: &Secret) -> Option<String> {
    Bundle::parse(text, SystemTime::now()).err().map(|found| found.join("; "))
}

/// The client's configuration of `talosctl` for a cluster with these secrets.
pub(crate) fn talosconfig(secrets: &Secret, cluster: &str, endpoints: &[String]) -> Result<Secret, String> {
    let now = SystemTime::now();
    let bundle = Bundle::parse(secrets, now).map_err(|found| found.join("; "))?;
    bundle.talosconfig(cluster, endpoints, &[], now)
}

/// Whether two texts are the secrets of one cluster, however they are written.
pub(crate) fn are_same(one: &Secret, other: &Secret) -> bool {
    let read = |text: &Secret| Bundle::parse(text, SystemTime::now()).ok();
    read(one).is_some() && read(one) == read(other)
}

/// A part of the secrets of a cluster.
pub(crate) fn part_of(secrets: &Secret, name: &str) -> Result<Secret, String> {
    let bundle = Bundle::parse(secrets, SystemTime::now()).map_err(|found| found.join("; "))?;
    value(&bundle, name).ok_or_else(|| format!("the secrets of the Talos cluster have no `{name}`"))
}
