//! How plans are carried out: order, leases, retries, stops, and what is told of it all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kubewright_engine::execute::durations;
use kubewright_engine::journal::Progress;
use kubewright_engine::world::World;
use kubewright_engine::{Engine, EngineError, Request, Stop, sim};
use kubewright_model::desired::{DesiredLoadBalancer, DesiredMachine};
use kubewright_model::event::{Event, Outcome, Record, RunEnd};
use kubewright_model::ids::{ClusterName, NodeName, Owner};
use kubewright_model::observed::{Inventory, LoadBalancerSeen, MachineSeen, Seen};
use kubewright_model::plan::Ask;
use kubewright_providers::{Capabilities, Doomed, Provider, ProviderError};

use crate::yard::{Yard, desired};

/// Three servers and five agents, as in the scenario of that name.
fn eight() -> Yard {
    let text = include_str!("../scenarios/004-fresh-three-and-five.txt");
    let spec = text.split("--- spec\n").nth(1).and_then(|rest| rest.split("\n--- world").next()).unwrap();
    Yard::new(desired(spec), 11)
}

fn in_time<T>(play: impl Future<Output = T>) -> T {
    sim::run(play).unwrap()
}

/// When a step ended, in milliseconds of the run.
fn ended(records: &[Record], step: &str) -> u64 {
    let mut ends = records
        .iter()
        .filter(|record| matches!(&record.event, Event::StepEnded { step: it, .. } if it.as_str() == step));
    ends.next().unwrap_or_else(|| panic!("{step} never ended")).at
}

fn outcomes(records: &[Record]) -> BTreeMap<String, Outcome> {
    let ends = records.iter().filter_map(|record| match &record.event {
        Event::StepEnded { step, outcome } => Some((step.to_string(), outcome.clone())),
        _ => None,
    });
    ends.collect()
}

#[test]
fn what_a_step_needs_has_ended_before_it_starts_and_no_lease_is_exceeded() {
    let yard = eight();
    let (plan, records) = in_time(async {
        let (_, plan) = yard.plan(&Ask::Apply, &[]).await;
        (plan, yard.run(&Ask::Apply, &[]).await.1)
    });
    let spans = durations(&records);
    let mut at_once = 0;
    for step in &plan.steps {
        let (began, _) = spans[&step.id];
        for need in &step.needs {
            assert!(spans[need].1 <= began, "{} began before {need} ended", step.id);
        }
        for lease in &step.takes {
            let holders = plan.steps.iter().filter(|other| other.takes.iter().any(|it| it.thing == lease.thing));
            let held = holders.filter(|other| spans[&other.id].0 <= began && began < spans[&other.id].1).count();
            assert!(held <= usize::from(lease.width), "{held} hold {} at {began}", lease.thing);
        }
        at_once = at_once.max(spans.values().filter(|(from, to)| *from <= began && began < *to).count());
    }
    assert!(at_once >= 5, "only {at_once} steps ran at once");
    let waits = records.iter().filter(|record| matches!(record.event, Event::StepWaits { .. })).count();
    assert!(waits > 5, "creations wait for their storage, and joins for etcd: {waits}");
}

#[test]
fn a_slow_host_holds_nobody_up() {
    let yard = eight();
    yard.centre.strike("unreachable=agent-5".parse().unwrap());
    let (ended_well, records) = in_time(yard.run(&Ask::Apply, &[]));
    assert_eq!(ended_well.unwrap().end, RunEnd::Complete);
    let slow = ended(&records, "host/agent-5");
    for name in ["agent-1", "agent-2", "agent-3", "agent-4"] {
        assert!(ended(&records, &format!("join/{name}")) < slow, "{name} waited for agent-5");
    }
}

#[test]
fn a_failure_stops_what_needs_it_and_nothing_else() {
    let yard = eight();
    yard.centre.strike("disk-full=agent-2".parse().unwrap());
    let (report, records) = in_time(yard.run(&Ask::Apply, &[]));
    let report = report.unwrap();
    assert_eq!(report.end, RunEnd::Failed);
    let outcomes = outcomes(&records);
    assert_eq!(outcomes["join/agent-2"], Outcome::Skipped { because: "host/agent-2".into() });
    assert!(matches!(outcomes["host/agent-2"], Outcome::Failed(_)));
    for name in ["agent-1", "agent-3", "agent-4", "agent-5"] {
        assert_eq!(outcomes[&format!("join/{name}")], Outcome::Done);
    }
    let failed: Vec<&str> = report.failed.iter().map(|(step, _)| step.as_str()).collect();
    assert!(failed.contains(&"host/agent-2") && failed.len() <= 2, "{failed:?}");
}

