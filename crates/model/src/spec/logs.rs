//! Logs of all pods in one place: Loki, or Elasticsearch.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::Namespace;
use crate::spec::addons::Plain;
use crate::spec::secrets::SecretRef;
use crate::units::{Size, Span};
use crate::version::Version;

/// Who reads the logs on each node and sends them to Loki.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Collector {
    /// Grafana Alloy, beside Loki 3.
    #[default]
    Alloy,
    /// Promtail with Loki 2.9, both from the chart loki-stack. Neither gets any fixes since March 2026; for clusters that
    /// have them.
    Promtail,
    /// Nobody: logs are sent from elsewhere.
    None,
}

/// Loki, and who fills it.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Loki {
    /// The version of the chart `loki`; with Promtail, that of `loki-stack`. Without it: the one that this kubewright
    /// knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The namespace. Without it: `monitoring`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// Who collects the logs of all pods.
    #[serde(default)]
    pub collector: Collector,
    /// How long logs are kept. Whole days: it is rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Span>,
    /// The size of Loki's volume; without it, logs are gone with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Size>,
    /// Further chart values; they win over ours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
    /// Alloy's chart: its version and further values.
    #[serde(default)]
    pub alloy: Plain,
}

/// Elasticsearch by Elastic's operator (ECK), Fluentd on each node, and Kibana.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Elasticsearch {
    /// The version of Elasticsearch and Kibana, 8.16 or later of 8. Without it: the one that this kubewright knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The namespace. Without it: `logging`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// How many pods hold the logs; with more than one, each log lies on two of them.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub nodes: u32,
    /// The memory of each of them. Half of it is Java's.
    #[serde(default = "memory")]
    pub memory: Size,
    /// How long logs are kept. Without it: until the volume is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Span>,
    /// The size of the volume of each of them; without it, logs are gone with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Size>,
    /// Kibana, which shows the logs.
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub kibana: bool,
    /// The password of the user `elastic`. Without it, one is made and kept as a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// Fluentd's chart: its version and further values.
    #[serde(default)]
    pub fluentd: Plain,
    /// The operator's chart (eck-operator): its version and further values.
    #[serde(default)]
    pub operator: Plain,
}

fn one() -> u32 {
    1
}

fn memory() -> Size {
    Size::from_gib(2)
}
