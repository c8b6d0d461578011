//! Everything anew: where it is cut, it goes on; and it ends with its proof.

use std::collections::BTreeMap;

use kubewright_engine::rehearse::rebuild;
use kubewright_engine::sim;
use kubewright_engine::store::Store as _;
use kubewright_model::desired::{Desired, Saved};
use kubewright_model::digest::Digest;
use kubewright_model::event::{EVENT_FORMAT, Event, Outcome, Record, RunEnd};
use kubewright_model::plan::{Ask, Fingerprint, Plan, Stage, Weight};

use crate::yard::{Cut, Yard, desired};

const LAB: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes:
    distribution: talos
    version: v1.34.0
    talos: { version: v1.11.5 }
    endpoint: { virtualIp: { address: 10.0.0.5 } }
    cni: { cilium: { version: 1.18.3 } }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  pools:
    plane: { role: both, names: [red, green, blue], addresses: [10.0.0.11-13], existing: {} }
"#;

/// Machines that we make, so that those of before and after look alike.
const MADE: &str = include_str!("../../../../examples/devboard/cluster.yaml");

/// The example, with its secrets from the environment: a pretend world has them all.
fn vixens() -> Desired {
    let text = include_str!("../../../../examples/vixens/cluster.yaml");
    let text = text.replace("sops: gandi.apiToken", "env: GANDI").replace("sops: synology.password", "env: SYNOLOGY");
    desired(&text.replace("    sopsFile: secrets.sops.yaml\n", ""))
}

/// A cluster that stands.
async fn built(desired: Desired) -> Yard {
    let yard = Yard::new(desired, 7);
    assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
    yard.centre.announce_end();
    yard
}

/// How often each node was taken away, over all runs.
fn taken(yard: &Yard) -> BTreeMap<String, usize> {
    let mut taken = BTreeMap::new();
    let cluster = &yard.desired.cluster;
    for run in yard.store.runs(cluster).unwrap() {
        for record in yard.store.journal(cluster, &run).unwrap() {
            if let Event::StepEnded { step, outcome: Outcome::Done } = &record.event
                && let Some(("leave" | "delete", node)) = step.as_str().split_once('/')
            {
                *taken.entry(node.to_string()).or_default() += 1;
            }
        }
    }
    taken
}

#[test]
fn the_example_is_saved_taken_away_built_and_proven() {
    let played = sim::run(async { rebuild(&vixens(), 1, &[], &mut |_| {}).await }).unwrap().unwrap();
    assert!(played.good(), "{:#?}", played.wrong());
    assert!(!played.report.checks.is_empty());
    let first = played.records.iter().find_map(|record| match &record.event {
        Event::StepStarted { stage, .. } => Some(*stage),
        _ => None,
    });
    assert_eq!(first, Some(Stage::Backup));
    assert!(played.records.iter().any(|it| matches!(&it.event, Event::VerifyEnded { wrong, .. } if wrong.is_empty())));
}

#[test]
fn wherever_it_is_cut_nothing_is_taken_away_twice() {
    for spec in [LAB, MADE] {
        sim::run(async {
            let yard = built(desired(spec)).await;
            let (_, plan) = yard.plan(&Ask::Rebuild, &[]).await;
            let cuts = (1..=plan.steps.len()).flat_map(|many| [Cut::Started(many), Cut::Ended(many)]);
            for cut in cuts {
                let twin = yard.twin();
                twin.centre.announce_end();
                if !twin.run_until(cut, &Ask::Rebuild, &[]).await {
                    continue;
                }
                let told = twin.run_to_the_end(&Ask::Rebuild, &[], 3).await;
                assert_eq!(told.last().map(String::as_str), Some("complete"), "{cut:?}: {told:?}");
                let taken = taken(&twin);
                assert!(taken.values().all(|times| *times == 1), "{cut:?}: {taken:?}");
                assert_eq!(twin.complaints(&Ask::Rebuild, &[]).await, [""; 0], "{cut:?}");
            }
        })
        .unwrap();
    }
}

