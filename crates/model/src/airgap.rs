//! What a cluster needs from outside, and a bundle of it for a site that has no way out.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::desired::DesiredRelease;
use crate::digest::Digest;
use crate::host::Proof;
use crate::ids::ClusterName;
use crate::spec::Distribution;
use crate::version::Version;

/// The form of a manifest that this program writes. It refuses another one.
pub const MANIFEST_FORMAT: u32 = 1;
/// The scheme of an address that is a place in a bundle.
pub const BUNDLE: &str = "bundle:";

/// What kind of thing comes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A published file: a program, an archive, a list of digests.
    File,
    /// A container image.
    Image,
    /// A Helm chart.
    Chart,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::File => "file",
            Self::Image => "image",
            Self::Chart => "chart",
        })
    }
}

/// One thing that a spec needs from outside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    /// What it is.
    pub kind: Kind,
    /// What it is for people: `k3s v1.31.4+k3s1`.
    pub name: String,
    /// Its address, an image's reference, or a chart's name.
    pub source: String,
    /// The repository of a chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The version of a chart, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// How a file is known to be the right one; none where it is taken as it comes over TLS: a list of digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Who wants it: `hosts`, `release monitoring/grafana`.
    pub wanted_by: Vec<String>,
}

impl Need {
    /// An image.
    pub fn image(reference: &str, wanted_by: &str) -> Self {
        let source = whole(reference);
        let wanted_by = vec![wanted_by.to_string()];
        Self {
            kind: Kind::Image,
            name: source.clone(),
            source,
            repository: None,
            version: None,
            proof: None,
            wanted_by,
        }
    }

    /// The chart of a release.
    pub fn chart(release: &DesiredRelease) -> Self {
        let version = release.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let short = release.chart.rsplit('/').next().unwrap_or(&release.chart);
        Self {
            kind: Kind::Chart,
            name: format!("{short}{version}"),
            source: release.chart.clone(),
            repository: release.repository.clone(),
            version: release.version.clone(),
            proof: release.digest.clone().map(Proof::Sha256),
            wanted_by: vec![of_release(release)],
        }
    }
}

/// A release by its name, as who wants something.
pub fn of_release(release: &DesiredRelease) -> String {
    format!("release {}/{}", release.namespace, release.name)
}

/// The whole name of an image, as containerd keeps it. Who has no registry is Docker's, and who names a digest needs no tag.
/// <https://github.com/distribution/reference/blob/v0.6.0/normalize.go>
pub fn whole(reference: &str) -> String {
    let (named, digest) = reference.split_once('@').map_or((reference, None), |(name, digest)| (name, Some(digest)));
    let (first, rest) = named.split_once('/').unwrap_or(("", named));
    let registry = first.contains(['.', ':']) || first == "localhost";
    let named = match (registry, first) {
        (true, _) => named.to_string(),
        (false, "") => format!("docker.io/library/{rest}"),
        (false, _) => format!("docker.io/{named}"),
    };
    let last = named.rfind('/').map_or(0, |at| at + 1);
    let tag = named.get(last..).and_then(|name| name.find(':')).map(|at| last + at);
    match (digest, tag) {
        (Some(digest), tag) => format!("{}@{digest}", named.get(..tag.unwrap_or(named.len())).unwrap_or(&named)),
        (None, Some(_)) => named,
        (None, None) => format!("{named}:latest"),
    }
}

/// Where a published file is in a bundle: its address without the scheme, with its escapes and placeholders.
pub fn file_place(url: &str) -> String {
    let rest = url.strip_prefix("file:").map(|path| format!("here/{}", path.trim_start_matches('/')));
    let rest = rest.unwrap_or_else(|| url.split_once("://").map_or(url, |(_, rest)| rest).to_string());
    format!("files/{rest}")
}

/// Where an image is in a bundle.
pub fn image_place(reference: &str) -> String {
    format!("images/{}.tar", flat(reference))
}

/// An image's name as one word that a file may have.
pub fn flat(reference: &str) -> String {
    let plain = |sign: char| if sign.is_ascii_alphanumeric() || ".-".contains(sign) { sign } else { '_' };
    whole(reference).chars().map(plain).collect()
}

