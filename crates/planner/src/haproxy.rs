//! HAProxy's file, and what else makes a host a load balancer.

use std::fmt::Write as _;

use kubewright_model::desired::{DesiredProxy, ProxyBalancer};
use kubewright_model::host::{FileWish, HostResource, Judge, UnitRun, UnitWish};
use kubewright_model::spec::kubernetes::{API_PORT, Distribution};
use kubewright_model::spec::load_balancers::{Algorithm, HealthProtocol, Listener};
use kubewright_model::text::Text;

/// All that is true of a host that is these load balancers.
pub(crate) fn resources(proxy: &DesiredProxy, distribution: Distribution) -> Vec<HostResource> {
    let mut text = Text::known(HEAD);
    for balancer in &proxy.balancers {
        text = statistics(text, balancer);
        for listener in &balancer.spec.listen {
            text = text.and(frontend(balancer, listener, distribution));
        }
    }
    let reads = text.fingerprint();
    let judge = Some(Judge::HaProxy);
    vec![
        HostResource::Package("haproxy".into()),
        // The statistics' password is in it.
        HostResource::File(FileWish { owner: "root:haproxy".into(), judge, ..FileWish::new(CONFIG, text, 0o640) }),
        HostResource::Unit(UnitWish {
            name: "haproxy.service".into(),
            content: None,
            enabled: true,
            // The connections that it has stay until they end.
            run: UnitRun::Reloading,
            reads,
        }),
    ]
}

/// The ports on which servers listen and nobody else: the API's, and the one at which nodes register.
pub(crate) fn server_ports(distribution: Distribution) -> [u16; 2] {
    [API_PORT, distribution.registration_port(API_PORT)]
}

/// Where HAProxy reads it.
pub(crate) const CONFIG: &str = "/etc/haproxy/haproxy.cfg";

/// Time-outs for long connections: `kubectl exec` and watches stay open while nothing is said. Whoever comes to a target
/// that does not answer goes to another one: its check tells that it is gone only seconds later.
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
    option redispatch 1\n    \
    retries 3\n    \
    timeout connect 5s\n    \
    timeout client 1h\n    \
    timeout server 1h\n    \
    timeout check 5s\n";

fn statistics(text: Text, balancer: &ProxyBalancer) -> Text {
    let (Some(page), Some(password)) = (&balancer.spec.statistics, &balancer.password) else { return text };
    // Within such quotes nothing but the quote itself means anything: a password may hold blanks and number signs.
    // <https://docs.haproxy.org/3.0/configuration.html#2.2>
    text.and(format!(
        "\nfrontend statistics-{}\n    bind :{}\n    mode http\n    stats enable\n    stats uri {}\n    stats auth '{}:",
        balancer.name, page.port, page.path, page.user
    ))
    .and_hole(password.clone())
    .and("'\n")
}

fn frontend(balancer: &ProxyBalancer, listener: &Listener, distribution: Distribution) -> String {
    let title = format!("{}-{}", balancer.name, listener.port);
    let algorithm = match balancer.spec.algorithm {
        Algorithm::RoundRobin => "roundrobin",
        Algorithm::LeastConnections => "leastconn",
    };
    let mut text = format!(
        "\nfrontend {title}\n    bind :{}\n    default_backend {title}\n\nbackend {title}\n    balance {algorithm}\n",
        listener.port
    );
    text += &check(listener, distribution);
    for (name, address) in &balancer.targets {
        let _ = writeln!(text, "    server {name} {address}:{} check{}", listener.to, check_options(listener));
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
    // HAProxy refuses its whole file for an interval of nothing.
    let seconds = health.map(|health| health.interval.duration().as_secs().max(1));
    let interval = seconds.map(|seconds| format!(" inter {seconds}s")).unwrap_or_default();
    format!("{port}{tls}{interval}")
}
