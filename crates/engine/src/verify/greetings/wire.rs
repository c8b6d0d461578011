//! What is said and heard on a connection, in the clear or over TLS.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use kubewright_hosts::Stream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// No greeting is longer; a server that goes on is cut off.
const MOST: usize = 256 * 1024;
/// Taken off the connection at once.
const PIECE: usize = 4096;

/// Why nothing more is heard.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::verify) enum Cut {
    /// The other side hung up, or the connection broke.
    End,
    /// What it says is no TLS.
    Tls(String),
}

/// A connection.
pub(in crate::verify) struct Wire {
    stream: Box<dyn Stream>,
    tls: Option<ClientConnection>,
    /// All that was heard so far, in the clear.
    pub(in crate::verify) heard: Vec<u8>,
}

impl Wire {
    pub(in crate::verify) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, tls: None, heard: Vec::new() }
    }

    /// Says something.
    pub(in crate::verify) async fn say(&mut self, words: &[u8]) -> Result<(), Cut> {
        let Some(tls) = &mut self.tls else {
            return self.stream.write_all(words).await.map_err(|_| Cut::End);
        };
        tls.writer().write_all(words).map_err(|error| Cut::Tls(error.to_string()))?;
        self.flush().await
    }

    /// Hears until so many bytes have come in all, and returns them.
    pub(in crate::verify) async fn hear(&mut self, length: usize) -> Result<&[u8], Cut> {
        while self.heard.len() < length {
            self.more().await?;
        }
        Ok(self.heard.get(..length).unwrap_or_default())
    }

    /// Hears until the end, or as much as there may be.
    pub(in crate::verify) async fn hear_all(&mut self, enough: impl Fn(&[u8]) -> bool) -> &[u8] {
        while !enough(&self.heard) && self.more().await.is_ok() {}
        &self.heard
    }

    /// Hears more.
    async fn more(&mut self) -> Result<(), Cut> {
        if self.heard.len() >= MOST {
            return Err(Cut::End);
        }
        let mut piece = vec![0; PIECE];
        let length = self.stream.read(&mut piece).await.map_err(|_| Cut::End)?;
        let mut piece = piece.get(..length).unwrap_or_default();
        if piece.is_empty() {
            return Err(Cut::End);
        }
        let Some(tls) = &mut self.tls else {
            self.heard.extend_from_slice(piece);
            return Ok(());
        };
        while !piece.is_empty() {
            tls.read_tls(&mut piece).map_err(|error| Cut::Tls(error.to_string()))?;
            let state = tls.process_new_packets().map_err(|error| Cut::Tls(error.to_string()))?;
            let mut clear = vec![0; state.plaintext_bytes_to_read()];
            tls.reader().read_exact(&mut clear).map_err(|_| Cut::End)?;
            self.heard.append(&mut clear);
        }
        self.flush().await
    }

    /// Goes on in TLS. The certificate may be anybody's: that a server is there is to be proven, and nothing is told it.
    pub(in crate::verify) async fn start_tls(&mut self, host: &str) -> Result<(), Cut> {
        self.tls = Some(client(host).map_err(|error| Cut::Tls(error.to_string()))?);
        self.flush().await?;
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            match self.more().await {
                Err(Cut::End) => return Err(Cut::Tls("it hangs up on a TLS handshake".into())),
                other => other?,
            }
        }
        Ok(())
    }

    /// The version of TLS that is spoken.
    pub(in crate::verify) fn tls_version(&self) -> Option<String> {
        let version = self.tls.as_ref()?.protocol_version()?;
        Some(format!("{version:?}").replace("TLSv1_", "TLS 1."))
    }

    /// What TLS wants to be sent.
    async fn flush(&mut self) -> Result<(), Cut> {
        let mut bytes = Vec::new();
        while let Some(tls) = &mut self.tls
            && tls.wants_write()
        {
            tls.write_tls(&mut bytes).map_err(|error| Cut::Tls(error.to_string()))?;
        }
        self.stream.write_all(&bytes).await.map_err(|_| Cut::End)
    }
}

/// The first message of a TLS handshake, for who wants to know whether TLS is spoken at all.
pub(in crate::verify) fn hello(host: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(mut client) = client(host) {
        let _ = client.write_tls(&mut bytes);
    }
    bytes
}

fn client(host: &str) -> Result<ClientConnection, Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let anybody = Arc::new(Anybody(provider));
    let config = config.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth();
    let name = ServerName::try_from(host.to_string()).map_err(|error| Error::General(error.to_string()))?;
    ClientConnection::new(Arc::new(config), name)
}

/// Takes every certificate.
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
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
