//! Argo CD's applications: what it says of them, and what is done for those that are stuck.
//! <https://github.com/argoproj/argo-cd/blob/v2.13.1/pkg/apis/application/v1alpha1/types.go>

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams,
};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt as _};
use kubewright_model::applications::{ApplicationSeen, Remedy};
use kubewright_model::spec::verify::ApplicationCheck;
use kubewright_planner::applications::judge;
use serde_json::{Value, json};

use super::conditions::custom::objects;
use super::failure::failed;
use super::look::all;
use super::marks::FIELD_MANAGER;
use crate::cluster::{Checked, ClusterError};

/// The group and version of Argo CD's kinds.
const GROUP: [&str; 3] = ["argoproj.io", "v1alpha1", "Application"];
/// The label of the repo-server's pods, in the chart and in the vendor's manifests.
const REPO_SERVER: &str = "app.kubernetes.io/name=argocd-repo-server";
/// Has Argo CD look at an application anew (`common/common.go`: `AnnotationKeyRefresh`).
const REFRESH: &str = "argocd.argoproj.io/refresh";

/// All applications.
pub(super) async fn seen(client: &Client) -> Result<Vec<ApplicationSeen>, ClusterError> {
    let [group, version, kind] = GROUP;
    let there = objects(client, group, version, kind).await?;
    let mut seen: Vec<ApplicationSeen> = there.iter().flatten().map(application).collect();
    seen.sort_by(|one, other| (&one.name, &one.namespace).cmp(&(&other.name, &other.namespace)));
    Ok(seen)
}

/// Whether they are as they should be.
pub(super) async fn check(client: &Client, check: &ApplicationCheck) -> Result<Checked, ClusterError> {
    let [group, version, kind] = GROUP;
    Ok(match objects(client, group, version, kind).await? {
        Some(there) => judge(check, &there.iter().map(application).collect::<Vec<_>>()),
        None => Checked {
            saw: "Argo CD is not installed".into(),
            hint: Some("applications are Argo CD's".into()),
            ..Checked::default()
        },
    })
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_string()
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn application(object: &DynamicObject) -> ApplicationSeen {
    let it = &object.data;
    let error = |condition: &Value| {
        let kind = text(condition, "/type");
        // The others are warnings, or tell what is.
        kind.ends_with("Error").then(|| (kind, text(condition, "/message")))
    };
    ApplicationSeen {
        name: object.name_any().into(),
        namespace: object.namespace().unwrap_or_default().into(),
        sync: text(it, "/status/sync/status"),
        health: text(it, "/status/health/status"),
        phase: text(it, "/status/operationState/phase"),
        message: message(it),
        conditions: list(it, "/status/conditions").filter_map(error).collect(),
        resources: list(it, "/status/resources").filter_map(resource).collect(),
        automated: is_automated(it),
        asked: it.pointer("/operation").is_some_and(|operation| !operation.is_null()),
    }
}

/// Newer versions have a switch in it.
fn is_automated(application: &Value) -> bool {
    let automated = application.pointer("/spec/syncPolicy/automated").filter(|it| !it.is_null());
    automated.is_some_and(|it| it.get("enabled").and_then(Value::as_bool) != Some(false))
}

/// What is said of the last sync, and of the resources that it failed with where that is not in it.
fn message(application: &Value) -> String {
    let mut message = text(application, "/status/operationState/message");
    let resources = list(application, "/status/operationState/syncResult/resources");
    for failed in resources.filter(|it| text(it, "/status") == "SyncFailed") {
        let said = text(failed, "/message");
        if !said.is_empty() && !message.contains(&said) {
            message += &format!(" ({} {}: {said})", text(failed, "/kind"), text(failed, "/name"));
        }
    }
    message
}

/// A resource that is not as it should be, in a few words.
fn resource(resource: &Value) -> Option<String> {
    let (status, health) = (text(resource, "/status"), text(resource, "/health/status"));
    let unwell = ["Progressing", "Degraded", "Missing"].contains(&health.as_str());
    let state = match unwell {
        true => health,
        false if !status.is_empty() && status != "Synced" => status,
        false => return None,
    };
    let namespace = Some(text(resource, "/namespace")).filter(|it| !it.is_empty());
    let place = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let said = text(resource, "/health/message");
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Some(format!("{} {place}{} is {state}{said}", text(resource, "/kind"), text(resource, "/name")))
}

/// Does what was decided.
pub(super) async fn mend(client: &Client, remedy: &Remedy) -> Result<(), ClusterError> {
    let what = remedy.to_string();
    match remedy {
        Remedy::MakeNamespace(name) => {
            let metadata = ObjectMeta { name: Some(name.to_string()), ..ObjectMeta::default() };
            let namespace = Namespace { metadata, ..Namespace::default() };
            let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
            match Api::<Namespace>::all(client.clone()).create(&params, &namespace).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
                Err(error) => Err(failed(&what, &error)),
            }
        }
        Remedy::RestartRepoServer(namespace) => {
            let pods = Api::<Pod>::namespaced(client.clone(), namespace.as_str());
            let there = all(&pods, &ListParams::default().labels(REPO_SERVER)).await;
            for pod in there.map_err(|error| failed(&what, &error))? {
                match pods.delete(&pod.name_any(), &DeleteParams::default()).await {
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    Err(error) => return Err(failed(&what, &error)),
                    Ok(_) => {}
                }
            }
            Ok(())
        }
        Remedy::Sync { namespace, name } => sync(client, namespace.as_str(), name.as_str(), &what).await,
    }
}

/// What `argocd app sync` asks for: the application's own options, and its own revision, which stands for none
/// (`server/application/application.go`: `Sync`; `controller/state.go`: `GetRepoObjs`).
async fn sync(client: &Client, namespace: &str, name: &str, what: &str) -> Result<(), ClusterError> {
    let [group, version, kind] = GROUP;
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let applications = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    let there = applications.get_opt(name).await.map_err(|error| failed(what, &error))?;
    let Some(there) = there.filter(|it| it.data.pointer("/operation").is_none()) else { return Ok(()) };
    let mut sync = json!({});
    if let Some(options) = there.data.pointer("/spec/syncPolicy/syncOptions") {
        sync["syncOptions"] = options.clone();
    }
    if let Some(prune) = there.data.pointer("/spec/syncPolicy/automated/prune") {
        sync["prune"] = prune.clone();
    }
    let patch = json!({
        // Who writes in between is not written over.
        "metadata": { "annotations": { REFRESH: "normal" }, "resourceVersion": there.resource_version() },
        "operation": { "initiatedBy": { "username": FIELD_MANAGER }, "sync": sync },
    });
    match applications.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(failed(what, &error)),
        Ok(_) => Ok(()),
    }
}
