//! What a restore needs of a bundle comes back to this computer: the snapshot with what belongs to it, the secrets that are
//! not here any more, and what the cluster was begun with. All of the bundle is proven, and held against the spec and what is
//! here, before anything of it is written.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use kubewright_model::bundle::{About, BundleManifest, BundleName, BundledFile, Kind};
use kubewright_model::desired::{Desired, Saved};
use kubewright_model::plan::Ask;
use kubewright_model::secret::Secret;
use kubewright_model::spec::kubernetes::Distribution;
use kubewright_model::talos::TALOS_SECRETS;
use kubewright_model::version::Follows;
use kubewright_planner::foundation::is_of_a_secret;

use super::read::{Damage, read, verify};
use super::wish::Unsaved;
use crate::engine::is_another;
use crate::holes::{ENCRYPTION_KEY, JOIN_TOKEN, Secrets};
use crate::sops::Identities;
use crate::store::Foundation;
use crate::world::talos;

/// Secrets and keys are some hundred KiB.
const LONGEST: u64 = 16 << 20;
/// What the cluster was begun with, among the secrets.
const FOUNDATION: &str = "foundation.json";

/// What came back.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// What the bundle says of itself.
    pub manifest: BundleManifest,
    /// What a restore puts back.
    pub saved: Saved,
    /// The folder that the snapshot is in, which nobody else reads.
    pub folder: PathBuf,
    /// It was made for this.
    pub made: bool,
    /// Secrets that were not here any more, by name.
    pub secrets: Vec<String>,
}

/// Why nothing came back. Nothing of the bundle was written then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is not whole, or no key here opens it.
    Damaged(Damage),
    /// It is whole, and not for this.
    Not(Unsaved),
}

impl From<Damage> for Unfit {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

fn not(why: impl Into<String>, help: impl Into<String>) -> Unfit {
    Unfit::Not(Unsaved { why: why.into(), help: help.into() })
}

/// Who takes it back.
pub(crate) struct Home<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) secrets: Secrets<'a>,
    /// The folder for what is saved of datastores.
    pub(crate) snapshots: &'a Path,
    /// It is restored beside the cluster that it is of, under another name: nothing here is that cluster's.
    pub(crate) elsewhere: bool,
    /// What was asked for before, and was cut: what it goes on with.
    pub(crate) settled: Option<(Ask, Saved)>,
}

