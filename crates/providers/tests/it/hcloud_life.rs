//! Servers at Hetzner from their making to their end.

use kubewright_model::cloud::{CloudId, CloudKind};
use kubewright_model::desired::{DesiredMachine, ServerBody};
use kubewright_model::observed::{MachineSeen, Power};
use kubewright_model::setting::Setting;
use kubewright_providers::hetzner::Hetzner;
use kubewright_providers::{ErrorKind, Provider as _, ProviderError};
use serde_json::{Value, json};

use crate::hcloud_driver::{Driver, shown};
use crate::hcloud_hands::{body, hands, login, owner, quick, server, settings, surround};
use crate::hetzner::{Fake, Fault, Pace};
use crate::life::doomed;

#[tokio::test]
async fn a_server_is_made_found_changed_and_destroyed() -> Result<(), ProviderError> {
    let fake = Fake::start();
    fake.pace(Pace::Polls(1));
    let mut settings = settings(&fake);
    settings.logins.insert("lab-1".into(), login());
    let hands = Hetzner::new(settings)?;
    surround(&hands).await?;
    let wish = ServerBody { placement_group: Some("lab-servers".into()), ..body() };
    let (owner, wish) = (owner(), server("lab-1", "10.0.0.5", wish));

    let made = hands.create(&wish, &owner).await?;
    assert_eq!((made.power, made.place.as_str(), made.address), (Power::Stopped, "fsn1", wish.address));
    assert!(made.public.is_some_and(|public| public.is_ipv4()), "{made:?}");
    let differs: Vec<_> = wish.settings().differing(&made.settings).map(|(it, _)| it.clone()).collect();
    assert_eq!(differs, []);
    assert_eq!(hands.create(&wish, &owner).await?, made, "a second time makes no second one");
    assert_eq!(hands.observe(&owner).await?.machines.get(&wish.name), Some(&made));
    assert_eq!(hands.host_key(&wish.name).as_deref(), Some("ssh-ed25519 BBBB"));

    let there = shown(&fake, "servers").await.remove(0);
    let labels = json!({
        "kubewright.dev/owner": "lab", "kubewright.dev/pool": "servers", "kubewright.dev/address": "10.0.0.5",
        "kubewright.dev/network": there["private_net"][0]["network"].to_string(), "team": "web",
    });
    assert_eq!((&there["labels"], &there["placement_group"]["name"]), (&labels, &json!("lab-servers")));
    assert_eq!(there["public_net"]["firewalls"].as_array().unwrap().len(), 1, "by its label");
    let id = there["id"].as_u64().unwrap();
    let told = fake.with(|state| state.records[&(crate::hetzner::Kind::Server, id)]["_user_data"].clone());
    let told = told.as_str().unwrap().strip_prefix("#cloud-config\n").unwrap();
    let told: Value = serde_json::from_str(told).unwrap();
    assert_eq!(told["ssh_keys"]["ed25519_private"], "the private half");
    assert_eq!((&told["users"][0]["name"], &told["runcmd"]), (&json!("root"), &Value::Null));

    assert_eq!(hands.start(&wish.name, &owner).await?.power, Power::Running);
    assert_eq!(hands.start(&wish.name, &owner).await?.power, Power::Running);
    let changed = DesiredMachine { tags: vec!["team=db".into(), "tier=one".into()], ..wish.clone() };
    let seen = hands.update(&changed, &owner).await?;
    assert_eq!(
        (seen.power, seen.settings.like(&Setting::tags(&[]))),
        (Power::Running, Some(&Setting::tags(&changed.tags)))
    );

    let larger = server("lab-1", "10.0.0.5", ServerBody { server_type: "cx33".into(), ..body() });
    let same = hands.update(&larger, &owner).await?;
    let type_of = |seen: &MachineSeen| seen.settings.like(&Setting::ServerType(String::new())).map(Setting::to_string);
    assert_eq!((same.power, type_of(&same).as_deref()), (Power::Running, Some("cx23")), "it runs");
    hands.shut_down(&wish.name, &owner).await?;
    hands.shut_down(&wish.name, &owner).await?;
    let seen = hands.update(&larger, &owner).await?;
    assert_eq!(type_of(&seen).as_deref(), Some("cx33"));
    assert_eq!(seen.settings.disk(), made.settings.disk(), "so that it may be made smaller again");
    assert_eq!(shown(&fake, "servers").await[0]["placement_group"], Value::Null, "it was off, and no group is wished");

    hands.delete(doomed(&wish.name, &seen)).await?;
    hands.delete(doomed(&wish.name, &seen)).await?;
    assert!(shown(&fake, "servers").await.is_empty() && shown(&fake, "primary_ips").await.is_empty());
    for id in [(CloudKind::Firewall, "lab"), (CloudKind::Network, "lab"), (CloudKind::PlacementGroup, "lab-servers")] {
        hands.delete_resource(&CloudId::new(id.0, id.1), &owner).await?;
        hands.delete_resource(&CloudId::new(id.0, id.1), &owner).await?;
    }
    assert!(shown(&fake, "firewalls").await.is_empty() && shown(&fake, "networks").await.is_empty());
    Ok(())
}

