//! Actions: what runs, what it does when it ends, and what it keeps locked meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::problem::Problem;
use super::state::{Kind, State, now};

/// When running actions end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// When somebody has asked so often for the action or for a resource of it. None: it has ended when it is answered.
    Polls(u32),
    /// After a time.
    Delay(Duration),
}

/// How an action ends.
#[derive(Clone, Debug, Default)]
pub(crate) enum Fate {
    #[default]
    Succeeds,
    /// With this code, and nothing has changed.
    Fails(String),
    /// It runs for ever.
    Never,
}

type Effect = Box<dyn FnOnce(&mut State) + Send>;

pub(crate) struct Deed {
    id: u64,
    command: &'static str,
    resources: Vec<(Kind, u64)>,
    started: String,
    since: Instant,
    finished: Option<String>,
    error: Option<(String, String)>,
    polls: u32,
    fate: Fate,
    /// It begins when this one has ended.
    after: Option<u64>,
    effect: Option<Effect>,
}

impl Deed {
    fn running(&self) -> bool {
        self.finished.is_none()
    }

    fn is_of(&self, kind: Kind, id: u64) -> bool {
        self.resources.contains(&(kind, id))
    }

    /// What nobody else may change meanwhile. A network takes many members at once, and so do the servers of a firewall
    /// not wait for it.
    fn locks(&self, kind: Kind, id: u64) -> bool {
        let locks = match self.command {
            "apply_firewall" | "remove_firewall" => kind == Kind::Firewall,
            "assign_primary_ip" | "unassign_primary_ip" | "attach_volume" | "detach_volume" => true,
            _ => self.resources.first() == Some(&(kind, id)),
        };
        self.running() && locks && self.is_of(kind, id)
    }

    fn show(&self, pace: Pace) -> Value {
        let status = match (&self.finished, &self.error) {
            (None, _) => "running",
            (Some(_), None) => "success",
            (Some(_), Some(_)) => "error",
        };
        let share = match pace {
            Pace::Polls(polls) => f64::from(self.polls) / f64::from(polls.max(1)),
            Pace::Delay(delay) => self.since.elapsed().as_secs_f64() / delay.as_secs_f64().max(0.001),
        };
        let progress = if self.running() { (share.min(0.99) * 100.0) as u64 } else { 100 };
        let resources: Vec<Value> =
            self.resources.iter().map(|(kind, id)| json!({"id": id, "type": kind.singular()})).collect();
        json!({
            "id": self.id,
            "command": self.command,
            "status": status,
            "started": self.started,
            "finished": self.finished,
            "progress": progress,
            "resources": resources,
            "error": self.error.as_ref().map(|(code, message)| json!({"code": code, "message": message})),
        })
    }
}

impl State {
    /// Begins an action; its effect comes when it succeeds.
    pub(crate) fn begin(
        &mut self,
        command: &'static str,
        resources: &[(Kind, u64)],
        effect: impl FnOnce(&mut Self) + Send + 'static,
    ) -> u64 {
        self.begin_after(None, command, resources, effect)
    }

    pub(crate) fn begin_after(
        &mut self,
        after: Option<u64>,
        command: &'static str,
        resources: &[(Kind, u64)],
        effect: impl FnOnce(&mut Self) + Send + 'static,
    ) -> u64 {
        let id = self.next_id();
        let fate = std::mem::take(&mut self.fate);
        let deed = Deed {
            id,
            command,
            resources: resources.to_vec(),
            started: now(),
            since: Instant::now(),
            finished: None,
            error: None,
            polls: 0,
            fate,
            after,
            effect: Some(Box::new(effect)),
        };
        self.actions.insert(id, deed);
        self.settle();
        id
    }

