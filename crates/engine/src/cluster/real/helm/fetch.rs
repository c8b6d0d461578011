//! Where `helm` comes from when this computer has none: the publisher's archive of one version, or a mirror of it, verified
//! by the digest that stands here and kept in the user's cache.

use std::path::{Path, PathBuf};

use kubewright_model::airgap::{Kind, Need};
use kubewright_model::digest::Digest;
use kubewright_model::host::Proof;
use kubewright_planner::airgap::HERE;

/// The version that is fetched.
pub(super) const VERSION: &str = "v4.2.4";
/// The digests of its archives by what Rust and Helm call an architecture, as they are published:
/// <https://github.com/helm/helm/releases/tag/v4.2.4>
const ARCHIVES: [(&str, &str, &str); 2] = [
    ("x86_64", "amd64", "c306b46f719b0a4da32d0f78ee21bf90ce8d602f15b22ab753f0674d1670a7f3"),
    ("aarch64", "arm64", "564de2191b881e9f71b5606b25345821ea1682f06ab90499d3ab22b530176da1"),
];
/// Where it is published: <https://helm.sh/docs/intro/install/>
const PUBLISHER: &str = "https://get.helm.sh";

/// One published archive, and where it is kept.
#[derive(Clone, Debug)]
pub(super) struct Source {
    url: String,
    digest: Digest,
    member: String,
    cache: PathBuf,
}

impl Source {
    /// The archive for this computer, from the publisher or a mirror; none for an architecture that we know no digest for.
    /// A relative folder begins in `spec`.
    pub(super) fn of(mirror: Option<&str>, spec: &Path) -> Option<Self> {
        let (_, arch, digest) = ARCHIVES.into_iter().find(|(rust, ..)| *rust == std::env::consts::ARCH)?;
        let place = match mirror.map(|mirror| (mirror, mirror.strip_prefix("file:"))) {
            None => PUBLISHER.to_string(),
            Some((_, Some(folder))) => format!("file:{}", spec.join(folder).display()),
            Some((mirror, None)) => mirror.to_string(),
        };
        let url = format!("{}/helm-{VERSION}-linux-{arch}.tar.gz", place.trim_end_matches('/'));
        let member = format!("linux-{arch}/helm");
        Some(Self { url, digest: Digest::parse(digest)?, member, cache: cache()? })
    }

    /// Another archive: tests have none of the publisher's.
    #[cfg(test)]
    pub(super) fn with(url: String, digest: Digest, member: &str, cache: &Path) -> Self {
        Self { url, digest, member: member.into(), cache: cache.to_path_buf() }
    }

    /// Where it is kept. What has another digest is another program.
    pub(super) fn place(&self) -> PathBuf {
        self.cache.join(format!("helm-{VERSION}-{}", self.digest.short())).join("helm")
    }

    /// The archive's name, and its digest.
    pub(super) fn archive(&self) -> (String, Digest) {
        (self.url.rsplit('/').next().unwrap_or(&self.url).to_string(), self.digest.clone())
    }

    /// Fetches it, unless it is kept already.
    pub(super) async fn fetch(&self) -> Result<PathBuf, String> {
        let place = self.place();
        if !place.is_file() {
            kubewright_hosts::program(&self.url, &self.digest, &self.member, &place).await?;
        }
        Ok(place)
    }
}

/// The archive for computers of an architecture, as publishers name it, for a bundle.
pub(crate) fn need(mirror: Option<&str>, arch: &str) -> Option<Need> {
    let (_, _, digest) = ARCHIVES.into_iter().find(|(_, known, _)| *known == arch)?;
    let place = mirror.unwrap_or(PUBLISHER).trim_end_matches('/');
    let proof = Digest::parse(digest).map(Proof::Sha256);
    Some(Need {
        kind: Kind::File,
        name: format!("helm {VERSION}"),
        source: format!("{place}/helm-{VERSION}-linux-{arch}.tar.gz"),
        repository: None,
        version: None,
        proof,
        wanted_by: vec![HERE.into()],
    })
}

/// Our folder in the user's cache. A relative one counts for nothing:
/// <https://specifications.freedesktop.org/basedir-spec/latest/>
pub(crate) fn cache() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let folder = named.or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    Some(folder.join("kubewright"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_has_the_publishers_names() {
        let url = |mirror: Option<&str>| Source::of(mirror, Path::new("/spec")).unwrap().url;
        let file = |place: &str| url(Some(place)).rsplit_once("/helm-v4.2.4-linux-").unwrap().0.to_string();
        assert!(url(None).starts_with("https://get.helm.sh/helm-v4.2.4-linux-") && url(None).ends_with("64.tar.gz"));
        assert_eq!(file("https://mirror.lan/helm/"), "https://mirror.lan/helm");
        assert_eq!((file("file:assets"), file("file:/srv")), ("file:/spec/assets".into(), "file:/srv".into()));
        assert!(ARCHIVES.iter().all(|(_, _, digest)| Digest::parse(digest).is_some()));
    }
}
