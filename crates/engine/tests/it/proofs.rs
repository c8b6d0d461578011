//! Plans that somebody has spoilt: the proof finds each of them, whoever made the plan.

use kubewright_engine::sim;
use kubewright_model::ids::{NodeName, Owner};
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Action, Ask, Plan, Step};
use kubewright_model::recipe::Effect;
use kubewright_planner::check::check;
use kubewright_planner::plan::plan;

use crate::yard::{Yard, desired};

pub(crate) const LAB: &str = r#"
apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes: { distribution: k3s, version: v1.31.4+k3s1, datastore: etcd, endpoint: { host: 10.0.0.10 } }
  providers: { proxmox: { endpoint: "https://pve:8006", tokenId: root@pam!kubewright, tokenSecret: { env: TOKEN }, node: pve, ssh: { keyFile: ~/.ssh/id_ed25519 } } }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  hosts: { ssh: { keyFile: ~/.ssh/id_ed25519 } }
  pools:
    server: { role: both, name: "server-{n}", addresses: [10.0.0.10-12], cores: 2, memory: 4Gi, disk: 20Gi, proxmox: { vmids: [400-402], vm: { template: 9000 } } }
    agent: { role: agent, name: "agent-{n}", addresses: [10.0.0.20-21], cores: 2, memory: 4Gi, disk: 20Gi, proxmox: { vmids: [420-421], vm: { template: 9000 } } }
  namespaces: [attic]
  addons: { metricsServer: {} }
"#;

/// Builds the lab, wishes something else, spoils what is planned or what was seen; returns the rules that are broken.
fn spoilt(wish: &str, ask: Ask, spoil: impl Fn(&mut Plan, &mut Observed)) -> Vec<String> {
    spoilt_from(LAB, wish, ask, spoil)
}

fn spoilt_from(lab: &str, wish: &str, ask: Ask, spoil: impl Fn(&mut Plan, &mut Observed)) -> Vec<String> {
    let mut yard = Yard::new(desired(lab), 5);
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        yard.wish(desired(wish));
        let (mut observed, mut plan) = yard.plan(&ask, &[]).await;
        assert!(!plan.is_blocked(), "{:?}", plan.notes);
        spoil(&mut plan, &mut observed);
        let mut rules: Vec<String> =
            check(&plan, &yard.desired, &observed).into_iter().map(|violation| violation.rule).collect();
        rules.dedup();
        rules
    })
    .unwrap()
}

fn step<'p>(plan: &'p mut Plan, id: &str) -> &'p mut Step {
    plan.steps.iter_mut().find(|step| step.id.as_str() == id).unwrap_or_else(|| panic!("there is no step {id}"))
}

fn upgraded() -> String {
    LAB.replace("v1.31.4+k3s1", "v1.32.1+k3s1")
}

#[test]
fn what_nobody_spoils_is_proven() {
    assert_eq!(spoilt(&upgraded(), Ask::Apply, |_, _| {}), [""; 0]);
}

#[test]
fn servers_that_restart_together_are_found() {
    let rules = spoilt(&upgraded(), Ask::Apply, |plan, _| {
        step(plan, "host/server-2").needs.clear();
        step(plan, "upgrade/server-2").needs.clear();
    });
    assert_eq!(rules, ["servers restart one after the other", "no kubelet is newer than the API"]);
}

#[test]
fn a_restart_that_costs_the_quorum_is_found() {
    let rules = spoilt(&upgraded(), Ask::Apply, |_, observed| {
        let Some(Seen::Present(seen)) = &mut observed.cluster else { panic!("nobody saw the cluster") };
        let member = seen.members.get_mut("server-3").unwrap();
        member.healthy = false;
    });
    assert_eq!(rules, ["quorum is kept"]);
}

#[test]
fn an_agent_that_is_newer_than_the_api_is_found() {
    let rules = spoilt(&upgraded(), Ask::Apply, |plan, _| {
        for id in ["cordon/agent-1", "drain/agent-1", "host/agent-1", "upgrade/agent-1"] {
            step(plan, id).needs.clear();
        }
    });
    assert_eq!(rules, ["no kubelet is newer than the API"]);
}

