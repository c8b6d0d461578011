//! The way to Vault's pods, through the API server's own proxy: nothing has to be exposed, and no program stands between.
//! <https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/#manually-constructing-apiserver-proxy-urls>

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use futures::AsyncReadExt as _;
use hyper::{Request, header};
use kube::Client;
use kube::client::Body;
use kubewright_model::ids::ClusterName;
use kubewright_model::secret::Secret;
use kubewright_model::vault::{DesiredVault, VaultSeen};
use serde_json::Value;

use super::conditions::{Answer, fails, holds};
use super::drain::few;
use super::failure::{failed, refused};
use crate::cluster::ClusterError;
use crate::store::Store;
use crate::vault::{Call, Keys, Vault, Wire};

/// Vault's port.
const PORT: u16 = 8200;
/// Where a server that leads gives what Vault keeps.
const SNAPSHOT: &str = "sys/storage/raft/snapshot";

/// The API server's proxy.
pub(super) struct Proxy<'a> {
    pub(super) client: &'a Client,
    pub(super) wish: &'a DesiredVault,
}

impl Proxy<'_> {
    fn uri(&self, pod: &str, path: &str) -> String {
        format!("/api/v1/namespaces/{}/pods/http:{pod}:{PORT}/proxy/v1/{path}", self.wish.namespace)
    }
}

#[async_trait]
impl Wire for Proxy<'_> {
    async fn call(&self, pod: &str, call: Call<'_>, token: Option<&Secret>) -> Result<(u16, Value), ClusterError> {
        let (method, path, body) = call;
        let what = format!("{pod}: {path}");
        let uri = self.uri(pod, path);
        let mut request = Request::builder().method(method).uri(uri).header("X-Vault-Request", "true");
        if let Some(token) = token {
            request = request.header("X-Vault-Token", token.expose().as_str());
        }
        let sent = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string().into_bytes())
            }
            None => Body::empty(),
        };
        let request = request.body(sent).map_err(|error| refused(what.as_str(), error.to_string()))?;
        let answer = self.client.send(request).await.map_err(|error| failed(&what, &error))?;
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect_bytes().await.map_err(|error| failed(&what, &error))?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        // What the API server says by itself of a pod that is not there or does not listen.
        if answer.get("kind").and_then(Value::as_str) == Some("Status") {
            let message = answer.get("message").and_then(Value::as_str).unwrap_or("it cannot be reached");
            return Err(refused(pod, message));
        }
        Ok((status, answer))
    }
}

/// The store, as Vault's keys are kept in it.
pub(super) struct Kept {
    pub(super) store: Arc<dyn Store>,
    pub(super) cluster: ClusterName,
}

impl Keys for Kept {
    fn kept(&self, name: &str) -> Option<Secret> {
        self.store.secret(&self.cluster, name).ok().flatten()
    }

    fn keep(&self, name: &str, secret: &Secret) -> Result<(), ClusterError> {
        let kept = self.store.keep_secret(&self.cluster, name, secret);
        kept.map_err(|error| refused(format!("secret `{name}`"), error.to_string()))
    }
}

/// Writes a snapshot of Vault's own storage, which only the server that leads gives whole; why there is none, where Vault
/// keeps its data elsewhere. <https://developer.hashicorp.com/vault/api-docs/system/storage/raft#take-a-snapshot-of-the-raft-cluster>
pub(super) async fn snapshot(
    client: &Client,
    wish: &DesiredVault,
    keys: &Kept,
    to: &mut File,
) -> Result<Option<String>, ClusterError> {
    let proxy = Proxy { client, wish };
    let vault = Vault { wire: &proxy, keys, wish };
    let (pod, token) = match vault.leader().await? {
        Ok(leader) => leader,
        Err(why) => return Ok(Some(why)),
    };
    let what = format!("{pod}: {SNAPSHOT}");
    let broken = |error: std::io::Error| ClusterError::Unreachable(format!("{what}: {error}"));
    let request = Request::get(proxy.uri(&pod, SNAPSHOT))
        .header("X-Vault-Request", "true")
        .header("X-Vault-Token", token.expose().as_str())
        .body(Vec::new())
        .map_err(|error| refused(what.as_str(), error.to_string()))?;
    let mut answer = std::pin::pin!(client.request_stream(request).await.map_err(|error| failed(&what, &error))?);
    let mut part = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        match answer.read(&mut part).await.map_err(broken)? {
            0 => break,
            read => {
                size += read;
                let written = to.write_all(part.get(..read).unwrap_or_default());
                written.map_err(|error| refused(what.as_str(), error.to_string()))?;
            }
        }
    }
    if size == 0 {
        return Err(refused(what.as_str(), "it gave nothing"));
    }
    Ok(None)
}

/// A look at it.
pub(super) async fn seen(client: &Client, wish: &DesiredVault, keys: &Kept) -> VaultSeen {
    Vault { wire: &Proxy { client, wish }, keys, wish }.look().await
}

/// Whether all of its servers are unsealed. No secret is needed to know that.
pub(super) async fn check(client: &Client, wish: &DesiredVault) -> Answer {
    struct Nobody;
    impl Keys for Nobody {
        fn kept(&self, _: &str) -> Option<Secret> {
            None
        }

        fn keep(&self, name: &str, _: &Secret) -> Result<(), ClusterError> {
            Err(refused(format!("secret `{name}`"), "a look keeps nothing"))
        }
    }
    told(wish, &Vault { wire: &Proxy { client, wish }, keys: &Nobody, wish }.look().await)
}

fn told(wish: &DesiredVault, seen: &VaultSeen) -> Answer {
    let hint = "`kubewright apply` unseals it with the keys that it keeps";
    if !seen.initialized && seen.silent.is_empty() {
        return fails("Vault is not initialised", "`kubewright apply` initialises it");
    }
    let sealed = seen.sealed.iter().map(|pod| format!("{pod} is sealed"));
    let silent = seen.silent.iter().map(|(pod, why)| format!("{pod} does not answer: {why}"));
    let amiss: Vec<String> = sealed.chain(silent).collect();
    match amiss.is_empty() {
        true => holds(format!("{} of {} servers of Vault are unsealed", wish.pods.len(), wish.pods.len())),
        false => fails(few(&amiss), hint),
    }
}
