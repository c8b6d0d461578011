//! What is done to make a host a member, to change its version, and to save the datastore.

use kubewright_model::host::FileWish;
use kubewright_model::recipe::{Effect, Output, Recipe, RecipeStep};
use kubewright_model::spec::kubernetes::Datastore;
use kubewright_model::text::Text;
use kubewright_model::units::Span;
use kubewright_model::version::Version;

use super::{Program, kube_vip};
use crate::context::Context;
use crate::context::nodes::NodePlan;

/// The first start pulls images and makes certificates; on a slow link it takes minutes.
pub(super) const START_TIMEOUT: Span = Span::from_secs(10 * 60);

pub(super) fn recipe(
    context: &Context<'_>,
    title: &str,
    effect: Effect,
    steps: Vec<RecipeStep>,
    gives: Vec<Output>,
) -> Recipe {
    let version = Some(context.file.spec.kubernetes.version.clone());
    Recipe { title: title.into(), effect, version, steps, gives }
}

impl Program {
    /// The first server. Where it has to be told that it begins a cluster, the membership file says so, and no longer than
    /// until it runs: a server that lost its disk would begin a second cluster at its next start. For the same reason
    /// the file names a server from then on, which is ignored while there are data.
    pub(super) fn begin(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        let etcd = context.file.spec.kubernetes.datastore == Datastore::Etcd;
        let mut steps = match self.begins.filter(|_| etcd) {
            Some(begins) => vec![self.says(begins.into())],
            None => vec![RecipeStep::Remove(self.membership())],
        };
        steps.insert(0, self.without_half_a_restore());
        steps.extend(self.start(context, node));
        steps.push(self.api_ready());
        // Not before: a unit is started without waiting for it, and may read its configuration a moment later.
        steps.extend(self.never_begins(context));
        steps.extend(kube_vip::answers(self, context));
        let title = format!("start the {} cluster", self.title());
        recipe(context, &title, Effect::Init, steps, vec![self.given_kubeconfig(context)])
    }

    /// What the membership file says.
    pub(super) fn says(&self, text: String) -> RecipeStep {
        RecipeStep::Write(FileWish::new(self.membership(), text, 0o600))
    }

    /// A server that loses its data joins those that have them. SQLite has no others.
    pub(super) fn never_begins(&self, context: &Context<'_>) -> Option<RecipeStep> {
        let etcd = context.file.spec.kubernetes.datastore == Datastore::Etcd;
        etcd.then(|| self.says(format!("server: https://{}\n", self.registration(context))))
    }

    /// What a run left unsaid that was cut off while it began the cluster. It is not looked at while there are data, so
    /// nothing is restarted for it.
    pub(super) fn say_which(&self, context: &Context<'_>) -> Option<Recipe> {
        let steps = vec![self.never_begins(context)?];
        Some(recipe(context, "say which cluster the server is one of", Effect::Belong, steps, Vec::new()))
    }

    pub(super) fn join_server(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        let mut steps = vec![self.without_half_a_restore(), self.through_a_server()];
        steps.extend(self.start(context, node));
        steps.push(self.api_ready());
        let title = format!("join the {} control plane", self.title());
        recipe(context, &title, Effect::JoinServer, steps, vec![self.given_kubeconfig(context)])
    }

    /// Says in the membership file which server to join through: one that serves while the recipe runs.
    fn through_a_server(&self) -> RecipeStep {
        let text = Text::known("server: ").and_hole("cluster/server").and("\n");
        RecipeStep::Write(FileWish::new(self.membership(), text, 0o600))
    }

    /// An agent's configuration names the endpoint. Where that is a single server, which may be the one that is down, the
    /// agent joins through another. That it was let in shows by the kubeconfig that it writes for its kubelet.
    pub(super) fn join_agent(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        let joined = RecipeStep::Until {
            command: vec!["test".into(), "-s".into(), self.kubelet_config()],
            what: "the agent is let in by a server".into(),
            timeout: START_TIMEOUT,
            log: Some(self.unit(false).name.into()),
        };
        let mut steps = Vec::new();
        if endpoint_is_a_server(context) {
            steps.push(self.through_a_server());
        }
        steps.extend(self.start(context, node));
        steps.push(joined);
        recipe(context, &format!("join {} as an agent", self.title()), Effect::JoinAgent, steps, Vec::new())
    }

