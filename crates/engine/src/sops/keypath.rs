//! The place of a value in a SOPS file, as specs and commands say it: `gandi.apiToken`, `users[0].password`,
//! `registries["ghcr.io"].password`.

use std::fmt;
use std::str::FromStr;

use super::tree::{Branch, Part, Value, put, under, values};

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

/// A place in a file: at least one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPath(Vec<Segment>);

/// How deep a place may be: no file of secrets is nested so deep.
const DEEPEST: usize = 64;

impl FromStr for KeyPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut segments, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let (segment, after) =
                    bracket(inside).ok_or_else(|| wrong(text, "`[` wants an index or a quoted key, and `]`"))?;
                segments.push(segment);
                rest = after;
                continue;
            }
            let word = match rest.strip_prefix('.') {
                Some(_) if segments.is_empty() => return Err(wrong(text, "it begins with a dot")),
                Some(word) => word,
                None if segments.is_empty() => rest,
                None => return Err(wrong(text, "a dot is missing after `]`")),
            };
            let end = word.find(['.', '[']).unwrap_or(word.len());
            if end == 0 {
                return Err(wrong(text, "there is a dot and no key after it"));
            }
            segments.push(Segment::Key(word[..end].to_string()));
            rest = &word[end..];
        }
        match segments.first() {
            None => Err("a key is wanted, for example `gandi.apiToken`".into()),
            Some(Segment::Index(_)) => Err(wrong(text, "a file of SOPS begins with a mapping, so a key comes first")),
            Some(_) if segments.len() > DEEPEST => Err(wrong(text, "it is too deep")),
            Some(_) => Ok(Self(segments)),
        }
    }
}

fn wrong(text: &str, why: &str) -> String {
    format!("`{text}` is no place in a SOPS file: {why}; write `gandi.apiToken`, `users[0].name` or `a[\"with.dots\"]`")
}

/// What stands in brackets, and what comes after them.
fn bracket(inside: &str) -> Option<(Segment, &str)> {
    if inside.starts_with('"') {
        let mut texts = serde_json::Deserializer::from_str(inside).into_iter::<String>();
        let key = texts.next()?.ok()?;
        return Some((Segment::Key(key), inside.get(texts.byte_offset()..)?.strip_prefix(']')?));
    }
    let (index, rest) = inside.split_once(']')?;
    Some((Segment::Index(index.parse().ok()?), rest))
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if key.is_empty() || key.contains(['.', '[', ']', '"']) => {
                    write!(f, "[{}]", serde_json::Value::from(key.as_str()))?;
                }
                Segment::Key(key) if number == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

impl KeyPath {
    /// The value in this place, or where the way there ends.
    pub(crate) fn find<'a>(&self, branch: &'a Branch) -> Result<&'a Value, String> {
        let (mut inside, mut found): (_, Option<&Value>) = (Some(branch), None);
        for (number, segment) in self.0.iter().enumerate() {
            let gone = || Self(self.0[..=number].to_vec());
            let next = match (segment, inside, found) {
                (Segment::Key(key), Some(branch), _) => under(branch, key),
                (Segment::Index(index), None, Some(Value::List(parts))) => values(parts).nth(*index),
                (Segment::Key(_), None, Some(Value::List(_))) => {
                    return Err(format!(
                        "`{}` is a list: its values are `[0]`, `[1]`, …",
                        Self(self.0[..number].to_vec())
                    ));
                }
                _ => None,
            };
            let value = next.ok_or_else(|| format!("there is no `{}` in it", gone()))?;
            inside = if let Value::Map(branch) = value { Some(branch) } else { None };
            found = Some(value);
        }
        found.ok_or_else(|| "no key is given".into())
    }

    /// Puts a value in this place; mappings on the way are made where there are none. Says where another kind of thing is in
    /// the way.
    pub(crate) fn put(&self, branch: &mut Branch, value: Value) -> Result<(), String> {
        match self.0.split_first() {
            Some((Segment::Key(key), rest)) => {
                put_under(branch, key, rest, value).map_err(|why| format!("`{self}`: {why}"))
            }
            _ => Err("no key is given".into()),
        }
    }

    /// Takes out what is in this place, with the mappings around it that hold nothing else.
    pub(crate) fn remove(&self, branch: &mut Branch) -> Result<(), String> {
        self.find(branch)?;
        match self.0.last() {
            Some(Segment::Key(_)) => {
                remove_under(branch, &self.0);
                Ok(())
            }
            _ => Err(format!("`{self}` is an entry of a list, and those behind it would have other numbers")),
        }
    }

    /// All places of a document that hold a value and no others.
    pub(crate) fn leaves(branch: &Branch) -> Vec<(Self, &Value)> {
        let mut found = Vec::new();
        for (key, value) in super::tree::pairs(branch) {
            below(vec![Segment::Key(key.to_string())], value, &mut found);
        }
        found
    }
}

fn remove_under(branch: &mut Branch, place: &[Segment]) {
    let Some((Segment::Key(key), rest)) = place.split_first() else { return };
    let is_it = |part: &Part<(String, Value)>| matches!(part, Part::Is((name, _)) if name == key);
    let Some(Part::Is((_, there))) = branch.iter_mut().find(|part| is_it(part)) else { return };
    if !rest.is_empty() {
        remove_in(there, rest);
    }
    let over = rest.is_empty() || matches!(there, Value::Map(branch) if branch.is_empty());
    if over {
        branch.retain(|part| !is_it(part));
    }
}

