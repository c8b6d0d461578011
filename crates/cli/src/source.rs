//! Reading a spec, and showing what is wrong with it at the place where it is wrong.

mod namesakes;
mod spoken;

use std::borrow::Cow;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use kubewright_engine::site::ENVIRONMENTS;
use kubewright_engine::{Engine, Loadout, cleartext, keyfiles};
use kubewright_model::diagnostic::{Diagnostic, Place, Severity, nearest};
use kubewright_model::source::{Environment, MAX_BYTES};
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report, Severity as Weight,
};

use serde::Serialize;

use crate::arguments::{Arguments, Output};
use crate::hints::{self, locked, unlocked};
use crate::mask::masked;
use crate::plain;
use crate::problem::{Done, Problem, listed};
use crate::screen::{self, BAD, CARE, counted, hand, paint, remark};

pub(crate) use kubewright_engine::site::STANDARD_INPUT;

/// Lines of a spec that are shown at most; the rest is counted.
const SHOWN: usize = 50;
/// Characters of a line that are shown at most, and of a message: a file may be one line.
const WIDEST: usize = 160;
/// Columns of what is wrong where nobody tells how wide the screen is.
const LAID_OUT: usize = 200;
/// Characters that are shown before a place in a line that is cut.
const BEFORE: usize = 60;
/// Columns beside a line: its number, a bar, and the signs of what was cut off.
const BESIDE: usize = 10;

/// What is wrong with one file, for programs.
#[derive(Serialize)]
pub(crate) struct Found<'a> {
    /// The file.
    pub(crate) file: &'a Path,
    /// The file of the environment on top of it: places with `file: 1` are in that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<&'a Path>,
    /// All of it.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// What a spec is read for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading<'a> {
    /// The environment that goes on top of it.
    pub(crate) environment: Option<&'a str>,
    /// A program reads the answer, and so what is wrong too.
    pub(crate) for_program: bool,
    /// Hosts will be asked, with the keys that the spec names.
    pub(crate) asks_hosts: bool,
    /// What Git keeps in clear text is refused.
    pub(crate) asks_git: bool,
    /// Warnings are counted. Whoever looks at a cluster every day has read them where the spec was validated and planned.
    pub(crate) counts_warnings: bool,
}

impl<'a> Reading<'a> {
    /// The same, of what is about to be planned or made: no secret of it may lie open in Git. In a pretend world nobody's are
    /// looked for.
    pub(crate) fn for_a_plan(arguments: &'a Arguments, output: Output) -> Self {
        let asks_git = arguments.simulated.is_none();
        Self { asks_git, counts_warnings: false, ..Self::of(arguments, output) }
    }

    /// As a command's arguments have it.
    pub(crate) fn of(arguments: &'a Arguments, output: Output) -> Self {
        let environment = arguments.environment.as_deref();
        let (for_program, asks_hosts) = (output == Output::Json, arguments.simulated.is_none());
        Self { environment, for_program, asks_hosts, asks_git: false, counts_warnings: true }
    }
}

/// Reads a spec; everything that is wrong with it has been told when this fails.
pub(crate) fn read(path: &Path, reading: Reading) -> Result<Loadout, Problem> {
    let texts = Texts::open(path, reading.environment)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (loadout, mut found) = match Engine::load_for(folder, &texts.spec, texts.environment()) {
        Ok(mut loadout) => {
            let mut found = std::mem::take(&mut loadout.warnings);
            if reading.asks_hosts {
                found.extend(missing_keys(&loadout, folder));
            }
            if reading.asks_git && path != Path::new(STANDARD_INPUT) {
                found.extend(cleartext::found(&loadout, folder));
            }
            (Some(loadout), found)
        }
        Err(found) => (None, found),
    };
    found.extend(texts.namesakes());
    hints::complete(&mut found);
    let wrong = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    match reading.counts_warnings && !wrong {
        true => texts.count(&found),
        false => texts.show(&found),
    }
    match loadout.filter(|_| !wrong) {
        Some(loadout) => Ok(loadout),
        None => {
            // In one line, as events are.
            let found = Found { file: path, environment: texts.layer_path(), diagnostics: found };
            if let Some(line) = reading.for_program.then(|| serde_json::to_string(&found).ok()).flatten() {
                hand!("{line}");
            }
            Err(Problem::told(Done::Invalid))
        }
    }
}

