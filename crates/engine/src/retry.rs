//! Trying again: only what may pass by itself, and with an end.

use std::time::Duration;

/// How often a call is tried. Eight tries with the waits below span about three minutes: longer than a reboot, a storage
/// lock or a provider's hiccup takes, and short enough that a real fault is told before people look at their watch.
/// Endless retries have cost users their account at a cloud.
pub(crate) const TRIES: u32 = 8;
/// How often a look is tried: its answer is not worth minutes of waiting, and a run looks again by itself.
pub(crate) const LOOKS: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A failure that knows whether it may pass.
pub(crate) trait MayPass: std::fmt::Display {
    fn may_pass(&self) -> bool;
}

impl MayPass for kubewright_providers::ProviderError {
    fn may_pass(&self) -> bool {
        self.may_pass()
    }
}

impl MayPass for kubewright_hosts::HostError {
    fn may_pass(&self) -> bool {
        self.may_pass()
    }
}

impl MayPass for crate::cluster::ClusterError {
    fn may_pass(&self) -> bool {
        self.may_pass()
    }
}

/// Calls until it succeeds, fails for good, or has been tried so often. `tell` hears of each new try: its number,
/// the wait before it, and what failed.
pub(crate) async fn retry<T, E, F>(
    tries: u32,
    mut call: impl FnMut() -> F,
    mut tell: impl FnMut(u32, Duration, String),
) -> Result<T, E>
where
    E: MayPass,
    F: Future<Output = Result<T, E>>,
{
    let (mut attempt, mut wait) = (1, FIRST_WAIT);
    loop {
        match call().await {
            Err(error) if error.may_pass() && attempt < tries => {
                attempt += 1;
                tell(attempt, wait, error.to_string());
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            answer => return answer,
        }
    }
}