#[test]
fn a_server_that_runs_while_it_is_forgotten_is_found() {
    let two_fewer = LAB.replace("10.0.0.10-12", "10.0.0.10").replace("400-402", "\"400\"");
    let rules = spoilt(&two_fewer, Ask::Apply, |plan, _| plan.steps.retain(|it| it.id.as_str() != "leave/server-2"));
    assert_eq!(rules, ["needs are earlier", "quorum is kept"]);
}

#[test]
fn a_cluster_that_is_begun_beside_one_that_may_sleep_is_found() {
    let rules = spoilt(LAB, Ask::Rebuild, |plan, _| {
        plan.ask = Ask::Apply;
        plan.steps
            .retain(|step| matches!(&step.action, Action::RunRecipe { recipe, .. } if recipe.effect == Effect::Init));
        plan.steps[0].needs.clear();
    });
    assert_eq!(rules, ["one cluster"]);
}

#[test]
fn what_others_have_installed_is_not_removed() {
    let without = LAB.replace("metricsServer: {}", "");
    let rules = spoilt(&without, Ask::Apply, |_, observed| {
        let Some(Seen::Present(seen)) = &mut observed.cluster else { panic!("nobody saw the cluster") };
        seen.releases.values_mut().for_each(|release| release.owner = None);
    });
    assert_eq!(rules, ["only ours is deleted"]);
}

#[test]
fn no_recipe_runs_on_a_host_that_nobody_could_look_at() {
    let rules = spoilt(&upgraded(), Ask::Apply, |_, observed| {
        observed.hosts.insert(NodeName::from("agent-2"), Seen::unknown("the line is cut"));
    });
    assert_eq!(rules, ["unknown is untouched"]);
}

#[test]
fn nothing_is_done_on_a_host_of_another_cluster() {
    let rules = spoilt(&upgraded(), Ask::Apply, |_, observed| {
        let Some(Seen::Present(host)) = observed.hosts.get_mut("agent-2") else { panic!("nobody saw it") };
        host.owner = Some(Owner("office2".into()));
    });
    assert_eq!(rules, ["hosts of others are left alone"]);
}

#[test]
fn a_role_that_is_changed_by_half_is_found() {
    let promoted = LAB.replace("role: agent", "role: server");
    let rules = spoilt(&promoted, Ask::Apply, |plan, _| step(plan, "join/agent-1").needs.clear());
    assert_eq!(rules, ["a role is changed all the way"]);
    let rules = spoilt(&promoted, Ask::Apply, |plan, _| {
        plan.steps.retain(|step| !step.id.as_str().ends_with("/agent-1"));
        plan.steps.iter_mut().for_each(|step| step.needs.retain(|need| !need.as_str().ends_with("/agent-1")));
    });
    assert_eq!(rules, ["a role is changed all the way"]);
}

#[test]
fn an_agent_that_is_newer_than_a_server_that_leaves_is_found() {
    let fewer = upgraded().replace("10.0.0.10-12", "10.0.0.10").replace("400-402", "\"400\"");
    assert_eq!(spoilt(&fewer, Ask::Apply, |_, _| {}), [""; 0]);
    let rules = spoilt(&fewer, Ask::Apply, |plan, _| {
        plan.steps.iter_mut().filter(|step| step.id.as_str().ends_with("/agent-1")).for_each(|step| {
            step.needs.retain(|need| !need.as_str().ends_with("/server-2") && !need.as_str().ends_with("/server-3"));
        });
        let upgrade = step(plan, "host/server-1");
        upgrade.needs.clear();
    });
    assert_eq!(rules, ["no kubelet is newer than the API"]);
}

