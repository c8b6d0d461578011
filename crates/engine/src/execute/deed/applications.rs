//! Waits for Argo CD's applications, and does for those that are stuck what the planner decides.

use std::collections::BTreeMap;

use kubewright_model::applications::{DesiredApplications, Remedy};
use kubewright_model::condition::Condition;
use kubewright_planner::applications::{Tried, Verdict, judge, verdict};
use tokio::time::Instant;

use super::{FIRST_LOOK, Fault, Hands, LONGEST_LOOK, Tell, tell_once};
use crate::execute::Saying;
use crate::retry::{DEED, retry};

impl Hands<'_> {
    /// Looks until applications are as they should be. Each remedy is told before it is tried; when the tries or the time
    /// are used up, the failure says what each application waits for.
    pub(super) async fn settle(&self, wish: &DesiredApplications, tell: Tell<'_>) -> Result<bool, Fault> {
        let hands = self.cluster()?;
        let deadline = Instant::now() + wish.timeout.duration();
        let condition = Condition::Applications(wish.check.clone());
        let mut done: BTreeMap<Remedy, (u32, Instant)> = BTreeMap::new();
        let (mut wait, mut told, mut looked) = (FIRST_LOOK, String::new(), false);
        loop {
            let there = retry(DEED, || hands.applications(), tell).await?;
            let checked = judge(&wish.check, &there);
            let tried = done.iter().map(|(remedy, (times, at))| {
                (remedy.clone(), Tried { times: *times, ago: Instant::now().duration_since(*at) })
            });
            let fault = |cause: String, lasts| {
                let hint = checked.hint.clone();
                Fault { causes: vec![cause, checked.saw.clone()], log: Vec::new(), hint, lasts }
            };
            let remedies = match verdict(&wish.check, &there, &tried.collect()) {
                Verdict::Good => return Ok(looked),
                Verdict::Hopeless(why) => return Err(fault(why, true)),
                Verdict::Waits => Vec::new(),
                Verdict::Mend(remedies) => remedies,
            };
            looked = true;
            if Instant::now() + wait > deadline {
                return Err(fault(format!("after {} it does not hold that {condition}", wish.timeout), false));
            }
            tell_once(tell, &mut told, checked.saw.clone());
            for remedy in remedies {
                tell(Saying::Tells(remedy.to_string()));
                retry(DEED, || hands.mend(&remedy), tell).await?;
                let times = done.get(&remedy).map_or(0, |(times, _)| *times);
                done.insert(remedy, (times + 1, Instant::now()));
            }
            // Who watches may be silent for longer than there is time.
            let _ = tokio::time::timeout_at(deadline, hands.changed(&condition, wait)).await;
            wait = (wait * 2).min(LONGEST_LOOK);
        }
    }
}
