//! What a cluster does to its clients.

use kubewright_model::ids::Vmid;
use kubewright_model::observed::{Inventory, Power};
use kubewright_providers::proxmox::{Proxmox, Settings};
use kubewright_providers::{ErrorKind, Provider as _, ProviderError};
use serde_json::json;

use crate::fake::Fake;
use crate::life::doomed;
use crate::taught::FORGETS;
use crate::wishes::{container, owner, virtual_machine};

#[tokio::test]
async fn a_lost_answer_makes_no_second_container() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (owner, wish) = (owner(), container("agent-1", 400, "pve1"));
    let hands = fake.hands();
    fake.tell("lose(pve, 'POST', '/nodes/pve1/lxc')");
    let lost = hands.create(&wish, &owner).await.unwrap_err();
    assert_eq!(lost.kind, ErrorKind::Transient, "{lost}");
    // Another program, which knows nothing of the first try, finds what it has made.
    let hands = fake.hands();
    assert_eq!(hands.observe(&owner).await?.machines.len(), 1);
    assert_eq!(hands.create(&wish, &owner).await?.vmid, Some(Vmid(400)));
    assert_eq!(fake.tell("[ct.vmid for ct in pve.cts]"), json!([120, 400]));

    fake.tell("lose(pve, 'DELETE', '/lxc/400')");
    let seen = hands.observe(&owner).await?.machines[&wish.name].clone();
    assert_eq!(hands.delete(doomed(&wish.name, &seen)).await.unwrap_err().kind, ErrorKind::Transient);
    hands.delete(doomed(&wish.name, &seen)).await?;
    assert_eq!(fake.tell("[ct.vmid for ct in pve.cts]"), json!([120]));
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_container_where_the_number_is_proxmox_choice() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (owner, mut wish) = (owner(), container("agent-1", 400, "pve1"));
    wish.vmid = None;
    let hands = fake.hands();
    fake.tell("lose(pve, 'POST', '/nodes/pve1/lxc')");
    assert_eq!(hands.create(&wish, &owner).await.unwrap_err().kind, ErrorKind::Transient);
    assert_eq!(hands.create(&wish, &owner).await?.vmid, Some(Vmid(100)));
    assert_eq!(fake.hands().create(&wish, &owner).await?.vmid, Some(Vmid(100)));
    assert_eq!(fake.tell("[ct.vmid for ct in pve.cts]"), json!([120, 100]));
    Ok(())
}

#[tokio::test]
async fn a_clone_that_was_cut_off_is_ours_and_is_finished() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (owner, wish) = (owner(), virtual_machine("master-1", 1001, "pve1"));
    let hands = fake.hands();
    fake.tell("lose(pve, 'POST', '/qemu/90001/clone')");
    assert_eq!(hands.create(&wish, &owner).await.unwrap_err().kind, ErrorKind::Transient);

    // It carries its mark from the very request on, has none of its sizes, and does not start as its template.
    let hands = fake.hands();
    let seen = hands.observe(&owner).await?.machines[&wish.name].clone();
    assert_eq!(
        (seen.vmid, seen.settings.cores(), seen.settings.memory(), seen.power),
        (Some(Vmid(1001)), None, None, Power::Stopped)
    );
    assert_eq!(hands.start(&wish.name, &owner).await.unwrap_err().kind, ErrorKind::Conflict);

    assert_eq!(hands.update(&wish, &owner).await?.settings.cores(), wish.cores);
    assert_eq!(fake.tell("pve.vm(1001).config['name']"), "master-1");
    assert_eq!(fake.tell("[vm.vmid for vm in pve.vms]"), json!([90001, 121, 1001]));

    // The change that makes it the machine is lost just as well.
    let wish = virtual_machine("master-2", 1002, "pve1");
    fake.tell("lose(pve, 'POST', '/qemu/1002/config')");
    assert_eq!(hands.create(&wish, &owner).await.unwrap_err().kind, ErrorKind::Transient);
    assert_eq!(hands.create(&wish, &owner).await?.settings.cores(), wish.cores);
    assert_eq!(fake.tell("[vm.vmid for vm in pve.vms]"), json!([90001, 121, 1001, 1002]));
    Ok(())
}

#[tokio::test]
async fn what_is_being_made_is_waited_for() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (owner, wish) = (owner(), container("agent-1", 400, "pve1"));
    fake.tell("pve.time_scale = 1.0; pve.ct_secs['create'] = 3; lose(pve, 'POST', '/nodes/pve1/lxc')");
    let hands = fake.hands();
    assert_eq!(hands.create(&wish, &owner).await.unwrap_err().kind, ErrorKind::Transient);
    let busy = hands.create(&wish, &owner).await.unwrap_err();
    assert_eq!(
        (busy.kind, busy.message.as_str()),
        (ErrorKind::Busy, "CT 400 on pve1 is being made: whose it is shows when it is done")
    );
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(hands.create(&wish, &owner).await?.vmid, Some(Vmid(400)));
    Ok(())
}

