//! YAML as SOPS writes it: the marks, the indentation and the quotes of go-yaml 3 with four spaces (`emitterc.go`), so that a
//! file that one of the two has written stays byte for byte where the other one changes nothing.

use super::super::tree::{Branch, Part, Value, pairs, values};
use super::words;

/// What SOPS indents by where nothing else is set (`stores/yaml/store.go`, `IndentDefault`).
const INDENT: usize = 4;

/// Documents as text.
pub(crate) fn write(documents: &[Branch]) -> String {
    let mut out = String::new();
    for (number, branch) in documents.iter().enumerate() {
        if number > 0 {
            out.push_str("---\n");
        }
        if pairs(branch).next().is_none() {
            comments(branch, 0, &mut out);
            out.push_str("{}\n");
        } else {
            map(branch, 0, &mut out);
        }
    }
    out
}

/// The next stop of the indentation.
fn deeper(column: usize) -> usize {
    INDENT * ((column + INDENT) / INDENT)
}

fn indent(column: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', column));
}

fn comment(text: &str, column: usize, out: &mut String) {
    indent(column, out);
    out.push('#');
    out.push_str(text);
    out.push('\n');
}

fn comments<T>(parts: &[Part<T>], column: usize, out: &mut String) {
    for part in parts {
        if let Part::Comment(text) = part {
            comment(text, column, out);
        }
    }
}

/// The pairs of a mapping, each in its own line.
fn map(branch: &Branch, column: usize, out: &mut String) {
    for part in branch {
        match part {
            Part::Comment(text) => comment(text, column, out),
            Part::Is((key, value)) => {
                indent(column, out);
                pair(key, value, column, out);
            }
        }
    }
}

/// A pair, after its indentation.
fn pair(key: &str, value: &Value, column: usize, out: &mut String) {
    out.push_str(&scalar_of(key, true, column, deeper(column)));
    out.push(':');
    below(value, column, deeper(column), out);
}

/// A value after a key or a dash: in the same line, or below it at a column.
fn below(value: &Value, parent: usize, column: usize, out: &mut String) {
    match value {
        Value::Map(branch) if pairs(branch).next().is_some() => {
            out.push('\n');
            map(branch, column, out);
        }
        Value::List(parts) if values(parts).next().is_some() => {
            out.push('\n');
            list(parts, column, out);
        }
        value => {
            out.push(' ');
            out.push_str(&scalar(value, parent, column));
            out.push('\n');
        }
    }
}

/// The entries of a list, each behind a dash.
fn list(parts: &[Part<Value>], column: usize, out: &mut String) {
    for part in parts {
        match part {
            Part::Comment(text) => comment(text, column, out),
            Part::Is(value) => {
                head(value, column, out);
                indent(column, out);
                entry(value, column, out);
            }
        }
    }
}

/// The comments that an entry begins with stand before its dash.
fn head(value: &Value, column: usize, out: &mut String) {
    match value {
        Value::Map(branch) => comments(leading(branch), column, out),
        Value::List(parts) => comments(leading(parts), column, out),
        _ => {}
    }
}

fn leading<T>(parts: &[Part<T>]) -> &[Part<T>] {
    let first = parts.iter().position(|part| matches!(part, Part::Is(_))).unwrap_or(parts.len());
    &parts[..first]
}

/// An entry with its dash, after the indentation. What is inside stands two columns further.
fn entry(value: &Value, column: usize, out: &mut String) {
    out.push('-');
    let inside = column + 2;
    match value {
        Value::Map(branch) if pairs(branch).next().is_some() => {
            let rest = &branch[leading(branch).len()..];
            if let Some((Part::Is((key, value)), rest)) = rest.split_first() {
                out.push(' ');
                pair(key, value, inside, out);
                map(&rest.to_vec(), inside, out);
            }
        }
        Value::List(parts) if values(parts).next().is_some() => {
            let rest = &parts[leading(parts).len()..];
            if let Some((Part::Is(value), rest)) = rest.split_first() {
                out.push(' ');
                entry(value, inside, out);
                list(rest, inside, out);
            }
        }
        value => below(value, column, inside, out),
    }
}

/// A value that holds no others; what is empty, too.
fn scalar(value: &Value, parent: usize, column: usize) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => words::float(*value),
        Value::Time(text) => text.clone(),
        Value::Text(text) => scalar_of(text, false, parent, column),
        Value::Map(_) => "{}".into(),
        Value::List(_) => "[]".into(),
    }
}

/// What a text allows.
#[derive(Default)]
struct Traits {
    /// Something that plain text would not be read with.
    indicators: bool,
    /// White space at an end, or around a line's end.
    edges: bool,
    /// A space before a line's end, or a character that is written as an escape.
    escapes: bool,
    tabs: bool,
}

/// `yaml_emitter_analyze_scalar`, for text in blocks.
fn traits(text: &str) -> Traits {
    let mut traits = Traits { indicators: text.starts_with("---") || text.starts_with("..."), ..Traits::default() };
    let mut before: Option<char> = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let ends = rest.peek().is_none_or(|next| matches!(next, ' ' | '\t' | '\n' | '\r'));
        let begins = before.is_none_or(|before| matches!(before, ' ' | '\t' | '\n' | '\r'));
        let first = before.is_none();
        traits.indicators |= match c {
            '#' => begins,
            ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => first,
            '?' | '-' => first && ends,
            ':' => ends,
            _ => false,
        };
        let edge = first || rest.peek().is_none();
        traits.edges |= (c == ' ' || c == '\n') && edge || c == ' ' && before == Some('\n');
        traits.escapes |= c == '\n' && before == Some(' ') || !printable(c);
        traits.tabs |= c == '\t';
        before = Some(c);
    }
    traits
}

/// What go-yaml writes as it is: nothing above U+FFFF.
fn printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn scalar_of(text: &str, key: bool, parent: usize, column: usize) -> String {
    let traits = traits(text);
    let lines = text.contains('\n');
    if lines && !key && !traits.escapes && !text.ends_with(' ') {
        // go-yaml says four columns where it indents by two, so such a text is quoted.
        let hint = text.starts_with([' ', '\n']);
        if !hint || column - parent == INDENT {
            return literal(text, hint, column);
        }
    }
    let plain = words::is_plain(text);
    if plain && !lines && !traits.indicators && !traits.edges && !traits.escapes && !traits.tabs {
        return text.to_string();
    }
    // What would be another value without quotes has double ones, what would be none has single ones.
    if plain && !lines && !traits.escapes && !traits.tabs {
        return format!("'{}'", text.replace('\'', "''"));
    }
    double(text)
}

/// A text in lines of its own.
fn literal(text: &str, hint: bool, column: usize) -> String {
    let mut out = String::from("|");
    if hint {
        out.push_str(&INDENT.to_string());
    }
    match text.strip_suffix('\n') {
        None => out.push('-'),
        Some(rest) if rest.is_empty() || rest.ends_with('\n') => out.push('+'),
        Some(_) => {}
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(column, &mut out);
            out.push_str(line);
        }
    }
    out
}

fn double(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            c if printable(c) => out.push(c),
            c if u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}
