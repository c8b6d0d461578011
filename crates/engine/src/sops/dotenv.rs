//! Lines of `NAME=value` as SOPS reads and writes them (`stores/dotenv/store.go`, `stores/flatten.go`, 3.11): no quotes, a
//! line's end inside a value as `\n`, and the metadata in lines of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::Fault;
use super::tree::{Branch, Part, Value, pairs, values};

/// What the names of metadata begin with.
const PREFIX: &str = "sops_";
const MAP: &str = "__map_";
const LIST: &str = "__list_";
/// More entries of a list are none of a person's.
const LONGEST_LIST: usize = 1000;

/// All lines, those of the metadata among them. A line that is none is told by its number alone.
pub(crate) fn read(text: &str) -> Result<Branch, Vec<Fault>> {
    let (mut branch, mut faults, mut names) = (Branch::new(), Vec::new(), BTreeSet::new());
    for (line, number) in text.split('\n').zip(1..) {
        if let Some(comment) = line.strip_prefix('#') {
            branch.push(Part::Comment(comment.to_string()));
        } else if let Some((name, value)) = line.split_once('=') {
            if !names.insert(name) {
                faults.push(Fault::new(number, format!("`{name}` stands twice")));
            }
            branch.push(Part::Is((name.to_string(), Value::Text(value.replace("\\n", "\n")))));
        } else if !line.is_empty() {
            faults.push(Fault::new(number, "a line is `NAME=value`, or a comment that begins with `#`".into()));
        }
    }
    if faults.is_empty() { Ok(branch) } else { Err(faults) }
}

/// Lines, or the name of the value that does not fit into one.
pub(crate) fn write(branch: &Branch) -> Result<String, String> {
    let mut out = String::new();
    for part in branch {
        match part {
            Part::Comment(text) => out.push_str(&format!("#{text}\n")),
            Part::Is((name, value)) => {
                let text =
                    value.text().ok_or_else(|| format!("`{name}` is {}, and a line holds only text", value.kind()))?;
                out.push_str(&format!("{name}={}\n", text.replace('\n', "\\n")));
            }
        }
    }
    Ok(out)
}

/// Whether a name is one of the metadata.
pub(crate) fn is_metadata(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Metadata as values of lines, sorted by their names.
pub(crate) fn flat(metadata: &Branch) -> Branch {
    let mut lines = BTreeMap::new();
    for (key, value) in pairs(metadata) {
        flatten(format!("{PREFIX}{key}"), value, &mut lines);
    }
    lines.into_iter().map(|(name, text)| Part::Is((name, Value::Text(text)))).collect()
}

fn flatten(name: String, value: &Value, lines: &mut BTreeMap<String, String>) {
    match value {
        Value::Map(branch) => pairs(branch).for_each(|(key, value)| flatten(format!("{name}{MAP}{key}"), value, lines)),
        Value::List(parts) => {
            values(parts).enumerate().for_each(|(index, value)| flatten(format!("{name}{LIST}{index}"), value, lines))
        }
        Value::Null => {}
        value => drop(lines.insert(name, value.text().unwrap_or_default())),
    }
}

/// Metadata from the lines of a file.
pub(crate) fn nested(lines: &Branch) -> Branch {
    let mut metadata = Branch::new();
    for (name, value) in pairs(lines) {
        if let Some(name) = name.strip_prefix(PREFIX) {
            put(&mut metadata, name, value.clone());
        }
    }
    metadata
}

/// Puts a value at the place that its name says: `age__list_0__map_enc`.
fn put(branch: &mut Branch, name: &str, value: Value) {
    let end = [name.find(MAP), name.find(LIST)].into_iter().flatten().min().unwrap_or(name.len());
    let (key, rest) = name.split_at(end);
    if !pairs(branch).any(|(there, _)| there == key) {
        let empty = if rest.starts_with(LIST) { Value::List(Vec::new()) } else { Value::Map(Branch::new()) };
        branch.push(Part::Is((key.to_string(), if rest.is_empty() { Value::Null } else { empty })));
    }
    let there = branch.iter_mut().find_map(|part| match part {
        Part::Is((there, value)) if there == key => Some(value),
        _ => None,
    });
    there.into_iter().for_each(|there| put_in(there, rest, value.clone()));
}

fn put_in(there: &mut Value, rest: &str, value: Value) {
    if rest.is_empty() {
        *there = value;
    } else if let Some(name) = rest.strip_prefix(MAP) {
        if !matches!(there, Value::Map(_)) {
            *there = Value::Map(Branch::new());
        }
        if let Value::Map(branch) = there {
            put(branch, name, value);
        }
    } else if let Some(rest) = rest.strip_prefix(LIST) {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let Some(index) = rest[..end].parse::<usize>().ok().filter(|index| *index < LONGEST_LIST) else { return };
        if !matches!(there, Value::List(_)) {
            *there = Value::List(Vec::new());
        }
        if let Value::List(parts) = there {
            parts.resize_with(parts.len().max(index + 1), || Part::Is(Value::Null));
            if let Some(Part::Is(entry)) = parts.get_mut(index) {
                put_in(entry, &rest[end..], value);
            }
        }
    }
}
