//! Keys and certificates in the forms in which Talos makes and reads them.
//!
//! Forms, subjects and lifetimes are those of `siderolabs/crypto` `x509/{key,certificate_authority,constants}.go` and
//! `siderolabs/talos` `pkg/machinery/config/generate/secrets/ca.go`, the same from v1.9 to v1.14.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use getrandom::SysRng;
use kubewright_model::secret::Secret;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::rand_core::UnwrapErr;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};

/// A certificate and its key, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// The certificate: not secret.
    pub(super) certificate: String,
    /// Its private key.
    pub(super) key: Secret,
}

/// What a key is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Kubernetes' and etcd's authorities.
    Ecdsa,
    /// Talos' own authority and its clients.
    Ed25519,
}

/// Days of an authority: `CAValidityTime` is 87600 hours.
const AUTHORITY: Duration = Duration::from_secs(87_600 * 3600);
/// Bits of the key that signs service accounts' tokens: the default of `NewRSAKey`.
const RSA_BITS: usize = 4096;
/// The beginning of an Ed25519 key in PKCS #8 as Go writes it, version 0 and without the public half (RFC 8410).
const ED25519: &[u8] =
    &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// The beginning of a P-256 key in SEC 1 (RFC 5915), and what stands between its two halves: Go wants the curve named.
const SEC1: &[u8] = &[0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20];
const CURVE: &[u8] =
    &[0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0xa1, 0x44, 0x03, 0x42, 0x00];

/// Random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system gives no random numbers".to_string())?;
    Ok(bytes)
}

/// An authority that signs itself, as `NewSelfSignedCertificateAuthority` makes one. Without an organization its
/// subject is empty: so is the one of Talos' aggregator, whose common name is not taken over there.
pub(super) fn authority(organization: Option<&str>, kind: Kind, now: SystemTime) -> Result<Pair, String> {
    let key = new_key(kind)?;
    let mut wish = params(organization, now, AUTHORITY)?;
    wish.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    wish.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::DigitalSignature];
    wish.extended_key_usages =
        vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = wish.self_signed(&Signer::of(&key)?).map_err(|error| error.to_string())?;
    Ok(Pair { certificate: pem("CERTIFICATE", certificate.der()), key })
}

/// A client's certificate with a role, as `NewAdminCertificateAndKey` makes it: its key is of the authority's kind.
pub(super) fn client(authority: &Pair, role: &str, now: SystemTime, valid: Duration) -> Result<Pair, String> {
    let signer = Signer::of(&authority.key)?;
    let key = new_key(if signer.is_ed25519() { Kind::Ed25519 } else { Kind::Ecdsa })?;
    let mut wish = params(Some(role), now, valid)?;
    wish.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    wish.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    wish.use_authority_key_identifier_extension = true;
    let issuer = rcgen::Issuer::from_ca_cert_der(&certificate_of(&authority.certificate)?, signer);
    let certificate = issuer.and_then(|issuer| wish.signed_by(&Signer::of(&key).map_err(unsigned)?, &issuer));
    let certificate = certificate.map_err(|error| error.to_string())?;
    Ok(Pair { certificate: pem("CERTIFICATE", certificate.der()), key })
}

/// The key that signs the tokens of service accounts: RSA since Talos 1.7 (`UseRSAServiceAccountKey`).
pub(super) fn service_account() -> Result<Secret, String> {
    let key = rsa::RsaPrivateKey::new(&mut UnwrapErr(SysRng), RSA_BITS).map_err(|error| error.to_string())?;
    let der = key.to_pkcs1_der().map_err(|error| error.to_string())?;
    Ok(Secret::new(pem("RSA PRIVATE KEY", der.as_bytes())))
}

fn params(organization: Option<&str>, now: SystemTime, valid: Duration) -> Result<rcgen::CertificateParams, String> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| "this computer's clock is before 1970")?;
    let mut wish = rcgen::CertificateParams::default();
    wish.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(organization) = organization {
        // Go writes what fits into it as a PrintableString; a role has no place there only because of characters
        // that none has.
        let value = match rcgen::string::PrintableString::try_from(organization) {
            Ok(text) => rcgen::DnValue::PrintableString(text),
            Err(_) => rcgen::DnValue::Utf8String(organization.to_string()),
        };
        wish.distinguished_name.push(rcgen::DnType::OrganizationName, value);
    }
    wish.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(since.as_secs());
    wish.not_after = wish.not_before + valid;
    // 16 octets, positive.
    let mut serial = random::<16>()?;
    serial[0] &= 0x7f;
    wish.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
    Ok(wish)
}

fn new_key(kind: Kind) -> Result<Secret, String> {
    let text = match kind {
        Kind::Ed25519 => pem("ED25519 PRIVATE KEY", &[ED25519, &random::<32>()?].concat()),
        Kind::Ecdsa => {
            let refused = "no key could be made".to_string();
            let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
            let pair = pair.map_err(|_| refused.clone())?;
            let read = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pair.as_ref(), &SystemRandom::new());
            let public = read.map_err(|_| refused.clone())?.public_key().as_ref().to_vec();
            // PKCS #8 of a P-256 key, as ring writes it, holds the private half in these places.
            let private = pair.as_ref().get(36..68).ok_or(refused)?;
            pem("EC PRIVATE KEY", &[SEC1, private, CURVE, &public].concat())
        }
    };
    Ok(Secret::new(text))
}

