//! What is asked of Talos to begin a cluster, to be a member of it, and to be nothing again.

use std::sync::Arc;

use kubewright_model::desired::Renewal;
use kubewright_model::recipe::{Effect, Output, Recipe, RecipeStep};
use kubewright_model::talos::{TALOS_KUBECONFIG, TalosCall};
use kubewright_model::units::Span;

use crate::context::Context;
use crate::context::nodes::NodePlan;

/// The first start pulls the images of a control plane; on a slow link that takes minutes.
const START_TIMEOUT: Span = Span::from_secs(10 * 60);
/// A machine of iron may take minutes until its firmware starts anything.
const RESET_TIMEOUT: Span = Span::from_secs(15 * 60);

/// The hole for the kubeconfig that is kept.
const KUBECONFIG: &str = "cluster/kubeconfig";

fn recipe(context: &Context<'_>, title: impl Into<String>, effect: Effect, calls: Vec<TalosCall>) -> Recipe {
    let version = Some(context.file.spec.kubernetes.version.clone());
    let steps = calls.into_iter().map(RecipeStep::Talos).collect();
    Recipe { title: title.into(), effect, version, steps, gives: Vec::new() }
}

/// Every server could begin; exactly one is told to.
/// <https://www.talos.dev/v1.11/introduction/getting-started/#kubernetes-bootstrap>
pub(super) fn init(context: &Context<'_>) -> Recipe {
    let calls = vec![TalosCall::Bootstrap, TalosCall::Joined { server: true, timeout: START_TIMEOUT }];
    Recipe { gives: kubeconfig(), ..recipe(context, "bootstrap the Talos cluster", Effect::Init, calls) }
}

/// Who restores tells the others apart by nothing: nodes that were members when it was saved come back under their names.
/// <https://www.talos.dev/v1.11/advanced/disaster-recovery/>
pub(super) fn restore(context: &Context<'_>) -> Recipe {
    let calls = vec![TalosCall::Recover, TalosCall::Joined { server: true, timeout: START_TIMEOUT }];
    Recipe { gives: kubeconfig(), ..recipe(context, "restore the Talos cluster", Effect::Restore, calls) }
}

/// Talos makes an administrator's kubeconfig for whoever asks.
fn kubeconfig() -> Vec<Output> {
    vec![Output { hole: KUBECONFIG.into(), file: TALOS_KUBECONFIG.into(), replace: Vec::new(), once: false }]
}

/// A node with its configuration finds the others by itself.
pub(super) fn join(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let calls = vec![TalosCall::Joined { server: node.is_server(), timeout: START_TIMEOUT }];
    match node.is_server() {
        // The way in is lost without it, where the one that began is gone.
        true => {
            Recipe { gives: kubeconfig(), ..recipe(context, "join the Talos control plane", Effect::JoinServer, calls) }
        }
        false => recipe(context, "join Talos as a worker", Effect::JoinAgent, calls),
    }
}

pub(super) fn forget(context: &Context<'_>) -> Recipe {
    recipe(context, "take a member out of etcd", Effect::Forget, vec![TalosCall::Forget])
}

/// The configuration names the images of Kubernetes; Talos pulls them and starts them by itself.
/// <https://www.talos.dev/v1.11/kubernetes-guides/upgrading-kubernetes/#manual-kubernetes-upgrade>
pub(super) fn upgrade(context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
    let version = context.file.spec.kubernetes.version.clone();
    let title = format!("run Kubernetes {version}");
    let runs = TalosCall::Runs { version, server: node.is_server(), timeout: START_TIMEOUT };
    recipe(context, title, Effect::Upgrade, vec![runs])
}

/// What is on the disk of Talos' own and of Kubernetes goes; what boots the machine stays, and waits in maintenance mode.
/// <https://www.talos.dev/v1.11/talos-guides/resetting-a-machine/>
pub(super) fn leave() -> Recipe {
    let steps = vec![RecipeStep::Talos(TalosCall::Reset { timeout: RESET_TIMEOUT })];
    let title = "reset Talos to maintenance mode".into();
    Recipe { title, effect: Effect::Leave, version: None, steps, gives: Vec::new() }
}

pub(super) fn snapshot(context: &Context<'_>) -> Recipe {
    recipe(context, "save etcd", Effect::Snapshot, vec![TalosCall::Snapshot])
}

/// Talos makes the certificates of its own services and of the control plane anew by itself; the kubelet's are made when it
/// starts, so it has to once a year. The way in is made anew for whoever asks.
/// <https://www.talos.dev/v1.11/talos-guides/howto/cert-management/>
pub(super) fn renewal(context: &Context<'_>, node: &NodePlan<'_>) -> Renewal {
    let server = node.is_server();
    let of = |title, effect, call| Recipe { version: None, ..recipe(context, title, effect, vec![call]) };
    let settle =
        of("see Talos go by its new certificates", Effect::Look, TalosCall::Joined { server, timeout: START_TIMEOUT });
    let gives = if server { kubeconfig() } else { Vec::new() };
    Renewal {
        renew: Arc::new(of("renew the kubelet's certificates", Effect::Renew, TalosCall::RestartKubelet)),
        settle: Arc::new(Recipe { gives, ..settle }),
    }
}
