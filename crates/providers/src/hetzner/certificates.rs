//! Certificates: those that we bring, and those that Hetzner gets from Let's Encrypt. One of the latter is there before it
//! is issued, and stays there when that fails: it is done only when its status says so.
//! <https://docs.hetzner.cloud/reference/cloud#certificates>

use kubewright_model::cloud::{Certificate as From, CloudBody, DesiredResource, ResourceSeen};
use kubewright_model::ids::Owner;
use serde_json::{Value, json};

use super::answers::{Action, Certificate};
use super::client::{error, part};
use super::resources::{Around as _, made_once};
use super::{Hetzner, call, classify};
use crate::{ErrorKind, ProviderError};

/// How far the issuance of a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Issuance {
    Completed,
    Pending,
    Failed,
}

fn issuance(certificate: &Certificate) -> Issuance {
    match certificate.status.as_ref().map(|status| status.issuance.as_str()) {
        Some("pending") => Issuance::Pending,
        Some("failed") => Issuance::Failed,
        _ => Issuance::Completed,
    }
}

/// What it was made of.
fn made_of(certificate: &Certificate) -> From {
    match certificate.kind.as_deref() {
        Some("managed") => From::Managed(certificate.domain_names.clone()),
        _ => From::Uploaded,
    }
}

/// A certificate as a plan sees it. One that is not issued is not the one that is wished: its domains have that beside
/// them.
pub(super) fn body(certificate: &Certificate) -> CloudBody {
    let word = match issuance(certificate) {
        Issuance::Completed => return CloudBody::Certificate(made_of(certificate)),
        Issuance::Pending => "pending",
        Issuance::Failed => "failed",
    };
    let domains = certificate.domain_names.iter().map(|domain| format!("{domain} (issuance {word})"));
    CloudBody::Certificate(From::Managed(domains.collect()))
}

/// Why a certificate is not issued, as its status has it.
fn why(certificate: &Certificate, wish: &DesiredResource) -> ProviderError {
    match certificate.status.as_ref().and_then(|status| status.error.as_ref()) {
        Some(failure) => {
            let message = format!("{} is not issued, {}: {}", wish.id(), failure.code, failure.message);
            error(classify::of_action(&failure.code), message)
        }
        None => error(ErrorKind::Transient, format!("{} is not issued, and nobody says why", wish.id())),
    }
}

impl Hetzner {
    /// A certificate that we bring.
    pub(super) fn uploaded(&self, name: &str) -> Result<Value, ProviderError> {
        let missing = || error(ErrorKind::Bug, format!("nobody told the certificate {name}"));
        let uploaded = self.certificates.get(name).ok_or_else(missing)?;
        let uploaded =
            uploaded.as_ref().map_err(|why| error(ErrorKind::Invalid, format!("certificate {name}: {why}")))?;
        let key = uploaded.private_key.expose();
        Ok(json!({ "type": "uploaded", "certificate": uploaded.certificate, "private_key": key }))
    }

    /// A certificate that Hetzner gets. What is being issued is waited for, and what failed is tried once more: the engine
    /// tries again what may pass.
    pub(super) async fn set_managed(
        &self,
        wish: &DesiredResource,
        domains: &[String],
        owner: &Owner,
    ) -> Result<ResourceSeen, ProviderError> {
        let body = json!({ "type": "managed", "domain_names": domains });
        let (there, made) = self.have::<Certificate>(wish, owner, body).await?;
        if !made && !wish.body.differing(&CloudBody::Certificate(made_of(&there))).is_empty() {
            return Err(made_once(wish));
        }
        // The answer that made it tells how it was before it was issued.
        let there = if made { self.certificate_now(wish, owner).await? } else { there };
        match issuance(&there) {
            Issuance::Completed => return Ok(there.seen(owner)),
            Issuance::Pending => self.while_issued(there.id, &wish.name).await?,
            Issuance::Failed => {
                self.act(call::act_plainly("/certificates/{id}/actions/retry", there.id), &wish.name).await?;
            }
        }
        let there = self.certificate_now(wish, owner).await?;
        match issuance(&there) {
            Issuance::Completed => Ok(there.seen(owner)),
            Issuance::Pending => Err(error(ErrorKind::Busy, format!("{} is still being issued", wish.id()))),
            Issuance::Failed => Err(why(&there, wish)),
        }
    }

    async fn certificate_now(&self, wish: &DesiredResource, owner: &Owner) -> Result<Certificate, ProviderError> {
        let gone = || error(ErrorKind::Transient, format!("{} went away while it was issued", wish.id()));
        self.there(wish, owner).await?.ok_or_else(gone)
    }

    /// Waits for what is being done with a certificate.
    async fn while_issued(&self, id: u64, name: &str) -> Result<(), ProviderError> {
        let mut answer = self.client.send(call::of_certificate(id)).await?;
        let actions: Vec<Action> = part(&mut answer, "actions")?;
        for action in &actions {
            self.watches.done(action, name).await?;
        }
        Ok(())
    }
}
