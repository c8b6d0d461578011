//! YAML text in, JSON value and the place of every part of it out.
//!
//! The parser is `saphyr`'s; here its events become a tree. That is ours because two things are wanted that loaders do
//! not give together: the place of every key and value, and limits that make hostile text harmless.

mod layers;

use std::collections::BTreeMap;

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Number, Value};

use crate::codes;
use crate::diagnostic::{Diagnostic, Place, SpecPath};

pub use layers::{Environment, Layered, read_layered};

/// Longer texts are refused unread. A spec with 10,000 nodes one by one has half of it.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Deeper nesting is refused. The language itself goes 8 deep; chart values seldom more than 20.
const MAX_DEPTH: usize = 64;
/// More nodes after aliases are followed are refused, so that an alias bomb ends here.
const MAX_NODES: usize = 1_000_000;
/// So many bytes of a text that is repeated count as a node of their own: a long text is a bomb as well.
const NODE_BYTES: usize = 64;

/// Where each part of a value stands in the source text.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    places: BTreeMap<String, Places>,
}

#[derive(Clone, Copy, Debug)]
struct Places {
    key: Option<Place>,
    value: Place,
}

impl SourceMap {
    /// Where the value at this path stands; for a path that is not there, its nearest ancestor's key.
    pub fn place(&self, path: &SpecPath) -> Option<Place> {
        let mut path = path.clone();
        if let Some(places) = self.places.get(path.as_str()) {
            return Some(places.value);
        }
        loop {
            path = path.parent()?;
            if let Some(places) = self.places.get(path.as_str()) {
                return Some(places.key.unwrap_or(places.value));
            }
        }
    }

    /// Where the key of the value at this path stands.
    pub fn key_place(&self, path: &SpecPath) -> Option<Place> {
        self.places.get(path.as_str()).and_then(|places| places.key).or_else(|| self.place(path))
    }

    /// Gives diagnostics their places and sorts them by place.
    pub fn locate(&self, diagnostics: &mut [Diagnostic]) {
        for diagnostic in diagnostics.iter_mut() {
            if diagnostic.at.is_none() {
                diagnostic.at = self.place(&diagnostic.path);
            }
        }
        diagnostics.sort_by(|a, b| (a.at, a.code, &a.message).cmp(&(b.at, b.code, &b.message)));
    }
}

/// Reads one YAML document.
///
/// # Errors
///
/// All duplicate keys and refused parts at once; a syntax error ends the reading, so there is at most one of those.
pub fn read(text: &str) -> Result<(Value, SourceMap), Vec<Diagnostic>> {
    read_as(text, Words::Yaml12)
}

/// Reads one YAML document of others, as PyYAML does: `yes`, `no`, `on` and `off` are true and false, `<<` brings other keys in, and tags that nobody
/// here knows are kept. A value with one is a mapping of the tag to the value's text: `{"!vault": "…"}`.
///
/// # Errors
///
/// Those of [`read`].
pub fn read_foreign(text: &str) -> Result<(Value, SourceMap), Vec<Diagnostic>> {
    read_as(text, Words::Yaml11)
}

/// Which words stand for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Words {
    /// As our own files have it.
    #[default]
    Yaml12,
    /// As PyYAML has it: <https://yaml.org/type/bool.html>, of which it leaves out `y` and `n`.
    Yaml11,
}

fn read_as(text: &str, words: Words) -> Result<(Value, SourceMap), Vec<Diagnostic>> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, at most {MAX_BYTES} are read", text.len());
        return Err(vec![Diagnostic::new(codes::TOO_LARGE, SpecPath::root(), message)]);
    }
    let mut tree = Tree { words, ..Tree::default() };
    for item in Parser::new_from_str(text) {
        let stop = match item {
            Ok((event, span)) => tree.take(event, span).err(),
            Err(error) => Some(Box::new(syntax_error(text, &error))),
        };
        if let Some(diagnostic) = stop {
            tree.found.push(*diagnostic);
            return Err(tree.found);
        }
    }
    match tree.root {
        Some(value) if tree.found.is_empty() => Ok((value, tree.map)),
        None if tree.found.is_empty() => {
            let empty = Diagnostic::new(codes::EMPTY, SpecPath::root(), "the file holds nothing")
                .help("`kubewright init` writes a first file");
            Err(vec![empty])
        }
        _ => Err(tree.found),
    }
}

