//! Files on storages that machines are made from, and those that we put there ourselves.

use std::collections::BTreeSet;

use kubewright_model::desired::LxcBody;
use serde_json::Value;
use tokio::sync::Mutex;

use super::client::error;
use super::{Proxmox, call};
use crate::{ErrorKind, ProviderError};

/// Files that are known to be on a storage, by node and volume. Whoever looks holds it, so that nobody gets a file twice.
pub(super) type Known = Mutex<BTreeSet<(String, String)>>;

impl Proxmox {
    /// Whether a storage has a file, as a node sees it.
    async fn has(&self, node: &str, volume: &str) -> Result<bool, ProviderError> {
        let (storage, rest) = volume.split_once(':').unwrap_or((volume, ""));
        let kind = rest.split('/').next().unwrap_or_default();
        let list = self.client.send(call::contents(node, storage, kind)).await?;
        Ok(list.as_array().into_iter().flatten().any(|item| item["volid"] == volume))
    }

    /// Has a container template on its storage: what is not there is got from where the spec says, or from where Proxmox
    /// itself gets it. It compares the checksum in either case.
    pub(super) async fn have_template(&self, node: &str, lxc: &LxcBody) -> Result<(), ProviderError> {
        let volume = lxc.template.as_str();
        let mut known = self.images.lock().await;
        let here = (node.to_string(), volume.to_string());
        if known.contains(&here) {
            return Ok(());
        }
        if !self.has(node, volume).await? {
            let (storage, file) = volume.split_once(":vztmpl/").unwrap_or((volume, ""));
            let get = match &lxc.download {
                Some(from) => call::download_template(node, storage, file, &from.url, &from.sha256),
                None => self.offered(node, volume, storage, file).await?,
            };
            self.tasks.done(&self.client.send(get).await?).await?;
        }
        known.insert(here);
        Ok(())
    }

    /// How a template comes from Proxmox' own list, if it is there.
    async fn offered(&self, node: &str, volume: &str, storage: &str, file: &str) -> Result<call::Call, ProviderError> {
        let offered = self.client.send(call::appliances(node)).await?;
        let mut offered = offered.as_array().into_iter().flatten().filter_map(|item| item["template"].as_str());
        if offered.any(|template| template == file) {
            return Ok(call::get_appliance(node, storage, file));
        }
        let message = format!(
            "there is no template {volume} on {node}, and Proxmox' own list has none of that name: \
             `pveam update` renews the list, and `pveam available` shows it"
        );
        Err(error(ErrorKind::NotFound, message))
    }

    /// Whether a container template has to be got first, which takes a privilege of its own.
    pub(super) async fn lacks_template(&self, node: &str, volume: &str) -> Result<bool, ProviderError> {
        Ok(!self.has(node, volume).await?)
    }

    /// Puts an ISO file of ours on a storage.
    pub(super) async fn put_iso(&self, node: &str, storage: &str, file: call::File) -> Result<(), ProviderError> {
        let put: Value = self.client.send(call::upload_iso(node, storage, file)).await?;
        self.tasks.done(&put).await
    }

    /// Takes a file of ours from its storage. One that is gone is no error.
    pub(super) async fn drop_file(&self, node: &str, volume: &str) -> Result<(), ProviderError> {
        let dropped =
            async { self.tasks.done(&self.client.send(call::delete_volume(node, volume)).await?).await }.await;
        dropped.or_else(|gone| if gone.kind == ErrorKind::NotFound { Ok(()) } else { Err(gone) })
    }
}