#[tokio::test]
async fn failures_are_told_apart() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (owner, wish) = (owner(), container("agent-1", 400, "pve1"));
    let hands = fake.hands();
    hands.create(&wish, &owner).await?;
    let mut larger = wish.clone();
    larger.cores = Some(8);
    let cases = [
        ("pve.lose_quorum()", "pve.regain_quorum()", ErrorKind::Transient, "500 cluster not ready - no quorum?"),
        ("pve.snapshot_lock(400, 'backup')", "pve.unlock(400)", ErrorKind::Busy, "500 CT is locked (backup)"),
        (
            "answer = asyncio.ensure_future(pve.hold_config_lock(400, None)) and None",
            "pve.release_config_lock(400)",
            ErrorKind::Busy,
            "500 can't lock file '/run/lock/lxc/pve-config-400.lock' - got timeout",
        ),
        (
            "pve.set_node_offline('pve1')",
            "pve.set_node_offline('pve1', False)",
            ErrorKind::Transient,
            "595 No route to host",
        ),
        (
            "pve.fail('PUT', '/lxc/400/config', 502, '<html><h1>Bad Gateway</h1></html>', html=True)",
            "pve.failures.clear()",
            ErrorKind::Transient,
            "502 Bad Gateway",
        ),
        (
            "pve.fail('PUT', '/lxc/400/config', 400, 'Parameter verification failed.')",
            "pve.failures.clear()",
            ErrorKind::Invalid,
            "400 Parameter verification failed.",
        ),
    ];
    for (fault, remedy, kind, words) in cases {
        fake.tell(fault);
        let failed = hands.update(&larger, &owner).await.unwrap_err();
        assert_eq!((failed.kind, failed.message.as_str()), (kind, words), "{fault}");
        fake.tell(remedy);
    }
    assert_eq!(hands.update(&larger, &owner).await?.settings.cores(), Some(8));
    Ok(())
}

#[tokio::test]
async fn whoever_waits_is_told_of_tasks_and_of_locks() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (owner, wish) = (owner(), container("agent-1", 400, "pve1"));
    fake.tell("pve.time_scale = 1.0; pve.ct_secs['create'] = 3");
    let hands = fake.hands();
    let watching = async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        (hands.doing(&"agent-1".into()).await, hands.doing(&"agent-2".into()).await)
    };
    let (made, (told, of_others)) = tokio::join!(hands.create(&wish, &owner), watching);
    made?;
    assert!(told.len() == 1 && told[0].starts_with("UPID:pve1:") && told[0].contains(":vzcreate:400:"), "{told:?}");
    assert!(of_others.is_empty(), "{of_others:?}");
    assert!(hands.doing(&"agent-1".into()).await.is_empty(), "it has ended");

    hands.is_free(&"agent-1".into(), &owner).await?;
    fake.tell("pve.snapshot_lock(400, 'backup')");
    let busy = hands.is_free(&"agent-1".into(), &owner).await.unwrap_err();
    assert_eq!((busy.kind, busy.message.as_str()), (ErrorKind::Busy, "CT 400 on pve1 is locked (backup)"));
    hands.is_free(&"nobody".into(), &owner).await
}

#[tokio::test]
async fn a_node_that_is_offline_hides_its_machines_and_no_others() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let owner = owner();
    let hands = fake.hands();
    hands.create(&container("agent-1", 400, "pve1"), &owner).await?;
    fake.tell("pve.set_node_offline('pve2')");
    let inventory = hands.observe(&owner).await?;
    assert_eq!(inventory.machines.len(), 1);
    assert!(inventory.taken.iter().any(|taken| taken.vmid == Some(Vmid(120))), "what is there is still in the way");
    let away = hands.create(&container("agent-2", 401, "pve2"), &owner).await.unwrap_err();
    assert_eq!((away.kind, away.message.as_str()), (ErrorKind::Transient, "node pve2 is offline"));
    let nowhere = hands.create(&container("agent-2", 401, "pve9"), &owner).await.unwrap_err();
    assert_eq!((nowhere.kind, nowhere.message.as_str()), (ErrorKind::Invalid, "there is no node pve9"));
    hands.create(&container("agent-3", 402, "pve3"), &owner).await?;
    fake.tell("pve.set_node_offline('pve1')");
    let told = |inventory: &Inventory| -> (Vec<String>, Vec<String>) {
        let unread = inventory.unread.iter().map(|it| format!("{} at {}: {}", it.title(), it.place, it.why()));
        (inventory.machines.keys().map(ToString::to_string).collect(), unread.collect())
    };
    let away = vec!["agent-1 at pve1: its node pve1 is offline".to_string()];
    assert_eq!(told(&hands.observe(&owner).await?), (vec!["agent-3".into()], away));
    fake.tell(FORGETS);
    let away = vec!["VMID 400 at pve1: its node pve1 is offline".to_string()];
    assert_eq!(told(&hands.observe(&owner).await?), (vec!["agent-3".into()], away), "its mark is still known");
    Ok(())
}

