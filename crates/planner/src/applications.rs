//! What Argo CD's applications wait for, and what helps those that are stuck.
//!
//! Both are read from what Argo CD says of them, in its own words and those of the API server. Hands look and do what is
//! decided here; each remedy is tried a few times and no more.

use std::collections::BTreeMap;
use std::time::Duration;

use kubewright_model::applications::{ApplicationSeen, Remedy};
use kubewright_model::checked::{Checked, Part};
use kubewright_model::ids::{Namespace, ObjectName};
use kubewright_model::spec::verify::ApplicationCheck;

/// Often enough for what passes by itself meanwhile, seldom enough that nobody waits an hour for what does not.
const TRIES: u32 = 3;
/// Argo CD says what it said before until it has looked again: a repo-server starts within half a minute, and renders for a
/// while.
const PAUSE: Duration = Duration::from_secs(60);
/// A sync is asked for when the new repo-server answers.
const REPO_SERVER: Duration = Duration::from_secs(30);
/// Resources that are told of one application.
const TOLD: usize = 3;

/// How often a remedy was tried, and how long ago the last time was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// How often.
    pub times: u32,
    /// How long ago the last time was.
    pub ago: Duration,
}

/// What is to be done for applications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: they are as they should be.
    Good,
    /// Nothing: what they wait for may come by itself.
    Waits,
    /// These, in this order.
    Mend(Vec<Remedy>),
    /// Nothing helps: why.
    Hopeless(String),
}

/// Looks whether applications are as they should be, and says what each of them waits for.
pub fn judge(check: &ApplicationCheck, there: &[ApplicationSeen]) -> Checked {
    let parts: Vec<Part> = there.iter().map(|it| part(check, it)).collect();
    let mut amiss: Vec<String> =
        parts.iter().filter(|part| !part.holds).map(|part| format!("{} is {}", part.name, part.saw)).collect();
    let wanted = check.names.iter().chain(&check.healthy);
    let absent = wanted.filter(|name| !there.iter().any(|it| it.name == **name));
    amiss.extend(absent.map(|name| format!("{name} is not there")));
    amiss.dedup();
    let synced = there.iter().filter(|it| it.sync == "Synced").count();
    let all = there.len().max(check.count as usize);
    let health = |word: &str| there.iter().filter(|it| it.health == word).count();
    let counts = ["Healthy", "Progressing", "Suspended", "Degraded", "Missing"].map(|word| (health(word), word));
    let counts: Vec<String> =
        counts.iter().filter(|(many, _)| *many > 0).map(|(many, word)| format!("{many} {word}")).collect();
    let mut saw = format!("{synced} of {all} applications Synced");
    if !counts.is_empty() {
        saw += &format!(", {}", counts.join(", "));
    }
    if there.len() < check.count as usize {
        amiss.push(format!("{} are not there yet", check.count as usize - there.len()));
    }
    if !amiss.is_empty() {
        let hint =
            "what Git holds and what Argo CD says of it tell more: `kubectl -n argocd describe application NAME`";
        saw = format!("{saw}; {}", few(&amiss));
        return Checked { saw, parts, hint: Some(hint.into()), ..Checked::default() };
    }
    let unwell = there.iter().filter(|it| ["Degraded", "Missing"].contains(&it.health.as_str()));
    let unwell: Vec<String> = unwell.map(|it| format!("{} is {}", it.name, words(it))).collect();
    let warning = (!unwell.is_empty()).then(|| few(&unwell));
    Checked { holds: true, saw, parts, warning, ..Checked::default() }
}

/// One application: whether it is as it should be, and what it waits for.
fn part(check: &ApplicationCheck, it: &ApplicationSeen) -> Part {
    Part { name: it.name.to_string(), holds: is_good(check, it), saw: words(it), ..Part::default() }
}

fn is_good(check: &ApplicationCheck, it: &ApplicationSeen) -> bool {
    let named = |names: &[ObjectName]| names.contains(&it.name);
    let healthy = !named(&check.healthy) || it.health == "Healthy";
    let comes = !named(&check.progressing) || ["Healthy", "Progressing"].contains(&it.health.as_str());
    it.sync == "Synced" && healthy && comes
}

/// `OutOfSync, Missing: its sync failed: namespaces "cert-manager" not found`.
fn words(it: &ApplicationSeen) -> String {
    let word = |word: &str| if word.is_empty() { "Unknown".to_string() } else { word.to_string() };
    let states = format!("{}, {}", word(&it.sync), word(&it.health));
    if it.sync == "Synced" && it.health == "Healthy" {
        return states;
    }
    match waits_for(it) {
        Some(why) => format!("{states}: {why}"),
        None => states,
    }
}