    /// Ends what is due.
    pub(crate) fn settle(&mut self) {
        let due = |deed: &Deed, pace: Pace| match pace {
            Pace::Polls(polls) => deed.polls >= polls,
            Pace::Delay(delay) => deed.since.elapsed() >= delay,
        };
        let running: Vec<u64> = self.actions.values().filter(|deed| deed.running()).map(|deed| deed.id).collect();
        for id in running {
            if self.waits(id) || matches!(self.actions[&id].fate, Fate::Never) {
                continue;
            }
            let (pace, before) = (self.pace, self.actions[&id].after);
            let broken = before.and_then(|before| self.actions[&before].error.clone());
            let deed = self.actions.get_mut(&id).unwrap();
            // Its time begins when what was before it has ended.
            if deed.after.take().is_some() {
                deed.since = Instant::now();
            }
            if broken.is_none() && !due(deed, pace) {
                continue;
            }
            deed.finished = Some(now());
            deed.error = match (broken, &deed.fate) {
                (Some(error), _) => Some(error),
                (None, Fate::Fails(code)) => Some((code.clone(), "Action failed".into())),
                (None, _) => None,
            };
            let effect = deed.effect.take().filter(|_| deed.error.is_none());
            self.reserved.remove(&id);
            if let Some(effect) = effect {
                effect(self);
            }
        }
    }

    fn waits(&self, id: u64) -> bool {
        let before = self.actions[&id].after;
        before.is_some_and(|before| self.actions[&before].running())
    }

    /// Somebody asks for an action; while it waits for another one, that comes further.
    pub(crate) fn look_at_action(&mut self, id: u64) {
        let mut first = id;
        while let Some(before) = self.actions[&first].after.filter(|before| self.actions[before].running()) {
            first = before;
        }
        if matches!(self.pace, Pace::Polls(_)) {
            self.actions.get_mut(&first).unwrap().polls += 1;
        }
        self.settle();
    }

    /// Somebody asks for a resource.
    pub(crate) fn look_at(&mut self, kind: Kind, id: u64) {
        let of = |deed: &&Deed| deed.running() && deed.is_of(kind, id) && !self.waits(deed.id);
        let of: Vec<u64> = self.actions.values().filter(of).map(|deed| deed.id).collect();
        of.into_iter().for_each(|action| self.look_at_action(action));
        // A system that was asked to go down runs for one look more.
        if kind == Kind::Server {
            self.change(kind, id, |server| match server["_going_down"].as_u64() {
                Some(0) => {
                    server["_going_down"] = Value::Null;
                    server["status"] = json!("off");
                }
                Some(looks) => server["_going_down"] = json!(looks - 1),
                None => {}
            });
        }
    }

    pub(crate) fn show_action(&self, id: u64) -> Value {
        self.actions[&id].show(self.pace)
    }

    pub(crate) fn has_action(&self, id: u64) -> bool {
        self.actions.contains_key(&id)
    }

    /// Actions with a resource of this kind, with this one if it is named.
    pub(crate) fn actions_of(&self, kind: Kind, resource: Option<u64>) -> Vec<u64> {
        let of =
            |deed: &&Deed| deed.resources.iter().any(|(own, id)| *own == kind && resource.is_none_or(|r| r == *id));
        self.actions.values().filter(of).map(|deed| deed.id).collect()
    }

    pub(crate) fn is_locked(&self, kind: Kind, id: u64) -> bool {
        self.actions.values().any(|deed| deed.locks(kind, id))
    }

    /// Refuses while another action runs. Networks, load balancers, firewalls, certificates and placement groups say
    /// `conflict`, as their operations are documented; everything else is `locked`. The words are those of
    /// terraform-provider-hcloud#182 and #492.
    pub(crate) fn unlocked(&self, kind: Kind, id: u64) -> Result<(), Problem> {
        if !self.is_locked(kind, id) {
            return Ok(());
        }
        let name = kind.singular().replace('_', " ");
        Err(match kind {
            Kind::Network | Kind::LoadBalancer | Kind::Firewall | Kind::Certificate | Kind::PlacementGroup => {
                Problem::new("conflict", format!("{name} has changed during request"))
            }
            _ => Problem::new("locked", format!("cannot perform operation because {name} is locked")),
        })
    }
}
