//! What goes into a bundle of a cluster, and where it comes from.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::read::GzDecoder;
use kubewright_model::bundle::{About, Canary, DesiredBundle, KEYS, Kind};
use kubewright_model::desired::Desired;
use kubewright_model::ids::HoleName;
use kubewright_model::recipe::SNAPSHOT;
use kubewright_model::spec::kubernetes::Distribution;
use kubewright_model::talos::TALOS_SECRETS;

use super::objects;
use super::pack::Packing;
use super::read::is_inside;
use crate::cluster::ClusterApi;
use crate::holes::{Filler, Secrets};
use crate::world::Copies;

/// What goes with a snapshot of kubeadm's under the same name.
pub(super) const PKI: &str = "pki.tar";
/// What that is called in a bundle.
pub(super) const KUBEADM_KEYS: &str = "distribution/pki.tar";
/// Secrets of the store that are no secrets: where the newest snapshot is.
const POINTERS: [&str; 1] = ["snapshot"];
/// Keys and certificates of a server are some hundred KiB.
const KEYS_MOST: u64 = 256 << 20;

/// Where everything comes from.
pub(crate) struct Sources<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) secrets: Secrets<'a>,
    pub(crate) filler: &'a Filler<'a>,
    pub(crate) cluster: &'a dyn ClusterApi,
    /// What a pretend world has saved is in no file.
    pub(crate) copies: Option<&'a Copies>,
    pub(crate) tell: &'a (dyn Fn(String) + Send + Sync),
}

/// Why nothing could be gathered, and whether that may pass.
pub(crate) type Gathered<T> = Result<T, crate::cluster::ClusterError>;

pub(super) fn refused(why: impl std::fmt::Display) -> crate::cluster::ClusterError {
    let (what, why) = ("the bundle".into(), why.to_string());
    crate::cluster::ClusterError::Refused { what, why, log: Vec::new() }
}

impl Sources<'_> {
    /// Gathers everything. What is not encrypted yet is written nowhere.
    pub(crate) async fn gather(&self, bundle: &DesiredBundle) -> Gathered<Packing> {
        let mut packing = Packing::new().map_err(refused)?;
        self.datastore(&mut packing).map_err(refused)?;
        self.distribution(&mut packing).map_err(refused)?;
        for (path, from) in &bundle.files {
            packing.add_file(&format!("spec/{path}"), Kind::Spec, Path::new(from)).map_err(refused)?;
        }
        self.kept(&mut packing).map_err(refused)?;
        if bundle.objects {
            self.objects(&mut packing).await?;
        }
        self.vault(&mut packing).await?;
        Ok(packing)
    }

    /// The snapshot that this run has brought, and kubeadm's keys beside it.
    fn datastore(&self, packing: &mut Packing) -> Result<(), String> {
        let Some(snapshot) = self.filler.given(&HoleName::new(SNAPSHOT)) else { return Ok(()) };
        let path = PathBuf::from(snapshot.expose());
        let name = path.file_name().ok_or("the snapshot has no name")?.to_string_lossy().into_owned();
        let member = format!("datastore/{name}");
        let failed = |error: io::Error| error.to_string();
        if let Some(copies) = self.copies {
            let copy = copies(snapshot.expose())?;
            return packing.add(&member, Kind::Datastore, &copy).map_err(failed);
        }
        packing.add_file(&member, Kind::Datastore, &path).map_err(failed)?;
        let keys = path.with_extension(PKI);
        match keys.is_file() {
            true => packing.add_file(KUBEADM_KEYS, Kind::Distribution, &keys).map_err(failed),
            false => Ok(()),
        }
    }

    /// What a server told, or, on Talos, what we keep ourselves.
    fn distribution(&self, packing: &mut Packing) -> Result<(), String> {
        if self.desired.kubernetes.distribution == Distribution::Talos {
            let secrets = self.secrets.resolve(self.desired, TALOS_SECRETS)?;
            let added = packing.add("distribution/secrets.yaml", Kind::Distribution, secrets.expose().as_bytes());
            return added.map_err(|error| error.to_string());
        }
        let Some(keys) = self.filler.given(&HoleName::new(KEYS)) else { return Ok(()) };
        let text: String = keys.expose().split_whitespace().collect();
        let archive = BASE64_STANDARD.decode(text).map_err(|_| "the server gave no archive of its keys".to_string())?;
        unpacked(&archive, packing).map_err(|error| format!("the keys of the server: {error}"))
    }

    /// What this program has made for the cluster and keeps: without it nobody joins what is restored.
    fn kept(&self, packing: &mut Packing) -> Result<(), String> {
        let (store, cluster) = (self.secrets.store, &self.desired.cluster);
        let failed = |error: io::Error| error.to_string();
        for name in store.secrets(cluster).map_err(|error| error.told())? {
            let Some(value) = store.secret(cluster, &name).map_err(|error| error.told())? else { continue };
            if POINTERS.contains(&name.as_str()) {
                continue;
            }
            let path = format!("secrets/{}", name.replace('%', "%25").replace('/', "%2F"));
            packing.add(&path, Kind::Secret, value.expose().as_bytes()).map_err(failed)?;
        }
        if let Some(foundation) = store.foundation(cluster).map_err(|error| error.told())? {
            let text = serde_json::to_vec_pretty(&foundation).map_err(|error| error.to_string())?;
            packing.add("secrets/foundation.json", Kind::Secret, &text).map_err(failed)?;
        }
        Ok(())
    }

    async fn objects(&self, packing: &mut Packing) -> Gathered<()> {
        let dumped = objects::dump(self.cluster, packing).await?;
        (self.tell)(format!("read {} objects and {} releases", dumped.objects, dumped.releases));
        for (kind, why) in dumped.unlisted {
            (self.tell)(format!("{kind} is not in the bundle: {why}"));
        }
        Ok(())
    }

    /// Vault's own snapshot, where it keeps its data itself. It is encrypted by Vault's own key.
    async fn vault(&self, packing: &mut Packing) -> Gathered<()> {
        let Some(wish) = self.desired.vault.as_ref() else { return Ok(()) };
        let mut file = tempfile::tempfile().map_err(refused)?;
        match self.cluster.vault_snapshot(wish, &mut file).await? {
            None => {
                io::Seek::rewind(&mut file).map_err(refused)?;
                packing.add_from("vault/raft.snap", Kind::Vault, file).map_err(refused)
            }
            Some(why) => {
                (self.tell)(format!("Vault is not in the bundle: {why}"));
                Ok(())
            }
        }
    }

    /// What the bundle says it is.
    pub(crate) fn about(&self, bundle: &DesiredBundle) -> About {
        let kubernetes = &self.desired.kubernetes;
        About {
            cluster: self.desired.cluster.clone(),
            environment: bundle.environment.clone(),
            made: bundle.made,
            kubewright: env!("CARGO_PKG_VERSION").into(),
            distribution: kubernetes.distribution,
            version: kubernetes.version.clone(),
            datastore: kubernetes.datastore,
            canary: Canary::of(&bundle.name),
            simulated: self.secrets.pretend.is_some(),
        }
    }
}

