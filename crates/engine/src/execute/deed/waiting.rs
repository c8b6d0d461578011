//! Waits for a condition, each with an end and a cause.

use kubewright_model::condition::Condition;
use kubewright_model::ids::NodeName;
use kubewright_model::units::Span;
use tokio::time::Instant;

use super::{FIRST_LOOK, Fault, Hands, LONGEST_LOOK, Tell, tell_once};
use crate::retry::{DEED, retry};

impl Hands<'_> {
    /// Whether so many of the nodes that are waited for have not even been started that it cannot hold yet.
    fn too_early(&self, condition: &Condition) -> bool {
        let Condition::NodesReady { nodes, at_least } = condition else { return false };
        let coming = self.coming.borrow();
        nodes.iter().filter(|node| !coming.contains(*node)).count() < *at_least
    }

    /// Why a wait for nodes cannot end well in this run: too many of them have failed on their way.
    fn in_vain(&self, condition: &Condition, saw: &str) -> Option<Fault> {
        let Condition::NodesReady { nodes, at_least } = condition else { return None };
        let given_up = self.given_up.borrow();
        let failed: Vec<&str> = nodes.iter().filter(|node| given_up.contains(*node)).map(NodeName::as_str).collect();
        if failed.is_empty() || nodes.len() - failed.len() >= *at_least {
            return None;
        }
        Some(Fault {
            causes: vec![format!("it cannot hold that {condition}: {} failed before", failed.join(", ")), saw.into()],
            log: Vec::new(),
            hint: Some("mend what failed there, then run again".into()),
            lasts: true,
        })
    }

    /// Looks until the condition holds, each time that something has changed of what it is about. When it does not in time, the failure says what was seen last. The time counts from
    /// when what is waited for has been set going: how long it takes until then is what makes machines', one after the
    /// other on their storage.
    pub(super) async fn wait(&self, condition: &Condition, timeout: Span, tell: Tell<'_>) -> Result<bool, Fault> {
        let hands = self.cluster()?;
        let mut deadline = Instant::now() + timeout.duration();
        let mut wait = FIRST_LOOK;
        let mut told = String::new();
        let mut looked = false;
        loop {
            let checked = retry(DEED, || hands.check(condition), tell).await?;
            if checked.holds {
                return Ok(looked);
            }
            looked = true;
            if let Some(fault) = self.in_vain(condition, &checked.saw) {
                return Err(fault);
            }
            if self.too_early(condition) {
                deadline = Instant::now() + timeout.duration();
            }
            if Instant::now() + wait > deadline {
                return Err(Fault {
                    causes: vec![format!("after {timeout} it does not hold that {condition}"), checked.saw],
                    log: checked.log,
                    hint: checked.hint,
                    lasts: false,
                });
            }
            tell_once(tell, &mut told, checked.saw);
            // Who watches may be silent for longer than there is time.
            let _ = tokio::time::timeout_at(deadline, hands.changed(condition, wait)).await;
            wait = (wait * 2).min(LONGEST_LOOK);
        }
    }
}
