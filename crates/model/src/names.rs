//! Patterns that name the nodes of a pool: `k3s-agent-{n}`, `k3s-worker-{nn}`.

use serde::{Deserialize, Serialize};

use crate::ids::NodeName;
use crate::spec::formats::{Format, dns_label, schema_for_format};

/// A name with one counter in it. `{n}` counts 1, 2, 3; `{nn}` counts 01, 02, 03; without a counter it names one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamePattern(String);

impl NamePattern {
    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes a pattern from text that is known to be well-formed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether the pattern can name more than one node.
    pub fn counts(&self) -> bool {
        self.counter().is_some()
    }

    /// The name of the node with this ordinal, counted from 1.
    pub fn name(&self, ordinal: usize) -> NodeName {
        match self.counter() {
            None => NodeName::new(self.0.as_str()),
            Some((start, width)) => {
                let end = start + width + 2;
                NodeName::new(format!("{}{:0width$}{}", &self.0[..start], ordinal, &self.0[end..]))
            }
        }
    }

    /// Where the counter starts and how many digits it has at least.
    fn counter(&self) -> Option<(usize, usize)> {
        let start = self.0.find('{')?;
        let end = self.0[start..].find('}')? + start;
        let inner = &self.0[start + 1..end];
        // A host name has 63 characters, and the standard library pads no further than it can count.
        let wide = (1..=63).contains(&inner.len());
        (wide && inner.bytes().all(|b| b == b'n')).then_some((start, inner.len()))
    }
}

impl Format for NamePattern {
    const NAME: &'static str = "name-pattern";
    const EXAMPLE: &'static str = "k3s-agent-{n}";

    fn check(text: &str) -> Result<(), String> {
        let pattern = NamePattern::new(text);
        if !pattern.counts() && text.contains(['{', '}']) {
            return Err("the only counters are {n} (1, 2, 3) and {nn} (01, 02, 03)".into());
        }
        let name = pattern.name(1);
        if name.as_str().contains(['{', '}']) {
            return Err("a name has at most one counter".into());
        }
        dns_label(name.as_str())
    }
}

schema_for_format!(NamePattern);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_padded_as_written() {
        assert_eq!(NamePattern::new("k3s-agent-{n}").name(12).as_str(), "k3s-agent-12");
        assert_eq!(NamePattern::new("k3s-worker-{nn}").name(3).as_str(), "k3s-worker-03");
        assert_eq!(NamePattern::new("a{nnn}-x").name(1000).as_str(), "a1000-x");
        assert_eq!(NamePattern::new("obsy").name(1).as_str(), "obsy");
    }

    #[test]
    fn bad_patterns_say_why() {
        assert!(NamePattern::check("k3s-{x}").is_err());
        assert!(NamePattern::check("a{n}b{n}").is_err());
        assert!(NamePattern::check("-a{n}").is_err());
        assert!(NamePattern::check(&format!("a{{{}}}", "n".repeat(70_000))).is_err());
        assert!(NamePattern::check("a-{n}").is_ok());
    }
}