#[test]
fn what_is_built_since_goes_only_from_scratch() {
    sim::run(async {
        let mut yard = built(desired(MADE)).await;
        let (_, plan) = yard.plan(&Ask::Rebuild, &[]).await;
        let removals = plan.steps.iter().filter(|step| step.stage == Stage::Removal).count();
        assert!(removals > 0);
        assert!(yard.run_until(Cut::Ended(plan.steps.len() - 2), &Ask::Rebuild, &[]).await);
        let (_, rest) = yard.plan(&Ask::Rebuild, &[]).await;
        assert_eq!(rest.ask, Ask::Apply, "what is left is an ordinary plan");
        assert!(rest.steps.len() < plan.steps.len() && rest.steps.iter().all(|step| step.stage != Stage::Removal));
        assert!(rest.notes.iter().any(|note| note.message.starts_with("goes on with the rebuild")));
        yard.desired.from_scratch = true;
        let (_, whole) = yard.plan(&Ask::Rebuild, &[]).await;
        assert_eq!(whole.ask, Ask::Rebuild);
        assert_eq!(whole.steps.iter().filter(|step| step.stage == Stage::Removal).count(), removals);
        // Something else has changed the cluster since: nothing is left to go on with.
        yard.desired.from_scratch = false;
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 2).await.last().map(String::as_str), Some("complete"));
        let (_, anew) = yard.plan(&Ask::Rebuild, &[]).await;
        assert_eq!(anew.ask, Ask::Rebuild);
    })
    .unwrap();
}

#[test]
fn one_whose_checks_do_not_hold_is_over_and_says_so() {
    sim::run(async {
        let spec = format!("{LAB}  verify: {{ pods: [{{ atLeast: 999 }}] }}\n");
        let yard = built(desired(&spec)).await;
        let (report, records) = yard.run(&Ask::Rebuild, &[]).await;
        let report = report.unwrap();
        assert_eq!(report.end, RunEnd::Complete);
        let wrong = report.checks.iter().filter(|check| !check.checked.holds).count();
        assert_eq!(wrong, 1);
        let ended = records.iter().find_map(|record| match &record.event {
            Event::VerifyEnded { wrong, .. } => Some(wrong.clone()),
            _ => None,
        });
        assert!(ended.unwrap()[0].starts_with("pods in all namespaces: "));
        let (observed, _) = yard.plan(&Ask::Rebuild, &[]).await;
        assert_eq!(observed.unfinished, None);
    })
    .unwrap();
}

/// A cluster whose servers are there before us.
const FLEET: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: fleet }
spec:
  kubernetes: { distribution: k3s, version: v1.34.1+k3s1, endpoint: { host: 10.0.0.11 } }
  pools:
    plane: { role: both, names: [red, green, blue], addresses: [10.0.0.11-13], existing: {} }
    work: { role: agent, names: [one], addresses: [10.0.0.21], existing: {} }
"#;

/// A cluster of kubeadm, whose servers are there before us.
const TOWN: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: town }
spec:
  kubernetes: { distribution: kubeadm, version: v1.34.1, endpoint: { host: 10.0.0.11 }, encryptSecrets: true }
  pools:
    plane: { role: server, names: [red, green, blue], addresses: [10.0.0.11-13], existing: {} }
    work: { role: agent, names: [one], addresses: [10.0.0.21], existing: {} }
"#;

/// Something that somebody wrote into the cluster, which no spec brings back.
const NOTES: &str = "notes of somebody";

fn has_notes(yard: &Yard) -> bool {
    yard.centre.snapshot().cluster.set_by_others.contains_key(NOTES)
}

fn writes_notes(yard: &Yard) {
    yard.centre.alter(|state| {
        state.cluster.set_by_others.insert(NOTES.into(), ("somebody".into(), "all of it".into()));
    });
}

