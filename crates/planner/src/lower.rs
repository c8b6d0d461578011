//! From the spec to what it means in full: every machine named, every file's text known.
//!
//! Lowering never fails: where the spec contradicts itself, the rules say so and the rest is lowered all the same, so
//! that all errors come at once. One module for each part of the answer, in the order of the layers.

mod backups;
mod checks;
mod cloud;
#[cfg(test)]
mod demands;
#[cfg(test)]
mod examples;
mod hosts;
mod load_balancers;
mod machines;
mod members;
mod missing;
mod notifications;
mod objects;
mod templates;

use std::collections::BTreeMap;
use std::sync::Arc;

use kubewright_model::desired::{Desired, DesiredKubernetes, OsUpdates};
use kubewright_model::diagnostic::Diagnostic;
use kubewright_model::ids::Owner;
use kubewright_model::spec::ClusterFile;
use kubewright_model::spec::backup::Unreachable;
use kubewright_model::spec::kubernetes::{Cni, Datastore, Distribution};

pub(crate) use backups::calendar;
pub use backups::hours;

use crate::context::{Context, SecretNames};
use crate::foundation::{AGENT_TOKEN, AGENTS_TOKEN, THAT_OF_SERVERS};

/// What the spec means, and everything that is wrong with its values.
pub fn lower(file: &ClusterFile) -> (Desired, Vec<Diagnostic>) {
    (meaning(file), crate::rules::rules(file))
}

/// What the spec means, whether it is right or not.
pub(crate) fn meaning(file: &ClusterFile) -> Desired {
    let context = Context::of(file);
    let mut secrets = SecretNames::default();
    secrets.provider_tokens(&file.spec.providers);
    secrets.console_passwords(&file.spec.pools);
    cloud::certificates(file, &mut secrets);
    // Distributions name these holes themselves; here it is only told where their values are, if not made by us.
    if let Some(token) = &file.spec.kubernetes.join_token {
        secrets.hole("join-token", Some(token));
    }
    if let Some(token) = &file.spec.kubernetes.agent_token {
        secrets.hole(AGENT_TOKEN, Some(token));
    }
    for (name, reference) in crate::distributions::secrets(file) {
        secrets.hole(&name, Some(reference));
    }
    let (members, leaving) = members::members(&context);
    let proxies = load_balancers::proxies(&context, &mut secrets);
    let templates = templates::templates(&context, &mut secrets);
    let (machines, reserves) = machines::machines(&context, &templates::names(&templates));
    let proxmox = machines::proxmox(file, &machines, reserves);
    let hosts = hosts::hosts(&context, &machines, &proxmox, &proxies, &mut secrets);
    let hetzner = cloud::project(file, &machines, &hosts);
    let resources = cloud::resources(&context, &machines, hetzner.as_ref());
    let releases = crate::addons::releases(&context, &mut secrets);
    let objects = objects::objects(&context, &releases, &mut secrets);
    let checks = checks::checks(&context, &releases, &objects);
    let spec = &file.spec;
    let drift = spec.maintenance.drift.as_ref().map(|wish| wish.every);
    let notifications = notifications::notifications(file, &mut secrets);
    let password_hashes = secrets.hashes();
    let places = secrets.places();
    Desired {
        cluster: file.metadata.name.clone(),
        owner: Owner(file.metadata.name.clone()),
        kubernetes: DesiredKubernetes {
            distribution: spec.kubernetes.distribution,
            version: spec.kubernetes.version.clone(),
            datastore: spec.kubernetes.datastore,
            endpoint: context.endpoint.clone(),
            pod_network: spec.kubernetes.pod_network,
            service_network: spec.kubernetes.service_network,
            foundation: foundation(&context),
        },
        machines,
        hosts,
        resources,
        templates,
        members,
        leaving,
        load_balancers: load_balancers::load_balancers(&context),
        proxies,
        objects,
        releases,
        applications: crate::addons::applications(file),
        vault: crate::addons::vault(&spec.addons),
        helm_mirror: spec.addons.helm.mirror.clone(),
        checks,
        proxmox,
        hetzner,
        backup_jobs: backups::jobs(&context),
        os_updates: if spec.maintenance.update_os { OsUpdates::Make } else { OsUpdates::Leave },
        fences: spec.maintenance.unreachable == Unreachable::Fence,
        keep_snapshots: spec.maintenance.snapshots.as_ref().map(|snapshots| snapshots.keep),
        max_unavailable: spec.maintenance.max_unavailable,
        protected: spec.maintenance.protect,
        take: Vec::new(),
        take_strays: false,
        without_backup: false,
        from_scratch: false,
        restores: None,
        without: Vec::new(),
        bundle: None,
        airgap: None,
        missing: missing::missing(file),
        drift,
        notifications,
        drain_timeout: spec.maintenance.drain_timeout,
        secrets: places,
        password_hashes,
        sops_file: spec.secrets.sops_file.clone(),
        spec: Some(Arc::new(file.clone())),
    }
}

