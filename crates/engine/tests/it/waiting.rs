//! What a run waits for before it begins, and what it does not wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kubewright_engine::{Engine, EngineError, Planned, Stop, sim};
use kubewright_hosts::{DialError, Dialed, Holes, HostError, Hosts, Layer, Probe, Report};
use kubewright_model::desired::Way;
use kubewright_model::event::{Event, Record};
use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;
use kubewright_model::observed::{CloudInit, HostSeen, Power, Seen};
use kubewright_model::plan::{Ask, HostChange, Weight};
use kubewright_model::recipe::Recipe;
use tokio::time::Instant;

use crate::proofs::LAB;
use crate::yard::{Cut, Yard, desired};

/// Hands on hosts, some of which do not let us in.
struct Barred {
    hosts: Arc<dyn Hosts>,
    who: Vec<(&'static str, Layer)>,
}

#[async_trait]
impl Hosts for Barred {
    async fn observe(&self, probe: Probe<'_>) -> Seen<HostSeen> {
        match self.who.iter().find(|(name, _)| probe.host.as_str() == *name) {
            Some((_, layer)) => {
                let (host, why) = (probe.host.clone(), "it does not let us in".to_string());
                Seen::Unknown(HostError::Unreachable { host, layer: *layer, why }.into())
            }
            None => self.hosts.observe(probe).await,
        }
    }

    async fn change(&self, change: &HostChange, holes: &Holes) -> Result<Report, HostError> {
        self.hosts.change(change, holes).await
    }

    async fn run(
        &self,
        host: &NodeName,
        way: &Way,
        recipe: &Recipe,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Report, HostError> {
        self.hosts.run(host, way, recipe, holes, tell).await
    }

    async fn dial(&self, host: &NodeName, way: &Way, at: &HostPort) -> Result<Dialed, DialError> {
        self.hosts.dial(host, way, at).await
    }
}

/// Hands on hosts on which cloud-init is at work for a while after they first answered.
struct Booting {
    hosts: Arc<dyn Hosts>,
    lasts: Duration,
    began: Mutex<BTreeMap<NodeName, Instant>>,
}

impl Booting {
    fn is_at_work(&self, host: &NodeName) -> bool {
        self.began.lock().unwrap().entry(host.clone()).or_insert_with(Instant::now).elapsed() < self.lasts
    }
}

#[async_trait]
impl Hosts for Booting {
    async fn observe(&self, probe: Probe<'_>) -> Seen<HostSeen> {
        match self.hosts.observe(probe).await {
            Seen::Present(seen) if self.is_at_work(probe.host) => {
                Seen::Present(HostSeen { cloud_init: Some(CloudInit::AtWork), ..seen })
            }
            Seen::Present(seen) if probe.host.as_str() == "server" => {
                Seen::Present(HostSeen { cloud_init: Some(CloudInit::Failed("no such package".into())), ..seen })
            }
            seen => seen,
        }
    }

    async fn change(&self, change: &HostChange, holes: &Holes) -> Result<Report, HostError> {
        assert!(!self.is_at_work(&change.host), "{} is changed while cloud-init is at work there", change.host);
        self.hosts.change(change, holes).await
    }

