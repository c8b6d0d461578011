//! Whom TLS trusts: the system's authorities, one given authority, pinned certificates, or anybody.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use sha2::{Digest as _, Sha256};

/// Which certificate the API may show.
#[derive(Clone, Debug)]
pub enum Trust {
    /// One that an authority of this computer has signed.
    System,
    /// One that this authority has signed; PEM. Proxmox' own is `/etc/pve/pve-root-ca.pem`.
    Authority(String),
    /// Only these, by their SHA-256 fingerprints as Proxmox shows them: `AB:CD:…`. Each node has a certificate of its own.
    Fingerprints(Vec<String>),
    /// Any at all. Whoever is in between can read the token: the user's explicit word is needed.
    Anything,
}

/// The settings of TLS for this trust.
///
/// # Errors
///
/// The authority is none, or this computer trusts nobody.
pub fn tls(trust: &Trust) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let whom = match trust {
        Trust::System => Whom::Signed(Arc::new(Verifier::new(provider.clone()).map_err(|error| error.to_string())?)),
        Trust::Authority(pem) => {
            let roots = Arc::new(authority(pem)?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
            Whom::Signed(verifier.map_err(|error| error.to_string())?)
        }
        Trust::Fingerprints(texts) => {
            Whom::Pinned(texts.iter().map(|text| fingerprint(text)).collect::<Result<_, _>>()?)
        }
        Trust::Anything => Whom::Anybody,
    };
    let trusted = Arc::new(Trusted { whom, provider });
    Ok(builder.dangerous().with_custom_certificate_verifier(trusted).with_no_client_auth())
}

fn authority(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("the authority is no PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("the authority is no certificate: {error}"))?;
    }
    if roots.is_empty() { Err("the authority's file holds no certificate".into()) } else { Ok(roots) }
}

/// A SHA-256 fingerprint as people write it, with colons or without.
fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    let bytes = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| format!("`{text}` is no SHA-256 fingerprint: it has 32 bytes in hexadecimal, `AB:CD:…`"))
}

/// Why a certificate is not trusted, for people.
pub(crate) fn words(why: &Error) -> String {
    match why {
        Error::General(words) => words.clone(),
        other => other.to_string(),
    }
}

/// A certificate's fingerprint as Proxmox shows it.
fn shown_fingerprint(certificate: &CertificateDer<'_>) -> String {
    let bytes: Vec<String> = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

/// Who is trusted.
#[derive(Debug)]
enum Whom {
    /// What authorities have signed.
    Signed(Arc<dyn ServerCertVerifier>),
    /// A few certificates: neither their names nor their dates matter then.
    Pinned(Vec<[u8; 32]>),
    /// Any.
    Anybody,
}

/// Who is trusted; and whoever shows a certificate must hold its key. One that is refused is told by its fingerprint, by
/// which it may be trusted.
#[derive(Debug)]
struct Trusted {
    whom: Whom,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen = Sha256::digest(shown);
        match &self.whom {
            Whom::Signed(authorities) => {
                let verified = authorities.verify_server_cert(shown, intermediates, name, ocsp, now);
                verified.map_err(|why| {
                    let fingerprint = shown_fingerprint(shown);
                    Error::General(format!("{}, whose fingerprint is {fingerprint}", unsigned(&why)))
                })
            }
            Whom::Pinned(known) if !known.iter().any(|wanted| seen[..] == wanted[..]) => {
                Err(Error::General(format!("its certificate's fingerprint is {}", shown_fingerprint(shown))))
            }
            Whom::Pinned(_) | Whom::Anybody => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Why no authority vouches for a certificate.
fn unsigned(why: &Error) -> String {
    match why {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has ended".into()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name".into(),
        // That of an authority itself, as a host signs its own, is one of the others.
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)) => {
            "no authority that is trusted here has signed its certificate".into()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_proxmox_shows_them() {
        let text = ["AB"; 32].join(":");
        assert_eq!(fingerprint(&text).unwrap(), [0xab; 32]);
        assert!(fingerprint("AB:CD").unwrap_err().contains("no SHA-256 fingerprint"));
        assert!(authority("nothing").is_err());
    }
}
