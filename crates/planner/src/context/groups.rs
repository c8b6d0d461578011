//! Objects in groups: those of a group are applied together. And the namespaces that nobody has to make.

use kubewright_model::desired::DesiredObjects;
use kubewright_model::ids::ReleaseName;
use kubewright_model::object::Manifest;

/// Namespaces that every cluster has.
pub(crate) const GIVEN_NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Objects that are applied together and need no release.
pub(crate) fn group(name: &str, part: &str, manifests: Vec<Manifest>) -> DesiredObjects {
    DesiredObjects { name: name.into(), part: part.into(), manifests, after: Vec::new() }
}

/// Objects that need a release's CRDs or webhooks.
pub(crate) fn group_after(name: &str, part: &str, release: ReleaseName, manifests: Vec<Manifest>) -> DesiredObjects {
    DesiredObjects { after: vec![release], ..group(name, part, manifests) }
}
