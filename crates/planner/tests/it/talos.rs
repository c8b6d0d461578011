//! Machine configurations of Talos: as they are read by people, and as Talos' own schema judges them.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the planner reads no files and says nothing, its tests do"
)]

use std::path::{Path, PathBuf};

use kubewright_model::host::HostResource;
use kubewright_model::spec::load;
use kubewright_model::talos::MachineConfig;
use kubewright_planner::lower::lower;
use serde_json::Value;

const SPEC: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes:
    distribution: talos
    version: KUBERNETES
    talos:
      version: TALOS
      installDisk: /dev/nvme0n1
      extensions: [siderolabs/iscsi-tools]
      interface: eth0
      patches: [{ machine: { certSANs: [talos.lab] } }]
    endpoint: { virtualIp: { address: 10.0.0.9 }, alternativeNames: [api.lab] }
    cni: CNI
  network:
    cidr: 10.0.0.0/24
    gateway: 10.0.0.1
    nameservers: [10.0.0.1]
    searchDomains: [lab]
    vlan: 111
    others: { maintenance: { cidr: 10.1.0.0/24 } }
  pools:
    control-plane:
      role: server
      names: [one, two, three]
      addresses: [10.0.0.11-13]
      existing: { maintenanceAddresses: [10.1.0.11-13] }
    worker:
      role: agent
      names: [four]
      addresses: [10.0.0.14]
      labels: { disk: fast }
      taints: ["dedicated=db:NoSchedule", "spare:NoExecute"]
      existing: {}
      talos:
        installDisk: /dev/sdb
        nodes: { four: { patches: [{ machine: { certSANs: [four.lab] } }] } }
"#;

fn configs(talos: &str, kubernetes: &str, cni: &str) -> Vec<(String, MachineConfig)> {
    let text = SPEC.replace("TALOS", talos).replace("KUBERNETES", kubernetes).replace("CNI", cni);
    let loaded = load(&text).unwrap_or_else(|found| panic!("{found:#?}"));
    let (desired, found) = lower(&loaded.file);
    assert!(found.is_empty(), "{found:#?}");
    let of = |resource: &HostResource| match resource {
        HostResource::MachineConfig(config) => Some(config.clone()),
        _ => None,
    };
    let hosts = desired.hosts.iter();
    hosts.map(|host| (host.name.to_string(), host.resources.iter().find_map(of).unwrap())).collect()
}

const CILIUM: &str = "{ cilium: { version: 1.18.3 } }";

/// The documents as YAML, as Talos gets them but for the secrets.
fn yaml(config: &MachineConfig) -> String {
    let documents = config.documents().into_iter().map(|document| serde_saphyr::to_string(&document).unwrap());
    documents.collect::<Vec<_>>().join("---\n")
}

#[test]
fn one_document_says_everything_until_v1_11() {
    let configs = configs("v1.11.5", "v1.34.0", CILIUM);
    insta::assert_snapshot!("talos_1_11_server", yaml(&configs[0].1));
    insta::assert_snapshot!("talos_1_11_worker", yaml(&configs[3].1));
}

#[test]
fn the_network_has_documents_of_its_own_from_v1_12_on() {
    insta::assert_snapshot!("talos_1_12_server", yaml(&configs("v1.12.4", "v1.35.0", "{}")[0].1));
}

#[test]
fn each_part_has_a_document_from_v1_14_on() {
    let configs = configs("v1.14.0", "v1.36.2", "{}");
    insta::assert_snapshot!("talos_1_14_server", yaml(&configs[0].1));
    insta::assert_snapshot!("talos_1_14_worker", yaml(&configs[3].1));
}

/// Talos' own schema, where it is beside the project. It is v1.14's, which has no form for what older versions are told.
fn schema() -> Option<Value> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = |folder: &Path| -> PathBuf { folder.join("shared/schemas/talos-machine-config.schema.json") };
    let path = here.ancestors().map(beside).find(|path| path.is_file())?;
    let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    // Its comment gives this kind another name than its code registers (`unattended_install.go`, v1.14).
    let kind = schema.pointer_mut("/$defs/runtime.UnattendedInstallConfigV1Alpha1/properties/kind/enum");
    *kind.unwrap() = serde_json::json!(["UnattendedInstallConfig"]);
    Some(schema)
}

#[test]
fn talos_own_schema_takes_every_document() {
    let Some(schema) = schema() else {
        println!("skipped: no shared/schemas/talos-machine-config.schema.json beside the project");
        return;
    };
    let judge = jsonschema::validator_for(&schema).unwrap();
    let mut wrong = Vec::new();
    for cni in [CILIUM, "{}", "{ flannel: {} }"] {
        for (node, config) in configs("v1.14.0", "v1.36.2", cni) {
            for document in filled(config.documents()) {
                // `oneOf` says of each form why it is none, so the one that it is meant to be is asked.
                wrong.extend(why_not(&judge, &schema, &document).map(|why| format!("{node}, {cni}: {why}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A judge that takes everything would judge nothing.
    let unknown = serde_json::json!({ "apiVersion": "v1alpha1", "kind": "HostnameConfig", "hostnam": "one" });
    assert!(!judge.is_valid(&unknown));
}

fn why_not(judge: &jsonschema::Validator, schema: &Value, document: &Value) -> Option<String> {
    if judge.is_valid(document) {
        return None;
    }
    let kind = document.get("kind").and_then(Value::as_str);
    let is_of = |definition: &Value| match kind {
        Some(kind) => definition["properties"]["kind"]["enum"] == serde_json::json!([kind]),
        None => definition["properties"].get("machine").is_some() && definition["properties"].get("cluster").is_some(),
    };
    let Some((name, _)) = schema["$defs"].as_object()?.iter().find(|(_, definition)| is_of(definition)) else {
        return Some(format!("there is no kind {kind:?}"));
    };
    let mut one = schema.clone();
    one["oneOf"] = serde_json::json!([{ "$ref": format!("#/$defs/{name}") }]);
    let errors = jsonschema::validator_for(&one).unwrap();
    let errors: Vec<String> = errors.iter_errors(document).map(|error| format!("{error:?}")).collect();
    Some(format!("{kind:?}: {}", errors.join("; ")))
}

/// Secrets are text of some form, which the schema does not look at.
fn filled(documents: Vec<Value>) -> Vec<Value> {
    let text = Value::from(documents).to_string().replace("‹hole:", "").replace('›', "");
    serde_json::from_str(&text).unwrap()
}
