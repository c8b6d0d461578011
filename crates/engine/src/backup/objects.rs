//! Objects as they are written down: what `kubectl apply` takes, without what the API server alone sets. And Helm's
//! releases, as `helm list` and `helm get values` tell them.

use std::io::Read as _;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::read::GzDecoder;
use kubewright_model::bundle::Kind;
use serde_json::{Map, Value, json};

use super::collect::refused;
use super::pack::Packing;
use crate::cluster::{ClusterApi, ClusterError};

/// What the API server sets of every object, and refuses or ignores of whoever applies it.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>
const SET_BY_SERVER: [&str; 5] = ["managedFields", "uid", "resourceVersion", "generation", "selfLink"];
/// Who owns an object, by an owner's `uid`: made anew, that owner has another one, and the API server would refuse or collect
/// what names the old one. Controllers adopt again what their selectors find; Velero leaves it out too.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/>
const OWNERS: &str = "ownerReferences";
/// The folder of objects that are in no namespace.
const CLUSTER_WIDE: &str = "_cluster";
/// The type of the Secrets that Helm keeps releases in, one for each revision.
const RELEASE: &str = "helm.sh/release.v1";
/// No release is as long as this: Kubernetes takes no Secret of more than a MiB, and this is what it may become.
const LONGEST: u64 = 256 << 20;

/// What was written down of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dumped {
    /// So many objects.
    pub objects: usize,
    /// So many releases of Helm's.
    pub releases: usize,
    /// Kinds that could not be listed, and objects that could not be written down, and why.
    pub unlisted: Vec<(String, String)>,
}

/// Writes every object of a cluster down, and the releases of Helm's.
///
/// # Errors
///
/// The cluster does not answer, or what it tells cannot be kept.
pub async fn dump(cluster: &dyn ClusterApi, packing: &mut Packing) -> Result<Dumped, ClusterError> {
    let mut objects = Objects::into(packing);
    let mut unlisted = cluster.each_object(&mut |object| objects.take(object)).await?;
    unlisted.append(&mut objects.broken);
    let count = objects.count;
    let releases = objects.end().map_err(refused)?;
    Ok(Dumped { objects: count, releases, unlisted })
}

/// Objects on their way into a bundle. Of each release the newest revision is told.
struct Objects<'p> {
    packing: &'p mut Packing,
    releases: Vec<Release>,
    /// Objects that could not be written down, and why.
    broken: Vec<(String, String)>,
    count: usize,
}

/// A revision of a release.
struct Release {
    namespace: String,
    name: String,
    revision: u64,
    told: String,
}

impl<'p> Objects<'p> {
    fn into(packing: &'p mut Packing) -> Self {
        Self { packing, releases: Vec::new(), broken: Vec::new(), count: 0 }
    }

    /// Takes an object. One that cannot be written down keeps no other out; a disk that is full does.
    fn take(&mut self, object: &Value) -> Result<(), String> {
        let Some(path) = path(object) else {
            self.broken.push(("an object".into(), "it has no kind or no name".into()));
            return Ok(());
        };
        let text = match yaml(&applicable(object)) {
            Ok(text) => text,
            Err(why) => {
                self.broken.push((path, why));
                return Ok(());
            }
        };
        self.packing.add(&path, Kind::Object, text.as_bytes()).map_err(|error| error.to_string())?;
        self.count += 1;
        if let Some(release) = release(object) {
            let same = |other: &&mut Release| (&other.namespace, &other.name) == (&release.namespace, &release.name);
            match self.releases.iter_mut().find(same) {
                Some(other) if other.revision < release.revision => *other = release,
                Some(_) => {}
                None => self.releases.push(release),
            }
        }
        Ok(())
    }

    /// Writes the releases down.
    fn end(self) -> Result<usize, String> {
        for release in &self.releases {
            let path = format!("releases/{}/{}.yaml", release.namespace, release.name);
            let added = self.packing.add(&path, Kind::Release, release.told.as_bytes());
            added.map_err(|error| error.to_string())?;
        }
        Ok(self.releases.len())
    }
}

fn yaml(value: &Value) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| error.to_string())
}

/// Where an object is in a bundle: `objects/NAMESPACE/KIND.GROUP/NAME.yaml`.
fn path(object: &Value) -> Option<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let group = text("/apiVersion")?.split_once('/').map_or("", |(group, _)| group);
    let kind = kubewright_model::object::kind_of_group(text("/kind")?, group);
    let namespace = text("/metadata/namespace").unwrap_or(CLUSTER_WIDE);
    Some(format!("objects/{namespace}/{kind}/{}.yaml", text("/metadata/name")?))
}

/// The object without its state and what the server alone sets.
fn applicable(object: &Value) -> Value {
    let all = object.as_object().cloned().unwrap_or_default();
    // As people write them.
    let mut first = Map::new();
    for key in ["apiVersion", "kind", "metadata"] {
        if let Some(value) = all.get(key) {
            first.insert(key.into(), value.clone());
        }
    }
    if let Some(metadata) = first.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| key != OWNERS && !SET_BY_SERVER.contains(&key.as_str()));
    }
    let rest =
        all.into_iter().filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
    first.extend(rest);
    Value::Object(first)
}

/// What a Secret of Helm's tells of a release; none of another Secret, and of one that is uninstalled.
fn release(object: &Value) -> Option<Release> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    if text("/kind") != Some("Secret") || text("/type") != Some(RELEASE) {
        return None;
    }
    let content = decoded(text("/data/release")?)?;
    let status = content.pointer("/info/status").and_then(Value::as_str)?;
    if status == "uninstalled" {
        return None;
    }
    let (name, namespace) = (content.get("name")?.as_str()?, content.get("namespace")?.as_str()?);
    let revision = content.get("version")?.as_u64()?;
    let of_chart = |key: &str| content.pointer(&format!("/chart/metadata/{key}")).cloned().unwrap_or_default();
    let told = json!({
        "name": name,
        "namespace": namespace,
        "revision": revision,
        "status": status,
        "updated": content.pointer("/info/last_deployed"),
        "chart": of_chart("name"),
        "chartVersion": of_chart("version"),
        "appVersion": of_chart("appVersion"),
        "values": content.get("config").cloned().unwrap_or_default(),
    });
    Some(Release { namespace: namespace.into(), name: name.into(), revision, told: yaml(&told).ok()? })
}

/// Helm compresses a release and writes it in base64, and the API does so once more
/// (`pkg/storage/driver/util.go` of Helm 3.19, `encodeRelease`).
fn decoded(text: &str) -> Option<Value> {
    let once = BASE64_STANDARD.decode(text).ok()?;
    let twice = BASE64_STANDARD.decode(once).ok()?;
    let mut json = Vec::new();
    GzDecoder::new(twice.as_slice()).take(LONGEST).read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_cannot_be_written_down_keeps_no_other_out() {
        let mut packing = Packing::new().unwrap();
        let mut objects = Objects::into(&mut packing);
        let map = |name: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
        for object in [map("one"), json!({ "apiVersion": "v1", "metadata": { "name": "nobody" } }), map("two")] {
            objects.take(&object).unwrap();
        }
        assert_eq!(objects.count, 2);
        assert_eq!(objects.broken, [("an object".to_string(), "it has no kind or no name".to_string())]);
        assert!(objects.take(&map("two")).is_err(), "what is there already is no object that is broken");
    }
}
