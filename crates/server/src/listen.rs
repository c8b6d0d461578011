//! Listening: connections one by one, with an end to everything that somebody could hold up.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::ring::default_provider};

use crate::api::{Everything, router};
use crate::cluster::{Fleet, watch_over};
use crate::gate::{Gate, Tokens};

/// Connections at once: each page that is open has one or two.
const CONNECTIONS: usize = 1024;
/// Connections of one address: nobody takes all places, and whoever comes through a proxy has company.
const OF_ONE: usize = 512;
/// How long the headers of a request may take, and the beginning of TLS: also until the next request on a connection.
/// And how long somebody may read nothing of an answer that is there.
const PATIENCE: Duration = Duration::from_secs(15);
/// Headers of a request at most.
const HEADERS: usize = 64;

/// Where is listened, and as whom.
#[derive(Clone, Debug)]
pub struct Address {
    /// The address and port.
    pub socket: SocketAddr,
    /// The certificate with its chain, and its key: PEM files. Off loopback there has to be one.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Names by which browsers may call it, beside the address and `localhost`.
    pub hosts: Vec<String>,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Everybody on the way would read along.
    #[error("{0} is not on loopback, and there is no certificate")]
    Open(SocketAddr),
    /// The certificate or its key cannot be used.
    #[error("{}: {why}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Nobody can listen there.
    #[error("cannot listen at {socket}")]
    Listen {
        /// The address.
        socket: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Serves a fleet until `over` ends. `ready` hears the address that is listened at, with its real port.
///
/// # Errors
///
/// Nobody can listen there, or would have to without TLS.
pub async fn serve(
    fleet: Arc<Fleet>,
    tokens: Tokens,
    address: &Address,
    every: Duration,
    ready: impl FnOnce(SocketAddr),
    over: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let tls = address.tls.as_ref().map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
    if tls.is_none() && !address.socket.ip().is_loopback() {
        return Err(ServeError::Open(address.socket));
    }
    let listener = TcpListener::bind(address.socket).await;
    let at = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (at, listener) = at.map_err(|source| ServeError::Listen { socket: address.socket, source })?;
    let mut hosts: BTreeSet<String> = address.hosts.iter().map(|name| name.to_ascii_lowercase()).collect();
    hosts.insert(at.ip().to_string());
    if at.ip().is_loopback() {
        hosts.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
    }
    let gate = Gate::new(tokens, hosts, at.port(), tls.is_some());
    let router = router(Arc::new(Everything { fleet: fleet.clone(), gate }));
    let (ends, ended) = watch::channel(false);
    let watches = tokio::spawn(watch_over(fleet, every, ended));
    ready(at);
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let guests = Guests::default();
    let accepts = async {
        loop {
            // Who comes when all places are taken waits in the system's queue.
            let Ok(place) = connections.clone().acquire_owned().await else { return };
            let Ok((stream, from)) = listener.accept().await else {
                // No more files may be open: some will be closed in a moment.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Some(guest) = guests.comes(from.ip()) else { continue };
            let (router, tls) = (router.clone(), tls.clone());
            tokio::spawn(async move {
                let stream = patient(stream);
                match tls {
                    None => talk(stream, router).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                            talk(stream, router).await;
                        }
                    }
                }
                drop((place, guest));
            });
        }
    };
    tokio::select! {
        () = accepts => {}
        () = over => {}
    }
    ends.send_replace(true);
    watches.abort();
    Ok(())
}

/// A connection that ends when its other side reads nothing for too long.
fn patient(stream: TcpStream) -> impl AsyncRead + AsyncWrite + Unpin + Send + 'static {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(PATIENCE));
    Box::pin(stream)
}

/// How many connections each address has.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// One connection of an address; it counts as long as this lives.
struct Guest(Guests, IpAddr);

impl Guests {
    /// One more of an address; none where it has too many.
    fn comes(&self, from: IpAddr) -> Option<Guest> {
        let from = household(from);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let many = all.entry(from).or_default();
        if *many >= OF_ONE {
            return None;
        }
        *many += 1;
        Some(Guest(self.clone(), from))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(many) = all.get_mut(&self.1) {
            *many -= 1;
            if *many == 0 {
                all.remove(&self.1);
            }
        }
    }
}

/// Whom an address stands for: of IPv6, everybody has 2^64 at least.
fn household(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let mut talks = http1::Builder::new();
    talks.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_headers(HEADERS);
    // What a connection ends with is its other side's business.
    let _ = talks.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, ServeError> {
    let wrong = |path: &Path, why: String| ServeError::Tls { path: path.to_path_buf(), why };
    let chain = CertificateDer::pem_file_iter(certificate).map_err(|error| wrong(certificate, error.to_string()))?;
    let chain: Result<Vec<_>, _> = chain.collect();
    let chain = chain.map_err(|error| wrong(certificate, error.to_string()))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.to_string()))?;
    let config =
        ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let config = config.and_then(|config| config.with_no_client_auth().with_single_cert(chain, secret));
    let mut config = config.map_err(|error| wrong(certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
