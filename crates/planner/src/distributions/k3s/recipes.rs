//! What is done to make a host a member, to change its version, and to leave nothing behind.

use std::sync::Arc;

use kubewright_model::desired::{Leaving, MemberRecipes};
use kubewright_model::host::FileWish;
use kubewright_model::recipe::{Effect, Output, Recipe, RecipeStep};
use kubewright_model::spec::kubernetes::Datastore;
use kubewright_model::text::Text;
use kubewright_model::units::Span;
use kubewright_model::version::Version;

use super::{BINARY, KUBECONFIG, MEMBERSHIP, reads, unit_name};
use crate::context::Context;
use crate::context::nodes::NodePlan;

/// What an agent's kubelet shows the API server.
const KUBELET_CONFIG: &str = "/var/lib/rancher/k3s/agent/kubelet.kubeconfig";
/// The first start pulls images and makes certificates; on a slow link it takes minutes.
const START_TIMEOUT: Span = Span::from_secs(10 * 60);

/// The recipes that are the same on every node.
pub(crate) struct Recipes {
    leave_server: Arc<Recipe>,
    leave_agent: Arc<Recipe>,
    snapshot: Option<Arc<Recipe>>,
}

impl Recipes {
    pub(crate) fn new(context: &Context<'_>) -> Self {
        let etcd = context.file.spec.kubernetes.datastore == Datastore::Etcd;
        Self {
            leave_server: Arc::new(leave(true)),
            leave_agent: Arc::new(leave(false)),
            // SQLite is a file that must not be copied while it is written; its backup is the machine's.
            snapshot: etcd.then(|| Arc::new(snapshot())),
        }
    }

    /// What leaves nothing of K3s on a host.
    pub(crate) fn leaving(&self) -> Leaving {
        Leaving { server: self.leave_server.clone(), agent: self.leave_agent.clone() }
    }

    /// What is done with one node.
    pub(crate) fn of(&self, context: &Context<'_>, node: &NodePlan<'_>) -> MemberRecipes {
        let server = node.is_server();
        MemberRecipes {
            init: server.then(|| Arc::new(init(context, node))),
            join: Arc::new(if server { join_server(context, node) } else { join_agent(context, node) }),
            upgrade: Arc::new(upgrade(context, node)),
            leave: if server { self.leave_server.clone() } else { self.leave_agent.clone() },
            snapshot: self.snapshot.clone().filter(|_| server),
            restore: None,
        }
    }
}

fn recipe(context: &Context<'_>, title: &str, effect: Effect, steps: Vec<RecipeStep>, gives: Vec<Output>) -> Recipe {
    let version = Some(context.file.spec.kubernetes.version.clone());
    Recipe { title: title.into(), effect, version, steps, gives }
}

/// The first server. With etcd it says so in the membership file, and no longer than until it runs: a server that lost
/// its disk would begin a second cluster at its next start. SQLite is what K3s does when nothing is said.
fn init(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let membership = |text: String| RecipeStep::Write(FileWish::new(MEMBERSHIP, text, 0o600));
    let steps = match context.file.spec.kubernetes.datastore {
        Datastore::Etcd => vec![
            membership("cluster-init: true\n".into()),
            start(context, node),
            api_ready(),
            // Not before: a unit is started without waiting for it, and may read its configuration a moment later.
            membership(format!("server: https://{}\n", context.endpoint)),
        ],
        Datastore::Sqlite => vec![RecipeStep::Remove(MEMBERSHIP.into()), start(context, node), api_ready()],
    };
    recipe(context, "start the K3s cluster", Effect::Init, steps, vec![kubeconfig(context)])
}

fn join_server(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let steps = vec![through_a_server(), start(context, node), api_ready()];
    recipe(context, "join the K3s control plane", Effect::JoinServer, steps, vec![kubeconfig(context)])
}

/// Says in the membership file which server to join through: one that serves while the recipe runs.
fn through_a_server() -> RecipeStep {
    let text = Text::known("server: ").and_hole("cluster/server").and("\n");
    RecipeStep::Write(FileWish::new(MEMBERSHIP, text, 0o600))
}

/// An agent's configuration names the endpoint. Where that is a single server, which may be the one that is down, the
/// agent joins through another. That it was let in shows by the kubeconfig that it writes for its kubelet.
fn join_agent(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let joined = RecipeStep::Until {
        command: ["test", "-s", KUBELET_CONFIG].map(String::from).to_vec(),
        what: "the agent is let in by a server".into(),
        timeout: START_TIMEOUT,
        log: Some(unit_name(false).into()),
    };
    let mut steps = vec![start(context, node), joined];
    if endpoint_is_a_server(context) {
        steps.insert(0, through_a_server());
    }
    recipe(context, "join K3s as an agent", Effect::JoinAgent, steps, Vec::new())
}

fn endpoint_is_a_server(context: &Context<'_>) -> bool {
    let endpoint = &context.endpoint;
    let is_endpoint = |node: &NodePlan<'_>| match node.address {
        Some(address) => endpoint.address() == Some(address),
        None => endpoint.host == node.name.as_str(),
    };
    context.nodes.iter().any(|node| node.is_server() && is_endpoint(node))
}

/// The new binary is in its place already; containers go on while K3s restarts. The books still hold the node as Ready
/// for a while after its kubelet has gone, so it counts only when they hold the new version as well.
/// <https://docs.k3s.io/upgrades/manual>
fn upgrade(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let unit = unit_name(node.is_server());
    let version = &context.file.spec.kubernetes.version;
    let restart = RecipeStep::Restart { unit: unit.into(), reads: reads(context, node) };
    let mut steps = vec![restart];
    steps.extend(node.is_server().then(api_ready));
    steps.push(runs(node, version));
    recipe(context, &format!("run K3s {version}"), Effect::Upgrade, steps, Vec::new())
}

