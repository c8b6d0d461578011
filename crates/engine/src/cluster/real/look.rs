//! One look at a cluster: lists, page by page, and nothing one by one.

pub(super) mod releases;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Namespace as NamespaceObject, Node, NodeCondition, Taint};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::PartialObjectMeta;
use kube::discovery::{Discovery, verbs};
use kube::{Client, Resource, ResourceExt as _};
use kubewright_model::desired::{Desired, DesiredKubernetes};
use kubewright_model::digest::Digest;
use kubewright_model::ids::{Namespace, NodeName, Owner};
use kubewright_model::net::HostPort;
use kubewright_model::object::{ObjectId, kind_of_group};
use kubewright_model::observed::{ClusterSeen, MemberSeen, NodeSeen};
use kubewright_model::spec::Distribution;
use serde::de::DeserializeOwned;

use super::applications;
use super::failure::{failed, is_of_datastore, refused};
use super::images;
use super::kubeadm::{self, Plane};
use super::marks::{APPLIED, CLUSTER, FIELD_MANAGER, MANAGED_BY, selector};
use super::reach::{Heard, Session};
use crate::cluster::{ClusterError, Each};

/// Objects in one page: what `kubectl` asks for, and what the API's documentation recommends.
const PAGE: u32 = 500;
/// Lists that are asked for together: the API serves a client some hundred calls at once before it asks for patience.
const TOGETHER: usize = 16;
/// Which address of a node its kubelet tells.
const INTERNAL: &str = "InternalIP";
/// K3s and RKE2 put it on a server, and kubeadm as well.
const SERVER: &str = "node-role.kubernetes.io/control-plane";
/// K3s and RKE2 put it on a server that has a member of their etcd.
const ETCD: &str = "node-role.kubernetes.io/etcd";
/// They tell with it whether a node's member of etcd votes (`pkg/etcd/etcd.go`).
const VOTES: &str = "EtcdIsVoter";
/// K3s and RKE2 show with it how they were started: flags and values, one after the other.
const NODE_ARGS: [&str; 2] = ["k3s.io/node-args", "rke2.io/node-args"];

/// Who registers a node.
const KUBELET: &str = "kubelet";

