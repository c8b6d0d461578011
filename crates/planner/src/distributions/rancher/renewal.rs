//! New certificates for a node: the old ones are put aside while its unit is stopped, and the unit makes others when it
//! starts. Agents ask a server for theirs, with the token that they joined with.
//!
//! <https://docs.k3s.io/cli/certificate#rotating-client-and-server-certificates>,
//! <https://docs.rke2.io/security/certificates>; what is put aside says `pkg/util/services/services.go` of K3s. Servers come
//! before agents, as older releases demand.

use std::sync::Arc;

use kubewright_model::desired::Renewal;
use kubewright_model::recipe::{Effect, Recipe, RecipeStep};

use super::recipes::{START_TIMEOUT, recipe};
use super::{Program, shell};
use crate::context::Context;
use crate::context::nodes::NodePlan;

impl Program {
    pub(super) fn new_certificates(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Renewal {
        let unit = self.unit(node.is_server()).name;
        // A unit that waits for the others of its etcd is not waited for: they may be in the same need.
        let script = format!(
            "set -eu\n\
             trap 'systemctl start --no-block {unit}' EXIT\n\
             systemctl stop {unit}\n\
             {} certificate rotate",
            self.binary()
        );
        let of = |title: String, effect, steps, gives| {
            Arc::new(Recipe { version: None, ..recipe(context, &title, effect, steps, gives) })
        };
        let mut waits = vec![self.unit_ready(unit)];
        waits.extend(node.is_server().then(|| self.api_ready()));
        waits.push(self.is_let_in(node));
        let gives = node.is_server().then(|| self.given_kubeconfig(context));
        let title = self.title();
        Renewal {
            renew: of(format!("renew {title}'s certificates"), Effect::Renew, vec![shell(&script)], Vec::new()),
            settle: of(
                format!("see {title} go by its new certificates"),
                Effect::Look,
                waits,
                gives.into_iter().collect(),
            ),
        }
    }

    /// The node's own credentials open what a node may read: itself.
    /// <https://kubernetes.io/docs/reference/access-authn-authz/node/>
    pub(super) fn is_let_in(&self, node: &NodePlan<'_>) -> RecipeStep {
        let words =
            ["--kubeconfig", &self.kubelet_config(), "get", "node", node.name.as_str(), "-o", "name"].map(String::from);
        RecipeStep::Until {
            command: self.kubectl.iter().map(|word| (*word).to_string()).chain(words).collect(),
            what: format!("the kubelet of {} is let in", node.name),
            timeout: START_TIMEOUT,
            log: Some(self.unit(node.is_server()).name.into()),
        }
    }
}
