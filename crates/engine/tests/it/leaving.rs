//! Servers leave a cluster that lives on. What its plan has counted is counted once more before each step, for others may
//! have fallen ill since; whoever is ill comes back, and the next run goes on.

use kubewright_engine::sim::{Fault, FaultKind};
use kubewright_engine::{RunReport, Stop, sim};
use kubewright_model::event::{Event, Record, RunEnd};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::Power;
use kubewright_model::plan::{Action, Ask};

use crate::yard::{Yard, desired, words};

const K3S: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: fleet }
spec:
  kubernetes: { distribution: k3s, version: v1.34.1+k3s1, endpoint: { host: 10.0.0.11 } }
  pools:
    plane: { role: both, name: "plane-{n}", addresses: [10.0.0.11-15], existing: {} }
    work: { role: agent, names: [one], addresses: [10.0.0.21], existing: {} }
"#;

const TALOS: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: fleet }
spec:
  kubernetes:
    distribution: talos
    version: v1.34.0
    talos: { version: v1.11.5 }
    endpoint: { virtualIp: { address: 10.0.0.5 } }
    cni: { cilium: { version: 1.18.3 } }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  pools:
    plane: { role: server, name: "plane-{n}", addresses: [10.0.0.11-15], existing: {} }
    work: { role: agent, names: [one], addresses: [10.0.0.21], existing: {} }
"#;

/// One cluster of each distribution, with five servers.
fn all() -> [String; 4] {
    let of = |words: &str| K3S.replace("distribution: k3s, version: v1.34.1+k3s1", words);
    let kubeadm = of("distribution: kubeadm, version: v1.34.1, cni: { flannel: {} }");
    [K3S.into(), of("distribution: rke2, version: v1.34.1+rke2r1"), kubeadm, TALOS.into()]
}

/// Five servers stand, and three are wished.
async fn two_are_to_leave(spec: &str) -> Yard {
    let mut yard = Yard::new(desired(spec), 7);
    assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
    yard.wish(desired(&spec.replace("10.0.0.11-15", "10.0.0.11-13")));
    yard
}

/// Hosts of servers that stay answer nobody from now on, or again.
fn answer(yard: &Yard, names: &[&str], from: u64) {
    yard.centre.alter(|state| {
        for name in names {
            state.machine_mut(&NodeName::from(*name)).unwrap().answers_at = from;
        }
    });
}

/// A run in which servers fall ill when so many steps have started.
async fn run_until_ill(yard: &Yard, names: &[&str], steps: usize) -> RunReport {
    let mut started = 0;
    let mut sink = |record: &Record| {
        started += usize::from(matches!(record.event, Event::StepStarted { .. }));
        if started == steps {
            answer(yard, names, u64::MAX);
        }
    };
    let request = yard.request(&Ask::Apply, &[]);
    let ended = yard.engine().apply(&request, &Stop::default(), &mut sink).await;
    ended.unwrap_or_else(|error| panic!("{}", error.told()))
}

#[test]
fn who_falls_ill_while_others_leave_is_waited_for_and_counted() {
    for spec in all() {
        sim::run(async {
            let yard = two_are_to_leave(&spec).await;
            let (_, plan) = yard.plan(&Ask::Apply, &[]).await;
            let last = plan.steps.iter().rposition(|step| matches!(step.action, Action::ForgetMember(_))).unwrap();
            let mut refused = 0;
            for steps in 1..=last {
                let twin = yard.twin();
                let told = format!("{:?}, ill when {steps} had started", yard.desired.kubernetes.distribution);
                let report = run_until_ill(&twin, &["plane-1", "plane-2"], steps).await;
                assert_ne!(report.end, RunEnd::Complete, "{told}");
                let said = words(&Ok(report));
                // Where a third one had fallen silent before, the others wait for a leader.
                assert!(said.contains("are needed"), "{told}: {said}");
                refused +=
                    usize::from(said.contains("may not go now: 3 of 5 members of etcd are healthy; without plane-4"));
                answer(&twin, &["plane-1", "plane-2"], 0);
                let ended = twin.run_to_the_end(&Ask::Apply, &[], 3).await;
                assert_eq!(ended.last().map(String::as_str), Some("complete"), "{told}: {ended:?}");
                assert_eq!(twin.complaints(&Ask::Apply, &[]).await, [""; 0], "{told}");
            }
            assert!(refused >= 2, "{refused} of {last} were refused before anything was taken away");
        })
        .unwrap();
    }
}