/// Looks at everything that a plan needs.
pub(super) async fn look(session: &Session, desired: &Desired) -> Result<ClusterSeen, ClusterError> {
    let client = &session.client;
    let (plane, nodes, namespaces, (objects, unlisted), releases, services) = futures::try_join!(
        plane(client, &desired.kubernetes),
        nodes(client),
        namespaces(client),
        objects(client, desired),
        releases::releases(client, None),
        services::services(client),
    )?;
    let mut members = members(session, &nodes, &desired.kubernetes).await;
    members.extend(of_kubeadm(session, &nodes, &plane, &desired.kubernetes).await);
    let seen = |node: &Node| {
        let name = NodeName::from(node.name_any().as_str());
        let mut seen = node_seen(node)?;
        if let Some(serves) = plane.versions.get(&name).filter(|serves| **serves < seen.version) {
            // Its kubelet went ahead: the upgrade is not done.
            seen.version = serves.clone();
        }
        Some((name, seen))
    };
    let nodes = nodes.iter().filter_map(seen).collect();
    let releases = releases::seen(releases);
    // Where they cannot be listed, none is waited for: nothing else follows from them.
    let applications = match &desired.applications {
        Some(_) => applications::seen(client).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let kube_proxy = match desired.kubernetes.distribution {
        Distribution::Talos => images::kube_proxy(client).await?,
        Distribution::K3s | Distribution::Rke2 | Distribution::Kubeadm => None,
    };
    Ok(ClusterSeen {
        nodes,
        members,
        namespaces,
        objects,
        unlisted,
        releases,
        services,
        applications,
        kube_proxy,
        ..ClusterSeen::default()
    })
}

/// What kubeadm's control plane tells; nothing where it is another one's.
async fn plane(client: &Client, kubernetes: &DesiredKubernetes) -> Result<Plane, ClusterError> {
    match kubernetes.distribution {
        Distribution::Kubeadm => kubeadm::plane(client).await,
        Distribution::K3s | Distribution::Rke2 | Distribution::Talos => Ok(Plane::default()),
    }
}

/// Members of kubeadm's etcd, by their pods; whether one is healthy its server is asked as well.
async fn of_kubeadm(
    session: &Session,
    nodes: &[Node],
    plane: &Plane,
    kubernetes: &DesiredKubernetes,
) -> BTreeMap<NodeName, MemberSeen> {
    let with_etcd = nodes.iter().filter(|node| plane.etcd.contains_key(node.name_any().as_str()));
    let silent = not_serving(session, with_etcd, kubernetes).await;
    let member = |(name, ready): (&NodeName, &bool)| {
        (name.clone(), MemberSeen { voter: true, healthy: *ready && !silent.contains_key(name) })
    };
    plane.etcd.iter().map(member).collect()
}

/// Everything of a kind, page by page. A list whose pages have grown too old is asked for anew, once.
pub(super) async fn all<K>(api: &Api<K>, params: &ListParams) -> Result<Vec<K>, kube::Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug + Send,
{
    let page = |params: ListParams| {
        async move { api.list(&params).await.map(|list| (list.metadata.continue_, list.items)) }.boxed()
    };
    pages(page, params).await
}

/// The same, of which only the metadata is wanted.
pub(super) async fn all_metadata<K>(api: &Api<K>, params: &ListParams) -> Result<Vec<PartialObjectMeta<K>>, kube::Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug + Send,
{
    let page = |params: ListParams| {
        async move { api.list_metadata(&params).await.map(|list| (list.metadata.continue_, list.items)) }.boxed()
    };
    pages(page, params).await
}

/// A page, and the token of the next one.
type Page<T> = Result<(Option<String>, Vec<T>), kube::Error>;

async fn pages<'a, T>(
    list: impl Fn(ListParams) -> BoxFuture<'a, Page<T>>,
    params: &ListParams,
) -> Result<Vec<T>, kube::Error> {
    let mut again = true;
    'anew: loop {
        let mut next = params.clone().limit(PAGE);
        let mut found = Vec::new();
        loop {
            match list(next.clone()).await {
                Err(kube::Error::Api(status)) if status.code == 410 && again => {
                    again = false;
                    continue 'anew;
                }
                Err(error) => return Err(error),
                Ok((more, items)) => {
                    found.extend(items);
                    match more.filter(|token| !token.is_empty()) {
                        None => return Ok(found),
                        Some(token) => next.continue_token = Some(token),
                    }
                }
            }
        }
    }
}

/// All nodes.
pub(super) async fn nodes(client: &Client) -> Result<Vec<Node>, ClusterError> {
    let listed = all(&Api::<Node>::all(client.clone()), &ListParams::default()).await;
    listed.map_err(|error| failed("list of nodes", &error))
}

/// One that is being deleted is as good as gone.
async fn namespaces(client: &Client) -> Result<BTreeSet<Namespace>, ClusterError> {
    let listed = all_metadata(&Api::<NamespaceObject>::all(client.clone()), &ListParams::default()).await;
    let listed = listed.map_err(|error| failed("list of namespaces", &error))?;
    let stay = listed.iter().filter(|it| it.metadata.deletion_timestamp.is_none());
    Ok(stay.map(|it| Namespace::from(it.name_any().as_str())).collect())
}

/// Objects of ours, and kinds that could not be listed.
type Objects = (BTreeMap<ObjectId, Digest>, BTreeMap<String, String>);
/// An object and its kind.
type Found = (ApiResource, PartialObjectMeta<DynamicObject>);
/// A kind that could not be listed, and why.
type Unlisted = (String, String);

/// Objects that we have applied, with the digest of what we applied. Controllers pass labels on to what they make
/// themselves, so the mark is believed only of what our field manager has applied.
pub(super) async fn objects(client: &Client, desired: &Desired) -> Result<Objects, ClusterError> {
    let kinds = kinds(client).await?;
    let params = ListParams::default().labels(&selector(&desired.owner));
    let lists: Vec<_> = kinds.into_iter().map(|kind| of_kind(client, kind, &params).boxed()).collect();
    let lists = stream::iter(lists);
    let listed: Vec<Result<Vec<_>, Unlisted>> = lists.buffer_unordered(TOGETHER).try_collect().await?;
    let (listed, unlisted): (Vec<_>, Vec<_>) = listed.into_iter().partition(Result::is_ok);
    let listed: Vec<Found> = listed.into_iter().flatten().flatten().collect();
    let unlisted = unlisted.into_iter().filter_map(Result::err).collect();
    let wished = wished(desired);
    let ours = listed.iter().filter_map(|(kind, object)| {
        let (id, digest) = ours(kind, object, &desired.owner)?;
        Some((as_wished(id, &wished), digest))
    });
    Ok((ours.collect(), unlisted))
}

