//! When a certificate holds: two times out of its DER, and whose it is.
//!
//! RFC 5280, 4.1: a Certificate is a SEQUENCE of a TBSCertificate, which holds in order version (tagged 0, optional), serial,
//! signature, issuer, validity, subject.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A certificate, as far as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Seconds since 1970.
    pub(super) not_before: u64,
    /// Seconds since 1970.
    pub(super) not_after: u64,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// The certificates of a text in PEM, in order. What cannot be read is left out.
pub(super) fn certificates(text: &str) -> Vec<Certificate> {
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    blocks.filter_map(|block| one(block.split("-----END").next()?)).collect()
}

fn one(encoded: &str) -> Option<Certificate> {
    let text: String = encoded.chars().filter(|c| !c.is_whitespace()).collect();
    let der = STANDARD.decode(text).ok()?;
    let (_, certificate, _) = part(&der)?;
    let (_, signed, _) = part(certificate)?;
    let (mut tag, _, mut rest) = part(signed)?;
    if tag == VERSION {
        (tag, _, rest) = part(rest)?;
    }
    if tag != INTEGER {
        return None;
    }
    // The signature's algorithm and the issuer stand between.
    let (_, _, rest) = part(rest)?;
    let (_, _, rest) = part(rest)?;
    let (tag, validity, _) = part(rest)?;
    if tag != SEQUENCE {
        return None;
    }
    let (tag, from, rest) = part(validity)?;
    let (tag_until, until, _) = part(rest)?;
    Some(Certificate { not_before: time(tag, from)?, not_after: time(tag_until, until)? })
}

/// The first part of DER: its tag, what is in it, and what comes after it.
fn part(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (inside, rest) = rest.split_at_checked(length)?;
    Some((tag, inside, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280, 4.1.2.5): years from 50 on are of the last century.
fn time(tag: u8, text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, at) = match tag {
        UTC_TIME => (number(0, 2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        GENERALIZED_TIME => (number(0, 4)?, 4),
        _ => return None,
    };
    let (month, day) = (number(at, at + 2)?, number(at + 2, at + 4)?);
    let (hour, minute, second) = (number(at + 4, at + 6)?, number(at + 6, at + 8)?, number(at + 8, at + 10)?);
    Some(days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970 of a day of the Gregorian calendar.
pub(super) fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let before = BEFORE.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    let years = year.checked_sub(1970)? * 365 + leaps(year - 1) - leaps(1969);
    Some(years + before + u64::from(month > 2 && is_leap(year)) + day.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 3, 1), Some(11_017));
        assert_eq!(days(2026, 11, 22), Some(20_779));
        assert_eq!(days(2026, 13, 1), None);
    }

    #[test]
    fn what_is_no_certificate_is_left_out() {
        assert!(certificates("nothing").is_empty());
        assert!(certificates("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").is_empty());
        assert_eq!(time(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(time(GENERALIZED_TIME, b"20000301000001Z"), Some(11_017 * 86_400 + 1));
        assert_eq!(part(&[0x30, 0x82, 0x01]), None);
    }
}
