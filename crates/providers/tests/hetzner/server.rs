//! The API as a server of its own, with its token, its budget of requests, and the faults that tests plan.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State as Extracted};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::actions::{Fate, Pace};
use super::description::description;
use super::era::Era;
use super::faults::{Fault, Planned, take};
use super::problem::Problem;
use super::router;
use super::state::{Answer, Ask, Budget, Kind, Reply, State};

/// The token that the pretend project knows.
pub(crate) const TOKEN: &str = "LRK9DAWQ1ZAEFSrCNEEzLCUwhYX1U3g7wMg4dTlkkDC96fyDuyJ39nVbVjCKSDfj";
/// "The default limit is 3600 requests per hour and per Project."
const BUDGET: u32 = 3600;

/// A pretend project. It ends with the test, and fails it when a request was not as the API's description has it.
pub(crate) struct Fake {
    /// Where it is, with `/v1`.
    pub(crate) url: String,
    project: Arc<Mutex<Project>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Project {
    state: State,
    budget: Budget,
    faults: Vec<Planned>,
    calls: BTreeMap<String, u64>,
    violations: Vec<String>,
}

impl Fake {
    pub(crate) fn start() -> Self {
        Self::of(Era::Today)
    }

    /// In a thread of its own, so that a test's own clock and runtime have nothing to do with it.
    pub(crate) fn of(era: Era) -> Self {
        let project = Project {
            state: State::new(era),
            budget: Budget::new(BUDGET),
            faults: Vec::new(),
            calls: BTreeMap::new(),
            violations: Vec::new(),
        };
        let project = Arc::new(Mutex::new(project));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let app = Router::new().fallback(serve).with_state(Arc::clone(&project));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let serving = axum::serve(listener, app);
                tokio::select! {
                    _ = serving => {}
                    _ = stopped => {}
                }
            });
        });
        Self { url, project, stop: Some(stop), thread: Some(thread) }
    }

    fn project(&self) -> MutexGuard<'_, Project> {
        self.project.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Looks into the project, or changes it behind everybody's back.
    pub(crate) fn with<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        what(&mut self.project().state)
    }

    /// When actions end.
    pub(crate) fn pace(&self, pace: Pace) {
        self.project().state.pace = pace;
    }

    /// So many requests an hour, all of which are left.
    pub(crate) fn budget(&self, limit: u32) {
        self.project().budget = Budget::new(limit);
    }

    /// The next requests of this kind go wrong. In a path `*` stands for one word, `**` for any rest.
    pub(crate) fn fault(&self, method: &str, path: &str, times: u32, fault: Fault) {
        let (method, path) = (method.into(), path.into());
        self.project().faults.push(Planned { method, path, left: times, fault });
    }

    /// A type of server is not to be had at a location, until it is again.
    pub(crate) fn sold_out(&self, server_type: &str, location: &str, whether: bool) {
        let entry = (server_type.to_string(), location.to_string());
        let all = &mut self.project().state.catalog.sold_out;
        if whether {
            all.insert(entry)
        } else {
            all.remove(&entry)
        };
    }

    /// How many of a kind the project may have.
    pub(crate) fn limit(&self, kind: Kind, most: usize) {
        self.project().state.limits.insert(kind, most);
    }

    /// What a load balancer finds on a port that it listens on, for a target: a server's identifier or an address.
    pub(crate) fn health(&self, load_balancer: u64, target: &str, port: u64, status: &str) {
        self.project().state.health.insert((load_balancer, target.into(), port), status.into());
    }

    /// Servers that run, there without any call: named `PREFIX-1` and so on.
    pub(crate) fn seed(&self, prefix: &str, count: usize, labels: &Value) -> Vec<u64> {
        let mut project = self.project();
        let state = &mut project.state;
        let pace = std::mem::replace(&mut state.pace, Pace::Polls(0));
        let body = |n: usize| {
            json!({
                "name": format!("{prefix}-{n}"), "server_type": "cx23", "image": "ubuntu-24.04", "location": "fsn1",
                "labels": labels,
            })
        };
        let ids = (1..=count).map(|n| {
            let answer = super::servers::create(state, &body(n)).expect("the seed is accepted");
            answer.body["server"]["id"].as_u64().unwrap()
        });
        let ids = ids.collect();
        state.pace = pace;
        ids
    }

    /// How many requests it has had since it was asked last, by method and path: `GET /servers/*`.
    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.project().calls)
    }

    /// What was asked (or answered) against the API's description since it was asked last.
    pub(crate) fn violations(&self) -> Vec<String> {
        std::mem::take(&mut self.project().violations)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let violations = self.violations();
        if !std::thread::panicking() {
            assert!(violations.is_empty(), "against the API's description:\n{}", violations.join("\n"));
        }
    }
}

/// What is done with the answer.
enum Sent {
    Whole(Answer),
    Late(Answer, Duration),
    Page(u16),
    Nothing,
}

