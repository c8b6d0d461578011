//! kubeadm itself judges the files that it is given, where there is one: in the folder that `KUBEBUILDER_ASSETS` names. How
//! it is taken up where it was cut off is the real shell's to show, with a program in its place that does as it is told.

mod live;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use kubewright_model::desired::MemberRecipes;
use kubewright_model::recipe::{Recipe, RecipeStep};

use crate::lab::skipped;
use crate::yard::desired;

const SPEC: &str = "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes:
    distribution: kubeadm
    version: VERSION
    encryptSecrets: true
    podNetwork: 10.244.0.0/16
    serviceNetwork: 10.96.0.0/16
    endpoint: { host: 10.0.0.5, alternativeNames: [api.lab.test] }
  network: { cidr: 10.0.0.0/24 }
  hosts: { ssh: { user: user } }
  pools:
    master: { role: server, name: 'master-{n}', addresses: [10.0.0.10-12], existing: {}, taints: ['a=b:NoExecute'] }
    worker: { role: agent, name: 'worker-{n}', addresses: [10.0.0.20], existing: {}, labels: { disk: ssd } }
";

fn kubeadm() -> Option<PathBuf> {
    let program = std::env::var_os("KUBEBUILDER_ASSETS").map(|folder| Path::new(&folder).join("kubeadm"));
    let there = program.filter(|program| program.exists());
    if there.is_none() {
        skipped("there is no kubeadm in the folder that KUBEBUILDER_ASSETS names");
    }
    there
}

/// The file that a recipe has kubeadm read, with a value in every hole.
fn file(recipe: &Recipe, discovery: &Path) -> String {
    let mut files = recipe.steps.iter().filter_map(|step| match step {
        RecipeStep::Write(file) if file.path.ends_with(".yaml") => Some(&file.content),
        _ => None,
    });
    let key = "0123456789abcdef".repeat(4);
    let value = |hole: &kubewright_model::ids::HoleName| match hole.as_str() {
        "secret/join-token" => Some("012345.0123456789012345"),
        _ => Some(key.as_str()),
    };
    let text = files.next().unwrap().fill(value).unwrap();
    text.replace("/etc/kubernetes/kubewright/discovery.conf", discovery.to_str().unwrap())
}

#[test]
fn kubeadm_takes_what_it_is_given() {
    let Some(program) = kubeadm() else { return };
    let version = Command::new(&program).args(["version", "-o", "short"]).output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap().trim().to_string();
    let folder = tempfile::tempdir().unwrap();
    let (discovery, path) = (folder.path().join("discovery.conf"), folder.path().join("config.yaml"));
    std::fs::write(&discovery, "").unwrap();
    let desired = desired(&SPEC.replace("VERSION", &version));
    let of = |at: usize| &desired.members[at].recipes;
    let (server, agent) = (of(0), of(3));
    for recipe in [server.init.as_ref().unwrap(), &server.join, server.admit.as_ref().unwrap(), &agent.join] {
        std::fs::write(&path, file(recipe, &discovery)).unwrap();
        let judged = Command::new(&program).args(["config", "validate", "--config"]).arg(&path).output().unwrap();
        assert!(judged.status.success(), "{}: {}", recipe.title, String::from_utf8_lossy(&judged.stderr));
    }
}

/// A host's folder with a kubeadm that writes down what it was told. While there is a file `hold`, it has begun and does not
/// end; one `kill` ends it in the middle.
struct Stage(tempfile::TempDir);

const PROGRAM: &str = r#"#!/bin/sh
root=${0%/kubeadm}
echo "$1" >>"$root/told"
case $1 in
reset) rm -f "$root/etc/kubernetes/kubelet.conf" ;;
init | join)
  test ! -e "$root/etc/kubernetes/kubelet.conf" || exit 1
  : >"$root/etc/kubernetes/kubelet.conf"
  while [ -e "$root/hold" ]; do sleep 0.1; done
  [ ! -e "$root/kill" ] || { rm "$root/kill"; kill -KILL $$; }
  ;;
esac
"#;

