//! 08xx, the part about add-ons.

use std::collections::BTreeMap;

use kubewright_model::codes::{self, Code};
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::ids::{ObjectName, ReleaseName};
use kubewright_model::spec::addons::{Acme, ArgoCd, ArgoRepositoryKind, Issuer, ManifestSource, Vault, VaultMode};
use kubewright_model::spec::forms::web;
use kubewright_model::spec::ingress::ServiceType;
use kubewright_model::spec::{Chart, Distribution, Role};
use serde_json::Value;

use super::claims::balanced;
use super::routes::is_gitops;
use super::{Facts, at};
use crate::addons::argocd::is_ssh;
use crate::addons::external_secrets;

/// The Secret that Gandi's webhook may read.
const GANDI: &str = "gandi-credentials";

/// Domains that are reserved for documents, and that Let's Encrypt refuses.
const EXAMPLES: &[&str] = &["example.com", "example.net", "example.org"];

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let addons = &facts.spec.addons;
    let mut say = |code: Code, path: SpecPath, message: String, help: &str| {
        found.push(Diagnostic::new(code, path, message).help(help));
    };
    for (name, chart) in &addons.charts {
        chart_rules(name, chart, &at("addons/charts").then(name), &mut say);
    }
    names(facts, &mut say);
    let provider = facts.spec.providers.hetzner.is_some();
    let elsewhere = facts.nodes.iter().find(|node| node.is_node() && node.pool.hetzner.is_none());
    if !addons.hetzner.is_nothing() && !provider {
        let message = "there is no project of Hetzner Cloud in this file".to_string();
        say(codes::HETZNER_ADDON, at("addons/hetzner"), message, "write `providers.hetzner` with its token");
    } else if let Some(node) = elsewhere.filter(|_| addons.hetzner.cloud_controller.is_some()) {
        let message = format!("`{}` is no server of Hetzner Cloud, and would be taken out of the cluster", node.name);
        say(codes::HETZNER_ADDON, at("addons/hetzner/cloudController"), message, "remove it, or that pool");
    }
    for (name, source) in &addons.manifests {
        manifest(source, name.as_str(), &at("addons/manifests").then(name), &mut say);
    }
    for (name, issuer) in addons.cert_manager.iter().flat_map(|it| &it.issuers) {
        issuer_rules(name.as_str(), issuer, &at("addons/certManager/issuers").then(name), &mut say);
    }
    if let Some(argocd) = &addons.argocd {
        address(facts, argocd, &mut say);
        repositories(argocd, &mut say);
    }
    let by_argocd = [
        ("certManager", addons.cert_manager.as_ref().is_some_and(|it| it.by_argocd)),
        ("storage/synology", addons.storage.synology.as_ref().is_some_and(|it| it.by_argocd)),
    ];
    for (place, _) in by_argocd.into_iter().filter(|(_, by_argocd)| *by_argocd && addons.argocd.is_none()) {
        let message = "Argo CD shall install it, and `addons.argocd` is not there".to_string();
        let path = at(&format!("addons/{place}/byArgocd"));
        say(codes::ARGOCD_MISSING, path, message, "add `addons.argocd`, or remove `byArgocd`");
    }
    elasticsearch(facts, &mut say);
    vault(facts, &mut say);
    vault_doors(facts, &mut say);
    sealed(facts, &mut say);
    volumes(facts, &mut say);
}

