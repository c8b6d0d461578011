//! Elasticsearch and Kibana, by Elastic's operator. Elastic's own charts of Elasticsearch ended with 8.5.1 and name it.
//! <https://github.com/elastic/cloud-on-k8s/tree/v3.4.1/deploy/eck-operator>

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::ids::{Namespace, ReleaseName};
use kubewright_model::object::Manifest;
use kubewright_model::spec::logs::Elasticsearch;
use kubewright_model::spec::verify::PodCheck;
use kubewright_model::version::Version;
use serde_json::{Value, json};

use super::Recommended;
use crate::context::SecretNames;
use crate::context::groups::group_after;

/// It works with Kubernetes 1.31 to 1.36 and Elasticsearch 8 and 9.
pub(super) const OPERATOR: Recommended = Recommended {
    name: "elastic-operator",
    repository: "https://helm.elastic.co",
    chart: "eck-operator",
    version: "3.4.1",
};

/// What the operator of this version is tested with, of those that Fluentd's image has a client for.
const VERSION: &str = "8.19.16";

/// The operator names everything after it: the Service `elasticsearch-es-http`.
const NAME: &str = "elasticsearch";

/// Where Fluentd writes to: a data stream, which Elasticsearch itself cuts into pieces and clears.
pub(super) const STREAM: &str = "kubernetes-logs";

/// The user that may only add logs, and the Secret with its password.
pub(super) const WRITER: &str = "fluentd";
pub(super) const WRITER_SECRET: &str = "elasticsearch-fluentd";
/// The Secret with the certificate that the operator makes, for whoever connects.
pub(super) const AUTHORITY: &str = "elasticsearch-es-http-certs-public";
pub(super) const HOST: &str = "elasticsearch-es-http";

/// What the writer may do: have its template, and add documents to its stream.
/// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/security-privileges.html>
fn roles() -> String {
    format!(
        "{WRITER}:\n  cluster: [monitor, manage_index_templates]\n  indices:\n    - names: ['{STREAM}*']\n      \
         privileges: [auto_configure, create_doc]\n"
    )
}

pub(super) fn namespace(elasticsearch: &Elasticsearch) -> Namespace {
    elasticsearch.namespace.clone().unwrap_or_else(|| "logging".into())
}

pub(super) fn operator_name() -> ReleaseName {
    OPERATOR.name.into()
}

pub(super) fn operator(elasticsearch: &Elasticsearch) -> DesiredRelease {
    let plain = &elasticsearch.operator;
    OPERATOR.release("elastic-system".into(), NAME, plain.version.as_ref(), json!({}), &plain.values)
}

/// The users, Elasticsearch and Kibana. The operator's webhook judges the last two, so they come after it.
pub(super) fn objects(elasticsearch: &Elasticsearch, secrets: &mut SecretNames) -> DesiredObjects {
    let namespace = namespace(elasticsearch);
    let version = elasticsearch.version.clone().unwrap_or_else(|| Version::known(VERSION)).bare();
    let elastic = secrets.value("elasticsearch-elastic", elasticsearch.password.as_ref());
    let writer = secrets.value("elasticsearch-fluentd", None);
    let user = |secret: &str, name: &str, password: String, role: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/basic-auth",
            "metadata": { "name": secret, "namespace": namespace },
            "stringData": { "username": name, "password": password, "roles": role },
        })
    };
    let mut objects = vec![
        // Who brings a user `elastic` of his own keeps the operator from making another.
        user("elasticsearch-elastic", "elastic", elastic, "superuser"),
        user(WRITER_SECRET, WRITER, writer, WRITER),
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "elasticsearch-roles", "namespace": namespace },
            "stringData": { "roles.yml": roles() },
        }),
        json!({
            "apiVersion": "elasticsearch.k8s.elastic.co/v1",
            "kind": "Elasticsearch",
            "metadata": { "name": NAME, "namespace": namespace },
            "spec": {
                "version": version,
                "auth": {
                    "fileRealm": [{ "secretName": "elasticsearch-elastic" }, { "secretName": WRITER_SECRET }],
                    "roles": [{ "secretName": "elasticsearch-roles" }],
                },
                "nodeSets": [nodes(elasticsearch)],
            },
        }),
    ];
    if elasticsearch.kibana {
        objects.push(json!({
            "apiVersion": "kibana.k8s.elastic.co/v1",
            "kind": "Kibana",
            "metadata": { "name": "kibana", "namespace": namespace },
            "spec": {
                "version": version,
                "count": 1,
                "elasticsearchRef": { "name": NAME },
                // A route leads to it in plain HTTP, as to every other Service.
                "http": { "tls": { "selfSignedCertificate": { "disabled": true } } },
            },
        }));
    }
    group_after(NAME, NAME, operator_name(), objects.into_iter().map(Manifest).collect())
}

/// What the operator makes is of no release: its pods have these labels.
/// <https://github.com/elastic/cloud-on-k8s/blob/v3.4.1/pkg/controller/elasticsearch/label/label.go>,
/// <https://github.com/elastic/cloud-on-k8s/blob/v3.4.1/pkg/controller/kibana/label/label.go>
pub(super) fn pods(elasticsearch: &Elasticsearch) -> Vec<(&'static str, PodCheck)> {
    let running = |selector: &str, at_least| PodCheck {
        namespace: Some(namespace(elasticsearch)),
        selector: Some(selector.into()),
        at_least,
        per_node: false,
    };
    let mut pods =
        vec![(NAME, running("elasticsearch.k8s.elastic.co/cluster-name=elasticsearch", elasticsearch.nodes))];
    if elasticsearch.kibana {
        pods.push(("kibana", running("kibana.k8s.elastic.co/name=kibana", 1)));
    }
    pods
}

fn nodes(elasticsearch: &Elasticsearch) -> Value {
    let memory = elasticsearch.memory.to_string();
    // Mapped files want a setting of the host (vm.max_map_count) that no pod may change.
    // <https://www.elastic.co/guide/en/cloud-on-k8s/3.0/k8s-virtual-memory.html>
    let mut config = json!({ "node.store.allow_mmap": false });
    if let Some(retention) = elasticsearch.retention {
        // It is of all streams without one of their own, and so it can be changed later. Since 8.16.
        // <https://www.elastic.co/guide/en/elasticsearch/reference/8.16/data-stream-lifecycle-settings.html>
        let hours = retention.duration().as_secs().div_ceil(3600);
        config["data_streams.lifecycle.retention.default"] = format!("{hours}h").into();
    }
    let mut nodes = json!({
        "name": "default",
        "count": elasticsearch.nodes,
        "config": config,
        "podTemplate": { "spec": { "containers": [{
            "name": "elasticsearch",
            "resources": { "requests": { "memory": memory }, "limits": { "memory": memory } },
        }] } },
    });
    match elasticsearch.storage {
        Some(size) => {
            nodes["volumeClaimTemplates"] = json!([{
                "metadata": { "name": "elasticsearch-data" },
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": { "requests": { "storage": size.to_string() } },
                },
            }]);
        }
        // Without a word the operator claims a volume.
        None => {
            nodes["podTemplate"]["spec"]["volumes"] = json!([{ "name": "elasticsearch-data", "emptyDir": {} }]);
        }
    }
    nodes
}
