//! What nodes show, and whom they let in.

use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright_hosts::talos::Bundle;
use rcgen::{CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, Issuer, KeyPair, PKCS_ED25519};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use super::config::Configuration;

/// The block of a PEM text in Base64, as configurations hold it.
pub(super) fn unpem(packed: &str) -> Option<Vec<u8>> {
    let text = String::from_utf8(STANDARD.decode(packed).ok()?).ok()?;
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    text.starts_with("-----BEGIN ").then(|| STANDARD.decode(body).ok()).flatten()
}

/// A certificate of an authority that nobody knows, and no question who the client is (`tls.ServerOnly`).
pub(super) fn maintenance(address: Ipv4Addr) -> TlsAcceptor {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut wish = CertificateParams::default();
    wish.distinguished_name = DistinguishedName::new();
    let issuer = Issuer::new(wish, key);
    let (chain, key) = leaf(&issuer, address, &[]);
    let config = builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    acceptor(config)
}

/// A certificate of the cluster's authority, and clients by theirs of the same (`tls.Mutual`).
pub(super) fn member(config: &Configuration, key: &str, address: Ipv4Addr) -> TlsAcceptor {
    let authority = CertificateDer::from(unpem(&config.authority()).unwrap());
    let (chain, key) = leaf(&issuer(&authority, key), address, &config.names());
    let mut roots = RootCertStore::empty();
    roots.add(authority).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
    let config = builder().with_client_cert_verifier(clients.build().unwrap()).with_single_cert(chain, key).unwrap();
    acceptor(config)
}

/// The same for a server that somebody else wrote, as PEM.
pub(crate) fn pem_of_member(bundle: &Bundle, address: Ipv4Addr) -> (String, String) {
    let part = |name: &str| bundle.part(name).unwrap().expose().clone();
    let authority = CertificateDer::from(unpem(&part("machine.ca.crt")).unwrap());
    let (chain, key) = leaf(&issuer(&authority, &part("machine.ca.key")), address, &[]);
    let pem = |label: &str, der: &[u8]| {
        let text = STANDARD.encode(der).into_bytes();
        let lines: String = text.chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
        format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
    };
    // What ring writes has the public half too, in a version of the form that others do not read: without it, as in RFC 8410.
    let before = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    (pem("CERTIFICATE", &chain[0]), pem("PRIVATE KEY", &[&before, &key.secret_der()[16..48]].concat()))
}

fn issuer(authority: &CertificateDer<'_>, key: &str) -> Issuer<'static, KeyPair> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(unpem(key).unwrap()));
    Issuer::from_ca_cert_der(authority, KeyPair::try_from(&key).unwrap()).unwrap()
}

fn leaf(
    issuer: &Issuer<'_, KeyPair>,
    address: Ipv4Addr,
    names: &[String],
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let names: Vec<String> = [address.to_string()].into_iter().chain(names.iter().cloned()).collect();
    let mut wish = CertificateParams::new(names).unwrap();
    wish.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = wish.signed_by(&key, issuer).unwrap();
    (vec![certificate.der().clone()], key.into())
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap()
}

fn acceptor(mut config: ServerConfig) -> TlsAcceptor {
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
