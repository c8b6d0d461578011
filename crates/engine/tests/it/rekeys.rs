//! Another SSH key in the place of one: wherever it is cut, everybody is still let in, and the next run ends it.

use std::collections::BTreeSet;

use kubewright_engine::sim;
use kubewright_model::host::{HostResource, UserWish};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::Power;
use kubewright_model::plan::{Ask, Plan, Weight};
use kubewright_model::rotation::Rotation;
use kubewright_planner::check::check;

use crate::yard::{Cut, Yard, desired};

const SSH_KEYS: Ask = Ask::Rotate(Rotation::SshKeys);
const KEY: &str = "~/.ssh/lab";

/// Hosts with a key of their own pool, behind another host of the cluster, and on a hypervisor.
const SPEC: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: fleet }
spec:
  hosts: { ssh: { keyFile: ~/.ssh/lab } }
  kubernetes: { distribution: k3s, version: v1.34.1+k3s1, endpoint: { host: 10.0.0.11 } }
  pools:
    plane: { role: both, names: [red, green, blue], addresses: [10.0.0.11-13], existing: {} }
    work: { role: agent, names: [one], addresses: [10.0.0.21], existing: {}, hosts: { ssh: { keyFile: ~/.ssh/lab, jump: root@10.0.0.11 } } }
    other: { role: agent, names: [two], addresses: [10.0.0.22], existing: {}, hosts: { ssh: { keyFile: ~/.ssh/other } } }
"#;

async fn lives(spec: &str) -> Yard {
    let yard = Yard::new(desired(spec), 7);
    assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
    yard
}

/// The keys that each machine lets in.
fn let_in(yard: &Yard) -> Vec<String> {
    let state = yard.centre.snapshot();
    let keys = state.machines.values().flatten().filter_map(|(name, machine)| Some((name, machine.keys.as_ref()?)));
    keys.map(|(name, keys)| format!("{name}: {}", keys.iter().cloned().collect::<Vec<_>>().join(", "))).collect()
}

fn told(plan: &Plan, weight: Weight) -> Vec<&str> {
    plan.notes.iter().filter(|note| note.weight == weight).map(|note| note.message.as_str()).collect()
}

const NEW: [&str; 5] = [
    "blue: ssh-ed25519 ~/.ssh/lab#1",
    "green: ssh-ed25519 ~/.ssh/lab#1",
    "one: ssh-ed25519 ~/.ssh/lab#1",
    "red: ssh-ed25519 ~/.ssh/lab#1",
    "two: ssh-ed25519 ~/.ssh/other#1",
];

#[test]
fn another_ssh_key_takes_the_place_wherever_it_is_cut() {
    sim::run(async {
        let yard = lives(SPEC).await;
        let (_, plan) = yard.plan(&SSH_KEYS, &[]).await;
        assert_eq!(plan.steps.len(), 2 * 3 + 2 * 5, "{:#?}", plan.steps);
        for cut in (1..=plan.steps.len()).flat_map(|many| [Cut::Started(many), Cut::Ended(many)]) {
            let twin = yard.twin();
            if twin.run_until(cut, &SSH_KEYS, &[]).await {
                // Whoever comes to apply meanwhile finds every door open.
                assert_eq!(twin.complaints(&Ask::Apply, &[]).await, [""; 0], "{cut:?}");
                let state = twin.centre.snapshot();
                if ![KEY, "~/.ssh/other"]
                    .iter()
                    .all(|file| state.keys.get(*file).is_some_and(|keys| keys.current == 1 && keys.before.is_none()))
                {
                    assert_eq!(twin.run_to_the_end(&SSH_KEYS, &[], 1).await, ["complete"], "{cut:?}");
                }
            }
            assert_eq!(twin.complaints(&SSH_KEYS, &[]).await, [""; 0], "{cut:?}");
            let state = twin.centre.snapshot();
            let each = [KEY, "~/.ssh/other"].map(|file| state.keys.get(file).map_or(0, |keys| keys.current));
            // One of two files may be done with before the other one was begun with: then it gets one more.
            if each == [1, 1] {
                assert_eq!(let_in(&twin), NEW, "{cut:?}");
            }
            assert!(state.keys.values().all(|keys| keys.next.is_none() && keys.before.is_none()), "{cut:?}");
        }
    })
    .unwrap();
}

