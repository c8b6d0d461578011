//! What we may not do, and the commands that would change that.

use kubewright_model::desired::DesiredBackupJob;
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
    // One question that nobody answers hides nothing of the others.
    fake.tell("pve.grant('kubewright@pve', '/storage/local', 'Datastore.Audit')");
    fake.tell("pve.fail('GET', '/storage/local/content', 595, 'No route to host')");
    assert_eq!(hands.lacking(wanted).await?.len(), 5);
    fake.tell("pve.failures.clear()");
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

/// The paths on which something is lacking.
async fn lacking_at(fake: &Fake, wanted: Wanted<'_>) -> Result<Vec<String>, ProviderError> {
    Ok(fake.hands().lacking(wanted).await?.into_iter().map(|lacking| lacking.path).collect())
}

#[tokio::test]
async fn a_clone_takes_what_its_template_has() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    fake.tell("pve.grant('kubewright@pve', '/vms', 'VM.Audit')");
    let network = |number: &str| format!("/sdn/zones/localnetwork/{number}");
    let (here, there) = (virtual_machine("master-1", 1001, "pve1"), virtual_machine("master-2", 1002, "pve2"));
    fake.tell("pve.vm(90001).config['net1'] = 'virtio=BC:24:11:00:00:09,bridge=vmbr7,tag=9'");
    let paths = lacking_at(&fake, Wanted { machines: &[&here], ..Wanted::default() }).await?;
    let networks = paths.iter().filter(|path| path.starts_with("/sdn/")).collect::<Vec<_>>();
    assert_eq!(networks, [&network("vmbr0"), &network("vmbr0/20"), &network("vmbr7/9")]);
    for (machine, moves) in [(&here, false), (&there, true)] {
        let lacking = fake.hands().lacking(Wanted { machines: &[machine], ..Wanted::default() }).await?;
        let guests = lacking.iter().find(|lacking| lacking.path == "/vms").unwrap();
        assert_eq!(guests.privileges.contains(&"VM.Migrate"), moves, "{}", machine.place);
    }
    Ok(())
}

#[tokio::test]
async fn each_use_of_a_storage_has_a_role_of_its_own() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    fake.tell("pve.grant('kubewright@pve', '/vms', 'VM.Audit')");
    let job = DesiredBackupJob {
        provider: "proxmox".into(),
        schedule: "2:30".into(),
        storage: "local".into(),
        keep: "keep-last=3".into(),
        machines: Vec::new(),
    };
    let wish = virtual_machine("master-1", 1001, "pve1");
    let wanted = Wanted { machines: &[&wish], backup_job: Some(&job), ..Wanted::default() };
    let lacking = fake.hands().lacking(wanted).await?;
    let at = |path: &str| lacking.iter().find(|lacking| lacking.path == path).unwrap();
    assert_eq!(at("/storage/local").privileges, ["Datastore.Allocate", "Datastore.AllocateSpace"]);
    assert!(at("/storage/local").commands[0].starts_with("pveum role add KubewrightDisksBackups --privs"));
    assert_eq!(at("/storage/local-lvm").privileges, ["Datastore.AllocateSpace", "Datastore.Audit"]);
    assert!(at("/storage/local-lvm").commands[0].starts_with("pveum role add KubewrightDisks --privs"));
    assert!(at("/").commands[1].ends_with(" --propagate 0"), "{:?}", at("/"));
    Ok(())
}
