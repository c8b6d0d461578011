//! Machines that HA keeps.

use kubewright_model::desired::{Body, DesiredMachine, VmBody};
use kubewright_model::observed::{MachineSeen, Power};
use kubewright_model::setting::Setting;
use kubewright_model::spec::pools::HighAvailability;
use kubewright_providers::{ErrorKind, Provider as _, ProviderError, Wanted};
use serde_json::json;

use crate::fake::Fake;
use crate::life::doomed;
use crate::wishes::{body, container, owner, virtual_machine};

/// The pretend cluster answers for HA and does nothing, and is taught to: groups while it has any, as Proxmox VE 8 has,
/// rules otherwise.
const KEEPS_HA: &str = "
from aiohttp import web
pve.ha, pve.ha_groups, pve.ha_rules, answer_was = {}, ['servers'], {}, pve._answer
def guest(sid):
    kind, vmid = sid.split(':')
    return pve.ct(int(vmid)) if kind == 'ct' else pve.vm(int(vmid))
def no(words): return web.json_response({'data': None, 'message': words}, status=500)
async def keeps(request, *rest):
    said = await answer_was(request, *rest)
    if '/cluster/ha/' not in request.path or said.status != 200: return said
    asked, (what, *name) = dict(await request.post()), request.path.split('/cluster/ha/')[1].split('/')
    if what != 'rules' and not pve.ha_groups and ('group' in asked or what == 'groups'):
        return no('ha groups have been migrated to rules')
    if what == 'groups': return web.json_response({'data': [{'group': group} for group in pve.ha_groups]})
    if what == 'rules' and request.method == 'GET':
        return web.json_response({'data': [{'rule': rule, 'type': 'node-affinity', **told} for rule, told in pve.ha_rules.items()]})
    if what == 'rules':
        strange = [sid for sid in asked['resources'].split(',') if sid not in pve.ha]
        if strange: return no('cannot use unmanaged resource(s) %s.' % ', '.join(strange))
        pve.ha_rules[name[0]].update(resources=asked['resources'])
    elif request.method == 'GET': return web.json_response({'data': list(pve.ha.values())})
    elif request.method == 'POST':
        pve.ha[asked['sid']] = asked
        guest(asked['sid']).ha_state = asked['state']
    elif request.method == 'PUT': pve.ha[name[0]].update(asked)
    elif name[0] not in pve.ha: return no(\"cannot delete service '%s', not HA managed!\" % name[0])
    else:
        guest(name[0]).ha_state = None
        del pve.ha[name[0]]
        for rule, told in list(pve.ha_rules.items()):
            others = [sid for sid in told['resources'].split(',') if sid != name[0]]
            if dict(request.query).get('purge') == '0': continue
            pve.ha_rules[rule]['resources'] = ','.join(others)
            if not others: del pve.ha_rules[rule]
    return said
pve._answer, pve.ha_delay = keeps, 0
";

fn kept(machine: DesiredMachine, group: Option<&str>) -> DesiredMachine {
    DesiredMachine { ha: Some(HighAvailability { group: group.map(String::from) }), ..machine }
}

#[tokio::test]
async fn ha_keeps_a_machine_from_the_first_moment_to_the_last() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    fake.tell(KEEPS_HA);
    let (owner, hands) = (owner(), fake.hands());
    for wish in
        [kept(container("agent-1", 400, "pve1"), Some("servers")), kept(virtual_machine("m-1", 401, "pve1"), None)]
    {
        let made = hands.create(&wish, &owner).await?;
        assert_eq!(made.power, Power::Stopped, "HA does not start what is not complete");
        assert!(made.settings.like(&Setting::Ha(true)).is_some());
        assert_eq!(hands.observe(&owner).await?.machines[&wish.name], made);
    }
    assert_eq!(
        fake.tell("pve.ha"),
        json!({
            "ct:400": { "sid": "ct:400", "state": "stopped", "group": "servers", "comment": "kubewright-lab" },
            "vm:401": { "sid": "vm:401", "state": "stopped", "comment": "kubewright-lab" },
        })
    );
    let wish = kept(virtual_machine("m-1", 401, "pve1"), Some("servers"));
    assert_eq!(hands.start(&wish.name, &owner).await?.power, Power::Running);
    let seen = hands.update(&wish, &owner).await?;
    assert_eq!(seen.settings.like(&Setting::HaGroup(String::new())), Some(&Setting::HaGroup("servers".into())));
    // What is asked of HA is done when its turn comes, and that is waited for.
    fake.tell("pve.vm(401).pending.update(cores='3')");
    hands.shut_down(&wish.name, &owner).await?;
    assert_eq!(hands.observe(&owner).await?.machines[&wish.name].power, Power::Stopped);
    let again = hands.start(&wish.name, &owner).await?;
    assert_eq!((again.power, again.settings.cores()), (Power::Running, Some(3)));
    hands.delete(doomed(&wish.name, &again)).await?;
    assert_eq!(fake.tell("list(pve.ha), [vm.vmid for vm in pve.vms]"), json!([["ct:400"], [90001, 121]]));
    Ok(())
}

