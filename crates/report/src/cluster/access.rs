//! How people get in: SSH, kubectl, and browsers.

mod services;

use kubewright_model::desired::{THIS_COMPUTER, Way};
use kubewright_model::spec::Distribution;

use super::code;
use super::facts::{Facts, Route};
use crate::page::{Page, Piece};
use crate::words::{Words, fill};

/// All ways.
pub(super) fn access(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    page.part(words.sections.ssh, |page| {
        let lines = facts.shells().filter_map(|host| Some((ssh(&host.way)?, host)));
        let lines: Vec<String> = lines.map(|(command, host)| format!("{command}  # {}", host.name)).collect();
        page.code("bash", &lines);
    });
    page.part(words.sections.kubeconfig, |page| kubectl(page, facts, words));
    page.part(words.sections.urls, |page| urls(page, facts, words));
    page.part(words.sections.services, |page| services::services(page, facts, words));
}

/// The command that logs in to a host; none for a host that nobody can name.
pub(super) fn ssh(way: &Way) -> Option<String> {
    let target = way.address.map(|address| address.to_string()).or_else(|| way.name.clone());
    let target = target.filter(|target| target != THIS_COMPUTER)?;
    let mut command = String::from("ssh");
    if way.port != 22 {
        command += &format!(" -p {}", way.port);
    }
    if let Some(key) = &way.key_file {
        command += &format!(" -i {}", word(key));
    }
    if let Some(jump) = &way.jump {
        command += &format!(" -J {}", word(jump));
    }
    Some(format!("{command} {}", word(&format!("{}@{target}", way.user))))
}

/// A command of root's on a server; none when no server can be logged in to.
pub(super) fn on_a_server(facts: &Facts<'_>, command: &str) -> Option<String> {
    let way = &facts.a_server()?.way;
    let root = if &*way.user == "root" { "" } else { "sudo " };
    Some(format!("{} {root}{command}", ssh(way)?))
}

/// A word as a POSIX shell reads it. A leading `~` stays the home folder.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%_+=:,./-~".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.into() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Where each distribution keeps the administrator's kubeconfig.
/// <https://docs.k3s.io/cluster-access>, <https://docs.rke2.io/cluster_access>,
/// <https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/create-cluster-kubeadm/>
fn kubeconfig(distribution: Distribution) -> Option<&'static str> {
    match distribution {
        Distribution::K3s => Some("/etc/rancher/k3s/k3s.yaml"),
        Distribution::Rke2 => Some("/etc/rancher/rke2/rke2.yaml"),
        Distribution::Kubeadm => Some("/etc/kubernetes/admin.conf"),
        Distribution::Talos => None,
    }
}

fn kubectl(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let own = format!("{}.kubeconfig", facts.desired.cluster);
    let path = kubeconfig(facts.desired.kubernetes.distribution);
    let fetch = match path {
        Some(path) => on_a_server(facts, &format!("cat {path}")).map(|command| {
            // K3s and RKE2 name the server itself in it; from elsewhere it is the endpoint. kubeadm names the endpoint.
            let there = word(&format!("s#https://127.0.0.1:[0-9]*#https://{}#", facts.desired.kubernetes.endpoint));
            let local = facts.desired.kubernetes.distribution != Distribution::Kubeadm;
            let change = if local { format!(" | sed {there}") } else { String::new() };
            format!("{command}{change} > {}", word(&own))
        }),
        None => Some(facts.command(&format!("kubeconfig --output {}", word(&own)))),
    };
    let Some(fetch) = fetch else { return };
    page.paragraph(words.access.kubeconfig);
    // kubewright writes it for nobody else to read.
    let mask = path.map(|_| "umask 077".to_string());
    let uses = format!("export KUBECONFIG=\"$PWD\"/{}", word(&own));
    page.code("bash", &mask.into_iter().chain([fetch, uses]).collect::<Vec<_>>());
    page.code("bash", &["kubectl get nodes -o wide".into(), "kubectl get pods -A".into()]);
    if path.is_none() {
        let own = word(&format!("{}.talosconfig", facts.desired.cluster));
        page.paragraph(words.access.talosconfig);
        let uses = format!("export TALOSCONFIG=\"$PWD\"/{own}");
        page.code("bash", &[facts.command(&format!("talosconfig --output {own}")), uses]);
    }
    if let Some(path) = path {
        page.paragraph(fill(words.access.on_host, &[("path", Piece::Code(path.into()))]));
    }
}

/// The address that a browser is given.
pub(super) fn url(facts: &Facts<'_>, route: &Route<'_>) -> String {
    let scheme = if route.tls { "https" } else { "http" };
    let port = facts.named_port(route.tls).map(|port| format!(":{port}")).unwrap_or_default();
    let path = if route.path == "/" { "" } else { route.path };
    format!("{scheme}://{}{port}{path}", route.host)
}

fn urls(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let heads = &words.heads;
    let rows = facts.routes.iter().map(|route| {
        let service = format!("{}/{}:{}", route.namespace, route.service, route.port);
        vec![Piece::Link(url(facts, route)).into(), code(service)]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return;
    }
    page.table(&[heads.address, heads.leads_to], rows);
    match facts.entrance() {
        Some(address) => {
            page.paragraph(words.access.names);
            let mut hosts: Vec<&str> = Vec::new();
            for route in &facts.routes {
                if !hosts.contains(&route.host) {
                    hosts.push(route.host);
                }
            }
            let lines: Vec<String> = hosts.into_iter().map(|host| format!("{address} {host}")).collect();
            page.code("text", &lines);
        }
        None => {
            let command = Piece::Code("kubectl get ingress -A".into());
            page.paragraph(fill(words.access.no_address, &[("command", command)]));
        }
    }
}
