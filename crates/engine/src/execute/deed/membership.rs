//! Before a cluster is begun, joined or left: what is asked of it once more, for the plan was made a while ago.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_hosts::{Holes, HostError, Layer, Probe};
use kubewright_model::desired::{Desired, FORGOTTEN, Way};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{ClusterSeen, HostSeen, Observed, Seen};
use kubewright_model::plan::{Action, Ask, Plan};
use kubewright_model::recipe::Effect;
use kubewright_model::secret::Secret;
use kubewright_planner::holders;
use kubewright_planner::plan::way_like_others;
use tokio::time::Instant;

use crate::cluster::KUBECONFIG;

use super::{BOOT, Fault, Hands, LONGEST_LOOK, Saying, Tell, tell_once};
use crate::retry::{DEED, retry};

/// Where members of etcd reach each other.
const ETCD_PEERS: u16 = 2380;

/// Servers that leave a cluster which lives on, and whether each falls silent while it is in the books. Whether etcd can do
/// without one that was cut off while it joined, etcd itself decides.
pub(super) fn leaving(plan: &Plan, observed: &Observed) -> BTreeMap<NodeName, bool> {
    let mut leaving = BTreeMap::new();
    if matches!(plan.ask, Ask::Destroy | Ask::Rebuild | Ask::Restore) {
        return leaving;
    }
    let books = observed.cluster.as_ref().and_then(Seen::present);
    let served = |name: &NodeName| {
        let node = books.and_then(|seen| seen.nodes.get(name)).is_some_and(|node| node.server);
        node || books.is_some_and(|seen| seen.members.contains_key(name))
    };
    let half = |name: &NodeName| observed.hosts.get(name).and_then(Seen::present).is_some_and(HostSeen::may_vote);
    let mut silenced = BTreeSet::new();
    for step in &plan.steps {
        match &step.action {
            Action::RunRecipe { host, recipe, .. } if recipe.effect == Effect::Leave => {
                silenced.insert(host);
            }
            Action::ForgetMember(node) if served(node) && !half(node) => {
                leaving.insert(node.clone(), silenced.contains(node));
            }
            _ => {}
        }
    }
    leaving
}

