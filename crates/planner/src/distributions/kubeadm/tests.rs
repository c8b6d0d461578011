//! Facts about what kubeadm is given, for the oldest version, for one that changed something, and for the newest.

use kubewright_model::desired::{Desired, MemberRecipes};
use kubewright_model::host::HostResource;
use kubewright_model::recipe::{Recipe, RecipeStep};
use kubewright_model::spec::load;
use serde_json::Value;

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
    registries:
      docker.io: { mirrors: ['https://registry.lan:5000', 'https://harbor.lan/v2/hub'], caFile: /etc/ssl/lan.crt }
      '*': { mirrors: ['http://10.0.0.9:5000'] }
    serverConfig: { controllerManager: { extraArgs: [{ name: terminated-pod-gc-threshold, value: '100' }] } }
  network: { cidr: 10.0.0.0/24 }
  pools:
    master: { role: server, name: 'master-{n}', addresses: [10.0.0.10-12], existing: {}, taints: ['a=b:NoExecute'] }
    worker: { role: agent, name: 'worker-{n}', addresses: [10.0.0.20], existing: {}, labels: { disk: ssd } }
  backup: { schedule: '0 3 * * 6,7', objects: false }
";

fn lowered(version: &str) -> Desired {
    let loaded = load(&SPEC.replace("VERSION", version)).unwrap();
    crate::lower::lower(&loaded.file).0
}

fn recipes(desired: &Desired, at: usize) -> &MemberRecipes {
    &desired.members[at].recipes
}

/// A host's resources, one a line, with the text of its files.
fn host(desired: &Desired, at: usize) -> String {
    let line = |resource: &HostResource| match resource {
        HostResource::Download(wish) => {
            let member = wish.member.as_ref().map(|member| format!(" ({member})")).unwrap_or_default();
            format!("{} {}{member}\n  {:?}\n", resource.key(), wish.artifact.url, wish.artifact.proof)
        }
        HostResource::File(file) => format!("{} {}\n{}\n", resource.key(), file.mode, file.content),
        HostResource::Unit(unit) => format!("{} {:?}\n{}\n", resource.key(), unit.run, unit.content.as_ref().unwrap()),
        other => format!("{} {}\n", other.key(), other.setting().unwrap_or_default()),
    };
    desired.hosts[at].resources.iter().map(line).collect()
}

/// A recipe's steps, one a line.
fn steps(recipe: &Recipe) -> String {
    let line = |step: &RecipeStep| match step {
        RecipeStep::Run(command) => format!("run {}\n", command.join(" ")),
        RecipeStep::Until { command, what, .. } => format!("until {what}: {}\n", command.join(" ")),
        RecipeStep::Write(file) => format!("write {} {}\n{}\n", file.path, file.mode, file.content),
        RecipeStep::Remove(path) => format!("remove {path}\n"),
        RecipeStep::Start { unit, .. } => format!("start {unit}\n"),
        RecipeStep::Restart { unit, .. } => format!("restart {unit}\n"),
        RecipeStep::Stop { unit } => format!("stop {unit}\n"),
        RecipeStep::Talos(call) => format!("{call:?}\n"),
        RecipeStep::Bring { .. } | RecipeStep::Send { .. } => format!("{step:?}\n"),
    };
    let gives = recipe.gives.iter().map(|output| format!("gives {} from {}\n", output.hole, output.file));
    std::iter::once(format!("# {}\n", recipe.title)).chain(recipe.steps.iter().map(line)).chain(gives).collect()
}

#[test]
fn a_server_and_its_recipes() {
    let desired = lowered("v1.31.4");
    let of = recipes(&desired, 0);
    let all = [
        of.init.as_ref(),
        Some(&of.join),
        of.admit.as_ref(),
        of.forget.as_ref(),
        Some(&of.upgrade),
        of.snapshot.as_ref(),
        Some(&of.leave),
    ];
    let all: String = all.into_iter().flatten().map(|recipe| steps(recipe) + "\n").collect();
    insta::assert_snapshot!(host(&desired, 0) + "\n" + &all);
}

#[test]
fn an_agent_and_its_recipes() {
    let desired = lowered("v1.31.4");
    let of = recipes(&desired, 3);
    assert!(of.init.is_none() && of.admit.is_none() && of.snapshot.is_none());
    assert!(!host(&desired, 3).contains("etcd"), "an agent has nothing to save");
    insta::assert_snapshot!(steps(&of.join) + "\n" + &steps(&of.upgrade));
}

