//! The ingress controller, and routes by host name.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::net::ServiceRef;
use crate::spec::forms;
use crate::version::Version;

/// The ingress controller: at most one of `traefik` and `nginx`. Without it: the distribution's own.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ingress {
    /// Traefik. K3s brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traefik: Option<Traefik>,
    /// ingress-nginx, from its Helm chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nginx: Option<Nginx>,
    /// No ingress controller at all, not even the distribution's.
    #[serde(default)]
    pub none: bool,
    /// Routes: a host name and the Service that it leads to.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub routes: IndexMap<String, Route>,
}

/// Traefik.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Traefik {
    /// Chart values. On K3s they go into a HelmChartConfig.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

/// How the controller's pods are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NginxMode {
    /// A few pods anywhere.
    #[default]
    Deployment,
    /// One pod on each node.
    DaemonSet,
}

/// How the controller is reached.
// In Kubernetes' own words: charts take them as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// An address of its own.
    #[default]
    LoadBalancer,
    /// A port on every node.
    NodePort,
    /// Only inside of the cluster.
    ClusterIP,
}

/// ingress-nginx.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Nginx {
    /// The chart's version.
    pub version: Version,
    /// How the pods are spread.
    #[serde(default)]
    pub mode: NginxMode,
    /// Listen on the nodes' own ports 80 and 443.
    #[serde(default)]
    pub host_network: bool,
    /// How it is reached.
    #[serde(default)]
    pub service: ServiceType,
    /// The ports on every node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_ports: Option<NodePorts>,
    /// Further chart values.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

/// Ports on every node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodePorts {
    /// For HTTP.
    pub http: u16,
    /// For HTTPS.
    pub https: u16,
}

/// Where a host name leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// The Service: `namespace/service:port`.
    pub to: ServiceRef,
    /// The path.
    #[serde(default = "root_path")]
    #[schemars(with = "forms::UrlPath")]
    pub path: String,
    /// The Secret that holds the TLS certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret: Option<crate::ids::ObjectName>,
    /// The cert-manager ClusterIssuer that makes the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<crate::ids::ObjectName>,
}

fn root_path() -> String {
    "/".into()
}
