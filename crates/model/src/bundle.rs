//! Bundles: everything that a cluster is made anew from, in one encrypted file.
//!
//! A bundle is a tar archive, compressed by gzip and encrypted by age, so that it opens without this program:
//! `age -d -i key.txt FILE | tar xz`. Its first member is [`MANIFEST`], which names every other one with its digest.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::digest::Digest;
use crate::ids::{ClusterName, ObjectName, Owner};
use crate::net::HostPort;
use crate::object::{Manifest, ObjectId};
use crate::spec::backup::{Keep, S3, Sftp};
use crate::spec::kubernetes::{Datastore, Distribution};
use crate::units::Moment;
use crate::version::Version;

/// The version of a bundle's form. A reader refuses versions that it does not know.
pub const BUNDLE_FORMAT: u32 = 1;
/// The first member of every bundle.
pub const MANIFEST: &str = "manifest.json";
/// The hole for what a server of K3s or RKE2 keeps beside its datastore.
pub const KEYS: &str = "bundle/keys";
/// How a bundle's file ends.
const ENDING: &str = ".tar.gz.age";
/// How the file beside it ends that tells what it is without a key.
const LABEL: &str = ".json";
/// How the file beside it ends that tells what came of its last rehearsal.
const REHEARSED: &str = ".rehearsed.json";
/// Where the canary is.
const CANARY_NAMESPACE: &str = "kube-system";
/// The canary's name.
const CANARY: &str = "kubewright-canary";

/// A bundle's name: `devboard-20261122T175300Z.tar.gz.age`. Names of one cluster sort by age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BundleName(String);

impl BundleName {
    /// The name of what is saved of a cluster at a moment.
    pub fn new(cluster: &ClusterName, made: Moment) -> Self {
        Self(format!("{cluster}-{}Z{ENDING}", made.compact().replace('-', "T")))
    }

    /// Takes a name of exactly this form and of this cluster; none of any other file.
    pub fn parse(cluster: &ClusterName, text: &str) -> Option<(Self, Moment)> {
        let time = text.strip_prefix(cluster.as_str())?.strip_prefix('-')?.strip_suffix(ENDING)?;
        let made = Moment::of_compact(&time.strip_suffix('Z')?.replacen('T', "-", 1))?;
        let name = Self::new(cluster, made);
        (name.0 == text).then_some((name, made))
    }

    /// The bundle's file.
    pub fn file(&self) -> &str {
        &self.0
    }

    /// What marks it in the cluster: its file without the ending.
    pub fn id(&self) -> &str {
        self.0.strip_suffix(ENDING).unwrap_or(&self.0)
    }

    /// The file beside it that tells what it is.
    pub fn label(&self) -> String {
        format!("{}{LABEL}", self.0)
    }

    /// The file beside it that tells of its last rehearsal.
    pub fn rehearsed(&self) -> String {
        format!("{}{REHEARSED}", self.0)
    }
}

impl fmt::Display for BundleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is to be saved now, where to, and for whom. It holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredBundle {
    /// Its name.
    pub name: BundleName,
    /// When it is made.
    pub made: Moment,
    /// The environment, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The age public keys that can open it.
    pub recipients: Vec<String>,
    /// Where it goes.
    pub to: Shelf,
    /// How many stay there; none: all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// With the objects as YAML.
    pub objects: bool,
    /// Files of this computer that are in it as they are: what they are called in it, and where they are.
    pub files: Vec<(String, String)>,
}

/// Where bundles are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Shelf {
    /// A folder of this computer.
    Folder(String),
    /// An S3 bucket.
    S3(Box<S3>),
    /// A folder of an SFTP server.
    Sftp(Box<Sftp>),
}

impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => f.write_str(folder),
            Self::S3(s3) => {
                let folder = s3.folder.as_deref().map(|it| format!("/{}", it.trim_matches('/'))).unwrap_or_default();
                write!(f, "s3://{}{folder} at {}", s3.bucket, s3.endpoint)
            }
            Self::Sftp(sftp) => {
                let at = HostPort::new(sftp.host.as_str(), sftp.port);
                let begins = if sftp.folder.starts_with('/') { "" } else { "/~/" };
                write!(f, "sftp://{}@{at}{begins}{}", sftp.user, sftp.folder.trim_start_matches("~/"))
            }
        }
    }
}

/// What a bundle says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleManifest {
    /// [`BUNDLE_FORMAT`] of the program that made it.
    pub format: u32,
    /// What it is, without what is in it.
    #[serde(flatten)]
    pub about: About,
    /// Everything that is in it, in this order.
    pub files: Vec<BundledFile>,
}

/// What a bundle is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// The cluster.
    pub cluster: ClusterName,
    /// The environment of the spec, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// When it was made, in seconds since 1970.
    pub made: Moment,
    /// The version of the program that made it.
    pub kubewright: String,
    /// The distribution.
    pub distribution: Distribution,
    /// Its version.
    pub version: Version,
    /// Where the API server keeps its data.
    pub datastore: Datastore,
    /// What was written to the cluster before the datastore was saved.
    pub canary: Canary,
    /// It was made in a pretend data centre, and nothing real can be made of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
}

