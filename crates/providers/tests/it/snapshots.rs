//! Snapshots of machines, taken and deleted, and where none can be taken.

use kubewright_model::desired::DesiredMachine;
use kubewright_model::ids::NodeName;
use kubewright_providers::{ErrorKind, Provider as _, ProviderError, Wanted};
use serde_json::json;

use crate::fake::Fake;
use crate::life::doomed;
use crate::taught::SNAPSHOTS_BY_STORAGE;
use crate::wishes::{container, owner, virtual_machine};

fn wishes() -> [DesiredMachine; 2] {
    [container("agent-1", 400, "pve1"), virtual_machine("master-1", 1001, "pve1")]
}

#[tokio::test]
async fn ours_are_taken_once_shown_and_deleted_and_those_of_others_are_left_alone() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (owner, hands) = (owner(), fake.hands());
    for wish in &wishes() {
        let (name, vmid) = (&wish.name, wish.vmid.unwrap());
        hands.create(wish, &owner).await?;
        hands.start(name, &owner).await?;
        assert!(hands.observe(&owner).await?.snapshots.is_empty());
        let kind = if vmid.0 == 400 { "lxc" } else { "qemu" };
        fake.tell(&format!("lose(pve, 'POST', '/{kind}/{vmid}/snapshot')"));
        let lost = hands.take_snapshot(name, "kubewright-2-first", &owner).await.unwrap_err();
        assert_eq!(lost.kind, ErrorKind::Transient, "{lost}");
        for snapshot in ["kubewright-2-first", "kubewright-10-second"] {
            hands.take_snapshot(name, snapshot, &owner).await?;
        }
        // Without memory, and with whose it is.
        let asked = format!(
            "[r[2].decode() for r in pve.requests if r[:2] == ('POST', '/api2/json/nodes/pve1/{kind}/{vmid}/snapshot')]"
        );
        let asked = fake.tell(&asked);
        assert_eq!(asked.as_array().unwrap().len(), 2, "{asked}");
        assert!(
            asked[0].as_str().unwrap().contains("cluster+lab") && !asked.to_string().contains("vmstate"),
            "{asked}"
        );
        fake.tell(&format!(
            "pve.guest({vmid}).snapshots['theirs'] = {{'snaptime': 1, 'parent': 'kubewright-10-second'}}"
        ));
        fake.tell(&format!("pve.guest({vmid}).config['parent'] = 'theirs'"));
        let shown = hands.observe(&owner).await?.snapshots;
        assert_eq!(shown[name], ["kubewright-2-first", "kubewright-10-second"]);

        let refused = hands.delete_snapshots(name, &["theirs".into()], &owner).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid);
        fake.tell(&format!("lose(pve, 'DELETE', '/{kind}/{vmid}/snapshot/kubewright-2-first')"));
        let gone = ["kubewright-2-first".to_string(), "kubewright-10-second".into()];
        assert_eq!(hands.delete_snapshots(name, &gone, &owner).await.unwrap_err().kind, ErrorKind::Transient);
        hands.delete_snapshots(name, &gone, &owner).await?;
        assert_eq!(fake.tell(&format!("list(pve.guest({vmid}).snapshots)")), json!(["theirs"]));
        assert!(hands.observe(&owner).await?.snapshots.is_empty());
    }
    // What is deleted goes with every snapshot that it has.
    for (name, seen) in &hands.observe(&owner).await?.machines {
        hands.take_snapshot(name, "kubewright-11-last", &owner).await?;
        hands.delete(doomed(name, seen)).await?;
    }
    assert_eq!(fake.tell("sorted(g.vmid for g in pve.cts + pve.vms)"), json!([120, 121, 90001]));
    Ok(())
}

#[tokio::test]
async fn a_storage_that_keeps_none_and_a_privilege_that_is_lacking_are_told_before() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    fake.tell(SNAPSHOTS_BY_STORAGE);
    let (owner, hands, wishes) = (owner(), fake.hands(), wishes());
    for wish in &wishes {
        hands.create(wish, &owner).await?;
    }
    let names: Vec<&NodeName> = wishes.iter().map(|wish| &wish.name).collect();
    let wanted = Wanted { snapshots: &names, ..Wanted::default() };
    assert_eq!(hands.preflight(wanted).await?, []);
    fake.tell("pve.storages['local-lvm']['type'] = 'lvm'");
    let told: Vec<String> = hands.preflight(wanted).await?.into_iter().map(|refusal| refusal.message).collect();
    assert_eq!(
        told,
        [
            "no snapshot of agent-1 can be taken: a storage of CT 400 on pve1 keeps none",
            "no snapshot of master-1 can be taken: a storage of VM 1001 on pve1 keeps none",
        ]
    );
    fake.tell("pve.grant('kubewright@pve', '/vms', 'VM.Audit')");
    let told = hands.preflight(wanted).await?;
    assert_eq!(told[0].message, "kubewright@pve!main lacks VM.Snapshot on /vms");
    fake.tell("pve.grant('kubewright@pve', '/vms', 'VM.Snapshot')");
    hands.take_snapshot(names[0], "kubewright-1-allowed", &owner).await.unwrap_err();
    fake.tell("pve.storages['local-lvm']['type'] = 'lvmthin'");
    hands.take_snapshot(names[0], "kubewright-1-allowed", &owner).await
}
