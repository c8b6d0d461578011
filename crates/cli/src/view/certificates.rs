//! Until when certificates are good: told in every `status`, warned of before, red afterwards.

use std::collections::BTreeSet;

use kubewright_model::observed::{ENDS_SOON, Observed, Seen, is_of_an_authority, renewed_by};
use kubewright_model::units::Moment;

use crate::screen::{BAD, CARE, DIM, counted, paint};

const DAY: u64 = 86_400;

/// A certificate, where it is, and until when it is good.
struct Certificate<'o> {
    of: &'o str,
    place: &'o str,
    until: u64,
}

/// The lines about certificates: one for all that are good for long, and one for each that is not. Nothing where nobody
/// tells of any.
pub(crate) fn told(observed: &Observed, now: u64) -> Vec<String> {
    let hosts = observed.hosts.iter().filter_map(|(name, seen)| Some((name.as_str(), &seen.present()?.certificates)));
    let served =
        observed.cluster.as_ref().and_then(Seen::present).map(|seen| ("the API server at", &seen.certificates));
    let all = hosts
        .chain(served)
        .flat_map(|(of, all)| all.iter().map(move |(place, until)| Certificate { of, place, until: *until }));
    let mut all: Vec<Certificate<'_>> = all.collect();
    all.sort_by_key(|certificate| certificate.until);
    let Some(first) = all.first() else { return Vec::new() };
    let now = seen_at(observed).unwrap_or(now);
    let ends = |certificate: &&Certificate<'_>| certificate.until <= now + ENDS_SOON;
    let bad = all.iter().filter(ends);
    let lines = bad.map(|Certificate { of, place, until }| match until.checked_sub(now) {
        Some(left) if left > 0 => {
            let left = counted(usize::try_from(left / DAY).unwrap_or(usize::MAX), "day");
            format!("{} {of} {place}: good for {left}, until {}", paint(CARE, "certificate"), Moment(*until))
        }
        _ => format!("{} {of} {place}: expired since {}", paint(BAD, "certificate"), Moment(*until)),
    });
    let mut lines: Vec<String> = lines.collect();
    let renewed = all.iter().filter(|it| ends(it) && !is_of_an_authority(it.place)).map(|it| renewed_by(it.place));
    let renewed: BTreeSet<&str> = renewed.collect();
    lines.extend(renewed.into_iter().map(|how| format!("→ {how}")));
    if lines.is_empty() {
        let many = counted(all.len(), "certificate");
        let days = counted(usize::try_from((first.until - now) / DAY).unwrap_or(usize::MAX), "day");
        lines.push(paint(DIM, format!("{many}, the first ends in {days}: {} {}", first.of, first.place)));
    }
    lines
}

/// When hosts told: a pretend data centre has a time of its own.
fn seen_at(observed: &Observed) -> Option<u64> {
    observed.hosts.values().find_map(|seen| seen.present()?.at)
}

/// Whether one of them is good no more.
pub(crate) fn expired(observed: &Observed, now: u64) -> bool {
    let now = seen_at(observed).unwrap_or(now);
    let hosts = observed.hosts.values().filter_map(|seen| Some(&seen.present()?.certificates));
    let served = observed.cluster.as_ref().and_then(Seen::present).map(|seen| &seen.certificates);
    hosts.chain(served).flat_map(|all| all.values()).any(|until| *until <= now)
}

#[cfg(test)]
mod tests {
    use kubewright_model::observed::HostSeen;

    use super::*;

    fn seen(certificates: &[(&str, u64)]) -> Observed {
        let certificates = certificates.iter().map(|(place, until)| ((*place).to_string(), *until)).collect();
        let host = HostSeen { certificates, ..HostSeen::default() };
        Observed { hosts: [("one".into(), Seen::Present(host))].into(), ..Observed::default() }
    }

    #[test]
    fn the_next_to_end_is_told_and_what_ends_soon_is_warned_of() {
        let now = 1_800_000_000;
        let plain = |observed: &Observed| {
            told(observed, now).iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect::<Vec<_>>()
        };
        assert!(plain(&Observed::default()).is_empty());
        let far = seen(&[("/a.crt", now + 40 * DAY), ("/b.crt", now + 300 * DAY)]);
        assert_eq!(plain(&far), ["2 certificates, the first ends in 40 days: one /a.crt"]);
        let near = seen(&[("/a.crt", now + 300 * DAY), ("/b.crt", now + 29 * DAY), ("/c.crt", now)]);
        assert_eq!(
            plain(&near),
            [
                "certificate one /c.crt: expired since 2027-01-15 08:00:00 UTC",
                "certificate one /b.crt: good for 29 days, until 2027-02-13 08:00:00 UTC",
                "→ `kubewright rotate certificates` has them made anew"
            ]
        );
        assert!(expired(&near, now) && !expired(&far, now));
    }

    #[test]
    fn what_a_kubelet_shows_is_renewed_by_nobody_here() {
        let observed = seen(&[("/var/lib/kubelet/pki/kubelet-server-current.pem", 1)]);
        let lines = told(&observed, 2);
        assert!(lines.last().is_some_and(|last| last.contains("kubectl get csr")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("rotate certificates")), "{lines:?}");
    }
}
