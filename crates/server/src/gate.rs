//! Who gets in: tokens, sessions, roles, and requests that come from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kubewright_model::secret::Secret;
use sha2::{Digest as _, Sha256};

use crate::api::App;
use crate::api::refusal::Refusing;
use crate::api::shapes::Role;

/// The cookie of a session, before the port. Browsers tell cookies apart by host and not by port, so the port is in the name.
pub(crate) const COOKIE: &str = "kubewright";
/// The header that a request from our own page carries where it changes something.
const CSRF: &str = "x-kubewright-csrf";
/// How long a session lasts: a day's work.
const LASTS: Duration = Duration::from_secs(12 * 3600);
/// Sessions that are kept; the oldest goes for one more.
const SESSIONS: usize = 1000;
/// Bytes of a body: the largest request is a plan's list of nodes.
const BODY: usize = 64 * 1024;
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);
/// The longest time that a wrong token has to wait for its answer, and those that wait at once at most.
const SLOWEST: Duration = Duration::from_secs(4);
const WAITING: usize = 16;

/// What a page may load and whom it may talk to: what is ours, and nothing inline.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                                 font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Sum = [u8; 32];

/// The tokens that let somebody in, known by their digests alone.
pub struct Tokens {
    of: Vec<(Sum, Role)>,
}

impl Tokens {
    /// The tokens of operators, who may run, and of viewers, who may look.
    pub fn new(operators: &[Secret], viewers: &[Secret]) -> Self {
        let of = |tokens: &[Secret], role| tokens.iter().map(|it| (sum(it.expose()), role)).collect::<Vec<_>>();
        Self { of: [of(operators, Role::Operator), of(viewers, Role::Viewer)].concat() }
    }

    /// What a token lets somebody do. All are compared, and as digests: how long that takes tells nothing of them.
    fn role(&self, token: &str) -> Option<Role> {
        let asked = sum(token);
        self.of.iter().filter(|(known, _)| *known == asked).map(|(_, role)| *role).max()
    }
}

/// A token that nobody can guess.
///
/// # Errors
///
/// The system gives no random bytes.
pub fn new_token() -> Result<Secret, String> {
    random().map(Secret::new).map_err(|error| error.to_string())
}

/// Random bytes as text.
fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn sum(text: &str) -> Sum {
    Sha256::digest(text.as_bytes()).into()
}

/// Everybody who is in.
pub(crate) struct Gate {
    tokens: Tokens,
    hosts: BTreeSet<String>,
    secure: bool,
    sessions: Mutex<BTreeMap<Sum, Kept>>,
    wrong: Mutex<Wrong>,
}

struct Kept {
    role: Role,
    csrf: String,
    since: Instant,
}

#[derive(Default)]
struct Wrong {
    many: u32,
    waiting: usize,
}

/// One more of those who wait.
struct Waits<'g>(&'g Gate);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.wrong().waiting -= 1;
    }
}

/// What somebody who is in may do.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) role: Role,
    /// That of a session; none where a program's token came with the request.
    pub(crate) csrf: Option<String>,
    session: Option<Sum>,
}

