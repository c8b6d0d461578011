//! The job that backs machines up, and machines that are started again.

use kubewright_model::desired::{DesiredBackupJob, DesiredMachine};
use kubewright_model::observed::{Power, Seen};
use kubewright_providers::{Provider as _, ProviderError, Wanted};
use serde_json::json;

use crate::fake::Fake;
use crate::taught::KEEPS_JOBS;
use crate::wishes::{container, owner, virtual_machine};

#[tokio::test]
async fn the_job_of_our_machines_is_made_changed_and_deleted_and_no_other() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    fake.tell(KEEPS_JOBS);
    let (owner, hands) = (owner(), fake.hands());
    hands.create(&container("agent-1", 400, "pve1"), &owner).await?;
    hands.create(&virtual_machine("master-1", 1001, "pve1"), &owner).await?;
    assert_eq!(hands.observe(&owner).await?.backups, Some(Seen::Absent));
    let mut job = DesiredBackupJob {
        provider: "proxmox".into(),
        schedule: "2:30".into(),
        storage: "local".into(),
        keep: "keep-last=3".into(),
        machines: vec!["agent-1".into(), "master-1".into()],
    };
    hands.set_backup_job(&job, &owner).await?;
    assert_eq!(fake.tell("pve.jobs['kubewright-lab']['vmid']"), json!("400,1001"));
    let seen = hands.observe(&owner).await?.backups;
    let seen = seen.as_ref().and_then(|seen| seen.present()).unwrap();
    assert_eq!((seen.schedule.as_str(), seen.keep.as_str()), ("2:30", "keep-last=3"));
    assert!(seen.machines.iter().eq(&job.machines));
    job.machines.pop();
    hands.set_backup_job(&job, &owner).await?;
    assert_eq!(
        fake.tell("sorted(pve.jobs), pve.jobs['kubewright-lab']['vmid']"),
        json!([["kubewright-lab", "others"], "400"])
    );
    hands.delete_backup_job(&owner).await?;
    hands.delete_backup_job(&owner).await?;
    assert_eq!(fake.tell("sorted(pve.jobs)"), json!(["others"]));
    Ok(())
}

#[tokio::test]
async fn who_may_not_look_at_jobs_is_told_so_and_sees_the_rest() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    fake.tell("pve.grant('kubewright@pve', '/vms', 'VM.Audit')");
    let hands = fake.hands();
    let inventory = hands.observe(&owner()).await?;
    assert!(inventory.backups.is_some_and(|seen| seen.why_unknown().is_some()));
    let job = DesiredBackupJob {
        provider: "proxmox".into(),
        schedule: "2:30".into(),
        storage: "local".into(),
        keep: "keep-last=3".into(),
        machines: vec!["agent-1".into()],
    };
    let told = hands.preflight(Wanted { backup_job: Some(&job), ..Wanted::default() }).await?;
    let told: Vec<_> = told.iter().map(|refusal| refusal.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "kubewright@pve!main lacks Sys.Audit, Sys.Modify on /",
            "kubewright@pve!main lacks Datastore.Allocate, Datastore.AllocateSpace on /storage/local",
            "kubewright@pve!main lacks VM.Backup on /vms",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn what_waits_for_a_start_is_seen_and_in_force_after_it() -> Result<(), ProviderError> {
    let fake = Fake::start();
    let (owner, hands) = (owner(), fake.hands());
    let wish = virtual_machine("master-1", 1001, "pve1");
    hands.create(&wish, &owner).await?;
    let larger = DesiredMachine { cores: Some(6), ..wish.clone() };
    assert!(!hands.update(&larger, &owner).await?.pending, "what is off waits for nothing");
    assert!(!hands.start(&wish.name, &owner).await?.pending);
    let changed = hands.update(&wish, &owner).await?;
    assert_eq!((changed.settings.cores(), changed.pending, changed.power), (wish.cores, true, Power::Running));
    assert!(hands.observe(&owner).await?.machines[&wish.name].pending);
    hands.shut_down(&wish.name, &owner).await?;
    let again = hands.start(&wish.name, &owner).await?;
    assert_eq!((again.settings.cores(), again.pending, again.power), (wish.cores, false, Power::Running));
    Ok(())
}
