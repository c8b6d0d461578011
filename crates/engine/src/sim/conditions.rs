//! Whether a condition holds in the pretend cluster.
//!
//! What an application answers, and what stands in somebody's Git, is beyond the pretend world: where everything on the
//! way to it is there, it answers as the check expects. What is on the way is checked.

use kubewright_model::bundle::Canary;
use kubewright_model::checked::Part;
use kubewright_model::condition::Condition;
use kubewright_model::ids::{Namespace, NodeName, ReleaseName};
use kubewright_model::net::HostPort;
use kubewright_model::object::ObjectKey;
use kubewright_model::observed::ServiceSeen;
use kubewright_model::spec::verify::{ObjectCheck, PodCheck, UrlCheck, WorkloadCheck};
use kubewright_planner::applications::judge;
use serde_json::Value;

use super::kubernetes::Kept;
use super::network::Door;
use super::state::State;
use crate::cluster::{Checked, canary_says, elsewhere};
use crate::verify::inside;

/// Pods that a release has beside those on each node.
const PODS_PER_RELEASE: usize = 3;

/// How many pods a chart brings beside those that are on every node. That of kube-prometheus-stack: its operator, Grafana,
/// kube-state-metrics, and Prometheus and Alertmanager, which the operator makes.
fn pods_of(chart: &str) -> usize {
    if chart == "kube-prometheus-stack" { 5 } else { PODS_PER_RELEASE }
}

/// Names that are told in one sentence.
const TOLD: usize = 5;

pub(super) type Answer = Result<String, (String, String)>;

impl State {
    /// Looks once.
    pub(super) fn holds(&self, condition: &Condition, now: u64) -> Checked {
        if let Condition::Applications(check) = condition
            && self.applications.is_some()
            && self.runs("argo-cd", now).is_ok()
        {
            let checked = judge(check, &self.applications_seen(now));
            return Checked { saw: format!("{} (what Git holds is not simulated)", checked.saw), ..checked };
        }
        let parts = self.parts(condition, now);
        match self.answer(condition, now) {
            Ok(saw) => Checked { holds: true, saw, parts, ..Checked::default() },
            Err((saw, hint)) => {
                let hint = (!hint.is_empty()).then_some(hint);
                Checked { holds: false, saw, hint, parts, ..Checked::default() }
            }
        }
    }

    /// Each node, where nodes are asked for.
    fn parts(&self, condition: &Condition, now: u64) -> Vec<Part> {
        let nodes: Vec<&NodeName> = match condition {
            Condition::NodesReady { nodes, .. } => nodes.iter().collect(),
            Condition::Pods(check) if check.per_node => self.cluster.nodes.keys().collect(),
            _ => return Vec::new(),
        };
        let part = |name: &NodeName| {
            let address = self.machine(name).and_then(|machine| machine.seen.address);
            let ready = self.ready(name, now);
            Part {
                name: name.to_string(),
                address: address.map(|address| address.to_string()).unwrap_or_default(),
                holds: ready.is_ok(),
                saw: ready.err().unwrap_or_else(|| "Ready".into()),
                milliseconds: None,
            }
        };
        nodes.into_iter().map(part).collect()
    }

