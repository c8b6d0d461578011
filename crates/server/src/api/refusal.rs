//! What is answered when something is refused.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::shapes::{Refusal, Refused};
use crate::cluster::Mistake;

/// Why something is refused, and the status that says so.
#[derive(Debug)]
pub(crate) struct Refusing {
    status: StatusCode,
    refused: Refused,
}

impl Refusing {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, refused: Refused { code, message: message.into(), hint: None, details: Vec::new() } }
    }

    /// What is not there.
    pub(crate) fn absent(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "notFound", what)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.refused.hint = Some(hint.into());
        self
    }

    fn details(mut self, details: Vec<String>) -> Self {
        self.refused.details = details;
        self
    }
}

impl IntoResponse for Refusing {
    fn into_response(self) -> Response {
        (self.status, Json(Refusal { error: self.refused })).into_response()
    }
}

impl From<Mistake> for Refusing {
    fn from(mistake: Mistake) -> Self {
        let message = mistake.to_string();
        match mistake {
            Mistake::Spec(lines) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "spec", message).details(lines),
            Mistake::Blocked(_, lines) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "blocked", message).details(lines)
            }
            Mistake::Ending => Self::new(StatusCode::SERVICE_UNAVAILABLE, "ending", message),
            Mistake::Busy(_) => Self::new(StatusCode::CONFLICT, "busy", message),
            Mistake::Forgotten => Self::new(StatusCode::CONFLICT, "forgotten", message).hint("plan anew"),
            Mistake::Unnamed => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unnamed", message),
            Mistake::Failed(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", message),
        }
    }
}
