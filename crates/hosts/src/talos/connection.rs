//! A connection to a node, and calls over it.
//!
//! The connection is made and proven before any call: Talos takes or refuses a client's certificate only after the
//! handshake of TLS 1.3, and then says so where its first frame of HTTP/2 would be.

use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::Stream;
use hyper_util::rt::TokioIo;
use ring::digest::{SHA256, digest};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::client::Grpc;
use tonic::codegen::http::uri::{PathAndQuery, Uri};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};

use super::errors::{TalosError, TalosLayer, chain, handshake, refused};
use super::trust::{Tls, Trust, tls};
use super::wire::Wire;

/// How long each stage of connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a call may take until its answer begins, and a stream until it goes on. An upgrade's call answers when the node has
/// pulled the installer; that one has a deadline of its own.
pub(super) const CALL: Duration = Duration::from_secs(60);
/// The longest message: `GRPCMaxMessageSize` (`pkg/machinery/constants`).
const LONGEST: usize = 32 << 20;

/// An open connection to one node's API. Copies share it. It does not open itself again: a node that restarted is another
/// one, perhaps in another mode.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    channel: Channel,
    /// SHA-256 of the public key of the node's certificate, as Talos shows it.
    pub(super) fingerprint: String,
}

/// Opens a TCP connection to an address: a name, an IPv4 or an IPv6 address without brackets.
pub(super) async fn dial(address: &str, port: u16) -> Result<TcpStream, TalosError> {
    let unreachable = |layer, why: String| TalosError::Unreachable { layer, why };
    let found = tokio::net::lookup_host((address, port)).await;
    let places: Vec<_> = found.map_err(|error| unreachable(TalosLayer::Name, error.to_string()))?.collect();
    let connecting = timeout(CONNECT, TcpStream::connect(places.as_slice())).await;
    let late =
        || unreachable(TalosLayer::Tcp, format!("nothing answers at {address}:{port} within {} s", CONNECT.as_secs()));
    let stream = connecting.map_err(|_| late())?.map_err(|error| unreachable(TalosLayer::Tcp, error.to_string()))?;
    stream.set_nodelay(true).map_err(|error| unreachable(TalosLayer::Tcp, error.to_string()))?;
    Ok(stream)
}

impl Connection {
    /// Makes a connection of a stream of bytes to a node, whichever way that goes. gRPC in Go sends its settings before it reads
    /// anything (`internal/transport/http2_server.go` of grpc-go), so a node that lets us in speaks first.
    pub(super) async fn over<S>(stream: S, address: &str, trust: Trust<'_>) -> Result<Self, TalosError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let ours = |why: String| TalosError::Ours { why };
        let name = ServerName::try_from(address.to_string());
        let name = name.map_err(|_| ours(format!("`{address}` is neither an address nor a name")))?;
        let Tls { config, asked } = tls(trust).map_err(ours)?;
        let shaken = timeout(CONNECT, TlsConnector::from(config).connect(name, stream)).await;
        let shaken = shaken.map_err(|_| silent("TLS"))?;
        // One in maintenance mode asks nobody. What it says to who has no answer may be lost: it closes right after.
        if matches!(trust, Trust::Maintenance) && asked.was() {
            return Err(TalosError::NotInMaintenance);
        }
        let mut stream = shaken.map_err(|error| handshake(&error, asked.was()))?;
        let fingerprint = stream.get_ref().1.peer_certificates().and_then(|chain| fingerprint(chain.first()?));
        let mut first = Vec::with_capacity(1024);
        let read = timeout(CONNECT, stream.read_buf(&mut first)).await.map_err(|_| silent("HTTP/2"))?;
        match read {
            Ok(0) => {
                let why = "the node closed the connection before it said anything".into();
                return Err(TalosError::Unreachable { layer: TalosLayer::Connection, why });
            }
            Ok(_) => {}
            Err(error) => return Err(handshake(&error, asked.was())),
        }
        let (read, write) = tokio::io::split(stream);
        let whole = tokio::io::join(Cursor::new(first).chain(read), write);
        let channel = channel(TokioIo::new(whole)).await?;
        Ok(Self { channel, fingerprint: fingerprint.unwrap_or_default() })
    }

    fn grpc(&self) -> Grpc<Channel> {
        Grpc::new(self.channel.clone()).max_decoding_message_size(LONGEST)
    }

