//! The API over HTTPS: who we are, which address answers, and what an answer means.
//!
//! A call is sent once. Only an address that no connection can be had to is passed over for the next one, since nothing
//! has been asked of anybody then.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::ext::ReasonPhrase;
use kubewright_model::secret::Secret;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::sync::Mutex;

use super::call::{self, Call, Verb};
use super::classify;
use super::settings::{Identity, Settings};
use crate::{ErrorKind, ProviderError, trust};

/// A node that is there answers a greeting at once, also over a bad line.
const CONNECT: Duration = Duration::from_secs(10);
/// Proxmox gives a call of its own to another node 30 s, and some of its locks are waited for 10 s more.
const ANSWER: Duration = Duration::from_secs(60);
/// What a write needs beside a ticket, so that no web page can make a browser write.
const CSRF: HeaderName = HeaderName::from_static("csrfpreventiontoken");

/// The API of one cluster.
pub(super) struct Client {
    http: reqwest::Client,
    addresses: Vec<String>,
    /// The address that answered last.
    answering: AtomicUsize,
    identity: Identity,
    secret_at: String,
    ticket: Mutex<Option<Ticket>>,
}

/// What a password was given for.
#[derive(Clone)]
struct Ticket {
    cookie: Secret,
    csrf: Secret,
}

/// An error of this adapter.
pub(super) fn error(kind: ErrorKind, message: impl Into<String>) -> ProviderError {
    ProviderError { provider: "proxmox", kind, message: message.into(), log: Vec::new(), help: None }
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let invalid = |why: String| error(ErrorKind::Invalid, why);
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(trust::tls(&settings.trust).map_err(invalid)?)
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        let addresses: Vec<String> =
            settings.addresses.iter().map(|address| address.trim_end_matches('/').to_string()).collect();
        if addresses.is_empty() {
            return Err(invalid("no address of the API is given".into()));
        }
        let (identity, secret_at) = (settings.identity.clone(), settings.secret_at.clone());
        Ok(Self { http, addresses, answering: AtomicUsize::new(0), identity, secret_at, ticket: Mutex::new(None) })
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Makes a call and returns its `data`.
    pub(super) async fn send(&self, call: Call) -> Result<Value, ProviderError> {
        let (headers, ticket) = self.credentials().await?;
        let answer = self.ask(&call, headers).await;
        match (answer, ticket) {
            // A ticket ends after two hours, and a call that was refused for it has done nothing.
            (Err(refused), Some(old)) if refused.message.starts_with("401 ") => {
                self.forget(&old).await;
                let (headers, _) = self.credentials().await?;
                self.ask(&call, headers).await
            }
            (Err(refused), None) if refused.message.starts_with("401 ") => Err(self.not_let_in(&refused)),
            (answer, _) => answer,
        }
    }

    /// Who is not let in, with what, and how to find out which of the two is wrong.
    fn not_let_in(&self, refused: &ProviderError) -> ProviderError {
        let (id, at) = (self.identity.id(), &self.secret_at);
        let (secret, help) = match &self.identity {
            Identity::Token { .. } => {
                let user = id.split('!').next().unwrap_or(id);
                let list =
                    format!("`pveum user token list {user}` on a Proxmox host tells whether there is such a token");
                ("secret", format!("{list}; its secret is shown once, when `pveum user token add` makes it"))
            }
            Identity::Password { .. } => ("password", "look at the user's realm (`@pam`, `@pve`), and at it".into()),
        };
        let message = format!("{id} is not let in with the {secret} at {at} ({})", refused.message);
        error(ErrorKind::Denied, message).with_help(help)
    }

    async fn forget(&self, old: &Ticket) {
        let mut ticket = self.ticket.lock().await;
        if ticket.as_ref().is_some_and(|now| now.cookie == old.cookie) {
            *ticket = None;
        }
    }

    /// The headers that say who we are, and the ticket if they come from one.
    async fn credentials(&self) -> Result<(HeaderMap, Option<Ticket>), ProviderError> {
        let mut headers = HeaderMap::new();
        match &self.identity {
            Identity::Token { id, secret } => {
                headers.insert(AUTHORIZATION, hidden(format!("PVEAPIToken={id}={}", secret.expose()))?);
                Ok((headers, None))
            }
            Identity::Password { user, password } => {
                let mut ticket = self.ticket.lock().await;
                let ticket = match &mut *ticket {
                    Some(ticket) => ticket.clone(),
                    none => none.insert(self.log_in(user, password).await?).clone(),
                };
                headers.insert(COOKIE, hidden(format!("PVEAuthCookie={}", ticket.cookie.expose()))?);
                headers.insert(CSRF, hidden(ticket.csrf.expose().clone())?);
                Ok((headers, Some(ticket)))
            }
        }
    }

    async fn log_in(&self, user: &str, password: &Secret) -> Result<Ticket, ProviderError> {
        let given = self.ask(&call::login(user, password.expose()), HeaderMap::new()).await;
        let given = given.map_err(|refused| match refused.message.starts_with("401 ") {
            true => self.not_let_in(&refused),
            false => refused,
        })?;
        if given["NeedTFA"].as_i64() == Some(1) {
            let message = format!("{user} logs in with a second factor: give kubewright an API token instead");
            return Err(error(ErrorKind::Denied, message));
        }
        let word = |name: &str| given[name].as_str().map(|word| Secret::new(word.to_string()));
        match (word("ticket"), word("CSRFPreventionToken")) {
            (Some(cookie), Some(csrf)) => Ok(Ticket { cookie, csrf }),
            _ => Err(error(ErrorKind::Bug, "the answer to a login holds no ticket")),
        }
    }

    /// Sends a call to the address that answered last, and to the others when no connection to it can be had.
    async fn ask(&self, call: &Call, headers: HeaderMap) -> Result<Value, ProviderError> {
        let first = self.answering.load(Ordering::Relaxed);
        let mut failed = None;
        for turn in 0..self.addresses.len() {
            let index = (first + turn) % self.addresses.len();
            let address = &self.addresses[index];
            match self.request(address, call, headers.clone())?.send().await {
                Ok(response) => {
                    self.answering.store(index, Ordering::Relaxed);
                    return read(response).await;
                }
                Err(why) => {
                    let unreached = why.is_connect();
                    failed = Some(unanswered(address, &why));
                    if !unreached {
                        break;
                    }
                }
            }
        }
        Err(failed.unwrap_or_else(|| error(ErrorKind::Bug, "no address was asked")))
    }

    fn request(
        &self,
        address: &str,
        call: &Call,
        headers: HeaderMap,
    ) -> Result<reqwest::RequestBuilder, ProviderError> {
        let method = match call.verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Delete => Method::DELETE,
        };
        let request = self.http.request(method, format!("{address}/api2/json{}", call.filled())).headers(headers);
        Ok(match (&call.file, call.verb) {
            (Some(file), _) => request.multipart(form(&call.parameters, file)?),
            (None, Verb::Get | Verb::Delete) => request.query(&call.parameters),
            (None, Verb::Post | Verb::Put) => request.form(&call.parameters),
        })
    }
}

