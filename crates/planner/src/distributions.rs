//! Distributions compile: from nodes to files, units and recipes. They do nothing themselves.
//!
//! K3s and RKE2 are one family: what they have in common is in one room, and each says only what is its own. kubeadm has
//! nothing in common with them.

mod bundles;
mod k3s;
mod kubeadm;
mod leftovers;
mod rancher;
mod rke2;
mod talos;

use std::collections::BTreeMap;
use std::sync::Arc;

use kubewright_model::desired::{Halfway, Leaving, MemberRecipes, Renewal};
use kubewright_model::host::HostResource;
use kubewright_model::recipe::Recipe;
use kubewright_model::rotation::{Rotation, Round};
use kubewright_model::spec::kubernetes::Datastore;
use kubewright_model::spec::{ClusterFile, Distribution, SecretRef};

use crate::context::Context;
use crate::context::nodes::NodePlan;

/// What compiles for a distribution.
trait Compiler: Sync {
    /// The secrets that its files hold, by name, and where each is to be found.
    fn secrets<'f>(&self, file: &'f ClusterFile) -> Vec<(String, &'f SecretRef)>;
    /// Further settings that a cluster keeps as it was begun with them, for people.
    fn kept(&self, context: &Context<'_>) -> BTreeMap<String, String>;
    /// What a node needs of its host, in order.
    fn host_resources(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<HostResource>;
    /// The TCP ports that a node listens on.
    fn ports(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<u16>;
    /// Starts a new cluster on a server.
    fn init(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe;
    /// Joins the cluster.
    fn join(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe;
    /// What is done about a server that was cut off while it was made, where it does not go on by itself.
    fn halfway(&self, context: &Context<'_>) -> Option<Halfway>;
    /// Ends what a run that was cut off may leave undone of a member.
    fn belong(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Option<Recipe>;
    /// Lets other nodes in for a while, by a server, where nobody may join without that.
    fn admit(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Option<Recipe>;
    /// Takes another member out of etcd, by a server, where Kubernetes does not do that by itself.
    fn forget(&self, context: &Context<'_>) -> Option<Recipe>;
    /// Puts the version that is wished in the place of the one that runs.
    fn upgrade(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe;
    /// Leaves nothing of it on the host of a server, or of an agent.
    fn leave(&self, server: bool) -> Recipe;
    /// Saves etcd, and brings what was saved to this computer.
    fn snapshot(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe;
    /// Ends a member before another state of etcd is put back, and puts aside what it has of this one; the host stays set
    /// up, and what it needs to begin or to join is there. Nothing where it goes on meanwhile.
    fn stand_down(&self, server: bool) -> Option<Recipe>;
    /// Gives what a server keeps beside the datastore, where that is on the host and does not come with a snapshot.
    fn keys(&self, _node: &NodePlan<'_>) -> Option<Recipe> {
        None
    }
    /// Makes a node's certificates anew.
    fn renewal(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Renewal;
    /// How the cluster goes over to another token or key, as far as a node has to do with it.
    fn turnovers(&self, _: &Context<'_>, _node: &NodePlan<'_>) -> BTreeMap<Rotation, Vec<Round>> {
        BTreeMap::new()
    }
    /// Starts a new cluster on a server with what was saved of etcd, where this version can do that.
    fn restore(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Option<Recipe>;
}

/// The compiler for a distribution.
fn compiler(distribution: Distribution) -> &'static dyn Compiler {
    match distribution {
        Distribution::K3s => &k3s::PROGRAM,
        Distribution::Rke2 => &rke2::PROGRAM,
        Distribution::Kubeadm => &kubeadm::KUBEADM,
        Distribution::Talos => &talos::TALOS,
    }
}

fn of(context: &Context<'_>) -> &'static dyn Compiler {
    compiler(context.file.spec.kubernetes.distribution)
}

/// The secrets that a distribution's files hold, by name, and where each is to be found.
pub(crate) fn secrets(file: &ClusterFile) -> Vec<(String, &SecretRef)> {
    compiler(file.spec.kubernetes.distribution).secrets(file)
}

/// Further settings that a cluster of a distribution keeps as it was begun with them, for people.
pub(crate) fn kept(context: &Context<'_>) -> BTreeMap<String, String> {
    of(context).kept(context)
}

/// Where a node of Talos answers in maintenance mode, where the file says it.
pub(crate) use talos::maintenance;

/// What a node's distribution needs of its host, in order.
pub(crate) fn host_resources(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<HostResource> {
    of(context).host_resources(context, node)
}

/// The TCP ports that a node's distribution listens on.
pub(crate) fn ports(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<u16> {
    of(context).ports(context, node)
}

/// What a distribution does with its members; what is the same on every node is made once.
pub(crate) struct Recipes {
    compiler: &'static dyn Compiler,
    leaving: Leaving,
    etcd: bool,
    forget: Option<Arc<Recipe>>,
    halfway: Option<Halfway>,
}

/// What a distribution does with its members.
pub(crate) fn recipes(context: &Context<'_>) -> Recipes {
    let compiler = of(context);
    Recipes {
        compiler,
        leaving: Leaving { server: Arc::new(compiler.leave(true)), agent: Arc::new(compiler.leave(false)) },
        etcd: context.file.spec.kubernetes.datastore == Datastore::Etcd,
        forget: compiler.forget(context).map(Arc::new),
        halfway: compiler.halfway(context),
    }
}

impl Recipes {
    /// What leaves nothing of the distribution on a host.
    pub(crate) fn leaving(&self) -> Leaving {
        self.leaving.clone()
    }

    /// What is done with one node.
    pub(crate) fn of(&self, context: &Context<'_>, node: &NodePlan<'_>) -> MemberRecipes {
        let (compiler, server) = (self.compiler, node.is_server());
        // SQLite is a file that must not be copied while it is written; its backup is the machine's.
        let saves = server && self.etcd;
        MemberRecipes {
            init: server.then(|| Arc::new(compiler.init(context, node))),
            join: Arc::new(compiler.join(context, node)),
            halfway: self.halfway.clone(),
            belong: compiler.belong(context, node).map(Arc::new),
            admit: if server { compiler.admit(context, node).map(Arc::new) } else { None },
            forget: self.forget.clone().filter(|_| server),
            upgrade: Arc::new(compiler.upgrade(context, node)),
            leave: if server { self.leaving.server.clone() } else { self.leaving.agent.clone() },
            snapshot: saves.then(|| Arc::new(compiler.snapshot(context, node))),
            keys: if server { compiler.keys(node).map(Arc::new) } else { None },
            restore: if saves { compiler.restore(context, node).map(Arc::new) } else { None },
            stand_down: if self.etcd { compiler.stand_down(server).map(Arc::new) } else { None },
            renewal: compiler.renewal(context, node),
            turnovers: compiler.turnovers(context, node),
        }
    }
}
