//! Workloads: rolled out as `kubectl rollout status` means it, done, or bound; and why they are not.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{Api, ListParams};
use kube::core::Selector;
use kube::{Client, ResourceExt as _};
use kubewright_model::spec::verify::{WorkloadCheck, WorkloadKind};
use serde::de::DeserializeOwned;

use super::super::failure::failed;
use super::super::look::all;
use super::events::{about, lines};
use super::pods::{failing, last_words, pods};
use super::{Answer, Failing, claims, fails, holds};
use crate::cluster::ClusterError;

/// How far a workload is.
#[derive(Debug, PartialEq, Eq)]
enum Stand {
    /// As it should be.
    Well(String),
    /// Not so: what is missing, in a sentence.
    Short(String),
    /// Whoever is to make its pods cannot, or has given up: in its own words.
    Stuck(String),
}

/// A workload as it is told: its kind, its name, how far it is, and which pods are its own.
struct Told {
    kind: WorkloadKind,
    name: String,
    stand: Stand,
    selector: Option<LabelSelector>,
}

/// Whether a workload, or all of a kind in a namespace, is as it should be.
pub(super) async fn check(client: &Client, check: &WorkloadCheck) -> Result<Answer, ClusterError> {
    let told: Vec<Told> = match check.kind {
        WorkloadKind::Deployment => listed(client, check).await?.iter().map(deployment).collect(),
        WorkloadKind::DaemonSet => listed(client, check).await?.iter().map(daemon_set).collect(),
        WorkloadKind::StatefulSet => listed(client, check).await?.iter().map(stateful_set).collect(),
        WorkloadKind::Job => listed(client, check).await?.iter().map(job).collect(),
        WorkloadKind::PersistentVolumeClaim => return bound(client, check).await,
    };
    if told.is_empty() {
        return Ok(absent(check));
    }
    let short = told.iter().find(|it| matches!(it.stand, Stand::Stuck(_)));
    match short.or_else(|| told.iter().find(|it| matches!(it.stand, Stand::Short(_)))) {
        Some(worst) => Ok(Err(cause(client, check, worst).await?)),
        None => Ok(holds(match told.as_slice() {
            [Told { name, stand: Stand::Well(saw), .. }] => format!("{} {name}: {saw}", check.kind.word()),
            many => {
                format!("{} of kind {} in {} are as they should be", many.len(), check.kind.word(), check.namespace)
            }
        })),
    }
}

fn absent(check: &WorkloadCheck) -> Answer {
    let saw = match &check.name {
        Some(_) => format!("{check} is not there"),
        None => format!("there is no {} in {}", check.kind.word(), check.namespace),
    };
    fails(saw, "install what it belongs to")
}

/// Those that are meant.
async fn listed<K>(client: &Client, check: &WorkloadCheck) -> Result<Vec<K>, ClusterError>
where
    K: kube::Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug + Send,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::namespaced(client.clone(), check.namespace.as_str());
    let found = match &check.name {
        Some(name) => api.get_opt(name.as_str()).await.map(|found| found.into_iter().collect()),
        None => all(&api, &ListParams::default()).await,
    };
    found.map_err(|error| failed(&check.to_string(), &error))
}

/// Why it does not stand as it should: what its pods say, or else what was warned of about it.
async fn cause(client: &Client, check: &WorkloadCheck, told: &Told) -> Result<Failing, ClusterError> {
    let (Stand::Short(words) | Stand::Stuck(words) | Stand::Well(words)) = &told.stand;
    let saw = format!("{} {}: {words}", told.kind.word(), told.name);
    let selector = told.selector.clone().and_then(|selector| Selector::try_from(selector).ok());
    let own = match selector {
        Some(selector) => pods(client, Some(check.namespace.as_str()), Some(&selector.to_string())).await?,
        None => Vec::new(),
    };
    if told.kind == WorkloadKind::Job {
        let log = last_words(client, &own).await;
        let log = if log.is_empty() { lines(&about(client, &check.namespace, "Job", &told.name).await) } else { log };
        let hint = match &told.stand {
            Stand::Stuck(_) => {
                Some("its last lines tell why: a Job that failed runs again only when it is made anew".into())
            }
            _ => None,
        };
        let pending = failing(client, &own).await.filter(|_| log.is_empty());
        return Ok(match pending {
            Some(pending) => Failing { saw: format!("{saw}; {}", pending.saw), ..pending },
            None => Failing { saw, log, hint, ..Failing::default() },
        });
    }
    if let Some(failing) = failing(client, &own).await {
        return Ok(Failing { saw: format!("{saw}; {}", failing.saw), ..failing });
    }
    let log = lines(&about(client, &check.namespace, told.kind.word(), &told.name).await);
    let forbids = words.contains("forbidden") || log.iter().any(|line| line.contains("forbidden"));
    let hint = forbids.then(|| "a quota or a policy of the namespace keeps its pods from being made".to_string());
    Ok(Failing { saw, log, hint, ..Failing::default() })
}

