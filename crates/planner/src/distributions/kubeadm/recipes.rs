//! What kubeadm is told to do: begin, let in, join, go over to another version.
//!
//! A connection may break while one of its commands goes on, so one shell does it all: it waits for a kubeadm of ours
//! that is still at work on the host, finds what that has done, marks that it begins, and takes the mark away when it is
//! done. So a mark that stays tells of one that was cut off itself, and what is left of it is cleared away before anew.
//! A server that joins may vote in etcd by then, before it is a node: its data are not touched until another server has
//! taken it out there (`cmd/join.go` and `phases/etcd/local.go` of kubeadm v1.36).

use std::sync::Arc;

use kubewright_model::desired::{self, Halfway};
use kubewright_model::host::FileWish;
use kubewright_model::programs::{KUBEADM_UNDER_WAY, KUBELET_CONFIG};
use kubewright_model::recipe::{Effect, Output, Recipe, RecipeStep};
use kubewright_model::text::Text;
use kubewright_model::units::Span;

use super::{ADMIN, api_port, at, config, etcd, leave, shell, units};
use crate::context::Context;
use crate::context::nodes::NodePlan;

/// What kubeadm reads while it begins a cluster or joins one.
pub(super) const CONFIG: &str = "/etc/kubernetes/kubewright/config.yaml";
/// What it reads while it lets others in.
const ADMITS: &str = "/etc/kubernetes/kubewright/admit.yaml";
/// Who is taken out of etcd.
const FORGOTTEN: &str = "/etc/kubernetes/kubewright/forgotten";
/// Where a node that joins finds the cluster.
pub(super) const DISCOVERY: &str = "/etc/kubernetes/kubewright/discovery.conf";
/// The authority that vouches for the API, for a node that has none yet.
pub(super) const AUTHORITY: &str = "/etc/kubernetes/kubewright/ca.crt";

/// The first start pulls images; on a slow link that takes minutes.
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

pub(super) fn write(path: &str, content: impl Into<Text>) -> RecipeStep {
    RecipeStep::Write(FileWish::new(path, content, 0o600))
}

/// One kubeadm of ours at a time on a host: who comes later waits for the one before. It goes on as long as that takes to
/// bring images in.
pub(super) const ALONE: &str = "set -eu\n\
    exec 9>/run/kubewright-kubeadm.lock\n\
    flock -w 1800 9 || { echo 'another kubeadm has been at work on this host for 30 minutes' >&2; exit 1; }\n";

fn kubeadm(words: &str) -> RecipeStep {
    shell(format!("{ALONE}{} {words}", at("kubeadm")))
}

/// kubeadm makes the host a member, unless it has done that already, and the mark says as what: the first server, a further
/// one or an agent. Where a further server was cut off, whoever plans takes it out of etcd before anything is cleared. From
/// the beginning the kubelet starts with its host: etcd in its hands may vote before kubeadm is done. What is made before it
/// belongs to it: what is left of that is cleared away too.
pub(super) fn becomes(words: &str, role: &str, before: &str) -> RecipeStep {
    let (kubeadm, kubelet, clear) = (at("kubeadm"), units::KUBELET, leave::clear());
    shell(format!(
        "{ALONE}\
         trap 'rm -f -- {CONFIG} {DISCOVERY} {AUTHORITY}' EXIT\n\
         if [ -e {KUBEADM_UNDER_WAY} ]; then\n\
         case $(cat {KUBEADM_UNDER_WAY}) in first | agent) ;; *)\n\
         echo 'kubeadm was cut off here, and etcd may have taken this server in: run again' >&2\nexit 1\n;; esac\n\
         {clear}\nfi\n\
         if [ ! -e {KUBELET_CONFIG} ]; then\n\
         echo {role} >{KUBEADM_UNDER_WAY}\n\
         systemctl -q enable {kubelet}\n\
         {before}{kubeadm} {words}\n\
         fi\n\
         rm -f -- {KUBEADM_UNDER_WAY}"
    ))
}

/// What is done about a server that was cut off while it joined.
pub(super) fn halfway(context: &Context<'_>) -> Halfway {
    let waits = format!(
        "{ALONE}[ -e {KUBEADM_UNDER_WAY} ] || {{ echo 'kubeadm has ended well here meanwhile: run again' >&2; exit 1; }}"
    );
    let clears = format!("{ALONE}{}\nrm -f -- {CONFIG} {DISCOVERY} {AUTHORITY} {KUBEADM_UNDER_WAY}", leave::clear());
    let of = |title: &str, effect: Effect, script: String| {
        Arc::new(recipe(context, title, effect, vec![shell(script)], Vec::new()))
    };
    Halfway {
        ended: of("see that kubeadm has ended", Effect::Look, waits),
        clear: of("clear away what kubeadm was cut off in", Effect::Clear, clears),
    }
}

/// The first server. Its token and its certificates let others in for a while.
pub(super) fn init(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let quiet = "--upload-certs --skip-token-print --skip-certificate-key-print";
    let mut steps = vec![
        write(CONFIG, config::init(context, node)),
        becomes(&format!("init --config {CONFIG} {quiet}"), "first", ""),
    ];
    steps.extend(member(context, node));
    recipe(context, "start the kubeadm cluster", Effect::Init, steps, vec![authority(), kubeconfig()])
}

