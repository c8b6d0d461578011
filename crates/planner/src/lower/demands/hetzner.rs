//! What Hetzner Cloud, and what knows of it inside of a cluster, demand.

use kubewright_model::desired::{Body, Desired};
use kubewright_model::host::HostResource;
use kubewright_model::spec::load;

use super::text;
use crate::lower::lower;

const SPEC: &str = "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes:
    distribution: k3s
    version: v1.33.5+k3s1
    cni: { flannel: { interface: enp7s0 } }
    endpoint: { loadBalancer: api }
    agentConfig: { kubelet-arg: [max-pods=200] }
  providers:
    hetzner:
      token: { env: HCLOUD_TOKEN }
      location: fsn1
      network: { name: lab, ipRange: 10.0.0.0/16, nat: gate }
      publicIpv4: false
      publicIpv6: false
      certificates:
        web: { domains: [lab.example] }
        own: { certificate: { file: own.pem }, privateKey: { file: own.key } }
  network: { cidr: 10.0.0.0/24, nameservers: [10.0.0.2] }
  hosts: { ssh: { user: admin, port: 2222, keyFile: ~/.ssh/lab } }
  pools:
    gate: { role: loadBalancer, name: gate, addresses: [10.0.0.2], hetzner: { type: cx23, publicIpv4: true } }
    server: { role: both, name: 'server-{n}', addresses: [10.0.0.11-13], hetzner: { type: cx33 } }
    agent:
      role: agent
      name: agent-{n}
      addresses: [10.0.0.21-22]
      hetzner: { type: cx33, fallbackTypes: [cx43], fallbackLocations: [nbg1], labels: { tier: front } }
  loadBalancers:
    api: { by: hetzner, privateAddress: 10.0.0.5, targets: [server], listen: [{ port: 6443, to: 6443 }] }
    web: { by: hetzner, byLabel: true, targets: [agent], listen: [{ port: 80, to: 30080 }] }
  addons: { hetzner: { cloudController: {}, csi: { retain: true } } }
";

fn lab() -> Desired {
    let loaded = load(SPEC).unwrap_or_else(|found| panic!("{found:#?}"));
    let (desired, found) = lower(&loaded.file);
    assert!(found.is_empty(), "{found:#?}");
    desired
}

#[test]
fn what_has_no_public_address_goes_out_and_is_reached_through_the_gate() {
    let desired = lab();
    let host = |name: &str| desired.hosts.iter().find(|host| host.name.as_str() == name).unwrap();
    assert_eq!(host("agent-1").way.jump.as_deref(), Some("admin@gate:2222"));
    assert_eq!(host("gate").way.jump, None);
    assert!(
        text(&desired, "gate", "/etc/kubewright-nat.nft")
            .contains("ip saddr 10.0.0.0/16 ip daddr != 10.0.0.0/16 masquerade")
    );
    let forwards = |it: &HostResource| matches!(it, HostResource::Sysctl { key, .. } if key == "net.ipv4.ip_forward");
    assert!(host("gate").resources.iter().any(forwards) && !host("agent-1").resources.iter().any(forwards));
    let network = desired.resources.iter().find(|it| it.name == "lab").unwrap().body.fields();
    assert_eq!(network["route 0.0.0.0/0"], "10.0.0.2");
    let Body::Server(agent) = &*desired.machine(&"agent-1".into()).unwrap().body else { panic!("it is no server") };
    assert_eq!(agent.gateway.map(|gateway| gateway.to_string()).as_deref(), Some("10.0.0.1"));
    assert!(agent.may_be("cx43") && !agent.may_be("cx53") && !agent.is_public());
}

#[test]
fn nodes_wait_for_the_cloud_controller_and_volumes_carry_the_mark() {
    let desired = lab();
    let config = |host: &str| text(&desired, host, "/etc/rancher/k3s/config.yaml");
    for host in ["server-1", "agent-1"] {
        assert!(config(host).contains("\n- cloud-provider=external\n"), "{}", config(host));
    }
    assert!(
        config("agent-1").contains("\n- max-pods=200\n") && !config("agent-1").contains("disable-cloud-controller")
    );
    assert!(
        config("server-1").contains("disable-cloud-controller: true") && config("server-1").contains("- servicelb")
    );
    let release = |name: &str| desired.releases.iter().find(|it| it.name.as_str() == name).unwrap();
    let controller = release("hcloud-cloud-controller-manager");
    assert!(controller.before_ready);
    assert_eq!(controller.values["networking"]["network"]["value"], "lab");
    let csi = &release("hcloud-csi").values;
    assert_eq!(csi["controller"]["volumeExtraLabels"]["kubewright.dev/owner"], "lab");
    assert_eq!(csi["storageClasses"][0]["reclaimPolicy"], "Retain");
    let token = desired.objects.iter().find(|group| group.name == "hcloud").unwrap().manifests[0].0.to_string();
    assert!(token.contains("secret/hetzner-token"), "{token}");
}

#[test]
fn a_load_balancer_finds_its_targets_by_their_labels_where_that_is_wished() {
    let desired = lab();
    let [api, web] = &desired.load_balancers[..] else { panic!("there are two") };
    assert_eq!(web.settings.selector.as_deref(), Some("kubewright.dev/owner=lab,kubewright.dev/pool in (agent)"));
    assert_eq!((api.settings.selector.as_deref(), api.targets.len()), (None, 3));
    assert_eq!(desired.kubernetes.endpoint.to_string(), "10.0.0.5:6443");
    let secrets: Vec<&String> = desired.secrets.keys().collect();
    assert_eq!(secrets, ["certificate-key-own", "certificate-own", "hetzner-token"]);
}