async fn serve(Extracted(project): Extracted<Arc<Mutex<Project>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let query = head.uri.query().unwrap_or_default();
    let query = reqwest::Url::parse(&format!("http://fake/?{query}")).unwrap();
    let ask = Ask {
        method: head.method.to_string(),
        path: head.uri.path().strip_prefix("/v1").unwrap_or("/unknown").into(),
        query: query.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        body: Value::Null,
    };
    let (sent, headers) = {
        let mut project = project.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sent = project.answer(ask, &head.headers, &body);
        (sent, project.headers())
    };
    let (answer, status) = match sent {
        Sent::Whole(answer) => (answer, None),
        Sent::Late(answer, late) => {
            tokio::time::sleep(late).await;
            (answer, None)
        }
        Sent::Page(status) => (Ok(Reply { status, body: Value::Null }), Some(status)),
        Sent::Nothing => return cut(),
    };
    let mut response = Response::builder();
    let limited = matches!(&answer, Err(problem) if problem.code == "rate_limit_exceeded");
    for (name, value) in headers {
        let none_left = limited && name == "RateLimit-Remaining";
        response = response.header(name, if none_left { "0".into() } else { value });
    }
    if let Some(status) = status {
        let page = format!("<html>\r\n<head><title>{status}</title></head>\r\n<body>nginx</body>\r\n</html>\r\n");
        return response.status(status).header("Content-Type", "text/html").body(Body::from(page)).unwrap();
    }
    let (status, body) = match answer {
        Ok(reply) => (reply.status, reply.body),
        Err(problem) => (problem.status, problem.body()),
    };
    if body.is_null() {
        return response.status(status).body(Body::empty()).unwrap();
    }
    let response = response.status(status).header("Content-Type", "application/json");
    response.body(Body::from(body.to_string())).unwrap()
}

/// A connection that breaks: more is promised than comes.
fn cut() -> Response {
    let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("the connection breaks")) });
    let response = Response::builder().status(StatusCode::OK).header("Content-Length", "100");
    response.body(Body::from_stream(broken)).unwrap()
}

impl Project {
    fn answer(&mut self, mut ask: Ask, headers: &HeaderMap, body: &[u8]) -> Sent {
        *self.calls.entry(format!("{} {}", ask.method, pattern(&ask.path))).or_default() += 1;
        if !self.budget.take() {
            return Sent::Whole(Err(Problem::new("rate_limit_exceeded", "limit of requests per hour reached")));
        }
        let token = headers.get("Authorization").and_then(|value| value.to_str().ok());
        if token != Some(&format!("Bearer {TOKEN}")) {
            return Sent::Whole(Err(Problem::new("unauthorized", "the token you have provided is invalid")));
        }
        let fault = take(&mut self.faults, &ask.method, &ask.path);
        match &fault {
            Some(Fault::Code(code)) => {
                return Sent::Whole(Err(Problem::new(code, "a fault that a test has planned")));
            }
            Some(Fault::Page(status)) => return Sent::Page(*status),
            Some(Fault::Cut) => return Sent::Nothing,
            Some(Fault::ActionFails(code)) => self.state.fate = Fate::Fails((*code).into()),
            Some(Fault::ActionNeverEnds) => self.state.fate = Fate::Never,
            _ => {}
        }
        if !body.is_empty() {
            match serde_json::from_slice(body) {
                Ok(read) => ask.body = read,
                Err(error) => {
                    self.violations.push(format!("{} {}: {error}", ask.method, ask.path));
                    return Sent::Whole(Err(Problem::new("json_error", error.to_string())));
                }
            }
        }
        let answer = self.described(&ask);
        self.state.fate = Fate::Succeeds;
        match fault {
            Some(Fault::ActsAndCuts) => Sent::Nothing,
            Some(Fault::ActsAndIsLate(late)) => Sent::Late(answer, late),
            _ => Sent::Whole(answer),
        }
    }

    /// The answer, when the request is as the API's description has it; and whether the answer is.
    fn described(&mut self, ask: &Ask) -> Answer {
        let Some(description) = description(self.state.era) else { return self.routed(ask) };
        let mut say = |what: String| self.violations.push(format!("{} {}: {what}", ask.method, ask.path));
        match description.wrong_request(ask) {
            Ok(wrong) if wrong.is_empty() => {}
            Ok(wrong) => {
                wrong.iter().for_each(|(field, message)| say(format!("{field}: {message}")));
                return Err(Problem::fields(&wrong));
            }
            Err(known) => {
                say(if known { "there is no such method" } else { "there is no such path" }.into());
                let code = match known {
                    true => "method_not_allowed",
                    false if ask.path.starts_with("/datacenters") => "deprecated_api_endpoint",
                    false => "not_found",
                };
                return Err(Problem::new(code, "there is no such operation"));
            }
        }
        let answer = self.routed(ask);
        let (status, body) = match &answer {
            Ok(reply) => (reply.status, &reply.body),
            Err(problem) => (problem.status, &problem.body()),
        };
        for (field, message) in description.wrong_answer(ask, status, body) {
            self.violations.push(format!("the answer to {} {}: {status} {field}: {message}", ask.method, ask.path));
        }
        answer
    }

    /// The answer. A fake that breaks fails the test as well.
    fn routed(&mut self, ask: &Ask) -> Answer {
        let state = &mut self.state;
        std::panic::catch_unwind(AssertUnwindSafe(|| router::answer(state, ask))).unwrap_or_else(|_| {
            self.violations.push(format!("the fake broke at {} {}", ask.method, ask.path));
            Err(Problem::new("server_error", "the fake broke"))
        })
    }

    fn headers(&self) -> [(&'static str, String); 4] {
        [
            ("RateLimit-Limit", self.budget.limit.to_string()),
            ("RateLimit-Remaining", (self.budget.left.floor() as u64).to_string()),
            ("RateLimit-Reset", self.budget.reset().to_string()),
            ("X-Correlation-Id", format!("{:016x}", self.calls.values().sum::<u64>())),
        ]
    }
}

/// A path with `*` for its identifiers.
fn pattern(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').map(|part| if part.parse::<u64>().is_ok() { "*" } else { part }).collect();
    parts.join("/")
}
