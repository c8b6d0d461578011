//! What proves that the cluster works.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{Namespace, NodeName, ObjectName};
use crate::net::{HostPort, ServiceRef};
use crate::object::ObjectKey;
use crate::spec::forms;

/// What proves that the cluster works. That all nodes are Ready and all system pods run is always checked.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verify {
    /// Pods: how many run at least, and none that crashes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<PodCheck>,
    /// Deployments, DaemonSets and StatefulSets that are rolled out, Jobs that are done, claims that are bound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<WorkloadCheck>,
    /// Objects of any kind that are there: a Secret, a ConfigMap, a ClusterIssuer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectCheck>,
    /// Services of type LoadBalancer that have an address: `namespace/name`. Those of the spec itself are always checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<ObjectKey>,
    /// URLs that answer, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub urls: IndexMap<String, UrlCheck>,
    /// Back-end services that answer in their own protocol, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub services: IndexMap<String, ServiceCheck>,
    /// Certificates that are Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<CertificateCheck>,
    /// ArgoCD applications that are Synced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applications: Option<ApplicationCheck>,
    /// Every target of every load balancer is healthy.
    #[serde(default)]
    pub load_balancers: bool,
    /// URLs that answer on every node, by name; `{node}` stands for the node's address.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub each_node: IndexMap<String, UrlCheck>,
}

/// Pods of a namespace, or of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodCheck {
    /// The namespace; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// Labels that the pods have: `app.kubernetes.io/name=grafana`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// How many run at least.
    #[serde(default = "one")]
    pub at_least: u32,
    /// One pod on each node.
    #[serde(default)]
    pub per_node: bool,
}

fn one() -> u32 {
    1
}

/// What runs pods, or keeps what they write.
// In Kubernetes' own words, as `kubectl get` takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadKind {
    /// All its pods are of its newest form, and available.
    Deployment,
    /// The same, one on each node that takes it.
    DaemonSet,
    /// All its pods are of its newest form, and ready.
    StatefulSet,
    /// It is done, and has not failed.
    Job,
    /// It is bound to a volume.
    PersistentVolumeClaim,
}

impl WorkloadKind {
    /// The kind as objects name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::DaemonSet => "DaemonSet",
            Self::StatefulSet => "StatefulSet",
            Self::Job => "Job",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
        }
    }
}

/// A workload, or all of a kind in a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadCheck {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name; without it, all of the kind that the namespace has, of which there must be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ObjectName>,
}

impl std::fmt::Display for WorkloadCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} {}/{name}", self.kind.word(), self.namespace),
            None => write!(f, "every {} in {}", self.kind.word(), self.namespace),
        }
    }
}

/// Objects of a kind that are there. Only their names are read, and not what is in them, unless they have to be Ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectCheck {
    /// Their kind, as kubectl takes it: `Secret`, `ClusterIssuer`, `Certificate.cert-manager.io`.
    #[schemars(length(min = 1))]
    pub kind: String,
    /// Their namespace; without it, all, or none where the kind has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// Objects that must be among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<ObjectName>,
    /// How many there are at least.
    #[serde(default = "one")]
    pub at_least: u32,
    /// Their condition `Ready` holds: of those that are named, else of all.
    #[serde(default)]
    pub ready: bool,
}

impl ObjectCheck {
    /// Whether it asks for objects of this kind: its name, or with the group.
    pub fn is_of(&self, kind: &str, kind_of_group: &str) -> bool {
        self.kind == kind || self.kind == kind_of_group
    }

    /// Whether it asks for an object that is called so.
    pub fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted.as_str() == name)
    }
}

impl std::fmt::Display for ObjectCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        match self.names.as_slice() {
            [] => {
                let place = self.namespace.as_ref().map(|namespace| format!(" in {namespace}")).unwrap_or_default();
                write!(f, "{}{place}", self.kind)
            }
            names => {
                let names: Vec<String> = names.iter().map(|name| format!("{place}{name}")).collect();
                write!(f, "{} {}", self.kind, names.join(", "))
            }
        }
    }
}

/// A URL that answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UrlCheck {
    /// The URL.
    #[schemars(with = "forms::CheckedAddress")]
    pub url: String,
    /// The `Host` header, where it differs from the URL's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Host>")]
    pub host: Option<String>,
    /// The answers that are right.
    #[serde(default = "ok_only")]
    #[schemars(length(min = 1))]
    pub status: Vec<u16>,
}

fn ok_only() -> Vec<u16> {
    vec![200]
}

/// A protocol that a service greets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceProtocol {
    /// The port opens.
    Tcp,
    /// PostgreSQL.
    Postgresql,
    /// MySQL and MariaDB.
    Mysql,
    /// Redis.
    Redis,
    /// AMQP 0-9-1, as RabbitMQ speaks it.
    Amqp,
    /// HTTP.
    Http,
    /// S3, as MinIO speaks it.
    S3,
}

impl ServiceProtocol {
    /// Its name as people write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Postgresql => "PostgreSQL",
            Self::Mysql => "MySQL",
            Self::Redis => "Redis",
            Self::Amqp => "AMQP",
            Self::Http => "HTTP",
            Self::S3 => "S3",
        }
    }
}

/// A back-end service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceCheck {
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<HostPort>,
    /// Where it is, when it is a Service of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// The protocol that it greets in.
    pub protocol: ServiceProtocol,
    /// The node from which it is reached; without it, each server. Nothing is installed there: the greeting goes through the
    /// SSH connection, whose daemon must let us (`AllowTcpForwarding`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NodeName>,
    /// It speaks TLS from the first byte on; PostgreSQL and MySQL are asked for it in their own words. The greeting must come
    /// through it. Whether the certificate is right is not looked at: who greets is not who is trusted.
    #[serde(default)]
    pub tls: bool,
}

/// cert-manager's Certificates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateCheck {
    /// How many are Ready at least; all that exist must be.
    #[serde(default = "one")]
    pub at_least: u32,
    /// ClusterIssuers that are Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<ObjectName>,
}

/// ArgoCD's Applications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplicationCheck {
    /// How many there are at least; all are Synced.
    pub count: u32,
    /// Applications that must be among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<ObjectName>,
    /// Applications that must be there and Healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub healthy: Vec<ObjectName>,
    /// Applications that may still be Progressing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub progressing: Vec<ObjectName>,
}
