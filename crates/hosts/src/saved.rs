//! What was saved of a datastore: files on this computer, and how they come here and go back to a host.
//!
//! A snapshot of etcd is its file with the SHA-256 of it behind it: `server/etcdserver/api/v3rpc/maintenance.go` sends that
//! last, and `etcdutl/snapshot/v3_snapshot.go` knows by the length that it is there, because etcd's file has whole pages of
//! 512 bytes at least.

mod bring;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kubewright_model::digest::Digest;
use kubewright_model::ids::NodeName;
use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use tempfile::NamedTempFile;

/// etcd's file has whole pages.
const PAGE: u64 = 512;
const TRAILER: usize = SHA256_OUTPUT_LEN;

/// A snapshot that has come whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its bytes, with the digest behind them.
    pub size: u64,
    /// The SHA-256 of what was written, the digest behind it included: of the file as it lies there.
    pub digest: Digest,
}

/// Proves that a file on this computer is a whole snapshot of etcd.
///
/// # Errors
///
/// It cannot be read, or it is none: in words.
pub fn proven(path: &Path) -> Result<Snapshot, String> {
    read(path)?.end().map_err(|why| format!("{} {why}", path.display()))
}

/// Sees a whole file on this computer.
fn read(path: &Path) -> Result<Proof, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut proof = Proof::default();
    let mut bytes = vec![0; 1 << 20];
    loop {
        match file.read(&mut bytes).map_err(failed)? {
            0 => return Ok(proof),
            count => proof.see(&bytes[..count]),
        }
    }
}

/// A file that has its name only when it is whole. Every Secret of a cluster is in it, so nobody else may read it.
pub(crate) struct Arriving {
    pub(crate) file: NamedTempFile,
    folder: PathBuf,
}

impl Arriving {
    /// A new file in a folder, which is made where it is not there.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, String> {
        if folder.as_os_str().is_empty() {
            return Err("nobody says in which folder it is kept".into());
        }
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        std::fs::create_dir_all(folder).map_err(failed)?;
        let file = tempfile::Builder::new().tempfile_in(folder).map_err(failed)?;
        Ok(Self { file, folder: folder.to_path_buf() })
    }

    /// It is whole: it gets its name, and is where it stays.
    pub(crate) fn arrived(self, name: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        self.file.as_file().sync_all().map_err(failed)?;
        self.file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(path)
    }
}

/// What a snapshot from a host is called, without its ending. Names of one host sort by age.
pub(crate) fn name(host: &NodeName) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    format!("etcd-{host}-{since}")
}

/// What is told of a snapshot that was brought here.
pub(crate) fn told(snapshot: &Snapshot, path: &Path) -> String {
    let size = kubewright_model::units::Size::from_bytes(snapshot.size);
    format!("saved {size} of etcd as {}, SHA-256 {}", path.display(), Digest::short(&snapshot.digest))
}

/// What is known of a file while it goes by.
pub(crate) struct Proof {
    /// Of what is certainly not the digest at the end.
    before: Context,
    /// Of everything.
    whole: Context,
    tail: Vec<u8>,
    size: u64,
}

impl Default for Proof {
    fn default() -> Self {
        Self { before: Context::new(&SHA256), whole: Context::new(&SHA256), tail: Vec::new(), size: 0 }
    }
}

impl Proof {
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.whole.update(bytes);
        self.tail.extend_from_slice(bytes);
        let sure = self.tail.len().saturating_sub(TRAILER);
        self.before.update(&self.tail[..sure]);
        self.tail.drain(..sure);
    }

    /// How many bytes went by so far.
    fn size(&self) -> u64 {
        self.size
    }

    /// The digest of all that went by so far.
    fn digest(&self) -> Option<Digest> {
        Digest::parse(&hex::encode(self.whole.clone().finish()))
    }

    /// That was all of it, and it is a whole snapshot of etcd.
    pub(crate) fn end(self) -> Result<Snapshot, &'static str> {
        let digest = self.digest().ok_or("has no digest")?;
        let Self { before, tail, size, .. } = self;
        if size <= TRAILER as u64 || size % PAGE != TRAILER as u64 {
            return Err("is cut off: it has no digest at its end");
        }
        if before.finish().as_ref() != tail {
            return Err("is damaged: its digest is another one");
        }
        Ok(Snapshot { size, digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proven(bytes: &[u8], part: usize) -> Result<Snapshot, &'static str> {
        let mut proof = Proof::default();
        bytes.chunks(part).for_each(|part| proof.see(part));
        proof.end()
    }

    #[test]
    fn a_snapshot_is_proven_however_it_is_cut_into_parts() {
        let pages: Vec<u8> = (0..4096u32).map(|at| at as u8).collect();
        let whole = [pages.clone(), ring::digest::digest(&SHA256, &pages).as_ref().to_vec()].concat();
        for part in [1, 7, 31, 32, 33, 512, 4096, 5000] {
            assert_eq!(proven(&whole, part), Ok(Snapshot { size: 4128, digest: Digest::of(&whole) }), "{part}");
        }
        let mut damaged = whole.clone();
        damaged[100] ^= 1;
        assert!(proven(&damaged, 1000).unwrap_err().contains("damaged"));
        for cut in [0, 31, 32, 512, 4000, 4096] {
            assert!(proven(&whole[..cut], 1000).unwrap_err().contains("cut off"), "{cut}");
        }
        // A whole page less, and still with 32 bytes too many.
        assert!(proven(&whole[..3616], 1000).unwrap_err().contains("damaged"));
    }
}