#[tokio::test]
async fn a_task_that_fails_shows_the_end_of_its_log() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (owner, wish) = (owner(), container("agent-1", 400, "pve1"));
    let hands = fake.hands();
    // The template goes away behind our back.
    hands.create(&container("agent-0", 399, "pve1"), &owner).await?;
    fake.tell("pve.storages['local']['volumes'].clear(); pve.store_file('local', 'other', 1, content='vztmpl')");
    let failed = hands.create(&wish, &owner).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::NotFound, "{failed}");
    assert!(
        failed.message.contains("volume 'local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst' does not"),
        "{failed}"
    );
    assert!(failed.log.last().is_some_and(|line| line.starts_with("TASK ERROR: ")), "{:?}", failed.log);
    assert_eq!(fake.tell("[ct.vmid for ct in pve.cts]"), json!([120, 399]));

    let wish = container("agent-0", 399, "pve1");
    fake.tell("pve.ct(399).start_error = 'startup for container 399 failed'");
    let failed = hands.start(&wish.name, &owner).await.unwrap_err();
    assert_eq!((failed.kind, failed.message.as_str()), (ErrorKind::Transient, "startup for container 399 failed"));
    assert!(!failed.log.is_empty());
    Ok(())
}

#[tokio::test]
async fn templates_are_checked_before_anything_is_cloned() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (owner, wish) = (owner(), virtual_machine("master-1", 1001, "pve1"));
    let hands = fake.hands();
    fake.tell("pve.vm(90001).config['name'] = 'noble-2'");
    let renamed = hands.create(&wish, &owner).await.unwrap_err();
    assert_eq!(
        (renamed.kind, renamed.message.as_str()),
        (ErrorKind::Conflict, "the template 90001 is named noble-2, not noble")
    );
    fake.tell("c = pve.vm(90001).config; c.update(name='noble', virtio0=c.pop('scsi0'), boot='order=virtio0')");
    let elsewhere = hands.create(&wish, &owner).await.unwrap_err();
    assert_eq!(
        (elsewhere.kind, elsewhere.message.as_str()),
        (ErrorKind::Invalid, "the template 90001 has its disk at virtio0, not at scsi0")
    );
    fake.tell("pve.vm(90001).template = False");
    let machine = hands.create(&wish, &owner).await.unwrap_err();
    assert_eq!((machine.kind, machine.message.as_str()), (ErrorKind::NotFound, "there is no template 90001"));
    assert_eq!(fake.tell("len(pve.vms)"), 2);
    Ok(())
}

/// A guest that is being made is in no pool yet, and whoever sees the pool alone does not see it.
const HIDES: &str = "
from aiohttp import web
import json
pve.pools['lab'], pve.hidden, answer_was = set(), {400}, pve._answer
async def hides(request, *rest):
    said = await answer_was(request, *rest)
    if not request.path.endswith('/cluster/resources') or said.status != 200: return said
    return web.json_response({'data': [it for it in json.loads(said.body)['data'] if it.get('vmid') not in pve.hidden]})
pve._answer = hides
";

#[tokio::test]
async fn a_lost_answer_in_a_pool_is_waited_for() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    fake.tell(HIDES);
    let (owner, wish) = (owner(), container("agent-1", 400, "pve1"));
    for (pool, kind) in [(Some("lab"), ErrorKind::Busy), (None, ErrorKind::Conflict)] {
        let hands = Proxmox::new(Settings { pool: pool.map(String::from), ..fake.settings() })?;
        fake.tell("lose(pve, 'POST', '/nodes/pve1/lxc')");
        assert_eq!(hands.create(&wish, &owner).await.unwrap_err().kind, ErrorKind::Transient);
        assert_eq!(hands.create(&wish, &owner).await.unwrap_err().kind, kind);
        fake.tell("pve.hidden.clear()");
        let made = hands.create(&wish, &owner).await?;
        hands.delete(doomed(&wish.name, &made)).await?;
        fake.tell("pve.hidden.add(400)");
    }
    assert_eq!(fake.tell("[ct.vmid for ct in pve.cts]"), json!([120]));
    Ok(())
}
