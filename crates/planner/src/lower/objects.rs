//! Objects of the cluster: namespaces, ConfigMaps, Secrets, routes, and what add-ons want beside their charts.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::ids::Namespace;
use kubewright_model::object::{Manifest, ObjectKey};
use kubewright_model::spec::kubernetes::{Distribution, Kubernetes};
use serde_json::{Map, Value, json};

use crate::addons;
use crate::context::groups::{GIVEN_NAMESPACES, group};
use crate::context::{Context, SecretNames};

/// Groups of objects in the order in which they are applied: namespaces first, what needs a release last.
pub(super) fn objects(
    context: &Context<'_>,
    releases: &[DesiredRelease],
    secrets: &mut SecretNames,
) -> Vec<DesiredObjects> {
    let mut groups = vec![
        group("config-maps", "config-maps", config_maps(context)),
        group("secrets", "secrets", cluster_secrets(context, secrets)),
        group("routes", "routes", routes(context)),
        group("traefik", "ingress", traefik(context)),
        group("manifests", "manifests", manifests(context)),
    ];
    groups.extend(addons::objects(context, secrets));
    groups.retain(|group| !group.manifests.is_empty());
    groups.insert(0, group("namespaces", "namespaces", namespaces(context, releases, &groups)));
    groups.retain(|group| !group.manifests.is_empty());
    for manifest in groups.iter_mut().flat_map(|group| &mut group.manifests) {
        mark(manifest, context);
    }
    groups
}

/// Our mark, on top of the labels that the object has.
fn mark(manifest: &mut Manifest, context: &Context<'_>) {
    let Some(metadata) = manifest.0.pointer_mut("/metadata").and_then(Value::as_object_mut) else { return };
    let labels = metadata.entry("labels").or_insert(Value::Null);
    // A rule says so where they are something else.
    if labels.is_null() || labels.is_object() {
        labels["app.kubernetes.io/managed-by"] = "kubewright".into();
        labels["kubewright.dev/cluster"] = context.file.metadata.name.as_str().into();
    }
}

/// Those of the spec, and those that releases and objects are put into.
fn namespaces(context: &Context<'_>, releases: &[DesiredRelease], groups: &[DesiredObjects]) -> Vec<Manifest> {
    let wanted = context.file.spec.namespaces.iter().cloned();
    let of_releases: BTreeSet<Namespace> = releases.iter().map(|release| release.namespace.clone()).collect();
    let hardened = context.file.spec.kubernetes.profile.is_some();
    let in_order = releases.iter().map(|release| release.namespace.clone());
    let of_objects =
        groups.iter().flat_map(|group| group.manifests.iter().filter_map(|manifest| manifest.id().ok()?.namespace));
    let privileged: BTreeSet<Namespace> = addons::privileged_namespaces(context).into_iter().collect();
    let mut seen = BTreeSet::new();
    let names = wanted.chain(addons::namespaces(&context.file.spec.addons)).chain(in_order).chain(of_objects);
    let new = names.filter(|name| !GIVEN_NAMESPACES.contains(&name.as_str()) && seen.insert(name.clone()));
    new.map(|name| {
        // Pods that use the host's network are refused elsewhere where Pod Security is enforced. Hardened, it is so
        // strict everywhere that the pods of most charts would be refused as well.
        let enforced = match privileged.contains(&name) {
            true => Some("privileged"),
            false => (hardened && of_releases.contains(&name)).then_some("baseline"),
        };
        let labels = enforced.map_or(json!({}), |level| json!({ "pod-security.kubernetes.io/enforce": level }));
        Manifest(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } }))
    })
    .collect()
}

fn namespaced(api_version: &str, kind: &str, key: &ObjectKey) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": { "name": key.name, "namespace": key.namespace },
    })
}

fn config_maps(context: &Context<'_>) -> Vec<Manifest> {
    let maps = context.file.spec.config_maps.iter().map(|(key, data)| {
        let mut object = namespaced("v1", "ConfigMap", key);
        object["data"] = json!(data);
        Manifest(object)
    });
    maps.collect()
}

