//! How many requests the API still takes from us: 3600 an hour for a project, and one more every second.
//!
//! Every answer tells it in three headers. Whoever goes on when nothing is left is refused, and whoever does that for
//! long loses the account. <https://docs.hetzner.cloud/reference/cloud#rate-limiting>

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::header::HeaderMap;

use super::client::error;
use crate::{ErrorKind, ProviderError};

/// What was told last.
#[derive(Clone, Copy, Debug)]
struct Told {
    limit: u64,
    remaining: u64,
    /// When all of it is there again.
    full: SystemTime,
    at: Instant,
}

impl Told {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
        let full = UNIX_EPOCH + Duration::from_secs(number("ratelimit-reset")?);
        let (limit, remaining) = (number("ratelimit-limit")?, number("ratelimit-remaining")?);
        Some(Self { limit, remaining, full, at: Instant::now() })
    }

    /// How many there are by now.
    fn left(&self) -> u64 {
        let since = self.at.elapsed().as_secs();
        (self.remaining + since * self.limit / HOUR).min(self.limit)
    }
}

const HOUR: u64 = 3600;

/// What is left.
#[derive(Debug, Default)]
pub(super) struct Allowance(Mutex<Option<Told>>);

impl Allowance {
    fn told(&self) -> Option<Told> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what an answer tells.
    pub(super) fn note(&self, headers: &HeaderMap) {
        if let Some(told) = Told::read(headers) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        }
    }

    /// Whether there is one left, or who has to wait for how long.
    pub(super) fn permit(&self) -> Result<(), ProviderError> {
        match self.told() {
            Some(told) if told.left() == 0 => {
                let message = format!(
                    "the project has used up its {} requests an hour; one comes back every {} s, {}",
                    told.limit,
                    HOUR.div_ceil(told.limit.max(1)),
                    self.refill()
                );
                Err(error(ErrorKind::Busy, message))
            }
            _ => Ok(()),
        }
    }

    /// When all of it is there again, for people.
    pub(super) fn refill(&self) -> String {
        let wait = self.told().and_then(|told| told.full.duration_since(SystemTime::now()).ok());
        match wait.map_or(0, |wait| wait.as_secs().div_ceil(60)) {
            0 => "and all of them at once".into(),
            minutes => format!("and all of them are back in {minutes} min"),
        }
    }

    /// Whether so little is left that whoever can look less often should.
    pub(super) fn is_scarce(&self) -> bool {
        self.told().is_some_and(|told| told.left() * 20 < told.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(limit: u64, remaining: u64, full_in: u64) -> HeaderMap {
        let reset = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + full_in;
        let pairs = [("ratelimit-limit", limit), ("ratelimit-remaining", remaining), ("ratelimit-reset", reset)];
        pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.to_string().parse().unwrap())).collect()
    }

    #[test]
    fn who_has_used_all_up_waits_and_is_told_for_how_long() {
        let allowance = Allowance::default();
        assert!(allowance.permit().is_ok() && !allowance.is_scarce(), "nothing is told yet");
        allowance.note(&headers(3600, 179, 3421));
        assert!(allowance.permit().is_ok() && allowance.is_scarce());
        allowance.note(&HeaderMap::new());
        allowance.note(&headers(3600, 0, 3590));
        let refused = allowance.permit().unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Busy);
        let words = "the project has used up its 3600 requests an hour; one comes back every 1 s, and all of them are back in 60 min";
        assert_eq!(refused.message, words);
    }
}
