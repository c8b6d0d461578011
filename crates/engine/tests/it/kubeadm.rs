//! kubeadm itself judges the files that it is given, where there is one: in the folder that `KUBEBUILDER_ASSETS` names.

use std::path::{Path, PathBuf};
use std::process::Command;

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
    let of = |at: usize| desired.members[at].recipes.as_ref().unwrap();
    let (server, agent) = (of(0), of(3));
    for recipe in [server.init.as_ref().unwrap(), &server.join, server.admit.as_ref().unwrap(), &agent.join] {
        std::fs::write(&path, file(recipe, &discovery)).unwrap();
        let judged = Command::new(&program).args(["config", "validate", "--config"]).arg(&path).output().unwrap();
        assert!(judged.status.success(), "{}: {}", recipe.title, String::from_utf8_lossy(&judged.stderr));
    }
}
