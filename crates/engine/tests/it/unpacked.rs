//! A bundle is gone back to: in the pretend data centre that it is of, in a new one where everything is lost, and under other
//! names and addresses. What is damaged, or of another cluster, touches nothing.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use kubewright_engine::backup::{Damage, Unfit, Unpacked};
use kubewright_engine::sim;
use kubewright_engine::sops::{Identities, Sources};
use kubewright_engine::store::Store as _;
use kubewright_model::bundle::{BundleName, DesiredBundle, Shelf};
use kubewright_model::desired::Saved;
use kubewright_model::event::RunEnd;
use kubewright_model::plan::Ask;
use kubewright_model::secret::Secret;
use kubewright_model::units::Moment;

use crate::restores::{CANARY, K3S, LATER, all, is_as_it_was, knows, writes};
use crate::yard::{Cut, Yard, desired};

const MADE: Moment = Moment(1_795_369_980);

/// A cluster with a bundle, that lived on.
struct Bundled {
    yard: Yard,
    folder: tempfile::TempDir,
    keys: Identities,
}

fn wish(yard: &Yard, folder: &Path, recipient: String) -> DesiredBundle {
    DesiredBundle {
        name: BundleName::new(&yard.desired.cluster, MADE),
        made: MADE,
        environment: None,
        recipients: vec![recipient],
        to: Shelf::Folder(folder.join("shelf").display().to_string()),
        keep: None,
        objects: true,
        files: Vec::new(),
    }
}

async fn bundled(spec: &str) -> Bundled {
    let (mut yard, folder, key) = (Yard::new(desired(spec), 7), tempfile::tempdir().unwrap(), Identity::generate());
    let keys = Secret::new(key.to_string().expose_secret().to_string());
    let keys = Identities::look(&Sources { keys: Some(keys), ..Sources::default() });
    assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
    writes(&yard, CANARY);
    yard.desired.bundle = Some(Box::new(wish(&yard, folder.path(), key.to_public().to_string())));
    assert_eq!(yard.run_to_the_end(&Ask::Backup, &[], 1).await, ["complete"]);
    yard.desired.bundle = None;
    writes(&yard, LATER);
    yard.centre.announce_end();
    Bundled { yard, folder, keys }
}

impl Bundled {
    fn file(&self) -> File {
        let name = BundleName::new(&self.yard.desired.cluster, MADE);
        File::open(self.folder.path().join("shelf").join(name.file())).unwrap()
    }

    fn unpack(&self, yard: &Yard, file: &File) -> Result<Unpacked, Unfit> {
        let snapshots = self.folder.path().join("snapshots");
        yard.engine().unpack(&yard.desired, file, &self.keys, &snapshots, false, &Ask::Restore)
    }

    /// Nothing was written of a bundle.
    fn is_untouched(&self, yard: &Yard, before: &[String]) {
        assert!(!self.folder.path().join("snapshots").exists());
        assert_eq!(yard.store.secret_names(&yard.desired.cluster), before);
    }
}

#[test]
fn a_cluster_goes_back_to_its_bundle_wherever_it_is_cut_and_its_canary_says_so() {
    for spec in all() {
        sim::run(async {
            let mut all = bundled(&spec).await;
            let unpacked = all.unpack(&all.yard, &all.file()).unwrap();
            assert_eq!(unpacked.secrets, [""; 0], "nothing was lost here");
            let bundle = unpacked.saved.canary().cloned();
            all.yard.desired.restores = Some(unpacked.saved);
            let (_, plan) = all.yard.plan(&Ask::Restore, &[]).await;
            let cuts = (1..=plan.steps.len()).flat_map(|many| [Cut::Started(many), Cut::Ended(many)]);
            for cut in cuts {
                let mut twin = all.yard.twin();
                twin.centre.announce_end();
                let told = format!("{:?} {cut:?}", twin.desired.kubernetes.distribution);
                if twin.run_until(cut, &Ask::Restore, &[]).await {
                    // Once somebody has stood down, it goes on with the same bundle whatever is named.
                    let (observed, _) = twin.plan(&Ask::Restore, &[]).await;
                    if observed.unfinished.is_some() {
                        twin.desired.restores = Some(Saved::Latest);
                    }
                    let (report, _) = twin.run(&Ask::Restore, &[]).await;
                    let report = report.unwrap_or_else(|error| panic!("{told}: {}", error.told()));
                    assert_eq!(report.end, RunEnd::Complete, "{told}: {:?}", report.failed);
                    let canary = report.checks.iter().find(|check| check.name == "canary");
                    assert!(canary.is_some_and(|check| check.checked.holds), "{told}: {canary:?}");
                    // Whoever ends it, with whatever word, is told which copy is needed no more.
                    assert_eq!(report.begun_with.as_ref().and_then(Saved::canary), bundle.as_ref(), "{told}");
                }
                is_as_it_was(&twin, &told);
            }
        })
        .unwrap();
    }
}