/// What a spec says, and its environment on top of it.
pub(crate) struct Texts<'a> {
    /// The spec's file.
    path: &'a Path,
    /// Its text.
    pub(crate) spec: String,
    on_top: Option<OnTop>,
}

/// An environment. It has no file where the spec itself is of it.
struct OnTop {
    name: String,
    file: Option<(PathBuf, String)>,
}

impl<'a> Texts<'a> {
    /// Reads a spec, and the file of its environment.
    pub(crate) fn open(path: &'a Path, environment: Option<&str>) -> Result<Self, Problem> {
        hints::are_for(path, environment);
        let spec = text(path)?;
        let Some(name) = environment.filter(|name| !name.is_empty()) else {
            return Ok(Self { path, spec, on_top: None });
        };
        let folder = path.parent().unwrap_or(Path::new("")).join(ENVIRONMENTS);
        let file = folder.join(format!("{name}.yaml"));
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && !name.starts_with('.');
        let file = match plain && file.is_file() {
            true => Some((file.clone(), text(&file)?)),
            false if own_environment(&spec).as_deref() == Some(name) => None,
            false => return Err(no_environment(name, &folder, own_environment(&spec))),
        };
        Ok(Self { path, spec, on_top: Some(OnTop { name: name.into(), file }) })
    }

    /// What goes on top of the spec.
    pub(crate) fn environment(&self) -> Option<Environment<'_>> {
        let on_top = self.on_top.as_ref()?;
        let (_, text) = on_top.file.as_ref()?;
        Some(Environment { name: &on_top.name, text })
    }

    /// The environment's file.
    pub(crate) fn layer_path(&self) -> Option<&Path> {
        self.on_top.as_ref()?.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Environments that would be one cluster with this one.
    pub(crate) fn namesakes(&self) -> Vec<Diagnostic> {
        namesakes::found(self)
    }

    /// All that was read, as one text that tells it from another.
    pub(crate) fn whole(&self) -> String {
        let on_top = self.on_top.as_ref().and_then(|on_top| on_top.file.as_ref());
        self.spec.clone() + on_top.map_or("", |(_, text)| text.as_str())
    }

    /// Shows what is wrong with them.
    pub(crate) fn show(&self, found: &[Diagnostic]) {
        show_all(&self.all(), found);
    }

    /// Says in a line how much there is to read about them.
    fn count(&self, found: &[Diagnostic]) {
        if !found.is_empty() {
            remark!("{}; {}", sum(&self.all(), found), hints::runnable("`kubewright validate` shows what"));
        }
    }

    fn all(&self) -> Vec<(&Path, &str)> {
        let on_top = self.on_top.as_ref().and_then(|on_top| on_top.file.as_ref());
        let on_top = on_top.map(|(path, text)| (path.as_path(), text.as_str()));
        std::iter::once((self.path, self.spec.as_str())).chain(on_top).collect()
    }
}

/// The environment that a spec itself is of.
fn own_environment(text: &str) -> Option<String> {
    let (value, _) = kubewright_model::source::read(text).ok()?;
    value.pointer("/metadata/environment")?.as_str().map(String::from)
}

fn no_environment(name: &str, folder: &Path, own: Option<String>) -> Problem {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let mut names: Vec<String> =
        yaml.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).chain(own).collect();
    names.sort();
    names.dedup();
    let problem = Problem::new(Done::Usage, format!("there is no environment `{name}`"));
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    match (nearest(name, known.iter().copied()), known.as_slice()) {
        (Some(near), _) => problem.hint(format!("did you mean `{near}`?")),
        (None, []) => problem.hint(format!("write what differs in it into {}", folder.join("NAME.yaml").display())),
        (None, known) => problem.hint(format!("there are {}", listed(known))),
    }
}

/// The key files of a spec that are not there.
pub(crate) fn missing_keys(loadout: &Loadout, folder: &Path) -> Vec<Diagnostic> {
    let home = std::env::home_dir().unwrap_or_default();
    keyfiles::missing(loadout, &home, folder, std::env::var_os("SSH_AUTH_SOCK").is_some())
}

