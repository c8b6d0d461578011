//! From a file of SOPS to objects of the cluster: as holes in plans, and nowhere else to be seen.

use std::collections::BTreeMap;
use std::fs;

use kubewright_engine::checkup::checkup;
use kubewright_engine::places::Places;
use kubewright_engine::sim::{self, DataCentre, MemoryStore};
use kubewright_engine::sops::Sources;
use kubewright_engine::store::Holder;
use kubewright_engine::world::World;
use kubewright_engine::{Engine, EngineError, Loadout, Request, Stop};
use kubewright_model::event::Record;
use kubewright_model::ids::RunId;
use kubewright_model::plan::{Ask, Weight};

use super::Desk;

const SPEC: &str = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: lab }\nspec:\n  \
    kubernetes: { distribution: k3s, version: v1.31.4+k3s1 }\n  network: { cidr: 10.0.0.0/24 }\n  pools:\n    \
    server: { role: both, name: server, addresses: [10.0.0.1], existing: {} }\n  secrets:\n    \
    sopsFile: secrets.sops.yaml\n    objects:\n      \
    cert-manager/gandi-credentials: { api-token: { sops: gandi.apiToken } }\n    configMaps:\n      \
    synology-csi/client-info: { client-info.yml: { sops: 'nas[\"client.info\"][0]' } }\n";

/// What no screen, plan or journal may show.
const SECRETS: [&str; 2] = ["s3cret-of-gandi", "s3cret-of-the-nas"];

/// A real world of hands that pretend: its secrets are asked for.
fn world(desk: &Desk, key: &str, loadout: &Loadout, centre: &DataCentre) -> World {
    let sources = Sources { file: Some(desk.path(key)), ..Sources::default() };
    let places = Places::new(desk.path(""), &loadout.desired, sources);
    World { pretend: None, places, ..centre.world(&loadout.desired) }
}

fn desk(recipient: usize) -> (Desk, Loadout) {
    let desk = Desk::new();
    let text =
        "gandi: { apiToken: s3cret-of-gandi }\nnas: { client.info: [\"password: s3cret-of-the-nas\\n\"], unused: x }\n";
    desk.write("secrets.sops.yaml", text);
    desk.printed("one.key", &["--encrypt", "--in-place", "--age", &desk.keys[recipient], "secrets.sops.yaml"]);
    let loadout = Engine::load_in(&desk.path(""), SPEC).unwrap();
    (desk, loadout)
}

fn request(loadout: &Loadout) -> Request<'_> {
    let holder = Holder { who: "tester@lab".into(), pid: 1, since: 0, what: "apply".into() };
    Request {
        desired: &loadout.desired,
        ask: Ask::Apply,
        only: &[],
        approved: None,
        run: RunId::new("run-1".to_string()),
        holder,
    }
}

#[test]
fn values_get_into_the_cluster_and_are_seen_nowhere_else() {
    let (desk, loadout) = desk(0);
    let store = std::sync::Arc::new(MemoryStore::default());
    let (plan, told, kept) = sim::run(async {
        let centre = DataCentre::new(1);
        centre.furnish(&loadout.desired);
        let engine = Engine::new(world(&desk, "one.key", &loadout, &centre), store.clone());
        let planned = engine.plan(&loadout.desired, &Ask::Apply, &[]).await.unwrap();
        let mut told = Vec::new();
        let mut hear = |record: &Record| told.push(serde_json::to_string(record).unwrap());
        let report = engine.apply(&request(&loadout), &Stop::default(), &mut hear).await.unwrap();
        assert!(report.failed.is_empty() && report.remaining.is_empty(), "{report:?}");
        (planned.plan, told, serde_json::to_string(&centre.snapshot()).unwrap())
    })
    .unwrap();
    let plan = serde_json::to_string(&plan).unwrap();
    for secret in SECRETS {
        assert!(!plan.contains(secret) && !told.join("\n").contains(secret), "{secret}");
        assert!(!kept.contains(secret), "a pretend cluster keeps no values");
    }
    assert!(plan.contains("secret/cert-manager.gandi-credentials.api-token"), "{plan}");
    assert!(
        plan.contains("secret/synology-csi.client-info.client-info.yml"),
        "a ConfigMap with a secret is masked too: {plan}"
    );
}

