//! Parts of a plan, `--only`, and what is said of a cluster that nobody can look at.

use kubewright_engine::engine::plan_from;
use kubewright_engine::sim;
use kubewright_model::observed::{Observed, Seen, UserSeen};
use kubewright_model::plan::{Ask, Weight};

use crate::proofs::LAB;
use crate::yard::{Yard, desired};

#[test]
fn hosts_are_set_up_while_nobody_can_look_at_the_cluster() {
    let mut yard = Yard::new(desired(LAB), 5);
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        yard.wish(desired(&LAB.replace("role: agent,", "role: agent, hosts: { packages: [htop] },")));
        let (mut observed, _) = yard.plan(&Ask::Apply, &[]).await;
        observed.cluster = Some(Seen::unknown("its API does not answer"));
        let plan = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|word| (*word).to_string()).collect();
            plan_from(&yard.desired, &observed, &Ask::Apply, &only).unwrap()
        };
        let all = plan(&[]);
        assert!(all.is_blocked());
        assert!(all.notes.iter().any(|note| note.help.as_ref().is_some_and(|help| help.contains("--only hosts"))));
        assert!(plan(&["control-plane", "hosts"]).steps.len() == 2 && !plan(&["hosts"]).is_blocked());
        let one = plan(&["host/agent-1"]);
        let ids: Vec<&str> = one.steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!((ids, one.is_blocked()), (vec!["host/agent-1"], false));
        let told = one.notes.iter().find(|note| note.message.contains("cannot be looked at")).unwrap();
        assert_eq!(told.weight, Weight::Tells);
    })
    .unwrap();
}

#[test]
fn one_host_under_two_names_is_told_whatever_runs_on_it() {
    let yard = Yard::new(desired(LAB), 5);
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        let (mut observed, _) = yard.plan(&Ask::Apply, &[]).await;
        for name in ["agent-1", "agent-2"] {
            let Some(Seen::Present(host)) = observed.hosts.get_mut(name) else { panic!("it answers") };
            host.facts = serde_json::from_str("{\"machineId\":\"0123\"}").unwrap();
        }
        let told = |observed: &Observed| {
            let plan = plan_from(&yard.desired, observed, &Ask::Apply, &[]).unwrap();
            plan.notes.into_iter().any(|note| note.weight == Weight::Blocks && note.message.contains("machine ID 0123"))
        };
        assert!(!told(&observed), "both are nodes and work");
        let Some(Seen::Present(cluster)) = &mut observed.cluster else { panic!("it answers") };
        cluster.nodes.remove("agent-2");
        assert!(told(&observed), "it is the node agent-1");
    })
    .unwrap();
}

#[test]
fn the_way_out_is_named_where_all_servers_of_a_silent_cluster_are_lost() {
    let yard = Yard::new(desired(LAB), 5);
    sim::run(async {
        let (mut observed, _) = yard.plan(&Ask::Apply, &[]).await;
        observed.cluster = Some(Seen::unknown("10.0.0.9:6443 does not answer"));
        let plan = plan_from(&yard.desired, &observed, &Ask::Apply, &[]).unwrap();
        let blocks = plan.notes.iter().find(|note| note.weight == Weight::Blocks).unwrap();
        assert!(blocks.help.as_ref().unwrap().contains("remove `.kubewright/lab/secrets/kubeconfig`"), "{blocks:?}");
    })
    .unwrap();
}

#[test]
fn a_user_is_compared_line_by_line_and_keys_of_others_are_told() {
    let deploy =
        "role: agent, hosts: { users: { deploy: { sudo: true, authorizedKeys: [ssh-ed25519 AAAA anna@desk] } } },";
    let yard = Yard::new(desired(&LAB.replace("role: agent,", deploy)), 5);
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        let (observed, plan) = yard.plan(&Ask::Apply, &[]).await;
        assert!(plan.is_empty() && plan.notes.is_empty(), "{plan:?}");
        let with = |change: &dyn Fn(&mut UserSeen)| {
            let mut observed = observed.clone();
            let Some(Seen::Present(host)) = observed.hosts.get_mut("agent-1") else { panic!("it answers") };
            change(host.users.get_mut("deploy").unwrap());
            plan_from(&yard.desired, &observed, &Ask::Apply, &[]).unwrap()
        };
        let plan = with(&|user| {
            user.shell = "/bin/false".into();
            user.sudo = None;
        });
        let field = &plan.steps[0].fields[0];
        let lines = |text: &Option<String>| text.clone().unwrap();
        assert_eq!(field.field, "user deploy");
        assert_eq!(lines(&field.from), "shell /bin/false\nkey ssh-ed25519 …AAAA anna@desk");
        assert_eq!(lines(&field.to), "shell /bin/bash\nsudo without a password\nkey ssh-ed25519 …AAAA anna@desk");
        let plan = with(&|user| user.other_keys = vec!["ssh-rsa …BBBB evil".into()]);
        assert!(plan.is_empty(), "{:?}", plan.steps);
        let note = &plan.notes[0];
        assert_eq!(note.message, "keys that are not in the spec let in as deploy, and stay: ssh-rsa …BBBB evil");
        assert_eq!(note.weight, Weight::Tells);
    })
    .unwrap();
}
