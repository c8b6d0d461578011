//! K3s: one binary, one configuration file, one unit, a token, and recipes.
//!
//! Nothing is piped from the network into a shell: the binary is a verified download, and the files that K3s' install
//! script would write are written here. Servers are all alike: what makes one the first or a later member stands in a
//! small file of its own that a recipe writes, and that K3s ignores once the datastore is there. Facts are K3s'
//! documentation's (<https://docs.k3s.io>) and its `install.sh`'s, for v1.31 and later.

mod config;
mod recipes;
mod units;

use kubewright_model::digest::Digest;
use kubewright_model::host::{Artifact, DownloadWish, FileWish, HostResource, Mode, Proof};
use kubewright_model::spec::kubernetes::{Datastore, Kubernetes};
use kubewright_model::text::Text;

pub(crate) use recipes::Recipes;

use crate::context::Context;
use crate::context::nodes::NodePlan;
use crate::foundation::TOKEN_HOLE;

const BINARY: &str = "/usr/local/bin/k3s";
const CONFIG: &str = "/etc/rancher/k3s/config.yaml";
const MEMBERSHIP: &str = "/etc/rancher/k3s/config.yaml.d/50-kubewright-membership.yaml";
const TOKEN: &str = "/etc/rancher/k3s/token";
const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";
const IMAGES: &str = "/var/lib/rancher/k3s/agent/images/k3s-airgap-images.tar.zst";

/// What K3s needs of a host, in order.
pub(crate) fn host_resources(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<HostResource> {
    let kubernetes = &context.file.spec.kubernetes;
    let mut resources = vec![
        // K3s brings an iptables of its own and prefers the host's, which fits the host's kernel.
        HostResource::Package("iptables".into()),
        HostResource::Download(DownloadWish {
            path: BINARY.into(),
            artifact: artifact(kubernetes, "k3s{-arch}"),
            mode: Mode(0o755),
        }),
    ];
    resources.extend(
        ["kubectl", "crictl", "ctr"]
            .map(|tool| HostResource::Link { path: format!("/usr/local/bin/{tool}"), target: BINARY.into() }),
    );
    if kubernetes.airgap_images {
        resources.push(HostResource::Download(DownloadWish {
            path: IMAGES.into(),
            artifact: artifact(kubernetes, "k3s-airgap-images-{arch}.tar.zst"),
            mode: Mode(0o644),
        }));
    }
    resources.push(HostResource::File(FileWish::new(TOKEN, Text::hole(TOKEN_HOLE), 0o600)));
    resources.push(HostResource::File(FileWish::new(CONFIG, config::text(context, node), 0o600)));
    resources.push(HostResource::Unit(units::unit(node.is_server(), node.lxc().is_some(), reads(context, node))));
    resources
}

/// The TCP ports that K3s listens on. <https://docs.k3s.io/installation/requirements#networking>
pub(crate) fn ports(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<u16> {
    // The kubelet, and the way of K3s' own parts to the API.
    let mut ports = vec![10250, 6444];
    if node.is_server() {
        ports.push(config::api_port(context, node));
        if context.file.spec.kubernetes.datastore == Datastore::Etcd {
            ports.extend([2379, 2380]);
        }
    }
    ports
}

/// Where K3s publishes its releases. <https://github.com/k3s-io/k3s/releases>
const RELEASES: &str = "https://github.com/k3s-io/k3s/releases/download";

/// A file of a K3s release. Releases hold a list of digests for each architecture, and mirrors what releases hold.
fn artifact(kubernetes: &Kubernetes, file: &str) -> Artifact {
    let version = &kubernetes.version;
    let releases = kubernetes.mirror.as_deref().map_or(RELEASES, |mirror| mirror.trim_end_matches('/'));
    // The `+` of a version is escaped in an address.
    let base = format!("{releases}/{}", version.to_string().replace('+', "%2B"));
    Artifact {
        name: format!("{} {version}", file.split(['{', '.']).next().unwrap_or(file).trim_end_matches('-')),
        url: format!("{base}/{file}"),
        proof: Proof::Checksums { url: format!("{base}/sha256sum-{{arch}}.txt"), file: file.to_string() },
    }
}

/// Everything that the unit reads: another of any of these needs a restart.
fn reads(context: &Context<'_>, node: &NodePlan<'_>) -> Digest {
    let program = artifact(&context.file.spec.kubernetes, "k3s{-arch}").mark();
    let config = Digest::of(config::text(context, node));
    let unit = Digest::of(units::text(node.is_server(), node.lxc().is_some()));
    Digest::of_value(&[program, config, unit, Text::hole(TOKEN_HOLE).fingerprint()])
}

/// The unit's name.
fn unit_name(server: bool) -> &'static str {
    if server { "k3s.service" } else { "k3s-agent.service" }
}
