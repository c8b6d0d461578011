//! What other programs of the cluster keep: certificates, and which pods stand behind a Service.

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt as _};
use kubewright_model::spec::verify::CertificateCheck;

use super::super::drain::few;
use super::super::failure::failed;
use super::super::look::all;
use super::super::objects::conditions;
use super::{Answer, fails, holds};
use crate::cluster::ClusterError;

/// All objects of a kind; none where the cluster has no such kind.
pub(in super::super) async fn objects(
    client: &Client,
    group: &str,
    version: &str,
    kind: &str,
) -> Result<Option<Vec<DynamicObject>>, ClusterError> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match all(&Api::<DynamicObject>::all_with(client.clone(), &resource), &ListParams::default()).await {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(failed(&format!("list of {}", resource.plural), &error)),
    }
}

/// Whether an object's condition `Ready` holds, and what is said where it does not.
pub(super) fn ready(object: &DynamicObject) -> Result<(), String> {
    match conditions(&object.data).find(|(kind, ..)| *kind == "Ready") {
        Some((_, true, _)) => Ok(()),
        Some((_, false, why)) if !why.is_empty() => Err(why.to_string()),
        _ => Err("it is not Ready yet".into()),
    }
}

/// Every certificate is Ready, and there are enough of them.
pub(super) async fn certificates(client: &Client, check: &CertificateCheck) -> Result<Answer, ClusterError> {
    let there = objects(client, "cert-manager.io", "v1", "Certificate").await?;
    let issuers = objects(client, "cert-manager.io", "v1", "ClusterIssuer").await?;
    let (Some(there), Some(issuers)) = (there, issuers) else {
        return Ok(fails("cert-manager is not installed", "certificates are cert-manager's"));
    };
    let name = |object: &DynamicObject| format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
    let mut waiting: Vec<String> =
        there.iter().filter_map(|it| ready(it).err().map(|why| format!("{}: {why}", name(it)))).collect();
    for wanted in &check.issuers {
        match issuers.iter().find(|issuer| issuer.name_any() == wanted.as_str()) {
            None => waiting.push(format!("ClusterIssuer {wanted} is not there")),
            Some(issuer) => waiting.extend(ready(issuer).err().map(|why| format!("ClusterIssuer {wanted}: {why}"))),
        }
    }
    if !waiting.is_empty() {
        let hint = "cert-manager's Challenges tell how far a certificate is: `kubectl get challenges -A`";
        return Ok(fails(few(&waiting), hint));
    }
    Ok(match there.len() >= check.at_least as usize {
        true if there.len() == 1 => holds("1 certificate is Ready".into()),
        true => holds(format!("{} certificates are Ready", there.len())),
        false => fails(format!("{} of {} certificates are there", there.len(), check.at_least), ""),
    })
}

/// A Service of the cluster cannot be reached from here, but the API knows which pods behind it are ready.
pub(super) async fn service(client: &Client, namespace: &str, name: &str, port: u16) -> Result<Answer, ClusterError> {
    let api = Api::<k8s_openapi::api::core::v1::Service>::namespaced(client.clone(), namespace);
    let what = format!("Service {namespace}/{name}");
    let Some(service) = api.get_opt(name).await.map_err(|error| failed(&what, &error))? else {
        return Ok(fails(format!("{what} is not there"), "install what it belongs to"));
    };
    let mut ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    if !ports.any(|it| it.port == i32::from(port)) {
        return Ok(fails(format!("{what} has no port {port}"), "name one of its ports"));
    }
    let params = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let slices = all(&Api::<EndpointSlice>::namespaced(client.clone(), namespace), &params).await;
    let slices = slices.map_err(|error| failed(&what, &error))?;
    let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
    let ready = endpoints
        .filter(|endpoint| endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false)))
        .count();
    Ok(match ready {
        0 => fails(format!("no pod behind {what} is ready"), "look at the pods that it selects"),
        some => holds(format!("{some} pods behind {what} are ready (seen by the API: it is not reached from outside)")),
    })
}
