//! What went wrong with a call, and whether it may pass.

use std::error::Error as _;

use kube::core::Status;
use kubewright_hosts::{Holes, masked};

use crate::cluster::ClusterError;

/// What the API says in place of a webhook that does not answer yet.
const WEBHOOK: &str = "failed calling webhook";
/// How what the API's datastore says begins.
const DATASTORE: &str = "etcdserver:";
/// What the API says of an object that it cannot read: it calls that a failure of its own.
const MALFORMED: &str = "failed to create typed patch object";

/// A refusal that will be the same the next time.
pub(super) fn refused(what: impl Into<String>, why: impl Into<String>) -> ClusterError {
    ClusterError::Refused { what: what.into(), why: why.into(), log: Vec::new() }
}

/// The error of a call that was made for `what`.
pub(super) fn failed(what: &str, error: &kube::Error) -> ClusterError {
    match error {
        kube::Error::Api(status) => of_status(what, status),
        kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => {
            ClusterError::Unreachable(told(error))
        }
        other => refused(what, told(other)),
    }
}

fn of_status(what: &str, status: &Status) -> ClusterError {
    let conflicts: Vec<String> = conflicts(status).collect();
    if !conflicts.is_empty() {
        let why = format!("others have set what it sets: {}", conflicts.join("; "));
        let log = vec![
            format!(
                "what others set is not taken from them: take it out of the spec, let them give it up, or take it with \
                 `kubewright apply --take '{what}'`"
            ),
            format!("the API: {}", first_line(&status.message)),
        ];
        return ClusterError::Refused { what: what.into(), why, log };
    }
    let message = first_line(&status.message).to_string();
    match status.code {
        409 => ClusterError::Busy(format!("{what}: {message}")),
        429 => ClusterError::Busy(format!("{what}: too many requests: {message}")),
        // A webhook's pods start while its objects are applied already.
        500 if status.message.contains(WEBHOOK) => ClusterError::Busy(format!("{what}: {message}")),
        500 if status.message.starts_with(MALFORMED) => refused(what, message),
        // Another server may be nearer to its datastore than this one.
        500 if is_of_datastore(status) => ClusterError::Unreachable(format!("500 {message}")),
        500 => ClusterError::Busy(format!("{what}: {message}")),
        502..=504 => ClusterError::Unreachable(format!("{} {message}", status.code)),
        401 => refused(what, "the API does not know who we are: the kept kubeconfig is of another cluster, or too old"),
        _ => refused(what, message),
    }
}

/// Whether the API's datastore failed it, which is one for all kinds.
pub(super) fn is_of_datastore(status: &Status) -> bool {
    status.message.starts_with(DATASTORE)
}

/// Who else has set a field, and which.
fn conflicts(status: &Status) -> impl Iterator<Item = String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.filter(|cause| cause.reason == "FieldManagerConflict").map(|cause| {
        // conflict with "kubectl-edit" using v1
        let manager = cause.message.split('"').nth(1).unwrap_or(cause.message.as_str());
        format!("`{manager}` has set {}", cause.field)
    })
}

fn first_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() { "no reason was given" } else { line }
}

/// An error in words: the deepest causes say most, and what the layers above say of themselves says nothing.
pub(super) fn told(error: &kube::Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last().is_none_or(|last: &String| !last.ends_with(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes.retain(|cause| !cause.starts_with("client error") && cause != "tcp connect error");
    match causes.is_empty() {
        true => error.to_string(),
        false => causes.join(": "),
    }
}

/// The same error with no secret in it: the API quotes what it refuses, and programs print what they were given.
pub(super) fn without_secrets(error: ClusterError, holes: &Holes) -> ClusterError {
    match error {
        ClusterError::Unreachable(why) => ClusterError::Unreachable(masked(&why, holes)),
        ClusterError::Busy(why) => ClusterError::Busy(masked(&why, holes)),
        ClusterError::Refused { what, why, log } => ClusterError::Refused {
            what,
            why: masked(&why, holes),
            log: log.iter().map(|line| masked(line, holes)).collect(),
        },
    }
}