fn chart_rules(name: &ReleaseName, chart: &Chart, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let folder = ["./", "../", "/"].iter().any(|start| chart.chart.starts_with(start));
    let oci = chart.chart.starts_with("oci://");
    if chart.chart.trim().is_empty() || chart.chart.contains(char::is_control) {
        let help = "write its name in the repository, `oci://…`, or `./FOLDER`";
        say(codes::CHART_WITHOUT_REPOSITORY, path.then("chart"), format!("the chart of `{name}` has no name"), help);
        return;
    }
    if chart.version.is_none() && !folder {
        let message = format!("the chart of `{name}` has no version");
        say(
            codes::CHART_WITHOUT_VERSION,
            path.clone(),
            message,
            "write its exact version (`version: 1.2.3`), or keep the lock file in Git, which holds the one that was taken",
        );
    }
    match &chart.repository {
        None if !folder && !oci => {
            let message = format!("nothing says where the chart `{}` comes from", chart.chart);
            let help = "write `repository: https://…`, or `chart: oci://…`, or `chart: ./FOLDER`";
            say(codes::CHART_WITHOUT_REPOSITORY, path.then("chart"), message, help);
        }
        Some(repository) if folder || oci => {
            let message = format!("`{}` does not come from {repository}", chart.chart);
            say(codes::CHART_REPOSITORY_ODD, path.then("repository"), message, "remove `repository`");
        }
        Some(repository) if web(repository).is_err() => {
            let why = web(repository).err().unwrap_or_default();
            let message = format!("`{repository}` is no repository's address: {why}");
            let help = "write `https://…`; an OCI registry's address belongs into `chart`";
            say(codes::CHART_REPOSITORY_ODD, path.then("repository"), message, help);
        }
        _ => {}
    }
}

/// No two releases have one name.
fn names(facts: &Facts<'_>, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let mut counts: BTreeMap<&ReleaseName, usize> = BTreeMap::new();
    for (name, _) in &facts.releases {
        *counts.entry(name).or_default() += 1;
    }
    let addons = &facts.spec.addons;
    let charts = addons.charts.keys().map(|name| (name, at("addons/charts").then(name)));
    let monitoring = addons.monitoring.as_ref().and_then(|it| it.release.as_ref());
    let monitoring = monitoring.map(|name| (name, at("addons/monitoring/release")));
    for (name, path) in charts.chain(monitoring) {
        if counts.get(name).is_some_and(|count| *count > 1) {
            let message = format!("another add-on has the release `{name}` already");
            say(codes::RELEASE_TWICE, path, message, "give it another name");
        }
    }
}

fn manifest(source: &ManifestSource, name: &str, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    if source.file.is_some() != source.objects.is_empty() {
        let what = if source.file.is_some() { "both `file` and `objects`" } else { "neither `file` nor `objects`" };
        let message = format!("the manifest `{name}` has {what}");
        say(codes::MANIFEST_WAYS, path.clone(), message, "write exactly one of the two");
    }
    for (index, object) in source.objects.iter().enumerate() {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        let named = text(object.get("metadata").and_then(|metadata| metadata.get("name")));
        let parts = [
            ("apiVersion", text(object.get("apiVersion"))),
            ("kind", text(object.get("kind"))),
            ("metadata.name", named),
        ];
        let missing: Vec<&str> = parts.into_iter().filter(|(_, there)| !there).map(|(part, _)| part).collect();
        if !missing.is_empty() {
            let message = format!("an object of the manifest `{name}` has no {}", missing.join(" and no "));
            let path = path.then("objects").then(index);
            say(codes::MANIFEST_OBJECT, path, message, "write the object as `kubectl apply` takes it");
        }
        for marks in ["labels", "annotations"] {
            let there = object.get("metadata").and_then(|metadata| metadata.get(marks));
            if there.is_some_and(|there| !there.is_object() && !there.is_null()) {
                let message = format!("the {marks} of an object of the manifest `{name}` are no names with texts");
                let path = path.then("objects").then(index).then("metadata").then(marks);
                say(codes::MANIFEST_OBJECT, path, message, "write one `name: text` a line");
            }
        }
    }
}

