//! A cluster that lives goes over to another token or key: what one server does for all, and what each member does for
//! itself, in the order in which its distribution has them.
//!
//! What is kept on this computer moves on only when the cluster knows the new one, and the old one stays beside it. The journal
//! tells how far a run came that was cut; what may have been done without being written down may be done twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::Desired;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::Observed;
use kubewright_model::plan::{Action, Stage, Step, Weight};
use kubewright_model::recipe::Recipe;
use kubewright_model::rotation::{Rotation, Round, SecretPart, before_of};
use kubewright_model::spec::Distribution;

use super::draft::{Draft, id};
use super::members::{recipes, role_is_server, run, stage, wait_ready};
use super::rotate::{able, saved};
use super::standing::{ClusterView, Node, Standings};
use super::{quorum, saving};
use crate::foundation;
use crate::holders::Holders;

/// What a step of a turnover that was done is told from others by.
const TURN: &str = "turn";

/// Takes the cluster over to another one of what is asked for.
pub(super) fn plan<'a>(desired: &'a Desired, observed: &'a Observed, what: Rotation) -> Draft<'a> {
    let mut draft = Draft::new(desired);
    if let Some((message, help)) = refused(desired, observed, what) {
        draft.note(Weight::Blocks, Subject::Cluster, message, help);
        return draft;
    }
    let holders = Holders::new(desired, observed);
    let standings = Standings::new(desired, observed, &holders, &BTreeSet::new());
    let takes_part = |node: &Node<'_>| {
        let rounds = recipes(node).and_then(|recipes| recipes.turnovers.get(&what));
        rounds.is_some_and(|rounds| rounds.iter().any(|round| round.recipe().is_some()))
    };
    let help = "once it is back, `kubewright apply` gives it the new one";
    let able = able(&mut draft, &standings, &format!("the {}", word(what)), help, takes_part);
    let (servers, agents): (Vec<_>, Vec<_>) = able.into_iter().partition(|node| role_is_server(node));
    if may_begin(&mut draft, observed, &standings, &servers, what)
        && let Some(servers) = in_order(&mut draft, observed, &standings, servers)
    {
        Turn { observed, what, servers, agents }.rounds(&mut draft);
    }
    draft
}

/// What it is that members have.
fn word(what: Rotation) -> &'static str {
    match what {
        Rotation::EncryptionKeys => "key for Secrets",
        Rotation::ServiceAccountKeys => "key for tokens of ServiceAccounts",
        Rotation::JoinToken | Rotation::Certificates | Rotation::SshKeys => "join token",
    }
}

/// The secrets on this computer that become others.
fn secrets(desired: &Desired, what: Rotation) -> &'static [&'static str] {
    match (desired.kubernetes.distribution, what) {
        (Distribution::K3s | Distribution::Rke2, Rotation::JoinToken) => &["join-token"],
        (Distribution::Kubeadm, Rotation::JoinToken) => &["join-token", "certificate-key"],
        (Distribution::Kubeadm, Rotation::EncryptionKeys) => &["encryption-key"],
        // They are on their way to the other servers, and are not kept after that.
        (Distribution::Kubeadm, Rotation::ServiceAccountKeys) => &["service-account-key", "service-account-pub"],
        _ => &[],
    }
}

/// Why nobody can do that here, and what to do.
fn refused(desired: &Desired, observed: &Observed, what: Rotation) -> Option<(String, &'static str)> {
    let kubernetes = &desired.kubernetes;
    let able = desired.servers().any(|member| member.recipes.turnovers.contains_key(&what));
    let title = kubernetes.distribution.title();
    if !able {
        let unlocked = || {
            (
                "Secrets of this cluster are not encrypted, so there is no key for them".to_string(),
                "a cluster is begun with `kubernetes.encryptSecrets`",
            )
        };
        return Some(match (kubernetes.distribution, what) {
            (Distribution::Talos, _) => (
                format!("not built yet: another {} for a cluster of Talos that lives", word(what)),
                "all of Talos' secrets are made at once, and every machine configuration holds them: `kubewright rebuild` \
                 begins a cluster with others",
            ),
            (Distribution::Kubeadm, Rotation::EncryptionKeys) => unlocked(),
            (Distribution::K3s, Rotation::EncryptionKeys) if kubernetes.version.patch() >= (1, 31, 1) => unlocked(),
            _ => (
                format!(
                    "{title} {} goes over to another {} in no way that can be relied on",
                    kubernetes.version,
                    word(what)
                ),
                "upgrade first: v1.31.2 and newer can",
            ),
        });
    }
    if kubernetes.distribution == Distribution::Kubeadm {
        return None;
    }
    let named = secrets(desired, what).iter().find(|secret| desired.secrets.contains_key(**secret))?;
    let goes_on = !observed.turned.is_empty();
    (!goes_on && !foundation::is_another(named, desired, observed)).then(|| {
        let place = desired.secrets.get(*named).map(|place| place.place()).unwrap_or_default();
        (
            format!("the spec says where the {named} is ({place}), and the one that the cluster has is there"),
            "put another one in its place, and keep the old one for what was saved with it; then run this again",
        )
    })
}