    /// A call that is answered with one message.
    pub(super) async fn call<M, R>(&self, path: &'static str, message: M) -> Result<R, TalosError>
    where
        M: prost::Message + Send + Sync + 'static,
        R: prost::Message + Default + Send + Sync + 'static,
    {
        self.call_within(path, message, CALL).await
    }

    /// The same with a deadline of its own.
    pub(super) async fn call_within<M, R>(
        &self,
        path: &'static str,
        message: M,
        time: Duration,
    ) -> Result<R, TalosError>
    where
        M: prost::Message + Send + Sync + 'static,
        R: prost::Message + Default + Send + Sync + 'static,
    {
        let mut grpc = self.grpc();
        let answered = timeout(time, async {
            ready(&mut grpc).await?;
            let codec = Wire::<M, R>::default();
            grpc.unary(Request::new(message), PathAndQuery::from_static(path), codec)
                .await
                .map_err(|status| refused(&status))
        });
        Ok(answered.await.map_err(|_| late(time))??.into_inner())
    }

    /// A call that is answered with a stream; each message of it is waited for a while.
    pub(super) async fn stream<M, R>(&self, path: &'static str, message: M) -> Result<Parts<R>, TalosError>
    where
        M: prost::Message + Send + Sync + 'static,
        R: prost::Message + Default + Send + Sync + 'static,
    {
        let mut grpc = self.grpc();
        let answered = timeout(CALL, async {
            ready(&mut grpc).await?;
            let (path, codec) = (PathAndQuery::from_static(path), Wire::<M, R>::default());
            grpc.server_streaming(Request::new(message), path, codec).await.map_err(|status| refused(&status))
        });
        Ok(Parts(answered.await.map_err(|_| late(CALL))??.into_inner()))
    }

    /// A call that sends a stream, and is answered with one message when all of it has come.
    pub(super) async fn send<S, M, R>(&self, path: &'static str, parts: S) -> Result<R, TalosError>
    where
        S: Stream<Item = M> + Send + 'static,
        M: prost::Message + Send + Sync + 'static,
        R: prost::Message + Default + Send + Sync + 'static,
    {
        let mut grpc = self.grpc();
        ready(&mut grpc).await?;
        let (path, codec) = (PathAndQuery::from_static(path), Wire::<M, R>::default());
        let answer = grpc.client_streaming(Request::new(parts), path, codec).await;
        Ok(answer.map_err(|status| refused(&status))?.into_inner())
    }
}

/// What comes of a call that is answered with a stream.
pub(super) struct Parts<R>(Streaming<R>);

impl<R> Parts<R> {
    /// The next part; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<R>, TalosError> {
        let next = timeout(CALL, self.0.message()).await.map_err(|_| late(CALL))?;
        next.map_err(|status| refused(&status))
    }

    /// The next part, which may be long in coming.
    pub(super) async fn whenever(&mut self) -> Result<Option<R>, TalosError> {
        self.0.message().await.map_err(|status| refused(&status))
    }

    /// All parts that are left.
    pub(super) async fn all(mut self) -> Result<Vec<R>, TalosError> {
        let mut all = Vec::new();
        while let Some(part) = self.next().await? {
            all.push(part);
        }
        Ok(all)
    }
}

async fn ready(grpc: &mut Grpc<Channel>) -> Result<(), TalosError> {
    let ready = grpc.ready().await;
    ready.map_err(|error| TalosError::Unreachable { layer: TalosLayer::Connection, why: chain(&error) })
}

fn late(time: Duration) -> TalosError {
    let why = format!("the node has not answered within {} s", time.as_secs());
    TalosError::Unreachable { layer: TalosLayer::Connection, why }
}

fn silent(what: &str) -> TalosError {
    let why = format!("the node does not say anything of {what} within {} s", CONNECT.as_secs());
    TalosError::Unreachable { layer: TalosLayer::Tls, why }
}

/// gRPC over a connection that is there: whoever asks for another one is told that there is none.
async fn channel<S>(stream: TokioIo<S>) -> Result<Channel, TalosError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = once.lock().ok().and_then(|mut stream| stream.take());
        let ended = || std::io::Error::new(std::io::ErrorKind::NotConnected, "the connection to the node has ended");
        std::future::ready(stream.ok_or_else(ended))
    });
    // The name is that of no host: where calls go is settled. TLS is below this already.
    let endpoint = Endpoint::from_static("http://node").origin(Uri::from_static("https://node"));
    let connecting = endpoint.connect_with_connector(connector).await;
    connecting.map_err(|error| TalosError::Unreachable { layer: TalosLayer::Connection, why: chain(&error) })
}

/// As `talosctl` takes it in `--cert-fingerprint`, and a node in maintenance mode shows it on its console: the SHA-256 of the
/// certificate's public key, in Base64 (`siderolabs/crypto` `x509/fingerprint.go`).
fn fingerprint(certificate: &CertificateDer<'_>) -> Option<String> {
    let public = ParsedCertificate::try_from(certificate).ok()?.subject_public_key_info();
    Some(STANDARD.encode(digest(&SHA256, &public)))
}
