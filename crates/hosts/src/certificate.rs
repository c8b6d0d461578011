//! Certificates: until when one is good, which one is served at an address, and asking for one of a person.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright_model::net::HostPort;
use kubewright_model::secret::Secret;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring as provider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::talos::not_after;

/// A server shows its certificate at once; where it does not, its date is simply not told.
const SHOWN: Duration = Duration::from_secs(3);

/// Until when a certificate (DER) is good, in seconds since 1970; none where it is no certificate.
pub fn good_until(certificate: &[u8]) -> Option<u64> {
    not_after(certificate)?.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// Until when the certificate is good that is served at an address, whoever has signed it; none where none is shown.
/// Nothing is said there and nothing believed: only the date is looked at.
pub async fn served(at: &HostPort) -> Option<u64> {
    let crypto = Arc::new(provider::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&crypto)).with_safe_default_protocol_versions().ok()?;
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(OnlyLooks(crypto))).with_no_client_auth();
    let name = ServerName::try_from(at.host.clone()).ok()?;
    let shown = async {
        let stream = TcpStream::connect((at.host.as_str(), at.port)).await.ok()?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        good_until(stream.get_ref().1.peer_certificates()?.first()?)
    };
    tokio::time::timeout(SHOWN, shown).await.ok().flatten()
}

/// Takes any certificate, for a look at it.
#[derive(Debug)]
struct OnlyLooks(Arc<CryptoProvider>);

impl ServerCertVerifier for OnlyLooks {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A key that is made here and stays here, and the question for a certificate of it.
#[derive(Debug)]
pub struct Question {
    /// The private key, as PEM.
    pub key: Secret,
    /// The question (RFC 2986), as PEM.
    pub pem: String,
}

/// Object identifiers, with their tag and length: `commonName`, `organizationName`, `id-ecPublicKey` with `prime256v1`,
/// `ecdsa-with-SHA256`.
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x0a];
const P256: &[u8] =
    &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ECDSA_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const BIT_STRING: u8 = 0x03;
const UTF8: u8 = 0x0c;
/// `version 0`, and no attributes: `[0]`, empty.
const VERSION: &[u8] = &[0x02, 0x01, 0x00];
const NO_ATTRIBUTES: &[u8] = &[0xa0, 0x00];

impl Question {
    /// Asks for a certificate of a user in groups: Kubernetes takes the common name for the one and organizations for the
    /// others. <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates>
    ///
    /// # Errors
    ///
    /// The system gives no random numbers.
    pub fn of_user(user: &str, groups: &[String]) -> Result<Self, String> {
        let random = SystemRandom::new();
        let wrong = |what: &str| format!("no key could be made: {what}");
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
        let pkcs8 = pkcs8.map_err(|_| wrong("the system gives no random numbers"))?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random);
        let key = key.map_err(|error| wrong(&error.to_string()))?;
        let named = |kind: &[u8], text: &str| {
            let attribute = element(SEQUENCE, &[kind, &element(UTF8, text.as_bytes())].concat());
            element(SET, &attribute)
        };
        let mut subject = named(COMMON_NAME, user);
        groups.iter().for_each(|group| subject.extend(named(ORGANIZATION, group)));
        let public = [element(SEQUENCE, P256), bits(key.public_key().as_ref())].concat();
        let parts = [VERSION, &element(SEQUENCE, &subject), &element(SEQUENCE, &public), NO_ATTRIBUTES].concat();
        let asked = element(SEQUENCE, &parts);
        let signed = key.sign(&random, &asked).map_err(|_| wrong("nothing can be signed with it"))?;
        let whole = [asked, element(SEQUENCE, ECDSA_SHA256), bits(signed.as_ref())].concat();
        let pem = pem("CERTIFICATE REQUEST", &element(SEQUENCE, &whole));
        Ok(Self { key: Secret::new(self::pem("PRIVATE KEY", pkcs8.as_ref())), pem })
    }
}

/// An element of DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut element = vec![tag];
    match content.len() {
        0..=0x7f => element.extend(length),
        _ => {
            element.extend(u8::try_from(length.len()).map(|many| 0x80 | many));
            element.extend(length);
        }
    }
    element.extend(content);
    element
}

/// Whole octets as a string of bits.
fn bits(octets: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], octets].concat())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_what_others_read() {
        let groups: Vec<String> = ["developers", "on-call", &"a".repeat(200)].map(String::from).to_vec();
        let question = Question::of_user("ada", &groups).unwrap();
        assert!(question.key.expose().starts_with("-----BEGIN PRIVATE KEY-----\n"));
        // It is read, and its signature verified, by a library that nobody here wrote.
        let read = rcgen::CertificateSigningRequestParams::from_pem(&question.pem).unwrap();
        let name = read.params.distinguished_name;
        assert_eq!(name.get(&rcgen::DnType::CommonName), Some(&rcgen::DnValue::Utf8String("ada".into())));
    }

    #[tokio::test]
    async fn what_serves_nothing_tells_nothing() {
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = HostPort::new("127.0.0.1", nobody.local_addr().unwrap().port());
        drop(nobody);
        assert_eq!(served(&at).await, None);
    }
}
