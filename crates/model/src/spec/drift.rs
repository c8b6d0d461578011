//! Who is told when the world is not as the spec says any more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::net::HostPort;
use crate::spec::forms;
use crate::spec::secrets::SecretRef;
use crate::units::Span;

/// Who is told when the world is not as the spec says any more: by `kubewright status --drift --notify`, which
/// `kubewright drift-timer` has run again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drift {
    /// How often it is looked.
    #[serde(default = "hourly")]
    pub every: Span,
    /// The address of a webhook, which gets what differs as JSON; Slack, Mattermost and others show its `text`. Whoever knows
    /// the address may write there, so it is a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<SecretRef>,
    /// An e-mail with what differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<DriftEmail>,
}

fn hourly() -> Span {
    Span::from_secs(3600)
}

/// An e-mail, and who sends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriftEmail {
    /// The server that sends it (SMTP), with its port: `mail.example.org:587`.
    pub server: HostPort,
    /// How the connection to it is encrypted.
    #[serde(default)]
    pub tls: MailTls,
    /// The user there; without it, nobody logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// Whom it is from.
    #[schemars(with = "forms::Email")]
    pub from: String,
    /// Whom it goes to.
    #[schemars(with = "Vec<forms::Email>", length(min = 1))]
    pub to: Vec<String>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MailTls {
    /// After a first word in clear text, mostly at port 587.
    #[default]
    Starttls,
    /// From its beginning, mostly at port 465.
    Tls,
    /// Not at all: only for a server on this computer, or in a network that nobody else is in.
    None,
}
