//! Networks of hosts and pods, and the names that hosts and pods resolve.

use std::collections::BTreeMap;

use kubewright_model::doctor::{Finding, Papers, Place};
use kubewright_model::ids::NodeName;
use kubewright_model::spec::kubernetes::Distribution;
use serde_json::Value;

use super::case::{Case, told};
use super::objects::{self, Object as _};

/// VXLAN's port in Flannel, Canal and Cilium on Linux.
/// <https://docs.k3s.io/installation/requirements#inbound-rules-for-k3s-nodes>
const VXLAN: u16 = 8472;
/// A packet of VXLAN over IPv4 has so many bytes around the inner one.
const WRAPPED: u64 = 50;

fn json(papers: &Papers, paper: &str) -> Vec<Value> {
    papers.text(paper).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Links of `ip -j link`: their names with their MTU.
fn links(papers: &Papers) -> BTreeMap<String, u64> {
    let link = |link: &Value| Some((link.get("ifname")?.as_str()?.to_string(), link.get("mtu")?.as_u64()?));
    json(papers, "links").iter().filter_map(link).collect()
}

/// The link of the default route, by `ip -j route`.
fn outside(papers: &Papers) -> Option<String> {
    let routes = json(papers, "routes");
    let default = routes.iter().find(|route| route.get("dst").and_then(Value::as_str) == Some("default"))?;
    Some(default.get("dev")?.as_str()?.to_string())
}

pub(super) fn mtu(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let links = links(papers);
        let (outer, inner) = (outside(papers)?, ["flannel.1", "cilium_vxlan", "vxlan.calico"]);
        let outer_mtu = *links.get(&outer)?;
        let (link, mtu) = inner.iter().find_map(|link| Some((*link, *links.get(*link)?)))?;
        // Cilium's device keeps the outer MTU, and its routes have the right one.
        let tells = link != "cilium_vxlan";
        (tells && mtu + WRAPPED > outer_mtu).then(|| {
            Finding::sick(Place::host(name), format!("packets of {link} do not fit into {outer}"))
                .shown([format!("{link} mtu {mtu}"), format!("{outer} mtu {outer_mtu}")])
                .by_hand([
                    format!("on {name}: ip link set {link} mtu {}", outer_mtu.saturating_sub(WRAPPED)),
                    "and restart the network plug-in's pods, which take the MTU of the host's link when they start"
                        .into(),
                ])
        })
    });
    found.collect()
}

/// Whether a firewall on a host lets a port in: none where it has none, or where its rules are not to be judged.
fn lets_in(papers: &Papers, port: u16, protocol: &str) -> Option<(bool, Vec<String>)> {
    let wanted = format!("{port}/{protocol}");
    let names = |line: &&str| {
        line.split_whitespace().any(|word| word == wanted || word == port.to_string())
            || (line.contains("--dport") && line.contains(&format!("--dport {port} ")))
    };
    let lines: Vec<&str> = papers.lines("firewall").map(str::trim).collect();
    let ufw = lines.contains(&"Status: active");
    let firewalld = lines.iter().any(|line| line.starts_with("ports:"));
    let drops = lines.iter().any(|line| *line == "-P INPUT DROP" || *line == "-P INPUT REJECT");
    if !ufw && !firewalld && !drops {
        return None;
    }
    // A chain that somebody else has made may let it in; nobody judges that by its name.
    const KNOWN: [&str; 6] = ["ACCEPT", "DROP", "REJECT", "KUBE-", "FLANNEL-", "CILIUM_"];
    let strange = |line: &&str| {
        let to = line.strip_prefix("-A INPUT").and_then(|rest| rest.split("-j ").nth(1));
        to.is_some_and(|to| !KNOWN.iter().any(|known| to.starts_with(known)))
    };
    if drops && !ufw && !firewalld && lines.iter().any(strange) {
        return None;
    }
    // Whoever is let in by his address, or by everything, is let in.
    let open = lines.iter().any(|line| {
        names(line)
            || (ufw && line.contains("ALLOW") && line.starts_with("Anywhere"))
            || (firewalld && line.starts_with("target: ACCEPT"))
            || (ufw && line.starts_with("Default: allow (incoming)"))
            || (drops && !ufw && *line == "-A INPUT -j ACCEPT")
            || (line.starts_with("-A INPUT -s ") && line.ends_with("-j ACCEPT") && !line.contains("--dport"))
    });
    let shown = lines.iter().filter(|line| {
        line.starts_with("Status:")
            || line.starts_with("Default:")
            || line.starts_with("ports:")
            || line.starts_with("-P INPUT")
    });
    Some((open, shown.map(ToString::to_string).collect()))
}

fn opened(host: &NodeName, port: u16, protocol: &str) -> [String; 2] {
    [
        format!("on {host}: ufw allow {port}/{protocol}"),
        format!("or with firewalld: firewall-cmd --permanent --add-port={port}/{protocol} && firewall-cmd --reload"),
    ]
}

