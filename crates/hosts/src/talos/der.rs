//! The few fields of a certificate that nothing else here tells: until when it is valid, and for which organizations.
//!
//! The form is RFC 5280, section 4.1: `Certificate { tbsCertificate { [0] version, serialNumber, signature, issuer,
//! validity { notBefore, notAfter }, subject, … }, … }`.

use std::time::{Duration, SystemTime};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `id-at-organizationName`, 2.5.4.10.
const ORGANIZATION: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x0a];

/// One element: its tag and content, and what comes after it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The elements of some content, as far as they are well formed.
fn elements(content: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let (tag, content, after) = element(rest)?;
        rest = after;
        Some((tag, content))
    })
}

/// What a certificate says from its issuer on: issuer, validity, subject.
fn named(certificate: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let whole = element(certificate).map_or(&[][..], |(_, content, _)| content);
    let signed = element(whole).map_or(&[][..], |(_, content, _)| content);
    // The version stands there unless it is 1; serial number and signature come before the issuer.
    elements(signed).skip_while(|(tag, _)| *tag == VERSION).skip(2)
}

/// Until when a certificate is valid.
pub(crate) fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let (_, validity) = named(certificate).nth(1).filter(|(tag, _)| *tag == SEQUENCE)?;
    let (tag, text) = elements(validity).nth(1)?;
    moment(tag, std::str::from_utf8(text).ok()?)
}

/// The organizations of a certificate's subject: in Talos' client certificates these are roles.
pub(super) fn organizations(certificate: &[u8]) -> Vec<String> {
    let subject = named(certificate).nth(2).map_or(&[][..], |(_, content)| content);
    let sets = elements(subject).filter(|(tag, _)| *tag == SET);
    let attributes = sets.flat_map(|(_, set)| elements(set));
    let values = attributes.filter_map(|(_, attribute)| attribute.strip_prefix(ORGANIZATION).and_then(element));
    values.map(|(_, text, _)| String::from_utf8_lossy(text).into_owned()).collect()
}

/// `YYMMDDHHMMSSZ` with years from 1950 on, or `YYYYMMDDHHMMSSZ`.
fn moment(tag: u8, text: &str) -> Option<SystemTime> {
    let text = match tag {
        UTC_TIME if text < "5" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_string(),
        _ => return None,
    };
    let digits = text.strip_suffix('Z').filter(|digits| digits.len() == 14)?;
    let part = |from: usize, to: usize| digits.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let seconds = part(8, 10)? * 3600 + part(10, 12)? * 60 + part(12, 14)?;
    let days = days(year, month, day)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(days * 86400 + seconds))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; none for dates before, and for no dates.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let before = BEFORE.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let whole = (year.checked_sub(1970)?) * 365 + leaps(year - 1) - leaps(1969);
    Some(whole + before + u64::from(leap && month > 2) + day.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(tag: u8, text: &str) -> Option<u64> {
        moment(tag, text)?.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        assert_eq!(seconds(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(seconds(UTC_TIME, "240229123456Z"), Some(1_709_210_096));
        assert_eq!(seconds(UTC_TIME, "330522121443Z"), Some(2_000_376_883));
        assert_eq!(seconds(GENERALIZED_TIME, "20500301000000Z"), Some(2_529_705_600));
        assert_eq!(seconds(GENERALIZED_TIME, "21000301000000Z"), Some(4_107_542_400));
        for (tag, text) in [(UTC_TIME, "330522121443"), (UTC_TIME, "331322121443Z"), (0x16, "330522121443Z")] {
            assert_eq!(seconds(tag, text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_certificate_tells_nothing() {
        for bytes in
            [&[][..], &[0x30], &[0x30, 0x85, 1, 1, 1, 1, 1], &[0x30, 0x82, 0xff, 0xff, 0], b"not a certificate"]
        {
            assert_eq!((not_after(bytes), organizations(bytes)), (None, vec![]));
        }
    }
}