/// The one that was asked first comes first, and keeps that place in a run that goes on. Who is sick by then comes before
/// all others, which costs no vote; none where nobody may be restarted.
fn in_order<'n, 'a>(
    draft: &mut Draft<'_>,
    observed: &Observed,
    standings: &Standings<'_>,
    mut servers: Vec<&'n Node<'a>>,
) -> Option<Vec<&'n Node<'a>>> {
    let names: Vec<&NodeName> = servers.iter().map(|node| node.name()).collect();
    let sick = quorum::before_restart(draft, observed, standings, &names);
    if sick.iter().any(|name| !names.contains(name)) {
        let why = quorum::waiting(observed, standings, &sick);
        draft.note(Weight::Blocks, Subject::Cluster, why, "bring the sick server back first");
        return None;
    }
    let first = format!("{TURN}-0");
    servers.sort_by_key(|node| (!sick.contains(node.name()), !observed.turned.contains(&id(&first, node.name()))));
    Some(servers)
}

/// Whether the turnover may begin, or go on: every server has to hear of it, and to be back before the next is restarted.
fn may_begin(
    draft: &mut Draft<'_>,
    observed: &Observed,
    standings: &Standings<'_>,
    servers: &[&Node<'_>],
    what: Rotation,
) -> bool {
    let goes_on = !observed.turned.is_empty();
    let blocks = |draft: &mut Draft<'_>, message: String, help: &str| {
        draft.note(Weight::Blocks, Subject::Cluster, message, help);
        false
    };
    if servers.is_empty() {
        return blocks(
            draft,
            "no server of the cluster can be reached".into(),
            "`kubewright status` tells what is wrong",
        );
    }
    if goes_on {
        let message = format!("goes on with what was cut: {} steps are done already", observed.turned.len());
        draft.note(Weight::Tells, Subject::Cluster, message, "");
        return true;
    }
    let why = match &standings.cluster {
        ClusterView::Present(_) => None,
        ClusterView::Unknown(why) => Some((*why).to_string()),
        ClusterView::Absent => Some("no server serves".to_string()),
    };
    if let Some(why) = why {
        let message = format!("the cluster cannot be looked at: {why}");
        return blocks(draft, message, "`kubewright status` tells what keeps it from answering");
    }
    let ready = |node: &&&Node<'_>| node.seen.is_some_and(|seen| seen.ready && seen.server);
    let (there, all) = (servers.iter().filter(ready).count(), draft.desired.servers().count());
    if there < all {
        let message = format!("{there} of {all} servers are Ready, and each has to go over while the others serve");
        return blocks(draft, message, "bring the others back first, or take them out of the spec");
    }
    if all < 3 && (what != Rotation::JoinToken || draft.desired.kubernetes.distribution != Distribution::Kubeadm) {
        let message = "with fewer than three servers the API does not answer while one of them starts again";
        draft.note(Weight::Warns, Subject::Cluster, message, "");
    }
    true
}

/// A turnover with those who take part.
struct Turn<'n, 'a> {
    observed: &'a Observed,
    what: Rotation,
    servers: Vec<&'n Node<'a>>,
    agents: Vec<&'n Node<'a>>,
}

impl Turn<'_, '_> {
    /// All rounds, each behind the one before.
    fn rounds(&self, draft: &mut Draft<'_>) {
        let Some(first) = self.servers.first().copied() else { return };
        let Some(rounds) = recipes(first).and_then(|it| it.turnovers.get(&self.what)) else { return };
        let mut last = Vec::new();
        if self.observed.turned.is_empty() {
            last = saved(draft, self.observed, &self.servers, "the whole cluster is about to go over to another one");
        }
        for (at, round) in rounds.iter().enumerate() {
            let done = match round {
                Round::Once(Some(_)) => self.once(draft, first, at, &last),
                Round::TakesOver => self.parts(draft, SecretPart::TakeOver, &last),
                Round::Everywhere(_) => self.everywhere(draft, at, &last),
                Round::InTurn(_) => self.in_turn(draft, at, &last),
                Round::Once(None) => Vec::new(),
            };
            if !done.is_empty() {
                last = done;
            }
        }
        let anew = self.saved_anew(draft, &last);
        last.extend(anew);
        self.parts(draft, SecretPart::Settle, &last);
    }

    /// A server does it for all.
    fn once(&self, draft: &mut Draft<'_>, first: &Node<'_>, at: usize, needs: &[StepId]) -> Vec<StepId> {
        let done = format!("{TURN}-{at}/");
        match self.observed.turned.iter().any(|step| step.as_str().starts_with(&done)) {
            true => Vec::new(),
            false => self.one(draft, first, at, needs.to_vec()).into_iter().collect(),
        }
    }

    /// Every host at once.
    fn everywhere(&self, draft: &mut Draft<'_>, at: usize, needs: &[StepId]) -> Vec<StepId> {
        let all = self.servers.iter().chain(&self.agents);
        all.filter_map(|node| self.one(draft, node, at, needs.to_vec())).collect()
    }