/// Plug-ins that wrap packets into VXLAN on this port by themselves; Talos has no such firewall.
fn wraps(case: &Case<'_>) -> bool {
    matches!(case.distribution(), Distribution::K3s | Distribution::Rke2 | Distribution::Kubeadm)
}

pub(super) fn vxlan(case: &Case<'_>) -> Vec<Finding> {
    let hosts = case.hosts().filter(|(name, papers)| {
        let there = ["flannel.1", "cilium_vxlan"].iter().any(|link| links(papers).contains_key(*link));
        wraps(case) && case.is_member(name) && there
    });
    let found = hosts.filter_map(|(name, papers)| {
        let (open, shown) = lets_in(papers, VXLAN, "udp")?;
        (!open).then(|| {
            Finding::sick(
                Place::host(name),
                format!("its firewall lets no VXLAN in (UDP {VXLAN}), so its pods are alone"),
            )
            .shown(shown)
            .by_hand(opened(name, VXLAN, "udp"))
        })
    });
    found.collect()
}

pub(super) fn api_blocked(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter(|(name, _)| is_server(case, name)).filter_map(|(name, papers)| {
        let port = port(case, name);
        let (open, shown) = lets_in(papers, port, "tcp")?;
        (!open).then(|| {
            Finding::sick(Place::host(name), format!("its firewall lets nobody in to the API (TCP {port})"))
                .shown(shown)
                .by_hand(opened(name, port, "tcp"))
        })
    });
    found.collect()
}

fn is_server(case: &Case<'_>, name: &NodeName) -> bool {
    case.member(name).is_some_and(|member| member.role.is_server())
}

fn port(case: &Case<'_>, name: &NodeName) -> u16 {
    case.desired.kubernetes.api_port(case.host(name).and_then(|host| host.way.address))
}

/// `ss -lntu`: the fifth column is where somebody listens.
pub(super) fn api_silent(case: &Case<'_>) -> Vec<Finding> {
    let hosts = case.hosts().filter(|(name, papers)| is_server(case, name) && papers.text("listening").is_some());
    let found = hosts.filter_map(|(name, papers)| {
        let port = port(case, name);
        let listens =
            papers.rows("listening").any(|row| row.get(4).is_some_and(|at| at.ends_with(&format!(":{port}"))));
        (!listens).then(|| {
            Finding::sick(Place::host(name), format!("nobody listens on port {port}: the API is not served here"))
                .shown([format!("ss -lntu: no line ends in :{port}")])
                .shown(told(papers, "log", &["apiserver", "etcd"]))
                .by_hand([format!("on {name}: journalctl -u {} -n 100 --no-pager", case.kubernetes_unit(name))])
        })
    });
    found.collect()
}

pub(super) fn route(case: &Case<'_>) -> Vec<Finding> {
    let hosts = case.hosts().filter(|(_, papers)| papers.text("routes").is_some() && outside(papers).is_none());
    hosts
        .map(|(name, papers)| {
            Finding::sick(Place::host(name), "it has no default route")
                .shown([format!("ip -j route: {}", papers.text("routes").unwrap_or_default().trim())])
                .by_hand([
                    format!("on {name}: ip route add default via GATEWAY, and in the network's configuration"),
                    "`network.gateway` of the spec gives it to machines that it makes".into(),
                ])
        })
        .collect()
}

/// Addresses of `ip -j addr` that other hosts see.
fn addresses(papers: &Papers) -> Vec<String> {
    let links = json(papers, "addresses");
    let Some(outer) = outside(papers) else { return Vec::new() };
    let ours = links.iter().filter(|link| link.get("ifname").and_then(Value::as_str) == Some(&outer));
    let all = ours.flat_map(|link| link.get("addr_info").and_then(Value::as_array).into_iter().flatten());
    let global = all.filter(|it| it.get("scope").and_then(Value::as_str) == Some("global"));
    // Addresses that are handed on have a whole prefix: a balancer's floating one.
    let own = global.filter(|it| !matches!(it.get("prefixlen").and_then(Value::as_u64), Some(32 | 128)));
    own.filter_map(|it| it.get("local")?.as_str().map(str::to_string)).collect()
}

pub(super) fn twice(case: &Case<'_>) -> Vec<Finding> {
    let mut by: BTreeMap<String, Vec<&NodeName>> = BTreeMap::new();
    for (name, papers) in case.hosts() {
        addresses(papers).into_iter().for_each(|address| by.entry(address).or_default().push(name));
    }
    let found = by.into_iter().filter(|(_, hosts)| hosts.len() > 1).map(|(address, hosts)| {
        let names: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
        Finding::sick(Place::cluster(), format!("{} all have the address {address}", names.join(", ")))
            .shown(names.iter().map(|name| format!("{name}: {address}")))
            .by_hand(["give one of them another address; where DHCP gives them, look for clones with one machine id or MAC address"])
    });
    found.collect()
}