#[test]
fn what_was_saved_is_there_again_wherever_it_is_cut() {
    for spec in [LAB, FLEET, TOWN] {
        sim::run(async {
            let mut yard = built(desired(spec)).await;
            writes_notes(&yard);
            yard.desired.restores = Some(Saved::Latest);
            let (_, plan) = yard.plan(&Ask::Rebuild, &[]).await;
            let cuts = (1..=plan.steps.len()).flat_map(|many| [Cut::Started(many), Cut::Ended(many)]);
            for cut in cuts {
                let mut twin = yard.twin();
                twin.centre.announce_end();
                let was_cut = twin.run_until(cut, &Ask::Rebuild, &[]).await;
                // Who runs it again need not say once more that it is restored.
                twin.desired.restores = None;
                if was_cut {
                    let told = twin.run_to_the_end(&Ask::Rebuild, &[], 3).await;
                    assert_eq!(told.last().map(String::as_str), Some("complete"), "{cut:?}: {told:?}");
                }
                assert!(has_notes(&twin), "{cut:?}");
                assert_eq!(twin.complaints(&Ask::Rebuild, &[]).await, [""; 0], "{cut:?}");
            }
        })
        .unwrap();
    }
}

/// A run that somebody else's journal tells of: it began, this step ended well, and it was cut.
fn told_of(yard: &Yard, run: &str, ask: Ask, step: &str) {
    let takes = yard.desired.machines.iter().map(|machine| machine.name.clone()).collect();
    let began = Event::RunStarted {
        run: run.into(),
        cluster: yard.desired.cluster.clone(),
        ask,
        only: Vec::new(),
        fingerprint: Fingerprint(Digest::of("")),
        steps: 9,
        simulated: true,
        wall: 1_700_000_000,
        takes,
        restores: None,
        goes_on: None,
    };
    let mut journal = yard.store.start_journal(&yard.desired.cluster, &run.into()).unwrap();
    let started =
        Event::StepStarted { step: step.into(), stage: Stage::Removal, title: String::new(), part: String::new() };
    for (seq, event) in
        [began, started, Event::StepEnded { step: step.into(), outcome: Outcome::Done }].into_iter().enumerate()
    {
        journal.write(&Record { format: EVENT_FORMAT, seq: seq as u64, at: 0, event }).unwrap();
    }
}

#[test]
fn one_that_was_cut_while_the_old_cluster_lives_saves_it_once_more() {
    sim::run(async {
        let yard = built(desired(LAB)).await;
        told_of(&yard, "run-cut", Ask::Rebuild, "leave/red");
        let (observed, rest) = yard.plan(&Ask::Rebuild, &[]).await;
        assert_eq!(observed.unfinished.map(|left| left.len()), Some(2));
        assert_eq!(rest.steps[0].stage, Stage::Backup);
        // Whoever brought red back into the old cluster: it goes with it.
        let removals = |plan: &Plan| plan.steps.iter().filter(|step| step.stage == Stage::Removal).count();
        assert_eq!(removals(&rest), 3);
        // Since something else has changed the cluster, it is another one.
        told_of(&yard, "run-since", Ask::Apply, "label/red");
        let (observed, anew) = yard.plan(&Ask::Rebuild, &[]).await;
        assert_eq!((observed.unfinished, removals(&anew)), (None, 3));
    })
    .unwrap();
}

#[test]
fn nothing_is_restored_from_nothing() {
    sim::run(async {
        let mut yard = built(desired(LAB)).await;
        let blocked = async |yard: &Yard| {
            let plan = yard.engine().plan(&yard.desired, &Ask::Rebuild, &[]).await.unwrap().plan;
            plan.notes.iter().filter(|note| note.weight == Weight::Blocks).map(|note| note.message.clone()).collect()
        };
        yard.desired.restores = Some(Saved::Latest);
        yard.desired.without_backup = true;
        let why: Vec<String> = blocked(&yard).await;
        assert_eq!(why, ["cannot be restored: nothing was saved of this cluster from here"]);
        yard.desired.without_backup = false;
        assert_eq!(blocked(&yard).await, [""; 0]);
        yard.desired.restores = Some(Saved::File("elsewhere.db".into()));
        let why = blocked(&yard).await;
        assert_eq!(why, ["cannot be restored: elsewhere.db was saved by nobody in this simulated data centre"]);
    })
    .unwrap();
}

