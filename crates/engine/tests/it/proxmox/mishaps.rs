//! What goes wrong at Proxmox in the middle of a run, on three nodes: the run lives through it, or fails with the words of
//! Proxmox and the next one goes on. Nothing is there twice afterwards, and nothing is left over.

use std::time::Duration;

use kubewright_engine::EngineError;
use kubewright_engine::sim;
use kubewright_model::event::{Event, Record};
use kubewright_model::plan::Ask;
use serde_json::{Value, json};

use super::both::Both;
use super::mirror::Shared;
use crate::fake::Fake;
use crate::taught::{FORGETS, GROWS, MOVES};
use crate::yard::words;

/// Three servers and an agent on three nodes; the template is on the first, and so are the disks that are cloned.
const LAB: &str = "
apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes: { distribution: k3s, version: v1.33.5+k3s1, datastore: etcd, endpoint: { host: 10.0.0.10 } }
  providers:
    proxmox:
      endpoint: https://pve1:8006
      tokenId: kubewright@pve!main
      tokenSecret: { file: token }
      node: pve1
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  hosts: { ssh: { keyFile: key } }
  pools:
    server: { role: both, name: \"server-{n}\", addresses: [10.0.0.10-12], cores: 2, memory: 4Gi, disk: 20Gi, proxmox: { vmids: [400-402], nodes: [pve1, pve2, pve3], vm: { template: 90001 } } }
    agent: { role: agent, name: \"agent\", addresses: [10.0.0.20], cores: 2, memory: 4Gi, disk: 20Gi, proxmox: { vmids: [\"420\"], vm: { template: 90001 } } }
";

fn lab() -> Both {
    let mut fake = Fake::start();
    fake.tell(GROWS);
    fake.tell(MOVES);
    Both::new(fake, LAB)
}

/// Where each machine of ours is, and what of it runs: each is there once.
const MACHINES: &str = "[[v.vmid, v.config['name'], v.node, v.status] for v in sorted(pve.vms, key=lambda v: v.vmid) if 400 <= v.vmid < 500]";

fn whole() -> Value {
    json!([
        [400, "server-1", "pve1", "running"],
        [401, "server-2", "pve2", "running"],
        [402, "server-3", "pve3", "running"],
        [420, "agent", "pve1", "running"],
    ])
}

/// Something befalls the cluster when the step that is named so begins, and passes after so many retries.
struct Mishap<'a> {
    fake: &'a Shared,
    when: &'a str,
    strikes: &'a str,
    retries: usize,
    passes: &'a str,
    met: Vec<String>,
}

impl Mishap<'_> {
    fn hears(&mut self, record: &Record) {
        match &record.event {
            Event::StepStarted { step, .. } if step.as_str() == self.when => drop(self.fake.tell(self.strikes)),
            Event::StepRetries { error, .. } => {
                self.met.push(error.clone());
                if self.met.len() == self.retries {
                    self.fake.tell(self.passes);
                }
            }
            _ => {}
        }
    }
}

/// One run of the lab, in which this happens; returns what the run came to, and what was met and tried again.
async fn struck(both: &Both, when: &str, strikes: &str, retries: usize, passes: &str) -> (String, Vec<String>) {
    let mut mishap = Mishap { fake: &both.fake, when, strikes, retries, passes, met: Vec::new() };
    let ended = both.run(&Ask::Apply, &mut |record| mishap.hears(record)).await;
    (words(&ended), mishap.met)
}

#[test]
fn three_nodes_hold_what_is_placed_on_them_and_a_quorum_that_is_lost_for_a_while_is_waited_for() {
    let both = lab();
    sim::run(async {
        let (ended, met) = struck(&both, "start/server-1", "pve.lose_quorum()", 3, "pve.regain_quorum()").await;
        assert_eq!(ended, "complete");
        assert!(met.iter().all(|why| why.contains("500 cluster not ready - no quorum?")), "{met:?}");
        assert!(met.len() >= 3, "{met:?}");
        assert_eq!(both.told(MACHINES), whole());
        assert!(both.plan("afterwards", &Ask::Apply).await.is_empty());
    })
    .unwrap();
}