/// Whether a controller has seen the newest form of what it looks after.
fn heard(generation: Option<i64>, observed: Option<i64>) -> bool {
    generation.unwrap_or_default() <= observed.unwrap_or_default()
}

fn of(kind: WorkloadKind, name: String, stand: Stand, selector: Option<LabelSelector>) -> Told {
    Told { kind, name, stand, selector }
}

/// How far a number of pods is: those of the newest form, those that are available, and those of an older form.
fn pods_stand(wanted: i32, newest: i32, available: i32, older: i32) -> Stand {
    if newest < wanted {
        Stand::Short(format!("{newest} of {wanted} pods are of its newest form"))
    } else if available < wanted {
        Stand::Short(format!("{available} of {wanted} pods are available"))
    } else if older > 0 {
        Stand::Short(format!("{older} pods of an older form have not gone yet"))
    } else {
        Stand::Well(format!("{available} of {wanted} pods are available"))
    }
}

const UNSEEN: &str = "its controller has not seen its newest form yet";

fn deployment(it: &Deployment) -> Told {
    let (spec, status) = (it.spec.as_ref(), it.status.clone().unwrap_or_default());
    let condition = |kind: &str, value: &str| {
        let mut all = status.conditions.iter().flatten();
        all.find(|it| it.type_ == kind && it.status == value).and_then(|it| it.message.clone())
    };
    let refused = condition("ReplicaFailure", "True").or_else(|| condition("Progressing", "False"));
    let wanted = spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let newest = status.updated_replicas.unwrap_or_default();
    let older = status.replicas.unwrap_or_default() - newest;
    let stand = match pods_stand(wanted, newest, status.available_replicas.unwrap_or_default(), older) {
        _ if !heard(it.metadata.generation, status.observed_generation) => Stand::Short(UNSEEN.into()),
        Stand::Short(words) => refused.map_or(Stand::Short(words), Stand::Stuck),
        well => well,
    };
    of(WorkloadKind::Deployment, it.name_any(), stand, spec.map(|spec| spec.selector.clone()))
}

fn stateful_set(it: &StatefulSet) -> Told {
    let (spec, status) = (it.spec.as_ref(), it.status.clone().unwrap_or_default());
    let wanted = spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let strategy = spec.and_then(|spec| spec.update_strategy.as_ref());
    // Below the partition, and with OnDelete everywhere, pods stay of the older form on purpose.
    let on_delete = strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete"));
    let partition = strategy.and_then(|strategy| strategy.rolling_update.as_ref()?.partition).unwrap_or_default();
    let newest = match on_delete || partition > 0 {
        true => wanted,
        false if status.current_revision == status.update_revision => wanted,
        false => status.updated_replicas.unwrap_or_default(),
    };
    let stand = match heard(it.metadata.generation, status.observed_generation) {
        false => Stand::Short(UNSEEN.into()),
        true => pods_stand(wanted, newest, status.ready_replicas.unwrap_or_default(), 0),
    };
    of(WorkloadKind::StatefulSet, it.name_any(), stand, spec.map(|spec| spec.selector.clone()))
}

fn daemon_set(it: &DaemonSet) -> Told {
    let (spec, status) = (it.spec.as_ref(), it.status.clone().unwrap_or_default());
    let wanted = status.desired_number_scheduled;
    let strategy = spec.and_then(|spec| spec.update_strategy.as_ref()?.type_.as_deref());
    let newest = match strategy {
        Some("OnDelete") => wanted,
        _ => status.updated_number_scheduled.unwrap_or_default(),
    };
    let stand = match heard(it.metadata.generation, status.observed_generation) {
        false => Stand::Short(UNSEEN.into()),
        true => pods_stand(wanted, newest, status.number_available.unwrap_or_default(), 0),
    };
    of(WorkloadKind::DaemonSet, it.name_any(), stand, spec.map(|spec| spec.selector.clone()))
}

/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions>
fn job(it: &Job) -> Told {
    let (spec, status) = (it.spec.as_ref(), it.status.clone().unwrap_or_default());
    let condition = |kind: &str| {
        let mut all = status.conditions.iter().flatten();
        all.find(|it| it.type_ == kind && it.status == "True")
    };
    let done = status.succeeded.unwrap_or_default();
    let wanted = spec.and_then(|spec| spec.completions).unwrap_or(1);
    let stand = if let Some(failed) = condition("Failed") {
        let (reason, message) = (failed.reason.as_deref().unwrap_or("Failed"), failed.message.as_deref());
        Stand::Stuck(format!("it failed: {reason}: {}", message.unwrap_or_default().trim()))
    } else if condition("Complete").is_some() {
        Stand::Well(format!("{done} of {wanted} pods have done their work"))
    } else if condition("Suspended").is_some() {
        Stand::Stuck("it is suspended: nobody starts its pods".into())
    } else {
        let (active, failed) = (status.active.unwrap_or_default(), status.failed.unwrap_or_default());
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        Stand::Short(format!("{done} of {wanted} pods have done their work, {active} are at it{failed}"))
    };
    of(WorkloadKind::Job, it.name_any(), stand, spec.and_then(|spec| spec.selector.clone()))
}

