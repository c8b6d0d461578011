//! 07xx, the part about secrets that stand in free text: values of charts, texts of files, manifests.

use indexmap::IndexMap;
use kubewright_model::codes::{self, Code};
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use serde_json::Value;

use super::{Facts, at, settings};

/// What the names of secret values end in, in small letters and without `-`, `_` and `.`.
const ENDS: &[&str] =
    &["password", "passwd", "passphrase", "token", "secretkey", "apikey", "privatekey", "clientsecret"];

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (path, values) in values(facts) {
        for (key, value) in values {
            walk(key, value, path.then(key), found);
        }
    }
    for (name, map) in &facts.spec.config_maps {
        for (key, text) in map {
            text_rules(key, text, at("configMaps").then(name).then(key), found);
        }
    }
    for (path, settings) in settings(facts) {
        for (name, file) in &settings.files {
            // A file's name says little about its text, so only what is a key for certain is found.
            private_key(
                file.content.as_deref().unwrap_or_default(),
                path.then("files").then(name).then("content"),
                found,
            );
        }
        for (name, user) in &settings.users {
            for (index, key) in user.authorized_keys.iter().enumerate() {
                private_key(key, path.then("users").then(name).then("authorizedKeys").then(index), found);
            }
        }
    }
    for (name, source) in &facts.spec.addons.manifests {
        for (index, object) in source.objects.iter().enumerate() {
            let path = at("addons/manifests").then(name).then("objects").then(index);
            let holds = |field: &str| object.get(field).and_then(Value::as_object).is_some_and(|map| !map.is_empty());
            if object.get("kind").and_then(Value::as_str) == Some("Secret") && (holds("data") || holds("stringData")) {
                let help = "describe it under `secrets.objects`, and change the secret";
                hidden(codes::SECRET_OBJECT, path, "a Secret with its values in the manifest".into(), help, found);
                continue;
            }
            for (key, value) in object {
                walk(key, value, path.then(key), found);
            }
        }
    }
}

/// All free values: charts' and the distribution's own settings.
fn values<'a>(facts: &Facts<'a>) -> Vec<(SpecPath, &'a IndexMap<String, Value>)> {
    let spec = facts.spec;
    let addons = &spec.addons;
    let kubernetes = &spec.kubernetes;
    let mut all = vec![
        (at("kubernetes/serverConfig"), &kubernetes.server_config),
        (at("kubernetes/agentConfig"), &kubernetes.agent_config),
    ];
    let mut add = |path: &str, values: Option<&'a IndexMap<String, Value>>| {
        all.extend(values.map(|values| (at(path), values)));
    };
    add("kubernetes/cni/cilium/values", kubernetes.cni.cilium.as_ref().map(|it| &it.values));
    add("ingress/traefik/values", spec.ingress.traefik.as_ref().map(|it| &it.values));
    add("ingress/nginx/values", spec.ingress.nginx.as_ref().map(|it| &it.values));
    add("addons/metallb/values", addons.metallb.as_ref().map(|it| &it.values));
    add("addons/metricsServer/values", addons.metrics_server.as_ref().map(|it| &it.values));
    add("addons/storage/localPath/values", addons.storage.local_path.as_ref().map(|it| &it.values));
    add("addons/storage/nfsCsi/values", addons.storage.nfs_csi.as_ref().map(|it| &it.values));
    add("addons/storage/synology/values", addons.storage.synology.as_ref().map(|it| &it.values));
    add("addons/monitoring/values", addons.monitoring.as_ref().map(|it| &it.values));
    add("addons/loki/values", addons.loki.as_ref().map(|it| &it.values));
    add("addons/loki/alloy/values", addons.loki.as_ref().map(|it| &it.alloy.values));
    add("addons/elasticsearch/fluentd/values", addons.elasticsearch.as_ref().map(|it| &it.fluentd.values));
    add("addons/elasticsearch/operator/values", addons.elasticsearch.as_ref().map(|it| &it.operator.values));
    add("addons/vault/values", addons.vault.as_ref().map(|it| &it.values));
    add("addons/certManager/values", addons.cert_manager.as_ref().map(|it| &it.values));
    add("addons/argocd/values", addons.argocd.as_ref().map(|it| &it.values));
    add("addons/externalSecrets/values", addons.external_secrets.as_ref().map(|it| &it.values));
    add("addons/sealedSecrets/values", addons.sealed_secrets.as_ref().map(|it| &it.values));
    all.extend(
        addons.charts.iter().map(|(name, chart)| (at("addons/charts").then(name).then("values"), &chart.values)),
    );
    for (index, patch) in kubernetes.talos.iter().flat_map(|talos| &talos.patches).enumerate() {
        all.push((at("kubernetes/talos/patches").then(index), patch));
    }
    all
}

/// Every text below a value, with the name of the key that holds it. The file's depth is limited, so this is too.
fn walk(key: &str, value: &Value, path: SpecPath, found: &mut Vec<Diagnostic>) {
    match value {
        Value::String(text) => text_rules(key, text, path, found),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(key, item, path.then(index), found);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                walk(key, value, path.then(key), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn text_rules(key: &str, text: &str, path: SpecPath, found: &mut Vec<Diagnostic>) {
    if private_key(text, path.clone(), found) {
        return;
    }
    // A text in which something is filled in later, or the path of a file, is no secret.
    let open =
        text.is_empty() || text.contains("$(") || text.contains("${") || text.contains("{{") || text.starts_with('/');
    if !open && is_named_as_secret(key) {
        let help = "if it is a secret, write a reference: `secretValues`, `secrets.objects` or `secrets.configMaps`";
        hidden(codes::SECRET_BY_NAME, path, format!("`{key}` looks like a secret in clear text"), help, found);
    }
}

/// Whether a value is a secret by its name.
pub fn is_named_as_secret(key: &str) -> bool {
    let name: String = key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    ENDS.iter().any(|end| name.ends_with(end))
}

/// Says whether the text is or holds a private key.
fn private_key(text: &str, path: SpecPath, found: &mut Vec<Diagnostic>) -> bool {
    let is_key =
        (text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----")) || text.contains("AGE-SECRET-KEY-1");
    if is_key {
        let help = "make a new pair of keys, keep the private one elsewhere, and write only where it is";
        hidden(codes::PRIVATE_KEY, path, "a private key in clear text".into(), help, found);
    }
    is_key
}

fn hidden(code: Code, path: SpecPath, message: String, help: &str, found: &mut Vec<Diagnostic>) {
    let mut diagnostic = Diagnostic::new(code, path, message).help(help);
    diagnostic.secret = true;
    found.push(diagnostic);
}
