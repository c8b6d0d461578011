//! Bundles in a folder of this computer.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Seek as _, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tempfile::NamedTempFile;

use super::{Bundles, ShelfError};

/// A folder of this computer. It is made when something is put there for the first time, for its owner alone.
#[derive(Clone, Debug)]
pub struct Folder {
    folder: PathBuf,
}

impl Folder {
    /// A folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// A file that has no name yet, beside the one that it will be.
    fn arriving(&self, mut from: impl Read) -> Result<NamedTempFile, ShelfError> {
        let failed = |error: io::Error| refused(&self.folder, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let mut file = tempfile::Builder::new().prefix(".arriving-").tempfile_in(&self.folder).map_err(failed)?;
        io::copy(&mut from, &mut file).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        Ok(file)
    }

    /// A new name is only there for certain once its folder was written too.
    fn named(&self) -> Result<(), ShelfError> {
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(|error| refused(&self.folder, &error))
    }
}

fn refused(path: &Path, error: &io::Error) -> ShelfError {
    ShelfError::Refused(format!("{}: {error}", path.display()))
}

/// Runs what reads and writes for long beside everything else.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ShelfError> + Send + 'static,
) -> Result<T, ShelfError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| Err(ShelfError::Refused(error.to_string())))
}

#[async_trait]
impl Bundles for Folder {
    async fn put(&self, name: &str, file: &File) -> Result<(), ShelfError> {
        let mut file = file.try_clone().map_err(|error| refused(&self.folder, &error))?;
        let (folder, name) = (self.clone(), name.to_string());
        beside(move || {
            file.rewind().map_err(|error| refused(&folder.folder, &error))?;
            let arriving = folder.arriving(file)?;
            let path = folder.folder.join(&name);
            arriving.persist_noclobber(&path).map_err(|failed| match failed.error.kind() {
                ErrorKind::AlreadyExists => ShelfError::Taken(name),
                _ => refused(&path, &failed.error),
            })?;
            folder.named()
        })
        .await
    }

    async fn note(&self, name: &str, bytes: &[u8]) -> Result<(), ShelfError> {
        let path = self.folder.join(name);
        self.arriving(bytes)?.persist(&path).map_err(|failed| refused(&path, &failed.error))?;
        self.named()
    }

    async fn list(&self) -> Result<BTreeMap<String, u64>, ShelfError> {
        let failed = |error: io::Error| refused(&self.folder, &error);
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            entries => entries.map_err(failed)?,
        };
        let mut all = BTreeMap::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let about = match entry.path().metadata() {
                // It went away meanwhile, or is a link to nothing.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                about => about.map_err(failed)?,
            };
            if let (true, Ok(name)) = (about.is_file(), entry.file_name().into_string()) {
                all.insert(name, about.len());
            }
        }
        Ok(all)
    }

    async fn get(&self, name: &str, into: &File) -> Result<(), ShelfError> {
        let path = self.folder.join(name);
        let mut into = into.try_clone().map_err(|error| refused(&path, &error))?;
        let name = name.to_string();
        beside(move || {
            let mut from = File::open(&path).map_err(|error| match error.kind() {
                ErrorKind::NotFound => ShelfError::Absent(name),
                _ => refused(&path, &error),
            })?;
            io::copy(&mut from, &mut into).and_then(|_| into.flush()).map_err(|error| refused(&path, &error))
        })
        .await
    }

    async fn delete(&self, name: &str) -> Result<(), ShelfError> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(refused(&path, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