#[test]
fn a_node_whose_pods_may_not_go_takes_pods_again() {
    let text = include_str!("../scenarios/021-upgrade.txt");
    let spec = text.split("--- spec\n").nth(1).and_then(|rest| rest.split("\n--- world").next()).unwrap();
    let newer = desired(spec);
    let older = desired(&spec.replace("v1.31.4+k3s1", "v1.31.3+k3s1"));
    let (report, records, seen) = in_time(async {
        let mut yard = Yard::new(older, 11);
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        yard.desired = newer;
        yard.centre.strike("eviction-blocked=agent-1".parse().unwrap());
        let (report, records) = yard.run(&Ask::Apply, &[]).await;
        (report, records, yard.plan(&Ask::Apply, &[]).await.0)
    });
    assert_eq!(report.unwrap().end, RunEnd::Failed);
    let mut told = records.iter().filter_map(|record| match &record.event {
        Event::StepTells { step, message } if step.as_str() == "drain/agent-1" => Some(message.as_str()),
        _ => None,
    });
    assert_eq!(told.next_back(), Some("agent-1 takes pods again"));
    let cluster = seen.cluster.as_ref().and_then(Seen::present).unwrap();
    assert!(!cluster.nodes[&NodeName::new("agent-1")].cordoned);
    let outcomes = outcomes(&records);
    assert!(matches!(outcomes["upgrade/agent-1"], Outcome::Skipped { .. }), "{:?}", outcomes["upgrade/agent-1"]);
}

/// A run that is asked to stop, so often, when so many steps have ended.
fn stopped(yard: &Yard, times: u32, after: usize) -> (RunEnd, Vec<Record>) {
    let stop = Stop::default();
    let mut records = Vec::new();
    let mut many = 0;
    let request = yard.request(&Ask::Apply, &[]);
    let mut sink = |record: &Record| {
        records.push(record.clone());
        many += usize::from(matches!(record.event, Event::StepEnded { .. }));
        while many == after && stop.asked() < times {
            stop.ask();
        }
    };
    let report = in_time(yard.engine().apply(&request, &stop, &mut sink)).unwrap();
    (report.end, records)
}

#[test]
fn asked_to_stop_once_it_starts_nothing_new_and_ends_what_runs() {
    for after in [1, 7, 20] {
        let (end, records) = stopped(&eight(), 1, after);
        assert_eq!(end, RunEnd::Interrupted);
        let asked = records.iter().position(|record| matches!(record.event, Event::StopAsked { .. })).unwrap();
        let later = &records[asked..];
        let at = records[asked].at;
        // What was startable at that very moment may still start; nothing does later.
        let started = later.iter().filter(|it| it.at > at && matches!(it.event, Event::StepStarted { .. })).count();
        assert_eq!(started, 0);
        let progress = Progress::replay(&records).unwrap();
        let running: Vec<_> =
            durations(&records).into_iter().filter(|(_, (from, to))| *from <= at && at < *to).collect();
        assert!(!running.is_empty());
        for (step, _) in running {
            assert!(matches!(outcomes(&records)[step.as_str()], Outcome::Done | Outcome::AlreadyTrue));
        }
        assert_eq!(progress.end, Some(RunEnd::Interrupted));
    }
}

#[test]
fn asked_twice_it_gives_up_what_runs_and_the_next_run_makes_it_good() {
    for after in [1, 7, 20, 30] {
        let yard = eight();
        let (end, records) = stopped(&yard, 2, after);
        assert_eq!(end, RunEnd::Interrupted);
        let asked = records.iter().find(|record| matches!(record.event, Event::StopAsked { .. })).unwrap();
        assert_eq!(records.last().unwrap().at, asked.at, "it waited for something");
        assert!(outcomes(&records).values().any(|outcome| *outcome == Outcome::Cancelled));
        Progress::replay(&records).unwrap();
        let told = in_time(yard.run_to_the_end(&Ask::Apply, &[], 2));
        assert_eq!(told.last().map(String::as_str), Some("complete"), "{told:?}");
        assert_eq!(in_time(yard.complaints(&Ask::Apply, &[])), [""; 0]);
    }
}

#[test]
fn what_may_pass_is_tried_again_and_the_journal_tells() {
    for fault in ["api-500", "api-429", "api-timeout", "lock-held"] {
        let yard = eight();
        let (report, records) = in_time(async {
            let (_, plan) = yard.plan(&Ask::Apply, &[]).await;
            yard.centre.strike(fault.parse().unwrap());
            let approved = Request { approved: Some(&plan), ..yard.request(&Ask::Apply, &[]) };
            let mut records = Vec::new();
            let mut sink = |record: &Record| records.push(record.clone());
            (yard.engine().apply(&approved, &Stop::default(), &mut sink).await, records)
        });
        let told = crate::yard::words(&report);
        assert_eq!(told, "complete", "{fault}, {:?}", yard.centre.calls());
        let mut tries: BTreeMap<String, Vec<(u32, u64)>> = BTreeMap::new();
        for record in &records {
            if let Event::StepRetries { step, attempt, after, error } = &record.event {
                assert!(!error.is_empty());
                tries.entry(step.to_string()).or_default().push((*attempt, *after));
            }
        }
        assert!(!tries.is_empty(), "{fault} was never met");
        for (step, tries) in tries {
            // A step makes several calls; each begins to count anew.
            assert!(tries.iter().all(|(attempt, after)| *after == 2_000 << (attempt - 2)), "{step}: {tries:?}");
        }
        Progress::replay(&records).unwrap();
    }
}

