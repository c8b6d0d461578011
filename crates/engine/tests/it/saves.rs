//! The scripts that save and restore a datastore, run by a real shell beside programs that do as K3s and kubectl do.

use std::path::{Path, PathBuf};
use std::process::Command;

use kubewright_model::desired::Desired;
use kubewright_model::recipe::{Recipe, RecipeStep};

use crate::yard::desired;

const LAB: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes:
    distribution: k3s
    version: v1.34.1+k3s1
    datastore: etcd
    endpoint: { virtualIp: { address: 10.0.0.5 } }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  pools:
    plane: { role: both, names: [red, green, blue], addresses: [10.0.0.11-13], existing: {} }
  backup: { schedule: "0 */6 * * *", keep: { last: 3 } }
"#;

/// A host as a folder, with K3s as a script that writes down what it was called with.
struct Host(tempfile::TempDir);

impl Host {
    fn new(k3s: &str) -> Self {
        let host = Self(tempfile::tempdir().expect("a folder"));
        host.write("/usr/local/bin/k3s", &format!("#!/bin/sh\necho \"$*\" >>'{}'\n{k3s}", host.at("/asked").display()));
        let program = host.at("/usr/local/bin/k3s");
        assert!(Command::new("chmod").arg("+x").arg(program).status().expect("there is one").success());
        host
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        std::fs::write(path, text).expect("it is written");
    }