/// Kinds whose objects can be applied and taken away, each in its most stable version. The one that a group prefers need
/// not have them all: a kind may be in an older one alone.
pub(super) async fn kinds(client: &Client) -> Result<Vec<ApiResource>, ClusterError> {
    let found = Discovery::new(client.clone()).run_aggregated().await;
    let found = found.map_err(|error| failed("list of kinds", &error))?;
    let kinds = found.groups().flat_map(|group| group.resources_by_stability());
    let changeable = [verbs::LIST, verbs::PATCH, verbs::DELETE];
    let changed = kinds.filter(|(_, can)| changeable.iter().all(|verb| can.supports_operation(verb)));
    Ok(changed.map(|(kind, _)| kind).collect())
}

/// All objects of a kind, each with it. One that its own server or webhook keeps from being listed hides no other.
async fn of_kind(
    client: &Client,
    kind: ApiResource,
    params: &ListParams,
) -> Result<Result<Vec<Found>, Unlisted>, ClusterError> {
    match all_metadata(&Api::<DynamicObject>::all_with(client.clone(), &kind), params).await {
        Ok(listed) => Ok(Ok(listed.into_iter().map(|it| (kind.clone(), it)).collect())),
        // A kind that went away meanwhile has no objects.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 405) => Ok(Ok(Vec::new())),
        Err(kube::Error::Api(status)) if matches!(status.code, 500..=504) && !is_of_datastore(&status) => {
            Ok(Err((kind_of_group(&kind.kind, &kind.group), status.message.clone())))
        }
        Err(error) => Err(failed(&format!("list of {}", kind.plural), &error)),
    }
}

/// Why the objects of a kind were not all handed over.
pub(super) enum Halted {
    /// The API does not give them.
    Listing(kube::Error),
    /// Whoever takes them has failed.
    Taking(String),
}

/// Hands over every object that can be applied, page by page; returns kinds that could not be listed. Events are left out:
/// they tell what has happened, and are gone within an hour.
pub(super) async fn each_object(client: &Client, each: Each<'_>) -> Result<Vec<Unlisted>, ClusterError> {
    let mut unlisted = Vec::new();
    for kind in kinds(client).await?.into_iter().filter(|kind| kind.kind != "Event") {
        match each_of_kind(client, &kind, each).await {
            Ok(()) => {}
            // A kind that went away meanwhile has no objects.
            Err(Halted::Listing(kube::Error::Api(status))) if matches!(status.code, 404 | 405) => {}
            Err(Halted::Listing(kube::Error::Api(status)))
                if matches!(status.code, 500..=504) && !is_of_datastore(&status) =>
            {
                unlisted.push((kind_of_group(&kind.kind, &kind.group), status.message.clone()));
            }
            Err(Halted::Listing(error)) => return Err(failed(&format!("list of {}", kind.plural), &error)),
            Err(Halted::Taking(why)) => return Err(refused(format!("an object of kind {}", kind.kind), why)),
        }
    }
    Ok(unlisted)
}

/// Hands over the objects of a kind, and has no more than a page of them at once. Where its pages have grown too old they are
/// asked for anew, and none is handed over twice.
pub(super) async fn each_of_kind(client: &Client, kind: &ApiResource, each: Each<'_>) -> Result<(), Halted> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), kind);
    let (mut handed, mut again) = (BTreeSet::new(), true);
    let mut next = ListParams::default().limit(PAGE);
    loop {
        let page = match api.list(&next).await {
            Err(kube::Error::Api(status)) if status.code == 410 && again => {
                again = false;
                next.continue_token = None;
                continue;
            }
            Err(error) => return Err(Halted::Listing(error)),
            Ok(page) => page,
        };
        for object in page.items {
            if !handed.insert((object.namespace(), object.name_any())) {
                continue;
            }
            let mut object = serde_json::to_value(&object).map_err(|error| Halted::Taking(error.to_string()))?;
            // A list says it once for all.
            object["apiVersion"] = kind.api_version.as_str().into();
            object["kind"] = kind.kind.as_str().into();
            each(&object).map_err(Halted::Taking)?;
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            None => return Ok(()),
            Some(token) => next.continue_token = Some(token),
        }
    }
}

