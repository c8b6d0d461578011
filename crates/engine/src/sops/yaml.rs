//! YAML, read with its comments: the parser is saphyr's, and what lies between its events and begins with `#` is a comment.
//!
//! Comments stand where SOPS has them: before the value that they are about, or at the end of a mapping or list. One at the
//! end of a line goes before what the line says.

mod words;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::source::MAX_BYTES;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

pub(crate) use self::write::write;
use super::Fault;
use super::tree::{Branch, Part, Value};

/// Deeper nesting is refused; no file of secrets is nested so deep.
const MAX_DEPTH: usize = 64;
/// More values after aliases are followed are refused, so that an alias bomb ends here.
const MAX_VALUES: usize = 100_000;

/// The documents of a text, or everything that is wrong with it. A syntax error ends the reading.
pub(crate) fn read(text: &str) -> Result<Vec<Branch>, Vec<Fault>> {
    if text.len() > MAX_BYTES {
        return Err(vec![Fault::new(0, format!("it has {} bytes, at most {MAX_BYTES} are read", text.len()))]);
    }
    let mut reader = Reader { comments: Comments::of(text), ..Reader::default() };
    for item in Parser::new_from_str(text) {
        let taken = match item {
            Ok((event, span)) => reader.take(event, span),
            Err(error) => Err(Fault::new(error.marker().line().max(1), format!("this is not YAML: {}", error.info()))),
        };
        if let Err(fault) = taken {
            reader.faults.push(fault);
            return Err(reader.faults);
        }
    }
    if reader.faults.is_empty() { Ok(reader.documents) } else { Err(reader.faults) }
}

/// A comment.
struct Comment {
    line: usize,
    column: usize,
    text: String,
    /// Nothing else stands in its line.
    alone: bool,
}

/// The text between events.
#[derive(Default)]
struct Comments {
    text: Vec<char>,
    /// How far it has been looked through.
    at: usize,
    line: usize,
    column: usize,
    /// Something else than white space stands in this line so far.
    begun: bool,
}

impl Comments {
    fn of(text: &str) -> Self {
        Self { text: text.chars().collect(), line: 1, ..Self::default() }
    }

    /// One character on.
    fn step(&mut self) {
        match self.text.get(self.at) {
            Some('\n') => (self.line, self.column, self.begun) = (self.line + 1, 0, false),
            Some(c) => {
                self.column += 1;
                self.begun |= !c.is_whitespace();
            }
            None => {}
        }
        self.at += 1;
    }

    /// The comments up to an event; the event itself is gone past.
    fn until(&mut self, span: Span) -> Vec<Comment> {
        let mut found = Vec::new();
        while self.at < span.start.index().min(self.text.len()) {
            let before = self.at.checked_sub(1).and_then(|at| self.text.get(at));
            if self.text[self.at] != '#' || !before.is_none_or(|c| c.is_whitespace()) {
                self.step();
                continue;
            }
            let text: String = self.text[self.at + 1..].iter().take_while(|c| **c != '\n').collect();
            let text = text.trim_end_matches('\r').to_string();
            found.push(Comment { line: self.line, column: self.column, text, alone: !self.begun });
            while self.text.get(self.at).is_some_and(|c| *c != '\n') {
                self.step();
            }
        }
        while self.at < span.end.index().min(self.text.len()) {
            self.step();
        }
        found
    }
}

/// A container that is being filled.
enum Open {
    Map { branch: Branch, keys: BTreeSet<String>, key: Option<String>, column: usize, anchor: usize },
    List { parts: Vec<Part<Value>>, column: usize, anchor: usize },
}

#[derive(Default)]
struct Reader {
    comments: Comments,
    /// Comments that nothing has come after yet.
    waiting: Vec<Comment>,
    open: Vec<Open>,
    /// What aliases repeat, and how many values that counts each time.
    anchors: BTreeMap<usize, (Value, usize)>,
    count: usize,
    /// The line in which the last value ended.
    last: usize,
    document: Option<Value>,
    documents: Vec<Branch>,
    faults: Vec<Fault>,
}

type Taken = Result<(), Fault>;

