//! What Argo CD's repo-server is given to open secrets that lie in Git, or in Vault.
//!
//! <https://argocd-vault-plugin.readthedocs.io/en/stable/installation/>: a sidecar that fills placeholders;
//! <https://github.com/viaduct-ai/kustomize-sops#argo-cd-helm-chart-with-custom-tooling>: a kustomize that opens SOPS files.

use kubewright_model::spec::AddOns;
use kubewright_model::spec::addons::{ArgoCd, ArgoSops, ArgoVaultPlugin};
use serde_json::{Value, json};

use super::super::vault;

/// The Secret with the key that opens SOPS files.
pub(super) const SOPS_KEY: &str = "sops-age";
/// Where its key lies.
pub(super) const SOPS_FILE: &str = "keys.txt";
/// KSOPS' image, as its own documentation has it.
const KSOPS: &str = "v4.4.0";
/// What the plugin is called: Argo CD's file of it has this name too.
const PLUGIN: &str = "argocd-vault-plugin";
/// Who Argo CD's images run as.
const ARGOCD: u32 = 999;

/// The values that they take, on top of Argo CD's own.
pub(super) fn values(addons: &AddOns, argocd: &ArgoCd, values: &mut Value) {
    if argocd.sops.is_none() && argocd.vault_plugin.is_none() {
        return;
    }
    let mut server = json!({ "volumes": [] });
    if let Some(sops) = &argocd.sops {
        // What runs programs of its own is asked for twice.
        values["configs"]["cm"] = json!({ "kustomize.buildOptions": "--enable-alpha-plugins --enable-exec" });
        of_sops(sops, &mut server);
    }
    if let Some(plugin) = &argocd.vault_plugin {
        values["configs"]["cmp"] = json!({ "create": true, "plugins": { PLUGIN: discovery() } });
        of_vault(addons, plugin, &mut server);
    }
    values["repoServer"] = server;
}

fn add(server: &mut Value, volumes: impl IntoIterator<Item = Value>) {
    if let Some(list) = server["volumes"].as_array_mut() {
        list.extend(volumes);
    }
}

fn of_sops(sops: &ArgoSops, server: &mut Value) {
    let version = sops.version.as_ref().map_or(KSOPS.to_string(), ToString::to_string);
    let tools = "custom-tools";
    server["initContainers"] = json!([{
        "name": "install-ksops",
        "image": format!("viaductoss/ksops:{version}"),
        "command": ["/bin/sh", "-c"],
        "args": ["mv ksops /custom-tools/ && mv kustomize /custom-tools/"],
        "volumeMounts": [{ "mountPath": "/custom-tools", "name": tools }],
    }]);
    server["volumeMounts"] = json!([
        { "mountPath": "/usr/local/bin/kustomize", "name": tools, "subPath": "kustomize" },
        { "mountPath": "/usr/local/bin/ksops", "name": tools, "subPath": "ksops" },
        { "mountPath": "/.config/sops/age", "name": SOPS_KEY, "readOnly": true },
    ]);
    server["env"] = json!([
        { "name": "XDG_CONFIG_HOME", "value": "/.config" },
        { "name": "SOPS_AGE_KEY_FILE", "value": format!("/.config/sops/age/{SOPS_FILE}") },
    ]);
    add(
        server,
        [json!({ "name": tools, "emptyDir": {} }), json!({ "name": SOPS_KEY, "secret": { "secretName": SOPS_KEY } })],
    );
}

/// The sidecar gets in as the repo-server's own service account.
fn of_vault(addons: &AddOns, plugin: &ArgoVaultPlugin, server: &mut Value) {
    let env = |name: &str, value: String| json!({ "name": name, "value": value });
    let mount = |path: &str, name: &str| json!({ "mountPath": path, "name": name });
    server["extraContainers"] = json!([{
        "name": PLUGIN,
        "image": plugin.image,
        "command": ["/var/run/argocd/argocd-cmp-server"],
        "securityContext": { "runAsNonRoot": true, "runAsUser": ARGOCD },
        "env": [
            env("AVP_TYPE", "vault".into()),
            env("AVP_AUTH_TYPE", "k8s".into()),
            env("AVP_K8S_ROLE", plugin.role.to_string()),
            env("VAULT_ADDR", plugin.server.clone().unwrap_or_else(|| vault::address(addons))),
        ],
        "volumeMounts": [
            mount("/var/run/argocd", "var-files"),
            mount("/home/argocd/cmp-server/plugins", "plugins"),
            mount("/tmp", "vault-plugin-tmp"),
            {
                "mountPath": "/home/argocd/cmp-server/config/plugin.yaml",
                "name": "argocd-cmp-cm",
                "subPath": format!("{PLUGIN}.yaml"),
            },
        ],
    }]);
    add(
        server,
        [
            json!({ "name": "argocd-cmp-cm", "configMap": { "name": "argocd-cmp-cm" } }),
            json!({ "name": "vault-plugin-tmp", "emptyDir": {} }),
        ],
    );
}

/// The plugin takes an application whose files hold its placeholders.
fn discovery() -> Value {
    let holds = "find . -name '*.yaml' | xargs -I {} grep \"<path\\|avp\\.kubernetes\\.io\" {} | grep .";
    json!({
        "allowConcurrency": true,
        "discover": { "find": { "command": ["sh", "-c", holds] } },
        "generate": { "command": ["argocd-vault-plugin", "generate", "."] },
        "lockRepo": false,
    })
}
