//! The job that backs whole machines up, where a provider keeps such jobs.

use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::desired::DesiredBackupJob;
use kubewright_model::ids::{NodeName, ProviderName, StepId};
use kubewright_model::observed::{BackupJobSeen, Inventory, Observed, Seen};
use kubewright_model::plan::{Action, Stage, Step, Weight};

use super::draft::{Draft, id};
use crate::diff::field;
use crate::diff::machine::inventories;

pub(super) fn plan(draft: &mut Draft<'_>, observed: &Observed) {
    let jobs = &draft.desired.backup_jobs;
    for (provider, inventory) in inventories(observed) {
        let wish = jobs.iter().find(|wish| wish.provider == *provider);
        match (wish, inventory.backups.as_ref()) {
            (Some(wish), Some(Seen::Unknown(why))) => {
                let message = format!("the backup job of {} cannot be looked at: {why}", wish.provider);
                draft.note(Weight::Blocks, Subject::Cluster, message, "allow it, or remove `backup.machines`");
            }
            (Some(wish), Some(seen)) => set(draft, wish, inventory, seen.present()),
            (None, Some(Seen::Present(_))) => delete(draft, provider, Reason::NotInSpec),
            _ => {}
        }
    }
}

/// The job for the machines that are there or are made by this plan. Proxmox takes a machine that is deleted out of its
/// jobs, so one that is made anew is put in again.
fn set(draft: &mut Draft<'_>, wish: &DesiredBackupJob, inventory: &Inventory, seen: Option<&BackupJobSeen>) {
    let made = |name: &NodeName| Some(id("create", name)).filter(|step| draft.has(step));
    let mut needs: Vec<StepId> = wish.machines.iter().filter_map(made).collect();
    let unread = |name: &NodeName| inventory.unread.iter().any(|it| it.name.as_ref() == Some(name));
    let there = |name: &&NodeName| made(name).is_some() || inventory.machines.contains_key(*name) || unread(name);
    let machines: Vec<NodeName> = wish.machines.iter().filter(there).cloned().collect();
    let job = DesiredBackupJob { machines, ..wish.clone() };
    let fields = fields(&job, seen);
    if job.machines.is_empty() || (fields.is_empty() && needs.is_empty()) {
        return;
    }
    if let Some(name) = wish.machines.iter().find(|name| unread(name)) {
        let message = format!("the backup job stays as it is while {name} cannot be read");
        draft.note(Weight::Warns, Subject::Cluster, message, "plan again when its node is back");
        return;
    }
    needs.push(id("no-backups", &job.provider));
    draft.add(Step {
        id: id("backups", &job.provider),
        stage: Stage::Backup,
        subject: Subject::Cluster,
        action: Action::SetBackupJob(Box::new(job)),
        fields,
        reason: if seen.is_some() { Reason::Differs } else { Reason::Missing },
        needs,
        takes: Vec::new(),
        part: String::new(),
    });
}

fn fields(job: &DesiredBackupJob, seen: Option<&BackupJobSeen>) -> Vec<FieldChange> {
    let names = |names: &mut dyn Iterator<Item = &NodeName>| {
        let mut names: Vec<&str> = names.map(NodeName::as_str).collect();
        names.sort_unstable();
        names.join(" ")
    };
    let there = seen.map(|seen| names(&mut seen.machines.iter()));
    [
        field("schedule", seen.map(|seen| &seen.schedule), Some(&job.schedule)),
        field("storage", seen.map(|seen| &seen.storage), Some(&job.storage)),
        field("keep", seen.map(|seen| &seen.keep), Some(&job.keep)),
        field("machines", there.as_ref(), Some(&names(&mut job.machines.iter()))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The job goes; the backups that it has made stay.
pub(super) fn delete(draft: &mut Draft<'_>, provider: &ProviderName, reason: Reason) {
    draft.add(Step {
        id: id("no-backups", provider),
        stage: Stage::Removal,
        subject: Subject::Cluster,
        action: Action::DeleteBackupJob { provider: provider.clone() },
        fields: Vec::new(),
        reason,
        needs: Vec::new(),
        takes: Vec::new(),
        part: String::new(),
    });
}