impl Home<'_> {
    /// Takes back what a restore needs.
    pub(crate) fn take(&self, mut bundle: &File, identities: &Identities) -> Result<Unpacked, Unfit> {
        let again = |error: io::Error| Unfit::Damaged(Damage::Io(error.to_string()));
        bundle.rewind().map_err(again)?;
        let manifest = verify(bundle, identities)?;
        let name = self.fits(&manifest)?;
        self.goes_on(&name)?;
        bundle.rewind().map_err(again)?;
        let small = small(bundle, identities)?;
        let lacks = self.lacks(&small)?;
        let foundation = self.foundation(&small)?;
        let folder = self.snapshots.join(name.id());
        let made = !folder.exists();
        let file = self.unpack(bundle, identities, &folder).inspect_err(|_| {
            if made {
                // What was written of it is half a thing.
                let _ = std::fs::remove_dir_all(&folder);
            }
        })?;
        self.keep(&lacks, foundation.as_ref())?;
        let file = std::path::absolute(&file).unwrap_or(file).display().to_string();
        let saved = Saved::Bundle { file, canary: name.id().to_string() };
        let secrets = lacks.into_iter().map(|(name, _)| name).collect();
        Ok(Unpacked { manifest, saved, folder, made, secrets })
    }

    /// Whether it is one of this cluster that it can be made anew from.
    fn fits(&self, manifest: &BundleManifest) -> Result<BundleName, Unfit> {
        let about = &manifest.about;
        let name = BundleName::new(&about.cluster, about.made);
        if name.id() != about.canary.bundle {
            return Err(Damage::Form("its canary has another name than it".into()).into());
        }
        if about.cluster != self.desired.cluster && !self.elsewhere {
            let (of, here) = (&about.cluster, &self.desired.cluster);
            return Err(not(
                format!("{name} is of the cluster {of}, and this one is {here}"),
                "take a bundle of this one",
            ));
        }
        if about.simulated != self.secrets.pretend.is_some() {
            let (why, help) = match about.simulated {
                true => ("was made in a simulated data centre, and nothing real can be made of it", "take a real one"),
                false => {
                    ("is of a real cluster, and this data centre is simulated", "`kubewright backup rehearse` tries it")
                }
            };
            return Err(not(format!("{name} {why}"), help));
        }
        self.same_kind(about, &name)?;
        let snapshots = manifest.files.iter().filter(|file| file.what == Kind::Datastore).count();
        match snapshots {
            1 => Ok(name),
            0 => Err(not(
                format!("{name} holds no datastore, so no cluster can go back to it"),
                "its objects are YAML in `objects/`: `age -d` and `tar` open it, and `kubectl apply` takes them",
            )),
            many => Err(Damage::Form(format!("it holds {many} snapshots, where one is expected")).into()),
        }
    }

    /// One that was cut goes on with what it has settled on.
    fn goes_on(&self, name: &BundleName) -> Result<(), Unfit> {
        let Some((ask, settled)) = &self.settled else { return Ok(()) };
        let named = Saved::Bundle { file: String::new(), canary: name.id().to_string() };
        match is_another(ask, settled, &named) {
            Some((why, help)) => Err(not(why, help)),
            None => Ok(()),
        }
    }

    fn same_kind(&self, about: &About, name: &BundleName) -> Result<(), Unfit> {
        let wished = &self.desired.kubernetes;
        if about.distribution != wished.distribution {
            let (was, is) = (about.distribution.title(), wished.distribution.title());
            return Err(not(
                format!("{name} is of {was}, and the spec asks for {is}"),
                "write what it was in the spec",
            ));
        }
        if wished.version < about.version {
            let why = format!("{name} is of {}, newer than {} in the spec", about.version, wished.version);
            return Err(not(why, format!("write {}, and restore then", about.version)));
        }
        if let Follows::Skips { .. } = wished.version.follows(&about.version) {
            let (was, is) = (&about.version, &wished.version);
            let why = format!("{name} is of {was}, more than one minor version before {is} in the spec");
            let help = format!(
                "write {was} in the spec, restore, and upgrade then: no version of Kubernetes reads all that is so much older"
            );
            return Err(not(why, help));
        }
        Ok(())
    }

    /// The secrets that are not here any more. One that the snapshot opens with has to be the one of then.
    fn lacks(&self, small: &Small) -> Result<Vec<(String, Secret)>, Unfit> {
        let mut held: BTreeMap<String, Secret> = small.secrets.clone();
        held.extend(small.talos.clone().map(|secrets| (TALOS_SECRETS.to_string(), secrets)));
        let opens = self.opens();
        // A bundle that a server has made by itself holds what this computer keeps only as the server has it.
        if let (Some(JOIN_TOKEN), Some(token)) = (opens, &small.token) {
            held.entry(JOIN_TOKEN.into()).or_insert_with(|| token.clone());
        }
        if let (Some(ENCRYPTION_KEY), Some(key)) = (opens, &small.locks) {
            held.entry(ENCRYPTION_KEY.into()).or_insert_with(|| key.clone());
        }
        let mut lacks = Vec::new();
        for (name, then) in held {
            let here = match self.desired.secrets.contains_key(&name) && self.secrets.pretend.is_some() {
                // A pretend world has everything that somebody else keeps.
                true => continue,
                false => self.secrets.kept(self.desired, &name),
            };
            match here {
                Ok(None) => lacks.push((name, then)),
                Ok(Some(here)) if opens != Some(name.as_str()) || self.same(&name, &here, &then) => {}
                Ok(Some(_)) => return Err(self.another(&name)),
                Err(_) if self.is_writable(&name) => lacks.push((name, then)),
                // Somebody else keeps it, and the run says that it cannot be had.
                Err(_) => {}
            }
        }
        Ok(lacks)
    }

    /// The secret that what was saved opens with.
    fn opens(&self) -> Option<&'static str> {
        match self.desired.kubernetes.distribution {
            Distribution::K3s | Distribution::Rke2 => Some(JOIN_TOKEN),
            Distribution::Kubeadm => Some(ENCRYPTION_KEY),
            Distribution::Talos => Some(TALOS_SECRETS),
        }
    }

    fn same(&self, name: &str, here: &Secret, then: &Secret) -> bool {
        let trimmed = |secret: &Secret| secret.expose().trim().to_string();
        trimmed(here) == trimmed(then) || name == TALOS_SECRETS && talos::are_same(here, then)
    }

    fn another(&self, name: &str) -> Unfit {
        let place = match self.desired.secrets.get(name) {
            Some(place) => place.place(),
            None => format!(".kubewright/{}/secrets/{name}", self.desired.cluster),
        };
        let why = format!("what was saved opens with another `{name}` than the one that is at {place}");
        not(why, format!("move {place} aside: the bundle brings the one of then"))
    }

    /// Whether it belongs into a file that is not there.
    fn is_writable(&self, name: &str) -> bool {
        self.file_of(name).is_some_and(|path| !path.exists() && path.parent().is_some_and(Path::is_dir))
    }

    fn file_of(&self, name: &str) -> Option<PathBuf> {
        let file = self.desired.secrets.get(name)?.file.as_ref()?;
        Some(crate::holes::path(file, self.secrets.places.folder()))
    }

    /// What the cluster was begun with, where nobody here knows it; a cluster that was begun otherwise since is another one.
    fn foundation(&self, small: &Small) -> Result<Option<Foundation>, Unfit> {
        let Some(then) = &small.foundation else { return Ok(None) };
        let here = self.secrets.store.foundation(&self.desired.cluster);
        match here.map_err(|error| not(error.told(), "see to that file first"))? {
            None => Ok(Some(then.clone())),
            // A secret that another one has taken the place of is compared as itself: where it is not, it comes with the bundle.
            Some(here) => match then
                .iter()
                .find(|(part, was)| !is_of_a_secret(part) && here.get(*part).is_some_and(|is| is != *was))
            {
                None if then.iter().any(|(part, was)| here.get(part).is_some_and(|is| is != was)) => {
                    Ok(Some(then.clone()))
                }
                None => Ok(None),
                Some((part, was)) => {
                    let is = here.get(part).map_or("", String::as_str);
                    let why =
                        format!("the cluster of the bundle was begun with {part} {was}, and that of now with {is}");
                    Err(not(why, "take a bundle that was made since"))
                }
            },
        }
    }

    /// The snapshot, and what belongs to it under the same name.
    fn unpack(&self, mut bundle: &File, identities: &Identities, folder: &Path) -> Result<PathBuf, Unfit> {
        let failed = |error: io::Error| Unfit::Damaged(Damage::Io(format!("{}: {error}", folder.display())));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        bundle.rewind().map_err(failed)?;
        let (mut snapshot, mut keys) = (None, None);
        let mut write = |told: &BundledFile, from: &mut dyn Read| {
            let name = Path::new(&told.path).file_name().map(|name| folder.join(name));
            let of = match told.what {
                Kind::Datastore => &mut snapshot,
                Kind::Distribution if told.path == super::collect::KUBEADM_KEYS => &mut keys,
                _ => return io::copy(from, &mut io::sink()).map(drop),
            };
            let Some(path) = name else { return Ok(()) };
            write_whole(&path, from)?;
            *of = Some(path);
            Ok(())
        };
        read(bundle, identities, &mut write)?;
        let snapshot = snapshot.ok_or_else(|| Damage::Form("it holds no snapshot".into()))?;
        if let Some(keys) = keys {
            std::fs::rename(keys, snapshot.with_extension(super::collect::PKI)).map_err(failed)?;
        }
        Ok(snapshot)
    }

    fn keep(&self, lacks: &[(String, Secret)], foundation: Option<&Foundation>) -> Result<(), Unfit> {
        let (store, cluster) = (self.secrets.store, &self.desired.cluster);
        let failed = |why: String| not(why, "see to that file first");
        for (name, secret) in lacks {
            match self.file_of(name) {
                Some(path) => write_whole(&path, &mut secret.expose().as_bytes())
                    .map_err(|error| failed(format!("{}: {error}", path.display())))?,
                None => store.keep_secret(cluster, name, secret).map_err(|error| failed(error.told()))?,
            }
        }
        let Some(foundation) = foundation else { return Ok(()) };
        store.keep_foundation(cluster, foundation).map_err(|error| failed(error.told()))
    }
}