/// It was shut down for the change.
#[tokio::test]
async fn a_server_that_is_refused_its_new_type_runs_again_as_it_was() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let owner = owner();
    let wish = server("lab-1", "10.0.0.5", ServerBody { server_type: "cx33".into(), ..body() });
    hands.create(&wish, &owner).await?;
    hands.start(&wish.name, &owner).await?;
    let becomes = |name: &str| server("lab-1", "10.0.0.5", ServerBody { server_type: name.into(), ..body() });
    for (other, code) in
        [("cx23", "invalid_server_type"), ("cax21", "invalid_server_type"), ("cx43", "resource_unavailable")]
    {
        fake.sold_out("cx43", "fsn1", true);
        hands.shut_down(&wish.name, &owner).await?;
        let refused = hands.update(&becomes(other), &owner).await.unwrap_err();
        assert!(refused.message.contains(code), "{refused}");
        assert!(refused.message.ends_with("; lab-1 was started again as cx33"), "{refused}");
        assert!(!refused.may_pass(), "{refused}");
        let there = hands.observe(&owner).await?.machines[&wish.name].clone();
        assert_eq!(there.power, Power::Running, "{other}");
    }
    hands.shut_down(&wish.name, &owner).await?;
    fake.fault("POST", "/servers/*/actions/change_type", 1, Fault::Code("invalid_server_type"));
    fake.fault("POST", "/servers/*/actions/poweron", 1, Fault::Code("service_error"));
    let off = hands.update(&becomes("ccx13"), &owner).await.unwrap_err();
    assert!(off.message.contains("; lab-1 is off and does not start: "), "{off}");

    // What may pass is tried again, and goes on where it was; but the server is not off for ever.
    fake.fault("POST", "/servers/*/actions/change_type", 7, Fault::Code("service_error"));
    for _ in 0..6 {
        assert!(hands.update(&becomes("ccx13"), &owner).await.unwrap_err().may_pass());
        assert_eq!(hands.observe(&owner).await?.machines[&wish.name].power, Power::Stopped);
    }
    let given_up = hands.update(&becomes("ccx13"), &owner).await.unwrap_err();
    assert_eq!(given_up.kind, ErrorKind::Conflict, "nobody tries again: {given_up}");
    assert!(given_up.message.ends_with("; lab-1 was started again as cx33"), "{given_up}");
    assert_eq!(hands.observe(&owner).await?.machines[&wish.name].power, Power::Running);
    hands.shut_down(&wish.name, &owner).await?;
    fake.fault("POST", "/servers/*/actions/change_type", 1, Fault::Code("locked"));
    assert_eq!(hands.update(&becomes("ccx13"), &owner).await.unwrap_err().kind, ErrorKind::Busy);
    assert_eq!(hands.observe(&owner).await?.machines[&wish.name].power, Power::Stopped);
    let changed = hands.update(&becomes("ccx13"), &owner).await?;
    assert!(changed.settings.iter().any(|it| it.to_string() == "ccx13"), "{changed:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_without_public_addresses_gets_its_way_to_the_world() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let wish = ServerBody { public_ipv4: false, gateway: "10.0.0.1".parse().ok(), protected: true, ..body() };
    let (owner, wish) = (owner(), server("lab-1", "10.0.0.5", wish));
    let made = hands.create(&wish, &owner).await?;
    assert_eq!((made.public, made.address), (None, wish.address));
    assert!(
        !made.protected && made.settings.iter().any(|it| *it == Setting::Protected(true)),
        "ours to lift: {made:?}"
    );
    let id = shown(&fake, "servers").await[0]["id"].as_u64().unwrap();
    let told = fake.with(|state| state.records[&(crate::hetzner::Kind::Server, id)]["_user_data"].clone());
    let told: Value = serde_json::from_str(told.as_str().unwrap().strip_prefix("#cloud-config\n").unwrap()).unwrap();
    let unit = told["write_files"][0]["content"].as_str().unwrap();
    assert!(unit.contains("exec ip route replace default via 10.0.0.1"), "{unit}");
    assert_eq!(told["write_files"][1]["content"], "[Resolve]\nDNS=185.12.64.1 185.12.64.2\n");
    hands.delete(doomed(&wish.name, &made)).await?;
    assert!(shown(&fake, "servers").await.is_empty(), "what we protect we lift from what we delete");
    Ok(())
}

