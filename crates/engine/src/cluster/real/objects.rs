//! Objects: applied by the server with our field manager, and deleted when they carry our mark.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::core::{GroupVersionKind, ObjectMeta, PartialObjectMeta};
use kube::discovery::{self, Scope};
use kubewright_hosts::Holes;
use kubewright_model::digest::Digest;
use kubewright_model::ids::Owner;
use kubewright_model::object::{Manifest, ObjectId};
use kubewright_model::text::Text;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use super::failure::{failed, refused};
use super::going::{gone, holders};
use super::marks::{APPLIED, CLUSTER, FIELD_MANAGER, MANAGED_BY};
use super::order::{DEFINITION, NAMESPACE, rank, waves};
use crate::cluster::ClusterError;

/// How long what was told to go may take. A namespace empties itself first, which takes its pods' time to end.
pub(super) const GOING: Duration = Duration::from_secs(300);
/// A definition is served within a second or two of its being applied.
const DEFINED: Duration = Duration::from_secs(60);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_secs(1);

/// Kinds that the API serves, each asked for once.
struct Kinds<'a> {
    client: &'a Client,
    known: BTreeMap<(String, String), (ApiResource, Scope)>,
}

impl Kinds<'_> {
    /// How objects of a kind are reached; none where the API has no such kind.
    async fn find(&mut self, id: &ObjectId) -> Result<Option<(ApiResource, Scope)>, ClusterError> {
        let key = (id.api_version.clone(), id.kind.clone());
        if let Some(known) = self.known.get(&key) {
            return Ok(Some(known.clone()));
        }
        let (group, version) = id.api_version.split_once('/').unwrap_or(("", &id.api_version));
        let kind = GroupVersionKind::gvk(group, version, &id.kind);
        match discovery::pinned_kind(self.client, &kind).await {
            Ok((resource, can)) => {
                self.known.insert(key, (resource.clone(), can.scope.clone()));
                Ok(Some((resource, can.scope)))
            }
            Err(kube::Error::Discovery(_)) => Ok(None),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(failed(&id.to_string(), &error)),
        }
    }

    /// The API for objects of an id's kind, in its namespace.
    async fn api(&mut self, id: &ObjectId) -> Result<Option<Api<DynamicObject>>, ClusterError> {
        let Some((resource, scope)) = self.find(id).await? else { return Ok(None) };
        let namespace = id.namespace.as_ref().map_or("default", |namespace| namespace.as_str());
        Ok(Some(match scope {
            Scope::Cluster => Api::all_with(self.client.clone(), &resource),
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), namespace, &resource),
        }))
    }
}

/// What becomes of fields that others have set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// They are theirs: the API refuses.
    Keep,
    /// They become ours.
    Lose,
}

/// Applies objects: namespaces first, then definitions of kinds, then what may need them, each after what it reads.
pub(super) async fn apply(
    client: &Client,
    objects: &[Manifest],
    owner: &Owner,
    holes: &Holes,
    others: Others,
) -> Result<bool, ClusterError> {
    let mut kinds = Kinds { client, known: BTreeMap::new() };
    let mut changed = false;
    let is = |manifest: &Manifest, kind: &str| manifest.0.get("kind").and_then(Value::as_str) == Some(kind);
    let (first, rest): (Vec<_>, Vec<_>) = objects.iter().partition(|it| is(it, NAMESPACE));
    let (definitions, mut rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|it| is(it, DEFINITION));
    rest.sort_by_key(|it| it.0.get("kind").and_then(Value::as_str).map_or(usize::MAX, rank));
    for manifest in first.into_iter().chain(definitions.iter().copied()) {
        changed |= one(&mut kinds, manifest, owner, holes, others).await?;
    }
    for definition in definitions {
        established(&mut kinds, definition).await?;
    }
    for manifest in rest {
        changed |= one(&mut kinds, manifest, owner, holes, others).await?;
    }
    Ok(changed)
}

async fn one(
    kinds: &mut Kinds<'_>,
    manifest: &Manifest,
    owner: &Owner,
    holes: &Holes,
    others: Others,
) -> Result<bool, ClusterError> {
    let id = manifest.id().map_err(|missing| refused("an object", format!("{missing} is missing")))?;
    let what = id.to_string();
    let body = body(manifest, holes)?;
    let Some(api) = kinds.api(&id).await? else {
        return Err(refused(what, format!("no matches for kind \"{}\" in {}", id.kind, id.api_version)));
    };
    let there = api.get_metadata_opt(id.name.as_str()).await.map_err(|error| failed(&what, &error))?;
    if let Some(there) = &there {
        may_change(&what, &there.metadata, owner)?;
    }
    let params = PatchParams::apply(FIELD_MANAGER).validation_strict();
    let params = if others == Others::Lose { params.force() } else { params };
    let applied = api.patch(id.name.as_str(), &params, &Patch::Apply(&body)).await;
    let applied = applied.map_err(|error| failed(&what, &error))?;
    let was = there.and_then(|there| there.metadata.resource_version);
    Ok(was.is_none() || applied.metadata.resource_version != was)
}

/// What is there already may be changed, unless it is another cluster's of ours, or about to go.
fn may_change(what: &str, there: &ObjectMeta, owner: &Owner) -> Result<(), ClusterError> {
    let whose = there.labels.as_ref().and_then(|labels| labels.get(CLUSTER));
    if let Some(other) = whose.filter(|whose| *whose != owner.0.as_str()) {
        return Err(refused(what, format!("it carries the mark of another cluster, {other}")));
    }
    match &there.deletion_timestamp {
        None => Ok(()),
        Some(_) => Err(ClusterError::Busy(format!("{what} is being deleted; {}", holders(there)))),
    }
}

