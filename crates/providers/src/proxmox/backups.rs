//! The job that backs our machines up. It carries our mark as its id, so it is found and nobody else's is touched.

use std::collections::BTreeMap;

use kubewright_model::desired::DesiredBackupJob;
use kubewright_model::ids::{NodeName, Owner, Vmid};
use kubewright_model::observed::{BackupJobSeen, Inventory, Seen};
use serde_json::Value;

use super::call::{self, Config};
use super::{Proxmox, guest};
use crate::{ErrorKind, ProviderError};

impl Proxmox {
    /// The job with our mark. Who may not look at jobs has certainly made none, and cannot tell.
    pub(super) async fn backup_job(
        &self,
        owner: &Owner,
        inventory: &Inventory,
    ) -> Result<Seen<BackupJobSeen>, ProviderError> {
        let listed = match self.client.send(call::backup_jobs()).await {
            Err(denied) if denied.kind == ErrorKind::Denied => return Ok(Seen::unknown(denied.message)),
            listed => listed?,
        };
        let job = listed.as_array().into_iter().flatten().find(|job| job["id"] == owner.tag());
        Ok(job.map_or(Seen::Absent, |job| Seen::Present(read(job, inventory))))
    }

    pub(super) async fn keep_backup_job(&self, job: &DesiredBackupJob, owner: &Owner) -> Result<(), ProviderError> {
        let mut vmids = Vec::new();
        for name in &job.machines {
            vmids.push(self.ours(name, owner).await?.guest.vmid);
        }
        let (id, config) = (owner.tag(), settings(job, &vmids));
        let made = self.client.send(call::change_backup_job(&id, &config)).await;
        match made {
            // Proxmox says so of a job that is not there, with one status or another.
            Err(gone) if gone.kind == ErrorKind::NotFound || gone.message.contains("No such") => {
                self.client.send(call::create_backup_job(&id, &config)).await.map(drop)
            }
            made => made.map(drop),
        }
    }

    pub(super) async fn drop_backup_job(&self, owner: &Owner) -> Result<(), ProviderError> {
        // Proxmox deletes a job by itself when its last guest goes, and then refuses to delete it once more.
        if self.backup_job(owner, &Inventory::default()).await? == Seen::Absent {
            return Ok(());
        }
        self.client.send(call::delete_backup_job(&owner.tag())).await.map(drop)
    }
}

/// A job in Proxmox' words. From a snapshot, for which a guest agent holds the file systems still, nothing is stopped.
pub(super) fn settings(job: &DesiredBackupJob, vmids: &[Vmid]) -> Config {
    let vmids: Vec<String> = vmids.iter().map(ToString::to_string).collect();
    let settings = [
        ("schedule", job.schedule.clone()),
        ("storage", job.storage.clone()),
        ("prune-backups", job.keep.clone()),
        ("vmid", vmids.join(",")),
        ("mode", "snapshot".into()),
        ("compress", "zstd".into()),
        ("enabled", "1".into()),
        ("notes-template", "{{guestname}}".into()),
    ];
    settings.map(|(name, value)| (name.to_string(), value)).into()
}

fn read(job: &Value, inventory: &Inventory) -> BackupJobSeen {
    let word = |name: &str| guest::word(&job[name]).unwrap_or_default();
    let machines = inventory.machines.iter().map(|(name, seen)| (name, seen.vmid));
    let unread = inventory.unread.iter().filter_map(|it| Some((it.name.as_ref()?, it.vmid)));
    let names: BTreeMap<String, &NodeName> =
        machines.chain(unread).filter_map(|(name, vmid)| Some((vmid?.to_string(), name))).collect();
    let named = |vmid: &str| names.get(vmid).map_or_else(|| NodeName::new(vmid), |name| (*name).clone());
    let vmids = word("vmid");
    // One that somebody has switched off does not run at its hours.
    let asleep = job.get("enabled").and_then(guest::word).is_some_and(|on| on == "0");
    BackupJobSeen {
        schedule: if asleep { "never: it is switched off".into() } else { word("schedule") },
        storage: word("storage"),
        keep: keep(&job["prune-backups"]),
        machines: vmids.split(',').filter(|vmid| !vmid.is_empty()).map(named).collect(),
    }
}

/// What is kept, in one order: the API tells it as text or as a mapping.
fn keep(told: &Value) -> String {
    let mut parts: Vec<String> = match told {
        Value::Object(parts) => {
            parts.iter().filter_map(|(name, value)| Some(format!("{name}={}", guest::word(value)?))).collect()
        }
        other => guest::word(other).unwrap_or_default().split(',').map(String::from).collect(),
    };
    parts.retain(|part| !part.is_empty());
    parts.sort();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_job_is_read_in_either_form() {
        let as_text = json!({"id": "kubewright-lab", "schedule": "2:30", "storage": "local", "vmid": "400,7",
            "prune-backups": "keep-last=3,keep-daily=7"});
        let mut as_mapping = as_text.clone();
        as_mapping["prune-backups"] = json!({"keep-last": "3", "keep-daily": 7});
        let seen = read(&as_text, &Inventory::default());
        assert_eq!(seen, read(&as_mapping, &Inventory::default()));
        assert_eq!((seen.keep.as_str(), seen.schedule.as_str()), ("keep-daily=7,keep-last=3", "2:30"));
        assert_eq!(seen.machines, ["400".into(), "7".into()].into());
        as_mapping["enabled"] = json!(0);
        assert_ne!(read(&as_mapping, &Inventory::default()).schedule, "2:30");
    }
}
