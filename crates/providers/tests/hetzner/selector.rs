//! The query language for labels, as <https://docs.hetzner.cloud/reference/cloud#label-selector> has it.

use serde_json::Value;

/// All of its terms must hold.
#[derive(Clone, Debug)]
pub(crate) struct Selector(Vec<Term>);

#[derive(Clone, Debug)]
enum Term {
    Present(String),
    Absent(String),
    OneOf(String, Vec<String>),
    /// It also holds where there is no such key.
    NoneOf(String, Vec<String>),
}

impl Selector {
    /// Reads it; what is wrong with it otherwise.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let terms = parts(text)?;
        terms.into_iter().filter(|term| !term.is_empty()).map(term).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn picks(&self, labels: &Value) -> bool {
        let value = |key: &str| labels.get(key).and_then(Value::as_str);
        self.0.iter().all(|term| match term {
            Term::Present(key) => value(key).is_some(),
            Term::Absent(key) => value(key).is_none(),
            Term::OneOf(key, of) => value(key).is_some_and(|value| of.iter().any(|one| one == value)),
            Term::NoneOf(key, of) => value(key).is_none_or(|value| of.iter().all(|one| one != value)),
        })
    }
}

/// What stands between commas that are in no parentheses.
fn parts(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut from, mut inside) = (Vec::new(), 0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' if !inside => inside = true,
            ')' if inside => inside = false,
            '(' | ')' => return Err("parentheses do not match".into()),
            ',' if !inside => {
                parts.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim());
    if inside { Err("parentheses do not match".into()) } else { Ok(parts) }
}

fn term(text: &str) -> Result<Term, String> {
    if let Some(list) = text.strip_suffix(')') {
        let (head, list) = list.split_once('(').ok_or("parentheses do not match")?;
        let values = list.split(',').map(|one| value(one.trim())).collect::<Result<_, _>>()?;
        return match head.trim_end().rsplit_once(char::is_whitespace) {
            Some((name, "in")) => Ok(Term::OneOf(key(name)?, values)),
            Some((name, "notin")) => Ok(Term::NoneOf(key(name)?, values)),
            _ => Err(format!("{text} is neither `in` nor `notin`")),
        };
    }
    if let Some(name) = text.strip_prefix('!') {
        return key(name).map(Term::Absent);
    }
    match text.split_once("!=").map(|both| (both, false)).or_else(|| text.split_once('=').map(|both| (both, true))) {
        Some(((name, one), true)) => Ok(Term::OneOf(key(name)?, vec![value(one.strip_prefix('=').unwrap_or(one))?])),
        Some(((name, one), false)) => Ok(Term::NoneOf(key(name)?, vec![value(one)?])),
        None => key(text).map(Term::Present),
    }
}

fn key(text: &str) -> Result<String, String> {
    let text = text.trim();
    if is_key(text) { Ok(text.into()) } else { Err(format!("{text} is no key of a label")) }
}

fn value(text: &str) -> Result<String, String> {
    let text = text.trim();
    if is_value(text) { Ok(text.into()) } else { Err(format!("{text} is no value of a label")) }
}

/// What the documentation says of keys: a name, and before it perhaps the name of a domain.
pub(crate) fn is_key(text: &str) -> bool {
    let (prefix, name) = text.rsplit_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let domain = |label: &str| {
        let letters = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        letters && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let prefix = prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(domain));
    prefix && !name.is_empty() && is_value(name)
}

pub(crate) fn is_value(text: &str) -> bool {
    let inner = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let edge = |b: Option<u8>| b.is_none_or(|b| b.is_ascii_alphanumeric());
    text.len() <= 63 && inner && edge(text.bytes().next()) && edge(text.bytes().last())
}
