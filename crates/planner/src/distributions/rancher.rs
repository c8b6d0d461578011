//! What K3s and RKE2 have in common: one program, one configuration file, two units, a token, and recipes.
//!
//! RKE2 is built from K3s' own packages, so both read their configuration, let nodes in, keep etcd and take snapshots
//! alike; they differ in names, in what their configuration knows and in what they leave behind. Each says that in its
//! [`Program`]. Nothing is piped from the network into a shell: the program is a verified download, and the files that
//! an install script would write are written here. Servers are all alike: what makes one the first or a later member
//! stands in a small file of its own that a recipe writes, and that the program ignores once the datastore is there.

mod config;
mod files;
mod kube_vip;
mod leave;
mod recipes;
mod renewal;
mod saved;
mod turnover;
mod units;

use std::collections::BTreeMap;

use kubewright_model::desired::{Halfway, Renewal};
use kubewright_model::digest::Digest;
use kubewright_model::host::{Artifact, DownloadWish, FileWish, HostResource, Mode, Proof};
use kubewright_model::ids::HoleName;
use kubewright_model::net::HostPort;
use kubewright_model::programs;
use kubewright_model::recipe::{Recipe, RecipeStep};
use kubewright_model::rotation::{Rotation, Round};
use kubewright_model::spec::kubernetes::{Datastore, Distribution, Kubernetes};
use kubewright_model::spec::{ClusterFile, SecretRef};
use kubewright_model::text::Text;

pub(super) use config::{Config, api_port};
pub(super) use units::Unit;

use super::{Compiler, bundles};
use crate::context::Context;
use crate::context::nodes::NodePlan;
use crate::context::secrets::named;
use crate::foundation::{AGENT_TOKEN, TOKEN_HOLE};

/// One of the two, by what is its own.
pub(super) struct Program {
    /// Which it is.
    pub(super) distribution: Distribution,
    /// What it is called on a host.
    pub(super) is: &'static programs::Program,
    /// Where its releases are published.
    pub(super) releases: &'static str,
    /// The file of a release that is the program, or that holds it.
    pub(super) file: &'static str,
    /// Where the program is in that file, if that is an archive.
    pub(super) member: Option<&'static str>,
    /// Archives of images, of which a spec wants some.
    pub(super) images: fn(&Context<'_>) -> Vec<&'static str>,
    /// kubectl as it brings it.
    pub(super) kubectl: &'static [&'static str],
    /// The units of servers and of agents.
    pub(super) units: [Unit; 2],
    /// What tells the first server that it begins a cluster.
    pub(super) begins: Option<&'static str>,
    /// What of its configuration is its own.
    pub(super) configure: fn(&Context<'_>, &NodePlan<'_>, &mut Config),
    /// What of a host is its own.
    pub(super) prepare: fn(&Context<'_>, &NodePlan<'_>) -> Vec<HostResource>,
    /// Files that only it reads at its start.
    pub(super) files: fn(&Context<'_>, &NodePlan<'_>) -> Vec<FileWish>,
    /// What is done on a host right before its unit starts for the first time.
    pub(super) first: &'static [&'static str],
    /// Ports that only it listens on: a server, then an agent.
    pub(super) listens: [&'static [u16]; 2],
    /// What it leaves beside its own folders.
    pub(super) leftovers: &'static [&'static str],
}

