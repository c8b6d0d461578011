//! What Loki, Alloy, Elasticsearch and Fluentd demand.

use kubewright_model::desired::{Desired, DesiredRelease};
use serde_json::{Value, json};

use super::changed;

/// The lab with add-ons.
fn with(addons: &str) -> Desired {
    changed(&[("  loadBalancers:", &format!("  addons:\n{addons}  loadBalancers:"))])
}

fn release<'d>(desired: &'d Desired, name: &str) -> &'d DesiredRelease {
    desired.releases.iter().find(|release| release.name.as_str() == name).unwrap_or_else(|| panic!("no {name}"))
}

fn value(desired: &Desired, name: &str, path: &str) -> Value {
    release(desired, name).values.pointer(path).cloned().unwrap_or_else(|| panic!("{name} has no {path}"))
}

/// The objects of a group, one line of JSON each.
fn group(desired: &Desired, name: &str) -> Vec<String> {
    let group = desired.objects.iter().find(|group| group.name.as_str() == name);
    group.into_iter().flat_map(|group| &group.manifests).map(|manifest| manifest.0.to_string()).collect()
}

#[test]
fn logs_are_kept_in_whole_days() {
    let kept = |retention: &str, collector: &str, path: &str| {
        value(&with(&format!("    loki: {{ retention: {retention}, collector: {collector} }}\n")), "loki", path)
    };
    let tables = "/loki/config/table_manager/retention_period";
    assert_eq!(kept("168h", "promtail", tables), "168h");
    assert_eq!(kept("30h", "promtail", tables), "48h");
    // The limit alone deletes nothing.
    assert_eq!(kept("1h", "alloy", "/loki/limits_config/retention_period"), "24h");
    let compactor = json!({ "retention_enabled": true, "delete_request_store": "filesystem" });
    assert_eq!(kept("7d", "none", "/loki/compactor"), compactor);
}

#[test]
fn loki_finds_itself_in_the_domain_of_the_cluster() {
    let domain = ("  loadBalancers:", "  addons: { loki: {} }\n  loadBalancers:");
    let lab = changed(&[domain, ("kubernetes:\n", "kubernetes:\n    clusterDomain: lab.example\n")]);
    assert_eq!(value(&lab, "loki", "/global/clusterDomain"), "lab.example");
}

#[test]
fn alloy_sends_to_loki_where_it_is() {
    let lab = with("    monitoring: { namespace: watch }\n    loki: { namespace: logs }\n");
    let alloy = release(&lab, "alloy");
    assert_eq!((alloy.namespace.as_str(), alloy.part.as_str()), ("logs", "loki"));
    let config = value(&lab, "alloy", "/alloy/configMap/content");
    let config = config.as_str().unwrap();
    assert!(config.contains("url = \"http://loki.logs:3100/loki/api/v1/push\""), "{config}");
    // The chart reads it as a template of its own.
    assert!(!config.contains("{{"), "{config}");
    let source = group(&lab, "loki-datasource");
    assert!(source[0].contains(r#""namespace":"watch""#) && source[0].contains("http://loki.logs:3100"), "{source:?}");
    // Nobody looks for it where no Grafana is, and whoever has a collector elsewhere gets none.
    let alone = with("    loki: { collector: none }\n");
    assert!(group(&alone, "loki-datasource").is_empty());
    assert!(alone.releases.iter().all(|release| release.name.as_str() != "alloy"));
}

#[test]
fn promtail_comes_with_a_source_of_its_own() {
    let lab = with("    monitoring: {}\n    loki: { collector: promtail }\n");
    assert_eq!(release(&lab, "loki").chart, "loki-stack");
    assert!(group(&lab, "loki-datasource").is_empty());
}

#[test]
fn nobody_reads_the_passwords_of_elasticsearch() {
    let lab = with("    elasticsearch: { password: { env: ELASTIC } }\n");
    let objects = group(&lab, "elasticsearch");
    let secret = |name: &str| objects.iter().find(|object| object.contains(&format!("\"name\":\"{name}\""))).unwrap();
    assert!(secret("elasticsearch-elastic").contains("\"password\":\"‹hole:secret/elasticsearch-elastic›\""));
    assert!(secret("elasticsearch-fluentd").contains("\"password\":\"‹hole:secret/elasticsearch-fluentd›\""));
    assert!(lab.secrets.contains_key("elasticsearch-elastic"), "{:?}", lab.secrets);
    let fluentd = release(&lab, "fluentd").values.to_string();
    assert!(!fluentd.contains("hole:"), "{fluentd}");
    assert!(fluentd.contains("ENV['ELASTICSEARCH_PASSWORD']"), "{fluentd}");
    let from = value(&lab, "fluentd", "/env/0/valueFrom/secretKeyRef");
    assert_eq!(from, json!({ "name": "elasticsearch-fluentd", "key": "password" }));
    // All of it, and nothing else, is of one part.
    assert_eq!(release(&lab, "elastic-operator").part, "elasticsearch");
    assert_eq!(release(&lab, "fluentd").part, "elasticsearch");
}

#[test]
fn elasticsearch_holds_its_logs_where_and_as_long_as_it_is_told() {
    let set = |spec: &str| -> Value {
        let objects = group(&with(&format!("    elasticsearch: {{ {spec} }}\n")), "elasticsearch");
        let of_kind = objects.iter().find(|object| object.contains(r#""kind":"Elasticsearch""#)).unwrap();
        serde_json::from_str::<Value>(of_kind).unwrap().pointer("/spec/nodeSets/0").unwrap().clone()
    };
    let small = set("");
    // A claim would wait for ever where nothing makes volumes.
    let volume = json!([{ "name": "elasticsearch-data", "emptyDir": {} }]);
    assert_eq!(small.pointer("/podTemplate/spec/volumes").unwrap(), &volume);
    assert!(small.get("volumeClaimTemplates").is_none());
    assert_eq!(small["config"], json!({ "node.store.allow_mmap": false }));
    let large = set("nodes: 3, storage: 20Gi, memory: 4Gi, retention: 14d");
    assert_eq!(large["count"], 3);
    assert_eq!(large["config"]["data_streams.lifecycle.retention.default"], "336h");
    let claim = large.pointer("/volumeClaimTemplates/0/spec/resources/requests/storage").unwrap();
    assert_eq!(claim, "20Gi");
    let limit = large.pointer("/podTemplate/spec/containers/0/resources/limits/memory").unwrap();
    assert_eq!(limit, "4Gi");
}

#[test]
fn streams_are_copied_where_there_are_two_to_hold_them() {
    let copies = |nodes: u32| {
        let lab = with(&format!("    elasticsearch: {{ nodes: {nodes} }}\n"));
        let template = value(&lab, "fluentd", "/fileConfigs/template.json");
        let template: Value = serde_json::from_str(template.as_str().unwrap()).unwrap();
        template.pointer("/template/settings/number_of_replicas").unwrap().clone()
    };
    assert_eq!((copies(1), copies(3)), (json!(0), json!(1)));
}

#[test]
fn kibana_is_left_out_when_nobody_wants_it() {
    let kinds = |spec: &str| {
        let objects = group(&with(&format!("    elasticsearch: {{ {spec} }}\n")), "elasticsearch");
        objects.iter().filter(|object| object.contains(r#""kind":"Kibana""#)).count()
    };
    assert_eq!((kinds(""), kinds("kibana: false")), (1, 0));
}
