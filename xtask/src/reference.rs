//! The reference pages. Markdown is written by the library that reads it, so nothing is escaped by hand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use kubewright_model::codes::INDEX;
use kubewright_model::doctor::INDEX as CHECKS;
use kubewright_model::spec::schema;
use pulldown_cmark::{Alignment, CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Tag, TagEnd};
use serde_json::Value;

/// A page in the making.
#[derive(Default)]
struct Page<'a> {
    events: Vec<Event<'a>>,
}

impl<'a> Page<'a> {
    fn wrap(&mut self, tag: Tag<'a>, inner: impl FnOnce(&mut Self)) {
        let end = TagEnd::from(tag.clone());
        self.events.push(Event::Start(tag));
        inner(self);
        self.events.push(Event::End(end));
    }

    fn heading(&mut self, level: HeadingLevel, text: impl Into<CowStr<'a>>) {
        let text = text.into();
        self.wrap(Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() }, |page| page.text(text));
    }

    fn paragraph(&mut self, text: impl Into<CowStr<'a>>) {
        let text = text.into();
        self.wrap(Tag::Paragraph, |page| page.inline(text));
    }

    /// Text in which pairs of backticks make code.
    fn inline(&mut self, text: impl Into<CowStr<'a>>) {
        let text: String = text.into().into_string();
        for (i, part) in text.split('`').enumerate().filter(|(_, part)| !part.is_empty()) {
            let part = CowStr::from(part.to_string());
            self.events.push(if i % 2 == 1 { Event::Code(part) } else { Event::Text(part) });
        }
    }

    fn text(&mut self, text: impl Into<CowStr<'a>>) {
        self.events.push(Event::Text(text.into()));
    }

    fn code_block(&mut self, text: String) {
        self.wrap(Tag::CodeBlock(CodeBlockKind::Fenced("text".into())), |page| page.text(text));
    }

    fn link(&mut self, to: String, text: String) {
        let tag = Tag::Link { link_type: LinkType::Inline, dest_url: to.into(), title: "".into(), id: "".into() };
        self.wrap(tag, |page| page.text(text));
    }

    fn table<const N: usize>(&mut self, head: [&'static str; N], rows: Vec<[Cell; N]>) {
        self.wrap(Tag::Table(vec![Alignment::None; N]), |page| {
            page.wrap(Tag::TableHead, |page| {
                for title in head {
                    page.wrap(Tag::TableCell, |page| page.text(title));
                }
            });
            for row in rows {
                page.wrap(Tag::TableRow, |page| {
                    for cell in row {
                        page.wrap(Tag::TableCell, |page| match cell {
                            Cell::Text(text) => page.inline(text),
                            Cell::Code(text) => page.events.push(Event::Code(text.into())),
                            Cell::Link(to, text) => page.link(to, text),
                            Cell::Empty => {}
                        });
                    }
                });
            }
        });
    }

    fn write(self) -> anyhow::Result<String> {
        let mut text = String::new();
        pulldown_cmark_to_cmark::cmark(self.events.iter(), &mut text, pulldown_cmark::Options::ENABLE_TABLES)?;
        text.push('\n');
        Ok(text)
    }
}

enum Cell {
    Text(String),
    Code(String),
    Link(String, String),
    Empty,
}

/// The spec reference: one section for each type, in the order in which a reader meets them.
pub(crate) fn spec(root: &Value) -> anyhow::Result<String> {
    let mut page = Page::default();
    page.heading(HeadingLevel::H1, "The cluster file");
    page.paragraph("Every field of the language. This page is generated from the types; `kubewright schema` prints the JSON Schema.");
    section(&mut page, "ClusterFile", root);
    let mut seen = BTreeSet::new();
    let mut open: Vec<String> = named_in(root);
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(definition) = root.pointer(&format!("/$defs/{name}")) else { bail!("{name} is not defined") };
        section(&mut page, &name, definition);
        open.extend(named_in(definition));
    }
    page.write()
}