fn issuer_rules(name: &str, issuer: &Issuer, path: &SpecPath, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let ways =
        [issuer.acme.is_some(), issuer.ca.is_some(), issuer.self_signed].into_iter().filter(|given| *given).count();
    if ways != 1 {
        let what = if ways == 0 { "none" } else { "several" };
        let message = format!("the issuer `{name}` has {what} of `acme`, `ca` and `selfSigned`");
        say(codes::ISSUER_WAYS, path.clone(), message, "write exactly one of them");
    }
    let Some(Acme { email, http01, dns01, gandi, .. }) = &issuer.acme else { return };
    let path = path.then("acme");
    let given = [http01.is_some(), !dns01.is_empty(), gandi.is_some()].into_iter().filter(|given| *given).count();
    if given != 1 || dns01.len() > 1 {
        let what = if given == 0 { "no way" } else { "several ways" };
        let message = format!("the issuer `{name}` has {what} to answer the ACME server");
        say(codes::ACME_ANSWER, path.clone(), message, "write exactly one of `http01`, `dns01` and `gandi`");
    }
    // The webhook's chart lets it read no other one (`templates/rbac.yaml`).
    if gandi.as_ref().is_some_and(|secret| secret.as_str() != GANDI) {
        let message = format!("Gandi's webhook reads no other Secret than `{GANDI}`");
        say(codes::GANDI_SECRET, path.then("gandi"), message, "call it so, here and in `secrets.objects`");
    }
    let domain = email.split_once('@').filter(|(user, _)| !user.is_empty()).map(|(_, domain)| domain);
    if !domain.is_some_and(|domain| domain.contains('.') && !EXAMPLES.contains(&domain)) {
        let message = format!("nobody reads `{email}`");
        say(codes::ACME_EMAIL, path.then("email"), message, "write an e-mail address of yours");
    }
}

/// Argo CD's address is one that its Service can get.
fn address(facts: &Facts<'_>, argocd: &ArgoCd, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let Some(address) = argocd.address else { return };
    let mut pools = balanced(facts).flat_map(|(_, _, ranges)| ranges).peekable();
    // Where no pool stands here, one may come out of the repository.
    let unknown = pools.peek().is_none() && is_gitops(facts);
    let (message, help) = if argocd.service != ServiceType::LoadBalancer {
        ("only a Service of type LoadBalancer asks for an address".to_string(), "write `service: LoadBalancer`")
    } else if address.count() > 1 {
        (format!("{address} are several addresses, and Argo CD has one"), "write one address")
    } else if !unknown && !pools.any(|range| range.contains(address.first())) {
        (format!("no pool of MetalLB or Cilium holds {address}"), "take an address of a pool, or widen a pool")
    } else {
        return;
    };
    say(codes::ARGOCD_ADDRESS, at("addons/argocd/address"), message, help);
}

/// Each repository is let in by what its address wants, and by one Secret only.
fn repositories(argocd: &ArgoCd, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let root = argocd.root.as_ref().filter(|root| root.credentials.is_some());
    for (name, it) in &argocd.repositories {
        let path = at("addons/argocd/repositories").then(name);
        let ssh = is_ssh(&it.url);
        let none = it.password.is_none() && it.ssh_key.is_none();
        let twice = root.is_some_and(|root| !it.prefix && root.repository == it.url || root.name == *name);
        let (place, message, help) = if it.password.is_some() && it.ssh_key.is_some() {
            ("sshKey", format!("`{name}` has a password and a key"), "leave one of them out")
        } else if it.ssh_key.is_some() && !ssh {
            (
                "sshKey",
                format!("`{name}` is not reached over SSH"),
                "write `password`, or an address like `git@host:path`",
            )
        } else if it.password.is_some() && ssh {
            (
                "password",
                format!("`{name}` is reached over SSH"),
                "write `sshKey`, or an address like `https://host/path`",
            )
        } else if it.username.is_some() && it.password.is_none() {
            ("username", format!("`{name}` has a user and no password"), "write `password`, or remove `username`")
        } else if it.prefix && none {
            ("prefix", format!("`{name}` has no credentials to share"), "write `password` or `sshKey`")
        } else if it.oci && (it.kind != ArgoRepositoryKind::Helm || it.url.contains("://")) {
            (
                "oci",
                format!("`{name}` is no registry of charts"),
                "write `kind: helm`, and the address without `oci://`",
            )
        } else if twice {
            ("url", format!("`{name}` is the root application's too"), "remove it, or `root.credentials`")
        } else {
            continue;
        };
        say(codes::ARGOCD_REPOSITORY, path.then(place), message, help);
    }
}

