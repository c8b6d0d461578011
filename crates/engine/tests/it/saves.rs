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
    host.write(&format!("{data}/server/kubewright-before/older"), "");
    for _ in 0..2 {
        let (well, told) = host.runs(&stand_down, "kubewright-before");
        assert!(well, "{told}");
        let aside = std::fs::read_to_string(host.at(&format!("{data}/server/kubewright-before/member/wal/0.wal")));
        assert_eq!(aside.expect("it is put aside"), "now", "a second time has nothing to put there");
        let gone = ["server/db/etcd", "server/db/kubewright-restore.db", "agent/kubelet.kubeconfig"];
        assert!(gone.iter().all(|file| !host.has(&format!("{data}/{file}"))));
        assert!(host.has(&format!("{SNAPSHOTS}/kubewright-red-1")));
        let entries = std::fs::read_dir(host.at(&format!("{data}/server"))).expect("it is there").flatten();
        let earlier: Vec<_> = entries.filter(|it| it.file_name().to_string_lossy().contains("before-")).collect();
        assert!(earlier.len() == 1 && earlier[0].path().join("older").exists(), "what was put aside before stays");
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
