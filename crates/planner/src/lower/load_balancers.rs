//! Load balancers: those of a provider as they are, those on hosts as HAProxy's files.

use std::fmt::Write as _;

use kubewright_model::desired::DesiredLoadBalancer;
use kubewright_model::host::{FileWish, HostResource, UnitRun, UnitWish};
use kubewright_model::ids::{ClusterName, NodeName};
use kubewright_model::spec::LoadBalancer;
use kubewright_model::spec::kubernetes::{API_PORT, Distribution};
use kubewright_model::spec::load_balancers::{Algorithm, Balancer, HealthProtocol, Listener};
use kubewright_model::text::Text;

use crate::context::nodes::NodePlan;
use crate::context::{Context, SecretNames};

/// Load balancers that a provider runs.
pub(super) fn load_balancers(context: &Context<'_>) -> Vec<DesiredLoadBalancer> {
    let of_provider = context.file.spec.load_balancers.iter().filter(|(_, balancer)| balancer.by == Balancer::Hetzner);
    let wishes = of_provider.map(|(name, balancer)| DesiredLoadBalancer {
        name: name.clone(),
        provider: "hetzner".into(),
        spec: balancer.clone(),
        targets: targets(context, balancer).map(|node| node.name.clone()).collect::<Vec<NodeName>>(),
    });
    wishes.collect()
}

/// The nodes that a load balancer sends to: the pools that it names; else servers for the API, and all nodes for the
/// rest.
fn targets<'c>(context: &'c Context<'_>, balancer: &LoadBalancer) -> impl Iterator<Item = &'c NodePlan<'c>> {
    let only_api = balancer.listen.iter().all(|listener| listener.to == API_PORT);
    let pools = balancer.targets.clone();
    context.nodes.iter().filter(move |node| {
        let named = pools.contains(node.pool_name);
        let standard = pools.is_empty() && if only_api { node.is_server() } else { node.is_node() };
        named || standard
    })
}

/// The load balancers whose pool a host is in.
fn on_host<'a>(
    context: &Context<'a>,
    node: &NodePlan<'a>,
) -> impl Iterator<Item = (&'a ClusterName, &'a LoadBalancer)> {
    let pool = node.pool_name;
    let balancers = context.file.spec.load_balancers.iter();
    balancers.filter(move |(_, balancer)| balancer.by == Balancer::Haproxy && balancer.pool.as_ref() == Some(pool))
}

