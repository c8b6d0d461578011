//! The phases of a rebuild and how long each took, from journals alone.
//!
//! Steps have no barriers between them, so phases overlap: a phase takes the time in which at least one of its steps ran, and
//! all of them together may be more than the whole.

use std::collections::BTreeMap;

use kubewright_model::event::{Event, Record, RunEnd};
use kubewright_model::ids::{RunId, StepId};
use kubewright_model::plan::{Ask, Stage};

/// A phase, in the order in which a person would do them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The datastore is saved.
    BackUp,
    /// Everything goes.
    Destroy,
    /// Machines are made, and hosts are told what they are.
    Machines,
    /// The control plane is begun, and all others join.
    Bootstrap,
    /// Pods reach each other.
    Network,
    /// Secrets are put in.
    Secrets,
    /// What the cluster is given: namespaces, releases.
    AddOns,
    /// Argo CD's applications are synced.
    Applications,
    /// Every check of the spec.
    Verify,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 9] = [
        Self::BackUp,
        Self::Destroy,
        Self::Machines,
        Self::Bootstrap,
        Self::Network,
        Self::Secrets,
        Self::AddOns,
        Self::Applications,
        Self::Verify,
    ];

    /// The phase of a step.
    fn of(step: &StepId, stage: Stage, part: &str) -> Self {
        match (stage, part) {
            (Stage::Backup, _) => Self::BackUp,
            (Stage::Removal, _) => Self::Destroy,
            (Stage::Machines | Stage::Hosts | Stage::LoadBalancers, _) => Self::Machines,
            (Stage::ControlPlane | Stage::Workers, _) => Self::Bootstrap,
            (Stage::Addons, "cni") => Self::Network,
            (Stage::Addons, "secrets") => Self::Secrets,
            // Nodes are Ready as soon as their network is.
            (Stage::Addons, _) if step.as_str().starts_with("ready/") => Self::Network,
            (Stage::Addons, _) if step.as_str().starts_with("settle/") => Self::Applications,
            (Stage::Addons, _) => Self::AddOns,
        }
    }
}

/// A rebuild: one run, or several where it was cut and gone on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Its last run.
    pub run: RunId,
    /// When its first run began, in seconds since 1970.
    pub began: u64,
    /// How many runs it took.
    pub runs: usize,
    /// It was played in a pretend world.
    pub simulated: bool,
    /// Its last run left nothing to do, and every check held.
    pub whole: bool,
    /// Milliseconds of each phase that there was.
    pub took: BTreeMap<Phase, u64>,
    /// Milliseconds of all its runs.
    pub total: u64,
}

/// The rebuilds among these runs, oldest first. `runs` are in the order in which they began.
pub fn rebuilds<'a>(runs: impl IntoIterator<Item = &'a [Record]>) -> Vec<Rebuilt> {
    let mut rebuilds: Vec<Rebuilt> = Vec::new();
    for records in runs {
        let Some((mut rebuilt, goes_on)) = one(records) else { continue };
        let before = rebuilds.iter().position(|it| goes_on.as_ref() == Some(&it.run));
        if let Some(before) = before.map(|at| rebuilds.remove(at)) {
            rebuilt.began = before.began;
            rebuilt.runs += before.runs;
            rebuilt.total += before.total;
            for (phase, took) in before.took {
                *rebuilt.took.entry(phase).or_default() += took;
            }
        }
        rebuilds.push(rebuilt);
    }
    rebuilds
}

/// A run that was a rebuild, and the one that it went on with.
fn one(records: &[Record]) -> Option<(Rebuilt, Option<RunId>)> {
    let (run, goes_on, simulated, began) = records.iter().find_map(|record| match &record.event {
        Event::RunStarted { run, ask: Ask::Rebuild, goes_on, simulated, wall, .. } => {
            Some((run.clone(), goes_on.clone(), *simulated, *wall))
        }
        _ => None,
    })?;
    let complete = records.iter().any(|it| matches!(it.event, Event::RunEnded { end: RunEnd::Complete, .. }));
    let proven = records.iter().any(|it| matches!(&it.event, Event::VerifyEnded { wrong, .. } if wrong.is_empty()));
    let total = records.last().map_or(0, |record| record.at);
    let whole = complete && proven;
    Some((Rebuilt { run, began, runs: 1, simulated, whole, took: took(records), total }, goes_on))
}