fn remove_in(there: &mut Value, place: &[Segment]) {
    match (there, place.split_first()) {
        (Value::Map(branch), _) => remove_under(branch, place),
        (Value::List(parts), Some((Segment::Index(index), rest))) => {
            let mut entries = parts.iter_mut().filter_map(|part| match part {
                Part::Is(value) => Some(value),
                Part::Comment(_) => None,
            });
            entries.nth(*index).into_iter().for_each(|entry| remove_in(entry, rest));
        }
        _ => {}
    }
}

fn below<'a>(place: Vec<Segment>, value: &'a Value, found: &mut Vec<(KeyPath, &'a Value)>) {
    let then = |segment| [place.clone(), vec![segment]].concat();
    match value {
        Value::Map(branch) => {
            super::tree::pairs(branch)
                .for_each(|(key, value)| below(then(Segment::Key(key.to_string())), value, found));
        }
        Value::List(parts) => {
            values(parts).enumerate().for_each(|(index, value)| below(then(Segment::Index(index)), value, found));
        }
        value => found.push((KeyPath(place), value)),
    }
}

fn put_under(branch: &mut Branch, key: &str, rest: &[Segment], value: Value) -> Result<(), String> {
    if under(branch, key).is_none() {
        put(branch, key, value_for(rest, value)?);
        return Ok(());
    }
    let there = branch.iter_mut().find_map(|part| match part {
        Part::Is((name, there)) if name == key => Some(there),
        _ => None,
    });
    there.map_or(Ok(()), |there| put_in(there, rest, value))
}

fn put_in(there: &mut Value, rest: &[Segment], value: Value) -> Result<(), String> {
    match (rest.split_first(), &mut *there) {
        (None, Value::Map(_) | Value::List(_)) => {
            Err(format!("{} is there, and it would be lost with all that is in it", there.kind()))
        }
        (None, there) => {
            *there = value;
            Ok(())
        }
        (Some((Segment::Key(key), rest)), Value::Map(branch)) => put_under(branch, key, rest, value),
        (Some((Segment::Index(index), rest)), Value::List(parts)) => {
            let count = values(parts).count();
            let mut entries = parts.iter_mut().filter_map(|part| match part {
                Part::Is(value) => Some(value),
                Part::Comment(_) => None,
            });
            match entries.nth(*index) {
                Some(entry) => put_in(entry, rest, value),
                None if *index == count => {
                    parts.push(Part::Is(value_for(rest, value)?));
                    Ok(())
                }
                None => Err(format!("the list has {count} values, so the next one is `[{count}]`")),
            }
        }
        (Some(_), Value::Null) => {
            *there = value_for(rest, value)?;
            Ok(())
        }
        (Some(_), there) => Err(format!("{} is on the way there", there.kind())),
    }
}

/// A value with the mappings and lists around it that the rest of a place wants.
fn value_for(rest: &[Segment], value: Value) -> Result<Value, String> {
    Ok(match rest.split_first() {
        None => value,
        Some((Segment::Key(key), rest)) => Value::Map(vec![Part::Is((key.clone(), value_for(rest, value)?))]),
        Some((Segment::Index(0), rest)) => Value::List(vec![Part::Is(value_for(rest, value)?)]),
        Some((Segment::Index(_), _)) => return Err("a new list begins with `[0]`".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_takes_nothing_else_along() {
        let leaf = |key: &str| Part::Is((key.to_string(), Value::Text("x".into())));
        let list = Value::List(vec![Part::Is(Value::Map(vec![leaf("name"), leaf("password")]))]);
        let inner = Part::Is(("a".to_string(), Value::Map(vec![leaf("b")])));
        let mut branch = vec![inner, Part::Comment(" kept".into()), Part::Is(("users".to_string(), list)), leaf("z")];
        let mut remove = |text: &str| text.parse::<KeyPath>().and_then(|place| place.remove(&mut branch));
        assert_eq!(remove("a.b"), Ok(()));
        assert_eq!(remove("users[0].password"), Ok(()));
        assert!(remove("users[0]").is_err() && remove("a.b").is_err() && remove("z.y").is_err());
        let left: Vec<String> = KeyPath::leaves(&branch).iter().map(|(place, _)| place.to_string()).collect();
        assert_eq!(left, ["users[0].name", "z"]);
        assert!(branch.contains(&Part::Comment(" kept".into())));
    }

    #[test]
    fn a_place_is_read_as_it_is_written() {
        for text in ["gandi.apiToken", "users[0].name", "a[\"ghcr.io\"].b[2][3]", "[\"a.b\"]", "[\"\"]", "x-y_z"] {
            assert_eq!(text.parse::<KeyPath>().map(|path| path.to_string()), Ok(text.to_string()));
        }
        assert_eq!(
            "[\"gandi\"][\"apiToken\"]".parse::<KeyPath>().map(|path| path.to_string()),
            Ok("gandi.apiToken".into())
        );
        for text in ["", ".a", "a.", "a..b", "a[", "a[x]", "a[\"b]", "[0]", "a[0]b", "a[-1]"] {
            assert!(text.parse::<KeyPath>().is_err(), "{text}");
        }
    }
}
