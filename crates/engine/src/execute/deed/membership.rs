//! Before a cluster is begun or joined: what is asked of it once more, for the plan was made a while ago.

use kubewright_hosts::Probe;
use kubewright_model::desired::{Desired, Way};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{HostSeen, Seen};
use kubewright_model::plan::Action;
use tokio::time::Instant;

use crate::cluster::KUBECONFIG;

use super::{BOOT, Fault, Hands, LONGEST_LOOK, Tell, tell_once};

impl Hands<'_> {
    /// A host that was off when the plan was made may turn out to be a member: then it came back by itself.
    pub(super) async fn is_member_already(&self, host: &NodeName, way: &Way) -> Result<bool, Fault> {
        if self.made.contains(host) || self.looked_at.contains(host) {
            return Ok(false);
        }
        let seen = self.hosts()?.observe(Probe { host, way, resources: &[], holds_data: false }).await;
        Ok(seen.present().is_some_and(HostSeen::is_member))
    }

    /// A cluster is begun only where none is; the plan was made a while ago, so this is asked once more. A server that
    /// was there before and boots just now may hold one, so its answer is waited for.
    pub(super) async fn nobody_serves(&self, tell: Tell<'_>) -> Result<(), Fault> {
        let members = self.desired.members.iter().filter(|member| !self.made.contains(&member.name));
        let before = Desired { members: members.cloned().collect(), ..self.desired.clone() };
        let deadline = Instant::now() + BOOT;
        let mut told = String::new();
        loop {
            let why = match self.cluster()?.observe(&before).await {
                Seen::Absent => return Ok(()),
                Seen::Present(_) => {
                    return Err(Fault {
                        causes: vec!["a server of this cluster answers, so no new cluster is begun".into()],
                        log: Vec::new(),
                        hint: Some("run again: the next plan joins the one that is there".into()),
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
