//! Files in a folder of an SFTP server, over a connection of ours.
//!
//! A file is never written over: it arrives under a name of its own, is on the disk there, and is given its name in one
//! move that fails where the name is taken. OpenSSH offers that as `hardlink@openssh.com`; where nobody does, the rename of
//! the protocol is meant to fail there too (draft-ietf-secsh-filexfer-02, 6.5).
//! <https://github.com/openssh/openssh-portable/blob/V_9_9_P1/PROTOCOL>

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use russh_sftp::client::error::Error;
use russh_sftp::client::fs::File as Remote;
use russh_sftp::client::{Config, RawSftpSession, SftpSession};
use russh_sftp::extensions::HardlinkExtension;
use russh_sftp::protocol::{FileAttributes, OpenFlags, Packet, StatusCode};
use tokio::io::{AsyncRead, AsyncWriteExt as _};

use super::Session;
use crate::Layer;
use crate::transport::Refusal;

/// How long the server may take to answer one request. Half a megabyte is on its way at most, which a line of 64 kbit/s
/// takes a minute for; a connection that is dead is found sooner, by SSH itself.
const PATIENCE: u64 = 120;
/// What is still arriving. It is nobody's name.
const ARRIVING: &str = ".arriving-";
/// Only its owner reads a file, and looks into a folder that we make.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// Puts a file in the place of another in one move.
const POSIX_RENAME: &str = "posix-rename@openssh.com";

/// Why something of a file at an SFTP server failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// There is a file of that name, and nothing is written over it.
    #[error("there is a {0} already")]
    Taken(String),
    /// There is none of that name.
    #[error("there is no {0}")]
    Absent(String),
    /// The server refuses it, and will again.
    #[error("{0}")]
    Refused(String),
    /// The connection is no more. It may pass.
    #[error("the connection was cut: {0}")]
    Cut(String),
}

/// A folder of an SFTP server.
pub struct Sftp {
    files: SftpSession,
    folder: String,
    /// For what the library has no words for.
    raw: RawSftpSession,
    /// The server puts a file in the place of another in one move.
    replaces: bool,
    /// Files that arrived in part, and could not be taken away.
    left: Mutex<Vec<String>>,
    _session: Session,
}

impl Sftp {
    /// Opens a folder, which need not be there. What is relative begins where the server lets us in.
    pub(crate) async fn open(session: Session, folder: &str) -> Result<Self, Refusal> {
        let config = || Config { request_timeout_secs: PATIENCE, ..Config::default() };
        let refused = |error: Error| Refusal::new(Layer::Command, format!("it has no SFTP: {error}"));
        let files = SftpSession::new_with_config(session.subsystem("sftp").await?, config()).await.map_err(refused)?;
        let raw = RawSftpSession::new_with_config(session.subsystem("sftp").await?, config());
        let offers = raw.init().await.map_err(refused)?.extensions;
        let replaces = offers.get(POSIX_RENAME).is_some_and(|version| version == "1");
        let folder = folder.strip_prefix("~/").unwrap_or(folder);
        let folder = if folder.len() > 1 { folder.trim_end_matches('/') } else { folder };
        Ok(Self { files, raw, replaces, folder: folder.into(), left: Mutex::default(), _session: session })
    }

    fn path(&self, name: &str) -> String {
        match self.folder.as_str() {
            "/" => format!("/{name}"),
            folder => format!("{folder}/{name}"),
        }
    }

    /// Puts a file there, whole or not at all, and never over another one.
    ///
    /// # Errors
    ///
    /// The name is taken, or the server refuses it, or is gone.
    pub async fn put(&self, name: &str, file: &File) -> Result<(), FileError> {
        if self.is_there(name).await? {
            return Err(FileError::Taken(name.into()));
        }
        let here = |error: io::Error| FileError::Refused(format!("{name}: {error}"));
        let mut from = tokio::fs::File::from_std(file.try_clone().map_err(here)?);
        tokio::io::AsyncSeekExt::rewind(&mut from).await.map_err(here)?;
        self.clear().await;
        let arriving = self.arrive(name, &mut from).await?;
        let named = self.named(&arriving, name).await;
        // The link that it arrived by, or what it was going to be.
        self.leave(&arriving).await;
        named
    }

