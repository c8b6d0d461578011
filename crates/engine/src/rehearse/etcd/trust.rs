//! Who may ask an etcd that lives for a moment: whoever has the one certificate that was made for it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};

/// An authority, and one certificate for both sides: etcd's own gateway comes to it with the server's.
pub(super) struct Trust {
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    tls: ClientConfig,
}

impl Trust {
    /// A new one, in files of a folder that only we read.
    pub(super) fn new(folder: &Path) -> Result<Self, String> {
        let failed = |error: rcgen::Error| error.to_string();
        let (authority_key, key) = (KeyPair::generate().map_err(failed)?, KeyPair::generate().map_err(failed)?);
        let mut wish = CertificateParams::default();
        wish.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = wish.self_signed(&authority_key).map_err(failed)?;
        let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_string()]).map_err(failed)?;
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let issuer = Issuer::from_params(&wish, &authority_key);
        let certificate = leaf.signed_by(&key, &issuer).map_err(failed)?;

        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).map_err(|error| error.to_string())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.map_err(|error| error.to_string())?.with_root_certificates(roots);
        let own = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let tls = tls.with_client_auth_cert(vec![certificate.der().clone()], own).map_err(|error| error.to_string())?;
        Ok(Self {
            authority: written(folder, "ca.crt", &authority.pem())?,
            certificate: written(folder, "etcd.crt", &certificate.pem())?,
            key: written(folder, "etcd.key", &key.serialize_pem())?,
            tls,
        })
    }

    /// The one that is let in.
    pub(super) fn client(self, answers: Duration) -> Result<reqwest::Client, String> {
        let client = reqwest::Client::builder().tls_backend_preconfigured(self.tls).timeout(answers).no_proxy();
        client.build().map_err(|error| error.to_string())
    }
}

fn written(folder: &Path, name: &str, text: &str) -> Result<PathBuf, String> {
    let path = folder.join(name);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map(|()| path.clone()).map_err(|error| format!("{}: {error}", path.display()))
}
