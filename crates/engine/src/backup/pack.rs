//! A bundle in the making. Its manifest stands first and names the digest of everything behind it, so all of that is
//! gathered before: files of this computer stay where they are and are read twice, everything else waits in a file without
//! a name, under a key that only this process has.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::{Path, PathBuf};

use age::stream::StreamWriter;
use age::x25519::Identity;
use age::{Decryptor, Encryptor, Recipient};
use flate2::Compression;
use flate2::write::GzEncoder;
use kubewright_model::bundle::{About, BUNDLE_FORMAT, BundleManifest, BundledFile, Kind, MANIFEST};
use kubewright_model::digest::Digest;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::sops;

/// How much of a file is read at once.
const PART: usize = 64 << 10;

/// Everything that goes into a bundle.
pub struct Packing {
    key: Identity,
    waits: StreamWriter<BufWriter<File>>,
    files: Vec<(BundledFile, From)>,
    /// Their paths: there may be as many as a cluster has objects.
    paths: BTreeSet<String>,
}

/// Where the bytes of a file are until they are packed.
enum From {
    /// Among what waits.
    Waits,
    /// In a file of this computer.
    File(PathBuf),
}

/// What was packed.
#[derive(Clone, Debug)]
pub struct Packed {
    /// What it says of itself.
    pub manifest: BundleManifest,
    /// The bytes of the encrypted file.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
}

fn failed(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn encrypting<W: Write>(recipients: &[age::x25519::Recipient], out: W) -> io::Result<StreamWriter<W>> {
    let recipients = recipients.iter().map(|recipient| recipient as &dyn Recipient);
    Encryptor::with_recipients(recipients).map_err(failed)?.wrap_output(out)
}

impl Packing {
    /// Nothing yet.
    ///
    /// # Errors
    ///
    /// There is no room for files that are in the making.
    pub fn new() -> io::Result<Self> {
        let key = Identity::generate();
        let waits = encrypting(&[key.to_public()], BufWriter::new(tempfile::tempfile()?))?;
        Ok(Self { key, waits, files: Vec::new(), paths: BTreeSet::new() })
    }

    /// Adds a file that is at hand.
    ///
    /// # Errors
    ///
    /// The disk is full, or its path leads out of the bundle or is there already.
    pub fn add(&mut self, path: &str, what: Kind, bytes: &[u8]) -> io::Result<()> {
        self.add_from(path, what, bytes)
    }

    /// Adds what a reader gives.
    ///
    /// # Errors
    ///
    /// As of [`Self::add`], and those of the reader.
    pub fn add_from(&mut self, path: &str, what: Kind, mut from: impl Read) -> io::Result<()> {
        let waits = &mut self.waits;
        let (size, sha256) = copied(&mut from, |part| waits.write_all(part))?;
        self.enter(path, what, size, sha256, From::Waits)
    }

    /// Adds a file of this computer, which is read now and once more when it is packed.
    ///
    /// # Errors
    ///
    /// As of [`Self::add`], and the file cannot be read.
    pub fn add_file(&mut self, path: &str, what: Kind, from: &Path) -> io::Result<()> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", from.display()));
        let (size, sha256) = File::open(from).and_then(|mut file| measured(&mut file)).map_err(named)?;
        self.enter(path, what, size, sha256, From::File(from.to_path_buf()))
    }

    fn enter(&mut self, path: &str, what: Kind, size: u64, sha256: Digest, from: From) -> io::Result<()> {
        if !super::read::is_inside(path) {
            return Err(failed(format!("`{path}` is no path in a bundle")));
        }
        if path == MANIFEST || !self.paths.insert(path.into()) {
            return Err(failed(format!("`{path}` is in the bundle already")));
        }
        self.files.push((BundledFile { path: path.into(), size, sha256, what }, from));
        Ok(())
    }

    /// Writes the bundle, for these age public keys.
    ///
    /// # Errors
    ///
    /// A key is none, the disk is full, or a file of this computer has changed since it was added.
    pub fn seal(self, about: About, recipients: &[String], out: impl Write) -> io::Result<Packed> {
        let recipients: Result<Vec<_>, String> = recipients.iter().map(|it| sops::recipient(it)).collect();
        let recipients = recipients.map_err(failed)?;
        let Self { key, waits, files, paths: _ } = self;
        let waits = waits.finish()?;
        let mut waits = waits.into_inner().map_err(io::IntoInnerError::into_error)?;
        waits.rewind()?;
        let waits = Decryptor::new_buffered(BufReader::new(waits)).map_err(failed)?;
        let mut waits = waits.decrypt(std::iter::once(&key as &dyn age::Identity)).map_err(failed)?;
        let listed = files.iter().map(|(file, _)| file.clone()).collect();
        let manifest = BundleManifest { format: BUNDLE_FORMAT, about, files: listed };
        let told = serde_json::to_vec_pretty(&manifest).map_err(failed)?;

        let counted = Counted { out, size: 0, hash: Sha256::new() };
        let packed = GzEncoder::new(encrypting(&recipients, counted)?, Compression::default());
        let mut archive = Builder::new(packed);
        let made = manifest.about.made.0;
        append(&mut archive, MANIFEST, told.len() as u64, made, told.as_slice())?;
        for (file, from) in &files {
            let mut hash = Hashing { from: open(from, file, &mut waits)?, hash: Sha256::new() };
            append(&mut archive, &file.path, file.size, made, &mut hash)?;
            if hash.hash.finalize().as_slice() != hex::decode(file.sha256.as_str()).unwrap_or_default() {
                return Err(failed(format!("{} has changed while it was packed", file.path)));
            }
        }
        let encrypted = archive.into_inner()?.finish()?.finish()?;
        let Counted { mut out, size, hash } = encrypted;
        out.flush()?;
        let sha256 = Digest::parse(&hex::encode(hash.finalize())).ok_or_else(|| failed("it has no digest"))?;
        Ok(Packed { manifest, size, sha256 })
    }
}

