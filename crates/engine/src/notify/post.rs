//! What goes by HTTP: JSON for anybody, Slack's, Matrix'. An address with a secret in it is in no error.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use ring::hmac;
use serde_json::{Value, json};

use kubewright_model::digest::Digest;
use kubewright_model::secret::Secret;

use super::Message;

/// Whoever does not answer must not hold up whoever looks.
const ANSWERS: Duration = Duration::from_secs(30);
/// How often one is asked again that is busy, and how long is waited for it at most.
const TRIES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(20);
/// A block of Slack's holds so many characters. <https://docs.slack.dev/reference/block-kit/blocks/section-block>
const BLOCK: usize = 3000;

/// Gives a message to a webhook as JSON; signed, where there is a key.
pub(super) async fn json(address: &Secret, key: Option<&Secret>, message: &Message) -> Result<(), String> {
    let body = serde_json::to_vec(message).map_err(|error| error.to_string())?;
    let url = url(address)?;
    let signature = key.map(|key| signed(key, &body));
    sent(async |client: &Client| {
        let asked = client.post(url.clone()).header("content-type", "application/json").body(body.clone());
        match &signature {
            Some(signature) => asked.header("x-kubewright-signature", signature),
            None => asked,
        }
    })
    .await
}

/// `sha256=` and the HMAC of what is sent, in hexadecimal, as others sign theirs.
pub(super) fn signed(key: &Secret, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().trim().as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, body).as_ref()))
}

/// Gives a message to an incoming webhook of Slack: as plain text, in which no sign means anything, and beside it the first line for
/// what shows no blocks. <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>
pub(super) async fn slack(address: &Secret, message: &Message) -> Result<(), String> {
    let (url, body) = (url(address)?, of_slack(message).to_string());
    sent(async |client: &Client| client.post(url.clone()).header("content-type", "application/json").body(body.clone()))
        .await
}

pub(super) fn of_slack(message: &Message) -> Value {
    let headline = message.text.lines().next().unwrap_or_default();
    let text: String = message.text.chars().take(BLOCK).collect();
    // Three characters mean something in text outside of blocks.
    // <https://docs.slack.dev/messaging/formatting-message-text#escaping>
    let escaped = headline.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let block = json!({ "type": "section", "text": { "type": "plain_text", "text": text, "emoji": false } });
    json!({ "text": escaped, "blocks": [block] })
}

/// Writes a message into a room. What is sent twice under one number is there once: it is of the message.
/// <https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>
pub(super) async fn matrix(server: &str, room: &str, token: &Secret, message: &Message) -> Result<(), String> {
    let mut url = Url::parse(server).map_err(|error| error.to_string())?;
    let number = Digest::of_value(message).to_string();
    url.path_segments_mut().map_err(|()| "it is no address of a server".to_string())?.pop_if_empty().extend([
        "_matrix",
        "client",
        "v3",
        "rooms",
        room,
        "send",
        "m.room.message",
        &number,
    ]);
    let body = json!({ "msgtype": "m.text", "body": message.text }).to_string();
    sent(async |client: &Client| {
        let asked = client.put(url.clone()).bearer_auth(token.expose().trim());
        asked.header("content-type", "application/json").body(body.clone())
    })
    .await
}

fn url(address: &Secret) -> Result<Url, String> {
    // The error of the parser does not repeat what it could not read.
    Url::parse(address.expose().trim()).map_err(|error| format!("its address is none: {error}"))
}

/// Sends a request, and once more where nobody answers or whoever answers is busy.
async fn sent(request: impl AsyncFn(&Client) -> RequestBuilder) -> Result<(), String> {
    let client = Client::builder()
        .tls_backend_preconfigured(trusting()?)
        .timeout(ANSWERS)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| error.to_string())?;
    let mut why = String::new();
    for tried in 1..=TRIES {
        let wait = match request(&client).await.send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => {
                let status = answer.status();
                why = format!("it answers {status}");
                if status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error() {
                    return Err(why);
                }
                asks_for(&answer)
            }
            Err(error) => {
                why = causes(&error.without_url());
                None
            }
        };
        if tried < TRIES {
            tokio::time::sleep(wait.unwrap_or(Duration::from_secs(u64::from(tried))).min(PATIENCE)).await;
        }
    }
    Err(why)
}

/// How long one that is busy asks to be left alone.
fn asks_for(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What this computer trusts, as for providers.
pub(crate) fn trusting() -> Result<rustls::ClientConfig, String> {
    use rustls_platform_verifier::BuilderVerifierExt as _;
    let crypto = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(crypto).with_safe_default_protocol_versions();
    let config = config.and_then(|config| config.with_platform_verifier()).map_err(|error| error.to_string())?;
    Ok(config.with_no_client_auth())
}

/// An error with what is behind it.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    words.join(": ")
}