/// A form with a file. Proxmox reads the parameters before the file, so the file comes last.
fn form(parameters: &[(String, String)], file: &call::File) -> Result<Form, ProviderError> {
    let form = parameters.iter().fold(Form::new(), |form, (name, value)| form.text(name.clone(), value.clone()));
    let part = Part::bytes(file.content.clone()).file_name(file.name.clone()).mime_str("application/octet-stream");
    let part = part.map_err(|why| error(ErrorKind::Bug, why.to_string()))?;
    Ok(form.part("filename", part))
}

/// A header that no log shows.
fn hidden(text: String) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| error(ErrorKind::Invalid, "the credentials hold characters that no HTTP header may hold"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Nobody answered, or nobody whom we trust.
fn unanswered(address: &str, why: &reqwest::Error) -> ProviderError {
    let mut cause: &dyn Error = why;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match of_tls(why) {
        Some(rustls::Error::InvalidMessage(_)) => {
            let message = format!("{address}: what answers there speaks no TLS");
            return error(ErrorKind::Invalid, message).with_help("Proxmox' API listens on port 8006");
        }
        Some(refused) => {
            let message = format!("{address} is not trusted: {}", trust::words(refused));
            let help = "if it is the right one, write its SHA-256 fingerprint as `fingerprint`; the Proxmox host shows \
                        it with `pvenode cert info`";
            return error(ErrorKind::Denied, message).with_help(help);
        }
        None => {}
    }
    if why.is_timeout() {
        return error(ErrorKind::Transient, format!("{address}: no answer in time: {cause}"));
    }
    let unanswered = error(ErrorKind::Unanswered, format!("{address}: no answer: {cause}"));
    match cause.to_string() {
        words if words.contains("Connection refused") => {
            unanswered.with_help("Proxmox' API listens on port 8006: look at the `endpoint`, and at pveproxy there")
        }
        words if words.contains("failed to lookup") => {
            unanswered.with_help("this computer does not know the name: write the address, or add it to /etc/hosts")
        }
        words => error(ErrorKind::Transient, format!("{address}: no answer: {words}")),
    }
}

/// What TLS broke off for. An error of a stream holds that without naming it as its source.
fn of_tls<'e>(why: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let own = why.downcast_ref().filter(|why| {
        use rustls::Error::{General, InvalidCertificate, InvalidMessage};
        matches!(why, InvalidCertificate(_) | General(_) | InvalidMessage(_))
    });
    let held = || of_tls(why.downcast_ref::<std::io::Error>()?.get_ref()?);
    own.or_else(held).or_else(|| of_tls(why.source()?))
}

/// What an answer says.
async fn read(response: Response) -> Result<Value, ProviderError> {
    let status = response.status();
    // Before 8.4, and from a node that cannot be reached, the words stand only beside the status.
    let reason = response.extensions().get::<ReasonPhrase>();
    let reason = reason.map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());
    let body = response.bytes().await.map_err(|why| {
        let cause = why.source().map_or_else(|| "the connection broke".into(), ToString::to_string);
        error(ErrorKind::Transient, format!("the answer broke off: {cause}"))
    })?;
    let answer: Option<Value> = serde_json::from_slice(&body).ok().filter(Value::is_object);
    if status.is_success() {
        // A page in the place of an answer is a proxy's.
        let mut answer = answer.ok_or_else(|| error(ErrorKind::Transient, "the answer is not Proxmox' own"))?;
        return Ok(answer["data"].take());
    }
    let own =
        answer.as_ref().and_then(|answer| answer["message"].as_str()).map(str::trim).filter(|own| !own.is_empty());
    let standard = || status.canonical_reason().unwrap_or("no words").to_string();
    let words = own.map(String::from).or(reason.filter(|reason| !reason.is_empty())).unwrap_or_else(standard);
    let fields = answer.as_ref().and_then(|answer| answer["errors"].as_object());
    let fields: Vec<String> = fields
        .into_iter()
        .flatten()
        .map(|(field, why)| format!("{field}: {}", why.as_str().unwrap_or("wrong").trim()))
        .collect();
    let kind = classify::kind(status.as_u16(), &words);
    let detail = if fields.is_empty() { String::new() } else { format!(" {}", fields.join("; ")) };
    Err(error(kind, format!("{} {words}{detail}", status.as_u16())))
}