/// A text as PEM: lines of 64, as Go and OpenSSL write them.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: String = text.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

/// The first block of a PEM text: its label and what it holds.
fn unpem(text: &str) -> Option<(&str, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: String = body.split_whitespace().collect();
    Some((label, STANDARD.decode(body).ok()?))
}

/// A certificate in PEM.
pub(super) fn certificate_of(text: &str) -> Result<CertificateDer<'static>, String> {
    match unpem(text) {
        Some(("CERTIFICATE", der)) => Ok(CertificateDer::from(der)),
        Some((label, _)) => Err(format!("is PEM of a `{label}`, not of a certificate")),
        None => Err("is no PEM".to_string()),
    }
}

/// A private key in PEM: the four forms that Talos reads (`PEMEncodedKey.GetKey`).
pub(super) fn private_key(text: &Secret) -> Result<PrivateKeyDer<'static>, String> {
    let (label, der) = unpem(text.expose()).ok_or("is no PEM")?;
    match label {
        "RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(der).into()),
        "EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(der).into()),
        "ED25519 PRIVATE KEY" | "PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(der).into()),
        other => Err(format!("is PEM of a `{other}`, not of a private key")),
    }
}

/// A key that can sign; the error holds nothing of it.
pub(super) fn signing_key(text: &Secret) -> Result<Arc<dyn SigningKey>, String> {
    any_supported_type(&private_key(text)?)
        .map_err(|_| "is not a private key of RSA (2048 to 4096 bits), ECDSA (P-256 or P-384) or Ed25519".to_string())
}

/// What is wrong with a certificate and its key, as far as they are there: each for itself, and with one another.
pub(super) fn faults(certificate: Option<&str>, key: Option<&Secret>, now: SystemTime) -> Vec<(&'static str, String)> {
    let certificate = certificate.map(|text| certificate_of(text).map_err(|fault| ("crt", fault)));
    let key = key.map(|text| signing_key(text).map_err(|fault| ("key", fault)));
    let (Some(Ok(certificate)), Some(Ok(key))) = (&certificate, &key) else {
        return certificate.and_then(Result::err).into_iter().chain(key.and_then(Result::err)).collect();
    };
    match CertifiedKey::new(vec![certificate.clone()], key.clone()).keys_match() {
        Ok(()) => expired(certificate, now).map(|fault| ("crt", fault)).into_iter().collect(),
        Err(rustls::Error::InconsistentKeys(_)) => vec![("key", "does not belong to the certificate beside it".into())],
        Err(_) => vec![("crt", "is no X.509 certificate".into())],
    }
}

fn expired(certificate: &CertificateDer<'_>, now: SystemTime) -> Option<String> {
    match super::der::not_after(certificate) {
        Some(end) if end > now => None,
        Some(end) => {
            let days = now.duration_since(end).unwrap_or_default().as_secs() / 86400;
            Some(format!("has expired {days} days ago"))
        }
        None => Some("does not tell until when it is valid".to_string()),
    }
}

/// A key in any of the forms, as what signs certificates.
struct Signer {
    key: Arc<dyn SigningKey>,
    public: rcgen::SubjectPublicKeyInfo,
}

/// What certificates are signed with: ECDSA takes the digest that goes with its curve.
const SCHEMES: &[(SignatureScheme, &rcgen::SignatureAlgorithm)] = &[
    (SignatureScheme::ED25519, &rcgen::PKCS_ED25519),
    (SignatureScheme::ECDSA_NISTP256_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256),
    (SignatureScheme::ECDSA_NISTP384_SHA384, &rcgen::PKCS_ECDSA_P384_SHA384),
    (SignatureScheme::RSA_PKCS1_SHA256, &rcgen::PKCS_RSA_SHA256),
];

impl Signer {
    fn of(key: &Secret) -> Result<Self, String> {
        let key = signing_key(key).map_err(|fault| format!("the key {fault}"))?;
        let public = key.public_key().and_then(|spki| rcgen::SubjectPublicKeyInfo::from_der(&spki).ok());
        Ok(Self { key, public: public.ok_or("the key does not tell its public half")? })
    }

    fn signer(&self) -> Option<Box<dyn rustls::sign::Signer>> {
        self.key.choose_scheme(&SCHEMES.iter().map(|(scheme, _)| *scheme).collect::<Vec<_>>())
    }

    fn is_ed25519(&self) -> bool {
        self.signer().is_some_and(|signer| signer.scheme() == SignatureScheme::ED25519)
    }
}

impl rcgen::PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }
    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        let scheme = self.signer().map(|signer| signer.scheme());
        let found = SCHEMES.iter().find(|(known, _)| Some(*known) == scheme);
        found.map_or(&rcgen::PKCS_ED25519, |(_, algorithm)| algorithm)
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self.signer().ok_or_else(|| unsigned(String::new()))?;
        signer.sign(message).map_err(|error| unsigned(error.to_string()))
    }
}

fn unsigned(_: String) -> rcgen::Error {
    rcgen::Error::RemoteKeyError
}
