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
use tokio::net::TcpListener;
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
/// Connections of one address at once. A proxy or `ssh -L` is one address for all who come by it, so it is a good part of them.
const OF_ONE: usize = 512;
/// How long the headers of a request may take, and the beginning of TLS: also until the next request on a connection.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long an answer may wait for somebody who takes nothing of it. A stream of events that has nothing to say waits for nobody.
const TAKES: Duration = Duration::from_secs(30);
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
    let gate = Gate::new(tokens, hosts, tls.is_some());
    let router = router(Arc::new(Everything { fleet: fleet.clone(), gate }));
    let (ends, ended) = watch::channel(false);
    let watches = tokio::spawn(watch_over(fleet, every, ended));
    ready(at);
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let peers = Peers::default();
    let accepts = async {
        loop {
            // Who comes when all places are taken waits in the system's queue.
            let Ok(place) = connections.clone().acquire_owned().await else { return };
            let Ok((stream, from)) = listener.accept().await else {
                // No more files may be open: some will be closed in a moment.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            // Whoever has his share is hung up on, so that others find a place.
            let Some(share) = Share::of(&peers, from.ip()) else { continue };
            let _ = stream.set_nodelay(true);
            let (router, tls) = (router.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => talk(stream, router).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                            talk(stream, router).await;
                        }
                    }
                }
                drop((place, share));
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

/// How many connections each address has.
type Peers = Arc<Mutex<BTreeMap<IpAddr, usize>>>;

/// One connection of those that an address may have; it is given back at its end.
struct Share {
    peers: Peers,
    of: IpAddr,
}

impl Share {
    fn of(peers: &Peers, address: IpAddr) -> Option<Self> {
        let of = whose(address);
        let mut many = peers.lock().unwrap_or_else(PoisonError::into_inner);
        let has = many.entry(of).or_default();
        if *has >= OF_ONE {
            return None;
        }
        *has += 1;
        Some(Self { peers: peers.clone(), of })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut many = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(has) = many.get_mut(&self.of) {
            *has -= 1;
            if *has == 0 {
                many.remove(&self.of);
            }
        }
    }
}

/// Whom an address is counted as: one host of IPv6 has all addresses of its /64.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into(),
        four => four,
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TAKES));
    let mut talks = http1::Builder::new();
    talks.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_headers(HEADERS);
    // What a connection ends with is its other side's business.
    let _ = talks.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router)).await;
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
