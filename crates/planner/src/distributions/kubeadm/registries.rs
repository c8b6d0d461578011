//! Where containerd gets images: a folder for each registry, whose file names who is asked in its place. It is read at
//! every pull, so nothing is restarted for it.
//! <https://github.com/containerd/containerd/blob/v2.2.1/docs/hosts.md>

use kubewright_model::host::{FileWish, HostResource};
use kubewright_model::spec::kubernetes::{Kubernetes, Registry};
use serde_json::Value;

/// Where the folders are.
pub(super) const FOLDER: &str = "/etc/containerd/certs.d";

/// The files.
pub(super) fn resources(kubernetes: &Kubernetes) -> Vec<HostResource> {
    let files = kubernetes.registries.iter().map(|(name, registry)| {
        let folder = if name == "*" { "_default" } else { name };
        HostResource::File(FileWish::new(format!("{FOLDER}/{folder}/hosts.toml"), text(registry), 0o644))
    });
    files.collect()
}

/// A text of JSON is one of TOML as well.
fn quoted(text: &str) -> Value {
    Value::from(text)
}

/// What stands before the first table is the registry's own. Whoever gives an address below the host's means it as it is.
fn text(registry: &Registry) -> String {
    let authority = registry.ca_file.as_deref().map(|file| format!("ca = {}\n", quoted(file)));
    let mirrors = registry.mirrors.iter().map(|mirror| {
        let below = mirror.split_once("://").is_some_and(|(_, rest)| rest.trim_end_matches('/').contains('/'));
        let as_it_is = if below { "override_path = true\n" } else { "" };
        let ca = authority.clone().unwrap_or_default();
        format!(
            "\n[host.{}]\ncapabilities = [\"pull\", \"resolve\"]\n{as_it_is}{ca}",
            quoted(mirror.trim_end_matches('/'))
        )
    });
    authority.clone().into_iter().chain(mirrors).collect()
}
