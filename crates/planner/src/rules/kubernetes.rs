//! 04xx: the distribution, the control plane, and what nodes are called by.

use indexmap::IndexMap;
use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::formats::dns_subdomain;
use kubewright_model::spec::kubernetes::{Datastore, Registry};
use kubewright_model::spec::{Distribution, Role};
use kubewright_model::version::Version;

use super::{Facts, at, endpoint, marks, reserved, talos};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    servers(facts, found);
    versions(facts, found);
    newest(facts, found);
    through(facts, found);
    plugins(facts, found);
    settings(facts, found);
    hardened(facts, found);
    endpoint::rules(facts, found);
    reserved::rules(facts, found);
    marks::rules(facts, found);
    let kubernetes = &facts.spec.kubernetes;
    if let Err(why) = dns_subdomain(&kubernetes.cluster_domain) {
        let message = format!("`{}` is no domain: {why}", kubernetes.cluster_domain);
        let path = at("kubernetes/clusterDomain");
        found
            .push(Diagnostic::new(codes::CLUSTER_DOMAIN_FORM, path, message).help("write for example `cluster.local`"));
    }
}

/// How many servers there are, and what they keep their data in.
fn servers(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let kubernetes = &facts.spec.kubernetes;
    let servers = facts.servers().count();
    // A pool without any node has a rule of its own, or is empty on purpose.
    if !facts.spec.pools.values().any(|pool| pool.role.is_server()) {
        let message = "no pool has the role `server` or `both`";
        let help = "give the pool that holds the control plane the role `both`";
        found.push(Diagnostic::new(codes::SERVER_MISSING, at("pools"), message).help(help));
    }
    match kubernetes.datastore {
        Datastore::Etcd if servers > 0 && servers.is_multiple_of(2) => {
            let message = format!("{servers} servers are {servers} members of etcd, an even number");
            let help = format!("make it {} or {}", servers - 1, servers + 1);
            let pool = facts.servers().last().map(|node| at("pools").then(node.pool_name));
            let path = pool.unwrap_or_else(|| at("pools"));
            found.push(Diagnostic::new(codes::EVEN_SERVERS, path, message).help(help));
        }
        Datastore::Etcd => {}
        Datastore::Sqlite if kubernetes.distribution != Distribution::K3s => {
            let message = format!("{} cannot keep its data in SQLite", kubernetes.distribution.title());
            let path = at("kubernetes/datastore");
            found.push(Diagnostic::new(codes::SQLITE_UNKNOWN, path, message).help("remove `datastore`"));
        }
        Datastore::Sqlite if servers > 1 => {
            let message = format!("{servers} servers cannot share one SQLite file");
            let path = at("kubernetes/datastore");
            let help = "remove `datastore` to have etcd, or keep one server";
            found.push(Diagnostic::new(codes::SQLITE_SEVERAL, path, message).help(help));
        }
        Datastore::Sqlite => {}
    }
    let mut nodes = facts.nodes.iter().filter(|node| node.is_node());
    if servers > 0 && nodes.all(|node| node.pool.role == Role::Server) {
        let message = "all nodes are servers that keep other work away";
        let help = "give a pool the role `both`, or add a pool of agents";
        found.push(Diagnostic::new(codes::NO_ROOM_FOR_WORK, at("pools"), message).help(help));
    }
}

/// The newest minor version of Kubernetes that was looked at when this program was written.
const NEWEST: (u64, u64) = (1, 36);

/// What does not exist is found out only when hosts download it.
fn newest(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let version = &facts.spec.kubernetes.version;
    // Which of them a Talos runs has a rule of its own.
    let judged = facts.spec.kubernetes.distribution == Distribution::Talos && facts.spec.kubernetes.talos.is_some();
    if version.minor() > NEWEST && !judged {
        let (major, minor) = NEWEST;
        let message = format!("`{version}` is newer than v{major}.{minor}, the newest that this program knows");
        let help = format!("compare it with the releases of {}", facts.spec.kubernetes.distribution.title());
        found.push(Diagnostic::new(codes::VERSION_UNKNOWN, at("kubernetes/version"), message).help(help));
    }
}

/// Versions in the form in which the distribution's releases are named.
fn versions(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let kubernetes = &facts.spec.kubernetes;
    let distribution = kubernetes.distribution;
    let (mark, example) = match distribution {
        Distribution::K3s => ("k3s", "v1.31.4+k3s1"),
        Distribution::Rke2 => ("rke2r", "v1.31.4+rke2r1"),
        Distribution::Kubeadm | Distribution::Talos => ("", "v1.31.4"),
    };
    let mut judge = |version: &Version, mark: &str, example: &str, title: &str, path: SpecPath| {
        let number = version.build().strip_prefix(mark);
        let counted = number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
        let build = if mark.is_empty() { version.build().is_empty() } else { counted };
        if !build || !version.to_string().starts_with('v') {
            let message = format!("`{version}` is no version of {title}");
            let help = format!("{title} writes its versions like `{example}`");
            found.push(Diagnostic::new(codes::VERSION_FORM, path, message).help(help));
        }
    };
    let title = if distribution == Distribution::Talos { "Kubernetes" } else { distribution.title() };
    judge(&kubernetes.version, mark, example, title, at("kubernetes/version"));
    for (place, version) in kubernetes.through.iter().enumerate() {
        judge(version, mark, example, title, at("kubernetes/through").then(place));
    }
    if let Some(talos) = &kubernetes.talos {
        judge(&talos.version, "", &talos::fitting(&kubernetes.version), "Talos", at("kubernetes/talos/version"));
    }
}

