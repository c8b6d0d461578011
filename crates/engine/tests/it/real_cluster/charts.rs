//! Charts of a repository, by the real `helm`, with a lock file.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kubewright_engine::cluster::{ClusterApi as _, ClusterError, RealCluster};
use kubewright_hosts::Holes;
use kubewright_model::desired::{Desired, DesiredRelease};
use kubewright_model::plan::Weight;
use kubewright_model::spec::addons::OnFailure;
use serde_json::json;

use super::{Quiet, hands};
use crate::plane::Plane;

/// A web server for the files of a folder, as long as it is there.
fn serve(folder: PathBuf) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut line in listener.incoming().flatten() {
            let mut asked = [0; 4096];
            let read = line.read(&mut asked).unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..read]).to_string();
            let name = asked.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_string();
            let (status, body) = match std::fs::read(folder.join(name)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = line.write_all(head.as_bytes()).and_then(|()| line.write_all(&body));
        }
    });
    format!("http://{at}")
}

/// Packs the chart in this version into a repository.
fn pack(plane: &Plane, chart: &Path, repository: &Path, version: &str) {
    let helm = |words: &[&str]| {
        let mut command = Command::new(plane.programs().join("helm"));
        command.args(words).stdout(Stdio::null());
        assert!(command.status().unwrap().success(), "{words:?}");
    };
    let (chart, repository) = (chart.display().to_string(), repository.display().to_string());
    helm(&["package", &chart, "--version", version, "--destination", &repository]);
    helm(&["repo", "index", &repository]);
}

/// Pulled once, kept, and held against the lock file.
pub(super) async fn one_is_pulled_once_and_locked(plane: &Plane, desired: &Desired, folder: &Path) {
    let lab = tempfile::tempdir().unwrap();
    let (repository, cache, lock) =
        (lab.path().join("repository"), lab.path().join("cache"), lab.path().join("lab.lock"));
    std::fs::create_dir(&repository).unwrap();
    pack(plane, &folder.join("chart"), &repository, "1.2.3");
    let url = serve(repository.clone());
    let wish = DesiredRelease {
        name: "locked".into(),
        namespace: "default".into(),
        part: "charts".into(),
        chart: "chart".into(),
        repository: Some(url),
        version: None,
        values: json!({ "replicas": 1 }),
        after: Vec::new(),
        before_ready: false,
        on_failure: OnFailure::Leave,
        timeout: None,
        digest: None,
    };
    let wished = Desired { releases: vec![wish.clone()], ..desired.clone() };
    let site = || -> RealCluster {
        let (hands, _) = hands(&wished, Some(&plane.kubeconfig), Quiet::default(), folder);
        hands.with_programs(plane.programs()).locking(lock.clone()).caching(cache.clone())
    };
    let settled = async |hands: &RealCluster| {
        let mut releases = vec![wish.clone()];
        let notes = hands.settle(&mut releases).await;
        (releases.remove(0), notes)
    };
    // The newest is taken, and kept by the lock file when a newer one comes.
    let first = site();
    let (release, notes) = settled(&first).await;
    assert_eq!((notes.len(), release.version.as_ref().unwrap().to_string()), (0, "1.2.3".into()), "{notes:?}");
    assert!(!lock.exists(), "a look writes nothing");
    assert!(first.install(&release, &desired.owner, &Holes::new(), &drop).await.unwrap());
    let text = std::fs::read_to_string(&lock).unwrap();
    assert!(
        text.contains("  default/locked:\n    chart: chart\n") && text.contains("    version: \"1.2.3\"\n    sha256: "),
        "{text}"
    );
    pack(plane, &folder.join("chart"), &repository, "1.3.0");
    let (release, _) = settled(&site()).await;
    assert_eq!(release.version.as_ref().unwrap().to_string(), "1.2.3");
    // What is in the cache is not asked for again; what was changed there is.
    let archive = repository.join("chart-1.2.3.tgz");
    let bytes = std::fs::read(&archive).unwrap();
    std::fs::remove_file(&archive).unwrap();
    assert_eq!(site().doubt(&release).await, None);
    let kept = cache.join("charts").join(format!("{}.tgz", release.digest.as_ref().unwrap()));
    std::fs::write(&kept, "something else").unwrap();
    let doubt = site().doubt(&release).await.unwrap();
    assert!(
        doubt.weight == Weight::Warns && doubt.message.starts_with("its chart cannot be pulled now: "),
        "{doubt:?}"
    );
    std::fs::write(&archive, bytes).unwrap();
    assert_eq!(site().doubt(&release).await, None);
    // Another chart under the same version is not installed.
    std::fs::remove_file(&kept).unwrap();
    std::fs::write(folder.join("chart/README.md"), "another one").unwrap();
    pack(plane, &folder.join("chart"), &repository, "1.2.3");
    let doubt = site().doubt(&release).await.unwrap();
    assert_eq!(doubt.weight, Weight::Blocks);
    let digest = release.digest.as_ref().unwrap();
    assert!(
        doubt.message.contains("is another one than before") && doubt.message.ends_with(digest.as_str()),
        "{doubt:?}"
    );
    assert!(doubt.help.unwrap().ends_with("remove `default/locked` from lab.lock"));
    match site().install(&release, &desired.owner, &Holes::new(), &drop).await {
        Err(ClusterError::Refused { why, .. }) => assert!(why.contains("is another one than before"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read_to_string(&lock).unwrap(), text);
    first.remove(&"locked".into(), &"default".into()).await.unwrap();
}
