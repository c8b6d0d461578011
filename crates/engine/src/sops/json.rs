//! JSON as SOPS reads and writes it (`stores/json/store.go`, 3.11): in order, every number a floating one, indented by tabs.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Fault;
use super::tree::{Branch, Part, Value, decimal};

/// The mapping of a text.
pub(crate) fn read(text: &str) -> Result<Branch, Vec<Fault>> {
    let read: Result<Read, _> = serde_json::from_str(text);
    match read {
        Ok(Read(Value::Map(branch))) => Ok(branch),
        Ok(Read(value)) => {
            Err(vec![Fault::new(1, format!("a file of SOPS is a mapping, and this is {}", value.kind()))])
        }
        // What serde says may repeat a value, so only its place and kind are told.
        Err(error) => {
            let why = if error.is_data() { error.to_string() } else { "this is not JSON".to_string() };
            let why = why.split(" at line ").next().unwrap_or_default().to_string();
            Err(vec![Fault::new(error.line(), why)])
        }
    }
}

struct Read(Value);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values).map(Self)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "SOPS takes numbers of JSON as floating ones")]
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Float(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "SOPS takes numbers of JSON as floating ones")]
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Float(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut parts = Vec::new();
        while let Some(Read(value)) = seq.next_element()? {
            parts.push(Part::Is(value));
        }
        Ok(Value::List(parts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let (mut branch, mut keys) = (Branch::new(), BTreeSet::new());
        while let Some((key, Read(value))) = map.next_entry::<String, Read>()? {
            if !keys.insert(key.clone()) {
                return Err(serde::de::Error::custom(format!("the key `{key}` stands twice in one mapping")));
            }
            branch.push(Part::Is((key, value)));
        }
        Ok(Value::Map(branch))
    }
}

/// A mapping as text. JSON has no comments, so they are left out.
pub(crate) fn write(branch: &Branch) -> String {
    let mut out = String::new();
    map(branch, 0, &mut out);
    out.push('\n');
    out
}

fn map(branch: &Branch, depth: usize, out: &mut String) {
    let pairs: Vec<_> = super::tree::pairs(branch).collect();
    within('{', '}', pairs.len(), depth, out, |index, out| {
        let (key, value) = pairs[index];
        out.push_str(&quoted(key));
        out.push_str(": ");
        put(value, depth + 1, out);
    });
}

fn within(
    open: char,
    close: char,
    count: usize,
    depth: usize,
    out: &mut String,
    mut item: impl FnMut(usize, &mut String),
) {
    out.push(open);
    for index in 0..count {
        out.push_str(if index > 0 { ",\n" } else { "\n" });
        out.extend(std::iter::repeat_n('\t', depth + 1));
        item(index, out);
    }
    if count > 0 {
        out.push('\n');
        out.extend(std::iter::repeat_n('\t', depth));
    }
    out.push(close);
}

fn put(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(&value.to_string()),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&number(*value)),
        Value::Text(text) | Value::Time(text) => out.push_str(&quoted(text)),
        Value::Map(branch) => map(branch, depth, out),
        Value::List(parts) => {
            let values: Vec<_> = super::tree::values(parts).collect();
            within('[', ']', values.len(), depth, out, |index, out| put(values[index], depth + 1, out));
        }
    }
}

/// A number as Go's `encoding/json` writes it: with an exponent below 1e-6 and from 1e21 on. JSON has no infinite ones.
fn number(value: f64) -> String {
    let size = value.abs();
    match () {
        () if !value.is_finite() => "null".into(),
        () if size != 0.0 && !(1e-6..1e21).contains(&size) => {
            let text = format!("{value:e}");
            if text.contains("e-") { text } else { text.replace('e', "e+") }
        }
        () => decimal(value),
    }
}

/// A text as Go's `encoding/json` quotes it, which is safe inside of HTML too.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
