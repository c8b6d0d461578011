//! The API over HTTPS: who we are, how much we may ask, and what an answer means. A call is sent once.

use std::error::Error;
use std::time::Duration;

use kubewright_model::secret::Secret;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Response, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::allowance::Allowance;
use super::call::{self, Call, Kind, Verb};
use super::classify;
use super::settings::Settings;
use crate::{ErrorKind, ProviderError, Trust, trust};

/// Hetzner's API is behind servers that are near everybody.
const CONNECT: Duration = Duration::from_secs(10);
/// Where Hetzner's API is.
const ADDRESS: &str = "https://api.hetzner.cloud/v1";

/// The API of one project.
pub(super) struct Client {
    http: reqwest::Client,
    address: String,
    token: HeaderValue,
    token_at: String,
    pub(super) allowance: Allowance,
}

/// An error of this adapter.
pub(super) fn error(kind: ErrorKind, message: impl Into<String>) -> ProviderError {
    ProviderError { provider: "hetzner", kind, message: message.into(), log: Vec::new(), help: None }
}

/// An answer has not the form that the API has.
fn strange(what: &str, why: impl std::fmt::Display) -> ProviderError {
    error(ErrorKind::Bug, format!("the answer to {what} is not understood: {why}"))
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let invalid = |why: String| error(ErrorKind::Invalid, why);
        let address = settings.address.as_deref().unwrap_or(ADDRESS).trim_end_matches('/').to_string();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(trust::tls(&Trust::System).map_err(invalid)?)
            .https_only(!is_here(&address)?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(settings.deadline)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        let (token, token_at) = (hidden(&settings.token)?, settings.token_at.clone());
        Ok(Self { http, address, token, token_at, allowance: Allowance::default() })
    }

    /// Makes a call and returns what it is answered with.
    pub(super) async fn send(&self, call: Call) -> Result<Value, ProviderError> {
        self.allowance.permit()?;
        let method = match call.verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Delete => Method::DELETE,
        };
        let request = self.http.request(method, format!("{}{}", self.address, call.filled()));
        let request = request.header(AUTHORIZATION, self.token.clone()).query(&call.query);
        let request = match &call.body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        let response = request.send().await.map_err(|why| unanswered(&self.address, &why))?;
        self.allowance.note(response.headers());
        self.read(response).await
    }

    /// Everything that a list holds, page by page.
    pub(super) async fn all<T: DeserializeOwned>(&self, kind: Kind, list: Call) -> Result<Vec<T>, ProviderError> {
        let (mut all, mut page, mut most) = (Vec::new(), 1, 0);
        loop {
            let mut answer = self.send(list.clone().page(page)).await?;
            let about = &answer["meta"]["pagination"];
            let (next, total) = (about["next_page"].as_u64(), about["total_entries"].as_u64().unwrap_or_default());
            // What comes behind a thing that goes away meanwhile moves to a page that has been read.
            if total < most {
                let message = format!("a {} went away while all of them were listed", kind.word());
                return Err(error(ErrorKind::Transient, message));
            }
            most = total;
            all.extend(part::<Vec<T>>(&mut answer, &kind.list()[1..])?);
            match next {
                Some(next) if next > page => page = next,
                _ => return Ok(all),
            }
        }
    }

    /// The one with a name, where there is one: no two of a kind have the same in a project.
    pub(super) async fn named<T: DeserializeOwned>(&self, kind: Kind, name: &str) -> Result<Option<T>, ProviderError> {
        let mut answer = self.send(call::list(kind).named(name)).await?;
        Ok(part::<Vec<T>>(&mut answer, &kind.list()[1..])?.into_iter().next())
    }

    /// What an answer says.
    async fn read(&self, response: Response) -> Result<Value, ProviderError> {
        let status = response.status();
        let body = response.bytes().await.map_err(|why| {
            let cause = why.source().map_or_else(|| "the connection broke".into(), ToString::to_string);
            error(ErrorKind::Transient, format!("the answer broke off: {cause}"))
        })?;
        if status.is_success() && body.is_empty() {
            return Ok(Value::Null);
        }
        let answer: Option<Value> = serde_json::from_slice(&body).ok().filter(Value::is_object);
        if status.is_success() {
            // A page in the place of an answer is a proxy's.
            return answer.ok_or_else(|| error(ErrorKind::Transient, "the answer is not Hetzner's own"));
        }
        let refusal = answer.as_ref().map_or(&Value::Null, |answer| &answer["error"]);
        Err(self.refused(status.as_u16(), status.canonical_reason().unwrap_or("no words"), refusal))
    }

    /// A refusal, with its code as it was given.
    fn refused(&self, status: u16, reason: &str, refusal: &Value) -> ProviderError {
        let code = refusal["code"].as_str().unwrap_or_default();
        let words = refusal["message"].as_str().unwrap_or(reason);
        let said = if code.is_empty() { format!("{status}: {words}") } else { format!("{status} {code}: {words}") };
        let fields = refusal["details"]["fields"].as_array().into_iter().flatten();
        let fields: Vec<String> = fields.filter_map(field).collect();
        let detail = if fields.is_empty() { String::new() } else { format!(" ({})", fields.join("; ")) };
        let mut failed = error(classify::kind(status, code), format!("{said}{detail}"));
        match code {
            "unauthorized" | "token_readonly" => failed.message += &format!("; the token is at {}", self.token_at),
            "rate_limit_exceeded" => failed.message += &format!("; {}", self.allowance.refill()),
            _ => {}
        }
        match classify::help(code) {
            Some(help) => failed.with_help(help),
            None => failed,
        }
    }
}