/// A spec's text.
pub(crate) fn text(path: &Path) -> Result<String, Problem> {
    bounded(path, MAX_BYTES).map_err(|error| {
        let problem = Problem::new(Done::Usage, format!("cannot read {}", path.display()));
        match error.kind() {
            ErrorKind::NotFound => problem.because(error.to_string()).hint("`kubewright init` writes a first spec"),
            ErrorKind::IsADirectory => {
                problem.because("it is a folder").hint(format!("write {}", path.join("cluster.yaml").display()))
            }
            ErrorKind::FileTooLarge => Problem::new(Done::Invalid, format!("{} is no spec", path.display()))
                .because(format!("it has more than {} MiB, and no cluster needs so much", MAX_BYTES / 1024 / 1024)),
            ErrorKind::InvalidData => Problem::new(Done::Invalid, format!("{} is no spec", path.display()))
                .because(format!("it is not UTF-8 text: {error}")),
            _ => problem.because(error.to_string()),
        }
    })
}

/// A file's text, if it has no more than so many bytes: what is not ours may be as large as a disk.
pub(crate) fn bounded(path: &Path, limit: usize) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let most = limit as u64 + 1;
    if path == Path::new(STANDARD_INPUT) {
        std::io::stdin().take(most).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
    }
    if bytes.len() > limit {
        return Err(ErrorKind::FileTooLarge.into());
    }
    String::from_utf8(bytes).map_err(|error| std::io::Error::new(ErrorKind::InvalidData, error.utf8_error()))
}

/// Shows diagnostics of a text with their source lines, then counts them.
pub(crate) fn show(path: &Path, text: &str, found: &[Diagnostic]) {
    show_all(&[(path, text)], found);
}

/// The same of several texts; a place says in which of them it is.
fn show_all(texts: &[(&Path, &str)], found: &[Diagnostic]) {
    if found.is_empty() {
        return;
    }
    let masked: Vec<String> = texts.iter().enumerate().map(|(file, (_, text))| masked(text, file, found)).collect();
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    // What is to be copied is rather too wide than broken.
    let handler = GraphicalReportHandler::new_themed(theme).with_context_lines(1).with_break_words(false);
    let handler = handler.with_width(screen::width(screen::error_columns(), LAID_OUT));
    let widest = screen::width(screen::error_columns(), LAID_OUT).saturating_sub(BESIDE).min(WIDEST);
    for diagnostic in found.iter().take(SHOWN) {
        let file = diagnostic.at.map_or(0, |at| at.file).min(texts.len() - 1);
        let (text, at) = narrowed(&masked[file], diagnostic.at, widest);
        if plain::on() {
            remark!("{}", spoken::told(texts[file].0, &text, diagnostic));
            continue;
        }
        let report = report(texts[file].0, &text, at, diagnostic);
        let mut shown = String::new();
        if handler.render_report(&mut shown, report.as_ref()).is_ok() {
            remark!("{}", unlocked(&placed(shown.trim_end(), at, diagnostic.at)));
        }
    }
    if found.len() > SHOWN {
        remark!("… and {} more", found.len() - SHOWN);
    }
    remark!("{}; `kubewright explain CODE` tells more", sum(texts, found));
}

/// Which files they are, and how much is wrong with them.
fn sum(texts: &[(&Path, &str)], found: &[Diagnostic]) -> String {
    let errors = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    let warnings = found.len() - errors;
    let mut counts = Vec::new();
    if errors > 0 {
        counts.push(paint(BAD, counted(errors, "error")));
    }
    if warnings > 0 {
        counts.push(paint(CARE, counted(warnings, "warning")));
    }
    let names: Vec<String> = texts.iter().map(|(path, _)| path.display().to_string()).collect();
    format!("{}: {}", names.join(" with "), counts.join(", "))
}

