//! Many machines at once, and what they cost.

use futures::future::try_join_all;
use kubewright_model::desired::DesiredMachine;
use kubewright_providers::{Provider as _, ProviderError};

use crate::fake::Fake;
use crate::life::doomed;
use crate::wishes::{container, owner};

/// What a whole life of so many machines costs in calls: making them all at once, looking, starting, destroying.
async fn calls(machines: u32) -> Result<[u64; 4], ProviderError> {
    let mut fake = Fake::start();
    // Tasks take their time, so that many are waited for at once.
    fake.tell("pve.time_scale = 1.0; pve.ct_secs['create'] = 2");
    let (owner, hands) = (owner(), fake.hands());
    let place = |n: u32| ["pve1", "pve2", "pve3"][n as usize % 3];
    let wishes: Vec<DesiredMachine> =
        (0..machines).map(|n| container(&format!("agent-{n}"), 1000 + n, place(n))).collect();
    fake.calls();
    try_join_all(wishes.iter().map(|wish| hands.create(wish, &owner))).await?;
    let made = fake.calls();
    let inventory = hands.observe(&owner).await?;
    assert_eq!(inventory.machines.len(), machines as usize);
    let looked = fake.calls();
    try_join_all(wishes.iter().map(|wish| hands.start(&wish.name, &owner))).await?;
    let started = fake.calls();
    let seen = hands.observe(&owner).await?.machines;
    fake.calls();
    try_join_all(seen.iter().map(|(name, seen)| hands.delete(doomed(name, seen)))).await?;
    let destroyed = fake.calls();
    assert!(hands.observe(&owner).await?.machines.is_empty());
    Ok([made, looked, started, destroyed])
}

#[tokio::test]
async fn calls_are_linear_in_machines() -> Result<(), ProviderError> {
    let (half, whole) = (calls(50).await?, calls(100).await?);
    println!("calls for 50 and for 100 machines to make, look at, start and destroy: {half:?}, {whole:?}");
    // Per machine: the survey, the request, its status and its configuration; the tasks of all in lists of each node.
    let [made, looked, started, destroyed] = whole;
    assert!(made <= 4 * 100 + 60, "{made} calls to make 100 machines");
    assert!(looked <= 100 + 10, "{looked} calls to look at 100 machines");
    assert!(started <= 5 * 100 + 60, "{started} calls to start 100 machines");
    assert!(destroyed <= 4 * 100 + 60, "{destroyed} calls to destroy 100 machines");
    // Twice the machines are twice the calls, but for rounds in which tasks are looked for, of which a slow computer has more.
    for (half, whole) in half.into_iter().zip(whole) {
        assert!(whole <= 2 * half + 30, "{half} calls for 50 machines and {whole} for 100");
    }
    Ok(())
}
