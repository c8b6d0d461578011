//! What stands before Services and the API: MetalLB, HAProxy, load balancers of a provider.

use std::collections::BTreeSet;

use kubewright_model::doctor::{Finding, Papers, Place};
use serde_json::Value;

use super::case::{Case, told, told_all};
use super::images::events;
use super::objects::{self, Object as _};

fn is_metallb(pod: &Value) -> bool {
    let labels = [pod.label("app.kubernetes.io/name"), pod.label("app")];
    labels.contains(&Some("metallb")) && pod.label("app.kubernetes.io/component").or(pod.label("component")).is_some()
}

fn has_metallb(case: &Case<'_>) -> bool {
    case.has("ipaddresspools") && case.list("pods").iter().any(is_metallb)
}

fn pending<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Value> + use<'a> {
    case.list("services")
        .iter()
        .filter(|it| it.text("/spec/type") == "LoadBalancer" && it.each("/status/loadBalancer/ingress").is_empty())
}

fn place(service: &Value) -> Place {
    Place {
        kind: "Service".into(),
        namespace: Some(service.namespace().into()),
        name: service.name().into(),
        node: None,
    }
}

pub(super) fn no_pool(case: &Case<'_>) -> Vec<Finding> {
    if !has_metallb(case) || !case.list("ipaddresspools").is_empty() {
        return Vec::new();
    }
    let waiting: Vec<String> =
        pending(case).map(|it| format!("Service {}: EXTERNAL-IP <pending>", it.full_name())).collect();
    let found =
        Finding::sick(Place::cluster(), "MetalLB runs, and there is no IPAddressPool for it to give addresses from");
    let found = found.shown(["ipaddresspools.metallb.io: none"]).shown(waiting);
    let ours = case.desired.objects.iter().flat_map(|group| &group.manifests).filter_map(|it| it.id().ok());
    vec![match ours.into_iter().any(|id| id.kind == "IPAddressPool") {
        true => found.applied(["metallb"]),
        false => found.by_hand(["`metallb.addressPools` of the spec: a range of the hosts' network that nobody else has, then kubewright apply"]),
    }]
}

pub(super) fn exhausted(case: &Case<'_>) -> Vec<Finding> {
    let found =
        pending(case).filter(|_| has_metallb(case) && !case.list("ipaddresspools").is_empty()).filter_map(|it| {
            let event = events(case, it).find(|event| event.text("/reason") == "AllocationFailed")?;
            let pools = case.list("ipaddresspools").iter().map(|pool| {
                let ranges: Vec<&str> = pool.each("/spec/addresses").iter().filter_map(Value::as_str).collect();
                format!("IPAddressPool {}: {}", pool.name(), ranges.join(", "))
            });
            Some(
                Finding::sick(place(it), "MetalLB has no address for it")
                    .shown([event.text("/message")])
                    .shown(pools)
                    .by_hand([
                        "give `metallb.addressPools` of the spec more addresses, or the Service one that is in a pool",
                    ]),
            )
        });
    found.collect()
}

pub(super) fn silent(case: &Case<'_>) -> Vec<Finding> {
    let all = ["l2advertisements", "bgpadvertisements"];
    if !has_metallb(case) || !all.iter().any(|kind| case.has(kind)) {
        return Vec::new();
    }
    let advertisements: Vec<&Value> = all.iter().flat_map(|kind| case.list(kind)).collect();
    let names = |pool: &Value, it: &Value| {
        let (pools, selectors) = (it.each("/spec/ipAddressPools"), it.each("/spec/ipAddressPoolSelectors"));
        // One that names no pools is for all of them.
        (pools.is_empty() && selectors.is_empty())
            || pools.iter().any(|name| name.as_str() == Some(pool.name()))
            // Expressions are not judged: they may name it.
            || selectors.iter().any(|it| !it.each("/matchExpressions").is_empty())
            || selectors.iter().any(|it| objects::selects(&it["matchLabels"], pool.pointer("/metadata/labels")))
    };
    let silent = case.list("ipaddresspools").iter().filter(|pool| !advertisements.iter().any(|it| names(pool, it)));
    silent
        .map(|pool| {
            let place = Place { kind: "IPAddressPool".into(), namespace: Some(pool.namespace().into()), name: pool.name().into(), node: None };
            Finding::sick(place, "no advertisement names it, so nobody answers for its addresses")
                .shown([format!("L2Advertisements and BGPAdvertisements: {}", advertisements.len())])
                .by_hand([format!(
                    "kubectl apply -f - with kind: L2Advertisement, namespace: {}, spec.ipAddressPools: [{}]; `metallb` of the spec makes one",
                    pool.namespace(),
                    pool.name()
                )])
        })
        .collect()
}