fn syntax_error(text: &str, error: &ScanError) -> Diagnostic {
    let marker = error.marker();
    let place = Place { file: 0, line: marker.line().max(1), column: marker.col() + 1, length: 1 };
    let line = text.lines().nth(place.line - 1).unwrap_or_default();
    let tab = line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
    let diagnostic = Diagnostic::new(codes::SYNTAX, SpecPath::root(), format!("this is not YAML: {}", error.info()));
    let diagnostic = match tab {
        true => diagnostic.help("the line is indented with a tab; YAML allows only spaces"),
        false => {
            diagnostic.help("look at the indentation, at missing `:` and at open quotes and brackets, here or above")
        }
    };
    diagnostic.at(place)
}

/// A container that is being filled.
enum Open {
    Mapping { path: SpecPath, anchor: usize, map: Map<String, Value>, key: Option<(String, Place)> },
    Sequence { path: SpecPath, anchor: usize, items: Vec<Value> },
}

/// What aliases repeat, how many nodes that counts each time, and how many levels it has.
#[derive(Clone)]
struct Repeated {
    value: Value,
    size: usize,
    depth: usize,
}

#[derive(Default)]
struct Tree {
    words: Words,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Repeated>,
    nodes: usize,
    documents: usize,
    root: Option<Value>,
    map: SourceMap,
    found: Vec<Diagnostic>,
}

type Stop = Result<(), Box<Diagnostic>>;

