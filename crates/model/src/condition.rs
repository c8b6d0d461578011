//! What can be waited for in a run, and checked afterwards: the same words for both.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterName, Namespace, NodeName, ReleaseName};
use crate::net::HostPort;
use crate::object::ObjectKey;
use crate::spec::verify::{
    ApplicationCheck, CertificateCheck, ObjectCheck, PodCheck, ServiceProtocol, UrlCheck, WorkloadCheck, WorkloadKind,
};
use crate::vault::DesiredVault;

/// Something that can be waited for or checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// At least so many of these nodes are Ready; a server counts only while its API server answers, for the books hold
    /// a node as Ready for a while after its kubelet was heard last.
    NodesReady {
        /// Which.
        nodes: Vec<NodeName>,
        /// How many of them at least.
        at_least: usize,
    },
    /// No pod of `kube-system` is failing.
    SystemPods,
    /// The API answers at its endpoint.
    Api(HostPort),
    /// Pods run.
    Pods(PodCheck),
    /// A workload is rolled out, a Job is done, a claim is bound.
    Workload(WorkloadCheck),
    /// Objects are there.
    Objects(ObjectCheck),
    /// A Service of type LoadBalancer has an address.
    Address(ObjectKey),
    /// A URL answers.
    Url(UrlCheck),
    /// A URL answers on each of these nodes.
    EachNode {
        /// The URL; `{node}` stands for the node's address.
        url: UrlCheck,
        /// Which nodes.
        nodes: Vec<NodeName>,
    },
    /// A service greets, from the side of each of these nodes.
    Service {
        /// Where.
        at: HostPort,
        /// In which protocol.
        protocol: ServiceProtocol,
        /// The nodes from which it is reached.
        from: Vec<NodeName>,
        /// It speaks TLS.
        #[serde(default)]
        tls: bool,
    },
    /// A Service has these ports on every node.
    NodePorts {
        /// Which.
        service: ObjectKey,
        /// The ports.
        ports: Vec<u16>,
    },
    /// Certificates are Ready.
    Certificates(CertificateCheck),
    /// Applications are Synced.
    Applications(ApplicationCheck),
    /// A release's workloads are available.
    Release {
        /// Which.
        name: ReleaseName,
        /// Where.
        namespace: Namespace,
    },
    /// An ingress with this host name is there.
    Route {
        /// The host name.
        host: String,
    },
    /// All targets of a load balancer are healthy.
    Targets(ClusterName),
    /// Vault's servers are unsealed.
    Vault(Box<DesiredVault>),
    /// The cluster's canary says that it was restored from this bundle.
    Canary(String),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodesReady { nodes, at_least } if *at_least < nodes.len() => {
                write!(f, "{at_least} of {} nodes Ready", nodes.len())
            }
            Self::NodesReady { nodes, .. } => match nodes.as_slice() {
                [only] => write!(f, "node {only} Ready"),
                many => write!(f, "{} nodes Ready", many.len()),
            },
            Self::SystemPods => f.write_str("system pods running"),
            Self::Api(at) => write!(f, "the API answers at {at}"),
            Self::Pods(check) => {
                let place = check.namespace.as_ref().map_or("all namespaces", Namespace::as_str);
                match check.per_node {
                    true => write!(f, "one pod per node running in {place}"),
                    false => write!(f, "{} or more pods running in {place}", check.at_least),
                }
            }
            Self::Workload(check) => match check.kind {
                WorkloadKind::Deployment | WorkloadKind::DaemonSet | WorkloadKind::StatefulSet => {
                    write!(f, "{check} rolled out")
                }
                WorkloadKind::Job => write!(f, "{check} done"),
                WorkloadKind::PersistentVolumeClaim => write!(f, "{check} bound"),
            },
            Self::Objects(check) => {
                let many =
                    if check.names.is_empty() { format!("{} or more of ", check.at_least) } else { String::new() };
                write!(f, "{many}{check} {}", if check.ready { "Ready" } else { "there" })
            }
            Self::Address(service) => write!(f, "{service} has an address"),
            Self::Url(check) => match &check.host {
                Some(host) => write!(f, "{} answers for {host}", check.url),
                None => write!(f, "{} answers", check.url),
            },
            Self::EachNode { url, nodes } => write!(f, "{} answers on {} nodes", url.url, nodes.len()),
            Self::Service { at, protocol, from, tls } => {
                let over = if *tls { " over TLS" } else { "" };
                write!(f, "{at} greets as {}{over}", protocol.title())?;
                match from.as_slice() {
                    [] => Ok(()),
                    [only] => write!(f, ", from {only}"),
                    many => write!(f, ", from {} nodes", many.len()),
                }
            }
            Self::NodePorts { service, ports } => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                write!(f, "Service {service} has node ports {}", ports.join(", "))
            }
            Self::Certificates(check) => write!(f, "{} or more certificates Ready", check.at_least),
            Self::Applications(check) => write!(f, "{} applications Synced", check.count),
            Self::Release { name, namespace } => write!(f, "release {namespace}/{name} available"),
            Self::Route { host } => write!(f, "route {host}"),
            Self::Vault(_) => f.write_str("Vault unsealed"),
            Self::Targets(name) => write!(f, "targets of {name} healthy"),
            Self::Canary(bundle) => write!(f, "the canary is that of {bundle}"),
        }
    }
}
