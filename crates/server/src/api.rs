//! The one table of requests: the router and the OpenAPI document are made of it.

mod answers;
mod document;
pub(crate) mod refusal;
pub mod shapes;
mod streams;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post};
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};

pub use self::document::openapi;
use self::shapes::{
    Begun, Checks, Cluster, Clusters, Login, PlanShown, PlanWish, Role, Run, RunWish, Runs, Session, Stopped,
};
use crate::cluster::Fleet;
use crate::gate::{self, Gate};
use crate::{assets, metrics};

/// What every request is answered from.
pub(crate) type App = Arc<Everything>;

/// What every request is answered from.
pub(crate) struct Everything {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) gate: Gate,
}

/// A request that is answered.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Who may ask; none for anybody.
    pub(super) who: Option<Role>,
    pub(super) summary: &'static str,
    /// What it takes.
    pub(super) takes: Option<Shape>,
    /// The status of its answer, and what that is.
    pub(super) gives: (u16, Gives),
    answers: fn() -> MethodRouter<App>,
}

pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What an answer is.
pub(super) enum Gives {
    Nothing,
    Json(Shape),
    /// Text of another kind.
    Text(&'static str),
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn route(
    method: &'static str,
    path: &'static str,
    who: Role,
    summary: &'static str,
    gives: (u16, Gives),
    answers: fn() -> MethodRouter<App>,
) -> Route {
    Route { method, path, who: Some(who), summary, takes: None, gives, answers }
}

/// All requests but those for pages.
pub(super) fn routes() -> Vec<Route> {
    use Gives::{Json, Nothing, Text};
    use Role::{Operator, Viewer};
    const EVENTS: &str = "text/event-stream";
    let taking = |shape: Shape, route: Route| Route { takes: Some(shape), ..route };
    let open = |route: Route| Route { who: None, ..route };
    vec![
        open(taking(
            of::<Login>,
            route("post", "/api/v1/session", Viewer, "Log in with a token", (200, Json(of::<Session>)), || {
                post(answers::login)
            }),
        )),
        route("get", "/api/v1/session", Viewer, "Who is logged in", (200, Json(of::<Session>)), || {
            get(answers::session)
        }),
        route("delete", "/api/v1/session", Viewer, "Log out", (204, Nothing), || delete(answers::logout)),
        route("get", "/api/v1/clusters", Viewer, "All clusters", (200, Json(of::<Clusters>)), || {
            get(answers::clusters)
        }),
        route("get", "/api/v1/events", Viewer, "Clusters, each time one changes", (200, Text(EVENTS)), || {
            get(streams::fleet)
        }),
        route("get", "/api/v1/clusters/{cluster}", Viewer, "A cluster", (200, Json(of::<Cluster>)), || {
            get(answers::cluster)
        }),
        route(
            "get",
            "/api/v1/clusters/{cluster}/events",
            Viewer,
            "The cluster, each time it changes",
            (200, Text(EVENTS)),
            || get(streams::cluster),
        ),
        route("post", "/api/v1/clusters/{cluster}/look", Viewer, "Look at it anew", (202, Nothing), || {
            post(answers::look)
        }),
        taking(
            of::<PlanWish>,
            route("post", "/api/v1/clusters/{cluster}/plans", Viewer, "Plan", (201, Json(of::<PlanShown>)), || {
                post(answers::plan)
            }),
        ),
        route(
            "get",
            "/api/v1/clusters/{cluster}/plans/{plan}",
            Viewer,
            "A plan that is kept",
            (200, Json(of::<PlanShown>)),
            || get(answers::kept),
        ),
        taking(
            of::<RunWish>,
            route(
                "post",
                "/api/v1/clusters/{cluster}/runs",
                Operator,
                "Carry out a plan",
                (202, Json(of::<Begun>)),
                || post(answers::run),
            ),
        ),
        route("get", "/api/v1/clusters/{cluster}/runs", Viewer, "All runs", (200, Json(of::<Runs>)), || {
            get(answers::runs)
        }),
        route("get", "/api/v1/clusters/{cluster}/runs/{run}", Viewer, "A run", (200, Json(of::<Run>)), || {
            get(answers::told)
        }),
        route(
            "post",
            "/api/v1/clusters/{cluster}/runs/{run}/cancel",
            Operator,
            "Ask a run to stop",
            (200, Json(of::<Stopped>)),
            || post(answers::cancel),
        ),
        route(
            "get",
            "/api/v1/clusters/{cluster}/runs/{run}/events",
            Viewer,
            "The records of a run, as they come",
            (200, Text(EVENTS)),
            || get(streams::run),
        ),
        route(
            "get",
            "/api/v1/clusters/{cluster}/checks",
            Viewer,
            "What checks came to",
            (200, Json(of::<Checks>)),
            || get(answers::checks),
        ),
        route("post", "/api/v1/clusters/{cluster}/checks", Viewer, "Run the checks", (202, Nothing), || {
            post(answers::verify)
        }),
        route(
            "get",
            "/api/v1/clusters/{cluster}/documents/{language}",
            Viewer,
            "The cluster's document",
            (200, Text("text/html")),
            || get(answers::page),
        ),
        route("get", "/api/v1/openapi.json", Viewer, "This description", (200, Text("application/json")), || {
            get(answers::described)
        }),
        route("get", "/metrics", Viewer, "Metrics for Prometheus", (200, Text("text/plain")), || get(metrics::metrics)),
        open(route("get", "/healthz", Viewer, "Whether the dashboard answers", (200, Text("text/plain")), || {
            get(answers::health)
        })),
    ]
}

/// Everything that is answered.
pub(crate) fn router(app: App) -> Router {
    let mut router: Router<App> = Router::new();
    for route in routes() {
        let answers = (route.answers)();
        let answers = match route.who {
            Some(who) => answers.layer(from_fn_with_state((app.clone(), who), gate::guard)),
            None => answers,
        };
        router = router.route(route.path, answers);
    }
    let router = router.route("/assets/{name}", get(assets::asset)).fallback(assets::page);
    router
        .method_not_allowed_fallback(answers::other_method)
        .layer(from_fn_with_state(app.clone(), gate::door))
        .with_state(app)
}