#[test]
fn a_machine_that_never_comes_back_is_built_without_when_the_spec_leaves_it_out() {
    sim::run(async {
        let mut yard = built(desired(LAB)).await;
        yard.centre.strike("never-back=blue".parse().unwrap());
        let (report, _) = yard.run(&Ask::Rebuild, &[]).await;
        let report = report.unwrap();
        assert_eq!((report.end, report.failed[0].0.as_str()), (RunEnd::Failed, "leave/blue"));
        assert_eq!(yard.centre.snapshot().cluster.nodes.len(), 0, "nobody begins beside what blue may hold");
        let without =
            LAB.replace("[red, green, blue]", "[red, green, grey]").replace("10.0.0.11-13", "10.0.0.11-12, 10.0.0.14");
        yard.wish(desired(&without));
        let (report, _) = yard.run(&Ask::Rebuild, &[]).await;
        let report = report.unwrap();
        assert_eq!(report.end, RunEnd::Complete, "{report:?}");
        let names: Vec<String> = yard.centre.snapshot().cluster.nodes.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["green", "grey", "red"]);
    })
    .unwrap();
}

#[test]
fn what_is_restored_and_not_in_the_spec_any_more_is_left_to_an_apply() {
    sim::run(async {
        let with = LAB.replace(
            "existing: {} }",
            "existing: {} }\n    work: { role: agent, names: [grey], addresses: [10.0.0.21], existing: {} }",
        );
        let mut yard = built(desired(&with)).await;
        let mut without = desired(LAB);
        without.restores = Some(Saved::Latest);
        yard.wish(without);
        let (report, _) = yard.run(&Ask::Rebuild, &[]).await;
        let report = report.unwrap();
        assert_eq!((report.end, report.remaining.len()), (RunEnd::Complete, 0), "{report:?}");
        let told = report.after.unwrap();
        assert!(
            told.message.starts_with("what was restored is otherwise") && told.message.contains("grey"),
            "{told:?}"
        );
        yard.desired.restores = None;
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 2).await.last().map(String::as_str), Some("complete"));
        assert!(!yard.centre.snapshot().cluster.nodes.contains_key("grey"));
    })
    .unwrap();
}

#[test]
fn nobody_restores_what_would_not_fit() {
    sim::run(async {
        let mut yard = built(desired(FLEET)).await;
        let blocked = async |yard: &Yard| {
            let plan = yard.engine().plan(&yard.desired, &Ask::Rebuild, &[]).await.unwrap().plan;
            let blocks = plan.notes.iter().filter(|note| note.weight == Weight::Blocks);
            blocks.map(|note| note.message.clone()).collect::<Vec<_>>().join("; ")
        };
        let wish = |yard: &mut Yard, from: &str, to: &str, restores: Option<Saved>| {
            let desired = Desired { restores, ..desired(&FLEET.replacen(from, to, 1)) };
            yard.wish(desired);
        };
        wish(&mut yard, "  pools:", "  pools:", Some(Saved::Latest));
        assert_eq!(blocked(&yard).await, "");
        wish(&mut yard, "v1.34.1+k3s1", "v1.33.5+k3s1", Some(Saved::Latest));
        assert!(blocked(&yard).await.contains("what is saved cannot be restored: it runs v1.34.1+k3s1, newer than"));
        let networks = "version: v1.34.1+k3s1, podNetwork: 10.99.0.0/16";
        wish(&mut yard, "version: v1.34.1+k3s1", networks, Some(Saved::Latest));
        assert!(blocked(&yard).await.contains("begun with pod network"), "{}", blocked(&yard).await);
        wish(&mut yard, "version: v1.34.1+k3s1", networks, None);
        assert_eq!(blocked(&yard).await, "", "what begins empty may be anything");
        let other = "distribution: rke2, version: v1.34.1+rke2r1";
        wish(&mut yard, "distribution: k3s, version: v1.34.1+k3s1", other, None);
        assert!(
            blocked(&yard).await.contains("what is there was begun with distribution K3s"),
            "{}",
            blocked(&yard).await
        );
    })
    .unwrap();
}
