//! A pretend run that is to be watched: as slow as its own clock says, so many times faster.
//!
//! The clock of a pretend world jumps, so a run of an hour is over at once. Who wants to watch it waits between its records
//! for as long as its own clock says that it was, divided by the pace. All front ends go by this one.

use std::thread;
use std::time::Duration;

use kubewright_model::event::{Event, Record};

/// Nobody waits longer for the next record.
const LONGEST: Duration = Duration::from_secs(20);

/// How often it is looked at, while a record is waited for, whether anybody wants something else.
const SLICE: Duration = Duration::from_millis(50);

/// Keeps a pretend run slow enough to be watched.
#[derive(Debug)]
pub struct Pace {
    at: u64,
    pace: Option<f64>,
}

impl Pace {
    /// So many seconds of the pretend world in a second; none for as fast as it goes.
    pub fn new(pace: Option<f64>) -> Self {
        Self { at: 0, pace: pace.filter(|pace| pace.is_finite() && *pace > 0.0) }
    }

    /// Waits as long as it was since the last record. `meanwhile` is called again and again with the milliseconds by the run's
    /// own clock, and says whether to wait on.
    pub fn keep(&mut self, record: &Record, mut meanwhile: impl FnMut(u64) -> bool) {
        // The next run of a rehearsal begins with a clock of its own.
        if matches!(record.event, Event::RunStarted { .. }) {
            self.at = record.at;
        }
        let from = std::mem::replace(&mut self.at, record.at);
        let Some(pace) = self.pace else { return };
        let since = Duration::from_millis(record.at.saturating_sub(from));
        let mut left = Duration::try_from_secs_f64(since.as_secs_f64() / pace).unwrap_or(LONGEST).min(LONGEST);
        while !left.is_zero() {
            let rest = u64::try_from(left.mul_f64(pace.min(1e6)).as_millis()).unwrap_or(u64::MAX);
            if !meanwhile(record.at.saturating_sub(rest).max(from)) {
                return;
            }
            let now = left.min(SLICE);
            thread::sleep(now);
            left -= now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use kubewright_model::event::EVENT_FORMAT;
    use kubewright_model::ids::StepId;

    use super::*;

    fn record(at: u64) -> Record {
        let event = Event::StepTells { step: StepId::new("start/web-1"), message: "waits".into() };
        Record { format: EVENT_FORMAT, seq: 0, at, event }
    }

    #[test]
    fn a_minute_is_a_tenth_of_a_second_at_a_pace_of_six_hundred() {
        let (began, mut heard) = (Instant::now(), Vec::new());
        Pace::new(Some(600.0)).keep(&record(60_000), |at| {
            heard.push(at);
            true
        });
        assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());
        assert_eq!(heard, [0, 30_000]);
    }

    #[test]
    fn nobody_waits_who_does_not_want_to() {
        let began = Instant::now();
        Pace::new(None).keep(&record(60_000), |_| true);
        Pace::new(Some(0.0)).keep(&record(60_000), |_| true);
        Pace::new(Some(1.0)).keep(&record(60_000), |_| false);
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}