    fn answer(&self, condition: &Condition, now: u64) -> Answer {
        match condition {
            Condition::NodesReady { nodes, at_least } => self.nodes_ready(nodes, *at_least, now),
            Condition::SystemPods => match self.schedulable(now) {
                0 => Err(("coredns is Pending: no node takes pods".into(), "uncordon a node".into())),
                _ => Ok("coredns and its neighbours run".into()),
            },
            Condition::Api(at) => match self.reaches(Door::Api, at, now) {
                Ok(()) if self.outside.is_some() && self.outside == at.address() => {
                    Ok(format!("{at} answers (simulated: it is outside of the spec, and taken as given)"))
                }
                Ok(()) => Ok(format!("{at} answers")),
                Err(why) => Err((why, "bring back what stands at this address".into())),
            },
            Condition::Pods(check) => self.pods(check, now),
            Condition::Workload(check) => self.workload(check, now),
            Condition::Objects(check) => self.objects(check, now),
            Condition::Address(key) => self.addressed(key),
            Condition::Url(check) => self.url(check, now),
            Condition::Service { at, .. } => match inside(at) {
                Some((namespace, name)) => self.service(at, namespace, name, now),
                None => Err((elsewhere(condition).to_string(), String::new())),
            },
            Condition::EachNode { .. } | Condition::Targets(_) => {
                Err((elsewhere(condition).to_string(), String::new()))
            }
            Condition::NodePorts { service, ports } => self.node_ports(service, ports, now),
            Condition::Certificates(check) => {
                let issued = self.objects_of("Certificate") + self.count_tls();
                let git = Namespace::from("cert-manager");
                match self.runs("cert-manager", now) {
                    // The application brings it with its ClusterIssuers, and those of others ask for certificates.
                    Err(_) if self.brought(Some(&git), now) && self.brought(None, now) => {
                        Ok(format!("{} Ready (what Git holds is not simulated)", certificates(check.at_least as usize)))
                    }
                    Ok(()) if issued >= check.at_least as usize => Ok(format!("{} Ready", certificates(issued))),
                    Ok(()) => Err((format!("{issued} of {} certificates are there", check.at_least), String::new())),
                    Err(why) => Err((why, "certificates are cert-manager's".into())),
                }
            }
            Condition::Applications(check) => match self.runs("argo-cd", now) {
                Ok(()) => Ok(format!("{} applications are Synced (what Git holds is not simulated)", check.count)),
                Err(why) => Err((why, "applications are Argo CD's".into())),
            },
            Condition::Vault(wish) => self.vault_open(wish, now),
            Condition::Canary(bundle) => self.canary(bundle),
            Condition::Release { name, namespace } => self.release(name, namespace, now),
            Condition::Route { host } => match self.route(host) {
                Some(_) => Ok(format!("an Ingress routes {host}")),
                None => Err((format!("no Ingress routes {host}"), "apply the `routes` objects".into())),
            },
        }
    }

    fn nodes_ready(&self, nodes: &[NodeName], at_least: usize, now: u64) -> Answer {
        let mut waiting = Vec::new();
        for node in nodes {
            let server = self.cluster.nodes.get(node).is_some_and(|node| node.server);
            let serves =
                |()| if server && !self.serves(node, now) { Err("its API server starts".into()) } else { Ok(()) };
            if let Err(why) = self.ready(node, now).and_then(serves) {
                waiting.push(format!("{node}: {why}"));
            }
        }
        let ready = nodes.len() - waiting.len();
        if ready >= at_least {
            return Ok(format!("{ready} of {} nodes Ready", nodes.len()));
        }
        let hint = "`kubewright status` tells more of these nodes";
        Err((format!("{ready} of {} nodes Ready; {}", nodes.len(), told(&waiting)), hint.into()))
    }

    fn pods(&self, check: &PodCheck, now: u64) -> Answer {
        let nodes = self.schedulable(now);
        let here = |namespace: &Namespace| check.namespace.as_ref().is_none_or(|wanted| wanted == namespace);
        let releases = self.cluster.releases.values().filter(|release| here(&release.namespace));
        let there = releases.filter(|release| now >= release.ready_at);
        let of_releases: usize = there.map(|release| pods_of(&release.chart) + nodes).sum();
        let workloads = ["Deployment", "StatefulSet", "DaemonSet", "Pod"];
        let of_objects = self
            .cluster
            .objects
            .values()
            .filter(|kept| workloads.contains(&kept.id.kind.as_str()))
            .filter(|kept| kept.id.namespace.as_ref().is_some_and(here))
            .count();
        let system = check.namespace.as_ref().is_none_or(|namespace| namespace.as_str() == "kube-system");
        let pods =
            if nodes == 0 { 0 } else { of_releases + of_objects + if system { nodes + PODS_PER_RELEASE } else { 0 } };
        let needed = if check.per_node { nodes } else { check.at_least as usize };
        let place = check.namespace.as_ref().map_or("all namespaces", Namespace::as_str);
        if pods < needed && nodes > 0 && self.brought(check.namespace.as_ref(), now) {
            Ok(format!("{needed} pods run in {place} (what Git holds is not simulated)"))
        } else if pods >= needed && pods > 0 {
            Ok(format!("{pods} pods run in {place} (their number is simulated)"))
        } else {
            Err((format!("{pods} pods run in {place}, {needed} are needed"), "install what they belong to".into()))
        }
    }

