//! Whether a condition holds: what was seen, the likely cause when it does not, and what to do.

pub(super) mod addresses;
mod claims;
pub(super) mod custom;
pub(super) mod events;
pub(super) mod pods;
mod things;
mod urls;
mod workloads;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use kubewright_model::checked::Part;
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Desired, DesiredKubernetes};
use kubewright_model::ids::NodeName;
use kubewright_model::net::HostPort;

use super::applications;
use super::drain::few;
use super::failure::failed;
use super::look::{all, condition, internal, is_ready, is_server, nodes, not_serving};
use super::reach::Session;
use super::vault;
use crate::cluster::{Checked, ClusterError, elsewhere};

/// What a look came to: what was seen, or what was seen instead of what should be.
pub(super) type Answer = Result<Good, Failing>;

/// Something that holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Good {
    /// What was seen.
    pub(super) saw: String,
    /// What was seen of each, where there are several.
    pub(super) parts: Vec<Part>,
}

/// Something that does not hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Failing {
    /// What was seen.
    pub(super) saw: String,
    /// What tells the cause.
    pub(super) log: Vec<String>,
    /// What to do.
    pub(super) hint: Option<String>,
    /// What was seen of each, where there are several.
    pub(super) parts: Vec<Part>,
}

impl From<String> for Good {
    fn from(saw: String) -> Self {
        Self { saw, parts: Vec::new() }
    }
}

/// It holds.
pub(super) fn holds(saw: String) -> Answer {
    Ok(saw.into())
}

/// It does not hold.
pub(super) fn fails(saw: impl Into<String>, hint: impl Into<String>) -> Answer {
    let hint = hint.into();
    Err(Failing { saw: saw.into(), hint: (!hint.is_empty()).then_some(hint), ..Failing::default() })
}

/// What there is to say when no server answers. Why, is told where it is asked for: the rest follows from it.
pub(super) fn no_answer(condition: &Condition, error: &ClusterError) -> Checked {
    let whole = matches!(condition, Condition::Api(_) | Condition::NodesReady { .. });
    let saw = if whole { error.to_string() } else { "the Kubernetes API does not answer".into() };
    let hint = whole.then(|| "`kubewright status` tells which servers answer".to_string());
    Checked { holds: false, saw, hint, ..Checked::default() }
}

/// Looks once.
pub(super) async fn check(
    session: &Session,
    desired: &Desired,
    condition: &Condition,
) -> Result<Checked, ClusterError> {
    let client = &session.client;
    let answer = match condition {
        Condition::NodesReady { nodes, at_least } => {
            nodes_ready(session, nodes, *at_least, &desired.kubernetes).await?
        }
        Condition::SystemPods => pods::system(client).await?,
        Condition::Api(at) => api(session, at).await,
        Condition::Pods(check) => pods::run(client, check).await?,
        Condition::Workload(check) => workloads::check(client, check).await?,
        Condition::Objects(check) => things::objects(client, check).await?,
        Condition::Address(key) => addresses::address(client, key).await?,
        Condition::Url(check) => urls::answers(check).await,
        Condition::Service { at, .. } => match crate::verify::inside(at) {
            Some((namespace, name)) => custom::service(client, namespace, name, at.port).await?,
            None => return Err(elsewhere(condition)),
        },
        Condition::NodePorts { service, ports } => addresses::node_ports(client, service, ports).await?,
        Condition::Certificates(check) => custom::certificates(client, check).await?,
        Condition::Vault(wish) => vault::check(client, wish).await,
        Condition::Canary(bundle) => things::canary(client, bundle).await?,
        Condition::Applications(check) => return applications::check(client, check).await,
        Condition::Release { name, namespace } => pods::release(client, name, namespace).await?,
        Condition::Route { host } => route(session, host).await?,
        Condition::EachNode { .. } | Condition::Targets(_) => return Err(elsewhere(condition)),
    };
    Ok(match answer {
        Ok(Good { saw, parts }) => Checked { holds: true, saw, parts, ..Checked::default() },
        Err(Failing { saw, log, hint, parts }) => Checked { holds: false, saw, log, hint, parts, warning: None },
    })
}

