//! Nodes of Talos: what each is installed on, its links, and where it waits for its configuration.

use kubewright_model::host::HostResource;
use kubewright_model::talos::Link;

use super::facts::Facts;
use super::{code, codes};
use crate::page::{Line, Page};
use crate::words::Words;

/// One row for each link of each node.
pub(super) fn nodes(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let mut rows: Vec<Vec<Line>> = Vec::new();
    for host in &facts.desired.hosts {
        let Some(config) = host.resources.iter().find_map(|resource| match resource {
            HostResource::MachineConfig(config) => Some(config),
            _ => None,
        }) else {
            continue;
        };
        let mut links = config.links();
        if links.is_empty() {
            links.push(Link::default());
        }
        for (index, link) in links.into_iter().enumerate() {
            // What is the node's own stands once.
            let own = |line: Line| if index == 0 { line } else { Line::default() };
            rows.push(vec![
                own(code(&host.name)),
                own(config.install_disk().map(code).unwrap_or_default()),
                name(&link, words).into(),
                codes(link.addresses.iter().chain(&link.virtual_ips)),
                codes(&link.gateways),
                own(host.way.talos.as_ref().and_then(|way| way.maintenance).map(code).unwrap_or_default()),
            ]);
        }
    }
    let heads = &words.heads;
    let heads = [heads.name, heads.disk, heads.link, heads.address, heads.gateway, heads.waits];
    page.table(&heads, rows);
}

fn name(link: &Link, words: &Words) -> String {
    let interface = match (&link.interface, link.addresses.is_empty()) {
        (Some(name), _) => name.clone(),
        (None, true) => return String::new(),
        (None, false) => words.terms.physical.to_string(),
    };
    link.vlan.as_ref().map_or(interface.clone(), |tag| format!("{interface} · VLAN {tag}"))
}
