//! A bundle is read back: age's MAC, gzip's checksum, the form of the archive, and the manifest with its digests.
//!
//! age's file key is bound to its header, and every 64 KiB behind that carry a tag of their own, the last ones another than
//! the others: what was cut off or changed anywhere is found. <https://c2sp.org/age>

use std::cell::Cell;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Cursor, Read, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path};
use std::rc::Rc;

use age::{DecryptError, Decryptor};
use flate2::read::GzDecoder;
use kubewright_model::bundle::{BUNDLE_FORMAT, BundleManifest, BundledFile, Kind, MANIFEST};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tar::{Archive, Entry};

use crate::sops::Identities;

/// How every file of age begins.
const BEGINS: &[u8] = b"age-encryption.org/v1\n";
/// No manifest is as long as this: it has some 200 bytes for each file.
const LONGEST: u64 = 256 << 20;

/// Why a bundle is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is a file of something else, or its beginning is damaged.
    #[error("it is no file of age, or its beginning is damaged")]
    Foreign,
    /// It is encrypted for others, or the part of its header that says for whom is damaged.
    #[error("no key that is here opens it: it is encrypted for others, or its header is damaged")]
    NotForUs,
    /// Its header is not as it was written.
    #[error("its header is damaged: the header's own code (MAC) is another one")]
    Header,
    /// It ends too early.
    #[error("it is cut off: its end is missing")]
    Cut,
    /// Its bytes are not as they were written.
    #[error("it is damaged or cut off: what is in it is not what was encrypted")]
    Body,
    /// It is whole, and not of the form of a bundle.
    #[error("it is whole, and no bundle: {0}")]
    Form(String),
    /// It is of a later version of the program.
    #[error("it has format {0}, and this version reads {BUNDLE_FORMAT}: a later version of kubewright made it")]
    Later(u64),
    /// A file in it is not what the manifest says.
    #[error("{0}: {1}")]
    File(String, &'static str),
    /// It could not be read, or what is in it could not be written.
    #[error("{0}")]
    Io(String),
}

/// Reads a bundle to its end, and returns what it says of itself when all of that is so.
///
/// # Errors
///
/// What is wrong with it.
pub fn verify(bundle: impl Read, identities: &Identities) -> Result<BundleManifest, Damage> {
    read(bundle, identities, &mut |_, file| io::copy(file, &mut io::sink()).map(drop))
}

/// What a bundle says of itself; nothing behind that is read, and so nothing of it is proven.
///
/// # Errors
///
/// What is wrong with its beginning.
pub fn manifest(bundle: impl Read, identities: &Identities) -> Result<BundleManifest, Damage> {
    let layers = Layers::default();
    let mut archive = Archive::new(layers.open(bundle, identities)?);
    let mut entries = archive.entries().map_err(|error| layers.damage(&error))?;
    first(&mut entries, &layers)
}

/// Writes what is in a bundle into a new folder that only its owner reads. All of it is proven before anything is written.
///
/// # Errors
///
/// What is wrong with it; or the folder is there already.
pub fn extract(bundle: &std::fs::File, identities: &Identities, folder: &Path) -> Result<BundleManifest, Damage> {
    extract_of(bundle, identities, folder, &Kind::ALL)
}

/// Writes what is of these kinds in a bundle into a new folder that only its owner reads. All of the bundle is proven before
/// anything is written.
///
/// # Errors
///
/// What is wrong with it; or the folder is there already.
pub fn extract_of(
    bundle: &std::fs::File,
    identities: &Identities,
    folder: &Path,
    kinds: &[Kind],
) -> Result<BundleManifest, Damage> {
    let from_start = || {
        let mut bundle = bundle;
        bundle.rewind().map(|()| bundle).map_err(|error| Damage::Io(error.to_string()))
    };
    verify(from_start()?, identities)?;
    let failed = |error: io::Error| Damage::Io(format!("{}: {error}", folder.display()));
    DirBuilder::new().mode(0o700).create(folder).map_err(failed)?;
    let mut write = |told: &BundledFile, file: &mut dyn Read| {
        if !kinds.contains(&told.what) {
            return io::copy(file, &mut io::sink()).map(drop);
        }
        let path = folder.join(&told.path);
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        io::copy(file, &mut to)?;
        to.flush()
    };
    read(from_start()?, identities, &mut write).map_err(|damage| {
        // It was whole a moment ago: what was written of it is half a thing.
        let _ = std::fs::remove_dir_all(folder);
        Damage::Io(format!("{}: {damage}", folder.display()))
    })
}