/// A server counts only while its own API server answers.
async fn nodes_ready(
    session: &Session,
    wanted: &[NodeName],
    at_least: usize,
    kubernetes: &DesiredKubernetes,
) -> Result<Answer, ClusterError> {
    let there = nodes(&session.client).await?;
    let find = |name: &NodeName| there.iter().find(|node| node.name_any() == name.as_str());
    let servers = wanted.iter().filter_map(find).filter(|node| is_server(node) && is_ready(node));
    let silent = not_serving(session, servers, kubernetes).await;
    let why = |name: &NodeName| match (find(name), silent.get(name)) {
        (None, _) => Some("it has not joined".to_string()),
        (Some(node), _) if !is_ready(node) => Some(why_not_ready(node)),
        (Some(_), Some(why)) => Some(format!("its API server does not serve: {why}")),
        (Some(_), None) => None,
    };
    let parts: Vec<Part> = wanted.iter().map(|name| of_node(name, find(name), why(name))).collect();
    let waiting: Vec<String> = parts
        .iter()
        .filter(|part| !part.holds)
        .map(|part| match part.saw.strip_prefix("it ") {
            Some(joins) if part.address.is_empty() => format!("{} {joins}", part.name),
            _ => format!("{}: {}", part.name, part.saw),
        })
        .collect();
    let ready = wanted.len() - waiting.len();
    if ready >= at_least {
        return Ok(Ok(Good { saw: format!("{ready} of {} nodes Ready", wanted.len()), parts }));
    }
    let hint = match waiting.iter().any(|why| why.contains("cni") || why.contains("network plugin")) {
        true => "the network plug-in is what makes nodes Ready: look at its pods in kube-system",
        false => "`kubewright status` tells more of these nodes",
    };
    let saw = format!("{ready} of {} nodes Ready; {}", wanted.len(), few(&waiting));
    Ok(Err(Failing { saw, parts, hint: Some(hint.into()), log: Vec::new() }))
}

fn of_node(name: &NodeName, node: Option<&Node>, why: Option<String>) -> Part {
    let version = node.and_then(|node| Some(node.status.as_ref()?.node_info.as_ref()?.kubelet_version.clone()));
    Part {
        name: name.to_string(),
        address: node.and_then(internal).map(|address| address.to_string()).unwrap_or_default(),
        holds: why.is_none(),
        saw: why.unwrap_or_else(|| format!("Ready, {}", version.unwrap_or_default())),
        milliseconds: None,
    }
}

/// What a kubelet says of why it is not Ready, or that it says nothing any more.
fn why_not_ready(node: &Node) -> String {
    match condition(node, "Ready") {
        None => "its kubelet has not told anything yet".into(),
        Some(ready) if ready.status == "Unknown" => "its kubelet does not answer any more".into(),
        Some(ready) => ready.message.clone().unwrap_or_else(|| "it is not Ready".into()),
    }
}

/// The endpoint may be something else than the server that we talk to: a load balancer, a floating address.
async fn api(session: &Session, at: &HostPort) -> Answer {
    match session.answers(at).await {
        Ok(by) if by == *at => holds(format!("{at} answers")),
        Ok(by) => holds(format!("{at} answers, from outside at {by}")),
        Err(why) => fails(format!("{at}: {why}"), "a server answers elsewhere: bring back what stands at this address"),
    }
}

/// An Ingress for a host, and the address that it has been given.
async fn route(session: &Session, host: &str) -> Result<Answer, ClusterError> {
    let listed = all(&Api::<Ingress>::all(session.client.clone()), &ListParams::default()).await;
    let listed = listed.map_err(|error| failed("list of Ingresses", &error))?;
    let routes = |ingress: &&Ingress| {
        let rules = ingress.spec.iter().flat_map(|spec| spec.rules.iter().flatten());
        rules.into_iter().any(|rule| rule.host.as_deref() == Some(host))
    };
    let Some(ingress) = listed.iter().find(routes) else {
        return Ok(fails(format!("no Ingress routes {host}"), "apply the `routes` objects"));
    };
    let status =
        ingress.status.iter().flat_map(|status| &status.load_balancer).flat_map(|it| it.ingress.iter().flatten());
    let mut at = status.filter_map(|at| at.ip.clone().or_else(|| at.hostname.clone()));
    let name = format!("{}/{}", ingress.namespace().unwrap_or_default(), ingress.name_any());
    Ok(holds(match at.next() {
        Some(address) => format!("{name} routes {host} at {address}"),
        None => format!("{name} routes {host}"),
    }))
}
