//! Load balancers at Hetzner, and what else is kept around servers there.

use std::collections::BTreeMap;

use kubewright_model::balancer::BalancerSettings;
use kubewright_model::cloud::{Certificate, CloudBody, CloudId, CloudKind, StrayKind};
use kubewright_model::desired::DesiredLoadBalancer;
use kubewright_model::secret::Secret;
use kubewright_providers::hetzner::{Hetzner, Settings, Uploaded};
use kubewright_providers::{ErrorKind, Provider as _, ProviderError};
use serde_json::json;

use crate::hcloud_driver::{Driver, shown};
use crate::hcloud_hands::{KEY, allow, body, hands, network, owner, quick, resource, server, settings, surround};
use crate::hetzner::Fault;

/// A load balancer as a file says it.
fn balancer(yaml: &str, targets: &[&str]) -> DesiredLoadBalancer {
    let file = format!(
        "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{ name: lab }}\nspec:\n  kubernetes: {{ distribution: k3s, \
         version: v1.33.5+k3s1 }}\n  pools:\n    a: {{ role: both, addresses: [10.0.0.1], existing: {{}} }}\n  loadBalancers:\n    \
         web: {yaml}\n"
    );
    let loaded = kubewright_model::spec::load(&file).unwrap_or_else(|found| panic!("{found:#?}"));
    let spec = loaded.file.spec.load_balancers["web"].clone();
    let selector = spec.by_label.then(|| "kubewright.dev/owner=lab,kubewright.dev/pool in (servers)".to_string());
    DesiredLoadBalancer {
        name: "web".into(),
        provider: "hetzner".into(),
        settings: BalancerSettings::of(&spec, Some("lab"), selector, false),
        spec,
        location: "fsn1".into(),
        targets: targets.iter().map(|name| (*name).into()).collect(),
        addresses: BTreeMap::new(),
    }
}