/// The text with the lines around a place cut to a width that people can read, and the place in it.
fn narrowed(text: &str, at: Option<Place>, widest: usize) -> (Cow<'_, str>, Option<Place>) {
    let Some(place) = at else { return (text.into(), at) };
    let near = |number: usize| number + 1 >= place.line && number <= place.line + 1;
    if !text.lines().enumerate().any(|(index, line)| near(index + 1) && line.len() > widest) {
        return (text.into(), at);
    }
    let before = BEFORE.min(widest * 3 / 8);
    let fits = place.column + place.length <= widest;
    let from = if fits { 0 } else { place.column.saturating_sub(1 + before) };
    let mut cut = String::new();
    for (index, line) in text.lines().enumerate() {
        let from = if index + 1 == place.line { from } else { 0 };
        match line {
            _ if near(index + 1) && line.chars().nth(widest).is_some() => {
                cut.extend((from > 0).then_some('…'));
                cut.extend(line.chars().skip(from).take(widest));
                cut.extend(line.chars().nth(from + widest).map(|_| '…'));
            }
            _ => cut.push_str(line),
        }
        cut.push('\n');
    }
    let long = text.lines().nth(place.line - 1).is_some_and(|line| line.chars().nth(widest).is_some());
    let column = if long && from > 0 { place.column - from + 1 } else { place.column };
    (cut.into(), Some(Place { column, length: place.length.min(widest - before), ..place }))
}

/// The report with the column as it is in the file, where a line was cut: `[cluster.yaml:1:62]`.
fn placed(shown: &str, cut: Option<Place>, real: Option<Place>) -> String {
    let Some((_, real)) = cut.zip(real).filter(|(cut, real)| cut.column != real.column) else {
        return shown.to_string();
    };
    let found = shown.find("─[").and_then(|start| Some((start, start + shown[start..].find('\n')?)));
    let Some((start, end)) = found else { return shown.to_string() };
    match shown[start..end].rsplit_once(':') {
        Some((before, _)) => format!("{}{before}:{}]{}", &shown[..start], real.column, &shown[end..]),
        None => shown.to_string(),
    }
}

fn report(path: &Path, text: &str, place_in_text: Option<Place>, diagnostic: &Diagnostic) -> Report {
    let weight = match diagnostic.severity {
        Severity::Error => Weight::Error,
        Severity::Warning => Weight::Warning,
    };
    let message = locked(&message(diagnostic));
    let mut shown = MietteDiagnostic::new(message).with_code(diagnostic.code.to_string()).with_severity(weight);
    if let Some(help) = &diagnostic.help {
        shown = shown.with_help(locked(help));
    }
    if let Some((from, length)) = place_in_text.and_then(|at| bytes(text, at)) {
        shown = shown.with_label(LabeledSpan::at(from..from + length, "here"));
    }
    Report::new(shown).with_source_code(NamedSource::new(path.display().to_string(), text.to_string()))
}

/// What is wrong, and with which part of the spec.
fn message(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.path.to_string();
    // Some messages name their place themselves.
    let named = place.is_empty() || diagnostic.message.contains(&place);
    let at = if named { String::new() } else { format!("{place}: ") };
    let message = format!("{at}{}", diagnostic.message);
    let end = message.char_indices().nth(4 * WIDEST).map(|(end, _)| end);
    end.map_or(message.clone(), |end| format!("{}…", &message[..end]))
}

/// A place's stretch in bytes.
fn bytes(text: &str, at: Place) -> Option<(usize, usize)> {
    let start: usize = text.split_inclusive('\n').take(at.line - 1).map(str::len).sum();
    let line = text.get(start..)?.lines().next().unwrap_or_default();
    let offset = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let (from, to) = (offset(at.column - 1), offset(at.column - 1 + at.length));
    Some((start + from, to.saturating_sub(from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_its_place() {
        let text = format!("a: 1\n{}here{}\nb: 2\n", "x".repeat(1000), "y".repeat(1000));
        let at = Place { file: 0, line: 2, column: 1001, length: 4 };
        let (cut, place) = narrowed(&text, Some(at), WIDEST);
        let line = cut.lines().nth(1).unwrap_or_default();
        assert!(line.starts_with("…x") && line.ends_with("y…") && line.chars().count() <= WIDEST + 2, "{line}");
        let (from, length) = bytes(&cut, place.unwrap_or(at)).unwrap_or_default();
        assert_eq!(&cut[from..from + length], "here");
        assert_eq!(placed("×\n ╭─[x.yaml:2:64]\n", place, Some(at)), "×\n ╭─[x.yaml:2:1001]\n");
        assert_eq!(narrowed("a: 1\n", Some(Place { file: 0, line: 1, column: 1, length: 1 }), WIDEST).0, "a: 1\n");
    }

    #[test]
    fn what_never_ends_is_not_read_to_its_end() {
        let error = bounded(Path::new("/dev/zero"), 1000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }
}
