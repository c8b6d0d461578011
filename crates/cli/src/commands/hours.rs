//! The maintenance window: a change that disturbs begins while it is open, or waits, or is refused.

use std::time::Duration;

use kubewright_engine::hours::{self, Hours as Window};
use kubewright_model::desired::Desired;
use kubewright_model::plan::{Note, Plan};

use crate::arguments::fleet::Hours;
use crate::problem::{Done, Problem};
use crate::screen::{CARE, paint, remark};
use crate::world::{Site, now};

/// How long nobody looks at the clock.
const SLICE: Duration = Duration::from_secs(60);

/// What a plan says of the window that it would begin outside of.
pub(super) fn note(desired: &Desired, plan: &Plan) -> Option<Note> {
    hours::note(plan, &hours::hours(desired, now())?)
}

/// Refuses what disturbs while the window is closed, unless somebody wants it now or waits.
pub(super) fn open(desired: &Desired, plan: &Plan, wish: Hours) -> Result<(), Problem> {
    match closed(desired, plan, wish, now()) {
        Some((opens, _)) if !wish.in_window => {
            let problem = Problem::new(Done::Blocked, format!("the maintenance window is closed: it opens at {opens}"));
            Err(problem
                .because("the plan disturbs what works; nothing was touched")
                .hint("run it then; `--in-window` waits until then, and `--now` does not go by it"))
        }
        _ => Ok(()),
    }
}

/// The same, and waits where that is wished. Nothing is locked meanwhile: what is carried out then is planned then. A
/// pretend data centre has no hours of its own, so nobody waits there.
pub(super) async fn kept(site: &Site<'_>, desired: &Desired, plan: &Plan, wish: Hours) -> Result<(), Problem> {
    open(desired, plan, wish)?;
    if let Some((opens, _)) = closed(desired, plan, wish, now()) {
        remark!("{} waiting until the maintenance window opens at {opens}", paint(CARE, "→"));
        if !site.engine.simulated() {
            until(|| closed(desired, plan, wish, now()).map(|(_, within)| within)).await;
        }
    }
    Ok(())
}

/// Waits as long as somebody says that there are seconds left, and asks anew every minute: a computer that sleeps counts none
/// of them, and its clock may be set.
async fn until(left: impl Fn() -> Option<u64>) {
    while let Some(within) = left() {
        tokio::time::sleep(SLICE.min(Duration::from_secs(within.max(1)))).await;
    }
}

/// When the window opens, where it is closed and a plan goes by it.
fn closed(desired: &Desired, plan: &Plan, wish: Hours, now: u64) -> Option<(String, u64)> {
    if wish.now || !hours::disturbs(plan) {
        return None;
    }
    match hours::hours(desired, now)? {
        Window::Open(_) => None,
        Window::Closed { opens, within, .. } => Some((opens, within)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn who_waits_goes_by_the_clock_on_the_wall() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let began = tokio::time::Instant::now();
            // Five days are left; then the computer sleeps until the window is open.
            let looks = Cell::new(0);
            let left = || {
                looks.set(looks.get() + 1);
                (looks.get() < 3).then_some(5 * 86_400)
            };
            until(left).await;
            assert_eq!(began.elapsed(), 2 * SLICE);
            // What is left is less than a slice.
            let ends = began.elapsed() + Duration::from_secs(7);
            until(|| ends.checked_sub(began.elapsed()).map(|left| left.as_secs()).filter(|left| *left > 0)).await;
            assert_eq!(began.elapsed(), ends);
        });
    }

    #[test]
    fn who_waits_for_a_window_holds_no_lock() {
        let waits = Hours { now: false, in_window: true };
        assert!(!waits.begins_at_once());
        assert!(Hours::default().begins_at_once() && Hours { now: true, in_window: false }.begins_at_once());
    }
}