impl Tree {
    fn take(&mut self, event: Event<'_>, span: Span) -> Stop {
        let place = place_of(span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a second document starts here; a file describes one cluster";
                    return Err(self.refuse(codes::SECOND_DOCUMENT, place, message));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, place)?;
                if self.wants_key() {
                    let Some(Open::Mapping { key, .. }) = self.open.last_mut() else { return Ok(()) };
                    *key = Some((text.into_owned(), place));
                    return Ok(());
                }
                let foreign = (self.words == Words::Yaml11).then(|| foreign(&text, style, tag.as_deref())).flatten();
                let value = match foreign
                    .map(Some)
                    .unwrap_or_else(|| Scalar::parse_from_cow_and_metadata(text, style, tag.as_ref()).map(json))
                {
                    Some(value) => value,
                    None => return Err(self.refuse(codes::TAG, place, "the value does not fit its YAML tag")),
                };
                self.put(value, anchor, place);
                Ok(())
            }
            Event::MappingStart(anchor, _) => {
                let open = Open::Mapping { path: self.next_path(), anchor, map: Map::new(), key: None };
                self.start(open, place)
            }
            Event::SequenceStart(anchor, _) => {
                let open = Open::Sequence { path: self.next_path(), anchor, items: Vec::new() };
                self.start(open, place)
            }
            Event::MappingEnd | Event::SequenceEnd => {
                match self.open.pop() {
                    Some(Open::Mapping { anchor, map, .. }) => {
                        let map = if self.words == Words::Yaml11 { merged(map) } else { map };
                        self.put_closed(Value::Object(map), anchor);
                    }
                    Some(Open::Sequence { anchor, items, .. }) => self.put_closed(Value::Array(items), anchor),
                    None => {}
                }
                Ok(())
            }
            Event::Alias(anchor) => {
                let Some(Repeated { value, size, depth }) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.refuse(codes::ALIAS, place, "the alias stands inside of what it repeats"));
                };
                if self.wants_key() {
                    return Err(self.refuse(codes::ALIAS, place, "an alias cannot be a key"));
                }
                self.count(size, place)?;
                self.deepen(depth, place)?;
                self.put(value, 0, place);
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn refuse(&self, code: codes::Code, place: Place, message: &str) -> Box<Diagnostic> {
        Box::new(Diagnostic::new(code, self.next_path(), message).at(place))
    }

    fn count(&mut self, more: usize, place: Place) -> Stop {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            let message = format!("with its aliases followed, the file has more than {MAX_NODES} values");
            return Err(self.refuse(codes::TOO_LARGE, place, &message));
        }
        Ok(())
    }

    fn deepen(&self, levels: usize, place: Place) -> Stop {
        if self.open.len() + levels > MAX_DEPTH {
            let message = format!("the file is nested more than {MAX_DEPTH} levels deep");
            return Err(self.refuse(codes::TOO_DEEP, place, &message));
        }
        Ok(())
    }

    fn start(&mut self, open: Open, place: Place) -> Stop {
        self.count(1, place)?;
        if self.wants_key() {
            return Err(self.refuse(codes::KEY, place, "a key must be plain text"));
        }
        self.deepen(1, place)?;
        let path = match &open {
            Open::Mapping { path, .. } | Open::Sequence { path, .. } => path.clone(),
        };
        let place = self.current_key().unwrap_or(place);
        self.map.places.insert(path.as_str().to_string(), Places { key: self.current_key(), value: place });
        self.open.push(open);
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Mapping { key: None, .. }))
    }

    fn current_key(&self) -> Option<Place> {
        match self.open.last() {
            Some(Open::Mapping { key: Some((_, place)), .. }) => Some(*place),
            _ => None,
        }
    }

    /// The path of the value that comes next.
    fn next_path(&self) -> SpecPath {
        match self.open.last() {
            None => SpecPath::root(),
            Some(Open::Mapping { path, key: Some((key, _)), .. }) => path.then(key),
            Some(Open::Mapping { path, key: None, .. }) => path.clone(),
            Some(Open::Sequence { path, items, .. }) => path.then(items.len()),
        }
    }

    fn put(&mut self, value: Value, anchor: usize, place: Place) {
        let path = self.next_path();
        self.map.places.insert(path.as_str().to_string(), Places { key: self.current_key(), value: place });
        self.put_closed(value, anchor);
    }

    fn put_closed(&mut self, value: Value, anchor: usize) {
        if anchor > 0 {
            let (size, depth) = (size_of(&value), depth_of(&value));
            self.anchors.insert(anchor, Repeated { value: value.clone(), size, depth });
        }
        self.attach(value);
    }

    fn attach(&mut self, value: Value) {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::Sequence { items, .. }) => items.push(value),
            Some(Open::Mapping { path, map, key, .. }) => {
                let Some((name, place)) = key.take() else { return };
                if map.contains_key(&name) {
                    let message = format!("`{name}` stands here a second time");
                    let twice = Diagnostic::new(codes::DUPLICATE_KEY, path.then(&name), message)
                        .help("YAML keeps only one of the two; join them")
                        .at(place);
                    self.found.push(twice);
                } else {
                    map.insert(name, value);
                }
            }
        }
    }
}

fn place_of(span: Span) -> Place {
    let (start, end) = (span.start, span.end);
    let length = if start.line() == end.line() { end.col().saturating_sub(start.col()) } else { 1 };
    Place { file: 0, line: start.line().max(1), column: start.col() + 1, length: length.max(1) }
}

/// What PyYAML makes of a value that YAML 1.2 takes for something else.
fn foreign(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<Value> {
    match tag.filter(|tag| !tag.is_yaml_core_schema()) {
        Some(tag) => Some(serde_json::json!({ tag.to_string(): text })),
        None if style != ScalarStyle::Plain || tag.is_some() => None,
        None => match text {
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(Value::Bool(true)),
            "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(Value::Bool(false)),
            _ => None,
        },
    }
}

/// A mapping with what `<<` brings into it; its own keys go first. <https://yaml.org/type/merge.html>
fn merged(mut map: Map<String, Value>) -> Map<String, Value> {
    let brought = match map.shift_remove("<<") {
        None => return map,
        Some(Value::Array(several)) => several,
        Some(one) => vec![one],
    };
    for (key, value) in
        brought.into_iter().filter_map(|it| if let Value::Object(it) = it { Some(it) } else { None }).flatten()
    {
        map.entry(key).or_insert(value);
    }
    map
}

fn json(scalar: Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(yes) => Value::Bool(yes),
        Scalar::Integer(number) => Value::Number(number.into()),
        Scalar::FloatingPoint(number) => Number::from_f64(number.into_inner()).map_or(Value::Null, Value::Number),
        Scalar::String(text) => Value::String(text.into_owned()),
    }
}

