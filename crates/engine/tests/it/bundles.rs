//! Bundles where they are kept, and what a run makes of a cluster: in a folder of this computer, in a real S3 service, and
//! of a pretend data centre.

mod hosts;
mod s3;
mod sftp;
mod whole;

use std::fs::File;
use std::io::{Seek as _, Write as _};

use kubewright_engine::backup::catalog;
use kubewright_engine::backup::shelf::{Bundles, Folder, ShelfError};
use kubewright_model::bundle::{About, BUNDLE_FORMAT, BundleManifest, BundleName, Canary, Label, Rehearsed};
use kubewright_model::digest::Digest;
use kubewright_model::ids::ClusterName;
use kubewright_model::spec::backup::Keep;
use kubewright_model::spec::kubernetes::{Datastore, Distribution};
use kubewright_model::units::Moment;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

async fn got(bundles: &dyn Bundles, name: &str) -> Result<Vec<u8>, ShelfError> {
    let mut into = tempfile::tempfile().unwrap();
    bundles.get(name, &into).await?;
    into.rewind().unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut into, &mut bytes).unwrap();
    Ok(bytes)
}

fn label(name: &BundleName, cluster: &ClusterName, made: Moment, bytes: &[u8]) -> Label {
    let about = About {
        cluster: cluster.clone(),
        environment: None,
        made,
        kubewright: "0.1.0".into(),
        distribution: Distribution::K3s,
        version: "v1.31.4+k3s1".parse().unwrap(),
        datastore: Datastore::Etcd,
        canary: Canary::of(name),
        simulated: false,
    };
    let manifest = BundleManifest { format: BUNDLE_FORMAT, about, files: Vec::new() };
    Label::of(&manifest, bytes.len() as u64, Digest::of(bytes), vec!["age1nobody".into()])
}

/// What every place for bundles does, whoever keeps it.
async fn keeps_its_word(bundles: &dyn Bundles) {
    assert_eq!(bundles.list().await.unwrap().len(), 0, "a place that is new holds nothing");
    let (cluster, other) = (ClusterName::new("lab"), ClusterName::new("lab-2"));
    let moment = |day: u64| Moment(1_795_305_600 + day * 86_400);
    for day in 0..4 {
        let (name, bytes) = (BundleName::new(&cluster, moment(day)), vec![b'a'; 100_000 + day as usize]);
        let label = label(&name, &cluster, moment(day), &bytes);
        catalog::put(bundles, &name, &file(&bytes), &label).await.unwrap();
    }
    // Nothing is written over a bundle, and what is there is as it was.
    let first = BundleName::new(&cluster, moment(0));
    let again = bundles.put(first.file(), &file(b"another")).await;
    assert_eq!(again, Err(ShelfError::Taken(first.to_string())));
    assert_eq!(got(bundles, first.file()).await.unwrap().len(), 100_000);
    assert_eq!(got(bundles, "nobody").await, Err(ShelfError::Absent("nobody".into())));

    // What others keep there is nobody's bundle, and stays.
    let others = BundleName::new(&other, moment(0));
    bundles.put(others.file(), &file(b"of another cluster")).await.unwrap();
    bundles.note("notes.txt", b"one").await.unwrap();
    bundles.note("notes.txt", b"two").await.unwrap();
    assert_eq!(got(bundles, "notes.txt").await.unwrap(), b"two");

    let outcome = Rehearsed { at: moment(5), held: true, saw: "the canary was there".into() };
    catalog::rehearsed(bundles, &first, &outcome).await.unwrap();
    let listed = catalog::list(bundles, &cluster).await.unwrap();
    let days: Vec<u64> = listed.iter().map(|bundle| (bundle.made.0 - moment(0).0) / 86_400).collect();
    assert_eq!(days, [3, 2, 1, 0], "the newest one comes first");
    assert_eq!(listed[3].rehearsed, Some(outcome));
    assert_eq!(listed[0].size, 100_003);
    catalog::get(bundles, &listed[0], &tempfile::tempfile().unwrap()).await.unwrap();

    let keep = Keep { last: 1, hourly: 0, daily: 2, weekly: 0, monthly: 0 };
    let gone: Vec<BundleName> =
        catalog::surplus(&listed, &keep).into_iter().map(|bundle| bundle.name.clone()).collect();
    assert_eq!(gone, [BundleName::new(&cluster, moment(0)), BundleName::new(&cluster, moment(1))]);
    for name in &gone {
        catalog::delete(bundles, name).await.unwrap();
        catalog::delete(bundles, name).await.expect("what is gone is no error");
    }
    let left: Vec<String> = bundles.list().await.unwrap().into_keys().collect();
    let stays = |day| BundleName::new(&cluster, moment(day));
    let mut expected = vec![others.to_string(), "notes.txt".into()];
    expected.extend([2, 3].iter().flat_map(|day| [stays(*day).to_string(), stays(*day).label()]));
    expected.sort();
    assert_eq!(left, expected);
}

#[tokio::test]
async fn a_folder_keeps_bundles() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("new/backups");
    keeps_its_word(&Folder::new(at.clone())).await;
    let cluster = ClusterName::new("lab");
    let newest = catalog::list(&Folder::new(at.clone()), &cluster).await.unwrap().remove(0);
    // A copy that was cut off on its way is told from the bundle.
    let path = at.join(newest.name.file());
    File::options().write(true).open(&path).unwrap().set_len(50_000).unwrap();
    let cut = catalog::get(&Folder::new(at.clone()), &newest, &tempfile::tempfile().unwrap()).await.unwrap_err();
    assert!(cut.to_string().contains("is not what was put there: it has 50000 bytes"), "{cut}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
