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
    /// Hosts that are asked in its place, one after the other; it is asked itself last.
    pub(super) mirrors: Vec<String>,
    /// Who asks: the user and the password.
    pub(super) login: Option<(String, String)>,
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
        let login = |host: &str| match self.known.get(host).or(Some(&known)).and_then(|it| it.login.as_ref()) {
            Some((user, password)) => RegistryAuth::Basic(user.clone(), password.clone()),
            None => RegistryAuth::Anonymous,
        };
        let mut failed = Vec::new();
        for host in known.mirrors.iter().map(String::as_str).chain([registry]) {
            let from: Reference = match format!("{host}/{rest}").parse() {
                Ok(from) => from,
                Err(error) => return Err(format!("its name is none: {error}")),
            };
            match self.archived(reference, &from, &login(host), place).await {
                Ok(pulled) => return Ok(pulled),
                Err(why) => failed.push(format!("{host}: {why}")),
            }
        }
        Err(failed.join("; "))
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
