//! A dashboard that runs, on a port of its own, and somebody who talks to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use kubewright_engine::site::Place;
use kubewright_model::secret::Secret;
use kubewright_server::{Address, Fleet, Tokens, serve};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Tokens of this dashboard.
pub(crate) const OPERATOR: &str = "an-operators-token-that-is-long";
pub(crate) const VIEWER: &str = "a-viewers-token-that-is-long-too";

/// A dashboard; it ends with this value.
pub(crate) struct House {
    pub(crate) at: SocketAddr,
    pub(crate) folder: TempDir,
    pub(crate) client: Client,
    pub(crate) fleet: Arc<Fleet>,
    ends: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// The spec of an example.
pub(crate) fn example(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name).join("cluster.yaml");
    std::fs::read_to_string(file).unwrap()
}

impl House {
    /// One that shows a cluster of this spec, in a pretend world of its own.
    pub(crate) fn of(spec: &str, pace: Option<f64>) -> Self {
        Self::with(spec, pace, |_| None)
    }

    /// The same, with a certificate and its key in the folder.
    pub(crate) fn with(spec: &str, pace: Option<f64>, tls: impl FnOnce(&Path) -> Option<(PathBuf, PathBuf)>) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("cluster.yaml");
        std::fs::write(&file, spec).unwrap();
        let place = Place { spec: file, environment: None, simulated: Some(folder.path().join("world")) };
        let fleet = Arc::new(Fleet::new(vec![place], pace).unwrap());
        let tls = tls(folder.path());
        let address = Address { socket: ([127, 0, 0, 1], 0).into(), tls, hosts: vec!["dash.test".into()] };
        let tokens = Tokens::new(&[Secret::new(OPERATOR.to_string())], &[Secret::new(VIEWER.to_string())]);
        let (ready, listens) = channel();
        let (ends, over) = oneshot::channel();
        let shown = fleet.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let over = async { drop(over.await) };
            let every = Duration::from_secs(3600);
            let served = serve(fleet, tokens, &address, every, |at| ready.send(at).unwrap(), over);
            runtime.block_on(served).unwrap();
            runtime.shutdown_background();
        });
        let at = listens.recv().unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { at, folder, client, fleet: shown, ends: Some(ends), thread: Some(thread) }
    }

    /// Where the spec is that is shown, and its world.
    pub(crate) fn place(&self) -> Place {
        let folder = self.folder.path();
        Place { spec: folder.join("cluster.yaml"), environment: None, simulated: Some(folder.join("world")) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    /// A request by a program.
    pub(crate) fn asks(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).bearer_auth(token)
    }

    /// What is at a path, for an operator.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.asks(Method::GET, path, OPERATOR).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self.asks(Method::POST, path, OPERATOR).json(body).send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    /// Waits until what is at a path is as it should be.
    pub(crate) async fn until(&self, path: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let value = self.get(path).await;
            if is(&value) {
                return value;
            }
            assert!(began.elapsed() < Duration::from_secs(300), "waited for {what}, and saw {value:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Plans; the plan as it is shown.
    pub(crate) async fn plans(&self, cluster: &str, ask: &str) -> Value {
        let (status, plan) = self.post(&format!("/api/v1/clusters/{cluster}/plans"), &json!({ "ask": ask })).await;
        assert_eq!(status, StatusCode::CREATED, "{plan:#}");
        plan
    }

    /// Approves a plan; what came of that.
    pub(crate) async fn approves(&self, cluster: &str, plan: &Value, name: Option<&str>) -> (StatusCode, Value) {
        let wish = json!({ "plan": plan["id"], "fingerprint": plan["fingerprint"], "name": name });
        self.post(&format!("/api/v1/clusters/{cluster}/runs"), &wish).await
    }

    /// Plans, approves, and waits for the end; the run.
    pub(crate) async fn carries_out(&self, cluster: &str, ask: &str) -> Value {
        let plan = self.plans(cluster, ask).await;
        let (status, begun) = self.approves(cluster, &plan, Some(cluster)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{begun:#}");
        let path = format!("/api/v1/clusters/{cluster}/runs/{}", begun["run"].as_str().unwrap());
        self.until(&path, "the end of the run", |run| !run["summary"]["end"].is_null()).await
    }
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.ends.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the dashboard panicked");
        }
    }
}

/// Runs something that talks to a dashboard.
pub(crate) fn talk(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}
