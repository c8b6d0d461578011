//! The pages: files of `assets/`, inside the program.

use axum::extract::Path;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use crate::api::refusal::Refusing;

/// Files by name. A macro, so that a name stands once.
macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../assets/", $name)) as &[u8])),*]
    };
}

const ASSETS: &[(&str, &[u8])] = assets![
    "api.js",
    "app.js",
    "ask.js",
    "changes.js",
    "checks.js",
    "choose.js",
    "cluster.js",
    "documents.js",
    "dom.js",
    "fleet.js",
    "history.js",
    "icon.svg",
    "index.html",
    "layout.js",
    "login.js",
    "networks.js",
    "pieces.js",
    "plan.js",
    "replay.js",
    "run.js",
    "story.js",
    "style.css",
    "theme.js",
    "timeline.js",
    "topology.js",
    "words.js",
    "works.js",
    "zoom.js",
];

fn answer(name: &str) -> Option<Response> {
    let (_, bytes) = ASSETS.iter().find(|(known, _)| *known == name)?;
    let kind = match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    };
    Some(([(CONTENT_TYPE, HeaderValue::from_static(kind))], *bytes).into_response())
}

/// A file of the pages.
pub(crate) async fn asset(Path(name): Path<String>) -> Result<Response, Refusing> {
    answer(&name).ok_or_else(|| Refusing::absent("there is no such file"))
}

/// The one page: its script shows what its address says. What is below `/api` and in no table is nowhere.
pub(crate) async fn page(method: Method, uri: Uri) -> Result<Response, Refusing> {
    if uri.path().starts_with("/api/") {
        return Err(Refusing::absent("there is nothing here"));
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        let refused = Refusing::new(StatusCode::METHOD_NOT_ALLOWED, "method", "a page is looked at, and nothing else");
        return Ok(([(ALLOW, HeaderValue::from_static("GET, HEAD"))], refused).into_response());
    }
    answer("index.html").ok_or_else(|| Refusing::absent("there is no page"))
}