/// The ports that HAProxy listens on, on a host.
pub(super) fn haproxy_ports(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<u16> {
    let ports = on_host(context, node).flat_map(|(_, balancer)| {
        let listeners = balancer.listen.iter().map(|listener| listener.port);
        listeners.chain(balancer.statistics.iter().map(|statistics| statistics.port))
    });
    ports.collect()
}

/// HAProxy on a host, for every load balancer whose pool the host is in.
pub(super) fn haproxy_resources(
    context: &Context<'_>,
    node: &NodePlan<'_>,
    secrets: &mut SecretNames,
) -> Vec<HostResource> {
    let here: Vec<_> = on_host(context, node).collect();
    if here.is_empty() {
        return Vec::new();
    }
    let mut text = Text::known(HEAD);
    for (name, balancer) in here {
        text = statistics(text, name.as_str(), balancer, secrets);
        for listener in &balancer.listen {
            text = text.and(frontend(context, name.as_str(), balancer, listener));
        }
    }
    let reads = text.fingerprint();
    vec![
        HostResource::Package("haproxy".into()),
        // The statistics' password is in it.
        HostResource::File(FileWish { owner: "root:haproxy".into(), ..FileWish::new(CONFIG, text, 0o640) }),
        HostResource::Unit(UnitWish {
            name: "haproxy.service".into(),
            content: None,
            enabled: true,
            run: UnitRun::Running,
            reads,
        }),
    ]
}

const CONFIG: &str = "/etc/haproxy/haproxy.cfg";

/// Time-outs for long connections: `kubectl exec` and watches stay open while nothing is said.
const HEAD: &str = "global\n    \
    log /dev/log local0\n    \
    user haproxy\n    \
    group haproxy\n    \
    daemon\n\n\
    defaults\n    \
    log global\n    \
    mode tcp\n    \
    option tcplog\n    \
    option dontlognull\n    \
    timeout connect 5s\n    \
    timeout client 1h\n    \
    timeout server 1h\n    \
    timeout check 5s\n";

fn statistics(text: Text, name: &str, balancer: &LoadBalancer, secrets: &mut SecretNames) -> Text {
    let Some(page) = &balancer.statistics else { return text };
    let hole = secrets.hole(&format!("statistics-{name}"), Some(&page.password));
    text.and(format!(
        "\nfrontend statistics-{name}\n    bind :{}\n    mode http\n    stats enable\n    stats uri {}\n    stats auth {}:",
        page.port, page.path, page.user
    ))
    .and_hole(hole)
    .and("\n")
}

fn frontend(context: &Context<'_>, name: &str, balancer: &LoadBalancer, listener: &Listener) -> String {
    let title = format!("{name}-{}", listener.port);
    let algorithm = match balancer.algorithm {
        Algorithm::RoundRobin => "roundrobin",
        Algorithm::LeastConnections => "leastconn",
    };
    let mut text = format!(
        "\nfrontend {title}\n    bind :{}\n    default_backend {title}\n\nbackend {title}\n    balance {algorithm}\n",
        listener.port
    );
    text += &check(listener, context.file.spec.kubernetes.distribution);
    for node in targets(context, balancer) {
        let address = node.address.map_or_else(|| node.name.to_string(), |address| address.to_string());
        let _ = writeln!(text, "    server {} {address}:{} check{}", node.name, listener.to, check_options(listener));
    }
    text
}

/// The API tells by `/readyz` whether it serves; the rest by its own health check, or by its port.
fn check(listener: &Listener, distribution: Distribution) -> String {
    let health = listener.health.as_ref();
    let speaks_http = health.is_some_and(|health| health.path.is_some() || health.protocol != HealthProtocol::Tcp);
    let asks_the_api = health.is_none_or(|health| health.path.is_none()) && listener.to == API_PORT;
    let path = match health.and_then(|health| health.path.as_deref()) {
        Some(path) => path,
        None if asks_the_api => "/readyz",
        None if speaks_http => "/",
        None => return String::new(),
    };
    let statuses = health.map(|health| health.status.as_slice()).unwrap_or_default();
    let expected = match statuses {
        // HAProxy takes every answer from 200 to 399.
        [] if !asks_the_api => String::new(),
        [] => format!("    http-check expect {}\n", alive(distribution)),
        some => {
            let words: Vec<String> = some.iter().map(ToString::to_string).collect();
            format!("    http-check expect rstatus ^({})$\n", words.join("|"))
        }
    };
    format!("    option httpchk GET {path}\n{expected}")
}

/// What `/readyz` answers somebody without credentials. Where strangers are not let in (`anonymous-auth=false`) the API
/// server refuses them, which it does only when it serves.
fn alive(distribution: Distribution) -> &'static str {
    match distribution {
        Distribution::K3s | Distribution::Rke2 | Distribution::Talos => "rstatus ^(200|401)$",
        Distribution::Kubeadm => "status 200",
    }
}

fn check_options(listener: &Listener) -> String {
    let health = listener.health.as_ref();
    let port = health.and_then(|health| health.port).map(|port| format!(" port {port}")).unwrap_or_default();
    // The API's certificate is the cluster's own; what is asked is only whether it is ready.
    let tls = match health.map(|health| health.protocol) {
        Some(HealthProtocol::Https) => " check-ssl verify none",
        None if listener.to == API_PORT => " check-ssl verify none",
        Some(HealthProtocol::Tcp | HealthProtocol::Http) | None => "",
    };
    let interval = health.map(|health| format!(" inter {}s", health.interval.duration().as_secs())).unwrap_or_default();
    format!("{port}{tls}{interval}")
}
