//! Plans: what differs, what is asked for, and what would be done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that differs from the spec.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Change {
    /// What.
    pub subject: String,
    /// Field by field.
    pub fields: Vec<Field>,
    /// What would be done about it, and why.
    pub words: String,
}

/// One field's difference.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Field {
    /// The field.
    pub path: String,
    /// What is there.
    pub from: Option<String>,
    /// What is wished. Secrets are holes, which show their names.
    pub to: Option<String>,
}

/// What a plan is asked for.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Wanted {
    /// Make the world as the spec says.
    Apply,
    /// Take everything away that is ours.
    Destroy,
    /// Make the named nodes anew.
    Replace,
    /// Make everything anew.
    Rebuild,
}

/// A question for a plan.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanWish {
    /// What is asked.
    pub ask: Wanted,
    /// The nodes to replace.
    #[serde(default)]
    pub nodes: Vec<String>,
    /// Only these parts; empty for all.
    #[serde(default)]
    pub only: Vec<String>,
}

/// A plan, as people read it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PlanShown {
    /// Its name here. The newest of a cluster are kept.
    pub id: String,
    /// The digest of its steps: what is approved.
    pub fingerprint: String,
    /// What was asked.
    pub ask: String,
    /// When it was made.
    pub at: u64,
    /// Steps, in the order in which a person would do them.
    pub steps: Vec<Step>,
    /// What will not be done, or should be known.
    pub notes: Vec<Note>,
    /// A note blocks it.
    pub blocked: bool,
    /// Nothing is to be done.
    pub empty: bool,
    /// What it deletes.
    pub deletes: Vec<String>,
    /// What it takes out of service for a while.
    pub disturbs: Vec<String>,
    /// The name that has to be typed before it runs.
    pub takes: Option<String>,
}

/// A step of a plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Step {
    /// Its name.
    pub id: String,
    /// Its heading.
    pub stage: String,
    /// What it is about.
    pub subject: String,
    /// The deed in words.
    pub title: String,
    /// The part of the spec that wants it.
    pub part: String,
    /// Why.
    pub reason: String,
    /// Steps that must be done before.
    pub needs: Vec<String>,
    /// `adds`, `changes`, `removes` or `moves`.
    pub weight: &'static str,
    /// Field by field.
    pub changes: Vec<Field>,
    /// More words, where nobody could say what differs.
    pub text: Option<String>,
}

/// A note of a plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Note {
    /// What it is about.
    pub subject: String,
    /// What.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// It keeps the plan from running.
    pub blocks: bool,
}

/// A plan that is approved.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunWish {
    /// The plan.
    pub plan: String,
    /// Its fingerprint, as it was read.
    pub fingerprint: String,
    /// The cluster's name, where the plan asks for it.
    #[serde(default)]
    pub name: Option<String>,
}