    /// Runs the scripts of a recipe that speak of something; says how it ended, and what was printed.
    fn runs(&self, recipe: &Recipe, of: &str) -> (bool, String) {
        let scripts = recipe.steps.iter().filter_map(|step| match step {
            RecipeStep::Run(words) => words.iter().find(|word| word.contains(of)),
            _ => None,
        });
        let script = scripts.map(|script| self.here(script)).next().expect("there is one");
        let output = Command::new("sh").args(["-c", &script]).output().expect("there is a shell");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The same paths, in this folder.
    fn here(&self, script: &str) -> String {
        let root = self.0.path().display().to_string();
        let script = script.replace("/var/lib/rancher", &format!("{root}/var/lib/rancher"));
        script.replace("/usr/local/bin", &format!("{root}/usr/local/bin"))
    }

    fn asked(&self) -> String {
        std::fs::read_to_string(self.at("/asked")).unwrap_or_default()
    }

    fn has(&self, path: &str) -> bool {
        Path::new(&self.at(path)).exists()
    }
}

const SNAPSHOTS: &str = "/var/lib/rancher/k3s/server/db/snapshots";

fn red(desired: &Desired) -> &kubewright_model::desired::MemberRecipes {
    &desired.members.iter().find(|member| member.name.as_str() == "red").expect("it is there").recipes
}

#[test]
fn a_save_that_saves_nothing_fails_although_it_ends_well() {
    let desired = desired(LAB);
    let save = red(&desired).snapshot.clone().expect("servers save");
    let host = Host::new("exit 0\n");
    // What an earlier run has saved is not what was asked for.
    host.write(&format!("{SNAPSHOTS}/kubewright-red-1"), "old");
    std::thread::sleep(std::time::Duration::from_millis(20));
    let (well, told) = host.runs(&save, "etcd-snapshot save");
    assert!(!well && told.contains("nothing was saved"), "{told}");
    assert!(!host.asked().contains("prune"), "what was saved before is all there is: {}", host.asked());
}

#[test]
fn a_save_prunes_when_it_has_saved() {
    let desired = desired(LAB);
    let save = red(&desired).snapshot.clone().expect("servers save");
    let host = Host::new("");
    host.write(&format!("{SNAPSHOTS}/other"), "another's");
    let new = host.at(&format!("{SNAPSHOTS}/kubewright-red-2"));
    let saves = format!("case $* in *'snapshot save'*) sleep 0.02; : >'{}' ;; esac\n", new.display());
    host.write("/usr/local/bin/k3s", &format!("#!/bin/sh\necho \"$*\" >>'{}'\n{saves}", host.at("/asked").display()));
    let (well, told) = host.runs(&save, "etcd-snapshot save");
    assert!(well, "{told}");
    let asked = host.asked();
    let asked: Vec<&str> = asked.lines().collect();
    let [saved, pruned] = asked[..] else { panic!("two calls: {asked:?}") };
    assert!(saved.starts_with("etcd-snapshot save --name kubewright"), "{saved}");
    assert!(pruned.starts_with("etcd-snapshot prune --name kubewright --etcd-snapshot-retention 3"), "{pruned}");
}

#[test]
fn half_a_restore_is_cleared_away_and_a_whole_etcd_stays() {
    let desired = desired(LAB);
    let (wal, saved) = (
        "/var/lib/rancher/k3s/server/db/etcd/member/wal/0.wal",
        "/var/lib/rancher/k3s/server/db/kubewright-restore.db",
    );
    for recipe in [red(&desired).init.clone().expect("servers begin"), red(&desired).join.clone()] {
        let host = Host::new("");
        host.write(wal, "a member's");
        assert_eq!(host.runs(&recipe, "kubewright-restore.db"), (true, String::new()));
        assert!(host.has(wal), "{}: nothing says that it is half a restore", recipe.title);
        host.write(saved, "what was saved");
        assert_eq!(host.runs(&recipe, "kubewright-restore.db"), (true, String::new()));
        assert!(!host.has(wal) && !host.has(saved), "{}: both are gone", recipe.title);
        assert!(host.has("/var/lib/rancher/k3s/server/db"), "{}", recipe.title);
    }
}

#[test]
fn who_was_in_the_books_is_not_and_a_node_that_stays_is_told() {
    let desired = desired(LAB);
    let restore = red(&desired).restore.clone().expect("servers are restored");
    let answers = "case $* in\n\
                   *'get nodes'*) printf 'node/red\\nnode/green\\nnode/blue\\n' ;;\n\
                   *'delete node/blue'*) exit 1 ;;\n\
                   esac\n";
    let host = Host::new(answers);
    let (well, told) = host.runs(&restore, "get nodes");
    assert!(well && told.contains("node/blue is in the books still"), "{told}");
    let asked = host.asked();
    assert!(asked.contains("delete node/green") && !asked.contains("delete node/red"), "{asked}");
    assert!(asked.contains("delete secret --namespace kube-system red.node-password.k3s"), "{asked}");
}

#[test]
fn who_stands_down_puts_its_data_aside_and_keeps_what_was_there_and_its_snapshots() {
    let desired = desired(LAB);
    let stand_down = red(&desired).stand_down.clone().expect("servers stand down");
    let host = Host::new("exit 0\n");
    let data = "/var/lib/rancher/k3s";
    host.write(&format!("{data}/server/db/etcd/member/wal/0.wal"), "now");
    host.write(&format!("{SNAPSHOTS}/kubewright-red-1"), "then");
    for file in ["server/db/kubewright-restore.db", "agent/kubelet.kubeconfig"] {
        host.write(&format!("{data}/{file}"), "");
    }
    let earlier = format!("{data}/server/db/kubewright-before-20260101T000000Z/member/wal/0.wal");
    host.write(&earlier, "older");
    for _ in 0..2 {
        let (well, told) = host.runs(&stand_down, "kubewright-before");
        assert!(well, "{told}");
        let entries = std::fs::read_dir(host.at(&format!("{data}/server/db"))).expect("it is there").flatten();
        let aside = entries.filter(|it| it.file_name().to_string_lossy().starts_with("kubewright-before-"));
        let aside: Vec<_> = aside.map(|it| std::fs::read_to_string(it.path().join("member/wal/0.wal"))).collect();
        let mut aside: Vec<_> = aside.into_iter().map(|text| text.expect("it is put aside")).collect();
        aside.sort();
        assert_eq!(
            aside,
            ["now", "older"],
            "what was put aside before stays, and a second time has nothing to put there"
        );
        let gone = ["server/db/etcd", "server/db/kubewright-restore.db", "agent/kubelet.kubeconfig"];
        assert!(gone.iter().all(|file| !host.has(&format!("{data}/{file}"))));
        assert!(host.has(&format!("{SNAPSHOTS}/kubewright-red-1")));
    }
    // A host on which nothing was ever started.
    let (well, told) = Host::new("exit 0\n").runs(&stand_down, "kubewright-before");
    assert!(well, "{told}");
}

/// The keys of a server as they lie there, read by the script that a bundle runs, through a real `tar`.
#[test]
fn the_keys_of_a_server_are_read_whole_and_left_nowhere() {
    for (distribution, version) in [("k3s", "v1.34.1+k3s1"), ("rke2", "v1.34.1+rke2r1")] {
        let lab = LAB.replace("distribution: k3s", &format!("distribution: {distribution}"));
        let desired = desired(&lab.replace("v1.34.1+k3s1", version));
        let keys = red(&desired).keys.clone().expect("servers have keys");
        let given = keys.gives.first().expect("it gives them").file.clone();
        let host = Host::new("");
        let server = format!("/var/lib/rancher/{distribution}/server");
        let read = |host: &Host| {
            let script = keys.steps.iter().find_map(|step| match step {
                RecipeStep::Run(words) => words.iter().find(|word| word.contains(" -chzf ")),
                _ => None,
            });
            let script = host.here(script.expect("a script")).replace("/run/", &host.at("/run/").display().to_string());
            let output = Command::new("sh").args(["-c", &script]).output().expect("there is a shell");
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        host.write("/run/kept", "");
        host.write(&format!("{server}/db/etcd/0.wal"), "data");
        let (well, told) = read(&host);
        assert!(!well && told.contains("there are no keys in"), "{told}");

        host.write(&format!("{server}/token.real"), "K10abc::server:secret\n");
        std::os::unix::fs::symlink(host.at(&format!("{server}/token.real")), host.at(&format!("{server}/token")))
            .expect("a link");
        host.write(&format!("{server}/tls/server-ca.key"), "key");
        host.write(&format!("{server}/tls/etcd/peer-ca.crt"), "certificate");
        host.write(&format!("{server}/cred/encryption-config.json"), "{}");
        assert_eq!(read(&host), (true, String::new()));
        let archive = Command::new("sh")
            .args(["-c", "base64 -d <\"$1\" | tar -xz --to-stdout token && base64 -d <\"$1\" | tar -tz", "sh"])
            .arg(host.at(&given))
            .output()
            .expect("there is a tar");
        let listed = String::from_utf8_lossy(&archive.stdout).into_owned();
        let mut listed: Vec<&str> = listed.lines().filter(|line| !line.ends_with('/')).collect();
        listed.sort_unstable();
        let keys = ["cred/encryption-config.json", "tls/etcd/peer-ca.crt", "tls/server-ca.key", "token"];
        assert_eq!(listed, [&["K10abc::server:secret"], keys.as_slice()].concat());
        let mut left: Vec<_> =
            std::fs::read_dir(host.at("/run")).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, ["kept", given.trim_start_matches("/run/")], "the engine takes away what it has read");
        let mode = std::os::unix::fs::PermissionsExt::mode(&host.at(&given).metadata().expect("a file").permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// A server of kubeadm as a folder: programs that do nothing, but `kubeadm reset`, which empties the folder of keys.
fn of_kubeadm() -> (Recipe, Host) {
    let lab = LAB
        .replace("distribution: k3s", "distribution: kubeadm")
        .replace("+k3s1", "")
        .replace("datastore: etcd\n", "cni: { flannel: {} }\n");
    let desired = desired(&lab);
    let host = Host::new("");
    let program = |name: &str, text: &str| {
        host.write(&format!("/usr/local/bin/{name}"), &format!("#!/bin/sh\n{text}"));
        let path = host.at(&format!("/usr/local/bin/{name}"));
        assert!(Command::new("chmod").arg("+x").arg(path).status().expect("there is one").success());
    };
    program("crictl", "");
    program("kubeadm", &format!("rm -rf '{0}/pki' '{0}/manifests'\n", host.at("/etc/kubernetes").display()));
    host.write("/var/lib/etcd/member/wal/0.wal", "now");
    host.write("/etc/kubernetes/manifests/etcd.yaml", "");
    host.write("/etc/kubernetes/pki/ca.key", "key");
    (red(&desired).stand_down.as_deref().expect("servers stand down").clone(), host)
}

/// Runs the script with these lines before it: it is cut where what it does after kubeadm's reset begins.
fn stands_down(recipe: &Recipe, host: &Host, before: &str) -> (bool, String) {
    let script = recipe.steps.iter().find_map(|step| match step {
        RecipeStep::Run(words) => words.iter().find(|word| word.contains("before.part")),
        _ => None,
    });
    let root = host.at("").display().to_string();
    let script = script.expect("there is one").replace("/var/", &format!("{root}/var/"));
    let script = script.replace("/etc/", &format!("{root}/etc/")).replace("/run/", &format!("{root}/run/"));
    let script = script.replace("/usr/local/bin", &format!("{root}/usr/local/bin"));
    let (does, _) = script.split_once("(set +e;").expect("what others have done to the host comes last");
    host.write("/run/kept", "");
    let script = format!("{before}\n{does}");
    let output = Command::new("sh").args(["-c", &script]).output().expect("there is a shell");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn put_aside(host: &Host) -> Vec<(String, bool)> {
    let entries = std::fs::read_dir(host.at("/var/backups/kubewright")).into_iter().flatten().flatten();
    let aside = entries.map(|entry| {
        let data = std::fs::read_to_string(entry.path().join("member/wal/0.wal")).unwrap_or_default();
        (data, entry.path().join("pki/ca.key").exists())
    });
    let mut aside: Vec<_> = aside.collect();
    aside.sort();
    aside
}

#[test]
fn a_server_of_kubeadm_puts_its_data_and_its_keys_aside_and_nothing_of_before_goes() {
    // The same disk, and another one, which is told by the number of its device.
    let other = "stat() { echo \"$3\"; }";
    for before in ["", other] {
        let (recipe, host) = of_kubeadm();
        host.write("/var/backups/kubewright/before-20260101T000000Z/member/wal/0.wal", "older");
        host.write("/var/backups/kubewright/before.part/half", "");
        for _ in 0..2 {
            assert_eq!(stands_down(&recipe, &host, before), (true, String::new()));
            assert_eq!(put_aside(&host), [("now".into(), true), ("older".into(), false)], "{before}");
            assert!(!host.has("/var/lib/etcd/member") && !host.has("/etc/kubernetes/pki"), "kubeadm has reset it");
        }
    }
}

#[test]
fn a_server_of_kubeadm_does_not_stand_down_where_its_data_find_no_room() {
    let (recipe, host) = of_kubeadm();
    let full = "stat() { echo \"$3\"; }\ncp() { mkdir -p \"$3\"; echo 'cp: No space left on device' >&2; return 1; }";
    let (well, told) = stands_down(&recipe, &host, full);
    assert!(!well && told.contains("so nothing of them was touched: make room there"), "{told}");
    assert_eq!(put_aside(&host), [], "half a copy is none");
    assert!(host.has("/var/lib/etcd/member/wal/0.wal") && host.has("/etc/kubernetes/pki/ca.key"));
    assert!(stands_down(&recipe, &host, "").0);
    assert_eq!(put_aside(&host), [("now".into(), true)]);
}