/// Whether a path stays in the folder that it is taken from.
pub(super) fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && !path.ends_with('/') && parts.all(|part| matches!(part, Component::Normal(_)))
}

pub(super) type Each<'e> = &'e mut dyn FnMut(&BundledFile, &mut dyn Read) -> io::Result<()>;

pub(super) fn read(bundle: impl Read, identities: &Identities, each: Each<'_>) -> Result<BundleManifest, Damage> {
    let layers = Layers::default();
    let mut archive = Archive::new(layers.open(bundle, identities)?);
    let mut entries = archive.entries().map_err(|error| layers.damage(&error))?;
    let manifest = first(&mut entries, &layers)?;
    for told in &manifest.files {
        let lacks = || Damage::File(told.path.clone(), "the manifest names it, and it is not there");
        let entry = entries.next().ok_or_else(lacks)?.map_err(|error| layers.damage(&error))?;
        member(entry, told, &layers, each)?;
    }
    if let Some(more) = entries.next() {
        let more = more.map_err(|error| layers.damage(&error))?;
        return Err(Damage::File(path_of(&more), "it is in the bundle, and the manifest does not name it"));
    }
    // What stands behind the archive's end is zeros, and age tells at its own end whether that is the end.
    let mut rest = archive.into_inner();
    let mut part = [0; 4096];
    loop {
        match rest.read(&mut part).map_err(|error| layers.damage(&error))? {
            0 => break,
            read if part.iter().take(read).all(|byte| *byte == 0) => {}
            _ => return Err(Damage::Form("something stands behind its end".into())),
        }
    }
    let mut behind = rest.into_inner();
    match behind.read(&mut part).map_err(|error| layers.damage(&error))? {
        0 => Ok(manifest),
        _ => Err(Damage::Form("something stands behind its end".into())),
    }
}

/// The manifest, which stands first.
fn first<'a, R: Read + 'a>(
    entries: &mut impl Iterator<Item = io::Result<Entry<'a, R>>>,
    layers: &Layers,
) -> Result<BundleManifest, Damage> {
    let no_manifest = || Damage::Form(format!("{MANIFEST} does not stand first in it"));
    let mut entry = entries.next().ok_or_else(no_manifest)?.map_err(|error| layers.damage(&error))?;
    if path_of(&entry) != MANIFEST || entry.size() > LONGEST {
        return Err(no_manifest());
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text).map_err(|error| layers.damage(&error))?;
    let malformed = |error: serde_json::Error| Damage::Form(format!("{MANIFEST}: {error}"));
    let value: Value = serde_json::from_slice(&text).map_err(malformed)?;
    let format = value.get("format").and_then(Value::as_u64);
    match format.ok_or_else(|| Damage::Form(format!("{MANIFEST} tells no format")))? {
        format if format == u64::from(BUNDLE_FORMAT) => {}
        other => return Err(Damage::Later(other)),
    }
    let manifest: BundleManifest = serde_json::from_value(value).map_err(malformed)?;
    match manifest.files.iter().find(|file| !is_inside(&file.path)) {
        Some(file) => Err(Damage::File(file.path.clone(), "it would lead out of the folder that it is put in")),
        None => Ok(manifest),
    }
}