/// Milliseconds in which at least one step of each phase ran.
pub(super) fn took(records: &[Record]) -> BTreeMap<Phase, u64> {
    let mut took: BTreeMap<Phase, u64> = BTreeMap::new();
    let mut running: BTreeMap<&StepId, Phase> = BTreeMap::new();
    // How many steps of a phase run, and since when there is one.
    let mut busy: BTreeMap<Phase, (usize, u64)> = BTreeMap::new();
    let mut turn = |busy: &mut BTreeMap<Phase, (usize, u64)>, phase: Phase, begins: bool, at: u64| {
        let (steps, since) = busy.entry(phase).or_insert((0, at));
        match (begins, *steps) {
            (true, 0) => (*steps, *since) = (1, at),
            (true, _) => *steps += 1,
            (false, 1) => {
                *steps = 0;
                *took.entry(phase).or_default() += at.saturating_sub(*since);
            }
            (false, _) => *steps = steps.saturating_sub(1),
        }
    };
    for Record { at, event, .. } in records {
        match event {
            Event::StepStarted { step, stage, part, .. } => {
                let phase = Phase::of(step, *stage, part);
                running.insert(step, phase);
                turn(&mut busy, phase, true, *at);
            }
            Event::StepEnded { step, .. } => {
                if let Some(phase) = running.remove(step) {
                    turn(&mut busy, phase, false, *at);
                }
            }
            Event::VerifyStarted { .. } => turn(&mut busy, Phase::Verify, true, *at),
            Event::VerifyEnded { .. } => turn(&mut busy, Phase::Verify, false, *at),
            _ => {}
        }
    }
    // What ran when the program died took until the last that is known.
    let end = records.last().map_or(0, |record| record.at);
    for (phase, (_, since)) in busy.into_iter().filter(|(_, (steps, _))| *steps > 0) {
        *took.entry(phase).or_default() += end.saturating_sub(since);
    }
    took
}

#[cfg(test)]
mod tests {
    use kubewright_model::digest::Digest;
    use kubewright_model::event::{EVENT_FORMAT, Outcome};
    use kubewright_model::plan::Fingerprint;

    use super::*;

    fn journal(run: &str, goes_on: Option<&str>, events: Vec<(u64, Event)>) -> Vec<Record> {
        let begins = Event::RunStarted {
            run: run.into(),
            cluster: "lab".into(),
            ask: Ask::Rebuild,
            only: Vec::new(),
            fingerprint: Fingerprint(Digest::of("steps")),
            steps: 0,
            simulated: false,
            wall: 1_795_246_212,
            takes: Vec::new(),
            restores: None,
            goes_on: goes_on.map(RunId::from),
        };
        let events = std::iter::once((0, begins)).chain(events).enumerate();
        events.map(|(seq, (at, event))| Record { format: EVENT_FORMAT, seq: seq as u64, at, event }).collect()
    }

    fn begins(step: &str, stage: Stage, part: &str) -> Event {
        Event::StepStarted { step: step.into(), stage, title: step.into(), part: part.into() }
    }

    fn ends(step: &str) -> Event {
        Event::StepEnded { step: step.into(), outcome: Outcome::Done }
    }

    fn over() -> Event {
        let addresses = Default::default();
        Event::RunEnded { end: RunEnd::Complete, done: 0, already: 0, failed: 0, left: 0, addresses }
    }

    #[test]
    fn a_phase_takes_the_time_in_which_one_of_its_steps_runs() {
        let records = journal(
            "one",
            None,
            vec![
                (0, begins("leave/a", Stage::Removal, "")),
                (10, begins("leave/b", Stage::Removal, "")),
                (40, ends("leave/a")),
                (60, ends("leave/b")),
                (60, begins("host/a", Stage::Hosts, "")),
                (80, begins("leave/c", Stage::Removal, "")),
                (90, ends("leave/c")),
                (100, ends("host/a")),
                (100, begins("release/cilium", Stage::Addons, "cni")),
                (130, begins("objects/secrets", Stage::Addons, "secrets")),
                (140, ends("objects/secrets")),
                (150, ends("release/cilium")),
                (150, begins("settle/applications", Stage::Addons, "argocd")),
                (190, ends("settle/applications")),
                (190, Event::VerifyStarted { checks: 1 }),
                (200, Event::VerifyEnded { held: 1, wrong: Vec::new() }),
                (200, over()),
            ],
        );
        let [rebuilt] = rebuilds([records.as_slice()]).try_into().unwrap();
        let expected = [
            (Phase::Destroy, 70),
            (Phase::Machines, 40),
            (Phase::Network, 50),
            (Phase::Secrets, 10),
            (Phase::Applications, 40),
            (Phase::Verify, 10),
        ];
        assert_eq!(rebuilt.took, BTreeMap::from(expected));
        assert!(rebuilt.whole && rebuilt.total == 200);
    }

    #[test]
    fn a_rebuild_that_was_cut_is_one_with_the_run_that_went_on() {
        let cut = journal("one", None, vec![(0, begins("leave/a", Stage::Removal, "")), (30, ends("leave/a"))]);
        let rest = vec![(0, begins("host/a", Stage::Hosts, "")), (20, ends("host/a")), (25, over())];
        let rest = journal("two", Some("one"), rest);
        let other = journal("three", None, vec![(5, over())]);
        let all = rebuilds([cut.as_slice(), rest.as_slice(), other.as_slice()]);
        assert_eq!(
            all.iter().map(|it| (it.run.as_str(), it.runs, it.total)).collect::<Vec<_>>(),
            [("two", 2, 55), ("three", 1, 5)]
        );
        assert_eq!(all[0].took, BTreeMap::from([(Phase::Destroy, 30), (Phase::Machines, 20)]));
        assert!(!all[0].whole, "nobody has proven it");
    }
}
