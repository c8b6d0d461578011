//! Snapshots of guests. Ours carry our mark in their names; those of others are neither shown nor touched.

use kubewright_model::ids::{NodeName, Owner};
use kubewright_model::observed::SNAPSHOT_MARK;
use serde_json::Value;

use super::Proxmox;
use super::call::{Config, Guest};
use super::client::error;
use super::guest::word;
use crate::{ErrorKind, ProviderError, Refusal};

/// A snapshot in a guest's list. It has a state while it is made or deleted.
struct Listed {
    name: String,
    state: Option<String>,
}

impl Proxmox {
    async fn listed(&self, guest: &Guest) -> Result<Vec<Listed>, ProviderError> {
        let list = self.client.send(guest.snapshots()).await?;
        let read = |item: &Value| {
            let name = item["name"].as_str().filter(|name| name.starts_with(SNAPSHOT_MARK))?.to_string();
            Some(Listed { name, state: item["snapstate"].as_str().map(String::from) })
        };
        Ok(list.as_array().into_iter().flatten().filter_map(read).collect())
    }

    /// Ours, oldest first. A guest whose configuration names no parent is based on no snapshot, and is not asked.
    pub(super) async fn snapshots(&self, guest: &Guest, config: &Config) -> Result<Vec<String>, ProviderError> {
        if !config.contains_key("parent") {
            return Ok(Vec::new());
        }
        let mut listed = self.listed(guest).await?;
        // They are numbered, and several may be of the same second.
        listed.sort_by_key(|it| it.name.split('-').nth(1).and_then(|number| number.parse::<u64>().ok()));
        Ok(listed.into_iter().map(|it| it.name).collect())
    }

    /// Takes a snapshot, unless it is there: its answer may have been lost on the way.
    pub(super) async fn snapshot(&self, name: &NodeName, snapshot: &str, owner: &Owner) -> Result<(), ProviderError> {
        marked(snapshot)?;
        let ours = self.ours(name, owner).await?;
        match self.listed(&ours.guest).await?.into_iter().find(|it| it.name == snapshot) {
            Some(Listed { state: None, .. }) => Ok(()),
            Some(Listed { state: Some(state), .. }) => {
                let message = format!("snapshot {snapshot} of {} is not finished (snapstate {state})", ours.guest);
                Err(error(ErrorKind::Busy, message))
            }
            None => {
                let call = ours.guest.snapshot(snapshot, &format!("taken by kubewright for cluster {}", owner.0));
                self.tasks.done(&self.client.send(call).await?).await
            }
        }
    }

    pub(super) async fn drop_snapshots(
        &self,
        name: &NodeName,
        gone: &[String],
        owner: &Owner,
    ) -> Result<(), ProviderError> {
        gone.iter().try_for_each(|snapshot| marked(snapshot))?;
        let ours = self.ours(name, owner).await?;
        let there = self.listed(&ours.guest).await?;
        for snapshot in gone.iter().filter(|name| there.iter().any(|it| it.name == **name)) {
            self.tasks.done(&self.client.send(ours.guest.delete_snapshot(snapshot)).await?).await?;
        }
        Ok(())
    }

    /// The machines whose storages keep no snapshots.
    pub(super) async fn without_snapshots(&self, names: &[&NodeName]) -> Result<Vec<Refusal>, ProviderError> {
        let mut refusals = Vec::new();
        for name in names {
            let Some(guest) = self.known(name) else { continue };
            let told = self.client.send(guest.can("snapshot")).await?;
            if word(&told["hasFeature"]).is_some_and(|can| can != "1") {
                refusals.push(Refusal {
                    message: format!("no snapshot of {name} can be taken: a storage of {guest} keeps none"),
                    help: "have its disks on ZFS, LVM-thin, Ceph, Btrfs or in qcow2 files, or take \
                           `maintenance.snapshots` out of the spec"
                        .into(),
                });
            }
        }
        Ok(refusals)
    }
}

/// Nothing but ours is taken or deleted.
fn marked(snapshot: &str) -> Result<(), ProviderError> {
    let ours = snapshot.starts_with(SNAPSHOT_MARK);
    ours.then_some(()).ok_or_else(|| error(ErrorKind::Invalid, format!("snapshot {snapshot} does not carry our mark")))
}