/// What an application waits for, by the first of these that is said.
fn waits_for(it: &ApplicationSeen) -> Option<String> {
    let said = |what: &str| if it.message.is_empty() { what.to_string() } else { format!("{what}: {}", it.message) };
    if it.is_syncing() {
        return Some(said("its sync runs"));
    }
    if it.has_failed() {
        return Some(said("its sync failed"));
    }
    if let Some((_, message)) = it.conditions.first() {
        return Some(message.clone());
    }
    if !it.resources.is_empty() {
        let told = it.resources.iter().take(TOLD).cloned().collect::<Vec<_>>().join(", ");
        let more = it.resources.len().saturating_sub(TOLD);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let manual = (it.sync == "OutOfSync" && !it.automated).then_some("; it is synced only when somebody asks");
        return Some(format!("{told}{more}{}", manual.unwrap_or_default()));
    }
    match it.sync.as_str() {
        "OutOfSync" if !it.automated => Some("it is synced only when somebody asks".into()),
        "OutOfSync" => Some("its sync has not begun".into()),
        "" | "Unknown" => Some("Argo CD has not looked at it yet".into()),
        _ => None,
    }
}

/// Decides what to do for applications, by what was done before in this run.
pub fn verdict(check: &ApplicationCheck, there: &[ApplicationSeen], done: &BTreeMap<Remedy, Tried>) -> Verdict {
    if judge(check, there).holds {
        return Verdict::Good;
    }
    let amiss: Vec<&ApplicationSeen> = there.iter().filter(|it| !is_good(check, it)).collect();
    let mut remedies: Vec<Remedy> = Vec::new();
    let mut given_up = Vec::new();
    for it in &amiss {
        match course(it, done) {
            Course::Try(these) => remedies.extend(these),
            Course::Over(why) => given_up.push(format!("{}: {why}", it.name)),
            Course::Waits => {}
        }
    }
    remedies.sort();
    remedies.dedup();
    if !remedies.is_empty() {
        return Verdict::Mend(remedies);
    }
    // Others may be on their way, but this one does not come any more, whatever they do.
    if !given_up.is_empty() {
        return Verdict::Hopeless(few(&given_up));
    }
    Verdict::Waits
}

/// Whether applications that are not as they should be are on their way there, or can be helped: a run waits for them.
/// Those that are left as they are by whoever has them, and those that failed for a reason of their own, wait for a person.
pub fn is_unsettled(check: &ApplicationCheck, there: &[ApplicationSeen]) -> bool {
    let on_the_way = |it: &ApplicationSeen| it.is_syncing() || (!it.has_failed() && it.automated);
    match verdict(check, there, &BTreeMap::new()) {
        Verdict::Good | Verdict::Hopeless(_) => false,
        Verdict::Mend(_) => true,
        Verdict::Waits => {
            let amiss = there.iter().filter(|it| !is_good(check, it));
            amiss.into_iter().any(on_the_way)
        }
    }
}

/// What becomes of one application that is not as it should be.
enum Course {
    Waits,
    Try(Vec<Remedy>),
    Over(String),
}

fn course(it: &ApplicationSeen, done: &BTreeMap<Remedy, Tried>) -> Course {
    let namespaces: Vec<Namespace> = it.complaints().flat_map(missing_namespaces).collect();
    let broken = it.complaints().any(is_eof);
    if it.asked || (namespaces.is_empty() && !broken) {
        return Course::Waits;
    }
    let tried = |remedy: &Remedy| done.get(remedy).copied().unwrap_or_default();
    let restart = Remedy::RestartRepoServer(it.namespace.clone());
    let mut remedies: Vec<Remedy> = namespaces.into_iter().map(Remedy::MakeNamespace).collect();
    remedies.extend(broken.then(|| restart.clone()));
    let again = remedies.iter().any(|remedy| tried(remedy).times == 0);
    remedies.retain(|remedy| tried(remedy).times < TRIES);
    remedies.retain(|remedy| tried(remedy).times == 0 || tried(remedy).ago >= PAUSE);
    let sync = Remedy::Sync { namespace: it.namespace.clone(), name: it.name.clone() };
    let Tried { times, ago } = tried(&sync);
    // Argo CD tries again by itself while a sync runs. One that nobody ever asked for, and that is not automatic, is left.
    let wants_sync = !it.is_syncing() && (it.has_failed() || it.automated);
    let starting = broken && (tried(&restart).times == 0 || tried(&restart).ago < REPO_SERVER);
    if wants_sync && times >= TRIES && ago >= PAUSE && !again {
        let why = it.complaints().next().unwrap_or("its sync failed");
        return Course::Over(format!("after {times} syncs that were asked for: {why}"));
    }
    if wants_sync && !starting && times < TRIES && (times == 0 || ago >= PAUSE) {
        remedies.push(sync);
    }
    if remedies.is_empty() { Course::Waits } else { Course::Try(remedies) }
}

