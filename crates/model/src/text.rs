//! Text with holes: what a plan can say of a file before its secrets are known.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::ids::HoleName;

/// A piece of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// Text that is known now.
    Known(Arc<str>),
    /// A value that only the executor knows.
    Hole(HoleName),
}

/// Text made of known parts and holes. Safe to save and to show: a hole shows its name, never its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(Vec<Part>);

impl Text {
    /// Text without holes.
    pub fn known(text: impl Into<Arc<str>>) -> Self {
        Self(vec![Part::Known(text.into())])
    }

    /// A hole and nothing else.
    pub fn hole(name: impl Into<HoleName>) -> Self {
        Self(vec![Part::Hole(name.into())])
    }

    /// A text that stands in JSON, where a hole is written as [`in_json`] has it.
    pub fn of_json(text: &str) -> Self {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once(OPENS) {
            let Some((name, behind)) = after.split_once(CLOSES) else { break };
            parts.extend([Part::Known(before.into()), Part::Hole(name.into())]);
            rest = behind;
        }
        parts.push(Part::Known(rest.into()));
        Self(parts)
    }

    /// The text with its holes as [`in_json`] writes them.
    pub fn to_json(&self) -> String {
        let written = |part: &Part| match part {
            Part::Known(text) => text.to_string(),
            Part::Hole(name) => in_json(name),
        };
        self.0.iter().map(written).collect()
    }

    /// Adds known text at the end.
    #[must_use]
    pub fn and(mut self, text: impl Into<Arc<str>>) -> Self {
        self.0.push(Part::Known(text.into()));
        self
    }

    /// Adds a hole at the end.
    #[must_use]
    pub fn and_hole(mut self, name: impl Into<HoleName>) -> Self {
        self.0.push(Part::Hole(name.into()));
        self
    }

    /// The parts in order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The names of the holes, in order.
    pub fn holes(&self) -> impl Iterator<Item = &HoleName> {
        self.0.iter().filter_map(|part| match part {
            Part::Hole(name) => Some(name),
            Part::Known(_) => None,
        })
    }

    /// Whether everything is known.
    pub fn is_complete(&self) -> bool {
        self.holes().next().is_none()
    }

    /// The text with its holes filled, or the first hole that `value` does not know. Where nothing but blanks stands before
    /// a hole in its line, further lines of the value begin with as many: so it stays one block of YAML.
    ///
    /// # Errors
    ///
    /// The name of a hole without a value.
    pub fn fill<'a>(&self, mut value: impl FnMut(&HoleName) -> Option<&'a str>) -> Result<String, HoleName> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Known(text) => filled.push_str(text),
                Part::Hole(name) => {
                    let value = value(name).ok_or_else(|| name.clone())?;
                    let line = filled.rsplit('\n').next().unwrap_or_default();
                    match line.is_empty() || line.contains(|sign| sign != ' ') {
                        true => filled.push_str(value),
                        false => filled.push_str(&value.replace('\n', &format!("\n{line}"))),
                    }
                }
            }
        }
        Ok(filled)
    }

    /// The digest of the text when it is complete.
    pub fn digest(&self) -> Option<Digest> {
        match self.0.as_slice() {
            [Part::Known(only)] => Some(Digest::of(only.as_bytes())),
            _ => self.fill(|_| None).ok().map(Digest::of),
        }
    }

    /// The digest of the text as written, with its holes by name: what tells two texts apart before they are filled.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(self.to_string())
    }
}

/// How a hole begins and ends in a text of JSON.
const OPENS: &str = "‹hole:";
const CLOSES: char = '›';

/// A hole as it stands in a text of JSON: `‹hole:secret/grafana-admin›`.
pub fn in_json(hole: &HoleName) -> String {
    format!("{OPENS}{hole}{CLOSES}")
}

/// The names of the holes in a value of JSON.
pub fn holes_of(value: &Value) -> Vec<HoleName> {
    match value {
        Value::String(text) if text.contains(OPENS) => Text::of_json(text).holes().cloned().collect(),
        Value::Array(items) => items.iter().flat_map(holes_of).collect(),
        Value::Object(map) => map.values().flat_map(holes_of).collect(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// Shows holes as `‹name›`.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Known(text) => f.write_str(text),
            Part::Hole(name) => write!(f, "‹{name}›"),
        })
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::known(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::known(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn holes_stand_in_json_by_their_names() {
        let (one, two) = (HoleName::of_secret("one"), HoleName::of_secret("two"));
        let text = format!("a {} b\n  {}", in_json(&one), in_json(&two));
        assert_eq!(holes_of(&json!({ "x": [text], "y": 1, "z": "‹hole:secret/cut off" })), [one.clone(), two]);
        let filled = Text::of_json(&text).fill(|name| Some(if *name == one { "1" } else { "2\n3" }));
        assert_eq!(filled.unwrap(), "a 1 b\n  2\n  3");
        assert_eq!(Text::of_json("‹hole:no end").to_string(), "‹hole:no end");
    }
}
