//! Who we are to a node, and who it is to us.

use kubewright_model::secret::Secret;
use rustls::sign::CertifiedKey;

use super::pki;

/// A client of a cluster's Talos API: its certificate and key, and the authority that nodes' certificates are signed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    authority: String,
    certificate: String,
    key: Secret,
}

impl ClientIdentity {
    /// Puts an identity together; all three are PEM.
    ///
    /// # Errors
    ///
    /// Which of them is not what it should be, without its value.
    pub fn new(authority: String, certificate: String, key: Secret) -> Result<Self, String> {
        pki::certificate_of(&authority).map_err(|fault| format!("the authority's certificate {fault}"))?;
        let chain = vec![pki::certificate_of(&certificate).map_err(|fault| format!("the certificate {fault}"))?];
        let signing = pki::signing_key(&key).map_err(|fault| format!("the key {fault}"))?;
        let fits = CertifiedKey::new(chain, signing).keys_match();
        fits.map_err(|_| "the client's key does not belong to its certificate".to_string())?;
        Ok(Self { authority, certificate, key })
    }

    /// The certificate of the authority, as PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The client's certificate, as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The client's key, as PEM.
    pub fn key(&self) -> &Secret {
        &self.key
    }

    /// The roles that its certificate gives it: `os:admin` may do everything.
    pub fn roles(&self) -> Vec<String> {
        pki::certificate_of(&self.certificate)
            .map(|certificate| super::der::organizations(&certificate))
            .unwrap_or_default()
    }
}
