//! A pretend data centre with an engine in it, to try things in.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kubewright_engine::engine::plan_from;
use kubewright_engine::sim::{DataCentre, MemoryStore};
use kubewright_engine::store::{Holder, Store as _};
use kubewright_engine::{Engine, EngineError, Request, RunReport, Stop};
use kubewright_model::desired::Desired;
use kubewright_model::event::{Event, Record, RunEnd};
use kubewright_model::ids::RunId;
use kubewright_model::observed::{CORDONED, HostSeen, Observed, Seen};
use kubewright_model::plan::{Ask, Plan};

/// A data centre, what its engine keeps, and what is wished.
pub(crate) struct Yard {
    pub(crate) centre: DataCentre,
    pub(crate) store: MemoryStore,
    pub(crate) desired: Desired,
    runs: Cell<u32>,
}

/// Where a run is cut off, as if its computer had lost power.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// When so many steps have started.
    Started(usize),
    /// When so many steps have ended.
    Ended(usize),
    /// At this moment of the run, in milliseconds.
    At(u64),
}

pub(crate) fn desired(text: &str) -> Desired {
    match Engine::load(text) {
        Ok(loadout) => loadout.desired,
        Err(found) => panic!("the spec is wrong: {found:#?}\n{text}"),
    }
}

pub(crate) fn holder(who: &str) -> Holder {
    Holder { who: who.into(), pid: std::process::id(), since: 1_700_000_000, what: "apply".into() }
}

impl Yard {
    pub(crate) fn new(desired: Desired, seed: u64) -> Self {
        let centre = DataCentre::new(seed);
        centre.furnish(&desired);
        Self { centre, store: MemoryStore::default(), desired, runs: Cell::new(0) }
    }

    /// Another yard in which everything is as it is here now.
    pub(crate) fn twin(&self) -> Self {
        let store = MemoryStore::default();
        let cluster = &self.desired.cluster;
        for name in self.store.secret_names(cluster) {
            let secret = self.store.secret(cluster, &name).unwrap().unwrap();
            store.keep_secret(cluster, &name, &secret).unwrap();
        }
        if let Some(foundation) = self.store.foundation(cluster).unwrap() {
            store.keep_foundation(cluster, &foundation).unwrap();
        }
        let centre = DataCentre::resume(self.centre.snapshot());
        Self { centre, store, desired: self.desired.clone(), runs: Cell::new(0) }
    }

    /// What is wished from now on.
    pub(crate) fn wish(&mut self, desired: Desired) {
        self.centre.furnish(&desired);
        self.desired = desired;
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine::new(self.centre.world(&self.desired), Arc::new(self.store.clone()))
    }

    pub(crate) fn request<'a>(&'a self, ask: &Ask, only: &'a [String]) -> Request<'a> {
        self.runs.set(self.runs.get() + 1);
        let run = RunId::new(format!("run-{}", self.runs.get()));
        Request { desired: &self.desired, ask: ask.clone(), only, approved: None, run, holder: holder("tester@yard") }
    }

    /// What is asked now: a repair is of what doctor finds.
    pub(crate) async fn asked(&self, ask: &Ask) -> Ask {
        let Ask::Repair(_) = ask else { return ask.clone() };
        let engine = self.engine();
        let evidence = engine.examine(&self.desired, &BTreeSet::new()).await;
        Ask::Repair(Box::new(engine.diagnose(&evidence, &self.desired).repairs()))
    }

    /// Looks, and plans from what was seen.
    pub(crate) async fn plan(&self, ask: &Ask, only: &[String]) -> (Observed, Plan) {
        let observed = self.engine().seen_for(&self.desired, ask).await;
        let plan = plan_from(&self.desired, &observed, ask, only).unwrap_or_else(|error| panic!("{}", error.told()));
        (observed, plan)
    }

    /// One run, and what it wrote down.
    pub(crate) async fn run(&self, ask: &Ask, only: &[String]) -> (Result<RunReport, EngineError>, Vec<Record>) {
        let mut records = Vec::new();
        let request = self.request(&self.asked(ask).await, only);
        let mut sink = |record: &Record| records.push(record.clone());
        let report = self.engine().apply(&request, &Stop::default(), &mut sink).await;
        (report, records)
    }
}

