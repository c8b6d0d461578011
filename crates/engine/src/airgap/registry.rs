//! Images out of registries, each as an OCI archive: the layout of the image specification in one tar, which containerd
//! takes in as it is. <https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md>
//!
//! Blobs are kept by their digests, so a run that was cut goes on with the blob that it was at, and images share layers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use kubewright_model::airgap::whole;
use kubewright_model::digest::Digest;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use regex::Regex;
use serde_json::{Value, json};

use super::{files, pack};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// What is asked for: lists of images by architecture, and single ones, in the words of OCI and of Docker.
const ACCEPTED: [&str; 4] = [
    INDEX,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// A registry as the spec has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Who is asked in its place, one after the other; it is asked itself last.
    pub(super) mirrors: Vec<Mirror>,
    /// What names of images are at the mirrors: the first pattern that changes a name counts, and the registry's own are as
    /// they are. <https://docs.k3s.io/installation/private-registry#rewrites>
    pub(super) rewrite: Vec<(Regex, String)>,
    /// Who asks: the user and the password.
    pub(super) login: Option<(String, String)>,
}

impl Known {
    /// The name of an image at the mirrors.
    fn rewritten(&self, repository: &str) -> String {
        let names = self.rewrite.iter().map(|(pattern, to)| pattern.replace_all(repository, to).into_owned());
        names.into_iter().find(|name| name != repository).unwrap_or_else(|| repository.to_string())
    }
}

/// Who is asked in the place of a registry.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    /// Its name, with its port.
    pub(super) host: String,
    /// Whether it is asked without TLS.
    pub(super) is_open: bool,
    /// What comes before images' names there: `proxy/` of `https://registry.lan/v2/proxy`.
    below: String,
    /// The address, where images are no part of `/v2` of a host: only containerd asks there.
    strange: Option<String>,
}

impl Mirror {
    /// By an address as the hosts have it. Whoever gives a path means the whole of it, with `/v2`.
    pub(super) fn of(address: &str) -> Self {
        let (scheme, rest) = address.split_once("://").unwrap_or(("https", address));
        let (host, path) = rest.trim_end_matches('/').split_once('/').unwrap_or((rest.trim_end_matches('/'), "v2"));
        let below = match path.split_once('/') {
            Some(("v2", below)) => Some(format!("{below}/")),
            None if path == "v2" => Some(String::new()),
            _ => None,
        };
        let strange = below.is_none().then(|| address.to_string());
        Self { host: host.to_string(), is_open: scheme == "http", below: below.unwrap_or_default(), strange }
    }
}

/// Registries that are asked for images.
pub(super) struct Registries {
    client: Client,
    known: BTreeMap<String, Known>,
    blobs: PathBuf,
    machines: Vec<String>,
}

/// An image that was pulled.
pub(super) struct Pulled {
    /// Its archive.
    pub(super) place: PathBuf,
    /// The digest that its name stands for.
    pub(super) digest: String,
}

/// One blob, and what it is.
struct Blob {
    media_type: String,
    digest: String,
    size: u64,
}

