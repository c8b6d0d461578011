//! Until when a certificate is good.

use std::time::SystemTime;

use crate::talos::not_after;

/// Until when a certificate (DER) is good, in seconds since 1970; none where it is no certificate.
pub fn good_until(certificate: &[u8]) -> Option<u64> {
    not_after(certificate)?.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
}