/// The files of a recipe, with a value in every hole.
fn filled(recipe: &Recipe) -> Vec<(&str, String)> {
    let files = recipe.steps.iter().filter_map(|step| match step {
        RecipeStep::Write(file) => {
            Some((file.path.as_str(), file.content.fill(|_| Some("012345.0123456789012345")).unwrap()))
        }
        _ => None,
    });
    files.collect()
}

#[test]
fn every_file_is_yaml_in_which_tokens_are_texts() {
    let desired = lowered("v1.36.3");
    let of = recipes(&desired, 0);
    let mut read = Vec::new();
    for recipe in [of.init.as_ref().unwrap(), &of.join, of.admit.as_ref().unwrap(), &recipes(&desired, 3).join] {
        for (path, text) in filled(recipe).into_iter().filter(|(path, _)| path.ends_with(".yaml")) {
            for document in text.split("---\n") {
                let value: Value = serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{path}: {error}"));
                read.push(value);
            }
        }
    }
    let kind = |kind: &str| read.iter().find(|value| value["kind"] == kind).unwrap();
    let token = "012345.0123456789012345";
    assert_eq!(kind("InitConfiguration")["bootstrapTokens"][0]["token"], token);
    assert_eq!(kind("InitConfiguration")["certificateKey"], token);
    let join = kind("JoinConfiguration");
    assert_eq!(join["discovery"]["tlsBootstrapToken"], token);
    assert_eq!(join["controlPlane"]["certificateKey"], token);
    assert_eq!(join["controlPlane"]["localAPIEndpoint"]["advertiseAddress"], "10.0.0.10");
    assert!(read.iter().any(|value| value["kind"] == "JoinConfiguration" && value["controlPlane"].is_null()));
    let cluster = kind("ClusterConfiguration");
    let names: Vec<&str> = cluster["controllerManager"]["extraArgs"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(names, ["bind-address", "terminated-pod-gc-threshold"], "theirs comes beside ours");
}

#[test]
fn what_goes_with_a_version_follows_it() {
    let facts = |version: &str| {
        let text = host(&lowered(version), 0);
        let has = |part: &str| text.contains(part);
        assert!(has("version = 3") && has("cri.v1.runtime") && has("SystemdCgroup = true"), "{text}");
        assert!(has(&format!("https://dl.k8s.io/release/{version}/bin/linux/{{arch}}/kubelet")));
        (has("package conntrack"), has("pause:3.10.2"), has("pause:3.10.1"), has("plugins-linux-{arch}-v1.9.1"))
    };
    assert_eq!(facts("v1.31.4"), (true, false, false, false));
    assert_eq!(facts("v1.34.1"), (false, false, true, false));
    assert_eq!(facts("v1.36.3"), (false, true, false, true));
    // A kubelet whose text changed with its version would be restarted before its control plane is upgraded.
    let unit = |version: &str| host(&lowered(version), 0).split("unit kubelet.service").nth(1).unwrap().to_string();
    assert_eq!(unit("v1.34.1"), unit("v1.35.0"));
    let old = SPEC.replace("version: VERSION", "version: v1.31.4\n    containerd: { version: v1.7.27 }");
    let text = host(&crate::lower::lower(&load(&old).unwrap().file).0, 0);
    assert!(text.contains("version = 2") && text.contains("sandbox_image = \"registry.k8s.io/pause:3.10\""), "{text}");
    assert!(text.contains("containerd-1.7.27-linux-{arch}.tar.gz") && text.contains("runc/releases/download/v1.3.6"));
}

#[test]
fn a_cluster_keeps_what_kubeadm_takes_at_the_beginning() {
    let kept = lowered("v1.31.4").kubernetes.foundation;
    assert_eq!(kept["endpoint"], "10.0.0.5:6443");
    assert_eq!(kept["further names of the API"], "api.lab.test");
    assert_eq!((kept["kube-proxy"].as_str(), kept["swap"].as_str()), ("its own", "off"));
    assert_eq!(kept, lowered("v1.36.3").kubernetes.foundation, "another version is no other cluster");
}
