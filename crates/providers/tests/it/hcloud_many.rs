//! How many requests there are: a project has 3600 an hour.

use kubewright_providers::{Provider as _, ProviderError};
use serde_json::json;

use crate::hcloud_hands::{body, hands, owner, server, surround};
use crate::hetzner::{Fake, Pace};

fn sum(fake: &Fake) -> u64 {
    let calls = fake.calls();
    eprintln!("{calls:#?}");
    calls.values().sum()
}

#[tokio::test]
async fn six_hundred_servers_are_seen_by_a_handful_of_requests() -> Result<(), ProviderError> {
    let fake = Fake::start();
    fake.seed("node", 600, &json!({ "kubewright.dev/owner": "lab" }));
    fake.seed("other", 25, &json!({}));
    let hands = hands(&fake);
    let inventory = hands.observe(&owner()).await?;
    assert_eq!((inventory.machines.len(), inventory.taken.len()), (600, 25));
    let calls = sum(&fake);
    assert!(calls < 30, "{calls} requests");
    Ok(())
}

#[tokio::test]
async fn eight_servers_are_made_by_few_requests() -> Result<(), ProviderError> {
    let fake = Fake::start();
    fake.pace(Pace::Delay(std::time::Duration::from_millis(1500)));
    let hands = hands(&fake);
    surround(&hands).await?;
    hands.observe(&owner()).await?;
    fake.calls();
    let wishes: Vec<_> = (1..=8).map(|n| server(&format!("lab-{n}"), &format!("10.0.0.{}", n + 10), body())).collect();
    let owner = owner();
    let made = futures::future::join_all(wishes.iter().map(|wish| hands.create(wish, &owner))).await;
    for (wish, made) in wishes.iter().zip(made) {
        assert_eq!(made?.address, wish.address);
    }
    let calls = sum(&fake);
    assert!(calls < 60, "{calls} requests");
    Ok(())
}