/// A ConfigMap that tells which bundle a cluster was restored from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The value of its key `bundle`.
    pub bundle: String,
}

impl Canary {
    /// The canary of a bundle.
    pub fn of(name: &BundleName) -> Self {
        Self { namespace: CANARY_NAMESPACE.into(), name: CANARY.into(), bundle: name.id().into() }
    }

    /// What is written in its place before a cluster goes back to a bundle: whoever finds the bundle's own again knows that
    /// what was written since is gone.
    pub fn left_behind(bundle: &str) -> Self {
        let bundle = format!("about to go back to {bundle}");
        Self { namespace: CANARY_NAMESPACE.into(), name: CANARY.into(), bundle }
    }

    /// The object that is applied, with our mark.
    pub fn object(&self, owner: &Owner) -> Manifest {
        Manifest(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": { "app.kubernetes.io/managed-by": "kubewright", "kubewright.dev/cluster": owner.0 },
            },
            "data": { "bundle": self.bundle },
        }))
    }

    /// The object's name in the cluster, whichever bundle it is of.
    pub fn id() -> ObjectId {
        ObjectId {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: Some(CANARY_NAMESPACE.into()),
            name: ObjectName::new(CANARY),
        }
    }
}

/// A file in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundledFile {
    /// Its path.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
    /// What it is.
    pub what: Kind,
}

/// What a file in a bundle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A snapshot of the datastore.
    Datastore,
    /// Keys, certificates and tokens of the distribution.
    Distribution,
    /// The spec, with what it names.
    Spec,
    /// A secret that this program has made and keeps.
    Secret,
    /// An object of Kubernetes.
    Object,
    /// A Helm release.
    Release,
    /// A snapshot of Vault.
    Vault,
}

impl Kind {
    /// All of them, in the order in which they stand in a bundle.
    pub const ALL: [Self; 7] =
        [Self::Datastore, Self::Distribution, Self::Spec, Self::Secret, Self::Object, Self::Release, Self::Vault];

    /// In a word, for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Datastore => "datastore",
            Self::Distribution => "distribution",
            Self::Spec => "spec",
            Self::Secret => "secrets",
            Self::Object => "objects",
            Self::Release => "releases",
            Self::Vault => "Vault",
        }
    }
}

/// What stands beside a bundle for those who list them: no key opens it, and no secret is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Label {
    /// [`BUNDLE_FORMAT`] of the program that made the bundle.
    pub format: u32,
    /// What it is.
    #[serde(flatten)]
    pub about: About,
    /// How many files of each kind are in it.
    pub holds: Vec<(Kind, usize)>,
    /// The bytes of the encrypted file.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
    /// The age public keys that can open it.
    pub recipients: Vec<String>,
}

impl Label {
    /// The label of a bundle.
    pub fn of(manifest: &BundleManifest, size: u64, sha256: Digest, recipients: Vec<String>) -> Self {
        let count = |kind: Kind| manifest.files.iter().filter(|file| file.what == kind).count();
        let holds = Kind::ALL.into_iter().map(|kind| (kind, count(kind))).filter(|(_, many)| *many > 0).collect();
        Self { format: manifest.format, about: manifest.about.clone(), holds, size, sha256, recipients }
    }
}

/// What came of the last rehearsal of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsed {
    /// When, in seconds since 1970.
    pub at: Moment,
    /// Whether the cluster came up from it, with its canary.
    pub held: bool,
    /// What was seen, in a sentence.
    pub saw: String,
}

/// Bytes for people, in the largest unit of which there are some.
pub fn in_bytes(bytes: u64) -> String {
    let (mut tenths, mut unit) = (bytes.saturating_mul(10), "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, larger);
    }
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {unit}"),
        (whole, tenth) => format!("{whole}.{tenth} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_units_that_people_read() {
        let told = [0, 900, 1024, 1536, 150_000, 5 << 20, (3 << 30) + (300 << 20), 2 << 40].map(in_bytes);
        assert_eq!(told, ["0 B", "900 B", "1 KiB", "1.5 KiB", "146.4 KiB", "5 MiB", "3.2 GiB", "2 TiB"]);
    }

    #[test]
    fn only_names_of_our_form_and_of_the_cluster_are_bundles() {
        let cluster = ClusterName::new("dev-board");
        let name = BundleName::new(&cluster, Moment(1_795_369_980));
        assert_eq!(name.file(), "dev-board-20261122T175300Z.tar.gz.age");
        assert_eq!(name.id(), "dev-board-20261122T175300Z");
        assert_eq!(BundleName::parse(&cluster, name.file()), Some((name.clone(), Moment(1_795_369_980))));
        for other in [
            "dev-20261122T175300Z.tar.gz.age",
            "dev-board-20261122T175300Z.tar.gz",
            "dev-board-20261122-175300Z.tar.gz.age",
            "dev-board-20261322T175300Z.tar.gz.age",
            "dev-board-20261122T176000Z.tar.gz.age",
            "dev-board-20261122T175300Z.tar.gz.age.json",
            "dev-board-2-20261122T175300Z.tar.gz.age",
            "notes.txt",
        ] {
            assert_eq!(BundleName::parse(&cluster, other), None, "{other}");
        }
    }
}