/// Kubernetes takes these when a cluster begins and never again; K3s refuses a server that says otherwise, or loses what
/// is there. <https://docs.k3s.io/cli/server>, <https://docs.k3s.io/security/secrets-encryption>. The network plug-in is
/// among them because pods keep the network that they were started with: while nodes went over one by one, those with the
/// old one and those with the new one would not reach each other, nor the API's webhooks anybody.
fn foundation(context: &Context<'_>) -> BTreeMap<String, String> {
    let spec = &context.file.spec.kubernetes;
    let datastore = match spec.datastore {
        Datastore::Etcd => "etcd",
        Datastore::Sqlite => "SQLite",
    };
    let plug_in = match &spec.cni {
        Cni { cilium: Some(_), .. } => "Cilium",
        Cni { calico: Some(_), .. } => "Calico",
        Cni { canal: Some(_), .. } => "Canal",
        Cni { flannel: Some(_), .. } => "Flannel",
        Cni { .. } => match spec.distribution {
            Distribution::Rke2 => "Canal",
            Distribution::K3s | Distribution::Kubeadm | Distribution::Talos => "Flannel",
        },
    };
    // RKE2 and Talos do it always. <https://docs.rke2.io/security/secrets_encryption>,
    // <https://www.talos.dev/v1.11/introduction/what-is-talos/>
    let always = matches!(spec.distribution, Distribution::Rke2 | Distribution::Talos);
    let encrypted = spec.encrypt_secrets || always;
    let secrets = if encrypted { "encrypted" } else { "not encrypted" };
    let settings = [
        ("distribution", spec.distribution.title().into()),
        ("datastore", datastore.into()),
        ("pod network", spec.pod_network.to_string()),
        ("network plug-in", plug_in.into()),
        ("service network", spec.service_network.to_string()),
        ("cluster domain", spec.cluster_domain.clone()),
        ("secrets in the datastore", secrets.into()),
        (AGENTS_TOKEN, if spec.agent_token.is_some() { "one of their own" } else { THAT_OF_SERVERS }.into()),
    ];
    let settings = settings.into_iter().map(|(name, value)| (name.to_string(), value));
    settings.chain(crate::distributions::kept(context)).collect()
}

#[cfg(test)]
mod tests {
    use kubewright_model::host::HostResource;
    use kubewright_model::observed::Observed;
    use kubewright_model::plan::Ask;
    use kubewright_model::spec::load;

    use super::*;

    fn devboard() -> Desired {
        let loaded = load(include_str!("../../../examples/devboard/cluster.yaml")).unwrap();
        lower(&loaded.file).0
    }

    /// The hosts of DevBoard as text: what the hands get to see.
    fn hosts_as_text(desired: &Desired) -> String {
        let mut text = String::new();
        for host in &desired.hosts {
            text += &format!("# {} ({}@{:?})\n", host.name, host.way.user, host.way.address);
            for resource in &host.resources {
                text += &match resource {
                    HostResource::File(file) => format!("{} {}\n{}\n", resource.key(), file.mode, file.content),
                    HostResource::Unit(unit) => match &unit.content {
                        Some(content) => format!("{} {:?}\n{content}\n", resource.key(), unit.run),
                        None => format!("{} {:?}\n", resource.key(), unit.run),
                    },
                    HostResource::Lines { lines, .. } => format!("{}\n{}\n", resource.key(), lines.join("\n")),
                    other => format!("{}\n", other.key()),
                };
            }
        }
        text
    }

    #[test]
    fn devboard_hosts() {
        insta::assert_snapshot!(hosts_as_text(&devboard()));
    }

    #[test]
    fn devboard_objects_and_values() {
        let desired = devboard();
        let releases: Vec<_> = desired.releases.iter().map(|release| serde_json::to_value(release).unwrap()).collect();
        let objects: Vec<_> = desired.objects.iter().map(|group| serde_json::to_value(group).unwrap()).collect();
        insta::assert_snapshot!(serde_saphyr::to_string(&serde_json::json!([releases, objects])).unwrap());
    }

    #[test]
    fn devboard_recipes() {
        let desired = devboard();
        let member = &desired.members[0].recipes;
        let text = serde_saphyr::to_string(&serde_json::to_value(member).unwrap()).unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn devboard_plan_from_nothing() {
        let desired = devboard();
        let nothing = Observed::nothing(["proxmox".into()]);
        let plan = crate::plan::plan(&desired, &nothing, &Ask::Apply);
        let line = |step: &kubewright_model::plan::Step| {
            let needs: Vec<_> = step.needs.iter().map(ToString::to_string).collect();
            let takes: Vec<_> = step.takes.iter().map(|lease| lease.thing.to_string()).collect();
            format!("{} | {} | needs {} | takes {}\n", step.stage, step.id, needs.join(", "), takes.join(", "))
        };
        assert!(!plan.is_blocked(), "{:?}", plan.notes);
        assert_eq!(crate::check::check(&plan, &desired, &nothing), []);
        insta::assert_snapshot!(plan.steps.iter().map(line).collect::<String>());
    }
}
