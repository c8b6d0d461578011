//! Who we are, and whom we trust.

use kubewright_model::secret::Secret;
use kubewright_providers::Trust;
use kubewright_providers::proxmox::{Identity, Proxmox, Settings};
use kubewright_providers::{ErrorKind, Provider as _, ProviderError};

use crate::fake::{Fake, TOKEN, TOKEN_SECRET};
use crate::wishes::{container, owner};

async fn look(settings: Settings) -> Result<usize, ProviderError> {
    Ok(Proxmox::new(settings)?.observe(&owner()).await?.taken.len())
}

#[tokio::test]
async fn a_certificate_is_trusted_by_its_authority_its_fingerprint_or_the_users_word() -> Result<(), ProviderError> {
    let fake = Fake::start();
    let trusting = |trust| look(Settings { trust, ..fake.settings() });
    assert_eq!(trusting(Trust::Fingerprints(vec!["00".repeat(32), fake.fingerprint.to_uppercase()])).await?, 3);
    assert_eq!(trusting(Trust::Authority(fake.authority.clone())).await?, 3);
    assert_eq!(trusting(Trust::Anything).await?, 3);

    let strange = trusting(Trust::System).await.unwrap_err();
    assert_eq!(strange.kind, ErrorKind::Denied, "{strange}");
    assert!(strange.help.unwrap().contains("write its SHA-256 fingerprint as `fingerprint`"));
    let shown = strange.message.replace(':', "").to_lowercase();
    assert!(shown.contains("no authority that is trusted here") && shown.contains(&fake.fingerprint), "{shown}");
    let other = trusting(Trust::Fingerprints(vec!["00".repeat(32)])).await.unwrap_err();
    assert_eq!(other.kind, ErrorKind::Denied, "{other}");
    assert!(other.message.replace(':', "").to_lowercase().contains(&fake.fingerprint), "{other}");
    Ok(())
}

#[tokio::test]
async fn a_password_gives_a_ticket_and_a_new_one_when_it_has_ended() -> Result<(), ProviderError> {
    let mut fake = Fake::start();
    let identity =
        |password: &str| Identity::Password { user: "root@pam".into(), password: Secret::new(password.into()) };
    let hands = Proxmox::new(Settings { identity: identity("secret"), ..fake.settings() })?;
    // A write needs more than the ticket.
    hands.create(&container("agent-1", 400, "pve1"), &owner()).await?;
    fake.tell("pve.revoke_tickets()");
    assert_eq!(hands.observe(&owner()).await?.machines.len(), 1);
    let logins = fake.tell("len([r for r in pve.requests if r[1].endswith('/access/ticket')])");
    assert_eq!(logins, 2);

    let wrong = look(Settings { identity: identity("hunter2"), ..fake.settings() }).await.unwrap_err();
    assert_eq!(wrong.kind, ErrorKind::Denied);
    assert!(!format!("{wrong} {wrong:?}").contains("hunter2"));
    assert!(wrong.message.starts_with("root@pam is not let in with the password at env "), "{wrong}");
    fake.tell("pve.tfa = True; pve.revoke_tickets()");
    let second = hands.observe(&owner()).await.unwrap_err();
    assert_eq!(second.kind, ErrorKind::Denied);
    assert!(second.message.contains("second factor"), "{second}");
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_not_known_is_refused_and_not_shown() {
    let fake = Fake::start();
    let secret = format!("{TOKEN_SECRET}-no-more");
    let identity = Identity::Token { id: TOKEN.into(), secret: Secret::new(secret.clone()) };
    let settings = Settings { identity, ..fake.settings() };
    let shown = format!("{settings:?}");
    let refused = look(settings).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied);
    assert!(!format!("{shown} {refused} {refused:?}").contains(&secret));
    let begins = format!("{TOKEN} is not let in with the secret at env PROXMOX_TOKEN_SECRET (401 ");
    assert!(refused.message.starts_with(&begins), "{refused}");
    assert!(refused.help.unwrap().contains("`pveum user token list "));
}

#[tokio::test]
async fn what_speaks_no_tls_is_told_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let fake = Fake::start();
    let told = look(Settings { addresses: vec![address], ..fake.settings() }).await.unwrap_err();
    assert!(told.kind == ErrorKind::Invalid && told.message.ends_with("speaks no TLS"), "{told}");
}

#[tokio::test]
async fn another_address_of_the_cluster_answers_when_one_does_not() -> Result<(), ProviderError> {
    let fake = Fake::start();
    // Nobody listens on the first port, so no connection is made and nothing was asked.
    let addresses = vec!["https://127.0.0.1:9".into(), fake.url.clone()];
    assert_eq!(look(Settings { addresses, ..fake.settings() }).await?, 3);
    let addresses = vec!["https://127.0.0.1:9".into()];
    let alone = look(Settings { addresses, ..fake.settings() }).await.unwrap_err();
    assert_eq!(alone.kind, ErrorKind::Unanswered, "{alone}");
    assert!(alone.may_pass() && alone.help.as_ref().unwrap().contains("port 8006"), "{alone}");
    assert!(kubewright_model::observed::Why::from(alone.clone()).lasts, "nobody waits for it");
    assert!(alone.message.starts_with("https://127.0.0.1:9: no answer"), "{alone}");
    Ok(())
}
