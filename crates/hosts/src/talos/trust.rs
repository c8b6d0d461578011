//! Who we are to a node, and who it is to us.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright_model::secret::Secret;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::Deserialize;

use super::pki;

/// How a node is met.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// It is of our cluster: it shows a certificate of the cluster's authority for its address, and knows us by ours.
    Ours(&'a ClientIdentity),
    /// It has no configuration yet, and shows a certificate that it has made itself. Whoever is in between can read what it is
    /// told, as with `talosctl --insecure`; [`super::Talos::fingerprint`] can be compared with the one on its console.
    Maintenance,
}

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
        let identity = Self { authority, certificate, key };
        identity
            .certified()?
            .keys_match()
            .map_err(|_| "the client's key does not belong to its certificate".to_string())?;
        identity.roots()?;
        Ok(identity)
    }

    /// Takes the identity out of a `talosconfig`: that of a context, or of the one that is current there. The names are those of
    /// `pkg/machinery/client/config/config.go`.
    ///
    /// # Errors
    ///
    /// It is no such file, has no such context, or one without certificates; without a value of it.
    pub fn from_talosconfig(text: &Secret, context: Option<&str>) -> Result<Self, String> {
        // The parser's error would quote the text.
        let file: File = serde_saphyr::from_str(text.expose()).map_err(|_| "it is no talosconfig".to_string())?;
        let name = context.unwrap_or(&file.context);
        let found = file.contexts.get(name).ok_or_else(|| format!("the talosconfig has no context `{name}`"))?;
        let half = |key: &str, packed: &str| {
            let text = STANDARD.decode(packed).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            text.filter(|text| !text.is_empty())
                .ok_or_else(|| format!("`{key}` of the context `{name}` is not Base64 of PEM"))
        };
        Self::new(half("ca", &found.ca)?, half("crt", &found.crt)?, Secret::new(half("key", &found.key)?))
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
        let certificate = pki::certificate_of(&self.certificate);
        certificate.map(|certificate| super::der::organizations(&certificate)).unwrap_or_default()
    }

    fn certified(&self) -> Result<CertifiedKey, String> {
        let chain =
            pki::certificate_of(&self.certificate).map_err(|fault| format!("the client's certificate {fault}"))?;
        let key = pki::signing_key(&self.key).map_err(|fault| format!("the client's key {fault}"))?;
        Ok(CertifiedKey::new(vec![chain], key))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        let authority = pki::certificate_of(&self.authority)
            .and_then(|certificate| roots.add(certificate).map_err(|_| "is no X.509 certificate".to_string()));
        authority.map_err(|fault| format!("the authority's certificate {fault}"))?;
        Ok(roots)
    }
}

/// A `talosconfig`, as far as it is read.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    context: String,
    contexts: BTreeMap<String, Context>,
}

/// One of its contexts; one with another way of showing who we are has no certificates.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Context {
    ca: String,
    crt: String,
    key: String,
}

/// TLS for a connection, and what became known of the node while it was made.
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) asked: Arc<Asked>,
}

/// The settings of TLS: Talos speaks 1.3 and nothing older (`siderolabs/crypto` `tls/tls.go`), and HTTP/2.
pub(super) fn tls(trust: Trust<'_>) -> Result<Tls, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?;
    let (verifier, certified): (Arc<dyn ServerCertVerifier>, _) = match trust {
        Trust::Ours(identity) => {
            let roots = Arc::new(identity.roots()?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            (verifier.map_err(|error| error.to_string())?, Some(Arc::new(identity.certified()?)))
        }
        Trust::Maintenance => (Arc::new(Anybody(provider)), None),
    };
    let asked = Arc::new(Asked { certified, was: AtomicBool::new(false) });
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = builder.with_client_cert_resolver(asked.clone());
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Tls { config: Arc::new(config), asked })
}

/// Who we are, and whether the node asked for it. One in maintenance mode does not.
#[derive(Debug)]
pub(super) struct Asked {
    certified: Option<Arc<CertifiedKey>>,
    was: AtomicBool,
}

impl Asked {
    pub(super) fn was(&self) -> bool {
        self.was.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.was.store(true, Ordering::Relaxed);
        self.certified.clone()
    }

    // Otherwise nobody would be told that it was asked.
    fn has_certs(&self) -> bool {
        true
    }
}

/// Takes every certificate, from whoever holds its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
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
