//! What is answered and what is asked, as JSON: `docs/design/0006-the-dashboard.md` has the table of it.

mod cluster;
mod plan;
mod run;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::cluster::*;
pub use self::plan::*;
pub use self::run::*;

/// Who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, approves, runs and cancels.
    Operator,
}

/// What opens a session.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The token.
    pub token: String,
}

/// A session.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// What may be done in it.
    pub role: Role,
    /// What goes into `X-Kubewright-Csrf` of every request that changes something; none for a program's token.
    pub csrf: Option<String>,
    /// The program's version.
    pub version: &'static str,
}

/// Why something was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refusal {
    /// It.
    pub error: Refused,
}

/// Why something was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refused {
    /// In a word for programs.
    pub code: &'static str,
    /// In words.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Each thing that is wrong, where there are several.
    pub details: Vec<String>,
}