/// Elasticsearch is one that Fluentd's client speaks to and whose streams keep what they are told to.
fn elasticsearch(facts: &Facts<'_>, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let version = facts.spec.addons.elasticsearch.as_ref().and_then(|it| it.version.as_ref());
    if let Some(version) = version.filter(|version| !((8, 16)..(9, 0)).contains(&version.minor())) {
        let message = format!("Elasticsearch {version} is none that Fluentd and the retention of streams are for");
        let path = at("addons/elasticsearch/version");
        say(codes::ELASTICSEARCH_VERSION, path, message, "write a version from 8.16 to 8.19");
    }
}

/// What Vault would refuse in the middle of a run, and what nobody would set up.
fn vault_settings(vault: &Vault, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let path = at("addons/vault");
    let mut no = |path: SpecPath, message: String, help: &str| say(codes::VAULT_SETTINGS, path, message, help);
    let (shares, threshold) = (vault.keys.shares, vault.keys.threshold);
    // `vault/init.go`, `validateSealConfig`.
    if threshold > shares || threshold == 1 && shares > 1 {
        let message = format!("{threshold} of {shares} keys cannot unseal it");
        no(path.then("keys").then("threshold"), message, "write at least 2, and no more than `shares`");
    }
    if vault.mode == VaultMode::Ha && vault.replicas.is_multiple_of(2) {
        let message = format!("{} servers decide no better than {}", vault.replicas, vault.replicas.saturating_sub(1));
        no(path.then("replicas"), message, "write an odd number");
    }
    let kept = matches!(vault.mode, VaultMode::Ha | VaultMode::Standalone);
    let set = [
        ("keyValue", !vault.key_value.is_empty()),
        ("policies", !vault.policies.is_empty()),
        ("roles", !vault.roles.is_empty()),
    ];
    for (place, _) in set.into_iter().filter(|(_, given)| *given && !kept) {
        let message = "this Vault is not set up by this file".to_string();
        no(path.then(place), message, "write `mode: ha` or `mode: standalone`, or remove it");
    }
    for (name, role) in &vault.roles {
        let unknown = |policy: &&ObjectName| !vault.policies.contains_key(*policy) && policy.as_str() != "default";
        for policy in role.policies.iter().filter(unknown) {
            let message = format!("role `{name}` gets the policy `{policy}`, which is not there");
            no(path.then("roles").then(name).then("policies"), message, "write it below `policies`");
        }
    }
}

/// Those that read from the Vault of this file are let in by it.
fn vault_doors(facts: &Facts<'_>, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let addons = &facts.spec.addons;
    let stores = addons.external_secrets.iter().flat_map(|it| &it.stores);
    let stores = stores.filter(|(_, store)| store.server.is_none()).map(|(name, store)| {
        let path = at("addons/externalSecrets/stores").then(name);
        (path, &store.role, external_secrets::NAME, external_secrets::NAME, Some(&store.path))
    });
    let plugin = addons.argocd.as_ref().and_then(|it| it.vault_plugin.as_ref()).filter(|it| it.server.is_none());
    let plugin = plugin.map(|it| (at("addons/argocd/vaultPlugin"), &it.role, "argocd-repo-server", "argocd", None));
    for (path, role, account, namespace, engine) in stores.chain(plugin) {
        let mut no = |place: &str, message: String, help: &str| {
            say(codes::VAULT_DOOR, path.then(place), message, help);
        };
        let vault = match &addons.vault {
            None => {
                no("role", "there is no Vault in this file".into(), "add `addons.vault`, or write `server`");
                continue;
            }
            // What is set in that one is not known here.
            Some(vault) if matches!(vault.mode, VaultMode::Agent | VaultMode::Dev) => continue,
            Some(vault) => vault,
        };
        let lets_in = vault.roles.get(role).is_some_and(|it| {
            it.service_accounts.iter().any(|name| name.as_str() == account)
                && it.namespaces.iter().any(|name| name.as_str() == namespace)
        });
        if !lets_in {
            let message = format!("no role `{role}` of Vault lets the service account {namespace}/{account} in");
            no("role", message, "write it below `addons.vault.roles`");
        }
        if let Some(engine) = engine.filter(|engine| !vault.key_value.contains(engine)) {
            let message = format!("Vault has no key-value engine `{engine}`");
            no("path", message, "write it in `addons.vault.keyValue`");
        }
    }
}