impl Hands<'_> {
    /// Before each step on the way of a server out of its cluster those that stay are counted once more: another may have
    /// fallen ill since the plan was made. It is waited for as long as a boot takes.
    pub(super) async fn others_decide(&self, action: &Action, tell: Tell<'_>) -> Result<(), Fault> {
        let node = match action {
            Action::Cordon(node) | Action::Drain { node, .. } | Action::ForgetMember(node) => node,
            Action::RunRecipe { host, recipe, .. } if recipe.effect == Effect::Leave => host,
            _ => return Ok(()),
        };
        let Some(falls_silent) = self.leaving.get(node) else { return Ok(()) };
        // One that was taken out of the books is silenced at once, before it joins again.
        if matches!(action, Action::RunRecipe { .. }) && !falls_silent {
            return Ok(());
        }
        let deadline = Instant::now() + BOOT;
        let mut told = String::new();
        loop {
            let why = match self.cluster()?.observe(self.desired).await {
                Seen::Absent => return Ok(()),
                Seen::Present(seen) => {
                    // Who serves by now may be others than when the plan was made.
                    self.filler.found(&seen);
                    holders::stays(&seen, node, *falls_silent)
                }
                Seen::Unknown(why) => Some(why.to_string()),
            };
            let Some(why) = why else { return Ok(()) };
            if Instant::now() + LONGEST_LOOK > deadline {
                return Err(Fault {
                    causes: vec![format!("{node} may not go now: {why}")],
                    log: Vec::new(),
                    hint: Some("bring the sick members back first, then run again".into()),
                    lasts: false,
                });
            }
            tell_once(tell, &mut told, format!("waiting for quorum: {why}"));
            tokio::time::sleep(LONGEST_LOOK).await;
        }
    }

    /// Takes a node and its member of etcd out of the books.
    pub(super) async fn forget(&self, node: &NodeName, tell: Tell<'_>) -> Result<(), Fault> {
        self.taken_out_by_another(node, tell).await?;
        let hands = self.cluster()?;
        patiently!(tell, hands.forget(node))?;
        self.filler.leaves(node);
        Ok(())
    }

    /// Before a server that left the books while it ran is tried to be silenced once more: K3s and RKE2 that were removed join
    /// again when they start anew (`pkg/daemons/executor/etcd.go` says so), and one that votes again would take the quorum
    /// with it.
    pub(super) async fn stays_out(&self, node: &NodeName, way: &Way, tell: Tell<'_>) -> Result<(), HostError> {
        if self.leaving.get(node) != Some(&false) {
            return Ok(());
        }
        let failed = |why: String| HostError::Failed {
            host: node.clone(),
            what: "keeping it out of the cluster".into(),
            why,
            log: Vec::new(),
        };
        let hands = self.cluster().map_err(|fault| failed(fault.causes.join("; ")))?;
        let Seen::Present(seen) = hands.observe(self.desired).await else { return Ok(()) };
        if !seen.members.contains_key(node) {
            return Ok(());
        }
        // Whoever cannot be stopped right after would only join once more.
        let probe = Probe { host: node, way, resources: &[], holds_data: false, updates: false };
        let hosts = self.hosts().map_err(|fault| failed(fault.causes.join("; ")))?;
        if hosts.observe(probe).await.why_unknown().is_some() {
            let why = "it has joined again, and nobody can stop it now".to_string();
            return Err(HostError::Unreachable { host: node.clone(), layer: Layer::Tcp, why });
        }
        if let Some(why) = holders::stays(&seen, node, false) {
            return Err(failed(format!("it is a member again, and may not go now: {why}")));
        }
        tell(Saying::Tells(format!("{node} has joined again by itself: taking it out once more")));
        self.forget(node, tell).await.map_err(|fault| failed(fault.causes.join("; ")))
    }

    /// A host that was off when the plan was made may turn out to be a member: then it came back by itself.
    pub(super) async fn is_member_already(&self, host: &NodeName, way: &Way) -> Result<bool, Fault> {
        if self.made.contains(host) || self.looked_at.contains(host) {
            return Ok(false);
        }
        let seen = self.hosts()?.observe(Probe { host, way, resources: &[], holds_data: false, updates: false }).await;
        Ok(seen.present().is_some_and(HostSeen::is_member))
    }

    /// Whether nobody serves but hosts on which a cluster was being begun when that was cut off.
    async fn is_half_begun(&self, seen: &ClusterSeen) -> Result<bool, Fault> {
        for name in kubewright_planner::holders::servers(seen) {
            let Some(host) = self.desired.hosts.iter().find(|host| host.name == *name) else { return Ok(false) };
            let probe = Probe { host: name, way: &host.way, resources: &[], holds_data: false, updates: false };
            let told = self.hosts()?.observe(probe).await;
            if !told.present().is_some_and(HostSeen::was_cut) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A cluster is begun only where none is; the plan was made a while ago, so this is asked once more. A server that
    /// was there before and boots just now may hold one, so its answer is waited for.
    pub(super) async fn nobody_serves(&self, tell: Tell<'_>) -> Result<(), Fault> {
        // Of those that are left out on purpose, somebody has said that they never come back.
        let asked = |name: &NodeName| !self.made.contains(name) && !self.desired.without.contains(name);
        let members = self.desired.members.iter().filter(|member| asked(&member.name));
        let before = Desired { members: members.cloned().collect(), ..self.desired.clone() };
        let deadline = Instant::now() + BOOT;
        let mut told = String::new();
        loop {
            let why = match self.cluster()?.observe(&before).await {
                Seen::Absent => return Ok(()),
                // As the look has it: a run before this one was cut off while it began a cluster.
                Seen::Present(seen) if self.is_half_begun(&seen).await? => return Ok(()),
                Seen::Present(_) => {
                    return Err(Fault {
                        causes: vec!["a server of this cluster answers, so no new cluster is begun".into()],
                        log: Vec::new(),
                        hint: Some("run again: the next plan joins the one that is there".into()),
                        lasts: false,
                    });
                }
                Seen::Unknown(why) => why,
            };
            if Instant::now() + LONGEST_LOOK > deadline {
                let kept = format!(".kubewright/{}/secrets/{KUBECONFIG}", self.desired.cluster);
                return Err(Fault {
                    causes: vec![format!("nobody knows whether a cluster is there: {why}")],
                    log: Vec::new(),
                    hint: Some(format!("where its servers are lost for good, remove `{kept}` and run again")),
                    lasts: false,
                });
            }
            tell_once(tell, &mut told, format!("waiting to know whether a cluster is there: {why}"));
            tokio::time::sleep(LONGEST_LOOK).await;
        }
    }

    /// etcd refuses a second learner ("too many learner members in cluster"). One whose join was cut off learns by itself,
    /// and is Ready before it votes.
    pub(super) async fn nobody_learns(&self, host: &NodeName, tell: Tell<'_>) -> Result<(), Fault> {
        let deadline = Instant::now() + BOOT;
        let mut told = String::new();
        loop {
            let Seen::Present(seen) = self.cluster()?.observe(self.desired).await else { return Ok(()) };
            let learner = seen.members.iter().find(|(name, member)| !member.voter && *name != host);
            let Some((learner, _)) = learner else { return Ok(()) };
            if Instant::now() + LONGEST_LOOK > deadline {
                return Err(Fault::from(format!(
                    "etcd takes in one member at a time, and {learner} does not get done"
                )));
            }
            tell_once(tell, &mut told, format!("waiting until {learner} votes: etcd takes in one member at a time"));
            tokio::time::sleep(LONGEST_LOOK).await;
        }
    }

    /// Where deleting a node leaves its member in etcd, a server that serves takes it out before. Any of them may.
    pub(super) async fn taken_out_by_another(&self, node: &NodeName, tell: Tell<'_>) -> Result<(), Fault> {
        let Some(address) = self.servers.get(node) else { return Ok(()) };
        let Some(any) = self.desired.servers().find_map(|member| member.recipes.forget.as_ref()) else {
            return Ok(());
        };
        // One that is to leave as well is reached as others are; what is asked of it says nothing of itself.
        let books = self.cluster()?.observe(self.desired).await;
        let takes_out = |name: &NodeName| match self.desired.hosts.iter().find(|host| host.name == *name) {
            Some(host) => {
                let member = self.desired.members.iter().find(|member| member.name == *name)?;
                Some((host.way.clone(), member.recipes.forget.as_ref()?))
            }
            None => Some((way_like_others(self.desired, None, books.present()?.nodes.get(name))?, any)),
        };
        let was = address.or_else(|| self.desired.machine(node)?.address);
        let peer = was.map(|address| format!(" https://{}", std::net::SocketAddr::new(address, ETCD_PEERS)));
        let mut holes = Holes::new();
        holes.insert(FORGOTTEN.into(), Secret::new(format!("{node}{}", peer.unwrap_or_default())));
        let mut failed = Fault::from(format!("no server is known that could take {node} out of etcd"));
        for name in self.filler.serving().into_iter().filter(|name| name != node) {
            let Some((way, recipe)) = takes_out(&name) else { continue };
            let say = |message: String| tell(Saying::Tells(message));
            match self.hosts()?.run(&name, &way, recipe, &holes, &say).await {
                Ok(_) => return Ok(()),
                Err(error) => failed = error.into(),
            }
        }
        Err(failed)
    }

    /// Who joins through a server must know one that serves. Where the plan was made while it came back by itself, as after
    /// a crash right behind its start, none was seen to.
    pub(super) async fn somebody_serves(&self, action: &Action, tell: Tell<'_>) -> Result<(), Fault> {
        let deadline = Instant::now() + BOOT;
        let mut told = String::new();
        while self.filler.lacks_server(action) {
            let why = match self.cluster()?.observe(self.desired).await {
                Seen::Present(seen) => {
                    self.filler.found(&seen);
                    "none is Ready".to_string()
                }
                Seen::Absent => return Ok(()),
                Seen::Unknown(why) => why.to_string(),
            };
            if !self.filler.lacks_server(action) || Instant::now() + LONGEST_LOOK > deadline {
                return Ok(());
            }
            tell_once(tell, &mut told, format!("waiting for a server that can be joined: {why}"));
            tokio::time::sleep(LONGEST_LOOK).await;
        }
        Ok(())
    }
}
