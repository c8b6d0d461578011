//! Volumes of containers beside their system disks.

use kubewright_model::desired::{Body, DesiredMachine, LxcBody};
use kubewright_model::spec::pools::Mount;
use kubewright_model::units::Size;
use kubewright_providers::{ErrorKind, Provider as _, ProviderError};
use serde_json::json;

use crate::fake::Fake;
use crate::wishes::{container, owner};

/// A container with volumes of these sizes in GiB.
fn with(mounts: &[(&str, u64)]) -> DesiredMachine {
    let wish = container("agent-1", 400, "pve1");
    let Body::Lxc(body) = &*wish.body else { panic!("a container has a container's body") };
    let mounts =
        mounts.iter().map(|(path, gib)| Mount { path: (*path).into(), size: Size::from_gib(*gib), storage: None });
    DesiredMachine { body: Body::Lxc(LxcBody { mounts: mounts.collect(), ..body.clone() }).into(), ..wish }
}

#[tokio::test]
async fn volumes_are_made_grow_and_never_shrink_or_go() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let (owner, hands) = (owner(), fake.hands());
    let made = hands.create(&with(&[("/srv", 5)]), &owner).await?;
    assert_eq!(made.settings, with(&[("/srv", 5)]).settings());
    let more = with(&[("/srv", 7), ("/data", 2)]);
    assert_eq!(hands.update(&more, &owner).await?.settings, more.settings());
    assert_eq!(
        fake.tell("[pve.ct(400).config[slot].split(',', 1)[1] for slot in ('mp0', 'mp1')]"),
        json!(["backup=1,mp=/srv,size=7G", "backup=1,mp=/data,size=2G"])
    );
    let refused = hands.update(&with(&[("/srv", 6)]), &owner).await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.message.as_str()),
        (ErrorKind::Invalid, "mp0 of agent-1 has 7Gi and cannot shrink to 6Gi")
    );
    assert_eq!(hands.update(&with(&[]), &owner).await?.settings, more.settings(), "nobody takes a volume away");
    Ok(())
}
