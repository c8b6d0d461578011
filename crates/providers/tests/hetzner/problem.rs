//! What the API answers when it refuses, in its own form.

use serde_json::{Value, json};

/// Which status a code has: the table of <https://docs.hetzner.cloud/reference/cloud#errors>. The codes of single
/// operations have 422, where their own tables say one.
const STATUSES: &[(&str, u16)] = &[
    ("json_error", 400),
    ("unauthorized", 401),
    ("token_readonly", 401),
    ("forbidden", 403),
    ("maintenance", 403),
    ("resource_limit_exceeded", 403),
    ("not_found", 404),
    ("firewall_resource_not_found", 404),
    ("method_not_allowed", 405),
    ("uniqueness_error", 409),
    ("conflict", 409),
    ("deprecated_api_endpoint", 410),
    ("resource_unavailable", 412),
    ("locked", 423),
    ("protected", 423),
    ("rate_limit_exceeded", 429),
    ("server_error", 500),
    ("bad_gateway", 502),
    ("unavailable", 503),
    ("robot_unavailable", 503),
    ("timeout", 504),
];

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) details: Box<Value>,
}

impl Problem {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        let status = STATUSES.iter().find(|(own, _)| *own == code).map_or(422, |(_, status)| *status);
        Self { status, code: code.into(), message: message.into(), details: Box::new(json!({})) }
    }

    /// One field is wrong.
    pub(crate) fn invalid(field: &str, message: &str) -> Self {
        Self::fields(&[(field.into(), message.into())])
    }

    /// Some fields are wrong.
    pub(crate) fn fields(wrong: &[(String, String)]) -> Self {
        let said: Vec<String> =
            wrong.iter().map(|(field, message)| format!("invalid input in field '{field}': {message}")).collect();
        let fields: Vec<Value> =
            wrong.iter().map(|(field, message)| json!({"name": field, "messages": [message]})).collect();
        Self { details: Box::new(json!({ "fields": fields })), ..Self::new("invalid_input", said.join(", ")) }
    }

    pub(crate) fn taken(field: &str, message: &str) -> Self {
        Self { details: Box::new(json!({"fields": [{"name": field}]})), ..Self::new("uniqueness_error", message) }
    }

    /// The name of the limit is the API's own: `server_limit`, `project_limit`.
    pub(crate) fn limit(name: &str) -> Self {
        let message = format!("{} limit exceeded", name.trim_end_matches("_limit").replace('_', " "));
        Self { details: Box::new(json!({"limits": [{"name": name}]})), ..Self::new("resource_limit_exceeded", message) }
    }

    pub(crate) fn body(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message, "details": self.details}})
    }
}

/// A text that a request must have.
pub(crate) fn text<'a>(body: &'a Value, field: &str) -> Result<&'a str, Problem> {
    body[field].as_str().ok_or_else(|| Problem::invalid(field, "must be a string"))
}

/// What a request must have: a number or a name, both of which the API takes where it says "ID or name".
pub(crate) fn id_or_name(body: &Value, field: &str) -> Result<String, Problem> {
    match &body[field] {
        Value::Number(id) => Ok(id.to_string()),
        _ => text(body, field).map(String::from),
    }
}

/// A number that a request must have.
pub(crate) fn number(body: &Value, field: &str) -> Result<u64, Problem> {
    body[field].as_u64().ok_or_else(|| Problem::invalid(field, "must be a number"))
}

/// The entries of a list that a request may have.
pub(crate) fn list<'a>(body: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    body[field].as_array().into_iter().flatten()
}

/// The labels of something new.
pub(crate) fn labels(body: &Value) -> Value {
    body.get("labels").cloned().unwrap_or_else(|| json!({}))
}