impl Reader {
    fn take(&mut self, event: Event<'_>, span: Span) -> Taken {
        for comment in self.comments.until(span) {
            if comment.alone || comment.line != self.last || !self.before_last(&comment.text) {
                self.waiting.push(comment);
            }
        }
        let (line, column) = (span.start.line(), span.start.col());
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), span),
            Event::MappingStart(anchor, tag) => {
                let open = Open::Map { branch: Branch::new(), keys: BTreeSet::new(), key: None, column, anchor };
                self.start(open, tag.as_deref(), line)
            }
            Event::SequenceStart(anchor, tag) => {
                self.start(Open::List { parts: Vec::new(), column, anchor }, tag.as_deref(), line)
            }
            Event::MappingEnd | Event::SequenceEnd => self.end(span),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some((value, size)) => {
                    self.counted(size, line)?;
                    self.put(value, 0, size, span)
                }
                None => Err(Fault::new(line, "an alias of something that is not there yet".into())),
            },
            Event::DocumentEnd => {
                let branch = match self.document.take() {
                    Some(Value::Map(branch)) => Some(branch),
                    None | Some(Value::Null) => Some(Branch::new()),
                    Some(_) => None,
                };
                let mut branch = branch
                    .ok_or_else(|| Fault::new(line, "a document of SOPS is a mapping, and this is none".into()))?;
                branch.extend(self.waiting.drain(..).map(|comment| Part::Comment(comment.text)));
                self.documents.push(branch);
                Ok(())
            }
            Event::StreamEnd => {
                if let Some(last) = self.documents.last_mut() {
                    last.extend(self.waiting.drain(..).map(|comment| Part::Comment(comment.text)));
                }
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => Ok(()),
        }
    }

    fn counted(&mut self, size: usize, line: usize) -> Taken {
        self.count += size;
        if self.count > MAX_VALUES {
            return Err(Fault::new(line, format!("it has more than {MAX_VALUES} values, aliases followed")));
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, tag: Option<&Tag>, span: Span) -> Taken {
        let line = span.start.line();
        self.counted(1, line)?;
        let value = match (tag, style) {
            (Some(tag), _) if tag.to_string() == "!" || (tag.is_yaml_core_schema() && tag.suffix == "str") => {
                Ok(Value::Text(text.into()))
            }
            (Some(tag), _) if !tag.is_yaml_core_schema() || tag.suffix == "binary" => {
                Err(format!("SOPS keeps no tags, so `{tag}` would be lost"))
            }
            (_, ScalarStyle::Plain) => words::resolve(text),
            _ => Ok(Value::Text(text.into())),
        };
        let value = value.unwrap_or_else(|why| {
            self.faults.push(Fault::new(line, why));
            Value::Null
        });
        if let Some(Open::Map { branch, keys, key, .. }) = self.open.last_mut()
            && key.is_none()
        {
            branch.extend(self.waiting.drain(..).map(|comment| Part::Comment(comment.text)));
            let Value::Text(name) = value else {
                self.faults.push(Fault::new(
                    line,
                    format!("the key `{text}` is {}, and keys are text: quote it", value.kind()),
                ));
                *key = Some(text.to_string());
                return Ok(());
            };
            if !keys.insert(name.clone()) {
                self.faults.push(Fault::new(line, format!("the key `{name}` stands twice in one mapping")));
            }
            *key = Some(name);
            return Ok(());
        }
        self.put(value, anchor, 1, span)
    }

    fn start(&mut self, open: Open, tag: Option<&Tag>, line: usize) -> Taken {
        self.counted(1, line)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(Fault::new(line, format!("it is nested deeper than {MAX_DEPTH} levels")));
        }
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            self.faults.push(Fault::new(line, format!("SOPS keeps no tags, so `{tag}` would be lost")));
        }
        match self.open.last_mut() {
            Some(Open::Map { key: None, .. }) => return Err(Fault::new(line, "a key is plain text".into())),
            // Comments before an entry are the list's.
            Some(Open::List { parts, .. }) => {
                parts.extend(self.waiting.drain(..).map(|comment| Part::Comment(comment.text)));
            }
            _ => {}
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self, span: Span) -> Taken {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        let column = match &open {
            Open::Map { column, .. } | Open::List { column, .. } => *column,
        };
        let inside = self.waiting.iter().take_while(|comment| comment.column >= column).count();
        let inside = self.waiting.drain(..inside).map(|comment| comment.text);
        match &mut open {
            Open::Map { branch, .. } => branch.extend(inside.map(Part::Comment)),
            Open::List { parts, .. } => parts.extend(inside.map(Part::Comment)),
        }
        let (value, anchor) = match open {
            Open::Map { branch, anchor, .. } => (Value::Map(branch), anchor),
            Open::List { parts, anchor, .. } => (Value::List(parts), anchor),
        };
        let size = if anchor == 0 { 1 } else { size(&value) };
        // A block ends where the next thing begins, which is not in its last line.
        let last = self.last;
        self.put(value, anchor, size, span)?;
        if span.is_empty() {
            self.last = last;
        }
        Ok(())
    }

    fn put(&mut self, value: Value, anchor: usize, size: usize, span: Span) -> Taken {
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), size));
        }
        self.last = span.end.line();
        match self.open.last_mut() {
            None => {
                self.document = Some(value);
                Ok(())
            }
            // What waits when a mapping or a list ends stands after it.
            Some(Open::List { parts, .. }) => {
                if !holds(&value) {
                    parts.extend(self.waiting.drain(..).map(|comment| Part::Comment(comment.text)));
                }
                parts.push(Part::Is(value));
                Ok(())
            }
            Some(Open::Map { branch, key, .. }) => {
                let Some(key) = key.take() else {
                    return Err(Fault::new(span.start.line(), "a key is plain text".into()));
                };
                // What stands between a key and its value is before both.
                if !holds(&value) {
                    branch.extend(self.waiting.drain(..).map(|comment| Part::Comment(comment.text)));
                }
                branch.push(Part::Is((key, value)));
                Ok(())
            }
        }
    }

    /// Puts a comment before the last value of the container that is open.
    fn before_last(&mut self, text: &str) -> bool {
        let comment = text.to_string();
        match self.open.last_mut() {
            Some(Open::Map { branch, key: None, .. }) if matches!(branch.last(), Some(Part::Is(_))) => {
                branch.insert(branch.len() - 1, Part::Comment(comment));
                true
            }
            Some(Open::List { parts, .. }) if matches!(parts.last(), Some(Part::Is(_))) => {
                parts.insert(parts.len() - 1, Part::Comment(comment));
                true
            }
            _ => false,
        }
    }
}

/// Whether it is a mapping or a list.
fn holds(value: &Value) -> bool {
    matches!(value, Value::Map(_) | Value::List(_))
}

/// How many values a value holds, with itself.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Map(branch) => super::tree::pairs(branch).map(|(_, value)| size(value)).sum(),
        Value::List(parts) => super::tree::values(parts).map(size).sum(),
        _ => 0,
    }
}
