//! How often it is looked whether the world is as the spec says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// How often it is looked whether the world is as this file says, by the timer of `kubewright drift-timer`. Who is told stands in
/// `notifications`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drift {
    /// How often.
    #[serde(default = "hourly")]
    pub every: Span,
}

/// How often it is looked where nothing is said.
pub fn hourly() -> Span {
    Span::from_secs(3600)
}
