//! Bundles that servers make by themselves: their script by a real shell, with real age, rclone and S3, and beside programs
//! that do as K3s and kubectl do. What comes of it is read by the reader of all bundles, and gone back to.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use kubewright_engine::backup::shelf::Bundles as _;
use kubewright_engine::backup::{catalog, verify};
use kubewright_engine::sops::{Identities, Sources};
use kubewright_model::bundle::{BundleManifest, BundleName, Kind};
use kubewright_model::host::HostResource;
use kubewright_model::ids::ClusterName;
use kubewright_model::secret::Secret;

use super::file;
use super::s3::{Service, service};
use crate::yard::desired;

fn spec(port: u16, recipient: &str) -> String {
    spec_of("distribution: k3s, version: v1.34.1+k3s1, datastore: etcd", port, recipient)
}

fn spec_of(kubernetes: &str, port: u16, recipient: &str) -> String {
    format!(
        r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes: {{ {kubernetes}, endpoint: {{ host: 10.0.0.5 }} }}
  network: {{ cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }}
  pools:
    plane: {{ role: both, names: [red, green, blue], addresses: [10.0.0.11-13], existing: {{}} }}
  backup:
    schedule: "0 */6 * * *"
    bundleSchedule: "30 3 * * *"
    onServers: true
    keep: {{ last: 3 }}
    to: {{ s3: {{ endpoint: "http://127.0.0.1:{port}", bucket: backups, folder: "clusters/our lab", accessKey: {{ env: ACCESS }}, secretKey: {{ env: KEY }} }} }}
    recipients: [{recipient}]
"#
    )
}

/// What K3s and kubectl do that is asked of them here: a snapshot comes to be, and what is applied is kept.
const K3S: &str = r#"#!/bin/sh
echo "$*" >>ROOT/asked
case $* in
*'snapshot save'*) mkdir -p ROOT/var/lib/rancher/k3s/server/db/snapshots; head -c 300000 /dev/urandom >ROOT/var/lib/rancher/k3s/server/db/snapshots/kubewright-red-$(date +%s%N) ;;
*'kubectl'*' apply '*) cat >ROOT/applied ;;
esac
"#;

/// A container runtime with etcd's own client in etcd's container, which sees etcd's data.
const CRICTL: &str = r#"#!/bin/sh
case $1 in
ps) echo 0123456789abcdef ;;
exec) case $* in *'snapshot save'*) head -c 200000 /dev/urandom >ROOT/var/lib/etcd/kubewright.db ;; esac ;;
esac
"#;

/// A host of a cluster, as a folder.
struct Host {
    root: tempfile::TempDir,
    files: BTreeMap<String, String>,
}

impl Host {
    /// The host of a name, as the spec wishes it.
    fn new(name: &str, spec: &str, secret: &str) -> Self {
        let (desired, root) = (desired(spec), tempfile::tempdir().unwrap());
        let host = desired.hosts.iter().find(|host| host.name.as_str() == name).unwrap();
        let filled = host.resources.iter().filter_map(|resource| match resource {
            HostResource::File(wish) if wish.path.contains("kubewright-bundle") => {
                let value = |hole: &kubewright_model::ids::HoleName| match hole.secret() {
                    Some("backup-access-key") => Some("ours"),
                    Some("backup-secret-key") => Some(secret),
                    _ => None,
                };
                Some((wish.path.clone(), wish.content.fill(value).unwrap()))
            }
            _ => None,
        });
        let host = Self { files: filled.collect(), root };
        for (path, text) in &host.files {
            host.write(path, text);
        }
        host
    }

    /// The same with K3s on it, which serves.
    fn of_k3s(name: &str, spec: &str, secret: &str) -> Self {
        let host = Self::new(name, spec, secret);
        host.program("/usr/local/bin/k3s", K3S);
        for (path, text) in [
            ("token", "K10abc::server:the token\n"),
            ("tls/server-ca.crt", "authority"),
            ("tls/etcd/server-ca.key", "its key"),
            ("tls/dynamic-cert.json", "{}"),
            ("cred/passwd", "a password"),
        ] {
            host.write(&format!("/var/lib/rancher/k3s/server/{path}"), text);
        }
        host
    }