#[test]
fn a_quorum_that_stays_lost_ends_the_run_and_the_next_one_goes_on() {
    let both = lab();
    sim::run(async {
        let (ended, _) = struck(&both, "start/server-2", "pve.lose_quorum()", usize::MAX, "").await;
        assert!(ended.starts_with("failed: ") && ended.contains("no quorum?"), "{ended}");
        both.fake.tell("pve.regain_quorum()");
        assert_eq!(words(&both.run(&Ask::Apply, &mut |_| {}).await), "complete");
        assert_eq!(both.told(MACHINES), whole());
        assert!(both.plan("afterwards", &Ask::Apply).await.is_empty());
    })
    .unwrap();
}

#[test]
fn a_node_that_goes_offline_costs_its_own_machines_only() {
    let both = lab();
    sim::run(async {
        let offline = "pve.set_node_offline('pve3')";
        let (ended, _) = struck(&both, "create/server-3", offline, usize::MAX, "").await;
        assert_eq!(ended, "failed: create/server-3: proxmox: node pve3 is offline");
        let there = both.told("sorted(v.vmid for v in pve.vms if v.status == 'running' and v.vmid < 500)");
        assert_eq!(there, json!([400, 401, 420]));
        both.fake.tell("pve.set_node_offline('pve3', False)");
        assert_eq!(words(&both.run(&Ask::Apply, &mut |_| {}).await), "complete");
        assert_eq!(both.told(MACHINES), whole());
        assert!(both.plan("afterwards", &Ask::Apply).await.is_empty());
    })
    .unwrap();
}

#[test]
fn a_node_that_is_offline_hides_its_machines_and_the_rest_is_changed() {
    let mut both = lab();
    sim::run(async {
        both.becomes("made", &Ask::Apply).await;
        let away = |both: &Both, offline: bool| {
            both.fake.tell(&format!("pve.set_node_offline('pve3', {})", if offline { "True" } else { "False" }));
            both.yard.centre.set_offline(&"pve3".into(), offline);
        };
        away(&both, true);
        both.wish(&[("addresses: [10.0.0.20], cores: 2", "addresses: [10.0.0.20], cores: 3")]);
        let plan = both.plan("offline", &Ask::Apply).await;
        let told = "node pve3 of proxmox is offline, so server-3 is left alone";
        assert!(plan.notes.iter().any(|note| note.message == told), "{:?}", plan.notes);
        assert_eq!(both.becomes("larger", &Ask::Apply).await, ["update/agent", "restart/agent"]);

        both.fake.tell(FORGETS);
        let plan = both.plan("without its name", &Ask::Apply).await;
        assert!(plan.is_empty() && plan.notes.iter().any(|note| note.message == told), "{:?}", plan.notes);

        // A person, or HA, has it run elsewhere: it is the same machine.
        both.by_hand("pve.vm(402).node = 'pve2'", |_| {});
        both.yard.centre.migrate(&"server-3".into(), &"pve2".into());
        away(&both, false);
        tokio::time::sleep(Duration::from_secs(300)).await;
        both.becomes("back", &Ask::Apply).await;
        assert_eq!(both.told("pve.vm(402).node"), json!("pve2"));
    })
    .unwrap();
}

#[test]
fn answers_that_are_lost_after_the_deed_make_nothing_twice_and_leave_nothing_over() {
    let both = lab();
    sim::run(async {
        for (verb, path, times) in [
            ("POST", "/qemu/90001/clone", 3),
            ("POST", "/qemu/400/config", 1),
            ("POST", "/qemu/402/migrate", 1),
            ("PUT", "/qemu/420/resize", 1),
            ("POST", "/qemu/401/status/start", 1),
        ] {
            both.fake.tell(&format!("lose(pve, '{verb}', '{path}', {times})"));
        }
        let mut lost = 0;
        let ended = both.run(&Ask::Apply, &mut |record| lost += usize::from(retries(record))).await;
        assert_eq!(words(&ended), "complete");
        assert_eq!((lost, both.told(MACHINES)), (7, whole()));
        assert!(both.plan("afterwards", &Ask::Apply).await.is_empty());

        both.fake.tell("lose(pve, 'DELETE', '/qemu/401')");
        both.fake.tell("lose(pve, 'POST', '/qemu/402/status/stop')");
        both.becomes("destroyed", &Ask::Destroy).await;
        assert_eq!(both.told("sorted(vm.vmid for vm in pve.vms)"), json!([121, 90001]));
    })
    .unwrap();
}

