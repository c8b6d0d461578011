//! What Cilium and Argo CD demand.

use kubewright_model::desired::Desired;
use serde_json::{Value, json};

use super::changed;

/// The lab with add-ons.
fn with(addons: &str) -> Desired {
    changed(&[("  loadBalancers:", &format!("  addons:\n{addons}  loadBalancers:"))])
}

fn value(desired: &Desired, name: &str, path: &str) -> Option<Value> {
    let release = desired.releases.iter().find(|release| release.name.as_str() == name);
    release.unwrap_or_else(|| panic!("no {name}")).values.pointer(path).cloned()
}

fn object(desired: &Desired, name: &str) -> Value {
    let mut manifests = desired.objects.iter().flat_map(|group| &group.manifests);
    let found = manifests.find(|manifest| manifest.0.pointer("/metadata/name") == Some(&json!(name)));
    found.unwrap_or_else(|| panic!("no {name}")).0.clone()
}

#[test]
fn argocd_gets_the_hash_of_a_password_and_no_password() {
    let hash = "/configs/secret/argocdServerAdminPassword";
    let made = with("    argocd: { version: 7.7.7 }\n");
    assert_eq!(value(&made, "argocd", hash), Some(json!("‹hole:secret/argocd-admin-hash›")));
    assert_eq!(made.password_hashes, [("argocd-admin-hash".to_string(), "argocd-admin".to_string())].into());
    assert!(!made.secrets.contains_key("argocd-admin"), "it is made by the run that needs it first");
    let chosen = with("    argocd: { version: 7.7.7, adminPassword: { env: ARGOCD } }\n");
    assert_eq!(chosen.secrets["argocd-admin"].env.as_deref(), Some("ARGOCD"));
    assert!(chosen.missing.is_empty());
    let shared = with("    argocd: { version: 7.7.7, adminPassword: { generate: admin } }\n");
    assert_eq!(shared.password_hashes["argocd-admin-hash"], "admin");
}

#[test]
fn repositories_are_secrets_with_a_label_and_come_before_the_root_application() {
    let lab = with(
        "    argocd:\n      version: 7.7.7\n      root: { repository: \"git@git.lan:root.git\", revision: main, path: apps, credentials: { file: key } }\n      \
         repositories:\n        charts: { url: registry.lan/charts, kind: helm, oci: true, username: me, password: { env: TOKEN } }\n        \
         all: { url: \"https://git.lan/\", prefix: true, password: { env: GIT }, insecure: true, project: shop }\n",
    );
    let label = |it: &Value| it.pointer("/metadata/labels/argocd.argoproj.io~1secret-type").cloned();
    let charts = object(&lab, "repository-charts");
    assert_eq!(label(&charts), Some(json!("repository")));
    assert_eq!(
        charts["stringData"],
        json!({ "type": "helm", "url": "registry.lan/charts", "name": "charts", "username": "me",
            "password": "‹hole:secret/argocd-repository-charts›", "enableOCI": "true" })
    );
    let all = object(&lab, "repository-all");
    assert_eq!(label(&all), Some(json!("repo-creds")));
    assert_eq!(
        all["stringData"],
        json!({ "type": "git", "url": "https://git.lan/", "username": "git",
            "password": "‹hole:secret/argocd-repository-all›", "insecure": "true", "project": "shop" })
    );
    let root = object(&lab, "repository-root-app");
    assert_eq!(root["stringData"]["sshPrivateKey"], "‹hole:secret/argocd-repository-root-app›\n");
    let at = |name: &str| lab.objects.iter().position(|group| group.name.as_str() == name).unwrap();
    assert!(at("argocd-repositories") < at("argocd-root"));
    assert!(lab.objects[at("argocd-repositories")].after.is_empty());
}

#[test]
fn argocd_asks_for_its_address_in_the_words_of_whoever_gives_it() {
    let metallb = with(
        "    metallb: { pools: { lab: [10.0.0.200-210] } }\n    argocd: { version: 7.7.7, service: LoadBalancer, address: 10.0.0.201 }\n",
    );
    assert_eq!(value(&metallb, "argocd", "/server/service/loadBalancerIP"), Some(json!("10.0.0.201")));
    assert_eq!(value(&metallb, "argocd", "/server/service/annotations"), None);
}

#[test]
fn a_run_waits_for_the_root_application_where_nothing_else_is_asked() {
    let alone = with("    argocd: { version: 7.7.7 }\n");
    assert_eq!(alone.applications, None);
    let rooted = with(
        "    argocd: { version: 7.7.7, root: { repository: \"https://git.lan/a.git\", revision: main, path: a } }\n",
    );
    let wish = rooted.applications.unwrap();
    assert_eq!((wish.check.count, wish.check.names), (1, vec!["root-app".into()]));
}