impl Gate {
    /// A gate for those who ask for one of these hosts.
    pub(crate) fn new(tokens: Tokens, hosts: BTreeSet<String>, secure: bool) -> Self {
        Self { tokens, hosts, secure, sessions: Mutex::default(), wrong: Mutex::default() }
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<Sum, Kept>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self) -> MutexGuard<'_, Wrong> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets somebody in: the cookie, and what it opens. A wrong token waits the longer the more there were.
    pub(crate) async fn login(&self, headers: &HeaderMap, token: &str) -> Result<(HeaderValue, Access), Refusing> {
        let Some(role) = self.tokens.role(token) else {
            self.slows_down().await?;
            let refused = Refusing::new(StatusCode::UNAUTHORIZED, "unauthorized", "this token opens nothing");
            return Err(refused.hint("`kubewright serve` tells where its token is"));
        };
        self.wrong().many = 0;
        let made = random().and_then(|session| Ok((session, random()?)));
        let failed = |_| Refusing::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the system gives no random bytes");
        let (session, csrf) = made.map_err(failed)?;
        let cookie = self.cookie(headers, &session, LASTS);
        let mut sessions = self.sessions();
        sessions.retain(|_, kept| kept.since.elapsed() < LASTS);
        if sessions.len() >= SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, kept)| kept.since).map(|(sum, _)| *sum);
            oldest.and_then(|oldest| sessions.remove(&oldest));
        }
        let session = sum(&session);
        sessions.insert(session, Kept { role, csrf: csrf.clone(), since: Instant::now() });
        let cookie = cookie.ok_or_else(|| Refusing::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "no cookie"))?;
        Ok((cookie, Access { role, csrf: Some(csrf), session: Some(session) }))
    }

    /// Lets whoever has a wrong token wait, the longer the more there were.
    async fn slows_down(&self) -> Result<(), Refusing> {
        let wait = {
            let mut wrong = self.wrong();
            if wrong.waiting >= WAITING {
                return Err(Refusing::new(StatusCode::TOO_MANY_REQUESTS, "slower", "too many wrong tokens at once"));
            }
            wrong.waiting += 1;
            wrong.many = wrong.many.saturating_add(1);
            SLOWEST.min(Duration::from_millis(100) * 2_u32.saturating_pow(wrong.many.min(10)))
        };
        // Also where the other side hangs up meanwhile.
        let _waits = Waits(self);
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Ends a session; the cookie that takes its own away.
    pub(crate) fn logout(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        self.session(headers).and_then(|session| self.sessions().remove(&sum(&session)));
        self.cookie(headers, "", Duration::ZERO)
    }

    /// What a session's cookie is called: by the port that the browser asks for, which `ssh -L` may have chosen. With TLS, browsers
    /// take a `__Host-` cookie from this host alone. <https://www.rfc-editor.org/rfc/rfc6265#section-8.5>
    fn cookie_name(&self, headers: &HeaderMap) -> String {
        let prefix = if self.secure { "__Host-" } else { "" };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        match split(host).1 {
            Some(port) => format!("{prefix}{COOKIE}-{port}"),
            None => format!("{prefix}{COOKIE}"),
        }
    }

    fn cookie(&self, headers: &HeaderMap, value: &str, lasts: Duration) -> Option<HeaderValue> {
        let (name, secure) = (self.cookie_name(headers), if self.secure { "; Secure" } else { "" });
        let words = format!("{name}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}{secure}", lasts.as_secs());
        HeaderValue::from_str(&words).ok()
    }

    /// The session that a request's cookie names.
    fn session(&self, headers: &HeaderMap) -> Option<String> {
        let wanted = self.cookie_name(headers);
        let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = all.flat_map(|all| all.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value.to_string())
    }

    fn access(&self, headers: &HeaderMap) -> Option<Access> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if let Some(token) = bearer {
            return self.tokens.role(token.trim()).map(|role| Access { role, csrf: None, session: None });
        }
        let session = sum(&self.session(headers)?);
        let sessions = self.sessions();
        let kept = sessions.get(&session).filter(|kept| kept.since.elapsed() < LASTS)?;
        Some(Access { role: kept.role, csrf: Some(kept.csrf.clone()), session: Some(session) })
    }

    /// Whether somebody who was let in still is: a session ends by itself, or is left.
    pub(crate) fn still(&self, access: &Access) -> bool {
        let lasts = |session| self.sessions().get(session).is_some_and(|kept: &Kept| kept.since.elapsed() < LASTS);
        access.session.as_ref().is_none_or(lasts)
    }

    /// Whether a request is for us: a name that leads here, and is somebody else's, is not.
    fn is_ours(&self, host: &str) -> bool {
        self.hosts.contains(&split(host).0.to_ascii_lowercase())
    }
}

/// The name and the port of a `Host`; no port where it is that of the scheme.
fn split(host: &str) -> (&str, Option<u16>) {
    let (name, rest) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    (name, rest.and_then(|port| port.parse().ok()))
}

/// Whether a browser says that a request comes from our own page, or who asks is no browser.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let origin = text(header::ORIGIN).map(|origin| origin.split_once("://").map_or("", |(_, host)| host));
    site.is_none_or(|site| matches!(site, "same-origin" | "none"))
        && origin.is_none_or(|it| Some(it) == text(header::HOST))
}

/// Who may go on to a request.
pub(crate) async fn guard(State((app, who)): State<(App, Role)>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let Some(access) = app.gate.access(headers) else {
        // A token that is guessed costs as much here as at the login.
        if headers.contains_key(header::AUTHORIZATION)
            && let Err(refused) = app.gate.slows_down().await
        {
            return refused.into_response();
        }
        let refused = Refusing::new(StatusCode::UNAUTHORIZED, "unauthorized", "nobody is logged in");
        let mut answer = refused.into_response();
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return answer;
    };
    if access.role < who {
        let refused = Refusing::new(StatusCode::FORBIDDEN, "forbidden", "a viewer may look and not change anything");
        return refused.hint("log in with an operator's token").into_response();
    }
    if request.method() != Method::GET
        && let Some(csrf) = &access.csrf
    {
        let given = headers.get(CSRF).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if sum(given) != sum(csrf) || !is_from_here(headers) {
            let why = "the request does not come from this dashboard's own page";
            return Refusing::new(StatusCode::FORBIDDEN, "forbidden", why).into_response();
        }
    }
    request.extensions_mut().insert(access);
    next.run(request).await
}

/// What goes for every request: it is for us, its body is small and comes soon, and its answer says what may be done with it.
pub(crate) async fn door(State(app): State<App>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !app.gate.is_ours(host) {
        let refused = Refusing::new(StatusCode::MISDIRECTED_REQUEST, "host", "nobody of that name is here");
        return dressed(refused.hint("`--host NAME` lets the dashboard be called by that name").into_response());
    }
    let login = request.method() == Method::POST && request.uri().path() == "/api/v1/session";
    if login && !is_from_here(request.headers()) {
        return dressed(
            Refusing::new(StatusCode::FORBIDDEN, "forbidden", "logins come from our own page").into_response(),
        );
    }
    let (parts, body) = request.into_parts();
    let body = match tokio::time::timeout(BODY_TIME, to_bytes(body, BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let why = "no request is so large";
            return dressed(Refusing::new(StatusCode::PAYLOAD_TOO_LARGE, "tooLarge", why).into_response());
        }
        Err(_) => {
            let why = "the request did not come to its end in time";
            return dressed(Refusing::new(StatusCode::REQUEST_TIMEOUT, "timeout", why).into_response());
        }
    };
    dressed(next.run(Request::from_parts(parts, Body::from(body))).await)
}

/// An answer with what keeps browsers from doing more with it than is meant.
fn dressed(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}