#[test]
fn who_is_back_in_time_holds_nobody_up() {
    for spec in all() {
        sim::run(async {
            let yard = two_are_to_leave(&spec).await;
            let ill = async {
                tokio::time::sleep(std::time::Duration::from_secs(2)).await;
                answer(&yard, &["plane-1", "plane-2"], u64::MAX);
                tokio::time::sleep(std::time::Duration::from_secs(240)).await;
                answer(&yard, &["plane-1", "plane-2"], 0);
            };
            let (told, ()) = tokio::join!(yard.run_to_the_end(&Ask::Apply, &[], 1), ill);
            assert_eq!(told, ["complete"], "{:?}", yard.desired.kubernetes.distribution);
            assert_eq!(yard.complaints(&Ask::Apply, &[]).await, [""; 0]);
        })
        .unwrap();
    }
}

/// The server that stays is off, those that serve are to leave, and somebody new comes: whoever stays lets the new one in, as
/// soon as it is back.
#[test]
fn who_comes_back_lets_others_in() {
    for spec in all() {
        sim::run(async {
            let mut yard = Yard::new(desired(&spec.replace("10.0.0.11-15", "10.0.0.11-13")), 7);
            assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
            yard.centre.alter(|state| {
                let machine = state.machine_mut(&NodeName::from("plane-1")).unwrap();
                machine.seen.power = Power::Stopped;
                machine.host.units.values_mut().for_each(|unit| unit.active = false);
            });
            let wish = spec.replace("10.0.0.11-15", "10.0.0.11").replace("[one]", "[one, two]");
            yard.wish(desired(&wish.replace("[10.0.0.21]", "[10.0.0.21-22]")));
            let told = yard.run_to_the_end(&Ask::Apply, &[], 1).await;
            assert_eq!(told, ["complete"], "{:?}", yard.desired.kubernetes.distribution);
            assert_eq!(yard.complaints(&Ask::Apply, &[]).await, [""; 0]);
        })
        .unwrap();
    }
}

/// The last of them leaves the books before it is silenced. Where nobody reaches it then, it starts anew and joins again, and is
/// taken out once more before it is stopped.
#[test]
fn who_joins_again_because_nobody_could_stop_it_is_taken_out_once_more() {
    for spec in all() {
        sim::run(async {
            let mut yard = Yard::new(desired(&spec.replace("10.0.0.11-15", "10.0.0.11-13")), 7);
            assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
            yard.wish(desired(&spec.replace("10.0.0.11-15", "10.0.0.11")));
            let told = format!("{:?}", yard.desired.kubernetes.distribution);
            let mut again = 0;
            let mut sink = |record: &Record| match &record.event {
                Event::StepStarted { step, .. } if step.as_str() == "forget/plane-3" => {
                    yard.centre.strike(Fault { kind: FaultKind::Unreachable, target: Some("plane-3".into()) });
                }
                Event::StepTells { message, .. } => again += usize::from(message.contains("joined again by itself")),
                _ => {}
            };
            let ended =
                yard.engine().apply(&yard.request(&Ask::Apply, &[]), &Stop::default(), &mut sink).await.map(drop);
            yard.centre.mend();
            assert!(ended.is_ok(), "{told}");
            let rancher = spec.contains("distribution: k3s") || spec.contains("distribution: rke2");
            assert_eq!(again, usize::from(rancher), "{told}");
            let ended = yard.run_to_the_end(&Ask::Apply, &[], 2).await;
            assert_eq!(ended.last().map(String::as_str), Some("complete"), "{told}: {ended:?}");
            assert_eq!(yard.complaints(&Ask::Apply, &[]).await, [""; 0], "{told}");
        })
        .unwrap();
    }
}
