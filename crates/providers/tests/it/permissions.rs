//! What we may not do, and the commands that would change that.

use kubewright_providers::proxmox::Lacking;
use kubewright_providers::{ErrorKind, Provider as _, ProviderError, Wanted};

use crate::fake::Fake;
use crate::wishes::{container, owner, virtual_machine};

#[tokio::test]
async fn without_sight_nothing_is_taken_for_empty() {
    let mut fake = Fake::start();
    fake.tell("pve.grant('kubewright@pve', '/storage/local', 'Datastore.Audit')");
    let blind = fake.hands().observe(&owner()).await.unwrap_err();
    assert_eq!(blind.kind, ErrorKind::Denied);
    assert_eq!(blind.message, "kubewright@pve!main sees no guests: it lacks VM.Audit on /vms");
}

#[tokio::test]
async fn what_is_lacking_is_told_and_what_is_told_is_enough() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (owner, hands) = (owner(), fake.hands());
    let wishes = [container("agent-1", 400, "pve1"), virtual_machine("master-1", 1001, "pve1")];
    let machines: Vec<_> = wishes.iter().collect();
    let wanted = Wanted { machines: &machines, ..Wanted::default() };
    assert_eq!(hands.lacking(wanted).await?, []);
    fake.tell("pve.grant('kubewright@pve', '/vms', 'VM.Audit')");
    let lacking = hands.lacking(wanted).await?;
    let paths: Vec<&str> = lacking.iter().map(|lacking| lacking.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/sdn/zones/localnetwork/vmbr0",
            "/sdn/zones/localnetwork/vmbr0/20",
            "/storage/local",
            "/storage/local-lvm",
            "/vms",
            "/vms/90001"
        ]
    );
    assert!(!lacking[4].privileges.contains(&"VM.Audit"), "what is there is not lacking");
    let told = hands.preflight(Wanted { machines: &[&wishes[0]], ..Wanted::default() }).await?;
    assert_eq!(told[0].message, "kubewright@pve!main lacks SDN.Use on /sdn/zones/localnetwork/vmbr0");
    assert!(told[0].help.starts_with("on a Proxmox host: pveum role add KubewrightNetwork --privs \"SDN.Use\""));
    let refused = hands.create(&wishes[0], &owner).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied, "{refused}");

    // What the commands grant is enough for a whole life, and nothing more is granted.
    for Lacking { path, commands, .. } in &lacking {
        let privileges = commands[0].split('"').nth(1).unwrap();
        let list: Vec<String> = privileges.split(' ').map(|privilege| format!("'{privilege}'")).collect();
        fake.tell(&format!("pve.grant('kubewright@pve', '{path}', {})", list.join(", ")));
    }
    assert_eq!(hands.lacking(wanted).await?, []);
    for wish in &wishes {
        hands.create(wish, &owner).await?;
        let started = hands.start(&wish.name, &owner).await?;
        hands.delete(crate::life::doomed(&wish.name, &started)).await?;
    }
    Ok(())
}