const CILIUM: &str =
    "cni: { cilium: { version: 1.18.3, l2Announcements: { pools: { lab: [10.0.0.200-210] } }, hubble: {} } }";

/// A cluster of one node, of this distribution.
fn alone(distribution: &str, version: &str, more: &str) -> Desired {
    let file = format!(
        "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{ name: lab }}\nspec:\n  kubernetes:\n    \
         distribution: {distribution}\n    version: {version}\n    {CILIUM}\n{more}  network: {{ cidr: 10.0.0.0/24, gateway: \
         10.0.0.1, nameservers: [10.0.0.1] }}\n  pools: {{ all: {{ role: both, name: one, addresses: [10.0.0.10], existing: {{}} }} }}\n"
    );
    let loaded = kubewright_model::spec::load(&file).unwrap_or_else(|found| panic!("{found:#?}"));
    let (desired, found) = crate::lower::lower(&loaded.file);
    assert!(found.iter().all(|it| it.severity != kubewright_model::diagnostic::Severity::Error), "{found:#?}");
    desired
}

#[test]
fn cilium_is_told_what_each_distribution_needs() {
    for (distribution, version, at) in [
        ("k3s", "v1.34.1+k3s1", json!(["10.0.0.10", 6443])),
        ("rke2", "v1.34.1+rke2r1", json!(["localhost", 6443])),
        ("kubeadm", "v1.34.1", json!(["10.0.0.10", 6443])),
        ("talos", "v1.34.0", json!(["localhost", 7445])),
    ] {
        let talos = if distribution == "talos" { "    talos: { version: v1.11.5 }\n" } else { "" };
        let lab = alone(distribution, version, talos);
        let of = |path: &str| value(&lab, "cilium", path);
        assert_eq!(json!([of("/k8sServiceHost"), of("/k8sServicePort")]), at, "{distribution}");
        assert_eq!(of("/ipam/mode"), Some(json!("kubernetes")), "{distribution}");
        assert_eq!(of("/kubeProxyReplacement"), Some(json!(true)), "{distribution}");
        assert_eq!(of("/operator/replicas"), Some(json!(1)), "{distribution}: two would wait for each other's node");
        assert_eq!(of("/hubble"), Some(json!({ "relay": { "enabled": true }, "ui": { "enabled": true } })));
        assert_eq!(of("/cgroup").is_some(), distribution == "talos");
        assert_eq!(of("/securityContext").is_some(), distribution == "talos");
        let release = lab.releases.iter().find(|release| release.name.as_str() == "cilium").unwrap();
        assert!(release.before_ready && release.after.is_empty(), "{distribution}: without it no node is Ready");
    }
    let other = alone("k3s", "v1.34.1+k3s1", "    clusterDomain: lab.example\n");
    assert_eq!(value(&other, "cilium", "/hubble/peerService/clusterDomain"), Some(json!("lab.example")));
    assert_eq!(value(&other, "cilium", "/hubble/relay/enabled"), Some(json!(true)));
}

#[test]
fn issuers_answer_where_they_are_asked() {
    let lab = with(
        "    certManager:\n      issuers:\n        gandi: { acme: { email: ops@lab.dev, gandi: gandi-credentials } }\n        \
         cloud: { acme: { email: ops@lab.dev, dns01: { cloudflare: { apiTokenSecretRef: { name: cloud, key: token } } } } }\n        own: { selfSigned: true }\n",
    );
    let webhook = lab.releases.iter().find(|release| release.chart == "cert-manager-webhook-gandi").unwrap();
    assert_eq!(webhook.after, ["cert-manager".into()]);
    assert_eq!(value(&lab, "cert-manager-webhook-gandi", "/certManager/namespace"), Some(json!("cert-manager")));
    let solver = |name: &str| object(&lab, name)["spec"]["acme"]["solvers"][0]["dns01"].clone();
    assert_eq!(
        solver("gandi")["webhook"]["groupName"],
        value(&lab, "cert-manager-webhook-gandi", "/groupName").unwrap()
    );
    assert_eq!(solver("cloud"), json!({ "cloudflare": { "apiTokenSecretRef": { "name": "cloud", "key": "token" } } }));
    let without = with("    certManager: { issuers: { own: { selfSigned: true } } }\n");
    assert!(!without.releases.iter().any(|release| release.chart.contains("gandi")));
}

/// A Vault that lets both of them in.
const VAULT: &str = "    vault:\n      mode: standalone\n      keyValue: [secret]\n      policies: { read: 'path \"secret/data/*\" { capabilities = [\"read\"] }' }\n      \
                     roles:\n        reader: { serviceAccounts: [external-secrets], namespaces: [external-secrets], policies: [read] }\n        \
                     argocd: { serviceAccounts: [argocd-repo-server], namespaces: [argocd], policies: [read] }\n";