fn cluster_secrets(context: &Context<'_>, secrets: &mut SecretNames) -> Vec<Manifest> {
    let spec = &context.file.spec.secrets;
    let mut manifests = Vec::new();
    for (kind, field, objects) in [("Secret", "stringData", &spec.objects), ("ConfigMap", "data", &spec.config_maps)] {
        for (key, values) in objects {
            let mut object = namespaced("v1", kind, key);
            let holes: Map<String, Value> = values
                .iter()
                .map(|(name, place)| {
                    let hole = secrets.value(&format!("{}.{}.{name}", key.namespace, key.name), Some(place));
                    (name.clone(), hole.into())
                })
                .collect();
            object[field] = Value::Object(holes);
            manifests.push(Manifest(object));
        }
    }
    manifests
}

/// The class that routes go through; none when the file wants no ingress controller.
fn ingress_class(context: &Context<'_>) -> Option<&'static str> {
    let ingress = &context.file.spec.ingress;
    let Kubernetes { distribution, version, .. } = &context.file.spec.kubernetes;
    match (&ingress.nginx, &ingress.traefik) {
        _ if ingress.none => None,
        (Some(_), _) => Some("nginx"),
        (None, Some(_)) => Some("traefik"),
        (None, None) => match distribution {
            Distribution::K3s => Some("traefik"),
            // Newer ones keep what the cluster has, and bring Traefik to a new one: either is the default class.
            // <https://docs.rke2.io/reference/ingress_migration>
            Distribution::Rke2 if version.minor() < (1, 36) => Some("nginx"),
            Distribution::Rke2 => None,
            Distribution::Kubeadm | Distribution::Talos => None,
        },
    }
}

/// The first word of a host name.
fn first_word(host: &str) -> &str {
    host.split('.').next().unwrap_or(host)
}

/// An Ingress lies in its Service's namespace and is named after its host: after its first word, where no other host there
/// begins with it.
fn routes(context: &Context<'_>) -> Vec<Manifest> {
    let class = ingress_class(context);
    let routes = &context.file.spec.ingress.routes;
    let mut alike: BTreeMap<(&Namespace, &str), usize> = BTreeMap::new();
    for (host, route) in routes {
        *alike.entry((&route.to.namespace, first_word(host))).or_default() += 1;
    }
    let routes = routes.iter().map(|(host, route)| {
        let first = first_word(host);
        let name = match alike.get(&(&route.to.namespace, first)) {
            Some(1) if first != "*" => first.to_string(),
            _ => host.replace('*', "wildcard"),
        };
        let mut object = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": { "name": format!("{name}-ingress"), "namespace": route.to.namespace },
            "spec": {
                "rules": [{
                    "host": host,
                    "http": { "paths": [{
                        "path": route.path,
                        "pathType": "Prefix",
                        "backend": { "service": { "name": route.to.name, "port": { "number": route.to.port } } },
                    }] },
                }],
            },
        });
        if let Some(class) = class {
            object["spec"]["ingressClassName"] = class.into();
        }
        if let Some(issuer) = &route.issuer {
            object["metadata"]["annotations"] = json!({ "cert-manager.io/cluster-issuer": issuer });
        }
        let issued = route.issuer.as_ref().map(|_| format!("{name}-tls"));
        if let Some(secret) = route.tls_secret.as_ref().map(ToString::to_string).or(issued) {
            object["spec"]["tls"] = json!([{ "hosts": [host], "secretName": secret }]);
        }
        Manifest(object)
    });
    routes.collect()
}

/// The packaged Traefik takes values from an object of its own.
/// <https://docs.k3s.io/helm#customizing-packaged-components-with-helmchartconfig>,
/// <https://docs.rke2.io/add-ons/helm#customizing-packaged-components-with-helmchartconfig>
fn traefik(context: &Context<'_>) -> Vec<Manifest> {
    let values = context.file.spec.ingress.traefik.as_ref().map(|traefik| &traefik.values);
    let Some(values) = values.filter(|values| !values.is_empty()) else { return Vec::new() };
    let name = match context.file.spec.kubernetes.distribution {
        Distribution::K3s => "traefik",
        Distribution::Rke2 => "rke2-traefik",
        Distribution::Kubeadm | Distribution::Talos => return Vec::new(),
    };
    let values = serde_saphyr::to_string(&json!(values)).unwrap_or_default();
    vec![Manifest(json!({
        "apiVersion": "helm.cattle.io/v1",
        "kind": "HelmChartConfig",
        "metadata": { "name": name, "namespace": "kube-system" },
        "spec": { "valuesContent": values },
    }))]
}

fn manifests(context: &Context<'_>) -> Vec<Manifest> {
    let sources = context.file.spec.addons.manifests.values();
    sources.flat_map(|source| source.objects.iter().map(|object| Manifest(json!(object)))).collect()
}
