//! K3s at Hetzner, behind two load balancers.

use kubewright_model::checked::Group;

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
            "check postgresql: 10.0.0.10:5432 greets as PostgreSQL, from 3 nodes",
            "check redis: 10.0.0.10:6379 greets as Redis, from 3 nodes",
            "check rabbitmq: 10.0.0.10:5672 greets as AMQP, from 3 nodes",
            "check minio: 10.0.0.134:9000 greets as S3, from 3 nodes",
            "check mariadb: 10.0.0.20:3306 greets as MySQL, from 3 nodes",
            "check targets of ingress: targets of ingress healthy",
        ],
    );
}

/// What the document tests, in its order: six tests, each with what it counts.
#[test]
fn keybuzz_is_proven_by_what_its_document_tests() {
    let checks = keybuzz().desired.checks;
    let told = |group: Group| -> Vec<String> {
        let of_group = checks.iter().filter(|check| check.group == group);
        of_group.map(|check| format!("{}: {}", check.name, check.condition)).collect()
    };
    assert_eq!(told(Group::Nodes), ["API: the API answers at 10.0.0.5:6443", "nodes: 8 nodes Ready"]);
    assert_eq!(
        told(Group::Ingress),
        [
            "release ingress-nginx: release ingress-nginx/ingress-nginx available",
            "node ports of ingress-nginx/ingress-nginx-controller: \
             Service ingress-nginx/ingress-nginx-controller has node ports 31695, 31696",
            "pods in ingress-nginx app.kubernetes.io/component=controller: one pod per node running in ingress-nginx",
        ]
    );
    assert_eq!(
        told(Group::Monitoring),
        [
            "release kube-prometheus-stack: release monitoring/kube-prometheus-stack available",
            "pods in monitoring: 13 or more pods running in monitoring",
            "pods in monitoring app.kubernetes.io/name=prometheus-node-exporter: one pod per node running in monitoring",
        ]
    );
    assert_eq!(
        told(Group::AddOns),
        [
            "system pods: system pods running",
            "release vault: release vault/vault available",
            "pods in kube-system k8s-app=kube-dns: 1 or more pods running in kube-system",
            "pods in kube-system k8s-app=metrics-server: 1 or more pods running in kube-system",
            "pods in kube-system app=local-path-provisioner: 1 or more pods running in kube-system",
        ]
    );
    assert_eq!(
        told(Group::Services),
        [
            "postgresql: 10.0.0.10:5432 greets as PostgreSQL, from 3 nodes",
            "redis: 10.0.0.10:6379 greets as Redis, from 3 nodes",
            "rabbitmq: 10.0.0.10:5672 greets as AMQP, from 3 nodes",
            "minio: 10.0.0.134:9000 greets as S3, from 3 nodes",
            "mariadb: 10.0.0.20:3306 greets as MySQL, from 3 nodes",
        ]
    );
    assert_eq!(
        told(Group::LoadBalancers),
        [
            "healthz: http://{node}:31695/healthz answers on 8 nodes",
            "targets of api: targets of api healthy",
            "targets of ingress: targets of ingress healthy",
        ]
    );
    assert!(told(Group::Applications).is_empty());
}