/// The node is Ready with this version. Each node may read its own Node object, an agent with its kubelet's credentials.
/// <https://kubernetes.io/docs/reference/access-authn-authz/node/>
fn runs(node: &NodePlan<'_>, version: &Version) -> RecipeStep {
    let config = if node.is_server() { KUBECONFIG } else { KUBELET_CONFIG };
    let shown = "{.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type==\"Ready\")].status}";
    let name = &node.name;
    let test = format!(
        "test \"$({BINARY} kubectl --kubeconfig {config} get node {name} -o jsonpath='{shown}')\" = '{version} True'"
    );
    RecipeStep::Until {
        command: vec!["/bin/sh".into(), "-c".into(), test],
        what: format!("{name} is Ready with {version}"),
        timeout: START_TIMEOUT,
        log: Some(unit_name(node.is_server()).into()),
    }
}

fn start(context: &Context<'_>, node: &NodePlan<'_>) -> RecipeStep {
    RecipeStep::Start { unit: unit_name(node.is_server()).into(), reads: reads(context, node) }
}

fn api_ready() -> RecipeStep {
    RecipeStep::Until {
        command: [BINARY, "kubectl", "--kubeconfig", KUBECONFIG, "get", "--raw", "/readyz"].map(String::from).to_vec(),
        what: "the API server says that it is ready".into(),
        timeout: START_TIMEOUT,
        log: Some(unit_name(true).into()),
    }
}

/// K3s writes its kubeconfig for the server itself; others reach the API at its endpoint.
fn kubeconfig(context: &Context<'_>) -> Output {
    Output {
        hole: "cluster/kubeconfig".into(),
        file: KUBECONFIG.into(),
        replace: vec![("https://127.0.0.1:6443".into(), Text::known(format!("https://{}", context.endpoint)))],
    }
}

/// <https://docs.k3s.io/cli/etcd-snapshot>
fn snapshot() -> Recipe {
    let command = [BINARY, "etcd-snapshot", "save", "--name", "kubewright"].map(String::from).to_vec();
    Recipe {
        title: "save a snapshot of etcd".into(),
        effect: Effect::Snapshot,
        version: None,
        steps: vec![RecipeStep::Run(command)],
        gives: Vec::new(),
    }
}

/// Everything that K3s has started, mounted, linked and written is taken away; what was there before stays.
fn leave(server: bool) -> Recipe {
    let shell = |script: &str| RecipeStep::Run(vec!["/bin/sh".into(), "-c".into(), script.into()]);
    let unit = unit_name(server);
    let mut steps = vec![RecipeStep::Stop { unit: unit.into() }];
    steps.extend([STOP_CONTAINERS, UNMOUNT, END_NAMESPACES, UNLINK, UNFILTER].map(shell));
    let files = [
        BINARY,
        "/usr/local/bin/kubectl",
        "/usr/local/bin/crictl",
        "/usr/local/bin/ctr",
        "/etc/rancher/k3s",
        "/var/lib/rancher/k3s",
        "/var/lib/kubelet",
        "/run/k3s",
        "/run/flannel",
        "/var/lib/cni",
    ];
    steps.extend(files.map(|path| RecipeStep::Remove(path.into())));
    steps.push(RecipeStep::Remove(format!("/etc/systemd/system/{unit}")));
    steps.push(RecipeStep::Run(["systemctl", "daemon-reload"].map(String::from).to_vec()));
    Recipe {
        title: "leave nothing of K3s behind".into(),
        effect: Effect::Leave,
        version: None,
        steps,
        gives: Vec::new(),
    }
}

/// Containers outlive their unit on purpose, so their shims are ended with everything under them: a shim that is ended
/// alone leaves its processes to init. Shims run from K3s' own data folder.
const STOP_CONTAINERS: &str = "tree() { for pid in $*; do echo \"$pid\"; tree $(pgrep -P \"$pid\"); done; }; \
    doomed=$(tree $(pgrep -f '^/var/lib/rancher/k3s/data/[^/]*/bin/containerd-shim')); \
    test -z \"$doomed\" || kill -KILL $doomed 2>/dev/null; true";

/// The deepest mounts first.
const UNMOUNT: &str = "awk '$2 ~ \"^(/run/k3s|/var/lib/rancher/k3s|/var/lib/kubelet/(pods|plugins)|/run/netns/cni-)\" { print $2 }' \
    /proc/self/mounts | sort -r | while read -r mount; do umount -f \"$mount\" || umount -l \"$mount\"; done";

/// The network plug-ins' names for pods' network namespaces.
const END_NAMESPACES: &str = "ip netns list 2>/dev/null | awk '/^cni-/ { print $1 }' | \
    while read -r space; do ip netns delete \"$space\"; done";

const UNLINK: &str = "for link in $(ip -o link show master cni0 2>/dev/null | awk -F '[:@ ]+' '{ print $2 }') \
    cni0 flannel.1 flannel-v6.1 flannel-wg flannel-wg-v6 kube-ipvs0; do \
    ip link show \"$link\" >/dev/null 2>&1 && ip link delete \"$link\"; done; true";

const UNFILTER: &str = "for tool in iptables ip6tables; do command -v \"$tool-save\" >/dev/null || continue; \
    \"$tool-save\" | grep -v -e KUBE- -e CNI- -e flannel | \"$tool-restore\"; done";