/// The files of an archive that a server made of its keys.
fn unpacked(archive: &[u8], packing: &mut Packing) -> io::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive).take(KEYS_MOST));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !entry.header().entry_type().is_file() || !is_inside(&path) {
            continue;
        }
        packing.add_from(&format!("distribution/{}", path.trim_start_matches("./")), Kind::Distribution, &mut entry)?;
    }
    Ok(())
}

/// The files of the spec's folder that a spec names, as they are called from there: a text that is the path of a file below
/// the folder names that.
pub(super) fn named_files(folder: &Path, spec: &serde_json::Value) -> Vec<String> {
    fn walk(value: &serde_json::Value, see: &mut dyn FnMut(&str)) {
        match value {
            serde_json::Value::String(text) => see(text),
            serde_json::Value::Array(all) => all.iter().for_each(|value| walk(value, see)),
            serde_json::Value::Object(all) => all.values().for_each(|value| walk(value, see)),
            _ => {}
        }
    }
    let mut found = std::collections::BTreeSet::new();
    walk(spec, &mut |text| {
        let path = text.strip_prefix("./").unwrap_or(text);
        if is_inside(path) && path.len() < 4096 {
            found.extend(files_below(folder, path));
        }
    });
    found.into_iter().collect()
}

/// The file, or, of a chart that is a folder, all files in it.
fn files_below(folder: &Path, path: &str) -> Vec<String> {
    let at = folder.join(path);
    let Ok(about) = std::fs::symlink_metadata(&at) else { return Vec::new() };
    if about.is_file() {
        return vec![path.to_string()];
    }
    // A folder is named where it is a chart, and by chance elsewhere.
    if !about.is_dir() || !at.join("Chart.yaml").is_file() && !path.contains('/') {
        return Vec::new();
    }
    let Ok(entries) = std::fs::read_dir(&at) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.flat_map(|name| files_below(folder, &format!("{path}/{name}"))).collect()
}