    async fn run(
        &self,
        host: &NodeName,
        way: &Way,
        recipe: &Recipe,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Report, HostError> {
        self.hosts.run(host, way, recipe, holes, tell).await
    }

    async fn dial(&self, host: &NodeName, way: &Way, at: &HostPort) -> Result<Dialed, DialError> {
        self.hosts.dial(host, way, at).await
    }
}

/// What a first run told and what of it failed, on hosts whose first boot lasts so long.
fn boots(spec: &str, lasts: Duration) -> (Vec<String>, Vec<String>) {
    let yard = Yard::new(desired(spec), 5);
    sim::run(async {
        let mut world = yard.centre.world(&yard.desired);
        world.hosts =
            world.hosts.map(|hosts| Arc::new(Booting { hosts, lasts, began: Mutex::default() }) as Arc<dyn Hosts>);
        let engine = Engine::new(world, Arc::new(yard.store.clone()));
        let mut told = Vec::new();
        let mut sink = |record: &Record| {
            if let Event::StepTells { message, .. } = &record.event {
                told.push(message.clone());
            }
        };
        let report = engine.apply(&yard.request(&Ask::Apply, &[]), &Stop::default(), &mut sink).await.unwrap();
        (told, report.failed.into_iter().flat_map(|(_, failure)| failure.causes).collect())
    })
    .unwrap()
}

#[test]
fn nothing_is_changed_on_a_host_while_cloud_init_is_at_work_there() {
    let made = HOSTS.replace("existing: {}", "cores: 2, memory: 4Gi, disk: 20Gi, proxmox: { vm: { template: 9000 } }").replace(
        "  pools:",
        "  providers: { proxmox: { endpoint: \"https://pve:8006\", tokenId: root@pam!kubewright, tokenSecret: { env: TOKEN }, node: pve } }\n  pools:",
    );
    // Machines that we make, and hosts that answer before anything is planned.
    for spec in [made.as_str(), HOSTS] {
        let (told, failed) = boots(spec, Duration::from_secs(25 * 60));
        assert!(failed.is_empty(), "{failed:#?}");
        let says = |words: &str| told.iter().any(|it| it == words);
        assert!(says("waiting for agent-1 to answer: cloud-init is at work there"), "{told:#?}");
        assert!(says("cloud-init on server did not do all that it was to: no such package"), "{told:#?}");
    }
    let (_, failed) = boots(&made, Duration::from_secs(60 * 60));
    assert!(failed.contains(&"cloud-init on server was not done within 30 minutes".to_string()), "{failed:#?}");
}

/// What came of planning while some hosts do not let us in: how long it took, what was told meanwhile, and the plan.
struct Waited {
    took: Duration,
    told: Vec<String>,
    planned: Result<Planned, EngineError>,
}

/// Hosts that were there before us.
const HOSTS: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes: { distribution: k3s, version: v1.31.4+k3s1, datastore: sqlite }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  hosts: { ssh: { keyFile: ~/.ssh/id_ed25519 }, packages: [curl] }
  pools:
    server: { role: both, name: server, addresses: [10.0.0.10], existing: {} }
    agent: { role: agent, name: "agent-{n}", addresses: [10.0.0.20-21], existing: {} }
"#;

/// Builds the lab, and plans once more with these words after `--only`.
fn waits(who: &[(&'static str, Layer)], ask: &Ask, only: &[&str]) -> Waited {
    waits_in(LAB, who, ask, only)
}

fn waits_in(lab: &str, who: &[(&'static str, Layer)], ask: &Ask, only: &[&str]) -> Waited {
    let yard = Yard::new(desired(lab), 5);
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        let mut world = yard.centre.world(&yard.desired);
        world.hosts = world.hosts.map(|hosts| Arc::new(Barred { hosts, who: who.to_vec() }) as Arc<dyn Hosts>);
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&told);
        let engine = Engine::new(world, Arc::new(yard.store.clone()))
            .telling(Arc::new(move |words| hears.lock().unwrap().push(words)));
        let only: Vec<String> = only.iter().map(|word| (*word).to_string()).collect();
        let begin = Instant::now();
        let planned = engine.plan_patiently(&yard.desired, ask, &only, &BTreeSet::new()).await;
        let told = told.lock().unwrap().clone();
        Waited { took: begin.elapsed(), told, planned }
    })
    .unwrap()
}

#[test]
fn what_somebody_has_to_mend_is_not_waited_for() {
    for layer in [Layer::HostKey, Layer::Authentication, Layer::Sudo] {
        for ask in [Ask::Apply, Ask::Destroy] {
            // That another one is on its way makes no difference: the plan is blocked as long as this one lasts.
            let waited = waits_in(HOSTS, &[("server", layer), ("agent-1", Layer::Tcp)], &ask, &[]);
            assert!(waited.planned.unwrap().plan.is_blocked());
            assert!(
                waited.took < Duration::from_secs(30) && waited.told.is_empty(),
                "{:?} {:?}",
                waited.took,
                waited.told
            );
        }
    }
    let waited = waits_in(HOSTS, &[("agent-1", Layer::Tcp)], &Ask::Destroy, &[]);
    assert!(waited.took > Duration::from_secs(110), "{:?}", waited.took);
}

#[test]
fn nobody_waits_for_machines_that_are_to_go() {
    for ask in [Ask::Destroy, Ask::Rebuild] {
        let waited = waits(&[("server-2", Layer::Tcp), ("agent-1", Layer::Tcp)], &ask, &[]);
        assert!(waited.planned.unwrap().plan.steps.iter().any(|step| step.id.as_str() == "delete/server-2"));
        assert!(waited.took < Duration::from_secs(30) && waited.told.is_empty(), "{ask:?} {:?}", waited.took);
    }
}

#[test]
fn a_wait_is_told_once_and_then_only_that_it_goes_on() {
    let waited = waits(&[("server-2", Layer::Tcp), ("agent-1", Layer::Authentication)], &Ask::Apply, &[]);
    assert!(waited.planned.unwrap().plan.is_blocked());
    assert!(waited.took > Duration::from_secs(110), "{:?}", waited.took);
    let (first, rest) = waited.told.split_first().unwrap();
    assert!(first.contains("Ctrl-C is safe:\n  server-2 cannot be reached (TCP): it does not let us in"), "{first}");
    assert!(!first.contains("agent-1"), "it is left out, and nobody waits for it: {first}");
    assert!((2..=4).contains(&rest.len()), "{rest:#?}");
    assert!(rest.iter().all(|told| told.starts_with("still waiting for server-2, ") && told.len() < 60), "{rest:#?}");
}

#[test]
fn an_agent_that_is_left_out_for_good_keeps_nobody_waiting() {
    let waited = waits(&[("agent-1", Layer::HostKey)], &Ask::Apply, &[]);
    assert!(!waited.planned.unwrap().plan.is_blocked() && waited.took < Duration::from_secs(30), "{:?}", waited.took);
}

#[test]
fn names_are_judged_before_anybody_waits() {
    let waited = waits(&[("server-2", Layer::Tcp)], &Ask::Apply, &["host/agent-3"]);
    let Err(EngineError::Words { unknown, .. }) = waited.planned else { panic!("it means nothing") };
    assert_eq!(unknown.len(), 1);
    assert!(unknown[0].1.as_ref().is_some_and(|near| near.starts_with("host/agent-")), "{unknown:?}");
    assert!(waited.took < Duration::from_secs(30) && waited.told.is_empty(), "{:?}", waited.took);
}

#[test]
fn who_was_not_chosen_is_not_waited_for_and_blocks_nothing() {
    for word in ["host/agent-1", "upgrade/agent-1", "unsnapshot/agent-1", "agent-1"] {
        let waited = waits(&[("server-2", Layer::Tcp)], &Ask::Apply, &[word]);
        let plan = waited.planned.unwrap().plan;
        assert!(plan.is_empty() && !plan.is_blocked(), "there is nothing to do: {:?}", plan.notes);
        assert!(plan.notes.iter().any(|note| note.message == format!("nothing is to be done for `{word}`")));
        let other = plan.notes.iter().find(|note| note.message.contains("cannot be looked at")).unwrap();
        assert_eq!(other.weight, Weight::Tells);
        assert!(waited.took < Duration::from_secs(30), "{:?}", waited.took);
    }
    let waited = waits(&[("server-2", Layer::Tcp)], &Ask::Apply, &["host/server-2"]);
    assert!(waited.planned.unwrap().plan.is_blocked() && waited.took > Duration::from_secs(110), "{:?}", waited.took);
}

/// Its etcd may answer with what it was before, and nobody counts on that; nor is the vote taken away.
#[test]
fn a_server_that_is_just_started_is_not_restarted_beside_one_that_is_off() {
    let older = |spec: &str| spec.replace("v1.34.1", "v1.33.5");
    for spec in crate::restores::all().into_iter().take(3) {
        sim::run(async {
            let mut yard = Yard::new(desired(&older(&spec)), 7);
            assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
            yard.wish(desired(&spec));
            let mut blocked = 0;
            for cut in (0..80_000).step_by(2_000) {
                let twin = yard.twin();
                twin.run_until(Cut::At(cut), &Ask::Apply, &[]).await;
                twin.centre.alter(|state| {
                    let machine = state.machine_mut(&"blue".into()).unwrap();
                    machine.seen.power = Power::Stopped;
                    machine.host.units.values_mut().for_each(|unit| unit.active = false);
                });
                let before = twin.centre.breaches().len();
                for name in ["red", "green"] {
                    let ask = Ask::Reboot(vec![name.into()]);
                    blocked += usize::from(matches!(twin.run(&ask, &[]).await.0, Err(EngineError::Blocked(_))));
                }
                let breaches = twin.centre.breaches();
                assert_eq!(breaches.len(), before, "{cut}: {breaches:?}");
            }
            assert!(blocked > 25, "two of three answer, and both are wanted: {blocked}");
        })
        .unwrap();
    }
}