    /// Puts a few bytes there, also in the place of others.
    ///
    /// # Errors
    ///
    /// The server refuses it, or is gone.
    pub async fn note(&self, name: &str, mut bytes: &[u8]) -> Result<(), FileError> {
        let arriving = self.arrive(name, &mut bytes).await?;
        let moved = self.moved(&arriving, name).await;
        if moved.is_err() {
            self.leave(&arriving).await;
        }
        moved
    }

    /// The files that are there, with their sizes.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub async fn list(&self) -> Result<BTreeMap<String, u64>, FileError> {
        let entries = match self.files.read_dir(self.folder.as_str()).await {
            Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => return Ok(BTreeMap::new()),
            entries => entries.map_err(|error| self.failed(&self.folder, error))?,
        };
        let files = entries.filter(|entry| !entry.metadata().is_dir());
        Ok(files.map(|entry| (entry.file_name(), entry.metadata().len())).collect())
    }

    /// Writes what is there under a name into a file of this computer.
    ///
    /// # Errors
    ///
    /// There is no such file, or it cannot be read or written.
    pub async fn get(&self, name: &str, into: &File) -> Result<(), FileError> {
        let path = self.path(name);
        let mut from = self.files.open(path.as_str()).await.map_err(|error| self.failed(name, error))?;
        let here = |error: io::Error| FileError::Refused(format!("{name}: {error}"));
        let mut into = tokio::fs::File::from_std(into.try_clone().map_err(here)?);
        tokio::io::copy(&mut from, &mut into).await.map_err(|error| self.broke(name, error))?;
        into.flush().await.map_err(here)
    }

    /// Deletes what is there under a name. What is gone is no error.
    ///
    /// # Errors
    ///
    /// The server refuses it, or is gone.
    pub async fn delete(&self, name: &str) -> Result<(), FileError> {
        match self.files.remove_file(self.path(name)).await.map_err(|error| self.failed(name, error)) {
            Err(FileError::Absent(_)) => Ok(()),
            outcome => outcome,
        }
    }

    async fn is_there(&self, name: &str) -> Result<bool, FileError> {
        self.files.try_exists(self.path(name)).await.map_err(|error| self.failed(name, error))
    }

    /// Sends a file, to a name that nobody else has; returns that once all of it is on the disk there.
    async fn arrive(&self, name: &str, from: &mut (impl AsyncRead + Unpin)) -> Result<String, FileError> {
        let arriving = self.path(&format!("{ARRIVING}{name}-{}", some_word()?));
        let mut into = match self.made(&arriving).await {
            Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => {
                self.make_folder().await?;
                self.made(&arriving).await
            }
            made => made,
        }
        .map_err(|error| self.failed(&self.folder, error))?;
        let sent = async {
            tokio::io::copy(from, &mut into).await?;
            into.flush().await?;
            into.sync_all().await.map_err(io::Error::from)?;
            into.close().await
        };
        let sent = sent.await;
        if let Err(error) = sent {
            let why = self.broke(name, error);
            self.leave(&arriving).await;
            return Err(self.no_room(why).await);
        }
        Ok(arriving)
    }

    /// A file that nobody has made yet, for its owner alone.
    async fn made(&self, path: &str) -> Result<Remote, Error> {
        let flags = OpenFlags::CREATE | OpenFlags::EXCLUDE | OpenFlags::WRITE;
        let mode = FileAttributes { permissions: Some(FILE_MODE), ..FileAttributes::empty() };
        self.files.open_with_flags_and_attributes(path, flags, mode).await
    }

    /// Makes the folder, and those above it.
    async fn make_folder(&self) -> Result<(), FileError> {
        let ends = self.folder.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        for end in ends.chain([self.folder.len()]) {
            let Some(folder) = self.folder.get(..end) else { continue };
            // Who may not look at a folder above may still be let into this one.
            if self.files.try_exists(folder).await.unwrap_or(true) {
                continue;
            }
            let mode = FileAttributes { permissions: Some(FOLDER_MODE), ..FileAttributes::empty() };
            match self.raw.mkdir(folder, mode).await {
                // Somebody else was faster.
                Err(_) if self.files.try_exists(folder).await.unwrap_or(false) => {}
                made => made.map(drop).map_err(|error| self.failed(folder, error))?,
            }
        }
        Ok(())
    }

    /// Gives what has arrived its name, unless that is taken.
    async fn named(&self, arriving: &str, name: &str) -> Result<(), FileError> {
        let path = self.path(name);
        let linked = match self.files.hardlink(arriving, path.as_str()).await {
            Ok(true) => return Ok(()),
            Ok(false) => Ok(()),
            Err(error) => Err(self.failed(name, error)),
        };
        if let Err(FileError::Cut(why)) = linked {
            return Err(FileError::Cut(why));
        }
        if self.is_there(name).await? {
            return Err(FileError::Taken(name.into()));
        }
        // Its disk knows no links.
        let renamed = self.files.rename(arriving, path.as_str()).await.map_err(|error| self.failed(name, error));
        match renamed {
            Err(FileError::Refused(_)) if self.is_there(name).await? => Err(FileError::Taken(name.into())),
            outcome => outcome,
        }
    }

    /// Puts what has arrived in the place of what has its name.
    async fn moved(&self, arriving: &str, name: &str) -> Result<(), FileError> {
        let path = self.path(name);
        if self.replaces {
            let names = HardlinkExtension { oldpath: arriving.into(), newpath: path };
            let names: Vec<u8> = names.try_into().map_err(|_| FileError::Refused(format!("{name} is no name")))?;
            return match self.raw.extended(POSIX_RENAME, names).await {
                Ok(Packet::Status(status)) if status.status_code == StatusCode::Ok => Ok(()),
                Ok(Packet::Status(status)) => Err(self.failed(name, Error::Status(status))),
                Ok(_) => Err(self.failed(name, Error::UnexpectedPacket)),
                Err(error) => Err(self.failed(name, error)),
            };
        }
        self.delete(name).await?;
        self.files.rename(arriving, path).await.map_err(|error| self.failed(name, error))
    }

    /// Takes away what has arrived in part, or remembers to.
    async fn leave(&self, arriving: &str) {
        match self.files.remove_file(arriving).await {
            Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => {}
            Err(_) => self.left.lock().unwrap_or_else(PoisonError::into_inner).push(arriving.into()),
            Ok(()) => {}
        }
    }

    async fn clear(&self) {
        let left = std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner));
        for arriving in left {
            self.leave(&arriving).await;
        }
    }

    /// What was left by a connection that was cut, for the next one to take away.
    pub fn left_by(&self, before: &Self) {
        let left = std::mem::take(&mut *before.left.lock().unwrap_or_else(PoisonError::into_inner));
        self.left.lock().unwrap_or_else(PoisonError::into_inner).extend(left);
    }

    /// What went wrong while bytes came or went. The library keeps an answer of the server's as words alone.
    fn broke(&self, name: &str, error: io::Error) -> FileError {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => self.failed(name, error.clone()),
            None => FileError::Refused(format!("{name}: {error}")),
        }
    }

    fn failed(&self, name: &str, error: Error) -> FileError {
        match error {
            Error::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => FileError::Absent(name.into()),
                StatusCode::NoConnection | StatusCode::ConnectionLost => FileError::Cut(status.status_code.to_string()),
                code if code.to_string() == status.error_message => FileError::Refused(format!("{name}: {code}")),
                code => FileError::Refused(format!("{name}: {code}: {}", status.error_message)),
            },
            Error::Limited(why) => FileError::Refused(format!("{name}: {why}")),
            Error::Timeout => FileError::Cut(format!("no answer within {PATIENCE} s")),
            other => FileError::Cut(other.to_string()),
        }
    }

    /// OpenSSH says of a full disk that it is a failure, and no more; the disk itself may tell.
    async fn no_room(&self, why: FileError) -> FileError {
        let FileError::Refused(words) = &why else { return why };
        match self.files.fs_info(self.folder.as_str()).await {
            Ok(Some(disk)) if disk.blocks_avail.saturating_mul(disk.fragment_size) < 1 << 20 => {
                FileError::Refused(format!("{words}: its disk is full"))
            }
            _ => why,
        }
    }
}

/// A word that nobody else has thought of.
fn some_word() -> Result<String, FileError> {
    let mut word = [0; 6];
    getrandom::fill(&mut word).map_err(|error| FileError::Refused(error.to_string()))?;
    Ok(hex::encode(word))
}