    /// What an agent's kubelet shows the API server.
    pub(super) fn kubelet_config(&self) -> String {
        self.data("agent/kubelet.kubeconfig")
    }

    /// The new program is in its place already; containers go on while it restarts. The books still hold the node as Ready
    /// for a while after its kubelet has gone, so it counts only when they hold the new version as well.
    /// <https://docs.k3s.io/upgrades/manual>, <https://docs.rke2.io/upgrades/manual>
    pub(super) fn renew(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        let unit = self.unit(node.is_server()).name;
        let version = &context.file.spec.kubernetes.version;
        let restart = RecipeStep::Restart { unit: unit.into(), reads: self.reads(context, node) };
        let mut steps = vec![restart, self.unit_ready(unit)];
        steps.extend(node.is_server().then(|| self.api_ready()));
        steps.push(self.runs(node, version));
        recipe(context, &format!("run {} {version}", self.title()), Effect::Upgrade, steps, Vec::new())
    }

    /// The unit has told systemd that it is ready. A restart may be given up before that, and the API that answers then may
    /// still be the old one: RKE2's runs in a container, and is replaced only when the new images are there
    /// (`pkg/executor/staticpod/spw.go`).
    pub(super) fn unit_ready(&self, unit: &str) -> RecipeStep {
        RecipeStep::Until {
            command: ["systemctl", "is-active", "--quiet", unit].map(String::from).to_vec(),
            what: format!("{} says that it is ready", self.title()),
            timeout: START_TIMEOUT,
            log: Some(unit.into()),
        }
    }

    /// The node is Ready with this version. Each node may read its own Node object, an agent with its kubelet's
    /// credentials. <https://kubernetes.io/docs/reference/access-authn-authz/node/>
    fn runs(&self, node: &NodePlan<'_>, version: &Version) -> RecipeStep {
        let config = if node.is_server() { self.kubeconfig() } else { self.kubelet_config() };
        let shown = "{.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type==\"Ready\")].status}";
        let (kubectl, name) = (self.kubectl.join(" "), &node.name);
        let test = format!(
            "test \"$({kubectl} --kubeconfig {config} get node {name} -o jsonpath='{shown}')\" = '{version} True'"
        );
        RecipeStep::Until {
            command: vec!["/bin/sh".into(), "-c".into(), test],
            what: format!("{name} is Ready with {version}"),
            timeout: START_TIMEOUT,
            log: Some(self.unit(node.is_server()).name.into()),
        }
    }

    pub(super) fn api_ready(&self) -> RecipeStep {
        self.asks_api(&[], "the API server says that it is ready".into())
    }

    /// Asks the API whether it is ready: the server's own, or the one that further words name.
    pub(super) fn asks_api(&self, further: &[String], what: String) -> RecipeStep {
        let kubectl = self.kubectl.iter().map(|word| (*word).to_string());
        let config = ["--kubeconfig".into(), self.kubeconfig()];
        let asks = ["get", "--raw", "/readyz"].map(String::from);
        RecipeStep::Until {
            command: kubectl.chain(config).chain(further.iter().cloned()).chain(asks).collect(),
            what,
            timeout: START_TIMEOUT,
            log: Some(self.unit(true).name.into()),
        }
    }

    /// Its kubeconfig is for the server itself; others reach the API at its endpoint.
    pub(super) fn given_kubeconfig(&self, context: &Context<'_>) -> Output {
        Output {
            hole: "cluster/kubeconfig".into(),
            file: self.kubeconfig(),
            replace: vec![("https://127.0.0.1:6443".into(), Text::known(format!("https://{}", context.endpoint)))],
            once: false,
        }
    }
}

fn endpoint_is_a_server(context: &Context<'_>) -> bool {
    let endpoint = &context.endpoint;
    let is_endpoint = |node: &NodePlan<'_>| match node.address {
        Some(address) => endpoint.address() == Some(address),
        None => endpoint.host == node.name.as_str(),
    };
    context.nodes.iter().any(|node| node.is_server() && is_endpoint(node))
}
