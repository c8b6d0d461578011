//! Objects of any kind that are there.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::{Client, ResourceExt as _};
use kubewright_model::bundle::Canary;
use kubewright_model::object::kind_of_group;
use kubewright_model::spec::verify::ObjectCheck;

use super::super::drain::few;
use super::super::failure::failed;
use super::super::look::{all, all_metadata, kinds};
use super::custom::ready;
use super::{Answer, fails, holds};
use crate::cluster::{ClusterError, canary_says};

/// An object that was asked for: what it is called, and whether it is Ready.
type Thing = (String, String, Result<(), String>);

/// Those that are named are there, and there are enough.
pub(super) async fn objects(client: &Client, check: &ObjectCheck) -> Result<Answer, ClusterError> {
    let found = kinds(client).await?;
    let Some(kind) = found.into_iter().find(|it| check.is_of(&it.kind, &kind_of_group(&it.kind, &it.group))) else {
        return Ok(fails(format!("the cluster has no kind {}", check.kind), "install what brings it"));
    };
    let there: Vec<Thing> = things(client, &kind, check).await?;
    let here = |(namespace, ..): &&Thing| check.namespace.as_ref().is_none_or(|it| it.as_str() == namespace);
    let there: Vec<&Thing> = there.iter().filter(here).collect();
    let lacks = |name: &&str| !there.iter().any(|(_, it, _)| it == name);
    let missing = check.names.iter().map(|name| name.as_str()).filter(lacks);
    let mut wrong: Vec<String> = missing.map(|name| format!("{name} is not there")).collect();
    let wanted: Vec<&&Thing> = there.iter().filter(|(_, name, _)| check.wants(name)).collect();
    if check.ready {
        wrong.extend(wanted.iter().filter_map(|(_, name, ready)| Some(format!("{name}: {}", ready.clone().err()?))));
    }
    if !wrong.is_empty() {
        return Ok(fails(format!("{} {}", kind.kind, few(&wrong)), "apply it, or install what brings it"));
    }
    Ok(match there.len() >= check.at_least as usize {
        true => holds(many(wanted.len(), &kind)),
        false => fails(format!("{} of {} {} are there", there.len(), check.at_least, kind.plural), ""),
    })
}

/// The ConfigMap that tells which bundle the cluster was restored from.
pub(super) async fn canary(client: &Client, bundle: &str) -> Result<Answer, ClusterError> {
    let id = Canary::id();
    let api = Api::<ConfigMap>::namespaced(client.clone(), id.namespace.as_ref().map_or("", |name| name.as_str()));
    let found = api.get_opt(id.name.as_str()).await.map_err(|error| failed(&id.to_string(), &error))?;
    let says = found.and_then(|it| it.data).and_then(|mut data| data.remove("bundle"));
    Ok(canary_says(bundle, says.as_deref()).map_or_else(|(saw, hint)| fails(saw, hint), holds))
}

/// `1 ClusterIssuer is there`, `3 clusterissuers are there`.
fn many(number: usize, kind: &ApiResource) -> String {
    if number == 1 { format!("1 {} is there", kind.kind) } else { format!("{number} {} are there", kind.plural) }
}

/// Their names; what is in them is asked for only where it tells whether they are Ready.
async fn things(client: &Client, kind: &ApiResource, check: &ObjectCheck) -> Result<Vec<Thing>, ClusterError> {
    let api = Api::<DynamicObject>::all_with(client.clone(), kind);
    let refused = |error: kube::Error| failed(&format!("list of {}", kind.plural), &error);
    let named = |namespace: Option<String>, name: String, ready| (namespace.unwrap_or_default(), name, ready);
    if check.ready {
        let found = all(&api, &ListParams::default()).await.map_err(refused)?;
        return Ok(found.iter().map(|it| named(it.namespace(), it.name_any(), ready(it))).collect());
    }
    let found = all_metadata(&api, &ListParams::default()).await.map_err(refused)?;
    Ok(found.iter().map(|it| named(it.namespace(), it.name_any(), Ok(()))).collect())
}