/// The namespaces that the API server misses: `namespaces "cert-manager" not found`.
/// <https://github.com/kubernetes/apimachinery/blob/v0.34.0/pkg/api/errors/errors.go> (`NewNotFound`)
fn missing_namespaces(message: &str) -> Vec<Namespace> {
    let parts = message.split("namespaces \"").skip(1);
    let quoted = parts.filter_map(|part| part.split_once("\" not found").map(|(name, _)| name));
    let label = |name: &&str| {
        !name.is_empty()
            && name.len() <= 63
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    quoted.filter(label).map(Namespace::from).collect()
}

/// Whether the repo-server's connection ended in the middle of an answer, as it does for good for a controller that holds a
/// connection to one that is gone: `rpc error: code = Unavailable desc = error reading from server: EOF`.
/// <https://github.com/grpc/grpc-go/blob/v1.66.0/internal/transport/http2_client.go> (`reader`)
fn is_eof(message: &str) -> bool {
    message.contains("error reading from server: EOF")
}

fn few(all: &[String]) -> String {
    let first = all.iter().take(TOLD).cloned().collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(TOLD) {
        0 => first,
        more => format!("{first}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: &str = "one or more objects failed to apply, reason: namespaces \"cert-manager\" not found";
    const EOF: &str = "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = \
                       Unavailable desc = error reading from server: EOF";

    fn application(name: &str, sync: &str, health: &str, phase: &str, message: &str) -> ApplicationSeen {
        ApplicationSeen {
            name: name.into(),
            namespace: "argocd".into(),
            sync: sync.into(),
            health: health.into(),
            phase: phase.into(),
            message: message.into(),
            conditions: Vec::new(),
            resources: Vec::new(),
            automated: true,
            asked: false,
        }
    }

    fn good(name: &str) -> ApplicationSeen {
        application(name, "Synced", "Healthy", "Succeeded", "successfully synced")
    }

    fn check(count: u32, healthy: &[&str], progressing: &[&str]) -> ApplicationCheck {
        let names = |names: &[&str]| names.iter().map(|name| ObjectName::from(*name)).collect();
        ApplicationCheck { count, names: Vec::new(), healthy: names(healthy), progressing: names(progressing) }
    }

    fn sync(name: &str) -> Remedy {
        Remedy::Sync { namespace: "argocd".into(), name: name.into() }
    }

    fn restart() -> Remedy {
        Remedy::RestartRepoServer("argocd".into())
    }

    fn tried(times: u32, seconds: u64) -> Tried {
        Tried { times, ago: Duration::from_secs(seconds) }
    }

    #[test]
    fn what_is_as_it_should_be_is_counted() {
        let mut there: Vec<_> = (1..=10).map(|number| good(&format!("app-{number}"))).collect();
        there.push(application("argocd", "Synced", "Progressing", "Succeeded", ""));
        there.push(application("traefik", "Synced", "Progressing", "Succeeded", ""));
        let checked = judge(&check(12, &["app-1"], &["argocd", "traefik"]), &there);
        assert!(checked.holds && checked.warning.is_none(), "{checked:?}");
        assert_eq!(checked.saw, "12 of 12 applications Synced, 10 Healthy, 2 Progressing");
        let fewer = judge(&check(13, &[], &[]), &there);
        assert!(!fewer.holds);
        assert!(fewer.saw.starts_with("12 of 13 applications Synced"), "{}", fewer.saw);
        assert!(fewer.saw.ends_with("; 1 are not there yet"), "{}", fewer.saw);
    }

    #[test]
    fn what_an_application_waits_for_is_told() {
        let says = |it: ApplicationSeen| judge(&check(1, &["app"], &[]), &[it]).parts[0].saw.clone();
        let failed = application("app", "OutOfSync", "Missing", "Failed", MISSING);
        assert_eq!(says(failed), format!("OutOfSync, Missing: its sync failed: {MISSING}"));
        let running =
            application("app", "OutOfSync", "Progressing", "Running", "waiting for healthy state of apps/Deployment/x");
        assert_eq!(
            says(running),
            "OutOfSync, Progressing: its sync runs: waiting for healthy state of apps/Deployment/x"
        );
        let mut by_hand = application("app", "OutOfSync", "Missing", "", "");
        by_hand.automated = false;
        assert_eq!(says(by_hand), "OutOfSync, Missing: it is synced only when somebody asks");
        let mut starts = application("app", "Synced", "Progressing", "Succeeded", "");
        starts.resources = vec!["Deployment web/web is Progressing: 0 of 1 updated replicas are available".into()];
        let saw = "Synced, Progressing: Deployment web/web is Progressing: 0 of 1 updated replicas are available";
        assert_eq!(says(starts), saw);
        assert_eq!(says(application("app", "", "", "", "")), "Unknown, Unknown: Argo CD has not looked at it yet");
    }

    #[test]
    fn one_that_is_degraded_is_a_warning_unless_it_must_be_healthy() {
        let there = [application("mail", "Synced", "Degraded", "Succeeded", "")];
        let checked = judge(&check(1, &[], &[]), &there);
        assert!(checked.holds);
        assert_eq!(checked.warning.as_deref(), Some("mail is Synced, Degraded"));
        assert!(!judge(&check(1, &["mail"], &[]), &there).holds);
    }

    #[test]
    fn a_namespace_that_nobody_makes_is_made_and_the_sync_asked_again() {
        let there = [good("a"), application("b", "OutOfSync", "Missing", "Failed", MISSING)];
        let wish = check(2, &[], &[]);
        let make = Remedy::MakeNamespace("cert-manager".into());
        assert_eq!(verdict(&wish, &there, &BTreeMap::new()), Verdict::Mend(vec![make.clone(), sync("b")]));
        // What it says is what it said before, until it has looked again.
        let done = BTreeMap::from([(make.clone(), tried(1, 5)), (sync("b"), tried(1, 5))]);
        assert_eq!(verdict(&wish, &there, &done), Verdict::Waits);
        let done = BTreeMap::from([(make.clone(), tried(1, 61)), (sync("b"), tried(1, 61))]);
        assert_eq!(verdict(&wish, &there, &done), Verdict::Mend(vec![make.clone(), sync("b")]));
        let done = BTreeMap::from([(make, tried(3, 61)), (sync("b"), tried(3, 61))]);
        let Verdict::Hopeless(why) = verdict(&wish, &there, &done) else { panic!("it goes on for ever") };
        assert_eq!(why, format!("b: after 3 syncs that were asked for: {MISSING}"));
        // A sync that runs is tried again by Argo CD itself.
        let runs = [good("a"), application("b", "OutOfSync", "Missing", "Running", MISSING)];
        let make = Remedy::MakeNamespace("cert-manager".into());
        assert_eq!(verdict(&wish, &runs, &BTreeMap::new()), Verdict::Mend(vec![make]));
    }

    #[test]
    fn a_repo_server_is_restarted_once_for_all_and_serves_before_it_is_asked() {
        let broken = |name: &str| {
            let mut it = application(name, "Unknown", "Healthy", "", "");
            it.conditions = vec![("ComparisonError".into(), EOF.into())];
            it
        };
        let there = [broken("a"), broken("b")];
        let wish = check(2, &[], &[]);
        assert_eq!(verdict(&wish, &there, &BTreeMap::new()), Verdict::Mend(vec![restart()]));
        let after = |seconds| verdict(&wish, &there, &BTreeMap::from([(restart(), tried(1, seconds))]));
        assert_eq!(after(10), Verdict::Waits);
        assert_eq!(after(31), Verdict::Mend(vec![sync("a"), sync("b")]));
    }

    #[test]
    fn only_what_is_known_to_help_is_done() {
        let wish = check(1, &[], &[]);
        let other = application("a", "OutOfSync", "Missing", "Failed", "no matches for kind \"Certificate\"");
        assert_eq!(verdict(&wish, &[other], &BTreeMap::new()), Verdict::Waits);
        let bad = application("a", "OutOfSync", "Missing", "Failed", "namespaces \"Not/A name\" not found");
        assert_eq!(verdict(&wish, &[bad], &BTreeMap::new()), Verdict::Waits);
        let asked = ApplicationSeen { asked: true, ..application("a", "OutOfSync", "Missing", "Failed", MISSING) };
        assert_eq!(verdict(&wish, &[asked], &BTreeMap::new()), Verdict::Waits);
    }

    #[test]
    fn a_run_waits_only_for_what_comes() {
        let wish = check(1, &[], &[]);
        let unsettled = |it: ApplicationSeen| is_unsettled(&wish, &[it]);
        assert!(!unsettled(good("a")));
        assert!(unsettled(application("a", "OutOfSync", "Missing", "Failed", MISSING)));
        assert!(unsettled(application("a", "OutOfSync", "Progressing", "Running", "")));
        assert!(!unsettled(application("a", "OutOfSync", "Missing", "Failed", "no such chart")));
        assert!(!unsettled(ApplicationSeen { automated: false, ..application("a", "OutOfSync", "Missing", "", "") }));
    }
}