#[test]
fn a_canary_that_another_state_holds_is_found() {
    sim::run(async {
        let mut all = bundled(K3S).await;
        let unpacked = all.unpack(&all.yard, &all.file()).unwrap();
        let Saved::Bundle { canary, .. } = unpacked.saved else { panic!("{:?}", unpacked.saved) };
        // Somebody has put another snapshot in the place of the bundle's.
        assert_eq!(all.yard.run_to_the_end(&Ask::Backup, &[], 1).await, ["complete"]);
        let newer = all.yard.store.secret(&all.yard.desired.cluster, "snapshot").unwrap().unwrap();
        let other = Saved::Bundle { file: newer.expose().clone(), canary: format!("{canary}-other") };
        all.yard.desired.restores = Some(other);
        let (report, _) = all.yard.run(&Ask::Restore, &[]).await;
        let report = report.unwrap();
        let check = report.checks.iter().find(|check| check.name == "canary").unwrap();
        assert!(!check.checked.holds && check.checked.saw.contains("and not"), "{check:?}");
    })
    .unwrap();
}

#[test]
fn where_everything_is_lost_nodes_addresses_and_keys_come_from_the_bundle() {
    for spec in all() {
        sim::run(async {
            let all = bundled(&spec).await;
            let new = spec
                .replace("red, green, blue", "rosso, verde, blu")
                .replace("10.0.0.11", "10.0.0.31")
                .replace("10.0.0.31-13", "10.0.0.31-33")
                .replace("one, two", "uno, due")
                .replace("10.0.0.21-22", "10.0.0.41-42");
            let mut yard = Yard::new(desired(&new), 8);
            let unpacked = all.unpack(&yard, &all.file()).unwrap();
            let distribution = yard.desired.kubernetes.distribution;
            assert!(!unpacked.secrets.is_empty(), "{distribution:?}");
            for name in &unpacked.secrets {
                let of = |yard: &Yard| yard.store.secret(&yard.desired.cluster, name).unwrap().unwrap();
                assert!(of(&yard) == of(&all.yard), "{distribution:?}: {name}");
            }
            yard.desired.restores = Some(unpacked.saved);
            yard.centre.announce_end();
            let (_, plan) = yard.plan(&Ask::Rebuild, &[]).await;
            let cuts = (1..=plan.steps.len()).flat_map(|many| [Cut::Started(many), Cut::Ended(many)]);
            for cut in cuts {
                let twin = yard.twin();
                let told = format!("{distribution:?} {cut:?}");
                if twin.run_until(cut, &Ask::Rebuild, &[]).await {
                    let ends = twin.run_to_the_end(&Ask::Rebuild, &[], 3).await;
                    assert_eq!(ends.last().map(String::as_str), Some("complete"), "{told}: {ends:?}");
                }
                assert!(knows(&twin, CANARY) && !knows(&twin, LATER), "{told}");
                twin.centre.announce_life();
                twin.run_to_the_end(&Ask::Apply, &[], 3).await;
                let cluster = twin.centre.snapshot().cluster;
                let names: Vec<&str> = cluster.nodes.keys().map(|name| name.as_str()).collect();
                assert_eq!(names, ["blu", "due", "rosso", "uno", "verde"], "{told}");
                assert_eq!(cluster.nodes["due"].labels.get("disk").map(String::as_str), Some("ssd"), "{told}");
                assert_eq!(twin.complaints(&Ask::Apply, &[]).await, [""; 0], "{told}");
            }
        })
        .unwrap();
    }
}

