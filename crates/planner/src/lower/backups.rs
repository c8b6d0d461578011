//! The job that backs whole machines up, in the words of the provider that keeps it.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::desired::DesiredBackupJob;
use kubewright_model::ids::{NodeName, ProviderName};
use kubewright_model::spec::backup::Keep;

use super::machines::provider;
use crate::context::Context;

/// A job for each Proxmox cluster that has machines, where the spec wants any.
pub(super) fn jobs(context: &Context<'_>) -> Vec<DesiredBackupJob> {
    let wish = context.file.spec.backup.as_ref().and_then(|backup| backup.machines.as_ref());
    let Some((wish, schedule)) = wish.and_then(|wish| Some((wish, calendar(&wish.schedule)?))) else {
        return Vec::new();
    };
    let mut machines: BTreeMap<ProviderName, Vec<NodeName>> = BTreeMap::new();
    for node in context.nodes.iter().filter(|node| node.pool.proxmox.is_some()) {
        machines.entry(provider(node.pool)).or_default().push(node.name.clone());
    }
    let job = |(provider, machines)| DesiredBackupJob {
        provider,
        schedule: schedule.clone(),
        storage: wish.storage.clone(),
        keep: keep(&wish.keep),
        machines,
    };
    machines.into_iter().map(job).collect()
}

/// <https://pve.proxmox.com/pve-docs/chapter-vzdump.html>, "Backup Retention".
fn keep(keep: &Keep) -> String {
    let parts = [("daily", keep.daily), ("last", keep.last), ("monthly", keep.monthly), ("weekly", keep.weekly)];
    let kept = parts.into_iter().filter(|(_, number)| *number > 0);
    kept.map(|(what, number)| format!("keep-{what}={number}")).collect::<Vec<_>>().join(",")
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A cron expression as a calendar event: `30 2 * * 6` is `sat 2:30`. Steps and ranges are written out, so that only the
/// simplest of what calendar events know is needed. Cron runs where the day of the month or that of the week fits, and a
/// calendar event where both do, so an expression with both has none.
/// <https://pve.proxmox.com/pve-docs/chapter-calendar-events.html>
pub(crate) fn calendar(cron: &str) -> Option<String> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else { return None };
    let minutes = values(minute, 0, 59, &[])?;
    let hours = values(hour, 0, 23, &[])?;
    let (days, months) = (values(day, 1, 31, &[])?, values(month, 1, 12, &MONTHS)?);
    // Seven is Sunday once more.
    let weekdays: BTreeSet<u32> = values(weekday, 0, 7, &DAYS)?.into_iter().map(|day| day % 7).collect();
    let all_days = days.len() == 31;
    if !all_days && weekdays.len() < 7 {
        return None;
    }
    let list = |values: &BTreeSet<u32>, all: usize| match values.len() {
        whole if whole == all => "*".to_string(),
        _ => values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    };
    let mut parts = Vec::new();
    if weekdays.len() < 7 {
        parts.push(weekdays.iter().map(|day| DAYS[*day as usize]).collect::<Vec<_>>().join(","));
    }
    if !all_days || months.len() < 12 {
        parts.push(format!("*-{}-{}", list(&months, 12), list(&days, 31)));
    }
    parts.push(format!("{}:{}", list(&hours, 24), list(&minutes, 60)));
    Some(parts.join(" "))
}

/// A cron expression as calendar events of systemd's, of which any starts a timer: with a day of the month and a day of the
/// week there are two. None where it is no cron expression.
/// <https://www.freedesktop.org/software/systemd/man/latest/systemd.time.html#Calendar%20Events>
pub fn hours(cron: &str) -> Vec<String> {
    if let Some(event) = calendar(cron) {
        return vec![event];
    }
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else { return Vec::new() };
    let either = [format!("{minute} {hour} {day} {month} *"), format!("{minute} {hour} * {month} {weekday}")];
    either.iter().filter_map(|cron| calendar(cron)).collect()
}

/// The numbers that a field of a cron expression means.
fn values(field: &str, first: u32, last: u32, names: &[&str]) -> Option<BTreeSet<u32>> {
    let number = |text: &str| {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text)).map(|at| at as u32 + first);
        named.or_else(|| text.parse().ok()).filter(|number| (first..=last).contains(number))
    };
    let mut all = BTreeSet::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').unwrap_or((part, ""));
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (first, last),
            Some((from, to)) => (number(from)?, number(to)?),
            // `5/10` is every tenth from the fifth on.
            None => (number(range)?, if step.is_empty() { number(range)? } else { last }),
        };
        let step: usize = if step.is_empty() { 1 } else { step.parse().ok().filter(|step| *step > 0)? };
        all.extend((from..=to).step_by(step));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_expressions_are_calendar_events() {
        let cases = [
            ("30 2 * * *", "2:30"),
            ("0 */12 * * *", "0,12:0"),
            ("*/20 8-10 * * *", "8,9,10:0,20,40"),
            ("0 3 * * 6,7", "sun,sat 3:0"),
            ("0 3 * * mon-fri", "mon,tue,wed,thu,fri 3:0"),
            ("15 4 1 * *", "*-*-1 4:15"),
            ("15 4 1,15 jan,7 *", "*-1,7-1,15 4:15"),
            ("* * * * *", "*:*"),
        ];
        for (cron, event) in cases {
            assert_eq!(calendar(cron).as_deref(), Some(event), "{cron}");
        }
        assert_eq!(calendar("0 3 1 * 5"), None, "either day is not both days");
        assert_eq!(calendar("0 25 * * *"), None);
        assert_eq!(hours("0 3 1 * 5"), ["*-*-1 3:0", "fri 3:0"], "and either is either");
        assert_eq!(hours("0 3 * * *"), ["3:0"]);
        assert_eq!(hours("0 25 * * 1"), Vec::<String>::new());
    }

    #[test]
    fn only_what_is_kept_is_told() {
        let all = Keep { last: 3, hourly: 0, daily: 7, weekly: 0, monthly: 2 };
        assert_eq!(keep(&all), "keep-daily=7,keep-last=3,keep-monthly=2");
    }
}
