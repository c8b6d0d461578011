//! What Kubernetes keeps in etcd, as far as it tells what an object is: its key, and how its value begins.
//!
//! Built-in kinds are protobuf behind `k8s\0`, in an envelope (`runtime.Unknown`) whose first field holds apiVersion and kind;
//! others are JSON. What is encrypted begins with `k8s:enc:`, and only its key tells what it is.
//! <https://github.com/kubernetes/apimachinery/blob/v0.34.0/pkg/runtime/generated.proto>,
//! <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#verifying-that-data-is-encrypted>

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::bundle::{BundledFile, Kind};
use kubewright_model::object::{ObjectId, kind_of_group};
use serde_json::Value;

/// How built-in kinds begin.
const PROTOBUF: &[u8] = b"k8s\0";
/// How what is encrypted begins.
const ENCRYPTED: &[u8] = b"k8s:enc:";
/// Where Secrets are.
const SECRETS: &str = "/registry/secrets/";
/// Where ConfigMaps are.
const CONFIG_MAPS: &str = "/registry/configmaps/";
/// Kinds that no etcd of the cluster keeps: others serve them, or make them when they are asked.
const ELSEWHERE: [&str; 4] = ["ComponentStatus", "NodeMetrics.metrics.k8s.io", "PodMetrics.metrics.k8s.io", "Event"];
/// How many that are missing are named.
const NAMED: usize = 5;

/// What was read.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) keys: usize,
    /// Objects as a bundle's paths call them: `NAMESPACE/KIND.GROUP/NAME`.
    objects: BTreeSet<String>,
    /// ConfigMaps by `NAMESPACE/NAME`: one of them is the canary.
    config_maps: BTreeMap<String, Vec<u8>>,
    secrets: usize,
    encrypted: usize,
}

/// What of a bundle's objects is in the snapshot that is in it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Objects of the bundle that etcd keeps.
    pub wanted: usize,
    /// How many of them are in the snapshot.
    pub found: usize,
    /// Some of the others, by name: what was made between the snapshot and the look at objects is among them.
    pub missing: Vec<String>,
}

impl Compared {
    /// Whether the two are of the same cluster at the same time: what comes and goes meanwhile is little.
    pub fn agrees(&self) -> bool {
        (self.wanted - self.found) * 20 <= self.wanted
    }
}

impl Kept {
    pub(super) fn take(&mut self, key: &str, value: &[u8]) {
        self.keys += 1;
        let mut parts = key.rsplit('/');
        let (name, namespace) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if key.starts_with(SECRETS) {
            self.secrets += 1;
            self.encrypted += usize::from(value.starts_with(ENCRYPTED));
            self.objects.insert(format!("{namespace}/Secret/{name}"));
            return;
        }
        if let Some(at) = key.strip_prefix(CONFIG_MAPS) {
            self.config_maps.insert(at.to_string(), value.to_vec());
            self.objects.insert(format!("{namespace}/ConfigMap/{name}"));
            return;
        }
        if let Some(kind) = kind(value) {
            // Of what is in no namespace, the part before is the resource: it is known by both names.
            self.objects.insert(format!("{namespace}/{kind}/{name}"));
            self.objects.insert(format!("_cluster/{kind}/{name}"));
        }
    }

    pub(super) fn secrets(&self) -> (usize, usize) {
        (self.secrets, self.encrypted)
    }

    /// The value of the canary's key `bundle`.
    pub(super) fn canary(&self, canary: &ObjectId) -> Option<String> {
        let namespace = canary.namespace.as_ref().map_or("", |it| it.as_str());
        let value = self.config_maps.get(&format!("{namespace}/{}", canary.name))?;
        let raw = field(value.strip_prefix(PROTOBUF)?, 2)?;
        // `ConfigMap.data` is field 2, a map: each entry has its key in field 1 and its value in field 2.
        let entry =
            fields(raw).find(|(number, entry)| *number == 2 && field(entry, 1) == Some(b"bundle".as_slice()))?.1;
        String::from_utf8(field(entry, 2)?.to_vec()).ok()
    }

    pub(super) fn compared(&self, files: &[BundledFile]) -> Compared {
        let all = files.iter().filter(|file| file.what == Kind::Object);
        let paths = all.filter_map(|file| file.path.strip_prefix("objects/")?.strip_suffix(".yaml"));
        let kept = |path: &&str| path.split('/').nth(1).is_some_and(|kind| !ELSEWHERE.contains(&kind));
        let (found, missing): (Vec<&str>, Vec<&str>) =
            paths.filter(kept).partition(|path| self.objects.contains(*path));
        Compared {
            wanted: found.len() + missing.len(),
            found: found.len(),
            missing: missing.iter().take(NAMED).map(|path| (*path).to_string()).collect(),
        }
    }
}