/// A file that is there whole or not at all, and that only its owner reads.
fn write_whole(path: &Path, from: &mut (impl Read + ?Sized)) -> io::Result<()> {
    let beside = path.with_added_extension("part");
    let mut to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    io::copy(from, &mut to)?;
    to.flush()?;
    to.sync_all()?;
    std::fs::rename(&beside, path)
}

/// What is small in a bundle.
#[derive(Default)]
struct Small {
    secrets: BTreeMap<String, Secret>,
    foundation: Option<Foundation>,
    talos: Option<Secret>,
    /// What K3s and RKE2 keep of the token: itself, behind a digest of the authority.
    token: Option<Secret>,
    /// What servers of kubeadm lock Secrets with.
    locks: Option<Secret>,
}

/// The key that locks Secrets, out of the archive that servers of kubeadm keep beside a snapshot, as it is kept here: it is
/// written there in base64. None where there is none, and none where another one was just about to take its place.
fn locks(archive: impl Read) -> Option<Secret> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().ok()?.filter_map(Result::ok);
    let mut file = entries.find(|entry| entry.path_bytes().ends_with(b"kubewright/encryption.yaml"))?;
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let value: serde_json::Value = serde_saphyr::from_str(&text).ok()?;
    let keys = value.pointer("/resources/0/providers/0/secretbox/keys")?.as_array()?;
    let [key] = keys.as_slice() else { return None };
    let bytes = BASE64_STANDARD.decode(key.get("secret")?.as_str()?).ok()?;
    Some(Secret::new(hex::encode(bytes)))
}

