//! Whole lives.

use kubewright_engine::Engine;
use kubewright_engine::rehearse::{Script, rehearse};
use kubewright_engine::sim::{self, Fault};
use kubewright_model::desired::Desired;
use kubewright_model::host::HostResource;
use kubewright_model::plan::Ask;

use crate::yard::Yard;

const DEVBOARD: &str = include_str!("../../../../examples/devboard/cluster.yaml");
const MLOPS: &str = include_str!("../../../../examples/mlops/cluster.yaml");
const VIXENS: &str = include_str!("../../../../examples/vixens/cluster.yaml");
const VALASKJALF: &str = include_str!("../../../../examples/valaskjalf/cluster.yaml");

/// One server that keeps its state in SQLite, so that no member of etcd tells that it serves.
const WITHOUT_ETCD: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes: { distribution: k3s, version: v1.31.4+k3s1, datastore: sqlite }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  hosts: { ssh: { keyFile: ~/.ssh/id_ed25519 } }
  pools:
    server: { role: both, name: server, addresses: [10.0.0.10], existing: {} }
    agent: { role: agent, name: "agent-{n}", addresses: [10.0.0.20-21], existing: {} }
"#;

fn desired(text: &str) -> Desired {
    Engine::load(text).expect("the spec is right").desired
}

fn whole_life(desired: &Desired, before: Option<&Desired>, faults: &[Fault]) -> kubewright_engine::rehearse::Rehearsal {
    let script = Script { desired, before, seed: 1, faults };
    sim::run(async { rehearse(&script, &mut |_| {}).await }).expect("a runtime").expect("something to rehearse")
}

#[test]
fn devboard_lives_well() {
    let before = desired(&DEVBOARD.replace("v1.31.4+k3s1", "v1.31.3+k3s1"));
    let life = whole_life(&desired(DEVBOARD), Some(&before), &[]);
    let wrong: Vec<_> = life.phases.iter().filter(|phase| !phase.good).collect();
    assert!(life.good(), "{wrong:#?}\n{:#?}\n{:#?}", life.leftovers, life.breaches);
}

#[test]
fn valaskjalf_lives_well() {
    let before = desired(&VALASKJALF.replace("v1.33.5+rke2r1", "v1.33.4+rke2r1"));
    let life = whole_life(&desired(VALASKJALF), Some(&before), &["etcd-stuck".parse().expect("a fault")]);
    let wrong: Vec<_> = life.phases.iter().filter(|phase| !phase.good).collect();
    assert!(life.good(), "{wrong:#?}\n{:#?}\n{:#?}", life.leftovers, life.breaches);
}

/// The workers that HAProxy sends to, by the file that is on its host when nothing is left to do.
fn workers(yard: &Yard) -> Vec<String> {
    let haproxy = yard.desired.hosts.iter().find(|host| host.name.as_str() == "haproxy").expect("it is there");
    let file = haproxy.resources.iter().find_map(|resource| match resource {
        HostResource::File(file) if file.path == "/etc/haproxy/haproxy.cfg" => Some(file.content.to_string()),
        _ => None,
    });
    let file = file.expect("it has its file");
    let servers =
        file.lines().filter_map(|line| line.trim().strip_prefix("server k8s-worker-")?.strip_suffix(" check"));
    let mut servers: Vec<String> = servers.map(String::from).collect();
    servers.sort();
    servers.dedup_by_key(|server| server[..1].to_string());
    servers
}

#[test]
fn mlops_has_its_first_master_replaced_and_workers_come_and_go() {
    let mut yard = Yard::new(desired(MLOPS), 1);
    let with = |range: &str| desired(&MLOPS.replace("10.110.190.25-27", range));
    let ended = sim::run(async {
        let mut ended = vec![yard.run_to_the_end(&Ask::Apply, &[], 1).await];
        ended.push(yard.run_to_the_end(&Ask::Replace(vec!["k8s-master-1".into()]), &[], 1).await);
        for (range, count) in [("10.110.190.25-29", 5), ("10.110.190.25-27", 3)] {
            yard.wish(with(range));
            ended.push(yard.run_to_the_end(&Ask::Apply, &[], 1).await);
            assert_eq!(workers(&yard).len(), count, "{:?}", workers(&yard));
        }
        ended
    })
    .expect("a runtime");
    assert_eq!(ended, vec![vec!["complete"]; 4]);
}

/// Applications that were helped come later than others, and a run waits for no more than the spec says of them.
#[test]
fn what_applications_bring_is_waited_for_before_it_is_proven() {
    let (before, _) = VIXENS.split_once("  verify:\n").expect("it has checks");
    let checks = "  verify:\n    pods: [{ atLeast: 32 }]\n    \
                  applications: { count: 12, healthy: [cert-manager], progressing: [traefik, argocd] }\n";
    let faults = ["namespace-missing", "repo-server-eof"].map(|fault| fault.parse().expect("a fault"));
    let life = whole_life(&desired(&format!("{before}{checks}")), None, &faults);
    let wrong: Vec<_> = life.phases.iter().filter(|phase| !phase.good).collect();
    assert!(life.good(), "{wrong:#?}\n{:#?}\n{:#?}", life.leftovers, life.breaches);
    assert!(life.faults.iter().all(|struck| struck.met > 0), "{:?}", life.faults);
}

/// A machine that stays away, when it is reset and when it is upgraded, and a power cut on iron.
#[test]
fn machines_of_talos_stay_away_and_lose_their_power() {
    let before = VIXENS.replace("version: v1.34.0", "version: v1.33.0").replace("v1.11.5", "v1.10.9");
    let faults = ["never-back=opale", "power-cut", "lock-held"].map(|fault| fault.parse().expect("a fault"));
    let life = whole_life(&desired(VIXENS), Some(&desired(&before)), &faults);
    let wrong: Vec<_> = life.phases.iter().filter(|phase| !phase.good).collect();
    assert!(life.good(), "{wrong:#?}\n{:#?}\n{:#?}", life.leftovers, life.breaches);
    assert_eq!(life.unmet(), ["lock-held"]);
    let met: Vec<String> = life.faults.iter().map(ToString::to_string).collect();
    assert!(met.contains(&"never-back hit opale 2 times".to_string()), "{met:?}");
    assert!(met.contains(&"power-cut came once".to_string()), "{met:?}");
    let mended: Vec<_> = life.phases.iter().filter(|phase| !phase.mended.is_empty()).collect();
    let names: Vec<&str> = mended.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(names, ["take down", "upgrade"], "{mended:#?}");
    let upgrade = &mended[1].shows;
    assert_eq!(upgrade, "from v1.33.0 to v1.34.0; Talos from v1.10.9 to v1.11.5");
}

#[test]
fn agents_join_a_server_that_came_back_by_itself() {
    let life = whole_life(&desired(WITHOUT_ETCD), None, &[]);
    let wrong: Vec<_> = life.phases.iter().filter(|phase| !phase.good).collect();
    assert!(life.good(), "{wrong:#?}\n{:#?}\n{:#?}", life.leftovers, life.breaches);
}