/// The kind of a value, with its group.
fn kind(value: &[u8]) -> Option<String> {
    let (version, kind) = match value.strip_prefix(PROTOBUF) {
        Some(envelope) => {
            let about = field(envelope, 1)?;
            let text =
                |number| field(about, number).and_then(|bytes| std::str::from_utf8(bytes).ok()).map(String::from);
            (text(1)?, text(2)?)
        }
        None => {
            let object: Value = serde_json::from_slice(value).ok()?;
            let text = |name: &str| object.get(name).and_then(Value::as_str).map(String::from);
            (text("apiVersion")?, text("kind")?)
        }
    };
    Some(kind_of_group(&kind, version.split_once('/').map_or("", |(group, _)| group)))
}

/// The first field of this number that has a length.
fn field(message: &[u8], number: u64) -> Option<&[u8]> {
    fields(message).find(|(it, _)| *it == number).map(|(_, bytes)| bytes)
}

/// The fields of a message that have a length; it ends where the message makes no sense.
/// <https://protobuf.dev/programming-guides/encoding/>
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        loop {
            let tag = varint(&mut rest)?;
            match tag & 7 {
                0 => drop(varint(&mut rest)?),
                1 => drop(taken(&mut rest, 8)?),
                2 => {
                    let length = usize::try_from(varint(&mut rest)?).ok()?;
                    return Some((tag >> 3, taken(&mut rest, length)?));
                }
                5 => drop(taken(&mut rest, 4)?),
                _ => return None,
            }
        }
    })
}

fn taken<'b>(rest: &mut &'b [u8], many: usize) -> Option<&'b [u8]> {
    let (first, behind) = rest.split_at_checked(many)?;
    *rest = behind;
    Some(first)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *taken(rest, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use kubewright_model::bundle::Canary;
    use kubewright_model::digest::Digest;

    use super::*;

    fn of(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    /// As the API server writes it: the envelope, with what it holds in field 2.
    fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let about = [of(1, version.as_bytes()), of(2, kind.as_bytes())].concat();
        [PROTOBUF.to_vec(), of(1, &about), of(2, raw), of(3, b""), of(4, b"")].concat()
    }

    #[test]
    fn objects_are_known_by_their_keys_and_by_how_their_values_begin() {
        let mut kept = Kept::default();
        let entry = [of(1, b"bundle"), of(2, b"lab-20261122T184433Z")].concat();
        let data = [of(1, b"metadata"), of(2, &entry)].concat();
        kept.take("/registry/configmaps/kube-system/kubewright-canary", &envelope("v1", "ConfigMap", &data));
        kept.take("/registry/deployments/web/shop", &envelope("apps/v1", "Deployment", b""));
        kept.take("/registry/minions/red", &envelope("v1", "Node", b""));
        kept.take("/registry/secrets/web/key", b"k8s:enc:secretbox:v1:key1:xxxx");
        kept.take("/registry/secrets/web/clear", &envelope("v1", "Secret", b""));
        let custom = br#"{"apiVersion":"cert-manager.io/v1","kind":"Certificate","metadata":{}}"#;
        kept.take("/registry/cert-manager.io/certificates/web/shop", custom);
        kept.take("/registry/ranges/serviceips", b"not an object");
        assert_eq!((kept.keys, kept.secrets()), (7, (2, 1)));
        assert_eq!(kept.canary(&Canary::id()).as_deref(), Some("lab-20261122T184433Z"));
        let file = |path: &str| BundledFile {
            path: format!("objects/{path}.yaml"),
            size: 1,
            sha256: Digest::of(path),
            what: Kind::Object,
        };
        let files = [
            "web/Deployment.apps/shop",
            "_cluster/Node/red",
            "web/Secret/key",
            "web/Certificate.cert-manager.io/shop",
            "web/ConfigMap/later",
            "web/PodMetrics.metrics.k8s.io/shop-1",
        ];
        let compared = kept.compared(&files.map(file));
        assert_eq!(compared, Compared { wanted: 5, found: 4, missing: vec!["web/ConfigMap/later".into()] });
        assert!(!compared.agrees());
    }

    #[test]
    fn nonsense_has_no_fields() {
        for bytes in [b"".as_slice(), b"\x0a", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\xff", b"\x0f"] {
            assert_eq!(fields(bytes).count(), 0);
        }
    }
}