/// Servers that a file in the form of resolv.conf names.
fn servers<'a>(papers: &'a Papers, paper: &str) -> Vec<&'a str> {
    papers.lines(paper).filter_map(|line| line.trim().strip_prefix("nameserver ")).map(str::trim).collect()
}

pub(super) fn no_servers(case: &Case<'_>) -> Vec<Finding> {
    let there = |papers: &Papers| papers.papers.contains_key("resolv");
    let hosts = case.hosts().filter(|(_, papers)| there(papers) && servers(papers, "resolv").is_empty());
    hosts
        .map(|(name, papers)| {
            let lines: Vec<&str> = papers.lines("resolv").filter(|line| !line.starts_with('#')).collect();
            Finding::sick(Place::host(name), "/etc/resolv.conf names no server, so no name is found")
                .shown(if lines.is_empty() { vec!["/etc/resolv.conf is empty or not there"] } else { lines })
                .by_hand([
                    format!("on {name}: put `nameserver ADDRESS` there, or into systemd-resolved's configuration"),
                    "`network.dns` of the spec gives it to machines that it makes".into(),
                ])
        })
        .collect()
}

/// <https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#known-issues>: three at the most.
pub(super) fn many_servers(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter(|(name, _)| case.is_member(name)).filter_map(|(name, papers)| {
        let all = ["resolved", "resolv"].into_iter().map(|paper| servers(papers, paper));
        let servers = all.max_by_key(Vec::len).filter(|servers| servers.len() > 3)?;
        Some(
            Finding::risk(Place::host(name), format!("it has {} name servers, and a pod takes three", servers.len()))
                .shown(servers.iter().map(|server| format!("nameserver {server}")))
                .by_hand([format!("on {name}: leave three in its configuration")]),
        )
    });
    found.collect()
}

/// CoreDNS' plug-in `loop` ends it with these words. <https://coredns.io/plugins/loop/#troubleshooting>
pub(super) fn dns_loop(case: &Case<'_>) -> Vec<Finding> {
    let dead = case.list("pods").iter().filter(|pod| is_dns(pod)).filter(|pod| {
        objects::containers(pod)
            .any(|it| it.last_words().contains("Loop (") || it.last_words().contains("Loop ... detected"))
    });
    let stub = |papers: &Papers| servers(papers, "resolv").iter().any(|it| it.starts_with("127.") || *it == "::1");
    let looping: Vec<String> = case
        .hosts()
        .filter(|(name, papers)| {
            case.is_member(name) && stub(papers) && {
                // kubelet takes the file that its configuration names; K3s and RKE2 look for a better one themselves.
                case.distribution() == Distribution::Kubeadm
                    && papers.lines("kubelet-config").any(|line| line.trim() == "resolvConf: /etc/resolv.conf")
            }
        })
        .map(|(name, papers)| {
            format!(
                "{name}: nameserver {}, and kubelet's resolvConf: /etc/resolv.conf",
                servers(papers, "resolv").join(" ")
            )
        })
        .collect();
    let words: Vec<String> = dead
        .flat_map(|pod| objects::containers(pod).map(|it| it.last_words()).collect::<Vec<_>>())
        .filter(|words| !words.is_empty())
        .map(str::to_string)
        .collect();
    if words.is_empty() && looping.is_empty() {
        return Vec::new();
    }
    vec![
        Finding::sick(Place::cluster(), "CoreDNS sends what it does not know to itself")
            .shown(words)
            .shown(looping)
            .by_hand([
                "in /var/lib/kubelet/config.yaml of every node: `resolvConf: /run/systemd/resolve/resolv.conf`, then restart kubelet",
                "then kubectl -n kube-system rollout restart deployment coredns",
            ]),
    ]
}

fn is_dns(pod: &Value) -> bool {
    pod.namespace() == "kube-system" && pod.label("k8s-app") == Some("kube-dns")
}

pub(super) fn dns_down(case: &Case<'_>) -> Vec<Finding> {
    if !case.has("pods") {
        return Vec::new();
    }
    let pods: Vec<&Value> = case.list("pods").iter().filter(|pod| is_dns(pod)).collect();
    if pods.iter().any(|pod| objects::is_ready(pod)) {
        return Vec::new();
    }
    let lines: Vec<String> = pods.iter().map(|pod| format!("{}: {}", pod.name(), objects::state(pod))).collect();
    let found = Finding::sick(Place::cluster(), "no pod of the cluster's name server is ready")
        .shown(if lines.is_empty() { vec!["no pod has the label k8s-app=kube-dns".to_string()] } else { lines });
    vec![found.by_hand([
        "kubectl -n kube-system describe pods -l k8s-app=kube-dns",
        "kubectl -n kube-system logs -l k8s-app=kube-dns",
    ])]
}
