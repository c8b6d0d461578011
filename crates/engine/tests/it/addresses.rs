//! Addresses of Services of type LoadBalancer: who is given which, what is told at the end, and why there is none.

use kubewright_engine::sim;
use kubewright_model::event::{Event, RunEnd};
use kubewright_model::object::ObjectKey;
use kubewright_model::observed::{Seen, ServiceSeen};
use kubewright_model::plan::Ask;

use crate::yard::{Yard, desired};

const LAB: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes: { distribution: k3s, version: v1.31.4+k3s1 }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1 }
  pools:
    nodes: { role: both, name: node, addresses: [10.0.0.11], existing: {} }
  addons:
    METALLB
    monitoring: { loadBalancers: { grafana-lb: grafana, prometheus-lb: prometheus } }
    manifests:
      door:
        objects:
          - apiVersion: v1
            kind: Service
            metadata: { name: door, namespace: default, annotations: { metallb.io/loadBalancerIPs: 10.0.0.100 } }
            spec: { type: LoadBalancer, ports: [{ port: 80 }, { port: 443 }], selector: { app.kubernetes.io/name: door } }
"#;

fn yard(metallb: &str) -> Yard {
    Yard::new(desired(&LAB.replace("METALLB", metallb)), 3)
}

async fn services(yard: &Yard) -> Vec<(String, ServiceSeen)> {
    let observed = yard.engine().status(&yard.desired).await;
    let seen = observed.cluster.as_ref().and_then(Seen::present).unwrap();
    seen.services.iter().map(|(key, service)| (key.to_string(), service.clone())).collect()
}

/// Checks that do not hold.
async fn unwell(yard: &Yard) -> Vec<String> {
    let checks = yard.engine().verify(&yard.desired).await;
    checks.into_iter().filter(|check| !check.checked.holds).map(|check| check.checked.saw).collect()
}

fn told(services: &[(String, ServiceSeen)]) -> Vec<String> {
    let words = services.iter().map(|(key, it)| {
        let at = it.why.clone().unwrap_or_else(|| it.addresses.join(" "));
        format!("{key} {at} {:?} {}", it.ports, it.title())
    });
    words.collect()
}

#[test]
fn a_pool_gives_its_addresses_in_turn_and_keeps_what_somebody_chose() {
    let yard = yard("metallb: { pools: { lan: [10.0.0.100-102] } }");
    sim::run(async {
        let (ended, records) = yard.run(&Ask::Apply, &[]).await;
        assert_eq!(ended.unwrap().end, RunEnd::Complete);
        let given = [
            "default/door 10.0.0.100 [80, 443] door",
            "monitoring/grafana-lb 10.0.0.101 [3000] Grafana",
            "monitoring/prometheus-lb 10.0.0.102 [9090] Prometheus",
        ];
        assert_eq!(told(&services(&yard).await), given);
        let Some(Event::RunEnded { addresses, .. }) = records.last().map(|record| &record.event) else {
            panic!("{records:?}");
        };
        let key: ObjectKey = "monitoring/grafana-lb".parse().unwrap();
        assert_eq!(addresses[&key].addresses, ["10.0.0.101"], "the run ends with them");
        assert!(unwell(&yard).await.is_empty());
    })
    .unwrap();
}

#[test]
fn a_pool_that_is_used_up_is_told_where_it_is_looked() {
    let yard = yard("metallb: { pools: { lan: [10.0.0.100-101] } }");
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        assert_eq!(told(&services(&yard).await)[2], "monitoring/prometheus-lb no available IPs [9090] Prometheus");
        assert_eq!(unwell(&yard).await, ["monitoring/prometheus-lb has no address: no available IPs"]);
    })
    .unwrap();
}

#[test]
fn k3s_gives_the_addresses_of_its_nodes() {
    let yard = yard("metricsServer: {}");
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        assert_eq!(told(&services(&yard).await)[1], "monitoring/grafana-lb 10.0.0.11 [3000] Grafana");
        assert!(unwell(&yard).await.is_empty());
    })
    .unwrap();
}
