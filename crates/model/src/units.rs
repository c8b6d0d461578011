//! Sizes and durations as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::net::text_format;
use crate::spec::formats::{Format, schema_for_format};

/// An amount of memory or disk in binary units: `512Mi`, `4Gi`, `1Ti`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size {
    mebibytes: u64,
}

impl Size {
    /// So many MiB.
    pub const fn from_mib(mebibytes: u64) -> Self {
        Self { mebibytes }
    }

    /// So many GiB.
    pub const fn from_gib(gibibytes: u64) -> Self {
        Self { mebibytes: gibibytes * 1024 }
    }

    /// The size in MiB.
    pub const fn mib(&self) -> u64 {
        self.mebibytes
    }

    /// The size in whole GiB, rounded up.
    pub const fn gib(&self) -> u64 {
        self.mebibytes.div_ceil(1024)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: u64 = number.parse().map_err(|_| "it has no number: write for example 4Gi".to_string())?;
        let scale = match unit {
            "Mi" | "MiB" => 1,
            "Gi" | "GiB" => 1024,
            "Ti" | "TiB" => 1024 * 1024,
            "" => return Err(format!("it has no unit: write {number}Mi or {number}Gi")),
            "M" | "MB" | "G" | "GB" | "T" | "TB" => {
                return Err(format!("units are binary: write {number}{}i", &unit[..1]));
            }
            other => return Err(format!("`{other}` is no unit; use Mi, Gi or Ti")),
        };
        let mebibytes = number.checked_mul(scale).ok_or("it is too large")?;
        if mebibytes == 0 {
            return Err("it must be more than nothing".into());
        }
        Ok(Self { mebibytes })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.mebibytes {
            m if m % (1024 * 1024) == 0 => format!("{}Ti", m / 1024 / 1024),
            m if m % 1024 == 0 => format!("{}Gi", m / 1024),
            m => format!("{m}Mi"),
        };
        f.pad(&text)
    }
}

text_format!(Size, "size", "4Gi");

/// A length of time: `30s`, `5m`, `12h`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

impl Span {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The span as the standard library's type.
    pub const fn duration(&self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text).map(Self).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&humantime::format_duration(self.0).to_string())
    }
}

text_format!(Span, "duration", "5m");

/// How little memory a machine is left with when its hypervisor is short of it: `2Gi`, or `never` for a machine that
/// keeps all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Balloon(Option<Size>);

impl Balloon {
    /// Down to this size; without one, it keeps all.
    pub const fn new(least: Option<Size>) -> Self {
        Self(least)
    }

    /// The least memory; none where the machine keeps all of it.
    pub const fn least(&self) -> Option<Size> {
        self.0
    }
}

impl FromStr for Balloon {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        text.parse().map(|least| Self(Some(least))).map_err(|error| format!("{error}; or write `never`"))
    }
}

impl fmt::Display for Balloon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(least) => write!(f, "{least}"),
            None => f.pad("never"),
        }
    }
}

text_format!(Balloon, "balloon", "2Gi");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_and_say_so() {
        assert_eq!("4Gi".parse::<Size>().unwrap().mib(), 4096);
        assert_eq!("3072Mi".parse::<Size>().unwrap().to_string(), "3Gi");
        assert_eq!("4GB".parse::<Size>().unwrap_err(), "units are binary: write 4Gi");
        assert_eq!("4096".parse::<Size>().unwrap_err(), "it has no unit: write 4096Mi or 4096Gi");
        assert!("99999999999999999Ti".parse::<Size>().is_err());
    }
}
