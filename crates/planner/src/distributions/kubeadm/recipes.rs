//! What kubeadm is told to do: begin, let in, join, go over to another version.
//!
//! Its commands are not cut off without a trace. The file that a command reads is there exactly while the command is
//! under way, so the next run knows a host on which one was cut off, and clears that away before it begins anew: nobody
//! else can have joined what was never said to have begun. A host on which it ended well says so in a file of its own.

use kubewright_model::desired;
use kubewright_model::host::FileWish;
use kubewright_model::programs::KUBEADM_MEMBER;
use kubewright_model::recipe::{Effect, Output, Recipe, RecipeStep};
use kubewright_model::text::Text;
use kubewright_model::units::Span;

use super::{ADMIN, KUBELET, api_port, at, config, etcd, leave, shell, units};
use crate::context::Context;
use crate::context::nodes::NodePlan;

/// What kubeadm reads while it begins a cluster or joins one.
const UNDER_WAY: &str = "/etc/kubernetes/kubewright/under-way.yaml";
/// What it reads while it lets others in.
const ADMITS: &str = "/etc/kubernetes/kubewright/admit.yaml";
/// Who is taken out of etcd.
const FORGOTTEN: &str = "/etc/kubernetes/kubewright/forgotten";
/// Where a node that joins finds the cluster.
pub(super) const DISCOVERY: &str = "/etc/kubernetes/kubewright/discovery.conf";
/// The authority that vouches for the API, for a node that has none yet.
pub(super) const AUTHORITY: &str = "/etc/kubernetes/kubewright/ca.crt";

/// The first start pulls images; on a slow link that takes minutes.
const START_TIMEOUT: Span = Span::from_secs(10 * 60);

fn recipe(context: &Context<'_>, title: &str, effect: Effect, steps: Vec<RecipeStep>, gives: Vec<Output>) -> Recipe {
    let version = Some(context.file.spec.kubernetes.version.clone());
    Recipe { title: title.into(), effect, version, steps, gives }
}

fn write(path: &str, content: impl Into<Text>) -> RecipeStep {
    RecipeStep::Write(FileWish::new(path, content, 0o600))
}

fn kubeadm(words: &[&str]) -> RecipeStep {
    RecipeStep::Run(std::iter::once(at("kubeadm")).chain(words.iter().map(|word| (*word).to_string())).collect())
}

/// The first server. Its token and its certificates let others in for a while.
pub(super) fn init(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let mut steps = vec![clears(), write(UNDER_WAY, config::init(context, node))];
    let quiet = ["--upload-certs", "--skip-token-print", "--skip-certificate-key-print"];
    steps.push(kubeadm(&[&["init", "--config", UNDER_WAY], quiet.as_slice()].concat()));
    steps.extend(member(context, node));
    recipe(context, "start the kubeadm cluster", Effect::Init, steps, vec![authority(), kubeconfig()])
}

/// Lets nodes in for a while: what that takes may have ended since the last time. Both commands may be given again.
pub(super) fn admit(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let steps = vec![
        write(ADMITS, config::init(context, node)),
        kubeadm(&["init", "phase", "bootstrap-token", "--config", ADMITS, "--skip-token-print"]),
        kubeadm(&[
            "init",
            "phase",
            "upload-certs",
            "--upload-certs",
            "--config",
            ADMITS,
            "--skip-certificate-key-print",
        ]),
        RecipeStep::Remove(ADMITS.into()),
    ];
    recipe(context, "let nodes in for two hours", Effect::Admit, steps, vec![authority()])
}

/// Takes another server's member out of etcd: deleting its node does not.
pub(super) fn forget(context: &Context<'_>) -> Recipe {
    let steps = vec![
        write(FORGOTTEN, Text::hole(desired::FORGOTTEN).and("\n")),
        shell(etcd::remove(FORGOTTEN)),
        RecipeStep::Remove(FORGOTTEN.into()),
    ];
    recipe(context, "take a member out of etcd", Effect::Forget, steps, Vec::new())
}