fn retries(record: &Record) -> bool {
    matches!(record.event, Event::StepRetries { .. })
}

#[test]
fn locks_of_others_are_waited_for() {
    let mut both = lab();
    sim::run(async {
        both.becomes("made", &Ask::Apply).await;
        both.wish(&[("addresses: [10.0.0.20], cores: 2", "addresses: [10.0.0.20], cores: 3")]);
        both.fake.tell("pve.snapshot_lock(420, 'backup')");
        let mut met = Vec::new();
        let fake = both.fake.clone();
        let ended = both
            .run(&Ask::Apply, &mut |record| {
                if let Event::StepRetries { step, error, .. } = &record.event {
                    met.push(format!("{step}: {error}"));
                    if met.len() == 2 {
                        fake.tell("pve.unlock(420)");
                    }
                }
            })
            .await;
        assert_eq!(words(&ended), "complete");
        assert_eq!(
            met, ["cordon/agent: proxmox: VM 420 on pve1 is locked (backup)"; 2],
            "it is not drained for nothing"
        );
        assert_eq!(both.told("pve.vm(420).config['cores']"), json!("3"));
    })
    .unwrap();
}

#[test]
fn a_task_that_fails_ends_the_run_with_the_last_lines_of_its_log() {
    let both = lab();
    sim::run(async {
        let broken = "pve.vm(420).start_error = 'start failed: QEMU exited with code 1'";
        let mut mishap = Mishap {
            fake: &both.fake,
            when: "start/agent",
            strikes: broken,
            retries: usize::MAX,
            passes: "",
            met: vec![],
        };
        let report = both.run(&Ask::Apply, &mut |record| mishap.hears(record)).await.unwrap();
        let (step, failure) = &report.failed[0];
        assert_eq!((step.as_str(), report.failed.len()), ("start/agent", 1));
        assert_eq!(failure.causes, ["proxmox: start failed: QEMU exited with code 1"]);
        assert_eq!(failure.log.last().unwrap(), "TASK ERROR: start failed: QEMU exited with code 1");
        both.fake.tell("pve.vm(420).start_error = None");
        assert_eq!(words(&both.run(&Ask::Apply, &mut |_| {}).await), "complete");
        assert_eq!(both.told(MACHINES), whole());
    })
    .unwrap();
}

#[test]
fn what_is_being_made_under_our_number_is_not_called_somebody_elses() {
    let both = lab();
    sim::run(async {
        both.fake.tell("pve.add_vm(401, '', node='pve2', config={'lock': 'clone'}); pve.vm(401).lock = 'clone'");
        let blocked = both.run(&Ask::Apply, &mut |_| {}).await.unwrap_err();
        let EngineError::Blocked(notes) = &blocked else { panic!("{blocked}") };
        let note = notes.iter().find(|note| note.message.contains("401")).unwrap();
        assert!(note.message.contains("VMID 401 is being made at this moment"), "{note:?}");
        assert!(note.help.as_ref().is_some_and(|help| help.contains("delete nothing")), "{note:?}");
    })
    .unwrap();
}

#[test]
fn somebody_elses_machine_with_our_number_stops_the_run_before_anything_is_written() {
    let both = lab();
    sim::run(async {
        both.fake.tell("pve.add_ct(401, 'theirs', node='pve2', status='running')");
        both.fake.tell("pve.requests.clear()");
        let blocked = both.run(&Ask::Apply, &mut |_| {}).await.unwrap_err();
        let EngineError::Blocked(notes) = &blocked else { panic!("{blocked}") };
        assert!(notes.iter().any(|note| note.message.contains("401") && note.message.contains("theirs")), "{notes:?}");
        assert_eq!(both.told("[r[:2] for r in pve.requests if r[0] != 'GET']"), json!([]));
        assert_eq!(both.told("pve.ct(401).config['hostname'], pve.ct(401).status"), json!(["theirs", "running"]));
    })
    .unwrap();
}