    /// Servers one after the other, each back before the next; then agents, as many at once as may be out of service.
    fn in_turn(&self, draft: &mut Draft<'_>, at: usize, needs: &[StepId]) -> Vec<StepId> {
        let mut last = needs.to_vec();
        for node in self.servers.iter().filter(|node| self.has(node, at)) {
            last = vec![self.and_back(draft, node, at, last)];
        }
        let window = draft.desired.max_unavailable.max(1) as usize;
        let mut ends: Vec<StepId> = Vec::new();
        for (i, node) in self.agents.iter().filter(|node| self.has(node, at)).enumerate() {
            let before = if i < window { last.clone() } else { vec![ends[i - window].clone()] };
            ends.push(self.and_back(draft, node, at, before));
        }
        if ends.is_empty() { last } else { ends }
    }

    fn and_back(&self, draft: &mut Draft<'_>, node: &Node<'_>, at: usize, needs: Vec<StepId>) -> StepId {
        let needs = match self.one(draft, node, at, needs.clone()) {
            Some(done) => vec![done],
            None => needs,
        };
        let name = node.name();
        // A member may start again in more than one round.
        let again = std::iter::once(format!("{name} once more")).chain((3..).map(|nth| format!("{name}, start {nth}")));
        let mut waits = std::iter::once(name.to_string()).chain(again);
        let wait = waits.find(|wait| !draft.has(&id("ready", wait))).unwrap_or_default();
        wait_ready(draft, wait, vec![name.clone()], 1, stage(node), needs)
    }

    fn has(&self, node: &Node<'_>, at: usize) -> bool {
        self.recipe(node, at).is_some()
    }

    fn recipe(&self, node: &Node<'_>, at: usize) -> Option<Arc<Recipe>> {
        recipes(node)?.turnovers.get(&self.what)?.get(at)?.recipe().cloned()
    }

    /// What a member does in a round, unless that is done.
    fn one(&self, draft: &mut Draft<'_>, node: &Node<'_>, at: usize, needs: Vec<StepId>) -> Option<StepId> {
        let deed = format!("{TURN}-{at}");
        let recipe = self.recipe(node, at)?;
        if self.observed.turned.contains(&id(&deed, node.name())) {
            return None;
        }
        let reason = Reason::Asked(format!("rotate {}", self.what));
        Some(run(draft, node, &deed, recipe, reason, needs, Vec::new()))
    }

    /// What is kept here moves on.
    fn parts(&self, draft: &mut Draft<'_>, part: SecretPart, needs: &[StepId]) -> Vec<StepId> {
        let deed = match part {
            SecretPart::TakeOver => "take-secret",
            SecretPart::Settle => "settle-secret",
        };
        let secrets = secrets(draft.desired, self.what).iter();
        let left = secrets.filter(|secret| !self.observed.turned.contains(&id(deed, secret)));
        let steps: Vec<Step> = left.map(|secret| step(id(deed, secret), secret, part, needs.to_vec())).collect();
        steps.into_iter().map(|step| draft.add(step)).collect()
    }

    /// What was saved before opens with the old token or key alone, so it is saved once more.
    fn saved_anew(&self, draft: &mut Draft<'_>, needs: &[StepId]) -> Option<StepId> {
        let desired = draft.desired;
        let (secret, named) = match (desired.kubernetes.distribution, self.what) {
            (Distribution::K3s | Distribution::Rke2, Rotation::JoinToken) => ("join-token", "token"),
            (Distribution::Kubeadm, Rotation::EncryptionKeys) => ("encryption-key", "key"),
            _ => return None,
        };
        let message =
            format!("what was saved before opens with the old {named} alone, which is kept as `{}`", before_of(secret));
        draft.note(Weight::Tells, Subject::Cluster, message, "bundles hold theirs");
        let first = self.servers.first()?;
        let member = first.member?;
        let recipe = member.recipes.snapshot.clone().filter(|_| !desired.without_backup)?;
        let reason = Reason::Follows(format!("what is saved from now on opens with the new {named}"));
        let step = saving::step(member, first.host, recipe, reason);
        // What is done last is not shown first.
        let (id, stage) = (id("save-anew", first.name()), Stage::ControlPlane);
        Some(draft.add(Step { id, stage, needs: needs.to_vec(), ..step }))
    }
}

fn step(id: StepId, secret: &str, part: SecretPart, needs: Vec<StepId>) -> Step {
    let why = match part {
        SecretPart::TakeOver => "the cluster knows the new one",
        SecretPart::Settle => "every member goes by the new one",
    };
    Step {
        id,
        stage: Stage::ControlPlane,
        subject: Subject::Cluster,
        action: Action::RotateSecret { secret: secret.into(), part },
        fields: Vec::new(),
        reason: Reason::Follows(why.into()),
        needs,
        takes: Vec::new(),
        part: String::new(),
    }
}
