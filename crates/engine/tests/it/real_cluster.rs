//! Hands on clusters, on a real API server.

mod applications;
mod charts;
mod conditions;
mod doctor;
mod dump;
mod nodes;
mod objects;
mod people;
mod reach;
mod releases;
mod things;
mod vault;
mod watch;
mod workloads;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kubewright_engine::cluster::{ClusterApi as _, RealCluster};
use kubewright_engine::conformance::cluster;
use kubewright_engine::sim::MemoryStore;
use kubewright_engine::store::Store as _;
use kubewright_hosts::{DialError, Dialed, Holes, HostError, Hosts, Layer, Probe, Report};
use kubewright_model::desired::{Desired, DesiredRelease, Way};
use kubewright_model::ids::{HoleName, NodeName};
use kubewright_model::net::HostPort;
use kubewright_model::observed::{HostSeen, KubernetesSeen, Seen};
use kubewright_model::plan::HostChange;
use kubewright_model::recipe::{Effect, Recipe};
use kubewright_model::secret::Secret;
use kubewright_model::spec::addons::OnFailure;
use serde_json::json;

use crate::conformance::{DEVBOARD, holds};
use crate::lab::skipped;
use crate::plane::{Plane, assets};
use crate::yard::desired;

/// Hosts that only say what they are: each by its name, or all alike.
#[derive(Clone, Default)]
struct Quiet {
    /// Whether a server runs on the host; those that are not in here cannot be reached.
    serving: BTreeMap<NodeName, bool>,
    /// They hold the data of a cluster that sleeps.
    asleep: bool,
    /// The kubeconfig that they hold.
    kubeconfig: Option<String>,
}

impl Quiet {
    fn all(desired: &Desired, serving: bool) -> Self {
        let serving = desired.servers().map(|member| (member.name.clone(), serving)).collect();
        Self { serving, ..Self::default() }
    }
}

#[async_trait]
impl Hosts for Quiet {
    async fn observe(&self, probe: Probe<'_>) -> Seen<HostSeen> {
        assert!(probe.resources.is_empty(), "only whether it serves is asked");
        match self.serving.get(probe.host) {
            None => Seen::unknown(format!("{} cannot be reached (TCP): connection refused", probe.host)),
            Some(serving) => Seen::Present(HostSeen {
                kubernetes: Some(KubernetesSeen {
                    joined: *serving || self.asleep,
                    serving: *serving,
                    ..KubernetesSeen::default()
                }),
                ..HostSeen::default()
            }),
        }
    }

    async fn change(&self, change: &HostChange, _: &Holes) -> Result<Report, HostError> {
        panic!("{} is not to be changed", change.host);
    }

