//! Every object that the examples apply is one that Kubernetes of their version takes: judged by the schemas of that
//! version, strictly, with a program of others.

#![expect(clippy::disallowed_methods, reason = "the planner reads no files, its tests do")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use kubewright_model::host::HostResource;
use kubewright_model::spec::load;
use kubewright_planner::lower::lower;

const PACKAGE: &str = "kubernetes-validate==1.37.0";

/// What is said of a kind that is not Kubernetes' own; such are judged by the webhooks of whoever brings them.
const STRANGE: &str = "Couldn't find schema for kind ";

/// The program; it is put below the target folder once.
fn judge() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PACKAGE);
    let turn = File::create(home.with_extension("lock")).unwrap();
    turn.lock().unwrap();
    let program = home.join("bin/kubernetes-validate");
    if !program.is_file() {
        said(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home), true);
        said(Command::new(home.join("bin/pip")).args(["install", "--quiet", PACKAGE]), true);
    }
    program
}

/// Runs something to its end; what it said, and whether it ended as it should.
fn said(command: &mut Command, well: bool) -> String {
    let ran = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; it takes Python 3 with venv"));
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert_eq!(ran.status.success(), well, "{command:?}: {said}");
    said
}

/// All objects of an example in one file, and the version that they are for; none of one that applies none.
fn objects(example: &Path, file: &Path) -> Option<String> {
    let loaded = load(&fs::read_to_string(example.join("cluster.yaml")).unwrap()).unwrap();
    let (desired, _) = lower(&loaded.file);
    let manifests = desired.objects.iter().flat_map(|group| &group.manifests);
    let texts: Vec<String> = manifests.map(|manifest| manifest.0.to_string()).collect();
    fs::write(file, texts.join("\n---\n")).unwrap();
    let (major, minor) = desired.kubernetes.version.minor();
    (!texts.is_empty()).then(|| format!("{major}.{minor}"))
}

#[test]
fn every_object_of_the_examples_is_valid_for_its_version() {
    let (judge, folder) = (judge(), tempfile::tempdir().unwrap());
    let mut strange = BTreeSet::new();
    let examples = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")).unwrap();
    for example in examples.map(|entry| entry.unwrap().path()) {
        let file = folder.path().join(format!("{}.yaml", example.file_name().unwrap().to_string_lossy()));
        let Some(version) = objects(&example, &file) else { continue };
        let told = said(Command::new(&judge).args(["--strict", "-k", &version]).arg(&file), true);
        let kinds = told.lines().filter_map(|line| line.split_once(STRANGE)?.1.split_once(" with api version "));
        strange.extend(kinds.map(|(kind, rest)| format!("{kind} of {}", rest.split('/').next().unwrap_or_default())));
    }
    let known = [
        "Application of argoproj.io",
        "CiliumL2AnnouncementPolicy of cilium.io",
        "CiliumLoadBalancerIPPool of cilium.io",
        "Elasticsearch of elasticsearch.k8s.elastic.co",
        "IPAddressPool of metallb.io",
        "Kibana of kibana.k8s.elastic.co",
        "L2Advertisement of metallb.io",
    ];
    assert_eq!(strange.iter().map(String::as_str).collect::<Vec<_>>(), known);
}

/// What servers of K3s and RKE2 apply by themselves goes through no hands of ours later.
#[test]
fn what_servers_apply_for_a_virtual_ip_is_valid() {
    let (judge, folder) = (judge(), tempfile::tempdir().unwrap());
    for (distribution, version, minor) in [("k3s", "v1.33.5+k3s1", "1.33"), ("rke2", "v1.36.0+rke2r1", "1.36")] {
        let spec = format!(
            "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{ name: lab }}\nspec:\n  kubernetes: {{ distribution: {distribution}, \
             version: {version}, endpoint: {{ virtualIp: {{ address: 10.0.0.5, interface: eth1 }} }} }}\n  network: {{ cidr: 10.0.0.0/24 }}\n  \
             pools: {{ server: {{ role: both, name: \"s-{{n}}\", addresses: [10.0.0.10-12], existing: {{}} }} }}\n"
        );
        let (desired, _) = lower(&load(&spec).unwrap().file);
        let resources = desired.hosts.iter().flat_map(|host| &host.resources);
        let texts: Vec<String> = resources
            .filter_map(|resource| match resource {
                HostResource::File(file) if file.path.contains("/server/manifests/") => Some(file.content.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(texts.len(), 3, "one for each server");
        let file = folder.path().join(format!("{distribution}.yaml"));
        fs::write(&file, &texts[0]).unwrap();
        said(Command::new(&judge).args(["--strict", "-k", minor]).arg(&file), true);
    }
}

#[test]
fn what_no_kubernetes_takes_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.yaml");
    let wrong = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"portz":[]}}"#;
    fs::write(&file, wrong).unwrap();
    assert!(said(Command::new(judge()).args(["--strict", "-k", "1.31"]).arg(&file), false).contains("'portz'"));
}
