//! What of a run is in none of its records, and what of it moves the cluster's page before anybody looks.

use std::path::Path;
use std::sync::Arc;

use kubewright_engine::engine::RunReport;
use kubewright_engine::site::Place;
use kubewright_engine::store::{Holder, Store as _};
use kubewright_model::event::{Event, Record, RunEnd};
use kubewright_model::ids::RunId;
use kubewright_model::plan::{Ask, Plan};

use super::recording::Recording;
use super::story::Story;
use super::work::read;
use super::{Fleet, Member};

fn fleet(folder: &Path) -> Fleet {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/devboard/cluster.yaml");
    let file = folder.join("cluster.yaml");
    std::fs::copy(spec, &file).unwrap();
    Fleet::new(vec![Place { spec: file, environment: None, simulated: Some(folder.join("world")) }], None).unwrap()
}

fn report(run: &RunId) -> RunReport {
    RunReport {
        run: run.clone(),
        end: RunEnd::Complete,
        done: 0,
        already: 0,
        left: 0,
        failed: Vec::new(),
        remaining: Vec::new(),
        notes: Vec::new(),
        after: None,
        checks: Vec::new(),
        begun_with: None,
        unheard: Vec::new(),
    }
}

fn checks(member: &Member) -> Option<String> {
    let summary = member.summary();
    summary.layers.iter().find(|layer| layer.name == "checks").map(|layer| layer.words.clone())
}

#[test]
fn who_could_not_be_told_of_its_end_is_shown_with_the_run_also_after_the_next_one() {
    let folder = tempfile::TempDir::new().unwrap();
    let fleet = fleet(folder.path());
    let member = fleet.all().next().unwrap();
    let recording = Recording::new(RunId::new("r-1"), Story::default());
    let mut report = report(&recording.run);
    report.unheard.push("Slack: 404".into());
    member.reported(&report, &recording);
    assert_eq!(recording.whole().notes, ["could not tell Slack: 404"]);
    assert_eq!(member.known().notes[&recording.run], ["could not tell Slack: 404"]);
}

#[test]
fn the_layer_of_the_checks_is_as_they_came_out_and_not_as_it_was_looked_before() {
    let folder = tempfile::TempDir::new().unwrap();
    let fleet = fleet(folder.path());
    let member: &Arc<Member> = fleet.all().next().unwrap();
    member.look_now().unwrap();
    assert_eq!(checks(member), None, "nobody has run them");
    let loadout = read(&member.place).unwrap();
    let verified = member.open(&loadout, false, async |site| Ok(site.engine.verify(&loadout.desired).await));
    let mut checks_at_the_end = verified.unwrap();
    let all = checks_at_the_end.len();
    assert!(all > 1, "the example has checks");
    checks_at_the_end.iter_mut().for_each(|it| it.checked.holds = true);
    checks_at_the_end[0].checked.holds = false;
    let recording = Recording::new(RunId::new("r-1"), Story::default());
    let mut report = report(&recording.run);
    report.checks = checks_at_the_end;
    member.reported(&report, &recording);
    assert_eq!(checks(member), Some(format!("{} of {all} hold", all - 1)));
    // A run of a terminal tells how many hold, and no more.
    let events = [Event::VerifyStarted { checks: 5 }, Event::VerifyEnded { held: 5, wrong: Vec::new() }];
    for (seq, event) in events.into_iter().enumerate() {
        recording.hear(&Record { format: 1, seq: seq as u64, at: 0, event: event.clone() });
        member.moves(&recording, &event);
    }
    assert_eq!(checks(member).as_deref(), Some("5 of 5 hold"));
}

#[test]
fn a_run_of_another_program_that_nobody_follows_yet_has_not_died() {
    let folder = tempfile::TempDir::new().unwrap();
    let fleet = fleet(folder.path());
    let member = fleet.all().next().unwrap();
    let (store, run) = (member.store(), RunId::new("r-1"));
    let holder = Holder { who: "tom@workbench".into(), pid: 1, since: 1_700_000_000, what: "apply".into() };
    let lock = store.lock(&member.cluster, &holder).unwrap();
    let event = Event::RunStarted {
        run: run.clone(),
        cluster: member.cluster.clone(),
        ask: Ask::Apply,
        only: Vec::new(),
        fingerprint: Plan::new(member.cluster.clone(), Ask::Apply, Vec::new(), Vec::new()).fingerprint,
        steps: 1,
        simulated: true,
        wall: holder.since,
        takes: Vec::new(),
        restores: None,
        goes_on: None,
    };
    let record = Record { format: 1, seq: 0, at: 0, event };
    store.start_journal(&member.cluster, &run).unwrap().write(&record).unwrap();
    member.remember();
    let told = || member.recording("r-1").map(|it| (it.summary().end.clone(), it.from(0).1, it.followed)).unwrap();
    assert_eq!(told(), (None, false, false));
    drop(lock);
    assert_eq!(told(), (Some("died".into()), true, false), "who carried it out is gone");
}
