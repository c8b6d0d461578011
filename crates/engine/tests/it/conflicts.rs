//! What others have set: it is told with their name, and taken only where somebody asks for it.

use kubewright_engine::sim;
use kubewright_model::plan::{Action, Ask};

use crate::yard::{Yard, desired};

const LAB: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes: { distribution: k3s, version: v1.31.4+k3s1 }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1 }
  pools:
    nodes: { role: both, name: node, addresses: [10.0.0.11], existing: {} }
  configMaps:
    default/colours: { colour: COLOUR }
    default/shapes: { shape: round }
"#;

const COLOURS: &str = "ConfigMap default/colours";

#[test]
fn what_others_have_set_is_taken_only_on_request() {
    let mut yard = Yard::new(desired(&LAB.replace("COLOUR", "red")), 4);
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        yard.centre.alter(|state| {
            let by = ("kubectl-edit".to_string(), ".data.colour".to_string());
            state.cluster.set_by_others.insert(COLOURS.into(), by);
        });
        yard.wish(desired(&LAB.replace("COLOUR", "green")));
        let (ended, _) = yard.run(&Ask::Apply, &[]).await;
        let failed = ended.unwrap().failed;
        let why = "ConfigMap default/colours: others have set what it sets: `kubectl-edit` has set .data.colour";
        assert_eq!(failed[0].1.causes, [why], "{failed:?}");
        let object = yard
            .desired
            .objects
            .iter()
            .flat_map(|group| &group.manifests)
            .find_map(|it| it.id().ok().filter(|id| id.to_string() == COLOURS));
        yard.desired.take = object.into_iter().collect();
        let (_, plan) = yard.plan(&Ask::Apply, &[]).await;
        let titles: Vec<String> = plan.steps.iter().map(|step| format!("{}: {}", step.title(), step.reason)).collect();
        let asked = "asked for: --take 'ConfigMap default/colours'";
        assert_eq!(titles, [format!("take {COLOURS} from whoever else has set it: {asked}")]);
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"], "and it is not taken again");
        yard.desired.take.clear();
        assert_eq!(yard.complaints(&Ask::Apply, &[]).await, [""; 0]);
        // Who plans to take what nobody asked for is found out.
        let (observed, mut plan) = yard.plan(&Ask::Rebuild, &[]).await;
        let step = plan.steps.iter_mut().find(|step| matches!(step.action, Action::ApplyObjects(_))).unwrap();
        let Action::ApplyObjects(objects) = step.action.clone() else { unreachable!() };
        step.action = Action::TakeObjects(objects);
        let found = kubewright_planner::check::check(&plan, &yard.desired, &observed);
        assert!(found.iter().any(|it| it.rule == "what others have set is taken only on request"), "{found:?}");
    })
    .unwrap();
}
