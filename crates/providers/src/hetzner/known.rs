//! Numbers of what has a name: the API takes numbers where things are put together. Each is asked for once.

use std::collections::BTreeMap;

use tokio::sync::Mutex;

use super::Hetzner;
use super::answers::{Image, Labelled, Named, ServerType, SshKey};
use super::call::{self, Kind};
use super::client::error;
use crate::{ErrorKind, ProviderError};

/// What was found.
#[derive(Default)]
pub(super) struct Known {
    /// Numbers by kind and name. Whoever looks for one holds this, so that eight servers that are made at once ask once.
    numbers: Mutex<BTreeMap<(Kind, String), u64>>,
    architectures: Mutex<BTreeMap<String, String>>,
    images: Mutex<BTreeMap<(String, String), u64>>,
    /// Keys by the names that we give them, and what they are called there.
    keys: Mutex<BTreeMap<String, String>>,
}

impl Known {
    /// Takes note of a number.
    pub(super) async fn is(&self, kind: Kind, name: &str, id: u64) {
        self.numbers.lock().await.insert((kind, name.to_string()), id);
    }

    /// Takes note of what a key is called.
    pub(super) async fn key_is(&self, name: &str, called: &str) {
        self.keys.lock().await.insert(name.into(), called.into());
    }

    /// Forgets it: it is gone.
    pub(super) async fn is_gone(&self, kind: Kind, name: &str) {
        self.numbers.lock().await.remove(&(kind, name.to_string()));
    }

    /// Forgets everything: something that was known is not there any more.
    pub(super) async fn is_old(&self) {
        self.numbers.lock().await.clear();
        self.images.lock().await.clear();
        self.keys.lock().await.clear();
    }
}

fn missing(kind: Kind, name: &str) -> ProviderError {
    error(ErrorKind::NotFound, format!("there is no {} {name} in the project", kind.word()))
}

impl Hetzner {
    /// The number of what has this name.
    pub(super) async fn number(&self, kind: Kind, name: &str) -> Result<u64, ProviderError> {
        let mut numbers = self.known.numbers.lock().await;
        if let Some(id) = numbers.get(&(kind, name.to_string())) {
            return Ok(*id);
        }
        let found: Labelled = self.client.named(kind, name).await?.ok_or_else(|| missing(kind, name))?;
        numbers.insert((kind, name.to_string()), found.id);
        Ok(found.id)
    }

    /// What a key is called there, by which it is put on servers: whoever put the same key there may have given it another
    /// name, and what has this name may be another key. Only the key of the file is put on a server.
    pub(super) async fn ssh_key(&self, name: &str) -> Result<String, ProviderError> {
        let mut known = self.known.keys.lock().await;
        if let Some(called) = known.get(name) {
            return Ok(called.clone());
        }
        let own = self.public_half(name)?;
        let keys: Vec<SshKey> = self.client.all(Kind::SshKey, call::list(Kind::SshKey)).await?;
        let same = keys.iter().find(|key| is_same_key(&key.public_key, own));
        let called = match same {
            Some(same) => same.name.clone(),
            None if keys.iter().any(|key| key.name == name) => {
                let message = format!("the SSH key {name} in the project is not the one of the spec's file");
                return Err(error(ErrorKind::Conflict, message).with_help(
                    "ours is replaced by the next plan; another's is to be renamed in the Hetzner Console",
                ));
            }
            None => return Err(missing(Kind::SshKey, name)),
        };
        known.insert(name.into(), called.clone());
        Ok(called)
    }

    /// The key of the spec's file.
    pub(super) fn public_half(&self, name: &str) -> Result<&str, ProviderError> {
        let missing = || error(ErrorKind::Bug, format!("nobody told the public half of SSH key {name}"));
        let key = self.ssh_keys.get(name).ok_or_else(missing)?;
        key.as_deref().map_err(|why| error(ErrorKind::Invalid, format!("SSH key {name}: {why}")))
    }

    /// The number of a certificate. Names that there are help whoever has mistaken one.
    pub(super) async fn certificate(&self, name: &str) -> Result<u64, ProviderError> {
        match self.number(Kind::Certificate, name).await {
            Err(gone) if gone.kind == ErrorKind::NotFound => {
                let all: Vec<Named> = self.client.all(Kind::Certificate, call::list(Kind::Certificate)).await?;
                let names: Vec<String> = all.into_iter().map(|it| it.name).collect();
                let help = match names.is_empty() {
                    true => "there are none; name it in `providers.hetzner.certificates`, and it is made".into(),
                    false => format!("there are: {}", names.join(", ")),
                };
                Err(error(ErrorKind::Invalid, gone.message).with_help(help))
            }
            other => other,
        }
    }

    /// The architecture of a server type, which its images have too.
    async fn architecture(&self, server_type: &str) -> Result<String, ProviderError> {
        let mut known = self.known.architectures.lock().await;
        if let Some(architecture) = known.get(server_type) {
            return Ok(architecture.clone());
        }
        let found: ServerType = self
            .client
            .named(Kind::ServerType, server_type)
            .await?
            .ok_or_else(|| error(ErrorKind::Invalid, format!("there is no server type {server_type}")))?;
        known.insert(server_type.into(), found.architecture.clone());
        Ok(found.architecture)
    }

    /// The number of an image: one of Hetzner's by its name, or the newest snapshot with this description or label.
    pub(super) async fn image(&self, image: &str, server_type: &str) -> Result<u64, ProviderError> {
        if let Ok(id) = image.parse() {
            return Ok(id);
        }
        let architecture = self.architecture(server_type).await?;
        let mut known = self.known.images.lock().await;
        let key = (image.to_string(), architecture);
        if let Some(id) = known.get(&key) {
            return Ok(*id);
        }
        let found = self.find_image(image, &key.1).await?;
        let missing = || error(ErrorKind::Invalid, format!("there is no image {image} for {} ({server_type})", key.1));
        let id = found.ok_or_else(missing)?.id;
        known.insert(key, id);
        Ok(id)
    }

    /// An image for an architecture, if there is one.
    pub(super) async fn find_image(&self, image: &str, architecture: &str) -> Result<Option<Image>, ProviderError> {
        let own: Vec<Image> = self.client.all(Kind::Image, call::images(architecture).named(image)).await?;
        if let Some(own) = own.into_iter().find(|own| own.name.as_deref() == Some(image)) {
            return Ok(Some(own));
        }
        let snapshots = call::snapshots(architecture);
        let by_label = image.contains('=');
        let list = if by_label { snapshots.labelled(image) } else { snapshots };
        let snapshots: Vec<Image> = self.client.all(Kind::Image, list).await?;
        let fits = |it: &Image| it.status == "available" && (by_label || it.description.as_deref() == Some(image));
        Ok(snapshots.into_iter().filter(fits).max_by(|a, b| a.created.cmp(&b.created)))
    }
}

/// Whether two lines hold the same key; what stands behind it is for people.
pub(super) fn is_same_key(one: &str, other: &str) -> bool {
    let parts = |line: &str| line.split_whitespace().take(2).map(String::from).collect::<Vec<_>>();
    parts(one) == parts(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_whatever_people_write_behind_it() {
        assert!(is_same_key("ssh-ed25519 AAAA me@here", "ssh-ed25519 AAAA\n"));
        assert!(!is_same_key("ssh-ed25519 AAAA", "ssh-ed25519 BBBB"));
    }
}
