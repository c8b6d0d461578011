//! What people ask a cluster for: logs of pods, a way in of their own, which images are where.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::io::AsyncReadExt as _;
use k8s_openapi::Resource as _;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};
use kube::api::{Api, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Client, ResourceExt as _};
use kubewright_hosts::{Hears, Piece, Question};
use kubewright_model::ids::{Namespace, NodeName, ObjectName};
use kubewright_model::secret::Secret;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::failure::{failed, refused};
use crate::cluster::{Bound, ClusterError, ImageSeen, PodLogs};

/// Who signs for clients of the API. It takes these uses and no others, and no less than ten minutes.
/// <https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers>
const SIGNER: &str = "kubernetes.io/kube-apiserver-client";
const USES: [&str; 2] = ["digital signature", "client auth"];
/// The controller manager signs within a second; one that does not run never does.
const SIGNED: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(250);
/// The label of roles and bindings that every API server makes for itself.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings>
const DEFAULTS: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");
/// How much of a log is passed on at once.
const PIECE: usize = 64 * 1024;

/// Passes on what a pod logs.
pub(super) async fn logs(client: &Client, wish: &PodLogs, hears: Hears<'_>) -> Result<(), ClusterError> {
    let what = format!("the logs of pod {}/{}", wish.namespace, wish.pod);
    let params = LogParams {
        container: wish.container.clone(),
        follow: wish.follow,
        previous: wish.previous,
        since_seconds: wish.since.and_then(|since| i64::try_from(since.duration().as_secs()).ok()),
        tail_lines: wish.lines.map(i64::from),
        ..LogParams::default()
    };
    let path = format!("/api/{}/namespaces/{}/{}", Pod::API_VERSION, wish.namespace, Pod::URL_PATH_SEGMENT);
    let request = Request::new(path).logs(wish.pod.as_str(), &params);
    let request = request.map_err(|error| refused(what.as_str(), error.to_string()))?;
    let stream = client.request_stream(request).await.map_err(|error| failed(&what, &error))?;
    let (mut stream, mut piece) = (std::pin::pin!(stream), vec![0; PIECE]);
    loop {
        match stream.read(&mut piece).await {
            Ok(0) => return Ok(()),
            Ok(read) => hears(Piece::Out(piece.get(..read).unwrap_or_default())),
            Err(error) => return Err(ClusterError::Unreachable(format!("{what}: {error}"))),
        }
    }
}

/// Asks for a certificate, approves it, and takes the question away again, whatever came of it.
pub(super) async fn certificate(
    client: &Client,
    user: &str,
    question: &Question,
    seconds: u32,
) -> Result<String, ClusterError> {
    let api: Api<CertificateSigningRequest> = Api::all(client.clone());
    let wish = json!({
        "metadata": { "generateName": "kubewright-" },
        "spec": {
            "request": base64(question.pem.as_bytes()),
            "signerName": SIGNER,
            "expirationSeconds": seconds,
            "usages": USES,
        },
    });
    let what = format!("a certificate of {user}");
    let wish = serde_json::from_value(wish).map_err(|error| refused(what.as_str(), error.to_string()))?;
    let asked = api.create(&PostParams::default(), &wish).await.map_err(|error| failed(&what, &error))?;
    let name = asked.name_any();
    let signed = signed(&api, &name, &what).await;
    let gone = api.delete(&name, &DeleteParams::default()).await;
    let certificate = signed?;
    gone.map_err(|error| failed(&format!("CertificateSigningRequest {name}"), &error))?;
    Ok(certificate)
}

