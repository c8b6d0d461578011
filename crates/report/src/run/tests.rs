//! The page about a run, read back.

use kubewright_model::change::{Reason, Subject};
use kubewright_model::digest::Digest;
use kubewright_model::event::{EVENT_FORMAT, Failure};
use kubewright_model::ids::StepId;
use kubewright_model::plan::{Action, Fingerprint, Note, Step, Weight};

use super::*;

/// Records at these milliseconds.
fn journal(events: Vec<(u64, Event)>) -> Vec<Record> {
    let records = events.into_iter().enumerate();
    records.map(|(seq, (at, event))| Record { format: EVENT_FORMAT, seq: seq as u64, at, event }).collect()
}

fn begins(simulated: bool, ask: Ask) -> Event {
    let fingerprint = Fingerprint(Digest::of("steps"));
    let (run, cluster) = ("20261121-073012-5f2a".into(), "devboard".into());
    let only = Vec::new();
    Event::RunStarted {
        run,
        cluster,
        ask,
        only,
        fingerprint,
        steps: 4,
        simulated,
        wall: 1_795_246_212,
        takes: Vec::new(),
        restores: None,
        goes_on: None,
    }
}

fn starts(step: &str, stage: Stage) -> Event {
    Event::StepStarted { step: step.into(), stage, title: step.replace('/', " "), part: String::new() }
}

fn ends(step: &str, outcome: Outcome) -> Event {
    Event::StepEnded { step: step.into(), outcome }
}

fn failure() -> Failure {
    Failure {
        causes: vec!["cannot start k3s-agent.service".into(), "the unit <b>ended</b> with `1`".into()],
        log: vec!["```".into(), "  level=fatal msg=\"no /dev/kmsg\"".into(), "\u{1b}[31m| <script>".into()],
        hint: Some("look at /dev/kmsg".into()),
        lasts: false,
    }
}

fn failed() -> Vec<Record> {
    let retry = |attempt, after| Event::StepRetries {
        step: "create/k3s-agent-1".into(),
        attempt,
        after,
        error: "the storage is locked | by vzdump".into(),
    };
    let skipped = Outcome::Skipped { because: "join/k3s-agent-1".into() };
    journal(vec![
        (0, begins(false, Ask::Replace(vec!["k3s-agent-1".into(), "k3s-agent-2".into()]))),
        (0, Event::StepWaits { step: "create/k3s-agent-1".into(), lease: "clone/proxade".into() }),
        (1500, starts("create/k3s-agent-1", Stage::Machines)),
        (2000, retry(1, 2000)),
        (4500, retry(2, 4000)),
        (65_250, ends("create/k3s-agent-1", Outcome::Done)),
        (65_250, starts("host/k3s-agent-1", Stage::Hosts)),
        (65_900, ends("host/k3s-agent-1", Outcome::AlreadyTrue)),
        (66_000, starts("join/k3s-agent-1", Stage::Workers)),
        (78_340, ends("join/k3s-agent-1", Outcome::Failed(failure()))),
        (78_340, ends("wait/k3s-agent-1", skipped)),
        (
            3_725_000,
            Event::RunEnded {
                end: RunEnd::Failed,
                done: 1,
                already: 1,
                failed: 1,
                left: 1,
                addresses: Default::default(),
            },
        ),
    ])
}

#[test]
fn a_run_that_failed() {
    insta::assert_snapshot!(run_report(&failed(), None, Language::En).markdown());
}

#[test]
fn a_run_that_failed_in_french() {
    insta::assert_snapshot!(run_report(&failed(), None, Language::Fr).markdown());
}

#[test]
fn what_a_log_says_is_never_syntax() {
    let html = run_report(&failed(), None, Language::En).html();
    assert!(!html.contains("<script") && !html.contains("<b>") && !html.contains('\u{1b}'), "{html}");
    assert!(html.contains("the unit &lt;b&gt;ended&lt;/b&gt; with `1`"));
    assert!(html.contains("\n  level=fatal"), "indentation is kept");
}

