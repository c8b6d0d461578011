//! Everything in words, a fact a line: for people who hear what others see.
//!
//! A screen reader reads `✓` as "check mark", a tree's lines as a row of "box drawings", and a table line by line, far away from
//! its headings. So where it is asked for, what views have drawn is said in words on its way out, in one place: no view has two
//! forms that could come to differ.

use std::sync::atomic::{AtomicBool, Ordering};

use clap::builder::{FalseyValueParser, TypedValueParser as _};

/// The variable that asks for words.
pub(crate) const ASKS: &str = "KUBEWRIGHT_PLAIN";

static ON: AtomicBool = AtomicBool::new(false);

/// What stands at the beginning of a line, and what is said in its place.
const SIGNS: &[(&str, &str)] = &[
    ("✓", "well:"),
    ("✗", "wrong:"),
    ("○", "left:"),
    ("→", "next:"),
    ("↻", "again:"),
    ("↯", "struck:"),
    ("!", "care:"),
    ("?", "question:"),
    ("=", "same:"),
    ("+", "add:"),
    ("~", "change:"),
    ("-", "remove:"),
    ("·", "also:"),
    ("▸", "now:"),
    ("…", "more:"),
];

/// What stands before words of others, and what is said in its place: those words stay as they are.
const QUOTES: &[(&str, &str)] = &[("│", "log:"), (LINE, "line:")];
/// Stands before a line of somebody's file.
pub(crate) const LINE: &str = "┃";

/// What stands between words, and what is said in its place.
const BETWEEN: &[(&str, &str)] = &[(" → ", " to "), (" · ", ", "), ("…", "..."), ("×", "times "), ("·", "")];

/// From now on everything is said in words.
pub(crate) fn turn_on() {
    ON.store(true, Ordering::Relaxed);
    anstream::ColorChoice::Never.write_global();
}

/// Whether a command line that could not be read, or the environment, asks for words.
pub(crate) fn is_wished() -> bool {
    let falsey = FalseyValueParser::new();
    let said = std::env::var_os(ASKS).and_then(|value| falsey.parse_ref(&clap::Command::new(""), None, &value).ok());
    said == Some(true) || std::env::args_os().any(|word| word == "--plain")
}

/// Whether everything is said in words.
pub(crate) fn on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Text as it is shown: as it is, or in words.
pub(crate) fn shown(text: String) -> String {
    if !on() {
        return text;
    }
    let text = anstream::adapter::strip_str(&text).to_string();
    text.lines().map(worded).collect::<Vec<_>>().join("\n")
}

/// A line in words.
fn worded(line: &str) -> String {
    let words = line.trim_start();
    let blanks = &line[..line.len() - words.len()];
    // The branches of a tree: a step in for each.
    let after = words.trim_start_matches(['├', '└', '─', '│', ' ', '\u{a0}']);
    let is_tree = words.contains("── ");
    let (blanks, words) = match is_tree {
        true => ("  ".repeat((line.chars().count() - after.chars().count()) / 4), after),
        false => (blanks.to_string(), words),
    };
    let quote = QUOTES.iter().find_map(|(sign, said)| Some((said, words.strip_prefix(sign)?.strip_prefix(' ')?)));
    if let Some((said, quoted)) = quote {
        return format!("{blanks}{said} {quoted}");
    }
    let mut words = words.to_string();
    // More than one blank holds columns apart, and columns are not heard.
    while words.contains("  ") {
        words = words.replace("  ", " ");
    }
    let sign = SIGNS.iter().find_map(|(sign, said)| Some((said, words.strip_prefix(sign)?.strip_prefix(' ')?)));
    let mut words = sign.map_or_else(|| words.clone(), |(said, rest)| format!("{said} {rest}"));
    for (drawn, said) in BETWEEN {
        words = words.replace(drawn, said);
    }
    format!("{blanks}{words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_a_word() {
        assert_eq!(worded("✓ hosts          set up host web-1 14.2 s"), "well: hosts set up host web-1 14.2 s");
        assert_eq!(worded("├── + create machine web-1  at pve · 2 GiB"), "  add: create machine web-1 at pve, 2 GiB");
        assert_eq!(worded("│   └── Ingress a/b"), "    Ingress a/b");
        assert_eq!(worded("    │ disk full"), "    log: disk full");
        assert_eq!(worded("  ┃ name: a → b  · c ×2"), "  line: name: a → b  · c ×2");
        assert_eq!(worded("→ `kubewright apply` goes on"), "next: `kubewright apply` goes on");
        assert_eq!(worded("web-1: v1.33 → v1.34"), "web-1: v1.33 to v1.34");
        assert_eq!(worded("3 steps: +2 to add, ·1 in between"), "3 steps: +2 to add, 1 in between");
        assert_eq!(worded("-1 is no number"), "-1 is no number");
    }
}
