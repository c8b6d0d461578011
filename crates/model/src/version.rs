//! Versions: of Kubernetes with its distribution's suffix, and of charts.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::net::text_format;
use crate::spec::formats::{Format, schema_for_format};

/// An exact version, with or without a leading `v`: `v1.31.4+k3s1`, `1.31.4`, `0.14.8`.
///
/// The leading `v` is kept as written, because download addresses and labels have it too. Order is semantic
/// versioning's, and the build part (`k3s1`) decides between equals.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    v: bool,
    number: semver::Version,
}

/// How a version follows one that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follows {
    /// It may: it is the same, or newer by no more than one minor version.
    Well,
    /// It is an older one.
    Back,
    /// It leaves a minor version out.
    Skips {
        /// The minor version that comes next, as `v1.32`.
        next: String,
    },
}

impl Version {
    /// Makes a version from text that is known to be well-formed; `0.0.0` otherwise.
    pub fn known(text: &str) -> Self {
        text.parse().unwrap_or(Self { v: false, number: semver::Version::new(0, 0, 0) })
    }

    /// Major and minor: what version skew is counted in.
    pub fn minor(&self) -> (u64, u64) {
        (self.number.major, self.number.minor)
    }

    /// Major, minor and patch.
    pub fn patch(&self) -> (u64, u64, u64) {
        (self.number.major, self.number.minor, self.number.patch)
    }

    /// Whether it may follow one that is there, of what is neither taken back nor skips a minor version.
    pub fn follows(&self, there: &Self) -> Follows {
        let (major, minor) = there.minor();
        if self < there {
            Follows::Back
        } else if self.minor() > (major, minor + 1) {
            Follows::Skips { next: format!("v{major}.{}", minor + 1) }
        } else {
            Follows::Well
        }
    }

    /// The distribution's own part: `k3s1` of `v1.31.4+k3s1`; empty when there is none.
    pub fn build(&self) -> &str {
        self.number.build.as_str()
    }

    /// Whether it is a release candidate or the like.
    pub fn is_prerelease(&self) -> bool {
        !self.number.pre.is_empty()
    }

    /// The version without its leading `v`.
    pub fn bare(&self) -> String {
        self.number.to_string()
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number).then(self.v.cmp(&other.v))
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (v, bare) = match text.strip_prefix('v') {
            Some(bare) => (true, bare),
            None => (false, text),
        };
        let number =
            semver::Version::parse(bare).map_err(|error| format!("{error}; an exact version has three numbers"))?;
        Ok(Self { v, number })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}{}", if self.v { "v" } else { "" }, self.number))
    }
}

text_format!(Version, "version", "v1.31.4+k3s1");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_part_decides_between_equals() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("v1.31.4+k3s1") < version("v1.31.4+k3s2"));
        assert!(version("v1.31.9+k3s1") < version("v1.31.10+k3s1"));
        assert_eq!(version("v1.31.4+k3s1").build(), "k3s1");
        assert_eq!(version("v1.31.4+k3s1").to_string(), "v1.31.4+k3s1");
        assert!("1.31".parse::<Version>().is_err());
    }
}