fn small(bundle: &File, identities: &Identities) -> Result<Small, Unfit> {
    let mut small = Small::default();
    read(bundle, identities, &mut |told, from| {
        if told.path == super::collect::KUBEADM_KEYS && told.size <= LONGEST {
            let mut archive = Vec::new();
            from.read_to_end(&mut archive)?;
            small.locks = locks(archive.as_slice());
            return Ok(());
        }
        let wanted = told.what == Kind::Secret
            || ["distribution/secrets.yaml", "distribution/token"].contains(&told.path.as_str());
        if !wanted || told.size > LONGEST {
            return io::copy(from, &mut io::sink()).map(drop);
        }
        let mut text = String::new();
        from.read_to_string(&mut text)?;
        match told.path.strip_prefix("secrets/") {
            Some(FOUNDATION) => small.foundation = Some(serde_json::from_str(&text)?),
            Some(name) => drop(small.secrets.insert(name.replace("%2F", "/").replace("%25", "%"), Secret::new(text))),
            None if told.path.ends_with("secrets.yaml") => small.talos = Some(Secret::new(text)),
            None => {
                let token = text.trim().rsplit("::server:").next().unwrap_or_default();
                small.token = Some(Secret::new(token.to_string()));
            }
        }
        Ok(())
    })?;
    Ok(small)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_secrets_comes_out_of_what_servers_of_kubeadm_keep() {
        let of = |text: &str| {
            let mut archive = tar::Builder::new(Vec::new());
            for (path, text) in [("pki/ca.key", "authority"), ("kubewright/encryption.yaml", text)] {
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                archive.append_data(&mut header, path, text.as_bytes()).unwrap();
            }
            locks(archive.into_inner().unwrap().as_slice()).map(|secret| secret.expose().clone())
        };
        let file = |keys: &str| {
            format!(
                "resources:\n- resources: [secrets]\n  providers:\n  - secretbox:\n      keys:\n{keys}  - identity: {{}}\n"
            )
        };
        let one = "      - name: kubewright\n        secret: \"AAECAw==\"\n";
        assert_eq!(of(&file(one)).as_deref(), Some("00010203"));
        assert_eq!(of(&file(&format!("{one}{one}"))), None, "another one was about to take its place");
        assert_eq!(of("no: keys\n"), None);
        assert_eq!(locks(b"none".as_slice()).map(drop), None);
    }
}