/// A server or an agent joins.
pub(super) fn join(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let server = node.is_server();
    let mut steps = vec![
        clears(),
        write(AUTHORITY, Text::hole("cluster/ca")),
        write(DISCOVERY, config::discovery(context)),
        write(UNDER_WAY, config::join(context, node)),
        kubeadm(&["join", "--config", UNDER_WAY]),
    ];
    steps.extend(member(context, node));
    match server {
        true => recipe(context, "join the kubeadm control plane", Effect::JoinServer, steps, vec![kubeconfig()]),
        false => recipe(context, "join kubeadm as an agent", Effect::JoinAgent, steps, Vec::new()),
    }
}

/// What an earlier run left that was cut off.
fn clears() -> RecipeStep {
    shell(format!("! test -e {UNDER_WAY} || {}", leave::reset()))
}

/// kubeadm has started the kubelet, which from now on starts with the host, and the host says that it is a member.
fn member(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<RecipeStep> {
    let reads = units::reads(&context.file.spec.kubernetes);
    let mut steps = vec![RecipeStep::Start { unit: units::KUBELET.into(), reads }];
    steps.extend(node.is_server().then(|| api_ready(context, node)));
    let role = if node.is_server() { "server" } else { "agent" };
    steps.push(write(KUBEADM_MEMBER, format!("{role}\n")));
    steps.extend([UNDER_WAY, DISCOVERY, AUTHORITY].map(|path| RecipeStep::Remove(path.into())));
    steps
}

/// The authority that every node trusts, for those that are about to join.
fn authority() -> Output {
    Output { hole: "cluster/ca".into(), file: "/etc/kubernetes/pki/ca.crt".into(), replace: Vec::new() }
}

/// It leads to the endpoint already.
fn kubeconfig() -> Output {
    Output { hole: "cluster/kubeconfig".into(), file: ADMIN.into(), replace: Vec::new() }
}

/// The server itself serves, which its certificate has the address for.
fn api_ready(context: &Context<'_>, node: &NodePlan<'_>) -> RecipeStep {
    let own = node.address.map(|address| format!("https://{}", host_port(address, api_port(context, node))));
    let mut command = vec![at("kubectl"), "--kubeconfig".into(), ADMIN.into()];
    command.extend(own.into_iter().flat_map(|server| ["--server".to_string(), server]));
    command.extend(["get", "--raw", "/readyz"].map(String::from));
    RecipeStep::Until {
        command,
        what: "the API server says that it is ready".into(),
        timeout: START_TIMEOUT,
        log: Some(units::KUBELET.into()),
    }
}

fn host_port(address: std::net::IpAddr, port: u16) -> std::net::SocketAddr {
    std::net::SocketAddr::new(address, port)
}

/// The first server that comes here takes the cluster over to the version, which the cluster's own books show from then
/// on; the others follow. Only then the kubelet is started anew, whose program is in its place already. The books
/// hold a node as Ready for a while after its kubelet has gone, so it counts only when they hold the new version as well.
/// <https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-upgrade/>
pub(super) fn upgrade(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let version = &context.file.spec.kubernetes.version;
    let (kubeadm_at, kubectl) = (at("kubeadm"), at("kubectl"));
    let mut steps = match node.is_server() {
        true => vec![shell(format!(
            "at=$({kubectl} --kubeconfig {ADMIN} -n kube-system get configmap kubeadm-config \
             -o jsonpath='{{.data.ClusterConfiguration}}') || exit 1; \
             if printf '%s\\n' \"$at\" | grep -qxF 'kubernetesVersion: {version}'; then {kubeadm_at} upgrade node; \
             else {kubeadm_at} upgrade apply {version} --yes; fi"
        ))],
        false => vec![kubeadm(&["upgrade", "node"])],
    };
    let reads = units::reads(&context.file.spec.kubernetes);
    steps.push(RecipeStep::Restart { unit: units::KUBELET.into(), reads });
    steps.extend(node.is_server().then(|| api_ready(context, node)));
    let config = if node.is_server() { ADMIN } else { KUBELET };
    let shown = "{.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type==\"Ready\")].status}";
    let name = &node.name;
    let test =
        format!("test \"$({kubectl} --kubeconfig {config} get node {name} -o jsonpath='{shown}')\" = '{version} True'");
    steps.push(RecipeStep::Until {
        command: vec!["/bin/sh".into(), "-c".into(), test],
        what: format!("{name} is Ready with {version}"),
        timeout: START_TIMEOUT,
        log: Some(units::KUBELET.into()),
    });
    recipe(context, &format!("run Kubernetes {version}"), Effect::Upgrade, steps, Vec::new())
}
