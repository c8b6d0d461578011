//! Services that are reached from outside of the cluster, at addresses of their own.

use serde::{Deserialize, Serialize};

/// A Service of type LoadBalancer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSeen {
    /// Its addresses, or host names where a cloud gives these; none as long as nobody has given it one.
    pub addresses: Vec<String>,
    /// Its ports.
    pub ports: Vec<u16>,
    /// The pods that it selects, by the word of the label `app.kubernetes.io/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// What is said of why it has no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl ServiceSeen {
    /// What people call what is behind it; nothing where nobody knows.
    pub fn title(&self) -> &str {
        match self.program.as_deref().unwrap_or_default() {
            "prometheus" => "Prometheus",
            "grafana" => "Grafana",
            "alertmanager" => "Alertmanager",
            "ingress-nginx" | "rke2-ingress-nginx" => "NGINX",
            "traefik" => "Traefik",
            "argocd-server" => "Argo CD",
            other => other,
        }
    }
}
