//! Bundles in a folder of an SFTP server.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use kubewright_hosts::{FileError, HostError, Hosts, Sftp};
use kubewright_model::desired::Way;
use kubewright_model::secret::Secret;
use kubewright_model::spec::backup::Sftp as Wish;
use tokio::sync::Mutex;

use super::{Bundles, ShelfError};

/// A folder of an SFTP server. The connection is made when it is needed first, and made again when it broke.
pub struct Server {
    hosts: Arc<dyn Hosts>,
    way: Way,
    key: Option<Secret>,
    folder: String,
    kept: Mutex<Kept>,
}

/// The connection, and the one before it, which may have left something behind.
#[derive(Default)]
struct Kept {
    open: Option<Arc<Sftp>>,
    before: Option<Arc<Sftp>>,
}

impl Server {
    /// A folder of a server, with the key that lets us in, where the spec has one as a secret.
    pub fn new(wish: &Wish, key: Option<Secret>, hosts: Arc<dyn Hosts>) -> Self {
        let address = wish.host.parse().ok();
        let way = Way {
            address,
            name: address.is_none().then(|| wish.host.clone()),
            port: wish.port,
            port_before: None,
            user: wish.user.as_str().into(),
            key_file: wish.key_file.as_deref().map(Arc::from),
            jump: wish.jump.as_deref().map(Arc::from),
            host_key: wish.host_key.as_deref().map(Arc::from),
            first: None,
            sudo: None,
            talos: None,
        };
        Self { hosts, way, key, folder: wish.folder.clone(), kept: Mutex::default() }
    }

    async fn open(&self) -> Result<Arc<Sftp>, ShelfError> {
        let mut kept = self.kept.lock().await;
        if let Some(open) = &kept.open {
            return Ok(Arc::clone(open));
        }
        let open = self.hosts.folder(&self.way, self.key.as_ref(), &self.folder).await.map_err(closed)?;
        if let Some(before) = kept.before.take() {
            open.left_by(&before);
        }
        let open = Arc::new(open);
        kept.open = Some(Arc::clone(&open));
        Ok(open)
    }

    /// What came of something; a connection that was cut is not used again.
    async fn came<T>(&self, outcome: Result<T, FileError>) -> Result<T, ShelfError> {
        if matches!(outcome, Err(FileError::Cut(_))) {
            let mut kept = self.kept.lock().await;
            kept.before = kept.open.take().or(kept.before.take());
        }
        outcome.map_err(|error| match error {
            FileError::Taken(name) => ShelfError::Taken(name),
            FileError::Absent(name) => ShelfError::Absent(name),
            FileError::Refused(why) => ShelfError::Refused(why),
            cut @ FileError::Cut(_) => ShelfError::Unreachable(cut.to_string()),
        })
    }
}

fn closed(error: HostError) -> ShelfError {
    match error.may_pass() {
        true => ShelfError::Unreachable(error.to_string()),
        false => ShelfError::Refused(error.to_string()),
    }
}

#[async_trait]
impl Bundles for Server {
    async fn put(&self, name: &str, file: &File) -> Result<(), ShelfError> {
        self.came(self.open().await?.put(name, file).await).await
    }

    async fn note(&self, name: &str, bytes: &[u8]) -> Result<(), ShelfError> {
        self.came(self.open().await?.note(name, bytes).await).await
    }

    async fn list(&self) -> Result<BTreeMap<String, u64>, ShelfError> {
        self.came(self.open().await?.list().await).await
    }

    async fn get(&self, name: &str, into: &File) -> Result<(), ShelfError> {
        self.came(self.open().await?.get(name, into).await).await
    }

    async fn delete(&self, name: &str) -> Result<(), ShelfError> {
        self.came(self.open().await?.delete(name).await).await
    }
}