/// How many nodes a value counts when it is repeated.
fn size_of(value: &Value) -> usize {
    let text = |text: &str| 1 + text.len() / NODE_BYTES;
    match value {
        Value::Array(items) => 1 + items.iter().map(size_of).sum::<usize>(),
        Value::Object(map) => 1 + map.iter().map(|(key, value)| text(key) + size_of(value)).sum::<usize>(),
        Value::String(known) => text(known),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

/// How many levels of lists and mappings a value has.
fn depth_of(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(items) => items.iter().map(depth_of).max(),
        Value::Object(map) => map.values().map(depth_of).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 0,
    };
    1 + deepest.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes_of(text: &str) -> Vec<codes::Code> {
        read(text).map(|_| Vec::new()).unwrap_or_else(|found| found.into_iter().map(|d| d.code).collect())
    }

    #[test]
    fn values_and_places() {
        let (value, map) = read("a:\n  b: [1, no, 'x']\n").unwrap();
        assert_eq!(value, serde_json::json!({"a": {"b": [1, "no", "x"]}}));
        let place = map.place(&SpecPath::pointer("/a/b/1")).unwrap();
        assert_eq!((place.line, place.column, place.length), (2, 10, 2));
        assert_eq!(map.key_place(&SpecPath::pointer("/a/b")).unwrap().column, 3);
    }

    #[test]
    fn texts_of_others_keep_their_words() {
        let text = "a: yes\nb: 'yes'\nc: !vault |\n  $ANSIBLE_VAULT;1.1\nd: 1.31\n";
        let (value, _) = read_foreign(text).unwrap();
        let vault = serde_json::json!({ "!vault": "$ANSIBLE_VAULT;1.1\n" });
        assert_eq!(value, serde_json::json!({ "a": true, "b": "yes", "c": vault, "d": 1.31 }));
        assert_eq!(read("a: yes\n").unwrap().0["a"], "yes");
        let (value, _) = read_foreign("a: &a { b: 1, c: 2 }\nd: { c: 3, <<: *a }\n").unwrap();
        assert_eq!(value["d"], serde_json::json!({ "c": 3, "b": 1 }));
    }

    #[test]
    fn hostile_texts_end_soon() {
        assert_eq!(codes_of("a: 1\nb: 2\na: 3\nb: 4\n"), [codes::DUPLICATE_KEY, codes::DUPLICATE_KEY]);
        assert_eq!(codes_of("a:\n\tb: 1\n"), [codes::SYNTAX]);
        let deep: String = (0..100).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        assert_eq!(codes_of(&deep), [codes::TOO_DEEP]);
        assert_eq!(codes_of(&"[".repeat(100_000)).len(), 1);
        assert_eq!(codes_of(""), [codes::EMPTY]);
        assert_eq!(codes_of("a: 1\n---\nb: 2\n"), [codes::SECOND_DOCUMENT]);
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(","));
        }
        assert_eq!(codes_of(&bomb), [codes::TOO_LARGE]);
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 1000].join(","));
        assert_eq!(codes_of(&long), [codes::TOO_LARGE]);
        let chain: String = (1..100).map(|level| format!("a{level}: &a{level} [*a{}]\n", level - 1)).collect();
        assert_eq!(codes_of(&format!("a0: &a0 [x]\n{chain}")), [codes::TOO_DEEP]);
    }
}