impl Registries {
    /// Registries on this computer, and mirrors of `http://`, are asked without TLS.
    pub(super) fn new(known: BTreeMap<String, Known>, open: Vec<String>, cache: &Path, machines: &[String]) -> Self {
        // Who was here before has set the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::new(ClientConfig {
            protocol: ClientProtocol::HttpsExcept(open),
            user_agent: concat!("kubewright/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        });
        Self { client, known, blobs: cache.join("blobs"), machines: machines.to_vec() }
    }

    /// Pulls an image for all machines, and writes its archive.
    pub(super) async fn pull(&self, reference: &str, place: &Path) -> Result<Pulled, String> {
        let (registry, rest) = reference.split_once('/').ok_or("its name has no registry")?;
        let known = self.known.get(registry).or_else(|| self.known.get("*")).cloned().unwrap_or_default();
        let mut failed = Vec::new();
        for mirror in &known.mirrors {
            match &mirror.strange {
                Some(address) => failed.push(format!("{address} is not asked: its path does not begin with /v2")),
                None => {
                    let name = format!("{}{}", mirror.below, renamed(rest, |repository| known.rewritten(repository)));
                    match self.asked(reference, &mirror.host, &name, place).await {
                        Ok(pulled) => return Ok(pulled),
                        Err(why) => failed.push(why),
                    }
                }
            }
        }
        let itself = self.asked(reference, registry, rest, place).await;
        itself.map_err(|why| failed.into_iter().chain([why]).collect::<Vec<_>>().join("; "))
    }

    /// Asks one host for an image by the name that it has there. Whoever has no login of its own has that of `*`, as on the
    /// hosts: no password goes to another registry than it is for.
    async fn asked(&self, reference: &str, host: &str, name: &str, place: &Path) -> Result<Pulled, String> {
        let known = self.known.get(host).or_else(|| self.known.get("*"));
        let login = match known.and_then(|known| known.login.as_ref()) {
            Some((user, password)) => RegistryAuth::Basic(user.clone(), password.clone()),
            None => RegistryAuth::Anonymous,
        };
        let from: Reference =
            format!("{host}/{name}").parse().map_err(|error| format!("{host}/{name} is no name: {error}"))?;
        self.archived(reference, &from, &login, place).await.map_err(|why| format!("{host}: {why}"))
    }

    async fn archived(
        &self,
        name: &str,
        from: &Reference,
        login: &RegistryAuth,
        place: &Path,
    ) -> Result<Pulled, String> {
        let (first, digest) = self.manifest(from, login).await?;
        let said: Value = serde_json::from_slice(&first).map_err(|error| format!("its manifest: {error}"))?;
        let mut blobs = BTreeSet::new();
        let top = match said["manifests"].as_array() {
            None => {
                self.fits(from, &said).await?;
                blobs.extend(named(&said));
                self.keep(&digest, &first)?
            }
            Some(list) => {
                let mut each = Vec::new();
                for arch in &self.machines {
                    let one = for_machine(list, arch).ok_or_else(|| format!("there is none for linux/{arch}"))?;
                    let at = from.clone_with_digest(one.digest.clone());
                    let (manifest, digest) = self.manifest(&at, login).await?;
                    let said: Value =
                        serde_json::from_slice(&manifest).map_err(|error| format!("its manifest: {error}"))?;
                    blobs.extend(named(&said));
                    each.push(self.keep(&digest, &manifest)?);
                }
                match each.as_slice() {
                    // Whoever pins a list by its digest asks for that.
                    [only] if from.digest().is_none() => only.clone(),
                    _ => {
                        blobs.extend(each);
                        self.keep(&digest, &first)?
                    }
                }
            }
        };
        for digest in &blobs {
            self.blob(from, digest).await?;
        }
        let media_type = |said: &[u8]| {
            let said: Value = serde_json::from_slice(said).unwrap_or_default();
            said["mediaType"].as_str().map_or_else(|| ACCEPTED[2].to_string(), String::from)
        };
        let bytes = std::fs::read(self.at(&top)).map_err(|error| error.to_string())?;
        let top = Blob { media_type: media_type(&bytes), digest: top.clone(), size: bytes.len() as u64 };
        blobs.insert(top.digest.clone());
        self.write(name, &top, &blobs, place).map_err(|error| format!("{}: {error}", place.display()))?;
        Ok(Pulled { place: place.to_path_buf(), digest })
    }

    async fn manifest(&self, from: &Reference, login: &RegistryAuth) -> Result<(Vec<u8>, String), String> {
        let asked = self.client.pull_manifest_raw(from, login, &ACCEPTED).await;
        let (bytes, digest) = asked.map_err(|error| crate::notify::causes(&error))?;
        Ok((bytes.to_vec(), digest))
    }

    /// An image that is for one architecture alone must be for that of the hosts. Its configuration says so.
    async fn fits(&self, from: &Reference, manifest: &Value) -> Result<(), String> {
        let config = manifest["config"]["digest"].as_str().ok_or("its manifest names no configuration")?;
        self.blob(from, config).await?;
        let text = std::fs::read(self.at(config)).map_err(|error| error.to_string())?;
        let said: Value = serde_json::from_slice(&text).map_err(|error| format!("its configuration: {error}"))?;
        match said["architecture"].as_str() {
            Some(arch) if self.machines.iter().all(|wanted| wanted == arch) => Ok(()),
            Some(arch) => Err(format!("it is for {arch} alone, and wanted for {}", self.machines.join(", "))),
            None => Err("its configuration names no architecture".into()),
        }
    }

    fn at(&self, digest: &str) -> PathBuf {
        self.blobs.join(digest.replace(':', "/"))
    }

    /// Keeps a manifest among the blobs.
    fn keep(&self, digest: &str, bytes: &[u8]) -> Result<String, String> {
        let place = self.at(digest);
        let folder = place.parent().unwrap_or(&self.blobs);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&place, bytes));
        written.map(|()| digest.to_string()).map_err(|error| format!("{}: {error}", place.display()))
    }

    /// Has a blob there, verified.
    async fn blob(&self, from: &Reference, digest: &str) -> Result<(), String> {
        let place = self.at(digest);
        let wanted = digest.strip_prefix("sha256:").and_then(Digest::parse);
        let wanted = wanted.ok_or_else(|| format!("{digest} is no SHA-256"))?;
        if files::digest(&place).as_ref() == Ok(&wanted) {
            return Ok(());
        }
        let folder = place.parent().unwrap_or(&self.blobs);
        let unwritable = |error: std::io::Error| format!("{}: {error}", folder.display());
        std::fs::create_dir_all(folder).map_err(unwritable)?;
        let beside = tempfile::Builder::new().prefix(".pulled-").tempfile_in(folder).map_err(unwritable)?;
        let out = tokio::fs::File::from_std(beside.reopen().map_err(unwritable)?);
        // It is verified while it comes.
        self.client.pull_blob(from, digest, out).await.map_err(|error| crate::notify::causes(&error))?;
        match files::digest(beside.path())? {
            came if came == wanted => beside.persist(&place).map(drop).map_err(|error| unwritable(error.error)),
            came => Err(format!("a blob has the digest {came}, not {wanted}")),
        }
    }

    /// The archive. The same image gives the same bytes.
    fn write(&self, name: &str, top: &Blob, blobs: &BTreeSet<String>, place: &Path) -> std::io::Result<()> {
        let folder = place.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut beside = tempfile::Builder::new().prefix(".image-").tempfile_in(folder)?;
        let mut archive = tar::Builder::new(beside.as_file_mut());
        let layout = json!({ "imageLayoutVersion": "1.0.0" }).to_string();
        // By the first of them containerd names it; the second is the specification's.
        // <https://github.com/containerd/containerd/blob/v2.2.1/core/images/archive/importer.go>
        let annotations =
            json!({ "io.containerd.image.name": whole(name), "org.opencontainers.image.ref.name": whole(name) });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [{ "mediaType": top.media_type, "digest": top.digest, "size": top.size, "annotations": annotations }],
        });
        for (name, text) in [("oci-layout", layout), ("index.json", index.to_string())] {
            pack::append(&mut archive, name, text.len() as u64, text.as_bytes())?;
        }
        for digest in blobs {
            let file = File::open(self.at(digest))?;
            let size = file.metadata()?.len();
            pack::append(&mut archive, &format!("blobs/{}", digest.replace(':', "/")), size, file)?;
        }
        archive.into_inner()?;
        beside.persist(place).map(drop).map_err(|error| error.error)
    }
}