async fn signed(api: &Api<CertificateSigningRequest>, name: &str, what: &str) -> Result<String, ClusterError> {
    let approves = json!({ "status": { "conditions": [{
        "type": "Approved", "status": "True", "reason": "KubewrightKubeconfig", "message": "asked for by kubewright kubeconfig",
    }] } });
    let approved = api.patch_subresource("approval", name, &PatchParams::default(), &Patch::Strategic(approves)).await;
    approved.map_err(|error| failed(what, &error))?;
    let deadline = Instant::now() + SIGNED;
    loop {
        let status = api.get(name).await.map_err(|error| failed(what, &error))?.status.unwrap_or_default();
        if let Some(signed) = status.certificate {
            return String::from_utf8(signed.0).map_err(|_| refused(what, "what was signed is no PEM"));
        }
        let refuses = |it: &&k8s_openapi::api::certificates::v1::CertificateSigningRequestCondition| {
            matches!(it.type_.as_str(), "Failed" | "Denied")
        };
        if let Some(why) = status.conditions.iter().flatten().find(refuses) {
            return Err(refused(what, why.message.clone().unwrap_or_else(|| why.type_.clone())));
        }
        if Instant::now() > deadline {
            let why = format!("nobody signed it within {} s: does the controller manager run?", SIGNED.as_secs());
            return Err(refused(what, why));
        }
        sleep(AGAIN).await;
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Asks for a token. <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>
pub(super) async fn token(
    client: &Client,
    (namespace, name): &(Namespace, ObjectName),
    seconds: u32,
) -> Result<(Secret, String), ClusterError> {
    let what = format!("a token of ServiceAccount {namespace}/{name}");
    let wish = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "expirationSeconds": seconds },
    });
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
    let request =
        hyper::Request::post(path).header("content-type", "application/json").body(wish.to_string().into_bytes());
    let request = request.map_err(|error| refused(what.as_str(), error.to_string()))?;
    let given: Value = client.request(request).await.map_err(|error| failed(&what, &error))?;
    let text = |field: &str| given["status"][field].as_str().map(str::to_string);
    match (text("token"), text("expirationTimestamp")) {
        (Some(token), Some(until)) => Ok((Secret::new(token), until)),
        _ => Err(refused(what, "the API gave none")),
    }
}

/// What roles are bound to somebody, in words.
pub(super) async fn bound(client: &Client, of: &Bound<'_>) -> Result<Vec<String>, ClusterError> {
    let all = ListParams::default();
    let (clusters, namespaces) =
        (Api::<ClusterRoleBinding>::all(client.clone()), Api::<RoleBinding>::all(client.clone()));
    let (everywhere, somewhere) = tokio::try_join!(clusters.list(&all), namespaces.list(&all))
        .map_err(|error| failed("what is bound", &error))?;
    let is = |subjects: &Option<Vec<Subject>>| subjects.iter().flatten().any(|subject| is_of(subject, of));
    // What every account of every cluster has by its group tells nothing of this one.
    let of_all = |it: &ClusterRoleBinding| {
        let named = it.subjects.iter().flatten().any(|subject| subject.kind != "Group" && is_of(subject, of));
        matches!(of, Bound::Account(..)) && !named && it.labels().get(DEFAULTS.0).is_some_and(|it| it == DEFAULTS.1)
    };
    let word = |role: &RoleRef, place: String| format!("{} {} {place}", role.kind, role.name);
    let mut words = BTreeSet::new();
    for binding in everywhere.iter().filter(|it| is(&it.subjects) && !of_all(it)) {
        words.insert(word(&binding.role_ref, "in the whole cluster".into()));
    }
    for binding in somewhere.iter().filter(|it| is(&it.subjects)) {
        words.insert(word(&binding.role_ref, format!("in {}", binding.namespace().unwrap_or_default())));
    }
    Ok(words.into_iter().collect())
}

fn is_of(subject: &Subject, of: &Bound<'_>) -> bool {
    match (of, subject.kind.as_str()) {
        (Bound::User(user, _), "User") => subject.name == **user,
        (Bound::User(_, groups), "Group") => groups.contains(&subject.name),
        (Bound::Account(namespace, name), "ServiceAccount") => {
            subject.name == name.as_str() && subject.namespace.as_deref() == Some(namespace.as_str())
        }
        (Bound::Account(namespace, _), "Group") => {
            subject.name == "system:serviceaccounts" || subject.name == format!("system:serviceaccounts:{namespace}")
        }
        _ => false,
    }
}

/// Images on nodes. A kubelet tells the API no more than the 50 largest (`nodeStatusMaxImages`).
pub(super) async fn images(client: &Client) -> Result<BTreeMap<NodeName, Vec<ImageSeen>>, ClusterError> {
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await;
    let nodes = nodes.map_err(|error| failed("images of nodes", &error))?;
    let of = |node: Node| {
        let name = NodeName::new(node.name_any());
        let images = node.status.and_then(|status| status.images).unwrap_or_default().into_iter().map(|image| {
            let mut names = image.names.unwrap_or_default();
            names.sort_by_key(|name| name.contains('@'));
            ImageSeen { names, bytes: image.size_bytes.and_then(|size| u64::try_from(size).ok()).unwrap_or_default() }
        });
        (name, images.collect())
    };
    Ok(nodes.into_iter().map(of).collect())
}
