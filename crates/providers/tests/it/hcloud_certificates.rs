//! Certificates that Hetzner gets: they are there before they are issued.

use std::time::Duration;

use kubewright_model::cloud::{Certificate, CloudBody, DesiredResource};
use kubewright_providers::hetzner::Hetzner;
use kubewright_providers::{ErrorKind, Provider as _, ProviderError};

use crate::hcloud_driver::shown;
use crate::hcloud_hands::{hands, owner, quick, resource};
use crate::hetzner::{Fake, Fault, Pace};

fn wish() -> DesiredResource {
    resource("site", CloudBody::Certificate(Certificate::Managed(vec!["b.test".into(), "a.test".into()])))
}

/// What a look sees other than it is wished.
async fn differs(hands: &Hetzner) -> Result<Vec<String>, ProviderError> {
    let seen = hands.observe(&owner()).await?.resources;
    let seen = seen.iter().find(|seen| seen.name == "site").unwrap();
    let differing = wish().body.differing(&seen.body);
    Ok(differing.into_iter().filter_map(|(_, there, _)| there).collect())
}

#[tokio::test]
async fn what_was_not_issued_is_not_done_because_it_is_there() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    fake.fault("POST", "/certificates", 1, Fault::ActionFails("action_failed"));
    let failed = hands.set_resource(&wish(), &owner()).await.unwrap_err();
    assert_eq!(failed.message, "issue_certificate failed, action_failed: Action failed");
    assert!(failed.may_pass(), "the engine tries again");
    assert_eq!(differs(&hands).await?, ["a.test (issuance failed) b.test (issuance failed)"]);

    fake.fault("POST", "/certificates/*/actions/retry", 1, Fault::ActionFails("ca_dns_validation_failed"));
    let failed = hands.set_resource(&wish(), &owner()).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Invalid, "{failed}");
    assert!(failed.message.contains("ca_dns_validation_failed"), "{failed}");
    assert_eq!(differs(&hands).await?.len(), 1);

    fake.fault(
        "POST",
        "/certificates/*/actions/retry",
        1,
        Fault::ActionFails("ca_too_many_authorizations_failed_recently"),
    );
    assert_eq!(hands.set_resource(&wish(), &owner()).await.unwrap_err().kind, ErrorKind::Quota);

    hands.set_resource(&wish(), &owner()).await?;
    assert_eq!(differs(&hands).await?, Vec::<String>::new());
    assert_eq!(shown(&fake, "certificates").await.len(), 1, "the one that was there");
    fake.calls();
    hands.set_resource(&wish(), &owner()).await?;
    assert!(!fake.calls().keys().any(|call| call.contains("retry")), "what is issued is left alone");
    Ok(())
}

#[tokio::test]
async fn what_is_being_issued_is_waited_for() -> Result<(), ProviderError> {
    let fake = Fake::start();
    fake.pace(Pace::Polls(6));
    let hands = hands(&fake);
    fake.fault("POST", "/certificates", 1, Fault::ActsAndCuts);
    let seen = hands.set_resource(&wish(), &owner()).await?;
    assert_eq!(wish().body.differing(&seen.body), [], "its answer was lost, and it was waited for all the same");
    assert_eq!(differs(&hands).await?, Vec::<String>::new());

    let other = Fake::start();
    let hands = crate::hcloud_hands::hands(&other);
    other.pace(Pace::Polls(9));
    let (wish, owner) = (wish(), owner());
    let waited = tokio::time::timeout(Duration::from_millis(300), hands.set_resource(&wish, &owner)).await;
    assert!(waited.is_err(), "it is not done when it is there");
    assert_eq!(differs(&hands).await?, ["a.test (issuance pending) b.test (issuance pending)"]);
    hands.set_resource(&wish, &owner).await?;
    assert_eq!(differs(&hands).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn other_domains_need_another_certificate() -> Result<(), ProviderError> {
    let fake = quick();
    let hands = hands(&fake);
    hands.set_resource(&wish(), &owner()).await?;
    let other = resource("site", CloudBody::Certificate(Certificate::Managed(vec!["c.test".into()])));
    let refused = hands.set_resource(&other, &owner()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(refused.message, "certificate site cannot be changed: it is made once");
    Ok(())
}
