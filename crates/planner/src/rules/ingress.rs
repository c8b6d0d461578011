//! 05xx: what stands before the Services.

use kubewright_model::codes;
use kubewright_model::diagnostic::Diagnostic;

use super::{Facts, at, balancers, ports, routes};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let ingress = &facts.spec.ingress;
    let given = [("traefik", ingress.traefik.is_some()), ("nginx", ingress.nginx.is_some()), ("none", ingress.none)];
    let names: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    if let [_, second, ..] = names.as_slice() {
        let message = format!("`ingress` has {} at once", names.join(" and "));
        let path = at("ingress").then(second);
        found.push(Diagnostic::new(codes::INGRESS_SEVERAL, path, message).help("keep one of them"));
    }
    let cilium = facts.spec.kubernetes.cni.cilium.as_ref();
    if facts.spec.addons.metallb.is_some() && cilium.is_some_and(|cilium| cilium.l2_announcements.is_some()) {
        let message = "MetalLB and Cilium both give out addresses for Services";
        let help = "remove `addons.metallb` or `l2Announcements`";
        found.push(Diagnostic::new(codes::ANNOUNCERS_SEVERAL, at("addons/metallb"), message).help(help));
    }
    ports::rules(facts, found);
    balancers::rules(facts, found);
    routes::rules(facts, found);
}
