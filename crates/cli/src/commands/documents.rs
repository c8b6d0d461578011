//! `kubewright schema` and `kubewright docs`.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use kubewright_engine::Loadout;
use kubewright_model::event::Record;
use kubewright_model::ids::ClusterName;
use kubewright_model::spec::schema::json_schema;
use kubewright_pdf::pdf;
use kubewright_report::{Document, Language, Looked, built, document};

use super::{print_json, write};
use crate::arguments::{self, Arguments, Docs, Format};
use crate::problem::{Done, Problem};
use crate::screen::{quoted, remark, say, written};
use crate::source::{self, Reading, STANDARD_INPUT};
use crate::world::Site;

pub(super) fn schema() -> Result<Done, Problem> {
    print_json(json_schema())?;
    Ok(Done::Well)
}

/// The page about a cluster, with what is there when that was asked for.
pub(super) fn cluster(arguments: &Arguments, docs: &Docs) -> Result<Done, Problem> {
    let format = match (docs.format, &docs.out) {
        (Some(format), _) => format,
        (None, Some(out)) => form(out)?,
        (None, None) => Format::Markdown,
    };
    let loadout = source::read(
        &docs.file,
        Reading {
            environment: arguments.environment.as_deref(),
            asks_hosts: docs.look && arguments.simulated.is_none(),
            ..Reading::default()
        },
    )?;
    let desired = &loadout.desired;
    let (observed, checks, runs) = if docs.look {
        Site::look(arguments, &docs.file, desired, async |site| {
            let observed = site.engine.status(desired).await;
            let results = site.engine.verify(desired).await;
            Ok((Some(observed), results, journals(site, &desired.cluster)?))
        })?
    } else {
        (None, Vec::new(), Vec::new())
    };
    let built = built(runs.iter().map(Vec::as_slice));
    let looked = Looked { observed: observed.as_ref(), checks: &checks, built };
    let language = docs.language.into();
    let pretend = docs.look && arguments.simulated.is_some();
    let page = render(&page(&loadout, &looked, language, pretend, &named(arguments, &docs.file)), format)?;
    match &docs.out {
        Some(out) if docs.check => return check(out, &page),
        Some(out) => write(out, &page)?,
        None => print(&page, format)?,
    }
    Ok(Done::Well)
}

/// A document as the answer of a command. A PDF is for a file or a pipe: a terminal would take its bytes as orders.
fn print(page: &[u8], format: Format) -> Result<(), Problem> {
    let mut out = std::io::stdout();
    if format == Format::Pdf && out.is_terminal() {
        let problem = Problem::new(Done::Usage, "a PDF is nothing that a terminal can show");
        return Err(problem.hint("name a file with `--out`, or send it to another program"));
    }
    let end: &[u8] = if format == Format::Pdf || page.ends_with(b"\n") { b"" } else { b"\n" };
    written(out.write_all(page).and_then(|()| out.write_all(end)));
    Ok(())
}

/// The journals of a cluster's runs, oldest first. One that cannot be read hides no other.
pub(super) fn journals(site: &Site<'_>, cluster: &ClusterName) -> Result<Vec<Vec<Record>>, Problem> {
    let runs = site.engine.history(cluster)?;
    Ok(runs.iter().filter_map(|run| site.engine.records(cluster, run).ok()).collect())
}

/// So many lines of a difference are shown.
const SHOWN: usize = 40;

/// Whether a file says what would be written into it; how it differs where it does not.
fn check(out: &Path, page: &[u8]) -> Result<Done, Problem> {
    let there = match std::fs::read(out) {
        Ok(there) => there,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let problem = Problem::new(Done::Usage, format!("cannot read {}", out.display()));
            return Err(problem.because(error.to_string()));
        }
    };
    if there == page {
        remark!("{} is up to date", out.display());
        return Ok(Done::Well);
    }
    // A PDF has no lines that anybody could read.
    if let (Ok(there), Ok(text)) = (std::str::from_utf8(&there), std::str::from_utf8(page)) {
        difference(there, text);
    }
    let problem = Problem::new(Done::Pending, format!("{} is not what would be written now", out.display()));
    Err(problem.hint("the same command without `--check` writes it"))
}

/// Shows how a file differs, from its beginning.
fn difference(there: &str, text: &str) {
    let diff = similar::TextDiff::from_lines(there, text);
    let lines: Vec<String> = diff.unified_diff().context_radius(1).to_string().lines().map(str::to_string).collect();
    lines.iter().take(SHOWN).for_each(|line| say!("{line}"));
    let more = lines.len().saturating_sub(SHOWN);
    if more > 0 {
        say!("… and {more} lines more");
    }
}

impl From<arguments::Language> for Language {
    fn from(language: arguments::Language) -> Self {
        match language {
            arguments::Language::En => Self::En,
            arguments::Language::Fr => Self::Fr,
        }
    }
}

/// A spec as commands are given it, with its environment.
pub(super) fn named(arguments: &Arguments, spec: &Path) -> String {
    let environment = arguments.environment.as_ref().map(|name| format!("--environment {name} ")).unwrap_or_default();
    // What comes from standard input has no name.
    let file = if spec == Path::new(STANDARD_INPUT) { "FILE".into() } else { quoted(spec) };
    environment + &file
}

/// The page about a cluster.
pub(super) fn page(loadout: &Loadout, looked: &Looked<'_>, language: Language, pretend: bool, spec: &str) -> Document {
    let page = document(&loadout.desired, looked, language, spec);
    let description = loadout.file.metadata.description.as_deref().unwrap_or_default();
    match pretend {
        false => page.with_lead(description),
        true => page.with_lead(&format!("{} {description}", language.pretended())),
    }
}

/// The form that a file's name asks for; a name without an ending asks for Markdown.
pub(super) fn form(path: &Path) -> Result<Format, Problem> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        None | Some("md" | "markdown") => Ok(Format::Markdown),
        Some("html" | "htm") => Ok(Format::Html),
        Some("pdf") => Ok(Format::Pdf),
        Some(other) => {
            let problem = Problem::new(Done::Usage, format!("no document ends in `.{other}`: {}", path.display()));
            Err(problem.hint("write a name that ends in `.md`, `.html` or `.pdf`"))
        }
    }
}

/// A document in a form.
pub(super) fn render(page: &Document, format: Format) -> Result<Vec<u8>, Problem> {
    match format {
        Format::Markdown => Ok(page.markdown().into_bytes()),
        Format::Html => Ok(page.html().into_bytes()),
        Format::Pdf => pdf(page).map_err(|error| Problem::new(Done::Bug, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_its_form() {
        let form = |name: &str| form(Path::new(name)).ok();
        assert_eq!(
            (form("x.HTM"), form("x.html"), form("x.Md")),
            (Some(Format::Html), Some(Format::Html), Some(Format::Markdown))
        );
        assert_eq!((form("README"), form("x.pdf")), (Some(Format::Markdown), Some(Format::Pdf)));
        assert_eq!(form("x.docx"), None);
    }
}
