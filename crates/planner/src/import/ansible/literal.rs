//! Values of an INI inventory. Ansible gives them to Python's `ast.literal_eval`, and takes what that refuses as text:
//! `22` is a number, `True` is true, `['a', 'b']` a list, and `true`, `1.2.3.4` and `0644` are text.

use serde_json::{Map, Number, Value};

/// What a value means.
pub(super) fn value(text: &str) -> Value {
    let mut reader = Reader { signs: text.chars().collect(), at: 0 };
    match reader.value() {
        Some(value) if reader.ended() => value,
        _ => Value::String(text.to_string()),
    }
}

struct Reader {
    signs: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.signs.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|c| matches!(c, ' ' | '\t')) {
            self.at += 1;
        }
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.space();
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    /// Nothing is left, or a comment of Python's.
    fn ended(&mut self) -> bool {
        self.space();
        matches!(self.peek(), None | Some('#'))
    }

    fn value(&mut self) -> Option<Value> {
        self.space();
        match self.peek()? {
            '[' => self.list('[', ']'),
            '(' => self.list('(', ')'),
            '{' => self.mapping(),
            quote @ ('"' | '\'') => self.text(quote).map(Value::String),
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => self.number(),
            _ => self.word(),
        }
    }

    fn list(&mut self, open: char, close: char) -> Option<Value> {
        if !self.takes(open) {
            return None;
        }
        let mut items = Vec::new();
        let mut commas = 0;
        while !self.takes(close) {
            items.push(self.value()?);
            if self.takes(',') {
                commas += 1;
            } else if self.takes(close) {
                break;
            } else {
                return None;
            }
        }
        // A value in parentheses is that value.
        if close == ')' && items.len() == 1 && commas == 0 { items.pop() } else { Some(Value::Array(items)) }
    }

    fn mapping(&mut self) -> Option<Value> {
        if !self.takes('{') {
            return None;
        }
        let mut map = Map::new();
        while !self.takes('}') {
            let key = match self.value()? {
                Value::String(key) => key,
                Value::Array(_) | Value::Object(_) => return None,
                other => other.to_string(),
            };
            if !self.takes(':') {
                return None;
            }
            map.insert(key, self.value()?);
            if !self.takes(',') {
                if self.takes('}') {
                    break;
                }
                return None;
            }
        }
        Some(Value::Object(map))
    }

    fn text(&mut self, quote: char) -> Option<String> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let sign = self.peek()?;
            self.at += 1;
            match sign {
                _ if sign == quote => return Some(text),
                '\\' => {
                    let next = self.peek()?;
                    self.at += 1;
                    match next {
                        'n' => text.push('\n'),
                        't' => text.push('\t'),
                        'r' => text.push('\r'),
                        '\\' | '\'' | '"' => text.push(next),
                        // Python keeps the backslash of what it does not know; the rest has numbers.
                        'x' | 'u' | 'U' | 'N' | '0'..='7' | 'a' | 'b' | 'f' | 'v' => return None,
                        other => text.extend(['\\', other]),
                    }
                }
                other => text.push(other),
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+')) {
            self.at += 1;
        }
        let text: String = self.signs[start..self.at].iter().collect();
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text.strip_prefix('+').unwrap_or(&text)),
        };
        let radix =
            |prefix: &str, radix: u32| i64::from_str_radix(digits.to_lowercase().strip_prefix(prefix)?, radix).ok();
        if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2)) {
            return Some((sign * number).into());
        }
        let plain = digits.replace('_', "");
        if plain.bytes().all(|b| b.is_ascii_digit()) {
            // Python has no numbers with leading zeros.
            let zeros = plain.len() > 1 && plain.starts_with('0') && plain.bytes().any(|b| b != b'0');
            return if zeros { None } else { plain.parse::<i64>().ok().map(|number| (sign * number).into()) };
        }
        let fits = plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
        let number: f64 = plain.parse().ok().filter(|_| fits && plain.bytes().any(|b| b.is_ascii_digit()))?;
        Number::from_f64(if sign < 0 { -number } else { number }).map(Value::Number)
    }

    fn word(&mut self) -> Option<Value> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        match self.signs[start..self.at].iter().collect::<String>().as_str() {
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            "None" => Some(Value::Null),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each of them as `ast.literal_eval` of Python 3 has it.
    #[test]
    fn values_are_pythons() {
        for (text, meant) in [
            ("22", json!(22)),
            ("-1", json!(-1)),
            ("1.31", json!(1.31)),
            ("0644", json!("0644")),
            ("0x10", json!(16)),
            ("1_000", json!(1000)),
            ("True", json!(true)),
            ("true", json!("true")),
            ("None", json!(null)),
            ("10.0.0.1", json!("10.0.0.1")),
            ("v1.33.5+k3s1", json!("v1.33.5+k3s1")),
            ("'22'", json!("22")),
            ("\"a b\" # why", json!("a b")),
            ("22 # ssh", json!(22)),
            ("a # b", json!("a # b")),
            ("['a', 2]", json!(["a", 2])),
            ("('a',)", json!(["a"])),
            ("{'a': {'b': None}}", json!({ "a": { "b": null } })),
            ("['a'", json!("['a'")),
            ("", json!("")),
            ("{{ a }}", json!("{{ a }}")),
        ] {
            assert_eq!(value(text), meant, "{text}");
        }
    }
}
