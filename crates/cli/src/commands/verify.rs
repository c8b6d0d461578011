//! `kubewright verify`: every check of the spec, and what is handed over of it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use kubewright_engine::notify::Finding;
use kubewright_engine::verify::CheckResult;
use kubewright_model::desired::Desired;
use kubewright_model::spec::notifications::Occasion;
use kubewright_model::units::Moment;
use kubewright_report::{junit, validation};
use serde_json::{Value, json};

use super::documents::{form, render};
use super::notify::{memory, somebody_hears, tell};
use super::{print_json, write};
use crate::arguments::{Arguments, Format, Output, Verify};
use crate::problem::{Done, Problem};
use crate::source::{self, Reading};
use crate::view;
use crate::world::Site;

/// A report's form, by the ending of its file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Page(Format),
    Json,
    Junit,
}

impl Form {
    fn of(path: &Path) -> Result<Self, Problem> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("json") => Ok(Self::Json),
            Some("xml") => Ok(Self::Junit),
            _ => form(path).map(Self::Page).map_err(|_| {
                let words = format!("no report ends as {}", path.display());
                Problem::new(Done::Usage, words)
                    .hint("write a name that ends in `.md`, `.html`, `.pdf`, `.json` or `.xml`")
            }),
        }
    }
}

pub(super) fn verify(arguments: &Arguments, verify: &Verify) -> Result<Done, Problem> {
    let forms = verify.report.iter().map(|path| Ok((path.as_path(), Form::of(path)?)));
    let forms: Vec<(&Path, Form)> = forms.collect::<Result<_, Problem>>()?;
    let desired = source::read(&verify.file, Reading::of(arguments, verify.output))?.desired;
    if verify.notify {
        somebody_hears(&desired, &[Occasion::Verification])?;
    }
    // Only pages show the nodes as they are.
    let pages = forms.iter().any(|(_, form)| matches!(form, Form::Page(_)));
    let (observed, results, heard) = Site::look(arguments, &verify.file, &desired, async |site| {
        let observed = if pages { Some(site.engine.status(&desired).await) } else { None };
        let results = site.engine.verify(&desired).await;
        let heard = !verify.notify
            || tell(
                site,
                &desired,
                &failed(&desired, &results),
                &memory(arguments, &verify.file, &desired, Occasion::Verification),
            )
            .await?;
        Ok((observed, results, heard))
    })?;
    let pretend = arguments.simulated.is_some();
    match verify.output {
        Output::Text => view::checks::show(&results, pretend),
        Output::Json => print_json(&data(&results, pretend))?,
    }
    let at = (!pretend).then(now);
    for (path, form) in forms {
        let report = match form {
            Form::Json => format!("{:#}\n", data(&results, pretend)).into_bytes(),
            Form::Junit => junit(&desired.cluster, &results).into_bytes(),
            Form::Page(format) => {
                let language = verify.language.into();
                let page = validation(&desired, observed.as_ref(), &results, at, language);
                let page = if pretend { page.with_lead(language.pretended()) } else { page };
                render(&page, format)?
            }
        };
        write(path, report)?;
    }
    Ok(match results.iter().all(|result| result.checked.holds) {
        false => Done::Unhealthy,
        true if heard => Done::Well,
        true => Done::Unfinished,
    })
}

/// The checks that do not hold. What each saw is not told: that may be another thing each time.
fn failed(desired: &Desired, results: &[CheckResult]) -> Finding {
    let failed = results.iter().filter(|result| !result.checked.holds);
    let lines = failed.map(|result| format!("{}: {}", result.name, result.condition)).collect();
    Finding::new(Occasion::Verification, &desired.cluster, lines)
}

fn now() -> Moment {
    Moment(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// The checks for programs.
fn data(results: &[CheckResult], pretend: bool) -> Value {
    let checks: Vec<_> = results
        .iter()
        .map(|result| {
            json!({
                "name": result.name,
                "group": result.group,
                "expected": result.condition.to_string(),
                "holds": result.checked.holds,
                "saw": result.checked.saw,
                "warning": result.checked.warning,
                "parts": result.checked.parts,
                "hint": result.checked.hint,
                "log": result.checked.log,
                "milliseconds": result.milliseconds(),
            })
        })
        .collect();
    json!({ "simulated": pretend, "checks": checks })
}
