//! A bundle of a pretend cluster, by the same plan, executor and writer as of a real one.

use std::fs::File;

use kubewright_engine::backup::{Asked, bundle, verify};
use kubewright_engine::sops::{Identities, Sources, generate};
use kubewright_engine::{Engine, Stop};
use kubewright_model::bundle::{BundleName, Kind};
use kubewright_model::desired::Desired;
use kubewright_model::plan::{Ask, Plan, Weight};
use kubewright_model::units::Moment;

use crate::yard::Yard;

const SPEC: &str = include_str!("../../scenarios/054-backup.txt");

const STEPS: &str = "\
apply the canary (1 object)
save a snapshot of etcd on server-1 ← objects/canary
read the keys of K3s on server-1
pack NAME into FOLDER ← keys/server-1, objects/canary, save/server-1
delete bundles that are not kept any more from FOLDER ← bundle
";

fn spec(recipient: &str) -> String {
    let spec = SPEC.split_once("--- spec\n").unwrap().1.split_once("--- world").unwrap().0;
    format!("{spec}\n  backup: {{ schedule: \"0 3 * * *\", keep: {{ last: 1 }}, recipients: [{recipient}] }}\n")
}

/// What is wished when a bundle is asked for at this moment.
fn wished(text: &str, folder: &std::path::Path, now: u64) -> Desired {
    let loadout = Engine::load(text).unwrap_or_else(|found| panic!("{found:#?}"));
    let asked = Asked { now: Moment(now), environment: None, folder: Some(folder.to_path_buf()), files: Vec::new() };
    let mut bundle = bundle(&loadout, folder, &asked).unwrap();
    bundle.keep = loadout.file.spec.backup.as_ref().map(|backup| backup.keep.clone());
    Desired { bundle: Some(Box::new(bundle)), ..loadout.desired }
}

fn titles(plan: &Plan, folder: &std::path::Path) -> String {
    let lines = plan.steps.iter().map(|step| {
        let needs: Vec<&str> = step.needs.iter().map(|need| need.as_str()).collect();
        let title = step.title().replace(&folder.display().to_string(), "FOLDER");
        if needs.is_empty() { format!("{title}\n") } else { format!("{title} ← {}\n", needs.join(", ")) }
    });
    lines.collect()
}

#[test]
fn a_bundle_of_a_pretend_cluster_has_the_form_of_a_real_one() {
    let folder = tempfile::tempdir().unwrap();
    let (key, recipient) = generate("now");
    let text = spec(&recipient);
    kubewright_engine::sim::run(async {
        let mut yard = Yard::new(Engine::load(&text).unwrap().desired, 7);
        let stop = Stop::default();
        yard.engine().apply(&yard.request(&Ask::Apply, &[]), &stop, &mut |_| {}).await.unwrap();
        let moments = [1_795_369_980, 1_795_373_580];
        for moment in moments {
            yard.wish(wished(&text, folder.path(), moment));
            let engine = yard.engine();
            let planned = engine.plan(&wished(&text, folder.path(), moment), &Ask::Backup, &[]).await.unwrap();
            assert!(planned.plan.notes.iter().all(|note| note.weight != Weight::Blocks), "{:?}", planned.plan.notes);
            let name = BundleName::new(&yard.desired.cluster, Moment(moment)).to_string();
            assert_eq!(titles(&planned.plan, folder.path()).replace(&name, "NAME"), STEPS);
            let report = engine.apply(&yard.request(&Ask::Backup, &[]), &stop, &mut |_| {}).await.unwrap();
            assert!(report.failed.is_empty(), "{:?}", report.failed);
        }
        // The canary is no spec's, and no plan takes it away.
        yard.wish(Engine::load(&text).unwrap().desired);
        let left = yard.engine().apply(&yard.request(&Ask::Apply, &[]), &stop, &mut |_| {}).await.unwrap();
        assert_eq!((left.done, left.remaining.len()), (0, 0));
    })
    .unwrap();
    let mut there: Vec<String> =
        std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    there.sort();
    let cluster = Engine::load(&text).unwrap().desired.cluster;
    let name = BundleName::new(&cluster, Moment(1_795_373_580));
    assert_eq!(there, [name.to_string(), name.label()], "one is kept, as the spec says");
    let keys = Identities::look(&Sources { keys: Some(key), ..Sources::default() });
    let manifest = verify(File::open(folder.path().join(name.file())).unwrap(), &keys).unwrap();
    assert!(manifest.about.simulated && manifest.about.canary.bundle == name.id());
    let holds = |kind: Kind| manifest.files.iter().filter(|file| file.what == kind).count();
    let all = [Kind::Datastore, Kind::Distribution, Kind::Secret, Kind::Object].map(holds);
    assert!(all[0] == 1 && all[1] == 2 && all[2] > 0 && all[3] > 0, "{all:?}");
    let canary = "objects/kube-system/ConfigMap/kubewright-canary.yaml";
    assert!(manifest.files.iter().any(|file| file.path == canary));
    let label = std::fs::read_to_string(folder.path().join(name.label())).unwrap();
    assert!(!label.contains("secrets/") && label.contains(&recipient));
}