/// The old key stays in force as long as anybody has not got the new one, and is gone on with once he is back.
#[test]
fn nobody_who_is_away_is_locked_out() {
    sim::run(async {
        let yard = lives(SPEC).await;
        let blue = NodeName::from("blue");
        let power = |power| {
            yard.centre.alter(|state| {
                if let Some(machine) = state.machine_mut(&blue) {
                    machine.seen.power = power;
                }
            });
        };
        power(Power::Stopped);
        let (_, plan) = yard.plan(&SSH_KEYS, &[]).await;
        let said =
            told(&plan, Weight::Warns).into_iter().any(|it| it.contains("the old key stays in force everywhere"));
        assert!(said, "{:#?}", plan.notes);
        assert_eq!(yard.run_to_the_end(&SSH_KEYS, &[], 1).await, ["complete"]);
        assert!(let_in(&yard).contains(&"red: ssh-ed25519 ~/.ssh/lab#0, ssh-ed25519 ~/.ssh/lab#1".to_string()));
        assert_eq!(yard.centre.snapshot().keys[KEY].current, 0);
        power(Power::Running);
        assert_eq!(yard.run_to_the_end(&SSH_KEYS, &[], 1).await, ["complete"]);
        // The pool with a key of its own, of which nobody was away, has had two new ones by now.
        assert_eq!(let_in(&yard)[..4], NEW[..4]);
        assert_eq!(yard.complaints(&SSH_KEYS, &[]).await, [""; 0]);
    })
    .unwrap();
}

/// While the old one is taken away, one that goes off is named, and the old key is kept here.
#[test]
fn an_old_key_is_kept_as_long_as_anybody_may_let_it_in() {
    sim::run(async {
        let yard = lives(SPEC).await;
        let (_, plan) = yard.plan(&SSH_KEYS, &[]).await;
        let taken = plan.steps.iter().filter(|step| !step.id.as_str().starts_with("withdraw-key/")).count() - 2;
        assert!(yard.run_until(Cut::Ended(taken), &SSH_KEYS, &[]).await);
        let blue = NodeName::from("blue");
        let (observed, _) = yard.plan(&SSH_KEYS, &[]).await;
        if observed.keys[KEY].present().and_then(|seen| seen.outlived()).is_none() {
            return;
        }
        yard.centre.alter(|state| {
            if let Some(machine) = state.machine_mut(&blue) {
                machine.seen.power = Power::Stopped;
            }
        });
        let (_, plan) = yard.plan(&SSH_KEYS, &[]).await;
        assert!(!plan.steps.iter().any(|step| step.id.as_str() == format!("drop-key/{KEY}")), "{:#?}", plan.steps);
        let said = told(&plan, Weight::Warns).into_iter().any(|it| it.contains("lets the old key in for now"));
        assert!(said, "{:#?}", plan.notes);
    })
    .unwrap();
}

/// A plan that would lock somebody out is found, whoever made it.
#[test]
fn a_plan_that_locks_somebody_out_is_found() {
    sim::run(async {
        let yard = lives(SPEC).await;
        let (observed, plan) = yard.plan(&SSH_KEYS, &[]).await;
        let broken = |gone: &str| {
            let mut plan = plan.clone();
            plan.steps.retain(|step| step.id.as_str() != gone);
            plan.steps.iter_mut().for_each(|step| step.needs.retain(|need| need.as_str() != gone));
            let found = check(&plan, &yard.desired, &observed);
            found.into_iter().map(|violation| violation.rule).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(broken("none"), [""; 0]);
        assert_eq!(broken("bring-key/green"), ["nobody is locked out"]);
        assert_eq!(broken(&format!("take-key/{KEY}")), ["nobody is locked out"]);
        assert_eq!(broken("withdraw-key/one"), ["no key is forgotten"]);
    })
    .unwrap();
}

/// A key that the spec names for a user would be brought back by `apply`, so it stays until the spec names the new one.
#[test]
fn a_key_that_the_spec_names_stays_until_it_names_the_new_one() {
    sim::run(async {
        let mut yard = lives(SPEC).await;
        let names = |yard: &mut Yard, number: u32| {
            let user = UserWish {
                name: "ops".into(),
                authorized_keys: vec![format!("no-pty ssh-ed25519 {KEY}#{number} ops@desk")],
                sudo: false,
                groups: Vec::new(),
                shell: "/bin/sh".into(),
                password_hash: None,
            };
            let red = yard.desired.hosts.iter_mut().find(|host| host.name.as_str() == "red").expect("it is there");
            red.resources.retain(|resource| !matches!(resource, HostResource::User(_)));
            red.resources.push(HostResource::User(user));
        };
        names(&mut yard, 0);
        let (_, plan) = yard.plan(&SSH_KEYS, &[]).await;
        let said =
            told(&plan, Weight::Warns).into_iter().any(|it| it.contains("`hosts.users.ops.authorizedKeys` names"));
        assert!(said, "{:#?}", plan.notes);
        assert_eq!(yard.run_to_the_end(&SSH_KEYS, &[], 1).await, ["complete"]);
        assert!(let_in(&yard).contains(&"red: ssh-ed25519 ~/.ssh/lab#0, ssh-ed25519 ~/.ssh/lab#1".to_string()));
        assert_eq!(yard.centre.snapshot().keys[KEY].current, 1);
        names(&mut yard, 1);
        assert_eq!(yard.run_to_the_end(&SSH_KEYS, &[], 1).await, ["complete"]);
        assert_eq!(let_in(&yard)[..4], NEW[..4]);
        assert_eq!(yard.centre.snapshot().keys[KEY].before, None);
    })
    .unwrap();
}