fn path_of(entry: &Entry<'_, impl Read>) -> String {
    String::from_utf8_lossy(&entry.path_bytes()).into_owned()
}

/// A file is where the manifest has it, and what it says.
fn member(mut entry: Entry<'_, impl Read>, told: &BundledFile, layers: &Layers, each: Each<'_>) -> Result<(), Damage> {
    if path_of(&entry) != told.path || !entry.header().entry_type().is_file() {
        return Err(Damage::File(told.path.clone(), "another file stands in its place"));
    }
    if entry.size() != told.size {
        return Err(Damage::File(told.path.clone(), "it has another size than the manifest says"));
    }
    let mut file = Hashed { from: &mut entry, hash: Sha256::new() };
    each(told, &mut file).map_err(|error| layers.damage(&error))?;
    if hex::encode(file.hash.finalize()) != told.sha256.as_str() {
        return Err(Damage::File(told.path.clone(), "it has another digest than the manifest says"));
    }
    Ok(())
}

struct Hashed<R> {
    from: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.hash.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Which layer failed: the errors of age, gzip and tar come out of the same reader.
#[derive(Clone, Default)]
struct Layers {
    file: Rc<Cell<bool>>,
    age: Rc<Cell<Option<io::ErrorKind>>>,
    ended: Rc<Cell<bool>>,
}

impl Layers {
    fn open<R: Read>(&self, bundle: R, identities: &Identities) -> Result<GzDecoder<impl Read + use<R>>, Damage> {
        let mut file = Watched { from: bundle, failed: Rc::clone(&self.file) };
        let mut begins = Vec::new();
        let read = file.by_ref().take(BEGINS.len() as u64).read_to_end(&mut begins);
        read.map_err(|error| Damage::Io(error.to_string()))?;
        match BEGINS.strip_prefix(begins.as_slice()) {
            None => return Err(Damage::Foreign),
            Some([]) => {}
            Some(_) => return Err(Damage::Cut),
        }
        let decryptor = Decryptor::new(Cursor::new(begins).chain(file)).map_err(|error| self.header(error))?;
        let keys = identities.all().map(|identity| identity as &dyn age::Identity);
        let plain = decryptor.decrypt(keys).map_err(|error| self.header(error))?;
        Ok(GzDecoder::new(Age { from: plain, failed: Rc::clone(&self.age), ended: Rc::clone(&self.ended) }))
    }

    fn header(&self, error: DecryptError) -> Damage {
        match error {
            DecryptError::Io(error) if self.file.get() => Damage::Io(error.to_string()),
            DecryptError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => Damage::Cut,
            DecryptError::InvalidMac => Damage::Header,
            DecryptError::NoMatchingKeys | DecryptError::KeyDecryptionFailed => Damage::NotForUs,
            _ => Damage::Foreign,
        }
    }

    fn damage(&self, error: &io::Error) -> Damage {
        if self.file.get() {
            return Damage::Io(error.to_string());
        }
        match self.age.get() {
            Some(io::ErrorKind::UnexpectedEof) => Damage::Cut,
            Some(_) => Damage::Body,
            None if self.ended.get() => Damage::Form(format!("it ends in the middle: {error}")),
            None => Damage::Form(error.to_string()),
        }
    }
}

/// What the disk itself cannot read is no damage of a bundle.
struct Watched<R> {
    from: R,
    failed: Rc<Cell<bool>>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into);
        self.failed.set(matches!(&read, Err(error) if error.kind() != io::ErrorKind::Interrupted));
        read
    }
}

struct Age<R> {
    from: R,
    failed: Rc<Cell<Option<io::ErrorKind>>>,
    ended: Rc<Cell<bool>>,
}

impl<R: Read> Read for Age<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into);
        match &read {
            Ok(0) if !into.is_empty() => self.ended.set(true),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => self.failed.set(Some(error.kind())),
            Ok(_) | Err(_) => {}
        }
        read
    }
}

#[cfg(test)]
mod tests;
