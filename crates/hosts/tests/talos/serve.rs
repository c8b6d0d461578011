//! A node's port: who is let in with which role, and which call is which.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use hyper::body::Incoming;
use hyper::http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kubewright_hosts::talos::wire::{Chunk, Wire};
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Status, Streaming};

use super::machine::{Node, Stage};

const PORT: u16 = 50000;

/// Answers at a node's address until it is stopped; its connections end with it.
pub(super) async fn serve(node: Arc<Node>, stage: Stage, acceptor: TlsAcceptor) {
    let listener = loop {
        match TcpListener::bind((node.address, PORT)).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    node.with(|state| state.stage = stage);
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (node, acceptor) = (node.clone(), acceptor.clone());
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first().cloned());
            let role = match shown {
                Some(certificate) if certificate.windows(8).any(|part| part == b"os:admin") => Role::Admin,
                _ => Role::Reader,
            };
            let service = hyper::service::service_fn(move |request| {
                let node = node.clone();
                async move {
                    if node.with(|state| state.stage != stage) {
                        // It is away already, and the connection not yet.
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, Infallible>(super::api::answer(node, role, request).await)
                }
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // A client that goes away is no fault.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// What a client may do.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    Admin,
    Reader,
}

pub(super) type Asked = Request<Incoming>;
pub(super) type Answered = Response<Body>;

/// A call with one message and one answer.
pub(super) async fn unary<M, R>(request: Asked, deed: impl FnOnce(M) -> Result<R, Status>) -> Answered
where
    M: Message + Default + Send + 'static,
    R: Message + Send + 'static,
{
    let mut deed = Some(deed);
    let service = tower::service_fn(|message: tonic::Request<M>| {
        let deed = deed.take().unwrap();
        ready(deed(message.into_inner()).map(tonic::Response::new))
    });
    Grpc::new(Wire::<R, M>::default()).unary(service, request).await
}

/// A call that is answered with a stream.
pub(super) async fn streamed<M, R>(request: Asked, deed: impl FnOnce(M) -> Result<Vec<R>, Status>) -> Answered
where
    M: Message + Default + Send + 'static,
    R: Message + Send + Sync + 'static,
{
    let mut deed = Some(deed);
    let service = tower::service_fn(|message: tonic::Request<M>| {
        let deed = deed.take().unwrap();
        let parts = deed(message.into_inner());
        let parts =
            parts.map(|parts| tonic::Response::new(stream::iter(parts.into_iter().map(Ok::<R, Status>)).boxed()));
        ready(parts as Result<tonic::Response<BoxStream<'static, Result<R, Status>>>, Status>)
    });
    Grpc::new(Wire::<R, M>::default()).server_streaming(service, request).await
}

/// A call that sends a stream of bytes.
pub(super) async fn received<R>(request: Asked, deed: impl FnOnce(Vec<u8>) -> Result<R, Status>) -> Answered
where
    R: Message + Send + 'static,
{
    let mut deed = Some(deed);
    let service = tower::service_fn(|parts: tonic::Request<Streaming<Chunk>>| {
        let deed = deed.take().unwrap();
        async move {
            let (mut parts, mut bytes) = (parts.into_inner(), Vec::new());
            while let Some(part) = parts.message().await? {
                bytes.extend(part.bytes);
            }
            deed(bytes).map(tonic::Response::new)
        }
    });
    Grpc::new(Wire::<R, Chunk>::default()).client_streaming(service, request).await
}

/// A refusal, whatever was asked.
pub(super) fn refusal(status: Status) -> Answered {
    status.into_http()
}
