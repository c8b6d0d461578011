//! kubeadm on existing hosts behind HAProxy, with MetalLB.

use super::{assert_facts, lowered, missing};

/// What the document says, and where it went.
const FACTS: &[&str] = &[
    "kubernetes: distribution = kubeadm",
    "kubernetes: version = v1.31.4",
    "kubernetes: endpoint = 10.110.190.21:6443",
    "spec: kubernetes.containerd.version = v1.7.27",
    "spec: kubernetes.cni.flannel.backend = vxlan",
    "machine haproxy: host of existing at there, 10.110.190.21",
    "machine k8s-master-1: host of existing at there, 10.110.190.22",
    "machine k8s-master-3: host of existing at there, 10.110.190.24",
    "machine k8s-worker-1: host of existing at there, 10.110.190.25",
    "machine k8s-worker-3: host of existing at there, 10.110.190.27",
    "member k8s-master-2: role = server",
    "member k8s-worker-2: role = agent",
    "host k8s-master-1: ssh user@10.110.190.22:22",
    "host k8s-worker-2: block in /etc/hosts: 10.110.190.23 k8s-master-2",
    "host k8s-worker-2: swap: off",
    "host haproxy: package haproxy",
    "host haproxy: file /etc/haproxy/haproxy.cfg: mode tcp",
    "host haproxy: file /etc/haproxy/haproxy.cfg: balance roundrobin",
    "host haproxy: file /etc/haproxy/haproxy.cfg: bind :6443",
    "host haproxy: file /etc/haproxy/haproxy.cfg: bind :8404",
    "host haproxy: file /etc/haproxy/haproxy.cfg: stats uri /stats",
    "host haproxy: file /etc/haproxy/haproxy.cfg: stats auth 'admin:‹secret/statistics-api›'",
    "host haproxy: file /etc/haproxy/haproxy.cfg: server k8s-master-3 10.110.190.24:6443 check check-ssl verify none",
    "host haproxy: file /etc/haproxy/haproxy.cfg: bind :80",
    "host haproxy: file /etc/haproxy/haproxy.cfg: server k8s-worker-1 10.110.190.25:32624 check",
    "host haproxy: file /etc/haproxy/haproxy.cfg: bind :443",
    "host haproxy: file /etc/haproxy/haproxy.cfg: server k8s-worker-3 10.110.190.27:31316 check",
    "release ingress-nginx/ingress-nginx: controller.service.type = NodePort",
    "release ingress-nginx/ingress-nginx: controller.service.nodePorts.http = 32624",
    "release ingress-nginx/ingress-nginx: controller.service.nodePorts.https = 31316",
    "release metallb-system/metallb: metallb 0.14.8",
    "object IPAddressPool metallb-system/default-pool: spec.addresses.0 = 10.110.190.100-10.110.190.110",
    "object L2Advertisement metallb-system/default-l2-adv: spec.ipAddressPools.0 = default-pool",
    "release monitoring/prometheus: prometheus.service.nodePort = 30900",
    "release monitoring/prometheus: grafana.service.nodePort = 30300",
    "object Service monitoring/prometheus-server-lb: spec.ports.0.port = 9090",
    "object Service monitoring/grafana-lb: spec.ports.0.port = 3000",
    "object Service monitoring/grafana-lb: spec.type = LoadBalancer",
    "object Service monitoring/alertmanager-lb: spec.ports.0.port = 9093",
    "object Service ingress-nginx/ingress-nginx-controller-lb: spec.ports.1.port = 443",
    "release kube-system/metrics-server: metrics-server 3.13.0",
    "release elastic-system/elastic-operator: eck-operator 3.4.1",
    "release logging/fluentd: variant = elasticsearch8",
    "object Elasticsearch logging/elasticsearch: spec.version = 8.19.16",
    "object Kibana logging/kibana: spec.elasticsearchRef.name = elasticsearch",
    "object Secret logging/elasticsearch-elastic: stringData.password = ‹hole:secret/elasticsearch-elastic›",
    "check elasticsearch: pods.selector = elasticsearch.k8s.elastic.co/cluster-name=elasticsearch",
    "check address of monitoring/grafana-lb: monitoring/grafana-lb has an address",
    "check address of ingress-nginx/ingress-nginx-controller-lb: ingress-nginx/ingress-nginx-controller-lb has an address",
    "check Deployment monitoring/prometheus-grafana: Deployment monitoring/prometheus-grafana rolled out",
    "check prometheus-server: prometheus-server.monitoring.svc.cluster.local:9090 greets as HTTP",
    "check grafana-service: grafana.monitoring.svc.cluster.local:3000 greets as HTTP",
    "check alertmanager: alertmanager.monitoring.svc.cluster.local:9093 greets as HTTP",
    "check prometheus: http://{node}:30900 answers on 6 nodes",
    "check grafana: http://{node}:30300 answers on 6 nodes",
    "secret grafana-admin: env GRAFANA_PASSWORD",
];

#[test]
fn mlops() {
    let example = lowered(include_str!("../../../../../examples/mlops/cluster.yaml"));
    assert_facts(&example, FACTS);
    assert_eq!(missing(&example), [""; 0]);
    // The balancer is no node of Kubernetes.
    assert_eq!(example.desired.members.len(), 6);
}
