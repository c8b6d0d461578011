//! The dashboard.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use kubewright_model::units::Span;

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The specs, one for each cluster.
    #[arg(default_value = "cluster.yaml")]
    pub(crate) files: Vec<PathBuf>,
    /// Where browsers find it. Off loopback it wants a certificate.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8420")]
    pub(crate) listen: SocketAddr,
    /// A name by which browsers call it, beside the address; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
    /// A certificate with its chain, as PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The certificate's private key, as PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A file whose lines are tokens of operators, who may approve and run. Without it one is made at each start.
    #[arg(long, value_name = "FILE")]
    pub(crate) operator_token_file: Option<PathBuf>,
    /// A file whose lines are tokens of viewers, who may look.
    #[arg(long, value_name = "FILE")]
    pub(crate) viewer_token_file: Option<PathBuf>,
    /// How often clusters are looked at.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub(crate) look_every: Span,
    /// Let a pretend run last: so many seconds of it in a second.
    #[arg(long, value_name = "TIMES")]
    pub(crate) pace: Option<f64>,
    /// Print what the dashboard's HTTP API is, as OpenAPI, and end.
    #[arg(long)]
    pub(crate) openapi: bool,
}
