//! Networks of hosts and pods, and the names that hosts and pods resolve.

use std::collections::BTreeMap;

use kubewright_model::doctor::{Finding, Papers, Place};
use kubewright_model::ids::NodeName;
use kubewright_model::spec::kubernetes::Distribution;
use serde_json::Value;

use super::case::{Case, told};
use super::firewall::lets_in;
use super::objects::{self, Object as _};

/// VXLAN's port in Flannel, Canal and Cilium on Linux.
/// <https://docs.k3s.io/installation/requirements#inbound-rules-for-k3s-nodes>
const VXLAN: u16 = 8472;
/// A packet of VXLAN over IPv4 has so many bytes around the inner one.
const WRAPPED: u64 = 50;

/// Links of a host with their MTU, as /sys/class/net tells them: `eth0 1500`.
fn links(papers: &Papers) -> BTreeMap<String, u64> {
    let link =
        |line: &str| line.split_once(' ').and_then(|(name, mtu)| Some((name.to_string(), mtu.trim().parse().ok()?)));
    papers.lines("links").filter_map(link).collect()
}

/// The link of a default route of `ip -o route show default`; of several next hops the first.
fn outside(papers: &Papers) -> Option<String> {
    let default = |paper| papers.lines(paper).find(|line| line.starts_with("default"));
    let mut words = default("routes").or_else(|| default("routes6"))?.split_whitespace();
    words.by_ref().find(|word| *word == "dev").and_then(|_| words.next()).map(str::to_string)
}

/// The link on which a host has an address, by `ip -o addr`.
fn with_address(papers: &Papers, address: &str) -> Option<String> {
    addresses(papers).find(|(_, it)| it.split('/').next() == Some(address)).map(|(link, _)| link.to_string())
}

/// Addresses of a host, each with its link and its prefix: `2: eth0    inet 10.0.0.5/24 brd … scope global eth0`.
fn addresses(papers: &Papers) -> impl Iterator<Item = (&str, &str)> {
    papers.lines("addresses").filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let link = words.next()?;
        words.next().filter(|family| family.starts_with("inet"))?;
        Some((link.split('@').next().unwrap_or(link), words.next()?))
    })
}

/// The link by which packets between nodes go: the one with the node's address, else that of the default route.
fn between(case: &Case<'_>, name: &NodeName, papers: &Papers) -> Option<String> {
    let node = case.list("nodes").iter().find(|node| node.name() == name.as_str());
    let its = node.into_iter().flat_map(|node| node.each("/status/addresses"));
    let internal = its.filter(|it| it.text("/type") == "InternalIP").map(|it| it.text("/address"));
    let by_address: Option<String> = internal.filter_map(|address| with_address(papers, address)).next();
    by_address.or_else(|| outside(papers))
}

pub(super) fn mtu(case: &Case<'_>) -> Vec<Finding> {
    let found = case.hosts().filter_map(|(name, papers)| {
        let links = links(papers);
        let (outer, inner) = (between(case, name, papers)?, ["flannel.1", "cilium_vxlan", "vxlan.calico"]);
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
    // A program that has failed has said nothing of routes.
    let told = |papers: &Papers| ["routes", "routes6"].iter().all(|paper| papers.status(paper) == Some(0));
    let hosts = case.hosts().filter(|(_, papers)| told(papers) && outside(papers).is_none());
    hosts
        .map(|(name, _)| {
            Finding::sick(Place::host(name), "it has no default route")
                .shown(["ip route show default: nothing, and with -6 neither"])
                .by_hand([
                    format!("on {name}: ip route add default via GATEWAY, and in the network's configuration"),
                    "`network.gateway` of the spec gives it to machines that it makes".into(),
                ])
        })
        .collect()
}

/// Addresses that other hosts see.
fn own(papers: &Papers) -> Vec<String> {
    let Some(outer) = outside(papers) else { return Vec::new() };
    let ours = addresses(papers).filter(|(link, _)| *link == outer);
    // Addresses that are handed on have a whole prefix: a balancer's floating one.
    let own = ours.filter_map(|(_, it)| it.split_once('/').filter(|(_, prefix)| !["32", "128"].contains(prefix)));
    own.map(|(address, _)| address.to_string()).collect()
}

pub(super) fn twice(case: &Case<'_>) -> Vec<Finding> {
    let mut by: BTreeMap<String, Vec<&NodeName>> = BTreeMap::new();
    for (name, papers) in case.hosts() {
        own(papers).into_iter().for_each(|address| by.entry(address).or_default().push(name));
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
    let server = |line: &'a str| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())
    };
    papers.lines(paper).filter_map(server).collect()
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