/// `name: server name is already used`.
fn field(field: &Value) -> Option<String> {
    let words: Vec<&str> = field["messages"].as_array()?.iter().filter_map(Value::as_str).collect();
    Some(format!("{}: {}", field["name"].as_str()?, words.join(", ")))
}

/// One part of an answer, in its form.
pub(super) fn part<T: DeserializeOwned>(answer: &mut Value, name: &str) -> Result<T, ProviderError> {
    serde_json::from_value(answer[name].take()).map_err(|why| strange(name, why))
}

/// Whether an address is this computer's own, where a token may go without TLS: nobody is in between.
fn is_here(address: &str) -> Result<bool, ProviderError> {
    let url: Url = address.parse().map_err(|_| error(ErrorKind::Invalid, format!("`{address}` is no address")))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if url.scheme() == "http" && !here {
        let message = format!("{address}: whoever is in between would read the token");
        return Err(error(ErrorKind::Invalid, message).with_help("write the address of the API with `https://`"));
    }
    Ok(url.scheme() == "http")
}

/// A header that no log shows.
fn hidden(token: &Secret) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose().trim()))
        .map_err(|_| error(ErrorKind::Invalid, "the token holds characters that no HTTP header may hold"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Nobody answered, or nobody whom we trust.
fn unanswered(address: &str, why: &reqwest::Error) -> ProviderError {
    let mut cause: &dyn Error = why;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if why.is_timeout() {
        return error(ErrorKind::Transient, format!("{address}: no answer in time: {cause}"));
    }
    let words = cause.to_string();
    if words.contains("invalid peer certificate") {
        let help = "a proxy that ends TLS has to be trusted by this computer";
        return error(ErrorKind::Denied, format!("{address} is not trusted: {words}")).with_help(help);
    }
    // Nobody has been asked when no connection was to be had.
    let kind = if why.is_connect() { ErrorKind::Unanswered } else { ErrorKind::Transient };
    error(kind, format!("{address}: no answer: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_without_tls_only_to_this_computer() {
        for (address, wanted) in [
            ("https://api.hetzner.cloud/v1", Some(false)),
            ("http://127.0.0.1:8080/v1", Some(true)),
            ("http://[::1]:8080/v1", Some(true)),
            ("http://api.hetzner.cloud/v1", None),
            ("hetzner", None),
        ] {
            assert_eq!(is_here(address).ok(), wanted, "{address}");
        }
    }
}
