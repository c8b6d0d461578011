//! Objects in groups: those of a group are applied together.

use kubewright_model::desired::DesiredObjects;
use kubewright_model::ids::ReleaseName;
use kubewright_model::object::Manifest;

/// Objects that are applied together and need no release.
pub(crate) fn group(name: &str, part: &str, manifests: Vec<Manifest>) -> DesiredObjects {
    DesiredObjects { name: name.into(), part: part.into(), manifests, after: Vec::new() }
}

/// Objects that need a release's CRDs or webhooks.
pub(crate) fn group_after(name: &str, part: &str, release: ReleaseName, manifests: Vec<Manifest>) -> DesiredObjects {
    DesiredObjects { after: vec![release], ..group(name, part, manifests) }
}