#[test]
fn what_is_damaged_or_not_for_this_touches_nothing() {
    sim::run(async {
        let all = bundled(K3S).await;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut all.file(), &mut bytes).unwrap();
        let file = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file.rewind().unwrap();
            file
        };
        let names = all.yard.store.secret_names(&all.yard.desired.cluster);
        let mut damaged = bytes.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        let why = all.unpack(&all.yard, &file(&damaged)).unwrap_err();
        assert!(matches!(why, Unfit::Damaged(Damage::Body)), "{why:?}");
        let why = all.unpack(&all.yard, &file(&bytes[..middle])).unwrap_err();
        assert!(matches!(why, Unfit::Damaged(Damage::Body | Damage::Cut)), "{why:?}");
        let nobody = Identities::look(&Sources::default());
        let folder = all.folder.path().join("snapshots");
        let why = all
            .yard
            .engine()
            .unpack(&all.yard.desired, &file(&bytes), &nobody, &folder, false, &Ask::Restore)
            .unwrap_err();
        assert_eq!(why, Unfit::Damaged(Damage::NotForUs));

        let refused = |spec: &str, store: &Yard| {
            let mut yard = store.twin();
            yard.wish(desired(spec));
            let before = yard.store.secret_names(&yard.desired.cluster);
            let Err(Unfit::Not(unsaved)) = all.unpack(&yard, &file(&bytes)) else { panic!("{spec} was taken") };
            all.is_untouched(&yard, &before);
            unsaved.why
        };
        assert!(refused(&K3S.replace("name: fleet", "name: other"), &all.yard).contains("is of the cluster fleet"));
        let rke2 = K3S.replace("k3s, version: v1.34.1+k3s1", "rke2, version: v1.34.1+rke2r1");
        assert!(refused(&rke2, &all.yard).contains("is of K3s, and the spec asks for RKE2"));
        let older = K3S.replace("v1.34.1+k3s1", "v1.33.5+k3s1");
        assert!(refused(&older, &all.yard).contains("newer than v1.33.5+k3s1"));
        let newer = K3S.replace("v1.34.1+k3s1", "v1.36.1+k3s1");
        assert!(refused(&newer, &all.yard).contains("more than one minor version before v1.36.1+k3s1"));
        let mut next = all.yard.twin();
        next.wish(desired(&K3S.replace("v1.34.1+k3s1", "v1.35.1+k3s1")));
        assert!(all.unpack(&next, &file(&bytes)).is_ok(), "the next one reads all that this one has written");
        std::fs::remove_dir_all(all.folder.path().join("snapshots")).unwrap();
        // The cluster was begun anew since, with another token.
        let anew = all.yard.twin();
        anew.store.keep_secret(&anew.desired.cluster, "join-token", &Secret::new("another".into())).unwrap();
        let why = refused(K3S, &anew);
        assert!(why.contains("opens with another `join-token`"), "{why}");
        let elsewhere = all.yard.twin();
        let mut foundation = elsewhere.store.foundation(&elsewhere.desired.cluster).unwrap().unwrap();
        foundation.insert("pod network".into(), "10.99.0.0/16".into());
        elsewhere.store.keep_foundation(&elsewhere.desired.cluster, &foundation).unwrap();
        assert!(refused(K3S, &elsewhere).contains("was begun with pod network"), "{}", refused(K3S, &elsewhere));
        assert_eq!(all.yard.store.secret_names(&all.yard.desired.cluster), names);
        assert_eq!(all.unpack(&all.yard, &all.file()).map(|it| it.made), Ok(true));
        let mode =
            |path: &Path| std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777;
        let unpacked = all.unpack(&all.yard, &all.file()).unwrap();
        let of = Path::new(unpacked.saved.file().unwrap());
        assert_eq!((mode(&unpacked.folder), mode(of), unpacked.made), (0o700, 0o600, false));
    })
    .unwrap();
}

/// What a cut restore has settled on is gone on with; another bundle is refused before anything of it is written.
#[test]
fn another_bundle_than_that_of_a_restore_that_was_cut_is_not_opened() {
    sim::run(async {
        let mut all = bundled(K3S).await;
        let (_, plan) = all.yard.plan(&Ask::Restore, &[]).await;
        let saved = all.yard.store.secret(&all.yard.desired.cluster, "snapshot").unwrap().unwrap();
        all.yard.desired.restores = Some(Saved::File(saved.expose().clone()));
        assert!(all.yard.run_until(Cut::Ended(plan.steps.len().min(4)), &Ask::Restore, &[]).await);
        let before = all.yard.store.secret_names(&all.yard.desired.cluster);
        let Err(Unfit::Not(unsaved)) = all.unpack(&all.yard, &all.file()) else { panic!("it was taken") };
        all.is_untouched(&all.yard, &before);
        assert!(unsaved.why.contains(&format!("puts back {}, and fleet-", saved.expose())), "{unsaved:?}");
        assert!(unsaved.help.contains("`kubewright restore latest` goes on with"), "{unsaved:?}");
        all.yard.desired.from_scratch = true;
        let unpacked = all.unpack(&all.yard, &all.file()).unwrap();
        // What it is named by then is the same, with a word that begins again or without.
        all.yard.desired.restores = Some(unpacked.saved);
        let (report, _) = all.yard.run(&Ask::Restore, &[]).await;
        let report = report.unwrap();
        assert_eq!(report.end, RunEnd::Complete, "{:?}", report.failed);
        assert!(report.checks.iter().any(|check| check.name == "canary" && check.checked.holds), "{:?}", report.checks);
        is_as_it_was(&all.yard, "begun again");
    })
    .unwrap();
}