/// What an upgrade goes through leads to the version that is wished.
fn through(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let kubernetes = &facts.spec.kubernetes;
    for (place, version) in kubernetes.through.iter().enumerate() {
        let path = || at("kubernetes/through").then(place);
        let before = &kubernetes.through[..place];
        if version.minor() >= kubernetes.version.minor() {
            let message = format!("`{version}` is not on the way to {}", kubernetes.version);
            let help = "write versions of earlier minor versions, or none at all";
            found.push(Diagnostic::new(codes::VERSION_THROUGH, path(), message).help(help));
        } else if let Some(other) = before.iter().find(|other| other.minor() == version.minor()) {
            let message = format!("`{version}` and `{other}` are of one minor version");
            found.push(Diagnostic::new(codes::VERSION_THROUGH, path(), message).help("keep one of them"));
        }
    }
}

fn plugins(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let cni = &facts.spec.kubernetes.cni;
    let given = [
        ("flannel", cni.flannel.is_some()),
        ("cilium", cni.cilium.is_some()),
        ("canal", cni.canal.is_some()),
        ("calico", cni.calico.is_some()),
    ];
    let names: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    if let [_, second, ..] = names.as_slice() {
        let message = format!("{} are both network plug-ins, and one is enough", names.join(" and "));
        let path = at("kubernetes/cni").then(second);
        found.push(Diagnostic::new(codes::CNI_SEVERAL, path, message).help("keep one of them"));
    }
}

/// A container has its hypervisor's kernel.
fn hardened(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let contained = facts.spec.pools.iter().filter(|(_, pool)| {
        pool.role.is_node() && pool.proxmox.as_ref().is_some_and(|machines| machines.lxc.is_some())
    });
    for (name, _) in contained.filter(|_| facts.spec.kubernetes.profile.is_some()) {
        let message = format!("the nodes of `{name}` are containers, which cannot be hardened");
        let path = at("pools").then(name).then("proxmox").then("lxc");
        let help = "make them virtual machines: write `vm` in its place; or remove `kubernetes.profile`";
        found.push(Diagnostic::new(codes::HARDENED_CONTAINER, path, message).help(help));
    }
}

/// containerd by itself knows no other names at a mirror, and is told no password in a file that others read.
fn registries(registries: &IndexMap<String, Registry>, found: &mut Vec<Diagnostic>) {
    for (name, registry) in registries {
        let of = [
            ("rewrite", !registry.rewrite.is_empty(), "serve images at the mirror under their own names"),
            ("login", registry.login.is_some(), "name a Secret with it in `imagePullSecrets` of what runs"),
        ];
        for (field, _, help) in of.into_iter().filter(|(_, given, _)| *given) {
            let path = at("kubernetes/registries").then(name).then(field);
            let message = format!("`{field}` of a registry is a setting of K3s and RKE2, not of kubeadm");
            found.push(Diagnostic::new(codes::NOT_OF_DISTRIBUTION, path, message).help(help));
        }
    }
}

/// Settings that only some distributions have.
fn settings(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    use Distribution::{K3s, Kubeadm, Rke2, Talos};
    let kubernetes = &facts.spec.kubernetes;
    let distribution = kubernetes.distribution;
    let of: [(&str, bool, &[Distribution]); 9] = [
        ("agentToken", kubernetes.agent_token.is_some(), &[K3s, Rke2]),
        ("cni/calico", kubernetes.cni.calico.is_some(), &[Rke2]),
        ("profile", kubernetes.profile.is_some(), &[Rke2]),
        ("auditPolicy", kubernetes.audit_policy.is_some(), &[Rke2]),
        ("registries", !kubernetes.registries.is_empty(), &[K3s, Rke2, Kubeadm]),
        ("cni/canal", kubernetes.cni.canal.is_some(), &[Rke2]),
        ("containerd", kubernetes.containerd.is_some(), &[Kubeadm]),
        ("mirror", kubernetes.mirror.is_some(), &[K3s, Rke2]),
        ("airgapImages", kubernetes.airgap_images, &[K3s, Rke2]),
    ];
    for (field, _, known) in of.into_iter().filter(|(_, given, known)| *given && !known.contains(&distribution)) {
        let names: Vec<&str> = known.iter().map(|known| known.title()).collect();
        let message = format!(
            "`{}` is a setting of {}, not of {}",
            field.replace('/', "."),
            names.join(" and "),
            distribution.title()
        );
        let path = at(&format!("kubernetes/{field}"));
        found.push(Diagnostic::new(codes::NOT_OF_DISTRIBUTION, path, message).help("remove it"));
    }
    if distribution == Kubeadm {
        registries(&kubernetes.registries, found);
    }
    let (message, path, help) = match (distribution, &kubernetes.talos) {
        (Talos, None) => {
            let help = format!("write `talos: {{ version: {} }}`", talos::fitting(&kubernetes.version));
            ("`talos.version` is missing", at("kubernetes"), help)
        }
        (K3s | Rke2 | Kubeadm, Some(_)) => {
            ("settings for Talos, and the distribution is another one", at("kubernetes/talos"), "remove `talos`".into())
        }
        _ => return,
    };
    found.push(Diagnostic::new(codes::TALOS_SETTINGS, path, message).help(help));
}