/// Claims that are bound.
async fn bound(client: &Client, check: &WorkloadCheck) -> Result<Answer, ClusterError> {
    let claims: Vec<PersistentVolumeClaim> = listed(client, check).await?;
    if claims.is_empty() {
        return Ok(absent(check));
    }
    for claim in &claims {
        if let Some(failing) = claims::unbound(client, &check.namespace, claim).await? {
            return Ok(Err(failing));
        }
    }
    Ok(holds(match claims.as_slice() {
        [only] => format!("{} is bound", only.name_any()),
        many => format!("{} claims in {} are bound", many.len(), check.namespace),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read<K: DeserializeOwned>(kind: &str, mut object: Value) -> K {
        object["kind"] = kind.into();
        object["apiVersion"] = if kind == "Job" { "batch/v1" } else { "apps/v1" }.into();
        object["metadata"]["name"] = "web".into();
        serde_json::from_value(object).unwrap()
    }

    fn short(words: &str) -> Stand {
        Stand::Short(words.into())
    }

    /// A rollout that goes on is not done because enough pods of the older form run.
    #[test]
    fn a_deployment_is_rolled_out_when_only_its_newest_form_runs() {
        let stand = |status: Value| {
            let spec = json!({ "replicas": 2, "selector": {}, "template": {} });
            deployment(&read("Deployment", json!({ "metadata": { "generation": 3 }, "spec": spec, "status": status })))
                .stand
        };
        let status = |newest: i32, all: i32, available: i32| json!({ "observedGeneration": 3, "updatedReplicas": newest, "replicas": all, "availableReplicas": available });
        assert_eq!(
            stand(json!({ "observedGeneration": 2, "updatedReplicas": 2, "availableReplicas": 2 })),
            short(UNSEEN)
        );
        assert_eq!(stand(status(1, 3, 2)), short("1 of 2 pods are of its newest form"));
        assert_eq!(stand(status(2, 3, 3)), short("1 pods of an older form have not gone yet"));
        assert_eq!(stand(status(2, 2, 1)), short("1 of 2 pods are available"));
        assert_eq!(stand(status(2, 2, 2)), Stand::Well("2 of 2 pods are available".into()));
        let mut late = status(0, 0, 0);
        late["conditions"] = json!([{ "type": "Progressing", "status": "False", "message": "it took too long" }]);
        assert_eq!(stand(late.clone()), Stand::Stuck("it took too long".into()));
        late["conditions"][0] = json!({ "type": "ReplicaFailure", "status": "True", "message": "exceeded quota" });
        assert_eq!(stand(late), Stand::Stuck("exceeded quota".into()));
    }

    #[test]
    fn what_stays_of_an_older_form_on_purpose_is_well() {
        let stand = |strategy: Value| {
            let spec =
                json!({ "replicas": 3, "serviceName": "", "selector": {}, "template": {}, "updateStrategy": strategy });
            let status = json!({ "observedGeneration": 1, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 1,
                "currentRevision": "a", "updateRevision": "b" });
            let object = json!({ "metadata": { "generation": 1 }, "spec": spec, "status": status });
            stateful_set(&read("StatefulSet", object)).stand
        };
        assert_eq!(stand(json!({ "type": "RollingUpdate" })), short("1 of 3 pods are of its newest form"));
        let well = Stand::Well("3 of 3 pods are available".into());
        assert_eq!(stand(json!({ "type": "OnDelete" })), well);
        assert_eq!(stand(json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 2 } })), well);
        let status = json!({ "observedGeneration": 1, "desiredNumberScheduled": 3, "currentNumberScheduled": 3,
            "numberMisscheduled": 0, "numberReady": 3, "numberAvailable": 2, "updatedNumberScheduled": 3 });
        let object =
            json!({ "metadata": { "generation": 1 }, "spec": { "selector": {}, "template": {} }, "status": status });
        assert_eq!(daemon_set(&read("DaemonSet", object)).stand, short("2 of 3 pods are available"));
    }

    #[test]
    fn a_job_is_done_failed_or_at_it() {
        let stand = |status: Value| {
            job(&read("Job", json!({ "spec": { "template": {}, "completions": 2 }, "status": status }))).stand
        };
        assert_eq!(
            stand(json!({ "active": 1, "succeeded": 1, "failed": 2 })),
            short("1 of 2 pods have done their work, 1 are at it, 2 failed")
        );
        let ended = |kind: &str| {
            json!({ "succeeded": 2, "conditions": [{ "type": kind, "status": "True",
            "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit" }] })
        };
        assert_eq!(stand(ended("Complete")), Stand::Well("2 of 2 pods have done their work".into()));
        let why = "it failed: BackoffLimitExceeded: Job has reached the specified backoff limit";
        assert_eq!(stand(ended("Failed")), Stand::Stuck(why.into()));
        assert_eq!(stand(ended("Suspended")), Stand::Stuck("it is suspended: nobody starts its pods".into()));
    }
}