/// The types that a type's fields name, last first.
fn named_in(schema: &Value) -> Vec<String> {
    let mut names: Vec<String> = properties(schema).filter_map(|(_, field)| reference_of(field)).collect();
    names.reverse();
    names
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// The type that a field, or the entries of a field, is of.
fn reference_of(field: &Value) -> Option<String> {
    let own = field.get("$ref").and_then(Value::as_str).and_then(|to| to.rsplit('/').next()).map(str::to_string);
    own.or_else(|| ["items", "additionalProperties"].iter().find_map(|inner| reference_of(field.get(*inner)?)))
}

fn section(page: &mut Page<'_>, name: &str, schema: &Value) {
    page.heading(HeadingLevel::H2, name.to_string());
    if let Some(text) = schema.get("description").and_then(Value::as_str) {
        page.paragraph(text.replace('\n', " "));
    }
    let words = schema::words(schema);
    if !words.is_empty() {
        let rows =
            words.into_iter().map(|word| [Cell::Code(word.into()), Cell::Text(word_text(schema, word))]).collect();
        page.table(["word", "meaning"], rows);
    }
    let required: BTreeSet<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let rows: Vec<_> = properties(schema)
        .map(|(field, described)| {
            let text = described.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
            [
                Cell::Code(field.clone()),
                kind(described),
                standard(described, required.contains(field.as_str())),
                Cell::Text(text),
            ]
        })
        .collect();
    if !rows.is_empty() {
        page.table(["field", "type", "default", "meaning"], rows);
    }
}

fn word_text(schema: &Value, word: &str) -> String {
    let options = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    options
        .filter(|option| option.get("const").and_then(Value::as_str) == Some(word))
        .find_map(|option| option.get("description").and_then(Value::as_str))
        .unwrap_or_default()
        .replace('\n', " ")
}

fn kind(field: &Value) -> Cell {
    let named = reference_of(field);
    let outer = field.get("type").and_then(Value::as_str);
    match (named, outer) {
        (Some(name), outer) => {
            let text = match outer {
                Some("array") => format!("list of {name}"),
                Some("object") => format!("map of {name}"),
                _ => name.clone(),
            };
            Cell::Link(format!("#{}", name.to_lowercase()), text)
        }
        (None, Some("array")) => {
            let inner = field.get("items").map(plain_kind).unwrap_or_default();
            Cell::Text(format!("list of {inner}"))
        }
        (None, _) => Cell::Text(plain_kind(field)),
    }
}

fn plain_kind(field: &Value) -> String {
    let format = field.get("format").and_then(Value::as_str).filter(|format| !format.starts_with("uint"));
    match (format, field.get("type").and_then(Value::as_str)) {
        (Some(format), _) => format.replace('-', " "),
        (None, Some("string")) => "text".into(),
        (None, Some("integer")) => "number".into(),
        (None, Some("boolean")) => "true or false".into(),
        (None, Some("object")) => "map".into(),
        (None, _) => "anything".into(),
    }
}

fn standard(field: &Value, required: bool) -> Cell {
    match field.get("default") {
        _ if required => Cell::Text("(must be given)".into()),
        Some(value) if !value.is_object() && value.as_array().is_none_or(|list| !list.is_empty()) => {
            Cell::Code(value.as_str().map_or_else(|| value.to_string(), str::to_string))
        }
        Some(_) | None => Cell::Empty,
    }
}

/// The error index.
pub(crate) fn errors() -> anyhow::Result<String> {
    let mut page = Page::default();
    page.heading(HeadingLevel::H1, "What can be wrong with a cluster file");
    page.paragraph("Every diagnostic has a code. `kubewright explain CODE` shows the same text.");
    for entry in INDEX {
        page.heading(HeadingLevel::H2, format!("{}: {}", entry.code, entry.title));
        let severity = match entry.severity {
            kubewright_model::diagnostic::Severity::Error => "Error.",
            kubewright_model::diagnostic::Severity::Warning => "Warning.",
        };
        page.paragraph(format!("{severity} {}", entry.text));
    }
    page.write()
}

/// The checks of doctor.
pub(crate) fn doctor() -> anyhow::Result<String> {
    let mut page = Page::default();
    page.heading(HeadingLevel::H1, "What doctor looks for");
    page.paragraph(
        "Every check has a name that never changes its meaning. `kubewright explain NAME` shows the same text.",
    );
    for (at, entry) in CHECKS.iter().enumerate() {
        if at == 0 || CHECKS[at - 1].layer != entry.layer {
            page.heading(HeadingLevel::H2, format!("Layer: {}", entry.layer));
        }
        page.heading(HeadingLevel::H3, format!("{}: {}", entry.id, entry.title));
        page.paragraph(entry.text);
        page.paragraph(format!("It looks at {}.", entry.looks_at));
    }
    page.write()
}

/// Builds kubewright and returns where it is.
pub(crate) fn program(root: &Path) -> anyhow::Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "kubewright-cli"])
        .current_dir(root)
        .status()?;
    if !status.success() {
        bail!("the program does not build");
    }
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root).no_deps().exec()?;
    Ok(metadata.target_directory.join("debug/kubewright").into_std_path_buf())
}

/// What the dashboard's HTTP API is, as the program prints it.
pub(crate) fn openapi(program: &Path) -> anyhow::Result<String> {
    let output = Command::new(program).args(["serve", "--openapi"]).output()?;
    Ok(String::from_utf8(output.stdout)?)
}

/// The help of every command, as the program prints it.
pub(crate) fn cli(program: &Path) -> anyhow::Result<String> {
    let help = |arguments: &[&str]| -> anyhow::Result<String> {
        let output = Command::new(program)
            .args(arguments)
            .env("NO_COLOR", "1")
            .env("COLUMNS", "100")
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        Ok(String::from_utf8(output.stdout)?)
    };
    let mut page = Page::default();
    page.heading(HeadingLevel::H1, "The commands");
    page.paragraph("What `kubewright help` prints for each command.");
    let overview = help(&["--help"])?;
    let commands = commands(&overview);
    page.code_block(overview);
    for command in commands {
        page.heading(HeadingLevel::H2, format!("kubewright {command}"));
        let text = help(&["help", &command])?;
        let below = self::commands(&text);
        page.code_block(text);
        for wish in below {
            page.heading(HeadingLevel::H3, format!("kubewright {command} {wish}"));
            page.code_block(help(&["help", &command, &wish])?);
        }
    }
    page.write()
}

/// The commands that a help lists.
fn commands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_string))
        .filter(|command| command != "help")
        .collect()
}