async fn two_servers(hands: &Hetzner) -> Result<(), ProviderError> {
    surround(hands).await?;
    for (name, address) in [("lab-1", "10.0.0.5"), ("lab-2", "10.0.0.6")] {
        hands.create(&server(name, address, body()), &owner()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_load_balancer_becomes_what_is_wished_and_nothing_else_of_it_is_touched() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    two_servers(&hands).await?;
    let wish = balancer(
        "{ by: hetzner, privateAddress: 10.0.0.100, listen: [{ port: 6443, to: 6443 }, { port: 80, to: 31080, protocol: http, \
         health: { protocol: http, path: /healthz, status: [200] } }] }",
        &["lab-1", "lab-2"],
    );
    let made = hands.set_load_balancer(&wish, &owner()).await?;
    assert_eq!(wish.settings.differing(&made.settings), []);
    assert_eq!(made.private_address, "10.0.0.100".parse().ok());
    assert_eq!(made.targets.keys().map(|it| it.as_str()).collect::<Vec<_>>(), ["lab-1", "lab-2"]);
    assert_eq!(hands.observe(&owner()).await?.load_balancers[&wish.name], made);

    fake.calls();
    hands.set_load_balancer(&wish, &owner()).await?;
    let again = fake.calls();
    assert!(again.keys().all(|call| call.starts_with("GET ")), "nothing differs: {again:?}");

    let id = shown(&fake, "load_balancers").await[0]["id"].as_u64().unwrap();
    let server = shown(&fake, "servers").await.iter().find(|it| it["name"] == "lab-2").unwrap()["id"].to_string();
    for port in [6443, 80] {
        fake.health(id, &server, port, "healthy");
    }
    let seen = hands.observe(&owner()).await?.load_balancers[&wish.name].clone();
    assert_eq!(
        seen.targets.into_iter().map(|(name, well)| (name.to_string(), well)).collect::<Vec<_>>(),
        [("lab-1".to_string(), false), ("lab-2".to_string(), true)]
    );

    let other = balancer(
        "{ by: hetzner, type: lb21, algorithm: leastConnections, public: false, privateAddress: 10.0.0.100, listen: [{ port: \
         6443, to: 6443, proxyProtocol: true }, { port: 443, to: 31443 }] }",
        &["lab-2"],
    );
    let changed = hands.set_load_balancer(&other, &owner()).await?;
    assert_eq!(other.settings.differing(&changed.settings), []);
    assert_eq!(changed.targets.keys().map(|it| it.as_str()).collect::<Vec<_>>(), ["lab-2"]);
    let calls = fake.calls();
    let done: Vec<&str> =
        calls.keys().filter_map(|call| call.strip_prefix("POST /load_balancers/*/actions/")).collect();
    assert_eq!(
        done,
        [
            "add_service",
            "change_algorithm",
            "change_type",
            "delete_service",
            "disable_public_interface",
            "remove_target",
            "update_service"
        ]
    );
    hands.delete_load_balancer(&wish.name, &owner()).await?;
    hands.delete_load_balancer(&wish.name, &owner()).await?;
    assert!(shown(&fake, "load_balancers").await.is_empty());
    Ok(())
}

#[tokio::test]
async fn targets_are_found_by_labels_and_certificates_by_name() -> Result<(), ProviderError> {
    let fake = quick();
    let uploaded = Uploaded { certificate: "PEM".into(), private_key: Secret::new("KEY".into()) };
    let hands = Hetzner::new(Settings { certificates: [("site".into(), Ok(uploaded))].into(), ..settings(&fake) })?;
    two_servers(&hands).await?;
    let wish = balancer(
        "{ by: hetzner, byLabel: true, listen: [{ port: 443, to: 31695, protocol: https, certificate: site }] }",
        &["lab-1", "lab-2"],
    );
    let refused = hands.set_load_balancer(&wish, &owner()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert_eq!(refused.message, "there is no certificate site in the project");
    let managed = resource("other", CloudBody::Certificate(Certificate::Managed(vec!["lab.example".into()])));
    hands.set_resource(&managed, &owner()).await?;
    let refused = hands.set_load_balancer(&wish, &owner()).await.unwrap_err();
    assert_eq!(refused.help.as_deref(), Some("there are: other"));
    let wrong = hands.set_resource(&resource("site", CloudBody::Certificate(Certificate::Uploaded)), &owner()).await;
    if let Err(refused) = wrong {
        // The pretend API reads certificates, and this is none.
        assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
    }
    let wish = balancer(
        "{ by: hetzner, byLabel: true, listen: [{ port: 443, to: 31695, protocol: https, certificate: other }] }",
        &["lab-1", "lab-2"],
    );
    let made = hands.set_load_balancer(&wish, &owner()).await?;
    assert_eq!(wish.settings.differing(&made.settings), []);
    assert_eq!(made.targets.len(), 2, "{made:?}");
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_load_balancer() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    two_servers(&hands).await?;
    let wish = balancer("{ by: hetzner, listen: [{ port: 6443, to: 6443 }] }", &["lab-1"]);
    fake.fault("POST", "/load_balancers", 1, Fault::ActsAndCuts);
    let made = hands.set_load_balancer(&wish, &owner()).await?;
    assert_eq!(wish.settings.differing(&made.settings), []);
    assert_eq!(fake.calls()["POST /load_balancers"], 1);
    let foreign = json!({ "name": "theirs", "load_balancer_type": "lb11", "location": "fsn1" });
    Driver::new(&fake.url).accepted("POST", "/load_balancers", foreign).await;
    let theirs = DesiredLoadBalancer { name: "theirs".into(), ..wish };
    assert_eq!(hands.set_load_balancer(&theirs, &owner()).await.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(hands.delete_load_balancer(&theirs.name, &owner()).await.unwrap_err().kind, ErrorKind::Conflict);
    Ok(())
}

#[tokio::test]
async fn what_is_around_servers_becomes_what_is_wished() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    surround(&hands).await?;
    surround(&hands).await?;
    let wider = resource("lab", network(&["10.0.0.0/24", "10.0.1.0/24"], &[("0.0.0.0/0", "10.0.0.2")]));
    let seen = hands.set_resource(&wider, &owner()).await?;
    assert_eq!(wider.body.differing(&seen.body), []);
    let other = resource("lab", network(&["10.0.0.0/24"], &[("0.0.0.0/0", "10.0.0.3")]));
    let seen = hands.set_resource(&other, &owner()).await?;
    assert_eq!(other.body.differing(&seen.body), [], "the subnet that nobody wishes stays");
    let firewall =
        resource("lab", CloudBody::Firewall(vec![allow(22, &["10.0.0.0/8"]), allow(6443, &["0.0.0.0/0", "::/0"])]));
    let seen = hands.set_resource(&firewall, &owner()).await?;
    assert_eq!(firewall.body.differing(&seen.body), []);
    let inventory = hands.observe(&owner()).await?;
    for wish in [&other, &firewall] {
        let seen = inventory.resources.iter().find(|it| it.id() == wish.id()).unwrap();
        assert_eq!((wish.body.differing(&seen.body), seen.owner.as_ref()), (Vec::new(), Some(&owner())));
    }
    fake.fault("POST", "/placement_groups", 1, Fault::ActsAndCuts);
    hands.set_resource(&resource("more", CloudBody::PlacementGroup), &owner()).await?;
    assert_eq!(shown(&fake, "placement_groups").await.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_there_is_used_whoever_put_it_there() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    let theirs = json!({ "name": "theirs", "public_key": KEY });
    Driver::new(&fake.url).accepted("POST", "/ssh_keys", theirs).await;
    surround(&hands).await?;
    assert_eq!(shown(&fake, "ssh_keys").await.len(), 1);
    hands.create(&server("lab-1", "10.0.0.5", body()), &owner()).await?;
    let seen = hands.observe(&owner()).await?.resources;
    let key = seen.iter().find(|it| it.id() == CloudId::new(CloudKind::SshKey, "lab-key")).unwrap();
    assert_eq!(key.owner, None, "it is not ours to delete");
    let refused = hands.delete_resource(&CloudId::new(CloudKind::SshKey, "theirs"), &owner()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    Ok(())
}

#[tokio::test]
async fn what_the_cluster_made_is_told_and_deleted_when_it_is_asked_for() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    two_servers(&hands).await?;
    let servers = shown(&fake, "servers").await;
    let driver = Driver::new(&fake.url);
    let volume = json!({
        "name": "pvc-1", "size": 10, "server": servers[0]["id"],
        "labels": { "managed-by": "csi-driver", "pvc-namespace": "apps", "pvc-name": "data" },
    });
    driver.accepted("POST", "/volumes", volume).await;
    let somebody = json!({ "name": "pvc-9", "size": 10, "location": "fsn1", "labels": { "managed-by": "csi-driver" } });
    driver.accepted("POST", "/volumes", somebody).await;
    let service = json!({
        "name": "a1b2", "load_balancer_type": "lb11", "location": "fsn1", "labels": { "hcloud-ccm/service-uid": "u-1" },
        "targets": [{ "type": "server", "server": { "id": servers[1]["id"] } }],
    });
    driver.accepted("POST", "/load_balancers", service).await;
    for _ in 0..3 {
        shown(&fake, "volumes").await;
        shown(&fake, "load_balancers").await;
    }
    let inventory = hands.observe(&owner()).await?;
    let told: Vec<String> = inventory.strays.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["load balancer a1b2 (the Service with the UID u-1)", "volume pvc-1 (claim apps/data)"]);
    assert!(inventory.load_balancers.is_empty());
    for stray in &inventory.strays {
        hands.delete_stray(stray, &owner()).await?;
        hands.delete_stray(stray, &owner()).await?;
    }
    assert!(hands.observe(&owner()).await?.strays.is_empty());
    let left = shown(&fake, "volumes").await;
    assert_eq!(left.iter().map(|it| it["name"].as_str().unwrap()).collect::<Vec<_>>(), ["pvc-9"]);
    let gone = &inventory.strays[0];
    assert_eq!(gone.kind, StrayKind::LoadBalancer);
    Ok(())
}