/// What is sent: the manifest with its holes filled, and the digest of it as it was before.
pub(super) fn body(manifest: &Manifest, holes: &Holes) -> Result<Value, ClusterError> {
    let mut body = fill(&manifest.0, holes)?;
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert(Value::Null);
        if !annotations.is_null() && !annotations.is_object() {
            return Err(refused("an object", "its annotations are no names with texts"));
        }
        annotations[APPLIED] = Digest::of_value(manifest).as_str().into();
    }
    if body.get("kind").and_then(Value::as_str) == Some("Secret") {
        pack(&mut body);
    }
    Ok(body)
}

/// The API takes a Secret's plain texts and shows only packed ones, so that it would not know whose they are.
/// <https://github.com/kubernetes/kubernetes/issues/70281>
fn pack(secret: &mut Value) {
    let Some(plain) = secret.as_object_mut().and_then(|secret| secret.remove("stringData")) else { return };
    let Value::Object(plain) = plain else { return };
    let packed = plain.into_iter().map(|(key, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        (key, Value::from(base64::engine::general_purpose::STANDARD.encode(text)))
    });
    let packed: Vec<_> = packed.collect();
    let data = secret.as_object_mut().map(|it| it.entry("data").or_insert_with(|| Value::Object(Map::new())));
    if let Some(Value::Object(data)) = data {
        data.extend(packed);
    }
}

/// A value with the values of its holes in it.
pub(super) fn fill(value: &Value, holes: &Holes) -> Result<Value, ClusterError> {
    Ok(match value {
        Value::String(text) => Value::String(fill_text(text, holes)?),
        Value::Array(items) => Value::Array(items.iter().map(|item| fill(item, holes)).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            let filled = map.iter().map(|(key, item)| Ok((key.clone(), fill(item, holes)?)));
            Value::Object(filled.collect::<Result<_, ClusterError>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

fn fill_text(text: &str, holes: &Holes) -> Result<String, ClusterError> {
    let filled = Text::of_json(text).fill(|name| holes.get(name).map(|value| value.expose().as_str()));
    filled.map_err(|name| refused("values", format!("nobody filled {name}")))
}

/// Waits until the kind of a definition is served.
async fn established(kinds: &mut Kinds<'_>, definition: &Manifest) -> Result<(), ClusterError> {
    let Ok(id) = definition.id() else { return Ok(()) };
    let Some(api) = kinds.api(&id).await? else { return Ok(()) };
    let deadline = Instant::now() + DEFINED;
    loop {
        let there = api.get_opt(id.name.as_str()).await.map_err(|error| failed(&id.to_string(), &error))?;
        let conditions = there.iter().flat_map(|it| conditions(&it.data));
        let mut found = conditions.filter(|(kind, ..)| ["Established", "NamesAccepted"].contains(kind));
        let refusal = found.clone().find(|(kind, holds, _)| *kind == "NamesAccepted" && !holds);
        if let Some((.., why)) = refusal {
            return Err(refused(id.to_string(), why));
        }
        if found.any(|(kind, holds, _)| kind == "Established" && holds) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(ClusterError::Busy(format!("{id} is not served after {} s", DEFINED.as_secs())));
        }
        sleep(LOOK).await;
    }
}

/// An object's conditions: the kind, whether it holds, and what is said of it.
pub(super) fn conditions(object: &Value) -> impl Iterator<Item = (&str, bool, &str)> + Clone {
    let list = object.pointer("/status/conditions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|condition| {
        let word = |key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default();
        (word("type"), word("status") == "True", word("message"))
    })
}

/// Deletes what carries our mark, in the order of need, and waits until it is gone.
pub(super) async fn delete(
    client: &Client,
    objects: &[ObjectId],
    owner: &Owner,
    going: Duration,
) -> Result<(), ClusterError> {
    for wave in waves(objects) {
        together(client, &wave, owner, going).await?;
    }
    Ok(())
}

/// Tells all of them to go, and waits until the last is gone.
async fn together(client: &Client, objects: &[&ObjectId], owner: &Owner, going: Duration) -> Result<(), ClusterError> {
    // With what went before, a kind may have gone.
    let mut kinds = Kinds { client, known: BTreeMap::new() };
    let mut told = Vec::new();
    for id in objects {
        let Some(api) = kinds.api(id).await? else { continue };
        let there = api.get_metadata_opt(id.name.as_str()).await.map_err(|error| failed(&id.to_string(), &error))?;
        let Some(there) = there else { continue };
        if !is_ours(&there, owner) {
            return Err(refused(id.to_string(), "it does not carry our mark"));
        }
        // Only this one: what somebody has put in its place since is not ours.
        let same = Preconditions { uid: there.metadata.uid.clone(), ..Preconditions::default() };
        match api.delete(id.name.as_str(), &DeleteParams::background().preconditions(same)).await {
            Ok(_) => told.push((id, api, there.metadata.uid)),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(failed(&format!("delete {id}"), &error)),
        }
    }
    let deadline = Instant::now() + going;
    for (id, api, uid) in told {
        gone(client, &api, id, uid.as_deref(), deadline).await?;
    }
    Ok(())
}

fn is_ours(there: &PartialObjectMeta<DynamicObject>, owner: &Owner) -> bool {
    let label = |name: &str| there.metadata.labels.as_ref()?.get(name).map(String::as_str);
    label(MANAGED_BY.0) == Some(MANAGED_BY.1) && label(CLUSTER) == Some(owner.0.as_str())
}
