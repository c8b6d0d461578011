//! Fluentd: it reads the logs of all pods on its node and sends them to Elasticsearch.
//! <https://github.com/fluent/helm-charts/tree/fluentd-0.6.0/charts/fluentd>

use kubewright_model::desired::DesiredRelease;
use kubewright_model::spec::logs::Elasticsearch;
use serde_json::json;

use super::{Recommended, elasticsearch};

pub(super) const CHART: Recommended = Recommended {
    name: "fluentd",
    repository: "https://fluent.github.io/helm-charts",
    chart: "fluentd",
    version: "0.6.0",
};

/// Where the chart puts its files, and where ours is put that it does not read itself.
const FOLDER: &str = "/etc/fluent/config.d";
const TEMPLATE: &str = "template.json";
/// Where the operator's certificate is mounted.
const TRUST: &str = "/etc/elasticsearch";

/// What comes in: as the chart has it, but containerd writes the host's own time (`+02:00`), and the chart knows but UTC.
/// <https://docs.fluentd.org/configuration/parse-section#time-parameters>
const SOURCES: &str = r"<source>
  @type tail
  @id in_tail_container_logs
  @label @KUBERNETES
  path /var/log/containers/*.log
  pos_file /var/log/fluentd-containers.log.pos
  tag kubernetes.*
  read_from_head true
  <parse>
    @type regexp
    expression /^(?<time>[^ ]+) (?<stream>stdout|stderr)( (.))? (?<log>.*)$/
    time_format %iso8601
  </parse>
  emit_unmatched_lines true
</source>
<source>
  @type prometheus
  bind 0.0.0.0
  port 24231
  metrics_path /metrics
</source>
";

/// What goes out: the chart's own output has a user and a password in clear text, and writes in plain HTTP.
/// <https://github.com/uken/fluent-plugin-elasticsearch/tree/v5.4.4>, which is in the chart's image.
fn output() -> String {
    let (host, stream, writer) = (elasticsearch::HOST, elasticsearch::STREAM, elasticsearch::WRITER);
    format!(
        r##"<label @OUTPUT>
  <match **>
    @type elasticsearch
    scheme https
    host {host}
    port 9200
    user {writer}
    password "#{{ENV['ELASTICSEARCH_PASSWORD']}}"
    ca_file {TRUST}/ca.crt
    # Elasticsearch is not asked for its version, it may start after Fluentd.
    verify_es_version_at_startup false
    default_elasticsearch_version 8
    # A Service stands before all nodes: their own addresses are not asked for.
    reload_connections false
    reload_on_failure true
    reconnect_on_error true
    request_timeout 30s
    # A data stream takes nothing but new documents with a time.
    index_name {stream}
    write_operation create
    include_timestamp true
    template_name {stream}
    template_file {FOLDER}/{TEMPLATE}
    template_overwrite true
    use_legacy_template false
    log_es_400_reason true
    <buffer>
      @type file
      path /var/log/fluentd-buffers/elasticsearch
      flush_interval 5s
      retry_max_interval 1m
      retry_forever true
      chunk_limit_size 8M
      total_limit_size 512M
      overflow_action drop_oldest_chunk
    </buffer>
  </match>
</label>
"##
    )
}

/// The stream's settings. Labels of pods are taken as they are: `app` and `app.kubernetes.io/name` beside each other are
/// a text and an object of one name otherwise, and their logs would be refused.
/// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/flattened.html>
fn template(of: &Elasticsearch) -> String {
    let flattened = json!({ "type": "flattened" });
    json!({
        "index_patterns": [format!("{}*", elasticsearch::STREAM)],
        "data_stream": {},
        // Above those that Elasticsearch brings.
        "priority": 500,
        "template": {
            "lifecycle": {},
            "settings": { "number_of_replicas": u32::from(of.nodes > 1) },
            "mappings": { "properties": { "kubernetes": { "properties": {
                "labels": flattened,
                "namespace_labels": flattened,
            } } } },
        },
    })
    .to_string()
}

pub(super) fn release(of: &Elasticsearch) -> DesiredRelease {
    let password = json!({ "secretKeyRef": { "name": elasticsearch::WRITER_SECRET, "key": "password" } });
    let values = json!({
        "variant": "elasticsearch8",
        // Servers have logs too.
        "tolerations": [{ "operator": "Exists" }],
        "env": [{ "name": "ELASTICSEARCH_PASSWORD", "valueFrom": password }],
        // Where there is no Docker, its folder would be made.
        "mountDockerContainersDirectory": false,
        "volumes": [{ "name": "trust", "secret": { "secretName": elasticsearch::AUTHORITY } }],
        "volumeMounts": [{ "name": "trust", "mountPath": TRUST, "readOnly": true }],
        // Until Elasticsearch has taken its template Fluentd answers nobody, and needs no restart for it.
        "livenessProbe": { "initialDelaySeconds": 600 },
        "fileConfigs": { "01_sources.conf": SOURCES, "04_outputs.conf": output(), TEMPLATE: template(of) },
    });
    let plain = &of.fluentd;
    let name = elasticsearch::namespace(of);
    let mut release = CHART.release(name, "elasticsearch", plain.version.as_ref(), values, &plain.values);
    release.after = vec![elasticsearch::operator_name()];
    release
}
