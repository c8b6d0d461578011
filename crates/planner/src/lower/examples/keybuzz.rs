//! K3s at Hetzner, behind two load balancers.

use super::{Example, assert_facts, lowered, missing};

fn keybuzz() -> Example {
    lowered(include_str!("../../../../../examples/keybuzz/cluster.yaml"))
}

#[test]
fn keybuzz_is_servers_and_workers_behind_two_load_balancers() {
    let example = keybuzz();
    assert_facts(
        &example,
        &[
            "kubernetes: version = v1.33.5+k3s1",
            "kubernetes: datastore = etcd",
            "kubernetes: endpoint = 10.0.0.5:6443",
            "kubernetes: foundation.secrets in the datastore = encrypted",
            "secret join-token: file /opt/keybuzz-installer/credentials/k3s_token.txt",
            "machine k3s-master-01: server of hetzner at fsn1, 10.0.0.100",
            "machine k3s-master-03: server of hetzner at fsn1, 10.0.0.102",
            "machine k3s-worker-01: server of hetzner at fsn1, 10.0.0.110",
            "machine k3s-worker-05: server of hetzner at fsn1, 10.0.0.114",
            "member k3s-master-02: role = both",
            "member k3s-worker-04: role = agent",
            "host k3s-master-01: file /etc/rancher/k3s/config.yaml: - traefik",
            "host k3s-master-01: file /etc/rancher/k3s/config.yaml: - servicelb",
            "host k3s-worker-05: file /etc/rancher/k3s/config.yaml: server: https://10.0.0.5:6443",
            "host k3s-worker-05: file /etc/rancher/k3s/config.yaml: node-ip: \"10.0.0.114\"",
            "host k3s-master-02: file /etc/rancher/k3s/config.yaml: tls-san:",
            "host k3s-master-02: file /etc/rancher/k3s/config.yaml: secrets-encryption: true",
            "host k3s-master-02: file /etc/rancher/k3s/config.yaml.d/40-kubewright-s3.yaml: etcd-s3-endpoint: 10.0.0.134:9000",
            "host k3s-worker-05: file /etc/rancher/k3s/token: ‹secret/join-token›",
            "load balancer api: listen.0.port = 6443",
            "load balancer api: listen.0.to = 6443",
            "load balancer api: to k3s-master-03",
            "load balancer ingress: listen.0.port = 80",
            "load balancer ingress: listen.0.to = 31695",
            "load balancer ingress: listen.1.port = 443",
            "load balancer ingress: listen.1.to = 31695",
            "load balancer ingress: listen.1.protocol = https",
            "load balancer ingress: listen.1.health.protocol = http",
            "load balancer ingress: listen.1.health.port = 31695",
            "load balancer ingress: listen.1.health.path = /healthz",
            "load balancer ingress: listen.1.health.status.0 = 200",
            "load balancer ingress: to k3s-master-01",
            "load balancer ingress: to k3s-worker-05",
        ],
    );
    assert_eq!(missing(&example), [""; 0]);
    let targets = |n: usize| example.desired.load_balancers[n].targets.len();
    assert_eq!((targets(0), targets(1)), (3, 8), "workers serve no API");
}

#[test]
fn keybuzz_has_add_ons_and_looks_after_services_outside() {
    assert_facts(
        &keybuzz(),
        &[
            "release ingress-nginx/ingress-nginx: controller.kind = DaemonSet",
            "release ingress-nginx/ingress-nginx: controller.hostNetwork = true",
            "release ingress-nginx/ingress-nginx: controller.service.type = NodePort",
            "release ingress-nginx/ingress-nginx: controller.service.nodePorts.http = 31695",
            "release ingress-nginx/ingress-nginx: controller.service.nodePorts.https = 31696",
            "release monitoring/kube-prometheus-stack: kube-prometheus-stack 79.12.0",
            "release vault/vault: global.externalVaultAddr = https://10.0.0.10:8200",
            "object Namespace keybuzz",
            "object Namespace chatwoot",
            "object Namespace n8n",
            "object Namespace analytics",
            "object Namespace ai",
            "object Namespace vault",
            "object ConfigMap keybuzz/keybuzz-backend-services: data.MARIADB_HOST = 10.0.0.20",
            "check nodes: 8 nodes Ready",
            "check pods in ingress-nginx app.kubernetes.io/component=controller: pods.atLeast = 8",
            "check pods in monitoring: 13 or more pods running in monitoring",
            "check healthz: http://{node}:31695/healthz answers on 8 nodes",
            "check postgresql: 10.0.0.10:5432 greets",
            "check redis: 10.0.0.10:6379 greets",
            "check rabbitmq: 10.0.0.10:5672 greets",
            "check minio: 10.0.0.134:9000 greets",
            "check mariadb: 10.0.0.20:3306 greets",
            "check targets of ingress: targets of ingress healthy",
        ],
    );
}
