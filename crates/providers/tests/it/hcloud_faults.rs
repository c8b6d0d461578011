//! What goes wrong at Hetzner: what is told of it, and what is found out before that.

use std::time::Duration;

use kubewright_model::cloud::{CloudBody, CloudId, CloudKind, ResourceSeen};
use kubewright_model::desired::{Body, DesiredMachine, ServerBody};
use kubewright_model::observed::Power;
use kubewright_model::secret::Secret;
use kubewright_providers::hetzner::{Hetzner, Settings};
use kubewright_providers::{ErrorKind, Provider as _, ProviderError, Wanted};
use serde_json::json;

use crate::hcloud_driver::{Driver, shown};
use crate::hcloud_hands::{KEY, body, hands, owner, quick, resource, server, settings, surround};
use crate::hetzner::{Fake, Fault, Kind, TOKEN};
use crate::life::doomed;

fn wish() -> DesiredMachine {
    server("lab-1", "10.0.0.5", body())
}

#[tokio::test]
async fn a_request_that_was_obeyed_and_whose_answer_was_lost_makes_no_second_server() -> Result<(), ProviderError> {
    for fault in [Fault::ActsAndCuts, Fault::ActsAndIsLate(Duration::from_secs(30))] {
        let fake = quick();
        let hands = Hetzner::new(Settings { deadline: Duration::from_secs(2), ..settings(&fake) })?;
        surround(&hands).await?;
        fake.fault("POST", "/servers", 1, fault);
        let made = hands.create(&wish(), &owner()).await?;
        assert_eq!((made.power, made.address), (Power::Stopped, wish().address));
        assert_eq!(shown(&fake, "servers").await.len(), 1);
        assert_eq!(fake.calls()["POST /servers"], 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_was_not_obeyed_may_be_made_again() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    for fault in
        [Fault::Cut, Fault::Page(502), Fault::Page(504), Fault::Code("service_error"), Fault::Code("maintenance")]
    {
        fake.fault("POST", "/servers", 1, fault.clone());
        let failed = hands.create(&wish(), &owner()).await.unwrap_err();
        assert_eq!(failed.kind, ErrorKind::Transient, "{fault:?}: {failed}");
    }
    assert!(shown(&fake, "servers").await.is_empty());
    hands.create(&wish(), &owner()).await.map(drop)
}

/// Whoever is cut off between making a server and putting it into its network leaves one that any of the next deeds completes.
#[tokio::test]
async fn what_was_cut_off_is_completed() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let (owner, attach) = (owner(), "/servers/*/actions/attach_to_network");
    for deed in ["create", "update", "start"] {
        fake.fault("POST", attach, 1, Fault::Code("conflict"));
        let held = hands.create(&wish(), &owner).await.unwrap_err();
        assert_eq!(held.kind, ErrorKind::Busy, "{held}");
        let half = hands.observe(&owner).await?.machines[&wish().name].clone();
        assert_eq!((half.power, half.address), (Power::Stopped, None), "{deed}");
        let whole = match deed {
            "create" => hands.create(&wish(), &owner).await?,
            "update" => hands.update(&wish(), &owner).await?,
            _ => hands.start(&wish().name, &owner).await?,
        };
        assert_eq!(whole.address, wish().address, "{deed}");
        hands.delete(doomed(&wish().name, &whole)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn codes_are_told_as_they_were_given() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let cases = [
        ("forbidden", "403 forbidden: ", ErrorKind::Denied),
        ("token_readonly", "401 token_readonly: ", ErrorKind::Denied),
        ("resource_limit_exceeded", "403 resource_limit_exceeded: ", ErrorKind::Quota),
        ("placement_error", "placement_error: ", ErrorKind::Quota),
        ("locked", "423 locked: ", ErrorKind::Busy),
        ("conflict", "409 conflict: ", ErrorKind::Busy),
        ("invalid_input", "invalid_input: ", ErrorKind::Invalid),
        ("unsupported_error", "unsupported_error: ", ErrorKind::Invalid),
    ];
    for (code, words, kind) in cases {
        fake.fault("POST", "/servers", 1, Fault::Code(code));
        let refused = hands.create(&wish(), &owner()).await.unwrap_err();
        assert!(refused.message.contains(words), "{code}: {refused}");
        assert_eq!(refused.kind, kind, "{refused}");
        assert!(!refused.message.contains("requests"), "a 403 is never taken for a rate limit: {refused}");
    }
    fake.fault("POST", "/servers", 1, Fault::Code("resource_limit_exceeded"));
    let full = hands.create(&wish(), &owner()).await.unwrap_err();
    assert!(full.help.is_some_and(|help| help.contains("Limits")));
    Ok(())
}

/// The engine tries again what is held, and what may pass.
#[tokio::test]
async fn what_servers_hold_for_a_while_after_they_are_gone_is_held_and_goes_later() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let cases = [
        (CloudKind::Firewall, "lab", "/firewalls/*", "resource_in_use"),
        (CloudKind::Network, "lab", "/networks/*", "resource_in_use"),
        (CloudKind::PlacementGroup, "lab-servers", "/placement_groups/*", "must_be_unassigned"),
    ];
    for (kind, name, path, code) in cases {
        let id = CloudId::new(kind, name);
        fake.fault("DELETE", path, 2, Fault::Code(code));
        for _ in 0..2 {
            let held = hands.delete_resource(&id, &owner()).await.unwrap_err();
            assert_eq!(held.kind, ErrorKind::Busy, "{held}");
            assert!(held.message.contains(code) && held.may_pass(), "{held}");
        }
        hands.delete_resource(&id, &owner()).await?;
    }
    assert!(shown(&fake, "firewalls").await.is_empty() && shown(&fake, "networks").await.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_network_that_is_not_ready_yet_is_tried_again() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    fake.fault("POST", "/servers/*/actions/attach_to_network", 1, Fault::Code("no_subnet_available"));
    let early = hands.create(&wish(), &owner()).await.unwrap_err();
    assert_eq!(early.kind, ErrorKind::Transient, "{early}");
    assert_eq!(hands.create(&wish(), &owner()).await?.address, wish().address);
    assert_eq!(shown(&fake, "servers").await.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_name_that_is_taken_meanwhile_is_looked_at() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let foreign = json!({ "name": "lab-1", "server_type": "cx23", "image": "debian-12", "location": "fsn1" });
    Driver::new(&fake.url).accepted("POST", "/servers", foreign).await;
    let refused = hands.create(&wish(), &owner()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(refused.message, "there is a server lab-1 in the project, and it does not carry our mark");
    assert_eq!(hands.update(&wish(), &owner()).await.unwrap_err().kind, ErrorKind::Conflict);
    let taken = hands.observe(&owner()).await?.taken;
    assert_eq!(taken.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["lab-1"]);

    // Ours, of a request that nobody remembers: the one before was obeyed after it had been given up.
    let second = server("lab-2", "10.0.0.6", body());
    fake.fault("POST", "/servers", 1, Fault::Code("uniqueness_error"));
    assert_eq!(hands.create(&second, &owner()).await.unwrap_err().kind, ErrorKind::Conflict);
    Ok(())
}

#[tokio::test]
async fn a_failed_action_is_told_with_its_code() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    for (code, kind) in [("action_failed", ErrorKind::Transient), ("resource_unavailable", ErrorKind::Quota)] {
        fake.fault("POST", "/servers", 1, Fault::ActionFails(code));
        let failed = hands.create(&wish(), &owner()).await.unwrap_err();
        assert_eq!((failed.kind, failed.message), (kind, format!("create_server failed, {code}: Action failed")));
        fake.with(|state| state.records.retain(|(kind, _), _| *kind != Kind::Server));
    }
    Ok(())
}

#[tokio::test]
async fn what_is_sold_out_is_had_elsewhere_only_where_the_file_says_so() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    fake.sold_out("cx23", "fsn1", true);
    let none = hands.create(&wish(), &owner()).await.unwrap_err();
    assert_eq!(none.kind, ErrorKind::Quota);
    assert!(none.message.ends_with("(tried cx23 at fsn1)"), "{none}");
    fake.sold_out("cx33", "fsn1", true);
    let fallback =
        ServerBody { fallback_types: vec!["cx33".into()], fallback_locations: vec!["nbg1".into()], ..body() };
    let wish = server("lab-1", "10.0.0.5", fallback);
    let made = hands.create(&wish, &owner()).await?;
    assert_eq!(made.place.as_str(), "nbg1");
    let Body::Server(body) = &*wish.body else { panic!("a server") };
    assert!(made.settings.iter().any(|it| it.to_string() == body.server_type));
    let told = hands.doing(&wish.name).await;
    assert_eq!(told, ["there is no cx23 at fsn1 left: it is made as cx23 at nbg1"]);
    Ok(())
}

#[tokio::test]
async fn what_is_not_offered_or_finds_no_place_is_had_elsewhere_too() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    fake.fault("POST", "/servers", 1, Fault::Code("placement_error"));
    // The second is not offered at fsn1.
    let wish = ServerBody { fallback_types: vec!["cpx11".into(), "cx33".into()], ..body() };
    let wish = server("lab-1", "10.0.0.5", wish);
    fake.calls();
    let made = hands.create(&wish, &owner()).await?;
    assert!(made.settings.iter().any(|it| it.to_string() == "cx33"), "{made:?}");
    assert_eq!(fake.calls()["POST /servers"], 3);
    assert_eq!(hands.doing(&wish.name).await, ["there is no cx23 at fsn1 left: it is made as cx33 at fsn1"]);

    let nowhere = server("lab-2", "10.0.0.6", ServerBody { server_type: "cpx11".into(), ..body() });
    let none = hands.create(&nowhere, &owner()).await.unwrap_err();
    assert_eq!(none.kind, ErrorKind::Invalid);
    assert!(none.message.ends_with("unsupported location for server type (tried cpx11 at fsn1)"), "{none}");
    // Whatever else is wrong with a request is wrong elsewhere too.
    fake.fault("POST", "/servers", 1, Fault::Code("invalid_input"));
    assert_eq!(hands.create(&wish_of("lab-3"), &owner()).await.unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(shown(&fake, "servers").await.len(), 1);
    Ok(())
}

fn wish_of(name: &str) -> DesiredMachine {
    server(name, "10.0.0.7", ServerBody { fallback_types: vec!["cx33".into()], ..body() })
}

#[tokio::test]
async fn what_was_seen_to_be_sold_out_is_not_asked_for() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    let wish = wish_of("lab-1");
    fake.sold_out("cx23", "fsn1", true);
    assert_eq!(hands.preflight(Wanted { machines: &[&wish], ..Wanted::default() }).await?, []);
    fake.calls();
    hands.create(&wish, &owner()).await?;
    assert_eq!(fake.calls()["POST /servers"], 1);
    assert_eq!(hands.doing(&wish.name).await, ["there is no cx23 at fsn1 left: it is made as cx33 at fsn1"]);

    // Where nothing is left, there may be some again.
    let only = server("lab-2", "10.0.0.8", body());
    assert_eq!(hands.preflight(Wanted { machines: &[&only], ..Wanted::default() }).await?.len(), 1);
    fake.sold_out("cx23", "fsn1", false);
    hands.create(&only, &owner()).await.map(drop)
}

#[tokio::test]
async fn who_has_used_up_his_requests_waits_and_asks_nobody() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    fake.budget(12);
    let mut refused = None;
    for _ in 0..3 {
        refused = hands.observe(&owner()).await.err().or(refused);
    }
    let refused = refused.unwrap();
    assert_eq!(refused.kind, ErrorKind::Busy, "{refused}");
    assert!(refused.message.contains("min"), "it says when: {refused}");
    // What was on its way when the look was given up may still come.
    while !fake.calls().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let again = hands.observe(&owner()).await.unwrap_err();
    assert!(again.message.contains("has used up its 12 requests an hour"), "{again}");
    assert!(fake.calls().is_empty(), "nothing was asked");

    let other = Fake::start();
    let hands = crate::hcloud_hands::hands(&other);
    other.fault("GET", "/servers", 1, Fault::Code("rate_limit_exceeded"));
    let refused = hands.start(&wish().name, &owner()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Busy);
    assert!(refused.message.starts_with("429 rate_limit_exceeded: "), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_obey_is_turned_off_and_what_holds_one_is_waited_for() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    hands.create(&wish(), &owner()).await?;
    fake.fault("POST", "/servers/*/actions/poweron", 1, Fault::ActionNeverEnds);
    let starting = tokio::time::timeout(Duration::from_secs(3), hands.start(&wish().name, &owner())).await;
    assert!(starting.is_err(), "it never ends");
    let held = hands.is_free(&wish().name, &owner()).await.unwrap_err();
    assert_eq!((held.kind, held.message.as_str()), (ErrorKind::Busy, "lab-1 is locked by an action"));
    Ok(())
}

#[tokio::test]
async fn no_token_is_in_any_text() -> Result<(), ProviderError> {
    let fake = quick();
    let wrong = Settings { token: Secret::new("a-wrong-token-of-the-tests".into()), ..settings(&fake) };
    assert!(!format!("{wrong:?}").contains("a-wrong-token"));
    let hands = Hetzner::new(wrong)?;
    assert!(!format!("{hands:?}").contains("a-wrong-token"));
    let refused = hands.observe(&owner()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied);
    assert!(refused.message.ends_with("the token is at env HCLOUD_TOKEN"), "{refused}");
    let texts = format!("{refused} {refused:?}");
    assert!(texts.contains("401 unauthorized") && !texts.contains("a-wrong-token"), "{texts}");
    let nobody = Settings { address: Some("http://127.0.0.1:9/v1".into()), ..settings(&fake) };
    let silent = Hetzner::new(nobody)?.observe(&owner()).await.unwrap_err();
    assert_eq!(silent.kind, ErrorKind::Unanswered);
    assert!(!format!("{silent:?}").contains(TOKEN));
    let open = Settings { address: Some("http://api.hetzner.cloud/v1".into()), ..settings(&fake) };
    assert_eq!(Hetzner::new(open).unwrap_err().kind, ErrorKind::Invalid);
    Ok(())
}

/// A spec's file may hold another key than it did.
#[tokio::test]
async fn no_other_key_than_that_of_the_file_is_put_on_a_server() -> Result<(), ProviderError> {
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJlZm9yZSBpdCB3YXMgYW5vdGhlciBrZXkgYWx0b2dl lab@before";
    let fake = quick();
    let before = [("lab-key".to_string(), Ok(OTHER.to_string()))].into();
    surround(&Hetzner::new(Settings { ssh_keys: before, ..settings(&fake) })?).await?;
    let hands = hands(&fake);
    let is_key = |seen: &ResourceSeen| seen.name == "lab-key";
    assert!(!hands.observe(&owner()).await?.resources.iter().any(is_key), "it is another one");
    let refused = hands.create(&wish(), &owner()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(refused.message, "the SSH key lab-key in the project is not the one of the spec's file");
    assert!(shown(&fake, "servers").await.is_empty());

    hands.set_resource(&resource("lab-key", CloudBody::SshKey), &owner()).await?;
    let keys = shown(&fake, "ssh_keys").await;
    assert_eq!((keys.len(), &keys[0]["public_key"]), (1, &json!(KEY)), "ours is replaced");
    assert!(hands.observe(&owner()).await?.resources.iter().any(is_key));
    hands.create(&wish(), &owner()).await?;

    // Somebody else's key of this name is left alone, and put on no server.
    let driver = Driver::new(&fake.url);
    driver.accepted("DELETE", &format!("/ssh_keys/{}", keys[0]["id"]), json!(null)).await;
    driver.accepted("POST", "/ssh_keys", json!({ "name": "lab-key", "public_key": OTHER })).await;
    let hands = crate::hcloud_hands::hands(&fake);
    let refused = hands.set_resource(&resource("lab-key", CloudBody::SshKey), &owner()).await.unwrap_err();
    assert_eq!(refused.message, "there is a SSH key lab-key in the project, and it does not carry our mark");
    let second = server("lab-2", "10.0.0.6", body());
    assert_eq!(hands.create(&second, &owner()).await.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(shown(&fake, "ssh_keys").await[0]["public_key"], OTHER);
    Ok(())
}
