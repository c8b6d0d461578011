//! New certificates for a node of kubeadm.
//!
//! On a server kubeadm makes them with the authorities that lie there, and asks no API: also where all have expired. What
//! goes by them is started again. Kubelets ask the cluster for theirs as long as they have one; one whose own has expired
//! does not even start, so a server's kubelet is given a new one by the authority, and an agent's asks with a token, as it
//! did when it joined. <https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-certs/>,
//! <https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/troubleshooting-kubeadm/#kubelet-client-cert>

use std::sync::Arc;

use kubewright_model::desired::Renewal;
use kubewright_model::programs::KUBELET_CONFIG;
use kubewright_model::recipe::{Effect, Recipe, RecipeStep};

use super::recipes::{ALONE, START_TIMEOUT, api_ready, kubeconfig, recipe, write};
use super::{at, config, shell, units};
use crate::context::Context;
use crate::context::nodes::NodePlan;

/// What kubeadm or a kubelet reads while certificates are made anew.
const RENEWS: &str = "/etc/kubernetes/kubewright/renew.yaml";
/// Where the unit has the kubelet look for what it asks with.
const BOOTSTRAP: &str = "/etc/kubernetes/bootstrap-kubelet.conf";
/// The kubelet's own certificate with its key: a link to the newest (`certificate_store.go` of client-go).
const CURRENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

pub(super) fn renewal(context: &Context<'_>, node: &NodePlan<'_>) -> Renewal {
    let server = node.is_server();
    let steps = match server {
        true => vec![write(RENEWS, config::of_the_cluster(context)), shell(of_a_server(node))],
        false => vec![write(RENEWS, config::bootstrap(context)), shell(of_an_agent())],
    };
    let mut waits: Vec<RecipeStep> = server.then(|| api_ready(context, node)).into_iter().collect();
    waits.push(is_let_in(node));
    let gives = if server { vec![kubeconfig()] } else { Vec::new() };
    let of = |title, effect, steps, gives| {
        Arc::new(Recipe { version: None, ..recipe(context, title, effect, steps, gives) })
    };
    Renewal {
        renew: of("renew kubeadm's certificates", Effect::Renew, steps, Vec::new()),
        settle: of("see the node go by its new certificates", Effect::Look, waits, gives),
    }
}

/// All but the kubelet's are kubeadm's. The new one of the kubelet takes the place of the old one in one move, and then the
/// control plane's containers are stopped, which the kubelet starts again at once: no manifest is moved away that a cut
/// would leave away.
fn of_a_server(node: &NodePlan<'_>) -> String {
    let (kubeadm, kubelet, name) = (at("kubeadm"), units::KUBELET, &node.name);
    format!(
        "{ALONE}\
         umask 077\n\
         trap 'rm -f -- {RENEWS} {CURRENT}.kubewright' EXIT\n\
         {kubeadm} certs renew all --config {RENEWS}\n\
         given=$({kubeadm} kubeconfig user --config {RENEWS} --client-name 'system:node:{name}' --org system:nodes)\n\
         new=/var/lib/kubelet/pki/kubelet-client-$(date -u +%Y-%m-%d-%H-%M-%S).pem\n\
         for part in certificate key; do\n\
         printf '%s\\n' \"$given\" | sed -n \"s/^ *client-$part-data: *//p\" | base64 -d\n\
         done >\"$new\"\n\
         [ \"$(grep -c -e '-----BEGIN ' \"$new\")\" = 2 ] || {{\n\
         rm -f -- \"$new\"\necho 'kubeadm gave no certificate for the kubelet' >&2\nexit 1\n}}\n\
         ln -sf -- \"$new\" {CURRENT}.kubewright\n\
         mv -f -- {CURRENT}.kubewright {CURRENT}\n\
         systemctl restart {kubelet}\n\
         {}",
        start_again("etcd kube-apiserver kube-controller-manager kube-scheduler")
    )
}

/// The lines that have containers of the control plane start again, by their names: the kubelet starts at once what is stopped.
pub(super) fn start_again(names: &str) -> String {
    let crictl = at("crictl");
    format!(
        "for name in {names}; do\n\
         for container in $({crictl} ps -q --state Running --label io.kubernetes.pod.namespace=kube-system \
         --label io.kubernetes.container.name=$name); do\n\
         {crictl} stop --timeout 30 \"$container\"\n\
         done\n\
         done"
    )
}

/// A kubelet without a certificate asks for one with what lies at its place (`bootstrap.go` of the kubelet). Where nobody
/// gives it any, it has the old one again.
fn of_an_agent() -> String {
    let (kubelet, seconds) = (units::KUBELET, START_TIMEOUT.duration().as_secs());
    format!(
        "{ALONE}\
         umask 077\n\
         ends() {{\n\
         [ -e {CURRENT} ] || mv -f -- {CURRENT}.kubewright {CURRENT} || :\n\
         rm -f -- {RENEWS} {BOOTSTRAP} {CURRENT}.kubewright\n}}\n\
         trap ends EXIT\n\
         cp -- {RENEWS} {BOOTSTRAP}\n\
         [ ! -e {CURRENT} ] || mv -f -- {CURRENT} {CURRENT}.kubewright\n\
         systemctl restart {kubelet}\n\
         waited=0\n\
         until [ -s {CURRENT} ]; do\n\
         if [ $waited -ge {seconds} ]; then\n\
         ends\n\
         systemctl restart {kubelet}\n\
         echo 'nobody gave the kubelet a certificate: it has its old one again' >&2\nexit 1\n\
         fi\n\
         sleep 2\nwaited=$((waited + 2))\n\
         done"
    )
}

/// The node's own credentials open what a node may read: itself.
/// <https://kubernetes.io/docs/reference/access-authn-authz/node/>
pub(super) fn is_let_in(node: &NodePlan<'_>) -> RecipeStep {
    let name = node.name.as_str();
    let words = ["--kubeconfig", KUBELET_CONFIG, "get", "node", name, "-o", "name"].map(String::from);
    RecipeStep::Until {
        command: std::iter::once(at("kubectl")).chain(words).collect(),
        what: format!("the kubelet of {name} is let in"),
        timeout: START_TIMEOUT,
        log: Some(units::KUBELET.into()),
    }
}
