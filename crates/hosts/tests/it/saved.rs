//! What is saved on a host comes here whole or not at all, and goes back.

use kubewright_model::recipe::{Effect, Recipe, RecipeStep, SNAPSHOT};

use super::*;

const FOLDER: &str = "/var/backups/etcd";
/// Two pages more than two whole parts, and what etcd writes behind them.
const SAVES: &str = "mkdir -p /var/backups/etcd && cd /var/backups/etcd
    head -c 16778240 /dev/urandom >new.data
    { cat new.data; sha256sum <new.data | cut -d' ' -f1 | sed 's/../\\\\x&/g' | xargs -0 printf '%b' | head -c 32; } >etcd-new.db
    echo keys >etcd-new.pki.tar; echo old >etcd-old.db; touch -d 2020-01-01 etcd-old.db; rm new.data";

fn brings(with: Option<&str>) -> RecipeStep {
    RecipeStep::Bring { newest: format!("{FOLDER}/etcd-*.db"), with: with.map(String::from) }
}

async fn run(hands: &RealHosts, host: &LabHost, step: RecipeStep, holes: &Holes) -> Result<Report, HostError> {
    let (title, steps) = ("save".to_string(), vec![step]);
    let recipe = Recipe { title, effect: Effect::Snapshot, version: None, steps, gives: Vec::new() };
    hands.run(&host.name, &way(host, "admin"), &recipe, holes, &|_| {}).await
}

fn sum(host: &LabHost, path: &str) -> String {
    host.sh(&format!("sha256sum <{path}"))
}

#[tokio::test]
async fn a_snapshot_comes_here_with_what_goes_with_it_and_goes_back() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.prepared("one", SAVES);
    let home = tempfile::tempdir().expect("a folder");
    let kept = home.path().join("kept");
    let hands = hands(home.path()).saving_to(&kept);
    let report = run(&hands, &host, brings(Some("pki.tar")), &Holes::new()).await.expect("it comes");
    let path = PathBuf::from(report.gave[SNAPSHOT].expose());
    assert!(path.starts_with(&kept) && report.told[0].contains("SHA-256"), "{report:?}");
    assert_eq!(std::fs::metadata(&path).expect("it is here").len(), 16_778_240 + 32);
    assert_eq!(std::fs::read_to_string(path.with_extension("pki.tar")).expect("it is here"), "keys\n");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&path).expect("it is here").permissions().mode() & 0o777, 0o600);
    kubewright_hosts::proven(&path).expect("it is whole");

    let sends = || RecipeStep::Send { to: "/var/lib/new/etcd.db".into(), with: Some("pki.tar".into()) };
    run(&hands, &host, sends(), &report.gave).await.expect("it goes back");
    assert_eq!(sum(&host, "/var/lib/new/etcd.db"), sum(&host, "/var/backups/etcd/etcd-new.db"));
    assert_eq!(host.sh("cat /var/lib/new/etcd.pki.tar; stat -c %a /var/lib/new/etcd.db"), "keys\n600\n");
}

#[tokio::test]
async fn what_is_not_whole_has_no_name_here() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.prepared("one", SAVES);
    let home = tempfile::tempdir().expect("a folder");
    let kept = home.path().join("kept");
    let hands = hands(home.path()).saving_to(&kept);
    let refused =
        async |with: Option<&str>| run(&hands, &host, brings(with), &Holes::new()).await.unwrap_err().to_string();
    let nothing = refused(Some("keys")).await;
    assert!(nothing.contains("there is no /var/backups/etcd/etcd-new.keys"), "{nothing}");
    host.sh("printf x | dd of=/var/backups/etcd/etcd-new.db bs=1 seek=5000 conv=notrunc 2>/dev/null");
    let damaged = refused(None).await;
    assert!(damaged.contains("etcd-new.db is damaged"), "{damaged}");
    host.sh("truncate -s 16777216 /var/backups/etcd/etcd-new.db");
    let cut = refused(None).await;
    assert!(cut.contains("etcd-new.db is cut off"), "{cut}");
    host.sh("rm /var/backups/etcd/*");
    let gone = refused(None).await;
    assert!(gone.contains("there is no /var/backups/etcd/etcd-*.db"), "{gone}");
    let left = std::fs::read_dir(&kept).map_or(0, |files| files.count());
    assert_eq!(left, 0);
}
