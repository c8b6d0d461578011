//! What a word of YAML means where nothing says so: as go-yaml 3 has it, by which SOPS reads (`resolve.go`).

use super::super::tree::Value;

/// Words that YAML 1.1 had for true and false. They are text now, and are quoted when they are written.
const OLD_BOOLS: [&str; 16] =
    ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF"];

/// The value of a plain word. A whole number that SOPS cannot encrypt is none.
pub(super) fn resolve(word: &str) -> Result<Value, String> {
    Ok(match word {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        _ => match word.chars().next() {
            Some('.') if float_form(word) => word.parse().map_or_else(|_| text(word), Value::Float),
            Some('+' | '-' | '0'..='9') => number_or_moment(word)?,
            _ => text(word),
        },
    })
}

fn text(word: &str) -> Value {
    Value::Text(word.to_string())
}

fn number_or_moment(word: &str) -> Result<Value, String> {
    if let Some(moment) = moment(word) {
        return Ok(Value::Time(moment));
    }
    let plain = word.replace('_', "");
    match whole(&plain) {
        Some(Ok(number)) => Ok(Value::Int(number)),
        Some(Err(())) => Err(format!("{word} is too large for a number of SOPS; quote it to keep it as text")),
        None if float_form(&plain) => Ok(plain.parse().map_or_else(|_| text(word), Value::Float)),
        None => Ok(text(word)),
    }
}

/// A whole number as Go's `ParseInt` reads it with base 0; an error where it has more than 64 bits with a sign.
fn whole(plain: &str) -> Option<Result<i64, ()>> {
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(plain)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some(_) if lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok().map(|number| if negative { -number } else { number });
    match number.map(i64::try_from) {
        Some(Ok(number)) => Some(Ok(number)),
        // With 64 bits and no sign it is a whole number still, which SOPS does not take; beyond, in tens, a floating one.
        _ if radix != 10 || number.is_some_and(|number| u64::try_from(number).is_ok()) => Some(Err(())),
        _ => None,
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn float_form(word: &str) -> bool {
    let word = word.strip_prefix(['-', '+']).unwrap_or(word);
    let (number, exponent) = match word.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (word, None),
    };
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let (before, after) = number.split_once('.').unwrap_or((number, ""));
    let exponent = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    digits(before) && digits(after) && !(before.is_empty() && after.is_empty()) && exponent
}

/// A moment in one of the forms that go-yaml takes, as RFC 3339.
fn moment(word: &str) -> Option<String> {
    let bytes = word.as_bytes();
    if bytes.len() < 8 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (date, time) = match word.find(['T', 't', ' ']) {
        Some(at) => (&word[..at], Some(&word[at..])),
        None => (word, None),
    };
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (parts.next()?, one_or_two(parts.next()?)?, one_or_two(parts.next()?)?);
    let leap = year.parse::<u32>().is_ok_and(|year| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=days).contains(&day) {
        return None;
    }
    let date = format!("{year}-{month:02}-{day:02}");
    let Some(time) = time else { return Some(format!("{date}T00:00:00Z")) };
    let (clock, zone) = match time.strip_prefix(' ') {
        Some(clock) => (clock, "Z"),
        None => zoned(time.get(1..)?)?,
    };
    let (seconds, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = seconds.splitn(3, ':').map(one_or_two);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let whole = !clock.contains('.') || (!fraction.is_empty() && fraction.len() <= 9);
    if hour > 23 || minute > 59 || second > 59 || !whole || !fraction.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{point}{fraction}{zone}"))
}

/// A time of the day, and its zone: `Z`, or hours and minutes.
fn zoned(time: &str) -> Option<(&str, &str)> {
    if let Some(clock) = time.strip_suffix('Z') {
        return Some((clock, "Z"));
    }
    let at = time.rfind(['+', '-'])?;
    let (clock, zone) = time.split_at(at);
    let (hours, minutes) = zone[1..].split_once(':')?;
    let two = |text: &str, most: u32| text.len() == 2 && one_or_two(text).is_some_and(|number| number <= most);
    let right = two(hours, 24) && two(minutes, 60);
    right.then_some((clock, if zone[1..] == *"00:00" { "Z" } else { zone }))
}

fn one_or_two(text: &str) -> Option<u32> {
    let right = (1..=2).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit());
    if right { text.parse().ok() } else { None }
}

/// Whether a text may stand without quotes: read again it is the same text.
pub(super) fn is_plain(text: &str) -> bool {
    matches!(resolve(text), Ok(Value::Text(_))) && text != "<<" && !OLD_BOOLS.contains(&text) && !base_60(text)
}

/// Numbers of YAML 1.1 with hours and minutes: `1:20`.
fn base_60(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = text.split(':');
    let first = parts.next().is_some_and(|part| {
        part.starts_with(|c: char| c.is_ascii_digit()) && part.chars().all(|c| c.is_ascii_digit() || c == '_')
    });
    let rest: Vec<&str> = parts.collect();
    let sixty = |part: &str| one_or_two(part).is_some_and(|number| number < 60);
    let last = rest.last().map(|last| last.split_once('.').map_or(*last, |(whole, _)| whole));
    first && last.is_some_and(sixty) && rest.iter().rev().skip(1).all(|part| sixty(part))
}

/// A floating number as Go's `FormatFloat(value, 'g', -1, 64)`: with an exponent below -4 and from 6 on.
pub(super) fn float(value: f64) -> String {
    match value {
        _ if value.is_nan() => return ".nan".into(),
        f64::INFINITY => return ".inf".into(),
        f64::NEG_INFINITY => return "-.inf".into(),
        _ => {}
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_go_yaml_takes_them_for() {
        let text = |text: &str| Value::Text(text.into());
        let time = |text: &str| Value::Time(text.into());
        let cases = [
            ("0777", Value::Int(511)),
            ("08", Value::Float(8.0)),
            ("0x1F", Value::Int(31)),
            ("0b11", Value::Int(3)),
            ("-0o17", Value::Int(-15)),
            ("1_000", Value::Int(1000)),
            ("1e3", Value::Float(1000.0)),
            (".5", Value::Float(0.5)),
            ("18446744073709551616", Value::Float(18446744073709551616.0)),
            ("yes", text("yes")),
            ("1:20", text("1:20")),
            ("1.2.3", text("1.2.3")),
            ("-", text("-")),
            ("2023-01-02", time("2023-01-02T00:00:00Z")),
            ("2001-12-14t21:59:43.10-05:00", time("2001-12-14T21:59:43.1-05:00")),
            ("2001-12-14 21:59:43", time("2001-12-14T21:59:43Z")),
            ("2023-02-30", text("2023-02-30")),
            ("2023-01-02T00:00:00", text("2023-01-02T00:00:00")),
        ];
        for (word, value) in cases {
            let resolved = resolve(word).unwrap();
            assert!(resolved == value, "{word}: {resolved:?} {:?}", resolved.text());
        }
        assert!(resolve("9223372036854775808").unwrap_err().contains("too large"));
    }
}