/// A provider that shows what one shows, makes what another makes, and takes its time for it.
struct Closed {
    open: Arc<dyn Provider>,
    closed: Arc<dyn Provider>,
    takes: Duration,
}

#[async_trait]
impl Provider for Closed {
    async fn doing(&self, name: &NodeName) -> Vec<String> {
        vec![format!("a task for {name}: 15 %")]
    }
    fn can(&self) -> Capabilities {
        self.open.can()
    }
    async fn observe(&self, owner: &Owner) -> Result<Inventory, ProviderError> {
        self.open.observe(owner).await
    }
    async fn create(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        tokio::time::sleep(self.takes).await;
        self.closed.create(machine, owner).await
    }
    async fn update(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.closed.update(machine, owner).await
    }
    async fn start(&self, name: &NodeName, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.closed.start(name, owner).await
    }
    async fn shut_down(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        self.closed.shut_down(name, owner).await
    }
    async fn delete(&self, doomed: Doomed<'_>) -> Result<(), ProviderError> {
        self.closed.delete(doomed).await
    }
    async fn set_load_balancer(
        &self,
        wish: &DesiredLoadBalancer,
        owner: &Owner,
    ) -> Result<LoadBalancerSeen, ProviderError> {
        self.closed.set_load_balancer(wish, owner).await
    }
    async fn delete_load_balancer(&self, name: &ClusterName, owner: &Owner) -> Result<(), ProviderError> {
        self.closed.delete_load_balancer(name, owner).await
    }
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    let yard = eight();
    let mut world: World = yard.centre.world(&yard.desired);
    for (name, provider) in &mut world.providers {
        let (open, closed) = (provider.clone(), yard.centre.stranger(name));
        *provider = Arc::new(Closed { open, closed, takes: Duration::ZERO });
    }
    let engine = Engine::new(world, Arc::new(yard.store.clone()));
    let request = yard.request(&Ask::Apply, &[]);
    let mut records = Vec::new();
    let mut sink = |record: &Record| records.push(record.clone());
    let report = in_time(engine.apply(&request, &Stop::default(), &mut sink)).unwrap();
    assert_eq!(report.end, RunEnd::Failed);
    assert_eq!(report.failed.len(), 8, "{:?}", report.failed);
    assert!(report.failed.iter().all(|(_, failure)| failure.causes[0].contains("401 invalid token")));
    assert_eq!(yard.centre.calls()["machine create"], 8);
    assert!(!records.iter().any(|record| matches!(record.event, Event::StepRetries { .. })));
}

#[test]
fn what_a_provider_is_at_is_told_every_minute() {
    let yard = eight();
    let mut world: World = yard.centre.world(&yard.desired);
    for provider in world.providers.values_mut() {
        let (open, closed) = (provider.clone(), provider.clone());
        *provider = Arc::new(Closed { open, closed, takes: Duration::from_secs(130) });
    }
    let engine = Engine::new(world, Arc::new(yard.store.clone()));
    let request = yard.request(&Ask::Apply, &[]);
    let mut told = Vec::new();
    let mut sink = |record: &Record| {
        if let Event::StepTells { step, message } = &record.event
            && step.as_str() == "create/server-1"
        {
            told.push(message.clone());
        }
    };
    assert_eq!(in_time(engine.apply(&request, &Stop::default(), &mut sink)).unwrap().end, RunEnd::Complete);
    assert!(told.len() >= 2 && told.iter().all(|it| it == "a task for server-1: 15 %"), "{told:?}");
}

#[test]
fn a_world_that_changed_since_the_plan_was_agreed_to_is_left_alone() {
    let yard = eight();
    let told = in_time(async {
        let (_, plan) = yard.plan(&Ask::Apply, &[]).await;
        yard.centre.put_foreign(
            &"proxmox".into(),
            &"pve".into(),
            &"somebody-vm".into(),
            kubewright_model::ids::Vmid(900),
        );
        let same = Request { approved: Some(&plan), ..yard.request(&Ask::Apply, &[]) };
        assert!(yard.run_until(crate::yard::Cut::Ended(3), &Ask::Apply, &[]).await);
        (yard.engine().apply(&same, &Stop::default(), &mut |_| {}).await.map(drop), yard.centre.calls(), plan)
    });
    match told.0 {
        Err(EngineError::Changed { gone, .. }) => {
            assert!(gone.contains(&"create machine server-1".to_string()), "{gone:?}")
        }
        other => panic!("{other:?}"),
    }
    assert!(!told.1.contains_key("host recipe"));
}

