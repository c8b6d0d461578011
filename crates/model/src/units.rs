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
    /// So many bytes, in whole mebibytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self::from_mib(bytes / (1024 * 1024))
    }

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

    /// What somebody most likely means by a number without a unit. Others count memory in MB and disks in GB, and a
    /// number of four digits is hardly ever one of GB.
    pub fn without_unit(number: u64) -> String {
        match number {
            0..256 => format!("{number}Gi"),
            _ if number.is_multiple_of(1024) => format!("{number}Mi or {}Gi", number / 1024),
            _ => format!("{number}Mi or {number}Gi"),
        }
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
            "" => return Err(format!("it has no unit: write {}", Self::without_unit(number))),
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

/// A moment in seconds since 1970, in UTC: `2026-11-21 07:30:12 UTC`.
///
/// Where it is read from a file it may be any number, so it is written in as many digits as its year has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment as part of a name: `20261121-073012`.
    pub fn compact(&self) -> String {
        self.to_string().replace(['-', ':'], "").replace(" UTC", "").replace(' ', "-")
    }

    /// The moment of such a part of a name; none where it is no moment.
    pub fn of_compact(text: &str) -> Option<Self> {
        let digits = |from: usize, to: usize| {
            text.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?.parse::<u64>().ok()
        };
        let (year, month, day) = (digits(0, 4)?, digits(4, 6)?, digits(6, 8)?);
        let (hour, minute, second) = (digits(9, 11)?, digits(11, 13)?, digits(13, 15)?);
        if year < 1970 || !(1..=12).contains(&month) || day == 0 || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        // As below, the other way round.
        let of_march = if month > 2 { year } else { year - 1 };
        let march = (month + 9) % 12;
        let days = of_march * 365 + of_march / 4 - of_march / 100 + of_march / 400 + (153 * march + 2) / 5 + day - 1;
        let moment = Self((days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second);
        // A day that its month does not have is another one.
        (moment.compact() == text).then_some(moment)
    }
}

impl fmt::Display for Moment {
    /// By the proleptic Gregorian calendar.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        // Years begin in March, so the day that leap years add is the last one. 719 468 days lie between 0000-03-01 and
        // 1970-01-01, and 146 097 days in 400 years.
        let day = days + 719_468;
        let (era, of_era) = (day / 146_097, day % 146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march + 2) / 5 + 1;
        let month = if march < 10 { march + 3 } else { march - 9 };
        let year = era * 400 + year + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3600, second % 3600 / 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

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
        assert_eq!("4096".parse::<Size>().unwrap_err(), "it has no unit: write 4096Mi or 4Gi");
        assert_eq!("4".parse::<Size>().unwrap_err(), "it has no unit: write 4Gi");
        assert_eq!("500".parse::<Size>().unwrap_err(), "it has no unit: write 500Mi or 500Gi");
        assert!("99999999999999999Ti".parse::<Size>().is_err());
    }

    #[test]
    fn moments_are_dates_and_times() {
        // Checked against `date -u -d @…`.
        for (seconds, date) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (253_402_300_800, "10000-01-01 00:00:00 UTC"),
        ] {
            assert_eq!(Moment(seconds).to_string(), date);
        }
        assert_eq!(Moment(1_709_251_199).compact(), "20240229-235959");
        for seconds in (0..4_000_000_000).step_by(7_654_321) {
            assert_eq!(Moment::of_compact(&Moment(seconds).compact()), Some(Moment(seconds)));
        }
        for wrong in
            ["20230229-000000", "20241301-000000", "20240229-240000", "2024", "20240229-2359590", "x0240229-235959"]
        {
            assert_eq!(Moment::of_compact(wrong), None, "{wrong}");
        }
        assert!(Moment(u64::MAX).to_string().ends_with(" UTC"), "a journal may hold any number");
    }
}
