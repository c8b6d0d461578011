//! What needs what among objects, by their kinds.

use kubewright_model::object::ObjectId;

/// The definition of a kind, by its own.
pub(super) const DEFINITION: &str = "CustomResourceDefinition";
/// What has other objects in it.
pub(super) const NAMESPACE: &str = "Namespace";
/// Helm's order (`InstallOrder` in `pkg/release/v1/util/kind_sorter.go`): who runs comes after what it reads, and who is
/// asked by the API for its consent comes last of all. Kinds that are not in here come after them.
const KINDS: [&str; 33] = [
    "PriorityClass",
    NAMESPACE,
    DEFINITION,
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "HelmChartConfig",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Where a kind stands when objects are applied.
pub(super) fn rank(kind: &str) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len())
}

/// Objects in the order in which they go, in waves: each is gone before the next is told to go. With a definition all of
/// its kind would go, whoever still needs them; with a namespace all that is in it.
pub(super) fn waves(objects: &[ObjectId]) -> Vec<Vec<&ObjectId>> {
    let wave = |object: &&ObjectId| match object.kind.as_str() {
        NAMESPACE => 2,
        DEFINITION => 1,
        _ => 0,
    };
    let mut sorted: Vec<&ObjectId> = objects.iter().collect();
    sorted.sort_by_key(|object| (wave(object), std::cmp::Reverse(rank(&object.kind))));
    sorted.chunk_by(|a, b| wave(a) == wave(b)).map(<[_]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_a_kind_goes_before_it_and_what_is_in_a_namespace_before_that() {
        let id =
            |kind: &str| ObjectId { api_version: "v1".into(), kind: kind.into(), namespace: None, name: "x".into() };
        let objects = [NAMESPACE, DEFINITION, "ConfigMap", "Deployment", "Wish"].map(id);
        let waves = waves(&objects);
        let kinds: Vec<Vec<&str>> = waves.iter().map(|wave| wave.iter().map(|it| it.kind.as_str()).collect()).collect();
        assert_eq!(kinds, [vec!["Wish", "Deployment", "ConfigMap"], vec![DEFINITION], vec![NAMESPACE]]);
        assert!(rank("ConfigMap") < rank("Deployment") && rank("Deployment") < rank("Wish"));
    }
}