impl Yard {
    /// A run that is cut off; returns whether it was, or had ended before.
    pub(crate) async fn run_until(&self, cut: Cut, ask: &Ask, only: &[String]) -> bool {
        let fallen = tokio::sync::Notify::new();
        let (mut started, mut ended) = (0, 0);
        let mut sink = |record: &Record| {
            started += usize::from(matches!(record.event, Event::StepStarted { .. }));
            ended += usize::from(matches!(record.event, Event::StepEnded { .. }));
            match cut {
                Cut::Started(many) if many == started => fallen.notify_one(),
                Cut::Ended(many) if many == ended => fallen.notify_one(),
                _ => {}
            }
        };
        let at = match cut {
            Cut::At(milliseconds) => Duration::from_millis(milliseconds),
            Cut::Started(_) | Cut::Ended(_) => Duration::from_secs(86_400),
        };
        let request = self.request(&self.asked(ask).await, only);
        let (engine, stop) = (self.engine(), Stop::default());
        tokio::select! {
            biased;
            () = fallen.notified() => true,
            () = tokio::time::sleep(at) => true,
            _ = engine.apply(&request, &stop, &mut sink) => false,
        }
    }

    /// Runs until one is complete, at most so often; somebody mends things in between. Returns what each came to.
    pub(crate) async fn run_to_the_end(&self, ask: &Ask, only: &[String], at_most: usize) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..at_most {
            let (ended, _) = self.run(ask, only).await;
            told.push(words(&ended));
            if matches!(&ended, Ok(report) if report.end == RunEnd::Complete) {
                break;
            }
            self.centre.mend();
        }
        told
    }

    /// What is still to be done, and everything that went wrong on the way; empty when all is well.
    pub(crate) async fn complaints(&self, ask: &Ask, only: &[String]) -> Vec<String> {
        let mut found: Vec<String> =
            self.centre.breaches().into_iter().map(|breach| format!("breach: {}", breach.what)).collect();
        let again = match ask {
            Ask::Destroy => Ask::Destroy,
            Ask::Apply | Ask::Replace(_) | Ask::ReplaceOutdated | Ask::Rebuild | Ask::Backup | Ask::Restore => {
                Ask::Apply
            }
            Ask::Reboot(_) | Ask::RebootNeeded(_) | Ask::UpdateOs(_) | Ask::Repair(_) | Ask::Rotate(_) => Ask::Apply,
        };
        if let Ask::Repair(_) = ask {
            // A kubelet that was started says so within a minute. Where a repair was cut right behind that, nothing is left to
            // be repaired.
            tokio::time::sleep(Duration::from_secs(60)).await;
            let evidence = self.engine().examine(&self.desired, &BTreeSet::new()).await;
            let diagnosis = self.engine().diagnose(&evidence, &self.desired);
            found.extend(diagnosis.findings().map(|it| format!("still found: {}: {}", it.check, it.place)));
        }
        let (observed, plan) = self.plan(&again, only).await;
        let nodes = observed.cluster.as_ref().and_then(Seen::present).into_iter().flat_map(|seen| &seen.nodes);
        let cordoned = nodes.filter(|(_, node)| node.labels.contains_key(CORDONED));
        found.extend(cordoned.map(|(name, _)| format!("{name} was left cordoned")));
        found.extend(plan.steps.iter().map(|step| format!("still to be done: {} ({})", step.title(), step.reason)));
        let begins = |seen: &Seen<HostSeen>| {
            seen.present().and_then(|host| host.kubernetes.as_ref()).is_some_and(|kubernetes| kubernetes.begins)
        };
        let alone = observed.hosts.iter().filter(|(_, seen)| only.is_empty() && begins(seen));
        found.extend(alone.map(|(name, _)| format!("{name} would begin another cluster if it lost its data")));
        if *ask == Ask::Destroy {
            found.extend(self.centre.leftovers().into_iter().map(|left| format!("left over: {left}")));
        }
        found
    }
}

/// What a run came to, in one line.
pub(crate) fn words(ended: &Result<RunReport, EngineError>) -> String {
    match ended {
        Ok(report) => {
            let failed = report.failed.iter().map(|(step, failure)| format!("{step}: {}", failure.causes.join(": ")));
            let failed: Vec<String> = failed.chain(report.remaining.iter().cloned()).collect();
            let word = match report.end {
                RunEnd::Complete => "complete",
                RunEnd::Failed => "failed",
                RunEnd::NotConverged => "not converged",
                RunEnd::Interrupted => "interrupted",
            };
            if failed.is_empty() { word.to_string() } else { format!("{word}: {}", failed.join("; ")) }
        }
        Err(error) => error.told(),
    }
}
