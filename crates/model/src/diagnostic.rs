//! What is wrong with the user's input, as data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codes::Code;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The spec cannot be used.
    Error,
    /// The spec can be used, and is probably not what was meant.
    Warning,
}

/// Where in the spec: a JSON pointer such as `/spec/pools/agents/addresses/0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpecPath(String);

impl SpecPath {
    /// The whole file.
    pub fn root() -> Self {
        Self::default()
    }

    /// A path from a JSON pointer.
    pub fn pointer(pointer: impl Into<String>) -> Self {
        Self(pointer.into())
    }

    /// The path one level down.
    #[must_use]
    pub fn then(&self, segment: impl fmt::Display) -> Self {
        let segment = segment.to_string().replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{segment}", self.0))
    }

    /// The path one level up; none at the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_string()))
    }

    /// The segments in order, unescaped.
    pub fn segments(&self) -> impl Iterator<Item = String> + '_ {
        self.0.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"))
    }

    /// The path as a JSON pointer.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shows the path as people write it: `spec.pools.agents.addresses[0]`.
impl fmt::Display for SpecPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.segments().enumerate() {
            if segment.parse::<usize>().is_ok() {
                write!(f, "[{segment}]")?;
            } else if i == 0 {
                write!(f, "{segment}")?;
            } else {
                write!(f, ".{segment}")?;
            }
        }
        Ok(())
    }
}

/// A stretch of one line of the source. Lines and columns count from 1, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Which of the files: 0 is the spec, and 1 the environment on top of it.
    #[serde(default, skip_serializing_if = "is_spec")]
    pub file: usize,
    /// The line.
    pub line: usize,
    /// The column of the first character.
    pub column: usize,
    /// How many characters.
    pub length: usize,
}

fn is_spec(file: &usize) -> bool {
    *file == 0
}

/// One thing that is wrong with the user's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Which rule; `kubewright explain CODE` tells more.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where in the spec.
    pub path: SpecPath,
    /// Where in the source text, when it is known.
    pub at: Option<Place>,
    /// What to do.
    pub help: Option<String>,
    /// The place holds a secret: the source line must not be shown as it is.
    pub secret: bool,
}

impl Diagnostic {
    /// A diagnostic of the code's own severity at a path of the spec.
    pub fn new(code: Code, path: SpecPath, message: impl Into<String>) -> Self {
        Self { code, severity: code.severity(), message: message.into(), path, at: None, help: None, secret: false }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets the place in the source text.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.at = Some(place);
        self
    }
}

/// The known word that is nearest to a misspelt one; none if all are far.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        // Below 0.8 the suggestions are more odd than helpful.
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_people_write_them() {
        let path = SpecPath::root().then("spec").then("pools").then("agents").then("addresses").then(0);
        assert_eq!(path.to_string(), "spec.pools.agents.addresses[0]");
        assert_eq!(path.as_str(), "/spec/pools/agents/addresses/0");
        assert_eq!(SpecPath::root().then("a/b").segments().collect::<Vec<_>>(), ["a/b"]);
    }

    #[test]
    fn near_words_are_found() {
        assert_eq!(nearest("adresses", ["addresses", "names"]), Some("addresses"));
        assert_eq!(nearest("zzz", ["addresses", "names"]), None);
    }
}
