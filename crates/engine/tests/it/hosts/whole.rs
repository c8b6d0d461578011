//! The whole of `apply`, over SSH and against a real API server: only kubelets are played.

use kubewright_engine::verify::CheckResult;

use super::*;
use crate::plane::assets;

/// What is applied beside the nodes, in two versions: an object, and a release with a secret value.
fn more(sky: &str, replicas: u8) -> String {
    format!(
        "  namespaces: [shop]
  addons:
    manifests:
      paint:
        objects: [{{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: colours, namespace: shop }}, data: {{ sky: {sky} }} }}]
    charts:
      orders:
        chart: ./chart
        namespace: shop
        values: {{ replicas: {replicas} }}
        secretValues: {{ password: {{ generate: orders-password }} }}
"
    )
}

/// A chart with one ConfigMap and one Secret.
fn chart(folder: &Path) {
    let templates = folder.join("chart/templates");
    std::fs::create_dir_all(&templates).unwrap();
    std::fs::write(folder.join("chart/Chart.yaml"), "apiVersion: v2\nname: orders\nversion: 1.2.3\n").unwrap();
    let objects = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: orders }\ndata: { replicas: {{ .Values.replicas | quote }} }\n---\n\
        apiVersion: v1\nkind: Secret\nmetadata: { name: orders }\nstringData: { password: {{ .Values.password | quote }} }\n";
    std::fs::write(templates.join("objects.yaml"), objects).unwrap();
}

/// What kubectl, which nobody of this project wrote, says on the server's host.
fn kubectl(cluster: &Cluster, words: &str) -> String {
    cluster.hosts[0].sh(&format!("/usr/local/bin/k3s kubectl --kubeconfig /etc/rancher/k3s/k3s.yaml {words}"))
}

fn told(checks: &[CheckResult]) -> String {
    checks.iter().map(|check| format!("{check:?}\n")).collect()
}

async fn lives_whole(cluster: Cluster) {
    chart(cluster.home.path());
    let wish = cluster.wish_with(VERSION, "", &more("blue", 1));
    cluster.apply(&wish, Ask::Apply).await;
    let node = r#"{.metadata.name} {.metadata.labels.kubewright\.dev/pool} {.status.nodeInfo.kubeletVersion}"#;
    let nodes = kubectl(&cluster, &format!("get nodes -o jsonpath='{{range .items[*]}}{node}{{\"\\n\"}}{{end}}'"));
    assert_eq!(nodes, format!("agent-1 agents {VERSION}\nserver-1 servers {VERSION}\n"));
    assert_eq!(kubectl(&cluster, "get configmap -n shop colours -o jsonpath='{.data.sky}'"), "blue");
    assert_eq!(kubectl(&cluster, "get configmap -n shop orders -o jsonpath='{.data.replicas}'"), "1");
    let password = cluster.store.secret(&wish.cluster, "orders-password").unwrap().expect("it was made");
    let there = kubectl(&cluster, "get secret -n shop orders -o jsonpath='{.data.password}' | base64 -d");
    assert_eq!(there, *password.expose());
    let kept = cluster.store.secret(&wish.cluster, "kubeconfig").unwrap().expect("it is kept");
    assert!(kept.expose().contains(&format!("https://{}:6443", cluster.hosts[0].address)), "{}", kept.expose());
    let checks = cluster.engine(&wish).verify(&wish).await;
    assert!(
        checks.iter().any(|check| check.checked.holds) && !told(&checks).contains("does not answer"),
        "{}",
        told(&checks)
    );
    let plan = cluster.plan(&wish, &Ask::Apply).await;
    assert!(plan.is_empty(), "{plan:#?}");

    // Only what somebody has taken away is made again.
    kubectl(&cluster, "delete configmap -n shop colours");
    let plan = cluster.plan(&wish, &Ask::Apply).await;
    let fields: Vec<&str> = plan.steps.iter().flat_map(|step| &step.fields).map(|field| field.field.as_str()).collect();
    assert_eq!((plan.steps.len(), fields.as_slice()), (1, ["ConfigMap shop/colours"].as_slice()));
    let second = cluster.wish_with(VERSION, "", &more("red", 2));
    cluster.apply(&second, Ask::Apply).await;
    assert_eq!(kubectl(&cluster, "get configmap -n shop colours -o jsonpath='{.data.sky}'"), "red");
    assert_eq!(kubectl(&cluster, "get configmap -n shop orders -o jsonpath='{.data.replicas}'"), "2");
    assert!(cluster.plan(&second, &Ask::Apply).await.is_empty());
    assert_eq!(cluster.starts(), [1, 1], "no host had a part in that");

    cluster.apply(&second, Ask::Destroy).await;
    nothing_is_left(&cluster);
}

#[test]
fn a_cluster_is_made_changed_and_destroyed_over_ssh_with_a_real_api_server() {
    let Some(programs) = assets(&["helm"]) else { return };
    let prepare = format!(
        "mkdir opt/kubernetes && mount --bind '{}' opt/kubernetes && mount -o remount,bind,ro opt/kubernetes",
        programs.display()
    );
    world(|| {
        let hosts = ["server-1", "agent-1"].map(|name| BootedHost::prepared(name, &prepare));
        block_on(lives_whole(Cluster::of(hosts.into(), Some(programs))));
    });
}