    async fn run(
        &self,
        host: &NodeName,
        _: &Way,
        recipe: &Recipe,
        _: &Holes,
        _: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Report, HostError> {
        assert!(recipe.effect == Effect::Look && recipe.steps.is_empty(), "{recipe:?}");
        let gone = || HostError::Unreachable { host: host.clone(), layer: Layer::Tcp, why: "refused".into() };
        let text = self.kubeconfig.clone().ok_or_else(gone)?;
        Ok(Report { gave: [(HoleName::new("cluster/kubeconfig"), Secret::new(text))].into(), ..Report::default() })
    }

    async fn dial(&self, host: &NodeName, _: &Way, at: &HostPort) -> Result<Dialed, DialError> {
        panic!("{at} is not to be looked at from {host}");
    }
}

/// The example's cluster with its API on this computer.
fn here(port: u16) -> Desired {
    let mut desired = desired(DEVBOARD);
    desired.kubernetes.endpoint = HostPort::new("127.0.0.1", port);
    for machine in &mut desired.machines {
        machine.address = None;
    }
    for host in &mut desired.hosts {
        host.way.address = None;
    }
    desired
}

/// The same at a real API server, with its nodes and nothing on them.
fn furnished(plane: &Plane) -> Desired {
    let desired = here(plane.port);
    for member in &desired.members {
        let mut labels = json!({ "kubernetes.io/hostname": member.name });
        if member.role.is_server() {
            labels["node-role.kubernetes.io/control-plane"] = "true".into();
        }
        let name = member.name.as_str();
        plane.create(&[json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": labels } })]);
        let version = desired.kubernetes.version.to_string();
        let status = json!({
            "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
            "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady" }],
            "nodeInfo": { "kubeletVersion": version, "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "",
                "kernelVersion": "", "kubeProxyVersion": "", "machineID": "", "operatingSystem": "linux", "osImage": "",
                "systemUUID": "" },
        });
        plane.status(&["node", name], &status);
        // A new node has it until somebody who is not here takes it away.
        plane.kubectl(&["taint", "node", name, "node.kubernetes.io/not-ready:NoSchedule-"]);
    }
    desired
}

/// Hands, by a store that holds this kubeconfig.
fn hands(
    desired: &Desired,
    kubeconfig: Option<&str>,
    hosts: Quiet,
    folder: &std::path::Path,
) -> (RealCluster, MemoryStore) {
    let store = MemoryStore::default();
    if let Some(text) = kubeconfig {
        store.keep_secret(&desired.cluster, "kubeconfig", &Secret::new(text.to_string())).unwrap();
    }
    let hands = RealCluster::new(desired, Arc::new(store.clone()), Arc::new(hosts), folder.to_path_buf());
    (hands, store)
}

/// A chart with one ConfigMap, which fails when it is told to.
fn chart(folder: &std::path::Path) {
    let templates = folder.join("chart/templates");
    std::fs::create_dir_all(&templates).unwrap();
    std::fs::write(folder.join("chart/Chart.yaml"), "apiVersion: v2\nname: chart\nversion: 1.2.3\n").unwrap();
    let map = "{{ if .Values.refuse }}{{ fail \"refused as told\" }}{{ end }}\napiVersion: v1\nkind: ConfigMap\n\
        metadata: { name: of-the-chart }\ndata: { replicas: {{ .Values.replicas | quote }} }\n";
    std::fs::write(templates.join("map.yaml"), map).unwrap();
    let workload = "{{ if .Values.workload }}\napiVersion: apps/v1\nkind: Deployment\n\
        metadata: { name: of-the-chart, labels: { app: of-the-chart } }\n\
        spec: { selector: { matchLabels: { app: of-the-chart } }, template: { metadata: { labels: { app: of-the-chart } }, \
        spec: { containers: [{ name: web, image: \"web:1\" }] } } }\n{{ end }}\n";
    std::fs::write(templates.join("workload.yaml"), workload).unwrap();
    let secret = "{{ if .Values.password }}\napiVersion: v1\nkind: Secret\nmetadata: { name: of-the-chart }\n\
        stringData: { password: {{ .Values.password | quote }}, chance: {{ randAlphaNum 9 | quote }} }\n---\n\
        apiVersion: v1\nkind: ConfigMap\nmetadata: { name: with-secret }\n\
        data: { url: \"https://me:{{ .Values.password }}@lab\" }\n{{ end }}\n";
    std::fs::write(templates.join("secret.yaml"), secret).unwrap();
}

#[tokio::test]
async fn a_real_cluster_keeps_the_contract() {
    let Some(assets) = assets(&["helm"]) else { return };
    let plane = Plane::start(assets);
    let desired = furnished(&plane);
    let folder = tempfile::tempdir().unwrap();
    chart(folder.path());
    let (answers, _) = hands(&desired, Some(&plane.kubeconfig), Quiet::default(), folder.path());
    let (asleep, _) = hands(&desired, None, Quiet::all(&desired, false), folder.path());
    let (cut_off, _) = hands(&desired, None, Quiet::default(), folder.path());
    let release = DesiredRelease {
        name: "conformance".into(),
        namespace: "default".into(),
        part: "conformance".into(),
        chart: "./chart".into(),
        repository: None,
        version: None,
        values: json!({ "replicas": 1 }),
        after: Vec::new(),
        before_ready: false,
        on_failure: OnFailure::Leave,
        timeout: None,
        digest: None,
    };
    let case = cluster::Case {
        hands: &answers.with_programs(plane.programs()),
        asleep: &asleep,
        cut_off: &cut_off,
        desired: &desired,
        release: &release,
    };
    holds(&cluster::check(case).await);
}

#[tokio::test]
async fn a_watch_that_is_lost_is_taken_up_again() {
    let Some(assets) = assets(&[]) else { return };
    let mut plane = Plane::start(assets);
    let desired = here(plane.port);
    let folder = tempfile::tempdir().unwrap();
    let (hands, _) = hands(&desired, Some(&plane.kubeconfig), Quiet::default(), folder.path());
    watch::a_change_wakes_who_waits(&plane, &hands).await;
    watch::a_server_that_went_away_is_watched_again(&mut plane, &hands).await;
}

#[tokio::test]
async fn doctor_reads_a_real_api_server() {
    let Some(assets) = assets(&[]) else { return };
    let plane = Plane::start(assets);
    let desired = furnished(&plane);
    let folder = tempfile::tempdir().unwrap();
    let (hands, _) = hands(&desired, Some(&plane.kubeconfig), Quiet::default(), folder.path());
    doctor::healthy_objects_are_found_healthy(&plane, &desired, &hands).await;
    doctor::broken_ones_are_found(&plane, &desired, &hands).await;
    doctor::a_token_opens_what_its_account_may(&plane, &hands).await;
}

#[tokio::test]
async fn people_and_programs_get_in_by_ways_of_their_own() {
    let Some(assets) = assets(&[]) else { return };
    let plane = Plane::start(assets);
    let desired = furnished(&plane);
    let folder = tempfile::tempdir().unwrap();
    let (hands, _) = hands(&desired, Some(&plane.kubeconfig), Quiet::default(), folder.path());
    people::a_user_gets_in_until_the_certificate_ends(&plane, &hands, folder.path()).await;
    people::nobody_becomes_a_master(&plane, &hands).await;
    people::a_token_ends_with_its_account(&plane, &hands, folder.path()).await;
}

#[tokio::test]
async fn what_is_done_to_a_real_cluster_is_what_kubectl_sees() {
    let Some(assets) = assets(&[]) else { return };
    let plane = Plane::start(assets);
    let desired = furnished(&plane);
    let folder = tempfile::tempdir().unwrap();
    chart(folder.path());
    let (hands, _) = hands(&desired, Some(&plane.kubeconfig), Quiet::default(), folder.path());
    reach::any_address_will_do(&plane, &desired).await;
    reach::a_lost_kubeconfig_is_read_from_a_server(&plane, &desired).await;
    reach::a_cluster_that_lets_nobody_in_is_there(&plane, &desired).await;
    objects::what_needs_something_comes_after_it(&plane, &desired, &hands).await;
    objects::what_others_have_set_is_theirs(&plane, &desired, &hands).await;
    objects::what_controllers_make_is_not_ours(&plane, &desired, &hands).await;
    objects::many_are_listed_page_by_page(&desired, &hands).await;
    objects::what_is_held_is_told_with_its_holder(&plane, &desired, &hands).await;
    objects::what_goes_goes_in_the_order_of_need(&plane, &desired, &hands).await;
    let hands = hands.waiting_for_what_goes(Duration::from_secs(3));
    objects::a_finalizer_that_hangs_is_told_with_its_owner(&plane, &desired, &hands).await;
    let hands = hands.waiting_for_what_goes(Duration::from_secs(120));
    nodes::what_k3s_tells_of_nodes_is_seen(&plane, &desired, &hands).await;
    nodes::pods_move_as_their_budgets_allow(&plane, &hands).await;
    nodes::a_node_is_gone_when_its_member_is(&plane, &hands).await;
    conditions::pods_say_why_they_do_not_run(&plane, &hands).await;
    conditions::routes_services_and_nodes(&plane, &desired, &hands).await;
    workloads::workloads_say_how_far_they_are(&plane, &hands).await;
    workloads::kube_proxy_runs_from_another_image(&plane, &desired, &hands).await;
    workloads::jobs_are_done_or_say_why_not(&plane, &hands).await;
    workloads::claims_say_why_they_are_not_bound(&plane, &hands).await;
    workloads::services_say_why_they_have_no_address(&plane, &desired, &hands).await;
    objects::every_object_is_handed_over(&plane, &hands).await;
    let empty = tempfile::tempdir().unwrap();
    let hands = hands.with_programs(empty.path());
    assert_eq!(hands.no_releases(&drop).await.as_deref(), Some("the program `helm` is not on this computer's PATH"));
    let hands = hands.with_programs(plane.programs());
    match hands.no_releases(&drop).await {
        None => {
            releases::a_release_lives(&plane, &desired, &hands, folder.path()).await;
            releases::one_that_fails_is_left_or_put_back(&plane, &desired, &hands).await;
            releases::what_would_change_is_rendered(&plane, &desired, &hands).await;
            charts::one_is_pulled_once_and_locked(&plane, &desired, folder.path()).await;
        }
        Some(why) => skipped(&format!("only the part about releases: {why}")),
    }
}
