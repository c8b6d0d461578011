//! A Kubernetes API and Helm, good enough for plans, status and checks.

use std::collections::BTreeMap;
use std::io::Write as _;

use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::Compression;
use flate2::write::GzEncoder;
use kubewright_hosts::Holes;
use kubewright_model::airgap::AirGap;
use kubewright_model::applications::{ApplicationSeen, Remedy};
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Desired, DesiredRelease};
use kubewright_model::digest::Digest;
use kubewright_model::doctor::Lists;
use kubewright_model::ids::{Namespace, NodeName, Owner, ReleaseName};
use kubewright_model::object::{Manifest, ObjectId};
use kubewright_model::observed::{CORDONED, ClusterSeen, MemberSeen, NodeSeen, Power, ReleaseSeen, Rendered, Seen};
use kubewright_model::plan::{NodeMarks, WorkloadImage};
use kubewright_model::spec::addons::OnFailure;
use kubewright_model::units::Span;
use kubewright_model::vault::DesiredVault;
use serde_json::{Value, json};

use super::faults::FaultKind;
use super::kubernetes::{Installed, Kept};
use super::machines::mishap;
use super::state::State;
use super::{DataCentre, addresses, papers, timing};
use crate::cluster::{Checked, ClusterApi, ClusterError, Each};

/// Charts that bring kinds of their own, by the kinds' group.
const BRINGS: [(&str, &str); 8] = [
    ("cert-manager.io", "cert-manager"),
    ("metallb.io", "metallb"),
    ("cilium.io", "cilium"),
    ("argoproj.io", "argo-cd"),
    ("monitoring.coreos.com", "kube-prometheus-stack"),
    ("external-secrets.io", "external-secrets"),
    ("elasticsearch.k8s.elastic.co", "eck-operator"),
    ("kibana.k8s.elastic.co", "eck-operator"),
];
/// Groups that a cluster serves by itself, K3s' and RKE2's own among them.
const BUILT_IN: [&str; 16] = [
    "",
    "apps",
    "batch",
    "autoscaling",
    "policy",
    "networking.k8s.io",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "apiextensions.k8s.io",
    "admissionregistration.k8s.io",
    "node.k8s.io",
    "helm.cattle.io",
    "traefik.io",
];
/// What Helm waits at most for a release's pods when no node takes them.
const NO_ROOM: u64 = 300_000;

/// Hands on the cluster.
pub(super) struct Api {
    pub(super) centre: DataCentre,
    /// The bundle that charts come from.
    pub(super) gap: Option<AirGap>,
}

impl Api {
    /// What is there of a release whose workloads did not run, in words.
    fn failed(&self, release: &DesiredRelease, owner: &Owner) -> &'static str {
        let mut state = self.centre.at_present();
        let key = release_key(&release.namespace, &release.name);
        match (release.on_failure, state.cluster.releases.contains_key(&key)) {
            (OnFailure::Rollback, true) => "it was rolled back",
            (OnFailure::Rollback, false) => "nothing of it is installed now",
            (OnFailure::Leave, _) => {
                let failed = Installed { deployed: false, ..installed(release, owner, u64::MAX) };
                state.cluster.releases.insert(key, failed);
                "its newest revision is failed, and is left so"
            }
        }
    }

    /// A request reaches a server, or meets a mishap.
    async fn request(&self, call: &str) -> Result<(), ClusterError> {
        self.centre.lock().count(call);
        self.centre.take(timing::KUBE_CALL).await;
        match mishap(&self.centre) {
            Some(FaultKind::Api429) => return Err(ClusterError::Busy("429 Too Many Requests".into())),
            Some(FaultKind::Api500) => return Err(ClusterError::Unreachable("500 Internal Server Error".into())),
            Some(_) => {
                self.centre.take(timing::CALL_TIMEOUT).await;
                return Err(ClusterError::Unreachable("no answer within 30 s".into()));
            }
            None => {}
        }
        let now = self.centre.now();
        self.centre.at_present().api(now).map_err(ClusterError::Unreachable)
    }
}

fn refused(what: impl Into<String>, why: impl Into<String>) -> ClusterError {
    ClusterError::Refused { what: what.into(), why: why.into(), log: Vec::new() }
}

