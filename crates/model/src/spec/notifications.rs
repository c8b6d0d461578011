//! Who is told of what, and how.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::net::HostPort;
use crate::spec::forms;
use crate::spec::secrets::SecretRef;

/// Somebody who is told of something: exactly one of `webhook`, `slack`, `matrix` and `email`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notification {
    /// An address that takes JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// A channel of Slack; also of Mattermost, Rocket.Chat and others that take what Slack takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<Slack>,
    /// A room of Matrix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<Matrix>,
    /// An e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// What is told. Without it: what somebody has to see to, which is all but `runEnd`.
    #[serde(default = "what_needs_somebody")]
    #[schemars(length(min = 1))]
    pub on: Vec<Occasion>,
}

fn what_needs_somebody() -> Vec<Occasion> {
    vec![Occasion::RunFailed, Occasion::Drift, Occasion::Expiry, Occasion::Verification]
}

/// What somebody is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Occasion {
    /// A run has ended, whichever way.
    RunEnd,
    /// A run has ended, and not everything is as it was asked for.
    RunFailed,
    /// The world is not as this file says any more, and when it is again.
    Drift,
    /// Certificates end within 30 days, or the newest bundle is too old; and when that is over.
    Expiry,
    /// A check of `kubewright verify --notify` does not hold, and when all hold again.
    Verification,
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RunEnd => "runEnd",
            Self::RunFailed => "runFailed",
            Self::Drift => "drift",
            Self::Expiry => "expiry",
            Self::Verification => "verification",
        })
    }
}

/// An address that takes JSON: `event`, `text`, `cluster`, `at`, `over`, `lines`, and of a run its `run`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// The address. Whoever knows it may write there, so it is a secret.
    pub url: SecretRef,
    /// A key that whoever listens knows too. Each request is signed with it: `X-Kubewright-Signature` is `sha256=` and the
    /// HMAC of the body, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretRef>,
}

/// An incoming webhook of Slack. <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slack {
    /// Its address. Whoever knows it may write there, so it is a secret.
    pub url: SecretRef,
}

/// A room of Matrix, in which the owner of the token is. <https://spec.matrix.org/latest/client-server-api/>
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Matrix {
    /// The home server's address: `https://matrix.example.org`.
    #[schemars(with = "forms::WebAddress")]
    pub server: String,
    /// The room's identifier, as its settings show it: `!abc:example.org`.
    pub room: String,
    /// The access token of who writes there.
    pub token: SecretRef,
}

/// An e-mail, and who sends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Email {
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