#[test]
fn a_run_that_has_begun_is_alone_and_carries_out_what_it_showed_without_another_look() {
    let yard = eight();
    in_time(async {
        let (stop, engine) = (Stop::default(), yard.engine());
        let request = yard.request(&Ask::Apply, &[]);
        let begun = engine.begin(&request, &stop).await.unwrap();
        let looks = yard.centre.calls()["provider list"];
        assert!(matches!(engine.begin(&request, &stop).await, Err(EngineError::Store(_))), "it has the lock");
        assert_eq!(looks, 1);
        let steps = begun.plan().steps.len();
        let report = engine.carry_out(begun, &request, &stop, &mut |_| {}).await.unwrap();
        assert_eq!((report.end, report.done + report.already), (RunEnd::Complete, steps));
        assert_eq!(yard.centre.calls()["provider list"], looks + 1, "and it looks what it came to");
        assert!(engine.begin(&request, &stop).await.is_ok_and(|begun| begun.plan().is_empty()));
    });
}

/// A server and so many virtual machines, all on one storage, and something that waits for them.
fn many(agents: u32) -> Yard {
    let server = "cores: 2, memory: 4Gi, disk: 20Gi";
    Yard::new(
        desired(&format!(
            r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes: {{ distribution: k3s, version: v1.31.4+k3s1, datastore: sqlite }}
  providers:
    proxmox: {{ endpoint: "https://pve:8006", tokenId: root@pam!kubewright, tokenSecret: {{ env: TOKEN }}, node: pve, ssh: {{ keyFile: ~/.ssh/id_ed25519 }} }}
  network: {{ cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }}
  hosts: {{ ssh: {{ keyFile: ~/.ssh/id_ed25519 }} }}
  pools:
    server: {{ role: server, name: server, addresses: [10.0.0.10], {server}, proxmox: {{ vmids: ["400"], vm: {{ template: 9000 }} }} }}
    agent: {{ role: agent, name: "agent-{{n}}", addresses: [10.0.0.100-{last}], {server}, proxmox: {{ vmids: [500-{number}], vm: {{ template: 9000 }} }} }}
  addons: {{ certManager: {{}} }}
"#,
            last = 99 + agents,
            number = 499 + agents,
        )),
        4,
    )
}

#[test]
fn a_wait_counts_from_when_its_nodes_were_set_going() {
    let yard = many(80);
    let (report, records) = in_time(yard.run(&Ask::Apply, &[]));
    let report = report.unwrap();
    assert_eq!((report.end, report.failed), (RunEnd::Complete, Vec::new()));
    let making = ended(&records, "create/agent-80") - ended(&records, "init/server");
    assert!(making > 30 * 60_000, "the machines are made for longer than anybody waits: {making}");
}

#[test]
fn asked_to_stop_it_waits_no_longer() {
    let yard = many(12);
    let stop = Stop::default();
    let mut records = Vec::new();
    let request = yard.request(&Ask::Apply, &[]);
    let mut sink = |record: &Record| {
        records.push(record.clone());
        // Somebody loses patience while machines are still being made.
        let waits =
            matches!(&record.event, Event::StepTells { step, .. } if step.as_str() == "ready/nodes for add-ons");
        if waits && stop.asked() == 0 {
            stop.ask();
        }
    };
    let report = in_time(yard.engine().apply(&request, &stop, &mut sink)).unwrap();
    assert_eq!((report.end, report.failed), (RunEnd::Interrupted, Vec::new()));
    assert_eq!(outcomes(&records)["ready/nodes for add-ons"], Outcome::Cancelled);
    let releases = |id: &str| id.starts_with("release/");
    let began = |record: &Record| matches!(&record.event, Event::StepStarted { step, .. } if releases(step.as_str()));
    assert!(!records.iter().any(began), "what needs the wait has begun without it");
    assert!(outcomes(&records).iter().any(|(id, outcome)| releases(id) && *outcome == Outcome::Cancelled));
    let asked = records.iter().find(|record| matches!(record.event, Event::StopAsked { .. })).unwrap().at;
    let took = records.last().unwrap().at - asked;
    assert!(took < 5 * 60_000, "it ended {took} ms after it was asked to");
    assert_eq!(Progress::replay(&records).unwrap().end, Some(RunEnd::Interrupted));
}