#[async_trait]
impl ClusterApi for Api {
    async fn observe(&self, desired: &Desired) -> Seen<ClusterSeen> {
        if let Err(error) = self.request("kubernetes list").await {
            let now = self.centre.now();
            return self.centre.at_present().nobody_serves(desired, now, &error);
        }
        let now = self.centre.now();
        let state = self.centre.at_present();
        Seen::Present(state.cluster_seen(&desired.owner, now))
    }

    async fn lists(&self, desired: &Desired) -> Seen<Lists> {
        match self.observe(desired).await {
            Seen::Present(seen) => Seen::Present(papers::lists(&seen)),
            Seen::Absent => Seen::Absent,
            Seen::Unknown(why) => Seen::Unknown(why),
        }
    }

    async fn apply(&self, objects: &[Manifest], owner: &Owner, holes: &Holes) -> Result<bool, ClusterError> {
        self.request("kubernetes apply").await?;
        self.centre.take(timing::KUBE_CALL * u64::try_from(objects.len()).unwrap_or(1)).await;
        let now = self.centre.now();
        let mut state = self.centre.at_present();
        let mut changed = false;
        for object in objects {
            holes_known(&object.0, holes)?;
            changed |= state.apply(object, owner, now)?;
        }
        state.give_addresses();
        Ok(changed)
    }

    async fn take(&self, objects: &[Manifest], owner: &Owner, holes: &Holes) -> Result<bool, ClusterError> {
        {
            let mut state = self.centre.at_present();
            let ids = objects.iter().filter_map(|object| object.id().ok());
            ids.for_each(|id| drop(state.cluster.set_by_others.remove(&id.to_string())));
        }
        self.apply(objects, owner, holes).await
    }

    async fn delete(&self, objects: &[ObjectId], owner: &Owner) -> Result<(), ClusterError> {
        self.request("kubernetes delete").await?;
        let now = self.centre.now();
        let mut state = self.centre.at_present();
        for id in objects {
            let key = key(id);
            let ours = state.cluster.objects.get(&key).is_none_or(|kept| carries(&kept.manifest, owner));
            if !ours {
                state.breach(now, format!("{id} is not ours and was to be deleted"));
                return Err(refused(id.to_string(), "it does not carry our mark"));
            }
            state.cluster.objects.remove(&key);
            if id.kind == "Namespace" {
                state.cluster.namespaces.remove(id.name.as_str());
            }
        }
        state.give_addresses();
        Ok(())
    }

