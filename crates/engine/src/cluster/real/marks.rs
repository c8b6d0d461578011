//! What our things in a cluster carry.

use kubewright_model::ids::Owner;

/// The field manager of everything that we apply.
pub(super) const FIELD_MANAGER: &str = "kubewright";
/// The label of everything that is ours, and its value.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kubewright");
/// The label that says which cluster's it is.
pub(super) const CLUSTER: &str = "kubewright.dev/cluster";
/// The annotation with the digest of what we applied.
pub(super) const APPLIED: &str = "kubewright.dev/applied";

/// What everything of ours is found by.
pub(super) fn selector(owner: &Owner) -> String {
    format!("{}={},{CLUSTER}={}", MANAGED_BY.0, MANAGED_BY.1, owner.0)
}