pub(super) fn metallb(case: &Case<'_>) -> Vec<Finding> {
    let found = case
        .list("pods")
        .iter()
        .filter(|pod| is_metallb(pod) && !objects::is_ready(pod) && !objects::is_done(pod))
        .map(|pod| {
            let part = pod.label("app.kubernetes.io/component").or(pod.label("component")).unwrap_or_default();
            let lacks =
                if part == "speaker" { "answers for addresses from its node" } else { "gives Services addresses" };
            Finding::sick(super::images::place(pod), format!("the {part} of MetalLB does not run, so nobody {lacks}"))
                .shown([objects::state(pod)])
                .shown(objects::containers(pod).map(|it| it.waits_message()).filter(|it| !it.is_empty()).take(2))
                .by_hand([format!("kubectl -n {} logs {} --previous", pod.namespace(), pod.name())])
        });
    found.collect()
}

/// Where MetalLB serves, its own checks say more; K3s' balancer says with its pods what it lacks.
pub(super) fn no_address(case: &Case<'_>) -> Vec<Finding> {
    let found = pending(case).filter(|_| !has_metallb(case)).map(|it| {
        let said = events(case, it).find(|event| event.text("/type") == "Warning").map(|event| event.text("/message"));
        Finding::sick(place(it), "nobody gives it an address").shown(["EXTERNAL-IP: <pending>"]).shown(said).by_hand([
            "`metallb` of the spec, or a cloud's controller, gives addresses; or change the Service to NodePort",
        ])
    });
    found.collect()
}

/// `haproxy -c` says in an alert which line it refuses, and ends with 1. <https://docs.haproxy.org/3.0/management.html#3>
pub(super) fn refused(case: &Case<'_>) -> Vec<Finding> {
    let found = case
        .hosts()
        .filter(|(_, papers)| papers.status("haproxy-check").is_some_and(|status| status != 0))
        .filter(|(_, papers)| papers.lines("haproxy-check").any(|line| line.contains("[ALERT]")))
        .map(|(name, papers)| {
            let lines =
                papers.lines("haproxy-check").filter(|line| line.contains("[ALERT]") || line.contains("[WARNING]"));
            Finding::sick(Place::host(name), "HAProxy refuses its file").shown(lines.take(4)).applied([name.as_str()])
        });
    found.collect()
}

/// Whether a backend has lost all its servers and none has come back since: `backend 'api' has no server available!`, and later
/// `Server api/k8s-master-3 is UP`.
fn is_bare(papers: &Papers) -> bool {
    let mut bare = BTreeSet::new();
    let lines = told_all(papers, "log", &["has no server available", " is UP"]);
    for line in lines {
        match line.split_once(" has no server available") {
            Some((before, _)) => {
                bare.insert(before.rsplit(' ').next().unwrap_or_default().trim_matches('\''));
            }
            None => {
                let server = line.split_once("Server ").and_then(|(_, rest)| rest.split_once('/'));
                server.map(|(backend, _)| bare.remove(backend));
            }
        }
    }
    !bare.is_empty()
}

/// HAProxy's log.
pub(super) fn nobody_behind(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let lines = told(papers, "log", &["has no server available", " is DOWN"]);
        is_bare(papers).then(|| {
            Finding::sick(Place::host(name), "HAProxy has a backend without any server").shown(lines).by_hand([
                format!("on {name}: echo 'show servers state' | socat stdio /run/haproxy/admin.sock"),
                "look at the nodes behind it: is the port that is checked open there?".into(),
            ])
        })
    });
    found.collect()
}

/// What balancers of the spec send to that is a node port, against the ports that Services have.
pub(super) fn ports(case: &Case<'_>) -> Vec<Finding> {
    const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;
    let ports = |service: &Value| -> Vec<i64> {
        service.each("/spec/ports").iter().map(|port| port.count("/nodePort")).collect()
    };
    let there: Vec<i64> = case.list("services").iter().flat_map(ports).filter(|port| *port > 0).collect();
    let proxies = case.desired.proxies.iter().flat_map(|proxy| &proxy.balancers).map(|it| (&it.name, &it.spec));
    let all = case.desired.load_balancers.iter().map(|it| (&it.name, &it.spec)).chain(proxies);
    let mut found: Vec<Finding> = Vec::new();
    for (name, spec) in all.filter(|_| case.has("services")) {
        for wrong in spec.listen.iter().filter(|it| NODE_PORTS.contains(&it.to) && !there.contains(&i64::from(it.to))) {
            let place = Place { kind: "load balancer".into(), name: name.to_string(), namespace: None, node: None };
            let cause = format!("it sends to port {} of the nodes, which no Service has", wrong.to);
            let have: Vec<String> = there.iter().map(ToString::to_string).collect();
            if !found.iter().any(|it| it.place == place && it.cause == cause) {
                found.push(Finding::sick(place, cause).shown([format!("node ports of Services: {}", have.join(", "))]).by_hand([
                    "`ingress.nodePorts` of the spec sets the controller's; then kubewright apply. TLS that ends at the balancer goes on to the HTTP port",
                ]));
            }
        }
    }
    found
}