    async fn install(
        &self,
        release: &DesiredRelease,
        owner: &Owner,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<bool, ClusterError> {
        self.request("helm install").await?;
        holes_known(&release.values, holes)?;
        let at_hand = release.is_folder() || self.gap.as_ref().is_some_and(|gap| gap.chart(release).is_some());
        if self.centre.lock().cut_off && !at_hand {
            let from = release.repository.as_deref().unwrap_or(&release.chart);
            let why = format!("its chart cannot be pulled: looks like \"{from}\" cannot be reached: no such host");
            return Err(refused(format!("release {}", release.name), why));
        }
        {
            let now = self.centre.now();
            let mut state = self.centre.at_present();
            let there = state.cluster.releases.get(&release_key(&release.namespace, &release.name));
            if there.is_some_and(|there| there.owner != *owner) {
                state.breach(now, format!("release {} is not ours and was to be changed", release.name));
                return Err(refused(release.name.as_str(), "a release of this name is not ours"));
            }
        }
        self.centre.take(timing::HELM).await;
        let wait = {
            let now = self.centre.now();
            let mut state = self.centre.at_present();
            let slow = if state.line() > 1 { 3 } else { 1 };
            let takes = state.jitter(timing::RELEASE_READY) * slow;
            // What brings the network runs on the hosts' own.
            if !release.before_ready && state.schedulable(now) == 0 { None } else { Some(takes) }
        };
        let Some(takes) = wait else {
            self.centre.take(NO_ROOM).await;
            let why =
                format!("its pods stay Pending: no node is Ready and takes pods; {}", self.failed(release, owner));
            return Err(refused(format!("release {}", release.name), why));
        };
        tell(format!("waiting for the pods of {} in {}", release.name, release.namespace));
        self.centre.take(takes).await;
        self.request("helm status").await?;
        let now = self.centre.now();
        let mut state = self.centre.at_present();
        state.cluster.namespaces.insert(release.namespace.clone());
        state.cluster.releases.insert(release_key(&release.namespace, &release.name), installed(release, owner, now));
        state.give_addresses();
        Ok(true)
    }

    /// No chart is rendered here: what its values differ in stands in the place of its objects.
    async fn rendered(&self, release: &DesiredRelease, _holes: &Holes) -> Option<Rendered> {
        let state = self.centre.at_present();
        let there = state.cluster.releases.get(&release_key(&release.namespace, &release.name))?;
        if there.values == release.values {
            return Some(Rendered::Unknown("charts are not rendered in a simulated data centre".into()));
        }
        let object = |values: &Value| {
            let metadata = json!({ "name": release.name, "namespace": release.namespace });
            vec![Manifest(
                json!({ "apiVersion": "simulated", "kind": "Values", "metadata": metadata, "values": values }),
            )]
        };
        Some(Rendered::Objects { there: object(&there.values), wished: object(&release.values) })
    }

    async fn remove(&self, name: &ReleaseName, namespace: &Namespace) -> Result<(), ClusterError> {
        self.request("helm uninstall").await?;
        self.centre.take(timing::HELM).await;
        let mut state = self.centre.at_present();
        state.cluster.releases.remove(&release_key(namespace, name));
        state.forget_vault();
        state.give_addresses();
        Ok(())
    }

    async fn cordon(&self, node: &NodeName, cordoned: bool) -> Result<(), ClusterError> {
        self.request("kubernetes cordon").await?;
        let mut state = self.centre.at_present();
        match state.cluster.nodes.get_mut(node) {
            Some(node) => {
                node.cordoned = cordoned;
                match cordoned {
                    true => drop(node.labels.insert(CORDONED.into(), "true".into())),
                    false => drop(node.labels.remove(CORDONED)),
                }
            }
            None => return Err(refused(format!("node {node}"), "nodes not found")),
        }
        if !cordoned {
            state.cluster.drained.remove(node);
        }
        Ok(())
    }

    async fn drain(
        &self,
        node: &NodeName,
        timeout: Span,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ClusterError> {
        self.request("kubernetes drain").await?;
        let now = self.centre.now();
        let ready = self.centre.at_present().ready(node, now);
        if let Err(why) = ready {
            self.centre.take(u64::try_from(timeout.duration().as_millis()).unwrap_or(u64::MAX)).await;
            return Err(refused(format!("drain of {node}"), format!("its pods do not end: {why}")));
        }
        if self.centre.at_present().cluster.nodes.get(node).is_some_and(|node| !node.cordoned) {
            self.centre.at_present().breach(now, format!("{node} was to be drained while it takes new pods"));
        }
        tell(format!("waiting for the pods of {node} to move"));
        let held = self.centre.at_present().fault(FaultKind::EvictionBlocked).is_some_and(|(fault, course)| {
            let held = fault.target.get_or_insert_with(|| node.clone()) == node;
            course.met += u32::from(held);
            held
        });
        if held {
            self.centre.take(u64::try_from(timeout.duration().as_millis()).unwrap_or(u64::MAX)).await;
            let why = "Pod default/one cannot be evicted: the PodDisruptionBudget default/one allows no disruption";
            return Err(refused(format!("drain of {node}"), why));
        }
        self.centre.take(timing::DRAIN).await;
        let mut state = self.centre.at_present();
        // One that others have cordoned is out of service by their will, before and after.
        if state.cluster.nodes.get(node).is_some_and(|node| node.labels.contains_key(CORDONED)) {
            state.cluster.drained.insert(node.clone());
        }
        Ok(())
    }

    async fn mark(&self, marks: &NodeMarks) -> Result<bool, ClusterError> {
        self.request("kubernetes mark").await?;
        self.centre.at_present().mark(marks)
    }

    async fn set_image(&self, wish: &WorkloadImage) -> Result<bool, ClusterError> {
        self.request("kubernetes patch").await?;
        self.centre.at_present().set_image(wish)
    }

    async fn forget(&self, node: &NodeName) -> Result<(), ClusterError> {
        self.request("kubernetes delete node").await?;
        let now = self.centre.now();
        self.centre.at_present().forget(node, now).map_err(|why| refused(format!("node {node}"), why))
    }

    async fn each_object(&self, each: Each<'_>) -> Result<Vec<(String, String)>, ClusterError> {
        self.request("kubernetes list").await?;
        let (objects, releases, unlisted) = {
            let state = self.centre.at_present();
            let objects: Vec<Value> = state.cluster.objects.values().map(|kept| kept.manifest.0.clone()).collect();
            let releases: Vec<Value> = state.cluster.releases.values().map(kept_by_helm).collect();
            (objects, releases, state.cluster.unlisted.clone())
        };
        let failed = |why: String| refused("an object", why);
        objects.iter().chain(&releases).try_for_each(|object| each(object).map_err(failed))?;
        Ok(unlisted.into_iter().collect())
    }

    async fn vault_snapshot(
        &self,
        _wish: &DesiredVault,
        to: &mut std::fs::File,
    ) -> Result<Option<String>, ClusterError> {
        self.request("kubernetes proxy").await?;
        let written = to.write_all(b"simulated snapshot of Vault\n");
        written.map(|()| None).map_err(|error| refused("Vault", error.to_string()))
    }

    async fn applications(&self) -> Result<Vec<ApplicationSeen>, ClusterError> {
        self.request("kubernetes check").await?;
        let now = self.centre.now();
        Ok(self.centre.at_present().applications_seen(now))
    }

    async fn mend(&self, remedy: &Remedy) -> Result<(), ClusterError> {
        self.request("kubernetes mend").await?;
        let now = self.centre.now();
        self.centre.at_present().mend_applications(remedy, now)
    }

    async fn configure_vault(
        &self,
        wish: &DesiredVault,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<bool, ClusterError> {
        self.request("vault").await?;
        tell("unsealing Vault's servers".into());
        self.centre.take(timing::HELM).await;
        let now = self.centre.now();
        self.centre.at_present().configure_vault(wish, now)
    }

    async fn check(&self, condition: &Condition) -> Result<Checked, ClusterError> {
        match self.request("kubernetes check").await {
            Ok(()) => {}
            Err(ClusterError::Unreachable(why)) => {
                let hint = Some("`kubewright status` tells which servers answer".to_string());
                return Ok(Checked {
                    holds: false,
                    saw: format!("the API does not answer: {why}"),
                    hint,
                    ..Checked::default()
                });
            }
            Err(error) => return Err(error),
        }
        let now = self.centre.now();
        Ok(self.centre.at_present().holds(condition, now))
    }
}

/// The key of a release.
pub(super) fn release_key(namespace: &Namespace, name: &ReleaseName) -> String {
    format!("{namespace}/{name}")
}

fn installed(release: &DesiredRelease, owner: &Owner, ready_at: u64) -> Installed {
    Installed {
        name: release.name.clone(),
        namespace: release.namespace.clone(),
        owner: owner.clone(),
        chart: chart_name(&release.chart).to_string(),
        version: release.version.clone(),
        fingerprint: release.fingerprint(),
        deployed: true,
        values: release.values.clone(),
        ready_at,
        service: addresses::brought(release),
    }
}

pub(super) fn chart_name(chart: &str) -> &str {
    chart.rsplit('/').next().unwrap_or(chart)
}

fn key(id: &ObjectId) -> String {
    format!("{} {id}", id.api_version)
}

fn carries(manifest: &Manifest, owner: &Owner) -> bool {
    let label =
        |name: &str| manifest.0.pointer("/metadata/labels").and_then(|labels| labels.get(name)).and_then(Value::as_str);
    label("app.kubernetes.io/managed-by") == Some("kubewright")
        && label("kubewright.dev/cluster") == Some(owner.0.as_str())
}

/// Every hole in a value must have been filled by somebody.
fn holes_known(value: &Value, holes: &Holes) -> Result<(), ClusterError> {
    match value {
        Value::String(text) => {
            let names = text.split("‹hole:").skip(1).filter_map(|part| part.split_once('›').map(|(name, _)| name));
            let mut unfilled = names.filter(|name| !holes.contains_key(*name));
            unfilled.next().map_or(Ok(()), |name| Err(refused("values", format!("nobody filled {name}"))))
        }
        Value::Array(items) => items.iter().try_for_each(|item| holes_known(item, holes)),
        Value::Object(map) => map.values().try_for_each(|item| holes_known(item, holes)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

impl State {
    fn apply(&mut self, object: &Manifest, owner: &Owner, now: u64) -> Result<bool, ClusterError> {
        let id = object.id().map_err(|missing| refused("an object", format!("{missing} is missing")))?;
        if id.kind == "Node" {
            return self.apply_node(object, &id, now);
        }
        if let Some((who, field)) = self.cluster.set_by_others.get(&id.to_string()) {
            return Err(refused(id.to_string(), format!("others have set what it sets: `{who}` has set {field}")));
        }
        if !carries(object, owner) {
            self.breach(now, format!("{id} was to be written without our mark"));
        }
        let group = id.api_version.split_once('/').map_or("", |(group, _)| group);
        let brought = BRINGS.iter().any(|(kinds, chart)| {
            group.ends_with(kinds) && self.cluster.releases.values().any(|it| it.chart == *chart)
        });
        if !BUILT_IN.contains(&group) && !brought && !self.defined(group) {
            return Err(refused(id.to_string(), format!("no matches for kind \"{}\" in {}", id.kind, id.api_version)));
        }
        if let Some(namespace) = &id.namespace
            && !self.cluster.namespaces.contains(namespace)
        {
            return Err(refused(id.to_string(), format!("namespaces \"{namespace}\" not found")));
        }
        if id.kind == "Namespace" {
            self.cluster.namespaces.insert(id.name.as_str().into());
        }
        let digest = Digest::of_value(object);
        let kept = Kept { id: id.clone(), digest: digest.clone(), manifest: object.clone() };
        let was = self.cluster.objects.insert(key(&id), kept);
        Ok(was.is_none_or(|was| was.digest != digest))
    }

    /// Whether a definition of the group's kinds was applied.
    fn defined(&self, group: &str) -> bool {
        let definitions = self.cluster.objects.values().filter(|kept| kept.id.kind == "CustomResourceDefinition");
        definitions.into_iter().any(|kept| kept.id.name.as_str().ends_with(&format!(".{group}")))
    }

    /// Labels are joined with those that are there. Taints are one list, which is replaced as a whole.
    fn apply_node(&mut self, object: &Manifest, id: &ObjectId, now: u64) -> Result<bool, ClusterError> {
        let Some(node) = self.cluster.nodes.get_mut(id.name.as_str()) else {
            return Err(refused(id.to_string(), "nodes not found"));
        };
        let labels = object.0.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        for (name, value) in labels {
            node.labels.insert(name.clone(), value.as_str().unwrap_or_default().to_string());
        }
        let Some(taints) = object.0.pointer("/spec/taints").and_then(Value::as_array) else { return Ok(true) };
        let texts = taints.iter().map(|taint| {
            let word = |name: &str| taint.get(name).and_then(Value::as_str).unwrap_or_default();
            let value = if word("value").is_empty() { String::new() } else { format!("={}", word("value")) };
            format!("{}{value}:{}", word("key"), word("effect"))
        });
        let was = std::mem::replace(&mut node.taints, texts.collect());
        if let Some(lost) = was.into_iter().find(|taint| !node.taints.contains(taint)) {
            self.breach(now, format!("{} lost the taint {lost} to a list that did not hold it", id.name));
        }
        Ok(true)
    }

    fn mark(&mut self, marks: &NodeMarks) -> Result<bool, ClusterError> {
        let Some(node) = self.cluster.nodes.get_mut(&marks.node) else {
            return Err(refused(format!("node {}", marks.node), "nodes not found"));
        };
        let was = (node.labels.clone(), node.taints.clone());
        node.labels.retain(|key, _| !marks.without_labels.contains(key));
        node.labels.extend(marks.labels.clone());
        node.taints.retain(|taint| !marks.without_taints.contains(taint) && !marks.taints.contains(taint));
        node.taints.extend(marks.taints.iter().cloned());
        Ok(was != (node.labels.clone(), node.taints.clone()))
    }

    /// Nodes that take pods.
    pub(super) fn schedulable(&self, now: u64) -> usize {
        self.cluster.nodes.iter().filter(|(name, node)| !node.cordoned && self.ready(name, now).is_ok()).count()
    }

    /// What it means that the API does not answer: nobody serves for certain, or nobody knows.
    fn nobody_serves(&self, desired: &Desired, now: u64, error: &ClusterError) -> Seen<ClusterSeen> {
        for member in desired.servers() {
            let Some(machine) = self.machine(&member.name) else { continue };
            if machine.seen.power == Power::Stopped {
                return Seen::unknown(format!("{error}; {} is off", member.name));
            }
            if !machine.answers(now) || self.silent(&member.name, now) {
                return Seen::unknown(format!("{error}; {} cannot be asked", member.name));
            }
            // A server that has started and does not serve yet is a cluster that nobody can look at.
            if machine.serves() {
                return Seen::unknown(error.to_string());
            }
        }
        Seen::Absent
    }

    fn cluster_seen(&self, owner: &Owner, now: u64) -> ClusterSeen {
        let nodes = self.cluster.nodes.iter().map(|(name, node)| {
            let seen = NodeSeen {
                ready: self.ready(name, now).is_ok(),
                cordoned: node.cordoned,
                version: node.whole_version().clone(),
                labels: node.labels.clone(),
                taints: node.taints.clone(),
                given: node.given.clone(),
                server: node.server,
                address: self.machine(name).and_then(|machine| machine.seen.address),
            };
            (name.clone(), seen)
        });
        // On kubeadm, pods tell of members: of whoever is no node yet there is none, and a learner's is like any other.
        let told = self.cluster.kubeadm.is_some();
        let members = self.cluster.members.iter().filter(|(name, _)| !told || self.cluster.nodes.contains_key(*name));
        let members = members.map(|(name, votes_at)| {
            (name.clone(), MemberSeen { voter: told || now >= *votes_at, healthy: self.serves(name, now) })
        });
        let unlisted = self.cluster.unlisted.clone();
        let objects = self.cluster.objects.values().filter(|kept| carries(&kept.manifest, owner));
        let objects = objects.filter(|kept| !unlisted.contains_key(&kept.id.kind_of_group()));
        let releases = self.cluster.releases.values().map(|release| {
            let seen = ReleaseSeen {
                owner: Some(release.owner.clone()),
                version: release.version.clone(),
                fingerprint: Some(release.fingerprint.clone()),
                deployed: release.deployed,
                rendered: None,
            };
            ((release.namespace.clone(), release.name.clone()), seen)
        });
        ClusterSeen {
            certificates: BTreeMap::new(),
            nodes: nodes.collect(),
            members: members.collect(),
            namespaces: self.cluster.namespaces.clone(),
            objects: objects.map(|kept| (kept.id.clone(), kept.digest.clone())).collect::<BTreeMap<_, _>>(),
            unlisted,
            releases: releases.collect(),
            services: self.services_seen(),
            applications: self.applications_seen(now),
            vault: self.vault_seen(now),
            kube_proxy: self.cluster.kube_proxy.clone(),
        }
    }
}

/// A release as Helm keeps it, as much of it as is told of one.
fn kept_by_helm(release: &Installed) -> Value {
    let content = json!({
        "name": release.name,
        "namespace": release.namespace,
        "version": 1,
        "info": { "status": if release.deployed { "deployed" } else { "failed" } },
        "chart": { "metadata": { "name": release.chart, "version": release.version } },
        "config": release.values,
    });
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = packed.write_all(content.to_string().as_bytes()).and_then(|()| packed.finish()).unwrap_or_default();
    let text = BASE64_STANDARD.encode(BASE64_STANDARD.encode(packed));
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": format!("sh.helm.release.v1.{}.v1", release.name), "namespace": release.namespace },
        "type": "helm.sh/release.v1",
        "data": { "release": text },
    })
}
