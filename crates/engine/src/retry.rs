//! Trying again: only what may pass by itself, and with an end.

use std::time::Duration;

use tokio::time::Instant;

use crate::execute::Saying;

/// How long one bears with what may pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How often it is tried.
    tries: u32,
    /// How long something may be held by others, however often it is tried meanwhile.
    held: Duration,
}

/// With deeds. Eight tries with the waits below span about three minutes: longer than a reboot, a storage's lock or a
/// provider's hiccup takes, and short enough that a real fault is told before people look at their watch. Endless retries
/// have cost users their account at a cloud. Others hold a machine for as long as its backup takes, and a package manager
/// for as long as a first boot upgrades.
pub(crate) const DEED: Patience = Patience { tries: 8, held: Duration::from_secs(30 * 60) };
/// With looks: their answer is not worth minutes of waiting, and a run looks again by itself.
pub(crate) const LOOK: Patience = Patience { tries: 3, held: Duration::ZERO };
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Between two looks at what others hold: nobody minds that much, and hundreds of them are no load.
const HELD_WAIT: Duration = Duration::from_secs(15);
/// Between two words about what others hold.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// A failure that knows whether it may pass.
pub(crate) trait MayPass: std::fmt::Display {
    fn may_pass(&self) -> bool;

    /// Whether it passes when somebody else is done.
    fn is_held(&self) -> bool {
        false
    }
}

impl MayPass for kubewright_providers::ProviderError {
    fn may_pass(&self) -> bool {
        self.may_pass()
    }

    fn is_held(&self) -> bool {
        self.kind == kubewright_providers::ErrorKind::Busy
    }
}

impl MayPass for kubewright_hosts::HostError {
    fn may_pass(&self) -> bool {
        self.may_pass()
    }

    fn is_held(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}

impl MayPass for crate::cluster::ClusterError {
    fn may_pass(&self) -> bool {
        self.may_pass()
    }
}

/// Calls until it succeeds, fails for good, or patience ends. `tell` hears of each new try: its number, the wait before
/// it, and what failed; of what is held for long only now and then.
pub(crate) async fn retry<T, E, F>(
    patience: Patience,
    mut call: impl FnMut() -> F,
    mut tell: impl FnMut(Saying),
) -> Result<T, E>
where
    E: MayPass,
    F: Future<Output = Result<T, E>>,
{
    let (mut attempt, mut failed, mut wait) = (1, 0, FIRST_WAIT);
    let mut held = Held { most: patience.held, since: None, told: None };
    loop {
        let error = match call().await {
            Err(error) if error.may_pass() => error,
            answer => return answer,
        };
        attempt += 1;
        if error.is_held() && !patience.held.is_zero() {
            if !held.goes_on() {
                return Err(error);
            }
            match wait < HELD_WAIT {
                true => tell(Saying::Retries { attempt, after: wait, error: error.to_string() }),
                false => held.word(&error).into_iter().for_each(|word| tell(Saying::Tells(word))),
            }
            wait = wait.min(HELD_WAIT);
        } else {
            failed += 1;
            if failed >= patience.tries {
                return Err(error);
            }
            tell(Saying::Retries { attempt, after: wait, error: error.to_string() });
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// What others hold.
struct Held {
    most: Duration,
    since: Option<Instant>,
    told: Option<Instant>,
}

impl Held {
    /// Whether it is still waited for.
    fn goes_on(&mut self) -> bool {
        self.since.get_or_insert_with(Instant::now).elapsed() < self.most
    }

    /// Who holds it, every minute.
    fn word(&mut self, error: &impl MayPass) -> Option<String> {
        if self.told.is_some_and(|told| told.elapsed() < TOLD_AGAIN) {
            return None;
        }
        self.told = Some(Instant::now());
        let gone = self.since.map_or(0, |since| since.elapsed().as_secs() / 60);
        Some(format!("waiting until others are done, {gone} of {} min at the most: {error}", self.most.as_secs() / 60))
    }
}

#[cfg(test)]
mod tests {
    use kubewright_hosts::HostError;

    use super::*;

    fn locked() -> HostError {
        HostError::Busy { host: "one".into(), what: "apt".into(), why: "held by process 7 (unattended-upgr)".into() }
    }

    /// What was told of trying something that succeeds at last, or never; and for how long it was tried.
    async fn tried(patience: Patience, over_after: Duration) -> (bool, Vec<String>, Duration) {
        let began = Instant::now();
        let mut told = Vec::new();
        let call = async || if began.elapsed() < over_after { Err(locked()) } else { Ok(()) };
        let ended = retry(patience, call, |saying| match saying {
            Saying::Tells(word) => told.push(word),
            Saying::Retries { attempt, after, .. } => told.push(format!("try {attempt} in {} s", after.as_secs())),
            Saying::Filled(_) => {}
        });
        (ended.await.is_ok(), told, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_hold_is_waited_for_until_they_are_done() {
        let (done, told, took) = tried(DEED, Duration::from_secs(12 * 60)).await;
        assert!(done && took < Duration::from_secs(12 * 60 + 16), "{took:?}");
        assert_eq!(told[..3], ["try 2 in 2 s", "try 3 in 4 s", "try 4 in 8 s"]);
        assert_eq!(
            told[4],
            "waiting until others are done, 1 of 30 min at the most: apt on one is busy: held by process 7 (unattended-upgr)"
        );
        assert_eq!(told.len(), 3 + 12, "once a minute: {told:#?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nor_is_that_endless() {
        let never = Duration::from_secs(100 * 60 * 60);
        let (done, _, took) = tried(DEED, never).await;
        assert!(!done && took > DEED.held && took < DEED.held + HELD_WAIT * 2, "{took:?}");
        let (done, told, took) = tried(LOOK, never).await;
        assert!(!done && told.len() == 2 && took == Duration::from_secs(6), "{took:?} {told:?}");
    }
}