/// The name of an image below its registry, with another repository and the same tag and digest.
fn renamed(rest: &str, rename: impl Fn(&str) -> String) -> String {
    let (tagged, digest) = rest.split_once('@').map_or((rest, None), |(tagged, digest)| (tagged, Some(digest)));
    let (repository, tag) = tagged.split_once(':').map_or((tagged, None), |(repository, tag)| (repository, Some(tag)));
    let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
    format!("{}{tag}{digest}", rename(repository))
}

/// The one of a list that is for Linux on an architecture; of several variants, the first.
fn for_machine(list: &[Value], arch: &str) -> Option<Blob> {
    let fits = |one: &&Value| one["platform"]["os"] == "linux" && one["platform"]["architecture"] == arch;
    let one = list.iter().find(fits)?;
    let word = |key: &str| one[key].as_str().map(String::from);
    Some(Blob { media_type: word("mediaType")?, digest: word("digest")?, size: one["size"].as_u64()? })
}

/// The blobs that a manifest names.
fn named(manifest: &Value) -> Vec<String> {
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let all = std::iter::once(&manifest["config"]).chain(layers);
    all.filter_map(|one| one["digest"].as_str().map(String::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_asked_below_their_path_and_by_their_own_names() {
        let of = |address: &str| {
            let Mirror { host, is_open, below, strange } = Mirror::of(address);
            (host, is_open, below, strange.is_some())
        };
        assert_eq!(of("http://10.0.0.5:5000"), ("10.0.0.5:5000".into(), true, String::new(), false));
        assert_eq!(of("https://registry.lan/"), ("registry.lan".into(), false, String::new(), false));
        assert_eq!(of("https://registry.lan/v2"), ("registry.lan".into(), false, String::new(), false));
        assert_eq!(of("https://harbor.lan/v2/docker/io/"), ("harbor.lan".into(), false, "docker/io/".into(), false));
        assert_eq!(of("https://harbor.lan/proxy"), ("harbor.lan".into(), false, String::new(), true));

        let pattern = |text: &str, to: &str| (Regex::new(text).expect("a pattern"), to.to_string());
        let rewrite = vec![pattern("^library/", "dock/"), pattern("^rancher/(.*)", "mirror/$1")];
        let known = Known { rewrite, ..Known::default() };
        let at = |rest: &str| renamed(rest, |repository| known.rewritten(repository));
        assert_eq!(at("rancher/pause:3.6@sha256:ab"), "mirror/pause:3.6@sha256:ab");
        assert_eq!((at("library/nginx"), at("other/web:1")), ("dock/nginx".into(), "other/web:1".into()));
    }
}
