//! The proof of a rebuild: every check of the spec, looked at until all hold.

use std::borrow::Cow;
use std::time::Duration;

use kubewright_model::checked::Group;
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Desired, DesiredCheck, Saved};
use kubewright_model::event::{Event, RunEnd};
use kubewright_model::plan::Ask;
use tokio::time::Instant;

use super::{Engine, EngineError, Request};
use crate::execute::{Recorder, Stop};
use crate::verify::{CheckResult, verify};

/// How long checks may take to hold in a cluster that was just made. A certificate that is proven by DNS is issued within five
/// minutes, and images of applications are pulled meanwhile; what does not hold after twice as long needs a person.
const HOLDS_WITHIN: Duration = Duration::from_secs(600);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What is proven beside the spec's checks: a cluster that is restored from a bundle says so.
fn with_canary(desired: &Desired, canary: Option<String>) -> Cow<'_, Desired> {
    let Some(bundle) = canary else { return Cow::Borrowed(desired) };
    let mut desired = desired.clone();
    let condition = Condition::Canary(bundle);
    desired.checks.insert(0, DesiredCheck { name: "canary".into(), group: Group::Nodes, condition });
    Cow::Owned(desired)
}

impl Engine {
    /// How a run ends, and what the checks came to. After a rebuild that left nothing to do, they are looked at until all
    /// hold, or for so long as they may take.
    pub(super) async fn proven(
        &self,
        request: &Request<'_>,
        end: RunEnd,
        canary: Option<String>,
        stop: &Stop,
        recorder: &mut Recorder<'_>,
    ) -> Result<(RunEnd, Vec<CheckResult>), EngineError> {
        if !matches!(request.ask, Ask::Rebuild | Ask::Restore) || end != RunEnd::Complete {
            return Ok((end, Vec::new()));
        }
        let desired = &with_canary(request.desired, canary);
        recorder.record(Event::VerifyStarted { checks: desired.checks.len() })?;
        let results = tokio::select! {
            biased;
            results = self.proof(desired) => results,
            () = stop.wanted() => {
                recorder.record(Event::StopAsked { times: stop.asked() })?;
                return Ok((RunEnd::Interrupted, Vec::new()));
            }
        };
        let wrong = results.iter().filter(|result| !result.checked.holds);
        let wrong: Vec<String> = wrong.map(|result| format!("{}: {}", result.name, result.checked.saw)).collect();
        recorder.record(Event::VerifyEnded { held: results.len() - wrong.len(), wrong })?;
        Ok((end, results))
    }

    /// What the canary has to say when a run has ended that restores a bundle, or goes on with one that did.
    pub(super) fn canary(&self, request: &Request<'_>) -> Option<String> {
        let Request { desired, ask, .. } = request;
        if !matches!(ask, Ask::Rebuild | Ask::Restore) {
            return None;
        }
        self.begins_with(desired, ask).as_ref().and_then(Saved::canary).cloned()
    }

    /// Every check of the spec, looked at until all hold or for so long as they may take: what applications bring has only
    /// begun when a run ends.
    pub(crate) async fn proof(&self, desired: &Desired) -> Vec<CheckResult> {
        let deadline = Instant::now() + HOLDS_WITHIN;
        loop {
            let results = verify(&self.world, desired).await;
            let holds = results.iter().all(|result| result.checked.holds);
            if holds || Instant::now() + LOOK_AGAIN > deadline {
                return results;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
