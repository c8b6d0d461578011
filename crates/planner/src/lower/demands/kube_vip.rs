//! What a virtual IP before K3s and RKE2 demands.

use kubewright_model::desired::Desired;
use serde_json::Value;

use super::{changed, recipes, steps, text};

const AT: &str = "endpoint: { virtualIp: { address: 10.0.0.9 } }";
const K3S: &str = "/var/lib/rancher/k3s/server/manifests/kubewright-kube-vip.yaml";

fn lab(pieces: &[(&str, &str)]) -> Desired {
    changed(&[&[("endpoint: { loadBalancer: api }", AT)], pieces].concat())
}

fn rke2() -> Desired {
    lab(&[("distribution: k3s", "distribution: rke2"), ("v1.31.4+k3s1", "v1.33.5+rke2r1")])
}

/// The variables of kube-vip's pods.
fn variables(manifest: &str) -> Vec<(String, String)> {
    let pods = manifest.split("---\n").find(|document| document.contains("kind: DaemonSet")).unwrap();
    let pods: Value = kubewright_model::source::read(pods).unwrap().0;
    let variables = pods.pointer("/spec/template/spec/containers/0/env").unwrap().as_array().unwrap();
    let known = |it: &Value| Some((it["name"].as_str()?.to_string(), it["value"].as_str()?.to_string()));
    variables.iter().filter_map(known).collect()
}

/// As kube-vip v1.2.3 reads them (`pkg/kubevip/config_envvar.go`), but for the two that Kubernetes' client reads.
#[test]
fn every_variable_is_one_that_kube_vip_knows() {
    let known = [
        "address",
        "port",
        "vip_arp",
        "vip_subnet",
        "vip_interface",
        "cp_enable",
        "cp_namespace",
        "svc_enable",
        "vip_leaderelection",
        "vip_leasename",
        "vip_leaseduration",
        "vip_renewdeadline",
        "vip_retryperiod",
        "KUBERNETES_SERVICE_HOST",
        "KUBERNETES_SERVICE_PORT",
    ];
    let lab = lab(&[("address: 10.0.0.9", "address: 10.0.0.9, interface: eth1")]);
    let written = variables(&text(&lab, "server-3", K3S));
    let names: Vec<&str> = written.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, known);
    let value = |name: &str| written.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str());
    assert_eq!((value("address"), value("vip_subnet")), (Some("10.0.0.9"), Some("32")));
    assert_eq!(value("vip_interface"), Some("eth1"));
    // The holder renews before the others take it for gone, and tries more than once.
    let seconds = |name: &str| value(name).unwrap().parse::<u32>().unwrap();
    assert!(seconds("vip_leaseduration") > seconds("vip_renewdeadline"));
    assert!(seconds("vip_renewdeadline") > 2 * seconds("vip_retryperiod"));
}

#[test]
fn servers_apply_it_and_agents_come_by_it() {
    let lab = lab(&[]);
    assert!(text(&lab, "server-1", "/etc/rancher/k3s/config.yaml").contains("tls-san:\n- \"10.0.0.9\"\n"));
    assert!(text(&lab, "agent", "/etc/rancher/k3s/config.yaml").contains("server: https://10.0.0.9:6443\n"));
    let begins = steps(recipes(&lab, "server-2").init.as_ref().unwrap());
    let asks = "until /usr/local/bin/k3s kubectl --kubeconfig /etc/rancher/k3s/k3s.yaml --server https://10.0.0.9:6443 get --raw /readyz";
    assert_eq!(begins.last().unwrap(), asks, "others join when it is there");
    let rke2 = rke2();
    assert!(text(&rke2, "agent", "/etc/rancher/rke2/config.yaml").contains("server: https://10.0.0.9:9345\n"));
    assert!(
        text(&rke2, "server-1", "/var/lib/rancher/rke2/server/manifests/kubewright-kube-vip.yaml").contains("10.0.0.9")
    );
}

#[test]
fn a_name_before_it_is_in_the_certificate_beside_it() {
    let lab = lab(&[("endpoint: { virtualIp", "endpoint: { host: api.example.org, virtualIp")]);
    let config = text(&lab, "server-1", "/etc/rancher/k3s/config.yaml");
    assert!(config.contains("tls-san:\n- api.example.org\n- \"10.0.0.9\"\n"), "{config}");
}

#[test]
fn servers_listen_where_clients_look_for_the_address() {
    let lab = lab(&[("endpoint: { virtualIp", "endpoint: { port: 7443, virtualIp")]);
    assert!(text(&lab, "server-2", "/etc/rancher/k3s/config.yaml").contains("https-listen-port: 7443\n"));
    let written = variables(&text(&lab, "server-2", K3S));
    assert!(
        written.contains(&("port".into(), "7443".into()))
            && written.contains(&("KUBERNETES_SERVICE_PORT".into(), "7443".into()))
    );
}

#[test]
fn who_leaves_lets_go_of_the_address_before_anything_is_killed() {
    for lab in [lab(&[]), rke2()] {
        let leaves = steps(&recipes(&lab, "server-1").leave);
        let at = |part: &str| leaves.iter().position(|step| step.contains(part)).unwrap();
        assert!(
            at("stop ") < at("pkill -TERM -x kube-vip") && at("pkill -TERM -x kube-vip") < at("kill -KILL"),
            "{leaves:#?}"
        );
        assert!(!steps(&recipes(&lab, "agent").leave).iter().any(|step| step.contains("kube-vip")));
    }
}

#[test]
fn what_has_no_hands_for_it_says_so() {
    let missing =
        |lab: &Desired| lab.missing.iter().map(|missing| (missing.what.clone(), missing.blocks)).collect::<Vec<_>>();
    assert!(!missing(&lab(&[])).iter().any(|(_, blocks)| *blocks));
    let kubeadm = lab(&[("distribution: k3s", "distribution: kubeadm"), ("v1.31.4+k3s1", "v1.31.4")]);
    assert!(missing(&kubeadm).contains(&("a virtual IP before kubeadm".into(), true)));
    let closed = lab(&[("    datastore: etcd\n", "    datastore: etcd\n    airgapImages: true\n")]);
    assert!(missing(&closed).contains(&("kube-vip's image from an archive".into(), false)));
}
