//! Which bundles stay: the newest ones, and the last of so many hours, days, weeks and months that have any. All in UTC;
//! weeks begin on Monday.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::spec::backup::Keep;
use kubewright_model::units::Moment;

/// Why each bundle stays, by when it was made: `last`, `daily`. One that nothing keeps has no reasons.
pub fn kept(made: impl IntoIterator<Item = Moment>, keep: &Keep) -> BTreeMap<Moment, Vec<&'static str>> {
    let mut all: BTreeMap<Moment, Vec<&'static str>> = made.into_iter().map(|at| (at, Vec::new())).collect();
    // The newest one stays whatever is said.
    for (_, why) in all.iter_mut().rev().take(keep.last.max(1) as usize) {
        why.push("last");
    }
    type Turn = fn(Moment) -> u64;
    let turns: [(&'static str, u32, Turn); 4] = [
        ("hourly", keep.hourly, |at| at.0 / 3600),
        ("daily", keep.daily, |at| at.0 / 86_400),
        // The first of January 1970 was a Thursday.
        ("weekly", keep.weekly, |at| (at.0 / 86_400 + 3) / 7),
        ("monthly", keep.monthly, |at| at.compact().get(..6).and_then(|month| month.parse().ok()).unwrap_or_default()),
    ];
    for (word, many, turn) in turns {
        let mut had = BTreeSet::new();
        for (at, why) in all.iter_mut().rev() {
            if had.len() < many as usize && had.insert(turn(*at)) {
                why.push(word);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment::of_compact(text).unwrap_or_else(|| panic!("{text} is no moment"))
    }

    fn told(made: &[Moment], keep: &Keep) -> String {
        let lines = kept(made.iter().copied(), keep).into_iter().rev();
        lines
            .map(|(at, why)| format!("{at}  {}\n", if why.is_empty() { "goes".into() } else { why.join(" ") }))
            .collect()
    }

    #[test]
    fn the_last_of_each_turn_stays() {
        let made: Vec<Moment> = [
            "20261122-180000",
            "20261122-174500",
            "20261122-170000",
            "20261122-060000",
            "20261121-180000",
            "20261121-060000",
            "20261120-180000",
            "20261116-000000",
            "20261115-235959",
            "20261108-120000",
            "20261031-120000",
            "20261001-120000",
            "20260930-120000",
            "20251231-120000",
        ]
        .map(at)
        .to_vec();
        let keep = Keep { last: 2, hourly: 3, daily: 3, weekly: 3, monthly: 4 };
        let expected = "\
2026-11-22 18:00:00 UTC  last hourly daily weekly monthly
2026-11-22 17:45:00 UTC  last hourly
2026-11-22 17:00:00 UTC  goes
2026-11-22 06:00:00 UTC  hourly
2026-11-21 18:00:00 UTC  daily
2026-11-21 06:00:00 UTC  goes
2026-11-20 18:00:00 UTC  daily
2026-11-16 00:00:00 UTC  goes
2026-11-15 23:59:59 UTC  weekly
2026-11-08 12:00:00 UTC  weekly
2026-10-31 12:00:00 UTC  monthly
2026-10-01 12:00:00 UTC  goes
2026-09-30 12:00:00 UTC  monthly
2025-12-31 12:00:00 UTC  monthly
";
        assert_eq!(told(&made, &keep), expected);
    }

    #[test]
    fn what_is_kept_is_kept_again_and_the_newest_always() {
        let keep = Keep { last: 1, hourly: 0, daily: 7, weekly: 4, monthly: 6 };
        let mut there: BTreeSet<Moment> = BTreeSet::new();
        for hour in 0..24 * 400_u64 {
            let now = Moment(1_767_225_600 + hour * 3600);
            there.insert(now);
            let stay = kept(there.iter().copied(), &keep);
            assert!(!stay[&now].is_empty());
            there.retain(|at| !stay[at].is_empty());
            let again = kept(there.iter().copied(), &keep);
            assert!(again.values().all(|why| !why.is_empty()), "what stays once stays until something new comes");
        }
        // Pruning as one goes keeps what pruning at the end keeps.
        let all = kept((0..24 * 400_u64).map(|hour| Moment(1_767_225_600 + hour * 3600)), &keep);
        let at_the_end: BTreeSet<Moment> = all.iter().filter(|(_, why)| !why.is_empty()).map(|(at, _)| *at).collect();
        assert_eq!(there, at_the_end);
        let none = Keep { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0 };
        assert_eq!(kept([Moment(5), Moment(9)], &none).values().filter(|why| !why.is_empty()).count(), 1);
    }
}