/// What we have applied and is to stay: its name as we applied it, and the digest of that.
fn ours(kind: &ApiResource, object: &PartialObjectMeta<DynamicObject>, owner: &Owner) -> Option<(ObjectId, Digest)> {
    let metadata = object.meta();
    let labels = metadata.labels.as_ref()?;
    let marked = labels.get(MANAGED_BY.0).is_some_and(|value| value == MANAGED_BY.1)
        && labels.get(CLUSTER).is_some_and(|value| value == owner.0.as_str());
    if !marked || metadata.deletion_timestamp.is_some() {
        return None;
    }
    let managed = metadata.managed_fields.iter().flatten();
    let mut applied = managed
        .filter(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.operation.as_deref() == Some("Apply"));
    // The version in which we applied it, for the API shows it in all of its versions.
    let api_version = applied.next()?.api_version.clone()?;
    let digest = metadata.annotations.as_ref()?.get(APPLIED).and_then(|digest| Digest::parse(digest))?;
    let id = ObjectId {
        api_version,
        kind: kind.kind.clone(),
        namespace: metadata.namespace.as_deref().map(Namespace::from),
        name: metadata.name.as_deref()?.into(),
    };
    Some((id, digest))
}

fn wished(desired: &Desired) -> BTreeSet<ObjectId> {
    let manifests = desired.objects.iter().flat_map(|group| &group.manifests);
    manifests.filter_map(|manifest| manifest.id().ok()).collect()
}

/// A manifest may leave the namespace `default` to the API, and is meant all the same.
fn as_wished(id: ObjectId, wished: &BTreeSet<ObjectId>) -> ObjectId {
    let bare = ObjectId { namespace: None, ..id.clone() };
    let default = id.namespace.as_ref().is_some_and(|namespace| namespace.as_str() == "default");
    if default && !wished.contains(&id) && wished.contains(&bare) { bare } else { id }
}

/// A node as plans need it; none where its kubelet has not told its version yet.
fn node_seen(node: &Node) -> Option<NodeSeen> {
    let version = node.status.as_ref()?.node_info.as_ref()?.kubelet_version.parse().ok()?;
    let spec = node.spec.as_ref();
    Some(NodeSeen {
        ready: is_ready(node),
        cordoned: spec.is_some_and(|spec| spec.unschedulable == Some(true)),
        version,
        labels: node.labels().clone(),
        taints: spec.iter().flat_map(|spec| spec.taints.iter().flatten()).map(taint_text).collect(),
        given: NODE_ARGS
            .iter()
            .find_map(|key| node.annotations().get(*key))
            .map(|args| given(args))
            .unwrap_or_else(|| labels_given(node)),
        server: is_server(node),
        address: internal(node),
    })
}

/// A condition of a node.
pub(super) fn condition<'n>(node: &'n Node, kind: &str) -> Option<&'n NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

/// Whether a node's kubelet says that it is Ready.
pub(super) fn is_ready(node: &Node) -> bool {
    condition(node, "Ready").is_some_and(|condition| condition.status == "True")
}

/// Whether a node is a member of the control plane.
pub(super) fn is_server(node: &Node) -> bool {
    node.labels().contains_key(SERVER)
}

/// The address that a node's kubelet tells.
pub(super) fn internal(node: &Node) -> Option<IpAddr> {
    let mut addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    addresses.find(|address| address.type_ == INTERNAL)?.address.parse().ok()
}

/// A taint as the spec writes it: `KEY=VALUE:EFFECT`, `KEY:EFFECT`.
pub(super) fn taint_text(taint: &Taint) -> String {
    match taint.value.as_deref().filter(|value| !value.is_empty()) {
        Some(value) => format!("{}={value}:{}", taint.key, taint.effect),
        None => format!("{}:{}", taint.key, taint.effect),
    }
}

/// The labels and taints among the flags that a node was started with.
fn given(args: &str) -> BTreeSet<String> {
    let args: Vec<String> = serde_json::from_str(args).unwrap_or_default();
    let pairs = args.iter().zip(args.iter().skip(1));
    pairs
        .filter_map(|(flag, value)| match flag.as_str() {
            "--node-label" => Some(format!("label {}", value.split_once('=').map_or(value.as_str(), |(key, _)| key))),
            "--node-taint" => Some(format!("taint {}", value.replace("=:", ":"))),
            _ => None,
        })
        .collect()
}

