//! Plain requests to the pretend Hetzner Cloud API, or to what stands before it.

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use crate::hetzner::{Fake, TOKEN};

pub(crate) struct Driver {
    client: Client,
    url: String,
}

impl Driver {
    pub(crate) fn new(url: &str) -> Self {
        // reqwest wants to know who does its TLS, also where there is none. Another test may have said it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { client: Client::new(), url: url.into() }
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: &Value) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(TOKEN);
        match body {
            Value::Null => request,
            body => request.header("Content-Type", "application/json").body(body.to_string()),
        }
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> Response {
        self.request(method, path, &body).send().await.unwrap()
    }

    /// Status and body.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let answer = self.send(method, path, body).await;
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    /// The answer to what must be accepted.
    pub(crate) async fn accepted(&self, method: &str, path: &str, body: Value) -> Value {
        let asked = body.to_string();
        let (status, answer) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path} {asked}: {status} {answer}");
        answer
    }

    /// Status and code of what must be refused.
    pub(crate) async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let asked = body.to_string();
        let (status, answer) = self.ask(method, path, body).await;
        let code = answer["error"]["code"].as_str();
        (status, code.unwrap_or_else(|| panic!("{method} {path} {asked}: {status} {answer}")).into())
    }
}

/// What the API shows of a kind.
pub(crate) async fn shown(fake: &Fake, plural: &str) -> Vec<Value> {
    let answer = Driver::new(&fake.url).accepted("GET", &format!("/{plural}?per_page=50"), Value::Null).await;
    answer[plural].as_array().unwrap().clone()
}
