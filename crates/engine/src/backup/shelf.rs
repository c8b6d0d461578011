//! Where bundles are kept: a folder, a bucket, an SFTP server. What these have in common is little, and all
//! that is needed: nothing is ever written over a bundle, and what is there can be listed, read and deleted by name.

mod folder;
mod s3;
mod sftp;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kubewright_hosts::Hosts;
use kubewright_model::bundle::Shelf;

pub use self::folder::Folder;
pub use self::s3::Bucket;
pub use self::sftp::Server;
use crate::holes;
use crate::places::Places;
use crate::retry::MayPass;

/// Hands on a place where bundles are. Names are those of files, without folders.
#[async_trait]
pub trait Bundles: Send + Sync {
    /// Puts a file there, whole or not at all, and never over another one.
    async fn put(&self, name: &str, file: &File) -> Result<(), ShelfError>;

    /// Puts a few bytes there, also in the place of others: what tells of a bundle, never a bundle.
    async fn note(&self, name: &str, bytes: &[u8]) -> Result<(), ShelfError>;

    /// Everything that is there, with its size. A place that nobody has made yet holds nothing.
    async fn list(&self) -> Result<BTreeMap<String, u64>, ShelfError>;

    /// Writes what is there under a name into a file.
    async fn get(&self, name: &str, into: &File) -> Result<(), ShelfError>;

    /// Deletes what is there under a name. What is gone is no error.
    async fn delete(&self, name: &str) -> Result<(), ShelfError>;
}

/// Why hands on a place for bundles failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShelfError {
    /// It is full of what has that name already.
    #[error("there is a {0} already, and nothing is written over a bundle")]
    Taken(String),
    /// There is nothing of that name.
    #[error("there is no {0}")]
    Absent(String),
    /// It was refused, and will be again.
    #[error("{0}")]
    Refused(String),
    /// It does not answer. It may pass.
    #[error("{0}")]
    Unreachable(String),
}

impl MayPass for ShelfError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

/// Hands on a place, with the keys that the spec names for it; those on hosts know who is let into a server.
///
/// # Errors
///
/// A secret cannot be had, or what is said of the place makes no sense.
pub fn open(shelf: &Shelf, places: &Places, hosts: Option<&Arc<dyn Hosts>>) -> Result<Box<dyn Bundles>, String> {
    match shelf {
        Shelf::Folder(folder) => Ok(Box::new(Folder::new(path(folder, places)))),
        Shelf::S3(s3) => {
            let key = |what: &str, place| holes::read(place, places).map_err(|why| format!("{what}: {why}"));
            let (access, secret) = (key("the access key", &s3.access_key)?, key("the secret key", &s3.secret_key)?);
            let authority = s3.ca_file.as_deref().map(|file| {
                let file = path(file, places);
                std::fs::read_to_string(&file).map_err(|error| format!("`caFile` {}: {error}", file.display()))
            });
            Ok(Box::new(Bucket::new(s3, &access, &secret, authority.transpose()?)?))
        }
        Shelf::Sftp(sftp) => {
            let key =
                sftp.key.as_ref().map(|place| holes::read(place, places).map_err(|why| format!("the key: {why}")));
            let hosts = hosts.ok_or("there are no hands for SSH here")?;
            Ok(Box::new(Server::new(sftp, key.transpose()?, Arc::clone(hosts))))
        }
    }
}

fn path(folder: &str, places: &Places) -> PathBuf {
    holes::path(folder, places.folder())
}
