//! What runs on the nodes besides what the spec adds: the parts of Kubernetes, and what the distribution brings.

use kubewright_model::spec::Distribution;

use super::code;
use super::facts::Facts;
use crate::page::Page;
use crate::words::{COMPONENTS, Component, Words};

/// One row for each of them.
pub(super) fn components(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let there = COMPONENTS.iter().filter(|component| is_there(facts, component));
    let rows = there.map(|component| vec![code(component.name), words.of(&component.does).into()]);
    page.table(&[words.manual.component, words.heads.purpose], rows.collect());
}

/// Which of them each distribution has unless it is told otherwise.
/// <https://docs.k3s.io/installation/packaged-components>, <https://docs.rke2.io/install/packaged_components>,
/// <https://kubernetes.io/docs/concepts/overview/components/>
fn is_there(facts: &Facts<'_>, component: &Component) -> bool {
    let distribution = facts.desired.kubernetes.distribution;
    let rancher = matches!(distribution, Distribution::K3s | Distribution::Rke2);
    let chart = |name: &str| facts.desired.releases.iter().any(|release| release.chart == name);
    facts.has(component.topic)
        && match component.name {
            "canal" => !facts.config.contains_key("cni"),
            // Cilium may stand in for it; K3s has it within itself, so nobody sees a pod of that name.
            "kube-proxy" => !chart("cilium") && distribution != Distribution::K3s,
            "metrics-server" => {
                chart("metrics-server")
                    || rancher && !facts.disabled("metrics-server") && !facts.disabled("rke2-metrics-server")
            }
            "svclb-*" => !facts.disabled("servicelb"),
            "local-path-provisioner" => !facts.disabled("local-storage"),
            _ => true,
        }
}

/// The versions that were seen to run, where somebody looked.
pub(super) fn versions(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let heads = &words.heads;
    let desired = facts.desired;
    let distribution = desired.kubernetes.distribution;
    // The version of Talos' Kubernetes is one, and Talos' own another.
    let name = if distribution == Distribution::Talos { words.manual.kubernetes } else { distribution.title() };
    let mut rows = vec![vec![name.into(), code(&desired.kubernetes.version)]];
    if let Some(image) = desired.talos() {
        rows.push(vec!["Talos".into(), code(&image.version)]);
    }
    for release in &desired.releases {
        if let Some(version) = &release.version {
            rows.push(vec![code(&release.chart), code(version)]);
        }
    }
    let hosts = facts.observed.into_iter().flat_map(|observed| &observed.hosts);
    let mut systems: Vec<String> = Vec::new();
    for (_, host) in hosts {
        let Some(os) = host.present().map(|host| host.os.clone()) else { continue };
        if !systems.contains(&os) {
            systems.push(os);
        }
    }
    rows.extend(systems.into_iter().map(|os| vec![words.pools.os.into(), os.into()]));
    page.table(&[heads.name, heads.version], rows);
}