/// The bytes of a file, as many as it had when it was added.
fn open<'r>(from: &From, file: &BundledFile, waits: &'r mut impl Read) -> io::Result<Box<dyn Read + 'r>> {
    Ok(match from {
        From::Waits => Box::new(waits.take(file.size)),
        From::File(path) => Box::new(File::open(path)?.take(file.size)),
    })
}

fn append(archive: &mut Builder<impl Write>, path: &str, size: u64, made: u64, from: impl Read) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    // Whoever unpacks it with `tar` has files that nobody else reads.
    header.set_mode(0o600);
    header.set_mtime(made);
    let mut from = Exactly { from, left: size };
    archive.append_data(&mut header, path, &mut from)
}

/// How many bytes a reader gives, and their digest.
pub(super) fn measured(from: &mut impl Read) -> io::Result<(u64, Digest)> {
    copied(from, |_| Ok(()))
}

/// Reads to the end, and tells how many bytes there were and their digest.
fn copied(from: &mut impl Read, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(u64, Digest)> {
    let (mut size, mut hash, mut part) = (0, Sha256::new(), vec![0; PART]);
    loop {
        let read = match from.read(&mut part) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let part = part.get(..read).unwrap_or_default();
        size += read as u64;
        hash.update(part);
        to(part)?;
    }
    let digest = Digest::parse(&hex::encode(hash.finalize())).ok_or_else(|| failed("it has no digest"))?;
    Ok((size, digest))
}

/// A reader that fails where there is less than was said: a tar archive would be out of step from there on.
struct Exactly<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        if read == 0 && self.left > 0 && !into.is_empty() {
            return Err(failed("a file became shorter while it was packed"));
        }
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

struct Hashing<R> {
    from: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.hash.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

struct Counted<W> {
    out: W,
    size: u64,
    hash: Sha256,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.size += written as u64;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