/// The text of an address or a name for one machine, as [`crate::host::Artifact::url`] has placeholders.
pub fn for_machine(text: &str, arch: &str) -> String {
    let suffix = if arch == "amd64" { String::new() } else { format!("-{arch}") };
    text.replace("{arch}", arch).replace("{-arch}", &suffix)
}

/// One thing in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Packed {
    /// What it is.
    pub kind: Kind,
    /// What it is for people.
    pub name: String,
    /// Where it came from.
    pub source: String,
    /// The repository of a chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The version of a chart; of an image, the digest that its name stood for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it is in the bundle.
    pub path: String,
    /// The digest of the file that it is there.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Who wanted it.
    pub wanted_by: Vec<String>,
}

/// What a bundle says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_FORMAT`] of the program that wrote it.
    pub format: u32,
    /// The cluster that it is for.
    pub cluster: ClusterName,
    /// The digest of the spec's text.
    pub spec: Digest,
    /// The distribution.
    pub distribution: Distribution,
    /// Its version.
    pub version: Version,
    /// The architectures of hosts that it is for.
    pub architectures: Vec<String>,
    /// Everything that is in it, in the order in which it is there.
    pub contents: Vec<Packed>,
}

/// A bundle that was opened and proven, by which one run goes without the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AirGap {
    /// The folder of this computer that it was unpacked into.
    pub folder: String,
    /// What it says of itself.
    pub manifest: Arc<Manifest>,
}

impl AirGap {
    /// What is at a place of the bundle.
    pub fn at(&self, path: &str) -> Option<&Packed> {
        self.manifest.contents.iter().find(|packed| packed.path == path)
    }

    /// The published file of an address that has no placeholders any more.
    pub fn file(&self, url: &str) -> Option<&Packed> {
        self.at(&unescaped(&file_place(url)))
    }

    /// An image by its reference.
    pub fn image(&self, reference: &str) -> Option<&Packed> {
        let wanted = whole(reference);
        self.images().find(|packed| packed.source == wanted)
    }

    /// All images.
    pub fn images(&self) -> impl Iterator<Item = &Packed> {
        self.manifest.contents.iter().filter(|packed| packed.kind == Kind::Image)
    }

    /// The chart of a release; where the spec leaves the version open, the one that was collected for the release.
    pub fn chart(&self, release: &DesiredRelease) -> Option<&Packed> {
        let charts = self.manifest.contents.iter().filter(|packed| packed.kind == Kind::Chart);
        let mut same = charts.filter(|it| it.source == release.chart && it.repository == release.repository);
        match &release.version {
            Some(version) => same.find(|packed| packed.version.as_deref() == Some(version.to_string().as_str())),
            None => same.find(|packed| packed.wanted_by.contains(&of_release(release))),
        }
    }
}

/// A place whose escapes of the form `%2B` were taken out. What is no escape stays.
pub fn unescaped(place: &str) -> String {
    let mut bytes = Vec::with_capacity(place.len());
    let mut rest = place.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|digits| hex::decode(digits).ok());
        bytes.push(escaped.as_ref().and_then(|byte| byte.first()).copied().unwrap_or(*first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_one_name_each() {
        for (short, long) in [
            ("web", "docker.io/library/web:latest"),
            ("me/web:1", "docker.io/me/web:1"),
            ("localhost:5000/x:1", "localhost:5000/x:1"),
            ("localhost:5000/x", "localhost:5000/x:latest"),
            ("ghcr.io/a/b:2@sha256:ab", "ghcr.io/a/b@sha256:ab"),
            ("quay.io/a/b@sha256:ab", "quay.io/a/b@sha256:ab"),
        ] {
            assert_eq!(whole(short), long);
        }
        assert_eq!(image_place("ghcr.io/a/b:2"), "images/ghcr.io_a_b_2.tar");
    }

    #[test]
    fn an_address_is_a_place() {
        let url = "https://github.com/k3s-io/k3s/releases/download/v1.31.4%2Bk3s1/k3s{-arch}";
        let place = unescaped(&for_machine(&file_place(url), "arm64"));
        assert_eq!(place, "files/github.com/k3s-io/k3s/releases/download/v1.31.4+k3s1/k3s-arm64");
        assert_eq!(file_place("file:///srv/a"), "files/here/srv/a");
    }
}