/// Lets nodes in for a while: what that takes may have ended since the last time. Both commands may be given again.
pub(super) fn admit(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let kubeadm = at("kubeadm");
    let script = format!(
        "{ALONE}\
         trap 'rm -f -- {ADMITS}' EXIT\n\
         {kubeadm} init phase bootstrap-token --config {ADMITS} --skip-token-print\n\
         {kubeadm} init phase upload-certs --upload-certs --config {ADMITS} --skip-certificate-key-print"
    );
    let steps = vec![write(ADMITS, config::init(context, node)), shell(script)];
    recipe(context, "let nodes in for some hours", Effect::Admit, steps, vec![authority()])
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
        write(AUTHORITY, Text::hole("cluster/ca")),
        write(DISCOVERY, config::discovery(context)),
        write(CONFIG, config::join(context, node)),
        becomes(&format!("join --config {CONFIG}"), if server { "server" } else { "agent" }, ""),
    ];
    steps.extend(member(context, node));
    match server {
        true => recipe(context, "join the kubeadm control plane", Effect::JoinServer, steps, vec![kubeconfig()]),
        false => recipe(context, "join kubeadm as an agent", Effect::JoinAgent, steps, Vec::new()),
    }
}

/// kubeadm has started the kubelet, which from now on starts with the host.
pub(super) fn member(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<RecipeStep> {
    let server = node.is_server().then(|| api_ready(context, node));
    std::iter::once(stays(context)).chain(server).collect()
}

fn stays(context: &Context<'_>) -> RecipeStep {
    RecipeStep::Start { unit: units::KUBELET.into(), reads: units::reads(&context.file.spec.kubernetes) }
}

/// What a run left undone that was cut off right behind kubeadm.
pub(super) fn belong(context: &Context<'_>) -> Recipe {
    recipe(context, "start the kubelet with its host", Effect::Belong, vec![stays(context)], Vec::new())
}

/// The authority that every node trusts, for those that are about to join.
pub(super) fn authority() -> Output {
    Output { hole: "cluster/ca".into(), file: "/etc/kubernetes/pki/ca.crt".into(), replace: Vec::new(), once: false }
}

/// It leads to the endpoint already.
pub(super) fn kubeconfig() -> Output {
    Output { hole: "cluster/kubeconfig".into(), file: ADMIN.into(), replace: Vec::new(), once: false }
}

/// Asks whether the server itself serves, which its certificate has the address for.
pub(super) fn asks_api(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<String> {
    let own = node.address.map(|address| format!("https://{}", host_port(address, api_port(context, node))));
    let mut command = vec![at("kubectl"), "--kubeconfig".into(), ADMIN.into()];
    command.extend(own.into_iter().flat_map(|server| ["--server".to_string(), server]));
    command.extend(["get", "--raw", "/readyz"].map(String::from));
    command
}

pub(super) fn api_ready(context: &Context<'_>, node: &NodePlan<'_>) -> RecipeStep {
    RecipeStep::Until {
        command: asks_api(context, node),
        what: "the API server says that it is ready".into(),
        timeout: START_TIMEOUT,
        log: Some(units::KUBELET.into()),
    }
}

fn host_port(address: std::net::IpAddr, port: u16) -> std::net::SocketAddr {
    std::net::SocketAddr::new(address, port)
}

/// The server that takes the cluster over to another version, from when it begins until it is done.
const APPLIES: &str = "/etc/kubernetes/kubewright/applies";

/// The first server that comes here takes the cluster over to the version, which the cluster's own books show from then
/// on, before it is done with that; the others follow. Only then the kubelet is started anew, whose program is in its place already. The books
/// hold a node as Ready for a while after its kubelet has gone, so it counts only when they hold the new version as well.
/// <https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-upgrade/>
pub(super) fn upgrade(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let version = &context.file.spec.kubernetes.version;
    let (kubeadm_at, kubectl) = (at("kubeadm"), at("kubectl"));
    let mut steps = match node.is_server() {
        true => vec![shell(format!(
            "{ALONE}\
             at=$({kubectl} --kubeconfig {ADMIN} -n kube-system get configmap kubeadm-config \
             -o jsonpath='{{.data.ClusterConfiguration}}')\n\
             if [ ! -e {APPLIES} ] && printf '%s\n' \"$at\" | grep -qxF 'kubernetesVersion: {version}'; then\n\
             {kubeadm_at} upgrade node\n\
             else\n\
             : >{APPLIES}\n\
             {kubeadm_at} upgrade apply {version} --yes\n\
             rm -f -- {APPLIES}\n\
             fi"
        ))],
        false => vec![kubeadm("upgrade node")],
    };
    let reads = units::reads(&context.file.spec.kubernetes);
    steps.push(RecipeStep::Restart { unit: units::KUBELET.into(), reads });
    steps.extend(node.is_server().then(|| api_ready(context, node)));
    let config = if node.is_server() { ADMIN } else { KUBELET_CONFIG };
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