/// A host that was there before us answers at another address and holds nothing, and the node lives on at the old one.
#[test]
fn a_node_that_lives_on_at_its_old_address_is_not_begun_at_a_new_one() {
    let lab = LAB.replace("proxmox: { vmids: [400-402], vm: { template: 9000 } }", "existing: {}");
    let mut yard = Yard::new(desired(&lab), 5);
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        let (mut observed, _) = yard.plan(&Ask::Apply, &[]).await;
        yard.wish(desired(&lab.replace("10.0.0.10-12", "10.0.0.10-11, 10.0.0.15")));
        let server = NodeName::from("server-3");
        let existing = yard.desired.machine(&server).unwrap();
        let Some(Seen::Present(inventory)) = observed.providers.get_mut(&existing.provider) else { panic!("unseen") };
        inventory.machines.get_mut(&server).unwrap().address = existing.address;
        let Some(Seen::Present(host)) = observed.hosts.get_mut(&server) else { panic!("unseen") };
        host.kubernetes = None;
        for ask in [Ask::Apply, Ask::Replace(vec![server.clone()])] {
            let plan = plan(&yard.desired, &observed, &ask);
            let why: Vec<&str> = plan.notes.iter().map(|note| note.message.as_str()).collect();
            assert_eq!(why, ["the node answers at 10.0.0.12 and cannot become 10.0.0.15 in place"]);
            assert!(plan.is_blocked());
            assert_eq!(check(&plan, &yard.desired, &observed), []);
        }
        // An agent that is silent is left out; one that is looked for where it is not is no such agent.
        let agent = NodeName::from("agent-1");
        yard.wish(desired(&lab));
        let (mut observed, _) = yard.plan(&Ask::Apply, &[]).await;
        observed.hosts.insert(agent.clone(), Seen::unknown("connection timed out"));
        assert!(!plan(&yard.desired, &observed, &Ask::Apply).is_blocked());
        let mut elsewhere = desired(&lab);
        let machine = elsewhere.machines.iter_mut().find(|machine| machine.name == agent).unwrap();
        machine.address = Some("10.0.0.77".parse().unwrap());
        assert!(plan(&elsewhere, &observed, &Ask::Apply).is_blocked());
    })
    .unwrap();
}

#[test]
fn agents_that_are_out_of_service_together_are_found() {
    let both = || Ask::Replace(vec!["agent-1".into(), "agent-2".into()]);
    assert_eq!(spoilt(LAB, both(), |_, _| {}), [""; 0]);
    let rules = spoilt(LAB, both(), |plan, _| step(plan, "cordon/agent-2").needs.clear());
    assert_eq!(rules, ["few are out of service at once"]);
    let tainted = LAB.replace("role: agent,", "role: agent, taints: [\"dedicated=batch:NoExecute\"],");
    assert_eq!(spoilt(&tainted, Ask::Apply, |_, _| {}), [""; 0]);
    let rules = spoilt(&tainted, Ask::Apply, |plan, _| step(plan, "labels/agent-1").needs.clear());
    assert_eq!(rules, ["pods are moved, not driven away"]);
}

#[test]
fn a_host_that_is_left_under_a_running_cluster_is_found() {
    let lab = r#"
apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes: { distribution: k3s, version: v1.31.4+k3s1 }
  hosts: { ssh: { keyFile: ~/.ssh/id_ed25519 }, timezone: Europe/Paris }
  pools:
    server: { role: both, name: server, addresses: [10.0.0.10], existing: {} }
    agent: { role: agent, name: agent, addresses: [10.0.0.20], existing: {} }
"#;
    assert_eq!(spoilt_from(lab, lab, Ask::Destroy, |_, _| {}), [""; 0]);
    let found = spoilt_from(lab, lab, Ask::Destroy, |plan, _| step(plan, "clean/agent").needs.clear());
    assert_eq!(found, ["Kubernetes ends before its host is left"]);
    let found =
        spoilt_from(lab, lab, Ask::Destroy, |plan, _| plan.steps.retain(|step| step.id.as_str() != "clean/agent"));
    assert_eq!(found, ["nothing of ours is left"]);
}
