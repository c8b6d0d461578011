//! Waiting for what the API does behind its answers, and for servers that turn off.
//!
//! However many wait, one request per round looks for all of them, and it comes less often the longer they wait. A request
//! for each of them would use a project's 3600 an hour up within minutes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::answers::{Action, Numbered};
use super::call::{self, Kind};
use super::classify;
use super::client::{Client, error, part};
use crate::{ErrorKind, ProviderError};

/// The first look: hcloud-go's own interval. Small actions have ended by then.
const FIRST_LOOK: Duration = Duration::from_millis(500);
/// The longest pause between two looks: a server is made within half a minute.
const LONGEST: Duration = Duration::from_secs(4);
/// The same while hardly any requests are left.
const SCARCE: Duration = Duration::from_secs(20);
/// How many actions one request asks for: as hcloud-go does, whose page is no larger.
const AT_ONCE: usize = 25;

/// What became of something that was waited for.
type Ended = Result<(), ProviderError>;

/// A look at many things at once.
#[async_trait]
trait Look: Send + Sync + 'static {
    /// Those of them that have ended; and of the others, how far they are.
    async fn look(&self, wanted: &[u64]) -> Result<Seen, ProviderError>;
}

/// What a look has seen.
#[derive(Default)]
struct Seen {
    ended: BTreeMap<u64, Ended>,
    words: BTreeMap<u64, String>,
}

/// Somebody who waits.
struct Waiter {
    id: u64,
    /// What it is about: the name of a server or a load balancer.
    about: String,
    tell: oneshot::Sender<Ended>,
}

/// Everybody who waits, and how far it is.
#[derive(Default)]
struct Waiting {
    waiters: Vec<Waiter>,
    words: BTreeMap<u64, String>,
    looked_at: bool,
}

/// Things that are waited for, by their numbers.
struct Watch<L> {
    look: Arc<L>,
    client: Arc<Client>,
    waiting: Arc<Mutex<Waiting>>,
}

fn locked(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<L: Look> Watch<L> {
    fn new(look: L, client: Arc<Client>) -> Self {
        Self { look: Arc::new(look), client, waiting: Arc::default() }
    }

    async fn ended(&self, id: u64, about: &str) -> Ended {
        let (tell, told) = oneshot::channel();
        let begin = {
            let mut waiting = locked(&self.waiting);
            waiting.waiters.push(Waiter { id, about: about.into(), tell });
            !std::mem::replace(&mut waiting.looked_at, true)
        };
        if begin {
            tokio::spawn(rounds(self.look.clone(), self.client.clone(), self.waiting.clone()));
        }
        told.await.unwrap_or_else(|_| Err(error(ErrorKind::Transient, format!("nobody waits for {about} any more"))))
    }

    fn doing(&self, about: &str) -> Vec<String> {
        let waiting = locked(&self.waiting);
        let own = waiting.waiters.iter().filter(|waiter| waiter.about == about);
        own.filter_map(|waiter| waiting.words.get(&waiter.id).cloned()).collect()
    }
}

/// Looks until nobody waits any more.
async fn rounds<L: Look>(look: Arc<L>, client: Arc<Client>, waiting: Arc<Mutex<Waiting>>) {
    let mut pause = FIRST_LOOK;
    loop {
        tokio::time::sleep(pause).await;
        pause = if client.allowance.is_scarce() { SCARCE } else { (pause * 3 / 2).min(LONGEST) };
        let wanted: Vec<u64> = {
            let mut waiting = locked(&waiting);
            waiting.waiters.retain(|waiter| !waiter.tell.is_closed());
            if waiting.waiters.is_empty() {
                waiting.looked_at = false;
                return;
            }
            waiting.waiters.iter().map(|waiter| waiter.id).collect()
        };
        let seen = look.look(&wanted).await;
        let mut waiting = locked(&waiting);
        for waiter in std::mem::take(&mut waiting.waiters) {
            let ended = match &seen {
                Ok(seen) => seen.ended.get(&waiter.id).cloned(),
                // Whoever came while we looked is looked for in the next round.
                Err(why) => wanted.contains(&waiter.id).then(|| Err(why.clone())),
            };
            match ended {
                // Whoever does not wait any more needs no answer.
                Some(ended) => drop(waiter.tell.send(ended)),
                None => waiting.waiters.push(waiter),
            }
        }
        waiting.words = seen.map(|seen| seen.words).unwrap_or_default();
    }
}

/// Actions of the API.
struct OfActions(Arc<Client>);

#[async_trait]
impl Look for OfActions {
    async fn look(&self, wanted: &[u64]) -> Result<Seen, ProviderError> {
        let mut seen = Seen::default();
        for ids in wanted.chunks(AT_ONCE) {
            let mut answer = self.0.send(call::actions(ids)).await?;
            let actions: Vec<Action> = part(&mut answer, "actions")?;
            for action in &actions {
                match ended(action) {
                    Some(ended) => drop(seen.ended.insert(action.id, ended)),
                    None => drop(seen.words.insert(action.id, format!("{}, {} %", action.command, action.progress))),
                }
            }
            for id in ids.iter().filter(|id| !actions.iter().any(|action| action.id == **id)) {
                let gone = error(ErrorKind::Transient, format!("the API knows nothing of its action {id} any more"));
                seen.ended.insert(*id, Err(gone));
            }
        }
        Ok(seen)
    }
}

/// What became of an action, if it has ended.
fn ended(action: &Action) -> Option<Ended> {
    match action.status.as_str() {
        "success" => Some(Ok(())),
        "error" => Some(Err(failed(action))),
        _ => None,
    }
}

fn failed(action: &Action) -> ProviderError {
    let (code, words) = match &action.error {
        Some(failure) => (failure.code.as_str(), failure.message.as_str()),
        None => ("unknown_error", "it says not why"),
    };
    let failed = error(classify::of_action(code), format!("{} failed, {code}: {words}", action.command));
    match classify::help(code) {
        Some(help) => failed.with_help(help),
        None => failed,
    }
}

/// Servers that turn off.
struct OfOff(Arc<Client>);

#[async_trait]
impl Look for OfOff {
    async fn look(&self, wanted: &[u64]) -> Result<Seen, ProviderError> {
        let off: Vec<Numbered> = self.0.all(Kind::Server, call::servers_off()).await?;
        let ended = off.iter().filter(|server| wanted.contains(&server.id)).map(|server| (server.id, Ok(()))).collect();
        let words =
            wanted.iter().map(|id| (*id, "it is asked to shut down, and ends what runs on it".into())).collect();
        Ok(Seen { ended, words })
    }
}

/// All that is waited for at a project.
pub(super) struct Watches {
    actions: Watch<OfActions>,
    off: Watch<OfOff>,
}

impl Watches {
    pub(super) fn new(client: &Arc<Client>) -> Self {
        Self {
            actions: Watch::new(OfActions(client.clone()), client.clone()),
            off: Watch::new(OfOff(client.clone()), client.clone()),
        }
    }

    /// Waits until an action has ended.
    pub(super) async fn done(&self, action: &Action, about: &str) -> Ended {
        match ended(action) {
            Some(ended) => ended,
            None => self.actions.ended(action.id, about).await,
        }
    }

    /// Waits until a server is off.
    pub(super) async fn off(&self, server: u64, about: &str) -> Ended {
        self.off.ended(server, about).await
    }

    /// What is waited for that is about something of this name.
    pub(super) fn doing(&self, about: &str) -> Vec<String> {
        self.actions.doing(about).into_iter().chain(self.off.doing(about)).collect()
    }
}
