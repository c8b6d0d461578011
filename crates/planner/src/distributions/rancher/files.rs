//! Files beside `config.yaml` that are read at the start: registries, and where snapshots go.
//!
//! They hold secrets, so they are texts with holes. A secret is a block of YAML by itself, in which no sign means anything:
//! not even a blank at its beginning, because the block says how far it is moved in.

use kubewright_model::host::FileWish;
use kubewright_model::spec::backup::S3;
use kubewright_model::spec::kubernetes::{Datastore, Registry};
use kubewright_model::spec::{ClusterFile, SecretRef};
use kubewright_model::text::Text;
use serde_json::{Map, Value, json};

use super::super::bundles::{self, ACCESS_KEY, SECRET_KEY};
use super::Program;
use crate::context::Context;
use crate::context::nodes::NodePlan;
use crate::context::secrets::named;

/// The files, in order.
pub(super) fn files(program: &Program, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<FileWish> {
    let registries = &context.file.spec.kubernetes.registries;
    let mut files = Vec::new();
    if !registries.is_empty() {
        let text = registries_text(registries.iter().map(|(name, registry)| (name.as_str(), registry)));
        files.push(FileWish::new(program.settings("registries.yaml"), text, 0o600));
    }
    if let Some((s3, kept)) = s3(context.file).filter(|_| node.is_server()) {
        let text = s3_text(s3, kept);
        files.push(FileWish::new(program.settings("config.yaml.d/40-kubewright-s3.yaml"), text, 0o600));
    }
    files.extend((program.files)(context, node));
    files
}

/// The secrets in them, by name.
pub(super) fn secrets(file: &ClusterFile) -> Vec<(String, &SecretRef)> {
    let logins = file.spec.kubernetes.registries.iter().filter_map(|(name, registry)| {
        let login = registry.login.as_ref()?;
        Some((password(name), &login.password))
    });
    let keys = s3(file).into_iter().flat_map(|(s3, _)| [(ACCESS_KEY, &s3.access_key), (SECRET_KEY, &s3.secret_key)]);
    let keys = keys.map(|(name, key)| (name.to_string(), key));
    logins.chain(keys).chain(bundles::secrets(file)).collect()
}

fn password(registry: &str) -> String {
    format!("registry-{registry}")
}

/// Where snapshots go to, and how many stay there.
fn s3(file: &ClusterFile) -> Option<(&S3, u32)> {
    let backup = file.spec.backup.as_ref().filter(|backup| backup.datastore)?;
    let etcd = file.spec.kubernetes.datastore == Datastore::Etcd;
    let s3 = backup.to.as_ref().filter(|_| etcd)?.s3.as_ref()?;
    Some((s3, backup.keep.last))
}

/// Adds a key whose value is a secret.
fn secret(text: Text, margin: &str, key: &str, name: &str, place: &SecretRef) -> Text {
    text.and(format!("{margin}{key}: |2-\n{margin}  ")).and_hole(named(name, Some(place))).and("\n")
}

/// <https://docs.k3s.io/cli/etcd-snapshot#s3-compatible-object-store-support>,
/// <https://docs.rke2.io/datastore/backup_restore#s3-compatible-object-store-support>
fn s3_text(s3: &S3, kept: u32) -> Text {
    let open = s3.endpoint.strip_prefix("http://");
    let endpoint = open.or(s3.endpoint.strip_prefix("https://")).unwrap_or(&s3.endpoint).trim_end_matches('/');
    let mut known = Map::new();
    known.insert("etcd-s3".into(), true.into());
    known.insert("etcd-s3-endpoint".into(), endpoint.into());
    known.insert("etcd-s3-bucket".into(), s3.bucket.clone().into());
    known.insert("etcd-s3-region".into(), s3.region.clone().into());
    // What is kept here and there is counted apart since the patches of August 2025; older servers pass it by.
    known.insert("etcd-s3-retention".into(), kept.into());
    if let Some(folder) = &s3.folder {
        known.insert("etcd-s3-folder".into(), folder.clone().into());
    }
    if open.is_some() {
        known.insert("etcd-s3-insecure".into(), true.into());
    }
    if let Some(file) = &s3.ca_file {
        known.insert("etcd-s3-endpoint-ca".into(), file.clone().into());
    }
    let text = Text::known(yaml(known));
    let text = secret(text, "", "etcd-s3-access-key", ACCESS_KEY, &s3.access_key);
    secret(text, "", "etcd-s3-secret-key", SECRET_KEY, &s3.secret_key)
}

/// <https://docs.k3s.io/installation/private-registry>, <https://docs.rke2.io/install/private_registry>
fn registries_text<'r>(registries: impl Iterator<Item = (&'r str, &'r Registry)> + Clone) -> Text {
    let mut mirrors = Map::new();
    for (name, registry) in registries.clone().filter(|(_, registry)| !registry.mirrors.is_empty()) {
        let mut mirror = json!({ "endpoint": registry.mirrors });
        if !registry.rewrite.is_empty() {
            mirror["rewrite"] = json!(registry.rewrite);
        }
        mirrors.insert(name.into(), mirror);
    }
    let mut text = Text::default();
    if !mirrors.is_empty() {
        let mut whole = Map::new();
        whole.insert("mirrors".into(), mirrors.into());
        text = text.and(yaml(whole));
    }
    let known = |registry: &Registry| registry.login.is_some() || registry.ca_file.is_some();
    let mut configs = registries.filter(|(_, registry)| known(registry)).peekable();
    if configs.peek().is_some() {
        text = text.and("configs:\n");
    }
    for (name, registry) in configs {
        text = text.and(format!("  {}:\n", Value::from(name)));
        if let Some(login) = &registry.login {
            text = text.and(format!("    auth:\n      username: {}\n", Value::from(login.user.as_str())));
            text = secret(text, "      ", "password", &password(name), &login.password);
        }
        if let Some(file) = &registry.ca_file {
            text = text.and(format!("    tls:\n      ca_file: {}\n", Value::from(file.as_str())));
        }
    }
    text
}

/// A map of plain values always has a YAML text.
fn yaml(map: Map<String, Value>) -> String {
    serde_saphyr::to_string(&Value::Object(map)).unwrap_or_default()
}