#[test]
fn stores_read_from_vault_by_a_role_of_its() {
    let lab = with(&format!("{VAULT}    externalSecrets: {{ stores: {{ vault: {{ role: reader }} }} }}\n"));
    let store = object(&lab, "vault");
    let store = if store["kind"] == "Namespace" {
        let mut manifests = lab.objects.iter().flat_map(|group| &group.manifests);
        manifests.find(|it| it.0["kind"] == "ClusterSecretStore").unwrap().0.clone()
    } else {
        store
    };
    assert_eq!(store["apiVersion"], "external-secrets.io/v1");
    let account = json!({ "name": "external-secrets", "namespace": "external-secrets" });
    assert_eq!(
        store["spec"]["provider"]["vault"],
        json!({ "server": "http://vault.vault:8200", "path": "secret", "version": "v2",
            "auth": { "kubernetes": { "mountPath": "kubernetes", "role": "reader", "serviceAccountRef": account } } })
    );
    let group = lab.objects.iter().find(|group| group.name.as_str() == "secret-stores").unwrap();
    assert_eq!(group.after, ["external-secrets".into()], "its kind comes with the release");
    let several = with(&format!(
        "{}    externalSecrets: {{ stores: {{ vault: {{ role: reader }} }} }}\n",
        VAULT.replace("standalone", "ha")
    ));
    let mut manifests = several.objects.iter().flat_map(|group| &group.manifests);
    let store = manifests.find(|it| it.0["kind"] == "ClusterSecretStore").unwrap();
    assert_eq!(store.0["spec"]["provider"]["vault"]["server"], "http://vault-active.vault:8200");
}

#[test]
fn servers_of_vault_look_for_each_other() {
    let lab = with(&VAULT.replace("standalone", "ha"));
    let config = value(&lab, "vault", "/server/ha/raft/config").unwrap();
    let config = config.as_str().unwrap();
    for pod in ["vault-0", "vault-1", "vault-2"] {
        assert!(config.contains(&format!("leader_api_addr = \"http://{pod}.vault-internal:8200\"")), "{config}");
    }
    assert_eq!(lab.vault.unwrap().pods, ["vault-0", "vault-1", "vault-2"]);
    assert_eq!(with("    vault: { mode: dev }\n").vault, None, "it keeps nothing");
}

#[test]
fn a_key_of_sealed_secrets_that_is_kept_is_the_only_one() {
    let lab = with("    sealedSecrets: { key: { file: tls.key }, certificate: { file: tls.crt } }\n");
    assert_eq!(value(&lab, "sealed-secrets", "/keyrenewperiod"), Some(json!("0")));
    let kept = object(&lab, "sealed-secrets-kept");
    assert_eq!(kept["type"], "kubernetes.io/tls");
    assert_eq!(kept["metadata"]["labels"]["sealedsecrets.bitnami.com/sealed-secrets-key"], "active");
    assert_eq!(kept["stringData"]["tls.key"], "‹hole:secret/sealed-secrets-key›\n");
    let own = with("    sealedSecrets: {}\n");
    assert_eq!(value(&own, "sealed-secrets", "/keyrenewperiod"), None);
    assert_eq!(value(&own, "sealed-secrets", "/fullnameOverride"), Some(json!("sealed-secrets-controller")));
}

#[test]
fn the_repo_server_opens_what_lies_in_git() {
    let lab = with(&format!(
        "{VAULT}    argocd:\n      version: 7.7.7\n      sops: {{ ageKey: {{ file: age.key }} }}\n      vaultPlugin: {{ image: \"registry.lan/avp:1\", role: argocd }}\n"
    ));
    let of = |path: &str| value(&lab, "argocd", path).unwrap_or_else(|| panic!("no {path}"));
    assert_eq!(of("/configs/cm/kustomize.buildOptions"), "--enable-alpha-plugins --enable-exec");
    assert_eq!(of("/configs/params/server.insecure"), false, "what Argo CD has beside it stays");
    assert_eq!(of("/repoServer/initContainers/0/image"), "viaductoss/ksops:v4.4.0");
    let volumes: Vec<Value> =
        of("/repoServer/volumes").as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(volumes, ["custom-tools", "sops-age", "argocd-cmp-cm", "vault-plugin-tmp"]);
    let env = of("/repoServer/extraContainers/0/env");
    assert!(env.as_array().unwrap().contains(&json!({ "name": "VAULT_ADDR", "value": "http://vault.vault:8200" })));
    assert_eq!(object(&lab, "sops-age")["stringData"]["keys.txt"], "‹hole:secret/argocd-sops›\n");
}