fn sealed(facts: &Facts<'_>, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let Some(sealed) = &facts.spec.addons.sealed_secrets else { return };
    let (place, missing) = match (&sealed.key, &sealed.certificate) {
        (Some(_), None) => ("key", "certificate"),
        (None, Some(_)) => ("certificate", "key"),
        _ => return,
    };
    let path = at("addons/sealedSecrets").then(place);
    let help = format!("write `{missing}` too, or remove it");
    say(codes::SEALED_SECRETS_KEY, path, format!("there is a {place}, and no {missing}"), &help);
}

fn vault(facts: &Facts<'_>, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let Some(vault) = &facts.spec.addons.vault else { return };
    if (vault.mode == VaultMode::Agent) != vault.address.is_some() {
        let (message, help) = match vault.address {
            None => ("Vault is elsewhere, and nothing says where", "write `address: https://vault.lan:8200`"),
            Some(_) => {
                ("Vault is here, and has the address of another one", "remove `address`, or write `mode: agent`")
            }
        };
        say(codes::VAULT_ADDRESS, at("addons/vault/address"), message.into(), help);
    }
    vault_settings(vault, say);
    let workers = facts.nodes.iter().filter(|node| node.is_node() && node.pool.role != Role::Server).count();
    if vault.mode == VaultMode::Ha && workers < vault.replicas as usize {
        let message = format!("Vault wants {} nodes that take work; of these there are {workers}", vault.replicas);
        say(codes::VAULT_NODES, at("addons/vault/mode"), message, "write `mode: standalone`, or add nodes");
    }
}

/// Volumes come from somewhere.
fn volumes(facts: &Facts<'_>, say: &mut impl FnMut(Code, SpecPath, String, &str)) {
    let addons = &facts.spec.addons;
    let storage = &addons.storage;
    let drivers = [storage.nfs.is_some(), storage.nfs_csi.is_some(), storage.synology.is_some()];
    let own = storage.local_path.is_some() || drivers.contains(&true);
    let perhaps = !addons.charts.is_empty() || !addons.manifests.is_empty() || is_gitops(facts);
    if facts.spec.kubernetes.distribution == Distribution::K3s || own || perhaps {
        return;
    }
    let vault = addons.vault.as_ref().is_some_and(|it| matches!(it.mode, VaultMode::Standalone | VaultMode::Ha));
    let wishes = [
        ("monitoring/storage", addons.monitoring.as_ref().is_some_and(|it| it.storage.is_some())),
        ("loki/storage", addons.loki.as_ref().is_some_and(|it| it.storage.is_some())),
        ("elasticsearch/storage", addons.elasticsearch.as_ref().is_some_and(|it| it.storage.is_some())),
        ("vault/mode", vault),
    ];
    for (place, _) in wishes.into_iter().filter(|(_, wished)| *wished) {
        let title = facts.spec.kubernetes.distribution.title();
        let message = format!("it wants a volume, and neither {title} nor this file brings what makes volumes");
        let path = at(&format!("addons/{place}"));
        say(codes::STORAGE_MISSING, path, message, "add `addons.storage`");
    }
}
