//! Commands that look: `status` and `verify`.

use serde_json::json;

use super::print_json;
use crate::arguments::{Arguments, Look, Output};
use crate::problem::{Done, Problem};
use crate::source;
use crate::view;
use crate::world::Site;

pub(super) fn status(arguments: &Arguments, look: &Look) -> Result<Done, Problem> {
    let desired = source::read(&look.file)?.desired;
    let observed = Site::work(arguments, &look.file, &desired, async |site| Ok(site.engine.status(&desired).await))?;
    let good = match look.output {
        Output::Text => view::status::show(&desired, &observed),
        Output::Json => {
            print_json(&observed)?;
            observed.unknown().is_empty()
        }
    };
    Ok(if good { Done::Well } else { Done::Unhealthy })
}

pub(super) fn verify(arguments: &Arguments, look: &Look) -> Result<Done, Problem> {
    let desired = source::read(&look.file)?.desired;
    let results = Site::work(arguments, &look.file, &desired, async |site| Ok(site.engine.verify(&desired).await))?;
    let pretend = arguments.simulated.is_some();
    let good = match look.output {
        Output::Text => view::status::checks(&results, pretend),
        Output::Json => {
            let checks: Vec<_> = results
                .iter()
                .map(|result| {
                    json!({
                        "name": result.name,
                        "expected": result.expected,
                        "holds": result.checked.holds,
                        "saw": result.checked.saw,
                        "hint": result.checked.hint,
                        "log": result.checked.log,
                        "milliseconds": u64::try_from(result.took.as_millis()).unwrap_or(u64::MAX),
                    })
                })
                .collect();
            print_json(&json!({ "simulated": pretend, "checks": checks }))?;
            results.iter().all(|result| result.checked.holds)
        }
    };
    Ok(if good { Done::Well } else { Done::Unhealthy })
}