#[tokio::test]
async fn what_somebody_else_protects_is_not_deleted() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let (owner, wish) = (owner(), server("lab-1", "10.0.0.5", body()));
    let made = hands.create(&wish, &owner).await?;
    let id = shown(&fake, "servers").await[0]["id"].as_u64().unwrap();
    let protect = format!("/servers/{id}/actions/change_protection");
    Driver::new(&fake.url).accepted("POST", &protect, json!({ "delete": true, "rebuild": true })).await;
    shown(&fake, "servers").await;
    shown(&fake, "servers").await;
    assert!(hands.observe(&owner).await?.machines[&wish.name].protected);
    let refused = hands.delete(doomed(&wish.name, &made)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied);
    assert_eq!(shown(&fake, "servers").await.len(), 1);
    Ok(())
}

#[tokio::test]
async fn addresses_that_are_kept_come_back_with_the_next_server() -> Result<(), ProviderError> {
    use kubewright_model::cloud::CloudBody;

    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let kept = CloudBody::PrimaryIp { ipv6: false, location: "fsn1".into() };
    hands.set_resource(&crate::hcloud_hands::resource("lab-1-ipv4", kept), &owner()).await?;
    let wish = ServerBody { keeps_addresses: true, ..body() };
    let (owner, wish) = (owner(), server("lab-1", "10.0.0.5", wish));
    let first = hands.create(&wish, &owner).await?;
    hands.delete(doomed(&wish.name, &first)).await?;
    let second = hands.create(&wish, &owner).await?;
    assert!(first.public.is_some() && first.public == second.public, "{first:?} {second:?}");
    Ok(())
}

#[tokio::test]
async fn a_snapshot_is_found_by_its_description_or_its_label() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let first = server("lab-1", "10.0.0.5", body());
    hands.create(&first, &owner()).await?;
    let id = shown(&fake, "servers").await[0]["id"].as_u64().unwrap();
    let keep = json!({ "type": "snapshot", "description": "golden", "labels": { "release": "7" } });
    let kept = Driver::new(&fake.url).accepted("POST", &format!("/servers/{id}/actions/create_image"), keep).await;
    let image = kept["image"]["id"].clone();
    for _ in 0..3 {
        shown(&fake, "images").await;
    }
    for (name, address, wanted) in [("lab-2", "10.0.0.6", "golden"), ("lab-3", "10.0.0.7", "release=7")] {
        let wish = server(name, address, ServerBody { image: wanted.into(), ..body() });
        hands.create(&wish, &owner()).await?;
        let made = shown(&fake, "servers").await;
        assert_eq!(made.iter().find(|it| it["name"] == name).unwrap()["image"]["id"], image);
    }
    let missing = server("lab-4", "10.0.0.8", ServerBody { image: "silver".into(), ..body() });
    let refused = hands.create(&missing, &owner()).await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.message.as_str()),
        (ErrorKind::Invalid, "there is no image silver for x86 (cx23)")
    );
    Ok(())
}