#[test]
fn the_plan_tells_of_steps_that_never_started_and_of_notes() {
    let step = |id: &str, action| Step {
        id: StepId::from(id),
        stage: Stage::ControlPlane,
        subject: Subject::Cluster,
        action,
        fields: Vec::new(),
        reason: Reason::Missing,
        needs: Vec::new(),
        takes: Vec::new(),
        part: String::new(),
    };
    let note = Note {
        weight: Weight::Warns,
        subject: Subject::Host("k3s-agent-2".into()),
        message: "it was not reached".into(),
        help: Some("turn it on".into()),
        stages: Vec::new(),
    };
    let steps = vec![step("cordon/a", Action::Cordon("a".into())), step("forget/a", Action::ForgetMember("a".into()))];
    let plan = Plan::new("devboard".into(), Ask::Apply, steps, vec![note]);
    // Cut off in the middle of the first step.
    let records = journal(vec![(0, begins(true, Ask::Apply)), (10, starts("cordon/a", Stage::ControlPlane))]);
    let page = run_report(&records, Some(&plan), Language::En).markdown();
    for line in [
        "**This was a rehearsal in a pretend world. Nothing real was touched.**",
        "|Outcome|**unfinished: the record ends before the run did**|",
        "|cordon a|no end recorded|",
        "|take a out of the cluster|not started|",
        "`host k3s-agent-2` it was not reached — turn it on",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    assert!(!page.contains("Slowest"), "{page}");
}

#[test]
fn how_a_cluster_was_built_is_told_of_the_last_run_that_began_one() {
    let begun = |first: &str| {
        journal(vec![
            (0, begins(false, Ask::Apply)),
            (10, starts(first, Stage::ControlPlane)),
            (90_010, ends(first, Outcome::Done)),
            (90_010, starts("host/k3s-agent-1", Stage::Hosts)),
            (90_020, ends("host/k3s-agent-1", Outcome::AlreadyTrue)),
        ])
    };
    let runs = [begun("init/old"), begun("init/k3s-server"), begun("join/k3s-agent-1")];
    let records = built(runs.iter().map(Vec::as_slice)).unwrap();
    assert_eq!(records, runs[1]);
    assert_eq!(built(runs[2..].iter().map(Vec::as_slice)), None);
    let mut page = Page::default();
    installation(&mut page, records, Language::En.words());
    let page = page.finish("x".into(), Language::En.words()).markdown();
    assert!(page.contains("|1|init k3s-server|1 min 30 s|"), "{page}");
    assert!(page.contains("|Began|2026-11-21"), "{page}");
    assert!(!page.contains("host k3s-agent-1"), "what was true already was not done: {page}");
}

#[test]
fn no_records_are_no_error() {
    let page = run_report(&[], None, Language::Fr).markdown();
    assert!(page.starts_with("# Une exécution\n"), "{page}");
    assert!(page.contains("inachevée"), "{page}");
}

#[test]
fn only_the_ten_slowest_are_listed() {
    let mut events = vec![(0, begins(false, Ask::Apply))];
    for n in 0..20 {
        let id = format!("step/{n}");
        events.push((0, starts(&id, Stage::Addons)));
        events.push((1000 + n, ends(&id, Outcome::Done)));
    }
    let page = run_report(&journal(events), None, Language::En).markdown();
    let slowest = page.split("## Slowest steps").nth(1).unwrap();
    let listed: Vec<&str> = slowest.lines().filter(|line| line.starts_with("|step ")).collect();
    assert_eq!(listed.len(), 10);
    assert_eq!(listed[0], "|step 19|Add-ons|1.0 s|");
}

#[test]
fn durations() {
    let words = Language::Fr.words();
    let shown = [0, 999, 1000, 59_990, 60_000, 3_599_000, 3_600_000, 90_000_000].map(|ms| duration(ms, words));
    assert_eq!(shown, ["0 ms", "999 ms", "1,0 s", "59,9 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "25 h 00 min"]);
}
