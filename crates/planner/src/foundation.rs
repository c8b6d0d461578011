//! What a cluster keeps for its whole life: the settings that it was begun with, and its join token.
//!
//! Another wish is refused, never rolled out. The settings were written down when the cluster was begun. The token is
//! compared where it is: on hosts that are members, against the one that we would write there. So a store that was lost,
//! one that has made a new token since, and a spec that names another token are all found in the same way.

use kubewright_model::desired::Desired;
use kubewright_model::host::HostResource;
use kubewright_model::observed::{HostSeen, Observed, Seen};

/// The hole that holds the token with which nodes join.
pub(crate) const TOKEN_HOLE: &str = "secret/join-token";

/// Something that a cluster cannot go over to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shaken {
    /// What is so, in one sentence.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: String,
}

/// Everything of a cluster's foundation that would become another one.
pub(crate) fn shaken(desired: &Desired, observed: &Observed) -> Vec<Shaken> {
    let mut found = settings(desired, observed);
    found.extend(token(desired, observed));
    found
}

fn settings(desired: &Desired, observed: &Observed) -> Vec<Shaken> {
    let was = match &observed.foundation {
        None | Some(Seen::Absent) => return Vec::new(),
        Some(Seen::Unknown(why)) => {
            return vec![Shaken {
                message: format!("what the cluster was begun with cannot be read: {why}"),
                help: "put the file back; or remove it, if the spec says what the cluster was begun with".into(),
            }];
        }
        Some(Seen::Present(was)) => was,
    };
    // One that was written down by an older version lacks what that version did not know.
    let known =
        was.iter().filter_map(|(setting, was)| Some((setting, was, desired.kubernetes.foundation.get(setting)?)));
    let other = known.filter(|(_, was, wish)| was != wish).map(|(setting, was, wish)| Shaken {
        message: format!("the cluster was begun with {setting} {was}, and cannot go over to {wish}"),
        help: "take the change back, or make everything anew with `kubewright rebuild`".into(),
    });
    other.collect()
}

/// A server refuses to start with another token than the one that its datastore is locked with, and nobody could join.
/// One host that holds another may have been changed by hand; when none holds ours, ours is the wrong one.
/// <https://docs.k3s.io/cli/token>
fn token(desired: &Desired, observed: &Observed) -> Option<Shaken> {
    let files = desired.hosts.iter().flat_map(|host| &host.resources).filter_map(|resource| match resource {
        HostResource::File(file) if file.content.holes().any(|hole| hole.as_str() == TOKEN_HOLE) => Some(file),
        _ => None,
    });
    let file = files.into_iter().next()?;
    let joined = |host: &&HostSeen| host.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.joined);
    let members: Vec<&HostSeen> = observed.hosts.values().filter_map(Seen::present).filter(joined).collect();
    if members.is_empty() {
        return None;
    }
    let kept = "`.kubewright/` beside the spec";
    let back = format!(
        "bring {kept} back; or copy {} of a server into {}",
        file.path,
        format_args!(".kubewright/{}/secrets/join-token", desired.cluster)
    );
    let Some(ours) = observed.filled.get(&file.content.fingerprint()) else {
        let message = match desired.secrets.contains_key("join-token") {
            true => "the cluster lives, and the join token is not where the spec says".to_string(),
            false => format!("the cluster lives, and its join token is not kept in {kept}: no other is made"),
        };
        return Some(Shaken { message, help: back });
    };
    let there: Vec<_> = members.iter().filter_map(|host| host.files.get(&file.path)).collect();
    if there.is_empty() || there.iter().any(|seen| seen.digest == *ours) {
        return None;
    }
    let message = "the cluster was begun with another join token than ours, and keeps it".to_string();
    let help = match desired.secrets.contains_key("join-token") {
        true => "put the token back that it was begun with".into(),
        false => back,
    };
    Some(Shaken { message, help })
}