impl Program {
    fn title(&self) -> &'static str {
        self.distribution.title()
    }

    /// Where the program is.
    fn binary(&self) -> String {
        self.is.path.into()
    }

    /// A file of its folder for configuration.
    pub(super) fn settings(&self, file: &str) -> String {
        format!("/etc/rancher/{}/{file}", self.is.name)
    }

    /// A file of its folder for data.
    fn data(&self, file: &str) -> String {
        format!("{}/{file}", self.is.data)
    }

    fn token(&self) -> String {
        self.settings("token")
    }

    /// What servers let agents in with, where that is a token of its own.
    fn agent_token(&self) -> String {
        self.settings("agent-token")
    }

    fn membership(&self) -> String {
        self.settings("config.yaml.d/50-kubewright-membership.yaml")
    }

    fn kubeconfig(&self) -> String {
        self.settings(&format!("{}.yaml", self.is.name))
    }

    fn unit(&self, server: bool) -> &Unit {
        let [of_servers, of_agents] = &self.units;
        if server { of_servers } else { of_agents }
    }

    /// Where nodes register that come in by the endpoint.
    fn registration(&self, context: &Context<'_>) -> HostPort {
        let endpoint = &context.endpoint;
        HostPort::new(endpoint.host.clone(), self.distribution.registration_port(endpoint.port))
    }

    /// The tokens that a node has. Where agents have one of their own, an agent has no other.
    fn tokens(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<FileWish> {
        let secret = |path: String, hole: HoleName| FileWish::new(path, Text::hole(hole), 0o600);
        let agents = context.file.spec.kubernetes.agent_token.as_ref().map(|own| named(AGENT_TOKEN, Some(own)));
        match agents {
            Some(own) if !node.is_server() => vec![secret(self.token(), own)],
            own => {
                let servers = secret(self.token(), HoleName::from(TOKEN_HOLE));
                std::iter::once(servers).chain(own.map(|own| secret(self.agent_token(), own))).collect()
            }
        }
    }

    /// A file of a release. Releases hold a list of digests for each architecture, and mirrors what releases hold.
    fn artifact(&self, kubernetes: &Kubernetes, file: &str) -> Artifact {
        let version = &kubernetes.version;
        let releases = kubernetes.mirror.as_deref().map_or(self.releases, |mirror| mirror.trim_end_matches('/'));
        // The `+` of a version is escaped in an address.
        let base = format!("{releases}/{}", version.to_string().replace('+', "%2B"));
        Artifact {
            name: format!("{} {version}", stem(file)),
            url: format!("{base}/{file}"),
            proof: Proof::Checksums { url: format!("{base}/sha256sum-{{arch}}.txt"), file: file.to_string() },
        }
    }

    /// Everything that the unit reads: another of any of these needs a restart.
    fn reads(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Digest {
        let program = self.artifact(&context.file.spec.kubernetes, self.file).mark();
        let config = Digest::of(config::text(self, context, node));
        let unit = Digest::of(self.unit(node.is_server()).text(node.lxc().is_some()));
        let mut reads = vec![program, config, unit];
        let files = self.tokens(context, node).into_iter().chain(files::files(self, context, node));
        reads.extend(files.map(|file| file.content.fingerprint()));
        Digest::of_value(&reads)
    }

    fn start(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<RecipeStep> {
        let first = self.first.iter().map(|script| shell(script));
        let unit = self.unit(node.is_server()).name.into();
        first.chain([RecipeStep::Start { unit, reads: self.reads(context, node) }]).collect()
    }
}

impl Compiler for Program {
    fn secrets<'f>(&self, file: &'f ClusterFile) -> Vec<(String, &'f SecretRef)> {
        files::secrets(file)
    }

    /// What it reads at each start it may go over to.
    fn kept(&self, _: &Context<'_>) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn host_resources(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<HostResource> {
        let kubernetes = &context.file.spec.kubernetes;
        // It brings an iptables of its own and prefers the host's, which fits the host's kernel.
        let mut resources = vec![HostResource::Package("iptables".into())];
        resources.push(HostResource::Download(DownloadWish {
            path: self.binary(),
            artifact: self.artifact(kubernetes, self.file),
            member: self.member.map(String::from),
            mode: Mode(0o755),
        }));
        resources.extend((self.prepare)(context, node));
        resources.extend(kube_vip::file(self, context).filter(|_| node.is_server()).map(HostResource::File));
        let images = kubernetes.airgap_images.then(|| (self.images)(context));
        resources.extend(images.into_iter().flatten().map(|file| {
            HostResource::Download(DownloadWish {
                path: self.data(&format!("agent/images/{}.tar.zst", stem(file))),
                artifact: self.artifact(kubernetes, file),
                member: None,
                mode: Mode(0o644),
            })
        }));
        resources.extend(self.tokens(context, node).into_iter().map(HostResource::File));
        resources.extend(files::files(self, context, node).into_iter().map(HostResource::File));
        let config = FileWish::new(self.settings("config.yaml"), config::text(self, context, node), 0o600);
        resources.push(HostResource::File(config));
        resources.extend(bundles::resources(context, node, || self.packs(context, node)));
        let unit = self.unit(node.is_server());
        resources.push(HostResource::Unit(unit.wish(node.lxc().is_some(), self.reads(context, node))));
        resources
    }

    /// <https://docs.k3s.io/installation/requirements#networking>,
    /// <https://docs.rke2.io/install/requirements#networking>
    fn ports(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<u16> {
        let [of_servers, of_agents] = self.listens;
        // The kubelet.
        let mut ports = vec![10250];
        if node.is_server() {
            ports.push(api_port(context, node));
            ports.extend(of_servers);
            if context.file.spec.kubernetes.datastore == Datastore::Etcd {
                ports.extend([2379, 2380]);
            }
        } else {
            ports.extend(of_agents);
        }
        ports
    }

    fn init(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        self.begin(context, node)
    }

    fn join(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        if node.is_server() { self.join_server(context, node) } else { self.join_agent(context, node) }
    }

    /// Who was cut off while it joined joins at the unit's next start.
    fn halfway(&self, _: &Context<'_>) -> Option<Halfway> {
        None
    }

    fn belong(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Option<Recipe> {
        self.say_which(context).filter(|_| node.is_server())
    }

    /// The token that nodes join with is there for the cluster's whole life.
    fn admit(&self, _: &Context<'_>, _: &NodePlan<'_>) -> Option<Recipe> {
        None
    }

    /// A node that is deleted is taken out of etcd by it.
    fn forget(&self, _: &Context<'_>) -> Option<Recipe> {
        None
    }

    fn upgrade(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        self.renew(context, node)
    }

    fn leave(&self, server: bool) -> Recipe {
        leave::leave(self, server)
    }

    fn snapshot(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        self.save(context, node)
    }

    fn stand_down(&self, server: bool) -> Option<Recipe> {
        Some(leave::stand_down(self, server))
    }

    fn keys(&self, _node: &NodePlan<'_>) -> Option<Recipe> {
        Some(self.kept_keys())
    }

    fn renewal(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Renewal {
        self.new_certificates(context, node)
    }

    fn turnovers(&self, context: &Context<'_>, node: &NodePlan<'_>) -> BTreeMap<Rotation, Vec<Round>> {
        self.goes_over(context, node)
    }

    fn restore(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Option<Recipe> {
        Some(self.begin_again(context, node))
    }
}

/// What a file of a release is called without machine and ending: `k3s-airgap-images`, `rke2-images-core`.
fn stem(file: &str) -> &str {
    file.split(['{', '.']).next().unwrap_or(file).trim_end_matches('-')
}

fn shell(script: &str) -> RecipeStep {
    RecipeStep::Run(vec!["/bin/sh".into(), "-c".into(), script.into()])
}
