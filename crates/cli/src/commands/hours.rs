//! The maintenance window: a change that disturbs begins while it is open, or waits, or is refused.

use std::time::Duration;

use kubewright_engine::hours::{self, Hours as Window};
use kubewright_model::desired::Desired;
use kubewright_model::plan::{Note, Plan};

use crate::arguments::fleet::Hours;
use crate::problem::{Done, Problem};
use crate::screen::{CARE, paint, remark};
use crate::world::{Site, now};

/// What a plan says of the window that it would begin outside of.
pub(super) fn note(desired: &Desired, plan: &Plan) -> Option<Note> {
    hours::note(plan, &hours::hours(desired, now())?)
}

/// Refuses what disturbs while the window is closed, unless somebody wants it now or waits.
pub(super) fn open(desired: &Desired, plan: &Plan, wish: Hours) -> Result<(), Problem> {
    match closed(desired, plan, wish) {
        Some((opens, _)) if !wish.in_window => {
            let problem = Problem::new(Done::Blocked, format!("the maintenance window is closed: it opens at {opens}"));
            Err(problem
                .because("the plan disturbs what works; nothing was touched")
                .hint("run it then; `--in-window` waits until then, and `--now` does not go by it"))
        }
        _ => Ok(()),
    }
}

/// The same, and waits where that is wished. A pretend data centre has no hours of its own, so nobody waits there.
pub(super) async fn kept(site: &Site, desired: &Desired, plan: &Plan, wish: Hours) -> Result<(), Problem> {
    open(desired, plan, wish)?;
    if let Some((opens, within)) = closed(desired, plan, wish) {
        remark!("{} waiting until the maintenance window opens at {opens}", paint(CARE, "→"));
        if !site.engine.simulated() {
            tokio::time::sleep(Duration::from_secs(within)).await;
        }
    }
    Ok(())
}

/// When the window opens, where it is closed and a plan goes by it.
fn closed(desired: &Desired, plan: &Plan, wish: Hours) -> Option<(String, u64)> {
    if wish.now || !hours::disturbs(plan) {
        return None;
    }
    match hours::hours(desired, now())? {
        Window::Open(_) => None,
        Window::Closed { opens, within, .. } => Some((opens, within)),
    }
}
