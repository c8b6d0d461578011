//! Opening a bundle: every digest is compared before anything of it is believed, and everything that is wrong is told at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use kubewright_model::airgap::{AirGap, MANIFEST_FORMAT, Manifest, Packed};
use kubewright_model::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::pack::{MANIFEST, SEAL};

/// A manifest has a line for each artifact: megabytes would be millions of them.
const LARGEST: u64 = 64 << 20;
const PIECE: usize = 1 << 20;

/// Why a bundle is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a bundle to go by", .file.display())]
pub struct Refused {
    /// The bundle.
    pub file: PathBuf,
    /// All that is wrong with it.
    pub why: Vec<String>,
}

/// Proves a bundle and unpacks it into a folder of its own in `cache`.
///
/// # Errors
///
/// All that is wrong with it. What was unpacked of it stays unused.
pub fn open(file: &Path, cache: &Path) -> Result<AirGap, Refused> {
    let refused = |why| Refused { file: file.to_path_buf(), why };
    let bytes = File::open(file).map_err(|error| refused(vec![format!("it cannot be read: {error}")]))?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(PIECE, bytes));
    let mut entries = archive.entries().map_err(|error| refused(vec![ended(&error)]))?;
    let manifest = manifest(&mut entries).map_err(|why| refused(vec![why]))?;
    let folder = cache.join(format!("{}-{}", manifest.cluster, Digest::of_value(&manifest).short()));
    let mut wanted: BTreeMap<&str, &Packed> =
        manifest.contents.iter().map(|packed| (packed.path.as_str(), packed)).collect();
    let mut wrong = Vec::new();
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                wrong.push(ended(&error));
                break;
            }
        };
        let path = entry.path().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        match wanted.remove(path.as_str()) {
            None => wrong.push(format!("{path} is in it, and its manifest does not know it")),
            Some(packed) => {
                if let Err(why) = taken(&mut entry, packed, &folder) {
                    wrong.push(format!("{} ({path}): {why}", packed.name));
                }
            }
        }
    }
    wrong.extend(wanted.values().map(|packed| format!("{} ({}) is missing", packed.name, packed.path)));
    if !wrong.is_empty() {
        return Err(refused(wrong));
    }
    let folder = std::path::absolute(&folder).unwrap_or(folder).display().to_string();
    Ok(AirGap { folder, manifest: manifest.into() })
}

fn ended(error: &std::io::Error) -> String {
    format!("it ends in the middle, or is no tar archive: {error}")
}

/// The manifest, which its own digest follows.
fn manifest<R: Read>(entries: &mut tar::Entries<'_, R>) -> Result<Manifest, String> {
    let mut text = |name: &str| -> Result<String, String> {
        let entry = entries.next().ok_or_else(|| format!("there is no {name} in it"))?;
        let mut entry = entry.map_err(|error| ended(&error))?;
        let is = entry.path().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        if is != name {
            return Err(format!("{is} stands where {name} belongs: it is no bundle, or one that somebody packed anew"));
        }
        let mut text = String::new();
        entry.by_ref().take(LARGEST).read_to_string(&mut text).map_err(|error| ended(&error))?;
        Ok(text)
    };
    let (said, seal) = (text(MANIFEST)?, text(SEAL)?);
    if Digest::of(&said).as_str() != seal.trim() {
        return Err("its manifest is not the one that it was packed with".into());
    }
    let manifest: Manifest =
        serde_json::from_str(&said).map_err(|error| format!("its manifest cannot be read: {error}"))?;
    if manifest.format != MANIFEST_FORMAT {
        return Err(format!("its format is {}, and this version knows {MANIFEST_FORMAT}", manifest.format));
    }
    let leads_out = |packed: &&Packed| {
        let mut parts = Path::new(&packed.path).components();
        !parts.all(|part| matches!(part, Component::Normal(_)))
    };
    match manifest.contents.iter().find(leads_out) {
        Some(packed) => Err(format!("{} would be outside of the folder that it is unpacked into", packed.path)),
        None => Ok(manifest),
    }
}

/// Puts one artifact in its place once it is proven.
fn taken(from: &mut impl Read, packed: &Packed, folder: &Path) -> Result<(), String> {
    let place = folder.join(&packed.path);
    let unwritable = |error: std::io::Error| format!("{}: {error}", folder.display());
    let within = place.parent().unwrap_or(folder);
    std::fs::create_dir_all(within).map_err(unwritable)?;
    let mut beside = tempfile::Builder::new().prefix(".unpacked-").tempfile_in(within).map_err(unwritable)?;
    let (mut whole, mut size, mut piece) = (Sha256::new(), 0_u64, vec![0; PIECE]);
    loop {
        let read = from.read(&mut piece).map_err(|error| ended(&error))?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        whole.update(bytes);
        size += read as u64;
        beside.write_all(bytes).map_err(unwritable)?;
    }
    let came = hex::encode(whole.finalize());
    if size != packed.size {
        return Err(format!("it has {size} bytes and should have {}", packed.size));
    }
    if came != packed.sha256.as_str() {
        return Err(format!("its digest is {came}, and should be {}", packed.sha256));
    }
    beside.persist(&place).map(drop).map_err(|error| unwritable(error.error))
}