#[tokio::test]
async fn ha_lets_go_of_what_we_had_it_keep_and_of_nothing_else() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    fake.tell(KEEPS_HA);
    let (owner, hands) = (owner(), fake.hands());
    for (name, vmid) in [("agent-1", 400), ("agent-2", 401)] {
        hands.create(&kept(container(name, vmid, "pve1"), Some("servers")), &owner).await?;
        hands.start(&name.into(), &owner).await?;
    }
    // A person has taken the second one out of HA, and put it in again.
    fake.tell("pve.ha['ct:401'].pop('comment')");
    let (ours, theirs) = (container("agent-1", 400, "pve1"), container("agent-2", 401, "pve1"));
    let seen = hands.observe(&owner).await?.machines;
    assert_eq!([&ours, &theirs].map(|machine| seen[&machine.name].ha_of_ours), [true, false]);
    let is_kept = |seen: &MachineSeen| seen.settings.like(&Setting::Ha(true)).is_some();
    let seen = hands.update(&ours, &owner).await?;
    assert_eq!((seen.power, is_kept(&seen), seen.ha_of_ours), (Power::Running, false, false), "it runs on");
    assert!(is_kept(&hands.update(&theirs, &owner).await?));
    assert_eq!(fake.tell("list(pve.ha)"), json!(["ct:401"]));
    Ok(())
}

#[tokio::test]
async fn rules_take_the_place_of_groups() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    fake.tell(KEEPS_HA);
    fake.tell("pve.ha_groups = []; pve.ha_rules = {'ha-group-servers': {'resources': 'vm:9,vm:8'}}");
    fake.tell("pve.ha['vm:9'] = {'sid': 'vm:9', 'state': 'started'}");
    let (owner, hands) = (owner(), fake.hands());
    let wish = kept(container("agent-1", 400, "pve1"), Some("servers"));
    let made = hands.create(&wish, &owner).await?;
    assert_eq!(made.settings.like(&Setting::HaGroup(String::new())), Some(&Setting::HaGroup("servers".into())));
    assert_eq!(fake.tell("pve.ha_rules['ha-group-servers']['resources']"), json!("vm:9,ct:400"));
    assert_eq!(hands.observe(&owner).await?.machines[&wish.name], made);
    let elsewhere = kept(container("agent-1", 400, "pve1"), Some("nobody"));
    let refused = hands.update(&elsewhere, &owner).await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.message.as_str()),
        (ErrorKind::NotFound, "HA has no group and no rule of node affinity nobody")
    );
    // The rule is the user's: it stays when the last of its machines goes, and the next one comes under it.
    fake.tell("pve.ha_rules['ha-group-servers']['resources'] = 'ct:400'");
    hands.delete(doomed(&wish.name, &made)).await?;
    assert_eq!(fake.tell("pve.ha_rules"), json!({ "ha-group-servers": { "resources": "ct:400" } }));
    let next = kept(container("agent-2", 401, "pve1"), Some("servers"));
    hands.create(&next, &owner).await?;
    assert_eq!(fake.tell("pve.ha_rules"), json!({ "ha-group-servers": { "resources": "ct:401" } }));
    Ok(())
}

#[tokio::test]
async fn ha_takes_privileges_of_its_own() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    fake.tell("pve.grant('kubewright@pve', '/vms', 'VM.Audit')");
    let hands = fake.hands();
    let (plain, wish) = (container("agent-1", 400, "pve1"), kept(container("agent-1", 400, "pve1"), None));
    for (machine, wanted) in [(&plain, None), (&wish, Some(vec!["Sys.Audit", "Sys.Console"]))] {
        let lacking = hands.lacking(Wanted { machines: &[machine], ..Wanted::default() }).await?;
        let root = lacking.into_iter().find(|lacking| lacking.path == "/");
        assert_eq!(root.map(|lacking| lacking.privileges), wanted);
    }
    hands.observe(&owner()).await.map(drop)
}

#[tokio::test]
async fn an_image_that_one_node_sees_is_no_matter_for_ha() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let machine = kept(virtual_machine("m-1", 401, "pve1"), None);
    let body = VmBody { iso: Some("local".into()), ..body(&machine) };
    let wish = DesiredMachine { body: Body::Vm(body).into(), ..machine };
    let wanted = Wanted { machines: &[&wish], ..Wanted::default() };
    let refusals = fake.hands().preflight(wanted).await?;
    let told: Vec<&str> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
    assert_eq!(told, ["m-1 could not start elsewhere: its image is on local, which only its node sees"]);
    fake.tell("pve.storages['local']['shared'] = 1");
    assert_eq!(fake.hands().preflight(wanted).await?, []);
    Ok(())
}