    /// What charts bring is not simulated one by one: where a release of the namespace runs, its workloads do.
    fn workload(&self, check: &WorkloadCheck, now: u64) -> Answer {
        let releases = self.cluster.releases.values();
        let runs = releases.filter(|it| it.namespace == check.namespace).any(|release| now >= release.ready_at);
        let here =
            |kept: &&Kept| kept.id.kind == check.kind.word() && kept.id.namespace.as_ref() == Some(&check.namespace);
        let named = |kept: &&Kept| check.name.as_ref().is_none_or(|name| *name == kept.id.name);
        let applied = self.cluster.objects.values().filter(here).any(|kept| named(&kept));
        let brought = self.brought(Some(&check.namespace), now);
        if !runs && !applied && !brought && check.namespace.as_str() != "kube-system" {
            return Err((format!("{check}: it is not there"), "install what it belongs to".into()));
        }
        match self.schedulable(now) {
            0 => Err((format!("{check}: its pods are Pending: no node takes them"), "uncordon a node".into())),
            _ => Ok(format!("{check} is as it should be (simulated)")),
        }
    }

    /// Objects of the spec are there when they are applied, others when Argo CD has brought what Git holds.
    fn objects(&self, check: &ObjectCheck, now: u64) -> Answer {
        let here = |namespace: Option<&Namespace>| check.namespace.as_ref().is_none_or(|it| Some(it) == namespace);
        let there = self.cluster.objects.values().map(|kept| &kept.id);
        let there = there.filter(|id| check.is_of(&id.kind, &id.kind_of_group()) && here(id.namespace.as_ref()));
        let names: Vec<&str> = there.map(|id| id.name.as_str()).collect();
        let missing: Vec<String> =
            check.names.iter().filter(|name| !names.contains(&name.as_str())).map(ToString::to_string).collect();
        match (missing.as_slice(), names.len() >= check.at_least as usize) {
            ([], true) if names.len() == 1 => Ok(format!("1 {} is there", check.kind)),
            ([], true) => Ok(format!("{} objects of kind {} are there", names.len(), check.kind)),
            _ if self.brought(check.namespace.as_ref(), now) => {
                Ok(format!("{} is there (what Git holds is not simulated)", check.kind))
            }
            ([], false) => {
                Err((format!("{} of {} {} are there", names.len(), check.at_least, check.kind), String::new()))
            }
            (missing, _) => Err((format!("{} {} is not there", check.kind, told(missing)), "apply it".into())),
        }
    }

    fn addressed(&self, key: &ObjectKey) -> Answer {
        match self.services_seen().get(key) {
            None => Err((format!("Service {key} is not there"), "install what it belongs to".into())),
            Some(ServiceSeen { addresses, why, .. }) => match why {
                None => Ok(format!("{key} has {}", addresses.join(", "))),
                Some(why) => Err((format!("{key} has no address: {why}"), "give the pools more addresses".into())),
            },
        }
    }

