//! `kubewright schema` and `kubewright docs`.

use std::path::Path;

use kubewright_engine::Loadout;
use kubewright_engine::verify::CheckResult;
use kubewright_model::observed::Observed;
use kubewright_model::spec::schema::json_schema;
use kubewright_report::{CheckLine, Document, Language, document};

use super::{print_json, write};
use crate::arguments::{self, Arguments, Docs, Format};
use crate::problem::{Done, Problem};
use crate::screen::say;
use crate::source;
use crate::world::Site;

pub(super) fn schema() -> Result<Done, Problem> {
    print_json(json_schema())?;
    Ok(Done::Well)
}

/// The page about a cluster, with what is there when that was asked for.
pub(super) fn cluster(arguments: &Arguments, docs: &Docs) -> Result<Done, Problem> {
    let loadout = source::read(&docs.file)?;
    let desired = &loadout.desired;
    let (observed, checks) = if docs.look {
        Site::look(arguments, &docs.file, desired, async |site| {
            let observed = site.engine.status(desired).await;
            let results = site.engine.verify(desired).await;
            Ok((Some(observed), results))
        })?
    } else {
        (None, Vec::new())
    };
    let language = match docs.language {
        arguments::Language::En => Language::En,
        arguments::Language::Fr => Language::Fr,
    };
    let pretend = docs.look && arguments.simulated.is_some();
    let format = docs.format.unwrap_or_else(|| docs.out.as_deref().map_or(Format::Markdown, form));
    let text = render(&page(&loadout, observed.as_ref(), &checks, language, pretend), format);
    match &docs.out {
        Some(out) => write(out, &text)?,
        None => say!("{}", text.trim_end()),
    }
    Ok(Done::Well)
}

/// The page about a cluster.
pub(super) fn page(
    loadout: &Loadout,
    observed: Option<&Observed>,
    checks: &[CheckResult],
    language: Language,
    pretend: bool,
) -> Document {
    let checks: Vec<CheckLine> = checks
        .iter()
        .map(|result| CheckLine {
            name: result.name.clone(),
            holds: result.checked.holds,
            saw: result.checked.saw.clone(),
            hint: result.checked.hint.clone(),
        })
        .collect();
    let page = document(&loadout.desired, observed, &checks, language);
    let description = loadout.file.metadata.description.as_deref().unwrap_or_default();
    match (pretend, language) {
        (false, _) => page.with_lead(description),
        (true, Language::En) => {
            page.with_lead(&format!("SIMULATED: every state on this page is pretended. {description}"))
        }
        (true, Language::Fr) => page.with_lead(&format!("SIMULÉ : tout état sur cette page est fictif. {description}")),
    }
}

/// The form that a file's name asks for.
pub(super) fn form(path: &Path) -> Format {
    if path.extension().is_some_and(|extension| extension == "html") { Format::Html } else { Format::Markdown }
}

/// A document in a form.
pub(super) fn render(page: &Document, format: Format) -> String {
    match format {
        Format::Markdown => page.markdown(),
        Format::Html => page.html(),
    }
}
