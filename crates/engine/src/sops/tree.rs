//! What is in a SOPS file: values in order, with the comments between them.
//!
//! The walk is the one of SOPS: a value is bound to the keys above it, list indices are no part of that path, and a rule
//! may look at the comments before a value (`sops.go`, `walkBranch` and `walkSlice`, 3.11).

use std::fmt;

use super::{Result, SopsError};

/// A comment, or something that is meant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part<T> {
    /// Without its `#`.
    Comment(String),
    Is(T),
}

/// A mapping, in the order of the file.
pub(crate) type Branch = Vec<Part<(String, Value)>>;

/// A value. It may be a secret, so nothing prints it.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// A moment as SOPS writes it: RFC 3339, with as many digits of a second as are needed.
    Time(String),
    Map(Branch),
    List(Vec<Part<Value>>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl Value {
    /// What it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Time(_) => "a moment",
            Self::Map(_) => "a mapping",
            Self::List(_) => "a list",
        }
    }

    /// A value that holds no others, as text. It is how SOPS hands it on in files without types (`ValToString`), but for
    /// numbers: they are written out.
    pub(crate) fn text(&self) -> Option<String> {
        Some(match self {
            Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => decimal(*value),
            Self::Text(text) | Self::Time(text) => text.clone(),
            Self::Map(_) | Self::List(_) => return None,
        })
    }

    /// The bytes that stand for it in the digest of a file, and that are encrypted (`ToBytes`).
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bool(true) => b"True".to_vec(),
            Self::Bool(false) => b"False".to_vec(),
            other => other.text().unwrap_or_default().into_bytes(),
        }
    }
}

/// A number as Go's `FormatFloat(value, 'f', -1, 64)`: the shortest that is read back as the same, without an exponent.
pub(crate) fn decimal(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".into(),
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        _ => format!("{value}"),
    }
}

/// What a walk comes by, and the place of it.
pub(crate) enum Leaf {
    Comment(String),
    Value(Value),
}

/// Where a walk is.
#[derive(Default)]
pub(crate) struct Around {
    /// The keys above, without list indices.
    pub(crate) path: Vec<String>,
    /// For each container above, the comments since its last value.
    pub(crate) comments: Vec<Vec<String>>,
}

impl Around {
    /// What a value is bound to.
    pub(crate) fn bound(&self) -> String {
        format!("{}:", self.path.join(":"))
    }

    /// A place for people.
    pub(crate) fn named(&self) -> String {
        self.path.join(".")
    }

    fn comment(&mut self, text: &str) {
        self.comments.iter_mut().last().into_iter().for_each(|comments| comments.push(text.to_string()));
    }

    fn value(&mut self) {
        self.comments.iter_mut().last().into_iter().for_each(Vec::clear);
    }
}

/// What becomes of each value and comment.
pub(crate) type Becomes<'f> = dyn FnMut(Leaf, &Around) -> Result<Leaf> + 'f;

/// A mapping with each of its values and comments become another.
pub(crate) fn walk(branch: Branch, around: &mut Around, becomes: &mut Becomes<'_>) -> Result<Branch> {
    around.comments.push(Vec::new());
    let mut walked = Branch::with_capacity(branch.len());
    for part in branch {
        match part {
            Part::Comment(text) => {
                around.comment(&text);
                let text = match becomes(Leaf::Comment(text), around)? {
                    Leaf::Comment(text) | Leaf::Value(Value::Text(text)) => text,
                    Leaf::Value(_) => return Err(SopsError::value(around, "a comment that is none")),
                };
                walked.push(Part::Comment(text));
            }
            Part::Is((key, value)) => {
                around.path.push(key.clone());
                let value = walk_value(value, around, becomes)?;
                around.path.pop();
                around.value();
                match value {
                    Leaf::Value(value) => walked.push(Part::Is((key, value))),
                    Leaf::Comment(_) => return Err(SopsError::value(around, "a comment in the place of a value")),
                }
            }
        }
    }
    around.comments.pop();
    Ok(walked)
}

fn walk_value(value: Value, around: &mut Around, becomes: &mut Becomes<'_>) -> Result<Leaf> {
    Ok(match value {
        Value::Map(branch) => Leaf::Value(Value::Map(walk(branch, around, becomes)?)),
        Value::List(parts) => Leaf::Value(Value::List(walk_list(parts, around, becomes)?)),
        Value::Null => Leaf::Value(Value::Null),
        value => becomes(Leaf::Value(value), around)?,
    })
}

/// Encrypted comments of lists are entries of them, for that is how they are written.
fn walk_list(parts: Vec<Part<Value>>, around: &mut Around, becomes: &mut Becomes<'_>) -> Result<Vec<Part<Value>>> {
    around.comments.push(Vec::new());
    let mut walked = Vec::with_capacity(parts.len());
    for part in parts {
        let leaf = match part {
            Part::Comment(text) => {
                around.comment(&text);
                becomes(Leaf::Comment(text), around)?
            }
            Part::Is(value) => {
                let leaf = walk_value(value, around, becomes)?;
                around.value();
                leaf
            }
        };
        walked.push(match leaf {
            Leaf::Comment(text) => Part::Comment(text),
            Leaf::Value(value) => Part::Is(value),
        });
    }
    around.comments.pop();
    Ok(walked)
}

/// The values of a list, without its comments.
pub(crate) fn values(parts: &[Part<Value>]) -> impl Iterator<Item = &Value> {
    parts.iter().filter_map(|part| match part {
        Part::Is(value) => Some(value),
        Part::Comment(_) => None,
    })
}

/// The pairs of a mapping, without its comments.
pub(crate) fn pairs(branch: &Branch) -> impl Iterator<Item = (&str, &Value)> {
    branch.iter().filter_map(|part| match part {
        Part::Is((key, value)) => Some((key.as_str(), value)),
        Part::Comment(_) => None,
    })
}

/// What stands under a key.
pub(crate) fn under<'a>(branch: &'a Branch, key: &str) -> Option<&'a Value> {
    pairs(branch).find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// Puts a value under a key: in the place of what is there, or at the end.
pub(crate) fn put(branch: &mut Branch, key: &str, value: Value) {
    let there = branch.iter_mut().find_map(|part| match part {
        Part::Is((name, value)) if name == key => Some(value),
        _ => None,
    });
    match there {
        Some(there) => *there = value,
        None => branch.push(Part::Is((key.to_string(), value))),
    }
}
