//! Requests and their answers.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright_report::Language;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::refusal::Refusing;
use super::shapes::{
    Begun, Checks, Cluster, Clusters, Login, PlanShown, PlanWish, Run, RunWish, Runs, Session, Stopped,
};
use super::{App, openapi};
use crate::cluster::plans::shown;
use crate::cluster::recording::Recording;
use crate::cluster::{Kept, Member};
use crate::gate::Access;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A body of JSON; what is wrong with it is told as everything else that is refused.
pub(super) struct Wish<T>(T);

impl<T: DeserializeOwned> FromRequest<App> for Wish<T> {
    type Rejection = Refusing;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusing> {
        let read = Json::<T>::from_request(request, app).await;
        read.map(|Json(wish)| Self(wish)).map_err(|rejected: JsonRejection| {
            Refusing::new(StatusCode::BAD_REQUEST, "badRequest", rejected.body_text())
        })
    }
}

pub(super) fn member<'a>(app: &'a App, cluster: &str) -> Result<&'a Arc<Member>, Refusing> {
    app.fleet.get(cluster).ok_or_else(|| Refusing::absent(format!("there is no cluster {cluster}")))
}

/// The recording of a run. A journal may be long, and nobody else waits while it is read.
pub(super) async fn recording(app: &App, cluster: &str, run: String) -> Result<Arc<Recording>, Refusing> {
    let member = Arc::clone(member(app, cluster)?);
    let absent = Refusing::absent(format!("there is no run {run}"));
    let read = tokio::task::spawn_blocking(move || member.recording(&run)).await;
    read.ok().flatten().ok_or(absent)
}

pub(super) async fn login(
    State(app): State<App>,
    headers: HeaderMap,
    Wish(login): Wish<Login>,
) -> Result<Response, Refusing> {
    let (cookie, access) = app.gate.login(&headers, &login.token).await?;
    let session = Session { role: access.role, csrf: access.csrf, version: VERSION };
    Ok(([(header::SET_COOKIE, cookie)], Json(session)).into_response())
}

pub(super) async fn session(Extension(access): Extension<Access>) -> Json<Session> {
    Json(Session { role: access.role, csrf: access.csrf, version: VERSION })
}

pub(super) async fn logout(State(app): State<App>, headers: HeaderMap) -> Response {
    let mut answer = StatusCode::NO_CONTENT.into_response();
    answer.headers_mut().extend(app.gate.logout(&headers).map(|gone| (header::SET_COOKIE, gone)));
    answer
}

pub(super) async fn clusters(State(app): State<App>) -> Json<Clusters> {
    Json(Clusters { clusters: app.fleet.all().map(|member| member.summary()).collect() })
}

pub(super) async fn cluster(State(app): State<App>, Path(cluster): Path<String>) -> Result<Json<Cluster>, Refusing> {
    Ok(Json(member(&app, &cluster)?.page()))
}

pub(super) async fn look(State(app): State<App>, Path(cluster): Path<String>) -> Result<StatusCode, Refusing> {
    member(&app, &cluster)?.look();
    Ok(StatusCode::ACCEPTED)
}

fn plan_shown(kept: &Kept) -> PlanShown {
    shown(kept.id.clone(), kept.at, &kept.plan, &kept.loadout.desired)
}

pub(super) async fn plan(
    State(app): State<App>,
    Path(cluster): Path<String>,
    Wish(wish): Wish<PlanWish>,
) -> Result<(StatusCode, Json<PlanShown>), Refusing> {
    let kept = member(&app, &cluster)?.plan_anew(wish).await?;
    Ok((StatusCode::CREATED, Json(plan_shown(&kept))))
}

pub(super) async fn kept(
    State(app): State<App>,
    Path((cluster, plan)): Path<(String, String)>,
) -> Result<Json<PlanShown>, Refusing> {
    let kept = member(&app, &cluster)?.plan(&plan);
    let kept = kept.ok_or_else(|| Refusing::absent("this plan is not kept any more").hint("plan anew"))?;
    Ok(Json(plan_shown(&kept)))
}

pub(super) async fn run(
    State(app): State<App>,
    Path(cluster): Path<String>,
    Wish(wish): Wish<RunWish>,
) -> Result<(StatusCode, Json<Begun>), Refusing> {
    let run = member(&app, &cluster)?.run(wish).await?;
    Ok((StatusCode::ACCEPTED, Json(Begun { run })))
}

pub(super) async fn runs(State(app): State<App>, Path(cluster): Path<String>) -> Result<Json<Runs>, Refusing> {
    Ok(Json(Runs { runs: member(&app, &cluster)?.runs() }))
}

pub(super) async fn told(
    State(app): State<App>,
    Path((cluster, run)): Path<(String, String)>,
) -> Result<Json<Run>, Refusing> {
    Ok(Json(recording(&app, &cluster, run).await?.whole()))
}

pub(super) async fn cancel(
    State(app): State<App>,
    Path((cluster, run)): Path<(String, String)>,
) -> Result<Json<Stopped>, Refusing> {
    let times = member(&app, &cluster)?.cancel(&run);
    let why =
        || Refusing::new(StatusCode::CONFLICT, "notOurs", "this run has ended, or another program carries it out");
    Ok(Json(Stopped { times: times.ok_or_else(why)? }))
}

pub(super) async fn checks(State(app): State<App>, Path(cluster): Path<String>) -> Result<Json<Checks>, Refusing> {
    Ok(Json(Checks { checks: member(&app, &cluster)?.checks() }))
}

pub(super) async fn verify(State(app): State<App>, Path(cluster): Path<String>) -> Result<StatusCode, Refusing> {
    member(&app, &cluster)?.verify().await?;
    Ok(StatusCode::ACCEPTED)
}

/// The document of a cluster. It is a page of its own with its style inside, so its policy names that style by its digest.
pub(super) async fn page(
    State(app): State<App>,
    Path((cluster, language)): Path<(String, String)>,
) -> Result<Response, Refusing> {
    let language = match language.as_str() {
        "en" => Language::En,
        "fr" => Language::Fr,
        other => return Err(Refusing::absent(format!("there is no document in {other}")).hint("`en` or `fr`")),
    };
    let html = member(&app, &cluster)?.document(language).await?;
    let styles = html.split("<style>").skip(1).filter_map(|rest| Some(rest.split_once("</style>")?.0));
    let sums: Vec<String> =
        styles.map(|style| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(style.as_bytes())))).collect();
    let policy = format!(
        "default-src 'none'; style-src{}; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        if sums.is_empty() { " 'none'".to_string() } else { sums.concat() }
    );
    let policy = HeaderValue::from_str(&policy);
    let policy = policy.map_err(|_| Refusing::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "no policy"))?;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, policy)], html).into_response())
}

pub(super) async fn described() -> Response {
    Json(openapi()).into_response()
}

pub(super) async fn health() -> &'static str {
    "ok\n"
}

pub(super) async fn other_method() -> Refusing {
    Refusing::new(StatusCode::METHOD_NOT_ALLOWED, "method", "nothing here is asked for in that way")
}
