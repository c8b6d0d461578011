//! Vault through a real API server's proxy: it stands in no pod here, and the API server is told that it does.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use kubewright_engine::cluster::ClusterApi;
use kubewright_engine::store::Store as _;
use kubewright_model::condition::Condition;
use kubewright_model::vault::{DesiredVault, ROOT_TOKEN, UNSEAL_KEYS};
use serde_json::json;

use super::conditions::check;
use super::{Quiet, furnished, hands};
use crate::lab::skipped;
use crate::plane::{Plane, assets};
use crate::vault::{bao, servers, wish};

/// The address of this computer by which others would reach it: an API server goes to no loopback address.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// As a run does it: what may pass is tried again. Right after it was unsealed, Vault may answer and not lead yet.
async fn set_up(hands: &impl ClusterApi, wish: &DesiredVault) -> bool {
    for _ in 0..10 {
        match hands.configure_vault(wish, &|said| println!("{said}")).await {
            Err(error) if error.may_pass() => println!("{error}"),
            ended => return ended.unwrap(),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    panic!("it never led");
}

#[tokio::test]
async fn vault_is_reached_through_the_api() {
    let (Some(assets), Some(program)) = (assets(&[]), bao()) else { return };
    let Some(address) = own_address() else { return skipped("this computer has no address but the loopback's") };
    let plane = Plane::start(assets);
    let mut desired = furnished(&plane);
    let folder = tempfile::tempdir().unwrap();
    let wish = DesiredVault { roles: Default::default(), ..wish(1) };
    desired.vault = Some(wish.clone());
    let (hands, store) = hands(&desired, Some(&plane.kubeconfig), Quiet::default(), folder.path());
    let open = || Condition::Vault(Box::new(wish.clone()));

    plane.create(&[json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "vault" } })]);
    let missing = check(&hands, open()).await;
    assert!(!missing.holds && missing.saw.contains("pods \"vault-0\" not found"), "{missing:?}");
    let container = json!({ "name": "vault", "image": "vault:1", "ports": [{ "containerPort": 8200 }] });
    plane
        .create(&[json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "vault-0", "namespace": "vault" },
        "spec": { "containers": [container] } })]);
    let address = address.to_string();
    let status = json!({ "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }] });
    plane.status(&["pod", "vault-0", "-n", "vault"], &status);
    let running = servers(&program, folder.path(), &address, &[8200]);

    assert!(set_up(&hands, &wish).await);
    assert!(!set_up(&hands, &wish).await);
    for name in [UNSEAL_KEYS, ROOT_TOKEN] {
        assert!(store.secret(&desired.cluster, name).unwrap().is_some(), "{name} is kept");
    }
    let said = check(&hands, open()).await;
    assert!(said.holds && said.saw == "1 of 1 servers of Vault are unsealed", "{said:?}");
    drop(running);
    let said = check(&hands, open()).await;
    assert!(!said.holds && said.saw.contains("vault-0 does not answer"), "{said:?}");
}
