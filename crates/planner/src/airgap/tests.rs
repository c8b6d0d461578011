//! What a spec needs from outside, by distribution, and what a bundle of it lacks.

use serde_json::json;

use super::*;

const LAB: &str = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: { name: lab }\nspec:\n  kubernetes: { \
    distribution: DISTRIBUTION, version: VERSION }\n  network: { cidr: 10.0.0.0/24 }\n  pools:\n    server: { role: both, name: \
    server, addresses: [10.0.0.10], existing: {} }\n  addons:\n    metallb: { pools: { lan: [10.0.0.100-110] } }\n    manifests:\n      \
    web:\n        objects:\n          - { apiVersion: v1, kind: Pod, metadata: { name: web, namespace: default }, spec: { containers: [{ name: web, image: \
    \"registry.lan/web:1\" }] } }\n";

fn lab(distribution: &str, version: &str) -> Desired {
    let text = LAB.replace("DISTRIBUTION", distribution).replace("VERSION", version);
    let file = kubewright_model::spec::load(&text).unwrap_or_else(|found| panic!("{found:#?}")).file;
    let (desired, found) = crate::lower::lower(&closed(&file));
    assert!(found.is_empty(), "{found:#?}");
    desired
}

fn lines(desired: &Desired, machines: &[&str]) -> Vec<String> {
    let machines: Vec<String> = machines.iter().map(|arch| (*arch).to_string()).collect();
    needs(desired, &machines)
        .iter()
        .map(|need| format!("{} {} ({})", need.kind, need.source, need.wanted_by.join(", ")))
        .collect()
}

#[test]
fn k3s_needs_its_release_and_what_the_spec_puts_on_it() {
    let release = "https://github.com/k3s-io/k3s/releases/download/v1.33.5%2Bk3s1";
    let want = [
        format!("file {release}/k3s-airgap-images-arm64.tar.zst (hosts)"),
        format!("file {release}/k3s-arm64 (hosts)"),
        format!("file {release}/sha256sum-arm64.txt (hosts)"),
        "image registry.lan/web:1 (objects manifests)".into(),
        "chart metallb (release metallb-system/metallb)".into(),
    ];
    assert_eq!(lines(&lab("k3s", "v1.33.5+k3s1"), &["arm64"]), want);
}

#[test]
fn rke2_and_kubeadm_need_theirs() {
    let files = |desired: &Desired| {
        let names = |line: &String| line.split(' ').nth(1).and_then(|url| url.rsplit('/').next()).map(String::from);
        lines(desired, &["amd64"]).iter().filter(|line| line.starts_with("file ")).filter_map(names).collect::<Vec<_>>()
    };
    let rke2 = ["rke2-images.linux-amd64.tar.zst", "rke2.linux-amd64.tar.gz", "sha256sum-amd64.txt"];
    assert_eq!(files(&lab("rke2", "v1.33.5+rke2r1")), rke2);
    let kubeadm = files(&lab("kubeadm", "v1.33.5"));
    for name in ["kubeadm", "kubeadm.sha256", "kubelet", "kubectl", "runc.amd64", "crictl-v1.33.0-linux-amd64.tar.gz"] {
        assert!(kubeadm.iter().any(|file| file == name), "{name}: {kubeadm:?}");
    }
}

#[test]
fn images_are_found_wherever_kinds_keep_them() {
    let found = |object: Value| images(&object).into_iter().collect::<Vec<_>>();
    let pod = json!({ "initContainers": [{ "image": "a:1" }], "containers": [{ "image": "b:1",
        "args": ["--acme-http01-solver-image=quay.io/x/solver:v1", "--image-pull=never", "--image=$(IMAGE)", "--url=http://a.b/c:1",
            "--sidecar-image", "quay.io/x/sidecar:v2", "--image", "--url", "quay.io/x/none:v3", "--image"],
        "env": [{ "name": "RELATED_IMAGE_X", "value": "quay.io/x/y@sha256:ab" }, { "name": "IMAGE_TAG", "value": "v1" }] }] });
    let cron = json!({ "kind": "CronJob", "spec": { "jobTemplate": { "spec": { "template": { "spec": pod } } } } });
    assert_eq!(found(cron), ["a:1", "b:1", "quay.io/x/sidecar:v2", "quay.io/x/solver:v1", "quay.io/x/y@sha256:ab"]);
    assert_eq!(
        found(json!({ "kind": "Prometheus", "spec": { "image": "quay.io/prometheus/prometheus:v3" } })),
        ["quay.io/prometheus/prometheus:v3"]
    );
    assert!(found(json!({ "kind": "ConfigMap", "data": { "image": "{{ template }}" } })).is_empty());
    assert!(found(json!({ "kind": "CustomResourceDefinition", "spec": { "x": { "image": "text" } } })).is_empty());
}

#[test]
fn what_no_bundle_can_stand_in_for_is_named() {
    let names = |desired: &Desired| refusals(desired).into_iter().map(|(what, _)| what).collect::<Vec<_>>();
    assert!(names(&lab("k3s", "v1.33.5+k3s1")).is_empty());
    let mut talos = lab("k3s", "v1.33.5+k3s1");
    talos.kubernetes.distribution = Distribution::Talos;
    assert_eq!(names(&talos), ["Talos"]);
}

fn gap(images: &[&str]) -> AirGap {
    let packed = |image: &&str| Packed {
        kind: Kind::Image,
        name: (*image).into(),
        source: kubewright_model::airgap::whole(image),
        repository: None,
        version: None,
        path: kubewright_model::airgap::image_place(image),
        sha256: Digest::of(image),
        size: 1,
        wanted_by: vec![],
    };
    let manifest = kubewright_model::airgap::Manifest {
        format: 1,
        cluster: "lab".into(),
        spec: Digest::of("spec"),
        distribution: Distribution::K3s,
        version: "v1.33.5+k3s1".parse().unwrap(),
        architectures: vec!["amd64".into()],
        contents: images.iter().map(packed).collect(),
    };
    AirGap { folder: "/cache/bundle".into(), manifest: manifest.into() }
}

#[test]
fn images_lie_on_hosts_before_kubernetes_starts() {
    let keys = |desired: &Desired| desired.hosts[0].resources.iter().map(HostResource::key).collect::<Vec<_>>();
    let mut k3s = lab("k3s", "v1.33.5+k3s1");
    let before = keys(&k3s).len();
    seal(&mut k3s, &gap(&["registry.lan/web:1"]));
    let all = keys(&k3s);
    let at = |key: &str| all.iter().position(|it| it == key).unwrap_or_else(|| panic!("{key}: {all:?}"));
    let archive = "download /var/lib/rancher/k3s/agent/images/kubewright-registry.lan_web_1.tar";
    assert!(at(archive) < at("unit k3s.service"));
    assert_eq!(all.len(), before + 1);
    let mut kubeadm = lab("kubeadm", "v1.33.5");
    seal(&mut kubeadm, &gap(&["registry.lan/web:1"]));
    let all = keys(&kubeadm);
    let at = |key: &str| all.iter().position(|it| it == key).unwrap_or_else(|| panic!("{key}: {all:?}"));
    assert!(at("unit containerd.service") < at("unit kubewright-images.service"));
    assert!(at("unit kubewright-images.service") < at("unit kubelet.service"));
}

#[test]
fn an_image_that_is_asked_of_its_registry_at_each_start_is_known() {
    let pod = |image: &str, policy: &str| {
        let mut container = json!({ "name": "web", "image": image });
        if !policy.is_empty() {
            container["imagePullPolicy"] = json!(policy);
        }
        always_pulled(&json!({ "kind": "Pod", "spec": { "containers": [container] } })).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(pod("registry.lan/web:1", "Always"), ["registry.lan/web:1 of container web"]);
    assert_eq!(pod("registry.lan/web", ""), ["registry.lan/web of container web"]);
    assert_eq!(pod("registry.lan/web:latest", ""), ["registry.lan/web:latest of container web"]);
    for (image, policy) in [("registry.lan/web:latest", "IfNotPresent"), ("registry.lan/web:1", "")] {
        assert!(pod(image, policy).is_empty(), "{image} {policy}");
    }
    let digest = format!("registry.lan/web@sha256:{}", "0".repeat(64));
    assert!(pod(&digest, "").is_empty());
    let told =
        json!({ "kind": "Prometheus", "spec": { "image": "registry.lan/prometheus:3", "imagePullPolicy": "Always" } });
    assert_eq!(always_pulled(&told).len(), 1);
}

#[test]
fn kubeadm_is_asked_with_the_settings_that_name_images() {
    let settings = "serverConfig: { imageRepository: registry.lan/k8s, dns: { imageTag: v1.12.0 }, etcd: { local: { imageRepository: \
                    registry.lan/etcd } }, networking: { dnsDomain: x.lan } }";
    let text = LAB.replace("DISTRIBUTION", "kubeadm").replace("VERSION", &format!("v1.33.5, {settings}"));
    let file = kubewright_model::spec::load(&text).unwrap_or_else(|found| panic!("{found:#?}")).file;
    let asks: Vec<Value> =
        serde_saphyr::from_multiple(&asks_kubeadm(&file, &"v1.32.1".parse().unwrap())).expect("two documents");
    assert_eq!(asks[0]["localAPIEndpoint"]["advertiseAddress"], "192.0.2.1");
    let want = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "imageRepository": "registry.lan/k8s",
        "dns": { "imageTag": "v1.12.0" },
        "etcd": { "local": { "imageRepository": "registry.lan/etcd" } },
        "kubernetesVersion": "v1.32.1",
    });
    assert_eq!(asks[1], want);
}