impl Stage {
    fn new() -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(stage.at("etc/kubernetes/kubewright")).unwrap();
        std::fs::create_dir_all(stage.at("run")).unwrap();
        for (name, text) in [("kubeadm", PROGRAM), ("systemctl", "#!/bin/sh\n"), ("ip", "#!/bin/sh\n")] {
            std::fs::write(stage.at(name), text).unwrap();
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(stage.at(name), open).unwrap();
        }
        stage
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// The script by which a recipe makes a host a member, on this one.
    fn begin(&self, recipe: &Recipe) -> Child {
        let scripts = recipe.steps.iter().filter_map(|step| match step {
            RecipeStep::Run(words) => words.last().filter(|script| script.contains("under-way")),
            _ => None,
        });
        let root = self.0.path().to_str().unwrap();
        let [script] = scripts.collect::<Vec<_>>()[..] else { panic!("one script makes a member") };
        let script = script.replace("/usr/local/bin/", &format!("{root}/")).replace("/etc/", &format!("{root}/etc/"));
        let script = script.replace("/run/", &format!("{root}/run/")).replace("/var/", &format!("{root}/var/"));
        std::fs::write(self.at("etc/kubernetes/kubewright/config.yaml"), "token").unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell.env("PATH", format!("{root}:{}", std::env::var("PATH").unwrap())).spawn().unwrap()
    }

    fn run(&self, recipe: &Recipe) -> Output {
        self.begin(recipe).wait_with_output().unwrap()
    }

    fn told(&self) -> String {
        std::fs::read_to_string(self.at("told")).unwrap_or_default().lines().collect::<Vec<_>>().join(" ")
    }

    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.at("etc/kubernetes/kubewright")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// What a member of this spec does: the first three are servers.
fn recipes(at: usize) -> MemberRecipes {
    desired(&SPEC.replace("VERSION", "v1.34.1")).members[at].recipes.clone()
}

#[test]
fn kubeadm_does_not_do_again_what_it_has_done() {
    let (stage, recipe) = (Stage::new(), recipes(1).join);
    for _ in 0..2 {
        let output = stage.run(&recipe);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!((stage.told().as_str(), stage.left()), ("join", Vec::new()));
    }
}

#[test]
fn whoever_comes_while_kubeadm_is_at_work_waits_for_it() {
    let (stage, recipe) = (Stage::new(), recipes(1).join);
    std::fs::write(stage.at("hold"), "").unwrap();
    let mut first = stage.begin(&recipe);
    while stage.told().is_empty() {
        assert!(first.try_wait().unwrap().is_none(), "it ended before it began");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Its connection is gone, and nobody hears what it says any more.
    drop((first.stdout.take(), first.stderr.take()));
    let mut second = stage.begin(&recipe);
    std::thread::sleep(Duration::from_millis(500));
    assert!(second.try_wait().unwrap().is_none(), "it waits");
    std::fs::remove_file(stage.at("hold")).unwrap();
    assert!(second.wait_with_output().unwrap().status.success());
    assert!(first.wait().unwrap().success());
    assert_eq!((stage.told().as_str(), stage.left()), ("join", Vec::new()));
}

#[test]
fn what_kubeadm_was_cut_off_in_is_cleared_away() {
    let (stage, recipe) = (Stage::new(), recipes(3).join);
    std::fs::write(stage.at("kill"), "").unwrap();
    assert!(!stage.run(&recipe).status.success());
    assert_eq!(stage.left(), ["under-way"], "and no file with a token");
    let again = stage.run(&recipe);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!((stage.told().as_str(), stage.left()), ("join reset join", Vec::new()));
}

#[test]
fn a_server_that_etcd_may_have_taken_in_keeps_its_data_until_another_has_taken_it_out() {
    let (stage, recipes) = (Stage::new(), recipes(1));
    let (data, half) = (stage.at("var/lib/etcd/member"), recipes.halfway.unwrap());
    std::fs::write(stage.at("kill"), "").unwrap();
    assert!(!stage.run(&recipes.join).status.success());
    std::fs::create_dir_all(&data).unwrap();
    let refused = stage.run(&recipes.join);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("run again"));
    assert!(stage.run(&half.ended).status.success());
    assert_eq!((stage.told().as_str(), data.exists()), ("join", true));
    assert!(stage.run(&half.clear).status.success());
    assert_eq!((stage.told().as_str(), data.exists()), ("join reset", false));
    assert!(stage.run(&recipes.join).status.success());
    assert!(!stage.run(&half.ended).status.success(), "it has become a member meanwhile");
}