    /// The same with kubeadm's parts on it, which serve.
    fn of_kubeadm(name: &str, spec: &str, secret: &str) -> Self {
        let host = Self::new(name, spec, secret);
        host.program("/usr/local/bin/crictl", CRICTL);
        host.program("/usr/local/bin/kubectl", "#!/bin/sh\ncase $* in *apply*) cat >ROOT/applied ;; esac\n");
        for (path, text) in [
            (
                "/etc/kubernetes/manifests/etcd.yaml",
                "    kubeadm.kubernetes.io/etcd.advertise-client-urls: https://10.0.0.11:2379\n",
            ),
            ("/etc/kubernetes/pki/ca.key", "the authority's key"),
            ("/var/lib/etcd/member/wal", "etcd's own"),
        ] {
            host.write(path, text);
        }
        host
    }

    /// A program of the host, which knows where the host is.
    fn program(&self, path: &str, text: &str) {
        let root = self.at("").display().to_string();
        self.write(path, &text.replace("ROOT", root.trim_end_matches('/')));
        assert!(Command::new("chmod").arg("+x").arg(self.at(path)).status().unwrap().success());
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        std::fs::write(self.at(path), text).unwrap();
    }

    /// The script, with the host's folders in the place of this machine's, and without the wait for others.
    fn runs(&self) -> Output {
        let root = self.at("").display().to_string();
        let mut script = self.files["/usr/local/sbin/kubewright-bundle"].clone();
        for path in
            ["/var/lib/rancher", "/var/lib/etcd", "/var/backups", "/usr/local/bin", "/etc/rancher", "/etc/kubernetes"]
        {
            script = script.replace(path, &format!("{}{path}", root.trim_end_matches('/')));
        }
        script = script.replace("\nsleep ", "\n: sleep ").replace("\nsleep 15", "\nsleep 0");
        // As systemd starts it: with nothing of ours.
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        Command::new("sh").args(["-c", &script]).env_clear().env("PATH", path).output().unwrap()
    }

    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.at("/var/lib/rancher/k3s/server/db")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn there(service: &Service) -> Vec<String> {
    let bucket = service.in_folder("backups", "ours", "secret", Some("clusters/our lab"));
    bucket.list().await.unwrap().into_keys().collect()
}

fn keys(key: &Identity) -> Identities {
    let secret = Secret::new(key.to_string().expose_secret().to_string());
    Identities::look(&Sources { keys: Some(secret), ..Sources::default() })
}

async fn read(service: &Service, name: &BundleName, key: &Identity) -> BundleManifest {
    let bucket = service.in_folder("backups", "ours", "secret", Some("clusters/our lab"));
    let into: File = file(b"");
    bucket.get(name.file(), &into).await.unwrap();
    let mut from = into;
    std::io::Seek::rewind(&mut from).unwrap();
    verify(from, &keys(key)).unwrap()
}

#[tokio::test]
async fn a_server_makes_a_bundle_and_the_next_one_sees_it() {
    let Some(service) = service().await else { return };
    let key = Identity::generate();
    let spec = spec(service.port(), &key.to_public().to_string());
    // Turns are of one minute.
    while SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 60 > 40 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (red, green) = (Host::of_k3s("red", &spec, "secret"), Host::of_k3s("green", &spec, "secret"));
    let made = red.runs();
    assert!(made.status.success(), "{}", told(&made));
    let cluster = ClusterName::new("lab");
    let all = there(&service).await;
    let bundles: Vec<BundleName> = all.iter().filter_map(|it| Some(BundleName::parse(&cluster, it)?.0)).collect();
    let [name] = &bundles[..] else { panic!("one bundle: {all:?}") };
    assert_eq!(all, [name.to_string(), name.label()]);

    // The reader of all bundles takes it, with every digest.
    let manifest = read(&service, name, &key).await;
    assert_eq!(BundleName::new(&manifest.about.cluster, manifest.about.made), *name);
    assert_eq!(manifest.about.canary.bundle, name.id());
    let paths: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    let (snapshots, rest) = paths.split_at(1);
    assert!(snapshots[0].starts_with("datastore/kubewright-red-"), "{paths:?}");
    let kept = ["cred/passwd", "tls/etcd/server-ca.key", "tls/server-ca.crt", "token"];
    assert_eq!(rest, kept.map(|it| format!("distribution/{it}")), "{paths:?}");
    assert_eq!(manifest.files[0].size, 300_000);
    let kinds: Vec<Kind> = manifest.files.iter().map(|file| file.what).collect();
    assert_eq!((kinds[0], kinds[1]), (Kind::Datastore, Kind::Distribution));
    // Those who list bundles find it by its label.
    let bucket = service.in_folder("backups", "ours", "secret", Some("clusters/our lab"));
    let listed = catalog::list(&bucket, &cluster).await.unwrap();
    assert_eq!(listed.len(), 1);
    let label = listed[0].label.as_ref().unwrap();
    assert_eq!(
        (label.about.clone(), label.holds.clone()),
        (manifest.about.clone(), vec![(Kind::Datastore, 1), (Kind::Distribution, 4)])
    );
    assert_eq!(label.recipients, [key.to_public().to_string()]);

    // The canary was applied before the snapshot was taken, and no secret stood in an argument.
    let asked = std::fs::read_to_string(red.at("/asked")).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    assert!(
        asked[0].contains("/readyz") && asked[1].contains("apply") && asked[2].contains("snapshot save"),
        "{asked:?}"
    );
    let applied = std::fs::read_to_string(red.at("/applied")).unwrap();
    let applied: serde_json::Value = serde_json::from_str(&applied).unwrap();
    assert_eq!(applied["data"]["bundle"], name.id());
    let public = |(path, _): &(&String, &String)| !path.ends_with(".conf");
    assert!(red.files.iter().filter(public).all(|(_, text)| !text.contains("ours")), "{:?}", red.files);
    assert_eq!(red.left(), ["snapshots"], "nothing lies about");

    // Whose turn is next makes none of the same hour.
    let seen = green.runs();
    assert!(seen.status.success(), "{}", told(&seen));
    assert!(told(&seen).contains(&format!("another server has made {name}")), "{}", told(&seen));
    assert_eq!(there(&service).await.len(), 2);
    assert!(!green.at("/asked").exists(), "{}", told(&seen));
}

#[tokio::test]
async fn a_server_that_cannot_save_or_carry_it_fails_and_leaves_nothing() {
    let Some(service) = service().await else { return };
    let key = Identity::generate();
    let spec = spec(service.port(), &key.to_public().to_string());
    let shut_out = Host::of_k3s("red", &spec, "wrong");
    let refused = shut_out.runs();
    assert!(!refused.status.success(), "{}", told(&refused));
    assert!(!shut_out.at("/asked").exists(), "nothing is saved for a bucket that lets nobody in");
    assert!(!told(&refused).contains("wrong"), "{}", told(&refused));

    let idle = Host::of_k3s("red", &spec, "secret");
    idle.write("/usr/local/bin/k3s", "#!/bin/sh\ncat >/dev/null\n");
    let nothing = idle.runs();
    assert!(!nothing.status.success() && told(&nothing).contains("nothing was saved"), "{}", told(&nothing));
    assert_eq!((there(&service).await, idle.left().len()), (Vec::new(), 0));
}

#[tokio::test]
async fn a_server_of_kubeadm_makes_one_too() {
    let Some(service) = service().await else { return };
    let key = Identity::generate();
    let kubeadm = "distribution: kubeadm, version: v1.34.1, encryptSecrets: true, cni: { flannel: {} }";
    let spec = spec_of(kubeadm, service.port(), &key.to_public().to_string());
    let host = Host::of_kubeadm("red", &spec, "secret");
    host.write("/etc/kubernetes/kubewright/encryption.yaml", "the key of Secrets");
    let made = host.runs();
    assert!(made.status.success(), "{}", told(&made));
    let cluster = ClusterName::new("lab");
    let all = there(&service).await;
    let name = all.iter().find_map(|it| Some(BundleName::parse(&cluster, it)?.0)).unwrap();
    let manifest = read(&service, &name, &key).await;
    let paths: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    assert!(matches!(paths[..], [db, "distribution/pki.tar"] if db.starts_with("datastore/etcd-")), "{paths:?}");
    let saved = Command::new("tar").arg("-tf").arg(host.at(&newest(&host))).output().unwrap();
    let saved = String::from_utf8_lossy(&saved.stdout).into_owned();
    assert!(saved.contains("pki/ca.key") && saved.contains("kubewright/encryption.yaml"), "{saved}");
}

/// The archive beside the newest snapshot of kubeadm's.
fn newest(host: &Host) -> String {
    let entries = std::fs::read_dir(host.at("/var/backups/kubewright")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.filter(|name| !name.starts_with("kubewright-bundle") && name != ".lock").collect();
    assert_eq!(names.len(), 2, "the snapshot stays with its keys, and nothing else: {names:?}");
    format!("/var/backups/kubewright/{}", names.iter().find(|name| name.ends_with(".pki.tar")).unwrap())
}

/// What hosts run is read by every shell that they may have, and by systemd.
#[test]
fn scripts_and_units_are_read_by_those_who_run_them() {
    let key = Identity::generate().to_public().to_string();
    for kubernetes in [
        "distribution: k3s, version: v1.34.1+k3s1, datastore: etcd",
        "distribution: rke2, version: v1.34.1+rke2r1",
        "distribution: kubeadm, version: v1.34.1, cni: { flannel: {} }",
    ] {
        let host = Host::new("blue", &spec_of(kubernetes, 9000, &key), "secret");
        let script = host.at("/usr/local/sbin/kubewright-bundle");
        for shell in [["dash", "-n"].as_slice(), &["bash", "-n"], &["busybox", "sh", "-n"]] {
            let read = Command::new(shell[0]).args(&shell[1..]).arg(&script).output().unwrap();
            assert!(read.status.success() && read.stderr.is_empty(), "{shell:?}: {}", told(&read));
        }
        assert!(host.files["/usr/local/sbin/kubewright-bundle"].contains("\nsleep 3720\n"), "it is the third");
        let desired = desired(&spec_of(kubernetes, 9000, &key));
        let timer = desired.hosts.iter().flat_map(|host| &host.resources).find_map(|resource| match resource {
            HostResource::Unit(unit) if unit.name == "kubewright-bundle.timer" => unit.content.clone(),
            _ => None,
        });
        let timer = timer.unwrap().fill(|_| None).unwrap();
        assert!(timer.contains("OnCalendar=3:30\n") && timer.contains("Persistent=false\n"), "{timer}");
        let service = host.files["/etc/systemd/system/kubewright-bundle.service"].clone();
        host.program("/usr/local/sbin/kubewright-bundle", "#!/bin/sh\n");
        let runs = format!("ExecStart={}", script.display());
        host.write(
            "/units/kubewright-bundle.service",
            &service.replace("ExecStart=/usr/local/sbin/kubewright-bundle", &runs),
        );
        host.write("/units/kubewright-bundle.timer", &timer);
        let units = ["service", "timer"].map(|kind| host.at(&format!("/units/kubewright-bundle.{kind}")));
        let judged =
            Command::new("systemd-analyze").args(["verify", "--recursive-errors=no"]).args(units).output().unwrap();
        assert!(judged.status.success(), "{}", told(&judged));
    }
}