/// The labels of a node that shows no flags, by who has set them: its kubelet when it was registered, or we. Those of
/// Kubernetes itself are nobody's. Of taints the books do not know who has set which.
pub(super) fn labels_given(node: &Node) -> BTreeSet<String> {
    let ours = |manager: Option<&str>| manager.is_some_and(|it| [KUBELET, FIELD_MANAGER].contains(&it));
    let managed = node.metadata.managed_fields.iter().flatten().filter(|entry| ours(entry.manager.as_deref()));
    let labels = managed.filter_map(|entry| entry.fields_v1.as_ref()?.0.pointer("/f:metadata/f:labels")?.as_object());
    let keys = labels.flat_map(|labels| labels.keys()).filter_map(|key| key.strip_prefix("f:"));
    let of_kubernetes = |key: &str| {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        ["kubernetes.io", "k8s.io"].iter().any(|it| domain == *it || domain.ends_with(&format!(".{it}")))
    };
    keys.filter(|key| !of_kubernetes(key)).map(|key| format!("label {key}")).collect()
}

/// Members of etcd, by what K3s and RKE2 tell of them on their nodes; whether one is healthy it is asked itself.
async fn members(session: &Session, nodes: &[Node], kubernetes: &DesiredKubernetes) -> BTreeMap<NodeName, MemberSeen> {
    let members: Vec<(&Node, bool)> =
        nodes.iter().filter(|node| node.labels().contains_key(ETCD)).filter_map(|it| Some((it, votes(it)?))).collect();
    let servers = members.iter().map(|(node, _)| *node);
    let silent = not_serving(session, servers, kubernetes).await;
    let seen = members.iter().map(|(node, voter)| {
        let name = NodeName::from(node.name_any().as_str());
        let unwell = condition(node, VOTES).and_then(|it| it.reason.as_deref()) == Some("Unhealthy");
        let healthy = !unwell && !silent.contains_key(&name);
        (name, MemberSeen { voter: *voter, healthy })
    });
    seen.collect()
}

/// Whether a node's member of etcd votes; none where it has no member. One that is ill is counted: it did vote.
fn votes(node: &Node) -> Option<bool> {
    let told = condition(node, VOTES);
    match told.and_then(|condition| condition.reason.as_deref()) {
        Some("NotAMember") => None,
        Some("Unhealthy") => Some(true),
        _ => Some(told.is_some_and(|condition| condition.status == "True")),
    }
}

/// Those of these servers whose API server does not serve, and why. Each is asked itself. Where there is no way to it from
/// here, as behind a jump host, the API servers' own books decide, which they renew every ten seconds.
pub(super) async fn not_serving<'n>(
    session: &Session,
    servers: impl Iterator<Item = &'n Node>,
    kubernetes: &DesiredKubernetes,
) -> BTreeMap<NodeName, String> {
    let asked = servers.map(|node| async move {
        let name = NodeName::from(node.name_any().as_str());
        let Some(address) = internal(node) else { return (name, None, Heard::NotReady("it has no address".into())) };
        let heard = session.ask(&HostPort::new(address.to_string(), kubernetes.api_port(Some(address)))).await;
        (name, Some(address), heard)
    });
    let heard = futures::future::join_all(asked).await;
    let any_silent = heard.iter().any(|(_, _, heard)| matches!(heard, Heard::Silent(_)));
    let books = if any_silent { api_servers(&session.client).await } else { BTreeSet::new() };
    let not = heard.into_iter().filter_map(|(name, address, heard)| match heard {
        Heard::Ready => None,
        Heard::NotReady(why) => Some((name, why)),
        Heard::Silent(_) if address.is_some_and(|address| books.contains(&address)) => None,
        Heard::Silent(why) => Some((name, why)),
    });
    not.collect()
}

/// The addresses of the API servers that are alive, as they keep them in the Service `kubernetes`.
async fn api_servers(client: &Client) -> BTreeSet<IpAddr> {
    let api = Api::<EndpointSlice>::namespaced(client.clone(), "default");
    let params = ListParams::default().labels("kubernetes.io/service-name=kubernetes");
    let slices = all(&api, &params).await.unwrap_or_default();
    let addresses = slices.iter().flat_map(|slice| &slice.endpoints).flat_map(|endpoint| &endpoint.addresses);
    addresses.filter_map(|address| address.parse().ok()).collect()
}