#[test]
fn a_file_that_does_not_open_blocks_and_says_whose_key_it_takes() {
    let (desk, loadout) = desk(0);
    sim::run(async {
        let centre = DataCentre::new(1);
        centre.furnish(&loadout.desired);
        let engine =
            Engine::new(world(&desk, "two.key", &loadout, &centre), std::sync::Arc::new(MemoryStore::default()));
        let plan = engine.plan(&loadout.desired, &Ask::Apply, &[]).await.unwrap().plan;
        let blocking: Vec<_> = plan.notes.iter().filter(|note| note.weight == Weight::Blocks).collect();
        assert_eq!(blocking.len(), 1, "{blocking:?}");
        let message = &blocking[0].message;
        assert!(
            message.starts_with(
                "secrets are in a file that is not open: secrets.sops.yaml: none of the keys here opens it"
            )
        );
        assert!(
            message.contains(&desk.keys[0]) && message.contains(&desk.keys[1]),
            "whose it takes, and which was tried: {message}"
        );
        let mut hear = |_: &Record| ();
        let refused = engine.apply(&request(&loadout), &Stop::default(), &mut hear).await.unwrap_err();
        assert!(matches!(refused, EngineError::Blocked(_)), "{refused:?}");
        // In a pretend world nobody's secrets are asked for.
        let pretend = Engine::new(centre.world(&loadout.desired), std::sync::Arc::new(MemoryStore::default()));
        let plan = pretend.plan(&loadout.desired, &Ask::Apply, &[]).await.unwrap().plan;
        assert!(!plan.is_blocked(), "{:?}", plan.notes);
    })
    .unwrap();
}

#[test]
fn each_secret_is_looked_at_and_none_is_shown() {
    let (desk, mut loadout) = desk(0);
    let places = |key: &str| {
        Places::new(desk.path(""), &loadout.desired, Sources { file: Some(desk.path(key)), ..Sources::default() })
    };
    let well = checkup(&loadout.file, &loadout.desired, &places("one.key"));
    assert!(well.healthy(), "{well:?}");
    let file = well.file.clone().unwrap();
    assert_eq!((file.unused, file.recipients), (vec!["nas.unused".to_string()], vec![desk.keys[0].clone()]));
    let told = serde_json::to_string(&well).unwrap();
    assert!(SECRETS.iter().all(|secret| !told.contains(secret)), "{told}");
    let closed = checkup(&loadout.file, &loadout.desired, &places("two.key"));
    assert!(!closed.healthy() && closed.file.unwrap().closed.is_some_and(|why| why.contains(&desk.keys[1])));
    let replaced: BTreeMap<&str, &str> = BTreeMap::from([
        ("gandi.apiToken", "there is no `gandi.other` in it"),
        ("gandi", "`gandi` is a mapping, and a secret is one value: name one of those in it"),
        (
            "nas[\"client.info\"]",
            "`nas[\"client.info\"]` is a list, and a secret is one value: name one of those in it",
        ),
        ("nas[\"client.info\"].first", "`nas[\"client.info\"]` is a list: its values are `[0]`, `[1]`, …"),
        ("nas..x", "`nas..x` is no place in a SOPS file: there is a dot and no key after it"),
    ]);
    for (key, why) in replaced {
        let key = if key == "gandi.apiToken" { "gandi.other" } else { key };
        let object = loadout.file.spec.secrets.objects.values_mut().next().unwrap();
        object.values_mut().next().unwrap().sops = Some(key.to_string());
        let places = Places::new(
            desk.path(""),
            &loadout.desired,
            Sources { file: Some(desk.path("one.key")), ..Sources::default() },
        );
        let state = checkup(&loadout.file, &loadout.desired, &places);
        let told = state.secrets[0].why.clone().unwrap();
        assert!(!state.healthy() && told.starts_with(why), "{key}: {told}");
    }
    loadout.file.spec.secrets.recipients = vec![desk.keys[1].clone()];
    let state = checkup(
        &loadout.file,
        &loadout.desired,
        &Places::new(
            desk.path(""),
            &loadout.desired,
            Sources { file: Some(desk.path("one.key")), ..Sources::default() },
        ),
    );
    let file = state.file.clone().unwrap();
    assert_eq!((file.only_in_spec, file.only_in_file), (vec![desk.keys[1].clone()], vec![desk.keys[0].clone()]));
    fs::remove_file(desk.path("secrets.sops.yaml")).unwrap();
    let places = Places::new(desk.path(""), &loadout.desired, Sources::default());
    let gone = checkup(&loadout.file, &loadout.desired, &places);
    let closed = gone.file.and_then(|file| file.closed).unwrap();
    assert!(closed.contains("`kubewright secrets init` makes it"), "{closed}");
}