    fn url(&self, check: &UrlCheck, now: u64) -> Answer {
        let rest = check.url.split_once("://").map_or(check.url.as_str(), |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or(rest);
        let usual = if check.url.starts_with("https:") { 443 } else { 80 };
        let (bare, port) = authority.rsplit_once(':').map_or((authority, ""), |parts| parts);
        let port = port.parse().unwrap_or(usual);
        let up = |name: &NodeName| match self.is_balancer(name) {
            true => self.balancer_answers(name, port, now),
            false => self.ready(name, now),
        };
        if let Some(name) = bare.parse().ok().and_then(|address| self.at(address))
            && let Err(why) = up(name)
        {
            return Err((format!("{bare} does not answer: {name}: {why}"), "bring this node back".into()));
        }
        let host = check.host.as_deref().unwrap_or(bare);
        let expected = check.status.first().copied().unwrap_or(200);
        match self.route(host) {
            Some(Some(service)) => {
                let there = self
                    .cluster
                    .releases
                    .values()
                    .any(|release| release.namespace == service.0 && now >= release.ready_at);
                match there {
                    true => Ok(format!("{expected} through the route of {host} (the answer is simulated)")),
                    false => {
                        Err((format!("503: nothing runs behind {}", service.0), "install what it leads to".into()))
                    }
                }
            }
            Some(None) => Ok(format!("{expected} (the answer is simulated)")),
            // A name or an address that no route has leads somewhere that is not the cluster's to know.
            None if check.host.is_none() => Ok(format!("{expected} (the answer is simulated)")),
            None if self.cluster.releases.values().any(|release| release.chart == "argo-cd") => {
                Ok(format!("{expected}: applications bring the route of {host} (simulated)"))
            }
            None => Err((format!("404: no route of {host}"), "add it to `ingress.routes`".into())),
        }
    }

    /// The Ingress for a host, and where it leads when it leads into one namespace.
    fn route(&self, host: &str) -> Option<Option<(Namespace, String)>> {
        let routes = self.cluster.objects.values().filter(|kept| kept.id.kind == "Ingress");
        for kept in routes {
            let rules = kept.manifest.0.pointer("/spec/rules").and_then(Value::as_array).into_iter().flatten();
            for rule in rules {
                if rule.get("host").and_then(Value::as_str) == Some(host) {
                    let service = rule.pointer("/http/paths/0/backend/service/name").and_then(Value::as_str);
                    return Some(kept.id.namespace.clone().zip(service.map(str::to_string)));
                }
            }
        }
        None
    }

    fn service(&self, at: &HostPort, namespace: &str, name: &str, now: u64) -> Answer {
        let releases = self.cluster.releases.values();
        let there = releases.filter(|it| now >= it.ready_at).any(|it| it.namespace.as_str() == namespace)
            || self.cluster.objects.values().any(|kept| kept.id.kind == "Service" && kept.id.name.as_str() == name);
        match there {
            true => Ok(format!("{at} greets (simulated)")),
            false => Err((format!("nothing runs in {namespace}"), "install what it belongs to".into())),
        }
    }

    /// A chart's Service is there with its release, with the ports that its values say.
    fn node_ports(&self, service: &ObjectKey, ports: &[u16], now: u64) -> Answer {
        let releases = self.cluster.releases.values();
        let there = releases.filter(|it| now >= it.ready_at).any(|it| it.namespace == service.namespace);
        let told = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        match there {
            true => Ok(format!("{service} has {told} (simulated)")),
            false => Err((format!("Service {service} is not there"), "install what it belongs to".into())),
        }
    }

    fn release(&self, name: &ReleaseName, namespace: &Namespace, now: u64) -> Answer {
        match self.cluster.releases.get(&super::api::release_key(namespace, name)) {
            None => Err((format!("release {name} is not installed"), "`kubewright apply` installs it".into())),
            Some(_) if self.schedulable(now) == 0 => {
                Err((format!("the pods of {name} are Pending: no node takes them"), String::new()))
            }
            Some(there) if !there.deployed => {
                Err((format!("release {name} is failed"), "`kubewright apply` installs it again".into()))
            }
            Some(there) if now < there.ready_at => Err((format!("the pods of {name} start"), String::new())),
            Some(_) => Ok(format!("the pods of {name} run")),
        }
    }

    pub(super) fn runs(&self, chart: &str, now: u64) -> Result<(), String> {
        match self.cluster.releases.values().find(|release| release.chart == chart) {
            None => Err(format!("{chart} is not installed")),
            Some(release) if now < release.ready_at => Err(format!("{chart} starts")),
            Some(_) => Ok(()),
        }
    }

    /// What the canary says.
    fn canary(&self, bundle: &str) -> Answer {
        let kept = self.cluster.objects.values().find(|kept| kept.id == Canary::id());
        let says = kept.and_then(|kept| kept.manifest.0.pointer("/data/bundle")).and_then(Value::as_str);
        canary_says(bundle, says)
    }

    fn objects_of(&self, kind: &str) -> usize {
        self.cluster.objects.values().filter(|kept| kept.id.kind == kind).count()
    }

    /// Ingresses with TLS: each gets a certificate.
    fn count_tls(&self) -> usize {
        let ingresses = self.cluster.objects.values().filter(|kept| kept.id.kind == "Ingress");
        ingresses.filter(|kept| kept.manifest.0.pointer("/spec/tls").is_some()).count()
    }
}

fn certificates(number: usize) -> String {
    if number == 1 { "1 certificate is".into() } else { format!("{number} certificates are") }
}

/// The first few, and how many more.
fn told(all: &[String]) -> String {
    let first = all.iter().take(TOLD).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(TOLD) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
