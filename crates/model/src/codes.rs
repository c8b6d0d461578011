//! The index of diagnostics: every code, what it means, and how to mend it.
//!
//! A code's number never changes its meaning. The pages of `kubewright explain` and of the reference come from here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::diagnostic::Severity;

/// The number of a rule, shown as `KW0101`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Code(u16);

impl Code {
    /// The code written as `KW0101`, `kw0101` or `101`; none if there is no such code.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let number: u16 = digits.parse().ok()?;
        INDEX.iter().map(|entry| entry.code).find(|code| code.0 == number)
    }

    /// What the index says of the code.
    pub fn entry(self) -> &'static Entry {
        INDEX.iter().find(|entry| entry.code == self).unwrap_or(&INDEX[0])
    }

    /// How bad a diagnostic with this code is.
    pub fn severity(self) -> Severity {
        self.entry().severity
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KW{:04}", self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KW{:04}", self.0)
    }
}

impl TryFrom<String> for Code {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("there is no code {text}"))
    }
}

impl From<Code> for String {
    fn from(code: Code) -> String {
        code.to_string()
    }
}

/// What the index says of a code.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The code.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Why it is refused and how it is mended, in a few sentences.
    pub text: &'static str,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $number:literal $severity:ident $name:ident = $title:literal, $text:literal;)*) => {
        $(#[doc = $title] pub const $name: Code = Code($number);)*

        /// Every code, in order.
        pub static INDEX: &[Entry] = &[
            $(Entry { code: $name, severity: Severity::$severity, title: $title, text: $text },)*
        ];
    };
}

mod index;
pub use index::*;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_once() {
        assert!(INDEX.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert_eq!(Code::parse("kw0001"), Some(SYNTAX));
        assert_eq!(Code::parse("KW9999"), None);
        assert_eq!(SYNTAX.to_string(), "KW0001");
    }
}
